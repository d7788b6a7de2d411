"""What people call a value: its name where the guides list one, with unit and scale, a date as a date."""

from __future__ import annotations

from datetime import date, datetime
from datetime import time as clock_time
from fractions import Fraction
from typing import Any, Final

from .. import codec
from ..layout import Field

__all__ = ["describe"]

#: More of the bytes of a field are not shown in words; they stand beside it in hex.
_SHOWN: Final = 48
_DATES: Final = frozenset({"stime_date", "ltime_date", "date", "ansi_date"})


def describe(row: Field, value: Any) -> str:
    """A decoded value of a row in words."""
    if row.enum is not None and isinstance(value, int) and not isinstance(value, bool):
        name = row.enum.get(value)
        number = _number(row, value)
        return f"{number} ({name})" if name else f"{number} (not listed)" if row.bits else number
    if isinstance(value, bool):
        name = None if row.enum is None else row.enum.get(int(value))
        text = "yes" if value else "no"
        return f"{text} ({name})" if name else text
    if row.type in _DATES and (value is None or isinstance(value, bytes)):
        if value is None or all(b == 0xFF for b in value):
            return "not set"
        return f"{value.hex(' ')} (no such date)"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}{_CLOCKS.get(row.clock, '')}"
    if isinstance(value, date | clock_time):
        return value.isoformat()
    if row.type == "rdate":
        return codec.recurring_date(value)
    if row.type == "u16_be" and row.name == "firmware":
        return codec.firmware(value)
    if isinstance(value, int):
        return _number(row, value)
    if isinstance(value, bytes):
        return "" if not any(value) and row.type == "octets" else value[:_SHOWN].hex(" ")
    if isinstance(value, list):
        return "bits " + ", ".join(map(str, value)) if value else "none"
    return repr(value) if isinstance(value, str) and row.type == "char" else str(value)


_CLOCKS: Final = {"utc": " UTC", "local": " local time"}


def _number(row: Field, value: int) -> str:
    unit = f" {row.unit}" if row.unit else ""
    try:
        scale = Fraction(row.scale) if row.scale else Fraction(1)
    except ValueError:
        return f"{value} × {row.scale}{unit}"
    if scale == 1:
        return f"{value}{unit}"
    return f"{float(value * scale):.10g}{unit} ({value})"
