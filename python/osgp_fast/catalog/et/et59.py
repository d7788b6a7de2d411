"""ET59: the answer of the last procedure of MEP client 1."""

from .._model import table
from ..bt.bt08 import procedure_response

ET59 = table(
    "ET59",
    "MEP Procedure Response",
    "MEP guide, ET59, p. 165; Optical guide, Table A.1, p. 61",
    procedure_response("Procedure Sequence Number (PSN)", 165),
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    doc="used instead of BT08 while ET50.30.1 is 1; on firmware 4.0 and later for MEP client 1 only",
)
