"""The version of the installed package."""

from __future__ import annotations

__all__ = ["version"]


def version() -> str:
    """The version, or ``unknown`` in a source tree that was not installed."""
    from importlib import metadata

    try:
        return metadata.version("osgp-fast")
    except metadata.PackageNotFoundError:
        return "unknown"
