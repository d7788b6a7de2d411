"""BT00: how the meter writes its tables, and which tables it has."""

from .._model import F, P, array, bits, char, octets, part, table, u8

BT00 = table(
    "BT00",
    "General Configuration",
    "Optical guide, BT00, p. 48; MEP guide, BT00, p. 196",
    [
        bits(
            "format_control_1",
            1,
            [
                part("data_order", 0, 0, "Data Order", vci=P, enum={0: "little endian", 1: "big endian"}),
                part(
                    "character_format",
                    1,
                    3,
                    "Character Format",
                    vci=P,
                    enum={0: "unassigned", 1: "ISO/IEC 646 (ASCII)", 2: "ISO 8859-1 (Latin-1)"},
                ),
            ],
            at="0",
        ),
        bits(
            "format_control_2",
            1,
            [
                part("time_format", 0, 2, "Time Format", vci=F, enum={2: "UINT8 fields"}),
                part("data_access_method", 3, 4, "Data Access Method", vci=F, enum={1: "offset-count"}),
                part("identification_format", 5, 5, "Identification Format", vci=P, enum={0: "CHAR", 1: "BCD"}),
                part("integer_format", 6, 7, "Integer Format", vci=F, enum={0: "two's complement"}),
            ],
            at="1",
        ),
        bits(
            "format_control_3",
            1,
            [
                part("non_integer_format_1", 0, 3, "Non-integer Format 1", vci=P, enum={8: "INT32"}),
                part("non_integer_format_2", 4, 7, "Non-integer Format 2", vci=P, enum={8: "INT32"}),
            ],
            at="2",
        ),
        char("manufacturer", 4, "Manufacturer", at="3", vci=P),
        u8("nameplate_type", "Nameplate Type", at="7", vci=F, enum={2: "electric"}),
        u8("default_set_used", "Default Set Used", at="8", vci=F),
        u8("procedure_parameter_length", "Procedure Parameter Length", at="9", vci=P, unit="byte"),
        u8("response_data_length", "Response Data Length", at="10", vci=P, unit="byte"),
        u8("standard_version", "Standard Version", at="11", vci=F),
        u8("standard_revision", "Standard Revision", at="12", vci=P),
        u8("dim_basic_tables_used", "Dim Basic Tables Used", at="13", vci=P, unit="byte"),
        u8("dim_extended_tables_used", "Dim Extended Tables Used", at="14", vci=P, unit="byte"),
        u8("dim_basic_procedures_used", "Dim Basic Procedures Used", at="15", vci=P, unit="byte"),
        u8("dim_extended_procedures_used", "Dim Extended Procedures Used", at="16", vci=P, unit="byte"),
        u8("manufacturer_status_length", "Manufacturer Status Length", at="17", vci=P, unit="byte"),
        u8("pending_tables", "Number of Pending Tables", at="18", vci=P),
        array(
            "rest",
            "(size > 19) * (size - 19)",
            [octets("byte", 1)],
            "remaining fields, reserved for internal use",
            doc="C12.19-1997 continues with the sets of tables and procedures used; the guides do not describe them.",
        ),
    ],
    read="Open",
)
