"""A progress bar on a terminal, nothing anywhere else."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["Progress"]


class Progress:
    """Shows how far a run is, on the standard error stream if that is a terminal."""

    def __init__(self, quiet: bool = False) -> None:
        self._shown = not quiet and sys.stderr.isatty()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        return self

    def update(self, done: int, total: int, meters: int) -> None:
        """``done`` of ``total`` units are decoded, and ``meters`` meters."""
        if not self._shown:
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.fields[meters]} meters"),
                BarColumn(),
                TaskProgressColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("decode", total=total or None, meters="0")
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total or None, meters=f"{meters:,}")

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
