"""Records: from the table images of one meter to the rows of every kind, in readable Python.

This is the twin of the Rust crate's `records`, its fallback and the yardstick of the benchmarks; both give equal rows
and equal rejects.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ..image import TableImage
from ..reject import Reject
from . import alarms, channels, events, load_profile, mbus, measurements, meters, registers
from ._meter import IDS, Meter, Options

__all__ = ["NEEDS", "MeterResult", "Options", "decode_meter", "without_decoder"]

#: The tables that each kind needs; rejects are limited to them.
NEEDS: Final = {
    "load_profile": load_profile.NEEDS,
    "events": events.NEEDS,
    "meters": meters.NEEDS,
    "channels": channels.NEEDS,
    "registers": registers.NEEDS,
    "measurements": measurements.NEEDS,
    "alarms": alarms.NEEDS,
    "mbus": mbus.NEEDS,
}


@dataclass(slots=True)
class MeterResult:
    """What one meter gave: batches of columns per kind, rejects, and whether the guides' defaults were used."""

    rows: dict[str, list[dict[str, list[Any]]]] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    assumed: bool = False


def decode_meter(
    label: str, images: Sequence[TableImage], kinds: Sequence[str], options: Options | None = None
) -> MeterResult:
    """The rows of ``kinds`` from all images of one meter, in their order of appearance.

    Returns: for every kind a list of batches, each a dict from column name to a list, all of equal length.
    """
    options = options or Options()
    needed = frozenset[str]().union(*(NEEDS[k] for k in kinds))
    meter = Meter(label, images, needed)
    result = MeterResult()
    for kind in kinds:
        result.rows[kind] = list(_decode(kind, meter, options))
    result.rejects = meter.rejects
    result.assumed = meter.assumed
    return result


def _decode(kind: str, meter: Meter, options: Options) -> Iterator[dict[str, list[Any]]]:
    match kind:
        case "load_profile":
            return load_profile.decode(meter, options)
        case "events":
            return events.decode(meter)
        case "meters":
            return meters.decode(meter)
        case "channels":
            return channels.decode(meter)
        case "registers":
            return registers.decode(meter, options)
        case "measurements":
            return measurements.decode(meter, options)
        case "alarms":
            return alarms.decode(meter, options)
        case "mbus":
            return mbus.decode(meter, options)
    raise KeyError(kind)


def without_decoder(table: int) -> bool:
    """Whether a table is only counted, since nothing here reads it."""
    return table not in IDS
