"""Where the serial numbers stand in M-Bus telegrams as ET16 keeps them: in the head, and in records of identity.

Encrypted records stay as they are: nobody can read them without the key, and after the serial number in the head has
changed the key does not fit any more. Source: MEP guide pp. 93-95; EN 13757-3 as in ``catalog/mbus.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from ..catalog import mbus

__all__ = ["Place", "places"]

#: Bytes of the serial number behind the length byte, and of a head of variable structure with that byte.
_SERIAL: Final = 4
_VARIABLE_HEAD: Final = 13
#: Bits of the signature that say how records are encrypted.
_ENCRYPTED: Final = 0x1F00
#: Bytes of a value by the low four bits of its DIF; D is followed by its length.
_SIZES: Final = (0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, None, 6, None)
_BCD: Final = frozenset((0x9, 0xA, 0xB, 0xC, 0xE))
_VARIABLE: Final = 0xD
_SPECIAL: Final = 0xF
_FILLER: Final = 0x2F
_MORE: Final = 0x80
_PLAIN_TEXT: Final = 0x7C
#: Records that say who or where somebody is, or what opens something.
_PRIVATE: Final = frozenset(
    (vif.table, code)
    for vif in mbus.VIFS
    if vif.quantity
    in (
        "fabrication number",
        "identification",
        "customer location",
        "customer",
        "access code user",
        "access code operator",
        "access code system operator",
        "access code developer",
        "password",
    )
    for code in range(vif.first, vif.last + 1)
)


class Place(NamedTuple):
    """Bytes that tell who a device is."""

    at: int
    size: int
    form: Literal["bcd", "number", "text", "rest"]
    low_first: bool = True


def places(data: bytes, info: int) -> Iterator[Place]:
    """The places in some telegrams, each behind its length byte; ``info`` is their Response Info (ET16).

    What stands behind the last one may be left of older reads: the last place then says ``rest``.
    """
    low_first, fixed, decrypted = not info & 1, bool(info & 2), bool(info & 4) and not info & 0x20
    at = 0
    while at < len(data):
        length = data[at]
        if length == 0:
            if any(data[at:]):
                yield Place(at, len(data) - at, "rest")
            return
        end = min(at + 1 + length, len(data))
        if at + 1 + _SERIAL <= end:
            yield Place(at + 1, _SERIAL, "bcd", low_first)
        word = data[at + _VARIABLE_HEAD - 2 : at + _VARIABLE_HEAD]
        encrypted = int.from_bytes(word, "little" if low_first else "big") & _ENCRYPTED
        if not fixed and (decrypted or not encrypted):
            for place in _records(data, at + _VARIABLE_HEAD, end):
                yield place._replace(low_first=low_first)
        at += 1 + length


def _records(data: bytes, at: int, end: int) -> Iterator[Place]:
    while at < end:
        dif = data[at]
        low = dif & 0x0F
        at += 1
        if low == _SPECIAL:
            if dif == _FILLER:
                continue
            return  # what follows is the manufacturer's
        at = _extensions(data, dif, at, end)
        if at >= end:
            return
        vif = data[at]
        at += 1
        table, code = "", vif & 0x7F
        if vif in (0xFB, 0xFD) and at < end:
            table, vif = f"{vif:02X}", data[at]
            code = vif & 0x7F
            at += 1
        at = _extensions(data, vif, at, end)
        if table == "" and code == _PLAIN_TEXT and at < end:
            at += 1 + data[at]
        size = _SIZES[low]
        text, digits = low == _VARIABLE, low in _BCD
        if size is None:
            if at >= end:
                return
            size = data[at]
            at += 1
            digits = 0xC0 <= size < 0xE0
            if size >= 0xF0:
                return
            if size >= 0xC0:  # digits and numbers of a length of their own
                text, size = False, size & 0x0F
        if (table, code) in _PRIVATE and size and at + size <= end:
            yield Place(at, size, "text" if text else "bcd" if digits else "number")
        at += size


def _extensions(data: bytes, byte: int, at: int, end: int) -> int:
    while byte & _MORE and at < end:
        byte = data[at]
        at += 1
    return at
