"""What is known of one meter while its records are decoded: its reads, and the dimensions that they give each other."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from .. import codec, layout
from .._numbers import integer_at
from ..catalog import TABLES, _expr, extended_sources, sources
from ..image import Read, TableImage, join
from ..layout import Layout, MissingDimension
from ..reject import Reject

#: The catalogue ID of every table number that has an entry.
IDS: Final = {t.number: t.id for t in TABLES.values()}
_FIRMWARE_4: Final = 4 << 12


@dataclass(frozen=True, slots=True)
class Options:
    """What decides about the rows: the shape of the load profile, ``delta``, and the guides' defaults for missing tables."""

    shape: str = "long"
    delta: bool = False
    assume_defaults: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A source ID with its names: ``unit`` is that of the integer in the meter."""

    id: int | None
    quantity: str | None = None
    unit: str | None = None
    obis: str | None = None
    energy: bool = False
    cumulative: bool = False


_CUMULATIVE: Final = frozenset({"energy", "counter", "tier energy", "tier counter"})
_SOURCES: Final[dict[int, Source]] = {}


def source(id: int | None) -> Source:
    """The names of a source ID: of the extended ones type 0 is the 8-bit ID itself, type 4 an M-Bus or MEP value."""
    if not _SOURCES:
        for row in sources():
            _SOURCES[row["id"]] = Source(
                row["id"],
                row["quantity"],
                row["raw_unit"],
                row["obis"],
                row["energy_register_unit"],
                row["kind"] in _CUMULATIVE,
            )
        _SOURCES.update((id, Source(id, quantity)) for id, quantity in extended_sources())
    if id is None:
        return Source(None)
    return _SOURCES.get(id) or Source(id)


class Meter:
    """The reads of one meter, by table, and values out of them."""

    def __init__(self, label: str, images: Sequence[TableImage], needed: Collection[str]) -> None:
        self.label = label
        self.rejects: list[Reject] = []
        #: Whether rows were made with the guides' defaults, since dimensions or sources were not captured.
        self.assumed = False
        self._orders: dict[str, _Order] = {}
        self.tables = sorted({i.table for i in images})
        by_table: dict[int, list[tuple[int, TableImage]]] = {}
        for order, image in enumerate(images):
            if IDS.get(image.table) in needed:
                by_table.setdefault(image.table, []).append((order, image))
        # In order of the tables, so that rejects come in the same order from both implementations.
        self.reads = {IDS[t]: join(label, _in_time(by_table[t]), self.rejects) for t in sorted(by_table)}

    def newest(self, table: str, data: Read | None = None) -> Read | None:
        """The newest read of a table that is not later than ``data``; else, of the later ones, the first.

        Times decide where both reads have one, else the session and the order of appearance; a read of the same session
        goes before one of another session.
        """
        reads = self.reads.get(table)
        if not reads:
            return None
        if data is None:
            return reads[-1]
        if len(reads) == 1:
            return reads[0]

        order = self._order(table, reads)
        if order.sessions and (order.times if data.read_at is not None else order.places):
            return _newest_in_order(reads, data)

        def rank(item: tuple[int, Read]) -> tuple[int, int]:
            i, r = item
            same = r.session == data.session
            later = _later(r, data) if same else r.session > data.session
            place = (0 if same else 2) + (1 if later else 0)
            return place, i if later else -i

        return min(enumerate(reads), key=rank)[1]

    def _order(self, table: str, reads: Sequence[Read]) -> _Order:
        if table not in self._orders:
            times = [r.read_at for r in reads]
            none = all(t is None for t in times)
            places = all(a.order < b.order for a, b in pairwise(reads))
            self._orders[table] = _Order(
                sessions=all(a.session <= b.session for a, b in pairwise(reads)),
                places=places,
                # Reads that all have a time stand in its order; where none has one, their places decide.
                times=places if none else None not in times,
            )
        return self._orders[table]

    def view(self, read: Read) -> View:
        """The dimensions of this meter as they were when ``read`` was made."""
        return View(self, read)

    def view_latest(self) -> View:
        """The newest of everything."""
        return View(self, None)


@dataclass(frozen=True, slots=True)
class _Order:
    """Whether the reads of a table stand in the order of their sessions, of their appearance, and of their times."""

    sessions: bool
    places: bool
    times: bool


def _later(read: Read, data: Read) -> bool:
    """Whether a read of the same session is later than the data."""
    if read.read_at is None or data.read_at is None:
        return read.order > data.order
    return read.read_at > data.read_at


def _newest_in_order(reads: Sequence[Read], data: Read) -> Read:
    """`Meter.newest` among reads that stand in order, so that none but the ones around it need be looked at."""
    first = bisect_left(reads, data.session, key=lambda r: r.session)
    end = bisect_right(reads, data.session, lo=first, key=lambda r: r.session)
    if first == end:
        return reads[max(0, first - 1)]
    later = bisect_left(reads, True, lo=first, hi=end, key=lambda r: _later(r, data))
    return reads[max(first, later - 1)]


def _in_time(images: list[tuple[int, TableImage]]) -> list[tuple[int, TableImage]]:
    """Images of one table by time where all have one (rows of a file may stand in any order), else as they come."""
    if all(i.read_at is not None for _, i in images):
        return sorted(images, key=lambda item: item[1].read_at or 0)
    return images


class View:
    """A meter's dimensions as seen from one read: what `layout.resolve` asks."""

    def __init__(self, meter: Meter, read: Read | None) -> None:
        self.meter, self.read = meter, read
        self.layouts: dict[str, Layout] = {}

    def table(self, id: str) -> Read:
        """The read of a table that belongs to this one. Raises: MissingDimension."""
        found = self.meter.newest(id, self.read)
        if found is None:
            raise MissingDimension(id)
        return found

    def layout(self, id: str, **variables: int) -> Layout:
        """The layout of a table of this meter. Raises: MissingDimension."""
        key = id if not variables else f"{id}{sorted(variables.items())}"
        if key not in self.layouts:
            read = self.read if self.read is not None and IDS.get(self.read.table) == id else self.table(id)
            self.layouts[key] = layout.resolve(TABLES[id], read.end, self, data=read.get, variables=variables)
        return self.layouts[key]

    def value(self, ref: _expr.Ref, index: tuple[int, ...]) -> int:
        """See `layout.Dimensions`."""
        found = self.layout(ref.table)
        leaf = layout.find_ref(found.by_path, layout.keys(TABLES[ref.table]), ref.key, index)
        value = None if leaf is None else layout.integer(leaf, index[len(leaf.packed) :], self.table(ref.table).get)
        if value is None:
            raise MissingDimension(ref.table)
        return value

    def length(self, table: str) -> int:
        """See `layout.Dimensions`."""
        return self.table(table).end

    def gen4(self) -> int:
        """See `layout.Dimensions`."""
        return int(self.get("BT01", "firmware") >= _FIRMWARE_4)

    def get(self, table: str, path: str, *index: int, **variables: int) -> int:
        """An integer of a table; ``index`` are the elements of packed arrays and then of axes. Raises: MissingDimension."""
        found = self.layout(table, **variables)
        for leaf in found.by_path.get(path, ()):
            n = len(leaf.packed)
            if leaf.packed == index[:n] and len(index) == n + len(leaf.axes):
                if all(i < axis.count for i, axis in zip(index[n:], leaf.axes, strict=True)):
                    raw = self.table(table).get(leaf.at(*index[n:]), leaf.size)
                    value = None if raw is None else integer_at(leaf.type, raw, leaf.bits)
                    if value is not None:
                        return value
        raise MissingDimension(table)

    def find(self, table: str, path: str, *index: int, **variables: int) -> int | None:
        """`get`, or None where that is not there."""
        try:
            return self.get(table, path, *index, **variables)
        except MissingDimension:
            return None

    def octets(self, table: str, path: str) -> bytes | None:
        """The bytes of a leaf outside arrays, or None."""
        try:
            leaf = self.layout(table).find(path)
            raw = None if leaf is None else self.table(table).get(leaf.offset, leaf.size)
        except MissingDimension:
            return None
        return None if raw is None else bytes(raw)

    def text(self, table: str, path: str) -> str | None:
        """A CHAR field, or None."""
        raw = self.octets(table, path)
        return None if raw is None else codec.text(raw)


def reject(meter: Meter, read: Read, code: str, reason: str, *, item: str, offset: int, data: Any, **more: Any) -> None:
    """Note that an item of a read could not be decoded."""
    meter.rejects.append(
        Reject(
            meter=meter.label,
            table=read.table,
            item=item,
            code=code,
            reason=reason,
            input=read.input,
            offset=offset,
            data=bytes(data[: 64 * 1024]),
            read_at=read.read_at,
            **{"length": len(data), **more},
        )
    )


def missing(meter: Meter, read: Read, table: str) -> None:
    """Note that a read cannot be decoded because a dimension table was not captured."""
    data = read.pieces[0][1] if read.pieces else b""
    reject(
        meter,
        read,
        "dimension.missing",
        f"{table} was not captured, or not far enough, and without it {IDS[read.table]} cannot be laid out; read {table} "
        "together with it",
        item=IDS[read.table],
        offset=read.pieces[0][0] if read.pieces else 0,
        data=data,
    )
