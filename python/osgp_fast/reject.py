"""A part of the input that could not be decoded: what, where, why and its bytes. The rest goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .image import TableImage

__all__ = ["FIELDS", "MAX_DATA", "Reject", "reject"]

MAX_DATA = 64 * 1024
"""At most this many bytes of a rejected part are kept (contract, "rejects")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """One row of the ``rejects`` kind; the fields stand in the order of its columns."""

    meter: str | None = None
    """The meter's label, if known."""
    table: int | None = None
    """The table's number on the wire, if it is about a table."""
    item: str = ""
    """Which block, entry, packet or file."""
    code: str
    """Stable name of the reason, such as ``profile.block_count``."""
    reason: str
    """Plain words: what is wrong and what to do."""
    input: str = ""
    """The file."""
    offset: int | None = None
    """Offset of ``data``: within the table where ``table`` is set, else within the file."""
    length: int = -1
    """Length of the whole part, of which ``data`` may be the start; that of ``data`` unless given."""
    data: bytes = b""
    """Its bytes, at most `MAX_DATA`: what is given beyond is cut."""
    read_at: int | None = None
    """When it was read, microseconds since 1970-01-01 UTC."""

    def __post_init__(self) -> None:
        data = self.data
        if self.length < 0:
            object.__setattr__(self, "length", len(data))
        if len(data) > MAX_DATA or not isinstance(data, bytes):
            object.__setattr__(self, "data", bytes(data[:MAX_DATA]))

    @classmethod
    def of_row(cls, row: tuple[Any, ...]) -> Reject:
        """A reject from its fields in their order."""
        return cls(**dict(zip(FIELDS, row, strict=True)))

    @classmethod
    def of_image(cls, image: TableImage, *, code: str, reason: str, item: str = "", **more: Any) -> Reject:
        """A reject about a table image: it lends its meter, table, file, offset and time; what is given wins."""
        from .image import table_name

        fields: dict[str, Any] = {
            "meter": image.meter,
            "table": image.table,
            "item": item or table_name(image.table),
            "input": image.input,
            "offset": image.offset,
            "read_at": image.read_at,
        }
        return cls(code=code, reason=reason, **{**fields, **more})


FIELDS = tuple(Reject.__dataclass_fields__)
"""The names of the columns, in order."""


def reject(code: str, reason: str, **fields: Any) -> Reject:
    """`Reject` with the code and the reason first."""
    return Reject(code=code, reason=reason, **fields)
