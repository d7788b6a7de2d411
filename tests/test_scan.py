"""Serial captures and text logs to table images: sessions, labels, every reject, and the compiled twin."""

from __future__ import annotations

import importlib
import mmap
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from osgp_fast import text_log
from osgp_fast.image import table_name
from osgp_fast.reject import Reject
from osgp_fast.scan import Capture, NotRecognised, Wrap, masked_head, scan
from osgp_fast.text_log import Stamp
from osgp_fast.wire import c1218, ppp, slip

SAMPLES = Path(__file__).parent / "samples"
ASK, ANSWER = 0, 1
HOUR = 3_600_000_000


def core() -> Any:
    """The compiled part, if it is there."""
    try:
        return importlib.import_module("osgp_fast._core")
    except ImportError:
        pytest.skip("without the compiled part")


class Talk:
    """Both ends of a line, writing what they say into one capture."""

    def __init__(self) -> None:
        self.bytes = b""
        self.toggles = [False, False]

    def packets(self, sender: int, message: bytes, size: int = 56) -> list[bytes]:
        parts = c1218.split(message, size, toggle=self.toggles[sender])
        self.toggles[sender] ^= len(parts) % 2 == 1
        return [part.emit() for part in parts]

    def say(self, sender: int, message: bytes, size: int = 56) -> Talk:
        for packet in self.packets(sender, message, size):
            self.bytes += packet + b"\x06"
        return self

    def ask(self, message: bytes) -> Talk:
        return self.say(ASK, message)

    def answer(self, message: bytes) -> Talk:
        return self.say(ANSWER, message)

    def raw(self, *data: bytes) -> Talk:
        self.bytes += b"".join(data)
        return self

    def start(self) -> Talk:
        return self.ask(b"\x20").answer(b"\0\0\2\0\0")


def full(table: int) -> bytes:
    return b"\x30" + table.to_bytes(2, "big")


def partial(table: int, offset: int, count: int) -> bytes:
    return b"\x3f" + table.to_bytes(2, "big") + offset.to_bytes(3, "big") + count.to_bytes(2, "big")


def data(content: bytes) -> bytes:
    return b"\0" + len(content).to_bytes(2, "big") + content + bytes((-sum(content) & 0xFF,))


def capture_of(content: Any, **options: Any) -> Capture:
    return scan(content, input="a.bin", stem="a", local_to_utc=lambda local: local - HOUR, **options)


def images(capture: Capture) -> list[tuple[int, int, bytes]]:
    return [(i.table, i.offset, bytes(i.data)) for session in capture.sessions for i in session.images]


def codes(capture: Capture) -> list[str]:
    return [reject.code for reject in capture.rejects]


def as_log(content: bytes, time: str = "12:00:00", form: Callable[[bytes], str] = lambda b: b.hex(" ").upper()) -> str:
    """A text log with a line for every packet, and one for every byte between packets."""
    log = ""
    at = 0
    packets = c1218.scan_packets(content)
    for start, offset, size in zip(packets.position, packets.data_offset, packets.data_len, strict=True):
        side = "TX" if content[offset] >= 0x20 else "RX"
        log += "".join(f"{time} RX: {form(content[i : i + 1])}\n" for i in range(at, start))
        at = offset + size + 2
        log += f"{time} {side}: {form(content[start:at])}\n"
    return log


def test_full_and_partial_reads_become_images() -> None:
    talk = Talk().start().ask(full(1)).answer(data(b"abc")).ask(partial(64, 300, 5)).answer(data(b"hello"))
    talk.ask(full(4150)).answer(data(b"PEDPED\1\2")).ask(partial(64, 0, 9)).answer(data(b"short"))
    talk.ask(b"\x52").answer(b"\0")
    capture = capture_of(talk.bytes)
    assert images(capture) == [(1, 0, b"abc"), (64, 300, b"hello"), (4150, 0, b"\1\2"), (64, 0, b"short")]
    assert capture.rejects == []
    (session,) = capture.sessions
    assert session.label == "a"
    assert {(i.meter, i.session, i.input, i.read_at) for i in session.images} == {("a", 1, "a.bin", None)}
    assert [i.whole for i in session.images] == [True, False, True, False]
    assert session.images[2].ped == b"PEDPED"
    for image in session.images:
        assert image.position is not None
        assert talk.bytes[image.position : image.position + len(image.data)] == image.data
    assert (capture.acks, capture.noise_bytes) == (12, 0)


