"""The samples decode to their truth, from every kind of input, with either implementation."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from osgp_fast.columns import KINDS

from .conftest import COMPILED, SAMPLES, Command, Done, compiled_or_pyarrow, truth

COLUMNS = ("data_set", "block", "interval", "interval_end", "channel", "source", "value", "status", "flags")


def seconds(text: str | None) -> int | None:
    return None if text is None else int(dt.datetime.fromisoformat(text).timestamp())


def compare(done: Done, name: str, meters: int | None = None) -> None:
    """What was written is the truth."""
    wanted = truth(name)[:meters]
    assert done.rejects == []
    profile: dict[str, list[tuple[Any, ...]]] = {}
    for row in done.rows("load_profile"):
        row["interval_end"] = seconds(row["interval_end"])
        profile.setdefault(row["meter"], []).append(tuple(row[c] for c in COLUMNS))
    events: dict[str, list[tuple[Any, ...]]] = {}
    for row in done.rows("events"):
        events.setdefault(row["meter"], []).append(
            (row["sequence"], seconds(row["time"]), row["user_id"], row["event_code"], row["argument"])
        )
    found = {row["meter"]: row for row in done.rows("meters")}
    for m in wanted:
        label, opened = m["meter"], m.get("open", [])
        want = [(p[0], p[7], p[8], p[1], p[2], p[3], p[4], p[5], p[6]) for p in m["profile"]]
        got = profile.pop(label, [])
        skipped = [COLUMNS.index(c) for c in opened if c in COLUMNS]
        assert without(got, skipped) == without(want, skipped), label
        assert events.pop(label, []) == [tuple(e[:5]) for e in m["events"]], label
        for key in ("utility_serial", "manufacturer", "model", "manufacturer_serial", "firmware"):
            assert found[label][key] == m[key], (label, key)
    assert not profile
    assert not events
    assert [row["meter"] for row in done.rows("meters")] == sorted(m["meter"] for m in wanted)


def without(rows: list[tuple[Any, ...]], columns: list[int]) -> list[tuple[Any, ...]]:
    return [tuple(v for i, v in enumerate(row) if i not in columns) for row in rows]


def pack_zip(source: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        # In the wrong order, and in one more folder than needed.
        for file in sorted(source.rglob("*.bin"), reverse=True):
            archive.write(file, Path("some", "where") / file.relative_to(source))
    return path


def pack_tar(source: Path, path: Path, mode: Any) -> Path:
    with tarfile.open(path, mode) as archive:
        for file in sorted(source.rglob("*.bin"), reverse=True):
            archive.add(file, file.relative_to(source).as_posix())
    return path


@pytest.mark.parametrize("name", ["dump", "edges"])
def test_a_directory(osgp: Command, name: str) -> None:
    done = osgp.decode(SAMPLES / name)
    assert (done.code, done.out) == (0, "")
    compare(done, name)


@pytest.mark.parametrize("name", ["dump", "edges"])
def test_a_zip(osgp: Command, name: str, tmp_path: Path) -> None:
    done = osgp.decode(pack_zip(SAMPLES / name, tmp_path / "data.bin"))
    assert done.code == 0, done.err
    compare(done, name)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar(osgp: Command, mode: str, tmp_path: Path) -> None:
    done = osgp.decode(pack_tar(SAMPLES / "edges", tmp_path / "edges.tar", mode))
    assert done.code == 0, done.err
    compare(done, "edges")


@pytest.mark.skipif(not COMPILED, reason="needs the compiled part, or Python 3.14")
def test_a_tar_zst(osgp: Command, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pack_tar(SAMPLES / "edges", tmp_path / "edges.tar", "w")
    with pa.CompressedOutputStream(str(tmp_path / "edges.tar.zst"), "zstd") as file:
        file.write((tmp_path / "edges.tar").read_bytes())
    done = osgp.decode(tmp_path / "edges.tar.zst")
    assert done.code == 0, done.err
    compare(done, "edges")


def test_single_files_are_tables_of_the_meter_that_their_folder_names(osgp: Command) -> None:
    done = osgp.decode(*sorted((SAMPLES / "dump" / "M00002001").iterdir()))
    assert done.code == 0, done.err
    compare(done, "dump", 1)


def images(name: str, **types: str) -> Any:
    """A sample as a pyarrow table of table images."""
    pa = pytest.importorskip("pyarrow")
    from osgp_fast.image import parse_table_name

    rows = [
        {"meter": f.parent.name, "table": parse_table_name(f.stem), "data": f.read_bytes(), "other": 1}
        for f in sorted((SAMPLES / name).rglob("*.bin"))
    ]
    table = pa.Table.from_pylist(rows)
    for column, type in types.items():
        field = pa.field(column, eval(f"pa.{type}", {"pa": pa}))
        table = table.set_column(table.schema.names.index(column), field, table[column].cast(field.type))
    whole = pa.array([True] * len(rows))
    return table.append_column("whole", whole)


@pytest.mark.parametrize(
    "types",
    [
        {},
        {"table": "uint16()", "data": "large_binary()", "meter": "large_string()"},
        {"table": "int64()", "meter": "dictionary(pa.int8(), pa.string())"},
        {"table": "int16()", "meter": "binary()", "data": "binary_view()"},
    ],
)
def test_parquet_and_ipc_of_table_images(osgp: Command, types: dict[str, str], tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    table = images("edges", **types)
    if "binary_view()" not in types.values():
        pq.write_table(table, tmp_path / "a", row_group_size=7)
        done = osgp.decode(tmp_path / "a")
        assert done.code == 0, done.err
        compare(done, "edges")
    with pa.OSFile(str(tmp_path / "b"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=5)
    with pa.OSFile(str(tmp_path / "c"), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=5)
    for file_name in ("b", "c"):
        done = osgp.decode(tmp_path / file_name)
        assert done.code == 0, done.err
        compare(done, "edges")


def test_scattered_rows_of_several_files_come_meter_by_meter(osgp: Command, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    table = images("dump")
    order = sorted(range(table.num_rows), key=lambda i: (str(table["table"][i]), i))
    table = table.take(order)
    pq.write_table(table.slice(0, 50), tmp_path / "a.parquet")
    pq.write_table(table.slice(50), tmp_path / "b.parquet")
    done = osgp.decode(tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert done.code == 0, done.err
    compare(done, "dump")


@pytest.mark.parametrize("name", ["session.log", "session.bin"])
def test_a_capture_gives_the_first_meter(osgp: Command, name: str) -> None:
    pytest.importorskip("osgp_fast.scan")
    done = osgp.decode(SAMPLES / name)
    assert done.code == 0, done.err
    want = truth("dump")[0]
    profile = done.rows("load_profile")
    got = [tuple(seconds(r[c]) if c == "interval_end" else r[c] for c in COLUMNS) for r in profile]
    assert got == [(p[0], p[7], p[8], p[1], p[2], p[3], p[4], p[5], p[6]) for p in want["profile"]]
    events = [
        (r["sequence"], seconds(r["time"]), r["user_id"], r["event_code"], r["argument"]) for r in done.rows("events")
    ]
    assert events == [tuple(e[:5]) for e in want["events"]]
    # The label of a capture's meter is its utility serial.
    assert {r["meter"] for r in profile} == {want["utility_serial"]}
    assert [r["utility_serial"] for r in done.rows("meters")] == [want["utility_serial"]]
    if name == "session.log":
        assert profile[0]["read_at"].startswith("2024-03-14T10:")


def test_termineter(osgp: Command, tmp_path: Path) -> None:
    from osgp_fast.image import parse_table_name

    lines = []
    for file in sorted((SAMPLES / "dump" / "M00002001").iterdir()):
        data = file.read_bytes()
        lines.append(f"{parse_table_name(file.stem)},Some, Table,{len(data)},{data.hex()}\r\n")
    path = tmp_path / "M00002001.csv"
    path.write_text("".join(lines), newline="")
    done = osgp.decode(path)
    assert done.code == 0, done.err
    compare(done, "dump", 1)


@pytest.mark.parametrize("name", ["dump", "edges"])
def test_parquet_by_the_given_check(osgp: Command, name: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    done = osgp("decode", SAMPLES / name, "-o", f"{tmp_path}/out/")
    assert done.code == 0, done.err
    check = [sys.executable, SAMPLES / "check_decode.py", tmp_path / "out", SAMPLES / f"{name}.truth.json"]
    checked = subprocess.run(
        [*check, "load_profile", "events", "meters", "rejects"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("options", [[], ["--delta"], ["--shape", "wide"]], ids=["long", "delta", "wide"])
@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_both_implementations_write_the_same_bytes(format: str, options: list[str], tmp_path: Path) -> None:
    if not COMPILED:
        pytest.skip("the compiled part is not built")
    written = []
    for implementation in ("rust", "python"):
        osgp = Command(implementation, tmp_path)
        out = tmp_path / implementation
        done = osgp("decode", SAMPLES / "dump", SAMPLES / "edges", "-o", f"{out}/", "--format", format, *options)
        assert done.code == 0, done.err
        written.append({p.name: p.read_bytes() for p in out.iterdir()})
    assert sorted(written[0]) == sorted(f"{kind}.{format}" for kind in (*KINDS, "rejects"))
    for file in written[0]:
        assert written[0][file] == written[1][file], file


@compiled_or_pyarrow
def test_arrow_files_are_the_same_table(osgp: Command, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    for name in ("a.parquet", "a.arrow"):
        assert osgp("decode", SAMPLES / "dump", "-o", tmp_path / name).code == 0
    parquet = pq.read_table(tmp_path / "a.parquet")
    with pa.memory_map(str(tmp_path / "a.arrow")) as file:
        assert pa.ipc.open_file(file).read_all().equals(parquet)
    assert not any(pa.types.is_dictionary(t) for t in parquet.schema.types)
    metadata = pq.ParquetFile(tmp_path / "a.parquet").metadata
    assert metadata.row_group(0).column(0).compression == "ZSTD"
    assert (tmp_path / "a.rejects.parquet").exists()
