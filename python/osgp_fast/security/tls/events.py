"""What a TLS session has to say."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...errors import SecurityError


@dataclass(frozen=True, slots=True)
class Established:
    """Both Finished messages are right: the session is open."""

    identity: bytes
    """As the client sent it."""
    which: int
    """The key in use: the server's key id, the opener's place in its list of keys, 0 for the client."""


@dataclass(frozen=True, slots=True)
class Data:
    """The clear text of one record."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Closed:
    """The other side said that it is done."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The session is over. An alert that tells the other side is among the bytes to send, where it broke the rule."""

    code: str
    message: str
    hint: str
    alert: int
    """The description of the alert that was sent, or received ("tls.alert"). Source: RFC 5246, section 7.2."""

    def error(self) -> SecurityError:
        """As an exception."""
        return SecurityError(self.code, self.message, self.hint, alert=self.alert)


Event = Established | Data | Closed | Failed
