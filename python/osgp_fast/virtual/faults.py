"""The words of ``--fault``: ``loss=5%,flip=1%,shared-port``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ..errors import UsageError
from ..transport import Faults

#: Word -> field of `Faults`.
_WORDS: Final = {
    "loss": "lose",
    "flip": "flip",
    "cut": "cut",
    "delay": "delay",
    "duplicate": "duplicate",
    "refuse": "refuse",
    "stray": "stray",
    "zero-ack": "zero_ack",
    "byte-loss": "byte_lose",
    "byte-flip": "byte_flip",
}
_SHARED: Final = "shared-port"
_LONGEST: Final = "longest-delay"


@dataclass(frozen=True, slots=True)
class Badness:
    """How bad a line is, and whether the meter shares its port with MEP."""

    faults: Faults = field(default_factory=Faults)
    shared_port: bool = False


def parse(text: str) -> Badness:
    """``loss=5%,delay=0.1,longest-delay=2,shared-port``. Raises: UsageError "virtual.fault"."""
    values: dict[str, float] = {}
    shared = False
    for part in filter(None, (p.strip() for p in text.split(","))):
        word, _, amount = part.partition("=")
        if word == _SHARED and not amount:
            shared = True
        elif word == _LONGEST:
            values["delay_s"] = _number(part, amount, 600.0)
        elif word in _WORDS:
            values[_WORDS[word]] = _number(part, amount, 1.0)
        else:
            raise _wrong(part)
    return Badness(Faults(**values), shared)


def _number(part: str, amount: str, most: float) -> float:
    try:
        value = float(amount[:-1]) / 100 if amount.endswith("%") else float(amount)
    except ValueError:
        raise _wrong(part) from None
    if not 0 <= value <= most:
        raise _wrong(part)
    return value


def _wrong(part: str) -> UsageError:
    return UsageError(
        "virtual.fault",
        f"{part} is no fault",
        f"faults are {', '.join(_WORDS)}, each with =5% or =0.05, {_LONGEST}=SECONDS, and {_SHARED}; commas between them",
    )
