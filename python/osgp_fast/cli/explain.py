"""``osgp-fast explain``: a table image, a packet or a session in words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import click
from rich.markup import escape

from ..catalog import TABLES, Table
from ..codec import hex_bytes
from ..errors import UsageError
from ..explain import Line, explain_capture, explain_image, known
from ..explain.capture import Block
from .keys import keys_of
from .show import console, print_lines

__all__ = ["explain"]

_EXAMPLES: Final = """
\b
Examples:
  osgp-fast explain BT03 01080000000000000000              a table image in hex
  osgp-fast explain BT64 dump/M00002001/BT64.bin           a file; tables beside it give the dimensions
  osgp-fast explain BT23 image.bin --for dump/M00002001    dimensions from elsewhere
  osgp-fast explain EE002000000D...                        a packet, every byte of it
  osgp-fast explain session.log                            a captured session, raw or as a hex log
  osgp-fast explain --key @mak mep.bin                     one of the MEP port, opened with its key
"""


@click.command(epilog=_EXAMPLES)
@click.argument("what", nargs=-1, required=True, metavar="[TABLE] HEX|FILE")
@click.option("--for", "place", metavar="DUMP/METER", help="A meter whose tables give the dimensions.")
@click.option("--offset", type=click.IntRange(0), default=0, metavar="N", help="Where in the table the bytes start.")
@click.option("--wrap", type=click.Choice(["none", "ppp", "slip"]), help="How the line of a capture is stuffed.")
@click.option(
    "--key", "keys", multiple=True, metavar="HEX|@FILE", help="Key of the MEP port; again for another. Or OSGP_MEP_KEY."
)
@click.option(
    "--lines", type=click.IntRange(1), metavar="N", help="At most so many lines of a table or blocks of a session."
)
@click.option("--json", "as_json", is_flag=True, help="For machines: a JSON object a line.")
def explain(
    what: tuple[str, ...],
    place: str | None,
    offset: int,
    wrap: Literal["none", "ppp", "slip"] | None,
    keys: tuple[str, ...],
    lines: int | None,
    as_json: bool,
) -> None:
    """Say what every byte means: of a table (TABLE, then hex digits or a file), a packet or a captured session.

    Messages of the MEP port are opened with its keys. Passwords are masked. Bytes that the guides do not describe, and
    tables that are needed and not there, are said.
    """
    table = known(what[0])
    if table is None:
        if re.fullmatch(r"(?i)[BE][TP]\d{2,4}", what[0]):
            raise UsageError("usage.table", f"the guides describe no table {what[0]}", "osgp-fast tables lists them")
        _capture(" ".join(what), wrap, keys_of(keys), lines, as_json)
    elif len(what) == 1:
        raise UsageError("usage.table", f"no bytes of {what[0]} were given", "add them as hex digits, or a file")
    else:
        _table(table, " ".join(what[1:]), place, offset, lines, as_json)


def _bytes(text: str) -> tuple[bytes, Path | None]:
    """What hex digits or a file hold. Raises: UsageError, OSError."""
    path = Path(text)
    try:
        if path.is_file():
            return path.read_bytes(), path
    except (OSError, ValueError):
        pass  # hex digits may be longer than a name can be
    try:
        return hex_bytes(text), None
    except ValueError:
        shown = text if len(text) < 40 else text[:40] + "…"
        raise UsageError("usage.bytes", f"{shown} is neither a file nor hex digits", "give one of them") from None


def _table(table: Table, text: str, place: str | None, offset: int, lines: int | None, as_json: bool) -> None:
    data, path = _bytes(text)
    tables: dict[str, bytes] = {}
    if place is not None:
        from .meter import tables_of

        tables = tables_of(place)[1]
    elif path is not None:
        tables = _beside(path)
    found = explain_image(table, data, tables, offset=offset, whole=offset == 0)
    if as_json:
        _json(found, lines)
        return
    out = console()
    where = f" from byte {offset}" if offset else ""
    out.print(f"[bold]{table.id}[/bold] {escape(table.name)}: {len(data)} bytes{where}")
    out.print(f"  {table.source}", style="dim", markup=False)
    print_lines(found, lines)


def _beside(path: Path) -> dict[str, bytes]:
    """The tables in the directory of a dump file."""
    tables = {}
    for id in TABLES:
        other = path.with_name(f"{id}.bin")
        if other != path and other.is_file():
            tables[id] = other.read_bytes()
    return tables


def _capture(
    text: str, wrap: Literal["none", "ppp", "slip"] | None, keys: Sequence[bytes], lines: int | None, as_json: bool
) -> None:
    data, _ = _bytes(text)
    blocks = islice(explain_capture(data, wrap=wrap, keys=keys), lines)
    first = next(blocks, None)
    if first is None:
        raise UsageError(
            "usage.capture",
            "not one packet or MEP message is in it",
            "give a packet or a capture of a C12.18 or MEP line; of a table image name the table first: explain BT03 ...",
        )
    out = console()
    for block in (first, *blocks):
        if as_json:
            click.echo(json.dumps({"title": block.title, "lines": [_object(line) for line in block.lines]}))
        else:
            out.print(f"[bold]{escape(block.title)}[/bold]")
            _show(block)


def _show(block: Block) -> None:
    # An acknowledgement is said by its title.
    if len(block.lines) > 1 or len(block.lines[0].data) > 1:
        print_lines(block.lines, None)


def _json(found: Iterable[Line], lines: int | None) -> None:
    for line in islice(found, lines):
        click.echo(json.dumps(_object(line), ensure_ascii=False))


def _object(line: Line) -> dict[str, Any]:
    return {
        "offset": line.offset,
        "data": line.data.hex(),
        "name": line.name,
        "value": line.value,
        "path": line.path or None,
        "note": line.note or None,
    }
