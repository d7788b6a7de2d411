"""How to treat a meter well: rules for the layer above, as data and as pure functions of the time.

Seconds are those of any clock that runs on; ``second_of_day`` counts from midnight of the meter's local day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: A session longer than this is ended by a meter that protects its MEP client: "Optical Session Timeout" of ET51 (firmware
#: before 4.0, Optical guide p. 15) or ET55 (from 4.0 on, MEP guide p. 160), as delivered. Off unless "Enable Optical
#: D.O.S. Timer" is set.
DOS_SESSION_S: Final = 600
#: For so long it then takes no session: "Optical Session Hold-Off", as delivered. Same sources.
DOS_HOLD_OFF_S: Final = 300
#: Log off before: a minute less than the meter would wait, for the request under way.
SESSION_S: Final = DOS_SESSION_S - 60

_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Pause:
    """Seconds of the day in which a meter is left alone; may run over midnight. Equal ends: no pause."""

    start: int
    end: int

    def remaining(self, second_of_day: float) -> float:
        """Seconds until the pause ends; 0 outside of it."""
        length = (self.end - self.start) % _DAY
        gone = (second_of_day - self.start) % _DAY
        return length - gone if gone < length else 0.0


#: Some minutes around midnight, when meters take their self-reads and close the day's intervals.
NIGHT: Final = Pause(_DAY - 60, 240)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a reader that stays at a meter keeps to."""

    session_s: float = SESSION_S
    """A session is logged off after so long."""
    pause: Pause | None = NIGHT
    """When not to read."""
    hold_off_s: float = DOS_HOLD_OFF_S
    """How long to wait where a meter has ended a session and stays silent."""

    def must_log_off(self, started: float, now: float) -> bool:
        """Whether a session that began at ``started`` has to be ended before the next request."""
        return now - started >= self.session_s

    def log_off_at(self, started: float) -> float:
        """When a session that began at ``started`` has to be ended."""
        return started + self.session_s

    def wait(self, second_of_day: float) -> float:
        """Seconds to wait before a session may begin; 0 for now."""
        return self.pause.remaining(second_of_day) if self.pause else 0.0

    def may_try_after(self, cut_off: float) -> float:
        """When to try again after the meter cut a session off at ``cut_off`` and has been silent since."""
        return cut_off + self.hold_off_s
