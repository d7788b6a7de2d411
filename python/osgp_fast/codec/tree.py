"""The tree of a table: what a layout makes of its bytes, and the way back.

A tree follows the rows of the catalogue: a table or an element of an array is a dict by the names of its rows, an array is
a list, an array of one plain row is a list of that row's values, a word of bits is a dict of its members, with what its
other bits hold as ``_rest`` where that is not 0. What is not there (older firmware, a partial read) has no key, and within
a list an element of which nothing is there is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from ..errors import TableError
from ..layout import Axis, Dimensions, Layout, Leaf, Table, is_packed, resolve
from ..layout import Field as Row
from .values import decode_value, encode_value

#: Bits of a word that no row describes.
REST: Final = "_rest"
#: A table that is sized by its own fields is laid out anew until its bytes stay the same; no table needs more rounds.
_ROUNDS: Final = 12

Get = Callable[[int, int], bytes | memoryview | None]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the bytes of a table hold.

    ``values`` is the tree. ``rest`` are the bytes behind its description, with where they start in ``end``. ``short`` is the
    path and the offset of the first field whose bytes are not all there, ``missing`` the table without which it could not
    be laid out any further.
    """

    table: str
    values: dict[str, Any]
    end: int
    rest: bytes = b""
    short: tuple[str, int] | None = None
    missing: str | None = None

    def __getitem__(self, path: str) -> Any:
        """The value at a dotted path, elements by their number: ``decoded["set.0.channels"]``. Raises: KeyError."""
        value: Any = self.values
        for part in path.split("."):
            try:
                value = value[int(part)] if isinstance(value, list) else value[part]
            except (LookupError, ValueError, TypeError):
                raise KeyError(path) from None
        return value


# ---- the shape of a table, made once per layout


@dataclass(slots=True)
class _Value:
    name: str
    leaf: Leaf


@dataclass(slots=True)
class _Word:
    name: str
    leaf: Leaf
    members: tuple[Leaf, ...]
    described: int


@dataclass(slots=True)
class _Array:
    name: str
    path: str
    axis: Axis
    first: int
    nodes: tuple[_Node, ...]
    plain: bool


@dataclass(slots=True)
class _Packed:
    name: str
    elements: tuple[tuple[_Node, ...], ...]
    plain: bool


_Node = _Value | _Word | _Array | _Packed


def _plain(row: Row) -> bool:
    return len(row.of) == 1 and row.of[0].type not in ("array", "bits")


def _shape(rows: Sequence[Row], layout: Layout, prefix: str, packed: tuple[int, ...], depth: int) -> Iterator[_Node]:
    for row in rows:
        path = prefix + row.name
        if row.type == "array":
            yield from _array(row, layout, path, packed, depth)
            continue
        leaf = layout.find(path, *packed)
        if leaf is None:
            continue
        if row.type != "bits":
            yield _Value(row.name, leaf)
            continue
        members = tuple(m for r in row.of if (m := layout.find(f"{path}.{r.name}", *packed)) is not None)
        described = 0
        for member in members:
            low, high = member.bits or (0, 0)
            described |= (1 << high + 1) - (1 << low)
        yield _Word(row.name, leaf, members, described)


def _array(row: Row, layout: Layout, path: str, packed: tuple[int, ...], depth: int) -> Iterator[_Node]:
    inside = [leaf for p, leaves in layout.by_path.items() if p.startswith(f"{path}.") for leaf in leaves]
    inside = [leaf for leaf in inside if leaf.packed[: len(packed)] == packed]
    if not inside:
        return
    if is_packed(row):
        count = 1 + max(leaf.packed[len(packed)] for leaf in inside)
        elements = (tuple(_shape(row.of, layout, f"{path}.", (*packed, i), depth)) for i in range(count))
        yield _Packed(row.name, tuple(elements), _plain(row))
        return
    nodes = tuple(_shape(row.of, layout, f"{path}.", packed, depth + 1))
    yield _Array(row.name, path, inside[0].axes[depth], min(leaf.offset for leaf in inside), nodes, _plain(row))


# ---- bytes to values


