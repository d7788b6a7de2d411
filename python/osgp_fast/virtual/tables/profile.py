"""The load profile's dimensions and configuration: BT60 to BT63, ET21, ET42, ET66; the blocks are in `..profile`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from . import events, mep, registers, status
from ._types import Makers

if TYPE_CHECKING:
    from ..config import DataSet
    from ..meter import VirtualMeter

_STATUSES = {"extended_interval_status": True, "simple_interval_status": True}
_FIRST_MAPPED = 112
CHANNELS = 16
_MEMORY = 233_856
#: Most blocks of the smallest kind, 11 bytes.
_BLOCKS = 21_259


def mapped(m: VirtualMeter) -> list[int]:
    """The extended sources of ET66, the first of them source 112 (MEP guide p. 173)."""
    out: list[int] = []
    for ds in m.config.sets:
        out += [c.source for c in ds.sources if c.mapped and c.source not in out]
    return out


def _bytes(m: VirtualMeter, ds: DataSet) -> list[int]:
    """The source IDs of a set as BT62 and ET21 have them."""
    extended = mapped(m)
    return [_FIRST_MAPPED + extended.index(c.source) if c.mapped else c.source for c in ds.sources]


def _padded(m: VirtualMeter, of: list[dict[str, Any]], empty: dict[str, Any]) -> list[dict[str, Any]]:
    return of + [empty] * (m.config.firmware.sets - len(of))


def bt60(m: VirtualMeter, t: int) -> dict[str, Any]:
    one = {"blocks": _BLOCKS, "intervals": 1440, "channels": CHANNELS, "interval_time": 255}
    memory = max(_MEMORY, sum(ds.block_size * ds.blocks for ds in m.config.sets))
    return {
        "memory_length": memory,
        "flags": _STATUSES,
        "formats": {"int32": True},
        "set": [one] * m.config.firmware.sets,
    }


def bt61(m: VirtualMeter, t: int) -> dict[str, Any]:
    sets = [
        {"blocks": ds.blocks, "intervals": ds.intervals, "channels": len(ds.sources), "interval_time": ds.code}
        for ds in m.config.sets
    ]
    return {
        "memory_length": sum(ds.block_size * ds.blocks for ds in m.config.sets),
        "flags": _STATUSES,
        "formats": {"int32": True},
        "set": _padded(m, sets, {}),
    }


def bt62(m: VirtualMeter, t: int) -> dict[str, Any]:
    sets = [{"channel": [{"source": s} for s in _bytes(m, ds)], "format": 32} for ds in m.config.sets]
    return {"set": _padded(m, sets, {"format": 32})}


def bt63(m: VirtualMeter, t: int) -> dict[str, Any]:
    sets = []
    for ring in m.rings:
        valid, last, sequence, intervals = ring.status(t)
        read = m.read_up_to.get(f"profile {ring.number}", 0)
        sets.append(
            {
                "flags": {"list_type": 1, "active": True, "overflow": valid == ring.config.blocks and not read},
                "valid_blocks": valid,
                "last_block": last,
                "last_sequence": sequence,
                "unread_blocks": max(0, min(valid, sequence - read)),
                "valid_intervals": intervals,
            }
        )
    return {"set": _padded(m, sets, {})}


def et21(m: VirtualMeter, t: int) -> dict[str, Any]:
    sets = []
    memory = 0x8000
    for ring in m.rings:
        ds = ring.config
        valid, last, _, intervals = ring.status(t)
        ids = [*_bytes(m, ds), *[0] * CHANNELS][:CHANNELS]
        block = memory + last * ds.block_size
        places = ring.places(t)
        newest = ring.block(places[-1], t) if places else None
        interval_end = newest.start + intervals * ds.interval_s if newest else 0
        sets.append(
            {
                "current_block_address": block,
                "current_interval_address": block + ds.header_size + max(0, intervals - 1) * ds.interval_size,
                "block_size": ds.block_size,
                "block_header_size": ds.header_size,
                "valid_blocks": valid,
                "valid_intervals": intervals,
                "last_block": last,
                "last_interval": max(0, intervals - 1),
                "simple_status_offset": 5,
                "simple_status_size": (ds.intervals + 7) // 8,
                "interval_0_offset": ds.header_size & 0xFF,
                "interval_size": ds.interval_size,
                "channel_0_offset": len(ds.sources) // 2 + 1,
                "channels": len(ds.sources),
                "interval_time": ds.code,
                "source": ids[:8],
                "source_expansion": ids[8:],
                "configuration_id": 1,
                "block_start_time": _moment(newest.start if newest else 0),
                "block_start_hour": ds.start // 60,
                "block_start_minute": ds.start % 60,
                "interval_end_utc": _moment(interval_end),
                "interval_end_local": m.readings.local(interval_end),
                "max_memory_length": ds.block_size * ds.blocks,
            }
        )
        memory += ds.block_size * ds.blocks
    return {"set": _padded(m, sets, {})}


def _moment(t: int) -> datetime | None:
    return datetime.fromtimestamp(t, UTC) if t else None


def et66(m: VirtualMeter, t: int) -> dict[str, Any]:
    room = m.config.firmware.sets * CHANNELS
    return {"entry": [*mapped(m), *[0] * room][:room]}


def et42(m: VirtualMeter, t: int) -> dict[str, Any]:
    c, firmware = m.config, m.config.firmware
    demands = c.demands
    first, *others = c.sets
    multiple = firmware.sets > 1
    data_types = mep.data_types(m)
    values: dict[str, Any] = {
        "fixed_section_length": 41,
        "log_list_size": len(firmware.logs),
        "compatibility": status.compatibility(m),
        "bidn": int(bool(demands.sources)),
        "flags": {
            "demand_reset_counter": bool(demands.sources) and demands.reset_counter,
            "cumulative_demand": bool(demands.sources) and demands.cumulative,
            "continuous_cumulative_demand": bool(demands.sources) and demands.continuous,
            "demand_configured": bool(demands.sources),
            "unread_entries_bitmap": True,
        },
        "self_reads": c.self_reads,
        "summations": len(m.readings.summations),
        "demands": len(demands.sources),
        "coincident_values": len(demands.coincidents),
        "occurrences": 1,
        "tiers": c.tiers,
        "present_demands": len(demands.sources),
        "present_values": firmware.present_values,
        "demand_sub_interval": demands.interval,
        "demand_multiplier": 1,
        "tier_size": registers.tier_size(m),
        **_definition(first),
        "history_log_flags": events.FLAGS,
        "history_log_count": c.events,
        "history_log_entry_size": events.ARGUMENT,
        "log": [{"count": log["current_entries"] & 0xFF, "entry_size": log["entry_size"]} for log in status.logs(m)],
        "demand_source": [s + 8 for s in demands.sources],
        "coincident_source": [s + 8 for s, _ in demands.coincidents],
        "source": _extended(m, first),
        "mdtt_entries": len(data_types),
        "mdtt": [bytes((1 | mdt << 2,)) + drh.ljust(3, b"\0") for mdt, drh in data_types],
    }
    if multiple:
        values["set_mask"] = {f"set_{n}": n <= len(others) + 1 for n in (2, 3, 4)}
        values["set"] = [{**_definition(ds), "source": _extended(m, ds)} for ds in others]
    if firmware.version >= (3, 60):
        long = firmware.version >= (3, 70)
        values |= {"required_section_length": 8 if long else 3, "et74_entries": mep.extended_log(m)}
        if long:
            values |= {
                "et77_entries": 0,
                "et79_entries": m.alternate_entries,
                "energy_register_unit": c.energy_register_unit,
                "rollover_digits": 9,
            }
    size = 41 + 3 * len(firmware.logs) + len(demands.sources) + len(demands.coincidents) + 2 * len(first.sources)
    size += 1 + 4 * len(data_types)
    if multiple:
        size += 1 + sum(14 + 2 * len(ds.sources) for ds in others)
    values["table_length"] = size + values.get("required_section_length", 0)
    return values


def _extended(m: VirtualMeter, ds: DataSet) -> list[int]:
    """16-bit sources where the compatibility setting allows them, else BT62's."""
    return [c.source for c in ds.sources] if status.compatibility(m)["billing_lp_format_2"] else _bytes(m, ds)


