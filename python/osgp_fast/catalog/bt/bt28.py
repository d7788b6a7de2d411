"""BT28: what the meter measures now."""

import json
from pathlib import Path
from typing import Any

from .._model import Field, M, array, ni_fmat1, ni_fmat2, table, time

# The list of present values stands once, in sources.json: number, source ID, name and first firmware.
_LIST = json.loads((Path(__file__).parent.parent / "sources.json").read_text(encoding="utf-8"))
_SOURCES = {row["id"]: row for row in _LIST["sources"]}
#: The first firmware of Control Point Modules; what is not here has none of its own.
_MODULES = {"3.70": "1.20", "4.30": "1.32"}
#: Values that begin a page of the MEP guide.
_PAGES = {0: 216, 19: 217, 38: 218, 58: 219, 77: 220}


def _value(row: dict[str, Any]) -> Field:
    source = _SOURCES[row["source"]]
    # 1/1000 and 1/100 degree are a scale; mA, mV and mHz are units.
    scale, _, unit = source["raw_unit"].partition(" ") if source["raw_unit"].startswith("1/") else ("", "", "")
    value: Field = ni_fmat1(
        source["quantity"],
        row["name"],
        unit=unit or ("1" if scale else source["raw_unit"]),
        scale=scale or None,
        since=row["since"],
        since_cpm=_MODULES.get(row["since"]),
        page=_PAGES.get(row["number"]),
        doc=f"source {row['source']}",
    )
    return value


PRESENT_VALUES = tuple(map(_value, _LIST["bt28_default_order"]))

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
            elements=PRESENT_VALUES,
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
