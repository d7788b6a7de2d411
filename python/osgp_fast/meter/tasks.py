"""The tasks that read: identity, clock, and the rows of every kind, each as images that the decoder takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from ..catalog import TABLES
from ..errors import UsageError
from ..image import TableImage, table_name
from ..records import NEEDS
from ..session.refusals import InappropriateActionRequested, InsufficientSecurityClearance
from . import profile, rings
from .fields import read_field, read_table
from .store import SERIAL, Store
from .talk import Talk
from .values import Clock, InputsOutputs

#: The table of every snapshot of the registers, in the order of the rows.
SNAPSHOTS: Final = {"current": "BT23", "self_read": "BT26", "previous_season": "BT24", "previous_demand_reset": "BT25"}
#: Tables of M-Bus readings; what else that kind needs are dimensions, and ET14, which changes with every reading.
MBUS_DATA: Final = ("ET14", "ET16", "ET45", "ET74")
KINDS: Final = ("meters", "channels", "registers", "measurements", "load_profile", "events", "alarms", "mbus")
_CLOCK: Final = 7
#: The source IDs of the pulse inputs (MEP guide p. 204).
PULSES: Final = {26: 1, 27: 2}
#: The newest of what a meter may lack in clocks of whole seconds.
_WHOLE_SECONDS: Final = 1.0


def moment(since: datetime | str | None) -> datetime | None:
    """A time with zone. Raises: UsageError "usage.since"."""
    if since is None:
        return None
    if isinstance(since, str):
        try:
            since = datetime.fromisoformat(since.strip())
        except ValueError:
            raise UsageError(
                "usage.since", f"{since!r} is no time", "write it as 2024-03-14, or 2024-03-14T10:00:00Z"
            ) from None
    return since if since.tzinfo is not None else since.replace(tzinfo=UTC)


def one_of(what: str, value: Any, known: Sequence[Any]) -> None:
    """Raises: UsageError "usage.choice"."""
    if value not in known:
        raise UsageError("usage.choice", f"there is no {what} {value!r}", f"there are {', '.join(map(str, known))}")


def identity_images(store: Store) -> Talk[list[TableImage]]:
    """What the row of the meter is made of."""
    yield from store.need(("BT00", "BT01"))
    return store.compose((yield from serial_image(store)))


def serial_image(store: Store) -> Talk[list[TableImage]]:
    """ET03's serial number, where there is one; read once per session."""
    yield from store.hold_part(*SERIAL)
    return []


def channels(store: Store) -> Talk[list[TableImage]]:
    """What the rows of the channels are made of."""
    yield from profile.dimensions(store)
    return store.compose([(yield from store.whole(profile.BT63))])


def registers(store: Store, snapshots: Sequence[str]) -> Talk[list[TableImage]]:
    """Snapshots of the registers; the self-reads by `rings.self_read_images`."""
    yield from rings.register_dimensions(store)
    out: list[TableImage] = []
    for snapshot, id in SNAPSHOTS.items():
        if snapshot not in snapshots:
            continue
        if snapshot == "self_read":
            out += yield from rings.self_read_images(store)
            continue
        out += yield from _table(store, id, required=len(snapshots) == 1)
    return _once(store, out)


def _once(store: Store, images: Sequence[TableImage]) -> list[TableImage]:
    """Images of several tasks, the dimensions once."""
    held = {(image.table, image.offset) for image in store.compose(())}
    return store.compose([image for image in images if (image.table, image.offset) not in held])


def _table(store: Store, id: str, *, required: bool) -> Talk[list[TableImage]]:
    """A table; nothing where this meter does not have it and others were wanted, too."""
    try:
        return [(yield from store.whole(TABLES[id].number))]
    except InappropriateActionRequested:
        if required:
            raise
        return []


def measurements(store: Store) -> Talk[list[TableImage]]:
    """The values of this moment."""
    yield from store.need(("BT00", "BT01", "BT21", "BT27"))
    return store.compose((yield from _table(store, "BT28", required=True)))


