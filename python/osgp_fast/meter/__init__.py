"""A live meter: `open` gives a `Meter`, `open_async` an `AsyncMeter`, with the tasks of the guides.

with osgp_fast.open("/dev/ttyUSB0", password="...") as meter:
    meter.load_profile(since="2024-03-01T00:00:00Z").to_polars()
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from typing import Any

from ..errors import UsageError
from ..session import Connection, Negotiate, Role, Timing
from ..session.message import encode_request
from ..session.policy import SESSION_S
from ..transport import Line, Port, open_port
from .access import Access, Optical
from .face import AsyncMeter, Meter, OnTable, Progress, Since
from .password import find_password
from .store import Store
from .values import Clock, Identity, InputsOutputs, Pending, ProcedureResult, Refusal

__all__ = [
    "AsyncMeter",
    "Clock",
    "Clocks",
    "Identity",
    "InputsOutputs",
    "Meter",
    "OnTable",
    "Pending",
    "ProcedureResult",
    "Progress",
    "Refusal",
    "Since",
    "open",
    "open_async",
]


@dataclass(frozen=True, slots=True)
class Clocks:
    """The two clocks of a session."""

    running: Callable[[], float] = time.monotonic
    """Seconds that run on."""
    wall: Callable[[], float] = time.time
    """Seconds since 1970: when something was read, and what the meter's clock is compared with."""


def open(
    port: str | Port,
    *,
    password: str | bytes | None = None,
    password_file: str | PathLike[str] | None = None,
    meter: str | None = None,
    user: str = "osgp-fast",
    user_id: int = 0,
    key: str | bytes | None = None,
    key_file: str | PathLike[str] | None = None,
    security: str = "auto",
    access: str = "advanced",
    echo: bool | None = None,
    rts: bool = True,
    dtr: bool = True,
    baud: int = 9600,
    timing: Timing | None = None,
    max_session_s: float = SESSION_S,
    progress: Progress | None = None,
    clock: Clocks | None = None,
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
    ``clock``: other clocks than this computer's, for tests.

    Raises: TransportError ("port.*" where it cannot be opened, "line.*" where nothing sensible answers), SecurityError
    "meter.password", UsageError.
    """
    make, form = _prepare(port, locals())
    return Meter(*make(), form).open()


def open_async(
    port: str | Port,
    *,
    password: str | bytes | None = None,
    password_file: str | PathLike[str] | None = None,
    meter: str | None = None,
    user: str = "osgp-fast",
    user_id: int = 0,
    key: str | bytes | None = None,
    key_file: str | PathLike[str] | None = None,
    security: str = "auto",
    access: str = "advanced",
    echo: bool | None = None,
    rts: bool = True,
    dtr: bool = True,
    baud: int = 9600,
    timing: Timing | None = None,
    max_session_s: float = SESSION_S,
    progress: Progress | None = None,
    clock: Clocks | None = None,
) -> AsyncMeter:
    """`open` for asyncio, with the same options: ``async with osgp_fast.open_async(...) as meter``.

    The port is opened when the block is entered; only UsageError is raised here.
    """
    make, form = _prepare(port, locals())
    return AsyncMeter(make, form)


def _prepare(port: str | Port, options: dict[str, Any]) -> tuple[Callable[[], tuple[Line, Access, Store]], str]:
    """Check the options; what opens the port, and the form of the password. Raises: UsageError."""
    name = port if isinstance(port, str) else port.name
    if name.startswith("mep:"):
        raise UsageError(
            "usage.mep",
            f"{name}: the MEP port cannot be read by this version",
            "read the optical port, without mep: before its name",
        )
    if options["key"] is not None or options["key_file"] is not None:
        raise UsageError("usage.mep", "a MEP key is for the MEP port", "give the optical port a password")
    user = options["user"].encode("latin-1", "replace")
    if len(user) > 10 or not 0 <= options["user_id"] <= 0xFFFF:
        raise UsageError(
            "usage.user", "the user has more than 10 characters, or its id more than 16 bits", "shorten it"
        )
    if options["max_session_s"] <= 0:
        raise UsageError("usage.session", "a session of no length reads nothing", f"leave it out for {SESSION_S} s")
    label = options["meter"]
    if label is not None and not label.strip():
        raise UsageError("usage.meter", "the meter's name is blank", "give the label that the rows shall carry")
    password = find_password(options["password"], options["password_file"])
    bauds = tuple(dict.fromkeys((options["baud"], 9600)))
    encode_request(Negotiate(bauds=bauds))
    clocks = options["clock"] or Clocks()

    def make() -> tuple[Line, Access, Store]:
        opened = open_port(port, rts=options["rts"], dtr=options["dtr"]) if isinstance(port, str) else port
        connection = Connection(Role.CLIENT, timing=options["timing"], echo=options["echo"])
        line = Line(opened, connection, clock=clocks.running)
        access = Optical(
            line,
            password=password,
            user=user,
            user_id=options["user_id"],
            bauds=bauds,
            max_session_s=options["max_session_s"],
        )
        store = Store(access, label=label, fallback=name, clock=clocks.wall, progress=options["progress"])
        return line, access, store

    return make, "no password" if password is None else password.form
