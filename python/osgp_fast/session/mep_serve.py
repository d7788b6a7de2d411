"""The meter's side of a MEP port: messages to a handler, its answers to the line, alerts in between.

The same keys, sequence numbers, digests and TLS states as at the client; the virtual meter is a `MepHandler`. For tests and
demonstrations it can be as troublesome as a meter on a bad day: `MepResponder.tamper`, `away`, `forget`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from ..errors import SecurityError
from ..security import tls_messages
from ..security.key import Key
from ..security.messages import INVALID_SEQUENCE, SEQUENCE, Exchange, refusal
from ..security.tls import Data as TlsData
from ..security.tls import Established, Failed, TlsServer
from ..wire.mep import ALERT, LENGTH, MAX_BODY
from ._mep_state import TlsState, after
from .events import Data, Done, Read, Refusal, Response, Write
from .mep_crypto import Crypto, PythonCrypto
from .mep_events import DEFAULT_BAUD, MepAccess, MepMode, MepTiming
from .mep_message import ANSWER_OVERHEAD, encode_response, parse_request
from .mep_rc4 import Rc4Layer
from .message import Malformed
from .refusals import RefusalCode
from .serve import Handler
from .timing import BITS_PER_BYTE

#: A meter accepts the next sequence number and those after it, up to so many in all. Source: MEP guide p. 11.
WINDOW: Final = 8
_WRAP: Final = 0xFFFFFFFF
#: TLS alerts that answer a wrong identity or key.
_KEY_ALERTS: Final = (20, 51, 115)


class MepHandler(Handler):
    """A `Handler` that is told whose key a request has. Only its `read` and `write` are asked here."""

    baud: int = DEFAULT_BAUD
    """The speed of the port; a new one holds once the answer to the write that set it is out (MEP guide p. 20)."""

    def access(self, access: MepAccess, client_id: int | None) -> None:
        """Before each request: the key, and under TLS the number that the client gives itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MepPort:
    """How a port is set up."""

    keys: Mapping[MepAccess, Key | bytes] = field(repr=False)
    entropy: Callable[[int], bytes] = field(repr=False)
    mode: MepMode = MepMode.AUTO
    """AUTO: takes digest and RC4 as well as TLS; TLS: requires it; RC4 and CLEAR: knows no TLS."""
    tls_required: int | None = 0x01
    """What a port that requires TLS answers to others, bare; None: nothing. The guide does not say."""
    throttle: Literal["delay", "ignore"] = "delay"
    """What becomes of a request less than 100 ms after the one before."""
    sequence: int = 0
    """The sequence number that counts as the last one used."""


@dataclass(slots=True)
class MepServed:
    """What happened at the meter's side."""

    requests: int = 0
    """Handed to the handler."""
    refused_digests: int = 0
    refused_numbers: int = 0
    handshakes: int = 0
    alerts: int = 0


