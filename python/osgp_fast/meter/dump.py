"""Dumps: every table whole, one after another, the logs as they were at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ..errors import UsageError
from ..image import PENDING, TableImage, table_name
from ..layout import MissingDimension
from ..records.profile_ring import profile_ring
from ..session.refusals import Refused
from . import profile, tasks
from .profile import BT63, ROUNDS, STATUS, runs
from .store import Store, number_of
from .talk import Talk
from .values import Refusal

PROFILE: Final = range(64, 68)
#: Logs whose header says what was added, and the bytes of it: BT26, BT74, ET79, ET45, ET74.
_HEADERS: Final = {26: 6, 74: 11, 2048 + 79: 11, 2048 + 45: 6, 2048 + 74: 9}


def wanted(store: Store, tables: Sequence[int | str] | None) -> Talk[list[int]]:
    """The numbers of the tables of a dump; BT63 after the load profile, as it belongs to what was read of it."""
    if tables is not None:
        listed = list(dict.fromkeys(number_of(table) for table in tables))
    else:
        listed = yield from tasks.listed_tables(store)
    return [number for number in listed if number != BT63] + ([BT63] if BT63 in listed else [])


def one(store: Store, number: int) -> Talk[TableImage | Refusal]:
    """A whole table, or why it was not to be had."""
    id = table_name(number)
    try:
        if id in store.held and number not in _HEADERS:
            return store.held[id]
        if number in PROFILE:
            return (yield from _profile(store, number - 64))
        if number == BT63 and (status := store.status) is not None:
            return status
        return (yield from _log(store, number))
    except Refused as error:
        store.note(number, error)
    except UsageError as error:
        if error.code != "meter.size":
            raise
        store.refused[id] = Refusal(id, number, error.code, store.access.keys(number & ~PENDING), error.message)
    return store.refused[id]


def _log(store: Store, number: int) -> Talk[TableImage]:
    image = yield from store.whole(number)
    header = _HEADERS.get(number)
    for _ in range(ROUNDS):
        if header is None or len(image.data) <= store.access.most_read:
            break
        if (yield from store.part(number, 0, header)) == image.data[:header]:
            break
        image = yield from store.whole(number)
    return image


def _profile(store: Store, n: int) -> Talk[TableImage]:
    """BT64 to BT67: the blocks that were written meanwhile are read again, and BT63 is kept as it belongs to them."""
    number = 64 + n
    yield from profile.dimensions(store)
    status = store.status or (yield from store.whole(BT63))
    place = slice(n * STATUS, (n + 1) * STATUS)
    if len(status.data) < place.stop:
        return (yield from store.whole(number))
    state = yield from store.part(BT63, n * STATUS, STATUS)
    status = _with(status, place, state)
    store.status = status
    try:
        ring = profile_ring(store.label, store.compose([status]), n)
    except MissingDimension:
        ring = None
    if ring is None:
        return (yield from store.whole(number))
    size = ring.stride * ring.blocks
    image = yield from (store.in_parts(number, size) if size > store.access.most_read else store.whole(number))
    data = bytearray(image.data)
    for _ in range(ROUNDS):
        state = yield from store.part(BT63, n * STATUS, STATUS)
        if state == status.data[place]:
            break
        status = _with(status, place, state)
        new = profile_ring(store.label, store.compose([status]), n)
        if new is None:
            break
        written = min((new.sequence - ring.sequence) % (1 << 32), ring.blocks - 1)
        elements = sorted({new.element(new.sequence - age) for age in range(written + 1)})
        for first, last in runs(elements):
            at, count = first * ring.stride, (last - first + 1) * ring.stride
            data[at : at + count] = yield from store.part(number, at, count)
        ring = new
    store.status = status
    return replace(image, data=bytes(data))


def _with(status: TableImage, place: slice, state: bytes) -> TableImage:
    data = bytearray(status.data)
    data[place] = state
    return replace(status, data=bytes(data))
