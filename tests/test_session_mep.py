"""The MEP machines: the guide's exchanges byte for byte, RC4 and TLS, pace, alerts, and each thing that can go wrong."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mep_lines import KEYS, MAK, MBK, MepTables, bench, entropy
from osgp_fast import _impl
from osgp_fast.errors import (
    LocalProtocolError,
    OsgpError,
    RemoteProtocolError,
    SecurityError,
    TransportError,
    UsageError,
)
from osgp_fast.image import PENDING
from osgp_fast.security import Key, tls_messages
from osgp_fast.security.messages import Exchange
from osgp_fast.security.tls import TlsClient
from osgp_fast.session import (
    Data,
    Done,
    Failed,
    Identify,
    MepAccess,
    MepConnection,
    MepMode,
    MepPort,
    MepResponder,
    MepRetry,
    OutcomeUnknown,
    Read,
    Refusal,
    RefusalCode,
    Refused,
    State,
    Terminate,
    TlsState,
    Write,
)
from osgp_fast.session._mep_state import diagram
from osgp_fast.session.dialogue import read, write
from osgp_fast.session.mep_message import encode_request, encode_response, parse_request, parse_response
from osgp_fast.session.message import Malformed
from osgp_fast.transport import MemoryPort, MepLine, VirtualClock, mep_name, open_mep, serve
from osgp_fast.transport.memory import Delivery
from test_transport import FdPort

HERE = Path(__file__).resolve().parent
VECTORS = json.loads((HERE / "vectors" / "official_vectors.json").read_text(encoding="utf-8"))
RC4 = VECTORS["mep_rc4"]
TLS = VECTORS["mep_tls"]
BIG = bytes(i * 7 & 0xFF for i in range(2000))
TABLES = {23: bytes(range(220)), 64: BIG, 2118: bytes(142) + b"\2", 2061: bytes(400)}
MODES = [MepMode.CLEAR, MepMode.RC4, MepMode.TLS]


def hexed(text: str) -> bytes:
    return bytes.fromhex(text)


class Script(MepTables):
    """A meter that answers with what the guide prints."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer

    def read(self, table: int, offset: int, count: int | None) -> bytes | RefusalCode:
        return self.answer

    def write(self, table: int, offset: int | None, data: bytes, ped: bytes) -> RefusalCode | None:
        self.written.append((table, offset, data))
        return None


def crypto_cases() -> list[Any]:
    """The Python arithmetic, and the compiled one where it is there: the machines are the same."""
    return [
        pytest.param(None, id="python"),
        pytest.param(_impl, id="impl"),
    ]


# The guide


@pytest.mark.parametrize("crypto", crypto_cases())
@pytest.mark.parametrize("vector", RC4, ids=lambda v: v["name"])
def test_every_exchange_of_the_guide_through_both_machines(vector: dict[str, str], crypto: Any) -> None:
    key, request, response = (hexed(vector[name]) for name in ("key", "request", "response"))
    exchange = Exchange.open([key], request[2:])
    answer = exchange.read(response[2:])
    wanted = parse_request(exchange.body)
    refused = answer.code == 0x0C
    client = MepConnection(key, entropy=entropy(1), mode=MepMode.CLEAR, sequence=exchange.sequence, crypto=crypto)
    before = int.from_bytes(answer.data) if refused else exchange.sequence - 1
    meter = MepResponder(
        Script(answer.data[2:]),
        MepPort(keys={MepAccess.ADVANCED: key}, entropy=entropy(2), sequence=before),
        crypto=crypto,
    )
    assert client.send(wanted, 0.0) == request
    assert meter.receive(request, 0.0) == response[:117]
    if len(response) > 117:  # the second segment comes 25 ms after the first one is out
        due = meter.deadline()
        assert due == pytest.approx(117 * 10 / 9600 + 0.025)
        assert meter.tick(due) == response[117:]
    again = client.receive(response, 0.1)
    if refused:
        assert client.next_event() is None
        assert again == b""  # not before the pace allows it
        due = client.deadline()
        assert due == pytest.approx(0.1 + len(request) * 10 / 9600)
        assert client.tick(due) == hexed(RC4[1]["request"])
        return
    event = client.next_event()
    assert event == (Done() if isinstance(wanted, Write) else Data(answer.data[2:]))


@pytest.mark.parametrize("crypto", crypto_cases())
def test_the_tls_session_of_the_guide_through_both_machines(crypto: Any) -> None:
    said = [hexed(data) for _, data in TLS["exchange"]]
    client_random = said[0][2 + 1 + 5 + 4 + 2 :][:32]
    server_random, session_id = said[1][2 + 1 + 5 + 4 + 2 :][:32], said[1][2 + 1 + 5 + 4 + 2 + 33 :][:32]
    key = hexed(TLS["psk"])
    client = MepConnection(
        key,
        entropy=lambda size: client_random,
        mode=MepMode.TLS,
        access=MepAccess.ADVANCED,
        client_id=100,
        sequence=0,
        crypto=crypto,
    )
    handed = [session_id, server_random]
    meter = MepResponder(
        Script(b"\2"),
        MepPort(keys={MepAccess.ADVANCED: key}, entropy=lambda size: handed.pop(), mode=MepMode.TLS),
        crypto=crypto,
    )
    now, out = 0.0, client.send(Read(2118, 142, 1), 0.0)
    assert hexed(TLS["clear"]["client"]) == encode_request(Read(2118, 142, 1), 0)
    for at in range(0, 6, 2):
        assert out == said[at]
        answer = meter.receive(out, now)
        assert answer == said[at + 1]
        client.receive(answer, now + 0.05)
        now += 0.2
        out = client.tick(now)
    assert client.next_event() == Data(b"\2")
    assert (client.state, meter.state) == (State.IDENTIFIED, TlsState.OPEN)


