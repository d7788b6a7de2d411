"""What in a table tells whose it is, or opens something: by the rows of the catalogue, field by field."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from ..catalog import TABLES, Table
from ..codec import transactions
from ..codec.transactions import Request, Response, Transaction
from ..errors import TableError
from ..image import PENDING, table_name
from ..layout import Layout, Leaf, MissingDimension, TableSet, resolve
from .names import Names
from .telegram import places

__all__ = ["holds_key", "scrub_image"]

SERIAL: Final = "serial numbers"
MBUS: Final = "M-Bus serial numbers"
IDENTIFIER: Final = "identifiers of devices"
TEXT: Final = "texts of the owner"
KEY: Final = "keys"
CLOSED: Final = "tables of secrets or addresses, whole"
UNPLACED: Final = "tables that could not be laid out, whole"
UNKNOWN: Final = "data of no known table, whole"
WORDS: Final = "words in tables that the guides do not describe"
#: Later firmware may add so many bytes to a small table.
_MORE: Final = 32
_WORD: Final = re.compile(rb"[0-9A-Za-z]{4,}")

#: What a made-up value is made of: the field's bytes, and all bytes of the element that it stands in.
Make = Callable[[Names, bytes, bytes], bytes]


def _serial_text(names: Names, raw: bytes, _: bytes) -> bytes:
    return names.text(SERIAL, raw)


def _serial_bcd(names: Names, raw: bytes, _: bytes) -> bytes:
    return names.bcd(SERIAL, raw)


def _text(names: Names, raw: bytes, _: bytes) -> bytes:
    return names.text(TEXT, raw)


def _free(names: Names, raw: bytes, _: bytes) -> bytes:
    return names.octets(TEXT, raw)


def _key(names: Names, raw: bytes, _: bytes) -> bytes:
    return names.secret(KEY, raw)


def _octets(names: Names, raw: bytes, _: bytes) -> bytes:
    return names.octets(IDENTIFIER, raw)


def _mep_id(names: Names, raw: bytes, _: bytes) -> bytes:
    """A MEP client's identification: manufacturer (3), class, N and N bytes of program id, M and M bytes of unique id."""
    if not any(raw):
        return raw
    start = 5 + raw[4] if len(raw) > 5 else 4
    size = raw[start] if start < len(raw) else 0
    if start + 1 + size > len(raw) or size == 0:
        return raw[:4] + names.octets(IDENTIFIER, raw[4:])
    return raw[: start + 1] + names.octets(IDENTIFIER, raw[start + 1 : start + 1 + size]) + raw[start + 1 + size :]


def _argument(names: Names, raw: bytes, _: bytes) -> bytes:
    """An event's argument: the two bytes of the guides name nothing; longer ones may hold a device's number in digits."""
    if len(raw) < 4 or any(byte >> 4 > 9 or byte & 15 > 9 for byte in raw):
        return raw
    return names.bcd(MBUS, raw, low_first=True)


def _billing_read(names: Names, raw: bytes, info: int) -> bytes:
    out = bytearray(raw)
    for place in places(raw, info):
        part = raw[place.at : place.at + place.size]
        if place.form == "bcd":
            made = names.bcd(MBUS, part, low_first=place.low_first)
        elif place.form == "number":
            made = names.number(MBUS, part)
        elif place.form == "text":
            made = names.text(MBUS, part)
        else:
            made = names.octets("left of older M-Bus reads", part)
        out[place.at : place.at + place.size] = made
    return bytes(out)


def _et16(names: Names, raw: bytes, element: bytes) -> bytes:
    return _billing_read(names, raw, element[6] if len(element) > 6 else 0)


#: Handles from here on are those of MEP clients (MEP guide p. 85); where the handle stands in an entry of ET45 and ET74.
_FIRST_CLIENT: Final = 1000
_HANDLE: Final = slice(4, 6)
_BEFORE_TELEGRAMS: Final = 7


def _log_read(names: Names, raw: bytes, element: bytes) -> bytes:
    if int.from_bytes(element[_HANDLE], "little") >= _FIRST_CLIENT or len(raw) <= _BEFORE_TELEGRAMS:
        return raw
    return raw[:_BEFORE_TELEGRAMS] + _billing_read(names, raw[_BEFORE_TELEGRAMS:], raw[6])


