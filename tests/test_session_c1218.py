"""The C12.18 machine: services, refusals, packets and time-outs, against real packets and two machines in memory."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from lines import PASSWORD, PED, Tables, bench, opened
from osgp_fast.errors import LocalProtocolError, OsgpError, RemoteProtocolError, TransportError
from osgp_fast.session import (
    Connection,
    Data,
    Done,
    Failed,
    Identified,
    Identify,
    Logoff,
    Logon,
    Negotiate,
    Negotiated,
    Read,
    RefusalCode,
    Refused,
    Responder,
    Role,
    Security,
    State,
    Terminate,
    TimedOut,
    Timing,
    Wait,
    Write,
    diagram,
    refusal,
    refusals,
)
from osgp_fast.session.dialogue import connect, hang_up, log_on, read, write
from osgp_fast.session.message import (
    BAUDS,
    Malformed,
    checksum,
    encode_request,
    parse_request,
    parse_response,
)
from osgp_fast.text_log import parse as parse_log
from osgp_fast.transport import Line, MemoryPort, VirtualClock
from osgp_fast.wire import c1218

HERE = Path(__file__).resolve().parent
VECTORS = json.loads((HERE / "vectors" / "official_vectors.json").read_text(encoding="utf-8"))
REAL = json.loads((HERE / "vectors" / "real_captures.json").read_text(encoding="utf-8"))
BIG = bytes(i * 7 & 0xFF for i in range(12_345))
TABLES = {1: b"NES 83331", 2051: b"UTIL-1".ljust(143, b"\0"), 23: bytes(range(220)), 64: BIG, 4150: bytes(range(40))}


def packet(hexed: str) -> c1218.Packet:
    found = c1218.parse(bytes.fromhex(hexed))
    assert isinstance(found, tuple)
    return found[0]


# Against packets of others


@pytest.mark.parametrize(
    ("at", "request_"),
    [
        (0, Read(23, 0, 8)),
        (1, Negotiate(64, 2, (9600,))),
        (2, Logon(1, b"0000")),
        (3, Security(b"0123456789abcdefghij")),
        (4, Read(28, 0x010203, 8)),
    ],
)
def test_requests_are_those_of_the_public_packets(at: int, request_: Any) -> None:
    given = packet(VECTORS["c1218_packets"]["packets"][at])
    assert encode_request(request_) == given.data
    parsed = parse_request(given.data)
    assert encode_request(parsed) == given.data


def test_answers_are_those_of_the_public_packets() -> None:
    packets = VECTORS["c1218_packets"]["packets"]
    assert parse_response(Logon(), packet(packets[5]).data) == Done()
    assert parse_response(Identify(), packet(packets[6]).data) == Identified(0, 2, 0)
    start = [packet(p) for p in REAL["c1218_start"]["packets"]]
    assert parse_request(start[0].data) == Identify()
    assert parse_response(Identify(), start[1].data) == Identified(0, 1, 0)
    assert parse_request(start[2].data) == Negotiate(1024, 128, (9600,))
    assert parse_response(Negotiate(1024, 128, (9600,)), start[3].data) == Negotiated(1024, 128, 9600)


def test_a_meter_that_names_more_than_it_was_offered() -> None:
    assert parse_response(Negotiate(64, 1), bytes.fromhex("0001000506")) == Negotiated(64, 1, 9600)


def test_the_pending_read_of_the_guide() -> None:
    # Optical guide p. 9: 4 bytes from offset 3 of a pending table are asked for with count 10 and offset 3.
    assert encode_request(Read(4150, 3, 4)).hex() == "3f1036000003000a"
    assert parse_request(bytes.fromhex("3f1036000003000a")) == Read(4150, 3, 4)


def test_a_recorded_session_byte_by_byte_and_whole() -> None:
    """The meter's bytes of the sample session against the client: the same requests, the tables of the dump."""
    log = parse_log((HERE / "samples" / "session.log").read_bytes())
    sent, received = (bytes(stream.bytes) for stream in log.streams[:2])
    asked = [
        parse_request(event.packet.data)
        for event in c1218.PacketParser().feed(sent)
        if isinstance(event, c1218.PacketEvent)
    ]
    replies = exchanges(received)
    assert len(asked) == len(replies)
    dump = HERE / "samples" / "dump" / "M00002001"
    for step in (1, 7, 1 << 16):
        client, now, compared = Connection(Role.CLIENT), 0.0, 0
        out = b""
        for request, reply in zip(asked, replies, strict=True):
            out += client.send(request, now)
            for at in range(0, len(reply), step):
                now += 0.001
                out += client.receive(reply[at : at + step], now)
                if at + step < len(reply):
                    assert client.next_event() is None or step > 1
            now += 0.001
            out += client.tick(now)
            event = client.next_event()
            if isinstance(request, Read):
                kind, number = ("ET", request.table - 2048) if request.table >= 2048 else ("BT", request.table)
                table = dump / f"{kind}{number:02}.bin"
                assert isinstance(event, Data)
                if request.whole and table.exists():
                    assert event.data == table.read_bytes(), table
                    compared += 1
            else:
                assert isinstance(event, Identified | Negotiated | Done), event
        assert compared >= 18
        assert client.state is State.BASE
        assert out == sent  # the client of the sample sent exactly this, ACKs included
        assert client.counts.noise_bytes == client.counts.duplicates == client.counts.sent_again == 0


