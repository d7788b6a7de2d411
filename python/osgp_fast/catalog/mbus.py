"""M-Bus (EN 13757-3): what the bytes of a billing read mean. Value information, media, and the heads of telegrams.

The tables were put together from public descriptions of the standard ("The M-Bus: A Documentation", version 4.8, sections
6.3 to 8.4, which the guides refer to) and from what open decoders agree on; Rust reads them from the generated
``catalog.json``. Values have one unit per quantity as far as powers of ten reach (energy in kWh, volume in m3); units that
no power of ten turns into it are kept as the device sends them (MJ, h, ft3, F), so that no value is ever rounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from ._model import Field, M, bcd, bits, flag, octets, part, u8, u16, u32

#: How the data of a record is read: a signed number, digits that name something, a date, bits; a secret is not.
Kind = Literal["number", "identity", "date", "flags", "secret"]


@dataclass(frozen=True, slots=True)
class Vif:
    """The codes ``first .. last`` of a table: the value is the integer times 10 ** (``exponent`` + code - ``first``).

    ``table`` is ``""`` for primary codes (bit 7 left out), ``FB`` or ``FD`` for the extensions. ``base`` is the exponent of
    the unit that the standard prints, in which it counts additive constants.
    """

    table: str
    first: int
    last: int
    quantity: str
    unit: str | None = None
    exponent: int = 0
    kind: Kind = "number"
    base: int = 0

    def to_json(self) -> list[Any]:
        """The row as Rust reads it."""
        return [self.table, self.first, self.last, self.quantity, self.unit, self.exponent, self.kind, self.base]


#: Units of durations, by the lowest bits of their codes. Source: M-Bus documentation, 8.4.3.
_DURATION: Final = ("s", "min", "h", "d")
_LONG_DURATION: Final = ("h", "d", "month", "a")


def _durations(table: str, first: int, quantity: str, units: tuple[str, ...] = _DURATION) -> Iterator[Vif]:
    return (Vif(table, first + i, first + i, quantity, unit) for i, unit in enumerate(units))


def _scaled(table: str, first: int, last: int, quantity: str, unit: str, exponent: int, base: int = 0) -> Vif:
    return Vif(table, first, last, quantity, unit, exponent, "number", base)


#: Every value information code that has a meaning, and what it means.
VIFS: Final[tuple[Vif, ...]] = (
    # Primary codes: M-Bus documentation, 8.4.3.
    _scaled("", 0x00, 0x07, "energy", "kWh", -6, -3),
    _scaled("", 0x08, 0x0F, "energy", "MJ", -6, -6),
    _scaled("", 0x10, 0x17, "volume", "m3", -6),
    _scaled("", 0x18, 0x1F, "mass", "kg", -3),
    *_durations("", 0x20, "on time"),
    *_durations("", 0x24, "operating time"),
    _scaled("", 0x28, 0x2F, "power", "W", -3),
    _scaled("", 0x30, 0x37, "power", "MJ/h", -6, -6),
    _scaled("", 0x38, 0x3F, "volume flow", "m3/h", -6),
    _scaled("", 0x40, 0x47, "volume flow", "m3/min", -7),
    _scaled("", 0x48, 0x4F, "volume flow", "m3/s", -9),
    _scaled("", 0x50, 0x57, "mass flow", "kg/h", -3),
    _scaled("", 0x58, 0x5B, "flow temperature", "C", -3),
    _scaled("", 0x5C, 0x5F, "return temperature", "C", -3),
    _scaled("", 0x60, 0x63, "temperature difference", "K", -3),
    _scaled("", 0x64, 0x67, "external temperature", "C", -3),
    _scaled("", 0x68, 0x6B, "pressure", "bar", -3),
    Vif("", 0x6C, 0x6C, "date", kind="date"),
    Vif("", 0x6D, 0x6D, "date time", kind="date"),
    Vif("", 0x6E, 0x6E, "heat cost allocation", "1"),
    *_durations("", 0x70, "averaging duration"),
    *_durations("", 0x74, "actuality duration"),
    Vif("", 0x78, 0x78, "fabrication number", kind="identity"),
    Vif("", 0x79, 0x79, "identification", kind="identity"),
    Vif("", 0x7A, 0x7A, "bus address", kind="identity"),
    # The table of FD: 8.4.4 a.
    _scaled("FD", 0x00, 0x03, "credit", "currency", -3),
    _scaled("FD", 0x04, 0x07, "debit", "currency", -3),
    Vif("FD", 0x08, 0x08, "access number", kind="identity"),
    Vif("FD", 0x09, 0x09, "medium", kind="identity"),
    Vif("FD", 0x0A, 0x0A, "manufacturer", kind="identity"),
    Vif("FD", 0x0B, 0x0B, "parameter set", kind="identity"),
    Vif("FD", 0x0C, 0x0C, "model version", kind="identity"),
    Vif("FD", 0x0D, 0x0D, "hardware version", kind="identity"),
    Vif("FD", 0x0E, 0x0E, "firmware version", kind="identity"),
    Vif("FD", 0x0F, 0x0F, "software version", kind="identity"),
    Vif("FD", 0x10, 0x10, "customer location", kind="identity"),
    Vif("FD", 0x11, 0x11, "customer", kind="identity"),
    Vif("FD", 0x12, 0x12, "access code user", kind="secret"),
    Vif("FD", 0x13, 0x13, "access code operator", kind="secret"),
    Vif("FD", 0x14, 0x14, "access code system operator", kind="secret"),
    Vif("FD", 0x15, 0x15, "access code developer", kind="secret"),
    Vif("FD", 0x16, 0x16, "password", kind="secret"),
    Vif("FD", 0x17, 0x17, "error flags", kind="flags"),
    Vif("FD", 0x18, 0x18, "error mask", kind="flags"),
    Vif("FD", 0x19, 0x19, "security key", kind="secret"),
    Vif("FD", 0x1A, 0x1A, "digital output", kind="flags"),
    Vif("FD", 0x1B, 0x1B, "digital input", kind="flags"),
    Vif("FD", 0x1C, 0x1C, "baud rate", "Bd"),
    Vif("FD", 0x1D, 0x1D, "response delay", "bit"),
    Vif("FD", 0x1E, 0x1E, "retries", "1"),
    Vif("FD", 0x20, 0x20, "first cyclic storage", "1"),
    Vif("FD", 0x21, 0x21, "last cyclic storage", "1"),
    Vif("FD", 0x22, 0x22, "storage block size", "1"),
    *_durations("FD", 0x24, "storage interval", (*_DURATION, "month", "a")),
    *_durations("FD", 0x2C, "time since last readout"),
    Vif("FD", 0x30, 0x30, "start of tariff", kind="date"),
    *_durations("FD", 0x31, "duration of tariff", ("min", "h", "d")),
    *_durations("FD", 0x34, "period of tariff", (*_DURATION, "month", "a")),
    Vif("FD", 0x3A, 0x3A, "dimensionless", "1"),
    _scaled("FD", 0x40, 0x4F, "voltage", "V", -9),
    _scaled("FD", 0x50, 0x5F, "current", "A", -12),
    Vif("FD", 0x60, 0x60, "reset counter", "1"),
    Vif("FD", 0x61, 0x61, "cumulation counter", "1"),
    Vif("FD", 0x62, 0x62, "control signal", kind="flags"),
    Vif("FD", 0x63, 0x63, "day of week", "1"),
    Vif("FD", 0x64, 0x64, "week number", "1"),
    Vif("FD", 0x65, 0x65, "time of day change", kind="date"),
    Vif("FD", 0x66, 0x66, "state of parameter activation", kind="flags"),
    Vif("FD", 0x67, 0x67, "supplier information", kind="identity"),
    *_durations("FD", 0x68, "time since last cumulation", _LONG_DURATION),
    *_durations("FD", 0x6C, "battery operating time", _LONG_DURATION),
    Vif("FD", 0x70, 0x70, "date of battery change", kind="date"),
    Vif("FD", 0x71, 0x71, "signal strength", "dBm"),
    Vif("FD", 0x74, 0x74, "remaining battery life", "d"),
    Vif("FD", 0x75, 0x75, "stop counter", "1"),
    # The table of FB: 8.4.4 b, with the electrical quantities that later editions of the standard added.
    _scaled("FB", 0x00, 0x01, "energy", "kWh", 2, 3),
    _scaled("FB", 0x02, 0x03, "reactive energy", "kvarh", 0),
    _scaled("FB", 0x04, 0x05, "apparent energy", "kVAh", 0),
    _scaled("FB", 0x08, 0x09, "energy", "MJ", 2, 3),
    _scaled("FB", 0x0C, 0x0F, "energy", "Mcal", -1),
    _scaled("FB", 0x10, 0x11, "volume", "m3", 2),
    _scaled("FB", 0x14, 0x17, "reactive power", "var", 0, 3),
    _scaled("FB", 0x18, 0x19, "mass", "kg", 5, 3),
    _scaled("FB", 0x1A, 0x1B, "relative humidity", "%", -1),
    Vif("FB", 0x20, 0x20, "volume", "ft3"),
    Vif("FB", 0x21, 0x21, "volume", "ft3", -1),
    Vif("FB", 0x22, 0x22, "volume", "gal", -1),
    Vif("FB", 0x23, 0x23, "volume", "gal"),
    Vif("FB", 0x24, 0x24, "volume flow", "gal/min", -3),
    Vif("FB", 0x25, 0x25, "volume flow", "gal/min"),
    Vif("FB", 0x26, 0x26, "volume flow", "gal/h"),
    _scaled("FB", 0x28, 0x29, "power", "W", 5, 6),
    Vif("FB", 0x2A, 0x2A, "phase angle between voltages", "degree", -1),
    Vif("FB", 0x2B, 0x2B, "phase angle of voltage to current", "degree", -1),
    _scaled("FB", 0x2C, 0x2F, "frequency", "Hz", -3),
    _scaled("FB", 0x30, 0x31, "power", "MJ/h", 2, 3),
    _scaled("FB", 0x34, 0x37, "apparent power", "VA", 0, 3),
    _scaled("FB", 0x58, 0x5B, "flow temperature", "F", -3),
    _scaled("FB", 0x5C, 0x5F, "return temperature", "F", -3),
    _scaled("FB", 0x60, 0x63, "temperature difference", "F", -3),
    _scaled("FB", 0x64, 0x67, "external temperature", "F", -3),
    _scaled("FB", 0x70, 0x73, "cold/warm temperature limit", "F", -3),
    _scaled("FB", 0x74, 0x77, "cold/warm temperature limit", "C", -3),
    _scaled("FB", 0x78, 0x7F, "cumulative maximum power", "W", -3),
)

Effect = Literal["note", "unit", "error", "count", "date", "duration", "factor", "offset", "foreign"]


@dataclass(frozen=True, slots=True)
class Modifier:
    """A value information extension that changes what the record says: ``word`` joins the quantity.

    ``unit`` is what a ``unit`` appends to the unit, and what a ``duration`` takes instead of it; ``factor`` and ``offset``
    have an ``exponent``. An ``error`` means that there is no value; a ``count`` counts events and a ``date`` names one,
    whatever the quantity; ``foreign`` units are not metric and of unknown size.
    """

    table: str
    code: int
    effect: Effect
    word: str = ""
    unit: str = ""
    exponent: int = 0

    def to_json(self) -> list[Any]:
        """The row as Rust reads it."""
        return [self.table, self.code, self.effect, self.word, self.unit, self.exponent]


def _limits() -> Iterator[Modifier]:
    """Codes of limits, E1uu ufbb in many forms. Source: M-Bus documentation, 8.4.5."""
    sides = ("lower", "upper")
    for u, side in enumerate(sides):
        yield Modifier("", 0x40 + 8 * u, "note", f"{side} limit")
        yield Modifier("", 0x41 + 8 * u, "count", f"exceeds of {side} limit", "1")
        for f, order in enumerate(("first", "last")):
            for b, edge in enumerate(("begin", "end")):
                word = f"{edge} of {order} exceed of {side} limit"
                yield Modifier("", 0x42 + 8 * u + 4 * f + b, "date", word)
            for n, unit in enumerate(_DURATION):
                word = f"duration of {order} exceed of {side} limit"
                yield Modifier("", 0x50 + 8 * u + 4 * f + n, "duration", word, unit)
        yield Modifier("", 0x68 + 4 * u, "note", f"during exceed of {side} limit")
    for f, order in enumerate(("first", "last")):
        for n, unit in enumerate(_DURATION):
            yield Modifier("", 0x60 + 4 * f + n, "duration", f"duration of {order}", unit)
        for b, edge in enumerate(("begin", "end")):
            yield Modifier("", 0x6A + 4 * f + b, "date", f"{edge} of {order}")


#: Orthogonal extensions (8.4.5), the error codes of slaves (8.4.6), and with table ``FC`` those behind a 7C.
MODIFIERS: Final[tuple[Modifier, ...]] = (
    Modifier("", 0x01, "error", "too many DIFEs"),
    Modifier("", 0x02, "error", "storage number not implemented"),
    Modifier("", 0x03, "error", "unit number not implemented"),
    Modifier("", 0x04, "error", "tariff number not implemented"),
    Modifier("", 0x05, "error", "function not implemented"),
    Modifier("", 0x06, "error", "data class not implemented"),
    Modifier("", 0x07, "error", "data size not implemented"),
    Modifier("", 0x0B, "error", "too many VIFEs"),
    Modifier("", 0x0C, "error", "illegal VIF group"),
    Modifier("", 0x0D, "error", "illegal VIF exponent"),
    Modifier("", 0x0E, "error", "VIF and DIF do not match"),
    Modifier("", 0x0F, "error", "action not implemented"),
    Modifier("", 0x12, "note", "average"),
    Modifier("", 0x13, "note", "inverse compact profile"),
    Modifier("", 0x14, "note", "relative deviation"),
    Modifier("", 0x15, "error", "no data available"),
    Modifier("", 0x16, "error", "data overflow"),
    Modifier("", 0x17, "error", "data underflow"),
    Modifier("", 0x18, "error", "data error"),
    Modifier("", 0x1C, "error", "premature end of record"),
    Modifier("", 0x1D, "note", "standard conform"),
    Modifier("", 0x1E, "note", "compact profile with registers"),
    Modifier("", 0x1F, "note", "compact profile"),
    Modifier("", 0x20, "unit", "per second", "/s"),
    Modifier("", 0x21, "unit", "per minute", "/min"),
    Modifier("", 0x22, "unit", "per hour", "/h"),
    Modifier("", 0x23, "unit", "per day", "/d"),
    Modifier("", 0x24, "unit", "per week", "/week"),
    Modifier("", 0x25, "unit", "per month", "/month"),
    Modifier("", 0x26, "unit", "per year", "/a"),
    Modifier("", 0x27, "unit", "per measurement", "/measurement"),
    Modifier("", 0x28, "unit", "per pulse of input 0", "/pulse"),
    Modifier("", 0x29, "unit", "per pulse of input 1", "/pulse"),
    Modifier("", 0x2A, "unit", "per pulse of output 0", "/pulse"),
    Modifier("", 0x2B, "unit", "per pulse of output 1", "/pulse"),
    Modifier("", 0x2C, "unit", "per l", "/l"),
    Modifier("", 0x2D, "unit", "per m3", "/m3"),
    Modifier("", 0x2E, "unit", "per kg", "/kg"),
    Modifier("", 0x2F, "unit", "per K", "/K"),
    Modifier("", 0x30, "unit", "per kWh", "/kWh"),
    Modifier("", 0x31, "unit", "per GJ", "/GJ"),
    Modifier("", 0x32, "unit", "per kW", "/kW"),
    Modifier("", 0x33, "unit", "per K l", "/(K l)"),
    Modifier("", 0x34, "unit", "per V", "/V"),
    Modifier("", 0x35, "unit", "per A", "/A"),
    Modifier("", 0x36, "unit", "times s", " s"),
    Modifier("", 0x37, "unit", "times s/V", " s/V"),
    Modifier("", 0x38, "unit", "times s/A", " s/A"),
    Modifier("", 0x39, "date", "start"),
    Modifier("", 0x3A, "note", "uncorrected"),
    Modifier("", 0x3B, "note", "positive"),
    Modifier("", 0x3C, "note", "negative"),
    Modifier("", 0x3D, "foreign", "not metric"),
    Modifier("", 0x3E, "note", "at base conditions"),
    Modifier("", 0x3F, "note", "OBIS declaration"),
    *_limits(),
    Modifier("", 0x69, "note", "leakage"),
    Modifier("", 0x6D, "note", "overflow"),
    *(Modifier("", 0x70 + n, "factor", exponent=n - 6) for n in range(8)),
    *(Modifier("", 0x78 + n, "offset", exponent=n - 3) for n in range(4)),
    Modifier("", 0x7D, "factor", exponent=3),
    Modifier("", 0x7E, "note", "future"),
    Modifier("FC", 0x01, "note", "phase L1"),
    Modifier("FC", 0x02, "note", "phase L2"),
    Modifier("FC", 0x03, "note", "phase L3"),
    Modifier("FC", 0x04, "note", "neutral"),
    Modifier("FC", 0x05, "note", "L1 to L2"),
    Modifier("FC", 0x06, "note", "L2 to L3"),
    Modifier("FC", 0x07, "note", "L3 to L1"),
    Modifier("FC", 0x08, "note", "quadrant 1"),
    Modifier("FC", 0x09, "note", "quadrant 2"),
    Modifier("FC", 0x0A, "note", "quadrant 3"),
    Modifier("FC", 0x0B, "note", "quadrant 4"),
    Modifier("FC", 0x0C, "note", "import minus export"),
    Modifier("FC", 0x0D, "foreign", "not metric"),
    Modifier("FC", 0x0E, "note", "secondary"),
    Modifier("FC", 0x0F, "note", "high resolution"),
    Modifier("FC", 0x10, "note", "absolute"),
    Modifier("FC", 0x13, "date", "end"),
    Modifier("FC", 0x14, "note", "to the meter"),
    Modifier("FC", 0x15, "note", "from the meter"),
)

#: What a device measures, by the byte in the head of a telegram. 3, 4, 6 and 7: MEP guide p. 94.
MEDIA: Final[Mapping[int, str]] = {
    0x00: "other",
    0x01: "oil",
    0x02: "electricity",
    0x03: "gas",
    0x04: "heat",
    0x05: "steam",
    0x06: "hot water",
    0x07: "water",
    0x08: "heat cost allocator",
    0x09: "compressed air",
    0x0A: "cooling",
    0x0B: "cooling, inlet",
    0x0C: "heat, inlet",
    0x0D: "heat and cooling",
    0x0E: "bus or system",
    0x0F: "unknown",
    0x10: "irrigation water",
    0x11: "water logger",
    0x12: "gas logger",
    0x13: "gas converter",
    0x14: "calorific value",
    0x15: "hot water above 90 C",
    0x16: "cold water",
    0x17: "hot and cold water",
    0x18: "pressure",
    0x19: "A/D converter",
    0x1A: "smoke detector",
    0x1B: "room sensor",
    0x1C: "gas detector",
    0x20: "breaker",
    0x21: "valve",
    0x25: "customer unit",
    0x28: "waste water",
    0x29: "garbage",
    0x30: "service unit",
    0x36: "radio converter",
    0x37: "radio converter of a meter",
}

#: What a device with the fixed structure measures: two bits of each of the two unit bytes. M-Bus documentation, 6.2.
FIXED_MEDIA: Final[Mapping[int, str]] = {
    **{code: MEDIA[code] for code in range(9)},
    0x0A: "gas",
    0x0B: "heat",
    0x0C: "hot water",
    0x0D: "water",
    0x0E: "heat cost allocator",
}

#: Units of the counters of the fixed structure, by the other six bits; 3E is the unit of counter 1, of a stored value.
FIXED_UNITS: Final[tuple[Vif, ...]] = (
    Vif("", 0x00, 0x00, "time", kind="identity"),
    Vif("", 0x01, 0x01, "date", kind="identity"),
    _scaled("", 0x02, 0x0A, "energy", "kWh", -3),
    _scaled("", 0x0B, 0x13, "energy", "MJ", -3),
    _scaled("", 0x14, 0x1C, "power", "W", 0),
    _scaled("", 0x1D, 0x25, "power", "MJ/h", -3),
    _scaled("", 0x26, 0x2E, "volume", "m3", -6),
    _scaled("", 0x2F, 0x37, "volume flow", "m3/h", -6),
    Vif("", 0x38, 0x38, "temperature", "C", -3),
    Vif("", 0x39, 0x39, "heat cost allocation", "1"),
    Vif("", 0x3F, 0x3F, "dimensionless", "1"),
)

#: The head of a telegram with variable structure (CI 72), behind its length byte. Offsets within an element of ET16.
VARIABLE_HEAD: Final[tuple[Field, ...]] = (
    u8(
        "length",
        "Length (L)",
        at="7",
        unit="byte",
        page=93,
        doc="of the telegram behind this byte, with the 0 at its end: 12 of the head, the records, 1",
    ),
    bcd("serial", 4, "Serial Nbr", at="8", vci=M, printed="4-byte Packed BCD", doc="last digits first"),
    u16(
        "manufacturer",
        "Mfg ID",
        at="12",
        vci=M,
        doc="three letters of 5 bits, A is 1, the first letter in the highest bits",
    ),
    u8("version", "Version", at="14", vci=M, doc="the manufacturer's"),
    u8("medium", "Medium", at="15", vci=M, enum=MEDIA, page=94),
    u8("access_number", "Access Number", at="16", vci=M, doc="one more with every answer"),
    bits(
        "status",
        1,
        [
            part("application", 0, 1, enum={0: "no error", 1: "busy", 2: "application error", 3: "reserved"}),
            flag("power_low", 2),
            flag("permanent_error", 3),
            flag("temporary_error", 4),
            part("manufacturer", 5, 7, doc="manufacturer specific"),
        ],
        "Status",
        at="17",
        vci=M,
        printed="UINT8",
        doc="alarms of the device; the values of bits 0 and 1 are printed in binary",
    ),
    u16("signature", "Signature", at="18", vci=M, doc="configuration word: bits 8 to 12 say how the data is encrypted"),
    octets(
        "records",
        "length - 13",
        "Tel. Data Records",
        at="20",
        vci=M,
        printed="ARRAY[L-13] of UINT8",
        doc="data records, one register each; the zero behind them is no part of them",
    ),
)

#: A telegram with fixed structure (CI 73): 16 bytes, without a 0 at its end.
FIXED_TELEGRAM: Final[tuple[Field, ...]] = (
    u8("length", "Length (L)", at="7", unit="byte", page=94, doc="always 16"),
    bcd("serial", 4, "Serial Nbr", at="8", vci=M, printed="4-byte Packed BCD"),
    u8("access_number", "Access Number", at="12", vci=M),
    bits(
        "status",
        1,
        [
            part("coding", 0, 0, printed="BOOL(0)", enum={0: "BCD", 1: "signed binary"}),
            part("stored", 1, 1, printed="BOOL(1)", enum={0: "actual values", 1: "values of a fixed date"}),
            flag("power_low", 2, page=95),
            flag("permanent_error", 3),
            flag("temporary_error", 4),
            part("manufacturer", 5, 7, doc="manufacturer specific"),
        ],
        "Status",
        at="13",
        vci=M,
        printed="UINT8",
    ),
    u16(
        "unit",
        "Medium/Unit",
        at="14",
        vci=M,
        doc="least significant byte first in both data orders: unit of counter 1 and of counter 2 in bits 0 to 5 of each "
        "byte; the medium in bits 6 and 7, the lower two of it in the first byte",
    ),
    u32("counter_1", "Counter 1", at="16", vci=M, doc="BCD or signed binary, as status bit 0 says"),
    u32("counter_2", "Counter 2", at="20", vci=M),
)


def to_json() -> dict[str, list[Any]]:
    """What Rust needs of these tables: lists of short rows."""
    return {
        "mbus_vifs": [v.to_json() for v in VIFS],
        "mbus_modifiers": [m.to_json() for m in sorted(MODIFIERS, key=lambda m: (m.table, m.code))],
        "mbus_media": [[code, name] for code, name in MEDIA.items()],
        "mbus_fixed_media": [[code, name] for code, name in FIXED_MEDIA.items()],
        "mbus_fixed_units": [v.to_json() for v in FIXED_UNITS],
    }
