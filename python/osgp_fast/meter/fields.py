"""Single fields and whole tables, as the catalogue describes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from ..catalog import TABLES
from ..catalog import Field as Row
from ..codec import Decoded, Place, decode, place
from ..errors import UsageError
from ..image import PENDING, TableImage, parse_table_name, table_name
from ..layout import Layout, keys
from .store import Store, number_of, sized_by_itself
from .talk import Talk

_INDEX: Final = re.compile(r"\[([0-9]{1,5})\]")
_OFFSET: Final = re.compile(r"([0-9]{1,7})(?:\.([0-9]{1,2}))?")


def read_table(store: Store, table: int | str) -> Talk[Decoded]:
    """A whole table as a tree."""
    number = number_of(table)
    id = table_name(number & ~PENDING)
    if id not in TABLES:
        raise UsageError(
            "usage.table", f"the guides describe no table {id}", f"its bytes can be had: read({id!r})", table=number
        )
    image = yield from store.whole(number)
    layout = yield from store.layout(id, len(image.data), image.data)
    return decode(layout, image.data, table=table_name(number))


def read_field(store: Store, field: str) -> Talk[Any]:
    """One field, by exactly its bytes. Raises: UsageError "meter.field"."""
    found = yield from locate(store, field)
    return found.place.value((yield from found.read(store)))


@dataclass(frozen=True, slots=True)
class Located:
    """A field of this meter: the table on the wire, the place in it, and the table as it was just read, if it had to be."""

    id: str
    wire: int
    path: str
    place: Place
    image: TableImage | None = None

    def read(self, store: Store) -> Talk[bytes]:
        """Its bytes."""
        if self.image is not None:
            return bytes(self.image.data[self.place.offset : self.place.offset + self.place.size])
        return (yield from store.part(self.wire, self.place.offset, self.place.size))


def named(field: str) -> tuple[int, str]:
    """The number on the wire of a field's table, and its path, as far as no meter is needed. Raises: UsageError "meter.field"."""
    name, _, rest = field.partition(".")
    pending = rest.lower().startswith("pending.")
    rest = rest[len("pending.") :] if pending else rest
    id = name.upper()
    number = parse_table_name(id)
    if number is None or id not in TABLES or not rest:
        raise UsageError(
            "meter.field", f"{field} names no field", "a field is BT61.7, ET55.107.2 or BT61.set.0.blocks", got=field
        )
    return number + (PENDING if pending else 0), _path(id, rest)


def locate(store: Store, field: str) -> Talk[Located]:
    """Where this meter has a field. Raises: UsageError "meter.field"."""
    wire, path = named(field)
    number, id = wire & ~PENDING, table_name(wire & ~PENDING)
    if sized_by_itself(id):
        # Its own bytes lay it out, or its length: those of this session, if they were read, give the place.
        held = store.held.get(id)
        image = held if held is not None else (yield from store.whole(number))
        layout = yield from store.layout(id, len(image.data), image.data)
        if held is None and not wire & PENDING:
            path, found = _place(layout, id, path, field)
            return Located(id, wire, path, found, image)
    else:
        layout = yield from store.layout(id)
    path, found = _place(layout, id, path, field)
    return Located(id, wire, path, found)


def _place(layout: Layout, id: str, path: str, field: str) -> tuple[str, Place]:
    """The path by the names of the catalogue, and its place."""
    if (offset := _OFFSET.fullmatch(_INDEX.sub("", path))) is not None:
        path = _at(layout, id, int(offset[1]), offset[2], [int(n) for n in _INDEX.findall(path)]) or path
    found = place(layout, path)
    if found is None:
        missing = f"; {layout.missing} was not to be had, and lays it out" if layout.missing else ""
        raise UsageError(
            "meter.field",
            f"this meter's {id} has no {field}{missing}",
            f"osgp-fast tables {id} lists its fields",
            got=field,
        )
    return path, found


def _path(id: str, rest: str) -> str:
    """The path of a field by either notation, its elements as numbers. Raises: UsageError "meter.field"."""
    indices = [int(n) for n in _INDEX.findall(rest)]
    bare = _INDEX.sub("", rest)
    known = keys(TABLES[id])
    if bare not in known and _OFFSET.fullmatch(bare):
        return rest  # an offset that depends on firmware or dimensions: the layout knows it
    if bare not in known:
        plain = ".".join(word for word in bare.split(".") if not word.isdigit())
        if plain in known or _is_array(TABLES[id].fields, plain):
            return bare
        near = ", ".join(f"{id}.{name}" for name in get_close_matches(plain, known, n=3, cutoff=0.4))
        raise UsageError(
            "meter.field",
            f"{id} has no field {rest}",
            f"near it there are {near}" if near else f"osgp-fast tables {id} lists its fields",
            got=rest,
        )
    return _numbered(id, known[bare], indices)


def _at(layout: Layout, id: str, offset: int, bit: str | None, indices: list[int]) -> str | None:
    """The path of the field that this meter has at an offset (in element 0 of arrays), or of a bit there."""
    for leaf in layout.leaves:
        if leaf.offset == offset and (
            leaf.bits[0] == int(bit) if leaf.bits and bit else leaf.bits is None and bit is None
        ):
            return _numbered(id, leaf.path, [*leaf.packed, *indices])
    return None


def _numbered(id: str, path: str, indices: list[int]) -> str:
    """A path of the catalogue with an element for every array: those given, else 0."""
    words: list[str] = []
    rows = TABLES[id].fields
    for word in path.split("."):
        words.append(word)
        row = next((row for row in rows if row.name == word), None)
        if row is None:
            continue
        if row.type == "array":
            words.append(str(indices.pop(0) if indices else 0))
            if len(row.of) == 1 and row.of[0].type not in ("array", "bits"):
                break  # its elements are the values
        rows = row.of
    return ".".join(words)


def _is_array(rows: tuple[Row, ...], path: str) -> bool:
    for word in path.split("."):
        row = next((row for row in rows if row.name == word), None)
        if row is None:
            return False
        rows = row.of
    return True
