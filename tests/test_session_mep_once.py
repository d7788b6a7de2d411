"""What a MEP client does once: procedures, transactions, registration; and a thousand exchanges on a bad line."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from mep_lines import MBK, MepTables, bench
from osgp_fast.codec import transactions
from osgp_fast.errors import LocalProtocolError, OsgpError, RemoteProtocolError
from osgp_fast.session import (
    Data,
    MepAccess,
    MepConnection,
    MepMode,
    OutcomeUnknown,
    Read,
    RefusalCode,
    Refused,
    dialogue,
)
from osgp_fast.session.mep_procedure import (
    EP61,
    ET11,
    ET13,
    ET50,
    ET52,
    ET53,
    ET54,
    ET70,
    Place,
    Procedures,
    alert_flags,
    change_baud,
    register,
    transact,
    where,
    write,
)
from osgp_fast.session.procedure import BT08, ET59, ET85, Once, Result
from osgp_fast.transport import AsyncMepLine, BadLine, Faults, MepLine
from osgp_fast.transport.memory import Delivery
from osgp_fast.wire.mep import ALERT

EP17 = 2048 + 17
ET85_EMPTY = bytes(16)
#: ET11 as the guide prints it: five devices of 66 bytes, ET52 of 769 bytes, six sources.
ET11_BYTES = bytes.fromhex("0542240506 0502 0103 F906") + bytes(11) + b"\6" + bytes(11)
TABLES = {
    BT08: bytes(16),
    ET59: bytes(16),
    ET85: ET85_EMPTY,
    ET11: ET11_BYTES,
    ET13: bytes(272) + b"\2" + bytes(65) + b"\x08" + bytes(57),
    ET50: bytes(142),
    ET52: bytes(896),
    ET53: bytes(1785),
    ET54: bytes(200),
    23: bytes(range(220)),
    64: bytes(i * 7 & 0xFF for i in range(3000)),
}


class Lossy:
    """A line that loses its writes of these numbers, counted from when it is armed."""

    def __init__(self) -> None:
        self.lose: set[int] = set()
        self.count = 0

    def arm(self, *lose: int) -> None:
        self.lose, self.count = set(lose), 0

    def carry(self, data: bytes, now: float, baud: int) -> list[Delivery]:
        self.count += 1
        return [] if self.count - 1 in self.lose else [(now, data)]

    def answers(self) -> list[Delivery]:
        return []


def on_lossy(handler: MepTables, mode: MepMode = MepMode.RC4) -> tuple[MepLine, Lossy, Lossy]:
    out, back = Lossy(), Lossy()
    line, _, _ = bench(handler, mode=mode, out=out, back=back)
    line.ask(Read(23, 0, 1))
    out.arm()
    back.arm()
    return line, out, back


# Writes


@pytest.mark.parametrize("mode", [MepMode.RC4, MepMode.TLS])
@pytest.mark.parametrize("side", ["out", "back"])
@pytest.mark.parametrize("at", range(5))
def test_a_write_is_found_out_about(mode: MepMode, side: str, at: int) -> None:
    handler = MepTables(TABLES)
    line, out, back = on_lossy(handler, mode)
    (out if side == "out" else back).arm(at)
    data = bytes(range(200, 256)) * 20
    line.run(write(line.connection, 64, data, 100))
    assert handler.tables[64][100 : 100 + len(data)] == data
    places = [offset for _, offset, _ in handler.written]
    assert len(places) == len(set(places)) == 3


def test_a_write_that_the_meter_took_and_does_not_show_stays_unknown() -> None:
    class Deaf(MepTables):
        def write(self, table: int, offset: int | None, data: bytes, ped: bytes) -> RefusalCode | None:
            self.written.append((table, offset, data))
            return None

    handler = Deaf(TABLES)
    line, _, back = on_lossy(handler)
    back.arm(0)
    with pytest.raises(OutcomeUnknown) as caught:
        line.run(write(line.connection, 23, b"\7", 5))
    assert caught.value.accepted
    assert len(handler.written) == 1


def test_a_write_on_a_dead_line_stays_unknown() -> None:
    handler = MepTables(TABLES)
    line, out, _ = on_lossy(handler)
    out.arm(*range(100))
    with pytest.raises(OutcomeUnknown) as caught:
        line.run(write(line.connection, 23, b"\7", 5))
    assert caught.value.fields["cause"] == "line.silent"


# Where we are


@pytest.mark.parametrize(
    ("tables", "place"),
    [
        ({}, Place(1, False, False)),
        ({ET70: bytes(140)}, Place(1, False, False)),
        ({ET70: bytes(142) + b"\1", ET54: b"\0\1"}, Place(1, True, False)),
        ({ET70: bytes(142) + b"\2", ET54: b"\0\1"}, Place(2, True, False)),
        ({ET50: bytes(30) + b"\3" + bytes(111)}, Place(1, False, True)),
    ],
)
def test_which_client_we_are(tables: dict[int, bytes], place: Place) -> None:
    line, _, _ = bench(MepTables(TABLES | tables))
    found = line.run(where(line.connection))
    assert found == place
    assert found.response == (ET85 if place.client == 2 else ET59 if place.et59 else BT08)
    assert line.run(alert_flags(line.connection, found)) == (2 if place.client == 1 else 8)
    assert (found.et50, found.et13) == ((0, 264) if place.client == 1 else (71, 330))


def test_a_meter_without_the_tables_of_two_ports() -> None:
    line, _, _ = bench(MepTables({}))
    assert line.run(where(line.connection)) == Place()


def test_registration_is_the_write_of_the_guide() -> None:
    handler = MepTables(TABLES)
    line, _, _ = bench(handler)
    place = line.run(register(line.connection, Place()))
    assert handler.written == [(ET50, 30, b"\1")]  # MEP guide p. 17
    assert place.response == BT08
    place = line.run(
        register(line.connection, Place(client=2, multiple=True), identification=bytes(range(30)), et59=True)
    )
    assert handler.written[1:] == [(ET50, 71, bytes(range(30))), (ET50, 101, b"\3")]
    assert place.response == ET85
    assert line.run(register(line.connection, Place(), et59=True, mbus_alerts=True)).response == ET59
    assert handler.written[-1] == (ET50, 30, b"\7")
    with pytest.raises(LocalProtocolError) as caught:
        line.run(register(line.connection, Place(), identification=b"short"))
    assert caught.value.code == "session.argument"


def test_the_speed_changes_after_the_answer() -> None:
    class Fast(MepTables):
        def write(self, table: int, offset: int | None, data: bytes, ped: bytes) -> RefusalCode | None:
            if (table, offset) == (ET13, 270):
                self.baud = {12: 115200, 6: 9600}[data[0]]
            return super().write(table, offset, data, ped)

    handler = Fast(TABLES)
    line, meter, _ = bench(handler)
    for baud in (115200, 9600):
        line.run(change_baud(line.connection, Place(), baud))
        assert line.ask(Read(23, 5, 2)) == Data(b"\5\6")
        assert (line.port.baud, meter.baud) == (baud, baud)
    with pytest.raises(LocalProtocolError) as caught:
        line.run(change_baud(line.connection, Place(), 12345))
    assert caught.value.code == "session.argument"


# Procedures


@pytest.mark.parametrize("mode", [MepMode.RC4, MepMode.TLS])
@pytest.mark.parametrize("table", [BT08, ET59, ET85])
def test_procedures_by_the_right_response_table(table: int, mode: MepMode) -> None:
    handler = MepTables(TABLES, response=table)
    line, _, _ = bench(handler, mode=mode)
    procedures = Procedures(line.connection, table)
    for _ in range(12):
        result = line.run(procedures.call(EP17, b"\0\xf8\3"))
        assert (result.number, result.code, result.name) == (EP17, 0, "completed")
    numbers = [initiate.sequence for initiate in handler.procedures]
    assert set(numbers) == {5, 6, 7, 8, 9}
    assert all(a != b for a, b in pairwise(numbers))


def test_results_are_given_whatever_they_say() -> None:
    handler = MepTables(TABLES, results={EP17: 2, 3: 7})
    line, _, _ = bench(handler)
    procedures = Procedures(line.connection)
    assert line.run(procedures.call(EP17)).code == 2
    assert line.run(procedures.call(3)).name == "result 7"


@pytest.mark.parametrize("mode", [MepMode.RC4, MepMode.TLS])
@pytest.mark.parametrize("side", ["out", "back"])
@pytest.mark.parametrize("at", range(6))
def test_a_procedure_is_executed_once(mode: MepMode, side: str, at: int) -> None:
    handler = MepTables(TABLES)
    line, out, back = on_lossy(handler, mode)
    (out if side == "out" else back).arm(at)
    result = line.run(Procedures(line.connection).call(EP17, b"\0\xf8\3"))
    assert result.code == 0
    assert [initiate.number for initiate in handler.procedures] == [EP17]


def test_a_number_that_an_earlier_program_used_last() -> None:
    handler = MepTables(TABLES)
    line, _, _ = bench(handler)
    line.run(Procedures(line.connection).call(EP17))
    handler.tables[BT08] = Result(3, 77, 0).emit().ljust(16, b"\0")  # an optical client's
    line.run(Procedures(line.connection).call(EP17))
    assert [initiate.sequence for initiate in handler.procedures] == [5, 6]


def test_somebody_elses_response_leaves_it_unknown() -> None:
    """BT08 is shared with the optical port: ours may have been there, and the meter may take its number again."""

    class Shared(MepTables):
        def procedure(self, data: bytes) -> RefusalCode | None:
            refused = super().procedure(data)
            self.tables[BT08] = Result(3, 77, 0).emit().ljust(16, b"\0")
            self.once = Once()
            return refused

    handler = Shared(TABLES)
    line, _, back = on_lossy(handler, MepMode.TLS)
    back.arm(1)
    with pytest.raises(OutcomeUnknown):
        line.run(Procedures(line.connection).call(EP17))
    assert len(handler.procedures) == 1


def test_a_refused_procedure_and_one_without_a_response() -> None:
    line, _, _ = bench(MepTables(TABLES, refuse={7: RefusalCode.ISC}), key=MBK, access=MepAccess.BASIC)
    with pytest.raises(Refused) as refused:
        line.run(Procedures(line.connection).call(EP17))
    assert refused.value.code == "refused.isc"
    line, _, _ = bench(MepTables(TABLES, refuse={7: RefusalCode.ONP}))
    with pytest.raises(Refused) as refused:
        line.run(Procedures(line.connection).call(EP17))
    assert refused.value.code == "refused.onp"
    handler = MepTables(TABLES, response=ET59)
    line, _, _ = bench(handler)
    with pytest.raises(OutcomeUnknown) as caught:
        line.run(Procedures(line.connection, BT08).call(EP17))
    assert "ET59" in caught.value.hint
    assert len(handler.procedures) == 1


def test_a_procedure_that_takes_its_time() -> None:
    class Slow(MepTables):
        polls = 0

        def read(self, table: int, offset: int, count: int | None) -> bytes | RefusalCode:
            if table == BT08 and self.procedures:
                self.polls += 1
                last = self.procedures[-1]
                if self.polls < 4:  # not posted yet
                    return bytes(16)
                return Result(last.number, last.sequence, 1 if self.polls < 8 else 0).emit().ljust(16, b"\0")
            return super().read(table, offset, count)

    handler = Slow(TABLES)
    line, _, _ = bench(handler)
    procedures = Procedures(line.connection)
    assert line.run(procedures.call(EP17, final=False)).code == 0
    assert handler.polls == 8
    handler.polls = 0
    assert line.run(procedures.call(EP17)).code == 1  # its final result, where the page does not say to poll


# Transactions


REQUESTS = [
    transactions.read(ET11, 0, 10),
    transactions.read(23, 0, 5),
    transactions.write(23, b"\7\7", 4),
    transactions.read(23, 4, 2),
]


@pytest.mark.parametrize("mode", [MepMode.RC4, MepMode.TLS])
@pytest.mark.parametrize("filler", [0, 700])
def test_a_transaction_in_one_write_or_several(mode: MepMode, filler: int) -> None:
    handler = MepTables(TABLES)
    line, _, _ = bench(handler, mode=mode)
    requests = [*REQUESTS, *([transactions.write(64, bytes(filler), 0)] if filler else [])]
    request = transactions.build_requests(9, requests)
    response = line.run(transact(line.connection, request, capacity=896))
    answers = transactions.parse_transaction(response)
    assert answers.number == 9
    assert [answer.data for answer in answers.responses[:4]] == [ET11_BYTES[:10], bytes(range(5)), b"", b"\7\7"]
    writes = [offset for table, offset, _ in handler.written if table == ET52]
    most = line.connection.max_write
    assert writes == list(range(0, len(request), most))
    assert handler.executed == [9]


def test_a_transaction_of_number_0_where_there_was_none_yet() -> None:
    handler = MepTables(TABLES)
    line, _, _ = bench(handler)
    response = line.run(transact(line.connection, transactions.build_requests(0, REQUESTS)))
    assert transactions.parse_transaction(response).number == 0
    assert handler.executed == [0]
    assert len(handler.written) == 2


def test_the_transaction_of_the_guide() -> None:
    """ET52 and ET53 as printed on pp. 45-50, through a meter that holds the tables read."""
    handler = MepTables(TABLES)
    line, _, _ = bench(handler)
    request = bytes.fromhex(
        "43000001000800 3f080b000000000a0800 3f0014000000000a0800 3f0015000000000a0800 3f080400003700010800 "
        "3f080e000000000c0800 3f080f000000001f0100"
    )
    response = line.run(transact(line.connection, request))
    assert handler.written == [(ET52, 0, request)]
    answers = transactions.parse_transaction(response).responses
    assert answers[0] == transactions.Response(0, 10, ET11_BYTES[:10])
    assert [answer.code for answer in answers[1:]] == [5] * 5  # tables that this meter does not have


@pytest.mark.parametrize("mode", [MepMode.RC4, MepMode.TLS])
@pytest.mark.parametrize("side", ["out", "back"])
@pytest.mark.parametrize("at", range(8))
def test_a_transaction_is_executed_once(mode: MepMode, side: str, at: int) -> None:
    handler = MepTables(TABLES)
    line, out, back = on_lossy(handler, mode)
    (out if side == "out" else back).arm(at)
    request = transactions.build_requests(3, [*REQUESTS, transactions.write(64, bytes(600), 0)])
    response = line.run(transact(line.connection, request))
    assert transactions.parse_transaction(response).number == 3
    assert handler.executed == [3]
    assert sum(table == 64 for table, _, _ in handler.written) == 1


class TwoPorts(MepTables):
    """A meter with two MEP clients, of which the other one may have locked the transaction tables."""

    locked_by_other = False
    locks: list[int]

    def procedure(self, data: bytes) -> RefusalCode | None:
        self.locks = getattr(self, "locks", [])
        self.results[EP61] = 3 if self.locked_by_other else 0
        refused = super().procedure(data)
        if refused is None and self.procedures[-1].number == EP61:
            self.locks.append(self.procedures[-1].parameters[0])
        return refused


def test_transactions_are_locked_on_two_ports() -> None:
    handler = TwoPorts(TABLES, response=ET85)
    line, _, _ = bench(handler)
    lock = Procedures(line.connection, ET85)
    line.run(transact(line.connection, transactions.build_requests(1, REQUESTS), lock=lock))
    assert handler.locks == [1, 0]
    handler.refuse[ET52] = RefusalCode.ONP
    with pytest.raises(Refused):
        line.run(transact(line.connection, transactions.build_requests(2, REQUESTS), lock=lock))
    assert handler.locks == [1, 0, 1, 0]  # given back although it failed
    handler.locked_by_other = True
    with pytest.raises(RemoteProtocolError) as caught:
        line.run(transact(line.connection, transactions.build_requests(2, REQUESTS), lock=lock))
    assert caught.value.code == "mep.transaction_locked"
    assert handler.executed == [1]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"", "mep.transaction"),
        (transactions.build_requests(5, REQUESTS)[:-1], "mep.transaction"),
        (transactions.build_requests(5, REQUESTS)[:-1] + b"\1", "mep.transaction"),
        (transactions.build_requests(5, [transactions.write(64, bytes(800), 0)]), "mep.transaction_size"),
        (transactions.build_requests(4, REQUESTS), "mep.transaction_number"),
    ],
)
def test_transactions_that_are_not_begun(request_: bytes, code: str) -> None:
    handler = MepTables(TABLES | {ET53: transactions.build_responses(4, [])})
    line, _, _ = bench(handler)
    with pytest.raises(LocalProtocolError) as caught:
        line.run(transact(line.connection, request_))
    assert caught.value.code == code
    assert handler.written == []


def test_a_transaction_that_another_client_overwrites_and_one_that_is_ignored() -> None:
    class Busy(MepTables):
        def read(self, table: int, offset: int, count: int | None) -> bytes | RefusalCode:
            if table == ET53 and count != 5:
                return transactions.build_responses(99, [])
            return super().read(table, offset, count)

    line, _, _ = bench(Busy(TABLES))
    with pytest.raises(RemoteProtocolError) as caught:
        line.run(transact(line.connection, transactions.build_requests(1, REQUESTS)))
    assert caught.value.code == "mep.transaction_overwritten"

    class Other(MepTables):
        def transaction(self, data: bytes) -> None:
            super().transaction(data)
            self.executed.append(99)
            self.tables[ET53] = transactions.build_responses(99, [])

    handler = Other(TABLES)
    line, _, _ = bench(handler)
    with pytest.raises(OutcomeUnknown):
        line.run(transact(line.connection, transactions.build_requests(1, REQUESTS)))
    assert handler.executed == [1, 99]

    class Idle(MepTables):
        def transaction(self, data: bytes) -> None:
            pass

    line, _, _ = bench(Idle(TABLES))
    with pytest.raises(OutcomeUnknown) as unknown:
        line.run(transact(line.connection, transactions.build_requests(1, REQUESTS)))
    assert unknown.value.fields["cause"] == "transaction"


# asyncio


def test_the_same_with_asyncio() -> None:
    import asyncio

    handler = MepTables(TABLES)
    blocking, meter, clock = bench(handler, mode=MepMode.TLS)

    async def talk() -> tuple[Data, bool]:
        async with AsyncMepLine(blocking.port, blocking.connection, clock=clock) as line:
            data = await line.run(dialogue.read(line.connection, 64, 0, 1000))
            meter.alert = True
            return data, await line.listen(3.0)

    data, alerted = asyncio.run(talk())
    assert data.data == TABLES[64][:1000]
    assert alerted


# A thousand exchanges


#: Named failures that a bad line may end in.
GOOD = {
    "line.silent",
    "line.no_answer",
    "mep.outcome_unknown",
    "mep.digest",
    "mep.too_long",
    "mep.wrong_key",
    "mep.sequence",
}
GOOD |= {"mep.tls_key", "mep.tls_alert", "mep.tls_refused", "mep.tls_answer", "mep.tls_required", "tls.bad_record"}
GOOD |= {"tls.record_type", "tls.version", "tls.unexpected_message", "tls.decode", "tls.suite", "tls.record_overflow"}


class Household(MepTables):
    """Counts what was executed: values written to BT30 as they come, by their own number."""

    def values(self) -> Counter[bytes]:
        return Counter(data for table, _, data in self.written if table == 30)


def exchanges(mode: MepMode, faults: Faults, count: int, seed: int) -> tuple[Counter[str], MepConnection, Any]:
    """So many exchanges of all kinds; each answer and each execution is checked."""
    random = Random(seed)
    handler = Household(TABLES | {30: bytes(400)})
    line, meter, _ = bench(handler, mode=mode, seed=seed, out=BadLine(random, faults), back=BadLine(random, faults))
    connection = line.connection

    def alerting(message: bytes) -> bytes:
        """Alerts right before and behind answers, too, which a meter's hold-off should prevent."""
        return random.choice((b"", b"", b"", ALERT)) + message + random.choice((b"", b"", b"", ALERT))

    meter.tamper = alerting
    procedures = Procedures(connection)
    happened: Counter[str] = Counter()
    done: set[bytes] = set()
    tried: set[bytes] = set()
    called: dict[bytes, str] = {}
    committed: dict[int, str] = {}
    for serial in range(count):
        kind = random.choices(["read", "long read", "write", "procedure", "transaction"], [55, 10, 20, 10, 5])[0]
        meter.alert = random.random() < 0.3
        line.listen(random.choice((0.0, 0.0, 0.05, 0.4, 1.3)))
        mark = serial.to_bytes(4)
        try:
            match kind:
                case "read":
                    start, size = random.randrange(200), random.randrange(1, 400)
                    assert line.ask(Read(64, start, size)) == Data(TABLES[64][start : start + size])
                case "long read":
                    start = random.randrange(900)
                    assert line.run(dialogue.read(connection, 64, start, 1100)).data == TABLES[64][start : start + 1100]
                case "write":
                    tried.add(mark)
                    line.run(write(connection, 30, mark, random.randrange(90) * 4))
                    done.add(mark)
                case "procedure":
                    called[mark] = "unknown"
                    result = line.run(procedures.call(EP17, mark))
                    assert (result.number, result.code) == (EP17, 0)
                    called[mark] = "done"
                case _:
                    number = serial + 1
                    committed[number] = "unknown"
                    request = transactions.build_requests(number, REQUESTS)
                    answer = transactions.parse_transaction(line.run(transact(connection, request)))
                    assert answer.number == number
                    assert answer.responses[1].data[:4] == bytes(range(4))
                    committed[number] = "done"
        except OsgpError as error:
            happened[f"{kind}: {error.code}"] += 1
        else:
            happened[kind] += 1
    assert {name.partition(": ")[2] for name in happened if ": " in name} <= GOOD
    # Nothing twice, nothing lost without an error.
    values = handler.values()
    assert set(values.values()) <= {1}
    assert done <= set(values) <= tried
    executed = Counter(initiate.parameters for initiate in handler.procedures)
    assert set(executed.values()) <= {1}
    assert {mark for mark, end in called.items() if end == "done"} <= set(executed) <= set(called)
    ran = Counter(handler.executed)
    assert set(ran.values()) <= {1}
    assert {number for number, end in committed.items() if end == "done"} <= set(ran) <= set(committed)
    return happened, connection, meter


