"""``osgp-fast simulate``: a meter that is not there."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, TextIO

import click

from ..errors import TransportError, UsageError

if TYPE_CHECKING:
    from ..session import Machine
    from ..transport import Port
    from ..virtual import MepMachine, MepMeterHandler, MeterConfig, MeterHandler
    from ..virtual.faults import Badness

__all__ = ["simulate"]

#: What a meter's MEP client may be told while the port stands on MEP: a length and made-up bytes, and an alert.
_MEP_MESSAGES = (bytes.fromhex("000c0005a1b2c3d4e5f60718293a"), b"\0\0")
_SPEEDS = (300, 600, 1200, 2400, 4800, 9600, 14_400, 19_200, 28_800, 38_400, 57_600)


@click.command(
    epilog="""
\b
Examples:
  osgp-fast simulate                              a meter with firmware 3.50 on a free TCP port
  osgp-fast simulate --port 40123 --speed 60      an hour of the meter in a minute
  osgp-fast simulate --pty --baud 9600            as a serial device, as slow as a real one
  osgp-fast simulate --fault loss=5%,flip=1%,shared-port --firmware 3.10
  osgp-fast simulate --mep --mak 00112233445566778899aabbccddeeff      its MEP port: mep:socket://...
  osgp-fast simulate --config meter.toml --trace session.log
  osgp-fast simulate --dump dump/ --meters 100 --days 60 --truth dump.truth.json
"""
)
@click.option("--port", type=click.IntRange(0, 65_535), help="Listen on this TCP port; 0, the default: a free one.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; by default this computer alone."
)
@click.option("--pty", is_flag=True, help="Be a serial device (a pseudo-terminal) instead. Not on Windows.")
@click.option(
    "--config", type=click.Path(dir_okay=False), help="The meter, in TOML; docs/virtual-meter.md has every key."
)
@click.option(
    "--firmware", help="Its firmware: 2.12, 3.10, 3.50, 3.70, 4.0, 4.30 ...; with --dump also several: 2.12,3.50."
)
@click.option("--password", help="Its unique key (MK): up to 20 characters, or 40 hex digits.")
@click.option("--mep", is_flag=True, help="Be its MEP port instead of the optical one.")
@click.option(
    "--client",
    type=click.IntRange(1, 2),
    help="With --mep: which of its MEP ports, 1 (the default) or, from firmware 4.0 on, 2.",
)
@click.option(
    "--security",
    type=click.Choice(["auto", "tls", "rc4"]),
    help="With --mep: take digest and RC4 as well as TLS (auto, the default), require TLS, or know no TLS.",
)
@click.option("--mak", help="Its advanced key of the MEP port (MAK), in hex.")
@click.option("--mbk", help="Its basic key of the MEP port (MBK), in hex.")
@click.option("--seed", type=click.IntRange(0, (1 << 32) - 1), help="Another seed is another household and meter.")
@click.option("--start", help="The meter's time at the start, 2024-06-01T10:07:30Z; by default now.")
@click.option("--speed", type=click.FloatRange(0, 1e6), help="How fast its clock runs; 0: it stands.")
@click.option(
    "--baud",
    type=click.Choice([str(s) for s in _SPEEDS]),
    help="Bytes take their time: 9600 bit/s, and this speed once it is negotiated. A MEP port has this speed, else 9600.",
)
@click.option("--fault", default="", help="A bad line: loss=5%,flip=1%,cut=1%,delay=2%,refuse=1%,shared-port ...")
@click.option("--echo", is_flag=True, help="Who writes hears itself, as with some optical heads.")
@click.option("--once", is_flag=True, help="End after the first client (TCP) or session (--pty).")
@click.option("--trace", type=click.Path(dir_okay=False), help="Write down what passes, as a log that decode reads.")
@click.option(
    "--dump", type=click.Path(), help="Do not listen: write a dump of meters, a new directory or a .tar file."
)
@click.option("--meters", type=click.IntRange(1), default=1, show_default=True, help="How many, with --dump.")
@click.option("--days", type=click.IntRange(0, 3660), default=30, show_default=True, help="Of history, with --dump.")
@click.option("--truth", type=click.Path(dir_okay=False), help="What decode has to find in the dump, as JSON.")
@click.pass_context
def simulate(ctx: click.Context, /, **given: object) -> None:
    """Be an OSGP meter that is not there, on a TCP port or as a serial device.

    Prints one line, the URL or device to connect to, and then serves one client after the other until Ctrl-C. Its load
    profile, events and registers advance with its clock. With --mep it is the meter's MEP port, which clients open with
    mep: before that line. With --dump it writes dumps of any size instead.
    """
    options = Options(**given)  # type: ignore[arg-type]
    config = options.meter_config()
    if options.dump is not None:
        _dump(options, config)
        return
    if options.truth is not None:
        raise UsageError("usage.truth", "--truth belongs to --dump", "give both")
    try:
        _serve(options, config)
    except KeyboardInterrupt:
        pass
    except TransportError as error:
        click.echo(f"osgp-fast: {error}", err=True)
        ctx.exit(2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What was asked for."""

    port: int | None
    host: str
    pty: bool
    config: str | None
    firmware: str | None
    password: str | None
    mep: bool
    client: int | None
    security: str | None
    mak: str | None
    mbk: str | None
    seed: int | None
    start: str | None
    speed: float | None
    baud: str | None
    fault: str
    echo: bool
    once: bool
    trace: str | None
    dump: str | None
    meters: int
    days: int
    truth: str | None

    def meter_config(self) -> MeterConfig:
        """The meter: from the file, changed by the options. Raises: UsageError."""
        from ..virtual import Firmware, MeterConfig, load, mep_key, optical_key
        from ..virtual.config import moment

        if self.pty and self.port is not None:
            raise UsageError("usage.port", "--pty and --port do not go together", "give one of them")
        if not self.mep and (self.client is not None or self.security is not None):
            raise UsageError("usage.mep", "--client and --security are for the MEP port", "give --mep, too")
        if self.mep and self.pty and self.once:
            raise UsageError(
                "usage.mep",
                "--once does not go with --mep --pty",
                "a MEP port has no sessions that could end: end it with Ctrl-C",
            )
        config = load(self.config) if self.config is not None else MeterConfig()
        changes: dict[str, object] = {}
        if self.firmware is not None and "," not in self.firmware:
            changes["firmware"] = Firmware.parse(self.firmware)
        if self.seed is not None:
            changes["seed"] = self.seed
        if self.speed is not None:
            changes["speed"] = self.speed
        if self.start is not None:
            changes["start"] = moment(self.start)
        keys = dict[str, bytes]()
        if self.password is not None:
            keys["mk"] = optical_key(self.password)
        keys |= {name: mep_key(text) for name, text in (("mak", self.mak), ("mbk", self.mbk)) if text is not None}
        if keys:
            changes["keys"] = dataclasses.replace(config.keys, **keys)
        if self.baud is not None and int(self.baud) not in config.bauds:
            changes["bauds"] = (*config.bauds, int(self.baud))
        return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


