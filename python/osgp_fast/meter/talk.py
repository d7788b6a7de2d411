"""Dialogues with a meter: generators that yield requests and pauses, and the loops that have them, blocking or not.

Every task is written once, as a `Talk`. The loops differ from those of `transport` in three things: they can pause, they
tell of every byte that came, and an interrupted request is finished before the session is ended, so that a meter is
logged off and not left waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from ..errors import OsgpError
from ..session import Request, Response
from ..transport import Line, MepLine
from ..transport.drive import put, result, step

T = TypeVar("T")
#: A client on either port.
AnyLine = Line | MepLine

#: How long an interrupted request may go on before the session is given up without a word.
FINISH_S: Final = 6.0


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds, listening."""

    seconds: float


#: Yields requests and pauses, is sent the answers (None after a pause), returns a result.
Talk = Generator[Request | Pause, Any, T]
Watch = Callable[[], object]


def _nothing() -> None:
    pass


def have(line: AnyLine, talk: Talk[T], watch: Watch = _nothing) -> T:
    """Have a dialogue, blocking. ``watch`` is called whenever bytes may have come."""
    try:
        item = next(talk)
        while True:
            try:
                answer: Response | None = None
                if isinstance(item, Pause):
                    _pause(line, item)
                else:
                    answer = _ask(line, item, watch)
            except OsgpError as error:
                item = talk.throw(error)
            else:
                item = talk.send(answer)
    except StopIteration as stop:
        value: T = stop.value
        return value
    finally:
        talk.close()


def _ask(line: AnyLine, request: Request, watch: Watch) -> Response:
    put(line.port, line.connection, line.connection.send(request, line.clock()))
    while (event := line.connection.next_event()) is None:
        step(line.port, line.connection, line.clock)
        watch()
    return result(event, request)


def _pause(line: AnyLine, pause: Pause) -> None:
    end = line.clock() + pause.seconds
    while line.clock() < end:
        _listen(line, end)


def _listen(line: AnyLine, end: float) -> None:
    """Wait for bytes, the machine's deadline or ``end``, whatever comes first."""
    deadline = line.connection.deadline()
    until = end if deadline is None else min(deadline, end)
    data = line.port.read(max(until - line.clock(), 0.0))
    now = line.clock()
    put(line.port, line.connection, line.connection.receive(data, now) if data else line.connection.tick(now))


def end(line: AnyLine, farewell: Talk[None]) -> None:
    """Finish what is under way, say the farewell, close the port. What fails here is not raised."""
    try:
        finish(line)
        have(line, farewell)
        line.settle()
    except OsgpError:
        pass
    finally:
        line.connection.close(line.clock())
        line.port.close()


def finish(line: AnyLine) -> None:
    """Wait for the answer to a request that somebody has interrupted, so that the session can go on."""
    until = line.clock() + FINISH_S
    connection = line.connection
    while connection.request is not None and line.clock() < until:
        _listen(line, until)
    if connection.request is not None:
        connection.close(line.clock())
    while connection.next_event() is not None:
        pass


async def have_async(line: AnyLine, talk: Talk[T], watch: Watch = _nothing) -> T:
    """`have` for asyncio. Where the task is cancelled, the line is left as it is: `end_async` finishes the request."""
    try:
        item = next(talk)
        while True:
            try:
                answer: Response | None = None
                if isinstance(item, Pause):
                    await _pause_async(line, item)
                else:
                    answer = await _ask_async(line, item, watch)
            except OsgpError as error:
                item = talk.throw(error)
            else:
                item = talk.send(answer)
    except StopIteration as stop:
        value: T = stop.value
        return value
    finally:
        talk.close()


async def _ask_async(line: AnyLine, request: Request, watch: Watch) -> Response:
    out = line.connection.send(request, line.clock())
    await in_thread(put, line.port, line.connection, out)
    while (event := line.connection.next_event()) is None:
        await in_thread(step, line.port, line.connection, line.clock)
        watch()
    return result(event, request)


async def _pause_async(line: AnyLine, pause: Pause) -> None:
    until = line.clock() + pause.seconds
    while line.clock() < until:
        await in_thread(_listen, line, until)


async def in_thread(function: Callable[..., object], *arguments: object) -> None:
    """Run a step in a thread; cancelled, wait for it first: until its deadline the port is the thread's own."""
    turn = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    try:
        await asyncio.shield(turn)
    except asyncio.CancelledError:
        await asyncio.wait([turn])
        if not turn.cancelled():
            turn.exception()
        raise


async def end_async(line: AnyLine, farewell: Talk[None]) -> None:
    """`end` for asyncio."""
    await in_thread(end, line, farewell)
