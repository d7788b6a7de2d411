"""One field of a table: where it stands, and its value, without the rest of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..layout import Layout, Leaf
from .tree import _Array, _Decoder, _Encoder, _Node, _Packed, _too_many, _Value, _Word, shape
from .values import decode_value


@dataclass(frozen=True, slots=True)
class Place:
    """Some bytes of a table, and what they are: a value, a word of bits, one of its bits, or an array's elements."""

    offset: int
    size: int
    _node: _Node | Leaf | tuple[tuple[_Node, ...], bool]
    _shift: int

    @property
    def leaf(self) -> Leaf | None:
        """The row of a single value, word or bit; None for an element or an array."""
        if isinstance(self._node, Leaf):
            return self._node
        return self._node.leaf if isinstance(self._node, _Value | _Word) else None

    def value(self, data: bytes) -> Any:
        """What its ``size`` bytes hold, as `decode` gives it; None where they are too few."""

        def get(offset: int, size: int) -> bytes | None:
            start = offset - self.offset
            raw = data[start : start + size] if start >= 0 else b""
            return raw if len(raw) == size else None

        node = self._node
        if isinstance(node, Leaf):
            return decode_value(node.type, data, node.bits, node.field.clock) if len(data) == node.size else None
        decoder = _Decoder(get, self.offset + len(data))
        if isinstance(node, tuple):
            return decoder.element(node[0], self._shift, node[1])
        out: dict[str, Any] = {}
        decoder.node(node, self._shift, out)
        return out.get(node.name)

    def encode(self, value: Any, old: bytes, *, table: str = "", path: str = "") -> bytes:
        """Its bytes with another value: bits, members and elements that the value does not name stay as in ``old``.

        Raises: TableError, as `tree.encode`; ``table`` and ``path`` are named there.
        """
        node = self._node
        # Offsets of the encoder are those of the table.
        encoder = _Encoder(table, self.offset)
        encoder.out += old
        if isinstance(node, Leaf):
            low, high = node.bits or (0, 8 * node.size - 1)
            number = value if isinstance(value, int) else -1
            if not 0 <= number < 1 << high - low + 1:
                raise encoder.wrong(path, value, f"a number of {high - low + 1} bits")
            rest = int.from_bytes(old, "little") & ~((1 << high + 1) - (1 << low))
            return (rest | number << low).to_bytes(self.size, "little")
        value = _merged(self.value(old), value)
        if isinstance(node, tuple):
            encoder.element(node[0], self._shift, value, path, node[1])
        else:
            encoder.node(node, self._shift, value, path)
        if encoder.crowded is not None:
            raise _too_many(table, encoder.crowded)
        if encoder.problems:
            raise encoder.problems[0]
        return bytes(encoder.out[self.offset :])


def _merged(old: Any, new: Any) -> Any:
    """A tree with what another one names."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {**old, **{name: _merged(old.get(name), value) for name, value in new.items()}}
    if isinstance(old, list) and isinstance(new, list):
        return [_merged(old[i] if i < len(old) else None, value) for i, value in enumerate(new)]
    return new


def place(layout: Layout, path: str) -> Place | None:
    """Where the field, element or array of a path stands: ``set.0.blocks``, ``set.0``, ``flags.active``; None: nowhere."""
    nodes: Sequence[_Node] = shape(layout)
    shift = 0
    words = path.split(".")
    found: _Node | None = None
    element: tuple[tuple[_Node, ...], bool] | None = None
    for i, word in enumerate(words):
        if element is None and isinstance(found, _Array | _Packed):
            if not word.isascii() or not word.isdigit():
                return None
            n = int(word)
            if isinstance(found, _Array):
                if n >= found.axis.count:
                    return None
                shift += n * found.axis.stride
                element = found.nodes, found.plain
            else:
                if n >= len(found.elements):
                    return None
                element = found.elements[n], found.plain
            nodes = element[0]
            if element[1] and len(nodes) == 1 and isinstance(nodes[0], _Value | _Array | _Packed):
                # An array of one plain row: its elements are the values.
                found, element = nodes[0], None
            continue
        if isinstance(found, _Word):
            member = next((m for m in found.members if m.field.name == word), None)
            if member is None or i + 1 < len(words):
                return None
            return Place(member.offset + shift, member.size, member, shift)
        if isinstance(found, _Value):
            return None
        found = next((node for node in nodes if node.name == word), None)
        element = None
        if found is None:
            return None
    if element is not None:
        return _extent(element[0], shift, element)
    return None if found is None else _extent((found,), shift, found)


def _extent(nodes: Sequence[_Node], shift: int, what: _Node | tuple[tuple[_Node, ...], bool]) -> Place | None:
    ends = [_ends(node, shift) for node in nodes]
    known = [end for end in ends if end is not None]
    if not known:
        return None
    first, last = min(end[0] for end in known), max(end[1] for end in known)
    return Place(first, last - first, what, shift)


def _ends(node: _Node, shift: int) -> tuple[int, int] | None:
    if isinstance(node, _Value | _Word):
        return node.leaf.offset + shift, node.leaf.offset + shift + node.leaf.size
    if isinstance(node, _Packed):
        inner = [_ends(n, shift) for nodes in node.elements for n in nodes]
    else:
        if not node.axis.count:
            return None
        far = shift + (node.axis.count - 1) * node.axis.stride
        inner = [_ends(n, s) for n in node.nodes for s in (shift, far)]
    known = [end for end in inner if end is not None]
    return (min(end[0] for end in known), max(end[1] for end in known)) if known else None
