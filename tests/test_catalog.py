"""The catalogue: every row is of the language, agrees with the printed offsets, and goes through JSON and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from layouts import METERS, OUT, images, render
from osgp_fast.catalog import TABLES, _expr, catalog_json, event_codes, sources
from osgp_fast.catalog._model import WIDTHS, Field, Table
from osgp_fast.image import TableImage
from osgp_fast.layout import Leaf, MissingDimension, keys
from osgp_fast.records import decode_meter
from osgp_fast.records._meter import IDS, Meter, View

ROOT = Path(__file__).parent.parent
SIZED = {"bits", "char", "bcd", "set", "octets"}


def walk(fields: tuple[Field, ...]) -> Iterator[Field]:
    for field in fields:
        yield field
        yield from walk(field.of)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_json_and_back(table: Table) -> None:
    text = json.dumps(table.to_json())
    assert Table.from_json(json.loads(text)).to_json() == table.to_json()


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_rows_are_of_the_language(table: Table) -> None:
    assert table.number == int(table.id[2:]) + (2048 if table.id.startswith("ET") else 0)
    assert "guide" in table.source
    assert "p." in table.source
    for field in walk(table.fields):
        assert field.name.isidentifier()
        assert field.name == field.name.lower()
        known = field.type in WIDTHS or field.type in SIZED or field.type in {"array", "bool", "uint"}
        assert known, field.type
        assert (field.size is not None) == (field.type in SIZED)
        assert (field.count is not None) == (field.type == "array")
        assert (field.bits is not None) == (field.type in {"bool", "uint"})
        texts = [t for t in (field.size, field.count, field.stride, field.when) if t is not None]
        for text in texts:
            for name in _expr.references(_expr.parse(text)):
                if isinstance(name, _expr.Ref):
                    assert name.key == "size" or name.key in keys(TABLES[name.table]), (table.id, text)


def test_packed_arrays_are_bounded() -> None:
    for table in TABLES.values():
        for field in walk(table.fields):
            if field.type == "array" and field.index and field.max is None:
                names = {
                    n.name
                    for f in walk(field.of)
                    for t in (f.size, f.count, f.stride, f.when)
                    if t is not None
                    for n in _expr.references(_expr.parse(t))
                    if isinstance(n, _expr.Var)
                }
                assert field.index not in names, f"{table.id}.{field.name} is packed and has no max"


#: Offsets that are printed within an element whose place varies, so that they are counted from the element's start.
WITHIN_ELEMENT = {"BT62"}


@pytest.mark.parametrize("meter", METERS)
def test_printed_offsets_agree(meter: str) -> None:
    """Every printed offset, worked out with the dimensions of a meter, is where the layout puts the field."""
    tables = images(Path(__file__).parent / "samples" / meter)
    view = Meter("", tables, TABLES).view_latest()
    checked = 0
    for image in tables:
        if image.table not in IDS:
            continue
        id = IDS[image.table]
        starts: dict[tuple[int, ...], int] = {}
        for leaf in view.layout(id).leaves:
            starts.setdefault(leaf.packed, leaf.offset)
            for want in _printed(view, id, leaf):
                base = starts[leaf.packed] if id in WITHIN_ELEMENT else 0
                assert leaf.offset == base + want, (id, leaf.path)
                checked += 1
    assert checked > 40


def _printed(view: View, id: str, leaf: Leaf) -> Iterator[int]:
    at = leaf.field.at
    if at is None:
        return
    if isinstance(at, tuple):
        at = at[view.gen4()]

    def var(name: str) -> int:
        assert name == "n", name
        assert leaf.packed
        return leaf.packed[0]

    try:
        yield _expr.evaluate(_expr.parse(at), var, view.value)
    except MissingDimension:
        return  # printed in terms of a table that this meter's samples lack


@pytest.mark.parametrize("meter", METERS)
def test_layouts_are_as_the_snapshots_say(meter: str) -> None:
    assert render(meter) == (OUT / f"{meter.replace('/', '-')}.json").read_text(encoding="utf-8")


@pytest.mark.skipif(not (ROOT / "rust").is_dir(), reason="not a source tree")
def test_rust_embeds_these_rows() -> None:
    text = (ROOT / "rust/osgp/src/catalog/catalog.json").read_text(encoding="utf-8")
    assert text == catalog_json(), "run: make generate"


def test_the_vocabulary_is_whole() -> None:
    assert [s["id"] for s in sources()] == list(range(245))
    codes = event_codes()
    assert sorted(map(int, codes["standard"])) == list(range(51))
    assert sorted(map(int, codes["manufacturer"])) == list(range(64, 112))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("7 - 2 - 1", 4),
        ("(3 - 10) // 2", -4),
        ("(3 - 10) % 4", 1),
        ("1 // 0 + 1 % 0", 0),
        ("2 == 2", 1),
        ("2 >= 3", 0),
        ("n * 2", 10),
        ("BT61.9[n] + 1", 106),
        ("ET11.34 ?? 3 + 1", 4),
        ("BT61.9[n] ?? 3 + 1", 105),
    ],
)
def test_expressions(text: str, value: int) -> None:
    def ref(ref: _expr.Ref, index: tuple[int, ...]) -> int:
        if ref.table == "ET11":
            raise MissingDimension(ref.table)
        return 100 + index[0]

    assert _expr.evaluate(_expr.parse(text), lambda name: 5, ref) == value


@pytest.mark.parametrize(
    "text", ["", "1 +", "(1", "n[1", "1 2", "n ** 2", "f(x)", "__import__('os')", "(" * 99, "BT61"]
)
def test_what_is_not_of_the_language(text: str) -> None:
    with pytest.raises(_expr.ExpressionError):
        _expr.parse(text)


def test_et54_is_laid_out_without_et11() -> None:
    """The module records are sized by ET11, but what stands in front of them is needed where ET11 was not read."""
    images = [TableImage(meter="m", table=2102, data=bytes(range(150)), whole=True)]
    view = Meter("m", images, TABLES).view_latest()
    assert view.get("ET54", "et79_entries") == 0x5150
    assert view.get("ET54", "mep_tx_locked") == 97 + 6 * 7
    assert view.get("ET54", "mep_tx_locked", module_records=4, module_record_size=5) == 97 + 4 * 5


def test_a_missing_dimension_is_named() -> None:
    samples = Path(__file__).parent / "samples" / "dump" / "M00002001"
    only = [i for i in images(samples) if IDS.get(i.table) in {"BT63", "BT64"}]
    with pytest.raises(MissingDimension) as error:
        Meter("", only, TABLES).view_latest().layout("BT64")
    assert error.value.table == "BT61"
    rejects = decode_meter("m", only, ["load_profile"]).rejects
    assert [(r.code, r.table) for r in rejects] == [("dimension.missing", 64)]
    assert "BT61" in rejects[0].reason


def test_extended_sources_are_named() -> None:
    from osgp_fast.records._meter import source

    assert source(0x4103).quantity == "mbus_device_2_data_type_3"
    assert source(0x4103).unit is None
    assert source(0x3103).quantity is None
    assert source(0).quantity == "fwd_active_wh"
