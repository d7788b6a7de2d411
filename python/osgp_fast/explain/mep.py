"""Messages of the MEP port: what every byte is, in clear where a key opens them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from ..mep_capture import Message, What
from ..security.digest import SIZE as DIGEST
from ..security.messages import AUTHENTICATION_FAILURE, INVALID_SEQUENCE, LENGTH, SEQUENCE
from ..security.tls.problems import ALERTS
from ..security.tls.record import EXPLICIT, HEADER
from ..wire import mep
from .lines import Lines, title
from .table import Line

__all__ = ["MepLines"]

_TLS_CODES: Final = {
    0x57: "end of the TLS session",
    0x58: "first message of a TLS handshake",
    0x59: "rest of a TLS handshake",
    0x80: "a request in TLS",
}
_TLS_RESPONSES: Final = {
    0x00: "ok",
    0x01: "TLS error",
    0x03: "invalid identity or key",
    0x0A: "no TLS session: begin with a handshake",
}
#: Response codes of the MEP port beside those of C12.18. Source: MEP guide p. 11.
_RESPONSES: Final = {AUTHENTICATION_FAILURE: "authentication failure", INVALID_SEQUENCE: "invalid sequence number"}
#: Source: RFC 5246 sections 6.2.1 and 7.4.
_RECORDS: Final = {20: "change of ciphers", 21: "alert", 22: "handshake", 23: "application data"}
_HANDSHAKES: Final = {
    0: "HelloRequest",
    1: "ClientHello",
    2: "ServerHello",
    12: "ServerKeyExchange",
    14: "ServerHelloDone",
    16: "ClientKeyExchange",
    20: "Finished",
}
_SUITES: Final = {0x00A9: "TLS_PSK_WITH_AES_256_GCM_SHA384", 0x00FF: "renegotiation is secure"}
_TAG: Final = 16


class MepLines(Lines):
    """What is said at the MEP port, message by message."""

    has_checksum = False

    def __init__(self, tables: dict[str, bytes], *, keys: bool) -> None:
        super().__init__(tables)
        self.keys = keys
        # Whether client and meter encipher their records by now.
        self.protected = {What.REQUEST: False, What.ANSWER: False}

    def message(self, at: int, raw: bytes, message: Message) -> tuple[str, list[Line]]:
        """Heading and lines of a message that starts ``at``."""
        if message.what == What.ALERT:
            return "MEP alert", [Line(at, raw, "alert", "the meter has something for its client: read ET13")]
        lines = [Line(at, raw[:LENGTH], "length", f"{len(raw) - LENGTH} bytes")]
        body = raw[LENGTH:]
        if message.how == "tls":
            words, more = self.tls(at + LENGTH, body, message)
        elif message.what == What.UNKNOWN:
            words, more = self.closed(at + LENGTH, body)
        else:
            words, more = self.signed(at + LENGTH, body, message)
        if message.repeated:
            words += ", sent again"
        if message.late and not message.repeated:
            words += ", to an earlier request"
        if message.problem is not None:
            more.append(Line(None, b"", "problem", message.problem.reason))
        return f"MEP {words}", lines + more

    # ---- digest and RC4

    def signed(self, at: int, body: bytes, message: Message) -> tuple[str, list[Line]]:
        """A message whose digest fits, or the refusal that has none."""
        request = message.what == What.REQUEST
        kind = "request" if request else "answer"
        end = at + len(body)
        seal = min(DIGEST, len(body) - 1)
        clear = message.body
        if clear is None:
            return kind, [*_sealed(at, body[: len(body) - seal]), self.digest(end, body, seal, "not of this request")]
        tail = [] if message.sequence is None else [_sequence(at + len(clear), message.sequence)]
        words, fields = self.told(at, clear, message)
        inner = [*fields, *tail]
        if message.how == "rc4":
            cipher = Line(at, body[: len(body) - seal], "enciphered", f"RC4, opened with key {(message.key or 0) + 1}")
            inner = [cipher, *(replace(line, depth=line.depth + 1) for line in inner)]
        verdict = f"verified with key {(message.key or 0) + 1}"
        if not message.authentic:
            verdict = "not checked: nobody can sign a refusal of the key"
        return f"{kind}: {words}", [*inner, self.digest(end, body, seal, verdict)]

    def told(self, at: int, clear: bytes, message: Message) -> tuple[str, list[Line]]:
        """Code and arguments in clear."""
        if message.what == What.REQUEST:
            return title(clear), self.request(at, clear) if not message.repeated else _again(at, clear)
        if message.request is not None:
            self.request(0, message.request)
        return self.answered(at, clear)

    def answered(self, at: int, clear: bytes) -> tuple[str, list[Line]]:
        code = clear[0]
        words = _RESPONSES.get(code)
        if words is None:
            return title(clear), self.response(at, clear)
        self.ask = None
        lines = [Line(at, clear[:1], "response", words)]
        if code == INVALID_SEQUENCE and len(clear) == 1 + SEQUENCE:
            number = int.from_bytes(clear[1:], "big")
            lines.append(
                Line(at + 1, clear[1:], "sequence number", f"{number:08X} is the meter's; go on with the next")
            )
        elif len(clear) > 1:
            lines.append(Line(at + 1, clear[1:], "data"))
        return words, lines

    def digest(self, end: int, body: bytes, size: int, verdict: str) -> Line:
        return Line(end - size, body[len(body) - size :], "digest", verdict)

    def closed(self, at: int, body: bytes) -> tuple[str, list[Line]]:
        """A message that no key opens: in clear its parts still say what it is."""
        verdict = "fits none of the keys" if self.keys else "not checked: no key was given"
        code = body[0]
        if not mep.plausible(body) or len(body) < 1 + DIGEST:
            return "message", [Line(at, body, "message", f"enciphered, or no MEP message: the digest {verdict}")]
        if code >= 0x30:
            end = len(body) - DIGEST - SEQUENCE
            clear, number = body[:end], int.from_bytes(body[end : end + SEQUENCE], "big")
            lines = [*self.request(at, clear), _sequence(at + end, number)]
            words = f"request: {title(clear)}"
        else:
            words, lines = self.answered(at, body[:-DIGEST])
            words = f"answer: {words}"
        return words, [*lines, self.digest(at + len(body), body, DIGEST, verdict)]

    # ---- TLS

    def tls(self, at: int, body: bytes, message: Message) -> tuple[str, list[Line]]:
        code, records = body[0], body[1:]
        request = message.what == What.REQUEST
        names = _TLS_CODES if request else _TLS_RESPONSES
        words = names.get(code, f"code {code:02X}")
        lines = [Line(at, body[:1], "request code" if request else "response", words)]
        if code == 0x58 and request and not message.repeated:
            self.protected = dict.fromkeys(self.protected, False)
        if code == 0x57 and request and records:
            lines.append(Line(at + 1, records, "data", "of no meaning"))
            return words, lines
        if not request and len(records) == 2:
            lines.append(Line(at + 1, records, "alert", _alert(records)))
            return f"answer in TLS: {words}", lines
        lines += self.records(at + 1, records, message)
        if message.body is not None:
            told, fields = self.told(0, message.body, message)
            lines.append(Line(None, message.body, "clear text", f"{len(message.body)} bytes"))
            # Its bytes stand nowhere on the line.
            lines += [replace(line, offset=None, depth=line.depth + 1) for line in fields]
            words = f"{'request' if request else 'answer'} in TLS: {told}"
        elif not request:
            words = f"answer in TLS: {words}"
        return words, lines

    def records(self, at: int, data: bytes, message: Message) -> Iterator[Line]:
        """TLS records, one after another."""
        where = 0
        while where + HEADER <= len(data):
            head = data[where : where + HEADER]
            kind, size = head[0], int.from_bytes(head[3:], "big")
            fragment = data[where + HEADER : where + HEADER + size]
            place = at + where
            yield Line(place, head[:1], "TLS record", _RECORDS.get(kind, f"type {kind}"))
            yield Line(place + 1, head[1:3], "version", _version(head[1:3]), depth=1)
            yield Line(place + 3, head[3:5], "length", f"{size} bytes", depth=1)
            place += HEADER
            if self.protected[message.what]:
                yield from _protected(place, fragment)
            elif kind == 20:
                self.protected[message.what] = True
                yield Line(place, fragment, "what follows is enciphered", depth=1)
            elif kind == 21 and len(fragment) == 2:
                yield Line(place, fragment, "alert", _alert(fragment), depth=1)
            elif kind == 22:
                yield from _handshakes(place, fragment)
            else:
                yield Line(place, fragment, "data", f"{len(fragment)} bytes", depth=1)
            where += HEADER + size
        if where < len(data):
            yield Line(at + where, data[where:], "data", f"{len(data) - where} bytes")


def _sequence(at: int, number: int) -> Line:
    return Line(at, number.to_bytes(SEQUENCE, "big"), "sequence number", f"{number:08X}")


def _sealed(at: int, data: bytes) -> list[Line]:
    return [Line(at, data, "message", f"{len(data)} bytes")] if data else []


def _again(at: int, clear: bytes) -> list[Line]:
    return [Line(at, clear, "data", f"{len(clear)} bytes, as before")]


def _version(raw: bytes) -> str:
    return {b"\3\3": "TLS 1.2", b"\3\1": "TLS 1.0, as a ClientHello may say"}.get(raw, raw.hex().upper())


def _alert(raw: bytes) -> str:
    level = {1: "warning", 2: "fatal"}.get(raw[0], f"level {raw[0]}")
    return f"{level}, {raw[1]} ({ALERTS.get(raw[1], 'unknown')})"


def _protected(at: int, fragment: bytes) -> Iterator[Line]:
    if len(fragment) < EXPLICIT + _TAG:
        yield Line(at, fragment, "data", f"{len(fragment)} bytes", depth=1)
        return
    counter = int.from_bytes(fragment[:EXPLICIT], "big")
    yield Line(at, fragment[:EXPLICIT], "explicit nonce", str(counter), depth=1)
    size = len(fragment) - EXPLICIT - _TAG
    yield Line(at + EXPLICIT, fragment[EXPLICIT:-_TAG], "enciphered", f"{size} bytes, AES-256-GCM", depth=1)
    yield Line(at + EXPLICIT + size, fragment[-_TAG:], "tag", depth=1)


def _handshakes(at: int, data: bytes) -> Iterator[Line]:
    """Handshake messages in clear."""
    where = 0
    while where + 4 <= len(data):
        kind, size = data[where], int.from_bytes(data[where + 1 : where + 4], "big")
        body = data[where + 4 : where + 4 + size]
        yield Line(at + where, data[where : where + 1], _HANDSHAKES.get(kind, f"handshake message {kind}"), depth=1)
        yield Line(at + where + 1, data[where + 1 : where + 4], "length", f"{size} bytes", depth=2)
        yield from _handshake(at + where + 4, kind, body)
        where += 4 + size
    if where < len(data):
        yield Line(at + where, data[where:], "data", f"{len(data) - where} bytes", depth=1)


def _handshake(at: int, kind: int, body: bytes) -> Iterator[Line]:
    reader = _Fields(at, body)
    if kind in (1, 2):
        yield from reader.fixed(2, "version", _version)
        yield from reader.fixed(32, "random bytes")
        yield from reader.counted(1, "session ID")
        if kind == 1:
            yield from reader.counted(2, "cipher suites", _suites)
            yield from reader.counted(1, "compression methods")
        else:
            yield from reader.fixed(2, "cipher suite", _suites)
            yield from reader.fixed(1, "compression method")
        if reader.rest:
            yield from reader.counted(2, "extensions")
    elif kind == 12:
        yield from reader.counted(2, "identity hint")
    elif kind == 16:
        yield from reader.counted(2, "identity", _identity)
    if reader.rest:
        yield Line(reader.at, reader.rest, "data", f"{len(reader.rest)} bytes", depth=2)


class _Fields:
    """The fields of a handshake message; one that is cut short is left to the rest."""

    def __init__(self, at: int, rest: bytes) -> None:
        self.at, self.rest = at, rest

    def fixed(self, size: int, name: str, words: object = None) -> Iterator[Line]:
        if len(self.rest) < size:
            return
        raw, self.rest = self.rest[:size], self.rest[size:]
        yield Line(self.at, raw, name, words(raw) if callable(words) else "", depth=2)
        self.at += size

    def counted(self, head: int, name: str, words: object = None) -> Iterator[Line]:
        size = int.from_bytes(self.rest[:head], "big")
        if len(self.rest) < head + size:
            return
        yield from self.fixed(head, f"length of {name}", lambda raw: f"{size} bytes")
        if size:
            yield from self.fixed(size, name, words)


def _suites(raw: bytes) -> str:
    codes = [int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2)]
    return ", ".join(_SUITES.get(code, f"{code:04X}") for code in codes)


def _identity(raw: bytes) -> str:
    if len(raw) != 3:
        return f"{len(raw)} bytes; the MEP port has three"
    key = {0: "the basic key (MBK)", 1: "the advanced key (MAK)"}.get(raw[2], f"key {raw[2]}")
    return f"client {int.from_bytes(raw[:2], 'little')}, {key}"
