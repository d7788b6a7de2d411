"""BT61: the dimensions of the load profile as configured."""

from .._model import F, Field, H, M, P, array, bits, flag, table, u8, u16, u32

#: At most four data sets (MEP guide p. 29).
MAX_SETS = 4

#: Where the rows of both tables stand in the MEP guide.
_PAGES_60 = (231, 232, 233)
_PAGES_61 = (234, 234, 235)


def dimensions(*, largest: bool) -> tuple[Field, ...]:
    """The layout that BT60 (``largest``) and BT61 (as configured) share."""
    memory, flags, sets = _PAGES_60 if largest else _PAGES_61
    return (
        u32(
            "memory_length",
            "Memory Length",
            at="0",
            vci=M,
            unit="byte",
            default="104832 (128 KiB of NVM), 233856 (256 KiB)" if largest else "0..BT60.0",
            page=memory,
            doc="of all data sets together" + ("; NVM less 24576 and 2 bytes for every 128 of data" if largest else ""),
        ),
        bits(
            "flags",
            2,
            [
                flag(
                    "set_1_inhibit_overflow",
                    0,
                    "Set 1 Inhibit Overflow",
                    vci=F,
                    default="FALSE",
                    doc="data set 1 stops when it is full",
                ),
                flag(
                    "set_2_inhibit_overflow",
                    1,
                    "Set 2 Inhibit Overflow",
                    vci=P,
                    default="FALSE",
                    page=flags,
                    doc="data set 2 stops when it is full",
                ),
                flag(
                    "set_3_inhibit_overflow",
                    2,
                    "Set 3 Inhibit Overflow",
                    vci=F,
                    default="FALSE",
                    doc="data set 3 stops when it is full",
                ),
                flag(
                    "set_4_inhibit_overflow",
                    3,
                    "Set 4 Inhibit Overflow",
                    vci=F,
                    default="FALSE",
                    doc="data set 4 stops when it is full",
                ),
                flag(
                    "end_reading",
                    4,
                    "End Reading Supported",
                    vci=P,
                    default="FALSE",
                    doc="blocks of BT64 to BT67 hold end readings",
                ),
                flag("end_pulse", 5, "End Pulse Supported", vci=F, default="FALSE", doc="blocks hold end pulses"),
                flag(
                    "set_1_scalar_divisor",
                    6,
                    "Set 1 Scalar Divisor Enable",
                    vci=P,
                    default="FALSE",
                    doc="BT62 has scalars and divisors for data set 1",
                ),
                flag(
                    "set_2_scalar_divisor",
                    7,
                    "Set 2 Scalar Divisor Enable",
                    vci=P,
                    default="FALSE",
                    doc="BT62 has scalars and divisors for data set 2",
                ),
                flag(
                    "set_3_scalar_divisor",
                    8,
                    "Set 3 Scalar Divisor Enable",
                    vci=F,
                    default="FALSE",
                    doc="BT62 has scalars and divisors for data set 3",
                ),
                flag(
                    "set_4_scalar_divisor",
                    9,
                    "Set 4 Scalar Divisor Enable",
                    vci=F,
                    default="FALSE",
                    doc="BT62 has scalars and divisors for data set 4",
                ),
                flag(
                    "extended_interval_status",
                    10,
                    "Extended Interval Status",
                    vci=F,
                    default="TRUE",
                    doc="each interval says what happened in it (power failure, clock change)",
                ),
                flag(
                    "simple_interval_status",
                    11,
                    "Simple Interval Status",
                    vci=F,
                    default="TRUE",
                    doc="each block says which intervals were recorded",
                ),
            ],
            at="4",
            doc="bits 8..15 are byte 5",
        ),
        bits(
            "formats",
            1,
            [
                flag("uint8", 0, "UINT8 Supported", vci=F, default="FALSE"),
                flag("uint16", 1, "UINT16 Supported", vci=F, default="FALSE"),
                flag("uint32", 2, "UINT32 Supported", vci=F, default="FALSE"),
                flag("int8", 3, "INT8 Supported", vci=F, default="FALSE", page=flags if largest else sets),
                flag("int16", 4, "INT16 Supported", vci=P, default="FALSE"),
                flag("int32", 5, "INT32 Supported", vci=F, default="TRUE", doc="what all data sets use"),
                flag("ni_fmat1", 6, "NI FMAT1 Supported", vci=F, default="FALSE", page=sets),
                flag("ni_fmat2", 7, "NI FMAT2 Supported", vci=F, default="FALSE"),
            ],
            at="6",
            doc="formats that interval data can have",
        ),
        array(
            "set",
            "(size >= 7) * (size - 7) // 6",
            [
                u16(
                    "blocks",
                    "Number of Blocks in Set N",
                    at="7",
                    vci=P if largest else M,
                    default="9530 (128 KiB), 21259 (256 KiB)" if largest else "",
                    doc="of the smallest kind, 11 bytes"
                    if largest
                    else "room for this many; see BT63 for those in use",
                ),
                u16(
                    "intervals",
                    "Number of Intervals in Set N",
                    at="9",
                    vci=F if largest else M,
                    default="1440" if largest else "",
                    doc="in a block"
                    + (
                        "; of one minute"
                        if largest
                        else "; a block lasts this times the interval time, not always a day"
                    ),
                ),
                u8(
                    "channels",
                    "Number of Channels in Set N",
                    at="11",
                    vci=P if largest else H,
                    default="16" if largest else "",
                    doc="in each interval",
                ),
                u8(
                    "interval_time",
                    "Maximum Interval Time in Set N",
                    at="12",
                    vci=F if largest else H,
                    default="255" if largest else "",
                    unit="min",
                    enum={84: "24 hours"},
                    doc="84 is a day unless the profile is ANSI-compliant (ET21.93.3)"
                    if largest
                    else "the configured length of an interval, whatever its name says; 1 to 60, or 84",
                ),
            ],
            "Data Set Configuration",
            index="n",
            max=MAX_SETS,
            doc="one element per data set; no field gives their number, so it follows from the length of a whole read. Four "
            "from firmware 3.50 and CPM 1.20 on where multiple sets are enabled, else one",
        ),
    )


BT61 = table(
    "BT61",
    "Actual Load Profile",
    "MEP guide, BT61, p. 233; Optical guide, BT61, p. 31",
    dimensions(largest=False),
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    nvm=True,
    doc="the tables number data sets from 1, the guides' formulas from 0: element n is data set n + 1",
)
