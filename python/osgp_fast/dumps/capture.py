"""A capture of the serial line, or a text log of its bytes: sessions of table images, found by the scanner."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Final

from .. import _impl
from ..reject import Reject
from .files import HEAD
from .index import Index, Stored
from .names import stem, text
from .zone import local_to_utc

__all__ = ["NOT_RECOGNISED", "index_capture"]

NOT_RECOGNISED: Final = (
    "not recognised: no dump, archive, table images, capture or termineter CSV; see 'osgp-fast decode --help' for what "
    "can be read"
)


def index_capture(index: Index, path: str, size: int) -> None:
    """Keep the table images of a capture; without one valid packet or message in it, it is a reject."""
    options = index.options
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        capture = _impl.scan_capture(
            data,
            input=text(path),
            stem=stem(path),
            meter=options.meter,
            wrap=options.wrap,
            keys=options.keys,
            local_to_utc=local_to_utc(options.tz),
        )
        if capture is None:
            index.reject(
                Reject(
                    code="input.not_recognised",
                    reason=NOT_RECOGNISED,
                    item=text(Path(path).name),
                    input=text(path),
                    offset=0,
                    length=size,
                    data=_impl.masked_head(data, HEAD),
                )
            )
            return
        index.counts.noise_bytes += capture.noise_bytes
        index.counts.repeated_packets += capture.repeated
        if not options.keys:
            index.counts.mep_messages += capture.mep_messages
        for reject in capture.rejects:
            index.reject(reject)
        for session in capture.sessions:
            numbers: dict[int, int] = {}
            for image in session.images:
                if image.session not in numbers:
                    numbers[image.session] = index.session()
                index.add(
                    session.label,
                    Stored(
                        image.table,
                        numbers[image.session],
                        text(path),
                        index.spool,
                        index.spool.add(image.data),
                        image.offset,
                        image.read_at,
                        image.whole,
                        image.ped,
                        image.position,
                    ),
                )
