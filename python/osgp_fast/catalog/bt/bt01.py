"""BT01: who made the meter, and its firmware."""

from .._model import H, M, bcd, char, table, u8, u16_be

BT01 = table(
    "BT01",
    "General Manufacturer Information",
    "Optical guide, BT01, p. 19; MEP guide, BT01, p. 199",
    [
        char("manufacturer", 4, "Manufacturer", at="0", vci=H),
        char("model", 8, "Model", at="4", vci=H),
        u8("hardware_version", "Hardware Version Number", at="12", vci=M, doc="kept as a number: its text is a copy"),
        u8("hardware_revision", "Hardware Revision Number", at="13", vci=M),
        u16_be(
            "firmware",
            "Main Firmware Version Number, Firmware Revision Number",
            at="14",
            vci=M,
            doc="bits 15..12 major, 11..5 minor, 4..0 build; the only multi-byte field with its high byte first",
        ),
        bcd("serial", 8, "Manufacturer Serial Number", at="16", vci=H, doc="16 characters where BT00.1.5 is 0"),
    ],
    read="Open",
)
