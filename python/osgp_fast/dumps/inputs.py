"""Opens inputs of any kind: what stands in the way of all work is an error, the rest becomes rejects."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ..reject import Reject
from .archive import index_tar, index_zip
from .capture import index_capture, local_to_utc
from .directory import index_directory
from .files import FILES, FIRST, not_a_file, os_reason
from .index import Index, InputOptions, Stored
from .names import classify, text
from .sniff import HEAD, sniff
from .table_images import check_table_images, index_table_images
from .termineter_csv import index_termineter

__all__ = ["check_inputs", "open_inputs"]

_SKIP = "or leave such inputs out with --skip-unreadable"
NOT_RECOGNISED = (
    "not recognised: no dump, archive, table images, capture or termineter CSV; see 'osgp-fast decode --help' for what "
    "can be read"
)
NO_TABLES = "no tables below this folder; tables are files like METER/BT64.bin"


def _head(path: str) -> tuple[os.stat_result, bytes]:
    """What an explicit input is, and its first bytes. Raises: InputError; nothing but regular files is opened."""
    try:
        info = Path(path).stat()
    except (OSError, ValueError) as error:
        why = os_reason(error) if isinstance(error, OSError) else str(error)
        raise InputError("input.unreadable", f"{path}: {why}", f"check the name, {_SKIP}", path=path) from None
    try:
        if stat.S_ISDIR(info.st_mode):
            with os.scandir(path):
                return info, b""
        if not stat.S_ISREG(info.st_mode):
            raise InputError("input.unreadable", f"{path}: {not_a_file(info.st_mode)}", path=path)
        with Path(path).open("rb") as file:
            return info, file.read(HEAD)
    except OSError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            "input.unreadable", f"{path}: {os_reason(error)}", f"check its permissions, {_SKIP}", path=path
        ) from None


def check_inputs(inputs: Sequence[str], options: InputOptions) -> None:
    """Look whether all inputs can be opened, without reading them. Raises: InputError, UsageError, ImportError."""
    local_to_utc(options.tz)
    for path in inputs:
        try:
            _, head = _head(path)
            if (format := sniff(head)) in ("parquet", "arrow_file", "arrow_stream"):
                check_table_images(path, format)
        except InputError:
            if not options.skip_unreadable:
                raise


def open_inputs(inputs: Sequence[str], options: InputOptions) -> Index:
    """Find the table images of all inputs. Raises: InputError, UsageError, ImportError; the index is to be closed."""
    local_to_utc(options.tz)
    index = Index(options)
    try:
        for path in inputs:
            try:
                _index_input(index, path)
            except InputError as error:
                if not options.skip_unreadable:
                    raise
                index.reject(
                    Reject(code="input.unreadable", reason=str(error), item=text(Path(path).name), input=text(path))
                )
    except BaseException:
        index.close()
        raise
    return index


def _index_input(index: Index, path: str) -> None:
    info, head = _head(path)
    if stat.S_ISDIR(info.st_mode):
        if not index_directory(index, path):
            raise InputError("input.unreadable", f"{path}: {NO_TABLES}", _SKIP, path=path)
        return
    format = sniff(head)
    recognised = True
    if format == "empty":
        index.reject(
            Reject(
                code="input.empty",
                reason="the file is empty",
                item=text(Path(path).name),
                input=text(path),
            )
        )
    elif format == "zip":
        index_zip(index, path)
    elif format in ("tar", "gzip", "zstd"):
        recognised = index_tar(index, path, format) is not None
    elif format in ("parquet", "arrow_file", "arrow_stream"):
        index_table_images(index, path, format)
    elif format == "termineter":
        index_termineter(index, path)
    elif isinstance(table := classify(text(Path(path).name)), int):
        label = text(Path(os.path.abspath(path)).parent.name) or "meter"  # noqa: PTH100 (resolve() would follow links)
        index.add(label, Stored(table, index.session(), text(path), FILES, os.fsencode(path)))
    else:
        recognised = index_capture(index, path)
    if not recognised:
        index.reject(
            Reject(
                code="input.not_recognised",
                reason=NOT_RECOGNISED,
                item=text(Path(path).name),
                input=text(path),
                offset=0,
                length=info.st_size,
                data=head[:FIRST],
            )
        )
