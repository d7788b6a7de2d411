"""TLS records in MEP messages, and the pieces a meter sends them in.

::

    length (2, be) | code | TLS records

There is no digest, and a record is never continued in a second message: so one message holds at most `MAX_CLEAR` bytes of
clear text. Source: MEP guide pp. 8-9, 14-15, 21.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from ..errors import LocalProtocolError, SecurityError
from .messages import LENGTH, MAX_BODY
from .tls.record import HEADER, OVERHEAD, VERSION, Kind

#: The most clear text of one message, its code included. Source: MEP guide p. 8, less what TLS adds.
MAX_CLEAR: Final = MAX_BODY - 1 - HEADER - OVERHEAD
#: Bytes of a meter's answer between two pauses of 25 ms, the length field counted. Source: MEP guide p. 21.
SEGMENT: Final = 117
#: Types of records.
_FIRST: Final = Kind.CHANGE_CIPHER_SPEC & 0xFF
_LAST: Final = Kind.APPLICATION_DATA & 0xFF


class Request(IntEnum):
    """What a client sends. Source: MEP guide pp. 8-9, Table 2.1."""

    TERMINATE = 0x57
    """Ends the session; the byte that follows means nothing."""
    HANDSHAKE = 0x58
    """The ClientHello, whatever went on before."""
    HANDSHAKE_CONT = 0x59
    """The rest of the handshake."""
    TABLE = 0x80
    """A read or write, enciphered."""


class Response(IntEnum):
    """What a meter answers. Source: MEP guide p. 9, Tables 2.1 and 2.3. There may be others."""

    SUCCESS = 0x00
    TLS_ERROR = 0x01
    """The bytes of an alert may follow."""
    INVALID_KEY = 0x03
    """Identity or key. The bytes of an alert may follow."""
    INVALID_STATE = 0x0A
    """There is no session: begin with a handshake."""


def message(code: int, records: bytes) -> bytes:
    """A message of either direction, with its length field. Raises: LocalProtocolError "security.too_long"."""
    size = 1 + len(records)
    if size > MAX_BODY:
        raise LocalProtocolError(
            "security.too_long",
            f"{len(records)} bytes of TLS records; at most {MAX_BODY - 1} fit",
            f"put at most {MAX_CLEAR} bytes of clear text into a message",
            got=len(records),
            expected=MAX_BODY - 1,
        )
    return size.to_bytes(LENGTH, "big") + bytes([code]) + records


def terminate() -> bytes:
    """The message that ends a session, with its length field."""
    return message(Request.TERMINATE, b"\0")


def parse_request(body: bytes) -> tuple[Request, bytes] | None:
    """Code and records of a request without its length field; None if it is none of TLS.

    An enciphered RC4 message may begin with the same byte: try the digest first, as a meter does.
    """
    if len(body) < 2 or body[0] not in set(Request):
        return None
    return Request(body[0]), body[1:]


def starts_record(data: bytes) -> bool:
    """Whether a TLS record may begin there, by its type and major version."""
    return len(data) >= HEADER and _FIRST <= data[0] <= _LAST and data[1] == VERSION >> 8


def is_plausible(code: Request, records: bytes) -> bool:
    """Whether a message is of TLS also by what follows its code; enciphered RC4 hardly ever passes."""
    return len(records) == 1 if code is Request.TERMINATE else starts_record(records)


def parse_response(body: bytes) -> tuple[int, bytes]:
    """Code and records of an answer without its length field. Raises: SecurityError "security.too_short"."""
    if not body:
        raise SecurityError("security.too_short", "an answer without a code", got=0, expected=1)
    return body[0], body[1:]


def segments(sent: bytes) -> list[bytes]:
    """A meter's answer in the pieces between which it pauses."""
    return [sent[at : at + SEGMENT] for at in range(0, len(sent), SEGMENT)]
