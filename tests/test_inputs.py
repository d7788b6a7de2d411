"""Bad input, through the command with either implementation: a reject with code, reason and bytes, or exit 2 with a
plain message; what is sound beside it is decoded.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import stat
import struct
import tarfile
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from .conftest import COMPILED, PYARROW, SAMPLES, Command, Done, compiled_or_pyarrow, make_dump, patch, truth

# A JPEG's first bytes, and more of it.
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000") + bytes(range(256)) * 2
MAX_TABLE = (1 << 24) + (1 << 16)


def sound(done: Done, *meters: str) -> None:
    """These meters have all their rows."""
    counts: dict[str, int] = {}
    for row in done.rows("load_profile"):
        counts[row["meter"]] = counts.get(row["meter"], 0) + 1
    for meter in meters:
        assert counts.get(meter) == SOUND_ROWS, meter


SOUND_ROWS = next(len(m["profile"]) for m in truth("dump") if m["meter"] == "M00002001")


def only(done: Done, code: str) -> dict[str, Any]:
    """The reject of a code, told in full, of which there is one."""
    found = [r for r in done.rejects if r["code"] == code]
    assert len(found) == 1, done.rejects
    assert found[0]["reason"]
    assert found[0]["input"]
    assert len(found[0]["data"]) <= 2 * min(found[0]["length"], 64 * 1024)
    return found[0]


def refused(done: Done, *words: str) -> None:
    """Exit 2, nothing written, a plain message of one line."""
    assert done.code == 2, (done.code, done.err)
    assert done.out == ""
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err
    assert not done.directory.exists()


# --- tables


@pytest.mark.parametrize(
    ("changes", "code", "item"),
    [
        ({"BT64": [(1, b"\x0d")]}, "profile.end_time", "block 753"),  # month 13
        ({"BT61": [(7, b"\xff\xff\xff\xff")]}, "table.too_short", None),  # 65535 x 65535
        ({"BT61": [(11, b"\x00")]}, "profile.no_channels", None),
        ({"BT61": [(12, b"\x00")]}, "profile.interval_time", None),
        ({"BT61": [(12, b"\x3d")]}, "profile.interval_time", None),
        ({"BT61": [(12, b"\x53")]}, "profile.interval_time", None),
        ({"BT63": [(1, b"\x08\x00")]}, "profile.block_count", None),  # more valid blocks than blocks
        ({"BT63": [(3, b"\x09\x00")]}, "profile.last_block", None),
    ],
    ids=["date", "huge", "channels", "interval0", "interval61", "interval83", "count", "last"],
)
def test_impossible_tables(osgp: Command, changes: Any, code: str, item: str | None, tmp_path: Path) -> None:
    dump = make_dump(tmp_path / "dump", "A", "BAD", "C")
    for table, of_table in changes.items():
        patch(dump / "BAD" / f"{table}.bin", *of_table)
    done = osgp.decode(dump)
    assert done.code == 1, done.err
    assert code in done.codes
    reject = next(r for r in done.rejects if r["code"] == code)
    assert reject["meter"] == "BAD"
    assert reject["table"] in (61, 63, 64)
    assert {r["meter"] for r in done.rejects} == {"BAD"}
    sound(done, "A", "C")
    # Its events have nothing to do with that.
    assert {r["meter"] for r in done.rows("events")} == {"A", "BAD", "C"}
    assert osgp.decode(dump, "--rejects-ok").code == 0


def test_a_table_shorter_than_its_dimensions(osgp: Command, tmp_path: Path) -> None:
    dump = make_dump(tmp_path / "dump", "A", "BAD")
    data = (dump / "BAD" / "BT64.bin").read_bytes()
    (dump / "BAD" / "BT64.bin").write_bytes(data[: len(data) // 60])
    done = osgp.decode(dump)
    assert done.code == 1
    assert {"table.too_short", "profile.block_incomplete"} & set(done.codes), done.rejects
    sound(done, "A")


@pytest.mark.parametrize("missing", ["BT61", "BT63"])
def test_a_data_table_without_its_dimensions(osgp: Command, missing: str, tmp_path: Path) -> None:
    dump = make_dump(tmp_path / "dump", "A", "BAD")
    (dump / "BAD" / f"{missing}.bin").unlink()
    done = osgp.decode(dump)
    assert done.code == 1
    reject = only(done, "dimension.missing")
    assert missing in reject["reason"]
    assert (reject["meter"], reject["table"]) == ("BAD", 64)
    assert reject["length"] == (dump / "BAD" / "BT64.bin").stat().st_size
    sound(done, "A")


def test_bt63_of_another_time_than_the_data(osgp: Command, tmp_path: Path) -> None:
    # The header says that a block more was begun, which the data do not show: a torn read.
    dump = make_dump(tmp_path / "dump", "A", "BAD")
    header = (dump / "BAD" / "BT63.bin").read_bytes()
    count, last, sequence = struct.unpack_from("<HHI", header, 1)
    patch(dump / "BAD" / "BT63.bin", (3, struct.pack("<HI", (last + 3) % 0x60, sequence + 3)))
    done = osgp.decode(dump)
    assert count
    assert done.code == 1
    assert {r["meter"] for r in done.rejects} == {"BAD"}
    sound(done, "A")


# --- files


def test_an_empty_table(osgp: Command, tmp_path: Path) -> None:
    dump = make_dump(tmp_path / "dump", "A", "BAD")
    (dump / "BAD" / "BT74.bin").write_bytes(b"")
    done = osgp.decode(dump)
    assert (done.code, done.codes) == (1, ["input.empty"])
    assert only(done, "input.empty")["input"].endswith("BAD/BT74.bin")
    sound(done, "A", "BAD")
    # What is not asked for is no reject.
    done = osgp.decode(dump, "--what", "load_profile")
    assert (done.code, done.rejects) == (0, [])


def test_an_empty_file(osgp: Command, tmp_path: Path) -> None:
    (tmp_path / "nothing").write_bytes(b"")
    done = osgp.decode(tmp_path / "nothing", make_dump(tmp_path / "dump", "A"))
    assert (done.code, done.codes) == (1, ["input.empty"])
    sound(done, "A")


def test_a_directory_without_meters(osgp: Command, tmp_path: Path) -> None:
    (tmp_path / "dump" / "deep" / "er").mkdir(parents=True)
    (tmp_path / "dump" / "README.txt").write_text("nothing here")
    refused(osgp.decode(tmp_path / "dump"), "no table")
    done = osgp.decode(tmp_path / "dump", "--skip-unreadable")
    assert (done.code, done.codes) == (1, ["input.unreadable"])


def test_notes_are_only_counted(osgp: Command, tmp_path: Path) -> None:
    dump = make_dump(tmp_path / "dump", "A")
    for name in ("README.txt", "A/.DS_Store", "A/Thumbs.db", "A/._BT64.bin", "notes.MD"):
        (dump / name).write_text("note")
    (dump / "__MACOSX").mkdir()
    (dump / "__MACOSX" / "BT64.bin").write_text("note")
    done = osgp.decode(dump)
    assert (done.code, done.rejects) == (0, [])
    assert "6 files that are no tables" in osgp("decode", dump).out


@pytest.mark.parametrize(("name", "size"), [("photo.jpg", len(JPEG)), ("BT64x.bin", len(JPEG)), ("noname", 10)])
def test_something_else_in_a_dump(osgp: Command, name: str, size: int, tmp_path: Path) -> None:
    dump = make_dump(tmp_path / "dump", "A")
    (dump / "A" / name).write_bytes(JPEG[:size])
    done = osgp.decode(dump)
    assert (done.code, done.codes) == (1, ["input.not_recognised"])
    reject = only(done, "input.not_recognised")
    assert bytes.fromhex(reject["data"]) == JPEG[: min(size, 64)]
    assert (reject["item"], reject["length"], reject["offset"]) == (name, size, 0)
    sound(done, "A")


def test_a_jpeg(osgp: Command, tmp_path: Path) -> None:
    pytest.importorskip("osgp_fast.scan")
    (tmp_path / "photo.jpg").write_bytes(JPEG)
    done = osgp.decode(tmp_path / "photo.jpg")
    assert (done.code, done.codes) == (1, ["input.not_recognised"])
    reject = only(done, "input.not_recognised")
    assert bytes.fromhex(reject["data"]) == JPEG[:64]
    assert reject["length"] == len(JPEG)
    assert "not recognised" in reject["reason"]


def test_a_table_larger_than_tables_are(osgp: Command, tmp_path: Path) -> None:
    dump = make_dump(tmp_path / "dump", "A", "BAD")
    with (dump / "BAD" / "BT64.bin").open("r+b") as file:
        file.truncate(3 << 30)
    done = osgp.decode(dump)
    assert (done.code, done.codes) == (1, ["input.too_large"])
    reject = only(done, "input.too_large")
    assert (reject["length"], len(reject["data"])) == (3 << 30, 2 * 64 * 1024)
    sound(done, "A")


def test_a_file_over_2_gib_of_unknown_content(osgp: Command, tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.write(b"\x01\x02\x03")
        file.truncate((2 << 30) + 1)
    done = osgp.decode(tmp_path / "huge")
    assert (done.code, done.codes) == (1, ["input.too_large"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_fifos_and_sockets_are_never_opened(osgp: Command, tmp_path: Path) -> None:
    dump = make_dump(tmp_path / "dump", "A")
    os.mkfifo(dump / "A" / "BT65.bin")
    os.mkfifo(dump / "pipe")
    done = osgp.decode(dump)
    assert (done.code, done.codes) == (1, ["input.not_a_file", "input.not_a_file"])
    sound(done, "A")
    refused(osgp.decode(dump / "pipe"), "pipe", "not a file")
    with socket.socket(socket.AF_UNIX) as server:
        place = Path("/tmp") / f"osgp-{os.getpid()}-{osgp.implementation}"
        server.bind(str(place))
        try:
            refused(osgp.decode(place))
        finally:
            place.unlink()


def test_symlink_loops(osgp: Command, tmp_path: Path) -> None:
    dump = make_dump(tmp_path / "dump", "A")
    (dump / "A" / "up").symlink_to("..", target_is_directory=True)
    (dump / "self").symlink_to("self")
    done = osgp.decode(dump)
    assert done.code == 1
    assert sorted(done.codes) == ["input.symlink_loop", "input.unreadable"]
    sound(done, "A")


def test_links_are_followed_and_rename_a_meter(osgp: Command, tmp_path: Path) -> None:
    real = make_dump(tmp_path / "elsewhere", "A")
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump" / "B").symlink_to(real / "A", target_is_directory=True)
    done = osgp.decode(tmp_path / "dump")
    assert done.code == 0
    sound(done, "B")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no permissions here")
def test_unreadable_files(osgp: Command, tmp_path: Path) -> None:
    dump = make_dump(tmp_path / "dump", "A", "BAD")
    (dump / "BAD" / "BT74.bin").unlink()
    (dump / "BAD" / "BT74.bin").symlink_to("gone")
    done = osgp.decode(dump)
    assert (done.code, done.codes) == (1, ["input.unreadable"])
    sound(done, "A", "BAD")
    if os.geteuid() != 0:
        secret = dump / "A" / "BT61.bin"
        secret.chmod(0)
        done = osgp.decode(dump)
        secret.chmod(stat.S_IRWXU)
        assert "input.unreadable" in done.codes
        assert "ermission" in done.err + str(done.rejects)


def test_an_input_that_is_not_there(osgp: Command, tmp_path: Path) -> None:
    dump = make_dump(tmp_path / "dump", "A")
    refused(osgp.decode(dump, tmp_path / "gone"), "gone", "No such file")
    done = osgp.decode(dump, tmp_path / "gone", "--skip-unreadable")
    assert (done.code, done.codes) == (1, ["input.unreadable"])
    assert "No such file" in only(done, "input.unreadable")["reason"]
    sound(done, "A")


def test_one_meter_at_two_places_is_one_meter(osgp: Command, tmp_path: Path) -> None:
    first, second = make_dump(tmp_path / "1", "A"), make_dump(tmp_path / "2", "A", "B")
    done = osgp.decode(first, second)
    assert (done.code, done.rejects) == (0, [])
    sound(done, "A", "B")
    assert [r["meter"] for r in done.rows("meters")] == ["A", "B"]


def test_contradicting_reads_name_both(osgp: Command, tmp_path: Path) -> None:
    first, second = make_dump(tmp_path / "1", "A"), make_dump(tmp_path / "2", "A")
    patch(first / "A" / "BT64.bin", (300, b"\x7f"))
    done = osgp.decode(first, second)
    reject = next(r for r in done.rejects if r["code"] == "profile.contradiction")
    assert f"{first}/A/BT64.bin" in reject["reason"]
    assert f"{second}/A/BT64.bin" in reject["reason"]


# --- archives


def packed(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, data in members:
            archive.writestr(name, data)
    return path


def sample(meter: str) -> list[tuple[str, bytes]]:
    return [(f"{meter}/{f.name}", f.read_bytes()) for f in sorted((SAMPLES / "dump" / "M00002001").iterdir())]


def tarred(path: Path, members: list[tuple[str, bytes]], mode: Any = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("pack", [packed, tarred])
def test_names_that_leave_the_archive(osgp: Command, pack: Any, tmp_path: Path) -> None:
    bad = [
        ("../evil/BT64.bin", b"1234"),
        ("/etc/BT61.bin", b"1234"),
        ("a/../../BT61.bin", b"12"),
        ("..\\BT61.bin", b"1"),
    ]
    done = osgp.decode(pack(tmp_path / "x", sample("A") + bad))
    assert (done.code, done.codes) == (1, ["archive.unsafe_name"] * 4)
    assert [r["item"] for r in done.rejects] == [name for name, _ in bad]
    sound(done, "A")
    assert [r["meter"] for r in done.rows("meters")] == ["A"]


@pytest.mark.parametrize("pack", [packed, tarred])
def test_of_several_members_of_a_name_the_last_is_used(osgp: Command, pack: Any, tmp_path: Path) -> None:
    done = osgp.decode(pack(tmp_path / "x", [("A/BT64.bin", b"old"), ("A/./BT61.bin", b""), *sample("A")]))
    assert (done.code, done.codes) == (1, ["archive.duplicate_name"] * 2)
    assert {r["item"] for r in done.rejects} == {"A/BT64.bin", "A/BT61.bin"}
    sound(done, "A")


def test_encrypted_members(osgp: Command, tmp_path: Path) -> None:
    path = packed(tmp_path / "x.zip", [*sample("A"), ("B/BT64.bin", b"12345"), ("B/secret.txt", b"1")])
    data = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := data.find(signature, at + 1)) >= 0:
            if b"B/" in data[at : at + 60].split(b"BT64")[0][20:]:
                data[at + flags] |= 1
    path.write_bytes(data)
    done = osgp.decode(path)
    assert (done.code, done.codes) == (1, ["archive.encrypted"])
    assert (only(done, "archive.encrypted")["meter"], only(done, "archive.encrypted")["table"]) == ("B", 64)
    sound(done, "A")


def test_a_zip_bomb_of_overlapping_members(osgp: Command, tmp_path: Path) -> None:
    # Many names for one member of 16 MB: the archive's directory is small, and what it stands for is not.
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("A/BT64.bin", bytes(1 << 24))
        one = archive.infolist()[0]
        for i in range(300):
            info = zipfile.ZipInfo(f"B{i:03}/BT64.bin")
            for name in ("header_offset", "compress_size", "file_size", "CRC", "compress_type"):
                setattr(info, name, getattr(one, name))
            archive.filelist.append(info)
            archive.NameToInfo[info.filename] = info
    assert (tmp_path / "x.zip").stat().st_size < 100_000
    done = osgp.decode(tmp_path / "x.zip", "--what", "meters")
    assert done.code == 1
    assert done.codes.count("archive.bomb") == 1
    assert len(done.rows("meters")) <= 65


def test_a_gzip_bomb(osgp: Command, tmp_path: Path) -> None:
    # A sound meter, then a member that claims a terabyte, of which there are zeros enough in a few kB.
    head = io.BytesIO()
    with tarfile.open(fileobj=head, mode="w") as archive:
        for name, data in sample("A"):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        info = tarfile.TarInfo("B/BT64.bin")
        info.size = 1 << 40
        block = info.tobuf(tarfile.GNU_FORMAT)
    # Without the two empty blocks that end an archive.
    start = head.getvalue().rstrip(b"\0")
    start += bytes(-len(start) % 512)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    out = packer.compress(start + block)
    zeros = bytes(1 << 20)
    for _ in range(64):
        out += packer.compress(zeros)
    out += packer.flush()
    (tmp_path / "x.tar.gz").write_bytes(out)
    done = osgp.decode(tmp_path / "x.tar.gz")
    # 64 MB are no bomb yet, but the archive is cut short; what stands before is decoded.
    assert (done.code, done.codes) == (1, ["archive.damaged"])
    sound(done, "A")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_that_is_cut_short(osgp: Command, mode: Any, tmp_path: Path) -> None:
    path = tarred(tmp_path / "x.tar", [*sample("A"), ("B/BT64.bin", os.urandom(100_000))], mode)
    path.write_bytes(path.read_bytes()[:-40_000])
    done = osgp.decode(path)
    assert done.code == 1
    assert set(done.codes) == {"archive.damaged"}
    sound(done, "A")


def test_a_zip_that_is_cut_short(osgp: Command, tmp_path: Path) -> None:
    path = packed(tmp_path / "x.zip", sample("A"))
    path.write_bytes(path.read_bytes()[:-30])
    refused(osgp.decode(path), "x.zip", "cut short")


def test_a_zip_with_damaged_members(osgp: Command, tmp_path: Path) -> None:
    path = packed(tmp_path / "x.zip", [*sample("A"), ("B/BT64.bin", bytes(range(256)) * 20), ("C/BT64.bin", b"x" * 99)])
    data = bytearray(path.read_bytes())
    at = data.index(b"B/BT64.bin")
    data[at + 40] ^= 0xFF
    central = data.rindex(b"C/BT64.bin") - 46
    data[central + 16] ^= 0xFF  # the checksum
    path.write_bytes(data)
    done = osgp.decode(path)
    assert (done.code, done.codes) == (1, ["archive.damaged"] * 2)
    assert [r["meter"] for r in done.rejects] == ["B", "C"]
    sound(done, "A")


@pytest.mark.parametrize("pack", [packed, tarred])
def test_members_that_are_empty_too_large_or_something_else(osgp: Command, pack: Any, tmp_path: Path) -> None:
    members = [("B/BT64.bin", b""), ("C/BT64.bin", bytes(MAX_TABLE + 1)), ("C/photo.jpg", JPEG), ("C/x.txt", b"note")]
    done = osgp.decode(pack(tmp_path / "x", sample("A") + members))
    assert done.code == 1
    assert sorted(done.codes) == ["input.empty", "input.not_recognised", "input.too_large"]
    assert only(done, "input.too_large")["length"] == MAX_TABLE + 1
    assert bytes.fromhex(only(done, "input.not_recognised")["data"]) == JPEG[:64]
    sound(done, "A")


def test_links_in_a_tar_are_not_followed(osgp: Command, tmp_path: Path) -> None:
    path = tarred(tmp_path / "x.tar", sample("A"))
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("A/BT65.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        device = tarfile.TarInfo("A/BT66.bin")
        device.type = tarfile.CHRTYPE
        archive.addfile(device)
    done = osgp.decode(path)
    assert (done.code, done.codes) == (1, ["input.not_a_file"] * 2)
    sound(done, "A")


def test_long_names_in_a_tar(osgp: Command, tmp_path: Path) -> None:
    deep = "/".join(["a rather long name of a folder"] * 9)
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        name = deep if form != tarfile.USTAR_FORMAT else deep[:120]
        with tarfile.open(tmp_path / "x.tar", "w", format=form) as archive:
            for member, data in sample(f"{name}/Zähler"):
                info = tarfile.TarInfo(member)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        done = osgp.decode(tmp_path / "x.tar")
        assert done.code == 0, done.err
        sound(done, "Zähler")


def test_an_archive_without_folders_names_the_meter(osgp: Command, tmp_path: Path) -> None:
    members = [(name.rpartition("/")[2], data) for name, data in sample("A")]
    done = osgp.decode(tarred(tmp_path / "My meter.tar.gz", members, "w:gz"))
    assert done.code == 0
    sound(done, "My meter")


# --- table images


@compiled_or_pyarrow
def test_truncated_parquet(osgp: Command, tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1" + bytes(1000))
    refused(osgp.decode(tmp_path / "x.parquet"), "x.parquet", "cut short")
    done = osgp.decode(tmp_path / "x.parquet", make_dump(tmp_path / "dump", "A"), "--skip-unreadable")
    assert (done.code, done.codes) == (1, ["input.unreadable"])
    sound(done, "A")
    (tmp_path / "x.arrow").write_bytes(b"ARROW1\0\0" + bytes(1000))
    refused(osgp.decode(tmp_path / "x.arrow"), "x.arrow", "cut short")


@pytest.mark.skipif(not PYARROW, reason="needs pyarrow")
@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"meter": ["A"], "table": [64]}, "no column data"),
        ({"meter": ["A"], "table": ["64"], "data": [b""]}, "column table is of type"),
        ({"meter": [1], "table": [64], "data": [b""]}, "column meter is of type"),
        ({"meter": ["A"], "table": [64], "data": [b""], "read_at": ["now"]}, "column read_at is of type"),
    ],
)
def test_wrong_columns(osgp: Command, columns: Any, words: str, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    refused(osgp.decode(tmp_path / "x.parquet"), words)


@pytest.mark.skipif(not PYARROW, reason="needs pyarrow")
def test_rows_that_are_no_table_images(osgp: Command, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    good = [{"meter": "A", "table": 61 if "61" in n else 63 if "63" in n else 64, "offset": 0, "data": d}
            for n, d in sample("A") if n[2:] in ("BT61.bin", "BT63.bin", "BT64.bin")]  # fmt: skip
    bad: list[dict[str, Any]] = [
        {"meter": None, "table": 1, "offset": 0, "data": b"a"},
        {"meter": "A", "table": None, "offset": 0, "data": b"b"},
        {"meter": "A", "table": 1 << 40, "offset": 0, "data": b"c"},
        {"meter": "A", "table": 64, "offset": 0, "data": None},
        {"meter": "A", "table": 64, "offset": -1, "data": b"d"},
        {"meter": "A", "table": 64, "offset": (1 << 63) - 1, "data": b"overflow"},
    ]
    schema = pa.schema({"meter": pa.string(), "table": pa.int64(), "offset": pa.int64(), "data": pa.binary()})
    pq.write_table(pa.Table.from_pylist(good + bad, schema), tmp_path / "x.parquet")
    done = osgp.decode(tmp_path / "x.parquet", "--what", "load_profile")
    assert done.code == 1
    assert sorted(done.codes) == [
        "image.data",
        "image.meter",
        "image.offset",
        "image.offset",
        "image.table",
        "image.table",
    ]
    sound(done, "A")


@pytest.mark.skipif(not PYARROW, reason="needs pyarrow")
def test_overlapping_partials_that_disagree(osgp: Command, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = {n[2:-4]: d for n, d in sample("A")}
    data = files["BT64"]
    part = bytearray(data[4000:9000])
    part[5] ^= 0xFF
    rows = [
        {"meter": "A", "table": 61, "offset": 0, "data": files["BT61"], "whole": True},
        {"meter": "A", "table": 63, "offset": 0, "data": files["BT63"], "whole": True},
        {"meter": "A", "table": 64, "offset": 0, "data": data[:5000], "whole": False},
        {"meter": "A", "table": 64, "offset": 4000, "data": bytes(part), "whole": False},
        {"meter": "A", "table": 64, "offset": 9000, "data": data[9000:], "whole": False},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    done = osgp.decode(tmp_path / "x.parquet", "--what", "load_profile")
    assert (done.code, done.codes) == (1, ["image.overlap"])
    assert only(done, "image.overlap")["item"] == "bytes 4000..5000"
    sound(done, "A")


# --- termineter


def test_lines_that_are_no_tables(osgp: Command, tmp_path: Path) -> None:
    good = "".join(
        f"{n},x,{len(d)},{d.hex()}\n"
        for n, d in ((int(n[4:-4]), d) for n, d in sample("A") if n.startswith("A/BT") and len(n) == 10)
    )
    bad = "64,x,3,aabb\n64,x,2,aabg\n64,x,2,aab\nsome words\n\n64,x,0,\n"
    (tmp_path / "A.csv").write_text(good + bad)
    done = osgp.decode(tmp_path / "A.csv", "--what", "load_profile")
    assert done.code == 1
    assert done.codes == ["termineter.length", "termineter.hex", "termineter.hex", "termineter.line", "input.empty"]
    assert done.rejects[0]["offset"] == len(good)
    assert bytes.fromhex(done.rejects[3]["data"]) == b"some words"
    sound(done, "A")


# --- the reader's own limits


def test_a_deep_directory(osgp: Command, tmp_path: Path) -> None:
    dump = make_dump(tmp_path / "d", "A")
    deep = dump
    for _ in range(140):
        deep = deep / "d"
    deep.mkdir(parents=True)
    shutil.copytree(SAMPLES / "dump" / "M00002001", deep / "B")
    done = osgp.decode(dump)
    assert (done.code, done.codes) == (1, ["input.unreadable"])
    assert "deep" in only(done, "input.unreadable")["reason"]
    sound(done, "A")


def test_both_implementations_tell_the_same(tmp_path: Path) -> None:
    if not COMPILED:
        pytest.skip("the compiled part is not built")
    dump = make_dump(tmp_path / "dump", "A", "B", "C", "D", "E")
    patch(dump / "B" / "BT61.bin", (11, b"\x00"))
    patch(dump / "C" / "BT64.bin", (1, b"\x0d"), (700, b"\xff" * 90))
    (dump / "D" / "BT63.bin").unlink()
    (dump / "D" / "BT74.bin").write_bytes(b"")
    (dump / "E" / "photo.jpg").write_bytes(JPEG)
    (dump / "E" / "BTX.bin").write_bytes(b"")
    (dump / "E" / "up").symlink_to("..", target_is_directory=True)
    (dump / "E" / "BT70.bin").unlink()
    (dump / "E" / "BT70.bin").symlink_to("gone")
    (dump / "B.notes.txt").write_text("B is bad")
    os.mkfifo(dump / "pipe")
    bad = [
        ("../BT64.bin", b"1"),
        ("A/BT64.bin", b"old"),
        *sample("A"),
        ("F/BT64.bin", b""),
        ("F/BT61.bin", bytes(MAX_TABLE + 1)),
        ("F/photo.jpg", JPEG),
        ("BT61.bin", b"short"),
    ]
    tarred(tmp_path / "one.tar", bad)
    tarred(tmp_path / "two.tar.gz", [*bad, ("G/BT64.bin", os.urandom(50_000))], "w:gz")
    (tmp_path / "two.tar.gz").write_bytes((tmp_path / "two.tar.gz").read_bytes()[:-9000])
    packed(tmp_path / "three.zip", bad)
    (tmp_path / "four.csv").write_text("64,x,3,aabb\n64,x,2,aabg\nsome words\n\n64,x,0,\n63,a,b,2,aabb\n")
    (tmp_path / "photo.jpg").write_bytes(JPEG)
    (tmp_path / "empty").write_bytes(b"")
    shutil.copy(SAMPLES / "dump" / "M00002001" / "BT64.bin", tmp_path / "BT64.bin")
    log = bytearray((SAMPLES / "session.bin").read_bytes())
    for at in range(2000, 9000, 500):
        log[at] ^= 0x55
    (tmp_path / "damaged.bin").write_bytes(log)
    inputs = ["dump", "one.tar", "two.tar.gz", "three.zip", "four.csv", "photo.jpg", "empty", "BT64.bin", "damaged.bin"]
    told = []
    for implementation in ("rust", "python"):
        done = Command(implementation, tmp_path).decode(*inputs, "gone", "--skip-unreadable")
        assert done.code == 1, done.err
        told.append({p.name: p.read_bytes() for p in done.directory.iterdir()})
        shutil.rmtree(done.directory)
    assert told[0]["rejects.jsonl"].splitlines() == told[1]["rejects.jsonl"].splitlines()
    assert told[0] == told[1]
