#!/usr/bin/env python3
"""Write docs/rejects.md: every code of a reject or error in the source, and which language raises it.

usage: reject_codes.py [--check]      with --check: exit 1 where the page is not what the source says
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "rejects.md"
# A code is room.what in lower case. Codes are handed about, so every literal of a known room counts; one of a room that
# is not known here is found where a reject or an error is made of it.
LITERAL = re.compile(r"\"([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)\"")
MADE = re.compile(
    r"(?:Reject::new|\breject|_reject|Reject|[A-Za-z]+Error)\(\s*\"([a-z][a-z0-9_]*)\.[a-z][a-z0-9_]*\"", re.S
)

# What a room is about; a code's room is the part before the dot. Grown by hand, in words for the person with the file.
ROOMS = {
    "archive": "A zip or tar file. The members that are sound are decoded.",
    "capture": "A serial capture. What was read whole is decoded.",
    "channels": "The channels of a load profile.",
    "dimension": "A table that says how long others are.",
    "events": "An event log (BT74, ET79). The other entries are decoded.",
    "frame": "A packet or message handed to the wire functions.",
    "image": "A table image: some bytes of one table of one meter.",
    "input": "A file or directory given to the command.",
    "line": "A live line: the meter is silent, refuses, or is something else.",
    "meter": "A live meter: what it did, holds or accepts is not what was asked for.",
    "mbus": "A billing read of an M-Bus device or MEP client (ET16, ET45, ET74). The readings before the damage, and the other "
    "reads, are decoded.",
    "measurements": "Present values (BT28). The other values are decoded.",
    "mep": "The MEP port: what is wrong with key, messages or session, or not known of a write; in a capture, what the keys open is "
    "decoded.",
    "meters": "What a meter says about itself (BT01, ET03).",
    "port": "A serial port, or a URL of one.",
    "procedure": "A procedure of a meter (BT07, BT08).",
    "profile": "A load profile (BT64 to BT67). The other blocks and sets are decoded.",
    "refused": "What a live meter answers when it does not do what was asked, by the standard's names.",
    "registers": "Registers (BT23 to BT26). The other registers, or the other self-reads of BT26, are decoded.",
    "scrub": "A capture that cannot be made safe to share; nothing is written.",
    "security": "A key, digest or message of the MEP port.",
    "session": "A live session: a call that is not possible now, or an answer of the meter that is none.",
    "table": "The bytes of a table.",
    "termineter": "A line of termineter's CSV. The other lines are decoded.",
    "tls": "A TLS session of the MEP port.",
    "usage": "Options and arguments that do not go together.",
    "virtual": "The virtual meter: its configuration, its faults, its dumps.",
}


def without_tests(text: str) -> str:
    """Rust source without its test module."""
    return text.split("#[cfg(test)]\nmod ", 1)[0]


def codes() -> dict[str, set[str]]:
    """Every code and the languages that raise it."""
    found: dict[str, set[str]] = defaultdict(set)
    rust, python = (ROOT / "rust").glob("*/src/**/*.rs"), (ROOT / "python").rglob("*.py")
    for path in sorted([*rust, *python]):
        text = without_tests(path.read_text(encoding="utf-8"))
        if unknown := set(MADE.findall(text)) - set(ROOMS):
            raise SystemExit(f"{path}: rejects of {', '.join(sorted(unknown))}: say in {__file__} what that is about")
        for room, what in LITERAL.findall(text):
            if room in ROOMS:
                found[f"{room}.{what}"].add("Rust" if path.suffix == ".rs" else "Python")
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
        lines += ["| code | raised in |", "| --- | --- |"]
        for code in sorted(code for code in found if code.split(".")[0] == room):
            lines.append(f"| `{code}` | {', '.join(sorted(found[code], reverse=True))} |")
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
