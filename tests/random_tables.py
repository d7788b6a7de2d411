"""Meters whose tables hold random values under small dimensions that agree with each other, for whatever the catalogue has.

What sizes a table is small, everything else is random; bytes that no row describes are 0, so that an encoder can give
them. A new table of the catalogue takes part by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from random import Random

from osgp_fast.catalog import TABLES, _expr
from osgp_fast.catalog._model import Field, Table
from osgp_fast.layout import Layout, Leaf, TableSet, keys, resolve

#: What a formula is for; a field that is used for several is made for the last.
_USES = ("", "variable", "when", "count", "size", "stride", "firmware")
#: Layout rounds until a table that is sized by its own fields has all of them.
_ROUNDS = 30


def formulas(table: Table) -> Iterator[tuple[str, _expr.Expr]]:
    """Every expression of a table, and what it is for."""

    def walk(fields: tuple[Field, ...]) -> Iterator[tuple[str, _expr.Expr]]:
        for field in fields:
            for use in ("size", "count", "stride", "when"):
                if (text := getattr(field, use)) is not None:
                    yield use, _expr.parse(text)
            yield from walk(field.of)

    yield from walk(table.fields)
    for text in table.variables.values():
        yield "variable", _expr.parse(text)


@cache
def named(id: str) -> frozenset[str]:
    """The tables that the formulas of a table name, itself included where they do."""
    out = set()
    for _, formula in formulas(TABLES[id]):
        for name in _expr.references(formula):
            if isinstance(name, _expr.Ref):
                out.add(name.table)
            elif name.name == "gen4":
                out.add("BT01")
    return frozenset(out)


@cache
def uses_size(id: str) -> bool:
    """Whether the length of a table says how long its parts are."""
    names = (n for _, f in formulas(TABLES[id]) for n in _expr.references(f))
    return any(isinstance(n, _expr.Var) and n.name == "size" for n in names)


@cache
def order() -> tuple[str, ...]:
    """The tables, those first that others depend on. Raises: ValueError for tables that size each other."""
    out: list[str] = []
    open: set[str] = set()

    def visit(id: str) -> None:
        if id in out or id not in TABLES:
            return
        if id in open:
            raise ValueError(f"{id} sizes a table that sizes it")
        open.add(id)
        for other in sorted(named(id) - {id}):
            visit(other)
        out.append(id)

    for id in TABLES:
        visit(id)
    return tuple(out)


@cache
def dimensions() -> dict[str, dict[str, str]]:
    """The fields that formulas refer to, by table: path and what they are for."""
    out: dict[str, dict[str, str]] = {id: {} for id in TABLES}
    for table in TABLES.values():
        for use, formula in formulas(table):
            for name in _expr.references(formula):
                if isinstance(name, _expr.Ref) and name.table in TABLES and name.key != "size":
                    path = keys(TABLES[name.table])[name.key]
                    out[name.table][path] = max(use, out[name.table].get(path, ""), key=_USES.index)
    out["BT01"]["firmware"] = "firmware"
    return out


def _small(random: Random, use: str, bits: int) -> int:
    if use == "firmware":
        return random.choice((0x3155, 0x3155, 0x4018))
    # An entry size is believed whatever it is: too small for its fields, or larger.
    most = {"stride": 64, "size": 40}.get(use, 3)
    return min(random.randrange(most + 1), (1 << bits) - 1)


def places(layout: Layout) -> Iterator[tuple[Leaf, tuple[int, ...], int]]:
    """Everything in a layout with its element and its offset."""
    for leaf in layout.leaves:
        for index in product(*(range(axis.count) for axis in leaf.axes)):
            yield leaf, (*leaf.packed, *index), leaf.at(*index)


def _noise(random: Random, leaf: Leaf) -> bytes:
    """Random bytes; of dates, most are such as exist."""
    most = random.choice((0, 9, 9, 9, 255, 256))
    if leaf.type not in ("stime_date", "ltime_date", "date", "ansi_date", "time", "char") or most == 256:
        return random.randbytes(leaf.size)
    if most == 255:
        return b"\xff" * leaf.size
    if leaf.type == "ansi_date":
        return (random.randrange(128) | random.randint(1, 12) << 7 | random.randint(1, 28) << 11).to_bytes(2, "little")
    return bytes(most and random.randint(1, most) for _ in range(leaf.size))


class _Maker:
    """One table."""

    def __init__(self, id: str, others: TableSet, random: Random) -> None:
        self.table, self.others, self.random = TABLES[id], others, random
        self.small = dimensions()[id]
        self.values: dict[tuple[str, tuple[int, ...]], int] = {}

    def layout(self, size: int, data: bytes) -> Layout:
        def own(offset: int, count: int) -> bytes:
            return data[offset : offset + count].ljust(count, b"\0")

        # A part that this meter does not have has no dimensions either: its table ends early.
        return resolve(self.table, size, self.others, data=own, partial=True)

    def fill(self, layout: Layout, data: bytearray) -> bytes:
        """Put the dimensions in their places."""
        for leaf, element, offset in places(layout):
            path, size = leaf.path, leaf.size
            if path not in self.small or size == 0:
                continue
            low, high = leaf.bits or (0, 8 * size - 1)
            width = high - low + 1
            value = self.values.setdefault((path, element), _small(self.random, self.small[path], width))
            order = "big" if self.small[path] == "firmware" else "little"
            word = int.from_bytes(data[offset : offset + size], order)
            word = word & ~((1 << width) - 1 << low) | value << low
            data[offset : offset + size] = word.to_bytes(size, order)
        return bytes(data)

    def make(self) -> bytes:
        size, data = self.random.randrange(400) if uses_size(self.table.id) else 0, b""
        for _ in range(_ROUNDS):
            layout = self.layout(size, data)
            new = self.fill(layout, bytearray(layout.size))
            if new == data and (layout.size == size or not uses_size(self.table.id)):
                break
            size, data = layout.size, new
        else:
            raise AssertionError(f"{self.table.id} does not settle")
        noise = bytearray(layout.size)
        for leaf, _, offset in places(layout):
            noise[offset : offset + leaf.size] = _noise(self.random, leaf)
        return self.fill(layout, noise)


@cache
def meter(seed: int) -> dict[str, bytes]:
    """Every table of a meter."""
    out: dict[str, bytes] = {}
    others = TableSet({})
    for id in order():
        out[id] = others.tables[id] = _Maker(id, others, Random(f"{seed} {id}")).make()
    return out