# Every day


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("key", "access"), [(MAK, MepAccess.ADVANCED), (MBK, MepAccess.BASIC)])
@pytest.mark.parametrize("crypto", crypto_cases())
def test_reads_and_writes_with_both_keys(mode: MepMode, key: bytes, access: MepAccess, crypto: Any) -> None:
    handler = MepTables(TABLES)
    line, meter, _ = bench(handler, mode=mode, key=key, access=access, client={"client_id": 770, "crypto": crypto})
    assert line.ask(Read(23)) == Data(TABLES[23])
    assert line.ask(Read(23, 3, 4)) == Data(bytes(range(3, 7)))
    assert line.ask(Read(23, 218, 4)) == Data(bytes([218, 219, 0, 0]))  # padded
    assert line.run(read(line.connection, 64, 0, len(BIG))).data == BIG
    most = line.connection.max_write
    line.run(write(line.connection, 64, bytes(1000), 10))
    assert handler.tables[64] == BIG[:10] + bytes(1000) + BIG[1010:]
    assert [len(data) for _, _, data in handler.written] == [most, most, 1000 - 2 * most]
    assert set(handler.asked) == {(access, 770 if mode is MepMode.TLS else None)}
    assert line.connection.mode is mode
    line.hang_up()
    assert meter.state is TlsState.NONE
    assert line.connection.counts.handshakes == (mode is MepMode.TLS)


@pytest.mark.parametrize(
    ("mode", "most_read", "most_write"),
    [(MepMode.CLEAR, 465, 456), (MepMode.RC4, 465, 456), (MepMode.TLS, 443, 438)],
)
def test_limits_are_those_of_the_message(mode: MepMode, most_read: int, most_write: int) -> None:
    handler = MepTables({64: BIG})
    line, _, _ = bench(handler, mode=mode)
    assert (line.connection.max_read, line.connection.max_write) == (most_read, most_write)
    assert line.ask(Read(64, 0, most_read)) == Data(BIG[:most_read])
    assert line.ask(Write(64, bytes(most_write), 0)) == Done()
    for request in (Read(64, 0, most_read + 1), Write(64, bytes(most_write + 1), 0)):
        with pytest.raises(LocalProtocolError) as caught:
            line.ask(request)
        assert caught.value.code == "session.too_long"
    with pytest.raises(Refused) as refused:
        line.ask(Read(64))  # whole, and more than a message holds
    assert refused.value.code == "refused.onp"
    assert line.ask(Read(64, 0, 1)) == Data(b"\0")


@pytest.mark.parametrize("code", list(RefusalCode)[:5])
@pytest.mark.parametrize("mode", MODES)
def test_refusals(mode: MepMode, code: RefusalCode) -> None:
    line, _, _ = bench(MepTables(refuse={23: code}), mode=mode)
    for request in (Read(23), Write(23, b"\1", 0)):
        with pytest.raises(Refused) as caught:
            line.ask(request)
        assert caught.value.fields["number"] == code
        assert caught.value.fields["table"] == 23


def test_what_the_client_may_not_do() -> None:
    line, _, _ = bench(MepTables(TABLES))
    connection = line.connection
    for wrong in (Identify(), Done()):
        with pytest.raises(LocalProtocolError) as caught:
            connection.send(wrong, 0.0)
        assert caught.value.code == "session.role"
    for argument in (
        Read(0x12345),
        Read(23, 0),
        Read(23, 1 << 24, 1),
        Write(23, b"", -1),
        Write(23 | PENDING, b"\1", 0),
    ):
        with pytest.raises(LocalProtocolError) as caught:
            connection.send(argument, 0.0)
        assert caught.value.code == "session.argument"
    connection.send(Read(23), 0.0)
    with pytest.raises(LocalProtocolError) as caught:
        connection.send(Read(23), 0.0)
    assert caught.value.code == "session.busy"
    connection.close(0.0)
    assert connection.deadline() is None
    assert "\\x01" not in repr(connection)
    assert MAK.hex() not in repr(connection) + repr(bench(MepTables())[1].port)


@pytest.mark.parametrize(
    "request_",
    [
        Read(23),
        Read(0x0846, 142, 1),
        Read(4119, 3, 4),
        Write(7, b"\x11\x08\x07\0\xf8\3"),
        Write(0x0832, b"\1", 30),
        Write(4119, b"\1\2", 3, bytes(6)),
    ],
)
def test_messages_both_ways(request_: Any) -> None:
    body = encode_request(request_, 465)
    assert parse_request(body) == request_
    for cut in range(len(body)):
        with suppress(Malformed):
            parse_request(body[:cut])
    with pytest.raises(Malformed) as caught:
        parse_request(body[:2])
    assert caught.value.code is RefusalCode.ERR