@dataclass(slots=True)
class _Decoder:
    get: Get
    end: int
    short: tuple[str, int] | None = None
    index: list[int] = field(default_factory=list)

    def node(self, node: _Node, shift: int, out: dict[str, Any]) -> None:
        if isinstance(node, _Array):
            out[node.name] = self.array(node, shift)
        elif isinstance(node, _Packed):
            out[node.name] = _cut([self.element(nodes, shift, node.plain) for nodes in node.elements])
        else:
            leaf = node.leaf
            raw = self.get(leaf.offset + shift, leaf.size)
            if raw is None:
                if self.short is None:
                    self.short = (leaf.path, leaf.offset + shift)
            elif isinstance(node, _Word):
                out[node.name] = _bits(node, raw)
            else:
                out[node.name] = decode_value(leaf.type, bytes(raw), leaf.bits, leaf.field.clock)

    def element(self, nodes: Sequence[_Node], shift: int, plain: bool) -> Any:
        out: dict[str, Any] = {}
        for node in nodes:
            self.node(node, shift, out)
        return (next(iter(out.values())) if plain else out) if out else None

    def array(self, node: _Array, shift: int) -> list[Any]:
        values: list[Any] = []
        if node.axis.stride <= 0:
            return values
        for i in range(node.axis.count):
            at = shift + i * node.axis.stride
            if node.first + at >= self.end:
                if self.short is None:
                    self.short = (node.path, node.first + at)
                break
            values.append(self.element(node.nodes, at, node.plain))
        return _cut(values)


def _cut(values: list[Any]) -> list[Any]:
    """Without the elements at the end of which nothing is there."""
    while values and values[-1] is None:
        values.pop()
    return values


def _bits(node: _Word, raw: bytes | memoryview) -> dict[str, Any]:
    word = int.from_bytes(raw, "little")
    out: dict[str, Any] = {}
    for member in node.members:
        low, high = member.bits or (0, 0)
        value = word >> low & (1 << high - low + 1) - 1
        out[member.field.name] = bool(value) if member.type == "bool" else value
    if rest := word & ~node.described:
        out[REST] = rest
    return out


def decode(layout: Layout, data: bytes | memoryview, *, table: str = "", get: Get | None = None) -> Decoded:
    """The values of a table: ``data`` are its bytes from the first on, or ``get(offset, size)`` gives those that are there.

    Never raises for what the bytes are. A shorter table gives what it holds, a longer one its ``rest``.
    """
    if get is None:

        def get(offset: int, size: int) -> bytes | memoryview | None:
            raw = data[offset : offset + size]
            return raw if len(raw) == size else None

    decoder = _Decoder(get, len(data))
    values: dict[str, Any] = {}
    for node in shape(layout):
        decoder.node(node, 0, values)
    rest = bytes(data[layout.size :])
    return Decoded(table, values, min(layout.size, len(data)), rest, decoder.short, layout.missing)


def shape(layout: Layout) -> tuple[_Node, ...]:
    """The nodes of a layout, made once."""
    known = layout.notes.get("shape")
    if known is None:
        known = layout.notes["shape"] = tuple(_shape(layout.fields, layout, "", (), 0))
    return cast(tuple[_Node, ...], known)


# ---- values to bytes


