"""BT26: the self-reads, a ring of copies of the registers."""

from .._model import LOCAL, F, M, array, bits, flag, part, stime_date, table, u8, u16
from .bt21 import REGISTER_VARIABLES
from .bt23 import registers

_BIDN = "2 * (BT21.4 != 0)"

BT26 = table(
    "BT26",
    "Self-Read Data",
    "MEP guide, BT26, p. 212; Optical guide, BT26, p. 28",
    [
        bits(
            "flags",
            1,
            [
                part(
                    "order",
                    0,
                    0,
                    "Order",
                    vci=F,
                    default="FALSE",
                    enum={0: "ascending: N is older than N + 1"},
                    page=213,
                ),
                flag("overflow", 1, "Overflow", vci=M, doc="old self-reads were overwritten"),
                part(
                    "list_type",
                    2,
                    2,
                    "List Type",
                    vci=F,
                    default="TRUE",
                    enum={0: "no room for entries", 1: "circular"},
                ),
                flag(
                    "inhibit_overflow", 3, "Inhibit Overflow", vci=F, default="FALSE", doc="a full list takes no more"
                ),
            ],
            at="0",
        ),
        u8("valid_entries", "Number of Valid Entries", at="1", vci=M, default="0..BT21.2"),
        u8(
            "last_entry",
            "Last Entry Element",
            at="2",
            vci=M,
            default="0..BT21.2",
            doc="element of the newest self-read, from 0: the largest is BT21.2 - 1, one less than printed",
        ),
        u16(
            "last_sequence",
            "Last Entry Sequence Number",
            at="3",
            vci=M,
            doc="number of the newest self-read; never reset",
        ),
        u8(
            "unread_entries",
            "Number of Unread Entries",
            at="5",
            vci="M/H",
            default="0..BT21.2",
            doc="kept by the head end; says nothing to other readers",
        ),
        array(
            "entry",
            "self_reads",
            [
                u16(
                    "bidn",
                    "Blg Iface Def Nbr (BIDN)",
                    at="6",
                    vci=M,
                    when="demands != 0",
                    page=214,
                    doc="Billing Interface Definition Number: which configuration the registers are of; only where demand "
                    "is configured",
                ),
                stime_date(
                    "time",
                    "Time and Date",
                    at=f"6 + {_BIDN}",
                    vci=M,
                    clock=LOCAL,
                    doc="when the registers were copied; printed as 8, which counts the BIDN in",
                ),
                u8("season", "Season", at=f"11 + {_BIDN}", vci=M, doc="the season of the copy; printed as 13"),
                *registers(f"12 + {_BIDN}"),
            ],
            "Self read entries",
        ),
    ],
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    variables={**REGISTER_VARIABLES, "self_reads": "BT21.2"},
    doc="self-reads are made on the dates of BT54, at the hour and minute of ET04",
)
