"""The blocking loop between a port and a machine: write, read what is there, feed, stop at the deadline."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Generic, Self, TypeVar

from ..errors import OsgpError
from ..session import Connection, Failed, Machine, MepConnection, Refusal, Request, Response, dialogue, refusal
from ..session.dialogue import Dialogue
from .port import Clock, Port

T = TypeVar("T")
C = TypeVar("C", Connection, MepConnection)


def put(port: Port, machine: Machine, data: bytes) -> None:
    """Write what is due, and follow the machine's speed."""
    if data:
        port.write(data)
    if port.baud != machine.baud:
        port.baud = machine.baud


def step(port: Port, machine: Machine, clock: Clock, *, most_s: float | None = None) -> None:
    """Wait for bytes until the machine's deadline, at most ``most_s``, and let it act on them or on the time."""
    deadline = machine.deadline()
    left = None if deadline is None else max(deadline - clock(), 0.0)
    data = port.read(min((s for s in (left, most_s) if s is not None), default=None))
    now = clock()
    put(port, machine, machine.receive(data, now) if data else machine.tick(now))


class BaseLine(Generic[C]):
    """What is the same on either port."""

    def __init__(self, port: Port, connection: C, *, clock: Clock = time.monotonic) -> None:
        self.port = port
        self.connection: C = connection
        self.clock = clock

    def ask(self, request: Request) -> Response:
        """Make a request and wait for its answer. Raises: Refused, TransportError, other errors of the protocol."""
        put(self.port, self.connection, self.connection.send(request, self.clock()))
        while (event := self.connection.next_event()) is None:
            step(self.port, self.connection, self.clock)
        return result(event, request)

    def run(self, talk: Dialogue[T]) -> T:
        """Have a whole dialogue."""
        try:
            request = next(talk)
            while True:
                try:
                    answer = self.ask(request)
                except OsgpError as error:
                    request = talk.throw(error)
                else:
                    request = talk.send(answer)
        except StopIteration as stop:
            value: T = stop.value
            return value

    def hang_up(self) -> None:
        """Log off and terminate as far as possible, and close the port. What fails here is not raised."""
        try:
            if self.connection.request is None:
                self.run(dialogue.hang_up(self.connection))
                self.settle()
        except OsgpError:
            pass
        finally:
            self.connection.close(self.clock())
            self.port.close()

    def settle(self) -> None:
        """Wait until everything due has been written: the last ACK."""
        for _ in range(3):
            deadline = self.connection.deadline()
            if deadline is None or deadline - self.clock() > 0.01:
                return
            step(self.port, self.connection, self.clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hang_up()


class Line(BaseLine[Connection]):
    """A client on an optical port: requests with results.

    ``with Line(port) as line: line.run(dialogue.connect()); ...`` hangs up at the end, also after an error.
    """


class MepLine(BaseLine[MepConnection]):
    """A client on a MEP port: requests with results. Hanging up ends a TLS session."""

    def listen(self, seconds: float) -> bool:
        """Wait for an alert, at most so long: whether there was one, now or since the last time."""
        end = self.clock() + seconds
        while not self.connection.take_alert():
            left = end - self.clock()
            if left <= 0:
                return False
            data = self.port.read(left)
            now = self.clock()
            put(self.port, self.connection, self.connection.receive(data, now) if data else self.connection.tick(now))
        return True


def result(event: object, request: Request) -> Response:
    """An answer, or its exception."""
    if isinstance(event, Failed):
        raise event.error
    if isinstance(event, Refusal):
        raise refusal(event.code, request)
    assert isinstance(event, Response)
    return event


def serve(port: Port, machine: Machine, *, clock: Clock = time.monotonic, seconds: float | None = None) -> None:
    """Be the meter on a port, for so long or until the port is gone (TransportError)."""
    end = None if seconds is None else clock() + seconds
    while end is None or clock() < end:
        deadline = machine.deadline()
        until = min((t for t in (deadline, end) if t is not None), default=None)
        data = port.read(None if until is None else max(until - clock(), 0.0))
        now = clock()
        put(port, machine, machine.receive(data, now) if data else machine.tick(now))
