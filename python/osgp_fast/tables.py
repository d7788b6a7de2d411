"""One table of a meter to values and back, whichever table it is.

    decoded = osgp.decode_table("ET55", data, tables={"BT01": bt01, "BT20": bt20})
    decoded["energy_register_unit"]

What a tree of values looks like says `codec.tree`, which Python type a field has says `codec.values`.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from . import _impl, codec
from .catalog import TABLES, Table
from .codec import Decoded
from .errors import UsageError
from .image import PENDING, parse_table_name, table_name
from .layout import MissingDimension, TableSet

__all__ = ["Decoded", "decode_table", "encode_table"]

Bytes = bytes | bytearray | memoryview
Tables = Mapping[str | int, Bytes] | Mapping[str, Bytes] | Mapping[int, Bytes]

_BY_NUMBER: Final = {table.number: table for table in TABLES.values()}
#: What most callers call the tables, to their numbers.
_NUMBERS: Final[Mapping[str | int, int]] = {
    **{table.id: table.number for table in TABLES.values()},
    **{number: number for number in _BY_NUMBER},
}


def decode_table(table: str | int, data: Bytes, *, tables: Tables | None = None) -> Decoded:
    """The values in the bytes of one table, from its first byte on.

    ``table`` is ``"ET55"`` or the number on the wire; a pending table (``"BT54.pending"``, number + 4096) reads like the one
    it will replace, without its PED. ``tables`` are the bytes of other tables of the same meter, by name or number: those
    that say how long this one's parts are, and BT01 for its firmware. The more there are, the better; pending ones and
    those that the catalogue does not have are passed over.

    Returns: the tree in ``values``, which is as complete as the bytes are. ``short`` names the first field that is not all
    there, ``missing`` the table in ``tables`` that was missed, ``rest`` what stands behind the description.
    Raises: UsageError "usage.table" for a table that there is not.
    """
    entry = _entry(table)
    others = _others(entry, tables)
    data = bytes(data)
    if _impl.implementation() == "rust":
        return Decoded(entry.id, *_impl.core().decode_table(entry.number, data, others))
    known: dict[str, bytes | memoryview] = {_BY_NUMBER[number].id: raw for number, raw in others.items()}
    return codec.decode(TableSet({**known, entry.id: data}).layout(entry.id), data, table=entry.id)


def encode_table(
    table: str | int, values: Mapping[str, Any], *, tables: Tables | None = None, size: int | None = None
) -> bytes:
    """The bytes of one table from the tree of its values: what `decode_table` gives, turned back. A field without a value
    is 0.

    ``tables`` as in `decode_table`. ``size`` is the length of the table where it is not as described.

    Raises: UsageError "usage.table", and "usage.tables" where a table is needed that ``tables`` does not have; TableError
    "table.value" for a value that does not fit its field, "table.no_place" for one whose field this meter does not have,
    "table.size" where no length fits.
    """
    entry = _entry(table)
    known: dict[str, bytes | memoryview] = {
        _BY_NUMBER[number].id: raw for number, raw in _others(entry, tables).items()
    }
    try:
        return codec.encode_table(entry, values, TableSet(known), size=size)
    except MissingDimension as error:
        raise UsageError(
            "usage.tables",
            f"{entry.id} cannot be laid out: {error.table} sizes it and is not among the tables, or too short",
            f"give the bytes of this meter's {error.table} in tables",
            table=entry.id,
            missing=error.table,
        ) from error


def _entry(table: str | int) -> Table:
    number = parse_table_name(table) if isinstance(table, str) else table
    found = None if number is None or number < 0 else _BY_NUMBER.get(number & ~PENDING)
    if found is not None:
        return found
    name = table_name(number) if number is not None and number >= 0 else str(table)
    near = get_close_matches(name.upper().removesuffix(".PENDING"), TABLES, n=3, cutoff=0.5)
    raise UsageError(
        "usage.table",
        f"there is no table {table!r} in the catalogue",
        f"did you mean {' or '.join(near)}?" if near else "tables are called BT61 or ET55, or are numbers on the wire",
        table=table,
    )


def _others(entry: Table, tables: Tables | None) -> dict[int, bytes]:
    """The tables of the catalogue that are not ``entry``, by number."""
    out: dict[int, bytes] = {}
    for name, raw in (tables or {}).items():
        number = _NUMBERS.get(name)
        if number is None:
            number = parse_table_name(name) if isinstance(name, str) else name
        if number is None:
            raise UsageError(
                "usage.table",
                f"{name!r} among the tables is no name of a table",
                "tables are called BT61 or ET55, or are numbers on the wire",
                table=name,
            )
        if number in _BY_NUMBER and number != entry.number:
            out[number] = bytes(raw)
    return out
