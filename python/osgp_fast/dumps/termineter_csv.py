"""What termineter's ``dump_tables`` writes: lines of decimal id, name, length, hex; no header, nothing quoted.

A name may hold commas: it is what stands between the first field and the last two. Source: termineter 1.0.6,
modules/dump_tables.py.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from ..image import MAX_TABLE
from ..reject import Reject
from .files import os_reason
from .index import Index, Stored

__all__ = ["index_csv", "is_csv"]

MAX_LINE: Final = 2 * MAX_TABLE + 1024
"""A line cannot honestly be longer: a whole table in hex, its id, name and length."""
_BOM: Final = b"\xef\xbb\xbf"
_NUMBER: Final = re.compile(rb"\s*\+?([0-9]+)\s*")


def is_csv(head: bytes) -> bool:
    """Whether the first line looks like one."""
    for line in head.removeprefix(_BOM).split(b"\n"):
        if line := line.strip():
            # The hex of a long table is not all in the head: then its beginning must do.
            fields = line.split(b",")
            return (
                len(fields) >= 4
                and all(f.isdigit() and len(f) < 10 for f in (fields[0], fields[-2]))
                and all(c in b"0123456789abcdefABCDEF" for c in fields[-1])
            )
    return False


def index_csv(index: Index, path: str, stem: str) -> None:
    """Keep the tables of a CSV; every line is an image of one meter."""
    meter = stem if index.options.meter is None else index.options.meter
    session = index.session()
    number = at = 0
    try:
        with Path(path).open("rb") as file:
            while line := file.readline(MAX_LINE):
                number += 1
                start, at = at, at + len(line)

                def wrong(reason: str, data: bytes, start: int = start, number: int = number) -> None:
                    index.reject(
                        Reject(
                            meter=meter,
                            item=f"line {number}",
                            code="csv.row",
                            reason=reason,
                            input=path,
                            offset=start,
                            data=data,
                        )
                    )

                if len(line) == MAX_LINE and not line.endswith(b"\n"):
                    wrong("the line is longer than any table in hex; what follows it is not read", line)
                    return
                row = (line.removeprefix(_BOM) if number == 1 else line).strip()
                if not row:
                    continue
                try:
                    table, data = parse_row(row)
                except ValueError as error:
                    wrong(f"{error}; a line is: decimal id, name, length, hex", row)
                    continue
                index.add(meter, Stored(table, session, path, index.spool, index.spool.add(data)))
    except OSError as error:
        index.reject(
            Reject(meter=meter, code="input.unreadable", reason=f"cannot be read: {os_reason(error)}", input=path)
        )


def parse_row(row: bytes) -> tuple[int, bytes]:
    """A line's table and bytes. Raises: ValueError that says why not."""
    fields = row.rsplit(b",", 2)
    if len(fields) < 3 or b"," not in fields[0]:
        raise ValueError("fewer than four fields")
    table, size = _NUMBER.fullmatch(fields[0].split(b",", 1)[0]), _NUMBER.fullmatch(fields[1])
    if table is None or len(table[1]) > 9 or int(table[1]) >= 1 << 14:
        raise ValueError("the id is no table number")
    if size is None or len(size[1].lstrip(b"0")) > 10 or int(size[1]) >= 1 << 32:
        raise ValueError("the length is no number")
    digits = fields[2].strip()
    if len(digits) % 2:
        raise ValueError("the hex has an odd number of digits")
    if not re.fullmatch(rb"[0-9A-Fa-f]*", digits):
        raise ValueError("the hex has another character in it")
    data = bytes.fromhex(digits.decode("ascii"))
    if len(data) != int(size[1]):
        raise ValueError(f"the length says {int(size[1])} bytes, the hex has {len(data)}")
    return int(table[1]), data
