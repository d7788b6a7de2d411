"""The virtual meter: a household, its registers, and what a meter remembers beside them.

Its tables are made when they are read, from the catalogue by the encoder; `tables` says what is in them.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from .. import codec
from ..catalog import TABLES
from ..image import table_name
from ..layout import Table, TableSet
from . import world as happen
from ._mep import CLIENT_FLAGS, CLIENT_HANDLE, CLIENT_SIZE
from .config import MeterConfig
from .firmware import Firmware, defaults, rows_of
from .profile import Ring
from .readings import Readings
from .world import DAY_S, Happening, World

#: Events that go to the alternate log where there is one: the voltage, and who was there.
_ALTERNATE = frozenset({happen.SAG, happen.SWELL, happen.READ_ACCESS})
PROFILES = {"BT64": 0, "BT65": 1, "BT66": 2, "BT67": 3}


class Clock:
    """The meter's time, from any clock of seconds that runs on."""

    def __init__(self, source: Callable[[], float], start: float, speed: float = 1.0) -> None:
        self._source = source
        self._zero = source()
        self._start = start
        self._speed = speed

    def __call__(self) -> int:
        """Seconds since 1970-01-01 UTC."""
        return int(self._start + (self._source() - self._zero) * self._speed)


@dataclass(frozen=True, slots=True)
class Event:
    """An entry of the event logs."""

    sequence: int
    time: int
    code: int
    user: int
    argument: bytes
    alternate: bool


@dataclass(slots=True)
class Pending:
    """A pending table: what will be written, and when."""

    ped: bytes
    data: bytes


class _Images(dict[str, "bytes | memoryview"]):
    """The tables of a meter at a time, made when they are asked for."""

    def __init__(self, meter: VirtualMeter, t: int) -> None:
        super().__init__()
        self._meter, self._t = meter, t

    def __contains__(self, id: object) -> bool:
        return id in self._meter.tables

    def __missing__(self, id: str) -> bytes:
        if id not in self._meter.tables:
            raise KeyError(id)
        self[id] = self._meter.image(id, self._t)
        return bytes(self[id])


@lru_cache(maxsize=1024)
def known_rows(id: str, firmware: Firmware) -> Table:
    """A table as this firmware has it."""
    table = TABLES[id]
    return dataclasses.replace(table, fields=rows_of(table, firmware))


@lru_cache(maxsize=4096)
def _constant(id: str, config: MeterConfig) -> bytes:
    """A table that is the same in every meter of a configuration, whatever its seed and time."""
    return VirtualMeter(config, installed=0).make(id, 0)


