"""The load profile: only the blocks that can hold newer intervals, and none that the meter wrote while it was read.

The ring of BT64 to BT67 goes on while it is read. BT63 (which block is the newest, its number, its intervals) and, where
there is one, ET21 (its newest interval) are read before and after: if they are the same, nothing was written. If not, the
blocks from the newest one then to the newest one now are read again. A block is known by its sequence number, so a place
of the ring that was taken by a new block is not mistaken for the old one. Source: MEP guide p. 31, steps 3 to 6.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ..errors import RemoteProtocolError
from ..image import TableImage
from ..records.load_profile import TABLES as DATA_TABLES
from ..records.profile_ring import Header, ProfileRing, profile_ring, profile_sets
from .store import Store
from .talk import Talk

BT63: Final = 63
ET21: Final = 2048 + 21
#: An element of BT63 (MEP guide p. 236), and what of ET21's changes with every interval: valid blocks and intervals, last
#: block and interval (p. 96).
STATUS: Final = 13
ET21_AT: Final = 14
ET21_SIZE: Final = 8
#: The first bytes of a block: its end time.
END_TIME: Final = 5
#: How often what was written meanwhile is read again. An interval takes a minute or more, a block some seconds.
ROUNDS: Final = 5
_SEQUENCES: Final = 1 << 32
#: The dimensions and sources, beside ET42 and what belongs to it.
DIMENSIONS: Final = ("BT00", "BT01", "BT61", "BT62", "ET21", "ET42")
#: Source IDs of BT62 that stand for an entry of ET66 (MEP guide p. 205).
_MAPPED: Final = range(112, 164)
#: The first firmware that has an energy register unit in ET55; Control Point modules have major version 1.
_UNIT_SINCE: Final = (3 << 12 | 70 << 5, 1 << 12 | 20 << 5)


@dataclass(frozen=True, slots=True)
class _Moment:
    """What the meter says of a data set at a moment."""

    status: bytes
    internal: bytes


def dimensions(store: Store) -> Talk[None]:
    """Have what the rows of a load profile are made with."""
    yield from store.need(DIMENSIONS)
    if "ET42" in store.held:
        yield from store.dimension("ET54")
    sets = store.value("BT62", "set", [])
    sources = [
        channel.get("source") if isinstance(channel, dict) else channel
        for s in sets
        for channel in s.get("channel", [])
    ]
    if any(isinstance(source, int) and source in _MAPPED for source in sources):
        yield from store.dimension("ET66")
    yield from energy_unit(store)


def energy_unit(store: Store) -> Talk[None]:
    """Have ET55's energy register unit, one byte of a long table, where the firmware has it (MEP guide p. 159)."""
    firmware = store.value("BT01", "firmware")
    if firmware is None or firmware < _UNIT_SINCE[firmware < 2 << 12] or "ET55" in store.held:
        return
    layout = yield from store.layout("ET55")
    leaf = layout.find("energy_register_unit")
    if leaf is not None:
        yield from store.hold_part("ET55", leaf.offset, leaf.size)


def load_profile(store: Store, since: datetime | None, data_set: int | None, delta: bool) -> Talk[list[TableImage]]:
    """The images that give the rows of one data set, or of all."""
    yield from dimensions(store)
    status = yield from store.whole(BT63)
    sets = profile_sets(store.label, store.compose([status]))
    if data_set is not None:
        sets = [n for n in sets if n == data_set - 1]
    out: list[TableImage] = []
    whole = bytearray(status.data)
    for i, n in enumerate(sets):
        # The first read of another set may be minutes old.
        place = slice(n * STATUS, (n + 1) * STATUS)
        state = (yield from store.part(BT63, n * STATUS, STATUS)) if i else bytes(whole[place])
        state, images = yield from _Reader(store, n, since, delta).read(state, status)
        whole[place] = state
        out += images
    # One BT63 for all: of every set the state that its blocks were read in.
    return store.compose([replace(status, data=bytes(whole)), *out])


