"""Serial captures: bytes of a line, or a text log of them, to table images.

A capture is one stream of both directions (raw bytes), or two streams (a text log says who sent what). Either way the
packets are brought into the order of the line, put together to messages, and each response is matched with the request
before it. Who speaks is told from what is said: a message's first byte is a request's code from 20 on and a response's
below.

MEP messages may stand between the packets (on meters of generation 2 and 3 both share the port) or alone. Given the keys
they are opened (`mep_capture`), and their reads become images as those of the optical port do, and so do the reads of a
transaction (ET52, ET53). Without a key they are counted.

What is only counted: single bytes, noise, packets and messages sent again. What becomes a reject, always with code and
bytes: data that was on the line and could not be used. Nothing shows a password: see `c1218.mask_secrets`; and nothing
shows what was enciphered.
"""

from __future__ import annotations

import heapq
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from . import text_log
from .image import PENDING, TableImage, table_name
from .mep_capture import Message, Problem, Reader, What, looks_like_mep
from .mep_transaction import ET52, ET53, Mismatch, Transaction
from .reject import MAX_DATA, Reject
from .text_log import Chunk, Stamp
from .wire import c1218, mep, ppp, slip
from .wire.c1218 import Assembler, Buffer, Code, Outcome, Packets

__all__ = ["Capture", "NotRecognised", "Session", "Wrap", "masked_head", "scan"]

#: The PED before the data of a pending table. Source: Optical guide p. 9.
_PED: Final = 6
#: The utility serial number: ET03, offset 0, 30 bytes. Source: MEP guide p. 56.
_SERIAL: Final = 30
_ET03: Final = 2051
#: A response to a read: code and count before the data, a checksum after it.
_RESPONSE_HEAD: Final = 3
#: The shortest packet there is; less noise than this hid no answer.
_SHORTEST: Final = 8
#: Bytes given to a decoder at once.
_STEP: Final = 64 * 1024

Wrap = Literal["none", "ppp", "slip"]


class NotRecognised(ValueError):
    """Not one valid packet: this is no capture."""

    def __init__(self) -> None:
        super().__init__("not one valid C12.18 packet or MEP message is in it")


@dataclass(slots=True)
class Session:
    """One session of a capture: from identification to log-off."""

    label: str
    """The meter's label."""
    images: list[TableImage]
    """What was read, in order."""


@dataclass(slots=True)
class Capture:
    """What a capture holds."""

    sessions: list[Session] = field(default_factory=list)
    """The sessions in which something was read."""
    rejects: list[Reject] = field(default_factory=list)
    """What was there and could not be used."""
    packets: int = 0
    """C12.18 packets with a good CRC."""
    repeated: int = 0
    """Packets sent again."""
    noise_bytes: int = 0
    """Bytes that are nothing: not in a packet, no ACK or NAK, no MEP message."""
    acks: int = 0
    """ACK bytes."""
    naks: int = 0
    """NAK bytes."""
    mep_messages: int = 0
    """MEP messages; without a key that opens any, what looks like them."""
    mep_opened: int = 0
    """Those of them whose digest fits, or whose TLS records are deciphered."""


def scan(
    data: Buffer,
    *,
    input: str,
    stem: str,
    meter: str | None = None,
    wrap: Wrap | None = None,
    keys: Sequence[bytes] = (),
    local_to_utc: Callable[[int], int] = lambda local: local,
) -> Capture:
    """Read a capture.

    Args: ``stem`` is the label of a session that did not read the meter's serial number, ``meter`` one for all
    sessions; ``keys`` are those of the MEP port, 6 to 20 bytes each; ``local_to_utc`` makes UTC microseconds of a log's
    time stamp without a zone.
    Raises: NotRecognised; SecurityError "security.key_length".
    Rejects: capture.checksum, capture.count, capture.damaged, capture.fcs, capture.index_read, capture.one_direction,
    capture.truncated, capture.unmatched; mep.damaged, mep.digest, mep.no_key, mep.replay, mep.tls_alert,
    mep.tls_handshake, mep.tls_key, mep.tls_record, mep.transaction, mep.wrong_key.
    """
    tracker = _Tracker(input, stem, meter, local_to_utc)
    streams = streams_of(data, wrap, tracker.capture, keys)
    if not any(len(stream.packets) or stream.messages for stream in streams):
        if not looks_like_mep(streams):
            raise NotRecognised
        return tracker.closed(streams, bool(keys))
    tracker.keys = bool(keys)
    items = [items_of(stream, i) for i, stream in enumerate(streams)]
    # Always the item that came first on the line.
    for item in heapq.merge(*items, key=lambda item: item.order):
        tracker.item(streams[item.stream], item)
    return tracker.finish(streams)


