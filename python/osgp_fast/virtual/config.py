"""What a virtual meter is: frozen values, from TOML, from the presets of its firmware, or from code.

Every key is explained in docs/virtual-meter.md.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from ..errors import UsageError
from .firmware import Firmware

#: The keys of a meter that nobody gave others. They protect nothing: a virtual meter has no secrets.
DEFAULT_KEYS: Final = {
    "mk": b"MK-of-virtual-meter!",
    "pk": b"PK-of-virtual-meter!",
    "rk": b"RK-of-virtual-meter!",
    "mak": bytes(range(0xA0, 0xB0)),
    "mbk": bytes(range(0xB0, 0xC0)),
}
DEFAULT_FIRMWARE: Final = Firmware(3, 50)
OPTICAL_KEY: Final = 20
MOST_MEP_KEY: Final = 20
#: Interval times of a data set: minutes that BT61 can hold and that divide a day, and 84 for the day itself.
DAY_CODE: Final = 84
DAY_MINUTES: Final = 1440
#: Readings of neighbours lie so far apart, and wrap there.
NEIGHBOUR_STEP: Final = 7919
NEIGHBOUR_RANGE: Final = 900_007
Kind = Literal["heat", "water", "gas"]


@dataclass(frozen=True, slots=True)
class Channel:
    """What a channel of a load profile records: a source ID (MEP guide p. 203), or a data record of an M-Bus device."""

    source: int

    @classmethod
    def parse(cls, value: object) -> Channel:
        """``0``, or ``"mbus1.0"``: device 1 to 4 and M-Bus data type. Raises: UsageError."""
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 0xFFFF:
            return cls(value)
        if isinstance(value, str) and value.startswith("mbus"):
            device, _, record = value[4:].partition(".")
            if device in ("1", "2", "3", "4") and record.isdigit() and int(record) < 32:
                return cls(4 << 12 | (int(device) - 1) << 8 | int(record))
        raise _wrong("[[profile]] sources", value, 'a source ID, or "mbusD.N" (device 1 to 4, data record from 0)')

    @property
    def mapped(self) -> bool:
        """Whether BT62's byte cannot name it, so that ET66 has to."""
        return self.source > 0xFF

    @property
    def device(self) -> int:
        """The M-Bus device, from 0."""
        return self.source >> 8 & 0xF

    @property
    def record(self) -> int:
        """Its M-Bus data type, which is the number of the data record here."""
        return self.source & 0x1F


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """One data set of the load profile, BT61's element and BT64 to BT67."""

    sources: tuple[Channel, ...]
    interval: int = 15
    """Minutes: a divisor of a day, at most 60, or 1440."""
    intervals: int = 96
    """Of a block."""
    blocks: int = 60
    """That the ring has room for."""
    start: int = 0
    """Minute of the UTC day at which blocks start."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.sources) <= 16:
            raise _wrong("[[profile]] sources", len(self.sources), "1 to 16 channels")
        if self.interval != DAY_MINUTES and not (1 <= self.interval <= 60 and DAY_MINUTES % self.interval == 0):
            raise _wrong("[[profile]] interval", self.interval, "minutes that divide a day, 1 to 60, or 1440")
        if not 1 <= self.intervals <= 1440:
            raise _wrong("[[profile]] intervals", self.intervals, "1 to 1440 intervals in a block")
        if not 1 <= self.blocks <= 0xFFFF:
            raise _wrong("[[profile]] blocks", self.blocks, "1 to 65535 blocks")
        if not 0 <= self.start < DAY_MINUTES:
            raise _wrong("[[profile]] start", self.start, "a minute of the day")

    @property
    def interval_s(self) -> int:
        """The length of an interval in seconds."""
        return self.interval * 60

    @property
    def block_s(self) -> int:
        """The length of a block in seconds."""
        return self.interval_s * self.intervals

    @property
    def code(self) -> int:
        """BT61's interval time."""
        return DAY_CODE if self.interval == DAY_MINUTES else self.interval

    @property
    def interval_size(self) -> int:
        """Bytes of an interval: status nibbles and values (MEP guide p. 239)."""
        channels = len(self.sources)
        return channels // 2 + 1 + 4 * channels

    @property
    def header_size(self) -> int:
        """Bytes of a block before its intervals: end time and simple status."""
        return 5 + (self.intervals + 7) // 8

    @property
    def block_size(self) -> int:
        """Bytes of a block."""
        return self.header_size + self.intervals * self.interval_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """The demand registers; without sources the meter has none."""

    sources: tuple[int, ...] = ()
    coincidents: tuple[tuple[int, int], ...] = ()
    """Pairs: the source, and the demand (its place) at whose time it is measured."""
    interval: int = 15
    """Minutes."""
    cumulative: bool = True
    continuous: bool = True
    reset_counter: bool = True

    def __post_init__(self) -> None:
        if len(self.sources) > 8 or not set(self.sources) <= set(range(4)):
            raise _wrong("[demand] sources", list(self.sources), "at most 8 of the energies 0 to 3")
        if len(self.coincidents) > 16 or any(
            s not in range(4) or not 0 <= d < len(self.sources) for s, d in self.coincidents
        ):
            raise _wrong("[demand] coincidents", list(self.coincidents), "at most 16 pairs [source 0 to 3, demand]")
        if self.interval not in (5, 10, 15, 20, 30, 60):
            raise _wrong("[demand] interval", self.interval, "5, 10, 15, 20, 30 or 60 minutes")


