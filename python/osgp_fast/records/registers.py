"""Registers: BT23 and its copies BT26, BT24 and BT25 become one row per register, and per occurrence of a demand.

A register whose bytes are cut is a reject, and its neighbours go on; of BT26 a whole entry. BT21 gives the dimensions and
BT22 the sources. Source: MEP guide, BT21 to BT26, pp. 200-214; Optical guide pp. 19-29; catalog/errata.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from struct import Struct
from typing import Any, Final

from .. import codec
from ..catalog import summation_order, unlisted_summations
from ..columns import columns
from ..image import Read
from ..layout import Layout, Leaf, MissingDimension
from ._meter import IDS, Meter, Options, Source, View, missing, reject, source
from ._profile_set import energy_register_unit
from ._register_dims import dimensions

#: The tables in the order of their rows, and what the column ``snapshot`` calls them.
SNAPSHOTS: Final = {
    "BT23": "current",
    "BT26": "self_read",
    "BT24": "previous_season",
    "BT25": "previous_demand_reset",
}
NEEDS: Final = frozenset({"BT01", "BT20", "BT21", "BT22", *SNAPSHOTS, "ET42", "ET54", "ET55"})
#: BT26's header, and the time and season that begin BT24 and BT25.
_HEADER: Final = 6
_STAMP: Final = 6
#: A full read counts its bytes in 16 bits; a larger record is none of a meter. Tiers are at most 8, and numbered in an int8.
_MAX_RECORD: Final = 0xFFFF
_MAX_TIERS: Final = 128
_VALUE: Final = Struct("<i")
#: Firmware 2.0 counts the duration of power outages in minutes (Optical guide p. 25).
_MINUTES: Final = 2 << 7
_POWER_OFF: Final = 4
_LISTED: Final = 19


@dataclass(frozen=True, slots=True)
class _Register:
    """One row of a record: what it is, and where its bytes stand from the start of the record."""

    tier: int | None
    kind: str
    index: int
    at: int
    source: Source
    multiplier: int | None
    occurrence: int | None = None
    time_at: int | None = None
    cumulative_at: int | None = None
    continuous_at: int | None = None
    of_demand: int | None = None
    min_max: str | None = None


@dataclass(frozen=True, slots=True)
class _Item:
    """Bytes that are there or not: a summation, a demand record, a coincident value; and its rows."""

    name: str
    at: int
    size: int
    registers: Sequence[_Register]


@dataclass(frozen=True, slots=True)
class _Plan:
    """The record of one table of a meter. Offsets are from the start of the table, or of an entry of BT26."""

    size: int
    bidn_at: int | None
    time_at: int | None
    season_at: int
    resets_at: int | None
    items: Sequence[_Item]

    @property
    def count(self) -> int:
        """The rows of a record."""
        return sum(len(item.registers) for item in self.items)


@dataclass(frozen=True, slots=True)
class _Head:
    """What all rows of a record share."""

    snapshot: str
    read_at: int | None
    time: int | None = None
    season: int | None = None
    demand_resets: int | None = None
    sequence: int | None = None
    bidn: int | None = None


_Rows = dict[str, list[Any]]


def decode(meter: Meter, options: Options) -> Iterator[_Rows]:
    """The rows of a meter: a batch per read."""
    names = [c.name for c in columns("registers")]
    plans: dict[Any, _Plan] = {}
    for table, snapshot in SNAPSHOTS.items():
        for read in meter.reads.get(table, ()):
            rows: _Rows = {name: [] for name in names}
            try:
                _read(meter, read, snapshot, options, plans, rows)
            except MissingDimension as error:
                missing(meter, read, error.table)
            if rows["meter"]:
                yield rows


def _read(meter: Meter, read: Read, snapshot: str, options: Options, plans: dict[Any, _Plan], rows: _Rows) -> None:
    """Add the rows of one read."""
    ring = None
    if IDS[read.table] == "BT26":
        ring = _ring(meter, read)
        if ring is None:
            return
    view = meter.view(read)
    variables, assumed = dimensions(view, read, options)
    plan = _plan(meter, view, read, options, variables, plans, assumed)
    if plan is None:
        return
    if ring is not None:
        _self_reads(meter, read, _Head(snapshot, read.read_at), plan, ring, variables["self_reads"], assumed, rows)
        return
    head = _Head(snapshot, read.read_at)
    if plan.time_at is not None:
        head = _stamp(meter, read, plan, head)
    if plan.resets_at is not None and (resets := read.get(plan.resets_at, 1)) is not None:
        head = replace(head, demand_resets=resets[0])
    _record(meter, read, plan, head, rows)


def _record(meter: Meter, read: Read, plan: _Plan, head: _Head, rows: _Rows) -> None:
    """Add the registers of a table that is one record, those whose bytes are there."""
    name = IDS[read.table]
    absent = 0
    first = ""
    for item in plan.items:
        part = read.part(item.at, item.size)
        if part is None:
            first = first or item.name
            absent += len(item.registers)
        elif len(part[1]) < item.size:
            reject(
                meter,
                read,
                "registers.incomplete",
                f"{len(part[1])} of the register's {item.size} bytes are there; read {name} again",
                item=item.name,
                offset=part[0],
                data=part[1],
                length=item.size,
            )
        else:
            _item(meter, read, item, item.at, part[1], head, "", rows)
    if absent and read.whole:
        reject(
            meter,
            read,
            "table.too_short",
            f"{name} ends after {read.end} bytes, before {absent} of the {plan.count} registers that its dimensions count; "
            f"read {name} again, and BT21 with it",
            item=first,
            offset=read.end,
            data=b"",
        )


def _item(
    meter: Meter, read: Read, item: _Item, offset: int, data: bytes | memoryview, head: _Head, of: str, rows: _Rows
) -> None:
    """Add the rows of an item; ``offset`` is where its bytes stand in the table."""
    for r in item.registers:

        def number(at: int | None, scale: int) -> int | None:
            return None if at is None else int(_VALUE.unpack_from(data, at - item.at)[0]) * scale

        scale = r.multiplier or 1
        time = None
        if r.time_at is not None:
            at = r.time_at - item.at
            time = _time(
                meter, read, "registers.time", data[at : at + 5], f"{of}{item.name}", offset, data, "the register"
            )
        rows["meter"].append(meter.label)
        rows["snapshot"].append(head.snapshot)
        rows["time"].append(head.time)
        rows["season"].append(head.season)
        rows["tier"].append(r.tier)
        rows["kind"].append(r.kind)
        rows["index"].append(r.index)
        rows["source"].append(r.source.id)
        rows["quantity"].append(r.source.quantity)
        rows["unit"].append(r.source.unit)
        rows["obis"].append(r.source.obis)
        rows["value"].append(number(r.at, scale))
        rows["event_time"].append(time)
        rows["multiplier"].append(r.multiplier)
        rows["cumulative"].append(number(r.cumulative_at, scale))
        rows["continuous_cumulative"].append(number(r.continuous_at, scale))
        rows["occurrence"].append(r.occurrence)
        rows["of_demand"].append(r.of_demand)
        rows["min_max"].append(r.min_max)
        rows["demand_resets"].append(head.demand_resets)
        rows["sequence"].append(head.sequence)
        rows["bidn"].append(head.bidn)
        rows["read_at"].append(head.read_at)


def _time(
    meter: Meter,
    read: Read,
    code: str,
    raw: bytes | memoryview,
    item: str,
    offset: int,
    data: bytes | memoryview,
    kept: str,
) -> int | None:
    """A time of the meter's clock in microseconds; a reject and None if it does not exist."""
    try:
        seconds = codec.seconds(raw)
    except codec.ImpossibleDate as error:
        reject(
            meter,
            read,
            code,
            f"the time {error} does not exist; {kept} is kept without it",
            item=item,
            offset=offset,
            data=data,
        )
        return None
    return None if seconds is None else seconds * 1_000_000


