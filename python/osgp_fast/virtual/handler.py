"""The virtual meter at its optical port: who may read and write what, pending tables, procedures, lock-outs."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final

from .. import codec
from ..errors import LocalProtocolError
from ..image import PED, PENDING
from ..session import Connection, Data, Handler, Identified, RefusalCode, Responder, Role, State
from ..session.procedure import BT07, parse_initiate
from . import world
from .access import Key, may_ever_write, may_read, may_write
from .config import OPTICAL_KEY
from .meter import Pending, VirtualMeter, name_of
from .procedures import Procedures

#: Of a table's number on the wire: its own 12 bits, and the mark of a pending one.
_NUMBERS: Final = 0x1FFF
#: The tables of keys are nobody's to read, as the guide says of the bytes in ET13.
_KEYS: Final = "ET13"


class MeterHandler(Handler):
    """What the virtual meter answers. ``now`` gives its time, see `meter.Clock`."""

    def __init__(self, meter: VirtualMeter, now: Callable[[], int]) -> None:
        self.meter = meter
        self.now = now
        self.procedures = Procedures(meter, self._activate)
        self.packet_size = meter.config.packet_size
        self.packets = meter.config.packets
        self.bauds = meter.config.bauds
        self.key = Key.NONE
        self.user_id = 0
        self.sessions = 0
        """How many have ended: terminated, or given up."""
        self.locked_until = 0
        """Until when the port is closed after too many wrong passwords."""
        self._due: dict[str, int] = {}

    def identify(self) -> Identified | RefusalCode:
        """C12.18-1996: standard 0, version 1, revision 0."""
        return Identified(0, 1, 0)

    def log_on(self, user_id: int, user: bytes) -> RefusalCode | None:
        """Anybody may; the user is not checked (Optical guide p. 13)."""
        self.key, self.user_id = Key.NONE, user_id
        self.procedures.once.log_on()
        return None

    def security(self, password: bytes) -> RefusalCode | None:
        """One of the three keys. After too many wrong ones the port closes for a while (ET55.22, 4.30 and later)."""
        config = self.meter.config
        given = password.ljust(OPTICAL_KEY, b"\0")
        found = Key.NONE
        for key, right in ((Key.MK, config.keys.mk), (Key.PK, config.keys.pk), (Key.RK, config.keys.rk)):
            same = hmac.compare_digest(given, right.ljust(OPTICAL_KEY, b"\0"))
            if same and (key is not Key.PK or config.pk_enabled):
                found = key
        if found is not Key.NONE:
            self.key = found
            self.meter.failures = 0
            return None
        t = self.now()
        self.meter.failures += 1
        self.meter.happened(t, world.INVALID_PASSWORD, 0, self.user_id)
        most = config.failures_until_lockout
        if most and config.firmware.version >= (4, 30) and self.meter.failures >= most:
            self.meter.failures = 0
            self.locked_until = t + 60 * config.lockout_minutes
        return RefusalCode.ERR

    def end(self, *, timed_out: bool) -> None:
        """Whoever comes next has to log on anew."""
        self.key = Key.NONE
        self.sessions += 1

    # ---- tables

    def _table(self, number: int) -> str | None:
        id = name_of(number)
        return id if number <= _NUMBERS and id in self.meter.tables else None

    def read(self, table: int, offset: int, count: int | None) -> bytes | Data | RefusalCode:
        """A table, or some bytes of it, as it is now."""
        t = self._time()
        id = self._table(table)
        if id is None:
            return RefusalCode.IAR
        if not may_read(id, self.key):
            return RefusalCode.ISC
        if table & PENDING:
            pending = self.meter.pending.get(id)
            if pending is None:
                return RefusalCode.IAR
            end = None if count is None else offset + count
            return Data(pending.data[offset:end], pending.ped)
        return self._bytes(id, t, offset, count)

    def _bytes(self, id: str, t: int, offset: int, count: int | None) -> bytes:
        return self.meter.image(id, t) if count is None else self.meter.part(id, t, offset, count)

    def write(self, table: int, offset: int | None, data: bytes, ped: bytes) -> RefusalCode | None:
        """Write a table, a pending table, or call a procedure (BT07)."""
        t = self._time()
        id = self._table(table)
        if id is None:
            return RefusalCode.IAR
        if not may_write(id, self.key):
            return RefusalCode.ISC if may_ever_write(id, self.key) else RefusalCode.IAR
        if table == BT07:
            initiate = parse_initiate(data) if not offset else None
            if initiate is None:
                return RefusalCode.ONP
            try:
                return None if self.procedures.call(initiate, self.key, t) else RefusalCode.ONP
            except LocalProtocolError:  # more parameters than BT07 holds
                return RefusalCode.ONP
        if table & PENDING:
            return self._write_pending(id, offset, data, ped, t)
        if id == _KEYS:
            data = self._without_keys(offset or 0, data, t)
        if not self.meter.write(id, t, offset, data):
            return RefusalCode.ONP
        self.meter.happened(t, world.TABLE_WRITTEN, table, self.user_id)
        return None

    def _without_keys(self, offset: int, data: bytes, t: int) -> bytes:
        """The same data with zeros where keys are: the virtual meter keeps none that somebody may believe to be safe."""
        out = bytearray(data)
        layout = self.meter.dimensions(t).layout(_KEYS)
        leaf = layout.find("device.key")
        for i in range(leaf.axes[0].count if leaf else 0):
            start = leaf.at(i) - offset if leaf else 0
            for at in range(max(start, 0), min(start + (leaf.size if leaf else 0), len(out))):
                out[at] = 0
        return bytes(out)

    def _write_pending(self, id: str, offset: int | None, data: bytes, ped: bytes, t: int) -> RefusalCode | None:
        if len(ped) != PED:
            return RefusalCode.ONP
        known = self.meter.pending.get(id)
        old = known.data if known is not None else self.meter.image(id, t)
        at = offset or 0
        if at + len(data) > len(old) or (offset is None and len(data) != len(old)):
            return RefusalCode.ONP
        room = 4 if self.meter.config.firmware.gen4 else 3
        if known is None and len(self.meter.pending) >= room:
            return RefusalCode.ONP
        self.meter.pending[id] = Pending(ped, old[:at] + data + old[at + len(data) :])
        self._due.pop(id, None)
        due = _due(ped, t)
        if due is not None:
            self._due[id] = due
        return None

    def _activate(self, id: str, t: int) -> None:
        pending = self.meter.pending.pop(id)
        self._due.pop(id, None)
        self.meter.written[id] = pending.data
        self.meter.last_activation = t
        self.meter.happened(t, world.PENDING_ACTIVATED)

    def _time(self) -> int:
        """The meter's time; pending tables whose time has come are activated."""
        t = self.now()
        for id in [id for id, due in self._due.items() if due <= t and id in self.meter.pending]:
            self._activate(id, t)
        return t


