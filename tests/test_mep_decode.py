"""`osgp-fast decode` of captures of the MEP port, with either implementation: the same rows as from a dump of the meter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLES, Command
from mep_port import MAK, MBK, OTHER, Port, everything, guide, optical
from osgp_fast.image import parse_table_name

#: The most bytes of a table in an answer: a message less code, count and digest.
PART = 465


def reading(folder: Path, **port: Any) -> Port:
    """A client that reads all tables of a dump, the long ones in parts."""
    talk = Port(**port)
    for path in sorted(folder.glob("*.bin")):
        number, data = parse_table_name(path.stem), path.read_bytes()
        assert number is not None
        if len(data) <= PART:
            talk.read(number, data)
        else:
            for at in range(0, len(data), PART):
                talk.read(number, data[at : at + PART], at)
    return talk


def rows(directory: Path, kind: str) -> list[dict[str, Any]]:
    lines = (directory / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in ("meter", "read_at")} for line in lines]


@pytest.mark.parametrize("how", ["clear", "rc4", "log", "tls"])
def test_the_rows_are_those_of_the_dump(osgp: Command, tmp_path: Path, how: str) -> None:
    folder = SAMPLES / "dump" / "M00002001"
    osgp("decode", str(folder), "-o", f"{tmp_path}/dump/", "--format", "jsonl", "--rejects-ok")
    path = tmp_path / "mep.bin"
    if how == "tls":
        port = Port().handshake(MBK)
        for file in sorted(folder.glob("*.bin")):
            number, data = parse_table_name(file.stem), file.read_bytes()
            assert number is not None
            for at in range(0, len(data), 443):
                port.tls_read(number, data[at : at + 443], at)
    else:
        port = reading(folder, encrypt=how == "rc4")
    path.write_bytes(port.log() if how == "log" else port.bytes)
    done = osgp(
        "decode", str(path), "--key", MAK.hex(), "--key", MBK.hex(), "-o", f"{tmp_path}/mep/", "--format", "jsonl"
    )
    assert (done.code, done.err) == (0, "")
    for kind in ("load_profile", "channels"):
        want = rows(tmp_path / "dump", kind)
        assert want
        assert rows(tmp_path / "mep", kind) == want
    if how != "tls":
        # Logs whose lengths only a whole read tells.
        assert rows(tmp_path / "mep", "events") == rows(tmp_path / "dump", "events")
    meter = json.loads((tmp_path / "mep" / "meters.jsonl").read_text(encoding="utf-8"))
    assert meter["meter"] == meter["utility_serial"], "the label is the serial number that was read"


def test_what_is_said_of_keys(osgp: Command, tmp_path: Path) -> None:
    path = tmp_path / "mep.bin"
    path.write_bytes(reading(SAMPLES / "dump" / "M00002001", encrypt=True).bytes)
    for arguments, code in (((), "mep.no_key"), (("--key", OTHER.hex()), "mep.wrong_key")):
        done = osgp("decode", str(path), *arguments, "-o", f"{tmp_path}/out/", "--format", "jsonl")
        assert done.code == 1
        (reject,) = (tmp_path / "out" / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
        assert (json.loads(reject)["code"], len(json.loads(reject)["data"]) // 2) == (
            code,
            min(path.stat().st_size, 65536),
        )
        assert OTHER.hex() not in reject + done.out + done.err
    for bad in ("00" * 5, "00" * 21, "zz" * 16, "@" + str(tmp_path / "nothing")):
        done = osgp("decode", str(path), "--key", bad)
        assert done.code == 2
        assert "key" in done.err
    # Between packets of the optical port they are only counted, and it is said how to open them.
    path.write_bytes(Port().read(1, b"x").raw("S", optical(1, bytes(20))).bytes)
    done = osgp("decode", str(path))
    assert "2 MEP messages: give their key with --key or OSGP_MEP_KEY" in " ".join(done.out.split())
    assert "MEP messages" not in osgp("decode", str(path), OSGP_MEP_KEY=MAK.hex()).out


def test_every_kind_of_file_has_the_same_rejects(osgp: Command, tmp_path: Path) -> None:
    path = tmp_path / "mep.bin"
    port = everything()
    port.line = [*port.line[:4], *guide().line, *port.line[4:]]
    path.write_bytes(port.bytes)
    done = osgp("decode", str(path), "--key", MAK.hex(), "-o", f"{tmp_path}/out/", "--format", "jsonl")
    assert done.code == 1
    found = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {reject["code"] for reject in found} >= {"mep.digest", "mep.replay"}
    assert all(reject["input"] == str(path) for reject in found if reject["code"].startswith("mep."))
