"""`Meter` and `AsyncMeter`: the tasks of the guides as methods, blocking or awaitable, over the same dialogues."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from os import PathLike
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .. import codec
from ..codec import Decoded, transactions
from ..decode import decode_images
from ..errors import UsageError
from ..image import TableImage, table_name
from ..session.mep_procedure import Place
from ..sinks import open_image_sink
from . import changing, dump, fields, profile, rings, tasks, writing
from .access import Access
from .mep import Mep
from .store import SERIAL, Store, number_of
from .talk import AnyLine, Talk, end, end_async, finish, have, have_async, in_thread
from .values import Alert, Change, Clock, Identity, InputsOutputs, Pending, ProcedureResult, Refusal, Reply
from .wear import Wear

if TYPE_CHECKING:
    from ..decode.result import Result

T = TypeVar("T")
#: A time with zone, or a text of RFC 3339; naive ones are UTC.
Since = datetime | str | None
#: Bytes that came, bytes that are expected in the task under way (as many as came: not known).
Progress = Callable[[int, int], object]
#: The name of a table, and its image or why there is none.
OnTable = Callable[[str, "TableImage | Refusal"], object]
#: A step of a transaction: a request of `codec.transactions`, or (table), (table, offset, count), (table, offset, bytes).
Step = transactions.Request | tuple[int | str] | tuple[int | str, int, int | bytes]


class _Face:
    """What both faces share: what is known, and the dialogues of the tasks."""

    def __init__(self, line: AnyLine, access: Access, store: Store, password_form: str) -> None:
        self._line, self._access, self._store = line, access, store
        self._form = password_form
        self._closed = False
        self._wear = Wear()

    def _count(self, table: int | str, force: bool) -> None:
        """Before a write: whether the memory stands it. Raises: UsageError "meter.wear"."""
        self._wear.count(number_of(table), self._line.clock(), force)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._store.label} on {self._line.port.name}>"

    @property
    def label(self) -> str:
        """The meter's label in rows and images: ``meter=``, else the utility's serial number, else the manufacturer's."""
        return self._store.label

    @property
    def password_form(self) -> str:
        """How the password, or the key of the MEP port, was understood, in words: ``20 characters``, ``40 hex digits``, ``no
        password``, ``32 hexadecimal digits``."""
        return self._form

    @property
    def images(self) -> Sequence[TableImage]:
        """Every table image that was read so far, in order; kept when a task fails or is interrupted."""
        return self._store.images

    @property
    def refused(self) -> Mapping[str, Refusal]:
        """The tables that the meter has refused in this session."""
        return self._store.refused

    @property
    def bytes_received(self) -> int:
        """Bytes that came on the line so far, all of the protocol's included."""
        return self._line.connection.counts.bytes_received

    @property
    def sessions(self) -> int:
        """How many sessions there were so far: more than one where the meter's limit or the line has ended one."""
        return self._access.sessions

    @property
    def recent_writes(self) -> Sequence[float]:
        """The writes to memory that wears of the last day, as seconds ago, oldest first. Whoever keeps them from one program
        to the next gives them back here, so that the limits of `write` hold for all of them together."""
        return self._wear.ages(self._line.clock())

    @recent_writes.setter
    def recent_writes(self, ages: Iterable[float]) -> None:
        self._wear.remember(ages, self._line.clock())

    @property
    def progress(self) -> Progress | None:
        """Called with the bytes that came and those that are expected; may be set at any time."""
        return self._store.progress

    @progress.setter
    def progress(self, progress: Progress | None) -> None:
        self._store.progress = progress

    # ---- the MEP port

    @property
    def security(self) -> str:
        """How messages are protected now: ``tls``, ``rc4``, ``clear``; on the optical port ``none``."""
        return self._access.connection.mode.value if isinstance(self._access, Mep) else "none"

    @property
    def alerts(self) -> Sequence[Alert]:
        """The alerts of the MEP port that were heard so far, oldest first, the last 256; none on the optical port."""
        return tuple(self._access.alerts) if isinstance(self._access, Mep) else ()

    @property
    def on_alert(self) -> Callable[[Alert], object] | None:
        """Called with every `Alert`, in the middle of a task: it must not use the meter. May be set at any time."""
        return self._access.on_alert if isinstance(self._access, Mep) else None

    @on_alert.setter
    def on_alert(self, call: Callable[[Alert], object] | None) -> None:
        self._mep.on_alert = call

    @property
    def _mep(self) -> Mep:
        if not isinstance(self._access, Mep):
            raise UsageError(
                "usage.mep",
                "this is for the MEP port, and the meter was opened at its optical port",
                "open mep:PORT with key=",
            )
        return self._access

    # ---- dialogues

    def _begun(self, task: Talk[T]) -> Talk[T]:
        yield from self._store.begin()
        return (yield from task)

    def _rows(
        self,
        what: str,
        task: Talk[list[TableImage]],
        *,
        shape: Any = "long",
        delta: bool = False,
        since: datetime | None = None,
    ) -> Talk[Result]:
        yield from self._store.begin()
        images = yield from task
        return decode_images(images, what=what, shape=shape, delta=delta, since=since)

    def _identity(self) -> Talk[Identity]:
        result = yield from self._rows("meters", tasks.identity_images(self._store))
        row = next(iter(result.rows()))
        names = ("utility_serial", "manufacturer", "model", "manufacturer_serial", "firmware")
        return Identity(*(row[name] or None for name in names))

    def _serial_number(self) -> Talk[str]:
        yield from self._store.begin()
        yield from tasks.serial_image(self._store)
        image = self._store.parts.get(SERIAL[:2])
        serial = codec.text(image.data) if image is not None else ""
        if serial:
            return serial
        found = yield from self._identity()
        return found.manufacturer_serial or ""

    def _firmware(self) -> Talk[str]:
        yield from self._store.begin()
        yield from self._store.dimension("BT01")
        packed = self._store.value("BT01", "firmware")
        return "" if packed is None else codec.firmware(packed)

    def _inputs_outputs(self) -> Talk[InputsOutputs]:
        yield from self._store.begin()
        found = yield from tasks.inputs_outputs(self._store)
        registers = yield from self._registers()
        counts: dict[int, int | None] = dict.fromkeys(tasks.PULSES.values())
        for row in registers.rows():
            if row["source"] in tasks.PULSES and row["tier"] is None and row["kind"] == "summation":
                counts[tasks.PULSES[row["source"]]] = row["value"]
        return replace(found, pulse_inputs=counts)

    def _kind(self, what: str, options: Mapping[str, Any]) -> Talk[Result]:
        known: dict[str, Callable[..., Talk[Result]]] = {
            "meters": self._meters,
            "channels": self._channels,
            "registers": self._registers,
            "measurements": self._measurements,
            "load_profile": self._load_profile,
            "events": self._events,
            "alarms": self._alarms,
            "mbus": self._mbus,
        }
        tasks.one_of("kind", what, list(known))
        return known[what](**options)

    def _meters(self) -> Talk[Result]:
        return self._rows("meters", tasks.identity_images(self._store))

    def _channels(self) -> Talk[Result]:
        return self._rows("channels", tasks.channels(self._store))

    def _registers(self, snapshots: Sequence[str] = ("current",)) -> Talk[Result]:
        for snapshot in snapshots:
            tasks.one_of("snapshot", snapshot, list(tasks.SNAPSHOTS))
        return self._rows("registers", tasks.registers(self._store, snapshots))

    def _measurements(self) -> Talk[Result]:
        return self._rows("measurements", tasks.measurements(self._store))

    def _load_profile(
        self, since: Since = None, *, data_set: int | None = None, delta: bool = False, shape: str = "long"
    ) -> Talk[Result]:
        if data_set is not None:
            tasks.one_of("data set", data_set, (1, 2, 3, 4))
        tasks.one_of("shape", shape, ("long", "wide"))
        if delta and shape == "wide":
            raise UsageError("usage.delta", "the wide shape has no delta", "leave out delta, or use the long shape")
        time = tasks.moment(since)
        task = profile.load_profile(self._store, time, data_set, delta)
        return self._rows("load_profile", task, shape=shape, delta=delta, since=time)

    def _events(self, since: Since = None, *, log: str | None = None) -> Talk[Result]:
        if log is not None:
            tasks.one_of("log", log, list(rings.LOGS))
        time = tasks.moment(since)
        logs = list(rings.LOGS) if log is None else [log]
        return self._rows("events", rings.events_images(self._store, time, logs), since=time)

    def _alarms(self) -> Talk[Result]:
        return self._rows("alarms", tasks.alarms(self._store))

    def _mbus(self) -> Talk[Result]:
        return self._rows("mbus", tasks.mbus(self._store))

    def _read(self, table: int | str, offset: int | None, count: int | None) -> Talk[bytes]:
        number = number_of(table)
        if (offset is None) != (count is None):
            raise UsageError("usage.partial", "offset and count go together", "give both, or none for the whole table")
        if offset is None or count is None:
            image = yield from self._begun(self._store.whole(number))
            return bytes(image.data)
        if offset < 0 or count < 1 or offset + count > 1 << 24:
            raise UsageError("usage.partial", f"{count} bytes from offset {offset} are no part of a table")
        return (yield from self._begun(self._store.part(number, offset, count)))

    def _clock(self) -> Talk[Clock]:
        return self._begun(tasks.clock(self._store, self._store.clock, self._line.clock))

    def _transaction(self, steps: Sequence[Step], number: int | None) -> Talk[list[Reply]]:
        if number is not None and not 0 <= number <= 0xFFFF:
            raise UsageError(
                "usage.transaction", f"the number of a transaction is {number}", "0 to 65535, or leave it out"
            )
        if not steps:
            raise UsageError("usage.transaction", "a transaction of no steps does nothing", "give it some")
        return self._begun(self._mep.transaction([_request(step) for step in steps], number))

    def _register(
        self, identification: bytes | None, et59: bool, mbus_alerts: bool, delta_data_alerts: bool
    ) -> Talk[Place]:
        return self._begun(
            self._mep.register(identification, et59=et59, mbus_alerts=mbus_alerts, delta_data_alerts=delta_data_alerts)
        )

    def _where(self) -> Talk[Place]:
        return self._begun(self._mep.place())

    def _wait_alert(self, seconds: float) -> Talk[Alert | None]:
        # Not begun like the others: that would look at an alert that is waited for.
        return self._mep.wait_alert(seconds)

    def _change_baud(self, baud: int) -> Talk[None]:
        return self._begun(self._mep.change_baud(baud))

    def _write_field(self, field: str, value: Any, verify: bool, force: bool) -> Talk[Change]:
        found = yield from self._begun(changing.change(self._store, field, value, None))
        self._count(found.number, force)
        yield from writing.write(self._store, found.number, found.new, found.offset, verify)
        return found

    def _write_pending(
        self, table: int | str, data: bytes | Mapping[str, Any], event: bytes, verify: bool
    ) -> Talk[None]:
        return self._begun(writing.write(self._store, number_of(table) | 4096, data, None, verify, event))


