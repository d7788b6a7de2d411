"""The catalogue: what the guides say about every table, once, as rows of data.

Decoders, encoder, documentation and the virtual meter read these rows; Rust reads them as the generated
``catalog.json`` (``python -m osgp_fast.catalog``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from ._model import Field, Table
from .bt.bt00 import BT00
from .bt.bt01 import BT01
from .bt.bt20 import BT20
from .bt.bt60 import BT60
from .bt.bt61 import BT61
from .bt.bt62 import BT62
from .bt.bt63 import BT63
from .bt.bt64 import BT64, BT65, BT66, BT67
from .bt.bt71 import BT70, BT71
from .bt.bt74 import BT74
from .et.et03 import ET03
from .et.et21 import ET21
from .et.et42 import ET42
from .et.et54 import ET54
from .et.et55 import ET55
from .et.et66 import ET66
from .et.et79 import ET79

__all__ = ["TABLES", "Field", "Table", "catalog_json", "event_codes", "sources"]

_ALL: Final = (
    *(BT00, BT01, BT20, BT60, BT61, BT62, BT63, BT64, BT65, BT66, BT67, BT70, BT71, BT74),
    *(ET03, ET21, ET42, ET54, ET55, ET66, ET79),
)
#: Every table by its id, in the order of the guides.
TABLES: Final[Mapping[str, Table]] = {t.id: t for t in _ALL}


@cache
def _load(name: str) -> Any:
    return json.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))


def sources() -> list[dict[str, Any]]:
    """The source IDs 0 to 244: name, quantity, unit, scale, OBIS. Source: MEP guide pp. 203-207."""
    rows: list[dict[str, Any]] = _load("sources.json")["sources"]
    return rows


def event_codes() -> dict[str, Any]:
    """Names and arguments of events, with where they come from and what is open about them."""
    codes: dict[str, Any] = _load("event_codes.json")
    return codes


def event_names() -> dict[int, str]:
    """The name of every event: 0..63 of the standard, 64 + n of the manufacturer."""
    codes = event_codes()
    return {int(k): v for k, v in {**codes["standard"], **codes["manufacturer"]}.items()}


def catalog_json() -> str:
    """The whole catalogue as the JSON text that the Rust crate embeds."""
    keep = ("id", "name", "quantity", "unit", "scale", "raw_unit", "energy_register_unit", "kind", "obis")
    value = {
        "tables": [t.to_json() for t in TABLES.values()],
        "sources": [{k: s[k] for k in keep} for s in sources()],
        "events": {str(k): v for k, v in sorted(event_names().items())},
    }
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
