"""A contender of bench.py in a process of its own: loads its corpus, then runs a round for every line that it reads.

usage: worker.py CONTENDER [ARGS]      prints one JSON object per round: rows, bytes_in, bytes_out, seconds, peak_mb
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from functools import partial

import corpora
from corpora import OUT, PROFILE, SMALL

Answer = tuple[int, int, int]
"""Rows, bytes read, bytes given."""


def tables(corpus: corpora.Profile) -> tuple[list[corpora.Meter], int]:
    """The tables of a corpus in memory, bytes of their own for each meter, and the bytes of the profile tables."""
    meters = [{n: bytes(bytearray(data)) for n, data in t.items() if n in corpora.PROFILE_TABLES} for _, t in corpus]
    return meters, sum(len(data) for t in meters for data in t.values())


def package(shape: str, name: str) -> Callable[[], Answer]:
    """This package: a mapped Arrow IPC file of table images to Arrow batches, one thread; each batch is let go."""
    import osgp_fast
    import pyarrow as pa

    corpus = {c.name: c for c in (PROFILE, SMALL)}[name]
    path = OUT / f"{corpus.name}.arrow"
    bytes_in = tables(corpus)[1]

    def run() -> Answer:
        rows = given = 0
        result = osgp_fast.decode(path, what="load_profile", shape=shape, jobs=1)
        for batch in pa.RecordBatchReader.from_stream(result):
            rows += batch.num_rows
            given += batch.get_total_buffer_size()
        return rows, bytes_in, given

    return run


def registers(name: str) -> Callable[[], Answer]:
    """This package: a mapped Arrow IPC file of BT23 images to Arrow batches, one thread; each batch is let go."""
    import osgp_fast
    import pyarrow as pa

    corpus = {c.name: c for c in (corpora.REGISTERS, corpora.FEW_REGISTERS)}[name]
    path = OUT / f"{corpus.name}.arrow"

    def run() -> Answer:
        rows = given = 0
        result = osgp_fast.decode(path, what="registers", jobs=1)
        for batch in pa.RecordBatchReader.from_stream(result):
            rows += batch.num_rows
            given += batch.get_total_buffer_size()
        return rows, corpus.bytes_in, given

    return run


def numpy(shape: str, name: str) -> Callable[[], Answer]:
    """The vectorised NumPy version; the columns of each meter are let go."""
    import numpy_baseline

    meters, bytes_in = tables({c.name: c for c in (PROFILE, SMALL)}[name])

    def run() -> Answer:
        rows = given = 0
        for columns in numpy_baseline.decode(meters, shape):
            rows += len(columns["meter"])
            given += sum(column.nbytes for column in columns.values())
        return rows, bytes_in, given

    return run


def construct(shape: str, name: str) -> Callable[[], Answer]:
    """construct, compiled, to lists."""
    import construct_baseline

    meters, bytes_in = tables({c.name: c for c in (PROFILE, SMALL)}[name])

    def run() -> Answer:
        rows = 0
        for n, meter in enumerate(meters):
            rows += len(construct_baseline.long(str(n), meter)["value"])
        return rows, bytes_in, 0

    return run


def copy(read: str, given: str) -> Callable[[], Answer]:
    """A copy of as many bytes as were read and given, within memory that was touched before."""
    import numpy as np

    pairs = [(np.ones(int(size), np.uint8), np.ones(int(size), np.uint8)) for size in (read, given)]

    def run() -> Answer:
        for source, target in pairs:
            np.copyto(target, source)
        return 0, int(read), int(given)

    return run


def package_packets() -> Callable[[], Answer]:
    """This package: the columns of offsets of all packets of a stream."""
    from osgp_fast import _core  # the bulk function itself: reading the capture from a file is not what is compared

    return _packets(lambda stream: len(_core.scan_packets(stream)["identity"]), 300)


def twin_packets() -> Callable[[], Answer]:
    """The twin on a shorter stream."""
    from osgp_fast.wire import c1218

    return _packets(lambda stream: len(c1218.scan_packets(stream).identity), 2)


def _packets(count_packets: Callable[[bytes], int], repeat: int) -> Callable[[], Answer]:
    stream, count = corpora.packet_stream(repeat)

    def run() -> Answer:
        rows = count_packets(stream)
        assert rows == count, f"{rows} packets, want {count}"
        return rows, len(stream), 0

    return run


def mep(size: str) -> Callable[[], Answer]:
    """The images of a capture of the MEP port, enciphered, by the scanner itself and in one thread."""
    from osgp_fast import _impl

    stream, count = corpora.mep_capture(int(size))
    if _impl.implementation() == "rust":
        from osgp_fast import _core

        def images() -> int:
            return sum(len(s[1]) for s in _core.scan_capture(stream, "m", "m", keys=corpora.MEP_KEYS)["sessions"])
    else:
        from osgp_fast.scan import scan

        def images() -> int:
            return sum(len(s.images) for s in scan(stream, input="m", stem="m", keys=corpora.MEP_KEYS).sessions)

    def run() -> Answer:
        rows = images()
        assert rows == count, f"{rows} images, want {count}"
        return rows, len(stream), rows * corpora.MEP_PART

    return run


def primitive(which: str, messages: str) -> Callable[[], Answer]:
    """Digests, or RC4 with a new key for each message, of messages of `corpora.MESSAGE` bytes: one call each."""
    from osgp_fast import _impl

    text, keys = corpora.messages(int(messages))
    call: Callable[[bytes, bytes], bytes]
    if _impl.implementation() == "rust":
        from osgp_fast import _core

        call = {"digest": _core.osgp_digest, "rc4": _core.rc4}[which]
    else:
        from osgp_fast.security.digest import digest
        from osgp_fast.security.legacy_rc4 import Rc4

        call = {"digest": digest, "rc4": lambda key, data: Rc4(key).apply(data)}[which]

    def run() -> Answer:
        out = b""
        for key in keys:
            out = call(key, text)
        return len(keys), len(keys) * len(text), len(keys) * len(out)

    return run


def termineter() -> Callable[[], Answer]:
    """termineter's packet class; it is handed each packet by itself, for it does not find them in a stream."""
    from c1218.data import C1218Packet

    packets = corpora.packets(2000)

    def run() -> Answer:
        parsed = [C1218Packet.from_bytes(packet) for packet in packets]
        return len(parsed), sum(map(len, packets)), 0

    return run


CONTENDERS: dict[str, Callable[..., Callable[[], Answer]]] = {
    "package": package,
    "twin": package,
    "registers": registers,
    "twin-registers": registers,
    "numpy": numpy,
    "construct": construct,
    "copy": copy,
    "package-packets": package_packets,
    "twin-packets": twin_packets,
    "termineter": termineter,
    "package-mep": mep,
    "twin-mep": mep,
    **{f"{who}-{which}": partial(primitive, which) for who in ("package", "twin") for which in ("digest", "rc4")},
}


def main() -> None:
    run = CONTENDERS[sys.argv[1]](*sys.argv[2:])
    for _ in sys.stdin:
        start = time.perf_counter()
        rows, bytes_in, bytes_out = run()
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        answer = {"rows": rows, "bytes_in": bytes_in, "bytes_out": bytes_out, "seconds": seconds, "peak_mb": peak}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
