"""What is tested is the wheel that was installed, and it is what this run says it is.

`make test` sets OSGP_FAST_EXPECT to implementation, compiled or pure, pyarrow or no-pyarrow: without it a run that fell
back to Python, or to the source tree, would pass unnoticed.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import osgp_fast
import pytest

EXPECT = os.environ.get("OSGP_FAST_EXPECT", "")
expected = pytest.mark.skipif(not EXPECT, reason="OSGP_FAST_EXPECT is not set: not a run of make test")


@expected
def test_the_environment_is_what_the_run_says() -> None:
    implementation, compiled, pyarrow = EXPECT.split(",")
    assert osgp_fast.implementation() == implementation
    assert (importlib.util.find_spec("osgp_fast._core") is not None) == (compiled == "compiled")
    assert (importlib.util.find_spec("pyarrow") is not None) == (pyarrow == "pyarrow")


@expected
def test_it_is_the_installed_wheel() -> None:
    assert "site-packages" in Path(osgp_fast.__file__).parts


def run(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **env}, check=False
    )


def test_it_is_typed_and_carries_its_licences() -> None:
    assert (Path(osgp_fast.__file__).parent / "py.typed").is_file()
    files = distribution("osgp-fast").files or []
    names = {file.name for file in files}
    assert {"LICENSE", "LICENSE-MIT", "LICENSE-APACHE"} <= names
    assert distribution("osgp-fast").metadata["License-Expression"] == "MIT OR Apache-2.0"
    assert any(e.name == "osgp-fast" and e.group == "console_scripts" for e in distribution("osgp-fast").entry_points)


def test_the_pure_wheel_falls_back_with_a_warning() -> None:
    if importlib.util.find_spec("osgp_fast._core"):
        pytest.skip("this is about the wheel without the compiled part")
    env = {k: v for k, v in os.environ.items() if k != "OSGP_FAST_IMPL"}
    code = "import osgp_fast; print(osgp_fast.implementation())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.stdout.strip() == "python"
    assert "RuntimeWarning" in done.stderr
    assert run(code, OSGP_FAST_IMPL="python").stderr == ""


def test_asking_for_rust_without_it_says_how_to_get_it() -> None:
    if importlib.util.find_spec("osgp_fast._core"):
        pytest.skip("this is about the wheel without the compiled part")
    done = run("import osgp_fast", OSGP_FAST_IMPL="rust")
    assert "ImportError" in done.stderr
    assert "pip install" in done.stderr


def test_an_unknown_implementation_is_told() -> None:
    done = run("import osgp_fast", OSGP_FAST_IMPL="fortran")
    assert "fortran" in done.stderr
    assert "rust or python" in done.stderr


def test_importing_brings_in_nothing_heavy() -> None:
    heavy = "{'pyarrow', 'numpy', 'pandas', 'polars', 'duckdb', 'rich', 'serial', 'click'}"
    done = run(f"import osgp_fast, sys; print(sorted({heavy} & set(sys.modules)))")
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
