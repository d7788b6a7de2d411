"""What the meter makes of its household: the values of its source IDs, its demand registers and self-reads.

All of it as numbers; `tables` puts them into tables, `truth` into the rows that a decoder has to find.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import Final

from ..catalog import sources, summation_order, unlisted_summations
from . import mbus
from .config import MeterConfig
from .world import DAY_S, EXPORT, FORWARD, IMPORT, QUADRANTS, REVERSE, WH, World

#: Sources of a tier: the first ID of each (MEP guide p. 204), and what they count in their order.
_TIER_FIRST: Final = 29
_TIER_STEP: Final = 11
_DIRECTIONS: Final = (FORWARD, REVERSE, IMPORT, EXPORT)
BOTH: Final = 6
NET: Final = 7
POWER_OFF_S: Final = 4
OUTAGES: Final = 5


@cache
def energies() -> frozenset[int]:
    """The sources that count energy register units."""
    return frozenset(row["id"] for row in sources() if row["energy_register_unit"])


@dataclass(frozen=True, slots=True)
class Demand:
    """A demand register: the highest demand since the last reset, in W or var, and when its interval ended."""

    value: int
    time: int
    cumulative: int


@dataclass(frozen=True, slots=True)
class Block:
    """The totals, or one tier, of a record of registers (BT23)."""

    summations: list[int]
    demands: list[Demand]
    coincidents: list[int]


@dataclass(frozen=True, slots=True)
class Record:
    """A record of registers at some time; ``blocks``: the totals, then the tiers."""

    time: int
    season: int
    demand_resets: int
    blocks: list[Block]


class Readings:
    """The registers of a meter as functions of the time."""

    def __init__(self, config: MeterConfig, world: World) -> None:
        self.config = config
        self.world = world
        firmware, demands = config.firmware, config.demands
        order = list(summation_order())
        order += [255] * (firmware.most_summations - len(order))
        self.summations = order[: firmware.summations(len(demands.sources))]
        """BT22's sources; of those that no source ID names 255."""
        self._maxima: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
        self._demands: dict[tuple[int, int], int] = {}
        self._tiers: dict[int, int] = {}

    # ---- registers

    def register(self, source: int, t: int, tier: int = -1) -> int:
        """A register in Wh, varh, seconds or a count, as a reader sees it: whole energy register units."""
        value = self._count(source, t, tier)
        unit = self.config.energy_register_unit
        return value // unit * unit if unit > 1 and source in energies() else value

    def _count(self, source: int, t: int, tier: int) -> int:
        world = self.world
        if source in _DIRECTIONS or source in QUADRANTS:
            return world.counted(source, t, tier)
        if source == BOTH:
            return world.counted(FORWARD, t, tier) + world.counted(REVERSE, t, tier)
        if source == NET:  # never negative (MEP guide p. 209)
            return max(0, world.counted(FORWARD, t, tier) - world.counted(REVERSE, t, tier))
        if tier >= 0:
            return 0  # not populated in tiers, though it takes its bytes
        if source == POWER_OFF_S:
            return sum(min(end, t) - start for start, end in world.outages_before(t))
        if source == OUTAGES:
            return len(world.outages_before(t))
        return 0

    def apparent(self, place: int, t: int, tier: int) -> int:
        """VAh of quadrant ``place`` 0 to 3, which no source ID names: about what its active energy is."""
        of = (FORWARD, REVERSE, REVERSE, FORWARD)[place]
        return self.world.energy(of, t, tier) // (2 * WH) + self.world.energy(QUADRANTS[place], t, tier) // (2 * WH)

    def value(self, source: int, t: int) -> int:
        """What a channel of the load profile records at the end of an interval, in the source's raw unit."""
        if source > 0xFF:
            return mbus.value(self, source >> 8 & 0xF, source & 0x1F, t)
        if source in energies() or source in (POWER_OFF_S, OUTAGES):
            tier, of = divmod(source - _TIER_FIRST, _TIER_STEP)
            if 0 <= tier < 4:
                return self.register((FORWARD, REVERSE, IMPORT, EXPORT, POWER_OFF_S, OUTAGES, BOTH, NET)[of], t, tier)
            return self.register(source, t)
        return self.present(source, t)

    # ---- present values

    def present(self, source: int, t: int) -> int:
        """A present value in its raw unit: W, var, VA, mA, mV, mHz, 1/1000, 1/100 degree. Source: MEP guide p. 216."""
        world, ratio = self.world, self.config.ct_ratio
        if not world.powered(t):
            return 0
        if 8 <= source <= 11:
            return world.power(_DIRECTIONS[source - 8], t) // ratio
        if 12 <= source <= 14:
            return world.current(t, source - 12) // ratio
        if 15 <= source <= 17:
            return world.voltage(t, source - 15)
        if source in (18, 21, 22, 23, 24, 25):
            phase = (18, 21, 22).index(source) if source <= 22 else source - 23
            return self._factor(t, phase, sine=source >= 23)
        if source == 19:
            return world.frequency(t)
        if source == 20:
            return world.apparent(t) // ratio
        if 81 <= source <= 84:
            return world.power(_DIRECTIONS[source - 81], t)
        if 104 <= source <= 107:
            return world.power(QUADRANTS[source - 104], t) // ratio
        if 185 <= source <= 190:
            direction, phase = divmod(source - 185, 3)
            return world.power(direction, t, phase) // ratio
        if 191 <= source <= 196:
            direction, phase = divmod(source - 191, 3)
            return world.power(direction, t, phase)
        if 197 <= source <= 199:
            return world.current(t, source - 197)
        return self._newer(source, t, ratio)

    def _newer(self, source: int, t: int, ratio: int) -> int:
        """Those that came with firmware 3.70 and later."""
        world = self.world
        if 202 <= source <= 207:
            return world.voltage(t if source < 205 else t // 600 * 600, (source - 202) % 3)
        if 208 <= source <= 209:
            return world.power(source - 208, t) // ratio
        if 210 <= source <= 215:
            direction, phase = divmod(source - 210, 3)
            return world.power(direction, t, phase) // ratio
        if 216 <= source <= 231:
            of, quadrant = divmod(source - 216, 4)
            active = (FORWARD, REVERSE, REVERSE, FORWARD)[quadrant]
            reactive = (IMPORT, IMPORT, EXPORT, EXPORT)[quadrant]
            here = world.power(active, t) and world.power(reactive, t)
            return world.apparent(t, of - 1) // ratio if here else 0
        if 232 <= source <= 235:
            return (
                world.current(t, 0) // (20 if source == 232 else 1) if source <= 233 else world.current(t, source - 233)
            )
        if 236 <= source <= 238:
            return 12_000 + world.noise(t, source) // 50 if world.phases == 3 else 0
        if 239 <= source <= 244:
            direction, phase = divmod(source - 239, 3)
            return world.power(IMPORT + direction, t, phase) // ratio
        return 0

    def _factor(self, t: int, phase: int, *, sine: bool) -> int:
        world = self.world
        apparent = world.apparent(t, phase)
        if not apparent:
            return 0
        plus, minus = (IMPORT, EXPORT) if sine else (FORWARD, REVERSE)
        return 1000 * (world.power(plus, t, phase) - world.power(minus, t, phase)) // apparent

    # ---- demand

    @property
    def demand_s(self) -> int:
        """The length of a demand interval in seconds."""
        return self.config.demands.interval * 60

    def demand_of(self, source: int, end: int) -> int:
        """The demand of the interval that ended then, in W or var."""
        energy = self.world.energy(source, end) - self.world.energy(source, end - self.demand_s)
        return energy // (self.demand_s * 1000)

    def _highest(self, source: int, tier: int, reset: int, until: int) -> tuple[int, int]:
        """The highest demand of the intervals in ``reset .. until``, and the end of its first one; (0, 0): none yet."""
        step = self.demand_s
        first = -(-reset // step) * step
        maxima = self._maxima.setdefault((source, tier, reset), [])
        wanted = max(0, (until - first) // step)
        while len(maxima) < wanted:
            end = first + (len(maxima) + 1) * step
            best = maxima[-1] if maxima else (0, 0)
            if tier < 0 or self._tier(end - 1) == tier:
                value = self._cached_demand(source, end)
                if value > best[0]:
                    best = (value, end)
            maxima.append(best)
        return maxima[wanted - 1] if wanted else (0, 0)

    def _cached_demand(self, source: int, end: int) -> int:
        value = self._demands.get((source, end))
        if value is None:
            value = self._demands[source, end] = self.demand_of(source, end)
        return value

    def _tier(self, t: int) -> int:
        tier = self._tiers.get(t)
        if tier is None:
            tier = self._tiers[t] = self.world.tier(t)
        return tier

    def resets(self, t: int) -> list[int]:
        """The demand resets up to ``t``: the beginnings of the months."""
        out: list[int] = []
        start = self.world.month_start(t)
        while start > self.world.installed:
            out.append(start)
            start = self.world.month_start(start - DAY_S)
        return out[::-1]

    def last_reset(self, t: int) -> int:
        """Since when the demand of ``t`` counts."""
        return max(self.world.month_start(t), self.world.installed)

    def demand(self, place: int, t: int, tier: int = -1, *, before_reset: bool = False) -> Demand:
        """A demand register at ``t``; ``before_reset``: just before the reset that happens then."""
        source = self.config.demands.sources[place]
        resets = [r for r in self.resets(t) if r < t or not before_reset]
        starts = [self.world.installed, *resets]
        value, time = self._highest(source, tier, starts[-1], t)
        gone = sum(self._highest(source, tier, a, b)[0] for a, b in pairwise(starts))
        return Demand(value, time, gone)

    # ---- records

    def record(self, t: int, *, before_reset: bool = False) -> Record:
        """The registers at ``t``, as BT23 has them."""
        demands = self.config.demands
        blocks = []
        for tier in range(-1, self.config.tiers):
            empty = tier >= self.world.tiers
            summations = [0 if empty else self._summation(i, t, tier) for i in range(len(self.summations))]
            highest = [
                Demand(0, 0, 0) if empty else self.demand(i, t, tier, before_reset=before_reset)
                for i in range(len(demands.sources))
            ]
            coincident = [
                self.demand_of(source, highest[of].time) if highest[of].time else 0
                for source, of in demands.coincidents
            ]
            blocks.append(Block(summations, highest, coincident))
        resets = [r for r in self.resets(t) if r < t or not before_reset]
        return Record(t, self.world.season(t), len(resets) % 256, blocks)

    def _summation(self, place: int, t: int, tier: int) -> int:
        first = unlisted_summations()[0][0]
        return (
            self.apparent(place - first, t, tier) if place >= first else self.register(self.summations[place], t, tier)
        )

    def self_reads(self, t: int) -> list[int]:
        """When the self-reads that BT26 holds were made, oldest first."""
        times: list[int] = []
        at = self.world.local_midnight(t)
        while at > self.world.installed and len(times) < self.config.self_reads:
            if (self.config.self_read == "daily" or self.world.local(at).day == 1) and self.world.powered(at):
                times.append(at)
            at = self.world.local_midnight(at - 7200)
        return times[::-1]

    def self_read_number(self, t: int) -> int:
        """How many self-reads there have been up to ``t``."""
        number, at = 0, self.world.local_midnight(t)
        while at > self.world.installed:
            if (self.config.self_read == "daily" or self.world.local(at).day == 1) and self.world.powered(at):
                number += 1
            at = self.world.local_midnight(at - 7200)
        return number

    def local(self, t: int) -> datetime | None:
        """Local time as tables have it; None for 0, which is never."""
        return self.world.local(t) if t else None
