"""The members of a tar stream, whatever is in it: ustar, pax (path, size), GNU long names.

Our own reader because the standard library's takes the length of an extended header as a number of bytes to read into
memory, and a hostile archive says any. Here nothing is read by a number in the data but in small steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from .sniff import is_tar_header

__all__ = ["Damaged", "Member", "TarReader"]

MAX_HEADER: Final = 1 << 20
"""The longest pax header or GNU name that is taken: names are at most some thousand bytes."""
STEP: Final = 1 << 20


class Damaged(Exception):
    """The archive ends, or makes no sense, at this place."""


class Stream(Protocol):
    """What a tar is read from."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Member:
    """A member: its name as bytes, "file", "dir" or "other", and the length of its data."""

    name: bytes
    kind: str
    size: int


class TarReader:
    """Iterate over members; `read` gives bytes of the current one, the rest is skipped."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._left = 0
        self._padding = 0

    def read(self, size: int) -> bytes:
        """Bytes of the current member. Raises: Damaged if the archive ends in it."""
        size = min(size, self._left)
        data = self._exactly(size)
        self._left -= size
        return data

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            part = self._stream.read(min(size, STEP))
            if not part:
                raise Damaged("the archive ends in the middle of a member")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _skip(self) -> None:
        left, self._left = self._left + self._padding, 0
        while left:
            part = self._stream.read(min(left, STEP))
            if not part:
                raise Damaged("the archive ends in the middle of a member")
            left -= len(part)

    def __iter__(self) -> Iterator[Member]:
        name: bytes | None = None
        size: int | None = None
        while True:
            self._skip()
            self._padding = 0
            block = b""
            while len(block) < 512 and (part := self._stream.read(512 - len(block))):
                block += part
            if not block or not any(block):
                return
            if not is_tar_header(block):
                raise Damaged("what should be the header of a member is none")
            kind = block[156:157]
            length = _number(block[124:136])
            if kind in b"xgLK" and kind:
                if length > MAX_HEADER:
                    raise Damaged(f"an extended header of {length} bytes")
                data = self._exactly(length)
                self._padding = -length % 512
                if kind == b"L":
                    name = data.rstrip(b"\0")
                elif kind == b"x":
                    records = _pax(data)
                    name = records.get(b"path", name)
                    if (digits := records.get(b"size", b"")).isdigit() and len(digits) < 19:
                        size = int(digits)
                continue
            own = _cut(block[:100])
            if block[257:262] == b"ustar" and block[257:265] != b"ustar  \0" and (prefix := _cut(block[345:500])):
                own = prefix + b"/" + own
            full = own if name is None else name
            if size is not None:
                length = size
            what = "file" if kind in (b"0", b"\0", b"7") else "dir" if kind == b"5" else "other"
            if what == "file" and full.endswith(b"/"):
                what = "dir"
            # Links, devices and folders have no data, whatever their size field says.
            self._left = length if what == "file" or kind not in (b"1", b"2", b"3", b"4", b"5", b"6") else 0
            self._padding = -self._left % 512
            name = size = None
            yield Member(full, what, self._left)


def _cut(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << 95) - 1)
        if field[0] & 0x40 or value >= 1 << 63:
            raise Damaged("a member of impossible size")
        return value
    digits = field.strip(b" \0")
    if not digits:
        return 0
    if not all(0x30 <= d < 0x38 for d in digits):
        raise Damaged("a size that is no number")
    return int(digits, 8)


def _pax(data: bytes) -> dict[bytes, bytes]:
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        digits = data[at:space] if space > 0 else b""
        if not digits.isdigit():
            break
        end = at + int(digits)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not equals or end > len(data) or end <= space:
            break
        records[key] = value
        at = end
    return records
