"""A meter in memory with known tables, and clients to it: what the tests of sessions and transports share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from osgp_fast.session import Connection, Data, Handler, RefusalCode, Responder, Role
from osgp_fast.session.dialogue import connect, log_on
from osgp_fast.transport import Line, MemoryPort, VirtualClock

PASSWORD = b"a meter's key 012345"
PED = bytes.fromhex("00 18 03 0E 00 00")


@dataclass
class Tables(Handler):
    """A meter: tables as bytes, refusals by table, and everything that was written, in order."""

    tables: dict[int, bytes] = field(default_factory=dict)
    refuse: dict[int, RefusalCode] = field(default_factory=dict)
    written: list[tuple[int, int | None, bytes, bytes]] = field(default_factory=list)
    ended: list[bool] = field(default_factory=list)
    key: bytes = PASSWORD
    open_to: set[int] = field(default_factory=lambda: {1, 2051})
    cleared: bool = False

    def log_on(self, user_id: int, user: bytes) -> RefusalCode | None:
        self.cleared = False
        return None

    def security(self, password: bytes) -> RefusalCode | None:
        self.cleared = password == self.key.ljust(20, b"\0")
        return None if self.cleared else RefusalCode.ERR

    def read(self, table: int, offset: int, count: int | None) -> bytes | Data | RefusalCode:
        if table in self.refuse:
            return self.refuse[table]
        if not self.cleared and table not in self.open_to:
            return RefusalCode.ISC
        if table not in self.tables:
            return RefusalCode.IAR
        data = self.tables[table]
        data = data[offset:] if count is None else data[offset : offset + count]
        return Data(data, PED) if table & 4096 else data

    def write(self, table: int, offset: int | None, data: bytes, ped: bytes) -> RefusalCode | None:
        if table in self.refuse:
            return self.refuse[table]
        if not self.cleared:
            return RefusalCode.ISC
        self.written.append((table, offset, data, ped))
        return None

    def end(self, *, timed_out: bool) -> None:
        self.ended.append(timed_out)


def bench(handler: Tables, *, echo: bool | None = None, **port: Any) -> tuple[Line, Responder, VirtualClock]:
    """A client and a meter on a line in memory."""
    clock = VirtualClock()
    meter = Responder(Connection(Role.METER), handler)
    line = Line(MemoryPort(meter, clock, **port), Connection(Role.CLIENT, echo=echo), clock=clock)
    return line, meter, clock


def opened(handler: Tables, **port: Any) -> tuple[Line, Responder, VirtualClock]:
    """The same, logged on with the password."""
    line, meter, clock = bench(handler, **port)
    line.run(connect())
    line.run(log_on(PASSWORD))
    return line, meter, clock
