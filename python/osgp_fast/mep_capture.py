"""MEP messages of a capture, opened with the keys.

A line has no marks where a message starts: only a digest that fits, TLS records whose lengths add up, or the end of the
message before tell. So this reader walks from message to message, tries each with every key, and where one does not fit
it looks for the next that does, byte by byte. What lies between is kept as unknown where its lengths lead exactly to the
next message, and left to the scanner of packets otherwise. Bytes of a digest that fits are no C12.18 packet, whatever they
look like.

An answer is tried with the request before it, then with earlier ones: a late answer is one, and an answer that comes a
second time in place of another is a replay. TLS is followed from its first handshake message on, session by session.

The work is bounded: what is tried without a hint takes from a budget that grows with the capture.
Sources: MEP guide pp. 8-21, 249-257.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from .errors import SecurityError
from .security import tls_messages
from .security.digest import SIZE as DIGEST
from .security.key import used_bytes
from .security.messages import AUTHENTICATION_FAILURE, LENGTH, MAX_BODY, SEQUENCE, Exchange
from .security.tls import Data, Established, Failed, TlsOpener
from .security.tls.record import HEADER
from .wire import mep

if TYPE_CHECKING:
    from .scan import LineStream
    from .wire.c1218 import Buffer

__all__ = ["Message", "Reader", "What", "looks_like_mep", "unopened"]

#: The shortest request and answer under a digest.
_REQUEST: Final = 1 + SEQUENCE + DIGEST
_ANSWER: Final = 1 + DIGEST
#: Requests whose answers are known when they come late or twice.
_RECENT: Final = 8
#: Bytes that may be tried without a hint: so many times the capture, and some for a short one.
_BUDGET: Final = 8
_BUDGET_LEAST: Final = 1 << 16
#: What a try costs beside the bytes: the rest of a digest's pass, and the set-up of RC4.
_TRY: Final = 512
#: So many messages in a row whose lengths fit tell MEP traffic without a key.
_CHAIN: Final = 8

_TLS_REQUESTS: Final = frozenset(tls_messages.Request)
_TLS_RESPONSES: Final = frozenset(tls_messages.Response)

How = Literal["", "clear", "rc4", "tls"]


class What(IntEnum):
    """What a message is."""

    REQUEST = 0
    ANSWER = 1
    ALERT = 2
    UNKNOWN = 3
    """A message by its length, which no key opens."""


class Problem(NamedTuple):
    """What becomes a reject."""

    code: str
    reason: str


@dataclass(slots=True)
class Message:
    """A message of a stream, from its length field on."""

    start: int
    end: int
    what: What
    how: How = ""
    body: bytes | None = field(default=None, repr=False)
    """Code and what follows it in clear, without sequence number and digest; None where there is none."""
    request: bytes | None = field(default=None, repr=False)
    """Of an answer: the body of its request."""
    sequence: int | None = None
    key: int | None = None
    """Which of the keys opens it."""
    repeated: bool = False
    late: bool = False
    """It answers an earlier request, while another may be waiting."""
    authentic: bool = True
    problem: Problem | None = None


@dataclass(slots=True)
class _Asked:
    """A request whose digest fits, and its answer's bytes once it is there."""

    exchange: Exchange
    message: bytes
    answer: bytes | None = None


