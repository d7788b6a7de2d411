"""A live meter: `open` gives a `Meter`, `open_async` an `AsyncMeter`, with the tasks of the guides.

    with osgp_fast.open("/dev/ttyUSB0", password="...") as meter:
        meter.load_profile(since="2024-03-01T00:00:00Z").to_polars()
"""

from __future__ import annotations

from ..session import Timing
from ..session.policy import SESSION_S
from ..transport import Port
from .face import AsyncMeter, Meter, Progress
from .values import Clock, Identity, Pending, ProcedureResult, Refusal

__all__ = [
    "AsyncMeter",
    "Clock",
    "Identity",
    "Meter",
    "Pending",
    "ProcedureResult",
    "Refusal",
    "open",
    "open_async",
]


def open(
    port: str | Port,
    *,
    password: str | bytes | None = None,
    password_file: str | None = None,
    meter: str | None = None,
    user: str = "osgp-fast",
    user_id: int = 0,
    key: str | bytes | None = None,
    key_file: str | None = None,
    security: str = "auto",
    access: str = "advanced",
    echo: bool | None = None,
    rts: bool = True,
    dtr: bool = True,
    baud: int = 9600,
    timing: Timing | None = None,
    max_session_s: float = SESSION_S,
    progress: Progress | None = None,
) -> Meter:
    """Open a port and log on to the meter there.

    ``port``: a device (``/dev/ttyUSB0``, ``COM3``), a URL of pyserial (``socket://host:port``), or a `transport.Port`;
    ``mep:`` before a name selects the MEP port, which a later version can do.
    ``password``: 20 characters or 40 hex digits (`Meter.password_form` says which was meant), else that of
    ``password_file``, else OSGP_PASSWORD, else none: then ET03, BT01 and BT00 can be read.
    ``meter``: the label of rows and images. ``user``, ``user_id``: what the meter writes in its log.
    ``key``, ``key_file``, ``security``, ``access``: for the MEP port.
    ``echo``: whether the head echoes what is sent (None: find out). ``rts``, ``dtr``: lines that power a head.
    ``baud``: the speed to ask for; every session begins at 9600 bit/s. ``timing``: all time-outs.
    ``max_session_s``: a session is logged off and on again after so many seconds.
    ``progress``: called with the bytes that came and those that are expected.

    Raises: TransportError ("port.*" where it cannot be opened, "line.*" where nothing sensible answers), SecurityError
    "meter.password", UsageError.
    """
    raise NotImplementedError


def open_async(port: str | Port, **options: object) -> AsyncMeter:
    """`open` for asyncio, with the same options: ``async with osgp_fast.open_async(...) as meter``."""
    raise NotImplementedError
