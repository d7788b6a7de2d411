"""ET80: disconnecting the load when the average power is too high."""

from .._model import H, table, u8, u16, u32

ET80 = table(
    "ET80",
    "Average Power Settings",
    "MEP guide, ET80, p. 183; Optical guide, table A.1, p. 62",
    [
        u8(
            "enabled",
            "Average Power Enabled",
            at="0",
            vci=H,
            default="0",
            enum={0: "off", 1: "average power is calculated"},
            page=184,
        ),
        u16(
            "sub_interval",
            "Average Power Control Sub-interval",
            at="1",
            vci=H,
            default="1",
            unit="s",
            doc="how often the average is renewed: a divisor of 60 s, whole minutes that divide 60, or whole hours that "
            "divide 24",
        ),
        u8(
            "interval_multiplier",
            "Average Power Control Interval Multiplier",
            at="3",
            vci=H,
            default="15",
            page=185,
            doc="1 to 15: sub-intervals in the interval of the average; 1 gives blocks, more a rolling average",
        ),
        u32(
            "disconnect_threshold",
            "Average power Disconnect Threshold",
            at="4",
            vci=H,
            default="0",
            unit="W",
            doc="above it the load is disconnected; the text names ET05.0 instead, our reading is this field",
        ),
    ],
    write="MAK",
    optical_read="MK, PK, RK",
    since="3.70",
    since_cpm="1.20",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    nvm=True,
    doc="the columns VCI and Value of the guide are swapped",
)
