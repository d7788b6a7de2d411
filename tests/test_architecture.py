"""Who may import whom: the house of docs/architecture.md, walked line by line; a broken rule is named with its line.

    live:     serial port -> transport -> session --\\
                                                     image -> codec -> records -> columns -> sinks
    offline:  dump or capture file -> scan ---------/

A room may change when the code teaches better; then docs/architecture.md and the tables here change with it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / "python" / "osgp_fast"
RUST = ROOT / "rust"

# Everybody may import these. `_numbers`: integers in table bytes, which layouts and the codec need.
FREE = {"errors", "units", "reject", "_numbers"}

# Room of the Python package -> rooms that it may import.
PYTHON_RULES: dict[str, set[str]] = {
    "errors": set(),
    "units": set(),
    "_numbers": set(),
    # A reject takes table, file and offset from an image.
    "reject": {"image"},
    "wire": set(),
    "security": set(),
    "image": set(),
    "columns": set(),
    "catalog": set(),
    "scan": {"wire", "security", "image"},
    "session": {"wire", "security", "image"},
    "transport": {"session"},
    "layout": {"catalog", "image"},
    "codec": {"layout", "image"},
    # A record knows its table's layout, joins the reads of a table, and finds the names of sources and events.
    "records": {"codec", "columns", "layout", "image", "catalog"},
    # Explanations walk the line and the table alike: the one room for people that knows both sides of the image.
    "explain": {"catalog", "layout", "codec", "image", "wire", "scan", "security"},
    # Captures and dumps made safe to share: bytes in, bytes of the same meaning out.
    "scrub": {"wire", "scan", "image", "catalog", "layout", "codec"},
    "_impl": {"_core", "image", "wire", "security", "scan", "records", "columns"},
    "tables": {"catalog", "layout", "codec", "image", "_impl"},
    "dumps": {"image", "_impl"},
    # Images in memory are an input of their own.
    "decode": {"dumps", "_impl", "columns", "sinks", "image", "records"},
    # Table images are written, too.
    "sinks": {"columns", "_impl", "image"},
    # What was read live is decoded as a dump is.
    "meter": {
        "transport",
        "session",
        "security",
        "_impl",
        "image",
        "layout",
        "codec",
        "catalog",
        "records",
        "decode",
        "sinks",
    },
    "virtual": {"catalog", "layout", "codec", "image", "session", "transport"},
}
# The command line may use everything; the package's face hands out names of every room but the command line.
PYTHON_ALL = {"cli": set(PYTHON_RULES), "": set(PYTHON_RULES)}

RUST_RULES: dict[str, set[str]] = {
    "wire": set(),
    "security": set(),
    "image": set(),
    # A table's number is that of its images.
    "catalog": {"image"},
    "columns": set(),
    "scan": {"wire", "security", "image"},
    "layout": {"catalog", "image"},
    # A tree of values has the names and types of the catalogue's rows.
    "codec": {"layout", "image", "catalog"},
    "records": {"codec", "columns", "layout", "image", "catalog"},
}
# Files of one room that stand beside it.
ROOM_OF = {"text_log": "scan", "mep_capture": "scan", "mep_transaction": "scan", "values": "codec", "__main__": "cli"}
# Files that hold only names: the package's face and the crate's root.
RUST_ROOTS = {"lib"}
# The library crate is handed everything: no files, no network, no clock, no environment.
RUST_IO = re.compile(r"\bstd::(fs|net|env|process|time::(?:SystemTime|Instant)|thread)\b|\bpyo3\b|\bosgp_io\b")


def room(parts: list[str]) -> str:
    """The room of a module inside the package."""
    name = parts[0] if parts else ""
    return ROOM_OF.get(name, name)


def python_files() -> list[Path]:
    return sorted(PYTHON.rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every imported module of a file, absolute, with its line."""
    module = ["osgp_fast", *path.relative_to(PYTHON).with_suffix("").parts]
    package = module[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = [*base, *(node.module.split(".") if node.module else [])]
            if target == ["osgp_fast"]:
                for alias in node.names:
                    yield node.lineno, f"osgp_fast.{alias.name}"
            else:
                yield node.lineno, ".".join(target)


def own_room(path: Path) -> str:
    parts = list(path.relative_to(PYTHON).with_suffix("").parts)
    return room([] if parts == ["__init__"] else parts)


def broken_python(path: Path) -> Iterator[str]:
    own = own_room(path)
    where = path.relative_to(ROOT)
    allowed = PYTHON_ALL.get(own, PYTHON_RULES.get(own))
    if allowed is None:
        yield f"{where}: room {own!r} is not in the house; give it a line in docs/architecture.md and in this test"
        return
    for line, name in imports(path):
        first, *rest = name.split(".")
        if first == "osgp_fast":
            target = room(rest)
            if target in ("", own) or target in FREE:
                continue
            if target == "cli" or target not in allowed:
                yield f"{where}:{line}: {own or 'osgp_fast'} may not import {target}"
        elif first == "serial" and where.as_posix() != "python/osgp_fast/transport/serial.py":
            yield f"{where}:{line}: only transport/serial.py imports serial"
        elif first in ("time", "os") and own in ("session", "wire"):
            yield f"{where}:{line}: {own} may not import {first}: time comes in as a number, files are not its business"


def test_python_imports() -> None:
    files = python_files()
    assert files, "no Python source found"
    broken = [rule for path in files for rule in broken_python(path)]
    assert not broken, "\n".join(broken)


def test_only_impl_imports_the_compiled_part() -> None:
    broken = [
        f"{path.relative_to(ROOT)}:{line}: only _impl.py imports _core"
        for path in python_files()
        for line, name in imports(path)
        if (name == "osgp_fast._core" or name.startswith("osgp_fast._core.")) and path.name != "_impl.py"
    ]
    assert not broken, "\n".join(broken)


def rust_code(path: Path) -> list[tuple[int, str]]:
    """The lines of a file without comments and without its tests, which may use every room."""
    lines = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#[cfg(test)]"):
            break
        lines.append((number, line.split("//", 1)[0]))
    return lines


def crate_paths(code: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The first segment of every `crate::` path with its line; of `crate::{a::x, b}` both."""
    text = "\n".join(line for _, line in code)
    for match in re.finditer(r"\bcrate::(?:([A-Za-z_]\w*)|\{)", text):
        line = 1 + text.count("\n", 0, match.start())
        if match[1]:
            yield line, match[1]
            continue
        depth, fresh = 1, True
        for token in re.finditer(r"\w+|[{},]", text[match.end() :]):
            depth += {"{": 1, "}": -1}.get(token[0], 0)
            if depth == 0:
                break
            if depth == 1 and fresh and token[0] not in "{},":
                yield line + text.count("\n", match.start(), match.end() + token.start()), token[0]
            fresh = depth == 1 and token[0] == ","


def broken_rust(path: Path, source: Path) -> Iterator[str]:
    parts = list(path.relative_to(source).with_suffix("").parts)
    own = room(parts)
    where = path.relative_to(ROOT)
    if parts[0] in RUST_ROOTS:
        return
    allowed = RUST_RULES.get(own)
    if allowed is None:
        if own not in FREE:
            yield f"{where}: room {own!r} is not in the house; give it a line in docs/architecture.md and in this test"
        return
    for line, name in crate_paths(rust_code(path)):
        target = room([name])
        if target != own and target not in FREE and target in RUST_RULES and target not in allowed:
            yield f"{where}:{line}: {own} may not use crate::{target}"


def test_rust_rooms() -> None:
    source = RUST / "osgp" / "src"
    files = sorted(source.rglob("*.rs"))
    assert files, "no Rust source found"
    broken = [rule for path in files for rule in broken_rust(path, source)]
    assert not broken, "\n".join(broken)


def test_library_crate_is_handed_everything() -> None:
    source = RUST / "osgp" / "src"
    broken = [
        f"{path.relative_to(ROOT)}:{line}: the library crate may not use {match[0]}"
        for path in sorted(source.rglob("*.rs"))
        for line, code in rust_code(path)
        if (match := RUST_IO.search(code))
    ]
    assert not broken, "\n".join(broken)
    assert "#![forbid(unsafe_code)]" in (source / "lib.rs").read_text(encoding="utf-8")


def test_crates_depend_downwards() -> None:
    import tomllib

    below = {"osgp": set(), "osgp-io": {"osgp"}, "py": {"osgp", "osgp-io"}}
    for name, allowed in below.items():
        manifest = tomllib.loads((RUST / name / "Cargo.toml").read_text(encoding="utf-8"))
        ours = {dep for dep in manifest["dependencies"] if dep.startswith("osgp")}
        assert ours <= allowed, f"rust/{name}/Cargo.toml: {ours - allowed} stands above it"
        assert name == "py" or "pyo3" not in manifest["dependencies"], (
            f"rust/{name}/Cargo.toml: Python belongs in rust/py"
        )


@pytest.mark.parametrize(
    ("where", "line", "complaint"),
    [
        ("wire/x.py", "from osgp_fast.scan import scan", "wire may not import scan"),
        ("wire/x.py", "import time", "wire may not import time"),
        ("records/x.py", "from ..dumps import zip", "records may not import dumps"),
        ("records/x.py", "from ..cli import main", "records may not import cli"),
        ("dumps/x.py", "import serial.tools", "only transport/serial.py imports serial"),
        ("attic/x.py", "", "room 'attic' is not in the house"),
    ],
)
def test_the_walk_sees_a_broken_rule(where: str, line: str, complaint: str, tmp_path: Path) -> None:
    # The walk itself is what is tested: a file that breaks the rule, in a house of its own.
    path = tmp_path / "python" / "osgp_fast" / where
    path.parent.mkdir(parents=True)
    path.write_text(f"# a comment\n{line}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "ROOT", tmp_path)
        patch.setitem(globals(), "PYTHON", tmp_path / "python" / "osgp_fast")
        found = list(broken_python(path))
    assert len(found) == 1
    assert complaint in found[0]
    assert "x.py" in found[0]


def test_the_walk_sees_rust_paths() -> None:
    code = list(enumerate("use crate::{image, records::{Kind, x}};\nfn a() { crate::scan::scan() }".splitlines(), 1))
    assert {("image", 1), ("records", 1), ("scan", 2)} <= {(name, line) for line, name in crate_paths(code)}
