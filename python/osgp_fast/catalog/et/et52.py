"""ET52 and its twin ET53: several requests to the meter in one go, and their responses."""

from .._model import Field, H, array, octets, table, u8, u16

_CONTENT = (
    u16("length", "Length (Ln)", vci=H, unit="byte", doc="of the message; 0 is not valid"),
    octets(
        "message",
        "length",
        "Message",
        vci=H,
        doc="a request as it goes over the port, without sequence number and digest",
    ),
)
_RECORDS = (
    "records one after another, each a length (UINT16, least significant byte first, 0 is invalid and ends the "
    "transaction) and as many bytes of a message, whose own numbers are most significant byte first but for table data"
)


def transaction(id: str) -> tuple[Field, ...]:
    """The layout that ET52 (requests) and ET53 (responses) share."""
    return (
        u16(
            "transaction_size",
            "Transaction Size (B)",
            at="0",
            vci=H,
            unit="byte",
            page=130,
            doc="all bytes of the transaction, these two included",
        ),
        u8(
            "transaction_type",
            "Transaction Type",
            at="2",
            vci=H,
            page=131,
            enum={
                0: "requests",
                1: "responses",
                2: "partial responses",
                3: "group broadcast request",
                4: "group broadcast denied",
            },
            doc="0 and 3 in ET52, the others in ET53: 2 where not all fitted or a length was invalid, 4 where the server is "
            "of none of the groups; who knows no groups ignores 3",
        ),
        u16(
            "transaction_number",
            "Transaction Number",
            at="3",
            vci=H,
            doc="executed once the number at the end is written and equals this one; the one executed last, with the same "
            "data, is not executed again",
        ),
        u8(
            "group_id_count",
            "Group ID Count",
            at="5",
            vci=H,
            when=f"{id}.2 == 3",
            doc="with the list below only in type 3",
        ),
        array(
            "group",
            f"{id}.group_id_count",
            [
                u16(
                    "id",
                    "Group ID List",
                    at="6",
                    vci=H,
                    doc="group in the high byte, sub-group in the low one, FF for all of them; 0 is not valid",
                )
            ],
            "Group ID List",
            when=f"{id}.2 == 3",
            printed=f"ARRAY[{id}.5] of UINT16",
        ),
        octets(
            "records",
            f"{id}.0 - 7",
            "Record List",
            at="5",
            vci=H,
            printed="Array[variable length] of Records",
            when=f"{id}.2 != 3",
            content=_CONTENT,
            doc=_RECORDS,
        ),
        octets(
            "group_records",
            f"{id}.0 - 8 - 2 * {id}.group_id_count",
            "Record List",
            at=f"6 + 2 * {id}.5",
            vci=H,
            printed="Array[variable length] of Records",
            when=f"{id}.2 == 3",
            content=_CONTENT,
            doc="the records of a type 3 transaction, which start after the groups",
        ),
        u16(
            "transaction_number_repeated",
            "Transaction Number",
            at=f"{id}.0 - 2",
            vci=H,
            page=132,
            doc="the same number again; until both are equal the content is not whole",
        ),
    )


ET52 = table(
    "ET52",
    "MEP Transaction Request Table",
    "MEP guide, ET52, p. 130; Optical guide, Table A.1, p. 61",
    transaction("ET52"),
    write="MBK, MAK",
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    nvm=True,
    doc="its length is ET11.7: 896 from 3.50 (CPM 1.20) on; before that the guide says 769 here and 768 elsewhere, and its "
    "example reads 769; written from the first byte to the last, at most 456 bytes a write; a message may do what the "
    "key of the write may; no step may be one that must not happen twice; on firmware 4.0 and later both MEP ports "
    "share the table, and EP61 locks it; read from NVM too (Appendix C)",
)
