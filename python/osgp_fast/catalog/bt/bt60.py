"""BT60: the largest dimensions of the load profile. Not a valid configuration together, each its own maximum."""

from .._model import table
from .bt61 import dimensions

BT60 = table(
    "BT60",
    "Dimension Load Profile",
    "MEP guide, BT60, p. 231; Optical guide, table A.1, p. 60",
    dimensions(largest=True),
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    doc="each number is a maximum of its own, not a configuration; for sizes of other tables (ET62, ET66, ET75)",
)
