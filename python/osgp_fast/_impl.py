"""Chooses the decoder, Rust or Python, once for the whole process; the only module that imports the compiled part.

``OSGP_FAST_IMPL=rust|python`` is read when this module is first imported. Readers of files and writers use the compiled
part whenever it is loaded, whichever decoder was chosen: ask `compiled` for that, and `implementation` for the decoder.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .image import TableImage
    from .records import MeterResult
    from .security.key import Key
    from .security.messages import Exchange
    from .security.tls import TlsClient, TlsOpener, TlsServer

__all__ = [
    "VARIABLE",
    "compiled",
    "core",
    "decode_meter",
    "decode_together",
    "implementation",
    "masked_head",
    "mep_open_request",
    "mep_request",
    "needed_tables",
    "scan_capture",
    "tables_without_decoder",
    "tls_client",
    "tls_opener",
    "tls_server",
]

VARIABLE = "OSGP_FAST_IMPL"

_HINT = (
    "install a wheel that has it (pip install --force-reinstall --only-binary osgp-fast osgp-fast) or build it from "
    "source with a Rust toolchain (pip install --no-binary osgp-fast osgp-fast)"
)

_core: ModuleType | None
_problem: ImportError | None = None
try:
    from . import _core as _loaded
except ImportError as error:
    _core, _problem = None, error
else:
    _core = _loaded


def _choose(wanted: str) -> Literal["rust", "python"]:
    if wanted not in ("", "rust", "python"):
        raise ImportError(f"{VARIABLE}={wanted!r} is not known; set it to rust or python, or leave it unset")
    if wanted == "python":
        return "python"
    if _core is not None:
        return "rust"
    if wanted == "rust":
        raise ImportError(
            f"{VARIABLE}=rust, but the compiled part of osgp-fast cannot be loaded ({_problem}); {_HINT}"
        ) from _problem
    warnings.warn(
        f"the compiled part of osgp-fast is missing, so tables are decoded in Python, which is much slower; {_HINT}; "
        f"{VARIABLE}=python silences this",
        RuntimeWarning,
        stacklevel=2,
    )
    return "python"


_implementation = _choose(os.environ.get(VARIABLE, "").strip().lower())


def implementation() -> Literal["rust", "python"]:
    """Which decoder this process uses. Both give equal results; ``OSGP_FAST_IMPL`` chooses."""
    return _implementation


def compiled() -> bool:
    """Whether the compiled part is loaded: it reads and writes files in either implementation."""
    return _core is not None


def core() -> Any:
    """The compiled part. Raises: ImportError that says how to get it."""
    if _core is None:
        raise ImportError(f"this needs the compiled part of osgp-fast ({_problem}); {_HINT}") from _problem
    return _core


# ---- the Python decoder, loaded when it is used


def scan_capture(data: Any, **options: Any) -> Any:
    """`scan.scan`, or None where the data are no capture."""
    from . import scan

    try:
        return scan.scan(data, **options)
    except scan.NotRecognised:
        return None


def masked_head(data: Any, size: int) -> bytes:
    """The first bytes of something, without secrets (`scan.masked_head`)."""
    from . import scan

    return bytes(scan.masked_head(data, size))


def decode_meter(
    label: str,
    images: Sequence[TableImage],
    kinds: Sequence[str],
    *,
    shape: str = "long",
    delta: bool = False,
    assume_defaults: bool = False,
) -> MeterResult:
    """The Python decoder, meter by meter (`records.decode_meter`)."""
    from . import records

    return records.decode_meter(
        label, images, kinds, records.Options(shape=shape, delta=delta, assume_defaults=assume_defaults)
    )


def decode_together(
    label: str, images: Sequence[TableImage], kind: str, *, shape: str = "long", delta: bool = False
) -> tuple[list[dict[str, list[Any]]], list[Any]]:
    """The rows of one kind and the rejects from the images of one meter, by the chosen decoder, as Python columns."""
    if _implementation == "python":
        found = decode_meter(label, images, [kind], shape=shape, delta=delta)
        return found.rows[kind], found.rejects
    from .reject import Reject

    rows = [
        (
            image.table,
            image.offset,
            bytes(image.data),
            image.read_at,
            image.whole,
            image.ped,
            image.session,
            image.input,
            image.position,
        )
        for image in images
    ]
    batches, rejects = core().decode_meter(label, rows, kind, shape=shape, delta=delta)
    return list(batches), [Reject.of_row(row) for row in rejects]


def needed_tables(kinds: Sequence[str]) -> frozenset[int]:
    """The numbers of the tables that these kinds are decoded from; only these give rejects."""
    from . import records
    from .records._meter import IDS

    names = frozenset[str]().union(*(records.NEEDS[k] for k in kinds))
    return frozenset(number for number, name in IDS.items() if name in names)


def tables_without_decoder(images: Sequence[TableImage]) -> int:
    """How many of these images are of tables that nothing here reads."""
    from . import records

    return sum(records.without_decoder(i.table) for i in images)


# ---- the security of the MEP port: the compiled classes have the same face as the Python ones


def mep_request(key: Key | bytes, body: bytes, sequence: int, *, encrypt: bool = False) -> Exchange:
    """A request under digest and, if wanted, RC4 (`security.messages.Exchange.request`)."""
    from .security import messages
    from .security.key import used_bytes

    if _implementation == "python":
        return messages.Exchange.request(key, body, sequence, encrypt=encrypt)
    made: Exchange = core().MepExchange.request(used_bytes(key), body, sequence, encrypt=encrypt)
    return made


def mep_open_request(keys: Sequence[Key | bytes], body: bytes) -> Exchange:
    """A request that was received (`security.messages.Exchange.open`)."""
    from .security import messages
    from .security.key import used_bytes

    if _implementation == "python":
        return messages.Exchange.open(keys, body)
    opened: Exchange = core().MepExchange.open([used_bytes(key) for key in keys], body)
    return opened


def tls_client(identity: bytes, key: Key | bytes, random: bytes) -> TlsClient:
    """The MEP device's side of TLS (`security.tls.TlsClient`)."""
    from .security import tls
    from .security.key import used_bytes

    if _implementation == "python":
        return tls.TlsClient(identity, key, random)
    client: TlsClient = core().TlsClient(identity, used_bytes(key), random)
    return client


def tls_server(keys: Mapping[int, Key | bytes], random: bytes, *, session_id: bytes = b"") -> TlsServer:
    """The meter's side of TLS (`security.tls.TlsServer`)."""
    from .security import tls
    from .security.key import used_bytes

    if _implementation == "python":
        return tls.TlsServer(keys, random, session_id=session_id)
    used = {key_id: used_bytes(key) for key_id, key in keys.items()}
    server: TlsServer = core().TlsServer(used, random, session_id=session_id)
    return server


def tls_opener(keys: Sequence[Key | bytes]) -> TlsOpener:
    """A reader of recorded TLS sessions (`security.tls.TlsOpener`)."""
    from .security import tls
    from .security.key import used_bytes

    if _implementation == "python":
        return tls.TlsOpener(keys)
    opener: TlsOpener = core().TlsOpener([used_bytes(key) for key in keys])
    return opener
