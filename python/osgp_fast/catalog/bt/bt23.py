"""BT23: the present registers, and the record that BT24 to BT26, ET31 and ET41 copy."""

from .._model import LOCAL, Field, M, array, ni_fmat1, ni_fmat2, stime_date, table, u8
from .bt21 import REGISTER_VARIABLES

_NO_TIERS = "not populated in tiers, whose four bytes are there all the same"

#: The summations in the order that they have where BT22 does not say another, as printed.
SUMMATIONS = (
    ni_fmat1("fwd_active", "Fwd Active Wh L1L2L3", unit="Wh", page=208),
    ni_fmat1("rev_active", "Rev Active Wh L1L2L3", unit="Wh"),
    ni_fmat1("import_reactive", "Import Reactive VArh L1L2L3", unit="varh"),
    ni_fmat1("export_reactive", "Export Reactive VArh L1L2L3", unit="varh"),
    ni_fmat1(
        "power_outage_duration",
        "Power Outage Duration",
        unit="s",
        doc=f"in minutes on firmware 2.0 (Optical guide p. 25); {_NO_TIERS}",
    ),
    ni_fmat1("power_outages", "Power Outage Qty", page=209, doc=_NO_TIERS),
    ni_fmat1("fwd_plus_rev_active", "Fwd+Rev Active Wh L1L2L3", unit="Wh"),
    ni_fmat1("fwd_minus_rev_active", "Fwd-Rev Active Wh L1L2L3", unit="Wh", doc="never below 0"),
    ni_fmat1("pulse_input_1", "Pulse Input 1", doc=f"source 26, Channel 0; {_NO_TIERS}"),
    ni_fmat1("pulse_input_2", "Pulse Input 2", doc=f"source 27, Channel 1; {_NO_TIERS}"),
    ni_fmat1(
        "errors",
        "Error Counter",
        doc=f"failures of RAM, memory, clock (up to 3.4X), measurement and save-all; {_NO_TIERS}",
    ),
    ni_fmat1("reactive_q1", "Reactive VArh Q1", unit="varh", doc="without demand not there before 4.0"),
    ni_fmat1("reactive_q2", "Reactive VArh Q2", unit="varh"),
    ni_fmat1("reactive_q3", "Reactive VArh Q3", unit="varh"),
    ni_fmat1("reactive_q4", "Reactive VArh Q4", unit="varh", page=210),
    ni_fmat1("apparent_q1", "Apparent Energy VAh Q1", unit="VAh", since="4.0", doc="has no source ID"),
    ni_fmat1("apparent_q2", "Apparent Energy VAh Q2", unit="VAh", since="4.0"),
    ni_fmat1("apparent_q3", "Apparent Energy VAh Q3", unit="VAh", since="4.0"),
    ni_fmat1("apparent_q4", "Apparent Energy VAh Q4", unit="VAh", since="4.0"),
)
#: Their source IDs; the last four have none.
SUMMATION_SOURCES = (0, 1, 2, 3, 4, 5, 6, 7, 26, 27, 28, 108, 109, 110, 111)
#: The last four by their place: where it is, quantity and unit. BT22's bytes for them name nothing.
UNLISTED_SUMMATIONS = tuple((14 + q, f"apparent_energy_q{q}_vah", "VAh") for q in (1, 2, 3, 4))

_RECORD = "(5 * BT21.6 * BT21.0.1 + 4 * BT21.0.4 + 4 * BT21.0.5 + 4 * BT21.6)"


def _block(start: str, tier: bool) -> tuple[Field, ...]:
    """Summations, demands and coincident values; ``start`` is where they begin, as an expression."""
    demands = f"{start} + 4 * BT21.3"
    coincidents = f"{demands} + BT21.4 * {_RECORD}"
    times = "5 * BT21.6 * BT21.0.1"
    return (
        array(
            "summation",
            "summations",
            [
                ni_fmat1(
                    "value",
                    "Summations",
                    at=start,
                    vci=M,
                    unit="Wh, varh, VAh, s, or a count: that of the source in BT22",
                    page=211 if tier else 208,
                    doc="a register that only grows; of the tier alone" if tier else "a register that only grows",
                )
            ],
            "Summations",
            elements=() if tier else SUMMATIONS,
            doc="sources that are not populated in tiers take their four bytes all the same"
            if tier
            else "BT22 lists the sources; the names here are those of the default order",
        ),
        array(
            "demand",
            "demands",
            [
                array(
                    "event_time",
                    "occurrences",
                    [
                        stime_date(
                            "time",
                            "Event Time",
                            at=demands,
                            vci=M,
                            clock=LOCAL,
                            page=211 if tier else 210,
                            doc="when the demand was measured",
                        )
                    ],
                    "Event Time",
                    when="has_event_time",
                ),
                ni_fmat1(
                    "cumulative",
                    "Cumulative Demand",
                    at=f"{demands} + {times}",
                    vci=M,
                    when="has_cumulative",
                    doc="sum of the demands at the resets so far",
                ),
                ni_fmat1(
                    "continuous_cumulative",
                    "Contin Cum Demand",
                    at=f"{demands} + {times} + 4 * BT21.0.4",
                    vci=M,
                    when="has_continuous",
                    doc="the cumulative demand with the present one added",
                ),
                array(
                    "measurement",
                    "occurrences",
                    [
                        ni_fmat2(
                            "value",
                            "Demand",
                            at=f"{demands} + {times} + 4 * BT21.0.4 + 4 * BT21.0.5",
                            vci=M,
                            unit="that of the source in BT22",
                            doc="the demand itself, a minimum or a maximum by BT22",
                        )
                    ],
                    "Demand",
                ),
            ],
            "Demand Measurements",
            doc="the offsets are printed for record 0 with all three optional parts; a part whose flag is not set takes no "
            "bytes",
        ),
        array(
            "coincident",
            "coincidents",
            [
                array(
                    "measurement",
                    "occurrences",
                    [
                        ni_fmat2(
                            "value",
                            "Coincidents",
                            at=coincidents,
                            vci=M,
                            unit="that of the source in BT22",
                            doc="what another source measured at the time of the demand",
                        )
                    ],
                    "Coincidents",
                )
            ],
            "Coincidents",
        ),
    )


def registers(start: str = "") -> tuple[Field, ...]:
    """The rows of a record of registers, for the tables that copy it; ``start`` is where it begins, as an expression.

    They ask for `bt21.REGISTER_VARIABLES`.
    """
    total = f"{start} + BT21.0.2" if start else "BT21.0.2"
    tiers = f"{total} + 4 * BT21.3 + BT21.4 * {_RECORD} + 4 * BT21.5 * BT21.6"
    return (
        u8(
            "demand_resets",
            "Nbr Demand Resets",
            at=start or "0",
            vci=M,
            page=208,
            when="has_reset_counter",
            doc="demand resets so far; printed before the total block and not repeated in the tiers",
        ),
        *_block(total, tier=False),
        array(
            "tier",
            "tiers",
            list(_block(tiers, tier=True)),
            "Tier Data Block",
            doc="the same three groups once more for every tariff, of D - A bytes each",
        ),
    )


BT23 = table(
    "BT23",
    "Current Register Data",
    "MEP guide, BT23, p. 207; Optical guide, BT23, p. 24",
    registers(),
    write="MAK",
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    variables=REGISTER_VARIABLES,
    doc="BT21 gives every dimension, BT22 the sources. Values include the CT and VT ratios; Wh and varh count energy "
    "register units (1, 10 or 100, ET55) on CT meters from 3.70 and CPM from 1.20 on; VAh is not mentioned there",
)