class _Tls:
    """A TLS session."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self.opener = TlsOpener(keys)
        self.established = False
        self.key: int | None = None
        self.ask: bytes | None = None


class _Cursor:
    """Where the reader is in a stream."""

    def __init__(self, stream: LineStream) -> None:
        self.stream = stream
        self.at = 0
        self.packet = 0
        # The next place that is tried whatever it looks like.
        self.hint = 0
        # From here on nothing is known; and the messages that lengths alone would make of it.
        self.region = 0
        self.walk: list[tuple[int, int]] = []
        self.found: list[Message] = []


class Reader:
    """The messages of a capture's streams."""

    signed: int
    """Messages whose digest fits."""

    def __init__(self, streams: Sequence[LineStream], keys: Sequence[bytes]) -> None:
        """Raises: SecurityError "security.key_length"."""
        self.keys = [used_bytes(key) for key in keys]
        self.cursors = [_Cursor(stream) for stream in streams]
        self.recent: deque[_Asked] = deque(maxlen=_RECENT)
        self.pending: _Asked | None = None
        self.tls: _Tls | None = None
        self.tls_told = False
        self.tls_waiting = False
        self.tls_last = (b"", b"")
        self.signed = 0
        self.budget = _BUDGET * sum(len(stream.bytes) for stream in streams) + _BUDGET_LEAST

    def run(self) -> list[list[Message]]:
        """The messages of each stream, in order; where no digest fits, those of TLS alone."""
        while True:
            live = [cursor for cursor in self.cursors if cursor.at < len(cursor.stream.bytes)]
            if not live:
                break
            # Always the stream whose next byte came first on the line.
            self.step(live[0] if len(live) == 1 else min(live, key=lambda c: c.stream.place(c.at)[0]))
        for cursor in self.cursors:
            self.flush(cursor, len(cursor.stream.bytes))
        found = [cursor.found for cursor in self.cursors]
        if self.signed:
            return found
        return [[message for message in messages if message.how == "tls"] for messages in found]

    def step(self, cursor: _Cursor) -> None:
        stream, at = cursor.stream, cursor.at
        packets = stream.packets
        while cursor.packet < len(packets) and packets.position[cursor.packet] < at:
            cursor.packet += 1  # inside a message that opens: no packet
        if cursor.packet < len(packets) and packets.position[cursor.packet] == at:
            self.flush(cursor, at)
            self.settle(cursor, stream.range(cursor.packet)[1])
            return
        limit = packets.position[cursor.packet] if cursor.packet < len(packets) else len(stream.bytes)
        full = at == cursor.hint
        size = _size(stream.bytes, at)
        if size is not None and (full or self.worth(cursor, at, size)):
            message = self.open(cursor, at, size, full)
            if message is None and size == 0 and (more := _size(stream.bytes, at + 1)):
                # A zero byte before a message looks like an alert.
                message = self.open(cursor, at + 1, more, full)
            if message is None and size == 0 and full and at == cursor.region:
                message = Message(at, at + LENGTH, What.ALERT)
            if message is not None:
                self.flush(cursor, message.start)
                cursor.found.append(message)
                self.settle(cursor, message.end)
                return
        if full:
            end = at + LENGTH + (size or 0)
            if size is not None and (size == 0 or size >= _ANSWER) and end <= limit:
                cursor.walk.append((at, end))
                cursor.hint = end
            else:
                cursor.hint = at + 1
        cursor.at = at + 1

    def settle(self, cursor: _Cursor, at: int) -> None:
        """Everything before is known."""
        cursor.at = cursor.hint = cursor.region = at
        cursor.walk = []

    def flush(self, cursor: _Cursor, end: int) -> None:
        """Nothing opened before ``end``: keep what lengths make of it."""
        at = cursor.region
        walk = [span for span in cursor.walk if span[1] <= end]
        whole = bool(walk)
        for start, stop in walk:
            whole = whole and start == at
            at = stop
        whole = whole and at == end
        data = cursor.stream.bytes
        for start, stop in walk:
            body = bytes(data[start + LENGTH : stop])
            if body and (whole or mep.plausible(body)):
                problem = None if _is_refusal(body) else _DIGEST
                cursor.found.append(Message(start, stop, What.UNKNOWN, problem=problem))
            elif not body and whole:
                cursor.found.append(Message(start, stop, What.ALERT))

    def worth(self, cursor: _Cursor, at: int, size: int) -> bool:
        """Whether to try a place that nothing hints at."""
        if size < _ANSWER or self.budget <= 0:
            return False
        data = cursor.stream.bytes
        end = at + LENGTH + size
        if end > len(data):
            return False
        starts = cursor.stream.starts
        i = bisect_left(starts, at)
        body = bytes(data[at + LENGTH : end])
        after = _size(data, end)
        # RC4 hardly ever gives the same byte four times; after a message comes another, or nothing.
        enciphered = (after is not None or end == len(data)) and b"\0\0\0\0" not in body
        if enciphered or (i < len(starts) and starts[i] == at) or mep.plausible(body) or _tls_request(body):
            self.budget -= size + _TRY
            return True
        return False

    # ---- one message

    def open(self, cursor: _Cursor, at: int, size: int, full: bool) -> Message | None:
        """The message of that length there, if it is one."""
        end = at + LENGTH + size
        if size == 0 or end > len(cursor.stream.bytes):
            return None
        body = bytes(cursor.stream.bytes[at + LENGTH : end])
        message = self.tls_message(body, full)
        if message is None and size >= _ANSWER:
            if self.pending is not None:
                message = self.answer(self.pending, body)
            if message is None and size >= _REQUEST:
                message = self.request(body)
            if message is None and full:
                message = self.earlier(body)
        if message is None and full:
            message = self.refusal(body) or self.terminate(body)
        if message is not None:
            message.start, message.end = at, end
        return message

    def request(self, body: bytes) -> Message | None:
        try:
            exchange = Exchange.open(self.keys, body)
        except SecurityError:
            return None
        self.signed += 1
        how: How = "rc4" if exchange.encrypted else "clear"
        message = Message(0, 0, What.REQUEST, how, exchange.body, None, exchange.sequence, exchange.which)
        self.tls_waiting = False
        last = self.recent[-1] if self.recent else None
        if last is not None and last.message == body:
            # The same packet again: whatever is answered now answers it.
            message.repeated = True
            self.pending = last
        else:
            self.pending = _Asked(exchange, body)
            self.recent.append(self.pending)
        return message

    def answer(self, asked: _Asked, body: bytes) -> Message | None:
        """The answer to a request, if it is that."""
        try:
            answer = asked.exchange.read(body)
        except SecurityError:
            return None
        if not answer.authentic:
            return None
        self.signed += 1
        message = self.answered(asked, bytes((answer.code,)) + answer.data)
        message.repeated = asked.answer == body
        message.late = asked is not self.recent[-1]
        asked.answer = body
        if asked is self.pending:
            self.pending = None
        return message

    def answered(self, asked: _Asked, body: bytes | None) -> Message:
        exchange = asked.exchange
        how: How = "rc4" if exchange.encrypted else "clear"
        return Message(0, 0, What.ANSWER, how, body, exchange.body, None, exchange.which)

    def earlier(self, body: bytes) -> Message | None:
        """An answer to an earlier request: late, repeated, or played again."""
        for asked in reversed(self.recent):
            if asked is self.pending:
                continue
            before, waiting = asked.answer, self.pending
            message = self.answer(asked, body)
            if message is None:
                continue
            if before is not None and waiting is not None:
                message.problem, message.body = _REPLAY, None
                message.repeated, message.late = False, True
            elif before is not None:
                message.repeated = True
            return message
        return None

    def refusal(self, body: bytes) -> Message | None:
        """What nobody can sign: no key fitted."""
        if self.pending is None or not _is_refusal(body):
            return None
        message = self.answered(self.pending, bytes((AUTHENTICATION_FAILURE,)))
        message.authentic = False
        self.pending = None
        return message

    # ---- TLS

    def tls_message(self, body: bytes, full: bool) -> Message | None:
        if _tls_request(body):
            return self.tls_asked(body)
        code, records = body[0], body[1:]
        if code not in _TLS_RESPONSES:
            return None
        told = _are_records(records)
        # Two bytes may be those of an alert.
        if self.tls_waiting and (told or (full and (not records or (code != 0 and len(records) == 2)))):
            return self.tls_answered(code, records if told else b"", body)
        if told and body == self.tls_last[1]:
            return Message(0, 0, What.ANSWER, "tls", repeated=True)
        return None

    def terminate(self, body: bytes) -> Message | None:
        """The end of a session, which holds nothing to tell it by."""
        if self.tls is None or body[0] != tls_messages.Request.TERMINATE or len(body) < 2:
            return None
        self.tls = None
        self.tls_waiting = True
        self.tls_last = (body, b"")
        return Message(0, 0, What.REQUEST, "tls")

    def tls_asked(self, body: bytes) -> Message:
        message = Message(0, 0, What.REQUEST, "tls")
        if body == self.tls_last[0]:
            message.repeated = True
            self.tls_waiting = True
            return message
        self.tls_last = (body, b"")
        self.tls_waiting = True
        self.pending = None
        if body[0] == tls_messages.Request.TERMINATE:
            self.tls = None
            return message
        if body[0] == tls_messages.Request.HANDSHAKE:
            self.tls = _Tls(self.keys)
            self.tls_told = False
        if self.tls is None:
            if not self.tls_told:
                message.problem = _NO_HANDSHAKE
                self.tls_told = True
            return message
        self.tls.ask = None
        self.tls_take(self.tls, message, body[1:], from_client=True)
        self.tls.ask = message.body
        return message

    def tls_answered(self, code: int, records: bytes, body: bytes) -> Message:
        message = Message(0, 0, What.ANSWER, "tls")
        self.tls_waiting = False
        self.tls_last = (self.tls_last[0], body)
        if self.tls is not None:
            message.request = self.tls.ask
            self.tls.ask = None
            self.tls_take(self.tls, message, records, from_client=False)
        if message.problem is None and code in (tls_messages.Response.TLS_ERROR, tls_messages.Response.INVALID_KEY):
            why = (
                "a TLS error"
                if code == tls_messages.Response.TLS_ERROR
                else "that it does not know the identity or key"
            )
            message.problem = Problem(
                "mep.tls_alert", f"the meter says {why} (response code {code:02X}): the session ends"
            )
        return message

    def tls_take(self, tls: _Tls, message: Message, records: bytes, *, from_client: bool) -> None:
        data = b""
        for event in tls.opener.client(records) if from_client else tls.opener.server(records):
            if isinstance(event, Established):
                tls.established, tls.key = True, event.which
            elif isinstance(event, Data):
                data += event.data
            elif isinstance(event, Failed):
                message.problem = _tls_problem(event, tls.established)
        message.body = data or None
        message.key = tls.key


