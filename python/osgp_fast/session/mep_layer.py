"""What a security layer of the MEP port tells its machine, whichever it is: `mep_rc4`, `mep_tls`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from ..errors import OsgpError


@dataclass(frozen=True, slots=True)
class Say:
    """Send this message, with its length field."""

    message: bytes = field(repr=False)
    again: bool = False
    """It counts against the retries."""
    same: bool = False
    """It is the message sent before: an answer to that one is an answer to this one."""
    cause: OsgpError | None = None
    """Why it has to be said again."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The answer to the request: response code and what follows it."""

    code: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Damaged:
    """Not an answer to what was asked; the real one may still come. ``denied``: no other will come, say it again now."""

    error: OsgpError
    denied: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """There will be no answer that can be believed, and a write may have been executed."""

    error: OsgpError
    accepted: bool | None = None
    """True: the meter's sequence number shows that it took the request."""


@dataclass(frozen=True, slots=True)
class Over:
    """The request has failed."""

    error: OsgpError


Step = Say | Heard | Damaged | Unknown | Over


class Layer(Protocol):
    """One way to protect messages, at the client."""

    @property
    def most(self) -> int:
        """Bytes of code, arguments and data that one message holds; of a request a little less may fit (`most_asked`)."""

    @property
    def most_asked(self) -> int:
        """The same for a request."""

    @property
    def unsure(self) -> bool:
        """Whether the request under way may have been executed."""

    def ask(self, body: bytes, *, once: bool) -> Say:
        """A new request; ``once``: executing it twice is not the same as once."""

    def silence(self) -> Step:
        """The time for an answer is over."""

    def answered(self, message: bytes) -> Step:
        """A message came, without its length field."""

    def hang_up(self) -> bytes:
        """What ends the session, with its length field; empty where there is none."""
