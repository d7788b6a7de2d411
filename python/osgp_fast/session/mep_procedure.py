"""What a MEP client does in several requests, as dialogues: writes, procedures and transactions that happen once.

::

    place = line.run(where(connection))                          # which port, which tables: `Place`
    line.run(register(connection, place))                        # ET50: the meter discovers the client
    procedures = Procedures(connection, place.response)
    result = line.run(procedures.call(2048 + 17, parameters))    # BT07, then BT08, ET59 or ET85
    response = line.run(transact(connection, request, lock=procedures if place.multiple else None))

Each finds out for itself what became of a write whose answer was lost (`OutcomeUnknown`), and raises that only where it
cannot: a write is read back, a procedure is looked for in the response table by its number and sequence number, a
transaction in ET53 by its number. Source: MEP guide pp. 17, 21-25, 43-53, 247.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Final

from ..errors import LocalProtocolError, OsgpError, RemoteProtocolError
from ..image import EXTENDED
from .dialogue import Client, Dialogue, read
from .events import Data, Read, Write
from .mep import MepConnection
from .mep_events import OutcomeUnknown
from .procedure import (
    BT07,
    BT08,
    ET59,
    ET85,
    HEAD,
    MEP_NUMBERS,
    Attempt,
    Result,
    Sequence,
    Verdict,
    parse_result,
    procedure_name,
)
from .refusals import InappropriateActionRequested, OperationNotPossible

ET11: Final = EXTENDED + 11
ET13: Final = EXTENDED + 13
ET50: Final = EXTENDED + 50
ET52: Final = EXTENDED + 52
ET53: Final = EXTENDED + 53
ET54: Final = EXTENDED + 54
ET70: Final = EXTENDED + 70
EP61: Final = EXTENDED + 61
#: How often a write is said whose answers are lost, each time after it was found not to be done.
WRITES: Final = 4
#: How often a response table is looked at: at one request in 100 ms more than the second it may take (MEP guide p. 52).
POLLS: Final = 13
#: Bytes of a response table: the head, the result code, and BT00.10 of response (12 as delivered, MEP guide p. 197).
RESPONSE: Final = HEAD + 1 + 12
#: ET52 of a meter before 3.50, which every later one exceeds (errata ET52); ET11.7 tells it.
LEAST_CAPACITY: Final = 769
#: Bytes around the records of a transaction: size, type and number before, number behind.
TRANSACTION_HEAD: Final = 5
TRANSACTION_TAIL: Final = 2
#: Bytes of one element of ET50 before and after its sources, and of each source (errata ET50).
_CLIENT_SIZE: Final = 35
_SOURCE_SIZE: Final = 6
_FLAGS: Final = 30
_IDENTIFICATION: Final = 30
#: The first MEP client in ET13 stands behind four M-Bus devices (MEP guide pp. 23, 80), its speed at this offset.
_MBUS_DEVICES: Final = 4
_BAUD_AT: Final = 6
_ALERTS_AT: Final = 8
#: ET13's codes of speeds (MEP guide p. 81).
BAUDS: Final = {
    300: 1,
    600: 2,
    1200: 3,
    2400: 4,
    4800: 5,
    9600: 6,
    14400: 7,
    19200: 8,
    28800: 9,
    38400: 10,
    57600: 11,
    115200: 12,
}


# ---- writes


def write(connection: Client, table: int, data: bytes, offset: int = 0) -> Dialogue[None]:
    """Write some bytes of a table in as many partial writes as they take; a write whose answer is lost is read back.

    For tables that keep what is written to them; for others use `dialogue.write`, which leaves the doubt to the caller.
    Raises: OutcomeUnknown where reading back does not tell, for one because the meter took the write and holds others.
    """
    most = max(connection.max_write, 1)
    for start in range(0, len(data), most):
        yield from _piece(connection, Write(table, data[start : start + most], offset + start))


def _piece(connection: Client, piece: Write) -> Dialogue[None]:
    for again in range(WRITES):
        try:
            yield piece
            return
        except OutcomeUnknown as unknown:
            try:
                back = yield from read(connection, piece.table, piece.offset or 0, len(piece.data))
            except OsgpError as error:
                raise unknown from error
            if back.data == piece.data:
                return
            if unknown.accepted or again == WRITES - 1:
                raise


# ---- where we are


@dataclass(frozen=True, slots=True)
class Place:
    """Which of the meter's MEP clients this one is, and what follows from it (MEP guide pp. 21-24)."""

    client: int = 1
    """1 or 2, by ET70.142."""
    multiple: bool = False
    """Both MEP ports are in use (ET54.0.8): tables are shared, and transactions have to be locked."""
    et59: bool = False
    """Responses of client 1's procedures are in ET59 (ET50.30.1)."""
    sources: int = 6
    """Data sources of ET50 (ET11.22)."""
    device_size: int = 66
    """Bytes of a device in ET13 (ET11.1)."""
    capacity: int = LEAST_CAPACITY
    """Bytes of ET52 (ET11.7)."""

    @property
    def response(self) -> int:
        """The table with the responses of procedures (MEP guide pp. 24, 51)."""
        if self.client == 2:
            return ET85
        return ET59 if self.et59 else BT08

    @property
    def et50(self) -> int:
        """Where this client's element of ET50 starts."""
        return (self.client - 1) * (_CLIENT_SIZE + _SOURCE_SIZE * self.sources)

    @property
    def et13(self) -> int:
        """Where this client's element of ET13 starts."""
        return (_MBUS_DEVICES + self.client - 1) * self.device_size


