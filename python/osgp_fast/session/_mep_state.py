"""The states of a TLS session on the MEP port, and what leads from one to the next: one table for both roles.

The client moves when it sends a request, the meter when it gets one; a request that is not in the row is not sent, and
answered with 0A. What does not fit the table: the meter's handshake ends in OPEN when both Finished messages are right,
and a session that failed leads back to NONE. Digest and RC4 have no session. Source: MEP guide pp. 8-9, Table 2.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from ..security.tls_messages import Request


class TlsState(Enum):
    """Where a session stands."""

    NONE = "none"
    SHAKING = "handshake"
    OPEN = "open"


TABLE: Final[Mapping[TlsState, Mapping[Request, TlsState]]] = {
    TlsState.NONE: {
        Request.HANDSHAKE: TlsState.SHAKING,
        # Ends what an earlier program has left open at the other side.
        Request.TERMINATE: TlsState.NONE,
    },
    TlsState.SHAKING: {
        Request.HANDSHAKE: TlsState.SHAKING,
        Request.HANDSHAKE_CONT: TlsState.SHAKING,
        Request.TERMINATE: TlsState.NONE,
    },
    TlsState.OPEN: {
        Request.TABLE: TlsState.OPEN,
        Request.HANDSHAKE: TlsState.SHAKING,
        Request.TERMINATE: TlsState.NONE,
    },
}


def after(state: TlsState, request: Request) -> TlsState | None:
    """The state after a request; None where it may not be made."""
    return TABLE[state].get(request)


def diagram() -> str:
    """The table as a Mermaid diagram, for the docs."""
    lines = ["stateDiagram-v2", "    [*] --> none"]
    for state, row in TABLE.items():
        arrows: dict[TlsState, list[str]] = {}
        for request, target in row.items():
            arrows.setdefault(target, []).append(f"{request.value:02X}")
        lines += [f"    {state.value} --> {target.value}: {', '.join(codes)}" for target, codes in arrows.items()]
    lines += ["    handshake --> open: both Finished are right"]
    lines += [
        f"    {state.value} --> none: alert, bad record, silence" for state in TABLE if state is not TlsState.NONE
    ]
    return "\n".join(lines)