def test_odd_answers_are_named() -> None:
    for code, rest in ((0, b""), (0, b"\0\5abc"), (3, b"\0"), (0x0C, bytes(4)), (0x40, b"")):
        with pytest.raises(RemoteProtocolError) as caught:
            parse_response(Read(23, 0, 9), code, rest)
        assert caught.value.code == "session.answer"
    with pytest.raises(RemoteProtocolError) as caught:
        parse_response(Read(23, 0, 2), 0, b"\0\3abc")
    assert caught.value.code == "session.count"
    with pytest.raises(RemoteProtocolError) as caught:
        parse_response(Write(23, b"\1"), 0, b"\0")
    assert caught.value.code == "session.answer"
    assert encode_response(Refusal(4)) == b"\4"


# Pace, time and the line


def test_at_most_one_request_in_100_ms() -> None:
    line, meter, clock = bench(MepTables(TABLES))
    seen: list[float] = []
    take = meter.receive
    meter.receive = lambda data, now: (seen.append(now), take(data, now))[1]  # type: ignore[method-assign]
    for _ in range(5):
        line.ask(Read(23, 0, 1))
    assert all(b - a >= 0.1 for a, b in pairwise(seen))
    assert clock() < 1002


@pytest.mark.parametrize("throttle", ["delay", "ignore"])
def test_a_meter_throttles_those_who_do_not_keep_it(throttle: str) -> None:
    meter = MepResponder(MepTables(TABLES), MepPort(keys=KEYS, entropy=entropy(1), throttle=throttle))  # type: ignore[arg-type]
    first, second = (Exchange.request(MAK, hexed("3F0017000000 0001"), n).message for n in (1, 2))
    assert meter.receive(first, 10.0)
    assert meter.receive(second, 10.05) == b""
    if throttle == "delay":
        assert meter.deadline() == pytest.approx(10.1)
        assert meter.tick(10.1)
    else:
        assert meter.deadline() is None
        assert meter.receive(second, 10.2)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("single", [False, True])
def test_a_paced_line_byte_by_byte(mode: MepMode, single: bool) -> None:
    from osgp_fast.transport import BadLine, Faults

    out, back = (BadLine(seed, Faults(), paced=True, single=single) for seed in (1, 2))
    line, _, _ = bench(MepTables({64: BIG}), mode=mode, out=out, back=back)
    assert line.run(read(line.connection, 64, 0, 1200)).data == BIG[:1200]
    assert line.connection.counts.sent_again == 0


def test_a_meter_forgets_a_request_that_stops() -> None:
    meter = MepResponder(MepTables(TABLES), MepPort(keys=KEYS, entropy=entropy(1)))
    message = Exchange.request(MAK, hexed("3F00170000000001"), 1).message
    assert meter.receive(message[:9], 1.0) == b""
    assert meter.receive(message[9:], 1.08) == b""  # late by more than 50 ms: no start of a message
    assert meter.receive(message, 1.2) != b""


def test_silence_is_waited_for_and_the_same_packet_said_again() -> None:
    client = MepConnection(MAK, entropy=entropy(1), mode=MepMode.CLEAR, sequence=5)
    first = client.send(Read(23, 0, 1), 0.0)
    sent = len(first) * 10 / 9600
    for again in range(5):
        due = client.deadline()
        assert due == pytest.approx((again + 1) * (sent + 0.5))
        assert client.tick(due - 0.001) == b""
        assert client.tick(due) == first
    due = client.deadline()
    assert due is not None
    assert client.tick(due) == b""
    event = client.next_event()
    assert isinstance(event, Failed)
    assert event.error.code == "line.silent"
    assert client.deadline() is None


def test_an_answer_may_begin_late_and_come_in_pieces() -> None:
    client = MepConnection(MAK, entropy=entropy(1), mode=MepMode.RC4, sequence=1)
    meter = MepResponder(MepTables(TABLES), MepPort(keys=KEYS, entropy=entropy(1)))
    answer = meter.receive(client.send(Read(23, 0, 60), 0.0), 0.0)
    assert client.receive(answer[:20], 0.45) == b""
    assert client.tick(0.6) == b""  # it has begun: no reason to ask again
    client.receive(answer[20:], 0.65)
    assert client.next_event() == Data(bytes(range(60)))


# Alerts


@pytest.mark.parametrize("mode", MODES)
def test_alerts_are_told_apart_from_answers(mode: MepMode) -> None:
    handler = MepTables(TABLES)
    line, meter, clock = bench(handler, mode=mode)
    assert line.listen(2.0) is False
    meter.alert = True
    assert line.listen(5.0) is True
    start = clock()
    assert line.listen(5.0) is True
    assert clock() - start == pytest.approx(1.0)  # once a second
    for _ in range(20):
        clock.now += 0.97
        assert line.ask(Read(23, 0, 4)) == Data(bytes(range(4)))
    meter.alert = False
    line.connection.take_alert()
    assert line.listen(3.0) is False
    assert line.connection.counts.damaged == 0


