"""ET45 and ET74: the logs of scheduled billing reads of M-Bus devices and MEP clients."""

from .._model import F, Field, M, array, bits, flag, octets, part, table, u8, u16


def header(number: object, page: int) -> tuple[Field, ...]:
    """The head of either log; ``number`` makes its counts: UINT8 in ET45, UINT16 in ET74."""
    wide = number is u16
    at = ("1", "3", "5", "7") if wide else ("1", "2", "3", "5")
    make = u16 if wide else u8
    return (
        bits(
            "flags",
            1,
            [
                part("order", 0, 0, "Order", vci=F, printed="BOOL(0)", enum={0: "ascending"}, doc="0: N before N + 1"),
                flag("overflow", 1, "Overflow", vci=M, doc="older entries were overwritten"),
                part(
                    "list_type",
                    2,
                    2,
                    "List Type",
                    vci=F,
                    printed="BOOL(2)",
                    enum={0: "no entries", 1: "circular"},
                    doc="0 where the log has room for no entry",
                ),
                flag("inhibit_overflow", 3, "Inhibit Overflow", vci=F),
                part("filler", 4, 7, "Filler", printed="FILL(4..7)"),
            ],
            at="0",
            page=page,
        ),
        make("valid_entries", "Number of Valid Entries", at=at[0], vci=M, page=page + 1),
        make(
            "last_entry",
            "Last Entry Element",
            at=at[1],
            vci=M,
            doc="index of the newest entry; its printed VCI F and value 0 cannot be",
        ),
        u16(
            "last_sequence",
            "Last Entry Sequence Number",
            at=at[2],
            vci=M,
            doc="of the newest entry; never reset",
        ),
        make(
            "unread_entries",
            "Number of Unread Entries",
            at=at[3],
            vci="M/H",
            doc="not moved to ET45 yet" if wide else "counted down by the utility's reader, of no meaning to others",
        ),
    )


def entries(start: int, namespace: bool) -> Field:
    """The entries of either log, from ``start`` on."""
    word = (
        bits(
            "identifier",
            2,
            [
                part("id", 0, 10, "Identifier", printed="BOOL(0..10)", vci=M, doc="its meaning is the namespace's"),
                part(
                    "namespace",
                    11,
                    15,
                    "Namespace",
                    printed="BOOL(11..15)",
                    vci=M,
                    enum={0: "manufacturer specific", 1: "DLMS", 2: "OSGP"},
                ),
            ],
            at=str(start + 2),
        )
        if namespace
        else u16(
            "filler",
            "Filler",
            at=str(start + 2),
            vci=M,
            doc="reserved; entries move to ET45 as they are, which has identifier and namespace here",
        )
    )
    return array(
        "entry",
        "log_entries",
        [
            u16(
                "length",
                "Length",
                at=str(start),
                vci=M,
                unit="byte",
                doc="bytes in use behind this field, by our reading from the identifier on, so that the read has 6 less; the "
                "text counts from the handle on",
            ),
            word,
            u16(
                "handle",
                "Handle",
                at=str(start + 4),
                vci=M,
                doc="of the device, as in ET14: 1..999 M-Bus, from 1000 on MEP clients",
            ),
            u8(
                "execution_status",
                "Execution Status",
                at=str(start + 6),
                vci=M,
                enum={0: "normal", 2: "delayed: backfill after power-up"},
            ),
            u8("result", "Result", at=str(start + 7), vci=M, enum={4: "success"}),
            octets(
                "read",
                "(log_entry_size > 8) * (log_entry_size - 8)",
                "Data",
                at=str(start + 8),
                vci=M,
                printed="MBR",
                doc="an element of ET16: of an M-Bus device or of a MEP client, as the handle says",
            ),
        ],
        "Log Entries",
        stride="log_entry_size",
    )


#: ET45 is the fifth log of ET36 (MEP guide p. 28); the decoder looks for its number, and ET42 stands in for ET36.
ENTRY_SIZE = "ET36.3[4]"

ET45 = table(
    "ET45",
    "MEP Recurring Read Log",
    "MEP guide, ET45, p. 119; Optical guide, Table A.1, p. 61",
    [*header(u8, 119), entries(6, namespace=True)],
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    nvm=True,
    variables={"log_entries": "ET36.7[4]", "log_entry_size": ENTRY_SIZE},
    doc="scheduled reads; called M-Bus Recurring Log in ET42",
)
