"""What the tasks of a meter give that are no columns: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from ..session.procedure import ResultCode, procedure_name


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a meter is. Source: ET03 and BT01 (Optical guide pp. 18-19)."""

    utility_serial: str | None
    manufacturer: str | None
    model: str | None
    manufacturer_serial: str | None
    firmware: str | None
    """``3.50.01``."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The meter's clock beside that of this computer, both at one moment. Source: BT52 and BT55 (MEP guide pp. 224, 229)."""

    utc: datetime | None
    """BT52, with time zone; None where the meter has no such table, or no time."""
    local: datetime | None
    """BT55, without one: the meter's own zone. It may be up to a minute behind."""
    host: datetime
    """This computer's time when ``utc`` was read: the middle between question and answer."""
    drift_s: float | None
    """Meter minus computer, in seconds; None without ``utc``."""
    within_s: float
    """The drift may be wrong by so many seconds: half of the way there and back, and the meter's whole seconds."""


@dataclass(frozen=True, slots=True)
class InputsOutputs:
    """Which inputs and outputs a meter has, and how they stand; trees by the rows of the catalogue.

    Empty, or None, where the meter lacks the table or the key may not read it (`Meter.refused` says which).
    """

    hardware: Mapping[str, Any]
    """ET29: options that are fitted, the assignment of ports, sensors (MEP guide pp. 99-104)."""
    relays: Mapping[str, Any]
    """The control relays of ET54 and, where there is one, the operation of each in ET97 as ``modes``."""
    control_output: Mapping[str, Any]
    """ET46: the load disconnect contactor."""
    pulse_inputs: Mapping[int, int | None]
    """The counts of pulse inputs 1 and 2 among the registers (source 26 and 27)."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A pending table: what will take effect, and when. Source: Optical guide pp. 8-10."""

    table: str
    data: bytes = field(repr=False)
    ped: bytes
    """The six bytes of the Pending Event Description."""
    event: Mapping[str, Any]
    """The same by the rows of the catalogue: ``event`` (``code``, ``self_read``, ``demand_reset``), ``storage``."""
    at: datetime | None
    """When it is activated (UTC), where the event is an absolute time."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a write would change: some bytes of a table as they are, and as they would be."""

    table: str
    number: int
    offset: int | None
    """Where the bytes start; None: it is the whole table."""
    old: bytes = field(repr=False)
    new: bytes = field(repr=False)
    tables: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)
    """The tables that lay it out, as far as the meter gave them; of a table that is laid out by itself it is one of them."""

    @property
    def differs(self) -> bool:
        """Whether there is anything to write."""
        return self.old != self.new


@dataclass(frozen=True, slots=True)
class ProcedureResult:
    """What a procedure has answered: the response table's entry with our number and sequence number."""

    number: int
    sequence: int
    code: int
    words: str
    """The result code in words: those of the procedure's own page, else the standard's."""
    data: bytes = field(repr=False)
    values: Mapping[str, Any]
    """The data by the rows of the catalogue, where it describes them; else empty."""

    @property
    def name(self) -> str:
        """``BP12``, ``EP17``."""
        return procedure_name(self.number)

    @property
    def completed(self) -> bool:
        """Whether it was executed to its end."""
        return self.code == ResultCode.COMPLETED


@dataclass(frozen=True, slots=True)
class Refusal:
    """A table that the meter did not give, and why."""

    table: str
    number: int
    code: str
    """``refused.isc``, ``refused.iar``, ..."""
    keys: str
    """The keys that may read it, by the catalogue; empty where the guides say nothing."""
    reason: str


#: ET13's alert flags: bit and what the meter wants (MEP guide pp. 18, 82-83).
ALERTS: Final = {0: "scheduled_read", 1: "on_demand_request", 3: "mbus_change", 4: "delta_data"}


@dataclass(frozen=True, slots=True)
class Alert:
    """The meter has raised its alert on the MEP port: ET13's alert flags of this client, read when it was heard."""

    at: datetime
    """By this computer's clock, UTC."""
    flags: int

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the catalogue: ``scheduled_read``, ``on_demand_request``, ``mbus_change``, ``delta_data``; ``bit_5`` ..."""
        return tuple(ALERTS.get(bit, f"bit_{bit}") for bit in range(8) if self.flags >> bit & 1)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a transaction has brought of one request."""

    table: str
    code: int | None
    """The meter's response code, 0 for done (`session.RefusalCode`); None: there was no room for it in ET53."""
    data: bytes = field(default=b"", repr=False)
    """What was read."""

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.code == 0
