"""The same loop for asyncio: only the reads and writes differ, each in a thread that ends at the machine's deadline."""

from __future__ import annotations

import asyncio
import time
from typing import Final, Generic, Self, TypeVar

from ..errors import OsgpError
from ..session import Connection, MepConnection, Request, Response, dialogue
from ..session.dialogue import Dialogue
from .drive import C, put, result, step
from .port import Clock, Port

T = TypeVar("T")
#: A thread that listens looks up so often: a cancelled wait leaves it no longer than that.
LISTEN_S: Final = 0.25


class BaseAsyncLine(Generic[C]):
    """What is the same on either port."""

    def __init__(self, port: Port, connection: C, *, clock: Clock = time.monotonic) -> None:
        self.port = port
        self.connection: C = connection
        self.clock = clock

    async def ask(self, request: Request) -> Response:
        """Make a request and wait for its answer. Raises: Refused, TransportError, other errors of the protocol."""
        out = self.connection.send(request, self.clock())
        await asyncio.to_thread(put, self.port, self.connection, out)
        while (event := self.connection.next_event()) is None:
            turn = asyncio.ensure_future(asyncio.to_thread(step, self.port, self.connection, self.clock))
            try:
                await asyncio.shield(turn)
            except asyncio.CancelledError:
                await asyncio.wait([turn])  # the thread ends at the deadline; until then the port is its own
                self.connection.close(self.clock())
                raise
        return result(event, request)

    async def run(self, talk: Dialogue[T]) -> T:
        """Have a whole dialogue."""
        try:
            request = next(talk)
            while True:
                try:
                    answer = await self.ask(request)
                except OsgpError as error:
                    request = talk.throw(error)
                else:
                    request = talk.send(answer)
        except StopIteration as stop:
            value: T = stop.value
            return value

    async def hang_up(self) -> None:
        """Log off and terminate as far as possible, and close the port. What fails here is not raised."""
        try:
            if self.connection.request is None:
                await self.run(dialogue.hang_up(self.connection))
                while (due := self.connection.deadline()) is not None and due - self.clock() < 0.01:
                    await asyncio.to_thread(step, self.port, self.connection, self.clock)
        except OsgpError:
            pass
        finally:
            self.connection.close(self.clock())
            await asyncio.to_thread(self.port.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hang_up()


class AsyncLine(BaseAsyncLine[Connection]):
    """A client on an optical port: awaitable requests with results. A cancelled request gives the session up."""


class AsyncMepLine(BaseAsyncLine[MepConnection]):
    """A client on a MEP port: awaitable requests with results. A cancelled request gives the TLS session up."""

    async def listen(self, seconds: float) -> bool:
        """Wait for an alert, at most so long: whether there was one, now or since the last time."""
        end = self.clock() + seconds
        while not self.connection.take_alert():
            left = end - self.clock()
            if left <= 0:
                return False
            data = await asyncio.to_thread(self.port.read, min(left, LISTEN_S))
            now = self.clock()
            out = self.connection.receive(data, now) if data else self.connection.tick(now)
            await asyncio.to_thread(put, self.port, self.connection, out)
        return True
