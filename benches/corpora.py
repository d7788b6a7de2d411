"""The fixed corpora of the benchmarks: generated with a fixed seed, kept under build/bench/, made again when missing.

profile   table images of load profiles: 4 channels of 15 minutes, 35 blocks of a day per meter, wrapped; 64 MB and more
dump      the same meters as a directory of METER/BT64.bin files
packets   C12.18 packets of a reading session, both directions with their ACKs
registers table images of present registers: BT23 of 11 summations in 4 tiers, 100 reads a meter, 100,000 in all
mep       a capture of the MEP port: parts of BT64 read under RC4, the longest that fit a message; 100 MB
"""

from __future__ import annotations

import os
import random
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEP_KEYS = [b"a key that opens", b"another meter's1"]
"""What is given to open the MEP capture: the first is the one."""
MEP_PART = 465
MEP_BYTES = 100_000_000
MESSAGE = 440
sys.path.insert(0, str(ROOT / "tools"))
import meter_tables as mt  # noqa: E402
from c1218_packets import packet  # noqa: E402

SEED = 64
OUT = ROOT / "build" / "bench"
CHANNELS = [0, 1, 2, 3]
INTERVALS = 96
BLOCKS = 35
DISTINCT = 64  # different meters; the rest of a corpus repeats them under labels of their own
FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)

Meter = dict[int, bytes]
"""Tables of a meter by number."""


def make_meter(seed: int) -> Meter:
    """A meter whose circular list is full: the newest block stands in the middle of it."""
    rng = random.Random(f"{SEED} {seed}")
    sequence = rng.randrange(1000, 60_000)
    data_set = mt.DataSet(CHANNELS, 15, INTERVALS, BLOCKS, sequence=sequence)
    registers = [rng.randrange(1_000_000, 50_000_000) for _ in CHANNELS]
    for day in range(BLOCKS):
        intervals: list[mt.Interval | None] = []
        for _ in range(INTERVALS):
            registers = [value + rng.randrange(900) for value in registers]
            # Now and then a flag and a status, so that nothing can be taken as constant.
            odd = rng.random() < 0.02
            intervals.append(mt.Interval(registers, [2] if odd else [], 4 if odd else 0))
        data_set.blocks.append(mt.Block(FIRST_DAY + timedelta(days=day + 1), intervals))
    start = FIRST_DAY + timedelta(hours=seed)
    events = [mt.Event(start + timedelta(minutes=37 * n), 7 + n % 5) for n in range(100)]
    return {
        0: mt.bt00(),
        1: mt.bt01("83331-3I", 1000 + seed),
        61: mt.bt61([data_set]),
        62: mt.bt62([data_set]),
        63: mt.bt63([data_set]),
        64: mt.data_table(data_set),
        71: mt.bt71(100),
        74: mt.bt74(events, 100, 70_000 + seed),
        2051: mt.et03(f"BENCH{seed:06d}"),
    }


_distinct: list[Meter] = []


def distinct() -> list[Meter]:
    """The different meters, made once per process."""
    if not _distinct:
        _distinct.extend(make_meter(seed) for seed in range(DISTINCT))
    return _distinct


