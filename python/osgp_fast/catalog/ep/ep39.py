"""EP39: give the meter what a MEP client has read, or clear an alert."""

from .._model import octets, procedure

EP39 = procedure(
    "EP39",
    "Post MEP Data",
    "MEP guide, Access Levels, p. 13",
    [
        octets(
            "parameters",
            "size",
            doc="not described: a type, of which 12 (Clear Delta Data Alert) is the only number that is given; Scheduled "
            "Read Data with and without alarms, and Clear M-Bus Alert, are named (pp. 18, 34, 35)",
        )
    ],
    call="MBK, MAK",
    doc="refused while ET50.30.0 is 0 (p. 36); BT00.9 does not limit it inside a transaction of ET52 (p. 51); results and "
    "response are not described; not in Table C.2, the keys are those of p. 13",
)
