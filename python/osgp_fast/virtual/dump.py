"""Dumps of made-up meters, of any size, with their truth: ``DIR/METER/BT64.bin`` as `osgp_fast.decode` reads them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ..errors import UsageError
from .config import MeterConfig
from .firmware import Firmware
from .meter import VirtualMeter
from .truth import LEFT_OUT, to_json

#: When a dump is made if nobody says so: the same dump for the same seed.
DUMPED_AT: Final = datetime(2024, 6, 1, 10, 7, 30, tzinfo=UTC)
_MOST_DAYS: Final = 3660


@dataclass(slots=True)
class Written:
    """What a dump holds."""

    meters: int = 0
    files: int = 0
    bytes: int = 0


def meter_of(config: MeterConfig, number: int, days: int, firmware: Firmware | None = None) -> VirtualMeter:
    """Meter ``number`` of a dump: a household of its own, with as much history as asked for.

    The ring of the first data set holds all of it, those of the others as much as the configuration gives them.
    """
    config = dataclasses.replace(
        config,
        firmware=firmware or config.firmware,
        seed=(config.seed + number) % (1 << 32),
        history_days=days,
        start=config.start or DUMPED_AT,
    )
    first, *others = config.sets
    blocks = min(max(days * 86_400 // first.block_s + 1, 1), 0xFFFF)
    config = dataclasses.replace(config, data_sets=(dataclasses.replace(first, blocks=blocks), *others))
    return VirtualMeter(config)


def write(
    directory: Path,
    config: MeterConfig,
    *,
    meters: int,
    days: int,
    firmwares: Sequence[Firmware] = (),
    truth: Path | None = None,
    on_meter: Callable[[Written], object] = lambda _: None,
) -> Written:
    """Write the dump, and its truth if there is a file for it. The meters take the firmware versions in turn.

    Raises: UsageError, OSError.
    """
    if not 1 <= meters <= 10_000_000:
        raise UsageError("virtual.dump", f"{meters} meters", "give 1 to 10,000,000")
    if not 0 <= days <= _MOST_DAYS:
        raise UsageError("virtual.dump", f"{days} days of history", f"give 0 to {_MOST_DAYS}")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError("virtual.dump", f"{directory} is there and not empty", "name a new directory")
    written = Written()
    directory.mkdir(parents=True, exist_ok=True)
    file = truth.open("w", encoding="utf-8") if truth is not None else None
    try:
        for n in range(meters):
            meter = meter_of(config, n, days, firmwares[n % len(firmwares)] if firmwares else None)
            label = f"V{meter.config.seed:08}"
            place = directory / label
            place.mkdir()
            for id, data in meter.images(meter.start).items():
                if data and (file is None or id not in LEFT_OUT):
                    (place / f"{id}.bin").write_bytes(data)
                    written.files += 1
                    written.bytes += len(data)
            if file is not None:
                file.write(("[\n" if n == 0 else ",\n") + to_json(meter, label, meter.start))
            written.meters += 1
            on_meter(written)
        if file is not None:
            file.write("\n]\n")
    finally:
        if file is not None:
            file.close()
    return written
