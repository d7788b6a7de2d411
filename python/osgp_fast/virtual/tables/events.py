"""The event logs and what else tells of the past: BT70, BT71, BT74, ET09, ET79, ET81."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..world import SAG, SWELL
from ._types import Makers

if TYPE_CHECKING:
    from ..meter import VirtualMeter

FLAGS = {"date_time": True, "sequence_number": True}
#: Bytes of an event's argument.
ARGUMENT = 2
#: Entries of ET81.
OUTAGE_LOG = 10
#: Where ET04 says how many outages ET09 has room for; it can be written.
_OUTAGE_RECORDS = 53


def _dimensions(entries: int) -> dict[str, Any]:
    return {
        "flags": FLAGS,
        "standard_event_bytes": 8,
        "manufacturer_event_bytes": 19,
        "history_data_length": ARGUMENT,
        "event_data_length": ARGUMENT,
        "history_entries": entries,
    }


def bt70(m: VirtualMeter, t: int) -> dict[str, Any]:
    # Before 2.12 it stands for BT71, so it is not more than there is.
    return _dimensions(m.config.events if "BT71" not in m.tables else max(200, m.config.events))


def bt71(m: VirtualMeter, t: int) -> dict[str, Any]:
    return _dimensions(m.config.events)


def _log(m: VirtualMeter, t: int, *, alternate: bool) -> dict[str, Any]:
    room = m.alternate_entries if alternate else m.config.events
    found = m.entries(t, alternate=alternate)
    # The ring's place of an entry: how many were made before it in this log.
    number = sum(e.alternate == alternate and e.time <= t for e in m.log(t))
    entries: list[dict[str, Any] | None] = [None] * room
    for age, e in enumerate(reversed(found)):
        entries[(number - 1 - age) % room] = {
            "time": datetime.fromtimestamp(e.time, UTC),
            "sequence": e.sequence & 0xFFFF,
            "user_id": e.user,
            "code": {"event": e.code},
            "argument": e.argument,
        }
    last = found[-1].sequence if found else 0
    read = m.read_up_to.get("alternate events" if alternate else "events", 0)
    unread = sum(e.sequence > read for e in found)
    return {
        "flags": {"list_type": int(room > 0), "overflow": number > room and not read},
        "valid_entries": len(found),
        "last_entry": (number - 1) % room if found else 0,
        "last_sequence": last,
        "unread_entries": unread,
        "entry": entries,
    }


def bt74(m: VirtualMeter, t: int) -> dict[str, Any]:
    return _log(m, t, alternate=False)


def et79(m: VirtualMeter, t: int) -> dict[str, Any]:
    return _log(m, t, alternate=True)


def et09(m: VirtualMeter, t: int) -> dict[str, Any]:
    past = [o for o in m.world.outages_before(t) if o[1] <= t][::-1]
    room = m.image("ET04", t)[_OUTAGE_RECORDS]
    values: dict[str, Any] = {
        "sag1_threshold": 10,
        "surge_threshold": 10,
        "over_current_threshold": 10,
        "outage": [
            {
                "power_on": datetime.fromtimestamp(end, UTC),
                "reset_cause": 3,
                "power_off": datetime.fromtimestamp(start, UTC),
                "duration": end - start,
            }
            for start, end in past[:room]
        ],
        "min_frequency": 49_980,
        "max_frequency": 50_019,
    }
    for code, name, milli in ((SAG, "sag1", 200_000), (SWELL, "surge", 258_000)):
        for phase in range(m.config.phases):
            # The phase stands in the argument's high nibble.
            mine = [e for e in m.log(t) if e.code == code and e.argument[1] >> 4 == phase + 1 and e.time <= t]
            if mine:
                values |= {
                    f"l{phase + 1}_{name}_time": datetime.fromtimestamp(mine[-1].time, UTC),
                    f"l{phase + 1}_{name}_events": len(mine),
                    f"l{phase + 1}_{name}_voltage": milli,
                }
    return values


def et81(m: VirtualMeter, t: int) -> dict[str, Any]:
    past = [o for o in m.world.outages_before(t) if o[1] <= t]
    entries: list[dict[str, Any] | None] = [None] * OUTAGE_LOG
    for number, (start, end) in list(enumerate(past))[-OUTAGE_LOG:]:
        entries[number % OUTAGE_LOG] = {"start": m.readings.local(start), "end": m.readings.local(end)}
    valid = min(len(past), OUTAGE_LOG)
    return {
        "flags": {"list_type": True, "overflow": len(past) > OUTAGE_LOG},
        "valid_entries": valid,
        "last_entry": (len(past) - 1) % OUTAGE_LOG if past else 0,
        "last_sequence": len(past) % 65_536,
        "unread_entries": valid,
        "entry": entries,
    }


MAKERS: Makers = {"BT70": bt70, "BT71": bt71, "BT74": bt74, "ET09": et09, "ET79": et79, "ET81": et81}
