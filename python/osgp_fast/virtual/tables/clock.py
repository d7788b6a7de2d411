"""Clock and calendar: BT50, BT52 to BT55, ET47."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any

from ..world import SLOT_S, SWITCHES, tier_of_slot
from ._types import Makers

if TYPE_CHECKING:
    from ..meter import VirtualMeter

#: Switches of one day schedule, and how many schedules BT54 has.
_PER_SCHEDULE = 10
_SCHEDULES = 20
_RECURRING = 23
CALENDAR_ID = 1
#: The last Sunday of March and of October: month, "last weekday on or after", Sunday, 25th (MEP guide p. 41).
_SUMMER_ON = 3 | 6 << 4 | 0 << 8 | 25 << 11
_SUMMER_OFF = 10 | 6 << 4 | 0 << 8 | 25 << 11
#: The seasons begin with April and October, as `World.season` has it: the first of a month.
_APRIL = 4 | 1 << 11
_OCTOBER = 10 | 1 << 11


def _non_recurring(m: VirtualMeter) -> int:
    return 25 if m.config.firmware.seasons == 12 else 0


def bt50(m: VirtualMeter, t: int) -> dict[str, Any]:
    seasons, dates = m.config.firmware.seasons, _non_recurring(m)
    size = 3 * dates + 3 * _RECURRING + 3 * _PER_SCHEDULE * _SCHEDULES + 5 * seasons + 4
    return {
        "counts": {"seasons": seasons, "special_schedules": 2},
        "non_recurring_dates": dates,
        "recurring_dates": _RECURRING,
        "tier_switches": _PER_SCHEDULE * _SCHEDULES,
        "calendar_size": size,
    }


def _moment(t: int) -> datetime:
    return datetime.fromtimestamp(t, UTC)


def _weekday(when: datetime) -> int:
    """From Sunday, which is 0."""
    return (when.weekday() + 1) % 7


def bt52(m: VirtualMeter, t: int) -> dict[str, Any]:
    now = _moment(t + m.clock_offset)
    return {
        "clock": now,
        "flags": {
            "day_of_week": _weekday(now),
            "daylight_saving_time": m.world.is_summer(t),
            "greenwich_mean_time": True,
            "time_zone_applied": False,
            "dst_applied": False,
        },
    }


def bt53(m: VirtualMeter, t: int) -> dict[str, Any]:
    local = (60 + m.config.time_zone) % 1440
    return {
        "daylight_saving_effective": time(*divmod(local, 60)),
        "daylight_saving_adjustment": 60 if m.config.daylight_saving else 0,
        "time_zone_offset": m.config.time_zone,
    }


def bt54(m: VirtualMeter, t: int) -> dict[str, Any]:
    recurring: list[dict[str, Any]] = []
    if m.config.daylight_saving:
        recurring += [
            {"date": _SUMMER_ON, "action": {"action": 1}},
            {"date": _SUMMER_OFF, "action": {"action": 2}},
        ]
    recurring += [
        {"date": _APRIL, "action": {"action": 4}},
        {"date": _OCTOBER, "action": {"action": 3}},
    ]
    recurring[0]["action"]["tou_format"] = m.config.firmware.seasons == 12
    switches: list[dict[str, Any]] = []
    for schedule, day in enumerate((0, 5, 6)):  # a weekday, Saturday, Sunday
        for second in [*SWITCHES, *[0] * (_PER_SCHEDULE - len(SWITCHES))]:
            slot = (day * 86_400 + second) // SLOT_S
            tier = tier_of_slot(slot, 0, m.config.tiers_in_use)
            switches.append(
                {
                    "switch": {"tier": tier, "hour": second // 3600, "minute": second // 60 % 60},
                    "schedule": schedule,
                }
            )
    season = {"saturday": 1, "sunday": 2, "weekday": 0, "special_0": 2, "special_1": 2}
    return {
        "recurring": recurring,
        "tier_switch": switches,
        "season": [season] * m.config.firmware.seasons,
        "calendar_id": CALENDAR_ID,
    }


def bt55(m: VirtualMeter, t: int) -> dict[str, Any]:
    now = m.world.local(t + m.clock_offset)
    return {
        "clock": now,
        "flags": {
            "day_of_week": _weekday(now),
            "daylight_saving_time": m.world.is_summer(t),
            "greenwich_mean_time": False,
            "time_zone_applied": True,
            "dst_applied": True,
        },
        "tariff": {"current_tier": m.world.tier(t), "season": m.world.season(t)},
    }


MAKERS: Makers = {"BT50": bt50, "BT52": bt52, "BT53": bt53, "BT54": bt54, "BT55": bt55}
