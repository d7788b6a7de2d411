"""What directories and archives have in common: meters that are folders of table files.

A listing is an input read as far as its names; the bytes of a table are read when its meter is decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ..image import MAX_TABLE
from ..reject import Reject
from .files import HEAD, not_recognised
from .index import Index, Source
from .names import classify, hidden

__all__ = ["BOMB_RATIO", "BOMB_SIZE", "Listing", "Member", "Raw", "arrange", "bomb_reason", "is_bomb"]

BOMB_SIZE: Final = 1 << 30
"""An archive that expands to more than this, and to more than `BOMB_RATIO` times its size, is a bomb."""
BOMB_RATIO: Final = 1200
"""Deflate cannot exceed 1032 honestly."""


def is_bomb(output: int, size: int) -> bool:
    """Whether this much output of that much input is more than anybody means."""
    return output > BOMB_SIZE and output > size * BOMB_RATIO


def bomb_reason(output: int, size: int) -> str:
    """The reason of ``archive.bomb``."""
    return f"{size} bytes expand to {output} or more: a bomb; the rest of the archive is not read"


@dataclass(slots=True)
class Member:
    """A table file: the folder that it lies in, its number, and where its bytes are."""

    label: str
    folder: tuple[str, ...] | bytes
    table: int
    input: str
    where: Any


@dataclass(slots=True)
class Listing:
    """The tables of one input."""

    source: Source
    members: list[Member] = field(default_factory=list)
    tables: bool = False
    """Anything with the name of a table was there, even if it cannot be read."""


@dataclass(slots=True)
class Raw:
    """What an archive's directory says about one member."""

    name: str
    size: int
    kind: Literal["file", "dir", "encrypted", "special"]
    where: Any


def arrange(
    index: Index,
    path: str,
    stem: str,
    size: int,
    raw: list[Raw],
    head: Callable[[Raw, int], bytes],
    source: Source,
) -> Listing:
    """Sort an archive's members into meters. ``stem`` labels tables that lie in no folder."""
    listing = Listing(source)
    # The last one of a name is what every tool would have left on the disk.
    by_name: dict[tuple[str, ...], Raw] = {}
    for member in raw:
        if member.kind == "dir":
            continue
        parts = safe_parts(member.name)
        if parts is None:
            index.reject(
                Reject(
                    code="archive.unsafe_name",
                    reason="the name is absolute or leads out of the archive; it is not used; pack the archive again",
                    item=member.name,
                    input=path,
                    length=member.size,
                )
            )
            continue
        if (earlier := by_name.get(parts)) is not None:
            index.reject(
                Reject(
                    code="archive.duplicate_name",
                    reason="the archive holds this name more than once; the last one is used; this is an earlier one",
                    item="/".join(parts),
                    input=path,
                    length=earlier.size,
                )
            )
        by_name[parts] = member
    expanded = 0
    # Component by component, as the walk of a directory does.
    for parts in sorted(by_name, key=lambda parts: [p.encode() for p in parts]):
        member = by_name[parts]
        *folder, last = parts
        name = "/".join(parts)
        kind = "skip" if any(hidden(p) for p in folder) else classify(last)
        if kind == "skip":
            index.counts.skipped_files += 1
            continue
        if member.kind == "special":
            index.reject(
                Reject(
                    code="input.not_a_file",
                    reason="a link or a special file in an archive; it is not followed; store the file itself",
                    item=last,
                    input=f"{path}/{name}",
                )
            )
            continue
        if not isinstance(kind, int):
            index.reject(
                Reject(
                    code="input.not_recognised",
                    reason=not_recognised(last),
                    item=last,
                    input=f"{path}/{name}",
                    offset=0,
                    length=member.size,
                    data=head(member, HEAD),
                )
            )
            continue
        listing.tables = True
        encrypted = member.kind == "encrypted"
        expanded += member.size if not encrypted and member.size <= MAX_TABLE else 0
        if is_bomb(expanded, size):
            index.reject(
                Reject(code="archive.bomb", reason=bomb_reason(expanded, size), item=name, input=path, length=size)
            )
            break
        where = None if encrypted else member.where
        listing.members.append(
            Member(folder[-1] if folder else stem, tuple(folder), kind, f"{path}/{name}", (where, member.size))
        )
    return listing


def safe_parts(name: str) -> tuple[str, ...] | None:
    """The components of a member's name, None where it leads out of the archive."""
    if "\0" in name:
        return None
    name = name.replace("\\", "/")
    if name.startswith("/") or (name[1:2] == ":" and name[0].isascii() and name[0].isalpha()):
        return None
    parts = tuple(p for p in name.split("/") if p not in ("", "."))
    return None if not parts or ".." in parts else parts
