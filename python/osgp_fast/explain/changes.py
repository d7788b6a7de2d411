"""What a write changes, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..catalog import Table
from .table import Line, explain_image

__all__ = ["Pair", "explain_change"]

#: A field as it is and as it will be; None where it is not there, since what others hold makes it come and go.
Pair = tuple[Line | None, Line | None]


def explain_change(
    table: Table | None, old: bytes, new: bytes, tables: Mapping[str, bytes], *, offset: int = 0, whole: bool = True
) -> Iterator[Pair]:
    """The fields of a table that differ between ``old`` and ``new``, which start at ``offset``.

    ``tables`` are others of the same meter; if the table itself is among them, it is as it is now and whole. Bytes that
    nobody describes are one line.
    """
    if table is None:
        yield Line(offset, old, "bytes", f"{len(old)} bytes"), Line(offset, new, "bytes", f"{len(new)} bytes")
        return
    image = tables.get(table.id)
    if image is not None and not whole:
        # It is laid out by itself, so all of it is needed.
        new = image[:offset] + new + image[offset + len(new) :]
        old, offset, whole = image, 0, True
    before = {_key(line): line for line in explain_image(table, old, tables, offset=offset, whole=whole)}
    for line in explain_image(table, new, tables, offset=offset, whole=whole):
        was = before.pop(_key(line), None)
        if was is None or (was.data, was.value) != (line.data, line.value):
            yield was, line
    for line in before.values():
        yield line, None


def _key(line: Line) -> tuple[str, int | None]:
    return (line.path, None) if line.path else (line.name, line.offset)
