"""`osgp-fast simulate` with several ports of one meter, over sockets and devices, and with a MEP port that is taken away."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from random import Random

import osgp_fast as osgp
import pytest
from osgp_fast.cli.simulate import simulate
from osgp_fast.image import parse_table_name
from osgp_fast.session import Connection, Data, MepConnection, MepMode, Read, Role, Wait, dialogue
from osgp_fast.transport import Line, MepLine, open_mep, open_port
from osgp_fast.virtual.shared import LASTING_S, PAUSE_S

from .conftest import Command
from .test_cli_simulate import PASSWORD, meter, posix, read, simulated, stop

MAK = bytes(range(0x10, 0x20))
KEY = ("--mak", MAK.hex())
#: With this seed the first visit begins soon after the first question.
VISITED = 199
pytestmark = [pytest.mark.filterwarnings("ignore::osgp_fast.meter.InsecureMepWarning"), posix]


def more(process: object, count: int = 1) -> dict[str, str]:
    """The lines behind the first one: names of ports, and what a client opens."""
    out = process.stdout  # type: ignore[attr-defined]
    return dict(out.readline().split() for _ in range(count))


def mep(name: str) -> MepLine:
    """A client at a MEP port, without the patience of the tasks."""
    return MepLine(open_mep(name), MepConnection(MAK, entropy=os.urandom, mode=MepMode.RC4))


def answers(line: MepLine) -> bool:
    """Whether the MEP port answers, within three seconds."""
    try:
        return isinstance(line.ask(Read(1, 0, 4)), Data)
    except osgp.TransportError as error:
        if error.code != "line.silent":
            raise
        return False


# ---- several ports


def test_both_mep_ports_at_once() -> None:
    """Who has locked the transaction tables (EP61) keeps the other port's client out of them, and of nothing else."""
    mine = meter("4.30")
    with simulated("--mep", "--also", "mep2", "--firmware", "4.30", *KEY) as (url, process):
        others = more(process)
        assert others["mep2"].startswith("mep:socket://127.0.0.1:")
        with (
            osgp.open(f"mep:{url}", key=MAK, security="tls") as one,
            osgp.open(others["mep2"], key=MAK, security="rc4") as two,
        ):
            assert (one.place().client, two.place().client) == (1, 2)
            two.procedure("EP61", b"\1")
            with pytest.raises(osgp.RemoteProtocolError) as caught:
                one.transaction([("BT01",)])
            assert caught.value.code == "mep.transaction_locked"
            two.procedure("EP61", b"\0")
            assert one.transaction([("BT01",)])[0].data == mine.image("BT01", mine.start)
            assert two.transaction([("BT01",)])[0].ok
            # Both talk at the same time.
            found: dict[int, list[bytes]] = {1: [], 2: []}

            def look(client: int, live: osgp.Meter) -> None:
                found[client] += [live.read("BT64", at, 300) for at in range(0, 1500, 300)]

            other = threading.Thread(target=look, args=(2, two), daemon=True)
            other.start()
            look(1, one)
            other.join(60)
        wanted = [mine.image("BT64", mine.start)[at : at + 300] for at in range(0, 1500, 300)]
        assert found == {1: wanted, 2: wanted}
        assert stop(process) == (0, "", "")


def test_an_optical_session_takes_the_mep_port_of_generation_3() -> None:
    # With shared-port the optical port's first packet is lost; other visits there are none, also not at once as below.
    also = ("--also", "optical", "--fault", "shared-port", "--seed", str(VISITED))
    with simulated("--mep", *also, "--firmware", "3.50", *KEY) as (url, process):
        name = more(process)["optical"]
        assert name.startswith("socket://127.0.0.1:")
        with mep(f"mep:{url}") as client:
            assert all(answers(client) for _ in range(8))
            with Line(open_port(name), Connection(Role.CLIENT)) as line:
                line.run(dialogue.connect())
                line.run(dialogue.log_on(PASSWORD))
                line.ask(Wait(120))
                assert not answers(client)
                assert line.ask(Read(1, 0, 4))
            assert answers(client)
            # Somebody who goes away without a word does not keep the port.
            line = Line(open_port(name), Connection(Role.CLIENT))
            line.run(dialogue.connect())
            line.port.close()
            assert answers(client)
            assert stop(process) == (0, "", "")


