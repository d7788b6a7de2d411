"""BT25: the registers at the last demand reset."""

from .._model import table
from .bt21 import REGISTER_VARIABLES
from .bt24 import snapshot

BT25 = table(
    "BT25",
    "Previous Demand Reset Data",
    "MEP guide, BT25, p. 212; Optical guide, Table A.1, p. 60",
    snapshot("Date/Time", 212),
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    variables=REGISTER_VARIABLES,
    doc="printed with 4 tiers; there are BT21.7 of them. The clock is not stated; ET41, whose newest entry is copied here, "
    "counts local time",
)
