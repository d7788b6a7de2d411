"""Alarms: BT03 becomes one row per alarm that the guides name, set or not, and one per bit that is set without a name.

Byte 0 holds modes (metering, test, meter shop), which are no alarms. The manufacturer's alarms are BT00.17 bytes from byte
4 on. Every read is a row set of its own. Source: Optical guide, BT03, pp. 45-47.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..catalog import alarms
from ..columns import columns
from ..image import Read
from ._meter import Meter, Options, missing, reject

NEEDS: Final = frozenset({"BT00", "BT03"})
_NAMES: Final = {(byte, bit): name for byte, bit, name in alarms()}
#: Bytes that every BT03 has: modes, two of standard alarms, extended alarms.
_FIXED: Final = 4
#: BT00.17 as the MEP guide gives it (p. 198).
_DEFAULT: Final = 9


def decode(meter: Meter, options: Options) -> Iterator[dict[str, list[Any]]]:
    """The rows of a meter."""
    rows: dict[str, list[Any]] = {c.name: [] for c in columns("alarms")}
    for read in meter.reads.get("BT03", ()):
        for byte in range(1, _length(meter, read, options)):
            if (raw := read.get(byte, 1)) is not None:
                _add(rows, meter, read, byte, raw[0])
    if rows["meter"]:
        yield rows


def _length(meter: Meter, read: Read, options: Options) -> int:
    """The bytes of the table: by BT00.17, else those of a whole read; of a partial one those that are always there."""
    declared = meter.view(read).find("BT00", "manufacturer_status_length")
    if declared is None:
        if read.whole:
            return read.end
        if options.assume_defaults:
            meter.assumed = meter.assumed or read.end > _FIXED
            return _FIXED + _DEFAULT
        if read.end > _FIXED:
            missing(meter, read, "BT00")
        return _FIXED
    length = _FIXED + declared
    if read.whole and read.end < length:
        reject(
            meter,
            read,
            "table.too_short",
            f"BT03 ends after {read.end} bytes, and BT00.17 makes it {length}; read BT03 and BT00 again",
            item=f"byte {read.end}",
            offset=read.end,
            data=b"",
        )
    return length


def _add(rows: dict[str, list[Any]], meter: Meter, read: Read, byte: int, value: int) -> None:
    for bit in range(8):
        active = bool(value >> bit & 1)
        name = _NAMES.get((byte, bit))
        if name is None:
            if not active:
                continue
            name = f"reserved {byte}.{bit}"
        rows["meter"].append(meter.label)
        rows["alarm"].append(name)
        rows["table"].append("BT03")
        rows["byte"].append(byte)
        rows["bit"].append(bit)
        rows["active"].append(active)
        rows["read_at"].append(read.read_at)
