"""BT74 and its twin ET79: the event logs, which C12.19 calls history logs."""

from .._model import UTC, F, Field, M, array, bits, flag, ltime_date, octets, part, table, u16, u32


def log(entries: str, pages: tuple[int, int, int, int]) -> tuple[Field, ...]:
    """The layout that BT74 (primary) and ET79 (alternate) share; only the number of entries stands elsewhere.

    ``pages`` of the MEP guide: of the order, the list type, the inhibit flag and the user ID, and what follows each.
    """
    order, list_type, inhibit, user = pages
    return (
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
                    default="0",
                    enum={0: "ascending"},
                    doc="entry n is older than n + 1, but for the ring's seam",
                ),
                flag("overflow", 1, "Overflow", vci=M, doc="an unread entry was overwritten; cleared by BP04 and BP05"),
                part(
                    "list_type",
                    2,
                    2,
                    "List Type",
                    vci=F,
                    default="1",
                    enum={0: "FIFO", 1: "circular"},
                    page=list_type,
                    doc="FIFO where the log has no entries",
                ),
                flag(
                    "inhibit_overflow",
                    3,
                    "Inhibit Overflow",
                    vci=F,
                    default="FALSE",
                    page=inhibit,
                    doc="the log stops when it is full; it never does",
                ),
            ],
            at="0",
            page=order,
        ),
        u16("valid_entries", "Number of Valid Entries", at="1", vci=M, doc="0 to the number of entries"),
        u16(
            "last_entry",
            "Last Entry Element",
            at="3",
            vci=M,
            doc="element of the newest entry, from 0 to the number of entries - 1 (the guides print it without the - 1)",
        ),
        u32(
            "last_sequence",
            "Last Entry Sequence Number",
            at="5",
            vci=M,
            doc="of the newest entry; BT74 and ET79 share the numbers, so each has gaps. Never reset from firmware 3.70 and CPM "
            "1.20 on, with the log before",
        ),
        u16(
            "unread_entries",
            "Number of Unread Entries",
            at="9",
            vci="M/H",
            doc="not read by the head-end; an optical reader leaves it alone",
        ),
        array(
            "entry",
            entries,
            [
                ltime_date("time", "Time", at="11", vci=M, when="log_date_time", clock=UTC, doc="UTC"),
                u16(
                    "event_number",
                    "Event Number",
                    printed="",
                    when="log_event_number",
                    doc="not in the guides' tables, whose flag BT71.0.0 is FALSE; its place is C12.19-1997's",
                ),
                u16(
                    "sequence", "Sequence Number", at="17", vci=M, when="log_sequence", doc="low 16 bits of the number"
                ),
                u16(
                    "user_id",
                    "User ID",
                    at="19",
                    vci=M,
                    enum={0xFFFF: "nobody logged in", 0xFFFE: "PLC, P2P or G3 message", 0xFFFD: "MEP client"},
                    page=user,
                    doc="who was logged in on the optical port, or what was at work, when it happened",
                ),
                bits(
                    "code",
                    2,
                    [
                        part(
                            "event",
                            0,
                            11,
                            "Event",
                            vci=M,
                            doc="what happened; bit 11 set: manufacturer event (C12.19; the guides list no events)",
                        )
                    ],
                    at="21",
                    doc="bits 12..15 are filler",
                ),
                octets(
                    "argument",
                    "log_argument",
                    "Argument",
                    at="23",
                    vci=M,
                    printed="ARRAY[BT71.3] OF UINT8",
                    doc="depends on the event",
                ),
            ],
            "History Record Array",
            printed="ARRAY[BT71.5] of (12+BT71.3)-byte records",
            page=inhibit,
            index="e",
            doc="a ring",
        ),
    )


# BT71 came with firmware 2.12; BT70, of the same layout, stands in for it before (Optical guide p. 49). The decoder
# fills these from whichever of the two was read.
LOG_VARIABLES = {
    "log_date_time": "BT71.0.1",
    "log_event_number": "BT71.0.0",
    "log_sequence": "BT71.0.2",
    "log_argument": "BT71.3",
    "log_entries": "BT71.5",
}

# BT71.0 is printed as fixed: time and sequence number are there, the event number is not (Optical guide p. 51).
LOG_FIXED = {"log_date_time": 1, "log_event_number": 0, "log_sequence": 1}

BT74 = table(
    "BT74",
    "History Log Data (Primary Event Log)",
    "MEP guide, BT74, p. 241; Optical guide, BT74, p. 51",
    log("log_entries", (241, 241, 242, 243)),
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    nvm=True,
    variables=LOG_VARIABLES,
    fixed=LOG_FIXED,
    doc="times are UTC, those of BT26 are local; read straight from NVM (appendix C)",
)
