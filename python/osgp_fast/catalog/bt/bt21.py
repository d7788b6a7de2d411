"""BT21: the dimensions of the register tables as configured; BT20 stands in on firmware that has no BT21."""

from .._model import table
from .bt20 import dimensions

#: What the register tables ask of BT21, as variables, since BT20 answers on firmware without it (Optical guide p. 24).
REGISTER_VARIABLES = {
    "has_reset_counter": "BT21.0.2",
    "has_event_time": "BT21.0.1",
    "has_cumulative": "BT21.0.4",
    "has_continuous": "BT21.0.5",
    "summations": "BT21.3",
    "demands": "BT21.4",
    "coincidents": "BT21.5",
    "occurrences": "BT21.6",
    "tiers": "BT21.7",
}

BT21 = table(
    "BT21",
    "Actual Register",
    "MEP guide, BT21, p. 200; Optical guide, BT21, p. 21",
    dimensions(configured=True),
    optical_read="MK, PK, RK",
    since="2.12",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    doc="firmware 2.0 to 2.10 answers a read of it with an error; BT20 says the same there",
)
