"""BT64 to BT67: the load profile of data sets 1 to 4, a ring of blocks of intervals."""

from .._model import M, Table, array, i32, ni_fmat1, octets, set_, stime_date, table


def _data(n: int) -> Table:
    channels, intervals = f"BT61.11[{n}]", f"BT61.9[{n}]"
    start = f"5 + 4 * {channels} * BT61.4.4 + ({intervals} + 7) // 8"
    return table(
        f"BT{64 + n}",
        f"Load Profile Data, Data Set {n + 1}",
        "MEP guide, BT64-BT67, p. 239; Optical guide, BT64-BT67, p. 36",
        [
            array(
                "block",
                f"BT61.7[{n}]",
                [
                    stime_date("end_time", "End time", at="0", vci=M, doc="UTC"),
                    array(
                        "end_reading",
                        channels,
                        [ni_fmat1("value", "End Readings", at="5")],
                        "End Readings",
                        when="BT61.4.4",
                        index="c",
                    ),
                    set_(
                        "simple_status",
                        f"({intervals} + 7) // 8",
                        "Simple Status",
                        at=f"5 + 4 * {channels} * BT61.4.4",
                        vci=M,
                        doc="one bit per interval, set where it was recorded",
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
                                doc="nibbles, high one first: the common flags, then one per channel",
                            ),
                            array(
                                "channel",
                                channels,
                                [i32("value", "Interval Channel X Value", at=f"{start} + {channels} // 2 + 1")],
                                "Interval Channel Data",
                                index="c",
                            ),
                        ],
                        "Intervals",
                        index="i",
                    ),
                ],
                "Block Data",
                index="b",
                stride="block_size",
            )
        ],
        variables={
            "block_size": f"{start} + {intervals} * ({channels} // 2 + 1 + 4 * {channels})",
        },
        doc="the printed offsets add 4 bytes per channel for end readings, which exist only where BT61.4.4 is set; "
        "block_size is ET21.8 where ET21 was read and agrees",
    )


BT64, BT65, BT66, BT67 = (_data(n) for n in range(4))
