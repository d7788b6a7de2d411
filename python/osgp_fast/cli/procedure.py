"""``osgp-fast procedure``: a procedure of a live meter, shown before, executed once, its result in words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, time
from difflib import get_close_matches
from typing import Any, Final

import click
from rich.markup import escape

from ..catalog import PROCEDURES, Table
from ..catalog._model import WIDTHS
from ..catalog.flat import PARAMETERS_AT, RESPONSE_AT
from ..catalog.named import NAMED_PROCEDURES
from ..codec import encode_table, hex_bytes, understand
from ..errors import OsgpError, UsageError
from ..explain import Line, explain_parameters
from ..layout import Field, TableSet, resolve
from ..meter import Meter, ProcedureResult
from ..meter.writing import procedure_number
from ..session.procedure import ResultCode, procedure_name
from .asking import EXIT, NOT_CONFIRMED, Asking, as_usage, counted, sure, wear, writing_options
from .live import COMMON, Opening, Where, failing, live_options, say
from .show import console, grid, print_lines
from .worn import Worn

__all__ = ["procedure"]

_EXAMPLES: Final = f"""
\b
Examples:
  osgp-fast procedure --list                                        which there are, and their parameters
  osgp-fast procedure /dev/ttyUSB0 EP17 action=0 device_handle=2    shows what it does, asks, executes, tells the result
  osgp-fast procedure mep:/dev/ttyS0 EP61 lock=unlock --yes         a listed name as value; without asking
  osgp-fast procedure /dev/ttyUSB0 BP12 --dry-run                   only show it
  osgp-fast procedure /dev/ttyUSB0 EP03                             one that the guides only name: no parameters, or --hex
