"""BT70, BT71: the dimensions of the event log, the largest and the configured."""

from .._model import F, Field, M, P, bits, flag, table, u8, u16


def _log(*, largest: bool) -> tuple[Field, ...]:
    """The layout that BT70 (``largest``) and BT71 (as configured) share."""
    events = "Events" if largest else "Event Bytes"
    return (
        bits(
            "flags",
            1,
            [
                flag(
                    "event_number",
                    0,
                    "Event Number",
                    vci=F,
                    default="FALSE",
                    doc="an event that is in both logs has one number there",
                ),
                flag("date_time", 1, "History Date/time", vci=F, default="TRUE", doc="entries have a time"),
                flag(
                    "sequence_number",
                    2,
                    "History Sequence Number",
                    vci=F,
                    default="TRUE",
                    doc="entries have a sequence number",
                ),
                flag(
                    "history_inhibit_overflow",
                    3,
                    "History Inhibit Overflow",
                    vci=F,
                    default="FALSE",
                    doc="the history log stops when it is full",
                ),
                flag(
                    "event_inhibit_overflow",
                    4,
                    "Event Inhibit Overflow",
                    vci=F,
                    default="FALSE",
                    doc="the event log stops when it is full",
                ),
            ],
            at="0",
            page=50 if largest else 51,
        ),
        u8(
            "standard_event_bytes",
            f"Number of Standard {events}",
            at="1",
            vci=F,
            unit="byte",
            default="varies" if largest else "8",
            doc="of the set of standard events: a bit each, 64 at most",
        ),
        u8(
            "manufacturer_event_bytes",
            f"Number of Manufacturer {events}",
            at="2",
            vci=P if largest else F,
            unit="byte",
            default="varies" if largest else "19",
            doc="of the set of manufacturer events: a bit each, 152 at most",
        ),
        u8(
            "history_data_length",
            "History Data Length",
            at="3",
            vci=F,
            unit="byte",
            default="2",
            doc="of the argument of an entry of BT74 and ET79",
        ),
        u8(
            "event_data_length",
            "Event Data Length",
            at="4",
            vci=F,
            unit="byte",
            default="2",
            doc="of the argument in the event log, which has no entries",
        ),
        u16(
            "history_entries",
            "Number of History Entries",
            at="5",
            vci=P if largest else M,
            default="varies: 100 or 200 on most models" if largest else "100",
            doc="room in BT74" + ("" if largest else ", 0 to BT70.5; ET79 has its own count, ET54.80"),
        ),
        u16(
            "event_entries",
            "Number of Event Entries",
            at="7",
            vci=P if largest else F,
            default="0",
            doc="room in the event log of C12.19: none",
        ),
    )


BT70 = table(
    "BT70",
    "Dimension Log",
    "Optical guide, BT70, p. 50; MEP guide, appendix C, p. 260",
    _log(largest=True),
    optical_read="MK, PK, RK",
    doc="what the guides call event log is the history log of C12.19; read this table before firmware 2.12, BT71 after",
)
BT71 = table(
    "BT71",
    "Actual Log",
    "Optical guide, BT71, p. 50; MEP guide, appendix C, p. 260",
    _log(largest=False),
    optical_read="MK, PK, RK",
    since="2.12",
    nvm=True,
    doc="what the guides call event log is the history log of C12.19",
)
