"""How the meter is and how it is set: BT03, BT04, BT07, BT08, ET36, ET46, ET47, ET54, ET55, ET59, ET85, ET89, ET97."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ...image import parse_table_name
from .. import world
from . import events, mep, registers
from ._types import Makers

if TYPE_CHECKING:
    from ..meter import VirtualMeter

_CLIENT_RESPONSE = 16
#: Which event sets which alarm: word and bit of BT03.
_ALARMS = {
    world.POWER_UP: ("standard", "power_failure"),
    world.TAMPER: ("standard", "cover_removed"),
    world.SELF_READ: ("manufacturer_4", "self_read_occurred"),
    world.INVALID_PASSWORD: ("manufacturer_5", "invalid_password"),
    world.MAGNETIC_TAMPER: ("manufacturer_7", "magnetic_tamper"),
    world.SAG: ("manufacturer_7", "power_quality_event"),
    world.SWELL: ("manufacturer_7", "power_quality_event"),
}


def compatibility(m: VirtualMeter) -> dict[str, Any]:
    """ET54.0, copied to ET42.4."""
    firmware = m.config.firmware
    word: dict[str, Any] = {
        "billing_lp_format_2": firmware.version >= (3, 10),
        "multiple_sets": firmware.sets > 1,
        "energy_unit_change": firmware.version >= (3, 70),
    }
    if firmware.gen4:
        word |= {"five_digit_id_codes": True, "multiple_mep_clients": True}
    return word


def bt03(m: VirtualMeter, t: int) -> tuple[dict[str, Any], int]:
    firmware = m.config.firmware
    found: dict[str, dict[str, bool]] = {"mode": {"metering_mode": True}}
    for e in m.log(t):
        if e.code in _ALARMS and m.cleared < e.time <= t:
            word, bit = _ALARMS[e.code]
            found.setdefault(word, {})[bit] = True
    if firmware.version >= (2, 12):
        found.setdefault("manufacturer_7", {})["event_log_unread"] = True
    if firmware.version >= (3, 10):
        found.setdefault("manufacturer_7", {})["load_profile_1_unread"] = True
    for n in range(2, len(m.rings) + 1):
        found.setdefault("extended", {})[f"load_profile_{n}_unread"] = True
    size = 4 + firmware.status_bytes
    # Alarms of bytes that this firmware does not have.
    for word in [w for w in found if w.startswith("manufacturer_") and int(w.split("_")[1]) >= size]:
        del found[word]
    return found, size


def bt04(m: VirtualMeter, t: int) -> dict[str, Any]:
    numbers = {id: parse_table_name(id) or 0 for id in m.pending}
    records = []
    for id, pending in m.pending.items():
        first = pending.ped[0]
        event = {"code": first & 15, "self_read": bool(first & 16), "demand_reset": bool(first & 32)}
        table = {"id": numbers[id], "still_pending": True}
        records.append({"event": event, "storage": pending.ped[1:], "table": table})
    room = 4 if m.config.firmware.gen4 else 3
    return {
        "basic_pending": [n for n in numbers.values() if n < 2048],
        "extended_pending": [n - 2048 for n in numbers.values() if n >= 2048],
        "last_activation_time": datetime.fromtimestamp(m.last_activation, UTC) if m.last_activation else None,
        "pending_activations": len(records),
        "activation": records[:room],
    }


def bt07(m: VirtualMeter, t: int) -> tuple[dict[str, Any], int]:
    data = m.initiated
    word = int.from_bytes(data[:2], "little")
    return {
        "procedure": {"number": word & 0xFFF, "response_handling": word >> 12},
        "sequence_number": data[2],
        "parameters": data[3:],
    }, len(data)


def bt08(m: VirtualMeter, t: int) -> tuple[dict[str, Any], int]:
    return _response(m.response)


def _response(data: bytes) -> tuple[dict[str, Any], int]:
    return {
        "procedure": {"number": int.from_bytes(data[:2], "little") & 0xFFF},
        "sequence_number": data[2],
        "result_code": data[3],
        "response": data[4:],
    }, len(data)


def et59(m: VirtualMeter, t: int) -> tuple[dict[str, Any], int]:
    """Of MEP client 1, where it wants them there."""
    return _response(m.client_responses.get("ET59", b"").ljust(_CLIENT_RESPONSE, b"\0"))


def et85(m: VirtualMeter, t: int) -> tuple[dict[str, Any], int]:
    """Of MEP client 2."""
    return _response(m.client_responses.get("ET85", b"").ljust(_CLIENT_RESPONSE, b"\0"))


def logs(m: VirtualMeter) -> list[dict[str, Any]]:
    """ET36's records: entry sizes, most and present entries of every log."""
    demand = bool(m.config.demands.sources)
    record = registers.record_size(m)
    width = 5 if m.config.firmware.gen4 else 4
    change = 7 + 2 * 16 + 8 + (width + 2) * 16
    sizes = {
        31: (6 + 2 * demand + record, 255, 2),
        32: (mep.ENTRY, 255, 8),
        38: (35, 255, 10),
        41: (12 + record, 255, registers.reset_log(m)),
        45: (mep.ENTRY, 253, m.config.recurring_reads),
        75: (change, 253, 0),
        81: (12, 253, events.OUTAGE_LOG),
    }
    return [
        {
            "table": {"number": number, "extended": 1},
            "entry_size": sizes[number][0],
            "max_entries": sizes[number][1],
            "current_entries": sizes[number][2],
            "flags": {"length_included": number in (32, 41, 45)},
        }
        for number in m.config.firmware.logs
    ]