def test_an_alert_before_the_answer_and_zeros_within_it() -> None:
    client = MepConnection(MAK, entropy=entropy(1), mode=MepMode.CLEAR, sequence=1)
    meter = MepResponder(MepTables({1: bytes(50)}), MepPort(keys=KEYS, entropy=entropy(1)))
    answer = meter.receive(client.send(Read(1, 0, 50), 0.0), 0.0)
    client.receive(b"\0\0" + answer[:30], 0.1)
    assert client.take_alert()
    client.receive(answer[30:], 0.12)
    assert client.next_event() == Data(bytes(50))
    assert not client.take_alert()
    # The zeros behind a length that the line has made smaller are no alerts.
    answer = meter.receive(client.send(Read(1, 0, 50), 0.2), 0.2)
    client.receive(b"\0\x09" + answer[2:], 0.3)
    assert not client.take_alert()
    assert client.next_event() is None


# Sequence numbers


def test_an_unknown_number_costs_one_exchange_and_wraps() -> None:
    handler = MepTables(TABLES)
    line, meter, _ = bench(handler, client={"sequence": 4711}, meter={})
    meter.sequence = 0xFFFFFFFE
    assert line.ask(Read(23, 0, 1)) == Data(b"\0")  # 0C, then FFFFFFFF
    assert meter.sequence == 0xFFFFFFFF
    assert line.ask(Read(23, 1, 1)) == Data(b"\1")
    assert meter.sequence == 0
    meter.sequence = 25  # a new IDT version moves it by 25 (MEP guide p. 55)
    assert line.ask(Write(23, b"\7", 0)) == Done()
    assert (meter.sequence, len(handler.written)) == (26, 1)
    assert line.connection.counts.renumbered == 2


@pytest.mark.parametrize(("ahead", "taken"), [(-1, False), (0, False), (1, True), (8, True), (9, False)])
def test_a_meter_takes_the_next_eight_numbers(ahead: int, taken: bool) -> None:
    meter = MepResponder(MepTables(TABLES), MepPort(keys=KEYS, entropy=entropy(1), sequence=0xFFFFFFFC))
    exchange = Exchange.request(MAK, hexed("3F00170000000001"), (0xFFFFFFFC + ahead) & 0xFFFFFFFF)
    answer = exchange.read(meter.receive(exchange.message, 0.0)[2:])
    assert answer.code == (0 if taken else 0x0C)
    assert taken or answer.data == hexed("FFFFFFFC")


class Lossy:
    """A line that does to its n-th write what a script says: bytes that arrive instead, None for nothing."""

    def __init__(self, script: dict[int, Callable[[bytes], bytes] | None]) -> None:
        self.script = script
        self.seen: list[bytes] = []

    def carry(self, data: bytes, now: float, baud: int) -> list[Delivery]:
        at = len(self.seen)
        self.seen.append(data)
        if at not in self.script:
            return [(now, data)]
        instead = self.script[at]
        return [] if instead is None else [(now, instead(data))]

    def answers(self) -> list[Delivery]:
        return []


def synced(handler: MepTables, **more: Any) -> tuple[MepLine, MepResponder, VirtualClock]:
    """A client that knows the sequence number, with the next write or answer as number 2 on its line."""
    line, meter, clock = bench(handler, **more)
    line.ask(Read(23, 0, 1))
    return line, meter, clock


@pytest.mark.parametrize("mode", [MepMode.CLEAR, MepMode.RC4])
def test_a_lost_request_is_said_again_and_executed_once(mode: MepMode) -> None:
    handler = MepTables(TABLES)
    out = Lossy({2: None})
    line, _, _ = synced(handler, mode=mode, out=out)
    assert line.ask(Write(23, b"\7", 0)) == Done()
    assert out.seen[2] == out.seen[3]  # the identical packet (MEP guide p. 21)
    assert len(handler.written) == 1


@pytest.mark.parametrize("mode", [MepMode.CLEAR, MepMode.RC4])
def test_a_read_whose_answer_is_lost_is_asked_with_the_new_number(mode: MepMode) -> None:
    handler = MepTables(TABLES)
    out, back = Lossy({}), Lossy({2: None})
    line, meter, _ = synced(handler, mode=mode, out=out, back=back)
    assert line.ask(Read(23, 5, 2)) == Data(b"\5\6")
    assert out.seen[2] == out.seen[3] != out.seen[4]
    assert meter.served.refused_numbers == 2


@pytest.mark.parametrize("mode", [MepMode.CLEAR, MepMode.RC4])
def test_a_write_whose_answer_is_lost_is_not_executed_twice(mode: MepMode) -> None:
    handler = MepTables(TABLES)
    line, _, _ = synced(handler, mode=mode, back=Lossy({2: None}))
    with pytest.raises(OutcomeUnknown) as caught:
        line.ask(Write(23, b"\7", 0))
    assert caught.value.code == "mep.outcome_unknown"
    assert caught.value.accepted is True
    assert caught.value.fields["cause"] == "mep.sequence"
    assert len(handler.written) == 1
    assert line.ask(Read(23, 0, 1)) == Data(b"\7")


