"""The handshake's messages: parsed with every length checked, and written. Source: RFC 5246 section 7.4, RFC 4279."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from . import problems
from .record import VERSION, Kind, handshake
from .schedule import RANDOM, VERIFY

SUITE: Final = 0x00A9
#: Stands for an empty renegotiation_info. Source: RFC 5746 section 3.3.
RENEGOTIATION_SCSV: Final = 0x00FF
RENEGOTIATION_INFO: Final = 0xFF01
MAX_SESSION_ID: Final = 32


@dataclass(frozen=True, slots=True)
class ClientHello:
    """The parts of a ClientHello that matter here."""

    random: bytes
    renegotiation_info: bool
    """Whether the client wants to see it in the answer."""


class _Cursor:
    """Takes a message apart; what does not add up is a Problem."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data, self._what, self._at = data, what, 0

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise problems.decode(self._what)
        part = self._data[self._at : end]
        self._at = end
        return part

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def counted(self, size: int) -> bytes:
        """A vector behind its length of ``size`` bytes."""
        return self.take(self.number(size))

    @property
    def more(self) -> bool:
        return self._at < len(self._data)

    def end(self) -> None:
        if self.more:
            raise problems.decode(self._what)


def client_hello(random: bytes) -> bytes:
    """A ClientHello with the one suite, no session and no extensions, as the guide's example has it (p. 14)."""
    suites = SUITE.to_bytes(2, "big") + RENEGOTIATION_SCSV.to_bytes(2, "big")
    body = VERSION.to_bytes(2, "big") + random + b"\0" + len(suites).to_bytes(2, "big") + suites + b"\1\0"
    return handshake(Kind.CLIENT_HELLO, body)


def parse_client_hello(body: bytes) -> ClientHello:
    """Check that the client speaks this suite."""
    cursor = _Cursor(body, "client_hello")
    version, random = cursor.number(2), cursor.take(RANDOM)
    session, offered, compressions = cursor.counted(1), cursor.counted(2), cursor.counted(1)
    extensions = _extensions(cursor, "client_hello")
    if len(session) > MAX_SESSION_ID or len(offered) % 2 or not offered or not compressions:
        raise problems.decode("client_hello")
    if version < VERSION:
        raise problems.version(version)
    suites = [int.from_bytes(offered[i : i + 2], "big") for i in range(0, len(offered), 2)]
    if SUITE not in suites:
        raise problems.suites(suites)
    if 0 not in compressions:
        raise problems.compression()
    info = extensions.get(RENEGOTIATION_INFO)
    if info not in (None, b"\0"):
        raise problems.renegotiation()
    return ClientHello(random, info is not None or RENEGOTIATION_SCSV in suites)


def server_hello(random: bytes, session_id: bytes, renegotiation_info: bool) -> bytes:
    """A ServerHello. The session id is for show: nothing is resumed."""
    body = (
        VERSION.to_bytes(2, "big") + random + bytes([len(session_id)]) + session_id + SUITE.to_bytes(2, "big") + b"\0"
    )
    if renegotiation_info:
        body += bytes.fromhex("0005 ff01 0001 00")
    return handshake(Kind.SERVER_HELLO, body)


def parse_server_hello(body: bytes) -> bytes:
    """Check that the server took what was offered; give its random bytes."""
    cursor = _Cursor(body, "server_hello")
    version, random = cursor.number(2), cursor.take(RANDOM)
    session, suite, compression = cursor.counted(1), cursor.number(2), cursor.number(1)
    extensions = _extensions(cursor, "server_hello")
    if len(session) > MAX_SESSION_ID:
        raise problems.decode("server_hello")
    if version != VERSION:
        raise problems.version(version)
    if suite != SUITE:
        raise problems.suite(suite)
    if compression:
        raise problems.compression()
    for kind, data in extensions.items():
        if kind != RENEGOTIATION_INFO:
            raise problems.extension(kind)
        if data != b"\0":
            raise problems.renegotiation()
    return random


def check_server_key_exchange(body: bytes) -> None:
    """An identity hint, which is of no use here: the identity is given."""
    cursor = _Cursor(body, "server_key_exchange")
    cursor.counted(2)
    cursor.end()


def check_server_hello_done(body: bytes) -> None:
    """It is empty."""
    _Cursor(body, "server_hello_done").end()


def client_key_exchange(identity: bytes) -> bytes:
    """The identity, which tells the server which key is meant."""
    return handshake(Kind.CLIENT_KEY_EXCHANGE, len(identity).to_bytes(2, "big") + identity)


def parse_client_key_exchange(body: bytes) -> bytes:
    """The identity."""
    cursor = _Cursor(body, "client_key_exchange")
    identity = cursor.counted(2)
    cursor.end()
    return identity


def parse_finished(body: bytes) -> bytes:
    """The verify data."""
    if len(body) != VERIFY:
        raise problems.decode("finished")
    return body


def _extensions(cursor: _Cursor, what: str) -> dict[int, bytes]:
    """Extensions in their order; there may be none. The cursor ends with them."""
    found: dict[int, bytes] = {}
    if cursor.more:
        inner = _Cursor(cursor.counted(2), what)
        cursor.end()
        while inner.more:
            kind, data = inner.number(2), inner.counted(2)
            if kind in found:
                raise problems.decode(what)
            found[kind] = data
    return found
