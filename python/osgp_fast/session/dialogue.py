"""What a client says in which order, as generators: they yield a request and are sent its answer.

A loop runs them (`osgp_fast.transport.drive`, `adrive`), blocking or not; a refusal comes as its exception, thrown in.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final, TypeVar

from ..image import ped_size
from ._state import State
from .c1218 import Connection
from .events import (
    Data,
    Identified,
    Identify,
    Logoff,
    Logon,
    Negotiate,
    Negotiated,
    Read,
    Request,
    Response,
    Security,
    Terminate,
    Write,
)
from .mep import MepConnection
from .refusals import GeneralError, InvalidServiceSequenceState, ServiceNotSupported

T = TypeVar("T")
#: A client of either port; `read`, `write` and `hang_up` are the same for both.
Client = Connection | MepConnection
#: Yields requests, is sent answers, returns a result.
Dialogue = Generator[Request, Response, T]

#: What a client asks for at first; a meter answers with less.
NEGOTIATE: Final = Negotiate()


def connect(negotiate: Negotiate | None = NEGOTIATE) -> Dialogue[Identified]:
    """Identify, and negotiate where the meter can. Ends a session that an earlier program has left open."""
    try:
        identified = yield Identify()
    except InvalidServiceSequenceState:
        yield Terminate()
        identified = yield Identify()
    assert isinstance(identified, Identified)
    if negotiate is not None:
        try:
            negotiated = yield negotiate
            assert isinstance(negotiated, Negotiated)
        except (ServiceNotSupported, GeneralError):
            pass  # 64 bytes at a time, then
    return identified


def log_on(password: bytes | None, *, user_id: int = 0, user: bytes = b"osgp-fast") -> Dialogue[None]:
    """Log on and give the password. None: without, for the tables that need no key (ET03, BT01: Optical guide p. 18)."""
    yield Logon(user_id, user)
    if password is not None:
        yield Security(password)


def read(connection: Client, table: int, offset: int = 0, count: int | None = None) -> Dialogue[Data]:
    """Read a table whole, or some bytes of it in as many partial reads as they take."""
    if count is None:
        whole = yield Read(table)
        assert isinstance(whole, Data)
        return whole
    most = max(connection.max_read - ped_size(table), 1)
    parts: list[bytes] = []
    ped: bytes | None = None
    for start in range(0, count, most):
        part = yield Read(table, offset + start, min(most, count - start))
        assert isinstance(part, Data)
        parts.append(part.data)
        ped = part.ped if ped is None else ped
        if len(part.data) < min(most, count - start):
            break  # a meter that ends here instead of padding
    return Data(b"".join(parts), ped)


def write(connection: Client, table: int, data: bytes, offset: int = 0, ped: bytes = b"") -> Dialogue[None]:
    """Write some bytes of a table, from ``offset`` on, in as many partial writes as they take."""
    most = max(connection.max_write - len(ped), 1)
    for start in range(0, len(data), most):
        yield Write(table, data[start : start + most], offset + start, ped)


def hang_up(connection: Client) -> Dialogue[None]:
    """Log off and terminate, as far as the session got."""
    if connection.state is State.SESSION:
        yield Logoff()
    if connection.state is not State.BASE:
        yield Terminate()