def where(connection: Client) -> Dialogue[Place]:
    """Find out which client we are. What a meter does not have (before firmware 4.0) counts as one port."""
    dimensions = yield from _field(connection, ET11, 0, 23)
    client = 2 if (yield from _field(connection, ET70, 142, 1))[0] == 2 else 1
    multiple = client == 2 or bool((yield from _field(connection, ET54, 0, 2))[1] & 1)
    place = Place(client, multiple)
    if any(dimensions):
        capacity = int.from_bytes(dimensions[7:9], "little")
        place = Place(client, multiple, False, dimensions[22], dimensions[1], capacity)
    flags = yield from _field(connection, ET50, place.et50 + _FLAGS, 1)
    return Place(client, multiple, bool(flags[0] & 2), place.sources, place.device_size, place.capacity)


def _field(connection: Client, table: int, offset: int, count: int) -> Dialogue[bytes]:
    """Some bytes, zeros where the meter has none."""
    try:
        data = (yield from read(connection, table, offset, count)).data
    except (InappropriateActionRequested, OperationNotPossible):
        data = b""
    return data.ljust(count, b"\0")


def register(
    connection: Client,
    place: Place,
    *,
    identification: bytes | None = None,
    et59: bool = False,
    mbus_alerts: bool = False,
    delta_data_alerts: bool = False,
) -> Dialogue[Place]:
    """Register this client in ET50, whereupon the meter discovers it (MEP guide pp. 17, 22). To read alone needs none.

    ``identification``: the 30 bytes of ET50's identification string; None leaves them. ``et59``: responses of procedures
    go to ET59. Gives the place as it is then. EP17 removes a client.
    """
    if identification is not None:
        if len(identification) != _IDENTIFICATION:
            raise LocalProtocolError(
                "session.argument",
                f"an identification of {len(identification)} bytes; ET50 has {_IDENTIFICATION}",
                got=len(identification),
                expected=_IDENTIFICATION,
            )
        yield from write(connection, ET50, identification, place.et50)
    flags = 1 | et59 << 1 | mbus_alerts << 2 | delta_data_alerts << 3
    yield from write(connection, ET50, bytes((flags,)), place.et50 + _FLAGS)
    return Place(place.client, place.multiple, et59, place.sources, place.device_size, place.capacity)


def alert_flags(connection: Client, place: Place) -> Dialogue[int]:
    """ET13's alert flags of this client: why the meter has raised its alert (MEP guide pp. 18, 82); bit 0 the lowest."""
    return (yield from _field(connection, ET13, place.et13 + _ALERTS_AT, 1))[0]


def change_baud(connection: MepConnection, place: Place, baud: int) -> Dialogue[None]:
    """Another speed of the port: ET13 is written, and the connection follows (MEP guide p. 20). Needs the advanced key."""
    if baud not in BAUDS:
        known = ", ".join(str(rate) for rate in BAUDS)
        raise LocalProtocolError("session.argument", f"{baud} bit/s is no speed of ET13: {known}", got=baud)
    yield Write(ET13, bytes((BAUDS[baud],)), place.et13 + _BAUD_AT)
    connection.baud = baud


# ---- procedures


