"""Ways into a meter: what the tasks ask for, and the optical port's answer to it. That of the MEP port is `mep`.

A read that the line has spoilt is asked again, in a new session where the old one is over: reading twice does no harm.
A write is sent once; whoever asked for it finds out what became of it. A procedure is executed at most once: its
sequence number is looked for in the response table before anything is sent again.
"""

from __future__ import annotations

from typing import Final, Protocol

from ..catalog import TABLES
from ..catalog.named import NAMED_TABLES
from ..errors import OsgpError, RemoteProtocolError, SecurityError, TransportError
from ..image import PENDING, table_name
from ..session import Data, Logon, Negotiate, Read, Request, Security, State, Write, dialogue, procedure
from ..session.policy import DOS_HOLD_OFF_S, SESSION_S, Policy
from ..session.procedure import BT07, BT08, Attempt, Result, Verdict
from ..session.refusals import (
    GeneralError,
    InsufficientSecurityClearance,
    InvalidServiceSequenceState,
    OperationNotPossible,
    Refused,
    Renegotiate,
)
from ..transport import Line
from .parts import Parts
from .password import Password
from .talk import Pause, Talk

#: A message takes at most so long on the line: an interrupt, a lost session or a torn read costs no more than that, and the
#: bytes around a message are still less than one in a hundred.
MESSAGE_S: Final = 5.0
#: How often a read is asked again: busy, not ready, locked; a wrong checksum; in a new session.
LATER_TRIES: Final = 5
#: Pauses between them grow from a second to this, which a session lives through.
LATER_S: Final = 3.0
CHECKSUM_TRIES: Final = 3
NEW_SESSIONS: Final = 2
#: A response may take a second (MEP guide p. 52).
POLL_S: Final = 0.5
#: So long the response table is looked at before a procedure counts as not executed.
SETTLE_S: Final = 2.5
#: A meter ends a session after the channel traffic time-out without a packet; so much earlier it counts as ended.
IDLE_MARGIN_S: Final = 1.0


class Access(Protocol):
    """What tasks need of a session, whatever the protocol. Methods that talk to the meter are dialogues."""

    sessions: int
    """How many sessions there were: what is kept of a session is kept until it changes."""

    @property
    def most_read(self) -> int:
        """How many bytes are asked for at once."""

    @property
    def received(self) -> int:
        """Bytes that came on the line so far."""

    def ready(self) -> Talk[None]:
        """Be logged on, and for long enough that a request fits in."""

    def read(self, table: int, offset: int | None = None, count: int | None = None) -> Talk[Data]:
        """Read a table whole (no offset), or ``count`` bytes from ``offset`` on in as few requests as fit."""

    def write(self, table: int, data: bytes, offset: int | None = None, ped: bytes = b"") -> Talk[None]:
        """Write a table, once."""

    def procedure(self, number: int, parameters: bytes, *, wait_s: float, final: bool) -> Talk[Result]:
        """Execute a procedure once; ``final``: "not fully completed" is its own result and not waited for."""

    def keys(self, table: int, *, write: bool = False) -> str:
        """The keys that may read (or write) a table on this port, by the catalogue; empty where it says nothing."""

    def farewell(self) -> Talk[None]:
        """End the session."""