def test_the_sample_session(tmp_path: Path) -> None:
    raw, log = (SAMPLES / "session.bin").read_bytes(), (SAMPLES / "session.log").read_bytes()
    (tmp_path / "raw").write_bytes(raw)
    with (tmp_path / "raw").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        captures = [capture_of(raw), capture_of(log), capture_of(mapped)]
    for capture in captures:
        assert (capture.rejects, capture.noise_bytes, len(capture.sessions)) == ([], 0, 1)
        assert capture.sessions[0].label == "UTIL-0002001"
        assert len(capture.sessions[0].images) == 18
        for image in capture.sessions[0].images:
            file_name = f"{table_name(image.table)}.bin"
            assert image.data == (SAMPLES / "dump" / "M00002001" / file_name).read_bytes()
    assert captures[1].sessions[0].images[0].read_at == 1_710_410_850_173_000 - HOUR


@pytest.mark.parametrize(
    "form",
    [
        lambda b: b.hex(),
        lambda b: b.hex(":").upper(),
        lambda b: b.hex("-"),
        lambda b: " ".join(f"0x{x:02X}" for x in b),
        lambda b: ", ".join(f"0x{x:02x}" for x in b),
        lambda b: f"{b.hex('.').upper()} ({len(b)})",
        lambda b: "".join(f"\\x{x:02x}" for x in b),
    ],
)
def test_a_log_gives_the_same_as_raw_bytes(form: Callable[[bytes], str]) -> None:
    talk = Talk().start().ask(full(1)).answer(data(b"\7" * 300)).ask(b"\x21").answer(b"\0")
    expected = images(capture_of(talk.bytes))
    capture = capture_of(as_log(talk.bytes, form=form).encode())
    assert (images(capture), capture.rejects) == (expected, [])
    assert capture.sessions[0].images[0].read_at is None
    capture = capture_of(as_log(talk.bytes, "[2024-03-14 10:07:30,250]", form).encode("utf-16"))
    assert images(capture) == expected
    assert capture.sessions[0].images[0].read_at == 1_710_411_850_000_000 - 1_000_000_000 + 250_000 - HOUR
    # Neither sides nor times: a plain hex dump.
    assert images(capture_of(talk.bytes.hex(" ", 1).encode())) == expected


def test_labels_and_sessions() -> None:
    serial = b"  UTIL\xe9-7 ".ljust(143, b"\0")
    talk = Talk().start().ask(full(2051)).answer(data(serial)).ask(b"\x52").answer(b"\0")
    talk.start().ask(full(1)).answer(data(b"x"))
    talk.start()  # nothing read
    talk.start().ask(full(2051)).answer(data(b" " * 40)).ask(b"\x21")
    talk.ask(partial(2051, 0, 4)).answer(data(b"UTIL"))
    capture = capture_of(talk.bytes)
    assert [session.label for session in capture.sessions] == ["UTILé-7", "a#2", "a#3", "a#4"]
    assert [session.images[0].session for session in capture.sessions] == [1, 2, 3, 4]
    assert {session.label for session in capture_of(talk.bytes, meter="mine").sessions} == {"mine"}


def test_repeated_packets_and_noise_are_only_counted() -> None:
    talk = Talk().start()
    ask = b"".join(talk.packets(ASK, full(1)))
    answer = talk.packets(ANSWER, data(b"\x09" * 200))
    damaged = answer[1][:20] + b"!" + answer[1][21:]
    talk.raw(b"\xff\0", ask[:6], b"\x15", ask, ask, b"\x06", answer[0], answer[0], damaged, b"\x15")
    talk.raw(*answer[1:], answer[-1], b"\x06").ask(b"\x52").answer(b"\0")
    capture = capture_of(talk.bytes)
    assert images(capture) == [(1, 0, b"\x09" * 200)]
    assert (capture.rejects, capture.repeated) == ([], 3)
    assert capture.noise_bytes > 60


def test_a_sender_that_never_toggles() -> None:
    talk = Talk()
    for table in (1, 2, 2, 3):
        talk.toggles = [False, False]
        talk.ask(full(table))
        talk.toggles = [False, False]
        talk.answer(data(b"same"))
    assert [table for table, _, _ in images(capture_of(talk.bytes))] == [1, 2, 2, 3]


