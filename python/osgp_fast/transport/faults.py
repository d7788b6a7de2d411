"""Bad lines on purpose, the same ones for the same seed: what is lost, flipped, late, doubled, refused, and by how much."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, fields
from random import Random
from typing import Final, Literal

from ..session import Machine
from .memory import Delivery

#: Bytes as a C12.18 receiver refuses and acknowledges a packet.
NAK: Final = b"\x15"
ACK: Final = b"\x06"
#: The start of a packet, which switches a shared port to the optical side.
START: Final = 0xEE


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often what happens, as probabilities: per write (a packet, an ACK or both) or, in the last two, per byte."""

    lose: float = 0.0
    """Nothing of it arrives."""
    flip: float = 0.0
    """One bit arrives wrong."""
    cut: float = 0.0
    """Its end does not arrive."""
    delay: float = 0.0
    """It arrives later, by up to ``delay_s``; so does all that is behind it."""
    duplicate: float = 0.0
    """It arrives twice."""
    refuse: float = 0.0
    """It does not arrive, and a NAK comes back."""
    stray: float = 0.0
    """A byte 00 or FF arrives before it."""
    zero_ack: float = 0.0
    """An ACK of its own arrives as 00."""
    byte_lose: float = 0.0
    """A byte does not arrive."""
    byte_flip: float = 0.0
    """A bit of a byte arrives wrong."""
    delay_s: float = 3.0

    @property
    def any(self) -> bool:
        """Whether anything can happen."""
        return any(getattr(self, each.name) for each in fields(self) if each.name != "delay_s")


class BadLine:
    """One direction of a line with faults.

    Args: ``paced``: bytes take the time that their bits take; ``single``: they arrive one by one.
    """

    def __init__(self, seed: int | Random, faults: Faults, *, paced: bool = False, single: bool = False) -> None:
        self.random = seed if isinstance(seed, Random) else Random(seed)
        self.faults = faults
        self.paced = paced
        self.single = single
        self.happened: dict[str, int] = {}
        """What has happened how often."""
        self._free = 0.0
        self._answers: list[Delivery] = []

    def _hit(self, what: str) -> bool:
        chance: float = getattr(self.faults, what)
        if not chance or self.random.random() >= chance:
            return False
        self.happened[what] = self.happened.get(what, 0) + 1
        return True

    def carry(self, data: bytes, now: float, baud: int) -> list[Delivery]:
        """When which bytes arrive at the other end."""
        per_byte = 10 / baud if self.paced else 0.0
        start = max(self._free, now)
        if self._hit("lose"):
            return []
        if self._hit("refuse"):
            self._answers.append((start + len(data) * per_byte, NAK))
            return []
        if self._hit("delay"):
            start += self.random.uniform(0, self.faults.delay_s)
        data = self._damaged(data)
        if self._hit("duplicate"):
            data += data
        self._free = start + len(data) * per_byte
        if self.single:
            return [(start + (i + 1) * per_byte, data[i : i + 1]) for i in range(len(data))]
        return [(self._free, data)] if data else []

    def _damaged(self, data: bytes) -> bytes:
        random = self.random
        if data == ACK and self._hit("zero_ack"):
            data = b"\0"
        if data and self._hit("flip"):
            data = _flipped(data, random.randrange(len(data)), random.randrange(8))
        if data and self._hit("cut"):
            data = data[: random.randrange(len(data))]
        if self._hit("stray"):
            data = random.choice((b"\x00", b"\xff")) + data
        if self.faults.byte_lose:
            data = bytes(byte for byte in data if not self._hit("byte_lose"))
        if self.faults.byte_flip:
            data = bytes(byte ^ (1 << random.randrange(8)) if self._hit("byte_flip") else byte for byte in data)
        return data

    def answers(self) -> list[Delivery]:
        """The NAKs of what was refused."""
        answers, self._answers = self._answers, []
        return answers


def _flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 1 << bit,)) + data[at + 1 :]


class SharedPort:
    """A meter of generation 2 or 3, whose optical port is shared with MEP, around the meter's machine.

    The port stands on MEP; the first bytes that contain an EE switch it, but are not understood: they get a NAK, or
    nothing. Until then, and again after the session, what the meter says to its MEP client comes out here, too. Source:
    Optical guide pp. 13-14, MEP guide p. 20.

    Args: ``messages`` are MEP messages of the meter, one every ``every_s`` while the port stands on MEP; ``idle_s``
    after the last byte in the base state it goes back.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        first: Literal["nak", "silence"] = "nak",
        messages: Iterable[bytes] = (),
        every_s: float = 1.0,
        idle_s: float = 12.0,
    ) -> None:
        self.machine = machine
        self.first = first
        self.optical = False
        self._messages = deque(messages)
        self._every_s = every_s
        self._idle_s = idle_s
        self._next: float | None = 0.0 if self._messages else None
        self._heard = 0.0

    @property
    def baud(self) -> int:
        """The speed that it speaks now."""
        return self.machine.baud

    def receive(self, data: bytes, now: float) -> bytes:
        """Bytes that came; gives bytes to write."""
        self._heard = now
        if self.optical:
            return self.machine.receive(data, now)
        out = self._message(now)
        if START in data:
            self.optical = True
            if self.first == "nak":
                out += NAK
        return out

    def tick(self, now: float) -> bytes:
        """Time has passed; gives bytes to write."""
        if not self.optical:
            return self._message(now) if self._next is not None and now >= self._next else b""
        if self.machine.deadline() is None and now >= self._heard + self._idle_s:
            self.optical = False
            self._next = now if self._messages else None
            return b""
        return self.machine.tick(now)

    def _message(self, now: float) -> bytes:
        if not self._messages:
            return b""
        self._next = now + self._every_s
        self._messages.rotate(-1)
        return self._messages[-1]

    def deadline(self) -> float | None:
        """When `tick` is due."""
        if not self.optical:
            return self._next
        due = self.machine.deadline()
        return self._heard + self._idle_s if due is None else due
