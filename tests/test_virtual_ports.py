"""Several ports of one virtual meter: what an optical session does to the MEP port, visits of somebody else, and threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import osgp_fast as osgp
import pytest
from osgp_fast.session import Connection, Data, MepConnection, MepMode, Read, RefusalCode, Role, dialogue
from osgp_fast.transport import Line, MemoryPort, MepLine, VirtualClock, Wire
from osgp_fast.virtual import MeterConfig, MeterHandler, Visits, machine
from test_meter_mep import MAK, START, Bench, plain

MK = b"MK-of-virtual-meter!"
pytestmark = pytest.mark.filterwarnings("ignore::osgp_fast.meter.InsecureMepWarning")


class Both(Bench):
    """The same meter with its optical port, too."""

    def optical(self) -> tuple[Line, Any]:
        """A client with a session at the optical port, and the meter's end of it."""
        end = machine(MeterHandler(self.meter, self.now))
        line = Line(MemoryPort(end, self.clock), Connection(Role.CLIENT), clock=self.clock)
        line.run(dialogue.connect())
        line.run(dialogue.log_on(MK))
        return line, end

    def mep(self, machine: Any = None) -> MepLine:
        """A client at a MEP port."""
        connection = MepConnection(MAK, entropy=bytes, mode=MepMode.RC4)
        return MepLine(self.line(machine), connection, clock=self.clock)

    def answers(self, line: MepLine) -> bool:
        """Whether the MEP port answers."""
        try:
            return isinstance(line.ask(Read(1, 0, 4)), Data)
        except osgp.TransportError as error:
            if error.code != "line.silent":
                raise
            return False


def hang_up(bench: Both, line: Line, end: Any) -> None:
    line.hang_up()


def fall_silent(bench: Both, line: Line, end: Any) -> None:
    # As on the line, without the client: C12.18's channel traffic time-out.
    while end.deadline() is not None:
        bench.clock.now = max(bench.clock.now, end.deadline())
        end.tick(bench.clock.now)


def go_away(bench: Both, line: Line, end: Any) -> None:
    end.close(bench.clock.now)


def be_cut_off(bench: Both, line: Line, end: Any) -> None:
    bench.clock.now += 31  # the session is kept by a client who waits, but no longer than ET51 says
    end.receive(b"\xee", bench.clock.now)


@pytest.mark.parametrize("ended", [hang_up, fall_silent, go_away, be_cut_off])
def test_an_optical_session_takes_the_mep_port_and_gives_it_back(ended: Callable[..., None]) -> None:
    bench = Both("3.10", more={"dos_timer": True, "dos_session_s": 30})
    mep = bench.mep()
    assert bench.answers(mep)
    optical, end = bench.optical()
    assert bench.meter.mep_away
    assert not bench.answers(mep)
    ended(bench, optical, end)
    assert not bench.meter.mep_away
    assert bench.answers(mep)


def test_a_port_of_its_own_is_not_taken_away() -> None:
    bench = Both("4.0")
    mep = bench.mep()
    line, _ = bench.optical()
    assert bench.meter.optical_session
    assert not bench.meter.mep_away
    assert bench.answers(mep)
    line.hang_up()


def test_an_alert_waits_until_the_port_is_back() -> None:
    bench = Both("3.50")
    with bench.open() as live:
        live.register()
        bench.handler.alerts = 1
        assert live.wait_alert(5) is not None
        _, end = bench.optical()
        end.tick = lambda now: b""  # somebody talks all the time
        sent = bench.machine.responder.served.alerts
        port = live._line.port
        assert port.read(10) == b""
        assert bench.machine.responder.served.alerts == sent
        end.close(bench.clock.now)
        assert port.read(10) == b"\0\0"


def test_what_was_not_out_when_the_port_was_taken_is_lost() -> None:
    bench = Both("3.50")
    mep = bench.mep()
    assert bench.answers(mep)
    bench.clock.now += 1.0
    port = mep.port
    port.write(mep.connection.send(Read(64, 0, 460), bench.clock.now))
    began = bench.clock.now
    first = port.read(0.05)
    assert 0 < len(first) < 460
    bench.meter.optical_session = True
    assert port.read(0.3) == b""
    bench.meter.optical_session = False
    assert port.read(0.1) == b""
    assert bench.clock.now < began + 0.6


