"""A meter with a MEP port in memory and clients to it: what the tests of the MEP session share."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from osgp_fast.codec import transactions
from osgp_fast.session import (
    MepAccess,
    MepConnection,
    MepHandler,
    MepMode,
    MepPort,
    MepResponder,
    RefusalCode,
)
from osgp_fast.session.mep_procedure import EP61, ET52, ET53
from osgp_fast.session.procedure import BT07, BT08, Initiate, Once, Result, parse_initiate
from osgp_fast.transport import MemoryPort, MepLine, VirtualClock

MAK = bytes([1]) * 16
MBK = bytes(range(20, 40))
KEYS = {MepAccess.ADVANCED: MAK, MepAccess.BASIC: MBK}


def entropy(seed: int) -> Any:
    """Random bytes, the same for the same seed."""
    return Random(seed).randbytes


@dataclass
class MepTables(MepHandler):
    """A meter: tables as bytes, everything that was executed in order, BT07 and ET52 as in the guide."""

    tables: dict[int, bytes] = field(default_factory=dict)
    refuse: dict[int, RefusalCode] = field(default_factory=dict)
    response: int = BT08
    written: list[tuple[int, int | None, bytes]] = field(default_factory=list)
    procedures: list[Initiate] = field(default_factory=list)
    executed: list[int] = field(default_factory=list)
    """Numbers of transactions."""
    asked: list[tuple[MepAccess, int | None]] = field(default_factory=list)
    once: Once = field(default_factory=Once)
    results: dict[int, int] = field(default_factory=dict)
    baud: int = 9600

    def __post_init__(self) -> None:
        self.tables = dict(self.tables)

    def access(self, access: MepAccess, client_id: int | None) -> None:
        self.asked.append((access, client_id))

    def read(self, table: int, offset: int, count: int | None) -> bytes | RefusalCode:
        if table in self.refuse:
            return self.refuse[table]
        if table not in self.tables:
            return RefusalCode.IAR
        data = self.tables[table]
        return data[offset:] if count is None else data[offset : offset + count]

    def write(self, table: int, offset: int | None, data: bytes, ped: bytes) -> RefusalCode | None:
        if table in self.refuse:
            return self.refuse[table]
        if table == BT07:
            return self.procedure(data)
        self.written.append((table, offset, data))
        old, at = self.tables.get(table, b""), offset or 0
        old = old.ljust(at, b"\0")
        self.tables[table] = old[:at] + data + old[at + len(data) :]
        if table == ET52:
            self.transaction(self.tables[ET52])
        return None

    def procedure(self, data: bytes) -> RefusalCode | None:
        initiate = parse_initiate(data)
        if initiate is None:
            return RefusalCode.ERR
        if not self.once.admits(initiate):
            return RefusalCode.ONP
        self.procedures.append(initiate)
        code = self.results.get(initiate.number, 0)
        self.tables[self.response] = Result(initiate.number, initiate.sequence, code).emit().ljust(16, b"\0")
        return None

    def transaction(self, data: bytes) -> None:
        size = int.from_bytes(data[:2], "little")
        if not 7 <= size <= len(data) or data[3:5] != data[size - 2 : size]:
            return
        number = int.from_bytes(data[3:5], "little")
        if self.executed and self.executed[-1] == number:
            return  # the one executed last is not executed again
        self.executed.append(number)
        said = []
        for request in transactions.parse_transaction(data[:size]).requests:
            assert request.table is not None
            if request.code in (0x30, 0x3F):
                answer = self.read(request.table, request.offset or 0, request.count)
            else:
                answer = self.write(request.table, request.offset, request.data, b"")
            if isinstance(answer, RefusalCode):
                said.append(transactions.Response(answer))
            elif answer is None:
                said.append(transactions.Response(0))
            else:
                padded = answer.ljust(request.count or 0, b"\0")
                said.append(transactions.Response(0, len(padded), padded))
        self.tables[ET53] = transactions.build_responses(number, said)


def bench(
    handler: MepTables,
    *,
    mode: MepMode = MepMode.RC4,
    server: MepMode = MepMode.AUTO,
    key: Any = MAK,
    access: MepAccess = MepAccess.ADVANCED,
    seed: int = 1,
    client: dict[str, Any] | None = None,
    meter: dict[str, Any] | None = None,
    peer: Any = None,
    **port: Any,
) -> tuple[MepLine, MepResponder, VirtualClock]:
    """A client and a meter on a line in memory."""
    clock = VirtualClock()
    random = entropy(seed)
    responder = MepResponder(
        handler,
        MepPort(keys=KEYS, entropy=random, mode=server, sequence=int.from_bytes(random(4)), **(meter or {})),
    )
    connection = MepConnection(key, entropy=random, mode=mode, access=access, **(client or {}))
    end = responder if peer is None else peer(responder)
    return MepLine(MemoryPort(end, clock, **port), connection, clock=clock), responder, clock


__all__ = ["EP61", "KEYS", "MAK", "MBK", "MepTables", "bench", "entropy"]
