"""A directory, nested at will, of ``METER/BT64.bin``: one file is one whole table, its folder's name is the meter's.

The walk is sorted bytewise and follows symbolic links; a link to a folder that is being walked already is a reject.
Nothing is opened but tables, and those only when their meter is decoded.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..reject import Reject
from .files import FILES, FIRST, head, not_a_file, not_recognised, unreadable
from .index import Index, Stored
from .names import classify, hidden, text

__all__ = ["index_directory"]


def index_directory(index: Index, path: str) -> int:
    """Find the tables below a directory; returns how many."""
    label = text(Path(os.path.abspath(path)).name) or "meter"  # noqa: PTH100 (resolve() would follow links)
    found = 0
    # A stack instead of recursion: a dump may be nested deeper than Python's own limit.
    stack: list[tuple[bytes, str, tuple[tuple[int, int], ...]]] = [(os.fsencode(path), label, ())]
    sessions: dict[bytes, int] = {}
    while stack:
        where, name, above = stack.pop()
        shown = text(where)
        try:
            info = Path(os.fsdecode(where)).stat()
        except OSError as error:
            index.reject(Reject(code="input.unreadable", reason=unreadable(error), item=name, input=shown))
            continue
        mode = info.st_mode
        if stat.S_ISDIR(mode):
            here = (info.st_dev, info.st_ino)
            if here in above:
                index.reject(
                    Reject(
                        code="input.symlink_loop",
                        reason="a symbolic link to a folder that it stands in; it is not followed; remove the link",
                        item=name,
                        input=shown,
                    )
                )
                continue
            try:
                with os.scandir(where) as entries:
                    names = sorted((e.name for e in entries), reverse=True)
            except OSError as error:
                index.reject(Reject(code="input.unreadable", reason=unreadable(error), item=name, input=shown))
                continue
            for n in names:
                if hidden(text(n)):
                    index.counts.skipped_files += 1
                else:
                    stack.append((os.path.join(where, n), text(n), (*above, here)))  # noqa: PTH118 (bytes)
            continue
        kind = classify(name)
        if not stat.S_ISREG(mode):
            index.reject(Reject(code="input.not_a_file", reason=not_a_file(mode), item=name, input=shown))
        elif kind == "skip":
            index.counts.skipped_files += 1
        elif kind == "other":
            index.reject(
                Reject(
                    code="input.not_recognised",
                    reason=not_recognised(name),
                    item=name,
                    input=shown,
                    offset=0,
                    length=info.st_size,
                    data=head(where, FIRST),
                )
            )
        else:
            assert isinstance(kind, int)
            folder = os.path.dirname(where)  # noqa: PTH120 (bytes)
            if folder not in sessions:
                sessions[folder] = index.session()
            meter = text(os.path.basename(folder)) if above[1:] else label  # noqa: PTH119 (bytes)
            index.add(meter, Stored(kind, sessions[folder], shown, FILES, where))
            found += 1
    return found
