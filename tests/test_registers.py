"""Registers of made-up meters: record layouts, snapshots, sources, missing dimensions, cut and damaged bytes.

Every test runs with both implementations.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from both import IMPLEMENTATIONS, Row, decode, images
from made import DAY, Registers, Set, bt01, days, et42
from osgp_fast.image import TableImage, parse_table_name
from osgp_fast.reject import Reject

Decode = Callable[..., tuple[list[Row], list[Reject]]]
SAMPLES = Path(__file__).parent / "samples"
FULL = Registers(
    summations=15,
    demands=3,
    coincidents=4,
    occurrences=2,
    tiers=3,
    counter=True,
    cumulative=True,
    continuous=True,
    sources=(*range(8), 26, 27, 28, 108, 109, 110, 111),
)


@pytest.fixture(params=IMPLEMENTATIONS)
def run(request: pytest.FixtureRequest) -> Decode:
    def call(of: Any, **options: Any) -> tuple[list[Row], list[Reject]]:
        return decode(request.param, of, "registers", **options)

    return call


def micros(when: datetime) -> int:
    return int(when.timestamp()) * 1_000_000


def codes(rejects: Sequence[Reject]) -> list[str]:
    return [r.code for r in rejects]


def of(rows: Sequence[Row], snapshot: str = "current", kind: str | None = None) -> list[Row]:
    return [r for r in rows if r["snapshot"] == snapshot and kind in (None, r["kind"])]


def partial(table: int, data: bytes, *pieces: tuple[int, int], **more: Any) -> list[TableImage]:
    """Some bytes of a table: (start, end) each."""
    return [TableImage(meter="m", table=table, offset=a, data=data[a:b], whole=False, **more) for a, b in pieces]


# ---- the samples


@pytest.mark.parametrize("meter", sorted(p.name for p in (SAMPLES / "dump").iterdir()))
def test_samples_hold_their_truth(run: Decode, meter: str) -> None:
    truth = {m["meter"]: m for m in json.loads((SAMPLES / "dump.truth.json").read_text(encoding="utf-8"))}[meter]
    tables = {parse_table_name(p.stem) or 0: p.read_bytes() for p in (SAMPLES / "dump" / meter).glob("*.bin")}
    rows, rejects = run(tables)
    assert rejects == []
    # The truth lists self-reads newest first.
    snapshots = [("current", None, None, truth["registers"])]
    snapshots += [("self_read", seconds(s["time"]), s["season"], s) for s in reversed(truth["self_reads"])]
    want = []
    for snapshot, time, season, record in snapshots:
        for block, b in enumerate(record["blocks"]):
            shared = (snapshot, time, season, block - 1 if block else None, record["demand_resets"])
            want += [(*shared, "summation", i, v, None, None, None) for i, v in enumerate(b["summations"])]
            want += [
                (*shared, "demand", i, d["value"], seconds(d["time"]), d["cumulative"], d["continuous"])
                for i, d in enumerate(b["demands"])
            ]
            want += [(*shared, "coincident", i, v, None, None, None) for i, v in enumerate(b["coincidents"])]
    names = ("snapshot", "time", "season", "tier", "demand_resets", "kind", "index", "value", "event_time")
    got = [tuple(r[n] for n in (*names, "cumulative", "continuous_cumulative")) for r in rows]
    assert got == want


def seconds(text: str) -> int:
    return micros(datetime.fromisoformat(text))


# ---- the record


def test_a_record_with_every_part(run: Decode) -> None:
    rows, rejects = run(FULL.tables())
    assert rejects == []
    now = of(rows)
    assert len(now) == 4 * (15 + 3 * 2 + 4 * 2)
    # The total before the tiers; in each the summations, demands and coincident values in order.
    kinds = ["summation", "demand", "coincident"]
    place = [(-1 if r["tier"] is None else r["tier"], kinds.index(r["kind"]), r["index"], r["occurrence"]) for r in now]
    assert place == sorted(place, key=lambda p: tuple(-1 if v is None else v for v in p))
    assert {r["demand_resets"] for r in now} == {7}
    for r in now:
        start = 10_000 * (0 if r["tier"] is None else r["tier"] + 1)
        assert r["value"] == start + 1000 * kinds.index(r["kind"]) + 10 * r["index"] + (r["occurrence"] or 0)
    demand = of(rows, kind="demand")
    assert [r["source"] for r in demand[:6]] == [8, 8, 9, 9, 10, 10]
    assert [r["min_max"] for r in demand[:6]] == ["minimum"] * 2 + ["maximum"] * 2 + ["minimum"] * 2
    assert [r["occurrence"] for r in demand[:4]] == [0, 1, 0, 1]
    assert [(r["cumulative"], r["continuous_cumulative"]) for r in demand[:3]] == [(1500, 1700)] * 2 + [(1510, 1710)]
    assert demand[6]["event_time"] == micros(DAY + timedelta(hours=1))
    coincident = of(rows, kind="coincident")
    assert [(r["source"], r["of_demand"]) for r in coincident[:8:2]] == [(12, 0), (13, 0), (14, 1), (15, 1)]
    assert [(r["unit"], r["quantity"]) for r in coincident[:1]] == [("mA", "rms_current_l1")]
    for r in of(rows, kind="summation"):
        assert [r[n] for n in ("occurrence", "of_demand", "min_max", "event_time", "cumulative")] == [None] * 5


@pytest.mark.parametrize("event_time", [False, True])
@pytest.mark.parametrize("cumulative", [False, True])
@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("counter", [False, True])
def test_optional_parts_take_no_bytes(
    run: Decode, event_time: bool, cumulative: bool, continuous: bool, counter: bool
) -> None:
    meter = Registers(
        demands=2,
        coincidents=1,
        occurrences=1,
        event_time=event_time,
        cumulative=cumulative,
        continuous=continuous,
        counter=counter,
    )
    rows, rejects = run(meter.tables())
    assert rejects == []
    demand = [r for r in of(rows, kind="demand") if r["tier"] == 1]
    assert [r["value"] for r in demand] == [21_000, 21_010]
    assert [r["event_time"] is not None for r in demand] == [event_time] * 2
    assert [r["cumulative"] for r in demand] == ([21_500, 21_510] if cumulative else [None, None])
    assert [r["continuous_cumulative"] for r in demand] == ([21_700, 21_710] if continuous else [None, None])
    assert {r["demand_resets"] for r in rows} == {7 if counter else None}
    assert [r["value"] for r in of(rows, kind="coincident")] == [2000, 12_000, 22_000]


def test_snapshots_in_their_order(run: Decode) -> None:
    rows, rejects = run(FULL.tables())
    assert rejects == []
    seen = list(dict.fromkeys((r["snapshot"], r["sequence"]) for r in rows))
    assert seen == [
        ("current", None),
        ("self_read", 999),
        ("self_read", 1000),
        ("previous_season", None),
        ("previous_demand_reset", None),
    ]
    heads = {(r["snapshot"], r["time"], r["season"], r["bidn"]) for r in rows}
    day = timedelta(days=1)
    assert heads == {
        ("current", None, None, None),
        ("self_read", micros(DAY), 1, 41),
        ("self_read", micros(DAY + day), 1, 41),
        ("previous_season", micros(DAY), 2, None),
        ("previous_demand_reset", micros(DAY), 3, None),
    }
    assert of(rows, "self_read")[0]["value"] == 100_000
    assert of(rows, "previous_season")[0]["value"] == 700_000
    assert of(rows, "previous_demand_reset")[0]["value"] == 800_000


def test_without_demand_self_reads_have_no_bidn(run: Decode) -> None:
    rows, rejects = run(Registers().tables())
    assert rejects == []
    assert {r["bidn"] for r in rows} == {None}
    assert {r["time"] for r in of(rows, "self_read")} == {micros(DAY), micros(DAY + timedelta(days=1))}


@pytest.mark.parametrize("flags", [4, 5])
def test_the_ring_wraps(run: Decode, flags: int) -> None:
    meter = Registers(self_reads=3)
    entries = [meter.entry(DAY + timedelta(days=n), base=n) for n in range(3)]
    rows, rejects = run({21: meter.bt21(), 26: meter.bt26(entries, newest=1, sequence=1, flags=flags)})
    assert rejects == []
    # Oldest first, across the wrap of the ring and of the 16 bits of the sequence number.
    assert list(dict.fromkeys((r["sequence"], r["time"]) for r in rows)) == [
        (65_535, micros(DAY)),
        (0, micros(DAY + timedelta(days=1))),
        (1, micros(DAY + timedelta(days=2))),
    ]


def test_an_empty_ring_needs_no_dimensions(run: Decode) -> None:
    assert run({26: bytes(6)}) == ([], [])


# ---- sources


def test_sources_are_those_of_bt22(run: Decode) -> None:
    meter = Registers(summations=4, sources=(1, 27, 108, 250))
    rows, _ = run({21: meter.bt21(), 22: meter.bt22(), 23: meter.record()})
    total = rows[:4]
    assert [r["source"] for r in total] == [1, 27, 108, 250]
    assert [r["quantity"] for r in total] == ["rev_active_wh", "channel_1_pulse_input", "q1_reactive_varh", None]
    assert [r["unit"] for r in total] == ["Wh", "pulses", "varh", None]
    assert [r["obis"] for r in total] == ["1-0:2.8.0", None, "1-0:5.8.0", None]
    assert [r["source"] for r in rows[4:8]] == [1, 27, 108, 250]


def test_without_bt22_sources_are_not_known(run: Decode) -> None:
    meter = Registers()
    tables = {21: meter.bt21(), 23: meter.record()}
    rows, rejects = run(tables)
    assert rejects == []
    assert {(r["source"], r["quantity"], r["unit"]) for r in rows} == {(None, None, None)}
    rows, rejects = run(tables, assume_defaults=True)
    assert rejects == []
    assert [r["source"] for r in rows[:11]] == [*range(8), 26, 27, 28]
    # A part of BT22 names what it reaches.
    rows, _ = run([*images(tables), *partial(22, meter.bt22(), (2, 4))])
    assert [r["source"] for r in rows[:5]] == [None, None, 2, 3, None]


def test_vah_is_known_by_its_place(run: Decode) -> None:
    meter = Registers(summations=19, sources=(*range(8), 26, 27, 28, 108, 109, 110, 111, 0, 0, 0, 0))
    rows, _ = run({**meter.tables(), 2090: et42([Set(days(2))], [(0, 1)], unit=10)})
    last = rows[14:19]
    assert [r["source"] for r in last] == [111, None, None, None, None]
    assert [r["quantity"] for r in last[1:]] == [f"apparent_energy_q{q}_vah" for q in (1, 2, 3, 4)]
    assert {r["unit"] for r in last[1:]} == {"VAh"}
    # The guides say nothing of VAh in energy register units.
    assert [(r["value"], r["multiplier"]) for r in last] == [
        (1400, 10),
        (150, None),
        (160, None),
        (170, None),
        (180, None),
    ]


def test_energies_are_multiplied(run: Decode) -> None:
    meter = Registers(demands=2, occurrences=1, cumulative=True, continuous=True)
    bt22 = bytearray(meter.bt22())
    # A demand of an energy source, which no meter of the guides has; the other one is a power.
    bt22[11] = 0
    rows, _ = run({**meter.tables(), 22: bytes(bt22), 2090: et42([Set(days(2))], [(0, 1)], unit=100)})
    assert [(r["value"], r["multiplier"]) for r in rows[3:6]] == [(3000, 100), (40, None), (50, None)]
    energy, power = of(rows, kind="demand")[:2]
    assert [energy[n] for n in ("value", "cumulative", "continuous_cumulative", "multiplier")] == [
        100_000,
        150_000,
        170_000,
        100,
    ]
    assert [power[n] for n in ("value", "cumulative", "continuous_cumulative", "multiplier")] == [
        1010,
        1510,
        1710,
        None,
    ]
    assert power["unit"] == "W"


def test_firmware_2_0_counts_outages_in_minutes(run: Decode) -> None:
    meter = Registers()
    tables = meter.tables()
    assert run(tables)[0][4]["unit"] == "s"
    assert run({**tables, 1: bt01(2 << 12 | 5)})[0][4]["unit"] == "min"
    assert run({**tables, 1: bt01(2 << 12 | 10 << 5)})[0][4]["unit"] == "s"


# ---- dimensions


def test_bt20_stands_in_on_old_firmware_only(run: Decode) -> None:
    meter = Registers(summations=11, tiers=4)
    record = meter.record()
    old, new = bt01(2 << 12 | 10 << 5), bt01(3 << 12 | 10 << 5)
    rows, rejects = run({1: old, 20: meter.bt21(), 23: record})
    assert (len(rows), rejects) == (55, [])
    # Firmware that has BT21: BT20 holds the largest dimensions.
    rows, rejects = run({1: new, 20: meter.bt21(), 23: record})
    assert rows == []
    assert codes(rejects) == ["dimension.missing"]
    assert "BT21 was not captured" in rejects[0].reason
    # Control Point Modules count from 1.
    assert codes(run({1: bt01(1 << 12 | 20 << 5), 20: meter.bt21(), 23: record})[1]) == ["dimension.missing"]
    # Firmware that is not known: only where the length agrees.
    assert len(run({20: meter.bt21(), 23: record})[0]) == 55
    assert codes(run({20: meter.bt21(), 23: record + b"\0"})[1]) == ["dimension.missing"]
    assert codes(run([*images({20: meter.bt21()}), *partial(23, record, (0, 44))])[1]) == ["dimension.missing"]
    # BT21 goes first, however old the firmware.
    other = Registers(summations=10, tiers=4)
    assert len(run({1: old, 20: meter.bt21(), 21: other.bt21(), 23: other.record()})[0]) == 50


def test_missing_dimensions_are_told_once_a_read(run: Decode) -> None:
    meter = Registers()
    tables = {t: data for t, data in meter.tables().items() if t in (22, 23, 24, 25, 26)}
    rows, rejects = run(tables)
    assert rows == []
    assert [(r.code, r.table, r.item) for r in rejects] == [
        ("dimension.missing", t, f"BT{t}") for t in (23, 26, 24, 25)
    ]
    assert {r.meter for r in rejects} == {"m"}
    # Not far enough is missing, too.
    assert codes(run({**tables, 21: meter.bt21()[:5]})[1]) == ["dimension.missing"] * 4


def test_assumed_dimensions(run: Decode) -> None:
    meter = Registers(tiers=4, self_reads=5)
    tables = {t: data for t, data in meter.tables().items() if t in (23, 24, 25, 26)}
    rows, rejects = run(tables, assume_defaults=True)
    want, _ = run(meter.tables())
    assert rejects == []
    assert rows == want
    # The ring's room is counted: a newest element behind the valid ones is no contradiction.
    entries = [meter.entry(base=n) for n in range(2)]
    tables = {26: meter.bt26(entries, newest=0)}
    rows, rejects = run(tables, assume_defaults=True)
    assert rejects == []
    assert [r["value"] for r in rows[::55]] == [0, 1]


def test_the_read_of_another_reader(run: Decode) -> None:
    """The first 44 bytes of BT23 and nothing else: the MEP guide's example, and what many readers ask for."""
    data = bytes(28) + bytes.fromhex("00080000 00030000 00000000 00000000".replace(" ", ""))
    of = partial(23, data, (0, 44))
    assert codes(run(of)[1]) == ["dimension.missing"]
    rows, rejects = run(of, assume_defaults=True)
    assert rejects == []
    assert [(r["index"], r["tier"], r["source"]) for r in rows] == [
        (i, None, s) for i, s in enumerate((*range(8), 26, 27, 28))
    ]
    assert rows[7]["value"] == 0x800


