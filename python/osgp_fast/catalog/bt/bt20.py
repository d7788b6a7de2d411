"""BT20: the largest dimensions of the register tables; BT20.7 also sizes the step tariffs of ET55."""

from .._model import F, M, P, bits, flag, table, u8

BT20 = table(
    "BT20",
    "Dimension Register",
    "Optical guide, BT20, p. 20; MEP guide, BT21, p. 200 (same layout)",
    [
        bits(
            "flags_1",
            1,
            [
                flag("season_information", 0, "Season Information Field", vci=F),
                flag("date_time", 1, "Date/time Field", vci=F),
                flag("demand_reset_counter", 2, "Demand Reset Counter", vci=P),
                flag("demand_reset_lockout", 3, "Demand Reset Lockout", vci=P),
                flag("cumulative_demand", 4, "Cumulative Demand", vci=P),
                flag("continuous_cumulative_demand", 5, "Continuous Cumulative Demand", vci=P),
                flag("time_remaining", 6, "Time Remaining", vci=P),
            ],
            at="0",
        ),
        bits(
            "flags_2",
            1,
            [
                flag("self_read_inhibit_overflow", 0, "Self-read Inhibit Overflow", vci=F),
                flag("self_read_sequence_number", 1, "Self-read Sequence Number", vci=P),
                flag("daily_self_read", 2, "Daily Self-read", vci=F),
            ],
            at="1",
        ),
        u8("self_reads", "Number of Self-reads", at="2", vci=P),
        u8("summations", "Number of Summations", at="3", vci=P),
        u8("demands", "Number of Demands", at="4", vci=P),
        u8("coincident_values", "Number of Coincident Values", at="5", vci=P),
        u8("occurrences", "Number of Occurrences", at="6", vci=P),
        u8("tiers", "Number of Tiers", at="7", vci=P),
        u8("present_demands", "Number of Present Demands", at="8", vci=P),
        u8("present_values", "Number of Present Values", at="9", vci=M),
    ],
)
