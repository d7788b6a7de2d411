"""How commands print to people: a console as wide as it needs to be, plain grids."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from ..explain import Line

__all__ = ["console", "grid", "print_lines"]

#: Bytes of a field that are shown.
_SHOWN: Final = 16


def console(file: Any = None) -> Console:
    """A console for the standard output, or ``file``."""
    console = Console(file=file, highlight=False, soft_wrap=False)
    # Into a file or a pipe: as wide as it needs to be, within reason.
    if not console.is_terminal:
        console.width = 240
    return console


def grid(*headings: str, title: str | None = None) -> Table:
    """A grid with these headings; one that ends in ``>`` is aligned to the right."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        right = heading.endswith(">")
        table.add_column(heading.rstrip(">"), justify="right" if right else "left", overflow="ellipsis")
    return table


def print_lines(found: Iterable[Line], lines: int | None = None, file: Any = None) -> None:
    """An explanation as a grid, at most so many lines of it."""
    table = grid("offset>", "bytes", "field", "value", "meaning")
    for line in islice(found, lines):
        indent = "  " * line.depth
        data = line.data[:_SHOWN].hex(" ").upper() + (" …" if len(line.data) > _SHOWN else "")
        at = "" if line.offset is None else f"{line.offset:04X}"
        table.add_row(at, data, escape(indent + line.name), escape(line.value), f"[dim]{escape(line.note)}[/dim]")
    console(file).print(table)
