"""The household behind a virtual meter: what it draws, feeds and suffers, as functions of a seed and the time.

Nothing here has a state that matters: any second of the past or the future can be asked for, in any order, and gives the
same answer, which is what lets a meter's clock run at any speed and its history be computed. Power is constant in slots of
five minutes and follows a week's pattern times the factors of that week of the year, so energies are exact integrals in
integers, a lookup each. Times are whole seconds since 1970-01-01 UTC; powers are milliwatts, energies milliwatt seconds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate, pairwise
from math import isqrt
from random import Random
from typing import Final

SLOT_S: Final = 300
DAY_S: Final = 86_400
WEEK_S: Final = 7 * DAY_S
SLOTS: Final = WEEK_S // SLOT_S
#: The first Monday of 1970: weeks are counted from it.
_MONDAY: Final = 4 * DAY_S
_YEAR: Final = 52
#: Milliwatt seconds of a watt hour.
WH: Final = 3_600_000
#: The active and reactive energies that the patterns hold, by their source ID.
FORWARD: Final = 0
REVERSE: Final = 1
IMPORT: Final = 2
EXPORT: Final = 3
#: The reactive energies of the four quadrants, source IDs 108 to 111.
QUADRANTS: Final = (108, 109, 110, 111)
ENERGIES: Final = (FORWARD, REVERSE, IMPORT, EXPORT, *QUADRANTS)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A week of a household: power in watts (or var) of every slot, and what it adds up to."""

    shape: Sequence[int]
    cumulated: Sequence[int]
    """Watt seconds before each slot, and of the week."""


class Household:
    """The patterns of a household: by energy, and by energy, tier and whether daylight saving is in effect."""

    def __init__(
        self, shapes: dict[int, list[int]], split: Sequence[tuple[int, int]], tiers: int, zone_min: int
    ) -> None:
        self.total = {energy: _cumulated(shape) for energy, shape in shapes.items()}
        self.split = split
        """Per slot the shares of L1 and L2 in a thousand."""
        self._tiers, self._zone_min = tiers, zone_min
        self._where: dict[bool, list[int]] = {}
        self._masked: dict[tuple[int, int, bool], Pattern] = {}

    def tier(self, energy: int, tier: int, summer: bool) -> Pattern:
        """The pattern of an energy while a tariff is in force; made when it is asked for."""
        known = self._masked.get((energy, tier, summer))
        if known is None:
            if summer not in self._where:
                offset = self._zone_min + 60 * summer
                self._where[summer] = [tier_of_slot(slot, offset, self._tiers) for slot in range(SLOTS)]
            shape = self.total[energy].shape
            masked = [w if at == tier else 0 for w, at in zip(shape, self._where[summer], strict=True)]
            known = self._masked[energy, tier, summer] = _cumulated(masked)
        return known


def _cumulated(shape: Sequence[int]) -> Pattern:
    return Pattern(tuple(shape), tuple(accumulate((watts * SLOT_S for watts in shape), initial=0)))


#: Kinds of household: meters whose seeds differ by a multiple of it live alike, but for readings and happenings.
HOUSEHOLDS: Final = 16