@dataclass(frozen=True)
class Profile:
    """A load profile corpus of at least so many bytes of BT64."""

    name: str
    min_bytes: int

    @property
    def meters(self) -> int:
        """How many meters it takes."""
        return -(-self.min_bytes // len(distinct()[0][64]))

    @property
    def rows_wide(self) -> int:
        """One row per interval."""
        return self.meters * BLOCKS * INTERVALS

    @property
    def rows_long(self) -> int:
        """One row per interval and channel."""
        return self.rows_wide * len(CHANNELS)

    def __iter__(self) -> Iterator[tuple[str, Meter]]:
        for n in range(self.meters):
            yield f"B{n:07d}", distinct()[n % DISTINCT]


SMALL = Profile("small", 640_000)
"""For the slow contenders: their rate is measured on it."""
PROFILE = Profile("profile", 64 << 20)
PROFILE_TABLES = (61, 62, 63, 64)


def arrow_file(corpus: Profile) -> Path:
    """The load profile tables as an uncompressed Arrow IPC file of table images."""
    import pyarrow as pa

    path = OUT / f"{corpus.name}.arrow"
    if path.exists():
        return path
    OUT.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([("meter", pa.string()), ("table", pa.int32()), ("data", pa.binary()), ("whole", pa.bool_())])
    part = path.with_suffix(".part")
    with pa.OSFile(str(part), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        rows: list[tuple[str, int, bytes, bool]] = []
        for label, tables in corpus:
            rows += [(label, number, tables[number], True) for number in PROFILE_TABLES]
            if len(rows) >= 400:
                writer.write_batch(pa.record_batch([list(column) for column in zip(*rows, strict=True)], schema=schema))
                rows = []
        if rows:
            writer.write_batch(pa.record_batch([list(column) for column in zip(*rows, strict=True)], schema=schema))
    part.rename(path)
    return path


@dataclass(frozen=True)
class Registers:
    """A corpus of so many meters whose BT23 was read every day, BT21 and BT22 once."""

    name: str
    meters: int
    reads: int = 100

    SUMMATIONS = 11
    TIERS = 4

    @property
    def rows(self) -> int:
        """One row per register."""
        return self.meters * self.reads * self.SUMMATIONS * (self.TIERS + 1)

    @property
    def bytes_in(self) -> int:
        """The bytes of BT23."""
        return 4 * self.rows

    def __iter__(self) -> Iterator[tuple[str, int, bytes, bool, int]]:
        bt21, bt22 = bytes((3, 12, 5, self.SUMMATIONS, 0, 0, 0, self.TIERS, 0, 41)), bytes((*range(8), 26, 27, 28))
        start = int(FIRST_DAY.timestamp()) * 1_000_000
        for n in range(self.meters):
            rng = random.Random(f"{SEED} registers {n % DISTINCT}")
            label = f"B{n:07d}"
            yield label, 21, bt21, True, start
            yield label, 22, bt22, True, start
            registers = [rng.randrange(50_000_000) for _ in range(self.SUMMATIONS * (self.TIERS + 1))]
            for day in range(self.reads):
                registers = [value + rng.randrange(30_000) for value in registers]
                data = struct.pack(f"<{len(registers)}i", *registers)
                yield label, 23, data, True, start + (day + 1) * 86_400_000_000


REGISTERS = Registers("registers", 1000)
FEW_REGISTERS = Registers("few-registers", 20)
"""For the twin: its rate is measured on it."""


def registers_file(corpus: Registers) -> Path:
    """The corpus as an uncompressed Arrow IPC file of table images."""
    import pyarrow as pa

    path = OUT / f"{corpus.name}.arrow"
    if path.exists():
        return path
    OUT.mkdir(parents=True, exist_ok=True)
    schema = pa.schema(
        [
            ("meter", pa.string()),
            ("table", pa.int32()),
            ("data", pa.binary()),
            ("whole", pa.bool_()),
            ("read_at", pa.timestamp("us", "UTC")),
        ]
    )
    part = path.with_suffix(".part")
    with pa.OSFile(str(part), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        rows = list(corpus)
        for i in range(0, len(rows), 10_000):
            columns = [list(column) for column in zip(*rows[i : i + 10_000], strict=True)]
            writer.write_batch(pa.record_batch(columns, schema=schema))
    part.rename(path)
    return path


def table_name(number: int) -> str:
    """`BT64`, `ET03`."""
    return f"ET{number - 2048:02d}" if number >= 2048 else f"BT{number:02d}"


def dump_dir(corpus: Profile, link: bool = False) -> Path:
    """The corpus as a dump directory; with `link`, meters with the same bytes share their files (hard links)."""
    path = OUT / f"{corpus.name}-dump"
    if path.exists():
        return path
    part = path.with_suffix(".part")
    first: dict[int, Path] = {}
    for n, (label, tables) in enumerate(corpus):
        folder = part / label
        folder.mkdir(parents=True)
        for number, data in tables.items():
            file = folder / f"{table_name(number)}.bin"
            if link and n >= DISTINCT:
                os.link(first[n % DISTINCT] / file.name, file)
            else:
                file.write_bytes(data)
        if n < DISTINCT:
            first[n] = folder
    part.rename(path)
    return path


def packets(count: int) -> list[bytes]:
    """Packets of a reading: a partial read of BT64 and its answer in turn."""
    rng = random.Random(SEED)
    out = []
    for n in range(count // 2):
        request = struct.pack(">BH", 0x3F, 64) + (n * 100 & 0xFFFFFF).to_bytes(3, "big") + struct.pack(">H", 100)
        body = rng.randbytes(100)
        answer = b"\0" + struct.pack(">H", 100) + body + bytes([-sum(body) & 0xFF])
        out += [packet(request, bool(n & 1)), packet(answer, bool(n & 1))]
    return out


def packet_stream(repeat: int) -> tuple[bytes, int]:
    """Packets as they stand on a line, an ACK after each; and how many there are."""
    some = packets(2000)
    stream = b"".join(p + b"\x06" for p in some)
    return stream * repeat, len(some) * repeat


def mep_capture(size: int) -> tuple[bytes, int]:
    """A capture of the MEP port of about so many bytes, enciphered; and how many reads are in it."""
    from osgp_fast import _impl

    rng = random.Random(SEED)
    out, reads = bytearray(), 0
    some = []
    for n in range(1000):
        request = struct.pack(">BH", 0x3F, 64) + (n * MEP_PART).to_bytes(3, "big") + struct.pack(">H", MEP_PART)
        exchange = _impl.mep_request(MEP_KEYS[0], request, n, encrypt=True)
        some.append(exchange.message + exchange.respond(b"\0" + struct.pack(">H", MEP_PART) + rng.randbytes(MEP_PART)))
    while len(out) < size:
        # The same thousand again and again: their sequence numbers are no matter to a capture.
        part = some[: max(1, min(1000, (size - len(out)) // len(some[0])))]
        out += b"".join(part)
        reads += len(part)
    return bytes(out), reads


def messages(count: int) -> tuple[bytes, list[bytes]]:
    """A message, and so many keys for it."""
    rng = random.Random(SEED)
    return rng.randbytes(MESSAGE), [rng.randbytes(16) for _ in range(count)]
