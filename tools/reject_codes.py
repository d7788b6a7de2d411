#!/usr/bin/env python3
"""Write docs/rejects.md: every code of a reject or error in the source, and where it is raised.

usage: reject_codes.py [--check]      with --check: exit 1 where the page is not what the source says
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "rejects.md"
# A code: room.what in lower case, the first argument of what makes a reject or raises an error.
CODE = r"\"([a-z][a-z0-9_]*\.[a-z][a-z0-9_]*)\""
RUST = re.compile(rf"(?:Reject::new|Error::new|reject)\(\s*{CODE}", re.S)
PYTHON = re.compile(rf"(?:\breject|_reject|Reject|[A-Za-z]+Error)\(\s*{CODE}", re.S)
# A code that is handed on: `code = "image.x"`, `code: "image.x"`, `=> "image.x"`, in either language.
HANDED = re.compile(rf"(?:\bcode\s*[:=]\s*|=>\s*\(?\s*){CODE}")

# What a room is about; a code's room is the part before the dot. Grown by hand, in words for the person with the file.
ROOMS = {
    "archive": "A zip or tar file. The members that are sound are decoded.",
    "capture": "A serial capture. What was read whole is decoded.",
    "channels": "The channels of a load profile.",
    "events": "An event log (BT74, ET79). The other entries are decoded.",
    "image": "A table image: some bytes of one table of one meter.",
    "input": "A file or directory given to the command.",
    "meters": "What a meter says about itself (BT01, ET03).",
    "profile": "A load profile (BT64 to BT67). The other blocks and sets are decoded.",
    "table": "A table that others depend on.",
}


def without_tests(text: str) -> str:
    """Rust source without its test module."""
    return text.split("#[cfg(test)]\nmod ", 1)[0]


def codes() -> dict[str, set[str]]:
    """Every code and the files that raise it."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "rust").glob("*/src/**/*.rs")):
        text = without_tests(path.read_text(encoding="utf-8"))
        for pattern in (RUST, HANDED):
            for code in pattern.findall(text):
                found[code].add(path.relative_to(ROOT).as_posix())
    for path in sorted((ROOT / "python").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for pattern in (PYTHON, HANDED):
            for code in pattern.findall(text):
                found[code].add(path.relative_to(ROOT).as_posix())
    return found


def page() -> str:
    """docs/rejects.md."""
    found = codes()
    rooms = sorted({code.split(".")[0] for code in found})
    lines = [
        "# Rejects and errors by code",
        "",
        "<!-- Written by tools/reject_codes.py (make generate); edit that, not this. -->",
        "",
        "A part of the input that cannot be decoded becomes a row of `rejects`: which meter, table, block, entry or",
        "file, a stable `code`, a `reason` in plain words with what to do, and the bytes. The rest goes on. The same",
        "names are the `code` of exceptions (`OsgpError.code`). A code never changes its meaning; new ones may come.",
    ]
    for room in rooms:
        lines += ["", f"## {room}", ""]
        if room in ROOMS:
            lines += [ROOMS[room], ""]
        lines += ["| code | where it comes from |", "| --- | --- |"]
        for code in sorted(code for code in found if code.split(".")[0] == room):
            where = ", ".join(f"`{name}`" for name in sorted(found[code]))
            lines.append(f"| `{code}` | {where} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    text = page()
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            raise SystemExit(f"{PAGE.relative_to(ROOT)} is not what the source says: run make generate")
        return
    PAGE.write_text(text, encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {len(codes())} codes")


if __name__ == "__main__":
    main()
