"""Captures of the MEP port, opened with the keys: the guide's exchanges, TLS, transactions, damage, and the compiled twin."""

from __future__ import annotations

import importlib
import random
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mep_port import (
    GUIDE,
    MAK,
    MBK,
    OTHER,
    RC4,
    TLS,
    Port,
    everything,
    full,
    guide,
    optical,
    partial,
    told,
    transaction,
    write,
)
from osgp_fast.codec.transactions import Response, build_responses, parse_transaction
from osgp_fast.errors import SecurityError
from osgp_fast.scan import Capture, NotRecognised, scan
from osgp_fast.security.messages import refusal
from osgp_fast.security.tls_messages import message, terminate
from osgp_fast.wire import c1218, slip

#: What the guide's exchanges read, with the values that it prints.
GUIDE_IMAGES = [
    (23, 0, RC4[1][1][5:-8]),
    (2101, 0, RC4[4][1][5:-8]),
    (2101, 0, RC4[5][1][5:-8]),
    (2059, 0, bytes.fromhex("054224050605020103f9")),
    (20, 0, bytes.fromhex("3f0efd0f08100104081a")),
    (21, 0, bytes.fromhex("3f0e0c0f08000104081a")),
    (2052, 55, b"\4"),
    (2062, 0, bytes.fromhex("000000000011010001042f00")),
    (2063, 0, bytes.fromhex("004200010002014500010002014800010002010300f80302014b0001000201")),
]


def core() -> Any:
    """The compiled part, if it is there."""
    try:
        return importlib.import_module("osgp_fast._core")
    except ImportError:
        pytest.skip("without the compiled part")


def opened(content: Any, *keys: bytes, **options: Any) -> Capture:
    return scan(content, input="a.bin", stem="a", keys=keys, **options)


def images(capture: Capture) -> list[tuple[int, int, bytes]]:
    return [(i.table, i.offset, bytes(i.data)) for session in capture.sessions for i in session.images]


def codes(capture: Capture) -> list[str]:
    return [reject.code for reject in capture.rejects]


# ---- the guide's exchanges


@pytest.mark.parametrize("encrypt", [False, True])
@pytest.mark.parametrize("alerts", [False, True])
def test_the_guides_exchanges_become_images(encrypt: bool, alerts: bool) -> None:
    port = guide(alerts=alerts, encrypt=encrypt)
    for content in (port.bytes, port.log(), port.log(7), slip.encode(port.bytes)):
        wrap = "slip" if content[:1] == b"\xc0" or content[-1:] == b"\xc0" else None
        capture = opened(content, MBK, GUIDE, wrap=wrap)
        assert images(capture) == GUIDE_IMAGES
        assert codes(capture) == []
        assert (capture.mep_messages, capture.mep_opened, capture.noise_bytes) == (14, 14, 0)
        assert {i.whole for i in capture.sessions[0].images} == {False}
        assert [session.label for session in capture.sessions] == ["a"]


def test_a_clear_image_stands_in_the_file_and_an_enciphered_one_does_not() -> None:
    for encrypt in (False, True):
        port = Port(encrypt=encrypt).read(1, b"abcdef").read(64, b"block", 300)
        first, second = opened(port.bytes, MAK).sessions[0].images
        assert (first.whole, second.whole, second.offset) == (True, False, 300)
        for image in (first, second):
            assert (image.position is None) == encrypt
            if image.position is not None:
                assert port.bytes[image.position : image.position + len(image.data)] == image.data
        times = [image.read_at for image in opened(port.log(), MAK).sessions[0].images]
        assert times == [1_710_410_821_000_000, 1_710_410_823_000_000]


def test_the_guides_tls_session() -> None:
    port = Port()
    port.line = list(TLS)
    for content in (port.bytes, port.log(), port.log(9)):
        capture = opened(content, MBK, GUIDE)
        assert images(capture) == [(2048 + 70, 142, b"\2")], "the port is that of MEP client 2"
        assert codes(capture) == []
        assert (capture.mep_messages, capture.mep_opened) == (6, 2)
        wrong = opened(content, MBK)
        assert (images(wrong), codes(wrong)) == ([], ["mep.tls_key"])


