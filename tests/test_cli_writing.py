"""``osgp-fast write`` and ``procedure``: shown before, asked for, done once, on both ports, and what they leave behind."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from osgp_fast.catalog import PROCEDURES
from osgp_fast.cli import asking, live, main
from osgp_fast.cli.procedure import _parameters, procedure
from osgp_fast.cli.worn import Worn
from osgp_fast.cli.write import write
from osgp_fast.codec import encode_table
from osgp_fast.errors import TransportError, UsageError
from osgp_fast.layout import TableSet
from osgp_fast.meter import Clocks
from osgp_fast.meter import open as open_meter
from osgp_fast.meter.access import Optical
from osgp_fast.meter.wear import PER_DAY
from osgp_fast.session import OutcomeUnknown
from osgp_fast.session.procedure import Result, ResultCode
from osgp_fast.transport import MemoryPort, VirtualClock
from osgp_fast.virtual import Clock, Firmware, MBusDevice, MeterConfig, MeterHandler, VirtualMeter, machine
from test_cli_live import simulated
from test_meter_mep import MAK, Bench

MK = "MK-of-virtual-meter!"
RK = "RK-of-virtual-meter!"
TIMEOUT = "ET51.client.0.health_timeout"
posix = pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is that of POSIX")


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


Run = Callable[..., Ran]


class Terminal(io.StringIO):
    """Somebody who answers."""

    def isatty(self) -> bool:
        return True


@dataclass
class Virtual:
    """A virtual meter in memory behind the ports ``meter`` and ``mep:meter``, whose clock stands."""

    clock: VirtualClock = field(default_factory=VirtualClock)

    def __post_init__(self) -> None:
        config = MeterConfig(firmware=Firmware.parse("3.50"), history_days=2, mbus=(MBusDevice(),))
        self.meter = VirtualMeter(config)
        self.now = Clock(self.clock, self.meter.start, 0.0)
        self.handler = MeterHandler(self.meter, self.now)

    def image(self, id: str) -> bytes:
        return self.meter.image(id, self.meter.start)

    def port(self, *_: object, **__: object) -> MemoryPort:
        return MemoryPort(machine(self.handler), self.clock, name="meter")

    @property
    def clocks(self) -> Clocks:
        return Clocks(self.clock, lambda: float(self.meter.start))


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where earlier writes are kept."""
    place = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(place))
    return place


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Virtual:
    found = Virtual()
    monkeypatch.setenv("OSGP_PASSWORD", MK)
    monkeypatch.setattr(live, "open_port", found.port)
    monkeypatch.setattr(live, "open_meter", partial(open_meter, clock=found.clocks))
    return found


