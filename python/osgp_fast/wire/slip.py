"""Byte stuffing of SLIP (RFC 1055), for lines that reach us through bridges and loggers.

::

    C0 | payload with C0 sent as DB DC, DB as DB DD | C0

There is no check: that of the packets inside has to do. An escape that RFC 1055 does not know is told with its
position; the byte after it is kept as it is. C12.18 and MEP have no stuffing of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

#: Ends a frame; most senders start one with it, too.
END: Final = 0xC0
#: Escape.
ESC: Final = 0xDB
#: After `ESC`: an `END` in the payload.
ESC_END: Final = 0xDC
#: After `ESC`: an `ESC` in the payload.
ESC_ESC: Final = 0xDD
#: A longer frame is handed out in pieces of this size, so that memory stays bounded.
MAX_FRAME: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Frame:
    """A payload and the position of its first byte. It ends with `END`, with the stream, or at `MAX_FRAME`."""

    position: int
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class BadEscape:
    """The byte at this position cannot follow an `ESC`, or the stream ends after one."""

    position: int


Event = Frame | BadEscape


def encode(payload: bytes) -> bytes:
    """One frame, with an `END` on both sides."""
    return b"\xc0" + payload.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"


class Decoder:
    """Frames out of a stream of bytes that arrive in any chunks."""

    def __init__(self) -> None:
        self._frame = bytearray()
        self._position = 0
        self._start = 0
        self._escaped = False

    def feed(self, data: bytes) -> list[Event]:
        """Take some bytes; give the frames that end among them."""
        return list(self._run(data))

    def finish(self) -> list[Event]:
        """The end of the stream."""
        events: list[Event] = [BadEscape(self._position)] if self._escaped else []
        self._escaped = False
        events += self._close()
        self._start = self._position
        return events

    def _run(self, data: bytes) -> Iterator[Event]:
        for byte in data:
            escaped, self._escaped = self._escaped, False
            if byte == END:
                if escaped:
                    yield BadEscape(self._position)
                yield from self._close()
                self._start = self._position + 1
            elif byte == ESC and not escaped:
                self._escaped = True
            elif escaped and byte in (ESC_END, ESC_ESC):
                self._frame.append(END if byte == ESC_END else ESC)
            else:
                if escaped:
                    yield BadEscape(self._position)
                self._frame.append(byte)
            self._position += 1
            if len(self._frame) == MAX_FRAME:
                yield from self._close()
                self._start = self._position

    def _close(self) -> Iterator[Event]:
        if self._frame:
            yield Frame(self._start, bytes(self._frame))
            self._frame.clear()