def test_meters_that_ignore_a_packet_that_they_have_had() -> None:
    handler = MepTables(TABLES)
    out, back = Lossy({}), Lossy({2: None, 4: None})
    line, meter, _ = synced(handler, client={"retry": MepRetry.NEXT_NUMBER}, out=out, back=back)
    assert line.ask(Read(23, 5, 2)) == Data(b"\5\6")
    assert out.seen[2] != out.seen[3]
    assert meter.served.refused_numbers == 1
    with pytest.raises(OutcomeUnknown) as caught:
        line.ask(Write(23, b"\7", 0))
    assert caught.value.accepted is None
    assert len(handler.written) == 1


def test_numbers_on_which_nobody_agrees() -> None:
    handler = MepTables(TABLES)
    line, meter, _ = bench(handler)
    take = meter._exchange

    def moving(exchange: Exchange) -> bytes:
        meter.sequence += 1000  # somebody else talks at the same time
        return take(exchange)

    meter._exchange = moving  # type: ignore[method-assign, assignment]
    with pytest.raises(RemoteProtocolError) as caught:
        line.ask(Write(23, b"\7", 0))
    assert caught.value.code == "mep.sequence"
    assert handler.written == []


# What can be wrong under digest and RC4


@pytest.mark.parametrize("mode", [MepMode.CLEAR, MepMode.RC4])
def test_a_wrong_key_is_said(mode: MepMode) -> None:
    line, _, _ = bench(MepTables(TABLES), mode=mode, key=bytes(16))
    for request in (Read(23), Write(23, b"\1", 0)):
        with pytest.raises(SecurityError) as caught:
            line.ask(request)
        assert caught.value.code == "mep.wrong_key"
        assert bytes(16).hex() not in str(caught.value)


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes((data[at] ^ 0x10,)) + data[at + 1 :]


@pytest.mark.parametrize("at", [2, 5, -1])
def test_a_flipped_bit_in_an_answer_costs_time_or_is_named(at: int) -> None:
    handler = MepTables(TABLES)

    def damage(data: bytes) -> bytes:
        return flip(at % len(data))(data)

    line, meter, _ = synced(handler, back=Lossy({2: damage}))
    assert line.ask(Read(23, 5, 2)) == Data(b"\5\6")
    assert line.connection.counts.damaged == 1
    meter.tamper = damage
    with pytest.raises(SecurityError) as caught:
        line.ask(Read(23, 5, 2))
    assert caught.value.code == "mep.digest"
    with pytest.raises(OutcomeUnknown) as unknown:
        line.ask(Write(23, b"\7", 0))
    assert unknown.value.fields["cause"] == "mep.digest"
    assert len(handler.written) == 1


def test_a_replayed_answer_is_no_answer() -> None:
    handler = MepTables(TABLES)
    line, meter, _ = synced(handler)
    kept: list[bytes] = []
    meter.tamper = lambda message: (kept.append(message), message)[1]
    assert line.ask(Read(23, 5, 2)) == Data(b"\5\6")
    handler.tables[23] = bytes(220)
    meter.tamper = lambda message: kept[0]
    with pytest.raises(SecurityError) as caught:
        line.ask(Read(23, 5, 2))
    assert caught.value.code == "mep.digest"


def test_a_replayed_request_is_refused() -> None:
    handler = MepTables(TABLES)
    out = Lossy({})
    line, meter, _ = synced(handler, out=out)
    line.ask(Write(23, b"\7", 0))
    line.ask(Read(23, 0, 1))
    answer = meter.receive(out.seen[2], 2000.0)
    assert Exchange.open([MAK], out.seen[2][2:]).read(answer[2:]).code == 0x0C
    assert len(handler.written) == 1


def test_an_oversize_length_is_named() -> None:
    line, meter, _ = synced(MepTables(TABLES))
    meter.tamper = lambda message: b"\x01\xdd" + message[2:]
    with pytest.raises(RemoteProtocolError) as caught:
        line.ask(Read(23, 0, 9))
    assert caught.value.code == "mep.too_long"
    assert caught.value.fields["got"] == 477
    meter.tamper = None
    assert line.ask(Read(23, 5, 2)) == Data(b"\5\6")


@pytest.mark.parametrize("answer", [0x01, 0x0A])
def test_a_port_that_requires_tls(answer: int) -> None:
    handler = MepTables(TABLES)
    line, _, _ = bench(handler, server=MepMode.TLS, meter={"tls_required": answer})
    with pytest.raises(SecurityError) as caught:
        line.ask(Read(23))
    assert caught.value.code == "mep.tls_required"
    line, _, _ = bench(handler, server=MepMode.TLS, meter={"tls_required": None})
    with pytest.raises(TransportError) as silent:
        line.ask(Read(23))
    assert silent.value.code == "line.silent"


def test_a_tls_session_that_somebody_left_open_is_ended() -> None:
    handler = MepTables(TABLES)
    first, meter, clock = bench(handler, mode=MepMode.TLS)
    first.ask(Read(23, 0, 1))
    assert meter.state is TlsState.OPEN
    second = MepLine(MemoryPort(meter, clock), MepConnection(MAK, entropy=entropy(9), mode=MepMode.RC4), clock=clock)
    assert second.ask(Read(23, 5, 2)) == Data(b"\5\6")
    assert meter.state is TlsState.NONE
    # And the other way round: TLS begins anew whatever went on before.
    assert first.ask(Read(23, 5, 2)) == Data(b"\5\6")
    assert first.connection.counts.handshakes == 2


