"""A table image field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..catalog import PROCEDURES, TABLES, Table
from ..catalog.flat import PARAMETERS_AT, RESPONSE_AT
from ..codec import walk
from ..codec.tree import Part
from ..image import EXTENDED
from ..layout import Layout, MissingDimension, TableSet, resolve
from .words import describe

__all__ = ["Line", "explain_image", "explain_parameters"]

_PROCEDURE: Final = {"BT07"}
_RESPONSES: Final = {"BT08", "ET59", "ET85"}
#: The 12-bit procedure number at the start of BT07 and of the response tables (MEP guide p. 52).
_NUMBER_MASK: Final = 0x0FFF


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an explanation: bytes at an offset, what they are called and what they say.

    ``depth`` is how far it belongs under the line before; ``note`` is what the catalogue adds.
    """

    offset: int | None
    data: bytes
    name: str
    value: str = ""
    note: str = ""
    depth: int = 0
    path: str = ""


def explain_image(
    table: Table, data: bytes, tables: Mapping[str, bytes] | None = None, *, offset: int = 0, whole: bool = True
) -> Iterator[Line]:
    """The fields of a table in some of its bytes, which start at ``offset``; ``tables`` are others of the same meter.

    What cannot be laid out is said: the missing table, a field that is cut short, bytes beyond the description.
    """

    def get(at: int, size: int) -> bytes | None:
        raw = data[at - offset : at - offset + size] if at >= offset else b""
        return raw if len(raw) == size else None

    end = offset + len(data)
    others = {id: raw for id, raw in (tables or {}).items() if id != table.id}
    if whole and offset == 0:
        others[table.id] = data
    try:
        layout = resolve(table, end, TableSet(others), data=get, partial=True)
    except MissingDimension as error:
        yield Line(offset, data, "not laid out", f"{error.table} is needed for it")
        return
    yield from _fields(layout, get, offset, end)
    if layout.missing is not None:
        yield Line(None, b"", "the rest is not laid out", f"{layout.missing} is needed for it, and was not given")
    number = int.from_bytes(data[:2], "little") & _NUMBER_MASK
    at, response = (PARAMETERS_AT, False) if table.id in _PROCEDURE else (RESPONSE_AT, True)
    called = _procedure(number) if table.id in _PROCEDURE | _RESPONSES and offset == 0 and len(data) >= at else None
    if called is not None:
        yield from explain_parameters(called, data[at:], at, response=response)
    elif layout.size < end and layout.missing is None:
        start = max(layout.size, offset)
        yield Line(
            start, data[start - offset :], "not described", f"{end - start} bytes beyond what the guides describe"
        )


def _procedure(number: int) -> Table | None:
    id = f"EP{number - EXTENDED:02}" if number >= EXTENDED else f"BP{number:02}"
    return PROCEDURES.get(id)


def explain_parameters(procedure: Table, data: bytes, offset: int, *, response: bool = False) -> Iterator[Line]:
    """The parameters of a procedure, or its response, which stand at ``offset`` of their table."""

    def get(at: int, size: int) -> bytes | None:
        raw = data[at : at + size]
        return raw if len(raw) == size else None

    fields = procedure.response if response else procedure.fields
    rows = Table(id=procedure.id, number=procedure.number, name=procedure.name, source=procedure.source, fields=fields)
    yield Line(None, b"", f"{procedure.id} {procedure.name}", "response" if response else "parameters")
    layout = resolve(rows, len(data), TableSet({}), data=get, partial=True)
    for line in _fields(layout, get, 0, len(data)):
        yield Line(
            None if line.offset is None else line.offset + offset,
            line.data,
            line.name,
            line.value,
            line.note,
            1,
            line.path,
        )
    if layout.size < len(data):
        rest = data[layout.size :]
        yield Line(layout.size + offset, rest, "not described", f"{len(rest)} bytes", depth=1)


def _fields(layout: Layout, get: Any, offset: int, end: int) -> Iterator[Line]:
    for part in walk(layout, get, end):
        if part.raw is None:
            if offset <= part.offset < end:
                there = get(part.offset, end - part.offset) or b""
                yield Line(part.offset, there, _name(part), f"cut short: {len(there)} of {part.leaf.size} bytes")
            continue
        if part.leaf.bits is not None:
            yield Line(part.offset, b"", _name(part), describe(part.leaf.field, part.value), _note(part), 1, part.path)
        elif part.leaf.type == "bits":
            yield Line(part.offset, part.raw, _name(part), _word(part), _note(part), 0, part.path)
        elif part.raw or part.leaf.type != "octets":
            value = describe(part.leaf.field, part.value)
            yield Line(part.offset, part.raw, _name(part), value, _note(part), 0, part.path)


def _word(part: Part) -> str:
    return f"{part.value:0{8 * part.leaf.size}b}"


def _name(part: Part) -> str:
    row = part.leaf.field
    numbers = "".join(f"[{p}]" for p in part.path.split(".") if p.isdigit())
    return (row.spec or row.name.replace("_", " ")) + numbers


def _note(part: Part) -> str:
    return part.leaf.field.doc


def known(name: str) -> Table | None:
    """The table called ``BT61`` or 61, or the table that a pending one mirrors."""
    from ..image import PENDING, parse_table_name, table_name

    number = int(name) if name.isdigit() else parse_table_name(name)
    return None if number is None else TABLES.get(table_name(number & ~PENDING))
