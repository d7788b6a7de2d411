"""AES-256 in Galois/Counter mode, readable and not fast.

Tables in Python take a time that depends on the data, so that somebody on the same machine may learn about the key. Where
that matters, use the compiled part. Source: NIST FIPS 197 and SP 800-38D.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Iterator
from typing import Final

#: Bytes of a key, a nonce, a block and a tag.
KEY: Final = 32
NONCE: Final = 12
BLOCK: Final = 16
TAG: Final = 16
_ROUNDS: Final = 14


def _double(a: int) -> int:
    """Times x in the field of AES."""
    return a << 1 ^ (0x11B if a & 0x80 else 0)


def _sbox() -> list[int]:
    # Powers of the generator 3 in both orders give the inverses.
    powers = [1]
    while len(powers) < 255:
        powers.append(powers[-1] ^ _double(powers[-1]))
    box = [0x63] * 256
    for i, a in enumerate(powers):
        b = powers[-i % 255]
        box[a] = 0x63 ^ b ^ _turned(b, 1) ^ _turned(b, 2) ^ _turned(b, 3) ^ _turned(b, 4)
    return box


def _turned(byte: int, n: int) -> int:
    return (byte << n | byte >> 8 - n) & 0xFF


def _mixed(s: int) -> int:
    """The column of a byte in the first row: 2, 1, 1, 3 times it."""
    return int.from_bytes(bytes([_double(s), s, s, s ^ _double(s)]), "big")


def _turned32(word: int, n: int) -> int:
    """A column, n rows further down."""
    return (word >> 8 * n | word << 32 - 8 * n) & 0xFFFFFFFF


_SBOX: Final = _sbox()
#: What a byte gives to a column after substitution and mixing, by its row.
_COLUMN: Final = [[_turned32(_mixed(s), row) for s in _SBOX] for row in range(4)]


def _round_keys(key: bytes) -> list[int]:
    words = list(struct.unpack(">8I", key))
    constant = 1
    for i in range(8, 4 * (_ROUNDS + 1)):
        word = words[-1]
        if i % 8 == 0:
            word = _substituted(word << 8 & 0xFFFFFFFF | word >> 24) ^ constant << 24
            constant = _double(constant)
        elif i % 8 == 4:
            word = _substituted(word)
        words.append(words[i - 8] ^ word)
    return words


def _substituted(word: int) -> int:
    return int.from_bytes(bytes(_SBOX[byte] for byte in word.to_bytes(4, "big")), "big")


def _times_x(a: int) -> int:
    """Times x in the field of GHASH, whose bits count from the most significant."""
    return a >> 1 ^ (0xE1 << 120 if a & 1 else 0)


def _reduced() -> list[int]:
    table = []
    for low in range(256):
        a = low
        for _ in range(8):
            a = _times_x(a)
        table.append(a)
    return table


#: A byte that is shifted out below, after the field's reduction.
_REDUCED: Final = _reduced()


class AesGcm:
    """AES-256-GCM with one key."""

    __slots__ = ("_product", "_words")

    def __init__(self, key: bytes) -> None:
        """``key``: 32 bytes."""
        self._words = _round_keys(key)
        power = int.from_bytes(self._block(bytes(BLOCK)), "big")
        product = [0] * 256
        for bit in range(7, -1, -1):
            product[1 << bit] = power
            power = _times_x(power)
        for i in range(256):
            product[i] = product[i & -i] ^ product[i & i - 1] if i & i - 1 else product[i]
        self._product = product

    def seal(self, nonce: bytes, data: bytes, header: bytes) -> bytes:
        """Encipher; the tag also covers the header. ``nonce``: 12 bytes, never twice with one key."""
        sent = self._counted(nonce, data)
        return sent + self._tag(nonce, sent, header)

    def open(self, nonce: bytes, sealed: bytes, header: bytes) -> bytes | None:
        """Decipher what `seal` made; None if anything of it was changed."""
        sent, tag = sealed[:-TAG], sealed[-TAG:]
        if not hmac.compare_digest(tag, self._tag(nonce, sent, header)):
            return None
        return self._counted(nonce, sent)

    def _block(self, block: bytes) -> bytes:
        """One block of AES."""
        words = self._words
        t0, t1, t2, t3 = _COLUMN
        a, b, c, d = (x ^ k for x, k in zip(struct.unpack(">4I", block), words))
        for at in range(4, 4 * _ROUNDS, 4):
            a, b, c, d = (
                t0[a >> 24] ^ t1[b >> 16 & 255] ^ t2[c >> 8 & 255] ^ t3[d & 255] ^ words[at],
                t0[b >> 24] ^ t1[c >> 16 & 255] ^ t2[d >> 8 & 255] ^ t3[a & 255] ^ words[at + 1],
                t0[c >> 24] ^ t1[d >> 16 & 255] ^ t2[a >> 8 & 255] ^ t3[b & 255] ^ words[at + 2],
                t0[d >> 24] ^ t1[a >> 16 & 255] ^ t2[b >> 8 & 255] ^ t3[c & 255] ^ words[at + 3],
            )
        s = _SBOX
        last = (
            (s[p >> 24] << 24 | s[q >> 16 & 255] << 16 | s[r >> 8 & 255] << 8 | s[t & 255]) ^ k
            for (p, q, r, t), k in zip(((a, b, c, d), (b, c, d, a), (c, d, a, b), (d, a, b, c)), words[-4:])
        )
        return struct.pack(">4I", *last)

    def _counted(self, nonce: bytes, data: bytes) -> bytes:
        """Counter mode; the first counter is the tag's."""
        out = bytearray()
        for counter, at in enumerate(range(0, len(data), BLOCK), 2):
            mask = self._block(nonce + counter.to_bytes(4, "big"))
            out += bytes(a ^ b for a, b in zip(data[at : at + BLOCK], mask))
        return bytes(out)

    def _tag(self, nonce: bytes, sent: bytes, header: bytes) -> bytes:
        product, state = self._product, 0
        for block in _padded(header, sent):
            state ^= int.from_bytes(block, "big")
            total = 0
            for _ in range(BLOCK):
                total = total >> 8 ^ _REDUCED[total & 255] ^ product[state & 255]
                state >>= 8
            state = total
        mask = self._block(nonce + b"\0\0\0\1")
        return bytes(a ^ b for a, b in zip(state.to_bytes(BLOCK, "big"), mask))

    def __repr__(self) -> str:
        return "<AesGcm>"


def _padded(header: bytes, sent: bytes) -> Iterator[bytes]:
    """The blocks of GHASH: both parts, each filled up with zeros, and their lengths in bits."""
    for part in (header, sent):
        for at in range(0, len(part), BLOCK):
            yield part[at : at + BLOCK].ljust(BLOCK, b"\0")
    yield struct.pack(">2Q", 8 * len(header), 8 * len(sent))