def test_mep_messages_between_packets_do_not_disturb() -> None:
    message = bytes.fromhex("00143f0017000000002c01020304050607ee15060102")
    talk = Talk().raw(message).start().raw(message).ask(full(1)).raw(b"\0\0").answer(data(b"abc")).raw(message)
    capture = capture_of(talk.bytes)
    assert images(capture) == [(1, 0, b"abc")]
    assert (capture.rejects, capture.mep_messages, capture.naks, capture.noise_bytes) == ([], 3, 0, 0)


def test_refusals_are_no_rejects_and_writes_no_images() -> None:
    talk = Talk().start().ask(full(9)).answer(b"\4").ask(b"\x40\0\7\0\1\x09\xf7").answer(b"\0")
    capture = capture_of(talk.bytes)
    assert (capture.sessions, capture.rejects) == ([], [])


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"\0\0\4abcd\0", "capture.checksum"),
        (b"\0\0\5abcd\0", "capture.count"),
        (data(b"abcde"), "capture.count"),
        (b"\0\0", "capture.count"),
        (b"\0", "capture.count"),
    ],
)
def test_wrong_answers(answer: bytes, code: str) -> None:
    talk = Talk().start().ask(partial(64, 10, 4)).answer(answer).ask(full(1)).answer(data(b"ok"))
    capture = capture_of(talk.bytes)
    assert images(capture) == [(1, 0, b"ok")]
    (reject,) = capture.rejects
    assert (reject.code, reject.table, reject.offset, reject.meter) == (code, 64, 10, "a")
    assert (reject.data, reject.length, reject.input) == (answer, len(answer), "a.bin")


def test_answers_that_cannot_be_placed() -> None:
    talk = Talk().start().ask(full(4150)).answer(data(b"abc")).ask(b"\x31\0\1\0").answer(data(b"abc"))
    talk.ask(full(1)).answer(data(b"x")).answer(data(b"lost"))
    capture = capture_of(talk.bytes)
    assert codes(capture) == ["capture.count", "capture.index_read", "capture.unmatched"]
    assert capture.rejects[2].data == data(b"lost")
    at = capture.rejects[2].offset
    assert at is not None
    assert talk.bytes[at] == 0xEE


def test_a_damaged_answer_that_does_not_come_again() -> None:
    talk = Talk().start().ask(full(64))
    (answer,) = talk.packets(ANSWER, data(b"\x09" * 30))
    answer = answer[:20] + b"!" + answer[21:]
    talk.raw(answer).ask(full(1)).answer(data(b"x"))
    capture = capture_of(talk.bytes)
    assert codes(capture) == ["capture.damaged"]
    assert (capture.rejects[0].data, capture.rejects[0].table) == (answer, 64)
    # The same thing read again later in the session: nothing is lost.
    talk.ask(full(64)).answer(data(b"\x09" * 30))
    assert capture_of(talk.bytes).rejects == []


@pytest.mark.parametrize(("size", "keep", "expected"), [(56, 6, 0), (56, 30, 1), (12, 40, 1), (12, 50, 1)])
def test_an_answer_cut_off_at_the_end(size: int, keep: int, expected: int) -> None:
    talk = Talk().start().ask(full(64))
    answer = b"".join(talk.packets(ANSWER, data(b"\x09" * 30), size))
    capture = capture_of(talk.raw(answer[:keep]).bytes)
    assert codes(capture) == ["capture.truncated"] * expected


@pytest.mark.parametrize("sender", [ASK, ANSWER])
def test_one_direction(sender: int) -> None:
    talk = Talk()
    for message in ((b"\x20", full(1), full(2)), (b"\0\0\2\0\0", data(b"abc"), data(b"def")))[sender]:
        talk.say(sender, message)
    assert codes(capture_of(talk.bytes)) == ["capture.one_direction"]
    assert codes(capture_of(as_log(talk.bytes).encode())) == ["capture.one_direction"]


