"""Compressed tar archives: unpacked into a file without a name, since members are read in any order."""

from __future__ import annotations

import gzip
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


def _reader(file: BinaryIO, format: str) -> tuple[Any, tuple[type[Exception], ...]]:
    """A stream of what is packed, and the errors that reading it may raise. Raises: ImportError."""
    if format == "gzip":
        return gzip.GzipFile(fileobj=file), _ERRORS
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
