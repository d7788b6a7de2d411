"""The two sides of a session: `TlsClient` and `TlsServer`."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final, Literal

from ...errors import LocalProtocolError
from ..key import Key, used_bytes
from . import handshake, problems
from .events import Closed, Data, Established, Event, Failed
from .record import MAX_PLAIN, Incoming, Item, Kind, Protection, State, emit
from .record import handshake as message
from .schedule import CLIENT_FINISHED, RANDOM, SERVER_FINISHED, Secrets, is_finished

#: The longest identity that every implementation takes. Source: RFC 4279 section 5.3.
MAX_IDENTITY: Final = 128
#: Bytes of an identity of the MEP port. Source: MEP guide pp. 18-19.
IDENTITY: Final = 3
_WARNING: Final = 1
_FATAL: Final = 2
_CLOSE_NOTIFY: Final = bytes([_WARNING, 0])

Status = Literal["handshake", "open", "closed", "failed"]


def identity(client_id: int, key_id: int) -> bytes:
    """The identity of the MEP port: the client's number (16 bits, any), and 0 for the basic, 1 for the advanced key.

    Source: MEP guide pp. 18-19. It ends in 00 for the basic key: where text ends at a zero, it arrives cut.
    """
    return client_id.to_bytes(2, "little") + bytes([key_id])


class _Endpoint(ABC):
    """What both sides share: bytes in, bytes and events out."""

    _start: State

    def __init__(self, random: bytes) -> None:
        if len(random) != RANDOM:
            raise LocalProtocolError(
                "tls.random",
                f"{len(random)} random bytes; {RANDOM} are needed",
                "take fresh ones from os.urandom for every session",
                got=len(random),
                expected=RANDOM,
            )
        self._random = bytes(random)
        self._incoming = Incoming(self._start)
        self._outgoing: Protection | None = None
        self._transcript = hashlib.sha384()
        self._secrets: Secrets | None = None
        self._identity = b""
        self._status: Status = "handshake"
        self._to_send = bytearray()

    @property
    def status(self) -> Status:
        """Where the session stands."""
        return self._status

    def feed(self, data: bytes) -> tuple[bytes, list[Event]]:
        """Take what was received, in any chunks; give what to send and what happened. What comes after the end is ignored."""
        events: list[Event] = []
        if self._status in ("handshake", "open"):
            self._incoming.feed(data)
        try:
            while self._status in ("handshake", "open") and (item := self._incoming.next()) is not None:
                event = self._alert(item.data) if item.kind == Kind.ALERT else self._take(item)
                if event is not None:
                    events.append(event)
        except problems.Problem as problem:
            events.append(self._fail(problem.failed))
        sent = bytes(self._to_send)
        self._to_send.clear()
        return sent, events

    def send(self, data: bytes) -> bytes:
        """Application data as one record. Raises: LocalProtocolError "tls.not_open", "tls.too_long"."""
        if self._status != "open":
            raise LocalProtocolError(
                "tls.not_open", f"the session is not open but {self._status}", "send when it is established"
            )
        if len(data) > MAX_PLAIN:
            raise LocalProtocolError(
                "tls.too_long",
                f"{len(data)} bytes; a record holds at most {MAX_PLAIN}",
                got=len(data),
                expected=MAX_PLAIN,
            )
        return emit(Kind.APPLICATION_DATA, data, self._outgoing)

    def close(self) -> bytes:
        """Say that nothing follows; empty if the session is over already."""
        if self._status in ("closed", "failed"):
            return b""
        sent = emit(Kind.ALERT, _CLOSE_NOTIFY, self._outgoing)
        self._end("closed")
        return sent

    @abstractmethod
    def _take(self, item: Item) -> Event | None:
        """What the other side says; the order is right already."""

    def _alert(self, data: bytes) -> Event | None:
        level, description = data
        if description == 0:
            self._to_send += emit(Kind.ALERT, _CLOSE_NOTIFY, self._outgoing)
            self._end("closed")
            return Closed()
        if level == _WARNING:
            return None
        self._end("failed")
        return problems.alert(description).failed

    def _fail(self, failed: Failed) -> Failed:
        self._to_send += emit(Kind.ALERT, bytes([_FATAL, failed.alert]), self._outgoing)
        self._end("failed")
        return failed

    def _end(self, status: Status) -> None:
        self._status = status
        self._secrets = self._outgoing = None
        self._incoming = Incoming(self._start)

    def _say(self, data: bytes) -> None:
        """Send a handshake message."""
        self._transcript.update(data)
        self._to_send += emit(Kind.HANDSHAKE, data, self._outgoing)

    def _change_and_finish(self, label: bytes, outgoing: Protection, secrets: Secrets) -> None:
        self._to_send += emit(Kind.CHANGE_CIPHER_SPEC, b"\1")
        self._outgoing = outgoing
        self._say(message(Kind.FINISHED, secrets.finished(label, self._transcript)))

    def _check_finished(self, label: bytes, item: Item, secrets: Secrets) -> None:
        if not is_finished(secrets, label, self._transcript, handshake.parse_finished(item.body)):
            raise problems.finished()
        self._transcript.update(item.data)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {self._status}>"


class TlsClient(_Endpoint):
    """The side that asks: the MEP device."""

    _start = State.SERVER_HELLO

    def __init__(self, identity: bytes, key: Key | bytes, random: bytes) -> None:
        """``identity``: 1 to 128 raw bytes, see `identity`; ``random``: 32 bytes that were never used before.

        Raises: LocalProtocolError "tls.random", "tls.identity_length"; SecurityError "security.key_length".
        """
        super().__init__(random)
        if not 1 <= len(identity) <= MAX_IDENTITY:
            raise LocalProtocolError(
                "tls.identity_length",
                f"an identity of {len(identity)} bytes; it has 1 to {MAX_IDENTITY}",
                got=len(identity),
                expected=(1, MAX_IDENTITY),
            )
        self._identity = bytes(identity)
        self._key = used_bytes(key)
        self._hello = handshake.client_hello(self._random)
        self._transcript.update(self._hello)

    def start(self) -> bytes:
        """The ClientHello that begins the session; the same each time."""
        return emit(Kind.HANDSHAKE, self._hello)

    def _take(self, item: Item) -> Event | None:
        match item.kind:
            case Kind.SERVER_HELLO:
                self._secrets = Secrets(self._key, self._random, handshake.parse_server_hello(item.body))
                self._transcript.update(item.data)
            case Kind.SERVER_KEY_EXCHANGE:
                handshake.check_server_key_exchange(item.body)
                self._transcript.update(item.data)
            case Kind.SERVER_HELLO_DONE:
                handshake.check_server_hello_done(item.body)
                self._transcript.update(item.data)
                if self._secrets:
                    self._say(handshake.client_key_exchange(self._identity))
                    self._change_and_finish(CLIENT_FINISHED, self._secrets.client, self._secrets)
            case Kind.CHANGE_CIPHER_SPEC if self._secrets:
                self._incoming.protections = [self._secrets.server]
            case Kind.FINISHED if self._secrets:
                self._check_finished(SERVER_FINISHED, item, self._secrets)
                self._status = "open"
                return Established(self._identity, 0)
            case Kind.APPLICATION_DATA:
                return Data(item.data)
        return None


class TlsServer(_Endpoint):
    """The side that answers: the meter."""

    _start = State.CLIENT_HELLO

    def __init__(self, keys: Mapping[int, Key | bytes], random: bytes, *, session_id: bytes = b"") -> None:
        """``keys``: by key id, the last byte of an identity; ``random``: 32 bytes that were never used before.

        ``session_id``: up to 32 bytes that are shown and mean nothing, as meters do it.
        Raises: LocalProtocolError "tls.random", "tls.session_id"; SecurityError "security.key_length".
        """
        super().__init__(random)
        if len(session_id) > handshake.MAX_SESSION_ID:
            raise LocalProtocolError(
                "tls.session_id",
                f"a session id of {len(session_id)} bytes; it has at most {handshake.MAX_SESSION_ID}",
                got=len(session_id),
                expected=handshake.MAX_SESSION_ID,
            )
        self._session_id = bytes(session_id)
        self._keys = {key_id: used_bytes(key) for key_id, key in keys.items()}
        self._client_random = b""

    def _take(self, item: Item) -> Event | None:
        match item.kind:
            case Kind.CLIENT_HELLO:
                hello = handshake.parse_client_hello(item.body)
                self._client_random = hello.random
                self._transcript.update(item.data)
                self._say(handshake.server_hello(self._random, self._session_id, hello.renegotiation_info))
                self._say(message(Kind.SERVER_HELLO_DONE, b""))
            case Kind.CLIENT_KEY_EXCHANGE:
                named = handshake.parse_client_key_exchange(item.body)
                key = self._keys.get(named[-1]) if len(named) == IDENTITY else None
                if key is None:
                    raise problems.unknown_identity(len(named))
                self._identity = named
                self._secrets = Secrets(key, self._client_random, self._random)
                self._transcript.update(item.data)
            case Kind.CHANGE_CIPHER_SPEC if self._secrets:
                self._incoming.protections = [self._secrets.client]
            case Kind.FINISHED if self._secrets:
                self._check_finished(CLIENT_FINISHED, item, self._secrets)
                self._change_and_finish(SERVER_FINISHED, self._secrets.server, self._secrets)
                self._status = "open"
                return Established(self._identity, self._identity[-1])
            case Kind.APPLICATION_DATA:
                return Data(item.data)
        return None
