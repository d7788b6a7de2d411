"""The virtual meter at a MEP port: rights by MAK and MBK, procedures, transactions, alerts, two ports.

::

    handler = MepMeterHandler(meter, now)                       # client=2: the second port, from firmware 4.0 on
    serve(port, mep_machine(handler, entropy=os.urandom))

Several handlers, an optical one among them, may share a meter: each is a port of its own, and may be served in a thread of
its own. Before firmware 4.0 an optical session takes the MEP port away. Source: MEP guide pp. 8-25, 43-53.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from ..codec import transactions
from ..errors import TableError, UsageError
from ..image import EXTENDED, table_name
from ..session import Data, MepAccess, MepHandler, MepMode, MepPort, MepResponder, MepTiming, RefusalCode
from ..session.mep_crypto import Crypto
from ..session.mep_procedure import BAUDS
from ..session.procedure import ResultCode
from .access import Key, mep_callers
from .handler import MeterHandler
from .meter import VirtualMeter
from .procedures import Answer, Procedures
from .shared import Visits

ET52: Final = EXTENDED + 52
#: Event logs say so where nobody is known.
_NOBODY: Final = 0xFFFF
#: ET13's alert flags (MEP guide pp. 82-83), and ET50's flags that matter here (pp. 124-125).
SCHEDULED_READ: Final = 1 << 0
ON_DEMAND_REQUEST: Final = 1 << 1
MBUS_CHANGE: Final = 1 << 3
DELTA_DATA: Final = 1 << 4
_REGISTERED: Final = 1 << 0
_ET59: Final = 1 << 1
_DELTA_ALERTS: Final = 1 << 3
#: EP39's type that clears the delta data alert, the only one whose number the guide gives (MEP guide p. 35).
_CLEAR_DELTA: Final = 12
#: A lock of the transaction tables is over after so many seconds (MEP guide p. 25).
_LOCK_S: Final = 10
#: Sources of ET71 are looked at so often (MEP guide p. 34).
WATCH_S: Final = 1.0
_UNUSED: Final = 255


class MepProcedures(Procedures):
    """What is behind BT07 on a MEP port."""

    def __init__(self, meter: VirtualMeter, activate: Callable[[str, int], None], client: int) -> None:
        super().__init__(meter, activate)
        self.client = client
        self._known |= {EXTENDED + 39: self._post_data, EXTENDED + 61: self._lock}

    def may(self, number: int, key: Key) -> bool:
        """By the catalogue; those that it does not know take the MAK."""
        id = f"EP{number - EXTENDED:02}" if number >= EXTENDED else f"BP{number:02}"
        return key.value in mep_callers(id)

    def table(self, t: int) -> str:
        """Where responses go: BT08, ET59 or ET85 (MEP guide p. 24)."""
        if self.client == 2:
            return "ET85"
        return "ET59" if self.meter.client_flags(1, t) & _ET59 else "BT08"

    def _post(self, response: bytes) -> None:
        table = self.table(self.meter.start)
        if table == "BT08":
            self.meter.response = response
        else:
            self.meter.client_responses[table] = response

    def _post_data(self, parameters: bytes, t: int) -> Answer:
        """EP39, as far as it is described: refused while not registered, and the type that clears the delta data alert."""
        if not self.meter.client_flags(self.client, t) & _REGISTERED:
            return ResultCode.CONFLICTS_WITH_SETUP, b""
        if parameters[:1] != bytes((_CLEAR_DELTA,)):
            return ResultCode.INVALID_PARAMETER, b""
        self.meter.alerts[self.client] = self.meter.alerts.get(self.client, 0) & ~DELTA_DATA
        return ResultCode.COMPLETED, b""

    def _lock(self, parameters: bytes, t: int) -> Answer:
        """EP61."""
        if len(parameters) != 1 or parameters[0] > 1:
            return ResultCode.INVALID_PARAMETER, b""
        holder = self.meter.lock
        if holder is not None and holder[0] != self.client and t < holder[1]:
            return ResultCode.CONFLICTS_WITH_SETUP, b""
        self.meter.lock = (self.client, t + _LOCK_S) if parameters[0] else None
        return ResultCode.COMPLETED, b""


class MepMeterHandler(MeterHandler, MepHandler):
    """What the virtual meter answers on a MEP port.

    ``client`` 1 or 2: which of its MEP ports this is. ``alerts`` may be set at any time. Raises: UsageError "virtual.client".
    """

    def __init__(self, meter: VirtualMeter, now: Callable[[], int], *, client: int = 1) -> None:
        if not 1 <= client <= meter.clients:
            raise UsageError(
                "virtual.client",
                f"a meter with firmware {meter.config.firmware} has {meter.clients} MEP port(s), and none is number {client}",
                "a second MEP port came with firmware 4.0",
            )
        super().__init__(meter, now)
        self.client = client
        self.key = Key.MBK
        self.user_id = _NOBODY
        self.procedures: MepProcedures = MepProcedures(meter, self._activate, client)
        self.executed: list[int] = []
        """The transactions that were executed through this port, in order."""

    def access(self, access: MepAccess, client_id: int | None) -> None:
        """Whose key the next request has; under TLS the client says a number of its own, for the log."""
        self.key = Key.MAK if access is MepAccess.ADVANCED else Key.MBK
        self.user_id = _NOBODY if client_id is None else client_id

    # ---- alerts

    @property
    def alerts(self) -> int:
        """ET13's alert flags of this client."""
        return self.meter.alerts.get(self.client, 0)

    @alerts.setter
    def alerts(self, flags: int) -> None:
        self.meter.alerts[self.client] = flags

    @property
    def alerting(self) -> bool:
        """Whether the alert sequence is sent: only to a client that is registered (MEP guide p. 36)."""
        return bool(self.alerts) and self.registered

    @property
    def registered(self) -> bool:
        """ET50's flag of this client."""
        return bool(self.meter.client_flags(self.client, self.now()) & _REGISTERED)

    def watching(self) -> bool:
        """Whether the sources of ET71 are to be looked at."""
        wanted = _REGISTERED | _DELTA_ALERTS
        has = "ET71" in self.meter.tables
        return has and self.meter.client_flags(self.client, self.now()) & wanted == wanted

    def watch(self) -> None:
        """Look at the sources of ET71 (MEP guide pp. 34-35)."""
        m, t = self.meter, self.now()
        data = bytearray(m.image("ET71", t))
        layout = m.dimensions(t).layout("ET71")
        places = {name: layout.find(f"delta.{name}") for name in ("source", "configured_delta", "comparison_value")}
        sampled = layout.find("delta.sampled_value")
        source, delta, comparison = places.values()
        if source is None or delta is None or comparison is None or sampled is None:
            return
        for i in range(source.axes[0].count):
            number, least = (int.from_bytes(data[leaf.at(i) : leaf.at(i) + 2], "little") for leaf in (source, delta))
            if number == _UNUSED or not least:
                continue
            value = m.readings.value(number, t) & 0xFFFFFFFF
            at = comparison.at(i)
            before = int.from_bytes(data[at : at + 4], "little")
            if abs(value - before) >= least:
                data[at : at + 4] = value.to_bytes(4, "little")
                self.alerts |= DELTA_DATA
            data[sampled.at(i) : sampled.at(i) + 4] = value.to_bytes(4, "little")
        m.written["ET71"] = bytes(data)

    # ---- tables

    def _bytes(self, id: str, t: int, offset: int, count: int | None) -> bytes:
        if id not in ("ET13", "ET70"):
            return super()._bytes(id, t, offset, count)
        data = bytearray(self.meter.image(id, t))
        layout = self.meter.dimensions(t).layout(id)
        leaf = layout.find("client.alerts" if id == "ET13" else "channel_index")
        if leaf is not None and id == "ET13":
            for client in range(1, leaf.axes[0].count + 1):
                data[leaf.at(client - 1)] = self.meter.alerts.get(client, 0)
        elif leaf is not None and leaf.offset < len(data):
            data[leaf.offset] = self.client
        return bytes(data[offset : None if count is None else offset + count])

    def write(self, table: int, offset: int | None, data: bytes, ped: bytes) -> RefusalCode | None:
        """Write a table, call a procedure, or execute a transaction; ET13 may change the speed of this port."""
        if table == ET52:
            return self._request(offset, data, ped)
        refused = super().write(table, offset, data, ped)
        if refused is None and table_name(table) == "ET13":
            self._follow_baud()
        return refused

    def _follow_baud(self) -> None:
        t = self.now()
        leaf = self.meter.dimensions(t).layout("ET13").find("client.baud_rate")
        if leaf is None:
            return
        code = self.meter.image("ET13", t)[leaf.at(self.client - 1)]
        self.baud = next((rate for rate, known in BAUDS.items() if known == code), MepHandler.baud)

    # ---- transactions

    def _request(self, offset: int | None, data: bytes, ped: bytes) -> RefusalCode | None:
        holder, t = self.meter.lock, self.now()
        if holder is not None and holder[0] != self.client and t < holder[1]:
            return RefusalCode.ONP  # the guide does not say which code
        refused = super().write(ET52, offset, data, ped)
        if refused is None:
            self._execute(self.meter.image("ET52", t), t)
        return refused

    def _execute(self, data: bytes, t: int) -> None:
        """As soon as the number stands at the end, too, and not twice in a row (MEP guide pp. 44, 50)."""
        try:
            transaction = transactions.parse_transaction(data)
        except TableError:
            return
        m = self.meter
        if transaction.type != transactions.REQUESTS or not transaction.requests or transaction.number == m.transaction:
            return
        m.transaction = transaction.number
        self.executed.append(transaction.number)
        said: list[transactions.Response] = []
        kind = transactions.RESPONSES
        room = len(m.image("ET53", t))
        response = b""
        for request in transaction.requests:
            said.append(self._step(request))
            made = transactions.build_responses(transaction.number, said)
            if len(made) > room:
                said.pop()
                kind = transactions.PARTIAL_RESPONSES
                break
        response = transactions.build_responses(transaction.number, said, kind)
        m.written["ET53"] = response.ljust(room, b"\0")

    def _step(self, request: transactions.Request) -> transactions.Response:
        if request.table is None or request.table == ET52:
            return transactions.Response(RefusalCode.SNS if request.table is None else RefusalCode.IAR)
        if request.code in (transactions.WRITE, transactions.PARTIAL_WRITE):
            refused = self.write(request.table, request.offset, request.data, b"")
            return transactions.Response(0 if refused is None else refused)
        answer = self.read(request.table, request.offset or 0, request.count if request.offset is not None else None)
        if isinstance(answer, RefusalCode):
            return transactions.Response(answer)
        found = (answer.ped or b"") + answer.data if isinstance(answer, Data) else answer
        if request.offset is not None:
            found = found.ljust(request.count or 0, b"\0")
        if len(found) > 0xFFFF:
            return transactions.Response(RefusalCode.ONP)
        return transactions.Response(0, len(found), found)


