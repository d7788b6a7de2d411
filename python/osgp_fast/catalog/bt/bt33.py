"""BT33: what the display shows, in which order and for how long."""

from .._model import F, H, P, array, bits, part, table, u8, u16

BT33 = table(
    "BT33",
    "Primary Display List",
    "MEP guide, BT33, p. 221; Optical guide, table A.1, p. 60",
    [
        array(
            "list",
            "BT30.6",
            [
                bits(
                    "times",
                    1,
                    [
                        part(
                            "on_time",
                            0,
                            3,
                            "On Time",
                            vci=H,
                            default="6",
                            unit="s",
                            enum={0: "no scrolling, the push button goes on"},
                            doc="how long each item is shown: 6 to 15, others are not defined; 0 has no effect while the "
                            "secondary list (ET77) is on",
                        ),
                        part("off_time", 4, 7, "Off Time", vci=F, default="0", doc="reserved", page=222),
                    ],
                    at="0",
                    page=221,
                ),
                bits(
                    "mode",
                    1,
                    [
                        part("hold_time", 0, 3, "Hold Time", vci=P, default="0", doc="reserved"),
                        part(
                            "default_list",
                            4,
                            7,
                            "Default List",
                            vci=F,
                            default="1",
                            enum={1: "normal display"},
                            doc="the mode that the first items of the sources belong to",
                        ),
                    ],
                    at="1",
                    page=222,
                ),
                u8(
                    "items",
                    "Number List Items",
                    at="2",
                    vci=H,
                    default="3",
                    doc="how many of the sources are shown in normal mode: those from 0 to this minus 1",
                ),
            ],
            "Primary Display List",
            printed="ARRAY[BT30.6] of DispListDescRcd",
        ),
        array(
            "source",
            "BT30.4",
            [
                u16(
                    "id",
                    "Display Sources",
                    at="3 * BT30.6",
                    vci=H,
                    default="0x2000, 0x2001, 0x0000",
                    doc="number of a display source; their list is in an appendix that the guide names and lacks",
                )
            ],
            "Display Sources",
            printed="ARRAY[BT30.4] OF UINT16",
            doc="in the order of the display; printed at 3, which is 3 * BT30.6 while there is one list",
        ),
    ],
    write="MAK",
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    doc="the list that the meter's display scrolls through",
)
