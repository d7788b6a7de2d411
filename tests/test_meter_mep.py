"""The live meter over its MEP port: every task gives what `decode` gives for a dump of the same virtual meter, over RC4 in
clear, RC4 enciphered and TLS; keys and rights, procedures, transactions, alerts, a port that is taken away."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import osgp_fast as osgp
import pytest
from osgp_fast.cli import main
from osgp_fast.codec import transactions
from osgp_fast.decode import Result
from osgp_fast.image import TableImage, parse_table_name
from osgp_fast.meter import Alert, AsyncMeter, Clocks, InsecureMepWarning, Meter
from osgp_fast.meter.sizes import element_size
from osgp_fast.security import Key
from osgp_fast.session import MepMode, MepTiming, OutcomeUnknown, RefusalCode, Refused, Timing
from osgp_fast.session.procedure import BT08, ET59, ET85
from osgp_fast.transport import BadLine, Faults, MemoryPort, VirtualClock, Wire
from osgp_fast.virtual import Clock, Firmware, Keys, MBusDevice, MepMeterHandler, MeterConfig, VirtualMeter, mep_machine
from osgp_fast.virtual.mep import DELTA_DATA, MBUS_CHANGE, ON_DEMAND_REQUEST, MepMachine

START = datetime(2024, 6, 1, 10, 7, 30, tzinfo=UTC)
MAK = bytes(range(0x10, 0x20))
MBK = b"a basic key of a met"
SECURITIES = ["clear", "rc4", "tls"]
pytestmark = pytest.mark.filterwarnings("ignore::osgp_fast.meter.InsecureMepWarning")
SNAPSHOTS = ("current", "self_read", "previous_season", "previous_demand_reset")


@dataclass
class Bench:
    """A virtual meter whose clock stands unless it is told to run, and its MEP port."""

    firmware: str = "3.50"
    client: int = 1
    speed: float = 0.0
    server: MepMode = MepMode.AUTO
    timing: MepTiming = field(default_factory=MepTiming)
    more: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clock = VirtualClock()
        config = MeterConfig(
            firmware=Firmware.parse(self.firmware),
            start=START,
            history_days=4,
            mbus=(MBusDevice(),),
            keys=Keys(mak=MAK, mbk=MBK),
            **self.more,
        )
        self.meter = VirtualMeter(config)
        self.now = Clock(self.clock, self.meter.start, self.speed)
        self.handler, self.machine = self.port_of(self.client)

    def port_of(self, client: int) -> tuple[MepMeterHandler, MepMachine]:
        handler = MepMeterHandler(self.meter, self.now, client=client)
        entropy = Random(client).randbytes
        return handler, mep_machine(handler, entropy=entropy, mode=self.server, timing=self.timing)

    def line(self, machine: Any = None, **ways: Any) -> MemoryPort:
        return MemoryPort(machine or self.machine, self.clock, name="mep:memory", **ways)

    @property
    def clocks(self) -> Clocks:
        return Clocks(running=self.clock, wall=lambda: self.meter.start + self.clock() - 1000.0)

    @contextmanager
    def open(self, security: str = "rc4", key: Any = MAK, **options: Any) -> Iterator[Meter]:
        ways = {way: options.pop(way) for way in ("out", "back", "machine") if way in options}
        with osgp.open(self.line(**ways), key=key, security=security, clock=self.clocks, **options) as live:
            yield live

    def truth(self, what: str, label: str, **options: Any) -> list[dict[str, Any]]:
        """What `decode` gives for a dump of the meter."""
        images = [
            TableImage(meter=label, table=parse_table_name(id) or 0, data=data, whole=True)
            for id, data in self.meter.images(self.meter.start).items()
            if id not in ("BT07", "BT08")
        ]
        return plain(osgp.decode_images(images, what=what, **options))

    def check(self, live: Meter) -> None:
        """Every kind has the rows of a dump of the meter."""
        kinds = {
            "meters": live.meters(),
            "registers": live.registers(SNAPSHOTS),
            "load_profile": live.load_profile(),
            "channels": live.channels(),
            "mbus": live.mbus(),
            "alarms": live.alarms(),
            "events": live.events(),
            "measurements": live.measurements(),
        }
        for what, result in kinds.items():
            rows = plain(result)
            assert rows == self.truth(what, live.label), what
            assert rows
            assert not list(result.rejects)


def idle(live: Meter, seconds: float) -> None:
    """Nobody reads for a while; what the meter says meanwhile waits at the port."""
    port, end = live._line.port, live._line.clock() + seconds
    assert isinstance(port, MemoryPort)
    heard = b""
    while (left := end - port.clock()) > 0:
        heard += port.read(left)
    port._to_us.appendleft((port.clock(), heard))


def plain(result: Result) -> list[dict[str, Any]]:
    """The rows without the time of the read, and without BT00's list."""
    return [{**row, "read_at": None, **({"tables": None} if "tables" in row else {})} for row in result.rows()]


