"""The Pending Event Description: the six bytes before the data of a pending table, and in the records of BT04."""

from ._model import Field, H, bits, flag, octets, part

_CODES = {0: "absolute time", 1: "relative time", 2: "no meaning, not activated by itself"}


def pending_event(at: str = "0", storage_at: str = "1", vci: str = H) -> tuple[Field, ...]:
    """The bits of a PED: when a pending table is activated, and what the meter does before. Six bytes.

    ``at`` and ``storage_at`` are the printed offsets of its two parts.
    Source: Optical guide pp. 10-11, "Pending Event Description Format".
    """
    return (
        bits(
            "event",
            1,
            [
                part(
                    "code",
                    0,
                    3,
                    "Event Code",
                    enum=_CODES,
                    doc="what activates the table; with code 2 only the procedures BP12 and BP13 do",
                    vci=vci,
                ),
                flag(
                    "self_read",
                    4,
                    "Self Read Flag",
                    printed="BOOL (4)",
                    doc="a self-read is made before the activation",
                    vci=vci,
                ),
                flag(
                    "demand_reset",
                    5,
                    "Demand Reset Flag",
                    printed="BOOL (5)",
                    doc="a demand reset is made before the activation",
                    vci=vci,
                ),
            ],
            at=at,
            printed="",
            doc="bits 6 and 7 are not described",
        ),
        octets(
            "storage",
            5,
            "Event Storage",
            at=storage_at,
            printed="ARRAY[5] OF CHAR",
            doc="code 0: an STIME_DATE in UTC, all zero where the PED is empty; code 1: weeks, days, hours, minutes and "
            "seconds from the moment at which the meter received the write, a byte each; code 2: opaque",
            vci=vci,
        ),
    )
