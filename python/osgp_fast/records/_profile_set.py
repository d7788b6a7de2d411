"""One data set of the load profile as one meter has it configured: sizes, sources, the start of its blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..columns import MAX_CHANNELS
from ..layout import MissingDimension
from ._meter import Source, View, source

#: Interval time 84 is a code for a day (MEP guide, BT61, p. 235).
_DAY_CODE: Final = 84
DAY_S: Final = 86_400
#: Source IDs that stand for an entry of ET66 (MEP guide pp. 173, 205).
_MAPPED: Final = range(112, 164)
#: The supported energy register units (MEP guide, ET55, p. 159).
_UNITS: Final = (1, 10, 100)
#: Format codes of BT62 whose values do not take four bytes (C12.19-1997): UINT8, UINT16, INT8, INT16.
_OTHER_FORMATS: Final = (1, 2, 8, 16)
_SETS_2_TO_4: Final = ("set_2", "set_3", "set_4")


@dataclass(frozen=True, slots=True)
class ProfileSet:
    """The configuration of a data set that decodes, all of it checked."""

    number: int
    blocks: int
    intervals: int
    interval_s: int
    channels: Sequence[Source]
    multiplier: int | None
    rollover_digits: int | None
    block_start_s: int | None

    @property
    def block_s(self) -> int:
        """How long a block is."""
        return self.intervals * self.interval_s


class Unusable(ValueError):
    """A configuration that no data can follow: ``code`` and, as text, the reason."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def interval_seconds(code: int) -> int | None:
    """The seconds of BT61's interval time: 1 to 60 minutes, or 84 for a day; None for the reserved codes."""
    if code == _DAY_CODE:
        return DAY_S
    return code * 60 if 1 <= code <= 60 else None


def profile_set(view: View, n: int) -> ProfileSet:
    """The configuration of data set ``n + 1`` as seen from a read of its data.

    Raises: MissingDimension where BT61 does not reach it, Unusable where its numbers make no sense.
    """
    blocks, intervals, channels, code = (
        view.get("BT61", f"set.{name}", n) for name in ("blocks", "intervals", "channels", "interval_time")
    )
    if channels == 0:
        raise Unusable("profile.no_channels", f"BT61 says that data set {n + 1} has no channels; read BT61 again")
    if channels > MAX_CHANNELS:
        raise Unusable(
            "profile.channel_count",
            f"BT61 says that data set {n + 1} has {channels} channels, and a meter has at most {MAX_CHANNELS}; "
            "read BT61 again",
        )
    if intervals == 0:
        raise Unusable(
            "profile.no_intervals", f"BT61 says that blocks of data set {n + 1} have no intervals; read BT61 again"
        )
    interval_s = interval_seconds(code)
    if interval_s is None:
        raise Unusable(
            "profile.interval_time",
            f"BT61 says interval time {code} for data set {n + 1}; known are 1 to 60 minutes and 84 for a day; "
            "read BT61 again",
        )
    form = view.find("BT62", "set.format", n)
    if form in _OTHER_FORMATS:
        raise Unusable(
            "profile.format",
            f"BT62 says format {form} for data set {n + 1}; only INT32 (32) is described in the guides",
        )
    digits = _ET42(view).find("rollover_digits")
    return ProfileSet(
        number=n + 1,
        blocks=blocks,
        intervals=intervals,
        interval_s=interval_s,
        channels=tuple(source(_source_id(view, n, c, channels)) for c in range(channels)),
        multiplier=energy_register_unit(view),
        rollover_digits=digits if digits is not None and 5 <= digits <= 9 else None,
        block_start_s=_block_start(view, n, channels),
    )


