"""The list of printed rows, `vectors/guide_rows.json`, has the shape that tests/vectors/README.md describes.

It was read from the guides alone, so nothing here looks at the catalogue: this is about the list itself.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

LIST: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).resolve().parent / "vectors" / "guide_rows.json").read_text(encoding="utf-8")
)

# What the list is about: numbers by kind, and three lists without a number.
NUMBERS = {
    "BT": "00 01 03 04 07 08 15 20 21 22 23 24 25 26 27 28 30 33 50 52 53 54 55 60 61 62 63 64 65 66 67 70 71 74",
    "ET": "03 04 09 11 13 14 15 16 21 23 29 31 34 36 41 42 45 46 47 50 51 52 53 54 55 57 58 59 61 62 66 70 71 74 75 79 80"
    " 81 85 89 90 97",
    "EP": "16 17 19 39 61",
}
IDS = {f"{kind}{number}" for kind, numbers in NUMBERS.items() for number in numbers.split()}
IDS |= {"PED", "present_values", "source_ids"}
# Printed page numbers end here: PDF pages less the front matter.
LAST_PAGE = {"MEP": 271 - 6, "Optical": 66 - 2}
OTHER = {"MEP": "Optical", "Optical": "MEP"}
KEYS = {"guide", "pages", "rows", "unnamed", "also", "same_as", "undescribed"}
EXTRAS = {"value", "bits", "part", "heading"}
# Tables that the guides print two offsets for, generation 3.X (or the older firmware) first.
TWO_COLUMNS = {"ET23", "ET55", "ET62", "ET70", "ET75", "ET97"}
# Symbols that the guides use in offsets, beside fields of tables: BT61.7, ET42.FSL.
SYMBOLS = {"field", "A", "B", "b", "C", "D", "Count", "GL", "L0", "L1", "Ln", "n", "SET", "sizeof"}
SYMBOLS |= {"NonRecurrDateRcd", "RecurrDateRcd", "TierSwitchRcd", "SeaSchedRcd"}
TABLE = pytest.mark.parametrize("table", sorted(LIST))


def extras(row: list[Any], at: int = 4) -> dict[str, Any]:
    return row[at] if len(row) > at else {}


def parses(offset: str) -> bool:
    """Whether a printed offset is a number, a range, an expression, or "N/A" for a generation without the field."""
    text = offset.replace(" ", "")
    # Remarks of the guides behind or within an expression.
    for remark in ("[=A]", "(+2)", "(endofMDTTentries+1)", "…+"):
        text = text.replace(remark, "")
    if text == "N/A" or re.fullmatch(r"\d+(\.{2,3}|…)\d+", text):
        return True
    text = re.sub(r"\b[A-Z]{1,2}\d\d\.\w+", "field", text)
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError:
        return False
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} <= SYMBOLS


def test_a_misread_offset_does_not_parse() -> None:
    assert all(map(parses, ("12", "99…21 7", "A+10*12 +2", "BT21.3 + BT21.4", "6 (+2)")))
    assert not any(map(parses, ("", "1 1..", "BT21.3 +", "Specifies the", "(4 + 5", "UINT8 of 3")))


def test_every_table_and_procedure_is_there_once() -> None:
    assert set(LIST) == IDS
    pairs = json.loads(
        (Path(__file__).resolve().parent / "vectors" / "guide_rows.json").read_text(encoding="utf-8"),
        object_pairs_hook=list,
    )
    assert len(pairs) == len(IDS)


@TABLE
def test_a_table_says_where_it_is_printed(table: str) -> None:
    entry = LIST[table]
    assert set(entry) <= KEYS
    assert {"guide", "pages", "rows"} <= set(entry)
    first, last = entry["pages"]
    assert 1 <= first <= last <= LAST_PAGE[entry["guide"]]
    # Without rows of its own it is either like another table or only named.
    if entry.get("undescribed") or "same_as" in entry:
        assert entry["rows"] == []
        assert LIST[entry.get("same_as", "BT64")]["rows"]
    else:
        assert entry["rows"]
        printed = [row[3] for row in entry["rows"]] + [row[2] for row in entry.get("unnamed", [])]
        assert (min(printed), max(printed)) == (first, last)


@TABLE
def test_rows_are_name_type_offset_page_in_printed_order(table: str) -> None:
    entry = LIST[table]
    for section, last in (("rows", LAST_PAGE[entry["guide"]]), ("also", LAST_PAGE[OTHER[entry["guide"]]])):
        pages = [row[3] for row in entry.get(section, [])]
        assert pages == sorted(pages)
        assert all(1 <= page <= last for page in pages)
    for row in [*entry["rows"], *entry.get("also", [])]:
        assert len(row) in (4, 5)
        assert row[0]
        assert set(extras(row)) <= EXTRAS
        shape(row[0], row[1], row[2], extras(row), two=table in TWO_COLUMNS)
        # A row that neither holds data nor heads other rows would be a remark, which the list leaves out.
        if row[1] is None and row[2] is None and table not in ("source_ids", "BT23"):
            assert extras(row).get("heading") is True
    for row in entry.get("unnamed", []):
        assert len(row) in (3, 4)
        shape("", row[0], row[1], extras(row, 3), two=False)


def shape(name: str, kind: str | None, offset: Any, extra: dict[str, Any], *, two: bool) -> None:
    """A name, a type and an offset as a cell holds them: single spaces, no sentence; and the bits that the type names."""
    for text in (name, kind or "", *(offset if isinstance(offset, list) else [offset])):
        if text:
            assert text == " ".join(text.split())
            assert len(text) <= 160
            assert not re.search(r"[a-z]{4}\. [A-Z]", text)
    if isinstance(offset, list):
        assert two
        assert len(offset) == 2
        assert offset != [None, None]
    else:
        assert offset is None or not two
    for text in offset if isinstance(offset, list) else [offset]:
        assert text is None or parses(text), text
    inner = re.fullmatch(r"l?(?:BOOL|U?INT|FILL)\d*\(([^()]*)\)", (kind or "").replace(" ", ""))
    if inner is None:
        assert "bits" not in extra
    else:
        bits = [int(number) for number in re.findall(r"\d+", inner[1])]
        assert bits == sorted(bits)
        assert extra["bits"] == (str(bits[0]) if bits[0] == bits[-1] else f"{bits[0]}..{bits[-1]}")


def test_present_values_count_up_with_the_one_misprint() -> None:
    values = [int(extras(row)["value"]) for row in LIST["present_values"]["rows"]]
    assert values == [*range(65), 66, *range(66, 84)]


def test_source_ids_count_up_with_the_mapped_ones_as_a_range() -> None:
    values = [extras(row)["value"].replace(" ", "") for row in LIST["source_ids"]["rows"]]
    assert values == [*map(str, range(112)), "112…..163", *map(str, range(164, 245))]