# ---- the nine tasks


@pytest.mark.parametrize("firmware", ["3.50", "4.30"])
@pytest.mark.parametrize("security", SECURITIES)
def test_the_tasks_give_the_rows_of_the_dump(security: str, firmware: str) -> None:
    bench = Bench(firmware)
    if security != "tls" and firmware != "3.50":
        bench.server = MepMode.RC4
    with bench.open(security) as live:
        meter, at = bench.meter, bench.meter.start
        assert live.security == security
        identity = live.identity()
        assert live.serial_number() == live.label == identity.utility_serial
        assert live.firmware().startswith(firmware)
        assert identity.firmware == live.firmware()
        bench.check(live)
        assert plain(live.self_reads()) == [
            row for row in bench.truth("registers", live.label) if row["snapshot"] == "self_read"
        ]
        since = START - timedelta(hours=7)
        wanted = bench.truth("load_profile", live.label, since=since, delta=True)
        assert plain(live.load_profile(since, delta=True)) == wanted
        assert wanted
        clock = live.clock()
        assert clock.utc == START
        assert abs(clock.drift_s or 0) < 60
        # Reads of all sizes are split and joined.
        for id in ("BT64", "BT74", "ET13", "BT61"):
            assert live.read(id) == meter.image(id, at), id
        assert live.read("BT64", 100, 1400) == meter.image("BT64", at)[100:1500]
        assert live.read_field("BT61.7") == live.read_table("BT61")["set.0.blocks"]
        assert live.sessions == 1


@pytest.mark.parametrize("security", ["rc4", "tls"])
def test_a_dump_is_the_meter(security: str) -> None:
    bench = Bench(more={"events": 20, "recurring_reads": 2})
    with bench.open(security) as live:
        found = {image.table: bytes(image.data) for image in live.dump()}
        assert not live.refused
    for id, data in bench.meter.images(bench.meter.start).items():
        # Response tables are padded, and blocks that were never written are not told from those that were.
        assert found[parse_table_name(id) or 0][: len(data)] == data, id


@contextmanager
def simulated(*options: str) -> Iterator[str]:
    """The program as a meter at its MEP port, whose clock stands."""
    keys = ["--mak", MAK.hex(), "--mbk", MBK.hex()]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "osgp_fast",
            "simulate",
            "--mep",
            *keys,
            "--start",
            "2024-06-01T10:07:30Z",
            "--speed",
            "0",
            *options,
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OSGP_FAST_IMPL": "python"},
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate(timeout=10)


