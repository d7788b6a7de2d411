"""ET31: the one-time reads, snapshots of the registers taken on request."""

from .._model import LOCAL, F, M, array, bits, flag, octets, stime_date, table, u8, u16

_HEAD = "(6 + 2 * bidn_present)"

ET31 = table(
    "ET31",
    "Meter One-time-read Log",
    "MEP guide, ET31, p. 104; Optical guide, table A.1, p. 61",
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
                    page=104,
                ),
                flag("overflow", 1, "Overflow", vci=M, doc="old entries were overwritten", page=105),
                flag(
                    "list_type",
                    2,
                    "List type",
                    vci=F,
                    default="TRUE",
                    enum={0: "no entries configured", 1: "circular"},
                ),
                flag("inhibit_overflow", 3, "Inhibit overflow", vci=F, default="FALSE", doc="new entries always enter"),
            ],
            at="0",
        ),
        u8("valid_entries", "Number of valid entries", at="1", vci=M, doc="that hold data"),
        u8("last_entry", "Last entry element", at="2", vci=M, doc="element of the newest entry, from 0"),
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
                    "bidn",
                    "Blg Iface Def Nbr (BIDN)",
                    at="6",
                    vci=M,
                    when="bidn_present",
                    doc="which billing configuration (ET42.8) the entry belongs to; with demand only",
                ),
                stime_date(
                    "time",
                    "Time and date",
                    at="6 + 2 * bidn_present",
                    vci=M,
                    clock=LOCAL,
                    doc="when it was taken, by the clock of BT55",
                ),
                u8("season", "Season", at="11 + 2 * bidn_present", vci=M, doc="in force then"),
                octets(
                    "registers",
                    f"(entry_size > {_HEAD}) * (entry_size - {_HEAD})",
                    "RegisterDataRcd",
                    at="12 + 2 * bidn_present",
                    printed="BT23",
                    doc="in the layout of BT23; the entry may be longer than they are",
                ),
            ],
            "One-time Read Entries",
            stride="entry_size",
            doc="a ring; printed with BT21.2 entries, copied from BT26: ET36 counts them (7) and gives their size (3)",
        ),
    ],
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    # ET31 is record 0 of ET36. BT20 stands in where BT21 is missing (Optical guide p. 53).
    variables={"entries": "ET36.7[0]", "entry_size": "ET36.3[0]", "bidn_present": "BT21.4 != 0"},
    doc="its texts speak of self-reads, copied from BT26; read straight from NVM (appendix C)",
)
