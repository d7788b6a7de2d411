"""Tables of made-up meters, byte by byte as the guides lay them out, for the cases that no sample has.

Independent of the catalogue on purpose: offsets are written out here a second time. Source: MEP guide pp. 231-243.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

DAY = datetime(2024, 3, 8, tzinfo=UTC)


def stime(when: datetime) -> bytes:
    """STIME_DATE."""
    return bytes((when.year - 2000, when.month, when.day, when.hour, when.minute))


def ltime(when: datetime) -> bytes:
    """LTIME_DATE."""
    return stime(when) + bytes((when.second,))


@dataclass
class Block:
    """A block: its start, the intervals that were recorded, and its end time if it is not that of the whole block."""

    start: datetime
    recorded: Sequence[int]
    end: datetime | bytes | None = None
    status: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """Status of (interval, channel)."""
    flags: Mapping[int, int] = field(default_factory=dict)
    """Common flags of an interval."""
    values: Mapping[tuple[int, int], int] = field(default_factory=dict)


@dataclass
class Set:
    """A data set: its dimensions and its blocks, oldest first."""

    blocks: Sequence[Block]
    channels: int = 2
    intervals: int = 4
    minutes: int = 60
    room: int = 0
    sequence: int = 1000
    newest: int | None = None
    sources: Sequence[int] = ()
    scaled: bool = False

    @property
    def seconds(self) -> int:
        """The length of an interval."""
        return 86400 if self.minutes == 84 else self.minutes * 60


def value(block: int, interval: int, channel: int) -> int:
    """The value recorded where a block does not say another one."""
    return 1000 * block + 10 * interval + channel


def days(count: int, intervals: int = 4, minutes: int = 60, start: datetime = DAY) -> list[Block]:
    """Complete blocks one after the other."""
    step = timedelta(minutes=minutes * intervals)
    return [Block(start + i * step, range(intervals)) for i in range(count)]


def profile_tables(sets: Sequence[Set], end_readings: bool = False) -> dict[int, bytes]:
    """BT61 to BT67 of a meter."""
    flags = 0x0C00 | (0x10 if end_readings else 0)
    dims, sources, status, out = b"", b"", b"", {}
    for n, s in enumerate(sets):
        room = s.room or len(s.blocks)
        newest = (len(s.blocks) - 1 if s.newest is None else s.newest) % max(room, 1)
        flags |= (0x40 << n) if s.scaled else 0
        dims += struct.pack("<HHBB", room, s.intervals, s.channels, s.minutes)
        ids = list(s.sources) or list(range(s.channels))
        sources += b"".join(bytes((0, i, 0)) for i in ids) + b"\x20"
        if s.scaled:
            sources += struct.pack(f"<{s.channels}H", *[7] * s.channels) + struct.pack(
                f"<{s.channels}H", *[3] * s.channels
            )
        status += struct.pack("<BHHIHH", 0x24, len(s.blocks), newest, s.sequence, 0, 0)
        header = 5 + (4 * s.channels if end_readings else 0) + (s.intervals + 7) // 8
        size = header + s.intervals * (s.channels // 2 + 1 + 4 * s.channels)
        table = bytearray(size * room)
        for age, block in enumerate(reversed(s.blocks)):
            number = len(s.blocks) - 1 - age
            at = (newest - age) % room * size
            table[at : at + size] = _block(s, block, number, end_readings)
        out[64 + n] = bytes(table)
    out[61] = struct.pack("<IHB", 100_000, flags, 0x20) + dims
    out[62], out[63] = sources, status
    return dict(sorted(out.items()))


def _block(s: Set, block: Block, number: int, end_readings: bool) -> bytes:
    end = block.end
    if end is None:
        end = block.start + timedelta(seconds=s.seconds * s.intervals)
    out = end if isinstance(end, bytes) else stime(end)
    if end_readings:
        out += struct.pack(f"<{s.channels}i", *range(s.channels))
    out += sum(1 << i for i in block.recorded).to_bytes((s.intervals + 7) // 8, "little")
    for i in range(s.intervals):
        nibbles = [block.flags.get(i, 0), *(block.status.get((i, c), 0) for c in range(s.channels))]
        nibbles += [0] * (len(nibbles) % 2)
        out += bytes(a << 4 | b for a, b in zip(nibbles[::2], nibbles[1::2], strict=True))
        out += struct.pack(
            f"<{s.channels}i", *(block.values.get((i, c), value(number, i, c)) for c in range(s.channels))
        )
    return out


def bt01(firmware: int = 0x3641) -> bytes:
    """BT01 with a packed firmware version."""
    return b"NES 83331-3I" + struct.pack("<H", 0) + struct.pack(">H", firmware) + bytes.fromhex("0000000000002001")


def et21(
    sets: Sequence[Set], stride: int = 131, hour: int = 0, minute: int = 0, block_size: int | None = None
) -> bytes:
    """ET21 with the fields that the decoder looks at."""
    out = b""
    for s in sets:
        header = 5 + (s.intervals + 7) // 8
        interval = s.channels // 2 + 1 + 4 * s.channels
        row = bytearray(stride)
        struct.pack_into("<IH", row, 8, block_size or header + s.intervals * interval, header)
        row[22:30] = bytes((5, header - 5, header, interval, s.channels // 2 + 1, 0, s.channels, s.minutes))
        row[89], row[90] = hour, minute
        out += bytes(row)
    return out


def et42(
    sets: Sequence[Set],
    sources: Sequence[Sequence[int]],
    unit: int = 1,
    digits: int = 6,
    hour: int = 0,
    minute: int = 0,
    multiple: bool = True,
) -> bytes:
    """ET42 with two logs, the sources of every set, and the required section of firmware 3.70."""
    first = sets[0]
    out = bytearray(41)
    out[2], out[3] = 41, 2
    out[4] = 0x02 | (0x04 if multiple else 0)
    struct.pack_into(
        "<IHBBBBHBB", out, 23, 0, first.room, first.channels, first.minutes, 0, 0, first.intervals, hour, minute
    )
    out += bytes(6) + struct.pack(f"<{len(sources[0])}H", *sources[0]) + b"\x01\xaa\xbb\xcc\xdd"
    if multiple:
        out += bytes((sum(1 << n for n in range(len(sets) - 1)),))
        for s, ids in zip(sets[1:], sources[1:], strict=True):
            out += struct.pack("<IHBBBBHBB", 0, s.room, s.channels, s.minutes, 0, 0, s.intervals, hour, minute)
            out += struct.pack(f"<{len(ids)}H", *ids)
    out += struct.pack("<BHBHBB", 8, 0, 0, 5, unit, digits)
    struct.pack_into("<H", out, 0, len(out))
    return bytes(out)


@dataclass
class Event:
    """An entry of an event log."""

    time: datetime | bytes
    sequence: int
    code: int = 1
    user: int = 0xFFFF
    argument: bytes = b"\x00\x00"


def log_tables(
    events: Sequence[Event],
    room: int,
    newest: int | None = None,
    flags: int = 0x06,
    table: int = 74,
    sequence: int | None = None,
) -> dict[int, bytes]:
    """BT71 and an event log; ``flags`` as in BT71.0: 1 event number, 2 date and time, 4 sequence number."""
    newest = max(len(events) - 1, 0) if newest is None else newest
    length = len(events[0].argument) if events else 2
    last = sequence if sequence is not None else (events[-1].sequence if events else 0)
    size = 4 + length + (6 if flags & 2 else 0) + (2 if flags & 1 else 0) + (2 if flags & 4 else 0)
    body = bytearray(size * room)
    for age, e in enumerate(reversed(events)):
        row = b""
        if flags & 2:
            row += e.time if isinstance(e.time, bytes) else ltime(e.time)
        if flags & 1:
            row += b"\xee\xee"
        if flags & 4:
            row += struct.pack("<H", e.sequence & 0xFFFF)
        row += struct.pack("<HH", e.user, e.code) + e.argument
        at = (newest - age) % room * size
        body[at : at + size] = row
    header = struct.pack("<BHHIH", 0x04, len(events), newest, last & 0xFFFFFFFF, 0)
    return {71: struct.pack("<BBBBBHH", flags, 8, 19, length, 2, room, 0), table: header + bytes(body)}


def et11(devices: int = 6, data_entry: int = 517) -> bytes:
    """ET11: the number of devices, the sizes of ET13, ET14 and ET16's entries."""
    return struct.pack("<BBBBBH", devices, 66, 36, 5, 6, data_entry) + bytes(32)


