"""The live protocol of the optical port: machines over bytes that never sleep and never ask a clock.

Client::

    connection = Connection(Role.CLIENT)
    out = connection.send(Identify(), now)            # bytes to write
    out = connection.receive(data, now)               # bytes came: bytes to write (an ACK)
    out = connection.tick(now)                        # at connection.deadline() at the latest: bytes to write (a retry)
    event = connection.next_event()                   # Identified(...), Data(...), Refusal(code), Failed(error), or None

    Identify -> Negotiate -> Logon -> Security -> Read | Write ... -> Logoff -> Terminate

One request at a time. The answers are `Identified`, `Negotiated`, `Data` and `Done`; `Refusal` becomes an exception with
`refusal(code, request)`; after `Failed` (but for a wrong checksum) the session is over and the next `Identify` waits by
itself until the meter has noticed, too. After each write the port follows ``connection.baud``. `dialogue` has the usual
orders as generators (`connect`, `log_on`, `read` in pieces, `write`, `hang_up`), `osgp_fast.transport` the loops.

Meter::

    meter = Responder(Connection(Role.METER), handler)     # handler: a `Handler`
    out = meter.receive(data, now); out = meter.tick(now)  # at meter.deadline()

A `Handler` answers ``read(table, offset, count) -> bytes | Data | RefusalCode``, ``write(table, offset, data, ped) ->
RefusalCode | None``, ``security(password) -> RefusalCode | None`` and more; reads past the end are padded for it.

The MEP port, where there is no log-on and the key protects every message (MEP guide pp. 8-21)::

    connection = MepConnection(key, entropy=os.urandom, mode=MepMode.AUTO, access=MepAccess.ADVANCED)

is driven by the same methods and asked the same `Read` and `Write`; `Terminate` ends a TLS session, which is opened by
itself. `take_alert` says whether the meter has raised its alert; read ET13's alert flags then. A write whose answer is lost
ends in ``Failed(OutcomeUnknown)`` and is never said again by the machine; `mep_procedure` has writes, procedures and
transactions that find out what became of them, `where` we are, and `register`. The meter's side is ``MepResponder(handler,
MepPort(keys=..., entropy=...))`` with a `MepHandler`: a `Handler` that is told whose key a request has. ``crypto=_impl``
has the compiled part do the arithmetic.

Beside these: `procedure` (BT07 and BT08, never twice), `policy` (how long, when, when again), `diagnose` (what else is on
this port), `Timing` (all time-outs).
"""

from __future__ import annotations

from . import dialogue, mep_procedure, policy, procedure, refusals
from ._mep_state import TlsState
from ._state import State, diagram
from .c1218 import Connection
from .diagnose import Finding, recognise
from .events import (
    Data,
    Done,
    Event,
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
from .link import Counts, Role
from .mep import MepConnection
from .mep_events import MepAccess, MepCounts, MepMode, MepRetry, MepTiming, OutcomeUnknown
from .mep_serve import MepHandler, MepPort, MepResponder
from .refusals import RefusalCode, Refused, refusal
from .serve import Handler, Machine, Responder
from .timing import Timing

__all__ = [
    "Connection",
    "Counts",
    "Data",
    "Done",
    "Event",
    "Failed",
    "Finding",
    "Handler",
    "Identified",
    "Identify",
    "Logoff",
    "Logon",
    "Machine",
    "MepAccess",
    "MepConnection",
    "MepCounts",
    "MepHandler",
    "MepMode",
    "MepPort",
    "MepResponder",
    "MepRetry",
    "MepTiming",
    "Negotiate",
    "Negotiated",
    "OutcomeUnknown",
    "Read",
    "Refusal",
    "RefusalCode",
    "Refused",
    "Request",
    "Responder",
    "Response",
    "Role",
    "Security",
    "State",
    "Terminate",
    "TimedOut",
    "Timing",
    "TlsState",
    "Wait",
    "Write",
    "diagram",
    "dialogue",
    "mep_procedure",
    "policy",
    "procedure",
    "recognise",
    "refusal",
    "refusals",
]
