"""Values as people write them: a number, with its unit if they like, a listed name, yes or no, text, a date, hex digits.

The way back from what an explanation shows of a value (`explain.words`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from fractions import Fraction
from typing import Any, Final

from ..layout import Field

__all__ = ["hex_bytes", "understand"]

_INTEGER: Final = re.compile(r"[+-]?(?:[0-9]+|0[xX][0-9a-fA-F]+)")
_MEASURED: Final = re.compile(r"([+-]?[0-9]+(?:\.[0-9]+)?)\s*(\D.*)")
_BETWEEN: Final = re.compile(r"[\s:,-]+")
_YES: Final = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_NOT_SET: Final = frozenset({"not set", "none"})
#: Bytes of a moment that has no seconds.
_MINUTES: Final = 5


def understand(row: Field, type: str, size: int | None, text: str, bits: tuple[int, int] | None = None) -> Any:
    """The value that a text stands for in a field, as `values.encode_value` takes it.

    ``type``, ``size`` and ``bits`` are those of the field's leaf; ``size`` None: as many bytes as are given. A bare number is
    the one that is stored, as tables are read; with the row's unit behind it, it is a measure and the row's scale counts.
    Times without zone are UTC where the row counts UTC, else the meter's. Raises: ValueError, whose text says what is wanted.
    """
    if type == "bool":
        return _yes(row, text)
    match type:
        case "char":
            return _text(text, size)
        case "bcd":
            digits = _BETWEEN.sub("", text)
            if not re.fullmatch(r"[0-9a-fA-F]*", digits) or (
                len(digits) % 2 if size is None else len(digits) != 2 * size
            ):
                raise ValueError("an even number of digits" if size is None else f"{2 * size} digits")
            return digits
        case "set":
            return _set(text, size)
        case "stime_date" | "ltime_date":
            return _moment(row, text, size)
        case "date" | "ansi_date":
            return None if text.lower() in _NOT_SET else _day(text)
        case "time":
            return _clock(text)
        case "octets" | "ped":
            return _octets(text, size)
    return _number(row, type, size, text, bits)


def _yes(row: Field, text: str) -> bool:
    found = _listed(row.enum, text)
    if found is not None:
        return bool(found)
    if (known := _YES.get(text.lower())) is None:
        raise ValueError("true or false" + _names(row.enum))
    return known


def _text(text: str, size: int | None) -> str:
    try:
        long = size is not None and len(text.encode("latin-1")) > size
    except UnicodeEncodeError:
        raise ValueError("text of Latin-1") from None
    if long:
        raise ValueError(f"text of at most {size} characters")
    return text


def _set(text: str, size: int | None) -> list[int]:
    words = [word for word in re.split(r"[\s,]+", text.lower().removeprefix("bits")) if word]
    if words in ([], ["none"]):
        return []
    most = 8 * (size or 0)
    if not all(word.isascii() and word.isdigit() and (size is None or int(word) < most) for word in words):
        raise ValueError(f"the numbers of bits below {most} with commas between, or none")
    return [int(word) for word in words]


def _moment(row: Field, text: str, size: int | None) -> datetime | None:
    if text.lower() in _NOT_SET:
        return None
    utc = row.clock == "utc"
    try:
        found = datetime.fromisoformat(text.removesuffix(" UTC" if utc else " local time"))
    except ValueError:
        raise ValueError("a time like 2024-03-14T10:07:00, or none") from None
    if utc:
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    elif found.tzinfo is not None:
        raise ValueError("a time by the meter's own clock, without zone")
    if found.microsecond or (size == _MINUTES and found.second):
        raise ValueError("a time in whole minutes" if size == _MINUTES else "a time in whole seconds")
    return found


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("a date like 2024-03-14, or none") from None


def _clock(text: str) -> time:
    try:
        found = time.fromisoformat(text)
    except ValueError:
        found = time(microsecond=1)
    if found.tzinfo is not None or found.microsecond:
        raise ValueError("a time of day like 10:07:30")
    return found


def hex_bytes(text: str) -> bytes:
    """Bytes of hex digits, which may have spaces, colons, commas or dashes between, and 0x before. Raises: ValueError."""
    return bytes.fromhex(_BETWEEN.sub("", re.sub(r"(?i)\b0x", "", text)))


def _octets(text: str, size: int | None) -> bytes:
    wanted = "bytes as hex digits" if size is None else f"{size} bytes as hex digits"
    try:
        found = hex_bytes(text)
    except ValueError:
        raise ValueError(wanted) from None
    if size is not None and len(found) != size:
        raise ValueError(wanted)
    return found


def _number(row: Field, type: str, size: int | None, text: str, bits: tuple[int, int] | None) -> int:
    number = _stored(row, text)
    if bits is not None:
        least, most = 0, (1 << bits[1] - bits[0] + 1) - 1
    else:
        width = 8 * (size or 1)
        # Types that begin with i or n are signed.
        least, most = (-1 << width - 1, (1 << width - 1) - 1) if type[0] in "in" else (0, (1 << width) - 1)
    if number is None or not least <= number <= most:
        unit = f", or a measure in {row.unit}" if row.unit else ""
        raise ValueError(f"a number from {least} to {most}{unit}" + _names(row.enum))
    return number


def _stored(row: Field, text: str) -> int | None:
    """The number that is stored for a text; None: it is none."""
    plain = int(text, 16 if "x" in text.lower() else 10) if _INTEGER.fullmatch(text) else None
    listed = _listed(row.enum, text)
    if listed is not None:
        if plain is not None and plain != listed and plain in (row.enum or {}):
            raise ValueError(
                f"clear: it is the name of {listed} and a number of the list; write {listed:#x} or {plain:#x}"
            )
        return listed
    if plain is not None:
        return plain
    measured = _MEASURED.fullmatch(text)
    if measured is None or not row.unit or measured[2].strip() != row.unit:
        return None
    try:
        number = Fraction(measured[1]) / Fraction(row.scale or 1)
    except ValueError:  # a scale that the meter holds elsewhere
        return None
    if number.denominator != 1:
        raise ValueError(f"a multiple of {row.scale or 1} {row.unit}")
    return int(number)


def _listed(enum: Mapping[int, str] | None, text: str) -> int | None:
    """The number of a name in a row's list: the whole name, or as much of it as only one has."""
    wanted = text.strip().lower()
    if not enum or not wanted:
        return None
    for number, name in enum.items():
        if name.lower() == wanted:
            return number
    near = [number for number, name in enum.items() if name.lower().startswith(wanted)]
    return near[0] if len(near) == 1 and not _INTEGER.fullmatch(text) else None


def _names(enum: Mapping[int, str] | None) -> str:
    return "; listed are " + ", ".join(f"{number} = {name}" for number, name in enum.items()) if enum else ""
