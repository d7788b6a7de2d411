"""ET13: how every M-Bus device is read, and what is sent to the MEP clients."""

from .._model import Field, H, M, array, bits, char, flag, octets, rest, table, u8, u16
from .et14 import BAUD_RATES

#: The elements of M-Bus devices, with which ET13 and ET16 begin (MEP guide pp. 23, 80).
MBUS_DEVICES = 4


def _schedule(start: str) -> tuple[Field, ...]:
    """The fields that both kinds of element begin with; ``start`` is where their first one stands."""

    def at(offset: int) -> str:
        return str(offset) if not start else f"{start} + {offset}"

    return (
        u8(
            "day",
            "Day",
            at=at(0),
            vci=H,
            page=80,
            enum={
                0: "first day of the month",
                32: "Sunday",
                33: "Monday",
                34: "Tuesday",
                35: "Wednesday",
                36: "Thursday",
                37: "Friday",
                38: "Saturday",
                39: "never, with frequency 2",
            },
            doc="of the scheduled billing read, local time: 1..28 day of the month, 32..38 of the week; 0 and 1 are the same; "
            "29..31 must not be used",
        ),
        u8("hour", "Hour", at=at(1), vci=H, page=81, unit="h", doc="0..23"),
        u8("minute", "Minute", at=at(2), vci=H, unit="min", doc="0..59"),
        u8(
            "frequency",
            "Scheduled Billing Read Frequency",
            at=at(3),
            vci=H,
            enum={0: "hourly", 1: "daily", 2: "weekly", 3: "monthly", 4: "never"},
            doc="no reads: 4, or 2 with day 39, of which the guide prints both; on CPM 0600 and 6010 it must be 4 before "
            "registration; hourly ignores day and hour, daily the day",
        ),
        u16(
            "status_frequency",
            "Scheduled Status Read Frequency (M-Bus only)",
            at=at(4),
            vci=H,
            unit="min",
            doc="counted from the last status read; 0: only with billing reads",
        ),
        u8(
            "baud_rate",
            "Baud Rate",
            at=at(6),
            vci=H,
            enum=BAUD_RATES,
            doc="desired; 0 is the default of MEP and 4 that of M-Bus, from 7 on not guaranteed",
        ),
        u8(
            "alarm_mask",
            "Device Alarm Bitmask",
            at=at(7),
            vci=H,
            page=82,
            doc="which device alarms are urgent, so that the MEP client's alarm is set",
        ),
    )


ET13 = table(
    "ET13",
    "MEP/M-Bus Device Configuration",
    "MEP guide, ET13, p. 80",
    [
        array(
            "device",
            MBUS_DEVICES,
            [
                *_schedule(""),
                char("customer_id", 20, "Customer ID", at="8", vci=H),
                u8(
                    "reset_parameter",
                    "App Reset Parameter",
                    at="28",
                    vci=H,
                    doc="of the application reset: which telegrams a billing read asks for",
                ),
                u8("key_length", "Security Key Length", at="29", vci=H, unit="byte", doc="7 and less: no key"),
                octets(
                    "key",
                    32,
                    "Security Key",
                    at="30",
                    vci=H,
                    doc="a secret: bytes 0..7 read as zeros, bytes 8..31 of a longer key can be read",
                ),
                u16("ta", "Ta", at="62", vci=H, unit="bit", doc="added to the 330 bit times of turn-around"),
                u16("to", "To", at="64", vci=H, unit="ms", doc="added to the 50 ms of turn-around"),
                rest("ET11.1", 66),
            ],
            "Device Config",
            stride="ET11.1",
            doc="the M-Bus devices",
        ),
        array(
            "client",
            f"(ET11.0 > {MBUS_DEVICES}) * (ET11.0 - {MBUS_DEVICES})",
            [
                *_schedule(f"{MBUS_DEVICES} * ET11.1"),
                bits(
                    "alerts",
                    1,
                    [
                        flag(
                            "scheduled_read",
                            0,
                            "Scheduled Read Request Alert",
                            vci=M,
                            doc="a billing read is due; cleared when its data was written",
                        ),
                        flag(
                            "on_demand_request",
                            1,
                            "On-demand Request in ET15",
                            vci=M,
                            doc="cleared when the request is done",
                        ),
                        flag("reserved", 2, "Reserved", vci=M, page=83),
                        flag(
                            "mbus_change",
                            3,
                            "M-Bus Change",
                            vci=M,
                            doc="a control value changed, or new M-Bus load profile data",
                        ),
                        flag("delta_data", 4, "Delta Data Alert", vci=M, since="3.40", doc="a source of ET71 changed"),
                        flag("unused_5", 5, "Unused", printed="BOOL(5..7)", doc="bits 5 to 7"),
                    ],
                    "Alert Flags",
                    at=f"{MBUS_DEVICES} * ET11.1 + 8",
                    vci=M,
                    page=82,
                    printed="UINT8",
                    doc="set by the MEP server for the client",
                ),
                octets(
                    "downlink",
                    "(ET11.1 > 9) * (ET11.1 - 9)",
                    "MEP Non-urgent Downlink Data",
                    at=f"{MBUS_DEVICES} * ET11.1 + 9",
                    vci=H,
                    page=83,
                    printed="Array[ET11.1 - 9] of UINT8",
                    doc="for the client, opaque",
                ),
            ],
            "Device Config",
            stride="ET11.1",
            doc="the MEP clients: one, or two from firmware 4.0 on, though the text on p. 80 names the fifth element alone",
        ),
    ],
    write="MAK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    nvm=True,
    doc="the first four elements are M-Bus devices; those after them are MEP clients, with other fields from byte 8 on",
)
