"""The load profile of the virtual meter: rings of blocks, each described by numbers, then encoded.

An interval is recorded when the meter has power at its end, and holds the registers of that moment. A block exists once it
has an interval, and the next one has the next sequence number. An outage leaves a hole; one that lasts beyond the end of
a block cuts it short: its end time is then that of the last interval. Source: MEP guide pp. 29-31, 237-241.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct
from typing import Final

from .config import DataSet
from .readings import Readings, energies
from .world import DAY_S, ENERGIES

#: Common flags of an interval (MEP guide p. 240).
SUMMER: Final = 1
POWER_FAILURE: Final = 2
CLOCK_FORWARD: Final = 4
CLOCK_BACKWARD: Final = 8
#: Values of a channel's nibble.
PARTIAL: Final = 2
LONG: Final = 3
#: Complete blocks whose bytes are kept.
_KEPT: Final = 4096


@dataclass(frozen=True, slots=True)
class ProfileBlock:
    """A block as it is at some time. ``number`` counts the places of the grid, ``sequence`` the blocks."""

    number: int
    sequence: int
    start: int
    end_time: int
    recorded: tuple[int, ...] | range
    """The intervals that were recorded."""
    flags: dict[int, int]
    """Common flags of the intervals where they are not ``usual``."""
    status: dict[int, int]
    """Status of all channels of the intervals where it is not 0."""
    usual: int
    complete: bool
    """Nothing will change in it."""

    def flags_of(self, interval: int) -> int:
        """The common flags of an interval."""
        return self.flags.get(interval, self.usual)


class Ring:
    """One data set: BT61's element and the blocks of BT64 to BT67."""

    def __init__(self, readings: Readings, config: DataSet, number: int) -> None:
        self.readings = readings
        self.world = readings.world
        self.config = config
        self.number = number
        """1 to 4."""
        self._origin = self.world.installed // DAY_S * DAY_S + config.start * 60 - (DAY_S if config.start else 0)
        #: Of the first block: any number will do, and real meters' are not 0.
        self._first = 1 + (readings.config.seed * 37 + number * 101) % 5000
        channels = len(config.sources)
        self._status_bytes = channels // 2 + 1
        self._interval = f"{self._status_bytes}s{channels}i"
        self._intervals = Struct("<" + self._interval * config.intervals)
        self._encoded: dict[int, bytes] = {}
        self._places: tuple[int, list[int]] | None = None
        # Energies count units, and a reader multiplies them again.
        self._units = [readings.config.energy_register_unit if self._is_energy(c) else 1 for c in range(channels)]

    def _is_energy(self, channel: int) -> bool:
        return self.config.sources[channel].source in energies()

    # ---- where blocks are

    def _place(self, t: int) -> int:
        """The place on the grid of the interval that ended at or before ``t``."""
        last_end = self._origin + (t - self._origin) // self.config.interval_s * self.config.interval_s
        return (last_end - 1 - self._origin) // self.config.block_s

    def _skipped(self, place: int) -> int:
        """How many places before this one have no block, because the power was out all the time."""
        first = self._first_place()
        skipped = 0
        for start, end in self.world.outages_before(self._origin + place * self.config.block_s):
            # All interval ends of a place in start .. end - 1.
            least = -(-(start - self.config.interval_s - self._origin) // self.config.block_s)
            most = (end - 1 - self.config.block_s - self._origin) // self.config.block_s
            skipped += max(0, min(most, place - 1) - max(least, first) + 1)
        return skipped

    def _first_place(self) -> int:
        """The place of the first interval that begins after the installation and is recorded at all."""
        first_end = -(-(self.world.installed - self._origin) // self.config.interval_s) * self.config.interval_s
        return first_end // self.config.block_s

    def _sequence(self, place: int) -> int:
        return self._first + place - self._first_place() - self._skipped(place)

    def _recorded(self, place: int, t: int) -> list[int] | range:
        """The intervals of a place that were recorded up to ``t``."""
        c = self.config
        start = self._origin + place * c.block_s
        first = max(0, -(-(self.world.installed - start) // c.interval_s))
        known = min(c.intervals, (t - start) // c.interval_s)
        outages = [o for o in self.world.outages_before(start + c.block_s + 1) if o[1] > start]
        if not outages:
            return range(first, max(known, first))
        return [i for i in range(first, known) if not any(a <= start + (i + 1) * c.interval_s < b for a, b in outages)]

    def newest(self, t: int) -> int | None:
        """The place of the newest block; None: nothing was recorded yet."""
        place = self._place(t)
        while place >= self._first_place():
            if len(self._recorded(place, t)):
                return place
            place -= 1
        return None

    def places(self, t: int) -> list[int]:
        """The places of the blocks in the ring, oldest first."""
        out: list[int] = []
        place = newest = self.newest(t)
        if newest is not None and self._places is not None and self._places[0] == newest:
            return self._places[1]
        while place is not None and place >= self._first_place() and len(out) < self.config.blocks:
            if len(self._recorded(place, t)):
                out.append(place)
            place -= 1
        out.reverse()
        if newest is not None:
            self._places = newest, out
        return out

    def block(self, place: int, t: int) -> ProfileBlock:
        """The block of a place as it is at ``t``."""
        c, world = self.config, self.world
        start = self._origin + place * c.block_s
        end = start + c.block_s
        recorded = self._recorded(place, t)
        flags: dict[int, int] = {}
        status: dict[int, int] = {}
        usual = SUMMER * world.is_summer(end)
        outages = [o for o in world.outages_before(end) if o[1] > start]
        changes = world.clock_changes_in(start, min(end, t))
        if outages or changes or world.is_summer(start) != world.is_summer(end):
            for i in recorded:
                a, b = start + i * c.interval_s, start + (i + 1) * c.interval_s
                found = SUMMER * world.is_summer(b)
                found |= POWER_FAILURE * any(o[0] < b and o[1] > a for o in outages)
                moved = world.clock_changes_in(a, b) if changes else []
                found |= CLOCK_FORWARD * any(by > 0 for by in moved) | CLOCK_BACKWARD * any(by < 0 for by in moved)
                flags[i] = found
                if moved:
                    status[i] = PARTIAL if any(by > 0 for by in moved) else LONG
        last = recorded[-1]
        end_time = start + (last + 1) * c.interval_s
        # The power came back before the next block had an interval: the meter closes the block in its place.
        later = t >= end + c.interval_s
        if later and DAY_S % c.block_s == 0 and last < c.intervals - 1 and world.powered(end + c.interval_s):
            end_time = end
        kept = tuple(recorded) if isinstance(recorded, list) else recorded
        return ProfileBlock(place, self._sequence(place), start, end_time, kept, flags, status, usual, later)

    # ---- values

    def _column(self, channel: int, start: int, count: int) -> list[int]:
        """The values of a channel at the ends of ``count`` intervals, in whole units, as they are in the table."""
        source, unit = self.config.sources[channel].source, self._units[channel]
        step = self.config.interval_s
        if source in ENERGIES and start >= self.world.installed and count:
            column = self.world.series(source, start, step, count)
            return [v // unit for v in column] if unit > 1 else column
        return [self.readings.value(source, start + i * step) // unit for i in range(count)]

    def columns(self, block: ProfileBlock) -> list[list[int]]:
        """The values of all channels of a block, one per interval up to the last recorded one."""
        count = block.recorded[-1] + 1
        first = block.start + self.config.interval_s
        return [self._column(c, first, count) for c in range(len(self.config.sources))]

    def rows(self, t: int) -> Iterator[list[int]]:
        """What a decoder has to find: data set, end of the interval, channel, source, value, status, flags, block, interval."""
        c = self.config
        for place in self.places(t):
            block = self.block(place, t)
            columns = self.columns(block)
            for i in block.recorded:
                end, flags, status = block.start + (i + 1) * c.interval_s, block.flags_of(i), block.status.get(i, 0)
                for channel, source in enumerate(c.sources):
                    value = columns[channel][i] * self._units[channel]
                    yield [self.number, end, channel, source.source, value, status, flags, block.sequence, i]

    # ---- bytes

    def _nibbles(self, flags: int, status: int) -> bytes:
        channels = len(self.config.sources)
        nibbles = [flags, *[status] * channels]
        nibbles += [0] * (len(nibbles) % 2)
        return bytes(a << 4 | b for a, b in zip(nibbles[::2], nibbles[1::2], strict=True))

    def encode(self, block: ProfileBlock, *, stale: bool = True) -> bytes:
        """The bytes of a block. What was not recorded holds what was there a round ago."""
        if (known := self._encoded.get(block.sequence)) is not None:
            return known
        c = self.config
        channels, count = len(c.sources), block.recorded[-1] + 1
        usual = self._nibbles(block.usual, 0)
        statuses = [usual] * c.intervals
        for i in {*block.flags, *block.status}:
            statuses[i] = self._nibbles(block.flags_of(i), block.status.get(i, 0))
        flat: list[int | bytes] = [0] * (c.intervals * (channels + 1))
        flat[:: channels + 1] = statuses
        for channel, column in enumerate(self.columns(block)):
            flat[1 + channel : count * (channels + 1) : channels + 1] = column
        body = self._intervals.pack(*flat)
        if len(block.recorded) < c.intervals:
            body = self._with_stale(block, body, stale)
        mask = (1 << count) - 1 if len(block.recorded) == count else sum(1 << i for i in block.recorded)
        when = datetime.fromtimestamp(block.end_time, UTC)
        head = bytes((when.year - 2000, when.month, when.day, when.hour, when.minute))
        out = head + mask.to_bytes((c.intervals + 7) // 8, "little") + body
        if block.complete and stale:
            if len(self._encoded) >= _KEPT:
                self._encoded.clear()
            self._encoded[block.sequence] = out
        return out

    def _with_stale(self, block: ProfileBlock, body: bytes, stale: bool) -> bytes:
        size = self.config.interval_size
        before = block.number - self.config.blocks
        old = bytes(len(body))
        if stale and before >= self._first_place():
            t = self._origin + (before + 2) * self.config.block_s
            if len(self._recorded(before, t)):
                old = self.encode(self.block(before, t), stale=False)[self.config.header_size :]
        out = bytearray(old)
        for i in block.recorded:
            out[i * size : (i + 1) * size] = body[i * size : (i + 1) * size]
        return bytes(out)

    @property
    def size(self) -> int:
        """The length of the table."""
        return self.config.block_size * self.config.blocks

    def element(self, sequence: int) -> int:
        """The element of the ring that a block has."""
        return (sequence - self._first) % self.config.blocks

    def image(self, t: int, offset: int = 0, count: int | None = None) -> bytes:
        """Some bytes of BT64 to BT67; only the blocks that they touch are made."""
        size = self.config.block_size
        count = self.size - offset if count is None else count
        end = min(offset + count, self.size)
        if offset >= end:
            return b""
        first, last = offset // size, (end - 1) // size
        out = bytearray((last - first + 1) * size)
        places = self.places(t)
        # Elements follow each other as sequence numbers do.
        newest = self._sequence(places[-1]) if places else 0
        for age, place in enumerate(reversed(places)):
            element = self.element(newest - age)
            if first <= element <= last:
                at = (element - first) * size
                out[at : at + size] = self.encode(self.block(place, t))
        return bytes(out[offset - first * size : end - first * size])

    def status(self, t: int) -> tuple[int, int, int, int]:
        """BT63: valid blocks, newest element, newest sequence number, valid intervals of the newest block."""
        places = self.places(t)
        if not places:
            return 0, 0, self._first - 1, 0
        newest = self.block(places[-1], t)
        return len(places), self.element(newest.sequence), newest.sequence, newest.recorded[-1] + 1
