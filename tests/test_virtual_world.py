"""The household behind the virtual meter: energies are the integral of the power, whoever adds them up."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from osgp_fast.virtual import Demands, MeterConfig, VirtualMeter
from osgp_fast.virtual.world import DAY_S, ENERGIES, EXPORT, FORWARD, IMPORT, REVERSE, WEEK_S, WH, World, summer_of

START = int(datetime(2024, 3, 20, tzinfo=UTC).timestamp())


@pytest.fixture(scope="module")
def world() -> World:
    # Twenty outages a year, so that the days that are looked at have some.
    return World(11, START, tiers=4, outages=52.0, clock_changes=52.0)


def integral(world: World, energy: int, start: int, end: int) -> int:
    """Milliwatt seconds, second by second."""
    home, total = world.home.total[energy], 0
    week_of_year = 0
    for t in range(start, end):
        if world.powered(t):
            week, second = divmod(t - 4 * DAY_S, WEEK_S)
            week_of_year = week % 52
            total += home.shape[second // 300] * factor(world, energy, week_of_year)
    return total


def factor(world: World, energy: int, week: int) -> int:
    """Per mille, as the power of a slot shows it."""
    from osgp_fast.virtual import world as module

    return module._FACTORS[energy][0][week]


@pytest.mark.parametrize("energy", [FORWARD, REVERSE, IMPORT, EXPORT, 109])
def test_energy_is_the_integral_of_power(world: World, energy: int) -> None:
    outage = world.outages_before(START + 60 * DAY_S)[0]
    start, end = outage[0] - 3601, outage[0] + 5000
    assert world.energy(energy, end) - world.energy(energy, start) == integral(world, energy, start, end)
    # Across the end of the outage, a week and the change of daylight saving.
    start, end = outage[1] - 100, outage[1] + 2000
    assert world.energy(energy, end) - world.energy(energy, start) == integral(world, energy, start, end)
    monday = 4 * DAY_S + (START // WEEK_S + 1) * WEEK_S
    assert world.energy(energy, monday + 700) - world.energy(energy, monday - 700) == integral(
        world, energy, monday - 700, monday + 700
    )


@pytest.mark.parametrize("energy", ENERGIES)
def test_tiers_add_up(world: World, energy: int) -> None:
    for t in (START + 1, START + 11 * DAY_S + 12_345, START + 200 * DAY_S + 77):
        assert sum(world.energy(energy, t, tier) for tier in range(4)) == world.energy(energy, t)


def test_what_flows_out_does_not_flow_in(world: World) -> None:
    for t in range(START, START + WEEK_S, 700):
        assert not (world.power(FORWARD, t) and world.power(REVERSE, t))
        assert world.power(FORWARD, t) == sum(world.power(FORWARD, t, phase) for phase in range(3))
    assert world.energy(REVERSE, START + WEEK_S) > 0
    a, b = START, START + WEEK_S
    both = sum(world.energy(q, b) - world.energy(q, a) for q in (108, 109))
    assert both == world.energy(IMPORT, b) - world.energy(IMPORT, a)


@pytest.mark.parametrize("step", [60, 300, 900, 3600, DAY_S])
def test_a_series_is_its_values(world: World, step: int) -> None:
    count = min(2000, 40 * DAY_S // step)
    series = world.series(FORWARD, START, step, count)
    assert series == [world.counted(FORWARD, START + i * step) for i in range(count)]
    assert series == sorted(series)


def test_any_order_gives_the_same(world: World) -> None:
    late = World(11, START, tiers=4, outages=52.0, clock_changes=52.0)
    t = START + 300 * DAY_S
    assert late.counted(FORWARD, t) == world.counted(FORWARD, t)
    assert late.happenings(START, t) == world.happenings(START, t)
    assert late.counted(FORWARD, START + DAY_S) == world.counted(FORWARD, START + DAY_S)
    assert late.first[FORWARD] == world.counted(FORWARD, START)


def test_nothing_happens_while_the_power_is_out(world: World) -> None:
    found = world.happenings(START, START + 365 * DAY_S)
    assert found == sorted(found, key=lambda h: h.time)
    for start, end in world.outages_before(START + 364 * DAY_S):
        during = [h for h in found if start <= h.time < end]
        assert [h.code for h in during] == [1]
        assert any(h.time == end and h.code == 2 for h in found)
        assert world.voltage(start, 0) == 0
        assert world.energy(FORWARD, end) == world.energy(FORWARD, start)


def test_daylight_saving() -> None:
    assert summer_of(2024) == tuple(
        int(datetime(2024, m, d, 1, tzinfo=UTC).timestamp()) for m, d in ((3, 31), (10, 27))
    )
    world = World(1, START)
    on = summer_of(2024)[0]
    assert world.local(on - 1) == datetime(2024, 3, 31, 1, 59, 59)
    assert world.local(on) == datetime(2024, 3, 31, 3)
    assert world.local(world.local_midnight(on + 12 * 3600)) == datetime(2024, 3, 31)
    assert world.local(world.local_midnight(summer_of(2024)[1] + 7200)) == datetime(2024, 10, 27)
    assert world.local(world.month_start(on + 5 * DAY_S)) == datetime(2024, 4, 1)


def test_demand_is_the_highest_since_the_reset() -> None:
    config = MeterConfig(
        demands=Demands(sources=(0, 2), coincidents=((2, 0),), interval=30),
        history_days=40,
        start=datetime(2024, 6, 20, 10, tzinfo=UTC),
        tiers_in_use=2,
    )
    meter = VirtualMeter(config)
    world, readings, t = meter.world, meter.readings, meter.start
    reset = world.month_start(t)
    ends = range(reset + 1800, t + 1, 1800)
    demands = {e: (world.energy(0, e) - world.energy(0, e - 1800)) // (1800 * 1000) for e in ends}
    found = readings.demand(0, t)
    assert found.value == max(demands.values())
    assert demands[found.time] == found.value
    for tier in (0, 1):
        assert readings.demand(0, t, tier).value == max(v for e, v in demands.items() if world.tier(e - 1) == tier)
    last_month = readings.demand(0, reset, before_reset=True)
    assert found.cumulative == last_month.value + last_month.cumulative
    record = readings.record(t)
    assert record.demand_resets == 1  # 1 June
    coincident = (world.energy(2, found.time) - world.energy(2, found.time - 1800)) // (1800 * 1000)
    assert record.blocks[0].coincidents == [coincident]


def test_registers() -> None:
    meter = VirtualMeter(MeterConfig(start=datetime(2024, 6, 20, 10, tzinfo=UTC), energy_register_unit=1))
    r, w, t = meter.readings, meter.world, meter.start
    assert r.register(0, t) == w.first[0] + w.energy(0, t) // WH
    assert r.register(6, t) == r.register(0, t) + r.register(1, t)
    assert r.register(7, t) == max(0, r.register(0, t) - r.register(1, t))
    assert r.register(5, t) == len(w.outages_before(t))
    assert r.register(4, t) == sum(min(e, t) - s for s, e in w.outages_before(t))
    assert r.present(8, t) == w.power(FORWARD, t)
    assert sum(r.present(s, t) for s in (185, 186, 187)) == r.present(8, t)
    assert 215_000 < r.present(15, t) < 245_000
