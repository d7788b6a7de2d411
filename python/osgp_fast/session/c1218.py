"""A C12.18 session as a machine over bytes, for both sides: it never sleeps and never asks a clock.

The client sends requests and gets answers, the meter gets requests and sends answers; otherwise they are the same. All
times are seconds on one clock that runs on. The three methods that take ``now`` return the bytes that are to be written
now. See `osgp_fast.session` for how to drive it.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from ..errors import LocalProtocolError, OsgpError, RemoteProtocolError, TransportError
from ..image import ped_size
from . import message
from ._state import State, after
from .events import (
    Data,
    Event,
    Failed,
    Identified,
    Identify,
    Negotiate,
    Negotiated,
    Read,
    Refusal,
    Request,
    Response,
    TimedOut,
    Wait,
)
from .link import Counts, Link, Role
from .message import ANSWER_OVERHEAD, MAX_COUNT, WRITE_OVERHEAD, Malformed
from .refusals import RefusalCode, wanted
from .timing import Timing

#: An exchange ends after twice the time of the longest message and so many seconds, whatever has come meanwhile.
EXCHANGE_S: Final = 60.0


class Connection:
    """One side of a line. One request at a time.

    Args: ``echo`` says whether what is sent comes back from the optical head (None: find out).
    """

    def __init__(self, role: Role, *, timing: Timing | None = None, echo: bool | None = None) -> None:
        self.role = role
        self.timing = timing or Timing()
        self.state = State.BASE
        """Where the session stands."""
        self._link = Link(role, self.timing, echo=echo)
        self._events: deque[Event] = deque()
        self._request: Request | None = None
        self._answering: Response | None = None
        self._answer_until: float | None = None
        self._probe_at: float | None = None
        self._give_up_at: float | None = None
        self._progress = 0
        self._rest_until = 0.0
        self._extra_s = 0.0

    def __repr__(self) -> str:
        return f"<Connection {self.role.value} {self.state.value}>"

    # What holds

    @property
    def counts(self) -> Counts:
        """What happened on the line so far."""
        return self._link.counts

    @property
    def echo(self) -> bool | None:
        """Whether the line echoes what is sent; None: not known yet."""
        return self._link.echo

    @property
    def baud(self) -> int:
        """The speed that the port should have now, in bit/s; follow it after every write."""
        return self._link.baud

    @property
    def heard_at(self) -> float | None:
        """When the last valid packet came."""
        return self._link.heard_at

    @property
    def request(self) -> Request | None:
        """The request under way."""
        return self._request

    @property
    def max_read(self) -> int:
        """How many bytes of a table one answer can hold (a pending table's PED included)."""
        return min(self._link.most - ANSWER_OVERHEAD, MAX_COUNT)

    @property
    def max_write(self) -> int:
        """How many bytes of a table one partial write can hold (a pending table's PED included)."""
        return min(self._link.most - WRITE_OVERHEAD, MAX_COUNT)

    # The five

    def send(self, event: Request | Response, now: float) -> bytes:
        """A request (client) or the answer to the one given out last (meter).

        Raises: LocalProtocolError "session.busy", "session.state", "session.role", "session.argument",
        "session.too_long"; nothing has been sent then.
        """
        if isinstance(event, Response) == (self.role is Role.CLIENT):
            raise LocalProtocolError("session.role", f"a {self.role.value} does not send {type(event).__name__}")
        if isinstance(event, Response):
            self._answer(event, now)
        else:
            self._ask(event, now)
        return self._link.take(now)

    def receive(self, data: bytes, now: float) -> bytes:
        """Bytes that came from the line, in any chunks."""
        self._link.feed(data, now)
        self._turn(now)
        return self._link.take(now)

    def tick(self, now: float) -> bytes:
        """Time has passed. Calling it too early or too late does no harm."""
        self._link.tick(now)
        self._turn(now)
        self._clocks(now)
        return self._link.take(now)

    def deadline(self) -> float | None:
        """When `tick` has to be called at the latest, if nothing comes; None: there is nothing to wait for."""
        times = [
            self._link.deadline(),
            self._answer_until,
            self._probe_at,
            self._give_up_at,
            self._traffic_deadline(),
        ]
        return min((time for time in times if time is not None), default=None)

    def next_event(self) -> Event | None:
        """What has happened: an answer or `Failed` (client), a request or `TimedOut` (meter); None: nothing more."""
        return self._events.popleft() if self._events else None

    def close(self, now: float) -> None:
        """Give the session up without a word: the port was closed, or somebody interrupted."""
        self._link.drop()
        self._over(now)

    # Client

    def _ask(self, request: Request, now: float) -> None:
        if self._request is not None:
            raise LocalProtocolError(
                "session.busy", f"{type(self._request).__name__} is not answered yet", "one request at a time"
            )
        if after(self.state, request) is None:
            raise LocalProtocolError(
                "session.state",
                f"{type(request).__name__} is not possible in the state {self.state.value}",
                "identify, log on and give the password first; only then can tables be read",
                got=self.state.value,
            )
        if isinstance(request, Read) and (request.count or 0) + ped_size(request.table) > self.max_read:
            raise LocalProtocolError(
                "session.too_long",
                f"{request.count} bytes of table do not fit one answer of {self._link.most} bytes",
                "negotiate more or larger packets, or read in parts",
                got=request.count,
                expected=self.max_read,
            )
        encoded = message.encode_request(request)
        first = self.state is State.BASE
        self._link.write(encoded, now, first=first, not_before=self._rest_until)
        self._request = request
        self._link.expecting = True
        # Whatever comes, even from something that chatters for ever: an exchange ends.
        longest = 2 * self._link.seconds(self._link.most) + EXCHANGE_S
        self._give_up_at = max(now, self._rest_until) + longest

    def _answered(self, data: bytes, now: float) -> None:
        request = self._request
        if request is None:
            return  # late, and acknowledged: whoever asked has given up
        try:
            response = message.parse_response(request, data)
        except RemoteProtocolError as error:
            if isinstance(request, Identify):
                return  # of an earlier session: a meter that has ended it would not have said so
            if error.code == "session.checksum":
                self._finish(Failed(error))
            else:  # perhaps the answer to something else: the two sides are out of step
                self._link.drop()
                self._fail(error, now)
            return
        if isinstance(response, Refusal):
            if response.code == RefusalCode.ISSS:
                self.state = State.BASE  # the meter has ended the session, or is in another one
        else:
            self.state = after(self.state, request) or self.state
            if self.state is State.BASE:
                self._link.forget()
            if isinstance(response, Negotiated):
                self._agree(response)
        self._finish(response)

    def _finish(self, event: Response | Failed) -> None:
        self._request = None
        self._answer_until = self._probe_at = self._give_up_at = None
        self._link.expecting = False
        self._link.drop()
        self._events.append(event)

    def _fail(self, error: OsgpError, now: float) -> None:
        self._over(now)
        self._events.append(Failed(error))

    def _over(self, now: float) -> None:
        self.state = State.BASE
        self._request = None
        self._answer_until = self._probe_at = self._give_up_at = None
        self._extra_s = 0.0
        self._link.forget()
        if self.role is Role.CLIENT:
            self._link.expecting = False
            self._rest_until = now + self.timing.rest_s

    # Meter

    def _asked(self, data: bytes, now: float) -> None:
        self._extra_s = 0.0
        # Whoever asks anew has given up the request before.
        self._request = None
        self._events = deque(event for event in self._events if not isinstance(event, Request))
        try:
            request = message.parse_request(data)
        except Malformed as error:
            self._refuse(error.code, now)
            return
        if after(self.state, request) is None:
            self._refuse(RefusalCode.ISSS, now)
            return
        self._request = request
        self._events.append(request)

    def _refuse(self, code: RefusalCode, now: float) -> None:
        self._link.drop()
        self._link.write(message.encode_response(Refusal(code)), now)

    def _answer(self, response: Response, now: float) -> None:
        request = self._request
        if request is None:
            raise LocalProtocolError("session.state", "there is no request to answer", got=self.state.value)
        _fits(request, response)
        encoded = message.encode_response(response)
        if len(encoded) > self._link.most:
            response = Refusal(RefusalCode.ONP)
            encoded = message.encode_response(response)
        self._link.drop()
        self._link.write(encoded, now)
        self._request = None
        self._answering = response
        if isinstance(response, Refusal):
            return
        self.state = after(self.state, request) or self.state
        if isinstance(request, Wait):
            self._extra_s = float(request.seconds)
        elif isinstance(response, Negotiated):
            self._agree(response, baud=False)

    def _agree(self, agreed: Negotiated, *, baud: bool = True) -> None:
        self._link.packet_size, self._link.packets = agreed.packet_size, agreed.packets
        if baud and agreed.baud is not None:
            self._link.change_baud(agreed.baud)

    # Both

    def _turn(self, now: float) -> None:
        link = self._link
        if link.delivered:
            link.delivered = False
            if self.role is Role.CLIENT:
                if self._request is not None:
                    self._answer_until = self._answer_until or now + self.timing.answer_s
                    self._probe_at = now + self.timing.probe_s
            else:
                if isinstance(self._answering, Negotiated) and self._answering.baud is not None:
                    link.change_baud(self._answering.baud)
                self._answering = None
                if self.state is State.BASE:
                    link.forget()
        while link.messages:
            data = link.messages.popleft()
            if self.role is Role.CLIENT:
                self._answered(data, now)
            else:
                self._asked(data, now)
        if link.failure is not None:
            error, link.failure = link.failure, None
            if self.role is Role.CLIENT:
                error.fields["request"] = self._request and type(self._request).__name__
                self._fail(error, now)
            else:
                self._answering = None
                if self.state is State.BASE:
                    link.forget()
        if self._answer_until is not None and link.progress != self._progress:
            self._answer_until = now + self.timing.answer_s
            self._probe_at = now + self.timing.probe_s
        self._progress = link.progress

    def _traffic_deadline(self) -> float | None:
        heard = self._link.heard_at
        if self.role is Role.CLIENT or self.state is State.BASE or heard is None:
            return None
        return heard + max(self.timing.traffic_s, self._extra_s)

    def _clocks(self, now: float) -> None:
        traffic = self._traffic_deadline()
        if traffic is not None and now >= traffic:
            self._link.drop()
            self._over(now)
            self._events.append(TimedOut())
            return
        if self._request is None or self.role is Role.METER:
            return
        ends = [time for time in (self._answer_until, self._give_up_at) if time is not None]
        if ends and now >= min(ends):
            self._link.drop()
            self._fail(self._no_answer(self._request), now)
        elif self._probe_at is not None and now >= self._probe_at:
            self._probe_at = now + self.timing.probe_s
            if self._link.idle and not self._link.receiving(now):
                if isinstance(self._request, Identify):
                    # The meter may take it for one that it knows from an earlier session: say it anew.
                    self._link.write(message.encode_request(self._request), now, first=True)
                else:
                    self._link.repeat(now)

    def _no_answer(self, request: Request) -> OsgpError:
        counts = self.counts
        return TransportError(
            "line.no_answer",
            f"there is no whole answer to the request {wanted(request)} "
            f"({counts.bytes_sent} bytes sent, {counts.bytes_received} received, {self.baud} bit/s 8N1)",
            "start a new session; a meter that ended this one to protect its MEP client stays silent for some minutes",
            request=type(request).__name__,
            bytes_sent=counts.bytes_sent,
            bytes_received=counts.bytes_received,
            echo=bool(counts.echoes),
            baud=self.baud,
        )


def _fits(request: Request, response: Response) -> None:
    """Whether an answer is one to this request. Raises: LocalProtocolError "session.argument"."""
    kinds: dict[type[object], type[object]] = {Identify: Identified, Negotiate: Negotiated, Read: Data}
    expected = kinds.get(type(request))
    good = isinstance(response, expected) if expected else not isinstance(response, Identified | Negotiated | Data)
    if not (good or isinstance(response, Refusal)):
        raise LocalProtocolError(
            "session.argument", f"{type(response).__name__} is no answer to {type(request).__name__}"
        )