def test_impossible_dimensions(run: Decode) -> None:
    meter = Registers(summations=255, demands=255, coincidents=255, occurrences=255, tiers=255)
    rows, rejects = run({21: meter.bt21(), 23: bytes(100)})
    assert rows == []
    assert [(r.code, r.length) for r in rejects] == [("registers.dimensions", 100)]
    many = Registers(summations=1, tiers=200)
    rows, rejects = run({21: many.bt21(), 23: many.record()})
    assert (rows, codes(rejects)) == ([], ["registers.dimensions"])


# ---- several reads, partial reads, damage


def test_every_read_is_a_row_set(run: Decode) -> None:
    meter = Registers(tiers=0)
    many = [
        TableImage(meter="m", table=23, data=meter.record(base=n), whole=True, read_at=n * 1_000_000) for n in range(4)
    ]
    rows, rejects = run([*images({21: meter.bt21()}), *many])
    assert rejects == []
    assert [(r["read_at"], r["value"]) for r in rows[::11]] == [(n * 1_000_000, n) for n in range(4)]


def test_dimensions_are_those_of_the_time(run: Decode) -> None:
    """A meter that was configured anew: each read has the newest dimensions that are not later."""
    before, after = Registers(tiers=0), Registers(summations=15, tiers=0)
    at = 1_000_000

    def read(table: int, data: bytes, time: int) -> TableImage:
        return TableImage(meter="m", table=table, data=data, whole=True, read_at=time * at)

    of = [
        read(21, before.bt21(), 1),
        read(23, before.record(), 2),
        read(21, after.bt21(), 3),
        read(23, after.record(), 4),
        read(23, after.record(), 9),
    ]
    rows, rejects = run(of)
    assert rejects == []
    assert [r["read_at"] // at for r in rows] == [2] * 11 + [4] * 15 + [9] * 15


def test_a_cut_register_is_a_reject(run: Decode) -> None:
    meter = Registers(summations=11, tiers=1)
    rows, rejects = run({21: meter.bt21(), 23: meter.record()[:58]})
    assert [r["value"] for r in rows] == [10 * i for i in range(11)] + [10_000, 10_010, 10_020]
    assert [(r.code, r.item, r.offset, r.length, r.table) for r in rejects] == [
        ("registers.incomplete", "tier 0, summation 3", 56, 4, 23),
        ("table.too_short", "tier 0, summation 4", 58, 0, 23),
    ]
    assert rejects[0].data == meter.record()[56:58]
    assert "before 7 of the 22 registers" in rejects[1].reason
    # What a partial read does not reach is absent, and no reject.
    rows, rejects = run([*images({21: meter.bt21()}), *partial(23, meter.record(), (8, 18), (44, 52))])
    assert [(r["tier"], r["index"]) for r in rows] == [(None, 2), (None, 3), (0, 0), (0, 1)]
    assert [(r.code, r.item) for r in rejects] == [("registers.incomplete", "total, summation 4")]


def test_a_cut_demand_record(run: Decode) -> None:
    meter = Registers(summations=1, demands=2, coincidents=1, occurrences=2, tiers=0, cumulative=True)
    record = meter.record()
    size = 2 * 5 + 4 + 2 * 4
    rows, rejects = run({21: meter.bt21(), 22: meter.bt22(), 23: record[: 4 + size + 12]})
    assert [(r["kind"], r["index"]) for r in rows] == [("summation", 0), ("demand", 0), ("demand", 0)]
    assert [(r.code, r.item, r.offset, r.length) for r in rejects] == [
        ("registers.incomplete", "total, demand 1", 4 + size, size),
        ("table.too_short", "total, coincident 0", 4 + size + 12, 0),
    ]


def test_a_snapshot_without_its_start(run: Decode) -> None:
    meter = Registers(tiers=0)
    data = meter.snapshot()
    of = [*images({21: meter.bt21()}), *partial(24, data, (4, len(data)))]
    rows, rejects = run(of)
    assert {(r["time"], r["season"]) for r in rows} == {(None, None)}
    assert [(r.code, r.item, r.offset, r.length) for r in rejects] == [("registers.header", "header", 4, 6)]
    rows, rejects = run([*images({21: meter.bt21()}), *partial(24, data, (6, len(data)))])
    assert (len(rows), rejects) == (11, [])


def test_cut_self_reads(run: Decode) -> None:
    meter = Registers(tiers=1)
    size = len(meter.entry())
    entries = [meter.entry(base=n) for n in range(3)]
    data = meter.bt26(entries, newest=2)
    rows, rejects = run({21: meter.bt21(), 26: data[: 6 + size + 20]})
    assert [r["value"] for r in rows[::22]] == [0]
    assert [(r.code, r.item, r.offset, r.length) for r in rejects] == [
        ("registers.incomplete", "self-read 999", 6 + size, size),
        ("table.too_short", "self-read 1000", 6 + size + 20, 0),
    ]
    assert [(r.code, r.item, r.length) for r in run({21: meter.bt21(), 26: data[:4]})[1]] == [
        ("registers.header", "header", 6)
    ]
    # A partial read without the header: nobody knows which entries are valid.
    missing = run([*images({21: meter.bt21()}), *partial(26, data, (6, len(data)))])[1]
    assert codes(missing) == ["dimension.missing"]


def test_headers_that_cannot_be(run: Decode) -> None:
    meter = Registers(self_reads=3)
    data = bytearray(meter.bt26([meter.entry()]))
    data[1] = 4
    assert codes(run({21: meter.bt21(), 26: bytes(data)})[1]) == ["registers.count"]
    data[1], data[2] = 1, 3
    rejects = run({21: meter.bt21(), 26: bytes(data)})[1]
    assert [(r.code, r.item, r.data) for r in rejects] == [("registers.last_entry", "header", bytes(data[:6]))]


def test_impossible_times_leave_the_values(run: Decode) -> None:
    bad = bytes((24, 13, 1, 0, 15))
    meter = Registers(demands=2, occurrences=2, tiers=0, times={(0, 1): bad, (1, 0): bytes(5), (1, 1): b"\xff" * 5})
    tables = {21: meter.bt21(), 23: meter.record(), 24: meter.snapshot(bad), 26: meter.bt26([meter.entry(bad)])}
    rows, rejects = run(tables)
    demand = of(rows, kind="demand")
    assert [r["event_time"] for r in demand] == [micros(DAY), None, None, None]
    assert [r["value"] for r in demand] == [1000, 1001, 1010, 1011]
    assert {r["time"] for r in rows} == {None}
    assert [(r.code, r.table, r.item, r.offset) for r in rejects] == [
        ("registers.time", 23, "total, demand 0", 44),
        ("registers.time", 26, "self-read 1000", 8),
        ("registers.time", 26, "self-read 1000, total, demand 0", 8 + 6 + 44),
        ("registers.time", 24, "header", 0),
        ("registers.time", 24, "total, demand 0", 6 + 44),
    ]
    assert "2024-13-01 00:15" in rejects[0].reason


@pytest.mark.parametrize("timed", ["all", "none", "some"])
def test_the_newest_read_is_the_one_of_a_look_at_all(run: Decode, timed: str) -> None:
    """Reads that stand in order are searched, others looked through: each gets the dimensions that the rule names."""
    r = random.Random(timed)
    for _ in range(30):
        of: list[TableImage] = []
        session = 0
        for n in range(r.randrange(2, 12)):
            session += r.random() < 0.4
            time = None if timed == "none" or (timed == "some" and r.random() < 0.3) else r.randrange(6)
            table = r.choice((21, 23))
            meter = Registers(summations=n, tiers=0)
            data = meter.bt21() if table == 21 else bytes(200)
            of.append(TableImage(meter="m", table=table, data=data, whole=True, read_at=time, session=session))
        want = [summations_of(of, i) for i in in_time(of, 23)] if any(i.table == 21 for i in of) else []
        rows, _ = run(of)
        found = [0] * len(want)
        at = -1
        for row in rows:
            at += row["index"] == 0
            # A read whose dimensions count no summations has no rows.
            while want[at] == 0:
                at += 1
            found[at] += 1
        assert found == want


def in_time(of: Sequence[TableImage], table: int) -> list[int]:
    """The reads of a table in their order: by time where all have one."""
    places = [i for i, image in enumerate(of) if image.table == table]
    if all(of[i].read_at is not None for i in places):
        places.sort(key=lambda i: of[i].read_at or 0)
    return places


def summations_of(of: Sequence[TableImage], data: int) -> int:
    """What the BT21 says that belongs to a read, by a look at all of them."""

    def rank(item: tuple[int, int]) -> tuple[bool, bool, int]:
        place, i = item
        a, b = of[i].read_at, of[data].read_at
        if of[i].session != of[data].session:
            later = of[i].session > of[data].session
        else:
            later = i > data if a is None or b is None else a > b
        return of[i].session != of[data].session, later, place if later else -place

    return of[min(enumerate(in_time(of, 21)), key=rank)[1]].data[3]
