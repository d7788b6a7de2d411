"""The tables of the virtual meter: whole, consistent, and the same however they are read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from osgp_fast import codec
from osgp_fast.catalog import TABLES, present_order
from osgp_fast.image import table_name
from osgp_fast.layout import Field, TableSet
from osgp_fast.virtual import Channel, DataSet, Demands, Firmware, Happenings, MBusDevice, MeterConfig, VirtualMeter

FIRMWARES = ("2.10", "2.12", "3.10", "3.50", "3.60", "3.70", "3.82", "4.0", "4.10", "4.30")
START = datetime(2024, 6, 1, 10, 7, 30, tzinfo=UTC)


@cache
def meter(firmware: str, demands: bool = True) -> VirtualMeter:
    return VirtualMeter(
        MeterConfig(
            firmware=Firmware.parse(firmware),
            seed=5,
            start=START,
            history_days=12,
            demands=Demands(sources=(0, 2, 1), coincidents=((2, 0), (0, 1))) if demands else Demands(),
            mbus=(MBusDevice(), MBusDevice(kind="gas", serial="00000001"), MBusDevice(kind="water")),
        )
    )


@cache
def images(firmware: str) -> Mapping[str, bytes]:
    m = meter(firmware)
    return m.images(m.start)


@cache
def decoded(firmware: str) -> Mapping[str, codec.Decoded]:
    known = TableSet(dict(images(firmware)))
    return {id: codec.decode(known.layout(id), data, table=id) for id, data in known.tables.items()}


def newer(rows: tuple[Field, ...], path: str, firmware: Firmware) -> bool:
    """Whether a row, or all that is in it, came with later firmware."""
    name, _, rest = path.partition(".")
    row = next(r for r in rows if r.name == name)
    if not firmware.has(row.since):
        return True
    return newer(row.of, rest, firmware) if rest else bool(row.of) and all(not firmware.has(m.since) for m in row.of)


@pytest.mark.parametrize("firmware", FIRMWARES)
def test_every_table_of_bt00_decodes_whole(firmware: str) -> None:
    m, found = meter(firmware), decoded(firmware)
    general = found["BT00"].values
    sets = b"".join(general["rest"])
    basic, extended = general["dim_basic_tables_used"], general["dim_extended_tables_used"]
    listed = [n for n in range(8 * basic) if sets[n // 8] >> n % 8 & 1]
    listed += [2048 + n for n in range(8 * extended) if sets[basic + n // 8] >> n % 8 & 1]
    assert {table_name(n) for n in listed} == set(found) == set(m.tables)
    assert len(sets) == 2 * (basic + extended) + general["dim_basic_procedures_used"] + 12
    for id, table in found.items():
        assert table.missing is None, id
        if table.short is not None:
            path = table.short[0]
            old = id == "BT03" and general["manufacturer_status_length"] == 4
            assert old or newer(TABLES[id].fields, path, m.config.firmware), (id, table.short)
        if id not in ("ET52", "ET53"):  # room for a transaction
            assert not table.rest, id
    assert codec.firmware(found["BT01"]["firmware"]) == str(m.config.firmware)


@pytest.mark.parametrize("firmware", FIRMWARES)
def test_dimensions_agree(firmware: str) -> None:
    found, data, m = decoded(firmware), images(firmware), meter(firmware)
    registers = found.get("BT21", found["BT20"])
    assert registers["present_values"] == len(found["BT27"]["present_value"]) == len(found["BT28"]["present_value"])
    assert found["BT28"]["present_value"] == [m.readings.present(s, m.start) for s in found["BT27"]["present_value"]]
    assert found["BT27"]["present_value"] == present_order()[: registers["present_values"]]
    assert len(found["BT23"]["tier"]) == registers["tiers"]
    assert len(found["BT26"]["entry"]) == registers["self_reads"] == 12
    profile, status, internal = found["BT61"]["set"], found["BT63"]["set"], found["ET21"]["set"]
    assert len(profile) == len(status) == len(internal) == len(found["BT62"]["set"])
    assert len(data["ET21"]) == 131 * len(profile)
    for n, (dims, now, inside) in enumerate(zip(profile, status, internal, strict=True)):
        if not dims["blocks"]:
            continue
        assert inside["block_header_size"] == inside["interval_0_offset"]
        assert inside["simple_status_offset"] + inside["simple_status_size"] == inside["interval_0_offset"]
        assert inside["interval_size"] == inside["channel_0_offset"] + 4 * dims["channels"]
        assert inside["block_size"] == inside["block_header_size"] + dims["intervals"] * inside["interval_size"]
        assert len(data[f"BT{64 + n}"]) == dims["blocks"] * inside["block_size"]
        for key in ("valid_blocks", "valid_intervals", "last_block"):
            assert inside[key] == now[key]
        local = inside["interval_end_local"] - inside["interval_end_utc"].replace(tzinfo=None)
        assert local == timedelta(hours=2)
    log = found.get("BT71", found["BT70"])
    assert len(found["BT74"]["entry"]) == log["history_entries"] == 100


@pytest.mark.parametrize("firmware", FIRMWARES)
def test_et42_is_a_copy(firmware: str) -> None:
    found = decoded(firmware)
    copy, registers = found["ET42"], found.get("BT21", found["BT20"])
    assert copy["table_length"] == len(images(firmware)["ET42"])
    for name in ("self_reads", "summations", "demands", "coincident_values", "tiers", "present_values"):
        assert copy[name] == registers[name], name
    first, internal = found["BT61"]["set.0"], found["ET21"]["set.0"]
    assert [copy[k] for k in ("blocks", "channels", "interval_time", "intervals")] == [
        first[k] for k in ("blocks", "channels", "interval_time", "intervals")
    ]
    assert [copy[k] for k in ("block_size", "interval_size", "block_start_hour")] == [
        internal[k] for k in ("block_size", "interval_size", "block_start_hour")
    ]
    logs = found["ET36"]["log"]
    assert [(e["count"], e["entry_size"]) for e in copy["log"]] == [
        (e["current_entries"], e["entry_size"]) for e in logs
    ]
    assert copy["compatibility"] == found["ET54"]["compatibility"]
    counter = registers["flags_1.demand_reset_counter"]
    assert copy["tier_size"] * (1 + registers["tiers"]) + counter == len(images(firmware)["BT23"])
    sets = [s for s in found["BT61"]["set"][1:] if s["blocks"]]
    if len(found["BT61"]["set"]) > 1:
        assert [s["blocks"] for s in copy["set"]] == [s["blocks"] for s in sets]
    if "energy_register_unit" in copy.values:
        assert copy["energy_register_unit"] == found["ET55"]["energy_register_unit"]
        assert copy["et79_entries"] == found["ET54"]["et79_entries"] == len(found["ET79"]["entry"])


def test_bt20_stands_in_on_old_firmware() -> None:
    assert "BT21" not in meter("2.10").tables
    assert "BT71" not in meter("2.10").tables
    assert decoded("2.10")["BT20"]["demands"] == 3  # what is configured, since nothing else says it
    assert decoded("2.12")["BT20"]["demands"] == 8
    counts = [len(decoded(f)["BT28"]["present_value"]) for f in FIRMWARES]
    assert counts == [18, 22, 26, 41, 41, 55, 55, 72, 75, 84]
    assert [len(images(f)["BT03"]) for f in ("2.10", "2.12", "4.30")] == [8, 13, 13]
    summations = [len(decoded(f)["BT22"]["summation"]) for f in ("2.12", "3.50", "4.0")]
    assert summations == [15, 15, 19]
    plain = meter("3.50", demands=False)
    assert len(plain.readings.summations) == 11


def test_both_logs_share_the_numbers() -> None:
    found = decoded("3.70")
    numbers: list[int] = []
    for id in ("BT74", "ET79"):
        entries = [e for e in found[id]["entry"] if e and e["time"]]
        assert entries
        numbers += [e["sequence"] for e in entries]
        newest = found[id][f"entry.{found[id]['last_entry']}"]
        assert newest["sequence"] == found[id]["last_sequence"] & 0xFFFF
    assert len(set(numbers)) == len(numbers)
    assert not [e for e in decoded("3.50")["BT74"]["entry"] if e is None]


def test_clock_and_calendar() -> None:
    found = decoded("3.50")
    assert found["BT52"]["clock"] == START
    assert found["BT55"]["clock"] == datetime(2024, 6, 1, 12, 7, 30)
    assert found["BT55"]["flags.day_of_week"] == 6
    assert found["BT55"]["tariff.season"] == 1
    assert found["BT50"]["calendar_size"] == len(images("3.50")["BT54"]) == 808
    words = codec.recurring_date(found["BT54"]["recurring.0"]["date"])
    assert words == "the last Sunday of the month on or after 25 March"
    # The calendar's switches say what the tariff of the household is.
    world = meter("3.50").world
    switches = found["BT54"]["tier_switch"]
    for hour in range(24):
        day = [s["switch"] for s in switches[:5] if s["switch"]["hour"] <= hour]
        assert day[-1]["tier"] == world.tier(int(START.timestamp()) - 3 * 86_400 + (hour - 12) * 3600)


@pytest.mark.parametrize("firmware", ["2.12", "3.50", "4.30"])
def test_parts_are_parts_of_the_whole(firmware: str) -> None:
    m = meter(firmware)
    for id, whole in images(firmware).items():
        for offset, count in ((0, 5), (3, 40), (len(whole) // 2, 1000), (len(whole) - 3, 10), (len(whole) + 5, 4)):
            assert m.part(id, m.start, offset, count) == whole[max(offset, 0) : offset + count], (id, offset)


def test_the_same_seed_is_the_same_meter() -> None:
    config = meter("3.70").config
    assert VirtualMeter(config).images(int(START.timestamp())) == images("3.70")
    other = VirtualMeter(MeterConfig(firmware=config.firmware, seed=6, start=START, history_days=12))
    assert other.image("BT23", other.start) != images("3.70")["BT23"]


def test_the_meter_goes_on() -> None:
    m = VirtualMeter(MeterConfig(start=START, history_days=10))
    before = {id: m.image(id, m.start) for id in ("BT63", "ET21", "BT64", "BT23", "BT52", "BT74", "BT26")}
    later = m.start + 86_400
    for id, data in before.items():
        assert m.image(id, later) != data, id
        assert len(m.image(id, later)) == len(data)


def blocks(m: VirtualMeter, t: int, n: int = 0) -> list[dict[str, Any]]:
    known = TableSet(m.images(t))
    found = codec.decode(known.layout(f"BT{64 + n}"), known.tables[f"BT{64 + n}"])
    return [b for b in found["block"] if b["end_time"] is not None]


def test_outages_leave_holes_and_cut_blocks() -> None:
    hours = DataSet(sources=(Channel(0), Channel(1)), interval=60, intervals=24, blocks=500)
    config = MeterConfig(seed=3, start=START, history_days=360, data_sets=(hours,), happenings=Happenings(outages=52.0))
    m = VirtualMeter(config)
    outages = m.world.outages_before(m.start)
    assert len(outages) > 30
    found = blocks(m, m.start)
    midnight = [b for b in found if b["end_time"].hour == 0]
    holes = [b for b in midnight if b["simple_status"] != list(range(24))]
    cut = [b for b in found if b["end_time"].hour != 0]
    assert holes
    assert len(cut) > 3  # the newest, and those of long outages
    for b in cut[:-1]:
        last = b["simple_status"][-1]
        assert b["end_time"].hour == last + 1
    at_the_end = [b for b in midnight if b["simple_status"][-1] != 23]
    in_the_middle = [b for b in holes if b["simple_status"][-1] == 23]
    assert in_the_middle
    assert all(b["simple_status"][-1] < 23 for b in at_the_end)
    status = codec.decode(TableSet(m.images(m.start)).layout("BT63"), m.image("BT63", m.start))
    assert status["set.0.valid_blocks"] == len(found)
    # Blocks are numbered without gaps, so a day without power has none.
    days = (m.start - m.world.installed) // 86_400 + 1
    assert len(found) <= days


def test_a_ring_that_has_turned_keeps_the_newest() -> None:
    config = MeterConfig(
        start=START, history_days=30, data_sets=(DataSet(sources=(Channel(0),), interval=60, intervals=6, blocks=7),)
    )
    m = VirtualMeter(config)
    found = blocks(m, m.start)
    ends = sorted(b["end_time"] for b in found)
    assert len(found) == 7
    assert ends[-1] == START.replace(minute=0, second=0)
    newest = next(b for b in found if b["end_time"] == ends[-1])
    assert newest["simple_status"] == [0, 1, 2, 3]
    # What is not recorded yet is what stood there a round ago.
    assert newest["interval"][5]["channel"][0] != 0
    assert newest["interval"][5]["channel"][0] < newest["interval"][0]["channel"][0]


def test_mapped_sources() -> None:
    config = MeterConfig(
        start=START,
        mbus=(MBusDevice(), MBusDevice(kind="water")),
        data_sets=(
            DataSet(sources=(Channel(0), Channel.parse("mbus1.0"))),
            DataSet(sources=(Channel.parse("mbus2.0"), Channel.parse("mbus1.0")), interval=60, intervals=24, blocks=3),
        ),
    )
    m = VirtualMeter(config)
    known = TableSet(m.images(m.start))
    found = {id: codec.decode(known.layout(id), known.tables[id]) for id in ("BT62", "ET66", "ET42", "ET16")}
    assert [c["source"] for c in found["BT62"]["set.0.channel"]] == [0, 112]
    assert [c["source"] for c in found["BT62"]["set.1.channel"]] == [113, 112]
    assert found["ET66"]["entry"][:3] == [0x4000, 0x4100, 0]
    assert found["ET42"]["set.0.source"] == [0x4100, 0x4000]
    assert found["ET16"]["device"][0]["response"][0] == 12 + 6 * 3 + 4 * 2 + 1
    assert found["ET16"]["device"][0]["response"][1:5] == bytes.fromhex("78563412")