def test_generation_4_has_a_port_for_each() -> None:
    mine = meter("4.30")
    with (
        simulated("--also", "mep", "--firmware", "4.30", "--security", "rc4", *KEY) as (url, process),
        mep(more(process)["mep"]) as client,
        Line(open_port(url), Connection(Role.CLIENT)) as line,
    ):
        line.run(dialogue.connect())
        line.run(dialogue.log_on(PASSWORD))
        assert answers(client)
        assert line.ask(Read(1, 0, 4)) == Data(mine.image("BT01", mine.start)[:4])


def test_serial_devices(tmp_path: Path, osgp: Command) -> None:
    """Each a device of its own, and each with a log of its own."""
    trace = tmp_path / "session.log"
    also = ("--also", "mep", "--also", "mep2")
    with simulated("--pty", *also, "--trace", trace, "--firmware", "4.30", *KEY) as (name, process):
        others = more(process, 2)
        assert list(others) == ["mep", "mep2"]
        assert len({name, *others.values()}) == 3
        assert read(name, "BT01")
        for port in others.values():
            assert Path(port.removeprefix("mep:")).exists()
            with mep(port) as client:
                assert answers(client)
                client.run(dialogue.read(client.connection, parse_table_name("ET03") or 0, 0, 30))
        assert stop(process) == (0, "", "")
    logs = {file.name: file.read_text(encoding="utf-8") for file in tmp_path.glob("*.log")}
    assert sorted(logs) == ["session.log", "session.mep.log", "session.mep2.log"]
    assert logs["session.log"].startswith("# optical port")
    for name in ("session.mep.log", "session.mep2.log"):
        assert logs[name].startswith("# MEP port")
        done = osgp.decode(tmp_path / name, "--key", MAK.hex(), "--what", "meters")
        assert [row["meter"] for row in done.rows("meters")] == ["VIRTUAL-0000001"], done.err


def test_once_is_the_main_ports(tmp_path: Path) -> None:
    with simulated("--once", "--also", "mep", *KEY) as (url, process):
        name = more(process)["mep"]
        for _ in range(2):
            with mep(name) as client:
                assert answers(client)
        with mep(name) as client:
            assert answers(client)
            assert read(url, "BT01")
            assert process.wait(20) == 0


# ---- a port that is taken away


def test_somebody_reads_the_meter_now_and_then() -> None:
    visit = Random(f"{VISITED} optical sessions")
    begins, lasts = visit.uniform(0, PAUSE_S[1]), visit.uniform(*LASTING_S)
    assert begins < 0.3
    assert lasts > 2
    mine = meter()
    with (
        simulated("--mep", "--fault", "shared-port", "--firmware", "3.50", "--seed", str(VISITED), *KEY) as (url, _),
        osgp.open(f"mep:{url}", key=MAK, security="rc4") as live,
    ):
        counts, reads = live._line.connection.counts, 0
        while not counts.sent_again:
            assert live.read("BT00") == mine.image("BT00", mine.start)
            reads += 1
            assert reads < 1000
        assert live.read("BT00") == mine.image("BT00", mine.start)


# ---- what is wrong


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--also", "optical"], "usage.also", "optical"),
        (["--mep", "--also", "mep2", "--also", "mep2", "--firmware", "4.0"], "usage.also", "mep2"),
        (["--mep", "--client", "2", "--also", "mep2", "--firmware", "4.0"], "usage.also", "mep2"),
        (["--also", "mep", "--dump", "d"], "usage.also", "--dump"),
        (["--mep", "--also", "mep2", "--firmware", "3.50"], "virtual.client", "4.0"),
        (["--mep", "--fault", "shared-port", "--firmware", "4.30"], "virtual.fault", "below 4.0"),
        (["--also", "mep", "--client", "1"], "usage.mep", "--mep"),
    ],
)
def test_ports_that_the_meter_has_not(arguments: list[str], code: str, words: str) -> None:
    with pytest.raises(osgp.UsageError) as error:
        simulate.main(arguments, standalone_mode=False)
    assert error.value.code == code
    assert words in str(error.value)
