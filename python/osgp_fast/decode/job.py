"""What to decode and how: the options of a run, checked once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..columns import KINDS
from ..errors import UsageError

__all__ = ["Job", "check_kinds", "make_job"]

OnReject = Literal["collect", "raise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The options of a run; what each means is said at `decode`."""

    inputs: tuple[str, ...]
    kinds: tuple[str, ...]
    shape: Literal["long", "wide"] = "long"
    delta: bool = False
    meter: str | None = None
    tz: str = "UTC"
    wrap: str | None = None
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    jobs: int = 1
    tmp: str | None = None
    skip_unreadable: bool = False
    assume_defaults: bool = False

    def core_options(self) -> dict[str, Any]:
        """The keyword arguments of the compiled bulk functions."""
        return {
            "jobs": self.jobs,
            "shape": self.shape,
            "delta": self.delta,
            "assume_defaults": self.assume_defaults,
            "meter": self.meter,
            "tz": self.tz,
            "wrap": self.wrap,
            "keys": list(self.keys),
            "tmp": self.tmp,
            "skip_unreadable": self.skip_unreadable,
        }


def check_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """Kinds in the order in which they are written, each once. Raises: UsageError for what cannot be decoded."""
    wanted = list(dict.fromkeys(kinds))
    if not wanted:
        raise UsageError("usage.kind", "no kind was named", f"kinds are {', '.join(KINDS)}")
    for kind in wanted:
        if kind not in KINDS:
            raise UsageError("usage.kind", f"there is no kind {kind!r}", f"kinds are {', '.join(KINDS)}")
    return tuple(k for k in KINDS if k in wanted)


def make_job(
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    kinds: Iterable[str],
    *,
    shape: str = "long",
    delta: bool = False,
    meter: str | None = None,
    tz: str | None = "UTC",
    wrap: str | None = None,
    key: str | bytes | Sequence[str | bytes] | None = None,
    jobs: int | None = None,
    tmp: str | os.PathLike[str] | None = None,
    skip_unreadable: bool = False,
    assume_defaults: bool = False,
) -> Job:
    """Check the options of a run. Raises: UsageError."""
    paths = [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)
    if not paths:
        raise UsageError("usage.input", "no input was named", "name a dump, an archive, table images or a capture")
    if shape not in ("long", "wide"):
        raise UsageError("usage.shape", f"there is no shape {shape!r}", "shapes are long and wide")
    if delta and shape == "wide":
        raise UsageError("usage.delta", "the wide shape has no delta", "leave out delta, or use the long shape")
    if wrap in ("", "none"):
        wrap = None
    if wrap not in (None, "ppp", "slip"):
        raise UsageError("usage.wrap", f"there is no wrapping {wrap!r}", "wrappings are ppp and slip")
    if jobs is not None and jobs < 1:
        raise UsageError("usage.jobs", f"{jobs} jobs cannot work", "give 1 or more, or leave it out for one per core")
    if meter is not None and not meter.strip():
        raise UsageError("usage.meter", "the meter's name is blank", "give the label that the rows shall carry")
    if tmp is not None and not os.path.isdir(tmp):  # noqa: PTH112 (no pathlib for a quick import)
        raise UsageError("usage.tmp", f"{os.fspath(tmp)} is no directory", "name one that exists and can be written")
    return Job(
        inputs=tuple(os.fspath(p) for p in paths),
        kinds=check_kinds(kinds),
        shape="wide" if shape == "wide" else "long",
        delta=delta,
        meter=meter,
        tz=tz or "UTC",
        wrap=wrap,
        keys=parse_keys(key),
        jobs=jobs or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else jobs or os.cpu_count() or 1,
        tmp=None if tmp is None else os.fspath(tmp),
        skip_unreadable=skip_unreadable,
        assume_defaults=assume_defaults,
    )


def parse_keys(key: str | bytes | Sequence[str | bytes] | None) -> tuple[bytes, ...]:
    """Keys as bytes from hex digits (spaces, ``:`` and ``-`` between them are free). No message shows a key.

    Raises: UsageError for what is not hex, or not 6 to 20 bytes, of which the first 16 are used (MEP guide pp. 13, 251).
    """
    if key is None:
        return ()
    keys = []
    for one in [key] if isinstance(key, (str, bytes)) else key:
        if isinstance(one, str):
            try:
                one = bytes.fromhex(one.replace(":", " ").replace("-", " "))
            except ValueError:
                raise UsageError("usage.key", "a key is not hex", "give it as hex digits, two per byte") from None
        if not 6 <= len(one) <= 20:
            raise UsageError(
                "usage.key", f"a key has {len(one)} bytes; it has 6 to 20", "give all of it as hex digits, two per byte"
            )
        keys.append(one)
    return tuple(keys)
