"""The key of the MEP port: where it comes from, and in which form it was taken."""

from __future__ import annotations

import os
from typing import Final

from ..errors import UsageError
from ..security import Key

#: The environment variable that is looked at last.
VARIABLE: Final = "OSGP_MEP_KEY"


def find_key(key: Key | str | bytes | None, file: str | os.PathLike[str] | None) -> tuple[Key | bytes, str]:
    """The argument, else the key file, else the environment; and its form in words: ``32 hexadecimal digits``.

    Bytes are taken as they are (6 to 20; the first 16 count). Raises: UsageError "usage.key" where there is none,
    SecurityError ("security.key_form", "security.key_length", "security.key_source"). None of them shows it.
    """
    if isinstance(key, bytes):
        return key, f"{len(key)} bytes"
    if isinstance(key, str):
        key = Key.from_text(key)
    elif key is None and file is not None:
        key = Key.from_file(file)
    elif key is None and os.environ.get(VARIABLE):
        key = Key.from_environment(VARIABLE)
    if key is None:
        raise UsageError(
            "usage.key",
            "the MEP port needs a key: nothing can be read without",
            f"give the MAK or MBK as key=, in a key file (key_file=, --key-file) or as {VARIABLE}",
        )
    return key, key.form