def test_the_recorded_session_as_an_echoing_head_hears_it() -> None:
    """Both directions in one stream: the client finds its own bytes among them, from the first packet on."""
    both = (HERE / "samples" / "session.bin").read_bytes()
    log = parse_log((HERE / "samples" / "session.log").read_bytes())
    sent = bytes(log.streams[0].bytes)
    client, out, now, at, answers = Connection(Role.CLIENT), b"", 0.0, 0, 0
    for event in c1218.PacketParser().feed(sent):
        if isinstance(event, c1218.PacketEvent):
            out += client.send(parse_request(event.packet.data), now)
            while client.request is not None:
                now += 0.001
                out += client.tick(now) + client.receive(both[at : at + 1], now)
                at += 1
            assert not isinstance(client.next_event(), Failed)
            answers += 1
    out += client.tick(now + 0.001)
    assert answers == len(exchanges(bytes(log.streams[1].bytes)))
    assert both[at:] == b"\x06"  # the echo of the last ACK
    assert client.echo is True
    assert out == sent
    assert client.counts.noise_bytes == client.counts.sent_again == client.counts.duplicates == 0


def settle(line: Line) -> None:
    """The last ACK goes out and arrives."""
    line.settle()
    line.port.read(0.0)


def exchanges(received: bytes) -> list[bytes]:
    """The meter's bytes cut after each whole answer."""
    parts, start = [], 0
    for event in c1218.PacketParser().feed(received):
        if isinstance(event, c1218.PacketEvent) and event.packet.sequence == 0:
            end = event.position + 8 + len(event.packet.data)
            parts.append(received[start:end])
            start = end
    assert start == len(received)
    return parts


# Services in memory


def test_every_service() -> None:
    handler = Tables(tables=dict(TABLES))
    line, meter, _ = bench(handler)
    assert line.ask(Identify()) == Identified(0, 2, 0)
    assert line.ask(Negotiate(512, 200, (9600, 19200))) == Negotiated(256, 200, 9600)
    assert line.ask(Wait(3)) == Done()
    assert line.ask(Logon(7, b"reader")) == Done()
    assert line.ask(Security(PASSWORD)) == Done()
    assert line.ask(Read(23)) == Data(TABLES[23])
    assert line.ask(Read(23, 10, 5)) == Data(TABLES[23][10:15])
    assert line.ask(Read(23, 215, 10)) == Data(TABLES[23][215:] + bytes(5))  # zeros past the end: Optical guide p. 9
    assert line.ask(Read(23, 0xFFFFFF, 2)) == Data(bytes(2))
    assert line.ask(Read(4150, 3, 4)) == Data(TABLES[4150][3:7], PED)
    assert line.ask(Read(4150)) == Data(TABLES[4150], PED)
    assert line.ask(Write(7, b"abc")) == Done()
    assert line.ask(Write(52, b"de", 9)) == Done()
    assert line.ask(Write(4150, b"fg", 3, PED)) == Done()
    assert handler.written == [(7, None, b"abc", b""), (52, 9, b"de", b""), (4150, 3, b"fg", PED)]
    assert line.ask(Wait(255)) == Done()
    assert line.ask(Logoff()) == Done()
    assert line.connection.state is State.IDENTIFIED
    assert line.ask(Logon()) == Done()
    assert line.ask(Terminate()) == Done()
    settle(line)
    assert line.connection.state is meter.connection.state is State.BASE
    assert handler.ended == [False, False]