# ---- the times and seasons of snapshots


def _stamp(meter: Meter, read: Read, plan: _Plan, head: _Head) -> _Head:
    """The time and season that begin BT24 and BT25."""
    part = read.part(0, _STAMP)
    if part is None:
        return head
    data = part[1]
    if len(data) < _STAMP:
        reject(
            meter,
            read,
            "registers.header",
            f"{len(data)} of the header's {_STAMP} bytes are there; read {IDS[read.table]} again",
            item="header",
            offset=part[0],
            data=data,
            length=_STAMP,
        )
        return head
    time = _time(meter, read, "registers.time", data[:5], "header", 0, data, "the snapshot")
    return replace(head, time=time, season=_season(data[plan.season_at]))


def _season(byte: int) -> int | None:
    """A season of the calendar, of which there are four; what no int8 holds is none."""
    return byte if byte <= 127 else None


@dataclass(frozen=True, slots=True)
class _Ring:
    """BT26's header."""

    step: int
    valid: int
    last: int
    sequence: int
    data: bytes | memoryview


def _ring(meter: Meter, read: Read) -> _Ring | None:
    """BT26's header; None if there are no entries, or it was cut. Raises: MissingDimension where it was not read."""
    part = read.part(0, _HEADER)
    if part is None:
        raise MissingDimension("BT26")
    data = part[1]
    if len(data) < _HEADER:
        reject(
            meter,
            read,
            "registers.header",
            f"{len(data)} of the header's {_HEADER} bytes are there; read BT26 again",
            item="header",
            offset=part[0],
            data=data,
            length=_HEADER,
        )
        return None
    ring = _Ring(-1 if data[0] & 1 else 1, data[1], data[2], int.from_bytes(data[3:5], "little"), data)
    return ring if ring.valid else None