class VirtualMeter:
    """A meter of a configuration.

    Args: ``installed`` is when its household began, in seconds since 1970; by default ``history_days`` before the start.
    """

    def __init__(self, config: MeterConfig, *, start: int | None = None, installed: int | None = None) -> None:
        self.config = config
        begin = start
        if begin is None:
            begin = int((config.start or datetime.now(UTC)).timestamp())
        if installed is None:
            installed = (begin - config.history_days * DAY_S) // 3600 * 3600
        h = config.happenings
        self.start = begin
        self.world = World(
            config.seed,
            installed,
            phases=config.phases,
            generation=config.generation,
            tiers=config.tiers_in_use,
            zone_min=config.time_zone,
            daylight_saving=config.daylight_saving,
            outages=h.outages,
            tampers=h.tampers,
            voltage=h.voltage,
            clock_changes=h.clock_changes,
            tariff_events=h.tariff_events,
            self_read=config.self_read,
            ahead=config.ahead,
        )
        self.readings = Readings(config, self.world)
        self.rings = [Ring(self.readings, c, n) for n, c in enumerate(config.sets, 1)]
        self.tables = frozenset(config.firmware.tables)
        self.mutex = threading.RLock()
        """Held while the machine of one of its ports works, so that ports may be served in threads of their own."""
        self.optical_session = False
        """Whether somebody talks at the optical port."""
        # What a meter remembers.
        self.written: dict[str, bytes] = {}
        """Tables that somebody has written, whole."""
        self.pending: dict[str, Pending] = {}
        self.last_activation = 0
        self.response = b"\0\0\0\0"
        """BT08."""
        self.client_responses: dict[str, bytes] = {}
        """ET59 and ET85, the responses of MEP clients' procedures."""
        self.alerts: dict[int, int] = {}
        """ET13's alert flags of each MEP client."""
        self.transaction: int | None = None
        """The transaction that was executed last."""
        self.lock: tuple[int, int] | None = None
        """Which MEP client has the transaction tables, and until when (EP61)."""
        self.initiated = b"\0\0\0"
        """BT07."""
        self.requests: list[tuple[int, int, int, int, bytes]] = []
        """ET15: transaction, handle, type, result, message."""
        self.removed: set[int] = set()
        """Handles of devices that EP17 removed."""
        self.cleared = 0
        """When the alarms were cleared."""
        self.clock_offset = 0
        """Seconds that the clock of the tables differs, since somebody set it."""
        self.read_up_to: dict[str, int] = {}
        """The newest sequence number that the head end has fetched, by list."""
        self.failures = 0
        """Wrong passwords in a row."""
        self._log: list[Event] = []
        self._log_until = installed
        self._sequence = 64_900 + config.seed % 700

    # ---- MEP clients

    @property
    def mep_away(self) -> bool:
        """Whether an optical session has the UART that firmware before 4.0 shares (MEP guide p. 20)."""
        return self.optical_session and not self.config.firmware.gen4

    @property
    def clients(self) -> int:
        """How many MEP ports there are."""
        return 2 if self.config.firmware.gen4 else 1

    def client_flags(self, client: int, t: int) -> int:
        """ET50's flags of a MEP client, 1 or 2: bit 0 registered, 1 responses in ET59, 2 M-Bus alerts, 3 delta data alerts."""
        return self.image("ET50", t)[self._flags_at(client)]

    @staticmethod
    def _flags_at(client: int) -> int:
        return (client - 1) * CLIENT_SIZE + CLIENT_FLAGS

    def client_of(self, handle: int) -> int | None:
        """The MEP client with a handle of ET14; None: it has none, or is not registered."""
        client, rest = divmod(handle, CLIENT_HANDLE)
        known = rest == 0 and 1 <= client <= self.clients
        return client if known and self.client_flags(client, self.start) & 1 else None

    def remove_client(self, client: int, t: int) -> None:
        """EP17: it is not registered any more."""
        et50 = bytearray(self.image("ET50", t))
        et50[self._flags_at(client)] &= 0xFE
        self.written["ET50"] = bytes(et50)
        self.alerts.pop(client, None)

    # ---- the log

    def log(self, t: int) -> list[Event]:
        """All events up to ``t``, in order."""
        if t > self._log_until:
            for happening in self.world.happenings(self._log_until, t):
                self._enter(happening)
            self._log_until = t
        return self._log

    def _enter(self, h: Happening) -> None:
        self._sequence += 1
        alternate = h.code in _ALTERNATE and self.alternate_entries > 0
        self._log.append(Event(self._sequence, h.time, h.code, h.user, h.argument.to_bytes(2, "little"), alternate))

    def happened(self, t: int, code: int, argument: int = 0, user: int = 0xFFFF) -> None:
        """Somebody at the port made something happen."""
        self.log(t)
        self._enter(Happening(t, code, argument & 0xFFFF, user))

    def entries(self, t: int, *, alternate: bool) -> list[Event]:
        """What BT74 (or ET79, ``alternate``) holds, oldest first."""
        room = self.alternate_entries if alternate else self.config.events
        found: list[Event] = []
        for event in reversed(self.log(t)):
            if len(found) == room:
                break
            if event.alternate == alternate and event.time <= t:
                found.append(event)
        return found[::-1]

    @property
    def alternate_entries(self) -> int:
        """ET54.80: entries of ET79."""
        return self.config.alternate_events if "ET79" in self.config.firmware.tables else 0

    # ---- tables

    def image(self, id: str, t: int) -> bytes:
        """A table whole, as it is at ``t``. Raises: KeyError where this firmware has no such table."""
        if id not in self.tables:
            raise KeyError(id)
        if id in self.written:
            return self.written[id]
        if id in PROFILES:
            n = PROFILES[id]
            return self.rings[n].image(t) if n < len(self.rings) else b""
        from .tables import CONSTANT

        if id in CONSTANT:
            return _constant(id, _without_person(self.config))
        return self.make(id, t)

    def part(self, id: str, t: int, offset: int, count: int) -> bytes:
        """Some bytes of a table; of a load profile only the blocks that they touch are made."""
        if id in PROFILES and id in self.tables and id not in self.written:
            n = PROFILES[id]
            return self.rings[n].image(t, offset, count) if n < len(self.rings) else b""
        return self.image(id, t)[offset : offset + count]

    def make(self, id: str, t: int) -> bytes:
        """Encode a table from its values."""
        from .tables import MAKERS

        table = known_rows(id, self.config.firmware)
        tree: dict[str, Any] = defaults(table.fields, self.config.firmware)
        size: int | None = None
        if id in MAKERS:
            made = MAKERS[id](self, t)
            if isinstance(made, tuple):
                values, size = made
            else:
                values = made
            tree = _merged(tree, values)
        return codec.encode_table(table, tree, self.dimensions(t), size=size)

    def dimensions(self, t: int) -> TableSet:
        """What the tables tell about each other at ``t``."""
        known = TableSet({})
        known.tables = _Images(self, t)
        return known

    def images(self, t: int) -> dict[str, bytes]:
        """All tables at ``t``, by id."""
        return {id: self.image(id, t) for id in self.config.firmware.tables}

    def write(self, id: str, t: int, offset: int | None, data: bytes) -> bool:
        """Write a table or a part of it, and keep it; False: it does not fit."""
        old = self.image(id, t)
        at = offset or 0
        if at + len(data) > len(old) or (offset is None and len(data) != len(old)):
            return False
        self.written[id] = old[:at] + data + old[at + len(data) :]
        return True


def _merged(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in over.items():
        known = out.get(key)
        out[key] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return out


@lru_cache(maxsize=256)
def _without_person(config: MeterConfig) -> MeterConfig:
    """The configuration without what differs between meters that are alike."""
    return dataclasses.replace(config, seed=0, neighbour=0, serial="", utility_serial="", start=None)


def name_of(number: int) -> str:
    """The id of a table by its number on the wire, a pending one's without its mark."""
    return table_name(number & 0xFFF)
