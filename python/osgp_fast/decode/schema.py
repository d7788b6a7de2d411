"""The schema of a result: known without decoding, and without any library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .. import _impl
from ..columns import columns
from ..sinks import arrow_schema

__all__ = ["Field", "Schema"]


@dataclass(frozen=True, slots=True)
class Field:
    """A column: its name, its Arrow type in words, and whether it can be null."""

    name: str
    type: str
    nullable: bool


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a kind; libraries take it through ``__arrow_c_schema__`` (``pyarrow.schema(result.schema)``)."""

    kind: str
    shape: str
    delta: bool
    plain: bool
    fields: tuple[Field, ...]

    @classmethod
    def of(cls, kind: str, *, shape: str = "long", delta: bool = False, plain: bool = False) -> Schema:
        """The schema of a kind; ``plain``: strings instead of dictionary<int32, string>."""
        fields = tuple(
            Field(c.name, "dictionary<int32, string>" if c.repeated and not plain else c.type, c.nullable)
            for c in columns(kind, "wide" if shape == "wide" else "long", delta)
        )
        return cls(kind, shape, delta, plain, fields)

    @property
    def names(self) -> list[str]:
        """The names of the columns, in order."""
        return [f.name for f in self.fields]

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __str__(self) -> str:
        return "\n".join(f"{f.name}: {f.type}{'' if f.nullable else ' not null'}" for f in self.fields)

    def __arrow_c_schema__(self) -> object:
        if _impl.compiled():
            return (
                _impl.core()
                .stream_schema(self.kind, shape=self.shape, delta=self.delta, plain=self.plain)
                .__arrow_c_schema__()
            )
        return arrow_schema(self.kind, self.shape, self.delta, self.plain).__arrow_c_schema__()
