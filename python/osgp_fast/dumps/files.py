"""Tables that are files: read when their meter is decoded, never more of one than a table can hold."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any, Final

from ..image import MAX_TABLE
from ..reject import MAX_DATA
from .index import ReadError

__all__ = ["EMPTY", "FILES", "Files", "not_a_file", "not_recognised", "os_reason", "too_large"]

EMPTY: Final = "the file is empty; read the table again, or delete the file"
FIRST: Final = 64
"""Bytes of the start that a reject shows of something that is no table."""


def os_reason(error: OSError) -> str:
    """The operating system's words for an error, without the path."""
    return (os.strerror(error.errno) if error.errno is not None else str(error)) or type(error).__name__


def too_large(size: int) -> str:
    """The reason of ``input.too_large``."""
    return (
        f"{size} bytes are more than a table can hold ({MAX_TABLE}); only the first 64 KiB are kept; is this a table?"
    )


def not_recognised(name: str) -> str:
    """The reason of ``input.not_recognised`` for a file in a dump."""
    if name.lower().endswith(".bin"):
        return "the name says no table: tables are BTnn.bin, ETnn.bin or BTnn.pending.bin; rename or remove the file"
    return "not recognised: neither a table (BTnn.bin, ETnn.bin) nor a note; remove the file, or decode it on its own"


def not_a_file(mode: int) -> str:
    """The reason of ``input.not_a_file``."""
    kind = (
        "a FIFO"
        if stat.S_ISFIFO(mode)
        else "a socket"
        if stat.S_ISSOCK(mode)
        else "a device"
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode)
        else "no regular file"
    )
    return f"{kind}, which is never opened; copy its contents to a file"


class Files:
    """A source of table images whose bytes are whole files."""

    def read(self, where: Any) -> bytes:
        path = Path(os.fsdecode(where))
        try:
            with path.open("rb", buffering=0) as file:
                info = os.fstat(file.fileno())
                if not stat.S_ISREG(info.st_mode):
                    raise ReadError("input.not_a_file", not_a_file(info.st_mode))
                if info.st_size > MAX_TABLE:
                    raise ReadError("input.too_large", too_large(info.st_size), file.read(MAX_DATA), info.st_size)
                data = file.read(MAX_TABLE + 1) if info.st_size > 1 << 20 else file.read()
        except OSError as error:
            raise ReadError("input.unreadable", unreadable(error)) from None
        if len(data) > MAX_TABLE:
            raise ReadError("input.too_large", too_large(len(data)), data[:MAX_DATA], len(data))
        if not data:
            raise ReadError("input.empty", EMPTY)
        return data

    def close(self) -> None:
        """Nothing is kept open."""


FILES: Final = Files()


def unreadable(error: OSError) -> str:
    """The reason of ``input.unreadable``."""
    hint = "check its permissions" if error.errno in (errno.EACCES, errno.EPERM) else "check that it is there and whole"
    return f"cannot be read: {os_reason(error)}; {hint}"


def head(path: str | bytes, size: int = FIRST) -> bytes:
    """The first bytes of a file, none if it cannot be read."""
    try:
        with Path(os.fsdecode(path)).open("rb", buffering=0) as file:
            return file.read(size)
    except OSError:
        return b""
