#!/usr/bin/env python3
"""Damage the samples in many ways and decode what comes out: rows or rejects, and nothing else.

usage: mutate.py [--count N] [--seed S] [--twins] [--jobs N] [--case K]

Asserted of every batch of mutants: the command ends with 0, 1 or 2 (2 only where no input could be opened), within its
time and in less than 400 MB; the sound meter among the mutants gives exactly the rows that it gives alone. With --twins
both implementations decode every batch and must write the same bytes.

A case is made of its number and the seed alone: `--case K` makes one again and keeps it in build/mutations/.
Not collected by pytest: `make test` runs 20,000 of them, `make soak` a million.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import json
import os
import random
import resource
import select
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests")]
import c1218_packets  # noqa: E402
import made  # noqa: E402
import mep_port  # noqa: E402

SAMPLES = ROOT / "tests" / "samples"
KEPT = ROOT / "build" / "mutations"
MEMORY_MB = 400
BATCH = 200
BATCH_SECONDS = 60  # of a batch; a single case has to do with a tenth of it
SOUND = "SOUND"
SHOWN = 5  # cases of a bad batch that are named

Meter = dict[str, bytes]

INTERESTING = [0, 1, 2, 3, 15, 16, 60, 61, 83, 84, 85, 0x7F, 0x80, 0xEE, 0xFE, 0xFF]
WIDE = [0, 1, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
# Where a wrong byte leads furthest: dimensions, states and the headers of logs.
STEERING = [
    "BT00",
    "BT03",
    "BT21",
    "BT22",
    "BT26",
    "BT27",
    "BT61",
    "BT62",
    "BT63",
    "BT71",
    "BT74",
    "ET11",
    "ET14",
    "ET16",
    "ET21",
    "ET36",
    "ET42",
]
STEERING += ["ET45", "ET54", "ET55", "ET66", "ET74", "ET79"]


# --- damage to bytes


def flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 1, 1, 2, 5, 20])):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def poke(data: bytearray, rng: random.Random) -> None:
    """An interesting number somewhere, often near the start."""
    if not data:
        return
    at = rng.randrange(min(len(data), 24)) if rng.random() < 0.6 else rng.randrange(len(data))
    size = rng.choice([1, 1, 2, 4])
    value = rng.choice(INTERESTING) if size == 1 else rng.choice(WIDE) & ((1 << 8 * size) - 1)
    data[at : at + size] = value.to_bytes(size, "little")[: len(data) - at]


def truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data) + 1) :]


def extend(data: bytearray, rng: random.Random) -> None:
    data += rng.choice([bytes(rng.randrange(40)), b"\xff" * rng.randrange(40), rng.randbytes(rng.randrange(2000))])


def cut(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data) + 1)
    del data[at : at + rng.choice([1, 2, 7, 100])]


def repeat(data: bytearray, rng: random.Random) -> None:
    at, size = rng.randrange(len(data) + 1), rng.choice([1, 2, 13, 500])
    data[at:at] = data[at : at + size]


def blank(data: bytearray, rng: random.Random) -> None:
    data[:] = rng.choice([b"", bytes(len(data)), b"\xff" * len(data), rng.randbytes(len(data))])


def insert(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.choice([1, 3, 50]))


BYTES: list[Callable[[bytearray, random.Random], None]] = [
    flip,
    poke,
    poke,
    truncate,
    extend,
    cut,
    repeat,
    blank,
    insert,
]


# --- damage to meters


def damaged_meter(tables: Meter, rng: random.Random) -> dict[str, bytes]:
    """The files of a mutant below its directory; names may hold a directory, for a second read."""
    files = {f"{name}.bin": data for name, data in tables.items()}
    for _ in range(rng.choice([1, 1, 2, 3, 5])):
        names = sorted(files)
        if not names:
            break
        steering = [n for n in names if n[:4] in STEERING]
        name = rng.choice(steering if steering and rng.random() < 0.6 else names)
        what = rng.random()
        if what < 0.72:
            data = bytearray(files[name])
            rng.choice(BYTES)(data, rng)
            files[name] = bytes(data)
        elif what < 0.82:
            del files[name]
        elif what < 0.88:
            files[rng.choice(names)] = files[name]
        elif what < 0.92:
            files[rng.choice(["BT64.bin", "BT65.bin", "BT67.bin", "ET79.bin", "ET21.bin", "BT2047.bin"])] = files[name]
        elif what < 0.95:
            files[name.replace(".bin", ".pending.bin")] = files.pop(name)
        else:
            # Read once more, with damage.
            data = bytearray(files[name])
            rng.choice(BYTES)(data, rng)
            files[f"again/{name}"] = bytes(data)
    return files


# --- damage to captures


def damaged_capture(stream: bytes, rng: random.Random) -> bytes:
    """A capture with damage on the line, or with packets that are wrong inside a CRC that is right."""
    data = bytearray(stream)
    for _ in range(rng.choice([1, 1, 2, 4])):
        if rng.random() < 0.5:
            rng.choice(BYTES)(data, rng)
            continue
        places = list(c1218_packets.find(bytes(data)))
        if not places:
            continue
        start, end = rng.choice(places)
        body = bytearray(data[start : end - 2])
        what = rng.random()
        if what < 0.6:
            at = rng.randrange(1, len(body))
            body[at] = rng.choice([*INTERESTING, rng.randrange(256)])
            data[start:end] = c1218_packets.sealed(bytes(body))
        elif what < 0.8:
            del data[start:end]
        else:
            at = rng.choice(places)[0]
            data[at:at] = c1218_packets.sealed(bytes(body))
    return bytes(data)


def damaged_mep(line: list[tuple[str, bytes]], rng: random.Random) -> tuple[str, bytes]:
    """A capture of the MEP port, raw or as a log, with messages damaged, lost, doubled or out of place."""
    port = mep_port.Port()
    port.line = list(line)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(port.line))
        side, data = port.line[at]
        what = rng.random()
        if what < 0.15 and len(port.line) > 1:
            del port.line[at]
        elif what < 0.35:
            port.line.insert(rng.randrange(len(port.line) + 1), (side, data))
        else:
            hurt = bytearray(data)
            rng.choice(BYTES)(hurt, rng)
            port.line[at] = (side, bytes(hurt))
    if rng.random() < 0.5:
        return "mep.bin", port.bytes
    return "mep.log", port.log(rng.choice([8, 117, 1000]))


def damaged_log(text: bytes, rng: random.Random) -> bytes:
    """A text log with lines lost, doubled, swapped, cut or damaged."""
    lines = text.split(b"\n")
    for _ in range(rng.choice([1, 1, 3, 10])):
        at = rng.randrange(len(lines))
        what = rng.random()
        if what < 0.25:
            del lines[at : at + rng.choice([1, 1, 2, 20])]
        elif what < 0.45:
            lines.insert(rng.randrange(len(lines) + 1), lines[at])
        elif what < 0.6:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        else:
            line = bytearray(lines[at])
            rng.choice([flip, truncate, cut, insert, repeat])(line, rng)
            lines[at] = bytes(line)
        lines = lines or [b""]
    return b"\n".join(lines)


# --- cases and batches


def load_meters() -> list[tuple[str, Meter]]:
    """The meters of the samples, and a made-up one with M-Bus devices."""
    meters = []
    for folder in sorted(p for top in ("dump", "edges") for p in (SAMPLES / top).iterdir() if p.is_dir()):
        meters.append((folder.name, {p.stem: p.read_bytes() for p in sorted(folder.glob("*.bin"))}))
    names = {number: f"BT{number:02}" if number < 2048 else f"ET{number - 2048:02}" for number in made.mbus_meter()}
    meters.append(("mbus", {names[number]: data for number, data in made.mbus_meter().items()}))
    return meters


class Maker:
    """Makes cases out of their numbers."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.meters = load_meters()
        self.capture = (SAMPLES / "session.bin").read_bytes()
        self.mep = [mep_port.everything().line, mep_port.guide(encrypt=True).line]
        self.log = (SAMPLES / "session.log").read_bytes()

    def rng(self, what: str, number: int) -> random.Random:
        return random.Random(f"{self.seed} {what} {number}")

    def meter(self, case: int) -> dict[str, bytes]:
        rng = self.rng("meter", case)
        return damaged_meter(rng.choice(self.meters)[1], rng)

    def whole_file(self, case: int) -> tuple[str, bytes]:
        """A capture, a log or a damaged archive."""
        rng = self.rng("file", case)
        if rng.random() < 0.25:
            return damaged_mep(rng.choice(self.mep), rng)
        what = rng.random()
        if what < 0.45:
            return "capture.bin", damaged_capture(self.capture, rng)
        if what < 0.7:
            return "session.log", damaged_log(self.log, rng)
        name, tables = rng.choice(self.meters)
        files = {f"{name}/{table}.bin": data for table, data in tables.items()}
        kind, pack = rng.choice([("zip", pack_zip), ("tar", pack_tar), ("tar.gz", pack_targz)])
        data = bytearray(pack(files))
        rng.choice(BYTES)(data, rng)
        return f"dump.{kind}", bytes(data)


