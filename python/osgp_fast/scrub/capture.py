"""A capture of a line, byte by byte: packets keep their places, the layout of a text log its columns."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from ..errors import InputError
from ..image import ped_size, table_name
from ..scan import GAP, PACKET, Capture, Item, LineStream, NotRecognised, Wrap, items_of, scan, streams_of
from ..wire import c1218, crc, mep
from ..wire.c1218 import Assembler, Code, Outcome
from . import text
from .names import Names
from .tables import scrub_image

__all__ = ["scrub_capture"]

PASSWORD: Final = "passwords"
USER: Final = "user names"
UNPLACED: Final = "data of no known table, whole"
NOISE: Final = "bytes of noise and damaged packets"
#: A response to a read: code and count before the data, a checksum after it.
_HEAD: Final = 3
#: Bytes before the data of a write: code, table, (offset,) count.
_WRITES: Final[dict[int, int]] = {Code.FULL_WRITE: 5, Code.PARTIAL_WRITE: 8}
_ET52: Final = 2048 + 52
#: Bytes of the longest answer that is not one to a read.
_SHORT: Final = 16
#: What is left of a MEP message: its length and its code, and the count of those that are told by it.
_MEP_HEAD: Final = mep.LENGTH + 1
_MEP_COUNTED: Final = {0x00: 2, Code.FULL_WRITE: 4, Code.PARTIAL_WRITE: 7}
#: What hides noise; another one where the result would look like a packet, or a MEP message of that length.
_MASKS: Final = (0x2A, 0x7C, 0xFE, 0x2B)

Kind = Literal["asked", "answered", "lost", "repeated"]


@dataclass(slots=True)
class _Part:
    """The data of one packet."""

    stream: int
    packet: int


@dataclass(slots=True)
class _Said:
    """A message, packets of a message that is not whole, or a packet that came again."""

    kind: Kind
    parts: list[_Part]
    news: bool = False
    """Of an answer: a request was waiting for one."""
    doubtful: bool = False
    """Of an answer: something was damaged since the request, so that it may be the answer to another one."""


@dataclass(slots=True)
class _Known:
    """The tables of one session, as far as they were on the line, from their first byte on."""

    tables: dict[str, bytearray] = field(default_factory=dict)
    whole: dict[str, bytes] = field(default_factory=dict)
    """The same, when all of them are known."""

    def take(self, id: str, offset: int, data: bytes) -> None:
        table = self.tables.setdefault(id, bytearray())
        if len(table) < offset:
            table.extend(bytes(offset - len(table)))
        table[offset : offset + len(data)] = data


@dataclass(slots=True)
class _Ask:
    code: int
    table: int | None = None
    offset: int = 0
    count: int | None = None
    """Bytes that a partial read asks for."""


def scrub_capture(data: bytes, names: Names, *, wrap: Wrap | None = None) -> bytes:
    """A capture, raw or a text log, made safe.

    Raises: NotRecognised where not one packet is in it; InputError "scrub.wrap" for a stuffed line in a text log,
    "scrub.changed" where the result would not be read like the original.
    """
    before = _seen(data, wrap)
    for mask in _MASKS:
        names.reset()
        made = _Scrubber(data, names, wrap, mask).run()
        if _seen(made, wrap) == before:
            return made
    raise InputError(
        "scrub.changed",
        "the scrubbed capture would not be read like the original",
        "keep it to yourself and report that scrub failed on it",
    )


def _seen(data: bytes, wrap: Wrap | None) -> tuple[object, ...]:
    """What a reader sees of a capture, without the values."""
    found = scan(data, input="capture", stem="capture", meter="meter", wrap=wrap)
    images = [(i.table, i.offset, len(i.data), i.whole, i.read_at) for s in found.sessions for i in s.images]
    # Stuffing may make a frame longer, so that what comes after it stands elsewhere.
    places = wrap not in ("ppp", "slip")
    rejects = [(r.code, r.table, (r.item, r.offset) if places else None) for r in found.rejects]
    return images, rejects, found.packets, found.repeated, found.noise_bytes, found.acks, found.naks


class _Scrubber:
    def __init__(self, data: bytes, names: Names, wrap: Wrap | None, mask: int) -> None:
        self.data, self.names, self.wrap, self.mask = data, names, wrap, mask
        self.streams = streams_of(data, wrap, Capture())
        if not any(len(stream.packets) for stream in self.streams):
            raise NotRecognised
        self.out = [bytearray(_all(stream)) for stream in self.streams]
        self.said, self.gaps = _read(self.streams)

    def run(self) -> bytes:
        known = self.sessions()
        # The first round meets every value; the second finds them where nothing says what bytes are.
        for _ in range(2):
            self.names.reset()
            self.out = [bytearray(_all(stream)) for stream in self.streams]
            self.messages(known)
        for number, start, stop in self.gaps:
            self.gap(number, start, stop)
        self.sums()
        if self.wrap in ("ppp", "slip"):
            return text.wrapped(self.data, self.wrap, bytes(self.out[0]), self.mask)
        if self.streams[0].chunks or len(self.streams) > 1:
            return text.rewritten(self.data, self.streams, self.out, self.names)
        return bytes(self.out[0])

    # ---- what was said

    def message(self, said: _Said) -> bytes:
        return b"".join(self.part(p) for p in said.parts)

    def part(self, part: _Part) -> bytes:
        stream = self.streams[part.stream]
        start, end = stream.range(part.packet)
        return bytes(stream.bytes[start + c1218.HEADER : end - crc.SIZE])

    def put(self, said: _Said, message: bytes) -> None:
        at = 0
        for part in said.parts:
            start, end = self.streams[part.stream].range(part.packet)
            size = end - crc.SIZE - start - c1218.HEADER
            self.out[part.stream][start + c1218.HEADER : end - crc.SIZE] = message[at : at + size]
            at += size

    def sessions(self) -> list[_Known]:
        """The tables of every session."""
        sessions = [_Known()]
        ask: _Ask | None = None
        for said in self.said:
            message = self.message(said)
            if said.kind == "asked":
                ask = _ask(message)
                if ask.code == Code.IDENTIFY:
                    sessions.append(_Known())
                if ask.table == _ET52 and ask.code in _WRITES:
                    # The requests whose responses are read from ET53 then.
                    sessions[-1].take("ET52", ask.offset, message[_WRITES[ask.code] : -1])
            elif said.kind == "answered" and said.news and ask is not None and (found := _data(ask, message)):
                ped, data = found
                if ask.table is not None and not ped:
                    sessions[-1].take(table_name(ask.table), ask.offset, data)
        for session in sessions:
            session.whole = {id: bytes(table) for id, table in session.tables.items()}
        return sessions

    def messages(self, known: list[_Known]) -> None:
        session = 0
        ask: _Ask | None = None
        for said in self.said:
            message = self.message(said)
            if said.kind == "asked":
                ask = _ask(message)
                session += ask.code == Code.IDENTIFY
                self.put(said, self.asked(ask, message, known[session]))
            elif said.kind == "answered":
                self.put(said, self.answered(ask if said.news else None, message, known[session], said.doubtful))
            elif said.kind == "lost":
                self.put(said, self.names.octets(UNPLACED, message))

    def asked(self, ask: _Ask, message: bytes, known: _Known) -> bytes:
        if ask.code == Code.SECURITY:
            return message[:1] + self.names.secret(PASSWORD, message[1:])
        if ask.code == Code.LOGON:
            return message[:3] + self.names.text(USER, message[3:])
        if ask.table is None or ask.code not in _WRITES:
            return message
        return self.table(ask, message, _WRITES[ask.code], known)

    def answered(self, ask: _Ask | None, message: bytes, known: _Known, doubtful: bool) -> bytes:
        if message[:1] != bytes((Code.OK,)) or len(message) <= _HEAD:
            return message
        if ask is not None and not Code.FULL_READ <= ask.code <= Code.PARTIAL_READ:
            # The answers to identification and negotiation are short; others carry nothing.
            if len(message) <= _SHORT and not doubtful:
                return message
            ask = None
        size = len(message) - _HEAD - 1
        strange = ask is not None and ask.count is not None and (size > ask.count or (doubtful and size != ask.count))
        if ask is None or strange or _data(ask, message) is None:
            counted = int.from_bytes(message[1:_HEAD], "big") + _HEAD + 1 == len(message)
            at = _HEAD if counted else 1
            data = message[at : len(message) - counted]
            made = self.names.octets(UNPLACED, data)
            return message[:at] + made + (_checksum(data, made, message[-1:]) if counted else b"")
        return self.table(ask, message, _HEAD, known, doubtful)

    def table(self, ask: _Ask, message: bytes, head: int, known: _Known, doubtful: bool = False) -> bytes:
        """Table data between a head and a checksum."""
        assert ask.table is not None
        data = message[head:-1]
        ped = data[: ped_size(ask.table)]
        made = ped + scrub_image(
            self.names, ask.table, data[len(ped) :], known.whole, ask.offset, doubtful=doubtful and ask.count is None
        )
        return message[:head] + made + _checksum(data, made, message[-1:])

    # ---- between packets, and the sums

    def gap(self, number: int, start: int, stop: int) -> None:
        gap, out = bytes(self.streams[number].bytes[start:stop]), bytearray()
        at = 0
        for kind, begin, end in _pieces(gap):
            out += gap[at:begin]
            piece = gap[begin:end]
            if kind == "mep":
                code = piece[mep.LENGTH] if len(piece) > mep.LENGTH else -1
                out += self.hidden("MEP messages", piece, _MEP_HEAD + _MEP_COUNTED.get(code, 0))
            elif kind == "packet":
                # Header and code, so that it still looks like what it is; where it is cut off, it holds less.
                out += self.hidden(NOISE, piece, c1218.HEADER + 1)
            else:
                out += bytes(b if b in _SINGLES else self.mask for b in piece)
                if any(b not in _SINGLES for b in piece):
                    self.names.hid(NOISE)
            at = end
        self.out[number][start:stop] = out + gap[at:]

    def hidden(self, kind: str, piece: bytes, keep: int) -> bytes:
        if len(piece) > keep:
            self.names.hid(kind)
        return piece[:keep] + bytes((self.mask,)) * (len(piece) - keep)

    def sums(self) -> None:
        """The CRC of every packet; packets that came again become what the first one became."""
        made: dict[bytes, bytes] = {}
        for said in self.said:
            for part in said.parts:
                start, end = self.streams[part.stream].range(part.packet)
                real, out = bytes(self.streams[part.stream].bytes[start:end]), self.out[part.stream]
                if said.kind == "repeated" and real in made:
                    out[start:end] = made[real]
                    continue
                if said.kind == "repeated":
                    data = real[c1218.HEADER : -crc.SIZE]
                    out[start + c1218.HEADER : end - crc.SIZE] = data[:1] + self.names.octets(UNPLACED, data[1:])
                frame = bytes(out[start : end - crc.SIZE])
                out[end - crc.SIZE : end] = crc.crc16(frame).to_bytes(crc.SIZE, "little")
                made[real] = bytes(out[start:end])


def _all(stream: LineStream) -> bytes:
    return bytes(stream.bytes[0 : len(stream.bytes)])


#: Bytes on a line that say nothing: ACK, NAK, and what idle lines and heads give.
_SINGLES: Final = frozenset((c1218.ACK, c1218.NAK, 0x00, 0xFF))


def _pieces(gap: bytes) -> Iterator[tuple[str, int, int]]:
    """MEP messages, damaged packets and noise, as `scan` takes them apart."""
    at = 0
    while at < len(gap):
        packet = gap.find(b"\xee", at)
        while packet >= 0 and not c1218.like_header(gap[packet : packet + c1218.HEADER]):
            packet = gap.find(b"\xee", packet + 1)
        if packet < 0:
            packet = len(gap)
        begin = at
        for start, end in mep.find(gap[at:packet]):
            if at + start > begin:
                yield "noise", begin, at + start
            yield "mep", at + start, at + end
            begin = at + end
        if packet > begin:
            yield "noise", begin, packet
        end = len(gap)
        if packet + c1218.HEADER <= len(gap):
            end = min(packet + c1218.HEADER + 2 + int.from_bytes(gap[packet + 4 : packet + 6], "big"), len(gap))
        if packet < end:
            yield "packet", packet, end
        at = end


def _checksum(real: bytes, made: bytes, checksum: bytes) -> bytes:
    """The checksum of the new data; one that was wrong stays as wrong."""
    return bytes(((checksum[0] + sum(real) - sum(made)) & 0xFF,)) if checksum else b""


def _ask(message: bytes) -> _Ask:
    code = message[0] if message else 0
    table = int.from_bytes(message[1:3], "big") if Code.FULL_READ <= code <= Code.PARTIAL_WRITE else None
    if table is not None and len(message) < 3:
        table = None
    if code not in (Code.PARTIAL_READ, Code.PARTIAL_WRITE):
        return _Ask(code, table)
    count = int.from_bytes(message[6:8], "big") if code == Code.PARTIAL_READ else None
    return _Ask(code, table, int.from_bytes(message[3:6], "big"), count)


def _data(ask: _Ask, message: bytes) -> tuple[bytes, bytes] | None:
    """PED and data of the answer to a read, if it is one that can be placed."""
    if ask.code not in (Code.FULL_READ, Code.PARTIAL_READ) or ask.table is None or len(message) <= _HEAD:
        return None
    data = message[_HEAD:-1]
    if message[0] != Code.OK or int.from_bytes(message[1:_HEAD], "big") != len(data):
        return None
    size = ped_size(ask.table)
    return (data[:size], data[size:]) if len(data) >= size else None


def _read(streams: list[LineStream]) -> tuple[list[_Said], list[tuple[int, int, int]]]:
    """Everything on the line in its order: messages as `scan` puts them together, and gaps (stream, start, stop)."""
    said: list[_Said] = []
    gaps: list[tuple[int, int, int]] = []
    lines = [_Line() for _ in streams]
    waiting = doubtful = False
    items = [items_of(stream, i) for i, stream in enumerate(streams)]
    for item in heapq.merge(*items, key=lambda item: item.order):
        if item.what == GAP:
            gaps.append((item.stream, item.start, item.stop))
            doubtful |= any(b not in _SINGLES for b in streams[item.stream].bytes[item.start : item.stop])
        elif item.what != PACKET:
            doubtful = True
        else:
            for one in lines[item.stream].packet(streams[item.stream], item, waiting):
                if one.kind == "asked":
                    waiting, doubtful = True, False
                elif one.kind == "answered":
                    one.news, waiting, one.doubtful = waiting, False, doubtful
                elif one.kind == "lost":
                    doubtful = True
                elif one.kind == "repeated" and one.news:
                    waiting = True
                said.append(one)
    for line in lines:
        said += line.rest()
    return said, gaps


class _Line:
    """The packets of one stream on their way to messages: the two senders of `scan`."""

    def __init__(self) -> None:
        self.assemblers = (Assembler(), Assembler())
        self.parts: tuple[list[_Part], list[_Part]] = ([], [])
        self.sender = 0

    def packet(self, stream: LineStream, item: Item, waiting: bool) -> Iterator[_Said]:
        start, end = stream.range(item.start)
        raw = bytes(stream.bytes[start:end])
        control, sequence, data = raw[2], raw[3], raw[c1218.HEADER : -crc.SIZE]
        check = int.from_bytes(raw[-crc.SIZE :], "little")
        part = _Part(item.stream, item.start)
        continues = c1218.continues(control)
        if continues:
            sender = next((s for s in (0, 1) if self.assemblers[s].repeats(control, check)), self.sender)
        elif data:
            sender = 0 if data[0] >= Code.IDENTIFY else 1
        else:
            return
        assembler = self.assemblers[sender]
        news = sender == 1 and not assembler.toggles and waiting
        if assembler.repeats(control, check) and (continues or not news):
            # A request that comes again waits for its answer again.
            yield _Said("repeated", [part], news=sender == 0)
            return
        lost, outcome = assembler.take(control, sequence, check, data)
        if not continues:
            self.sender = sender
        parts = self.parts[sender]
        if lost is not None and parts:
            yield _Said("lost", parts.copy())
            parts.clear()
        if outcome == Outcome.STRAY:
            yield _Said("lost", [part])
            return
        parts.append(part)
        if outcome == Outcome.MESSAGE:
            yield _Said("answered" if sender else "asked", parts.copy())
            parts.clear()

    def rest(self) -> Iterator[_Said]:
        """Messages that the end of the capture cuts off."""
        for parts in self.parts:
            if parts:
                yield _Said("lost", parts.copy())
