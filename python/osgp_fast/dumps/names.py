"""What the name of a file in a dump says: a table, a note of a person or a system, or something else."""

from __future__ import annotations

import os
from typing import Final, Literal

from ..image import parse_table_name

__all__ = ["NOTES", "classify", "hidden", "own_name", "stem", "text"]

NOTES: Final = frozenset(
    ("txt", "md", "json", "xml", "log", "yaml", "yml", "toml", "ini", "html", "htm", "pdf", "csv", "py", "sh")
)
"""Files that people keep beside tables: counted as skipped, no reject."""

_SYSTEM: Final = frozenset({"thumbs.db", "desktop.ini"})


def text(name: str | bytes) -> str:
    """A file's name as text, whatever its bytes: what is no UTF-8 becomes U+FFFD."""
    raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "replace")


def hidden(name: str) -> bool:
    """Whether this file or folder is a system's own: ``.DS_Store``, ``._BT64.bin``, ``__MACOSX``."""
    return name.startswith(".") or name == "__MACOSX" or name.lower() in _SYSTEM


def classify(name: str) -> int | Literal["skip", "other"]:
    """The table's number of ``BT64.bin``, "skip" for what is only counted, "other" for what is a reject."""
    if hidden(name):
        return "skip"
    stem, dot, suffix = name.rpartition(".")
    if not dot:
        return "other"
    if suffix.lower() == "bin":
        number = parse_table_name(stem)
        return "other" if number is None else number
    return "skip" if stem and suffix.lower() in NOTES else "other"


def own_name(path: str | bytes) -> str:
    """The last component of a path as it was given: ``.`` has one too."""
    return text(os.path.basename(os.path.abspath(path))) or "meter"  # noqa: PTH100, PTH119 (not through links; bytes)


def stem(path: str) -> str:
    """A file's name without its suffixes: the label of what has no other."""
    name = text(path.rpartition("/")[2])
    for suffix in (".tar.gz", ".tar.zst"):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    before, dot, _ = name.rpartition(".")
    return before if dot and before else name
