"""A captured session: every packet, every byte of it, and what the tables in it say."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..mep_capture import Message, What, looks_like_mep, unopened
from ..scan import BAD_FRAME, MESSAGE, PACKET, Capture, Item, LineStream, Wrap, items_of, streams_of
from ..units import rfc3339
from ..wire import c1218, mep
from ..wire.c1218 import Assembler, Code, Outcome
from .lines import Lines, data_line, title
from .mep import MepLines
from .table import Line

__all__ = ["Block", "explain_capture"]


@dataclass(slots=True)
class Block:
    """A packet, or what stands between packets: a heading and its lines."""

    title: str
    lines: list[Line] = field(default_factory=list)


def explain_capture(data: bytes, *, wrap: Wrap | None = None, keys: Sequence[bytes] = ()) -> Iterator[Block]:
    """Everything on a captured line in its order; nothing where there is not one valid packet or MEP message.

    ``keys`` open the messages of the MEP port. Passwords and whatever may be a part of one are masked. Table data are
    explained with the tables that the capture holds before them. Raises: SecurityError "security.key_length".
    """
    streams = streams_of(data, wrap, Capture(), keys)
    if not any(len(stream.packets) or stream.messages for stream in streams):
        if not looks_like_mep(streams):
            return
        for stream in streams:
            stream.messages = unopened(stream)
    session = _Session(keys=bool(keys))
    items = [items_of(stream, i) for i, stream in enumerate(streams)]
    for item in heapq.merge(*items, key=lambda item: item.order):
        yield from session.item(streams[item.stream], item)


class _Session(Lines):
    def __init__(self, *, keys: bool) -> None:
        super().__init__({})
        self.mep = MepLines(self.tables, keys=keys)
        self.assemblers: dict[tuple[int, bool], Assembler] = {}
        self.sender: dict[int, bool] = {}

    def item(self, stream: LineStream, item: Item) -> Iterator[Block]:
        if item.what == PACKET:
            yield self.packet(stream, item)
        elif item.what == MESSAGE:
            yield self.message(stream, stream.messages[item.start])
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
            kind = What.UNKNOWN if end - begin > mep.LENGTH else What.ALERT
            yield self.message(stream, Message(start + begin, start + end, kind))
            at = end
        if at < len(gap):
            yield Block(f"{when}{len(gap) - at} bytes of noise", [_masked(start + at, gap[at:])])

    def message(self, stream: LineStream, message: Message) -> Block:
        raw = bytes(stream.bytes[message.start : message.end])
        words, lines = self.mep.message(message.start, raw, message)
        return Block(f"{_when(stream, message.start)}{words}", lines)

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
                block.lines.append(data_line(at, data, f"last part of a message of {len(message)} bytes", secret))
                at = 0
            block.title += f": {title(message)}"
            lines = self.request(at, message) if request else self.response(at, message)
            block.lines += lines
        if data and (outcome != Outcome.MESSAGE or not block.lines):
            block.lines.append(
                data_line(at, data, "data" if outcome == Outcome.REPEATED else "part of a message", secret)
            )
        crc = b"" if secret else raw[-2:]
        block.lines.append(Line(end - 2, crc, "CRC", "correct, masked" if secret else "correct"))
        return block

    def secret(self, data: bytes, request: bool, continues: bool) -> bool:
        if continues:
            return request and self.ask is not None and self.ask.code == Code.SECURITY
        return request and data[:1] == bytes((Code.SECURITY,))


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
