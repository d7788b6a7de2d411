"""From Python columns to Arrow: by the compiled part, else by pyarrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from .. import _impl
from ..columns import columns

__all__ = ["arrow_schema", "columns_stream", "from_batches", "record_batch"]

Columns = dict[str, list[Any]]

_INSTALL: Final = "Arrow data need the compiled part of osgp-fast or pyarrow (pip install pyarrow)"


def pyarrow() -> Any:
    """The library. Raises: ImportError that says what to install."""
    try:
        import pyarrow as pa
    except ImportError:
        raise ImportError(_INSTALL) from None
    return pa


def arrow_type(pa: Any, name: str) -> Any:
    """The pyarrow type of a type's name."""
    match name:
        case "timestamp[us, UTC]":
            return pa.timestamp("us", "UTC")
        case "timestamp[us]":
            return pa.timestamp("us")
        case "list<int32>":
            return pa.list_(pa.field("item", pa.int32()))
        case "bool":
            return pa.bool_()
    return getattr(pa, name)()


def arrow_schema(kind: str, shape: str = "long", delta: bool = False, plain: bool = False) -> Any:
    """The pyarrow schema of a kind."""
    pa = pyarrow()
    return pa.schema(
        [
            pa.field(
                c.name,
                pa.dictionary(pa.int32(), pa.string()) if c.repeated and not plain else arrow_type(pa, c.type),
                c.nullable,
            )
            for c in columns(kind, "wide" if shape == "wide" else "long", delta)
        ]
    )


def record_batch(schema: Any, batch: Columns) -> Any:
    """A pyarrow record batch from Python columns."""
    pa = pyarrow()
    arrays = []
    for field in schema:
        values = batch[field.name]
        if pa.types.is_timestamp(field.type):
            arrays.append(pa.array(values, pa.int64()).cast(field.type))
        elif pa.types.is_dictionary(field.type):
            arrays.append(pa.array(values, pa.string()).dictionary_encode().cast(field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def columns_stream(
    kind: str, batches: Iterator[Columns], *, shape: str = "long", delta: bool = False, plain: bool = False
) -> Any:
    """An object with ``__arrow_c_stream__`` over batches of Python columns; it is consumed once."""
    if _impl.compiled():
        return _impl.core().ColumnsStream(kind, batches, shape=shape, delta=delta, plain=plain)
    schema = arrow_schema(kind, shape, delta, plain)
    return pyarrow().RecordBatchReader.from_batches(schema, (record_batch(schema, b) for b in batches))


def from_batches(
    kind: str, batches: Iterable[Any], *, shape: str = "long", delta: bool = False, plain: bool = False
) -> Any:
    """The same over batches that are Arrow already (``__arrow_c_array__``), as the compiled decoder gives them."""
    return _impl.core().ColumnsStream(kind, iter(batches), shape=shape, delta=delta, plain=plain)