@pytest.fixture
def mep(monkeypatch: pytest.MonkeyPatch) -> Bench:
    found = Bench()
    monkeypatch.setenv("OSGP_MEP_KEY", MAK.hex())
    monkeypatch.setattr(live, "open_mep", lambda *_, **__: found.line(found.port_of(1)[1]))
    monkeypatch.setattr(live, "open_meter", partial(open_meter, clock=found.clocks))
    return found


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in this process; ``answer`` is what somebody types at a terminal, without one nobody is there."""

    def call(*arguments: str | Path, answer: str | None = None) -> Ran:
        monkeypatch.setattr("sys.stdin", io.StringIO() if answer is None else Terminal(answer))
        with pytest.raises(SystemExit) as done:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        assert MK not in out + err
        assert MAK.hex() not in out + err
        return Ran(int(done.value.code or 0), out, err)

    return call


# ---- write


def test_a_field_is_shown_asked_for_written_and_read_back(meter: Virtual, run: Run) -> None:
    before = meter.image("ET51")
    done = run("write", "meter", TIMEOUT, "90 s", answer="y\n")
    assert done.code == 0, done.err
    assert "ET51 MEP Device Configuration of VIRTUAL-" in done.out
    assert re.search(r"0001 +MEP Health Timeout\[0\] +60 s +3C 00 +90 s +5A 00 +silence after", done.out)
    assert "ET51 lies in memory that wears" in done.out
    assert "0 within the last hour, 0 within a day" in done.out
    assert f"{TIMEOUT}: written, and read back: it is there" in done.out
    assert "Write this to VIRTUAL-" in done.err
    assert meter.image("ET51") == before[:1] + (90).to_bytes(2, "little") + before[3:]
    again = run("write", "meter", TIMEOUT, "90", "--yes")
    assert again.code == 0
    assert "holds that already; nothing was written" in again.out
    # By offset and bit, and nothing else of the word.
    assert run("write", "meter", "ET51.0.1", "yes", "--yes", "-q") == Ran(0, "", "")
    assert meter.image("ET51")[0] == before[0] | 2


@pytest.mark.parametrize("answer", ["n\n", "\n", "no\n"])
def test_whoever_does_not_say_yes_writes_nothing(meter: Virtual, run: Run, answer: str) -> None:
    done = run("write", "meter", TIMEOUT, "90", answer=answer)
    assert done.code == 130
    assert "not confirmed; nothing was written" in done.err
    done = run("procedure", "meter", "EP17", "action=0", "device_handle=1", answer=answer)
    assert done.code == 130
    assert "not confirmed; EP17 was not called" in done.err
    # The terminal ended.
    done = run("write", "meter", TIMEOUT, "90", answer="")
    assert done.code == 130
    assert "nothing was written" in done.err
    assert not meter.meter.written
    assert not meter.meter.removed
    # Logged off and terminated each time.
    assert meter.handler.sessions == 6


@pytest.mark.parametrize("command", [["write", "meter", TIMEOUT, "90"], ["procedure", "meter", "BP12"]])
def test_without_a_terminal_nobody_can_be_asked(meter: Virtual, run: Run, command: list[str]) -> None:
    done = run(*command)
    assert done.code == 2
    assert "nobody can be asked" in done.err
    assert "--yes" in done.err
    assert "--dry-run" in done.err
    assert meter.handler.sessions == 0


def test_a_dry_run_shows_and_does_nothing(meter: Virtual, run: Run, state: Path) -> None:
    done = run("write", "meter", "ET03.utility_serial", "METER-17", "--dry-run")
    assert done.code == 0
    assert "'METER-17'" in done.out
    assert "nothing was written (--dry-run)" in done.out
    done = run("procedure", "meter", "EP17", "action=0", "device_handle=all devices", "--dry-run")
    assert done.code == 0
    for words in ("Remove MEP Device", "0 (remove, primary address becomes 0)", "65535 (all devices)", "not called"):
        assert words in done.out
    assert not meter.meter.written
    assert not meter.meter.removed
    assert not state.exists()


def test_bytes_of_a_table(meter: Virtual, run: Run, tmp_path: Path) -> None:
    old = meter.image("ET03")
    assert run("write", "meter", "ET03", "--hex", "41:42 43", "--offset", "0", "--yes", "-q").code == 0
    assert meter.image("ET03") == b"ABC" + old[3:]
    (tmp_path / "table.bin").write_bytes(old)
    done = run("write", "meter", "2051", "--file", tmp_path / "table.bin", "--yes")
    assert done.code == 0
    assert "all of it" in done.out
    assert meter.image("ET03") == old
    # A table that no row describes: its bytes are shown as they are, and the meter has it not.
    done = run("write", "meter", "ET98", "--hex", "00", "--offset", "0", "--yes")
    assert done.code == 3
    assert "inappropriate action" in done.err
    assert "nothing was written" in done.err
    done = run("write", "meter", "ET03", "--hex", "00", "--yes")
    assert done.code == 2
    assert "--offset" in done.err or "offset" in done.err
    done = run("write", "meter", TIMEOUT, "--hex", "010203", "--yes")
    assert done.code == 2
    assert run("write", "meter", TIMEOUT, "--hex", "5a00", "--yes").code == 0
    assert meter.image("ET51")[1:3] == b"\x5a\0"


def test_json_for_machines(meter: Virtual, run: Run) -> None:
    arguments = ["write", "meter", TIMEOUT, "75", "--json"]
    found = run(*arguments, "--dry-run").json
    assert {key: found[key] for key in ("table", "number", "offset", "old", "new", "wears", "status")} == {
        "table": "ET51",
        "number": 2099,
        "offset": 1,
        "old": "3c00",
        "new": "4b00",
        "wears": True,
        "status": "dry_run",
    }
    assert found["meter"].startswith("VIRTUAL-")
    assert found["changes"] == [
        {
            "path": "client.0.health_timeout",
            "name": "MEP Health Timeout[0]",
            "offset": 1,
            "old": "60 s",
            "new": "75 s",
        }
    ]
    done = run(*arguments, answer="y\n")
    assert done.json["status"] == "written"
    # Whoever is asked sees it, beside the object.
    assert "75 s" in done.err
    assert run(*arguments, "--yes").json["status"] == "unchanged"
    declined = run("write", "meter", TIMEOUT, "76", "--json", answer="n\n")
    assert (declined.code, declined.json["status"]) == (130, "declined")


def test_keys_are_not_shown_and_not_taken_from_the_command_line(meter: Virtual, run: Run, tmp_path: Path) -> None:
    secret = bytes(range(0x50, 0x70))
    done = run("write", "meter", "ET13.device.0.key", secret.hex(), "--yes")
    assert done.code == 2
    assert "--file" in done.err
    (tmp_path / "key").write_bytes(secret)
    for options in ([], ["--json"]):
        done = run("write", "meter", "ET13.device.0.key", "--file", tmp_path / "key", "--dry-run", *options)
        assert done.code == 0, done.err
        assert "not shown" in done.out or done.json["new"] is None
        for form in (secret.hex(), secret.hex(" ").upper()[:20], secret.decode()):
            assert form not in done.out + done.err
    # Part of one, which no row can be laid over.
    done = run("write", "meter", "ET13", "--hex", secret[:4].hex(), "--offset", "34", "--dry-run")
    assert secret[:4].hex(" ").upper() not in done.out
    # The virtual meter keeps no keys, and that is told.
    done = run("write", "meter", "ET13.device.0.key", "--file", tmp_path / "key", "--yes")
    assert done.code == 3
    assert "read back differ" in done.err
    assert "--dry-run shows what it holds now" in done.err


@pytest.mark.parametrize(
    ("command", "options", "code"),
    [
        (write, [TIMEOUT], "usage.value"),
        (write, [TIMEOUT, "1", "--hex", "01"], "usage.value"),
        (write, ["ET51", "1"], "usage.value"),
        (write, ["ET51.nothing", "1"], "meter.field"),
        (write, ["nothing", "1"], "meter.field"),
        (write, ["99999", "--hex", "01"], "usage.table"),
        (write, ["BT54.pending", "--hex", "01"], "usage.table"),
        (write, [TIMEOUT, "--hex", "01", "--offset", "1"], "usage.partial"),
        (write, ["ET51", "--hex", "0"], "usage.bytes"),
        (write, ["ET51", "--hex", ""], "usage.bytes"),
        (write, ["ET51", "--file", "/none/such"], "usage.bytes"),
        (write, ["ET13.device.0.key", "--hex", "00"], "usage.secret"),
        (procedure, ["XP1"], "usage.procedure"),
        (procedure, ["5000"], "usage.procedure"),
        (procedure, ["EP17"], "usage.parameter"),
        (procedure, ["EP17", "action=0"], "usage.parameter"),
        (procedure, ["EP17", "action", "device_handle=1"], "usage.parameter"),
        (procedure, ["EP17", "acton=0", "device_handle=1"], "usage.parameter"),
        (procedure, ["EP17", "action=0", "--hex", "00"], "usage.parameter"),
        (procedure, ["EP17", "action=9x", "device_handle=1"], "usage.value"),
        (procedure, ["EP17", "--hex", "0"], "usage.bytes"),
        (procedure, ["BP12", "x=1"], "usage.parameter"),
        (procedure, ["EP19", "transaction_number=1", "device_handle=1", "request_type=4"], "usage.parameter"),
        (
            procedure,
            ["EP19", "transaction_number=1", "device_handle=1", "request_type=2", "write_data=00"],
            "table.no_place",
        ),
    ],
)
def test_usage(meter: Virtual, command: Any, options: list[str], code: str) -> None:
    """All of it before a port is opened."""
    with pytest.raises(UsageError) as error:
        command.main(["meter", *options, "--yes"], standalone_mode=False)
    assert error.value.code == code
    assert error.value.hint
    assert meter.handler.sessions == 0


def test_who_can_be_asked() -> None:
    with pytest.raises(UsageError) as error:
        asking.Asking(yes=False, dry_run=False, force=False, as_json=False, quiet=False)
    assert error.value.code == "usage.confirm"


def test_values_that_the_meter_cannot_hold(meter: Virtual, run: Run) -> None:
    for value, words in (("70000", "0 to 65535, or a measure in s"), ("5 min", "a measure in s"), ("soon", "a number")):
        done = run("write", "meter", TIMEOUT, value, "--yes")
        assert done.code == 2
        assert words in done.err
    assert not meter.meter.written


@pytest.mark.parametrize("name", ["write", "procedure"])
def test_help(name: str, run: Run) -> None:
    done = run(name, "--help")
    assert done.code == 0
    for words in ("Examples:", "/dev/ttyUSB0", "OSGP_PASSWORD", "--dry-run", "--force", "Exit:"):
        assert words in done.out


# ---- what goes wrong


def test_the_key_may_not(meter: Virtual, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSGP_PASSWORD", RK)
    done = run("write", "meter", TIMEOUT, "90", "--yes")
    assert done.code == 3
    assert "MK, PK" in done.err
    assert not meter.meter.written
    done = run("procedure", "meter", "EP17", "action=0", "device_handle=1", "--yes")
    assert done.code == 3
    assert not meter.meter.removed


def test_it_changed_while_somebody_was_asked(
    meter: Virtual, run: Run, monkeypatch: pytest.MonkeyPatch, state: Path
) -> None:
    def slowly(*_: object, **__: object) -> bool:
        old = meter.image("ET51")
        meter.meter.write("ET51", meter.meter.start, 0, bytes((old[0] ^ 1,)))
        return True

    monkeypatch.setattr("click.confirm", slowly)
    before = meter.image("ET51")
    done = run("write", "meter", "ET51.0.1", "true", answer="")
    assert done.code == 3
    assert "has changed since it was shown" in done.err
    assert "nothing was written" in done.err
    assert meter.image("ET51")[0] == before[0] ^ 1
    assert not state.exists()


def test_the_code_of_it() -> None:
    """As scripts see it."""
    from osgp_fast.cli.write import _Request, _Writing
    from osgp_fast.errors import RemoteProtocolError
    from osgp_fast.meter import Change

    class Two:
        label = "m"
        old = 0

        def change(self, *_: object, **__: object) -> Change:
            self.old += 1
            return Change("ET51", 2099, 0, bytes((self.old,)), b"\xff")

    asks = asking.Asking(yes=True, dry_run=False, force=False, as_json=False, quiet=True)
    asks.asks = True
    writing = _Writing(_Request("ET51.0", "255", None), asks)
    live: Any = Two()
    first = live.change()
    with pytest.raises(RemoteProtocolError) as error:
        writing._write(live, first, None)
    assert error.value.code == "meter.changed"


def test_a_line_that_fails_is_said_with_what_to_do(meter: Virtual, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    wrote = []

    def lost(self: Optical, table: int, data: bytes, offset: int | None = None, ped: bytes = b"") -> Any:
        wrote.append(table)
        yield from ()
        raise TransportError("line.no_answer", "there is no whole answer", "look at the head")

    monkeypatch.setattr(Optical, "write", lost)
    done = run("write", "meter", TIMEOUT, "90", "--yes", "--json")
    assert done.code == 3
    assert "does not hold all of it" in done.err
    assert "--dry-run shows what it holds now" in done.err
    assert done.json["status"] == "unknown"
    assert len(wrote) == 1


# ---- wear


def test_a_write_is_counted_from_one_command_to_the_next(meter: Virtual, run: Run, state: Path) -> None:
    for n in range(5):
        done = run("write", "meter", TIMEOUT, str(70 + n), "--yes")
        assert done.code == 0
        assert ("warning: ET51 lies in memory that wears" in done.err) == (n == 4), n
        assert f"{n} within the last hour, {n} within a day" in done.out
    files = list(state.rglob("*.txt"))
    assert len(files) == 1
    assert len(files[0].read_text().split()) == 5
    # Whose meter it is stands nowhere.
    assert "VIRTUAL" not in files[0].name
    # Memory that does not wear.
    assert run("write", "meter", "ET55.message_start", "2024-07-01", "--yes").code == 0
    assert len(files[0].read_text().split()) == 5


def test_after_a_hundred_a_day_only_by_force(meter: Virtual, run: Run, state: Path) -> None:
    run("write", "meter", TIMEOUT, "70", "--yes")
    file = next(iter(state.rglob("*.txt")))
    now = int(time.time())
    file.write_text("\n".join([str(now - 7200)] * PER_DAY + [str(now - 90_000), "damage"]))
    done = run("write", "meter", TIMEOUT, "71", "--yes")
    assert done.code == 2
    assert "was written 100 times within a day" in done.err
    assert "--force" in done.err
    done = run("procedure", "meter", "BP12", "--yes")
    assert done.code == 2
    assert "--force" in done.err
    assert meter.image("ET51")[1] == 70
    assert run("write", "meter", TIMEOUT, "71", "--yes", "--force").code == 0
    assert meter.image("ET51")[1] == 71
    assert len(file.read_text().split()) == PER_DAY + 1
    # Another meter has a count of its own.
    assert Worn("another").ages() == []


def test_a_count_that_cannot_be_kept_is_said(
    meter: Virtual, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    done = run("write", "meter", TIMEOUT, "70", "--yes")
    assert done.code == 0
    assert "warning: this write is not counted" in done.err
    assert meter.image("ET51")[1] == 70


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    worn = Worn("x")
    assert worn.ages() == []
    worn.keep([1.0])
    assert "this write is not counted" in capsys.readouterr().err


def test_a_clock_that_was_set_back(state: Path) -> None:
    worn = Worn("x")
    worn.keep([10.0])
    file = next(iter(state.rglob("*.txt")))
    file.write_text(str(int(time.time()) + 5000))
    assert worn.ages() == [0.0]


# ---- procedures


def test_a_procedure_is_executed_once_and_told(meter: Virtual, run: Run) -> None:
    arguments = [
        "procedure",
        "meter",
        "EP19",
        "transaction_number=0x155",
        "device_handle=1",
        "request_type=billing read",
    ]
    done = run(*arguments, answer="y\n")
    assert done.code == 0, done.err
    for words in (
        "Post On-demand M-Bus Request",
        "341",
        "2 (billing read)",
        "may be called with: MAK",
        "result 0, completed",
    ):
        assert words in done.out
    assert re.search(r"0004 +00 +Entry index +0", done.out)
    assert len(meter.meter.requests) == 1
    found = run(*arguments, "--yes", "--json").json
    assert (found["procedure"], found["number"], found["code"], found["completed"]) == ("EP19", 2067, 0, True)
    assert (found["parameters"], found["status"], found["values"]) == ("5501010002", "executed", {"entry_index": 1})
    assert len(meter.meter.requests) == 2


def test_results_that_are_no_success(meter: Virtual, run: Run) -> None:
    done = run("procedure", "meter", "2065", "action=0", "device_handle=77", "--yes")
    assert done.code == 3
    assert "EP17 answers 3: no such device handle" in done.err
    done = run("procedure", "meter", "EP61", "lock=lock", "--yes", "--json")
    assert done.code == 3
    assert (done.json["code"], done.json["completed"], done.json["status"]) == (5, False, "executed")
    assert "MBK, MAK" in done.err
    done = run("procedure", "meter", "EP50", "--hex", "00 01", "--yes", "-q")
    assert (done.code, done.out) == (3, "")
    assert "unrecognized procedure" in done.err
    # A clearance of nothing that is pending is one of BP15's own results.
    done = run("procedure", "meter", "BP15", "pending_event=020000000000", "--yes")
    assert "no pending table with this PED" in done.err
    assert "do not call it again" not in done.err


def test_one_that_takes_its_time(meter: Virtual, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real = meter.handler.procedures._post

    def post(response: bytes) -> None:
        real(response[:3] + bytes((ResultCode.NOT_FULLY_COMPLETED,)))

    monkeypatch.setattr(meter.handler.procedures, "_post", post)
    done = run("procedure", "meter", "BP12", "--yes", "--wait", "2")
    assert done.code == 3
    assert "after 2 s. It goes on; do not call it again" in done.err


def test_where_nothing_tells_whether_it_was_executed(meter: Virtual, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def post(response: bytes) -> None:
        meter.meter.response = Result(99, 7, 0).emit()

    monkeypatch.setattr(meter.handler.procedures, "_post", post)
    done = run("procedure", "meter", "BP12", "--yes", "--wait", "1", "--json")
    assert done.code == 3
    assert "another procedure's result" in done.err
    assert "is not called again by itself" in done.err
    assert done.json["status"] == "unknown"


def test_procedures_are_listed(run: Run) -> None:
    done = run("procedure", "--list")
    assert done.code == 0
    for words in ("EP17", "action, device_handle", "BP12", "Activate All Pending Tables", "not described"):
        assert words in done.out


def test_parameters_of_every_procedure() -> None:
    """None needs a table of the meter, so that all is said before a port is opened; what is said is what is sent."""
    for known in PROCEDURES.values():
        encode_table(known, {}, TableSet({}))
    assert _parameters(2065, ["action=1", "device_handle=0x0102"], None) == b"\x01\x02\x01"
    assert _parameters(2064, ["parameters=01 02 03"], None) == b"\1\2\3"
    assert _parameters(2087, [], None) == b""
    texts = ["transaction_number=1", "device_handle=2", "request_type=4", "write_data_length=2", "write_data=AABB"]
    assert _parameters(2067, texts, None) == bytes.fromhex("0100 0200 04 02 AABB")
    assert _parameters(4000, [], "0102") == b"\1\2"


# ---- the MEP port


@pytest.mark.parametrize("security", ["clear", "rc4", "tls"])
def test_at_the_mep_port(mep: Bench, run: Run, security: str) -> None:
    port = ("mep:meter", "--security", security)
    done = run("write", *port, TIMEOUT, "95", "--yes")
    assert done.code == 0, done.err
    assert "it is there" in done.out
    assert mep.meter.image("ET51", mep.meter.start)[1] == 95
    done = run("procedure", *port, "EP17", "action=0", "device_handle=1", "--yes")
    assert done.code == 0, done.err
    assert mep.meter.removed == {1}
    done = run("procedure", *port, "EP17", "action=0", "device_handle=1", "--yes")
    assert done.code == 3
    assert "answers 3" in done.err


def test_the_outcome_is_not_known_at_the_mep_port(mep: Bench, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from osgp_fast.meter.mep import Mep

    wrote = []

    def lost(self: Mep, table: int, data: bytes, offset: int | None = None, ped: bytes = b"") -> Any:
        wrote.append(table)
        yield from ()
        raise OutcomeUnknown("mep.outcome_unknown", "the answer is lost", "read ET51 before you write it again")

    monkeypatch.setattr(Mep, "write", lost)
    done = run("write", "mep:meter", TIMEOUT, "95", "--yes")
    assert done.code == 3
    assert wrote == [2099]
    assert "does not hold all of it" in done.err
    assert "is not written again by itself" in done.err


# ---- over a socket, as people use it


@pytest.mark.parametrize("mep", [False, True])
def test_over_a_socket(mep: bool, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--mep", "--mak", MAK.hex()) if mep else ()
    monkeypatch.setenv("OSGP_PASSWORD", "a meter's key 012345")
    monkeypatch.setenv("OSGP_MEP_KEY", MAK.hex())
    with simulated("--speed", "0", *options) as url:
        port = f"mep:{url}" if mep else url
        fast = ("--baud", "57600")
        assert run("write", port, *fast, TIMEOUT, "91", "--yes").code == 0
        assert run("write", port, *fast, TIMEOUT, "91", "--dry-run", "--json").json["status"] == "unchanged"
        assert run("procedure", port, *fast, "EP17", "action=0", "device_handle=2", "--yes").code == 0
        done = run("procedure", port, *fast, "EP17", "action=0", "device_handle=2", "--yes", "--json")
        assert (done.code, done.json["result"]) == (3, "no such device handle")


@posix
def test_ctrl_c_at_the_question_logs_off(tmp_path: Path) -> None:
    """In a terminal of its own."""
    pty = pytest.importorskip("pty")
    trace = tmp_path / "meter.log"
    with simulated("--trace", str(trace)) as port:
        env = {**os.environ, "OSGP_PASSWORD": "a meter's key 012345"}
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-m", "osgp_fast", "write", port, TIMEOUT, "90"],
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=env,
        ) as process:
            os.close(theirs)
            assert process.stderr is not None
            said = rest = b""
            while b"Write this to" not in said and (more := os.read(process.stderr.fileno(), 1000)):
                said += more
            assert b"Write this to" in said
            tries = 0
            while tries < 6:
                # One that comes between the question and the wait for its answer is seen with the next one only.
                time.sleep(1)
                process.send_signal(signal.SIGINT)
                tries += 1
                with contextlib.suppress(subprocess.TimeoutExpired):
                    _, rest = process.communicate(timeout=10)
                    break
            else:
                process.kill()
        os.close(ours)
        assert process.returncode == 130, said + rest
        assert b"nothing was written" in rest
        if tries > 1:
            return  # the meter has ended the session by itself meanwhile
        until = time.monotonic() + 30
        while time.monotonic() < until and " 00 00 01 21 " not in trace.read_text():
            time.sleep(0.05)
    sent = [line for line in trace.read_text().splitlines() if " 00 00 01 52 " in line or " 00 00 01 21 " in line]
    assert len(sent) == 2, "logged off and terminated"
