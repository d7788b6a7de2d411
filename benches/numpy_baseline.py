"""The load profile decoded with NumPy as well as we can write it: structured dtypes over the block, no loop over rows.

It reads BT61, BT62, BT63 and BT64 of each meter, places the intervals by the same rule and gives the same columns;
repeated strings are codes into a list, as dictionary arrays are. It leaves out what the package does besides: end
readings, scalars, contradictions, partial reads, bad input. Meters are taken one at a time, which keeps the arrays in
the cache and was faster than stacking many meters.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[np.generic]]
# quantity, unit, obis by source: codes into these, as in a dictionary array
NAMES = ["fwd_active_wh", "rev_active_wh", "import_reactive_varh", "export_reactive_varh"]
UNIT_CODE = np.array([0, 0, 1, 1], np.int32)
MAX_CHANNELS = 16

HEAD = np.dtype([("end", "u1", 5)])
SET = np.dtype([("blocks", "<u2"), ("intervals", "<u2"), ("channels", "u1"), ("minutes", "u1")])
STATE = np.dtype(
    [("flags", "u1"), ("valid", "<u2"), ("last", "<u2"), ("sequence", "<u4"), ("unread", "<u2"), ("recorded", "<u2")]
)


@cache
def block_dtype(intervals: int, channels: int) -> np.dtype[np.void]:
    """A block: end time, a bit per interval, and per interval the nibbles and values."""
    interval = np.dtype([("status", "u1", (channels // 2 + 1,)), ("value", "<i4", (channels,))])
    return np.dtype(
        [("end", "u1", (5,)), ("simple", "u1", ((intervals + 7) // 8,)), ("interval", interval, (intervals,))]
    )


@cache
def month_starts() -> NDArray[np.int64]:
    """Days since 1970 of the first of every month of 2000..2099."""
    return np.arange("2000-01", "2100-01", dtype="M8[M]").astype("M8[D]").astype(np.int64)


def minutes_of(end: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Minutes since 1970 of STIME_DATE fields."""
    f = end.astype(np.int64)
    days = month_starts()[f[:, 0] * 12 + f[:, 1] - 1] + f[:, 2] - 1
    return days * 1440 + f[:, 3] * 60 + f[:, 4]


class Blocks:
    """What both shapes need of a meter: blocks oldest first, where each starts, which intervals are there."""

    def __init__(self, tables: dict[int, bytes]) -> None:
        dims = np.frombuffer(tables[61], SET, count=1, offset=7)[0]
        state = np.frombuffer(tables[63], STATE, count=1)[0]
        self.n, self.channels = int(dims["intervals"]), int(dims["channels"])
        self.step = 1440 if dims["minutes"] == 84 else int(dims["minutes"])
        capacity, valid, last = int(dims["blocks"]), int(state["valid"]), int(state["last"])
        every = np.frombuffer(tables[64], block_dtype(self.n, self.channels), count=capacity)
        order = np.arange(last - valid + 1, last + 1) % capacity
        self.blocks = every[order]
        self.sequence = int(state["sequence"]) - valid + 1 + np.arange(valid, dtype=np.int64)
        self.sources = np.frombuffer(tables[62], np.uint8)[1 : 3 * self.channels : 3].astype(np.int32)

        bits = np.unpackbits(self.blocks["simple"], axis=1, count=self.n, bitorder="little").view(bool)
        ends = minutes_of(self.blocks["end"])
        highest = self.n - 1 - bits[:, ::-1].argmax(axis=1)
        length = self.n * self.step
        full, cut = ends - length, ends - (highest + 1) * self.step
        # On the grid of the neighbouring blocks: where another block starts, a whole number of blocks away.
        on_grid = np.roll(full, 1) % length
        start = np.where((full % length == on_grid) & (cut % length != on_grid), full, cut)
        self.bits = bits
        self.end = (start[:, None] + self.step * np.arange(1, self.n + 1)) * 60_000_000


def wide(code: int, tables: dict[int, bytes]) -> Columns:
    """One row per interval; channels that the meter has not are null, here zero."""
    b = Blocks(tables)
    keep = b.bits
    every = keep.all()
    interval = b.blocks["interval"] if every else b.blocks["interval"][keep]
    rows = int(keep.sum())
    shape = keep.shape
    pick = (lambda a: a.reshape(-1)) if every else (lambda a: a[keep])
    status = interval["status"].reshape(rows, -1)
    value = interval["value"].reshape(rows, -1)
    out: Columns = {
        "meter": np.full(rows, code, np.int32),
        "data_set": np.full(rows, 1, np.int8),
        "block": pick(np.broadcast_to(b.sequence[:, None], shape)),
        "interval": pick(np.broadcast_to(np.arange(b.n, dtype=np.int32), shape)),
        "interval_end": pick(b.end),
        "interval_s": np.full(rows, b.step * 60, np.int32),
    }
    for channel in range(MAX_CHANNELS):
        there = channel < b.channels
        out[f"value_{channel}"] = value[:, channel].astype(np.int64) if there else np.zeros(rows, np.int64)
    for channel in range(MAX_CHANNELS):
        out[f"status_{channel}"] = nibble(status, channel + 1) if channel < b.channels else np.zeros(rows, np.int8)
    out["flags"] = nibble(status, 0)
    out["read_at"] = np.zeros(rows, np.int64)
    return out


def nibble(status: NDArray[np.uint8], k: int) -> NDArray[np.int8]:
    """Nibble k of every row, the high one first."""
    byte = status[:, k // 2]
    return (byte >> 4 if k % 2 == 0 else byte & 15).astype(np.int8)


def long(code: int, tables: dict[int, bytes]) -> Columns:
    """One row per interval and channel."""
    b = Blocks(tables)
    keep = b.bits
    every = keep.all()
    interval = b.blocks["interval"] if every else b.blocks["interval"][keep]
    rows, channels = int(keep.sum()), b.channels
    status = interval["status"].reshape(rows, -1)
    pick = (lambda a: a.reshape(-1)) if every else (lambda a: a[keep])

    def spread(column: NDArray[np.generic]) -> NDArray[np.generic]:
        return np.repeat(column, channels)

    nibbles = np.empty((rows, status.shape[1] * 2), np.int8)
    nibbles[:, 0::2] = status >> 4
    nibbles[:, 1::2] = status & 15
    return {
        "meter": np.full(rows * channels, code, np.int32),
        "data_set": np.full(rows * channels, 1, np.int8),
        "block": spread(pick(np.broadcast_to(b.sequence[:, None], keep.shape))),
        "interval": spread(pick(np.broadcast_to(np.arange(b.n, dtype=np.int32), keep.shape))),
        "interval_end": spread(pick(b.end)),
        "interval_s": np.full(rows * channels, b.step * 60, np.int32),
        "channel": np.tile(np.arange(channels, dtype=np.int8), rows),
        "source": np.tile(b.sources, rows),
        "quantity": np.tile(b.sources, rows),
        "unit": np.tile(UNIT_CODE[b.sources], rows),
        "obis": np.tile(b.sources, rows),
        "value": interval["value"].reshape(-1).astype(np.int64),
        "multiplier": np.zeros(rows * channels, np.int32),
        "status": nibbles[:, 1 : channels + 1].reshape(-1),
        "flags": spread(nibbles[:, 0]),
        "read_at": np.zeros(rows * channels, np.int64),
    }


def decode(meters: list[dict[int, bytes]], shape: str) -> Iterator[Columns]:
    """The columns of meter after meter."""
    one = wide if shape == "wide" else long
    for code, tables in enumerate(meters):
        yield one(code, tables)
