"""Passwords out of a stream of bytes, so that it can be kept."""

from __future__ import annotations

from typing import Final

from ..wire.c1218 import ACK, MASK, NAK, Ack, Code, Event, Nak, Noise, Packet, PacketParser, continues, mask_secrets

#: Bytes of a packet around its data that a code stands before.
_CODE: Final = 1


class Masker:
    """One direction's bytes in any chunks; gives them back masked, once it is known what they are."""

    def __init__(self) -> None:
        self._parser = PacketParser()
        self._secret = False

    def feed(self, data: bytes) -> bytes:
        """Bytes that came; gives those that are decided."""
        return self._masked(self._parser.feed(data))

    def finish(self) -> bytes:
        """There is a pause: what is unfinished is damaged."""
        return self._masked(self._parser.finish())

    def _masked(self, events: list[Event]) -> bytes:
        out = bytearray()
        for event in events:
            match event:
                case Noise(_, data):
                    out += mask_secrets(data)
                case Ack():
                    out.append(ACK)
                case Nak():
                    out.append(NAK)
                case _:
                    out += self._packet(event.packet)
        return bytes(out)

    def _packet(self, packet: Packet) -> bytes:
        data = packet.data
        if not continues(packet.control):
            self._secret = data[:_CODE] == bytes((Code.SECURITY,))
            keep = _CODE
        else:
            keep = 0
        if not self._secret:
            return packet.emit()
        masked = data[:keep] + bytes((MASK,)) * len(data[keep:])
        return Packet(packet.identity, packet.control, packet.sequence, masked).emit()