class _Encoder:
    def __init__(self, table: str, size: int) -> None:
        self.table, self.out = table, bytearray(size)
        #: The bytes of elements that found no place, and the first array that has such.
        self.surplus = 0
        self.crowded: str | None = None
        #: What did not fit. A field may get its place or its size only when those that it depends on are there.
        self.problems: list[TableError] = []

    def nodes(self, nodes: Sequence[_Node], shift: int, values: Any, path: str) -> None:
        if not isinstance(values, Mapping):
            raise self.wrong(path, values, "a mapping of its fields")
        known = {node.name for node in nodes}
        for node in nodes:
            if node.name in values:
                self.node(node, shift, values[node.name], path + node.name)
        # Afterwards, so that the fields which give others their place are there.
        for name in values:
            if name not in known:
                self.unplaced(f"{path}{name}", values[name])

    def unplaced(self, path: str, value: Any) -> None:
        if value not in (None, 0, "", [], b"", {}):
            problem = TableError(
                "table.no_place",
                f"{self.table}.{path} has no place in this meter's {self.table}",
                "leave it out, or change the dimensions that this meter is laid out with",
                table=self.table,
                path=path,
            )
            self.problems.append(problem)

    def node(self, node: _Node, shift: int, value: Any, path: str) -> None:
        if isinstance(node, _Array):
            self.array(node, shift, value, path)
        elif isinstance(node, _Packed):
            elements = self.listed(value, path)
            if len(elements) > len(node.elements):
                self.crowded = self.crowded or path
            for i, (nodes, element) in enumerate(zip(node.elements, elements, strict=False)):
                self.element(nodes, shift, element, f"{path}.{i}", node.plain)
        else:
            try:
                raw = self.raw(node, value, path)
            except TableError as problem:
                self.problems.append(problem)
                if isinstance(value, bytes | bytearray | memoryview):
                    # In a longer table it may have more room.
                    self.surplus += max(0, len(value) - node.leaf.size)
                return
            at = node.leaf.offset + shift
            if at + len(raw) > len(self.out):
                self.out.extend(bytes(at + len(raw) - len(self.out)))
            self.out[at : at + len(raw)] = raw

    def raw(self, node: _Value | _Word, value: Any, path: str) -> bytes:
        leaf = node.leaf
        try:
            if isinstance(node, _Word) and isinstance(value, Mapping):
                return self.word(node, value, path).to_bytes(leaf.size, "little")
            return encode_value("uint" if isinstance(node, _Word) else leaf.type, leaf.size, value)
        except (ValueError, TypeError, OverflowError, AttributeError) as error:
            what = f"{leaf.field.printed or leaf.type} of {leaf.size} bytes"
            raise self.wrong(path, value, what) from error

    def word(self, node: _Word, value: Mapping[str, Any], path: str) -> int:
        word = int(value.get(REST, 0)) & ~node.described
        members = {member.field.name: member for member in node.members}
        for name, part in value.items():
            if name == REST:
                continue
            member = members.get(name)
            if member is None or member.bits is None:
                self.unplaced(f"{path}.{name}", part)
                continue
            low, high = member.bits
            if not 0 <= int(part) < 1 << high - low + 1:
                raise self.wrong(f"{path}.{name}", part, f"a number of {high - low + 1} bits")
            word |= int(part) << low
        return word

    def listed(self, value: Any, path: str) -> Sequence[Any]:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            raise self.wrong(path, value, "a list of elements")
        return value

    def element(self, nodes: Sequence[_Node], shift: int, value: Any, path: str, plain: bool) -> None:
        if value is None:
            return
        if plain:
            for node in nodes:
                self.node(node, shift, value, path)
        else:
            self.nodes(nodes, shift, value, f"{path}.")

    def array(self, node: _Array, shift: int, value: Any, path: str) -> None:
        elements = self.listed(value, path)
        if len(elements) > node.axis.count:
            self.surplus += (len(elements) - node.axis.count) * node.axis.stride
            self.crowded = self.crowded or path
        for i, element in enumerate(elements[: node.axis.count]):
            self.element(node.nodes, shift + i * node.axis.stride, element, f"{path}.{i}", node.plain)

    def wrong(self, path: str, value: Any, wanted: str) -> TableError:
        path = path.rstrip(".")
        return TableError(
            "table.value",
            f"{self.table}.{path}: {_shown(value)} is not {wanted}",
            table=self.table,
            path=path,
            expected=wanted,
        )


def _shown(value: Any) -> str:
    """A value in an error; bytes may be anything, a key too."""
    return f"{len(value)} bytes" if isinstance(value, bytes | bytearray | memoryview) else repr(value)