_HEX_DIGITS: Final = frozenset(b"0123456789abcdefABCDEF")


def masked_head(data: Buffer, size: int) -> bytes:
    """The first bytes of a file that was not recognised, as a reject may show them: passwords masked, in raw bytes and
    in the hex digits of a log."""
    head = bytearray(data[:size])
    if not text_log.is_text(data):
        return _mask_if_packet(bytes(head))
    for stream in text_log.parse(bytes(head)).streams:
        masked = _mask_if_packet(bytes(stream.bytes))
        for i, chunk in enumerate(stream.chunks):
            end = stream.chunks[i + 1].at if i + 1 < len(stream.chunks) else len(masked)
            at = chunk.file
            for byte in masked[chunk.at : end]:
                # Its two digits, over whatever stands between bytes.
                digits = 0
                while digits < 2 and at < len(head) and head[at] not in b"\r\n":
                    if head[at] in _HEX_DIGITS and head[at + 1 : at + 2] != b"x":
                        digits += 1
                        if byte == c1218.MASK:
                            head[at] = c1218.MASK
                    at += 1
    return bytes(head)


def _mask_if_packet(data: bytes) -> bytes:
    """Mask what may be secret, unless nothing in the bytes looks like a packet: a picture is shown as it is."""
    header = any(c1218.like_header(data[at : at + 3]) for at in range(len(data)))
    # Length and code of a security packet, where what comes before them was damaged.
    return c1218.mask_secrets(data) if header or b"\0\x15\x51" in data else data


class _BadFrame(NamedTuple):
    at: int
    """Where in the stream it was left out."""
    file: int
    time: Stamp | None
    data: bytes


class LineStream:
    """One stream of bytes, unstuffed, with its packets."""

    def __init__(self, data: Buffer, chunks: list[Chunk]) -> None:
        self.bytes = data
        self.packets = Packets()
        self.messages: list[Message] = []
        self.signed = False
        """Whether a key opens any message of the capture."""
        self.bad_frames: list[_BadFrame] = []
        self.set_chunks(chunks)

    def set_chunks(self, chunks: list[Chunk]) -> None:
        # Where pieces of it stand in the file; empty if it is the file.
        self.chunks = chunks
        self.starts = [chunk.at for chunk in chunks]

    def chunk(self, at: int) -> int | None:
        i = bisect_right(self.starts, at) - 1
        return i if i >= 0 else None

    def place(self, at: int) -> tuple[int, Stamp | None]:
        """Where a byte stands in the file (or where its line or frame starts), and the time of its line."""
        i = self.chunk(at)
        return (at, None) if i is None else (self.chunks[i].file, self.chunks[i].time)

    def range(self, i: int) -> tuple[int, int]:
        """Where packet ``i`` starts and ends."""
        return self.packets.position[i], self.packets.data_offset[i] + self.packets.data_len[i] + 2


def streams_of(data: Buffer, wrap: Wrap | None, capture: Capture, keys: Sequence[bytes] = ()) -> list[LineStream]:
    """The streams of a capture, unstuffed: one, or one per direction of a text log. MEP messages are opened with the keys."""
    if text_log.is_text(data):
        streams = [LineStream(bytes(part.bytes), part.chunks) for part in text_log.parse(data).streams]
    else:
        streams = [LineStream(data, [])]
    for stream in streams:
        if wrap == "ppp":
            _unwrap_ppp(stream, capture)
        elif wrap == "slip":
            _unwrap_slip(stream, capture)
        stream.packets = c1218.scan_packets(stream.bytes)
    if keys:
        reader = Reader(streams, keys)
        for stream, messages in zip(streams, reader.run(), strict=True):
            stream.messages, stream.signed = messages, reader.signed > 0
    return streams


def _unwrap_ppp(stream: LineStream, capture: Capture) -> None:
    decoder = ppp.Decoder()
    payload, chunks = bytearray(), []
    for event in _events(decoder, stream.bytes):
        file, time = stream.place(event.position)
        if isinstance(event, ppp.Frame):
            chunks.append(Chunk(len(payload), file, time))
            payload += event.payload
        elif event.problem in (ppp.Problem.BAD_FCS, ppp.Problem.TOO_LONG):
            stream.bad_frames.append(_BadFrame(len(payload), file, time, event.data))
        else:
            capture.noise_bytes += len(event.data)
    stream.bytes = bytes(payload)
    stream.set_chunks(chunks)


