"""ET66: what the mapped source IDs 112 to 163 stand for."""

from .._model import H, array, table, u16

ET66 = table(
    "ET66",
    "Load Profile Source ID Mapping Table",
    "MEP guide, ET66, p. 173; Optical guide, table A.1, p. 61",
    [
        array(
            "entry",
            "size // 2",
            [
                u16(
                    "extended_source",
                    "Extended Source IDs",
                    at="0",
                    vci=H,
                    doc="bits 15..12 type: 0 a standard source, 4 an M-Bus device (11..8) and its data type (4..0)",
                )
            ],
            "Extended Source IDs",
            printed="ARRAY[4][BT60.11] of UINT16",
            index="s",
            max=64,
            page=173,
            doc="indexed by source ID - 112 over the whole table, as the guide's formula says; its two dimensions "
            "([4][BT60.11]) and its 52 IDs contradict each other for sets 2 to 4: prefer ET42",
        )
    ],
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    doc="changed by EP11 and EP52 only; the table has no printed offsets and starts at 0",
)
