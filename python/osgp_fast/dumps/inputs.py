"""Opens inputs of any kind: what stands in the way of all work is an error, the rest becomes rejects."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from .. import _impl
from ..errors import InputError
from ..reject import MAX_DATA, Reject
from .capture import NOT_RECOGNISED, index_capture
from .directory import FILES, list_directory
from .files import HEAD, head_of, os_reason
from .index import Index, InputOptions, Stored
from .listing import Listing, Member, arrange
from .names import classify, own_name, stem, text
from .packed import damaged, starts_with_tar, unpack
from .sniff import HEAD as SNIFF
from .sniff import Format, sniff
from .table_images import check_table_images, open_compiled, open_table_images
from .tar import Stored as StoredMembers
from .tar import list_tar
from .termineter_csv import index_csv
from .zip import BadZip, Zip
from .zone import local_to_utc

__all__ = ["check_inputs", "open_inputs"]

MAX_CAPTURE: Final = 1 << 30
"""A capture is scanned as one; two days of a text log at 9600 baud are half of this."""
_COLUMNS: Final = ("parquet", "arrow_file", "arrow_stream")
# What is read of an input after all of them were opened.
Later = Callable[[], None]


def unreadable(path: str, message: str) -> InputError:
    """An input that cannot be opened."""
    return InputError("input.unreadable", f"{text(path)}: {message}", path=text(path), detail=message)


def _head(path: str) -> tuple[os.stat_result, bytes]:
    """What an explicit input is, and its first bytes. Raises: InputError; nothing but regular files is opened."""
    try:
        info = Path(path).stat()
        if stat.S_ISDIR(info.st_mode):
            with os.scandir(path):
                return info, b""
        if stat.S_ISREG(info.st_mode):
            return info, head_of_input(path)
    except (OSError, ValueError) as error:
        why = os_reason(error) if isinstance(error, OSError) else str(error)
        raise unreadable(path, f"cannot be opened: {why}") from None
    raise unreadable(path, "a pipe, socket or device, not a file; to read from a meter's port use `osgp-fast read`")


def head_of_input(path: str) -> bytes:
    """The first bytes. Raises: OSError."""
    with Path(path).open("rb") as file:
        return file.read(SNIFF)


def check_inputs(inputs: Sequence[str], options: InputOptions) -> None:
    """Look whether all inputs can be opened, without reading them. Raises: InputError, UsageError, ImportError."""
    local_to_utc(options.tz)
    for path in inputs:
        try:
            _, head = _head(path)
            if (format := sniff(head)) in _COLUMNS:
                check_table_images(path, format)
        except InputError:
            if not options.skip_unreadable:
                raise


def open_inputs(inputs: Sequence[str], options: InputOptions) -> Index:
    """Find the table images of all inputs. Raises: InputError, UsageError, ImportError; the index is to be closed."""
    local_to_utc(options.tz)
    index = Index(options)
    try:
        later = []
        for path in inputs:
            before = (len(index.rejects), index.counts.skipped_files)
            try:
                later.append(_open(index, path))
            except InputError as error:
                if not options.skip_unreadable:
                    raise
                del index.rejects[before[0] :]
                index.counts.skipped_files = before[1]
                index.reject(
                    Reject(
                        code="input.unreadable",
                        reason=error.fields.get("detail", error.message),
                        item=text(Path(path).name),
                        input=text(path),
                    )
                )
        for read in later:
            if read is not None:
                read()
    except BaseException:
        index.close()
        raise
    return index


def _open(index: Index, path: str) -> Later | None:
    """Open an input; what it returns reads it. Raises: InputError."""
    info, head = _head(path)
    shown = text(path)
    if stat.S_ISDIR(info.st_mode):
        return _dump(index, path, list_directory(index, path))
    size = info.st_size
    format: Format = sniff(head)
    kind = classify(text(Path(path).name))
    if format == "empty":
        _about(index, path, "input.empty", "the file is empty")
    elif format in _COLUMNS:
        return open_table_images(index, path, format)
    elif format == "parquet_encrypted":
        raise unreadable(path, "an encrypted Parquet file; decrypt it first")
    elif format == "zip":
        return _dump(index, path, _zip(index, path, size))
    elif format == "tar":
        return _dump(index, path, _tar(index, path, Path(path).open("rb"), size, size))
    elif format == "zstd" and _impl.compiled():
        return open_compiled(index, path)
    elif format in ("gzip", "zstd"):
        if starts_with_tar(path, format):
            return _dump(index, path, _tar(index, path, *unpack(index, path, format, size), size))
        _about(index, path, "input.not_recognised", NOT_RECOGNISED, head[:HEAD], size, 0)
    elif format == "csv":
        return lambda: index_csv(index, path, stem(path))
    elif isinstance(kind, int):
        where = (os.fsencode(path), size)
        label = own_name(os.path.join(path, ".."))  # noqa: PTH118 (pathlib drops the dots)
        member = Member(label, os.fsencode(path), kind, shown, where)
        return lambda: _keep(index, Listing(FILES, [member]))
    elif size > MAX_CAPTURE:
        _about(
            index,
            path,
            "input.too_large",
            f"{size} bytes are too many for a capture; split it between two sessions",
            head_of(path, MAX_DATA),
            size,
        )
    else:
        return lambda: index_capture(index, path, size)
    return None


def _about(
    index: Index, path: str, code: str, reason: str, data: bytes = b"", size: int = 0, offset: int | None = None
) -> None:
    """A reject about an explicit input."""
    index.reject(
        Reject(
            item=text(Path(path).name),
            code=code,
            reason=reason,
            input=text(path),
            offset=offset,
            length=size,
            data=data,
        )
    )


def _dump(index: Index, path: str, listing: Listing) -> Later:
    """A directory or archive must hold tables. Raises: InputError."""
    if not listing.tables:
        raise unreadable(path, "there is no table in it; a dump holds files like METER/BT64.bin and METER/ET21.bin")
    return lambda: _keep(index, listing)


def _keep(index: Index, listing: Listing) -> None:
    sessions: dict[Any, int] = {}
    for m in listing.members:
        if m.folder not in sessions:
            sessions[m.folder] = index.session()
        index.add(m.label, Stored(m.table, sessions[m.folder], m.input, listing.source, m.where))


def _zip(index: Index, path: str, size: int) -> Listing:
    source = Zip(Path(path).open("rb"), size)  # noqa: SIM115 (a source)
    index.source(source)
    try:
        members = source.list()
    except BadZip as error:
        raise unreadable(path, str(error)) from None
    return arrange(index, text(path), stem(path), size, members, source.head, source)


def _tar(index: Index, path: str, file: Any, size: int, archive_size: int) -> Listing:
    source = StoredMembers(file)
    index.source(source)
    members, problem = list_tar(file, size)
    if problem is not None:
        index.reject(damaged(text(path), problem))
    return arrange(index, text(path), stem(path), archive_size, members, source.head, source)
