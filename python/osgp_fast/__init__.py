"""OSGP smart meters: captured table dumps and serial captures to columns.

    import osgp_fast as osgp

    result = osgp.decode("dump/", what="load_profile")
    result.to_polars()

See `decode` for what can be read and `Result` for what can be done with it.
"""

from __future__ import annotations

from typing import Any

from ._impl import compiled, implementation
from .decode import Result, decode, decode_load_profile
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
from .reject import Reject

__all__ = [
    "DecodeError",
    "FrameError",
    "InputError",
    "LocalProtocolError",
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
    "decode_load_profile",
    "implementation",
]


def __getattr__(name: str) -> Any:
    # Looking up the version costs more than the import of everything else.
    if name == "__version__":
        from importlib.metadata import version

        return version("osgp-fast")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
