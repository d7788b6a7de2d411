"""The catalogue as a flat list of printed rows, with offsets worked out as formulas: ``osgp-fast tables --json``.

Offsets, counts and conditions are sums in the guide's notation, ``11 + BT71.5*(12 + BT71.3)``; ``size`` is the length of the
table as read, ``//`` and ``%`` are integer division and remainder, a comparison is 1 or 0. An offset within an array is that
of element 0. Where firmware 4.0 moves fields there are two lists, one per generation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from . import PROCEDURES, TABLES, _expr
from ._model import WIDTHS, Field, Table

#: BT07 and BT08 have the parameters of a procedure at 3 and its response at 4 (MEP guide pp. 52-53).
PARAMETERS_AT: Final = 3
RESPONSE_AT: Final = 4


@dataclass(frozen=True, slots=True)
class Sum:
    """A constant and terms with their factors: what offsets are made of."""

    const: int = 0
    terms: tuple[tuple[str, int], ...] = ()

    def __add__(self, other: Sum) -> Sum:
        terms = dict(self.terms)
        for term, factor in other.terms:
            terms[term] = terms.get(term, 0) + factor
        return Sum(self.const + other.const, tuple((t, f) for t, f in terms.items() if f))

    def scale(self, by: int) -> Sum:
        """The sum, ``by`` times."""
        return Sum(self.const * by, tuple((t, f * by) for t, f in self.terms) if by else ())

    def __mul__(self, other: Sum) -> Sum:
        if not self.terms:
            return other.scale(self.const)
        if not other.terms:
            return self.scale(other.const)
        return Sum(0, ((f"{self.factor()}*{other.factor()}", 1),))

    def factor(self) -> str:
        """The text as a factor of a product."""
        text = str(self)
        if not self.terms:
            return text
        single = len(self.terms) == 1 and self.const == 0 and self.terms[0][1] > 0
        divided = re.search(r"//|%", re.sub(r"\([^()]*\)", "", text))
        return text if single and not divided else f"({text})"

    def __str__(self) -> str:
        parts = [(str(abs(self.const)), self.const < 0)] if self.const or not self.terms else []
        parts += [(term if abs(f) == 1 else f"{abs(f)}*{term}", f < 0) for term, f in self.terms]
        parts.sort(key=lambda part: part[1])
        first, negative = parts[0]
        text = f"-{first}" if negative else first
        return text + "".join(f" {'-' if minus else '+'} {part}" for part, minus in parts[1:])

    def value(self) -> int | str:
        """A number where it is one, else the formula."""
        return str(self) if self.terms else self.const


_ZERO: Final = Sum()
_ONE: Final = Sum(1)


@cache
def _printed(table: Table) -> Mapping[str, str]:
    """The guide's notation of every field of a table: by its path, its printed offset where that is a number."""
    out: dict[str, str] = {}

    def walk(fields: Sequence[Field], prefix: str) -> None:
        for f in fields:
            at = f.at if isinstance(f.at, str) and f.at.isdigit() else None
            if f.type == "array":
                walk(f.of, f"{prefix}{f.name}.")
                continue
            if at is not None:
                out[prefix + f.name] = at
            for member in f.of:
                if at is not None and member.bits is not None:
                    out[f"{prefix}{f.name}.{member.name}"] = f"{at}.{member.bits[0]}"

    walk(table.fields, "")
    return out


class _Formulas:
    """Expressions of one table as sums, for one generation of firmware."""

    def __init__(self, table: Table, generation_4: bool) -> None:
        self.table, self.generation_4 = table, generation_4
        self.indices: dict[str, int] = {}

    def __call__(self, text: str) -> Sum:
        return self.sum(_expr.parse(text))

    def sum(self, tree: _expr.Expr) -> Sum:
        if isinstance(tree, _expr.Num):
            return Sum(tree.value)
        if isinstance(tree, _expr.Var):
            return self.variable(tree.name)
        if isinstance(tree, _expr.Ref):
            return Sum(0, ((self.reference(tree), 1),))
        left = self.sum(tree.left)
        if tree.op == "??":
            # As the guide prints it.
            return left
        right = self.sum(tree.right)
        match tree.op:
            case "+":
                return left + right
            case "-":
                return left + right.scale(-1)
            case "*":
                return left * right
        if not left.terms and not right.terms:
            return Sum(_expr.evaluate(_expr.Op(tree.op, _expr.Num(left.const), _expr.Num(right.const)), _none, _none))
        if tree.op in ("//", "%"):
            if tree.op == "//" and right == _ONE:
                return left
            return Sum(0, ((f"{left.factor()}{tree.op}{right.factor()}", 1),))
        return Sum(0, ((f"({left} {tree.op} {right})", 1),))

    def variable(self, name: str) -> Sum:
        if name in self.indices:
            return Sum(self.indices[name])
        if name == "gen4":
            return Sum(int(self.generation_4))
        if name == "size":
            return Sum(0, (("size", 1),))
        text = self.table.fixed.get(name, self.table.variables.get(name))
        # Content of bytes that no layout reaches is as long as what stands before it says; a question that only the
        # reader can answer stays one.
        return Sum(0, ((name, 1),)) if text is None or text == name else self(str(text))

    def reference(self, ref: _expr.Ref) -> str:
        table = TABLES.get(ref.table) or PROCEDURES.get(ref.table)
        key = ref.key if table is None else _printed(table).get(ref.key, ref.key)
        return f"{ref.table}.{key}" + "".join(f"[{self.sum(i)}]" for i in ref.index)