def pack_zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()


def pack_tar(files: dict[str, bytes], mode: str = "w") -> bytes:
    out = io.BytesIO()
    options: dict[str, Any] = {"compresslevel": 1} if mode == "w:gz" else {}
    with tarfile.open(fileobj=out, mode=mode, **options) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def pack_targz(files: dict[str, bytes]) -> bytes:
    return pack_tar(files, "w:gz")


def is_file_batch(batch: int) -> bool:
    """One batch in ten is of captures and archives, each an input of its own."""
    return batch % 10 == 7


def lay_out(maker: Maker, batch: int, cases: range, where: Path) -> list[str]:
    """Write a batch; returns the inputs. The sound meter goes with every one."""
    sound = {f"{SOUND}/{name}.bin": data for name, data in maker.meters[0][1].items()}
    where.mkdir(parents=True)
    if is_file_batch(batch):
        inputs = []
        for case in cases:
            name, data = maker.whole_file(case)
            path = where / f"{case:08d}-{name}"
            path.write_bytes(data)
            inputs.append(str(path))
        path = where / "sound.zip"
        path.write_bytes(pack_zip(sound))
        return [*inputs, str(path)]
    files = dict(sound)
    for case in cases:
        for name, data in maker.meter(case).items():
            folder, _, file = name.rpartition("/")
            files[f"{folder + '/' if folder else ''}{case:08d}/{file}"] = data
    kind = maker.rng("container", batch).choice(["zip", "zip", "zip", "tar", "tar.gz", "directory"])
    path = where / f"dump.{kind}"
    if kind == "directory":
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    else:
        path.write_bytes({"zip": pack_zip, "tar": pack_tar, "tar.gz": pack_targz}[kind](files))
    return [str(path)]


