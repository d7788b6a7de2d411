"""The virtual meter at its optical port: keys, refusals, what is written and kept, procedures, lock-outs."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from osgp_fast import TransportError, codec
from osgp_fast.catalog import TABLES
from osgp_fast.image import PENDING, parse_table_name
from osgp_fast.layout import TableSet
from osgp_fast.session import (
    Connection,
    Data,
    Read,
    RefusalCode,
    Refused,
    Role,
    Write,
    dialogue,
)
from osgp_fast.session.procedure import BT07, BT08, Initiate, parse_result
from osgp_fast.transport import Line, MemoryPort, SharedPort, VirtualClock
from osgp_fast.virtual import Clock, Firmware, MBusDevice, MeterConfig, MeterHandler, VirtualMeter, machine, may_read
from osgp_fast.virtual.access import Key, readers, writers

START = datetime(2024, 6, 1, 10, 7, 30, tzinfo=UTC)
MK, PK, RK = (b"%s-of-virtual-meter!" % k for k in (b"MK", b"PK", b"RK"))


class Bench:
    """A meter, its handler, and a clock that somebody turns."""

    def __init__(self, firmware: str = "3.50", **more: Any) -> None:
        self.clock = VirtualClock()
        config = MeterConfig(
            firmware=Firmware.parse(firmware), start=START, history_days=8, mbus=(MBusDevice(),), **more
        )
        self.meter = VirtualMeter(config)
        self.handler = MeterHandler(self.meter, Clock(self.clock, self.meter.start, config.speed))

    def log_on(self, password: bytes) -> RefusalCode | None:
        self.handler.log_on(7, b"tester")
        return self.handler.security(password)

    def read(self, id: str) -> bytes | Data | RefusalCode:
        return self.handler.read(parse_table_name(id) or 0, 0, None)

    def values(self, id: str) -> codec.Decoded:
        data = self.read(id)
        assert isinstance(data, bytes)
        known = TableSet(self.meter.images(self.handler.now()))
        return codec.decode(known.layout(id), data, table=id)

    def call(self, number: int, parameters: bytes = b"", sequence: int = 20) -> tuple[int, bytes] | RefusalCode:
        """The result code and data of a procedure, or the refusal of the write."""
        refused = self.handler.write(BT07, None, Initiate(number, sequence, parameters).emit(), b"")
        if refused is not None:
            return refused
        data = self.handler.read(BT08, 0, None)
        assert isinstance(data, bytes)
        result = parse_result(data)
        assert (result.number, result.sequence) == (number, sequence)
        return result.code, result.data

    def line(self, **more: Any) -> tuple[Line, Connection]:
        port = MemoryPort(machine(self.handler), self.clock, **more)
        connection = Connection(Role.CLIENT)
        return Line(port, connection, clock=self.clock), connection


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("firmware", ["2.10", "3.50", "4.30"])
@pytest.mark.parametrize(("password", "key"), [(None, ""), (MK, "MK"), (PK, "PK"), (RK, "RK")])
def test_who_may_read_what(firmware: str, password: bytes | None, key: str) -> None:
    bench = Bench(firmware)
    bench.handler.log_on(0, b"")
    if password is not None:
        assert bench.handler.security(password) is None
    for id in bench.meter.tables:
        printed = TABLES[id].optical_read
        allowed = printed == "Open" or (key != "" and (not printed or key in printed.split(", ")))
        assert isinstance(bench.read(id), bytes) == allowed, id
        assert may_read(id, Key(key)) == allowed
        if not allowed:
            assert bench.read(id) is RefusalCode.ISC
    if not key:
        assert {id for id in bench.meter.tables if isinstance(bench.read(id), bytes)} == {"BT00", "BT01", "ET03"}


def test_what_the_guide_says_of_rk() -> None:
    assert readers("ET21") == {"MK", "PK"}  # Optical guide p. 38
    assert readers("ET51") == {"MK", "PK"}  # p. 14
    assert readers("BT04") == {"MK", "PK"}  # p. 10
    assert "RK" not in writers("ET55")
    assert writers("BT23") == {"MK", "PK"}  # MAK may, by the MEP guide
    assert writers("BT61") == frozenset()


def test_unknown_tables_are_inappropriate(bench: Bench) -> None:
    bench.log_on(MK)
    for number in (2, 99, 2048 + 200, 0x1FFF, 0xFFFF, PENDING + 54):
        assert bench.handler.read(number, 0, None) is RefusalCode.IAR
    assert Bench("2.10").handler.read(21, 0, None) is RefusalCode.IAR
    assert bench.handler.write(99, None, b"1", b"") is RefusalCode.IAR


def test_what_is_written_is_kept(bench: Bench) -> None:
    bench.log_on(PK)
    et03 = parse_table_name("ET03") or 0
    assert bench.handler.write(et03, 0, b"MINE".ljust(30, b"\0"), b"") is None
    assert bench.values("ET03")["utility_serial"] == "MINE"
    assert bench.values("BT74").values["entry"][-1] is not None
    assert any(e.code == 10 and e.user == 7 for e in bench.meter.log(bench.meter.start))
    whole = bench.read("ET03")
    assert isinstance(whole, bytes)
    assert bench.handler.write(et03, None, whole[::-1], b"") is None
    assert bench.read("ET03") == whole[::-1]
    assert bench.handler.write(et03, None, whole[:-1], b"") is RefusalCode.ONP
    assert bench.handler.write(et03, 140, bytes(10), b"") is RefusalCode.ONP
    assert bench.handler.write(61, None, bytes(31), b"") is RefusalCode.IAR
    bench.log_on(RK)
    assert bench.handler.write(et03, 0, b"NOT", b"") is RefusalCode.ISC
    assert bench.read("ET03") == whole[::-1]


def test_keys_are_not_kept(bench: Bench) -> None:
    bench.log_on(MK)
    before = bench.read("ET13")
    assert isinstance(before, bytes)
    assert bench.handler.write(2048 + 13, None, b"\x01" * len(before), b"") is None
    values = bench.values("ET13")
    assert values["device.0.key"] == bytes(32)
    assert values["device.0.ta"] == 0x0101


def test_wrong_passwords(bench: Bench) -> None:
    assert bench.log_on(b"MK") is RefusalCode.ERR
    assert bench.read("BT23") is RefusalCode.ISC
    bench.log_on(MK)
    assert bench.values("BT03")["manufacturer_5.invalid_password"] is True
    assert any(e.code == 0x808 for e in bench.meter.entries(bench.meter.start, alternate=False))
    bench.handler.end(timed_out=True)
    assert bench.read("BT23") is RefusalCode.ISC
    assert Bench(pk_enabled=False).log_on(PK) is RefusalCode.ERR


def test_lock_out() -> None:
    bench = Bench("4.30", failures_until_lockout=3, lockout_minutes=2)
    for _ in range(3):
        line, _ = bench.line()
        line.run(dialogue.connect())
        with pytest.raises(Refused):
            line.run(dialogue.log_on(b"wrong"))
        line.hang_up()
    line, _ = bench.line()
    with pytest.raises(TransportError) as silence:
        line.run(dialogue.connect())
    assert silence.value.code.startswith("line.")
    bench.clock.now += 121
    line, connection = bench.line()
    line.run(dialogue.connect())
    line.run(dialogue.log_on(MK))
    assert line.run(dialogue.read(connection, 2048 + 55)).data


def test_older_firmware_has_no_lock_out() -> None:
    bench = Bench("3.50", failures_until_lockout=1, lockout_minutes=2)
    bench.log_on(b"wrong")
    assert not bench.handler.locked_until


def test_long_sessions_are_cut_off() -> None:
    bench = Bench(dos_timer=True, dos_session_s=60, dos_hold_off_s=100)
    line, _ = bench.line()
    line.run(dialogue.connect())
    line.run(dialogue.log_on(MK))
    began = bench.clock.now

    def read_on() -> None:
        while bench.clock.now < began + 200:
            line.ask(Read(0))
            bench.clock.now += 5

    with pytest.raises(TransportError) as cut:
        read_on()
    assert cut.value.code.startswith("line.")
    assert 55 <= bench.clock.now - began < 160
    bench.clock.now += 200
    line, _ = bench.line()
    line.run(dialogue.connect())


def test_no_number_twice(bench: Bench) -> None:
    bench.log_on(MK)
    assert bench.call(12, sequence=20) == (0, b"")
    assert bench.call(12, sequence=20) is RefusalCode.ONP
    assert bench.call(12, sequence=21) == (0, b"")
    executed = [e for e in bench.meter.log(bench.meter.start) if e.code == 9]
    assert len(executed) == 2
    bench.log_on(MK)
    assert bench.call(12, sequence=255) is RefusalCode.ONP  # after a log-on it counts as the last one


def test_procedures_that_are_not_there(bench: Bench) -> None:
    bench.log_on(MK)
    assert bench.call(1) == (6, b"")
    assert bench.call(2048 + 64, sequence=21) == (6, b"")
    assert bench.handler.write(BT07, None, b"12", b"") is RefusalCode.ONP
    assert bench.handler.write(BT07, None, bytes(400), b"") is RefusalCode.ONP
    bench.handler.end(timed_out=False)
    assert bench.handler.write(BT07, None, b"\x0c\0\x17", b"") is RefusalCode.ISC


def test_rk_sets_the_clock_and_nothing_else(bench: Bench) -> None:
    bench.log_on(RK)
    assert bench.call(12, sequence=30) == (5, b"")
    code, data = bench.call(10, bytes((3, 24, 6, 1, 11, 0, 0, 0)), sequence=31)  # type: ignore[misc]
    assert code == 0
    assert data == bytes((24, 6, 1, 10, 7, 30, 24, 6, 1, 11, 0, 0))
    assert bench.values("BT52")["clock"] == datetime(2024, 6, 1, 11, tzinfo=UTC)
    assert bench.values("BT55")["clock"] == datetime(2024, 6, 1, 13)
    assert bench.call(10, bytes((1, 24, 13, 1, 11, 0, 0, 0)), sequence=32) == (2, b"")
    assert bench.call(10, b"", sequence=33) == (2, b"")
    forbidden = Bench(rk_may_set_clock=False)
    forbidden.log_on(RK)
    assert forbidden.call(10, bytes((3, 24, 6, 1, 11, 0, 0, 0))) == (5, b"")


def test_list_pointers(bench: Bench) -> None:
    bench.log_on(MK)
    assert bench.values("BT63")["set.0.unread_blocks"] == bench.values("BT63")["set.0.valid_blocks"] > 5
    newest = bench.values("BT63")["set.0.last_sequence"]
    bench.meter.read_up_to["profile 1"] = newest - 4
    assert bench.call(5, struct.pack("<BH", 3, 3), sequence=20) == (0, b"")
    assert bench.values("BT63")["set.0.unread_blocks"] == 1
    assert bench.call(4, b"\x01", sequence=21) == (0, b"")
    bench.clock.now += 1
    assert bench.values("BT74")["unread_entries"] <= 1  # the procedure itself
    assert bench.call(4, b"\xff", sequence=22) == (0, b"")
    assert bench.values("BT63")["set.1.unread_blocks"] == 0
    for parameters in (b"", b"\x63", b"\x03\0\0\0"):
        assert bench.call(4, parameters, sequence=bench.meter.response[2] + 1) == (2, b"")


def stime(when: datetime) -> bytes:
    return bytes((when.year - 2000, when.month, when.day, when.hour, when.minute))


def test_pending_tables(bench: Bench) -> None:
    bench.log_on(MK)
    bt54 = bench.read("BT54")
    assert isinstance(bt54, bytes)
    new = bt54[:-4] + b"\x2a\0\0\0"
    ped = b"\0" + stime(datetime(2024, 6, 1, 10, 20))
    assert bench.handler.write(PENDING + 54, None, new, b"") is RefusalCode.ONP
    assert bench.handler.write(PENDING + 54, None, new, ped) is None
    found = bench.handler.read(PENDING + 54, len(new) - 4, 4)
    assert found == Data(b"\x2a\0\0\0", ped)
    assert bench.read("BT54") == bt54
    status = bench.values("BT04")
    assert status["basic_pending"] == [54]
    assert status["pending_activations"] == 1
    assert status["activation.0.table.id"] == 54
    assert status["activation.0.storage"] == ped[1:]
    bench.clock.now += 13 * 60
    assert bench.read("BT54") == new
    assert bench.values("BT04")["basic_pending"] == []
    assert bench.values("BT04")["last_activation_time"] == datetime(2024, 6, 1, 10, 20, tzinfo=UTC)
    assert bench.handler.read(PENDING + 54, 0, None) is RefusalCode.IAR


def test_pending_tables_by_procedure_and_by_delay(bench: Bench) -> None:
    bench.log_on(MK)
    bt33 = bench.read("BT33")
    assert isinstance(bt33, bytes)
    opaque, later = b"\x02label", b"\x01" + bytes((0, 0, 0, 2, 0))
    assert bench.handler.write(PENDING + 33, 3, b"\x55", opaque) is None
    assert bench.call(15, b"\x02other", sequence=20) == (1, b"")
    assert bench.call(13, opaque, sequence=21) == (0, b"")
    assert bench.read("BT33") == bt33[:3] + b"\x55" + bt33[4:]
    assert bench.handler.write(PENDING + 33, 3, b"\x66", later) is None
    assert bench.call(15, later, sequence=22) == (0, b"")
    bench.clock.now += 200
    assert bench.read("BT33") == bt33[:3] + b"\x55" + bt33[4:]
    assert bench.handler.write(PENDING + 33, 3, b"\x77", later) is None
    bench.clock.now += 119
    assert isinstance(bench.handler.read(PENDING + 33, 0, None), Data)
    bench.clock.now += 2
    assert bench.read("BT33") == bt33[:3] + b"\x77" + bt33[4:]
    assert bench.call(12, sequence=23) == (0, b"")
    bench.log_on(RK)
    assert bench.handler.write(PENDING + 33, 3, b"\x77", later) is RefusalCode.ISC


def test_alarms_and_devices(bench: Bench) -> None:
    bench.log_on(MK)
    assert bench.values("BT03")["manufacturer_4.self_read_occurred"] is True
    assert bench.call(2048 + 3, sequence=20) == (0, b"")
    assert bench.values("BT03")["manufacturer_4.self_read_occurred"] is False
    assert bench.values("ET14")["device.0.handle"] == 1
    request = struct.pack("<HHBB", 77, 1, 2, 2) + b"ab"
    assert bench.call(2048 + 19, request, sequence=21) == (0, b"\0")
    assert bench.values("ET15")["request.0"] == {
        "transaction_number": 77,
        "device_handle": 1,
        "request_type": 2,
        "result": 1,
        "rest": b"",
    }
    assert bench.call(2048 + 19, struct.pack("<HHBB", 77, 4, 2, 0), sequence=22) == (3, b"")
    assert bench.call(2048 + 19, struct.pack("<HHBB", 77, 1, 4, 9), sequence=23) == (2, b"")
    assert bench.call(2048 + 17, struct.pack("<BH", 0, 1), sequence=24) == (0, b"")
    assert bench.call(2048 + 17, struct.pack("<BH", 0, 1), sequence=25) == (3, b"")
    assert bench.values("ET14")["device_occupancy.device_1"] is False
    assert bench.call(2048 + 61, b"\x01", sequence=26) == (5, b"")


def test_the_meter_goes_on_while_it_is_read(bench: Bench) -> None:
    line, connection = bench.line()
    line.run(dialogue.connect())
    line.run(dialogue.log_on(MK))
    first = line.run(dialogue.read(connection, 52)).data
    bench.clock.now += 5
    second = line.run(dialogue.read(connection, 52)).data
    assert first != second
    whole = line.run(dialogue.read(connection, 64, 0, bench.meter.rings[0].size)).data
    assert whole == bench.meter.image("BT64", bench.handler.now())
    # A partial read past the end is filled with zeros.
    padded = line.run(dialogue.read(connection, 2048 + 3, 140, 10)).data
    assert padded == bench.meter.image("ET03", 0)[140:] + bytes(10 - 3)


def test_speed() -> None:
    fast, still = Bench(speed=3600.0), Bench(speed=0.0)
    for bench, hours in ((fast, 24), (still, 0)):
        bench.clock.now += 24
        assert bench.handler.now() == bench.meter.start + 3600 * hours


@pytest.mark.parametrize("firmware", ["3.10", "4.0"])
def test_a_session_over_the_shared_port(firmware: str) -> None:
    bench = Bench(firmware)
    shared = SharedPort(machine(bench.handler), messages=(b"\0\x03\x01\x02\x03",))
    connection = Connection(Role.CLIENT)
    line = Line(MemoryPort(shared, bench.clock), connection, clock=bench.clock)
    line.run(dialogue.connect())
    line.run(dialogue.log_on(RK))
    assert line.run(dialogue.read(connection, 1)).data == bench.meter.image("BT01", 0)
    with pytest.raises(Refused) as refused:
        line.ask(Write(15, bytes(17)))
    assert refused.value.fields["number"] == RefusalCode.ISC


def test_once_is_enough(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    # Answers of the meter are lost: the client repeats the same write, and the meter does it once.
    calls: list[int] = []
    original: Callable[..., bool] = bench.handler.procedures.call

    def counted(*arguments: Any) -> bool:
        done = original(*arguments)
        calls.append(done)
        return done

    monkeypatch.setattr(bench.handler.procedures, "call", counted)
    bench.log_on(MK)
    for _ in range(4):
        bench.handler.write(BT07, None, Initiate(12, 99).emit(), b"")
    assert calls == [True, False, False, False]


@pytest.mark.parametrize("firmware", ["2.10", "3.50", "4.30"])
def test_nonsense_does_no_harm(firmware: str) -> None:
    """Whatever is asked for and written, the meter answers, and its tables can be made."""
    random = Random(firmware)
    bench = Bench(firmware)
    tables = [7, 8, 4, *(parse_table_name(id) or 0 for id in bench.meter.tables)]
    for i in range(600):
        if i % 50 == 0:
            bench.log_on(MK)
        table = random.choice(tables) | random.choice((0, 0, PENDING))
        data = random.randbytes(random.randrange(40))
        match random.randrange(3):
            case 0:
                offset, count = random.randrange(1 << random.randrange(1, 24)), random.choice((None, 0, 1, 300))
                assert bench.handler.read(table, 0 if count is None else offset, count) is not None
            case 1:
                ped = random.randbytes(6) if table & PENDING else b""
                bench.handler.write(table, random.choice((None, 0, random.randrange(200))), data, ped)
            case _:
                number = random.choice((4, 5, 10, 12, 13, 15, 2051, 2065, 2067, 2109, random.randrange(4096)))
                bench.handler.write(BT07, None, number.to_bytes(2, "little") + data, b"")
        bench.clock.now += random.randrange(3)
    images = bench.meter.images(bench.handler.now())
    assert set(images) == set(bench.meter.tables)


def test_fewer_records_of_outages(bench: Bench) -> None:
    bench.log_on(MK)
    before = bench.read("ET09")
    assert isinstance(before, bytes)
    assert bench.handler.write(2048 + 4, 53, b"\x02", b"") is None
    after = bench.read("ET09")
    assert isinstance(after, bytes)
    assert len(before) - len(after) == 8 * 18
