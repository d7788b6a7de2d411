#!/usr/bin/env python3
"""Ratios measured side by side in one run, and what they were measured with.

usage: bench.py [--rounds N] [--big-gb N] [--readme] [--only CASE,...]

Every case names the work, checks its answer against the corpus, and reports the median of the rounds; the contenders of
a case take turns, so that a slow minute of the machine meets all of them. Results go to
benches/record/MACHINE/DATE.csv; `--readme` writes the table into README.md.
Cases: profile, registers, packets, mep, jobs, memory, import.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import corpora
from corpora import OUT, PROFILE, ROOT, SMALL, Profile

RECORD = Path(__file__).resolve().parent / "record"
README = ROOT / "README.md"
CASES = ("profile", "registers", "packets", "mep", "jobs", "memory", "import")
WORKER = Path(__file__).resolve().parent / "worker.py"


@dataclass
class Result:
    """One contender of one case."""

    case: str
    contender: str
    rows: int
    bytes_in: int
    bytes_out: int
    seconds: float
    rounds: int
    peak_mb: float = 0.0
    note: str = ""

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds if self.seconds else 0.0


class Worker:
    """A contender in a process of its own, which loads its corpus once and then runs a round whenever it is told to."""

    def __init__(self, case: str, name: str, *args: str, **env: str) -> None:
        self.case, self.name = case, name
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), name, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **env},
        )
        self.rounds: list[dict[str, float]] = []

    def round(self) -> None:
        """Run once."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name}: ended with {self.process.wait()}; its message stands above")
        self.rounds.append(json.loads(line))

    def close(self) -> Result:
        """The median of its rounds."""
        self.process.communicate()
        last = self.rounds[-1]
        return Result(
            self.case,
            self.name,
            int(last["rows"]),
            int(last["bytes_in"]),
            int(last["bytes_out"]),
            statistics.median(r["seconds"] for r in self.rounds),
            len(self.rounds),
            round(last["peak_mb"], 1),
        )


def take_turns(workers: list[Worker], rounds: int) -> dict[str, Result]:
    """All workers, round by round; the first round warms up and is not counted."""
    for n in range(rounds + 1):
        for worker in workers:
            worker.round()
            if n == 0:
                worker.rounds.clear()
        print(".", end="", flush=True)
    return {worker.name: worker.close() for worker in workers}


def check(result: Result, rows: int) -> None:
    """A wrong answer ends the run."""
    if result.rows != rows:
        raise SystemExit(f"{result.case}, {result.contender}: {result.rows} rows, want {rows}")