def et36(entries: int = 4, size: int = 525, log: int = 45 | 1 << 11) -> bytes:
    """ET36 with ET31 and a log, ET45 unless another is given."""
    records = [(31 | 1 << 11, 232, 255, 2), (log, size, 253, entries)]
    out = bytes((len(records),)) + b"".join(struct.pack("<HHHHB", *r, 1) + bytes(8) for r in records)
    return out + b"\x02"


def telegram(records: str | bytes, serial: str = "78563412", maker: int = 0x1EE6, medium: int = 7) -> bytes:
    """A telegram of variable structure with its length and the 0 that a meter adds."""
    data = bytes.fromhex(records) if isinstance(records, str) else records
    body = bytes.fromhex(serial) + struct.pack("<HBBBBH", maker, 1, medium, 9, 0x10, 0) + data + b"\0"
    return bytes((len(body),)) + body


def billing_read(telegrams: bytes, info: int = 0, when: datetime = DAY) -> bytes:
    """A billing read (MBR) of an M-Bus device."""
    return ltime(when) + bytes((info,)) + telegrams


def client_read(data: bytes, when: datetime = DAY, count: int = 7) -> bytes:
    """A billing read of a MEP client."""
    return ltime(when) + b"\0" + struct.pack("<HH", count, len(data)) + data


