"""Procedures: what is written to BT07 and read from BT08, ET59 or ET85.

::

    BT07  procedure (12 bits), selector (4 bits), sequence number, parameters
    BT08  procedure (12 bits), filler (4 bits),   sequence number, result code, data

Table data, so LSB first. Sources: MEP guide pp. 51-53; the guide's range 0..2065 of procedures is too small, for it has
EP19 = 2067 and EP61 = 2109, so all 12 bits are taken.

**Never twice.** A repeated sequence number is refused (onp), so a write whose answer was lost is sent again with the same
number: either it is done now, or it is refused because it was done before. `Sequence` hands out numbers and keeps what is
under way; `Attempt.verdict` tells from the response table what became of it.
"""

from __future__ import annotations

from collections.abc import Sequence as Numbers
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Final

from ..errors import LocalProtocolError, RemoteProtocolError
from ..image import EXTENDED

#: Procedure Initiate and Procedure Response; the response tables of the MEP clients (MEP guide p. 51).
BT07: Final = 7
BT08: Final = 8
ET59: Final = EXTENDED + 59
ET85: Final = EXTENDED + 85
#: Sequence numbers of a MEP client, which tell it from other users (MEP guide p. 52).
MEP_NUMBERS: Final = range(5, 10)
#: Ours on the optical port: none of a MEP client's, and not 255, which may not be the first after a log-on (MEP guide p. 52).
OPTICAL_NUMBERS: Final = range(10, 255)
#: Number and sequence number; the response has the result code after them.
HEAD: Final = 3
MAX_NUMBER: Final = 0xFFF
#: BT07's capacity, BT00.9 (MEP guide p. 197); more goes in a transaction.
MAX_PARAMETERS: Final = 255 - HEAD


def procedure_name(number: int) -> str:
    """``BP12``, ``EP17``."""
    return f"EP{number - EXTENDED:02}" if number >= EXTENDED else f"BP{number:02}"


class ResultCode(IntEnum):
    """The standard's result codes; a procedure may have others of its own. Source: MEP guide p. 53."""

    COMPLETED = 0
    NOT_FULLY_COMPLETED = 1
    INVALID_PARAMETER = 2
    CONFLICTS_WITH_SETUP = 3
    TIMING_CONSTRAINT = 4
    NO_AUTHORIZATION = 5
    UNRECOGNIZED_PROCEDURE = 6


@dataclass(frozen=True, slots=True)
class Initiate:
    """What is written to BT07."""

    number: int
    """0..4095; EPnn = 2048 + nn."""
    sequence: int
    parameters: bytes = field(default=b"", repr=False)
    selector: int = 0
    """How the response is handled; 0: it is posted when the procedure is done."""

    def emit(self) -> bytes:
        """BT07's bytes. Raises: LocalProtocolError "procedure.argument"."""
        ranges = (
            (self.number, MAX_NUMBER, "number"),
            (self.sequence, 0xFF, "sequence number"),
            (self.selector, 15, "selector"),
        )
        for value, most, what in ranges:
            if not 0 <= value <= most:
                raise LocalProtocolError(
                    "procedure.argument",
                    f"{procedure_name(self.number)}: the {what} is {value}; it goes to {most}",
                    got=value,
                )
        if len(self.parameters) > MAX_PARAMETERS:
            raise LocalProtocolError(
                "procedure.argument",
                f"{procedure_name(self.number)}: {len(self.parameters)} bytes of parameters; BT07 holds {MAX_PARAMETERS}",
                "write it in a transaction (ET52)",
                got=len(self.parameters),
            )
        return (self.number | self.selector << 12).to_bytes(2, "little") + bytes((self.sequence,)) + self.parameters


def parse_initiate(data: bytes) -> Initiate | None:
    """BT07's bytes, at the meter; None where they are too few."""
    if len(data) < HEAD:
        return None
    word = int.from_bytes(data[:2], "little")
    return Initiate(word & MAX_NUMBER, data[2], data[HEAD:], word >> 12)


