"""ET36: entry sizes and numbers of entries of the logs that can be changed in size."""

from .._model import F, M, P, array, bits, flag, octets, part, table, u8, u16

ET36 = table(
    "ET36",
    "Manufacturer (Extended) Table Actual Dimensions",
    "MEP guide, ET36, p. 107; Optical guide, Table A.1, p. 61",
    [
        u8(
            "count",
            "Count",
            at="0",
            vci=P,
            default="7",
            page=108,
            doc="logs in the list; older firmware has fewer, new ones come at its end",
        ),
        array(
            "log",
            "ET36.0",
            [
                bits(
                    "table",
                    2,
                    [
                        part("number", 0, 10, "Tbl_Proc_Nbr", vci=F, doc="of the table"),
                        part(
                            "extended",
                            11,
                            11,
                            "Std_vs_MfgFlag",
                            vci=F,
                            printed="BOOL(11)",
                            enum={0: "basic table", 1: "extended table"},
                        ),
                        flag("procedure", 12, "Procedure Flag", vci=F, doc="never set"),
                        part("flags", 13, 15, "Flags", vci=F, doc="reserved"),
                    ],
                    "Table",
                    at="1",
                    vci=F,
                    printed="TABLE_IDC",
                    doc="which log: with bit 11, the number of an extended table is 2048 more, as on the wire",
                ),
                u16(
                    "entry_size",
                    "Entry Size",
                    at="3",
                    vci=P,
                    unit="byte",
                    default="ET31: 232; ET32, ET45: 525; ET38: 35; ET75: 143; ET81: 12",
                    doc="of an entry, with its length where it has one, without the list's header; VCI P of ET38, M of the "
                    "others; ET31's is 226 and 6 bytes of header; ET75's is 159 on firmware 4.0 and later",
                ),
                u16(
                    "max_entries",
                    "Max Entries",
                    at="5",
                    vci=P,
                    default="ET31, ET32, ET38, ET41: 255; ET45, ET75, ET81: 253",
                    page=109,
                ),
                u16(
                    "current_entries",
                    "Current Entries",
                    at="7",
                    vci=M,
                    default="ET31: 2; ET32: 8; ET38: 10; ET41, ET45, ET75, ET81: 0",
                    doc="entries that the log has room for, filled or not; set by EP06, EP37 or EP32",
                ),
                bits(
                    "flags",
                    1,
                    [
                        flag(
                            "length_included",
                            0,
                            "Length Included",
                            vci=P,
                            doc="every entry begins with 2 bytes that count its meaningful bytes",
                        ),
                        part("unused", 1, 7, "Unused", vci=M),
                    ],
                    "Flags",
                    at="9",
                    printed="UINT8",
                ),
                octets("spare", 8, "Spare", at="10"),
            ],
            "Actual Dimension List",
            printed="ARRAY[Count] of 17-byte records",
            doc="ET45 is the fifth record by p. 28; safer is to look for its number",
        ),
        octets(
            "unread",
            "(ET36.0 - 1) // 8 + 1",
            "Unread Entries Bitmap",
            at="1 + 17 * ET36.0",
            printed="ARRAY[(Count - 1 / 8) + 1] of UINT8",
            doc="a bit per log of the list, the first in bit 0: it has unread entries; the printed offset takes records for "
            "10 bytes, and the printed size means (Count - 1) / 8",
        ),
    ],
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    nvm=True,
    doc="changed by EP06, EP37 or EP32; logs with a standard header whose unread entries EP26 counts down",
)
