"""``osgp-fast read``: from a live meter to files of columns, or to a summary."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from ..columns import KINDS
from ..decode.job import check_kinds, make_job
from ..errors import UsageError
from ..meter.tasks import moment
from ..sinks import FORMATS, Sink, format_of, open_sink
from .decode import check_output
from .live import COMMON, EXIT, Bytes, Opening, Where, came, failing, live_options, say
from .reading import QUICK, Reading

__all__ = ["read"]

_EXAMPLES = f"""
\b
Examples:
  osgp-fast read /dev/ttyUSB0                             look: who it is, registers, measurements, events, alarms
  osgp-fast read /dev/ttyUSB0 -o out/                     one Parquet file per kind, the load profile too
  osgp-fast read /dev/ttyUSB0 --what load_profile --since 2024-03-14T00:00:00Z -o new.parquet
  osgp-fast read socket://gateway:4001 --what events -o events.csv --password-file key.txt
{COMMON}
{EXIT}"""


@click.command(epilog=_EXAMPLES)
@live_options
@click.option(
    "-o", "--output", "out", metavar="OUT", help="Write DIR/ (a file per kind) or FILE (one kind) and the rejects."
)
@click.option(
    "--what",
    metavar="KIND,…",
    help=f"Kinds: {', '.join(KINDS)}. Default: all; without -o all but the load profile; with -o FILE load_profile.",
)
@click.option("--since", metavar="TIME", help="Load profile and events: only what is later, like 2024-03-14T10:00:00Z.")
@click.option(
    "--shape", type=click.Choice(["long", "wide"]), default="long", help="Load profile: a row per channel or interval."
)
@click.option("--delta", is_flag=True, help="Load profile: add the growth over the interval.")
@click.option("--format", "format", type=click.Choice(FORMATS), help="Of the files. Default: by suffix, else parquet.")
@click.option("--rejects-ok", is_flag=True, help="Exit 0 even if there are rejects.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")
def read(
    where: Where,
    out: str | None,
    what: str | None,
    since: str | None,
    format: str | None,
    rejects_ok: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Read a meter through the optical port: the same kinds, files and columns as decode.

    Without -o a summary is printed. With --since only the new part of the load profile and of the events is on the line.
    """
    named = None if what is None else check_kinds(k.strip() for k in what.split(",") if k.strip())
    if out == "":
        raise UsageError("usage.output", "-o names nothing", "give a file, or a directory that ends in /")
    directory = out is not None and (
        out.endswith(("/", os.sep)) or Path(out).is_dir() or (named is not None and len(named) > 1)
    )
    kinds = named or ((QUICK if since is None else KINDS) if out is None else KINDS if directory else ("load_profile",))
    if options["delta"] and "load_profile" not in kinds:
        raise UsageError("usage.delta", "--delta is about load_profile", f"of {', '.join(kinds)} there is no delta")
    job = make_job([where.port], kinds, jobs=1, **options)
    reading = Reading(job, moment(since))
    if out is not None:
        format = format or ("parquet" if directory else format_of(out))
        check_output(out, directory, ())
    elif format is not None:
        raise UsageError("usage.format", "--format is about files", "name where to write with -o")

    received = 0
    with failing(lambda: "what was read is kept" if reading.batches else "nothing was read") as failed:
        opening = Opening(where)
        with Bytes(quiet) as progress, opening.meter(progress=progress.update) as meter:
            if not quiet:
                say(f"{meter.label}, logged on with {meter.password_form}")
            try:
                reading.read(meter, progress)
            finally:
                received = sum(len(image.data) for image in meter.images)
    if failed and not reading.batches:
        return failed[0]
    code = _give(reading, out, directory, format or "parquet", received, quiet)
    if failed:
        return failed[0]
    if named is not None and reading.refused and not reading.batches:
        return 3
    return code if not rejects_ok else 0


def _give(reading: Reading, out: str | None, directory: bool, format: str, received: int, quiet: bool) -> int:
    """Write or show what was read; 1 where there are rejects."""
    from .summary import show, show_written

    job = reading.job
    if out is None:
        found = reading.found(received)
        if not quiet:
            show(job, found)
            if "load_profile" not in job.kinds and "channels" in reading.batches:
                say("the load profile was not read; --what load_profile, or -o DIR/, reads it")
    else:
        sink: Sink = open_sink(out, directory, format, job.kinds, shape=job.shape, delta=job.delta)
        found = reading.write(sink)
        if not quiet and (sys.stderr.isatty() or found.summary["rejects"]):
            show_written(found)
            say(f"{came(received)} of tables were read")
    return 1 if found.summary["rejects"] else 0