def et16(reads: Mapping[int, bytes], devices: int = 6, size: int = 517) -> bytes:
    """ET16 with some of its elements filled."""
    return b"".join(reads.get(i, b"").ljust(size, b"\0") for i in range(devices))


def mbus_log(
    reads: Sequence[tuple[int, bytes]], room: int, newest: int, table: int = 2093, size: int = 525, sequence: int = 9
) -> bytes:
    """ET45 or ET74 (``table``) with the reads of some handles, oldest first, of which the last stands at ``newest``."""
    body = bytearray(room * size)
    for age, (handle, data) in enumerate(reversed(reads)):
        at = (newest - age) % room * size
        entry = struct.pack("<HHHBB", len(data) + 6, 2 << 11, handle, 0, 4) + data
        body[at : at + size] = entry.ljust(size, b"\0")
    form = "<BBBHB" if table == 2093 else "<BHHHH"
    return struct.pack(form, 0x04, len(reads), newest, sequence, 1) + bytes(body)


def mbus_meter() -> dict[int, bytes]:
    """A meter with M-Bus devices: published telegrams, encrypted and fixed ones, small entries and logs that wrap."""
    vectors = json.loads((Path(__file__).parent / "vectors" / "mbus_telegrams.json").read_text(encoding="utf-8"))[
        "telegrams"
    ]
    heads = [bytes.fromhex(v["telegram"]) + b"\0" for v in vectors if v["structure"] == "variable"]
    sent = [bytes((len(b),)) + b for b in heads if len(b) < 120]
    fixed = b"\x10" + bytes.fromhex("7856341207 00 EC7E 56341200 21436500")
    plain = telegram("04 13 40 E2 01 00 0D 78 03 41 42 43 02 FC 03 48 52 25 74 22 15 01 96 15 05 05 16 00 00 20 C1")
    hidden = bytearray(telegram("00" * 16))
    hidden[12] = 5
    reads = {
        0: billing_read(plain + plain),
        1: billing_read(fixed, 2),
        2: billing_read(bytes(hidden)),
        4: client_read(b"abc"),
    }
    log = [(n + 1, billing_read(one, n & 1)) for n, one in enumerate([*sent[:8], plain])]
    return {
        0: bytes(17) + b"\x09\x00",
        3: bytes(range(1, 14)),
        2059: et11(6, 150),
        2062: bytes(10 + 36 * 6),
        2064: et16(reads, 6, 150),
        2084: et36(7, 200),
        2093: mbus_log(log[:6], 7, newest=2, size=200),
        2102: bytes(69) + b"\x05\x00" + bytes(11),
        2122: mbus_log([*log[6:], (2000, client_read(b"xyz"))], 5, newest=1, table=2122, size=200),
    }