def _self_reads(
    meter: Meter, read: Read, head: _Head, plan: _Plan, ring: _Ring, room: int, assumed: bool, rows: _Rows
) -> None:
    """Add the entries of BT26, oldest first."""
    if assumed and plan.size:
        held = read.end - _HEADER
        room = held // plan.size if read.whole else max(ring.valid, ring.last + 1, -(-held // plan.size))
    if ring.valid > room or ring.last >= room:
        code, what = (
            ("registers.count", f"{ring.valid} valid entries")
            if ring.valid > room
            else ("registers.last_entry", f"entry {ring.last} as the newest")
        )
        reject(
            meter,
            read,
            code,
            f"the header says {what}, and there is room for {room}; read BT26 and BT21 again",
            item="header",
            offset=0,
            data=ring.data,
        )
        return
    absent = 0
    first = ""
    for age in range(ring.valid - 1, -1, -1):
        offset = _HEADER + (ring.last - ring.step * age) % room * plan.size
        sequence = (ring.sequence - age) & 0xFFFF
        name = f"self-read {sequence}"
        part = read.part(offset, plan.size)
        if part is None:
            first = first or name
            absent += 1
        elif len(part[1]) < plan.size:
            reject(
                meter,
                read,
                "registers.incomplete",
                f"{len(part[1])} of the entry's {plan.size} bytes are there; read BT26 again",
                item=name,
                offset=part[0],
                data=part[1],
                length=plan.size,
            )
        else:
            _entry(meter, read, plan, head, sequence, offset, part[1], rows)
    if absent and read.whole:
        reject(
            meter,
            read,
            "table.too_short",
            f"BT26 ends after {read.end} bytes, before {absent} of the {ring.valid} self-reads that its header counts; "
            "read BT26 again",
            item=first,
            offset=read.end,
            data=b"",
        )


def _entry(
    meter: Meter,
    read: Read,
    plan: _Plan,
    head: _Head,
    sequence: int,
    offset: int,
    data: bytes | memoryview,
    rows: _Rows,
) -> None:
    """Add the registers of one self-read."""
    name = f"self-read {sequence}"
    at = plan.time_at or 0
    stamp = data[at : plan.season_at + 1]
    head = replace(
        head,
        time=_time(meter, read, "registers.time", stamp[:5], name, offset + at, stamp, "the snapshot"),
        season=_season(data[plan.season_at]),
        demand_resets=None if plan.resets_at is None else data[plan.resets_at],
        sequence=sequence,
        bidn=None if plan.bidn_at is None else int.from_bytes(data[plan.bidn_at : plan.bidn_at + 2], "little"),
    )
    for item in plan.items:
        _item(meter, read, item, offset + item.at, data[item.at : item.at + item.size], head, f"{name}, ", rows)


# ---- the layout of a record, and what its registers are


def _plan(
    meter: Meter,
    view: View,
    read: Read,
    options: Options,
    variables: dict[str, int],
    plans: dict[Any, _Plan],
    assumed: bool,
) -> _Plan | None:
    """The record of the table of a read; None, and a reject, if it is too large to be one."""
    id = IDS[read.table]
    layout = view.layout(id, **variables)
    prefix = "entry." if id == "BT26" else ""
    size = layout.size
    if prefix:
        summation = layout.by_path["entry.summation.value"][0]
        size = summation.axes[0].stride
    tiers = variables["tiers"]
    if size > _MAX_RECORD or tiers > _MAX_TIERS:
        reject(
            meter,
            read,
            "registers.dimensions",
            f"by its dimensions a record of {id} takes {size} bytes for {tiers} tiers, and no meter has that; read BT21 again",
            item=id,
            offset=read.pieces[0][0] if read.pieces else 0,
            data=read.pieces[0][1] if read.pieces else b"",
        )
        return None
    sources = _Sources(view, read, variables, options)
    if assumed or sources.assumed:
        meter.assumed = True
    key = (id, tuple(sorted(variables.items())), sources.key())
    if key not in plans:
        plans[key] = _make_plan(layout, prefix, size, variables, sources)
    return plans[key]


