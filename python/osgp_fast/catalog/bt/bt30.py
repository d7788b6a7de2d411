"""BT30: the largest dimensions of the display lists; BT30.4 and BT30.6 size BT33."""

from .._model import F, P, bits, flag, table, u8, u16

BT30 = table(
    "BT30",
    "Dimension Display",
    "MEP guide, BT30, p. 220; Optical guide, table A.1, p. 60",
    [
        bits(
            "flags",
            1,
            [
                flag("on_time", 0, "On time", vci=F, default="True", doc="reserved"),
                flag("off_time", 1, "Off time", vci=F, default="False", doc="reserved"),
                flag("hold_time", 2, "Hold time", vci=P, default="False", doc="reserved"),
            ],
            at="0",
            page=220,
        ),
        u16("sources", "Number of Display Sources", at="1", vci=P, default="962", doc="sources one can choose from"),
        u8(
            "source_width",
            "Width Display Sources",
            at="3",
            vci=F,
            default="2",
            unit="byte",
            doc="bytes of a source's number in BT33",
        ),
        u16(
            "primary_items",
            "Number of Primary List Items",
            at="4",
            vci=P,
            default="30",
            doc="room for this many sources in the primary list",
        ),
        u8(
            "primary_lists",
            "Number of Primary Lists",
            at="6",
            vci=P,
            default="1",
            page=221,
            doc="how many lists BT33 holds",
        ),
        u16(
            "secondary_items",
            "Number of Secondary List Items",
            at="7",
            vci=P,
            default="0",
            doc="reserved: the secondary list stands in ET77, whose size is not given here",
        ),
        u8("secondary_lists", "Number of Secondary Lists", at="9", vci=P, default="0", doc="reserved"),
    ],
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    doc="what the meter's display could show at most; also sizes ET07 and ET67 (MEP guide p. 55)",
)
