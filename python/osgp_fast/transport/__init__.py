"""Lines, and the loops that drive a machine of `osgp_fast.session` over them.

Client::

    port = open_port("/dev/ttyUSB0")                        # or a URL of pyserial
    connection = Connection(Role.CLIENT)
    with Line(port, connection) as line:                    # hangs up at the end
        line.run(dialogue.connect())
        line.run(dialogue.log_on(password))
        data = line.run(dialogue.read(connection, 64)).data
        line.ask(Write(7, procedure))                       # or single requests: an answer, or an exception

`AsyncLine` is the same with ``await``. Errors: `session.Refused` and its subclasses for a meter that says no,
TransportError ("port.*", "line.*") for the line, RemoteProtocolError ("session.*") for a strange answer.

MEP: ``with MepLine(open_mep("mep:/dev/ttyS0"), MepConnection(key, entropy=os.urandom)) as line: line.run(dialogue.read(
connection, 23, 0, 44))``; ``line.listen(seconds)`` waits for an alert. `AsyncMepLine` is the same with ``await``.

Meter: ``serve(port, Responder(Connection(Role.METER), handler))``, or a `MepResponder`, on a port, a client of a `Listener`
(``socket://``), or a `PtyPort`; `LinePort` puts a paced or bad line before either.

Tests: ``MemoryPort(machine, clock)`` has a machine at its other end and a clock of its own, ``BadLine`` makes either
direction bad, ``SharedPort`` is a meter that shares its port with MEP. ``TracePort(port, file)`` records any port as a log
that `osgp_fast.decode` reads.
"""

from __future__ import annotations

from ..errors import UsageError
from .adrive import AsyncLine, AsyncMepLine
from .drive import Line, MepLine, serve
from .faults import BadLine, Faults, SharedPort
from .listen import LinePort, Listener, PtyPort, SocketPort
from .memory import MemoryPort, VirtualClock, Wire
from .port import MEP, Clock, NamedPort, Port, mep_name
from .trace import TracePort

__all__ = [
    "MEP",
    "AsyncLine",
    "AsyncMepLine",
    "BadLine",
    "Clock",
    "Faults",
    "Line",
    "LinePort",
    "Listener",
    "MemoryPort",
    "MepLine",
    "NamedPort",
    "Port",
    "PtyPort",
    "SharedPort",
    "SocketPort",
    "TracePort",
    "VirtualClock",
    "Wire",
    "mep_name",
    "open_mep",
    "open_port",
    "serve",
]


def open_port(name: str, *, baud: int = 9600, rts: bool = True, dtr: bool = True) -> Port:
    """Open a serial port or a URL of pyserial. Raises: TransportError ("port.*"). See `serial.SerialPort`."""
    from .serial import SerialPort  # pyserial is imported only where a real port is opened

    return SerialPort(name, baud=baud, rts=rts, dtr=dtr)


def open_mep(name: str, *, baud: int = 9600, rts: bool = True, dtr: bool = True) -> Port:
    """Open the port that ``mep:`` stands before (``mep:/dev/ttyS0``, ``mep:socket://host:port``), 8N1 as MEP wants it.

    Its name keeps the ``mep:``, by which `osgp_fast.open` knows what is spoken there.

    Raises: UsageError "usage.port" for a name that does not begin with ``mep:`` or ends there; TransportError ("port.*").
    """
    port = mep_name(name)
    if not port:
        raise UsageError(
            "usage.port",
            f"{name!r} is no MEP port",
            "write mep: and a device or URL behind it: mep:/dev/ttyS0, mep:socket://host:port",
            got=name,
        )
    return NamedPort(open_port(port, baud=baud, rts=rts, dtr=dtr), name)
