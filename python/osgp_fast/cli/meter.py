"""The tables of one meter of a dump or capture, for commands that look at single tables."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..catalog import TABLES
from ..dumps import InputOptions, open_inputs
from ..errors import UsageError
from ..image import TableImage
from ..records._meter import Meter

__all__ = ["split_place", "tables_of"]

_NAMED: Final = 8


def split_place(place: str) -> tuple[str, str | None]:
    """``DUMP/METER`` as input and meter: ``dump/M1`` is a directory of its own, ``dump.zip/M1`` a meter of an archive.

    Raises: UsageError where no part of it exists.
    """
    path = Path(place)
    if path.exists():
        return place, None
    for parent in path.parents:
        if parent.is_file():
            return str(parent), path.relative_to(parent).as_posix()
    raise UsageError(
        "usage.meter", f"{place} does not exist", "name a directory METER of BT61.bin ..., or ARCHIVE/METER"
    )


def tables_of(place: str) -> tuple[str, dict[str, bytes]]:
    """The label of a meter and its tables by id, the newest read of each; a table read in parts as far as it is whole.

    Raises: InputError; UsageError where there is no such meter, or more than one.
    """
    source, wanted = split_place(place)
    found: dict[str, list[TableImage]] = {}
    with open_inputs([source], InputOptions()) as index:
        for label, images in index.meters(lambda _: None):
            found[label] = images
    if wanted is None and len(found) == 1:
        wanted = next(iter(found))
    if wanted not in found:
        names = ", ".join(list(found)[:_NAMED]) + (", …" if len(found) > _NAMED else "")
        what = f"{source} holds {len(found)} meters" if wanted is None else f"{source} holds no meter {wanted}"
        raise UsageError("usage.meter", what, f"name one of them behind it, {source}/METER: {names}")
    meter = Meter(wanted, found[wanted], TABLES)
    tables = {}
    for id in TABLES:
        read = meter.newest(id)
        if read is not None and read.pieces and read.pieces[0][0] == 0:
            tables[id] = bytes(read.pieces[0][1])
    return wanted, tables
