"""M-Bus and MEP billing reads: ET16 (the latest of every device), ET45 and ET74 (logs, oldest first), one row per reading.

    a read (MBR) of an M-Bus device:  time(6, local) response info(1) { length(1) telegram(length) }
    of a MEP client:                  time(6, local) response info(1) read count(2) length(2) data(length)
    an entry of a log:                length(2) identifier(2) handle(2) execution status(1) result(1) MBR

Telegrams end where the read does (ET14's billing read length, or the entry's own length), at a length of 0, or with the
entry; what lies behind them may be left of an older, longer read. Each read of a table is a row set of its own. Source:
MEP guide, ET16, pp. 92-95, ET45, pp. 119-121, ET74, pp. 176-177.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from .. import codec
from ..catalog import TABLES
from ..catalog.et.et13 import MBUS_DEVICES
from ..columns import columns
from ..image import Read
from ..layout import MissingDimension, keys
from . import _telegram
from ._meter import Meter, Options, View, missing, reject
from ._profile_set import et42_field
from ._telegram import Head, Record

NEEDS: Final = frozenset({"ET11", "ET14", "ET16", "ET36", "ET42", "ET45", "ET54", "ET74"})
#: Bytes of the header, and how wide its counts are.
_LOGS: Final = {"ET45": (6, 1), "ET74": (9, 2)}
#: ET45 as ET36 names it: number, flag of an extended table, no procedure.
_ET45: Final = 45 | 1 << 11
_TABLE_BITS: Final = 0x1FFF
#: ET45's place among the logs of ET42.
_ET42_LOG: Final = 4
_BEFORE_READ: Final = 8
_TIME: Final = 6
_BEFORE_TELEGRAMS: Final = 7
_BEFORE_DATA: Final = 11
#: Handles from here on are those of MEP clients. Source: MEP guide p. 85.
_FIRST_CLIENT: Final = 1000
_MAX_SLOT: Final = 127
#: The guide's defaults: devices of firmware 4.0, bytes of an element of ET16 (ET11) and of a log's entry (ET36).
_DEFAULT_DEVICES: Final = 6
_DEFAULT_SIZE: Final = 517
_DEFAULT_ENTRY: Final = 525


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a billing read stands, and what is known of it before it is looked at."""

    meter: Meter
    read: Read
    table: str
    #: ``slot`` of ET16, ``entry`` of a log.
    what: str
    index: int
    handle: int | None
    offset: int
    #: Bytes that the entry has for it, and those that are in use by what other fields say.
    size: int
    used: int | None
    client: bool

    @property
    def item(self) -> str:
        """The entry, for people."""
        return f"{self.what} {self.index}"

    def reject(self, code: str, reason: str, at: int, data: bytes, length: int | None = None, item: str = "") -> None:
        """Note damage ``at`` bytes into the read."""
        whose = "" if self.handle is None else f" of handle {self.handle}"
        reject(
            self.meter,
            self.read,
            code,
            f"{self.table}, {self.item}{whose}: {reason}",
            item=self.item + item,
            offset=self.offset + at,
            data=data,
            length=len(data) if length is None else length,
        )


