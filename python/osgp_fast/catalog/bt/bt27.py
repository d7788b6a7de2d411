"""BT27: which sources the values of BT28 hold, in their order."""

from .._model import F, array, table, u8

BT27 = table(
    "BT27",
    "Present Register Selection",
    "MEP guide, BT27, p. 214; Optical guide, Table A.1, p. 60",
    [
        array(
            "present_demand",
            "present_demands",
            [u8("source", "Present Demand Sources", at="0", vci=F, page=214, doc="source ID of each present demand")],
            "Present Demand Sources",
        ),
        array(
            "present_value",
            "present_values",
            [u8("source", "Present Value Sources", at="BT21.8", vci=F, doc="source ID of each present value")],
            "Present Value Sources",
        ),
    ],
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    variables={"present_demands": "BT21.8", "present_values": "BT21.9"},
    doc="printed as never changing (F), though its dimensions may (M): it follows the firmware",
)
