"""MEP messages: the serial port of the multipurpose expansion interface.

::

    0        2                        2 + n - 8     2 + n
    +--------+------------------------+-------------+
    | n      | code, arguments, ...   | digest      |
    +--------+------------------------+-------------+
      2 (be)                            8, in RC4 security and in clear; none under TLS

A length of zero, 00 00, is the alert: the meter has something to tell. Source: MEP guide pp. 2, 11-17.

There is neither a start byte nor a check outside the digest, which needs the key. So on a damaged line nothing here can
tell a message from noise: a byte that cannot be a length's first is noise, and only silence puts the parser back in
step (`MessageParser.finish`). In a capture that mixes messages with C12.18 packets, `find` recognises messages by what
they look like.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ..errors import LocalProtocolError

#: Bytes of the length field.
LENGTH: Final = 2
#: The longest body, digest included. Source: MEP guide p. 2.
MAX_BODY: Final = 476
#: Bytes of the digest.
DIGEST: Final = 8
#: Bytes of the sequence number before the digest of a request.
SEQUENCE: Final = 4
#: The alert: a message of no length.
ALERT: Final = bytes(LENGTH)
#: Noise is handed out at the latest when this many bytes of it are there.
MAX_NOISE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """The body of a message, digest included, and the position of its length field in the stream."""

    position: int
    body: bytes = field(repr=False)

    def __str__(self) -> str:
        return describe(self.body)


@dataclass(frozen=True, slots=True)
class Alert:
    """The alert sequence."""

    position: int


@dataclass(frozen=True, slots=True)
class Noise:
    """Bytes that cannot be part of a message."""

    position: int
    data: bytes = field(repr=False)


Event = Message | Alert | Noise


def describe(body: bytes) -> str:
    """One line for people: length and code, never the rest. (Under RC4 the code is encrypted, too.)"""
    return f"message len={len(body)} code={body[0]:02X}" if body else "message len=0"


def split_digest(body: bytes) -> tuple[bytes, bytes] | None:
    """The body without its digest, and the digest; None if it is too short to have one."""
    return (body[:-DIGEST], body[-DIGEST:]) if len(body) >= DIGEST else None


def emit(body: bytes, digest: bytes = b"") -> bytes:
    """The bytes of one message. Raises: LocalProtocolError "frame.too_long". Source: MEP guide p. 2."""
    size = len(body) + len(digest)
    if size > MAX_BODY:
        raise LocalProtocolError(
            "frame.too_long", f"{size} bytes of data; at most {MAX_BODY} fit", got=size, expected=MAX_BODY
        )
    return size.to_bytes(LENGTH, "big") + body + digest


class MessageParser:
    """Messages out of one direction's bytes, in any chunks."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._origin = 0
        self._noise = bytearray()

    @property
    def pending(self) -> int:
        """Bytes that wait for the rest of a message."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Event]:
        """Take some bytes; give what is decided by now."""
        self._buffer += data
        return list(self._run(last=False))

    def finish(self) -> list[Event]:
        """The end of the stream, or a silence: what is unfinished is noise. Parsing may go on with the next byte."""
        return [*self._run(last=True), *self._flush(self._origin)]

    def _run(self, *, last: bool) -> Iterator[Event]:
        buffer = self._buffer
        at = 0
        while at < len(buffer):
            position = self._origin + at
            if buffer[at] <= MAX_BODY >> 8:
                size = int.from_bytes(buffer[at : at + LENGTH], "big") if at + 1 < len(buffer) else MAX_BODY
                end = at + LENGTH + size
                if size <= MAX_BODY and end > len(buffer) and not last:
                    break
                if size <= MAX_BODY and end <= len(buffer):
                    yield from self._flush(position)
                    yield Message(position, bytes(buffer[at + LENGTH : end])) if size else Alert(position)
                    at = end
                    continue
            # No length that may be starts with it, or it is one that is too much or never fulfilled.
            self._noise.append(buffer[at])
            at += 1
            if len(self._noise) == MAX_NOISE:
                yield from self._flush(self._origin + at)
        del buffer[:at]
        self._origin += at

    def _flush(self, end: int) -> Iterator[Event]:
        if self._noise:
            noise = bytes(self._noise)
            self._noise.clear()
            yield Noise(end - len(noise), noise)


def find(data: bytes) -> list[tuple[int, int]]:
    """Start and end of the messages among bytes that are no C12.18 packets, of either direction, length field included.

    Without a key nothing is certain: a message is taken for one if its parts fit its length exactly, or, since it may
    be encrypted, if it ends where the bytes end.
    """
    found = []
    at = 0
    while at + LENGTH <= len(data):
        size = data[at] << 8 | data[at + 1]
        start = at + LENGTH
        end = start + size
        if 3 <= size <= MAX_BODY and end <= len(data):
            if (end == len(data) and size > DIGEST) or plausible(data[start:end]):
                found.append((at, end))
                at = end
                continue
        elif size == 0 and start == len(data):  # an alert is followed by silence
            found.append((at, start))
            break
        at += 1
    return found


def plausible(body: bytes) -> bool:
    """Whether a body in clear adds up, or is a TLS record. Source: MEP guide pp. 3-8, 12."""

    def counted(at: int, tail: int) -> bool:
        return len(body) >= at + 2 and len(body) == at + 2 + int.from_bytes(body[at : at + 2], "big") + tail

    record = len(body) >= 4 and 0x14 <= body[1] <= 0x17 and body[2:4] == b"\3\3"
    match body[0]:
        case 0x30:
            return len(body) in (15, 17)
        case 0x3F:
            return len(body) == 20
        case 0x40:
            return counted(3, SEQUENCE + DIGEST)
        case 0x4F:
            return counted(6, SEQUENCE + DIGEST)
        case 0x57 | 0x58 | 0x59 | 0x80:
            return record
        case 0x00:
            return len(body) == 1 + DIGEST or counted(1, DIGEST) or record
        case 0x0C:
            return len(body) == 1 + SEQUENCE + DIGEST
        case code:
            return code <= 0x0B and len(body) == 1 + DIGEST
