"""ET58: the latest control status of every M-Bus device and MEP client."""

from .._model import M, array, reserved, table, u8

ET58 = table(
    "ET58",
    "M-Bus/MEP Status Extension",
    "MEP guide, ET58, p. 165; Optical guide, Table A.1, p. 61",
    [
        array(
            "device",
            "ET11.0",
            [
                u8(
                    "control_status",
                    "Control Status",
                    at="0",
                    vci=M,
                    page=165,
                    doc="what the data type of ET34.6 last read, such as the state of a valve",
                ),
                reserved(19, printed="ARRAY[19] of UINT8"),
            ],
            "Device Status",
            printed="ARRAY[ET11.0] of MEPStatus",
            doc="in the order of ET14; an element is 20 bytes, of which no table publishes the size",
        )
    ],
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    doc="called MEA Status Extension in the Optical guide (p. 61) and the MEP guide's Appendix C (p. 261)",
)