def encode(
    layout: Layout, values: Mapping[str, Any], *, table: str = "", rest: bytes = b"", size: int | None = None
) -> bytes:
    """The bytes of a table from its tree: what has no value is 0. ``size`` is that of the table where it is not as described.

    Raises: TableError "table.value" for a value that does not fit its field, "table.no_place" for one whose field this
    meter does not have, "table.size" for a list that is too long.
    """
    encoder = _Encoder(table, layout.size if size is None else size)
    encoder.nodes(shape(layout), 0, values, "")
    if encoder.crowded is not None:
        raise _too_many(table, encoder.crowded)
    if encoder.problems:
        raise encoder.problems[0]
    return bytes(encoder.out[: None if size is None else size]) + rest


def _too_many(table: str, path: str) -> TableError:
    return TableError(
        "table.size",
        f"{table}.{path}: more elements than this meter's {table} has places for",
        "leave some out, or change the dimensions that this meter is laid out with",
        table=table,
        path=path,
    )


def encode_table(
    table: Table,
    values: Mapping[str, Any],
    dimensions: Dimensions,
    *,
    size: int | None = None,
    variables: Mapping[str, int] | None = None,
) -> bytes:
    """`encode` for a table whose layout depends on its own fields or length: laid out anew until its bytes stay the same.

    ``size`` fixes the length of the table; without it, arrays whose number stands nowhere are as long as their lists.
    Raises: TableError "table.size" where no length fits, and as `encode`; MissingDimension.
    """
    data, length = b"", size or 0
    problem: TableError | None = None
    for _ in range(_ROUNDS):

        def own(offset: int, count: int, data: bytes = data) -> bytes:
            return data[offset : offset + count].ljust(count, b"\0")

        layout = resolve(table, length, dimensions, data=own, variables=variables)
        encoder = _Encoder(table.id, layout.size if size is None else size)
        encoder.nodes(shape(layout), 0, values, "")
        new = bytes(encoder.out)
        wanted = len(new) + encoder.surplus if size is None else size
        problem = next(iter(encoder.problems), None)
        if new == data and wanted == length:
            if encoder.crowded is not None:
                raise _too_many(table.id, encoder.crowded)
            if problem is not None:
                raise problem
            return new
        data, length = new, wanted
    if problem is not None:
        raise problem
    raise TableError(
        "table.size",
        f"{table.id}: no length of the table fits its values",
        "give the size of the table, or check the lists that are longer than its dimensions",
        table=table.id,
    )


# ---- leaf by leaf


@dataclass(frozen=True, slots=True)
class Part:
    """One field of one element: its path with the numbers of elements, its place and bytes, its value.

    ``raw`` is None where its bytes are not all there. The members of a word of bits come after it, with the same place.
    """

    path: str
    leaf: Leaf
    offset: int
    raw: bytes | None
    value: Any


def walk(layout: Layout, get: Get, end: int) -> Iterator[Part]:
    """Every field of a table in the order of its bytes, as far as there are any before ``end``."""
    for node in shape(layout):
        yield from _walk(node, 0, "", get, end)


def _walk(node: _Node, shift: int, prefix: str, get: Get, end: int) -> Iterator[Part]:
    path = prefix + node.name
    if isinstance(node, _Array):
        for i in range(node.axis.count if node.axis.stride > 0 else 0):
            at = shift + i * node.axis.stride
            if node.first + at >= end:
                return
            for inner in node.nodes:
                yield from _walk(inner, at, f"{path}.{i}.", get, end)
    elif isinstance(node, _Packed):
        for i, nodes in enumerate(node.elements):
            for inner in nodes:
                yield from _walk(inner, shift, f"{path}.{i}.", get, end)
    else:
        leaf = node.leaf
        raw = get(leaf.offset + shift, leaf.size)
        if raw is None:
            yield Part(path, leaf, leaf.offset + shift, None, None)
            return
        raw = bytes(raw)
        if isinstance(node, _Word):
            values = _bits(node, raw)
            yield Part(path, leaf, leaf.offset + shift, raw, int.from_bytes(raw, "little"))
            for member in node.members:
                yield Part(f"{path}.{member.field.name}", member, leaf.offset + shift, raw, values[member.field.name])
        else:
            value = decode_value(leaf.type, raw, leaf.bits, leaf.field.clock)
            yield Part(path, leaf, leaf.offset + shift, raw, value)