# AUTO


@pytest.mark.parametrize("silent", [False, True])
def test_auto_takes_tls_or_else_rc4(silent: bool) -> None:
    line, _, _ = bench(MepTables(TABLES), mode=MepMode.AUTO)
    line.ask(Read(23, 0, 1))
    assert line.connection.mode is MepMode.TLS
    line, meter, _ = bench(MepTables(TABLES), mode=MepMode.AUTO, server=MepMode.RC4)
    if silent:
        answered = meter._answered
        meter._answered = lambda message: None if message[0] == 0x58 else answered(message)  # type: ignore[method-assign]
    assert line.ask(Write(23, b"\7", 0)) == Done()
    assert line.connection.mode is MepMode.RC4
    assert line.ask(Read(23, 0, 1)) == Data(b"\7")


def test_auto_does_not_leave_tls_for_a_wrong_key_or_once_it_worked() -> None:
    line, _, _ = bench(MepTables(TABLES), mode=MepMode.AUTO, key=bytes(16))
    with pytest.raises(SecurityError) as caught:
        line.ask(Read(23))
    assert caught.value.code == "mep.tls_key"
    line, meter, _ = bench(MepTables(TABLES), mode=MepMode.AUTO)
    line.ask(Read(23, 0, 1))
    meter.away = True
    with pytest.raises(TransportError) as silent:
        line.ask(Read(23, 0, 1))
    assert silent.value.code == "line.silent"
    assert line.connection.mode is MepMode.TLS


# TLS


def test_a_meter_that_has_lost_the_session_gets_a_new_one() -> None:
    handler = MepTables(TABLES)
    line, meter, _ = bench(handler, mode=MepMode.TLS)
    line.ask(Read(23, 0, 1))
    meter.forget()
    assert line.ask(Write(23, b"\7", 0)) == Done()  # 0A: it was not executed
    assert len(handler.written) == 1
    assert line.connection.counts.handshakes == 2
    line.ask(Terminate())
    assert (line.connection.state, meter.state) == (State.BASE, TlsState.NONE)
    assert line.ask(Terminate()) == Done()
    assert line.ask(Read(23, 0, 1)) == Data(b"\7")


@pytest.mark.parametrize("at", range(6))
@pytest.mark.parametrize("side", ["out", "back"])
@pytest.mark.parametrize("damage", [None, flip(-3 % 10), lambda data: data[:-1]], ids=["lost", "flipped", "cut"])
def test_one_fault_anywhere_in_tls(at: int, side: str, damage: Any) -> None:
    handler = MepTables(TABLES)
    way = Lossy({at: damage})
    line, _, _ = bench(handler, mode=MepMode.TLS, **{side: way})
    assert line.ask(Read(23, 5, 2)) == Data(b"\5\6")
    try:
        assert line.ask(Write(23, b"\7", 0)) == Done()
    except OutcomeUnknown:
        assert at in (3, 4, 5)
        assert line.ask(Read(23, 0, 1)) == Data(b"\7" if handler.written else b"\0")
    assert len(handler.written) <= 1


def test_a_tls_write_whose_answer_is_lost_is_not_executed_twice() -> None:
    handler = MepTables(TABLES)
    line, _, _ = bench(handler, mode=MepMode.TLS, back=Lossy({3: None}))
    line.ask(Read(23, 0, 1))
    with pytest.raises(OutcomeUnknown) as caught:
        line.ask(Write(23, b"\7", 0))
    assert caught.value.fields["cause"] == "mep.tls_answer"
    assert len(handler.written) == 1
    assert line.ask(Read(23, 0, 1)) == Data(b"\7")


@pytest.mark.parametrize(("key", "access"), [(bytes(16), MepAccess.ADVANCED), (MAK, MepAccess.BASIC)])
def test_a_wrong_tls_key_is_said_after_three_handshakes(key: bytes, access: MepAccess) -> None:
    line, meter, _ = bench(MepTables(TABLES), mode=MepMode.TLS, key=key, access=access)
    with pytest.raises(SecurityError) as caught:
        line.ask(Read(23))
    assert caught.value.code == "mep.tls_key"
    assert meter.served.handshakes == 3


def answering(*answers: bytes) -> Callable[[Any], Any]:
    """A meter that answers each message with the next of these."""

    class Parrot:
        baud = 9600
        count = 0

        def receive(self, data: bytes, now: float) -> bytes:
            self.count += 1
            return answers[(self.count - 1) % len(answers)]

        def tick(self, now: float) -> bytes:
            return b""

        def deadline(self) -> float | None:
            return None

    return lambda _: Parrot()


