"""The services of C12.18: requests and answers as the bytes of one message, both ways.

::

    20                                identify       ok: standard, version, revision, features, 00
    60 + n  size(2) packets baud*n    negotiate      ok: size(2) packets [baud]
    50      user id(2) user(10)       log on         51  password(20)   security       52  log off       21  terminate
    30      table(2)                  full read      ok: count(2) data checksum
    3F      table(2) offset(3) count(2)              the same
    40      table(2) count(2) data checksum          full write
    4F      table(2) offset(3) count(2) data checksum
    70      seconds                   wait

Numbers are MSB first, table data is not touched. On a pending table, counts and checksum include the PED before the data
and the offset does not. Source: ANSI C12.18, "PSEM services"; Optical guide pp. 9-10; MEP guide p. 12.
"""

from __future__ import annotations

from typing import Final

from ..errors import LocalProtocolError, RemoteProtocolError
from ..image import PED, PENDING, ped_size, table_name
from ..wire.c1218 import Code, code_name
from .events import (
    Data,
    Done,
    Identified,
    Identify,
    Logoff,
    Logon,
    Negotiate,
    Negotiated,
    Read,
    Refusal,
    Request,
    Response,
    Security,
    Terminate,
    Wait,
    Write,
)
from .refusals import RefusalCode

#: A request with no or with 11 baud rates. Source: ANSI C12.18, "Negotiate service".
NEGOTIATE: Final = 0x60
MOST_BAUDS: Final = 11
#: The codes of the baud rates. Source: ANSI C12.18, "Negotiate service".
BAUDS: Final[dict[int, int]] = {
    0x01: 300,
    0x02: 600,
    0x03: 1200,
    0x04: 2400,
    0x05: 4800,
    0x06: 9600,
    0x07: 14400,
    0x08: 19200,
    0x09: 28800,
    0x0A: 57600,
    0x0B: 38400,
    0x0C: 115200,
    0x0D: 128000,
    0x0E: 256000,
}
_BAUD_CODES: Final = {rate: code for code, rate in BAUDS.items()}
#: A password; shorter ones are filled with zeros. Source: ANSI C12.18, "Security service".
PASSWORD: Final = 20
#: The user of a log-on, filled with blanks. Source: ANSI C12.18, "Logon service".
USER: Final = 10
#: The largest offset and count of a partial read or write. Source: Optical guide p. 10.
MAX_OFFSET: Final = 0xFFFFFF
MAX_COUNT: Final = 0xFFFF
#: The smallest packet worth negotiating: header, CRC, and a partial write of one byte.
LEAST_PACKET: Final = 32
#: Code, count and checksum around the data of an answer.
ANSWER_OVERHEAD: Final = 4
#: Code, table, offset, count and checksum around the data of a partial write.
WRITE_OVERHEAD: Final = 9


def checksum(data: bytes) -> int:
    """The check of table data: the two's complement of the sum of its bytes."""
    return -sum(data) & 0xFF


class Malformed(Exception):
    """A request that cannot be understood; ``code`` is the answer that it gets."""

    def __init__(self, code: RefusalCode, why: str) -> None:
        super().__init__(why)
        self.code = code


def _local(code: str, message: str, hint: str = "", **fields: object) -> LocalProtocolError:
    return LocalProtocolError(code, message, hint, **fields)


def _range(what: str, value: int, most: int, least: int = 0) -> int:
    if not least <= value <= most:
        raise _local(
            "session.argument", f"{what} is {value}; it goes from {least} to {most}", got=value, expected=(least, most)
        )
    return value


