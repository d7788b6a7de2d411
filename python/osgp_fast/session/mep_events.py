"""The MEP port: how it is spoken, how long is waited for what, and the one outcome that an optical port does not know.

Requests and answers are those of the optical port (`events`): `Read`, `Write`, `Data`, `Done`, `Refusal`, `Failed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from ..errors import TransportError

#: The speed until ET13 says another one. Source: MEP guide p. 20.
DEFAULT_BAUD: Final = 9600
#: Request codes of tables. Source: MEP guide p. 12, Table 2.6.
FULL_READ: Final = 0x30
PARTIAL_READ: Final = 0x3F
FULL_WRITE: Final = 0x40
PARTIAL_WRITE: Final = 0x4F


class MepMode(Enum):
    """How messages are protected. Source: MEP guide pp. 8-11, 18."""

    AUTO = "auto"
    """TLS, and RC4 where the meter does not know TLS. Whoever stands on the line can bring that about."""
    TLS = "tls"
    RC4 = "rc4"
    """Digest, and enciphered with RC4: both are broken, and the guide advises against them (p. 8)."""
    CLEAR = "clear"
    """Digest only."""


class MepAccess(IntEnum):
    """Whose key it is; the number is the key's in a TLS identity. Source: MEP guide pp. 13, 18-19."""

    BASIC = 0
    """MBK: reads all tables, writes few."""
    ADVANCED = 1
    """MAK: reads and writes nearly all."""


class MepRetry(Enum):
    """What is said after a silence, under digest and RC4: the guide wants both (pp. 11, 21)."""

    SAME_PACKET = "same packet"
    """The identical packet (p. 21). A meter that has executed the first one answers 0C: nothing is done twice."""
    NEXT_NUMBER = "next number"
    """A read anew with the next number (p. 11), for meters that ignore a packet that they have had. A write is said once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MepTiming:
    """How long to wait, in seconds, and how often to try."""

    response_s: float = 0.5
    """From the last byte of a request to the length of the answer (MEP guide p. 21)."""
    interbyte_s: float = 0.05
    """A meter forgets a request that stops for so long (MEP guide p. 21)."""
    gap_s: float = 0.25
    """We forget an answer that stops for so long: longer than the pause between segments and what adapters hold back."""
    pace_s: float = 0.1
    """At most one request in so long (MEP guide p. 21)."""
    segment_pause_s: float = 0.025
    """A meter's pause after each segment of 117 bytes (MEP guide p. 21)."""
    alert_s: float = 1.0
    """A meter repeats its alert so often, and so long after the last request (MEP guide pp. 17, 21)."""
    retries: int = 5
    """How often a request or a handshake is said again. Ours; the guide names no number."""
    handshakes: int = 3
    """How often TLS is tried where the meter refuses it, before key or suite are blamed: it may be a damaged line. Ours."""


@dataclass(slots=True)
class MepCounts:
    """What happened on the line so far."""

    bytes_sent: int = 0
    bytes_received: int = 0
    messages_sent: int = 0
    messages_received: int = 0
    alerts: int = 0
    sent_again: int = 0
    """After a silence or an answer that cannot be believed."""
    damaged: int = 0
    """Answers that cannot be believed: digest, length, TLS."""
    renumbered: int = 0
    """0C: the meter told its sequence number."""
    handshakes: int = 0
    noise_bytes: int = 0


class OutcomeUnknown(TransportError):
    """A write was sent, and it is not known whether it was executed: find out before it is written again.

    ``fields``: ``table``, ``offset``, ``count``; ``accepted`` True where the meter's sequence number shows that it took the
    request (what it answered is still unknown), else None; ``cause`` the code of what went wrong.
    """

    @property
    def accepted(self) -> bool | None:
        """True: the meter took the request, whether or not it did what was asked. None: not known."""
        told: bool | None = self.fields.get("accepted")
        return told
