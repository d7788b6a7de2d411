"""EP17: remove an M-Bus device or a MEP client from the meter."""

from .._model import H, procedure, u8, u16

EP17 = procedure(
    "EP17",
    "Remove MEP Device",
    "MEP guide, EP17, p. 243",
    [
        u8(
            "action",
            "Action",
            at="3",
            vci=H,
            page=244,
            enum={0: "remove, primary address becomes 0", 1: "remove, primary address becomes 250"},
            doc="prefer 0: a meter does not find a device at 250 again",
        ),
        u16(
            "device_handle",
            "Device Handle",
            at="4",
            vci=H,
            enum={0xFFFF: "all devices"},
            doc="of ET14; with FFFF, which is for provisioning, the addresses stay",
        ),
    ],
    call="MAK, MBK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    results={
        1: "not complete: poll until it changes",
        2: "invalid action",
        3: "no such device handle",
        4: "a removal is already in progress",
    },
    doc="with MBK only a MEP client can be removed from an OSGP meter, no M-Bus device; clears the device's entry of ET14 "
    "(its baud rate becomes 9600), the registered bit and the icons of ET50, and stops its requests; the data in ET16 "
    "stay (p. 36); Table C.2 marks MBK only; no response data",
)
