"""``osgp-fast tables``: the list, the layout of one table, the catalogue for machines, and offsets for one meter."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Command
from osgp_fast.catalog import PROCEDURES, TABLES, flat
from osgp_fast.catalog._model import Field
from osgp_fast.layout import STAND_INS, TableSet

METERS = Path(__file__).parent / "samples"
#: The keys of the contract, in its order; more may follow.
OBJECT = ["id", "number", "name", "read", "write", "source", "fields"]
FIELD = ["name", "type", "offset", "bits", "unit", "scale", "since", "until", "when", "enum", "source", "array"]


def objects() -> list[dict[str, Any]]:
    return list(flat.objects())


def test_the_form_is_the_contract_s() -> None:
    for item in objects():
        assert list(item)[: len(OBJECT)] == OBJECT
        for field in item["fields"]:
            assert list(field)[: len(FIELD)] == FIELD
            assert isinstance(field["offset"], int | str)
            assert "guide" in field["source"]
            assert "p. " in field["source"]
            for array in field["array"] or ():
                assert list(array) == ["name", "count", "stride"]


def test_all_are_there_and_numbered() -> None:
    ids = [item["id"] for item in objects() if "generation" not in item]
    assert ids == [*TABLES, *PROCEDURES]
    numbers = {item["id"]: item["number"] for item in objects()}
    assert (numbers["BT61"], numbers["ET21"], numbers["ET46"]) == (61, 2069, 2094)


def offset(id: str, path: str, generation: int | None = None) -> Any:
    item = next(i for i in objects() if i["id"] == id and i.get("generation") == generation)
    return next(f["offset"] for f in item["fields"] if f["path"] == path)


@pytest.mark.parametrize(
    ("id", "path", "want"),
    [
        ("BT74", "entry.time", 11),
        ("BT74", "entry.user_id", 19),
        ("BT61", "set.channels", 11),
        ("BT62", "set.format", "3*BT61.11[0]"),
        ("BT64", "block.interval.status", "5 + 4*BT61.11[0]*BT61.4.4 + (7 + BT61.9[0])//8"),
        ("ET21", "set.interval_end_utc", 94),
        ("ET54", "mep_tx_locked", "97 + ET11.32*ET11.33"),
        ("ET09", "l1_sag1_time", "6 + 18*ET04.53"),
    ],
)
def test_offsets_in_the_guide_s_notation(id: str, path: str, want: int | str) -> None:
    assert offset(id, path) == want


def test_generation_4_has_an_object_of_its_own_where_it_differs() -> None:
    assert offset("ET55", "reverse_energy_threshold") == 144
    assert offset("ET55", "reverse_energy_threshold", 4) == 145
    assert not [i for i in objects() if i["id"] == "BT61" and "generation" in i]


def leaves(fields: tuple[Field, ...]) -> Iterator[Field]:
    for field in fields:
        if field.type != "array":
            yield field
        yield from leaves(field.of)


@pytest.mark.parametrize("meter", sorted(p for p in METERS.glob("*/*") if p.is_dir()), ids=lambda p: p.name)
def test_formulas_give_the_offsets_of_a_meter(meter: Path) -> None:
    """Every formula, worked out with the numbers of a meter, is where the layout puts element 0 of the field."""
    data = {p.stem: p.read_bytes() for p in meter.glob("*.bin") if p.stem in TABLES}
    tables = TableSet(data)
    checked = 0
    for id in data:
        table, layout = TABLES[id], tables.layout(id)
        try:
            generation_4 = bool(tables.gen4())
        except LookupError:
            generation_4 = False
        for row in flat.rows(table, generation_4=generation_4):
            leaf = next((x for x in layout.by_path.get(row["path"], ()) if not any(x.packed)), None)
            if leaf is None or layout.missing:
                continue
            text = str(row["offset"])
            if table.fixed and any(
                tables_differ(tables, table.variables[name], value) for name, value in table.fixed.items()
            ):
                continue
            if all(table in data or table in STAND_INS for table in re.findall(r"[BE]T\d\d(?=\.)", text)):
                assert evaluate(tables, id, text, len(data[id])) == leaf.offset, (id, row["path"], text)
                checked += 1
    assert checked > 30


def tables_differ(tables: TableSet, text: str, value: int) -> bool:
    return evaluate(tables, "", text, 0) != value


def evaluate(tables: TableSet, id: str, text: str, size: int) -> int:
    from osgp_fast.catalog import _expr

    def var(name: str) -> int:
        assert name == "size", name
        return size

    def ref(ref: _expr.Ref, index: tuple[int, ...]) -> int:
        if ref.key == "size":
            return tables.length(ref.table)
        try:
            return tables.value(ref, index)
        except LookupError:
            # An element that this meter does not have; its size does not matter.
            return 0

    return _expr.evaluate(_expr.parse(text), var, ref)


# ---- the command


def test_the_list(osgp: Command) -> None:
    out = osgp("tables").out
    for id in (*TABLES, *PROCEDURES):
        assert f" {id} " in out


def test_one_table(osgp: Command) -> None:
    out = osgp("tables", "bt61").out
    assert "Number of Intervals in Set N" in out
    assert "MEP guide, BT61" in out
    assert osgp("tables", "61").out == out


def test_json(osgp: Command) -> None:
    whole = json.loads(osgp("tables", "--json").out)
    assert whole == json.loads(json.dumps(objects()))
    assert [i["id"] for i in json.loads(osgp("tables", "BT61", "BT62", "--json").out)] == ["BT61", "BT62"]
    generations = [i.get("generation") for i in json.loads(osgp("tables", "ET55", "--json").out)]
    assert generations == [None, 4]
    assert len(json.loads(osgp("tables", "ET55", "--json", "--generation", "4").out)) == 1


def test_for_a_meter(osgp: Command, tmp_path: Path) -> None:
    meter = METERS / "dump" / "M00002001"
    (one,) = json.loads(osgp("tables", "BT64", "--for", str(meter), "--json").out)
    assert one["end"] == one["length"] == (meter / "BT64.bin").stat().st_size
    status = next(f for f in one["fields"] if f["path"] == "block.interval.status")
    assert status["offset"] == 5 + 96 // 8
    assert status["array"][0]["count"] == 7
    said = osgp("tables", "BT64", "--for", str(meter))
    assert "block.interval.status" in said.out
    # A meter of an archive.
    import zipfile

    with zipfile.ZipFile(tmp_path / "dump.zip", "w") as archive:
        for path in meter.glob("*.bin"):
            archive.write(path, f"M00002001/{path.name}")
    assert osgp("tables", "BT64", "--for", f"{tmp_path}/dump.zip/M00002001").out == said.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["BT99"], "BT99"),
        (["BT64", "--for", "/nowhere"], "/nowhere"),
        (["BT64", "--for", str(METERS / "dump")], "meters"),
        (["ET90", "--for", str(METERS / "dump" / "M00002001")], "ET90"),
    ],
)
def test_wrong_calls(osgp: Command, arguments: list[str], words: str) -> None:
    called = osgp("tables", *arguments)
    assert called.code == 2
    assert words in called.err


def test_codes_of_wrong_calls() -> None:
    from osgp_fast import UsageError
    from osgp_fast.cli import cli

    for arguments, code in ((["BT99"], "usage.table"), (["BT64", "--for", "/nowhere"], "usage.meter")):
        with pytest.raises(UsageError) as error:
            cli.main(["tables", *arguments], standalone_mode=False)
        assert error.value.code == code