class Optical(Parts):
    """C12.18 on the optical port."""

    def __init__(
        self,
        line: Line,
        *,
        password: Password | None,
        user: bytes,
        user_id: int,
        bauds: tuple[int, ...],
        max_session_s: float = SESSION_S,
    ) -> None:
        self.line = line
        self.sessions = 0
        self._password = password
        self._user, self._user_id = user, user_id
        self._negotiate = Negotiate(bauds=bauds)
        self._policy = Policy(session_s=max_session_s)
        self._since = 0.0
        self._numbers: procedure.Sequence | None = None

    def __repr__(self) -> str:
        return f"<Optical {self.line.port.name} {self.line.connection.state.value}>"

    @property
    def most_read(self) -> int:
        """How many bytes are asked for at once."""
        connection = self.line.connection
        return max(1, min(connection.max_read, int(MESSAGE_S * connection.baud / 10)))

    @property
    def received(self) -> int:
        """Bytes that came on the line so far."""
        return self.line.connection.counts.bytes_received

    # ---- the session

    def ready(self) -> Talk[None]:
        """Be logged on, and for long enough that a request fits in."""
        connection, now = self.line.connection, self.line.clock()
        if connection.state is State.SESSION:
            if now - (connection.heard_at or 0.0) >= connection.timing.traffic_s - IDLE_MARGIN_S:
                # The meter has ended the session by itself, so nobody has to wait for it to notice.
                connection.close(now - connection.timing.rest_s)
            elif not self._policy.must_log_off(self._since, now):
                return
            else:
                yield from self.farewell()
        tries = 0
        while True:
            try:
                return (yield from self._log_on())
            except (InvalidServiceSequenceState, Renegotiate):
                tries += 1
                if tries > NEW_SESSIONS:
                    raise
                yield from self.farewell()
            except OsgpError as error:
                tries += 1
                # A meter that has identified itself will do so again; one that has not was asked often enough.
                if not _spoilt(error) or _nobody(error) or tries > NEW_SESSIONS:
                    raise

    def _log_on(self) -> Talk[None]:
        try:
            yield from dialogue.connect(self._negotiate)
        except (InvalidServiceSequenceState, Renegotiate):
            raise
        except Refused as error:
            raise _held_off(error) from error
        yield from self._patiently(Logon(self._user_id, self._user))
        if self._password is not None:
            try:
                yield from self._patiently(Security(self._password.secret))
            except (GeneralError, InsufficientSecurityClearance) as error:
                raise _wrong_password(error, self._password) from error
        self._since = self.line.clock()
        self.sessions += 1

    def _patiently(self, request: Request) -> Talk[None]:
        """A request of the log-on, again where the meter says later."""
        for again in range(LATER_TRIES + 1):
            try:
                yield request
                return
            except Refused as error:
                if not error.transient or again == LATER_TRIES:
                    raise
                yield Pause(min(1 + again, LATER_S))

    def farewell(self) -> Talk[None]:
        """Log off and terminate, as far as the session got; a line that fails meanwhile has ended it, too."""
        try:
            yield from dialogue.hang_up(self.line.connection)
        except Refused:
            if self.line.connection.state is not State.BASE:
                self.line.connection.close(self.line.clock())
        except OsgpError as error:
            if not _spoilt(error):
                raise

    # ---- reading

    def _read(self, table: int, offset: int | None, count: int | None) -> Talk[Data]:
        later = checksums = sessions = 0
        while True:
            try:
                yield from self.ready()
                answer = yield Read(table, offset, count)
                assert isinstance(answer, Data)
                return answer
            except (InvalidServiceSequenceState, Renegotiate):
                # The meter has ended the session, or wants another one.
                sessions += 1
                if sessions > NEW_SESSIONS:
                    raise
                yield from self.farewell()
            except InsufficientSecurityClearance as error:
                raise _which_key(error, self.keys(table)) from error
            except Refused as error:
                later += 1
                if not error.transient or later > LATER_TRIES:
                    raise
                yield Pause(min(later, LATER_S))
            except OsgpError as error:
                if error.code == "session.checksum":
                    checksums += 1
                    if checksums > CHECKSUM_TRIES:
                        raise
                    continue
                if not _spoilt(error):
                    raise
                sessions += 1
                if sessions > NEW_SESSIONS or _nobody(error):
                    raise self._stopped(error, table) from error

    def keys(self, table: int, *, write: bool = False) -> str:
        """The keys of the optical port, else of the MEP port, that may read or write a table."""
        id = table_name(table & ~PENDING)
        described, named = TABLES.get(id), NAMED_TABLES.get(id)
        if described is not None:
            optical, mep = (
                (described.optical_write, described.write) if write else (described.optical_read, described.read)
            )
        elif named is not None:
            optical, mep = ("", named.write) if write else (named.optical_read, named.read)
        else:
            return ""
        return optical or (f"{mep} (of the MEP port; the guides do not say which of MK, PK, RK)" if mep else "")

    def _stopped(self, error: OsgpError, table: int) -> OsgpError:
        """A meter that has answered and does not any more."""
        if not self.sessions:
            return error
        return TransportError(
            "meter.stopped",
            f"the meter stopped answering while {table_name(table)} was read: {error.message}",
            "what was read until then is kept; check the head's position and try again; a meter that protects its MEP client "
            f"takes no session for {DOS_HOLD_OFF_S} s",
            **{**error.fields, "table": table, "cause": error.code},
        )

    # ---- writing

    def write(self, table: int, data: bytes, offset: int | None = None, ped: bytes = b"") -> Talk[None]:
        """Write a table, whole where it fits one message, else in parts; each part until it was not refused, once."""
        yield from self.ready()
        if offset is None and len(data) + len(ped) <= self.line.connection.max_write:
            return (yield from self._write(Write(table, data, None, ped)))
        done = 0
        while done < len(data):
            yield from self.ready()
            most = max(self.line.connection.max_write - len(ped), 1)
            yield from self._write(Write(table, data[done : done + most], (offset or 0) + done, ped))
            done += most

    def _write(self, request: Write) -> Talk[None]:
        """A write; again only where the meter says that it has not done it, since its session was another one."""
        for again in range(NEW_SESSIONS + 1):
            try:
                yield request
                return
            except InsufficientSecurityClearance as error:
                raise _which_key(error, self.keys(request.table, write=True)) from error
            except (InvalidServiceSequenceState, Renegotiate):
                if again == NEW_SESSIONS:
                    raise
                yield from self.farewell()
                yield from self.ready()

    # ---- procedures

    def procedure(self, number: int, parameters: bytes, *, wait_s: float, final: bool) -> Talk[Result]:
        """Execute a procedure once and wait for its result. Source: MEP guide pp. 51-53."""
        before = yield from self._response()
        if self._numbers is None:
            self._numbers = procedure.Sequence(last=None if before is None else before.sequence)
        numbers = self._numbers
        if numbers.under_way is not None:
            numbers.finish()  # of one that ended in an error, which was told
        attempt = numbers.start(number, parameters)
        if before is not None and attempt.initiate.sequence == before.sequence:
            numbers.finish()
            attempt = numbers.start(number, parameters)
        try:
            yield from self._initiate(attempt, before)
            return (yield from self._result(attempt, wait_s, final))
        finally:
            numbers.finish()

    def _response(self) -> Talk[Result | None]:
        """The response table; None where it holds nothing."""
        data = yield from self._read(BT08, None, None)
        try:
            return procedure.parse_result(data.data)
        except RemoteProtocolError:
            return None

    def _initiate(self, attempt: Attempt, before: Result | None) -> Talk[None]:
        """Write BT07 until it is known that it arrived."""
        name = procedure.procedure_name(attempt.initiate.number)
        data = attempt.initiate.emit()
        for _ in range(NEW_SESSIONS + 1):
            yield from self.ready()
            attempt.written += 1
            try:
                yield Write(BT07, data)
                return
            except InsufficientSecurityClearance as error:
                raise _which_key(error, "") from error
            except OperationNotPossible as error:
                if attempt.refused_as_repeated(error.fields["number"]):
                    return
                raise
            except (InvalidServiceSequenceState, Renegotiate):
                yield from self.farewell()  # refused, so not executed
            except Refused as error:
                if not error.transient:
                    raise
                yield Pause(1.0)
            except OsgpError as error:
                if not _spoilt(error):
                    raise
                # A new session forgets the number before it, so the meter cannot be relied on to refuse a second one:
                # only a response table that stands as it stood says that nothing was executed.
                now = yield from self._settled(attempt)
                if attempt.verdict(now) is not Verdict.UNKNOWN if now is not None else False:
                    return
                if now != before:
                    raise _unknown(name, error) from error
        raise TransportError(
            "meter.procedure_failed",
            f"{name} could not be given to the meter in {attempt.written} tries; it was not executed",
            "check the head's position and try again",
            procedure=attempt.initiate.number,
        )

    def _settled(self, attempt: Attempt) -> Talk[Result | None]:
        """What the response table says once nothing more is to come."""
        until = self.line.clock() + SETTLE_S
        while True:
            now = yield from self._response()
            if self.line.clock() >= until or (now is not None and attempt.verdict(now) is not Verdict.UNKNOWN):
                return now
            yield Pause(POLL_S)

    def _result(self, attempt: Attempt, wait_s: float, final: bool) -> Talk[Result]:
        """Read the response table until it is ours and final, or the time is up."""
        until = self.line.clock() + wait_s
        while True:
            found = yield from self._response()
            verdict = Verdict.UNKNOWN if found is None else attempt.verdict(found)
            if found is not None and verdict is not Verdict.UNKNOWN and (verdict is not Verdict.RUNNING or final):
                return found
            if self.line.clock() >= until:
                if found is not None and verdict is Verdict.RUNNING:
                    return found
                name = procedure.procedure_name(attempt.initiate.number)
                raise TransportError(
                    "meter.procedure_unknown",
                    f"{name} was accepted, and after {wait_s:g} s BT08 still shows another procedure's result",
                    "wait longer (wait_s), or look at what it was to change before it is called again",
                    procedure=attempt.initiate.number,
                )
            yield Pause(POLL_S)


