"""The procedures of the virtual meter: BT07 in, BT08 out, none of them twice.

Done are those that the guides describe (BP15, EP17, EP19, EP61) and those that they name and C12.19-1997 describes (BP04,
BP05, BP10, BP12, BP13); EP03 clears the alarms, as the MEP guide says on p. 139. All others are not recognized (result 6).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from .. import codec
from ..session.procedure import Initiate, Once, Result, ResultCode
from . import world
from .access import Key
from .mbus import ltime
from .meter import VirtualMeter

Answer = tuple[int, bytes]
_DONE: Final[Answer] = (ResultCode.COMPLETED, b"")
_INVALID: Final[Answer] = (ResultCode.INVALID_PARAMETER, b"")
#: No procedure, pending table or device of that kind: codes of the procedures' own pages.
_NO_SUCH: Final[Answer] = (3, b"")
_NOTHING_PENDING: Final[Answer] = (1, b"")
_EXTENDED: Final = 2048
_QUEUE: Final = 5
#: What ET15 takes: request types of EP19 (MEP guide p. 191).
_REQUESTS: Final = (1, 2, 3, 4, 5, 6)
_WRITES: Final = (4, 6)
_NO_ANSWER: Final = 2
_SUCCESS: Final = 1


class Procedures:
    """What is behind BT07."""

    def __init__(self, meter: VirtualMeter, activate: Callable[[str, int], None]) -> None:
        self.meter = meter
        self.once = Once()
        self._activate = activate
        """Makes a pending table the one in force."""
        self._known: dict[int, Callable[[bytes, int], Answer]] = {
            4: self._reset_pointers,
            5: self._update_pointers,
            10: self._set_clock,
            12: self._activate_all,
            13: self._activate_some,
            15: self._clear_some,
            _EXTENDED + 3: self._clear_alarms,
            _EXTENDED + 17: self._remove_device,
            _EXTENDED + 19: self._post_request,
            _EXTENDED + 61: lambda parameters, t: (ResultCode.NO_AUTHORIZATION, b""),
        }

    def may(self, number: int, key: Key) -> bool:
        """Whether somebody with this key may call a procedure: RK only sets the clock (MEP guide p. 60)."""
        if key is Key.RK:
            return number == 10 and self.meter.config.rk_may_set_clock
        return key in (Key.MK, Key.PK)

    def call(self, initiate: Initiate, key: Key, t: int) -> bool:
        """Execute a procedure and post its result; False: its sequence number was the last one, nothing is done."""
        if not self.once.admits(initiate):
            return False
        known = self._known.get(initiate.number)
        if known is None:
            code, data = int(ResultCode.UNRECOGNIZED_PROCEDURE), b""
        elif not self.may(initiate.number, key):
            code, data = ResultCode.NO_AUTHORIZATION, b""
        else:
            code, data = known(initiate.parameters, t)
            self.meter.happened(t, world.PROCEDURE, initiate.number)
        self.meter.initiated = initiate.emit()
        self._post(Result(initiate.number, initiate.sequence, code, data).emit())
        return True

    def _post(self, response: bytes) -> None:
        """Where the response of an optical client goes: BT08."""
        self.meter.response = response

    # ---- lists

    def _lists(self, number: int) -> list[str]:
        """The lists of a number of C12.19-1997: the event log, the self-reads, the data sets, all data sets, all."""
        m = self.meter
        sets = [f"profile {ring.number}" for ring in m.rings]
        named = {1: ["events"], 2: ["self reads"], 7: sets, 255: ["events", "self reads", *sets]}
        named |= {3 + i: [name] for i, name in enumerate(sets)}
        return named.get(number, [])

    def _newest(self, name: str, t: int) -> int:
        m = self.meter
        if name == "events":
            found = m.entries(t, alternate=False)
            return found[-1].sequence if found else 0
        if name == "self reads":
            return m.readings.self_read_number(t)
        return m.rings[int(name.split()[1]) - 1].status(t)[2]

    def _reset_pointers(self, parameters: bytes, t: int) -> Answer:
        lists = self._lists(parameters[0]) if len(parameters) == 1 else []
        for name in lists:
            self.meter.read_up_to[name] = self._newest(name, t)
        return _DONE if lists else _INVALID

    def _update_pointers(self, parameters: bytes, t: int) -> Answer:
        lists = self._lists(parameters[0]) if len(parameters) == 3 else []
        if len(lists) != 1:
            return _INVALID
        read = int.from_bytes(parameters[1:], "little")
        newest = self._newest(lists[0], t)
        # The oldest of the unread ones are read.
        self.meter.read_up_to[lists[0]] = min(newest, self.meter.read_up_to.get(lists[0], 0) + read)
        return _DONE

    # ---- clock

    def _set_clock(self, parameters: bytes, t: int) -> Answer:
        """C12.19-1997: which parts are set, the time, and its qualifiers; answers with the times before and after."""
        if len(parameters) not in (7, 8) or not parameters[0] & 3:
            return _INVALID
        m = self.meter
        before = datetime.fromtimestamp(t + m.clock_offset, UTC)
        try:
            seconds = codec.seconds(parameters[1:7])
        except codec.ImpossibleDate:
            return _INVALID
        if seconds is None:
            return _INVALID
        given = datetime.fromtimestamp(seconds, UTC)
        clock = (
            given if parameters[0] & 1 else given.replace(hour=before.hour, minute=before.minute, second=before.second)
        )
        if not parameters[0] & 2:
            clock = clock.replace(year=before.year, month=before.month, day=before.day)
        m.happened(t, world.TIME_OLD)
        m.clock_offset = int(clock.timestamp()) - t
        m.happened(t, world.TIME_NEW)
        return ResultCode.COMPLETED, ltime(before) + ltime(clock)

    # ---- pending tables

    def _activate_all(self, parameters: bytes, t: int) -> Answer:
        for id in list(self.meter.pending):
            self._activate(id, t)
        return _DONE

    def _matching(self, parameters: bytes) -> list[str]:
        return [id for id, pending in self.meter.pending.items() if pending.ped == parameters]

    def _activate_some(self, parameters: bytes, t: int) -> Answer:
        found = self._matching(parameters)
        for id in found:
            self._activate(id, t)
        return _DONE if found else _NOTHING_PENDING

    def _clear_some(self, parameters: bytes, t: int) -> Answer:
        found = self._matching(parameters)
        for id in found:
            del self.meter.pending[id]
            self.meter.happened(t, world.PENDING_CLEARED)
        return _DONE if found else _NOTHING_PENDING

    # ---- alarms and devices

    def _clear_alarms(self, parameters: bytes, t: int) -> Answer:
        self.meter.cleared = t
        return _DONE

    def _remove_device(self, parameters: bytes, t: int) -> Answer:
        """EP17: its action is not spelt out for M-Bus devices here, so only the handle counts."""
        if len(parameters) != 3:
            return _INVALID
        handle = int.from_bytes(parameters[1:], "little")
        client = self.meter.client_of(handle)
        if client is not None:
            self.meter.remove_client(client, t)
            return _DONE
        if handle in self.meter.removed or not 1 <= handle <= len(self.meter.config.mbus):
            return _NO_SUCH
        self.meter.removed.add(handle)
        return _DONE

    def _post_request(self, parameters: bytes, t: int) -> Answer:
        """EP19: transaction number, handle, type and data; answers with the entry of ET15."""
        # Only requests that write carry a length and data.
        writes = len(parameters) > 4 and parameters[4] in _WRITES
        if len(parameters) < 5 or (writes and (len(parameters) < 6 or len(parameters) < 6 + parameters[5])):
            return _INVALID
        m = self.meter
        number, handle = (int.from_bytes(parameters[i : i + 2], "little") for i in (0, 2))
        kind, message = parameters[4], parameters[6 : 6 + parameters[5]] if writes else b""
        if kind not in _REQUESTS:
            return _INVALID
        if kind != 6 and not 1 <= handle <= len(m.config.mbus):
            return _NO_SUCH
        entry = len(m.requests) % _QUEUE
        m.requests.append((number, handle, kind, _NO_ANSWER if handle in m.removed else _SUCCESS, message))
        return ResultCode.COMPLETED, bytes((entry,))