# --- the worker: decodes one batch after another in one process


def decode(inputs: list[str], out: Path, form: str) -> int:
    """`osgp-fast decode` in this process; returns its exit code."""
    from osgp_fast.cli import main

    keys = ["--key", mep_port.MAK.hex(), "--key", mep_port.GUIDE.hex()]
    arguments = ["decode", *inputs, *keys, "-o", f"{out}/", "--format", form, "--skip-unreadable", "--quiet"]
    old = sys.argv
    sys.argv = ["osgp-fast", *arguments]
    try:
        # The command as it is installed: it ends with SystemExit.
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 3
    finally:
        sys.argv = old
    return 0


def sound_rows(out: Path, form: str) -> dict[str, str]:
    """What the sound meter gave, a digest per kind."""
    digests = {}
    for path in sorted(out.glob(f"*.{form}")):
        if path.name.startswith("rejects"):
            continue
        if form in ("jsonl", "csv"):
            lines = [line for line in path.read_bytes().split(b"\n") if SOUND.encode() in line]
            digests[path.stem] = hashlib.sha256(b"\n".join(lines)).hexdigest()
        else:
            digests[path.stem] = hashlib.sha256(repr(arrow_rows(path, form)).encode()).hexdigest()
    return digests


def arrow_rows(path: Path, form: str) -> object:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if form == "parquet":
        table = pq.read_table(path)
    else:
        with pa.memory_map(str(path)) as file:
            table = pa.ipc.open_file(file).read_all()
    return table.filter(pc.equal(pc.cast(table["meter"], pa.string()), SOUND)).to_pylist()


