"""What the two sides say to each other, as frozen values: requests, answers, and what the line did.

Numbers are those on the wire: a table as in `osgp_fast.image` (ETnn = 2048 + nn, pending + 4096), a baud rate in bit/s.
Reprs show no password and no table data.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import OsgpError


@dataclass(frozen=True, slots=True)
class Identify:
    """Who are you? The first request of a session."""


@dataclass(frozen=True, slots=True)
class Negotiate:
    """Ask for larger packets, several per message, another speed.

    ``packet_size`` counts the whole packet, header and CRC included; ``bauds`` are the rates that the client can do, at
    most 11, or none (60) to leave the speed as it is.
    """

    packet_size: int = 1024
    packets: int = 255
    bauds: tuple[int, ...] = (9600,)


@dataclass(frozen=True, slots=True)
class Logon:
    """Start of the session proper. An OSGP meter does not check either field (Optical guide p. 13), it logs the id."""

    user_id: int = 0
    user: bytes = b"osgp-fast"


@dataclass(frozen=True, slots=True)
class Security:
    """The password: one of the meter's keys, at most 20 bytes, padded with zeros."""

    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Read:
    """Read a table, whole or ``count`` bytes from ``offset`` on.

    The meter fills a partial read past the end with zeros (Optical guide p. 9). On a pending table the six bytes of the
    PED come on top: ``count`` is that of the table's own bytes (Optical guide p. 9).
    """

    table: int
    offset: int | None = None
    count: int | None = None

    @property
    def whole(self) -> bool:
        """A full read."""
        return self.offset is None


@dataclass(frozen=True, slots=True)
class Write:
    """Write a table, whole or from ``offset`` on; ``ped`` (6 bytes) stands before the data of a pending table."""

    table: int
    data: bytes = field(repr=False)
    offset: int | None = None
    ped: bytes = b""


@dataclass(frozen=True, slots=True)
class Wait:
    """Keep the session alive through a silence of so many seconds, once."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Logoff:
    """End of the session proper; another log-on may follow."""


@dataclass(frozen=True, slots=True)
class Terminate:
    """Hang up."""


Request = Identify | Negotiate | Logon | Security | Read | Write | Wait | Logoff | Terminate


@dataclass(frozen=True, slots=True)
class Identified:
    """The answer to `Identify`: which standard (0 = C12.18), its version and revision; features as bytes, uninterpreted."""

    standard: int = 0
    version: int = 2
    revision: int = 0
    features: bytes = b""


@dataclass(frozen=True, slots=True)
class Negotiated:
    """The answer to `Negotiate`: what holds from now on. ``baud`` None: the meter said nothing about it."""

    packet_size: int
    packets: int
    baud: int | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """Yes, without more."""


@dataclass(frozen=True, slots=True)
class Data:
    """The answer to `Read`: the table's bytes, and the PED (6 bytes) of a pending table."""

    data: bytes = field(repr=False)
    ped: bytes | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """No, with the standard's code (`refusals.RefusalCode`)."""

    code: int


Response = Identified | Negotiated | Done | Data | Refusal


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no answer, and the reason. After all but "session.checksum" the session is over (`Connection.state`)."""

    error: OsgpError


@dataclass(frozen=True, slots=True)
class TimedOut:
    """Meter side: nothing came for the channel traffic time-out; the session is over."""


Event = Request | Response | Failed | TimedOut
