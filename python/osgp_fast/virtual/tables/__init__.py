"""What is in the tables of the virtual meter: one file per family, a function per table.

A function takes the meter and the time and gives the values of the table's rows, or these and the length of the table.
Rows without a value hold what the guides print as fixed or as delivered, else 0; tables without a function hold nothing
but that.
"""

from __future__ import annotations

from typing import Final

from . import clock, events, identity, mep, profile, registers, status
from ._types import Makers

MAKERS: Final[Makers] = {
    **identity.MAKERS,
    **registers.MAKERS,
    **clock.MAKERS,
    **profile.MAKERS,
    **events.MAKERS,
    **mep.MAKERS,
    **status.MAKERS,
}

#: Tables that follow from the configuration alone.
CONSTANT: Final = frozenset(
    {
        *(
            "BT00",
            "BT15",
            "BT20",
            "BT21",
            "BT22",
            "BT27",
            "BT30",
            "BT33",
            "BT50",
            "BT53",
            "BT54",
            "BT60",
            "BT61",
            "BT62",
        ),
        *(
            "BT70",
            "BT71",
            "ET04",
            "ET11",
            "ET13",
            "ET29",
            "ET34",
            "ET36",
            "ET42",
            "ET46",
            "ET50",
            "ET51",
            "ET52",
            "ET53",
        ),
        *(
            "ET54",
            "ET55",
            "ET57",
            "ET58",
            "ET61",
            "ET62",
            "ET66",
            "ET70",
            "ET71",
            "ET74",
            "ET75",
            "ET80",
            "ET90",
            "ET97",
        ),
    }
)
