"""The client of a MEP port as a machine over bytes: it never sleeps and never asks a clock. Driven like `Connection`.

One request at a time, `Read` or `Write`; there is no log-on: the key signs every message, and a TLS session is opened when
one is needed. What makes a message believable is the business of `mep_rc4` and `mep_tls`; here are length, time, pace and
retries. Alerts (00 00) come at any time, are told apart from answers and kept until `take_alert`.

A read is asked again until it is answered, `MepTiming.retries` times. A write is executed at most once: where it is not
known whether it was, the machine says so (`OutcomeUnknown`) and leaves it to the layer above (`mep_procedure`) to find out.
Source: MEP guide pp. 8-21.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from ..errors import LocalProtocolError, OsgpError, RemoteProtocolError, TransportError
from ..image import ped_size, table_name
from ..security.key import Key, used_bytes
from ..wire.mep import LENGTH, MAX_BODY
from ._mep_state import TlsState
from ._state import State
from .events import Done, Event, Failed, Read, Request, Response, Terminate, Write
from .mep_crypto import Crypto, PythonCrypto
from .mep_events import DEFAULT_BAUD, MepAccess, MepCounts, MepMode, MepRetry, MepTiming, OutcomeUnknown
from .mep_layer import Damaged, Heard, Layer, Over, Say, Step, Unknown
from .mep_message import ANSWER_OVERHEAD, WRITE_OVERHEAD, encode_request, parse_response
from .mep_rc4 import Rc4Layer
from .mep_tls import TlsLayer
from .timing import BITS_PER_BYTE

#: An answer that has begun in time is over after twice the time of the longest one and so many seconds.
TRICKLE_S: Final = 2.0
#: In `MepMode.AUTO`, TLS is given up for RC4 after so many silences, if it never worked.
AUTO_SILENCES: Final = 2


class MepConnection:
    """The client's side of a MEP line.

    Args: ``key`` is the MBK or MAK, as ``access`` says; ``entropy`` gives so many fresh random bytes (`os.urandom`);
    ``client_id`` is the number that TLS shows to the meter, for its event log; ``sequence`` the first sequence number,
    any will do (None: a random one); ``retry`` for meters that take a repeated packet otherwise; ``crypto`` does the
    arithmetic (`osgp_fast._impl` for the compiled part).

    Raises: SecurityError "security.key_length".
    """

    def __init__(
        self,
        key: Key | bytes,
        *,
        entropy: Callable[[int], bytes],
        mode: MepMode = MepMode.AUTO,
        access: MepAccess = MepAccess.ADVANCED,
        client_id: int = 0,
        sequence: int | None = None,
        retry: MepRetry = MepRetry.SAME_PACKET,
        timing: MepTiming | None = None,
        crypto: Crypto | None = None,
        baud: int = DEFAULT_BAUD,
    ) -> None:
        used_bytes(key)  # said now, not at the first request
        self.timing = timing or MepTiming()
        self.access = access
        self.baud = baud
        """The speed of the port in bit/s; set it once a write to ET13 has changed the meter's (MEP guide p. 20)."""
        self.counts = MepCounts()
        crypto = crypto or PythonCrypto()
        self._auto = mode is MepMode.AUTO
        number = int.from_bytes(entropy(4)) if sequence is None else sequence
        self._rc4 = Rc4Layer(
            key, encrypt=mode is not MepMode.CLEAR, number=number, retry=retry, crypto=crypto, counts=self.counts
        )
        self._tls = TlsLayer(
            key,
            access=access,
            client_id=client_id,
            entropy=entropy,
            crypto=crypto,
            counts=self.counts,
            handshakes=self.timing.handshakes,
        )
        self._layer: Layer = self._tls if mode in (MepMode.AUTO, MepMode.TLS) else self._rc4
        self._clear = mode is MepMode.CLEAR
        self._events: deque[Event] = deque()
        self._request: Read | Write | Terminate | None = None
        self._body = b""
        self._buffer = bytearray()
        self._heard_at = 0.0
        self._noisy = self._alerted = self._deaf = False
        self._held: Say | None = None
        self._not_before = 0.0
        self._due: float | None = None
        self._tries = self._silences = 0
        self._cause: OsgpError | None = None
        self._received_before = 0

    def __repr__(self) -> str:
        return f"<MepConnection {self.mode.value} {self.access.name.lower()} {self.state.value}>"

    # What holds

    @property
    def mode(self) -> MepMode:
        """How messages are protected now; `MepMode.AUTO` shows what it has come to."""
        if isinstance(self._layer, TlsLayer):
            return MepMode.TLS
        return MepMode.CLEAR if self._clear else MepMode.RC4

    @property
    def state(self) -> State:
        """`State.IDENTIFIED` while a TLS session is open, which `Terminate` ends; else `State.BASE`."""
        return State.BASE if self._tls.state is TlsState.NONE else State.IDENTIFIED

    @property
    def request(self) -> Request | None:
        """The request under way."""
        return self._request

    @property
    def max_read(self) -> int:
        """How many bytes of a table one answer can hold (a pending table's PED included)."""
        return self._layer.most - ANSWER_OVERHEAD

    @property
    def max_write(self) -> int:
        """How many bytes of a table one partial write can hold (a pending table's PED included)."""
        return self._layer.most_asked - WRITE_OVERHEAD

    def take_alert(self) -> bool:
        """Whether the meter has raised its alert since the last call: read ET13's alert flags to learn why (p. 18)."""
        alerted, self._alerted = self._alerted, False
        return alerted

    # The five

    def send(self, event: Request | Response, now: float) -> bytes:
        """A request: `Read`, `Write`, or `Terminate` to end a TLS session.

        Raises: LocalProtocolError "session.busy", "session.role", "session.argument", "session.too_long"; nothing has
        been sent then.
        """
        if self._request is not None:
            raise LocalProtocolError(
                "session.busy", f"{type(self._request).__name__} is not answered yet", "one request at a time"
            )
        self._tries = self._silences = 0
        self._cause = None
        self._received_before = self.counts.bytes_received
        if isinstance(event, Terminate):
            message = self._layer.hang_up()
            if not message:
                self._events.append(Done())
                return b""
            self._request = event
            return self._say(Say(message), now)
        if not isinstance(event, Read | Write):
            raise LocalProtocolError("session.role", f"a MEP client does not send {type(event).__name__}")
        self._fits(event)
        self._body = encode_request(event, self.max_read)
        say = self._layer.ask(self._body, once=isinstance(event, Write))
        self._request = event
        return self._say(say, now)

    def receive(self, data: bytes, now: float) -> bytes:
        """Bytes that came from the line, in any chunks."""
        self.counts.bytes_received += len(data)
        began = now - len(data) * BITS_PER_BYTE / self.baud
        self._quiet(began)
        self._heard_at = now
        if self._deaf:
            self.counts.noise_bytes += len(data)
        else:
            self._buffer += data
        out = b""
        while (message := self._next()) is not None:
            out += self._heard(message, now)
        # Whoever talks on and on does not keep the time from passing.
        return out + self.tick(now)

    def tick(self, now: float) -> bytes:
        """Time has passed. Calling it too early or too late does no harm."""
        self._quiet(now)
        if self._held is not None:
            return self._say(self._held, now) if now >= self._not_before else b""
        due = self._answer_due()
        if due is None or now < due:
            return b""
        self._due = None
        self._buffer.clear()
        if isinstance(self._request, Terminate):
            self._finish(Done())
            return b""
        self._silences += 1
        if self._silences >= AUTO_SILENCES and self._may_fall_back():
            return self._fall_back(now)
        if self._tries >= self.timing.retries:
            self._give_up(self._cause)
            return b""
        return self._step(self._layer.silence(), now)

    def deadline(self) -> float | None:
        """When `tick` has to be called at the latest, if nothing comes; None: there is nothing to wait for."""
        if self._held is not None:
            return self._not_before
        return self._answer_due()

    def next_event(self) -> Event | None:
        """What has happened: an answer or `Failed`; None: nothing more. Alerts: `take_alert`."""
        return self._events.popleft() if self._events else None

    def close(self, now: float) -> None:
        """Give the request up without a word. A TLS session goes on, but for one whose answer is still to come."""
        if self._request is not None:
            self._tls.hang_up()
        self._request = self._held = self._due = None
        self._buffer.clear()

    # Out

    def _fits(self, request: Read | Write) -> None:
        """Raises: LocalProtocolError "session.too_long"."""
        if isinstance(request, Read):
            got, most, what = (request.count or 0) + ped_size(request.table), self.max_read, "answer"
        else:
            got, most, what = len(request.data) + len(request.ped), self.max_write, "request"
        if got > most:
            raise LocalProtocolError(
                "session.too_long",
                f"{got} bytes of {table_name(request.table)} do not fit one {what} of the MEP port, which holds {most}",
                "read or write it in parts (`dialogue.read`, `dialogue.write`)",
                got=got,
                expected=most,
            )

    def _say(self, say: Say, now: float) -> bytes:
        """Send it, or keep it until the pace allows it."""
        if now < self._not_before:
            self._held = say
            return b""
        self._held = None
        self._deaf = False
        if say.again:
            self.counts.sent_again += 1
        self.counts.messages_sent += 1
        self.counts.bytes_sent += len(say.message)
        sent = now + len(say.message) * BITS_PER_BYTE / self.baud
        self._due = sent + self.timing.response_s
        self._not_before = sent + self.timing.pace_s
        return say.message

    # In

    def _quiet(self, now: float) -> None:
        """After a gap what is unfinished will not be finished, and noise is over."""
        if now - self._heard_at >= self.timing.gap_s:
            self.counts.noise_bytes += len(self._buffer)
            self._buffer.clear()
            self._noisy = self._deaf = False

    def _answer_due(self) -> float | None:
        if self._due is None or not self._buffer:
            return self._due
        longest = 2 * (LENGTH + MAX_BODY) * BITS_PER_BYTE / self.baud + TRICKLE_S
        return min(max(self._due, self._heard_at + self.timing.gap_s), self._due + longest)

    def _next(self) -> bytes | None:
        """The next whole message without its length field; alerts are noted."""
        buffer = self._buffer
        while len(buffer) >= LENGTH:
            size = int.from_bytes(buffer[:LENGTH])
            if size > MAX_BODY:
                self._cause = _too_long(size)
                self.counts.damaged += 1
                self.counts.noise_bytes += len(buffer)
                buffer.clear()
                # Where the next message begins only a silence tells, or an answer to what is said next.
                self._noisy = self._deaf = True
                return None
            if len(buffer) < LENGTH + size:
                return None
            message = bytes(buffer[LENGTH : LENGTH + size])
            del buffer[: LENGTH + size]
            if message:
                return message
            # Zeros behind what was damaged are more likely a part of it.
            if not self._noisy:
                self.counts.alerts += 1
                self._alerted = True
        return None

    def _heard(self, message: bytes, now: float) -> bytes:
        self.counts.messages_received += 1
        if isinstance(self._request, Terminate):
            self._finish(Done())
            return b""
        # While another request than the one sent last waits for its turn, nothing can be an answer to it.
        if self._request is None or (self._held is not None and not self._held.same):
            return b""
        return self._step(self._layer.answered(message), now)

    def _step(self, step: Step, now: float) -> bytes:
        match step:
            case Heard(code, data):
                self._answer(code, data)
            case Damaged(error, denied):
                self._cause = error
                self.counts.damaged += 1
                self._noisy = True
                if denied and self._held is None:
                    self._due = now
            case Unknown(error, accepted):
                self._unknown(error, accepted)
            case Over(error):
                if self._may_fall_back() and error.code in ("mep.tls_refused", "mep.tls_answer"):
                    return self._fall_back(now)
                self._give_up(error)
            case Say():
                self._cause = step.cause or self._cause
                if step.again:
                    self._tries += 1
                    if self._tries > self.timing.retries:
                        self._give_up(self._cause)
                        return b""
                return self._say(step, now)
        return b""

    def _answer(self, code: int, data: bytes) -> None:
        request = self._request
        assert isinstance(request, Read | Write)
        try:
            response = parse_response(request, code, data)
        except RemoteProtocolError as error:
            self._finish(Failed(error))
        else:
            self._finish(response)

    def _finish(self, event: Response | Failed) -> None:
        self._request = self._held = self._due = None
        self._events.append(event)

    # How it fails

    def _may_fall_back(self) -> bool:
        return self._auto and self._layer is self._tls and not self._tls.proven

    def _fall_back(self, now: float) -> bytes:
        """The meter knows no TLS, as far as can be seen: digest and RC4."""
        self._tls.hang_up()
        self._layer = self._rc4
        self._tries = self._silences = 0
        self._cause = None
        return self._say(self._rc4.ask(self._body, once=isinstance(self._request, Write)), now)

    def _give_up(self, error: OsgpError | None) -> None:
        error = error or self._nobody()
        if isinstance(self._request, Write) and self._layer.unsure:
            self._unknown(error, None)
        else:
            self._tls.hang_up()
            self._finish(Failed(error))

    def _unknown(self, error: OsgpError, accepted: bool | None) -> None:
        request = self._request
        assert isinstance(request, Write)
        took = "it took the request; " if accepted else ""
        unknown = OutcomeUnknown(
            "mep.outcome_unknown",
            f"{table_name(request.table)}: {len(request.data)} bytes were sent to be written, and the meter's answer is lost "
            f"({took}{error.message})",
            "find out whether they were written before you write again: read them back, or the response table of a procedure",
            table=request.table,
            offset=request.offset,
            count=len(request.data),
            accepted=accepted,
            cause=error.code,
        )
        self._finish(Failed(unknown))

    def _nobody(self) -> OsgpError:
        counts = self.counts
        received = counts.bytes_received - self._received_before
        return TransportError(
            "line.no_answer" if received else "line.silent",
            f"the MEP port does not answer ({self._tries + 1} times asked, {self.mode.value}, {received} bytes received, "
            f"{self.baud} bit/s 8N1)",
            "check cable and speed; on a meter of generation 2 or 3 somebody may be at the optical port, which silences MEP: "
            "ask again later"
            + ("" if self.mode is MepMode.TLS else "; a port that requires TLS may be silent to anything else"),
            bytes_sent=counts.bytes_sent,
            bytes_received=received,
            baud=self.baud,
        )


def _too_long(size: int) -> OsgpError:
    return RemoteProtocolError(
        "mep.too_long",
        f"an answer that says it has {size} bytes; at most {MAX_BODY} fit a message",
        "the line damages it, or its speed is another one",
        got=size,
        expected=MAX_BODY,
    )