@dataclass(frozen=True, slots=True)
class Result:
    """What BT08, ET59 or ET85 says of the procedure executed last."""

    number: int
    sequence: int
    code: int
    data: bytes = field(default=b"", repr=False)

    @property
    def name(self) -> str:
        """The result code in words."""
        known = self.code in ResultCode.__members__.values()
        return ResultCode(self.code).name.lower().replace("_", " ") if known else f"result {self.code}"

    def emit(self) -> bytes:
        """The response table's bytes, at the meter."""
        return self.number.to_bytes(2, "little") + bytes((self.sequence, self.code)) + self.data


def parse_result(data: bytes) -> Result:
    """Read a response table. Raises: RemoteProtocolError "procedure.short"."""
    if len(data) < HEAD + 1:
        raise RemoteProtocolError(
            "procedure.short",
            f"the response table has {len(data)} bytes, at least {HEAD + 1} were expected",
            got=len(data),
        )
    return Result(int.from_bytes(data[:2], "little") & MAX_NUMBER, data[2], data[3], bytes(data[4:]))


class Verdict(Enum):
    """What became of a procedure."""

    DONE = "done"
    """Executed; the result is its own. Do not write it again."""
    RUNNING = "running"
    """Accepted and not fully completed: poll, where the procedure's page says so, else final."""
    FAILED = "failed"
    """Ignored, with a result code that says why. Writing it again needs a new sequence number."""
    UNKNOWN = "unknown"
    """The response is another one's: not executed yet, or somebody else's came after it. Read again (a response may take
    a second, MEP guide p. 52), then write the same bytes again: the meter refuses a number that it has had."""


@dataclass(slots=True)
class Attempt:
    """One procedure that is to be executed once. It is written with the same bytes however often it takes."""

    initiate: Initiate
    written: int = 0
    """How often it was sent."""

    def verdict(self, result: Result) -> Verdict:
        """What a response table says of it."""
        if (result.number, result.sequence) != (self.initiate.number, self.initiate.sequence):
            return Verdict.UNKNOWN
        match result.code:
            case ResultCode.COMPLETED:
                return Verdict.DONE
            case ResultCode.NOT_FULLY_COMPLETED:
                return Verdict.RUNNING
            case _:
                return Verdict.FAILED

    def refused_as_repeated(self, code: int) -> bool:
        """Whether a refusal of the write means that an earlier one got through: onp (04), and it was sent before."""
        return code == 4 and self.written > 1


class Sequence:
    """Hands out sequence numbers, each different from the one before, and keeps what is under way.

    Args: ``last`` is the number in the response table before the first procedure, which the meter may refuse.
    """

    def __init__(self, numbers: Numbers[int] = OPTICAL_NUMBERS, *, last: int | None = None) -> None:
        self._numbers = numbers
        self._at = 0
        self._last = last
        self.under_way: Attempt | None = None

    def start(self, number: int, parameters: bytes = b"", selector: int = 0) -> Attempt:
        """A new procedure. Raises: LocalProtocolError "procedure.under_way" while another one's end is not known."""
        if self.under_way is not None:
            name = procedure_name(self.under_way.initiate.number)
            raise LocalProtocolError(
                "procedure.under_way",
                f"it is not known yet whether {name} was executed",
                "read the response table and say so (`finish`) before the next one",
            )
        sequence = self._numbers[self._at]
        if sequence == self._last:
            self._at = (self._at + 1) % len(self._numbers)
            sequence = self._numbers[self._at]
        initiate = Initiate(number, sequence, parameters, selector)
        initiate.emit()
        self._at = (self._at + 1) % len(self._numbers)
        self._last = sequence
        self.under_way = Attempt(initiate)
        return self.under_way

    def finish(self) -> None:
        """The end of the procedure under way is known."""
        self.under_way = None


class Once:
    """The meter's half: refuses a sequence number that was the last one (MEP guide p. 52)."""

    def __init__(self) -> None:
        self._last: int | None = None

    def admits(self, initiate: Initiate) -> bool:
        """Whether to execute it; False: answer the write with onp."""
        if initiate.sequence == self._last:
            return False
        self._last = initiate.sequence
        return True

    def log_on(self) -> None:
        """A new log-on: 255 counts as the number before."""
        self._last = 255
