"""Any table of the catalogue: bytes to values and back, the same from both implementations."""

from __future__ import annotations

from random import Random

import pytest
from osgp_fast import _impl, decode_table, encode_table
from osgp_fast.catalog import TABLES
from osgp_fast.codec import Decoded, decode
from osgp_fast.layout import STAND_INS, MissingDimension, TableSet, resolve
from random_tables import meter, named, order, places, uses_size

SEEDS = range(5)
ALL = pytest.mark.parametrize("id", TABLES)


def python(id: str, data: bytes, tables: dict[str, bytes]) -> Decoded:
    return decode(TableSet({**tables, id: data}).layout(id), data, table=id)


def both(id: str, data: bytes, tables: dict[str, bytes]) -> Decoded:
    """What both implementations make of a table: the same, types and order of the rows included."""
    got = python(id, data, tables)
    if _impl.compiled():
        others = {TABLES[name].number: raw for name, raw in tables.items()}
        rust = Decoded(id, *_impl.core().decode_table(TABLES[id].number, data, others))
        assert repr(rust) == repr(got)
    return got


def test_no_two_tables_size_each_other() -> None:
    assert sorted(order()) == sorted(TABLES)


@ALL
def test_bytes_to_values_and_back(id: str) -> None:
    for seed in SEEDS:
        tables = meter(seed)
        data = tables[id]
        decoded = both(id, data, tables)
        assert (decoded.end, decoded.rest, decoded.short) == (len(data), b"", None)
        if decoded.missing is not None:
            continue
        assert encode_table(id, decoded.values, tables=tables, size=len(data)) == data
        # Where nothing but the values says how long a table is, what is nothing at its end is left out.
        without = encode_table(id, decoded.values, tables=tables)
        assert without == data if not uses_size(id) else data.startswith(without)


@ALL
def test_a_table_cut_short(id: str) -> None:
    for seed in SEEDS:
        tables = meter(seed)
        data = tables[id]
        cuts = range(len(data)) if len(data) < 40 else sorted(Random(seed).sample(range(len(data)), 40))
        layout = TableSet(tables).layout(id)
        for cut in cuts:
            decoded = both(id, data[:cut], tables)
            assert decoded.end <= cut
            if uses_size(id) or id in named(id):
                continue
            # Bytes that no row describes are missed by nobody.
            gone = [leaf.path for leaf, _, at in places(layout) if at + leaf.size > cut]
            assert (decoded.short is not None) == bool(gone)
            if decoded.short is not None:
                assert any(f"{path}.".startswith(f"{decoded.short[0]}.") for path in gone)
            assert decoded.missing == layout.missing


@ALL
def test_a_longer_table_keeps_its_rest(id: str) -> None:
    for seed in SEEDS:
        tables = meter(seed)
        data = tables[id] + b"\xa5\x5a\x01"
        decoded = both(id, data, tables)
        assert data.endswith(decoded.rest)
        assert decoded.end + len(decoded.rest) == len(data)
        if not uses_size(id):
            assert decoded.rest == b"\xa5\x5a\x01"
            assert decoded.values == python(id, tables[id], tables).values


@ALL
def test_without_a_dimension_table(id: str) -> None:
    for seed in SEEDS:
        tables = meter(seed)
        for gone in sorted(named(id) - {id}):
            less = {name: raw for name, raw in tables.items() if name not in (gone, STAND_INS.get(gone), id)}
            decoded = both(id, tables[id], less)
            assert decoded.missing == missed(id, {**less, id: tables[id]})


def missed(id: str, tables: dict[str, bytes]) -> str | None:
    """The table without which there is no whole layout."""
    dimensions = TableSet(tables)
    try:
        resolve(TABLES[id], len(tables[id]), dimensions, data=dimensions.reader(id))
    except MissingDimension as error:
        return None if error.table == id else error.table
    return None


@ALL
def test_bytes_of_any_kind(id: str) -> None:
    # Nothing agrees with anything: dimensions of all sizes, dates that do not exist, tables without end.
    random = Random(id)
    for _ in range(20):
        fill = random.choice((random.randbytes, lambda n: b"\xff" * n, lambda n: b"\0" * n))
        tables = {name: fill(random.randrange(200)) for name in TABLES}
        both(id, random.randbytes(random.randrange(300)), tables)
        both(id, tables[id], {})


@ALL
def test_the_face_decodes_like_the_codec(id: str) -> None:
    tables = meter(1)
    want = python(id, tables[id], tables)
    number = TABLES[id].number
    by_number = {TABLES[name].number: raw for name, raw in tables.items()}
    assert decode_table(id, tables[id], tables=tables) == want
    assert decode_table(number, memoryview(tables[id]), tables=by_number) == want
    assert decode_table(number + 4096, bytearray(tables[id]), tables=tables) == want
    assert decode_table(f"{id.lower()}.pending", tables[id], tables=tables) == want