# ---- keys


def test_both_keys_in_one_capture() -> None:
    port = Port().read(1, b"with MAK").read(2, b"with MBK", key=MBK)
    port.encrypt = True
    port.read(3, b"RC4 MBK", key=MBK).read(4, b"RC4 MAK")
    want = [(1, 0, b"with MAK"), (2, 0, b"with MBK"), (3, 0, b"RC4 MBK"), (4, 0, b"RC4 MAK")]
    for keys in ((MAK, MBK), (MBK, OTHER, MAK)):
        assert images(opened(port.bytes, *keys)) == want
    one = opened(port.bytes, MAK)
    assert images(one) == [want[0], want[3]]
    assert set(codes(one)) == {"mep.digest"}
    assert all(b"with MBK" not in r.reason.encode() and b"RC4 MBK" not in r.data for r in one.rejects)


def test_a_wrong_key_is_said_once() -> None:
    for encrypt in (False, True):
        port = guide(encrypt=encrypt)
        for content in (port.bytes, port.log()):
            capture = opened(content, OTHER, MBK)
            assert (images(capture), codes(capture)) == ([], ["mep.wrong_key"])
            (reject,) = capture.rejects
            assert (reject.meter, reject.offset, reject.length) == (
                "a",
                0 if content == port.bytes else content.index(b"TX: ") + 4,
                len(port.bytes),
            )
            assert sorted(reject.data) == sorted(port.bytes), "all of it, a log's directions one after another"
            assert capture.mep_opened == 0


def test_without_a_key_it_is_said_what_to_give() -> None:
    for port in (guide(), guide(encrypt=True), guide(alerts=True)):
        for content in (port.bytes, port.log()):
            capture = opened(content)
            assert codes(capture) == ["mep.no_key"]
            assert "--key" in capture.rejects[0].reason
            assert capture.sessions == []


def test_what_is_no_capture_stays_that() -> None:
    contents = [b"", b"\xff\xd8\xff\xe0\0\x10JFIF", b"just some text\nTX: 01 02 03\n", bytes(5000), b"\xee" * 5000]
    contents += ["a plain text in two bytes".encode("utf-16-be"), random.Random(4).randbytes(5000)]
    for content in contents:
        for keys in ((), (MAK,)):
            with pytest.raises(NotRecognised):
                opened(content, *keys)


def test_a_key_has_a_length() -> None:
    with pytest.raises(SecurityError, match="5 bytes"):
        opened(guide().bytes, b"short")
    assert images(opened(guide().bytes, GUIDE + b"more")) == GUIDE_IMAGES, "the first 16 of 20 bytes"


# ---- the talk at the port


@pytest.mark.parametrize("encrypt", [False, True])
def test_retries_refusals_and_late_answers(encrypt: bool) -> None:
    port = Port(encrypt=encrypt).ask(full(1)).answer(b"\x0c\1\2\3\4").ask(full(1))
    port.line.append(port.line[-1])  # the identical packet
    port.answer(told(b"first"))
    # A lost answer, asked again with a new number; both answers come.
    port.ask(full(2))
    before = port.last
    port.ask(full(2)).raw("S", before.respond(told(b"late"))).answer(told(b"second"))
    port.ask(full(3)).raw("S", refusal()).ask(full(4)).answer(b"\4").ask(write(2098, 0, b"x")).answer(b"\0")
    # An answer twice.
    port.read(5, b"third")
    port.line.append(port.line[-1])
    capture = opened(port.bytes, MAK)
    assert images(capture) == [(1, 0, b"first"), (2, 0, b"late"), (2, 0, b"second"), (5, 0, b"third")]
    assert (codes(capture), capture.repeated) == ([], 2)
    assert opened(port.log(), MAK).repeated == 2


