"""ET81: when the power was out."""

from .._model import LOCAL, F, M, array, bits, flag, ltime_date, rest, table, u8, u16

ET81 = table(
    "ET81",
    "Power Outage Log",
    "MEP guide, ET81, p. 185; Optical guide, table A.1, p. 62",
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
                ),
                flag("overflow", 1, "Overflow", vci=M, doc="old entries were overwritten"),
                flag(
                    "list_type",
                    2,
                    "List Type",
                    vci=F,
                    default="TRUE",
                    enum={0: "no entries configured", 1: "circular"},
                ),
                flag("inhibit_overflow", 3, "Inhibit Overflow", vci=F, default="FALSE", doc="new entries always enter"),
            ],
            at="0",
            page=185,
        ),
        u8("valid_entries", "Number of Valid Entries", at="1", vci=M, doc="that hold data", page=186),
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
                ltime_date("start", "Start Timestamp", at="6", vci=M, clock=LOCAL, doc="when the power went"),
                ltime_date(
                    "end",
                    "End Timestamp",
                    at="12",
                    vci=M,
                    clock=LOCAL,
                    doc="how an outage that lasts looks is not said",
                ),
                rest("entry_size", 12),
            ],
            "Log Entries",
            printed="ARRAY",
            stride="entry_size",
            doc="configured entries, ET36.109, none by default; size is ET36.105, 12",
        ),
    ],
    optical_read="MK, PK, RK",
    since="3.70",
    since_cpm="1.20",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    # ET81 is record 6 of ET36: 7 + 17 * 6 = 109, 3 + 17 * 6 = 105.
    variables={"entries": "ET36.7[6]", "entry_size": "ET36.3[6]"},
    doc="times of BT55's clock; the columns VCI and Value of the guide are swapped; read straight from NVM (appendix C)",
)
