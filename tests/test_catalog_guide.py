"""Every row that the guides print is in the catalogue: against `guide_rows.json`, which was read from the guides apart from it.

What differs is listed here, each with the reason; an entry that no longer differs fails.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from osgp_fast.catalog import PROCEDURES, TABLES, flat, present_order, sources
from osgp_fast.catalog._ped import pending_event

GUIDE: dict[str, Any] = json.loads((Path(__file__).parent / "vectors" / "guide_rows.json").read_text(encoding="utf-8"))
LISTS = {"present_values", "source_ids", "PED"}
#: Bytes and bits that mean nothing.
NOTHING = re.compile(r"(reserved|filler|unused|fill\b|ics - unused)", re.IGNORECASE)

#: Rows whose name is another here: (table, printed name) -> name in the catalogue, and why.
NAMES = {
    (
        "BT01",
        "Main Firmware Version Number",
    ): "Main Firmware Version Number, Firmware Revision Number",  # one number of both
    ("BT01", "Firmware Revision Number"): "Main Firmware Version Number, Firmware Revision Number",
    (
        "BT03",
        "Event Log Overflow Pending (available in 2.0 meters)",
    ): "Event Log Overflow Pending",  # a remark in the name
    ("BT24", "Register Data Received"): "Summations",  # the record of BT23, row by row
    ("BT25", "Register Data Received"): "Summations",
    ("BT26", "Register Data Received"): "Summations",
    ("BT23", "Demand Measurements"): "Demand",  # the words over an array
    ("BT64", "IF BT61.4.4 THEN: End Readings"): "End Readings",
    ("ET29", "Comm Assignment Matrix 1"): None,  # the words over two matrices, whose rows follow
    ("ET29", "Comm Assignment Matrix 2"): None,
    ("ET41", "Demand Reset Entries:"): None,  # the words over an array
    ("ET31", "RegisterDataRcd = BT23"): "RegisterDataRcd",
    ("ET42", "Log List:"): None,
    ("ET42", "Length"): "Required Section Length",
    ("ET52", "Length (L0)"): "Length (Ln)",  # records one after another
    ("ET52", "Length (L1)"): "Length (Ln)",
}
#: Conditions that are printed in the name.
CONDITION = re.compile(r"^IF [^ ]+ (?:!= 0 )?then:? *", re.IGNORECASE)

#: Printed offsets that are misprints, or hold for one case of a formula: (table, name) -> why.
OFFSETS = {
    ("BT01", "Firmware Revision Number"): "one number with the version before it",
    ("BT24", "Register Data Received"): "a record that starts there, with the reset counter where there is one",
    ("BT25", "Register Data Received"): "a record that starts there",
    ("BT26", "Register Data Received"): "a record that starts there, printed with the BIDN",
    ("BT26", "Time and Date"): "printed with the BIDN, which is there only where BT21.4 is not 0",
    ("BT26", "Season"): "printed with the BIDN",
    ("BT28", "Demand value"): "printed with the time remaining, which BT21.0.6 tells",
    ("BT33", "Display Sources:"): "within an element",
    ("ET13", "*"): "printed within an element of the status array, which stands behind the configurations",
    ("ET16", "Read Count"): "printed within an element; MEP clients come after the M-Bus devices",
    ("ET16", "Length (L)"): "printed within an element",
    ("ET16", "Data"): "printed within an element",
    ("ET42", "ICS – ICA NAK"): "printed 0, the root's place; the word is at 4",
    ("ET42", "ICS - Blg/LP Format 2"): "printed 0, the root's place; the word is at 4",
    ("ET52", "Group ID List"): "printed for type 3, the only one that has it",
    (
        "ET55",
        "Delta Time Adjustment Increment",
    ): "printed 1 for 4.0 and later, within a reserved row: the default slid over",
    ("ET62", "*"): "printed for 16 channels; they are BT60.11",
    ("ET75", "*"): "printed for 16 channels and 8 demands",
    ("EP19", "*"): "two layouts overlap; which one, the request type says",
}


def norm(text: str) -> str:
    """A name without what line breaks and printers do to it."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def catalogue(id: str) -> list[dict[str, Any]]:
    """The rows of a table for both generations, those of a response too."""
    table = TABLES.get(id) or PROCEDURES[id]
    rows = flat.rows(table) + flat.rows(table, generation_4=True)
    return rows + (flat.response_rows(table) if table.is_procedure else [])


