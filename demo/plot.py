#!/usr/bin/env python3
"""Draw a day's load profile from a decoded Parquet file.

usage: plot.py LOAD_PROFILE.parquet OUT.png       needs pyarrow and matplotlib, and a file made with --delta
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta

import matplotlib
import pyarrow.parquet as pq

matplotlib.use("Agg")
import matplotlib.dates as mdates
import matplotlib.pyplot as plt

COLUMNS = ["meter", "data_set", "interval_end", "interval_s", "quantity", "delta"]
Curve = list[tuple[datetime, float]]


def curves(path: str) -> dict[str, Curve]:
    """Average power in W of every interval of the first data set, drawn minus fed in, by meter."""
    sums: dict[str, dict[datetime, float]] = defaultdict(lambda: defaultdict(float))
    sign = {"fwd_active_wh": 1, "rev_active_wh": -1}
    for row in pq.read_table(path, columns=COLUMNS).to_pylist():
        if row["data_set"] != 1 or row["quantity"] not in sign or row["delta"] is None:
            continue
        seconds = timedelta(seconds=row["interval_s"])
        watts = row["delta"] * 3600 / row["interval_s"] * sign[row["quantity"]]
        sums[row["meter"]][row["interval_end"] - seconds] += watts
    return {meter: sorted(points.items()) for meter, points in sums.items()}


def busiest_day(profiles: dict[str, Curve]) -> date:
    """The day of which most intervals are there, the latest of equals."""
    days = Counter(when.date() for curve in profiles.values() for when, _ in curve)
    return max(days, key=lambda day: (days[day], day))


def main() -> None:
    source, target = sys.argv[1:3]
    profiles = curves(source)
    day = busiest_day(profiles)
    figure, axes = plt.subplots(figsize=(11, 5.5), layout="constrained")
    axes.axhline(0, color="0.6", linewidth=0.8)
    for meter, curve in profiles.items():
        points = [(when, watts) for when, watts in curve if when.date() == day]
        if points:
            axes.step(*zip(*points, strict=True), where="post", label=meter, linewidth=1.4)
    axes.set_title(f"Load profile of {day:%A, %d %B %Y}: {len(profiles)} meters")
    axes.set_ylabel("W, average of the interval (below zero: fed in)")
    axes.set_xlabel("UTC")
    axes.xaxis.set_major_locator(mdates.HourLocator(interval=3))
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%H:%M"))
    axes.set_xlim(
        datetime.combine(day, datetime.min.time()), datetime.combine(day + timedelta(days=1), datetime.min.time())
    )
    axes.grid(alpha=0.3)
    axes.legend(ncols=2, frameon=False)
    figure.savefig(target, dpi=120)
    print(f"{target}: {day}, {len(profiles)} meters")


if __name__ == "__main__":
    main()