def _none(*_: object) -> int:
    raise AssertionError("constants have no names")


class _Flat:
    def __init__(self, table: Table, generation_4: bool) -> None:
        self.table = table
        self.formula = _Formulas(table, generation_4)
        self.rows: list[dict[str, Any]] = []
        self.page: int | None = None

    def fields(
        self, fields: Sequence[Field], prefix: str, offset: Sum, when: Sum, arrays: Sequence[dict[str, Any]]
    ) -> Sum:
        """Add rows; the offset behind them."""
        for f in fields:
            offset = self.field(f, prefix, offset, when, arrays)
        return offset

    def field(self, f: Field, prefix: str, offset: Sum, when: Sum, arrays: Sequence[dict[str, Any]]) -> Sum:
        self.page = f.page or self.page
        here = _ONE if f.when is None else self.formula(f.when)
        if here == _ZERO:
            return offset
        inside, start = when * here, offset
        if f.type == "array":
            size = self.array(f, prefix, offset, inside, arrays)
        else:
            size = Sum(WIDTHS[f.type]) if f.type in WIDTHS else self.formula(f.size or "0")
            if size == _ZERO and f.type == "octets":
                return offset
            if f.spec or f.type != "bits":
                self.row(f, prefix + f.name, offset, inside, arrays)
            for member in f.of:
                self.page = member.page or self.page
                self.row(member, f"{prefix}{f.name}.{member.name}", offset, inside, arrays, parent=f)
            for row in f.content:
                # No layout finds these: they stand where they are printed, or one after another.
                at = Sum(int(row.at)) if isinstance(row.at, str) and row.at.isdigit() else offset
                offset = self.field(row, f"{prefix}{f.name}.", at, inside, arrays)
            if f.content:
                return start + size * here
        return offset + size * here

    def array(self, f: Field, prefix: str, offset: Sum, when: Sum, arrays: Sequence[dict[str, Any]]) -> Sum:
        """Add the rows of an element; the bytes that all elements take."""
        count = self.formula(f.count or "0")
        packed = f.index is not None and f.max is not None and _varies(f, f.index)
        axis: dict[str, Any] = {"name": f.spec or f.name, "count": count.value(), "stride": None}
        inside = [*arrays, axis]
        if f.index is not None:
            self.formula.indices[f.index] = 0
        end = self.fields(f.of, f"{prefix}{f.name}.", offset, when, inside)
        first = end + offset.scale(-1)
        if packed:
            size = self.packed(f, count)
        else:
            stride = first if f.stride is None else self.formula(f.stride)
            axis["stride"] = stride.value()
            size = count * stride
            self.named(f, f"{prefix}{f.name}", offset, stride, count, when, arrays)
        if f.index is not None:
            self.formula.indices.pop(f.index)
        return size

    def named(
        self, f: Field, path: str, offset: Sum, stride: Sum, count: Sum, when: Sum, arrays: Sequence[dict[str, Any]]
    ) -> None:
        """Add the rows that the guides print for the elements of an array, one after another."""
        at = 0
        for row in f.elements:
            i = at // (stride.const or 1)
            there = Sum(int(count.const > i)) if not count.terms else Sum(0, ((f"({count} > {i})", 1),))
            self.page = row.page or self.page
            name = f".{row.name}" if len(f.of) > 1 else ""
            self.row(row, f"{path}.{i}{name}", offset + Sum(at), when * there, arrays)
            at += WIDTHS[row.type]

    def packed(self, f: Field, count: Sum) -> Sum:
        """The bytes of elements that differ in size: a term for each that there may be."""
        total = _ZERO
        rows, page = self.rows, self.page
        for i in range(f.max or 0):
            self.rows = []
            self.formula.indices[f.index or ""] = i
            there = Sum(int(count.const > i)) if not count.terms else Sum(0, ((f"({count} > {i})", 1),))
            total += there * self.fields(f.of, "", _ZERO, _ONE, [])
        self.rows, self.page = rows, page
        return total

    def row(
        self,
        f: Field,
        path: str,
        offset: Sum,
        when: Sum,
        arrays: Sequence[dict[str, Any]],
        parent: Field | None = None,
    ) -> None:
        bits = None
        if f.bits is not None:
            low, high = f.bits
            bits = str(low) if low == high else f"{low}..{high}"
        self.rows.append(
            {
                "name": f.spec or f.name,
                "type": self.type(f),
                "offset": offset.value(),
                "bits": bits,
                "unit": f.unit,
                "scale": f.scale,
                "since": f.since or (parent.since if parent else None),
                "until": f.until or (parent.until if parent else None),
                "when": None if when == _ONE else str(when),
                "enum": None if f.enum is None else {str(k): v for k, v in f.enum.items()},
                "source": self.source(),
                "array": list(arrays) or None,
                # Beyond the contract, at the end.
                "path": path,
                "since_cpm": f.since_cpm or (parent.since_cpm if parent else None),
                "vci": f.vci or None,
                "default": f.default or None,
                "clock": f.clock or None,
                "doc": f.doc or None,
            }
        )

    def type(self, f: Field) -> str:
        """The type as printed, with a length in the guide's notation."""
        printed = f.printed or f.type
        return printed if f.size is None else printed.replace(f"[{f.size}]", f"[{self.formula(f.size)}]")

    def source(self) -> str:
        first = self.table.source.split(";")[0].strip()
        return first if self.page is None else re.sub(r"\bpp?\. *[\d-]+.*$", f"p. {self.page}", first)


