"""New bytes in the places of the old ones: hex digits of a text log in their columns, frames of a stuffed line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from .. import text_log
from ..errors import InputError
from ..scan import LineStream
from ..wire import ppp, slip
from .names import Names

__all__ = ["rewritten", "wrapped"]

_HEX: Final = frozenset(b"0123456789abcdefABCDEF")
_LOWER: Final = frozenset(b"abcdef")
_UPPER: Final = frozenset(b"ABCDEF")
_STEP: Final = 64 * 1024


def rewritten(data: bytes, streams: list[LineStream], out: list[bytearray], names: Names) -> bytes:
    """A text log with other bytes: digits in the columns and the case of the old ones, also where a column repeats them
    as characters; values that were seen are replaced in the text beside, too. Raises: InputError "scrub.layout"."""
    low = {b"\xff\xfe": 0, b"\xfe\xff": 1}.get(data[:2])
    # Of UTF-16 only the low bytes are of interest, as for whoever reads the log.
    flat = bytearray(data if low is None else data[2 + low :: 2])
    spans: list[tuple[int, int]] = []
    for stream, new in zip(streams, out, strict=True):
        for i, chunk in enumerate(stream.chunks):
            end = stream.chunks[i + 1].at if i + 1 < len(stream.chunks) else len(new)
            at = chunk.file if low is None else (chunk.file - 2) // 2
            spans.append(_line(flat, at, bytes(stream.bytes[chunk.at : end]), bytes(new[chunk.at : end])))
    _beside(flat, sorted(spans), names)
    if low is None:
        return bytes(flat)
    whole = bytearray(data)
    whole[2 + low :: 2] = flat
    return bytes(whole)


def _line(flat: bytearray, start: int, real: bytes, made: bytes) -> tuple[int, int]:
    """Write one line's bytes; gives the span of its digits."""
    digits = list(_digits(flat, start, 2 * len(real)))
    if bytes(flat[at] for at in digits).lower() != real.hex().encode():
        line = 1 + bytes(flat[:start]).count(b"\n")
        raise InputError(
            "scrub.layout", f"line {line}: its hex digits cannot be written anew", "write the line as pairs of digits"
        )
    end = digits[-1] + 1 if digits else start
    if real == made:
        return start, end
    written = bytes(flat[at] for at in digits)
    upper = not any(d in _LOWER for d in written) or any(d in _UPPER for d in written)
    text = made.hex().upper() if upper else made.hex()
    for at, digit in zip(digits, text.encode(), strict=True):
        flat[at] = digit
    _characters(flat, start, end, real, made)
    return start, end


def _digits(flat: bytearray, at: int, count: int) -> Iterator[int]:
    """Where the digits stand, as `text_log` reads them: over all that it steps over."""
    while count and at < len(flat) and flat[at] not in b"\r\n":
        if flat[at] in b"\x1b(" and (step := text_log.skipped(bytes(flat[at : at + 64]))):
            at += step
            continue
        if flat[at] in _HEX and not (flat[at] == 0x30 and bytes(flat[at + 1 : at + 2]).lower() == b"x"):
            yield at
            count -= 1
        at += 1


def _characters(flat: bytearray, start: int, end: int, real: bytes, made: bytes) -> None:
    """The column of a hex dump that shows the bytes as characters."""
    if len(real) < 2:
        return
    begin = 1 + max(flat.rfind(b"\n", 0, start), flat.rfind(b"\r", 0, start))
    stop = next((at for at in range(end, len(flat)) if flat[at] in b"\r\n"), len(flat))
    shown = b"".join(b"(?:%s)" % (re.escape(bytes((b,))) if 0x21 <= b < 0x7F else rb"[^!-~\r\n]|\.") for b in real)
    for low, high in ((end, stop), (begin, start)):
        for match in re.finditer(shown, bytes(flat[low:high])):
            for i, (old, new) in enumerate(zip(real, made, strict=True)):
                if old != new:
                    flat[low + match.start() + i] = new if 0x21 <= new < 0x7F else ord(".")


def _beside(flat: bytearray, spans: list[tuple[int, int]], names: Names) -> None:
    """Everything but the digits."""
    at = 0
    for start, end in (*spans, (len(flat), len(flat))):
        if start > at:
            flat[at:start] = names.known(bytes(flat[at:start]), text=True)
        at = max(at, end)


def wrapped(data: bytes, wrap: str, payload: bytes, mask: int) -> bytes:
    """A raw capture of a stuffed line, its frames made anew of the payload; damaged ones are hidden."""
    if text_log.is_text(data):
        raise InputError(
            "scrub.wrap",
            "a stuffed line in a text log cannot be scrubbed",
            "turn the log into raw bytes first, or share a log of the unstuffed bytes",
        )
    out = bytearray()
    at = used = 0
    decoder = ppp.Decoder() if wrap == "ppp" else slip.Decoder()
    for event in _events(decoder, data):
        flag = ppp.FLAG if wrap == "ppp" else slip.END
        if isinstance(event, ppp.Frame | slip.Frame):
            end = data.find(flag, event.position)
            end = len(data) if end < 0 else end
            out += _hidden(data[at : event.position], flag, mask)
            part = payload[used : used + len(event.payload)]
            out += ppp.encode(part)[1:-1] if wrap == "ppp" else slip.encode(part).strip(bytes((flag,)))
            used += len(event.payload)
            at = end
    return bytes(out + _hidden(data[at:], flag, mask)) if used else data


def _hidden(data: bytes, flag: int, mask: int) -> bytes:
    return bytes(byte if byte in (flag, 0x00, 0xFF, 0x06, 0x15) else mask for byte in data)


def _events(decoder: ppp.Decoder | slip.Decoder, data: bytes) -> Iterator[ppp.Event | slip.Event]:
    for at in range(0, len(data), _STEP):
        yield from decoder.feed(data[at : at + _STEP])
    yield from decoder.finish()
