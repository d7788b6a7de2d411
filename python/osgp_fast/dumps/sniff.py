"""What an input is, told by its first bytes."""

from __future__ import annotations

import re
from typing import Final, Literal

__all__ = ["HEAD", "Format", "is_tar_header", "sniff"]

Format = Literal[
    "empty", "zip", "gzip", "zstd", "tar", "parquet", "arrow_file", "arrow_stream", "termineter", "unknown"
]

HEAD: Final = 4096
"""Bytes of the start that `sniff` wants."""

_TERMINETER: Final = re.compile(rb"\s*[0-9]{1,5},[^\r\n]*,[0-9]{1,8},(?:[0-9A-Fa-f]{2})*(?:\r?\n|\Z)")
_TERMINETER_CUT: Final = re.compile(rb"\s*[0-9]{1,5},[^\r\n,]*,[0-9]{1,8},[0-9A-Fa-f]*\Z")


def is_tar_header(block: bytes) -> bool:
    """Whether 512 bytes are the header of a tar member: their sum stands in them (POSIX.1-1988, ustar)."""
    if len(block) < 512 or not any(block):
        return False
    digits = block[148:156].strip(b" \0")
    if not digits or not all(0x30 <= d < 0x38 for d in digits):
        return False
    return int(digits, 8) == sum(block[:148]) + 8 * 0x20 + sum(block[156:512])


def sniff(head: bytes) -> Format:
    """The format of a file that starts with these bytes (`HEAD` of them, or all)."""
    if not head:
        return "empty"
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"):
        return "zip"
    if head[:2] == b"\x1f\x8b":
        return "gzip"
    if head[:4] == b"\x28\xb5\x2f\xfd":
        return "zstd"
    if head[:4] in (b"PAR1", b"PARE"):
        return "parquet"
    if head[:6] == b"ARROW1":
        return "arrow_file"
    # A stream opens with the continuation mark, the length of its schema message, and a flatbuffer's root offset.
    if head[:4] == b"\xff\xff\xff\xff" and len(head) >= 12:
        size, root = int.from_bytes(head[4:8], "little"), int.from_bytes(head[8:12], "little")
        if 16 <= size < 1 << 24 and size % 8 == 0 and 4 <= root < 64:
            return "arrow_stream"
    if is_tar_header(head[:512]):
        return "tar"
    if _TERMINETER.match(head) or (len(head) >= HEAD and _TERMINETER_CUT.match(head)):
        return "termineter"
    return "unknown"
