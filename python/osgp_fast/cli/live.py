"""What the commands that talk to a meter share: the port and its options, the password, progress, how errors end."""

from __future__ import annotations

import getpass
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click

from ..errors import OsgpError, UsageError
from ..meter import InsecureMepWarning, Meter
from ..meter import open as open_meter
from ..meter.mep_key import VARIABLE as KEY_VARIABLE
from ..meter.mep_key import find_key
from ..security import Key
from ..transport import Port, mep_name, open_mep, open_port
from ..units import human_size

__all__ = ["Bytes", "Opening", "Where", "failing", "live_options", "say"]

F = TypeVar("F", bound=Callable[..., Any])

#: What the help of every live command says of ports, passwords and exit codes.
COMMON: Final = """
\b
PORT: a device (/dev/ttyUSB0, COM3) or a URL of pyserial (socket://host:port, rfc2217://host:port); mep: before
it is the MEP port (mep:/dev/ttyS0), with a key instead of a password: OSGP_MEP_KEY, --key-file, or typed in.
Password: OSGP_PASSWORD, --password-file, or typed in when asked; 20 characters or 40 hex digits. The utility
hands it out. Without one (just press Enter) a meter gives its serial numbers and its firmware, and no more.
"""
EXIT: Final = """
\b
Exit: 0 all read; 1 some rejects, the rest written; 2 usage, or a port that cannot be opened; 3 failed, what
was read until then is kept; 130 interrupted: logged off, what was read is kept.
"""
VARIABLE: Final = "OSGP_PASSWORD"


@dataclass(frozen=True, slots=True)
class Where:
    """The options of the port."""

    port: str
    password_file: str | None
    key_file: str | None
    security: str
    access: str
    user: str
    user_id: int
    meter: str | None
    echo: bool | None
    rts: bool
    dtr: bool
    baud: int


def live_options(function: F) -> F:
    """The argument PORT and the options that go with it; the command gets a `Where` as ``where``."""
    options = (
        click.argument("port", metavar="PORT"),
        click.option("--password-file", metavar="FILE", help="The first line of FILE is the password."),
        click.option("--key-file", metavar="FILE", help="mep: the key stands in FILE, 32 or 40 hex digits."),
        click.option(
            "--security",
            type=click.Choice(["auto", "tls", "rc4", "clear"]),
            default="auto",
            help="mep: how to protect messages. Default: auto, TLS, and RC4 where the meter has none.",
        ),
        click.option(
            "--access",
            type=click.Choice(["advanced", "basic"]),
            default="advanced",
            help="mep: whose key it is, MAK or MBK. Default: advanced, MAK.",
        ),
        click.option(
            "--user", default="osgp-fast", metavar="NAME", help="What the meter writes in its log, 10 characters."
        ),
        click.option("--user-id", type=click.IntRange(0, 0xFFFF), default=0, metavar="N", help="The same as a number."),
        click.option("--meter", metavar="NAME", help="The meter's label. Default: its serial number."),
        click.option("--echo/--no-echo", default=None, help="The head echoes what is sent. Default: find out."),
        click.option("--rts/--no-rts", default=True, help="RTS, which powers some heads. Default: on."),
        click.option("--dtr/--no-dtr", default=True, help="DTR, which powers some heads. Default: on."),
        click.option("--baud", type=int, default=9600, metavar="RATE", help="Speed to ask for. Default: 9600."),
    )

    def command(**arguments: Any) -> Any:
        where = Where(**{name: arguments.pop(name) for name in Where.__slots__})
        return function(where=where, **arguments)

    command.__name__, command.__doc__ = function.__name__, function.__doc__
    wrapped: Any = command
    wrapped.__click_params__ = getattr(function, "__click_params__", [])
    for option in reversed(options):
        wrapped = option(wrapped)
    made: F = wrapped
    return made


