"""C12.18 packets, the link layer of the optical port.

::

    0    1         2        3         4       6            6 + n     8 + n
    +----+---------+--------+---------+-------+------------+---------+
    | EE | identity| control| sequence| n     | n bytes    | CRC     |
    +----+---------+--------+---------+-------+------------+---------+
      1      1         1         1      2 (be)               2 (le)

Between packets stand single bytes: 06 (ACK) and 15 (NAK). There is **no byte stuffing**: EE is an ordinary byte within
data, so a receiver that has lost its place can only try every EE and let the CRC decide. (Lines that reach us through
bridges may be stuffed around all this; see `ppp` and `slip`.)

What a damaged line does to it, and what this parser makes of that:

- a flipped or lost byte: the CRC fails, so that EE is noise and the search goes on at the very next byte. ACK and NAK
  mean nothing within the bytes that the failed packet claimed, so there they are noise too;
- a false EE in noise or within a damaged packet claims bytes of the packets after it: they are found all the same;
- a length that was never possible (more than `MAX_DATA`): noise at once, nothing is waited for;
- a packet that never ends: only the end of the stream, or the caller's clock, can tell. `PacketParser.finish` does.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Protocol, overload

from ..errors import FrameError, LocalProtocolError
from . import crc

# Source: ANSI C12.18, "Packet definition".
#: Start of packet.
START: Final = 0xEE
#: Positive acknowledgement, a byte of its own.
ACK: Final = 0x06
#: Negative acknowledgement, a byte of its own: send it again.
NAK: Final = 0x15
#: Bytes before the data.
HEADER: Final = 6
#: The longest packet that can be negotiated; a longer one is no packet.
MAX_PACKET: Final = 8192
#: The longest data part.
MAX_DATA: Final = MAX_PACKET - HEADER - crc.SIZE
#: Noise is handed out at the latest when this many bytes of it are there, so that memory stays bounded.
MAX_NOISE: Final = 64 * 1024

#: Control, bit 7: one of several packets of a message.
MULTI: Final = 0x80
#: Control, bit 6: the first of several packets.
FIRST: Final = 0x40
#: Control, bit 5: alternates with every new packet of a sender, stays when one is sent again.
TOGGLE: Final = 0x20


class Buffer(Protocol):
    """Bytes that can be searched and cut: bytes, bytearray, or a mapped file."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, at: int, /) -> int: ...
    @overload
    def __getitem__(self, at: slice, /) -> bytes | bytearray: ...
    def find(self, sub: bytes, start: int = ..., end: int = ..., /) -> int: ...


def continues(control: int) -> bool:
    """Whether the control byte is that of a later packet of a message, whose data starts in the middle."""
    return control & (MULTI | FIRST) == MULTI


class Code(IntEnum):
    """The first byte of a message: a request's code from 20 on, a response's below. Others are plain numbers."""

    OK = 0x00
    IDENTIFY = 0x20
    TERMINATE = 0x21
    FULL_READ = 0x30
    PARTIAL_READ = 0x3F
    FULL_WRITE = 0x40
    PARTIAL_WRITE = 0x4F
    LOGON = 0x50
    SECURITY = 0x51
    LOGOFF = 0x52
    WAIT = 0x70