class MepResponder:
    """A meter's side of the line: bytes in, bytes out.

    ``alert`` True raises the alert until it is set to False; ``tamper`` may change each answer (a whole message), or
    swallow it with None; ``away`` True: an optical session has the port.
    """

    def __init__(
        self, handler: MepHandler, port: MepPort, *, timing: MepTiming | None = None, crypto: Crypto | None = None
    ) -> None:
        self.handler = handler
        self.port = port
        self.timing = timing or MepTiming()
        self.alert = False
        self.away = False
        self.tamper: Callable[[bytes], bytes | None] | None = None
        self.served = MepServed()
        self.sequence = port.sequence & _WRAP
        """The sequence number used last."""
        self.state = TlsState.NONE
        self.baud = handler.baud
        """The speed that the port has now."""
        self._crypto = crypto or PythonCrypto()
        self._server: TlsServer | None = None
        self._client_id = 0
        self._tls_access = MepAccess.BASIC
        self._buffer = bytearray()
        self._deaf = False
        self._out: deque[tuple[float, bytes]] = deque()
        self._heard_at = float("-inf")
        self._asked_at = float("-inf")
        self._alerted_at = float("-inf")

    def forget(self) -> None:
        """Lose the TLS session, as a restart does."""
        self.state, self._server = TlsState.NONE, None

    # The machine

    def receive(self, data: bytes, now: float) -> bytes:
        """Bytes that came; gives bytes to write."""
        if self.away:
            self._buffer.clear()
            self._out.clear()
            return b""
        began = now - len(data) * BITS_PER_BYTE / self.baud
        if began - self._heard_at >= self.timing.interbyte_s:
            self._buffer.clear()
            self._deaf = False
        self._heard_at = now
        if not self._deaf:
            self._buffer += data
        while (message := self._next()) is not None:
            self._take(message, now)
        return self._emit(now)

    def tick(self, now: float) -> bytes:
        """Time has passed; gives bytes to write."""
        if self.away:
            self._out.clear()
            return b""
        out = self._emit(now)
        due = self._alert_due()
        if not out and not self._out and due is not None and now >= due:
            self._alerted_at = now
            self.served.alerts += 1
            out = ALERT
        return out

    def deadline(self) -> float | None:
        """When `tick` is due."""
        if self.away:
            return None
        return self._out[0][0] if self._out else self._alert_due()

    def _alert_due(self) -> float | None:
        return max(self._alerted_at, self._heard_at, 0.0) + self.timing.alert_s if self.alert else None

    def _next(self) -> bytes | None:
        buffer = self._buffer
        while len(buffer) >= LENGTH:
            size = int.from_bytes(buffer[:LENGTH])
            if not 0 < size <= MAX_BODY:
                buffer.clear()
                self._deaf = True  # where the next message begins only a silence tells
                return None
            if len(buffer) < LENGTH + size:
                return None
            message = bytes(buffer[LENGTH : LENGTH + size])
            del buffer[: LENGTH + size]
            return message
        return None

    def _emit(self, now: float) -> bytes:
        out = b""
        while self._out and self._out[0][0] <= now:
            out += self._out.popleft()[1]
        if out and not self._out:
            self.baud = self.handler.baud
        return out

    def _answer(self, message: bytes | None, now: float) -> None:
        """Send it, in segments, and not sooner than the pace allows."""
        if message is not None and self.tamper is not None:
            message = self.tamper(message)
        if message is None:
            return
        at = self._out[-1][0] if self._out else now
        for piece in tls_messages.segments(message):
            self._out.append((at, piece))
            at += len(piece) * BITS_PER_BYTE / self.baud + self.timing.segment_pause_s

    def _take(self, message: bytes, now: float) -> None:
        early = now - self._asked_at < self.timing.pace_s
        if early and self.port.throttle == "ignore":
            return
        start = max(now, self._asked_at + self.timing.pace_s) if early else now
        self._asked_at = start
        self._answer(self._answered(message), start)

    # What to say

    def _answered(self, message: bytes) -> bytes | None:
        """The answer to a message, with its length field; None: none."""
        under_tls = self.port.mode in (MepMode.AUTO, MepMode.TLS)
        # The first byte of an enciphered message may look like TLS, so the digest comes first.
        if self.state is not TlsState.OPEN:
            try:
                exchange = self._crypto.mep_open_request([self.port.keys[which] for which in self._order()], message)
            except SecurityError:
                pass
            else:
                return self._tls_required() if self.port.mode is MepMode.TLS else self._exchange(exchange)
        request = tls_messages.parse_request(message) if under_tls else None
        if request is not None and (self.state is not TlsState.NONE or tls_messages.is_plausible(*request)):
            return self._tls(*request)
        self.served.refused_digests += 1
        return self._tls_required() if self.port.mode is MepMode.TLS or self.state is TlsState.OPEN else refusal()

    def _order(self) -> list[MepAccess]:
        """The advanced key is tried first (MEP guide p. 13)."""
        return sorted(self.port.keys, reverse=True)

    def _tls_required(self) -> bytes | None:
        code = self.port.tls_required
        return None if code is None else tls_messages.message(code, b"")

    def _exchange(self, exchange: Exchange) -> bytes:
        if not 1 <= (exchange.sequence - self.sequence) & _WRAP <= WINDOW:
            self.served.refused_numbers += 1
            return exchange.respond(bytes((INVALID_SEQUENCE,)) + self.sequence.to_bytes(SEQUENCE))
        self.sequence = exchange.sequence
        self.handler.access(self._order()[exchange.which], None)
        return exchange.respond(self._handled(exchange.body, Rc4Layer.most))

    def _tls(self, code: tls_messages.Request, records: bytes) -> bytes:
        state = after(self.state, code)
        if state is None:
            return tls_messages.message(tls_messages.Response.INVALID_STATE, b"")
        if code is tls_messages.Request.TERMINATE:
            self.forget()
            return tls_messages.message(tls_messages.Response.SUCCESS, b"")
        if code is tls_messages.Request.HANDSHAKE:
            self.served.handshakes += 1
            keys = {int(access): key for access, key in self.port.keys.items()}
            self._server = self._crypto.tls_server(keys, self.port.entropy(32), session_id=self.port.entropy(32))
        self.state = state
        server = self._server
        assert server is not None
        out, events = server.feed(records)
        for event in events:
            match event:
                case Established(identity):
                    self.state = TlsState.OPEN
                    self._client_id = int.from_bytes(identity[:2], "little")
                    self._tls_access = MepAccess(identity[2])
                case Failed():
                    self.forget()
                    bad_key = event.alert in _KEY_ALERTS and code is not tls_messages.Request.TABLE
                    answer = tls_messages.Response.INVALID_KEY if bad_key else tls_messages.Response.TLS_ERROR
                    return tls_messages.message(answer, out)
                case TlsData(clear) if code is tls_messages.Request.TABLE:
                    self.handler.access(self._tls_access, self._client_id)
                    out += server.send(self._handled(clear, tls_messages.MAX_CLEAR))
                case _:
                    self.forget()
                    return tls_messages.message(tls_messages.Response.TLS_ERROR, out)
        return tls_messages.message(tls_messages.Response.SUCCESS, out)

    def _handled(self, body: bytes, most: int) -> bytes:
        """Code and data of the answer, at most so many bytes."""
        self.served.requests += 1
        try:
            request = parse_request(body)
        except Malformed as error:
            return encode_response(Refusal(error.code))
        encoded = encode_response(self._ask(request, most))
        return encoded if len(encoded) <= most else encode_response(Refusal(RefusalCode.ONP))

    def _ask(self, request: Read | Write, most: int) -> Response:
        handler = self.handler
        if isinstance(request, Read):
            if (request.count or 0) > most - ANSWER_OVERHEAD:
                return Refusal(RefusalCode.ONP)
            answer = handler.read(request.table, request.offset or 0, request.count)
            if isinstance(answer, RefusalCode):
                return Refusal(answer)
            if isinstance(answer, bytes):
                answer = Data(answer)
            if request.count is None:
                return answer
            return Data(answer.data[: request.count].ljust(request.count, b"\0"), answer.ped)
        code = handler.write(request.table, request.offset, request.data, request.ped)
        return Done() if code is None else Refusal(code)
