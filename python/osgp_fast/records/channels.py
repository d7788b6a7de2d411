"""Channels: what every channel of every configured data set records, from the newest BT61; one row per channel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..columns import columns
from ..layout import MissingDimension
from ._meter import Meter
from ._profile_set import Unusable, profile_set
from .load_profile import NEEDS as _PROFILE_NEEDS
from .load_profile import TABLES as _PROFILE_TABLES

NEEDS: Final = _PROFILE_NEEDS - frozenset(_PROFILE_TABLES)


def decode(meter: Meter) -> Iterator[dict[str, list[Any]]]:
    """The rows of a meter. A set that is not configured, or not so that data can follow it, has none."""
    read = meter.newest("BT61")
    if read is None:
        return
    view = meter.view(read)
    rows: dict[str, list[Any]] = {c.name: [] for c in columns("channels")}
    for n in range(len(_PROFILE_TABLES)):
        try:
            config = profile_set(view, n)
        except (MissingDimension, Unusable):
            continue
        if config.blocks == 0:
            continue
        for c, source in enumerate(config.channels):
            rows["meter"].append(meter.label)
            rows["data_set"].append(config.number)
            rows["channel"].append(c)
            rows["source"].append(source.id)
            rows["quantity"].append(source.quantity)
            rows["unit"].append(source.unit)
            rows["obis"].append(source.obis)
            rows["interval_s"].append(config.interval_s)
            rows["multiplier"].append(config.multiplier if source.energy else None)
            rows["read_at"].append(read.read_at)
    if rows["meter"]:
        yield rows