#: A ServerHello of the guide with another suite (00A8), and a fatal alert 80, internal_error.
OTHER_SUITE = hexed(TLS["exchange"][1][1].replace("00a9", "00a8"))
ALERT_80 = tls_messages.message(1, hexed("15 0303 0002 02 50"))


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (OTHER_SUITE, "tls.suite"),
        (ALERT_80, "mep.tls_alert"),
        (tls_messages.message(1, b""), "mep.tls_refused"),
        (tls_messages.message(3, b""), "mep.tls_key"),
        (tls_messages.message(3, hexed("15 0303 0002 02 73")), "mep.tls_key"),
        (tls_messages.message(0x0B, bytes(8)), "mep.tls_refused"),
        (tls_messages.message(0, bytes(8)), "tls.record_type"),
        (tls_messages.message(0, b""), "mep.tls_answer"),
    ],
)
def test_how_a_handshake_fails(answer: bytes, code: str) -> None:
    line, _, _ = bench(MepTables(), mode=MepMode.TLS, peer=answering(answer))
    with pytest.raises(SecurityError) as caught:
        line.ask(Read(23))
    assert caught.value.code == code
    assert caught.value.hint


def test_the_meter_refuses_other_suites_and_states() -> None:
    meter = MepResponder(MepTables(), MepPort(keys=KEYS, entropy=entropy(1), mode=MepMode.TLS))
    hello = TlsClient(b"\0\0\1", MAK, bytes(32)).start()
    said = meter.receive(tls_messages.message(0x58, hello.replace(b"\0\xa9", b"\0\xa8")), 1.0)
    assert said[2] == 1
    assert said[-2:] == hexed("0228")  # handshake_failure
    for code in (0x59, 0x80):
        assert meter.receive(tls_messages.message(code, hello), 3.0 + code) == hexed("00010A")
    assert meter.receive(tls_messages.terminate(), 500.0) == hexed("000100")


# The port that an optical session takes


@pytest.mark.parametrize("mode", MODES)
def test_the_port_is_taken_away_and_given_back(mode: MepMode) -> None:
    handler = MepTables(TABLES)
    line, meter, _ = bench(handler, mode=mode)
    assert line.ask(Read(23, 5, 2)) == Data(b"\5\6")
    meter.away = True
    for request in (Read(23, 0, 1), Write(23, b"\7", 0)):
        with pytest.raises(TransportError) as caught:
            line.ask(request)
        assert caught.value.code in ("line.silent", "mep.outcome_unknown")
        assert "optical" in caught.value.hint or isinstance(caught.value, OutcomeUnknown)
    meter.away = False
    meter.forget()
    meter.sequence += 300
    assert line.ask(Read(23, 5, 2)) == Data(b"\5\6")
    assert line.ask(Write(23, b"\7", 0)) == Done()
    assert handler.written == [(23, 0, b"\7")]


def test_optical_packets_on_the_line_are_noise() -> None:
    noise = hexed("EE000000000120 1310".replace(" ", "")) + b"\6" + hexed("EE00000000050000020000A25A")
    line, _, _ = bench(MepTables(), mode=MepMode.RC4, peer=answering(noise))
    with pytest.raises(OsgpError) as caught:
        line.ask(Read(23))
    assert caught.value.code == "mep.too_long"
    assert line.connection.counts.noise_bytes > 0


@pytest.mark.parametrize("noise", [b"\0\0", b"\0", b"\0\x09" + bytes(9), b"\x01\xdc", b"\xff", hexed("00010A")])
@pytest.mark.parametrize("mode", MODES)
def test_whoever_talks_for_ever_is_not_listened_to_for_ever(noise: bytes, mode: MepMode) -> None:
    client = MepConnection(MAK, entropy=entropy(1), mode=mode)
    client.send(Read(23), 0.0)
    now = 0.0
    while (event := client.next_event()) is None and now < 60:
        now += 0.01
        client.receive(noise, now)
    assert isinstance(event, Failed)
    assert event.error.code.startswith(("line.", "mep.", "tls.", "security."))


# Any bytes


@settings(max_examples=60)
@given(
    mode=st.sampled_from(MODES),
    noise=st.lists(
        st.one_of(st.binary(max_size=60), st.sampled_from([0x58, 0x59, 0x80, 0x57, 0]).map(lambda c: bytes([0, 1, c])))
    ),
    flips=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 255)), max_size=3),
)
def test_any_bytes_on_either_side(mode: MepMode, noise: list[bytes], flips: list[tuple[int, int]]) -> None:
    """No exception, no value that is wrong, and a meter that goes on to work."""
    handler = MepTables(TABLES)
    meter = MepResponder(handler, MepPort(keys=KEYS, entropy=entropy(1)))
    client = MepConnection(MAK, entropy=entropy(2), mode=mode)
    now, out = 1.0, client.send(Read(23, 0, 50), 0.9)
    queue = list(noise)
    for turn in range(60):
        now += 0.3
        damaged = bytearray(out)
        if turn < 6:
            for at, value in flips:
                if damaged:
                    damaged[at % len(damaged)] ^= value
        answer = meter.receive(bytes(damaged), now) if damaged else b""
        while (due := meter.deadline()) is not None and due < now + 0.3:
            answer += meter.tick(due)
        out = client.receive(queue.pop(0), now + 0.28) if queue else b""
        out += client.receive(answer, now + 0.29) if answer else client.tick(now + 0.29)
        if (event := client.next_event()) is not None:
            break
    assert event == Data(bytes(range(50))) or isinstance(event, Failed)
    client.close(now)
    clock = VirtualClock(now + 10)
    line = MepLine(MemoryPort(meter, clock), client, clock=clock)
    assert line.ask(Read(23, 5, 2)) == Data(b"\5\6")


