"""BT52: the meter's clock, in UTC."""

from .._model import UTC, F, M, bits, flag, ltime_date, part, table

#: Days of the week as BT52 and BT55 count them (MEP guide p. 224; RDATE, p. 42).
WEEKDAYS = {0: "Sunday", 1: "Monday", 2: "Tuesday", 3: "Wednesday", 4: "Thursday", 5: "Friday", 6: "Saturday"}

BT52 = table(
    "BT52",
    "UTC Clock",
    "MEP guide, BT52, p. 224",
    [
        ltime_date(
            "clock",
            "Clock Calendar",
            at="0",
            vci=M,
            clock=UTC,
            page=224,
            doc="drives everything but the calendar of BT54, the load profile too; no zone, no daylight saving",
        ),
        bits(
            "flags",
            1,
            [
                part("day_of_week", 0, 2, "Day of Week", vci=M, enum=WEEKDAYS),
                flag(
                    "daylight_saving_time",
                    3,
                    "Daylight Saving Time",
                    vci=M,
                    doc="in effect now; the time of this table does not show it, BT55's does",
                ),
                flag("greenwich_mean_time", 4, "Greenwich Mean Time", vci=F, doc="set: the time is UTC"),
                flag("time_zone_applied", 5, "Time Zone Applied", vci=F, doc="clear: no zone offset in the time"),
                flag(
                    "dst_applied",
                    6,
                    "DST Applied",
                    vci=F,
                    doc="clear: no daylight saving in the time",
                    page=225,
                ),
            ],
            at="6",
        ),
    ],
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    doc="updated every second, BT55 every minute only: their difference tells the zone to within 60 s",
)
