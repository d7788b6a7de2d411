"""Staying at a meter: refresh after refresh, sessions that end in time, pauses, and what goes wrong meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from ..errors import OsgpError, SecurityError, UsageError
from ..meter import Clock, Meter
from ..session.policy import Policy
from ..session.refusals import Refused

__all__ = ["GROUPS", "Group", "Note", "Times", "Watcher"]

#: What is read at every refresh, and which of its rows are shown.
GROUPS: Final = ("measurements", "registers", "alarms")
#: A session that nobody uses for so long is logged off rather than left to the meter's channel traffic time-out (6 s).
LINGER_S: Final = 4.0
#: Seconds until the next try, by the number of failures in a row.
RETRY_S: Final = (6.0, 15.0, 30.0, 60.0)
#: Errors after which trying again on the first occasion would only hide what is wrong.
_HOPELESS: Final = ("line.not_osgp", "usage.", "port.", "meter.password", "mep.")
#: Errors of security that a damaged line can bring about, too.
_DAMAGED: Final = ("mep.digest", "mep.sequence")
_NOTES: Final = 5


@dataclass(frozen=True, slots=True)
class Times:
    """The clocks of a watcher: seconds that run on, seconds since 1970, and how to wait."""

    running: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], object] = time.sleep


@dataclass(slots=True)
class Group:
    """The newest rows of a kind, and when they were read."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    at: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened, at seconds since 1970."""

    at: float
    text: str


@dataclass(slots=True)
class _Mark:
    """Since when a value has stood still."""

    value: Any = None
    since: float | None = None

    def see(self, value: Any, now: float) -> None:
        if value is not None and (self.since is None or value != self.value):
            self.value, self.since = value, now

    def still(self, now: float) -> float:
        return 0.0 if self.since is None else now - self.since


class Watcher:
    """What is known of a meter that is watched. `run` calls ``show`` whenever something has changed or time has passed."""

    def __init__(
        self,
        connect: Callable[[], Meter],
        *,
        interval_s: float,
        stale_s: float,
        policy: Policy,
        times: Times | None = None,
    ) -> None:
        self.connect, self.interval_s, self.stale_s, self.policy = connect, interval_s, stale_s, policy
        self.times = times or Times()
        self.groups = {name: Group() for name in GROUPS}
        self.clock: Clock | None = None
        self.notes: list[Note] = []
        self.label = ""
        self.status = "connecting"
        """connecting, ok, error or pause."""
        self.message = ""
        self.next_at = 0.0
        """When something will be done again, by the running clock."""
        self.refreshes = 0
        self._meter: Meter | None = None
        self._failures = 0
        self._clock_mark, self._value_mark = _Mark(), _Mark()
        self._clock_seen = 0.0

    # ---- what is shown

    @property
    def now(self) -> float:
        """The running clock."""
        return self.times.running()

    def age(self, name: str) -> float | None:
        """Seconds since a group was read."""
        at = self.groups[name].at
        return None if at is None else max(self.now - at, 0.0)

    @property
    def warnings(self) -> list[str]:
        """What is not as it should be: old values, a clock or values that stand still."""
        found = []
        now = self.now
        for name, group in self.groups.items():
            if group.at is not None and now - group.at > max(self.stale_s, 3 * self.interval_s):
                found.append(f"{name} are {now - group.at:.0f} s old")
        if self.status == "ok":
            for what, mark in (
                ("the meter's clock has", self._clock_mark),
                ("no value has moved: all have", self._value_mark),
            ):
                if mark.still(now) > self.stale_s:
                    found.append(f"{what} stood still for {mark.still(now):.0f} s")
        return found

    # ---- the loop

    def run(self, show: Callable[[Watcher, bool], object], count: int | None = None) -> None:
        """Refresh for ever or ``count`` times; ``show(self, fresh)`` after each, and about every second between.

        Raises: errors that waiting does not mend: a wrong password, another device, a port that was never there.
        """
        try:
            while count is None or self.refreshes < count:
                began = self.now
                pause = self.policy.wait(self._second_of_day())
                if pause > 0:
                    self._pause(pause)
                elif self._refresh():
                    self.next_at = began + self.interval_s
                else:
                    self.next_at = self.now + RETRY_S[min(self._failures, len(RETRY_S)) - 1]
                self.refreshes += 1
                show(self, True)
                if count is None or self.refreshes < count:
                    self._wait(show)
        finally:
            self.close()

    def _refresh(self) -> bool:
        try:
            if self._meter is None:
                self._meter = self.connect()
                if self._failures:
                    self.note("connected again")
            self._read(self._meter)
        except UsageError:
            raise
        except OsgpError as error:
            if isinstance(error, SecurityError) and error.code not in _DAMAGED:
                raise
            if not any(group.at for group in self.groups.values()) and error.code.startswith(_HOPELESS):
                raise
            self.close()
            self._failures += 1
            self.status, self.message = "error", str(error)
            self.note(str(error))
            return False
        self._failures = 0
        self.status, self.message = "ok", ""
        return True

    def _read(self, meter: Meter) -> None:
        self.label = meter.label
        for name in GROUPS:
            group = self.groups[name]
            try:
                group.rows = list(meter.read_rows(name).rows())
            except Refused as error:
                if error.transient:
                    raise
                if not group.error:
                    self.note(f"{name}: {error}")
                group.error = str(error)
                continue
            group.at, group.error = self.now, ""
        try:
            self.clock = meter.clock()
            self._clock_seen = self.now
        except Refused as error:
            if self.clock is None and not any("clock" in n.text for n in self.notes):
                self.note(f"clock: {error}")
        now = self.now
        self._clock_mark.see(None if self.clock is None else self.clock.utc or self.clock.local, now)
        values = [row["raw"] for row in self.groups["measurements"].rows]
        values += [row["value"] for row in self.groups["registers"].rows]
        self._value_mark.see(values or None, now)

    def _pause(self, seconds: float) -> None:
        self.close()
        self.next_at = self.now + seconds
        until = datetime.fromtimestamp(self.times.wall() + seconds).strftime("%H:%M:%S")
        if self.status != "pause":
            self.note(f"the meter is left alone until {until}: the nightly pause")
        self.status, self.message = "pause", f"until {until}"

    def _wait(self, show: Callable[[Watcher, bool], object]) -> None:
        if self._meter is not None and self.next_at - self.now > LINGER_S:
            try:
                self._meter.log_off()
            except OsgpError:
                self.close()
        while (left := self.next_at - self.now) > 0:
            self.times.sleep(min(left, 1.0))
            show(self, False)

    def _second_of_day(self) -> float:
        """Of the meter's local day where its clock is known, else of this computer's."""
        local = datetime.fromtimestamp(self.times.wall())
        if self.clock is not None and self.clock.local is not None:
            local = self.clock.local + timedelta(seconds=self.now - self._clock_seen)
        return local.hour * 3600 + local.minute * 60 + local.second + local.microsecond / 1e6

    def note(self, text: str) -> None:
        """Keep something that happened."""
        self.notes = [*self.notes, Note(self.times.wall(), text)][-_NOTES:]

    def close(self) -> None:
        """Log off, if logged on."""
        meter, self._meter = self._meter, None
        if meter is not None:
            meter.close()
