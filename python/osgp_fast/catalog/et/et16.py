"""ET16: the latest billing read of every M-Bus device and MEP client. What the bytes of a read mean: ``catalog/mbus.py``."""

from .._model import LOCAL, M, array, bits, flag, ltime_date, octets, part, table, u16
from .et13 import MBUS_DEVICES

ET16 = table(
    "ET16",
    "MEP/M-Bus Device Data",
    "MEP guide, ET16, p. 92; Optical guide, ET16, p. 42",
    [
        array(
            "device",
            MBUS_DEVICES,
            [
                ltime_date(
                    "time",
                    "Timestamp",
                    at="0",
                    vci=M,
                    clock=LOCAL,
                    page=92,
                    doc="of the last read that succeeded",
                ),
                bits(
                    "response_info",
                    1,
                    [
                        part(
                            "data_order",
                            0,
                            0,
                            "Data Order",
                            printed="BOOL(0)",
                            enum={0: "mode 1, least significant byte first", 1: "mode 2, most significant byte first"},
                        ),
                        part(
                            "response_type",
                            1,
                            1,
                            "Response Type",
                            printed="BOOL(1)",
                            page=93,
                            enum={0: "variable data structure", 1: "fixed data structure"},
                        ),
                        part(
                            "key_availability",
                            2,
                            2,
                            "Key Availability",
                            printed="BOOL(2)",
                            enum={0: "no key", 1: "decrypted where necessary"},
                        ),
                        part(
                            "authentication",
                            3,
                            4,
                            "Authentication",
                            enum={0: "passed", 1: "ID failure", 2: "date failure", 3: "passed with alternate date"},
                        ),
                        flag(
                            "security_failed",
                            5,
                            "Security Status",
                            doc="authentication 1 or 2; 3 counts as passed; also marks load profile channels",
                        ),
                    ],
                    "Response Info",
                    at="6",
                    vci=M,
                    doc="of M-Bus devices",
                ),
                octets(
                    "response",
                    "(ET11.5 > 7) * (ET11.5 - 7)",
                    "Billing Response",
                    at="7",
                    vci=M,
                    page=93,
                    printed="ARRAY[L] of UINT8",
                    doc="telegrams, each behind its length byte; the last may be cut off by the end of the entry; they end at "
                    "ET14's billing read length, at a length of 0, or with the entry",
                ),
            ],
            "Device Table",
            stride="ET11.5",
            doc="the M-Bus devices: MEP billing reads (MBR)",
        ),
        array(
            "client",
            f"(ET11.0 > {MBUS_DEVICES}) * (ET11.0 - {MBUS_DEVICES})",
            [
                ltime_date("time", "Timestamp", at=f"{MBUS_DEVICES} * ET11.5", vci=M, clock=LOCAL, page=92),
                octets(
                    "response_info",
                    1,
                    "Response Info",
                    at=f"{MBUS_DEVICES} * ET11.5 + 6",
                    printed="UINT8",
                    doc="means nothing here",
                ),
                u16(
                    "read_count",
                    "Read Count",
                    at=f"{MBUS_DEVICES} * ET11.5 + 7",
                    vci=M,
                    page=95,
                    doc="successful billing reads of the MEP port, scheduled and on demand",
                ),
                u16("length", "Length (L)", at=f"{MBUS_DEVICES} * ET11.5 + 9", vci=M, unit="byte", doc="of the data"),
                octets(
                    "data",
                    "(ET11.5 > 11) * (ET11.5 - 11)",
                    "Data",
                    at=f"{MBUS_DEVICES} * ET11.5 + 11",
                    vci=M,
                    printed="ARRAY[L] of UINT8",
                    doc="what the client submitted; the first bytes of length count",
                ),
            ],
            "Device Table",
            stride="ET11.5",
            doc="the MEP clients; the guide's fifth element is index 4",
        ),
    ],
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    nvm=True,
    doc="holds the first read after commissioning and reads on demand; scheduled ones go to ET45 and ET74",
)
