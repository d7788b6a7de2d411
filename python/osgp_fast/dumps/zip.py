"""Zip archives, as far as a dump needs them: the central directory, stored and deflated members.

Our own reader because a dump's archive is hostile until shown otherwise: names that stand twice and sizes that lie have
to be seen, which the standard library hides or takes for an error of the whole. Source: PKWARE APPNOTE.TXT 4.3.6 to
4.3.16, 4.5.3.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, BinaryIO, Final, NamedTuple

from ..reject import MAX_DATA
from .files import check_size, read_at
from .index import ReadError
from .listing import Raw

__all__ = ["BadZip", "Zip", "is_zip"]

_LOCAL: Final = b"PK\x03\x04"
_CENTRAL: Final = b"PK\x01\x02"
_END: Final = b"PK\x05\x06"
_END_64: Final = b"PK\x06\x06"
_LOCATOR_64: Final = b"PK\x06\x07"
_STORED: Final = 0
_DEFLATED: Final = 8
_DIRECTORY: Final = "the zip archive's directory is broken; copy it again or repair it with `zip -F`"
_NO_DIRECTORY: Final = "the zip archive has no directory: it is cut short or broken; copy it again"


class BadZip(Exception):
    """The archive's directory cannot be read."""


class Place(NamedTuple):
    """Where a member's bytes are, and what they are said to be."""

    header: int
    compressed: int
    crc: int
    method: int


def is_zip(head: bytes) -> bool:
    """Whether the first bytes are those of a zip archive."""
    return head[:4] in (_LOCAL, _END)


