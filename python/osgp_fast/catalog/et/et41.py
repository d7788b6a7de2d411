"""ET41: the register snapshots of the last demand resets; BT25 holds a copy of the newest."""

from .._model import LOCAL, F, M, array, bits, flag, octets, stime_date, table, u8, u16

ET41 = table(
    "ET41",
    "Historical Demand Reset Log",
    "MEP guide, ET41, p. 110",
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
                    "List type",
                    vci=F,
                    default="TRUE",
                    enum={1: "circular"},
                    doc="may be clear while no entries are configured, as in the other logs",
                ),
                flag("inhibit_overflow", 3, "Inhibit overflow", vci=F, default="FALSE", doc="new entries always enter"),
            ],
            at="0",
            page=110,
        ),
        u8(
            "valid_entries", "Number of valid entries", at="1", vci=M, doc="at most as many as are configured (ET36.58)"
        ),
        u8(
            "last_entry",
            "Last entry element",
            at="2",
            vci=F,
            default="0",
            doc="element of the newest entry, from 0; printed as fixed, which an index cannot be: take it as the meter's",
        ),
        u16("last_sequence", "Last entry sequence number", at="3", vci=M, doc="of the newest entry; never reset"),
        u8(
            "unread_entries",
            "Number of unread entries",
            at="5",
            vci="M/H",
            doc="the meter raises it, the host lowers it by a procedure",
        ),
        array(
            "entry",
            "entries",
            [
                u16(
                    "length",
                    "Length",
                    at="6",
                    vci=M,
                    unit="byte",
                    page=111,
                    doc="bytes that mean something behind this field; less than the size of an entry",
                ),
                u8(
                    "reason",
                    "Reset reason",
                    at="8",
                    vci=M,
                    enum={0: "schedule", 1: "procedure", 2: "push button", 3: "pending table"},
                    doc="what reset demand; the procedures are EP33 and EP34, by their old names MP33 and MP34",
                ),
                u16(
                    "bidn",
                    "BIDN",
                    at="9",
                    vci=M,
                    doc="which billing configuration (ET42.8) the entry belongs to; always here, unlike in ET31 and BT26",
                ),
                stime_date(
                    "time",
                    "Time and date",
                    at="11",
                    vci=M,
                    clock=LOCAL,
                    doc="when demand was reset, by the clock of BT55",
                ),
                u8("season", "Season", at="16", vci=M, doc="in force then"),
                octets(
                    "registers",
                    "(entry_size > 12) * (entry_size - 12)",
                    "Demand Reset Data",
                    at="17",
                    printed="BT23",
                    doc="in the layout of BT23; the entry may be longer than they are",
                ),
            ],
            "Demand Reset Entries",
            printed="ARRAY[ET36.CurrentEntries]",
            stride="entry_size",
            doc="a ring; their number is ET36.58 and their size ET36.54, both set by EP32",
        ),
    ],
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    # ET41 is record 3 of ET36: 7 + 17 * 3 = 58, 3 + 17 * 3 = 54.
    variables={"entries": "ET36.7[3]", "entry_size": "ET36.3[3]"},
    doc="no entries until demand is configured; read straight from NVM (appendix C)",
)
