"""The dimensions of the register tables: BT21, on old firmware BT20, or the guides' defaults where neither was captured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ..catalog import TABLES
from ..image import Read
from ..layout import MissingDimension
from ._meter import IDS, Options, View

#: The fields of BT21 and BT20 behind the variables of the register tables.
_FIELDS: Final = {
    "has_reset_counter": "flags_1.demand_reset_counter",
    "has_event_time": "flags_1.date_time",
    "has_cumulative": "flags_1.cumulative_demand",
    "has_continuous": "flags_1.continuous_cumulative_demand",
    "has_time_remaining": "flags_1.time_remaining",
    "self_reads": "self_reads",
    "summations": "summations",
    "demands": "demands",
    "coincidents": "coincident_values",
    "occurrences": "occurrences",
    "tiers": "tiers",
    "present_demands": "present_demands",
    "present_values": "present_values",
}
#: The guides' defaults: no demand, 11 summations, 4 tiers (MEP guide pp. 201-202, 207). What is not here is 0, and how many
#: self-reads or present values there are is counted in the data.
_DEFAULTS: Final = {"has_event_time": 1, "summations": 11, "tiers": 4}
#: Firmware 2.0 to 2.10 has no BT21 (Optical guide pp. 19-20, 24). Packed as in BT01.
_WITHOUT_BT21: Final = range(2 << 12, 2 << 12 | 12 << 5)


def dimensions(view: View, read: Read, options: Options) -> tuple[dict[str, int], bool]:
    """The variables of the table of ``read``, and whether they are the guides' defaults.

    Raises: MissingDimension of BT21.
    """
    id = IDS[read.table]
    names = tuple(TABLES[id].variables)
    found = _of(view, "BT21", names)
    if found is not None:
        return found, False
    if view.meter.newest("BT21", read) is None and (found := _of(view, "BT20", names)) is not None:
        firmware = view.find("BT01", "firmware")
        # A later meter's BT20 holds the largest dimensions, which fit no data.
        if firmware in _WITHOUT_BT21 if firmware is not None else _fits(view, id, found, read):
            return found, False
    if options.assume_defaults:
        return {name: _DEFAULTS.get(name, 0) for name in names}, True
    raise MissingDimension("BT21")


def _of(view: View, table: str, names: Sequence[str]) -> dict[str, int] | None:
    """The variables by BT21 or BT20; None if it was not captured, or not far enough."""
    values = {name: view.find(table, _FIELDS[name]) for name in names}
    known = {name: value for name, value in values.items() if value is not None}
    return known if len(known) == len(values) else None


def _fits(view: View, id: str, variables: Mapping[str, int], read: Read) -> bool:
    return read.whole and view.layout(id, **variables).size == read.end
