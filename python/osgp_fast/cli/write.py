"""``osgp-fast write``: a field or some bytes of a table of a live meter, shown before and read back after."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from rich.markup import escape

from ..catalog import TABLES
from ..catalog.named import NAMED_TABLES
from ..codec import hex_bytes
from ..errors import RemoteProtocolError, TableError, UsageError
from ..explain import Line, Pair, explain_change
from ..image import PENDING, parse_table_name, table_name
from ..meter import Change, Meter
from ..meter.fields import named
from ..meter.store import number_of
from ..meter.wear import wears
from ..scrub import holds_key
from .asking import EXIT, NOT_CONFIRMED, Asking, as_usage, counted, sure, wear, writing_options
from .live import COMMON, Opening, Where, failing, live_options, say
from .show import console, grid
from .worn import Worn

__all__ = ["write"]

_EXAMPLES: Final = f"""
\b
Examples:
  osgp-fast write /dev/ttyUSB0 ET51.client.0.health_timeout "90 s"      a field by name; shows, asks, writes, reads back
  osgp-fast write /dev/ttyUSB0 ET51.0.1 true                            by offset and bit, as the guides print them
  osgp-fast write /dev/ttyUSB0 ET03.utility_serial METER-17 --dry-run   only show what would change
  osgp-fast write mep:/dev/ttyS0 ET34 --hex 0901 --offset 7             bytes of a table, from an offset on
  osgp-fast write mep:/dev/ttyS0 ET71 --file et71.bin --yes             a whole table, without asking
  osgp-fast write /dev/ttyUSB0 ET55.signal_threshold -- -12             -- before a number below 0
osgp-fast tables ET51 lists fields, their offsets and names of values.
VALUE: a number (as it is stored; with its unit as a measure), a listed name, true or false, text, a time like
2024-03-14T10:07:00, or hex digits where the field is bytes. Keys are only taken from a --file.
{COMMON}
{EXIT}"""


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked for: a table and bytes, or a field and a value."""

    what: int | str
    value: str | bytes
    offset: int | None


@click.command(epilog=_EXAMPLES)
@live_options
@click.argument("what", metavar="TABLE[.FIELD]")
@click.argument("value", required=False)
@click.option("--hex", "digits", metavar="DIGITS", help="Write these bytes, of the field, or of the table.")
@click.option("--file", "file", metavar="FILE", help="Write the bytes of FILE.")
@click.option(
    "--offset",
    type=click.IntRange(0, (1 << 24) - 1),
    metavar="N",
    help="Where in the table the bytes begin. Default: they are the whole table.",
)
@writing_options
def write(
    where: Where,
    what: str,
    value: str | None,
    digits: str | None,
    file: str | None,
    offset: int | None,
    asking: Asking,
) -> int:
    """Write a field, or bytes of a table, of a meter.

    What would change is read and shown, field by field, before it is asked for a yes; afterwards it is read back. Nothing is
    written twice: where the line failed, it is said whether it arrived.
    """
    writing = _Writing(_request(what, value, digits, file, offset), asking)
    with failing(writing.kept) as failed:
        opening = Opening(where)
        with opening.meter() as meter:
            writing.run(meter)
    return writing.end(failed[0] if failed else 0)


def _request(what: str, value: str | None, digits: str | None, file: str | None, offset: int | None) -> _Request:
    """Everything that can be said without a meter. Raises: UsageError."""
    given = [x for x in (value, digits, file) if x is not None]
    number = int(what) if what.isascii() and what.isdigit() else parse_table_name(what)
    if len(given) != 1:
        raise UsageError(
            "usage.value",
            f"{'nothing' if not given else 'more than one thing'} was given to write",
            "give a VALUE for a field, or bytes by --hex or --file",
        )
    if number is None:
        found, path = named(what)
        if offset is not None:
            raise UsageError("usage.partial", f"{what} has its own place", "--offset goes with a table alone")
    else:
        found, path = number_of(number), ""
        if value is not None:
            raise UsageError(
                "usage.value",
                f"a table is not written by a value, and {what} names no field",
                f"name one, like {what}.7, or give bytes by --hex or --file",
            )
    if found & PENDING:
        raise UsageError(
            "usage.table", f"{what} is pending: it is written with its event", "Meter.write_pending in Python does it"
        )
    if file is None and path and holds_key(table_name(found), path):
        raise UsageError(
            "usage.secret",
            f"{what} holds a key, which others on this machine could read in the command line",
            "put its bytes into a file that nobody else may read, and name that with --file",
        )
    content: str | bytes = value if value is not None else _bytes(digits, file)
    return _Request(found if number is not None else what, content, offset)


def _bytes(digits: str | None, file: str | None) -> bytes:
    if digits is not None:
        try:
            data = hex_bytes(digits)
        except ValueError:
            raise UsageError("usage.bytes", "--hex takes hex digits, two a byte", "like --hex 01FF") from None
    else:
        try:
            data = Path(file or "").read_bytes()
        except OSError as error:
            raise UsageError("usage.bytes", f"{file}: {error.strerror}", "name a file of bytes") from error
    if not data:
        raise UsageError("usage.bytes", "there is not one byte to write", "give some")
    return data


