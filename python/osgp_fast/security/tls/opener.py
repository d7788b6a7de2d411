"""Reads recorded sessions with the key: the suite has no forward secrecy."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ..key import Key, used_bytes
from . import handshake, problems
from .events import Closed, Data, Established, Event
from .record import Incoming, Item, Kind, State
from .schedule import CLIENT_FINISHED, SERVER_FINISHED, Secrets, is_finished


class TlsOpener:
    """One session, from its ClientHello on. Give it the records of both directions in the order they were sent.

    `Established` says that both Finished messages fit; a handshake that follows needs an opener of its own. After that a
    damaged record is a `Failed` and is left out, and some may be missing: the recording may lack what the two sides had.
    """

    def __init__(self, keys: Sequence[Key | bytes]) -> None:
        """``keys``: those that may be the one; the first record that is deciphered tells which it was.

        Raises: SecurityError "security.key_length".
        """
        self._keys = [used_bytes(key) for key in keys]
        self._client = Incoming(State.CLIENT_HELLO, recorded=True)
        self._server = Incoming(State.SERVER_HELLO, recorded=True)
        self._transcript = hashlib.sha384()
        self._randoms: dict[bool, bytes] = {}
        self._identity = b""
        self._secrets: list[Secrets] = []
        self._over = False

    def client(self, data: bytes) -> list[Event]:
        """Take some bytes that the client sent."""
        return self._feed(data, from_client=True)

    def server(self, data: bytes) -> list[Event]:
        """Take some bytes that the server sent."""
        return self._feed(data, from_client=False)

    def _feed(self, data: bytes, *, from_client: bool) -> list[Event]:
        events: list[Event] = []
        incoming = self._client if from_client else self._server
        if not self._over:
            incoming.feed(data)
        while not self._over:
            try:
                item = incoming.next()
                if item is None:
                    break
                event = self._alert(item.data) if item.kind == Kind.ALERT else self._take(item, from_client)
            except problems.Problem as problem:
                event = problem.failed
                if event.code != "tls.bad_record" or not incoming.pass_over():
                    self._end()
            if event is not None:
                events.append(event)
        return events

    def _take(self, item: Item, from_client: bool) -> Event | None:
        match item.kind:
            case Kind.CLIENT_HELLO:
                self._randoms[True] = handshake.parse_client_hello(item.body).random
            case Kind.SERVER_HELLO:
                self._randoms[False] = handshake.parse_server_hello(item.body)
            case Kind.SERVER_KEY_EXCHANGE:
                handshake.check_server_key_exchange(item.body)
            case Kind.SERVER_HELLO_DONE:
                handshake.check_server_hello_done(item.body)
            case Kind.CLIENT_KEY_EXCHANGE:
                self._identity = handshake.parse_client_key_exchange(item.body)
            case Kind.CHANGE_CIPHER_SPEC:
                self._change(from_client)
                return None
            case Kind.FINISHED:
                if from_client:
                    self._secrets = [self._secrets[self._client.chosen]]
                label = CLIENT_FINISHED if from_client else SERVER_FINISHED
                if not is_finished(self._secrets[0], label, self._transcript, handshake.parse_finished(item.body)):
                    raise problems.finished()
                if not from_client:
                    return Established(self._identity, self._client.chosen)
            case Kind.APPLICATION_DATA:
                return Data(item.data)
            case _:
                return None
        self._transcript.update(item.data)
        return None

    def _change(self, from_client: bool) -> None:
        """The direction is protected from here on."""
        if from_client:
            if len(self._randoms) < 2:
                raise problems.unexpected("change_cipher_spec", "server_hello")
            if not self._keys:
                raise problems.bad_record()
            self._secrets = [Secrets(key, self._randoms[True], self._randoms[False]) for key in self._keys]
            self._client.protections = [secrets.client for secrets in self._secrets]
        else:
            # The client's Finished comes first, and with it the choice of the key.
            if self._client.state != State.OPEN:
                raise problems.unexpected("change_cipher_spec", "the client's finished")
            self._server.protections = [self._secrets[0].server]

    def _alert(self, data: bytes) -> Event | None:
        level, description = data
        if description and level == 1:
            return None
        self._end()
        return problems.alert(description).failed if description else Closed()

    def _end(self) -> None:
        self._over = True
        self._secrets = []
        self._client, self._server = Incoming(State.CLIENT_HELLO), Incoming(State.SERVER_HELLO)

    def __repr__(self) -> str:
        return f"<TlsOpener with {len(self._keys)} keys>"
