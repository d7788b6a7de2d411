"""Encoding: samples give their bytes again, and what does not fit is an error that names the field."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from osgp_fast import TableError, codec
from osgp_fast.catalog import TABLES
from osgp_fast.codec.values import decode_value, encode_value
from osgp_fast.layout import TableSet

SAMPLES = Path(__file__).parent / "samples"
METERS = sorted(p for p in SAMPLES.glob("*/*") if p.is_dir())


def tables(meter: Path) -> TableSet:
    return TableSet({p.stem: p.read_bytes() for p in meter.glob("*.bin") if p.stem in TABLES})


@pytest.mark.parametrize("meter", METERS, ids=lambda p: p.name)
def test_samples_give_their_bytes_again(meter: Path) -> None:
    known = tables(meter)
    for id, data in known.tables.items():
        layout = known.layout(id)
        decoded = codec.decode(layout, data, table=id)
        assert codec.encode(layout, decoded.values, table=id, rest=decoded.rest)[: len(data)] == data, id
        if not decoded.rest and decoded.short is None and decoded.missing is None:
            assert codec.encode_table(TABLES[id], decoded.values, known) == data, id


def test_a_table_sized_by_its_own_fields_grows_with_its_lists() -> None:
    known = tables(SAMPLES / "dump" / "M00002001")
    values = codec.decode(known.layout("BT61"), known.tables["BT61"]).values
    values["set"] = values["set"] * 3
    assert len(codec.encode_table(TABLES["BT61"], values, known)) == 7 + 3 * 6


def bt61(**changes: Any) -> bytes:
    known = tables(SAMPLES / "dump" / "M00002001")
    values = codec.decode(known.layout("BT61"), known.tables["BT61"]).values
    return codec.encode(known.layout("BT61"), {**values, **changes}, table="BT61")


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"memory_length": 1 << 32}, "table.value", "BT61.memory_length"),
        ({"memory_length": -1}, "table.value", "UINT32"),
        ({"memory_length": "much"}, "table.value", "'much'"),
        ({"memory_length": b"12345"}, "table.value", "BT61.memory_length"),
        ({"set": 5}, "table.value", "BT61.set"),
        ({"set": [5]}, "table.value", "BT61.set.0"),
        ({"flags": {"end_reading": 2}}, "table.value", "BT61.flags.end_reading"),
        ({"flags": {"nonsense": True}}, "table.no_place", "BT61.flags.nonsense"),
        ({"nonsense": 1}, "table.no_place", "BT61.nonsense"),
    ],
)
def test_what_does_not_fit(changes: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(TableError) as error:
        bt61(**changes)
    assert error.value.code == code
    assert words in str(error.value)


def test_a_list_that_no_length_can_hold() -> None:
    known = tables(SAMPLES / "dump" / "M00002001")
    values = codec.decode(known.layout("BT61"), known.tables["BT61"]).values
    values["set"] = values["set"] * 9  # a meter has four data sets at most
    with pytest.raises(TableError) as error:
        codec.encode_table(TABLES["BT61"], values, known)
    assert error.value.code == "table.size"


def test_undescribed_bits_are_kept() -> None:
    known = tables(SAMPLES / "dump" / "M00002001")
    data = bytearray(known.tables["BT61"])
    data[5] |= 0x80
    decoded = codec.decode(known.layout("BT61"), bytes(data))
    assert decoded.values["flags"]["_rest"] == 0x8000
    assert decoded["set.0.channels"] == 4
    with pytest.raises(KeyError):
        decoded["set.7.channels"]
    assert codec.encode(known.layout("BT61"), decoded.values) == data


@pytest.mark.parametrize(
    ("type", "raw", "value"),
    [
        ("u24", "010203", 0x030201),
        ("i24", "feffff", -2),
        ("u16_be", "3155", 0x3155),
        ("char", "4e4553200000", "NES "),
        ("bcd", "12af", "12AF"),
        ("set", "0180", [0, 15]),
        ("ltime_date", "18030e0a071e", datetime(2024, 3, 14, 10, 7, 30)),
        ("stime_date", "18030e0a07", datetime(2024, 3, 14, 10, 7)),
        ("ltime_date", "000000000000", None),
        ("ltime_date", "ffffffffffff", b"\xff" * 6),
        ("ltime_date", "18021e000000", bytes.fromhex("18021e000000")),
        ("date", "180229", b"\x18\x02\x29"),
        ("date", "18021d", date(2024, 2, 29)),
        ("ansi_date", "9871", date(2024, 3, 14)),
        ("ansi_date", "0000", None),
        ("time", "0a071e", time(10, 7, 30)),
        ("time", "180000", b"\x18\0\0"),
        ("rdate", "63ca", 0xCA63),
        ("octets", "0102", b"\x01\x02"),
        ("ped", "010203040506", bytes(range(1, 7))),
    ],
)
def test_values_and_back(type: str, raw: str, value: Any) -> None:
    data = bytes.fromhex(raw)
    assert decode_value(type, data) == value
    assert encode_value(type, len(data), value) == data


def test_utc_times_say_so() -> None:
    assert decode_value("ltime_date", bytes.fromhex("18030e0a071e"), clock="utc").tzinfo is UTC


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (3 | 6 << 4 | 0 << 8 | 25 << 11, "the last Sunday of the month on or after 25 March"),
        (12 | 0 << 4 | 7 << 8 | 24 << 11, "24 December"),
        (14 | 2 << 8, "every Tuesday"),
        (15 | 7 << 4 | 3 << 10, "period 7, delta 3"),
        (13 | 0 << 4 | 1 << 11, "day 1 of every month"),
        (0, "not assigned"),
    ],
)
def test_recurring_dates(word: int, text: str) -> None:
    assert codec.recurring_date(word) == text
