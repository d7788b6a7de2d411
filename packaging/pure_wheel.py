#!/usr/bin/env python3
"""Make the py3-none-any wheel out of a compiled one: the same files and metadata without the compiled part.

maturin makes no wheel without a compiled module, and a second description of the package would have to be kept equal to
the first. So the compiled wheel is the source: its `_core` is left out, the tag and the list of files are written anew.

usage: pure_wheel.py COMPILED.whl OUT_DIR      prints the path of the wheel that it made
"""

from __future__ import annotations

import base64
import hashlib
import sys
import zipfile
from pathlib import Path

EPOCH = (1980, 1, 1, 0, 0, 0)  # the same input gives the same bytes


def is_compiled(name: str) -> bool:
    """Whether a member belongs to the compiled part: the module, its libraries and the list of its crates."""
    return name.endswith((".so", ".pyd", ".dylib", ".dll")) or ".libs/" in name or ".dist-info/sboms/" in name


def wheel_file(text: str) -> str:
    """The WHEEL file of a wheel that runs anywhere."""
    kept = [line for line in text.splitlines() if line and not line.startswith(("Tag:", "Root-Is-Purelib:"))]
    return "\n".join([*kept, "Root-Is-Purelib: true", "Tag: py3-none-any", ""])


def make(compiled: Path, out_dir: Path) -> Path:
    """Write the pure twin of `compiled` into `out_dir`."""
    name, version = compiled.name.split("-")[:2]
    out = out_dir / f"{name}-{version}-py3-none-any.whl"
    out_dir.mkdir(parents=True, exist_ok=True)
    record = []
    with zipfile.ZipFile(compiled) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        members = [info for info in source.infolist() if not info.is_dir() and not is_compiled(info.filename)]
        if len(members) == len(source.infolist()):
            raise SystemExit(f"{compiled}: no compiled part in it; give a wheel that maturin made")
        for info in members:
            data = source.read(info)
            if info.filename.endswith(".dist-info/RECORD"):
                record_name = info.filename
                continue
            if info.filename.endswith(".dist-info/WHEEL"):
                data = wheel_file(data.decode()).encode()
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{info.filename},sha256={digest},{len(data)}")
            entry = zipfile.ZipInfo(info.filename, EPOCH)
            entry.external_attr = info.external_attr
            target.writestr(entry, data, zipfile.ZIP_DEFLATED)
        target.writestr(zipfile.ZipInfo(record_name, EPOCH), "\n".join([*record, f"{record_name},,", ""]))
    return out


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    print(make(Path(sys.argv[1]), Path(sys.argv[2])))
