"""The rejects of a pass: a sequence of `Reject` that other libraries take as columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, overload

from ..errors import DecodeError
from ..image import table_name
from ..reject import FIELDS, Reject
from ..sinks import columns_stream

__all__ = ["MAX_KEPT_BYTES", "Rejects", "decode_error", "handler"]

MAX_KEPT_BYTES: Final = 64 << 20
"""At most about this much of the rejects of a pass is kept in memory; later ones are only counted."""

_ROW = 256
"""What a reject takes beside its bytes, about."""


class Rejects(Sequence[Reject]):
    """The rejects of a pass, in order. The first ones are kept, up to `MAX_KEPT_BYTES`; `total` counts all.

    Writing a result to a file (`Result.write`, ``osgp-fast decode -o``) keeps every one in the file of rejects.
    """

    def __init__(self, rejects: Iterable[Reject] = ()) -> None:
        self._kept: list[Reject] = []
        self._size = 0
        self.total = 0
        """All rejects of the pass, kept or not."""
        self.counts: dict[str, int] = {}
        """All rejects of the pass, kept or not, by code."""
        for reject in rejects:
            self.add(reject)

    def add(self, reject: Reject) -> None:
        """Take one, keep it if there is room."""
        self.total += 1
        self.counts[reject.code] = self.counts.get(reject.code, 0) + 1
        size = _ROW + len(reject.data) + len(reject.reason)
        if self._size + size <= MAX_KEPT_BYTES:
            self._size += size
            self._kept.append(reject)

    @overload
    def __getitem__(self, index: int) -> Reject: ...
    @overload
    def __getitem__(self, index: slice) -> list[Reject]: ...
    def __getitem__(self, index: int | slice) -> Reject | list[Reject]:
        return self._kept[index]

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        counts = ", ".join(f"{code} {n}" for code, n in sorted(self.counts.items()))
        return f"<{self.total} rejects{': ' + counts if counts else ''}>"

    def columns(self) -> dict[str, list[Any]]:
        """The kept rejects as columns of the ``rejects`` kind."""
        return columns_of(self._kept)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return columns_stream("rejects", iter([self.columns()]), plain=True).__arrow_c_stream__(requested_schema)


def columns_of(rejects: Sequence[Reject]) -> dict[str, list[Any]]:
    """Rejects as columns."""
    return {name: [getattr(r, name) for r in rejects] for name in FIELDS}


def decode_error(reject: Reject) -> DecodeError:
    """The exception of ``on_reject="raise"``."""
    where = [f"meter {reject.meter}"] if reject.meter is not None else []
    if reject.table is not None:
        where.append(table_name(reject.table))
    if reject.item and reject.item not in where:
        where.append(reject.item)
    if reject.offset is not None:
        where.append(f"offset {reject.offset}")
    if reject.input:
        where.append(reject.input)
    return DecodeError(
        reject.code,
        f"{', '.join(where)}: {reject.reason}" if where else reject.reason,
        meter=reject.meter,
        table=reject.table,
        item=reject.item,
        offset=reject.offset,
        input=reject.input,
        reject=reject,
    )


OnReject = Callable[[Reject], object]


def handler(on_reject: object, rejects: Rejects) -> OnReject:
    """What to do with a reject: keep it; then raise, or call the caller's function."""

    def take(reject: Reject) -> None:
        rejects.add(reject)
        if on_reject == "raise":
            raise decode_error(reject)
        if callable(on_reject):
            on_reject(reject)

    return take


def each(rows: Iterable[tuple[Any, ...]]) -> Iterator[Reject]:
    """Rejects from the compiled part's rows."""
    return (Reject.of_row(row) for row in rows)