def test_a_replayed_answer_is_no_answer() -> None:
    port = Port().read(1, b"10 kWh")
    old = port.line[-1]
    port.ask(full(1))
    port.line.append(old)
    port.ask(full(1)).answer(told(b"99 kWh"))
    capture = opened(port.bytes, MAK)
    assert images(capture) == [(1, 0, b"10 kWh"), (1, 0, b"99 kWh")]
    assert codes(capture) == ["mep.replay"]
    assert capture.rejects[0].data == old[1]


@pytest.mark.parametrize("encrypt", [False, True])
def test_a_flipped_digest_is_a_reject_unless_it_comes_again(encrypt: bool) -> None:
    good = Port(encrypt=encrypt).read(1, b"one").read(2, b"the second").read(3, b"three")
    want = [(1, 0, b"one"), (2, 0, b"the second"), (3, 0, b"three")]
    at = len(good.bytes) - sum(len(data) for _, data in good.line[3:])
    for bit in (0, 100):
        content = bytearray(good.bytes)
        content[at + 2 + bit // 8] ^= 1 << bit % 8
        capture = opened(bytes(content), MAK)
        assert images(capture) == [want[0], want[2]]
        assert codes(capture) == ["mep.digest"]
        assert (capture.rejects[0].table, capture.rejects[0].data) == (
            2,
            bytes(content[at : at + len(good.line[3][1])]),
        )
    # Asked again with the same packet, or in a new request.
    hurt = bytearray(good.line[3][1])
    hurt[-1] ^= 1
    for again in (good.line[2:3], []):
        port = Port(encrypt=encrypt)
        port.line = [*good.line[:3], ("S", bytes(hurt)), *again]
        port.last, port.sequence = good.last, 0x2000
        port.line += good.line[3:4] if again else Port(encrypt=encrypt).read(2, b"the second").line
        capture = opened(port.bytes, MAK)
        assert (images(capture), codes(capture)) == (want[:2], [])
    # A damaged request that the client sent again.
    hurt = bytearray(good.line[2][1])
    hurt[-1] ^= 1
    port.line = [*good.line[:2], ("C", bytes(hurt)), *good.line[2:]]
    capture = opened(port.bytes, MAK)
    assert (images(capture), codes(capture), capture.repeated) == (want, [], 1)


def test_a_damaged_answer_is_a_reject() -> None:
    for cut in (1, 5, 20):
        port = Port(encrypt=True).read(1, b"one").read(2, b"a longer answer, of which bytes are lost").read(3, b"three")
        side, data = port.line[3]
        port.line[3] = (side, data[:10] + data[10 + cut :])
        capture = opened(port.bytes, MAK)
        assert images(capture) == [(1, 0, b"one"), (3, 0, b"three")]
        assert codes(capture) == ["mep.damaged"]
        assert capture.rejects[0].table == 2
    # The end of the capture cuts it.
    port.line = [*port.line[:5], ("S", port.line[5][1][:-4])]
    assert codes(opened(port.bytes, MAK)) == ["mep.damaged", "mep.damaged"]


def test_answers_that_do_not_fit_their_request() -> None:
    port = Port().ask(partial(1, 0, 2)).answer(told(b"abc")).ask(full(2)).answer(b"\0\0").ask(full(3))
    port.answer(b"\0\0\5abc").ask(full(4096 + 64)).answer(told(b"abc")).ask(b"\x31\0\1\0").answer(told(b"x"))
    capture = opened(port.bytes, MAK)
    assert (images(capture), codes(capture)) == ([], ["capture.count"] * 4 + ["capture.index_read"])
    port = Port(encrypt=True).ask(partial(1, 0, 2)).answer(told(b"abc"))
    (reject,) = opened(port.bytes, MAK).rejects
    assert reject.data == port.line[1][1], "what stood on the line, and not what it says"
    port = Port().ask(full(4096 + 64)).answer(told(b"PEDPEDabc"))
    (image,) = opened(port.bytes, MAK).sessions[0].images
    assert (image.table, image.ped, image.data) == (4160, b"PEDPED", b"abc")


def test_the_serial_number_is_the_label() -> None:
    port = Port(encrypt=True).read(1, b"x").read(2051, b"UTIL-7".ljust(30, b"\0"), 0)
    assert [session.label for session in opened(port.bytes, MAK).sessions] == ["UTIL-7"]
    assert [session.label for session in opened(port.bytes, MAK, meter="mine").sessions] == ["mine"]


def test_one_direction_only() -> None:
    port = Port().read(1, b"x").read(2, b"y")
    assert codes(opened(b"".join(data for side, data in port.line if side == "C"), MAK)) == ["capture.one_direction"]
    assert codes(opened(b"".join(data for side, data in port.line if side == "S"), MAK)) == ["mep.wrong_key"]


# ---- beside the optical port


@pytest.mark.parametrize("encrypt", [False, True])
def test_between_packets_of_the_optical_port(encrypt: bool) -> None:
    port = Port(encrypt=encrypt).read(1, b"mep 1").raw("S", b"\0\0", optical(23, b"optical")).read(2, b"mep 2")
    capture = opened(port.bytes, MAK)
    assert images(capture) == [(1, 0, b"mep 1"), (23, 0, b"optical"), (2, 0, b"mep 2")]
    assert [session.label for session in capture.sessions] == ["a", "a#2", "a#3"]
    assert (codes(capture), capture.packets, capture.mep_opened, capture.noise_bytes) == ([], 6, 4, 0)
    closed = opened(port.bytes)
    assert (images(closed), codes(closed)) == ([(23, 0, b"optical")], [])
    assert closed.mep_messages == 1 if encrypt else 4, "what looks like messages is counted"
    wrong = opened(port.bytes, OTHER)
    assert (images(wrong), codes(wrong)) == ([(23, 0, b"optical")], ["mep.wrong_key"])


def test_a_message_that_holds_a_packet_is_a_message() -> None:
    (packet,) = c1218.split(full(9), 64)
    port = Port().read(1, b"before").read(64, b"." * 30 + packet.emit() + b"." * 30).read(2, b"after")
    capture = opened(port.bytes, MAK)
    assert [table for table, _, _ in images(capture)] == [1, 64, 2]
    assert (capture.packets, codes(capture)) == (0, [])


# ---- TLS


def test_several_tls_sessions() -> None:
    port = Port().handshake().tls_read(1, b"one", 0).raw("C", terminate()).raw("S", b"\0\1\0")
    port.read(2, b"RC4 between").handshake(MBK).tls_read(3, b"three", 7)
    # The meter lost the session: renegotiation.
    port.raw("C", message(0x80, port.client.send(full(4)))).raw("S", b"\0\1\x0a").handshake().tls_read(4, b"four", 0)
    for content in (port.bytes, port.log(), port.log(5)):
        capture = opened(content, MAK, MBK)
        assert images(capture) == [(1, 0, b"one"), (2, 0, b"RC4 between"), (3, 7, b"three"), (4, 0, b"four")]
        assert codes(capture) == []
        one = opened(content, MAK)
        assert images(one) == [(1, 0, b"one"), (2, 0, b"RC4 between"), (4, 0, b"four")]
        assert codes(one) == ["mep.tls_key"]


def test_tls_that_cannot_be_followed() -> None:
    port = Port().handshake().tls_read(1, b"one", 0).tls_read(2, b"two", 0).tls_read(3, b"three", 0)
    hurt = bytearray(port.line[7][1])
    hurt[-1] ^= 1
    capture = opened(b"".join(d for _, d in [*port.line[:7], ("S", bytes(hurt)), *port.line[8:]]), MAK)
    assert (images(capture), codes(capture)) == ([(1, 0, b"one"), (3, 0, b"three")], ["mep.tls_record"])
    assert capture.rejects[0].data == bytes(hurt)
    capture = opened(b"".join(data for _, data in port.line[4:]), MAK)
    assert (images(capture), codes(capture)) == ([], ["mep.tls_handshake"])
    # A retry is the identical message.
    port.line.insert(5, port.line[4])
    capture = opened(port.bytes, MAK)
    assert (len(images(capture)), codes(capture), capture.repeated) == (3, [], 1)
    # Another suite is chosen.
    hello = bytearray(TLS[1][1])
    at = hello.index(b"\0\xa9")
    hello[at : at + 2] = b"\0\xa8"
    port.line = [TLS[0], ("S", bytes(hello))]
    (reject,) = opened(port.bytes, GUIDE).rejects
    assert reject.code == "mep.tls_record"
    assert "00A8" in reject.reason


@pytest.mark.parametrize("missing", [[6], [7], [6, 7], [4, 5], list(range(6, 20))], ids=str)
def test_a_recording_that_lacks_messages_of_tls_is_read_on(missing: list[int]) -> None:
    port = Port().handshake()
    for table in range(1, 10):
        port.tls_read(table, bytes([table]), 0)
    capture = opened(b"".join(data for i, (_, data) in enumerate(port.line) if i not in missing), MAK)
    lost = {(i - 4) // 2 + 1 for i in missing}
    assert images(capture) == [(table, 0, bytes([table])) for table in range(1, 10) if table not in lost]


def test_too_much_of_tls_is_missing() -> None:
    port = Port().handshake()
    for table in range(1, 12):
        port.tls_read(table, bytes([table]), 0)
    capture = opened(b"".join(data for _, data in [*port.line[:4], *port.line[-2:]]), MAK)
    assert (images(capture), set(codes(capture))) == ([], {"mep.tls_record"})


def test_alerts_of_tls() -> None:
    capture = opened(Port().handshake(MAK, server_key=OTHER).bytes, MAK)
    assert codes(capture) == ["mep.tls_alert"]
    assert "alert 20" in capture.rejects[0].reason
    for answer, word in ((b"\0\1\3", "code 03"), (b"\0\3\1\2\x33", "code 01")):
        port = Port().handshake()
        port.line[3] = ("S", answer)
        (reject,) = opened(port.bytes, MAK).rejects
        assert (reject.code, reject.data) == ("mep.tls_alert", answer)
        assert word in reject.reason


def test_rc4_that_begins_like_tls_is_rc4() -> None:
    firsts = set()
    port = Port(encrypt=True)
    while not {0x57, 0x58, 0x59, 0x80} <= firsts:
        port.ask(full(1))
        if port.line[-1][1][2] in {0x57, 0x58, 0x59, 0x80}:
            firsts.add(port.line[-1][1][2])
            port.answer(told(b"x"))
        else:
            port.line.pop()
    capture = opened(port.bytes, MAK)
    assert (len(images(capture)), codes(capture)) == (len(port.line) // 2, [])


# ---- transactions


@pytest.mark.parametrize("encrypt", [False, True])
def test_reads_in_transactions(encrypt: bool) -> None:
    reads = [(64, 100 * n, bytes((n,)) * 60) for n in range(50)]
    port = transaction(transaction(Port(encrypt=encrypt), 7, reads, 200), 8, [(1, 0, b"second")])
    port.read(2101, b"\0" * 5, 0)
    capture = opened(port.bytes, MAK)
    inner = [image for image in images(capture) if image[0] != 2101]
    assert (inner, codes(capture)) == ([*reads, (1, 0, b"second")], [])
    # The same by the codec.
    whole = b"".join(data for table, offset, data in images(capture) if table == 2101 and (offset, len(data)) != (0, 5))
    assert [response.data for response in parse_transaction(whole).responses] == [data for _, _, data in reads]


def test_transactions_that_cannot_be_told() -> None:
    port = transaction(Port(encrypt=True), 7, [(1, 0, b"data")])
    port.line = port.line[2:]
    capture = opened(port.bytes, MAK)
    assert {table for table, _, _ in images(capture)} == {2101}
    assert codes(capture) == ["mep.transaction"]
    assert b"data" not in capture.rejects[0].data
    # A number that differs at the end: the meter is still writing.
    responses = bytearray(build_responses(7, [Response(0, 1, b"x")]))
    responses[-1] ^= 1
    capture = opened(Port().read(2101, bytes(responses), 0).bytes, MAK)
    assert codes(capture) == []


def test_nothing_shows_a_key_or_what_was_enciphered() -> None:
    port = Port(encrypt=True).read(1, b"SECRET-READING").handshake().tls_read(2, b"SECRET-READING", 0)
    for at in range(len(port.bytes)):
        content = bytearray(port.bytes)
        content[at] ^= 0x20
        capture = opened(bytes(content), MAK, MBK)
        shown = repr(capture.rejects).encode() + b"".join(reject.data for reject in capture.rejects)
        for secret in (b"SECRET", MAK, MBK, MAK.hex().encode()):
            assert secret not in shown


# ---- the compiled twin


def both(content: bytes, keys: Sequence[bytes], wrap: str | None = None) -> dict[str, Any] | None:
    """What both twins say, which is the same."""
    try:
        capture = scan(content, input="a.bin", stem="a", keys=keys, wrap=wrap)  # type: ignore[arg-type]
        names = ("packets", "repeated", "noise_bytes", "acks", "naks", "mep_messages", "mep_opened")
        want: dict[str, Any] | None = {
            "sessions": [(s.label, [astuple(i)[1:] for i in s.images]) for s in capture.sessions],
            "rejects": [astuple(reject) for reject in capture.rejects],
            **{name: getattr(capture, name) for name in names},
        }
    except NotRecognised:
        want = None
    assert core().scan_capture(content, "a", "a.bin", None, wrap, 0, list(keys)) == want
    return want


KEYS = [(MAK, MBK), (MBK,), (OTHER,), ()]


@pytest.mark.parametrize("keys", KEYS)
def test_the_twins_open_the_same(keys: tuple[bytes, ...]) -> None:
    for port in (everything(), guide(), guide(encrypt=True, alerts=True)):
        for content in (port.bytes, port.log(), port.log(6)):
            assert both(content, (*keys, GUIDE) if keys else ()) is not None


@pytest.mark.parametrize("seed", range(6))
def test_the_twins_agree_on_damage(seed: int) -> None:
    rng = random.Random(seed)
    whole = everything()
    for _ in range(40):
        port = Port()
        port.line = list(whole.line)
        for _ in range(rng.choice([1, 1, 2, 6])):
            at = rng.randrange(len(port.line))
            side, data = port.line[at]
            what = rng.random()
            if what < 0.15:
                del port.line[at]
            elif what < 0.3:
                port.line.insert(rng.randrange(len(port.line)), (side, data))
            else:
                hurt = bytearray(data)
                place = rng.randrange(len(hurt) + 1)
                hurt[place : place + rng.choice([0, 1, 1, 3])] = rng.randbytes(rng.choice([0, 1, 1, 5]))
                port.line[at] = (side, bytes(hurt))
        content = rng.choice([port.bytes, port.log(), port.log(rng.randrange(1, 30))])
        content = content[: rng.choice([len(content), rng.randrange(len(content) + 1)])]
        both(content, rng.choice(KEYS))


@given(
    st.lists(
        st.binary(max_size=40)
        | st.sampled_from([b"\0\0", b"\0\x14\x3f\0\1", b"\0\x26\x80\x17\3\3\0\x20", b"\0\x09\0", b"\0\x01\x0b"])
        | st.sampled_from([data for _, data in everything().line] + [data for _, data in TLS]),
        max_size=12,
    ),
    st.sampled_from(KEYS),
    st.booleans(),
)
def test_the_twins_agree_on_anything(parts: list[bytes], keys: tuple[bytes, ...], text: bool) -> None:
    content = b"".join(parts)
    if text:
        content = "".join(f"{'RT'[i % 2]}X {part.hex(' ')}\n" for i, part in enumerate(parts)).encode()
    both(content, keys)


def test_what_is_tried_is_bounded() -> None:
    # Every place looks like the start of an enciphered message.
    content = bytes((0, 200)) * 3000
    both(content + b"\1", (MAK,))
    both(guide().bytes + content, (GUIDE,))
