"""The two implementations give equal rows and equal rejects, whatever the bytes."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
from both import decode, images
from hypothesis import given, settings
from hypothesis import strategies as st
from made import DAY, Event, Set, days, et21, et42, log_tables, mbus_meter, profile_tables
from osgp_fast import _impl
from osgp_fast.columns import KINDS
from osgp_fast.image import TableImage, parse_table_name

pytestmark = pytest.mark.skipif(not _impl.compiled(), reason="there is no twin in the pure wheel")

SAMPLES = Path(__file__).parent / "samples"
METERS = sorted(p for s in ("dump", "edges") for p in (SAMPLES / s).iterdir())


def tables(directory: Path) -> dict[int, bytes]:
    out = {}
    for path in sorted(directory.glob("*.bin")):
        number = parse_table_name(path.stem)
        assert number is not None
        out[number] = path.read_bytes()
    return out


def made() -> dict[int, bytes]:
    """A meter with everything that a profile and a log can be made of."""
    sets = [Set(days(4), room=4, newest=1, sources=(112, 0)), Set(days(3), channels=3, room=5)]
    alternate = log_tables([Event(DAY, s) for s in (3, 9)], room=4, table=2127)
    return {
        **profile_tables(sets),
        **log_tables([Event(DAY, s) for s in range(65_530, 65_540)], room=10, newest=3),
        2127: alternate[2127],
        2069: et21(sets),
        2090: et42(sets, [(112, 0), (0x4001, 1, 6)]),
        2114: bytes(range(128)),
    }


ALL = [tables(m) for m in METERS] + [made(), mbus_meter()]


def agree(of: list[TableImage]) -> None:
    for kind in KINDS:
        variants = [("long", False), ("long", True), ("wide", False)] if kind == "load_profile" else [("long", False)]
        for shape, delta in variants:
            python = decode("python", of, kind, shape=shape, delta=delta)
            rust = decode("rust", of, kind, shape=shape, delta=delta)
            assert rust[1] == python[1]
            assert rust[0] == python[0]
        if kind in ("registers", "measurements"):
            assert decode("rust", of, kind, assume_defaults=True) == decode("python", of, kind, assume_defaults=True)


@pytest.mark.parametrize("tables", ALL, ids=[*(m.name for m in METERS), "made", "mbus"])
def test_samples(tables: dict[int, bytes]) -> None:
    agree(images(tables))


def mutated(seed: int) -> list[TableImage]:
    """The images of a meter, damaged and cut to pieces; only what a profile or log is made of, cut down to be quick."""
    r = random.Random(seed)
    of = dict(r.choice(ALL) if r.random() < 0.8 else ALL[-1])
    for table in list(of):
        if table in range(64, 68) and len(of[table]) > 2000 and r.random() < 0.9:
            of[table] = of[table][: r.randrange(2000)]
        if r.random() < 0.05:
            del of[table]
        elif r.random() < 0.3:
            data = bytearray(of[table])
            for _ in range(r.randrange(1, 4)):
                if data:
                    # Dimensions and headers stand at the start.
                    at = r.randrange(min(len(data), 40)) if r.random() < 0.7 else r.randrange(len(data))
                    data[at] = r.choice((0, 1, 0xFF, data[at] ^ 1 << r.randrange(8), r.randrange(256)))
            if r.random() < 0.2:
                del data[r.randrange(len(data) + 1) :]
            of[table] = bytes(data)
    out: list[TableImage] = []
    times = r.choice(([None], [None, 5], [1, 2, 3], [7]))
    for number, raw in of.items():
        for repeat in range(r.choice((1, 1, 1, 2))):
            cuts = sorted({0, len(raw), *(r.randrange(len(raw) + 1) for _ in range(r.choice((0, 0, 2))))})
            for start, end in itertools.pairwise(cuts):
                overlap = r.choice((0, 0, 3))
                out.append(
                    TableImage(
                        meter="m",
                        table=number,
                        offset=start + (r.choice((-1, 1 << 40)) if r.random() < 0.01 else 0),
                        data=raw[start : end + overlap],
                        read_at=r.choice(times),
                        whole=r.choice((True, None)) if len(cuts) == 2 else False,
                        session=repeat,
                        input=f"read {repeat}",
                    )
                )
    if r.random() < 0.2:
        r.shuffle(out)
    return out


@settings(max_examples=300)
@given(st.integers(0, 2**32))
def test_damaged_meters(seed: int) -> None:
    agree(mutated(seed))
