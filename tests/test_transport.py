"""Lines: real devices (a pty, a socket, pyserial's loop), lines in memory, faults, and the log that is written."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import select
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import serial
from lines import PASSWORD, Tables, bench, opened
from osgp_fast.errors import TransportError
from osgp_fast.scan import scan
from osgp_fast.session import (
    Connection,
    Done,
    Identified,
    Identify,
    Read,
    Responder,
    Role,
    State,
    Timing,
    Write,
    dialogue,
    refusals,
)
from osgp_fast.session.dialogue import connect, log_on, read
from osgp_fast.text_log import parse as parse_log
from osgp_fast.transport import (
    AsyncLine,
    BadLine,
    Faults,
    Line,
    MemoryPort,
    SharedPort,
    TracePort,
    VirtualClock,
    Wire,
    open_port,
    serve,
)
from osgp_fast.transport import serial as serial_module

BIG = bytes(i * 13 & 0xFF for i in range(2000))
TABLES = {1: b"NES 83331", 2051: b"UTIL-00042".ljust(143, b"\0"), 23: bytes(range(200)), 64: BIG}


class FdPort:
    """One end of a pty or a socket as a port, for the meter."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.name = "fd"
        self.baud = 9600

    def write(self, data: bytes) -> None:
        os.write(self.fd, data)

    def read(self, timeout_s: float | None) -> bytes:
        if not select.select([self.fd], [], [], timeout_s)[0]:
            return b""
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            data = b""
        if not data:
            raise TransportError("port.unplugged", "the other end is gone")
        return data

    def close(self) -> None:
        os.close(self.fd)


def meter_thread(fd: int, handler: Tables, seconds: float = 20.0) -> threading.Thread:
    """A meter on a file descriptor, until the other end is gone."""

    def run() -> None:
        with contextlib.suppress(TransportError):
            serve(FdPort(fd), Responder(Connection(Role.METER), handler), seconds=seconds)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


# Real ports

needs_pty = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pty")


@needs_pty
def test_a_session_over_a_pty() -> None:
    handler = Tables(tables=dict(TABLES))
    master, slave = os.openpty()
    import tty

    tty.setraw(master)
    name = os.ttyname(slave)
    thread = meter_thread(master, handler)
    port = open_port(name)
    os.close(slave)
    connection = Connection(Role.CLIENT)
    with Line(port, connection) as line:
        assert line.run(connect()) == Identified()
        line.run(log_on(PASSWORD))
        assert line.run(read(connection, 64)).data == BIG
        assert line.ask(Write(7, b"abc")) == Done()
        with pytest.raises(TransportError) as error:
            open_port(name)
        assert error.value.code == "port.busy"
    assert handler.ended == [False, False]
    assert [data for _, _, data, _ in handler.written] == [b"abc"]
    thread.join(5)
    assert not thread.is_alive()
    port.close()
    with pytest.raises(TransportError) as error:
        port.read(0.0)
    assert error.value.code == "port.unplugged"


@needs_pty
def test_an_adapter_that_is_pulled_out() -> None:
    master, slave = os.openpty()
    port = open_port(os.ttyname(slave))
    os.close(slave)
    assert port.read(0.0) == b""
    os.write(master, b"\x06")
    assert port.read(1.0) == b"\x06"
    os.close(master)
    with pytest.raises(TransportError) as error:
        port.read(1.0)
    assert error.value.code == "port.unplugged"
    with pytest.raises(TransportError) as error:
        port.write(b"x")
    assert error.value.code == "port.unplugged"
    port.close()


def test_a_session_over_a_socket_with_asyncio() -> None:
    handler = Tables(tables=dict(TABLES))
    server = socket.create_server(("127.0.0.1", 0))
    number = server.getsockname()[1]

    def accept() -> None:
        peer, _ = server.accept()
        meter_thread(peer.detach(), handler).join()

    threading.Thread(target=accept, daemon=True).start()

    async def talk() -> bytes:
        port = await asyncio.to_thread(open_port, f"socket://127.0.0.1:{number}")
        connection = Connection(Role.CLIENT)
        async with AsyncLine(port, connection) as line:
            await line.run(connect())
            await line.run(log_on(PASSWORD))
            with pytest.raises(refusals.InappropriateActionRequested):
                await line.ask(Read(99))
            return (await line.run(read(connection, 64))).data

    assert asyncio.run(talk()) == BIG
    server.close()


