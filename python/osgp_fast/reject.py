"""A part of the input that could not be decoded: what, where, why and its bytes. The rest goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["MAX_DATA", "Reject", "reject"]

MAX_DATA = 64 * 1024
"""At most this many bytes of a rejected part are kept (contract, "rejects")."""


@dataclass(frozen=True, slots=True)
class Reject:
    """One row of the ``rejects`` kind; the fields stand in the order of its columns."""

    meter: str | None
    """The meter's label, if known."""
    table: int | None
    """The table's number on the wire, if it is about a table."""
    item: str
    """Which block, entry, packet or file."""
    code: str
    """Stable name of the reason, such as ``profile.block_count``."""
    reason: str
    """Plain words: what is wrong and what to do."""
    input: str
    """The file."""
    offset: int | None
    """Offset of ``data``: within the table where ``table`` is set, else within the file."""
    length: int
    """Length of the whole part, of which ``data`` may be the start."""
    data: bytes
    """Its bytes, at most `MAX_DATA`."""
    read_at: int | None
    """When it was read, microseconds since 1970-01-01 UTC."""


def reject(
    code: str,
    reason: str,
    *,
    meter: str | None = None,
    table: int | None = None,
    item: str = "",
    input: str = "",
    offset: int | None = None,
    length: int | None = None,
    data: bytes | bytearray | memoryview = b"",
    read_at: int | None = None,
    image: Any = None,
    table_name: str = "",
) -> Reject:
    """Make a reject; ``data`` is cut at `MAX_DATA`, ``length`` is that of all of it unless given.

    ``image`` (a table image) lends its table, file, offset and time; the name of its table (``table_name``) is the item
    if there is none. What is given beside it wins.
    """
    if image is not None:
        table = image.table if table is None else table
        item = item or table_name
        input = input or image.input
        offset = image.offset if offset is None else offset
        read_at = image.read_at if read_at is None else read_at
    kept = bytes(data[:MAX_DATA])
    return Reject(meter, table, item, code, reason, input, offset, len(data) if length is None else length, kept, read_at)
