"""The bulk entry points: from inputs of any kind to columns, as a `Result` that other libraries take without a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .entry import decode, decode_images, decode_load_profile

if TYPE_CHECKING:
    from .job import Job
    from .rejects import Rejects
    from .result import Images, Result
    from .schema import Field, Schema

__all__ = ["Field", "Images", "Job", "Rejects", "Result", "Schema", "decode", "decode_images", "decode_load_profile"]

_LATER = {
    "Field": "schema",
    "Images": "result",
    "Job": "job",
    "Rejects": "rejects",
    "Result": "result",
    "Schema": "schema",
}


def __getattr__(name: str) -> Any:
    # Loaded when first used: `import osgp_fast` is to be quick.
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
