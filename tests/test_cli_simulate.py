"""`osgp-fast simulate` as a program: over TCP and as a serial device, slow, bad, traced, and met by somebody else's client."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from osgp_fast import TransportError, UsageError
from osgp_fast.cli import main
from osgp_fast.cli.simulate import simulate
from osgp_fast.image import parse_table_name
from osgp_fast.session import Connection, Role, dialogue
from osgp_fast.transport import Line, Listener, PtyPort, open_port
from osgp_fast.virtual import Firmware, MeterConfig, VirtualMeter

from .conftest import Command

START = "2024-06-01T10:07:30Z"
PASSWORD = b"MK-of-virtual-meter!"
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
#: The environments with every tool have termineter; see tests/test_installed.py.
FULL = os.environ.get("OSGP_FAST_EXPECT", "").endswith(",compiled,pyarrow")


@contextmanager
def simulated(*arguments: str | Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The URL or device of a running meter whose clock stands."""
    process = subprocess.Popen(
        [sys.executable, "-m", "osgp_fast", "simulate", "--start", START, "--speed", "0", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OSGP_FAST_IMPL": "python"},
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.communicate(timeout=10)


def meter(firmware: str = "3.50") -> VirtualMeter:
    """The same meter here."""
    return VirtualMeter(
        MeterConfig(firmware=Firmware.parse(firmware), start=datetime(2024, 6, 1, 10, 7, 30, tzinfo=UTC))
    )


def read(url: str, *tables: str, password: bytes = PASSWORD) -> dict[str, bytes]:
    """Some tables, in a session of their own."""
    connection = Connection(Role.CLIENT)
    with Line(open_port(url), connection) as line:
        line.run(dialogue.connect())
        line.run(dialogue.log_on(password))
        return {id: line.run(dialogue.read(connection, parse_table_name(id) or 0)).data for id in tables}


def stop(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Ctrl-C."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    return process.returncode, out, err


@posix
def test_tcp_one_client_after_the_other() -> None:
    mine = meter()
    with simulated() as (url, process):
        assert url.startswith("socket://127.0.0.1:")
        for tables in (("BT01", "BT23"), ("BT63", "BT74")):
            assert read(url, *tables) == {id: mine.image(id, mine.start) for id in tables}
        # Somebody who connects and goes away without a word does no harm.
        host, port = url.removeprefix("socket://").split(":")
        socket.create_connection((host, int(port))).close()
        assert read(url, "BT01")
        assert stop(process) == (0, "", "")


@posix
def test_a_serial_device_and_another_password() -> None:
    with simulated("--pty", "--password", "00" * 19 + "ff", "--firmware", "4.30", "--seed", "5") as (name, process):
        assert Path(name).exists()
        found = read(name, "BT01", "BT28", password=bytes(19) + b"\xff")
        assert len(found["BT28"]) == 84 * 4
        assert read(name, "BT01", password=bytes(19) + b"\xff")["BT01"] == found["BT01"]
        assert stop(process) == (0, "", "")


@posix
@pytest.mark.parametrize("arguments", [(), ("--pty",)])
def test_once(arguments: tuple[str, ...]) -> None:
    with simulated("--once", *arguments) as (url, process):
        assert read(url, "BT01")
        assert process.wait(10) == 0


@posix
def test_echo_faults_and_the_shared_port() -> None:
    mine = meter("3.10")
    words = "loss=1%,flip=1%,duplicate=3%,stray=3%,shared-port"
    with simulated("--pty", "--echo", "--firmware", "3.10", "--fault", words, "--seed", "1") as (name, _):
        assert read(name, "BT00", "BT61") == {id: mine.image(id, mine.start) for id in ("BT00", "BT61")}


@posix
def test_pacing() -> None:
    mine = meter()
    with simulated("--pty", "--baud", "9600") as (name, _):
        began = time.monotonic()
        found = read(name, "BT26")
        took = time.monotonic() - began
    assert found["BT26"] == mine.image("BT26", mine.start)
    least = len(found["BT26"]) * 10 / 9600
    assert least < took < 1.5 * least + 3


@posix
def test_a_trace_is_a_capture(tmp_path: Path, osgp: Command) -> None:
    trace = tmp_path / "session.log"
    with simulated("--trace", trace, "--once") as (url, process):
        read(url, "BT00", "BT01", "ET03", "BT21", "BT22", "BT27", "BT28")
        process.wait(10)
    text = trace.read_text(encoding="utf-8")
    assert PASSWORD.hex(" ").upper() not in text
    done = osgp.decode(trace)
    assert done.code == 0, done.err
    mine = meter()
    assert [row["raw"] for row in done.rows("measurements")] == [
        mine.readings.present(row["source"], mine.start) for row in done.rows("measurements")
    ]
    assert done.rows("meters")[0]["meter"] == "VIRTUAL-0000001"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--firmware", "1.0"], "no firmware"),
        (["--firmware", "3.50,4.0"], "one firmware"),
        (["--fault", "gremlins"], "no fault"),
        (["--config", "none.toml"], "none.toml"),
        (["--password", "x" * 21], "20 characters"),
        (["--mak", "zz"], "hex"),
        (["--start", "noon"], "[clock] start"),
        (["--pty", "--port", "5"], "do not go together"),
        (["--truth", "t.json"], "--dump"),
        (["--dump", "."], "not empty"),
        (["--host", "256.0.0.1"], "cannot be listened on"),
        (["--baud", "1"], "--baud"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "something").touch()
    with pytest.raises(SystemExit) as end:
        main(["simulate", *arguments])
    out, err = capsys.readouterr()
    assert end.value.code == 2
    assert words in err
    assert out == ""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--firmware", "3.50,4.0"], "usage.firmware"),
        (["--pty", "--port", "5"], "usage.port"),
        (["--truth", "t.json"], "usage.truth"),
    ],
)
def test_options_that_do_not_go_together(arguments: list[str], code: str) -> None:
    with pytest.raises(UsageError) as error:
        simulate.main(arguments, standalone_mode=False)
    assert error.value.code == code


def test_a_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    listener = Listener()
    with pytest.raises(SystemExit) as end:
        main(["simulate", "--port", listener.url.rsplit(":", 1)[1]])
    listener.close()
    assert end.value.code == 2
    assert "choose another port" in capsys.readouterr().err
    with pytest.raises(TransportError) as error:
        Listener(1, "203.0.113.1")
    assert error.value.code == "port.listen"


def test_no_pseudo_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "openpty", raising=False)
    with pytest.raises(TransportError) as error:
        PtyPort()
    assert error.value.code == "port.no_pty"
    assert "--pty" in str(error.value)


