"""What a row of the catalogue can say: tables, procedures, fields, arrays. Data only, in the order of the guides.

Offsets are computed from the sizes of what stands before; ``at`` is the printed offset, checked by a test and never
used to read. A field that exists on some firmware only keeps its place (``since``, ``until``): new fields go to the end
of a table (Optical guide p. 18); what makes bytes come and go is ``when``, what makes them move is ``gen4`` in a size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Vci = Literal["F", "M", "H", "P", "HD", "HI", "M/H", ""]
# Value Control Identifiers, Optical guide p. 7, MEP guide p. 42: how long a value may be remembered.
F: Final = "F"
M: Final = "M"
H: Final = "H"
P: Final = "P"
HD: Final = "HD"
HI: Final = "HI"
Clock = Literal["utc", "local", ""]
UTC: Final = "utc"
LOCAL: Final = "local"

#: Bytes of every type of fixed width. Source: Optical guide pp. 5-7, "Data Types".
WIDTHS: Final[Mapping[str, int]] = {
    **{f"u{8 * n}": n for n in (1, 2, 3, 4, 5, 6)},
    **{f"i{8 * n}": n for n in (1, 2, 3, 4, 5, 6)},
    "u16_be": 2,
    "ni_fmat1": 4,
    "ni_fmat2": 4,
    "time": 3,
    "stime_date": 5,
    "ltime_date": 6,
    "date": 3,
    "ansi_date": 2,
    "rdate": 2,
    "ped": 6,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Field:
    """One row: a value, a group of bits, or an array of rows.

    ``type`` is a key of `WIDTHS`, or ``bits`` (members in ``of``, each with ``bits``), ``char``, ``bcd``, ``set`` and
    ``octets`` (``size`` bytes), or ``array`` (``count`` elements of ``of``; ``stride`` where the meter gives an entry
    size: what reaches beyond it is not there; an element whose size depends on its own index is packed).

    ``elements`` are rows of their own that the guides print for the elements of an array, in order: names, versions, words;
    ``content`` are rows of what the bytes of an ``octets`` hold where that is no matter of strides. Neither is laid out.

    ``spec`` and ``printed`` are name and type as printed; ``page`` is the page of the row, and of those after it until
    another says otherwise, in the guide that the table's ``source`` names first. ``default`` is the printed value: fixed,
    or that of the factory. ``clock`` says what a time counts: UTC or the meter's local time.
    """

    name: str
    type: str
    spec: str = ""
    printed: str = ""
    at: str | tuple[str, str] | None = None
    size: str | None = None
    bits: tuple[int, int] | None = None
    count: str | None = None
    max: int | None = None
    index: str | None = None
    stride: str | None = None
    of: tuple[Field, ...] = ()
    elements: tuple[Field, ...] = ()
    content: tuple[Field, ...] = ()
    when: str | None = None
    since: str | None = None
    since_cpm: str | None = None
    until: str | None = None
    vci: str = ""
    unit: str | None = None
    scale: str | None = None
    enum: Mapping[int, str] | None = None
    default: str = ""
    clock: Clock = ""
    page: int | None = None
    doc: str = ""

    def to_json(self) -> dict[str, Any]:
        """The row as JSON values, without what it does not say."""
        out: dict[str, Any] = {"name": self.name, "type": self.type}
        for key in ("spec", "printed", "at", "size", "bits", "count", "max", "index", "stride", "when", "since"):
            value = getattr(self, key)
            if value not in (None, ""):
                out[key] = list(value) if isinstance(value, tuple) else value
        for key in ("since_cpm", "until", "vci", "unit", "scale", "default", "clock", "page", "doc"):
            if value := getattr(self, key):
                out[key] = value
        if self.enum is not None:
            out["enum"] = {str(k): v for k, v in self.enum.items()}
        for key in ("of", "elements", "content"):
            if rows := getattr(self, key):
                out[key] = [f.to_json() for f in rows]
        return out

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Field:
        """The row that `to_json` gave."""
        values = dict(row)
        for key in ("at", "bits"):
            if isinstance(values.get(key), list):
                values[key] = tuple(values[key])
        if "enum" in values:
            values["enum"] = {int(k): v for k, v in values["enum"].items()}
        for key in ("of", "elements", "content"):
            values[key] = tuple(cls.from_json(f) for f in values.get(key, ()))
        return cls(**values)


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """One table or procedure of the guides.

    ``read`` and ``write`` are the keys of the MEP port (of a procedure: who may call it, as ``write``), ``optical_read``
    and ``optical_write`` those of the optical port where the Optical guide says. ``since`` and ``since_cpm`` are the first
    firmware of meters and of Control Point modules that has it, ``clients`` the kinds of MEP server that its access table
    marks. ``nvm``: writing wears the memory (MEP guide, appendix C). ``variables`` are layout questions that the guides
    leave open, with the default answer; ``fixed`` is what the guides print for some of them: a constant, or a field of a
    table whose absence must not cost the fields in front.

    A procedure has its parameters as ``fields`` (offset 3 of BT07 is their offset 0), its response as ``response``
    (offset 4 of BT08, ET59 or ET85) and the result codes that mean something of their own as ``results``.
    """

    id: str
    number: int
    name: str
    source: str
    fields: tuple[Field, ...]
    read: str = "MBK, MAK"
    write: str = "None"
    optical_read: str = ""
    optical_write: str = ""
    since: str | None = None
    since_cpm: str | None = None
    clients: str = ""
    nvm: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, int | str] = field(default_factory=dict)
    response: tuple[Field, ...] = ()
    results: Mapping[int, str] = field(default_factory=dict)
    doc: str = ""

    @property
    def is_procedure(self) -> bool:
        """Whether it is called (BPnn, EPnn), not read."""
        return self.id[1] == "P"

    def to_json(self) -> dict[str, Any]:
        """The table as JSON values."""
        out: dict[str, Any] = {
            "id": self.id,
            "number": self.number,
            "name": self.name,
            "source": self.source,
            "read": self.read,
            "write": self.write,
        }
        for key in ("optical_read", "optical_write", "since", "since_cpm", "clients", "nvm", "doc"):
            if value := getattr(self, key):
                out[key] = value
        if self.variables:
            out["variables"] = dict(self.variables)
        if self.fixed:
            out["fixed"] = dict(self.fixed)
        out["fields"] = [f.to_json() for f in self.fields]
        if self.response:
            out["response"] = [f.to_json() for f in self.response]
        if self.results:
            out["results"] = {str(k): v for k, v in self.results.items()}
        return out

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Table:
        """The table that `to_json` gave."""
        values = dict(row)
        for key in ("fields", "response"):
            values[key] = tuple(Field.from_json(f) for f in values.get(key, ()))
        values["results"] = {int(k): v for k, v in values.get("results", {}).items()}
        return cls(**values)


def table(id: str, name: str, source: str, fields: Sequence[Field], **more: Any) -> Table:
    """A table; its number on the wire follows from its id (BTnn = nn, ETnn = 2048 + nn)."""
    number = int(id[2:]) + (2048 if id.startswith("E") else 0)
    return Table(id=id, number=number, name=name, source=source, fields=tuple(fields), **more)


def procedure(
    id: str,
    name: str,
    source: str,
    parameters: Sequence[Field],
    response: Sequence[Field] = (),
    *,
    call: str,
    **more: Any,
) -> Table:
    """A procedure; ``call`` are the MEP keys that may call it. Its number is that of BT07 (BPnn = nn, EPnn = 2048 + nn)."""
    return table(id, name, source, parameters, read="None", write=call, response=tuple(response), **more)


def _plain(type: str, printed: str) -> Any:
    def make(name: str, spec: str = "", **more: Any) -> Field:
        return Field(name=name, type=type, spec=spec, **{"printed": printed, **more})

    return make


u8 = _plain("u8", "UINT8")
u16 = _plain("u16", "UINT16")
u24 = _plain("u24", "UINT24")
u32 = _plain("u32", "UINT32")
u40 = _plain("u40", "UINT40")
u48 = _plain("u48", "UINT48")
i8 = _plain("i8", "INT8")
i16 = _plain("i16", "INT16")
i24 = _plain("i24", "INT24")
i32 = _plain("i32", "INT32")
i48 = _plain("i48", "INT48")
#: Two UINT8 that the guide reads as one packed number, high byte first (BT01 firmware, Optical guide p. 19).
u16_be = _plain("u16_be", "UINT8, UINT8")
ni_fmat1 = _plain("ni_fmat1", "NI_FMAT1")
ni_fmat2 = _plain("ni_fmat2", "NI_FMAT2")
time = _plain("time", "TIME")
stime_date = _plain("stime_date", "STIME_DATE")
ltime_date = _plain("ltime_date", "LTIME_DATE")
date = _plain("date", "DATE")
ansi_date = _plain("ansi_date", "ANSI_DATE")
rdate = _plain("rdate", "RDATE")
ped = _plain("ped", "PED")


def _sized(type: str, printed: str) -> Any:
    def make(name: str, size: int | str, spec: str = "", **more: Any) -> Field:
        return Field(name=name, type=type, spec=spec, size=str(size), **{"printed": printed.format(size), **more})

    return make


char = _sized("char", "ARRAY[{}] OF CHAR")
bcd = _sized("bcd", "ARRAY OF BCD")
octets = _sized("octets", "ARRAY[{}] OF UINT8")
#: A collection of ``size`` bytes of booleans, the first the least significant bit of byte 0.
set_ = _sized("set", "SET({})")


def reserved(size: int | str, at: str | tuple[str, str] | None = None, name: str = "reserved", **more: Any) -> Field:
    """Bytes that the guides reserve or do not describe."""
    return Field(name=name, type="octets", spec="Reserved", size=str(size), at=at, **{"printed": "Reserved", **more})


def rest(stride: str, size: int | str, **more: Any) -> Field:
    """What an element of ``stride`` bytes holds beyond the ``size`` that are described: later firmware's fields."""
    return reserved(f"({stride} > {size}) * ({stride} - {size})", name="rest", **{"doc": "not described", **more})


def flag(name: str, bit: int, spec: str = "", **more: Any) -> Field:
    """BOOL(bit) of the bits around it."""
    return Field(name=name, type="bool", spec=spec, bits=(bit, bit), **{"printed": f"BOOL({bit})", **more})


def part(name: str, low: int, high: int, spec: str = "", **more: Any) -> Field:
    """UINT(low..high) of the bits around it."""
    return Field(name=name, type="uint", spec=spec, bits=(low, high), **{"printed": f"UINT({low}..{high})", **more})


def bits(name: str, size: int, of: Sequence[Field], spec: str = "", **more: Any) -> Field:
    """``size`` bytes, least significant first, whose bits are the rows ``of``; bit 0 is the least significant one."""
    return Field(
        name=name, type="bits", spec=spec, size=str(size), of=tuple(of), **{"printed": f"UINT{8 * size}", **more}
    )


def array(name: str, count: int | str, of: Sequence[Field], spec: str = "", **more: Any) -> Field:
    """``count`` elements, each the rows ``of`` one after another."""
    return Field(name=name, type="array", spec=spec, count=str(count), of=tuple(of), **more)