# ---- visits


def test_visits_are_the_same_for_the_same_seed() -> None:
    def times(seed: int) -> list[tuple[float, bool]]:
        visits, found, before = Visits(MeterConfig(seed=seed)), [], False
        for tenth in range(36_000):
            now = 500 + tenth / 10
            if visits.away(now) != before:
                before = not before
                found.append((now, before))
        return found

    one = times(7)
    assert one == times(7) != times(8)
    assert 30 < len(one) / 2 < 90  # in an hour
    assert one[0][0] <= 591
    for (start, began), (end, over) in zip(one[::2], one[1::2], strict=False):
        assert (began, over) == (True, False)
        assert 1.8 < end - start < 8.2
    assert all(19.8 < after - end < 90.2 for (end, _), (after, _) in zip(one[1::2], one[2::2], strict=False))


@pytest.mark.parametrize("security", ["rc4", "tls"])
def test_the_tasks_in_spite_of_visits(security: str) -> None:
    """At 9600 bit/s the tasks take most of a minute, and the port is taken away in the middle of them."""
    bench = Both("3.50")
    visits = bench.machine.visits = Visits(bench.meter.config, pause_s=(4.0, 12.0))
    with bench.open(security, out=Wire(paced=True), back=Wire(paced=True)) as live:
        bench.check(live)
        assert live.clock().utc == START
        assert visits.begun >= 4
        assert live._line.connection.counts.sent_again >= 8


def test_visits_that_are_too_long_are_told() -> None:
    """Whatever is under way ends with the right rows or with an error that has a name."""
    named: set[str] = set()
    bench = Both("3.50")
    visits = bench.machine.visits = Visits(bench.meter.config, pause_s=(1.0, 8.0), lasting_s=(5.0, 60.0))
    with bench.open("rc4") as live:
        while "meter.stopped" not in named or not named & {"mep.outcome_unknown", "line.silent"}:
            assert visits.begun < 500
            for task in (live.registers, live.events, live.clock, lambda: live.procedure("EP03", b"")):
                bench.clock.now += 1.0
                try:
                    found = task()
                    if isinstance(found, osgp.Result):
                        kind = "registers" if task == live.registers else "events"
                        assert plain(found) == [
                            row for row in bench.truth(kind, live.label) if row.get("snapshot") in (None, "current")
                        ]
                except osgp.OsgpError as error:
                    named.add(error.code)
    assert named <= {"meter.stopped", "mep.outcome_unknown", "line.silent", "line.no_answer"}, named


def test_visits_need_a_shared_port() -> None:
    with pytest.raises(osgp.UsageError) as caught:
        Visits(Bench("4.30").meter.config)
    assert caught.value.code == "virtual.fault"
    assert "4.0" in caught.value.hint


# ---- threads


def test_one_machine_of_a_meter_works_at_a_time() -> None:
    bench = Both("4.30")
    second, second_machine = bench.port_of(2)
    optical = MeterHandler(bench.meter, bench.now)
    inside, most = 0, 0

    def read(table: int, offset: int, count: int | None) -> bytes | RefusalCode:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.002)
        inside -= 1
        return b"\1\2\3\4"

    for handler in (bench.handler, second, optical):
        handler.read = read  # type: ignore[method-assign]
    served = []

    def ask(line: Line | MepLine) -> None:
        # Each with a clock of its own: only the meter is shared.
        line.port.clock = line.clock = VirtualClock()  # type: ignore[attr-defined]
        if isinstance(line, Line):
            line.run(dialogue.connect())
            line.run(dialogue.log_on(MK))
        for _ in range(20):
            assert line.ask(Read(1, 0, 4)) == Data(b"\1\2\3\4")
        served.append(line)

    lines = [
        Line(MemoryPort(machine(optical)), Connection(Role.CLIENT)),
        bench.mep(),
        bench.mep(second_machine),
    ]
    threads = [threading.Thread(target=ask, args=(line,), daemon=True) for line in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(served), most) == (3, 1)