@dataclass(frozen=True, slots=True, kw_only=True)
class MBusDevice:
    """A meter on the M-Bus, read by the virtual one every hour."""

    kind: Kind = "heat"
    serial: str = "12345678"
    manufacturer: str = "OFT"
    """Three capital letters."""

    def __post_init__(self) -> None:
        if self.kind not in ("heat", "water", "gas"):
            raise _wrong("[[mbus.device]] kind", self.kind, "heat, water or gas")
        if len(self.serial) != 8 or not self.serial.isdigit():
            raise _wrong("[[mbus.device]] serial", self.serial, "8 digits")
        if len(self.manufacturer) != 3 or not (self.manufacturer.isascii() and self.manufacturer.isupper()):
            raise _wrong("[[mbus.device]] manufacturer", self.manufacturer, "three capital letters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys of the meter: MK, PK and RK of the optical port (20 bytes), MAK and MBK of the MEP port."""

    mk: bytes = field(default=DEFAULT_KEYS["mk"], repr=False)
    pk: bytes = field(default=DEFAULT_KEYS["pk"], repr=False)
    rk: bytes = field(default=DEFAULT_KEYS["rk"], repr=False)
    mak: bytes = field(default=DEFAULT_KEYS["mak"], repr=False)
    mbk: bytes = field(default=DEFAULT_KEYS["mbk"], repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happenings:
    """How often what happens, per year."""

    outages: float = 12.0
    tampers: float = 3.0
    voltage: float = 40.0
    """Sags and surges, which go to the alternate log where there is one."""
    clock_changes: float = 6.0
    tariff_events: bool = True
    """Every switch of the tariff is an event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterConfig:
    """A virtual meter, whole."""

    firmware: Firmware = DEFAULT_FIRMWARE
    seed: int = 1
    neighbour: int = 0
    """Meters of one seed and different numbers live alike, power failures included, and have other readings."""
    serial: str = ""
    """BT01's, 16 digits; empty: made from the seed."""
    utility_serial: str = ""
    """ET03's, at most 30 characters; empty: made from the seed."""
    manufacturer: str = "NES"
    model: str = ""
    """Empty: 83331-3I with three phases, 83332-1I with one."""
    phases: int = 3
    start: datetime | None = None
    """The meter's time when it is started; None: now."""
    history_days: int = 90
    """How long ago it was installed."""
    speed: float = 1.0
    """Seconds of the meter in a second; 0: its clock stands."""
    time_zone: int = 60
    """Minutes east of UTC."""
    daylight_saving: bool = True
    """By the rule of the European Union."""
    tiers: int = 4
    tiers_in_use: int = 2
    data_sets: tuple[DataSet, ...] = ()
    """Empty: one as delivered, see `standard_sets`."""
    demands: Demands = Demands()
    self_reads: int = 12
    """That BT26 has room for."""
    self_read: Literal["daily", "monthly"] = "daily"
    events: int = 100
    alternate_events: int = 50
    recurring_reads: int = 8
    """Entries of ET45 and ET74."""
    mbus: tuple[MBusDevice, ...] = ()
    energy_register_unit: int = 1
    ct_ratio: int = 1
    generation: bool = True
    """Whether there are solar cells on the roof."""
    happenings: Happenings = Happenings()
    keys: Keys = Keys()
    pk_enabled: bool = True
    rk_may_set_clock: bool = True
    failures_until_lockout: int = 0
    """ET55.22, from firmware 4.30 on; 0: never."""
    lockout_minutes: int = 0
    dos_timer: bool = False
    """Sessions that last too long are ended (ET51, from 4.0 on ET55)."""
    dos_session_s: int = 600
    dos_hold_off_s: int = 300
    packet_size: int = 1024
    packets: int = 255
    bauds: tuple[int, ...] = (9600,)

    def __post_init__(self) -> None:
        _check(self)

    @property
    def sets(self) -> tuple[DataSet, ...]:
        """The data sets in use."""
        return self.data_sets or standard_sets(self.firmware)

    @property
    def serial_number(self) -> str:
        """BT01's."""
        return self.serial or f"{self.neighbour % 10**6:06}{self.seed:010}"

    @property
    def utility_serial_number(self) -> str:
        """ET03's."""
        return self.utility_serial or f"VIRTUAL-{self.seed:07}" + (f"-{self.neighbour}" if self.neighbour else "")

    @property
    def ahead(self) -> int:
        """How far the readings of a neighbour are ahead, in Wh and varh: whole energy register units."""
        return self.neighbour * NEIGHBOUR_STEP % NEIGHBOUR_RANGE * self.energy_register_unit

    @property
    def model_name(self) -> str:
        """BT01's."""
        return self.model or ("83331-3I" if self.phases == 3 else "83332-1I")


def standard_sets(firmware: Firmware) -> tuple[DataSet, ...]:
    """A quarter-hourly profile of energies; from 3.50 on also an hourly one of voltages and a daily one."""
    first = DataSet(sources=tuple(map(Channel, (0, 1, 2, 3))))
    if firmware.sets == 1:
        return (first,)
    hourly = DataSet(sources=tuple(map(Channel, (15, 16, 17))), interval=60, intervals=24, blocks=30)
    daily = DataSet(sources=tuple(map(Channel, (0, 1))), interval=DAY_MINUTES, intervals=7, blocks=20)
    return first, hourly, daily


def _wrong(key: str, got: object, wanted: str) -> UsageError:
    return UsageError("virtual.config", f"{key}: {got!r} is not {wanted}", "docs/virtual-meter.md explains every key")


def _check(c: MeterConfig) -> None:
    """Raises: UsageError "virtual.config"."""
    rules: list[tuple[bool, str, object, str]] = [
        (c.phases in (1, 3), "[meter] phases", c.phases, "1 or 3"),
        (not c.serial or (len(c.serial) <= 16 and c.serial.isdigit()), "[meter] serial", c.serial, "up to 16 digits"),
        (len(c.utility_serial.encode()) <= 30, "[meter] utility_serial", c.utility_serial, "up to 30 characters"),
        (len(c.manufacturer) <= 4 and c.manufacturer.isascii(), "[meter] manufacturer", c.manufacturer, "4 characters"),
        (len(c.model) <= 8 and c.model.isascii(), "[meter] model", c.model, "up to 8 characters"),
        (0 <= c.neighbour < 1 << 32, "[meter] neighbour", c.neighbour, "a number below 2**32"),
        (0 <= c.seed < 1 << 32, "[meter] seed", c.seed, "a number below 2**32"),
        (c.history_days >= 0 and c.history_days <= 3660, "[clock] history_days", c.history_days, "0 to 3660 days"),
        (0 <= c.speed <= 1e6, "[clock] speed", c.speed, "a factor of 0 to 1,000,000"),
        (-720 <= c.time_zone <= 840, "[clock] time_zone", c.time_zone, "-720 to 840 minutes"),
        (c.time_zone % 5 == 0, "[clock] time_zone", c.time_zone, "a multiple of 5 minutes"),
        (c.tiers in (4, 8) and c.tiers <= c.firmware.most_tiers, "[tariff] tiers", c.tiers, "4, or 8 from 3.70 on"),
        (1 <= c.tiers_in_use <= min(c.tiers, 4), "[tariff] in_use", c.tiers_in_use, "1 to 4"),
        (
            len(c.data_sets) <= c.firmware.sets,
            "profile",
            len(c.data_sets),
            f"{c.firmware.sets} data set(s) on {c.firmware}",
        ),
        (0 <= c.self_reads <= c.firmware.most_self_reads, "[self_reads] entries", c.self_reads, "what BT20.2 allows"),
        (c.self_read in ("daily", "monthly"), "[self_reads] when", c.self_read, "daily or monthly"),
        (1 <= c.events <= 1000, "[events] entries", c.events, "1 to 1000"),
        (0 <= c.alternate_events <= 1000, "[events] alternate", c.alternate_events, "0 to 1000"),
        (0 <= c.recurring_reads <= 253, "[mbus] recurring_reads", c.recurring_reads, "0 to 253"),
        (len(c.mbus) <= 4, "[[mbus.device]]", len(c.mbus), "at most 4 devices"),
        (
            c.energy_register_unit in (1, 10, 100),
            "[meter] energy_register_unit",
            c.energy_register_unit,
            "1, 10 or 100",
        ),
        (
            c.energy_register_unit == 1 or c.firmware.version >= (3, 70),
            "[meter] energy_register_unit",
            c.energy_register_unit,
            "1 before firmware 3.70",
        ),
        (1 <= c.ct_ratio <= 10_000, "[meter] ct_ratio", c.ct_ratio, "1 to 10000"),
        (
            0 <= c.failures_until_lockout <= 255,
            "[optical] failures_until_lockout",
            c.failures_until_lockout,
            "0 to 255",
        ),
        (0 <= c.lockout_minutes <= 255, "[optical] lockout_minutes", c.lockout_minutes, "0 to 255"),
        (1 <= c.dos_session_s <= 0xFFFF, "[optical] dos_session_s", c.dos_session_s, "1 to 65535"),
        (0 <= c.dos_hold_off_s <= 0xFFFF, "[optical] dos_hold_off_s", c.dos_hold_off_s, "0 to 65535"),
        (64 <= c.packet_size <= 8192, "[optical] packet_size", c.packet_size, "64 to 8192"),
        (1 <= c.packets <= 255, "[optical] packets", c.packets, "1 to 255"),
        (bool(c.bauds), "[optical] bauds", list(c.bauds), "a list of speeds"),
    ]
    for good, key, got, wanted in rules:
        if not good:
            raise _wrong(key, got, wanted)
    for name in ("mk", "pk", "rk"):
        if not 1 <= len(getattr(c.keys, name)) <= OPTICAL_KEY:
            raise _wrong(f"[keys] {name}", "what was given", "up to 20 characters, or 40 hex digits")
    for name in ("mak", "mbk"):
        if not 6 <= len(getattr(c.keys, name)) <= MOST_MEP_KEY:
            raise _wrong(f"[keys] {name}", "what was given", "6 to 20 bytes as hex digits")
    mapped = [s for ds in c.sets for s in ds.sources if s.mapped]
    if any(s.source >> 12 != 4 or s.device >= len(c.mbus) for s in mapped):
        raise _wrong("[[profile]] sources", "a channel", "one of the M-Bus devices that the meter has")
    if len(set(mapped)) > 52 or (mapped and c.firmware.version < (3, 10)):
        raise _wrong("[[profile]] sources", "M-Bus channels", "what firmware from 3.10 on has, 52 at most")


def optical_key(text: str) -> bytes:
    """A key of the optical port, 20 characters or 40 hex digits, as the 20 bytes of the line. Raises: UsageError."""
    if len(text) == 2 * OPTICAL_KEY:
        try:
            return bytes.fromhex(text)
        except ValueError:
            pass
    try:
        raw = text.encode("latin-1")
    except UnicodeEncodeError:
        raw = b""
    if not 1 <= len(raw) <= OPTICAL_KEY:
        raise UsageError(
            "virtual.key", "a key of the optical port is 1 to 20 characters, or 40 hex digits", "shorten the key"
        )
    return raw.ljust(OPTICAL_KEY, b"\0")


def mep_key(text: str) -> bytes:
    """A key of the MEP port, as hex digits. Raises: UsageError."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if not 6 <= len(raw) <= MOST_MEP_KEY:
        raise UsageError("virtual.key", "a key of the MEP port is 6 to 20 bytes as hex digits", "check its length")
    return raw


# ---- TOML

#: Section of the file -> its key -> the field that it sets. "profile", "[[mbus.device]]" and "keys" have readers of their own.
_KEYS: Final[Mapping[str, Mapping[str, str]]] = {
    "meter": {
        name: name
        for name in (
            "seed",
            "neighbour",
            "serial",
            "utility_serial",
            "manufacturer",
            "model",
            "phases",
            "energy_register_unit",
            "ct_ratio",
            "generation",
        )
    },
    "clock": {name: name for name in ("start", "history_days", "speed", "time_zone", "daylight_saving")},
    "tariff": {"tiers": "tiers", "in_use": "tiers_in_use"},
    "self_reads": {"entries": "self_reads", "when": "self_read"},
    "events": {"entries": "events", "alternate": "alternate_events"},
    "optical": {
        name: name
        for name in (
            "pk_enabled",
            "rk_may_set_clock",
            "failures_until_lockout",
            "lockout_minutes",
            "dos_timer",
            "dos_session_s",
            "dos_hold_off_s",
            "packet_size",
            "packets",
            "bauds",
        )
    },
}
_OTHERS: Final = frozenset({"demand", "happenings", "keys", "mbus", "profile"})


def load(path: str | Path) -> MeterConfig:
    """A configuration from a TOML file. Raises: UsageError "virtual.config", "virtual.file"."""
    try:
        with Path(path).open("rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise UsageError(
            "virtual.file", f"{path}: {error.strerror}", "name a TOML file, or leave --config out"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError("virtual.file", f"{path} is no TOML: {error}", "see docs/virtual-meter.toml") from error
    return from_document(document)


def from_document(document: Mapping[str, Any]) -> MeterConfig:
    """A configuration from a document as `tomllib` gives it. Raises: UsageError "virtual.config"."""
    values: dict[str, Any] = {}
    for section, keys in document.items():
        if section not in _KEYS and section not in _OTHERS:
            raise _wrong(section, "a section", f"one of {', '.join(sorted({*_KEYS, *_OTHERS}))}")
        if section in _KEYS:
            values |= _plain(section, _mapping(f"[{section}]", keys))
    try:
        if "demand" in document:
            values["demands"] = _demands(_mapping("[demand]", document["demand"]))
        if "happenings" in document:
            values["happenings"] = _of(Happenings, "[happenings]", document["happenings"])
        if "keys" in document:
            values["keys"] = _keys(_mapping("[keys]", document["keys"]))
        if "mbus" in document:
            mbus = _mapping("[mbus]", document["mbus"])
            _known("[mbus]", mbus, {"recurring_reads", "device"})
            if "recurring_reads" in mbus:
                values["recurring_reads"] = _same("[mbus] recurring_reads", mbus["recurring_reads"], 0)
            values["mbus"] = tuple(
                _of(MBusDevice, "[[mbus.device]]", d) for d in _listed("[[mbus.device]]", mbus.get("device", []))
            )
        if "profile" in document:
            values["data_sets"] = tuple(_data_set(d) for d in _listed("[[profile]]", document["profile"]))
        return MeterConfig(**values)
    except (TypeError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError("virtual.config", str(error), "docs/virtual-meter.md explains every key") from error


def _mapping(section: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(section, value, "a section")
    return value


def _listed(section: str, value: object) -> list[Mapping[str, Any]]:
    if not isinstance(value, list):
        raise _wrong(section, value, f"a list: write {section}")
    return [_mapping(section, each) for each in value]


def _known(section: str, given: Mapping[str, Any], names: set[str]) -> None:
    for key in given:
        if key not in names:
            raise _wrong(f"{section} {key}", "this key", f"one of {', '.join(sorted(names))}")


def _same(key: str, value: object, model: object) -> Any:
    """A value of the type of ``model``."""
    if isinstance(model, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(model):
        raise _wrong(key, value, type(model).__name__)
    return value


def _of(kind: Any, section: str, given: object) -> Any:
    values = _mapping(section, given)
    model = kind()
    _known(section, values, {f.name for f in fields(kind)})
    return kind(**{key: _same(f"{section} {key}", value, getattr(model, key)) for key, value in values.items()})


def _plain(section: str, given: Mapping[str, Any]) -> dict[str, Any]:
    names = _KEYS[section]
    allowed = set(names) | ({"firmware"} if section == "meter" else set())
    _known(f"[{section}]", given, allowed)
    out: dict[str, Any] = {}
    model = MeterConfig()
    for key, value in given.items():
        if key == "firmware":
            out["firmware"] = Firmware.parse(_same("[meter] firmware", value, ""))
        elif key == "start":
            out["start"] = moment(value)
        elif key == "bauds":
            if not isinstance(value, list) or not all(isinstance(v, int) for v in value):
                raise _wrong("[optical] bauds", value, "a list of speeds")
            out["bauds"] = tuple(value)
        else:
            out[names[key]] = _same(f"[{section}] {key}", value, getattr(model, names[key]))
    return out


def moment(value: object) -> datetime:
    """A time of TOML, or RFC 3339 text; without a zone it is UTC. Raises: UsageError."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise _wrong("[clock] start", value, "a time such as 2024-06-01T10:07:30Z") from error
    if not isinstance(value, datetime) or not 2001 <= value.year <= 2099:
        raise _wrong("[clock] start", value, "a time of the years 2001 to 2099")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _demands(given: Mapping[str, Any]) -> Demands:
    _known("[demand]", given, {f.name for f in fields(Demands)})
    values = dict(given)
    for key in ("sources", "coincidents"):
        if key in values:
            if not isinstance(values[key], list):
                raise _wrong(f"[demand] {key}", values[key], "a list")
            values[key] = tuple(tuple(v) if isinstance(v, list) else v for v in values[key])
    return Demands(**values)


def _keys(given: Mapping[str, Any]) -> Keys:
    _known("[keys]", given, {f.name for f in fields(Keys)})
    if not all(isinstance(value, str) for value in given.values()):
        raise _wrong("[keys]", "what was given", "text")
    return Keys(**{k: optical_key(v) if k in ("mk", "pk", "rk") else mep_key(v) for k, v in given.items()})


def _data_set(given: Mapping[str, Any]) -> DataSet:
    _known("[[profile]]", given, {"sources", "interval", "intervals", "blocks", "start"})
    values = dict(given)
    sources = values.pop("sources", None)
    if not isinstance(sources, list):
        raise _wrong("[[profile]] sources", sources, "a list of sources")
    start = values.pop("start", "00:00")
    hour, _, minute = str(start).partition(":")
    if not (hour.isdigit() and minute.isdigit() and int(hour) < 24 and int(minute) < 60):
        raise _wrong("[[profile]] start", start, 'a time of the UTC day such as "00:00"')
    for key, value in values.items():
        _same(f"[[profile]] {key}", value, 0)
    return DataSet(sources=tuple(map(Channel.parse, sources)), start=int(hour) * 60 + int(minute), **values)
