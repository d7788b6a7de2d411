"""Compressed tar archives: unpacked into a file without a name, since members are read in any order."""

from __future__ import annotations

import tempfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from ..reject import Reject
from .index import Index
from .listing import bomb_reason, is_bomb
from .tar import is_tar

__all__ = ["starts_with_tar", "unpack"]

_STEP: Final = 1 << 18
_INSTALL: Final = (
    ".tar.zst is read by the compiled part of osgp-fast, by Python 3.14, or by zstandard (pip install zstandard)"
)
_ERRORS: Final = (OSError, EOFError, zlib.error, ValueError, RuntimeError)


class _Gunzip:
    """A gzip stream of any number of members; what comes before damage is given before the damage is told."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._unpacker = zlib.decompressobj(31)
        self._raw = b""

    def read(self, size: int) -> bytes:
        """Some bytes, none at the end. Raises: ValueError, EOFError."""
        while True:
            if self._unpacker.eof:
                rest = self._unpacker.unused_data or self._raw or self._file.read(_STEP)
                if not rest.lstrip(b"\0"):
                    return b""
                self._unpacker, self._raw = zlib.decompressobj(31), rest
            elif not self._raw:
                self._raw = self._file.read(_STEP)
                if not self._raw:
                    raise EOFError("incomplete deflate stream")
            try:
                data = self._unpacker.decompress(self._raw, size)
            except zlib.error as error:
                raise ValueError(_gzip_words(str(error))) from None
            self._raw = self._unpacker.unconsumed_tail
            if data:
                return data


def _gzip_words(error: str) -> str:
    """zlib's words, in those of the compiled reader."""
    if "check" in error and "header" not in error:
        return "corrupt gzip stream does not have a matching checksum"
    return "invalid gzip header" if "header" in error else "corrupt deflate stream"


def _reader(file: BinaryIO, format: str) -> tuple[Any, tuple[type[Exception], ...]]:
    """A stream of what is packed, and the errors that reading it may raise. Raises: ImportError."""
    if format == "gzip":
        return _Gunzip(file), _ERRORS
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14

        return zstd.ZstdFile(file), (*_ERRORS, zstd.ZstdError)
    except ImportError:
        pass
    try:
        import zstandard  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise ImportError(_INSTALL) from None
    unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    return unpacker.stream_reader(file, read_across_frames=True), (*_ERRORS, zstandard.ZstdError)


def starts_with_tar(path: str, format: str) -> bool:
    """Whether what is packed is a tar archive."""
    with Path(path).open("rb") as file:
        stream, errors = _reader(file, format)
        block = b""
        try:
            while len(block) < 512 and (part := stream.read(512 - len(block))):
                block += part
        except errors:
            return False
    return is_tar(block)


def unpack(index: Index, path: str, format: str, size: int) -> tuple[BinaryIO, int]:
    """Unpack what can be unpacked; returns the file and its size."""
    out = cast(BinaryIO, tempfile.TemporaryFile(dir=index.options.tmp))  # noqa: SIM115 (a source)
    total = 0
    with Path(path).open("rb") as file:
        stream, errors = _reader(file, format)
        while True:
            try:
                part = stream.read(_STEP)
            except errors as error:
                # What came before it is good: it has been checked, or it is all there is.
                index.reject(damaged(path, str(error)))
                break
            if not part:
                break
            out.write(part)
            total += len(part)
            if is_bomb(total, size):
                index.reject(Reject(code="archive.bomb", reason=bomb_reason(total, size), input=path, length=size))
                break
    return out, total


def damaged(path: str, reason: str) -> Reject:
    """The reject of an archive that is damaged as a whole."""
    return Reject(code="archive.damaged", reason=f"the archive is damaged: {reason}; copy it again", input=path)
