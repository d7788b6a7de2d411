"""ET03: the utility's own serial number of the meter."""

from .._model import H, M, char, reserved, table, u16

ET03 = table(
    "ET03",
    "Utility Information",
    "MEP guide, ET03, p. 56; Optical guide, ET03, p. 18",
    [
        char("utility_serial", 30, "Utility Serial Number", at="0", vci=H),
        reserved(107, at="30"),
        u16("image_crc", "Image CRC (Read Only)", at="137", vci=M, doc="reserved on firmware without it"),
        reserved(4, at="139", name="reserved_2"),
    ],
    read="No Key Required",
    write="MAK",
)