def _definition(ds: DataSet) -> dict[str, Any]:
    return {
        "block_size": ds.block_size,
        "blocks": ds.blocks,
        "channels": len(ds.sources),
        "interval_time": ds.code,
        "interval_size": ds.interval_size,
        "options": 0,
        "intervals": ds.intervals,
        "block_start_hour": ds.start // 60,
        "block_start_minute": ds.start % 60,
    }


def et62(m: VirtualMeter, t: int) -> dict[str, Any]:
    width = 5 if m.config.firmware.gen4 else 4

    def text(value: str) -> bytes:
        return value.encode().ljust(width)

    values: dict[str, Any] = {
        "list_id": text("P01"),
        "list_id_points": 4,
        "date_id": text("DATE"),
        "interval_time_id": text("TIME"),
        "extended_status_id": text("STAT"),
        "channel": [
            {"id": text(f"CH{n:02}"), "format": {"before_point": 8, "zero_suppression": True}}
            for n in range(1, CHANNELS + 1)
        ],
    }
    if m.config.firmware.version >= (3, 70):
        values |= {"outage_list_id": text(""), "outage_number_id": text("NUM")}
    return values


MAKERS: Makers = {
    "BT60": bt60,
    "BT61": bt61,
    "BT62": bt62,
    "BT63": bt63,
    "ET21": et21,
    "ET42": et42,
    "ET62": et62,
    "ET66": et66,
}
