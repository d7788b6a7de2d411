"""BT62: which sources the channels of the load profile record."""

from .._model import F, H, P, array, bits, flag, table, u8, u16
from .bt61 import MAX_SETS

# The bit is BT61's, not BT60's as printed: BT60 tells what the meter could do, BT61 what is configured.
_SCALED = "(n == 0) * BT61.4.6 + (n == 1) * BT61.4.7 + (n == 2) * BT61.4.8 + (n == 3) * BT61.4.9"

BT62 = table(
    "BT62",
    "Load Profile Control",
    "MEP guide, BT62, p. 236; Optical guide, BT62, p. 33",
    [
        array(
            "set",
            "(BT61.size >= 7) * (BT61.size - 7) // 6",
            [
                array(
                    "channel",
                    "BT61.11[n]",
                    [
                        bits("flags", 1, [flag("end_reading", 0, "End Reading (Channel x)", vci=F)], at="0"),
                        u8("source", "Interval Source (Channel x)", at="1", vci=H),
                        u8("end_reading_source", "End Reading Source (Channel x)", at="2", vci=P),
                    ],
                    "Channel Settings",
                    index="c",
                ),
                u8("format", "Format", at="BT61.11[n] * 3", vci=P, enum={32: "INT32"}),
                array(
                    "scalar",
                    "BT61.11[n]",
                    [u16("value", "Scalars", at="BT61.11[n] * 3 + 1", vci=H)],
                    "Scalars",
                    when=_SCALED,
                    index="c",
                ),
                array(
                    "divisor",
                    "BT61.11[n]",
                    [u16("value", "Divisors", at="BT61.11[n] * 3 + 1 + 2 * BT61.11[n]", vci=H)],
                    "Divisors",
                    when=_SCALED,
                    index="c",
                ),
            ],
            "Data Set Control",
            index="n",
            max=MAX_SETS,
            doc="elements differ in size, so they are packed one after another; printed offsets are within one element",
        )
    ],
)
