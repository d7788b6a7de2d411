"""Parquet and Arrow IPC with the columns of the table image: at least meter, table, data.

Any integer type that fits, any string or binary type, naive times are UTC. Read by the compiled part, else by pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from .. import _impl
from ..errors import InputError
from ..reject import Reject
from .index import Index, Stored

__all__ = ["Row", "check_table_images", "index_rows", "index_table_images", "rows_of_arrow"]

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


def _wrong(path: str, message: str, hint: str = "") -> InputError:
    return InputError("input.columns", f"{path}: {message}", hint, path=path)


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
        "meter": (text, "a string"),
        "table": (integer, "an integer"),
        "offset": (integer, "an integer"),
        "data": (text, "binary"),
        "read_at": (lambda t: types.is_timestamp(t) or types.is_null(t), "a timestamp"),
        "whole": (lambda t: types.is_boolean(t) or types.is_null(t), "a bool"),
        "ped": (lambda t: text(t) or types.is_null(t), "binary"),
    }
    missing = [name for name in ("meter", "table", "data") if name not in schema.names]
    if missing:
        raise _wrong(
            path,
            f"no column {', '.join(missing)}; there are {', '.join(schema.names) or 'none'}",
            "table images have at least the columns meter, table and data",
        )
    columns = [name for name in wanted if name in schema.names]
    for name in columns:
        if len(schema.get_all_field_indices(name)) > 1:
            raise _wrong(path, f"several columns are called {name}")
        check, words = wanted[name]
        if not check(schema.field(name).type):
            raise _wrong(path, f"column {name} is {schema.field(name).type}, not {words}")
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
    words = "Parquet" if format == "parquet" else "Arrow IPC"
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(
        "input.unreadable",
        f"{path} is {words} that cannot be read: {first}",
        "it is probably cut short; copy it again",
        path=path,
    )


def check_table_images(path: str, format: str) -> None:
    """Look at the schema only. Raises: InputError, ImportError."""
    if not _impl.compiled():
        _check_schema(path, _open(path, format)[0])


def index_table_images(index: Index, path: str, format: str) -> int:
    """Keep the table images of a file; returns how many. Raises: InputError, ImportError."""
    if _impl.compiled():
        return index_compiled(index, path)
    schema, batches = _open(path, format)
    columns = _check_schema(path, schema)

    def rows() -> Iterator[Row]:
        try:
            for batch in batches(columns):
                yield from _rows(batch)
        except (_pyarrow().ArrowException, OSError) as error:
            raise _broken(path, format, error) from None

    return index_rows(index, path, rows())


def index_compiled(index: Index, path: str) -> int:
    """Keep the table images that the compiled readers find in an input."""
    reader = _impl.core().read_images([path], tmp=index.options.tmp)
    sessions: dict[int, int] = {}
    count = 0
    for label, images in reader:
        for table, offset, data, read_at, whole, ped, session, input, position in images:
            if session not in sessions:
                sessions[session] = index.session()
            where = index.spool.add(data)
            index.add(
                label,
                Stored(table, sessions[session], input, index.spool, where, offset, read_at, whole, ped, position),
            )
            count += 1
    for row in reader.take_rejects():
        index.reject(Reject.of_row(row))
    index.counts.skipped_files += reader.notes_skipped
    return count


def index_rows(index: Index, path: str, rows: Iterable[Row]) -> int:
    """Keep rows of table images; returns how many."""
    session = index.session()
    count = 0
    for number, row in enumerate(rows):
        wrong = (
            ("image.meter", "no meter; give every row the meter's label")
            if row.meter is None
            else ("image.table", "no table number; give every row the number sent on the wire")
            if row.table is None
            else ("image.table", f"table {row.table} is not a table's number (0 to 8191)")
            if not -(1 << 31) <= row.table < 1 << 31
            else ("image.data", "no data; give every row the bytes of the table, empty if none were read")
            if row.data is None
            else None
        )
        if wrong is not None:
            index.reject(
                Reject(
                    meter=row.meter,
                    item=f"row {number}",
                    code=wrong[0],
                    reason=wrong[1],
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
        count += 1
    return count
