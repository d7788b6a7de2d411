"""The MEP port as a way into a meter: no log-on, a key on every message, alerts in between.

What becomes of a write, procedure or transaction whose answer is lost is found out by `session.mep_procedure`; here are
the patience with a port that somebody at the optical port has taken away, and what the tasks want to know.
Source: MEP guide pp. 8-25.
"""

from __future__ import annotations

import contextlib
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from ..catalog import TABLES
from ..codec import transactions
from ..errors import LocalProtocolError, OsgpError, TransportError
from ..image import EXTENDED, PENDING, table_name
from ..session import Data, MepAccess, MepConnection, MepMode, Read, dialogue, mep_procedure
from ..session.mep_procedure import Place, Procedures
from ..session.policy import SESSION_S
from ..session.procedure import Result, ResultCode, parse_result, procedure_name
from ..session.refusals import InsufficientSecurityClearance, Refused
from ..transport import MepLine
from .access import LATER_S, LATER_TRIES, MESSAGE_S, NEW_SESSIONS, POLL_S
from .parts import Parts
from .talk import Pause, Talk
from .values import Alert, Reply

#: A port that answered and is silent is asked again after so long: at generations 2 and 3 an optical session takes it away.
AWAY_S: Final = 2.0
ET03: Final = EXTENDED + 3
#: While tasks run, ET13's alert flags are read and told at most so often; the meter repeats its alert every second.
LOOK_S: Final = 10.0
#: So long after a change of speed nothing is said.
BAUD_S: Final = 0.05
#: So many alerts are kept.
KEPT: Final = 256
#: A transaction whose number ET53 shows already is numbered anew so often.
#: While a client only listens, it asks for a byte so often: a meter takes one for down that was silent for the health time-out
#: of ET51, 60 s as delivered (MEP guide pp. 20, 128).
HEALTH_S: Final = 45.0
_NUMBERS: Final = 3
_WRAP: Final = 0x10000
_RC4: Final = (
    "The MEP port is read under digest and RC4. Both are broken: whoever can listen on the line may read along and find out "
    "the key. The guide advises strongly against it and recommends TLS (MEP guide p. 8)"
)
_FELL_BACK: Final = "; this meter refuses TLS or does not know it. security='tls' insists on it"
_WHOSE: Final = {MepAccess.ADVANCED: "MAK, the advanced key", MepAccess.BASIC: "MBK, the basic key"}


class InsecureMepWarning(UserWarning):
    """The MEP port is read under digest and RC4, which are broken."""


