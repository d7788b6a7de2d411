"""Made-up values: of the same form as the real ones, the same one for the same value, and nothing that leads back.

Everything follows from a key that is thrown away (or kept in the owner's map), by HMAC-SHA-256 of the value. Digits stay
digits, letters stay letters of their case, leading zeros, blanks and signs stay what they are.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from ..wire.c1218 import MASK

__all__ = ["Names"]

#: Bytes of the key.
KEY: Final = 32
#: So often another value is tried where a made-up one is taken; there are only nine single digits.
_TRIES: Final = 64
#: The shortest word, and the shortest digits in BCD, that are looked for in bytes that no row describes.
_WORD: Final = 6
_BCD: Final = 8

_DIGITS: Final = b"0123456789"
_UPPER: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LOWER: Final = b"abcdefghijklmnopqrstuvwxyz"
_CLASSES: Final = (_DIGITS, _UPPER, _LOWER)
_RUN: Final = re.compile(rb"[0-9A-Za-z\x80-\xff]+")
_PLAIN: Final = re.compile(rb"([A-Za-z]*)([0-9]*)")
_PRINTABLE: Final = re.compile(rb"[ -~]*\0*")


class Names:
    """What real values become. ``real`` and ``made`` of an earlier run keep several files consistent."""

    def __init__(self, key: bytes | None = None, known: Mapping[str, str] | None = None) -> None:
        self.key = secrets.token_bytes(KEY) if key is None else key
        #: Real words (digits, letters) and what they became: the owner's map, which is as secret as they are.
        self.words: dict[str, str] = dict(known or {})
        self._made = set(self.words.values())
        #: What was replaced, by kind: places, and the values that stood there (hashed).
        self.places: Counter[str] = Counter()
        self._values: dict[str, set[bytes]] = {}
        #: Bytes to look for where no row says what bytes are.
        self._known: dict[bytes, bytes] = {}
        self._search: re.Pattern[bytes] | None = None
        for word in self.words:
            self._remember(word.encode("latin-1"), self.words[word].encode("latin-1"))

    def reset(self) -> None:
        """Count anew."""
        self.places.clear()
        self._values.clear()

    @property
    def counts(self) -> dict[str, tuple[int, int]]:
        """By kind: how many different values (0 where they were only hidden), in how many places."""
        return {kind: (len(self._values.get(kind, ())), places) for kind, places in sorted(self.places.items())}

    def hid(self, kind: str) -> None:
        """Bytes were hidden behind a mask."""
        self.places[kind] += 1

    def _count(self, kind: str, value: bytes) -> None:
        self.places[kind] += 1
        self._values.setdefault(kind, set()).add(self._digest(b"count", value))

    def _digest(self, what: bytes, value: bytes) -> bytes:
        return hmac.digest(self.key, what + b"\0" + value, hashlib.sha256)

    def _stream(self, what: bytes, value: bytes) -> Iterator[int]:
        block = 0
        while True:
            yield from self._digest(what + block.to_bytes(4, "big"), value)
            block += 1

    # ---- words

    def text(self, kind: str, value: bytes) -> bytes:
        """Text: every word becomes another one; a number becomes the same number wherever it stands."""
        if _blank(value):
            return value
        self._count(kind, value.rstrip(b"\0 "))
        return _RUN.sub(lambda match: self._run(match[0]), value)

    def _run(self, run: bytes) -> bytes:
        plain = _PLAIN.fullmatch(run)
        if plain is None or (plain[1] and plain[2] and len(plain[2]) < 4):
            return self._word(run)
        return self._word(plain[1]) + self._number(plain[2])

    def _number(self, digits: bytes) -> bytes:
        short = digits.lstrip(b"0")
        if not short:
            return digits
        made = digits[: len(digits) - len(short)] + self._word(short)
        self._remember(digits, made)
        return made

    def _word(self, word: bytes) -> bytes:
        if not word:
            return word
        name = word.decode("latin-1")
        if name not in self.words:
            for attempt in range(_TRIES):
                made = _like(word, self._stream(b"word%d" % attempt, word)).decode("latin-1")
                if made != name and made not in self._made and made not in self.words:
                    break
            self.words[name] = made
            self._made.add(made)
        made_word = self.words[name].encode("latin-1")
        self._remember(word, made_word)
        return made_word

    def bcd(self, kind: str, value: bytes, *, low_first: bool = False) -> bytes:
        """Packed digits; what is no digit stays."""
        order = value[::-1] if low_first else value
        if not any(order) or set(order) == {0xFF}:
            return value
        self._count(kind, order)
        text = order.hex()
        made = re.sub("[0-9]+", lambda match: self._number(match[0].encode()).decode(), text)
        out = bytes.fromhex(made)
        return out[::-1] if low_first else out

    def number(self, kind: str, value: bytes) -> bytes:
        """A binary number, least significant byte first; another one of as many bits."""
        real = int.from_bytes(value, "little")
        if real == 0:
            return value
        self._count(kind, value)
        bits = real.bit_length()
        stream = self._stream(b"number", value)
        made = int.from_bytes(bytes(next(stream) for _ in value), "little") & (1 << bits) - 1 | 1 << bits - 1
        return made.to_bytes(len(value), "little")

    # ---- bytes

    def secret(self, kind: str, value: bytes) -> bytes:
        """A password or a key: readable ones stay readable, the zeros at its end stay; a masked one stays masked."""
        if _blank(value):
            return value
        self._count(kind, value)
        end = len(value.rstrip(b"\0 "))
        made = self._bytes(value[:end], readable=_PRINTABLE.fullmatch(value) is not None) + value[end:]
        if end >= _WORD:
            self._known[value[:end]] = made[:end]
            self._search = None
        return made

    def octets(self, kind: str, value: bytes) -> bytes:
        """Bytes whose meaning is not known: zeros stay, readable ones stay readable."""
        if _blank(value):
            return value
        self._count(kind, value)
        return self._bytes(value, readable=True)

    def _bytes(self, value: bytes, *, readable: bool) -> bytes:
        stream = self._stream(b"bytes", value)
        if readable:
            return _like(value, stream, others=True)
        return bytes(next(stream) for _ in value)

    # ---- where no row says what bytes are

    def _remember(self, real: bytes, made: bytes) -> None:
        if len(real) >= _WORD and real not in self._known:
            self._known[real] = made
            self._search = None
        if len(real) >= _BCD and len(real) % 2 == 0 and real.isdigit():
            packed, other = bytes.fromhex(real.decode()), bytes.fromhex(made.decode())
            self._known.setdefault(packed, other)
            self._known.setdefault(packed[::-1], other[::-1])

    def known(self, data: bytes, *, text: bool = False) -> bytes:
        """Bytes with every value replaced that was seen elsewhere; of ``text`` only readable ones, as whole numbers."""
        if self._search is None:
            real = sorted(self._known, key=lambda value: (-len(value), value))
            self._search = re.compile(b"|".join(map(_pattern, real)) if real else rb"(?!)")

        def replace(match: re.Match[bytes]) -> bytes:
            value = match[0]
            if text and not _PRINTABLE.fullmatch(value):
                return value
            self._count("values seen elsewhere", value)
            return self._known[value]

        return self._search.sub(replace, data)


def _pattern(value: bytes) -> bytes:
    escaped = re.escape(value)
    return rb"(?<![0-9])" + escaped + rb"(?![0-9])" if value.isdigit() else escaped


def _blank(value: bytes) -> bool:
    """Nothing, or what was masked before."""
    return not value.strip(b"\0 \xff") or not value.strip(b"\0" + bytes((MASK,)))


def _like(value: bytes, stream: Iterator[int], *, others: bool = False) -> bytes:
    """Random bytes of the same kind, one for one; with ``others`` also of bytes that are neither digits nor letters."""
    out = bytearray()
    for at, byte in enumerate(value):
        random = next(stream) << 8 | next(stream)
        kind = next((c for c in _CLASSES if byte in c), None)
        if kind is not None:
            # A number does not begin with a zero.
            first = kind is _DIGITS and (at == 0 or value[at - 1] not in _DIGITS) and byte != 0x30
            out.append(kind[1 + random % 9] if first else kind[random % len(kind)])
        elif byte >= 0x80 or (others and byte and not 0x20 <= byte < 0x7F):
            out.append(0xC0 + random % 63 if byte >= 0xC0 else 0x80 + random % 64 if byte >= 0x80 else 1 + random % 31)
        else:
            out.append(byte)
    return bytes(out)
