"""From a catalogue entry and this meter's dimensions and firmware to a layout: plain offsets, counts and strides.

Firmware rules and dimension formulas exist here and in the catalogue only; loops over bytes see layouts only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Protocol

from ._numbers import integer_at
from .catalog import TABLES, _expr
from .catalog._model import WIDTHS
from .catalog._model import Field as Field
from .catalog._model import Table as Table

#: More leaves than any table of the guides has; a packed array of a damaged meter ends here.
MAX_LEAVES: Final = 10_000


#: Old firmware has no actual register or log dimensions; those of the largest configuration, of the same layout, stand in
#: (Optical guide pp. 19, 49).
STAND_INS: Final[Mapping[str, str]] = {"BT21": "BT20", "BT71": "BT70"}
_FIRMWARE_4: Final = 4 << 12


class MissingDimension(LookupError):
    """A table whose fields size this one was not read, or not far enough."""

    def __init__(self, table: str) -> None:
        super().__init__(table)
        self.table = table


class Dimensions(Protocol):
    """What a layout asks about the rest of the meter."""

    def value(self, ref: _expr.Ref, index: tuple[int, ...]) -> int:
        """The value of a field of another table. Raises: MissingDimension."""

    def length(self, table: str) -> int:
        """The length of another table as read. Raises: MissingDimension."""

    def gen4(self) -> int:
        """1 if the firmware is 4.0 or later. Raises: MissingDimension."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An array around a leaf: how many elements, and how far apart."""

    name: str
    count: int
    stride: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value in a table: the bytes of element 0 of every axis, and for packed arrays the elements it stands in."""

    path: str
    packed: tuple[int, ...]
    type: str
    offset: int
    size: int
    axes: tuple[Axis, ...]
    bits: tuple[int, int] | None
    field: Field

    def at(self, *index: int) -> int:
        """The offset of one element, one index per axis."""
        return self.offset + sum(i * axis.stride for i, axis in zip(index, self.axes, strict=True))


@dataclass(frozen=True, slots=True)
class Layout:
    """All leaves of a table for one meter, in the order of the guide, and the bytes that they take.

    ``fields`` are the rows that it was made from, ``missing`` the table without which it ends early, and ``notes`` what
    others keep beside a layout, once they have made it.
    """

    leaves: Sequence[Leaf]
    size: int
    by_path: Mapping[str, Sequence[Leaf]]
    fields: Sequence[Field] = ()
    missing: str | None = None
    notes: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def find(self, path: str, *packed: int) -> Leaf | None:
        """The leaf of that path, in those elements of packed arrays."""
        index: dict[tuple[str, tuple[int, ...]], Leaf] | None = self.notes.get("index")
        if index is None:
            # Of two rows of one name, the first counts.
            index = {(leaf.path, leaf.packed): leaf for leaf in reversed(self.leaves)}
            self.notes["index"] = index
        return index.get((path, packed))


@lru_cache(maxsize=1024)
def _parse(text: str) -> _expr.Expr:
    return _expr.parse(text)


def _names(field: Field) -> frozenset[str]:
    """The variables that the size of a field and its members depends on."""
    texts = [t for t in (field.size, field.count, field.stride, field.when) if t is not None]
    names = {n.name for t in texts for n in _expr.references(_parse(t)) if isinstance(n, _expr.Var)}
    return frozenset(names.union(*(_names(f) for f in field.of)))


@lru_cache(maxsize=1024)
def is_packed(field: Field) -> bool:
    """Whether the elements of an array differ in size, so that they stand one after another without a stride."""
    return field.index is not None and any(field.index in _names(f) for f in field.of)


class _Resolver:
    def __init__(
        self,
        table: Table,
        size: int,
        data: Callable[[int, int], bytes | memoryview | None],
        dimensions: Dimensions,
        variables: Mapping[str, int],
    ) -> None:
        self.table, self.table_size, self.data, self.dimensions = table, size, data, dimensions
        self.given = variables
        self.leaves: list[Leaf] = []
        self.by_path: dict[str, list[Leaf]] = {}
        self.index: dict[str, int] = {}

    def number(self, text: str) -> int:
        return _expr.evaluate(_parse(text), self._var, self._ref)

    def _var(self, name: str) -> int:
        if name in self.index:
            return self.index[name]
        if name == "size":
            return self.table_size
        if name == "gen4":
            return self.dimensions.gen4()
        if name in self.given:
            return self.given[name]
        return self.number(self.table.variables[name])

    def _ref(self, ref: _expr.Ref, index: tuple[int, ...]) -> int:
        if ref.table != self.table.id:
            return self.dimensions.length(ref.table) if ref.key == "size" else self.dimensions.value(ref, index)
        leaf = find_ref(self.by_path, keys(self.table), ref.key, index)
        value = None if leaf is None else integer(leaf, index[len(leaf.packed) :], self.data)
        if value is None:
            raise MissingDimension(ref.table)
        return value

    def fields(
        self, fields: Sequence[Field], prefix: str, offset: int, axes: tuple[Axis, ...], packed: tuple[int, ...]
    ) -> int:
        for f in fields:
            offset = self.field(f, prefix, offset, axes, packed)
        return offset

    def field(self, f: Field, prefix: str, offset: int, axes: tuple[Axis, ...], packed: tuple[int, ...]) -> int:
        if f.when is not None and not self.number(f.when):
            return offset
        if f.type == "array":
            return self.array(f, prefix, offset, axes, packed)
        size = WIDTHS.get(f.type) or max(0, self.number(f.size or "0"))
        self.leaf(Leaf(prefix + f.name, packed, f.type, offset, size, axes, None, f))
        for member in f.of:
            self.leaf(
                Leaf(f"{prefix}{f.name}.{member.name}", packed, member.type, offset, size, axes, member.bits, member)
            )
        return offset + size

    def array(self, f: Field, prefix: str, offset: int, axes: tuple[Axis, ...], packed: tuple[int, ...]) -> int:
        count = max(0, self.number(f.count or "0"))
        if f.max is not None:
            count = min(count, f.max)
        name = f.index or f.name
        prefix = f"{prefix}{f.name}."
        if is_packed(f):
            # Elements without a leaf take no bytes, and any number of them no time.
            for i in range(min(count, MAX_LEAVES + 1)):
                self.index[name] = i
                offset = self.fields(f.of, prefix, offset, axes, (*packed, i))
            self.index.pop(name, None)
            return offset
        mark = len(self.leaves)
        # The axis stands before its stride is known, so the leaves are finished afterwards.
        try:
            end = self.fields(f.of, prefix, offset, axes, packed)
            stride = end - offset if f.stride is None else max(0, self.number(f.stride))
        except MissingDimension:
            # Without its stride an array has no places.
            self.drop(mark, lambda leaf: True)
            raise
        if stride < end - offset:
            # An element of older firmware: what would reach into the next one is not there.
            self.drop(mark, lambda leaf: _end(leaf, len(axes)) > offset + stride)
        axis = Axis(f.name, count, stride)
        for i in range(mark, len(self.leaves)):
            old = self.leaves[i]
            new = Leaf(
                old.path,
                old.packed,
                old.type,
                old.offset,
                old.size,
                (*old.axes[: len(axes)], axis, *old.axes[len(axes) :]),
                old.bits,
                old.field,
            )
            self.leaves[i] = new
            same = self.by_path[old.path]
            same[same.index(old)] = new
        return offset + count * stride

    def drop(self, mark: int, gone: Callable[[Leaf], bool]) -> None:
        """Forget the leaves from ``mark`` on that are ``gone``."""
        keep = []
        for leaf in self.leaves[mark:]:
            if gone(leaf):
                self.by_path[leaf.path].remove(leaf)
            else:
                keep.append(leaf)
        self.leaves[mark:] = keep

    def leaf(self, leaf: Leaf) -> None:
        if len(self.leaves) >= MAX_LEAVES:
            raise MissingDimension(self.table.id)
        self.leaves.append(leaf)
        self.by_path.setdefault(leaf.path, []).append(leaf)


def _end(leaf: Leaf, outer: int) -> int:
    """One past the last byte of a leaf in one element of the ``outer`` arrays around it."""
    inner = leaf.axes[outer:]
    return leaf.offset + leaf.size + sum(max(0, axis.count - 1) * axis.stride for axis in inner)


def resolve(
    table: Table,
    size: int,
    dimensions: Dimensions,
    *,
    data: Callable[[int, int], bytes | memoryview | None] = lambda offset, size: None,
    variables: Mapping[str, int] | None = None,
    partial: bool = False,
) -> Layout:
    """The layout of a table for one meter.

    ``size`` is the length of the table as read, ``data(offset, size)`` its bytes (some tables are sized by their own
    fields), ``variables`` answers to the questions that the table leaves open. Where the table is too short to tell how it
    goes on, the layout ends there; where another table is missing, too, if ``partial``. Raises: MissingDimension of another
    table.
    """
    resolver = _Resolver(table, size, data, dimensions, variables or {})
    missing = None
    try:
        end = resolver.fields(table.fields, "", 0, (), ())
    except MissingDimension as error:
        other = error.table != table.id
        if not partial and (other or not resolver.leaves):
            raise
        end = max((_end(leaf, 0) for leaf in resolver.leaves), default=0)
        missing = error.table if other else None
    return Layout(resolver.leaves, end, resolver.by_path, table.fields, missing)


@lru_cache(maxsize=256)
def _keys(id: str, table: Table) -> Mapping[str, str]:
    out: dict[str, str] = {}

    def walk(fields: Sequence[Field], prefix: str) -> None:
        for f in fields:
            if f.type == "array":
                walk(f.of, f"{prefix}{f.name}.")
                continue
            out.setdefault(prefix + f.name, prefix + f.name)
            if isinstance(f.at, str) and f.at.isdigit():
                out.setdefault(f.at, prefix + f.name)
            for member in f.of:
                path = f"{prefix}{f.name}.{member.name}"
                out.setdefault(path, path)
                if isinstance(f.at, str) and f.at.isdigit() and member.bits is not None:
                    out.setdefault(f"{f.at}.{member.bits[0]}", path)

    walk(table.fields, "")
    return out


def keys(table: Table) -> Mapping[str, str]:
    """Every name by which a field may be referred to, and its path: ``9`` and ``set.intervals``, ``4.4`` and ``flags.end_reading``."""
    return _keys(table.id, table)


def find_ref(
    by_path: Mapping[str, Sequence[Leaf]], names: Mapping[str, str], key: str, index: tuple[int, ...]
) -> Leaf | None:
    """The leaf that a reference means, if the layout has it and the indices fit."""
    path = names.get(key)
    for leaf in by_path.get(path, ()) if path is not None else ():
        n = len(leaf.packed)
        if leaf.packed == index[:n] and len(index) == n + len(leaf.axes):
            if all(0 <= i < axis.count for i, axis in zip(index[n:], leaf.axes, strict=True)):
                return leaf
    return None


def integer(leaf: Leaf, index: tuple[int, ...], data: Callable[[int, int], bytes | memoryview | None]) -> int | None:
    """The integer at one element of a leaf; None where its bytes are not there or it is no integer."""
    raw = data(leaf.at(*index), leaf.size)
    return None if raw is None else integer_at(leaf.type, raw, leaf.bits)


class TableSet:
    """The tables of one meter as bytes, by their ids: the `Dimensions` that they give each other."""

    def __init__(self, tables: Mapping[str, bytes | memoryview]) -> None:
        self.tables = dict(tables)
        self.layouts: dict[str, Layout] = {}

    def find(self, table: str) -> str:
        """The table, or the one that stands in for it. Raises: MissingDimension."""
        if table in self.tables:
            return table
        other = STAND_INS.get(table)
        if other is None or other not in self.tables:
            raise MissingDimension(table)
        return other

    def reader(self, table: str) -> Callable[[int, int], bytes | memoryview | None]:
        """What gives the bytes of a table that are there."""
        data = self.tables[table]

        def get(offset: int, size: int) -> bytes | memoryview | None:
            raw = data[offset : offset + size]
            return raw if len(raw) == size else None

        return get

    def layout(self, table: str) -> Layout:
        """The layout of one of the tables, as far as the others tell it."""
        if table not in self.layouts:
            self.layouts[table] = resolve(
                TABLES[table], len(self.tables[table]), self, data=self.reader(table), partial=True
            )
        return self.layouts[table]

    def value(self, ref: _expr.Ref, index: tuple[int, ...]) -> int:
        """See `Dimensions`."""
        table = self.find(ref.table)
        found = self.layout(table)
        leaf = find_ref(found.by_path, keys(TABLES[table]), ref.key, index)
        value = None if leaf is None else integer(leaf, index[len(leaf.packed) :], self.reader(table))
        if value is None:
            raise MissingDimension(found.missing or ref.table)
        return value

    def length(self, table: str) -> int:
        """See `Dimensions`."""
        return len(self.tables[self.find(table)])

    def gen4(self) -> int:
        """See `Dimensions`."""
        return int(self.value(_expr.Ref("BT01", "firmware", ()), ()) >= _FIRMWARE_4)
