"""The columns of every kind, once: names, Arrow types, which may be null. Source: the contract, "Columns".

Types are written as Arrow writes them. In Python rows a timestamp is an int of microseconds since 1970-01-01 (UTC where
the type says so), a binary is bytes, a list is a list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["load_profile", "events", "meters", "channels", "registers", "measurements", "alarms", "mbus"]
Shape = Literal["long", "wide"]

UTC_TIME: Final = "timestamp[us, UTC]"
#: The meter's local clock, whose zone no table names.
LOCAL_TIME: Final = "timestamp[us]"
#: The most channels of a data set. Source: MEP guide p. 29.
MAX_CHANNELS: Final = 16


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``repeated`` strings are dictionary<int32, string> in streams and plain in files."""

    name: str
    type: str
    nullable: bool = False
    repeated: bool = False


def _s(name: str, nullable: bool = False) -> Column:
    return Column(name, "string", nullable, True)


_READ_AT: Final = Column("read_at", UTC_TIME, True)
_PLACE: Final = (
    _s("meter"),
    Column("data_set", "int8"),
    Column("block", "int64"),
    Column("interval", "int32"),
    Column("interval_end", UTC_TIME),
    Column("interval_s", "int32"),
)
_NAMED: Final = (_s("quantity", True), _s("unit", True), _s("obis", True))
_LONG: Final = (
    *_PLACE,
    Column("channel", "int8"),
    Column("source", "int32", True),
    *_NAMED,
    Column("value", "int64"),
    Column("multiplier", "int32", True),
    Column("status", "int8"),
    Column("flags", "int8"),
)
_WIDE: Final = (
    *_PLACE,
    *(Column(f"value_{c}", "int64", True) for c in range(MAX_CHANNELS)),
    *(Column(f"status_{c}", "int8", True) for c in range(MAX_CHANNELS)),
    Column("flags", "int8"),
)
_EVENTS: Final = (
    _s("meter"),
    _s("log"),
    Column("sequence", "int64", True),
    Column("time", UTC_TIME, True),
    Column("user_id", "int32"),
    Column("event_code", "int32"),
    _s("event", True),
    Column("argument", "binary"),
    _READ_AT,
)
_METERS: Final = (
    Column("meter", "string"),
    Column("utility_serial", "string", True),
    Column("manufacturer", "string", True),
    Column("model", "string", True),
    Column("manufacturer_serial", "string", True),
    Column("firmware", "string", True),
    Column("tables", "list<int32>"),
    _READ_AT,
)
_CHANNELS: Final = (
    _s("meter"),
    Column("data_set", "int8"),
    Column("channel", "int8"),
    Column("source", "int32", True),
    *_NAMED,
    Column("interval_s", "int32"),
    Column("multiplier", "int32", True),
    _READ_AT,
)
_REGISTERS: Final = (
    _s("meter"),
    _s("snapshot"),
    Column("time", LOCAL_TIME, True),
    Column("season", "int8", True),
    Column("tier", "int8", True),
    _s("kind"),
    Column("index", "int16"),
    Column("source", "int32", True),
    *_NAMED,
    Column("value", "int64"),
    Column("event_time", LOCAL_TIME, True),
    Column("multiplier", "int32", True),
    Column("cumulative", "int64", True),
    Column("continuous_cumulative", "int64", True),
    Column("occurrence", "int16", True),
    Column("of_demand", "int16", True),
    _s("min_max", True),
    Column("demand_resets", "int16", True),
    Column("sequence", "int32", True),
    Column("bidn", "int32", True),
    _READ_AT,
)
_MEASUREMENTS: Final = (
    _s("meter"),
    Column("source", "int32", True),
    Column("index", "int16"),
    *_NAMED,
    Column("value", "float64"),
    Column("raw", "int32"),
    _READ_AT,
)
_ALARMS: Final = (
    _s("meter"),
    _s("alarm"),
    _s("table"),
    Column("byte", "int16"),
    Column("bit", "int8"),
    Column("active", "bool"),
    _READ_AT,
)
_MBUS: Final = (
    _s("meter"),
    _s("log"),
    Column("slot", "int8"),
    Column("handle", "int32", True),
    Column("time", LOCAL_TIME, True),
    _s("manufacturer", True),
    _s("serial", True),
    _s("medium", True),
    Column("version", "int16", True),
    Column("status", "int16", True),
    Column("record", "int16"),
    _s("quantity", True),
    _s("unit", True),
    Column("value", "float64", True),
    Column("text", "string", True),
    Column("raw", "binary"),
    _READ_AT,
)
REJECTS: Final[Sequence[Column]] = (
    Column("meter", "string", True),
    Column("table", "int32", True),
    Column("item", "string"),
    Column("code", "string"),
    Column("reason", "string"),
    Column("input", "string"),
    Column("offset", "int64", True),
    Column("length", "int64"),
    Column("data", "binary"),
    _READ_AT,
)
#: The kinds that can be decoded, in the order in which they are written.
KINDS: Final[tuple[Kind, ...]] = (
    "load_profile",
    "events",
    "meters",
    "channels",
    "registers",
    "measurements",
    "alarms",
    "mbus",
)
_FIXED: Final = {
    "events": _EVENTS,
    "meters": _METERS,
    "channels": _CHANNELS,
    "registers": _REGISTERS,
    "measurements": _MEASUREMENTS,
    "alarms": _ALARMS,
    "mbus": _MBUS,
    "rejects": REJECTS,
}


def columns(kind: str, shape: Shape = "long", delta: bool = False) -> Sequence[Column]:
    """The columns of a kind. Raises: KeyError for a kind that does not exist."""
    if kind == "load_profile":
        if shape == "wide":
            return (*_WIDE, _READ_AT)
        return (*_LONG, *((Column("delta", "int64", True),) if delta else ()), _READ_AT)
    return _FIXED[kind]