#: Field by field, what is replaced and how.
_FIELDS: Final[Mapping[str, Mapping[str, Make]]] = {
    "BT01": {"serial": _serial_bcd},
    "BT74": {"entry.argument": _argument},
    "ET03": {"utility_serial": _serial_text, "reserved": _free, "reserved_2": _free},
    "ET04": {"transceiver_id": _octets, "self_identification": _text},
    "ET13": {"device.customer_id": _text, "device.key": _key},
    "ET16": {"device.response": _et16},
    "ET45": {"entry.read": _log_read},
    "ET50": {"client.identification": _mep_id},
    "ET74": {"entry.read": _log_read},
    "ET79": {"entry.argument": _argument},
    "ET89": {"prior_mep_1_id": _mep_id, "prior_mep_2_id": _mep_id},
}
#: Tables that neither guide describes and whose purpose is enough: device and utility identification, passwords and keys of
#: C12.19 (BT05, BT06, BT42, BT45, BT46), addresses, phone numbers and passwords of modems (ET92 to ET96, ET98).
_CLOSED: Final = frozenset(["BT05", "BT06", "BT42", "BT45", "BT46", "ET92", "ET93", "ET94", "ET95", "ET96", "ET98"])
#: Tables that hold nothing but numbers: not searched.
_NUMBERS: Final = frozenset(["BT64", "BT65", "BT66", "BT67"])


def holds_key(table: str, path: str) -> bool:
    """Whether a field holds a key, or anything in its table may: what is not to be shown. No path: some bytes of the table."""
    if not path:
        return table in _CLOSED or _key in _FIELDS.get(table, {}).values()
    plain = ".".join(word for word in path.split(".") if not word.isdigit())
    return table in _CLOSED or _FIELDS.get(table, {}).get(plain) is _key


def scrub_image(
    names: Names, table: int, data: bytes, tables: Mapping[str, bytes], offset: int = 0, *, doubtful: bool = False
) -> bytes:
    """Some bytes of a table, made safe. ``tables`` are whole or partial ones of the same meter, from their first byte on;
    the one itself among them, where more of it is known than ``data``. ``doubtful``: it may be another table's data, so
    that nothing of it stays unless it is exactly as long as this one."""
    id = table_name(table & ~PENDING)
    if id in _CLOSED:
        return names.octets(CLOSED, data)
    if id in _NUMBERS and not doubtful:
        return data
    row = TABLES.get(id)
    if row is None:
        return _undescribed(names, data)
    whole = bytearray(tables.get(id, b"").ljust(offset + len(data), b"\0"))
    whole[offset : offset + len(data)] = data
    if id in ("ET52", "ET53"):
        return _transaction(names, id, bytes(whole), tables)[offset : offset + len(data)]
    layout = _layout(row, bytes(whole), tables)
    if layout is not None and layout.size and offset == 0 and _strange(len(data), layout.size, doubtful):
        return names.octets(UNPLACED, data)
    fields = _FIELDS.get(id, {})
    if layout is None or any(path not in layout.by_path for path in fields if layout.missing):
        return names.octets(UNPLACED, data) if fields else names.known(data)
    out = bytearray(whole)
    if id == "BT01" and _text_identifiers(tables, len(whole)):
        fields = {}
        out[_BT01_TEXT] = names.text(SERIAL, bytes(whole[_BT01_TEXT]))
    for path, make in fields.items():
        for leaf in layout.by_path.get(path, ()):
            for at, element in _elements(leaf, offset, offset + len(data)):
                raw = bytes(whole[at : at + leaf.size])
                begin, end = element
                out[at : at + len(raw)] = make(names, raw, bytes(whole[begin:end]))
    for begin, end in _unsaid(layout, fields, offset, offset + len(data)):
        out[begin:end] = names.known(bytes(out[begin:end]))
    return bytes(out[offset : offset + len(data)])


def _transaction(names: Names, id: str, whole: bytes, tables: Mapping[str, bytes]) -> bytes:
    """Requests and responses in a table: the data in them by the tables that they are of."""
    found = _parsed(whole)
    if found is None:
        return names.octets(UNKNOWN, whole)
    if found.responses or id == "ET53":
        asked = _parsed(tables.get("ET52", b""))
        requests = asked.requests if asked is not None and asked.number == found.number else ()
        made = transactions.build_responses(
            found.number,
            [
                replace(response, data=_answer(names, response, requests[i] if i < len(requests) else None, tables))
                for i, response in enumerate(found.responses)
            ],
            found.type,
        )
    else:
        written = [replace(r, data=_of(names, r, r.data, tables) if r.data else b"") for r in found.requests]
        made = transactions.build_requests(found.number, written, found.groups)
    rest = whole[len(made) :]
    # Behind its size stands what is left of an older one.
    return made + (names.octets(UNKNOWN, rest) if any(rest) else rest)


