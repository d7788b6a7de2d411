"""ET34: more configuration of every M-Bus device and MEP client: polling, monitored fields, time stamps."""

from .._model import Field, H, array, bits, part, reserved, rest, table, u8, u16


def _locator(name: str, at: str) -> Field:
    text = name.lower()
    return bits(
        f"{text}_locator",
        1,
        [
            part(
                "start_bit",
                0,
                4,
                f"{name} Locator",
                vci=H,
                default="0",
                doc=f"first bit of the {text}s in the time stamp, counted from 1",
            ),
            part("bit_count", 5, 7, vci=H, default="0", doc="printed without a name; 0: the default places of p. 33"),
        ],
        at=at,
        printed="",
    )


ET34 = table(
    "ET34",
    "Additional M-Bus/MEP Device Configuration",
    "MEP guide, ET34, p. 106",
    [
        array(
            "device",
            "ET11.0",
            [
                reserved(2, at="0", page=106),
                u8(
                    "group_mask",
                    "Group Mask",
                    at="2",
                    vci=H,
                    doc="bit n: the M-Bus device is of multicast group n; EP19's type 6 goes to groups (EP18 is printed)",
                ),
                reserved(1, at="3", name="reserved_2"),
                u16(
                    "poll_rate",
                    "Load Profile Poll Rate",
                    at="4",
                    vci=H,
                    unit="min",
                    default="60",
                    doc="polls are made where the minute of the day is a multiple of it, and in the day's last interval; "
                    "0: at every interval; printed as a maximum rate, it is the least spacing (p. 33)",
                ),
                u8(
                    "control_mdt",
                    "Control MDT",
                    at="6",
                    vci=H,
                    default="0",
                    doc="data type of ET57 (its MDT, bits 2..6) whose value goes to ET58 as control status",
                ),
                u8(
                    "command_monitor_mdt",
                    "Command Monitor MDT",
                    at="7",
                    vci=H,
                    default="0",
                    doc="data type of ET57 that is the command to watch for; 0: none",
                ),
                u8(
                    "time_stamp_mdt",
                    "Time Stamp MDT",
                    at="8",
                    vci=H,
                    default="0",
                    page=107,
                    doc="data type of ET57 that holds the time stamp of a reading",
                ),
                _locator("Hour", "9"),
                _locator("Minute", "10"),
                u8(
                    "poll_wait",
                    "Load Profile Poll Wait",
                    at="11",
                    vci=H,
                    unit="s",
                    default="0",
                    doc="from the end of an interval to the poll: as much as the clocks of meter and device may differ",
                ),
                u8(
                    "poll_retry_attempts",
                    "Load Profile Poll Retry Attempts",
                    at="12",
                    vci=H,
                    default="0",
                    doc="0..254",
                ),
                u8(
                    "poll_retry_wait",
                    "Load Profile Poll Retry Wait",
                    at="13",
                    vci=H,
                    unit="s",
                    default="0",
                    doc="after a poll without success; the row prints no unit, p. 33 speaks of seconds",
                ),
                reserved(
                    8,
                    at="14",
                    name="reserved_3",
                    printed="ARRAY[7] of UINT8",
                    doc="eight bytes: 14-21 are printed, and ET11.13 is 22",
                ),
                rest("ET11.13", 22),
            ],
            "Device Config",
            stride="ET11.13",
            printed="ARRAY[ET11.0] of ET11.13-byte structure",
            doc="four M-Bus devices, then one MEP client, or two on firmware 4.0 and later (p. 24)",
        )
    ],
    write="MAK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    nvm=True,
)