def test_stuffed_lines() -> None:
    talk = Talk().start().ask(full(1)).answer(data(b"\x7e\x7d\xc0\xdb\5")).ask(full(2)).answer(data(b"x"))
    whole = images(capture_of(talk.bytes))
    pieces = [talk.bytes[at : at + 9] for at in range(0, len(talk.bytes), 9)]
    framed = b"".join(map(ppp.encode, pieces))
    for line, wrap in ((framed, "ppp"), (b"".join(map(slip.encode, pieces)), "slip")):
        capture = capture_of(line, wrap=wrap)
        assert (images(capture), capture.rejects) == (whole, [])
        assert capture.sessions[0].images[0].position is None
        assert images(capture_of(line.hex(" ").encode(), wrap=wrap)) == whole
    bad = framed[:-20] + bytes((framed[-20] ^ 1,)) + framed[-19:]
    capture = capture_of(bad, wrap="ppp")
    assert (images(capture), codes(capture)) == (whole[:1], ["capture.fcs"])


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8\xff\xe0\0\x10JFIF", b"SQLite format 3\0", b"text\nTX: 01 02\n", b"\xee" * 10_000]
)
def test_what_is_no_capture(content: bytes) -> None:
    with pytest.raises(NotRecognised):
        capture_of(content)
    if content[:1] != b"\xee":
        assert masked_head(content, 64) == content[:64]


SECRET = b"SECRETsecretSECRET12"


def shows_secret(shown: bytes) -> bool:
    return any(SECRET[i : i + 4] in shown for i in range(len(SECRET) - 3))


@pytest.mark.parametrize("size", [8, 56])
@pytest.mark.parametrize("change", [1, 0x80, 0x51, 0xFF])
def test_no_reject_shows_a_password(size: int, change: int) -> None:
    begin = Talk().start().ask(full(1)).answer(data(b"x"))
    toggles = list(begin.toggles)
    security = b"".join(begin.packets(ASK, b"\x51" + SECRET, size))
    for at in range(len(security)):
        damaged = security[:at] + bytes((security[at] ^ change,)) + security[at + 1 :]
        talk = Talk().raw(begin.bytes, damaged)
        variants = [(talk.bytes, None), (ppp.encode(begin.bytes) + ppp.encode(security), "ppp")]
        framed = bytearray(variants[1][0])
        framed[len(ppp.encode(begin.bytes)) + 1 + min(at, len(framed) - len(ppp.encode(begin.bytes)) - 3)] ^= change
        variants[1] = (bytes(framed), "ppp")
        talk = Talk().raw(begin.bytes)
        talk.toggles = list(toggles)
        talk.ask(full(2)).raw(damaged)
        variants.append((talk.bytes, None))
        variants.append((talk.ask(full(3)).answer(data(b"x")).bytes, None))
        for content, wrap in variants:
            try:
                capture = capture_of(content, wrap=wrap)
            except NotRecognised:
                continue
            assert not any(shows_secret(reject.data) for reject in capture.rejects)
            assert "SECRET" not in repr(capture)
        if size == 56:
            assert not shows_secret(masked_head(damaged, 64))
            assert SECRET[4:8].hex(" ") not in masked_head(f"TX: {damaged.hex(' ')}".encode(), 200).decode()


# ---- text logs


def read(text: str) -> list[str]:
    """The bytes of the three streams."""
    return [stream.bytes.hex().upper() for stream in text_log.parse(text.encode()).streams]


SENT = [
    "TX EE 00 20",
    "TX: EE 00 20",
    "tx: ee0020",
    "[12:00:01] > ee0020",
    "[12:00:01][D][uart_debug:114]: >>> EE:00:20",
    "\x1b[0;36m[12:00:01][D][uart_debug:114]: >>> EE:00:20\x1b[0m",
    "2024-03-14 10:07:30,123 DEBUG reader: Sending: 0xEE 0x00 0x20",
    "Sending packet to the meter: EE-00-20",
    "Sent (3 bytes): EE.00.20",
    "1710410850.25 TX 0xEE,0x00,0x20",
    "-> EE 00 20 (3)",
    "TX [3] EE 00 20",
    "write: \\xEE\\x00\\x20",
    "TX EEh 00h 20h",
    "host -> meter: ee 00 20",
    "\ufeffTX EE0020",
    "TX\nEE 00 20",
    "TX:\r\n  EE 00\r\n  20\r\n",
    "TX 12:00:01.5 EE 00 20",
]
RECEIVED = ["RX 06", "< 06", "<<< 06", "Received: 06", "Recv 0x06", "meter: 06", "[IN] 06", "<-- 06"]
NOTHING = [
    "RX timeout after 10 s",
    "Waiting for response",
    "TX buffer full",
    "",
    "connected to 12 34 56 78",
]
TIMES = {
    "2024-03-14T10:07:30.123 TX 06": Stamp(1_710_410_850_123_000, False),
    "[2024-03-14 10:07:30,123] TX 06": Stamp(1_710_410_850_123_000, False),
    "2024/03/14 10:07:30.123 TX 06": Stamp(1_710_410_850_123_000, False),
    "14.03.2024 10:07:30.123000999 TX 06": Stamp(1_710_410_850_123_000, False),
    "[2024-03-14][10:07:30.123] TX 06": Stamp(1_710_410_850_123_000, False),
    "2024-03-14T10:07:30.123Z TX 06": Stamp(1_710_410_850_123_000, True),
    "2024-03-14 10:07:30.123 UTC TX 06": Stamp(1_710_410_850_123_000, True),
    "2024-03-14 10:07:30.123+01:00 TX 06": Stamp(1_710_407_250_123_000, True),
    "2024-03-14 10:07:30.123 -0130 TX 06": Stamp(1_710_416_250_123_000, True),
    "1710410850 TX 06": Stamp(1_710_410_850_000_000, True),
    "1710410850.5 TX 06": Stamp(1_710_410_850_500_000, True),
    "1710410850123 TX 06": Stamp(1_710_410_850_123_000, True),
    "TX 06": None,
    "12:00:01 TX 06": None,
    "2023-02-29 00:00:00 TX 06": None,
    "2024-03-14 24:00:00 TX 06": None,
    "2024-03-14 TX 06": None,
}


