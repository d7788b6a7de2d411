"""ET85: the answer of the last procedure of MEP client 2."""

from .._model import table
from ..bt.bt08 import procedure_response

ET85 = table(
    "ET85",
    "MEP Procedure Response (MEP2)",
    "MEP guide, ET85, p. 186; Optical guide, Table A.1, p. 62",
    procedure_response("Procedure Sequence Number (PSN)", 165),
    optical_read="MK, PK, RK",
    since="4.00",
    clients="OSGP meter",
    doc="printed as having the layout of ET59 (p. 165); MEP client 2 has no other response table",
)
