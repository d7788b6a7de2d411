"""OSGP smart meters: captured table dumps and serial captures to columns.

    import osgp_fast as osgp

    result = osgp.decode("dump/", what="load_profile")
    result.to_polars()

and live ones through the optical port:

    with osgp.open("/dev/ttyUSB0", password="...") as meter:
        meter.registers().to_polars()

or the MEP port, with ``mep:`` before the port and ``key=``.

See `decode` for what can be read and `Result` for what can be done with it, and `decode_table` for a single table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._impl import compiled, implementation
from .decode import decode, decode_images, decode_load_profile
from .errors import (
    DecodeError,
    FrameError,
    InputError,
    LocalProtocolError,
    OsgpError,
    RemoteProtocolError,
    SecurityError,
    TableError,
    TransportError,
    UsageError,
)

if TYPE_CHECKING:
    from .decode import Result
    from .meter import AsyncMeter, Meter, open, open_async
    from .reject import Reject
    from .tables import Decoded, decode_table, encode_table

__all__ = [
    "AsyncMeter",
    "DecodeError",
    "Decoded",
    "FrameError",
    "InputError",
    "LocalProtocolError",
    "Meter",
    "OsgpError",
    "Reject",
    "RemoteProtocolError",
    "Result",
    "SecurityError",
    "TableError",
    "TransportError",
    "UsageError",
    "compiled",
    "decode",
    "decode_images",
    "decode_load_profile",
    "decode_table",
    "encode_table",
    "implementation",
    "open",
    "open_async",
]


def __getattr__(name: str) -> Any:
    # Loaded when first used: importing this package is to be quick.
    if name == "Result":
        from .decode.result import Result

        return Result
    if name == "Reject":
        from .reject import Reject

        return Reject
    if name in ("Decoded", "decode_table", "encode_table"):
        from . import tables

        return getattr(tables, name)
    if name in ("AsyncMeter", "Meter", "open", "open_async"):
        from . import meter

        return getattr(meter, name)
    if name == "__version__":
        from importlib.metadata import version

        return version("osgp-fast")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
