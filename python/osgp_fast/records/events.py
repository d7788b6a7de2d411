"""Event logs: the rings of BT74 (primary) and ET79 (alternate) become one row per entry, in order of sequence.

The header holds the newest entry's sequence number in 32 bits, an entry the low 16 bits of its own: the full number is
the largest one up to the newest with those bits. Both logs share one sequence, so gaps are normal. User ID 0xFFFF means
that nobody was logged in, 0xFFFE a PLC, P2P or G3 message, 0xFFFD a MEP client. Source: MEP guide, BT74, p. 241, and
ET79, p. 181; C12.19-1997, table 74; names: ``event_codes.json``, whose open questions stand in docs/what-is-decoded.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from .. import codec
from ..catalog import event_names
from ..columns import columns
from ..image import Read
from ..layout import Leaf, MissingDimension
from ._meter import IDS, Meter, View, missing, reject
from ._profile_set import et42_field
from .load_profile import which_read

NEEDS: Final = frozenset({"BT70", "BT71", "BT74", "ET42", "ET54", "ET79"})
_LOGS: Final = (("BT74", "primary"), ("ET79", "alternate"))
_SEQUENCES: Final = 1 << 32
#: C12.19's flag of a manufacturer event (TABLE_IDB_BFLD); NES numbers these from 64.
_MANUFACTURER: Final = 0x800
_FIRST_MANUFACTURER: Final = 64
_NAMES: Final = event_names()

_Row = tuple[int | None, int | None, int, int, bytes]


def event_name(code: int) -> str | None:
    """The name of a 12-bit event code as logged; bit 11 marks a manufacturer event."""
    return _NAMES.get(_FIRST_MANUFACTURER + (code & 0x7FF) if code & _MANUFACTURER else code)


def decode(meter: Meter) -> Iterator[dict[str, list[Any]]]:
    """The rows of both logs of a meter."""
    names = [c.name for c in columns("events")]
    for table, log in _LOGS:
        versions: list[tuple[Read, list[tuple[_Row, int]]]] = []
        for read in meter.reads.get(table, ()):
            try:
                versions.append((read, _entries(meter, meter.view(read), read)))
            except MissingDimension as error:
                missing(meter, read, error.table)
        rows: dict[str, list[Any]] = {name: [] for name in names}
        for read, (sequence, time, user, code, argument) in _merge(meter, versions):
            rows["meter"].append(meter.label)
            rows["log"].append(log)
            rows["sequence"].append(sequence)
            rows["time"].append(time)
            rows["user_id"].append(user)
            rows["event_code"].append(code)
            rows["event"].append(event_name(code))
            rows["argument"].append(argument)
            rows["read_at"].append(read.read_at)
        if rows["meter"]:
            yield rows


def dimensions(view: View, table: str) -> dict[str, int]:
    """The answers to the variables of the log tables: BT71, before firmware 2.12 BT70; ET54.80, else ET42's copy."""
    log = "BT71" if view.find("BT71", "history_entries") is not None else "BT70"
    if view.find(log, "history_entries") is None:
        raise MissingDimension("BT71")
    entries: int | None = view.get(log, "history_entries")
    if table == "ET79":
        entries = view.find("ET54", "et79_entries")
        if entries is None:
            entries = et42_field(view, "et79_entries")
        if entries is None:
            raise MissingDimension("ET54")
    return {
        "log_date_time": view.get(log, "flags.date_time"),
        "log_event_number": view.get(log, "flags.event_number"),
        "log_sequence": view.get(log, "flags.sequence_number"),
        "log_argument": view.get(log, "history_data_length"),
        "log_entries": entries or 0,
    }


