"""ET79: the alternate event log."""

from .._model import table
from ..bt.bt74 import LOG_FIXED, LOG_VARIABLES, log

ET79 = table(
    "ET79",
    "History Log Data (Alternate Event Log)",
    "MEP guide, ET79, p. 181; Optical guide, table A.1, p. 62",
    log("log_entries", (181, 182, 182, 183)),
    optical_read="MK, PK, RK",
    since="3.70",
    since_cpm="1.20",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    nvm=True,
    variables={**LOG_VARIABLES, "log_entries": "ET54.80"},
    fixed=LOG_FIXED,
    doc="for events of one's choice; off (no entries) unless enabled when the meter was made. Printed with BT71.5 entries, a "
    "row copied from BT74: ET54.80 counts them; read straight from NVM (appendix C)",
)
