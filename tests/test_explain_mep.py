"""Explanations of the MEP port: every byte named, in clear where a key opens it, and no key or computed digest shown."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from conftest import Command
from mep_port import GUIDE, MAK, MBK, OTHER, RC4, TLS, Port, everything, full, guide, told
from osgp_fast.explain import Line, explain_capture
from osgp_fast.explain.capture import Block
from osgp_fast.security.digest import digest


def on_the_line(block: Block) -> bytes:
    """The bytes of a block as they stood on the line, each once: what is below them is what they say."""
    out, end = b"", -1
    for line in block.lines:
        if line.offset is not None and line.offset >= end and line.data:
            out += line.data
            end = line.offset + len(line.data)
    return out


def named(blocks: list[Block], name: str) -> list[Line]:
    return [line for block in blocks for line in block.lines if line.name == name]


@pytest.mark.parametrize("encrypt", [False, True])
@pytest.mark.parametrize("keys", [(MBK, GUIDE), (OTHER,), ()])
def test_every_byte_of_the_guides_exchanges_is_named(encrypt: bool, keys: tuple[bytes, ...]) -> None:
    port = guide(alerts=True, encrypt=encrypt)
    blocks = list(explain_capture(port.bytes, keys=keys))
    assert b"".join(on_the_line(block) for block in blocks) == port.bytes
    verdicts = {line.value for line in named(blocks, "digest")}
    if GUIDE in keys:
        assert verdicts == {"verified with key 2"}
        assert [block.title for block in blocks][:4] == [
            "MEP request: partial read BT23",
            "MEP alert",
            "MEP answer: invalid sequence number",
            "MEP request: partial read BT23",
        ]
        assert any(line.name == "Device Handle" or "ET52" in line.value for block in blocks for line in block.lines)
        assert bool(named(blocks, "enciphered")) == encrypt
    elif not encrypt:
        assert verdicts == {"fits none of the keys" if keys else "not checked: no key was given"}
        assert blocks[0].title == "MEP request: partial read BT23"
    else:
        assert not any("verified" in verdict for verdict in verdicts)


def test_the_guides_tls_session() -> None:
    content = b"".join(data for _, data in TLS)
    blocks = list(explain_capture(content, keys=[GUIDE]))
    assert b"".join(on_the_line(block) for block in blocks) == content
    assert [line.value for line in named(blocks, "identity")] == ["client 100, the advanced key (MAK)"]
    assert [line.value for line in named(blocks, "cipher suite")] == ["TLS_PSK_WITH_AES_256_GCM_SHA384"]
    assert [line.data.hex() for line in named(blocks, "clear text")] == ["3f084600008e0001", "00000102"]
    assert [line.value for line in named(blocks, "Current Comm Channel Index")] == ["2 (MEP client 2 (MEP2))"]
    assert blocks[4].title == "MEP request in TLS: partial read ET70"
    closed = list(explain_capture(content, keys=[OTHER]))
    assert b"".join(on_the_line(block) for block in closed) == content
    assert any("none of the keys opens this TLS session" in line.value for line in named(closed, "problem"))
    assert not named(closed, "clear text")


def test_what_is_said_of_answers() -> None:
    port = Port(encrypt=True).read(1, b"one")
    old = port.line[-1]
    port.line.append(old)
    port.ask(full(1)).raw("S", old[1]).answer(b"\4").ask(full(2)).raw("S", b"\0\x09\x0b" + bytes(8))
    titles = [block.title for block in explain_capture(port.bytes, keys=[MAK])]
    assert titles == [
        "MEP request: full read BT01",
        "MEP answer: ok",
        "MEP answer: ok, sent again",
        "MEP request: full read BT01",
        "MEP answer, to an earlier request",
        "MEP answer: onp: operation not possible",
        "MEP request: full read BT02",
        "MEP answer: authentication failure",
    ]
    alert = list(explain_capture(Port().handshake(MAK, server_key=OTHER).bytes, keys=[MAK]))
    assert any(line.value == "fatal, 20 (bad_record_mac)" for line in named(alert, "alert"))


def test_no_computed_digest_is_shown() -> None:
    port = Port().ask(full(1))
    body = port.line[0][1][2:-8]
    hurt = port.line[0][1][:-8] + bytes(8)
    port.line = [("C", hurt), *Port().read(2, b"x").line]
    shown = repr([block.lines for block in explain_capture(port.bytes, keys=[MAK])])
    assert repr(digest(MAK, body))[2:-1] not in shown


def test_no_line_breaks_it() -> None:
    generator = random.Random(1)
    whole = everything().bytes
    for _ in range(60):
        start = generator.randrange(len(whole))
        data = bytearray(whole[start : start + 3000])
        for _ in range(generator.randrange(1, 30)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        for block in explain_capture(bytes(data), keys=generator.choice([(MAK, MBK), (OTHER,), ()])):
            assert block.title


def test_from_the_command_line(osgp: Command, tmp_path: Path) -> None:
    path, key = tmp_path / "mep.bin", tmp_path / "key"
    path.write_bytes(guide(encrypt=True).bytes)
    key.write_text(GUIDE.hex() + "\n")
    for called in (
        osgp("explain", "--key", GUIDE.hex(), str(path)),
        osgp("explain", "--key", f"@{key}", str(path)),
        osgp("explain", str(path), OSGP_MEP_KEY=GUIDE.hex()),
    ):
        assert (called.code, called.err) == (0, "")
        assert "partial read BT23" in called.out
        assert "verified with key 1" in called.out
        assert GUIDE.hex() not in called.out
    closed = osgp("explain", str(path))
    assert closed.code == 0
    assert "no key was given" in closed.out
    one = osgp("explain", RC4[0][0].hex(" "), "--json")
    assert json.loads(one.out)["title"] == "MEP request: partial read BT23"
    port = Port(MAK).read(1, told(b"x"))
    path.write_bytes(port.bytes)
    called = osgp("explain", "--key", MAK.decode("ascii"), str(path))
    assert "16 ASCII characters" in called.err
    assert MAK.decode("ascii") not in called.out + called.err
    assert osgp("explain", "--key", "nonsense", str(path)).code == 2
