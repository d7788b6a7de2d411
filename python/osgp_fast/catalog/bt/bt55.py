"""BT55: the local clock, which drives the tariff calendar, and the tariff in force."""

from .._model import LOCAL, F, M, bits, flag, ltime_date, part, table
from .bt52 import WEEKDAYS

BT55 = table(
    "BT55",
    "Local Clock State",
    "MEP guide, BT55, p. 229",
    [
        ltime_date(
            "clock",
            "Clock Calendar",
            at="0",
            vci=M,
            clock=LOCAL,
            page=230,
            doc="BT52 with the zone offset and, while it lasts, the daylight saving of BT53; updated every minute and on "
            "table writes",
        ),
        bits(
            "flags",
            1,
            [
                part("day_of_week", 0, 2, "Day of Week", vci=M, enum=WEEKDAYS, doc="of the local date"),
                flag("daylight_saving_time", 3, "Daylight Savings Time", vci=M, doc="in effect now"),
                flag("greenwich_mean_time", 4, "Greenwich Mean Time", vci=F, doc="clear: the time need not be UTC"),
                flag("time_zone_applied", 5, "Time Zone Applied", vci=F, doc="set: the zone offset is in the time"),
                flag("dst_applied", 6, "DST Applied", vci=F, doc="set: daylight saving is in the time"),
            ],
            at="6",
        ),
        bits(
            "tariff",
            2,
            [
                part(
                    "current_tier",
                    0,
                    2,
                    "Current Tier",
                    vci=M,
                    doc="tariff in force, from 0: to 7 from firmware 3.70 and CPM 1.20, to 3 before. CPM 1.21 and later lock "
                    "the optical port for 8 s when it changes, so that a MEP client can read it in time",
                ),
                part(
                    "tier_drive",
                    6,
                    7,
                    "Tier Drive",
                    vci=M,
                    enum={
                        0: "by the calendar",
                        1: "by hand, until the next tier switch",
                        2: "by hand, for good",
                        3: "timed override, power over its threshold, or step tariff",
                    },
                    page=231,
                    doc="what chose the tariff; ET54.44 tells which of those that share 3",
                ),
                part(
                    "special_schedule",
                    8,
                    11,
                    "Special Schedule Active",
                    vci=M,
                    doc="special (holiday) schedule in force; how none looks is not said, so 0 is not proof of schedule 0",
                ),
                part(
                    "season",
                    12,
                    15,
                    "Season",
                    vci=M,
                    doc="in force, from 0; printed as 0 to 3, to 11 where BT50 has 12 seasons",
                ),
            ],
            at="7",
            doc="bits 8..15 are byte 8",
        ),
    ],
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
)
