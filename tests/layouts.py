"""Write the layout snapshots in tests/vectors/layouts: where the resolver puts every leaf of some sample meters.

Both resolvers are held against them (tests/test_catalog.py, rust/osgp/tests/layouts.rs); a changed row of the catalogue
shows in their diff which bytes it has moved. Usage: python tests/layouts.py
"""

from __future__ import annotations

import json
from pathlib import Path

from osgp_fast.catalog import TABLES
from osgp_fast.image import TableImage, parse_table_name
from osgp_fast.records._meter import IDS, Meter

HERE = Path(__file__).parent
OUT = HERE / "vectors" / "layouts"
#: Meters whose tables differ in every way that a layout can.
METERS = (
    "dump/M00002001",
    "dump/M00002002",
    "dump/M00002004",
    "edges/A01-end-readings",
    "edges/A04-four-sets",
    "edges/S01-et66",
    "edges/S04-unit-10-et55",
    "edges/V07-argument-4",
)


def images(directory: Path) -> list[TableImage]:
    """The tables of a meter's directory."""
    out = []
    for path in sorted(directory.glob("*.bin")):
        number = parse_table_name(path.stem)
        assert number is not None
        out.append(TableImage(meter=directory.name, table=number, data=path.read_bytes(), whole=True))
    return out


def snapshot(meter: str) -> dict[str, list[list[object]]]:
    """Per table a list of [path, packed, offset, size, [[count, stride], ...]]."""
    tables = images(HERE / "samples" / meter)
    view = Meter("", tables, TABLES).view_latest()
    out = {}
    for image in tables:
        if image.table in IDS:
            layout = view.layout(IDS[image.table])
            out[IDS[image.table]] = [
                [leaf.path, list(leaf.packed), leaf.offset, leaf.size, [[a.count, a.stride] for a in leaf.axes]]
                for leaf in layout.leaves
            ]
    return out


def render(meter: str) -> str:
    """The snapshot as text, a leaf a line."""
    tables = []
    for table, leaves in snapshot(meter).items():
        rows = ",\n".join(f"  {json.dumps(leaf)}" for leaf in leaves)
        tables.append(f"{json.dumps(table)}: [\n{rows}\n]")
    return "{\n" + ",\n".join(tables) + "\n}\n"


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for name in METERS:
        (OUT / f"{name.replace('/', '-')}.json").write_text(render(name), encoding="utf-8")
