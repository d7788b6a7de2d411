"""ET55: the meter's configuration, as far as the load profile needs it: the energy register unit."""

from .._model import H, array, reserved, table, u8, u16, u32

ET55 = table(
    "ET55",
    "Meter Configuration",
    "MEP guide, ET55, p. 139",
    [
        # Display ID codes are one byte longer from 4.0 on, which moves everything behind them (MEP guide p. 139).
        reserved("128 + gen4", at="0"),
        array("prepay_tier_rate", 4, [u32("rate", "Prepay Tier 5...8 Rates", at=("128", "129"), vci=H)]),
        u16("reverse_energy_threshold", "Reverse Energy Alarm Current Threshold", at=("144", "145"), unit="mA"),
        array(
            "step_tariff_threshold",
            "(BT20.7 > 0) * (BT20.7 - 1)",
            [u32("value", "Step Tariff Thresholds", at=("146", "147"), vci=H)],
            doc="BT20.7, the maximum number of tiers; BT21.7 may be smaller",
        ),
        u8("step_tariff_source", "Step Tariff Source", vci=H),
        reserved(38, name="reserved_2"),
        u8("energy_register_unit", "Energy Register Unit", since="3.70", since_cpm="1.20", unit="Wh, varh"),
    ],
    doc="the energy register unit is printed at A + 39, where A is the place of the step tariff source",
)
