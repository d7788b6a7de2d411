"""ET57: which data record headers of M-Bus devices the data types of the load profile stand for."""

from .._model import H, array, bits, flag, octets, part, table

ET57 = table(
    "ET57",
    "M-Bus Data Type Table",
    "MEP guide, ET57, p. 163; Optical guide, Table A.1, p. 61",
    [
        array(
            "entry",
            "ET11.25",
            [
                bits(
                    "header",
                    1,
                    [
                        part(
                            "type",
                            0,
                            1,
                            "Entry Type",
                            vci=H,
                            enum={
                                0: "empty",
                                1: "M-Bus base entry",
                                2: "MEP base entry",
                                3: "extension of the one before",
                            },
                        ),
                        part(
                            "mdt",
                            2,
                            6,
                            "MDT",
                            vci=H,
                            doc="M-Bus data type, bits 4..0 of an extended source ID; several entries may share one; ignored "
                            "in extensions; ET34 calls it MDT index",
                        ),
                        flag(
                            "special",
                            7,
                            "Special",
                            vci=H,
                            printed="UINT(7)",
                            doc="goes before others of its MDT, and load profile status tells it: such as temperature corrected; "
                            "ignored in extensions",
                        ),
                    ],
                    at="0",
                    vci=H,
                    page=164,
                ),
                octets(
                    "drh",
                    3,
                    "DRH",
                    at="1",
                    vci=H,
                    doc="data record header of M-Bus (DIF, VIF and extensions); its length follows from their extension bits, "
                    "the rest means nothing. In a MEP base entry: offset into the message, bytes to compare, what to compare",
                ),
            ],
            "Array[ET11.25] of MdtEntry",
            doc="ET42 copies the entries whose type is not empty",
        )
    ],
    write="MAK",
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
)