def worker(seed: int, base: Path) -> None:
    """Decode one batch after another. Nothing is checked here: the memory of the checks is not what is measured."""
    maker = Maker(seed)
    os.chdir(base)  # rejects name their files as they were given, and the twins are to name the same
    for line in sys.stdin:
        task = json.loads(line)
        where, out = Path("in"), Path("out")
        for folder in (where, out):
            shutil.rmtree(folder, ignore_errors=True)
        inputs = lay_out(maker, task["batch"], range(*task["cases"]), where)
        start = time.perf_counter()
        code = decode(inputs, out, task["form"])
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps({"code": code, "seconds": seconds, "peak": peak}), flush=True, file=sys.__stdout__)


@dataclass
class Answer:
    """What a worker did with a batch."""

    problem: str
    seconds: float
    peak: int = 0
    written: dict[str, str] = field(default_factory=dict)


class Child:
    """A worker process."""

    def __init__(self, seed: int, **env: str) -> None:
        self.seed, self.env = seed, env
        self.sound: dict[str, dict[str, str]] = {}
        self.base = Path(tempfile.mkdtemp(prefix="osgp-mutate-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), "--seed", str(self.seed), "--worker", str(self.base)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.env},
        )

    def send(self, batch: int, cases: range, form: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"batch": batch, "cases": [cases.start, cases.stop], "form": form}) + "\n")
        self.process.stdin.flush()

    def receive(self, seconds: float) -> dict[str, Any] | str:
        """What it says, or what is wrong with it."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        line = self.process.stdout.readline() if ready else ""
        if line:
            return dict(json.loads(line))
        self.stop()
        self.start()
        return "the process died" if ready else f"no answer within {seconds:g} s"

    def expected(self, form: str) -> dict[str, str]:
        """What the sound meter gives alone."""
        if form not in self.sound:
            self.send(0, range(0), form)
            if not isinstance(self.receive(BATCH_SECONDS), dict):
                raise SystemExit("the sound sample alone is not decoded")
            self.sound[form] = sound_rows(self.base / "out", form)
        return self.sound[form]

    def answer(self, form: str, seconds: float, digest: bool) -> Answer:
        """Wait for the end of a batch and check what was written."""
        found = self.receive(seconds)
        if isinstance(found, str):
            return Answer(found, seconds)
        out = self.base / "out"
        answer = Answer("", found["seconds"], found["peak"])
        if found["code"] not in (0, 1):
            answer.problem = f"exit code {found['code']}"
        elif sound_rows(out, form) != self.sound[form]:
            answer.problem = "the sound meter's rows have changed"
        elif answer.peak > MEMORY_MB:
            answer.problem = f"{answer.peak} MB of memory"
        if digest:
            answer.written = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(out.glob("*"))}
        return answer

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.base, ignore_errors=True)


def batches(count: int) -> Iterator[tuple[int, range]]:
    """Batches of cases; captures are bigger work than meters, so fewer of them go together."""
    start = batch = 0
    while start < count:
        stop = min(count, start + (BATCH // 4 if is_file_batch(batch) else BATCH))
        yield batch, range(start, stop)
        start, batch = stop, batch + 1


def form_of(batch: int, twins: bool) -> str:
    if twins:
        return "jsonl"
    return {3: "parquet", 13: "jsonl", 23: "csv"}.get(batch % 30, "arrow")


def keep(maker: Maker, batch: int, case: int) -> Path:
    """Write a case for a person to look at."""
    path = KEPT / f"{maker.seed}-{case}"
    shutil.rmtree(path, ignore_errors=True)
    lay_out(maker, batch, range(case, case + 1), path)
    return path


def single_out(seed: int, batch: int, cases: range, form: str, twins: bool) -> Iterator[str]:
    """The cases of a bad batch by themselves."""
    maker = Maker(seed)
    children = make_children(seed, twins)
    try:
        for case in cases:
            for child in children:
                child.expected(form)
                child.send(batch, range(case, case + 1), form)
            if problem := verdict([child.answer(form, BATCH_SECONDS / 10, twins) for child in children]):
                yield f"case {case}: {problem}; kept in {keep(maker, batch, case).relative_to(ROOT)}"
    finally:
        for child in children:
            child.close()


def verdict(answers: list[Answer]) -> str:
    """The first problem, or where the implementations differ; empty if all is well."""
    for answer in answers:
        if answer.problem:
            return answer.problem
    first = answers[0].written
    for answer in answers[1:]:
        if answer.written != first:
            differ = sorted(k for k in {*first, *answer.written} if first.get(k) != answer.written.get(k))
            return f"the implementations differ in {', '.join(differ)}"
    return ""


def make_children(seed: int, twins: bool) -> list[Child]:
    one = os.environ.get("OSGP_FAST_IMPL") or "rust"
    return [Child(seed, OSGP_FAST_IMPL=name) for name in (("rust", "python") if twins else (one,))]


def run(count: int, seed: int, twins: bool, jobs: int) -> int:
    started = time.perf_counter()
    teams = [make_children(seed, twins) for _ in range(1 if twins else jobs)]
    bad: list[tuple[int, range, str, str]] = []
    peak, slowest = 0, 0.0
    todo = list(batches(count))
    try:
        for n in range(0, len(todo), len(teams)):
            round_ = list(zip(teams, todo[n : n + len(teams)], strict=False))
            for team, (batch, cases) in round_:
                for child in team:
                    child.expected(form_of(batch, twins))
                    child.send(batch, cases, form_of(batch, twins))
            for team, (batch, cases) in round_:
                form = form_of(batch, twins)
                answers = [child.answer(form, BATCH_SECONDS * (10 if twins else 1), twins) for child in team]
                peak = max(peak, *(a.peak for a in answers))
                slowest = max(slowest, *(a.seconds for a in answers))
                if problem := verdict(answers):
                    bad.append((batch, cases, form, problem))
            if sys.stderr.isatty():
                done = todo[min(n + len(teams), len(todo)) - 1][1].stop
                print(f"\r{done:,} of {count:,}", end="", file=sys.stderr)
            if len(bad) > 5:
                break
    finally:
        for team in teams:
            for child in team:
                child.close()
    for batch, cases, form, problem in bad:
        print(f"batch {batch} (cases {cases.start}..{cases.stop - 1}): {problem}")
        for line in itertools.islice(single_out(seed, batch, cases, form, twins), SHOWN):
            print("  " + line)
    seconds = time.perf_counter() - started
    which = "both implementations, equal results" if twins else os.environ.get("OSGP_FAST_IMPL") or "rust"
    verb = f"{len(bad)} BAD BATCHES" if bad else "rows or rejects only"
    print(f"{count:,} mutations ({which}), seed {seed}: {verb}")
    print(f"{seconds:.0f} s, peak {peak} MB, slowest batch {slowest:.1f} s")
    return 1 if bad else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--twins", action="store_true", help="decode with both implementations and compare")
    parser.add_argument("--case", type=int, help="make this case again and keep it in build/mutations/")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.seed, options.worker)
    elif options.case is not None:
        batch = next(b for b, cases in batches(options.case + 1) if options.case in cases)
        print(keep(Maker(options.seed), batch, options.case))
    else:
        sys.exit(run(options.count, options.seed, options.twins, options.jobs))


if __name__ == "__main__":
    main()
