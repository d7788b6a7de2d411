"""Procedures and tables that the guides name but do not describe: a number to recognize, and where it is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_ALL: Final = "MK, PK, RK"
_STANDARD: Final = "name from C12.19-1997, the guides print the number only"


@dataclass(frozen=True, kw_only=True)
class Named:
    """What is known of a table or procedure that the guides only name.

    ``name`` is the printed one, of some basic ones that of C12.19-1997 (``doc`` says so), else empty. ``where`` is guide
    and printed pages. Of tables: ``read`` and ``write`` are the MEP keys of Appendix C ("None" where it marks the table
    read-only), ``optical_read`` the keys of the Optical guide's Table A.1, ``nvm`` the mark that writing wears the memory;
    empty where nothing is printed.
    """

    id: str
    number: int
    name: str
    where: str
    doc: str = ""
    read: str = ""
    write: str = ""
    optical_read: str = ""
    nvm: bool = False


def _named(id: str, name: str, where: str, doc: str = "", **more: Any) -> Named:
    number = int(id[2:]) + (2048 if id.startswith("E") else 0)
    # Appendix C lets either key read every table that it lists.
    read = "MBK, MAK" if "write" in more else ""
    return Named(id=id, number=number, name=name, where=where, doc=doc, read=read, **more)


def _by_id(*rows: Named) -> dict[str, Named]:
    return {row.id: row for row in rows}


#: By id (BPnn, EPnn), basic ones first. `PROCEDURES` has those with rows of their own.
NAMED_PROCEDURES: Final[Mapping[str, Named]] = _by_id(
    _named("BP01", "Warm Start", "MEP guide p. 51", f"an example of a number; {_STANDARD}"),
    _named(
        "BP04",
        "Reset List Pointers",
        "MEP guide pp. 181, 237, 241; Optical guide pp. 34, 51",
        f"clears the overflow flags of logs; {_STANDARD}",
    ),
    _named(
        "BP05",
        "Update Last Read Entry",
        "MEP guide pp. 43, 181, 237, 241; Optical guide pp. 34, 51",
        f"clears the overflow flags of logs; not to be a step of a transaction; {_STANDARD}",
    ),
    _named(
        "BP10",
        "Set Date and/or Time",
        "MEP guide p. 60",
        f"for the read-only key of the optical port ET04.71.0 disables it; {_STANDARD}",
    ),
    _named(
        "BP12",
        "Activate All Pending Tables",
        "Optical guide pp. 10, 11",
        f"activates a pending table at once; {_STANDARD}",
    ),
    _named(
        "BP13",
        "Activate Specific Pending Tables",
        "Optical guide pp. 10, 11",
        f"activates a pending table at once; {_STANDARD}",
    ),
    _named(
        "EP02", "", "MEP guide pp. 101, 194", "opens and closes the control relay; keep-alive message (MP02, p. 194)"
    ),
    _named("EP03", "", "MEP guide p. 139", "clears alarms"),
    _named("EP04", "", "MEP guide p. 51", "an example of a number"),
    _named("EP06", "", "MEP guide pp. 65, 107, 109", "changes the entries of ET36; counts up the IDT version"),
    _named(
        "EP11",
        "",
        "MEP guide pp. 65, 98, 173, 237; Optical guide pp. 34, 40",
        "configures the load profile, ET66 with it; counts up the IDT version",
    ),
    _named("EP18", "", "MEP guide pp. 87, 89, 106", "clears the alarms of ET14; p. 106 means EP19"),
    _named("EP26", "", "MEP guide pp. 107, 108", "counts down the unread entries of the logs of ET36"),
    _named(
        "EP32",
        "",
        "MEP guide pp. 65, 108, 109, 113, 114",
        "configures demand, and with it entries of ET36; counts up the IDT version",
    ),
    _named(
        "EP33",
        "",
        "MEP guide pp. 65, 111, 114",
        "configures demand; resets it (MP33, p. 111); counts up the IDT version",
    ),
    _named("EP34", "", "MEP guide p. 111", "resets demand (printed as MP34)"),
    _named(
        "EP37",
        "",
        "MEP guide pp. 65, 107, 108, 109",
        "changes the entries of ET36 and their sizes; counts up the IDT version",
    ),
    _named("EP41", "", "MEP guide p. 91", "starts a firmware download to a MEP client"),
    _named("EP50", "", "MEP guide pp. 101, 207, 215", "hands measurements of a host meter to a CPM or OSGP module"),
    _named("EP52", "", "MEP guide pp. 173, 178", "changes ET66, sources of the load profile"),
    _named("EP62", "", "MEP guide p. 138", "where ET54 means EP61"),
    _named("EP64", "", "MEP guide p. 211", "resets BT24, firmware 4.10 and later"),
)

_C260: Final = "MEP guide p. 260"
_C261: Final = "MEP guide p. 261"
_A60: Final = "Optical guide p. 60"
_P2P: Final = "P2P meters only"

#: By id, basic ones first. `TABLES` has those with rows of their own.
NAMED_TABLES: Final[Mapping[str, Named]] = _by_id(
    _named("BT05", "Device Identification", "MEP guide p. 197", f"its IDs are as BT00.1.5 says; {_STANDARD}"),
    _named("BT06", "Utility Information", "MEP guide p. 197", f"its IDs are as BT00.1.5 says; {_STANDARD}"),
    _named("BT13", "Demand Control", "MEP guide p. 114", f"BT13.4, BT13.5: demand interval; {_STANDARD}"),
    _named("BT16", "Source Definition", "MEP guide p. 180", f"orders sources; {_STANDARD}"),
    _named("BT29", "", "MEP guide p. 200; Optical guide pp. 20, 21", "the end of a range of tables, nothing more"),
    _named("BT51", "Actual Time and TOU", "MEP guide p. 222", f"the start of a range of tables; {_STANDARD}"),
    _named("BT79", "", "Optical guide p. 50", "the end of a range of tables, nothing more"),
    _named("ET01", "Pulse Output Options", "MEP guide p. 263", "configures the S0 output", write="MAK"),
    _named(
        "ET02",
        "RTC Calibration",
        f"{_C260}; {_A60}",
        "Battery Information in the Optical guide: voltage threshold of the low battery alarm and the like",
        write="MAK",
        optical_read=_ALL,
    ),
    _named(
        "ET05",
        "Control Output Settings",
        "MEP guide pp. 121, 154, 166, 183, 260",
        "ET05.0: primary maximum power level; ET05.8..23: rates of the first four tiers; ET05.25.0: enables the power level "
        "thresholds; the mode of ET61",
        write="MAK",
    ),
    _named(
        "ET06",
        "Pulse Inputs",
        "MEP guide pp. 100, 260, 264",
        "configures the pulse input channels",
        write="MAK",
    ),
    _named(
        "ET07",
        "LCD Display Configuration Table",
        f"MEP guide pp. 55, 68, 119, 260; {_A60}",
        "dimensioned by BT30; its elements are 6 bytes or more, the accumulator rollover digit stands at BT30.4 * 6",
        write="MAK",
        optical_read=_ALL,
        nvm=True,
    ),
    _named("ET10", "", "MEP guide p. 58", "records of power outages, as many as ET04.53"),
    _named("ET12", "", "MEP guide p. 58", "Total Energy or Daily Consumption registers, as many as ET04.55"),
    _named("ET17", "", "Optical guide p. 42", "holds a verification bitmap of ET11.36 bytes"),
    _named(
        "ET19",
        "",
        "Optical guide p. 41",
        "queue of one-time read requests to the meter: ET11.14 entries of ET11.16 bytes",
    ),
    _named(
        "ET20",
        "",
        "MEP guide pp. 24, 129; Optical guide pp. 15, 41",
        "queue of one-time read requests to M-Bus devices: ET11.15 entries of ET11.17 bytes",
    ),
    _named("ET22", "", "MEP guide p. 79; Optical guide p. 41", "its first array has ET11.21 bytes, alarm sizes"),
    _named("ET24", "", "MEP guide p. 194", "internal hardware configuration (printed as MT24)"),
    _named("ET28", "", "MEP guide p. 131", "where ET52 means ET53; presumably the response table of another port"),
    _named(
        "ET30",
        "Maximum Power or Current Level Control",
        f"{_C261}; {_A60}",
        "configuration and state of the thresholds",
        write="None",
        optical_read=_ALL,
    ),
    _named("ET32", "", "MEP guide pp. 24, 108, 109", "M-Bus one-time reads: a log of ET36"),
    _named("ET38", "", "MEP guide pp. 108, 109", "a log of ET36: entries of 35 bytes, 10 of them"),
    _named(
        "ET40",
        "Demand Configuration",
        "MEP guide pp. 261, 264",
        "demand reset time of day; a change at the wrong time can cost a reset cycle",
        write="MAK",
        nvm=True,
    ),
    _named("ET48", "", "MEP guide pp. 79, 113; Optical guide p. 41", "ET11.23 entries"),
    _named(
        "ET67",
        "Display Source ID Mapping Table",
        "MEP guide pp. 55, 261; Optical guide p. 62",
        "mapped to extended source IDs of the display; dimensioned by BT30",
        write="MAK",
        optical_read=_ALL,
    ),
    _named(
        "ET76",
        "Externally Configurable Hardware Options",
        "MEP guide pp. 59, 99, 100, 262",
        "CPM and OSGP modules from 1.11 on, not meters: bits of ET29's hardware options that can be written",
        write="MAK",
    ),
    _named(
        "ET77",
        "Secondary Display List",
        "MEP guide pp. 118, 137, 262; Optical guide p. 62",
        "firmware 3.70 and later; as many entries as ET54.79",
        write="MAK",
        optical_read=_ALL,
        nvm=True,
    ),
    _named(
        "ET92",
        "P2P Connection Configuration",
        "MEP guide p. 191; Optical guide p. 62",
        f"{_P2P}: connection type, IP address",
        optical_read=_ALL,
    ),
    _named(
        "ET93",
        "P2P Connection Status",
        "MEP guide p. 191; Optical guide p. 63",
        f"{_P2P}: last connection and the like",
        optical_read=_ALL,
    ),
    _named(
        "ET94",
        "P2P Gateway Module Configuration",
        "MEP guide p. 191; Optical guide p. 63",
        _P2P,
        optical_read=_ALL,
    ),
    _named(
        "ET95",
        "P2P Gateway Module Status",
        "MEP guide pp. 191, 192; Optical guide p. 63",
        _P2P,
        optical_read=_ALL,
    ),
    _named(
        "ET96",
        "P2P Gateway Model Socket Status",
        "MEP guide p. 191; Optical guide p. 63",
        f"{_P2P}: the modem's socket",
        optical_read=_ALL,
    ),
    _named(
        "ET98",
        "P2P AT Command Response",
        "MEP guide p. 192; Optical guide p. 63",
        f"{_P2P}, firmware 4.20 and later: the answer to the last AT command",
        optical_read=_ALL,
    ),
    _named("ET124", "", "MEP guide p. 195", "log of security events (printed as MT124)"),
)
