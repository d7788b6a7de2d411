"""M-Bus devices and MEP clients: ET13 to ET16, ET34, ET45, ET50 to ET53, ET57, ET74."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from .. import mbus
from .._mep import CLIENT_HANDLE, CLIENT_SIZE
from ..world import DAY_S
from ._types import Makers

if TYPE_CHECKING:
    from ..meter import VirtualMeter

#: Bytes of an element of ET16, and of an entry of ET45 and ET74.
ELEMENT = 517
ENTRY = ELEMENT + 8
_QUEUE = 5
#: When the billing reads are made: seconds after local midnight.
_BILLING = 300


def _slots(m: VirtualMeter) -> list[int]:
    """The M-Bus devices that have not been removed, from 0."""
    return [i for i in range(len(m.config.mbus)) if handle(i) not in m.removed]


def handle(device: int) -> int:
    """The handle of an M-Bus device."""
    return device + 1


def extended_log(m: VirtualMeter) -> int:
    """ET54.69: entries of ET74, none as delivered."""
    return 0


def data_types(m: VirtualMeter) -> list[tuple[int, bytes]]:
    """ET57: M-Bus data type and data record header of every record that the devices have."""
    out: list[tuple[int, bytes]] = []
    for device in m.config.mbus:
        for mdt, quantity in enumerate(mbus.RECORDS[device.kind]):
            if (mdt, quantity.drh) not in out:
                out.append((mdt, quantity.drh))
    return out


def et13(m: VirtualMeter, t: int) -> dict[str, Any]:
    one = {"minute": _BILLING // 60, "frequency": 1, "status_frequency": 60, "baud_rate": 4}
    none = {"frequency": 4}
    slots = range(4)
    return {
        "device": [one if i < len(m.config.mbus) else none for i in slots],
        "client": [none] * (m.config.firmware.devices - 4),
    }


def et14(m: VirtualMeter, t: int) -> dict[str, Any]:
    slots = _slots(m)
    polled = mbus.polled(m.readings, t)
    devices: list[dict[str, Any] | None] = [None] * m.config.firmware.devices
    for i in slots:
        reads = (t - m.world.installed) // mbus.POLL_S
        devices[i] = {
            "handle": handle(i),
            "status": 1,
            "baud_rate": 4,
            "billing_read_length": 7 + len(mbus.telegram(m.readings, i, polled)),
            "read_attempts": reads,
            "read_answers": reads,
            "alarms": {"billing_data_collected": True},
            "status_read_timestamp": _local(m, polled),
            "last_read_attempt": _local(m, polled),
        }
    clients = [client for client in range(1, m.clients + 1) if m.client_flags(client, t) & 1]
    for client in clients:
        devices[3 + client] = {"handle": CLIENT_HANDLE * client, "status": 1}
    occupied = [i + 1 for i in slots] + [4 + client for client in clients]
    return {"device_occupancy": {f"device_{n}": True for n in occupied}, "device": devices}


def _local(m: VirtualMeter, t: int) -> datetime:
    return m.world.local(t)


def et15(m: VirtualMeter, t: int) -> dict[str, Any]:
    queue = m.requests[-_QUEUE:]
    return {
        "pointers": {"write": len(m.requests) % _QUEUE, "read": len(m.requests) % _QUEUE},
        "request": _ring(
            m,
            [{"transaction_number": n, "device_handle": h, "request_type": k, "result": r} for n, h, k, r, _ in queue],
        ),
        "write_message": _ring(m, [{"length": len(d), "data": d[:24]} for *_, d in queue]),
    }


def _ring(m: VirtualMeter, newest: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
    out: list[dict[str, Any] | None] = [None] * _QUEUE
    for age, one in enumerate(reversed(newest)):
        out[(len(m.requests) - 1 - age) % _QUEUE] = one
    return out


def et16(m: VirtualMeter, t: int) -> dict[str, Any]:
    """The latest reading of every device."""
    at = mbus.polled(m.readings, t)
    devices: list[dict[str, Any] | None] = [None] * 4
    for i in _slots(m):
        devices[i] = {"time": _local(m, at), "response": mbus.telegram(m.readings, i, at)}
    return {"device": devices}


def et45(m: VirtualMeter, t: int) -> dict[str, Any]:
    """A billing read of every device, five minutes into each day."""
    room, count = m.config.recurring_reads, len(m.config.mbus)
    reads: list[tuple[int, int]] = []
    at = m.world.local_midnight(t)
    while count and at > m.world.installed and len(reads) < room:
        if at + _BILLING <= t and m.world.powered(at + _BILLING):
            reads += [(at + _BILLING, i) for i in reversed(range(count))]
        at = m.world.local_midnight(at - 7200)
    reads = reads[:room][::-1]
    days = (t - m.world.installed) // DAY_S
    number = max(days * count, len(reads))
    entries: list[dict[str, Any] | None] = [None] * room
    for age, (when, i) in enumerate(reversed(reads)):
        element = mbus.element(m.readings, i, when, 0)
        entries[(number - 1 - age) % room] = {
            "length": 6 + len(element),
            "handle": handle(i),
            "result": 4,
            "read": element,
        }
    return {
        "flags": {"list_type": int(room > 0), "overflow": number > room},
        "valid_entries": len(reads),
        "last_entry": (number - 1) % room if reads else 0,
        "last_sequence": number % 65_536 if room else 0,
        "unread_entries": len(reads),
        "entry": entries,
    }


def et34(m: VirtualMeter, t: int) -> dict[str, Any]:
    return {"device": [{"poll_rate": mbus.POLL_S // 60}] * m.config.firmware.devices}


def et50(m: VirtualMeter, t: int) -> tuple[dict[str, Any], int]:
    return {}, CLIENT_SIZE * m.clients


def et51(m: VirtualMeter, t: int) -> dict[str, Any]:
    c = m.config
    one: dict[str, Any] = {
        "flags": {"optical_dos_timer": c.dos_timer},
        "health_timeout": 60,
        "on_demand_timeout": 30,
        "optical_session_timeout": c.dos_session_s,
        "optical_session_hold_off": c.dos_hold_off_s,
        "down_reset_duration": 1,
    }
    return {"client": [one] * m.clients}


def et52(m: VirtualMeter, t: int) -> tuple[dict[str, Any], int]:
    return {"transaction_size": 7}, 896 if m.config.firmware.version >= (3, 50) else 768


def et53(m: VirtualMeter, t: int) -> tuple[dict[str, Any], int]:
    return {"transaction_size": 7, "transaction_type": 1}, 1785


def et57(m: VirtualMeter, t: int) -> dict[str, Any]:
    if m.config.firmware.version < (3, 30):
        return {}
    return {"entry": [{"header": {"type": 1, "mdt": mdt}, "drh": drh} for mdt, drh in data_types(m)]}


def et58(m: VirtualMeter, t: int) -> dict[str, Any]:
    return {"device": [None] * m.config.firmware.devices}


def et71(m: VirtualMeter, t: int) -> dict[str, Any]:
    return {"delta": [{"source": 255}] * 10}


def et74(m: VirtualMeter, t: int) -> dict[str, Any]:
    return {"flags": {"list_type": int(extended_log(m) > 0)}}


MAKERS: Makers = {
    "ET13": et13,
    "ET14": et14,
    "ET15": et15,
    "ET16": et16,
    "ET34": et34,
    "ET45": et45,
    "ET50": et50,
    "ET51": et51,
    "ET52": et52,
    "ET53": et53,
    "ET57": et57,
    "ET58": et58,
    "ET71": et71,
    "ET74": et74,
}
