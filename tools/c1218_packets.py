"""C12.18 packets for benchmarks and mutations; like meter_tables.py independent of the package on purpose.

EE | identity | control | sequence | length (most significant byte first) | data | CRC (least significant byte first)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

START = 0xEE
TOGGLE = 0x20


def _table() -> list[int]:
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ 0x8408 if n & 1 else n >> 1
        table.append(n)
    return table


_CRC = _table()


def crc(data: bytes) -> int:
    """CRC-16/IBM-SDLC."""
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value ^ 0xFFFF


def sealed(head_and_data: bytes) -> bytes:
    """The bytes with their CRC behind them."""
    return head_and_data + struct.pack("<H", crc(head_and_data))


def packet(data: bytes, toggle: bool, control: int = 0, sequence: int = 0) -> bytes:
    """One packet."""
    return sealed(struct.pack(">BBBBH", START, 0, control | (TOGGLE if toggle else 0), sequence, len(data)) + data)


def find(stream: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of the packets of a clean capture."""
    at = 0
    while (at := stream.find(START, at)) >= 0:
        end = at + 8 + int.from_bytes(stream[at + 4 : at + 6], "big")
        if end <= len(stream) and stream[at:end] == sealed(stream[at : end - 2]):
            yield at, end
            at = end
        else:
            at += 1