@dataclass
class Registers:
    """The dimensions of a meter's register tables, and values that tell where they stand. Source: MEP guide pp. 200-216."""

    summations: int = 11
    demands: int = 0
    coincidents: int = 0
    occurrences: int = 0
    tiers: int = 2
    self_reads: int = 3
    counter: bool = False
    event_time: bool = True
    cumulative: bool = False
    continuous: bool = False
    remaining: bool = False
    present_demands: int = 0
    present_values: int = 18
    sources: Sequence[int] = (*range(8), 26, 27, 28)
    """Of summations; demands have sources 8 and up, coincident values 12 and up."""
    times: Mapping[tuple[int, int], bytes] = field(default_factory=dict)
    """Event times of (demand, occurrence) that are other ones."""

    def bt21(self) -> bytes:
        """BT21, or BT20."""
        flags = 0x01 | self.event_time << 1 | self.counter << 2 | self.cumulative << 4 | self.continuous << 5
        flags |= self.remaining << 6
        return bytes((flags, 0x0C, self.self_reads, self.summations, self.demands, self.coincidents)) + bytes(
            (self.occurrences, self.tiers, self.present_demands, self.present_values)
        )

    def bt22(self) -> bytes:
        """BT22: every second demand is a maximum; coincident value c belongs to demand c // 2."""
        maxima = sum(1 << d for d in range(1, self.demands, 2))
        return (
            bytes(self.sources[: self.summations]).ljust(self.summations, b"\0")
            + bytes(8 + d for d in range(self.demands))
            + maxima.to_bytes((self.demands + 7) // 8, "little")
            + bytes(12 + c for c in range(self.coincidents))
            + bytes(c // 2 for c in range(self.coincidents))
        )

    def record(self, base: int = 0, resets: int = 7) -> bytes:
        """BT23's record: block b (0 is the total) has values base + 10000 * b + 1000 * kind + 10 * index + occurrence."""
        out = bytes((resets,)) if self.counter else b""
        for block in range(self.tiers + 1):
            start = base + 10_000 * block
            out += struct.pack(f"<{self.summations}i", *(start + 10 * i for i in range(self.summations)))
            for d in range(self.demands):
                value = start + 1000 + 10 * d
                occurrences = range(self.occurrences)
                if self.event_time:
                    default = stime(DAY + timedelta(hours=block, minutes=d))
                    out += b"".join(self.times.get((d, o), default) for o in occurrences)
                out += struct.pack("<i", value + 500) if self.cumulative else b""
                out += struct.pack("<i", value + 700) if self.continuous else b""
                out += struct.pack(f"<{self.occurrences}i", *(value + o for o in occurrences))
            for c in range(self.coincidents):
                values = (start + 2000 + 10 * c + o for o in range(self.occurrences))
                out += struct.pack(f"<{self.occurrences}i", *values)
        return out

    def snapshot(self, when: datetime | bytes = DAY, season: int = 1, base: int = 0) -> bytes:
        """BT24 or BT25."""
        return (when if isinstance(when, bytes) else stime(when)) + bytes((season,)) + self.record(base)

    def entry(self, when: datetime | bytes = DAY, season: int = 1, base: int = 0, bidn: int = 41) -> bytes:
        """An entry of BT26."""
        return (struct.pack("<H", bidn) if self.demands else b"") + self.snapshot(when, season, base)

    def bt26(self, entries: Sequence[bytes], newest: int = 0, sequence: int = 1000, flags: int = 4) -> bytes:
        """BT26: ``entries`` oldest first, the newest in element ``newest``."""
        size = len(self.entry())
        body = bytearray(size * self.self_reads)
        for age, entry in enumerate(reversed(entries)):
            at = (newest - (-age if flags & 1 else age)) % self.self_reads * size
            body[at : at + size] = entry
        return struct.pack("<BBBHB", flags, len(entries), newest, sequence, 0) + bytes(body)

    def tables(self) -> dict[int, bytes]:
        """A meter with every register table; self-reads are a day apart."""
        entries = [self.entry(DAY + timedelta(days=n), base=100_000 * (n + 1)) for n in range(2)]
        return {
            1: bt01(),
            21: self.bt21(),
            22: self.bt22(),
            23: self.record(),
            24: self.snapshot(season=2, base=700_000),
            25: self.snapshot(season=3, base=800_000),
            26: self.bt26(entries),
            27: bytes(range(8, 8 + self.present_demands)) + bytes(range(8, 8 + self.present_values)),
            28: self.bt28(),
        }

    def bt28(self, values: Sequence[int] | None = None) -> bytes:
        """BT28: value n is 1000 + n."""
        numbers = [1000 + n for n in range(self.present_values)] if values is None else list(values)
        demand = (b"\x00\x05\x00" if self.remaining else b"") + struct.pack("<i", 77)
        return demand * self.present_demands + struct.pack(f"<{len(numbers)}i", *numbers)