@dataclass
class Ran:
    """What the command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """``osgp-fast`` in this process, with a key in the environment and no terminal."""
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def call(*arguments: str | Path, key: bytes = MAK) -> Ran:
        monkeypatch.setenv("OSGP_MEP_KEY", key.hex())
        with pytest.raises(SystemExit) as done:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        assert key.hex() not in out + err
        return Ran(int(done.value.code or 0), out, err)

    return call


def test_the_commands(command: Callable[..., Ran], tmp_path: Path) -> None:
    meter = VirtualMeter(MeterConfig(firmware=Firmware.parse("3.50"), start=START))
    with simulated() as url:
        port = f"mep:{url}"
        fast = ("--baud", "57600")
        done = command("read", port, *fast, "--what", "measurements", "-o", tmp_path / "now.jsonl")
        assert (done.code, "warning" in done.err) == (0, False), done.err
        done = command(
            "dump", port, *fast, "--security", "rc4", "--tables", "BT01,BT23,ET21", "-o", f"{tmp_path}/dump/"
        )
        assert done.code == 0, done.err
        assert done.err.count("advises strongly against it") == 1
        files = {file.stem: file.read_bytes() for file in (tmp_path / "dump").rglob("*.bin")}
        assert files == {id: meter.image(id, meter.start) for id in ("BT01", "BT23", "ET21")}
        (tmp_path / "key").write_text(MBK.hex())
        basic = ("--access", "basic", "--key-file", tmp_path / "key")
        for security in ("tls", "clear"):
            log = tmp_path / f"{security}.log"
            done = command("record", port, log, *fast, "--what", "measurements", "--security", security, *basic)
            assert done.code == 0, done.err
            out = tmp_path / f"{security}.jsonl"
            done = command("decode", log, "--key", MBK.hex(), "--what", "measurements", "-o", out)
            assert done.code == 0, done.err + log.read_text()[:2000]
            rows = [{**json.loads(line), "read_at": None} for line in out.read_text().splitlines()]
            lines = (tmp_path / "now.jsonl").read_text().splitlines()
            assert rows == [{**json.loads(line), "read_at": None} for line in lines] != []
        done = command("watch", port, *fast, "--count", "1", "--security", "rc4")
        assert done.code == 0, done.err
        assert json.loads(done.out)["measurements"]
        done = command("read", port, *fast, key=bytes(16))
        assert done.code == 3
        assert "mep.tls_key" in done.err or "key" in done.err
    done = command("simulate", "--client", "2")
    assert done.code == 2
    assert "--mep" in done.err
    done = command("simulate", "--mep", "--client", "2", "--firmware", "3.50")
    assert done.code == 2
    assert "4.0" in done.err


def test_asyncio_and_the_program_over_a_socket() -> None:
    async def tasks(url: str, security: str) -> dict[str, Any]:
        async with osgp.open_async("mep:" + url, key=MAK.hex(), security=security, baud=57_600) as live:
            assert isinstance(live, AsyncMeter)
            assert live.password_form == "32 hexadecimal digits"
            out = {
                "serial": await live.serial_number(),
                "measurements": plain(await live.measurements()),
                "part": await live.read("BT64", 0, 900),
                "replies": [(r.table, r.code, r.data) for r in await live.transaction([("BT23", 0, 44)])],
                "place": (await live.place()).client,
                "alert": await live.wait_alert(0.05),
            }
            assert live.security == ("tls" if security == "auto" else security)
            return out

    with simulated() as url:
        found = [asyncio.run(tasks(url, security)) for security in ("auto", "rc4")]
    meter = VirtualMeter(MeterConfig(firmware=Firmware.parse("3.50"), start=START))
    for out in found:
        assert out["part"] == meter.image("BT64", meter.start)[:900]
        assert out["replies"] == [("BT23", 0, meter.image("BT23", meter.start)[:44])]
        assert out["measurements"]
        assert out["place"] == 1
        assert out["alert"] is None


# ---- keys


def test_where_the_key_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    file = tmp_path / "key"
    file.write_text(MAK.hex() + "\n")
    for options in ({"key": MAK.hex()}, {"key": Key(MAK)}, {"key": None, "key_file": file}):
        with bench.open(**options) as live:
            assert live.firmware().startswith("3.50")
    monkeypatch.setenv("OSGP_MEP_KEY", MAK.hex())
    with bench.open(key=None) as live:
        assert live.password_form == "32 hexadecimal digits"
        assert MAK.hex() not in repr(live) + repr(live._access)
    monkeypatch.delenv("OSGP_MEP_KEY")
    with pytest.raises(osgp.UsageError) as caught:
        osgp.open(bench.line())
    assert caught.value.code == "usage.key"
    for wrong in ("0123", "z" * 32):
        with pytest.raises(osgp.SecurityError) as refused:
            osgp.open(bench.line(), key=wrong)
        assert refused.value.code == "security.key_form"
        assert wrong not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"password": "x" * 20}, "usage.mep"),
        ({"security": "ssl"}, "usage.mep"),
        ({"access": "root"}, "usage.mep"),
        ({"timing": Timing()}, "usage.mep"),
        ({"user_id": 70_000}, "usage.user"),
        ({"max_session_s": 0}, "usage.session"),
        ({"meter": " "}, "usage.meter"),
    ],
)
def test_usage(options: dict[str, Any], code: str) -> None:
    with pytest.raises(osgp.UsageError) as caught:
        osgp.open(Bench().line(), key=MAK, **options)
    assert caught.value.code == code
    for name, more in (("mep:", {"key": MAK}), ("/dev/nowhere", {"timing": MepTiming()})):
        with pytest.raises(osgp.UsageError):
            osgp.open(name, **more)


@pytest.mark.parametrize(
    ("security", "code"), [("clear", "mep.wrong_key"), ("rc4", "mep.wrong_key"), ("tls", "mep.tls_key")]
)
def test_a_wrong_key_is_said(security: str, code: str) -> None:
    with pytest.raises(osgp.SecurityError) as caught, Bench().open(security, key=bytes(16)):
        pass
    assert caught.value.code == code


def fallen_back() -> None:
    with Bench(server=MepMode.RC4).open("auto") as live:
        live.registers()
        assert live.security == "rc4"


def test_auto_takes_tls_and_falls_back_with_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Bench().open("auto") as live:
            assert live.security == "tls"
    with pytest.warns(InsecureMepWarning, match="refuses TLS") as told:
        fallen_back()
    assert len(told) == 1
    # Where TLS is insisted on, no RC4; where the meter requires it, no RC4 either.
    for server, security in ((MepMode.RC4, "tls"), (MepMode.TLS, "rc4")):
        with pytest.raises(osgp.OsgpError) as caught, Bench(server=server).open(security):
            pass
        assert caught.value.code in ("mep.tls_refused", "mep.tls_required"), caught.value


@pytest.mark.parametrize("security", ["rc4", "tls"])
def test_the_basic_key_reads_all_and_writes_little(security: str) -> None:
    bench = Bench()
    with bench.open(security, key=MBK, access="basic") as live:
        rows = bench.truth("registers", live.label)
        assert plain(live.registers()) == [row for row in rows if row["snapshot"] == "current"] != []
        assert live.read("BT04")
        assert live.read("ET13")
        with pytest.raises(Refused) as caught:
            live.write("ET55", b"\1", offset=0)
        assert caught.value.code == "refused.isc"
        assert "MBK" in caught.value.hint
        assert caught.value.fields["keys"] == "MAK"
        with pytest.raises(osgp.RemoteProtocolError, match="no authorization"):
            live.procedure("BP10", bytes((3, 24, 6, 1, 12, 0, 0)))
        assert live.register().client == 1
        assert bench.meter.client_flags(1, bench.meter.start) == 1
        with pytest.raises(Refused, match="iar"):
            live.write("BT61", b"\1", offset=0)
    assert "ET55" not in bench.meter.written


# ---- writes, procedures, transactions


@pytest.mark.parametrize("security", SECURITIES)
def test_writes_are_read_back(security: str) -> None:
    bench = Bench()
    with bench.open(security) as live:
        serial = b"MINE".ljust(30, b"\0")
        live.write("ET03", serial, offset=0)
        assert live.read("ET03", 0, 30) == serial
        whole = bytes(reversed(range(256))) * 3
        size = len(bench.meter.image("ET52", bench.meter.start))
        live.write("ET52", b"\0" * 7 + whole[: size - 7], offset=0)
        live.write_pending("BT54", bytes(live.read("BT54")), at=START + timedelta(days=1))
        assert live.pending("BT54").at is not None
    assert bench.meter.image("ET03", bench.meter.start)[:30] == serial


@pytest.mark.parametrize(
    ("firmware", "client", "et59", "table"),
    [("3.50", 1, False, BT08), ("3.50", 1, True, ET59), ("4.30", 1, True, ET59), ("4.30", 2, False, ET85)],
)
@pytest.mark.parametrize("security", ["clear", "tls"])
def test_procedures_answer_in_their_own_table(
    security: str, firmware: str, client: int, et59: bool, table: int
) -> None:
    bench = Bench(firmware, client)
    with bench.open(security) as live:
        place = live.register(et59=et59)
        assert (place.client, place.response) == (client, table)
        for n in range(7):  # numbers 5 to 9 come round
            result = live.procedure("BP10", bytes((3, 24, 6, 1, 12, n, 0)))
            assert result.completed
            assert 5 <= result.sequence <= 9
            assert live.clock().utc == datetime(2024, 6, 1, 12, n, tzinfo=UTC)
        assert live.read(table, 0, 3)[:2] == b"\x0a\0"
        with pytest.raises(osgp.RemoteProtocolError) as caught:
            live.procedure("EP16", b"\1")
        assert caught.value.code == "meter.procedure_failed"
        removed = live.procedure("EP17", {"action": 0, "device_handle": 1000 * client})
        assert removed.completed
        assert bench.meter.client_flags(client, 0) & 1 == 0


@pytest.mark.parametrize(("firmware", "client"), [("2.10", 1), ("3.50", 1), ("4.30", 1), ("4.30", 2)])
@pytest.mark.parametrize("security", ["rc4", "tls"])
def test_transactions(security: str, firmware: str, client: int) -> None:
    bench = Bench(firmware, client)
    at = bench.meter.start
    with bench.open(security) as live:
        name = b"TRANSACTED".ljust(30, b"\0")
        replies = live.transaction(
            [("BT23", 0, 44), ("ET03", 0, name), ("ET03", 0, 30), ("BT99",), transactions.read(1), ("BT61", 0, b"\1")]
        )
        assert [reply.code for reply in replies] == [0, 0, 0, RefusalCode.IAR, 0, RefusalCode.IAR]
        assert [reply.ok for reply in replies][:4] == [True, True, True, False]
        assert replies[0].data == bench.meter.image("BT23", at)[:44]
        assert (replies[2].table, replies[2].data) == ("ET03", name)
        assert replies[4].data == bench.meter.image("BT01", at)
        # More than one message holds: several writes, executed once.
        long = live.transaction([("ET03", 0, name)] * 14)
        assert len(long) == 14
        assert all(reply.ok for reply in long)
        assert live.transaction([("BT23", 0, 10)], number=777)[0].ok
        assert bench.handler.executed == [1, 2, 777]
        with pytest.raises(osgp.LocalProtocolError) as caught:
            live.transaction([("ET03", 0, name)] * 40)
        assert caught.value.code == "mep.transaction_size"
        # What does not fit ET53 is said to be missing.
        cut = live.transaction([("BT64", 0, 500)] * 5)
        assert [reply.code for reply in cut] == [0, 0, 0, None, None]
        for wrong, number in (([], None), ([("BT01",)], 70_000)):
            with pytest.raises(osgp.UsageError):
                live.transaction(wrong, number=number)
        assert bench.meter.lock is None
    # Another program goes on where the numbers of this one ended.
    with bench.open(security) as live:
        assert live.transaction([("BT23", 0, 4)])[0].ok


def test_the_other_client_keeps_the_transaction_tables() -> None:
    bench = Bench("4.30")
    other, machine = bench.port_of(2)
    with bench.open() as one, bench.open(machine=machine) as two:
        assert (one.place().client, two.place().client) == (1, 2)
        assert one.place().multiple
        two.procedure("EP61", b"\1")
        with pytest.raises(osgp.RemoteProtocolError) as caught:
            one.transaction([("BT01",)])
        assert caught.value.code == "mep.transaction_locked"
        assert two.transaction([("BT01",)])[0].ok
        assert one.transaction([("BT01",)])[0].ok
    assert (bench.handler.executed, other.executed) == ([1], [1]) or other.executed


def test_what_only_the_mep_port_has() -> None:
    with pytest.raises(osgp.UsageError) as caught:
        MepMeterHandler(Bench().meter, lambda: 0, client=2)
    assert caught.value.code == "virtual.client"


# ---- alerts


@pytest.mark.parametrize("security", ["rc4", "tls"])
def test_delta_data_alerts(security: str) -> None:
    """MEP guide pp. 34-35: ET50's flag, a source in ET71, the alert, ET13's flags, and EP39 to clear it."""
    bench = Bench("3.50", speed=1.0)
    told: list[Alert] = []
    with bench.open(security, on_alert=told.append) as live:
        assert live.wait_alert(5) is None
        live.register(delta_data_alerts=True)
        voltage = 15
        live.write(
            "ET71", voltage.to_bytes(2, "little") + (500).to_bytes(2, "little") + bytes(8), offset=0, verify=False
        )
        alert = live.wait_alert(60)
        assert alert is not None
        assert alert.names == ("delta_data",)
        assert live.read_table("ET13")["client.0.alerts"]["delta_data"]
        assert live.procedure("EP39", bytes((12,))).completed
        assert list(live.alerts) == told == [alert]
        # A voltage that changes by half a volt comes soon, and is told in the middle of a task, too.
        idle(live, 900)
        live.registers()
        assert len(told) == 2
        assert told[1].at > told[0].at
        assert told[1].flags == DELTA_DATA
        live.registers()
        assert len(told) == 2  # while it lasts it is not told with every request
        assert live.read("BT01") == bench.meter.image("BT01", bench.now())


def test_who_only_listens_says_that_it_lives() -> None:
    """A meter takes a client for down that is silent for the health time-out of ET51 (MEP guide p. 20)."""
    bench = Bench()
    with bench.open() as live:
        started, asked = bench.clock(), bench.machine.responder.served.requests
        assert live.wait_alert(200) is None
        assert bench.clock() - started >= 200
        assert bench.machine.responder.served.requests - asked == 4


def test_alerts_of_all_kinds_and_of_nobody() -> None:
    bench = Bench()
    with bench.open() as live:
        bench.handler.alerts = ON_DEMAND_REQUEST | MBUS_CHANGE
        assert live.wait_alert(10) is None  # not registered: the meter does not send it (MEP guide p. 36)
        live.register(mbus_alerts=True)
        first = live.wait_alert(10)
        assert first is not None
        assert first.names == ("on_demand_request", "mbus_change")
        assert first.flags == 0b1010
        again = live.wait_alert(10)  # not served yet
        assert again is not None
        assert again.flags == first.flags
        bench.handler.alerts = 0
        assert live.wait_alert(3) is None
        assert len(live.alerts) == 2
        assert live.on_alert is None


# ---- speed, patience


def test_another_speed() -> None:
    bench = Bench("4.30")
    with bench.open("tls", out=Wire(paced=True), back=Wire(paced=True)) as live:
        live.change_baud(115_200)
        assert live.read("BT01") == bench.meter.image("BT01", bench.meter.start)
        assert bench.machine.baud == live._line.port.baud == 115_200
        live.change_baud(38_400)
        assert live.read("BT64", 0, 400) == bench.meter.image("BT64", bench.meter.start)[:400]
        assert live._line.connection.counts.sent_again == 0


@pytest.mark.parametrize("security", ["rc4", "tls"])
def test_a_port_that_is_taken_away_and_given_back(security: str) -> None:
    bench = Bench()
    with bench.open(security) as live:
        assert live.firmware()
        bench.machine.responder.away = True

        until = bench.clock.now + 6.0
        original = bench.machine.tick

        def tick(now: float) -> bytes:
            if now >= until:
                bench.machine.responder.away = False
            return original(now)

        bench.machine.tick = tick  # type: ignore[method-assign]
        bench.machine.deadline = lambda: until if bench.machine.responder.away else bench.machine.responder.deadline()  # type: ignore[method-assign]
        assert live.read("BT64", 0, 600) == bench.meter.image("BT64", bench.meter.start)[:600]
        bench.machine.responder.away = True
        until += 10_000
        with pytest.raises(osgp.TransportError) as caught:
            live.read("BT64", 0, 600)
        assert caught.value.code == "meter.stopped"
        assert live.images
        bench.machine.responder.away = False


def test_dimensions_are_read_anew_after_a_while() -> None:
    bench = Bench()
    with bench.open(max_session_s=60) as live:
        live.registers()
        read = len(live.images)
        live.registers()
        again = len(live.images) - read
        bench.clock.now += 61
        live.registers()
        assert live.sessions == 2
        assert len(live.images) - read - again > again


# ---- a thousand exchanges


@pytest.mark.parametrize("security", ["rc4", "tls"])
def test_a_thousand_exchanges_on_a_bad_line(security: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Five in a hundred packets of each side are lost and alerts come at random: no wrong value, nothing twice."""
    random = Random(5)
    # More of a nuisance than a real one: it raises its alert while it is asked again, and not only after a second.
    bench = Bench("4.30", timing=MepTiming(alert_s=0.2))
    lossy = {way: BadLine(Random(seed), Faults(lose=0.05)) for seed, way in enumerate(("out", "back"), 11)}
    counts = dict.fromkeys(("reads", "writes", "procedures", "transactions", "unknown"), 0)
    at = bench.meter.start
    profile, registers = bench.meter.image("BT64", at), bench.meter.image("BT23", at)
    called: list[int] = []
    original = bench.handler.procedures._known[10]

    def counted(parameters: bytes, t: int) -> Any:
        called.append(parameters[5])
        return original(parameters, t)

    bench.handler.procedures._known[10] = counted
    wanted: list[int] = []
    sent = 0
    exchanges = 1000
    with bench.open(security, **lossy) as live:
        live.register(mbus_alerts=True)
        for n in range(exchanges):
            bench.handler.alerts = MBUS_CHANGE if random.random() < 0.3 else 0
            kind = random.choices(("reads", "writes", "procedures", "transactions"), (80, 10, 5, 5))[0]
            counts[kind] += 1
            if random.random() < 0.3:
                idle(live, random.random() * 3)
            try:
                if kind == "reads":
                    offset, count = random.randrange(2000), random.randrange(1, 60)
                    assert live.read("BT64", offset, count) == profile[offset : offset + count]
                elif kind == "writes":
                    serial = b"%030d" % n
                    live.write("ET03", serial, offset=0, force=True)
                    assert bench.meter.image("ET03", at)[:30] == serial
                elif kind == "procedures":
                    wanted.append(n % 60)
                    assert live.procedure("BP10", bytes((3, 24, 6, 1, 12, n % 60, 0)), force=True).completed
                else:
                    sent += 1
                    assert live.transaction([("BT23", 0, 44)], force=True)[0].data == registers[:44]
            except OutcomeUnknown:
                counts["unknown"] += 1
        heard = live._line.connection.counts.alerts
    with capsys.disabled():
        print(f"\n{security}: {counts}, {heard} alerts, {bench.machine.responder.served}")
    assert heard > exchanges // 10
    # Everything happened, and once; of a line as bad as this one everything could be found out.
    assert (called, counts["unknown"]) == (wanted, 0)
    assert bench.handler.executed == list(range(1, sent + 1))