class Zip:
    """A source of members of a zip archive."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file = file
        self.size = size

    def list(self) -> list[Raw]:
        """Read the central directory. Raises: BadZip."""
        start, end, shift = self._central()
        directory = read_at(self.file, start, end - start)
        if len(directory) != end - start:
            raise BadZip(_DIRECTORY)
        members: list[Raw] = []
        at = 0
        while at + 46 <= len(directory) and directory[at : at + 4] == _CENTRAL:
            made_by, flags, method = directory[at + 5], *struct.unpack_from("<HH", directory, at + 8)
            crc, compressed, size = struct.unpack_from("<LLL", directory, at + 16)
            name_size, extra_size, comment_size = struct.unpack_from("<HHH", directory, at + 28)
            attributes, header = struct.unpack_from("<LL", directory, at + 38)
            following = at + 46 + name_size + extra_size + comment_size
            if following > len(directory):
                raise BadZip(_DIRECTORY)
            raw_name = directory[at + 46 : at + 46 + name_size]
            extra = directory[at + 46 + name_size : at + 46 + name_size + extra_size]
            sizes = [size, compressed, header]
            zip64 = _extra_field(extra, 1)
            place = 0
            for i, value in enumerate(sizes):
                if value == 0xFFFF_FFFF and place + 8 <= len(zip64):
                    sizes[i] = int.from_bytes(zip64[place : place + 8], "little")
                    place += 8
            size, compressed, header = sizes
            # UTF-8 whether or not it is announced; else the names are some old code page: any one will do for a label.
            try:
                name = raw_name.decode()
            except UnicodeDecodeError:
                name = raw_name.decode("latin-1")
            mode = attributes >> 16 if made_by == 3 else 0
            members.append(
                Raw(
                    name,
                    size,
                    "dir"
                    if name.endswith("/")
                    else "encrypted"
                    if flags & 1
                    else "special"
                    if mode & 0o170000 not in (0, 0o100000)
                    else "file",
                    Place(header + shift, compressed, crc, method),
                )
            )
            at = following
        return members

    def _central(self) -> tuple[int, int, int]:
        """Start and end of the central directory, and how far what stands before the archive shifts everything."""
        begin = max(0, self.size - 22 - 65_535)
        tail = read_at(self.file, begin, 22 + 65_535)
        at = len(tail) - 21
        while True:
            at = tail.rfind(_END, 0, at + 3)
            if at < 0:
                raise BadZip(_NO_DIRECTORY)
            if at + 22 + int.from_bytes(tail[at + 20 : at + 22], "little") <= len(tail):
                break
        end = begin + at
        entries, size, offset = struct.unpack_from("<HLL", tail, at + 10)
        if entries == 0xFFFF or size == 0xFFFF_FFFF or offset == 0xFFFF_FFFF:
            locator = read_at(self.file, end - 20, 20) if end >= 20 else b""
            if len(locator) == 20 and locator[:4] == _LOCATOR_64:
                end = int.from_bytes(locator[8:16], "little")
                record = read_at(self.file, end, 56) if end < self.size else b""
                if len(record) != 56 or record[:4] != _END_64:
                    raise BadZip(_NO_DIRECTORY)
                entries, size, offset = struct.unpack_from("<QQQ", record, 32)
        if entries == 0:
            return end, end, 0
        start = end - size
        if start < 0 or start < offset:
            raise BadZip(_NO_DIRECTORY)
        return start, end, start - offset

    def _body(self, place: Place) -> int:
        """Where a member's bytes start. Raises: ReadError."""
        fixed = read_at(self.file, place.header, 30) if place.header < self.size else b""
        if len(fixed) != 30:
            raise ReadError("archive.damaged", "its place is outside the archive")
        if fixed[:4] != _LOCAL:
            raise ReadError("archive.damaged", "its local header is not where the directory says")
        name_size, extra_size = struct.unpack_from("<HH", fixed, 26)
        return place.header + 30 + int(name_size) + int(extra_size)

    def head(self, member: Raw, size: int) -> bytes:
        """The first bytes of a member, as far as they can be had."""
        return self._head(member.where, size)

    def _head(self, place: Place, size: int) -> bytes:
        try:
            return self._unpack(place, size)[0]
        except ReadError:
            return b""

    def _unpack(self, place: Place, limit: int) -> tuple[bytes, bool]:
        """Up to ``limit`` bytes of a member, and whether they were unpacked without an error. Raises: ReadError."""
        at = self._body(place)
        if place.method == _STORED:
            return read_at(self.file, at, min(limit, place.compressed)), True
        if place.method != _DEFLATED:
            raise ReadError(
                "archive.damaged",
                f"it is compressed with method {place.method}; only stored and deflated ones are read; pack it again",
            )
        unpacker = zlib.decompressobj(-15)
        out = bytearray()
        end = min(at + place.compressed, self.size)
        while at < end and len(out) < limit and not unpacker.eof:
            part = read_at(self.file, at, min(1 << 16, end - at))
            at += len(part)
            try:
                while part and len(out) < limit:
                    out += unpacker.decompress(part, limit - len(out))
                    part = unpacker.unconsumed_tail
            except zlib.error:
                return bytes(out), False
        return bytes(out), True

    def read(self, where: Any) -> bytes:
        place, size = where
        if place is None:
            raise ReadError("archive.encrypted", "the member is encrypted; unpack the archive and decode the folder")
        check_size(size, lambda: self._head(place, MAX_DATA))
        # Never more than one byte beyond what was announced: then it lies.
        data, whole = self._unpack(place, size + 1)
        if not whole:
            raise ReadError(
                "archive.damaged", "it cannot be unpacked: corrupt deflate stream; copy the archive again", data
            )
        if len(data) != size:
            raise ReadError("archive.damaged", f"it has not the {size} bytes that the archive's directory says", data)
        if (crc := zlib.crc32(data)) != place.crc:
            raise ReadError(
                "archive.damaged", f"its checksum is {crc:08x}, not {place.crc:08x}; copy the archive again", data
            )
        return data

    def close(self) -> None:
        self.file.close()


def _extra_field(extra: bytes, wanted: int) -> bytes:
    at = 0
    while at + 4 <= len(extra):
        identity, size = struct.unpack_from("<HH", extra, at)
        if at + 4 + size > len(extra):
            return b""
        if identity == wanted:
            return extra[at + 4 : at + 4 + size]
        at += 4 + size
    return b""
