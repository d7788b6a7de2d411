"""What a run found, for people."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..columns import KINDS, columns
from ..decode.job import Job
from ..sinks.text import renderer
from ..units import human_count, human_size, rfc3339
from .run import Found
from .show import console, grid

__all__ = ["show", "show_written"]

_SKIPPED = {
    "notes": "files that are no tables (notes, .DS_Store and the like)",
    "tables_without_decoder": "tables that nothing here decodes yet",
    "noise_bytes": "bytes of noise on the line",
    "repeated_packets": "packets repeated correctly later",
    "mep_messages": "MEP messages: give their key with --key or OSGP_MEP_KEY",
}
_CODES = 20
_CHANNELS = 20
_CELL = 28


def show(job: Job, found: Found) -> None:
    """The summary of a run without files, on the standard output."""
    out = console()
    summary = found.summary
    out.print(
        f"[bold]{human_count(summary['meters'])}[/bold] meters, {human_size(summary['bytes_read'])} of tables in "
        + escape(", ".join(job.inputs))
    )
    kinds = grid("kind", "rows>", "from", "to")
    for kind in job.kinds:
        low, high = summary["time_spans"].get(kind, (None, None))
        kinds.add_row(
            kind,
            human_count(summary["rows"].get(kind, 0)),
            "" if low is None else rfc3339(low),
            "" if high is None else rfc3339(high),
        )
    out.print(kinds)
    if summary["channels"]:
        channels = grid("data_set>", "channel>", "source>", "quantity", "unit", "rows>", title="load profile channels")
        for data_set, channel, source, quantity, unit, rows in summary["channels"][:_CHANNELS]:
            channels.add_row(
                str(data_set),
                str(channel),
                "" if source is None else str(source),
                quantity or "",
                unit or "",
                human_count(rows),
            )
        out.print(channels)
        if len(summary["channels"]) > _CHANNELS:
            out.print(f"… and {len(summary['channels']) - _CHANNELS} more kinds of channel")
    for kind in job.kinds:
        if summary["rows"].get(kind) and kind in found.first:
            out.print(_head(job, kind, found.first[kind]))
    _rejects(out, found)
    _told(out, summary)


def show_written(found: Found) -> None:
    """The files of a run and what was left out, on the standard error stream."""
    out = console(sys.stderr)
    summary = found.summary
    rows = ", ".join(f"{human_count(summary['rows'][kind])} {kind}" for kind in KINDS if kind in summary["rows"])
    out.print(f"{human_count(summary['meters'])} meters: {rows}")
    for file in summary["files"]:
        out.print(f"  {escape(file)}")
    _rejects(out, found)
    _told(out, summary)


def _head(job: Job, kind: str, first: dict[str, list[Any]]) -> Table:
    schema = columns(kind, job.shape, job.delta)
    # Columns without a value in the first rows would only take room.
    shown = [c for c in schema if any(v is not None for v in first.get(c.name, ()))]
    table = grid(*(c.name + (">" if c.type.startswith("int") else "") for c in shown), title=f"{kind}: the first rows")
    for row in zip(*(first[c.name] for c in shown), strict=True):
        cells = ("" if v is None else renderer(c.type)(v) for c, v in zip(shown, row, strict=True))
        table.add_row(*(escape(v if len(v) <= _CELL else v[: _CELL - 1] + "…") for v in cells))
    return table


def _rejects(out: Console, found: Found) -> None:
    counts = found.summary["rejects"]
    if not counts:
        out.print("no rejects")
        return
    reasons: dict[str, str] = {}
    for reject in found.rejects:
        reasons.setdefault(reject.code, reject.reason)
    table = grid(
        "code", "count>", *(["the first one"] if reasons else []), title=f"{human_count(sum(counts.values()))} rejects"
    )
    for code, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_CODES]:
        table.add_row(code, human_count(count), *([escape(reasons.get(code, ""))] if reasons else []))
    out.print(table)
    if len(counts) > _CODES:
        out.print(f"… and {len(counts) - _CODES} more codes")


def _told(out: Console, summary: dict[str, Any]) -> None:
    for key, count in summary["skipped"].items():
        if count:
            out.print(f"skipped: {human_count(count)} {_SKIPPED.get(key, key)}")
    if assumed := summary["assumed"]:
        names = ", ".join(assumed[:10])
        more = f" and {len(assumed) - 10} more" if len(assumed) > 10 else ""
        out.print(f"decoded with the guides' defaults: {escape(names)}{more}")
