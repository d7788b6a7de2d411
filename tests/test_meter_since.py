"""Only what is new is read, and nothing that the meter wrote meanwhile is taken for what it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import osgp_fast as osgp
import pytest
from meters import Sample, opened, sample
from osgp_fast.codec import seconds
from osgp_fast.image import TableImage
from osgp_fast.records.profile_ring import ProfileRing, profile_ring
from osgp_fast.transport import Wire
from test_meter_tasks import plain, truth

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PROFILES = [
    "dump/M00002001",
    "dump/M00002002",
    "dump/M00002003",
    "edges/A01-end-readings",
    "edges/A04-four-sets",
    "edges/C01-cut-short",
    "edges/C08-18-hours",
]


def ring_of(meter: Sample, n: int = 0) -> ProfileRing:
    """The ring of a data set as it is now."""
    found = profile_ring("m", meter.images("m"), n)
    assert found is not None
    return found


def stamp(end_s: int) -> bytes:
    """Seconds since 1970 as an STIME_DATE."""
    t = EPOCH + timedelta(seconds=end_s)
    return bytes((t.year - 2000, t.month, t.day, t.hour, t.minute))


def record(meter: Sample, n: int = 0) -> None:
    """The meter records one more interval, in a new block where the newest one is full."""
    ring = ring_of(meter, n)
    config = ring.config
    at = ring.last * ring.stride
    block = bytearray(meter.tables[64 + n][at : at + ring.stride])
    header = ring.header(block)
    assert header.end_s is not None
    full = (1 << config.intervals) - 1
    last, sequence, valid = ring.last, ring.sequence, ring.valid
    if header.recorded == full:
        start = header.end_s
        last, sequence, valid = (ring.last + 1) % ring.blocks, ring.sequence + 1, min(ring.valid + 1, ring.blocks)
        i, at = 0, last * ring.stride
        # What an earlier round has left stays behind the new interval.
        block = bytearray(meter.tables[64 + n][at : at + ring.stride])
        recorded = 1
    else:
        i = header.recorded.bit_length()
        start = header.end_s - i * config.interval_s
        recorded = header.recorded | 1 << i
    end_s = start + (i + 1) * config.interval_s
    block[:5] = stamp(end_s)
    block[ring.status_at : ring.status_at + ring.status_size] = recorded.to_bytes(ring.status_size, "little")
    channels = len(config.channels)
    size = channels // 2 + 1 + 4 * channels
    place = ring.status_at + ring.status_size + i * size
    values = b"".join((sequence * 1000 + i * 10 + c).to_bytes(4, "little") for c in range(channels))
    block[place : place + size] = bytes(channels // 2 + 1) + values
    meter.put(f"BT{64 + n}", at, bytes(block))
    meter.put(
        "BT63", n * 13 + 1, valid.to_bytes(2, "little") + last.to_bytes(2, "little") + sequence.to_bytes(4, "little")
    )
    meter.put("BT63", n * 13 + 11, recorded.bit_count().to_bytes(2, "little"))
    if 2069 in meter.tables:
        meter.put("ET21", n * 131 + 18, last.to_bytes(2, "little") + i.to_bytes(2, "little"))


@pytest.mark.parametrize("name", PROFILES)
def test_since_gives_the_rows_of_the_dump_that_end_later(name: str) -> None:
    meter = sample(name)
    random = Random(name)
    with opened(meter) as live:
        for delta in (False, True):
            rows = truth(meter, live.label, "load_profile", delta=delta)
            for number in sorted({r["data_set"] for r in rows}):
                own = [r for r in rows if r["data_set"] == number]
                ends = sorted({r["interval_end"] for r in own})
                edges = [max(r["interval_end"] for r in own if r["block"] == b) for b in {r["block"] for r in own}]
                picks = [ends[0], ends[-1], *random.sample(edges, min(2, len(edges))), random.choice(ends)]
                for since in [p + timedelta(seconds=s) for p in picks for s in (-1, 0)]:
                    got = plain(live.load_profile(since, data_set=number, delta=delta))
                    assert got == [r for r in own if r["interval_end"] > since], (number, delta, since)


def test_a_second_read_takes_only_the_new_part() -> None:
    meter = sample()
    with opened(meter) as live:
        before = live.bytes_received
        rows = plain(live.load_profile())
        first = live.bytes_received - before
        ring = ring_of(meter)
        assert first > len(meter.tables[64])
        newest = max(r["interval_end"] for r in rows)

        def again(since: datetime) -> tuple[int, list[dict[str, Any]]]:
            before = live.bytes_received
            found = plain(live.load_profile(since))
            return live.bytes_received - before, found

        # Nothing new: the states of the ring and one end time.
        nothing, found = again(newest)
        assert found == []
        assert nothing < 150
        # A block and what tells which one; this meter has no ET21, so the one before it tells where it starts.
        record(meter)
        one, found = again(newest)
        assert len(found) == len(ring.config.channels)
        assert one < ring.stride + 300
        # Four blocks back: four or five blocks.
        some, found = again(newest - timedelta(seconds=4 * ring.config.block_s))
        assert len(found) > 3 * ring.config.intervals * len(ring.config.channels)
        assert some < 5 * ring.stride + 500
        assert meter.asked.count("BT61") == 1


def test_a_long_outage_costs_some_end_times_and_no_blocks() -> None:
    meter = sample("edges/A04-four-sets")
    ring = ring_of(meter)
    # All older blocks ended ten years before.
    for age in range(1, ring.valid):
        at = ring.element(ring.sequence - age) * ring.stride
        end_s = ring.header(meter.tables[64][at : at + ring.stride]).end_s
        assert end_s is not None
        meter.put("BT64", at, stamp(end_s - 10 * 365 * 86_400))
    newest = seconds(meter.tables[64][ring.last * ring.stride :][:5])
    assert newest is not None
    with opened(meter) as live:
        since = EPOCH + timedelta(seconds=newest - 365 * 86_400)
        got = plain(live.load_profile(since, data_set=1))
        wanted = [r for r in truth(meter, live.label, "load_profile") if r["data_set"] == 1]
        assert got == [r for r in wanted if r["interval_end"] > since]
        sizes = [count for name, _, count in meter.reads if name == "BT64"]
        assert sorted(sizes)[-1] == ring.used
        assert len(sizes) < 8


@pytest.mark.parametrize(("name", "number"), [("dump/M00002003", 1), ("edges/A04-four-sets", 3)])
@pytest.mark.parametrize("since_blocks", [None, 2])
def test_the_meter_goes_on_at_any_moment(name: str, number: int, since_blocks: int | None) -> None:
    """Whatever read the meter records before, one interval or many: the rows are those of the meter as it is then."""
    for intervals in (1, 70):
        at = 0
        while True:
            meter = sample(name)
            ring = ring_of(meter, number - 1)
            happened = False
            count = 0

            def meanwhile(
                m: Sample, table: str, offset: int, size: int | None, at: int = at, intervals: int = intervals
            ) -> None:
                nonlocal happened, count
                if table in (f"BT{63 + number}", "BT63") and not happened:
                    count += 1
                    if count > at:
                        happened = True
                        for _ in range(intervals):
                            record(m, number - 1)

            with opened(meter) as live:
                live.channels()
                meter.meanwhile = meanwhile
                end = seconds(meter.tables[63 + number][ring.last * ring.stride :][:5])
                assert end is not None
                since = None
                if since_blocks is not None:
                    since = EPOCH + timedelta(seconds=end - since_blocks * ring.config.block_s - 60)
                result = live.load_profile(since, data_set=number)
                got = plain(result)
                assert list(result.rejects) == []
                if not happened:
                    break
                images = [i for i in meter.images(live.label) if i.table not in {64, 65, 66, 67} - {63 + number}]
                wanted = plain(osgp.decode_images(images, since=since))
                assert got == wanted, (intervals, at)
            at += 1
        assert at >= 3


def test_a_meter_that_never_holds_still() -> None:
    meter = sample()
    meter.meanwhile = lambda m, table, offset, size: record(m) if table == "BT64" else None
    with opened(meter) as live:
        with pytest.raises(osgp.RemoteProtocolError) as caught:
            live.load_profile()
        assert caught.value.code == "meter.restless"
        assert live.images


def test_a_dump_while_the_meter_goes_on(tmp_path: Any) -> None:
    for at in range(1, 12):
        meter = sample("dump/M00002003")
        count = 0

        def meanwhile(m: Sample, table: str, offset: int, size: int | None, at: int = at) -> None:
            nonlocal count
            if table in ("BT63", "BT64"):
                count += 1
                if count == at:
                    for _ in range(30):
                        record(m)

        with opened(meter) as live:
            meter.meanwhile = meanwhile
            images = list(live.dump(["BT61", "BT62", "BT63", "BT64"]))
            meter.meanwhile = None
            rows = plain(osgp.decode_images(images))
            assert rows == truth(meter, live.label, "load_profile"), at
            assert list(osgp.decode_images(images).rejects) == []


def test_configurations_that_make_no_sense_are_rejects_as_in_a_dump() -> None:
    changes: list[Callable[[Sample], None]] = [
        lambda m: m.put("BT63", 1, (999).to_bytes(2, "little")),
        lambda m: m.put("BT63", 3, (999).to_bytes(2, "little")),
        lambda m: m.put("BT61", 11, b"\x00"),
        lambda m: m.put("BT61", 12, b"\xfe"),
        lambda m: m.put("BT63", 0, b"\x10"),
    ]
    for change in changes:
        meter = sample()
        change(meter)
        with opened(meter) as live:
            result = live.load_profile("2024-01-01")
            assert list(result.rows()) == []
            assert [r.code for r in result.rejects] == [r.code for r in osgp.decode_images(meter.images("m")).rejects]
            assert len(result.rejects) == 1


# ---- logs


def log_event(meter: Sample, count: int = 1) -> None:
    """The meter logs events."""
    for _ in range(count):
        head = meter.tables[74][:11]
        size = (len(meter.tables[74]) - 11) // 100
        valid, last, sequence = (int.from_bytes(head[a:b], "little") for a, b in ((1, 3), (3, 5), (5, 9)))
        newest = meter.tables[74][11 + last * size : 11 + (last + 1) * size]
        last, sequence, valid = (last + 1) % 100, sequence + 3, min(valid + 1, 100)
        now = EPOCH + timedelta(seconds=(seconds(newest[:6]) or 0) + 61)
        entry = bytes((now.year - 2000, now.month, now.day, now.hour, now.minute, now.second))
        entry += sequence.to_bytes(4, "little")[:2] + b"\xff\xff\x05\x00" + bytes(size - 12)
        meter.put("BT74", 11 + last * size, entry)
        counts = valid.to_bytes(2, "little") + last.to_bytes(2, "little") + sequence.to_bytes(4, "little")
        meter.put("BT74", 1, counts)


@pytest.mark.parametrize("name", ["dump/M00002001", "edges/V01-full-wrapped"])
def test_events_since(name: str) -> None:
    meter = sample(name)
    with opened(meter) as live:
        rows = truth(meter, live.label, "events")
        times = sorted(r["time"] for r in rows if r["time"] is not None)
        for since in [*times[::9], times[-1], times[0] - timedelta(days=1), times[-2]]:
            newest_old = max(
                (i for i, r in enumerate(rows) if r["time"] is not None and r["time"] <= since), default=-1
            )
            wanted = [r for r in rows[newest_old + 1 :] if r["time"] is None or r["time"] > since]
            assert plain(live.events(since)) == wanted
        before = live.bytes_received
        assert plain(live.events(times[-1])) == []
        assert live.bytes_received - before < 250
        log_event(meter, 3)
        before = live.bytes_received
        assert len(plain(live.events(times[-1]))) == 3
        assert live.bytes_received - before < 250
        assert meter.asked.count("BT71") == 1


@pytest.mark.parametrize("name", ["dump/M00002001", "edges/V01-full-wrapped"])
@pytest.mark.parametrize("count", [1, 5, 150])
@pytest.mark.parametrize("with_since", [False, True])
def test_events_that_come_while_they_are_read(name: str, count: int, with_since: bool) -> None:
    at = 0
    while True:
        meter = sample(name)
        reads, happened = 0, False

        def meanwhile(m: Sample, table: str, offset: int, size: int | None, at: int = at) -> None:
            nonlocal reads, happened
            if table == "BT74" and not happened:
                reads += 1
                if reads > at:
                    happened = True
                    log_event(m, count)

        with opened(meter) as live:
            times = sorted(r["time"] for r in truth(meter, live.label, "events") if r["time"] is not None)
            since = times[len(times) // 2] if with_since else None
            meter.meanwhile = meanwhile
            result = live.events(since)
            got = plain(result)
            if not happened:
                break
            wanted = truth(meter, live.label, "events")
            assert got == [r for r in wanted if since is None or r["time"] is None or r["time"] > since]
            assert list(result.rejects) == []
        at += 1
    assert at >= 3


def test_self_reads_take_only_entries_that_hold_something() -> None:
    meter = sample()
    size = (len(meter.tables[26]) - 6) // meter.tables[21][2]
    meter.put("BT26", 1, b"\x02")
    meter.put("BT26", 2, b"\x01")
    with opened(meter) as live:
        wanted = [r for r in truth(meter, live.label, "registers") if r["snapshot"] == "self_read"]
        assert plain(live.self_reads()) == wanted
        assert ("BT26", 6, 2 * size) in meter.reads
        assert sum(count or 0 for name, _, count in meter.reads if name == "BT26") == 6 + 2 * size + 6
        meter.put("BT26", 1, b"\x00")
        assert plain(live.self_reads()) == []


def test_the_time_of_a_whole_load_profile_at_9600_baud() -> None:
    """At most 1.1 times what the bytes of the blocks take on the line, 10 bits each."""
    meter = sample()
    with opened(meter, out=Wire(paced=True), back=Wire(paced=True)) as live:
        live.channels()
        clock = live._line.clock
        began = clock()
        live.load_profile()
        took = clock() - began
        on_line = len(meter.tables[64]) * 10 / 9600
        print(f"{len(meter.tables[64])} bytes: {on_line:.2f} s on the line, {took:.2f} s taken")
        assert took <= 1.1 * on_line


def test_images_are_what_was_read() -> None:
    meter = sample()
    with opened(meter) as live:
        live.load_profile()
        assert all(isinstance(image, TableImage) and image.read_at for image in live.images)
        for image in live.images:
            data = meter.tables[image.table]
            assert bytes(image.data) == data[image.offset : image.offset + len(image.data)]
        assert plain(osgp.decode_images(live.images)) == truth(meter, live.label, "load_profile")
