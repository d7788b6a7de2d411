"""Logs that are rings of entries, with a header that says which one is the newest: BT26, BT74 and ET79.

The header is read before and after; entries that were written meanwhile are read again, those whose place was taken are
forgotten. With ``since``, entries are read backwards until one is not later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from .. import codec
from ..errors import RemoteProtocolError
from ..image import TableImage, table_name
from ..layout import MissingDimension
from ..records import NEEDS, events
from ..records._meter import Meter
from ..session.refusals import InappropriateActionRequested
from .profile import ROUNDS, energy_unit, runs
from .store import Store
from .talk import Talk

#: Entries that are read at once at first, going backwards; each further step takes twice as many.
FIRST_STEP: Final = 8
LOGS: Final = {"primary": "BT74", "alternate": "ET79"}
_EVENT_HEADER: Final = 11
_SELF_READ_HEADER: Final = 6


@dataclass(frozen=True, slots=True)
class _Head:
    """A header: which entries are valid, and the bytes it came as."""

    data: bytes
    valid: int
    last: int
    sequence: int

    @property
    def step(self) -> int:
        """1: entry n is older than n + 1."""
        return -1 if self.data[0] & 1 else 1


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where the entries of a log stand."""

    table: int
    header: int
    stride: int
    entries: int
    time_at: int | None
    """Where an entry has its time."""


def _event_head(data: bytes) -> _Head:
    valid, last, sequence = (int.from_bytes(data[a:b], "little") for a, b in ((1, 3), (3, 5), (5, 9)))
    return _Head(data, valid, last, sequence)


def _self_read_head(data: bytes) -> _Head:
    return _Head(data, data[1], data[2], int.from_bytes(data[3:5], "little"))


def _mbus_head(width: int) -> Callable[[bytes], _Head]:
    """ET45 counts in bytes, ET74 in words; the sequence number has two bytes in both (MEP guide pp. 119, 176)."""

    def parse(data: bytes) -> _Head:
        valid, last = (int.from_bytes(data[1 + i * width : 1 + (i + 1) * width], "little") for i in (0, 1))
        at = 1 + 2 * width
        return _Head(data, valid, last, int.from_bytes(data[at : at + 2], "little"))

    return parse


#: ET45 and ET74: number, bytes of the header, width of its counts.
MBUS_LOGS: Final = {"ET45": (2048 + 45, 6, 1), "ET74": (2048 + 74, 9, 2)}


def mbus_log_images(store: Store, id: str) -> Talk[list[TableImage]]:
    """The header of ET45 or ET74 and the entries that hold something; the whole table where its entries' places are unclear."""
    number, size, width = MBUS_LOGS[id]
    header = yield from store.part_image(number, 0, size)
    layout = yield from store.layout(id)
    places = [
        leaf for path, leaves in layout.by_path.items() if path.startswith("entry.") for leaf in leaves if leaf.axes
    ]
    if "ET36" not in store.held or layout.missing is not None or not places or not places[0].axes[0].count:
        return [(yield from store.whole(number))]
    axis = places[0].axes[0]
    return (
        yield from _Log(store, _Shape(number, size, axis.stride, axis.count, None), _mbus_head(width), None).read(
            header
        )
    )


def events_images(store: Store, since: datetime | None, logs: Sequence[str]) -> Talk[list[TableImage]]:
    """The images that give the entries of the logs, later ones than ``since`` only."""
    yield from store.need(("BT00", "BT01", "BT71"))
    if "alternate" in logs:
        yield from store.need(("ET54", "ET42"))
    out: list[TableImage] = []
    for log in logs:
        id = LOGS[log]
        if id in store.refused and store.refused[id].code == "refused.iar":
            continue
        number = 74 if id == "BT74" else 2048 + 79
        try:
            header = yield from store.part_image(number, 0, _EVENT_HEADER)
        except InappropriateActionRequested as error:
            # Old firmware has no second log.
            store.note(number, error)
            if id == "ET79":
                continue
            raise
        try:
            shape = _event_shape(store, id, header)
        except MissingDimension:
            if id == "ET79" and _event_head(bytes(header.data)).valid == 0:
                continue
            out.append(header)  # the decoder says which table is missing
            continue
        out += yield from _Log(store, shape, _event_head, since).read(header)
    return store.compose(out)


def _event_shape(store: Store, id: str, header: TableImage) -> _Shape:
    meter = Meter(store.label, store.compose([header]), NEEDS["events"])
    view = meter.view(meter.reads[id][0])
    variables = events.dimensions(view, id)
    layout = view.layout(id, **variables)
    users = layout.by_path.get("entry.user_id", ())
    if not users:
        return _Shape(header.table, _EVENT_HEADER, 0, 0, None)
    time = layout.find("entry.time")
    return _Shape(
        header.table,
        _EVENT_HEADER,
        users[0].axes[0].stride,
        variables["log_entries"],
        None if time is None else time.offset - _EVENT_HEADER,
    )


