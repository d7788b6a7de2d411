"""Text logs of hex bytes, as readers and bridges write them: who sent which bytes, and when.

A line is understood by its parts, wherever they stand: a date-time or epoch, a mark of the direction (``TX``,
``Received``, ``>>>``, ...), and the longest run of hex bytes after the mark (``EE 00``, ``ee00...``, ``0xEE``,
``EE:00:20``, ``EE-00``, ``\\xEE``). Which mark means which side does not matter: it only keeps the two streams apart.
Bytes on lines without any mark go on where the line before ended, or, in a plain hex dump, make a stream of both
directions.

Times: a date with a time, or seconds, milliseconds or microseconds since 1970. A time without a date is no time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from .wire.c1218 import Buffer

#: A line's time stands within so many bytes of its start.
_HEAD: Final = 512
#: So many bytes at the start of a file decide whether it is text.
_PEEK: Final = 4096


class Stamp(NamedTuple):
    """A time stamp, in microseconds since 1970-01-01: in UTC, or of some local clock."""

    micros: int
    utc: bool


class Chunk(NamedTuple):
    """Some bytes of one line."""

    at: int
    """Where its first byte is in the stream's bytes."""
    file: int
    """Where its hex digits start in the file."""
    time: Stamp | None
    """The line's time."""


@dataclass(slots=True)
class Stream:
    """The bytes of one direction, and which of them came from which line."""

    bytes: bytearray = field(default_factory=bytearray)
    chunks: list[Chunk] = field(default_factory=list)


@dataclass(slots=True)
class Log:
    """A log, read: one stream sent, one received, and one of lines without a mark."""

    streams: tuple[Stream, Stream, Stream] = field(default_factory=lambda: (Stream(), Stream(), Stream()))


_TEXT: Final = re.compile(rb"[\t\n\r\x1b -~\x80-\xff]+")


def is_text(data: Buffer) -> bool:
    """Whether a file's content is text: raw bytes of a line are hardly ever without a control character."""
    return _utf16(data) is not None or _TEXT.fullmatch(bytes(data[:_PEEK])) is not None


def _utf16(data: Buffer) -> int | None:
    """If it starts with a byte order mark of UTF-16: where the low byte of each pair is."""
    return {b"\xff\xfe": 0, b"\xfe\xff": 1}.get(bytes(data[:2]))


def parse(data: Buffer) -> Log:
    """Read a log."""
    low = _utf16(data)
    if low is not None:
        # Windows shells write it. Everything of interest is ASCII.
        pairs = bytes(data[2 : len(data) - len(data) % 2])
        lows, highs = pairs[low::2], pairs[1 - low :: 2]
        if any(highs):
            lows = bytes(byte if not high else 0x80 for byte, high in zip(lows, highs, strict=True))
        return _parse_bytes(lows, 0, 2, 2)
    skip = 3 if data[:3] == b"\xef\xbb\xbf" else 0
    return _parse_bytes(data, skip, 0, 1)


_LINE: Final = re.compile(rb"[^\r\n]+")


def _parse_bytes(data: Buffer, start: int, base: int, width: int) -> Log:
    log = Log()
    last: tuple[int, Stamp | None] | None = None
    for match in _LINE.finditer(data, start):  # type: ignore[call-overload]
        line = match[0]
        found = _line(line)
        if found.side is not None:
            last = (found.side, found.time)
        elif not found.run and not found.blank:
            last = None
        if found.run:
            side, time = last or (2, None)
            stream = log.streams[side]
            at = base + (match.start() + found.run_at) * width
            stream.chunks.append(Chunk(len(stream.bytes), at, time if found.time is None else found.time))
            stream.bytes += found.run
    return log


@dataclass(slots=True)
class _Found:
    side: int | None
    time: Stamp | None
    blank: bool
    run: bytes = b""
    run_at: int = 0


_WORD: Final = 0
#: A word that is a mark of a side by itself.
_MARK: Final = 1
#: A word that is one only with a colon or right before hex bytes or an arrow.
_WEAK: Final = 2
_ARROW: Final = 3
_HEX: Final = 4


@dataclass(slots=True)
class _Token:
    kind: int
    start: int
    text: bytes
    side: int = 0
    colon: bool = False
    data: bytes = b""
    pairs: bool = False
    """Hex, one byte a word."""


_MARKS: Final[dict[bytes, tuple[int, int]]] = {
    **dict.fromkeys(
        b"tx txd send sends sent sending snd transmit transmits transmitted transmitting".split(), (_MARK, 0)
    ),
    **dict.fromkeys(b"rx rxd recv rcv receive receives received receiving".split(), (_MARK, 1)),
    **dict.fromkeys(b"out write writes writing wrote request req host client pc".split(), (_WEAK, 0)),
    **dict.fromkeys(b"in read reads reading response resp reply answer meter".split(), (_WEAK, 1)),
}


