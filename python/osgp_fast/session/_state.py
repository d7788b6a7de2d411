"""The states of a C12.18 session, and what leads from one to the next: one table for both roles.

A transition happens when a request has been answered with ok: at the client when the answer is there, at the meter when
it is sent. What does not fit the table: a line that failed or fell silent leads back to `State.BASE` from anywhere.
Source: ANSI C12.18, "Service sequence state control".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from .events import Identify, Logoff, Logon, Negotiate, Read, Security, Terminate, Wait, Write


class State(Enum):
    """Where a session stands."""

    BASE = "base"
    """Nobody has been identified."""
    IDENTIFIED = "identified"
    """Packet size and speed may be negotiated."""
    SESSION = "session"
    """Logged on: tables may be read and written."""


TABLE: Final[Mapping[State, Mapping[type[Any], State]]] = {
    State.BASE: {
        Identify: State.IDENTIFIED,
        # Ends what an earlier program has left open at the other side.
        Terminate: State.BASE,
    },
    State.IDENTIFIED: {
        Negotiate: State.IDENTIFIED,
        Wait: State.IDENTIFIED,
        Logon: State.SESSION,
        Terminate: State.BASE,
    },
    State.SESSION: {
        Security: State.SESSION,
        Read: State.SESSION,
        Write: State.SESSION,
        Wait: State.SESSION,
        Logoff: State.IDENTIFIED,
        Terminate: State.BASE,
    },
}


def after(state: State, request: object) -> State | None:
    """The state after a request was answered with ok; None where it may not be made."""
    return TABLE[state].get(type(request))


def diagram() -> str:
    """The table as a Mermaid diagram, for the docs."""
    lines = ["stateDiagram-v2", "    [*] --> base"]
    for state, row in TABLE.items():
        arrows: dict[State, list[str]] = {}
        for kind, target in row.items():
            arrows.setdefault(target, []).append(kind.__name__)
        lines += [f"    {state.value} --> {target.value}: {', '.join(kinds)}" for target, kinds in arrows.items()]
    lines += [f"    {state.value} --> base: time-out, line failed" for state in TABLE if state is not State.BASE]
    return "\n".join(lines)
