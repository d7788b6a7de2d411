"""``osgp-fast simulate``: a meter that is not there."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import TransportError, UsageError

if TYPE_CHECKING:
    from ..virtual import MeterConfig

__all__ = ["Options", "simulate"]

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
  osgp-fast simulate --mep --also mep2 --firmware 4.30      both of its MEP ports
  osgp-fast simulate --mep --also optical         MEP and optical port; an optical session takes MEP away
  osgp-fast simulate --mep --fault shared-port    the same, by somebody who reads it now and then
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
    "--also",
    type=click.Choice(["optical", "mep", "mep2"]),
    multiple=True,
    help="Serve this port of the meter, too, and say so in a line of its own: its name and what a client opens. "
    "Several times for several ports; mep2 is the second MEP port of firmware 4.0 and later.",
)
@click.option(
    "--security",
    type=click.Choice(["auto", "tls", "rc4"]),
    help="With a MEP port: take digest and RC4 as well as TLS (auto, the default), require TLS, or know no TLS.",
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
@click.option("--once", is_flag=True, help="End after the first client (TCP) or session (--pty) of the main port.")
@click.option(
    "--trace",
    type=click.Path(dir_okay=False),
    help="Write down what passes, as a log that decode reads; what passes at a port of --also, into a file beside it: "
    "with session.log session.mep2.log.",
)
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
    mep: before that line. With --also it serves further ports of the same meter at the same time, and prints a line for
    each: "mep2 mep:socket://127.0.0.1:40124". With --dump it writes dumps of any size instead.
    """
    options = Options(**given)  # type: ignore[arg-type]
    config = options.meter_config()
    if options.dump is not None:
        _dump(options, config)
        return
    if options.truth is not None:
        raise UsageError("usage.truth", "--truth belongs to --dump", "give both")
    from .serving import serve

    try:
        serve(options, config)
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
    also: tuple[str, ...]
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

    @property
    def ports(self) -> list[str]:
        """The names of the ports, the main one first: ``optical``, ``mep``, ``mep2``. Raises: UsageError."""
        main = "optical" if not self.mep else "mep2" if self.client == 2 else "mep"
        names = [main, *self.also]
        twice = next((name for name in self.also if names.count(name) > 1), None)
        if twice is not None:
            raise UsageError(
                "usage.also",
                f"the port {twice} is asked for twice",
                "name each port once; the main one is optical, with --mep it is mep, with --mep --client 2 mep2",
                got=twice,
            )
        return names

    def meter_config(self) -> MeterConfig:
        """The meter: from the file, changed by the options. Raises: UsageError."""
        from ..virtual import Firmware, MeterConfig, load, mep_key, optical_key
        from ..virtual.config import moment

        if self.pty and self.port is not None:
            raise UsageError("usage.port", "--pty and --port do not go together", "give one of them")
        if self.also and self.dump is not None:
            raise UsageError(
                "usage.also", "--also and --dump do not go together", "a dump has no ports: leave --also out"
            )
        mep = any(name != "optical" for name in self.ports)
        if (self.client is not None and not self.mep) or (self.security is not None and not mep):
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