def test_dialogues_read_and_write_in_pieces() -> None:
    handler = Tables(tables=dict(TABLES))
    line, _, _ = opened(handler)
    assert line.run(read(line.connection, 64)).data == BIG
    handler.packets = 1
    line.run(hang_up(line.connection))
    line.run(connect(Negotiate(64, 1)))
    line.run(log_on(PASSWORD))
    assert line.connection.max_read == 64 - 8 - 4
    assert line.run(read(line.connection, 64, 100, 1000)).data == BIG[100:1100]
    pending = line.run(read(line.connection, 4150, 0, 40))
    assert (pending.data, pending.ped) == (TABLES[4150], PED)
    line.run(write(line.connection, 52, BIG[:200], 5))
    assert b"".join(data for _, _, data, _ in handler.written) == BIG[:200]
    assert [offset for _, offset, _, _ in handler.written] == [5, 52, 99, 146, 193]
    with pytest.raises(LocalProtocolError) as error:
        line.ask(Read(64, 0, 53))
    assert error.value.code == "session.too_long"
    with pytest.raises(LocalProtocolError) as error:
        line.ask(Write(64, bytes(100)))
    assert error.value.code == "session.too_long"
    with pytest.raises(refusals.OperationNotPossible):
        line.ask(Read(64))  # an answer that does not fit what was agreed on
    assert line.ask(Read(1)) == Data(TABLES[1])


def test_open_tables_need_no_password() -> None:
    line, _, _ = bench(Tables(tables=dict(TABLES)))
    line.run(connect())
    line.run(log_on(None))
    assert line.run(read(line.connection, 2051)).data == TABLES[2051]
    with pytest.raises(refusals.InsufficientSecurityClearance) as error:
        line.ask(Read(23))
    assert error.value.table == 23
    assert error.value.code == "refused.isc"
    assert "BT23" in str(error.value)


def test_negotiation_with_and_without_speeds() -> None:
    handler = Tables(tables=dict(TABLES))
    handler.bauds = (9600, 57600)
    line, meter, _ = bench(handler)
    line.ask(Identify())
    assert line.ask(Negotiate(1024, 255, (9600, 19200, 57600))) == Negotiated(256, 255, 57600)
    line.ask(Logon())
    assert line.port.baud == line.connection.baud == meter.baud == 57600
    line.ask(Security(PASSWORD))
    assert line.ask(Read(64)) == Data(BIG)
    line.ask(Terminate())
    settle(line)
    assert line.port.baud == line.connection.baud == meter.baud == 9600
    line.ask(Identify())
    assert line.ask(Negotiate(128, 3, ())) == Negotiated(128, 3, 9600)
    assert encode_request(Negotiate(128, 3, ())).hex() == "60008003"
    assert parse_response(Negotiate(128, 3, ()), bytes.fromhex("00008003")) == Negotiated(128, 3, None)
    # 0x60 to 0x6B, every speed that the standard has
    for count in range(12):
        rates = tuple(BAUDS.values())[:count]
        message = encode_request(Negotiate(64, 1, rates))
        assert message[0] == 0x60 + count
        assert parse_request(message) == Negotiate(64, 1, rates)


