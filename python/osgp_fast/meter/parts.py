"""Reads of any size, made of requests that fit: the same on both ports."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ..image import ped_size
from ..session import Data
from .talk import Talk

__all__ = ["Parts"]


class Parts(ABC):
    """What has to be known of a port, and the reads that follow from it."""

    @property
    @abstractmethod
    def most_read(self) -> int:
        """How many bytes are asked for at once, once it is `ready`."""

    @abstractmethod
    def ready(self) -> Talk[None]:
        """Be ready for a request."""

    @abstractmethod
    def _read(self, table: int, offset: int | None, count: int | None) -> Talk[Data]:
        """One request, with all the patience that the port takes."""

    def read(self, table: int, offset: int | None = None, count: int | None = None) -> Talk[Data]:
        """Read a table whole, or some bytes of it in as few requests as fit."""
        if offset is None or count is None:
            return (yield from self._read(table, None, None))
        parts: list[bytes] = []
        ped: bytes | None = None
        done = 0
        while done < count:
            yield from self.ready()
            most = max(1, self.most_read - ped_size(table))
            size = min(most, count - done)
            part = yield from self._read(table, offset + done, size)
            parts.append(part.data)
            ped = part.ped if ped is None else ped
            done += len(part.data)
            if len(part.data) < size:
                break  # a meter that ends here instead of padding
        return Data(b"".join(parts), ped)
