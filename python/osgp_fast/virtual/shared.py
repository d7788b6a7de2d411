"""The UART that generations 2 and 3 share between the optical port and the MEP port: who has it when.

An optical session has it to itself: MEP is silent until that ends (MEP guide p. 20; Optical guide pp. 13-14). From firmware
4.0 on each port has its own.
"""

from __future__ import annotations

from random import Random
from typing import Final

from ..errors import UsageError
from .config import MeterConfig

#: The next optical session begins so long after the one before, at least and at most: every minute or so. Ours.
PAUSE_S: Final = (20.0, 90.0)
#: For so long it has the port: longer than a client repeats a request, shorter than it takes a meter for gone. Ours.
LASTING_S: Final = (2.0, 8.0)


class Visits:
    """Optical sessions of somebody else, who reads the meter now and then: the same ones for the same seed.

    All times are seconds of the clock on which the machine is driven, not of the meter, for it is the line that is bad and a
    client waits by its own clock. They count from the first question; the first visit begins at a random time up to the
    longest pause. ``config`` is the meter's; ``pause_s`` and ``lasting_s`` are the shortest and the longest.

    Raises: UsageError "virtual.fault" where the meter has a UART for each port.
    """

    def __init__(
        self,
        config: MeterConfig,
        *,
        pause_s: tuple[float, float] = PAUSE_S,
        lasting_s: tuple[float, float] = LASTING_S,
    ) -> None:
        if config.firmware.gen4:
            raise UsageError(
                "virtual.fault",
                f"no optical session takes the MEP port of firmware {config.firmware} away: each port has a UART of its own",
                "choose a firmware below 4.0 for shared-port, or leave it out",
                got=str(config.firmware),
            )
        self._random = Random(f"{config.seed} optical sessions")
        self._pause_s = pause_s
        self._lasting_s = lasting_s
        self._from: float | None = None
        self._until = 0.0
        self.begun = 0
        """How many there were."""

    def away(self, now: float) -> bool:
        """Whether one is under way. ``now`` runs on."""
        if self._from is None:
            self._next(now, 0.0)
        while now >= self._until:
            self._next(self._until, self._pause_s[0])
        assert self._from is not None
        return now >= self._from

    def _next(self, after: float, least: float) -> None:
        self._from = after + self._random.uniform(least, self._pause_s[1])
        self._until = self._from + self._random.uniform(*self._lasting_s)
        self.begun += 1


__all__ = ["LASTING_S", "PAUSE_S", "Visits"]