class _Writing:
    """A write, and how far it got."""

    def __init__(self, request: _Request, asking: Asking) -> None:
        self.request, self.asking = request, asking
        self.change: Change | None = None
        self.pairs: list[Pair] = []
        self.label = ""
        self.status = "failed"
        self.begun = False

    @property
    def name(self) -> str:
        """The field, or the table."""
        request = self.request
        return request.what if isinstance(request.what, str) else table_name(request.what)

    def kept(self) -> str:
        """For people, where it ended early."""
        if not self.begun:
            return "nothing was written"
        return f"{self.name} is not written again by itself: --dry-run shows what it holds now"

    def run(self, meter: Meter) -> None:
        """Show, ask, write, read back."""
        asking, self.label = self.asking, meter.label
        change = self.change = self._planned(meter)
        table = TABLES.get(change.table)
        worn = Worn(meter.serial_number() or meter.label) if wears(change.number) else None
        if worn is not None:
            meter.recent_writes = worn.ages()
        whole = change.offset is None
        self.pairs = list(
            explain_change(table, change.old, change.new, change.tables, offset=change.offset or 0, whole=whole)
        )
        if asking.shows:
            self._show(change, meter)
        if not change.differs:
            self.status = "unchanged"
        elif asking.dry_run:
            self.status = "dry_run"
        elif asking.asks and not sure(f"Write this to {self.label}?"):
            self.status = "declined"
        else:
            self._write(meter, change, worn)
            self.status = "written"

    def _planned(self, meter: Meter) -> Change:
        request = self.request
        try:
            found = meter.change(request.what, request.value, offset=request.offset)
        except TableError as error:
            raise as_usage(error) from error
        if isinstance(request.what, str) and isinstance(request.value, bytes) and len(found.new) != len(request.value):
            raise UsageError(
                "meter.range",
                f"{request.what} has {len(found.new)} bytes, and {len(request.value)} were given",
                "give as many as it has",
                table=found.number,
                expected=len(found.new),
                got=len(request.value),
            )
        return found

    def _write(self, meter: Meter, change: Change, worn: Worn | None) -> None:
        if self.asking.asks and self._planned(meter) != change:
            # Bits of a word beside ours would be set back.
            raise RemoteProtocolError(
                "meter.changed",
                f"{self.name} has changed since it was shown",
                "look at it again, and write it then",
                table=change.number,
            )
        with counted(meter, worn):
            self.begun, self.status = True, "unknown"
            try:
                meter.write(change.number, change.new, offset=change.offset, force=self.asking.force)
            except UsageError:
                self.begun = False
                raise

    # ---- for people and machines

    def _show(self, change: Change, meter: Meter) -> None:
        out = console(self.asking.out)
        known = TABLES.get(change.table) or NAMED_TABLES.get(change.table)
        first = change.offset or 0
        place = "all of it" if change.offset is None else f"bytes {first} to {first + len(change.new) - 1}"
        name = f" {escape(known.name)}" if known is not None and known.name else ""
        out.print(f"[bold]{change.table}[/bold]{name} of {escape(self.label)}, {place}")
        if change.table not in TABLES:
            out.print("  the guides do not describe its fields", style="dim")
        if change.differs:
            table = grid("offset>", "field", "is", "will be", "meaning")
            for old, new in self.pairs:
                line = new or old
                assert line is not None
                at = "" if line.offset is None else f"{line.offset:04X}"
                name = "  " * line.depth + line.name
                table.add_row(at, escape(name), self._said(old), self._said(new), f"[dim]{escape(line.note)}[/dim]")
            out.print(table)
        if wears(change.number):
            out.print(f"  {wear(change.table, meter.recent_writes)}", markup=False)

    def _secret(self, line: Line) -> bool:
        assert self.change is not None
        return holds_key(self.change.table, line.path)

    def _said(self, line: Line | None) -> str:
        if line is None:
            return "[dim]not there[/dim]"
        if self._secret(line):
            return "[dim]a secret, not shown[/dim]"
        return escape(f"{line.value}  " if line.value else "") + f"[dim]{line.data[:16].hex(' ').upper()}[/dim]"

    def end(self, code: int) -> int:
        """Say how it ended; the exit code."""
        if self.status == "declined":
            code = NOT_CONFIRMED
        if self.asking.as_json and self.change is not None:
            click.echo(json.dumps(self._object(self.change), ensure_ascii=False))
        if self.status == "declined":
            say("not confirmed; nothing was written")
        elif self.asking.tells and not code:
            words = {
                "unchanged": "it holds that already; nothing was written",
                "dry_run": "nothing was written (--dry-run)",
                "written": "written, and read back: it is there",
            }
            click.echo(f"{self.name}: {words[self.status]}")
        return code

    def _object(self, change: Change) -> dict[str, Any]:
        secret = any(self._secret(line) for pair in self.pairs for line in pair if line is not None)
        changes = []
        for old, new in self.pairs:
            line = new or old
            assert line is not None
            hidden = self._secret(line)
            changes.append(
                {
                    "path": line.path or None,
                    "name": line.name,
                    "offset": line.offset,
                    "old": None if old is None or hidden else old.value,
                    "new": None if new is None or hidden else new.value,
                }
            )
        return {
            "meter": self.label,
            "table": change.table,
            "number": change.number,
            "offset": change.offset,
            "old": None if secret else change.old.hex(),
            "new": None if secret else change.new.hex(),
            "changes": changes,
            "wears": wears(change.number),
            "status": self.status,
        }