def alarms(store: Store) -> Talk[list[TableImage]]:
    """The alarms of this moment."""
    yield from store.need(("BT00", "BT01"))
    return store.compose((yield from _table(store, "BT03", required=True)))


def mbus(store: Store) -> Talk[list[TableImage]]:
    """M-Bus readings: their dimensions once, then the tables that change, those that the meter has."""
    dimensions = sorted(NEEDS["mbus"] - set(MBUS_DATA) - {"BT20", "BT70"})
    yield from store.need(("BT00", "BT01", *(id for id in dimensions if id.startswith("ET"))))
    out: list[TableImage] = []
    for id in MBUS_DATA:
        if id in rings.MBUS_LOGS:
            try:
                out += yield from rings.mbus_log_images(store, id)
            except InappropriateActionRequested as error:
                store.note(TABLES[id].number, error)
        else:
            out += yield from _table(store, id, required=False)
    return store.compose(out)


def clock(store: Store, host: Callable[[], float], running: Callable[[], float]) -> Talk[Clock]:
    """Both clocks of the meter, and that of this computer at the same moment."""
    yield from store.access.ready()
    utc = local = None
    began, ended = running(), running()
    at = host()
    try:
        began = running()
        # Exactly the time's bytes: the shorter, the better is known when it was.
        utc = yield from read_field(store, "BT52.clock")
        ended = running()
        at = host() - (ended - began) / 2
    except InappropriateActionRequested as error:
        store.note(TABLES["BT52"].number, error)
    try:
        local = yield from read_field(store, "BT55.clock")
    except InappropriateActionRequested as error:
        store.note(TABLES["BT55"].number, error)
    utc = utc if isinstance(utc, datetime) else None
    then = datetime.fromtimestamp(at, UTC)
    # On average half of a second has gone since the meter's whole second.
    drift = None if utc is None else (utc - then).total_seconds() + _WHOLE_SECONDS / 2
    return Clock(
        utc=utc,
        local=local if isinstance(local, datetime) else None,
        host=then,
        drift_s=drift,
        within_s=(ended - began) / 2 + _WHOLE_SECONDS / 2,
    )


def tree_of(store: Store, id: str) -> Talk[dict[str, Any]]:
    """A table as a tree; empty, and noted, where the meter does not give it."""
    try:
        return dict((yield from read_table(store, id)).values)
    except (InappropriateActionRequested, InsufficientSecurityClearance) as error:
        store.note(TABLES[id].number, error)
        return {}


def inputs_outputs(store: Store) -> Talk[InputsOutputs]:
    """The tenth task of the guide: optional inputs and outputs. The pulse counts are left to the registers."""
    yield from store.need(("BT00", "BT01"))
    hardware = yield from tree_of(store, "ET29")
    status = yield from tree_of(store, "ET54")
    relays = {name: value for name, value in status.items() if name.startswith("relay_")}
    modes = (yield from tree_of(store, "ET97")).get("relay")
    control = yield from tree_of(store, "ET46")
    return InputsOutputs(hardware, relays if modes is None else {**relays, "modes": modes}, control, {})


def listed_tables(store: Store) -> Talk[list[int]]:
    """The tables that the meter has: by the sets in BT00, else all of the catalogue.

    The guides end BT00 at byte 18; C12.19-1997 goes on with a bit per table (errata of BT00).
    """
    yield from store.need(("BT00", "BT01"))
    image = store.held.get("BT00")
    known = [table.number for table in TABLES.values()]
    if image is None or len(image.data) < 19:
        return known
    data = bytes(image.data)
    basic, extended = data[13], data[14]
    if len(data) < 19 + basic + extended or not any(data[19 : 19 + basic]):
        return known
    sets = ((0, data[19 : 19 + basic]), (2048, data[19 + basic : 19 + basic + extended]))
    return [first + n for first, bits in sets for n in range(8 * len(bits)) if bits[n // 8] >> n % 8 & 1]


def keys_of(store: Store, table: int) -> str:
    """For people: which keys read a table."""
    return store.access.keys(table) or f"the guides do not say who may read {table_name(table)}"
