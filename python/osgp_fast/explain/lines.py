"""Messages of a session in words: what a request asks and an answer says. Both ports have the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..catalog import TABLES, Table
from ..image import PED, PENDING, table_name
from ..wire import c1218
from ..wire.c1218 import Code
from .table import Line, explain_image

__all__ = ["Lines", "data_line", "title"]

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
class _Ask:
    code: int
    table: int | None = None
    offset: int = 0


class Lines:
    """The messages of one port, in their order; ``tables`` are those read so far, by name."""

    #: Whether a checksum follows the data of a table, as at the optical port.
    has_checksum = True

    def __init__(self, tables: dict[str, bytes]) -> None:
        self.tables = tables
        self.ask: _Ask | None = None

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
                lines.append(data_line(at + 1, rest, "password", True))
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
            and len(rest) >= 2 + self.has_checksum
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
        number = self.ask.table
        data, checksum = (rest[:-1], rest[-1:]) if self.has_checksum else (rest, b"")
        lines = []
        if number & PENDING:
            lines.append(Line(at, data[:PED], "PED", "when the pending table becomes active"))
            at, data = at + PED, data[PED:]
        table = TABLES.get(table_name(number & ~PENDING))
        if table is None:
            lines.append(Line(at, data, "data", f"{len(data)} bytes of a table that the guides do not describe"))
        else:
            offset, end = self.ask.offset, 0
            for line in explain_image(table, data, self.tables, offset=offset, whole=not partial):
                place = None if line.offset is None else line.offset - offset + at
                end = end if line.offset is None else max(end, line.offset - offset + len(line.data))
                lines.append(Line(place, line.data, line.name, line.value, line.note, line.depth + 1, line.path))
            if end < len(data):
                lines.append(
                    Line(at + end, data[end:], "data", f"{len(data) - end} bytes that are not laid out", depth=1)
                )
            if not written and not number & PENDING and offset == 0:
                self.tables[table.id] = data
        if not self.has_checksum:
            return lines
        good = (sum(data) + checksum[0]) & 0xFF == 0 if not number & PENDING else None
        said = {True: "correct", False: "WRONG", None: ""}[good]
        lines.append(Line(at + len(data), checksum, "checksum", said))
        return lines


def title(message: bytes) -> str:
    """A message in a few words."""
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


def _negotiation(at: int, rest: bytes) -> list[Line]:
    lines = [
        Line(at, rest[:2], "packet size", f"{int.from_bytes(rest[:2], 'big')} bytes"),
        Line(at + 2, rest[2:3], "packets of a message", str(rest[2])),
    ]
    for i, rate in enumerate(rest[3:]):
        known = _BAUD[rate] if rate < len(_BAUD) else ""
        lines.append(Line(at + 3 + i, rest[3 + i : 4 + i], "baud rate", str(known or f"code {rate}")))
    return lines


def data_line(at: int, data: bytes, name: str, secret: bool) -> Line:
    """Bytes that are only named, and not even shown where they are secret."""
    return Line(at, b"", name, f"{len(data)} bytes, masked") if secret else Line(at, data, name, f"{len(data)} bytes")
