"""Records: the layer below, in clear and protected, and what comes in through it.

::

    type | version | length (2, be) | fragment
                                      explicit nonce (8) | ciphertext | tag (16)      once protected

Source: RFC 5246 section 6.2; RFC 5288 section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from ..aes_gcm import TAG, AesGcm
from . import problems

HEADER: Final = 5
VERSION: Final = 0x0303
EXPLICIT: Final = 8
#: So many records may be missing in a row where a recorded session is read on.
AHEAD: Final = 8
#: What protection adds to a record.
OVERHEAD: Final = EXPLICIT + TAG
#: The most clear text of a record.
MAX_PLAIN: Final = 1 << 14
#: The longest handshake message that is taken; those of this suite are far shorter.
MAX_HANDSHAKE: Final = 1 << 14


class Kind(IntEnum):
    """What a record or a handshake message is. Handshake messages have the number that they are sent with."""

    HELLO_REQUEST = 0
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    SERVER_KEY_EXCHANGE = 12
    SERVER_HELLO_DONE = 14
    CLIENT_KEY_EXCHANGE = 16
    FINISHED = 20
    # Records, whose types would be mixed up with the numbers above.
    CHANGE_CIPHER_SPEC = 0x114
    ALERT = 0x115
    HANDSHAKE = 0x116
    APPLICATION_DATA = 0x117


class State(IntEnum):
    """What one direction waits for."""

    CLIENT_HELLO = 0
    CLIENT_KEY_EXCHANGE = 1
    SERVER_HELLO = 2
    SERVER_KEY_EXCHANGE = 3
    SERVER_HELLO_DONE = 4
    CHANGE_CIPHER_SPEC = 5
    FINISHED = 6
    OPEN = 7


#: What may come, and what is waited for then. The two directions differ in where they start.
NEXT: Final[dict[State, dict[Kind, State]]] = {
    State.CLIENT_HELLO: {Kind.CLIENT_HELLO: State.CLIENT_KEY_EXCHANGE},
    State.CLIENT_KEY_EXCHANGE: {Kind.CLIENT_KEY_EXCHANGE: State.CHANGE_CIPHER_SPEC},
    State.SERVER_HELLO: {Kind.SERVER_HELLO: State.SERVER_KEY_EXCHANGE},
    # A server with an identity hint sends it in a message that others leave out.
    State.SERVER_KEY_EXCHANGE: {
        Kind.SERVER_KEY_EXCHANGE: State.SERVER_HELLO_DONE,
        Kind.SERVER_HELLO_DONE: State.CHANGE_CIPHER_SPEC,
    },
    State.SERVER_HELLO_DONE: {Kind.SERVER_HELLO_DONE: State.CHANGE_CIPHER_SPEC},
    State.CHANGE_CIPHER_SPEC: {Kind.CHANGE_CIPHER_SPEC: State.FINISHED},
    State.FINISHED: {Kind.FINISHED: State.OPEN},
    State.OPEN: {Kind.APPLICATION_DATA: State.OPEN},
}
#: Where a direction starts, and so: whether a version below 1.2 may stand in its records still.
_STARTS: Final = (State.CLIENT_HELLO, State.SERVER_HELLO)


@dataclass(frozen=True, slots=True)
class Item:
    """A handshake message (``data``: with its header), a change of ciphers, an alert, or application data."""

    kind: Kind
    data: bytes = field(repr=False)

    @property
    def body(self) -> bytes:
        """A handshake message without its header."""
        return self.data[4:]


class Protection:
    """Key and record counter of one direction."""

    __slots__ = ("_cipher", "_salt", "_sequence")

    def __init__(self, key: bytes, salt: bytes) -> None:
        self._cipher, self._salt, self._sequence = AesGcm(key), salt, 0

    def _header(self, kind: Kind, length: int, ahead: int = 0) -> bytes:
        return (self._sequence + ahead).to_bytes(8, "big") + _header(kind, length)

    def seal(self, kind: Kind, data: bytes) -> bytes:
        """A protected record. The explicit nonce is the record's number, as the meter does it."""
        nonce = self._sequence.to_bytes(EXPLICIT, "big")
        sealed = self._cipher.seal(self._salt + nonce, data, self._header(kind, len(data)))
        self._sequence += 1
        return _header(kind, len(sealed) + EXPLICIT) + nonce + sealed

    def open(self, kind: Kind, fragment: bytes, ahead: int = 0) -> bytes | None:
        """The clear text; None if it was not made with this key and as the next record, or with up to ``ahead`` between."""
        if len(fragment) < OVERHEAD:
            return None
        nonce, sealed = fragment[:EXPLICIT], fragment[EXPLICIT:]
        for more in range(ahead + 1):
            clear = self._cipher.open(self._salt + nonce, sealed, self._header(kind, len(sealed) - TAG, more))
            if clear is not None:
                self._sequence += more + 1
                return clear
        return None

    def pass_over(self) -> None:
        """Leave out a record."""
        self._sequence += 1


