"""ET79: the alternate event log."""

from .._model import table
from ..bt.bt74 import LOG_FIXED, LOG_VARIABLES, log

ET79 = table(
    "ET79",
    "History Log Data (Alternate Event Log)",
    "MEP guide, ET79, p. 181",
    log("log_entries"),
    variables={**LOG_VARIABLES, "log_entries": "ET54.80"},
    fixed=LOG_FIXED,
    doc="printed with BT71.5 entries, a row copied from BT74; ET54.80 counts them",
)
