"""``--tz``: the zone of naive time stamps in text logs."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Final

from ..errors import UsageError

__all__ = ["local_to_utc"]

_EPOCH: Final = dt.datetime(1970, 1, 1)
_OFFSET: Final = re.compile(r"([+-])(\d\d)(?::?(\d\d))?")


def local_to_utc(tz: str) -> Callable[[int], int]:
    """Turns a wall-clock time into UTC, both in microseconds since 1970-01-01 00:00.

    ``tz``: ``UTC``, ``Europe/Berlin``, ``+02:00``. A time that the clock skipped is taken as if it had not jumped yet,
    of one that it showed twice the first is taken. Raises: UsageError for a zone that is not known."""
    if tz.upper() == "UTC" or tz == "Z":
        return lambda micros: micros
    if (match := _OFFSET.fullmatch(tz)) and int(match[2]) < 24 and int(match[3] or 0) < 60:
        shift = (int(match[2]) * 3600 + int(match[3] or 0) * 60) * (1_000_000 if match[1] == "+" else -1_000_000)
        return lambda micros: micros - shift
    import zoneinfo

    try:
        zone = zoneinfo.ZoneInfo(tz)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            "usage.tz",
            f"unknown time zone {tz!r}",
            "give a name such as Europe/Berlin, or an offset such as +02:00; where the system knows no zones, pip "
            "install tzdata",
        ) from None

    def convert(micros: int) -> int:
        try:
            offset = (_EPOCH + dt.timedelta(microseconds=micros)).replace(tzinfo=zone).utcoffset()
        except OverflowError:
            return micros
        return micros if offset is None else micros - round(offset.total_seconds() * 1_000_000)

    return convert
