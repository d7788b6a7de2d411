"""Meters in memory made of the sample dumps, and ways to reach them: what the tests of the live meter share."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lines import PASSWORD, Tables
from osgp_fast.errors import OsgpError
from osgp_fast.image import EXTENDED, TableImage, parse_table_name, table_name
from osgp_fast.meter import Clocks, Meter
from osgp_fast.meter import open as open_meter
from osgp_fast.session import Connection, Data, RefusalCode, Responder, Role, Timing
from osgp_fast.session.procedure import Once, ResultCode, parse_initiate
from osgp_fast.session.procedure import Result as Response
from osgp_fast.transport import MemoryPort, VirtualClock, serve

SAMPLES = Path(__file__).resolve().parent / "samples"
EPOCH = 1_700_000_000.0
BT07, BT08 = 7, 8


@dataclass
class Sample(Tables):
    """A meter that holds the tables of a sample dump; ``meanwhile`` may change them before a read is answered."""

    reads: list[tuple[str, int, int | None]] = field(default_factory=list)
    executed: list[tuple[int, int, bytes]] = field(default_factory=list)
    meanwhile: Callable[[Sample, str, int, int | None], None] | None = None
    once: Once = field(default_factory=Once)
    store_writes: bool = True
    result: int = ResultCode.COMPLETED
    answer: bytes = b""
    logons: int = 0
    password_tries: int = 0

    def log_on(self, user_id: int, user: bytes) -> RefusalCode | None:
        self.logons += 1
        self.once.log_on()
        return super().log_on(user_id, user)

    def security(self, password: bytes) -> RefusalCode | None:
        self.password_tries += 1
        return super().security(password)

    def read(self, table: int, offset: int, count: int | None) -> bytes | Data | RefusalCode:
        if self.meanwhile is not None:
            self.meanwhile(self, table_name(table), offset, count)
        self.reads.append((table_name(table), offset, count))
        return super().read(table, offset, count)

    def write(self, table: int, offset: int | None, data: bytes, ped: bytes) -> RefusalCode | None:
        if table == BT07 and self.cleared and table not in self.refuse:
            return self.initiate(data)
        refused = super().write(table, offset, data, ped)
        if refused is None and self.store_writes:
            old = bytearray(self.tables.get(table, b""))
            at = offset or 0
            old[at : at + len(data)] = data
            self.tables[table] = bytes(old) if offset is not None else data
        return refused

    def initiate(self, data: bytes) -> RefusalCode | None:
        """Execute a procedure, unless its number came before."""
        asked = parse_initiate(data)
        assert asked is not None
        if not self.once.admits(asked):
            return RefusalCode.ONP
        self.executed.append((asked.number, asked.sequence, asked.parameters))
        self.tables[BT08] = Response(asked.number, asked.sequence, self.result, self.answer).emit()
        return None

    def get(self, name: str) -> bytes:
        """The bytes of a table by its name."""
        number = parse_table_name(name)
        assert number is not None
        return self.tables[number]

    def put(self, name: str, at: int, data: bytes) -> None:
        """Change bytes of a table."""
        number = parse_table_name(name)
        assert number is not None
        old = bytearray(self.tables[number])
        old[at : at + len(data)] = data
        self.tables[number] = bytes(old)

    @property
    def asked(self) -> list[str]:
        """The tables that were read, in order."""
        return [name for name, _, _ in self.reads]

    def images(self, label: str) -> list[TableImage]:
        """A dump of it."""
        return [
            TableImage(meter=label, table=n, data=data, whole=True)
            for n, data in sorted(self.tables.items())
            if n not in (BT07, BT08)
        ]


def sample(name: str = "dump/M00002001", **more: Any) -> Sample:
    """A meter of a sample."""
    tables = {}
    for path in (SAMPLES / name).iterdir():
        number = parse_table_name(path.stem)
        assert number is not None
        tables[number] = path.read_bytes()
    tables.setdefault(BT08, Response(12, 1, 0).emit())
    return Sample(tables=tables, **more)


@contextmanager
def opened(handler: Sample, *, around: Any = None, timing: Timing | None = None, **options: Any) -> Iterator[Meter]:
    """A meter on a line in memory, and a clock that runs only while somebody waits."""
    clock = VirtualClock()
    port_options = {key: options.pop(key) for key in ("out", "back", "echo_line") if key in options}
    machine: Any = Responder(Connection(Role.METER), handler)
    if around is not None:
        machine = around(machine)
    port = MemoryPort(machine, clock, echo=bool(port_options.pop("echo_line", False)), **port_options)
    options.setdefault("password", PASSWORD)
    clocks = Clocks(running=clock, wall=lambda: EPOCH + clock())
    with open_meter(port, clock=clocks, timing=timing, **options) as meter:
        yield meter


class Wires:
    """A port over file descriptors or a socket: the meter's end."""

    def __init__(self, read: Callable[[float], bytes], write: Callable[[bytes], object]) -> None:
        self.name, self.baud = "wires", 9600
        self._read, self._write = read, write

    def write(self, data: bytes) -> None:
        self._write(data)

    def read(self, timeout_s: float | None) -> bytes:
        return self._read(0.2 if timeout_s is None else min(timeout_s, 0.2))

    def close(self) -> None:
        pass


@contextmanager
def served(handler: Sample, kind: str) -> Iterator[str]:
    """The URL or device of a meter that is served in a thread, over ``socket`` or ``pty``."""
    stop = threading.Event()
    if kind == "socket":
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(0.2)
        name = f"socket://127.0.0.1:{listener.getsockname()[1]}"

        def run() -> None:
            while not stop.is_set():
                try:
                    peer, _ = listener.accept()
                except TimeoutError:
                    continue
                with peer:
                    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    _serve(handler, peer.recv, peer.sendall, peer.settimeout, stop)
    else:
        assert sys.platform != "win32"
        import pty
        import select
        import tty

        main, other = pty.openpty()
        tty.setraw(other)
        name = os.ttyname(other)

        def run() -> None:
            def read(timeout_s: float) -> bytes:
                ready, _, _ = select.select([main], [], [], timeout_s)
                return os.read(main, 4096) if ready else b""

            machine = Responder(Connection(Role.METER), handler)
            port = Wires(read, lambda data: os.write(main, data))
            while not stop.is_set():
                serve(port, machine, seconds=0.2)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield name
    finally:
        stop.set()
        thread.join(5)
        if kind == "socket":
            listener.close()
        else:
            os.close(main)
            os.close(other)


def _serve(
    handler: Sample,
    receive: Callable[[int], bytes],
    send: Callable[[bytes], object],
    timeout: Callable[[float], object],
    stop: threading.Event,
) -> None:
    class Gone(OsgpError):
        pass

    def read(timeout_s: float) -> bytes:
        timeout(max(timeout_s, 0.001))
        try:
            data = receive(4096)
        except TimeoutError:
            return b""
        except OSError:
            data = b""
        if not data:
            raise Gone("port.unplugged", "gone")
        return data

    machine = Responder(Connection(Role.METER), handler)
    port = Wires(read, send)
    try:
        while not stop.is_set():
            serve(port, machine, seconds=0.2)
    except (OSError, Gone):
        pass


__all__ = ["BT07", "BT08", "EXTENDED", "PASSWORD", "Sample", "opened", "sample", "served"]
