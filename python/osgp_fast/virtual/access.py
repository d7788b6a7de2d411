"""Which key of the optical port may do what. Source: Optical guide p. 13, and the keys that it prints at the tables.

Where a table's own line says nothing, the rule of p. 13 holds: the Unique Key may everything, the Provisioning Key all but
keys, the Read-only Key may read. A table that the MEP guide marks as read-only is so here, too.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from ..catalog import TABLES


class Key(Enum):
    """Who has logged on."""

    NONE = ""
    MK = "MK"
    PK = "PK"
    RK = "RK"


_ALL: Final = frozenset({"MK", "PK", "RK"})
_WRITERS: Final = frozenset({"MK", "PK"})
#: Every key may call procedures; each has its own rule (p. 12; p. 60 of the MEP guide lets RK set the clock).
_CALL: Final = "BT07"


def _listed(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",")) & _ALL


def readers(id: str) -> frozenset[str] | None:
    """The keys that may read a table; None: anybody."""
    text = TABLES[id].optical_read
    if text == "Open":
        return None
    return _listed(text) if text else _ALL


def writers(id: str) -> frozenset[str]:
    """The keys that may write a table."""
    if id == _CALL:
        return _ALL
    table = TABLES[id]
    if table.optical_write:
        return _listed(table.optical_write)
    return frozenset() if table.write in ("None", "") else _WRITERS


def may_read(id: str, key: Key) -> bool:
    """Whether somebody with this key may read a table."""
    allowed = readers(id)
    return allowed is None or key.value in allowed


def may_write(id: str, key: Key) -> bool:
    """Whether somebody with this key may write a table."""
    return key.value in writers(id)


def may_ever_write(id: str) -> bool:
    """Whether there is a key that may."""
    return bool(writers(id))
