"""The expression language of the catalogue: integers, ``+ - * // %``, comparisons, and names.

A name is a field of a table (``BT61.9[n]``, ``BT61.4.4``, ``ET55.energy_register_unit``: the printed offset or the
field's name, and the elements of its arrays), an index of an enclosing array (``n``), ``size`` (the length of the table
as read), ``gen4`` (1 on firmware 4.0 and later) or a variable of the table. Comparisons are 1 or 0. Nothing else: what
a reviewer cannot check against the guide with pencil and paper does not belong in a row. ``ET11.34 ?? 1`` is the left side
where it can be told and else the right one, for dimensions that older firmware does not state. Parsed by hand, as Rust does
it, never evaluated by Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<ref>[BE][TP]\d\d\.(?:\d+(?:\.\d+)?|[a-z_][a-z0-9_.]*))|(?P<num>\d+)|(?P<name>[a-z_][a-z0-9_]*)"
    r"|(?P<op>//|\?\?|==|!=|<=|>=|[-+*%<>()\[\],]))"
)
_PRECEDENCE: Final = {
    "??": 1,
    "+": 3,
    "-": 3,
    "*": 4,
    "//": 4,
    "%": 4,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), 2),
}
# Catalogue expressions are short; a limit keeps a wrong row from becoming a stack overflow.
_MAX_DEPTH: Final = 32


class ExpressionError(ValueError):
    """A row of the catalogue holds an expression that is not of the language."""


@dataclass(frozen=True, slots=True)
class Num:
    """A constant."""

    value: int


@dataclass(frozen=True, slots=True)
class Var:
    """An index, ``size``, ``gen4`` or a variable of the table."""

    name: str


@dataclass(frozen=True, slots=True)
class Ref:
    """A field of a table: by printed offset (``"9"``, ``"4.4"``) or by name, with the elements of its arrays."""

    table: str
    key: str
    index: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Op:
    """An operation on two expressions."""

    op: str
    left: Expr
    right: Expr


Expr = Num | Var | Ref | Op


def parse(text: str) -> Expr:
    """Parse an expression. Raises: ExpressionError."""
    tokens: list[tuple[str, str]] = []
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None or match.lastgroup is None:
            raise ExpressionError(f"{text!r}: not understood from {stripped[position:]!r}")
        tokens.append((match.lastgroup, match.group(match.lastgroup)))
        position = match.end()
    tokens.reverse()
    tree = _parse(tokens, 0, 0, text)
    if tokens:
        raise ExpressionError(f"{text!r}: {tokens[-1][1]!r} is left over")
    return tree


def _parse(tokens: list[tuple[str, str]], floor: int, depth: int, text: str) -> Expr:
    if depth > _MAX_DEPTH:
        raise ExpressionError(f"{text!r}: nested too deeply")
    left = _atom(tokens, depth, text)
    while tokens and tokens[-1][0] == "op" and _PRECEDENCE.get(tokens[-1][1], 0) > floor:
        op = tokens.pop()[1]
        left = Op(op, left, _parse(tokens, _PRECEDENCE[op], depth + 1, text))
    return left


def _atom(tokens: list[tuple[str, str]], depth: int, text: str) -> Expr:
    if not tokens:
        raise ExpressionError(f"{text!r}: ends too early")
    kind, token = tokens.pop()
    if kind == "num":
        return Num(int(token))
    if kind == "name":
        return Var(token)
    if kind == "ref":
        index: list[Expr] = []
        while tokens and tokens[-1] == ("op", "["):
            tokens.pop()
            index.append(_parse(tokens, 0, depth + 1, text))
            _expect(tokens, "]", text)
        return Ref(token[:4], token[5:], tuple(index))
    if token == "(":
        inner = _parse(tokens, 0, depth + 1, text)
        _expect(tokens, ")", text)
        return inner
    raise ExpressionError(f"{text!r}: {token!r} is not expected here")


def _expect(tokens: list[tuple[str, str]], token: str, text: str) -> None:
    if not tokens or tokens.pop() != ("op", token):
        raise ExpressionError(f"{text!r}: {token!r} is missing")


def evaluate(tree: Expr, var: Callable[[str], int], ref: Callable[[Ref, tuple[int, ...]], int]) -> int:
    """The value of an expression; ``var`` and ``ref`` look names up and raise what they like.

    Division and remainder by zero are 0: a meter's dimension may be 0, and then the array is empty.
    """
    if isinstance(tree, Num):
        return tree.value
    if isinstance(tree, Var):
        return var(tree.name)
    if isinstance(tree, Ref):
        return ref(tree, tuple(evaluate(i, var, ref) for i in tree.index))
    if tree.op == "??":
        try:
            return evaluate(tree.left, var, ref)
        except LookupError:
            return evaluate(tree.right, var, ref)
    left, right = evaluate(tree.left, var, ref), evaluate(tree.right, var, ref)
    match tree.op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "//":
            return left // right if right else 0
        case "%":
            return left % right if right else 0
        case "==":
            return int(left == right)
        case "!=":
            return int(left != right)
        case "<":
            return int(left < right)
        case "<=":
            return int(left <= right)
        case ">":
            return int(left > right)
        case _:
            return int(left >= right)


def references(tree: Expr) -> Iterator[Ref | Var]:
    """Every name in an expression, for the checks of the catalogue and to see whether an element's size varies."""
    if isinstance(tree, Ref):
        yield tree
        for index in tree.index:
            yield from references(index)
    elif isinstance(tree, Var):
        yield tree
    elif isinstance(tree, Op):
        yield from references(tree.left)
        yield from references(tree.right)
