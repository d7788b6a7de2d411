#!/usr/bin/env python3
"""Make the example dump: a street of eight made-up meters over ten days, with a fixed seed.

usage: make_example.py [OUT.zip]       the same bytes on every run; nothing in it was read from a real meter
"""

from __future__ import annotations

import math
import random
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
import meter_tables as mt

SEED = 20240610
FIRST_DAY = datetime(2024, 6, 10, tzinfo=UTC)
NOW = datetime(2024, 6, 19, 18, 37, 12, tzinfo=UTC)  # when the dump was made: the newest block is half full
QUARTER = timedelta(minutes=15)
# Forward and reverse active energy in Wh, imported and exported reactive energy in varh.
SOURCES = [0, 1, 2, 3]

# What stands behind each meter: base load W, morning and evening peak W, photovoltaics W, an outage, a second data set.
HOMES = {
    "E1001": {"base": 140, "morning": 900, "evening": 1900},
    "E1002": {"base": 220, "morning": 600, "evening": 2400, "pv": 4200},
    "E1003": {"base": 90, "morning": 1200, "evening": 1100},
    "E1004": {"base": 180, "morning": 500, "evening": 1500, "pv": 6500},
    "E1005": {"base": 310, "morning": 1400, "evening": 2600, "night": 3600},
    "E1006": {"base": 120, "morning": 700, "evening": 1300, "outage": 1},
    "E1007": {"base": 60, "morning": 0, "evening": 250},
    "E1008": {"base": 1900, "morning": 300, "evening": 200, "hourly": 1},
}
# Between these times E1006 was without power: its block of that day is cut short, and a new one starts after it.
OUTAGE = (datetime(2024, 6, 14, 15, 30, tzinfo=UTC), datetime(2024, 6, 14, 19, 45, tzinfo=UTC))


def bump(hour: float, centre: float, width: float) -> float:
    """A bell over the hours of a day."""
    return math.exp(-(((hour - centre) / width) ** 2))


def power(home: dict[str, int], when: datetime, cloud: float, rng: random.Random) -> tuple[float, float, float]:
    """Watts drawn, watts produced and var drawn in the quarter that starts at `when`."""
    hour = when.hour + when.minute / 60
    weekend = when.weekday() >= 5
    drawn = home["base"] * rng.uniform(0.85, 1.2)
    drawn += home["morning"] * bump(hour, 9.0 if weekend else 6.5, 1.4) * rng.uniform(0.5, 1.3)
    drawn += home["evening"] * bump(hour, 18.5, 2.3) * rng.uniform(0.6, 1.3)
    drawn += home.get("night", 0) * (1 if 1 <= hour < 4.5 else 0) * rng.uniform(0.95, 1.0)
    if rng.random() < 0.04:
        drawn += rng.choice([800, 1200, 2000])
    produced = home.get("pv", 0) * max(0.0, math.cos((hour - 11.5) / 16.5 * math.pi)) ** 1.6 * cloud
    produced *= rng.uniform(0.8, 1.0)
    return drawn, produced, drawn * rng.uniform(0.05, 0.25)


def meter(name: str, home: dict[str, int], rng: random.Random) -> dict[str, bytes]:
    """The tables of one meter."""
    registers = [rng.randrange(200_000, 9_000_000) for _ in SOURCES]
    registers[1] = rng.randrange(100_000, 3_000_000) if "pv" in home else 0
    quarters = mt.DataSet(SOURCES, 15, 96, capacity=9, sequence=rng.randrange(300, 900))
    hourly = mt.DataSet([0], 60, 24, capacity=12, sequence=rng.randrange(300, 900))
    cloud = 1.0
    when = FIRST_DAY
    while when + QUARTER <= NOW:
        if when.hour == 0 and when.minute == 0:
            cloud = rng.uniform(0.25, 1.0)
            quarters.blocks.append(mt.Block(when, []))
            hourly.blocks.append(mt.Block(when, []))
        dark = "outage" in home and OUTAGE[0] <= when < OUTAGE[1]
        restored = "outage" in home and when == OUTAGE[1]
        if restored:
            # The rest of the day is a block of its own; what stood before the outage stays as it was.
            quarters.blocks.append(mt.Block(when, [None] * int((when - when.replace(hour=0, minute=0)) / QUARTER)))
        drawn, produced, reactive = power(home, when, cloud, rng)
        when += QUARTER
        if dark:
            continue
        net = drawn - produced
        for channel, watts in enumerate([max(net, 0), max(-net, 0), reactive, 0.03 * reactive]):
            registers[channel] += round(watts / 4)
        current = quarters.blocks[-1]
        # Common flag 0: daylight saving time is in effect; flag 1: power failed within the interval.
        current.intervals.append(mt.Interval(list(registers), flags=0b0011 if restored else 0b0001))
        current.end = when
        if when.minute == 0:
            hourly.blocks[-1].intervals.append(mt.Interval([registers[0]], flags=0b0001))
            hourly.blocks[-1].end = when
    sets = [quarters, hourly] if "hourly" in home else [quarters]
    for s in sets:
        # A day is 96 quarters, so every complete block ends where the next one starts.
        s.blocks = [b for b in s.blocks if any(i is not None for i in b.intervals)]
    tables = {
        "BT00": mt.bt00(),
        "BT01": mt.bt01("83331-3I", int(name[1:])),
        "BT61": mt.bt61(sets),
        "BT62": mt.bt62(sets),
        "BT63": mt.bt63(sets),
        "BT71": mt.bt71(50),
        "BT74": mt.bt74(*log(home, rng)),
        "ET03": mt.et03(f"DEMO-{name}"),
    }
    for n, s in enumerate(sets):
        tables[f"BT{64 + n}"] = mt.data_table(s)
    return tables


def log(home: dict[str, int], rng: random.Random) -> tuple[list[mt.Event], int, int]:
    """The events of the ten days, how many the log holds and the number of the last one."""
    events = []
    when = FIRST_DAY
    while when < NOW:
        when += timedelta(minutes=rng.randrange(200, 900), seconds=rng.randrange(60))
        # 7: accessed for read, 11: programmed, 21: self read; user 0xFFFF: nobody was logged on.
        code = rng.choice([7, 7, 7, 11, 21])
        events.append(mt.Event(when, code, 0xFFFF if code == 21 else 1, rng.randbytes(2)))
    if "outage" in home:
        events += [mt.Event(OUTAGE[0], 1), mt.Event(OUTAGE[1], 2)]
    events = sorted((e for e in events if e.time < NOW), key=lambda e: e.time)
    return events, 50, rng.randrange(65_530, 65_560)


def dump() -> dict[str, bytes]:
    """Every file of the dump by its name."""
    return {
        f"{name}/{table}.bin": data
        for name, home in HOMES.items()
        for table, data in meter(name, home, random.Random(f"{SEED} {name}")).items()
    }


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "example.zip"
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in dump().items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 6, 19, 18, 40, 0)), data, zipfile.ZIP_DEFLATED)
    print(f"{out}: {out.stat().st_size} bytes, {len(HOMES)} meters")


if __name__ == "__main__":
    main()
