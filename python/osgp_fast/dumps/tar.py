"""Tar archives: a scan of the headers (ustar, GNU long names, pax paths and sizes).

Our own reader because a hostile archive is the normal case here: the standard library's takes the length of an extended
header as a number of bytes to read into memory.
"""

from __future__ import annotations

from typing import Any, BinaryIO, Final

from ..reject import MAX_DATA
from .files import check_size, read_at
from .index import ReadError
from .listing import Raw

__all__ = ["Stored", "is_tar", "list_tar"]

BLOCK: Final = 512
MAX_NAME: Final = 1 << 16
"""Longer than any path."""


class Stored:
    """A source of members that stand in an archive as they are."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def read(self, where: Any) -> bytes:
        offset, size = where
        check_size(size, lambda: read_at(self.file, offset, MAX_DATA))
        try:
            data = read_at(self.file, offset, size)
        except OSError as error:
            raise ReadError("archive.damaged", f"the archive is cut short: {error.strerror}") from None
        if len(data) != size:
            raise ReadError("archive.damaged", "the archive is cut short: failed to fill whole buffer")
        return data

    def head(self, member: Raw, size: int) -> bytes:
        """The first bytes of a member."""
        return read_at(self.file, member.where, min(size, member.size))

    def close(self) -> None:
        self.file.close()


def is_tar(block: bytes) -> bool:
    """Whether 512 bytes are the header of a member: their sum stands in them."""
    if len(block) < BLOCK or block[0] == 0:
        return False
    return _number(block[148:156]) == sum(block[:148]) + 8 * 0x20 + sum(block[156:BLOCK])


def _number(field: bytes) -> int | None:
    if field[0] & 0x80:
        # Base 256, for what octal cannot hold.
        value = int.from_bytes(field, "big") - (0x80 << 8 * (len(field) - 1))
        return value if value < 1 << 64 else None
    digits = field.lstrip(b" ").replace(b" ", b"\0").partition(b"\0")[0]
    if not digits:
        return 0
    try:
        return int(digits, 8) if digits.isdigit() else None
    except ValueError:
        return None


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def list_tar(file: BinaryIO, size: int) -> tuple[list[Raw], str | None]:
    """The members, and what is wrong where the scan had to end early."""
    members: list[Raw] = []
    at = 0
    long_name: str | None = None
    long_size: int | None = None
    while at + BLOCK <= size:
        header = read_at(file, at, BLOCK)
        if not any(header):
            return members, None
        if not is_tar(header):
            return members, f"at byte {at} there is no header; what stands after it is not read"
        at += BLOCK
        kind = header[156:157]
        length = _number(header[124:136])
        if length is None:
            return members, f"the header before byte {at} has an impossible size"
        # pax and GNU headers describe the member after them; its own size never applies to them.
        if kind not in (b"L", b"K", b"x", b"g") and long_size is not None:
            length, long_size = long_size, None
        following = at + -(-length // BLOCK) * BLOCK
        if at + length > size:
            return members, "the archive is cut short; its last member is not used"
        if kind in (b"L", b"x") and length > MAX_NAME:
            return members, f"a name of {length} bytes at byte {at}; the rest is not read"
        if kind == b"L":
            long_name = _text(read_at(file, at, length))
        elif kind == b"x":
            for key, value in _pax(read_at(file, at, length)):
                if key == "path":
                    long_name = value
                elif key == "size":
                    long_size = int(value) if value.isascii() and value.isdigit() and int(value) < 1 << 64 else None
        elif kind not in (b"K", b"g"):
            name = long_name
            long_name = None
            if name is None:
                name, prefix = _text(header[:100]), _text(header[345:500])
                if header[257:263] == b"ustar\0" and prefix:
                    name = f"{prefix}/{name}"
            if kind in (b"0", b"\0", b"7"):
                members.append(Raw(name, length, "dir" if name.endswith("/") else "file", at))
            else:
                members.append(Raw(name, length, "dir" if kind == b"5" else "special", at))
        at = following
    # Some writers leave out the two empty blocks at the end; a partial block is damage.
    return members, "the archive is cut short in a header" if at < size else None


def _pax(data: bytes) -> list[tuple[str, str]]:
    """``27 path=a/b\\n`` records."""
    out = []
    while (space := data.find(b" ")) >= 0:
        digits = data[:space]
        size = int(digits) if digits.isdigit() and space < 20 else 0
        if not space < size <= len(data):
            break
        key, equals, value = data[space + 1 : size].removesuffix(b"\n").decode("utf-8", "replace").partition("=")
        if equals:
            out.append((key, value))
        data = data[size:]
    return out
