"""BT54: the tariff calendar: dates and what happens on them, tier switches of a day, day schedules of a season."""

from .._model import LOCAL, Field, H, ansi_date, array, bits, flag, part, rdate, table, u8, u32

_ACTIONS = {
    0: "none",
    1: "daylight saving time on",
    2: "daylight saving time off",
    **{3 + n: f"season {n}" for n in range(12)},
    19: "special schedule 0",
    20: "special schedule 1",
}
_SEASONS = "3 * BT50.3 + 3 * BT50.4 + 3 * BT50.5"


def _action(spec: str, vci: str, *more: Field) -> Field:
    """The byte that both kinds of date share."""
    return bits(
        "action",
        1,
        [
            part(
                "action",
                0,
                4,
                "Action",
                vci=vci,
                enum=_ACTIONS,
                page=226,
                doc="3 + n selects season n: 12 seasons from firmware 3.50 and CPM 1.20, 4 (values 3 to 6) before",
            ),
            flag("demand_reset", 5, "Demand Reset", vci=vci, page=227, doc="reset demand on this date"),
            flag("self_read", 6, "Self read", vci=vci, doc="take a self-read on this date"),
            *more,
        ],
        spec,
        printed="Calendar Action Bitfield",
        doc="what happens on the date",
    )


def _day(name: str, spec: str, doc: str = "day schedule of this day", **more: str) -> Field:
    row: Field = u8(name, spec, vci=H, doc=doc, **more)
    return row


BT54 = table(
    "BT54",
    "Calendar",
    "MEP guide, BT54, p. 225",
    [
        array(
            "non_recurring",
            "BT50.3",
            [
                ansi_date(
                    "date",
                    "Non-recurring Date",
                    at="0",
                    clock=LOCAL,
                    page=226,
                    doc="bits 0..6 year (2000 +), 7..10 month, 11..15 day; the range of the day is printed with a colon",
                ),
                _action("Action", ""),
            ],
            "Non-Recurring Date Records",
            printed="ARRAY[BT50.3] of NonRecurrDateRcd",
            since="3.50",
            since_cpm="1.20",
            doc="3 bytes each; sizes of records are not printed, they follow from BT50.7",
        ),
        array(
            "recurring",
            "BT50.4",
            [
                rdate(
                    "date",
                    "Recurring Date",
                    at="3 * BT50.3",
                    vci=H,
                    clock=LOCAL,
                    page=226,
                    doc="takes effect at 00:00:00. Bits 0..3 month: 1..12, 13 monthly, 14 weekly, 15 each period plus delta, "
                    "0 unassigned. With 1..13: 4..7 offset, 8..10 weekday (0 Sunday, 7 none), 11..15 day (0 invalid); with "
                    "14: 8..10 weekday; with 15: 4..9 period, 10..15 delta. Offset: 0 none, 1 back to the weekday before, "
                    "2 to 5 on to the first to fourth weekday on or after, 6 on to the month's last one on or after, 7 that "
                    "day and the next, 8 Sunday to Monday, 9 Sunday to Friday, 10 Saturday to Monday, 11 Saturday to Friday, "
                    "12 both to Monday, 13 both to Friday, 14 Sunday to Monday and Saturday to Friday, 15 the next day "
                    "instead (MEP guide pp. 41-42)",
                ),
                _action(
                    "CalendarAction Bitfield",
                    H,
                    flag(
                        "tou_format",
                        7,
                        "TOU Format",
                        printed="FILL(7..7)",
                        enum={0: "4 seasons, no non-recurring dates", 1: "12 seasons, 25 non-recurring dates"},
                        page=228,
                        doc="of element 0 only, for the whole calendar; 1 from firmware 3.50 and CPM 1.20. The arrays keep "
                        "the sizes of BT50 either way (our reading; the guide does not say)",
                    ),
                ),
            ],
            "Recurring Date Records",
            printed="ARRAY[BT50.4] of RecurrDateRcd",
            doc="3 bytes each: events, and the days on which seasons start",
        ),
        array(
            "tier_switch",
            "BT50.5",
            [
                bits(
                    "switch",
                    2,
                    [
                        part("tier", 0, 2, "Tier", vci=H, doc="tariff that begins, from 0"),
                        part("minute", 5, 10, "Minute", vci=H, unit="min", clock=LOCAL),
                        part("hour", 11, 15, "Hour", vci=H, unit="h", clock=LOCAL),
                    ],
                    at="3 * BT50.3 + 3 * BT50.4",
                    page=228,
                ),
                u8(
                    "schedule",
                    "Schedule",
                    vci=H,
                    doc="for the reader only: to the meter, switch i is of day schedule i // 10",
                ),
            ],
            "Tier Switches",
            printed="ARRAY[BT50.5] of TierSwitchRcd",
            doc="3 bytes each, ten for each of the day schedules 0 to 19, in order of time, the first at midnight",
        ),
        array(
            "season",
            "BT50.2.0",
            [
                _day("saturday", "Saturday", at=_SEASONS, when="BT50.1.1 == 0"),
                _day("sunday", "Sunday"),
                _day("weekday", "Weekday", "day schedule of Monday to Friday", when="BT50.1.1 == 0"),
                _day("monday", "Monday", when="BT50.1.1"),
                _day("tuesday", "Tuesday", when="BT50.1.1"),
                _day("wednesday", "Wednesday", when="BT50.1.1"),
                _day("thursday", "Thursday", when="BT50.1.1"),
                _day("friday", "Friday", when="BT50.1.1"),
                _day(
                    "saturday_last", "Saturday", "day schedule of Saturday, which is the last day here", when="BT50.1.1"
                ),
                _day("special_0", "Special Schedule 0", "day schedule of the first kind of holiday"),
                _day("special_1", "Special Schedule 1", "day schedule of the second kind of holiday"),
            ],
            "Season Schedules",
            printed="ARRAY[BT50.2] of SeaSchedRcd",
            page=229,
            doc="5 bytes each, 9 and in another order where BT50.1.1 is set; their number is the low nibble of BT50.2, though "
            "the whole byte is printed",
        ),
        u32(
            "calendar_id",
            "Calendar ID",
            at=f"{_SEASONS} + (5 + 4 * BT50.1.1) * BT50.2.0",
            vci=H,
            doc="identifies this calendar; that of the active one is ET23.95",
        ),
    ],
    write="MAK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    nvm=True,
    doc="runs on the local clock of BT55; its pending table is 4150, with a PED before it",
)
