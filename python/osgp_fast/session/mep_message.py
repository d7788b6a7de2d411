"""What stands inside MEP messages, whatever protects them: requests for tables and their answers.

::

    30  table(2) count(2)                   full read        00 count(2) data
    3F  table(2) offset(3) count(2)         partial read     the same
    40  table(2) count(2) data              full write       00
    4F  table(2) offset(3) count(2) data    partial write    00
                                            else             response code

Numbers are MSB first, table data is not touched; unlike the optical port there is no checksum. On a pending table counts
include the PED before the data. Source: MEP guide pp. 10-12, Tables 2.5 to 2.7.
"""

from __future__ import annotations

from typing import Final

from ..errors import LocalProtocolError, OsgpError, RemoteProtocolError
from ..image import ped_size, table_name
from .events import Data, Done, Read, Refusal, Response, Write
from .mep_events import FULL_READ, FULL_WRITE, PARTIAL_READ, PARTIAL_WRITE
from .message import MAX_COUNT, MAX_OFFSET, Malformed
from .refusals import CLASSES, RefusalCode

#: Response code and count before the data of an answer.
ANSWER_OVERHEAD: Final = 3
#: Code, table, offset and count before the data of a partial write.
WRITE_OVERHEAD: Final = 8


def encode_request(request: Read | Write, whole: int) -> bytes:
    """The bytes of a request; ``whole`` is the count that a full read names, where it is no limit.

    Raises: LocalProtocolError "session.argument".
    """
    table = _fits("the table", request.table, MAX_COUNT).to_bytes(2)
    ped = ped_size(request.table)
    if isinstance(request, Read):
        if request.offset is None:
            return bytes((FULL_READ,)) + table + whole.to_bytes(2)
        if request.count is None:
            raise LocalProtocolError("session.argument", "a partial read needs a count")
        count = _fits("the count", request.count + ped, MAX_COUNT).to_bytes(2)
        return bytes((PARTIAL_READ,)) + table + _fits("the offset", request.offset, MAX_OFFSET).to_bytes(3) + count
    if len(request.ped) != ped:
        raise LocalProtocolError(
            "session.argument",
            f"{table_name(request.table)}: a PED of {len(request.ped)} bytes where {ped} belong",
            "a pending table takes 6 bytes of PED, other tables none",
        )
    body = request.ped + request.data
    count = _fits("the count", len(body), MAX_COUNT).to_bytes(2)
    if request.offset is None:
        return bytes((FULL_WRITE,)) + table + count + body
    return bytes((PARTIAL_WRITE,)) + table + _fits("the offset", request.offset, MAX_OFFSET).to_bytes(3) + count + body


def parse_request(body: bytes) -> Read | Write:
    """What a client wants. Raises: Malformed with the answer that it gets (MEP guide p. 11)."""
    if len(body) < 3:
        raise Malformed(RefusalCode.ERR, "a request without a table")
    code, table = body[0], int.from_bytes(body[1:3])
    ped = ped_size(table)
    match code:
        case 0x30:
            return Read(table)
        case 0x3F if len(body) >= WRITE_OVERHEAD:
            offset, count = int.from_bytes(body[3:6]), int.from_bytes(body[6:8])
            return Read(table, offset, max(count - ped, 0))
        case 0x40 | 0x4F:
            head = 5 if code == FULL_WRITE else WRITE_OVERHEAD
            data = body[head:]
            if len(body) < head or int.from_bytes(body[head - 2 : head]) != len(data) or len(data) < ped:
                raise Malformed(RefusalCode.ERR, "the count of a write is not that of its data")
            place = None if code == FULL_WRITE else int.from_bytes(body[3:6])
            return Write(table, data[ped:], place, data[:ped])
        case 0x3F:
            raise Malformed(RefusalCode.ERR, "a partial read that is cut short")
        case _:
            raise Malformed(RefusalCode.ERR, f"{code:02X} is no request")


def encode_response(response: Response) -> bytes:
    """Code and data of an answer."""
    match response:
        case Refusal(code):
            return bytes((code,))
        case Data(data, ped):
            body = (ped or b"") + data
            return b"\0" + _fits("the count", len(body), MAX_COUNT).to_bytes(2) + body
        case _:
            return b"\0"


def parse_response(request: Read | Write, code: int, rest: bytes) -> Response:
    """What a meter answers. Raises: RemoteProtocolError "session.answer", "session.count"."""
    name = table_name(request.table)
    if code:
        if rest or code not in CLASSES:
            raise _strange(name, f"code {code:02X} with {len(rest)} bytes is neither ok nor a refusal")
        return Refusal(code)
    if isinstance(request, Write):
        if rest:
            raise _strange(name, f"a bare ok was expected, {len(rest)} bytes follow it")
        return Done()
    body, ped = rest[2:], ped_size(request.table)
    if len(rest) < 2 or int.from_bytes(rest[:2]) != len(body) or len(body) < ped:
        raise _strange(name, "its count is not that of its data")
    if request.count is not None and len(body) > request.count + ped:
        raise RemoteProtocolError(
            "session.count",
            f"{name}: {len(body)} bytes came where {request.count + ped} were asked for",
            "read it again",
            table=request.table,
            expected=request.count + ped,
            got=len(body),
        )
    return Data(body[ped:], body[:ped] if ped else None)


def _strange(name: str, why: str) -> OsgpError:
    return RemoteProtocolError(
        "session.answer",
        f"the answer to the request for {name} is not one: {why}",
        "ask again; if it stays so, record the line and report it",
    )


def _fits(what: str, value: int, most: int) -> int:
    if not 0 <= value <= most:
        raise LocalProtocolError(
            "session.argument", f"{what} is {value}; it goes from 0 to {most}", got=value, expected=(0, most)
        )
    return value
