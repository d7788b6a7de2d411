"""The table image: some bytes of one table of one meter, the one meeting point of live reads and captured data.

Left of it nobody knows what the bytes mean, right of it nobody knows where they came from. An image arrives whole or in
pieces; `join` puts the pieces of one read pass together and reports the pieces that contradict.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .reject import Reject

#: Added to the number of an extended (manufacturer) table on the wire. Source: Optical guide p. 8.
EXTENDED: Final = 2048
#: Added to the number of a pending table on the wire. Source: Optical guide p. 8.
PENDING: Final = 4096
#: Bytes of the PED, which stands before the data of a pending table. Source: Optical guide p. 10.
PED: Final = 6
#: One past the highest byte that a partial read can name: its offset is a UINT24, its count a UINT16 (Optical guide p. 10).
MAX_TABLE: Final = (1 << 24) + (1 << 16)

_NAME: Final = re.compile(r"(BT|ET)([0-9]{1,4})(\.pending)?", re.IGNORECASE | re.ASCII)


def ped_size(table: int) -> int:
    """How many bytes of PED stand before the data of a table."""
    return PED if table & PENDING else 0


def table_name(number: int) -> str:
    """``BT64``, ``ET21``, ``BT54.pending`` for a table number as sent on the wire."""
    pending = number & PENDING
    number &= ~PENDING
    kind, n = ("ET", number - EXTENDED) if number >= EXTENDED else ("BT", number)
    return f"{kind}{n:02}{'.pending' if pending else ''}"


def parse_table_name(name: str) -> int | None:
    """The number on the wire of ``BT64``, ``et21`` or ``BT54.pending``; None if it is no such name."""
    match = _NAME.fullmatch(name)
    if match is None or int(match[2]) >= EXTENDED:
        return None
    return int(match[2]) + (EXTENDED if match[1].upper() == "ET" else 0) + (PENDING if match[3] else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableImage:
    """Some bytes of one table of one meter, without the PED of a pending table.

    ``read_at`` is in microseconds since 1970-01-01 UTC; ``whole`` is True for a full read, False for a partial one and
    None where that is unknown; images of one ``session`` may be joined, a log-off starts the next; ``input`` and
    ``position`` say in which file its bytes stand, and where.
    """

    meter: str
    table: int
    offset: int = 0
    data: bytes | memoryview
    read_at: int | None = None
    whole: bool | None = None
    ped: bytes | None = None
    session: int = 0
    input: str = ""
    position: int | None = None


@dataclass(slots=True)
class Read:
    """One read of one table, its partial images joined: pieces in order of offset, neither overlapping nor adjacent."""

    table: int
    pieces: list[tuple[int, bytes | memoryview]]
    whole: bool
    read_at: int | None
    order: int
    session: int
    input: str
    ped: bytes | None

    def part(self, offset: int, size: int) -> tuple[int, bytes | memoryview] | None:
        """The bytes of ``offset .. offset + size`` that are there from the first one on, and where that one is."""
        end = offset + size
        i = bisect_right(self.pieces, offset, key=lambda piece: piece[0] + len(piece[1]))
        if i == len(self.pieces) or size == 0:
            return None
        start, data = self.pieces[i]
        if start >= end:
            return None
        begin = max(offset, start)
        return begin, data[begin - start : end - start]

    def get(self, offset: int, size: int) -> bytes | memoryview | None:
        """The bytes of ``offset .. offset + size`` if all of them are there."""
        found = self.part(offset, size)
        return found[1] if found is not None and len(found[1]) == size else None

    @property
    def end(self) -> int:
        """One past the last byte that is there."""
        return self.pieces[-1][0] + len(self.pieces[-1][1]) if self.pieces else 0


def join(meter: str, images: Iterable[tuple[int, TableImage]], rejects: list[Reject]) -> list[Read]:
    """Put the images of one meter and table together, one `Read` per read pass.

    A pass ends with the session, when an offset is read again, and when a partial read contradicts the full one before
    it, for then the meter went on. Pieces that overlap and disagree otherwise give the reject ``image.overlap``; the
    later bytes are used.
    """
    reads: list[Read] = []
    images_of_pass: list[tuple[int, TableImage]] = []
    for order, image in images:
        if image.offset < 0 or image.offset + len(image.data) > MAX_TABLE:
            rejects.append(
                Reject.of_image(
                    image,
                    code="image.offset",
                    reason=f"offset {image.offset} and {len(image.data)} bytes do not fit in a table: a partial read "
                    f"names at most {MAX_TABLE} bytes; check the offset column",
                    meter=meter,
                    data=bytes(image.data),
                )
            )
            continue
        if any(
            p.offset == image.offset or p.session != image.session or (p.whole and _differ(p, image))
            for _, p in images_of_pass
        ):
            reads.append(_finish(meter, images_of_pass, rejects))
            images_of_pass = []
        images_of_pass.append((order, image))
    if images_of_pass:
        reads.append(_finish(meter, images_of_pass, rejects))
    return reads


def _differ(a: TableImage, b: TableImage) -> bool:
    low = max(a.offset, b.offset)
    high = min(a.offset + len(a.data), b.offset + len(b.data))
    return low < high and a.data[low - a.offset : high - a.offset] != b.data[low - b.offset : high - b.offset]


def _finish(meter: str, images: list[tuple[int, TableImage]], rejects: list[Reject]) -> Read:
    order, first = images[0]
    pieces: list[tuple[int, bytes | memoryview]] = []
    for _, image in images:
        start, data = image.offset, image.data
        i = 0
        while i < len(pieces):
            s, d = pieces[i]
            e = s + len(d)
            if e < start or start + len(data) < s:
                i += 1
                continue
            low, high = max(s, start), min(e, start + len(data))
            if low < high and d[low - s : high - s] != data[low - start : high - start]:
                rejects.append(
                    Reject.of_image(
                        image,
                        code="image.overlap",
                        reason=f"bytes {low}..{high} of {table_name(image.table)} were read twice in one pass and "
                        "differ; the later ones are used; read the table again",
                        item=f"bytes {low}..{high}",
                        meter=meter,
                        data=bytes(d[low - s : high - s]),
                    )
                )
            del pieces[i]
            begin = min(s, start)
            joined = bytearray(max(e, start + len(data)) - begin)
            joined[s - begin : e - begin] = d
            joined[start - begin : start - begin + len(data)] = data
            start, data = begin, bytes(joined)
        pieces.append((start, data))
    pieces.sort(key=lambda piece: piece[0])
    return Read(
        table=first.table,
        pieces=pieces,
        whole=any(i.whole is True and i.offset == 0 for _, i in images),
        read_at=images[-1][1].read_at,
        order=order,
        session=first.session,
        input=first.input,
        ped=next((i.ped for _, i in reversed(images) if i.ped is not None), None),
    )
