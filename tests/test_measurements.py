"""Measurements of made-up meters and of a real one. Every test runs with both implementations."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from both import IMPLEMENTATIONS, Row, decode, images
from made import Registers, bt01
from osgp_fast.catalog import present_order, sources
from osgp_fast.image import TableImage, parse_table_name
from osgp_fast.reject import Reject

Decode = Callable[..., tuple[list[Row], list[Reject]]]
HERE = Path(__file__).parent
REAL = json.loads((HERE / "vectors" / "real_captures.json").read_text(encoding="utf-8"))["bt28_real_meter"]
REAL_VALUES = 55


@pytest.fixture(params=IMPLEMENTATIONS)
def run(request: pytest.FixtureRequest) -> Decode:
    def call(of: Any, **options: Any) -> tuple[list[Row], list[Reject]]:
        return decode(request.param, of, "measurements", **options)

    return call


def codes(rejects: Sequence[Reject]) -> list[str]:
    return [r.code for r in rejects]


@pytest.mark.parametrize("meter", sorted(p.name for p in (HERE / "samples" / "dump").iterdir()))
def test_samples_hold_their_truth(run: Decode, meter: str) -> None:
    samples = HERE / "samples"
    truth = {m["meter"]: m for m in json.loads((samples / "dump.truth.json").read_text(encoding="utf-8"))}[meter]
    tables = {parse_table_name(p.stem) or 0: p.read_bytes() for p in (samples / "dump" / meter).glob("*.bin")}
    rows, rejects = run(tables)
    assert rejects == []
    assert [r["raw"] for r in rows] == truth["present"]
    assert [r["index"] for r in rows] == list(range(len(rows)))
    # BT27 lists them; the samples of firmware 3.X have the guide's order.
    assert [r["source"] for r in rows] == list(tables[27])


@pytest.mark.parametrize("captured", ["nothing else", "dimensions", "dimensions and sources"])
def test_a_real_meter(run: Decode, captured: str) -> None:
    """What its owner published, decoded with the defaults, or with the dimensions and sources that it must have."""
    meter = Registers(present_values=REAL_VALUES)
    tables = {28: bytes.fromhex(REAL["data"])}
    if captured != "nothing else":
        tables[21] = meter.bt21()
    if captured == "dimensions and sources":
        tables[27] = bytes(present_order()[:REAL_VALUES])
    rows, rejects = run(tables, assume_defaults=captured == "nothing else")
    assert rejects == []
    assert len(rows) == REAL_VALUES
    by = {r["quantity"]: r for r in rows}
    want = REAL["expected"]
    assert by["fwd_active_w"]["value"] == want["fwd_active_W"]
    assert by["export_reactive_var"]["value"] == want["export_reactive_var"]
    assert by["va_power"]["value"] == want["VA"]
    lists = {
        "rms_current": ("rms_current_mA", "A", 1000),
        "rms_voltage": ("rms_voltage_mV", "V", 1000),
        "power_factor": ("power_factor_1/1000", "1", 1000),
        "sin_phase_angle": ("sin_phase_1/1000", "1", 1000),
        "fwd_active_w": ("fwd_active_W_per_phase", "W", 1),
    }
    for quantity, (published, unit, divisor) in lists.items():
        phases = [by[f"{quantity}_l{n}"] for n in (1, 2, 3)]
        assert [r["raw"] for r in phases] == want[published]
        assert [r["value"] for r in phases] == [raw / divisor for raw in want[published]]
        assert {r["unit"] for r in phases} == {unit}
    assert (by["frequency"]["value"], by["frequency"]["unit"]) == (want["frequency_mHz"] / 1000, "Hz")


def test_missing_dimensions(run: Decode) -> None:
    rows, rejects = run({28: bytes.fromhex(REAL["data"])})
    assert rows == []
    assert [(r.code, r.table) for r in rejects] == [("dimension.missing", 28)]
    assert "BT21 was not captured" in rejects[0].reason


@pytest.mark.parametrize("remaining", [False, True])
def test_present_demands_are_no_rows(run: Decode, remaining: bool) -> None:
    meter = Registers(present_demands=3, present_values=4, remaining=remaining)
    rows, rejects = run(meter.tables())
    assert rejects == []
    assert [(r["index"], r["source"], r["raw"]) for r in rows] == [(i, 8 + i, 1000 + i) for i in range(4)]


def test_every_source_is_scaled_to_its_unit(run: Decode) -> None:
    known = [s for s in sources() if s["unit"]]
    for start in range(0, len(known), 50):
        part = known[start : start + 50]
        meter = Registers(present_values=len(part))
        tables = {21: meter.bt21(), 27: bytes(s["id"] for s in part), 28: meter.bt28([12_345] * len(part))}
        for row, s in zip(run(tables)[0], part, strict=True):
            assert (row["source"], row["quantity"], row["unit"], row["obis"]) == (
                s["id"],
                s["quantity"],
                s["unit"],
                s["obis"],
            )
            # As a decimal, not what binary fractions make of it.
            assert row["value"] == float(f"{12_345 * s['scale']:.6f}")


def test_unknown_sources_stay_raw(run: Decode) -> None:
    meter = Registers(present_values=3)
    rows, _ = run({21: meter.bt21(), 27: bytes((255, 85, 15)), 28: meter.bt28([-7, 8, -9])})
    assert [(r["source"], r["quantity"], r["unit"], r["value"], r["raw"]) for r in rows] == [
        (255, None, None, -7.0, -7),
        (85, None, None, 8.0, 8),
        (15, "rms_voltage_l1", "V", -0.009, -9),
    ]


def test_without_bt27_the_guides_list_stands(run: Decode) -> None:
    meter = Registers(present_values=90)
    rows, rejects = run({21: meter.bt21(), 28: meter.bt28()})
    assert rejects == []
    assert [r["source"] for r in rows] == [*present_order(), *[None] * 6]
    # A part of BT27 names what it reaches, and nothing stands in for the rest.
    part = TableImage(meter="m", table=27, offset=1, data=b"\x0f", whole=False)
    rows, _ = run([*images({21: meter.bt21(), 28: meter.bt28()}), part])
    assert [r["source"] for r in rows[:3]] == [None, 15, None]


def test_every_read_is_a_row_set(run: Decode) -> None:
    meter = Registers(present_values=2)
    many = [TableImage(meter="m", table=28, data=meter.bt28([n, 0]), whole=True, read_at=n) for n in (1, 2, 3)]
    rows, rejects = run([*images({21: meter.bt21()}), *many])
    assert rejects == []
    assert [(r["read_at"], r["raw"]) for r in rows[::2]] == [(1, 1), (2, 2), (3, 3)]


def test_cut_values(run: Decode) -> None:
    meter = Registers(present_values=6)
    rows, rejects = run({21: meter.bt21(), 28: meter.bt28()[:10]})
    assert [r["index"] for r in rows] == [0, 1]
    assert [(r.code, r.item, r.offset, r.length) for r in rejects] == [
        ("measurements.incomplete", "value 2", 8, 4),
        ("table.too_short", "value 3", 10, 0),
    ]
    assert "before 3 of the 6 values" in rejects[1].reason
    # A partial read: what it does not reach is absent.
    part = TableImage(meter="m", table=28, offset=8, data=meter.bt28()[8:16], whole=False)
    rows, rejects = run([*images({21: meter.bt21()}), part])
    assert [(r["index"], r["raw"]) for r in rows] == [(2, 1002), (3, 1003)]
    assert rejects == []
    # With the defaults there are as many values as bytes; half a value is a reject.
    rows, rejects = run({28: meter.bt28()[:10]}, assume_defaults=True)
    assert ([r["index"] for r in rows], codes(rejects)) == ([0, 1], ["measurements.incomplete"])


def test_a_full_read_of_a_module_ends_early(run: Decode) -> None:
    """The MEP guide p. 219: values 75 to 83 of a Control Point Module take a partial read of their own."""
    meter = Registers(present_values=84)
    data = meter.bt28()
    module, other = bt01(1 << 12 | 32 << 5), bt01(4 << 12 | 30 << 5)
    rows, rejects = run({1: module, 21: meter.bt21(), 28: data[: 4 * 75]})
    assert (len(rows), rejects) == (75, [])
    assert codes(run({1: other, 21: meter.bt21(), 28: data[: 4 * 75]})[1]) == ["table.too_short"]
    assert codes(run({1: module, 21: meter.bt21(), 28: data[: 4 * 74]})[1]) == ["table.too_short"]
    rest = TableImage(meter="m", table=28, offset=4 * 75, data=data[4 * 75 :], whole=False)
    rows, rejects = run([*images({1: module, 21: meter.bt21(), 28: data[: 4 * 75]}), rest])
    assert ([r["index"] for r in rows], rejects) == (list(range(84)), [])


def test_bt20_stands_in_on_old_firmware(run: Decode) -> None:
    meter = Registers(present_values=18)
    tables = {20: meter.bt21(), 28: meter.bt28()}
    assert len(run(tables)[0]) == 18
    assert codes(run({**tables, 28: meter.bt28([1, 2])})[1]) == ["dimension.missing"]
    assert len(run({**tables, 1: bt01(2 << 12 | 1 << 5)})[0]) == 18
    assert codes(run({**tables, 1: bt01(3 << 12)})[1]) == ["dimension.missing"]