def test_a_cancelled_request_gives_the_session_up() -> None:
    async def talk() -> Connection:
        clock = VirtualClock()

        class Slow(MemoryPort):
            def read(self, timeout_s: float | None) -> bytes:
                time.sleep(0.02)
                return super().read(timeout_s)

        class Deaf(Responder):
            def receive(self, data: bytes, now: float) -> bytes:
                return b""

        port = Slow(Deaf(Connection(Role.METER), Tables()), clock)
        line = AsyncLine(port, Connection(Role.CLIENT, timing=Timing(first_retries=10_000)), clock=clock)
        task = asyncio.ensure_future(line.ask(Identify()))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await line.hang_up()
        return line.connection

    connection = asyncio.run(talk())
    assert connection.request is None
    assert connection.state is State.BASE


def test_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
    with pytest.raises(TransportError) as error:
        open_port(f"socket://127.0.0.1:{number}")
    assert error.value.code == "port.no_connection"
    assert error.value.hint


def test_a_socket_that_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = open_port(f"socket://127.0.0.1:{server.getsockname()[1]}")
        peer, _ = server.accept()
        peer.sendall(b"\x06\x15")
        time.sleep(0.02)
        assert port.read(1.0) == b"\x06\x15"
        peer.close()
        with pytest.raises(TransportError) as error:
            port.read(1.0)
        assert error.value.code == "port.unplugged"
        port.close()


def test_pyserials_loop() -> None:
    port = open_port("loop://", rts=False, dtr=True)
    port.write(b"abc")
    assert port.read(1.0) == b"abc"
    assert port.read(0.0) == b""
    port.baud = 19200
    assert port.baud == 19200
    port.close()
    port.close()


@needs_pty
def test_pyserials_spy(tmp_path: Path) -> None:
    log = tmp_path / "spy.txt"
    master, slave = os.openpty()
    port = open_port(f"spy://{os.ttyname(slave)}?file={log}")
    port.write(b"abc")
    assert os.read(master, 10) == b"abc"
    port.close()
    os.close(slave)
    os.close(master)
    assert "61 62 63" in log.read_text(encoding="utf-8")


def test_an_rfc2217_port_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
    with pytest.raises(TransportError) as error:
        open_port(f"rfc2217://127.0.0.1:{number}")
    assert error.value.code == "port.no_connection"


@pytest.mark.parametrize("name", ["nonsense://x", "socket://nowhere", "socket://127.0.0.1:notanumber"])
def test_names_that_are_no_port(name: str) -> None:
    with pytest.raises(TransportError) as error:
        open_port(name)
    assert error.value.code == "port.bad_url"


