"""ET53: the responses to the transaction that was written to ET52."""

from .._model import table
from .et52 import transaction

ET53 = table(
    "ET53",
    "MEP Transaction Response Table",
    "MEP guide, ET53, p. 132; Optical guide, Table A.1, p. 61",
    transaction("ET53"),
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    nvm=True,
    doc="printed as having the layout of ET52 (pp. 130-132); its length is ET11.9 (1785); a message is a response code "
    "(1 byte) and, of a read, a count (2 bytes, most significant first) with as many bytes of table data (pp. 49-50); the "
    "meter writes it, in spite of VCI H; read from NVM (Appendix C)",
)
