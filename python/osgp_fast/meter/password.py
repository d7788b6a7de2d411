"""The password of the optical port: what was meant by what was given, and never a word of it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..errors import UsageError

#: The environment variable that is looked at last.
VARIABLE: Final = "OSGP_PASSWORD"
#: Bytes of a password in the security service of C12.18; shorter ones are filled with zeros.
SIZE: Final = 20
_HEX: Final = re.compile(r"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{32}")
_HINT: Final = "a password has 20 characters, or 40 hex digits (16 and 32 where the key has 16 bytes)"


@dataclass(frozen=True, slots=True)
class Password:
    """The bytes that the meter is given, and in which form they came."""

    secret: bytes = field(repr=False)
    form: str
    """For people: ``20 characters``, ``40 hex digits``."""


def parse_password(text: str | bytes) -> Password:
    """What a password means: 40 (or 32) hex digits are bytes, 0x before them too; else its characters, up to 20.

    Raises: UsageError "usage.password", which does not show it.
    """
    if isinstance(text, bytes):
        if not 1 <= len(text) <= SIZE:
            raise _wrong(f"has {len(text)} bytes")
        return Password(text, f"{len(text)} bytes")
    bare = re.sub(r"[\s:-]", "", text.strip().removeprefix("0x"))
    if _HEX.fullmatch(bare):
        return Password(bytes.fromhex(bare), f"{len(bare)} hex digits")
    if not 1 <= len(text) <= SIZE:
        raise _wrong(f"has {len(text)} characters")
    try:
        return Password(text.encode("latin-1"), f"{len(text)} character{'s' if len(text) > 1 else ''}")
    except UnicodeEncodeError:
        raise _wrong("has characters that no meter knows") from None


def _wrong(how: str) -> UsageError:
    return UsageError("usage.password", f"the password {how}", _HINT)


def find_password(
    password: str | bytes | None, file: str | os.PathLike[str] | None, *, variable: str = VARIABLE
) -> Password | None:
    """The argument, else the first line of the file, else the environment; None: there is none.

    Raises: UsageError "usage.password", "usage.password_file".
    """
    if password is not None:
        return parse_password(password)
    if file is not None:
        try:
            lines = Path(file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise UsageError(
                "usage.password_file", f"the password file {os.fspath(file)} cannot be read: {reason}", "check its name"
            ) from None
        return parse_password(lines[0] if lines else "")
    found = os.environ.get(variable)
    return parse_password(found) if found else None
