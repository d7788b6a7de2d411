"""Values in table bytes: dates, text, digits, nibbles. What a layout's leaf says becomes a Python value here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

#: Returned for a date that is all zero or all FF: it was never set (contract, "Dates").
NOT_SET: Final = None


class ImpossibleDate(ValueError):
    """A date that does not exist, such as a 30th of February or hour 24."""


def seconds(raw: bytes | memoryview) -> int | None:
    """Seconds since 1970-01-01 of an STIME_DATE (5 bytes) or LTIME_DATE (6 bytes): 2-digit year, month, day, hour,
    minute and, in the long one, second; None if it is not set.

    Raises: ImpossibleDate. Source: Optical guide pp. 5-6.
    """
    if not any(raw) or all(b == 0xFF for b in raw):
        return NOT_SET
    try:
        when = datetime(2000 + raw[0], *raw[1:], tzinfo=UTC)  # type: ignore[misc]
    except ValueError as error:
        raise ImpossibleDate(describe_date(raw)) from error
    # A leap second has no place in a meter's clock, and datetime agrees.
    return (when - _EPOCH) // timedelta(seconds=1)


def describe_date(raw: bytes | memoryview) -> str:
    """A date as its fields stand, possible or not: ``2024-13-01 00:15``."""
    time = ":".join(f"{b:02}" for b in raw[3:])
    return f"{2000 + raw[0]}-{raw[1]:02}-{raw[2]:02} {time}"


def text(raw: bytes | memoryview) -> str:
    """CHAR: cut at NUL and stripped. ASCII (BT00.0 = 1) is a part of Latin-1 (2), which can read any byte."""
    return bytes(raw).split(b"\0", 1)[0].decode("latin-1").strip()


def digits(raw: bytes | memoryview) -> str:
    """BCD, two digits a byte, high one first; a nibble that is no digit stays a hex letter."""
    return bytes(raw).hex().upper()


def firmware(packed: int) -> str:
    """``3.50.01`` for the packed number of BT01: bits 15..12, 11..5, 4..0. Source: Optical guide p. 19."""
    return f"{packed >> 12}.{packed >> 5 & 0x7F:02}.{packed & 0x1F:02}"


def describe_time(microseconds: int) -> str:
    """A UTC time as people write it: ``2024-03-14T10:07:30Z``."""
    when = _EPOCH + timedelta(microseconds=microseconds)
    return when.isoformat().replace("+00:00", "Z")
