"""The CSV that termineter's module ``dump_tables`` writes: decimal id, name, length, hex; no header, nothing quoted.

The name may hold commas, so the fields are taken from both ends. The label of the meter is the file's stem.
"""

from __future__ import annotations

from pathlib import Path

from ..image import MAX_TABLE
from ..reject import Reject
from .files import too_large
from .index import Index, Stored
from .names import text

__all__ = ["index_termineter"]

_LINE = 2 * MAX_TABLE + 4096
"""The longest line that can be a table."""


def index_termineter(index: Index, path: str) -> int:
    """Keep the tables of a CSV; returns how many."""
    session = index.session()
    label = text(Path(path).stem)
    count = at = 0
    with Path(path).open("rb") as file:
        number = 0
        while line := file.readline(_LINE):
            number += 1
            start, at = at, at + len(line)
            row = line.strip()
            if not row:
                continue
            problem = _problem(row)
            if problem is not None:
                code, reason = problem
                index.reject(
                    Reject(code=code, reason=reason, item=f"line {number}", input=path, offset=start, data=row)
                )
                continue
            table, _, rest = row.partition(b",")
            data = bytes.fromhex(rest.rpartition(b",")[2].decode())
            where = index.spool.add(data)
            index.add(label, Stored(int(table), session, path, index.spool, where, position=start))
            count += 1
    return count


def _problem(row: bytes) -> tuple[str, str] | None:
    """Why a line is no table: code and reason; None if it is one."""
    if len(row) >= _LINE - 2:
        return "input.too_large", too_large(len(row) // 2)
    table, _, rest = row.partition(b",")
    middle, comma, digits = rest.rpartition(b",")
    length = middle.rpartition(b",")[2]
    if not (comma and table.isdigit() and len(table) <= 5 and length.strip().isdigit() and len(length) <= 9):
        return "termineter.line", "not a line of termineter's dump_tables (id, name, length, hex); remove or mend it"
    try:
        data = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return "termineter.hex", "the last field is not hex, or a digit is missing; dump the table again"
    if len(data) != int(length):
        return (
            "termineter.length",
            f"the line says {int(length)} bytes and holds {len(data)}; it was probably cut; dump the table again",
        )
    if not data:
        return "input.empty", "the table is empty; read the table again, or delete the line"
    return None
