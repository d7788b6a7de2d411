"""One pass over table images in memory: meter by meter, in the order in which they appear."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from .. import _impl
from ..reject import Reject

if TYPE_CHECKING:
    from ..image import TableImage

__all__ = ["MemoryPass"]

Columns = dict[str, list[Any]]

#: The column that ``since`` looks at.
TIMES: Final = {"load_profile": "interval_end", "events": "time"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class MemoryPass:
    """Images of any meters, and what to make of them. Called anew for every pass."""

    images: Sequence[TableImage]
    kind: str
    shape: str = "long"
    delta: bool = False
    since: datetime | None = None

    def __call__(self, take: Callable[[Reject], object]) -> Iterator[Columns]:
        """The columns; rejects go to ``take``."""
        meters: dict[str, list[TableImage]] = {}
        for image in self.images:
            meters.setdefault(image.meter, []).append(image)
        for label, images in meters.items():
            batches, rejects = _impl.decode_together(label, images, self.kind, shape=self.shape, delta=self.delta)
            for reject in rejects:
                take(reject)
            for batch in batches:
                if (kept := self._later(batch)) is not None:
                    yield kept

    def _later(self, batch: Columns) -> Columns | None:
        column = TIMES.get(self.kind)
        if self.since is None or column is None:
            return batch
        since = self.since if self.since.tzinfo is not None else self.since.replace(tzinfo=UTC)
        bound = (since - _EPOCH) // timedelta(microseconds=1)
        keep = [time is None or time > bound for time in batch[column]]
        if not any(keep):
            return None
        return {
            name: [value for value, kept in zip(values, keep, strict=True) if kept] for name, values in batch.items()
        }
