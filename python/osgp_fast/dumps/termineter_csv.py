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
_SPACE: Final = b" \t\n\f\r"
_HEX: Final = re.compile(rb"[0-9A-Fa-f]*")
_NO_LINE: Final = (
    "termineter.line",
    "not a line of termineter's dump_tables (id, name, length, hex); remove or mend it",
)


def is_csv(head: bytes) -> bool:
    """Whether the first line looks like one."""
    for line in head.removeprefix(_BOM).split(b"\n"):
        if line := line.strip(_SPACE):
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

                def wrong(code: str, reason: str, data: bytes, start: int = start, number: int = number) -> None:
                    index.reject(
                        Reject(
                            item=f"line {number}",
                            code=code,
                            reason=reason,
                            input=path,
                            offset=start,
                            data=data,
                        )
                    )

                if len(line) == MAX_LINE and not line.endswith(b"\n"):
                    wrong(
                        "termineter.line",
                        "the line is longer than any table in hex; what follows it is not read",
                        line,
                    )
                    return
                row = (line.removeprefix(_BOM) if number == 1 else line).strip(_SPACE)
                if not row:
                    continue
                made = parse_row(row)
                if isinstance(made[0], str):
                    wrong(made[0], made[1], row)
                else:
                    where = index.spool.add(made[1])
                    index.add(meter, Stored(made[0], session, path, index.spool, where, position=start))
    except OSError as error:
        index.reject(Reject(code="input.unreadable", reason=f"cannot be read: {os_reason(error)}", input=path))


def parse_row(row: bytes) -> tuple[int, bytes] | tuple[str, str]:
    """A line's table and bytes, or the code and the reason why not."""
    fields = row.rsplit(b",", 2)
    if len(fields) < 3 or b"," not in fields[0]:
        return _NO_LINE
    table, size, digits = fields[0].partition(b",")[0], fields[1].strip(_SPACE), fields[2].strip(_SPACE)
    if not (table.isdigit() and len(table) <= 5 and size.isdigit() and len(size) <= 9):
        return _NO_LINE
    if len(digits) % 2 or not _HEX.fullmatch(digits):
        return "termineter.hex", "the last field is not hex, or a digit is missing; dump the table again"
    data = bytes.fromhex(digits.decode("ascii"))
    if len(data) != int(size):
        return (
            "termineter.length",
            f"the line says {int(size)} bytes and holds {len(data)}; it was probably cut; dump the table again",
        )
    if not data:
        return "input.empty", "the table is empty; read the table again, or delete the line"
    return int(table), data