class Procedures:
    """Calls procedures on one port, each at most once. ``response`` is the table with their responses: `Place.response`."""

    def __init__(self, connection: Client, response: int = BT08) -> None:
        self.connection = connection
        self.response = response
        self._sequence = Sequence(MEP_NUMBERS)
        self._seen: Result | None = None
        """What the response table is known to show; None: not known."""

    def call(self, number: int, parameters: bytes = b"", *, final: bool = True) -> Dialogue[Result]:
        """Execute a procedure and give its result, whatever it says; ``number`` 0..4095, EPnn = 2048 + nn.

        ``final`` False: poll while it says "not fully completed", for procedures whose page says that it is not the end.
        Raises: OutcomeUnknown where the response table does not tell either; `Refused`.
        """
        if self._seen is None:
            yield from self._result()
        attempt = self._start(number, parameters)
        try:
            try:
                result = yield from self._execute(attempt)
            except OperationNotPossible:
                # Perhaps an earlier program used this number last; nothing was executed, so another one may be tried.
                if attempt.written > 1:
                    raise
                self._sequence.finish()
                attempt = self._start(number, parameters)
                result = yield from self._execute(attempt)
        except OsgpError:
            self._seen = None
            raise
        finally:
            self._sequence.finish()
        for _ in range(POLLS):
            if final or attempt.verdict(result) is not Verdict.RUNNING:
                break
            result = yield from self._result()
        return result

    def _start(self, number: int, parameters: bytes) -> Attempt:
        """Never with the number that the response table shows, or an old response would be taken for ours."""
        attempt = self._sequence.start(number, parameters)
        if self._seen is not None and attempt.initiate.sequence == self._seen.sequence:
            self._sequence.finish()
            attempt = self._sequence.start(number, parameters)
        return attempt

    def _execute(self, attempt: Attempt) -> Dialogue[Result]:
        doubt: OutcomeUnknown | None = None
        name = procedure_name(attempt.initiate.number)
        before = self._seen
        for _ in range(WRITES):
            attempt.written += 1
            try:
                yield Write(BT07, attempt.initiate.emit())
                written = True
            except OutcomeUnknown as unknown:
                doubt = unknown
                written = bool(unknown.accepted)
            except OperationNotPossible as error:
                if not attempt.refused_as_repeated(error.fields["number"]):
                    raise
                written = True
            try:
                result = yield from self._response(attempt)
            except OsgpError as error:
                raise (doubt or _no_response(name, self.response)) from error
            if result is not None:
                return result
            # Where somebody else's response has come since, ours may have been there before it, and the meter may have
            # forgotten our number.
            if written or self._seen != before:
                raise doubt or _no_response(name, self.response)
        raise doubt or _no_response(name, self.response)

    def _response(self, attempt: Attempt) -> Dialogue[Result | None]:
        for _ in range(POLLS):
            result = yield from self._result()
            if attempt.verdict(result) is not Verdict.UNKNOWN:
                return result
        return None

    def _result(self) -> Dialogue[Result]:
        answer = yield Read(self.response, 0, RESPONSE)
        assert isinstance(answer, Data)
        self._seen = parse_result(answer.data)
        return self._seen


def _no_response(name: str, table: int) -> OutcomeUnknown:
    return OutcomeUnknown(
        "mep.outcome_unknown",
        f"{name} was written to BT07, and its response does not appear in the response table",
        "check that the response table is this client's: BT08, ET59 (ET50.30.1) or, for client 2, ET85",
        table=table,
        accepted=None,
        cause="procedure",
    )


# ---- transactions


def transact(
    connection: Client, request: bytes, *, capacity: int = LEAST_CAPACITY, lock: Procedures | None = None
) -> Dialogue[bytes]:
    """Have a transaction executed once: write ET52, from its first byte to its last, and read what ET53 says.

    ``request`` is what `codec.transactions.build_requests` makes; no step of it may be one that must not happen twice, for
    the meter does it again after a power failure (MEP guide p. 43). ``capacity`` is ET52's size (`Place.capacity`);
    ``lock`` keeps the other client of a meter with two ports away (EP61). Gives ET53's bytes for
    `parse_transaction`; its type 2 says that not all responses fitted, 4 that the meter is of none of the groups.

    Raises: LocalProtocolError "mep.transaction" where the bytes are none, "mep.transaction_size" where ET52 does not hold
    them, "mep.transaction_number" where ET53 shows that number; RemoteProtocolError "mep.transaction_locked",
    "mep.transaction_overwritten"; OutcomeUnknown.
    """
    number = _check(request, capacity)
    if lock is not None:
        result = yield from lock.call(EP61, b"\1")
        if result.code:
            raise RemoteProtocolError(
                "mep.transaction_locked",
                f"the transaction tables cannot be locked: {result.name}",
                "the other MEP client has them; it has to give them back within 10 seconds: try again then",
                got=result.code,
            )
    try:
        response = yield from _transact(connection, request, number)
    except OsgpError:
        if lock is not None:
            yield from _unlock(lock)
        raise
    if lock is not None:
        yield from _unlock(lock)
    return response


