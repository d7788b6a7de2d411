"""The tasks that write, each only by its own explicit call: a table, a pending table, a procedure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from ..catalog import PROCEDURES, TABLES, Table
from ..codec import decode, encode_table
from ..errors import OsgpError, RemoteProtocolError, TransportError, UsageError
from ..image import EXTENDED, PED, PENDING, table_name
from ..layout import MissingDimension, resolve
from ..session import procedure as protocol
from ..session.refusals import Refused
from .store import Store, number_of, sized_by_itself
from .talk import Talk
from .values import Pending, ProcedureResult

#: Codes of a PED: at an absolute time; by a procedure only (Optical guide p. 10).
_AT: Final = 0
_BY_PROCEDURE: Final = 2
_SELF_READ: Final = 1 << 4
_DEMAND_RESET: Final = 1 << 5


def encoded(store: Store, number: int, data: bytes | Mapping[str, Any]) -> Talk[bytes]:
    """The bytes of a table: as they are, or from the tree of its values. Raises: TableError, UsageError."""
    if not isinstance(data, Mapping):
        return bytes(data)
    id = table_name(number & ~PENDING)
    if id not in TABLES:
        raise UsageError("usage.table", f"the guides describe no table {id}", "write it as bytes", table=number)
    size: int | None = None
    if sized_by_itself(id):
        size = store.sizes.get(id)
        if size is None:
            size = len((yield from store.whole(number & ~PENDING)).data)
    asked: set[str] = set()
    while True:
        try:
            return encode_table(TABLES[id], data, store.tables(), size=size)
        except MissingDimension as error:
            if error.table in asked or error.table == id:
                raise UsageError(
                    "meter.size",
                    f"{id} cannot be laid out without {error.table}, which the meter did not give",
                    "write it as bytes",
                    table=number,
                ) from error
            asked.add(error.table)
            yield from store.dimension(error.table)


def writable(table: int | str) -> int:
    """The number of a table that is written as one. Raises: UsageError "usage.table"."""
    number = number_of(table)
    if number & ~PENDING in (protocol.BT07,):
        raise UsageError("usage.table", "BT07 is not written as a table", "call procedure(), which does nothing twice")
    return number


def write(
    store: Store, table: int | str, data: bytes | Mapping[str, Any], offset: int | None, verify: bool, ped: bytes = b""
) -> Talk[None]:
    """Write once; the read-back tells whether it arrived, also where the line failed."""
    number = writable(table)
    if isinstance(data, Mapping) and offset is not None:
        raise UsageError("usage.table", "a tree of values is a whole table", "leave offset out, or give bytes")
    body = yield from encoded(store, number, data)
    failed: OsgpError | None = None
    try:
        yield from store.access.write(number, body, offset, ped)
    except Refused:
        raise
    except (TransportError, RemoteProtocolError) as error:
        if not error.code.startswith(("line.", "session.")) and error.code != "mep.outcome_unknown":
            raise
        failed = error
    id = table_name(number & ~PENDING)
    store.held.pop(id, None)
    store.forget_layouts()
    if not verify and failed is None:
        return
    try:
        found = yield from store.access.read(number, offset or 0, len(body))
    except OsgpError as error:
        raise failed or error from error
    if found.data == body and (not ped or found.ped == ped):
        return
    if failed is not None:
        raise TransportError(
            "meter.not_written",
            f"the line failed while {table_name(number)} was written, and it does not hold all of it: {failed.message}",
            "look at what it holds now, then write it again",
            table=number,
            cause=failed.code,
        ) from failed
    raise RemoteProtocolError(
        "meter.not_written",
        f"{table_name(number)} was written, and {_differences(found.data, body)} of its {len(body)} bytes read back differ",
        "some fields are the meter's own, or the hardware lock keeps them: write only the bytes that are to change (offset)",
        table=number,
    )


def _differences(found: bytes, wanted: bytes) -> int:
    return sum(a != b for a, b in zip(found, wanted, strict=False)) + abs(len(found) - len(wanted))


# ---- pending tables


def pending(store: Store, table: int | str) -> Talk[Pending]:
    """A pending table with its event."""
    number = number_of(table) | PENDING
    image = yield from store.whole(number)
    ped = bytes(image.ped or b"")
    code = ped[0] & 0x0F if ped else None
    at: datetime | None = None
    if code == _AT and len(ped) == PED and any(ped[1:]):
        try:
            at = datetime(2000 + ped[1], *ped[2:6], tzinfo=UTC)  # type: ignore[misc]
        except ValueError:
            at = None
    event = (
        {
            "event": {
                "code": code,
                "self_read": bool(ped[0] & _SELF_READ),
                "demand_reset": bool(ped[0] & _DEMAND_RESET),
            },
            "storage": ped[1:],
        }
        if len(ped) == PED
        else {}
    )
    return Pending(table_name(number & ~PENDING), bytes(image.data), ped, event, at)


def event_bytes(at: datetime | None, ped: bytes | None, self_read: bool, demand_reset: bool) -> bytes:
    """The six bytes of a PED. Raises: UsageError "usage.ped"."""
    if ped is not None:
        if len(ped) != PED or at is not None or self_read or demand_reset:
            raise UsageError("usage.ped", "ped is six bytes, and says everything", "give it alone, or at and the flags")
        return bytes(ped)
    flags = (_SELF_READ if self_read else 0) | (_DEMAND_RESET if demand_reset else 0)
    if at is None:
        return bytes((_BY_PROCEDURE | flags,)) + bytes(5)
    utc = at.astimezone(UTC) if at.tzinfo is not None else at
    if not 2000 <= utc.year <= 2255:
        raise UsageError("usage.ped", f"a meter knows no year {utc.year}", "years go from 2000 to 2255")
    return bytes((_AT | flags, utc.year - 2000, utc.month, utc.day, utc.hour, utc.minute))


# ---- procedures


def procedure_number(procedure: int | str) -> int:
    """The number of a procedure. Raises: UsageError "usage.procedure"."""
    if isinstance(procedure, int):
        if 0 <= procedure <= protocol.MAX_NUMBER:
            return procedure
    else:
        name = procedure.strip().upper()
        if name[:2] in ("BP", "EP") and name[2:].isascii() and name[2:].isdigit():
            number = int(name[2:]) + (EXTENDED if name.startswith("E") else 0)
            if number <= protocol.MAX_NUMBER:
                return number
    raise UsageError("usage.procedure", f"{procedure!r} names no procedure", "procedures are BP12, EP17 or a number")


def procedure(
    store: Store, which: int | str, parameters: bytes | Mapping[str, Any], wait_s: float, check: bool
) -> Talk[ProcedureResult]:
    """Execute a procedure once, and say what it answered."""
    number = procedure_number(which)
    known = PROCEDURES.get(protocol.procedure_name(number))
    if isinstance(parameters, Mapping):
        body = yield from _parameters(store, number, known, parameters)
    else:
        body = bytes(parameters)
    own = known.results if known is not None else {}
    # 1 is waited for, unless the procedure's own page gives it a meaning that will not change.
    final = "poll" not in own.get(protocol.ResultCode.NOT_FULLY_COMPLETED, "poll")
    try:
        found = yield from store.access.procedure(number, body, wait_s=wait_s, final=final)
    except Refused as error:
        if error.code == "refused.isc" and known is not None:
            keys = known.optical_write or known.write
            raise type(error)(
                error.code,
                error.message,
                f"{known.id} may be called with: {keys}; if the unique key (MK) does not do, the hardware lock forbids it",
                **{**error.fields, "keys": keys},
            ) from error
        raise
    values: Mapping[str, Any] = {}
    if known is not None and known.response:
        try:
            values = decode(resolve(_response(known), len(found.data), store.tables()), found.data).values
        except MissingDimension:
            values = {}
    words = own.get(found.code) or found.name
    result = ProcedureResult(found.number, found.sequence, found.code, words, found.data, values)
    if check and not result.completed:
        hint = "the code is the meter's own answer; nothing was done unless it says so"
        if result.code == protocol.ResultCode.NO_AUTHORIZATION and known is not None:
            hint = f"{known.id} may be called with: {known.optical_write or known.write}"
        raise RemoteProtocolError(
            "meter.procedure_failed",
            f"{result.name} answers {result.code}: {words}",
            hint,
            procedure=number,
            result=result.code,
        )
    return result


def _parameters(store: Store, number: int, known: Table | None, values: Mapping[str, Any]) -> Talk[bytes]:
    """The parameters by the rows of the catalogue."""
    if known is None:
        name = protocol.procedure_name(number)
        raise UsageError(
            "usage.procedure", f"the guides do not describe the parameters of {name}", "give them as bytes"
        )
    try:
        return encode_table(known, values, store.tables())
    except MissingDimension as error:
        yield from store.dimension(error.table)
    return encode_table(known, values, store.tables())


def _response(known: Table) -> Table:
    """The response of a procedure as a table."""
    return replace(known, fields=known.response)
