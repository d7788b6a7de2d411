"""``python -m osgp_fast.catalog FILE``: write the catalogue for the Rust crate."""

from __future__ import annotations

import sys
from pathlib import Path

from . import catalog_json

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m osgp_fast.catalog rust/osgp/src/catalog/catalog.json")
    Path(sys.argv[1]).write_text(catalog_json(), encoding="utf-8")
