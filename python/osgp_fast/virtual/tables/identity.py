"""Who the meter is, what is built into it, and what it shows: BT00, BT01, BT15, BT30, BT33, ET03, ET04, ET11, ET23, ET29."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...image import parse_table_name
from ._types import Makers

if TYPE_CHECKING:
    from ..config import MeterConfig
    from ..meter import VirtualMeter

BASIC_BYTES = 10
BASIC_PROCEDURE_BYTES = 2
EXTENDED_PROCEDURE_BYTES = 12
#: What `procedures` does.
PROCEDURES = ("BP04", "BP05", "BP10", "BP12", "BP13", "BP15", "EP03", "EP17", "EP19", "EP61")


def _set(numbers: set[int], size: int) -> bytes:
    return sum(1 << n for n in numbers).to_bytes(size, "little")


def bt00(m: VirtualMeter, t: int) -> dict[str, Any]:
    """After byte 18 C12.19-1997 has the tables and procedures that there are, and the tables that can be written."""
    from ..access import may_ever_write

    firmware = m.config.firmware
    numbers = {parse_table_name(id) or 0 for id in m.tables}
    basic = {n for n in numbers if n < 2048}
    extended = {n - 2048 for n in numbers if n >= 2048}
    written = {parse_table_name(id) or 0 for id in m.tables if may_ever_write(id)}
    sets = (
        _set(basic, BASIC_BYTES),
        _set(extended, firmware.extended_table_bytes),
        _set({int(p[2:]) for p in PROCEDURES if p[0] == "B"}, BASIC_PROCEDURE_BYTES),
        _set({int(p[2:]) for p in PROCEDURES if p[0] == "E"}, EXTENDED_PROCEDURE_BYTES),
        _set({n for n in written if n < 2048}, BASIC_BYTES),
        _set({n - 2048 for n in written if n >= 2048}, firmware.extended_table_bytes),
    )
    return {
        "manufacturer": m.config.manufacturer.ljust(4),
        "format_control_1": {"character_format": 2},
        "dim_basic_tables_used": BASIC_BYTES,
        "dim_extended_tables_used": firmware.extended_table_bytes,
        "dim_basic_procedures_used": BASIC_PROCEDURE_BYTES,
        "dim_extended_procedures_used": EXTENDED_PROCEDURE_BYTES,
        "manufacturer_status_length": firmware.status_bytes,
        "pending_tables": 4 if firmware.gen4 else 3,
        "rest": [bytes((byte,)) for byte in b"".join(sets)],
    }


def made_as(config: MeterConfig) -> dict[str, Any]:
    """BT01's values."""
    return {
        "manufacturer": config.manufacturer.ljust(4),
        "model": config.model_name.ljust(8),
        "hardware_version": 6,
        "hardware_revision": 1,
        "firmware": config.firmware.packed,
        "serial": config.serial_number.zfill(16),
    }


def bt01(m: VirtualMeter, t: int) -> dict[str, Any]:
    return made_as(m.config)


def bt15(m: VirtualMeter, t: int) -> dict[str, Any]:
    ratio = m.config.ct_ratio
    return {"multiplier": 1, "flags": {"applied": ratio > 1}, "ct_ratio": ratio, "vt_ratio": 1}


def bt33(m: VirtualMeter, t: int) -> dict[str, Any]:
    one = {"times": {"on_time": 6}, "mode": {"default_list": 1}, "items": 3}
    return {"list": [one], "source": [0x2000, 0x2001, 0]}


def named_by_utility(config: MeterConfig) -> dict[str, Any]:
    """ET03's values."""
    return {"utility_serial": config.utility_serial_number}


def et03(m: VirtualMeter, t: int) -> dict[str, Any]:
    return named_by_utility(m.config)


def et04(m: VirtualMeter, t: int) -> dict[str, Any]:
    one = m.config.phases == 1
    values: dict[str, Any] = {
        "transceiver_id": bytes.fromhex("0480a1b2c3d4"),
        "subnet_id": 1,
        "node_id": 2,
        "rated_frequency": 50,
        "program_id": bytes.fromhex("9000010100000000"),
        "pk_access": int(not m.config.pk_enabled),
        "registration_current": 16 if one else 10,
        "inactive_phases": {"voltage_l2": one, "voltage_l3": one},
        "flags": {"rk_clock_access": not m.config.rk_may_set_clock},
        "reverse_energy_alarm_current": 1000,
        "nvm_size": 256,
        "min_registration_current": 17 if one else 10,
        "idt_version": 1,
    }
    if m.config.firmware.version >= (3, 80):
        values["max_key_usage"] = 1_000_000
    return values


def et11(m: VirtualMeter, t: int) -> dict[str, Any]:
    firmware = m.config.firmware
    return {
        "devices": firmware.devices,
        "transaction_request_length": 896 if firmware.version >= (3, 50) else 768,
        "data_sources": 6,
    }


def et23(m: VirtualMeter, t: int) -> tuple[dict[str, Any], int]:
    return {"active_calendar_id": 1}, 218 if m.config.firmware.gen4 else 186


def et29(m: VirtualMeter, t: int) -> dict[str, Any]:
    single, firmware = m.config.phases == 1, m.config.firmware
    values: dict[str, Any] = {
        "hardware_options": {
            "so_output": True,
            "disconnect": True,
            "control_relay_1": True,
            "mbus_module": bool(m.config.mbus),
            "cover_tamper": True,
            "mep_port_1": True,
            "magnetic_tamper": True,
            "external_ct": m.config.ct_ratio > 1,
            "mep_port_2": firmware.gen4,
        },
        "internal_configuration": {"single_phase": single, "polyphase": not single},
    }
    if firmware.gen4:
        values["ports_1"] = [
            {"board": 2, "port": 1, "sequence": 1},
            {"board": 2, "port": 1, "sequence": 2},
            {"board": 3, "port": 3},
        ]
        values["current_sensors"] = {"line": int(not single), "neutral": 2 if single else 0}
    return values


MAKERS: Makers = {
    "BT00": bt00,
    "BT01": bt01,
    "BT15": bt15,
    "BT33": bt33,
    "ET03": et03,
    "ET04": et04,
    "ET11": et11,
    "ET23": et23,
    "ET29": et29,
}
