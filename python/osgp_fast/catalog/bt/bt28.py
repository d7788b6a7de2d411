"""BT28: what the meter measures now."""

import json
from pathlib import Path

from .._model import M, array, ni_fmat1, ni_fmat2, table, time

# The list of present values stands once, in sources.json: number, source ID, name and first firmware.
_ORDER = json.loads((Path(__file__).parent.parent / "sources.json").read_text(encoding="utf-8"))["bt28_default_order"]
PRESENT_VALUES = {row["number"]: row["name"] + (f" (from {row['since']})" if row["since"] else "") for row in _ORDER}

_TIME = "3 * BT21.0.6"

BT28 = table(
    "BT28",
    "Present Register Data",
    "MEP guide, BT28, p. 215; Optical guide, BT28, p. 53",
    [
        array(
            "present_demand",
            "present_demands",
            [
                time(
                    "time_remaining",
                    "Time Remaining",
                    at="0",
                    vci=M,
                    page=215,
                    when="has_time_remaining",
                    doc="to the end of the present demand interval",
                ),
                ni_fmat2(
                    "value",
                    "Demand value",
                    at=_TIME,
                    vci=M,
                    unit="that of the source in BT27",
                    doc="the present demand; printed at 3, which is so only where the time remaining is there",
                ),
            ],
            "Present Demands",
        ),
        array(
            "present_value",
            "present_values",
            [
                ni_fmat1(
                    "value",
                    "Present values",
                    at=f"({_TIME} + 4) * BT21.8",
                    vci=M,
                    unit="that of the source in BT27: mA, mV, 1/1000, mHz, W, var, VA, 1/100 degree",
                    page=216,
                    doc="value n stands 4 * n bytes on: the guide prints n, though each takes four",
                )
            ],
            "Present values",
            enum=PRESENT_VALUES,
            doc="BT27 lists the sources; the names here are those of the default order, whose 65 is printed as a second 66. "
            "A full read of a Control Point Module ends before 75; a partial read gives the rest. A, B, C are L1, L2, L3",
        ),
    ],
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    variables={
        "present_demands": "BT21.8",
        "present_values": "BT21.9",
        "has_time_remaining": "BT21.0.6",
    },
    doc="BT21 gives the dimensions. Values are before the CT and VT ratios, but 18 to 21 and 32 to 40, which include them",
)