# ---- what cannot be seen, and what cannot be known


def test_elements_of_et21_are_measured() -> None:
    """131 bytes as printed, or 130 (errata): the length of the table cannot be seen on this port."""
    bench = Bench()
    printed = bench.meter.image("ET21", bench.meter.start)
    assert len(printed) == 4 * 131
    assert element_size(printed) == 131
    shorter = b"".join(printed[at : at + 100] + printed[at + 101 : at + 131] for at in range(0, 524, 131))
    assert element_size(shorter.ljust(524, b"\0")) == 130
    assert element_size(bytes(524)) == element_size(b"") == 131
    with bench.open() as live:
        rows = plain(live.load_profile())
    bench.meter.written["ET21"] = shorter
    with bench.open() as live:
        assert live.read("ET21") == shorter
        assert plain(live.load_profile()) == rows != []
        assert len(live.read("ET52")) == 896
        assert len(live.read("ET53")) == 1785


@pytest.mark.parametrize("security", ["rc4", "tls"])
def test_a_line_that_dies_in_a_write_leaves_it_open(security: str) -> None:
    bench = Bench()
    with bench.open(security) as live:
        live.read("BT01")

        def swallow(answer: bytes) -> None:
            bench.machine.responder.away = True  # the write was executed, and nobody ever says so

        bench.machine.responder.tamper = swallow
        with pytest.raises(OutcomeUnknown) as caught:
            live.write("ET03", b"GONE".ljust(30, b"\0"), offset=0)
        assert caught.value.code == "mep.outcome_unknown"
    assert bench.meter.written["ET03"].startswith(b"GONE")