@pytest.mark.parametrize("code", list(RefusalCode))
def test_every_response_code(code: RefusalCode) -> None:
    handler = Tables(tables=dict(TABLES), refuse={23: code, 7: code})
    line, _, _ = opened(handler)
    for request in (Read(23), Read(23, 1, 2), Write(7, b"x"), Write(7, b"x", 1)):
        with pytest.raises(Refused) as error:
            line.ask(request)
        kind = refusals.CLASSES[code]
        assert type(error.value) is kind
        assert error.value.code == refusals.CODES[code]
        assert error.value.fields["number"] == code
        assert error.value.fields["table"] == request.table
        assert error.value.hint
        again = pickle.loads(pickle.dumps(error.value))
        assert (type(again), str(again), again.fields) == (kind, str(error.value), error.value.fields)
        if code is RefusalCode.ISSS:  # the meter says that there is no session: it has to begin anew
            assert line.connection.state is State.BASE
            break
        assert line.ask(Read(1)) == Data(TABLES[1])
    assert {RefusalCode.BSY, RefusalCode.DNR, RefusalCode.DLK} == {
        c for c in RefusalCode if refusals.CLASSES[c].transient
    }


def test_names_of_the_codes() -> None:
    assert [code.name.lower() for code in RefusalCode] == [
        "err",
        "sns",
        "isc",
        "onp",
        "iar",
        "bsy",
        "dnr",
        "dlk",
        "rno",
        "isss",
    ]
    expected = ["refused.err", "refused.sns", "refused.isc", "refused.onp", "refused.iar", "refused.bsy"]
    expected += ["refused.dnr", "refused.dlk", "refused.rno", "refused.isss"]
    assert list(refusals.CODES.values()) == expected
    strange = refusal(0x1E, Read(1))
    assert strange.code == "refused.unknown"
    assert "1E" in str(strange)


def test_a_wrong_password() -> None:
    line, _, _ = bench(Tables(tables=dict(TABLES)))
    line.run(connect())
    with pytest.raises(refusals.GeneralError) as error:
        line.run(log_on(b"wrong wrong wrong wrong"[:20]))
    assert "ET55.23" in error.value.hint
    assert "wrong wrong" not in repr(error.value) + str(error.value) + repr(error.value.fields)
    assert b"wrong" not in repr(Security(b"wrong")).encode()


def test_a_session_left_open_by_another_program() -> None:
    handler = Tables(tables=dict(TABLES))
    line, meter, clock = opened(handler)
    other = Line(MemoryPort(meter, clock), Connection(Role.CLIENT), clock=clock)
    with pytest.raises(refusals.InvalidServiceSequenceState):
        other.ask(Identify())
    assert other.run(connect()) == Identified(0, 2, 0)
    assert other.connection.max_read > 1000
    assert line.connection.state is State.SESSION  # it does not know yet
    with pytest.raises((Refused, TransportError)):
        line.ask(Read(1))


def test_a_meter_that_does_not_negotiate() -> None:
    class Plain(Tables):
        def negotiate(self, request: Negotiate, baud: int) -> RefusalCode:
            return RefusalCode.SNS

    line, _, _ = bench(Plain(tables=dict(TABLES)))
    line.run(connect())
    line.run(log_on(PASSWORD))
    assert line.run(read(line.connection, 64, 0, 600)).data == BIG[:600]


def test_the_meter_refuses_what_is_out_of_order() -> None:
    meter = Connection(Role.METER)
    link_toggle = False

    def ask(message: bytes) -> int:
        nonlocal link_toggle
        out = meter.receive(c1218.split(message, 248, toggle=link_toggle)[0].emit(), 0.0)
        link_toggle = not link_toggle
        out += meter.tick(1.0)
        answer = c1218.parse(out[1:])
        assert isinstance(answer, tuple)
        meter.receive(b"\x06", 1.0)
        return answer[0].data[0]

    assert ask(encode_request(Read(1))) == RefusalCode.ISSS
    assert ask(encode_request(Logon())) == RefusalCode.ISSS
    assert ask(b"\x77") == RefusalCode.SNS
    assert ask(b"\x3e\x00\x01") == RefusalCode.SNS
    assert ask(b"\x30") == RefusalCode.ERR
    assert ask(b"") == RefusalCode.ERR
    assert meter.next_event() is None
    assert meter.state is State.BASE


@pytest.mark.parametrize(
    "message", ["40000700020102", "400007000201", "4f0007000000000201020c", "40", "4000070003010203fb", "4f00070000"]
)
def test_writes_that_do_not_add_up(message: str) -> None:
    with pytest.raises(Malformed) as error:
        parse_request(bytes.fromhex(message))
    assert error.value.code is RefusalCode.ERR


