"""The live meter and the virtual one: firmware generations, a clock that runs while it is read, 9600 bit/s, keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import osgp_fast as osgp
import pytest
from osgp_fast.image import TableImage, parse_table_name
from osgp_fast.meter import Clocks
from osgp_fast.session import RefusalCode
from osgp_fast.transport import MemoryPort, VirtualClock, Wire
from osgp_fast.virtual import Clock, Firmware, MBusDevice, MeterConfig, MeterHandler, VirtualMeter, machine
from test_meter_tasks import plain

START = datetime(2024, 6, 1, 10, 7, 30, tzinfo=UTC)
MK, RK = b"MK-of-virtual-meter!", b"RK-of-virtual-meter!"
KINDS = ("load_profile", "events", "measurements", "alarms", "mbus", "channels")
SNAPSHOTS = ("current", "self_read", "previous_season", "previous_demand_reset")


class Virtual:
    """A virtual meter and what a dump of it holds now."""

    def __init__(self, firmware: str, speed: float) -> None:
        self.clock = VirtualClock()
        config = MeterConfig(
            firmware=Firmware.parse(firmware), start=START, history_days=6, mbus=(MBusDevice(),), speed=speed
        )
        self.meter = VirtualMeter(config)
        self.handler = MeterHandler(self.meter, Clock(self.clock, self.meter.start, speed))

    def images(self, label: str) -> list[TableImage]:
        found = self.meter.images(self.handler.now())
        return [
            TableImage(meter=label, table=parse_table_name(id) or 0, data=data, whole=True)
            for id, data in found.items()
            if id not in ("BT07", "BT08")
        ]

    @contextmanager
    def opened(self, password: bytes = MK, **options: Any) -> Iterator[osgp.Meter]:
        port = MemoryPort(machine(self.handler), self.clock, out=Wire(paced=True), back=Wire(paced=True))
        start = START.timestamp() - self.clock()
        clocks = Clocks(self.clock, lambda: start + self.clock())
        with osgp.open(port, password=password, clock=clocks, **options) as live:
            yield live


def idle(live: osgp.Meter, seconds: float) -> None:
    """Nothing is said for a while; the meter lives on."""
    line = live._line
    end = line.clock() + seconds
    while line.clock() < end:
        line.port.read(end - line.clock())


@pytest.mark.parametrize("firmware", ["2.10", "3.10", "3.50", "4.30"])
def test_every_generation_gives_the_rows_of_its_dump(firmware: str) -> None:
    virtual = Virtual(firmware, 0)
    with virtual.opened() as live:
        images = virtual.images(live.label)
        for what in KINDS:
            assert plain(live.read_rows(what)) == plain(osgp.decode_images(images, what=what)), what
        assert plain(live.registers(SNAPSHOTS)) == plain(osgp.decode_images(images, what="registers"))
        assert live.firmware().startswith(firmware)
        clock = live.clock()
        assert clock.utc == START
        dump = list(live.dump())
        held = {image.table: bytes(image.data) for image in images}
        # What changes with every session and question is its own.
        assert {i.table: bytes(i.data) for i in dump if i.table in held} == {
            i.table: held[i.table] for i in dump if i.table in held
        }
        assert len(dump) > 50


@pytest.mark.parametrize("firmware", ["3.50", "4.30"])
def test_a_meter_whose_clock_runs_fast_while_it_is_read(firmware: str) -> None:
    """At 40 times the speed a whole profile at 9600 bit/s takes the meter more than half an hour."""
    virtual = Virtual(firmware, 40)
    # A meter ends a session after 600 s of its own time, so that it is logged off and on many times.
    with virtual.opened(max_session_s=12) as live:
        result = live.load_profile()
        rows = plain(result)
        events = live.events()
        logged = plain(events)
        assert list(result.rejects) == list(events.rejects) == []
        images = virtual.images(live.label)

        def keyed(rows: list[dict[str, Any]]) -> dict[Any, Any]:
            return {(r["data_set"], r["block"], r["interval"], r["channel"]): r for r in rows}

        now = keyed(plain(osgp.decode_images(images)))
        found = keyed(rows)
        # Nothing that it did not hold; what it dropped or took since is all that differs.
        assert all(now[key] == row for key, row in found.items() if key in now)
        assert len(found.keys() - now.keys()) < 0.2 * len(found)
        held = {(e["log"], e["sequence"]): e for e in plain(osgp.decode_images(images, what="events"))}
        assert all(held[e["log"], e["sequence"]] == e for e in logged if (e["log"], e["sequence"]) in held)
        newest = max(r["interval_end"] for r in rows)
        idle(live, 600.0)  # nearly seven hours of the meter
        later = plain(live.load_profile(newest))
        wanted = plain(osgp.decode_images(virtual.images(live.label), since=newest))
        assert later == [r for r in wanted if r["interval_end"] <= max(x["interval_end"] for x in later)]
        assert len(later) > 50
        assert live.sessions >= 3


def test_a_meter_that_holds_off_says_so() -> None:
    virtual = Virtual("3.50", 1)
    with virtual.opened() as live:
        virtual.handler.identify = lambda: RefusalCode.IAR  # type: ignore[method-assign]
        idle(live, 20.0)
        with pytest.raises(osgp.RemoteProtocolError) as caught:
            live.read("BT61")
        assert caught.value.code == "meter.held_off"
        assert "300 s" in str(caught.value)
        del virtual.handler.identify
        assert live.read("BT61")


def test_the_arithmetic_of_9600_baud() -> None:
    """A byte takes 10 bits, so the profile's bytes take size * 10 / 9600 s; all of packets, ACKs and checks a tenth more
    at most. A second read takes the new block and what tells which one."""
    virtual = Virtual("3.50", 1)
    with virtual.opened() as live:
        live.channels()
        began, before = virtual.clock(), live.bytes_received
        rows = list(live.load_profile().rows())
        took = virtual.clock() - began
        read = sum(len(image.data) for image in live.images if 64 <= image.table <= 67)
        print(
            f"{read} bytes of blocks: {read * 10 / 9600:.1f} s on the line, {took:.1f} s taken, ratio",
            took * 960 / read,
        )
        assert took <= 1.1 * read * 10 / 9600
        first = live.bytes_received - before
        newest = max(r["interval_end"] for r in rows if r["data_set"] == 1)
        before = live.bytes_received
        assert list(live.load_profile(newest, data_set=1).rows()) == []
        assert live.bytes_received - before < 250
        virtual.clock.now += 1000
        live.channels()
        before = live.bytes_received
        fresh = list(live.load_profile(newest, data_set=1).rows())
        assert {r["interval_end"] for r in fresh} == {newest + timedelta(minutes=15)}
        assert live.bytes_received - before < 1841 + 400 < first


def test_keys_and_lock_outs() -> None:
    virtual = Virtual("3.50", 1)
    with virtual.opened(RK) as live:
        assert plain(live.registers())
        with pytest.raises(osgp.RemoteProtocolError) as caught:
            live.procedure("BP15", bytes(6))
        assert caught.value.fields["result"] == 5
        assert "BP15 may be called with: MK, PK" in str(caught.value)
        refused = [image for image in live.dump() if image.table == 2048 + 4]
        assert refused == [] or "ET04" not in live.refused
    with pytest.raises(osgp.SecurityError), virtual.opened(b"x" * 20):
        pass
    with virtual.opened(None) as live:  # type: ignore[arg-type]
        assert live.serial_number().startswith("VIRTUAL")
        with pytest.raises(osgp.RemoteProtocolError, match="MK, PK, RK"):
            live.measurements()


def test_procedures_of_the_virtual_meter() -> None:
    virtual = Virtual("3.50", 1)
    with virtual.opened() as live:
        with pytest.raises(osgp.RemoteProtocolError, match="no pending table with this PED"):
            live.procedure("BP15", bytes(6))
        found = live.procedure("BP03", b"", check=False)
        assert found.name == "BP03"
        assert live.sessions == 1


@pytest.mark.parametrize("firmware", ["3.50", "4.30"])
def test_inputs_and_outputs(firmware: str) -> None:
    virtual = Virtual(firmware, 0)
    with virtual.opened() as live:
        found = live.inputs_outputs()
        tables = {i.table: i for i in virtual.images(live.label)}
        held = {id: tables[parse_table_name(id) or 0].data for id in ("BT00", "BT01", "BT20", "BT21", "ET11")}
        for id, part in (("ET29", found.hardware), ("ET46", found.control_output)):
            data = tables[parse_table_name(id) or 0].data
            assert part == osgp.decode_table(id, bytes(data), tables={k: bytes(v) for k, v in held.items()}).values
        assert found.hardware["hardware_options"]["disconnect"] in (True, False)
        assert "relay_1_random_pending" in found.relays
        rows = live.registers().rows()
        counts = {r["source"]: r["value"] for r in rows if r["kind"] == "summation" and r["tier"] is None}
        assert found.pulse_inputs == {1: counts.get(26), 2: counts.get(27)}
