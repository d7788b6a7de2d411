"""ET66: what the mapped source IDs 112 to 163 stand for."""

from .._model import H, array, table, u16

ET66 = table(
    "ET66",
    "Load Profile Source ID Mapping Table",
    "MEP guide, ET66, p. 173",
    [
        array(
            "entry",
            "size // 2",
            [u16("extended_source", "Extended Source IDs", at="0", vci=H)],
            "Extended Source IDs",
            index="s",
            max=64,
            doc="indexed by source ID - 112 over the whole table, as the guide's formula says; its two dimensions "
            "([4][BT60.11]) and its 52 IDs contradict each other for sets 2 to 4: prefer ET42",
        )
    ],
)
