"""A live meter: `open` gives a `Meter`, `open_async` an `AsyncMeter`, with the tasks of the guides.

with osgp_fast.open("/dev/ttyUSB0", password="...") as meter:
    meter.load_profile(since="2024-03-01T00:00:00Z").to_polars()
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from typing import Any

from .. import _impl
from ..errors import UsageError
from ..security import Key
from ..session import Connection, MepAccess, MepConnection, MepMode, MepTiming, Negotiate, Role, Timing
from ..session.message import encode_request
from ..session.policy import SESSION_S
from ..transport import Line, MepLine, Port, mep_name, open_mep, open_port
from .access import Access, Optical
from .face import AsyncMeter, Meter, OnTable, Progress, Since, Step
from .mep import InsecureMepWarning, Mep
from .mep_key import find_key
from .password import find_password
from .store import Store
from .talk import AnyLine
from .values import Alert, Change, Clock, Identity, InputsOutputs, Pending, ProcedureResult, Refusal, Reply
from .wear import MemoryWearWarning

__all__ = [
    "Alert",
    "AsyncMeter",
    "Change",
    "Clock",
    "Clocks",
    "Identity",
    "InputsOutputs",
    "InsecureMepWarning",
    "MemoryWearWarning",
    "Meter",
    "OnTable",
    "Pending",
    "ProcedureResult",
    "Progress",
    "Refusal",
    "Reply",
    "Since",
    "Step",
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
    key: Key | str | bytes | None = None,
    key_file: str | PathLike[str] | None = None,
    security: str = "auto",
    access: str = "advanced",
    echo: bool | None = None,
    rts: bool = True,
    dtr: bool = True,
    baud: int = 9600,
    timing: Timing | MepTiming | None = None,
    max_session_s: float = SESSION_S,
    progress: Progress | None = None,
    on_alert: Callable[[Alert], object] | None = None,
    clock: Clocks | None = None,
) -> Meter:
    """Open a port and log on to the meter there.

    ``port``: a device (``/dev/ttyUSB0``, ``COM3``), a URL of pyserial (``socket://host:port``), or a `transport.Port`;
    ``mep:`` before a name (that of a `transport.Port`, too) selects the MEP port.
    ``password``: 20 characters or 40 hex digits (`Meter.password_form` says which was meant), else that of
    ``password_file``, else OSGP_PASSWORD, else none: then ET03, BT01 and BT00 can be read.
    ``meter``: the label of rows and images. ``user``, ``user_id``: what the meter writes in its log.
    For the MEP port, instead of password and user: ``key``, 32 or 40 hex digits or 16 or 20 characters, else that of
    ``key_file``, else OSGP_MEP_KEY; ``access``, whose key it is: ``advanced`` (MAK) or ``basic`` (MBK); ``security``: ``auto``
    (TLS, and RC4 where the meter has no TLS), ``tls``, ``rc4``, ``clear`` (digest only); ``user_id`` is the client's number in
    the meter's log, under TLS; ``on_alert`` is called with every alert. Without TLS InsecureMepWarning is given once.
    ``echo``: whether the head echoes what is sent (None: find out). ``rts``, ``dtr``: lines that power a head.
    ``baud``: the speed to ask for; every session begins at 9600 bit/s. On MEP: the speed that it has now.
    ``timing``: all time-outs (`session.MepTiming` for MEP).
    ``max_session_s``: a session is logged off and on again after so many seconds; on MEP, dimensions are read anew.
    ``progress``: called with the bytes that came and those that are expected.
    ``clock``: other clocks than this computer's, for tests.

    Raises: TransportError ("port.*" where it cannot be opened, "line.*" where nothing sensible answers), SecurityError
    ("meter.password", "mep.wrong_key", "mep.tls_key"), UsageError.
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
    key: Key | str | bytes | None = None,
    key_file: str | PathLike[str] | None = None,
    security: str = "auto",
    access: str = "advanced",
    echo: bool | None = None,
    rts: bool = True,
    dtr: bool = True,
    baud: int = 9600,
    timing: Timing | MepTiming | None = None,
    max_session_s: float = SESSION_S,
    progress: Progress | None = None,
    on_alert: Callable[[Alert], object] | None = None,
    clock: Clocks | None = None,
) -> AsyncMeter:
    """`open` for asyncio, with the same options: ``async with osgp_fast.open_async(...) as meter``.

    The port is opened when the block is entered; only UsageError is raised here.
    """
    make, form = _prepare(port, locals())
    return AsyncMeter(make, form)


