"""When this user's commands wrote to memory that wears, meter by meter: what one command counts, the next one knows."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from .live import say

__all__ = ["Worn"]

#: More times than this of a meter are not kept.
_MOST: Final = 1000


def _place() -> Path:
    """Where programs keep what is neither configuration nor worth a backup."""
    windows = os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else None
    base = os.environ.get("XDG_STATE_HOME") or windows
    if base:
        return Path(base)
    try:
        return Path.home() / ".local" / "state"
    except RuntimeError:  # a user without a home; what cannot be kept is said where it is kept
        return Path(os.devnull)


class Worn:
    """The writes of one meter in a file of the user's: a line of seconds since 1970 each.

    The file's name is a digest of the serial number, so that nobody learns from it which meters were written. A file that
    cannot be read or written is said and costs no write.
    """

    def __init__(self, serial: str) -> None:
        name = hashlib.sha256(serial.encode()).hexdigest()[:24]
        self._path = _place() / "osgp-fast" / "writes" / f"{name}.txt"

    def ages(self) -> list[float]:
        """How many seconds ago the writes were; those that seem to be later than now count as now."""
        now = time.time()
        try:
            words = self._path.read_text(encoding="ascii", errors="replace").split()
        except FileNotFoundError:
            return []
        except OSError as error:
            say(f"warning: earlier writes are not counted: {error.strerror}")
            return []
        return [max(0.0, now - int(word)) for word in words if word.isascii() and word.isdigit()]

    def keep(self, ages: Sequence[float]) -> None:
        """Write them down, in place of those that were there."""
        now = time.time()
        text = "".join(f"{now - age:.0f}\n" for age in ages[-_MOST:])
        beside = self._path.with_suffix(f".{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            beside.write_text(text, encoding="ascii")
            beside.replace(self._path)
        except OSError as error:
            say(f"warning: this write is not counted: {error.strerror}")
