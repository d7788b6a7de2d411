"""What a line has to be able to do, whatever it is made of."""

from __future__ import annotations

from typing import Protocol


class Port(Protocol):
    """Bytes out, bytes in.

    Raises, from every method: TransportError "port.unplugged" where the line is gone.
    """

    @property
    def name(self) -> str:
        """What the user called it."""

    @property
    def baud(self) -> int:
        """The speed in bit/s; setting it waits until what was written is out."""

    @baud.setter
    def baud(self, rate: int) -> None: ...

    def write(self, data: bytes) -> None:
        """Write all of it."""

    def read(self, timeout_s: float | None) -> bytes:
        """What has come, as soon as something has; nothing after ``timeout_s``, which is not "try again" but a fact for the
        machine's clock. None waits for ever."""

    def close(self) -> None:
        """Close it; twice does no harm."""


class Clock(Protocol):
    """Seconds that run on."""

    def __call__(self) -> float: ...
