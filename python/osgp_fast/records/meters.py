"""Meters: who made it, what it is called, its firmware, and the tables that were seen of it; one row per meter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from .. import codec
from ..image import Read
from ._meter import Meter

NEEDS: Final = frozenset({"BT00", "BT01", "ET03"})
#: Where the serial number stands as 16 characters instead of 8 BCD bytes (BT00.1.5 = 0).
_SERIAL: Final = (16, 16)


def decode(meter: Meter) -> Iterator[dict[str, list[Any]]]:
    """The row of a meter. Source: BT00, BT01 (Optical guide pp. 19, 48), ET03 (p. 18)."""
    identity = meter.newest("BT01") or meter.newest("ET03")
    view = meter.view_latest()
    firmware = view.find("BT01", "firmware")
    serial: str | None
    if view.find("BT00", "format_control_2.identification_format") == 0:
        read = meter.newest("BT01")
        raw = None if read is None else read.get(*_SERIAL)
        serial = None if raw is None else codec.text(raw)
    else:
        raw = view.octets("BT01", "serial")
        serial = None if raw is None else codec.digits(raw)
    yield {
        "meter": [meter.label],
        "utility_serial": [view.text("ET03", "utility_serial")],
        "manufacturer": [view.text("BT01", "manufacturer")],
        "model": [view.text("BT01", "model")],
        "manufacturer_serial": [serial],
        "firmware": [None if firmware is None else codec.firmware(firmware)],
        "tables": [meter.tables],
        "read_at": [_read_at(identity)],
    }


def _read_at(read: Read | None) -> int | None:
    return None if read is None else read.read_at
