"""M-Bus telegrams (EN 13757-3) as billing reads hold them: a head, then data records of DIF, VIF and data.

    head:    serial(4, BCD) manufacturer(2) version(1) medium(1) access(1) status(1) signature(2)
    record:  DIF [DIFE...10] VIF [VIFE...10] data        0F, 1F: the rest is the manufacturer's   2F: filler
    end:     a single 0
    fixed:   serial(4, BCD) access(1) status(1) units(2) counter(4) counter(4)

Damage: a record that reaches beyond the telegram, or whose length cannot be told, ends it; what came before stands. The
names and scales of values are the catalogue's (`catalog.mbus`). Source: MEP guide pp. 93-95, and the M-Bus documentation
4.8 that the guides refer to, sections 6.2 to 8.4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from ..catalog.mbus import FIXED_MEDIA, FIXED_UNITS, MEDIA, MODIFIERS, VIFS, Modifier, Vif

HEAD_SIZE: Final = 12
FIXED_SIZE: Final = 16
#: The most DIFE, and the most VIFE, of a record. M-Bus documentation, 6.3.2.
_MAX_EXTENSIONS: Final = 10
#: Modes of the configuration word that mean encrypted data; others are old devices' own signatures. EN 13757-7.
_ENCRYPTED: Final = frozenset({1, 2, 3, 4, 5, 7, 8, 9, 10, 13})
#: The modes that use DES, whose clear text has no check bytes; that of the others begins with two fillers.
_DES: Final = frozenset({2, 3})
_CHECK: Final = b"\x2f\x2f"

_VIFS: Final = {(v.table, code): v for v in VIFS for code in range(v.first, v.last + 1)}
_MODIFIERS: Final = {(m.table, m.code): m for m in MODIFIERS}
_FIXED_UNITS: Final = {code: v for v in FIXED_UNITS for code in range(v.first, v.last + 1)}
_FUNCTIONS: Final = ("", "max", "min", "error")
#: Bytes of the data by the lower half of the DIF; D says its length itself, F is no data record.
_LENGTHS: Final = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 4, 6: 6, 7: 8, 8: 0, 9: 1, 10: 2, 11: 3, 12: 4, 14: 6}
_REAL: Final = 5
_BLANK: Final = "\0 \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0"
#: The longest text that is looked for right behind a VIF of FC.
_LONGEST_UNIT: Final = 31


@dataclass(frozen=True, slots=True)
class Head:
    """Who sent a telegram. ``identity`` are its bytes that do not change from one telegram to the next."""

    manufacturer: str | None
    serial: str
    medium: str
    version: int | None
    status: int
    identity: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """One reading: ``raw`` are all its bytes."""

    quantity: str
    raw: bytes
    unit: str | None = None
    value: float | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Break:
    """Where a telegram cannot be read on, and why."""

    at: int
    code: str
    reason: str


class _Broken(Exception):
    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


def head_size(response_info: int) -> int:
    """The least that a telegram has: a head, or all of a fixed one."""
    return FIXED_SIZE if response_info & 2 else HEAD_SIZE


def parse(body: bytes, response_info: int, *, whole: bool) -> tuple[Head, list[Record], Break | None]:
    """A telegram of at least `head_size` bytes: its head, its records, and where it breaks off before its end.

    ``response_info``: bit 0 set: most significant byte first; bit 1: fixed structure; bits 2 and 5: see `is_encrypted`.
    ``whole``: the telegram is all there, so that its last byte is the 0 that ends it.
    """
    backwards = bool(response_info & 1)
    if response_info & 2:
        who, counters = fixed(body, backwards)
        return who, counters, None
    who = head(body, backwards)
    if is_encrypted(body, response_info):
        return who, [Record("encrypted", body)], None
    found, broken = records(body[HEAD_SIZE:], backwards, whole)
    return who, found, broken and replace(broken, at=broken.at + HEAD_SIZE)


def head(body: bytes, backwards: bool) -> Head:
    """The head of a telegram of variable structure; ``backwards``: most significant byte first (mode 2)."""
    serial, code = (body[a:b][::-1] if backwards else body[a:b] for a, b in ((0, 4), (4, 6)))
    number = int.from_bytes(code, "little")
    letters = "".join(chr(64 + (number >> shift & 0x1F)) for shift in (10, 5, 0))
    return Head(
        letters if number else None,
        _digits(serial),
        MEDIA.get(body[7]) or f"medium {body[7]}",
        body[6],
        body[9],
        body[:8],
    )


def is_encrypted(body: bytes, response_info: int) -> bool:
    """Whether the records are encrypted still: by the configuration word, and what the meter says of keys.

    Response info bit 2: the meter had the key and decrypted where necessary; bit 5: that failed.
    """
    word = int.from_bytes(body[10:12], "big" if response_info & 1 else "little")
    mode = word >> 8 & 0x1F
    if mode not in _ENCRYPTED:
        return False
    decrypted = response_info & 0x04 and not response_info & 0x20
    return not (decrypted and (mode in _DES or body[HEAD_SIZE : HEAD_SIZE + 2] == _CHECK))


def fixed(body: bytes, backwards: bool) -> tuple[Head, list[Record]]:
    """A telegram of fixed structure: its head and its two counters."""
    serial, *counters = (body[a:b][::-1] if backwards else body[a:b] for a, b in ((0, 4), (8, 12), (12, 16)))
    status, unit_1, unit_2 = body[5], body[6], body[7]
    medium = unit_1 >> 6 | (unit_2 >> 6) << 2
    who = Head(None, _digits(serial), FIXED_MEDIA.get(medium) or f"medium {medium}", None, status, body[:4] + body[6:8])
    records = []
    for i, (unit, counter) in enumerate(((unit_1, counters[0]), (unit_2, counters[1]))):
        code = unit & 0x3F
        stored = bool(status & 2)
        if i == 1 and code == 0x3E:
            code, stored = unit_1 & 0x3F, True
        meaning = _Meaning.of(_FIXED_UNITS.get(code) or Vif("", code, code, f"unit {code:02X}"), code)
        meaning.storage = int(stored)
        value, text = meaning.integer(counter) if status & 1 else meaning.bcd(counter)
        at = 8 + 4 * i
        records.append(Record(meaning.name(), body[at : at + 4], meaning.unit, value, text))
    return who, records


def records(data: bytes, backwards: bool, whole: bool) -> tuple[list[Record], Break | None]:
    """The data records behind a head, up to where they break off; ``whole`` as in `parse`."""
    out: list[Record] = []
    at = 0
    while at < len(data):
        dif = data[at]
        if dif == 0x2F:
            at += 1
            continue
        if dif == 0 and not any(data[at:]):
            break
        if dif in (0x0F, 0x1F):
            end = len(data) - int(whole and len(data) - at > 1 and data[-1] == 0)
            out.append(Record("manufacturer data", data[at:end]))
            break
        try:
            record, at = _record(data, at, backwards)
        except _Broken as error:
            return out, Break(at, error.code, error.reason)
        out.append(record)
    return out, None


@dataclass(slots=True)
class _Meaning:
    """What DIF and VIF say of the data."""

    vif: Vif
    unit: str | None
    exponent: int
    kind: str
    words: list[str] = field(default_factory=list)
    function: int = 0
    storage: int = 0
    tariff: int = 0
    subunit: int = 0
    offsets: list[int] = field(default_factory=list)
    error: str | None = None

    @classmethod
    def of(cls, vif: Vif, code: int) -> _Meaning:
        return cls(vif, vif.unit, vif.exponent + code - vif.first, vif.kind)

    def modify(self, m: Modifier) -> None:
        """Take a modifier into account."""
        if m.effect == "error":
            self.error = self.error or m.word
            return
        if m.word:
            self.words.append(m.word)
        match m.effect:
            case "unit":
                self.unit = (self.unit or "1") + m.unit
            case "count" | "duration":
                self.unit, self.exponent, self.kind = m.unit, 0, "number"
            case "date":
                self.unit, self.kind = None, "date"
            case "factor":
                self.exponent += m.exponent
            case "offset":
                self.offsets.append(m.exponent + self.vif.base)
            case "foreign":
                self.unit, self.exponent = None, 0

    def name(self) -> str:
        """The quantity in the words of docs/what-is-decoded.md."""
        words = [self.vif.quantity, *self.words]
        if self.function:
            words.append(_FUNCTIONS[self.function])
        for word, number in (("storage", self.storage), ("tariff", self.tariff), ("subunit", self.subunit)):
            if number:
                words.append(f"{word} {number}")
        return " ".join(words)

    def number(self, value: float) -> float:
        """An integer or real as the value in the unit."""
        if self.kind in ("identity", "flags"):
            return value
        value = scaled(value, self.exponent)
        for exponent in self.offsets:
            value += scaled(1.0, exponent)
        return value

    def integer(self, data: bytes) -> tuple[float | None, str | None]:
        """A binary number, least significant byte first."""
        if self.kind == "date":
            return None, moment(data)
        if not data:
            return None, None
        return self.number(float(int.from_bytes(data, "little", signed=self.kind == "number"))), None

    def bcd(self, data: bytes) -> tuple[float | None, str | None]:
        """Digits, the last ones first; F before the first is a minus; with other letters they are no number."""
        digits = _digits(data)
        bare = digits[1:] if digits.startswith("F") else digits
        plain = bare.isdecimal() or not bare
        if self.kind == "date" or not plain:
            return None, digits or None
        if not digits:
            return None, None
        number = int(bare or "0")
        text = digits if self.kind == "identity" else None
        return self.number(float(-number if digits.startswith("F") else number)), text


def scaled(value: float, exponent: int) -> float:
    """``value`` times ten to the ``exponent``, rounded once where the power is exact."""
    return value * _power(exponent) if exponent >= 0 else value / _power(-exponent)


def _power(exponent: int) -> float:
    # The nearest number to the power, which pow need not give and Rust's must equal.
    return float(f"1e{exponent}")


def _record(data: bytes, start: int, backwards: bool) -> tuple[Record, int]:
    at = start
    dif = data[at]
    if dif & 0x0F == 0x0F:
        raise _Broken("mbus.dif", f"DIF {dif:02X} is reserved")
    at += 1
    storage, tariff, subunit = dif >> 6 & 1, 0, 0
    for n, dife in enumerate(extensions := _extensions(data, at, bool(dif & 0x80))):
        storage |= (dife & 0x0F) << (1 + 4 * n)
        tariff |= (dife >> 4 & 3) << 2 * n
        subunit |= (dife >> 6 & 1) << n
    at += len(extensions)
    meaning, at = _meaning(data, at, backwards)
    meaning.function, meaning.storage, meaning.tariff, meaning.subunit = dif >> 4 & 3, storage, tariff, subunit
    before = at
    value, text, at = _data(data, at, dif & 0x0F, meaning, backwards)
    shown = at
    if meaning.kind == "secret":
        value, text, shown = None, None, before
    if meaning.error is not None:
        value, text = None, meaning.error
    return Record(meaning.name(), data[start:shown], meaning.unit, value, text), at


def _extensions(data: bytes, at: int, more: bool) -> bytes:
    """The extension bytes from ``at`` on: each says in bit 7 whether another follows."""
    start = at
    while more:
        if at - start == _MAX_EXTENSIONS:
            raise _Broken("mbus.extensions", f"more than {_MAX_EXTENSIONS} extensions")
        more = bool(_byte(data, at) & 0x80)
        at += 1
    return data[start:at]


def _byte(data: bytes, at: int) -> int:
    return _bytes(data, at, 1)[0]


def _bytes(data: bytes, at: int, size: int) -> bytes:
    if len(data) - at < size:
        raise _Broken("mbus.record_incomplete", "the record reaches beyond the end of its telegram")
    return data[at : at + size]


def _meaning(data: bytes, at: int, backwards: bool) -> tuple[_Meaning, int]:
    vif = _byte(data, at)
    at += 1
    code = vif & 0x7F
    if code == 0x7C:
        return _plain_text(data, at, bool(vif & 0x80), backwards)
    extensions = _extensions(data, at, bool(vif & 0x80))
    at += len(extensions)
    table = f"{vif:02X}" if vif in (0xFB, 0xFD) else ""
    if table:
        code = extensions[0] & 0x7F
        extensions = extensions[1:]
    if code == 0x7F and not table:
        return _Meaning.of(Vif("", code, code, _specific(extensions)), code), at
    meaning = _Meaning.of(_VIFS.get((table, code)) or Vif(table, code, code, f"VIF {table}{code:02X}"), code)
    _modify(meaning, extensions)
    return meaning, at


def _specific(extensions: bytes) -> str:
    """A manufacturer's own meaning, told apart by the extensions that follow."""
    return f"manufacturer specific {extensions.hex().upper()}".rstrip()


