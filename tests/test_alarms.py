"""Alarms: BT03 as the guides name its bits, and as much of it as the meter has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from both import IMPLEMENTATIONS, decode, images
from osgp_fast.catalog import alarms
from osgp_fast.image import TableImage, parse_table_name

SAMPLES = Path(__file__).parent / "samples"
TRUTH = json.loads((SAMPLES / "dump.truth.json").read_text(encoding="utf-8"))


def bt00(manufacturer: int) -> bytes:
    return bytes(17) + bytes((manufacturer, 0))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("truth", TRUTH, ids=[m["meter"] for m in TRUTH])
def test_the_samples_hold_what_their_truth_says(implementation: str, truth: dict[str, object]) -> None:
    tables = {parse_table_name(p.stem) or 0: p.read_bytes() for p in (SAMPLES / "dump" / str(truth["meter"])).iterdir()}
    rows, rejects = decode(implementation, tables, "alarms")
    assert not rejects
    words = truth["alarm_bits"]
    assert isinstance(words, dict)
    # A word's bit 8 stands in the byte behind.
    want = {(1 + bit // 8, bit % 8) for bit in words["bt03.1"]}
    assert {(r["byte"], r["bit"]) for r in rows if r["active"] and r["byte"] in (1, 2)} == want
    assert {(r["byte"], r["bit"]): r["alarm"] for r in rows if not r["alarm"].startswith("reserved")} == {
        (byte, bit): name for byte, bit, name in alarms() if byte < len(tables[3])
    }
    # What the samples set beyond the truth is the same in all of them.
    assert {(r["byte"], r["bit"], r["alarm"]) for r in rows if r["active"] and r["byte"] > 3} == {
        (4, 0, "Load Profile Overflow"),
        (4, 4, "Phase Loss"),
        (6, 6, "Event Log Overflow Pending"),
        (7, 1, "Magnetic Tamper Detected"),
        (7, 4, "Event Log Unread Entries"),
    }


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_one_bit_of_each_kind(implementation: str) -> None:
    table = bytes((0x07, 0x01, 0x80, 0x18, 0x80, 0, 0, 0x40, 0x04, 0x03, 0, 0, 0x80))
    rows, rejects = decode(implementation, {0: bt00(9), 3: table}, "alarms")
    assert not rejects
    assert [(r["alarm"], r["byte"], r["bit"]) for r in rows if r["active"]] == [
        ("Unprogrammed", 1, 0),
        ("Disconnect Switch Error", 2, 7),
        ("Neutral Current Deviation", 3, 3),
        ("reserved 3.4", 3, 4),
        ("General Error", 4, 7),
        ("Load Profile 1 Unread Entries Exist", 7, 6),
        ("Password (Key) Expiration Pending", 8, 2),
        ("Control Relay (2) Open", 9, 0),
        ("reserved 9.1", 9, 1),
        ("reserved 12.7", 12, 7),
    ]
    assert len(rows) == len(alarms()) + 3
    assert {r["table"] for r in rows} == {"BT03"}


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(
    ("bt00_length", "size", "last", "codes"),
    [
        (4, 8, 7, []),
        (6, 10, 9, []),
        (4, 13, 7, []),
        (9, 8, 7, ["table.too_short"]),
        (None, 8, 7, []),
        (None, 3, 2, []),
        (None, 0, 0, []),
    ],
)
def test_length(implementation: str, bt00_length: int | None, size: int, last: int, codes: list[str]) -> None:
    tables = {3: bytes(size)} | ({} if bt00_length is None else {0: bt00(bt00_length)})
    rows, rejects = decode(implementation, tables, "alarms")
    assert max((r["byte"] for r in rows), default=0) == last
    assert [r.code for r in rejects] == codes


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_partial_read_is_not_trusted_for_its_length(implementation: str) -> None:
    part = TableImage(meter="m", table=3, data=b"\x01\x02\x00\x00\xff\xff", whole=False)
    rows, rejects = decode(implementation, [part], "alarms")
    assert {r["byte"] for r in rows} == {1, 2, 3}
    assert [(r.code, r.table) for r in rejects] == [("dimension.missing", 3)]
    rows, rejects = decode(implementation, [part], "alarms", assume_defaults=True)
    assert {r["byte"] for r in rows} == {1, 2, 3, 4, 5}
    assert not rejects
    rows, rejects = decode(implementation, [part, *images({0: bt00(4)})], "alarms")
    assert {r["byte"] for r in rows} == {1, 2, 3, 4, 5}
    assert not rejects
    behind = TableImage(meter="m", table=3, offset=2, data=b"\x00\x01", whole=False)
    assert {r["byte"] for r in decode(implementation, [behind], "alarms")[0]} == {2, 3}


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_every_read_is_a_row_set(implementation: str) -> None:
    reads = [TableImage(meter="m", table=3, data=bytes((1, i, 0, 0)), whole=True, read_at=i) for i in (1, 2)]
    rows, _ = decode(implementation, reads, "alarms")
    assert [(r["read_at"], r["alarm"]) for r in rows if r["active"]] == [
        (1, "Unprogrammed"),
        (2, "Configuration Error"),
    ]
