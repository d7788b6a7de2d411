"""BT20: the largest dimensions of the register tables; BT20.7 also sizes the step tariffs of ET55."""

from .._model import F, Field, M, P, bits, flag, part, table, u8


def dimensions(configured: bool) -> tuple[Field, ...]:
    """The layout that BT20 (maxima) and BT21 (as configured) share; what their rows say differs.

    Pages are those of the guide that the table's source names first: Optical for BT20, MEP for BT21.
    """

    def either(of_bt20: str, of_bt21: str) -> str:
        return of_bt21 if configured else of_bt20

    pages = (201, 201, 202) if configured else (20, 21, 21)
    new = {} if configured else {"since": "3.10", "default": "TRUE"}
    vci = M if configured else P
    most = "" if configured else "the most that "
    return (
        bits(
            "flags_1",
            1,
            [
                flag(
                    "season_information",
                    0,
                    "Season Information Field",
                    vci=F,
                    default="True",
                    doc="seasons are in the tables",
                ),
                flag(
                    "date_time",
                    1,
                    either("Date/time Field", "Date/Time Field"),
                    vci=F,
                    default="True",
                    doc="event times are in the demand records",
                ),
                flag(
                    "demand_reset_counter",
                    2,
                    "Demand Reset Counter",
                    vci=vci,
                    **new,
                    doc="a count of demand resets stands before the registers; it is 0 again after 255",
                ),
                flag(
                    "demand_reset_lockout",
                    3,
                    either("Demand Reset Lockout", "Demand Reset Lock"),
                    vci=vci,
                    **new,
                    doc="demand resets can be locked out for a time; moves no bytes",
                ),
                flag(
                    "cumulative_demand",
                    4,
                    "Cumulative Demand",
                    vci=vci,
                    **new,
                    doc="demand records hold a cumulative demand",
                ),
                flag(
                    "continuous_cumulative_demand",
                    5,
                    "Continuous Cumulative Demand",
                    vci=vci,
                    **new,
                    doc="demand records hold a continuous cumulative demand",
                ),
                flag(
                    "time_remaining",
                    6,
                    "Time Remaining",
                    vci=P,
                    default="False",
                    doc="present demands of BT28 begin with the time that remains of their interval",
                ),
            ],
            at="0",
            page=pages[0],
        ),
        bits(
            "flags_2",
            1,
            [
                flag(
                    "self_read_inhibit_overflow",
                    0,
                    "Self-read Inhibit Overflow",
                    vci=F,
                    default="False",
                    doc="a full list of self-reads takes no more",
                ),
                flag(
                    "self_read_sequence_number",
                    1,
                    "Self-read Sequence Number",
                    vci=P,
                    default=either("TRUE", ""),
                    doc="says nothing of the layout of BT26, whose BIDN is there where BT21.4 is not 0",
                ),
                flag("daily_self_read", 2, either("Daily Self-read", "Daily Self-read"), vci=F, default="True"),
                flag("weekly_self_read", 3, "Weekly Self-read", vci=F, default="True", page=pages[1]),
                part(
                    "self_read_demand_reset",
                    4,
                    5,
                    "Self-read Demand Reset",
                    vci=P,
                    default=either("0", ""),
                    doc="0: neither causes the other",
                ),
            ],
            at="1",
        ),
        u8(
            "self_reads",
            "Number of Self-reads",
            at="2",
            vci=vci,
            page=pages[2],
            default=either("12 (2.0), 24 (2.10), 214 (3.0), 253 (3.10 and higher)", "0..BT20.2"),
            doc=f"{most}BT26 has room for",
        ),
        u8(
            "summations",
            "Number of Summations",
            at="3",
            vci=vci,
            default=either("15 or 19", "11, 19 or BT20.3"),
            doc=either(
                "19 from 4.0 on, else 15; read the byte",
                "19 from 4.0 on; before, 11 without demand and BT20.3 with it",
            ),
        ),
        u8(
            "demands",
            "Number of Demands",
            at="4",
            vci=vci,
            default=either("8", "0..BT20.4"),
            doc=f"{most}demand registers",
        ),
        u8(
            "coincident_values",
            "Number of Coincident Values",
            at="5",
            vci=vci,
            default=either("16", "0..BT20.5"),
            doc=either(
                "the most of them in all", "in all; the guide says two per demand, an example has 8 demands and none"
            ),
        ),
        u8(
            "occurrences",
            "Number of Occurrences",
            at="6",
            vci=vci,
            default=either("1", "0..BT20.6"),
            doc="maxima per demand register",
        ),
        u8(
            "tiers",
            "Number of Tiers",
            at="7",
            vci=P,
            default=either("4 or 8", "4"),
            doc="tariffs: 4, or up to 8 from 3.70 (CPM 1.20) on; read the byte",
        ),
        u8(
            "present_demands",
            either("Number of Present demands", "Number of Present Demands"),
            at="8",
            vci=vci,
            default=either("8", "0..BT20.8"),
            doc=f"{most}BT28 has"
            + either("", "; its range is printed with BT28.8, a misprint for BT20.8, since BT28 has no dimensions"),
        ),
        u8(
            "present_values",
            "Number of Present Values",
            at="9",
            vci=M,
            default=either("41 or 72", "0..BT20.9"),
            doc="18, 22 (2.12), 26 (3.10), 41 (3.50), 55 (3.70), 72 (4.0), 75 (4.10) or 84 (4.30); read the byte",
        ),
    )


BT20 = table(
    "BT20",
    "Dimension Register",
    "Optical guide, BT20, p. 20; MEP guide, BT21, p. 200 (same layout)",
    dimensions(configured=False),
    optical_read="MK, PK, RK",
    clients="OSGP meter",
    doc="what the meter could do; BT21 says what is configured. BT21 does not exist in firmware 2.0 to 2.10, and this table "
    "stands in for it there only",
)
