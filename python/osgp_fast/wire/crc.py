"""CRC-16/IBM-SDLC (also called X-25): the check of C12.18 packets and of RFC 1662 frames, sent low byte first.

Neither zlib nor binascii has it (binascii.crc_hqx is the unreflected one), so the byte table stands here. Beside the
checksum stands the linear algebra that makes resynchronisation cheap: the register of a range of bytes follows from
the registers at its two ends (`range_holds`), so that many overlapping candidates for a packet cost one pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

#: Bytes that a CRC takes.
SIZE: Final = 2
#: The reflected polynomial x^16 + x^12 + x^5 + 1.
_POLYNOMIAL: Final = 0x8408
#: What the register holds after the bytes and their own CRC, before the final inversion.
_GOOD: Final = 0xF0B8


def _byte_table() -> list[int]:
    table = []
    for byte in range(256):
        register = byte
        for _ in range(8):
            register = register >> 1 ^ (_POLYNOMIAL if register & 1 else 0)
        table.append(register)
    return table


_TABLE: Final = _byte_table()


def crc16(data: Iterable[int]) -> int:
    """The CRC of some bytes: ``crc16(b"123456789") == 0x906E``."""
    table = _TABLE
    register = 0xFFFF
    for byte in data:
        register = register >> 8 ^ table[(register ^ byte) & 0xFF]
    return register ^ 0xFFFF


def holds(data: bytes) -> bool:
    """Whether some bytes end with their own CRC, low byte first."""
    return len(data) >= SIZE and crc16(data) == _GOOD ^ 0xFFFF


def registers(start: int, data: bytes) -> list[int]:
    """The register after each byte, from a start value."""
    table = _TABLE
    found = []
    for byte in data:
        start = start >> 8 ^ table[(start ^ byte) & 0xFF]
        found.append(start)
    return found


def _advance_tables() -> list[tuple[list[int], list[int]]]:
    """What a register's low and high byte become after 2^p zero bytes; the map is linear."""
    tables = [(_TABLE, list(range(256)))]
    for _ in range(13):  # up to 2^14 - 1 bytes, more than the longest packet
        low, high = tables[-1]
        tables.append(([low[r & 0xFF] ^ high[r >> 8] for r in low], [low[r & 0xFF] ^ high[r >> 8] for r in high]))
    return tables


_ADVANCE: Final = _advance_tables()


def range_holds(start: int, end: int, count: int) -> bool:
    """Whether a range of ``count`` bytes ends with its own CRC, told from the registers at its two ends."""
    register = start ^ 0xFFFF
    for low, high in _ADVANCE:
        if count & 1:
            register = low[register & 0xFF] ^ high[register >> 8]
        count >>= 1
    return end ^ register == _GOOD
