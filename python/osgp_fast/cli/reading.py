"""Rows of a live meter, kind by kind, into the files and the summary that `decode` makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from .. import _impl
from ..columns import KINDS
from ..decode import Result, decode_images
from ..decode.job import Job
from ..decode.rejects import columns_of
from ..meter import Meter
from ..reject import Reject
from ..session.refusals import Refused
from ..sinks import Sink
from .live import Bytes, say
from .run import FIRST, Found

__all__ = ["QUICK", "SNAPSHOTS", "Reading"]

#: What is read where nobody says what: all but the load profile, which takes minutes.
QUICK: Final = tuple(kind for kind in KINDS if kind != "load_profile")
SNAPSHOTS: Final = ("current", "self_read", "previous_season", "previous_demand_reset")
#: The column of time of the kinds that have one.
_TIMES: Final = {"load_profile": "interval_end", "events": "time"}

Columns = dict[str, list[Any]]


@dataclass
class Reading:
    """What was read so far, decoded."""

    job: Job
    since: datetime | None = None
    batches: dict[str, list[Columns]] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Kinds that the meter did not give."""

    def read(self, meter: Meter, progress: Bytes) -> None:
        """Read one kind after another; what came of one that fails is kept, too."""
        meter.progress = progress.update
        for kind in sorted(self.job.kinds, key=lambda kind: kind == "load_profile"):  # the long one last
            progress.start(kind)
            try:
                self._take(self._ask(meter, kind))
            except Refused as error:
                say(f"{kind}: {error}")
                self.refused.append(kind)
            except BaseException:
                self.salvage(meter, kind)
                raise

    def _ask(self, meter: Meter, kind: str) -> Result:
        options: dict[str, Any] = {}
        if kind == "load_profile":
            options = {"since": self.since, "delta": self.job.delta, "shape": self.job.shape}
        elif kind == "events":
            options = {"since": self.since}
        elif kind == "registers":
            options = {"snapshots": SNAPSHOTS}
        return meter.read_rows(kind, **options)

    def _take(self, result: Result) -> None:
        self.batches[result.kind] = list(result.batches())
        self.rejects += result.rejects

    def salvage(self, meter: Meter, kind: str) -> None:
        """Decode what came of a kind that was not read to its end."""
        needed = _impl.needed_tables([kind])
        images = [image for image in meter.images if image.table in needed]
        if images:
            self._take(decode_images(images, what=kind, shape=self.job.shape, delta=self.job.delta, since=self.since))

    # ---- what becomes of it

    def write(self, sink: Sink) -> Found:
        """Into files, whole or not at all."""
        try:
            for kind, batches in self.batches.items():
                for batch in batches:
                    sink.write(kind, batch)
            if self.rejects:
                sink.write("rejects", columns_of(self.rejects))
            found = self.found(0)
            found.summary["files"] = sink.finish()
        except BaseException:
            sink.abort()
            raise
        return found

    def found(self, received: int) -> Found:
        """The summary that a decode would give."""
        counts: dict[str, int] = {}
        for reject in self.rejects:
            counts[reject.code] = counts.get(reject.code, 0) + 1
        meters = {m for batches in self.batches.values() for batch in batches for m in batch["meter"]}
        found = Found(
            {
                "meters": len(meters),
                "bytes_read": received,
                "rows": {kind: sum(len(b["meter"]) for b in batches) for kind, batches in self.batches.items()},
                "time_spans": self._spans(),
                "channels": self._channels(),
                "rejects": counts,
                "skipped": {},
                "assumed": [],
            },
            rejects=self.rejects,
        )
        for kind, batches in self.batches.items():
            head = found.first[kind] = {name: [] for name in batches[0]} if batches else {}
            for batch in batches:
                for name, values in batch.items():
                    head[name].extend(values[: FIRST - len(head[name])])
        return found

    def _spans(self) -> dict[str, tuple[int, int]]:
        spans = {}
        for kind, column in _TIMES.items():
            times = [t for batch in self.batches.get(kind, ()) for t in batch[column] if t is not None]
            if times:
                spans[kind] = (min(times), max(times))
        return spans

    def _channels(self) -> Sequence[tuple[Any, ...]]:
        if self.job.shape != "long":
            return []
        names = ("data_set", "channel", "source", "quantity", "unit")
        counts: dict[tuple[Any, ...], int] = {}
        for batch in self.batches.get("load_profile", ()):
            for channel in zip(*(batch[name] for name in names), strict=True):
                counts[channel] = counts.get(channel, 0) + 1
        return [(*channel, rows) for channel, rows in sorted(counts.items(), key=lambda item: item[0][:2])]
