"""BT74 and its twin ET79: the event logs, which C12.19 calls history logs."""

from .._model import F, Field, M, array, bits, flag, ltime_date, octets, part, table, u16, u32


def log(entries: str) -> tuple[Field, ...]:
    """The layout that BT74 (primary) and ET79 (alternate) share; only the number of entries stands elsewhere."""
    return (
        bits(
            "flags",
            1,
            [
                part("order", 0, 0, "Order", vci=F, enum={0: "ascending"}),
                flag("overflow", 1, "Overflow", vci=M),
                part("list_type", 2, 2, "List Type", vci=F, enum={0: "FIFO", 1: "circular"}),
                flag("inhibit_overflow", 3, "Inhibit Overflow", vci=F),
            ],
            at="0",
        ),
        u16("valid_entries", "Number of Valid Entries", at="1", vci=M),
        u16("last_entry", "Last Entry Element", at="3", vci=M),
        u32("last_sequence", "Last Entry Sequence Number", at="5", vci=M),
        u16("unread_entries", "Number of Unread Entries", at="9", vci="M/H"),
        array(
            "entry",
            entries,
            [
                ltime_date("time", "Time", at="11", vci=M, when="log_date_time", doc="UTC"),
                u16(
                    "event_number",
                    "Event Number",
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
                ),
                bits("code", 2, [part("event", 0, 11, "Event", vci=M)], at="21", doc="bits 12..15 are filler"),
                octets("argument", "log_argument", "Argument", at="23", vci=M),
            ],
            "History Record Array",
            index="e",
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
    log("log_entries"),
    variables=LOG_VARIABLES,
    fixed=LOG_FIXED,
)
