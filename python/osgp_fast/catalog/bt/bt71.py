"""BT70, BT71: the dimensions of the event log, the largest and the configured."""

from .._model import F, Field, M, P, bits, flag, table, u8, u16


def _log() -> tuple[Field, ...]:
    return (
        bits(
            "flags",
            1,
            [
                flag("event_number", 0, "Event Number", vci=F),
                flag("date_time", 1, "History Date/time", vci=F),
                flag("sequence_number", 2, "History Sequence Number", vci=F),
                flag("history_inhibit_overflow", 3, "History Inhibit Overflow", vci=F),
                flag("event_inhibit_overflow", 4, "Event Inhibit Overflow", vci=F),
            ],
            at="0",
        ),
        u8("standard_event_bytes", "Number of Standard Event Bytes", at="1", vci=F, unit="byte"),
        u8("manufacturer_event_bytes", "Number of Manufacturer Event Bytes", at="2", vci=P, unit="byte"),
        u8("history_data_length", "History Data Length", at="3", vci=F, unit="byte"),
        u8("event_data_length", "Event Data Length", at="4", vci=F, unit="byte"),
        u16("history_entries", "Number of History Entries", at="5", vci=M),
        u16("event_entries", "Number of Event Entries", at="7", vci=P),
    )


BT70 = table("BT70", "Dimension Log", "Optical guide, BT70, p. 50", _log())
BT71 = table("BT71", "Actual Log", "Optical guide, BT71, p. 51", _log())
