"""BT62: which sources the channels of the load profile record."""

from .._model import F, H, P, array, bits, flag, table, u8, u16
from .bt61 import MAX_SETS

# The bit is BT61's, not BT60's as printed: BT60 tells what the meter could do, BT61 what is configured.
_SCALED = "(n == 0) * BT61.4.6 + (n == 1) * BT61.4.7 + (n == 2) * BT61.4.8 + (n == 3) * BT61.4.9"

BT62 = table(
    "BT62",
    "Load Profile Control",
    "MEP guide, BT62, p. 235; Optical guide, BT62, p. 33",
    [
        array(
            "set",
            "(BT61.size >= 7) * (BT61.size - 7) // 6",
            [
                array(
                    "channel",
                    "BT61.11[n]",
                    [
                        bits(
                            "flags",
                            1,
                            [
                                flag(
                                    "end_reading",
                                    0,
                                    "End Reading (Channel x)",
                                    vci=F,
                                    default="0",
                                    doc="end readings are not supported",
                                )
                            ],
                            at="0",
                            page=236,
                        ),
                        u8(
                            "source",
                            "Interval Source (Channel x)",
                            at="1",
                            vci=H,
                            doc="source ID of what the channel records; 112 to 163 stand for an extended ID of ET66",
                        ),
                        u8(
                            "end_reading_source",
                            "End Reading Source (Channel x)",
                            at="2",
                            vci=P,
                            default="0",
                            doc="end readings are not supported",
                        ),
                    ],
                    "Channel Settings",
                    printed="ARRAY[BT61.11N] of 3-byte records",
                    index="c",
                ),
                u8(
                    "format",
                    "Format",
                    at="BT61.11[n] * 3",
                    vci=P,
                    default="32",
                    enum={32: "INT32"},
                    doc="of interval data, as a bit of BT61.6; INT32 means snapshots: the register's value itself",
                ),
                array(
                    "scalar",
                    "BT61.11[n]",
                    [
                        u16(
                            "value",
                            "Scalars",
                            at="BT61.11[n] * 3 + 1",
                            vci=H,
                            doc="what a value was multiplied by before it was recorded",
                        )
                    ],
                    "Scalars",
                    printed="ARRAY[BT61.11N] of UINT16",
                    when=_SCALED,
                    index="c",
                    doc="printed with a condition on BT60.4.6 to 9, which is what the meter could do; ours is BT61's bit",
                ),
                array(
                    "divisor",
                    "BT61.11[n]",
                    [
                        u16(
                            "value",
                            "Divisors",
                            at="BT61.11[n] * 3 + 1 + 2 * BT61.11[n]",
                            vci=H,
                            doc="what a value was divided by before it was recorded",
                        )
                    ],
                    "Divisors",
                    printed="ARRAY[BT61.11N] of UINT16",
                    when=_SCALED,
                    index="c",
                ),
            ],
            "Data Set Control",
            index="n",
            max=MAX_SETS,
            page=235,
            doc="elements differ in size, so they are packed one after another; printed offsets are within one element",
        )
    ],
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    nvm=True,
)