@pytest.mark.skipif(
    not FULL and importlib.util.find_spec("c1218") is None, reason="termineter is not installed in this environment"
)
@posix
@pytest.mark.parametrize(("way", "firmware"), [("--pty", "3.50"), ("--port=0", "2.12"), ("--pty", "4.30")])
def test_termineter_reads_every_table(way: str, firmware: str) -> None:
    """The independent client that there is reads what the virtual meter holds, byte for byte."""
    import serial
    from c1218.connection import Connection as Termineter

    settings = {
        "parity": serial.PARITY_NONE,
        "baudrate": 9600,
        "bytesize": serial.EIGHTBITS,
        "stopbits": serial.STOPBITS_ONE,
        "timeout": 5,
        **dict.fromkeys(("xonxoff", "rtscts", "dsrdtr"), False),
        **dict.fromkeys(("interCharTimeout", "writeTimeout")),
    }
    mine = meter(firmware)
    with simulated(way, "--firmware", firmware) as (url, _):
        client = Termineter(url, c1218_settings={"pktsize": 1024, "nbrpkts": 255}, serial_settings=settings)
        try:
            assert client.start()
            assert client.login("0000", 1, PASSWORD)
            compared = 0
            for id in mine.config.firmware.tables:
                wanted = mine.image(id, mine.start)
                if len(wanted) < 65_536:
                    assert client.get_table_data(parse_table_name(id)) == wanted, id
                    compared += 1
            assert compared >= len(mine.tables) - 1  # one load profile may be longer
            # A part of the load profile, and a procedure.
            part = client.get_table_data(64, octetcount=500, offset=1000)
            assert part == mine.part("BT64", mine.start, 1000, 500)
            code, data = client.run_procedure(12, False, b"")
            assert (code, data) == (0, b"")
            assert client.logoff()
        finally:
            client.serial_h.close()
