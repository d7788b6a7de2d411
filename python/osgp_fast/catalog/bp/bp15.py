"""BP15: forget what a pending table waits for."""

from .._model import ped, procedure

BP15 = procedure(
    "BP15",
    "Clear Specific Pending Tables",
    "Optical guide, Pending Table Status and Pending Table Procedures, p. 12",
    [
        ped(
            "pending_event",
            "PED",
            at="3",
            printed="",
            page=12,
            doc="of the tables to clear, compared with theirs: a byte of event code and flags, then five of event storage, "
            "as the records of BT04 begin",
        )
    ],
    call="None",
    optical_write="MK, PK",
    results={1: "no pending table with this PED", 3: "internal conflict"},
    doc="clears the pending state, the data of the table stay; the Optical guide lost its heading, name and number are those "
    "of procedure 15 of C12.19-1997; the MEP guide does not name it; no response data",
)
