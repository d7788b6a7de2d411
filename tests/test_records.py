"""Load profile, events, meters, channels of made-up meters: the cases that decide whether rows can be trusted.

Every test runs with both implementations.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from both import IMPLEMENTATIONS, Row, decode, images
from made import DAY, Block, Event, Set, bt01, days, et21, et42, log_tables, profile_tables, stime, value
from osgp_fast.image import TableImage
from osgp_fast.reject import Reject

Decode = Callable[..., tuple[list[Row], list[Reject]]]
H = timedelta(hours=1)


@pytest.fixture(params=IMPLEMENTATIONS)
def run(request: pytest.FixtureRequest) -> Decode:
    def call(of: Any, kind: str = "load_profile", **options: Any) -> tuple[list[Row], list[Reject]]:
        return decode(request.param, of, kind, **options)

    return call


def ends(rows: Sequence[Row], block: int) -> list[datetime]:
    """When the intervals of a block end, of channel 0."""
    of = [r for r in rows if r["block"] == block and r.get("channel", 0) == 0]
    return [datetime.fromtimestamp(r["interval_end"] / 1_000_000, UTC) for r in of]


def codes(rejects: Sequence[Reject]) -> list[str]:
    return [r.code for r in rejects]


# ---- placing


def test_a_complete_block(run: Decode) -> None:
    rows, rejects = run(profile_tables([Set(days(3))]))
    assert rejects == []
    assert ends(rows, 1000) == [DAY + 8 * H + i * H for i in range(1, 5)]
    assert [r["value"] for r in rows if r["block"] == 999] == [value(1, i, c) for i in range(4) for c in range(2)]
    assert [(r["data_set"], r["block"], r["interval"], r["channel"]) for r in rows] == sorted(
        (r["data_set"], r["block"], r["interval"], r["channel"]) for r in rows
    )


def test_the_newest_block_is_incomplete(run: Decode) -> None:
    blocks = [*days(2), Block(DAY + 8 * H, range(2), DAY + 10 * H)]
    rows, _ = run(profile_tables([Set(blocks)]))
    assert ends(rows, 1000) == [DAY + 9 * H, DAY + 10 * H]


def test_an_older_block_was_cut_short(run: Decode) -> None:
    blocks = days(3)
    blocks[1] = Block(DAY + 4 * H, range(2), DAY + 6 * H)
    rows, _ = run(profile_tables([Set(blocks)]))
    assert ends(rows, 999) == [DAY + 5 * H, DAY + 6 * H]


def test_a_complete_block_with_a_hole_at_its_end(run: Decode) -> None:
    blocks = days(3)
    blocks[1] = Block(DAY + 4 * H, (0, 2))
    rows, _ = run(profile_tables([Set(blocks)]))
    assert ends(rows, 999) == [DAY + 5 * H, DAY + 7 * H]


@pytest.mark.parametrize("place", [0, 2])
def test_a_hole_at_the_end_of_the_oldest_or_newest_block(run: Decode, place: int) -> None:
    blocks = days(3)
    blocks[place] = Block(blocks[place].start, (0, 1))
    rows, _ = run(profile_tables([Set(blocks)]))
    assert ends(rows, 998 + place) == [blocks[place].start + H, blocks[place].start + 2 * H]


def test_no_block_is_certain(run: Decode) -> None:
    # One was cut short and one has a hole; only one reading of each puts both on one grid.
    blocks = [Block(DAY, (0, 1, 2)), Block(DAY + 4 * H, (0, 1), DAY + 6 * H)]
    rows, _ = run(profile_tables([Set(blocks)]))
    assert ends(rows, 999) == [DAY + H, DAY + 2 * H, DAY + 3 * H]
    assert ends(rows, 1000) == [DAY + 5 * H, DAY + 6 * H]


def test_alone_and_in_doubt_the_last_interval_decides(run: Decode) -> None:
    rows, _ = run(profile_tables([Set([Block(DAY, (0, 1), DAY + 2 * H)])]))
    assert ends(rows, 1000) == [DAY + H, DAY + 2 * H]


@pytest.mark.parametrize("stride", [130, 131])
def test_et21_knows_where_blocks_start(run: Decode, stride: int) -> None:
    sets = [Set([Block(DAY, (0, 1))]), Set([Block(DAY + 2 * H, (0,), DAY + 3 * H)], channels=3)]
    tables = {**profile_tables(sets), 2069: et21(sets, stride, hour=0)}
    rows, _ = run(tables)
    assert ends([r for r in rows if r["data_set"] == 1], 1000) == [DAY + H, DAY + 2 * H]
    # Neither reading of this one is on the grid of blocks of four hours from midnight: the last interval decides.
    assert ends([r for r in rows if r["data_set"] == 2], 1000) == [DAY + 3 * H]


def test_et42_knows_it_too(run: Decode) -> None:
    sets = [Set([Block(DAY + H, (0, 1))], room=1)]
    tables = {**profile_tables(sets), 2090: et42(sets, [(0, 1)], hour=1)}
    rows, _ = run(tables)
    assert ends(rows, 1000) == [DAY + 2 * H, DAY + 3 * H]


def test_blocks_that_do_not_divide_a_day(run: Decode) -> None:
    blocks = days(4, intervals=18)
    blocks[2] = Block(blocks[2].start, range(12))
    sets = [Set(blocks, intervals=18)]
    rows, _ = run(profile_tables(sets))
    assert ends(rows, 999) == [blocks[2].start + i * H for i in range(1, 13)]
    # By ET21 alone both readings fit a grid of six hours; the neighbours know better.
    rows, _ = run({**profile_tables(sets), 2069: et21(sets)})
    assert ends(rows, 999) == [blocks[2].start + i * H for i in range(1, 13)]


def test_a_day_as_interval(run: Decode) -> None:
    rows, rejects = run(profile_tables([Set([Block(DAY, range(4))], minutes=84)]))
    assert rejects == []
    assert {r["interval_s"] for r in rows} == {86400}
    assert ends(rows, 1000)[-1] == DAY + timedelta(days=4)


def test_filler_bits_of_simple_status_are_no_intervals(run: Decode) -> None:
    tables = profile_tables([Set(days(1))])
    bt64 = bytearray(tables[64])
    bt64[5] |= 0xF0
    rows, rejects = run({**tables, 64: bytes(bt64)})
    assert len(rows) == 8
    assert rejects == []


# ---- dimensions


@pytest.mark.parametrize("channels", range(1, 17))
def test_every_nibble(run: Decode, channels: int) -> None:
    status = {(i, c): (i + c) % 16 for i in range(4) for c in range(channels)}
    block = Block(DAY, range(4), status=status, flags={i: 15 - i for i in range(4)})
    for shape in ("long", "wide"):
        rows, rejects = run(profile_tables([Set([block], channels=channels)]), shape=shape)
        assert rejects == []
        if shape == "long":
            assert [r["status"] for r in rows] == [status[i, c] for i in range(4) for c in range(channels)]
            assert [r["value"] for r in rows] == [value(0, i, c) for i in range(4) for c in range(channels)]
        else:
            assert [[r[f"status_{c}"] for c in range(channels)] for r in rows] == [
                [status[i, c] for c in range(channels)] for i in range(4)
            ]
            assert [[r[f"value_{c}"] for c in range(channels)] for r in rows] == [
                [value(0, i, c) for c in range(channels)] for i in range(4)
            ]
            assert all(
                r[f"{name}_{c}"] is None for r in rows for name in ("value", "status") for c in range(channels, 16)
            )
        assert sorted({(r["interval"], r["flags"]) for r in rows}) == [(i, 15 - i) for i in range(4)]


def test_scalars_and_divisors_move_the_sources_of_later_sets(run: Decode) -> None:
    sets = [Set(days(1), sources=(3, 4), scaled=True), Set(days(1), sources=(8, 9))]
    rows, _ = run(profile_tables(sets, end_readings=True))
    assert [r["source"] for r in rows if r["data_set"] == 1][:2] == [3, 4]
    assert [r["source"] for r in rows if r["data_set"] == 2][:2] == [8, 9]
    assert [r["value"] for r in rows if r["data_set"] == 2][:2] == [value(0, 0, 0), value(0, 0, 1)]


def test_the_ring_wraps(run: Decode) -> None:
    rows, rejects = run(profile_tables([Set(days(3), room=5, newest=1, sequence=1)]))
    assert rejects == []
    assert [r["block"] for r in rows[::8]] == [2**32 - 1, 0, 1]
    assert ends(rows, 2**32 - 1)[0] == DAY + H


def test_et21_gives_a_larger_block(run: Decode) -> None:
    sets = [Set(days(3), room=3)]
    tables = profile_tables(sets)
    size = len(tables[64]) // 3
    padded = b"".join(tables[64][i * size : (i + 1) * size] + b"\xa5" * 7 for i in range(3))
    rows, rejects = run({**tables, 64: padded, 2069: et21(sets, block_size=size + 7)})
    assert rejects == []
    assert [r["value"] for r in rows if r["block"] == 1000] == [value(2, i, c) for i in range(4) for c in range(2)]


@pytest.mark.parametrize("without", [62, 60])
def test_what_is_not_needed(run: Decode, without: int) -> None:
    tables = {**profile_tables([Set(days(1))]), 60: b"\0" * 13}
    del tables[without]
    rows, rejects = run(tables)
    assert len(rows) == 8
    assert rejects == []
    if without == 62:
        assert {(r["source"], r["quantity"], r["unit"], r["obis"]) for r in rows} == {(None, None, None, None)}


# ---- sources and units


def test_names_of_sources(run: Decode) -> None:
    rows, _ = run(profile_tables([Set(days(1), sources=(0, 15))]))
    assert {(r["source"], r["quantity"], r["unit"], r["obis"]) for r in rows} == {
        (0, "fwd_active_wh", "Wh", "1-0:1.8.0"),
        (15, "rms_voltage_l1", "mV", "1-0:32.7.0"),
    }


def test_mapped_sources(run: Decode) -> None:
    tables = profile_tables([Set(days(1), sources=(113, 112))])
    assert {r["source"] for r in run(tables)[0]} == {112, 113}
    mapped = struct.pack("<64H", 0x4102, 1, *[0] * 62)
    rows, _ = run({**tables, 2114: mapped})
    assert [(r["channel"], r["source"], r["quantity"]) for r in rows[:2]] == [
        (0, 1, "rev_active_wh"),
        (1, 0x4102, "mbus_device_2_data_type_2"),
    ]


def test_et42_lists_sources_of_every_set(run: Decode) -> None:
    sets = [Set(days(1), sources=(112, 0), room=1), Set(days(1), channels=3, room=1), Set(days(1), channels=1, room=1)]
    tables = {**profile_tables(sets), 2090: et42(sets, [(2, 3), (0x4001, 1, 0), (6,)])}
    rows, _ = run(tables)
    found = {(r["data_set"], r["channel"]): r["source"] for r in rows}
    assert found == {(1, 0): 2, (1, 1): 3, (2, 0): 0x4001, (2, 1): 1, (2, 2): 0, (3, 0): 6}


@pytest.mark.parametrize(
    ("firmware", "unit"),
    [(0x3641, None), (3 << 12 | 70 << 5, 10), (4 << 12, 10), (1 << 12 | 19 << 5, None), (1 << 12 | 20 << 5, 10)],
)
def test_energy_register_unit_of_et55(run: Decode, firmware: int, unit: int | None) -> None:
    tables = profile_tables([Set(days(1), sources=(0, 15))])
    et55 = bytearray(300)
    et55[146 + (firmware >= 4 << 12) + 4 * 7 + 39] = 10
    bt20 = bytes((0, 0, 0, 11, 0, 0, 0, 8, 0, 41))
    rows, _ = run({1: bt01(firmware), 20: bt20, **tables, 2103: bytes(et55)})
    assert [(r["value"], r["multiplier"]) for r in rows[2:4]] == [
        (value(0, 1, 0) * (unit or 1), unit),
        (value(0, 1, 1), None),
    ]


def test_energy_register_unit_of_et42(run: Decode) -> None:
    sets = [Set(days(1), sources=(0, 15), room=1)]
    tables = {**profile_tables(sets), 2090: et42(sets, [(0, 15)], unit=100, multiple=False)}
    rows, _ = run(tables)
    assert [r["multiplier"] for r in rows[:2]] == [100, None]
    assert rows[2]["value"] == 100 * value(0, 1, 0)
    rows, _ = run(tables, "channels")
    assert [(r["channel"], r["source"], r["multiplier"], r["interval_s"]) for r in rows] == [
        (0, 0, 100, 3600),
        (1, 15, None, 3600),
    ]


def test_channels_of_configured_sets(run: Decode) -> None:
    tables = profile_tables([Set(days(1)), Set([], channels=0), Set(days(1), channels=3)])
    rows, rejects = run(tables, "channels")
    assert rejects == []
    assert [(r["data_set"], r["channel"]) for r in rows] == [(1, 0), (1, 1), (3, 0), (3, 1), (3, 2)]


# ---- delta


def deltas(rows: Sequence[Row], channel: int = 0) -> list[int | None]:
    return [r["delta"] for r in rows if r["channel"] == channel]


def test_delta_goes_across_blocks(run: Decode) -> None:
    rows, _ = run(profile_tables([Set(days(2))]), delta=True)
    assert deltas(rows) == [None, 10, 10, 10, 970, 10, 10, 10]


def test_delta_stops_at_a_gap(run: Decode) -> None:
    blocks = [Block(DAY, (0, 1, 3)), Block(DAY + 8 * H, range(4))]
    rows, _ = run(profile_tables([Set(blocks)]), delta=True)
    assert deltas(rows) == [None, 10, None, None, 10, 10, 10]


@pytest.mark.parametrize(
    ("status", "want"),
    [
        (0, [None, 10, 10, 10]),
        (4, [None, None, None, 10]),
        (15, [None, None, None, 10]),
        (2, [None, None, 10, 10]),
        (9, [None, None, 10, 10]),
    ],
)
def test_statuses_that_spoil_a_delta(run: Decode, status: int, want: list[int | None]) -> None:
    rows, _ = run(profile_tables([Set([Block(DAY, range(4), status={(1, 0): status})])]), delta=True)
    assert deltas(rows) == want
    assert deltas(rows, 1) == [None, 10, 10, 10]


def test_flags_that_spoil_a_delta(run: Decode) -> None:
    rows, _ = run(profile_tables([Set([Block(DAY, range(4), flags={1: 8, 2: 3})])]), delta=True)
    assert deltas(rows) == [None, None, 10, 10]


@pytest.mark.parametrize(("digits", "want"), [(6, 7), (5, None), (0, None)])
def test_rollover(run: Decode, digits: int, want: int | None) -> None:
    block = Block(DAY, range(2), DAY + 2 * H, values={(0, 0): 999_995, (1, 0): 2, (0, 1): 5, (1, 1): 3})
    sets = [Set([block], sources=(0, 7), room=1)]
    rows, _ = run({**profile_tables(sets), 2090: et42(sets, [(0, 7)], digits=digits)}, delta=True)
    assert deltas(rows) == [None, want]
    # Forward minus reverse may fall.
    assert deltas(rows, 1) == [None, -2]


def test_an_instantaneous_value_has_no_delta(run: Decode) -> None:
    rows, _ = run(profile_tables([Set(days(1), sources=(15, 20))]), delta=True)
    assert {r["delta"] for r in rows} == {None}


# ---- bad input


@pytest.mark.parametrize(
    ("table", "at", "data", "code"),
    [
        (63, 1, b"\x09\x00", "profile.block_count"),
        (63, 3, b"\x07\x00", "profile.last_block"),
        (63, 0, b"\x34", "profile.interval_order"),
        (61, 11, b"\x00", "profile.no_channels"),
        (61, 11, b"\x11", "profile.channel_count"),
        (61, 9, b"\x00\x00", "profile.no_intervals"),
        (61, 12, b"\x00", "profile.interval_time"),
        (61, 12, b"\x3d", "profile.interval_time"),
        (61, 12, b"\x53", "profile.interval_time"),
        (61, 12, b"\x55", "profile.interval_time"),
        (62, 6, b"\x10", "profile.format"),
    ],
)
def test_a_set_that_cannot_be(run: Decode, table: int, at: int, data: bytes, code: str) -> None:
    tables = profile_tables([Set(days(2)), Set(days(2))])
    broken = bytearray(tables[table])
    broken[at : at + len(data)] = data
    # The other set goes on, where its place does not depend on what is broken.
    rows, rejects = run({**tables, table: bytes(broken)})
    assert codes(rejects) == [code]
    assert {r["data_set"] for r in rows} == {2}
    assert rejects[0].meter == "m"
    assert rejects[0].data
    assert "data set 1" in rejects[0].item
    assert len([r for r in rows if r["data_set"] == 2]) == 16


def test_the_largest_dimensions(run: Decode) -> None:
    tables = profile_tables([Set(days(2))])
    bt61 = bytearray(tables[61])
    bt61[7:13] = b"\xff\xff\xff\xff\x10\x01"
    bt63 = bytearray(tables[63])
    bt63[1:5] = b"\xff\xff\xfe\xff"
    rows, rejects = run({**tables, 61: bytes(bt61), 63: bytes(bt63)})
    assert rows == []
    assert sorted(codes(rejects)) == ["profile.block_incomplete", "table.too_short"]


def test_an_impossible_end_time_costs_one_block(run: Decode) -> None:
    blocks = days(3)
    blocks[1].end = bytes((24, 13, 1, 0, 15))
    rows, rejects = run(profile_tables([Set(blocks)]))
    assert {r["block"] for r in rows} == {998, 1000}
    assert codes(rejects) == ["profile.end_time"]
    assert rejects[0].item == "block 999"
    assert rejects[0].offset == rejects[0].length
    assert "2024-13-01 00:15" in rejects[0].reason


@pytest.mark.parametrize("end", [b"\0" * 5, b"\xff" * 5])
def test_an_end_time_that_was_never_set(run: Decode, end: bytes) -> None:
    blocks = days(3)
    blocks[1].end = end
    rows, rejects = run(profile_tables([Set(blocks)]))
    assert {r["block"] for r in rows} == {998, 1000}
    assert rejects == []


def test_a_table_that_is_too_short(run: Decode) -> None:
    tables = profile_tables([Set(days(3))])
    size = len(tables[64]) // 3
    rows, rejects = run({**tables, 64: tables[64][: size + 9]})
    assert {r["block"] for r in rows} == {998}
    assert [(r.code, r.item, r.length) for r in rejects] == [
        ("profile.block_incomplete", "block 999", size),
        ("table.too_short", "block 1000", 0),
    ]
    assert rejects[0].data == tables[64][size : size + 9]


@pytest.mark.parametrize("table", [61, 63])
def test_a_dimension_table_is_missing(run: Decode, table: int) -> None:
    tables = profile_tables([Set(days(3))])
    del tables[table]
    rows, rejects = run(tables)
    assert rows == []
    assert codes(rejects) == ["dimension.missing"]
    assert f"BT{table}" in rejects[0].reason
    assert rejects[0].table == 64


def test_a_set_that_bt61_does_not_know(run: Decode) -> None:
    tables = profile_tables([Set(days(1)), Set(days(1))])
    rows, rejects = run({**tables, 61: tables[61][:13]})
    assert {r["data_set"] for r in rows} == {1}
    assert [(r.code, r.table) for r in rejects] == [("dimension.missing", 65)]


@pytest.mark.parametrize("newer", [True, False])
def test_a_torn_read(run: Decode, newer: bool) -> None:
    # BT63 says that element 1 is the newest; in the data it is still (or 2 already is) of another round.
    blocks = days(4)
    tables = profile_tables([Set(blocks, newest=1)])
    size = len(tables[64]) // 4
    bt64 = bytearray(tables[64])
    at, end = (1, DAY - 4 * H + 4 * H) if newer else (2, DAY + 20 * H)
    bt64[at * size : at * size + 5] = stime(end)
    rows, rejects = run({**tables, 64: bytes(bt64)})
    assert codes(rejects) == ["profile.torn_read"]
    assert rejects[0].item == ("block 1000" if newer else "block 997")
    assert len({r["block"] for r in rows}) == 3


def test_pieces(run: Decode) -> None:
    tables = profile_tables([Set(days(3))])
    size = len(tables[64]) // 3

    def piece(start: int, end: int) -> TableImage:
        return TableImage(meter="m", table=64, offset=start, data=tables[64][start:end], whole=False)

    rest = images({t: d for t, d in tables.items() if t != 64})
    rows, rejects = run([*rest, piece(0, 10), piece(2 * size, 3 * size), piece(10, size)])
    assert {r["block"] for r in rows} == {998, 1000}
    assert rejects == []
    rows, rejects = run([*rest, piece(0, size), piece(size + 3, 2 * size)])
    assert {r["block"] for r in rows} == {998}
    assert [(r.code, r.offset) for r in rejects] == [("profile.block_incomplete", size + 3)]


def test_overlapping_pieces_that_disagree(run: Decode) -> None:
    tables = profile_tables([Set(days(2))])
    other = bytearray(tables[64])
    other[-1] ^= 1
    rest = images({t: d for t, d in tables.items() if t != 64})
    first = TableImage(meter="m", table=64, offset=0, data=tables[64], whole=False)
    second = TableImage(meter="m", table=64, offset=4, data=bytes(other[4:]), whole=False)
    rows, rejects = run([*rest, first, second])
    assert codes(rejects) == ["image.overlap"]
    assert rows[-1]["value"] != value(1, 3, 1)


@pytest.mark.parametrize("offset", [-1, 2**40, 2**63 - 1])
def test_offsets_that_no_table_has(run: Decode, offset: int) -> None:
    bad = TableImage(meter="m", table=64, offset=offset, data=b"abc", whole=False)
    rows, rejects = run([*images(profile_tables([Set(days(1))])), bad])
    assert codes(rejects) == ["image.offset"]
    assert len(rows) == 8


# ---- several reads


def test_a_later_read_adds_its_blocks(run: Decode) -> None:
    early = profile_tables([Set([*days(2), Block(DAY + 8 * H, range(2), DAY + 10 * H)], room=4)])
    late = profile_tables([Set(days(4), room=4, sequence=1001)])
    both = [*images(early, read_at=1_000_000, session=0), *images(late, read_at=2_000_000, session=1)]
    rows, rejects = run(both)
    assert rejects == []
    assert [r["block"] for r in rows if r["channel"] == 0] == [b for b in range(998, 1002) for _ in range(4)]
    assert {r["read_at"] for r in rows} == {2_000_000}


def test_contradicting_reads(run: Decode) -> None:
    early, late = profile_tables([Set(days(2))]), profile_tables([Set(days(2))])
    late[64] = late[64][:-1] + b"\x01"
    both = [*images(early, read_at=1_000_000, input="a"), *images(late, read_at=2_000_000, session=1, input="b")]
    rows, rejects = run(both)
    assert codes(rejects) == ["profile.contradiction"]
    assert "a at 1970-01-01T00:00:01Z" in rejects[0].reason
    assert "b at 1970-01-01T00:00:02Z" in rejects[0].reason
    assert rows[-1]["value"] == value(1, 3, 1) + (1 << 24)
    assert len(rows) == 16


def test_dimensions_come_from_the_newest_image_that_is_not_later(run: Decode) -> None:
    old, new = profile_tables([Set(days(2))]), profile_tables([Set(days(2), channels=3, sequence=2000)])
    shuffled = [*images(new, read_at=2_000_000), *images(old, read_at=1_000_000)]
    rows, rejects = run(shuffled)
    assert rejects == []
    assert {(r["block"], r["channel"]) for r in rows} == {(b, c) for b in (999, 1000) for c in range(2)} | {
        (b, c) for b in (1999, 2000) for c in range(3)
    }


# ---- events


def log(count: int, first: int = 100) -> list[Event]:
    return [Event(DAY + i * H, first + i, code=i % 51, argument=bytes((i, 7))) for i in range(count)]


def test_a_log_in_order(run: Decode) -> None:
    rows, rejects = run(log_tables(log(5), room=8, newest=2), "events")
    assert rejects == []
    assert [r["sequence"] for r in rows] == [100, 101, 102, 103, 104]
    assert [r["time"] for r in rows] == [int((DAY + i * H).timestamp()) * 1_000_000 for i in range(5)]
    assert [(r["log"], r["user_id"], r["event_code"], r["event"]) for r in rows[:2]] == [
        ("primary", 0xFFFF, 0, "No Event"),
        ("primary", 0xFFFF, 1, "Primary Power Down"),
    ]
    assert rows[3]["argument"] == b"\x03\x07"


def test_sequence_numbers_across_the_wraps(run: Decode) -> None:
    rows, _ = run(log_tables(log(5, first=0x2FFFE), room=5), "events")
    assert [r["sequence"] for r in rows] == [0x2FFFE + i for i in range(5)]
    wrapped = [Event(DAY, s) for s in (0xFFFE, 0xFFFF, 0, 1)]
    rows, _ = run(log_tables(wrapped, room=4, sequence=1), "events")
    assert [r["sequence"] for r in rows] == [2**32 - 2, 2**32 - 1, 0, 1]


@pytest.mark.parametrize("flags", range(8))
def test_optional_fields(run: Decode, flags: int) -> None:
    rows, rejects = run(log_tables(log(3), room=4, flags=flags), "events")
    assert rejects == []
    assert [r["sequence"] for r in rows] == ([100, 101, 102] if flags & 4 else [None] * 3)
    assert [r["time"] is not None for r in rows] == [bool(flags & 2)] * 3
    assert [(r["event_code"], r["argument"]) for r in rows] == [(i, bytes((i, 7))) for i in range(3)]


def test_manufacturer_events(run: Decode) -> None:
    events = [Event(DAY, 1, code=c) for c in (66, 0x802, 0xF802, 0x7FF, 0xFFF)]
    rows, _ = run(log_tables(events, room=5), "events")
    disconnect = "Load Disconnect State Changed (Control Output 1)"
    assert [(r["event_code"], r["event"]) for r in rows] == [
        (66, disconnect),
        (0x802, disconnect),
        (0x802, disconnect),
        (0x7FF, None),
        (0xFFF, None),
    ]


def test_times_of_events(run: Decode) -> None:
    events = [Event(b"\0" * 6, 1), Event(b"\xff" * 6, 2), Event(bytes((24, 2, 30, 0, 0, 0)), 3), Event(DAY, 4)]
    rows, rejects = run(log_tables(events, room=4), "events")
    assert [r["time"] is None for r in rows] == [True, True, True, False]
    assert [(r.code, r.item) for r in rejects] == [("events.time", "entry 2")]


def test_bt70_stands_in_for_bt71(run: Decode) -> None:
    tables = log_tables(log(3), room=4)
    tables[70] = tables.pop(71)
    assert [r["sequence"] for r in run(tables, "events")[0]] == [100, 101, 102]
    del tables[70]
    rows, rejects = run(tables, "events")
    assert rows == []
    assert codes(rejects) == ["dimension.missing"]
    assert "BT71" in rejects[0].reason


def test_the_alternate_log(run: Decode) -> None:
    tables = log_tables(log(3), room=4, table=2127)
    tables[71] = tables[71][:5] + b"\x64\x00" + tables[71][7:]
    rows, rejects = run(tables, "events")
    assert codes(rejects) == ["dimension.missing"]
    assert "ET54" in rejects[0].reason
    rows, rejects = run({**tables, 2102: bytes(80) + b"\x04\x00"}, "events")
    assert rejects == []
    assert [(r["log"], r["sequence"]) for r in rows] == [("alternate", 100 + i) for i in range(3)]
    sets = [Set(days(1), room=1)]
    et42_table = bytearray(et42(sets, [(0, 1)]))
    assert struct.unpack_from("<H", et42_table, len(et42_table) - 4) == (5,)
    struct.pack_into("<H", et42_table, len(et42_table) - 4, 4)
    rows, rejects = run({**tables, 2090: bytes(et42_table)}, "events")
    assert rejects == []
    assert len(rows) == 3


def test_an_empty_log_needs_no_dimensions(run: Decode) -> None:
    tables = log_tables([], room=4)
    del tables[71]
    assert run(tables, "events") == ([], [])


@pytest.mark.parametrize(
    ("at", "data", "code"), [(1, b"\x09\x00", "events.count"), (3, b"\x04\x00", "events.last_entry")]
)
def test_a_header_that_cannot_be(run: Decode, at: int, data: bytes, code: str) -> None:
    tables = log_tables(log(3), room=4)
    tables[74] = tables[74][:at] + data + tables[74][at + 2 :]
    rows, rejects = run(tables, "events")
    assert rows == []
    assert codes(rejects) == [code]


def test_a_log_that_is_too_short(run: Decode) -> None:
    tables = log_tables(log(4), room=4)
    rows, rejects = run({**tables, 74: tables[74][: 11 + 14 + 5]}, "events")
    assert [r["sequence"] for r in rows] == [100]
    assert [(r.code, r.item) for r in rejects] == [
        ("events.entry_incomplete", "entry 1"),
        ("table.too_short", "entry 2"),
    ]
    rows, rejects = run({**tables, 74: tables[74][:7]}, "events")
    assert rows == []
    assert codes(rejects) == ["events.header"]


def test_two_reads_of_a_log(run: Decode) -> None:
    early, late = log_tables(log(4), room=4), log_tables(log(4, first=102), room=4)
    both = [*images(early), *images(late, session=1)]
    rows, rejects = run(both, "events")
    assert [r["sequence"] for r in rows] == [100, 101, 102, 103, 104, 105]
    assert codes(rejects) == ["events.contradiction", "events.contradiction"]
    loose = [*images(log_tables(log(3), room=4, flags=2)), *images(log_tables(log(4), room=4, flags=2), session=1)]
    rows, rejects = run(loose, "events")
    assert len(rows) == 4
    assert rejects == []


# ---- meters


def test_a_meter(run: Decode) -> None:
    tables = {
        0: bytes.fromhex("022a884e4553200200ff0c01000a0d020c0403"),
        1: bt01(),
        2051: b"U-\xc5 \0x".ljust(143, b"\0"),
    }
    rows, rejects = run({**tables, 4150: b"x"}, "meters")
    assert rejects == []
    assert rows == [
        {
            "meter": "m",
            "utility_serial": "U-Å",
            "manufacturer": "NES",
            "model": "83331-3I",
            "manufacturer_serial": "0000000000002001",
            "firmware": "3.50.01",
            "tables": [0, 1, 2051, 4150],
            "read_at": None,
        }
    ]


def test_a_meter_of_which_little_is_known(run: Decode) -> None:
    rows, rejects = run({61: b"", 9999: b"x"}, "meters")
    assert rejects == []
    assert rows[0]["tables"] == [61, 9999]
    assert {rows[0][k] for k in ("utility_serial", "manufacturer", "model", "manufacturer_serial", "firmware")} == {
        None
    }


def test_a_serial_number_in_characters(run: Decode) -> None:
    rows, _ = run({0: b"\x02\x0a" + bytes(17), 1: bt01()[:16] + b"ABC-123456789   "}, "meters")
    assert rows[0]["manufacturer_serial"] == "ABC-123456789"
