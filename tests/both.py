"""Decode one meter's tables with either implementation, as plain rows, so that a test can hold both to the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import pytest
from osgp_fast import _impl
from osgp_fast.columns import columns
from osgp_fast.image import TableImage
from osgp_fast.records import Options, decode_meter
from osgp_fast.reject import Reject

Row = dict[str, Any]

#: Both implementations; Rust is left out only where the compiled part is not there at all (the pure wheel).
IMPLEMENTATIONS = ["python", pytest.param("rust", marks=pytest.mark.skipif(not _impl.compiled(), reason="pure wheel"))]


def images(tables: Mapping[int, bytes], **more: Any) -> list[TableImage]:
    """Whole tables of one dump."""
    return [TableImage(meter="m", table=t, data=data, whole=True, **more) for t, data in tables.items()]


def decode(
    implementation: str,
    of: Sequence[TableImage] | Mapping[int, bytes],
    kind: str = "load_profile",
    *,
    shape: str = "long",
    delta: bool = False,
    assume_defaults: bool = False,
) -> tuple[list[Row], list[Reject]]:
    """Rows and rejects of one kind of the meter ``m``."""
    tables = images(of) if isinstance(of, Mapping) else list(of)
    if implementation == "rust":
        return _rust(tables, kind, shape, delta, assume_defaults)
    result = decode_meter("m", tables, [kind], Options(shape=shape, delta=delta, assume_defaults=assume_defaults))
    names = [c.name for c in columns(kind, shape, delta)]  # type: ignore[arg-type]
    rows = []
    for batch in result.rows[kind]:
        assert list(batch) == names
        rows += [dict(zip(names, row, strict=True)) for row in zip(*batch.values(), strict=True)]
    return rows, result.rejects


def _rust(
    tables: list[TableImage], kind: str, shape: str, delta: bool, assume_defaults: bool
) -> tuple[list[Row], list[Reject]]:
    core = _impl.core()
    tuples = [
        (i.table, i.offset, bytes(i.data), i.read_at, i.whole, i.ped, i.session, i.input, i.position) for i in tables
    ]
    batches, rejects = core.decode_meter("m", tuples, kind, shape=shape, delta=delta, assume_defaults=assume_defaults)
    rows = []
    for batch in batches:
        names = list(batch)
        rows += [dict(zip(names, row, strict=True)) for row in zip(*batch.values(), strict=True)]
    names = [f.name for f in fields(Reject)]
    return rows, [Reject(**dict(zip(names, r, strict=True))) for r in rejects]
