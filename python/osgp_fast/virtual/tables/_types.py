"""The form of the functions that fill tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..meter import VirtualMeter

Values = Mapping[str, Any]
Maker = Callable[["VirtualMeter", int], "Values | tuple[Values, int]"]
Makers = Mapping[str, Maker]
