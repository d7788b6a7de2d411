"""The errors that this package raises: what failed, where, expected and got, and what to try.

Every error has a stable ``code`` ("frame.bad_crc") for programs, a sentence for people, a ``hint`` what to do next and
the facts as ``fields`` (table, offset, path, expected, got, ...). In bulk work an error becomes a row of ``rejects``.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "DecodeError",
    "FrameError",
    "InputError",
    "LocalProtocolError",
    "OsgpError",
    "RemoteProtocolError",
    "SecurityError",
    "TableError",
    "TransportError",
    "UsageError",
]


class OsgpError(Exception):
    """The base of all errors of this package."""

    code: str
    """Stable name, ``room.what`` in lower case."""
    message: str
    """What failed, where, expected and got."""
    hint: str
    """What to do next; may be empty."""
    fields: dict[str, Any]
    """The facts: table, offset, field path, expected, got."""

    def __init__(self, code: str, message: str, hint: str = "", **fields: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.fields = fields

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.code, self.message, self.hint, self.fields)


def _rebuild(kind: type[OsgpError], code: str, message: str, hint: str, fields: dict[str, Any]) -> OsgpError:
    return kind(code, message, hint, **fields)


class LocalProtocolError(OsgpError):
    """The caller broke a rule of the protocol."""


class RemoteProtocolError(OsgpError):
    """The meter broke a rule of the protocol."""


class FrameError(OsgpError):
    """Bytes on the line are not what a frame may be."""


class TableError(OsgpError):
    """A table's bytes are not what the catalogue says."""


class DecodeError(TableError):
    """``on_reject="raise"``: a part of the input could not be decoded. ``reject`` holds it whole."""

    @property
    def reject(self) -> Any:
        """The `osgp_fast.Reject` that was raised."""
        return self.fields.get("reject")


class SecurityError(OsgpError):
    """A key, digest or permission is wrong. Never carries a key, decrypted bytes or a computed digest."""


class TransportError(OsgpError):
    """The line failed: could not be opened, silence, closed."""


class UsageError(OsgpError, ValueError):
    """The arguments do not go together, or name what is not there."""


class InputError(OsgpError, OSError):
    """An input cannot be opened or is not what it says: found before any work (exit 2 of the command)."""
