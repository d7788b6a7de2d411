"""What the tests of the whole share: the samples, and the command with either implementation."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

SAMPLES = Path(__file__).resolve().parent / "samples"
COMPILED = importlib.util.find_spec("osgp_fast._core") is not None
PYARROW = importlib.util.find_spec("pyarrow") is not None

compiled_or_pyarrow = pytest.mark.skipif(
    not (COMPILED or PYARROW), reason="Parquet and Arrow need the compiled part or pyarrow"
)


# A shell starts jobs in the background with interrupts ignored, and they would hand that down to the commands that are
# interrupted here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No time limits, which a busy machine breaks, and the same examples each time, so that a check fails by what was changed.
# New examples are for who looks for them: HYPOTHESIS_PROFILE=soak, as `make soak` does.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("soak", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

#: Tests of what exists once, in Python, whatever is installed beside it: one run with the compiled part and one without
#: are enough (`make test` leaves them out of the other three).
ONCE = (
    "architecture",
    "catalog",
    "cli_live",
    "cli_simulate",
    "cli_writing",
    "encode",
    "explain",
    "guide_rows",
    "meter",
    "scrub",
    "session",
)
ONCE += ("tables", "transactions", "transport", "virtual")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them."""
    for item in items:
        if item.path.stem.removeprefix("test_").startswith(ONCE):
            item.add_marker(pytest.mark.once)


@dataclass
class Done:
    """What the command did."""

    code: int
    out: str
    err: str
    directory: Path

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """The rows of a kind that was written as JSON lines."""
        text = (self.directory / f"{kind}.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    @property
    def rejects(self) -> list[dict[str, Any]]:
        """The rejects."""
        return self.rows("rejects")

    @property
    def codes(self) -> list[str]:
        """The codes of the rejects, in order."""
        return [r["code"] for r in self.rejects]


@dataclass
class Command:
    """``osgp-fast`` with one implementation, in a process of its own."""

    implementation: str
    tmp: Path
    runs: int = 0

    def __call__(self, *arguments: str | Path, timeout: float = 60, **env: str) -> Done:
        """Run the command as it is."""
        done = subprocess.run(
            [sys.executable, "-m", "osgp_fast", *map(str, arguments)],
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            cwd=self.tmp,
            env={**os.environ, "OSGP_FAST_IMPL": self.implementation, **env},
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr, self.tmp)

    def decode(self, *arguments: str | Path, **env: str) -> Done:
        """Decode to JSON lines in a directory of its own."""
        self.runs += 1
        out = self.tmp / f"out{self.runs}"
        done = self("decode", *arguments, "-o", f"{out}/", "--format", "jsonl", **env)
        done.directory = out
        return done


@pytest.fixture(params=["rust", "python"])
def osgp(request: pytest.FixtureRequest, tmp_path: Path) -> Command:
    """The command, once with either implementation."""
    if request.param == "rust" and not COMPILED:
        pytest.skip("the compiled part is not built")
    return Command(request.param, tmp_path)


def make_dump(directory: Path, *meters: str, sample: str = "dump/M00002001") -> Path:
    """A dump whose meters are copies of a sample."""
    for meter in meters:
        shutil.copytree(SAMPLES / sample, directory / meter)
    return directory


def patch(path: Path, *changes: tuple[int, bytes]) -> None:
    """Overwrite bytes of a file."""
    data = bytearray(path.read_bytes())
    for at, value in changes:
        data[at : at + len(value)] = value
    path.write_bytes(data)


def truth(name: str) -> list[dict[str, Any]]:
    """What a sample holds."""
    found: list[dict[str, Any]] = json.loads((SAMPLES / f"{name}.truth.json").read_text(encoding="utf-8"))
    return found