def printed(id: str) -> list[tuple[str, list[str], dict[str, Any]]]:
    """Name, offsets and marks of the rows that say something."""
    out = []
    for name, _, offset, _, *more in GUIDE[id].get("rows", []):
        marks = more[0] if more else {}
        if not marks.get("heading") and not NOTHING.match(name):
            offsets = [o for o in (offset if isinstance(offset, list) else [offset]) if o]
            out.append((name, [o.replace(" ", "") for o in offsets], marks))
    return out


TESTED = [id for id in GUIDE if id not in LISTS]


def test_every_table_and_procedure_is_there() -> None:
    assert {*TESTED} <= {*TABLES, *PROCEDURES}
    assert len(TESTED) > 75


@pytest.mark.parametrize("id", TESTED)
def test_every_printed_row_is_in_the_catalogue(id: str) -> None:
    names: dict[str, set[str]] = {}
    bits: dict[str, set[str | None]] = {}
    for row in catalogue(id):
        names.setdefault(norm(row["name"]), set()).add(str(row["offset"]))
        bits.setdefault(norm(row["name"]), set()).add(row["bits"])
    for name, offsets, marks in printed(id):
        ours = NAMES.get((id, name), CONDITION.sub("", name))
        if ours is None:
            continue
        key = norm(ours)
        assert key in names, f"{id}: no row {name!r}"
        if "bits" in marks and (id, name) not in NAMES:
            assert marks["bits"] in bits[key], f"{id} {name!r}: bits {marks['bits']}, here {bits[key]}"
        for offset in offsets:
            if offset.isdigit() and (id, name) not in OFFSETS and (id, "*") not in OFFSETS:
                assert offset in names[key], f"{id} {name!r}: printed at {offset}, here at {names[key]}"


@pytest.mark.parametrize("id", TESTED)
def test_no_row_is_missing_from_the_count(id: str) -> None:
    """As many rows as are printed, at the least: each printed row has one of its own."""
    rows = [row for row in catalogue(id) if not NOTHING.match(row["name"])]
    places = {(row["path"], row["bits"]) for row in rows}
    merged = sum(1 for name, _, _ in printed(id) if (id, name) in NAMES)
    assert len(places) + merged >= len({(name, tuple(o), str(m)) for name, o, m in printed(id)})


def test_differences_that_are_none_any_more() -> None:
    for id, name in NAMES:
        assert any(name == row[0] for row in printed(id)), (id, name)
        assert norm(name) not in {norm(row["name"]) for row in catalogue(id)} or id in ("BT64",), (id, name)
    for id, name in OFFSETS:
        assert name == "*" or any(name == row[0] for row in printed(id)), (id, name)


#: Source IDs whose printed name is a slip by the errata: phase A among L1, L2 and L3; VA and the quadrant exchanged.
SLIPS = {182, 219, 223, 227, 231}


def test_present_values_and_source_ids() -> None:
    named = {s["id"]: s["name"] for s in sources()}
    assert sorted(named) == list(range(245))
    assert len(present_order()) == len(GUIDE["present_values"]["rows"]) == 84
    listed = {row[4]["value"].replace(" ", ""): row[0] for row in GUIDE["source_ids"]["rows"]}
    for ids, name in listed.items():
        numbers = [int(n) for n in re.findall(r"\d+", ids)]
        for id in range(numbers[0], numbers[-1] + 1):
            assert (norm(named[id]) == norm(name)) == (id not in SLIPS), (id, named[id], name)
    covered = {int(ids) for ids in listed if ids.isdigit()}
    assert len(covered) > 190


def test_the_ped() -> None:
    names = {norm(part.spec) for word in pending_event() for part in (word, *word.of)}
    for row in GUIDE["PED"]["rows"]:
        if not NOTHING.match(row[0]) and not (len(row) > 4 and row[4].get("heading")):
            assert norm(row[0]) in names, row
