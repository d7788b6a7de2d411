"""BT23: the present registers, and the record that BT24 to BT26, ET31 and ET41 copy."""

from .._model import LOCAL, Field, M, array, ni_fmat1, ni_fmat2, stime_date, table, u8
from .bt21 import REGISTER_VARIABLES

#: The summations in the order that they have where BT22 does not say another: names as printed (MEP guide pp. 208-210).
SUMMATIONS = {
    0: "Fwd Active Wh L1L2L3",
    1: "Rev Active Wh L1L2L3",
    2: "Import Reactive VArh L1L2L3",
    3: "Export Reactive VArh L1L2L3",
    4: "Power Outage Duration, in seconds (in minutes on firmware 2.0); not populated in tiers",
    5: "Power Outage Qty; not populated in tiers",
    6: "Fwd+Rev Active Wh L1L2L3",
    7: "Fwd-Rev Active Wh L1L2L3, never below 0",
    8: "Pulse Input 1; not populated in tiers",
    9: "Pulse Input 2; not populated in tiers",
    10: "Error Counter; not populated in tiers",
    11: "Reactive VArh Q1",
    12: "Reactive VArh Q2",
    13: "Reactive VArh Q3",
    14: "Reactive VArh Q4",
    15: "Apparent Energy VAh Q1",
    16: "Apparent Energy VAh Q2",
    17: "Apparent Energy VAh Q3",
    18: "Apparent Energy VAh Q4",
}
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
            enum=None if tier else SUMMATIONS,
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
