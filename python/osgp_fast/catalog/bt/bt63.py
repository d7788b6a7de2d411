"""BT63: which blocks of the load profile hold data."""

from .._model import F, H, M, P, array, bits, flag, part, table, u16, u32
from .bt61 import MAX_SETS

BT63 = table(
    "BT63",
    "Load Profile Status",
    "MEP guide, BT63, p. 236; Optical guide, BT63, p. 34",
    [
        array(
            "set",
            "size // 13",
            [
                bits(
                    "flags",
                    1,
                    [
                        part(
                            "block_order",
                            0,
                            0,
                            "Block Order",
                            vci=F,
                            default="ascending",
                            enum={0: "ascending"},
                            doc="block n is older than n + 1, but for the ring's seam",
                        ),
                        flag(
                            "overflow",
                            1,
                            "Overflow",
                            vci=M,
                            doc="an unread block was overwritten; stays until EP11, BP04 or BP05, and raises manufacturer "
                            "alarm 0 (BT03.4.0)",
                        ),
                        part(
                            "list_type",
                            2,
                            2,
                            "List Type",
                            vci=F,
                            default="circular",
                            enum={0: "FIFO", 1: "circular"},
                            doc="FIFO where the data set has no blocks",
                        ),
                        flag(
                            "inhibit_overflow",
                            3,
                            "Block Inhibit Overflow",
                            vci=F,
                            default="FALSE",
                            doc="recording stops when memory is full; it never does",
                        ),
                        part(
                            "interval_order",
                            4,
                            4,
                            "Interval Order",
                            vci=F,
                            default="ascending",
                            enum={0: "ascending"},
                            doc="interval n of a block is older than n + 1",
                        ),
                        flag("active", 5, "Active Mode", vci=M, doc="the data set is recording now"),
                        flag("test_mode", 6, "Test Mode", vci=P, default="FALSE", page=238, doc="not supported"),
                    ],
                    at="0",
                    page=237,
                ),
                u16(
                    "valid_blocks",
                    "Number of Valid Blocks",
                    at="1",
                    vci=M,
                    page=238,
                    doc="blocks with at least one interval, 0 to BT61.7",
                ),
                u16(
                    "last_block",
                    "Last Block",
                    at="3",
                    vci=M,
                    doc="element of the newest valid block, 0 to BT61.7 - 1; it may not be complete yet",
                ),
                u32(
                    "last_sequence",
                    "Last Block Sequence Number",
                    at="5",
                    vci=M,
                    doc="of the newest valid block; each new block has the next one",
                ),
                u16(
                    "unread_blocks",
                    "Number of Unread Blocks",
                    at="9",
                    vci=H,
                    doc="0 to BT61.7; the host lowers it by a procedure",
                ),
                u16(
                    "valid_intervals",
                    "Number of Valid Intervals",
                    at="11",
                    vci=M,
                    doc="in the newest valid block, 0 to BT61.9",
                ),
            ],
            "Data Set Status",
            index="n",
            max=MAX_SETS,
            doc="one element per data set; their number follows from the length of a whole read",
        )
    ],
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
)
