"""RC4 as the MEP port uses it. Broken since 2001; the guide itself says to use TLS instead (MEP guide p. 8).

Every message has a key of its own: the MEP key enciphers a constant, and the request's digest is added to the first half
of what comes out. The response goes on with the state that the request left. Source: MEP guide pp. 255-257, Appendix B.
"""

from __future__ import annotations

from typing import Final

from .key import Key, used_bytes

#: The constant that the MEP key enciphers. Source: MEP guide p. 257.
CONSTANT: Final = bytes.fromhex("388b8fbc36a8558587afc90fb23a3b99")


class Rc4:
    """The cipher: the same call enciphers and deciphers, and goes on where the last one ended."""

    __slots__ = ("_i", "_j", "_state")

    def __init__(self, key: bytes) -> None:
        """``key``: 1 to 256 bytes."""
        state = bytearray(range(256))
        j = 0
        for i in range(256):
            j = (j + state[i] + key[i % len(key)]) & 0xFF
            state[i], state[j] = state[j], state[i]
        self._state, self._i, self._j = state, 0, 0

    def apply(self, data: bytes) -> bytes:
        """Encipher or decipher the next bytes."""
        state, i, j = self._state, self._i, self._j
        out = bytearray()
        for byte in data:
            i = (i + 1) & 0xFF
            j = (j + state[i]) & 0xFF
            state[i], state[j] = state[j], state[i]
            out.append(byte ^ state[(state[i] + state[j]) & 0xFF])
        self._i, self._j = i, j
        return bytes(out)

    def copy(self) -> Rc4:
        """The cipher as it stands, to go on twice: an answer that was noise must not spoil the state for the right one."""
        other = object.__new__(Rc4)
        other._state, other._i, other._j = bytearray(self._state), self._i, self._j
        return other

    def __repr__(self) -> str:
        return "<Rc4>"


def message_cipher(key: Key | bytes, digest: bytes) -> Rc4:
    """The cipher of a request, and then of its response. ``digest``: the 8 bytes at the end of the request."""
    secret = bytearray(Rc4(used_bytes(key)).apply(CONSTANT))
    for i, byte in enumerate(digest[:8]):
        secret[i] ^= byte
    return Rc4(bytes(secret))