@needs_pty
def test_a_port_that_is_not_there() -> None:
    with pytest.raises(TransportError) as error:
        open_port("/dev/ttyThatIsNotThere0")
    assert error.value.code == "port.not_found"
    assert "/dev/ttyThatIsNotThere0" in str(error.value)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (serial.SerialException(errno.EACCES, "Permission denied"), "port.permission"),
        (
            serial.SerialException("could not open port 'COM3': PermissionError(13, 'Access is denied.')"),
            "port.permission",
        ),
        (serial.SerialException("could not open port 'COM9': FileNotFoundError(2, 'no file')"), "port.not_found"),
        (serial.SerialException(errno.ENODEV, "no such device"), "port.not_found"),
        (serial.SerialException(errno.EBUSY, "busy"), "port.busy"),
        (serial.SerialException("Could not exclusively lock port /dev/ttyUSB0"), "port.busy"),
        (serial.SerialException(errno.EIO, "input/output error"), "port.open"),
    ],
)
def test_why_a_port_does_not_open(error: Exception, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        exclusive = rts = dtr = None

        def open(self) -> None:
            raise error

    monkeypatch.setattr(serial_module.serial, "serial_for_url", lambda *_, **__: Fake())
    with pytest.raises(TransportError) as raised:
        open_port("/dev/ttyUSB0")
    assert raised.value.code == code
    assert raised.value.hint
    if code == "port.permission":
        assert "dialout" in raised.value.hint


def test_control_lines_are_set_before_the_port_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, Any]] = []

    class Fake:
        def __setattr__(self, name: str, value: Any) -> None:
            seen.append((name, value))

        def open(self) -> None:
            seen.append(("open", None))

        def reset_input_buffer(self) -> None:
            pass

    monkeypatch.setattr(serial_module.serial, "serial_for_url", lambda *_, **__: Fake())
    open_port("/dev/ttyUSB0", rts=False, dtr=True)
    assert seen == [("exclusive", True), ("rts", False), ("dtr", True), ("open", None)]


# Lines in memory


def test_pacing_takes_the_time_of_the_bits() -> None:
    line, _, clock = bench(Tables(tables=dict(TABLES)), out=Wire(paced=True), back=Wire(paced=True))
    line.run(connect())
    line.run(log_on(PASSWORD))
    start = clock.now
    line.run(read(line.connection, 64))
    # 2004 bytes of message in 9 packets of 8 bytes around them, 9 ACKs each way and the request, at 960 bytes a second
    least = (2004 + 9 * 8 + 9 + 1 + 11) / 960
    assert least < clock.now - start < 1.05 * least


def test_speed_matters() -> None:
    handler = Tables(tables=dict(TABLES))
    handler.bauds = (9600, 57600)
    line, meter, clock = bench(handler, out=Wire(paced=True), back=Wire(paced=True))
    line.run(connect(dialogue.Negotiate(1024, 255, (9600, 57600))))
    line.run(log_on(PASSWORD))
    assert meter.baud == line.port.baud == 57600
    start = clock.now
    line.run(read(line.connection, 64))
    assert 2100 / 5760 < clock.now - start < 1.1 * 2100 / 5760
    line.port.baud = 9600  # one side forgets
    meter.connection._link.baud = 57600
    line.connection._link.baud = 9600
    # Nothing gets through until the meter ends the session and returns to 9600, and then it knows of none.
    with pytest.raises(refusals.InvalidServiceSequenceState):
        line.ask(Read(1))
    assert clock.now - start > 6
    assert meter.baud == 9600


def test_the_same_seed_makes_the_same_faults() -> None:
    faults = Faults(lose=0.1, flip=0.1, cut=0.1, delay=0.1, duplicate=0.1, refuse=0.1, stray=0.1, byte_flip=0.01)
    assert faults.any
    assert not Faults().any

    def run(seed: int) -> tuple[list[Any], dict[str, int]]:
        line = BadLine(seed, faults, paced=True)
        return [(line.carry(bytes(range(50)), float(i), 9600), line.answers()) for i in range(200)], line.happened

    assert run(1) == run(1)
    assert run(1) != run(2)
    out, happened = run(3)
    assert set(happened) == {"lose", "flip", "cut", "delay", "duplicate", "refuse", "stray", "byte_flip"}
    assert all(5 <= count <= 150 for count in happened.values())
    times = [when for deliveries, _ in out for when, _ in deliveries]
    assert times == sorted(times)
    assert sum(len(answers) for _, answers in out) == happened["refuse"]


def test_bytes_one_by_one() -> None:
    line, _, _ = bench(
        Tables(tables=dict(TABLES)),
        out=BadLine(1, Faults(), single=True),
        back=BadLine(1, Faults(), single=True, paced=True),
    )
    line.run(connect())
    line.run(log_on(PASSWORD))
    assert line.run(read(line.connection, 64)).data == BIG
    assert line.connection.counts.sent_again == 0