def _unwrap_slip(stream: LineStream, capture: Capture) -> None:
    decoder = slip.Decoder()
    payload, chunks = bytearray(), []
    for event in _events(decoder, stream.bytes):
        if isinstance(event, slip.Frame):
            chunks.append(Chunk(len(payload), *stream.place(event.position)))
            payload += event.payload
        else:
            capture.noise_bytes += 1
    stream.bytes = bytes(payload)
    stream.set_chunks(chunks)


def _events(decoder: Any, data: Buffer) -> Iterator[Any]:
    for at in range(0, len(data), _STEP):
        yield from decoder.feed(data[at : at + _STEP])
    yield from decoder.finish()


PACKET: Final = 0
GAP: Final = 1
BAD_FRAME: Final = 2
MESSAGE: Final = 3


class Item(NamedTuple):
    """One thing on the line: a packet, a MEP message, what stands between them, or a frame left out."""

    order: int
    """Where it stands in the file: a packet or message by its last byte, others by their first."""
    stream: int
    what: int
    start: int
    """Which packet, frame or message, or where the gap starts."""
    stop: int = 0


def items_of(stream: LineStream, number: int) -> Iterator[Item]:
    """Walk through a stream: packets and messages, what is between them line by line, and frames left out."""
    at = packet = message = bad = 0
    while True:
        while packet < len(stream.packets) and stream.packets.position[packet] < at:
            packet += 1  # what looks like one inside a message that opens
        start, end = stream.range(packet) if packet < len(stream.packets) else (len(stream.bytes), -1)
        mep_message = stream.messages[message] if message < len(stream.messages) else None
        if mep_message is not None and mep_message.start < start:
            start, end = mep_message.start, mep_message.end
        else:
            mep_message = None
        stop = start
        if bad < len(stream.bad_frames):
            frame = stream.bad_frames[bad]
            if frame.at <= at:
                yield Item(frame.file, number, BAD_FRAME, bad)
                bad += 1
                continue
            stop = min(stop, frame.at)
        if at < stop:
            chunk = stream.chunk(at)
            if chunk is not None and chunk + 1 < len(stream.chunks):
                stop = min(stop, max(stream.chunks[chunk + 1].at, at + 1))
            yield Item(stream.place(at)[0], number, GAP, at, stop)
            at = stop
            continue
        if end < 0:
            return
        if mep_message is not None:
            yield Item(stream.place(end - 1)[0], number, MESSAGE, message)
            message += 1
        else:
            yield Item(stream.place(end - 1)[0], number, PACKET, packet)
            packet += 1
        at = end


class _Ask(NamedTuple):
    """What a read asked for."""

    kind: Code | None
    """FULL_READ or PARTIAL_READ; None: by index or default, so that its answer cannot be placed."""
    table: int | None
    offset: int = 0
    size: int = 0


@dataclass(slots=True)
class _Request:
    ask: _Ask | None
    """What it reads, if it is a read."""
    answered: bool = False


@dataclass(slots=True)
class _Evidence:
    """Bytes where something else should be: what may be left of an answer."""

    data: bytearray = field(default_factory=bytearray)
    size: int = 0
    file: int = 0
    fcs: bool = False
    """A frame with a bad FCS is among them."""
    time: int | None = None

    def add(self, data: bytes, size: int, file: int, time: int | None) -> None:
        """Some bytes, or the first ones of ``size``."""
        if self.size == 0:
            self.file, self.time = file, time
        self.size += size
        self.data += data[: MAX_DATA - len(self.data)]


#: The senders: a request's, a response's.
_ASKS: Final = 0
_ANSWERS: Final = 1


class _Line:
    """The packets of one stream on their way to messages; a raw capture has both senders in one stream."""

    def __init__(self) -> None:
        self.assemblers = (Assembler(), Assembler())
        # Where the message under way started.
        self.start = [0, 0]
        # Who sent the last first or single packet.
        self.sender = 0


class _Place(NamedTuple):
    """Where a message came from."""

    file: int
    """Position in the file of its first packet."""
    data: int | None
    """Position of its data, if it stands in the file as it is."""
    time: int | None
    raw: bytes | None = None
    """What stood on the line, where the message was enciphered."""


_SINGLE: Final = re.compile(rb"[\x06\x15]")


