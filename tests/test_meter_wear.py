"""Memory that wears: what is counted, when it warns, when it refuses."""

from __future__ import annotations

import warnings

import pytest
from osgp_fast import UsageError
from osgp_fast.meter import MemoryWearWarning
from osgp_fast.meter.wear import PER_DAY, PER_HOUR, Wear

NVM, RAM = 2099, 2119  # ET51; ET71, which is in RAM only


def test_the_fifth_write_of_an_hour_warns() -> None:
    wear = Wear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in range(PER_HOUR):
            wear.count(NVM, n, False)
    with pytest.warns(MemoryWearWarning, match="ET51"):
        wear.count(NVM, PER_HOUR, False)


def test_slow_writes_never_warn() -> None:
    wear = Wear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in range(3 * PER_DAY):
            wear.count(NVM, n * 1000.0, False)


@pytest.mark.filterwarnings("ignore::osgp_fast.meter.MemoryWearWarning")
def test_a_hundred_a_day_and_then_only_by_force() -> None:
    wear = Wear()
    for n in range(PER_DAY):
        wear.count(7, n, False)
    with pytest.raises(UsageError) as error:
        wear.count(7, PER_DAY, False)
    assert error.value.code == "meter.wear"
    assert "BT07" in str(error.value)
    wear.count(7, PER_DAY, True)
    # A day later there is room again.
    wear.count(7, 90_000, False)


def test_memory_that_does_not_wear_is_not_counted() -> None:
    wear = Wear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in range(2 * PER_DAY):
            wear.count(RAM, n, False)