def et36(m: VirtualMeter, t: int) -> dict[str, Any]:
    return {"count": len(m.config.firmware.logs), "log": logs(m), "unread": b"\0"}


def et47(m: VirtualMeter, t: int) -> dict[str, Any]:
    return {"tariff": 255}


def et54(m: VirtualMeter, t: int) -> dict[str, Any]:
    firmware = m.config.firmware
    values: dict[str, Any] = {"compatibility": compatibility(m)}
    if firmware.version >= (3, 60):
        values["et74_entries"] = mep.extended_log(m)
    if firmware.version >= (3, 70):
        values["et79_entries"] = m.alternate_entries
    if firmware.version >= (3, 80):
        values["security_modes"] = {"rc4": True, "osgp_aes_128_psk": True}
    return values


def et55(m: VirtualMeter, t: int) -> dict[str, Any]:
    c, firmware = m.config, m.config.firmware
    width = 5 if firmware.gen4 else 4
    values: dict[str, Any] = {
        "signal_threshold": -84,
        "plc_active_timeout": 60,
        "message_id": b" " * width,
        "message_text": b" " * 8,
        "message_start": None,
        "message_end": None,
        "tariff_disables": {"_rest": 1},
    }
    if firmware.version >= (4, 30):
        values |= {
            "optical_lockout_threshold": c.failures_until_lockout,
            "optical_lockout_duration": c.lockout_minutes,
        }
    if firmware.version >= (3, 70):
        values |= {
            "energy_register_unit": c.energy_register_unit,
            "step_tariff_reset_day": 1,
        }
    if firmware.gen4:
        values |= {
            "optical_settings": {"dos_timer": c.dos_timer},
            "optical_session_timeout": c.dos_session_s,
            "optical_session_hold_off": c.dos_hold_off_s,
        }
    return values


def et89(m: VirtualMeter, t: int) -> tuple[dict[str, Any], int]:
    """As far as firmware before 4.50 has it: the clients that were there before."""
    return {}, 2 * 34


MAKERS: Makers = {
    "BT03": bt03,
    "BT04": bt04,
    "BT07": bt07,
    "BT08": bt08,
    "ET36": et36,
    "ET47": et47,
    "ET54": et54,
    "ET55": et55,
    "ET59": et59,
    "ET85": et85,
    "ET89": et89,
}
