"""Two machines linked in memory, on a clock of their own: hours of a session take no time."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from ..errors import TransportError
from ..session import Machine

Delivery = tuple[float, bytes]


class VirtualClock:
    """Seconds that pass only when somebody says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Way(Protocol):
    """One direction of a line: what becomes of bytes that are written to it."""

    def carry(self, data: bytes, now: float, baud: int) -> list[Delivery]:
        """When which bytes arrive at the other end; times never go back."""

    def answers(self) -> list[Delivery]:
        """What the line itself says to whoever wrote."""


class Wire:
    """A good line: everything arrives at once, or, with ``paced``, when the last of its bits has passed."""

    def __init__(self, *, paced: bool = False) -> None:
        self.paced = paced
        self._free = 0.0

    def carry(self, data: bytes, now: float, baud: int) -> list[Delivery]:
        """When which bytes arrive at the other end."""
        if not self.paced:
            return [(now, data)]
        self._free = max(self._free, now) + len(data) * 10 / baud
        return [(self._free, data)]

    def answers(self) -> list[Delivery]:
        """Nothing."""
        return []


class MemoryPort:
    """A port with a machine at its other end, which lives while the port waits.

    Args: ``out`` and ``back`` are the two directions of the line; ``echo``: what is written comes back first, as from a
    head that hears itself; ``check_baud``: bytes sent at another speed than the other side's are garbled.
    """

    def __init__(
        self,
        peer: Machine,
        clock: VirtualClock | None = None,
        *,
        out: Way | None = None,
        back: Way | None = None,
        echo: bool = False,
        check_baud: bool = True,
        name: str = "memory",
    ) -> None:
        self.peer = peer
        self.clock = clock or VirtualClock()
        self.name = name
        self.baud = 9600
        self._out = out or Wire()
        self._back = back or Wire()
        self._echo = echo
        self._check_baud = check_baud
        self._to_peer: deque[Delivery] = deque()
        self._to_us: deque[Delivery] = deque()
        self._closed = False

    def write(self, data: bytes) -> None:
        """Bytes on their way to the other side."""
        self._open()
        if self._echo:
            self._arrive(self._to_us, [(self.clock.now, data)])
        self._send(self._out, self._garbled(data, self.baud, self.peer.baud), self._to_peer, self._to_us, self.baud)

    def _garbled(self, data: bytes, sent: int, heard: int) -> bytes:
        return data if not self._check_baud or sent == heard else bytes(byte ^ 0x5A for byte in data)

    def _send(self, way: Way, data: bytes, there: deque[Delivery], here: deque[Delivery], baud: int) -> None:
        self._arrive(there, way.carry(data, self.clock.now, baud))
        self._arrive(here, way.answers())

    @staticmethod
    def _arrive(queue: deque[Delivery], deliveries: list[Delivery]) -> None:
        for time, data in deliveries:
            queue.append((max(time, queue[-1][0]) if queue else time, data))

    def read(self, timeout_s: float | None) -> bytes:
        """What has come; the clock goes on to it, or to the end of the time-out."""
        self._open()
        clock = self.clock
        end = None if timeout_s is None else clock.now + timeout_s
        while True:
            ours = self._to_us[0][0] if self._to_us else None
            theirs = self._to_peer[0][0] if self._to_peer else None
            due = self.peer.deadline()
            times = [time for time in (ours, theirs, due, end) if time is not None]
            if not times:
                raise TransportError(
                    "port.nobody", "both sides of the line in memory wait for ever", "give the read a time-out"
                )
            clock.now = max(clock.now, min(times))
            if theirs is not None and theirs <= clock.now:
                _, data = self._to_peer.popleft()
                baud = self.peer.baud  # what is written now still has this speed
                self._peer_says(self.peer.receive(data, clock.now), baud)
            elif due is not None and due <= clock.now:
                baud = self.peer.baud
                self._peer_says(self.peer.tick(clock.now), baud)
            elif ours is not None and ours <= clock.now:
                return self._to_us.popleft()[1]
            elif end is not None and end <= clock.now:
                return b""

    def _peer_says(self, data: bytes, baud: int) -> None:
        if data:
            self._send(self._back, self._garbled(data, baud, self.baud), self._to_us, self._to_peer, baud)

    def close(self) -> None:
        """Nothing more goes through."""
        self._closed = True

    def _open(self) -> None:
        if self._closed:
            raise TransportError("port.unplugged", f"{self.name} is closed", "open it again")
