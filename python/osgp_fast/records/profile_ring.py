"""Where the blocks of a load profile stand in its table: what a live reader has to know before it reads any of them.

The same rules as in `load_profile`, asked before the data are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .. import codec
from ..image import Read, TableImage
from ..layout import Layout, MissingDimension
from ._meter import IDS, Meter
from ._profile_set import DAY_S, ProfileSet, Unusable, profile_set
from .load_profile import NEEDS, Block, block_layout, block_size, place_blocks

_NO_READ: Final = Read(0, [], False, None, 0, 0, "", None)
_NO_LAYOUT: Final = Layout((), 0, {})


@dataclass(frozen=True, slots=True)
class Header:
    """What the first bytes of a block say."""

    end_s: int | None
    """When it ends, in seconds since 1970; None where it has no time, or an impossible one."""
    recorded: int
    """One bit per interval that was recorded, the first the least significant one."""


@dataclass(frozen=True, slots=True)
class ProfileRing:
    """The ring of one data set as BT61, BT62 and ET21 describe it and BT63 says what is in it."""

    table: int
    config: ProfileSet
    stride: int
    """Bytes from one block to the next."""
    used: int
    """Bytes of a block that hold something."""
    status_at: int
    status_size: int
    valid: int
    valid_intervals: int
    last: int
    sequence: int
    step: int

    @property
    def blocks(self) -> int:
        """How many blocks there is room for."""
        return self.config.blocks

    def element(self, sequence: int) -> int:
        """Where the block with a sequence number stands; it is one of the newest ``valid`` ones."""
        return (self.last - self.step * ((self.sequence - sequence) % (1 << 32))) % self.blocks

    def header(self, data: bytes | memoryview) -> Header:
        """The header of a block in its bytes."""
        try:
            end_s = codec.seconds(bytes(data[:5]))
        except codec.ImpossibleDate:
            end_s = None
        word = int.from_bytes(data[self.status_at : self.status_at + self.status_size], "little")
        return Header(end_s, word & (1 << self.config.intervals) - 1)

    @property
    def header_size(self) -> int:
        """Bytes from the start of a block that `header` needs."""
        return self.status_at + self.status_size

    def starts(self, headers: Sequence[Header]) -> list[int | None]:
        """Where blocks start, oldest first, as they are placed with nothing but each other to go by; None: not at all."""
        blocks = [
            None
            if header.end_s is None or not header.recorded
            else Block(
                0,
                b"",
                header.recorded,
                header.recorded.bit_length() - 1,
                header.end_s,
                _NO_READ,
                0,
                self.config,
                _NO_LAYOUT,
            )
            for header in headers
        ]
        place_blocks([block for block in blocks if block is not None])
        return [None if block is None else block.start_s for block in blocks]

    @property
    def neighbours_matter(self) -> bool:
        """Whether the place of a block that was cut short may depend on the blocks around it."""
        return self.config.block_start_s is None or DAY_S % self.config.block_s != 0


def profile_ring(label: str, images: Sequence[TableImage], n: int) -> ProfileRing | None:
    """The ring of data set ``n + 1`` by images of its dimensions and of BT63. None where no block can be read by them.

    Raises: MissingDimension.
    """
    table = 64 + n
    empty = TableImage(meter=label, table=table, data=b"", whole=False)
    meter = Meter(label, [*images, empty], NEEDS)
    read = meter.reads[IDS[table]][0]
    view = meter.view(read)
    valid, last, sequence = (
        view.get("BT63", f"set.{name}", n) for name in ("valid_blocks", "last_block", "last_sequence")
    )
    try:
        config = profile_set(view, n)
    except Unusable:
        return None
    if not 0 < valid <= config.blocks or last >= config.blocks:
        return None
    if view.find("BT63", "set.flags.interval_order", n):
        return None
    parts = block_layout(view, read, n, config)
    end = parts.by_path["block.end_time"][0]
    simple = parts.by_path["block.simple_status"][0]
    return ProfileRing(
        table=table,
        config=config,
        stride=end.axes[0].stride,
        used=block_size(parts),
        status_at=simple.offset - end.offset,
        status_size=simple.size,
        valid=valid,
        valid_intervals=view.find("BT63", "set.valid_intervals", n) or 0,
        last=last,
        sequence=sequence,
        step=-1 if view.find("BT63", "set.flags.block_order", n) else 1,
    )


def profile_sets(label: str, images: Sequence[TableImage]) -> list[int]:
    """The data sets, from 0, that BT61 gives blocks and BT63 says hold some."""
    view = Meter(label, images, NEEDS).view_latest()
    found = []
    for n in range(4):
        try:
            if view.get("BT61", "set.blocks", n) and view.get("BT63", "set.valid_blocks", n):
                found.append(n)
        except MissingDimension:
            break
    return found
