"""The command line: options, exit codes, what is written where, what is shown."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from osgp_fast.columns import KINDS

from .conftest import SAMPLES, Command, compiled_or_pyarrow, make_dump, patch

DUMP = SAMPLES / "dump"


def test_help_shows_examples(osgp: Command) -> None:
    done = osgp("--help")
    assert done.code == 0
    assert "decode" in done.out
    done = osgp("decode", "--help")
    assert done.code == 0
    assert "osgp-fast decode dump/ -o out/" in done.out
    assert "Exit: 0 all decoded" in done.out


def test_version(osgp: Command) -> None:
    done = osgp("--version")
    assert done.code == 0
    assert done.out.startswith("osgp-fast ")
    assert osgp.implementation in done.out


def test_a_summary_for_people(osgp: Command) -> None:
    done = osgp("decode", DUMP)
    assert (done.code, done.err) == (0, "")
    for word in (
        "6 meters",
        "load_profile",
        "10,855",
        "2024-03-14T10:00:00Z",
        "fwd_active_wh",
        "M00002001",
        "no rejects",
    ):
        assert word in done.out, word
    assert osgp("decode", DUMP, "--quiet").out == ""
    # Nothing was written.
    assert list(osgp.tmp.iterdir()) == []


def test_a_summary_tells_of_rejects(osgp: Command, tmp_path: Path) -> None:
    dump = make_dump(tmp_path / "dump", "A", "B")
    (dump / "B" / "BT61.bin").unlink()
    (dump / "B" / "photo.jpg").write_bytes(b"jpeg")
    done = osgp("decode", dump)
    assert done.code == 1
    for word in ("dimension.missing", "input.not_recognised", "BT61 was not captured", "2 rejects"):
        assert word in done.out, done.out
    assert osgp("decode", dump, "--rejects-ok").code == 0


def test_a_directory_gets_a_file_per_kind(osgp: Command, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    done = osgp("decode", DUMP, "-o", f"{out}/", "--format", "csv")
    assert (done.code, done.out) == (0, ""), done.err
    assert sorted(p.name for p in out.iterdir()) == sorted(f"{kind}.csv" for kind in (*KINDS, "rejects"))
    # It exists now, so that it needs no slash; files of other kinds are left alone.
    before = (out / "load_profile.csv").stat().st_mtime_ns
    done = osgp("decode", DUMP, "-o", out, "--what", "events", "--format", "jsonl")
    assert done.code == 0
    assert (out / "events.jsonl").exists()
    assert (out / "load_profile.csv").stat().st_mtime_ns == before


def test_several_kinds_make_a_directory(osgp: Command, tmp_path: Path) -> None:
    done = osgp("decode", DUMP, "-o", tmp_path / "both", "--what", "events, meters", "--format", "csv")
    assert done.code == 0
    assert sorted(p.name for p in (tmp_path / "both").iterdir()) == ["events.csv", "meters.csv", "rejects.csv"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "arrow"])
def test_a_file_gets_one_kind(osgp: Command, suffix: str, tmp_path: Path) -> None:
    if suffix in ("parquet", "arrow"):
        pytest.importorskip("pyarrow")
    done = osgp("decode", DUMP, "-o", tmp_path / f"a.{suffix}")
    assert done.code == 0, done.err
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"a.{suffix}", f"a.rejects.{suffix}"]


@compiled_or_pyarrow
def test_parquet_is_the_format_of_a_directory(osgp: Command, tmp_path: Path) -> None:
    assert osgp("decode", DUMP, "-o", f"{tmp_path}/out/", "--what", "meters").code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["meters.parquet", "rejects.parquet"]
    assert (tmp_path / "out" / "meters.parquet").read_bytes()[:4] == b"PAR1"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--what", "nonsense"], ["nonsense"]),
        (["--what", ""], ["no kind"]),
        (["--shape", "tall"], ["tall"]),
        (["--format", "xml"], ["xml"]),
        (["--format", "csv"], ["-o"]),
        (["--split", "1MB"], ["-o"]),
        (["-o", "x.parquet", "--split", "much"], ["much"]),
        (["-o", "x.docx"], ["x.docx"]),
        (["-o", "gone/x.csv"], ["gone"]),
        (["--jobs", "0"], ["jobs"]),
        (["--tz", "Nowhere/City"], ["Nowhere/City"]),
        (["--shape", "wide", "--delta"], ["wide"]),
        (["--what", "events", "--delta"], ["--delta"]),
        (["--wrap", "tape"], ["tape"]),
        (["--nonsense"], ["--nonsense"]),
        (["--tmp", "gone"], ["gone"]),
    ],
)
def test_usage(osgp: Command, arguments: list[str], words: list[str]) -> None:
    done = osgp("decode", DUMP, *arguments)
    assert (done.code, done.out) == (2, ""), done.err
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err
    assert list(osgp.tmp.iterdir()) == []


def test_no_input_is_usage(osgp: Command) -> None:
    assert osgp("decode").code == 2


def test_the_output_must_not_be_an_input(osgp: Command, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("1,x,1,00\n")
    done = osgp("decode", path, "-o", path)
    assert done.code == 2
    assert path.read_text() == "1,x,1,00\n"


def test_keys_are_never_shown(osgp: Command) -> None:
    key = "00112233445566778899AABBCCDDEEFF"
    done = osgp("decode", DUMP, "--key", key)
    assert done.code == 0
    assert done.err == ""
    assert key not in done.out + done.err
    done = osgp("decode", DUMP, "--key", f"{key}xyz")
    assert done.code == 2
    assert key not in done.out + done.err
    assert key not in (done := osgp("decode", DUMP, OSGP_MEP_KEY=key)).out + done.err


def test_a_file_that_cannot_be_written(osgp: Command, tmp_path: Path) -> None:
    # A directory stands where a file should be: known only when it is renamed.
    out = tmp_path / "out"
    (out / "events.csv" / "x").mkdir(parents=True)
    done = osgp("decode", DUMP, "-o", out, "--what", "meters,events", "--format", "csv")
    assert done.code == 3, done.err
    assert "nothing was written" in done.err
    assert not [p for p in out.iterdir() if p.name.startswith(".") or p.suffix == ".part"]


def test_what_stood_there_is_replaced_whole(osgp: Command, tmp_path: Path) -> None:
    dump = make_dump(tmp_path / "dump", "A")
    out = tmp_path / "a.jsonl"
    out.write_text("old")
    assert osgp("decode", dump / "gone", "-o", out).code == 2
    assert out.read_text() == "old"
    assert osgp("decode", dump, "-o", out).code == 0
    assert json.loads(out.read_text().splitlines()[0])["meter"] == "A"


def test_meter_names_all_that_is_found(osgp: Command, tmp_path: Path) -> None:
    dump = make_dump(tmp_path / "dump", "A")
    done = osgp.decode(dump, "--meter", "mine")
    assert done.code == 0
    assert {r["meter"] for kind in ("load_profile", "events", "meters", "channels") for r in done.rows(kind)} == {
        "mine"
    }


def test_jobs_do_not_change_the_rows(osgp: Command) -> None:
    one, two = osgp.decode(DUMP, "--jobs", "1"), osgp.decode(DUMP, "--jobs", "2")
    for file in one.directory.iterdir():
        assert file.read_bytes() == (two.directory / file.name).read_bytes()


def test_assumed_defaults_are_told(osgp: Command, tmp_path: Path) -> None:
    dump = make_dump(tmp_path / "dump", "A", "B", "C")
    (dump / "B" / "BT21.bin").unlink()
    (dump / "C" / "BT27.bin").unlink()
    done = osgp("decode", dump)
    assert (done.code, "dimension.missing" in done.out, "guides' defaults" in done.out) == (1, True, False)
    done = osgp("decode", dump, "--assume-defaults")
    assert (done.code, "no rejects" in done.out) == (0, True), done.out
    assert "decoded with the guides' defaults: B, C\n" in done.out
    assert "guides' defaults" not in osgp("decode", dump, "--assume-defaults", "--what", "load_profile").out


def test_split(osgp: Command, tmp_path: Path) -> None:
    whole = osgp.decode(DUMP, "--what", "load_profile").directory / "load_profile.jsonl"
    done = osgp(
        "decode", DUMP, "-o", f"{tmp_path}/parts/", "--what", "load_profile", "--format", "jsonl", "--split", "500kB"
    )
    assert done.code == 0, done.err
    parts = sorted((tmp_path / "parts").glob("load_profile-*.jsonl"))
    assert [p.name for p in parts] == [f"load_profile-{i + 1:04}.jsonl" for i in range(len(parts))]
    # The compiled writers split between blocks of work, and this dump is one.
    assert len(parts) > 1 or osgp.implementation == "rust"
    assert "".join(p.read_text() for p in parts) == whole.read_text()
    assert (tmp_path / "parts" / "rejects.jsonl").exists()


def test_text_of_every_kind(osgp: Command, tmp_path: Path) -> None:
    dump = make_dump(tmp_path / "dump", 'M "1", old')
    patch(dump / 'M "1", old' / "BT61.bin", (11, b"\x00"))
    done = osgp("decode", dump, "-o", f"{tmp_path}/out/", "--format", "csv")
    assert done.code == 1
    meters = (tmp_path / "out" / "meters.csv").read_text().splitlines()
    assert meters[0] == "meter,utility_serial,manufacturer,model,manufacturer_serial,firmware,tables,read_at"
    assert meters[1].startswith('"M ""1"", old",UTIL-0002001,NES,83331-3I,0000000000002001,3.50.01,0;1;3;')
    rejects = (tmp_path / "out" / "rejects.csv").read_text().splitlines()
    assert rejects[0] == "meter,table,item,code,reason,input,offset,length,data,read_at"


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_interrupted_nothing_is_written(osgp: Command, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    dump.mkdir()
    # One meter under many names: enough to be in the middle of it.
    real = make_dump(tmp_path / "real", "A") / "A"
    for i in range(20_000 if osgp.implementation == "rust" else 2000):
        (dump / f"M{i:05}").symlink_to(real, target_is_directory=True)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "osgp_fast",
            "decode",
            dump,
            "-o",
            f"{tmp_path}/out/",
            "--format",
            "jsonl",
            "--jobs",
            "1",
        ],
        env={**os.environ, "OSGP_FAST_IMPL": osgp.implementation},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out = tmp_path / "out"
    deadline = time.monotonic() + 30
    while not out.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "interrupted" in err
    assert "Traceback" not in err
    assert not out.exists() or list(out.iterdir()) == []
