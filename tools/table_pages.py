"""Write docs/tables and docs/sources.md: a page per table and procedure, and the source IDs, from the catalogue.

Usage: python tools/table_pages.py
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from osgp_fast.catalog import PROCEDURES, TABLES, Table, errata, flat, present_order, sources

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "tables"
MADE = "<!-- made by tools/table_pages.py from the catalogue (python/osgp_fast/catalog): change it there -->\n"


def cell(text: object) -> str:
    """Text that stays within its cell."""
    return str(text).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;").replace("*", "\\*")


def code(text: object) -> str:
    """A formula or a name, as it stands."""
    return f"`{str(text).replace('|', chr(92) + '|')}`" if text not in (None, "") else ""


def rows(fields: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The table of the rows."""
    yield "| offset | bits | type | field | unit | since | meaning |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for f in fields:
        name = cell(f["name"]) + "".join("[]" for _ in f["array"] or ())
        unit = " × ".join(x for x in (f["scale"], f["unit"]) if x)
        version = version_of(f)
        cells = (
            code(f["offset"]),
            f["bits"] or "",
            cell(f["type"]),
            f"{name}<br>{code(f['path'])}",
            cell(unit),
            version,
        )
        yield f"| {' | '.join(cells)} | {cell(said(f))} |"


def version_of(f: dict[str, Any]) -> str:
    """Firmware from and until."""
    parts = [f["since"]] if f["since"] else []
    if f["since_cpm"]:
        parts.append(f"modules {f['since_cpm']}")
    if f["until"]:
        parts.append(f"until {f['until']}")
    return ", ".join(parts)


def said(f: dict[str, Any]) -> str:
    """What the catalogue says of a field."""
    return "; ".join(x for x in (flat.meaning(f), f"VCI {f['vci']}" if f["vci"] else "") if x)


def arrays(fields: Sequence[dict[str, Any]]) -> Iterator[str]:
    """How arrays repeat."""
    seen = set()
    for f in fields:
        for array in f["array"] or ():
            key = (array["name"], str(array["count"]))
            if key not in seen:
                seen.add(key)
                step = "one after another" if array["stride"] is None else f"every {code(array['stride'])} bytes"
                yield f"- {cell(array['name'])}[]: {code(array['count'])} times, {step}"


def page(table: Table, items: Sequence[dict[str, Any]]) -> str:
    """The page of a table."""
    lines = [MADE, f"# {table.id}: {table.name}", ""]
    lines.append(f"Number {table.number} (0x{table.number:04X}). {table.source}.")
    if table.is_procedure:
        lines.append(f"May be called with {table.write}.")
    else:
        optical = [f"read {table.optical_read}"] if table.optical_read else []
        optical += [f"write {table.optical_write}"] if table.optical_write else []
        lines.append(f"Keys on the MEP port: read {table.read}; write {table.write}.")
        if optical:
            lines.append(f"On the optical port: {'; '.join(optical)}.")
    since = [f"meters {table.since}"] if table.since else []
    since += [f"Control Point modules {table.since_cpm}"] if table.since_cpm else []
    if since:
        lines.append(f"Since firmware: {', '.join(since)}.")
    if table.clients:
        lines.append(f"For: {table.clients}.")
    if table.nvm:
        lines.append("Writing wears the memory.")
    if table.doc:
        lines += ["", table.doc[0].upper() + table.doc[1:] + "."]
    for item in items:
        title = "Firmware 4.0 and later" if "generation" in item else "Firmware before 4.0" if len(items) > 1 else None
        lines += ["", f"## {title}"] if title else []
        if item["fields"]:
            lines += ["", *rows(item["fields"])]
            repeats = list(arrays(item["fields"]))
            lines += ["", *repeats] if repeats else []
    if table.is_procedure:
        item = items[0]
        lines += ["", "Offsets of parameters are those in BT07."]
        if item["response"]:
            lines += ["", "## Response", "", "Offsets in BT08, ET59 or ET85.", "", *rows(item["response"])]
        if item["results"]:
            lines += ["", "## Result codes", ""]
            lines += [f"- {k}: {v}" for k, v in item["results"].items()]
    if said := errata(table.id):
        lines += ["", "## How the guides were read", "", said]
    return "\n".join(lines).rstrip() + "\n"