def looks_like_mep(streams: Sequence[LineStream]) -> bool:
    """Whether streams without a packet look like MEP traffic, as far as that can be told without a key: messages whose
    parts fit, or many in a row whose lengths lead from one to the next."""
    return any(_looks_like(stream.bytes) for stream in streams)


def unopened(stream: LineStream) -> list[Message]:
    """The messages of a stream by their lengths alone, as far as these lead."""
    found, at = [], 0
    while (size := _size(stream.bytes, at)) is not None and at + LENGTH + size <= len(stream.bytes):
        end = at + LENGTH + size
        found.append(Message(at, end, What.UNKNOWN if size else What.ALERT))
        at = end
    return found


def _looks_like(data: Buffer) -> bool:
    at = row = fits = 0
    while (size := _size(data, at)) is not None and at + LENGTH + size <= len(data):
        if size:
            if size < _ANSWER and not _tls_code(data[at + LENGTH]):
                return False
            row += 1
            fits += mep.plausible(bytes(data[at + LENGTH : at + LENGTH + size]))
        at += LENGTH + size
        if row >= _CHAIN or fits >= 2:
            return True
    # A short one must end where its last message ends.
    return at == len(data) and (fits > 0 or row >= 3)


def _tls_code(code: int) -> bool:
    return code in _TLS_RESPONSES or code == tls_messages.Request.TERMINATE