class _Tracker:
    def __init__(self, input: str, stem: str, meter: str | None, local_to_utc: Callable[[int], int]) -> None:
        self.input, self.stem, self.meter, self.local_to_utc = input, stem, meter, local_to_utc
        self.capture = Capture()
        self.lines = (_Line(), _Line(), _Line())
        self.request: _Request | None = None
        # Messages of each sender.
        self.messages = [0, 0]
        self.evidence = _Evidence()
        # Fields of images and rejects of the session, whose label is not known before its end.
        self.images: list[dict[str, Any]] = []
        self.rejects: list[dict[str, Any]] = []
        self.serial: dict[int, int] = {}
        # Answers that were lost, unless the same thing is read again in this session.
        self.lost: list[tuple[_Ask, dict[str, Any]]] = []
        # Of the MEP port: keys were given; the read that waits for its answer; and the transaction under way.
        self.keys = False
        self.mep_ask: _Ask | None = None
        self.transaction = Transaction()
        # The last message that no key opens: what comes right after may be the same once more.
        self.hurt: bytes | None = None
        # Messages that no key opens, where none opens at all.
        self.shut = _Evidence()

    def time(self, stamp: Stamp | None) -> int | None:
        if stamp is None:
            return None
        return stamp.micros if stamp.utc else self.local_to_utc(stamp.micros)

    def item(self, stream: LineStream, item: Item) -> None:
        if item.what == PACKET:
            self.packet(stream, self.lines[item.stream], item.start)
        elif item.what == MESSAGE:
            self.message(stream, stream.messages[item.start])
        elif item.what == GAP:
            self.gap(stream, item.start, item.stop)
        else:
            frame = stream.bad_frames[item.start]
            # The frame may go on with a password that an earlier one began.
            before = bytes(stream.bytes[max(frame.at - 32, 0) : frame.at])
            masked = c1218.mask_secrets(before + c1218.mask_secrets(frame.data))[len(before) :]
            self.evidence.add(masked, len(masked), frame.file, self.time(frame.time))
            self.evidence.fcs = True

    def unanswered(self) -> _Ask | None:
        """The read that waits for its answer."""
        return self.request.ask if self.request and not self.request.answered else None

    def gap(self, stream: LineStream, start: int, stop: int) -> None:
        """Bytes between packets."""
        gap = bytes(stream.bytes[start:stop])
        if len(gap) == 1 and self.single(gap[0]):
            return
        file, stamp = stream.place(start)
        time = self.time(stamp)
        step = 0 if stream.chunks else 1
        at = 0
        while at < len(gap):
            # A damaged packet, as far as it claims to go, and what stands before it.
            packet = gap.find(b"\xee", at)
            while packet >= 0 and not c1218.like_header(gap[packet : packet + c1218.HEADER]):
                packet = gap.find(b"\xee", packet + 1)
            if packet < 0:
                packet = len(gap)
            begin = at
            for message_start, message_end in mep.find(gap[at:packet]):
                self.other(gap[begin : at + message_start], file + begin * step, time)
                if message_end - message_start > mep.LENGTH:
                    self.capture.mep_messages += 1
                    if self.keys and not stream.signed:
                        raw = gap[at + message_start : at + message_end]
                        self.shut.add(raw, len(raw), file + (at + message_start) * step, time)
                begin = at + message_end
            self.other(gap[begin:packet], file + begin * step, time)
            end = len(gap)
            if packet + c1218.HEADER <= len(gap):
                claimed = c1218.HEADER + 2 + int.from_bytes(gap[packet + 4 : packet + 6], "big")
                end = min(packet + claimed, len(gap))
            if packet < end:
                self.noise(gap[packet:end], file + packet * step, time)
            at = end

    def single(self, byte: int) -> bool:
        """Count a single byte, if it is one."""
        if byte == c1218.ACK:
            self.capture.acks += 1
        elif byte == c1218.NAK:
            self.capture.naks += 1
        else:
            return False
        return True

    def other(self, data: bytes, file: int, time: int | None) -> None:
        """Single bytes and noise."""
        at = 0
        while at < len(data):
            if self.single(data[at]):
                at += 1
                continue
            match = _SINGLE.search(data, at)
            end = match.start() if match else len(data)
            self.noise(data[at:end], file, time)
            at = end

    def noise(self, data: bytes, file: int, time: int | None) -> None:
        self.capture.noise_bytes += len(data)
        kept = c1218.mask_secrets(data[: MAX_DATA - len(self.evidence.data)])
        self.evidence.add(kept, len(data), file, time)

    def packet(self, stream: LineStream, line: _Line, i: int) -> None:
        self.capture.packets += 1
        start, end = stream.range(i)
        packets = stream.packets
        control, sequence = packets.control[i], packets.sequence[i]
        frame = bytes(stream.bytes[start:end])
        data, crc = frame[c1218.HEADER : -2], int.from_bytes(frame[-2:], "little")
        file, _ = stream.place(start)
        time = self.time(stream.place(end - 1)[1])

        continues = c1218.continues(control)
        if continues:
            repeats = (s for s in (_ASKS, _ANSWERS) if line.assemblers[s].repeats(control, crc))
            sender = next(repeats, line.sender)
        elif data:
            sender = _ASKS if data[0] >= 0x20 else _ANSWERS
        else:
            return
        assembler = line.assemblers[sender]
        lost, outcome = None, Outcome.REPEATED
        # Where a sender never toggles, an equal packet may still be the answer to another request.
        news = sender == _ANSWERS and not assembler.toggles and self.request is not None and not self.request.answered
        if not assembler.repeats(control, crc) or (news and not continues):
            lost, outcome = assembler.take(control, sequence, crc, data)
        if not continues and outcome != Outcome.REPEATED:
            line.sender = sender
            line.start[sender] = file
        began = line.start[sender]
        if lost is not None and sender == _ANSWERS:
            self.evidence.add(lost.data, len(lost.data), began, time)
        if outcome == Outcome.REPEATED:
            self.capture.repeated += 1
            if sender == _ASKS and self.request is not None:
                # Asked once more, by a sender that does not toggle or did not hear the answer.
                self.request.answered = False
        elif outcome == Outcome.STRAY:
            if self.unanswered() is not None:
                # A short one may be the rest of a password whose start was damaged.
                shown = data if len(data) > c1218.SECRET else bytes((c1218.MASK,)) * len(data)
                self.evidence.add(shown, len(data), file, time)
        elif outcome == Outcome.MESSAGE:
            self.messages[sender] += 1
            message = assembler.message
            if sender == _ASKS:
                self.asked(message)
            else:
                whole = not control & c1218.MULTI and not stream.chunks
                self.answered(message, _Place(began, start + c1218.HEADER if whole else None, time))

    def asked(self, message: bytes) -> None:
        self.mep_give_up()
        self.give_up()
        code = message[0] if message else None
        if code == Code.IDENTIFY:
            self.close()
        self.request = _Request(_ask(message))
        if code in (Code.LOGOFF, Code.TERMINATE):
            self.close()

    def answered(self, message: bytes, place: _Place) -> None:
        ask = self.unanswered()
        known = self.request is not None and not self.request.answered
        if self.request is not None:
            self.request.answered = True
        if ask is not None:
            self.evidence = _Evidence()
            self.lost = [(lost, reject) for lost, reject in self.lost if lost != ask]
            if message[0] == Code.OK:
                self.read(ask, message, place)
        elif not known and _has_payload(message):
            self.bad_frame()
            self.reject(
                "capture.unmatched",
                "the answer to a read whose request is not in the capture: its table is unknown; capture both "
                "directions from the start",
                message,
                None,
                place,
            )

    # ---- messages of the MEP port

    def message(self, stream: LineStream, message: Message) -> None:
        """A MEP message, opened or not."""
        if message.what == What.ALERT:
            return
        raw = bytes(stream.bytes[message.start : message.end])
        self.capture.mep_messages += 1
        self.capture.mep_opened += message.authentic and message.body is not None
        if message.repeated:
            self.capture.repeated += 1
            return
        clear = message.how == "clear" and not stream.chunks
        place = _Place(
            stream.place(message.start)[0],
            message.start + mep.LENGTH if clear else None,
            self.time(stream.place(message.end - 1)[1]),
            raw,
        )
        if message.what == What.UNKNOWN:
            self.mep_unknown(message.problem, place)
            return
        hurt, self.hurt = self.hurt, None
        if message.what == What.REQUEST:
            if hurt is not None and _nearly(hurt, raw) and self.rejects and self.rejects[-1]["data"] == hurt:
                self.rejects.pop()
                self.capture.repeated += 1
            self.messages[_ASKS] += 1
            self.mep_give_up()
            self.mep_ask = _ask(message.body or b"")
            self.mep_write(message.body or b"")
        else:
            self.messages[_ANSWERS] += 1
        if message.problem is not None:
            self.reject(message.problem.code, message.problem.reason, raw, None, place)
        if message.what == What.ANSWER:
            self.mep_answered(message, place)

    def mep_unknown(self, problem: Problem | None, place: _Place) -> None:
        """A message that no key opens, while others are opened."""
        if problem is None or place.raw is None:
            return
        self.reject(problem.code, problem.reason, place.raw, self.mep_ask, place)
        if self.mep_ask is None:
            self.hurt = place.raw
        else:
            # It stands where the answer was to be; that may come again.
            self.lost.append((self.mep_ask, self.rejects.pop()))
            self.mep_ask = None

    def mep_answered(self, message: Message, place: _Place) -> None:
        if not message.late:
            self.mep_ask = None
            self.forget_evidence()
        ask = _ask(message.request or b"")
        if ask is None or message.body is None:
            return
        self.lost = [(lost, reject) for lost, reject in self.lost if lost != ask]
        if message.body[0] == Code.OK:
            self.read(ask, message.body, place)

    def mep_write(self, message: bytes) -> None:
        """Follow what is written to ET52."""
        code, table = message[:1], int.from_bytes(message[1:3], "big")
        head = 6 if code == b"\x4f" else 3
        if code in (b"\x40", b"\x4f") and table == ET52 and len(message) >= head + 2:
            offset = int.from_bytes(message[3:6], "big") if head == 6 else 0
            self.transaction.write(offset, message[head + 2 :])

    def transacted(self, ask: _Ask, data: bytes, place: _Place) -> None:
        """What was read from ET53: the reads in it are reads."""
        try:
            pairs = self.transaction.read(ask.offset, data)
        except Mismatch:
            self.reject(
                "mep.transaction",
                "the responses of a transaction whose requests were not written to ET52 in the capture: their tables are "
                "unknown; capture both",
                data,
                ask,
                place,
            )
            return
        inner = place._replace(data=None)
        for request, response in pairs:
            asked = _ask(request)
            if asked is not None and response[0] == Code.OK:
                self.read(asked, response, inner, nested=True)

    def mep_give_up(self) -> None:
        """Something else is asked at the MEP port: what was asked before is not answered any more."""
        ask, self.mep_ask = self.mep_ask, None
        if ask is not None and self.evidence.size > mep.DIGEST:
            self.lost.append((ask, self.evidence_reject("mep.damaged", ask, self.evidence)))
        self.forget_evidence()

    def forget_evidence(self) -> None:
        """Noise at the MEP port is no answer at the optical one."""
        if self.unanswered() is None and not self.evidence.fcs:
            self.evidence = _Evidence()

    def closed(self, streams: list[LineStream], keys: bool) -> Capture:
        """A capture of MEP traffic alone, of which nothing opens."""
        for stream in streams:
            self.shut.add(bytes(stream.bytes[:MAX_DATA]), len(stream.bytes), stream.place(0)[0], None)
            self.capture.mep_messages += sum(
                end - start > mep.LENGTH for start, end in mep.find(bytes(stream.bytes[:]))
            )
        self.keys = keys
        self.mep_shut("mep.wrong_key" if keys else "mep.no_key")
        self.close()
        return self.capture

    def mep_shut(self, code: str) -> None:
        """One reject for all that no key opens."""
        why = {
            "mep.wrong_key": "MEP traffic that none of the keys opens; check the key and which meter it belongs to, and that "
            "both directions were captured",
            "mep.no_key": "this looks like MEP traffic; give the key with --key HEX, once for each, or in OSGP_MEP_KEY",
        }[code]
        self.rejects.append(
            {
                "code": code,
                "reason": why,
                "item": "MEP messages",
                "input": self.input,
                "table": None,
                "offset": self.shut.file,
                "data": _mask_if_packet(bytes(self.shut.data)),
                "length": self.shut.size,
                "read_at": self.shut.time,
            }
        )

    def read(self, ask: _Ask, message: bytes, place: _Place, *, nested: bool = False) -> None:
        """The answer to a read."""
        if ask.table is None:
            self.unsupported(ask, message, place)
            return
        signed = place.raw is not None  # a digest or TLS vouches for it: there is no checksum
        if len(message) < _RESPONSE_HEAD + (not signed):
            what = "count" if signed else "count and checksum"
            why = f"an answer of {len(message)} bytes is too short for {what}; read the table again"
            self.reject("capture.count", why, message, ask, place)
            return
        count = int.from_bytes(message[1:3], "big")
        data = message[_RESPONSE_HEAD:] if signed else message[_RESPONSE_HEAD:-1]
        if count != len(data):
            why = f"the answer says {count} bytes and holds {len(data)}; read the table again"
            self.reject("capture.count", why, message, ask, place)
            return
        checksum, expected = message[-1], -sum(data) & 0xFF
        if not signed and checksum != expected:
            why = f"the checksum of the answer is {checksum:02X}, its data give {expected:02X}; read the table again"
            self.reject("capture.checksum", why, message, ask, place)
            return
        if ask.kind is None:
            self.unsupported(ask, message, place)
            return
        if ask.kind == Code.PARTIAL_READ and count > ask.size:
            why = f"the answer holds {count} bytes, {ask.size} were asked for; read the table again"
            self.reject("capture.count", why, message, ask, place)
            return
        head, ped = _RESPONSE_HEAD, None
        if ask.table & PENDING:
            if count < _PED:
                why = f"a pending table starts with {_PED} bytes that tell when; the answer holds {count}"
                self.reject("capture.count", why, message, ask, place)
                return
            ped, data = data[:_PED], data[_PED:]
            head += _PED
        if not data:
            return
        if ask.table == _ET03:
            self.serial.update(zip(range(ask.offset, _SERIAL), data, strict=False))
        self.images.append(
            {
                "table": ask.table,
                "offset": ask.offset,
                "data": data,
                "read_at": place.time,
                "whole": ask.kind == Code.FULL_READ,
                "ped": ped,
                "session": self.number,
                "input": self.input,
                "position": None if place.data is None else place.data + head,
            }
        )
        if signed and ask.table == ET53 and not nested:
            self.transacted(ask, data, place)

    def unsupported(self, ask: _Ask, message: bytes, place: _Place) -> None:
        self.reject(
            "capture.index_read",
            "a read by index or of the default table: where its bytes belong is not known; read by offset or the whole "
            "table",
            message,
            ask,
            place,
        )

    def reject(self, code: str, reason: str, message: bytes, ask: _Ask | None, place: _Place) -> None:
        table = ask.table if ask else None
        self.rejects.append(
            {
                "code": code,
                "reason": reason,
                "item": f"message at byte {place.file}",
                "input": self.input,
                "table": table,
                "offset": ask.offset if ask and table is not None else place.file,
                "data": message if place.raw is None else place.raw,
                "read_at": place.time,
            }
        )

    @property
    def number(self) -> int:
        """The number of the session that is going on."""
        return len(self.capture.sessions) + 1

    def give_up(self) -> None:
        """Something else begins: what was asked before is not answered any more."""
        for line in self.lines:
            lost = line.assemblers[_ANSWERS].abandon()
            if lost is not None:
                self.evidence.add(lost.data, len(lost.data), line.start[_ANSWERS], None)
        ask = self.unanswered()
        if ask is not None and self.evidence.size >= _SHORTEST:
            code = "capture.fcs" if self.evidence.fcs else "capture.damaged"
            self.lost.append((ask, self.evidence_reject(code, ask, self.evidence)))
        # Where nothing was asked, a request that comes well after damage is that of the damage, repeated.
        self.evidence = _Evidence()

    def bad_frame(self) -> None:
        """A frame with a bad FCS where nothing was asked, and what comes next is no request."""
        evidence, self.evidence = self.evidence, _Evidence()
        if evidence.fcs:
            self.rejects.append(self.evidence_reject("capture.fcs", None, evidence))

    def evidence_reject(self, code: str, ask: _Ask | None, evidence: _Evidence) -> dict[str, Any]:
        table = ask.table if ask else None
        what = "what came" if table is None else f"the answer to a read of {table_name(table)}"
        why = {
            "capture.fcs": "is in a frame with a bad FCS and does not come again; capture it again",
            "capture.truncated": "is cut off at the end of the capture; let the capture run on",
            "mep.damaged": "is damaged or cut off and does not come again; capture it again",
            "capture.damaged": "is damaged and does not come again; capture it again",
        }[code]
        data = bytes(evidence.data)
        if any(line.assemblers[_ASKS].under_way for line in self.lines):
            data = bytes((c1218.MASK,)) * len(data)  # whatever it is, it may be the rest of a password
        return {
            "code": code,
            "reason": f"{what} {why}",
            "item": f"bytes at {evidence.file}",
            "input": self.input,
            "table": table,
            "offset": ask.offset if ask and table is not None else evidence.file,
            "data": c1218.mask_secrets(data),
            "length": evidence.size,
            "read_at": evidence.time,
        }

    def close(self) -> None:
        """The end of a session."""
        self.rejects += [reject for _, reject in self.lost]
        label = self.meter
        if label is None:
            label = _serial(self.serial) or (self.stem if self.number == 1 else f"{self.stem}#{self.number}")
        self.capture.rejects += [Reject(meter=label, **reject) for reject in self.rejects]
        if self.images:
            images = [TableImage(meter=label, **image) for image in self.images]
            self.capture.sessions.append(Session(label, images))
        self.images, self.rejects, self.lost, self.serial = [], [], [], {}

    def finish(self, streams: list[LineStream]) -> Capture:
        self.truncated(streams)
        self.mep_give_up()
        if self.unanswered() is not None:
            self.give_up()
        else:
            self.bad_frame()
        if self.shut.size:
            self.mep_shut("mep.wrong_key")
        self.close()
        asks, answers = self.messages
        if bool(asks) != bool(answers):
            there, missing = ("requests", "responses") if asks else ("responses", "requests")
            self.capture.rejects = [
                Reject(
                    code="capture.one_direction",
                    reason=f"only {there} are in the capture, no {missing}: nothing can be told from one direction; "
                    "record both in one file",
                    meter=self.stem if self.meter is None else self.meter,
                    item="capture",
                    input=self.input,
                )
            ]
        return self.capture

    def truncated(self, streams: list[LineStream]) -> None:
        """A response that the end of the capture cuts off."""
        for stream, line in zip(streams, self.lines, strict=False):
            start = stream.range(len(stream.packets) - 1)[1] if len(stream.packets) else 0
            start = max(start, stream.messages[-1].end) if stream.messages else start
            tail = bytes(stream.bytes[start:])
            under_way = line.assemblers[_ANSWERS].under_way
            cut = tail.find(b"\xee")
            while cut >= 0 and not _is_cut(tail, cut, under_way):
                cut = tail.find(b"\xee", cut + 1)
            if cut < 0 and not under_way:
                continue
            evidence = _Evidence()
            lost = line.assemblers[_ANSWERS].abandon()
            if lost is not None:
                evidence.add(lost.data, len(lost.data), line.start[_ANSWERS], None)
            if cut >= 0:
                file, stamp = stream.place(start + cut)
                evidence.add(tail[cut : cut + MAX_DATA], len(tail) - cut, file, self.time(stamp))
            self.rejects.append(self.evidence_reject("capture.truncated", self.unanswered(), evidence))
            self.request = None
            self.evidence = _Evidence()
            return


