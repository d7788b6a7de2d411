"""The documentation says what is there: commands, files, codes, and the example dump."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


def load(path: str) -> ModuleType:
    """A script of the repository as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def help_of(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "osgp_fast", *command, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_targets_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"
    for name in re.findall(r"`make ([a-z-]+)", text) + re.findall(r"^make ([a-z-]+)", text, re.M):
        assert name in TARGETS, f"{page.name} tells of `make {name}`, which is not there"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_and_options_exist(page: Path) -> None:
    lines = [
        line
        for block in code_blocks(page.read_text(encoding="utf-8"), "(?:sh|console|bash)")
        for line in block.splitlines()
    ]
    for line in lines:
        words = line.split("#")[0].split()
        if words[:1] != ["osgp-fast"]:
            continue
        text = help_of(*([words[1]] if not words[1].startswith("-") else []))
        for option in re.findall(r"(?<!\S)(--[a-z-]+)", line):
            assert option in text, f"{page.name}: {line!r}: no option {option}"


def test_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("polars", "duckdb", "pyarrow", "pandas"):
        pytest.importorskip(name)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = code_blocks(readme, "python")
    assert blocks
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "example.zip").write_bytes((ROOT / "demo" / "example.zip").read_bytes())
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {"__name__": "readme"})


def test_every_code_is_on_its_page() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "reject_codes.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_code_has_a_test() -> None:
    codes = load("tools/reject_codes.py").codes()
    tests = [path for path in (ROOT / "tests").rglob("*.py") if path.name not in ("test_docs.py", "mutate.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in tests)
    for path in (ROOT / "rust").glob("*/**/*.rs"):
        source = path.read_text(encoding="utf-8")
        text += source if "tests" in path.parts else source.partition("#[cfg(test)]")[2]
    missing = sorted(code for code in codes if f'"{code}"' not in text)
    assert not missing, f"codes that no test expects: {', '.join(missing)}"


def test_the_example_is_what_its_program_makes() -> None:
    made = load("demo/make_example.py").dump()
    with zipfile.ZipFile(ROOT / "demo" / "example.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == made
    assert (ROOT / "demo" / "example.zip").stat().st_size < 200_000


def test_every_dependency_is_explained() -> None:
    import tomllib

    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = set(project["project"]["dependencies"])
    for group in [*project["dependency-groups"].values(), *project["project"]["optional-dependencies"].values()]:
        wanted |= {name for name in group if not name.startswith("osgp-fast")}
    names = {re.split(r"[<>=\[ ]", name)[0] for name in wanted}
    for manifest in sorted((ROOT / "rust").glob("*/Cargo.toml")):
        crates = tomllib.loads(manifest.read_text(encoding="utf-8"))
        for table in ("dependencies", "dev-dependencies"):
            names |= {name for name in crates.get(table, {}) if not name.startswith("osgp")}
    missing = sorted(name for name in names if f"`{name}`" not in page)
    assert not missing, f"docs/dependencies.md says nothing of {', '.join(missing)}"


def test_nothing_names_a_machine() -> None:
    words = re.compile(r"/(?:home|root|Users)/\w|index\.crates\.io|pypi\.org/simple|files\.pythonhosted")
    for page in [*PAGES, *(ROOT / ".github").rglob("*.yml"), ROOT / "pyproject.toml", ROOT / "Makefile"]:
        assert not words.search(page.read_text(encoding="utf-8")), page
