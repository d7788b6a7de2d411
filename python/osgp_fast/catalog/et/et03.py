"""ET03: the utility's own serial number of the meter."""

from .._model import H, M, char, reserved, table, u16

ET03 = table(
    "ET03",
    "Utility Information",
    "MEP guide, ET03, p. 55; Optical guide, ET03, p. 18",
    [
        char(
            "utility_serial",
            30,
            "Utility Serial Number",
            at="0",
            vci=H,
            page=56,
            printed="ARRAY[30] OF CHAR",
            doc="the customer's own number; ends at a NUL",
        ),
        reserved(107, at="30", doc="for others' use: write back what was read"),
        u16(
            "image_crc",
            "Image CRC (Read Only)",
            at="137",
            vci=M,
            doc="of the legally relevant firmware; reserved on firmware without it and in the Optical guide. Takes 137 and 138, "
            "though the next row is printed from 138 on",
        ),
        reserved(4, at="139", name="reserved_2", doc="for others' use: write back what was read; printed 138..142"),
    ],
    read="No Key Required",
    write="MAK",
    optical_read="Open",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    nvm=True,
)
