"""What an input is, told by its first bytes."""

from __future__ import annotations

from typing import Final, Literal

from .tar import is_tar
from .termineter_csv import is_csv
from .zip import is_zip

__all__ = ["HEAD", "Format", "sniff"]

Format = Literal[
    "empty",
    "parquet",
    "parquet_encrypted",
    "arrow_file",
    "arrow_stream",
    "zip",
    "tar",
    "gzip",
    "zstd",
    "csv",
    "unknown",
]

HEAD: Final = 4096
"""Bytes of the start that `sniff` wants."""


def sniff(head: bytes) -> Format:
    """The format of a file that starts with these bytes (`HEAD` of them, or all)."""
    if not head:
        return "empty"
    if head[:4] in (b"PAR1", b"PARE"):
        return "parquet" if head[:4] == b"PAR1" else "parquet_encrypted"
    if head[:6] == b"ARROW1":
        return "arrow_file"
    # A stream opens with the continuation mark and the length of its schema message.
    if head[:4] == b"\xff\xff\xff\xff" and len(head) >= 8:
        size = int.from_bytes(head[4:8], "little", signed=True)
        if 16 <= size < 1 << 24 and size % 8 == 0:
            return "arrow_stream"
    if is_zip(head):
        return "zip"
    if is_tar(head):
        return "tar"
    if head[:3] == b"\x1f\x8b\x08":
        return "gzip"
    if head[:4] == b"\x28\xb5\x2f\xfd":
        return "zstd"
    return "csv" if is_csv(head) else "unknown"
