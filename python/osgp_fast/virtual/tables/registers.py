"""The registers: BT20 to BT28, ET31 and ET41."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import codec
from ...catalog import present_order
from ..readings import Block, Record, energies
from ._types import Makers

if TYPE_CHECKING:
    from ..meter import VirtualMeter

#: Demand resets that ET41 keeps where demand is configured.
RESET_LOG = 12


def _dimensions(m: VirtualMeter, *, largest: bool) -> dict[str, Any]:
    """BT20 (the largest) and BT21 (what is configured); before 2.12 the former stands for the latter."""
    c, firmware = m.config, m.config.firmware
    largest = largest and "BT21" in m.tables
    demands = c.demands
    configured = bool(demands.sources)
    return {
        "flags_1": {
            "demand_reset_counter": largest or (configured and demands.reset_counter),
            "demand_reset_lockout": largest,
            "cumulative_demand": largest or (configured and demands.cumulative),
            "continuous_cumulative_demand": largest or (configured and demands.continuous),
        },
        "flags_2": {"self_read_sequence_number": configured, "self_read_demand_reset": 0},
        "self_reads": firmware.most_self_reads if largest else c.self_reads,
        "summations": firmware.most_summations if largest else len(m.readings.summations),
        "demands": 8 if largest else len(demands.sources),
        "coincident_values": 16 if largest else len(demands.coincidents),
        "occurrences": 1,
        "tiers": firmware.most_tiers if largest else c.tiers,
        "present_demands": 8 if largest else len(demands.sources),
        "present_values": firmware.present_values,
    }


def bt20(m: VirtualMeter, t: int) -> dict[str, Any]:
    return _dimensions(m, largest=True)


def bt21(m: VirtualMeter, t: int) -> dict[str, Any]:
    return _dimensions(m, largest=False)


def bt22(m: VirtualMeter, t: int) -> dict[str, Any]:
    demands = m.config.demands
    return {
        "summation": m.readings.summations,
        "demand": [s + 8 for s in demands.sources],  # powers, as present values name them
        "maximum": list(range(len(demands.sources))),
        "coincident": [s + 8 for s, _ in demands.coincidents],
        "coincident_demand": [d for _, d in demands.coincidents],
    }


def block(m: VirtualMeter, b: Block) -> dict[str, Any]:
    """The totals or a tier."""
    configured, unit = m.config.demands, m.config.energy_register_unit
    demands = []
    for d in b.demands:
        one: dict[str, Any] = {"event_time": [m.readings.local(d.time)], "measurement": [d.value]}
        if configured.cumulative:
            one["cumulative"] = d.cumulative
        if configured.continuous:
            one["continuous_cumulative"] = d.cumulative + d.value
        demands.append(one)
    sources = m.readings.summations
    return {
        "summation": [v // unit if s in energies() else v for s, v in zip(sources, b.summations, strict=True)],
        "demand": demands,
        "coincident": [{"measurement": [value]} for value in b.coincidents],
    }


def record(m: VirtualMeter, r: Record) -> dict[str, Any]:
    """BT23's record."""
    totals, *tiers = r.blocks
    out = block(m, totals)
    out["tier"] = [block(m, tier) for tier in tiers]
    if m.config.demands.sources and m.config.demands.reset_counter:
        out["demand_resets"] = r.demand_resets
    return out


def record_bytes(m: VirtualMeter, r: Record, t: int) -> bytes:
    """BT23's record as bytes, for the logs that keep copies."""
    from ..meter import known_rows

    return codec.encode_table(known_rows("BT23", m.config.firmware), record(m, r), m.dimensions(t))


def bt23(m: VirtualMeter, t: int) -> dict[str, Any]:
    return record(m, m.readings.record(t))


def snapshot(m: VirtualMeter, r: Record) -> dict[str, Any]:
    """A copy of the registers with when it was made."""
    return {"time": m.readings.local(r.time), "season": r.season, **record(m, r)}


def bt24(m: VirtualMeter, t: int) -> dict[str, Any]:
    at = m.readings.last_reset(t)
    while at > m.world.installed and m.world.season(at - 1) == m.world.season(at):
        at = max(m.world.month_start(at - 86_400), m.world.installed)
    return snapshot(m, m.readings.record(at, before_reset=True)) if at > m.world.installed else {}


def bt25(m: VirtualMeter, t: int) -> dict[str, Any]:
    resets = m.readings.resets(t)
    return snapshot(m, m.readings.record(resets[-1], before_reset=True)) if resets else {}


