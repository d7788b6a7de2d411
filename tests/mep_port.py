"""Client and meter at a MEP port, and what a recorder of the line has: captures for tests, made with our own security.

The guide's exchanges come from vectors/official_vectors.json; the rest has keys and data of its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from osgp_fast.codec.transactions import Response, build_requests, build_responses, read
from osgp_fast.security.messages import Exchange
from osgp_fast.security.tls import TlsClient, TlsServer, identity
from osgp_fast.security.tls_messages import message, terminate
from osgp_fast.wire import c1218

VECTORS = json.loads((Path(__file__).parent / "vectors" / "official_vectors.json").read_text(encoding="utf-8"))
GUIDE = bytes.fromhex("01" * 16)
MAK, MBK, OTHER = b"advanced key 001", b"basic key 000001", b"another meter's1"
RC4 = [(bytes.fromhex(v["request"]), bytes.fromhex(v["response"])) for v in VECTORS["mep_rc4"]]
TLS = [(side, bytes.fromhex(text)) for side, text in VECTORS["mep_tls"]["exchange"]]


def full(table: int) -> bytes:
    return b"\x30" + table.to_bytes(2, "big")


def partial(table: int, offset: int, count: int) -> bytes:
    return b"\x3f" + table.to_bytes(2, "big") + offset.to_bytes(3, "big") + count.to_bytes(2, "big")


def write(table: int, offset: int, data: bytes) -> bytes:
    return b"\x4f" + table.to_bytes(2, "big") + offset.to_bytes(3, "big") + len(data).to_bytes(2, "big") + data


def told(data: bytes) -> bytes:
    return b"\0" + len(data).to_bytes(2, "big") + data


class Port:
    """Client and meter at a MEP port, and what a recorder of the line has: who sent which bytes."""

    def __init__(self, key: bytes = MAK, *, encrypt: bool = False) -> None:
        self.key, self.encrypt, self.sequence = key, encrypt, 0x1000
        self.line: list[tuple[str, bytes]] = []
        self.last: Exchange

    def raw(self, side: str, *data: bytes) -> Port:
        self.line.append((side, b"".join(data)))
        return self

    def ask(self, body: bytes, key: bytes | None = None) -> Port:
        self.sequence += 1
        self.last = Exchange.request(key or self.key, body, self.sequence, encrypt=self.encrypt)
        return self.raw("C", self.last.message)

    def answer(self, body: bytes) -> Port:
        return self.raw("S", self.last.respond(body))

    def read(self, table: int, data: bytes, offset: int | None = None, key: bytes | None = None) -> Port:
        ask = full(table) if offset is None else partial(table, offset, len(data))
        return self.ask(ask, key).answer(told(data))

    def handshake(self, key: bytes = MAK, server_key: bytes | None = None) -> Port:
        seed = len(self.line).to_bytes(1, "big")
        self.client = TlsClient(identity(0x64, 1), key, (seed + b"C") * 16)
        self.server = TlsServer({1: server_key or key}, (seed + b"S") * 16)
        hello = self.client.start()
        flight, _ = self.server.feed(hello)
        finish, _ = self.client.feed(flight)
        done, _ = self.server.feed(finish)
        self.client.feed(done)
        self.raw("C", message(0x58, hello)).raw("S", message(0, flight)).raw("C", message(0x59, finish))
        return self.raw("S", message(1 if server_key else 0, done))

    def tls_read(self, table: int, data: bytes, offset: int) -> Port:
        self.raw("C", message(0x80, self.client.send(partial(table, offset, len(data)))))
        return self.raw("S", message(0, self.server.send(told(data))))

    @property
    def bytes(self) -> bytes:
        return b"".join(data for _, data in self.line)

    def log(self, size: int = 1000) -> bytes:
        """As a text log, in lines of at most so many bytes."""
        lines = []
        for i, (side, data) in enumerate(self.line):
            mark = "TX" if side == "C" else "RX"
            at = range(0, len(data), size)
            lines += [f"2024-03-14T10:07:{i % 60:02d}Z {mark}: {data[a : a + size].hex(' ')}\n" for a in at]
        return "".join(lines).encode()


def guide(*, alerts: bool = False, encrypt: bool = False) -> Port:
    """The guide's exchanges; enciphered, with keys and sequence numbers of ours."""
    port = Port(GUIDE, encrypt=encrypt)
    for request, response in RC4:
        if encrypt:
            port.ask(request[2:-12])
            port.raw("S", b"\0\0" * alerts, port.last.respond(response[2:-8]))
        else:
            port.raw("C", request).raw("S", b"\0\0" * alerts, response)
    return port


def optical(table: int, data: bytes) -> bytes:
    out = b""
    answer = told(data) + bytes((-sum(data) & 0xFF,))
    for toggle, messages in enumerate([(b"\x20", b"\0\0\2\0\0"), (full(table), answer), (b"\x52", b"\0")]):
        for part in messages:
            out += b"".join(p.emit() + b"\x06" for p in c1218.split(part, 64, toggle=bool(toggle & 1)))
    return out


def transaction(port: Port, number: int, reads: Sequence[tuple[int, int, bytes]], size: int = 456) -> Port:
    """Write a transaction in pieces, and read its responses."""
    requests = build_requests(number, [read(table, offset, len(data)) for table, offset, data in reads])
    for at in range(0, len(requests), size):
        port.ask(write(2100, at, requests[at : at + size])).answer(b"\0")
    responses = build_responses(number, [Response(0, len(data), data) for _, _, data in reads])
    port.read(2101, responses[:5], 0)
    for at in range(0, len(responses), 465):
        port.read(2101, responses[at : at + 465], at)
    return port


def everything() -> Port:
    """A line on which all of it happens."""
    port = Port().read(1, b"mep 1").raw("S", b"\0\0", optical(23, b"optical")).read(2051, b"UTIL-7".ljust(30), 0)
    port.encrypt = True
    port.read(2, bytes(100)).ask(full(3), MBK).answer(b"\x0c\1\2\3\4").handshake().tls_read(5, b"tls" * 40, 9)
    port.raw("C", terminate()).raw("S", b"\0\1\0")
    port = transaction(port, 3, [(64, 5, b"block"), (1, 0, b"x" * 30)])
    old = port.line[-1]
    port.ask(full(6))
    port.line += [old, port.line[-1]]
    return port.answer(told(b"last")).raw("S", b"noise \xee\x00")
