"""Times, sizes and byte counts as people write them."""

from __future__ import annotations

import datetime as _dt
import re
from functools import lru_cache

__all__ = ["MICROS", "human_count", "human_size", "parse_size", "rfc3339"]

MICROS = 1_000_000
"""Times travel as integer microseconds since 1970-01-01."""

_DAY = 86_400 * MICROS
_EPOCH = _dt.date(1970, 1, 1).toordinal()
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kKMGT]?)(i?)[bB]?\s*")


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    ordinal = _EPOCH + day
    if 1 <= ordinal <= _dt.date.max.toordinal():
        return _dt.date.fromordinal(ordinal).isoformat()
    # Beyond year 9999 the calendar repeats every 400 years of 146,097 days.
    cycles, rest = divmod(ordinal - 1, 146_097)
    date = _dt.date.fromordinal(rest + 1)
    year = date.year + 400 * cycles
    return f"{'-' if year < 0 else '+' if year > 9999 else ''}{abs(year):04}-{date.month:02}-{date.day:02}"


def rfc3339(micros: int, *, zone: str = "Z") -> str:
    """``2024-03-08T00:15:00Z``; a fraction (six digits) only where it is not zero; ``zone=""`` for local clocks."""
    day, rest = divmod(micros, _DAY)
    seconds, fraction = divmod(rest, MICROS)
    hours, seconds = divmod(seconds, 3600)
    tail = f".{fraction:06}" if fraction else ""
    return f"{_date(day)}T{hours:02}:{seconds // 60:02}:{seconds % 60:02}{tail}{zone}"


def parse_size(text: str) -> int:
    """Bytes of ``512MB``, ``1GiB``, ``1.5 GB`` or ``1000000``: powers of 1000, with ``i`` of 1024.

    Raises: ValueError for what is no size, or none above zero."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size; write one like 512MB or 1GiB")
    base = 1024 if match[3] else 1000
    size = int(float(match[1]) * base ** " KMGT".index(match[2].upper() or " "))
    if size <= 0:
        raise ValueError(f"{text!r} is not a size above zero")
    return size


def human_size(size: float) -> str:
    """``3.2 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def human_count(count: int) -> str:
    """``1,234,567``."""
    return f"{count:,}"
