"""The meter's side: requests to a handler, its answers to the line. The virtual meter is a `Handler` of its own."""

from __future__ import annotations

from typing import Protocol

from ..errors import OsgpError
from .c1218 import Connection
from .events import (
    Data,
    Done,
    Failed,
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
    TimedOut,
    Wait,
    Write,
)
from .message import LEAST_PACKET
from .refusals import RefusalCode


class Handler:
    """What a meter does; every method may be overridden, and each may answer with a `RefusalCode`."""

    packet_size = 256
    """The largest packet that it takes."""
    packets = 255
    """The most packets of a message."""
    bauds: tuple[int, ...] = (9600,)
    """The speeds that it can do."""

    def identify(self) -> Identified | RefusalCode:
        """Who it is."""
        return Identified()

    def negotiate(self, request: Negotiate, baud: int) -> Negotiated | RefusalCode:
        """What it agrees to, at most what was asked for; ``baud`` is the speed now."""
        size = max(min(request.packet_size, self.packet_size), LEAST_PACKET)
        shared = [rate for rate in request.bauds if rate in self.bauds]
        return Negotiated(size, max(min(request.packets, self.packets), 1), max(shared, default=baud))

    def log_on(self, user_id: int, user: bytes) -> RefusalCode | None:
        """Somebody logs on."""

    def security(self, password: bytes) -> RefusalCode | None:
        """Somebody gives a password of 20 bytes; compare it in constant time."""

    def read(self, table: int, offset: int, count: int | None) -> bytes | Data | RefusalCode:
        """Some bytes of a table, ``count`` None: all of it. Fewer than asked for are filled with zeros; `Data` for a
        pending table, with its PED."""
        return RefusalCode.IAR

    def write(self, table: int, offset: int | None, data: bytes, ped: bytes) -> RefusalCode | None:
        """Write a table, ``offset`` None: all of it."""
        return RefusalCode.IAR

    def end(self, *, timed_out: bool) -> None:
        """The session is over: log-off, hang-up, or silence."""


class Machine(Protocol):
    """What can stand at an end of a line: a `Connection` or `Responder`, or something around one."""

    @property
    def baud(self) -> int:
        """The speed that it speaks now."""

    def receive(self, data: bytes, now: float) -> bytes:
        """Bytes that came; gives bytes to write."""

    def tick(self, now: float) -> bytes:
        """Time has passed; gives bytes to write."""

    def deadline(self) -> float | None:
        """When `tick` is due."""


class Responder:
    """A meter's `Connection` and its handler in one: bytes in, bytes out."""

    def __init__(self, connection: Connection, handler: Handler) -> None:
        self.connection = connection
        self.handler = handler
        self.failures: list[OsgpError] = []
        """Answers that could not be given."""

    @property
    def baud(self) -> int:
        """The speed that the port should have now."""
        return self.connection.baud

    def receive(self, data: bytes, now: float) -> bytes:
        """Bytes that came; gives bytes to write."""
        return self._serve(self.connection.receive(data, now), now)

    def tick(self, now: float) -> bytes:
        """Time has passed; gives bytes to write."""
        return self._serve(self.connection.tick(now), now)

    def deadline(self) -> float | None:
        """When `tick` is due."""
        return self.connection.deadline()

    def _serve(self, out: bytes, now: float) -> bytes:
        while (event := self.connection.next_event()) is not None:
            if isinstance(event, TimedOut):
                self.handler.end(timed_out=True)
            elif isinstance(event, Failed):
                self.failures.append(event.error)
            elif isinstance(event, Request):
                out += self.connection.send(self._answer(event), now)
                if isinstance(event, Logoff | Terminate):
                    self.handler.end(timed_out=False)
        return out

    def _answer(self, request: Request) -> Response:
        handler = self.handler
        answer: Response | bytes | RefusalCode | None
        match request:
            case Identify():
                answer = handler.identify()
            case Negotiate():
                answer = handler.negotiate(request, self.baud)
            case Logon(user_id, user):
                answer = handler.log_on(user_id, user)
            case Security(password):
                answer = handler.security(password)
            case Read(table, offset, count):
                answer = handler.read(table, offset or 0, count)
            case Write(table, data, offset, ped):
                answer = handler.write(table, offset, data, ped)
            case Wait() | Logoff() | Terminate():
                answer = None
        if answer is None:
            return Done()
        if isinstance(answer, RefusalCode):
            return Refusal(answer)
        if isinstance(answer, bytes):
            answer = Data(answer)
        if isinstance(request, Read) and isinstance(answer, Data) and request.count is not None:
            return Data(answer.data[: request.count].ljust(request.count, b"\0"), answer.ped)
        return answer
