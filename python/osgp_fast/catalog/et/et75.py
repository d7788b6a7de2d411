"""ET75: what the channels of the primary load profile were before each change."""

from .._model import UTC, F, H, M, array, bits, char, flag, part, rest, stime_date, table, u8, u16

ET75 = table(
    "ET75",
    "Primary Load Profile Channel Change Log",
    "MEP guide, ET75, p. 177; Optical guide, table A.1, p. 62",
    [
        bits(
            "flags",
            1,
            [
                flag(
                    "order",
                    0,
                    "Order",
                    vci=F,
                    default="FALSE",
                    enum={0: "ascending"},
                    doc="entry n is older than n + 1, but for the ring's seam",
                    page=178,
                ),
                flag("overflow", 1, "Overflow", vci=M, doc="old entries were overwritten"),
                flag(
                    "list_type",
                    2,
                    "List Type",
                    vci=F,
                    default="TRUE",
                    enum={0: "no entries configured", 1: "circular"},
                    doc="reads as circular, but an entry that logged data still need is never overwritten: the change fails",
                ),
                flag(
                    "inhibit_overflow",
                    3,
                    "Inhibit Overflow",
                    vci=F,
                    default="FALSE",
                    doc="new entries enter, unless the oldest still applies to logged data",
                    page=179,
                ),
            ],
            at="0",
        ),
        u8("valid_entries", "Number of Valid Entries", at="1", vci=M, doc="that hold data"),
        u8(
            "last_entry",
            "Last Entry Element",
            at="2",
            vci=F,
            default="0",
            doc="element of the newest entry, from 0; printed as fixed, which an index cannot be: take it as the meter's",
        ),
        u16("last_sequence", "Last Entry Sequence Number", at="3", vci=M, doc="of the newest entry; never reset"),
        u8(
            "unread_entries",
            "Number of Unread Entries",
            at="5",
            vci="M/H",
            doc="the meter raises it, the host lowers it by a procedure",
        ),
        array(
            "entry",
            "entries",
            [
                stime_date(
                    "time",
                    "Timestamp",
                    at="6",
                    vci=M,
                    clock=UTC,
                    doc="when the change took effect: that of the first interval with it; in the first entry, when Welmec "
                    "compliance began",
                ),
                array(
                    "source",
                    "BT60.11[0]",
                    [u16("id", "Extended Source IDs", at="11", vci=H, doc="standard sources have type 0")],
                    "Extended Source IDs",
                    printed="ARRAY[BT60.11] of UINT16",
                    doc="of the channels, before that time",
                ),
                array(
                    "demand_source",
                    "BT20.4",
                    [
                        u8(
                            "id",
                            "Demand Sources",
                            at="11 + 2 * BT60.11[0]",
                            vci=H,
                            doc="printed at 43, which is for 16 channels",
                        )
                    ],
                    "Demand Sources",
                    printed="ARRAY[BT20.4] of UINT8",
                    doc="before that time; as many as the meter could have, 8 in the printed offsets",
                ),
                u8(
                    "demand_sub_interval",
                    "Demand Sub Interval",
                    at="11 + 2 * BT60.11[0] + BT20.4",
                    vci=H,
                    unit="min",
                    doc="before that time; printed at 51; unit as in ET42.19",
                ),
                u8(
                    "demand_multiplier",
                    "Demand Interval Multiplier",
                    at="12 + 2 * BT60.11[0] + BT20.4",
                    vci=H,
                    doc="before that time: sub-intervals in a demand interval; printed at 52",
                ),
                array(
                    "display",
                    "BT60.11[0]",
                    [
                        char(
                            "id_code",
                            "4 + gen4",
                            "ID Code",
                            at="13 + 2 * BT60.11[0] + BT20.4",
                            vci=H,
                            printed="ARRAY[4 + X] of UINT8",
                            page=180,
                            doc="the channel's ID on the display, from the left; printed at 53",
                        ),
                        u8(
                            "id_points",
                            "ID DP State",
                            at="17 + gen4 + 2 * BT60.11[0] + BT20.4",
                            vci=H,
                            doc="a bit for each decimal point of the ID, bit 0 the rightmost, 1 = on; printed at 57 and 58",
                        ),
                        bits(
                            "format",
                            1,
                            [
                                part("digits_after", 0, 2, "Fields After DP", vci=H, doc="0 to 3"),
                                part(
                                    "digits_before",
                                    3,
                                    6,
                                    "Fields Before DP",
                                    vci=H,
                                    doc="1 to 8, and at most 8 with those behind the point",
                                ),
                                flag(
                                    "zero_suppression",
                                    7,
                                    "Zero Suppression",
                                    vci=H,
                                    enum={0: "leading zeros shown", 1: "leading zeros hidden"},
                                ),
                            ],
                            "Data Format",
                            at="18 + gen4 + 2 * BT60.11[0] + BT20.4",
                            doc="printed at 58 and 59",
                        ),
                    ],
                    "LP Display Config",
                    printed="ARRAY[BT60.11]",
                    doc="how the display showed each channel before that time: a copy of ET62's code words; 6 bytes each, 7 "
                    "from firmware 4.0 on",
                ),
                rest("entry_size", "(7 + 2 * BT60.11[0] + BT20.4 + (6 + gen4) * BT60.11[0])"),
            ],
            "Log Entries",
            printed="ARRAY",
            stride="entry_size",
            page=179,
            doc="their number is ET36.92 and their size ET36.88: 143 bytes, 159 from firmware 4.0 on, with 16 channels and 8 "
            "demands",
        ),
    ],
    optical_read="MK, PK, RK",
    since="3.60",
    since_cpm="1.30",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    # ET75 is record 5 of ET36: 7 + 17 * 5 = 92, 3 + 17 * 5 = 88.
    variables={"entries": "ET36.7[5]", "entry_size": "ET36.3[5]"},
    doc="for meters under Welmec 11.2 (ET54.71.0): with no room left here, changes to channels, EP52 and writes to ET62 are "
    "refused; read straight from NVM (appendix C)",
)
