"""BT01: who made the meter, and its firmware."""

from .._model import H, M, bcd, char, table, u8, u16_be

BT01 = table(
    "BT01",
    "General Manufacturer Information",
    "Optical guide, BT01, p. 19; MEP guide, BT01, p. 198",
    [
        char("manufacturer", 4, "Manufacturer", at="0", vci=H, page=19),
        char("model", 8, "Model", at="4", vci=H, doc="left-justified"),
        u8(
            "hardware_version",
            "Hardware Version Number",
            at="12",
            vci=M,
            doc="kept as a number: the Optical guide explains it with the text of the firmware, the MEP guide reserves it",
        ),
        u8("hardware_revision", "Hardware Revision Number", at="13", vci=M, doc="kept as a number, as the version"),
        u16_be(
            "firmware",
            "Main Firmware Version Number, Firmware Revision Number",
            at="14",
            vci=M,
            doc="of the legally relevant part. Bits 15..12 major, 11..5 minor, 4..0 build: 0x3155 is 3.10.21; the only "
            "field of several bytes with its high byte first",
        ),
        bcd(
            "serial",
            8,
            "Manufacturer Serial Number",
            at="16",
            vci=H,
            printed="ARRAY[16] OF BCD",
            doc="16 digits in 8 bytes; 16 characters where BT00.1.5 is 0; reserved in the MEP guide",
        ),
    ],
    optical_read="Open",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    nvm=True,
    doc="the Optical guide ends the name in Identification; the MEP guide reserves 5..15 and 5..16, which overlap what it "
    "describes: it means 12, 13 and 16 on",
)
