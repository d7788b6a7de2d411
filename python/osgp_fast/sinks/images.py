"""Table images to files that `decode` reads: a dump directory, or Parquet and Arrow with the columns of the table image."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final, Protocol

from .. import _impl
from ..errors import UsageError
from ..image import TableImage, table_name
from .arrow import arrow_type, pyarrow, record_batch
from .files import format_of

__all__ = ["ImageSink", "open_image_sink"]

_UNSAFE: Final = re.compile(r'[\x00-\x1f/\\:*?"<>|]')


class ImageSink(Protocol):
    """Where images go, one after another."""

    def write(self, image: TableImage) -> None:
        """Add an image. An empty table (a data set that the meter does not use) is left out: an input without bytes would
        be a reject."""

    def finish(self) -> list[str]:
        """Close; the files that were written."""

    def abort(self) -> None:
        """Leave nothing of a single file; files of a directory that are whole stay."""


def open_image_sink(out: str | os.PathLike[str]) -> ImageSink:
    """``DIR/`` (ends in ``/``, or is a directory): a directory per meter and a file per table; else a Parquet or Arrow file.

    Raises: UsageError "usage.format"; ImportError where the format needs a library.
    """
    path = os.fspath(out)
    if path.endswith(("/", os.sep)) or Path(path).is_dir():
        return _Directory(Path(path))
    format = format_of(path)
    if format not in ("parquet", "arrow"):
        raise UsageError(
            "usage.format", f"{path}: table images go into Parquet or Arrow files", "or into a directory, DIR/"
        )
    return _Table(Path(path), format)


class _Directory:
    """``METER/BT64.bin``: one file is one whole table; a part of a table has no place here."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: list[str] = []

    def write(self, image: TableImage) -> None:
        if not image.data:
            return
        if image.whole is False:
            raise UsageError(
                "usage.format",
                f"a part of {table_name(image.table)} is no file of a dump directory",
                "write parts to a Parquet or Arrow file",
            )
        name = _UNSAFE.sub("_", image.meter).strip(" .") or "meter"
        place = self.path / name
        place.mkdir(parents=True, exist_ok=True)
        final = place / f"{table_name(image.table)}.bin"
        beside = final.with_name(f".{final.name}.part")
        beside.write_bytes(image.data)
        beside.replace(final)
        if str(final) not in self.files:
            self.files.append(str(final))

    def finish(self) -> list[str]:
        return self.files

    def abort(self) -> None:
        pass


#: The columns of the table image and their Arrow types. Source: the contract, "Table image".
_COLUMNS: Final = {
    "meter": "string",
    "table": "int32",
    "offset": "int64",
    "data": "binary",
    "read_at": "timestamp[us, UTC]",
    "whole": "bool",
    "ped": "binary",
}
_NULLABLE: Final = ("read_at", "whole", "ped")


class _Table:
    """One file, written beside its place and renamed at the end, by the compiled part or pyarrow."""

    def __init__(self, path: Path, format: str) -> None:
        if not _impl.compiled():
            pyarrow()
        self.path, self.format = path, format
        self.rows: list[TableImage] = []

    def write(self, image: TableImage) -> None:
        if image.data:
            self.rows.append(image)

    def finish(self) -> list[str]:
        columns = {name: [getattr(image, name) for image in self.rows] for name in _COLUMNS}
        columns["data"] = [bytes(data) for data in columns["data"]]
        if _impl.compiled():
            _impl.core().write_images(os.fspath(self.path), self.format, columns)
        else:
            self._pyarrow(columns)
        return [str(self.path)]

    def _pyarrow(self, columns: dict[str, list[Any]]) -> None:
        pa = pyarrow()
        schema = pa.schema([pa.field(n, arrow_type(pa, t), n in _NULLABLE) for n, t in _COLUMNS.items()])
        table = pa.Table.from_batches([record_batch(schema, columns)])
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            if self.format == "parquet":
                import pyarrow.parquet as pq

                pq.write_table(table, beside, compression="zstd", compression_level=1)
            else:
                import pyarrow.ipc as ipc

                with ipc.new_file(str(beside), schema) as writer:
                    writer.write_table(table)
            beside.replace(self.path)
        finally:
            beside.unlink(missing_ok=True)

    def abort(self) -> None:
        self.rows.clear()
