"""EP61: keep the other MEP client from the transaction tables."""

from .._model import H, procedure, u8

EP61 = procedure(
    "EP61",
    "MEP Transaction Lock Control",
    "MEP guide, EP61, p. 247",
    [u8("lock", "Lock", at="3", vci=H, page=247, enum={0: "unlock", 1: "lock"})],
    call="MBK, MAK",
    since="4.00",
    clients="OSGP meter",
    results={3: "locked by the other MEP client", 5: "not called by a MEP client"},
    doc="lock before ET52 is written, unlock after ET53 was read; the meter unlocks after 10 seconds by itself; only with "
    "both MEP ports enabled (ET54.0.8); no response data; ET54 tells who holds the lock and calls this EP62 (p. 138)",
)