class MepMachine:
    """The meter's end of a MEP line: a `MepResponder`, the alerts that its meter has to raise, and optical sessions that take
    the port away: those at the optical port of the same meter, and ``visits`` of somebody else."""

    def __init__(self, responder: MepResponder, handler: MepMeterHandler, visits: Visits | None = None) -> None:
        self.responder = responder
        self.handler = handler
        self.visits = visits
        self._watch_at = float("-inf")
        self._taken = False

    @property
    def baud(self) -> int:
        """The speed that it speaks now."""
        return self.responder.baud

    def receive(self, data: bytes, now: float) -> bytes:
        """Bytes that came; gives bytes to write."""
        with self.handler.meter.mutex:
            self._switch(now)
            out = self.responder.receive(data, now)
            self.responder.alert = self.handler.alerting
            return out

    def _switch(self, now: float) -> None:
        """Follow who has the UART. `MepResponder.away` is set when that changes; in between it is for tests to set."""
        taken = self.handler.meter.mep_away or (self.visits is not None and self.visits.away(now))
        if taken != self._taken:
            self._taken = self.responder.away = taken

    def tick(self, now: float) -> bytes:
        """Time has passed; gives bytes to write."""
        with self.handler.meter.mutex:
            self._switch(now)
            if now >= self._watch_at:
                self._watch_at = now + WATCH_S
                if self.handler.watching():
                    self.handler.watch()
            self.responder.alert = self.handler.alerting
            return self.responder.tick(now)

    def deadline(self) -> float | None:
        """When `tick` is due."""
        with self.handler.meter.mutex:
            due = self.responder.deadline()
            if not self.handler.registered:
                return due
            return self._watch_at if due is None else min(due, self._watch_at)