def self_read(m: VirtualMeter, at: int) -> Record:
    """The record of a self-read: before the demand reset that may come with it."""
    return m.readings.record(at, before_reset=True)


def bt26(m: VirtualMeter, t: int) -> dict[str, Any]:
    times = m.readings.self_reads(t)
    number = m.readings.self_read_number(t)
    room = m.config.self_reads
    entries: list[dict[str, Any] | None] = [None] * room
    for age, at in enumerate(reversed(times)):
        entry = snapshot(m, self_read(m, at))
        if m.config.demands.sources:
            entry["bidn"] = 1
        entries[(number - 1 - age) % room] = entry
    return {
        "flags": {"list_type": int(room > 0), "overflow": number > room},
        "valid_entries": len(times),
        "last_entry": (number - 1) % room if times else 0,
        "last_sequence": number % 65_536,
        "unread_entries": len(times),
        "entry": entries,
    }


def bt27(m: VirtualMeter, t: int) -> dict[str, Any]:
    return {
        "present_demand": [s + 8 for s in m.config.demands.sources],
        "present_value": present_order()[: m.config.firmware.present_values],
    }


def bt28(m: VirtualMeter, t: int) -> dict[str, Any]:
    step = m.readings.demand_s
    now = [max(0, m.readings.demand_of(s, t // step * step)) for s in m.config.demands.sources]
    return {"present_demand": [{"value": value} for value in now], "present_value": present(m, t)}


def present(m: VirtualMeter, t: int) -> list[int]:
    """The present values in BT27's order."""
    return [m.readings.present(s, t) for s in present_order()[: m.config.firmware.present_values]]


def _log_head(valid: int, room: int, number: int) -> dict[str, Any]:
    return {
        "flags": {"list_type": room > 0, "overflow": number > room},
        "valid_entries": valid,
        "last_entry": (number - 1) % room if valid else 0,
        "last_sequence": number % 65_536,
        "unread_entries": valid,
    }


def et31(m: VirtualMeter, t: int) -> dict[str, Any]:
    """The one-time reads: one, of the day of installation."""
    at = m.world.installed + 86_400
    if at > t:
        return _log_head(0, 2, 0)
    r = m.readings.record(at)
    entry: dict[str, Any] = {"time": m.readings.local(at), "season": r.season, "registers": record_bytes(m, r, t)}
    if m.config.demands.sources:
        entry["bidn"] = 1
    return {**_log_head(1, 2, 1), "entry": [entry]}


def et41(m: VirtualMeter, t: int) -> dict[str, Any]:
    room = reset_log(m)
    resets = m.readings.resets(t)
    entries: list[dict[str, Any] | None] = [None] * room
    for number, at in list(enumerate(resets))[-room:] if room else []:
        r = m.readings.record(at, before_reset=True)
        registers = record_bytes(m, r, t)
        entries[number % room] = {
            "length": 10 + len(registers),
            "reason": 0,
            "bidn": 1,
            "time": m.readings.local(at),
            "season": r.season,
            "registers": registers,
        }
    return {**_log_head(min(len(resets), room), room, len(resets) if room else 0), "entry": entries}


def reset_log(m: VirtualMeter) -> int:
    """Entries of ET41: none before demand is configured."""
    return RESET_LOG if m.config.demands.sources else 0


def record_size(m: VirtualMeter) -> int:
    """Bytes of BT23's record, from its parts (MEP guide p. 207)."""
    demands = m.config.demands
    d, k = len(demands.sources), len(demands.coincidents)
    one = 5 + 4 * demands.cumulative + 4 * demands.continuous + 4
    area = 4 * len(m.readings.summations) + d * one + 4 * k
    return int(bool(d) and demands.reset_counter) + area * (1 + m.config.tiers)


def tier_size(m: VirtualMeter) -> int:
    """Bytes of a tier in BT23, ET42.21."""
    counter = int(bool(m.config.demands.sources) and m.config.demands.reset_counter)
    return (record_size(m) - counter) // (1 + m.config.tiers)


MAKERS: Makers = {
    "BT20": bt20,
    "BT21": bt21,
    "BT22": bt22,
    "BT23": bt23,
    "BT24": bt24,
    "BT25": bt25,
    "BT26": bt26,
    "BT27": bt27,
    "BT28": bt28,
    "ET31": et31,
    "ET41": et41,
}