def test_checksum_of_table_data() -> None:
    assert checksum(b"") == 0
    assert checksum(bytes.fromhex("A08601000000200C")) == 0xAD
    assert (sum(BIG) + checksum(BIG)) & 0xFF == 0


@pytest.mark.parametrize(
    ("request_", "answer", "code"),
    [
        (Read(1), "", "session.answer"),
        (Read(1), "00", "session.answer"),
        (Read(1), "000004010203fa", "session.answer"),
        (Read(1), "0000020102ff", "session.checksum"),
        (Read(1, 0, 1), "0000020102fd", "session.count"),
        (Read(1), "0301", "session.answer"),
        (Read(1), "41", "session.answer"),
        (Logon(), "0001", "session.answer"),
        (Identify(), "000002", "session.answer"),
        (Negotiate(64, 1), "0000", "session.answer"),
        (Negotiate(64, 1), "0000400106ff", "session.answer"),
        (Negotiate(64, 1), "0000400000", "session.answer"),
        (Negotiate(64, 1), "0000400107", "session.answer"),
        (Negotiate(64, 1), "0000080106", "session.answer"),
    ],
)
def test_answers_that_are_none(request_: Any, answer: str, code: str) -> None:
    with pytest.raises(RemoteProtocolError) as error:
        parse_response(request_, bytes.fromhex(answer))
    assert error.value.code == code


def test_a_strange_answer_ends_the_session_and_a_wrong_checksum_does_not() -> None:
    def answers(message: str) -> tuple[Connection, OsgpError]:
        client = Connection(Role.CLIENT)
        for i, reply in enumerate(("0000020000", "00", message)):
            client.send((Identify(), Logon(), Read(1))[i], float(i))
            client.receive(b"\x06" + c1218.split(bytes.fromhex(reply), 56, toggle=i == 1)[0].emit(), i + 0.1)
            client.tick(i + 0.2)
            event = client.next_event()
        assert isinstance(event, Failed)
        return client, event.error

    client, error = answers("0000020102ff")
    assert (client.state, error.code) == (State.SESSION, "session.checksum")
    client, error = answers("0001")
    assert (client.state, error.code) == (State.BASE, "session.answer")


@pytest.mark.parametrize(
    "request_",
    [
        Read(70000),
        Read(-1),
        Read(1, 0, 0),
        Read(1, -1, 4),
        Read(1, 1 << 24, 4),
        Wait(256),
        Security(bytes(21)),
        Logon(1 << 16),
        Logon(1, bytes(11)),
        Negotiate(31),
        Negotiate(8193),
        Negotiate(64, 0),
        Negotiate(64, 1, (9601,)),
        Negotiate(64, 1, (9600,) * 12),
        Write(1, bytes(1 << 16)),
        Write(1, b"", 0, PED),
        Write(4097, b"", 0, b"short"),
    ],
)
def test_requests_that_cannot_be_said(request_: Any) -> None:
    with pytest.raises(LocalProtocolError) as error:
        encode_request(request_)
    assert error.value.code == "session.argument"


def test_rules_for_the_caller() -> None:
    client = Connection(Role.CLIENT)
    for request in (Read(1), Logon(), Logoff(), Security(b""), Wait(1), Negotiate()):
        with pytest.raises(LocalProtocolError) as error:
            client.send(request, 0.0)
        assert error.value.code == "session.state"
    with pytest.raises(LocalProtocolError) as error:
        client.send(Done(), 0.0)
    assert error.value.code == "session.role"
    assert client.send(Identify(), 0.0)
    with pytest.raises(LocalProtocolError) as error:
        client.send(Identify(), 0.0)
    assert error.value.code == "session.busy"
    meter = Connection(Role.METER)
    with pytest.raises(LocalProtocolError) as error:
        meter.send(Identify(), 0.0)
    assert error.value.code == "session.role"
    with pytest.raises(LocalProtocolError) as error:
        meter.send(Done(), 0.0)
    assert error.value.code == "session.state"
    out = client.receive(meter.receive(bytes.fromhex("EE0000000001201310"), 0.0), 0.0)
    assert meter.next_event() == Identify()
    with pytest.raises(LocalProtocolError) as error:
        meter.send(Data(b""), 0.0)
    assert error.value.code == "session.argument"
    assert not out
    assert "client base" in repr(client)