def _size(data: Buffer, at: int) -> int | None:
    """The length field there, if it may be one."""
    field = bytes(data[at : at + LENGTH])
    size = int.from_bytes(field, "big")
    return size if len(field) == LENGTH and size <= MAX_BODY else None


def _are_records(data: bytes) -> bool:
    """Whether bytes are whole TLS records."""
    at = 0
    while at < len(data):
        head = data[at : at + HEADER]
        if not tls_messages.starts_record(head):
            return False
        at += HEADER + int.from_bytes(head[3:], "big")
    return at == len(data) > 0


def _tls_request(body: bytes) -> bool:
    return body[0] in _TLS_REQUESTS and _are_records(body[1:])


def _is_refusal(body: bytes) -> bool:
    return body[0] == AUTHENTICATION_FAILURE and len(body) in (1, _ANSWER)


_DIGEST: Final = Problem(
    "mep.digest",
    "the digest of a message fits none of the keys, while that of others does: the line damaged it, or it was made with "
    "another key; give all keys, or capture it again",
)
_REPLAY: Final = Problem(
    "mep.replay",
    "an answer that was given before, to another request, stands in place of an answer: somebody plays a recording, or the "
    "capture holds it twice",
)
_NO_HANDSHAKE: Final = Problem(
    "mep.tls_handshake",
    "TLS records of a session whose handshake is not in the capture: without it no key opens them; capture from the "
    "handshake on",
)


def _tls_problem(failed: Failed, established: bool) -> Problem:
    if failed.code == "tls.alert":
        return Problem("mep.tls_alert", failed.message)
    if failed.code not in ("tls.bad_record", "tls.finished"):
        return Problem("mep.tls_record", f"the TLS session cannot be followed: {failed.message}")
    if established:
        return Problem(
            "mep.tls_record",
            "a TLS record cannot be deciphered: it is damaged, or too many before it are missing; capture it again",
        )
    return Problem(
        "mep.tls_key",
        "none of the keys opens this TLS session; give the one that its client used, the advanced (MAK) or the basic key "
        "(MBK)",
    )
