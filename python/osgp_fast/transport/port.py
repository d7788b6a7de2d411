"""What a line has to be able to do, whatever it is made of."""

from __future__ import annotations

from typing import Final, Protocol

#: What stands before the name of a port to say that it is a MEP port.
MEP: Final = "mep:"


def mep_name(name: str) -> str | None:
    """The port behind ``mep:``; None where the name says nothing of MEP, so that it is an optical port."""
    return name[len(MEP) :] if name[: len(MEP)].lower() == MEP else None


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


class NamedPort:
    """A port around a port, under another name: ``mep:`` before a name says what is spoken there."""

    def __init__(self, port: Port, name: str) -> None:
        self.port = port
        self.name = name

    @property
    def baud(self) -> int:
        """The speed in bit/s."""
        return self.port.baud

    @baud.setter
    def baud(self, rate: int) -> None:
        self.port.baud = rate

    def write(self, data: bytes) -> None:
        """Write all of it."""
        self.port.write(data)

    def read(self, timeout_s: float | None) -> bytes:
        """What has come."""
        return self.port.read(timeout_s)

    def close(self) -> None:
        """Close it; twice does no harm."""
        self.port.close()
