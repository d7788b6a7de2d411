"""Where the table images of every meter wait: a small entry per image, its bytes in the file or in a spool.

Inputs hand in images in any order; `Index.meters` gives them back meter by meter, in the order of first appearance, so
that a dump of any size is decoded within the memory of one meter. Bytes that cannot be found again (members of a
compressed tar, rows of a Parquet file, messages of a capture) are kept in a spool: in memory while it is small, in an
unnamed temporary file after that.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from ..image import TableImage, table_name
from ..reject import Reject

__all__ = ["Counts", "Index", "InputOptions", "ReadError", "Source", "Spool", "Stored"]

SPOOL_IN_MEMORY = 32 << 20
"""A spool larger than this goes to a file; it holds one input's bytes, so small captures never touch the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOptions:
    """How inputs are read; what each means is said at `osgp_fast.decode`."""

    meter: str | None = None
    tz: str = "UTC"
    wrap: str | None = None
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    tmp: str | None = None
    skip_unreadable: bool = False


@dataclass(slots=True)
class Counts:
    """What is no reject and only counted."""

    skipped_files: int = 0
    noise_bytes: int = 0
    repeated_packets: int = 0
    mep_messages: int = 0
    tables_without_decoder: int = 0
    assumed: list[str] = field(default_factory=list)
    """Meters decoded with the guides' defaults (``assume_defaults``)."""


class ReadError(Exception):
    """The bytes of a stored image cannot be had; becomes a reject."""

    def __init__(self, code: str, reason: str, data: bytes = b"", length: int | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.data = data
        self.length = len(data) if length is None else length


class Source(Protocol):
    """Keeps the bytes of stored images. Closed with the index."""

    def read(self, where: Any) -> bytes:
        """The bytes at a place that this source named itself. Raises: ReadError."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...


class Stored(NamedTuple):
    """A table image without its bytes."""

    table: int
    session: int
    input: str
    source: Source
    where: Any
    offset: int = 0
    read_at: int | None = None
    whole: bool | None = True
    ped: bytes | None = None
    position: int | None = None


class Spool:
    """Bytes kept for later, wherever there is room."""

    def __init__(self, directory: str | None) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=SPOOL_IN_MEMORY, dir=directory)  # noqa: SIM115 (closed by close)
        self._end = 0

    def add(self, data: bytes | memoryview) -> tuple[int, int]:
        """Keep these bytes; returns the place to give to `read`."""
        self._file.seek(self._end)
        self._file.write(data)
        place = (self._end, len(data))
        self._end += len(data)
        return place

    def read(self, where: Any) -> bytes:
        start, size = where
        self._file.seek(start)
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()


class Index:
    """The table images of all inputs, by meter."""

    def __init__(self, options: InputOptions) -> None:
        self.options = options
        self.rejects: list[Reject] = []
        self.counts = Counts()
        self._meters: dict[str, list[Stored]] = {}
        self._sources: list[Source] = []
        self._spool: Spool | None = None
        self._sessions = 0

    def __len__(self) -> int:
        """The number of meters."""
        return len(self._meters)

    def session(self) -> int:
        """A number for a new read session: images of different ones are never joined."""
        self._sessions += 1
        return self._sessions

    def source(self, source: Source) -> Source:
        """Close this source with the index."""
        self._sources.append(source)
        return source

    @property
    def spool(self) -> Spool:
        """The spool that all inputs share."""
        if self._spool is None:
            self._spool = Spool(self.options.tmp)
            self._sources.append(self._spool)
        return self._spool

    def add(self, label: str, image: Stored) -> None:
        """Take an image of a meter; ``--meter`` wins over the label."""
        self._meters.setdefault(label if self.options.meter is None else self.options.meter, []).append(image)

    def reject(self, reject: Reject) -> None:
        """Take a reject found while the inputs were listed."""
        self.rejects.append(reject)

    def meters(
        self,
        on_reject: Callable[[Reject], object],
        wanted: Container[int] | None = None,
        needed: Container[int] | None = None,
    ) -> Iterator[tuple[str, list[TableImage]]]:
        """Meter by meter its images in order; those whose bytes cannot be had go to ``on_reject``.

        Only ``wanted`` tables are read (None: all), and only ``needed`` ones are rejected (None: all).
        """
        for label, entries in self._meters.items():
            images: list[TableImage] = []
            for e in entries:
                if wanted is not None and e.table not in wanted:
                    continue
                try:
                    data = e.source.read(e.where)
                except ReadError as error:
                    if needed is None or e.table in needed:
                        on_reject(
                            Reject(
                                meter=label,
                                table=e.table,
                                item=table_name(e.table),
                                code=error.code,
                                reason=error.reason,
                                input=e.input,
                                offset=0,
                                length=error.length,
                                data=error.data,
                                read_at=e.read_at,
                            )
                        )
                    continue
                images.append(
                    TableImage(
                        meter=label,
                        table=e.table,
                        offset=e.offset,
                        data=data,
                        read_at=e.read_at,
                        whole=e.whole,
                        ped=e.ped,
                        session=e.session,
                        input=e.input,
                        position=e.position,
                    )
                )
            yield label, images

    def close(self) -> None:
        """Let go of all files."""
        for source in self._sources:
            source.close()
        self._sources.clear()
        self._spool = None

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
