"""ET52 and ET53: several requests to a meter in one table, and its responses in another.

::

    0      2      3        5                                        size - 2   size
    +------+------+--------+---------------------------------------+----------+
    | size | type | number | L0, message, L1, message, ...         | number   |
    +------+------+--------+---------------------------------------+----------+
      2      1      2        2 each                                   2

Before the records of a group broadcast (type 3) stand the number of its groups (1 byte) and these (2 bytes each). All of
this is least significant byte first, as table data is; the messages are those of a session: their table, offset and count
are most significant byte first. Source: MEP guide pp. 12, 44-50, 130-132.

A transaction counts only when its number stands at its end, too: a table that is being written, or whose bytes are
damaged, is refused whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..errors import TableError, UsageError

#: Transaction types. Source: MEP guide p. 131.
REQUESTS: Final = 0
RESPONSES: Final = 1
PARTIAL_RESPONSES: Final = 2
GROUP_REQUESTS: Final = 3
GROUP_DENIED: Final = 4

#: Request codes. Source: MEP guide p. 12.
READ: Final = 0x30
PARTIAL_READ: Final = 0x3F
WRITE: Final = 0x40
PARTIAL_WRITE: Final = 0x4F

_HEAD: Final = 5
_NUMBER: Final = 2
_LENGTH: Final = 2
_MAX_16: Final = 0xFFFF
_MAX_24: Final = 0xFFFFFF


@dataclass(frozen=True, slots=True)
class Request:
    """A message to the meter: ``count`` bytes of a table to read, or ``data`` to write. ``offset`` is None for a whole table.

    A code that is not one of the four keeps everything behind it as ``data``; its ``table`` is None.
    """

    code: int
    table: int | None = None
    offset: int | None = None
    count: int | None = None
    data: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """A message of the meter: its response code (0: done), the count that it says, None where it says none, and as many
    bytes of the table."""

    code: int
    count: int | None = None
    data: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Transaction:
    """What ET52 or ET53 holds: ``requests`` of types 0 and 3, ``responses`` of the others; ``groups`` of type 3."""

    type: int
    number: int
    requests: tuple[Request, ...] = ()
    responses: tuple[Response, ...] = ()
    groups: tuple[int, ...] = ()


def read(table: int, offset: int | None = None, count: int | None = None) -> Request:
    """A request to read a whole table, or ``count`` bytes from ``offset``."""
    return Request(READ, table) if offset is None else Request(PARTIAL_READ, table, offset, count)


def write(table: int, data: bytes, offset: int | None = None) -> Request:
    """A request to write a whole table, or from ``offset`` on."""
    return Request(WRITE if offset is None else PARTIAL_WRITE, table, offset, len(data), data)


# ---- bytes to records


def parse_transaction(data: bytes | memoryview) -> Transaction:
    """The transaction at the start of ET52 or ET53; what stands behind its size is older.

    Raises: TableError "table.transaction" where the bytes are none, not all there, or do not end with its number.
    """
    raw = bytes(data)
    if len(raw) < _HEAD + _NUMBER:
        raise _broken(f"{len(raw)} bytes", "at least 7 bytes", 0)
    size, type, number = _u16(raw, 0), raw[2], _u16(raw, 3)
    if not _HEAD + _NUMBER <= size <= len(raw):
        raise _broken(f"a size of {size}", f"7 to {len(raw)} bytes, which are there", 0)
    end = size - _NUMBER
    if _u16(raw, end) != number:
        raise _broken(f"number {_u16(raw, end)} at its end", f"{number} as at its start", end)
    start = _HEAD
    groups: tuple[int, ...] = ()
    if type == GROUP_REQUESTS:
        start, groups = _groups(raw, end)
    messages = tuple(_messages(raw, start, end))
    if type in (REQUESTS, GROUP_REQUESTS):
        return Transaction(type, number, requests=tuple(_request(at, m) for at, m in messages), groups=groups)
    return Transaction(type, number, responses=tuple(_response(at, m) for at, m in messages))


def _groups(raw: bytes, end: int) -> tuple[int, tuple[int, ...]]:
    start = _HEAD + 1
    stop = start + 2 * raw[_HEAD]
    if stop > end:
        raise _broken(f"a list of groups up to byte {stop}", f"its end, which is at {end}", _HEAD)
    return stop, tuple(_u16(raw, at) for at in range(start, stop, 2))


def _messages(raw: bytes, at: int, end: int) -> Iterator[tuple[int, bytes]]:
    while at < end:
        size = _u16(raw, at) if at + _LENGTH <= end else 0
        start = at + _LENGTH
        if not 1 <= size <= end - start:
            raise _broken(f"a record of {size} bytes", f"1 to {max(0, end - start)}", at)
        yield start, raw[start : start + size]
        at = start + size


def _request(at: int, message: bytes) -> Request:
    code = message[0]
    if code not in (READ, PARTIAL_READ, WRITE, PARTIAL_WRITE):
        return Request(code, data=message[1:])
    partial, writes = code in (PARTIAL_READ, PARTIAL_WRITE), code in (WRITE, PARTIAL_WRITE)
    head = 6 if partial else 3
    if len(message) < head:
        raise _broken(f"a request {code:02X} of {len(message)} bytes", f"at least {head}", at)
    table = int.from_bytes(message[1:3], "big")
    offset = int.from_bytes(message[3:6], "big") if partial else None
    counted = message[head : head + 2]
    # The meter takes a request without a count, and reads what it likes (p. 12); a whole table needs none.
    count = int.from_bytes(counted, "big") if len(counted) == 2 else None
    data = message[head + 2 :]
    if len(data) != (count or 0) * writes:
        raise _broken(f"a request {code:02X} with {len(data)} bytes of data", f"{(count or 0) * writes}", at)
    return Request(code, table, offset, count, data)


def _response(at: int, message: bytes) -> Response:
    code, rest = message[0], message[1:]
    if not rest:
        return Response(code)
    count, data = int.from_bytes(rest[:2], "big"), rest[2:]
    if len(rest) < 2 or count != len(data):
        raise _broken(f"a response with {len(data)} bytes of data", f"{count}", at)
    return Response(code, count, data)


def _u16(raw: bytes, at: int) -> int:
    return int.from_bytes(raw[at : at + 2], "little")


def _broken(got: str, expected: str, offset: int) -> TableError:
    return TableError(
        "table.transaction",
        f"the transaction has {got}, expected {expected}",
        "read the table again, from its first byte and as many as its size says",
        offset=offset,
        expected=expected,
        got=got,
    )


# ---- records to bytes


def build_requests(number: int, requests: Sequence[Request], groups: Sequence[int] = ()) -> bytes:
    """What to write to ET52, from its first byte to its last; ``groups`` make it a group broadcast.

    Whether the meter has room for it says ET11; a write takes 456 bytes at most (MEP guide p. 44).
    Raises: UsageError "usage.transaction" for numbers that do not fit.
    """
    if not groups:
        return _build(REQUESTS, number, b"", [_emit_request(r) for r in requests])
    head = bytes((_fits("groups", len(groups), 0xFF),)) + b"".join(_le(_fits("group", g)) for g in groups)
    return _build(GROUP_REQUESTS, number, head, [_emit_request(r) for r in requests])


def build_responses(number: int, responses: Sequence[Response], type: int = RESPONSES) -> bytes:
    """What a meter has in ET53 then. Raises: UsageError "usage.transaction" for numbers that do not fit."""
    return _build(_fits("type", type, 0xFF), number, b"", [_emit_response(r) for r in responses])


def _build(type: int, number: int, head: bytes, messages: Sequence[bytes]) -> bytes:
    records = b"".join(_le(_fits("record", len(m))) + m for m in messages)
    size = _fits("size", _HEAD + len(head) + len(records) + _NUMBER)
    ends = _le(_fits("number", number))
    return _le(size) + bytes((type,)) + ends + head + records + ends


def _emit_request(request: Request) -> bytes:
    out = bytes((_fits("request code", request.code, 0xFF),))
    if request.table is not None:
        out += _fits("table", request.table).to_bytes(2, "big")
        if request.offset is not None:
            out += _fits("offset", request.offset, _MAX_24).to_bytes(3, "big")
        if request.count is not None:
            out += _fits("count", request.count).to_bytes(2, "big")
    return out + request.data


def _emit_response(response: Response) -> bytes:
    code = bytes((_fits("response code", response.code, 0xFF),))
    return code if response.count is None else code + _fits("count", response.count).to_bytes(2, "big") + response.data


def _le(value: int) -> bytes:
    return value.to_bytes(2, "little")


def _fits(what: str, value: int, most: int = _MAX_16) -> int:
    if not 0 <= value <= most:
        raise UsageError(
            "usage.transaction",
            f"the {what} of a transaction is {value}, expected 0 to {most}",
            "make it several transactions, or check the number",
        )
    return value
