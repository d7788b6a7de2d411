"""How commands print to people: a console as wide as it needs to be, plain grids."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

__all__ = ["console", "grid"]


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
