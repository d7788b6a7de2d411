"""``osgp-fast tables``: what the catalogue says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Final

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from ..catalog import PROCEDURES, TABLES, Table, errata, flat
from ..errors import UsageError
from ..layout import Leaf, TableSet
from .show import console, grid

__all__ = ["tables"]

_EXAMPLES: Final = """
\b
Examples:
  osgp-fast tables                              all tables and procedures, a line each
  osgp-fast tables BT61                         a table's rows: offset, type, name, unit, meaning, source
  osgp-fast tables BT61 --for dump/M00002001    the same for one meter, every offset a number
  osgp-fast tables ET55 --generation 4          offsets of firmware 4.0 and later
  osgp-fast tables --json > catalogue.json      everything, for machines
"""


@click.command(epilog=_EXAMPLES)
@click.argument("names", nargs=-1, metavar="[TABLE...]")
@click.option("--for", "place", metavar="DUMP/METER", help="Lay the tables out for this meter.")
@click.option(
    "--generation",
    type=click.Choice(["3", "4"]),
    help="Only the offsets of firmware before 4.0 (3) or from 4.0 on (4).",
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def tables(names: tuple[str, ...], place: str | None, generation: str | None, as_json: bool) -> None:
    """Say what the guides say about tables and procedures: offsets, types, units, meaning, keys, page."""
    chosen = [_named(name) for name in names]
    if place is not None:
        _for_meter(chosen, place, as_json)
    elif as_json:
        _write_json(_objects(chosen, generation))
    elif chosen:
        for i, table in enumerate(chosen):
            if i:
                click.echo()
            for item in _objects([table], generation):
                _show(table, item)
    else:
        _list()


def _named(name: str) -> Table:
    known = {**TABLES, **PROCEDURES}
    wanted = name.upper()
    if wanted.isdigit():
        return next((t for t in TABLES.values() if t.number == int(wanted)), None) or _unknown(name)
    return known.get(wanted) or _unknown(name)


def _unknown(name: str) -> Table:
    near = ", ".join(get_close_matches(name.upper(), [*TABLES, *PROCEDURES], n=3, cutoff=0.5))
    hint = f"near it there are {near}" if near else "osgp-fast tables lists them"
    raise UsageError("usage.table", f"the guides describe no table {name}", hint)


def _objects(chosen: Sequence[Table], generation: str | None) -> Iterator[dict[str, Any]]:
    """Objects of the chosen tables, of all without any."""
    ids = {table.id for table in chosen}
    wanted = [item for item in flat.objects() if not ids or item["id"] in ids]
    both = {item["id"] for item in wanted if "generation" in item}
    for item in wanted:
        if generation is None or item["id"] not in both or ("generation" in item) == (generation == "4"):
            yield item


def _write_json(items: Iterator[dict[str, Any]]) -> None:
    lines = (json.dumps(item, ensure_ascii=False) for item in items)
    click.echo("[\n" + ",\n".join(lines) + "\n]")


def _list() -> None:
    out = console()
    for title, rows in (("Tables", TABLES), ("Procedures", PROCEDURES)):
        table = grid("id", "number>", "hex", "name", "read", "write", "source", title=title)
        for t in rows.values():
            table.add_row(
                t.id, str(t.number), f"{t.number:04X}", escape(t.name), _keys(t, 0), _keys(t, 1), escape(t.source)
            )
        out.print(table)
    out.print("`osgp-fast tables BT61` shows the rows of one.", style="dim")


def _keys(table: Table, write: int) -> str:
    mep = table.write if write else table.read
    optical = table.optical_write if write else table.optical_read
    return f"{mep}; optical: {optical}" if optical else mep


def _show(table: Table, item: dict[str, Any]) -> None:
    out = console()
    generation = ", firmware 4.0 and later" if item.get("generation") == 4 else ""
    out.print(f"[bold]{table.id}[/bold] ({table.number}, 0x{table.number:04X}) {escape(table.name)}{generation}")
    facts = [table.source]
    if table.is_procedure:
        facts.append(f"may be called with: {table.write}")
    else:
        facts.append(f"read: {_keys(table, 0)} · write: {_keys(table, 1)}")
    if table.since or table.since_cpm:
        facts.append("since firmware " + _since(table.since, table.since_cpm))
    if table.clients:
        facts.append(f"for {table.clients}")
    if table.nvm:
        facts.append("writing wears the memory")
    for fact in (*facts, *([table.doc] if table.doc else [])):
        out.print(f"  {fact}", markup=False)
    out.print(_rows(item["fields"], "parameters (offsets in BT07)" if table.is_procedure else None))
    if item.get("response"):
        out.print(_rows(item["response"], "response (offsets in BT08, ET59 or ET85)"))
    for code, words in item.get("results", {}).items():
        out.print(f"  result {code}: {words}", markup=False)
    _repeats(out, item["fields"])
    if said := errata(table.id):
        out.print("\n[bold]How the guides were read[/bold]")
        out.print(said, markup=False)


def _since(meters: str | None, modules: str | None) -> str:
    return ", ".join(x for x in (meters, f"{modules} (Control Point modules)" if modules else None) if x)


def _rows(fields: Sequence[dict[str, Any]], title: str | None = None) -> Grid:
    table = grid("offset", "bits", "type", "field", "unit", "since", "meaning", title=title)
    for f in fields:
        repeated = "".join("[]" for _ in f["array"] or ())
        unit = " × ".join(x for x in (f["scale"], f["unit"]) if x)
        version = "–".join(x for x in (f["since"] or "", f["until"] or "") if x or f["until"])
        table.add_row(
            str(f["offset"]),
            f["bits"] or "",
            escape(f["type"]),
            escape(f["name"] + repeated) + f"\n[dim]{f['path']}[/dim]",
            unit,
            version,
            escape(flat.meaning(f)),
        )
    return table


def _repeats(out: Console, fields: Sequence[dict[str, Any]]) -> None:
    """How the arrays of a table repeat, each said once."""
    seen = set()
    for f in fields:
        for array in f["array"] or ():
            key = (array["name"], str(array["count"]))
            if key not in seen:
                seen.add(key)
                step = "one after another" if array["stride"] is None else f"every {array['stride']} bytes"
                out.print(f"  {array['name']}[]: {array['count']} times, {step}", style="dim", markup=False)


# ---- for one meter


def _for_meter(chosen: Sequence[Table], place: str, as_json: bool) -> None:
    from .meter import tables_of

    label, data = tables_of(place)
    dimensions = TableSet(data)
    names = [t.id for t in chosen] or list(data)
    out = []
    for id in names:
        if id in PROCEDURES:
            raise UsageError("usage.table", f"{id} is a procedure", "--for lays tables out")
        if id not in data:
            raise UsageError("usage.table", f"{label} has no {id} in {place}", f"there are {', '.join(data)}")
        layout = dimensions.layout(id)
        out.append({"meter": label, "id": id, "length": len(data[id]), "end": layout.size, "missing": layout.missing})
        out[-1]["fields"] = [_leaf(leaf) for leaf in layout.leaves]
    if as_json:
        _write_json(iter(out))
        return
    for item in out:
        _show_meter(item)


def _leaf(leaf: Leaf) -> dict[str, Any]:
    parts = leaf.path.split(".")
    bits = None
    if leaf.bits is not None:
        low, high = leaf.bits
        bits = str(low) if low == high else f"{low}..{high}"
    return {
        "path": leaf.path,
        "name": leaf.field.spec or parts[-1],
        "type": leaf.field.printed or leaf.type,
        "offset": leaf.offset,
        "size": leaf.size,
        "bits": bits,
        "element": list(leaf.packed) or None,
        "array": [{"name": a.name, "count": a.count, "stride": a.stride} for a in leaf.axes] or None,
    }


def _show_meter(item: dict[str, Any]) -> None:
    out = console()
    out.print(f"[bold]{item['id']}[/bold] of {escape(item['meter'])}: {item['length']} bytes, described {item['end']}")
    if item["missing"]:
        out.print(f"  {item['missing']} was not captured, so the rest cannot be laid out", style="red")
    table = grid("offset>", "size>", "bits", "type", "field", "repeats")
    for f in item["fields"]:
        element = "".join(f"[{i}]" for i in f["element"] or ())
        repeats = ", ".join(f"{a['name']}: {a['count']} × {a['stride']} bytes" for a in f["array"] or ())
        table.add_row(
            str(f["offset"]),
            str(f["size"]),
            f["bits"] or "",
            escape(f["type"]),
            escape(f["path"] + element),
            escape(repeats),
        )
    out.print(table)
