"""Tables of a made-up meter, byte by byte: what the demo and the benchmarks are made of.

An encoder on purpose independent of the package: it knows no catalogue, so that a mistake in one is not repeated in the
other. Multi-byte fields are least significant byte first, save the firmware version. "Page" is of the MEP guide.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

FIRMWARE_3_50_01 = 0x3641  # 4 bits major, 7 minor, 5 build (errata of BT01)
SNAPSHOT_INT32 = 32  # the one format of interval data (p. 236)


def stime_date(when: datetime) -> bytes:
    """A time to the minute: year in the century, month, day, hour, minute."""
    return bytes([when.year % 100, when.month, when.day, when.hour, when.minute])


def ltime_date(when: datetime) -> bytes:
    """A time to the second."""
    return stime_date(when) + bytes([when.second])


def bt00() -> bytes:
    """General configuration (pp. 196-198): Latin-1, four bytes of manufacturer status, little-endian."""
    return bytes([0x02, 0x2A, 0x88]) + b"NES " + bytes([2, 0, 255, 12, 1, 0, 10, 13, 2, 12, 4, 3])


def bt01(model: str, serial: int) -> bytes:
    """Manufacturer, model, hardware, firmware (most significant byte first), 16 digits of serial number (p. 199)."""
    digits = bytes.fromhex(f"{serial:016d}")
    return b"NES " + model.encode("latin-1").ljust(8)[:8] + bytes([3, 1]) + FIRMWARE_3_50_01.to_bytes(2, "big") + digits


def et03(serial: str) -> bytes:
    """Utility serial number of 30 characters, the rest reserved: 143 bytes (p. 56)."""
    return serial.encode("latin-1").ljust(30, b"\0") + bytes(113)


@dataclass
class Interval:
    """One interval: its values, one status per channel and the flags common to them."""

    values: Sequence[int]
    statuses: Sequence[int] = ()
    flags: int = 0


@dataclass
class Block:
    """A block: the end time that it carries and its intervals; None is an interval that was not recorded."""

    end: datetime
    intervals: list[Interval | None]


@dataclass
class DataSet:
    """A data set: its dimensions, the sources of its channels and its blocks, oldest first.

    `sequence` is the number of the newest block, `capacity` how many blocks the circular list holds.
    """

    sources: Sequence[int]
    interval_minutes: int
    intervals: int
    capacity: int
    blocks: list[Block] = field(default_factory=list)
    sequence: int = 0

    @property
    def valid(self) -> list[Block]:
        """The blocks that are still in the list."""
        return self.blocks[-self.capacity :]

    @property
    def block_size(self) -> int:
        """Bytes of a block: end time, a bit per interval, per interval the nibbles and four bytes per channel."""
        channels = len(self.sources)
        return 5 + (self.intervals + 7) // 8 + self.intervals * (channels // 2 + 1 + 4 * channels)

    @property
    def last(self) -> int:
        """The place of the newest block; every block has its place for good, sequence modulo capacity."""
        return self.sequence % self.capacity


def bt61(sets: Iterable[DataSet]) -> bytes:
    """Dimensions in use (p. 234): seven bytes, six per set; simple and extended status on, no end readings."""
    sets = list(sets)
    size = sum(s.capacity * s.block_size for s in sets)
    code = {1440: 84}  # a day has a code of its own
    out = struct.pack("<IHB", size, 1 << 10 | 1 << 11, SNAPSHOT_INT32)
    for s in sets:
        minutes = code.get(s.interval_minutes, s.interval_minutes)
        out += struct.pack("<HHBB", s.capacity, s.intervals, len(s.sources), minutes)
    return out


def bt62(sets: Iterable[DataSet]) -> bytes:
    """Sources (p. 236): three bytes per channel and a format per set, packed one after another."""
    return b"".join(b"".join(bytes([0, n, 0]) for n in s.sources) + bytes([SNAPSHOT_INT32]) for s in sets)


def bt63(sets: Iterable[DataSet]) -> bytes:
    """State (pp. 237-238): circular and active, valid blocks, newest block, its number, unread, its intervals."""
    out = b""
    for s in sets:
        recorded = sum(i is not None for i in s.blocks[-1].intervals) if s.blocks else 0
        out += struct.pack("<BHHIHH", 1 << 2 | 1 << 5, len(s.valid), s.last, s.sequence, 0, recorded)
    return out


def block(s: DataSet, b: Block) -> bytes:
    """One block (pp. 239-240): end time, a bit per interval, then status nibbles (high first) and values."""
    channels = len(s.sources)
    simple = 0
    body = bytearray()
    for i in range(s.intervals):
        interval = b.intervals[i] if i < len(b.intervals) else None
        if interval is None:
            body += bytes(channels // 2 + 1 + 4 * channels)
            continue
        simple |= 1 << i
        nibbles = [interval.flags, *interval.statuses, *[0] * (channels + 2)]
        body += bytes(nibbles[2 * k] << 4 | nibbles[2 * k + 1] for k in range(channels // 2 + 1))
        body += struct.pack(f"<{channels}i", *interval.values)
    return stime_date(b.end) + simple.to_bytes((s.intervals + 7) // 8, "little") + bytes(body)


def data_table(s: DataSet) -> bytes:
    """BT64..BT67: the blocks in their places, the places without one zero."""
    places = [bytes(s.block_size)] * s.capacity
    for age, b in enumerate(reversed(s.valid)):
        places[(s.last - age) % s.capacity] = block(s, b)
    return b"".join(places)


@dataclass
class Event:
    """One entry of the log."""

    time: datetime
    code: int
    user: int = 0xFFFF
    argument: bytes = b"\0\0"


def bt71(entries: int) -> bytes:
    """Dimensions of the log in use (Optical guide p. 51): times and sequence numbers are kept, two argument bytes."""
    return struct.pack("<BBBBBHH", 0b110, 8, 19, 2, 2, entries, 0)


def bt74(events: Sequence[Event], entries: int, sequence: int) -> bytes:
    """The log (pp. 241-243): header of 11 bytes, a circular list of records; `sequence` is that of the last event."""
    kept = list(events)[-entries:]
    last = sequence % entries
    out = [bytes(14)] * entries
    for age, event in enumerate(reversed(kept)):
        number = (sequence - age) & 0xFFFF
        record = ltime_date(event.time) + struct.pack("<HHH", number, event.user, event.code) + event.argument
        out[(last - age) % entries] = record
    return struct.pack("<BHHIH", 1 << 2, len(kept), last, sequence, 0) + b"".join(out)