def _plain_text(data: bytes, at: int, more: bool, backwards: bool) -> tuple[_Meaning, int]:
    """A unit in words. Devices send it right behind the VIF; by later editions of the standard it follows the VIFEs."""
    first = _extensions(data, at, True) if more and not _is_unit(data, at) else b""
    at += len(first)
    size = _byte(data, at)
    unit = _text(_bytes(data, at + 1, size), backwards)
    at += 1 + size
    behind = _extensions(data, at, more and not first)
    meaning = _Meaning.of(Vif("", 0x7C, 0x7C, "plain text", unit or None), 0x7C)
    _modify(meaning, first or behind)
    return meaning, at + len(behind)


def _is_unit(data: bytes, at: int) -> bool:
    size = _byte(data, at)
    text = data[at + 1 : at + 1 + size]
    return 0 < size <= _LONGEST_UNIT and len(text) == size and all(0x20 <= b <= 0x7E or b >= 0xA0 for b in text)


def _modify(meaning: _Meaning, extensions: Sequence[int]) -> None:
    codes = iter(extensions)
    for vife in codes:
        table, code = "", vife & 0x7F
        if vife == 0xFC:
            table, code = "FC", next(codes, 0x80) & 0x7F
        elif code == 0x7F:
            meaning.words.append(_specific(bytes(codes)))
            return
        modifier = _MODIFIERS.get((table, code))
        if modifier is not None:
            meaning.modify(modifier)
        elif code:
            meaning.words.append(f"VIFE {table}{code:02X}")