def _ask(message: bytes) -> _Ask | None:
    """What a request reads, if it is a read."""
    code = message[0] if message else 0
    table = int.from_bytes(message[1:3], "big") if len(message) >= 3 else None
    if code == Code.FULL_READ and table is not None:
        return _Ask(Code.FULL_READ, table)
    if code == Code.PARTIAL_READ and len(message) >= 8:
        offset, count = int.from_bytes(message[3:6], "big"), int.from_bytes(message[6:8], "big")
        return _Ask(Code.PARTIAL_READ, table, offset, count)
    return _Ask(None, table) if Code.FULL_READ <= code <= Code.PARTIAL_READ else None


def _nearly(a: bytes, b: bytes) -> bool:
    """Whether one may be the other with some damage."""
    return len(a) == len(b) and sum(x != y for x, y in zip(a, b, strict=True)) <= mep.DIGEST


def _is_cut(tail: bytes, at: int, under_way: bool) -> bool:
    """Whether a packet starts there, goes on beyond the end, and has some bytes of a response."""
    header = tail[at : at + c1218.HEADER]
    if len(header) < c1218.HEADER or len(tail) <= at + c1218.HEADER or not c1218.like_header(header):
        return False
    if at + c1218.HEADER + 2 + int.from_bytes(header[4:6], "big") <= len(tail):
        return False
    return under_way if c1218.continues(header[2]) else tail[at + c1218.HEADER] == Code.OK


def _has_payload(message: bytes) -> bool:
    """Whether an answer carries data that a lost request asked for, rather than an acknowledgement or the answer to an
    identification or a negotiation."""
    if len(message) < _RESPONSE_HEAD or message[0] != Code.OK:
        return False
    count, rest = int.from_bytes(message[1:3], "big"), message[3:]
    return len(message) > 16 or (count > 0 and count + 1 == len(rest) and sum(rest) & 0xFF == 0)


def _serial(found: dict[int, int]) -> str | None:
    """The utility serial number as text, if it was read and is not blank. Both character formats that BT00 knows, ASCII
    and Latin-1, read as Latin-1."""
    text = bytearray()
    for at in range(_SERIAL):
        if at not in found:
            return None
        if found[at] == 0:
            break
        text.append(found[at])
    return text.decode("latin-1").strip() or None
