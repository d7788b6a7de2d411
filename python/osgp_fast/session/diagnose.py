"""Bytes from a port on which no OSGP meter answers: what the device is, and what to do.

Nothing here is certain; the most telling pattern wins. Sources of the patterns: DSMR P1 companion standard; IEC 62056-21;
EN 13757-2 (wired M-Bus), EN 13757-4 (wireless M-Bus, frame format A); ISO/IEC 13239 (HDLC) as in DLMS; ITU-T V.250.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ..wire import crc, mep

#: As many bytes as are looked at, from the start.
LOOK: Final = 2048


@dataclass(frozen=True, slots=True)
class Finding:
    """What the bytes are."""

    kind: str
    """p1, iec62056_21, hdlc, mbus, wmbus, mep, modem, text, break or garbled."""
    what: str
    """The same for people."""
    hint: str
    """What to do."""


_P1: Final = Finding(
    "p1",
    "a DSMR P1 telegram: the customer port of another kind of meter",
    "read it with a program for P1; OSGP meters speak on the optical port and on the MEP port",
)
_IEC: Final = Finding(
    "iec62056_21",
    "an IEC 62056-21 identification: the meter speaks the older optical protocol",
    "this is no OSGP meter, or its optical port is set to IEC 62056-21; read it with a program for that (300 bit/s, 7E1)",
)
_HDLC: Final = Finding("hdlc", "HDLC frames, as DLMS meters send them", "read it with a program for DLMS/COSEM")
_MBUS: Final = Finding(
    "mbus", "wired M-Bus", "this is an M-Bus converter; read it with a program for M-Bus (2400 bit/s, 8E1)"
)
_WMBUS: Final = Finding(
    "wmbus", "wireless M-Bus frames", "this is a radio receiver; read it with a program for wireless M-Bus"
)
_MEP: Final = Finding(
    "mep",
    "messages of the MEP port of an OSGP meter",
    "open it as MEP (mep: before the port) with the MEP key; on a port that both share, try again: the optical side has to "
    "start a session first",
)
_MODEM: Final = Finding("modem", "a modem", "this is the port of a modem; choose another one")
_TEXT: Final = Finding("text", "plain text", "some other device is on this port; choose another one")
_BREAK: Final = Finding(
    "break",
    "only bytes 00 and FF: light on the sensor, a head without power, or a very different speed",
    "shade the head, check that it sits over the port, its power (RTS/DTR) and the speed",
)
_GARBLED: Final = Finding(
    "garbled",
    "bytes that are no protocol known here: probably another speed or parity",
    "check the speed (9600 bit/s, 8N1 to begin with) and the head's position",
)

_OBIS: Final = re.compile(rb"\b\d{1,3}-\d{1,3}:\d{1,3}\.\d{1,3}\.\d{1,3}")
_IDENTIFICATION: Final = re.compile(rb"/[A-Za-z]{3}[0-9A-Z][ -~]{0,24}")
_MODEM_WORD: Final = re.compile(
    rb"(?:^|[\r\n])\s*(?:OK|ERROR|RING|NO CARRIER|NO DIALTONE|NO ANSWER|BUSY|CONNECT(?: [0-9]+)?|AT[A-Z+&][ -~]*|\+C[A-Z]{2,}[:?= ]?"
    rb"[ -~]*)\s*(?:[\r\n]|$)"
)


def recognise(data: bytes) -> Finding | None:
    """What some bytes are that came instead of an answer. None: nothing came, or nothing can be said of it."""
    data = data[:LOOK]
    if len(data) < 3:
        return None
    if _hdlc(data):
        return _HDLC
    for text in (data, bytes(byte & 0x7F for byte in data)):  # 7E1 read as 8N1 has the parity in bit 7
        if _IDENTIFICATION.search(text):
            return _P1 if _OBIS.search(text) or b"!" in text else _IEC
        if _OBIS.search(text):
            return _P1
    if _mbus(data):
        return _MBUS
    if _wmbus(data):
        return _WMBUS
    if _MODEM_WORD.search(data):
        return _MODEM
    if not data.strip(b"\x00\xff"):
        return _BREAK
    if mep.find(data):
        return _MEP
    if sum(0x20 <= byte < 0x7F or byte in b"\r\n\t" for byte in data) >= 0.95 * len(data):
        return _TEXT
    return _GARBLED if len(data) >= 8 else None


def _hdlc(data: bytes) -> bool:
    """A frame between flags whose format field fits its length, or whose frame check does."""
    for frame in data.split(b"\x7e"):
        if len(frame) >= 5 and frame[0] & 0xF0 == 0xA0:
            if ((frame[0] & 0x07) << 8 | frame[1]) == len(frame) or crc.holds(frame):
                return True
    return data.startswith(b"\x7e\xa0") or b"\x7e\xa0" in data[: LOOK // 2]


def _mbus(data: bytes) -> bool:
    """A long frame (68 L L 68 ... checksum 16) or a short one (10 C A checksum 16) with a good checksum."""
    for at in range(len(data) - 4):
        if data[at] == 0x68 and data[at + 3] == 0x68 and data[at + 1] == data[at + 2]:
            end = at + 4 + data[at + 1]
            if end + 2 <= len(data) and data[end + 1] == 0x16 and sum(data[at + 4 : end]) & 0xFF == data[end]:
                return True
        if data[at] == 0x10 and data[at + 4] == 0x16 and (data[at + 1] + data[at + 2]) & 0xFF == data[at + 3]:
            return True
    return not data.strip(b"\xe5")


def _wmbus(data: bytes) -> bool:
    """A first block L C M M A*6 with C = 44 or 46, a manufacturer of three letters and BCD digits as number."""
    for at in range(max(len(data) - 9, 0)):
        length, control = data[at], data[at + 1]
        if control in (0x44, 0x46, 0x08) and length >= 9:
            maker = int.from_bytes(data[at + 2 : at + 4], "little")
            letters = all(1 <= maker >> shift & 0x1F <= 26 for shift in (10, 5, 0)) and maker < 0x8000
            number = all(byte & 0x0F <= 9 and byte >> 4 <= 9 for byte in data[at + 4 : at + 8])
            if letters and number:
                return True
    return False
