"""``osgp-fast dump``: every table of a live meter, into files that `decode` reads."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import click
from rich.markup import escape

from ..errors import UsageError
from ..image import TableImage
from ..meter import Meter, Refusal
from ..sinks import open_image_sink
from ..units import human_count
from .live import COMMON, EXIT, Bytes, Opening, Where, came, failing, live_options, say
from .show import console, grid

__all__ = ["Dumping", "dump"]

_EXAMPLES: Final = f"""
\b
Examples:
  osgp-fast dump /dev/ttyUSB0 -o dump/                    dump/METER/BT00.bin, BT01.bin ...
  osgp-fast dump /dev/ttyUSB0 -o meter.parquet            one file of table images
  osgp-fast dump /dev/ttyUSB0 -o dump/ --tables BT61,BT63,BT64,ET21
Both are inputs of osgp-fast decode.
{COMMON}
{EXIT}"""

#: The answer of a meter that does not have the table (Optical guide p. 24).
_ABSENT: Final = "refused.iar"


@click.command(epilog=_EXAMPLES)
@live_options
@click.option("-o", "--output", "out", required=True, metavar="OUT", help="Write DIR/, or FILE.parquet or FILE.arrow.")
@click.option(
    "--tables", "names", metavar="TABLE,…", help="Only these. Default: all that the meter lists, or is asked."
)
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")
def dump(where: Where, out: str, names: str | None, quiet: bool) -> int:
    """Read all tables of a meter, and list those that it refuses with the key that they need."""
    wanted = None if names is None else [name.strip() for name in names.split(",") if name.strip()]
    if wanted == []:
        raise UsageError("usage.table", "--tables names no table", "name some, like BT61,ET21")
    open_image_sink(out).abort()  # what it cannot do is said before anything is read
    parent = Path(out).absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not os.access(parent, os.W_OK):
        raise UsageError("usage.output", f"{parent} cannot be written to", "choose another place for -o")
    dumping = Dumping()
    with failing(dumping.kept) as failed:
        opening = Opening(where)
        with Bytes(quiet) as progress, opening.meter(progress=progress.update) as meter:
            if not quiet:
                say(f"{meter.label}, logged on with {meter.password_form}")
            dumping.run(meter, progress, out, wanted)
    if not quiet:
        dumping.show()
    return failed[0] if failed else 0


class Dumping:
    """A dump, and what it has found so far."""

    def __init__(self) -> None:
        self.tables = self.size = 0
        self.refused: list[Refusal] = []
        self.files: list[str] = []

    def run(self, meter: Meter, progress: Bytes, out: str, tables: list[str] | None) -> None:
        """Read and write; what was read is written whatever happens."""

        def on_table(name: str, found: TableImage | Refusal) -> None:
            if isinstance(found, Refusal):
                self.refused.append(found)
            else:
                self.tables += 1
                self.size += len(found.data)
            progress.start(f"{name} done, {self.tables} tables")

        self.files = meter.dump_to(out, list(tables) if tables is not None else None, on_table=on_table)

    def kept(self) -> str:
        """For people."""
        return f"the {self.tables} tables that were read are written" if self.tables else "nothing was read"

    def show(self) -> None:
        """What was read, and what was refused."""
        say(f"{human_count(self.tables)} tables, {came(self.size)}")
        absent = [r.table for r in self.refused if r.code == _ABSENT]
        if absent:
            say(f"this meter has no {', '.join(absent)}")
        refused = [r for r in self.refused if r.code != _ABSENT]
        if refused:
            table = grid("refused", "code", "keys that may read it", "what the meter said")
            for refusal in refused:
                table.add_row(refusal.table, refusal.code, escape(refusal.keys), escape(refusal.reason))
            console(sys.stderr).print(table)