def self_read_images(store: Store) -> Talk[list[TableImage]]:
    """The header of BT26 and the entries that hold something."""
    yield from register_dimensions(store)
    header = yield from store.part_image(26, 0, _SELF_READ_HEADER)
    layout = yield from store.layout("BT26")
    seasons = layout.by_path.get("entry.season", ())
    if not seasons or layout.missing is not None:
        return store.compose([header])
    axis = seasons[0].axes[0]
    shape = _Shape(26, _SELF_READ_HEADER, axis.stride, axis.count, None)
    return store.compose((yield from _Log(store, shape, _self_read_head, None).read(header)))


def register_dimensions(store: Store) -> Talk[None]:
    """Have what the rows of the registers are made with."""
    yield from store.need(("BT00", "BT01", "BT21", "BT22", "ET42"))
    if "ET42" in store.held:
        yield from store.dimension("ET54")
    yield from energy_unit(store)


class _Log:
    """One log."""

    def __init__(self, store: Store, shape: _Shape, parse: Callable[[bytes], _Head], since: datetime | None) -> None:
        self.store, self.shape = store, shape
        self.parse = parse
        self.since_s = None if since is None else since.timestamp()
        self.entries: dict[int, bytes] = {}
        self.read_at: int | None = None

    def read(self, header: TableImage) -> Talk[list[TableImage]]:
        """The header and the entries that belong to it, as images."""
        shape, store = self.shape, self.store
        head = self.parse(bytes(header.data))
        for _ in range(ROUNDS):
            if not 0 < head.valid <= shape.entries or head.last >= shape.entries or not shape.stride:
                return [replace(header, data=head.data)]  # nothing, or numbers of which the decoder says what is wrong
            count = yield from self._newest(head)
            after = self.parse((yield from store.part(shape.table, 0, shape.header)))
            # What the head-end has read (the last two bytes) and the flags change nothing.
            if (after.valid, after.last, after.sequence) == (head.valid, head.last, head.sequence):
                return list(self._images(header, after, count))
            self._forget(head, after)
            head = after
        raise RemoteProtocolError(
            "meter.restless",
            f"{table_name(shape.table)} changed during each of {ROUNDS} reads",
            "the meter logs faster than the line can be read; try again, or with a later time in since",
            table=shape.table,
        )

    def _element(self, head: _Head, age: int) -> int:
        return (head.last - head.step * age) % self.shape.entries

    def _newest(self, head: _Head) -> Talk[int]:
        """Have the newest entries up to the first that is not later; how many they are."""
        if self.since_s is None:
            yield from self._fetch([self._element(head, age) for age in range(head.valid)])
            return head.valid
        age, step = 0, FIRST_STEP
        while age < head.valid:
            if self._element(head, age) not in self.entries:
                until = min(age + step, head.valid)
                yield from self._fetch([self._element(head, a) for a in range(age, until)])
                step *= 2
            end = self._time(self.entries[self._element(head, age)])
            if end is not None and end <= self.since_s:
                return age
            age += 1
        return head.valid

    def _time(self, entry: bytes) -> int | None:
        if self.shape.time_at is None:
            return None
        try:
            return codec.seconds(entry[self.shape.time_at : self.shape.time_at + 6])
        except codec.ImpossibleDate:
            return None

    def _fetch(self, elements: list[int]) -> Talk[None]:
        shape = self.shape
        ranges = list(runs(sorted(e for e in elements if e not in self.entries)))
        self.store.expected = self.store.done + sum((last - first + 1) * shape.stride for first, last in ranges)
        for first, last in ranges:
            at = shape.header + first * shape.stride
            image = yield from self.store.part_image(shape.table, at, (last - first + 1) * shape.stride)
            self.read_at = image.read_at
            for element in range(first, last + 1):
                start = (element - first) * shape.stride
                self.entries[element] = bytes(image.data[start : start + shape.stride])

    def _forget(self, old: _Head, new: _Head) -> None:
        """What was written between two headers: from the one behind the newest then to the newest now."""
        if not 0 < new.valid <= self.shape.entries or new.last >= self.shape.entries or old.step != new.step:
            self.entries.clear()
            return
        written = (new.step * (new.last - old.last)) % self.shape.entries
        # Numbers may have gaps, so they tell at most how many entries came: more than the log holds, perhaps.
        numbers = new.sequence - old.sequence
        if not written or new.valid < old.valid or not 0 <= numbers < self.shape.entries:
            self.entries.clear()
            return
        for age in range(written + 1):
            self.entries.pop(self._element(new, age), None)

    def _images(self, header: TableImage, head: _Head, count: int) -> Sequence[TableImage]:
        at, size = self.shape.header, self.shape.stride
        out = [replace(header, data=head.data, whole=False)]
        for first, last in runs(sorted(self._element(head, age) for age in range(count))):
            data = b"".join(self.entries[element] for element in range(first, last + 1))
            out.append(
                replace(
                    header, offset=at + first * size, data=data, whole=False, read_at=self.read_at or header.read_at
                )
            )
        return out
