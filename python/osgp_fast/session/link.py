"""The link layer of C12.18, one class for both sides: messages in packets, each one acknowledged before the next.

What it makes of a bad line:

- a packet without ACK or refused with NAK is sent again, unchanged, `Timing.retries` times;
- a packet that comes twice (the same toggle bit and, to be sure, the same everything) is acknowledged and dropped;
- a damaged or unfinished packet is refused with NAK as soon as the line is quiet, but never while an ACK is awaited;
- a new packet from the other side proves that it has ours: a lost ACK costs nothing then;
- stray bytes, late ACKs, MEP messages of a shared port (and the 06 and 15 within them) are stepped over;
- a lone 00 in place of an ACK is taken for one;
- an echo of what was sent, where the optical head hears itself, is removed, once it has been seen or announced.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ..errors import LocalProtocolError, OsgpError, TransportError
from ..wire import c1218, mep
from ..wire.c1218 import ACK, FIRST, HEADER, MULTI, NAK, START, Ack, Nak, Noise, Packet, PacketEvent, continues
from . import diagnose
from .timing import BITS_PER_BYTE, DEFAULT_BAUD, DEFAULT_PACKET_SIZE, DEFAULT_PACKETS, Timing

#: Header and CRC around the data of a packet.
OVERHEAD: Final = HEADER + 2
#: More packets than the sequence number can count belong to no message.
MOST_PACKETS: Final = 256
#: So many bytes of what came last are kept to tell what kind of device this is.
KEPT: Final = 2048
#: Up to so many stray bytes may stand right before an ACK or NAK; after more, 06 and 15 are part of something else.
STRAY: Final = 2
#: Less noise than this was no packet.
SHORTEST: Final = OVERHEAD


class Role(Enum):
    """Which side of the line."""

    CLIENT = "client"
    METER = "meter"


@dataclass(slots=True)
class Counts:
    """What happened on the line so far."""

    bytes_sent: int = 0
    bytes_received: int = 0
    packets_sent: int = 0
    packets_received: int = 0
    sent_again: int = 0
    duplicates: int = 0
    naks_sent: int = 0
    naks_received: int = 0
    noise_bytes: int = 0
    mep_messages: int = 0
    echoes: int = 0


class Link:
    """Messages to bytes and back. Every method that takes ``now`` may have made bytes due: ask `take`.

    Holds at most one unfinished packet, one unfinished message of 256 packets, and `KEPT` bytes of what came.
    """

    def __init__(self, role: Role, timing: Timing, *, echo: bool | None = None) -> None:
        self.role = role
        self.timing = timing
        self.echo = echo
        """Whether what is sent comes back; None: not known yet."""
        self.packet_size = DEFAULT_PACKET_SIZE
        self.packets = DEFAULT_PACKETS
        self.baud = DEFAULT_BAUD
        self.counts = Counts()
        self.messages: deque[bytes] = deque()
        """Messages received."""
        self.delivered = False
        """The message sent has arrived whole; the reader resets it."""
        self.failure: OsgpError | None = None
        """Why the message sent could not be delivered; the reader resets it."""
        self.expecting = role is Role.METER
        """Whether a packet may come: damaged ones are refused with NAK only then."""
        self.heard_at: float | None = None
        """When the last valid packet came."""
        self.progress = 0
        """Packets that continued or completed a message."""
        self._parser = c1218.PacketParser()
        self._fed = self._decided = 0
        self._last_byte: float | None = None
        self._noise = bytearray()
        self._noise_end = 0
        self._recent = bytearray()
        self._out = bytearray()
        self._due: float | None = None
        self._baud_next: int | None = None
        self._echo_left = bytearray()
        # Sender.
        self._toggle = False
        self._sending: list[Packet] = []
        self._at = 0
        self._waiting = False
        self._sent_at: float | None = None
        self._attempts = 0
        self._refusals = 0
        self._limit = timing.retries
        self._last_sent: Packet | None = None
        # Receiver.
        self._previous: Packet | None = None
        self._next: int | None = None
        self._parts = bytearray()
        self._naks_in_a_row = 0

    # Sending

    @property
    def idle(self) -> bool:
        """Whether a message may be sent."""
        return not self._sending

    @property
    def most(self) -> int:
        """How many bytes a message may have."""
        return (self.packet_size - OVERHEAD) * self.packets

    def write(self, message: bytes, now: float, *, first: bool = False, not_before: float = 0.0) -> None:
        """Send a message. ``first``: the first one of a session, which gets more retries.

        Raises: LocalProtocolError "session.too_long" where it does not fit the packets agreed on.
        """
        if len(message) > self.most:
            raise LocalProtocolError(
                "session.too_long",
                f"{len(message)} bytes do not fit {self.packets} packets of {self.packet_size} bytes",
                "negotiate more or larger packets, or write in parts",
                got=len(message),
                expected=self.most,
            )
        self._sending = c1218.split(message, self.packet_size - OVERHEAD, toggle=self._toggle)
        self._at = 0
        self._limit = self.timing.first_retries if first else self.timing.retries
        self._fresh()
        self._send_packet(now, not_before)

    def repeat(self, now: float) -> None:
        """Send the last packet once more, as it was: whoever has it drops it."""
        if self._last_sent is not None and self.idle:
            self._sending = [self._last_sent]
            self._at = 0
            self._fresh()
            self.counts.sent_again += 1
            self._send_packet(now, again=True)

    def _fresh(self) -> None:
        self._attempts = self._refusals = 0

    def _send_packet(self, now: float, not_before: float = 0.0, *, again: bool = False) -> None:
        packet = self._sending[self._at]
        if not again:
            self._toggle = not packet.toggle
        self._last_sent = packet
        self._waiting = True
        self._sent_at = None
        self.counts.packets_sent += 1
        self._queue(packet.emit(), now, not_before)

    def _queue(self, data: bytes, now: float, not_before: float = 0.0) -> None:
        free = now if self._last_byte is None else max(now, self._last_byte + self.timing.turnaround_s)
        self._due = max(self._due or 0.0, free, not_before)
        self._out += data

    def take(self, now: float) -> bytes:
        """The bytes that are to be written now."""
        if not self._out or self._due is None or now < self._due:
            return b""
        data = bytes(self._out)
        self._out.clear()
        self._due = None
        self.counts.bytes_sent += len(data)
        if self.echo:
            self._echo_left += data
        if self._waiting and self._sent_at is None:
            self._sent_at = now + self.seconds(len(data))
        if self._baud_next is not None:
            self.baud, self._baud_next = self._baud_next, None
        return data

    def seconds(self, size: int) -> float:
        """How long some bytes are on the line."""
        return size * BITS_PER_BYTE / self.baud

    def change_baud(self, baud: int) -> None:
        """Another speed, as soon as what waits to be written has been written."""
        if self._out:
            self._baud_next = baud
        else:
            self.baud = baud

    # Time

    def deadline(self) -> float | None:
        """When `tick` is to be called at the latest; None: there is nothing to wait for."""
        times = [self._due, self._ack_deadline(), self._quiet_deadline()]
        return min((time for time in times if time is not None), default=None)

    def _ack_deadline(self) -> float | None:
        if not self._waiting or self._sent_at is None:
            return None
        deadline = self._sent_at + self.timing.response_s
        if self._parser.pending and self._last_byte is not None:  # perhaps the answer, and only its ACK was lost
            deadline = max(deadline, self._last_byte + self.timing.intercharacter_s)
        return deadline

    def _quiet_deadline(self) -> float | None:
        if self._last_byte is None:
            return None
        if self._parser.pending:
            return self._last_byte + self.timing.intercharacter_s
        if self._noise or self._undecided():
            return self._last_byte + self.timing.quiet_s
        return None

    def _undecided(self) -> int:
        return self._fed - self._decided - self._parser.pending

    def tick(self, now: float) -> None:
        """What time has brought."""
        quiet = self._quiet_deadline()
        if quiet is not None and now >= quiet:
            self._quiet(now)
        deadline = self._ack_deadline()
        if deadline is not None and now >= deadline:
            self._again(now, refused=False)

    def _again(self, now: float, *, refused: bool) -> None:
        """Send the packet again, or give up."""
        self._attempts += 1
        self._refusals += refused
        if self._attempts > self._limit:
            error = self._why()
            self.drop()
            self.failure = error
            return
        self.counts.sent_again += 1
        self._send_packet(now, again=True)

    def _why(self) -> OsgpError:
        """Why a packet could not be delivered."""
        counts, tries = self.counts, self._attempts
        fields = {
            "bytes_sent": counts.bytes_sent,
            "bytes_received": counts.bytes_received,
            "echo": bool(counts.echoes),
            "baud": self.baud,
            "tries": tries,
        }
        line = f"{counts.bytes_sent} bytes sent, {counts.bytes_received} received, {self.baud} bit/s 8N1"
        if counts.echoes:
            line += ", the head echoes what is sent"
        if not counts.packets_received and (found := diagnose.recognise(bytes(self._recent))) is not None:
            return TransportError(
                "line.not_osgp",
                f"this port is not OSGP optical: {found.what} ({line})",
                found.hint,
                kind=found.kind,
                **fields,
            )
        heard = counts.bytes_received
        if not heard:
            return TransportError(
                "line.silent",
                f"not one byte came back in {tries} tries ({line})",
                "check the head's position (cable downwards, centred), the port and its power (RTS/DTR); a port shared with "
                "MEP may be held off for five minutes after a long session; firmware 4.0 and later can have it disabled",
                **fields,
            )
        if self._refusals == tries:
            return TransportError(
                "line.refused",
                f"the packet was refused (NAK) {tries} times ({line})",
                "the meter hears us badly: check the head's position and that nothing else lights the port",
                **fields,
            )
        return TransportError(
            "line.no_ack",
            f"the packet was not acknowledged in {tries} tries ({line})",
            "check the head's position; after a while the meter ends the session, then try again",
            **fields,
        )

    def drop(self) -> None:
        """Give up what is being sent."""
        self._sending = []
        self._waiting = False
        self._sent_at = None

    def forget(self) -> None:
        """The session is over: back to the defaults, and what comes next is no duplicate. (Our toggle bit goes on.)"""
        self._previous = None
        self._abandon()
        self.packet_size, self.packets = DEFAULT_PACKET_SIZE, DEFAULT_PACKETS
        self.change_baud(DEFAULT_BAUD)

    # Receiving

    def feed(self, data: bytes, now: float) -> None:
        """Bytes that came."""
        quiet = self._quiet_deadline()
        if quiet is not None and now >= quiet:
            self._quiet(now)
        if not data:
            return
        self.counts.bytes_received += len(data)
        self._last_byte = now
        data = self._without_echo(data)
        self._recent = (self._recent + data)[-KEPT:]
        self._fed += len(data)
        self._handle(self._parser.feed(data), now)

    def _without_echo(self, data: bytes) -> bytes:
        left = self._echo_left
        if not left:
            return data
        same = 0
        while same < min(len(left), len(data)) and left[same] == data[same]:
            same += 1
        if same < len(data):
            # All of it has come, or it is damaged: what follows of it is known by its packets.
            self.counts.echoes += same == len(left)
            left.clear()
        else:
            self.counts.echoes += same == len(left)
            del left[:same]
        return data[same:]

    def _quiet(self, now: float) -> None:
        """The line is quiet: what is unfinished will stay so."""
        self._handle(self._parser.finish(), now)
        noise = bytes(self._noise)
        self._noise.clear()
        if not noise:
            return
        self.counts.mep_messages += len(found := mep.find(noise))
        if self._waiting:
            if noise == b"\0":
                self._acknowledged(now)
            return
        claimed = found[0][1] - found[0][0] if found else 0
        damaged = START in noise or len(noise) >= SHORTEST
        if self.expecting and damaged and claimed < len(noise) and self._naks_in_a_row < self.timing.retries:
            self._naks_in_a_row += 1
            self.counts.naks_sent += 1
            self._queue(bytes((NAK,)), now)

    def _handle(self, events: list[c1218.Event], now: float) -> None:
        for event in events:
            if isinstance(event, Noise):
                self._keep_noise(event.data, event.position)
                continue
            if isinstance(event, PacketEvent):
                self._decided = event.position + OVERHEAD + len(event.packet.data)
                if self._noise:
                    self.counts.mep_messages += len(mep.find(bytes(self._noise)))
                    self._noise.clear()
                self._packet(event.packet, now)
            elif not self._believed(event.position):
                self._keep_noise(bytes((ACK if isinstance(event, Ack) else NAK,)), event.position)
            else:
                self._decided = event.position + 1
                self._noise.clear()
                if isinstance(event, Nak):
                    self.counts.naks_received += 1
                if self._waiting and self._sent_at is not None:
                    if isinstance(event, Ack):
                        self._acknowledged(now)
                    else:
                        self._again(now, refused=True)

    def _believed(self, position: int) -> bool:
        """Whether an ACK or NAK is one: not within or right behind other bytes, unless these are whole MEP messages."""
        if len(self._noise) <= STRAY or position != self._noise_end:
            return True
        at = 0
        while at + mep.LENGTH <= len(self._noise):
            size = int.from_bytes(self._noise[at : at + mep.LENGTH])
            if not size:
                return False
            at += mep.LENGTH + size
        return at == len(self._noise)

    def _keep_noise(self, data: bytes, position: int) -> None:
        self.counts.noise_bytes += len(data)
        self._noise = (self._noise + data)[-KEPT:]
        self._noise_end = self._decided = position + len(data)

    def _acknowledged(self, now: float) -> None:
        self._at += 1
        self._fresh()
        if self._at < len(self._sending):
            self._send_packet(now)
            return
        self.drop()
        self.delivered = True

    def _packet(self, packet: Packet, now: float) -> None:
        if self.echo is not False and packet == self._last_sent:
            self.echo = True
            self.counts.echoes += 1
            return
        self.counts.packets_received += 1
        self.heard_at = now
        self._naks_in_a_row = 0
        if packet == self._previous:
            self.counts.duplicates += 1
            self._queue(bytes((ACK,)), now)
            return
        if continues(packet.control) and packet.sequence != self._next:
            # One between is missing: whoever sent it will notice that this one does not get through.
            self.counts.naks_sent += 1
            self._queue(bytes((NAK,)), now)
            return
        self._previous = packet
        if self._waiting:
            self.drop()
            self.delivered = True
        self._queue(bytes((ACK,)), now)
        if not continues(packet.control):
            self._abandon()
        self.progress += 1
        self._parts += packet.data
        remaining = packet.sequence if packet.control & (MULTI | FIRST) else 0
        if remaining:
            self._next = remaining - 1
            return
        self.messages.append(bytes(self._parts))
        self._abandon()

    def _abandon(self) -> None:
        self._next = None
        self._parts.clear()

    def receiving(self, now: float) -> bool:
        """Whether a packet is coming in right now."""
        last = self._last_byte
        return bool(self._parser.pending) and last is not None and now < last + self.timing.intercharacter_s
