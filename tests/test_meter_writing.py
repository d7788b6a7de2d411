"""Writing: only by an explicit call, verified, and nothing twice, whatever the line does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import osgp_fast as osgp
import pytest
from meters import BT08, Sample, opened, sample
from osgp_fast.session import Machine, RefusalCode
from osgp_fast.session.procedure import Result as Response
from osgp_fast.session.procedure import ResultCode
from osgp_fast.wire.c1218 import ACK

EP17 = 2048 + 17


def test_a_table_is_written_and_read_back() -> None:
    meter = sample()
    with opened(meter) as live:
        live.write("ET03", b"NEW-1", offset=0)
        assert meter.get("ET03")[:5] == b"NEW-1"
        assert meter.written == [(2051, 0, b"NEW-1", b"")]
        assert meter.reads[-1] == ("ET03", 0, 5)
        whole = bytes(range(143))
        live.write(2051, whole)
        assert meter.get("ET03") == whole
        live.write("ET03", whole, verify=False)
        assert len(meter.written) == 3


def test_a_table_is_written_from_values() -> None:
    meter = sample()
    with opened(meter) as live:
        tree = live.read_table("BT21").values
        tree["tiers"] = 2
        live.write("BT21", tree)
        assert live.read_field("BT21.7") == 2
        live.write("BT61", live.read_table("BT61").values)
        assert meter.written[-1][2] == meter.get("BT61")
        with pytest.raises(osgp.TableError):
            live.write("BT21", {"tiers": 300})
        with pytest.raises(osgp.UsageError):
            live.write("BT21", tree, offset=3)
        with pytest.raises(osgp.UsageError):
            live.write("ET98", {"x": 1})
        with pytest.raises(osgp.UsageError, match="procedure"):
            live.write("BT07", b"123")
        assert len(meter.written) == 2


def test_a_long_table_is_written_in_parts() -> None:
    meter = sample()
    meter.packets, meter.packet_size = 1, 128
    data = bytes(n % 251 for n in range(700))
    meter.tables[2147] = bytes(700)
    with opened(meter) as live:
        live.write(2147, data)
        assert meter.tables[2147] == data
        assert len(meter.written) > 4


def test_a_meter_that_does_not_keep_what_is_written() -> None:
    meter = sample(store_writes=False)
    with opened(meter) as live:
        with pytest.raises(osgp.RemoteProtocolError) as caught:
            live.write("ET03", b"NEW", offset=0)
        assert caught.value.code == "meter.not_written"
        assert "3 of its 3 bytes" in str(caught.value)
    meter = sample(refuse={2051: RefusalCode.ISC})
    with opened(meter, meter="m") as live:
        with pytest.raises(osgp.RemoteProtocolError) as caught:
            live.write("ET03", b"NEW", offset=0)
        assert caught.value.code == "refused.isc"
        assert "MAK" in str(caught.value)
        assert meter.written == []


def test_pending_tables() -> None:
    meter = sample()
    data = bytes(range(1, 21))
    number = 4096 + 54
    meter.tables[number] = data
    at = datetime(2024, 3, 14, 0, 0, tzinfo=UTC)
    with opened(meter) as live:
        live.write_pending("BT54", data, at=at)
        assert meter.written[-1] == (number, None, data, bytes.fromhex("0018030E0000"))
        pending = live.pending("BT54")
        assert (pending.table, pending.data, pending.at) == ("BT54", data, at)
        assert pending.event["event"] == {"code": 0, "self_read": False, "demand_reset": False}
        # This meter's PED is always the same, so another one is not found when it is read back.
        with pytest.raises(osgp.RemoteProtocolError, match="read back"):
            live.write_pending("BT54.pending", data, self_read=True, demand_reset=True)
        assert meter.written[-1][3] == bytes((0x32, 0, 0, 0, 0, 0))
        live.write_pending("BT54", data, ped=bytes.fromhex("0018030E0000"), verify=True)
        for options in ({"ped": b"123"}, {"ped": bytes(6), "at": at}, {"at": datetime(1999, 1, 1)}):
            with pytest.raises(osgp.UsageError) as caught:
                live.write_pending("BT54", data, **options)  # type: ignore[arg-type]
            assert caught.value.code == "usage.ped"


def test_a_procedure_is_executed_once_and_its_result_is_its_own() -> None:
    meter = sample()
    with opened(meter) as live:
        first = live.procedure("BP15", b"\x02\0\0\0\0\0")
        assert (first.number, first.code, first.name, first.completed) == (15, 0, "BP15", True)
        second = live.procedure(2048 + 50, b"abc")
        assert second.name == "EP50"
        assert [(n, p) for n, _, p in meter.executed] == [(15, b"\x02\0\0\0\0\0"), (2098, b"abc")]
        numbers = [s for _, s, _ in meter.executed]
        assert len(set(numbers)) == 2
        assert not set(numbers) & {*range(5, 10), 255}
        live.procedure("BP15", {"pending_event": bytes(6)})
        assert meter.executed[-1][2] == bytes(6)
        for wrong in ("XP1", "EP9999", -1, 5000):
            with pytest.raises(osgp.UsageError) as caught:
                live.procedure(wrong)
            assert caught.value.code == "usage.procedure"
        with pytest.raises(osgp.UsageError):
            live.procedure("EP98", {"x": 1})
        assert len(meter.executed) == 3


def test_results_of_procedures() -> None:
    meter = sample(result=ResultCode.INVALID_PARAMETER)
    with opened(meter) as live:
        with pytest.raises(osgp.RemoteProtocolError) as caught:
            live.procedure("EP17", b"\0\0")
        assert caught.value.code == "meter.procedure_failed"
        # The words are those of its own page.
        assert "EP17 answers 2: invalid action" in str(caught.value)
        assert live.procedure("EP17", b"\0\0", check=False).code == 2
        # BP15 has a meaning of its own for 1, which is then not waited for.
        meter.result = 1
        began = live._line.clock()
        with pytest.raises(osgp.RemoteProtocolError, match="no pending table"):
            live.procedure("BP15", bytes(6))
        assert live._line.clock() - began < 2
        began = live._line.clock()
        found = live.procedure("EP17", b"\0\0", check=False, wait_s=4)
        assert (found.code, found.words) == (1, "not complete: poll until it changes")
        assert live._line.clock() - began >= 4
        assert live.procedure("EP50", check=False, wait_s=1).words == "not fully completed"
        meter.result, meter.answer = 0, b"\x03"
        assert live.procedure("EP19", bytes(20)).values == {"entry_index": 3}


def test_a_procedure_that_takes_its_time() -> None:
    meter = sample(result=ResultCode.NOT_FULLY_COMPLETED)
    polls = 0

    def meanwhile(m: Sample, table: str, offset: int, count: int | None) -> None:
        nonlocal polls
        if table == "BT08" and m.executed:
            polls += 1
            if polls == 4:
                number, sequence, _ = m.executed[-1]
                m.tables[BT08] = Response(number, sequence, 0, b"\x07").emit()

    meter.meanwhile = meanwhile
    with opened(meter) as live:
        found = live.procedure("EP50")
        assert found.completed
        assert found.data == b"\x07"
        assert polls == 4
        assert len(meter.executed) == 1


def test_another_ones_result_is_not_taken_for_ours() -> None:
    meter = sample()

    def meanwhile(m: Sample, table: str, offset: int, count: int | None) -> None:
        if table == "BT08" and m.executed:
            m.tables[BT08] = Response(99, 7, 0).emit()

    meter.meanwhile = meanwhile
    with opened(meter) as live:
        with pytest.raises(osgp.TransportError) as caught:
            live.procedure("EP50", wait_s=3)
        assert caught.value.code == "meter.procedure_unknown"
        assert len(meter.executed) == 1


def test_keys_of_procedures() -> None:
    meter = sample(refuse={7: RefusalCode.ISC})
    with opened(meter) as live:
        with pytest.raises(osgp.RemoteProtocolError) as caught:
            live.procedure("BP15", bytes(6))
        assert caught.value.code == "refused.isc"
        assert "BP15 may be called with: MK, PK" in str(caught.value)
        with pytest.raises(osgp.RemoteProtocolError) as caught:
            live.procedure(99)
        assert caught.value.code == "refused.isc"


class Cut:
    """A line that goes dead for a while once a condition holds, either before or after the meter has heard."""

    def __init__(self, machine: Machine, when: Callable[[], bool], *, heard: bool, seconds: float = 30.0) -> None:
        self.machine, self.when, self.heard, self.seconds = machine, when, heard, seconds
        self.until: float | None = None

    @property
    def baud(self) -> int:
        return self.machine.baud

    def deadline(self) -> float | None:
        return self.machine.deadline()

    def tick(self, now: float) -> bytes:
        out = self.machine.tick(now)
        return b"" if self.dead(now) else out

    def dead(self, now: float) -> bool:
        return self.until is not None and now < self.until

    def receive(self, data: bytes, now: float) -> bytes:
        if self.dead(now):
            return b""
        if not self.heard and self.until is None and self.when() and data != bytes((ACK,)):
            self.until = now + self.seconds
            return b""
        out = self.machine.receive(data, now)
        if self.heard and self.until is None and self.when():
            self.until = now + self.seconds
            return b""
        return out


@pytest.mark.parametrize("heard", [True, False])
def test_the_line_fails_while_a_procedure_is_given(heard: bool) -> None:
    """Whether the meter heard it or not, it is executed exactly once."""
    meter = sample()
    armed: list[bool] = []
    condition = (lambda: bool(meter.executed)) if heard else (lambda: bool(armed))
    with opened(meter, around=lambda m: Cut(m, condition, heard=heard, seconds=15.0), meter="m") as live:
        live.read(BT08)
        if not heard:
            original = meter.meanwhile

            def meanwhile(m: Sample, table: str, offset: int, count: int | None) -> None:
                if table == "BT08":
                    armed.append(True)

            meter.meanwhile = meanwhile
            assert original is None
        found = live.procedure("EP50", b"x")
        assert found.completed
        assert len(meter.executed) == 1
        assert live.sessions == 2


def test_somebody_elses_procedure_after_the_line_failed() -> None:
    meter = sample()

    def meanwhile(m: Sample, table: str, offset: int, count: int | None) -> None:
        if m.executed:
            m.tables[BT08] = Response(99, 7, 0).emit()

    meter.meanwhile = meanwhile
    with opened(
        meter, around=lambda m: Cut(m, lambda: bool(meter.executed), heard=True, seconds=15.0), meter="m"
    ) as live:
        with pytest.raises(osgp.TransportError) as caught:
            live.procedure("EP50")
        assert caught.value.code == "meter.procedure_unknown"
        assert len(meter.executed) == 1


def test_a_meter_that_never_takes_a_procedure() -> None:
    meter = sample(refuse={7: RefusalCode.BSY})
    with opened(meter) as live:
        with pytest.raises(osgp.TransportError) as caught:
            live.procedure("EP50")
        assert caught.value.code == "meter.procedure_failed"
        meter.refuse[7] = RefusalCode.ONP
        with pytest.raises(osgp.RemoteProtocolError) as refused:
            live.procedure("EP50")
        assert refused.value.code == "refused.onp"
        assert meter.executed == []


@pytest.mark.parametrize("heard", [True, False])
def test_the_line_fails_while_a_table_is_written(heard: bool) -> None:
    meter = sample()
    armed: list[bool] = []
    condition = (lambda: bool(meter.written)) if heard else (lambda: bool(armed))
    with opened(meter, around=lambda m: Cut(m, condition, heard=heard, seconds=15.0), meter="m") as live:
        live.read("BT00")
        armed.append(True)
        if heard:
            live.write("ET03", b"NEW", offset=0)
            assert meter.get("ET03")[:3] == b"NEW"
        else:
            with pytest.raises(osgp.TransportError) as caught:
                live.write("ET03", b"NEW", offset=0)
            assert caught.value.code == "meter.not_written"
        assert len(meter.written) == int(heard)


def test_reading_writes_nothing() -> None:
    from test_meter_tasks import everything, furnished

    meter = furnished()
    with opened(meter) as live:
        everything(live)
        list(live.dump())
    assert meter.written == []
    assert meter.executed == []
