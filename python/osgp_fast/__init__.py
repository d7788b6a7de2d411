"""OSGP smart meters: captured table dumps and serial captures to columns.

    import osgp_fast as osgp

    result = osgp.decode("dump/", what="load_profile")
    result.to_polars()

See `decode` for what can be read and `Result` for what can be done with it.
"""

from __future__ import annotations

from typing import Any

from ._impl import compiled, implementation

__all__ = ["compiled", "implementation"]
