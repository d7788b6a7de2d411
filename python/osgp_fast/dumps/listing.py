"""What directories and archives have in common: meters that are folders of table files.

A listing is an input read as far as its names; the bytes of a table are read when its meter is decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ..image import MAX_TABLE
from ..reject import MAX_DATA, Reject
from .files import EMPTY, HEAD, NOT_A_TABLE, too_large
from .index import Index, Source
from .names import classify

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
                    data=member.name.encode(),
                )
            )
            continue
        if (earlier := by_name.get(parts)) is not None:
            name = "/".join(parts)
            index.reject(
                Reject(
                    code="archive.duplicate_name",
                    reason="the archive holds this name more than once; the last one is used; this is an earlier one",
                    item=name,
                    input=f"{path}/{name}",
                    data=head(earlier, MAX_DATA),
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
        kind = "skip" if "__MACOSX" in folder else classify(last)
        label = folder[-1] if folder else stem

        def wrong(
            code: str, reason: str, data: bytes = b"", about: tuple[Any, ...] = (kind, label, name, member)
        ) -> None:
            kind, label, name, member = about
            table = kind if isinstance(kind, int) else None
            index.reject(
                Reject(
                    meter=index.options.meter or label if table is not None else None,
                    table=table,
                    item=name,
                    code=code,
                    reason=reason,
                    input=f"{path}/{name}",
                    data=data,
                    length=member.size,
                )
            )

        if kind == "skip":
            index.counts.skipped_files += 1
            continue
        if kind == "other" and member.kind == "file":
            wrong("input.not_recognised", NOT_A_TABLE, head(member, HEAD))
            continue
        listing.tables = listing.tables or isinstance(kind, int)
        if member.kind == "encrypted":
            wrong("archive.encrypted", "the archive is encrypted; unpack it with its password first")
        elif member.kind == "special":
            wrong("input.not_a_file", "a link, device or sparse member, not a plain file; it is not used")
        elif member.size == 0:
            wrong("input.empty", EMPTY)
        elif member.size > MAX_TABLE:
            wrong("input.too_large", too_large(member.size), head(member, MAX_DATA))
        else:
            expanded += member.size
            if is_bomb(expanded, size):
                index.reject(
                    Reject(code="archive.bomb", reason=bomb_reason(expanded, size), item=name, input=path, length=size)
                )
                break
            assert isinstance(kind, int)
            listing.members.append(Member(label, tuple(folder), kind, f"{path}/{name}", (member.where, member.size)))
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