def test_a_shared_port_goes_back_to_mep() -> None:
    message = bytes.fromhex("000900ed6a9ceff4cc0e39")
    clock = VirtualClock()
    meter = SharedPort(Responder(Connection(Role.METER), Tables(tables=dict(TABLES))), messages=[message])
    port = MemoryPort(meter, clock)
    assert port.read(1.0) == message
    line = Line(port, Connection(Role.CLIENT), clock=clock)
    line.run(connect())
    assert line.connection.counts.naks_received == 1
    assert meter.optical
    line.run(dialogue.hang_up(line.connection))
    line.settle()
    came: Counter[bytes] = Counter()
    while clock.now < 1040:
        came[port.read(1.0)] += 1
    assert not meter.optical
    assert came[message] > 10
    assert line.run(connect()) == Identified()


# The log


def recorded(*, with_secrets: bool = False, echo: bool = False) -> tuple[str, Tables]:
    handler = Tables(tables=dict(TABLES))
    line, _, clock = bench(handler)
    log = io.StringIO()
    inner = MemoryPort(Responder(Connection(Role.METER), handler), clock, echo=echo, out=Wire(paced=True))
    line.port = TracePort(inner, log, with_secrets=with_secrets, clock=lambda: 1_710_410_850.0 + clock.now)
    line.run(connect())
    line.run(log_on(PASSWORD))
    line.run(read(line.connection, 2051))
    line.run(read(line.connection, 64))
    line.run(read(line.connection, 23, 10, 20))
    assert line.port.name == "memory"
    line.hang_up()
    return log.getvalue(), handler


def test_a_recorded_session_is_an_input_of_decode() -> None:
    text, _ = recorded()
    capture = scan(text.encode(), input="x.log", stem="x")
    assert capture.rejects == []
    assert capture.noise_bytes == capture.repeated == 0
    (session,) = capture.sessions
    assert session.label == "UTIL-00042"
    images = {(image.table, image.offset): image for image in session.images}
    assert images[64, 0].data == BIG
    assert images[64, 0].whole is True
    assert images[23, 10].data == TABLES[23][10:30]
    first = parse_log(text.encode()).streams[0].chunks[0]
    assert first.time is not None
    assert first.time.utc
    assert first.time.micros == (1_710_410_850 + 1000) * 1_000_000
    assert text.startswith(
        "# optical port; passwords are masked\n2024-03-14T10:24:10.000Z TX EE 00 00 00 00 01 20 13 10\n"
    )


@pytest.mark.parametrize("echo", [False, True])
def test_a_recorded_session_has_no_password(echo: bool) -> None:
    text, _ = recorded(echo=echo)
    data = b"".join(bytes(stream.bytes) for stream in parse_log(text.encode()).streams)
    for part in range(16):
        assert PASSWORD[part : part + 4] not in data
    assert b"\x51" + b"*" * 20 in data
    text, _ = recorded(with_secrets=True)
    assert "WITH PASSWORDS" in text
    assert PASSWORD.hex(" ").upper() in text


def test_a_log_keeps_the_order_of_the_line() -> None:
    """An answer cut short stands before the NAK that it gets."""
    log = io.StringIO()
    inner = open_port("loop://")
    port = TracePort(inner, log)
    inner.write(bytes.fromhex("06EE00200000"))
    assert len(port.read(1.0)) == 6
    port.write(b"\x15")
    inner.read(1.0)
    sides = [line.split()[1:] for line in log.getvalue().splitlines()[1:]]
    assert [side[0] for side in sides] == ["RX", "RX", "TX"]
    assert [byte for side in sides for byte in side[1:]] == ["06", "EE", "00", "20", "00", "00", "15"]
    port.close()


def test_a_trace_follows_the_speed_and_closes() -> None:
    log = io.StringIO()
    line, _, clock = opened(Tables(tables=dict(TABLES)))
    port = TracePort(line.port, log, clock=clock)
    port.baud = 19200
    assert port.baud == line.port.baud == 19200
    port.close()
    with pytest.raises(TransportError):
        port.read(0.0)