class _ET42:
    """ET42, whose last fields can only be found by knowing whether sets 2 to 4 are in it."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.variables: dict[str, int] | None = None
        listed = view.find("ET54", "compatibility.multiple_sets")
        if listed is None:
            listed = view.find("ET42", "compatibility.multiple_sets")
        if listed is None:
            return
        # The table's own length tells which reading is right; the flag goes first where both fit.
        for multiple in (listed, 1 - listed):
            length = view.find("ET42", "table_length", multiple_sets=multiple)
            section = view.find("ET42", "required_section_length", multiple_sets=multiple)
            if length is None or section is None:
                continue
            leaf = view.layout("ET42", multiple_sets=multiple).find("required_section_length")
            if leaf is not None and leaf.offset + section == length:
                self.variables = {"multiple_sets": multiple}
                return

    def find(self, path: str, *index: int) -> int | None:
        """A field of the variable part, or None."""
        if self.variables is None:
            return None
        if path in ("rollover_digits", "energy_register_unit", "et79_entries"):
            # Later fields of the required section are there only if its own length says so.
            leaf = self.view.layout("ET42", **self.variables).find(path)
            start = self.view.layout("ET42", **self.variables).find("required_section_length")
            section = self.view.find("ET42", "required_section_length", **self.variables)
            if leaf is None or start is None or section is None or leaf.offset + leaf.size > start.offset + section:
                return None
        return self.view.find("ET42", path, *index, **self.variables)

    def element(self, n: int) -> int | None:
        """Which element of the array of sets 2 to 4 belongs to data set ``n + 1``; None if it is not active."""
        if self.variables is None or not self.find(f"set_mask.{_SETS_2_TO_4[n - 1]}"):
            return None
        return sum(self.find(f"set_mask.{name}") or 0 for name in _SETS_2_TO_4[: n - 1])


def et42_field(view: View, path: str) -> int | None:
    """A field of ET42's required section, if it is there."""
    return _ET42(view).find(path)


def _source_id(view: View, n: int, c: int, channels: int) -> int | None:
    """The source of a channel: the extended list of ET42 first, else BT62; 112..163 through ET66."""
    id = _extended_source(view, n, c, channels)
    if id is None:
        id = view.find("BT62", "set.channel.source", n, c)
    if id is not None and id in _MAPPED:
        mapped = view.find("ET66", "entry.extended_source", id - _MAPPED.start)
        return id if mapped is None else mapped
    return id


def _extended_source(view: View, n: int, c: int, channels: int) -> int | None:
    if n == 0:
        # The list of set 1 stands before anything that is in doubt.
        if view.find("ET42", "channels") != channels:
            return None
        return view.find("ET42", "source.id", c)
    et42 = _ET42(view)
    k = et42.element(n)
    if k is None or et42.find("set.channels", k) != channels:
        return None
    return et42.find("set.source.id", k, c)


def energy_register_unit(view: View) -> int | None:
    """What one count of a Wh or varh register is worth: ET55 first, ET42 else; None if neither says so."""
    for unit in (_et55_unit(view), _ET42(view).find("energy_register_unit")):
        if unit in _UNITS:
            return unit
    return None


def _et55_unit(view: View) -> int | None:
    # The field came with firmware 3.70 and CPM 1.20 (major version 1); before, its place holds something else.
    firmware = view.find("BT01", "firmware")
    if firmware is None:
        return None
    since = (1 << 12 | 20 << 5) if firmware < 2 << 12 else (3 << 12 | 70 << 5)
    return view.find("ET55", "energy_register_unit") if firmware >= since else None


def et21_gap(view: View, n: int) -> int | None:
    """The reading of ET21 (131 bytes an element: 1, or 130: 0) under which its sizes agree with BT61; None if none does."""
    default = _default_gap(view)
    if default is None:
        return None
    for gap in (default, 1 - default):

        def field(name: str, gap: int = gap) -> int:
            return view.get("ET21", f"set.{name}", n, gap=gap)

        try:
            channels = view.get("BT61", "set.channels", n)
            if (
                field("channels") == channels
                and field("simple_status_offset") + field("simple_status_size") == field("interval_0_offset")
                and field("interval_0_offset") == field("block_header_size") & 0xFF
                and field("channel_0_offset") == channels // 2 + 1
                and field("interval_size") == channels // 2 + 1 + 4 * channels
            ):
                return gap
        except MissingDimension:
            continue
    return None


def _default_gap(view: View) -> int | None:
    try:
        size = view.table("ET21").end
    except MissingDimension:
        return None
    return 0 if size % 131 and size % 130 == 0 else 1


def _block_start(view: View, n: int, channels: int) -> int | None:
    """Seconds after midnight (UTC) at which blocks were asked to start, from ET21 or ET42."""
    gap = et21_gap(view, n)
    if gap is not None:
        hour = view.find("ET21", "set.block_start_hour", n, gap=gap)
        minute = view.find("ET21", "set.block_start_minute", n, gap=gap)
    elif n == 0:
        if view.find("ET42", "channels") != channels:
            return None
        hour, minute = view.find("ET42", "block_start_hour"), view.find("ET42", "block_start_minute")
    else:
        et42 = _ET42(view)
        k = et42.element(n)
        if k is None:
            return None
        hour, minute = et42.find("set.block_start_hour", k), et42.find("set.block_start_minute", k)
    if hour is None or minute is None or hour > 23 or minute > 59:
        return None
    return hour * 3600 + minute * 60
