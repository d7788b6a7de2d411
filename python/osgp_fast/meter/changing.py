"""What a write would change: the bytes as they are and as they would be, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..catalog import TABLES
from ..codec import Place, understand
from ..errors import UsageError
from ..image import PENDING, parse_table_name, table_name
from . import writing
from .fields import locate, named
from .store import Store, sized_by_itself
from .talk import Talk
from .values import Change


def change(store: Store, what: int | str, value: Any, offset: int | None) -> Talk[Change]:
    """A write of a field, or of a table's bytes or tree. Raises: UsageError "meter.field", "meter.range", "usage.value"."""
    if isinstance(what, int) or parse_table_name(what) is not None:
        return (yield from _table(store, _now(writing.writable(what)), value, offset))
    if offset is not None:
        raise UsageError("usage.partial", f"{what} has its own place", "leave offset out, or name the table alone")
    return (yield from _field(store, what, value))


def _now(number: int) -> int:
    """Raises: UsageError "usage.table" for a pending table, which goes with its event."""
    if number & PENDING:
        raise UsageError(
            "usage.table",
            f"{table_name(number)} is pending: it is written with its event",
            "write_pending(table, data, at=) in Python does it",
            table=number,
        )
    return number


def _table(store: Store, number: int, value: Any, offset: int | None) -> Talk[Change]:
    id = table_name(number)
    if isinstance(value, Mapping) and offset is not None:
        raise UsageError("usage.table", "a tree of values is a whole table", "leave offset out, or give bytes")
    new = yield from writing.encoded(store, number, value)
    if not new:
        raise UsageError("usage.partial", "there is not one byte to write", "give some")
    described = id in TABLES
    whole = offset is None or (described and sized_by_itself(id))
    data = bytes((yield from store.whole(number)).data) if whole else b""
    if offset is None:
        old = data
    else:
        old = data[offset : offset + len(new)] if whole else (yield from store.part(number, offset, len(new)))
    if len(old) != len(new) and not isinstance(value, Mapping):
        at = "" if offset is None else f" from offset {offset}"
        raise UsageError(
            "meter.range",
            f"{len(new)} bytes were given for {id}{at}, and it has {len(old)} there",
            "say where in the table they begin (offset)"
            if offset is None
            else f"osgp-fast tables {id} tells what is where",
            table=number,
            expected=len(old),
            got=len(new),
        )
    if described:
        yield from store.layout(id, len(data), data)
    return Change(id, number, offset, old, new, _tables(store, id, data))


def _field(store: Store, field: str, value: Any) -> Talk[Change]:
    number = writing.writable(_now(named(field)[0]))
    found = yield from locate(store, field)
    place = found.place
    if isinstance(value, str):
        value = _understood(field, place, value)
    old = yield from found.read(store)
    if len(old) < place.size:
        raise UsageError(
            "meter.range",
            f"this meter's {found.id} ends before {field}",
            f"osgp-fast tables {found.id} tells what newer firmware adds",
            table=number,
            expected=place.size,
            got=len(old),
        )
    new = place.encode(value, old, table=found.id, path=found.path)
    image = found.image or store.held.get(found.id)
    whole = b""
    if image is not None and sized_by_itself(found.id):
        whole = bytes(image.data)
        whole = whole[: place.offset] + old + whole[place.offset + len(old) :]
    return Change(found.id, number, place.offset, old, new, _tables(store, found.id, whole))


def _understood(field: str, place: Place, text: str) -> Any:
    """The value that a text stands for. Raises: UsageError "usage.value"."""
    leaf = place.leaf
    if leaf is None:
        raise UsageError(
            "usage.value",
            f"{field} holds several values",
            "name one of its fields, or give a tree of values",
            got=field,
        )
    try:
        return understand(leaf.field, leaf.type, leaf.size, text, leaf.bits)
    except ValueError as error:
        # What was meant for bytes may be a key.
        shown = "that" if leaf.type in ("octets", "ped") else repr(text)
        raise UsageError(
            "usage.value",
            f"{field}: {shown} is not {error}",
            f"osgp-fast tables {field.partition('.')[0].upper()} says what its fields take",
        ) from error


def _tables(store: Store, id: str, whole: bytes) -> Mapping[str, bytes]:
    tables = {other: bytes(image.data) for other, image in store.held.items() if other != id}
    return {**tables, id: whole} if whole else tables