def profile(rounds: int) -> dict[str, Result]:
    """Load profiles to columns, long and wide, one thread."""
    corpora.arrow_file(PROFILE)
    corpora.arrow_file(SMALL)
    results: dict[str, Result] = {}
    for shape in ("wide", "long"):
        rows = PROFILE.rows_wide if shape == "wide" else PROFILE.rows_long
        workers = [Worker("profile", "package", shape, PROFILE.name), Worker("profile", "numpy", shape, PROFILE.name)]
        found = take_turns(workers, rounds)
        for result in found.values():
            check(result, rows)
        ours = found["package"]
        # Copying what it read and what it gave; the sizes are known only now, so it follows at once.
        found |= take_turns([Worker("profile", "copy", str(ours.bytes_in), str(ours.bytes_out))], rounds)
        slow = [Worker("profile", "twin", shape, SMALL.name, OSGP_FAST_IMPL="python")]
        if shape == "long":
            slow.append(Worker("profile", "construct", shape, SMALL.name))
        found |= take_turns(slow, max(1, rounds // 2))
        check(found["twin"], SMALL.rows_wide if shape == "wide" else SMALL.rows_long)
        results |= {f"{shape} {name}": result for name, result in found.items()}
    for key, result in results.items():
        result.case = f"profile {key.split()[0]}"
    return results


def registers(rounds: int) -> dict[str, Result]:
    """Images of BT23 to columns, one thread, against a copy of what was read and given and against the twin."""
    for corpus in (corpora.REGISTERS, corpora.FEW_REGISTERS):
        corpora.registers_file(corpus)
    found = take_turns([Worker("registers", "registers", corpora.REGISTERS.name)], rounds)
    ours = found["registers"]
    check(ours, corpora.REGISTERS.rows)
    found |= take_turns([Worker("registers", "copy", str(ours.bytes_in), str(ours.bytes_out))], rounds)
    twin = Worker("registers", "twin-registers", corpora.FEW_REGISTERS.name, OSGP_FAST_IMPL="python")
    found |= take_turns([twin], max(1, rounds // 2))
    check(found["twin-registers"], corpora.FEW_REGISTERS.rows)
    return {f"registers {name}" if name == "copy" else name: result for name, result in found.items()}


def packets(rounds: int) -> dict[str, Result]:
    """C12.18 packets out of a stream of bytes."""
    found = take_turns([Worker("packets", "package-packets")], rounds)
    return found | take_turns(
        [Worker("packets", "twin-packets", OSGP_FAST_IMPL="python"), Worker("packets", "termineter")], rounds
    )


def mep(rounds: int) -> dict[str, Result]:
    """Digest and RC4 alone, and a capture of the MEP port under RC4 to table images, one thread."""
    found = {}
    for which in ("digest", "rc4"):
        ours = Worker("mep", f"package-{which}", "50000")
        found |= take_turns([ours, Worker("mep", f"twin-{which}", "500", OSGP_FAST_IMPL="python")], rounds)
    found |= take_turns([Worker("mep", "package-mep", str(corpora.MEP_BYTES))], rounds)
    return found | take_turns([Worker("mep", "twin-mep", "500000", OSGP_FAST_IMPL="python")], max(1, rounds // 2))


def command(*args: str, out: Path) -> tuple[float, float]:
    """Seconds and peak memory (MB) of `osgp-fast decode` as users run it."""
    shutil.rmtree(out, ignore_errors=True)
    code = (
        "import resource, subprocess, sys\n"
        "code = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL).returncode\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)\n"
        "sys.exit(code)"
    )
    tool = str(Path(sys.executable).with_name("osgp-fast"))
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, tool, "decode", *args, "-o", f"{out}/", "--quiet"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"osgp-fast decode {' '.join(args)}: exit {done.returncode}")
    return seconds, float(done.stdout.split()[-1])


def parquet_rows(path: Path) -> int:
    """Rows of a Parquet file, from its footer."""
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def jobs(rounds: int) -> dict[str, Result]:
    """A dump directory to Parquet with one and two jobs."""
    dump, out = corpora.dump_dir(PROFILE), OUT / "jobs-out"
    runs: dict[int, list[float]] = {1: [], 2: []}
    peaks = {1: 0.0, 2: 0.0}
    for n in range(rounds + 1):
        for count, seconds in runs.items():
            took, peak = command(str(dump), "--what", "load_profile", "--jobs", str(count), out=out)
            peaks[count] = max(peaks[count], peak)
            if n:
                seconds.append(took)
        print(".", end="", flush=True)
    rows, size = parquet_rows(out / "load_profile.parquet"), sum(f.stat().st_size for f in out.iterdir())
    shutil.rmtree(out)
    results = {
        f"{count} jobs": Result(
            "dump to Parquet",
            f"{count} jobs",
            rows,
            dump_bytes(PROFILE),
            size,
            statistics.median(s),
            len(s),
            peaks[count],
        )
        for count, s in runs.items()
    }
    for result in results.values():
        check(result, PROFILE.rows_long)
    return results


def dump_bytes(corpus: Profile) -> int:
    """Bytes of all files of a dump."""
    sizes = [sum(map(len, tables.values())) for tables in corpora.distinct()]
    return sum(sizes[n % corpora.DISTINCT] for n in range(corpus.meters))


def memory(gigabytes: float) -> dict[str, Result]:
    """A big dump to Parquet once: the peak of memory."""
    big = Profile("big", int(gigabytes * (1 << 30)))
    dump, out = corpora.dump_dir(big, link=True), OUT / "big-out"
    try:
        seconds, peak = command(str(dump), "--what", "load_profile", out=out)
        rows, size = parquet_rows(out / "load_profile.parquet"), sum(f.stat().st_size for f in out.iterdir())
    finally:
        shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(dump, ignore_errors=True)
    result = Result("memory", f"{gigabytes:g} GB dump", rows, dump_bytes(big), size, seconds, 1, round(peak, 1))
    check(result, big.rows_long)
    return {"big": result}


def imports(rounds: int) -> dict[str, Result]:
    """`import osgp_fast` in a fresh interpreter, without the interpreter's own start."""
    code = "import time; t = time.perf_counter(); import osgp_fast; print(time.perf_counter() - t)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(max(10, rounds) + 1)
    ][1:]
    print(".", end="", flush=True)
    return {"import": Result("import", "import osgp_fast", 0, 0, 0, statistics.median(times), len(times))}


def ratio(faster: Result, slower: Result) -> str:
    """How many times the rate of the other."""
    value = faster.rate / slower.rate
    return f"{value:,.0f}×" if value >= 100 else f"{value:.1f}×" if value >= 1 else f"{value:.2f}×"


def table(results: dict[str, Result]) -> list[tuple[str, str, str, str, str]]:
    """The rows of the one table: work, against what, ratio, aim, what was measured."""
    out = []

    def speed(r: Result) -> str:
        unit = "packets" if "packets" in r.case else "rows"
        return f"{r.rate / 1e6:,.2f} M {unit}/s" if r.rate >= 1e5 else f"{r.rate:,.0f} {unit}/s"

    aims = {"wide numpy": "≥ 4×", "long numpy": "≥ 3×", "long twin": "≥ 40×", "long copy": "≥ 0.5×"}
    names = {
        "numpy": "NumPy, structured dtypes, same columns",
        "twin": "our pure-Python twin",
        "construct": "construct, compiled",
        "copy": "a copy of the bytes read and written",
    }
    for shape in ("wide", "long"):
        if f"{shape} package" not in results:
            continue
        ours = results[f"{shape} package"]
        for name, words in names.items():
            if f"{shape} {name}" in results:
                other = results[f"{shape} {name}"]
                if name == "copy":
                    other.rows = ours.rows
                what = f"{speed(ours)} against {speed(other)}"
                out.append((f"load profile, {shape}", words, ratio(ours, other), aims.get(f"{shape} {name}", ""), what))
    if "registers" in results:
        ours = results["registers"]
        results["registers copy"].rows = ours.rows
        for key, words, aim in [
            ("registers copy", names["copy"], "≥ 0.5×"),
            ("twin-registers", names["twin"], ""),
        ]:
            other = results[key]
            what = f"{speed(ours)} against {speed(other)}"
            out.append(("registers: BT23 images", words, ratio(ours, other), aim, what))
    if "package-packets" in results:
        ours = results["package-packets"]
        for name, words, aim in [
            ("termineter", "termineter's packet class", "≥ 1,000×"),
            ("twin-packets", "our pure-Python twin", ""),
        ]:
            other = results[name]
            out.append(("C12.18 packets", words, ratio(ours, other), aim, f"{speed(ours)} against {speed(other)}"))
    for which, words in (("digest", "OSGP digest"), ("rc4", "RC4")):
        if f"package-{which}" in results:
            ours, other = results[f"package-{which}"], results[f"twin-{which}"]
            what = f"{1e6 / ours.rate:.1f} µs against {1e6 / other.rate:,.0f} µs, called from Python"
            work = f"{words} of {corpora.MESSAGE} bytes"
            out.append((work, "our pure-Python twin", ratio(ours, other), "≥ 100×", what))
    if "package-mep" in results:
        ours, other = results["package-mep"], results["twin-mep"]
        what = f"{ours.bytes_in / 1e6:,.0f} MB in {ours.seconds:.2f} s; {ours.rate / 1e6:,.2f} M reads/s against {other.rate:,.0f}"
        out.append(("MEP capture under RC4", "our pure-Python twin", ratio(ours, other), "≥ 100×", what))
    if "2 jobs" in results:
        one, two = results["1 jobs"], results["2 jobs"]
        what = f"{one.seconds:.2f} s and {two.seconds:.2f} s, {one.bytes_in / 1e6:,.0f} MB"
        out.append(("dump → Parquet, 2 jobs", "1 job", ratio(two, one), "≥ 1.7×", what))
    if "big" in results:
        big = results["big"]
        what = f"{big.bytes_in / 1e9:.1f} GB, {big.rows / 1e6:,.0f} M rows in {big.seconds:.0f} s"
        out.append(("peak memory of a big dump", "", f"{big.peak_mb:.0f} MB", "< 400 MB", what))
    if "import" in results:
        seconds = results["import"].seconds
        out.append(("import osgp_fast", "", f"{seconds * 1000:.0f} ms", "< 60 ms", "in a fresh interpreter"))
    return out


def machine() -> tuple[str, str]:
    """A name for the directory of results and a description."""
    model = platform.processor() or platform.machine()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        model = re.findall(r"model name\s*:\s*(.+)", text)[0]
    except (OSError, IndexError):
        pass
    words = f"{model.strip()}, {os.cpu_count()} cores, {platform.system()}, CPython {platform.python_version()}"
    name = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((R|TM)\)|@.*|CPU", "", model).lower()).strip("-")
    return f"{name}-{os.cpu_count()}", words


def record(results: dict[str, Result], words: str, name: str) -> Path:
    """Keep the results: benches/record/MACHINE/DATE.csv."""
    from importlib.metadata import version

    path = RECORD / name / f"{datetime.now(UTC):%Y-%m-%d}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    libraries = " ".join(
        f"{lib} {version(lib)}" for lib in ("osgp-fast", "numpy", "construct", "termineter", "pyarrow")
    )
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*(f.name for f in fields(Result)), "machine", "build", "libraries"])
        writer.writeheader()
        for result in results.values():
            writer.writerow(asdict(result) | {"machine": words, "build": "release", "libraries": libraries})
    return path


def markdown(rows: list[tuple[str, str, str, str, str]], words: str, path: Path) -> str:
    """The table as README has it."""
    lines = ["| work | against | ratio | aim | measured |", "| --- | --- | --- | --- | --- |"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    lines += ["", f"Measured on {words}; medians, in [{path.name}]({path.relative_to(ROOT).as_posix()})."]
    return "\n".join(lines)


def into_readme(text: str) -> None:
    """Replace what stands between the markers."""
    old = README.read_text(encoding="utf-8")
    start, end = "<!-- bench -->", "<!-- /bench -->"
    head, rest = old.split(start, 1)
    README.write_text(f"{head}{start}\n{text}\n{end}{rest.split(end, 1)[1]}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count, per contender (default 5)")
    parser.add_argument("--big-gb", type=float, default=4.0, help="size of the big dump in GiB (default 4)")
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    parser.add_argument("--only", default=",".join(CASES), help=f"some of {','.join(CASES)}")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := set(chosen) - set(CASES):
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    runs: dict[str, Callable[[], dict[str, Result]]] = {
        "profile": lambda: profile(options.rounds),
        "registers": lambda: registers(options.rounds),
        "packets": lambda: packets(options.rounds),
        "mep": lambda: mep(options.rounds),
        "jobs": lambda: jobs(max(1, options.rounds // 2)),
        "memory": lambda: memory(options.big_gb),
        "import": lambda: imports(options.rounds),
    }
    results: dict[str, Result] = {}
    for case in CASES:
        if case in chosen:
            print(f"{case} ", end="", flush=True)
            results |= runs[case]()
            print()
    name, words = machine()
    path = record(results, words, name)
    rows = table(results)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print()
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(f"\n{words}\n{path.relative_to(ROOT)}")
    if options.readme:
        into_readme(markdown(rows, words, path))


if __name__ == "__main__":
    main()