def index() -> str:
    """The list of the pages."""
    lines = [MADE, "# Tables and procedures", ""]
    lines += [
        "What the two guides describe, row by row, with offsets as formulas in the fields of other tables. The same is",
        "",
    ]
    lines[-1:] = ["in `osgp-fast tables` and, for machines, in `osgp-fast tables --json`.", ""]
    lines += ["| | number | name | read | write |", "| --- | --- | --- | --- | --- |"]
    for t in (*TABLES.values(), *PROCEDURES.values()):
        lines.append(f"| [{t.id}]({t.id}.md) | {t.number} | {t.name} | {t.read} | {t.write} |")
    return "\n".join(lines) + "\n"


SOURCES = """# Source IDs

What a register, a present value or a channel of the load profile records is said by a source ID. `quantity`, `unit` and
`obis` are the columns of [what is decoded](what-is-decoded.md); the number in the meter times the scale is in the unit.
Names are those of the MEP guide, pp. 203-207.

**OBIS codes** are not in the guides. They are given where IEC 62056-61 plainly has one for the quantity: medium 1
(electricity), channel 0, then the quantity (1 to 4 for the sums over all phases, 21, 41, 61 and so on for a phase), 8 for
a time integral and 7 for an instantaneous value, and the tariff (0 for the total). A source without a plain counterpart has
none: seconds without power, differences of registers, values after current and voltage ratios.

**Mapped sources** (112 to 163) stand for an extended ID: entry ID - 112 of ET66, or better the list in ET42, which is per data
set and channel.

**Extended source IDs** have 16 bits. Bits 15 to 12 are the type. Type 0 is the 8-bit ID itself. Type 4 is an M-Bus or MEP value:
bits 11 to 8 are the device (its index in ET13), bits 4 to 0 the data type (ET57); it is called `mbus_device_1_data_type_3`,
devices counted from 1, and its value is what the device sent, without a unit here. Other types are not described; their number is
kept and their `quantity` is null (MEP guide pp. 32, 163).
"""


def sources_page() -> str:
    """The source IDs and the default order of the present values."""
    lines = [MADE, SOURCES, "## All 8-bit IDs", ""]
    lines += [
        "| ID | name | quantity | unit | scale | OBIS | firmware and notes |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for s in sources():
        notes = "; ".join(x for x in (s["available"], s["note"]) if x)
        scale = "" if s["scale"] is None else s["scale"]
        cells = (s["id"], cell(s["name"]), code(s["quantity"]), s["unit"] or "", scale, code(s["obis"]), cell(notes))
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    named = {s["id"]: s for s in sources()}
    lines += ["", "## Present values", "", "The order of BT28 where BT27 says no other (MEP guide pp. 216-220).", ""]
    lines += ["| number | source | name | quantity |", "| --- | --- | --- | --- |"]
    for number, id in enumerate(present_order()):
        lines.append(f"| {number} | {id} | {cell(named[id]['name'])} | {code(named[id]['quantity'])} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write all pages, and remove those of tables that are gone."""
    OUT.mkdir(parents=True, exist_ok=True)
    items: dict[str, list[dict[str, Any]]] = {}
    for item in flat.objects():
        items.setdefault(item["id"], []).append(item)
    pages = {"README": index()}
    for table in (*TABLES.values(), *PROCEDURES.values()):
        pages[table.id] = page(table, items[table.id])
    for name, text in pages.items():
        (OUT / f"{name}.md").write_text(text, encoding="utf-8")
    (OUT.parent / "sources.md").write_text(sources_page(), encoding="utf-8")
    for path in OUT.glob("*.md"):
        if path.stem not in pages:
            path.unlink()


if __name__ == "__main__":
    main()