def _data(
    data: bytes, at: int, coding: int, meaning: _Meaning, backwards: bool
) -> tuple[float | None, str | None, int]:
    if coding == 0x0D:
        return _variable(data, at, meaning, backwards)
    size = _LENGTHS[coding]
    raw = _bytes(data, at, size)
    at += size
    raw = raw[::-1] if backwards else raw
    if coding == _REAL:
        value = struct.unpack("<f", raw)[0]
        # Not a number, and infinity, are no values.
        usable = value - value == 0 and meaning.kind != "date"
        return (meaning.number(value) if usable else None), None, at
    value, text = meaning.bcd(raw) if coding > 8 else meaning.integer(raw)
    return value, text, at


def _variable(data: bytes, at: int, meaning: _Meaning, backwards: bool) -> tuple[float | None, str | None, int]:
    """Data that says its own length (LVAR): text, digits or a binary number."""
    lvar = _byte(data, at)
    at += 1
    if lvar < 0xC0:
        return None, _text(_bytes(data, at, lvar), backwards), at + lvar
    size = next(_sizes(lvar), None)
    if size is None:
        raise _Broken("mbus.lvar", f"length {lvar:02X} of variable data is reserved")
    raw = _bytes(data, at, size)
    at += size
    raw = raw[::-1] if backwards else raw
    if lvar < 0xE0:
        value, text = meaning.bcd(raw)
        return (-value if value and lvar >= 0xD0 else value), text, at
    value, text = meaning.integer(raw) if size <= 8 else (None, None)
    return value, text, at