class _Reader:
    """One data set."""

    def __init__(self, store: Store, n: int, since: datetime | None, delta: bool) -> None:
        self.store, self.n, self.delta = store, n, delta
        self.since_s = None if since is None else since.timestamp()
        self.count = 0
        self.blocks: dict[int, bytes] = {}
        self.heads: dict[int, bytes] = {}
        """The first bytes of blocks that are not there, at least the end time."""
        self.read_at: int | None = None

    def read(self, status: bytes, image: TableImage) -> Talk[tuple[bytes, list[TableImage]]]:
        """The state of the set, and images of its blocks that belong to it."""
        before = _Moment(status, (yield from self._internal()))
        for _ in range(ROUNDS):
            ring = self._ring(before.status, image)
            if ring is None:
                # Its numbers contradict each other: the decoder says how.
                empty = replace(image, table=64 + self.n, offset=0, data=b"", whole=False)
                return before.status, [empty]
            yield from self._blocks(ring)
            data = yield from self.store.part(BT63, self.n * STATUS, STATUS)
            after = _Moment(data, (yield from self._internal()))
            if after == before:
                return before.status, list(self._images(ring, image))
            self._forget(ring, self._ring(after.status, image))
            before = after
        raise RemoteProtocolError(
            "meter.restless",
            f"{DATA_TABLES[self.n]} changed during each of {ROUNDS} reads",
            "the meter records faster than the line can be read; take a faster line, or a later time in since",
            data_set=self.n + 1,
        )

    def _internal(self) -> Talk[bytes]:
        """What ET21 says of the newest interval, where there is an ET21."""
        held = self.store.held.get("ET21")
        if held is None:
            return b""
        stride = 130 if len(held.data) % 131 and len(held.data) % 130 == 0 else 131
        return (yield from self.store.part(ET21, self.n * stride + ET21_AT, ET21_SIZE))

    def _ring(self, status: bytes, image: TableImage) -> ProfileRing | None:
        data = bytearray(image.data)
        data[self.n * STATUS : (self.n + 1) * STATUS] = status
        return profile_ring(self.store.label, self.store.compose([replace(image, data=bytes(data))]), self.n)

    def _forget(self, old: ProfileRing, new: ProfileRing | None) -> None:
        """What may have been written between two moments: the newest block then, and all that came after it."""
        gone = (new.sequence - old.sequence) % _SEQUENCES if new is not None else _SEQUENCES
        if gone >= old.blocks or new is None or new.blocks != old.blocks:
            self.blocks.clear()
            self.heads.clear()
            return
        # An older block's place may be a new block's now; then its number is not among the valid ones any more.
        kept = {s for s in (*self.blocks, *self.heads) if gone < (new.sequence - s) % _SEQUENCES < new.valid}
        self.blocks = {s: data for s, data in self.blocks.items() if s in kept}
        self.heads = {s: head for s, head in self.heads.items() if s in kept}

    # ---- which blocks

    def _blocks(self, ring: ProfileRing) -> Talk[None]:
        """Have all blocks that are wanted: the newest ``count``."""
        count = ring.valid
        if self.since_s is not None:
            count = yield from self._count(ring, self.since_s)
        yield from self._fetch(ring, count)
        while 0 < count < ring.valid and (yield from self._one_more(ring, count)):
            count += 1
            yield from self._fetch(ring, count)
        self.count = count

    def _count(self, ring: ProfileRing, since_s: float) -> Talk[int]:
        """How many of the newest blocks can hold an interval that ends after ``since``.

        End times are in order, so that a few of them, five bytes each, tell; where the clock was set back by more than a
        block, older blocks that end later stay unseen.
        """
        newest = yield from self._end(ring, 0)
        if newest is not None and newest <= since_s:
            return 0
        low, high = 1, ring.valid
        guess = low
        if newest is not None:
            started = newest - (ring.valid_intervals or ring.config.intervals) * ring.config.interval_s
            guess += max(0, math.ceil((started - since_s) / ring.config.block_s))
        hints = [guess + 1, guess - 1, guess]
        while low < high:
            age = hints.pop() if hints else (low + high) // 2
            if not low <= age < high:
                continue
            end = yield from self._end(ring, age)
            if end is not None and end <= since_s:
                high = age
            else:
                low = age + 1
        return low

    def _end(self, ring: ProfileRing, age: int) -> Talk[int | None]:
        """When the block of an age ends."""
        # Where its neighbours matter, what else of its header does will be asked for as well.
        data = yield from self._head(ring, age, ring.header_size if ring.neighbours_matter else END_TIME)
        return ring.header(data).end_s

    def _head(self, ring: ProfileRing, age: int, size: int) -> Talk[bytes]:
        """The first bytes of the block of an age."""
        sequence = (ring.sequence - age) % _SEQUENCES
        if sequence in self.blocks:
            return self.blocks[sequence]
        if len(self.heads.get(sequence, b"")) < size:
            self.heads[sequence] = yield from self.store.part(ring.table, ring.element(sequence) * ring.stride, size)
        return self.heads[sequence]

    def _one_more(self, ring: ProfileRing, count: int) -> Talk[bool]:
        """Whether the block before the oldest one is needed to understand the others."""
        if self.since_s is None:
            return False
        headers = [ring.header(self.blocks[(ring.sequence - age) % _SEQUENCES]) for age in range(count - 1, -1, -1)]
        if ring.neighbours_matter and (yield from self._placed_otherwise(ring, headers)):
            return True
        # The growth in the first interval is that since the one before it, which has to be there.
        return self.delta and self._begins_after(ring, headers[0], self.since_s)

    def _placed_otherwise(self, ring: ProfileRing, headers: list[Header]) -> Talk[bool]:
        """Whether a block that was cut short would be placed elsewhere with the nearest complete one before it known."""
        last = 1 << (ring.config.intervals - 1)
        if headers[0].recorded & last or all(header.recorded & last or not header.recorded for header in headers):
            return False
        older: list[Header] = []
        for age in range(len(headers), ring.valid):
            data = yield from self._head(ring, age, ring.header_size)
            older.insert(0, ring.header(data))
            if older[0].end_s is not None and older[0].recorded & last:
                break
        return ring.starts([*older, *headers])[len(older) :] != ring.starts(headers)

    @staticmethod
    def _begins_after(ring: ProfileRing, header: Header, since_s: float) -> bool:
        """Whether all intervals of a block may end after ``since``."""
        if header.end_s is None or not header.recorded:
            return True
        first = (header.recorded & -header.recorded).bit_length()
        # Its end time is that of the whole block or that of its last interval.
        earliest = (
            header.end_s - (n - first) * ring.config.interval_s
            for n in (ring.config.intervals, header.recorded.bit_length())
        )
        return any(end > since_s for end in earliest)

    # ---- reading them

    def _fetch(self, ring: ProfileRing, count: int) -> Talk[None]:
        """Have the newest ``count`` blocks: neighbours in the ring are read together."""
        wanted = [(ring.sequence - age) % _SEQUENCES for age in range(count)]
        missing = {ring.element(sequence): sequence for sequence in wanted if sequence not in self.blocks}
        ranges = list(runs(sorted(missing)))
        self.store.expected = self.store.done + sum((last - first) * ring.stride + ring.used for first, last in ranges)
        for first, last in ranges:
            size = (last - first) * ring.stride + ring.used
            image = yield from self.store.part_image(ring.table, first * ring.stride, size)
            self.read_at = image.read_at
            for element in range(first, last + 1):
                at = (element - first) * ring.stride
                self.blocks[missing[element]] = bytes(image.data[at : at + ring.stride])

    def _images(self, ring: ProfileRing, status: TableImage) -> Iterator[TableImage]:
        """The blocks as images, those that stand together in one."""
        places = {ring.element((ring.sequence - age) % _SEQUENCES): age for age in range(self.count)}
        for first, last in runs(sorted(places)):
            data = b"".join(
                self.blocks[(ring.sequence - places[element]) % _SEQUENCES].ljust(ring.stride, b"\0")
                for element in range(first, last + 1)
            )[: (last - first) * ring.stride + ring.used]
            yield replace(
                status,
                table=ring.table,
                offset=first * ring.stride,
                data=data,
                whole=False,
                read_at=self.read_at or status.read_at,
            )


def runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """First and last of every run of consecutive numbers."""
    start = 0
    for i in range(1, len(numbers) + 1):
        if i == len(numbers) or numbers[i] != numbers[i - 1] + 1:
            yield numbers[start], numbers[i - 1]
            start = i
