"""ET54: the meter's status, as far as load profile and event log need it."""

from .._model import H, M, bits, flag, reserved, table, u16

ET54 = table(
    "ET54",
    "Meter Status",
    "MEP guide, ET54, p. 133",
    [
        bits(
            "compatibility",
            2,
            [
                flag("ica_nak", 0, doc="named at ET42.4 only"),
                flag("billing_lp_format_2", 1, doc="named at ET42.4 only: extended sources in ET42"),
                flag("multiple_sets", 2, "Multiple Load Profile Data Set Support"),
                flag("energy_unit_change", 6, "Energy Unit Change", vci=H),
                flag("five_digit_id_codes", 7, "LCD Value ID Code 5 Digit Support", vci=H, since="4.00"),
                flag("multiple_mep_clients", 8, "Multiple MEP Clients", vci=H, since="4.00"),
            ],
            "Interface Compatibility Settings",
            at="0",
        ),
        reserved(67, at="2"),
        u16("et74_entries", "ET74 Entry Count", at="69", vci=M, since="3.60", since_cpm="1.20", page=136),
        reserved(9, at="71", name="reserved_2"),
        u16("et79_entries", "ET79 Entry Count", at="80", vci=M),
    ],
)
