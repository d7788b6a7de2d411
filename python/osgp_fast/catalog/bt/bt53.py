"""BT53: time zone and daylight saving time, what makes BT55 of BT52."""

from .._model import LOCAL, H, i16, table, time, u8

BT53 = table(
    "BT53",
    "Time Offset",
    "MEP guide, BT53, p. 225",
    [
        time(
            "daylight_saving_effective",
            "Daylight Saving Time Effective",
            at="0",
            vci=H,
            clock=LOCAL,
            page=225,
            doc="time of day of both changes, on the dates that BT54 gives; ET04.63 moves that of the end by minutes",
        ),
        u8(
            "daylight_saving_adjustment",
            "Daylight Saving Time Adjustment",
            at="3",
            vci=H,
            unit="min",
            doc="what daylight saving adds to BT55",
        ),
        i16(
            "time_zone_offset",
            "Time Zone Offset",
            at="4",
            vci=H,
            unit="min",
            doc="what the zone adds to BT55; the meter takes -720 to 840 (printed as -12 to +14 hours)",
        ),
    ],
    write="MAK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
)
