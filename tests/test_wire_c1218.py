"""C12.18 packets: published vectors, any chunking, hostile bytes, and the compiled twin."""

from __future__ import annotations

import importlib
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from osgp_fast.errors import FrameError, LocalProtocolError
from osgp_fast.wire import c1218, crc
from osgp_fast.wire.c1218 import Ack, Assembler, Lost, Nak, Noise, Outcome, Packet, PacketEvent, PacketParser

VECTORS = Path(__file__).parent / "vectors"

packets = st.builds(
    Packet,
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 255),
    st.binary(max_size=80) | st.lists(st.sampled_from([0xEE, 6, 0x15, 0]), max_size=40).map(bytes),
)


def _flipped(data: bytes, at: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes((data[at] ^ 0x10,)) + data[at + 1 :]


#: Packets, single bytes, noise, headers that lead nowhere.
lines = st.lists(
    packets.map(Packet.emit)
    | packets.map(lambda packet: packet.emit()[: len(packet.data) // 2 + 3])
    | st.builds(_flipped, packets.map(Packet.emit), st.integers(0, 500))
    | st.integers(0, 0x2100).map(lambda size: b"\xee\0\0\0" + size.to_bytes(2, "big"))
    | st.sampled_from([b"\x06", b"\x15"])
    | st.binary(max_size=40),
    max_size=12,
).map(b"".join)


def whole(data: bytes) -> list[c1218.Event]:
    parser = PacketParser()
    return parser.feed(data) + parser.finish()


def core() -> Any:
    """The compiled part, if it is there."""
    try:
        return importlib.import_module("osgp_fast._core")
    except ImportError:
        pytest.skip("without the compiled part")


def published() -> list[str]:
    found = []
    for name, key in (("official_vectors.json", "c1218_packets"), ("real_captures.json", "c1218_start")):
        found += json.loads((VECTORS / name).read_text())[key]["packets"]
    return found


@pytest.mark.parametrize("text", published())
def test_published_packets(text: str) -> None:
    data = bytes.fromhex(text)
    parsed = c1218.parse(data + b"\xa5")
    assert isinstance(parsed, tuple)
    packet, used = parsed
    assert used == len(data)
    assert packet.emit() == data
    assert packet.crc == int.from_bytes(data[-2:], "little")
    assert whole(data) == [PacketEvent(0, packet)]
    assert c1218.scan_packets(data).data_offset.tolist() == [6]


def test_crc() -> None:
    assert crc.crc16(b"123456789") == 0x906E
    assert crc.crc16(b"") == 0


@given(packets, st.binary(max_size=3))
def test_parse_gives_back_what_emit_was_given(packet: Packet, tail: bytes) -> None:
    data = packet.emit()
    assert c1218.parse(data + tail) == (packet, len(data))
    for cut in range(len(data)):
        missing = c1218.parse(data[:cut])
        assert isinstance(missing, int)
        assert 0 < missing <= len(data) - cut


def test_errors_have_codes_and_offsets() -> None:
    good = Packet(0, 0, 0, b"\x20").emit()
    for data, code, offset in (
        (b"\x06", "frame.no_start", 0),
        (b"\xee\0\0\0\x1f\xf9", "frame.too_long", 4),
        (good[:-1] + b"\0", "frame.bad_crc", 7),
    ):
        with pytest.raises(FrameError) as caught:
            c1218.parse(data)
        assert (caught.value.code, caught.value.fields["offset"]) == (code, offset)
    with pytest.raises(LocalProtocolError) as local:
        c1218.encode_packet(0, 0, 0, bytes(c1218.MAX_DATA + 1))
    assert local.value.code == "frame.too_long"
    with pytest.raises(LocalProtocolError):
        c1218.split(bytes(300), 1)


@given(lines, st.lists(st.integers(0, 1000), max_size=8))
def test_any_chunking_gives_the_same(data: bytes, cuts: list[int]) -> None:
    expected = whole(data)
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for pieces in (
        [data[a:b] for a, b in pairwise(edges)],
        [data[i : i + 1] for i in range(len(data))],
    ):
        parser = PacketParser()
        events = [event for piece in pieces for event in parser.feed(piece)] + parser.finish()
        assert events == expected
        assert parser.pending == 0


@given(lines)
def test_the_events_are_the_line(data: bytes) -> None:
    again = b""
    positions = []
    for event in whole(data):
        assert event.position == len(again)
        match event:
            case PacketEvent(position, packet):
                positions.append(position)
                again += packet.emit()
            case Ack():
                again += b"\x06"
            case Nak():
                again += b"\x15"
            case Noise(_, noise):
                again += noise
    assert again == data
    assert c1218.scan_packets(data).position.tolist() == positions


@given(lines | st.binary(max_size=300))
def test_the_twins_find_the_same(data: bytes) -> None:
    compiled = core()
    columns = c1218.scan_packets(data)
    names = ("position", "identity", "control", "sequence", "data_offset", "data_len")
    assert compiled.scan_packets(data) == {name: getattr(columns, name).tobytes() for name in names}
    assert compiled.crc16(data) == crc.crc16(data)
    assert compiled.mask_secrets(data) == c1218.mask_secrets(data)
    told = []
    for event in whole(data):
        match event:
            case PacketEvent(position, packet):
                told.append(("packet", position, packet.data))
            case Ack(position):
                told.append(("ack", position, b""))
            case Nak(position):
                told.append(("nak", position, b""))
            case Noise(position, noise):
                told.append(("noise", position, noise))
    assert compiled.parse_packets([data[:7], data[7:]]) == told


@given(packets)
def test_the_twins_write_the_same(packet: Packet) -> None:
    assert core().encode_packet(packet.identity, packet.control, packet.sequence, packet.data) == packet.emit()


def test_hostile_lengths_cost_linear_time_and_bounded_memory() -> None:
    # Each of these claims 8184 bytes: done naively, this takes minutes.
    data = b"\xee\0\0\0\x1f\xf0" * 40_000
    start = time.perf_counter()
    assert len(c1218.scan_packets(data)) == 0
    parser = PacketParser()
    noise = 0
    for at in range(0, len(data), 1000):
        events = parser.feed(data[at : at + 1000])
        assert all(isinstance(event, Noise) and len(event.data) == c1218.MAX_NOISE for event in events)
        noise += len(events) * c1218.MAX_NOISE
        assert parser.pending < c1218.MAX_PACKET
    noise += sum(len(event.data) for event in parser.finish() if isinstance(event, Noise))
    assert noise == len(data)
    assert time.perf_counter() - start < 30


def test_ack_and_nak_mean_nothing_within_a_damaged_packet() -> None:
    damaged = _flipped(Packet(0, 0, 0, b"\x06\x15\x06").emit(), 6)
    assert whole(damaged + b"\x15") == [Noise(0, damaged), Nak(len(damaged))]


@given(st.binary(min_size=1, max_size=2000), st.integers(8, 300), st.booleans())
def test_messages_survive_being_split(message: bytes, size: int, toggle: bool) -> None:
    assembler = Assembler()
    parts = c1218.split(message, size, toggle=toggle)
    for i, packet in enumerate(parts):
        lost, outcome = assembler.push(packet.control, packet.sequence, packet.crc, packet.data)
        assert lost is None
        assert outcome == (Outcome.MESSAGE if i + 1 == len(parts) else Outcome.MORE)
        assert assembler.push(packet.control, packet.sequence, packet.crc, packet.data) == (None, Outcome.REPEATED)
    assert assembler.message == message


def test_a_missing_packet_is_told() -> None:
    parts = c1218.split(bytes(40), 10)
    assembler = Assembler()

    def push(i: int) -> tuple[Lost | None, Outcome]:
        return assembler.push(parts[i].control, parts[i].sequence, i, parts[i].data)

    assert push(0) == (None, Outcome.MORE)
    assert push(2) == (Lost(2, 1, bytes(10)), Outcome.STRAY)
    assert push(3) == (None, Outcome.STRAY)
    assert push(0) == (None, Outcome.MORE)
    assert assembler.under_way
    assert assembler.abandon() == Lost(2, None, bytes(10))


def test_one_line_for_people_and_no_password() -> None:
    def line(control: int, data: bytes) -> str:
        return str(Packet(0, control, 2, data))

    assert line(0x20, b"\x51PASSWORD") == "packet id=00 toggle=1 len=9 51 security"
    assert line(0x80, b"SWORD") == "packet id=00 toggle=0 seq=2 len=5 continuation"
    assert line(0xC0, b"\x30\x08\x15") == "packet id=00 toggle=0 seq=2 first len=3 30 full_read table=2069"
    assert line(0, bytes.fromhex("3f00400100020009")).endswith("3F partial_read table=64 offset=65538 count=9")
    assert line(0, b"") == "packet id=00 toggle=0 len=0 empty"
    names = {code: c1218.code_name(code) for code in (4, 0x31, 0x60, 0x7F)}
    assert names == {4: "refused", 0x31: "index_read", 0x60: "negotiate", 0x7F: "unknown"}
    for shown in (Packet(0, 0, 0, b"\x51SECRET"), Noise(0, b"SECRET"), Lost(None, None, b"SECRET")):
        assert "SECRET" not in repr(shown) + str(shown)
    assert "SECRET" not in repr(whole(Packet(0, 0, 0, b"\x51SECRET").emit() + b"SECRET"))
