"""Explanations: what they say of tables, packets and sessions, that they keep secrets, and that no bytes break them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from conftest import Command
from osgp_fast.catalog import PROCEDURES, TABLES, Table
from osgp_fast.explain import Line, explain_capture, explain_image, known

HERE = Path(__file__).parent
METER = HERE / "samples" / "dump" / "M00002001"
SESSION = HERE / "samples" / "session.log"
PACKETS = json.loads((HERE / "vectors" / "official_vectors.json").read_text(encoding="utf-8"))["c1218_packets"][
    "packets"
]
SECURITY = "ee000000001551303132333435363738396162636465666768696a806d"


def tables() -> dict[str, bytes]:
    return {p.stem: p.read_bytes() for p in METER.glob("*.bin")}


def lines(id: str, data: bytes, others: dict[str, bytes] | None = None) -> list[Line]:
    return list(explain_image(TABLES[id], data, others))


def value(found: list[Line], name: str) -> str:
    return next(line.value for line in found if line.name == name)


def test_a_table_in_words() -> None:
    found = lines("BT61", tables()["BT61"])
    assert value(found, "Number of Intervals in Set N[0]") == "96"
    assert value(found, "Maximum Interval Time in Set N[0]") == "15 min"
    assert value(found, "INT32 Supported") == "yes"
    assert b"".join(line.data for line in found) == tables()["BT61"], "every byte once"


def test_every_byte_of_every_sample_table_is_named_once() -> None:
    everything = tables()
    for id, data in everything.items():
        if id not in TABLES:
            continue
        found = lines(id, data, everything)
        assert b"".join(line.data for line in found) == data, id
        at = 0
        for line in found:
            if line.data:
                assert line.offset == at, (id, line)
                at += len(line.data)


def test_a_missing_dimension_is_said() -> None:
    found = lines("BT64", tables()["BT64"])
    assert any("BT61 is needed" in line.value for line in found)


def test_a_table_that_is_too_short_or_too_long() -> None:
    data = tables()["BT01"]
    assert any(line.value.startswith("cut short: 3 of") for line in lines("BT01", data[:19]))
    assert any(line.name == "not described" and line.data == b"xyz" for line in lines("BT01", data + b"xyz"))


def test_part_of_a_table() -> None:
    data = tables()["BT01"]
    found = list(explain_image(TABLES["BT01"], data[14:16], offset=14, whole=False))
    assert [(line.offset, line.value) for line in found] == [(14, "3.50.01")]


def test_pending_tables_are_named_as_what_they_mirror() -> None:
    assert known("4160") is TABLES["BT64"]
    assert known("BT64.pending") is TABLES["BT64"]
    assert known("ET99") is None


@pytest.mark.parametrize("packet", PACKETS)
def test_every_byte_of_a_packet_is_named(packet: str) -> None:
    (block,) = explain_capture(bytes.fromhex(packet))
    shown = b"".join(line.data for line in block.lines)
    if packet == SECURITY:
        assert b"0123" not in shown
        assert any("masked" in line.value for line in block.lines)
    else:
        assert shown == bytes.fromhex(packet)


def test_a_session() -> None:
    blocks = list(explain_capture(SESSION.read_bytes()))
    titles = [block.title for block in blocks]
    assert any(title.endswith("request packet: identify") for title in titles)
    assert any(title.endswith("request packet: full read BT61") for title in titles)
    # The tables that were read before give the dimensions of those that come after.
    said = [line for block in blocks for line in block.lines]
    assert any(line.path.startswith("block.0.interval.0.channel") for line in said)
    assert not any("is needed" in line.value for line in said)
    assert not any(line.value == "WRONG" for line in said)


def password_of(session: bytes) -> bytes:
    """The 20 bytes of the session's security packet, from its text."""
    digits = session.decode("ascii").upper()
    at = digits.index("EE 00 20 00 00 15 51") if "EE 00 20 00 00 15 51" in digits else digits.index("00 15 51") - 12
    return bytes.fromhex(digits[at : at + 29 * 3].splitlines()[0])[7:27]


def test_no_password_is_shown(osgp: Command) -> None:
    secret = password_of(SESSION.read_bytes())
    assert len(secret) == 20
    out = osgp("explain", str(SESSION)).out
    assert secret.hex(" ").upper() not in out
    assert secret.decode("latin-1") not in out
    as_json = osgp("explain", str(SESSION), "--json").out
    assert secret.hex() not in as_json


def random_bytes(seed: int, id: str) -> bytes:
    generator = random.Random(f"{seed} {id}")
    return generator.randbytes(generator.choice((0, 1, 5, 40, 300, 2000)))


@pytest.mark.parametrize("id", [*TABLES, *PROCEDURES])
def test_no_bytes_break_it(id: str) -> None:
    for seed in range(20):
        others = {other: random_bytes(seed, other + id) for other in TABLES}
        table: Table = TABLES.get(id) or PROCEDURES[id]
        data = random_bytes(seed, id)
        found = explain_image(table, data, others, offset=seed % 3 * 7, whole=seed % 2 == 0)
        for n, _ in enumerate(found):
            assert n < 50_000


def test_no_line_breaks_it() -> None:
    generator = random.Random(1)
    session = (HERE / "samples" / "session.bin").read_bytes()
    for _ in range(60):
        start = generator.randrange(len(session))
        data = bytearray(session[start : start + 3000])
        for _ in range(generator.randrange(1, 30)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        for block in explain_capture(bytes(data)):
            assert block.title


# ---- the commands


def test_explain_from_the_command_line(osgp: Command) -> None:
    by_file = osgp("explain", "BT61", str(METER / "BT61.bin"))
    assert by_file.code == 0
    assert "Number of Intervals" in by_file.out
    by_hex = osgp("explain", "bt61", (METER / "BT61.bin").read_bytes().hex(" "))
    assert by_hex.out == by_file.out
    objects = [json.loads(line) for line in osgp("explain", "BT61", str(METER / "BT61.bin"), "--json").out.splitlines()]
    assert objects[0] == {
        "offset": 0,
        "data": "a0860100",
        "name": "Memory Length",
        "value": "100000 byte",
        "path": "memory_length",
        "note": objects[0]["note"],
    }


def test_dimensions_beside_the_file_or_from_another_place(osgp: Command, tmp_path: Path) -> None:
    assert "is needed" not in osgp("explain", "BT64", str(METER / "BT64.bin"), "--lines", "20").out
    alone = tmp_path / "x.bin"
    alone.write_bytes((METER / "BT64.bin").read_bytes())
    assert "BT61 is needed" in osgp("explain", "BT64", str(alone)).out
    assert "is needed" not in osgp("explain", "BT64", str(alone), "--for", str(METER), "--lines", "20").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["BT99", "00"], "BT99"),
        (["BT61"], "no bytes"),
        (["BT61", "xyz"], "neither a file nor hex digits"),
        (["0011"], "not one packet"),
    ],
)
def test_wrong_calls(osgp: Command, arguments: list[str], words: str) -> None:
    called = osgp("explain", *arguments)
    assert called.code == 2
    assert words in called.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["BT99", "00"], "usage.table"), (["BT61", "xyz"], "usage.bytes"), (["0011"], "usage.capture")],
)
def test_codes_of_wrong_calls(arguments: list[str], code: str) -> None:
    from osgp_fast import UsageError
    from osgp_fast.cli import cli

    with pytest.raises(UsageError) as error:
        cli.main(["explain", *arguments], standalone_mode=False)
    assert error.value.code == code
