"""ET74: scheduled billing reads that wait for room in ET45."""

from .._model import table, u16
from .et45 import ENTRY_SIZE, entries, header

ET74 = table(
    "ET74",
    "MEP Recurring Read Extended Log",
    "MEP guide, ET74, p. 176; Optical guide, Table A.1, p. 62",
    [*header(u16, 176), entries(9, namespace=False)],
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    since="3.60",
    since_cpm="1.20",
    variables={"log_entries": "ET54.69", "log_entry_size": ENTRY_SIZE},
    doc="entries move to ET45 first in, first out, as room is made there; at most as many as ET45 has are read at a time. "
    "ET42 repeats the number of entries; their size is ET45's (ET54, p. 136)",
)
