"""Byte stuffing in HDLC-like framing (RFC 1662), for lines that reach us through bridges and loggers.

::

    7E | payload, FCS (2, le) with every 7E and 7D sent as 7D and the byte xor 20 | 7E

One flag may end a frame and start the next. 7D 7E aborts a frame. The FCS is the CRC of `crc`. C12.18 and MEP have no
stuffing of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from . import crc

#: Starts and ends a frame. Source: RFC 1662, 3.1.
FLAG: Final = 0x7E
#: The next byte is xor `TWIST`. Source: RFC 1662, 4.2.
ESCAPE: Final = 0x7D
#: What an escaped byte is xored with.
TWIST: Final = 0x20
#: The longest frame, FCS included; a longer one is an error, so that memory stays bounded.
MAX_FRAME: Final = 64 * 1024


class Problem(Enum):
    """What is wrong with a frame."""

    BAD_FCS = "bad_fcs"
    """The frame check sequence is not that of the payload."""
    TOO_LONG = "too_long"
    """Longer than `MAX_FRAME`."""
    RUNT = "runt"
    """Too short to hold an FCS."""
    ABORTED = "aborted"
    """Aborted by its sender."""
    TRUNCATED = "truncated"
    """The stream ended within it."""
    OUTSIDE = "outside"
    """Bytes before the first flag."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A payload, its FCS checked and taken off; the position is that of the first byte after the opening flag."""

    position: int
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class FrameProblem:
    """Bytes that are no frame, unstuffed, the first `MAX_FRAME` of them."""

    position: int
    problem: Problem
    data: bytes = field(repr=False)


Event = Frame | FrameProblem


def encode(payload: bytes) -> bytes:
    """One frame, with a flag at both ends."""
    body = payload + crc.crc16(payload).to_bytes(2, "little")
    return b"\x7e" + body.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e") + b"\x7e"


class Decoder:
    """Frames out of a stream of bytes that arrive in any chunks."""

    def __init__(self) -> None:
        self._frame = bytearray()
        self._position = 0
        self._start = 0
        self._open = False
        self._escaped = False
        self._too_long = False

    def feed(self, data: bytes) -> list[Event]:
        """Take some bytes; give the frames that end among them."""
        return list(self._run(data))

    def finish(self) -> list[Event]:
        """The end of the stream."""
        events = list(self._close(Problem.TRUNCATED))
        self._open = False
        self._start = self._position
        return events

    def _run(self, data: bytes) -> Iterator[Event]:
        for byte in data:
            if byte == FLAG:
                yield from self._close(None)
                self._open = True
                self._start = self._position + 1
            elif byte == ESCAPE and not self._escaped:
                self._escaped = True
            else:
                if self._escaped:
                    byte ^= TWIST
                    self._escaped = False
                if len(self._frame) < MAX_FRAME:
                    self._frame.append(byte)
                else:
                    self._too_long = True
                if not self._open and len(self._frame) == MAX_FRAME:
                    yield from self._close(None)
                    self._start = self._position + 1
            self._position += 1

    def _close(self, end: Problem | None) -> Iterator[Event]:
        frame, escaped, too_long = bytes(self._frame), self._escaped, self._too_long
        self._frame.clear()
        self._escaped = self._too_long = False
        if not frame and not escaped:
            return  # flags between frames
        problem = end
        if not self._open:
            problem = Problem.OUTSIDE
        elif too_long:
            problem = Problem.TOO_LONG
        elif end is None and escaped:
            problem = Problem.ABORTED
        elif end is None and len(frame) < crc.SIZE:
            problem = Problem.RUNT
        elif end is None and not crc.holds(frame):
            problem = Problem.BAD_FCS
        if problem is None:
            yield Frame(self._start, frame[: -crc.SIZE])
        else:
            yield FrameProblem(self._start, problem, frame)
