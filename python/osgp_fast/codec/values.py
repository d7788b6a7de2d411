"""Values in table bytes, type by type, and back: numbers, dates, text, digits, sets.

What `decode_value` makes of some bytes, `encode_value` turns into the same bytes again, always: a date that does not exist
stays bytes, text keeps what stands behind its last NUL. The types are those of the guides (Optical guide pp. 5-7, MEP
guide pp. 40-42):

| type | value |
| --- | --- |
| UINT, INT, NI_FMAT, UINT(x..y) | int |
| BOOL | bool |
| CHAR | str, Latin-1, without the NULs at its end |
| BCD | str of hex digits, two a byte |
| SET | list of the numbers of the bits that are set |
| STIME_DATE, LTIME_DATE | datetime, with time zone where the guides say UTC; None where all bytes are 0; else bytes |
| DATE, ANSI_DATE | date; None where 0; else bytes |
| TIME | time; bytes where there is no such time |
| RDATE | int, see `recurring_date` |
| PED and all others | bytes |
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from .._numbers import integer_at

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


def decode_value(type: str, raw: bytes, bits: tuple[int, int] | None = None, clock: str = "") -> Any:
    """The value of a catalogue type in some bytes; see the module for which Python type it has."""
    if bits is not None:
        low, high = bits
        value = int.from_bytes(raw, "little") >> low & (1 << high - low + 1) - 1
        return bool(value) if type == "bool" else value
    match type:
        case "char":
            return raw.rstrip(b"\0").decode("latin-1")
        case "bcd":
            return digits(raw)
        case "set":
            word = int.from_bytes(raw, "little")
            return [n for n in range(8 * len(raw)) if word >> n & 1]
        case "stime_date" | "ltime_date":
            return _moment(raw, clock)
        case "date":
            return _day(raw, raw[0], raw[1], raw[2])
        case "ansi_date":
            word = int.from_bytes(raw, "little")
            return _day(raw, word & 0x7F, word >> 7 & 0xF, word >> 11)
        case "time":
            try:
                return time(*raw)
            except ValueError:
                return bytes(raw)
        case "rdate":
            return int.from_bytes(raw, "little")
    number = integer_at(type, raw, None)
    return bytes(raw) if number is None else number


def _moment(raw: bytes, clock: str) -> datetime | bytes | None:
    if not any(raw):
        return None
    try:
        return datetime(2000 + raw[0], *raw[1:], tzinfo=UTC if clock == "utc" else None)  # type: ignore[misc]
    except ValueError:
        return bytes(raw)


def _day(raw: bytes, year: int, month: int, day: int) -> date | bytes | None:
    if not any(raw):
        return None
    try:
        return date(2000 + year, month, day)
    except ValueError:
        return bytes(raw)


def encode_value(type: str, size: int, value: Any) -> bytes:
    """The ``size`` bytes of a value of a catalogue type. Raises: ValueError or TypeError where it is none."""
    if isinstance(value, bytes | bytearray | memoryview):
        return _fit(bytes(value), size)
    match type:
        case "char":
            return _fit(str(value).encode("latin-1"), size)
        case "bcd":
            return _fit(bytes.fromhex(value), size)
        case "set":
            word = 0
            for n in value:
                word |= 1 << n
            return word.to_bytes(size, "little")
        case "stime_date" | "ltime_date":
            if value is None:
                return bytes(size)
            if not 2000 <= value.year <= 2255:
                raise ValueError("a year in a table is one of 2000 to 2255")
            parts = (value.year - 2000, value.month, value.day, value.hour, value.minute, value.second)
            return bytes(parts[:size])
        case "date" | "ansi_date":
            if value is None:
                return bytes(size)
            if type == "date":
                return bytes((value.year - 2000, value.month, value.day))
            if not 2000 <= value.year <= 2127:
                raise ValueError("a year of an ANSI_DATE is one of 2000 to 2127")
            return int(value.year - 2000 | value.month << 7 | value.day << 11).to_bytes(2, "little")
        case "time":
            return bytes((value.hour, value.minute, value.second))
        case "u16_be":
            return int(value).to_bytes(size, "big")
        case "octets" | "ped":
            raise TypeError("bytes are needed")
    return int(value).to_bytes(size, "little", signed=type[0] in "in")


def _fit(raw: bytes, size: int) -> bytes:
    if len(raw) > size:
        raise ValueError(f"{len(raw)} bytes do not fit into {size}")
    return raw.ljust(size, b"\0")


_OFFSETS: Final = (
    "",
    "the {weekday} before {day}",
    "the first {weekday} on or after {day}",
    "the second {weekday} on or after {day}",
    "the third {weekday} on or after {day}",
    "the fourth {weekday} on or after {day}",
    "the last {weekday} of the month on or after {day}",
    "{day} and the day after",
    "{day}, Monday if it is a Sunday",
    "{day}, Friday if it is a Sunday",
    "{day}, Monday if it is a Saturday",
    "{day}, Friday if it is a Saturday",
    "{day}, Monday if it is at a weekend",
    "{day}, Friday if it is at a weekend",
    "{day}, Monday if it is a Sunday, Friday if it is a Saturday",
    "the day after {day}",
)
_WEEKDAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "no weekday")


def recurring_date(word: int) -> str:
    """An RDATE in words: ``the last Sunday of the month on or after 25 March``. Source: MEP guide pp. 41-42."""
    month, offset, weekday, day = word & 15, word >> 4 & 15, _WEEKDAYS[word >> 8 & 7], word >> 11
    match month:
        case 0:
            return "not assigned"
        case 14:
            return f"every {weekday}"
        case 15:
            return f"period {word >> 4 & 63}, delta {word >> 10}"
        case 13:
            when = f"day {day} of every month"
        case _:
            when = f"{day} {date(2000, month, 1):%B}"
    text = _OFFSETS[offset].format(weekday=weekday, day=when)
    return text or when
