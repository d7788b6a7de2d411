"""A request and its answer under digest and RC4.

::

    request:   length (2, be) | code, arguments | sequence number (4, be) | digest (8)
    response:  length (2, be) | code, data                                | digest (8)
                                \\________________ RC4, if wanted ________/

The digest of a response also covers its request, so that the two belong together. A response of a single zero byte adds
nothing to the digest: the two digests are equal then, and the response proves little. Source: MEP guide pp. 10-13, 15-17,
249-257; the length field is written here and read by `wire.mep`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ..errors import LocalProtocolError, SecurityError
from .digest import SIZE as DIGEST
from .digest import digest, verify
from .key import Key, used_bytes
from .legacy_rc4 import Rc4, message_cipher

#: Bytes of the length field.
LENGTH: Final = 2
#: The longest message without its length field. Source: MEP guide p. 8.
MAX_BODY: Final = 476
#: Bytes of the sequence number.
SEQUENCE: Final = 4
#: Response code: no key gives this digest. It cannot be signed, and it is not enciphered (MEP guide p. 256).
AUTHENTICATION_FAILURE: Final = 0x0B
#: Response code: the sequence number that is expected follows.
INVALID_SEQUENCE: Final = 0x0C


@dataclass(frozen=True, slots=True)
class Answer:
    """What the meter said: the code, and what follows it, in clear."""

    code: int
    data: bytes = field(repr=False)
    authentic: bool
    """Whether the digest was checked. Only a refusal, code 0B, can come without: anybody can say it."""

    @property
    def next_sequence(self) -> int | None:
        """The number to go on with if the meter refused the one that was used, else None.

        The meter tells its own; the example goes on with the one after it (MEP guide pp. 15-16).
        """
        if self.code != INVALID_SEQUENCE or len(self.data) != SEQUENCE:
            return None
        return (int.from_bytes(self.data, "big") + 1) & 0xFFFFFFFF


class Exchange:
    """One request and what may be said to it: made by the client, or read by the meter or from a capture."""

    __slots__ = ("_cipher", "_key", "_signed", "message", "which")

    message: bytes
    """The request as it is sent, with its length field."""
    which: int
    """Which of the keys it was made with."""

    def __init__(self, key: bytes, signed: bytes, message: bytes, cipher: Rc4 | None, which: int) -> None:
        self._key, self._signed, self._cipher = key, signed, cipher
        self.message, self.which = message, which

    @classmethod
    def request(cls, key: Key | bytes, body: bytes, sequence: int, *, encrypt: bool = False) -> Exchange:
        """Make a request. ``body``: code and arguments; ``sequence``: 32 bits.

        Raises: LocalProtocolError "security.too_long", "security.empty"; SecurityError
        "security.key_length"; OverflowError.
        """
        key = used_bytes(key)
        signed = body + sequence.to_bytes(SEQUENCE, "big")
        _check_size(body, SEQUENCE)
        seal = digest(key, signed)
        cipher = message_cipher(key, seal) if encrypt else None
        return cls(key, signed, _message(cipher.apply(signed) if cipher else signed, seal), cipher, 0)

    @classmethod
    def open(cls, keys: Sequence[Key | bytes], body: bytes) -> Exchange:
        """Read a request as the meter does: in clear, then enciphered, with each key in turn (advanced before basic).

        ``body``: the message without its length field. Raises: SecurityError "security.too_short", "security.bad_digest".
        """
        used = [used_bytes(key) for key in keys]
        if not 1 + SEQUENCE + DIGEST <= len(body) <= MAX_BODY:
            raise SecurityError(
                "security.too_short" if len(body) <= MAX_BODY else "security.too_long",
                f"a request of {len(body)} bytes; it has {1 + SEQUENCE + DIGEST} to {MAX_BODY}",
                got=len(body),
                expected=(1 + SEQUENCE + DIGEST, MAX_BODY),
            )
        sent, seal = body[:-DIGEST], body[-DIGEST:]
        message = len(body).to_bytes(LENGTH, "big") + body
        for which, key in enumerate(used):
            if verify(key, sent, seal):
                return cls(key, sent, message, None, which)
            cipher = message_cipher(key, seal)
            clear = cipher.apply(sent)
            if verify(key, clear, seal):
                return cls(key, clear, message, cipher, which)
        raise _bad_digest(
            f"the digest of a request is that of none of {len(keys)} keys",
            "check the key, and that the message is whole",
        )

    @property
    def body(self) -> bytes:
        """Code and arguments, in clear."""
        return self._signed[:-SEQUENCE]

    @property
    def sequence(self) -> int:
        """The sequence number."""
        return int.from_bytes(self._signed[-SEQUENCE:], "big")

    @property
    def encrypted(self) -> bool:
        """Whether the request was enciphered, and so will be the answer."""
        return self._cipher is not None

    def respond(self, body: bytes) -> bytes:
        """The answer as the meter sends it, with its length field. ``body``: code and data.

        Raises: LocalProtocolError "security.too_long", "security.empty".
        """
        _check_size(body, 0)
        seal = digest(self._key, body, request=self._signed)
        return _message(self._cipher.copy().apply(body) if self._cipher else body, seal)

    def read(self, body: bytes) -> Answer:
        """Read the answer. ``body``: the message without its length field. May be called again after noise.

        Raises: SecurityError "security.too_short", "security.bad_digest".
        """
        if len(body) >= 1 + DIGEST:
            sent, seal = body[:-DIGEST], body[-DIGEST:]
            clear = self._cipher.copy().apply(sent) if self._cipher else sent
            if verify(self._key, clear, seal, request=self._signed):
                return Answer(clear[0], clear[1:], True)
        if len(body) in (1, 1 + DIGEST) and body[0] == AUTHENTICATION_FAILURE:
            return Answer(AUTHENTICATION_FAILURE, b"", False)
        if len(body) < 1 + DIGEST:
            raise SecurityError(
                "security.too_short",
                f"an answer of {len(body)} bytes; with its digest it has at least {1 + DIGEST}",
                got=len(body),
                expected=1 + DIGEST,
            )
        raise _bad_digest(
            f"the digest of an answer of {len(body)} bytes is not that of the key and the request",
            "the line damaged it, it answers another request, or the meter has another key: ask again",
        )

    def __repr__(self) -> str:
        return f"<Exchange of {len(self.message)} bytes, {'RC4' if self.encrypted else 'in clear'}>"


def refusal() -> bytes:
    """What a meter says to a request that none of its keys signs, with its length field.

    The guide wants a digest here and no key can make one: eight zeros stand for it.
    """
    return _message(bytes([AUTHENTICATION_FAILURE]), bytes(DIGEST))


def _check_size(body: bytes, more: int) -> None:
    most = MAX_BODY - DIGEST - more
    if not body:
        raise LocalProtocolError("security.empty", "a message without a code", expected=1, got=0)
    if len(body) > most:
        raise LocalProtocolError(
            "security.too_long",
            f"{len(body)} bytes of code and data; at most {most} fit",
            "read or write a part of the table at a time",
            got=len(body),
            expected=most,
        )


def _message(sent: bytes, seal: bytes) -> bytes:
    return (len(sent) + len(seal)).to_bytes(LENGTH, "big") + sent + seal


def _bad_digest(message: str, hint: str) -> SecurityError:
    return SecurityError("security.bad_digest", message, hint)
