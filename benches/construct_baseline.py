"""The load profile decoded with construct, its compiled structures, into lists of the same columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import construct as cs


@cache
def table(blocks: int, intervals: int, channels: int) -> Any:
    """BT64 as construct says it, compiled."""
    interval = cs.Struct("status" / cs.Bytes(channels // 2 + 1), "value" / cs.Int32sl[channels])
    block = cs.Struct("end" / cs.Bytes(5), "simple" / cs.Bytes((intervals + 7) // 8), "interval" / interval[intervals])
    return block[blocks].compile()


@cache
def small_tables() -> tuple[Any, Any]:
    """BT61 and BT63, compiled."""
    dims = cs.Struct(
        cs.Bytes(7), "blocks" / cs.Int16ul, "intervals" / cs.Int16ul, "channels" / cs.Byte, "minutes" / cs.Byte
    )
    state = cs.Struct(cs.Byte, "valid" / cs.Int16ul, "last" / cs.Int16ul, "sequence" / cs.Int32ul)
    return dims.compile(), state.compile()


def long(label: str, tables: dict[int, bytes]) -> dict[str, list[Any]]:
    """One row per interval and channel; complete blocks and blocks cut short, no grid."""
    dims_type, state_type = small_tables()
    dims, state = dims_type.parse(tables[61]), state_type.parse(tables[63])
    blocks = table(dims.blocks, dims.intervals, dims.channels).parse(tables[64])
    sources = tables[62][1 : 3 * dims.channels : 3]
    names = ["meter", "block", "interval", "interval_end", "channel", "source", "value", "status", "flags"]
    out: dict[str, list[Any]] = {name: [] for name in names}
    columns = [out[name] for name in names]
    step = timedelta(minutes=dims.minutes)
    for age in range(state.valid - 1, -1, -1):
        block = blocks[(state.last - age) % dims.blocks]
        year, month, day, hour, minute = block.end
        simple = int.from_bytes(block.simple, "little")
        start = datetime(2000 + year, month, day, hour, minute, tzinfo=UTC) - step * simple.bit_length()
        for i, interval in enumerate(block.interval):
            if not simple >> i & 1:
                continue
            end = start + step * (i + 1)
            status = interval.status
            for channel in range(dims.channels):
                k = channel + 1
                nibble = status[k // 2] >> 4 if k % 2 == 0 else status[k // 2] & 15
                row = (
                    label,
                    state.sequence - age,
                    i,
                    end,
                    channel,
                    sources[channel],
                    interval.value[channel],
                    nibble,
                    status[0] >> 4,
                )
                for column, cell in zip(columns, row, strict=True):
                    column.append(cell)
    return out