def _line(line: bytes) -> _Found:
    """Take a line apart."""
    tokens, timed, time = _tokens(line)
    mark: tuple[int, int] | None = None
    for i, token in enumerate(tokens):
        weak = token.kind == _WEAK and (token.colon or (i + 1 < len(tokens) and tokens[i + 1].kind >= _ARROW))
        if token.kind == _MARK or weak:
            mark = (i, token.side)
            break
    else:
        mark = next(((i, token.side) for i, token in enumerate(tokens) if token.kind == _ARROW), None)
    # The longest run of hex tokens; of equal ones the last.
    best: tuple[int, int, int] | None = None
    i = mark[0] + 1 if mark else 0
    while i < len(tokens):
        start, size = i, 0
        while i < len(tokens) and tokens[i].kind == _HEX and not tokens[i].colon:
            size += len(tokens[i].data)
            i += 1
        if size and (best is None or size >= best[2]):
            best = (start, i, size)
        i = max(i, start + 1)
    found = _Found(mark[1] if mark else None, time, not tokens and not timed)
    if best is None:
        return found
    start, end, size = best
    words = any(_plain(token) for token in tokens[mark[0] + 1 if mark else 0 : start])
    if words and not (mark and (tokens[start - 1].colon or size >= 4)):
        return found
    # The offset column of a hex dump: eight digits before pairs.
    if mark is None and end - start > 1:
        column = tokens[start]
        pairs = all(token.pairs for token in tokens[start + 1 : end])
        if len(column.text) == 8 and len(column.data) == 4 and pairs:
            start += 1
    found.run_at = tokens[start].start
    found.run = b"".join(token.data for token in tokens[start:end])
    return found


def _plain(token: _Token) -> bool:
    return token.kind in (_MARK, _WEAK) or (token.kind == _WORD and not token.text.isdigit())


_SEPARATORS: Final = rb"\x00-\x1a\x1c-\x20\[\]{}()|\"'`,;="
_SEPARATOR: Final = re.compile(rb"[" + _SEPARATORS + rb"]")
_ESCAPE_CODE: Final = re.compile(rb"\x1b(?:\[[^\x40-\x7e]*[\x40-\x7e]?)?")
#: ``(12)`` or ``(12 bytes)``: how many bytes the line has, which is no data.
_COUNT: Final = re.compile(rb"\([0-9]{1,5} ?(?:b|bytes?)?\)", re.IGNORECASE)
_ARROWS: Final = re.compile(rb"[<>][<>=-]*")
_TOKEN: Final = re.compile(rb"[^" + _SEPARATORS + rb"<>\x1b]+")
_PREFIX: Final = rb"(?:0[xX]|\\[xX])?"
_GROUP: Final = _PREFIX + rb"(?:[0-9a-fA-F]{2})+[hH]?"
#: Bytes written as hex, in any of the usual ways.
_HEX_WORD: Final = re.compile(_GROUP + rb"(?:(?:[:\-._]|(?=\\))" + _GROUP + rb")*")
_PAIRS: Final = re.compile(rb"[0-9a-fA-F]{2}(?: [0-9a-fA-F]{2}){3,}(?= |$)")
_NO_DIGITS: Final = re.compile(rb"0[xX]|\\[xX]|[hH:\-._]")


def skipped(line: bytes) -> int:
    """How many bytes at the start of some text are stepped over even between hex digits: an escape code, a count."""
    match = _ESCAPE_CODE.match(line) or _COUNT.match(line)
    return match.end() if match else 0


def _tokens(line: bytes) -> tuple[list[_Token], bool, Stamp | None]:
    """Cut a line into tokens; whether there was something like a time, and its value if it tells one."""
    tokens: list[_Token] = []
    time: Stamp | None = None
    timed = marked = False
    at = 0
    while at < len(line):
        if match := _ESCAPE_CODE.match(line, at) or _COUNT.match(line, at):
            at = match.end()
            continue
        if match := _ARROWS.match(line, at):
            tokens.append(_Token(_ARROW, at, match[0], side=int(match[0][:1] == b"<")))
            at = match.end()
            continue
        if _SEPARATOR.match(line, at):
            at += 1
            continue
        if not timed and at < _HEAD and (found := _time_at(line, at, first=not tokens, marked=marked)):
            timed = True
            at, time = found
            continue
        if match := _PAIRS.match(line, at):  # what most lines are made of, in one piece
            data = bytes.fromhex(match[0].decode("ascii"))
            tokens.append(_Token(_HEX, at, match[0], data=data, pairs=True))
            at = match.end()
            continue
        match = _TOKEN.match(line, at)
        assert match is not None  # everything else was tried above
        start, at = at, match.end()
        right = match[0].rstrip(b":-")
        colon = b":" in match[0][len(right) :]
        word = right.lstrip(b":-")
        start += len(right) - len(word)
        if not word:
            if colon and tokens:
                tokens[-1].colon = True
            continue
        if _HEX_WORD.fullmatch(word):
            data = bytes.fromhex(_NO_DIGITS.sub(b"", word).decode("ascii"))
            tokens.append(_Token(_HEX, start, word, colon=colon, data=data, pairs=len(data) == 1))
        else:
            kind, side = _MARKS.get(word.lower(), (_WORD, 0))
            marked |= kind == _MARK
            tokens.append(_Token(kind, start, word, side=side, colon=colon))
    return tokens, timed, time