def test_a_wrong_key_is_said_at_once_also_where_the_label_is_given() -> None:
    with pytest.raises(osgp.SecurityError) as caught:
        osgp.open(Bench().line(), key=bytes(16), security="rc4", meter="mine")
    assert caught.value.code == "mep.wrong_key"
    with Bench().open("tls", meter="mine") as live:
        assert live.label == "mine"


def test_an_alert_that_came_before_is_waited_for_no_longer() -> None:
    bench = Bench()
    told: list[Alert] = []
    with bench.open(on_alert=told.append) as live:
        live.register()
        bench.handler.alerts = ON_DEMAND_REQUEST
        idle(live, 5)
        began = bench.clock()
        assert live.wait_alert(10) is not None
        assert bench.clock() - began < 2
        assert len(told) == 1


# ---- the examples


@pytest.mark.parametrize(("firmware", "client", "security"), [("3.60", 1, "tls"), ("4.30", 2, "rc4")])
def test_the_examples_of_the_page_run(
    firmware: str, client: int, security: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).resolve().parent.parent / "docs" / "mep-port.md").read_text(encoding="utf-8")
    section = page.partition("\n## Use cases\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```python\n(.*?)^```", section, re.M | re.S)
    assert len(blocks) == section.count("**") // 2 >= 10
    bench = Bench(firmware, client, speed=1.0)
    with bench.open(security) as live:
        monkeypatch.setattr("time.sleep", lambda seconds: idle(live, seconds))
        names: dict[str, Any] = {"meter": live, "print": lambda *_: None}
        for block in blocks:
            exec(compile(block, "mep-port.md", "exec"), names)
    assert names["alert"].names == ("delta_data",)
    assert names["handles"] == [1, 1000 * client]
    assert names["mine"][-1]["result"] == 1
    assert names["rows"]
    assert names["registers"].ok
    assert bench.meter.client_flags(client, bench.now()) == 1
    assert bytes.fromhex("01fd1f") in bench.meter.written["ET57"]
    assert bench.meter.written["ET34"][7] == 9
