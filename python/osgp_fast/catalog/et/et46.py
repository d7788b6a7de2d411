"""ET46: what is not writable of the load disconnect's configuration."""

from .._model import M, i32, ltime_date, reserved, table, u8

ET46 = table(
    "ET46",
    "Control Output Read-Only Data",
    "MEP guide, ET46, p. 121; Optical guide, appendix A, p. 61",
    [
        reserved(11, at="0", page=121),
        u8(
            "disconnect_control_type",
            "Disconnect Control Type",
            at="11",
            vci="M/H",
            enum={0: "power", 1: "current"},
            doc="what tells that too much is consumed, where ET05.25.0 enables the disconnect by maximum",
        ),
        reserved(1, at="12", name="reserved_2"),
        i32(
            "prepay_negative_credit",
            "Prepay Negative Credit",
            at="13",
            vci="M/H",
            unit="Wh",
            since="3.70",
            since_cpm="1.20",
            doc="credit beyond 0 before the disconnect opens; whether the energy register unit scales it is not said",
        ),
        ltime_date(
            "disconnect_open_time",
            "Maximum Power/Current/Average Power Disconnect Open Time",
            at="17",
            vci=M,
            since="3.70",
            since_cpm="1.20",
            page=122,
            doc="when a maximum opened the disconnect last; clock not stated",
        ),
    ],
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    doc="number 2094 (0x082E); the heading and the contents print 2046 (0x07FE), which is 2000 + 46",
)