_DATE: Final = re.compile(rb"([0-9]{4})([-/])([0-9]{2})\2([0-9]{2})(?![0-9])")
_GERMAN_DATE: Final = re.compile(rb"([0-9]{2})\.([0-9]{2})\.([0-9]{4})(?![0-9])")
#: Up to three characters stand between a date and its time.
_BETWEEN: Final = re.compile(rb"[ Tt_,\[\]]{1,3}")
_CLOCK: Final = re.compile(rb"([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?![0-9])(?:[.,]([0-9]+))?")
_EPOCH: Final = re.compile(rb"([0-9]{10}|[0-9]{13}|[0-9]{16})(?![0-9])")
_FRACTION: Final = re.compile(rb"[.]([0-9]+)")
_ZONE: Final = re.compile(rb" ?(?:([Zz]|UTC|GMT)|([+-])([0-9]{2})(?:([0-9]{2})|:([0-9]{2}))?(?![0-9]))")
_SCALES: Final = {10: 1_000_000, 13: 1_000, 16: 1}
_DAY: Final = 86_400_000_000


def _time_at(line: bytes, at: int, *, first: bool, marked: bool) -> tuple[int, Stamp | None] | None:
    """Something like a time: where it ends, and its value if it tells one."""
    if not 0x30 <= line[at] <= 0x39:
        return None
    date = _date_at(line, at)
    if date is not None:
        end, days = date
        between = _BETWEEN.match(line, end)
        clock = between and _CLOCK.match(line, between.end())
        if clock:
            end, minutes = _zone_at(line, clock.end())
            micros = _clock_micros(clock)
            if days is None or micros is None:
                return end, None
            local = days * _DAY + micros
            return end, Stamp(local, False) if minutes is None else Stamp(local - minutes * 60_000_000, True)
        return (end, None) if _ends(line, end) else None
    clock = _CLOCK.match(line, at)
    if clock:
        # After a mark, 12:00:01 may as well be three bytes.
        return (clock.end(), None) if (not marked or clock[4]) and _ends(line, clock.end()) else None
    epoch = _EPOCH.match(line, at) if first else None
    if epoch is None:
        return None
    digits = len(epoch[1])
    whole = int(epoch[1]) * _SCALES[digits]
    end, micros = epoch.end(), 0
    fraction = _FRACTION.match(line, end) if digits == 10 else None
    if fraction:
        end, micros = fraction.end(), _micros(fraction[1])
    if not (1_000_000_000_000_000 <= whole < 4_102_444_800_000_000 and _ends(line, end)):
        return None
    return end, Stamp(whole + micros, True)


def _ends(line: bytes, at: int) -> bool:
    rest = line[at : at + 2]
    if not rest or _SEPARATOR.match(rest) or rest[:1] in (b"<", b">", b"\x1b"):
        return True
    return rest[:1] == b":" and (len(rest) == 1 or _SEPARATOR.match(rest, 1) is not None)


def _date_at(line: bytes, at: int) -> tuple[int, int | None] | None:
    """``2024-03-14``, ``2024/03/14`` or ``14.03.2024``: where it ends, and its days since 1970 if it exists."""
    if match := _DATE.match(line, at):
        return match.end(), days(int(match[1]), int(match[3]), int(match[4]))
    if match := _GERMAN_DATE.match(line, at):
        return match.end(), days(int(match[3]), int(match[2]), int(match[1]))
    return None


def days(year: int, month: int, day: int) -> int | None:
    """Days since 1970-01-01 of a date of the Gregorian calendar, from 1970 on; None if there is no such date."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    lengths = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    if year < 1970 or not 1 <= month <= 12 or not 1 <= day <= lengths[month - 1]:
        return None
    before = year - 1
    leaps = before // 4 - before // 100 + before // 400 - (1969 // 4 - 1969 // 100 + 1969 // 400)
    return (year - 1970) * 365 + leaps + sum(lengths[: month - 1]) + day - 1


def _clock_micros(clock: re.Match[bytes]) -> int | None:
    hour, minute, second = (int(part) for part in clock.group(1, 2, 3))
    if hour > 23 or minute > 59 or second > 59:
        return None
    return ((hour * 60 + minute) * 60 + second) * 1_000_000 + (_micros(clock[4]) if clock[4] else 0)


def _micros(fraction: bytes) -> int:
    return int(fraction[:6].ljust(6, b"0"))


def _zone_at(line: bytes, at: int) -> tuple[int, int | None]:
    """``Z``, ``UTC``, ``+01:00``, ``+0100``, perhaps after a space: where it ends, and its minutes."""
    match = _ZONE.match(line, at)
    if match is None or not _ends(line, match.end()):
        return at, None
    if match[1]:
        return match.end(), 0
    hours, minutes = int(match[3]), int(match[4] or match[5] or 0)
    if hours > 23 or minutes > 59:
        return at, None
    return match.end(), (hours * 60 + minutes) * (-1 if match[2] == b"-" else 1)
