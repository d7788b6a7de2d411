"""CSV and JSON lines: times as RFC 3339 with Z, binary as hex, lists joined by ``;``, numbers as they are.

CSV has a header, fields are quoted where they must be, null is an empty field. JSON lines have every key in every line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from ..columns import Column
from ..units import rfc3339

__all__ = ["csv_header", "csv_lines", "json_lines", "renderer"]

_QUOTED: Final = re.compile(r'[",\r\n]')


def _joined(value: Iterable[object]) -> str:
    return ";".join(map(str, value))


def _local(micros: int) -> str:
    return rfc3339(micros, zone="")


def _bool(value: bool) -> str:
    return "true" if value else "false"


def renderer(type: str) -> Callable[[Any], str]:
    """How values of a type are written as text, in all formats that are text."""
    match type:
        case "timestamp[us, UTC]":
            return rfc3339
        case "timestamp[us]":
            return _local
        case "binary":
            return lambda value: bytes(value).hex()
        case "list<int32>":
            return _joined
        case "bool":
            return _bool
        case "float64":
            return repr
    return str


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if _QUOTED.search(value) else value


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def _json_renderer(type: str) -> Callable[[Any], str]:
    if type in ("bool", "float64") or type.startswith("int"):
        return renderer(type)
    if type == "string":
        return _JSON.encode
    inner = renderer(type)
    return lambda value: f'"{inner(value)}"'


def csv_header(schema: Sequence[Column]) -> str:
    """The first line."""
    return ",".join(c.name for c in schema) + "\n"


def csv_lines(schema: Sequence[Column], batch: dict[str, list[Any]]) -> str:
    """The lines of a batch."""
    rendered = []
    for column in schema:
        render = renderer(column.type)
        if column.type == "string":
            rendered.append(["" if v is None else _quoted(v) for v in batch[column.name]])
        else:
            rendered.append(["" if v is None else render(v) for v in batch[column.name]])
    return "".join(",".join(row) + "\n" for row in zip(*rendered, strict=True))


def json_lines(schema: Sequence[Column], batch: dict[str, list[Any]]) -> str:
    """The lines of a batch."""
    rendered = []
    for column in schema:
        render = _json_renderer(column.type)
        key = _JSON.encode(column.name) + ":"
        rendered.append([key + ("null" if v is None else render(v)) for v in batch[column.name]])
    return "".join("{" + ",".join(row) + "}\n" for row in zip(*rendered, strict=True))