def emit(kind: Kind, data: bytes, protection: Protection | None = None) -> bytes:
    """One record."""
    return protection.seal(kind, data) if protection else _header(kind, len(data)) + data


def handshake(kind: Kind, body: bytes) -> bytes:
    """One handshake message."""
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def _header(kind: Kind, length: int) -> bytes:
    return (kind & 0xFF).to_bytes(1, "big") + VERSION.to_bytes(2, "big") + length.to_bytes(2, "big")


class Incoming:
    """One direction: bytes in any chunks to what they say, in the order that the protocol allows."""

    __slots__ = ("_ahead", "_buffer", "_from_server", "_messages", "chosen", "protections", "state")

    def __init__(self, state: State, *, recorded: bool = False) -> None:
        """``recorded``: once the handshake is over, records may be missing that both sides had."""
        self.state = state
        self._ahead = AHEAD if recorded else 0
        self._from_server = state == State.SERVER_HELLO
        #: The ways to decipher that may be right; the first record decides.
        self.protections: list[Protection] = []
        #: Which of them it was.
        self.chosen = 0
        self._buffer = bytearray()
        self._messages = bytearray()

    def feed(self, data: bytes) -> None:
        """Take some bytes."""
        self._buffer += data

    def pass_over(self) -> bool:
        """Leave out a record that could not be deciphered, though the other side may have; False: nothing can come of it."""
        may = self._ahead > 0 and self.state == State.OPEN
        if may:
            for protection in self.protections:
                protection.pass_over()
        return may

    def next(self) -> Item | None:
        """What comes next, or None where bytes are missing. Raises: Problem."""
        while (item := self._message()) is None:
            record = self._record()
            if record is None:
                return None
            kind, fragment = record
            if kind == Kind.HANDSHAKE:
                if not fragment:
                    raise problems.decode("record")
                self._messages += fragment
                continue
            if kind == Kind.ALERT:
                if len(fragment) != 2:
                    raise problems.decode("alert")
                return Item(kind, fragment)
            if self._messages:
                raise problems.unexpected(kind.name.lower(), "the rest of a handshake message")
            self._advance(kind, kind.name.lower())
            if kind == Kind.CHANGE_CIPHER_SPEC:
                if fragment != b"\1":
                    raise problems.decode("change_cipher_spec")
                return Item(kind, fragment)
            if fragment:
                return Item(kind, fragment)
        return item

    def _message(self) -> Item | None:
        """The next handshake message that is whole."""
        messages = self._messages
        if len(messages) < 4:
            return None
        size = int.from_bytes(messages[1:4], "big")
        if size > MAX_HANDSHAKE:
            raise problems.too_long(size)
        if len(messages) < 4 + size:
            return None
        data = bytes(messages[: 4 + size])
        del messages[: 4 + size]
        if data == bytes(4) and self._from_server:
            # It may ask for a new handshake at any time; a client may ignore it (RFC 5246, section 7.4.1.1).
            return Item(Kind.HELLO_REQUEST, data)
        try:
            kind = Kind(data[0])
        except ValueError:
            raise problems.unexpected(f"handshake message {data[0]}", self._expected()) from None
        self._advance(kind, kind.name.lower())
        return Item(kind, data)

    def _expected(self) -> str:
        return " or ".join(kind.name.lower() for kind in NEXT[self.state])

    def _advance(self, kind: Kind, name: str) -> None:
        after = NEXT[self.state].get(kind)
        if after is None:
            raise problems.unexpected(name, self._expected())
        self.state = after

    def _record(self) -> tuple[Kind, bytes] | None:
        buffer = self._buffer
        if len(buffer) < HEADER:
            return None
        if not Kind.CHANGE_CIPHER_SPEC <= 0x100 + buffer[0] <= Kind.APPLICATION_DATA:
            raise problems.record_type(buffer[0])
        kind = Kind(0x100 + buffer[0])
        version, size = int.from_bytes(buffer[1:3], "big"), int.from_bytes(buffer[3:5], "big")
        if version != VERSION and not (self.state in _STARTS and version >> 8 == VERSION >> 8):
            raise problems.version(version)
        if size > MAX_PLAIN + (OVERHEAD if self.protections else 0):
            raise problems.record_overflow(size)
        if len(buffer) < HEADER + size:
            return None
        fragment = bytes(buffer[HEADER : HEADER + size])
        del buffer[: HEADER + size]
        return kind, self._opened(kind, fragment) if self.protections else fragment

    def _opened(self, kind: Kind, fragment: bytes) -> bytes:
        ahead = self._ahead if self.state == State.OPEN else 0
        for i, protection in enumerate(self.protections):
            clear = protection.open(kind, fragment, ahead)
            if clear is not None:
                if len(self.protections) > 1:
                    self.protections, self.chosen = [protection], i
                return clear
        raise problems.bad_record()