def _unlock(lock: Procedures) -> Dialogue[None]:
    """Where it fails the meter unlocks them by itself, after 10 seconds."""
    with contextlib.suppress(OsgpError):
        yield from lock.call(EP61, b"\0")


def _check(request: bytes, capacity: int) -> int:
    number = request[3:5]
    if (
        len(request) < TRANSACTION_HEAD + TRANSACTION_TAIL
        or int.from_bytes(request[:2], "little") != len(request)
        or request[-TRANSACTION_TAIL:] != number
    ):
        raise LocalProtocolError(
            "mep.transaction",
            f"{len(request)} bytes that are no transaction: size, type, number, records and the number again",
            "make it with codec.transactions.build_requests",
        )
    if len(request) > capacity:
        raise LocalProtocolError(
            "mep.transaction_size",
            f"a transaction of {len(request)} bytes; ET52 holds {capacity}",
            "make it several transactions; ET11.7 says how many bytes fit",
            got=len(request),
            expected=capacity,
        )
    return int.from_bytes(number, "little")


def _transact(connection: Client, request: bytes, number: int) -> Dialogue[bytes]:
    head = yield from _head(connection)
    if head[2] == number and head[1]:
        raise LocalProtocolError(
            "mep.transaction_number",
            f"ET53 holds the responses to a transaction {number} already, so those to this one could not be told from them",
            "take another number; the next one will do",
            got=number,
        )
    most = max(connection.max_write, 1)
    pieces = [Write(ET52, request[start : start + most], start) for start in range(0, len(request), most)]
    for piece in pieces[:-1]:
        yield from _early(piece)
    doubt: OutcomeUnknown | None = None
    for _ in range(WRITES):
        # The last piece starts it. A meter does not execute the same one twice in a row (MEP guide p. 50), and one that
        # did not come to it wants it again.
        try:
            yield pieces[-1]
        except OutcomeUnknown as unknown:
            doubt = unknown
        try:
            size, type, found = yield from _done(connection, number)
        except OsgpError as error:
            raise (doubt or _not_executed(number)) from error
        if found != number and found != head[2]:
            # Ours may have been executed before it, and would be executed again.
            raise doubt or _not_executed(number)
        if found != number or not type:
            continue
        data = (yield from read(connection, ET53, 0, size)).data
        if data[3:5] == data[-TRANSACTION_TAIL:] == number.to_bytes(2, "little"):
            return data
        raise RemoteProtocolError(
            "mep.transaction_overwritten",
            f"ET53 changed while the responses to transaction {number} were read",
            "another client's transaction came between: lock the tables (EP61) on a meter with two MEP ports",
            got=int.from_bytes(data[3:5], "little"),
            expected=number,
        )
    raise doubt or _not_executed(number)


def _early(piece: Write) -> Dialogue[None]:
    """A piece before the last, which starts nothing: as often as it takes."""
    for again in range(WRITES):
        try:
            yield piece
            return
        except OutcomeUnknown:
            if again == WRITES - 1:
                raise


def _head(connection: Client) -> Dialogue[tuple[int, int, int]]:
    """ET53's size, type and number; zeros where there was no transaction yet."""
    try:
        data = (yield from read(connection, ET53, 0, TRANSACTION_HEAD)).data.ljust(TRANSACTION_HEAD, b"\0")
    except OperationNotPossible:
        data = bytes(TRANSACTION_HEAD)
    return int.from_bytes(data[:2], "little"), data[2], int.from_bytes(data[3:5], "little")


def _done(connection: Client, number: int) -> Dialogue[tuple[int, int, int]]:
    """ET53's head, as soon as it is that of our transaction."""
    head = yield from _head(connection)
    for _ in range(POLLS):
        if head[2] == number and head[1] and head[0] >= TRANSACTION_HEAD + TRANSACTION_TAIL:
            break
        head = yield from _head(connection)
    return head


def _not_executed(number: int) -> OutcomeUnknown:
    return OutcomeUnknown(
        "mep.outcome_unknown",
        f"transaction {number} was written to ET52, and ET53 does not show its responses",
        "write it again with the same number and data: the meter executes it once",
        table=ET52,
        accepted=None,
        cause="transaction",
    )