def _due(ped: bytes, t: int) -> int | None:
    """When a pending table is activated by itself. Source: Optical guide pp. 10-11."""
    code, storage = ped[0] & 15, ped[1:]
    if code == 1:
        weeks, days, hours, minutes, seconds = storage
        return t + (((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds
    try:
        return codec.seconds(storage) if code == 0 else None
    except codec.ImpossibleDate:
        return None


class Guard:
    """What keeps a meter's port closed: after too many wrong passwords, and after a session that lasted too long.

    A closed port hears nothing. The times are the meter's: they pass as fast as its clock. Sources: MEP guide p. 142 (ET55.22
    and 23), Optical guide pp. 14-15 (ET51, from 4.0 on ET55). It also tells the meter whether a session is open, since that
    takes the MEP port away where they share a UART: from the first packet that was understood to the end, by a word of the
    client or by its silence.
    """

    def __init__(self, responder: Responder, handler: MeterHandler) -> None:
        self._responder = responder
        self._handler = handler
        self._since: float | None = None
        self._closed_until = 0

    @property
    def baud(self) -> int:
        """The speed that it speaks now."""
        return self._responder.baud

    @property
    def _connection(self) -> Connection:
        return self._responder.connection

    def receive(self, data: bytes, now: float) -> bytes:
        """Bytes that came; gives bytes to write."""
        with self._handler.meter.mutex:
            t = self._handler.now()
            if t < max(self._closed_until, self._handler.locked_until) and self._connection.state is State.BASE:
                return b""
            return self._told(self._overlong(self._responder.receive(data, now), now))

    def _overlong(self, out: bytes, now: float) -> bytes:
        config = self._handler.meter.config
        if self._connection.state is State.BASE:
            self._since = None
        elif self._since is None:
            self._since = now
        elif config.dos_timer and now - self._since >= config.dos_session_s:
            self._connection.close(now)
            self._handler.end(timed_out=True)
            self._since = None
            self._closed_until = self._handler.now() + config.dos_hold_off_s
            return b""
        return out

    def _told(self, out: bytes) -> bytes:
        self._handler.meter.optical_session = self._connection.state is not State.BASE
        return out

    def tick(self, now: float) -> bytes:
        """Time has passed; gives bytes to write."""
        with self._handler.meter.mutex:
            return self._told(self._overlong(self._responder.tick(now), now))

    def deadline(self) -> float | None:
        """When `tick` is due."""
        with self._handler.meter.mutex:
            return self._responder.deadline()

    def close(self, now: float) -> None:
        """The line is gone, and with it the session on it."""
        with self._handler.meter.mutex:
            if self._connection.state is not State.BASE:
                self._connection.close(now)
                self._handler.end(timed_out=True)
            self._told(b"")


def machine(handler: MeterHandler) -> Guard:
    """The meter's end of a line."""
    return Guard(Responder(Connection(Role.METER), handler), handler)
