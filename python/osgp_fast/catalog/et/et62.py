"""ET62: how the display shows the load profile and the power outage log."""

from .._model import Field, H, array, bits, flag, octets, part, table, u8


def _code(
    name: str,
    what: str,
    points: str,
    at: tuple[str, str],
    points_at: tuple[str, str],
    default: str,
    page: int,
    doc: str,
    **more: str,
) -> list[Field]:
    """An ID code and the decimal points of its characters."""
    return [
        octets(
            name,
            "4 + gen4",
            what,
            printed="Array [4 + X] of UINT8",
            at=at,
            vci=H,
            default=default,
            page=page,
            doc=f"{doc}, left-most character first",
            **more,
        ),
        u8(
            f"{name}_points",
            points,
            at=points_at,
            vci=H,
            default="4" if name == "list_id" else "0" if more else "",
            doc="a bit per character, bit 0 the right-most: its decimal point is on",
            **more,
        ),
    ]


def _behind(a: int, b: int) -> tuple[str, str]:
    return f"{a} + 6 * BT60.11[0]", f"{b} + 7 * BT60.11[0]"


ET62 = table(
    "ET62",
    "Load Profile Display Configuration",
    "MEP guide, ET62, p. 167; Optical guide, appendix A, p. 61",
    [
        bits(
            "flags",
            1,
            [
                flag(
                    "display_local_time",
                    0,
                    "Display Local Time",
                    vci=H,
                    enum={0: "UTC", 1: "local time"},
                    default="FALSE",
                    page=168,
                ),
                flag(
                    "use_all_channel_id_characters",
                    1,
                    "Use All Channel ID Characters",
                    vci=H,
                    enum={0: "two characters and the channel number", 1: "all characters, no number"},
                    default="FALSE",
                    doc="of the channel's ID code, 4 or 5 characters; the row says extended status ID code and 4",
                ),
                flag(
                    "disable_display",
                    2,
                    "Disable Load Profile Display",
                    vci=H,
                    enum={0: "displayed", 1: "not displayed"},
                    default="FALSE",
                    doc="ignored where ET54.71.0 (Welmec) is set",
                ),
            ],
            "Flags",
            at="0",
            page=168,
            doc="no offset printed in this row; bits 3 to 7 are not described",
        ),
        *_code(
            "list_id",
            "Load Profile List ID Code",
            "Load Profile List ID Decimal Point State",
            ("1", "1"),
            ("5", "6"),
            "P01",
            169,
            "shown when load profile display begins",
        ),
        *_code(
            "date_id",
            "Load Profile Date ID Code",
            "Load Profile Date ID DP State",
            ("6", "7"),
            ("10", "12"),
            "DATE",
            169,
            "shown with the start of an interval",
        ),
        *_code(
            "interval_time_id",
            "Interval Time ID Code",
            "Interval Time ID DP State",
            ("11", "13"),
            ("15", "18"),
            "TIME",
            170,
            "shown with the interval time, in the scrolling display and not in load profile display",
        ),
        *_code(
            "extended_status_id",
            "Extended Status ID Code",
            "Extended Status ID DP State",
            ("16", "19"),
            ("20", "24"),
            "STAT",
            170,
            "shown with the extended status",
        ),
        array(
            "channel",
            "BT60.11[0]",
            [
                *_code(
                    "id",
                    "Channel ID Code",
                    "Channel ID DP State",
                    ("21", "25"),
                    ("25", "30"),
                    "CH01 to CH16",
                    171,
                    "shown with the channel's values",
                ),
                bits(
                    "format",
                    1,
                    [
                        part("after_point", 0, 2, "Fields After DP", vci=H, doc="0 to 3"),
                        part("before_point", 3, 6, "Fields Before DP", vci=H, doc="1 to 8; 8 at most together"),
                        flag(
                            "zero_suppression",
                            7,
                            "Zero Suppression",
                            vci=H,
                            enum={0: "leading zeros shown", 1: "leading zeros hidden"},
                        ),
                    ],
                    "Data Format",
                    at=("26", "31"),
                ),
            ],
            "Code Word",
            page=171,
            printed="Array[BT60.11] of 6-byte records",
            doc="a record per channel of data set 1; of 7 bytes from 4.0 on, for the ID code has 5 characters",
        ),
        *_code(
            "outage_list_id",
            "Power Outage List ID Code",
            "Power Outage List ID DP State",
            _behind(21, 25),
            _behind(25, 30),
            "blanks",
            172,
            "shown with the list of outages; offsets are printed for 16 channels",
            since="3.70",
            since_cpm="1.20",
        ),
        *_code(
            "outage_number_id",
            "Power Outage Number ID Code",
            "Power Outage Number ID DP State",
            _behind(26, 31),
            _behind(30, 36),
            "NUM",
            172,
            "shown with the number of outages",
            since="3.70",
            since_cpm="1.20",
        ),
    ],
    write="MAK",
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    doc="two columns of offsets: ID codes have 4 characters on 3.X and modules, 5 from 4.0 on (a blank is added to defaults). From "
    "3.50 on it is the primary data set that is shown. Display modes are of OSGP meters only; appendix C leaves ET62 out",
)
