"""BT07: the table whose writing starts a procedure."""

from .._model import H, P, bits, octets, part, table, u8

BT07 = table(
    "BT07",
    "Procedure Initiate",
    "MEP guide, Procedure Header Fields, p. 52; MEP guide, Appendix C, p. 259",
    [
        bits(
            "procedure",
            2,
            [
                part(
                    "number",
                    0,
                    11,
                    "Procedure Number",
                    vci=H,
                    doc="BPn = n, EPn = 2048 + n; the printed range ends at 2065, which is EP17, but EP19 (2067) and "
                    "EP61 (2109) are of the same guide: take all 12 bits",
                ),
                part(
                    "response_handling",
                    12,
                    15,
                    "Response Handling",
                    vci=P,
                    default="0",
                    enum={0: "response posted on completion"},
                    doc="where it is posted: ET85 for MEP client 2, else ET59 or BT08 as ET50.30.1 says",
                ),
            ],
            at="0",
            printed="",
            page=52,
        ),
        u8(
            "sequence_number",
            "Procedure Sequence Number (PSN)",
            at="2",
            vci=H,
            doc="comes back with the response; MEP clients use 5..9, never the same twice in a row (the meter refuses the "
            "write with response code 4), and not 255 as the first after logon",
        ),
        octets(
            "parameters",
            "(size > 3) * (size - 3)",
            printed="",
            doc="as the procedure says: what it prints at offset 3 starts here; at most BT00.9 bytes, a limit that "
            "does not hold for a write inside a transaction of ET52",
        ),
    ],
    write="MBK, MAK",
    doc="called Procedure Initiation Table on p. 13; executing may take up to a second; firmware before 3.40 stands "
    "about 100 writes a day (p. 51)",
)
