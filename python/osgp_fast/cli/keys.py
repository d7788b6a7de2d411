"""Keys of the MEP port as people give them: on the command line, in a file, in the environment. Never printed."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from ..errors import SecurityError, UsageError
from ..security.key import LONGEST, MAX_FILE, SHORTEST, Key

__all__ = ["VARIABLE", "keys_of"]

VARIABLE: Final = "OSGP_MEP_KEY"
_FORMS: Final = "write 32 or 40 hex digits, or 16 or 20 ASCII characters; @FILE reads them from a file"
_BETWEEN: Final = re.compile(r"[\s:-]")


def keys_of(values: Sequence[str], *, quiet: bool = False) -> list[bytes]:
    """The keys that were given, as they are or as ``@FILE``; else the one of the environment.

    Says on the standard error when characters were taken as they are. Raises: UsageError "usage.key".
    """
    given = list(values) or [text for text in [os.environ.get(VARIABLE, "")] if text]
    return [_key(_text(value), quiet) for value in given]


def _text(value: str) -> str:
    if not value.startswith("@"):
        return value
    try:
        with Path(value[1:]).open("rb") as file:
            return file.read(MAX_FILE).decode("ascii").strip()
    except (OSError, ValueError):
        raise UsageError("usage.key", f"no key can be read from {value[1:]}", "name a file of hex digits") from None


def _key(text: str, quiet: bool) -> bytes:
    digits = _BETWEEN.sub("", text)
    for form in (digits, text) if len(digits) in (32, 40) else (text,):
        try:
            key = Key.from_text(form)
        except SecurityError:
            continue
        if "ASCII" in key.form and not quiet:
            click.echo(f"osgp-fast: the key was taken as {key.form}", err=True)
        return key.used
    try:
        # Keys of other lengths, as the 12 bytes of an OMA key.
        short = bytes.fromhex(digits)
    except ValueError:
        raise UsageError("usage.key", "a key is not hex", _FORMS) from None
    if not SHORTEST <= len(short) <= LONGEST:
        raise UsageError("usage.key", f"a key has {len(short)} bytes; it has {SHORTEST} to {LONGEST}", _FORMS)
    return short
