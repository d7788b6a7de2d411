#!/usr/bin/env python3
"""Write the samples as seeds for the fuzzers into corpus/, in the form that each target reads.

usage: seeds.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tests"))
from made import mbus_meter  # noqa: E402

SAMPLES = HERE.parent.parent / "tests" / "samples"
# As TABLES in fuzz_targets/decode.rs.
TABLES = [0, 1, 60, 61, 62, 63, 64, 65, 66, 67, 70, 71, 74, 2051, 2069, 2090, 2102, 2103, 2114, 2127]
TABLES += [3, 2059, 2062, 2064, 2084, 2093, 2122]


def seed(target: str, name: str, data: bytes) -> None:
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{name}").write_bytes(data)


def part(place: int, data: bytes) -> bytes:
    data = data[:0xFFFF]
    return bytes([place, 0]) + len(data).to_bytes(2, "little") + data


def main() -> None:
    for top in ("dump", "edges"):
        for meter in sorted(p for p in (SAMPLES / top).iterdir() if p.is_dir()):
            out = b""
            for place, number in enumerate(TABLES):
                name = f"ET{number - 2048:02d}" if number >= 2048 else f"BT{number:02d}"
                path = meter / f"{name}.bin"
                if path.exists():
                    out += part(place, path.read_bytes())
            for choice in (0, 1, 2, 4):
                seed("decode", f"{meter.name}-{choice}", bytes([choice]) + out)
    made = mbus_meter()
    out = b"".join(part(place, made[number]) for place, number in enumerate(TABLES) if number in made)
    seed("decode", "mbus", b"\0" + out)
    session = (SAMPLES / "session.bin").read_bytes()
    seed("scan", "session", b"\x80" + session)
    seed("scan", "one-part", b"\0\0\x03\x30\0\x40")
    vectors = json.loads((SAMPLES.parent / "vectors" / "official_vectors.json").read_text(encoding="utf-8"))
    # Their key is the fuzzer's first.
    line = b"".join(bytes.fromhex(pair["request"]) + bytes.fromhex(pair["response"]) for pair in vectors["mep_rc4"])
    seed("scan", "mep-rc4", b"\x80" + line)
    seed("scan", "mep-tls", b"\x80" + b"".join(bytes.fromhex(text) for _, text in vectors["mep_tls"]["exchange"]))
    for i, (_, text) in enumerate(vectors["mep_tls"]["exchange"]):
        # Behind length field and code; the fuzzer reads the flights before it, the kind of record and a step first.
        seed("tls", f"record-{i}", bytes([i // 2, 0, 3]) + bytes.fromhex(text)[3:])
    for target in ("packets", "mep", "ppp", "slip"):
        seed(target, "session", session[:1500])
    seed("text_log", "session", (SAMPLES / "session.log").read_bytes()[:3000])


if __name__ == "__main__":
    main()