def test_the_diagram_in_the_docs_is_that_of_the_table() -> None:
    page = (HERE.parent / "docs" / "optical-port.md").read_text(encoding="utf-8")
    assert f"```mermaid\n{diagram()}\n```" in page
    for name in Timing.__dataclass_fields__:
        assert f"`{name}`" in page
        value = getattr(Timing(), name)
        assert f"| `{name}` | {value:g} |" in page or f"| `{name}` | {value} |" in page


# Time


def test_the_meter_ends_a_silent_session() -> None:
    handler = Tables(tables=dict(TABLES))
    _, meter, clock = opened(handler)
    while (due := meter.deadline()) is not None:
        clock.now = due
        meter.tick(due)
    assert handler.ended == [True]
    assert meter.connection.state is State.BASE
    assert clock.now == pytest.approx(1006.0, abs=0.1)  # channel traffic time-out: 6 s


def test_wait_keeps_a_session_once() -> None:
    handler = Tables(tables=dict(TABLES))
    line, meter, clock = opened(handler)
    line.ask(Wait(60))
    settle(line)
    start = clock.now
    assert meter.deadline() == pytest.approx(start + 60, abs=0.01)
    while clock.now < start + 55:  # nothing is said for longer than 6 s
        clock.now += 1
        meter.tick(clock.now)
    assert line.ask(Read(1)) == Data(TABLES[1])
    settle(line)
    assert meter.deadline() == pytest.approx(clock.now + 6, abs=0.01)  # the longer wait holds once


def test_timed_out_is_an_event() -> None:
    meter = Connection(Role.METER)
    meter.receive(bytes.fromhex("EE0000000001201310"), 0.0)
    assert meter.next_event() == Identify()
    meter.send(Identified(), 0.0)
    now = 0.0
    while (due := meter.deadline()) is not None:
        now = max(now, due)
        meter.tick(now)
    events = []
    while (event := meter.next_event()) is not None:
        events.append(event)
    assert events == [TimedOut()]
    assert meter.state is State.BASE


def test_turn_around() -> None:
    client = Connection(Role.CLIENT)
    client.send(Identify(), 0.0)
    assert client.receive(bytes.fromhex("06EE00200000050000020000" + "9BAD"), 0.05) == b""
    due = client.deadline()
    assert due is not None
    assert due == pytest.approx(0.05 + 175e-6)
    assert client.tick(due) == b"\x06"
    assert client.next_event() == Identified(0, 2, 0)
    assert client.deadline() is None


def run_silent(client: Connection, now: float = 0.0) -> tuple[list[float], Failed, float]:
    """Let the time go on until the client gives up: when it wrote, why it gave up, and when."""
    wrote = []
    while (event := client.next_event()) is None:
        due = client.deadline()
        assert due is not None
        assert due >= now
        now = due
        if client.tick(now):
            wrote.append(now)
    assert isinstance(event, Failed)
    return wrote, event, now


def test_a_silent_line() -> None:
    client = Connection(Role.CLIENT)
    first = client.send(Identify(), 0.0)
    wrote, failed, _ = run_silent(client)
    assert first.hex() == "ee0000000001201310"
    assert len(wrote) == Timing().first_retries
    assert wrote == pytest.approx([2.0 * (i + 1) + 0.0094 * (i + 1) for i in range(5)], abs=0.001)
    assert failed.error.code == "line.silent"
    assert failed.error.fields["bytes_sent"] == 6 * 9
    assert failed.error.fields["bytes_received"] == 0
    assert "9600" in failed.error.message
    # the next session waits for the meter to end this one, too
    assert client.send(Identify(), 13.0) == b""
    due = client.deadline()
    assert due is not None
    assert due == pytest.approx(12.05 + Timing().rest_s, abs=0.1)
    assert client.tick(due) != b""


