"""The clockwork of C12.18: time-outs in seconds, retries, and what they are there for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Packet size, packets per message and speed until something else is negotiated. Source: ANSI C12.18, after C12Adapter,
#: `ProtocolC1218.h`.
DEFAULT_PACKET_SIZE: Final = 64
DEFAULT_PACKETS: Final = 1
DEFAULT_BAUD: Final = 9600
#: Start, eight data bits, stop.
BITS_PER_BYTE: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long to wait, in seconds, and how often to try.

    The first three are those of the standard, as the documentation of another implementation gives them (C12Adapter,
    `ProtocolC1218.h`); the turn-around and the retries are as usual with C12.18, not checked against its text; the others
    are ours.
    """

    response_s: float = 2.0
    """A packet that is not answered with ACK or NAK is sent again."""
    intercharacter_s: float = 0.5
    """After such a silence an unfinished packet will not be finished."""
    traffic_s: float = 6.0
    """A meter that receives no valid packet for so long ends the session (channel traffic time-out)."""
    turnaround_s: float = 175e-6
    """The least time between the last byte received and the first one sent: the optics have to recover."""
    retries: int = 3
    """How often a packet is sent again."""
    first_retries: int = 5
    """The same for the first packet of a session: a port shared with MEP loses or refuses it (Optical guide p. 14)."""
    quiet_s: float = 0.1
    """After such a silence noise is known to be over: it may be refused (NAK) or, a lone 00, be taken for an ACK."""
    probe_s: float = 3.0
    """An ACK but no answer for so long: the packet is sent once more, for the ACK may have been that of another one. It
    is a duplicate to whoever has it, so nothing happens twice. Longer than `response_s`: first the answer's own retry."""
    answer_s: float = 10.0
    """An ACK but no answer for so long: the session has failed. Leaves time for a probe and the answer's retries."""
    rest_s: float = 6.0
    """The line rests so long after a failure, so that the meter ends its session, too; its late answers are dropped."""
