"""How often memory that wears may be written: a meter that lives for decades has only so many writes."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterable
from typing import Final

from ..catalog import TABLES
from ..errors import UsageError
from ..image import PENDING, table_name

#: Writes that a meter stands for all of its life: on average four an hour, so a hundred a day (MEP guide pp. 44, 51).
PER_HOUR: Final = 4
PER_DAY: Final = 100
_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0
#: Tables whose writes wear whatever the catalogue says: a procedure and a transaction are kept, too (pp. 44, 51).
_KEPT: Final = frozenset({"BT07", "ET52"})


class MemoryWearWarning(UserWarning):
    """A table in memory that wears is written more often than the guide recommends."""


def wears(table: int) -> bool:
    """Whether writing a table wears the memory; of one that the guides do not describe it is assumed."""
    id = table_name(table & ~PENDING)
    return id not in TABLES or TABLES[id].nvm or id in _KEPT


class Wear:
    """Counts the writes of one meter as this program makes them, and those that it is told of."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def ages(self, now: float) -> tuple[float, ...]:
        """How many seconds before ``now`` the writes of the last day were, oldest first."""
        return tuple(now - time for time in self._times if now - time <= _DAY_S)

    def remember(self, ages: Iterable[float], now: float) -> None:
        """The writes so far, as `ages` gave them."""
        self._times = deque(sorted(now - age for age in ages))

    def count(self, table: int, now: float, force: bool) -> None:
        """Before a write at ``now`` seconds: warn from the fifth of an hour on, refuse from the 101st of a day on.

        Raises: UsageError "meter.wear", unless ``force``.
        """
        if not wears(table):
            return
        id = table_name(table & ~PENDING)
        times = self._times
        while times and now - times[0] > _DAY_S:
            times.popleft()
        if len(times) >= PER_DAY and not force:
            raise UsageError(
                "meter.wear",
                f"{id} lies in memory that wears, and this meter was written {len(times)} times within a day; it stands "
                f"{PER_DAY}",
                "write more at once and less often, or give force=True where it must be",
                table=table,
            )
        recent = sum(now - time <= _HOUR_S for time in times)
        if recent == PER_HOUR:
            warnings.warn(
                f"{id} lies in memory that wears: more than {PER_HOUR} writes an hour, on average, shorten the meter's life",
                MemoryWearWarning,
                stacklevel=4,
            )
        times.append(now)
