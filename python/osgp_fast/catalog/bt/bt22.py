"""BT22: which sources the registers of BT23 to BT26 hold, in their order."""

from .._model import M, array, set_, table, u8

_FLAGS = "(BT21.4 + 7) // 8"

BT22 = table(
    "BT22",
    "Data Selection",
    "MEP guide, BT22, p. 202; Optical guide, BT22, p. 23",
    [
        array(
            "summation",
            "summations",
            [u8("source", "Summation Sources", at="0", vci=M, page=203, doc="source ID of each summation")],
            "Summation Sources",
            doc="VAh of the four quadrants (15 to 18) has no 8-bit source ID: these bytes name nothing",
        ),
        array(
            "demand",
            "demands",
            [u8("source", "Demand Select", at="BT21.3", vci=M, doc="source ID of each demand")],
            "Demand Select",
        ),
        set_(
            "maximum",
            "(demands + 7) // 8",
            "Min Max Flags",
            at="BT21.3 + BT21.4",
            vci=M,
            enum={0: "minimum", 1: "maximum"},
            doc="one bit per demand; printed SET((BT21..4 + 7) / 8), a misprint for BT21.4, in whole bytes, so none "
            "without demand",
        ),
        array(
            "coincident",
            "coincidents",
            [
                u8(
                    "source",
                    "Coincident Select",
                    at=f"BT21.3 + BT21.4 + {_FLAGS}",
                    vci=M,
                    doc="source ID of each coincident value",
                )
            ],
            "Coincident Select",
        ),
        array(
            "coincident_demand",
            "coincidents",
            [
                u8(
                    "demand",
                    "Coincident Demand Associated",
                    at=f"BT21.3 + BT21.4 + {_FLAGS} + BT21.5",
                    vci=M,
                    doc="the demand, by its place in Demand Select, with which the coincident value is recorded",
                )
            ],
            "Coincident Demand Associated",
        ),
    ],
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    variables={"summations": "BT21.3", "demands": "BT21.4", "coincidents": "BT21.5"},
    doc="also for BT24 to BT26, ET31 and ET41, which hold BT23's record",
)
