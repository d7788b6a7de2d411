"""A dump directory: walked in bytewise order, links followed, nothing opened that is not a plain file."""

from __future__ import annotations

import os
import stat
from typing import Any, Final

from ..reject import MAX_DATA, Reject
from .files import HEAD, NOT_A_FILE, check_size, head_of, not_recognised, os_reason, read_file
from .index import Index, ReadError
from .listing import Listing, Member
from .names import classify, hidden, own_name, text

__all__ = ["FILES", "Files", "list_directory"]

MAX_DEPTH: Final = 128
"""Deeper than any dump."""
MAX_LINKED: Final = 100_000
"""Links can name one folder many times, and links in it the next: this many visits through links are enough."""


class Files:
    """A source of tables that are files."""

    def read(self, where: Any) -> bytes:
        path, size = where
        check_size(size, lambda: head_of(path, MAX_DATA))
        try:
            return read_file(path, size)
        except OSError as error:
            raise ReadError("input.unreadable", f"cannot be read: {os_reason(error)}; check its permissions") from None

    def close(self) -> None:
        """Nothing is kept open."""


FILES: Final = Files()


def list_directory(index: Index, path: str) -> Listing:
    """Find the tables below a directory."""
    walk = _Walk(index, path)
    walk.folder(os.fsencode(path))
    return walk.listing


class _Walk:
    def __init__(self, index: Index, path: str) -> None:
        self.index = index
        self.listing = Listing(FILES)
        # The real paths of the folders that we are in.
        self.stack = [os.path.realpath(os.fsencode(path))]
        # The label of tables that lie in the directory itself.
        self.root = own_name(path)
        self.linked = 0

    def wrong(self, path: bytes, code: str, reason: str) -> None:
        name = text(os.path.basename(path))  # noqa: PTH119 (bytes)
        self.index.reject(Reject(item=name, code=code, reason=reason, input=text(path)))

    def folder(self, path: bytes) -> None:
        try:
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda e: e.name)
        except OSError as error:
            self.wrong(
                path, "input.unreadable", f"the directory cannot be read: {os_reason(error)}; check its permissions"
            )
            return
        # The label is the name that the folder was reached by: a link may rename a meter.
        label = text(os.path.basename(path)) if len(self.stack) > 1 else self.root  # noqa: PTH119 (bytes)
        for entry in entries:
            child = os.path.join(path, entry.name)  # noqa: PTH118 (bytes)
            if hidden(text(entry.name)):
                self.index.counts.skipped_files += 1
                continue
            link = entry.is_symlink()
            if not link and entry.is_dir(follow_symlinks=False):
                self.enter(child, os.path.join(self.stack[-1], entry.name))  # noqa: PTH118 (bytes)
                continue
            kind = classify(text(entry.name))
            if kind == "skip" and not link:
                self.index.counts.skipped_files += 1
                continue
            self.listing.tables = self.listing.tables or isinstance(kind, int)
            try:
                info = os.stat(child)  # noqa: PTH116 (bytes)
            except OSError as error:
                # A loop of links without a folder in it ends here as well.
                self.wrong(
                    child,
                    "input.unreadable",
                    f"cannot be read: {os_reason(error)}; check where it leads and its permissions",
                )
                continue
            if stat.S_ISDIR(info.st_mode):
                self.linked += 1
                self.enter(child, os.path.realpath(child))
            elif kind == "skip":
                self.index.counts.skipped_files += 1
            elif not stat.S_ISREG(info.st_mode):
                self.wrong(child, "input.not_a_file", NOT_A_FILE)
            elif not isinstance(kind, int):
                self.index.reject(
                    Reject(
                        item=text(entry.name),
                        code="input.not_recognised",
                        reason=not_recognised(text(entry.name)),
                        input=text(child),
                        offset=0,
                        length=info.st_size,
                        data=head_of(child, HEAD),
                    )
                )
            else:
                self.listing.members.append(Member(label, path, kind, text(child), (child, info.st_size)))

    def enter(self, path: bytes, real: bytes) -> None:
        if real in self.stack or self.linked > MAX_LINKED:
            self.wrong(
                path,
                "input.symlink_loop",
                "a link leads back to a directory that it lies in; the link is not followed",
            )
        elif len(self.stack) >= MAX_DEPTH:
            self.wrong(path, "input.unreadable", f"nested more than {MAX_DEPTH} directories deep; not read further")
        else:
            self.stack.append(real)
            self.folder(path)
            self.stack.pop()
