"""BT04: which pending tables wait, and for what."""

from .._model import UTC, M, array, bits, flag, part, set_, stime_date, table, u8
from .._ped import pending_event

_RECORDS = "BT00.13 + BT00.14 + 6"

BT04 = table(
    "BT04",
    "Pending Status",
    "Optical guide, BT04, p. 10; MEP guide, Appendix C, p. 259",
    [
        set_(
            "basic_pending",
            "BT00.13",
            "Basic Pending",
            at="0",
            vci=M,
            page=11,
            printed="ARRAY[BT00.13] OF BOOL",
            doc="bit n: BTn has a pending table; BT00.13 counts bytes, so eight tables a byte, though printed as BOOLs",
        ),
        set_(
            "extended_pending",
            "BT00.14",
            "Extended Pending",
            at="BT00.13",
            vci=M,
            printed="ARRAY[BT00.14] OF BOOL",
            doc="bit n: ETn has a pending table; BT00.14 counts bytes",
        ),
        stime_date(
            "last_activation_time",
            "Last Activation Time",
            at="BT00.13 + BT00.14",
            vci=M,
            clock=UTC,
            doc="of any pending table; the clock is not stated for this row, UTC is that of the times in the records",
        ),
        u8(
            "pending_activations",
            "Number of Pending Activations",
            at="BT00.13 + BT00.14 + 5",
            vci=M,
            doc="how many records are in use; which ones is not stated",
        ),
        array(
            "activation",
            "BT00.18",
            [
                *pending_event(_RECORDS, "BT00.13 + BT00.14 + 7", M),
                bits(
                    "table",
                    2,
                    [
                        part(
                            "id",
                            0,
                            11,
                            "Table ID",
                            vci=M,
                            doc="the table that the activation writes: number without the 4096 of a pending table, "
                            "so 2048 + n for ETn",
                        ),
                        flag(
                            "still_pending",
                            12,
                            "Still Pending",
                            vci=M,
                            printed="UINT(12)",
                            doc="tells a waiting record from one that is done or unused",
                        ),
                    ],
                    "Table",
                    at="BT00.13 + BT00.14 + 12",
                    printed="",
                    doc="bits 13..15 are not described",
                ),
            ],
            "Pending Activations",
            vci=M,
            printed="ARRAY[BT00.18] OF 8-byte records",
            doc="always BT00.18 records, used or not",
        ),
    ],
    optical_read="MK, PK",
    optical_write="None",
    doc="the optical keys are those of the table's own lines; the general rule of p. 13 would let RK read it too",
)
