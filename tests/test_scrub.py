"""Captures and dumps made safe to share: nothing real is left, everything else is read as before."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from osgp_fast.cli import main
from osgp_fast.cli.scrub import scrub
from osgp_fast.codec import transactions
from osgp_fast.errors import InputError, OsgpError
from osgp_fast.explain import explain_capture
from osgp_fast.image import parse_table_name
from osgp_fast.scan import NotRecognised, scan
from osgp_fast.scrub import Names, scrub_capture, scrub_image, scrub_tables
from osgp_fast.wire import c1218, ppp, slip

SAMPLES = Path(__file__).parent / "samples"
RAW = (SAMPLES / "session.bin").read_bytes()
LOG = (SAMPLES / "session.log").read_bytes()
VECTORS = json.loads((Path(__file__).parent / "vectors" / "real_captures.json").read_text())
#: What the recorded session holds that must not get out: password, user, both serial numbers.
PASSWORD = b"READONLYKEY012345678"
SECRETS = (PASSWORD, b"osgp", b"UTIL-0002001")


def names() -> Names:
    return Names(bytes(32))


def seen(data: bytes, **options: Any) -> list[tuple[Any, ...]]:
    found = scan(data, input="x", stem="x", meter="m", **options)
    assert not found.rejects
    return [(i.table, i.offset, len(i.data), i.whole, i.read_at) for s in found.sessions for i in s.images]


def tables(data: bytes, **options: Any) -> dict[int, bytes]:
    found = scan(data, input="x", stem="x", meter="m", **options)
    return {i.table: bytes(i.data) for s in found.sessions for i in s.images if i.whole}


def packets(*messages: bytes, size: int = 64) -> bytes:
    out = b""
    for i, message in enumerate(messages):
        out += b"".join(p.emit() for p in c1218.split(message, size, toggle=bool(i % 2)))
    return out


def answer(data: bytes, *, wrong: int = 0) -> bytes:
    return b"\0" + len(data).to_bytes(2, "big") + data + bytes((-sum(data) + wrong & 0xFF,))


def read(table: int) -> bytes:
    return b"\x30" + table.to_bytes(2, "big")


# ---- the recorded session


@pytest.mark.parametrize("data", [RAW, LOG], ids=["raw", "log"])
def test_a_session_is_read_as_before_and_tells_nothing(data: bytes) -> None:
    made = scrub_capture(data, names())
    assert len(made) == len(data)
    assert seen(made) == seen(data)
    before, after = tables(data), tables(made)
    assert {t for t in before if before[t] != after[t]} == {1, 2051}
    plain = made if data is RAW else bytes.fromhex(re.sub(rb"(?m)^\S+ [TR]X ", b"", made).decode())
    for secret in SECRETS:
        assert secret not in plain
        assert secret not in made
    assert after[1][:16] == before[1][:16]
    assert re.fullmatch(rb"[A-Z]{4}-000[1-9][0-9]{3}\0*", after[2051][:30])
    assert sum(1 for _ in explain_capture(made)) == sum(1 for _ in explain_capture(data))


def test_every_crc_and_checksum_holds() -> None:
    made = scrub_capture(RAW, names())
    before, after = c1218.scan_packets(RAW), c1218.scan_packets(made)
    assert before.position == after.position
    assert before.control == after.control
    text = [line.name + line.value for block in explain_capture(made) for line in block.lines]
    assert "checksumWRONG" not in text


def test_the_layout_of_a_log_stays() -> None:
    for data in (LOG, LOG.lower(), LOG.replace(b"\n", b"\r\n"), LOG.replace(b" EE 00", b" 0xEE, 0x00")):
        made = scrub_capture(data, names())
        shape = rb"(?i)[0-9a-f]"
        assert re.sub(shape, b"#", made) == re.sub(shape, b"#", data)
        stamps = re.compile(rb"(?m)^\S+")
        assert stamps.findall(made) == stamps.findall(data)
        assert seen(made) == seen(data)
    assert not re.search(rb"[A-F]", scrub_capture(LOG.lower(), names()).replace(b"T", b"").replace(b"RX", b""))


def test_utf_16_logs() -> None:
    for encoding in ("utf-16-le", "utf-16-be"):
        data = "\ufeff".encode(encoding) + LOG.decode().encode(encoding)
        made = scrub_capture(data, names())
        assert made.decode(encoding)[1:].encode() == scrub_capture(LOG, names())


def test_text_beside_the_hex() -> None:
    data = b"# meter UTIL-0002001, password READONLYKEY012345678\n" + LOG + b"# end of 0002001, not 90002001\n"
    made = scrub_capture(data, names())
    for secret in (PASSWORD, b"UTIL-0002001", b" 0002001,"):
        assert secret not in made
    assert b"not 90002001" in made
    serial = tables(made)[2051][:12]
    assert made.startswith(b"# meter UTIL-" + serial[5:])


def test_the_characters_of_a_hex_dump() -> None:
    lines = []
    for line in LOG.decode().splitlines():
        stamp, side, digits = line.split(" ", 2)
        raw = bytes.fromhex(digits)
        for at in range(0, len(raw), 16):
            part = raw[at : at + 16]
            shown = "".join(chr(b) if 0x20 <= b < 0x7F else "." for b in part)
            lines.append(f"{stamp} {side} {part.hex(' ')}  |{shown}|")
    data = "\n".join(lines).encode()
    made = scrub_capture(data, names())
    assert seen(made) == seen(data)
    for secret in (b"READONLYK", b"UTIL", b"osgp"):
        assert secret in data
        assert secret not in made


@pytest.mark.parametrize("wrap", ["ppp", "slip"])
def test_stuffed_lines(wrap: Any) -> None:
    encode = ppp.encode if wrap == "ppp" else slip.encode
    data = b"".join(encode(RAW[at : at + 200]) for at in range(0, len(RAW), 200))
    made = scrub_capture(data, names(), wrap=wrap)
    assert seen(made, wrap=wrap) == seen(data, wrap=wrap)
    assert tables(made, wrap=wrap) == tables(scrub_capture(RAW, names()))
    assert PASSWORD not in made


def test_a_stuffed_log_is_refused() -> None:
    data = b"".join(b"RX " + ppp.encode(RAW[at : at + 200]).hex(" ").encode() + b"\n" for at in range(0, 2000, 200))
    with pytest.raises(InputError) as error:
        scrub_capture(data, names(), wrap="ppp")
    assert error.value.code == "scrub.wrap"


# ---- bad lines


def session(*more: bytes) -> bytes:
    start = (b"\x20", answer(b"")[:1] + b"\x00\x02\x00\x00", b"\x50\x00\x01operator  ", b"\0")
    return packets(*start, b"\x51" + PASSWORD, b"\0", *more)


ET03 = b"Hansen 4711-87654321".ljust(30, b"\0") + bytes(113)


def test_damaged_packets_and_noise_hide_what_they_hold() -> None:
    good = session(read(2051), answer(ET03))
    spoilt = packets(answer(ET03)).replace(b"Hansen", b"Hanseo")
    data = session() + packets(read(2051)) + spoilt + packets(b"\x30\x08\x03", answer(ET03), b"\x52", b"\0")
    made = scrub_capture(data, names())
    for secret in (b"Hans", b"87654321", b"4711", b"operator", PASSWORD):
        assert secret in data
        assert secret not in made
    before, after = (scan(d, input="x", stem="x", meter="m") for d in (data, made))
    assert (before.noise_bytes, before.packets) == (after.noise_bytes, after.packets)
    assert before.noise_bytes > 0
    assert len(good) < len(data)


def test_a_wrong_checksum_stays_wrong() -> None:
    data = session(read(2051), answer(ET03, wrong=3), b"\x52", b"\0")
    made = scrub_capture(data, names())
    assert [r.code for r in scan(made, input="x", stem="x").rejects] == ["capture.checksum"]
    assert b"Hansen" not in made


def test_answers_without_a_request_and_stray_packets() -> None:
    whole = packets(answer(ET03))
    later = c1218.split(answer(ET03), 64)[1:]
    stray = b"".join(p.emit() for p in later)
    for data in (whole + session(), session(b"\x52", b"\0") + stray, session(read(2051)) + whole[:40]):
        made = scrub_capture(data, names())
        assert len(made) == len(data)
        assert b"Hansen" not in made
        assert b"87654321" not in made


def test_an_answer_to_another_request_is_not_taken_for_this_one() -> None:
    # The requests are lost, so that the answers seem to be those to a log-on, and to a read of BT03.
    for data in (
        packets(b"\x20", b"\0\0\2\0\0", b"\x50\0\1operator  ") + packets(answer(ET03)),
        session(b"\x30\0\3") + packets(answer(ET03)) + packets(b"\x52"),
        session(b"\x30\0\3") + packets(read(2051))[3:] + packets(answer(ET03)) + packets(b"\x52"),
    ):
        assert b"Hansen" in data
        made = scrub_capture(data, names())
        assert b"Hansen" not in made
        assert b"87654321" not in made


def test_a_packet_sent_again_is_the_same_one_again() -> None:
    request, reply = packets(read(2051)), packets(answer(ET03), size=200)
    data = session() + request + request + reply + b"\x15" + reply + packets(b"\x52")
    made = scrub_capture(data, names())
    assert seen(made) == seen(data)
    assert scan(data, input="x", stem="x").repeated == 2
    first, second = (made[at : at + len(reply)] for at in (data.find(reply), data.rfind(reply)))
    assert first == second != reply
    assert b"87654321" not in made


def test_partial_reads_become_parts_of_the_whole() -> None:
    def part(at: int, size: int) -> tuple[bytes, bytes]:
        ask = b"\x3f" + (2051).to_bytes(2, "big") + at.to_bytes(3, "big") + size.to_bytes(2, "big")
        return ask, answer(ET03[at : at + size])

    data = session(*part(0, 10), *part(10, 10), *part(20, 10), read(2051), answer(ET03), b"\x52", b"\0")
    found = scan(scrub_capture(data, names()), input="x", stem="x").sessions[0].images
    whole = bytes(found[-1].data)
    assert b"".join(bytes(i.data) for i in found[:3]) == whole[:30]
    assert b"Hansen" not in whole


def test_masked_passwords_stay_masked() -> None:
    data = RAW.replace(PASSWORD, b"*" * 20)
    at = data.find(b"\x51" + b"*" * 20) - c1218.HEADER
    packet = c1218.Packet(0, data[at + 2], 0, b"\x51" + b"*" * 20).emit()
    data = data[:at] + packet + data[at + len(packet) :]
    some = names()
    assert packet in scrub_capture(data, some)
    assert "passwords" not in some.counts


def test_mep_messages_are_hidden() -> None:
    mep = bytes.fromhex("0010 30 0803 00000001 0102030405060708 20".replace(" ", ""))[:18]
    data = session() + mep + packets(read(1), answer(bytes(32)))
    assert bytes.fromhex("0102030405060708") not in scrub_capture(data, names())


def test_no_capture() -> None:
    for data in (b"", b"hello, this is a letter to Mr Hansen\n", bytes(100)):
        with pytest.raises(NotRecognised):
            scrub_capture(data, names())


@settings(max_examples=40)
@given(st.data())
def test_any_damage_is_survived(data: st.DataObject) -> None:
    raw = bytearray(RAW[:4000])
    for _ in range(data.draw(st.integers(0, 12))):
        at = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.integers(0, 2)):
            case 0:
                raw[at] ^= 1 << data.draw(st.integers(0, 7))
            case 1:
                del raw[at : at + data.draw(st.integers(1, 40))]
            case _:
                raw[at:at] = raw[: data.draw(st.integers(1, 60))]
    try:
        made = scrub_capture(bytes(raw), names())
    except NotRecognised:
        return
    assert len(made) == len(raw)
    for secret in SECRETS[::2]:
        for at in range(len(secret) - 7):
            assert secret[at : at + 8] not in made


# ---- tables


def test_mbus_serial_numbers() -> None:
    element = 517
    et11 = bytes((6, 66, 36, 5, 6)) + element.to_bytes(2, "little") + bytes(32)
    water, heat = (bytes.fromhex(VECTORS["mbus_readings"][k]["hex"]) for k in ("water", "heat"))
    fixed = bytes.fromhex(VECTORS["mbus_readings"]["fixed"]["hex"])
    data = b"".join(r.ljust(element, b"\0") for r in (water, heat, fixed)).ljust(6 * element, b"\0")
    some = names()
    made = scrub_image(some, 2048 + 16, data, {"ET11": et11})
    for i, real in enumerate((water, heat, fixed)):
        new = made[i * element : (i + 1) * element]
        assert new[8:12] != real[8:12]
        assert new[:8] + new[12 : len(real)] == real[:8] + real[12:]
        assert all(b >> 4 <= 9 and b & 15 <= 9 for b in new[8:12])
    assert some.counts["M-Bus serial numbers"] == (2, 3) or some.counts["M-Bus serial numbers"] == (3, 3)
    # Without its dimensions nobody knows where they stand: then nothing of it stays.
    assert water[8:12] not in scrub_image(names(), 2048 + 16, data, {})


def test_records_of_identity_are_scrubbed() -> None:
    record = bytes.fromhex("0C78 21436587") + bytes.fromhex("0DFD11 06") + b"nesnaH" + bytes.fromhex("0413 40E20100")
    head = bytes.fromhex("78563412 2423 01 07 00 00 0000")
    telegram = bytes((len(head) + len(record) + 1,)) + head + record + b"\0"
    data = bytes(6) + b"\0" + telegram
    entry = (len(data) + 6).to_bytes(2, "little") + bytes(2) + (1).to_bytes(2, "little") + b"\0\4" + data
    size = 120
    log = bytes((0, 1, 0, 1, 0, 0)) + entry.ljust(size, b"\0")
    et36 = bytearray(200)
    made = scrub_image(names(), 2048 + 45, log, {"ET36": bytes(et36)})
    assert bytes.fromhex("21436587") not in made
    assert b"nesnaH" not in made


def test_keys_and_closed_tables() -> None:
    et11 = bytes((5, 66, 36)) + bytes(36)
    device = bytes(8) + b"Customer Jones      " + bytes((0, 16)) + bytes(range(1, 33)) + bytes(4)
    made = scrub_image(names(), 2048 + 13, device * 4, {"ET11": et11})
    assert b"Jones" not in made
    assert bytes(range(1, 9)) not in made
    assert len(made) == 4 * 66
    assert b"internet.example" not in scrub_image(names(), 2048 + 95, b"internet.example", {})


def test_requests_and_responses_in_tables() -> None:
    et03, et22 = b"Hansen 4711-87654321".ljust(30, b"\0"), bytes(range(20))
    requests = [transactions.read(2051, 0, 30), transactions.read(2070), transactions.write(2051, b"Olsen 12345678", 0)]
    responses = [transactions.Response(0, 30, et03), transactions.Response(0, 20, et22), transactions.Response(0)]
    et52, et53 = transactions.build_requests(7, requests), transactions.build_responses(7, responses)
    tables = {"ET52": et52 + bytes(10), "ET53": et53 + b"Hansen"}
    made = {id: scrub_image(names(), number, tables[id], tables) for id, number in (("ET52", 2100), ("ET53", 2101))}
    parsed = {id: transactions.parse_transaction(data) for id, data in made.items()}
    assert [len(made[id]) for id in made] == [len(tables[id]) for id in made]
    assert b"Hansen" not in made["ET53"]
    assert b"87654321" not in made["ET53"]
    assert b"Olsen" not in made["ET52"]
    assert parsed["ET53"].responses[1].data == et22
    assert parsed["ET52"].requests[:2] == transactions.parse_transaction(et52).requests[:2]
    # Without the requests nobody knows what the responses are.
    alone = scrub_image(names(), 2101, et53, {})
    assert transactions.parse_transaction(alone).responses[1].data != et22
    assert b"Hansen" not in alone
    assert b"Hansen" not in scrub_image(names(), 2101, et53[:-1], {})


def test_a_serial_number_is_found_where_nothing_says_so() -> None:
    tables = {
        "ET03.bin": ET03,
        "ET77.bin": b"xx87654321yy" + bytes.fromhex("87654321 21436587"),
        "BT64.bin": b"87654321",
    }
    numbers = {name: parse_table_name(name[:-4]) or 0 for name in tables}
    some = names()
    for _ in range(2):
        made = scrub_tables(tables, some, numbers)
    assert b"87654321" not in made["ET77.bin"]
    assert bytes.fromhex("87654321") not in made["ET77.bin"]
    assert bytes.fromhex("21436587") not in made["ET77.bin"]
    assert made["BT64.bin"] == tables["BT64.bin"]
    digits = re.match(rb"xx([0-9]{8})yy", made["ET77.bin"])
    assert digits
    assert digits[1] in made["ET03.bin"]


def test_bt01_as_characters() -> None:
    characters = bytes.fromhex("0202") + bytes(17)
    digits = bytes.fromhex("0222") + bytes(17)
    head = b"NES 83331-3I6A6A"
    made = scrub_image(names(), 1, head + b"AB12345678" + bytes(6), {"BT00": characters})
    assert re.fullmatch(head + rb"[A-Z]{2}[0-9]{8}\0{6}", made)
    assert b"12345678" not in made
    made = scrub_image(names(), 1, head + bytes.fromhex("0000000012345678"), {"BT00": digits})
    assert re.fullmatch("0{8}[0-9]{8}", made[16:].hex())
    assert made[16:].hex() != "0000000012345678"


@pytest.mark.parametrize("meter", sorted(p.name for d in ("dump", "edges") for p in (SAMPLES / d).iterdir()))
def test_sample_tables_keep_their_measurements(meter: str) -> None:
    place = next(SAMPLES / d / meter for d in ("dump", "edges") if (SAMPLES / d / meter).is_dir())
    tables = {p.name: p.read_bytes() for p in place.glob("*.bin")}
    made = scrub_tables(tables, names(), {n: parse_table_name(n[:-4]) or 0 for n in tables})
    changed = {name for name in tables if made[name] != tables[name]}
    assert changed <= {"BT01.bin", "ET03.bin", "BT74.bin"}
    assert all(len(made[name]) == len(tables[name]) for name in tables)
    assert "BT74.bin" not in changed or meter == "V07-argument-4"


# ---- names


@given(st.binary(max_size=40))
def test_made_up_values_have_the_form_of_the_real_ones(value: bytes) -> None:
    some = names()
    made = some.text("t", value)
    assert len(made) == len(value)
    assert some.text("t", value) == made
    for old, new in zip(value, made, strict=True):
        for kind in (bytes.isdigit, bytes.isupper, bytes.islower):
            assert kind(bytes((old,))) == kind(bytes((new,)))
        assert (old >= 0x80) == (new >= 0x80)
    for how in (some.secret, some.octets, some.number, some.bcd):
        assert len(how("t", value)) == len(value)


def test_two_values_never_become_one() -> None:
    some = names()
    made = {some.text("t", b"%06d" % n) for n in range(1000, 9000, 7)}
    assert len(made) == len(range(1000, 9000, 7))


def test_another_key_makes_other_names() -> None:
    assert Names().text("t", b"12345678") != Names().text("t", b"12345678")


# ---- the command


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as done:
        main(["scrub", *arguments])
    out, err = capsys.readouterr()
    return int(done.value.code or 0), out + err


def test_command_on_a_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, kept = tmp_path / "meter-0002001.log", tmp_path / "map.json"
    source.write_bytes(LOG)
    code, said = run(capsys, str(source), "--map", str(kept))
    assert code == 0
    assert "passwords: 1 different, 1 place" in said
    for secret in ("READONLY", "UTIL", "0002001.scrubbed"):
        assert secret not in said
    (made,) = tmp_path.glob("*.scrubbed.log")
    assert "0002001" not in made.name
    assert seen(made.read_bytes()) == seen(LOG)
    if os.name == "posix":
        assert kept.stat().st_mode & 0o077 == 0
    again = tmp_path / "again.log"
    assert run(capsys, str(source), "-o", str(again), "--map", str(kept), "-q") == (0, "")
    assert again.read_bytes() == made.read_bytes()


def test_command_on_a_dump(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from osgp_fast import decode

    source, out = SAMPLES / "dump", tmp_path / "safe"
    assert run(capsys, str(source), "-o", str(out))[0] == 0
    assert len(list(out.rglob("*.bin"))) == len(list(source.rglob("*.bin")))
    labels = {}
    for place in source.iterdir():
        profile = (place / "BT64.bin").read_bytes()
        labels[place.name] = next(p.parent.name for p in out.rglob("BT64.bin") if p.read_bytes() == profile)
    assert all(re.fullmatch("[A-Z][0-9]{8}", made) and made != real for real, made in labels.items())
    rows = {}
    for place in (source, out):
        decode(str(place), what="events").write(tmp_path / "events.jsonl")
        rows[place] = (tmp_path / "events.jsonl").read_text()
    for real, made in labels.items():
        rows[source] = rows[source].replace(f'"{real}"', f'"{made}"')
    assert sorted(rows[source].splitlines()) == sorted(rows[out].splitlines())
    code, said = run(capsys, str(source), "-o", str(out))
    assert code == 2
    assert "exists already" in said


def test_command_says_what_it_cannot_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    letter, archive = tmp_path / "letter.txt", tmp_path / "dump.zip"
    letter.write_text("Dear Sir")
    archive.write_bytes(b"PK\x03\x04" + bytes(60))
    for arguments, code, words in (
        ([str(letter)], "input.not_recognised", "not one valid C12.18 packet"),
        ([str(archive)], "usage.scrub", "unpack"),
        ([str(tmp_path / "none")], "usage.input", "does not exist"),
        ([str(tmp_path)], "input.not_recognised", "holds no table"),
        ([str(letter), "--map", str(letter)], "usage.map", "no map"),
        ([str(letter), "-o", str(letter)], "usage.output", "is the input"),
    ):
        with pytest.raises(OsgpError) as error:
            scrub.main(arguments, standalone_mode=False)
        assert error.value.code == code
        exit_code, said = run(capsys, *arguments)
        assert (exit_code, words in said) == (2, True), said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dump.zip", "letter.txt"]


def test_what_would_be_read_otherwise_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = iter(range(9))
    with monkeypatch.context() as patch:
        patch.setattr("osgp_fast.scrub.capture._seen", lambda data, wrap: (next(ways),))
        with pytest.raises(InputError) as error:
            scrub_capture(RAW, names())
        assert error.value.code == "scrub.changed"
    with monkeypatch.context() as patch:
        patch.setattr("osgp_fast.scrub.text._digits", lambda flat, at, count: iter(range(at, at + count)))
        with pytest.raises(InputError) as error:
            scrub_capture(LOG, names())
        assert error.value.code == "scrub.layout"
