"""What a decoder has to find in a dump of a virtual meter: taken from its household and registers, not from its bytes.

The form is that of tests/samples/dump.truth.json, which tests/samples/check_decode.py compares with decoded files. It has
no place for the registers of the last season and demand reset (BT24, BT25), so dumps with a truth leave these out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from .meter import VirtualMeter
from .readings import Record
from .tables.registers import present, self_read

#: Tables that decode to rows which the truth does not hold.
LEFT_OUT = frozenset({"BT24", "BT25"})


def _time(t: int) -> str:
    return datetime.fromtimestamp(t, UTC).isoformat()


def _record(m: VirtualMeter, r: Record) -> dict[str, Any]:
    demands = m.config.demands
    blocks = [
        {
            "summations": b.summations,
            "demands": [
                {
                    "value": d.value,
                    "time": str(m.readings.local(d.time)) if d.time else None,
                    "cumulative": d.cumulative if demands.cumulative else None,
                }
                for d in b.demands
            ],
            "coincidents": b.coincidents,
        }
        for b in r.blocks
    ]
    counted = bool(demands.sources) and demands.reset_counter
    return {"demand_resets": r.demand_resets if counted else None, "blocks": blocks}


def truth(m: VirtualMeter, label: str, t: int) -> dict[str, Any]:
    """What `decode` has to give for a dump of this meter made at ``t``, but for the rows of the load profile."""
    config = m.config
    events: list[list[Any]] = []
    for alternate in (False, True):
        for e in m.entries(t, alternate=alternate):
            row: list[Any] = [e.sequence, e.time, e.user, e.code, e.argument.hex()]
            events.append([*row, "alternate"] if alternate else row)
    number, room = m.readings.self_read_number(t), config.self_reads
    self_reads = []
    for age, at in enumerate(reversed(m.readings.self_reads(t))):
        r = self_read(m, at)
        local = m.readings.local(at)
        assert local is not None
        self_reads.append(
            {
                "index": (number - 1 - age) % room,
                "time": local.replace(tzinfo=UTC).isoformat(),
                "season": r.season,
                **_record(m, r),
            }
        )
    return {
        "meter": label,
        "events": events,
        "registers": _record(m, m.readings.record(t)),
        "self_reads": self_reads,
        "present": present(m, t),
        "firmware": str(config.firmware),
        "manufacturer": config.manufacturer,
        "model": config.model_name,
        "manufacturer_serial": config.serial_number.zfill(16),
        "utility_serial": config.utility_serial_number,
        "now": _time(t),
    }


def profile(m: VirtualMeter, t: int) -> Iterator[list[int]]:
    """The rows of the load profile, of all data sets."""
    for ring in m.rings:
        yield from ring.rows(t)


def to_json(m: VirtualMeter, label: str, t: int) -> str:
    """The truth of a meter, the load profile with it, as a line of JSON."""
    head = json.dumps(truth(m, label, t))
    # Rows are lists of integers: their repr is JSON, and quicker.
    rows = ",".join(map(repr, profile(m, t)))
    return f'{head[:-1]},"profile":[{rows}]}}'