def encode_request(request: Request) -> bytes:
    """The message of a request. Raises: LocalProtocolError "session.argument" for what cannot be said on the wire."""
    match request:
        case Identify():
            return bytes((Code.IDENTIFY,))
        case Terminate():
            return bytes((Code.TERMINATE,))
        case Logoff():
            return bytes((Code.LOGOFF,))
        case Wait(seconds):
            return bytes((Code.WAIT, _range("the time to wait", seconds, 0xFF)))
        case Negotiate(size, packets, bauds):
            unknown = [rate for rate in bauds if rate not in _BAUD_CODES]
            if unknown or len(bauds) > MOST_BAUDS:
                raise _local(
                    "session.argument",
                    f"baud rates {bauds}: at most {MOST_BAUDS} of {sorted(_BAUD_CODES)} can be offered",
                    got=bauds,
                )
            head = bytes((NEGOTIATE + len(bauds),)) + _range("the packet size", size, 8192, LEAST_PACKET).to_bytes(2)
            return head + bytes((_range("the number of packets", packets, 0xFF, 1), *(_BAUD_CODES[r] for r in bauds)))
        case Logon(user_id, user):
            _range("the length of the user", len(user), USER)
            return bytes((Code.LOGON,)) + _range("the user id", user_id, 0xFFFF).to_bytes(2) + user.ljust(USER, b" ")
        case Security(password):
            _range("the length of the password", len(password), PASSWORD)
            return bytes((Code.SECURITY,)) + password.ljust(PASSWORD, b"\0")
        case Read(table, offset, count):
            _range("the table", table, 0xFFFF)
            if offset is None:
                return bytes((Code.FULL_READ,)) + table.to_bytes(2)
            on_wire = _range("the count", count or 0, MAX_COUNT - ped_size(table), 1) + ped_size(table)
            place = _range("the offset", offset, MAX_OFFSET).to_bytes(3) + on_wire.to_bytes(2)
            return bytes((Code.PARTIAL_READ,)) + table.to_bytes(2) + place
        case Write(table, data, offset, ped):
            _range("the table", table, 0xFFFF)
            if ped and (len(ped) != PED or not table & PENDING):
                raise _local("session.argument", f"a PED has {PED} bytes and goes before the data of a pending table")
            body = ped + data
            length = _range("the count", len(body), MAX_COUNT).to_bytes(2)
            if offset is None:
                return bytes((Code.FULL_WRITE,)) + table.to_bytes(2) + length + body + bytes((checksum(body),))
            place = _range("the offset", offset, MAX_OFFSET).to_bytes(3) + length
            return bytes((Code.PARTIAL_WRITE,)) + table.to_bytes(2) + place + body + bytes((checksum(body),))


def parse_request(message: bytes) -> Request:
    """What a client wants. Raises: Malformed, with the answer that it gets: sns for an unknown service, err else."""
    if not message:
        raise Malformed(RefusalCode.ERR, "an empty message")
    code, rest = message[0], message[1:]

    def sized(size: int) -> bytes:
        if len(rest) != size:
            raise Malformed(RefusalCode.ERR, f"{code:02X} {code_name(code)} takes {size} bytes, not {len(rest)}")
        return rest

    match code:
        case Code.IDENTIFY:
            sized(0)
            return Identify()
        case Code.TERMINATE:
            sized(0)
            return Terminate()
        case Code.LOGOFF:
            sized(0)
            return Logoff()
        case Code.WAIT:
            return Wait(sized(1)[0])
        case Code.LOGON:
            sized(2 + USER)
            return Logon(int.from_bytes(rest[:2]), rest[2:])
        case Code.SECURITY:
            return Security(sized(PASSWORD))
        case Code.FULL_READ:
            return Read(int.from_bytes(sized(2)))
        case Code.PARTIAL_READ:
            sized(7)
            table, offset, count = (int.from_bytes(part) for part in (rest[:2], rest[2:5], rest[5:]))
            return Read(table, offset, max(count - ped_size(table), 0))
        case Code.FULL_WRITE | Code.PARTIAL_WRITE:
            return _parse_write(code, rest)
        case _ if NEGOTIATE <= code <= NEGOTIATE + MOST_BAUDS:
            sized(3 + code - NEGOTIATE)
            rates = tuple(BAUDS[byte] for byte in rest[3:] if byte in BAUDS)
            return Negotiate(int.from_bytes(rest[:2]), rest[2], rates)
        case _:
            raise Malformed(RefusalCode.SNS, f"{code:02X} is no service that is known here")


