"""EP19: ask an M-Bus device or a MEP client for something now."""

from .._model import H, M, octets, procedure, u8, u16, u32

_WRITES = "(EP19.7 == 4) + (EP19.7 == 6) + (EP19.7 == 10)"
_SWITCHOVER = "EP19.7 == 9"

EP19 = procedure(
    "EP19",
    "Post On-demand M-Bus Request",
    "MEP guide, EP19, p. 244",
    [
        u16(
            "transaction_number",
            "Transaction Number",
            at="3",
            vci=H,
            page=245,
            doc="to find the request in ET15 again; recommended: 0..3FF optical applications, 400..4FF MEP clients; taken: "
            "500..5FF and FF00..FFFF (system software, Control Node)",
        ),
        u16(
            "device_handle",
            "Device Handle, Group Mask or Device Index Bitmask",
            at="5",
            vci=H,
            doc="type 6: the group mask of ET34, FFFF for all commissioned M-Bus devices; type 10: bit n is element n of "
            "ET14, 0..3 M-Bus and 4 the first MEP client (printed as index 5), and the lowest bit that is set gets the "
            "message, the others do not; else the handle of ET14",
        ),
        u8(
            "request_type",
            "Request Type",
            at="7",
            vci=H,
            page=246,
            enum={
                0: "reserved",
                1: "M-Bus application reset",
                2: "billing read",
                3: "status read",
                4: "write user data",
                5: "time sync",
                6: "multicast",
                9: "MEP download switchover",
                10: "write user data by index",
            },
            doc="6 for M-Bus only; 7 and 8 of ET15 cannot be asked for",
        ),
        u8(
            "write_data_length",
            "Write Data Length",
            at="8",
            vci=H,
            unit="byte",
            when=_WRITES,
            doc="at most ET11.11 - 1 with types 4 and 10, ET11.20 - 1 with type 6",
        ),
        octets(
            "write_data",
            "EP19.write_data_length",
            "Write Data",
            at="9",
            vci=H,
            printed="ARRAY[ET11.20 - 1] of UINT8",
            when=_WRITES,
            doc="only as many bytes as the length says are sent; types 4 and 10: user data of a SND_UD telegram; type 6: C "
            "field, CI field, user data",
        ),
        u32(
            "image_length",
            "Image Length",
            at="8",
            vci=H,
            unit="byte",
            when=_SWITCHOVER,
            since="3.80",
            since_cpm="1.30",
            doc="of the whole image, for its MAC; with this and the MAC only where ET04.127 is 2 (OSGP-AES-128-PSK), and "
            "not on P2P meters; earlier firmware ends after the request type",
        ),
        octets(
            "image_mac",
            16,
            "Image MAC",
            at="12",
            vci=H,
            printed="UINT8[16]",
            when=_SWITCHOVER,
            since="3.80",
            since_cpm="1.30",
            doc="of the image",
        ),
    ],
    [
        u8(
            "entry_index",
            "Entry index",
            at="4",
            vci=M,
            page=247,
            doc="element of ET15's queue that holds the request",
        )
    ],
    call="MAK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    results={2: "invalid request type", 3: "no such handle, group or index", 7: "the request queue is full"},
    doc="two layouts share offset 8: length and data for types 4, 6 and 10, image length and MAC for 9, nothing for the "
    "others; what a billing read brings goes to ET16, where the next one overwrites it; not in Table C.2",
)
