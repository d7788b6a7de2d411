"""Measurements: the present values of BT28 become one row each, scaled to the unit of their source.

The present demands that stand before them are no rows. BT21 says how many values there are, BT27 what they are. Source: MEP
guide, BT27 and BT28, pp. 214-220; Optical guide pp. 53-57.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from struct import Struct
from typing import Any, Final

from ..catalog import present_order, sources
from ..columns import columns
from ..image import Read
from ..layout import MissingDimension
from ._meter import Meter, Options, View, missing, reject
from ._register_dims import dimensions

NEEDS: Final = frozenset({"BT01", "BT20", "BT21", "BT27", "BT28"})
_VALUE: Final = Struct("<i")
#: A full read from a Control Point Module (firmware 1.x) ends before this value (MEP guide p. 219).
_MODULE_VALUES: Final = 75
_MODULE: Final = 1


@dataclass(frozen=True, slots=True)
class _Measured:
    """What a value is, and how the meter's integer becomes it: times ``factor``, through ``divisor``."""

    source: int | None
    quantity: str | None = None
    unit: str | None = None
    obis: str | None = None
    factor: int = 1
    divisor: int = 1


@cache
def _by_id() -> dict[int, _Measured]:
    out = {}
    for row in sources():
        scale = row["scale"] or 1
        # Decimal scales are divisions: 228693 / 1000 is 228.693, and 228693 * 0.001 is not.
        factor, divisor = (1, round(1 / scale)) if scale < 1 else (int(scale), 1)
        out[row["id"]] = _Measured(row["id"], row["quantity"], row["unit"], row["obis"], factor, divisor)
    return out


def decode(meter: Meter, options: Options) -> Iterator[dict[str, list[Any]]]:
    """The rows of a meter: a batch per read."""
    names = [c.name for c in columns("measurements")]
    for read in meter.reads.get("BT28", ()):
        rows: dict[str, list[Any]] = {name: [] for name in names}
        try:
            _read(meter, read, options, rows)
        except MissingDimension as error:
            missing(meter, read, error.table)
        if rows["meter"]:
            yield rows


def _read(meter: Meter, read: Read, options: Options, rows: dict[str, list[Any]]) -> None:
    """Add the values of one read."""
    view = meter.view(read)
    variables, assumed = dimensions(view, read, options)
    value = view.layout("BT28", **variables).by_path["present_value.value"][0]
    count = variables["present_values"]
    if assumed:
        # As many as there are bytes; more than BT21.9 can count are none.
        count = min(-(-max(0, read.end - value.offset) // value.size), 255)
    measured = _measured(view, read, variables["present_demands"], count)
    if assumed or (options.assume_defaults and meter.newest("BT27", read) is None):
        meter.assumed = True
    absent = first = 0
    for i, what in enumerate(measured):
        offset = value.offset + value.size * i
        part = read.part(offset, value.size)
        if part is None:
            first = first if absent else i
            absent += 1
            continue
        if len(part[1]) < value.size:
            reject(
                meter,
                read,
                "measurements.incomplete",
                f"{len(part[1])} of the value's {value.size} bytes are there; read BT28 again",
                item=f"value {i}",
                offset=part[0],
                data=part[1],
                length=value.size,
            )
            continue
        raw: int = _VALUE.unpack(part[1])[0]
        rows["meter"].append(meter.label)
        rows["source"].append(what.source)
        rows["index"].append(i)
        rows["quantity"].append(what.quantity)
        rows["unit"].append(what.unit)
        rows["obis"].append(what.obis)
        rows["value"].append(raw * what.factor / what.divisor)
        rows["raw"].append(raw)
        rows["read_at"].append(read.read_at)
    if absent and read.whole and not (first == _MODULE_VALUES and _is_module(view)):
        reject(
            meter,
            read,
            "table.too_short",
            f"BT28 ends after {read.end} bytes, before {absent} of the {count} values that BT21 counts; read BT28 again, and "
            "BT21 with it",
            item=f"value {first}",
            offset=read.end,
            data=b"",
        )


def _is_module(view: View) -> bool:
    firmware = view.find("BT01", "firmware")
    return firmware is not None and firmware >> 12 == _MODULE


def _measured(view: View, read: Read, demands: int, count: int) -> list[_Measured]:
    """What the values are: by BT27, without it by the list of the guides."""
    if view.meter.newest("BT27", read) is None:
        ids: list[int | None] = [*present_order()[:count], *[None] * (count - len(present_order()))]
    else:
        given = {"present_demands": demands, "present_values": count}
        ids = [view.find("BT27", "present_value.source", i, **given) for i in range(count)]
    return [_Measured(id) if id is None or id not in _by_id() else _by_id()[id] for id in ids]