class Opening:
    """A port, and sessions on it: it is opened first, then the password or key is asked for, once."""

    def __init__(self, where: Where, around: Callable[[Port], Port] | None = None) -> None:
        self.where = where
        self.mep = mep_name(where.port) is not None
        self._warned = False
        if self.mep and where.password_file is not None:
            raise UsageError("usage.mep", "--password-file is for the optical port", "give the MEP port --key-file")
        if not self.mep and where.key_file is not None:
            raise UsageError("usage.mep", "--key-file is for the MEP port", "write mep: before the port")
        self._around = around
        self._port: Port | None = self._open()
        try:
            self.password = None if self.mep else _password(where.password_file)
            self._key = _key(where.key_file) if self.mep else None
        except BaseException:
            self._port.close()
            raise

    def _open(self) -> Port:
        where = self.where
        if self.mep:
            port = open_mep(where.port, baud=where.baud, rts=where.rts, dtr=where.dtr)
        else:
            port = open_port(where.port, rts=where.rts, dtr=where.dtr)
        return port if self._around is None else self._around(port)

    def meter(self, **options: Any) -> Meter:
        """Log on; the meter closes the port, which the next call opens anew. Raises: as `osgp_fast.open`."""
        port, self._port = self._port or self._open(), None
        where = self.where
        try:
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always", InsecureMepWarning)
                return open_meter(
                    port,
                    password=self.password,
                    password_file=where.password_file,
                    meter=where.meter,
                    key=self._key,
                    security=where.security,
                    access=where.access,
                    user=where.user,
                    user_id=where.user_id,
                    echo=where.echo,
                    baud=where.baud,
                    **options,
                )
        except UsageError:
            port.close()
            raise
        finally:
            self._pass_on(heard)

    def _pass_on(self, heard: Sequence[warnings.WarningMessage]) -> None:
        """The guide's advice against RC4, once."""
        for warning in heard:
            if not isinstance(warning.message, InsecureMepWarning):
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
            elif not self._warned:
                self._warned = True
                say(f"warning: {warning.message}")


def _key(file: str | None) -> Key | bytes:
    """The key of the MEP port; typed in where nothing else says it."""
    key: str | None = None
    if file is None and not os.environ.get(KEY_VARIABLE) and sys.stdin.isatty():
        try:
            key = getpass.getpass("Key of the MEP port: ") or None
        except EOFError:
            key = None
    return find_key(key, file)[0]


def _password(file: str | None) -> str | None:
    """What is typed in where nothing else says it; None leaves it to file and environment."""
    if file is not None or os.environ.get(VARIABLE):
        return None
    if not sys.stdin.isatty():
        say(f"no password is known ({VARIABLE}, --password-file): only what needs none can be read")
        return None
    try:
        return getpass.getpass("Password of the meter (Enter for none): ") or None
    except EOFError:
        return None


def say(text: str) -> None:
    """A line for people."""
    click.echo(f"osgp-fast: {text}", err=True)


@contextmanager
def failing(kept: Callable[[], str]) -> Iterator[list[int]]:
    """Errors of the line and interruptions, said with what was kept; the list that it gives holds the exit code, if any.

    A port that cannot be opened, and usage, end the command in the usual way.
    """
    code: list[int] = []
    try:
        yield code
    except KeyboardInterrupt:
        say(f"interrupted; {kept()}")
        code.append(130)
    except UsageError:
        raise
    except OsgpError as error:
        if error.code.startswith("port.") and error.code != "port.unplugged":
            raise UsageError(error.code, error.message, error.hint) from error
        say(f"{error}; {kept()}")
        code.append(3)


class Bytes:
    """A progress bar with bytes, rate and time left, on the standard error stream if that is a terminal."""

    def __init__(self, quiet: bool = False) -> None:
        self._shown = not quiet and sys.stderr.isatty()
        self._bar: Any = None
        self._task: Any = None
        self._what = ""
        self.done = 0
        """Bytes of tables that came in the task under way."""

    def __enter__(self) -> Bytes:
        if self._shown:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("connecting", total=None)
            self._bar.start()
        return self

    def start(self, what: str) -> None:
        """Another task begins."""
        if self._bar is not None:
            self._bar.reset(self._task, total=None, description=what)

    def update(self, done: int, expected: int) -> None:
        """``done`` of ``expected`` bytes are there; as many as there are: nobody knows how many will come."""
        self.done = done
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=expected if expected > done else None)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def came(count: int) -> str:
    """For people: so many bytes."""
    return human_size(count)