def test_ways_to_write_a_line() -> None:
    assert {line: read(line) for line in SENT} == {line: ["EE0020", "", ""] for line in SENT}
    assert {line: read(line) for line in RECEIVED} == {line: ["", "06", ""] for line in RECEIVED}
    assert {line: read(line) for line in NOTHING} == {line: ["", "", ""] for line in NOTHING}
    assert read("EE 00\n20 06") == ["", "", "EE002006"]
    assert read("00000000: ee00 2006 15  .. ..\n") == ["", "", "EE00200615"]
    assert read("00000000  ee 00 20 06 15  |....|\n") == ["", "", "EE00200615"]


def test_times() -> None:
    for line, stamp in TIMES.items():
        chunks = [chunk for stream in text_log.parse(line.encode()).streams for chunk in stream.chunks]
        assert (line, chunks[0].time) == (line, stamp)
    assert [text_log.days(1970, 1, 1), text_log.days(2000, 3, 1), text_log.days(2100, 3, 1)] == [0, 11_017, 47_541]


# ---- the compiled twin


def compiled_scan(content: bytes, wrap: Wrap) -> dict[str, Any] | None:
    found: dict[str, Any] | None = core().scan_capture(content, "a", "a.bin", None, wrap, -HOUR)
    return found


def python_scan(content: bytes, wrap: Wrap) -> dict[str, Any] | None:
    try:
        capture = capture_of(content, wrap=wrap)
    except NotRecognised:
        return None
    return {
        "sessions": [(session.label, [astuple(i)[1:] for i in session.images]) for session in capture.sessions],
        "rejects": [astuple(reject) for reject in capture.rejects],
        **{
            name: getattr(capture, name)
            for name in ("packets", "repeated", "noise_bytes", "acks", "naks", "mep_messages", "mep_opened")
        },
    }


messages = st.sampled_from(
    [b"\x20", b"\x21", b"\x52", b"\x51" + SECRET, full(1), full(2051), full(4150), b"\0", b"\4"]
) | st.builds(partial, st.sampled_from([1, 64, 2051]), st.integers(0, 300), st.integers(0, 50))
answers = st.binary(max_size=150).map(data) | st.just(data(b"UTIL-1".ljust(143, b"\0"))) | st.binary(max_size=30)
steps = st.lists(
    st.tuples(st.sampled_from([ASK, ANSWER]), messages | answers, st.sampled_from([12, 56]), st.integers(0, 9))
    | st.tuples(st.just(2), st.binary(max_size=30), st.just(0), st.just(0)),
    max_size=14,
)