def told(happened: Counter[str]) -> int:
    """How many failed, with an error."""
    return sum(count for name, count in happened.items() if ": " in name)


@pytest.mark.parametrize("mode", [MepMode.CLEAR, MepMode.RC4, MepMode.TLS])
def test_a_thousand_exchanges_on_a_line_that_loses_one_in_twenty(mode: MepMode) -> None:
    happened, connection, meter = exchanges(mode, Faults(lose=0.05), 1000, seed=7)
    print(f"\n{mode.value}: {dict(sorted(happened.items()))}\n  client {connection.counts}\n  meter {meter.served}")
    assert told(happened) <= 20
    assert connection.counts.alerts > 200
    assert connection.counts.sent_again > 50


@pytest.mark.parametrize(("mode", "seed"), [(MepMode.CLEAR, 0), (MepMode.RC4, 1), (MepMode.TLS, 2)])
def test_exchanges_on_a_line_with_all_faults(mode: MepMode, seed: int) -> None:
    faults = Faults(lose=0.02, flip=0.03, cut=0.02, delay=0.03, duplicate=0.02, stray=0.02, delay_s=1.5)
    happened, connection, _ = exchanges(mode, faults, 200, seed)
    print(f"\n{mode.value}: {dict(sorted(happened.items()))}\n  client {connection.counts}")
    assert told(happened) < 100
