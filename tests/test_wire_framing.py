"""MEP messages and the two ways to stuff bytes: vectors, any chunking, and the compiled twin."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from osgp_fast.errors import LocalProtocolError
from osgp_fast.wire import mep, ppp, slip

VECTORS = Path(__file__).parent / "vectors"


def core() -> Any:
    """The compiled part, if it is there."""
    try:
        return importlib.import_module("osgp_fast._core")
    except ImportError:
        pytest.skip("without the compiled part")


def fed(parser: Any, data: bytes, size: int) -> list[Any]:
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    return [event for piece in pieces for event in parser.feed(piece)] + list(parser.finish())


def published() -> list[bytes]:
    vectors = json.loads((VECTORS / "official_vectors.json").read_text())
    rc4 = [exchange[side] for exchange in vectors["mep_rc4"] for side in ("request", "response")]
    return [bytes.fromhex(text) for text in rc4 + [text for _, text in vectors["mep_tls"]["exchange"]]]


def test_published_messages() -> None:
    everything = b""
    for data in published():
        assert fed(mep.MessageParser(), data, len(data)) == [mep.Message(0, data[2:])]
        split = mep.split_digest(data[2:])
        assert split is not None
        assert mep.emit(*split) == data
        assert mep.find(data) == [(0, len(data))]
        everything += data
        assert mep.find(everything)[-1][1] == len(everything)
    assert len(mep.find(everything)) == 20


def test_alerts_limits_and_lines_for_people() -> None:
    assert fed(mep.MessageParser(), b"\0\0", 1) == [mep.Alert(0)]
    assert mep.find(mep.ALERT) == [(0, 2)]
    with pytest.raises(LocalProtocolError) as caught:
        mep.emit(bytes(mep.MAX_BODY), b"\0")
    assert caught.value.code == "frame.too_long"
    assert str(mep.Message(0, b"\x3fSECRET")) == "message len=7 code=3F"
    assert mep.describe(b"") == "message len=0"
    assert mep.split_digest(b"1234567") is None
    assert "SECRET" not in repr([mep.Message(0, b"SECRET"), mep.Noise(0, b"SECRET"), ppp.Frame(0, b"SECRET")])


mep_lines = st.lists(
    st.binary(max_size=60).map(lambda body: mep.emit(body, bytes(8))) | st.binary(max_size=9), max_size=8
).map(b"".join)


@given(mep_lines, st.integers(1, 40))
def test_any_chunking_gives_the_same_messages(data: bytes, size: int) -> None:
    events = fed(mep.MessageParser(), data, size)
    assert events == fed(mep.MessageParser(), data, len(data) + 1)
    again = b""
    for event in events:
        assert event.position == len(again)
        match event:
            case mep.Message(_, body):
                again += mep.emit(body)
            case mep.Alert():
                again += mep.ALERT
            case mep.Noise(_, noise):
                again += noise
    assert again == data


@given(mep_lines | st.binary(max_size=100))
def test_the_twins_find_the_same_messages(data: bytes) -> None:
    assert core().mep_scan(data) == mep.find(data)


stuffed = st.lists(st.sampled_from([0x7E, 0x7D, 0xC0, 0xDB, 0xDC, 0xDD]) | st.integers(0, 255), max_size=200).map(bytes)


@given(st.lists(stuffed, max_size=5), st.integers(1, 20))
def test_decode_gives_back_what_encode_was_given(payloads: list[bytes], size: int) -> None:
    line = b"".join(map(ppp.encode, payloads))
    assert [event.payload for event in fed(ppp.Decoder(), line, size)] == payloads
    line = b"".join(map(slip.encode, payloads))
    assert [event.payload for event in fed(slip.Decoder(), line, size)] == [p for p in payloads if p]


@given(stuffed, st.integers(1, 20))
def test_any_chunking_gives_the_same_frames(data: bytes, size: int) -> None:
    for decoder in (ppp.Decoder, slip.Decoder):
        assert fed(decoder(), data, size) == fed(decoder(), data, len(data) + 1)


@given(stuffed)
def test_the_twins_stuff_the_same(data: bytes) -> None:
    compiled = core()
    assert compiled.ppp_encode(data) == ppp.encode(data)
    assert compiled.slip_encode(data) == slip.encode(data)
    frames: list[tuple[int, str | None, bytes]] = []
    for event in fed(ppp.Decoder(), data, 7):
        match event:
            case ppp.Frame(position, payload):
                frames.append((position, None, payload))
            case ppp.FrameProblem(position, problem, rest):
                frames.append((position, problem.value, rest))
    assert compiled.ppp_decode(data) == frames
    pieces = []
    for event in fed(slip.Decoder(), data, 7):
        pieces.append((event.position, event.payload if isinstance(event, slip.Frame) else None))
    assert compiled.slip_decode(data) == pieces


@pytest.mark.parametrize(
    ("line", "position", "problem"),
    [
        (b"\x7e\x01\x02\x03\x7e", 1, ppp.Problem.BAD_FCS),
        (ppp.encode(b"abc")[:4], 1, ppp.Problem.TRUNCATED),
        (b"\x01\x02\x7e", 0, ppp.Problem.OUTSIDE),
        (b"\x7e\x01\x7e", 1, ppp.Problem.RUNT),
        (b"\x7e\x01\x02\x7d\x7e", 1, ppp.Problem.ABORTED),
        (b"\x7e" + bytes(ppp.MAX_FRAME + 1) + b"\x7e", 1, ppp.Problem.TOO_LONG),
    ],
)
def test_every_problem_of_a_frame(line: bytes, position: int, problem: ppp.Problem) -> None:
    (event,) = fed(ppp.Decoder(), line, 7)
    assert (event.position, event.problem) == (position, problem)


def test_an_unknown_escape_is_told_and_its_byte_kept() -> None:
    expected = [slip.BadEscape(3), slip.Frame(1, b"\1\2"), slip.BadEscape(6)]
    assert fed(slip.Decoder(), b"\xc0\1\xdb\2\xc0\xdb", 1) == expected
    assert len(fed(slip.Decoder(), bytes(slip.MAX_FRAME + 1), 1000)) == 2
