"""What the name of a file in a dump says: a table, a note of a person or a system, or something else."""

from __future__ import annotations

from typing import Final, Literal

from ..image import parse_table_name

__all__ = ["NOTES", "archive_stem", "classify", "hidden", "text"]

NOTES: Final = frozenset(  # noqa: SIM905
    ".txt .md .json .xml .log .yaml .yml .toml .ini .html .htm .pdf .csv .py .sh".split()
)
"""Files that people keep beside tables: counted as skipped, no reject."""

_SYSTEM: Final = frozenset({"thumbs.db", "desktop.ini"})
_SUFFIXES: Final = (".tar.gz", ".tar.zst", ".tgz", ".tzst", ".tar", ".zip")


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
    suffix = (dot + suffix).lower()
    if suffix == ".bin":
        number = parse_table_name(stem)
        return "other" if number is None else number
    return "skip" if stem and suffix in NOTES else "other"


def archive_stem(name: str) -> str:
    """The label of tables that stand in no folder of their archive: its name without ``.tar.gz`` and the like."""
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name
