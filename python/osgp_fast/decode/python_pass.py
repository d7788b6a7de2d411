"""One pass of the Python decoder over inputs: meter by meter, a batch of columns at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .. import _impl
from ..image import TableImage
from ..reject import Reject
from .job import Job

__all__ = ["PythonPass"]

Columns = dict[str, list[Any]]
Progress = Callable[[int, int, int], object]

_CHANNELS = 1024
_ASSUMED = 1000


class PythonPass:
    """Iterate over it once for ``(kind, columns)``; rejects go to ``on_reject`` as they are found.

    Memory: one meter's tables and rows, and the index of the inputs. ``summary`` is what the compiled part's is.
    """

    def __init__(self, job: Job, on_reject: Callable[[Reject], object], progress: Progress | None = None) -> None:
        from ..dumps import InputOptions, open_inputs

        self._job = job
        self._on_reject = on_reject
        self._progress = progress
        self._channels: dict[tuple[int, int, int | None, str | None, str | None], int] = {}
        self.summary: dict[str, Any] = new_summary(job.kinds)
        # Loads the decoder, before anything is begun.
        self._needed = _impl.needed_tables(job.kinds)
        self._index = open_inputs(
            job.inputs,
            InputOptions(
                meter=job.meter,
                tz=job.tz,
                wrap=job.wrap,
                keys=job.keys,
                tmp=job.tmp,
                skip_unreadable=job.skip_unreadable,
            ),
        )

    def _reject(self, reject: Reject) -> None:
        counts = self.summary["rejects"]
        counts[reject.code] = counts.get(reject.code, 0) + 1
        self._on_reject(reject)

    def __iter__(self) -> Iterator[tuple[str, Columns]]:
        job, summary = self._job, self.summary
        needed = self._needed
        every = "meters" in job.kinds
        with self._index as index:
            total = len(index)
            for reject in index.rejects:
                self._reject(reject)
            counts = index.counts
            summary["skipped"].update(
                notes=counts.skipped_files,
                noise_bytes=counts.noise_bytes,
                repeated_packets=counts.repeated_packets,
                mep_messages=counts.mep_messages,
            )
            for label, images in index.meters(self._reject, None if every else needed, needed):
                yield from self._meter(label, images)
                if self._progress is not None:
                    self._progress(summary["meters"], total, summary["meters"])

    def _meter(self, label: str, images: Sequence[TableImage]) -> Iterator[tuple[str, Columns]]:
        job, summary = self._job, self.summary
        summary["meters"] += 1
        summary["bytes_read"] += sum(len(i.data) for i in images)
        result = _impl.decode_meter(
            label,
            images,
            job.kinds,
            shape=job.shape,
            delta=job.delta,
            assume_defaults=job.assume_defaults,
        )
        summary["skipped"]["tables_without_decoder"] += _impl.tables_without_decoder(images)
        if result.assumed and len(summary["assumed"]) < _ASSUMED:
            summary["assumed"].append(label)
        for reject in result.rejects:
            self._reject(reject)
        for kind, batches in result.rows.items():
            for columns in batches:
                self._count(kind, columns)
                yield kind, columns

    def _count(self, kind: str, columns: Columns) -> None:
        count(self.summary, self._channels, kind, columns)


def new_summary(kinds: Sequence[str]) -> dict[str, Any]:
    """A summary of nothing; see ``_core.Summary``."""
    return {
        "rows": dict.fromkeys(kinds, 0),
        "meters": 0,
        "bytes_read": 0,
        "time_spans": {},
        "channels": [],
        "rejects": {},
        "skipped": {
            "notes": 0,
            "tables_without_decoder": 0,
            "noise_bytes": 0,
            "repeated_packets": 0,
            "mep_messages": 0,
        },
        "assumed": [],
        "files": [],
    }


def count(
    summary: dict[str, Any],
    channels: dict[tuple[int, int, int | None, str | None, str | None], int],
    kind: str,
    columns: Columns,
) -> None:
    """Count a batch into a summary."""
    rows = len(next(iter(columns.values())))
    summary["rows"][kind] += rows
    times = columns.get({"load_profile": "interval_end", "events": "time"}.get(kind, ""), ())
    known = [t for t in times if t is not None]
    if known:
        low, high = min(known), max(known)
        old = summary["time_spans"].get(kind, (low, high))
        summary["time_spans"][kind] = (min(low, old[0]), max(high, old[1]))
    if kind == "load_profile" and "channel" in columns:
        names = ("data_set", "channel", "source", "quantity", "unit")
        for key in zip(*(columns[n] for n in names), strict=True):
            if key in channels or len(channels) < _CHANNELS:
                channels[key] = channels.get(key, 0) + 1
        summary["channels"] = sorted(
            ((*key, n) for key, n in channels.items()),
            key=lambda c: [(x is not None, x) for x in c],
        )
