"""The commands that talk to a meter: against `osgp-fast simulate`, over a socket and a pseudo-terminal."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from meters import EPOCH, sample
from osgp_fast.cli import live, main
from osgp_fast.cli.dump import dump
from osgp_fast.cli.read import read
from osgp_fast.cli.record import record
from osgp_fast.cli.watch import _view, watch
from osgp_fast.cli.watching import Times, Watcher
from osgp_fast.errors import RemoteProtocolError, TransportError, UsageError
from osgp_fast.meter import Clocks, Meter
from osgp_fast.meter import open as open_meter
from osgp_fast.session import Connection, Responder, Role, Timing
from osgp_fast.session.policy import Pause, Policy
from osgp_fast.transport import MemoryPort, VirtualClock
from rich.console import Console

SAMPLES = Path(__file__).parent / "samples"
PASSWORD = "a meter's key 012345"
START = "2024-06-01T10:07:30Z"
#: A meter with little history, so that reading all of it is quick, and with M-Bus devices.
CONFIG = """
[clock]
history_days = 14
[[profile]]
sources = [0, 1]
blocks = 12
[[mbus.device]]
kind = "water"
serial = "87654321"
[[mbus.device]]
kind = "heat"
[optical]
bauds = [57600, 9600]
"""
posix = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals and SIGINT are those of POSIX")


@contextmanager
def simulated(*options: str) -> Iterator[str]:
    """The port of a virtual meter."""
    command = [sys.executable, "-m", "osgp_fast", "simulate", "--password", PASSWORD, "--start", START]
    with TemporaryDirectory() as place:
        config = Path(place) / "meter.toml"
        config.write_text(CONFIG)
        with subprocess.Popen([*command, "--config", config, *options], stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                yield process.stdout.readline().strip()
            finally:
                process.terminate()


@pytest.fixture(scope="module")
def meter() -> Iterator[str]:
    """A virtual meter on a socket whose clock stands."""
    with simulated("--speed", "0") as port:
        yield port


@dataclass
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in this process, with the password in the environment and no terminal."""
    monkeypatch.setenv("OSGP_PASSWORD", PASSWORD)
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def call(*arguments: str | Path) -> Ran:
        with pytest.raises(SystemExit) as done:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        assert PASSWORD not in out + err
        return Ran(int(done.value.code or 0), out, err)

    return call


def rows(place: Path, *without: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines()]
    return [{k: v for k, v in row.items() if k not in ("read_at", *without)} for row in found]


# ---- read


@pytest.mark.parametrize("kind", ["socket", pytest.param("pty", marks=posix)])
def test_read_writes_what_decode_does(kind: str, run: Run, tmp_path: Path) -> None:
    with simulated("--speed", "0", *(["--pty"] if kind == "pty" else [])) as port:
        assert run("dump", port, "-o", f"{tmp_path}/dump/", "-q").code == 0
        assert run("read", port, "-o", f"{tmp_path}/read/", "--format", "jsonl", "--delta", "-q").code == 0
    assert run("decode", tmp_path / "dump", "-o", f"{tmp_path}/decode/", "--format", "jsonl", "--delta").code == 0
    made = sorted(p.name for p in (tmp_path / "decode").iterdir())
    assert sorted(p.name for p in (tmp_path / "read").iterdir()) == made
    assert len(made) == 9
    counts = {}
    for name in made:
        without = ("tables",) if name == "meters.jsonl" else ()
        expected = rows(tmp_path / "decode" / name, *without)
        assert rows(tmp_path / "read" / name, *without) == expected, name
        counts[name] = len(expected)
    assert counts["load_profile.jsonl"] > 2_000
    assert min(n for name, n in counts.items() if name != "rejects.jsonl") > 0, counts
    assert counts["rejects.jsonl"] == 0


