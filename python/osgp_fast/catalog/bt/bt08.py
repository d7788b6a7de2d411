"""BT08 and its twins ET59 and ET85: the answer of the last procedure."""

from .._model import Field, M, bits, octets, part, table, u8

#: Result codes of C12.19; a procedure may have more of its own, and its own meaning of these.
RESULTS = {
    0: "completed",
    1: "accepted, not fully completed",
    2: "invalid parameter, ignored",
    3: "conflicts with the device setup, ignored",
    4: "timing constraint, ignored",
    5: "no authorization, ignored",
    6: "unrecognized procedure, ignored",
}


def procedure_response(sequence: str, page: int) -> tuple[Field, ...]:
    """The layout that BT08, ET59 and ET85 share; ``sequence`` is the printed name of the sequence number."""
    return (
        bits(
            "procedure",
            2,
            [
                part(
                    "number",
                    0,
                    11,
                    "Procedure Number",
                    vci=M,
                    doc="procedure last executed: BPn = n, EPn = 2048 + n",
                )
            ],
            at="0",
            printed="",
            page=page,
            doc="bits 12..15 are filler",
        ),
        u8(
            "sequence_number",
            sequence,
            at="2",
            vci=M,
            doc="from the write to BT07; compare it and the number, since the answer may still be that of another user's "
            "procedure",
        ),
        u8(
            "result_code",
            "Result Code",
            at="3",
            vci=M,
            enum=RESULTS,
            doc="procedures have codes of their own beside these; 1 may be the final result: poll only where the "
            "procedure says so",
        ),
        octets(
            "response",
            "(size > 4) * (size - 4)",
            printed="",
            doc="as the procedure says: what it prints at offset 4 starts here; at most BT00.10 bytes",
        ),
    )


BT08 = table(
    "BT08",
    "Procedure Response",
    "MEP guide, Procedure Header Fields, p. 52; MEP guide, Appendix C, p. 259",
    procedure_response("Procedure Sequence number (PSN)", 52),
    doc="used by optical clients, and by MEP client 1 while ET50.30.1 is 0; a response may take up to a second",
)
