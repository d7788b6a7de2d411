"""A port that writes down what passes: the text log that `decode` reads, one line per direction and moment.

::

    2024-03-14T10:07:30.000Z TX EE 00 00 00 00 01 20 13 10
    2024-03-14T10:07:30.041Z RX 06

The password of a security packet is masked (2A), also in an echo and in what may be a damaged one, unless
``with_secrets``. A masked packet gets a CRC that fits, so that the log decodes without complaint. On a MEP port (``mep:``
before its name) no key passes, and nothing is masked.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TextIO

from ..session.masking import Masker
from .port import NamedPort, Port, mep_name

#: The first line of a log. None of its words are hex digits.
HEADING: Final = "# optical port; passwords are masked\n"
HEADING_OPEN: Final = "# optical port; WITH PASSWORDS\n"
HEADING_MEP: Final = "# MEP port; no key passes on it\n"


class TracePort(NamedPort):
    """A port around a port. ``clock`` gives seconds since 1970."""

    def __init__(
        self, port: Port, log: TextIO, *, with_secrets: bool = False, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(port, port.name)
        self._log = log
        self._clock = clock
        mep = mep_name(port.name) is not None
        self._maskers = None if with_secrets or mep else {"TX": Masker(), "RX": Masker()}
        log.write(HEADING_MEP if mep else HEADING_OPEN if with_secrets else HEADING)

    def write(self, data: bytes) -> None:
        """Write all of it."""
        self._flush("RX")
        self._note("TX", data)
        self._flush("TX")
        super().write(data)

    def read(self, timeout_s: float | None) -> bytes:
        """What has come."""
        data = super().read(timeout_s)
        if data:
            self._note("RX", data)
        return data

    def pause(self) -> None:
        """The line is quiet for good: write down what has come, even where it is no whole packet."""
        self._flush("RX")
        self._log.flush()

    def close(self) -> None:
        """Close it, and write down what is left."""
        self._flush("RX")
        self._log.flush()
        super().close()

    def _note(self, side: str, data: bytes) -> None:
        self._line(side, data if self._maskers is None else self._maskers[side].feed(data))

    def _flush(self, side: str) -> None:
        if self._maskers is not None:
            self._line(side, self._maskers[side].finish())

    def _line(self, side: str, data: bytes) -> None:
        if data:
            stamp = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self._log.write(f"{stamp} {side} {data.hex(' ').upper()}\n")
