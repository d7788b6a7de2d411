"""``osgp-fast decode``: from dumps and captures to files of columns, or to a summary."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..columns import KINDS
from ..decode.job import check_kinds, make_job
from ..errors import UsageError
from ..sinks import FORMATS, format_of
from ..units import parse_size
from .keys import keys_of

__all__ = ["check_output", "decode"]

_EXAMPLES = """
\b
Examples:
  osgp-fast decode dump/                            look: meters, time span, rejects, first rows
  osgp-fast decode dump/ -o out/                    one Parquet file per kind
  osgp-fast decode dump.zip --what events -o events.csv
  osgp-fast decode dump/ -o profile.parquet --shape wide
  osgp-fast decode a.parquet b.parquet -o out/ --split 1GB --jobs 4
  osgp-fast decode session.log --tz Europe/Oslo     a capture of the line, as text or raw
  osgp-fast decode mep.bin --key @mak --key @mbk    a capture of the MEP port and its keys
\b
Inputs, told apart by content: directories, .zip and .tar[.gz|.zst] of METER/BT64.bin; Parquet or
Arrow IPC with the columns meter, table, data; captures of a C12.18 or MEP line, raw or as a hex
log; termineter's dump_tables CSV.
\b
Exit: 0 all decoded; 1 some rejects, the rest written; 2 usage, or an input that cannot be opened;
3 failed, nothing written; 130 interrupted.
"""


class _Size(click.ParamType[int]):
    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_size(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(epilog=_EXAMPLES)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "-o", "--output", "out", metavar="OUT", help="Write DIR/ (a file per kind) or FILE (one kind) and the rejects."
)
@click.option("--what", metavar="KIND,…", help=f"Kinds: {', '.join(KINDS)}. Default: all; with -o FILE load_profile.")
@click.option(
    "--shape", type=click.Choice(["long", "wide"]), default="long", help="Load profile: a row per channel or interval."
)
@click.option("--delta", is_flag=True, help="Load profile: add the growth over the interval.")
@click.option("--format", "format", type=click.Choice(FORMATS), help="Of the files. Default: by suffix, else parquet.")
@click.option("--split", type=_Size(), metavar="SIZE", help="A new file after about this size, like 512MB.")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Threads. Default: one per core.")
@click.option("--meter", metavar="NAME", help="Use this label for all that is found.")
@click.option("--tz", default="UTC", metavar="ZONE", help="Zone of times without one in text logs. Default: UTC.")
@click.option("--wrap", type=click.Choice(["none", "ppp", "slip"]), help="How the line of a capture is stuffed.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="HEX|@FILE",
    help="Key of the MEP port, for captures of it; again for another. Or OSGP_MEP_KEY.",
)
@click.option("--tmp", metavar="DIR", help="Where scattered inputs are kept meanwhile.")
@click.option("--rejects-ok", is_flag=True, help="Exit 0 even if there are rejects.")
@click.option("--skip-unreadable", is_flag=True, help="An input that cannot be opened is a reject.")
@click.option("--assume-defaults", is_flag=True, help="Decode data without dimension tables with the guides' defaults.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")
def decode(
    inputs: tuple[str, ...],
    out: str | None,
    what: str | None,
    format: str | None,
    split: int | None,
    keys: tuple[str, ...],
    rejects_ok: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Decode captured tables into columns: load profiles, events, meters, channels.

    Without -o a summary is printed; with it, files are written whole or not at all, and what cannot be decoded goes to
    a file of rejects beside them with its reason and its bytes.
    """
    named = None if what is None else check_kinds(k.strip() for k in what.split(",") if k.strip())
    if out == "":
        raise UsageError("usage.output", "-o names nothing", "give a file, or a directory that ends in /")
    directory = out is not None and (
        out.endswith(("/", os.sep)) or Path(out).is_dir() or (named is not None and len(named) > 1)
    )
    kinds = named or (KINDS if out is None or directory else ("load_profile",))
    if options["delta"] and "load_profile" not in kinds:
        raise UsageError("usage.delta", "--delta is about load_profile", f"of {', '.join(kinds)} there is no delta")
    job = make_job(inputs, kinds, key=keys_of(keys, quiet=quiet), **options)
    if split is not None and out is None:
        raise UsageError("usage.split", "--split is about files", "name where to write with -o")
    if out is not None:
        format = format or ("parquet" if directory else format_of(out))
        check_output(out, directory, job.inputs)
    elif format is not None:
        raise UsageError("usage.format", "--format is about files", "name where to write with -o")
    from .progress import Progress
    from .run import summarize, write

    with Progress(quiet) as progress:
        if out is None:
            found = summarize(job, progress.update)
        else:
            found = write(job, out, directory, format or "parquet", split, progress.update)
    if not quiet:
        from .summary import show, show_written

        if out is None:
            show(job, found)
        elif sys.stderr.isatty() or found.summary["rejects"]:
            show_written(found)
    return 1 if found.summary["rejects"] and not rejects_ok else 0


def check_output(out: str, directory: bool, inputs: Sequence[str]) -> None:
    """Refuse, before any work, what would fail at the end. Raises: UsageError."""
    path = Path(out)
    if directory:
        parent = path
        while not parent.exists() and parent != parent.parent:
            parent = parent.parent
        if not parent.is_dir():
            raise UsageError("usage.output", f"{parent} is no directory", "choose another place for -o")
    else:
        parent = path.absolute().parent
        if not parent.is_dir():
            raise UsageError("usage.output", f"the directory {parent} does not exist", "make it first")
        for name in inputs:
            try:
                if path.exists() and path.samefile(name):
                    raise UsageError("usage.output", f"{out} is an input", "choose another place for -o")
            except OSError:
                continue
    if not os.access(parent, os.W_OK):
        raise UsageError("usage.output", f"{parent} cannot be written to", "choose another place for -o")