def _entries(meter: Meter, view: View, read: Read) -> list[tuple[_Row, int]]:
    """The entries of one read, oldest first, with their offsets."""
    name = IDS[read.table]
    part = read.part(0, 11)
    if part is None:
        raise MissingDimension(name)
    if len(part[1]) < 11:
        reject(
            meter,
            read,
            "events.header",
            f"{len(part[1])} of the header's 11 bytes are there; read {name} again",
            item="header",
            offset=part[0],
            data=part[1],
            length=11,
        )
        return []
    head = part[1]
    valid, last, last_sequence = (int.from_bytes(head[a:b], "little") for a, b in ((1, 3), (3, 5), (5, 9)))
    if valid == 0:
        return []
    variables = dimensions(view, name)
    parts = view.layout(name, **variables)
    entries = variables["log_entries"]
    if valid > entries or last >= entries:
        code, what = (
            ("events.count", f"{valid} valid entries")
            if valid > entries
            else ("events.last_entry", f"entry {last} as the newest")
        )
        reject(
            meter,
            read,
            code,
            f"the header says {what}, and the log has room for {entries}; read {name} and its dimensions again",
            item="header",
            offset=0,
            data=head,
        )
        return []
    step = -1 if head[0] & 1 else 1
    user = parts.by_path["entry.user_id"][0]
    axis = user.axes[0]
    start = 11
    leaves = {p: parts.find(f"entry.{p}") for p in ("time", "sequence", "user_id", "code.event", "argument")}
    out: list[tuple[_Row, int]] = []
    absent = 0
    first_absent = 0
    for age in range(valid - 1, -1, -1):
        element = (last - step * age) % entries
        offset = start + element * axis.stride
        found = read.part(offset, axis.stride)
        if found is None:
            first_absent = element if not absent else first_absent
            absent += 1
            continue
        data = found[1]
        if len(data) < axis.stride:
            reject(
                meter,
                read,
                "events.entry_incomplete",
                f"{len(data)} of the entry's {axis.stride} bytes are there; read {name} again",
                item=f"entry {element}",
                offset=found[0],
                data=data,
                length=axis.stride,
            )
            continue
        out.append((_entry(meter, read, leaves, bytes(data), element, offset, last_sequence), offset))
    if absent and read.whole:
        reject(
            meter,
            read,
            "table.too_short",
            f"{name} ends after {read.end} bytes, before {absent} of the {valid} entries that its header counts; "
            f"read {name} again",
            item=f"entry {first_absent}",
            offset=read.end,
            data=b"",
        )
    return out


def _entry(
    meter: Meter,
    read: Read,
    leaves: dict[str, Leaf | None],
    data: bytes,
    element: int,
    offset: int,
    last_sequence: int,
) -> _Row:
    def raw(path: str) -> bytes | None:
        leaf = leaves[path]
        return None if leaf is None else data[leaf.offset - 11 : leaf.offset - 11 + leaf.size]

    time: int | None = None
    if (stamp := raw("time")) is not None:
        try:
            found = codec.seconds(stamp)
            time = None if found is None else found * 1_000_000
        except codec.ImpossibleDate as error:
            reject(
                meter,
                read,
                "events.time",
                f"the time {error} does not exist; the event is kept without it",
                item=f"entry {element}",
                offset=offset,
                data=data,
            )
    sequence: int | None = None
    if (low := raw("sequence")) is not None:
        behind = (last_sequence - int.from_bytes(low, "little")) & 0xFFFF
        sequence = (last_sequence - behind) % _SEQUENCES
    user = int.from_bytes(raw("user_id") or b"", "little")
    code = int.from_bytes(raw("code.event") or b"", "little") & 0xFFF
    return sequence, time, user, code, raw("argument") or b""


def _merge(meter: Meter, versions: list[tuple[Read, list[tuple[_Row, int]]]]) -> Iterator[tuple[Read, _Row]]:
    """The entries of all reads once each: the latest bytes win, contradictions are told."""
    if len(versions) == 1:
        for row, _ in versions[0][1]:
            yield versions[0][0], row
        return
    latest: dict[int, tuple[Read, _Row, int]] = {}
    loose: dict[_Row, Read] = {}
    for read, rows in versions:
        for row, offset in rows:
            sequence = row[0]
            if sequence is None:
                loose.pop(row, None)
                loose[row] = read
                continue
            old = latest.get(sequence)
            if old is not None and old[1] != row:
                reject(
                    meter,
                    read,
                    "events.contradiction",
                    f"event {sequence} differs between two reads, {which_read(old[0])} and {which_read(read)}; the later one is "
                    "used",
                    item=f"event {sequence}",
                    offset=old[2],
                    data=repr_row(old[1]),
                )
            latest[sequence] = (read, row, offset)
    wraps = max(latest, default=0) - min(latest, default=0) > _SEQUENCES // 2
    for sequence in sorted(latest, key=(lambda s: (s + _SEQUENCES // 2) % _SEQUENCES) if wraps else None):
        read, row, _ = latest[sequence]
        yield read, row
    for row, read in loose.items():
        yield read, row


def repr_row(row: _Row) -> bytes:
    """The bytes of an event that were not used: user, code, argument."""
    return row[2].to_bytes(2, "little") + row[3].to_bytes(2, "little") + row[4]
