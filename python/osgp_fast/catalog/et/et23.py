"""ET23: counters of power line messages, the state of the disconnect, the active calendar; mostly internal."""

from .._model import M, reserved, table, u8, u32

ET23 = table(
    "ET23",
    "Miscellaneous Information",
    "MEP guide, ET23, p. 98",
    [
        u32(
            "messages_received",
            "LonTalk Messages Received",
            at="0",
            vci=M,
            page=98,
            doc="explicit messages that were not validated; the rows stand under a heading Exception Log [0]",
        ),
        u32(
            "messages_validated",
            "LonTalk Messages Validated",
            at="4",
            vci=M,
            page=99,
            doc="explicit messages whose digest was right",
        ),
        reserved(86, at="8", doc="internal"),
        u8(
            "disconnect_state",
            "Disconnect Internal Status",
            at="94",
            vci=M,
            enum={0: "closed", 1: "closing", 2: "opened", 3: "opening"},
            doc="what the contactor was told to do, not what it is sensed to be; closing and opening last for the pulse; poll "
            "every few seconds; OSGP meters only",
        ),
        u32(
            "active_calendar_id",
            "Active Calendar ID",
            at="95",
            vci=M,
            doc="of the calendar in force: at power-up, every minute and after each write; never write it",
        ),
        reserved(
            "(size > 99) * (size - 99)",
            at="99",
            name="reserved_2",
            doc="internal: 87 bytes on 3.X and CPM (to 185), 119 from 4.0 on (to 217), which is all that the generations "
            "differ in",
        ),
    ],
    write="MAK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    doc="may be written with the MAK and should not be; appendix C calls it Miscellaneous Meter Information",
)
