"""Integers in table bytes. Table data is least significant byte first; the one exception has ``_be`` in its name."""

from __future__ import annotations


def integer_at(type: str, raw: bytes | memoryview, bits: tuple[int, int] | None) -> int | None:
    """The integer of a catalogue type; None for types that are no integers."""
    if bits is not None or type == "bits":
        value = int.from_bytes(raw, "little")
        if bits is None:
            return value
        low, high = bits
        return value >> low & (1 << high - low + 1) - 1
    match type[0]:
        case "u" if type[1:].isdigit():
            return int.from_bytes(raw, "little")
        case "i" if type[1:].isdigit():
            return int.from_bytes(raw, "little", signed=True)
        case "n":
            return int.from_bytes(raw, "little", signed=True)
        case _:
            return int.from_bytes(raw, "big") if type == "u16_be" else None