def test_a_line_that_refuses() -> None:
    client = Connection(Role.CLIENT)
    client.send(Identify(), 0.0)
    now = 0.0
    for _ in range(6):
        now += 0.1
        client.receive(b"\x15", now)
        client.tick(now + 0.01)
    event = client.next_event()
    assert isinstance(event, Failed)
    assert event.error.code == "line.refused"


def test_no_answer_after_an_ack() -> None:
    client = Connection(Role.CLIENT)
    client.send(Identify(), 0.0)
    client.receive(bytes.fromhex("06EE002000000500000200009BAD"), 0.1)
    client.tick(0.2)
    assert client.next_event() == Identified(0, 2, 0)
    client.send(Logon(), 1.0)
    client.receive(b"\x06", 1.1)
    writes, now = [], 1.1
    while (event := client.next_event()) is None:
        due = client.deadline()
        assert due is not None
        now = due
        if out := client.tick(now):
            writes.append((now, out))
            client.receive(b"\x06", now)
    assert isinstance(event, Failed)
    assert event.error.code == "line.no_answer"
    assert now == pytest.approx(11.1)
    # probes are the same packet again, toggle bit and all
    assert {out for _, out in writes} == {encode(Logon(), toggle=True)}
    assert [when for when, _ in writes] == pytest.approx([4.1, 7.1, 10.1], abs=0.01)


def encode(request: Any, *, toggle: bool) -> bytes:
    return c1218.split(encode_request(request), 56, toggle=toggle)[0].emit()


def test_no_ack_of_a_later_packet() -> None:
    client = Connection(Role.CLIENT)
    client.send(Identify(), 0.0)
    client.receive(bytes.fromhex("06EE002000000500000200009BAD"), 0.1)
    client.tick(0.2)
    client.next_event()
    client.send(Logon(), 1.0)
    wrote, failed, _ = run_silent(client, 1.0)
    assert len(wrote) == Timing().retries
    assert failed.error.code == "line.no_ack"


def test_an_exchange_ends_whatever_comes() -> None:
    """Something that answers for ever with the first of many packets."""
    client = Connection(Role.CLIENT)
    client.send(Identify(), 0.0)
    now, toggle = 0.0, 0
    while (event := client.next_event()) is None and now < 1000:
        now += 1.0
        toggle ^= 0x20
        client.receive(b"\x06" + c1218.encode_packet(0, 0xC0 | toggle, 9, b"more"), now)
        client.tick(now + 0.01)
    assert isinstance(event, Failed)
    assert now < 100
    assert isinstance(event.error, TransportError)


def test_giving_up_without_a_word() -> None:
    line, _, clock = opened(Tables(tables=dict(TABLES)))
    line.connection.close(clock.now)
    assert line.connection.state is State.BASE
    assert line.connection.request is None


def test_responder_keeps_what_could_not_be_said() -> None:
    """A client that vanishes: the meter's answer is not acknowledged."""
    meter = Responder(Connection(Role.METER), Tables())
    meter.receive(bytes.fromhex("EE0000000001201310"), 0.0)
    now = 0.0
    while (due := meter.deadline()) is not None and now < 60:
        now = due
        meter.tick(now)
    assert meter.connection.state is State.BASE
    assert all(isinstance(error, OsgpError) for error in meter.failures)


def test_line_closes_its_port_after_an_error() -> None:
    line, meter, _ = bench(Tables(tables=dict(TABLES)))
    with pytest.raises(LocalProtocolError), line:
        line.run(log_on(None))
    assert meter.connection.state is State.BASE
    line, meter, _ = bench(Tables(tables=dict(TABLES)))
    line.run(connect())
    with pytest.raises(LocalProtocolError), line:
        line.ask(Read(1))
    assert meter.connection.state is State.BASE
    with pytest.raises(TransportError) as error:
        line.port.read(0.0)
    assert error.value.code == "port.unplugged"
    line.port.close()


def test_a_line_on_which_both_wait_for_ever() -> None:
    with pytest.raises(TransportError) as error:
        MemoryPort(Connection(Role.METER), VirtualClock()).read(None)
    assert error.value.code == "port.nobody"
