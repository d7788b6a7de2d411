"""What stands beside the machine: policy, procedures, and what else may be on the port."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lines import Tables, opened
from osgp_fast.errors import LocalProtocolError, RemoteProtocolError
from osgp_fast.session import RefusalCode, Write, procedure, recognise, refusals
from osgp_fast.session.masking import Masker
from osgp_fast.session.policy import DOS_HOLD_OFF_S, DOS_SESSION_S, NIGHT, Pause, Policy
from osgp_fast.session.procedure import (
    ET59,
    ET85,
    MEP_NUMBERS,
    OPTICAL_NUMBERS,
    Attempt,
    Initiate,
    Once,
    Result,
    ResultCode,
    Sequence,
    Verdict,
    parse_initiate,
    parse_result,
    procedure_name,
)
from osgp_fast.session.refusals import OperationNotPossible
from osgp_fast.wire import c1218, crc, mep

HERE = Path(__file__).resolve().parent
VECTORS = json.loads((HERE / "vectors" / "official_vectors.json").read_text(encoding="utf-8"))

# Policy


def test_a_session_is_logged_off_in_time() -> None:
    policy = Policy()
    assert policy.session_s == 540 < DOS_SESSION_S == 600  # ET51, as delivered: Optical guide p. 15
    assert not policy.must_log_off(1000.0, 1539.9)
    assert policy.must_log_off(1000.0, 1540.0)
    assert policy.log_off_at(1000.0) == 1540.0
    assert policy.may_try_after(5000.0) == 5000.0 + DOS_HOLD_OFF_S == 5300.0


@pytest.mark.parametrize(
    ("pause", "at", "remaining"),
    [
        (Pause(100, 200), 99, 0),
        (Pause(100, 200), 100, 100),
        (Pause(100, 200), 199, 1),
        (Pause(100, 200), 200, 0),
        (Pause(86_000, 300), 86_100, 600),
        (Pause(86_000, 300), 0, 300),
        (Pause(86_000, 300), 299, 1),
        (Pause(86_000, 300), 300, 0),
        (Pause(50, 50), 50, 0),
    ],
)
def test_pauses(pause: Pause, at: float, remaining: float) -> None:
    assert pause.remaining(at) == remaining
    assert Policy(pause=pause).wait(at) == remaining


def test_no_pause_and_the_night() -> None:
    assert Policy(pause=None).wait(0) == 0
    assert Policy().wait(0) == NIGHT.end
    assert Policy().wait(43_200) == 0


# Procedures


def test_the_procedure_of_the_guide() -> None:
    # MEP guide p. 53: EP17 with sequence number 7, action 0, device handle 0x03F8.
    initiate = Initiate(2065, 7, bytes.fromhex("00F803"))
    assert initiate.emit().hex() == "1108" + "07" + "00f803"
    request = next(m for m in VECTORS["mep_rc4"] if m["name"].startswith("EP17"))["request"]
    assert initiate.emit().hex() in request
    assert parse_initiate(initiate.emit()) == initiate
    assert procedure_name(2065) == "EP17"
    assert procedure_name(12) == "BP12"


def test_twelve_bits_and_a_selector() -> None:
    initiate = Initiate(2109, 5, b"", 3)  # EP61, beyond the guide's range
    assert initiate.emit().hex() == "3d3805"
    assert parse_initiate(initiate.emit()) == initiate
    assert parse_initiate(b"\x11\x08") is None


@pytest.mark.parametrize(
    "initiate",
    [Initiate(4096, 1), Initiate(-1, 1), Initiate(1, 256), Initiate(1, 1, b"", 16), Initiate(1, 1, bytes(253))],
)
def test_procedures_that_cannot_be_written(initiate: Initiate) -> None:
    with pytest.raises(LocalProtocolError) as error:
        initiate.emit()
    assert error.value.code == "procedure.argument"


def test_results() -> None:
    result = parse_result(bytes.fromhex("11080703aabb"))
    assert result == Result(2065, 7, 3, b"\xaa\xbb")
    assert result.name == "conflicts with setup"
    assert parse_result(bytes.fromhex("11f80700")).number == 2065  # the filler says nothing
    assert Result(1, 1, 0xF0).name == "result 240"
    assert result.emit().hex() == "11080703aabb"
    assert [code.value for code in ResultCode] == list(range(7))
    with pytest.raises(RemoteProtocolError) as error:
        parse_result(b"\x11\x08\x07")
    assert error.value.code == "procedure.short"
    assert (ET59, ET85) == (2107, 2133)


def test_sequence_numbers_never_repeat_at_once() -> None:
    for numbers in (OPTICAL_NUMBERS, MEP_NUMBERS):
        sequence = Sequence(numbers, last=numbers[0])
        previous = numbers[0]
        for _ in range(600):
            attempt = sequence.start(17)
            assert attempt.initiate.sequence in numbers
            assert attempt.initiate.sequence != previous
            previous = attempt.initiate.sequence
            sequence.finish()
    assert list(MEP_NUMBERS) == [5, 6, 7, 8, 9]
    assert not set(MEP_NUMBERS) & set(OPTICAL_NUMBERS)
    assert 255 not in OPTICAL_NUMBERS


def test_the_next_procedure_waits_for_the_end_of_the_one_before() -> None:
    sequence = Sequence()
    attempt = sequence.start(2065, b"\0")
    with pytest.raises(LocalProtocolError) as error:
        sequence.start(2065, b"\1")
    assert error.value.code == "procedure.under_way"
    number = attempt.initiate.sequence
    assert attempt.verdict(Result(2065, number, 0)) is Verdict.DONE
    assert attempt.verdict(Result(2065, number, 1)) is Verdict.RUNNING
    assert attempt.verdict(Result(2065, number, 5)) is Verdict.FAILED
    assert attempt.verdict(Result(2065, number + 1, 0)) is Verdict.UNKNOWN
    assert attempt.verdict(Result(12, number, 0)) is Verdict.UNKNOWN
    sequence.finish()
    assert sequence.start(2065).initiate.sequence != number
    with pytest.raises(LocalProtocolError):
        Sequence().start(5000)


def test_a_procedure_whose_answer_was_lost_is_executed_once() -> None:
    """Over a line: the write is repeated with the same bytes in a new session, and refused, since it was done."""

    class Meter(Tables):
        def __init__(self) -> None:
            super().__init__(tables={8: b""})
            self.once = Once()
            self.executed: list[bytes] = []

        def log_on(self, user_id: int, user: bytes) -> RefusalCode | None:
            return super().log_on(user_id, user)

        def write(self, table: int, offset: int | None, data: bytes, ped: bytes) -> RefusalCode | None:
            initiate = parse_initiate(data)
            assert initiate is not None
            if not self.once.admits(initiate):
                return RefusalCode.ONP
            self.executed.append(initiate.parameters)
            self.tables[8] = Result(initiate.number, initiate.sequence, 0).emit()
            return None

    meter = Meter()
    sequence = Sequence()
    attempt = sequence.start(2064, b"delta")
    for _ in range(2):
        line, _, _ = opened(meter)
        attempt.written += 1
        refused = None
        try:
            line.ask(Write(procedure.BT07, attempt.initiate.emit()))
        except OperationNotPossible as error:
            refused = error
        if attempt.written == 2:
            assert refused is not None
            assert attempt.refused_as_repeated(refused.fields["number"])
    assert meter.executed == [b"delta"]
    assert attempt.verdict(parse_result(meter.tables[8])) is Verdict.DONE
    assert not Attempt(attempt.initiate, 1).refused_as_repeated(4)


def test_255_is_not_the_first_after_a_log_on() -> None:
    once = Once()
    once.log_on()
    assert not once.admits(Initiate(12, 255))
    assert once.admits(Initiate(12, 10))
    assert once.admits(Initiate(12, 255))
    assert not once.admits(Initiate(12, 255))


def test_hints_name_what_to_do() -> None:
    for kind in refusals.CLASSES.values():
        assert kind.advice
        assert kind.__doc__


# What else is on the port

P1 = b"/KFM5KAIFA-METER\r\n\r\n1-3:0.2.8(42)\r\n0-0:1.0.0(170124213128W)\r\n1-0:1.8.1(000306.946*kWh)\r\n!F2E3\r\n"


def hdlc_frame(payload: bytes) -> bytes:
    head = (0xA000 | len(payload) + 4).to_bytes(2, "big")
    body = head + payload
    return b"\x7e" + body + crc.crc16(body).to_bytes(2, "little") + b"\x7e"


def parity_even(text: bytes) -> bytes:
    return bytes(byte | (byte.bit_count() & 1) << 7 for byte in text)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("p1", P1),
        ("p1", P1[40:]),
        ("iec62056_21", b"/LGZ5\\2ZMD3104407.B14\r\n"),
        ("iec62056_21", parity_even(b"/EMH5\\@01LZQJL0014F\r\n")),
        ("hdlc", hdlc_frame(bytes.fromhex("41080313E6E700") + bytes(40))),
        ("mbus", b"\xe5"[:1] * 3),
        ("mbus", bytes.fromhex("68 03 03 68 08 01 72 7B 16")),
        ("mbus", bytes.fromhex("00 10 5B 01 5C 16")),
        ("wmbus", bytes.fromhex("2E 44 93 15 78 56 34 12 33 03 33 63") + bytes(35)),
        ("modem", b"\r\nOK\r\n"),
        ("modem", b"\r\nNO CARRIER\r\n"),
        ("modem", b"AT+CSQ\r\r\n+CSQ: 21,99\r\n"),
        ("text", b"U-Boot 2019.07 (Mar 14 2024)\r\nHit any key to stop autoboot"),
        ("break", bytes(12)),
        ("break", b"\xff\x00\xff\xff"),
        ("garbled", bytes.fromhex("8aC3e1f09193b7d5a4c2")),
    ],
)
def test_what_the_device_is(kind: str, data: bytes) -> None:
    found = recognise(data)
    assert found is not None
    assert found.kind == kind
    assert found.hint
    assert recognise(data[:0]) is None


@pytest.mark.parametrize("message", VECTORS["mep_rc4"], ids=lambda m: m["name"])
def test_mep_messages_are_recognised(message: dict[str, str]) -> None:
    found = recognise(bytes.fromhex(message["response"]))
    assert found is not None
    assert found.kind == "mep"
    assert "mep:" in found.hint
    assert len(mep.find(bytes.fromhex(message["response"]))) == 1


def test_recognising_is_total() -> None:
    from random import Random

    random = Random(3)
    for _ in range(2000):
        recognise(random.randbytes(random.randrange(60)))


# Masking

SECRET = bytes.fromhex("ee000000001551303132333435363738396162636465666768696a806d")


@pytest.mark.parametrize("step", [1, 5, 100])
def test_passwords_are_masked(step: int) -> None:
    data = b"\x06" + SECRET + b"\xff" + bytes.fromhex("ee0000000001001131") + b"\x15"
    masker = Masker()
    out = b"".join(masker.feed(data[at : at + step]) for at in range(0, len(data), step)) + masker.finish()
    assert len(out) == len(data)
    assert b"0123" not in out
    assert out[1:8] == SECRET[:7]
    packets = [e for e in c1218.PacketParser().feed(out) if isinstance(e, c1218.PacketEvent)]
    assert packets[0].packet.data == b"\x51" + b"*" * 20
    assert out[1 + len(SECRET) :] == data[1 + len(SECRET) :]


def test_passwords_in_pieces_and_damaged_ones_are_masked() -> None:
    masker = Masker()
    pieces = c1218.split(b"\x51" + b"0123456789abcdefghij", 8)
    out = masker.feed(b"".join(piece.emit() for piece in pieces))
    after = c1218.split(b"\x00\x00\x02abcd", 4)
    out += masker.feed(b"".join(piece.emit() for piece in after))
    assert not any(part in out for part in (b"0123", b"789a", b"fghi", b"j"))
    assert b"bcd" in out
    damaged = SECRET[:-1] + b"\0"
    out = masker.feed(damaged) + masker.finish()
    assert len(out) == len(damaged)
    assert b"456" not in out
