"""A captured session: every packet, every byte of it, and what the tables in it say."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ..catalog import TABLES, Table
from ..image import PENDING, table_name
from ..scan import BAD_FRAME, PACKET, Capture, Item, LineStream, Wrap, items_of, streams_of
from ..units import rfc3339
from ..wire import c1218, mep
from ..wire.c1218 import Assembler, Code, Outcome
from .table import Line, explain_image

__all__ = ["Block", "explain_capture"]

_PED: Final = 6
#: Names of response codes. Source: ANSI C12.18, "Response codes".
RESPONSES: Final = {
    0x00: "ok",
    0x01: "err: error",
    0x02: "sns: service not supported",
    0x03: "isc: insufficient security clearance",
    0x04: "onp: operation not possible",
    0x05: "iar: inappropriate action requested",
    0x06: "bsy: device busy",
    0x07: "dnr: data not ready",
    0x08: "dlk: data locked",
    0x09: "rno: renegotiate request",
    0x0A: "isss: invalid service sequence state",
}
#: Baud rates of a negotiation. Source: ANSI C12.18, "Negotiate service".
_BAUD: Final = ("", 300, 600, 1200, 2400, 4800, 9600, 14400, 19200, 28800, 57600)


@dataclass(slots=True)
class Block:
    """A packet, or what stands between packets: a heading and its lines."""

    title: str
    lines: list[Line] = field(default_factory=list)


@dataclass(slots=True)
class _Ask:
    code: int
    table: int | None = None
    offset: int = 0


def explain_capture(data: bytes, *, wrap: Wrap | None = None) -> Iterator[Block]:
    """Everything on a captured line in its order; nothing where there is not one valid packet.

    Passwords and whatever may be a part of one are masked. Table data are explained with the tables that the capture holds
    before them.
    """
    streams = streams_of(data, wrap, Capture())
    if not any(len(stream.packets) for stream in streams):
        return
    session = _Session()
    items = [items_of(stream, i) for i, stream in enumerate(streams)]
    for item in heapq.merge(*items, key=lambda item: item.order):
        yield from session.item(streams[item.stream], item)


class _Session:
    def __init__(self) -> None:
        self.tables: dict[str, bytes] = {}
        self.ask: _Ask | None = None
        self.assemblers: dict[tuple[int, bool], Assembler] = {}
        self.sender: dict[int, bool] = {}

    def item(self, stream: LineStream, item: Item) -> Iterator[Block]:
        if item.what == PACKET:
            yield self.packet(stream, item)
        elif item.what == BAD_FRAME:
            frame = stream.bad_frames[item.start]
            yield Block(f"{_when(stream, frame.at)}frame with a bad check sequence", [_masked(0, frame.data)])
        else:
            yield from self.gap(stream, item.start, item.stop)

    def gap(self, stream: LineStream, start: int, stop: int) -> Iterator[Block]:
        gap = bytes(stream.bytes[start:stop])
        when = _when(stream, start)
        if len(gap) == 1 and gap[0] in (c1218.ACK, c1218.NAK):
            what = "ACK: the packet was received" if gap[0] == c1218.ACK else "NAK: send it again"
            yield Block(f"{when}{what}", [Line(start, gap, "acknowledgement")])
            return
        at = 0
        for begin, end in mep.find(gap):
            if begin > at:
                yield Block(f"{when}{begin - at} bytes of noise", [_masked(start + at, gap[at:begin])])
            yield Block(f"{when}MEP", list(_mep(start + begin, gap[begin:end])))
            at = end
        if at < len(gap):
            yield Block(f"{when}{len(gap) - at} bytes of noise", [_masked(start + at, gap[at:])])

    def packet(self, stream: LineStream, item: Item) -> Block:
        start, end = stream.range(item.start)
        raw = bytes(stream.bytes[start:end])
        control, sequence, data = raw[2], raw[3], raw[c1218.HEADER : -2]
        continues = c1218.continues(control)
        request = self.sender.get(item.stream, False) if continues else bool(data) and data[0] >= Code.IDENTIFY
        self.sender[item.stream] = request
        assembler = self.assemblers.setdefault((item.stream, request), Assembler())
        _, outcome = assembler.push(control, sequence, int.from_bytes(raw[-2:], "little"), data)
        block = Block(f"{_when(stream, start)}{'request' if request else 'response'} packet")
        block.lines += _header(start, raw)
        at = start + c1218.HEADER
        secret = self.secret(data, request, continues)
        if outcome == Outcome.REPEATED:
            block.title += ", sent again"
        elif outcome == Outcome.MESSAGE:
            message = assembler.message
            if control & c1218.MULTI:
                block.lines.append(_data(at, data, f"last part of a message of {len(message)} bytes", secret))
                at = 0
            block.title += f": {_title(message)}"
            lines = self.request(at, message) if request else self.response(at, message)
            block.lines += lines
        if data and (outcome != Outcome.MESSAGE or not block.lines):
            block.lines.append(_data(at, data, "data" if outcome == Outcome.REPEATED else "part of a message", secret))
        crc = b"" if secret else raw[-2:]
        block.lines.append(Line(end - 2, crc, "CRC", "correct, masked" if secret else "correct"))
        return block

    def secret(self, data: bytes, request: bool, continues: bool) -> bool:
        if continues:
            return request and self.ask is not None and self.ask.code == Code.SECURITY
        return request and data[:1] == bytes((Code.SECURITY,))

    # ---- messages

    def request(self, at: int, message: bytes) -> list[Line]:
        code = message[0]
        self.ask = _Ask(code)
        lines = [Line(at, message[:1], c1218.code_name(code))]
        rest = message[1:]
        match code:
            case Code.FULL_READ | Code.FULL_WRITE | Code.PARTIAL_READ | Code.PARTIAL_WRITE if len(rest) >= 2:
                lines += self.table_request(at + 1, code, rest)
            case Code.LOGON if len(rest) >= 2:
                lines.append(Line(at + 1, rest[:2], "user ID", str(int.from_bytes(rest[:2], "big"))))
                lines.append(Line(at + 3, rest[2:], "user name", repr(rest[2:].decode("latin-1"))))
            case Code.SECURITY:
                lines.append(_data(at + 1, rest, "password", True))
            case Code.WAIT if rest:
                lines.append(Line(at + 1, rest[:1], "wait", f"{rest[0]} s"))
            case _ if 0x60 <= code <= 0x6B and len(rest) >= 3:
                lines += _negotiation(at + 1, rest)
            case _ if rest:
                lines.append(Line(at + 1, rest, "data"))
        return lines

    def table_request(self, at: int, code: int, rest: bytes) -> list[Line]:
        number = int.from_bytes(rest[:2], "big")
        self.ask = _Ask(code, number)
        lines = [Line(at, rest[:2], "table", f"{table_name(number)}{_named(number)}")]
        if code == Code.FULL_READ:
            return lines
        partial = code in (Code.PARTIAL_READ, Code.PARTIAL_WRITE)
        if partial and len(rest) >= 7:
            self.ask.offset = int.from_bytes(rest[2:5], "big")
            lines.append(Line(at + 2, rest[2:5], "offset", str(self.ask.offset)))
        head = 5 if partial else 2
        if len(rest) >= head + 2:
            lines.append(
                Line(at + head, rest[head : head + 2], "count", str(int.from_bytes(rest[head : head + 2], "big")))
            )
        if code in (Code.FULL_WRITE, Code.PARTIAL_WRITE) and len(rest) > head + 2:
            lines += self.data(at + head + 2, rest[head + 2 :], partial, written=True)
        return lines

    def response(self, at: int, message: bytes) -> list[Line]:
        code = message[0]
        lines = [Line(at, message[:1], "response", RESPONSES.get(code, "not known"))]
        ask, self.ask = self.ask, None
        rest = message[1:]
        if code != 0 or not rest:
            return lines + ([Line(at + 1, rest, "data")] if rest else [])
        if (
            ask is not None
            and ask.table is not None
            and ask.code in (Code.FULL_READ, Code.PARTIAL_READ)
            and len(rest) >= 3
        ):
            count = int.from_bytes(rest[:2], "big")
            lines.append(Line(at + 1, rest[:2], "count", str(count)))
            self.ask = ask
            lines += self.data(at + 3, rest[2:], ask.code == Code.PARTIAL_READ, written=False)
            self.ask = None
        elif ask is not None and ask.code == Code.IDENTIFY and len(rest) >= 3:
            lines.append(
                Line(at + 1, rest[:1], "standard", {0: "ANSI C12.18", 2: "ANSI C12.21"}.get(rest[0], "not known"))
            )
            lines.append(Line(at + 2, rest[1:3], "version", f"{rest[1]}.{rest[2]}"))
            if rest[3:]:
                lines.append(Line(at + 4, rest[3:], "features"))
        elif ask is not None and 0x60 <= ask.code <= 0x6B and len(rest) >= 3:
            lines += _negotiation(at + 1, rest)
        else:
            lines.append(Line(at + 1, rest, "data"))
        return lines

    def data(self, at: int, rest: bytes, partial: bool, *, written: bool) -> list[Line]:
        """Table data and the checksum behind them."""
        assert self.ask is not None
        assert self.ask.table is not None
        number, data, checksum = self.ask.table, rest[:-1], rest[-1:]
        lines = []
        if number & PENDING:
            lines.append(Line(at, data[:_PED], "PED", "when the pending table becomes active"))
            at, data = at + _PED, data[_PED:]
        table = TABLES.get(table_name(number & ~PENDING))
        if table is None:
            lines.append(Line(at, data, "data", f"{len(data)} bytes of a table that the guides do not describe"))
        else:
            offset = self.ask.offset
            for line in explain_image(table, data, self.tables, offset=offset, whole=not partial):
                place = None if line.offset is None else line.offset - offset + at
                lines.append(Line(place, line.data, line.name, line.value, line.note, line.depth + 1, line.path))
            if not written and not number & PENDING and offset == 0:
                self.tables[table.id] = data
        good = (sum(data) + checksum[0]) & 0xFF == 0 if not number & PENDING else None
        said = {True: "correct", False: "WRONG", None: ""}[good]
        lines.append(Line(at + len(data), checksum, "checksum", said))
        return lines


def _title(message: bytes) -> str:
    code = message[0] if message else 0
    if code < Code.IDENTIFY:
        return RESPONSES.get(code, f"code {code:02X}")
    name = c1218.code_name(code).replace("_", " ")
    if code in (Code.FULL_READ, Code.PARTIAL_READ, Code.FULL_WRITE, Code.PARTIAL_WRITE) and len(message) >= 3:
        return f"{name} {table_name(int.from_bytes(message[1:3], 'big'))}"
    return name


def _named(number: int) -> str:
    table: Table | None = TABLES.get(table_name(number & ~PENDING))
    return "" if table is None else f" {table.name}"


def _header(at: int, raw: bytes) -> list[Line]:
    control = raw[2]
    words = [f"toggle {int(bool(control & c1218.TOGGLE))}"]
    if control & c1218.MULTI:
        words.append("first of several packets" if control & c1218.FIRST else "one of several packets")
    return [
        Line(at, raw[:1], "start of packet"),
        Line(at + 1, raw[1:2], "identity"),
        Line(at + 2, raw[2:3], "control", ", ".join(words)),
        Line(at + 3, raw[3:4], "sequence", f"{raw[3]} packets follow" if raw[3] else "the last packet"),
        Line(at + 4, raw[4:6], "length", f"{int.from_bytes(raw[4:6], 'big')} bytes of data"),
    ]


def _negotiation(at: int, rest: bytes) -> list[Line]:
    lines = [
        Line(at, rest[:2], "packet size", f"{int.from_bytes(rest[:2], 'big')} bytes"),
        Line(at + 2, rest[2:3], "packets of a message", str(rest[2])),
    ]
    for i, rate in enumerate(rest[3:]):
        known = _BAUD[rate] if rate < len(_BAUD) else ""
        lines.append(Line(at + 3 + i, rest[3 + i : 4 + i], "baud rate", str(known or f"code {rate}")))
    return lines


def _mep(at: int, raw: bytes) -> Iterator[Line]:
    length = int.from_bytes(raw[:2], "big")
    if len(raw) == mep.LENGTH:
        yield Line(at, raw, "alert", "the meter has something for its client")
        return
    yield Line(at, raw[:2], "length", f"{length} bytes")
    yield Line(at + 2, raw[2:], "message", "encrypted or signed with the MEP key")


def _data(at: int, data: bytes, name: str, secret: bool) -> Line:
    return Line(at, b"", name, f"{len(data)} bytes, masked") if secret else Line(at, data, name, f"{len(data)} bytes")


def _masked(at: int, data: bytes) -> Line:
    masked = c1218.mask_secrets(data)
    if masked != data:
        return Line(at, b"", "bytes", f"{len(data)} bytes, masked: a password may be among them")
    return Line(at, data, "bytes")


def _when(stream: LineStream, at: int) -> str:
    _, stamp = stream.place(at)
    if stamp is None:
        return ""
    return f"{rfc3339(stamp.micros).rstrip('Z')}{'Z' if stamp.utc else ''} "