class Mep(Parts):
    """A MEP port. ``on_alert`` is called with every `Alert`, in the middle of a task: it must not use the meter.

    ``greet``: ask for a byte at first, so that a wrong key is told then where nothing else is read.
    """

    def __init__(
        self,
        line: MepLine,
        *,
        mode: MepMode,
        wall: Callable[[], float],
        on_alert: Callable[[Alert], object] | None = None,
        max_session_s: float = SESSION_S,
        greet: bool = False,
    ) -> None:
        self.line = line
        self.sessions = 0
        self.alerts: deque[Alert] = deque(maxlen=KEPT)
        self.on_alert = on_alert
        self._asked_mode = mode
        self._greet = greet
        self._wall = wall
        self._max_session_s = max_session_s
        self._since = 0.0
        self._place: Place | None = None
        self._procedures: Procedures | None = None
        self._number = 0
        self._looked_at = float("-inf")
        self._looking = self._heard = False

    def __repr__(self) -> str:
        return f"<Mep {self.line.port.name} {self.line.connection.mode.value}>"

    @property
    def connection(self) -> MepConnection:
        """The machine of the line."""
        return self.line.connection

    @property
    def most_read(self) -> int:
        """How many bytes are asked for at once."""
        connection = self.connection
        return max(1, min(connection.max_read, int(MESSAGE_S * connection.baud / 10)))

    @property
    def received(self) -> int:
        """Bytes that came on the line so far."""
        return self.connection.counts.bytes_received

    # ---- the session, which is only how long something is believed

    def ready(self) -> Talk[None]:
        """There is no log-on. What was kept of the meter is believed for as long as a session on the optical port lasts."""
        now = self.line.clock()
        if not self.sessions or now - self._since >= self._max_session_s:
            self._since = now
            self.sessions += 1
            if self._greet and not self._heard:
                yield from self._read(ET03, 0, 1)
        if not self._looking and now - self._looked_at >= LOOK_S and self.connection.take_alert():
            with contextlib.suppress(Refused):
                yield from self.look()

    def farewell(self) -> Talk[None]:
        """End a TLS session."""
        yield from dialogue.hang_up(self.connection)

    def place(self) -> Talk[Place]:
        """Which MEP client this is; found out once."""
        if self._place is None:
            self._place = yield from mep_procedure.where(self.connection)
        return self._place

    def keys(self, table: int, *, write: bool = False) -> str:
        """The keys of the MEP port that may read or write a table."""
        found = TABLES.get(table_name(table & ~PENDING))
        if found is None:
            return ""
        return found.write if write else found.read

    # ---- alerts

    def look(self) -> Talk[Alert | None]:
        """Read ET13's alert flags, and tell of them (MEP guide p. 18); None: nothing is wanted any more."""
        self._looking, self._looked_at = True, self.line.clock()
        try:
            place = yield from self.place()
            flags = yield from mep_procedure.alert_flags(self.connection, place)
        finally:
            self._looking = False
        if not flags:
            return None
        alert = Alert(datetime.fromtimestamp(self._wall(), UTC), flags)
        self.alerts.append(alert)
        if self.on_alert is not None:
            self.on_alert(alert)
        return alert

    def wait_alert(self, seconds: float) -> Talk[Alert | None]:
        """Listen for an alert, at most so long; None: none came, or its cause was gone when the flags were read."""
        spoke = self.line.clock()
        until = spoke + seconds
        while not self.connection.take_alert():
            now = self.line.clock()
            if now >= until:
                return None
            if now - spoke >= HEALTH_S:
                yield from self._read(ET03, 0, 1)
                spoke = self.line.clock()
            yield Pause(min(until - now, 0.25))
        return (yield from self.look())

    # ---- reading

    def _read(self, table: int, offset: int | None, count: int | None) -> Talk[Data]:
        later = silences = 0
        while True:
            yield from self.ready()
            try:
                answer = yield Read(table, offset, count)
            except InsufficientSecurityClearance as error:
                raise self._which_key(error, self.keys(table)) from error
            except Refused as error:
                later += 1
                if not error.transient or later > LATER_TRIES:
                    raise
                yield Pause(min(later, LATER_S))
            except OsgpError as error:
                # Nobody was there from the beginning, or it is no matter of patience.
                if not self._heard or not _may_pass(error):
                    raise
                silences += 1
                if silences > NEW_SESSIONS:
                    raise _stopped(error, table) from error
                yield Pause(AWAY_S)
            else:
                assert isinstance(answer, Data)
                self._answered()
                return answer

    def _answered(self) -> None:
        """The meter has answered: how messages are protected is settled, and its weakness is said once."""
        if self._heard:
            return
        self._heard = True
        if self.connection.mode is not MepMode.TLS:
            fell_back = _FELL_BACK if self._asked_mode is MepMode.AUTO else ""
            warnings.warn(_RC4 + fell_back, InsecureMepWarning, stacklevel=2)

    def _which_key(self, error: InsufficientSecurityClearance, keys: str) -> InsufficientSecurityClearance:
        """The refusal, with the keys that the catalogue names."""
        whose = _WHOSE[self.connection.access]
        allowed = f"{keys} may" if keys else "the guides name no key of the MEP port that may"
        hint = f"this is the {whose}; {allowed}; where the right one does not do either, the hardware lock forbids it"
        return InsufficientSecurityClearance(error.code, error.message, hint, **{**error.fields, "keys": keys})

    # ---- writing

    def write(self, table: int, data: bytes, offset: int | None = None, ped: bytes = b"") -> Talk[None]:
        """Write a table, in parts where it does not fit; a part whose answer is lost is read back, and never sent twice."""
        yield from self.ready()
        try:
            if not ped:
                yield from mep_procedure.write(self.connection, table, data, offset or 0)
            else:
                yield from dialogue.write(self.connection, table, data, offset or 0, ped)
        except InsufficientSecurityClearance as error:
            raise self._which_key(error, self.keys(table, write=True)) from error
        self._answered()

    # ---- procedures

    def _calls(self) -> Talk[Procedures]:
        place = yield from self.place()
        if self._procedures is None or self._procedures.response != place.response:
            self._procedures = Procedures(self.connection, place.response)
        return self._procedures

    def procedure(self, number: int, parameters: bytes, *, wait_s: float, final: bool) -> Talk[Result]:
        """Execute a procedure once and wait for its result in BT08, ET59 or ET85 (MEP guide pp. 24, 51-53)."""
        yield from self.ready()
        calls = yield from self._calls()
        until = self.line.clock() + wait_s
        try:
            result = yield from calls.call(number, parameters)
        except InsufficientSecurityClearance as error:
            raise self._which_key(error, "") from error
        same = (result.number, result.sequence)
        while not final and result.code == ResultCode.NOT_FULLY_COMPLETED and self.line.clock() < until:
            yield Pause(POLL_S)
            answer = yield from self._read(calls.response, 0, mep_procedure.RESPONSE)
            found = parse_result(answer.data)
            if (found.number, found.sequence) != same:
                raise TransportError(
                    "meter.procedure_unknown",
                    f"{procedure_name(number)} was accepted, and {table_name(calls.response)} shows another procedure's "
                    "result before it was completed",
                    "look at what it was to change before it is called again",
                    procedure=number,
                )
            result = found
        self._answered()
        return result

    # ---- transactions, registration, speed

    def transaction(self, requests: Sequence[transactions.Request], number: int | None) -> Talk[list[Reply]]:
        """Have several requests executed as one (ET52, ET53), once."""
        yield from self.ready()
        place = yield from self.place()
        lock = (yield from self._calls()) if place.multiple else None
        data = b""
        for again in range(_NUMBERS):
            self._number = (self._number % (_WRAP - 1) + 1) if number is None else number
            try:
                data = yield from mep_procedure.transact(
                    self.connection,
                    transactions.build_requests(self._number, requests),
                    capacity=place.capacity,
                    lock=lock,
                )
                break
            except LocalProtocolError as error:
                # One of an earlier program: the next number will do.
                if error.code != "mep.transaction_number" or number is not None or again == _NUMBERS - 1:
                    raise
        found = transactions.parse_transaction(data)
        said: list[transactions.Response | None] = [*found.responses]
        said += [None] * (len(requests) - len(said))
        self._answered()
        return [
            Reply(
                "" if request.table is None else table_name(request.table),
                None if response is None else response.code,
                b"" if response is None else response.data,
            )
            for request, response in zip(requests, said, strict=False)
        ]

    def register(
        self, identification: bytes | None, *, et59: bool, mbus_alerts: bool, delta_data_alerts: bool
    ) -> Talk[Place]:
        """Announce this client in ET50."""
        yield from self.ready()
        place = yield from self.place()
        self._place = yield from mep_procedure.register(
            self.connection,
            place,
            identification=identification,
            et59=et59,
            mbus_alerts=mbus_alerts,
            delta_data_alerts=delta_data_alerts,
        )
        self._answered()
        return self._place

    def change_baud(self, baud: int) -> Talk[None]:
        """Another speed of the port."""
        yield from self.ready()
        place = yield from self.place()
        try:
            yield from mep_procedure.change_baud(self.connection, place, baud)
        except InsufficientSecurityClearance as error:
            raise self._which_key(error, self.keys(mep_procedure.ET13, write=True)) from error
        # The port follows its machine while it waits, and the meter once its answer is out.
        yield Pause(BAUD_S)


def _may_pass(error: OsgpError) -> bool:
    """Whether it may be over in a while: silence, damage."""
    return error.code.startswith("line.") or error.code in (
        "mep.digest",
        "mep.too_long",
        "mep.tls_answer",
        "mep.tls_alert",
    )


def _stopped(error: OsgpError, table: int) -> OsgpError:
    """A meter that has answered and does not any more."""
    return TransportError(
        "meter.stopped",
        f"the meter stopped answering while {table_name(table)} was read: {error.message}",
        "what was read until then is kept; at generations 2 and 3 somebody may be at the optical port, which silences MEP for as "
        "long: try again later",
        **{**error.fields, "table": table, "cause": error.code},
    )
