"""From the key to the keys of a session. Source: RFC 5246 sections 5, 6.3, 7.4.9, 8.1; RFC 4279 section 2."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from ..aes_gcm import KEY
from ..key import Key, used_bytes
from .record import Protection

RANDOM: Final = 32
MASTER: Final = 48
SALT: Final = 4
#: Bytes of a Finished message.
VERIFY: Final = 12
CLIENT_FINISHED: Final = b"client finished"
SERVER_FINISHED: Final = b"server finished"


def prf(secret: bytes, label: bytes, seed: bytes, size: int) -> bytes:
    """The pseudo-random function with SHA-384."""
    seed = label + seed
    out = b""
    a = seed
    while len(out) < size:
        a = hmac.digest(secret, a, "sha384")
        out += hmac.digest(secret, a + seed, "sha384")
    return out[:size]


class Secrets:
    """What both sides know once they have each other's random bytes."""

    __slots__ = ("_master", "client", "server")

    client: Protection
    server: Protection

    def __init__(self, key: Key | bytes, client_random: bytes, server_random: bytes) -> None:
        psk = used_bytes(key)
        length = len(psk).to_bytes(2, "big")
        premaster = length + bytes(len(psk)) + length + psk
        self._master = prf(premaster, b"master secret", client_random + server_random, MASTER)
        block = prf(self._master, b"key expansion", server_random + client_random, 2 * (KEY + SALT))
        salts = block[2 * KEY :]
        self.client = Protection(block[:KEY], salts[:SALT])
        self.server = Protection(block[KEY : 2 * KEY], salts[SALT:])

    def finished(self, label: bytes, transcript: hashlib._Hash) -> bytes:
        """What a Finished message says of the messages before it."""
        return prf(self._master, label, transcript.digest(), VERIFY)


def is_finished(secrets: Secrets, label: bytes, transcript: hashlib._Hash, given: bytes) -> bool:
    """Whether a Finished message is right, compared in constant time."""
    return hmac.compare_digest(secrets.finished(label, transcript), given)
