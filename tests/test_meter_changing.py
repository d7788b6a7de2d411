"""Single fields that are written: values as people write them, what stays, what would change, on both ports."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

import osgp_fast as osgp
import pytest
from meters import PASSWORD, opened, sample
from osgp_fast.catalog import TABLES
from osgp_fast.codec import understand
from osgp_fast.layout import Field
from osgp_fast.meter import Change, MemoryWearWarning
from osgp_fast.meter.wear import PER_DAY
from osgp_fast.session import Data
from test_meter_mep import Bench
from test_meter_virtual import Virtual

ENUM = {0: "off", 1: "on demand", 2: "on schedule", 9: "300"}


def row(type: str, **more: Any) -> Field:
    return Field(name="x", type=type, **more)


@pytest.mark.parametrize(
    ("field", "size", "text", "value"),
    [
        (row("u8"), 1, "255", 255),
        (row("u16"), 2, "0x1F", 31),
        (row("i8"), 1, "-128", -128),
        (row("u16", unit="V", scale="0.1"), 2, "2305", 2305),
        (row("u16", unit="V", scale="0.1"), 2, "230.5 V", 2305),
        (row("u16", unit="s"), 2, "60s", 60),
        (row("u8", enum=ENUM), 1, "2", 2),
        (row("u8", enum=ENUM), 1, "On Demand", 1),
        (row("u8", enum=ENUM), 1, "on s", 2),
        (row("u8", enum=ENUM), 1, "300", 9),
        (row("bool"), 1, "yes", True),
        (row("bool"), 1, "False", False),
        (row("bool", enum={0: "enabled", 1: "disabled"}), 1, "enabled", False),
        (row("char"), 5, "M-1", "M-1"),
        (row("bcd"), 2, "12 34", "1234"),
        (row("set"), 1, "0, 7", [0, 7]),
        (row("set"), 1, "none", []),
        (row("ltime_date", clock="utc"), 6, "2024-03-14T10:07:30+01:00", datetime(2024, 3, 14, 9, 7, 30, tzinfo=UTC)),
        (row("ltime_date", clock="utc"), 6, "2024-03-14 10:07:30 UTC", datetime(2024, 3, 14, 10, 7, 30, tzinfo=UTC)),
        (row("stime_date", clock="local"), 5, "2024-03-14T10:07", datetime(2024, 3, 14, 10, 7)),
        (row("ltime_date"), 6, "none", None),
        (row("ansi_date"), 2, "2024-03-14", date(2024, 3, 14)),
        (row("time"), 3, "10:07:30", time(10, 7, 30)),
        (row("octets"), 3, "0x01 02:03", b"\1\2\3"),
        (row("octets"), None, "", b""),
    ],
)
def test_values_as_people_write_them(field: Field, size: int | None, text: str, value: Any) -> None:
    assert understand(field, field.type, size, text) == value


@pytest.mark.parametrize(
    ("field", "size", "text", "words"),
    [
        (row("u8"), 1, "256", "a number from 0 to 255"),
        (row("i8"), 1, "-129", "-128 to 127"),
        (row("u8", bits=(0, 2)), 1, "1.5", "a number from 0 to 255"),
        (row("u16", unit="V", scale="0.1"), 2, "230.5", "a measure in V"),
        (row("u16", unit="V", scale="0.1"), 2, "230.55 V", "a multiple of 0.1 V"),
        (row("u16", unit="V"), 2, "5 A", "a measure in V"),
        (row("u16", unit="V", scale="ET42.2"), 2, "5 V", "a measure in V"),
        (row("u8", enum=ENUM), 1, "on", "listed are 0 = off, 1 = on demand"),
        (row("u8", enum={1: "2", 2: "4"}), 1, "2", "the name of 1 and a number of the list"),
        (row("bool"), 1, "maybe", "true or false"),
        (row("char"), 2, "abc", "at most 2 characters"),
        (row("char"), 2, "€", "Latin-1"),
        (row("bcd"), 2, "123", "4 digits"),
        (row("set"), 1, "8", "below 8"),
        (row("stime_date", clock="utc"), 5, "2024-03-14T10:07:30", "whole minutes"),
        (row("ltime_date", clock="local"), 6, "2024-03-14T10:07:30Z", "without zone"),
        (row("ltime_date"), 6, "tomorrow", "a time like"),
        (row("date"), 3, "14.3.2024", "a date like"),
        (row("time"), 3, "10 o'clock", "a time of day"),
        (row("octets"), 3, "0102", "3 bytes"),
        (row("ped"), 6, "no", "6 bytes"),
    ],
)
def test_what_is_no_value_says_what_would_be(field: Field, size: int | None, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        understand(field, field.type, size, text)


def test_every_value_of_a_virtual_meter_can_be_written_as_it_is() -> None:
    """Every single value of the tables that can be written, from its text or tree: the same bytes come out."""
    from osgp_fast.codec import place, walk
    from osgp_fast.layout import TableSet
    from osgp_fast.virtual import MeterConfig, VirtualMeter

    meter = VirtualMeter(MeterConfig())
    images = meter.images(meter.start)
    count = 0
    for id in ("BT54", "ET03", "ET04", "ET13", "ET34", "ET51", "ET55", "ET61"):
        data = images[id]
        layout = TableSet(images).layout(id)

        def get(at: int, size: int, data: bytes = data) -> bytes | None:
            return data[at : at + size] if at + size <= len(data) else None

        for part in walk(layout, get, len(data)):
            found = place(layout, part.path)
            if found is None or part.raw is None:
                continue
            old = data[found.offset : found.offset + found.size]
            assert found.leaf is not None
            assert found.encode(found.value(old), bytes(old), table=id, path=part.path) == old, part.path
            if isinstance(part.value, int) and found.leaf.bits:
                # Of a word that is all ones, nothing else changes.
                ones = b"\xff" * found.size
                assert found.value(found.encode(part.value, ones)) == part.value
                low, high = found.leaf.bits
                rest = ~((1 << high + 1) - (1 << low)) & (1 << 8 * found.size) - 1
                assert int.from_bytes(found.encode(part.value, ones), "little") & rest == rest
            count += 1
    assert count > 300


def test_a_field_is_written_with_exactly_its_bytes() -> None:
    virtual = Virtual("3.50", 0)
    before = virtual.meter.image("ET51", virtual.meter.start)
    with virtual.opened() as live:
        done = live.write_field("ET51.client.health_timeout", "90 s")
        assert done == Change("ET51", 2099, 1, before[1:3], (90).to_bytes(2, "little"))
        assert done.differs
        assert live.read_field("ET51.1") == 90
        # A bit leaves the others of its word, a tree what it does not name.
        assert not live.read_field("ET51.client.0.flags.monitor_health")
        live.write_field("ET51.0.1", True)
        flags = live.read_field("ET51.0")
        assert flags["monitor_health"]
        live.write_field("ET51.client.0", {"flags": {"monitor_health": False}, "on_demand_timeout": 31})
        flags["monitor_health"] = False
        assert live.read_field("ET51.0") == flags
        assert live.read_field("ET51.client.0")["health_timeout"] == 90
        assert live.read_field("ET51.client.0")["on_demand_timeout"] == 31
        live.write_field("ET03.utility_serial", "UTIL-9")
        with pytest.warns(MemoryWearWarning, match="ET03"):
            live.write_field("ET03.utility_serial", "UTIL-8")
        assert live.read_field("ET03.utility_serial") == "UTIL-8"
        live.write_field("ET55.message_start", "2024-07-01T00:00:00Z")
        assert live.read_field("ET55.message_start") == datetime(2024, 7, 1, tzinfo=UTC)


def test_what_would_change_is_told_and_nothing_is_written() -> None:
    virtual = Virtual("3.50", 0)
    before = {id: virtual.meter.image(id, virtual.meter.start) for id in ("ET03", "ET51", "ET55")}
    with virtual.opened() as live:
        change = live.change("ET51.client.0.flags.monitor_health", "true")
        assert (change.offset, change.old, change.new) == (0, before["ET51"][:1], bytes((before["ET51"][0] | 2,)))
        assert change.tables["ET51"] == before["ET51"]
        change = live.change("ET03", b"NEW", offset=0)
        assert (change.table, change.old) == ("ET03", before["ET03"][:3])
        change = live.change(2051, before["ET03"])
        assert (change.offset, change.differs) == (None, False)
        change = live.change("ET51", b"\x3c\0", offset=1)
        assert change.old == before["ET51"][1:3]
        tree = live.read_table("ET03").values
        assert live.change("ET03", {**tree, "utility_serial": "ANOTHER"}).new[:7] == b"ANOTHER"
        assert "ANOTHER" not in repr(live.change("ET03", b"ANOTHER", offset=0))
        assert not live.recent_writes
        assert {id: virtual.meter.image(id, virtual.meter.start) for id in before} == before


@pytest.mark.parametrize(
    ("what", "value", "offset", "code"),
    [
        ("ET51", b"12", None, "meter.range"),
        ("ET51", b"12", 1000, "meter.range"),
        ("ET51", b"", None, "usage.partial"),
        ("ET51.1", b"12", 0, "usage.partial"),
        ("ET51", {"client": []}, 0, "usage.table"),
        ("BT07", b"123", None, "usage.table"),
        ("BT54.pending", b"123", None, "usage.table"),
        ("BT54.pending.season", b"123", None, "usage.table"),
        ("ET51.nothing", 1, None, "meter.field"),
        ("ET51.client.9.health_timeout", 1, None, "meter.field"),
        ("ET51.1", "70000", None, "usage.value"),
        ("ET51.client.0", "70000", None, "usage.value"),
        ("ET51.1", 70000, None, "table.value"),
        ("ET51.0.1", 2, None, "table.value"),
        ("ET51.0.1", "perhaps", None, "usage.value"),
        ("ET51.client", [{}, {}, {}], None, "table.size"),
        ("ET51.client.0", {"nothing": 1}, None, "table.no_place"),
    ],
)
def test_what_cannot_be_written(what: str, value: Any, offset: int | None, code: str) -> None:
    virtual = Virtual("3.50", 0)
    with virtual.opened() as live:
        with pytest.raises(osgp.OsgpError) as error:
            live.change(what, value, offset=offset)
        assert error.value.code == code
        if offset is None and not isinstance(value, bytes) and what.count("."):
            with pytest.raises(osgp.OsgpError):
                live.write_field(what, value)
        assert not virtual.meter.written
        # What was not written has not worn anything.
        assert not live.recent_writes


def test_bytes_that_were_meant_for_a_key_are_not_repeated() -> None:
    virtual = Virtual("3.50", 0)
    with virtual.opened() as live:
        with pytest.raises(osgp.UsageError) as error:
            live.write_field("ET13.device.0.key", "00112233")
        assert error.value.code == "usage.value"
        assert "00112233" not in str(error.value)
        assert "32 bytes" in str(error.value)


def test_a_meter_that_ends_before_a_field() -> None:
    meter = sample()
    meter.tables[2051] = bytes(10)
    with opened(meter, meter="m") as live:

        def read(table: int, offset: int | None = None, count: int | None = None) -> Any:
            yield from ()
            return Data(bytes(10)[:count])

        live._access.read = read  # type: ignore[method-assign]
        with pytest.raises(osgp.UsageError) as error:
            live.write_field("ET03.utility_serial", "X")
        assert error.value.code == "meter.range"


def test_writes_of_earlier_programs_count() -> None:
    virtual = Virtual("3.50", 0)
    with virtual.opened() as live:
        live.recent_writes = [100_000.0, *(4000.0 + 10 * n for n in range(PER_DAY))]
        assert len(live.recent_writes) == PER_DAY
        with pytest.raises(osgp.UsageError) as error:
            live.write_field("ET51.1", 61)
        assert error.value.code == "meter.wear"
        live.write_field("ET51.1", 61, force=True)
        assert len(live.recent_writes) == PER_DAY + 1
        assert live.recent_writes[-1] < 60
        # ET55 does not wear.
        live.write_field("ET55.message_start", None)


def test_the_same_with_asyncio() -> None:
    async def run() -> Mapping[str, Any]:
        from meters import served

        handler = sample()
        handler.tables[2051] = handler.tables[2051].ljust(143, b"\0")
        with served(handler, "socket") as name:
            async with osgp.open_async(name, password=PASSWORD) as live:
                change = await live.change("ET03.utility_serial", "ASYNC")
                assert not handler.written
                done = await live.write_field("ET03.utility_serial", "ASYNC")
                assert done == change
                assert len(live.recent_writes) == 1
                return {"field": await live.read_field("ET03.utility_serial"), "written": len(handler.written)}

    assert asyncio.run(run()) == {"field": "ASYNC", "written": 1}


@pytest.mark.filterwarnings("ignore::osgp_fast.meter.InsecureMepWarning")
@pytest.mark.parametrize("security", ["clear", "rc4", "tls"])
def test_at_the_mep_port(security: str) -> None:
    bench = Bench()
    with bench.open(security) as live:
        live.write_field("ET51.client.0.health_timeout", "75")
        live.write_field("ET51.client.0.flags", {"monitor_health": True})
        assert bench.meter.image("ET51", bench.meter.start)[1:3] == b"\x4b\0"
        assert live.read_field("ET51.0.1") is True


def test_the_catalogue_has_units_that_can_be_written() -> None:
    """Measures are understood by the first thing behind a number, so no unit begins with a digit."""
    units = set()
    rows = [row for table in TABLES.values() for row in table.fields]
    while rows:
        row = rows.pop()
        rows += row.of
        units.add(row.unit or "")
    assert not any(unit[:1].isdigit() for unit in units)
