"""Alarms: BT03."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ._meter import Meter, Options

NEEDS: Final = frozenset({"BT00", "BT01"})


def decode(meter: Meter, options: Options) -> Iterator[dict[str, list[Any]]]:
    """The rows of a meter."""
    yield from ()
