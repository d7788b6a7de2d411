"""The devices on the virtual meter's M-Bus: what they count, and their telegrams. Source: EN 13757-3; MEP guide p. 93."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from .readings import Readings
    from .world import World

#: Devices are read every hour, as ET34 says by default.
POLL_S: Final = 3600
_HEADER: Final = 12


class Quantity(NamedTuple):
    """A data record: DIF and VIF, and its value as a function of the household, the device and the time."""

    drh: bytes
    size: int
    value: Callable[[World, int, int], int]


def _heat_wh(world: World, device: int, t: int) -> int:
    return 4000 + 37 * device + (t - world.installed) // 900


def _heat_w(world: World, device: int, t: int) -> int:
    return 3000 + 4 * world.noise(t, 50 + device)


def _litres(world: World, device: int, t: int) -> int:
    return 120_000 + 1000 * device + (t - world.installed) // 240


def _flow(world: World, device: int, t: int) -> int:
    return 250 + world.noise(t, 60 + device) // 5


def _warm(world: World, device: int, t: int) -> int:
    return 650 + world.noise(t, 70 + device) // 20


def _cold(world: World, device: int, t: int) -> int:
    return 320 + world.noise(t, 80 + device) // 20


#: kWh, W, l/h, 0.1 degree C twice for heat; l and l/h for water; 0.01 m3 for gas.
RECORDS: Final[dict[str, tuple[Quantity, ...]]] = {
    "heat": (
        Quantity(b"\x04\x06", 4, _heat_wh),
        Quantity(b"\x04\x2b", 4, _heat_w),
        Quantity(b"\x04\x3b", 4, _flow),
        Quantity(b"\x02\x5a", 2, _warm),
        Quantity(b"\x02\x5e", 2, _cold),
    ),
    "water": (Quantity(b"\x04\x13", 4, _litres), Quantity(b"\x02\x3b", 2, _flow)),
    "gas": (Quantity(b"\x04\x14", 4, _litres),),
}
_MEDIUM: Final = {"heat": 0x04, "water": 0x07, "gas": 0x03}


def polled(readings: Readings, t: int) -> int:
    """When the devices were last read; while the power was out they were not."""
    at = t // POLL_S * POLL_S
    while at > readings.world.installed and not readings.world.powered(at):
        at -= POLL_S
    return max(at, readings.world.installed)


def value(readings: Readings, device: int, record: int, t: int) -> int:
    """The value of a data record of a device at its last reading; 0 where it has no such record."""
    records = RECORDS[readings.config.mbus[device].kind]
    if record >= len(records):
        return 0
    return records[record].value(readings.world, device, polled(readings, t))


def manufacturer_code(letters: str) -> int:
    """Three letters of five bits. Source: EN 13757-3."""
    a, b, c = (ord(letter) - 64 for letter in letters)
    return a << 10 | b << 5 | c


def telegram(readings: Readings, device: int, t: int) -> bytes:
    """The user data of a device's answer as ET16 has it: its length byte, the 12-byte header, records, a zero."""
    meter = readings.config.mbus[device]
    count = (t - readings.world.installed) // POLL_S & 0xFF
    head = bytes.fromhex(meter.serial)[::-1] + manufacturer_code(meter.manufacturer).to_bytes(2, "little")
    head += bytes((1, _MEDIUM[meter.kind], count, 0, 0, 0))
    body = b"".join(
        q.drh + (q.value(readings.world, device, t) & (1 << 8 * q.size) - 1).to_bytes(q.size, "little")
        for q in RECORDS[meter.kind]
    )
    assert len(head) == _HEADER
    data = head + body + b"\0"
    return bytes((len(data),)) + data


def element(readings: Readings, device: int, t: int, size: int) -> bytes:
    """An element of ET16: local time, response info, telegram."""
    when = readings.world.local(t).replace(tzinfo=UTC)
    return (ltime(when) + b"\0" + telegram(readings, device, t)).ljust(size, b"\0")


def ltime(when: datetime) -> bytes:
    """LTIME_DATE."""
    return bytes((when.year - 2000, when.month, when.day, when.hour, when.minute, when.second))