def _parsed(data: bytes) -> Transaction | None:
    try:
        return transactions.parse_transaction(data)
    except TableError:
        return None


def _answer(names: Names, response: Response, request: Request | None, tables: Mapping[str, bytes]) -> bytes:
    if not response.data or (
        request is not None and request.code not in (transactions.READ, transactions.PARTIAL_READ)
    ):
        return response.data
    return _of(names, request, response.data, tables)


def _of(names: Names, request: Request | None, data: bytes, tables: Mapping[str, bytes]) -> bytes:
    """Data of the table that a request names; without one nobody knows what they are."""
    if request is None or request.table is None or table_name(request.table & ~PENDING) in ("ET52", "ET53"):
        return names.octets(UNKNOWN, data)
    return scrub_image(names, request.table, data, tables, request.offset or 0)


#: BT01's serial number where it is characters.
_BT01_TEXT: Final = slice(16, 32)


def _text_identifiers(tables: Mapping[str, bytes], size: int) -> bool:
    """Whether BT01 holds 16 characters rather than 16 digits: BT00.1.5 says so, else the length."""
    general = tables.get("BT00", b"")
    return not general[1] & 0x20 if len(general) > 1 else size >= _BT01_TEXT.stop


def _undescribed(names: Names, data: bytes) -> bytes:
    """A table that nobody can read: its words are not missed."""
    out, at = bytearray(), 0
    for match in _WORD.finditer(data):
        word = names.known(match[0])
        out += names.known(data[at : match.start()]) + (word if word != match[0] else names.text(WORDS, word))
        at = match.end()
    return bytes(out + names.known(data[at:]))


def _strange(size: int, described: int, doubtful: bool) -> bool:
    """Whether data are of another length than their table: by far, or at all where they are doubtful."""
    return size != described if doubtful else size > 2 * described + _MORE


def _layout(row: Table, whole: bytes, tables: Mapping[str, bytes]) -> Layout | None:
    def get(at: int, size: int) -> bytes | None:
        raw = whole[at : at + size]
        return raw if len(raw) == size else None

    others = {**tables, row.id: whole}
    try:
        return resolve(row, len(whole), TableSet(others), data=get, partial=True)
    except MissingDimension:
        return None


def _elements(leaf: Leaf, begin: int, end: int) -> Iterator[tuple[int, tuple[int, int]]]:
    """Where a field stands that has some bytes within ``begin .. end``, and the element around it."""
    if not leaf.axes:
        if leaf.offset < end and leaf.offset + leaf.size > begin:
            yield leaf.offset, (leaf.offset, leaf.offset + leaf.size)
        return
    # The fields that matter stand in one array at most; of a deeper one every element is looked at.
    axis, *inner = leaf.axes
    if axis.stride <= 0:
        return
    start = _start(leaf)
    first = max(0, (begin - leaf.offset - leaf.size) // axis.stride)
    for i in range(first, axis.count):
        at = leaf.offset + i * axis.stride
        if at >= end:
            return
        if at + leaf.size > begin and not inner:
            yield at, (start + i * axis.stride, start + (i + 1) * axis.stride)


#: How far from the start of its element a field stands, for those that are made with a look at their element.
_WITHIN: Final = {"device.response": 7, "entry.read": 8}


def _start(leaf: Leaf) -> int:
    return leaf.offset - _WITHIN.get(leaf.path, 0)


def _unsaid(layout: Layout, fields: Mapping[str, Make], begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The bytes that are text or of no described meaning, where values seen elsewhere may stand."""
    for leaf in layout.leaves:
        if leaf.type not in ("octets", "char") or leaf.path in fields:
            continue
        if len(leaf.axes) > 1:
            continue
        for at, _ in _elements(leaf, begin, end):
            yield max(at, begin), min(at + leaf.size, end)
    if layout.size < end:
        yield max(layout.size, begin), end
