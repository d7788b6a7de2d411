"""The catalogue: what the guides say about every table, once, as rows of data.

Decoders, encoder, documentation and the virtual meter read these rows; Rust reads them as the generated
``catalog.json`` (``python -m osgp_fast.catalog``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Final

from . import mbus
from ._model import Field, Table

__all__ = [
    "PROCEDURES",
    "TABLES",
    "Field",
    "Table",
    "alarms",
    "catalog_json",
    "errata",
    "event_codes",
    "extended_sources",
    "present_order",
    "sources",
    "summation_order",
    "unlisted_summations",
]


def _all(room: str) -> Iterator[Table]:
    """The tables or procedures of the modules of one room, in order of their numbers."""
    package = import_module(f".{room}", __name__)
    found: dict[str, Table] = {}
    for module in iter_modules(package.__path__, f"{package.__name__}."):
        rows = vars(import_module(module.name)).values()
        found |= {row.id: row for row in rows if isinstance(row, Table) and row.id.startswith(room.upper())}
    yield from sorted(found.values(), key=lambda row: row.number)


#: Every table by its id, basic tables first. A new module in ``bt`` or ``et`` is found by itself.
TABLES: Final[Mapping[str, Table]] = {t.id: t for room in ("bt", "et") for t in _all(room)}
#: Every procedure by its id (BPnn, EPnn): modules in ``bp`` and ``ep``.
PROCEDURES: Final[Mapping[str, Table]] = {t.id: t for room in ("bp", "ep") for t in _all(room)}


@cache
def _load(name: str) -> Any:
    return json.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))


def sources() -> list[dict[str, Any]]:
    """The source IDs 0 to 244: name, quantity, unit, scale, OBIS. Source: MEP guide pp. 203-207."""
    rows: list[dict[str, Any]] = _load("sources.json")["sources"]
    return rows


def extended_sources() -> Iterator[tuple[int, str]]:
    """Every extended source ID that stands for an M-Bus or MEP value (type 4), with its quantity.

    Bits 15..12 are the type, 11..8 the device (its index in ET13), 4..0 the data type of ET57; the value is what the device
    sent, so it has no unit here. Source: MEP guide p. 32.
    """
    for device in range(16):
        for data_type in range(32):
            yield 4 << 12 | device << 8 | data_type, f"mbus_device_{device + 1}_data_type_{data_type}"


def present_order() -> list[int]:
    """The source IDs of BT28's present values in the order of the guides' list, which BT27 may replace."""
    return [row["source"] for row in _load("sources.json")["bt28_default_order"]]


def summation_order() -> tuple[int, ...]:
    """The source IDs of BT23's summations in the order of the guides' list, which BT22 may replace."""
    from .bt.bt23 import SUMMATION_SOURCES

    return SUMMATION_SOURCES


def unlisted_summations() -> tuple[tuple[int, str, str], ...]:
    """The summations that no source ID names, VAh of the quadrants: place, quantity, unit."""
    from .bt.bt23 import UNLISTED_SUMMATIONS

    return UNLISTED_SUMMATIONS


def event_codes() -> dict[str, Any]:
    """Names and arguments of events, with where they come from and what is open about them."""
    codes: dict[str, Any] = _load("event_codes.json")
    return codes


def event_names() -> dict[int, str]:
    """The name of every event: 0..63 of the standard, 64 + n of the manufacturer."""
    codes = event_codes()
    return {int(k): v for k, v in {**codes["standard"], **codes["manufacturer"]}.items()}


def errata(id: str) -> str:
    """Where the guides contradict themselves about a table, and how they were read; Markdown, empty where they do not."""
    path = Path(__file__).parent / "errata" / f"{id}.md"
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def alarms() -> list[tuple[int, int, str]]:
    """Every alarm of BT03: byte, bit from the least significant one, and name as printed, in the order of the guide.

    The modes in byte 0 are none. A word of several bytes has its bit 8 in the byte behind.
    """
    return [
        (int(word.at) + bit.bits[0] // 8, bit.bits[0] % 8, bit.spec)
        for word in TABLES["BT03"].fields
        if word.name != "mode"
        for bit in word.of
        if isinstance(word.at, str) and bit.bits is not None
    ]


#: What Rust needs of a row: how to lay it out and how to read it. The words stay here.
_LAYOUT: Final = ("name", "type", "at", "size", "bits", "count", "max", "index", "stride", "when", "clock")


def _layout(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: row[key] for key in _LAYOUT if key in row}
    return {**kept, "of": [_layout(member) for member in row["of"]]} if "of" in row else kept


def catalog_json() -> str:
    """What the Rust crate embeds of the catalogue, as JSON, a table a line."""
    keep = ("id", "name", "quantity", "unit", "scale", "raw_unit", "energy_register_unit", "kind", "obis")
    tables = [
        {
            "id": t.id,
            "number": t.number,
            **({"variables": dict(t.variables)} if t.variables else {}),
            "fields": [_layout(f.to_json()) for f in t.fields],
        }
        for t in TABLES.values()
    ]
    value: dict[str, list[Any]] = {
        "tables": tables,
        "sources": [{k: s[k] for k in keep} for s in sources()],
        "extended_sources": [list(row) for row in extended_sources()],
        "summation_order": list(summation_order()),
        "unlisted_summations": [list(row) for row in unlisted_summations()],
        "present_order": present_order(),
        "events": [[k, v] for k, v in sorted(event_names().items())],
        "alarms": [list(alarm) for alarm in alarms()],
        **mbus.to_json(),
    }
    lists = (
        f'"{name}": [\n' + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]"
        for name, rows in value.items()
    )
    return "{\n" + ",\n".join(lists) + "\n}\n"
