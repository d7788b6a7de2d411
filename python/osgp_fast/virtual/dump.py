"""Dumps of made-up meters, of any size, with their truth: ``DIR/METER/BT64.bin`` as `osgp_fast.decode` reads them."""

from __future__ import annotations

import dataclasses
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Final, TextIO

from .. import codec
from ..errors import UsageError
from .config import MeterConfig, standard_sets
from .firmware import Firmware
from .meter import VirtualMeter
from .tables import identity
from .truth import LEFT_OUT, to_json
from .world import HOUSEHOLDS

#: When a dump is made if nobody says so: the same dump for the same seed.
DUMPED_AT: Final = datetime(2024, 6, 1, 10, 7, 30, tzinfo=UTC)
_MOST_DAYS: Final = 3660


@dataclass(slots=True)
class Written:
    """What a dump holds."""

    meters: int = 0
    files: int = 0
    bytes: int = 0


class Plan:
    """Which meter is the how manieth: households of their own first, then their neighbours, firmware versions in turn."""

    def __init__(self, config: MeterConfig, days: int, firmwares: Sequence[Firmware] = ()) -> None:
        self.firmwares = list(firmwares) or [config.firmware]
        self.streets = len(self.firmwares) * max(1, HOUSEHOLDS // len(self.firmwares))
        first, *others = config.sets
        # The ring of the first data set holds all of the history, those of the others what they are configured for.
        blocks = min(max(days * 86_400 // first.block_s + 1, 1), 0xFFFF)
        sets = (dataclasses.replace(first, blocks=blocks), *others) if config.data_sets else ()
        self._blocks = blocks
        self._config = dataclasses.replace(config, history_days=days, start=config.start or DUMPED_AT, data_sets=sets)

    def config(self, number: int) -> MeterConfig:
        """The configuration of meter ``number``."""
        neighbour, street = divmod(number, self.streets)
        firmware = self.firmwares[street % len(self.firmwares)]
        sets = self._config.data_sets
        if not sets:
            first, *others = standard_sets(firmware)
            sets = (dataclasses.replace(first, blocks=self._blocks), *others)
        serial = (self._config.seed + number) % 10**10
        return dataclasses.replace(
            self._config,
            firmware=firmware,
            seed=(self._config.seed + street) % (1 << 32),
            neighbour=neighbour,
            serial=f"{serial:016}",
            utility_serial=f"VIRTUAL-{serial:010}",
            data_sets=sets,
        )


#: What names its owner, and so is made anew for every meter.
_PERSONAL: Final[Mapping[str, Callable[[MeterConfig], dict[str, Any]]]] = {
    "BT01": identity.made_as,
    "ET03": identity.named_by_utility,
}


class Street:
    """The meters of a street: neighbours differ in what names them and by a number that all their readings are ahead.

    A table is then that of the first house plus so many times a pattern of ones where its readings are. As both are
    little-endian, so is their sum as one large number: no reading is encoded twice.
    """

    def __init__(self, config: MeterConfig) -> None:
        first, second = (
            VirtualMeter(dataclasses.replace(config, neighbour=n, serial="", utility_serial="")) for n in (0, 1)
        )
        self._same: dict[str, bytes] = {}
        self._ahead: dict[str, tuple[int, int, int]] = {}
        step = second.config.ahead
        known = first.dimensions(first.start)
        self._layouts = {id: known.layout(id) for id in _PERSONAL}
        others = second.images(first.start)
        for id, data in first.images(first.start).items():
            if data == others[id] or id in _PERSONAL:
                self._same[id] = data
            else:
                base = int.from_bytes(data, "little")
                self._ahead[id] = base, (int.from_bytes(others[id], "little") - base) // step, len(data)

    def images(self, config: MeterConfig) -> dict[str, bytes]:
        """The tables of one of the meters, by id."""
        out = dict(self._same)
        for id, layout in self._layouts.items():
            out[id] = codec.encode(layout, _PERSONAL[id](config), table=id)
        for id, (base, ones, size) in self._ahead.items():
            out[id] = (base + config.ahead * ones).to_bytes(size, "little")
        return out


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
    """Write the dump, a directory or a ``.tar``, and its truth if there is a file for it.

    The meters take the firmware versions in turn.

    Raises: UsageError, OSError.
    """
    if not 1 <= meters <= 10_000_000:
        raise UsageError("virtual.dump", f"{meters} meters", "give 1 to 10,000,000")
    if not 0 <= days <= _MOST_DAYS:
        raise UsageError("virtual.dump", f"{days} days of history", f"give 0 to {_MOST_DAYS}")
    if directory.suffix == ".tar" and directory.exists():
        raise UsageError("virtual.dump", f"{directory} is there", "name a new file")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError("virtual.dump", f"{directory} is there and not empty", "name a new directory")
    plan = Plan(config, days, firmwares)
    streets: dict[int, Street] = {}
    written = Written()
    with _Dump(directory) as dump, _Truth(truth) as told:
        for n in range(meters):
            mine = plan.config(n)
            label = f"V{int(mine.serial):08}"
            if meters > plan.streets:
                if n < plan.streets:
                    streets[n] = Street(mine)
                images = streets[n % plan.streets].images(mine)
            else:
                meter = VirtualMeter(mine)
                images = meter.images(meter.start)
            for id, data in images.items():
                if data and (truth is None or id not in LEFT_OUT):
                    dump.add(label, id, data)
                    written.files += 1
                    written.bytes += len(data)
            told.add(mine, label)
            written.meters += 1
            on_meter(written)
    return written


class _Dump:
    """A directory or a tar archive of tables."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._made: set[str] = set()
        self._archive: tarfile.TarFile | None = None

    def __enter__(self) -> _Dump:
        if self._path.suffix == ".tar":
            self._archive = tarfile.open(self._path, "w", format=tarfile.USTAR_FORMAT)  # closed in __exit__
        else:
            self._path.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._archive is not None:
            self._archive.close()

    def add(self, label: str, id: str, data: bytes) -> None:
        """A table."""
        if self._archive is not None:
            member = tarfile.TarInfo(f"{label}/{id}.bin")
            member.size = len(data)
            self._archive.addfile(member, BytesIO(data))
            return
        place = self._path / label
        if label not in self._made:
            place.mkdir()
            self._made = {label}
        (place / f"{id}.bin").write_bytes(data)


class _Truth:
    """The truth of a dump, a list in JSON with a meter a line; nothing where there is no file for it."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._first = True

    def __enter__(self) -> _Truth:
        if self._path is not None:
            self._file = self._path.open("w", encoding="utf-8")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._file is not None:
            if kind is None:
                self._file.write("\n]\n")
            self._file.close()

    def add(self, config: MeterConfig, label: str) -> None:
        """The truth of a meter."""
        if self._file is not None:
            meter = VirtualMeter(config)
            self._file.write(("[\n" if self._first else ",\n") + to_json(meter, label, meter.start))
            self._first = False