def _varies(f: Field, index: str) -> bool:
    texts = [t for m in f.of for t in (m.size, m.count, m.stride, m.when) if t is not None]
    names = {n.name for t in texts for n in _expr.references(_expr.parse(t)) if isinstance(n, _expr.Var)}
    return index in names or any(_varies(m, index) for m in f.of)


def rows(table: Table, *, generation_4: bool = False) -> list[dict[str, Any]]:
    """The rows of a table, or the parameters of a procedure, for one generation of firmware."""
    flat = _Flat(table, generation_4)
    flat.fields(table.fields, "", Sum(PARAMETERS_AT if table.is_procedure else 0), _ONE, [])
    return flat.rows


def response_rows(table: Table) -> list[dict[str, Any]]:
    """The rows of a procedure's response."""
    flat = _Flat(table, False)
    flat.fields(table.response, "", Sum(RESPONSE_AT), _ONE, [])
    return flat.rows


def objects() -> Iterator[dict[str, Any]]:
    """The whole catalogue for machines: an object per table or procedure, and another where firmware 4.0 differs."""
    for table in (*TABLES.values(), *PROCEDURES.values()):
        older, newer = rows(table), rows(table, generation_4=True)
        yield _object(table, older)
        if older != newer:
            yield {**_object(table, newer), "generation": 4}


def _object(table: Table, fields: list[dict[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {
        "id": table.id,
        "number": table.number,
        "name": table.name,
        "read": table.read,
        "write": table.write,
        "source": table.source,
        "fields": fields,
        "optical_read": table.optical_read or None,
        "optical_write": table.optical_write or None,
        "since": table.since,
        "since_cpm": table.since_cpm,
        "clients": table.clients or None,
        "nvm": table.nvm,
        "doc": table.doc or None,
    }
    if table.is_procedure:
        out["response"] = response_rows(table)
        out["results"] = {str(k): v for k, v in table.results.items()}
    return out


def meaning(row: Mapping[str, Any]) -> str:
    """What the catalogue says of a row beside its numbers, in one line."""
    parts = [row["doc"]] if row["doc"] else []
    if row["enum"]:
        parts.append(", ".join(f"{k} = {v}" for k, v in row["enum"].items()))
    if row["default"]:
        parts.append(f"default {row['default']}")
    if row["clock"]:
        parts.append({"utc": "UTC", "local": "local time"}[row["clock"]])
    if row["when"]:
        parts.append(f"only if {row['when']}")
    return "; ".join(parts)
