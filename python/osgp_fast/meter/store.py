"""What is kept of a meter: every image that was read, and the dimensions of the session, which are read once.

"It is recommended to read dimension properties once per communication session" (Optical guide p. 18, in our words): what
is kept is forgotten when a task begins in another session.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from ..catalog import TABLES
from ..codec import decode, text
from ..errors import UsageError
from ..image import PENDING, TableImage, parse_table_name, table_name
from ..layout import STAND_INS, Layout, MissingDimension, TableSet, resolve
from ..session import Data
from ..session.refusals import OperationNotPossible, Refused
from .access import Access
from .sizes import own_size
from .talk import Talk
from .values import Refusal

#: Tables of the catalogue are sized by at most so many others.
_ROUNDS: Final = 40
#: The first 30 bytes of ET03 are the utility's serial number (Optical guide p. 18).
SERIAL: Final = ("ET03", 0, 30)


def number_of(table: int | str) -> int:
    """The number on the wire of a table named either way. Raises: UsageError "usage.table"."""
    number = parse_table_name(table) if isinstance(table, str) else table
    if number is None or not 0 <= number < 2 * PENDING:
        raise UsageError(
            "usage.table", f"{table} names no table", "tables are BT00 ..., ET00 ..., BT54.pending, or numbers"
        )
    return number


class Store:
    """The images of a meter, its label, and what holds for this session."""

    def __init__(
        self,
        access: Access,
        *,
        label: str | None,
        fallback: str,
        clock: Callable[[], float] = time.time,
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        self.access = access
        self.clock = clock
        self.progress = progress
        self.images: list[TableImage] = []
        self.refused: dict[str, Refusal] = {}
        self.held: dict[str, TableImage] = {}
        """Whole images of this session, by table."""
        self.parts: dict[tuple[str, int], TableImage] = {}
        """Single fields of this session, by table and offset."""
        self.sizes: dict[str, int] = {}
        """The lengths of tables that were read whole."""
        self.status: TableImage | None = None
        """BT63 as it belongs to the load profile of a dump."""
        self._label = label
        self._fallback = fallback
        self._session = 0
        self._layouts: dict[str, Layout] = {}
        self.done = self.expected = 0
        self.asked = 0
        """Bytes of the read under way."""
        self._received = 0
        """Bytes on the line when it began."""

    # ---- who

    @property
    def label(self) -> str:
        """The label of rows and images."""
        return self._label or self._fallback

    def begin(self) -> Talk[None]:
        """A task begins: be logged on, know the label, and forget what belongs to an earlier session."""
        yield from self.access.ready()
        self.done = self.expected = self.asked = 0
        self._received = self.access.received
        if self.access.sessions != self._session:
            self._session = self.access.sessions
            self.held.clear()
            self.parts.clear()
            self.refused.clear()
            self.sizes.clear()
            self._layouts.clear()
            self.status = None
        if self._label is None:
            yield from self.find_label()

    def find_label(self) -> Talk[None]:
        """ET03's serial number, else that of BT01, else what the port is called."""
        self._label = ""  # images that are read for it get it afterwards
        first = len(self.images)
        try:
            yield from self.hold_part(*SERIAL)
            image = self.parts.get(SERIAL[:2])
            found = "" if image is None else text(image.data)
            if not found and (yield from self.dimension("BT01")):
                serial = self.value("BT01", "serial") or ""
                found = serial if serial.strip("0F") else ""
        except BaseException:
            self._label = None
            raise
        self._label = found or self._fallback
        self.images[first:] = [self._named(image) for image in self.images[first:]]
        self.held = {key: self._named(image) for key, image in self.held.items()}
        self.parts = {place: self._named(image) for place, image in self.parts.items()}

    def _named(self, image: TableImage) -> TableImage:
        return replace(image, meter=self.label)

    # ---- reading

    def part(self, table: int, offset: int, count: int) -> Talk[bytes]:
        """Some bytes of a table, kept as an image."""
        image = yield from self.part_image(table, offset, count)
        return bytes(image.data)

    def part_image(self, table: int, offset: int, count: int) -> Talk[TableImage]:
        """The same as the image itself."""
        self.asked = count
        data = yield from self.access.read(table, offset, count)
        return self._keep(table, data, offset, whole=False)

    def whole(self, table: int) -> Talk[TableImage]:
        """A whole table: one full read, or, where it does not fit a message, partial ones of as many bytes as it has."""
        id = table_name(table)
        size = self.sizes.get(id) or self._described(id)
        try:
            if size is not None and size > self.access.most_read:
                return (yield from self.in_parts(table, size))
            self.asked = size or 0
            try:
                data = yield from self.access.read(table)
            except OperationNotPossible:
                if size is None:
                    size = yield from self.size_of(table)
                return (yield from self.in_parts(table, size))
            return self._keep(table, data, 0, whole=True)
        except Refused as error:
            self.note(table, error)
            raise

    def in_parts(self, table: int, size: int) -> Talk[TableImage]:
        """A whole table of so many bytes by partial reads."""
        self.asked = size
        data = yield from self.access.read(table, 0, size)
        return self._keep(table, data, 0, whole=True)

    def _keep(self, table: int, data: Data, offset: int, *, whole: bool) -> TableImage:
        image = TableImage(
            meter=self.label,
            table=table,
            offset=offset,
            data=data.data,
            read_at=round(self.clock() * 1_000_000),
            whole=whole,
            ped=data.ped,
            session=self.access.sessions,
            input=self._fallback,
        )
        self.images.append(image)
        self.done += len(data.data)
        self.asked = 0
        self._received = self.access.received
        if whole:
            self.sizes[table_name(table)] = len(data.data)
        self.tell()
        return image

    def note(self, table: int, error: Refused) -> None:
        """Keep that a table was refused."""
        id = table_name(table)
        keys = self.access.keys(table)
        self.refused[id] = Refusal(id, table, error.code, keys, error.message)

    def tell(self) -> None:
        """Tell the progress: what was read, and what has come of the read under way."""
        if self.progress is not None:
            under_way = max(0, self.access.received - self._received)
            done = self.done + min(under_way, self.asked)
            self.progress(done, max(self.expected, done))

    # ---- dimensions

    def dimension(self, id: str) -> Talk[bool]:
        """Have a table of this session: read it unless it is held or was refused. BT00 and BT01 come before all others.

        Where the meter says that it has none (iar), the table that stands in for it is read: BT20 for BT21, BT70 for BT71.
        """
        for first in {"BT00": (), "BT01": ("BT00",)}.get(id, ("BT00", "BT01")):
            yield from self._hold(first)
        if (yield from self._hold(id)):
            return True
        other = STAND_INS.get(id)
        if other is None or id not in self.refused or self.refused[id].code != "refused.iar":
            return False
        return (yield from self._hold(other))

    def _hold(self, id: str) -> Talk[bool]:
        if id in self.held:
            return True
        if id in self.refused or id not in TABLES:
            return False
        try:
            self.held[id] = yield from self.whole(TABLES[id].number)
        except Refused as error:
            if error.transient:
                raise
            return False
        self._layouts.clear()
        return True

    def hold_part(self, id: str, offset: int, size: int) -> Talk[None]:
        """Have one field of a table of this session, as far as the meter gives it."""
        if (id, offset) in self.parts or id in self.held or id in self.refused:
            return
        try:
            self.parts[id, offset] = yield from self.part_image(TABLES[id].number, offset, size)
        except Refused as error:
            if error.transient:
                raise
            self.note(TABLES[id].number, error)

    def tables(self) -> TableSet:
        """The dimensions that are held, as layouts ask for them."""
        return TableSet({id: image.data for id, image in self.held.items()})

    def forget_layouts(self) -> None:
        """Something that others are laid out with has changed."""
        self._layouts.clear()

    def value(self, table: str, path: str, default: Any = None) -> Any:
        """The value of a field of a table that is held."""
        image = self.held.get(table)
        if image is None:
            return default
        try:
            return decode(self.tables().layout(table), image.data)[path]
        except (KeyError, MissingDimension):
            return default

    def layout(
        self, id: str, size: int = 0, data: bytes | memoryview = b"", variables: Mapping[str, int] | None = None
    ) -> Talk[Layout]:
        """The layout of a table, with the dimensions that it asks for read as they are needed.

        Where a dimension is not to be had, the layout ends (`Layout.missing`).
        """
        if not data and not variables and (known := self._layouts.get(f"{id}/{size}")) is not None:
            return known
        table = TABLES[id]

        def own(offset: int, count: int) -> bytes | memoryview | None:
            raw = data[offset : offset + count]
            return raw if len(raw) == count else None

        asked: set[str] = set()
        for _ in range(_ROUNDS):
            dimensions = self.tables()
            try:
                found = resolve(table, size, dimensions, data=own, variables=variables)
                break
            except MissingDimension as error:
                if error.table == id or error.table in asked:
                    found = resolve(table, size, dimensions, data=own, variables=variables, partial=True)
                    break
                asked.add(error.table)
                yield from self.dimension(error.table)
        if not data and not variables:
            self._layouts[f"{id}/{size}"] = found
        return found

    def _described(self, id: str) -> int | None:
        """The size of a table by what is held, if that tells it: not of one that its own length or bytes lay out."""
        table = TABLES.get(id.removesuffix(".pending"))
        if table is None or sized_by_itself(table.id):
            return None
        try:
            return resolve(table, 0, self.tables()).size
        except MissingDimension:
            return None

    def size_of(self, table: int) -> Talk[int]:
        """How many bytes a table has by the catalogue. Raises: UsageError "meter.size" where nothing says so."""
        id = table_name(table & ~PENDING)
        if id in TABLES and not sized_by_itself(id):
            found = yield from self.layout(id)
            if found.missing is None and found.size:
                return found.size
        size = yield from own_size(self, id)
        if size is not None:
            return size
        raise UsageError(
            "meter.size",
            f"{table_name(table)} does not fit one message, and nothing says how long it is",
            "read it in parts: read(table, offset, count)",
            table=table,
        )

    def need(self, ids: Iterable[str]) -> Talk[None]:
        """Have several tables of this session, as far as the meter gives them."""
        for id in ids:
            yield from self.dimension(id)

    def compose(self, data: Iterable[TableImage]) -> list[TableImage]:
        """The images of a task: what is held of the session, and what was read now."""
        now = list(data)
        read = {image.table for image in now}
        # The decoder takes dimensions that are not later than the data, and joins the images of one session.
        held = [image for image in (*self.held.values(), *self.parts.values()) if image.table not in read]
        return [self._together(image) for image in (*held, *now)]

    def _together(self, image: TableImage) -> TableImage:
        return replace(image, session=0)


def sized_by_itself(id: str) -> bool:
    """Whether the layout of a table depends on its own length or bytes."""
    if id not in _SIZED:
        table = TABLES[id]
        texts = []
        rows = list(table.fields)
        while rows:
            row = rows.pop()
            rows += row.of
            texts += [text for text in (row.size, row.count, row.stride, row.when) if text is not None]
        texts += table.variables.values()
        words = " ".join(texts)
        _SIZED[id] = f"{id}." in words or _names_size(words)
    return _SIZED[id]


_SIZED: Final[dict[str, bool]] = {}


def _names_size(words: str) -> bool:
    return re.search(r"(?<![\w.])size\b", words) is not None
