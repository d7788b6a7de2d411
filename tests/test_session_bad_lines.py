"""Bad lines: single faults with their outcome, what is known from the field, and a thousand sessions at random."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from lines import PASSWORD, Tables, bench, opened
from osgp_fast.errors import OsgpError, RemoteProtocolError, TransportError
from osgp_fast.session import (
    Connection,
    Data,
    Done,
    Failed,
    Identified,
    Identify,
    Logon,
    Negotiate,
    Read,
    Refused,
    Request,
    Responder,
    Role,
    State,
    Timing,
    Write,
    policy,
)
from osgp_fast.session.dialogue import connect, log_on, read
from osgp_fast.session.message import encode_request, encode_response
from osgp_fast.transport import BadLine, Faults, Line, MemoryPort, SharedPort, VirtualClock
from osgp_fast.transport.memory import Delivery
from osgp_fast.wire import c1218

HERE = Path(__file__).resolve().parent
BIG = bytes(i * 11 & 0xFF for i in range(3000))
TABLES = {1: b"NES 83331", 23: bytes(range(220)), 64: BIG}
MEP = [
    bytes.fromhex(m["response"])
    for m in json.loads((HERE / "vectors" / "official_vectors.json").read_text())["mep_rc4"]
]
IDENTIFY = bytes.fromhex("EE0000000001201310")
IDENTIFIED = bytes.fromhex("EE00000000050000020000A25A")


class Scripted:
    """A line that does to its n-th write what a script says: bytes that arrive instead, None for nothing."""

    def __init__(self, script: dict[int, Any]) -> None:
        self.script = script
        self.count = 0
        self.seen: list[bytes] = []

    def carry(self, data: bytes, now: float, baud: int) -> list[Delivery]:
        at, self.count = self.count, self.count + 1
        self.seen.append(data)
        if at not in self.script:
            return [(now, data)]
        instead = self.script[at]
        instead = instead(data) if callable(instead) else instead
        return [] if instead is None else [(now, instead)]

    def answers(self) -> list[Delivery]:
        return []


def flip(data: bytes) -> bytes:
    at = max(len(data) - 3, 0)
    return data[:at] + bytes((data[at] ^ 0x40,)) + data[at + 1 :]


# The first writes of each side: an ACK and what follows it are one write where nothing comes between.
@pytest.mark.parametrize("what", ["lost", "flipped", "cut", "twice", "stray"])
@pytest.mark.parametrize("at", range(10))
@pytest.mark.parametrize("side", ["out", "back"])
def test_one_fault_anywhere_costs_only_time(what: str, at: int, side: str) -> None:
    fault = {
        "lost": None,
        "flipped": flip,
        "cut": lambda data: data[: len(data) // 2],
        "twice": lambda data: data + data,
        "stray": lambda data: b"\xff\x00" + data,
    }[what]
    handler = Tables(tables=dict(TABLES))
    line, _, _ = bench(handler, **{side: Scripted({at: fault})})
    line.run(connect())
    line.run(log_on(PASSWORD))
    for i in range(3):
        assert line.ask(Write(7, bytes((i,)))) == Done()
        assert line.run(read(line.connection, 64)).data == BIG
    assert [data for _, _, data, _ in handler.written] == [b"\0", b"\1", b"\2"]


def test_a_packet_that_comes_twice_is_acknowledged_and_dropped() -> None:
    meter = Responder(Connection(Role.METER), Tables())
    out = meter.receive(IDENTIFY, 0.0) + meter.tick(0.1)
    assert out == b"\x06" + IDENTIFIED
    out = meter.receive(IDENTIFY, 0.2) + meter.tick(0.3)
    assert out == b"\x06"
    assert meter.connection.counts.duplicates == 1


def test_toggle_bits_alternate_and_stay_when_sent_again() -> None:
    out = Scripted({1: None, 4: None})
    line, _, _ = opened(Tables(tables=dict(TABLES)), out=out)
    line.ask(Read(1))
    events = c1218.PacketParser().feed(b"".join(out.seen))
    packets = [event.packet for event in events if isinstance(event, c1218.PacketEvent)]
    assert [packet.data[0] for packet in packets] == [0x20, 0x61, 0x61, 0x50, 0x51, 0x51, 0x30]
    assert [packet.toggle for packet in packets] == [False, True, True, False, True, True, False]
    assert packets[1] == packets[2]
    assert packets[4] == packets[5]


def test_two_equal_requests_are_two() -> None:
    handler = Tables(tables=dict(TABLES))
    line, _, _ = opened(handler)
    for _ in range(3):
        line.ask(Write(7, b"same"))
    assert len(handler.written) == 3


def test_messages_of_several_packets_lose_none() -> None:
    for at in range(30, 60):
        line, _, _ = opened(Tables(tables=dict(TABLES)), back=Scripted({at: None}), out=Scripted({at // 2: flip}))
        assert line.run(read(line.connection, 64)).data == BIG


def test_a_long_write_in_several_packets() -> None:
    for at in range(8, 24):
        handler = Tables(tables=dict(TABLES))
        line, _, _ = opened(handler, out=Scripted({at: None}))
        assert line.ask(Write(52, BIG)) == Done()
        assert handler.written == [(52, None, BIG, b"")]


def test_a_packet_out_of_order_is_refused() -> None:
    meter = Connection(Role.METER)
    packets = c1218.split(bytes(100), 40)
    meter.receive(packets[0].emit(), 0.0)
    assert meter.tick(0.1) == b"\x06"
    meter.receive(packets[2].emit(), 0.2)
    assert meter.tick(0.3) == b"\x15"
    meter.receive(packets[1].emit(), 0.4)
    assert meter.tick(0.5) == b"\x06"
    meter.receive(packets[2].emit(), 0.6)
    assert meter.tick(0.7).startswith(b"\x06")


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_whole_and_byte_by_byte(step: int) -> None:
    """What is made of the bytes does not depend on how they arrive."""
    message = encode_response(Data(BIG))
    answer = [p.emit() for p in c1218.split(message, 248)]
    noisy = b"\xff\x00" + answer[0] + b"\x06\xff" + answer[1] + answer[1] + b"".join(answer[2:])
    client = logged_on()
    client.send(Read(64), 10.0)
    now, out = 10.0, b""
    for at in range(0, len(noisy), step):
        now += 0.001
        out += client.receive(noisy[at : at + step], now)
    out += client.tick(now + 0.01)
    assert client.next_event() == Data(BIG)
    assert out == b"\x06" * (len(answer) + 1)
    assert client.counts.duplicates == 1


def logged_on(timing: Timing | None = None) -> Connection:
    """A client in the state session, with packets of 256 bytes."""
    client = Connection(Role.CLIENT, timing=timing)
    answers = (Identified(), None, Done())
    for i, request in enumerate((Identify(), Negotiate(256, 255), Logon())):
        client.send(request, float(i))
        response = answers[i]
        message = bytes.fromhex("000100FF06") if response is None else encode_response(response)
        client.receive(b"\x06" + c1218.split(message, 56, toggle=i % 2 == 0)[0].emit(), i + 0.1)
        client.tick(i + 0.2)
        client.next_event()
    assert client.state is State.SESSION
    return client


# From the field


@pytest.mark.parametrize("first", ["nak", "silence"])
@pytest.mark.parametrize("every", [0.0001, 0.3, 1.1, 60.0])
def test_a_port_shared_with_mep(first: Any, every: float) -> None:
    """Generations 2 and 3: the first packet is refused or lost, and answers to the MEP client are on the line."""
    handler = Tables(tables=dict(TABLES))
    clock = VirtualClock()
    meter = SharedPort(Responder(Connection(Role.METER), handler), first=first, messages=MEP, every_s=every)
    port = MemoryPort(meter, clock)
    for _ in range(3):
        port.read(max(3 * every, 0.001))
    line = Line(port, Connection(Role.CLIENT), clock=clock)
    assert line.run(connect()) == Identified()
    line.run(log_on(PASSWORD))
    assert line.run(read(line.connection, 64)).data == BIG
    line.hang_up()
    assert meter.optical


def test_mep_messages_are_no_acks() -> None:
    """06 and 15 within a MEP message mean nothing, whatever is under way."""
    message = bytes.fromhex("0014000009") + bytes.fromhex("0615061506150615060606") + bytes(4)
    client = Connection(Role.CLIENT)
    client.send(Identify(), 0.0)
    client.receive(message + b"\x06" + message, 0.1)
    assert client.tick(0.25) == b""
    assert client.counts.sent_again == 0
    client.receive(b"\x06" + IDENTIFIED, 0.5)
    client.tick(0.6)
    assert client.next_event() == Identified()


def test_mep_messages_are_counted() -> None:
    client = Connection(Role.CLIENT)
    client.send(Identify(), 0.0)
    client.receive(MEP[1], 0.1)
    client.tick(0.3)
    assert client.counts.mep_messages == 1


def test_a_zero_in_place_of_an_ack() -> None:
    handler = Tables(tables=dict(TABLES))
    line, _, clock = opened(handler, back=BadLine(1, Faults(zero_ack=1.0)))
    assert line.ask(Write(52, BIG)) == Done()
    assert handler.written == [(52, None, BIG, b"")]
    assert line.connection.counts.sent_again == 0
    assert clock.now < 1003


def test_late_acks_between_packets() -> None:
    def twice(data: bytes) -> bytes:
        return data + b"\x06" if data == b"\x06" else data + b"\x06\x06"

    handler = Tables(tables=dict(TABLES))
    line, _, _ = opened(handler, back=Scripted(dict.fromkeys(range(1000), twice)))
    for i in range(5):
        assert line.ask(Write(7, bytes((i,)))) == Done()
        assert line.ask(Read(23)) == Data(TABLES[23])
    assert len(handler.written) == 5


def test_a_false_ack_and_a_lost_packet() -> None:
    """A late ACK is taken for that of a packet that was lost: the probe brings it on its way."""
    handler = Tables(tables=dict(TABLES))
    out = Scripted({8: None})
    line, _, clock = opened(handler, out=out, back=Scripted({7: lambda data: data + b"\x06"}))
    start = clock.now
    reply = line.ask(Write(7, b"once"))
    assert reply == Done()
    assert len(handler.written) == 1
    assert clock.now - start < 7


def test_replies_cut_short_are_asked_for_again() -> None:
    client = logged_on()
    client.send(Read(23), 10.0)
    answer = c1218.split(encode_response(Data(TABLES[23])), 248, toggle=True)[0].emit()
    client.receive(b"\x06" + answer[:100], 10.1)
    due = client.deadline()
    assert due == pytest.approx(10.6)
    out = client.tick(10.6) + client.tick(10.7)
    assert out == b"\x15"
    assert client.counts.naks_sent == 1
    client.receive(answer, 10.8)
    assert client.tick(10.9) == b"\x06"
    assert client.next_event() == Data(TABLES[23])


def test_a_new_request_proves_that_the_answer_arrived() -> None:
    meter = Connection(Role.METER)
    meter.receive(IDENTIFY, 0.0)
    meter.next_event()
    meter.send(Identified(), 0.0)
    meter.tick(0.1)
    meter.receive(c1218.split(encode_request(Negotiate()), 56, toggle=True)[0].emit(), 0.5)
    assert meter.next_event() == Negotiate()
    assert meter.tick(0.6) == b"\x06"
    assert meter.tick(4.0) == b""  # the answer is not sent again, though its ACK was lost
    assert meter.counts.sent_again == 0


def test_every_damaged_answer_is_refused() -> None:
    client = logged_on()
    now = 10.0
    for i in range(6):
        client.send(Read(1), now)
        answer = c1218.split(encode_response(Data(bytes((i,)))), 248, toggle=i % 2 == 0)[0].emit()
        client.receive(b"\x06" + flip(answer), now + 0.1)
        assert client.tick(now + 0.7) == b"\x15"
        client.receive(answer, now + 0.8)
        client.tick(now + 0.9)
        assert client.next_event() == Data(bytes((i,)))
        now += 1
    # but not for ever: something that only makes noise gets three
    client.send(Read(1), now)
    client.receive(b"\x06", now)
    for _ in range(9):
        now += 0.2
        client.receive(b"\xee" * 20, now)
        client.tick(now + 0.15)
        client.tick(now + 0.6)
        now += 0.6
    assert client.counts.naks_sent == 6 + 3


@pytest.mark.parametrize("ack", [b"", b"\x06"])
def test_a_long_answer_is_not_interrupted(ack: bytes) -> None:
    client = logged_on()
    client.send(Read(64), 10.0)
    (answer,) = c1218.split(encode_response(Data(BIG)), 8000, toggle=True)
    data, now, out = ack + answer.emit(), 10.0, b""
    for at in range(0, len(data), 200):  # longer than the response time-out (2 s) and the probe (3 s)
        now += 0.3
        out += client.tick(now) + client.receive(data[at : at + 200], now)
    assert now > 14
    assert out == b""
    assert client.next_event() == Data(BIG)


def test_stray_bytes_between_packets() -> None:
    line, _, _ = opened(
        Tables(tables=dict(TABLES)), out=BadLine(1, Faults(stray=1.0)), back=BadLine(2, Faults(stray=1.0))
    )
    assert line.run(read(line.connection, 64)).data == BIG
    assert line.connection.counts.noise_bytes > 10
    assert line.connection.counts.sent_again == 0


@pytest.mark.parametrize("echo", [None, True])
def test_a_head_that_hears_itself(echo: bool | None) -> None:
    handler = Tables(tables=dict(TABLES))
    line, _, clock = bench(handler, echo=echo)
    line.port = MemoryPort(Responder(Connection(Role.METER), handler), clock, echo=True)
    line.run(connect())
    line.run(log_on(PASSWORD))
    assert line.ask(Write(52, BIG)) == Done()
    assert line.run(read(line.connection, 64)).data == BIG
    assert line.connection.echo is True
    assert line.connection.counts.sent_again == 0
    assert line.connection.counts.noise_bytes == 0


def test_an_echo_that_was_excluded_is_named() -> None:
    line, _, clock = bench(Tables(), echo=False)
    line.port = MemoryPort(Silent(), clock, echo=True)
    with pytest.raises(OsgpError) as error:
        line.ask(Identify())
    assert error.value.code.startswith("line.")
    clock.now += 10
    line.connection = Connection(Role.CLIENT)
    with pytest.raises(OsgpError) as error:
        line.ask(Identify())
    assert error.value.fields["echo"] is True
    assert "echoes" in str(error.value)


class Silent:
    """Nobody."""

    baud = 9600

    def receive(self, data: bytes, now: float) -> bytes:
        return b""

    def tick(self, now: float) -> bytes:
        return b""

    def deadline(self) -> float | None:
        return None


def test_an_echo_with_faults() -> None:
    for seed in range(40):
        handler = Tables(tables=dict(TABLES))
        clock = VirtualClock()
        meter = Responder(Connection(Role.METER), handler)
        back = BadLine(seed, Faults(byte_flip=0.0005, byte_lose=0.0005))
        line = Line(MemoryPort(meter, clock, back=back, echo=True), Connection(Role.CLIENT), clock=clock)
        try:
            line.run(connect())
            line.run(log_on(PASSWORD))
            assert line.run(read(line.connection, 64)).data == BIG
        except (TransportError, RemoteProtocolError):
            pass


def test_another_device_is_named() -> None:
    class P1(Silent):
        def receive(self, data: bytes, now: float) -> bytes:
            return b"/ISk5\\2MT382-1000\r\n\r\n1-0:1.8.1(000671.578*kWh)\r\n!1E1D\r\n"

    line, _, clock = bench(Tables())
    line.port = MemoryPort(P1(), clock)
    with pytest.raises(TransportError) as error:
        line.ask(Identify())
    assert error.value.code == "line.not_osgp"
    assert error.value.fields["kind"] == "p1"
    assert "this port is not OSGP optical" in str(error.value)


def test_a_meter_that_cuts_a_long_session_off() -> None:
    """Denial-of-service protection: the meter ends the session and takes none for the hold-off; then all is well."""
    handler = Tables(tables=dict(TABLES))
    inner = Responder(Connection(Role.METER), handler)

    class Guarded(Silent):
        held_until = 0.0
        began: float | None = None

        def receive(self, data: bytes, now: float) -> bytes:
            if self.began is None:
                self.began = now
            if now - self.began > policy.DOS_SESSION_S and now >= self.held_until:
                self.held_until, self.began = now + policy.DOS_HOLD_OFF_S, None
                inner.connection.close(now)
            return b"" if now < self.held_until else inner.receive(data, now)

        def tick(self, now: float) -> bytes:
            return inner.tick(now)

        def deadline(self) -> float | None:
            return inner.deadline()

    line, _, clock = bench(handler)
    line.port = MemoryPort(Guarded(), clock)
    line.run(connect())
    line.run(log_on(PASSWORD))
    start = clock.now
    failed = None
    while failed is None and clock.now < start + 2000:
        clock.now += 4.0
        try:
            line.ask(Read(1))
        except TransportError as error_:
            failed = error_
    assert failed is not None
    cut_off = clock.now
    assert cut_off - start > policy.DOS_SESSION_S
    with pytest.raises(TransportError) as error:
        line.run(connect())
    assert "held off" in error.value.hint or error.value.code == "line.no_ack"
    clock.now = policy.Policy().may_try_after(cut_off)
    assert line.run(connect()) == Identified()


# At random


def random_session(seed: int, faults: Faults, counts: Counter[str]) -> None:
    """A session of reads and writes on a bad line; anything wrong is an assertion, anything failed is counted."""
    random = Random(seed)
    handler = Tables(tables=dict(TABLES))
    clock = VirtualClock()
    meter = Responder(Connection(Role.METER), handler)
    out = BadLine(random, faults, paced=random.random() < 0.5)
    back = BadLine(random, faults, paced=random.random() < 0.5)
    line = Line(MemoryPort(meter, clock, out=out, back=back), Connection(Role.CLIENT), clock=clock)
    sure: list[bytes] = []
    tried: list[bytes] = []
    done = failed = 0
    for attempt in range(3):  # a session that failed is begun anew
        try:
            assert line.run(connect()) == Identified()
            line.run(log_on(PASSWORD))
            for i in range(4):
                data = bytes((attempt, i)) * random.choice((1, 150))
                tried.append(data)
                assert line.ask(Write(7, data)) == Done()
                sure.append(data)
                start, count = random.randrange(2900), random.randrange(1, random.choice((50, 900)))
                assert line.run(read(line.connection, 64, start, count)).data == BIG[start:][:count].ljust(count, b"\0")
                assert line.ask(Read(23)) == Data(TABLES[23])
            done += 1
            break
        except (TransportError, RemoteProtocolError) as error:
            counts[error.code] += 1
            failed += 1
            if isinstance(error, Refused):
                line.connection.close(clock.now)
    executed = [data for _, _, data, _ in handler.written]
    assert len(executed) == len(set(executed)), "a write was executed twice"
    assert set(sure) <= set(executed), "a write was confirmed and not executed"
    assert set(executed) <= set(tried)
    assert [data for data in executed if data in sure] == sure
    assert clock.now - 1000 < 3 * 600, "hours"
    counts["sessions"] += 1
    counts["done"] += done
    counts["failed attempts"] += failed
    counts["virtual seconds"] += int(clock.now - 1000)
    counts["sent again"] += line.connection.counts.sent_again + meter.connection.counts.sent_again
    for what, times in (Counter(out.happened) + Counter(back.happened)).items():
        counts[f"line: {what}"] += times


def test_a_thousand_sessions_on_a_bad_line(capsys: pytest.CaptureFixture[str]) -> None:
    counts: Counter[str] = Counter()
    # 5 % of what is sent is lost, flipped, refused or delayed.
    for seed in range(1000):
        random_session(seed, Faults(lose=0.0125, flip=0.0125, refuse=0.0125, delay=0.0125), counts)
    with capsys.disabled():
        print("\n" + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    assert counts["sessions"] == 1000
    assert counts["done"] >= 990
    for what in ("lose", "flip", "refuse", "delay"):
        assert counts[f"line: {what}"] > 200


def test_worse_lines(capsys: pytest.CaptureFixture[str]) -> None:
    counts: Counter[str] = Counter()
    worse = [
        Faults(lose=0.05, flip=0.05, refuse=0.05, delay=0.05),
        Faults(duplicate=0.2, stray=0.2, cut=0.05, zero_ack=0.05),
        Faults(byte_flip=0.002, byte_lose=0.002),
        Faults(lose=0.3),
        Faults(delay=0.2, delay_s=9.0, duplicate=0.1),
    ]
    for i, faults in enumerate(worse):
        for seed in range(30):
            random_session(10_000 + 100 * i + seed, faults, counts)
    with capsys.disabled():
        print("\n" + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    assert counts["sessions"] == 150
    assert counts["done"] > 60


@pytest.mark.parametrize("role", list(Role))
def test_any_bytes_at_all(role: Role) -> None:
    """Noise: only our errors, an end, bounded memory."""
    random = Random(7)
    requests: list[Request] = [Identify(), Read(1)]
    for round_ in range(300):
        machine = Connection(role) if role is Role.METER else logged_on() if round_ % 2 else Connection(Role.CLIENT)
        now = 100.0
        if role is Role.CLIENT:
            machine.send(requests[round_ % 2], now)
        for _ in range(20):
            now += random.choice((0.001, 0.2, 0.6))
            pieces = [
                bytes((0xEE,)),
                b"\x06",
                b"\x15",
                random.randbytes(random.randrange(20)),
                encode_request(Identify()),
            ]
            machine.receive(b"".join(random.choices(pieces, k=4)), now)
            machine.tick(now)
        for _ in range(1000):
            due = machine.deadline()
            if due is None:
                break
            now = max(due, now)
            machine.tick(now)
        else:
            pytest.fail("no end")
        if role is Role.CLIENT:
            event = machine.next_event()
            assert isinstance(event, Failed | Data | Identified) or event is not None
