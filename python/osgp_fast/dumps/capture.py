"""A capture of the serial line, or a text log of its bytes: sessions of table images, found by the scanner."""

from __future__ import annotations

import datetime as dt
import mmap
from collections.abc import Callable
from pathlib import Path

from .. import _impl
from ..errors import UsageError
from .index import Index, Stored

__all__ = ["index_capture", "local_to_utc"]

_EPOCH = dt.datetime(1970, 1, 1)


def local_to_utc(tz: str) -> Callable[[int], int]:
    """Turns naive times of a log into UTC, both in microseconds; of an hour that comes twice the first is meant.

    Raises: UsageError for a zone that the system does not know."""
    if tz.upper() in ("UTC", "Z"):
        return lambda micros: micros
    import zoneinfo

    try:
        zone = zoneinfo.ZoneInfo(tz)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            "usage.tz",
            f"the time zone {tz!r} is not known",
            "name one of the IANA database, like Europe/Oslo; where the system has none, pip install tzdata",
        ) from None

    def convert(micros: int) -> int:
        try:
            offset = (_EPOCH + dt.timedelta(microseconds=micros)).replace(tzinfo=zone).utcoffset()
        except OverflowError:
            return micros
        return micros if offset is None else micros - round(offset.total_seconds() * 1_000_000)

    return convert


def index_capture(index: Index, path: str) -> bool:
    """Keep the table images of a capture; False if there is not one valid packet in it."""
    options = index.options
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        capture = _impl.scan_capture(
            data,
            input=path,
            stem=Path(path).stem,
            meter=options.meter,
            wrap=options.wrap,
            local_to_utc=local_to_utc(options.tz),
        )
        if capture is None:
            return False
        index.counts.noise_bytes += capture.noise_bytes
        index.counts.repeated_packets += capture.repeated
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
                        path,
                        index.spool,
                        index.spool.add(image.data),
                        image.offset,
                        image.read_at,
                        image.whole,
                        image.ped,
                        image.position,
                    ),
                )
    return True
