"""BT24: the registers at the last change of season."""

from .._model import LOCAL, Field, M, stime_date, table, u8
from .bt21 import REGISTER_VARIABLES
from .bt23 import registers


def snapshot(time: str, page: int) -> tuple[Field, ...]:
    """The layout that BT24 and BT25 share: when, which season, and BT23's record."""
    return (
        stime_date("time", time, at="0", vci=M, clock=LOCAL, page=page, doc="when the registers were copied"),
        u8("season", "Season", at="5", vci=M, doc="the season of the copy"),
        *registers("6"),
    )


BT24 = table(
    "BT24",
    "Previous Season Data",
    "MEP guide, BT24, p. 211; Optical guide, Table A.1, p. 60",
    snapshot("Time and Date", 212),
    write="MAK",
    optical_read="MK, PK, RK",
    optical_write="MK, PK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    variables=REGISTER_VARIABLES,
    doc="read-only on firmware 3.7X and from 4.10 on, and on CPM 1.2X; from 4.10 on EP64 resets it. Described as the total "
    "and tier blocks; taken as BT23's whole record, the count of demand resets included, as C12.19 has it",
)
