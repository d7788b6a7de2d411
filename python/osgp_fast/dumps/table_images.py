"""Parquet and Arrow IPC with the columns of the table image: at least meter, table, data.

Any integer type that fits, any string or binary type, naive times are UTC. Read by the compiled part, else by pyarrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from .. import _impl
from ..errors import InputError
from ..reject import Reject
from .index import Index, Stored

__all__ = ["Row", "check_table_images", "index_rows", "open_compiled", "open_table_images", "rows_of_arrow"]

_BATCH: Final = 256
"""Rows taken at a time: a table image may be 16 MB, but few are more than some kB."""
_INSTALL: Final = "reading Parquet and Arrow IPC needs the compiled part of osgp-fast or pyarrow (pip install pyarrow)"


class Row(NamedTuple):
    """A row of table images as any reader gives it."""

    meter: str | None
    table: int | None
    offset: int | None
    data: bytes | None
    read_at: int | None
    whole: bool | None
    ped: bytes | None


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise ImportError(_INSTALL) from None
    return pyarrow


def _wrong(path: str, message: str) -> InputError:
    return InputError("input.columns", f"{path}: {message}", path=path, detail=message)


def _check_schema(path: str, schema: Any) -> list[str]:
    """The columns to read of an Arrow schema. Raises: InputError that names what is missing or of a wrong type."""
    types = _pyarrow().types

    def text(t: Any) -> bool:
        if types.is_dictionary(t):
            t = t.value_type
        return bool(
            types.is_string(t)
            or types.is_large_string(t)
            or types.is_binary(t)
            or types.is_large_binary(t)
            or types.is_fixed_size_binary(t)
            or str(t) in ("string_view", "binary_view")
        )

    def integer(t: Any) -> bool:
        return bool(types.is_integer(t.value_type if types.is_dictionary(t) else t))

    wanted = {
        "meter": (text, "strings"),
        "table": (integer, "integers"),
        "data": (text, "binary"),
        "offset": (integer, "integers"),
        "read_at": (types.is_timestamp, "timestamps"),
        "whole": (types.is_boolean, "booleans"),
        "ped": (text, "binary"),
    }
    missing = [name for name in ("meter", "table", "data") if name not in schema.names]
    if missing:
        raise _wrong(
            path,
            f"not table images: no column {', '.join(missing)} (it has: {', '.join(schema.names[:20])}); table images "
            "have at least meter, table and data",
        )
    columns = [name for name in wanted if name in schema.names]
    for name in columns:
        if len(schema.get_all_field_indices(name)) > 1:
            raise _wrong(path, f"several columns are called {name}")
        check, words = wanted[name]
        type = schema.field(name).type
        if not (check(type) or types.is_null(type)):
            raise _wrong(path, f"not table images: column {name} is of type {type}; table images have {words} there")
    return columns


def _rows(batch: Any) -> Iterator[Row]:
    """The rows of a pyarrow record batch or table that was checked."""
    pa = _pyarrow()
    n = batch.num_rows
    values: dict[str, list[Any]] = {}
    for name in Row._fields:
        if name not in batch.schema.names:
            values[name] = [0 if name == "offset" else None] * n
            continue
        column = batch.column(batch.schema.names.index(name))
        if pa.types.is_timestamp(column.type):
            # Naive times are UTC; nanoseconds are cut to microseconds.
            column = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
        values[name] = column.to_pylist()
    for meter, table, offset, data, read_at, whole, ped in zip(*(values[name] for name in Row._fields), strict=True):
        yield Row(
            meter.decode("utf-8", "replace") if isinstance(meter, bytes) else meter,
            table,
            offset,
            data.encode() if isinstance(data, str) else data,
            read_at,
            whole,
            ped.encode() if isinstance(ped, str) else ped,
        )


def rows_of_arrow(images: Any) -> Iterator[Row]:
    """The rows of any Arrow object (stream or array capsules). Raises: InputError, ImportError without pyarrow."""
    pa = _pyarrow()
    if hasattr(images, "__arrow_c_stream__"):
        reader = pa.RecordBatchReader.from_stream(images)
    elif hasattr(images, "__arrow_c_array__"):
        batch = pa.record_batch(images)
        reader = pa.RecordBatchReader.from_batches(batch.schema, [batch])
    else:
        raise InputError(
            "input.columns",
            f"{type(images).__name__} holds no Arrow data",
            "pass a table or record batch with the columns meter, table and data (pyarrow, polars, pandas 2.2, duckdb)",
        )
    columns = _check_schema("images", reader.schema)
    for batch in reader:
        yield from _rows(batch.select(columns))


def _open(path: str, format: str) -> tuple[Any, Any]:
    """The schema of a file and its batches. Raises: InputError."""
    pa = _pyarrow()
    try:
        if format == "parquet":
            import pyarrow.parquet as pq

            file = pq.ParquetFile(path)
            return file.schema_arrow, lambda columns: file.iter_batches(
                batch_size=_BATCH, columns=columns, use_threads=False
            )
        import pyarrow.ipc as ipc

        source = pa.memory_map(path)
        if format == "arrow_file":
            reader = ipc.open_file(source)
            return reader.schema, lambda columns: (
                reader.get_batch(i).select(columns) for i in range(reader.num_record_batches)
            )
        stream = ipc.open_stream(source)
        return stream.schema, lambda columns: (batch.select(columns) for batch in stream)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _broken(path, format, error) from None


def _broken(path: str, format: str, error: Exception) -> InputError:
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    message = f"cannot be read, it is cut short or broken: {first}"
    return InputError("input.unreadable", f"{path}: {message}", path=path, detail=message)


def check_table_images(path: str, format: str) -> None:
    """Look at the schema only. Raises: InputError, ImportError."""
    if not _impl.compiled():
        _check_schema(path, _open(path, format)[0])


def open_table_images(index: Index, path: str, format: str) -> Callable[[], None]:
    """Open a file; what it returns keeps its table images. Raises: InputError, ImportError."""
    if _impl.compiled():
        return open_compiled(index, path)
    schema, batches = _open(path, format)
    columns = _check_schema(path, schema)

    def rows() -> Iterator[Row]:
        done = 0
        try:
            for batch in batches(columns):
                yield from _rows(batch)
                done += batch.num_rows
        except (_pyarrow().ArrowException, OSError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            index.reject(
                Reject(
                    code="input.damaged",
                    reason=f"damaged after row {done}: {first}; what stands before is decoded; copy the file again",
                    item=f"row {done}",
                    input=path,
                )
            )

    return lambda: index_rows(index, path, rows())


def open_compiled(index: Index, path: str) -> Callable[[], None]:
    """Open an input with the compiled readers; what it returns keeps its table images. Raises: InputError."""
    reader = _impl.core().read_images([path], tmp=index.options.tmp)
    return lambda: _index_compiled(index, reader)


def _index_compiled(index: Index, reader: Any) -> None:
    sessions: dict[int, int] = {}
    for label, images in reader:
        for table, offset, data, read_at, whole, ped, session, input, position in images:
            if session not in sessions:
                sessions[session] = index.session()
            where = index.spool.add(data)
            index.add(
                label,
                Stored(table, sessions[session], input, index.spool, where, offset, read_at, whole, ped, position),
            )
    for row in reader.take_rejects():
        index.reject(Reject.of_row(row))
    index.counts.skipped_files += reader.notes_skipped


def index_rows(index: Index, path: str, rows: Iterable[Row]) -> None:
    """Keep rows of table images."""
    session = index.session()
    for number, row in enumerate(rows):
        problem = _problem(row)
        if problem is not None:
            index.reject(
                Reject(
                    meter=row.meter,
                    item=f"row {number}",
                    code=problem[0],
                    reason=problem[1],
                    input=path,
                    data=row.data or b"",
                    read_at=row.read_at,
                )
            )
            continue
        assert row.meter is not None
        assert row.table is not None
        assert row.data is not None
        where = index.spool.add(row.data)
        index.add(
            row.meter,
            Stored(row.table, session, path, index.spool, where, row.offset or 0, row.read_at, row.whole, row.ped),
        )


def _problem(row: Row) -> tuple[str, str] | None:
    """Why a row is no table image: code and reason; None if it is one."""
    if row.meter is None:
        return "image.meter", "no meter; give every row the meter's label"
    if row.table is None or row.table >= 1 << 63:
        return "image.table", "no table number; give every row the number sent on the wire"
    if not -(1 << 31) <= row.table < 1 << 31:
        return "image.table", f"table {row.table} is not a table's number (0 to 8191)"
    if row.data is None:
        return "image.data", "no data; give every row the bytes of the table, empty if none were read"
    return None