def _request(step: Step) -> transactions.Request:
    """Raises: UsageError."""
    if isinstance(step, transactions.Request):
        return step
    number = number_of(step[0])
    if len(step) == 1:
        return transactions.read(number)
    _, offset, what = step
    if isinstance(what, bytes):
        return transactions.write(number, what, offset)
    return transactions.read(number, offset, what)


class Meter(_Face):
    """A meter that is logged on to: ``with osgp_fast.open("/dev/ttyUSB0", password="...") as meter: ...``.

    Nothing is written but by `write`, `write_field`, `write_pending` and `procedure`. Dimensions are read once per session and kept. A
    session is logged off and on again between two requests before the meter would end it; a read that the line has spoilt
    is asked again in a new session.

    Raises, from every task: `session.Refused` and its subclasses where the meter says no; TransportError for the line
    ("line.*", "port.*", "meter.stopped"); SecurityError "meter.password". What was read until then is in ``images``.
    """

    def open(self) -> Self:
        """Log on; `osgp_fast.open` does it."""
        try:
            self._run(self._store.begin())
        except BaseException:
            self.close()
            raise
        return self

    def _run(self, task: Talk[T]) -> T:
        try:
            return have(self._line, task, self._store.tell)
        except Exception:
            raise
        except BaseException:
            # Interrupted: the answer under way is waited for, so that the meter can be logged off.
            finish(self._line)
            raise

    # Who it is

    def serial_number(self) -> str:
        """The utility's serial number (ET03), else the manufacturer's (BT01). Needs no password."""
        return self._run(self._serial_number())

    def firmware(self) -> str:
        """``3.50.01`` (BT01). Needs no password."""
        return self._run(self._firmware())

    def identity(self) -> Identity:
        """Manufacturer, model, serial numbers, firmware (ET03, BT01). Needs no password."""
        return self._run(self._identity())

    def clock(self) -> Clock:
        """The meter's clock and how far it is from this computer's."""
        return self._run(self._clock())

    def inputs_outputs(self) -> InputsOutputs:
        """Which optional inputs and outputs there are, and how they stand (ET29, ET46, ET54, ET97, BT23)."""
        return self._run(self._inputs_outputs())

    # Rows: the same kinds and columns as `osgp_fast.decode`

    def read_rows(self, what: str, **options: Any) -> Result:
        """One kind of rows by its name, ``meters``, ``registers``, ... with the options of its own method."""
        return self._run(self._kind(what, options))

    def meters(self) -> Result:
        """The row of this meter."""
        return self._run(self._meters())

    def channels(self) -> Result:
        """The channels of the load profile."""
        return self._run(self._channels())

    def registers(self, snapshots: Sequence[str] = ("current",)) -> Result:
        """Registers now (``current``, BT23); ``self_read``, ``previous_season`` and ``previous_demand_reset`` beside."""
        return self._run(self._registers(snapshots))

    def self_reads(self) -> Result:
        """The registers of the self-reads (BT26): only entries that hold one are read."""
        return self._run(self._registers(("self_read",)))

    def measurements(self) -> Result:
        """The values of this moment (BT28): voltages, currents, powers."""
        return self._run(self._measurements())

    def load_profile(
        self, since: Since = None, *, data_set: int | None = None, delta: bool = False, shape: str = "long"
    ) -> Result:
        """Load profile of one data set (1-4) or all that are there; ``since``: intervals that end later.

        Only blocks that can hold such intervals are read. ET21 and BT63 are read before and after: where the meter went on
        meanwhile, the blocks that it wrote are read again. Raises: RemoteProtocolError "meter.restless" where it never
        holds still.
        """
        return self._run(self._load_profile(since, data_set=data_set, delta=delta, shape=shape))

    def events(self, since: Since = None, *, log: str | None = None) -> Result:
        """Events of the ``primary`` (BT74) or ``alternate`` log (ET79), or both; ``since``: only later ones.

        Read backwards from the newest one, up to the first that is not later; events without a time among them are kept.
        """
        return self._run(self._events(since, log=log))

    def alarms(self) -> Result:
        """Alarms now (BT03)."""
        return self._run(self._alarms())

    def mbus(self) -> Result:
        """Readings of M-Bus devices and MEP clients (ET16, ET45, ET74)."""
        return self._run(self._mbus())

    # Tables

    def read(self, table: int | str, offset: int | None = None, count: int | None = None) -> bytes:
        """The bytes of a table, all of them or ``count`` from ``offset`` on; ``BT54.pending`` works, too.

        A meter fills what lies behind the end of a table with zeros (Optical guide p. 9).
        """
        return self._run(self._read(table, offset, count))

    def read_table(self, table: int | str) -> Decoded:
        """A table as a tree of its fields: ``meter.read_table("BT61")["set.0.channels"]``."""
        return self._run(self._begun(fields.read_table(self._store, table)))

    def read_field(self, field: str) -> Any:
        """One field, with one partial read of exactly its bytes.

        ``field`` is in the guides' notation, ``BT61.7``, ``ET55.107.2`` (in an array: of element 0, or ``BT61.7[1]``), or a
        path of the catalogue, ``BT61.set.0.blocks``. Raises: UsageError "meter.field".
        """
        return self._run(self._begun(fields.read_field(self._store, field)))

    def pending(self, table: int | str) -> Pending:
        """A pending table and its event. Source: Optical guide pp. 8-10."""
        return self._run(self._begun(writing.pending(self._store, table)))

    # Writing

    def write(
        self,
        table: int | str,
        data: bytes | Mapping[str, Any],
        *,
        offset: int | None = None,
        verify: bool = True,
        force: bool = False,
    ) -> None:
        """Write a table, whole, from ``offset`` on, or from a tree of values; then read it back.

        It is never sent twice: where the line failed, reading back tells whether it arrived. Memory wears: more than four
        writes an hour warn (`MemoryWearWarning`), more than a hundred a day need ``force`` (MEP guide pp. 44, 51). Raises:
        RemoteProtocolError or TransportError "meter.not_written", where the table differs afterwards; UsageError
        "meter.wear".
        """
        self._count(table, force)
        return self._run(self._begun(writing.write(self._store, table, data, offset, verify)))

    def write_field(self, field: str, value: Any, *, verify: bool = True, force: bool = False) -> Change:
        """Write one field, as `read_field` names it, with exactly its bytes; then read it back. Gives what was changed.

        ``value``: as `read_field` gives it, or a text as people write it: ``"60"``, ``"12.5 V"``, a listed name, ``"true"``,
        ``"2024-03-14"``, hex digits of bytes. Bits of a word, members and elements that it does not name stay as they are.
        Raises: UsageError "meter.field", "usage.value"; TableError "table.value"; and as `write`.
        """
        return self._run(self._write_field(field, value, verify, force))

    def change(self, what: int | str, value: Any, *, offset: int | None = None) -> Change:
        """What a write would change, without writing: of a field as `write_field` takes it, or of a table as `write` does.

        Only as many bytes are read as would be written. Raises: UsageError "meter.range" for bytes that are no part of the
        table, or for a whole table of another length; and as `write_field`.
        """
        return self._run(self._begun(changing.change(self._store, what, value, offset)))

    def write_pending(
        self,
        table: int | str,
        data: bytes | Mapping[str, Any],
        *,
        at: datetime | None = None,
        ped: bytes | None = None,
        self_read: bool = False,
        demand_reset: bool = False,
        verify: bool = True,
        force: bool = False,
    ) -> None:
        """Write a pending table that takes effect ``at`` a time, or as the six bytes of ``ped`` say (code 2, by a
        procedure only, without either). Source: Optical guide p. 10."""
        event = writing.event_bytes(at, ped, self_read, demand_reset)
        self._count(table, force)
        return self._run(self._write_pending(table, data, event, verify))

    def procedure(
        self,
        procedure: int | str,
        parameters: bytes | Mapping[str, Any] = b"",
        *,
        wait_s: float = 10.0,
        check: bool = True,
        force: bool = False,
    ) -> ProcedureResult:
        """Execute a procedure (``EP17``, ``BP12``, or its number) once and wait for its result.

        Its sequence number is looked for in BT08; it is never executed twice. Raises: RemoteProtocolError
        "meter.procedure_failed" for another result than completed, unless ``check`` is off; TransportError
        "meter.procedure_unknown" where nothing tells whether it was executed; UsageError "meter.wear", see `write`.
        """
        self._count("BT07", force)
        return self._run(self._begun(writing.procedure(self._store, procedure, parameters, wait_s, check)))

    # Dumps

    def dump(
        self, tables: Sequence[int | str] | None = None, *, on_table: OnTable | None = None
    ) -> Iterator[TableImage]:
        """Every table that the meter gives, one whole image after another; refusals go to ``on_table`` and ``refused``.

        ``tables``: these only. Without, the ones that BT00 lists, else all that the catalogue knows.
        """
        for number in self._run(self._begun(dump.wanted(self._store, tables))):
            found = self._run(self._begun(dump.one(self._store, number)))
            if on_table is not None:
                on_table(table_name(number), found)
            if isinstance(found, TableImage):
                yield found

    def dump_to(
        self,
        out: str | PathLike[str],
        tables: Sequence[int | str] | None = None,
        *,
        on_table: OnTable | None = None,
    ) -> list[str]:
        """`dump` into ``DIR/`` (a directory per meter, a file per table) or a Parquet or Arrow file of table images.

        Returns: the files. What was read is written also where the meter stops half-way or somebody interrupts.
        """
        sink = open_image_sink(out)
        try:
            for image in self.dump(tables, on_table=on_table):
                sink.write(image)
        finally:
            files = sink.finish()
        return files

    # The MEP port

    def place(self) -> Place:
        """Which of the meter's MEP clients this is, and the tables that follow from it (MEP guide pp. 21-24)."""
        return self._run(self._where())

    def transaction(self, steps: Sequence[Step], *, number: int | None = None, force: bool = False) -> list[Reply]:
        """Have the meter execute several reads and writes one after another, all in one (ET52, ET53): a `Reply` for each.

        ``steps``: ``("BT23",)`` reads a table, ``("BT23", 0, 44)`` bytes of it, ``("ET55", 17, b"...")`` writes some. It is
        executed once: what became of it is looked up by its number, which is made up where none is given. On a meter with two
        MEP ports the other one is locked out meanwhile. ET52 wears: on average four an hour (MEP guide p. 44), and the meter
        executes it again after a power failure, so no step may be one that must not happen twice (p. 43).

        Raises: LocalProtocolError "mep.transaction_size" and others; OutcomeUnknown; UsageError, "meter.wear" as `write`.
        """
        self._count("ET52", force)
        return self._run(self._transaction(steps, number))

    def register(
        self,
        identification: bytes | None = None,
        *,
        et59: bool = False,
        mbus_alerts: bool = False,
        delta_data_alerts: bool = False,
    ) -> Place:
        """Register this client in ET50, so that the meter sends alerts (MEP guide pp. 17, 22); to read alone needs none.

        ``identification``: 30 bytes of ET50. ``et59``: responses of procedures go to ET59. The other two ask for alerts. EP17
        removes the client.
        """
        return self._run(self._register(identification, et59, mbus_alerts, delta_data_alerts))

    def wait_alert(self, seconds: float) -> Alert | None:
        """Wait for an alert, at most so long, and read why it was raised; None: there was none. Needs `register`.

        The meter repeats it every second until it was served (MEP guide p. 18).
        """
        return self._run(self._wait_alert(seconds))

    def change_baud(self, baud: int) -> None:
        """Another speed of the MEP port, from the next request on (ET13, MEP guide p. 20). Needs the advanced key."""
        return self._run(self._change_baud(baud))

    # The end

    def log_off(self) -> None:
        """End the session and keep the port: the next task logs on again."""
        self._run(self._access.farewell())

    def close(self) -> None:
        """Log off, terminate and close the port; twice does no harm."""
        if not self._closed:
            self._closed = True
            end(self._line, self._access.farewell())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncMeter(_Face):
    """`Meter` with ``await``: the same tasks, arguments and results; ``async with osgp_fast.open_async(...) as meter``.

    Tasks that are started at once wait for each other. One that is cancelled leaves the session as it is: its request is
    finished before the next one, or before the meter is logged off.
    """

    def __init__(self, prepare: Callable[[], tuple[AnyLine, Access, Store]], password_form: str) -> None:
        self._prepare = prepare
        self._lock = asyncio.Lock()
        self._form = password_form
        self._closed = True

    async def open(self) -> Self:
        """Open the port and log on; ``async with`` does it."""
        line, access, store = await asyncio.to_thread(self._prepare)
        super().__init__(line, access, store, self._form)
        try:
            await self._run(store.begin())
        except BaseException:
            await self.close()
            raise
        return self

    async def _run(self, task: Talk[T]) -> T:
        async with self._lock:
            # A task that was cancelled may have left a request without its answer, or an answer that nobody took.
            if self._line.connection.request is None:
                finish(self._line)
            else:
                await in_thread(finish, self._line)
            return await have_async(self._line, task, self._store.tell)

    async def serial_number(self) -> str:
        """See `Meter.serial_number`."""
        return await self._run(self._serial_number())

    async def firmware(self) -> str:
        """See `Meter.firmware`."""
        return await self._run(self._firmware())

    async def identity(self) -> Identity:
        """See `Meter.identity`."""
        return await self._run(self._identity())

    async def clock(self) -> Clock:
        """See `Meter.clock`."""
        return await self._run(self._clock())

    async def inputs_outputs(self) -> InputsOutputs:
        """See `Meter.inputs_outputs`."""
        return await self._run(self._inputs_outputs())

    async def read_rows(self, what: str, **options: Any) -> Result:
        """See `Meter.read_rows`."""
        return await self._run(self._kind(what, options))

    async def meters(self) -> Result:
        """See `Meter.meters`."""
        return await self._run(self._meters())

    async def channels(self) -> Result:
        """See `Meter.channels`."""
        return await self._run(self._channels())

    async def registers(self, snapshots: Sequence[str] = ("current",)) -> Result:
        """See `Meter.registers`."""
        return await self._run(self._registers(snapshots))

    async def self_reads(self) -> Result:
        """See `Meter.self_reads`."""
        return await self._run(self._registers(("self_read",)))

    async def measurements(self) -> Result:
        """See `Meter.measurements`."""
        return await self._run(self._measurements())

    async def load_profile(
        self, since: Since = None, *, data_set: int | None = None, delta: bool = False, shape: str = "long"
    ) -> Result:
        """See `Meter.load_profile`."""
        return await self._run(self._load_profile(since, data_set=data_set, delta=delta, shape=shape))

    async def events(self, since: Since = None, *, log: str | None = None) -> Result:
        """See `Meter.events`."""
        return await self._run(self._events(since, log=log))

    async def alarms(self) -> Result:
        """See `Meter.alarms`."""
        return await self._run(self._alarms())

    async def mbus(self) -> Result:
        """See `Meter.mbus`."""
        return await self._run(self._mbus())

    async def read(self, table: int | str, offset: int | None = None, count: int | None = None) -> bytes:
        """See `Meter.read`."""
        return await self._run(self._read(table, offset, count))

    async def read_table(self, table: int | str) -> Decoded:
        """See `Meter.read_table`."""
        return await self._run(self._begun(fields.read_table(self._store, table)))

    async def read_field(self, field: str) -> Any:
        """See `Meter.read_field`."""
        return await self._run(self._begun(fields.read_field(self._store, field)))

    async def pending(self, table: int | str) -> Pending:
        """See `Meter.pending`."""
        return await self._run(self._begun(writing.pending(self._store, table)))

    async def write(
        self,
        table: int | str,
        data: bytes | Mapping[str, Any],
        *,
        offset: int | None = None,
        verify: bool = True,
        force: bool = False,
    ) -> None:
        """See `Meter.write`."""
        self._count(table, force)
        return await self._run(self._begun(writing.write(self._store, table, data, offset, verify)))

    async def write_field(self, field: str, value: Any, *, verify: bool = True, force: bool = False) -> Change:
        """See `Meter.write_field`."""
        return await self._run(self._write_field(field, value, verify, force))

    async def change(self, what: int | str, value: Any, *, offset: int | None = None) -> Change:
        """See `Meter.change`."""
        return await self._run(self._begun(changing.change(self._store, what, value, offset)))

    async def write_pending(
        self,
        table: int | str,
        data: bytes | Mapping[str, Any],
        *,
        at: datetime | None = None,
        ped: bytes | None = None,
        self_read: bool = False,
        demand_reset: bool = False,
        verify: bool = True,
        force: bool = False,
    ) -> None:
        """See `Meter.write_pending`."""
        event = writing.event_bytes(at, ped, self_read, demand_reset)
        self._count(table, force)
        return await self._run(self._write_pending(table, data, event, verify))

    async def procedure(
        self,
        procedure: int | str,
        parameters: bytes | Mapping[str, Any] = b"",
        *,
        wait_s: float = 10.0,
        check: bool = True,
        force: bool = False,
    ) -> ProcedureResult:
        """See `Meter.procedure`."""
        self._count("BT07", force)
        return await self._run(self._begun(writing.procedure(self._store, procedure, parameters, wait_s, check)))

    async def dump(
        self, tables: Sequence[int | str] | None = None, *, on_table: OnTable | None = None
    ) -> AsyncIterator[TableImage]:
        """See `Meter.dump`."""
        for number in await self._run(self._begun(dump.wanted(self._store, tables))):
            found = await self._run(self._begun(dump.one(self._store, number)))
            if on_table is not None:
                on_table(table_name(number), found)
            if isinstance(found, TableImage):
                yield found

    async def dump_to(
        self,
        out: str | PathLike[str],
        tables: Sequence[int | str] | None = None,
        *,
        on_table: OnTable | None = None,
    ) -> list[str]:
        """See `Meter.dump_to`."""
        sink = open_image_sink(out)
        try:
            async for image in self.dump(tables, on_table=on_table):
                sink.write(image)
        finally:
            files = sink.finish()
        return files

    async def place(self) -> Place:
        """See `Meter.place`."""
        return await self._run(self._where())

    async def transaction(
        self, steps: Sequence[Step], *, number: int | None = None, force: bool = False
    ) -> list[Reply]:
        """See `Meter.transaction`."""
        self._count("ET52", force)
        return await self._run(self._transaction(steps, number))

    async def register(
        self,
        identification: bytes | None = None,
        *,
        et59: bool = False,
        mbus_alerts: bool = False,
        delta_data_alerts: bool = False,
    ) -> Place:
        """See `Meter.register`."""
        return await self._run(self._register(identification, et59, mbus_alerts, delta_data_alerts))

    async def wait_alert(self, seconds: float) -> Alert | None:
        """See `Meter.wait_alert`."""
        return await self._run(self._wait_alert(seconds))

    async def change_baud(self, baud: int) -> None:
        """See `Meter.change_baud`."""
        return await self._run(self._change_baud(baud))

    async def log_off(self) -> None:
        """See `Meter.log_off`."""
        await self._run(self._access.farewell())

    async def close(self) -> None:
        """See `Meter.close`."""
        if not self._closed:
            self._closed = True
            await end_async(self._line, self._access.farewell())

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()
