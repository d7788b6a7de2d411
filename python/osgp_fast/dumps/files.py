"""Words about files that several readers share, and reading at a place."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from ..image import MAX_TABLE
from ..reject import MAX_DATA
from .index import ReadError

__all__ = [
    "EMPTY",
    "HEAD",
    "NOT_A_FILE",
    "check_size",
    "head_of",
    "not_recognised",
    "os_reason",
    "read_at",
    "read_file",
]

HEAD: Final = 64
"""Bytes of the start that a reject shows of something unknown."""
EMPTY: Final = "the file is empty; read the table again, or delete the file"
NOT_A_FILE: Final = "a pipe, socket or device, not a plain file; it is not opened"


def os_reason(error: OSError) -> str:
    """The operating system's words for an error, without the path."""
    return (os.strerror(error.errno) if error.errno is not None else str(error)) or type(error).__name__


def not_recognised(name: str) -> str:
    """The reason of ``input.not_recognised`` for a file in a dump."""
    if name.lower().endswith(".bin"):
        return "the name says no table: tables are BTnn.bin, ETnn.bin or BTnn.pending.bin; rename or remove the file"
    return "not recognised: neither a table (BTnn.bin, ETnn.bin) nor a note; remove the file, or decode it on its own"


def check_size(size: int, head: Callable[[], bytes]) -> None:
    """A table has some bytes, but not too many. Raises: ReadError."""
    if size == 0:
        raise ReadError("input.empty", EMPTY)
    if size > MAX_TABLE:
        raise ReadError(
            "input.too_large",
            f"{size} bytes are more than a table can hold ({MAX_TABLE}); only the first 64 KiB are kept; is this a "
            "table?",
            head(),
            size,
        )


def read_at(file: BinaryIO, start: int, size: int) -> bytes:
    """Up to ``size`` bytes from a place. Memory grows with what is there, not with ``size``."""
    file.seek(start)
    parts = []
    while size > 0 and (part := file.read(min(size, 1 << 20))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def read_file(path: bytes, size: int) -> bytes:
    """A file that is ``size`` bytes long, or was when it was listed. Raises: OSError."""
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return b""
        data = os.read(fd, min(size, MAX_TABLE))
        while len(data) < size and (more := os.read(fd, size - len(data))):
            data += more
        return data
    finally:
        os.close(fd)


def head_of(path: str | bytes, size: int = HEAD) -> bytes:
    """The first bytes of a file, none if it cannot be read."""
    try:
        with Path(os.fsdecode(path)).open("rb", buffering=0) as file:
            return read_at(file, 0, min(size, MAX_DATA))
    except OSError:
        return b""