def _prepare(port: str | Port, options: dict[str, Any]) -> tuple[Callable[[], tuple[AnyLine, Access, Store]], str]:
    """Check the options; what opens the port, and the form of password or key. Raises: UsageError, SecurityError."""
    name = port if isinstance(port, str) else port.name
    if options["max_session_s"] <= 0:
        raise UsageError("usage.session", "a session of no length reads nothing", f"leave it out for {SESSION_S} s")
    label = options["meter"]
    if label is not None and not label.strip():
        raise UsageError("usage.meter", "the meter's name is blank", "give the label that the rows shall carry")
    if mep_name(name) is not None:
        return _prepare_mep(port, name, options)
    if isinstance(options["timing"], MepTiming) or options["on_alert"] is not None:
        raise UsageError("usage.mep", "MepTiming and on_alert are for the MEP port", "write mep: before the port")
    if options["key"] is not None or options["key_file"] is not None:
        raise UsageError(
            "usage.mep",
            "a MEP key is for the MEP port",
            "write mep: before the port, or give the optical port a password",
        )
    user = options["user"].encode("latin-1", "replace")
    if len(user) > 10 or not 0 <= options["user_id"] <= 0xFFFF:
        raise UsageError(
            "usage.user", "the user has more than 10 characters, or its id more than 16 bits", "shorten it"
        )
    password = find_password(options["password"], options["password_file"])
    bauds = tuple(dict.fromkeys((options["baud"], 9600)))
    encode_request(Negotiate(bauds=bauds))
    clocks = options["clock"] or Clocks()

    def make() -> tuple[AnyLine, Access, Store]:
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


def _prepare_mep(
    port: str | Port, name: str, options: dict[str, Any]
) -> tuple[Callable[[], tuple[AnyLine, Access, Store]], str]:
    """The same for the MEP port."""
    if options["password"] is not None or options["password_file"] is not None:
        raise UsageError("usage.mep", "a password is for the optical port", "give the MEP port a key")
    if options["timing"] is not None and not isinstance(options["timing"], MepTiming):
        raise UsageError("usage.mep", "Timing is for the optical port", "give the MEP port a MepTiming")
    if options["security"] not in [mode.value for mode in MepMode]:
        known = ", ".join(mode.value for mode in MepMode)
        raise UsageError("usage.mep", f"there is no security {options['security']!r}", f"there are {known}")
    if options["access"] not in [access.name.lower() for access in MepAccess]:
        raise UsageError("usage.mep", f"there is no access {options['access']!r}", "advanced (MAK) or basic (MBK)")
    if not 0 <= options["user_id"] <= 0xFFFF:
        raise UsageError("usage.user", "the user's id has more than 16 bits", "0 to 65535")
    if isinstance(port, str) and not mep_name(name):
        raise UsageError(
            "usage.port", f"{name} names no port", "write a device or URL behind mep:, mep:/dev/ttyS0", got=name
        )
    key, form = find_key(options["key"], options["key_file"])
    mode, access = MepMode(options["security"]), MepAccess[options["access"].upper()]
    clocks = options["clock"] or Clocks()
    baud = options["baud"]
    # What is wrong with the key is said before the port is opened.
    connection = MepConnection(
        key,
        entropy=os.urandom,
        mode=mode,
        access=access,
        client_id=options["user_id"],
        timing=options["timing"],
        crypto=_impl,
        baud=baud,
    )

    def make() -> tuple[AnyLine, Access, Store]:
        if isinstance(port, str):
            opened = open_mep(port, baud=baud, rts=options["rts"], dtr=options["dtr"])
        else:
            opened = port
        line = MepLine(opened, connection, clock=clocks.running)
        way = Mep(
            line,
            mode=mode,
            wall=clocks.wall,
            on_alert=options["on_alert"],
            max_session_s=options["max_session_s"],
            greet=options["meter"] is not None,
        )
        store = Store(way, label=options["meter"], fallback=name, clock=clocks.wall, progress=options["progress"])
        return line, way, store

    return make, form
