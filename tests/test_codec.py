"""Any table of the catalogue: bytes to values and back, the same from both implementations."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest
from osgp_fast import _impl, decode_table, encode_table
from osgp_fast.catalog import TABLES
from osgp_fast.codec import Decoded, decode
from osgp_fast.errors import TableError, UsageError
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
        cuts = range(len(data)) if len(data) < 20 else sorted(Random(seed).sample(range(len(data)), 20))
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


def test_values_of_every_type() -> None:
    # The bytes are put together by hand, field after field, from the guides' words on types (Optical guide pp. 5-7).
    tables = {"BT71": bytes((0x07, 0, 0, 0, 5, 3, 0, 0, 0))}
    when = {
        bytes.fromhex("18021d173b3a"): datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC),
        bytes(6): None,
        bytes.fromhex("17021d173b3a"): bytes.fromhex("17021d173b3a"),
        b"\xff" * 6: b"\xff" * 6,
    }
    for raw, value in when.items():
        entry = raw + bytes.fromhex("2a00 0100 0102")
        decoded = both("BT74", bytes(11) + entry, tables)
        assert decoded["entry.0.time"] == value
        assert both("BT74", (bytes(11) + entry)[:-12], tables)["entry"] == []


def test_digits_text_and_the_firmware() -> None:
    bt01 = b"NES 83331-3I\x36\x41\x36\x41\x12\x34\x56\x78\x90\xab\x20\x01"
    decoded = both("BT01", bt01, {})
    assert (decoded["manufacturer"], decoded["model"]) == ("NES ", "83331-3I")
    assert (decoded["firmware"], decoded["serial"]) == (0x3641, "1234567890AB2001")


def test_the_energy_register_unit_moves_with_the_firmware() -> None:
    # MEP guide p. 139: at A + 39, A the place of the step tariff source, behind BT20.7 - 1 thresholds; 4.0 adds a byte.
    bt20 = bytes.fromhex("3f0efd0f08100104081a")
    for firmware, extra in ((b"\x31\x55", 0), (b"\x40\x18", 1)):
        data = bytes(146 + extra + 4 * 3 + 39) + b"\x0a"
        tables = {"BT01": bytes(14) + firmware + bytes(8), "BT20": bt20}
        assert decode_table("ET55", data, tables=tables)["energy_register_unit"] == 10
        assert both("ET55", data, tables)["energy_register_unit"] == 10
        for gone in tables:
            less = {id: raw for id, raw in tables.items() if id != gone}
            assert both("ET55", data, less).missing == gone


def test_a_table_that_there_is_not() -> None:
    for table, hint in (("ET550", "ET55"), ("EP55", "ET55"), (2048 + 99, "ET9"), ("", "BT61"), (-1, "BT61")):
        with pytest.raises(UsageError, match=hint) as raised:
            decode_table(table, b"")
        assert raised.value.code == "usage.table"
    with pytest.raises(UsageError, match="'name'") as raised:
        decode_table("BT01", b"", tables={"name": b""})
    assert raised.value.code == "usage.table"
    # Tables of a meter that no guide describes are none of ours.
    assert decode_table("BT01", b"", tables={"ET999": b""}).short == ("manufacturer", 0)


def test_encoding_without_a_dimension_table() -> None:
    with pytest.raises(UsageError, match="BT61") as raised:
        encode_table("BT62", {})
    assert raised.value.code == "usage.tables"
    assert raised.value.fields["missing"] == "BT61"


def test_bytes_of_a_value_are_not_in_its_error() -> None:
    with pytest.raises(TableError, match="5 bytes is not") as raised:
        encode_table("BT01", {"manufacturer": b"\xaa\xbb\xcc\xdd\xee"})
    assert raised.value.code == "table.value"
    assert "\\xaa" not in str(raised.value)


@pytest.mark.skipif(not _impl.compiled(), reason="there is no twin in the pure wheel")
def test_layouts_are_remembered_by_what_they_depend_on() -> None:
    core = _impl.core()
    data = bytes(range(200))
    bt01 = bytes(14) + b"\x31\x55" + bytes(8)
    for tiers in (4, 2, 4, 0, 2):
        for firmware in (b"\x31\x55", b"\x40\x18"):
            bt20 = bytes(7) + bytes((tiers, 0, 0))
            tables = {"BT20": bt20, "BT01": bytes(14) + firmware + bytes(8)}
            assert len(both("ET55", data, tables)["step_tariff_threshold"]) == max(0, tiers - 1)
    # Tables that are sized by their own fields are laid out each time.
    for head in (b"\x09\0\0\x01\0", b"\x0b\0\0\x01\0"):
        both("ET52", head + bytes(6), {"BT01": bt01})
    with pytest.raises(KeyError):
        core.decode_table(4000, b"", {})


def test_bytes_make_a_table_as_long_as_they_are() -> None:
    data = encode_table("BT07", {"parameters": b"\x11\x22\x33\x44\x55"})
    assert data[-5:] == b"\x11\x22\x33\x44\x55"
    assert both("BT07", data, {})["parameters"] == b"\x11\x22\x33\x44\x55"
    # A table that is given its length does not grow.
    with pytest.raises(TableError, match="5 bytes is not"):
        encode_table("BT07", {"parameters": b"\x11\x22\x33\x44\x55"}, size=len(data) - 1)
