"""What a meter answers when it does not do what was asked: one exception per code, with what to do next.

Source: ANSI C12.18, "Response codes"; the same numbers in the MEP guide p. 12.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar, Final

from ..errors import RemoteProtocolError
from ..image import EXTENDED, table_name
from .events import Identify, Logon, Read, Request, Security, Write


class RefusalCode(IntEnum):
    """The standard's codes, by its own names."""

    ERR = 0x01
    SNS = 0x02
    ISC = 0x03
    ONP = 0x04
    IAR = 0x05
    BSY = 0x06
    DNR = 0x07
    DLK = 0x08
    RNO = 0x09
    ISSS = 0x0A


class Refused(RemoteProtocolError):
    """The meter said no. ``fields``: ``number``, ``name``, ``request``, and ``table``, ``offset``, ``count`` if any."""

    meaning: ClassVar[str] = "a code that the standard does not have"
    advice: ClassVar[str] = "see the meter's documentation; read on without this table"
    transient: ClassVar[bool] = False
    """Whether the same request may succeed a little later."""


class GeneralError(Refused):
    """err 01: refused without a reason."""

    meaning = "error without a reason"
    advice = "check the request; a meter also says so of a damaged table checksum, then ask again"


class ServiceNotSupported(Refused):
    """sns 02: the meter does not know this service."""

    meaning = "service not supported"
    advice = "do without: no negotiation, full instead of partial reads"


class InsufficientSecurityClearance(Refused):
    """isc 03: the key that was given does not permit it, or the hardware lock forbids it (Optical guide p. 13)."""

    meaning = "insufficient security clearance"
    advice = "log on with a key that permits it; if the unique key does not either, the hardware lock forbids it"

    @property
    def table(self) -> int | None:
        """The table that asks for another key."""
        table: int | None = self.fields.get("table")
        return table


class OperationNotPossible(Refused):
    """onp 04: understood, but it cannot be done; also a procedure's sequence number used twice."""

    meaning = "operation not possible"
    advice = "ask for less at a time, or write a procedure with the next sequence number"


class InappropriateActionRequested(Refused):
    """iar 05: the meter has no such table, or not that part of it (Optical guide p. 24)."""

    meaning = "inappropriate action requested"
    advice = "this meter has no such table; firmware before 2.12 has BT20 in place of BT21"


class DeviceBusy(Refused):
    """bsy 06: later."""

    meaning = "device busy"
    advice = "ask again in some seconds"
    transient = True


class DataNotReady(Refused):
    """dnr 07: later."""

    meaning = "data not ready"
    advice = "ask again in some seconds"
    transient = True


class DataLocked(Refused):
    """dlk 08: somebody else is at it."""

    meaning = "data locked"
    advice = "ask again when the other client is done"
    transient = True


class Renegotiate(Refused):
    """rno 09: the meter wants to return to the identified state and negotiate anew."""

    meaning = "renegotiation requested"
    advice = "log off, negotiate and log on again"


class InvalidServiceSequenceState(Refused):
    """isss 0A: not in this state of the session."""

    meaning = "not in this state of the session"
    advice = "the meter takes the session for another one, perhaps an earlier one: terminate, then identify again"


CLASSES: Final[dict[int, type[Refused]]] = {
    RefusalCode.ERR: GeneralError,
    RefusalCode.SNS: ServiceNotSupported,
    RefusalCode.ISC: InsufficientSecurityClearance,
    RefusalCode.ONP: OperationNotPossible,
    RefusalCode.IAR: InappropriateActionRequested,
    RefusalCode.BSY: DeviceBusy,
    RefusalCode.DNR: DataNotReady,
    RefusalCode.DLK: DataLocked,
    RefusalCode.RNO: Renegotiate,
    RefusalCode.ISSS: InvalidServiceSequenceState,
}

#: The stable codes of the exceptions.
CODES: Final[dict[int, str]] = {
    RefusalCode.ERR: "refused.err",
    RefusalCode.SNS: "refused.sns",
    RefusalCode.ISC: "refused.isc",
    RefusalCode.ONP: "refused.onp",
    RefusalCode.IAR: "refused.iar",
    RefusalCode.BSY: "refused.bsy",
    RefusalCode.DNR: "refused.dnr",
    RefusalCode.DLK: "refused.dlk",
    RefusalCode.RNO: "refused.rno",
    RefusalCode.ISSS: "refused.isss",
}

_PASSWORD: Final = (
    "check the password (16 or 20 characters, or hex) and whose key it is; do not try many: firmware 4.30 and later can "
    "close the port for as many minutes as ET55.23 says after ET55.22 failures (both 0, that is off, as delivered; MEP "
    "guide p. 142)"
)


def wanted(request: Request) -> str:
    """What a request wants, in words and without secrets."""
    match request:
        case Read(table, None, _):
            return f"to read {table_name(table)}"
        case Read(table, offset, count):
            return f"to read {count} bytes of {table_name(table)} from offset {offset}"
        case Write(table, data, None):
            return f"to write {len(data)} bytes to {table_name(table)}"
        case Write(table, data, offset):
            return f"to write {len(data)} bytes to {table_name(table)} at offset {offset}"
        case Security():
            return "the password"
        case Identify():
            return "to identify itself"
        case Logon():
            return "the log-on"
        case _:
            return f"the service {type(request).__name__.lower()}"


def refusal(code: int, request: Request) -> Refused:
    """The exception for a code other than ok."""
    kind = CLASSES.get(code, Refused)
    name = RefusalCode(code).name.lower() if code in CLASSES else "unknown"
    fields: dict[str, object] = {"number": code, "name": name, "request": type(request).__name__}
    advice = kind.advice
    if isinstance(request, Read | Write):
        fields |= {"table": request.table, "offset": request.offset, "write": isinstance(request, Write)}
        fields["count"] = len(request.data) if isinstance(request, Write) else request.count
        if code == RefusalCode.ISC and request.table & (EXTENDED - 1) == 7 and isinstance(request, Write):
            advice = f"{kind.advice}; a procedure asks for the key that its own page names"
    elif isinstance(request, Security):
        advice = _PASSWORD
    message = f"the meter refuses {wanted(request)}: {name} ({code:02X}), {kind.meaning}"
    return kind(CODES.get(code, "refused.unknown"), message, advice, **fields)