osgp-fast tables EP17 says all about one.
{COMMON}
{EXIT}"""


def _list(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    table = grid("id", "number>", "name", "parameters", "may be called with", "source")
    rows: list[tuple[str, str, str, str, str, str]] = []
    for p in PROCEDURES.values():
        keys = p.write + (f"; optical: {p.optical_write}" if p.optical_write else "")
        rows.append((p.id, str(p.number), p.name, ", ".join(row.name for row in p.fields), keys, p.source))
    rows += [(n.id, str(n.number), n.name or n.doc, "not described", "", n.where) for n in NAMED_PROCEDURES.values()]
    for row in sorted(rows, key=lambda row: int(row[1])):
        table.add_row(*(escape(word) for word in row))
    console().print(table)
    ctx.exit()


@click.command(epilog=_EXAMPLES)
@live_options
@click.argument("name", metavar="PROCEDURE")
@click.argument("given", nargs=-1, metavar="[PARAMETER=VALUE]...")
@click.option("--list", is_flag=True, callback=_list, expose_value=False, is_eager=True, help="List procedures.")
@click.option("--hex", "digits", metavar="DIGITS", help="The parameters as bytes.")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0, 600), default=10.0, metavar="SECONDS", help="For its end. Default: 10."
)
@writing_options
def procedure(
    where: Where, name: str, given: tuple[str, ...], digits: str | None, wait_s: float, asking: Asking
) -> int:
    """Have a meter execute a procedure (EP17, BP12 or a number), once.

    What it does, by the guides, is shown before it is asked for a yes. Its result is told from others' by its sequence number;
    where nothing tells whether it was executed, that is said, and it is not called again.
    """
    number = procedure_number(int(name) if name.isascii() and name.isdigit() else name)
    calling = _Calling(number, _parameters(number, given, digits), wait_s, asking)
    with failing(calling.kept) as failed:
        opening = Opening(where)
        with opening.meter() as meter:
            calling.run(meter)
    return calling.end(failed[0] if failed else 0)


# ---- parameters


def _parameters(number: int, given: Sequence[str], digits: str | None) -> bytes:
    """The bytes of the parameters. Raises: UsageError."""
    id = procedure_name(number)
    known = PROCEDURES.get(id)
    if digits is not None:
        if given:
            raise UsageError("usage.parameter", "--hex is all of the parameters", "give it alone, or PARAMETER=VALUE")
        try:
            return hex_bytes(digits)
        except ValueError:
            raise UsageError("usage.bytes", "--hex takes hex digits, two a byte", "like --hex 01FF") from None
    if known is None:
        if given:
            raise UsageError(
                "usage.parameter", f"the guides do not describe the parameters of {id}", "give them as bytes by --hex"
            )
        return b""
    values = dict(_value(known, text) for text in given)
    try:
        body = encode_table(known, values, TableSet({}))
    except OsgpError as error:
        raise as_usage(error) from error
    _nothing_missing(known, body, values)
    return body


def _value(known: Table, text: str) -> tuple[str, Any]:
    name, equals, word = text.partition("=")
    rows = {row.name: row for row in known.fields}
    row = rows.get(name.strip().lower())
    if not equals or row is None:
        near = get_close_matches(name, rows, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}=…? " if near else ""
        raise UsageError(
            "usage.parameter",
            f"{text if not equals else name} names no parameter of {known.id}" + ("" if equals else ": there is no ="),
            f"{hint}it has {', '.join(rows) or 'none'}",
        )
    try:
        return row.name, understand(row, row.type, _size(row), word)
    except ValueError as error:
        raise UsageError(
            "usage.value",
            f"{known.id} {row.name}: that is not {error}",
            f"osgp-fast tables {known.id} says what it takes",
        ) from error


def _size(row: Field) -> int | None:
    """The bytes of a row that has always as many."""
    size = row.size or ""
    return WIDTHS.get(row.type, int(size) if size.isdigit() else None)


def _nothing_missing(known: Table, body: bytes, values: Mapping[str, Any]) -> None:
    """What is left out would be 0, which is a value, too."""
    layout = resolve(known, len(body), TableSet({}), data=lambda at, size: body[at : at + size])
    missing = [leaf.path for leaf in layout.leaves if leaf.size and leaf.path.split(".")[0] not in values]
    if missing:
        raise UsageError(
            "usage.parameter",
            f"{known.id} takes {', '.join(missing)}, too",
            f"give every one as PARAMETER=VALUE; osgp-fast tables {known.id} says what they mean",
        )


# ---- the call


class _Calling:
    """A call, and how far it got."""

    def __init__(self, number: int, body: bytes, wait_s: float, asking: Asking) -> None:
        self.number, self.body, self.wait_s, self.asking = number, body, wait_s, asking
        self.id = procedure_name(number)
        self.known = PROCEDURES.get(self.id)
        self.label = ""
        self.status = "failed"
        self.result: ProcedureResult | None = None

    def kept(self) -> str:
        """For people, where it ended early."""
        if self.status == "failed":
            return f"{self.id} was not called"
        return f"{self.id} is not called again by itself: look first at what it was to change"

    def run(self, meter: Meter) -> None:
        """Show, ask, execute."""
        asking, self.label = self.asking, meter.label
        worn = Worn(meter.serial_number() or meter.label)
        meter.recent_writes = worn.ages()
        if asking.shows:
            self._show(meter)
        if asking.dry_run:
            self.status = "dry_run"
            return
        if asking.asks and not sure(f"Have {self.label} execute it?"):
            self.status = "declined"
            return
        with counted(meter, worn):
            self.status = "unknown"
            try:
                self.result = meter.procedure(
                    self.number, self.body, wait_s=self.wait_s, check=False, force=asking.force
                )
            except UsageError:
                self.status = "failed"
                raise
        self.status = "executed"

    def _show(self, meter: Meter) -> None:
        out = console(self.asking.out)
        named = NAMED_PROCEDURES.get(self.id)
        name = self.known.name if self.known is not None else named.name if named is not None else ""
        out.print(f"[bold]{self.id}[/bold] ({self.number}) {escape(name)} of {escape(self.label)}")
        facts = []
        if self.known is not None:
            keys = self.known.optical_write or self.known.write
            facts = [self.known.source, f"may be called with: {keys}", self.known.doc]
        elif named is not None:
            facts = [named.where, named.doc, "the guides name it and do not describe it"]
        else:
            facts = ["the guides do not name it"]
        for fact in facts:
            if fact:
                out.print(f"  {fact}", markup=False)
        self._lines(self.body, PARAMETERS_AT, "parameters", response=False)
        out.print(f"  {wear('BT07', meter.recent_writes)}", markup=False)

    def _lines(self, data: bytes, at: int, what: str, *, response: bool) -> None:
        if not data:
            return
        if self.known is None:
            found = [Line(at, data, what, f"{len(data)} bytes")]
        else:
            found = list(explain_parameters(self.known, data, at, response=response))
        print_lines(found, file=self.asking.out)

    def end(self, code: int) -> int:
        """Say how it ended; the exit code."""
        result = self.result
        if self.status == "declined":
            code = NOT_CONFIRMED
        elif result is not None and not result.completed:
            code = code or 3
        if self.asking.as_json and self.label:
            click.echo(json.dumps(self._object(), ensure_ascii=False))
        if self.status == "declined":
            say(f"not confirmed; {self.id} was not called")
        elif result is not None and not result.completed:
            say(f"{self.id} answers {result.code}: {result.words}{self._advice(result)}")
        elif result is not None and self.asking.tells:
            click.echo(f"{self.id}: result {result.code}, {result.words}")
        elif self.status == "dry_run" and self.asking.tells:
            click.echo(f"{self.id}: not called (--dry-run)")
        if result is not None and self.asking.tells:
            self._lines(result.data, RESPONSE_AT, "response", response=True)
        return code

    def _advice(self, result: ProcedureResult) -> str:
        own = self.known.results if self.known is not None else {}
        if result.code == ResultCode.NO_AUTHORIZATION and self.known is not None:
            return f". It may be called with: {self.known.optical_write or self.known.write}"
        if result.code == ResultCode.NOT_FULLY_COMPLETED and "poll" in own.get(result.code, "poll"):
            return f" after {self.wait_s:g} s. It goes on; do not call it again, --wait waits longer"
        return ""

    def _object(self) -> dict[str, Any]:
        result = self.result
        return {
            "meter": self.label,
            "procedure": self.id,
            "number": self.number,
            "parameters": self.body.hex(),
            "status": self.status,
            "sequence": None if result is None else result.sequence,
            "code": None if result is None else result.code,
            "result": None if result is None else result.words,
            "completed": result is not None and result.completed,
            "data": None if result is None else result.data.hex(),
            "values": {} if result is None else {name: _plain(value) for name, value in result.values.items()},
        }


def _plain(value: Any) -> Any:
    """A decoded value as JSON has it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