def played(script: list[tuple[int, bytes, int, int]]) -> Talk:
    """A line on which now and then a packet is damaged, dropped or sent twice, with noise between."""
    talk = Talk().start()
    for sender, message, size, luck in script:
        if sender == 2:
            talk.raw(message)
            continue
        for i, packet in enumerate(talk.packets(sender, message, size)):
            hurt = (
                packet[: len(packet) // 2] + bytes((packet[len(packet) // 2] ^ 0x40,)) + packet[len(packet) // 2 + 1 :]
            )
            copies = {0: [hurt], 1: [], 2: [packet, packet], 3: [hurt, b"\x15", packet]}.get(luck + (i % 2), [packet])
            talk.raw(*copies, b"\x06")
    return talk


@given(steps, st.sampled_from(get_args(Wrap)), st.integers(1, 60), st.booleans(), st.integers(0, 400))
def test_the_twins_scan_the_same(
    script: list[tuple[int, bytes, int, int]], wrap: Wrap, size: int, text: bool, cut: int
) -> None:
    content = played(script).bytes
    content = content[: len(content) - cut] if cut < len(content) // 2 else content
    if wrap != "none":
        encode = ppp.encode if wrap == "ppp" else slip.encode
        content = b"".join(encode(content[at : at + size]) for at in range(0, len(content), size))
        if len(content) > 100 and size % 3 == 0:
            content = content[:90] + b"\x55" + content[91:]
    if text:
        lines = [content[at : at + size] for at in range(0, len(content), size)]
        content = "".join(f"2024-03-14 10:07:30 {'RT'[size % 2]}X {line.hex(' ')}\n" for line in lines).encode()
    assert compiled_scan(content, wrap) == python_scan(content, wrap)


@given(steps, st.sampled_from(["12:00:00", "2024-03-14T10:07:30.5", "1710410850"]))
def test_the_twins_read_the_same_logs(script: list[tuple[int, bytes, int, int]], time: str) -> None:
    content = as_log(played(script).bytes, time).encode()
    assert compiled_scan(content, "none") == python_scan(content, "none")


def test_the_twins_read_the_samples_the_same() -> None:
    for name in ("session.bin", "session.log"):
        content = (SAMPLES / name).read_bytes()
        assert compiled_scan(content, "none") == python_scan(content, "none")


WORDS = st.sampled_from(
    [
        "TX",
        "RX",
        "tx:",
        ">>>",
        "<-",
        "=>",
        "Sending",
        "received:",
        "meter",
        "in",
        "out:",
        "EE",
        "06",
        "00",
        "20",
        "ee0020",
        "0xEE",
        "EE:00:20",
        "EE-00",
        "EE.00.",
        "\\xee\\x00",
        "EEh",
        "0x",
        "12:00:01",
        "12:00:01.25",
        "2024-03-14",
        "2024-03-14T10:07:30Z",
        "14.03.2024",
        "10:07:30,5",
        "+01:00",
        "-0100",
        "UTC",
        "1710410850",
        "1710410850.5",
        "1710410850123",
        "(3)",
        "[",
        "]",
        "|",
        "00000000:",
        "00000000",
        ":",
        "-",
        "::",
        "word",
        "123",
        ",",
        ";",
        "=",
        "(",
        ")",
        "ee002",
        "9:00:00",
        "2024/03/14",
        "_",
        "(12 bytes)",
        "\x1b[0m",
    ]
)
logs = st.lists(
    st.tuples(WORDS | st.text(max_size=3), st.sampled_from(["", " ", " ", "\n", "\r\n", "\t"])), max_size=40
)


@given(logs, st.booleans())
@example([(line, "\n") for line in SENT + RECEIVED + NOTHING + list(TIMES)], False)
def test_the_twins_read_any_text_the_same(parts: list[tuple[str, str]], wide: bool) -> None:
    # The packet at the end makes it a capture; its bytes and times show how every line before was read.
    text = "".join(word + space for word, space in parts).encode("utf-8", "replace").decode()
    text += "\nTX " + Talk().start().ask(full(1)).answer(data(b"x")).bytes.hex(" ") + "\n"
    content = text.encode("utf-16" if wide else "utf-8")
    assert compiled_scan(content, "none") == python_scan(content, "none")
    assert core().masked_head(content, 64) == masked_head(content, 64)
    assert core().read_log(content) == [
        (bytes(stream.bytes), [(c.at, c.file, *(c.time or (None, None))) for c in stream.chunks])
        for stream in text_log.parse(content).streams
    ]


@given(st.binary(max_size=300))
def test_any_bytes_can_be_scanned(content: bytes) -> None:
    assert all(isinstance(stream.bytes, bytearray) for stream in text_log.parse(content).streams)
    assert compiled_scan(content, "ppp") == python_scan(content, "ppp")
    assert len(masked_head(content, 64)) == min(len(content), 64)


def test_a_reject_is_a_reject() -> None:
    talk = Talk().start().ask(full(1)).answer(b"\0\0\1x\0")
    (reject,) = capture_of(talk.bytes).rejects
    assert isinstance(reject, Reject)
    assert "checksum" in reject.reason
