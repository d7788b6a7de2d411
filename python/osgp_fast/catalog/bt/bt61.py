"""BT61: the dimensions of the load profile as configured."""

from .._model import F, Field, H, M, P, array, bits, flag, table, u8, u16, u32

#: At most four data sets (MEP guide p. 29).
MAX_SETS = 4


def dimensions() -> tuple[Field, ...]:
    """The layout that BT60 (maxima) and BT61 (as configured) share."""
    return (
        u32("memory_length", "Memory Length", at="0", vci=M, unit="byte"),
        bits(
            "flags",
            2,
            [
                flag("set_1_inhibit_overflow", 0, "Set 1 Inhibit Overflow", vci=F),
                flag("set_2_inhibit_overflow", 1, "Set 2 Inhibit Overflow", vci=P),
                flag("set_3_inhibit_overflow", 2, "Set 3 Inhibit Overflow", vci=F),
                flag("set_4_inhibit_overflow", 3, "Set 4 Inhibit Overflow", vci=F),
                flag("end_reading", 4, "End Reading Supported", vci=P),
                flag("end_pulse", 5, "End Pulse Supported", vci=F),
                flag("set_1_scalar_divisor", 6, "Set 1 Scalar Divisor Enable", vci=P),
                flag("set_2_scalar_divisor", 7, "Set 2 Scalar Divisor Enable", vci=P),
                flag("set_3_scalar_divisor", 8, "Set 3 Scalar Divisor Enable", vci=F),
                flag("set_4_scalar_divisor", 9, "Set 4 Scalar Divisor Enable", vci=F),
                flag("extended_interval_status", 10, "Extended Interval Status", vci=F),
                flag("simple_interval_status", 11, "Simple Interval Status", vci=F),
            ],
            at="4",
        ),
        bits(
            "formats",
            1,
            [
                flag("uint8", 0, "UINT8 Supported", vci=F),
                flag("uint16", 1, "UINT16 Supported", vci=F),
                flag("uint32", 2, "UINT32 Supported", vci=F),
                flag("int8", 3, "INT8 Supported", vci=F),
                flag("int16", 4, "INT16 Supported", vci=P),
                flag("int32", 5, "INT32 Supported", vci=F),
                flag("ni_fmat1", 6, "NI FMAT1 Supported", vci=F),
                flag("ni_fmat2", 7, "NI FMAT2 Supported", vci=F),
            ],
            at="6",
        ),
        array(
            "set",
            "(size >= 7) * (size - 7) // 6",
            [
                u16("blocks", "Number of Blocks in Set N", at="7", vci=M),
                u16("intervals", "Number of Intervals in Set N", at="9", vci=M),
                u8("channels", "Number of Channels in Set N", at="11", vci=H),
                u8(
                    "interval_time", "Maximum Interval Time in Set N", at="12", vci=H, unit="min", enum={84: "24 hours"}
                ),
            ],
            "Data Set Configuration",
            index="n",
            max=MAX_SETS,
            doc="one element per data set; no field gives their number, so it follows from the length of a whole read",
        ),
    )


BT61 = table("BT61", "Actual Load Profile", "MEP guide, BT61, p. 234; Optical guide, BT61, p. 32", dimensions())