def _dump(options: Options, config: MeterConfig) -> None:
    from ..virtual import Firmware
    from ..virtual.dump import write

    assert options.dump is not None
    versions = [Firmware.parse(v.strip()) for v in (options.firmware or "").split(",") if v.strip()]
    began = time.monotonic()
    written = write(
        Path(options.dump),
        config,
        meters=options.meters,
        days=options.days,
        firmwares=versions,
        truth=Path(options.truth) if options.truth is not None else None,
    )
    seconds = max(time.monotonic() - began, 1e-3)
    click.echo(
        f"{options.dump}: {written.meters:,} meters, {written.files:,} tables, {written.bytes:,} bytes "
        f"({written.bytes / seconds / 1e6:.0f} MB/s)",
        err=True,
    )


def _serve(options: Options, config: MeterConfig) -> None:
    """Serve until Ctrl-C. Raises: TransportError where the port cannot be opened."""
    from ..transport import Listener, PtyPort
    from ..virtual import Clock, MepMeterHandler, MeterHandler, VirtualMeter
    from ..virtual.faults import parse

    if options.firmware is not None and "," in options.firmware:
        raise UsageError("usage.firmware", "a meter has one firmware", "give several with --dump only")
    badness = parse(options.fault)
    if options.mep and badness.shared_port:
        raise UsageError("usage.mep", "shared-port is a fault of the optical port", "leave it out with --mep")
    if config.start is None:
        config = dataclasses.replace(config, start=datetime.now(UTC))
    meter = VirtualMeter(config)
    clock = Clock(time.monotonic, meter.start, config.speed)
    handler = MepMeterHandler(meter, clock, client=options.client or 1) if options.mep else MeterHandler(meter, clock)
    trace = Path(options.trace).open("w", encoding="utf-8") if options.trace is not None else None  # noqa: SIM115
    try:
        if options.pty:
            port = PtyPort()
            _say(port.name)
            _talk(options, badness, handler, port, trace, stop=_SessionEnd(handler) if options.once else None)
            return
        listener = Listener(options.port or 0, options.host)
        _say(listener.url)
        while True:
            client = listener.accept()
            try:
                _talk(options, badness, handler, client, trace)
            except TransportError:
                handler.end(timed_out=True)  # the client is gone; the next one may come
            finally:
                client.close()
            if options.once:
                listener.close()
                return
    finally:
        if trace is not None:
            trace.close()


def _say(name: str) -> None:
    click.echo(name)
    sys.stdout.flush()


class _SessionEnd:
    """Whether a session has begun and ended."""

    def __init__(self, handler: MeterHandler) -> None:
        self._handler = handler
        self._ended = handler.sessions

    def __call__(self) -> bool:
        return self._handler.sessions > self._ended


def _talk(
    options: Options,
    badness: Badness,
    handler: MeterHandler,
    port: Port,
    trace: TextIO | None,
    *,
    stop: Callable[[], bool] | None = None,
) -> None:
    """Be the meter on a port until it is gone (TransportError), or until ``stop``."""
    from ..transport import BadLine, LinePort, SharedPort, TracePort
    from ..transport.drive import step
    from ..virtual import MepMeterHandler, machine

    mep = isinstance(handler, MepMeterHandler)
    meter: Machine = _mep(options, handler) if isinstance(handler, MepMeterHandler) else machine(handler)
    if badness.shared_port:
        meter = SharedPort(meter, messages=_MEP_MESSAGES)
    paced = options.baud is not None and not mep
    if badness.faults.any or paced or options.echo:
        random = Random(handler.meter.config.seed)
        arriving, leaving = (BadLine(random, badness.faults, paced=paced) for _ in range(2))
        port = LinePort(port, arriving, leaving, echo=options.echo)
    if trace is not None:
        port = TracePort(port, trace)
    while stop is None or not stop():
        step(port, meter, time.monotonic)
        if trace is not None:
            trace.flush()


def _mep(options: Options, handler: MepMeterHandler) -> MepMachine:
    """The meter's end of a MEP line."""
    from .. import _impl
    from ..session import MepMode
    from ..virtual import mep_machine

    if options.baud is not None:
        handler.baud = int(options.baud)
    return mep_machine(handler, entropy=os.urandom, mode=MepMode(options.security or "auto"), crypto=_impl)
