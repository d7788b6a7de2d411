"""What the commands that write share: the options, the question before anything is written, the wear of memory."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import click

from ..errors import OsgpError, UsageError
from ..meter import MemoryWearWarning, Meter
from ..meter.wear import PER_DAY, PER_HOUR
from .live import say
from .worn import Worn

__all__ = ["EXIT", "NOT_CONFIRMED", "Asking", "counted", "sure", "writing_options"]

F = TypeVar("F", bound=Callable[..., Any])
EXIT: Final = """
\b
Exit: 0 done, or there was nothing to do; 2 usage, or a port that cannot be opened; 3 refused, failed or not known, as
it is said; 130 interrupted or not confirmed: logged off.
"""
NOT_CONFIRMED: Final = 130
_HOUR_S: Final = 3600.0


class Asking:
    """Whether and how somebody is asked. Raises: UsageError "usage.confirm" where nobody can be."""

    def __init__(self, *, yes: bool, dry_run: bool, force: bool, as_json: bool, quiet: bool) -> None:
        self.dry_run, self.force, self.as_json = dry_run, force, as_json
        self.asks = not yes and not dry_run
        if self.asks and not sys.stdin.isatty():
            raise UsageError(
                "usage.confirm",
                "nobody can be asked whether it is to be done: there is no terminal",
                "--yes does it without asking, --dry-run only shows it",
            )
        self.shows = self.asks or not (quiet or as_json)
        """Whether people see what is to happen: whoever is asked has to."""
        self.tells = not (quiet or as_json)
        self.out = sys.stderr if as_json else sys.stdout


def writing_options(function: F) -> F:
    """--yes, --dry-run, --force, --json and --quiet; the command gets an `Asking` as ``asking``."""

    def command(**arguments: Any) -> Any:
        names = ("yes", "dry_run", "force", "as_json", "quiet")
        return function(asking=Asking(**{name: arguments.pop(name) for name in names}), **arguments)

    command.__name__, command.__doc__ = function.__name__, function.__doc__
    wrapped: Any = command
    wrapped.__click_params__ = getattr(function, "__click_params__", [])
    for option in reversed(
        (
            click.option("-y", "--yes", is_flag=True, help="Do not ask."),
            click.option("--dry-run", is_flag=True, help="Show what would happen, and do nothing."),
            click.option("--force", is_flag=True, help=f"Also the write after the {PER_DAY}th of a day."),
            click.option("--json", "as_json", is_flag=True, help="For machines: one JSON object."),
            click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors, and what has to be asked."),
        )
    ):
        wrapped = option(wrapped)
    made: F = wrapped
    return made


def sure(question: str) -> bool:
    """Ask; whatever is not yes is no. Raises: click.Abort where the terminal ends."""
    return click.confirm(question, default=False, err=True)


@contextmanager
def counted(meter: Meter, worn: Worn | None) -> Iterator[None]:
    """A write: the counter of wear is kept, its warning passed on, its refusal says what to do here."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", MemoryWearWarning)
        before = len(meter.recent_writes)
        try:
            yield
        except UsageError as error:
            if error.code != "meter.wear":
                raise
            hint = "write more at once and less often; --force writes all the same"
            raise UsageError(error.code, error.message, hint, **error.fields) from error
        finally:
            if worn is not None and len(meter.recent_writes) != before:
                worn.keep(meter.recent_writes)
            for warning in heard:
                say(f"warning: {warning.message}")


def wear(what: str, ages: Sequence[float]) -> str:
    """For people: what was written so far."""
    hour = sum(age <= _HOUR_S for age in ages)
    return (
        f"{what} lies in memory that wears; it stands {PER_HOUR} writes an hour on average. Written by this user: {hour} within "
        f"the last hour, {len(ages)} within a day"
    )


def as_usage(error: OsgpError) -> UsageError:
    """What does not fit, before anything was written: the command was wrong, not the meter."""
    return UsageError(error.code, error.message, error.hint, **error.fields)
