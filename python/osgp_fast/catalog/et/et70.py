"""ET70: which of the two MEP ports one is talking to."""

from .._model import reserved, table, u8

ET70 = table(
    "ET70",
    "RAM Only Status",
    "MEP guide, ET70, p. 173; Optical guide, Table A.1, p. 62",
    [
        reserved(142, at="0", page=174),
        u8(
            "channel_index",
            "Current Comm Channel Index",
            at="142",
            since="4.00",
            enum={1: "MEP client 1 (MEP1)", 2: "MEP client 2 (MEP2)"},
            doc="the port of who reads it; the table ends before it on 3.X and CPM modules",
        ),
        reserved(13, at="143", name="reserved_2", since="4.00"),
    ],
    write="MAK",
    optical_read="MK, PK, RK",
    clients="OSGP meter",
    doc="of use on firmware 4.0 and later only; writing is printed as MAK, but p. 23 and Appendix C call it read-only",
)