@settings(max_examples=60)
@given(mode=st.sampled_from(MODES), noise=st.binary(max_size=600))
def test_whole_or_byte_by_byte(mode: MepMode, noise: bytes) -> None:
    def heard(chunks: list[bytes]) -> tuple[Any, ...]:
        client = MepConnection(MAK, entropy=entropy(2), mode=mode)
        meter = MepResponder(MepTables(TABLES), MepPort(keys=KEYS, entropy=entropy(1)))
        out = client.send(Read(23, 0, 50), 0.0)
        said = [
            b"".join(client.receive(chunk, 0.3) for chunk in chunks),
            b"".join(meter.receive(chunk, 0.3) for chunk in chunks),
        ]
        return out, said, client.next_event(), client.take_alert(), client.deadline(), meter.deadline(), meter.sequence

    assert heard([noise]) == heard([noise[at : at + 1] for at in range(len(noise))])


# In real time


@pytest.mark.parametrize("mode", [MepMode.RC4, MepMode.TLS])
def test_a_conversation_over_a_socket(mode: MepMode) -> None:
    handler = MepTables(TABLES)
    meter = MepResponder(handler, MepPort(keys=KEYS, entropy=os.urandom))

    def run() -> None:
        peer, _ = server.accept()
        with suppress(TransportError):
            serve(FdPort(peer.detach()), meter, seconds=20)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        connection = MepConnection(Key(MAK), entropy=os.urandom, mode=mode)
        with MepLine(open_mep(f"mep:socket://127.0.0.1:{server.getsockname()[1]}"), connection) as line:
            assert line.run(read(connection, 64, 0, 700)).data == BIG[:700]
            assert line.ask(Write(23, b"\7", 0)) == Done()
            meter.alert = True
            assert line.ask(Read(23, 0, 2)) == Data(b"\7\1")
            assert line.listen(5.0)
        assert connection.counts.sent_again == 0
        assert meter.state is TlsState.NONE
        thread.join(5)
        assert not thread.is_alive()


def test_a_key_of_a_wrong_length_is_said_at_once() -> None:
    with pytest.raises(SecurityError) as caught:
        MepConnection(b"short", entropy=os.urandom)
    assert caught.value.code == "security.key_length"


# Names


def test_the_diagram_in_the_docs_is_that_of_the_table() -> None:
    page = (HERE.parent / "docs" / "mep-port.md").read_text(encoding="utf-8")
    assert f"```mermaid\n{diagram()}\n```" in page


def test_names_of_ports() -> None:
    assert mep_name("mep:/dev/ttyS0") == "/dev/ttyS0"
    assert mep_name("MEP:socket://127.0.0.1:1") == "socket://127.0.0.1:1"
    assert mep_name("/dev/ttyS0") is None
    for name in ("/dev/ttyS0", "mep:", ""):
        with pytest.raises(UsageError) as caught:
            open_mep(name)
        assert caught.value.code == "usage.port"
    port = open_mep("mep:loop://")
    port.write(b"\0\0")
    assert port.read(1.0) == b"\0\0"
    port.close()
    with pytest.raises(TransportError) as gone:
        open_mep("mep:/nowhere/tty")
    assert gone.value.code == "port.not_found"


# RC4 that looks like TLS

ASKED = Read(23, 0, 100)


def looking_like(code: int, key: bytes) -> int:
    """The sequence number with which an enciphered read of BT23 begins with this byte."""
    body = encode_request(ASKED, 0)
    return next(n for n in range(1 << 16) if Exchange.request(key, body, n, encrypt=True).message[2] == code)


@pytest.mark.parametrize("code", list(tls_messages.Request))
def test_an_enciphered_request_that_begins_like_tls_is_taken_for_what_it_is(code: int) -> None:
    wrong = bytes(16)
    exchange = Exchange.request(wrong, encode_request(ASKED, 0), looking_like(code, wrong), encrypt=True)
    responder = MepResponder(MepTables(TABLES), MepPort(keys=KEYS, entropy=entropy(1)))
    assert responder.receive(exchange.message, 0.0)[2] == 0x0B
    assert responder.served.handshakes == 0


@pytest.mark.parametrize("code", list(tls_messages.Request))
def test_a_meter_that_takes_it_for_tls_is_asked_with_another_number(code: int) -> None:
    def mistaken(responder: MepResponder) -> MepResponder:
        receive = responder.receive

        def first_byte(data: bytes, now: float) -> bytes:
            if data[2:3] == bytes((code,)):
                return tls_messages.message(0x01, bytes.fromhex("1503030002022a"))
            return receive(data, now)

        responder.receive = first_byte  # type: ignore[method-assign]
        return responder

    number = looking_like(code, MAK)
    line, responder, _ = bench(MepTables(TABLES), peer=mistaken, client={"sequence": number})
    responder.sequence = number - 1
    assert line.run(read(line.connection, 23, 0, 100)) == Data(TABLES[23][:100])
    assert line.connection.counts.damaged == 2
