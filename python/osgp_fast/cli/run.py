"""A run of `decode` with whichever decoder was chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .. import _impl
from ..decode.job import Job
from ..decode.python_pass import PythonPass
from ..decode.rejects import columns_of
from ..reject import Reject
from ..sinks import open_sink

__all__ = ["Found", "summarize", "write"]

FIRST = 5
"""Rows of every kind that a summary shows."""
_REJECTS = 1000


@dataclass(slots=True)
class Found:
    """What a run did: ``_core.Summary``, and of a run without files the first rows and rejects."""

    summary: dict[str, Any]
    first: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)


Progress = Callable[[int, int, int], object]


def summarize(job: Job, progress: Progress) -> Found:
    """Decode without writing anything. Raises: InputError."""
    if _impl.implementation() == "rust":
        options = job.core_options()
        summary, first, rejects = _impl.core().summarize(
            list(job.inputs), list(job.kinds), first=FIRST, progress=progress, **options
        )
        return Found(dict(summary), first, [Reject.of_row(row) for row in rejects])
    found = Found({})

    def on_reject(reject: Reject) -> None:
        if len(found.rejects) < _REJECTS:
            found.rejects.append(reject)

    decoder = PythonPass(job, on_reject, progress)
    for kind, batch in decoder:
        head = found.first.setdefault(kind, {name: [] for name in batch})
        for name, values in batch.items():
            if len(head[name]) < FIRST:
                head[name].extend(values[: FIRST - len(head[name])])
    found.summary = decoder.summary
    return found


def write(job: Job, out: str, directory: bool, format: str, split: int | None, progress: Progress) -> Found:
    """Decode into files. Raises: InputError, OSError; then nothing is left behind."""
    if _impl.implementation() == "rust":
        summary = _impl.core().decode_files(
            list(job.inputs),
            list(job.kinds),
            out,
            directory,
            format,
            split=split,
            progress=progress,
            **job.core_options(),
        )
        return Found(dict(summary))
    pending: list[Reject] = []
    # Inputs are opened first: what cannot be opened must not cost a directory that is made for nothing.
    decoder = PythonPass(job, pending.append, progress)
    sink = open_sink(out, directory, format, job.kinds, split=split, shape=job.shape, delta=job.delta)
    try:
        for kind, batch in decoder:
            if pending:
                sink.write("rejects", columns_of(pending))
                pending.clear()
            sink.write(kind, batch)
        if pending:
            sink.write("rejects", columns_of(pending))
        decoder.summary["files"] = sink.finish()
    except BaseException:
        sink.abort()
        raise
    return Found(decoder.summary)
