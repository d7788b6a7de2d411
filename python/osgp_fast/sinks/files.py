"""The files of a run: which there are, where they are written meanwhile, and how all of them appear at once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from .. import _impl
from ..columns import Column, columns
from ..errors import UsageError
from .arrow import arrow_schema, pyarrow, record_batch
from .text import csv_header, csv_lines, json_lines

__all__ = ["FORMATS", "SUFFIXES", "Sink", "format_of", "open_sink"]

Columns = dict[str, list[Any]]

FORMATS: Final = ("parquet", "arrow", "csv", "jsonl")
SUFFIXES: Final = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".ipc": "arrow",
    ".feather": "arrow",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
ROW_GROUP: Final = 1 << 20
"""Rows of a Parquet row group, about."""


def format_of(path: str, format: str | None = None) -> str:
    """The format of a file, by its suffix unless given. Raises: UsageError."""
    if format is not None:
        if format not in FORMATS:
            raise UsageError("usage.format", f"there is no format {format!r}", f"formats are {', '.join(FORMATS)}")
        return format
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            "usage.format",
            f"the suffix of {path} names no format",
            f"use {', '.join(SUFFIXES)}, name a format, or end a directory's name with /",
        )
    return SUFFIXES[suffix]


class Sink(Protocol):
    """The files of a run."""

    def write(self, kind: str, batch: Columns) -> None:
        """Append a batch to a kind, or to ``rejects``."""
        ...

    def finish(self) -> list[str]:
        """Close and rename all; returns the files, rejects last."""
        ...

    def abort(self) -> None:
        """Remove what was written so far."""
        ...


def open_sink(
    out: str,
    directory: bool,
    format: str,
    kinds: Sequence[str],
    *,
    split: int | None = None,
    shape: str = "long",
    delta: bool = False,
) -> Sink:
    """Open the files of a run: ``out/KIND.SUFFIX`` and ``out/rejects.SUFFIX``, or ``out`` and its ``.rejects``.

    Raises: UsageError, OSError, ImportError where a format needs a library that is not there.
    """
    if format in ("parquet", "arrow") and _impl.compiled():
        return _CoreSink(out, directory, format, kinds, split=split, shape=shape, delta=delta)
    return _Files(out, directory, format, kinds, split=split, shape=shape, delta=delta)


class _CoreSink:
    """The compiled writers, fed with Python columns."""

    def __init__(
        self,
        out: str,
        directory: bool,
        format: str,
        kinds: Sequence[str],
        *,
        split: int | None,
        shape: str,
        delta: bool,
    ) -> None:
        core = _impl.core()
        self._options = {"shape": shape, "delta": delta, "plain": True}
        self._batch = core.columns_batch
        self._sink = core.FileSink(out, directory, format, list(kinds), split=split, shape=shape, delta=delta)

    def write(self, kind: str, batch: Columns) -> None:
        self._sink.write(kind, self._batch(kind, batch, **self._options))

    def finish(self) -> list[str]:
        files: list[str] = self._sink.finish()
        return files

    def abort(self) -> None:
        self._sink.abort()


class _Writer(Protocol):
    def write(self, batch: Columns) -> None: ...
    def size(self) -> int: ...
    def close(self) -> None: ...


class _TextWriter:
    def __init__(self, path: Path, schema: Sequence[Column], format: str) -> None:
        self._file = path.open("x", encoding="utf-8", newline="", errors="replace")
        self._schema = schema
        self._lines = csv_lines if format == "csv" else json_lines
        if format == "csv":
            self._file.write(csv_header(schema))

    def write(self, batch: Columns) -> None:
        self._file.write(self._lines(self._schema, batch))

    def size(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


class _PyarrowWriter:
    """Gathers batches up to a row group, since a batch of one meter is small."""

    def __init__(self, path: Path, schema: Any, format: str) -> None:
        self._pa = pyarrow()
        self._schema = schema
        self._batches: list[Any] = []
        self._rows = 0
        self._file = path.open("xb")
        if format == "parquet":
            import pyarrow.parquet as pq

            self._writer = pq.ParquetWriter(self._file, schema, compression="zstd", compression_level=1)
        else:
            import pyarrow.ipc as ipc

            options = ipc.IpcWriteOptions(compression="zstd")
            self._writer = ipc.new_file(self._file, schema, options=options)

    def write(self, batch: Columns) -> None:
        made = record_batch(self._schema, batch)
        self._batches.append(made)
        self._rows += made.num_rows
        if self._rows >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            table = self._pa.Table.from_batches(self._batches, self._schema).combine_chunks()
            self._writer.write_table(table)
        self._batches.clear()
        self._rows = 0

    def size(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        try:
            self._flush()
            self._writer.close()
        finally:
            self._file.close()


class _Kind:
    """The file of a kind, or its files if it is split."""

    def __init__(self, base: Path, suffix: str, split: int | None, schema: Any, columns: Any, format: str) -> None:
        self.base, self.suffix, self.split = base, suffix, split
        self.schema, self.columns, self.format = schema, columns, format
        self.done: list[tuple[Path, Path]] = []
        self.writer: _Writer | None = None

    def _open(self) -> _Writer:
        number = f"-{len(self.done) + 1:04}" if self.split else ""
        final = self.base.with_name(f"{self.base.name}{number}{self.suffix}")
        beside = final.with_name(f".{final.name}.{os.getpid()}.part")
        beside.unlink(missing_ok=True)
        if self.format in ("csv", "jsonl"):
            writer: _Writer = _TextWriter(beside, self.columns, self.format)
        else:
            writer = _PyarrowWriter(beside, self.schema, self.format)
        self.done.append((beside, final))
        self.writer = writer
        return writer

    def write(self, batch: Columns) -> None:
        writer = self.writer or self._open()
        writer.write(batch)
        if self.split and writer.size() >= self.split:
            self.close()

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def finish(self) -> None:
        if not self.done:
            self._open()
        self.close()


class _Files:
    def __init__(
        self,
        out: str,
        directory: bool,
        format: str,
        kinds: Sequence[str],
        *,
        split: int | None,
        shape: str,
        delta: bool,
    ) -> None:
        self._made: Path | None = None
        path = Path(out)
        if directory:
            if not path.is_dir():
                path.mkdir(parents=True)
                self._made = path
            bases = {kind: (path / kind, f".{format}") for kind in (*kinds, "rejects")}
        else:
            suffix = path.suffix
            stem = path.with_name(path.stem)
            bases = {kinds[0]: (stem, suffix), "rejects": (path.with_name(f"{path.stem}.rejects"), suffix)}
        self._kinds: dict[str, _Kind] = {}
        for kind, (base, suffix) in bases.items():
            plain = columns(kind, "wide" if shape == "wide" else "long", delta)
            schema = None if format in ("csv", "jsonl") else arrow_schema(kind, shape, delta, plain=True)
            self._kinds[kind] = _Kind(base, suffix, None if kind == "rejects" else split, schema, plain, format)

    def write(self, kind: str, batch: Columns) -> None:
        self._kinds[kind].write(batch)

    def finish(self) -> list[str]:
        try:
            for kind in self._kinds.values():
                kind.finish()
            files = []
            for kind in self._kinds.values():
                for beside, final in kind.done:
                    beside.replace(final)
                    files.append(str(final))
            return files
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        for kind in self._kinds.values():
            with contextlib.suppress(OSError, ValueError):
                kind.close()
            for beside, _ in kind.done:
                beside.unlink(missing_ok=True)
        if self._made is not None:
            with contextlib.suppress(OSError):
                self._made.rmdir()