def _parse_write(code: int, rest: bytes) -> Write:
    head = 4 if code == Code.FULL_WRITE else 7
    table = int.from_bytes(rest[:2])
    body, check = rest[head:-1], rest[-1:]
    if len(rest) < head + 1 or int.from_bytes(rest[head - 2 : head]) != len(body):
        raise Malformed(RefusalCode.ERR, "the count of a write is not that of its data")
    if check[0] != checksum(body):
        raise Malformed(RefusalCode.ERR, "the checksum of a write does not fit its data")
    ped = min(ped_size(table), len(body))
    return Write(table, body[ped:], None if head == 4 else int.from_bytes(rest[2:5]), body[:ped])


def encode_response(response: Response) -> bytes:
    """The message of an answer. Raises: LocalProtocolError "session.argument"."""
    match response:
        case Refusal(code):
            return bytes((_range("the response code", code, 0x1F, 1),))
        case Done():
            return b"\0"
        case Identified(standard, version, revision, features):
            return bytes((0, standard, version, revision)) + features + b"\0"
        case Negotiated(size, packets, baud):
            speed = b"" if baud is None else bytes((_BAUD_CODES[baud],))
            return b"\0" + size.to_bytes(2) + bytes((packets,)) + speed
        case Data(data, ped):
            body = (ped or b"") + data
            count = _range("the count", len(body), MAX_COUNT)
            return b"\0" + count.to_bytes(2) + body + bytes((checksum(body),))


def parse_response(request: Request, message: bytes) -> Response:
    """What a meter answers to a request.

    Raises: RemoteProtocolError "session.answer" for an answer of another form, "session.checksum", "session.count".
    """
    if not message:
        raise _strange(request, message, "it is empty")
    if message[0]:
        if len(message) > 1 or message[0] >= 0x20:
            raise _strange(request, message, "it is neither ok nor a response code alone")
        return Refusal(message[0])
    rest = message[1:]
    match request:
        case Identify():
            if len(rest) < 3 or (len(rest) > 3 and rest[-1]):
                raise _strange(request, message, "standard, version, revision and a closing 00 were expected")
            return Identified(rest[0], rest[1], rest[2], rest[3:-1])
        case Negotiate(size, packets, bauds):
            if len(rest) not in (3, 4):
                raise _strange(request, message, "packet size, number of packets and baud rate were expected")
            got = Negotiated(
                # A meter that names more than it was offered says what it could do.
                min(int.from_bytes(rest[:2]), size),
                min(rest[2], packets),
                BAUDS.get(rest[3]) if len(rest) == 4 else None,
            )
            if got.packet_size < LEAST_PACKET or got.packets < 1:
                raise _strange(request, message, f"{got.packets} packets of {got.packet_size} bytes are of no use")
            if bauds and got.baud is not None and got.baud not in bauds:
                raise _strange(request, message, f"{got.baud} bit/s was not offered")
            return got
        case Read():
            return _parse_data(request, message)
        case _:
            if rest:
                raise _strange(request, message, "a bare ok was expected")
            return Done()


def _parse_data(request: Read, message: bytes) -> Data:
    table, ped = request.table, ped_size(request.table)
    body, name = message[3:-1], table_name(request.table)
    if len(message) < ANSWER_OVERHEAD or int.from_bytes(message[1:3]) != len(body):
        raise _strange(request, message, "its count is not that of its data")
    if checksum(body) != message[-1]:
        raise RemoteProtocolError(
            "session.checksum",
            f"{name}: the checksum is {message[-1]:02X}, the data gives {checksum(body):02X}",
            "read it again",
            table=table,
            expected=checksum(body),
            got=message[-1],
        )
    if request.count is not None and len(body) > request.count + ped:
        raise RemoteProtocolError(
            "session.count",
            f"{name}: {len(body)} bytes came where {request.count + ped} were asked for",
            "read it again",
            table=table,
            expected=request.count + ped,
            got=len(body),
        )
    return Data(body[ped:], body[:ped] if ped else None)


def _strange(request: Request, message: bytes, why: str) -> RemoteProtocolError:
    kind = type(request).__name__
    return RemoteProtocolError(
        "session.answer",
        f"the answer to {kind} ({len(message)} bytes) is not one: {why}",
        "ask again; if it stays so, record the line and report it",
        request=kind,
        got=len(message),
    )
