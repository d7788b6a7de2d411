"""ET16: the latest billing read of every M-Bus device and MEP client. What the bytes of a read mean: ``catalog/mbus.py``."""

from .._model import LOCAL, Field, M, array, bcd, bits, flag, ltime_date, octets, part, table, u8, u16, u32
from .et13 import MBUS_DEVICES

_MEDIA = {3: "gas", 4: "heat", 6: "hot water", 7: "water"}
_VARIABLE = "ET16.6.1[0] == 0"
_FIXED = "ET16.6.1[0] == 1"


def _telegram() -> tuple[Field, ...]:
    """The first telegram of a billing read, in its two forms; ``catalog/mbus.py`` has what its data records mean."""
    return (
        u8("length", "Length (L)", at="7", page=93, unit="byte", doc="of the telegram, the zero that ends it included"),
        bcd(
            "serial",
            4,
            "Serial Nbr",
            at="8",
            vci=M,
            printed="4-byte Packed BCD",
            when=_VARIABLE,
            doc="least digits first",
        ),
        u16(
            "manufacturer",
            "Mfg ID",
            at="12",
            vci=M,
            when=_VARIABLE,
            doc="three letters of 5 bits, the first in the highest ones, A is 1",
        ),
        u8("version", "Version", at="14", vci=M, when=_VARIABLE, doc="of the device, as its maker counts"),
        u8("medium", "Medium", at="15", vci=M, page=94, when=_VARIABLE, enum=_MEDIA),
        u8("access_number", "Access Number", at="16", vci=M, when=_VARIABLE, doc="counts the answers of the device"),
        bits(
            "status",
            1,
            [
                part(
                    "application",
                    0,
                    1,
                    enum={0: "no error", 1: "application busy", 2: "application error", 3: "reserved"},
                    printed="UINT8(0..1)",
                ),
                flag("power_low", 2, "Power low"),
                flag("permanent_error", 3, "Permanent error"),
                flag("temporary_error", 4, "Temporary error"),
                part("manufacturer_specific", 5, 7, "Manufacturer specific", printed="UINT8(5..7)"),
            ],
            "Status",
            at="17",
            vci=M,
            when=_VARIABLE,
        ),
        u16("signature", "Signature", at="18", vci=M, when=_VARIABLE, doc="0: not encrypted; else how it is"),
        octets(
            "records",
            "length - 13",
            "Tel. Data Records",
            at="20",
            vci=M,
            printed="ARRAY[L-13] of UINT8",
            when=_VARIABLE,
        ),
        bcd("fixed_serial", 4, "Serial Nbr", at="8", vci=M, printed="4-byte Packed BCD", when=_FIXED),
        u8("fixed_access_number", "Access Number", at="12", vci=M, when=_FIXED),
        bits(
            "fixed_status",
            1,
            [
                part("counters", 0, 0, printed="BOOL(0)", enum={0: "BCD", 1: "signed binary"}),
                part("counters_of", 1, 1, printed="BOOL(1)", enum={0: "now", 1: "a fixed date"}),
                flag("fixed_power_low", 2, "Power low", page=95),
                flag("fixed_permanent_error", 3, "Permanent error"),
                flag("fixed_temporary_error", 4, "Temporary error"),
                part("fixed_manufacturer_specific", 5, 7, "Manufacturer specific"),
            ],
            "Status",
            at="13",
            vci=M,
            page=94,
            when=_FIXED,
        ),
        u16(
            "medium_unit", "Medium/Unit", at="14", vci=M, page=95, when=_FIXED, doc="medium and units of both counters"
        ),
        u32("counter_1", "Counter 1", at="16", vci=M, when=_FIXED),
        u32("counter_2", "Counter 2", at="20", vci=M, when=_FIXED),
    )


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
                    content=_telegram(),
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
