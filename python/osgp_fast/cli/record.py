"""``osgp-fast record``: everything that is sent and received on a port, as a log that `decode` and `explain` read."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final, TextIO

import click

from ..columns import KINDS
from ..decode.job import check_kinds, make_job
from ..errors import UsageError
from ..transport import NamedPort, Port, TracePort, mep_name, open_mep, open_port
from .live import COMMON, Bytes, Opening, Where, came, failing, live_options, say
from .reading import QUICK, Reading

__all__ = ["record"]

_EXAMPLES: Final = f"""
\b
Examples:
  osgp-fast record /dev/ttyUSB0 session.log                     read the meter as `read` does, and log the line
  osgp-fast record /dev/ttyUSB0 session.log --what load_profile
  osgp-fast record /dev/ttyUSB0 session.log --dump              read all tables
  osgp-fast record /dev/ttyUSB1 other.log --listen              what others say on this line, until Ctrl-C
  osgp-fast decode session.log;  osgp-fast explain session.log;  osgp-fast scrub session.log
\b
Passwords are masked in the log, unless --with-secrets. Serial numbers and everything else stay: use
osgp-fast scrub before you share it. Where the meter does not answer as it should, the log is what to look at.
{COMMON}
\b
Exit: 0 all recorded (--listen: also after Ctrl-C); 2 usage, or a port that cannot be opened; 3 failed, the log
is kept; 130 interrupted: logged off, the log is kept.
"""
#: A packet that stops for so long is over, while listening.
_PAUSE_S: Final = 1.0


@click.command(epilog=_EXAMPLES)
@live_options
@click.argument("file", metavar="FILE")
@click.option("--what", metavar="KIND,…", help=f"What to read: {', '.join(KINDS)}. Default: all but the load profile.")
@click.option("--dump", "all_tables", is_flag=True, help="Read all tables.")
@click.option("--listen", is_flag=True, help="Send nothing: only write down what comes.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), metavar="N", help="--listen: for so long.")
@click.option("--with-secrets", is_flag=True, help="Write passwords into the log. Never share such a file.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")
def record(
    where: Where,
    file: str,
    what: str | None,
    all_tables: bool,
    listen: bool,
    seconds: float | None,
    with_secrets: bool,
    quiet: bool,
) -> int:
    """Write down everything that is sent and received on a port, with time stamps."""
    kinds = None if what is None else check_kinds(k.strip() for k in what.split(",") if k.strip())
    if sum((kinds is not None, all_tables, listen)) > 1:
        raise UsageError("usage.record", "--what, --dump and --listen do not go together", "choose one of them")
    if seconds is not None and not listen:
        raise UsageError("usage.record", "--seconds is for --listen", "a reading ends by itself")
    path = Path(file)
    if path.exists():
        raise UsageError("usage.output", f"{file} exists already", "choose another name, or move it away")
    if not path.absolute().parent.is_dir():
        raise UsageError("usage.output", f"the directory {path.absolute().parent} does not exist", "make it first")
    if with_secrets:
        say(f"WITH PASSWORDS: {file} will tell the meter's password to whoever reads it; never share it")
    counts = _Counts()
    with failing(lambda: f"the log {file} is kept" if path.exists() else "nothing was recorded") as failed:
        if listen:
            code = _listen(where, path, with_secrets, seconds, counts)
        else:
            code = _read(where, path, with_secrets, kinds, all_tables, quiet, counts)
    if not quiet and path.exists():
        say(f"{came(counts.sent)} sent, {came(counts.received)} received, in {file}; osgp-fast decode or explain it")
    return failed[0] if failed else code


class _Counts:
    """Bytes on the line."""

    sent = received = 0


class _Counted(NamedPort):
    """A port whose bytes are counted."""

    def __init__(self, port: Port, counts: _Counts) -> None:
        super().__init__(port, port.name)
        self.counts = counts

    def write(self, data: bytes) -> None:
        self.counts.sent += len(data)
        super().write(data)

    def read(self, timeout_s: float | None) -> bytes:
        data = super().read(timeout_s)
        self.counts.received += len(data)
        return data


def _log(path: Path, with_secrets: bool) -> TextIO:
    # A log with a password is nobody else's business on this machine either.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags, 0o600 if with_secrets else 0o666)
    return os.fdopen(handle, "w", encoding="ascii", newline="\n", buffering=1)


def _read(
    where: Where,
    path: Path,
    with_secrets: bool,
    kinds: tuple[str, ...] | None,
    all_tables: bool,
    quiet: bool,
    counts: _Counts,
) -> int:
    logs: list[TextIO] = []

    def around(port: Port) -> Port:
        logs.append(_log(path, with_secrets))
        return TracePort(_Counted(port, counts), logs[-1], with_secrets=with_secrets)

    try:
        opening = Opening(where, around)
        with Bytes(quiet) as progress, opening.meter(progress=progress.update) as meter:
            if not quiet:
                say(f"{meter.label}, logged on with {meter.password_form}")
            if all_tables:
                for image in meter.dump():
                    progress.start(f"{len(image.data)} bytes")
            else:
                Reading(make_job([where.port], kinds or QUICK, jobs=1)).read(meter, progress)
    finally:
        for log in logs:
            log.close()
    return 0


def _listen(where: Where, path: Path, with_secrets: bool, seconds: float | None, counts: _Counts) -> int:
    opening = open_port if mep_name(where.port) is None else open_mep
    port = _Counted(opening(where.port, baud=where.baud, rts=where.rts, dtr=where.dtr), counts)
    end = None if seconds is None else time.monotonic() + seconds
    with _log(path, with_secrets) as log:
        trace = TracePort(port, log, with_secrets=with_secrets)
        say(f"listening on {where.port}" + (", Ctrl-C ends it" if seconds is None else ""))
        try:
            while end is None or time.monotonic() < end:
                left = _PAUSE_S if end is None else min(_PAUSE_S, max(end - time.monotonic(), 0.0))
                if not trace.read(left) and left == _PAUSE_S:
                    trace.pause()
        except KeyboardInterrupt:
            pass  # which is how it ends
        finally:
            trace.close()
    return 0