def mep_machine(
    handler: MepMeterHandler,
    *,
    entropy: Callable[[int], bytes],
    mode: MepMode = MepMode.AUTO,
    throttle: Literal["delay", "ignore"] = "delay",
    sequence: int | None = None,
    timing: MepTiming | None = None,
    crypto: Crypto | None = None,
    visits: Visits | None = None,
) -> MepMachine:
    """The meter's end of a MEP line, with the keys of its configuration.

    ``entropy`` gives so many fresh random bytes (`os.urandom`); ``mode`` AUTO takes digest and RC4 as well as TLS, TLS
    requires it, RC4 and CLEAR know no TLS; ``sequence`` is the sequence number used last (None: a random one);
    ``visits`` are optical sessions of somebody else, which take the port away.
    """
    keys = handler.meter.config.keys
    port = MepPort(
        keys={MepAccess.ADVANCED: keys.mak, MepAccess.BASIC: keys.mbk},
        entropy=entropy,
        mode=mode,
        throttle=throttle,
        sequence=int.from_bytes(entropy(4)) if sequence is None else sequence,
    )
    return MepMachine(MepResponder(handler, port, timing=timing, crypto=crypto), handler, visits)


__all__ = [
    "DELTA_DATA",
    "MBUS_CHANGE",
    "ON_DEMAND_REQUEST",
    "SCHEDULED_READ",
    "MepMachine",
    "MepMeterHandler",
    "MepProcedures",
    "mep_machine",
]
