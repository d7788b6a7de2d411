"""BT64 to BT67: the load profile of data sets 1 to 4, a ring of blocks of intervals."""

from .._model import UTC, M, Table, array, i32, ni_fmat1, octets, rest, set_, stime_date, table

#: What a channel's nibble of the extended status says (MEP guide pp. 240-241).
_STATUS = {
    0: "no status",
    1: "overflow",
    2: "partial interval: clock went forward",
    3: "long interval: clock went backward",
    4: "skipped",
    5: "test mode data",
    8: "M-Bus or MEP data could not be decrypted",
    9: "clock error",
    10: "M-Bus or MEP device missing",
    11: "not current",
    12: "skipped: opted out of load profile",
    15: "M-Bus placeholder: no data yet",
}


def _data(n: int) -> Table:
    channels, intervals = f"BT61.11[{n}]", f"BT61.9[{n}]"
    start = f"5 + 4 * {channels} * BT61.4.4 + ({intervals} + 7) // 8"
    described = f"{start} + {intervals} * ({channels} // 2 + 1 + 4 * {channels})"
    return table(
        f"BT{64 + n}",
        f"Load Profile Data, Data Set {n + 1}",
        "MEP guide, BT64-BT67, p. 238; Optical guide, BT64-BT67, p. 35",
        [
            array(
                "block",
                f"BT61.7[{n}]",
                [
                    stime_date(
                        "end_time",
                        "End time",
                        at="0",
                        vci=M,
                        clock=UTC,
                        page=239,
                        doc="UTC; end of the block when it is complete, of the last recorded interval before; midnight only "
                        "where blocks are days",
                    ),
                    array(
                        "end_reading",
                        channels,
                        [ni_fmat1("value", "End Readings", at="5", doc="the register at the end of the block")],
                        "End Readings",
                        printed="ARRAY[BT61.11N] of NI_FMAT1",
                        when="BT61.4.4",
                        index="c",
                    ),
                    set_(
                        "simple_status",
                        f"({intervals} + 7) // 8",
                        "Simple Status",
                        at=f"5 + 4 * {channels} * BT61.4.4",
                        vci=M,
                        printed="SET((BT61.9N + 7) / 8)",
                        doc="one bit per interval, set where it was recorded; others may hold old data",
                    ),
                    array(
                        "interval",
                        intervals,
                        [
                            octets(
                                "status",
                                f"{channels} // 2 + 1",
                                "Extended Status",
                                at=start,
                                vci=M,
                                printed="ARRAY[(BT61.11N / 2) + 1] of Byte",
                                enum=_STATUS,
                                doc="nibbles, high one first: the common flags, then one value per channel (the enum). Common "
                                "flags: 0 daylight saving in effect (times stay UTC), 1 power failure, 2 clock set forward, 3 "
                                "clock set backward. Of several values the first of 4 and 15, 1, 8, 11, 10, 2, 3, 9, 5, 12 "
                                "is given; 1 and 12 since firmware 3.70 and CPM 1.20. ANSI-compliant (ET21.93.3): 8, 11 "
                                "and 15 read 4, 9 and 10 read 0",
                            ),
                            array(
                                "channel",
                                channels,
                                [
                                    i32(
                                        "value",
                                        "Interval Channel X Value",
                                        at=f"{start} + {channels} // 2 + 1",
                                        vci=M,
                                        doc="at the end of the interval; Wh and varh are times the energy register unit "
                                        "(ET55, ET42); M-Bus: 4 bytes of the data record",
                                    )
                                ],
                                "Interval Channel Data",
                                printed="ARRAY[BT61.11N] of 4-byte records",
                                index="c",
                            ),
                        ],
                        "Intervals",
                        printed="ARRAY[BT61.9N]",
                        index="i",
                    ),
                    rest("block_size", f"({described})"),
                ],
                "Block Data",
                printed="ARRAY[BT61.7N]",
                index="b",
                stride="block_size",
                doc="a ring; BT63 says which block is the newest",
            )
        ],
        since="3.50" if n else None,
        since_cpm="1.20" if n else None,
        optical_read="MK, PK, RK",
        clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
        nvm=True,
        variables={"block_size": described},
        doc="the printed offsets add 4 bytes per channel for end readings, which exist only where BT61.4.4 is set; "
        "block_size is ET21.8 where ET21 was read and agrees; read straight from NVM (appendix C)",
    )


BT64, BT65, BT66, BT67 = (_data(n) for n in range(4))
