"""Load profile: the blocks of BT64 to BT67 become one row per interval and channel.

Returns: the columns of `columns.columns("load_profile")`. A block that cannot be read is a reject, and its neighbours go
on. Source: MEP guide, "BT64-BT67", p. 239; C12.19-1997, tables 61 to 67; the contract's rule for placing blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import gcd
from struct import Struct
from typing import Any, Final

from .. import codec
from ..columns import MAX_CHANNELS, columns
from ..image import Read
from ..layout import Layout, MissingDimension
from ._meter import IDS, Meter, Options, View, missing, reject
from ._profile_set import DAY_S, ProfileSet, Unusable, et21_gap, profile_set

TABLES: Final = ("BT64", "BT65", "BT66", "BT67")
NEEDS: Final = frozenset(
    {"BT00", "BT01", "BT20", "BT60", "BT61", "BT62", "BT63", *TABLES, "ET21", "ET42", "ET54", "ET55", "ET66"}
)
_SEQUENCES: Final = 1 << 32

# Statuses after which the register's value is not to be trusted (MEP guide pp. 240-241): overflow, skipped, test mode,
# decryption failure, device missing, not current, opted out, placeholder, and the reserved ones.
_SPOILS_VALUE: Final = frozenset({1, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15})
# Statuses and common flags after which an interval is not as long as the others: partial, long, clock error; the clock
# was set forward or backward.
_SPOILS_INTERVAL: Final = frozenset({2, 3, 9})
_CLOCK_SET: Final = 0b1100


@dataclass(slots=True)
class Block:
    """One block with its bytes, as one read had it."""

    sequence: int
    data: bytes | memoryview
    recorded: int
    last: int
    end_s: int
    read: Read
    offset: int
    config: ProfileSet
    parts: Layout
    start_s: int = 0


def decode(meter: Meter, options: Options) -> Iterator[dict[str, list[Any]]]:
    """The rows of all data sets of a meter, in batches of about a block."""
    for n, table in enumerate(TABLES):
        versions: list[list[Block]] = []
        for read in meter.reads.get(table, ()):
            view = meter.view(read)
            try:
                versions.append(_blocks(meter, view, read, n))
            except MissingDimension as error:
                missing(meter, read, error.table)
        if versions:
            yield from _rows(meter, _merge(versions), options)


def _blocks(meter: Meter, view: View, read: Read, n: int) -> list[Block]:
    """The blocks of one read that hold data, oldest first, each placed in time."""
    name = IDS[read.table]
    status = view.table("BT63")
    valid = view.get("BT63", "set.valid_blocks", n)
    last_block = view.get("BT63", "set.last_block", n)
    last_sequence = view.get("BT63", "set.last_sequence", n)
    if valid == 0:
        return []

    def whole_set(code: str, reason: str, source: Read, path: str) -> list[Block]:
        leaf = view.layout(IDS[source.table]).by_path[path][0]
        part = source.part(leaf.at(n), 13 if path == "set.flags" else 6)
        reject(
            meter,
            source,
            code,
            f"{reason}; {name} is left out",
            item=f"data set {n + 1}",
            offset=leaf.at(n),
            data=part[1] if part else b"",
        )
        return []

    try:
        config = profile_set(view, n)
    except Unusable as error:
        return whole_set(error.code, str(error), view.table("BT61"), "set.blocks")
    if valid > config.blocks:
        return whole_set(
            "profile.block_count",
            f"BT63 counts {valid} valid blocks, and BT61 has room for {config.blocks}; read both again",
            status,
            "set.flags",
        )
    if last_block >= config.blocks:
        return whole_set(
            "profile.last_block",
            f"BT63 says that block {last_block} is the newest, and BT61 has room for {config.blocks}; read both again",
            status,
            "set.flags",
        )
    if view.find("BT63", "set.flags.interval_order", n):
        return whole_set(
            "profile.interval_order",
            "BT63 says that intervals stand newest first, which the guides do not describe",
            status,
            "set.flags",
        )
    step = -1 if view.find("BT63", "set.flags.block_order", n) else 1
    parts = block_layout(view, read, n, config)
    used = block_size(parts)
    found: list[Block] = []
    absent: list[int] = []
    end = parts.by_path["block.end_time"][0]
    simple = parts.by_path["block.simple_status"][0]
    for age in range(valid - 1, -1, -1):
        sequence = (last_sequence - age) % _SEQUENCES
        offset = end.at((last_block - step * age) % config.blocks)
        part = read.part(offset, used)
        if part is None:
            absent.append(sequence)
            continue
        data = part[1]
        if len(data) < used:
            reject(
                meter,
                read,
                "profile.block_incomplete",
                f"{len(data)} of the block's {used} bytes are there; read {name} again",
                item=f"block {sequence}",
                offset=part[0],
                data=data,
                length=used,
            )
            continue
        try:
            end_s = codec.seconds(data[: end.size])
        except codec.ImpossibleDate as error:
            reject(
                meter,
                read,
                "profile.end_time",
                f"the block ends at {error}, which does not exist; read {name} again",
                item=f"block {sequence}",
                offset=offset,
                data=data,
            )
            continue
        if end_s is None:
            continue
        mask = (1 << config.intervals) - 1
        first = simple.offset - end.offset
        recorded = int.from_bytes(data[first : first + simple.size], "little") & mask
        found.append(Block(sequence, data, recorded, recorded.bit_length() - 1, end_s, read, offset, config, parts))
    if absent and read.whole:
        which = f"block {absent[0]}" if len(absent) == 1 else f"blocks {absent[0]} to {absent[-1]}"
        reject(
            meter,
            read,
            "table.too_short",
            f"{name} ends after {read.end} bytes, before {len(absent)} of the {valid} blocks that BT63 counts; read {name} again",
            item=which,
            offset=read.end,
            data=b"",
        )
    found = _without_torn(meter, found, valid == config.blocks)
    found = [b for b in found if b.recorded]
    place_blocks(found)
    return found


def block_layout(view: View, read: Read, n: int, config: ProfileSet) -> Layout:
    """The layout of the data table; ET21 gives the block size where it agrees with BT61."""
    plain = view.layout(f"BT{64 + n}")
    gap = et21_gap(view, n)
    size = None if gap is None else view.find("ET21", "set.block_size", n, gap=gap)
    if size is None or size <= block_size(plain) or (read.whole and size * config.blocks > read.end):
        return plain
    return view.layout(f"BT{64 + n}", block_size=size)


def block_size(parts: Layout) -> int:
    """The bytes of a block that hold something: all up to the last value of the last interval."""
    status = parts.by_path["block.interval.status"][0]
    interval = status.axes[1]
    return status.offset + interval.count * interval.stride


def _without_torn(meter: Meter, blocks: list[Block], full: bool) -> list[Block]:
    """Leave out the blocks that show that BT63 and the data were not read at the same moment.

    In a full ring the block behind the newest is the oldest. Times that fall once and are older after the fall than all
    before it are such a ring turned: BT63 is newer than the data (the last blocks are a round old) or older (the first
    ones are a round new). The fewer are left out: their sequence numbers would be wrong.
    """
    falls = [i for i in range(1, len(blocks)) if blocks[i].end_s < blocks[i - 1].end_s]
    if not full or len(falls) != 1 or blocks[-1].end_s >= blocks[0].end_s:
        return blocks
    fall = falls[0]
    newer_status = len(blocks) - fall <= fall
    torn, rest = (blocks[fall:], blocks[:fall]) if newer_status else (blocks[:fall], blocks[fall:])
    for b in torn:
        reject(
            meter,
            b.read,
            "profile.torn_read",
            f"the block ends {'before the oldest' if newer_status else 'after the newest'} of the others: BT63 is "
            f"{'newer' if newer_status else 'older'} than {IDS[b.read.table]}; read both again, BT63 before and after",
            item=f"block {b.sequence}",
            offset=b.offset,
            data=b.data,
        )
    return rest


def place_blocks(blocks: Sequence[Block]) -> None:
    """Set the start of every block by the contract's rule.

    A block's end time is the end of the block when it is complete and of the last recorded interval when not; no flag
    tells which. The start that is on the set's grid of blocks is taken: by the hour and minute of ET21, else by the
    neighbouring blocks, a block's length apart. Both or neither: the last recorded interval decides.
    """
    if not blocks:
        return
    config = blocks[0].config
    length = config.block_s
    certain = [b.last == config.intervals - 1 for b in blocks]
    for i, b in enumerate(blocks):
        full, cut = b.end_s - length, b.end_s - (b.last + 1) * config.interval_s
        b.start_s = cut
        if full == cut:
            continue
        fits_full, fits_cut = _on_grid(config, full), _on_grid(config, cut)
        if fits_full is None or (fits_full and fits_cut):
            near = _neighbours(blocks, certain, i)
            near_full = any((full - s) % length == 0 for s in near)
            near_cut = any((cut - s) % length == 0 for s in near)
            if fits_full is None or near_full != near_cut:
                fits_full, fits_cut = near_full, near_cut
        if fits_full and not fits_cut:
            b.start_s = full


def _on_grid(config: ProfileSet, start_s: int) -> bool | None:
    """Whether a block may start then by ET21 or ET42; blocks that do not divide a day start at several times of it."""
    if config.block_start_s is None:
        return None
    return (start_s - config.block_start_s) % gcd(config.block_s, DAY_S) == 0


def _neighbours(blocks: Sequence[Block], certain: Sequence[bool], i: int) -> list[int]:
    """Where the nearest blocks on both sides start whose last interval was recorded, so that there is no doubt; if there
    are none, where the next blocks on both sides may start."""
    config = blocks[i].config
    near = [
        next((blocks[j] for j in side if certain[j]), None)
        for side in (range(i - 1, -1, -1), range(i + 1, len(blocks)))
    ]
    starts = [b.end_s - config.block_s for b in near if b is not None]
    if starts:
        return starts
    for j in (i - 1, i + 1):
        if 0 <= j < len(blocks):
            b = blocks[j]
            starts += [b.end_s - config.block_s, b.end_s - (b.last + 1) * config.interval_s]
    return starts


def _order(blocks: Sequence[Block]) -> dict[int, list[Block]]:
    """Blocks by sequence number, across the wrap of its 32 bits."""
    by_sequence: dict[int, list[Block]] = {}
    for b in blocks:
        by_sequence.setdefault(b.sequence, []).append(b)
    wraps = max(by_sequence, default=0) - min(by_sequence, default=0) > _SEQUENCES // 2
    key = (lambda s: (s + _SEQUENCES // 2) % _SEQUENCES) if wraps else (lambda s: s)
    return {s: by_sequence[s] for s in sorted(by_sequence, key=key)}


def _merge(versions: list[list[Block]]) -> Iterator[list[Block]]:
    """For every block the versions of it, the latest last."""
    if len(versions) == 1:
        for b in versions[0]:
            yield [b]
        return
    yield from _order([b for blocks in versions for b in blocks]).values()


@dataclass(slots=True)
class _Previous:
    """The row before, of every channel, for `delta`."""

    end_s: int
    values: Sequence[int]
    statuses: Sequence[int]
    config: ProfileSet


def _rows(meter: Meter, merged: Iterator[list[Block]], options: Options) -> Iterator[dict[str, list[Any]]]:
    previous: _Previous | None = None
    names = [c.name for c in columns("load_profile", "wide" if options.shape == "wide" else "long", options.delta)]
    for versions in merged:
        rows: dict[str, list[Any]] = {name: [] for name in names}
        intervals = list(_intervals(versions[-1])) if len(versions) == 1 else _union(meter, versions)
        for b, i, end_s, flags, statuses, values in intervals:
            config = b.config
            energy = config.multiplier or 1
            scaled = [v * energy if s.energy else v for v, s in zip(values, config.channels, strict=True)]
            count = len(scaled)
            if options.shape == "wide":
                rows["meter"].append(meter.label)
                rows["data_set"].append(config.number)
                rows["block"].append(b.sequence)
                rows["interval"].append(i)
                rows["interval_end"].append(end_s * 1_000_000)
                rows["interval_s"].append(config.interval_s)
                for c in range(MAX_CHANNELS):
                    rows[f"value_{c}"].append(scaled[c] if c < count else None)
                    rows[f"status_{c}"].append(statuses[c] if c < count else None)
                rows["flags"].append(flags)
                rows["read_at"].append(b.read.read_at)
                continue
            rows["meter"] += [meter.label] * count
            rows["data_set"] += [config.number] * count
            rows["block"] += [b.sequence] * count
            rows["interval"] += [i] * count
            rows["interval_end"] += [end_s * 1_000_000] * count
            rows["interval_s"] += [config.interval_s] * count
            rows["channel"] += range(count)
            for s in config.channels:
                rows["source"].append(s.id)
                rows["quantity"].append(s.quantity)
                rows["unit"].append(s.unit)
                rows["obis"].append(s.obis)
                rows["multiplier"].append(config.multiplier if s.energy else None)
            rows["value"] += scaled
            rows["status"] += statuses
            rows["flags"] += [flags] * count
            if options.delta:
                rows["delta"] += _deltas(config, end_s, flags, statuses, scaled, previous)
                previous = _Previous(end_s, scaled, statuses, config)
            rows["read_at"] += [b.read.read_at] * count
        if rows["meter"]:
            yield rows


_Interval = tuple[Block, int, int, int, list[int], Sequence[int]]


def _intervals(b: Block) -> Iterator[_Interval]:
    """The recorded intervals of a block: index, end, common flags, status and value of every channel."""
    config = b.config
    count = len(config.channels)
    status = b.parts.by_path["block.interval.status"][0]
    value = b.parts.by_path["block.interval.channel.value"][0]
    first, stride = status.offset, status.axes[1].stride
    values = Struct(f"<{count}i")
    skip = value.offset - status.offset
    recorded = b.recorded
    while recorded:
        low = recorded & -recorded
        recorded ^= low
        i = low.bit_length() - 1
        at = first + i * stride
        nibbles = [n for byte in b.data[at : at + status.size] for n in (byte >> 4, byte & 0xF)]
        end_s = b.start_s + (i + 1) * config.interval_s
        yield b, i, end_s, nibbles[0], nibbles[1 : count + 1], values.unpack_from(b.data, at + skip)


def _union(meter: Meter, versions: list[Block]) -> list[_Interval]:
    """The intervals of several reads of a block: the latest read wins, a contradiction is told once per block."""
    union: dict[int, _Interval] = {}
    told = False
    for b in versions:
        for interval in _intervals(b):
            old = union.get(interval[1])
            if (
                old is not None
                and not told
                and (old[2:] != interval[2:] or old[0].config.channels != b.config.channels)
            ):
                told = True
                reject(
                    meter,
                    b.read,
                    "profile.contradiction",
                    f"interval {interval[1]} differs between two reads, {which_read(old[0].read)} and {which_read(b.read)}; the "
                    "later one is used",
                    item=f"block {b.sequence}",
                    offset=old[0].offset,
                    data=old[0].data,
                )
            union[interval[1]] = interval
    return [union[i] for i in sorted(union)]


def which_read(read: Read) -> str:
    """Which read, for people."""
    when = "at an unknown time" if read.read_at is None else f"at {codec.describe_time(read.read_at)}"
    return f"{read.input or 'a read'} {when}"


def _deltas(
    config: ProfileSet,
    end_s: int,
    flags: int,
    statuses: Sequence[int],
    values: Sequence[int],
    previous: _Previous | None,
) -> list[int | None]:
    count = len(values)
    if (
        previous is None
        or previous.end_s + config.interval_s != end_s
        or flags & _CLOCK_SET
        or previous.config.channels != config.channels
        or previous.config.multiplier != config.multiplier
    ):
        return [None] * count
    out: list[int | None] = []
    for c, s in enumerate(config.channels):
        spoiled = (
            statuses[c] in _SPOILS_VALUE or statuses[c] in _SPOILS_INTERVAL or previous.statuses[c] in _SPOILS_VALUE
        )
        out.append(
            None if spoiled or not s.cumulative else _growth(config, s.id, s.energy, previous.values[c], values[c])
        )
    return out


#: Fwd - Rev Active Wh: a difference, which may fall.
_NET: Final = 7


def _growth(config: ProfileSet, id: int | None, energy: bool, before: int, now: int) -> int | None:
    growth = now - before
    if growth >= 0 or id == _NET:
        return growth
    if not energy or config.rollover_digits is None:
        return None
    # ET42 counts the digits in Wh (MEP guide p. 119). A fall of more than half the range is a rollover, else a reset.
    range_wh: int = 10**config.rollover_digits
    growth += range_wh
    return growth if 0 <= growth < range_wh // 2 else None
