"""Virtual meters of random configurations decode to their truth: firmware, data sets, demands, tiers, clocks and logs at random.

Runs in this process with either decoder, so that a loop over many seeds is quick: ``check("python", seed, directory)``.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from osgp_fast.image import parse_table_name
from osgp_fast.virtual import Channel, DataSet, Demands, Firmware, Happenings, MBusDevice, MeterConfig, VirtualMeter
from osgp_fast.virtual.truth import LEFT_OUT, profile, truth

from .both import IMPLEMENTATIONS, decode

FIRMWARES = ("2.0", "2.10", "2.12", "3.10", "3.30", "3.50", "3.60", "3.70", "3.82", "4.0", "4.10", "4.30")
SOURCES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 15, 16, 18, 19, 29, 30, 40, 41, 108, 109, 111, 185, 202)


def config(seed: int) -> MeterConfig:
    """A meter at random."""
    r = random.Random(seed)
    firmware = Firmware.parse(r.choice(FIRMWARES))
    devices = tuple(
        MBusDevice(kind=r.choice(("heat", "water", "gas")), serial=f"{i:08}") for i in range(r.randrange(5))
    )

    def channel() -> Channel:
        if devices and firmware.version >= (3, 10) and r.random() < 0.2:
            return Channel.parse(f"mbus{r.randrange(len(devices)) + 1}.{r.randrange(3)}")
        return Channel(r.choice(SOURCES))

    sets = tuple(
        DataSet(
            sources=tuple(channel() for _ in range(r.randrange(1, 9))),
            interval=r.choice((1, 5, 10, 15, 20, 30, 60, 60, 1440)),
            intervals=r.choice((1, 2, 7, 10, 18, 24, 96, 100)),
            blocks=r.choice((1, 2, 5, 40, 100)),
            start=r.choice((0, 0, 300, 1380)),
        )
        for _ in range(r.randrange(firmware.sets + 1))
    )
    n = r.randrange(4)
    demands = Demands(
        sources=tuple(r.randrange(4) for _ in range(n)),
        coincidents=tuple((r.randrange(4), r.randrange(n)) for _ in range(r.randrange(3))) if n else (),
        interval=r.choice((5, 15, 60)),
        cumulative=r.random() < 0.5,
        continuous=r.random() < 0.5,
        reset_counter=r.random() < 0.5,
    )
    return MeterConfig(
        firmware=firmware,
        seed=r.randrange(1 << 20),
        neighbour=r.choice((0, 0, 7)),
        phases=r.choice((1, 3)),
        start=datetime(2024, r.randrange(1, 13), r.randrange(1, 28), r.randrange(24), r.randrange(60), 7, tzinfo=UTC),
        history_days=r.choice((0, 1, 3, 20, 50)),
        time_zone=r.choice((0, 60, -300, 345, 840, -720)),
        daylight_saving=r.random() < 0.6,
        tiers=8 if firmware.most_tiers == 8 and r.random() < 0.4 else 4,
        tiers_in_use=r.randrange(1, 5),
        data_sets=sets,
        demands=demands,
        self_reads=r.randrange(13),
        self_read=r.choice(("daily", "monthly")),
        events=r.choice((1, 5, 100)),
        alternate_events=r.choice((0, 3, 50)),
        recurring_reads=r.randrange(9),
        mbus=devices,
        energy_register_unit=r.choice((1, 10, 100)) if firmware.version >= (3, 70) else 1,
        ct_ratio=r.choice((1, 5)),
        generation=r.random() < 0.6,
        happenings=Happenings(
            outages=r.choice((0.0, 30.0, 52.0)),
            clock_changes=r.choice((0.0, 50.0)),
            tariff_events=r.random() < 0.5,
        ),
    )


def check(implementation: str, seed: int) -> int:
    """Decode a random meter and compare; gives how many rows there were."""
    meter = VirtualMeter(config(seed))
    t = meter.start
    wanted = truth(meter, "m", t)
    tables = {parse_table_name(id) or 0: data for id, data in meter.images(t).items() if data and id not in LEFT_OUT}

    def rows(kind: str) -> list[dict[str, Any]]:
        found, rejects = decode(implementation, tables, kind)
        assert not rejects, rejects
        return found

    names = ("data_set", "interval_end", "channel", "source", "value", "status", "flags", "block", "interval")
    found = [[r[n] if n != "interval_end" else r[n] // 1_000_000 for n in names] for r in rows("load_profile")]
    assert found == list(profile(meter, t))
    events = [
        [r["sequence"], r["time"] // 1_000_000, r["user_id"], r["event_code"], r["argument"].hex()]
        for r in rows("events")
    ]
    assert events == [e[:5] for e in wanted["events"]]
    assert [r["raw"] for r in rows("measurements")] == wanted["present"]
    registers = rows("registers")
    records = [wanted["registers"], *sorted(wanted["self_reads"], key=lambda r: str(r["time"]))]
    values = []
    for record in records:
        for block in record["blocks"]:
            values += [*block["summations"], *(d["value"] for d in block["demands"]), *block["coincidents"]]
    assert [r["value"] for r in registers] == values
    assert {r["snapshot"] for r in registers} == {"current", *(["self_read"] if wanted["self_reads"] else [])}
    return len(found) + len(events) + len(values)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("seed", range(6))
def test_a_random_meter(implementation: str, seed: int) -> None:
    assert check(implementation, seed) > 40