def test_since_reads_only_what_is_new(meter: str, run: Run, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
    since = "2024-05-31T00:00:00Z"
    assert run("read", meter, "-o", whole).code == 0
    assert run("read", meter, "-o", part, "--since", since).code == 0
    later = [row for row in rows(whole) if row["interval_end"] > since]
    assert rows(part) == later
    assert 0 < len(later) < len(rows(whole)) / 5


def test_read_without_files_is_a_summary(meter: str, run: Run) -> None:
    done = run("read", meter)
    assert done.code == 0
    for words in ("VIRTUAL-", "measurements: the first rows", "fwd_active_w", "no rejects"):
        assert words in done.out
    assert "logged on with 20 characters" in done.err
    assert "the load profile was not read" in done.err
    quiet = run("read", meter, "--what", "meters", "-q")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    csv = run("read", meter, "--what", "events", "-o", "-")
    assert csv.code == 2


def test_read_one_kind_into_a_file(meter: str, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "events.csv"
    assert run("read", meter, "--what", "events", "-o", out).code == 0
    assert out.read_text().startswith("meter,log,sequence,time")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["events.csv", "events.rejects.csv"]


@pytest.mark.parametrize(
    ("command", "options", "code"),
    [
        (read, ["x", "--what", "weather"], "usage.kind"),
        (read, ["x", "-o", ""], "usage.output"),
        (read, ["x", "--format", "csv"], "usage.format"),
        (read, ["x", "--what", "events", "--delta"], "usage.delta"),
        (read, ["x", "--since", "yesterday"], "usage.since"),
        (dump, ["x", "-o", "x.csv"], "usage.format"),
        (dump, ["x", "-o", "out/", "--tables", ","], "usage.table"),
        (record, ["x", "new.log", "--listen", "--dump"], "usage.record"),
        (record, ["x", "new.log", "--seconds", "5"], "usage.record"),
        (record, ["x", "none/new.log"], "usage.output"),
        (record, ["x", __file__], "usage.output"),
        (watch, ["x", "--pause", "now"], "usage.pause"),
        (watch, ["x", "--pause", "24:00-01:00"], "usage.pause"),
        (watch, ["x", "--pause", "01:00-02:00", "--no-pause"], "usage.pause"),
        (watch, ["mep:x", "--password-file", "p"], "usage.mep"),
        (watch, ["x", "--key-file", "k"], "usage.mep"),
    ],
)
def test_usage(command: Any, options: list[str], code: str) -> None:
    with pytest.raises(UsageError) as error:
        command.main(options, standalone_mode=False)
    assert error.value.code == code


@pytest.mark.parametrize("name", ["read", "dump", "record", "watch"])
def test_help_has_examples_and_no_password_option(name: str, run: Run) -> None:
    done = run(name, "--help")
    assert done.code == 0
    for words in ("Examples:", "/dev/ttyUSB0", "OSGP_PASSWORD", "--password-file", "Exit:"):
        assert words in done.out
    assert "--password " not in done.out


# ---- the password


def test_the_password_is_asked_for(meter: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def prompt(text: str) -> str:
        asked.append(text)
        return PASSWORD

    monkeypatch.delenv("OSGP_PASSWORD")
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", prompt)
    assert run("read", meter, "--what", "registers", "-q").code == 0
    assert len(asked) == 1
    # Not for a port that does not exist.
    assert run("read", "socket://127.0.0.1:9", "--what", "registers").code == 2
    assert len(asked) == 1


def test_a_password_file(meter: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OSGP_PASSWORD")
    file = tmp_path / "key.txt"
    file.write_text(PASSWORD.encode().hex() + "\n")
    done = run("read", meter, "--what", "registers", "--password-file", file)
    assert done.code == 0
    assert "40 hex digits" in done.err
    assert run("read", meter, "--password-file", tmp_path / "none").code == 2


def test_without_a_password_only_little_is_given(
    meter: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OSGP_PASSWORD")
    done = run("read", meter, "--what", "meters,registers")
    assert done.code == 0
    assert "no password is known" in done.err
    assert "registers: the meter refuses" in done.err
    assert "MK, PK, RK" in done.err
    assert run("read", meter, "--what", "registers").code == 3
    done = run("dump", meter, "-o", f"{tmp_path}/dump/")
    assert done.code == 0
    assert "keys that may read it" in done.err
    assert "refused.isc" in done.err
    assert any(p.name == "BT01.bin" for p in (tmp_path / "dump").rglob("*.bin"))


def test_a_wrong_password(meter: str, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OSGP_PASSWORD", "not the key at all")
    for command in (["read", meter], ["watch", meter, "--count", "5"], ["dump", meter, "-o", str(f"{tmp_path}/d/")]):
        done = run(*command)
        assert done.code == 3
        assert "does not accept the password, which was taken as 18 characters" in done.err
        assert "not the key" not in done.out + done.err
    assert not (tmp_path / "d").exists()


# ---- what is on the port


@contextmanager
def device(answer: Callable[[socket.socket], object]) -> Iterator[str]:
    """Something on a socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    try:
                        answer(peer)
                    except OSError:
                        continue

        threading.Thread(target=serve, daemon=True).start()
        yield f"socket://127.0.0.1:{listener.getsockname()[1]}"


QUICK = Timing(response_s=0.05, first_retries=1, retries=1, answer_s=0.3, probe_s=0.1, rest_s=0.05)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time-outs of a test rather than of a meter."""
    monkeypatch.setattr(live, "open_meter", partial(open_meter, timing=QUICK))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "not one byte came back"),
        (b"/ISK5\\2M550E-1012\r\n\r\n1-3:0.2.8(50)\r\n0-0:1.0.0(230101121500W)\r\n!1234\r\n", "P1"),
        (bytes.fromhex("7ea0210002002303939a7480e6e600") * 3, "DLMS"),
        (bytes.fromhex("000c0005a1b2c3d4e5f60718293a0000") * 3, "MEP"),
    ],
    ids=["silent", "p1", "dlms", "mep"],
)
def test_something_else_is_on_the_port(said: bytes, words: str, run: Run) -> None:
    def talk(peer: socket.socket) -> None:
        while peer.recv(100):
            peer.sendall(said)

    with device(talk) as port:
        done = run("read", port)
    assert done.code == 3
    assert words in done.err
    assert "nothing was read" in done.err
    assert "Traceback" not in done.err


@pytest.mark.usefixtures("impatient")
def test_watch_tells_of_a_silent_line(run: Run) -> None:
    with device(lambda peer: peer.recv(100) and time.sleep(1)) as port:
        done = run("watch", port, "--count", "1")
    assert done.code == 3
    line = json.loads(done.out)
    assert line["status"] == "error"
    assert "not one byte came back" in line["message"]
    assert line["notes"][0]["text"] == line["message"]
    assert line["age_s"] == {"measurements": None, "registers": None, "alarms": None}


def test_no_such_port(run: Run, tmp_path: Path) -> None:
    for port, words in (
        (str(tmp_path / "ttyUSB7"), "ttyUSB7"),
        ("socket://127.0.0.1:9", "127.0.0.1:9"),
        ("socket://nowhere", "is no port"),
        ("mep:" + str(tmp_path / "ttyS7"), "ttyS7"),
        ("mep:", "is no MEP port"),
    ):
        for command in (["read", port], ["dump", port, "-o", "x/"], ["record", port, tmp_path / "x"], ["watch", port]):
            done = run(*command)
            assert done.code == 2, done
            assert words in done.err
    assert list(tmp_path.iterdir()) == []


@posix
def test_a_port_in_use(run: Run) -> None:
    from osgp_fast.transport import open_port

    with simulated("--pty") as port:
        held = open_port(port)
        try:
            done = run("read", port)
        finally:
            held.close()
    assert done.code == 2
    assert "in use" in done.err or "busy" in done.err


@pytest.mark.usefixtures("impatient")
def test_a_meter_that_stops_half_way(meter: str, run: Run, tmp_path: Path) -> None:
    host, at = meter.removeprefix("socket://").split(":")

    def forward(peer: socket.socket) -> None:
        # The first 4,000 bytes of a good meter, then nothing.
        with socket.create_connection((host, int(at))) as other:
            left = 4000
            peer.settimeout(0.02)
            other.settimeout(0.02)
            while True:
                for source, target in ((peer, other), (other, peer)):
                    try:
                        data = source.recv(1000)
                    except TimeoutError:
                        continue
                    if not data:
                        return
                    if source is other:
                        data = data[: max(left, 0)]
                        left -= len(data)
                    if data:
                        target.sendall(data)

    with device(forward) as port:
        done = run("dump", port, "-o", f"{tmp_path}/dump/")
    assert done.code == 3
    assert "stopped answering" in done.err
    assert "tables that were read are written" in done.err
    assert len(list((tmp_path / "dump").rglob("*.bin"))) > 3


# ---- dump


def test_dump_into_a_file(meter: str, run: Run, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    out = tmp_path / "meter.parquet"
    done = run("dump", meter, "-o", out, "--tables", "BT00,BT01,ET03,BT99")
    assert done.code == 0
    assert "this meter has no BT99" in done.err
    assert "3 tables" in done.err
    assert run("decode", out).code == 0


# ---- record


def test_record_and_scrub(meter: str, run: Run, tmp_path: Path) -> None:
    log = tmp_path / "session.log"
    done = run("record", meter, log)
    assert done.code == 0
    assert "received" in done.err
    text = log.read_text()
    assert PASSWORD.encode().hex(" ").upper() not in text
    assert "2A 2A 2A 2A" in text
    assert run("decode", log, "-o", f"{tmp_path}/log/", "--format", "jsonl").code == 0
    assert run("read", meter, "-o", f"{tmp_path}/read/", "--format", "jsonl").code == 0
    for kind in ("registers", "measurements", "channels"):
        assert rows(tmp_path / "log" / f"{kind}.jsonl") == rows(tmp_path / "read" / f"{kind}.jsonl")
    assert run("explain", log, "--lines", "20").code == 0
    assert run("scrub", log, "-o", tmp_path / "safe.log").code == 0
    assert "56 49 52 54 55 41 4C" not in (tmp_path / "safe.log").read_text()
    assert run("decode", tmp_path / "safe.log").code == 0
    assert run("record", meter, log).code == 2


def test_record_with_secrets(meter: str, run: Run, tmp_path: Path) -> None:
    log = tmp_path / "secret.log"
    done = run("record", meter, log, "--with-secrets", "--what", "meters")
    assert done.code == 0
    assert "WITH PASSWORDS" in done.err
    text = log.read_text()
    assert "WITH PASSWORDS" in text
    assert PASSWORD.encode().hex(" ").upper() in text
    if os.name == "posix":
        assert log.stat().st_mode & 0o077 == 0


def test_record_listens(run: Run, tmp_path: Path) -> None:
    raw = (SAMPLES / "session.bin").read_bytes()
    heard = []

    def replay(peer: socket.socket) -> None:
        time.sleep(0.3)  # a port forgets what came before it was opened
        for at in range(0, len(raw), 333):
            peer.sendall(raw[at : at + 333])
        peer.settimeout(1.5)
        heard.append(peer.recv(100))

    log = tmp_path / "other.log"
    with device(replay) as port:
        assert run("record", port, log, "--listen", "--seconds", "1.2").code == 0
    assert heard == [b""]
    assert run("decode", log, "-o", f"{tmp_path}/log/", "--format", "jsonl").code == 0
    assert run("decode", SAMPLES / "session.bin", "-o", f"{tmp_path}/raw/", "--format", "jsonl").code == 0
    for kind in ("load_profile", "events", "registers"):
        assert rows(tmp_path / "log" / f"{kind}.jsonl") == rows(tmp_path / "raw" / f"{kind}.jsonl")
    assert b"READONLYKEY".hex(" ").upper() not in log.read_text()


@pytest.mark.usefixtures("impatient")
def test_the_log_of_a_failure_is_kept(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "silent.log"
    with device(lambda peer: peer.recv(100) and time.sleep(3)) as port:
        done = run("record", port, log)
    assert done.code == 3
    assert "is kept" in done.err
    assert "TX EE 00 00 00 00 01 20 13 10" in log.read_text()


# ---- interruptions


@posix
@pytest.mark.parametrize("command", ["read", "dump"])
def test_ctrl_c_logs_off_and_keeps_what_was_read(command: str, tmp_path: Path) -> None:
    trace = tmp_path / "meter.log"
    with simulated("--baud", "57600", "--trace", str(trace)) as port:
        arguments = [command, port, "-o", f"{tmp_path}/out/", "--baud", "57600"]
        arguments += ["--format", "jsonl"] if command == "read" else []
        env = {**os.environ, "OSGP_PASSWORD": PASSWORD}
        with subprocess.Popen(
            [sys.executable, "-m", "osgp_fast", *arguments], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env
        ) as process:
            until = time.monotonic() + 20
            # Well into the session: what is large is still to come.
            while time.monotonic() < until and not (trace.exists() and trace.stat().st_size > 8_000):
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=20)
        assert process.returncode == 130
        assert b"interrupted" in said
        assert any((tmp_path / "out").rglob("*.*"))
        # The simulator may be behind the client by a moment.
        until = time.monotonic() + 5
        while time.monotonic() < until and "EE 00 20 00 00 01 21" not in trace.read_text().replace(
            "EE 00 00", "EE 00 20"
        ):
            time.sleep(0.05)
    sent = [line for line in trace.read_text().splitlines() if " 00 00 01 52 " in line or " 00 00 01 21 " in line]
    assert len(sent) == 2, "logged off and terminated"


# ---- watch


def test_watch_writes_lines(meter: str, run: Run) -> None:
    done = run("watch", meter, "--count", "3", "--interval", "1", "--stale", "1", "--no-pause")
    assert done.code == 0
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert len(lines) == 3
    assert {line["status"] for line in lines} == {"ok"}
    assert lines[0]["meter"].startswith("VIRTUAL-")
    assert lines[0]["clock"]["utc"] == START
    assert {"quantity": "rms_voltage_l1", "unit": "V"}.items() <= lines[0]["measurements"][7].items()
    assert lines[0]["energies"][0]["quantity"] == "fwd_active_wh"
    assert lines[0]["age_s"]["measurements"] < 3
    assert lines[0]["warnings"] == []
    # Its clock stands, and so do its values: that is told.
    assert any("clock has stood still" in w for w in lines[-1]["warnings"])
    assert any("no value has moved" in w for w in lines[-1]["warnings"])


class Bench:
    """A watcher of a sample meter in virtual time."""

    def __init__(self, **options: Any) -> None:
        self.clock = VirtualClock()
        self.handler = sample("dump/M00002001")
        self.connects = 0
        self.fail: Callable[[int], Exception | None] = lambda n: None
        self.shown: list[dict[str, Any]] = []
        self.max_session = options.pop("max_session_s", 540.0)
        times = Times(running=self.clock, wall=lambda: EPOCH + self.clock(), sleep=self.sleep)
        options = {"interval_s": 5.0, "stale_s": 90.0, "policy": Policy(pause=None), **options}
        self.watcher = Watcher(self.connect, times=times, **options)

    def sleep(self, seconds: float) -> None:
        self.clock.now += seconds

    def connect(self) -> Meter:
        self.connects += 1
        if (error := self.fail(self.connects)) is not None:
            raise error
        machine = Responder(Connection(Role.METER), self.handler)
        clocks = Clocks(running=self.clock, wall=lambda: EPOCH + self.clock())
        port = MemoryPort(machine, self.clock)
        return open_meter(port, clock=clocks, password=PASSWORD, max_session_s=self.max_session)

    def run(self, count: int) -> list[dict[str, Any]]:
        def show(watcher: Watcher, fresh: bool) -> None:
            state = {"fresh": fresh, "status": watcher.status, "now": self.clock(), "warnings": watcher.warnings}
            self.shown.append({**state, "age": watcher.age("measurements"), "notes": [n.text for n in watcher.notes]})

        self.watcher.run(show, count)
        return [shown for shown in self.shown if shown["fresh"]]


def test_a_short_interval_keeps_the_session_and_a_long_one_ends_it() -> None:
    short, long = Bench(interval_s=3.0), Bench(interval_s=60.0)
    assert [s["status"] for s in short.run(10)] == ["ok"] * 10
    assert short.handler.logons == 1
    long.run(10)
    assert long.handler.logons == 10
    assert long.handler.ended.count(False) >= 10
    assert long.handler.ended.count(True) == 0


def test_sessions_end_before_the_meter_would_end_them() -> None:
    bench = Bench(interval_s=3.5, max_session_s=60.0)
    shown = bench.run(50)
    assert 120 < shown[-1]["now"] - shown[0]["now"] < 180
    assert bench.handler.logons == 3
    assert bench.connects == 1


def test_values_grow_old_and_frozen_ones_are_told() -> None:
    bench = Bench(interval_s=5.0, stale_s=60.0)
    shown = bench.run(20)
    assert shown[0]["warnings"] == []
    assert any("no value has moved" in w for w in shown[-1]["warnings"])
    assert max(s["age"] for s in bench.shown) >= 4


def test_values_that_move_are_not_frozen() -> None:
    bench = Bench(interval_s=5.0, stale_s=30.0)

    def move(handler: Any, table: str, offset: int, count: int | None) -> None:
        if table == "BT28":
            handler.put("BT28", 0, int(bench.clock()).to_bytes(4, "little"))

    bench.handler.meanwhile = move
    assert all(s["warnings"] == [] for s in bench.run(30))


def test_the_meter_is_left_alone_at_night() -> None:
    from datetime import datetime

    bench = Bench(interval_s=30.0)
    local = datetime.fromtimestamp(EPOCH + bench.clock())
    second = local.hour * 3600 + local.minute * 60 + local.second
    bench.watcher.policy = Policy(pause=Pause((second + 100) % 86_400, (second + 400) % 86_400))
    shown = bench.run(12)
    paused = [s for s in shown if s["status"] == "pause"]
    assert len(paused) == 1
    after = shown[shown.index(paused[0]) + 1]
    assert after["status"] == "ok"
    assert 250 < after["now"] - paused[0]["now"] < 310
    assert "nightly pause" in paused[0]["notes"][-1]


def test_errors_are_told_and_tried_again() -> None:
    bench = Bench(interval_s=5.0)
    bench.fail = lambda n: TransportError("line.silent", "no answer", "look") if n in (1, 2, 4) else None
    shown = bench.run(3)
    assert [s["status"] for s in shown] == ["error", "error", "ok"]
    assert shown[1]["now"] - shown[0]["now"] >= 6
    assert shown[2]["now"] - shown[1]["now"] >= 15
    assert [n for n in shown[-1]["notes"] if "no answer" in n]
    assert shown[-1]["notes"][-1] != "no answer"


def test_a_lost_session_is_opened_again() -> None:
    bench = Bench(interval_s=5.0)
    broken = iter([True])

    def breaks(handler: Any, table: str, offset: int, count: int | None) -> None:
        if table == "BT28" and bench.clock() > 1012 and next(broken, False):
            raise RemoteProtocolError("session.argument", "made to fail")

    bench.handler.meanwhile = breaks
    statuses = [s["status"] for s in bench.run(6)]
    assert statuses.count("error") == 1
    assert statuses[-1] == "ok"
    assert bench.connects == 2
    assert "connected again" in bench.watcher.notes[-1].text


@pytest.mark.parametrize("code", ["port.not_found", "line.not_osgp"])
def test_what_waiting_does_not_mend_ends_the_watch(code: str) -> None:
    bench = Bench()
    bench.fail = lambda n: TransportError(code, "no", "") if n == 1 else None
    with pytest.raises(TransportError):
        bench.run(3)


def test_the_view() -> None:
    bench = Bench(interval_s=5.0)
    bench.run(2)
    bench.sleep(200)
    text = io.StringIO()
    for everything in (False, True):
        Console(file=text, width=120).print(_view(bench.watcher, "/dev/ttyUSB0", everything))
    for words in ("UTIL-0002001 on /dev/ttyUSB0", "voltage", "334.648", "7,072.523", "kWh", "alarms: ", "s ago"):
        assert words in text.getvalue()
    assert "measurements are 20" in text.getvalue()
    assert "q1 reactive var" in text.getvalue()
