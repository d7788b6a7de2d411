"""Every task of a live meter gives what `decode` gives for a dump of it: in memory, over a socket and a pty, blocking and
with asyncio."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import osgp_fast as osgp
import pytest
from conftest import compiled_or_pyarrow
from lines import PASSWORD, PED
from made import bt01, mbus_meter
from meters import EPOCH, Sample, opened, sample, served
from osgp_fast.decode import Result
from osgp_fast.image import TableImage
from osgp_fast.meter import Refusal
from osgp_fast.meter.store import sized_by_itself
from osgp_fast.session import RefusalCode, Timing
from osgp_fast.transport import Wire

LABEL = "UTIL-0002001"
FAST = Timing(turnaround_s=0.0)
SAMPLES = [
    "dump/M00002001",
    "dump/M00002002",
    "dump/M00002003",
    "dump/M00002004",
    "dump/M00002005",
    "edges/A01-end-readings",
    "edges/A04-four-sets",
    "edges/C01-cut-short",
    "edges/C08-18-hours",
    "edges/S01-et66",
    "edges/S04-unit-10-et55",
    "edges/V01-full-wrapped",
    "edges/V07-argument-4",
]
#: The tables that a kind cannot be read without.
DATA = {"load_profile": 64, "channels": 63, "events": 74, "registers": 23, "measurements": 28, "meters": 1}
SNAPSHOTS = ("current", "self_read", "previous_season", "previous_demand_reset")


def plain(result: Result) -> list[dict[str, Any]]:
    """The rows without the time of the read."""
    return [{**row, "read_at": None} for row in result.rows()]


def truth(meter: Sample, label: str, what: str, **options: Any) -> list[dict[str, Any]]:
    """What `decode` gives for a dump of it."""
    return plain(osgp.decode_images(meter.images(label), what=what, **options))


def test_images_in_memory_are_decoded_as_a_dump(tmp_path: Path) -> None:
    for name in SAMPLES:
        for what in osgp.columns.KINDS:
            directory = Path(__file__).parent / "samples" / name
            in_memory = osgp.decode_images(sample(name).images(directory.name), what=what)
            on_disk = osgp.decode(directory, what=what, jobs=1)
            assert list(in_memory.rows()) == list(on_disk.rows())
            assert [r.code for r in in_memory.rejects] == [r.code for r in on_disk.rejects]
            assert in_memory.schema == on_disk.schema
    out = osgp.decode_images(sample().images("m"), what="events").write(tmp_path / "events.jsonl")
    assert len(Path(out[0]).read_text(encoding="utf-8").splitlines()) == 60


def test_since_of_images_in_memory() -> None:
    images = sample().images("m")
    rows = list(osgp.decode_images(images).rows())
    since = rows[700]["interval_end"]
    assert list(osgp.decode_images(images, since=since).rows()) == [r for r in rows if r["interval_end"] > since]
    naive = since.replace(tzinfo=None)
    assert len(list(osgp.decode_images(images, since=naive).rows())) < len(rows)
    assert list(osgp.decode_images(images, since=datetime(2100, 1, 1, tzinfo=UTC)).rows()) == []


@pytest.mark.parametrize("name", SAMPLES)
def test_rows_are_those_of_the_dump(name: str) -> None:
    meter = sample(name)
    with opened(meter) as live:
        for what, table in DATA.items():
            if table not in meter.tables:
                with pytest.raises(osgp.RemoteProtocolError, match="iar"):
                    live.read_rows(what)
                continue
            result = live.read_rows(what, **({"snapshots": SNAPSHOTS} if what == "registers" else {}))
            if what == "meters":
                assert [{**r, "tables": None} for r in plain(result)] == [
                    {**r, "tables": None} for r in truth(meter, live.label, what)
                ]
            else:
                assert plain(result) == truth(meter, live.label, what)
            assert isinstance(result, Result)
            assert list(result.rejects) == []
        assert live.sessions == 1
        assert not [name for name, _, _ in meter.written]
    assert meter.ended == [False, False]


@pytest.mark.parametrize("options", [{"delta": True}, {"shape": "wide"}, {"data_set": 2}])
def test_options_of_the_load_profile(options: dict[str, Any]) -> None:
    meter = sample("dump/M00002002")
    with opened(meter) as live:
        wanted = {k: v for k, v in options.items() if k != "data_set"}
        rows = truth(meter, live.label, "load_profile", **wanted)
        if "data_set" in options:
            rows = [r for r in rows if r["data_set"] == 2]
            assert 64 not in [n for n, _, _ in meter.reads]
        assert plain(live.load_profile(**options)) == rows
        assert len(rows) > 100


def everything(live: osgp.Meter) -> dict[str, Any]:
    """What all reading tasks give."""
    clock = live.clock()
    return {
        "serial": live.serial_number(),
        "firmware": live.firmware(),
        "identity": live.identity(),
        "utc": clock.utc,
        "label": live.label,
        "meters": plain(live.meters()),
        "registers": plain(live.registers()),
        "self_reads": plain(live.self_reads()),
        "measurements": plain(live.measurements()),
        "load_profile": plain(live.load_profile()),
        "since": plain(live.load_profile("2024-03-14T00:00:00Z", delta=True)),
        "events": plain(live.events(log="primary")),
        "channels": plain(live.channels()),
        "alarms": plain(live.alarms()),
        "mbus": plain(live.mbus()),
        "read": live.read("BT61"),
        "part": live.read(61, 7, 2),
        "tree": live.read_table("BT61").values,
        "field": live.read_field("BT61.7"),
        "pending": live.pending("BT54"),
        "dump": [(image.table, bytes(image.data)) for image in live.dump(["BT00", "BT63", "BT64"])],
    }


async def everything_async(live: osgp.AsyncMeter) -> dict[str, Any]:
    """The same by the asynchronous face."""
    clock = await live.clock()
    return {
        "serial": await live.serial_number(),
        "firmware": await live.firmware(),
        "identity": await live.identity(),
        "utc": clock.utc,
        "label": live.label,
        "meters": plain(await live.meters()),
        "registers": plain(await live.registers()),
        "self_reads": plain(await live.self_reads()),
        "measurements": plain(await live.measurements()),
        "load_profile": plain(await live.load_profile()),
        "since": plain(await live.load_profile("2024-03-14T00:00:00Z", delta=True)),
        "events": plain(await live.events(log="primary")),
        "channels": plain(await live.channels()),
        "alarms": plain(await live.alarms()),
        "mbus": plain(await live.mbus()),
        "read": await live.read("BT61"),
        "part": await live.read(61, 7, 2),
        "tree": (await live.read_table("BT61")).values,
        "field": await live.read_field("BT61.7"),
        "pending": await live.pending("BT54"),
        "dump": [(image.table, bytes(image.data)) async for image in live.dump(["BT00", "BT63", "BT64"])],
    }


def furnished() -> Sample:
    """A sample with a clock and a pending table."""
    meter = sample()
    meter.tables[52] = bytes((24, 3, 15, 10, 7, 30)) + b"\x10"
    meter.tables[55] = bytes((24, 3, 15, 11, 7, 0)) + b"\x20\0\0"
    meter.tables[4096 + 54] = bytes(range(40))
    return meter


needs_pty = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pty")


@pytest.mark.parametrize("kind", ["memory", "socket", pytest.param("pty", marks=needs_pty)])
def test_every_task_blocking_and_asyncio(kind: str) -> None:
    if kind == "memory":
        with opened(furnished()) as live:
            blocking = everything(live)
    else:
        with served(furnished(), kind) as name, osgp.open(name, password=PASSWORD, timing=FAST) as live:
            blocking = everything(live)

        async def run() -> dict[str, Any]:
            with served(furnished(), kind) as name:
                async with osgp.open_async(name, password=PASSWORD, timing=FAST) as live:
                    return await everything_async(live)

        assert asyncio.run(run()) == blocking
    meter = furnished()
    for what in ("registers", "measurements", "load_profile", "events", "channels", "alarms", "mbus"):
        expected = truth(meter, LABEL, what)
        if what == "registers":
            assert blocking["self_reads"] == [r for r in expected if r["snapshot"] == "self_read"]
            expected = [r for r in expected if r["snapshot"] == "current"]
        assert blocking[what] == expected, what
    # BT63 follows the data that it belongs to.
    assert blocking["dump"] == [(n, meter.tables[n]) for n in (0, 64, 63)]
    assert blocking["read"] == meter.tables[61]
    assert blocking["part"] == meter.tables[61][7:9]
    assert blocking["field"] == 7
    assert blocking["pending"].ped == PED
    assert blocking["pending"].at == datetime(2024, 3, 14, 0, 0, tzinfo=UTC)
    assert blocking["pending"].data == bytes(range(40))


@pytest.mark.parametrize("with_et36", [True, False])
def test_mbus_readings(with_et36: bool) -> None:
    meter = Sample(tables={**mbus_meter(), 1: bt01()})
    if not with_et36:
        del meter.tables[2084]
    with opened(meter, meter="m") as live:
        assert plain(live.mbus()) == truth(meter, "m", "mbus")
        assert plain(live.alarms()) == truth(meter, "m", "alarms") != []
        # Of the logs only what holds something.
        read = sum(count or 0 for name, _, count in meter.reads if name == "ET74")
        if with_et36:
            assert 0 < read < len(meter.tables[2122])
        live.mbus()
        assert meter.asked.count("ET11") == 1
        assert meter.asked.count("ET16") == 2


def test_who_it_is_needs_no_password() -> None:
    with opened(sample(), password=None) as live:
        assert live.serial_number() == "UTIL-0002001"
        assert live.firmware() == "3.50.01"
        who = live.identity()
        assert (who.manufacturer, who.model, who.manufacturer_serial) == ("NES", "83331-3I", "0000000000002001")
        assert live.password_form == "no password"
        with pytest.raises(osgp.RemoteProtocolError) as caught:
            live.registers()
        assert caught.value.code == "refused.isc"
        assert "MK, PK, RK" in str(caught.value)


def test_labels() -> None:
    with opened(sample(), meter="cellar") as live:
        assert live.label == "cellar"
        assert {row["meter"] for row in live.load_profile().rows()} == {"cellar"}
    blank = sample()
    blank.tables[2051] = bytes(143)
    with opened(blank) as live:
        assert live.label == "0000000000002001"
        assert {image.meter for image in live.images} == {"0000000000002001"}
        assert live.serial_number() == "0000000000002001"
    blank.tables[1] = bytes(24)
    with opened(blank) as live:
        assert live.label == "memory"


def test_dimensions_are_read_once_per_session_and_before_the_rest() -> None:
    meter = sample()
    with opened(meter) as live:
        for _ in range(3):
            live.load_profile()
            live.registers()
            live.measurements()
        names = meter.asked
        for name in ("BT00", "BT01", "BT21", "BT22", "BT27", "BT61", "BT62"):
            assert names.count(name) == 1, name
        assert [n for n in names if n != "ET03"][:2] == ["BT00", "BT01"]
        assert names.count("BT23") == 3


def test_bt20_and_bt70_stand_in_on_old_firmware() -> None:
    meter = sample()
    meter.put("BT01", 14, bytes((0x20, 0x80 | 10)))  # 2.04: before 2.12
    old, new = meter.tables[21], meter.tables.pop(21)
    meter.tables[20] = new
    meter.tables[70] = meter.tables.pop(71)
    assert old == new
    with opened(meter) as live:
        current = [r for r in truth(meter, live.label, "registers") if r["snapshot"] == "current"]
        assert plain(live.registers()) == current
        assert current
        assert plain(live.events()) == truth(meter, live.label, "events")
        names = meter.asked
        assert names.index("BT21") < names.index("BT20")
        assert names.index("BT71") < names.index("BT70")
        live.registers()
        assert names.count("BT21") == 1
        assert live.refused["BT21"].code == "refused.iar"


def test_a_field_is_read_by_exactly_its_bytes() -> None:
    meter = furnished()
    with opened(meter) as live:
        live.load_profile()
        del meter.reads[:]
        assert live.read_field("BT28.present_value.3") == live.read_table("BT28")["present_value.3"]
        assert ("BT28", 12, 4) in meter.reads
        assert live.read_field("BT61.set.0.blocks") == live.read_field("BT61.7") == live.read_field("bt61.7[0]") == 7
        assert live.read_field("BT52.clock") == datetime(2024, 3, 15, 10, 7, 30, tzinfo=UTC)
        assert meter.reads[-1] == ("BT52", 0, 6)
        assert live.read_field("BT63.0.5") == live.read_table("BT63")["set.0.flags.active"]
        assert live.read_field("BT63.set.0")["last_block"] == live.read_table("BT63")["set.0.last_block"]
        meter.tables[4096 + 61] = meter.tables[61]
        assert live.read_field("BT61.pending.set.0.blocks") == 7
        block = live.read_field("BT64.block.2.end_time")
        assert meter.reads[-1] == ("BT64", 2 * 1841, 5)
        assert block == live.read_table("BT64")["block.2.end_time"]
        for wrong in (
            "BT61",
            "BT61.99",
            "XX.1",
            "BT54.pending.season",
            "BT61.set.7.blocks",
            "BT28.present_value.900",
            "BT61.set.x",
        ):
            with pytest.raises(osgp.UsageError) as caught:
                live.read_field(wrong)
            assert caught.value.code == "meter.field"


def test_offsets_in_the_guides_notation_are_those_of_the_firmware() -> None:
    """ET55.107.2 is "Subsequent Power Outage" on firmware before 4.0 (MEP guide p. 149; the Optical guide's example has 104)."""
    meter = sample("edges/S04-unit-10-et55")
    with opened(meter) as live:
        for bit in (0, 1):
            meter.put("ET55", 107, bytes((bit << 2,)))
            assert live.read_field("ET55.107.2") is bool(bit)
            assert meter.reads[-1] == ("ET55", 107, 2)
        assert live.read_field("ET55.107") == live.read_table("ET55")["cover_quality_events"]
        assert live.read_field("ET55.103") == live.read_table("ET55")["cover_threshold"]
        for wrong in ("ET55.107.9", "ET55.104.2", "ET55.99999"):
            with pytest.raises(osgp.UsageError) as caught:
                live.read_field(wrong)
            assert caught.value.code == "meter.field"


def test_every_leaf_of_every_table_reads_like_the_whole_table() -> None:
    def leaves(value: Any, path: str) -> list[tuple[str, Any]]:
        if isinstance(value, dict):
            return [x for k, v in value.items() if k != "_rest" for x in leaves(v, f"{path}.{k}")]
        if isinstance(value, list) and value and not isinstance(value[0], int):
            return [x for i, v in enumerate(value[:2]) for x in leaves(v, f"{path}.{i}")]
        return [(path, value)]

    meter = sample("edges/A04-four-sets")
    with opened(meter) as live:
        checked = 0
        for table in ("BT00", "BT01", "BT21", "BT61", "BT62", "BT63", "ET21", "ET03", "BT64"):
            tree = live.read_table(table).values
            for path, value in leaves(tree, table):
                if value == []:
                    continue
                assert live.read_field(path) == value, path
                checked += 1
        assert checked > 190
    assert sized_by_itself("ET21")
    assert not sized_by_itself("BT23")


def test_the_clock_and_its_drift() -> None:
    meter = furnished()
    then = datetime(2024, 3, 15, 10, 7, 30, tzinfo=UTC)
    with opened(meter, out=Wire(paced=True), back=Wire(paced=True)) as live:
        clock = live.clock()
        assert clock.utc == then
        assert clock.local == datetime(2024, 3, 15, 11, 7, 0)
        assert clock.drift_s == pytest.approx((then - clock.host).total_seconds() + 0.5)
        assert 0.5 < clock.within_s < 0.6
        assert datetime.fromtimestamp(EPOCH, UTC) < clock.host < datetime.fromtimestamp(EPOCH, UTC) + timedelta(hours=1)
        del meter.tables[52]
        assert live.clock().drift_s is None
        assert live.clock().local == datetime(2024, 3, 15, 11, 7, 0)


def test_a_dump_is_byte_for_byte_what_the_meter_holds(tmp_path: Path) -> None:
    meter = sample("edges/A04-four-sets")
    meter.refuse[21] = RefusalCode.ISC
    told: dict[str, TableImage | Refusal] = {}
    with opened(meter) as live:
        files = live.dump_to(f"{tmp_path}/new/", on_table=told.__setitem__)
        assert len(files) == len(meter.tables) - 1
    for number, data in meter.tables.items():
        name = osgp.image.table_name(number)
        path = tmp_path / "new" / "EDGE-20308929" / f"{name}.bin"
        if number == 21:
            assert not path.exists()
            refusal = told[name]
            assert isinstance(refusal, Refusal)
            assert (refusal.code, refusal.keys) == ("refused.isc", "MK, PK, RK")
        else:
            assert path.read_bytes() == data, name
    absent = told["BT28"]
    assert isinstance(absent, Refusal)
    assert absent.code == "refused.iar"
    rows = list(osgp.decode(tmp_path / "new").rows())
    assert [{**r, "read_at": None} for r in rows] == truth(meter, "EDGE-20308929", "load_profile")


@compiled_or_pyarrow
@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_a_dump_as_table_images(suffix: str, tmp_path: Path) -> None:
    meter = sample()
    out = tmp_path / f"dump{suffix}"
    with opened(meter) as live:
        assert live.dump_to(out) == [str(out)]
        for what in ("load_profile", "events", "registers"):
            result = osgp.decode(out, what=what)
            assert plain(result) == truth(meter, live.label, what)
            assert all(row["read_at"] is not None for row in result.rows())
    with pytest.raises(osgp.UsageError, match="Parquet or Arrow"), opened(meter) as live:
        live.dump_to(tmp_path / "dump.csv")


def test_bt00_lists_the_tables() -> None:
    meter = sample()
    sets = bytearray(10 + 13)
    for number in (0, 1, 21, 23, 63, 64, 61, 62):
        sets[number // 8] |= 1 << number % 8
    sets[10] |= 1 << 3  # ET03
    meter.tables[0] += bytes(sets) + bytes(2 + 12)
    with opened(meter) as live:
        assert {image.table for image in live.dump()} == {0, 1, 21, 23, 61, 62, 63, 64, 2051}
        assert not {"BT28", "BT74", "ET79"} & set(meter.asked)


def test_a_table_that_fits_no_message_is_read_in_parts() -> None:
    meter = sample()
    meter.packets = 2
    meter.packet_size = 128
    with opened(meter) as live:
        assert live.read("BT64") == meter.tables[64]
        assert live.read("BT23") == meter.tables[23]
        assert plain(live.load_profile()) == truth(meter, live.label, "load_profile")
        meter.tables[2048 + 99] = bytes(900)
        with pytest.raises(osgp.UsageError) as caught:
            live.read("ET99")
        assert caught.value.code == "meter.size"
        assert len(live.read("ET99", 0, 900)) == 900


def test_what_a_read_is_asked_for() -> None:
    with opened(sample()) as live:
        for call in (
            lambda: live.read("BT61", 3),
            lambda: live.read("BT61", -1, 3),
            lambda: live.read("nonsense"),
            lambda: live.read(-1),
            lambda: live.read_table("ET98"),
            lambda: live.load_profile(data_set=5),
            lambda: live.load_profile(shape="round"),
            lambda: live.load_profile(shape="wide", delta=True),
            lambda: live.load_profile("tomorrow"),
            lambda: live.events(log="third"),
            lambda: live.registers(("yesterday",)),
            lambda: live.read_rows("weather"),
        ):
            with pytest.raises(osgp.UsageError) as caught:
                call()
            assert caught.value.code in ("usage.partial", "usage.table", "usage.choice", "usage.delta", "usage.since")
        assert live.read("BT61", 7, 2) == sample().tables[61][7:9]


def test_progress_tells_bytes_of_tables() -> None:
    told: list[tuple[int, int]] = []
    meter = sample()
    with opened(meter, back=Wire(paced=True), progress=lambda done, total: told.append((done, total))) as live:
        del told[:]
        live.load_profile()
        profile = len(meter.tables[64])
        assert told[-1][0] >= profile
        assert all(done <= total for done, total in told)
        assert [done for done, _ in told] == sorted(done for done, _ in told)
        assert len(told) > 20
        live.progress = None
        count = len(told)
        live.registers()
        assert len(told) == count


def test_importing_the_package_stays_quick() -> None:
    code = "import osgp_fast, sys; assert not {'serial', 'asyncio', 'osgp_fast.meter'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
