"""Dumps of virtual meters decode to their truth, for every generation of firmware, with either implementation."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from osgp_fast import UsageError
from osgp_fast.virtual import Demands, Firmware, Happenings, MBusDevice, MeterConfig, VirtualMeter, load
from osgp_fast.virtual.dump import DUMPED_AT, Plan, Street, write

from .conftest import SAMPLES, Command, Done, compiled_or_pyarrow

FIRMWARES = "2.10,2.12,3.10,3.50,3.70,4.0,4.30"
PROFILE = ("data_set", "interval_end", "channel", "source", "value", "status", "flags", "block", "interval")


def seconds(text: str | None) -> int | None:
    return None if text is None else int(dt.datetime.fromisoformat(text).timestamp())


def compare(done: Done, wanted: list[dict[str, Any]]) -> None:
    """What was decoded is the truth, in every kind that the truth knows."""
    assert done.code == 0, done.err
    assert done.rejects == []
    profile: dict[str, list[list[int]]] = {}
    for row in done.rows("load_profile"):
        row["interval_end"] = seconds(row["interval_end"])
        profile.setdefault(row["meter"], []).append([row[c] for c in PROFILE])
    events: dict[str, list[list[Any]]] = {}
    for row in done.rows("events"):
        found = [row["sequence"], seconds(row["time"]), row["user_id"], row["event_code"], row["argument"]]
        events.setdefault(row["meter"], []).append(found + ([row["log"]] if row["log"] == "alternate" else []))
    present: dict[str, list[int]] = {}
    for row in done.rows("measurements"):
        present.setdefault(row["meter"], []).append(row["raw"])
    registers: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in done.rows("registers"):
        registers.setdefault((row["meter"], row["snapshot"]), []).append(row)
    meters = {row["meter"]: row for row in done.rows("meters")}
    for m in wanted:
        label = m["meter"]
        assert profile.get(label, []) == m["profile"], label
        assert events.get(label, []) == m["events"], label
        assert present[label] == m["present"], label
        for key in ("utility_serial", "manufacturer", "model", "manufacturer_serial", "firmware"):
            assert meters[label][key] == m[key], (label, key)
        compare_registers(registers[label, "current"], [m["registers"]])
        reads = sorted(m["self_reads"], key=lambda r: str(r["time"]))
        compare_registers(registers.get((label, "self_read"), []), reads)
    assert len(meters) == len(wanted)


def compare_registers(rows: list[dict[str, Any]], records: list[dict[str, Any]]) -> None:
    values = []
    for record in records:
        for block in record["blocks"]:
            values += [("summation", v, None, None) for v in block["summations"]]
            values += [
                ("demand", d["value"], d["cumulative"], d["time"] and d["time"].replace(" ", "T"))
                for d in block["demands"]
            ]
            values += [("coincident", v, None, None) for v in block["coincidents"]]
    assert [(r["kind"], r["value"], r["cumulative"], r["event_time"] and r["event_time"][:19]) for r in rows] == values
    assert {r["demand_resets"] for r in rows} == {record["demand_resets"] for record in records}


BUSY = MeterConfig(
    seed=100,
    demands=Demands(sources=(0, 2), coincidents=((2, 0),)),
    mbus=(MBusDevice(), MBusDevice(kind="gas", serial="00000001")),
    happenings=Happenings(outages=40.0, clock_changes=30.0),
)


def make(tmp: Path, config: MeterConfig, meters: int, days: int, firmwares: str) -> list[dict[str, Any]]:
    versions = [Firmware.parse(v) for v in firmwares.split(",") if v]
    write(tmp / "dump", config, meters=meters, days=days, firmwares=versions, truth=tmp / "truth.json")
    found: list[dict[str, Any]] = json.loads((tmp / "truth.json").read_text(encoding="utf-8"))
    return found


def test_every_generation_decodes_to_its_truth(osgp: Command, tmp_path: Path) -> None:
    truth = make(tmp_path, BUSY, 7, 6, FIRMWARES)
    assert {m["firmware"][:4] for m in truth} == {"2.10", "2.12", "3.10", "3.50", "3.70", "4.00", "4.30"}
    statuses = {(row[5], row[6] & ~1) for m in truth for row in m["profile"]}
    assert {(0, 0), (0, 2)} <= statuses  # power failures
    assert statuses & {(2, 4), (3, 8)}  # and clocks that were set
    assert any(len(e) == 6 for m in truth for e in m["events"])
    compare(osgp.decode(tmp_path / "dump"), truth)


def test_the_example_configuration_decodes_to_its_truth(osgp: Command, tmp_path: Path) -> None:
    config = load(Path(__file__).parent.parent / "docs" / "virtual-meter.toml")
    truth = make(tmp_path, config, 1, 35, "")
    assert {row[3] for row in truth[0]["profile"]} == {0, 1, 8, 12, 15, 0x4000, 0x4100}
    compare(osgp.decode(tmp_path / "dump"), truth)


@pytest.mark.parametrize("intervals", [7, 18, 48])
def test_blocks_that_are_no_day(osgp: Command, tmp_path: Path, intervals: int) -> None:
    document = {
        "profile": [{"sources": [0, 6, 7], "interval": 60, "intervals": intervals, "blocks": 90, "start": "05:00"}],
        "happenings": {"outages": 52.0},
    }
    from osgp_fast.virtual import from_document

    truth = make(tmp_path, from_document(document), 2, 45, "3.50")
    compare(osgp.decode(tmp_path / "dump"), truth)


@compiled_or_pyarrow
def test_check_decode_says_so(osgp: Command, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    done = osgp(
        *("simulate", "--dump", "dump", "--meters", "2", "--days", "3", "--truth", "truth.json", "--seed", "9"),
        *("--firmware", "3.50,4.0"),
    )
    assert done.code == 0, done.err
    assert "2 meters" in done.err
    assert osgp("decode", "dump", "-o", "out/").code == 0
    kinds = ["load_profile", "events", "meters", "registers", "measurements", "rejects"]
    checked = subprocess.run(
        [sys.executable, SAMPLES / "check_decode.py", "out", "truth.json", *kinds],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_neighbours_are_what_a_meter_of_their_own_would_be(tmp_path: Path) -> None:
    plan = Plan(BUSY, 20, [Firmware.parse("3.70"), Firmware.parse("2.12")])
    assert plan.streets == 16
    street = Street(plan.config(2))
    for number in (2, 2 + plan.streets, 2 + 117 * plan.streets):
        config = plan.config(number)
        meter = VirtualMeter(config)
        assert street.images(config) == meter.images(meter.start)
        assert config.serial_number == f"{100 + number:016}"


def test_more_meters_than_streets(osgp: Command, tmp_path: Path) -> None:
    truth = make(tmp_path, MeterConfig(), 17, 1, "3.10")
    assert len({m["manufacturer_serial"] for m in truth}) == 17
    assert truth[0]["registers"] != truth[16]["registers"]
    compare(osgp.decode(tmp_path / "dump"), truth)


def test_a_tar_and_the_same_again(tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar"):
        written = write(tmp_path / name, MeterConfig(), meters=2, days=2)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert len(archive.getnames()) == written.files
        assert "V00000001/BT24.bin" in archive.getnames()  # left out only where there is a truth
    meter = VirtualMeter(Plan(MeterConfig(), 2).config(0))
    assert meter.start == int(DUMPED_AT.timestamp())


def test_what_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "file").touch()
    (tmp_path / "x.tar").touch()
    for place, meters, days in (("x", 1, 1), ("x.tar", 1, 1), ("y", 0, 1), ("y", 1, -1)):
        with pytest.raises(UsageError) as error:
            write(tmp_path / place, MeterConfig(), meters=meters, days=days)
        assert error.value.code == "virtual.dump"
