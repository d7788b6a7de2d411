"""How long a table is whose own length says how it is laid out, where one message cannot hold it: ET21, ET52, ET53.

On the MEP port a message holds some 450 bytes, longer tables are read in parts, and a meter fills what lies behind their end
with zeros, so that reading does not tell where it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..catalog import TABLES
from .talk import Talk

if TYPE_CHECKING:
    from .store import Store

#: ET21 of four data sets, which alone do not fit: so many elements of 131 bytes, or of 130 (errata ET21).
_SETS: Final = 4
_ELEMENTS: Final = (131, 130)
#: ET53 (MEP guide p. 44).
_RESPONSES: Final = 1785


def own_size(store: Store, id: str) -> Talk[int | None]:
    """The length of a table that is sized by itself; None: nothing says so."""
    if id == "ET21":
        found = yield from store.access.read(TABLES[id].number, 0, _SETS * max(_ELEMENTS))
        return _SETS * element_size(found.data)
    if id == "ET52" and (yield from store.dimension("ET11")):
        size: int | None = store.value("ET11", "transaction_request_length")
        return size or None
    return _RESPONSES if id == "ET53" else None


def element_size(data: bytes) -> int:
    """Bytes of an element of ET21, by what its sizes say of each other: 131 as printed, or 130.

    In an element, 22 and 23 are offset and size of the simple status, 12 and 24 where the first interval starts, 28 the
    channels, 26 the bytes of an interval's status and 25 those of the interval (MEP guide p. 96).
    """

    def agrees(at: int) -> bool:
        status_at, status, first, interval, interval_status, _, channels = data[at + 22 : at + 29]
        header = int.from_bytes(data[at + 12 : at + 14], "little")
        sizes = interval_status == channels // 2 + 1 and interval == interval_status + 4 * channels
        return bool(channels) and sizes and status_at + status == header and first in (header, header & 0xFF)

    def agreeing(size: int) -> int:
        starts = range(size, _SETS * size, size)
        return sum(agrees(at) for at in starts if at + 29 <= len(data))

    return max(_ELEMENTS, key=agreeing)