class _Rows:
    """The columns, a reading at a time."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {c.name: [] for c in columns("mbus")}

    def add(self, place: _Place, time: int | None, head: Head | None, number: int, record: Record) -> None:
        """Add one reading."""
        values = (
            place.meter.label,
            place.table,
            place.index if place.index <= _MAX_SLOT else -1,
            place.handle,
            time,
            None if head is None else head.manufacturer,
            None if head is None else head.serial,
            None if head is None else head.medium,
            None if head is None else head.version,
            None if head is None else head.status,
            number,
            record.quantity,
            record.unit,
            record.value,
            record.text,
            record.raw,
            place.read.read_at,
        )
        for column, value in zip(self.columns.values(), values, strict=True):
            column.append(value)


def decode(meter: Meter, options: Options) -> Iterator[dict[str, list[Any]]]:
    """The rows of a meter: ET16, then ET45, then ET74."""
    rows = _Rows()
    for table, places in (("ET16", _devices), ("ET45", _entries), ("ET74", _entries)):
        for read in meter.reads.get(table, ()):
            try:
                for place, data in places(meter, meter.view(read), read, table, options):
                    _billing_read(rows, place, data)
            except MissingDimension as error:
                missing(meter, read, error.table)
    if rows.columns["meter"]:
        yield rows.columns


def _devices(meter: Meter, view: View, read: Read, table: str, options: Options) -> Iterator[tuple[_Place, bytes]]:
    """The elements of ET16 that are there."""
    try:
        count, size = view.get("ET11", "devices"), view.get("ET11", "data_entry_size")
    except MissingDimension:
        if not options.assume_defaults:
            raise
        meter.assumed = True
        count, size = min(_DEFAULT_DEVICES, -(-read.end // _DEFAULT_SIZE)), _DEFAULT_SIZE
    if size <= _BEFORE_TELEGRAMS:
        _wrong(meter, read, "mbus.entry_size", f"ET11.5 gives its entries {size} bytes", table, "ET11")
        return
    absent: list[int] = []
    for i in range(count):
        place = _Place(meter, read, table, "slot", i, None, i * size, size, _latest_length(view, i), i >= MBUS_DEVICES)
        data = _there(place, place.offset, size)
        if data is None:
            absent.append(i)
        elif data:
            yield place, data
    _too_short(meter, read, table, absent, count, "slot")


def _latest_length(view: View, device: int) -> int | None:
    """Bytes of the latest read of a device, from its time on, by ET14."""
    return view.find("ET14", keys(TABLES["ET14"])["10"], device)


def _entries(meter: Meter, view: View, read: Read, table: str, options: Options) -> Iterator[tuple[_Place, bytes]]:
    """The entries of ET45 or ET74 that are there, oldest first."""
    size, width = _LOGS[table]
    part = read.part(0, size)
    if part is None:
        raise MissingDimension(table)
    if len(part[1]) < size:
        reason = f"{len(part[1])} of the header's {size} bytes are there; read {table} again"
        reject(meter, read, "mbus.log_header", reason, item="header", offset=part[0], data=part[1], length=size)
        return
    head = part[1]
    valid, last = (int.from_bytes(head[1 + i * width : 1 + (i + 1) * width], "little") for i in (0, 1))
    if valid == 0:
        return
    room, stride = _dimensions(meter, view, read, table, options)
    if stride <= _BEFORE_READ + _BEFORE_TELEGRAMS:
        _wrong(meter, read, "mbus.entry_size", f"its entries are {stride} bytes", table, "ET36")
        return
    if valid > room:
        _wrong(
            meter, read, "mbus.count", f"the header counts {valid} entries in a log with room for {room}", table, "ET36"
        )
        return
    if last >= room:
        what = f"the header says entry {last} is the newest of a log with room for {room}"
        _wrong(meter, read, "mbus.last_entry", what, table, "ET36")
        return
    step = -1 if head[0] & 1 else 1
    absent: list[int] = []
    for age in range(valid - 1, -1, -1):
        i = (last - step * age) % room
        offset = size + i * stride
        place = _Place(meter, read, table, "entry", i, None, offset, stride, None, False)
        data = _there(place, offset, stride)
        if data is None:
            absent.append(i)
            continue
        if len(data) < _BEFORE_READ:
            if data:
                reason = f"{len(data)} of its {stride} bytes are there; read {table} again"
                place.reject("mbus.entry_incomplete", reason, 0, data, stride)
            continue
        length, handle = (int.from_bytes(data[a : a + 2], "little") for a in (0, 4))
        if length == 0:
            continue
        # Lengths that count from the handle on, as the text has it, are longer; a telegram is longer than the difference.
        used = length + 2 - _BEFORE_READ
        start, left = offset + _BEFORE_READ, stride - _BEFORE_READ
        client = handle >= _FIRST_CLIENT
        yield _Place(meter, read, table, "entry", i, handle, start, left, used, client), data[_BEFORE_READ:]
    _too_short(meter, read, table, absent, valid, "entry")


def _dimensions(meter: Meter, view: View, read: Read, table: str, options: Options) -> tuple[int, int]:
    """Entries and bytes of an entry: from ET36, else ET42's copies; those of ET74 from ET54, else ET42.

    With defaults assumed: the guide's size, and as many entries as a whole read has room for.
    """
    entries = size = None
    for i in range(view.find("ET36", "count") or 0):
        if (view.find("ET36", "log.table", i) or 0) & _TABLE_BITS == _ET45:
            entries, size = view.find("ET36", "log.current_entries", i), view.find("ET36", "log.entry_size", i)
            break
    if entries is None or size is None:
        entries, size = view.find("ET42", "log.count", _ET42_LOG), view.find("ET42", "log.entry_size", _ET42_LOG)
    missing = None if entries is not None and size is not None else "ET36"
    if table == "ET74" and missing is None:
        entries = view.find("ET54", keys(TABLES["ET54"])["69"])
        if entries is None:
            entries = et42_field(view, "et74_entries")
        missing = None if entries is not None else "ET54"
    if missing is None and entries is not None and size is not None:
        return entries, size
    if not options.assume_defaults or not read.whole:
        raise MissingDimension(missing or table)
    meter.assumed = True
    size = size if missing == "ET54" and size else _DEFAULT_ENTRY
    return (read.end - _LOGS[table][0]) // size, size


def _wrong(meter: Meter, read: Read, code: str, what: str, table: str, other: str) -> None:
    """Note that a table and its dimensions contradict."""
    found = read.part(0, 16) or (0, b"")
    reject(
        meter,
        read,
        code,
        f"{table}: {what}; read {table} and {other} again",
        item="header",
        offset=found[0],
        data=found[1],
    )


def _there(place: _Place, offset: int, size: int) -> bytes | None:
    """The first bytes of an entry that are there: None if none are, and empty if its start is missing."""
    found = place.read.part(offset, size)
    if found is None:
        return None
    if found[0] != offset:
        reason = f"its first {found[0] - offset} bytes are missing; read {place.table} again"
        place.reject("mbus.entry_incomplete", reason, found[0] - offset, bytes(found[1]), size)
        return b""
    return bytes(found[1])


def _too_short(meter: Meter, read: Read, table: str, absent: list[int], count: int, what: str) -> None:
    if absent and read.whole:
        reject(
            meter,
            read,
            "table.too_short",
            f"{table} ends after {read.end} bytes, before {len(absent)} of its {count} entries; read {table} again",
            item=f"{what} {absent[0]}",
            offset=read.end,
            data=b"",
        )


def _billing_read(rows: _Rows, place: _Place, data: bytes) -> None:
    """The readings of one billing read; ``data`` are its bytes as far as they are there."""
    if not any(data) or all(b == 0xFF for b in data):
        return
    if len(data) <= _BEFORE_TELEGRAMS:
        if len(data) < place.size:
            _incomplete(place, data)
        return
    try:
        seconds = codec.seconds(data[:_TIME])
    except codec.ImpossibleDate as error:
        seconds = None
        place.reject("mbus.time", f"the time {error} does not exist; the readings are kept without it", 0, data[:_TIME])
    time = None if seconds is None else seconds * 1_000_000
    if place.client:
        _client_data(rows, place, time, data)
    else:
        _telegrams(rows, place, time, data)


def _incomplete(place: _Place, data: bytes) -> None:
    reason = f"{len(data)} of its {place.size} bytes are there; read {place.table} again"
    place.reject("mbus.entry_incomplete", reason, 0, data, place.size)


def _client_data(rows: _Rows, place: _Place, time: int | None, data: bytes) -> None:
    """What a MEP client submitted: bytes of its own."""
    if len(data) < _BEFORE_DATA:
        if len(data) < place.size:
            _incomplete(place, data)
        return
    length = int.from_bytes(data[9:11], "little")
    raw = data[_BEFORE_DATA : _BEFORE_DATA + length]
    if length:
        rows.add(place, time, None, 0, Record("MEP data", raw))
    if len(raw) < length:
        _cut(place, data, _BEFORE_DATA, _BEFORE_DATA + length, "the client's data", "")


def _cut(place: _Place, data: bytes, at: int, end: int, what: str, item: str) -> None:
    """Note that what should go on to ``end`` ends with the bytes that are there; ``at`` is where it is not read on."""
    if len(data) < place.size:
        reason = f"{what} is not all there; read {place.table} again"
        place.reject("mbus.entry_incomplete", reason, at, data[at:], end - at, item)
    else:
        reason = f"{what} is {end - place.size} bytes longer than its place; the meter kept the start alone"
        place.reject("mbus.cut", reason, at, data[at:], end - at, item)


def _telegrams(rows: _Rows, place: _Place, time: int | None, data: bytes) -> None:
    """The telegrams of an M-Bus device, one after another."""
    size = _telegram.head_size(data[6])
    number = 0
    first: Head | None = None
    at = _BEFORE_TELEGRAMS
    while at < len(data) and not (first and place.used is not None and at >= place.used):
        length = data[at]
        start, end = at + 1, at + 1 + length
        body = data[start:end]
        if length == 0 or (length == 0xFF and all(b == 0xFF for b in body)):
            return
        at = end
        item = f", record {number}"
        if len(body) < size:
            if len(body) < length:
                _cut(place, data, start, end, "a telegram", item)
            else:
                reason = f"a telegram of {length} bytes is shorter than the {size} of its head; the next one is tried"
                place.reject("mbus.telegram", reason, start, body, None, item)
            continue
        head, found, broken = _telegram.parse(body, data[6], whole=len(body) == length)
        if first is not None and head.identity != first.identity:
            reason = "what follows is no telegram of the same device: left of an older, longer read, or damaged; read ET14 too"
            place.reject("mbus.other_device", reason, start, data[start:], None, item)
            return
        first = first or head
        for record in found:
            rows.add(place, time, head, number, record)
            number += 1
        item = f", record {number}"
        stop = start + (len(body) if broken is None else broken.at)
        if len(body) < length:
            _cut(place, data, stop, end, "a telegram", item)
        elif broken is not None:
            reason = f"{broken.reason}; the readings before it are kept"
            place.reject(broken.code, reason, stop, data[stop:end], None, item)
