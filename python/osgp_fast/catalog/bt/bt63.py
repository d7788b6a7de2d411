"""BT63: which blocks of the load profile hold data."""

from .._model import F, H, M, P, array, bits, flag, part, table, u16, u32
from .bt61 import MAX_SETS

BT63 = table(
    "BT63",
    "Load Profile Status",
    "MEP guide, BT63, p. 237; Optical guide, BT63, p. 34",
    [
        array(
            "set",
            "size // 13",
            [
                bits(
                    "flags",
                    1,
                    [
                        part("block_order", 0, 0, "Block Order", vci=F, enum={0: "ascending"}),
                        flag("overflow", 1, "Overflow", vci=M),
                        part("list_type", 2, 2, "List Type", vci=F, enum={0: "FIFO", 1: "circular"}),
                        flag("inhibit_overflow", 3, "Block Inhibit Overflow", vci=F),
                        part("interval_order", 4, 4, "Interval Order", vci=F, enum={0: "ascending"}),
                        flag("active", 5, "Active Mode", vci=M),
                        flag("test_mode", 6, "Test Mode", vci=P),
                    ],
                    at="0",
                ),
                u16("valid_blocks", "Number of Valid Blocks", at="1", vci=M),
                u16("last_block", "Last Block", at="3", vci=M),
                u32("last_sequence", "Last Block Sequence Number", at="5", vci=M),
                u16("unread_blocks", "Number of Unread Blocks", at="9", vci=H),
                u16("valid_intervals", "Number of Valid Intervals", at="11", vci=M),
            ],
            "Data Set Status",
            index="n",
            max=MAX_SETS,
        )
    ],
)