def code_name(code: int) -> str:
    """A code's name in one word."""
    if code in Code.__members__.values():
        return Code(code).name.lower()
    if code < 0x20:
        return "refused"
    if 0x31 <= code <= 0x3E:
        return "index_read"
    return "negotiate" if 0x60 <= code <= 0x6B else "unknown"


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet; its repr shows no data, which may be a password."""

    identity: int
    control: int
    sequence: int
    data: bytes = field(repr=False)

    def __str__(self) -> str:
        return describe(self)

    def __repr__(self) -> str:
        return f"<{describe(self)}>"

    @property
    def toggle(self) -> bool:
        """The toggle bit."""
        return bool(self.control & TOGGLE)

    def emit(self) -> bytes:
        """Its bytes. Raises: LocalProtocolError "frame.too_long"."""
        return encode_packet(self.identity, self.control, self.sequence, self.data)

    @property
    def crc(self) -> int:
        """Its CRC."""
        return int.from_bytes(self.emit()[-crc.SIZE :], "little")


def parse(data: bytes) -> tuple[Packet, int] | int:
    """The packet at the start of some bytes and how many bytes it takes; or how many more are needed, at least.

    Raises: FrameError "frame.no_start", "frame.too_long", "frame.bad_crc", with the offset.
    """
    if data and data[0] != START:
        raise FrameError(
            "frame.no_start", f"offset 0: a packet starts with EE, not {data[0]:02X}", offset=0, got=data[0]
        )
    if len(data) < HEADER:
        return HEADER + crc.SIZE - len(data)
    size = int.from_bytes(data[4:6], "big")
    if size > MAX_DATA:
        raise FrameError(
            "frame.too_long", f"offset 4: {size} bytes of data; a packet holds at most {MAX_DATA}", offset=4, got=size
        )
    total = HEADER + size + crc.SIZE
    if len(data) < total:
        return total - len(data)
    end = HEADER + size
    expected, got = crc.crc16(data[:end]), int.from_bytes(data[end:total], "little")
    if expected != got:
        raise FrameError(
            "frame.bad_crc",
            f"offset {end}: the CRC is {got:04X}, the bytes give {expected:04X}",
            offset=end,
            expected=expected,
            got=got,
        )
    return Packet(data[1], data[2], data[3], bytes(data[HEADER:end])), total


def encode_packet(identity: int, control: int, sequence: int, data: bytes) -> bytes:
    """The bytes of one packet. Raises: LocalProtocolError "frame.too_long"."""
    if len(data) > MAX_DATA:
        raise _too_long(len(data), MAX_DATA)
    body = bytes((START, identity, control, sequence)) + len(data).to_bytes(2, "big") + data
    return body + crc.crc16(body).to_bytes(2, "little")


def _too_long(size: int, most: int) -> LocalProtocolError:
    return LocalProtocolError("frame.too_long", f"{size} bytes of data; at most {most} fit", got=size, expected=most)


def split(message: bytes, max_data: int, identity: int = 0, toggle: bool = False) -> list[Packet]:
    """Cut a message into packets of at most ``max_data`` bytes of data, the first one with the toggle given.

    Raises: LocalProtocolError "frame.too_long" where more than 256 packets are needed.
    """
    max_data = min(max(max_data, 1), MAX_DATA)
    count = max(-(-len(message) // max_data), 1)
    if count > 256:
        raise _too_long(len(message), 256 * max_data)
    packets = []
    for i in range(count):
        control = TOGGLE if toggle ^ (i % 2 == 1) else 0
        if count > 1:
            control |= MULTI if i else MULTI | FIRST
        packets.append(Packet(identity, control, count - 1 - i, message[i * max_data : (i + 1) * max_data]))
    return packets


def describe(packet: Packet) -> str:
    """One line for people; never shows data, which may be a password or a key."""
    data = packet.data
    line = f"packet id={packet.identity:02X} toggle={int(packet.toggle)}"
    if packet.control & MULTI:
        line += f" seq={packet.sequence}{' first' if packet.control & FIRST else ''}"
    line += f" len={len(data)} "
    if continues(packet.control):
        return line + "continuation"
    if not data:
        return line + "empty"
    line += f"{data[0]:02X} {code_name(data[0])}"
    if data[0] in (Code.FULL_READ, Code.FULL_WRITE) and len(data) >= 3:
        line += f" table={int.from_bytes(data[1:3], 'big')}"
    if data[0] in (Code.PARTIAL_READ, Code.PARTIAL_WRITE) and len(data) >= 8:
        table, offset, count = (int.from_bytes(part, "big") for part in (data[1:3], data[3:6], data[6:8]))
        line += f" table={table} offset={offset} count={count}"
    return line


class _Checker:
    """Decides candidates in linear time.

    A candidate that passes costs its bytes once. Where one fails, the bytes that it claimed will be tried again from
    many starts, so from there on the CRC registers are kept, one per byte, and every further candidate that starts
    among them is decided from the two ends of its range.
    """

    __slots__ = ("base", "registers")

    def __init__(self) -> None:
        self.base = 0
        # registers[i]: the register before byte base + i, started anywhere.
        self.registers: list[int] = []

    def good(self, frame: bytes, position: int) -> bool:
        """Whether the bytes from a position of the stream on end with their CRC."""
        known = position - self.base
        if not 0 <= known < len(self.registers) - 1:
            self.registers = []
            if crc.holds(frame):
                return True
            self.base = position
            self.registers = [0, *crc.registers(0, frame)]
            return False
        if known > 8 * MAX_PACKET:
            del self.registers[:known]
            self.base = position
            known = 0
        registers = self.registers
        have = len(registers) - 1 - known
        if have < len(frame):
            registers += crc.registers(registers[-1], frame[have:])
        return crc.range_holds(registers[known], registers[known + len(frame)], len(frame))


@dataclass(slots=True)
class Packets:
    """Where the packets of a capture stand: one column per header field, no object per packet."""

    position: array[int] = field(default_factory=lambda: array("q"))
    """Offset of the EE."""
    identity: array[int] = field(default_factory=lambda: array("B"))
    """Identity."""
    control: array[int] = field(default_factory=lambda: array("B"))
    """The control byte."""
    sequence: array[int] = field(default_factory=lambda: array("B"))
    """Packets of the message still to come."""
    data_offset: array[int] = field(default_factory=lambda: array("q"))
    """Offset of the data."""
    data_len: array[int] = field(default_factory=lambda: array("H"))
    """Length of the data; the CRC follows it."""

    def __len__(self) -> int:
        return len(self.position)


def scan_packets(data: Buffer) -> Packets:
    """All packets of a capture: the same ones that `PacketParser` yields."""
    packets = Packets()
    checker = _Checker()
    size = len(data)
    start = bytes((START,))
    at = data.find(start)
    while at >= 0:
        header = data[at : at + HEADER]
        if len(header) < HEADER:
            break
        length = header[4] << 8 | header[5]
        total = HEADER + length + crc.SIZE
        if length > MAX_DATA or at + total > size or not checker.good(bytes(data[at : at + total]), at):
            at = data.find(start, at + 1)
            continue
        packets.position.append(at)
        packets.identity.append(header[1])
        packets.control.append(header[2])
        packets.sequence.append(header[3])
        packets.data_offset.append(at + HEADER)
        packets.data_len.append(length)
        at = data.find(start, at + total)
    return packets


@dataclass(frozen=True, slots=True)
class PacketEvent:
    """A packet with a good CRC, and the position of its first byte in the stream."""

    position: int
    packet: Packet


@dataclass(frozen=True, slots=True)
class Ack:
    """06 between packets."""

    position: int


@dataclass(frozen=True, slots=True)
class Nak:
    """15 between packets."""

    position: int


@dataclass(frozen=True, slots=True)
class Noise:
    """Bytes that are none of these, as many as stand together (but see `MAX_NOISE`); they may hold a password."""

    position: int
    data: bytes = field(repr=False)


Event = PacketEvent | Ack | Nak | Noise

_SPECIAL: Final = re.compile(rb"[\xEE\x06\x15]")


class PacketParser:
    """Packets out of a stream of bytes that arrive in any chunks: the chunking never changes the events.

    Holds at most one unfinished packet and `MAX_NOISE` bytes of noise.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._origin = 0
        self._checker = _Checker()
        self._noise = bytearray()
        # Before this position a failed packet has claimed the bytes: no ACK or NAK there.
        self._claimed = 0

    @property
    def pending(self) -> int:
        """Bytes that wait for the rest of a packet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Event]:
        """Take some bytes; give what is decided by now."""
        self._buffer += data
        return list(self._run(last=False))

    def finish(self) -> list[Event]:
        """The end of the stream, or of patience: what is unfinished is noise. Parsing may go on with the next byte."""
        events = [*self._run(last=True), *self._flush(self._origin)]
        self._claimed = 0
        return events

    def _run(self, *, last: bool) -> Iterator[Event]:
        buffer = self._buffer
        at = 0
        while at < len(buffer):
            byte = buffer[at]
            position = self._origin + at
            used = 1
            if byte == START:
                total = self._candidate(at)
                frame = bytes(buffer[at : at + total])
                if total > 1 and len(frame) < total and not last:
                    break
                if total > HEADER and len(frame) == total and self._checker.good(frame, position):
                    yield from self._flush(position)
                    self._claimed = 0
                    yield PacketEvent(position, Packet(frame[1], frame[2], frame[3], frame[HEADER : -crc.SIZE]))
                    at += total
                    continue
                self._claimed = max(self._claimed, position + total)
            elif byte in (ACK, NAK):
                if position >= self._claimed:
                    yield from self._flush(position)
                    yield Ack(position) if byte == ACK else Nak(position)
                    at += 1
                    continue
            else:
                special = _SPECIAL.search(buffer, at)
                used = (special.start() if special else len(buffer)) - at
            end = at + used
            while at < end:
                take = min(end - at, MAX_NOISE - len(self._noise))
                self._noise += buffer[at : at + take]
                at += take
                if len(self._noise) == MAX_NOISE:
                    yield from self._flush(self._origin + at)
        del buffer[:at]
        self._origin += at

    def _candidate(self, at: int) -> int:
        """How many bytes an EE claims: 1 where it cannot be a packet's, `HEADER` while its length is not there."""
        header = self._buffer[at : at + HEADER]
        if len(header) < HEADER:
            return HEADER
        size = header[4] << 8 | header[5]
        return 1 if size > MAX_DATA else HEADER + size + crc.SIZE

    def _flush(self, end: int) -> Iterator[Event]:
        if self._noise:
            noise = bytes(self._noise)
            self._noise.clear()
            yield Noise(end - len(noise), noise)


