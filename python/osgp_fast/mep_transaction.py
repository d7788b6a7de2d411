"""The reads in a transaction: what was written to ET52 and read from ET53 on a captured line.

::

    size (2) | type (1) | number (2) | L0 (2), message, L1 (2), message, ... | number (2)

Least significant byte first; the messages are those of a session. The responses stand in the order of the requests, and
both tables have the same number at both ends when they belong together. Source: MEP guide pp. 44-50, 130-132. The codec
reads the same for people; here only the messages are needed.
"""

from __future__ import annotations

from typing import Final

#: Numbers on the wire. Source: MEP guide pp. 130-132.
ET52: Final = 2100
ET53: Final = 2101
_REQUESTS: Final = 0
_GROUP_REQUESTS: Final = 3
_RESPONSES: Final = (1, 2)
_HEAD: Final = 5
_NUMBER: Final = 2
#: Response code and count before the data of a read.
_READ: Final = 3


class Mismatch(Exception):
    """Responses that no request of the capture explains."""


class Transaction:
    """The two tables as far as they passed by."""

    __slots__ = ("_asked", "_done", "_told")

    def __init__(self) -> None:
        self._asked = bytearray()
        self._told = bytearray()
        self._done = False

    def write(self, offset: int, data: bytes) -> None:
        """A write to ET52."""
        _put(self._asked, offset, data)
        self._told.clear()
        self._done = False

    def read(self, offset: int, data: bytes) -> list[tuple[bytes, bytes]]:
        """A read of ET53: the requests and their responses, once, when the responses are all there.

        Raises: Mismatch.
        """
        _put(self._told, offset, data)
        told = _messages(self._told)
        if told is None or self._done or told[0] not in _RESPONSES:
            return []
        self._done = True
        asked = _messages(self._asked)
        if asked is None or asked[0] not in (_REQUESTS, _GROUP_REQUESTS) or asked[1] != told[1]:
            if any(message[0] == 0 and len(message) > _READ for message in told[2]):
                raise Mismatch
            return []
        return list(zip(asked[2], told[2], strict=False))


def _put(table: bytearray, offset: int, data: bytes) -> None:
    """Tables are written and read from the first byte to the last: what stands alone is left out."""
    if offset <= len(table):
        table[offset:] = data


def _messages(table: bytearray) -> tuple[int, int, list[bytes]] | None:
    """Type, number and messages of a table; None if it is not all there, or no transaction."""
    if len(table) < _HEAD + _NUMBER:
        return None
    size, kind, number = _u16(table, 0), table[2], _u16(table, 3)
    end = size - _NUMBER
    if not _HEAD <= end <= len(table) - _NUMBER or _u16(table, end) != number:
        return None
    at = _HEAD
    if kind == _GROUP_REQUESTS:
        at += 1 + 2 * table[_HEAD]
    messages = []
    while at < end:
        length = _u16(table, at)
        at += 2
        if length == 0 or at + length > end:
            return None
        messages.append(bytes(table[at : at + length]))
        at += length
    return kind, number, messages


def _u16(table: bytearray, at: int) -> int:
    return int.from_bytes(table[at : at + 2], "little")