@lru_cache(maxsize=4 * HOUSEHOLDS)
def household(seed: int, phases: int, generation: bool, tiers: int, zone_min: int) -> Household:
    """The patterns of a household."""
    random = Random(f"household {seed}")
    base = random.randrange(60, 160)
    morning, evening = random.randrange(70, 100), random.randrange(200, 250)
    forward: list[int] = []
    reverse: list[int] = []
    left = watts = 0
    for slot in range(SLOTS):
        in_day = slot % 288
        if left == 0:
            busy = morning < in_day < morning + 30 or evening < in_day < evening + 50
            left = random.randrange(1, 12)
            watts = random.choice((0, 0, 40, 120, 300)) if not busy else random.choice((150, 400, 900, 2100, 3600))
        left -= 1
        forward.append(base + watts)
        sun = max(0, 60 - abs(in_day - 144))
        reverse.append(sun * (30 + random.randrange(20)) if generation and sun > 12 else 0)
    forward = [0 if back else out for out, back in zip(forward, reverse, strict=True)]
    imported = [(f * 3) // 10 if f < 2000 else f // 20 for f in forward]
    exported = [r // 12 for r in reverse]
    # Some of the day the reactive energy goes the other way: all four quadrants are visited.
    for slot in range(0, SLOTS, 7):
        imported[slot], exported[slot] = exported[slot], imported[slot]
    shapes = {
        FORWARD: forward,
        REVERSE: reverse,
        IMPORT: imported,
        EXPORT: exported,
        108: [i if f else 0 for i, f in zip(imported, forward, strict=True)],
        109: [0 if f else i for i, f in zip(imported, forward, strict=True)],
        110: [0 if f else e for e, f in zip(exported, forward, strict=True)],
        111: [e if f else 0 for e, f in zip(exported, forward, strict=True)],
    }
    shares = []
    for _ in range(SLOTS):
        one = random.randrange(250, 450)
        shares.append((1000, 0) if phases == 1 else (one, random.randrange(200, 400)))
    return Household(shapes, tuple(shares), tiers, zone_min)


def tier_of_slot(slot: int, offset_min: int, tiers: int) -> int:
    """The tariff in a slot of the UTC week, at a local time so many minutes east."""
    local = (slot * SLOT_S // 60 + offset_min) % (7 * 1440)
    day, hour = divmod(local // 60, 24)
    if tiers == 1:
        return 0
    if tiers >= 4 and day == 6:
        return 3
    if tiers >= 3 and 17 <= hour < 20 and day < 5:
        return 2
    return 0 if 6 <= hour < 22 else 1


#: Local times at which the tariff may change: seconds after midnight.
SWITCHES: Final = (0, 6 * 3600, 17 * 3600, 20 * 3600, 22 * 3600)


def _factors(least: int, most: int, top: int) -> tuple[list[int], list[int]]:
    """Per mille of every week of the year, highest in week ``top``, and their sums."""
    factors = [most - (most - least) * min((w - top) % _YEAR, (top - w) % _YEAR) // (_YEAR // 2) for w in range(_YEAR)]
    sums = [0]
    for factor in factors:
        sums.append(sums[-1] + factor)
    return factors, sums


#: A household draws most in January and its roof gives most in June.
_LOAD: Final = _factors(700, 1300, 2)
_SUN: Final = _factors(250, 1000, 24)
_FACTORS: Final = {e: _SUN if e == REVERSE else _LOAD for e in ENERGIES}


def raw(pattern: Pattern, energy: int, t: int) -> int:
    """The energy since 1970 if the power had never failed, in milliwatt seconds."""
    factors, sums = _FACTORS[energy]
    week, second = divmod(t - _MONDAY, WEEK_S)
    year, week = divmod(week, _YEAR)
    slot, rest = divmod(second, SLOT_S)
    cumulated = pattern.cumulated
    whole = (year * sums[_YEAR] + sums[week]) * cumulated[SLOTS]
    return whole + (cumulated[slot] + pattern.shape[slot] * rest if rest else cumulated[slot]) * factors[week]


@dataclass(frozen=True, slots=True)
class Segment:
    """A time without outage or change of daylight saving: from ``start`` up to ``end``."""

    start: int
    end: int
    summer: bool


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that goes into the event log: the code as logged, with bit 11 for the manufacturer's."""

    time: int
    code: int
    argument: int = 0
    user: int = 0xFFFF


MANUFACTURER: Final = 0x800
POWER_DOWN: Final = 1
POWER_UP: Final = 2
TIME_OLD: Final = 3
TIME_NEW: Final = 4
READ_ACCESS: Final = 7
PROCEDURE: Final = 9
TABLE_WRITTEN: Final = 10
DEMAND_RESET: Final = 20
SUMMER_ON: Final = 22
SUMMER_OFF: Final = 23
RATE_CHANGE: Final = 25
PENDING_ACTIVATED: Final = 28
PENDING_CLEARED: Final = 29
TAMPER: Final = 47
SELF_READ: Final = MANUFACTURER | 1
INVALID_PASSWORD: Final = MANUFACTURER | 8
MAGNETIC_TAMPER: Final = MANUFACTURER | 25
SAG: Final = MANUFACTURER | 34
SWELL: Final = MANUFACTURER | 35


class World:
    """One household from the day its meter was installed; its first readings are ``ahead`` of what the seed gives."""

    def __init__(
        self,
        seed: int,
        installed: int,
        *,
        phases: int = 3,
        generation: bool = True,
        tiers: int = 2,
        zone_min: int = 60,
        daylight_saving: bool = True,
        outages: float = 12.0,
        tampers: float = 3.0,
        voltage: float = 40.0,
        clock_changes: float = 6.0,
        tariff_events: bool = True,
        self_read: str = "daily",
        ahead: int = 0,
    ) -> None:
        self.seed = seed
        self.installed = installed
        self.phases = phases
        self.tiers = tiers
        self.zone_s = zone_min * 60
        self.daylight_saving = daylight_saving
        self.self_read = self_read
        self.home = household(seed % HOUSEHOLDS, phases, generation, tiers, zone_min)
        self._rates = (outages, tampers, voltage, clock_changes)
        self._tariff_events = tariff_events
        random = Random(f"readings {seed}")
        #: The readings on the day of installation, in Wh, varh.
        self.first = {e: random.randrange(1000, 4_000_000) + ahead for e in (FORWARD, REVERSE, IMPORT, EXPORT)}
        for quadrant, of in zip(QUADRANTS, (IMPORT, IMPORT, EXPORT, EXPORT), strict=True):
            self.first[quadrant] = (self.first[of] - ahead) // 2 + ahead
        # Made week by week as far as somebody asks.
        self.outages: list[tuple[int, int]] = []
        self.clock_changes: list[tuple[int, int]] = []
        """When the clock was set, and by how many seconds."""
        self._happenings: list[Happening] = []
        self._segments: list[Segment] = [Segment(installed, installed, self.is_summer(installed))]
        self._starts: list[int] = [installed]
        self._sums: dict[tuple[int, int], list[int]] = {}
        self._known = installed

    # ---- calendar

    def is_summer(self, t: int) -> bool:
        """Whether daylight saving is in effect: from the last Sunday of March to that of October, 01:00 UTC."""
        if not self.daylight_saving:
            return False
        start, end = summer_of(datetime.fromtimestamp(t, UTC).year)
        return start <= t < end

    def offset_s(self, t: int) -> int:
        """What local time is ahead of UTC."""
        return self.zone_s + 3600 * self.is_summer(t)

    def local(self, t: int) -> datetime:
        """The meter's local time, without a zone."""
        return datetime.fromtimestamp(t + self.offset_s(t), UTC).replace(tzinfo=None)

    def local_midnight(self, t: int) -> int:
        """When the local day of ``t`` began, in UTC."""
        offset = self.offset_s(t)
        midnight = (t + offset) // DAY_S * DAY_S - offset
        return midnight + offset - self.offset_s(midnight)

    def month_start(self, t: int) -> int:
        """When the local month of ``t`` began, in UTC."""
        day = self.local(t).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        start = int(day.replace(tzinfo=UTC).timestamp()) - self.zone_s
        return start - 3600 * self.is_summer(start)

    def season(self, t: int) -> int:
        """0 in winter, 1 in summer."""
        return int(3 < self.local(t).month < 10)

    def tier(self, t: int) -> int:
        """The tariff in force."""
        slot = (t - _MONDAY) % WEEK_S // SLOT_S
        return tier_of_slot(slot, self.offset_s(t) // 60, self.tiers)

    # ---- the past, week by week

    def know(self, t: int) -> None:
        """Make sure that everything before ``t`` is known."""
        while self._known <= t:
            week, _ = divmod(self._known - _MONDAY, WEEK_S)
            start, end = max(self._known, _MONDAY + week * WEEK_S), _MONDAY + (week + 1) * WEEK_S
            self._week(week, start, end)
            self._known = end

    def _week(self, week: int, start: int, end: int) -> None:
        random = Random(f"week {self.seed} {week}")
        outages, tampers, voltage, clock_changes = self._rates
        found: list[Happening] = []
        # An outage may last into the next week, which then has none.
        at = start + random.randrange(WEEK_S)
        free = self.outages[-1][1] + 3600 if self.outages else self.installed + 3600
        if random.random() < outages / _YEAR and free <= at < end:
            lasts = random.choice((20, 200, 1500, 2700, 7200, 22_000, 100_000)) + random.randrange(60)
            self.outages.append((at, at + lasts))
            found += [Happening(at, POWER_DOWN), Happening(at + lasts, POWER_UP)]
        for _ in range(_times(random, tampers / _YEAR)):
            found.append(Happening(start + random.randrange(WEEK_S), random.choice((TAMPER, MAGNETIC_TAMPER)), 1))
        for _ in range(_times(random, voltage / _YEAR)):
            code = random.choice((SAG, SWELL))
            found.append(Happening(start + random.randrange(WEEK_S), code, random.randrange(1, 4) << 12 | 200))
        if random.random() < clock_changes / _YEAR:
            at, by = start + random.randrange(WEEK_S), random.choice((-1, 1)) * random.randrange(2, 40)
            if at < end and not self._off(at):
                self.clock_changes.append((at, by))
                found += [Happening(at, TIME_OLD), Happening(at, TIME_NEW, by & 0xFFFF, 0xFFFE)]
        found += self._regular(start, end)
        keep = (POWER_DOWN, POWER_UP)
        kept = [h for h in found if start <= h.time and (h.code in keep or (h.time < end and not self._off(h.time)))]
        # An outage that ends next week has its end in the log there.
        pending = [h for h in self._happenings if h.time >= start]
        self._happenings = self._happenings[: len(self._happenings) - len(pending)]
        self._happenings += sorted(kept + pending, key=lambda h: h.time)
        self._add_segments(start, end)

    def _regular(self, start: int, end: int) -> list[Happening]:
        """Changes of daylight saving and tariff, self-reads and demand resets."""
        found: list[Happening] = []
        if self.daylight_saving:
            for year in {datetime.fromtimestamp(t, UTC).year for t in (start, end)}:
                on, off = summer_of(year)
                found += [Happening(t, code) for t, code in ((on, SUMMER_ON), (off, SUMMER_OFF)) if start <= t < end]
        midnight = self.local_midnight(start)
        while midnight < end:
            if self._tariff_events and self.tiers > 1:
                for second in SWITCHES:
                    t = midnight + second
                    t += self.offset_s(midnight) - self.offset_s(t)
                    if start <= t < end and self.tier(t) != self.tier(t - 1):
                        found.append(Happening(t, RATE_CHANGE, self.tier(t)))
            if start <= midnight < end and midnight > self.installed:
                first = self.local(midnight).day == 1
                if first or self.self_read == "daily":
                    found.append(Happening(midnight, SELF_READ))
                if first:
                    found.append(Happening(midnight, DEMAND_RESET))
            midnight = self.local_midnight(midnight + DAY_S + 7200)
        return found

    def _off(self, t: int) -> bool:
        i = bisect_right(self.outages, (t, 1 << 62)) - 1
        return i >= 0 and t < self.outages[i][1]

    def _add_segments(self, start: int, end: int) -> None:
        """Cut the week at outages and changes of daylight saving, and join what goes on."""
        cuts = {start, end}
        for a, b in self.outages[-3:]:
            cuts |= {t for t in (a, b) if start < t < end}
        if self.daylight_saving:
            for year in {datetime.fromtimestamp(t, UTC).year for t in (start, end)}:
                cuts |= {t for t in summer_of(year) if start < t < end}
        times = sorted(cuts)
        for a, b in pairwise(times):
            if self._off(a):
                continue
            last, summer = self._segments[-1], self.is_summer(a)
            if last.end == a and last.summer == summer:
                self._segments[-1] = Segment(last.start, b, summer)
            else:
                self._segments.append(Segment(a, b, summer))
                self._starts.append(a)

    # ---- what is asked for

    def powered(self, t: int) -> bool:
        """Whether the meter runs."""
        self.know(t)
        return not self._off(t)

    def outages_before(self, t: int) -> list[tuple[int, int]]:
        """The outages that began before ``t``."""
        self.know(t)
        return self.outages[: bisect_right(self.outages, (t, -1))]

    def clock_changes_in(self, start: int, end: int) -> list[int]:
        """By how much the clock was set in ``start < t <= end``."""
        self.know(end)
        first = bisect_right(self.clock_changes, (start, 1 << 62))
        return [by for _, by in self.clock_changes[first : bisect_right(self.clock_changes, (end, 1 << 62))]]

    def happenings(self, after: int, until: int) -> list[Happening]:
        """What went into the log in ``after < t <= until``, in order."""
        self.know(until)
        first = bisect_right(self._happenings, after, key=lambda h: h.time)
        return self._happenings[first : bisect_right(self._happenings, until, key=lambda h: h.time)]

    def _pattern(self, energy: int, tier: int, summer: bool) -> Pattern:
        return self.home.total[energy] if tier < 0 else self.home.tier(energy, tier, summer)

    def energy(self, energy: int, t: int, tier: int = -1) -> int:
        """The energy since the installation in milliwatt seconds; of one tier, or of all (-1)."""
        if t > self._known:
            self.know(t)
        sums = self._sums.get((energy, tier))
        if sums is None:
            sums = self._sums[energy, tier] = [0]
        i = bisect_right(self._starts, t) - 1
        if i < 0:
            return 0
        segments = self._segments
        while len(sums) <= i:
            s = segments[len(sums) - 1]
            pattern = self._pattern(energy, tier, s.summer)
            sums.append(sums[-1] + raw(pattern, energy, s.end) - raw(pattern, energy, s.start))
        s = segments[i]
        pattern = self._pattern(energy, tier, s.summer)
        return sums[i] + raw(pattern, energy, min(t, s.end)) - raw(pattern, energy, s.start)

    def counted(self, energy: int, t: int, tier: int = -1) -> int:
        """A register in Wh or varh: the first reading and what came since, rounded down. The first one is in tier 0."""
        return self.energy(energy, t, tier) // WH + (self.first[energy] if tier <= 0 else 0)

    def series(self, energy: int, start: int, step: int, count: int) -> list[int]:
        """`counted` at ``count`` times from ``start`` on, ``step`` seconds apart."""
        end = start + step * (count - 1)
        self.know(end)
        if step % SLOT_S or start % SLOT_S or start < self.installed:
            return [self.counted(energy, start + i * step) for i in range(count)]
        pattern = self.home.total[energy]
        cumulated, stride = pattern.cumulated, step // SLOT_S
        factors, year_sums = _FACTORS[energy]
        first = self.first[energy]
        out: list[int] = []
        t = start
        while len(out) < count:
            i = bisect_right(self._starts, t) - 1
            s = self._segments[i]
            if t > s.end:  # off: what was reached before
                out.append(self.energy(energy, t) // WH + first)
                t += step
                continue
            week, second = divmod(t - _MONDAY, WEEK_S)
            year, in_year = divmod(week, _YEAR)
            slot = second // SLOT_S
            stop = min(s.end, _MONDAY + (week + 1) * WEEK_S - 1)
            n = min((stop - t) // step + 1, count - len(out))
            factor = factors[in_year]
            # What the register holds at a slot is this, and the week's energy before it times its factor.
            before = (year * year_sums[_YEAR] + year_sums[in_year]) * cumulated[SLOTS]
            # Whole watt hours are taken out of it, so that the loop has small numbers to divide.
            whole, rest = divmod(before + self.energy(energy, t) - raw(pattern, energy, t), WH)
            whole += first
            out += [whole + (rest + c * factor) // WH for c in cumulated[slot : slot + (n - 1) * stride + 1 : stride]]
            t += n * step
        return out

    def power(self, energy: int, t: int, phase: int = -1) -> int:
        """The power now in W or var, of one phase (0 to 2) or all (-1); 0 while the power is out."""
        if not self.powered(t):
            return 0
        week, second = divmod(t - _MONDAY, WEEK_S)
        slot = second // SLOT_S
        all_phases = self.home.total[energy].shape[slot] * _FACTORS[energy][0][week % _YEAR] // 1000
        if phase < 0:
            return all_phases
        one, two = (all_phases * share // 1000 for share in self.home.split[slot])
        return (one, two, all_phases - one - two)[phase]

    def noise(self, t: int, of: int) -> int:
        """-500 to 499, another one every second and for every ``of``."""
        x = (t * 2_654_435_761 + self.seed * 40_503 + of * 2_246_822_519 + 1) & 0xFFFFFFFF
        x ^= x >> 15
        x = x * 2_246_822_519 & 0xFFFFFFFF
        return (x ^ x >> 13) % 1000 - 500

    def voltage(self, t: int, phase: int) -> int:
        """mV; 0 where there is no such phase, or no power."""
        if phase >= self.phases or not self.powered(t):
            return 0
        return 230_000 + 3 * self.noise(t // 600, phase) + self.noise(t, phase)

    def apparent(self, t: int, phase: int = -1) -> int:
        """VA."""
        active = self.power(FORWARD, t, phase) - self.power(REVERSE, t, phase)
        reactive = self.power(IMPORT, t, phase) - self.power(EXPORT, t, phase)
        return isqrt(active * active + reactive * reactive)

    def current(self, t: int, phase: int) -> int:
        """mA."""
        voltage = self.voltage(t, phase)
        return self.apparent(t, phase) * 1_000_000 // voltage if voltage else 0

    def frequency(self, t: int) -> int:
        """mHz."""
        return 50_000 + self.noise(t, 99) // 25 if self.powered(t) else 0


def _times(random: Random, rate: float) -> int:
    """How often something that has this rate happens: the whole part, and once more by chance."""
    whole = int(rate)
    return whole + (random.random() < rate - whole)


@lru_cache(maxsize=256)
def summer_of(year: int) -> tuple[int, int]:
    """When daylight saving begins and ends in the European Union, in seconds since 1970."""
    out = []
    for month in (3, 10):
        last = datetime(year, month, 31, 1, tzinfo=UTC)
        last -= timedelta(days=(last.weekday() + 1) % 7)
        out.append(int(last.timestamp()))
    return out[0], out[1]
