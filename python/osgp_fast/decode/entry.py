"""`decode` and `decode_load_profile`: the functions that callers start with."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from .. import _impl
from ..errors import UsageError

# What else is needed is loaded when it is used: `import osgp_fast` is to be quick.
if TYPE_CHECKING:
    from ..image import TableImage
    from ..reject import Reject
    from .job import Job
    from .result import Result

    Path = str | os.PathLike[str]
    OnReject = Literal["collect", "raise"] | Callable[[Reject], object]

__all__ = ["decode", "decode_images", "decode_load_profile"]


def decode(
    inputs: Path | Sequence[Path],
    *,
    what: str = "load_profile",
    shape: Literal["long", "wide"] = "long",
    delta: bool = False,
    meter: str | None = None,
    tz: str = "UTC",
    wrap: Literal["ppp", "slip"] | None = None,
    key: str | bytes | Sequence[str | bytes] | None = None,
    jobs: int | None = None,
    tmp: Path | None = None,
    skip_unreadable: bool = False,
    assume_defaults: bool = False,
    on_reject: OnReject = "collect",
) -> Result:
    """Decode captured tables into the columns of one kind.

    ``inputs``: directories and archives of ``METER/BT64.bin``, Parquet or Arrow files of table images, captures of a
    serial line, termineter's CSV; told apart by their content.
    ``what``: one of `columns.KINDS`, such as load_profile or registers. ``shape``: of the load profile, one row per
    interval and channel (long) or per interval (wide). ``delta``: add the growth over the interval.
    ``meter``: use this label for all that is found. ``tz``: zone of naive times in text logs. ``wrap``: how the line of
    a capture is stuffed. ``key``: keys of the MEP port as hex, to open captures of it.
    ``jobs``: threads, one per core unless given (the Python decoder uses one). ``tmp``: where scattered inputs are kept
    meanwhile. ``skip_unreadable``: an input that cannot be opened is a reject. ``assume_defaults``: decode data whose
    dimension tables were not captured with the guides' defaults.
    ``on_reject``: keep them in `Result.rejects`, raise a `DecodeError` at the first one, or call a function with each.

    Raises: InputError (an input cannot be opened), UsageError (arguments), ImportError (a library is missing).
    """
    from .job import make_job
    from .result import Result

    if not (on_reject in ("collect", "raise") or callable(on_reject)):
        raise UsageError("usage.on_reject", f"on_reject={on_reject!r}", 'give "collect", "raise" or a function')
    if not isinstance(what, str) or "," in what:
        raise UsageError(
            "usage.kind", "decode gives one kind", "call it once per kind, or use osgp-fast decode -o DIR/"
        )
    job = make_job(
        inputs,
        [what],
        shape=shape,
        delta=delta,
        meter=meter,
        tz=tz,
        wrap=wrap,
        key=key,
        jobs=jobs,
        tmp=tmp,
        skip_unreadable=skip_unreadable,
        assume_defaults=assume_defaults,
    )
    check(job)
    return Result(job, on_reject)


def check(job: Job) -> None:
    """Look whether the inputs can be opened. Raises: InputError, UsageError, ImportError."""
    from ..dumps import InputOptions, check_inputs

    check_inputs(job.inputs, InputOptions(tz=job.tz, skip_unreadable=job.skip_unreadable))


def decode_images(
    images: Sequence[TableImage],
    *,
    what: str = "load_profile",
    shape: Literal["long", "wide"] = "long",
    delta: bool = False,
    since: datetime | None = None,
    on_reject: OnReject = "collect",
) -> Result:
    """Decode table images that are in memory (`osgp_fast.image.TableImage`), as `decode` does those of a file.

    ``since``: intervals of the load profile that end later, and events that are later or have no time; a naive time is
    UTC. The other arguments are those of `decode`. Raises: UsageError; DecodeError when the rows are taken.
    """
    from .job import make_job
    from .memory import MemoryPass
    from .result import Result

    job = make_job("images", [what], shape=shape, delta=delta, jobs=1)
    return Result(job, on_reject, MemoryPass(tuple(images), job.kinds[0], job.shape, job.delta, since))


def decode_load_profile(
    images: Any,
    *,
    shape: Literal["long", "wide"] = "long",
    delta: bool = False,
    assume_defaults: bool = False,
    jobs: int = 1,
    on_reject: OnReject = "collect",
) -> Any:
    """Decode the load profile of table images in memory: any Arrow data with the columns meter, table and data.

    Made for engines that bring the images of one or more meters to a function, as Spark does:
    ``frame.groupBy("meter").applyInArrow(osgp_fast.decode_load_profile, schema)``. Strings are plain.

    Returns: a ``pyarrow.Table`` for pyarrow data, else an object that polars, pandas, pyarrow and duckdb take, with
    ``rejects``. Raises: InputError where columns are missing or of a wrong type; DecodeError.
    """
    from ..reject import Reject
    from .rejects import Rejects, handler
    from .result import Images
    from .schema import Schema

    if shape not in ("long", "wide") or (delta and shape == "wide"):
        raise UsageError(
            "usage.shape", f"shape={shape!r}, delta={delta}", "shapes are long and wide; wide has no delta"
        )
    rejects = Rejects()
    take = handler(on_reject, rejects)
    options = {"shape": shape, "delta": delta, "assume_defaults": assume_defaults}
    if _impl.implementation() == "rust":
        batches: list[Any] = []
        stream = _impl.core().decode_images(images, "load_profile", jobs=jobs, plain=True, **options)
        for batch in stream:
            for row in stream.take_rejects():
                take(Reject.of_row(row))
            batches.append(batch)
        for row in stream.take_rejects():
            take(Reject.of_row(row))
    else:
        batches = list(_python_images(images, take, options))
    result = Images("load_profile", batches, Schema.of("load_profile", shape=shape, delta=delta, plain=True), rejects)
    return result.to_arrow() if type(images).__module__.split(".")[0] == "pyarrow" else result


def _python_images(
    images: Any, take: Callable[[Reject], object], options: dict[str, Any]
) -> Iterator[dict[str, list[Any]]]:
    from ..dumps.index import Index, InputOptions
    from ..dumps.table_images import index_rows, rows_of_arrow

    needed = _impl.needed_tables(["load_profile"])
    with Index(InputOptions()) as index:
        index_rows(index, "images", rows_of_arrow(images))
        for reject in index.rejects:
            take(reject)
        for label, tables in index.meters(take, needed, needed):
            yield from _one_meter(label, tables, take, options)


def _one_meter(
    label: str, tables: Sequence[TableImage], take: Callable[[Reject], object], options: dict[str, Any]
) -> Iterator[dict[str, list[Any]]]:
    result = _impl.decode_meter(label, tables, ["load_profile"], **options)
    for reject in result.rejects:
        take(reject)
    yield from result.rows["load_profile"]