def _spoilt(error: OsgpError) -> bool:
    """Whether a session failed on its line, so that another one may do."""
    return error.code.startswith(("line.", "session.")) and not error.code.startswith("session.argument")


def _nobody(error: OsgpError) -> bool:
    """Whether there was no answer to the first packet of a session, which was sent several times."""
    return error.fields.get("request") == "Identify"


def _which_key(error: InsufficientSecurityClearance, keys: str) -> InsufficientSecurityClearance:
    """The refusal, with the keys that the catalogue names."""
    if not keys:
        return error
    hint = f"log on with one of these keys: {keys}; if the unique key (MK) does not do either, the hardware lock forbids it"
    return InsufficientSecurityClearance(error.code, error.message, hint, **{**error.fields, "keys": keys})


def _held_off(error: Refused) -> OsgpError:
    return RemoteProtocolError(
        "meter.held_off",
        f"the meter takes no session now: it answers {error.fields['name']} ({error.fields['number']:02X})",
        f"wait and try again: it may hold the optical port off for {DOS_HOLD_OFF_S} s after a long session, for minutes after "
        "wrong passwords, or have it disabled",
        number=error.fields["number"],
    )


def _wrong_password(error: Refused, password: Password) -> OsgpError:
    return SecurityError(
        "meter.password",
        f"the meter does not accept the password, which was taken as {password.form}: {error.fields['name']} "
        f"({error.fields['number']:02X})",
        error.hint,
        number=error.fields["number"],
        form=password.form,
    )


def _unknown(name: str, error: OsgpError) -> OsgpError:
    return TransportError(
        "meter.procedure_unknown",
        f"the line failed while {name} was given to the meter, and BT08 shows another procedure's result since: "
        f"{error.message}",
        "look at what it was to change before it is called again",
        cause=error.code,
    )