@dataclass(frozen=True, slots=True)
class Lost:
    """Part of a message whose other packets are missing."""

    expected: int | None
    """The sequence number that should have come next, if a message was under way."""
    got: int | None
    """The one that came; None if the message was broken off by another one."""
    data: bytes = field(repr=False)
    """What is there of the data."""


class Outcome(IntEnum):
    """What a packet did to the message."""

    MESSAGE = 0
    """It was the last one: here is the message."""
    MORE = 1
    """More packets are to come."""
    REPEATED = 2
    """It was the previous packet once more."""
    STRAY = 3
    """It belongs to no message that is under way."""


class Assembler:
    """Puts the packets of one sender together to messages. Holds at most 256 packets of data."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None
        self._toggles = 0
        self._next: int | None = None
        self._data = bytearray()
        self.message = b""
        """The message that `push` or `take` completed last."""

    def repeats(self, control: int, crc: int) -> bool:
        """Whether a packet is the previous one once more: the same toggle bit and CRC."""
        return self._last == (control & TOGGLE, crc)

    @property
    def toggles(self) -> bool:
        """Whether both values of the toggle bit were seen: a sender that never toggles looks like one that repeats."""
        return self._toggles == 3

    @property
    def under_way(self) -> bool:
        """Whether a message is under way."""
        return self._next is not None

    def push(self, control: int, sequence: int, crc: int, data: bytes) -> tuple[Lost | None, Outcome]:
        """Take a packet. A message that it breaks off comes back as lost."""
        if self.repeats(control, crc):
            return None, Outcome.REPEATED
        return self.take(control, sequence, crc, data)

    def take(self, control: int, sequence: int, crc: int, data: bytes) -> tuple[Lost | None, Outcome]:
        """Like `push`, but a packet that equals the previous one is taken as a new one."""
        self._last = (control & TOGGLE, crc)
        self._toggles |= 2 if control & TOGGLE else 1
        if continues(control):
            if self._next != sequence:
                lost = self.abandon()
                return lost and Lost(lost.expected, sequence, lost.data), Outcome.STRAY
            self._data += data
            return None, self._advance(sequence)
        lost = self.abandon()
        self._data += data
        return lost, self._advance(sequence if control & MULTI else 0)

    def abandon(self) -> Lost | None:
        """Give up the message that is under way."""
        if self._next is None:
            return None
        lost = Lost(self._next, None, bytes(self._data))
        self._next = None
        self._data.clear()
        return lost

    def _advance(self, sequence: int) -> Outcome:
        if sequence:
            self._next = sequence - 1
            return Outcome.MORE
        self._next = None
        self.message = bytes(self._data)
        self._data.clear()
        return Outcome.MESSAGE


#: What a secret becomes.
MASK: Final = ord("*")
#: The longest piece of a password that a packet can hold.
SECRET: Final = 20
#: How far from an EE (or from the start of the bytes, where an EE may have been lost) a code may stand.
_NEAR: Final = 12
#: Bytes hidden after something that a secret may follow: a damaged line may have added some.
_HIDDEN: Final = SECRET + 4


def like_header(data: bytes) -> bool:
    """Whether some bytes may be the start of a packet of this kind of meter, as far as they go: identity 0, no reserved
    bit, a possible length."""
    return (
        data[:1] == b"\xee"
        and (len(data) < 2 or data[1] == 0)
        and (len(data) < 3 or data[2] & 0x1F == 0)
        and (len(data) < 5 or data[4] <= MAX_DATA >> 8)
    )


def mask_secrets(data: bytes) -> bytes:
    """Mask what may be the payload of a security or logon packet in bytes that are damaged or not understood.

    Any byte up to 12 bytes after an EE, or after the start, that may be the code (51, 50) or the length (up to 21) of
    such a packet hides the bytes after it; so does the header of a continuation packet, which may hold the rest of a
    password. Rather too much is hidden than too little.
    """
    masked = bytearray(data)
    near, hidden, previous = _NEAR, 0, 0
    for at, byte in enumerate(data):
        if byte == START:
            near = _NEAR + 1
        if hidden:
            hidden -= 1
            masked[at] = MASK
        if near:
            near -= 1
            code = byte in (Code.LOGON, Code.SECURITY)
            length = previous == 0 and 1 <= byte <= SECRET + 1
            if code or length or (continues(byte) and byte & 0x1F == 0):
                hidden = _HIDDEN + 1
        previous = byte
    return bytes(masked)
