"""`Meter` and `AsyncMeter`: the tasks of the guides as methods, blocking or awaitable, over the same dialogues."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from os import PathLike
from typing import TYPE_CHECKING, Any

from ..codec import Decoded
from ..image import TableImage
from .values import Clock, Identity, Pending, ProcedureResult, Refusal

if TYPE_CHECKING:
    from ..decode.result import Result

#: A time with zone, or a text of RFC 3339; naive ones are UTC.
Since = datetime | str | None
#: Bytes that came, bytes that are expected in the task under way (0: not known).
Progress = Callable[[int, int], object]
OnTable = Callable[[str, "TableImage | Refusal"], object]


class Meter:
    """A meter that is logged on to: ``with osgp_fast.open("/dev/ttyUSB0", password="...") as meter: ...``.

    Nothing is written but by `write`, `write_pending` and `procedure`. Dimensions are read once per session and kept. A
    session is logged off and on again between two requests before the meter would end it; a read that the line has spoilt
    is asked again in a new session.

    Raises, from every task: `session.Refused` and its subclasses where the meter says no; TransportError for the line
    ("line.*", "port.*", "meter.stopped"); SecurityError "meter.password". What was read until then is in ``images``.
    """

    # What is known

    @property
    def label(self) -> str:
        """The meter's label in rows and images: ``meter=``, else the utility's serial number, else the manufacturer's."""
        raise NotImplementedError

    @property
    def password_form(self) -> str:
        """How the password was understood, in words: ``20 characters``, ``40 hex digits``, ``none``."""
        raise NotImplementedError

    @property
    def images(self) -> Sequence[TableImage]:
        """Every table image that was read so far, in order; kept when a task fails or is interrupted."""
        raise NotImplementedError

    @property
    def refused(self) -> Mapping[str, Refusal]:
        """The tables that the meter has refused in this session."""
        raise NotImplementedError

    progress: Progress | None
    """Called with the bytes that came and those that are expected; may be set at any time."""

    # Who it is

    def serial_number(self) -> str:
        """The utility's serial number (ET03), else the manufacturer's (BT01). Needs no password."""
        raise NotImplementedError

    def firmware(self) -> str:
        """``3.50.01`` (BT01). Needs no password."""
        raise NotImplementedError

    def identity(self) -> Identity:
        """Manufacturer, model, serial numbers, firmware (ET03, BT01). Needs no password."""
        raise NotImplementedError

    def clock(self) -> Clock:
        """The meter's clock and how far it is from this computer's."""
        raise NotImplementedError

    # Rows: the same kinds and columns as `osgp_fast.decode`

    def read_rows(self, what: str, **options: Any) -> Result:
        """One kind of rows by its name: meters, registers, load_profile ... with the options of its own method."""
        raise NotImplementedError

    def meters(self) -> Result:
        """The row of this meter."""
        raise NotImplementedError

    def channels(self) -> Result:
        """The channels of the load profile."""
        raise NotImplementedError

    def registers(self, snapshots: Sequence[str] = ("current",)) -> Result:
        """Registers now (``current``, BT23); ``self_read``, ``previous_season`` and ``previous_demand_reset`` beside."""
        raise NotImplementedError

    def self_reads(self) -> Result:
        """The registers of the self-reads (BT26): only entries that hold one are read."""
        raise NotImplementedError

    def measurements(self) -> Result:
        """The values of this moment (BT28): voltages, currents, powers."""
        raise NotImplementedError

    def load_profile(
        self, since: Since = None, *, data_set: int | None = None, delta: bool = False, shape: str = "long"
    ) -> Result:
        """Load profile of one data set (1-4) or all that are there; ``since``: intervals that end later.

        Only blocks that can hold such intervals are read. ET21 and BT63 are read before and after: where the meter went on
        meanwhile, the blocks that it wrote are read again. Raises: RemoteProtocolError "meter.restless" where it never
        holds still.
        """
        raise NotImplementedError

    def events(self, since: Since = None, *, log: str | None = None) -> Result:
        """Events of the ``primary`` (BT74) or ``alternate`` log (ET79), or both; ``since``: only later ones.

        Read backwards from the newest one, up to the first that is not later; events without a time among them are kept.
        """
        raise NotImplementedError

    def alarms(self) -> Result:
        """Alarms now (BT03)."""
        raise NotImplementedError

    def mbus(self) -> Result:
        """Readings of M-Bus devices and MEP clients (ET16, ET45, ET74)."""
        raise NotImplementedError

    # Tables

    def read(self, table: int | str, offset: int | None = None, count: int | None = None) -> bytes:
        """The bytes of a table, all of them or ``count`` from ``offset`` on; ``BT54.pending`` works, too.

        A meter fills what lies behind the end of a table with zeros (Optical guide p. 9).
        """
        raise NotImplementedError

    def read_table(self, table: int | str) -> Decoded:
        """A table as a tree of its fields: ``meter.read_table("BT61")["set.0.channels"]``."""
        raise NotImplementedError

    def read_field(self, field: str) -> Any:
        """One field, with one partial read of exactly its bytes.

        ``field`` is in the guides' notation, ``BT61.7``, ``ET55.104.2`` (in an array: of element 0, or ``BT61.7[1]``), or a
        path of the catalogue, ``BT61.set.0.blocks``. Raises: UsageError "meter.field".
        """
        raise NotImplementedError

    def pending(self, table: int | str) -> Pending:
        """A pending table and its event. Source: Optical guide pp. 8-10."""
        raise NotImplementedError

    # Writing

    def write(
        self, table: int | str, data: bytes | Mapping[str, Any], *, offset: int | None = None, verify: bool = True
    ) -> None:
        """Write a table, whole, from ``offset`` on, or from a tree of values; then read it back.

        It is never sent twice: where the line failed, reading back tells whether it arrived. Raises: RemoteProtocolError
        "meter.not_written", where the table differs afterwards.
        """
        raise NotImplementedError

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
    ) -> None:
        """Write a pending table that takes effect ``at`` a time, or as the six bytes of ``ped`` say (code 2, by a
        procedure only, without either). Source: Optical guide p. 10."""
        raise NotImplementedError

    def procedure(
        self,
        procedure: int | str,
        parameters: bytes | Mapping[str, Any] = b"",
        *,
        wait_s: float = 10.0,
        check: bool = True,
    ) -> ProcedureResult:
        """Execute a procedure (``EP17``, ``BP12``, or its number) once and wait for its result.

        Its sequence number is looked for in BT08; it is never executed twice. Raises: RemoteProtocolError
        "meter.procedure_failed" for another result than completed, unless ``check`` is off; TransportError
        "meter.procedure_unknown" where nothing tells whether it was executed.
        """
        raise NotImplementedError

    # Dumps

    def dump(self, tables: Sequence[int | str] | None = None, *, on_table: OnTable | None = None) -> Iterator[TableImage]:
        """Every table that the meter gives, one whole image after another; refusals go to ``on_table`` and ``refused``.

        ``tables``: these only. Without, the ones that BT00 lists, else all that the catalogue knows.
        """
        raise NotImplementedError

    def dump_to(
        self, out: str | PathLike[str], tables: Sequence[int | str] | None = None, *, on_table: OnTable | None = None
    ) -> list[str]:
        """`dump` into ``DIR/`` (a directory per meter, a file per table) or a Parquet or Arrow file of table images.

        Returns: the files. What was read is written also where the meter stops half-way or somebody interrupts.
        """
        raise NotImplementedError

    # The end

    def close(self) -> None:
        """Log off, terminate and close the port; twice does no harm."""
        raise NotImplementedError

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncMeter:
    """`Meter` with ``await``: the same tasks, arguments and results; ``async with osgp_fast.open_async(...) as meter``."""

    async def dump(
        self, tables: Sequence[int | str] | None = None, *, on_table: OnTable | None = None
    ) -> AsyncIterator[TableImage]:
        """See `Meter.dump`."""
        raise NotImplementedError
        yield