class _Sources:
    """What the registers of a meter are, by BT22."""

    def __init__(self, view: View, read: Read, variables: Mapping[str, int], options: Options) -> None:
        names = ("summations", "demands", "coincidents")
        own = {name: variables[name] for name in names}
        captured = view.meter.newest("BT22", read) is not None
        default = summation_order() if options.assume_defaults and not captured else ()
        self.assumed = options.assume_defaults and not captured
        self.unit = energy_register_unit(view)
        firmware = view.find("BT01", "firmware")
        self.minutes = firmware is not None and firmware >> 5 == _MINUTES

        def listed(path: str, count: int) -> list[int | None]:
            return [view.find("BT22", path, i, **own) for i in range(count)] if captured else [None] * count

        summations = listed("summation.source", own["summations"])
        for i, id in enumerate(default[: own["summations"]]):
            summations[i] = id
        self.summations = [self._summation(i, id, own["summations"]) for i, id in enumerate(summations)]
        self.demands = [self._named(id) for id in listed("demand.source", own["demands"])]
        self.coincidents = [self._named(id) for id in listed("coincident.source", own["coincidents"])]
        self.of_demand = listed("coincident_demand.demand", own["coincidents"])
        self.min_max = self._maximum(view, own, captured)

    def _named(self, id: int | None) -> Source:
        found = source(id)
        return replace(found, unit="min") if id == _POWER_OFF and self.minutes else found

    def _summation(self, i: int, id: int | None, count: int) -> Source:
        for place, quantity, unit in unlisted_summations():
            if i == place and count >= _LISTED:
                return Source(None, quantity, unit)
        return self._named(id)

    @staticmethod
    def _maximum(view: View, own: dict[str, int], captured: bool) -> list[str | None]:
        leaf = view.layout("BT22", **own).find("maximum") if captured else None
        out: list[str | None] = []
        for i in range(own["demands"]):
            byte = None if leaf is None else view.table("BT22").get(leaf.offset + i // 8, 1)
            out.append(None if byte is None else "maximum" if byte[0] >> i % 8 & 1 else "minimum")
        return out

    def multiplier(self, of: Source) -> int | None:
        """What a count of a register of that source is worth."""
        return self.unit if of.energy else None

    def key(self) -> Any:
        """Equal for equal sources."""
        named = (tuple(self.summations), tuple(self.demands), tuple(self.coincidents))
        return named, tuple(self.of_demand), tuple(self.min_max), self.unit


def _make_plan(layout: Layout, prefix: str, size: int, variables: Mapping[str, int], sources: _Sources) -> _Plan:
    entry = (0,) if prefix else ()
    start = _HEADER if prefix else 0

    def place(path: str) -> int | None:
        leaf = layout.find(f"{prefix}{path}")
        return None if leaf is None else leaf.at(*entry) - start

    items: list[_Item] = []
    for tier in (None, *range(variables["tiers"])):
        inside = prefix if tier is None else f"{prefix}tier."
        index = entry if tier is None else (*entry, tier)
        items += _block(layout, inside, index, start, tier, variables["occurrences"], sources)
    return _Plan(size, place("bidn"), place("time"), place("season") or 0, place("demand_resets"), items)


def _block(
    layout: Layout, prefix: str, index: tuple[int, ...], start: int, tier: int | None, occurrences: int, names: _Sources
) -> Iterator[_Item]:
    """The items of a total or tier block, in the order of their bytes."""
    where = "total" if tier is None else f"tier {tier}"

    def leaf(path: str) -> Leaf:
        return layout.by_path[f"{prefix}{path}"][0]

    def at(path: str, *more: int) -> int | None:
        found = layout.find(f"{prefix}{path}")
        return None if found is None else found.at(*index, *more) - start

    value = leaf("summation.value")
    for i, s in enumerate(names.summations):
        offset = value.at(*index, i) - start
        register = _Register(tier, "summation", i, offset, s, names.multiplier(s))
        yield _Item(f"{where}, summation {i}", offset, value.size, (register,))
    value = leaf("demand.measurement.value")
    for i, s in enumerate(names.demands):
        parts = (at("demand.event_time.time", i, 0), at("demand.cumulative", i), at("demand.continuous_cumulative", i))
        offset = min(p for p in (*parts, value.at(*index, i, 0) - start) if p is not None)
        registers = [
            _Register(
                tier,
                "demand",
                i,
                value.at(*index, i, o) - start,
                s,
                names.multiplier(s),
                occurrence=o,
                time_at=at("demand.event_time.time", i, o),
                cumulative_at=parts[1],
                continuous_at=parts[2],
                min_max=names.min_max[i],
            )
            for o in range(occurrences)
        ]
        if registers:
            yield _Item(f"{where}, demand {i}", offset, value.axes[len(index)].stride, registers)
    value = leaf("coincident.measurement.value")
    for i, s in enumerate(names.coincidents):
        registers = [
            _Register(
                tier,
                "coincident",
                i,
                value.at(*index, i, o) - start,
                s,
                names.multiplier(s),
                occurrence=o,
                of_demand=names.of_demand[i],
            )
            for o in range(occurrences)
        ]
        if registers:
            yield _Item(f"{where}, coincident {i}", registers[0].at, value.axes[len(index)].stride, registers)
