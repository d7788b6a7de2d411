"""Which key may do what. Sources: Optical guide p. 13, MEP guide p. 13, and the keys that both print at the tables.

Optical port: where a table's own line says nothing, the rule of p. 13 holds: the Unique Key may everything, the Provisioning
Key all but keys, the Read-only Key may read. A table that the MEP guide marks as read-only is so here, too.

MEP port: both keys read every table, and write what the table's line says.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from ..catalog import PROCEDURES, TABLES


class Key(Enum):
    """Who asks: the key of a log-on, or the one that signs a request on the MEP port."""

    NONE = ""
    MK = "MK"
    PK = "PK"
    RK = "RK"
    MAK = "MAK"
    MBK = "MBK"


#: The keys of the MEP port.
MEP_KEYS: Final = frozenset({Key.MAK, Key.MBK})
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
    if key in MEP_KEYS:
        return True
    allowed = readers(id)
    return allowed is None or key.value in allowed


def may_write(id: str, key: Key) -> bool:
    """Whether somebody with this key may write a table."""
    return key.value in (mep_writers(id) if key in MEP_KEYS else writers(id))


def may_ever_write(id: str, key: Key = Key.MK) -> bool:
    """Whether there is a key that may, on the port that this one belongs to."""
    return bool(mep_writers(id) if key in MEP_KEYS else writers(id))


def mep_writers(id: str) -> frozenset[str]:
    """The keys of the MEP port that may write a table."""
    return frozenset(part.strip() for part in TABLES[id].write.split(",")) & {key.value for key in MEP_KEYS}


def mep_callers(id: str) -> frozenset[str]:
    """The keys of the MEP port that may call a procedure; MAK nearly all (MEP guide p. 13)."""
    known = PROCEDURES.get(id)
    if known is None:
        return frozenset({Key.MAK.value})
    return frozenset(part.strip() for part in known.write.split(",")) & {key.value for key in MEP_KEYS}