def _sizes(lvar: int) -> Iterator[int]:
    for first, last, size in (
        (0xC0, 0xC9, lvar - 0xC0),
        (0xD0, 0xD9, lvar - 0xD0),
        (0xE0, 0xEF, lvar - 0xE0),
        (0xF0, 0xF4, 4 * (lvar - 0xEC)),
        (0xF5, 0xF5, 48),
        (0xF6, 0xF6, 64),
    ):
        if first <= lvar <= last:
            yield size


def _digits(data: bytes) -> str:
    return data[::-1].hex().upper()


def _text(data: bytes, backwards: bool) -> str:
    """Text, whose last character comes first in mode 1."""
    return (data if backwards else data[::-1]).decode("latin-1").strip(_BLANK)


def moment(data: bytes) -> str | None:
    """A date, a time or both, least significant byte first, in ISO 8601; None if it is not set or does not exist.

    By the length: 2 bytes type G (date), 3 type J (time), 4 type F (to the minute), 6 type I (to the second).
    """
    b = data
    match len(b):
        case 2:
            return _date(b[0] & 0x1F, b[1] & 0x0F, _century(b[0] >> 5 | b[1] >> 4 << 3, 0))
        case 3:
            return _time(b[2] & 0x1F, b[1] & 0x3F, b[0] & 0x3F)
        case 4:
            if b[0] & 0x80:
                return None
            day = _date(b[2] & 0x1F, b[3] & 0x0F, _century(b[2] >> 5 | b[3] >> 4 << 3, b[1] >> 5 & 3))
            time = _time(b[1] & 0x1F, b[0] & 0x3F, 0)
        case 6:
            if b[1] & 0x80:
                return None
            day = _date(b[3] & 0x1F, b[4] & 0x0F, 2000 + (b[3] >> 5 | b[4] >> 4 << 3))
            time = _time(b[2] & 0x1F, b[1] & 0x3F, b[0] & 0x3F)
        case _:
            return None
    return f"{day}T{time}" if day and time else None


def _century(year: int, hundreds: int) -> int:
    """The year of two digits; without hundreds it is 1981 to 2080. Beyond 99 there is none: 0."""
    if year > 99:
        return 0
    return 1900 + 100 * hundreds + year + (100 if hundreds == 0 and year <= 80 else 0)


def _date(day: int, month: int, year: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def _time(hour: int, minute: int, second: int) -> str | None:
    if hour > 23 or minute > 59 or second > 59:
        return None
    return f"{hour:02}:{minute:02}:{second:02}"
