"""Keys of the MEP port: parsed from text, never shown.

A meter holds 20 bytes for each of its two keys and uses the first 16. Source: MEP guide pp. 13, 18.
"""

from __future__ import annotations

import hmac
import os
import string
from pathlib import Path
from typing import Final, NoReturn

from ..errors import SecurityError

#: Bytes of a key that are used; what follows them is not. Source: MEP guide p. 13.
USED: Final = 16
#: Lengths of a whole key in bytes.
LENGTHS: Final = (16, 20)
#: The shortest key that the digest is defined for. Source: MEP guide p. 251, "Digest Function Reference Implementation".
SHORTEST: Final = 6
#: The longest, which is that of the meter's fields.
LONGEST: Final = 20
#: A file that is longer holds no key.
MAX_FILE: Final = 1024

_FORMS = "32 or 40 hexadecimal digits, or 16 or 20 ASCII characters"


class Key:
    """A key of 16 or 20 bytes. Neither its repr nor an error shows them; it cannot be pickled.

    ``form`` says how the text was taken ("32 hexadecimal digits", "16 ASCII characters", ...), for people who wonder
    why their key does not work.
    """

    __slots__ = ("_bytes", "form")

    form: str

    def __init__(self, data: bytes, *, form: str = "") -> None:
        """Raises: SecurityError "security.key_length" for other than 16 or 20 bytes."""
        if len(data) not in LENGTHS:
            raise SecurityError(
                "security.key_length", f"a key of {len(data)} bytes; it has 16 or 20", got=len(data), expected=LENGTHS
            )
        self._bytes = bytes(data)
        self.form = form or f"{len(data)} bytes"

    @classmethod
    def from_text(cls, text: str) -> Key:
        """A key as people write it: 32 or 40 hexadecimal digits, or 16 or 20 printable ASCII characters as they are.

        The four lengths differ, so each text has one meaning. Raises: SecurityError "security.key_form".
        """
        if len(text) in (32, 40) and all(c in string.hexdigits for c in text):
            return cls(bytes.fromhex(text), form=f"{len(text)} hexadecimal digits")
        if len(text) in LENGTHS and text.isascii() and text.isprintable():
            return cls(text.encode("ascii"), form=f"{len(text)} ASCII characters")
        raise SecurityError(
            "security.key_form",
            f"the key is none: {_describe(text)}; expected {_FORMS}",
            "write hexadecimal digits without 0x and without spaces",
            got=len(text),
            expected=_FORMS,
        )

    @classmethod
    def from_environment(cls, variable: str) -> Key:
        """The key in an environment variable. Raises: SecurityError "security.key_source", "security.key_form"."""
        text = os.environ.get(variable)
        if not text:
            raise SecurityError(
                "security.key_source", f"the environment variable {variable} is not set", "set it to the key"
            )
        return cls.from_text(text)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Key:
        """The key in a text file of one line. Raises: SecurityError "security.key_source", "security.key_form"."""
        try:
            with Path(path).open("rb") as file:
                data = file.read(MAX_FILE + 1)
        except OSError as error:
            raise SecurityError(
                "security.key_source",
                f"the key file {os.fspath(path)} cannot be read: {error.strerror}",
                "check its name and its permissions",
            ) from None
        # Latin-1 takes any byte, so that the error says what is there and not that it cannot be decoded.
        return cls.from_text(data.decode("latin-1").removesuffix("\n").removesuffix("\r"))

    @property
    def used(self) -> bytes:
        """The 16 bytes that digest, RC4 and TLS use. Do not keep, print or log them."""
        return self._bytes[:USED]

    def __len__(self) -> int:
        return len(self._bytes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and hmac.compare_digest(self._bytes, other._bytes)

    __hash__ = None  # type: ignore[assignment]  # a hash of a secret would be a place where it shows

    def __repr__(self) -> str:
        return f"<Key of {len(self._bytes)} bytes from {self.form}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Key cannot be pickled: hand over where it comes from instead")


def used_bytes(key: Key | bytes) -> bytes:
    """The bytes of a key that are used: the first 16, or all where it is shorter, as the 12 bytes of an OMA key.

    Raises: SecurityError "security.key_length" for fewer than 6 or more than 20 bytes.
    """
    if isinstance(key, Key):
        return key.used
    if not SHORTEST <= len(key) <= LONGEST:
        raise SecurityError(
            "security.key_length",
            f"a key of {len(key)} bytes; it has {SHORTEST} to {LONGEST}",
            got=len(key),
            expected=(SHORTEST, LONGEST),
        )
    return bytes(key[:USED])


def _describe(text: str) -> str:
    """What a text is, without saying what it holds."""
    if not text:
        return "it is empty"
    if not text.isascii():
        kind = "with characters outside ASCII"
    elif not text.isprintable():
        kind = "with control characters"
    elif all(c in string.hexdigits for c in text):
        kind = "all hexadecimal digits"
    else:
        kind = "not all hexadecimal digits"
    return f"{len(text)} characters, {kind}"
