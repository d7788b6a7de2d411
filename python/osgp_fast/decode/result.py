"""What a decode gives: columns, made anew each time somebody takes them."""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .. import _impl
from ..columns import columns
from ..errors import DecodeError
from ..reject import Reject
from ..sinks import columns_stream, format_of, from_batches, open_sink
from .job import Job
from .python_pass import PythonPass
from .rejects import Rejects, columns_of, handler
from .schema import Schema

__all__ = ["Images", "Result"]

Columns = dict[str, list[Any]]

_BINARY_TIMES = ("timestamp[us, UTC]", "timestamp[us]")


class _Stream(ABC):
    """What both kinds of result share: everything that is made of ``_open``."""

    schema: Schema
    """The columns, known without decoding."""

    @abstractmethod
    def _open(self, plain: bool) -> Any:
        """A new pass as an object with ``__arrow_c_stream__``."""

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Inside, an error of the library that takes the columns gives way to the one that caused it."""
        try:
            yield
        except DecodeError:
            raise
        except Exception as error:
            cause = self._cause()
            if cause is not None:
                raise cause from error
            raise

    def _cause(self) -> BaseException | None:
        return None

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._open(self.schema.plain).__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        return self.schema.__arrow_c_schema__()

    def to_arrow(self) -> Any:
        """All rows as a ``pyarrow.Table``. Raises: ImportError without pyarrow."""
        pa = _library("pyarrow", "pyarrow")
        with self._told():
            return pa.table(self)

    def to_polars(self) -> Any:
        """All rows as a ``polars.DataFrame``. Raises: ImportError without polars."""
        pl = _library("polars", "polars")
        with self._told():
            return pl.DataFrame(self)

    def to_pandas(self) -> Any:
        """All rows as a ``pandas.DataFrame``. Raises: ImportError without pandas and pyarrow."""
        _library("pandas", "pandas pyarrow")
        _library("pyarrow", "pandas pyarrow")
        return self.to_arrow().to_pandas()


def _library(name: str, install: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise ImportError(f"this needs {name}; pip install {install}") from None


class Result(_Stream):
    """The rows of one kind. Nothing is decoded until somebody takes them; each taking is a new pass over the inputs.

    polars, pandas, pyarrow and duckdb take it as it is (``pl.DataFrame(result)``, ``duckdb.sql("from result")``), in
    batches, so that memory is bounded by theirs; in streams the repeated strings are dictionary<int32, string>.
    """

    def __init__(
        self,
        job: Job,
        on_reject: str | Callable[[Reject], object] = "collect",
        memory: Callable[[Callable[[Reject], object]], Iterator[Columns]] | None = None,
    ) -> None:
        self._job = job
        self._on_reject = on_reject
        #: Instead of inputs: what makes the columns of a pass from images in memory, and tells its rejects.
        self._memory = memory
        self.kind = job.kinds[0]
        self.schema = Schema.of(self.kind, shape=job.shape, delta=job.delta)
        self._rejects: Rejects | None = None
        self._running: Any = None
        self._raised: BaseException | None = None

    def __repr__(self) -> str:
        return f"<osgp_fast.Result {self.kind} of {', '.join(self._job.inputs)}: {len(self.schema)} columns>"

    def _cause(self) -> BaseException | None:
        return self._raised

    # ---- passes

    def _start(self) -> Rejects:
        self._rejects = Rejects()
        self._running = self._raised = None
        return self._rejects

    def _python(self) -> Iterator[Columns]:
        take = handler(self._on_reject, self._start())
        try:
            yield from self._columns(take)
        except BaseException as error:
            self._raised = error
            raise

    def _columns(self, take: Callable[[Reject], object]) -> Iterator[Columns]:
        if self._memory is not None:
            return self._memory(take)
        return (batch for _, batch in PythonPass(self._job, take))

    @property
    def _streams(self) -> bool:
        """Whether the compiled decoder reads the inputs by itself."""
        return self._memory is None and _impl.implementation() == "rust"

    def _compiled(self, plain: bool) -> Iterator[Any]:
        """Batch by batch, for callers who want to hear of rejects as they are found."""
        rejects = self._start()
        take = handler(self._on_reject, rejects)
        stream = _impl.core().open_stream(
            list(self._job.inputs),
            self.kind,
            **self._job.core_options(),
            fail_on_reject=self._on_reject == "raise",
            plain=plain,
        )

        def told() -> None:
            for row in stream.take_rejects():
                take(Reject.of_row(row))

        try:
            while True:
                try:
                    batch = next(stream)
                except StopIteration:
                    told()
                    return
                except Exception:
                    told()
                    raise
                told()
                yield batch
        except GeneratorExit:
            raise
        except BaseException as error:
            self._raised = error
            raise
        finally:
            stream.close()

    def _batches(self, plain: bool) -> Iterator[Any]:
        """Batches of the chosen decoder: Python columns, or Arrow."""
        return self._compiled(plain) if self._streams else self._python()

    def _open(self, plain: bool) -> Any:
        job = self._job
        if not self._streams:
            return columns_stream(self.kind, self._python(), shape=job.shape, delta=job.delta, plain=plain)
        if self._on_reject == "collect":
            self._start()
            self._running = _impl.core().open_stream(list(job.inputs), self.kind, **job.core_options(), plain=plain)
            return self._running
        return from_batches(self.kind, self._compiled(plain), shape=job.shape, delta=job.delta, plain=plain)

    # ---- what callers use

    @property
    def rejects(self) -> Rejects:
        """What could not be decoded in the last pass, which is made now if there was none."""
        if self._rejects is None:
            for _ in self._batches(plain=False):
                pass
        assert self._rejects is not None
        if self._running is not None:
            for row in self._running.take_rejects():
                self._rejects.add(Reject.of_row(row))
        return self._rejects

    def batches(self) -> Iterator[Columns]:
        """Batch by batch a dict from column name to a list of Python values: times are microseconds, binary is bytes."""
        for batch in self._batches(plain=True):
            yield batch if isinstance(batch, dict) else batch.columns()

    def rows(self) -> Iterator[dict[str, Any]]:
        """Row by row a dict of Python values: times are ``datetime``, with time zone where they are UTC.

        Needs no other library, and takes about as long as Python takes to make the dicts.
        """
        schema = columns(self.kind, self._job.shape, self._job.delta)
        names = [c.name for c in schema]
        converters = [_to_datetime(c.type == "timestamp[us, UTC]") if c.type in _BINARY_TIMES else None for c in schema]
        for data in self.batches():
            values = [
                data[name] if convert is None else [None if v is None else convert(v) for v in data[name]]
                for name, convert in zip(names, converters, strict=True)
            ]
            for row in zip(*values, strict=True):
                yield dict(zip(names, row, strict=True))

    def write(self, path: str | os.PathLike[str], format: str | None = None, *, split: int | None = None) -> list[str]:
        """Write the rows to a file, whole or not at all, and the rejects beside it (``out.rejects.parquet``).

        ``format``: parquet, arrow, csv or jsonl, by the suffix unless given. ``split``: a new file ``out-0001.parquet``
        after about that many bytes. Returns: the files, rejects last.
        """
        job, out = self._job, os.fspath(path)
        format = format_of(out, format)
        if self._streams and self._on_reject == "collect":
            self._rejects = None
            summary = _impl.core().decode_files(
                list(job.inputs), [self.kind], out, False, format, split=split, **job.core_options()
            )
            return list(summary["files"])
        if self._streams:
            return self._write_batches(out, format, split)
        sink = open_sink(out, False, format, [self.kind], split=split, shape=job.shape, delta=job.delta)
        pending: list[Reject] = []
        take = handler(self._on_reject, self._start())

        def on_reject(reject: Reject) -> None:
            take(reject)
            pending.append(reject)

        try:
            for batch in self._columns(on_reject):
                sink.write(self.kind, batch)
                _write_rejects(sink, pending)
            _write_rejects(sink, pending)
            return sink.finish()
        except BaseException:
            sink.abort()
            raise

    def _write_batches(self, out: str, format: str, split: int | None) -> list[str]:
        """The compiled decoder with the caller's own handling of rejects."""
        job = self._job
        sink = _impl.core().FileSink(out, False, format, [self.kind], split=split, shape=job.shape, delta=job.delta)
        try:
            for batch in self._compiled(plain=True):
                sink.write(self.kind, batch)
            assert self._rejects is not None
            if len(self._rejects):
                sink.write("rejects", self._rejects)
            return list(sink.finish())
        except BaseException:
            sink.abort()
            raise


def _write_rejects(sink: Any, pending: list[Reject]) -> None:
    if pending:
        sink.write("rejects", columns_of(pending))
        pending.clear()


def _to_datetime(utc: bool) -> Callable[[int], Any]:
    import datetime as dt

    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC if utc else None)
    micro = dt.timedelta(microseconds=1)
    return lambda value: epoch + value * micro


class Images(_Stream):
    """The load profile of table images that a caller holds, decoded once, with plain strings."""

    def __init__(self, kind: str, batches: Iterable[Any], schema: Schema, rejects: Rejects) -> None:
        self.kind = kind
        self.schema = schema
        self.rejects = rejects
        """What could not be decoded."""
        self._kept = list(batches)

    def _open(self, plain: bool) -> Any:
        options = {"shape": self.schema.shape, "delta": self.schema.delta, "plain": plain}
        if self._kept and not isinstance(self._kept[0], dict):
            return from_batches(self.kind, self._kept, **options)  # type: ignore[arg-type]
        return columns_stream(self.kind, iter(self._kept), **options)  # type: ignore[arg-type]
