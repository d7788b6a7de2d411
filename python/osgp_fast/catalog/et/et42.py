"""ET42: everything that shapes the readable data, in one table."""

from .._model import UTC, Field, array, bits, flag, octets, reserved, table, u8, u16, u32

#: Where the lists of sources begin: behind the list of logs, which begins behind the fixed section.
_DEMANDS = "ET42.2 + 3 * ET42.3"
_CHANNELS = f"{_DEMANDS} + ET42.13 + ET42.14"
_MDTT = f"{_CHANNELS} + 2 * ET42.29"


def _set(first: bool) -> tuple[Field, ...]:
    """What the fixed section says of data set 1 (``first``), and the array of the sets 2 to 4 of theirs."""

    def row(offset: int, root: str, text: str = "") -> dict[str, str]:
        """The offset is printed for data set 1 only, and so is the field that this one is a copy of."""
        if not first:
            return {"doc": text}
        return {"at": str(offset), "doc": f"{text}; copy of {root}" if text else f"copy of {root}"}

    return (
        u32("block_size", "Block Size", unit="byte", page=114 if first else 117, **row(23, "ET21.8")),
        u16("blocks", "Number of Blocks", **row(27, "BT61.7")),
        u8("channels", "Number of Channels", **row(29, "BT61.11 and ET21.28")),
        u8("interval_time", "Interval Duration", unit="min", enum={84: "24 hours"}, **row(30, "BT61.12 and ET21.29")),
        u8("interval_size", "Interval Size", unit="byte", **row(31, "ET21.25")),
        u8("options", "Options", **row(32, "ET21.93", "bits as in ET21.93")),
        u16("intervals", "Intervals Per Block", **row(33, "BT61.9")),
        u8(
            "block_start_hour",
            "Block Start Hour",
            unit="h",
            clock=UTC,
            page=114 if first else 118,
            **row(35, "ET21.89", "UTC"),
        ),
        u8("block_start_minute", "Block Start Minute", unit="min", clock=UTC, **row(36, "ET21.90", "UTC")),
    )


def _logs() -> tuple[Field, ...]:
    """The rows that are printed for the logs, in their order."""
    logs = (
        ("OTR", "OTR", "ET31"),
        ("M-Bus OTR", "M-Bus OTR", "ET32"),
        ("Config ID", "Config ID", "ET38"),
        ("Demand Reset", "Demand Reset", "ET41"),
        ("M-Bus Recurring", "M-Bus Recurring", "ET45"),
        ("LP Change", "LP Change Log", "ET75"),
        ("Power Outage", "Power Outage Log", "ET81"),
    )
    return tuple(
        row
        for log, entry, id in logs
        for row in (
            u8("count", f"{log} Log Count", doc=f"entries of {id}"),
            u16("entry_size", f"{entry} Entry Size", unit="byte", doc=f"of an entry of {id}"),
        )
    )


ET42 = table(
    "ET42",
    "Interface Definition",
    "MEP guide, ET42, p. 111; Optical guide, table A.1, p. 61",
    [
        u16("table_length", "Table Length", at="0", unit="byte", page=111, doc="of this table, this field included"),
        u8(
            "fixed_section_length",
            "Fixed Section Length (FSL)",
            at="2",
            unit="byte",
            page=112,
            doc="where the list of logs begins; grows with new fields",
        ),
        u8("log_list_size", "Log List Size (LLS)", at="3", doc="logs in the list; copy of ET36.0"),
        bits(
            "compatibility",
            2,
            [
                flag(
                    "ica_nak",
                    0,
                    "ICS - ICA NAK",
                    vci="H",
                    doc="set: recurring reads of MEP devices are not kept in ET16",
                ),
                flag(
                    "billing_lp_format_2",
                    1,
                    "ICS - Blg/LP Format 2",
                    vci="H",
                    doc="the data concentrator takes all formats of billing and load profile data; clear: sources here are "
                    "8-bit ones, not mapped by ET66",
                ),
                flag(
                    "multiple_sets",
                    2,
                    "Multiple Load Profile Data Set Support",
                    vci="H",
                    doc="named at ET54.0 only, the root of this word: several load profile data sets",
                ),
                flag(
                    "energy_unit_change",
                    6,
                    "Energy Unit Change",
                    vci="H",
                    doc="named at ET54.0 only, the root of this word",
                ),
                flag(
                    "five_digit_id_codes",
                    7,
                    "LCD Value ID Code 5 Digit Support",
                    vci="H",
                    since="4.00",
                    doc="named at ET54.0 only, the root of this word",
                ),
                flag(
                    "multiple_mep_clients",
                    8,
                    "Multiple MEP Clients",
                    vci="H",
                    since="4.00",
                    doc="named at ET54.0 only, the root of this word",
                ),
            ],
            "Interface Compatibility Setting",
            at="4",
            doc="copy of ET54.0; its bits are printed at offset 0",
        ),
        u16("c1219_compliance", "C12.19 Compliance", at="6", doc="all bits unused; copy of ET04.114"),
        u16(
            "bidn",
            "Billing Interface Definition Number (BIDN)",
            at="8",
            doc="given by the caller to the billing configuration; entries of BT26, ET31 (with demand) and ET41 repeat it. Not "
            "sure to be unique",
        ),
        bits(
            "flags",
            1,
            [
                flag(
                    "demand_reset_counter",
                    0,
                    "Demand Reset Counter",
                    page=113,
                    doc="billing data count demand resets; copy of BT21.0.2",
                ),
                flag("cumulative_demand", 1, "Cumulative Demand", doc="copy of BT21.0.4"),
                flag("continuous_cumulative_demand", 2, "Continuous Cumulative Demand", doc="copy of BT21.0.5"),
                flag("demand_configured", 3, "Demand Configured", doc="by EP32, at least once; from ET48"),
                flag("unread_entries_bitmap", 4, "Unread Log Entries Bitmap Enabled", doc="ET36 has the bitmap"),
            ],
            "Flags",
            at="10",
            page=112,
        ),
        u8("self_reads", "Number of Self-reads", at="11", page=113, doc="copy of BT21.2"),
        u8("summations", "Number of Summations", at="12", doc="copy of BT21.3"),
        u8("demands", "Number of Demands", at="13", doc="copy of BT21.4; NbrDmdSrcs in later rows"),
        u8(
            "coincident_values",
            "Number of Coincident Values",
            at="14",
            doc="in all; copy of BT21.5; NbrCoinSrcs and NbrCoinVals in later rows",
        ),
        u8("occurrences", "Number of Occurrences", at="15", doc="maxima of each demand register; copy of BT21.6"),
        u8(
            "tiers",
            "Number of Tiers",
            at="16",
            default="4",
            doc="4, or from firmware 3.70 and CPM 1.20 up to 8; copy of BT21.7",
        ),
        u8("present_demands", "Number of Present Demands", at="17", doc="in BT28; copy of BT21.8"),
        u8("present_values", "Number of Present Values", at="18", doc="in BT28; copy of BT21.9"),
        u8(
            "demand_sub_interval",
            "Demand Sub-interval",
            at="19",
            unit="min",
            page=114,
            doc="of all demand registers, set by EP32 and EP33; copy of BT13.4",
        ),
        u8(
            "demand_multiplier",
            "Demand Multiplier",
            at="20",
            doc="sub-intervals in an interval, printed as minutes; copy of BT13.5",
        ),
        u16("tier_size", "Tier Size", at="21", unit="byte", doc="of one tier in BT23"),
        *_set(True),
        bits(
            "history_log_flags",
            1,
            [
                flag("event_number", 0, "Event Number"),
                flag("date_time", 1, "Date Time"),
                flag("sequence_number", 2, "Sequence Nbr", page=115),
                flag("inhibit_overflow", 3, "Inhibit Overflow"),
                flag("event_inhibit_overflow", 4, "Event Log Inhibit Overflow"),
            ],
            "History Log Flags",
            at="37",
            doc="which optional fields an event has; copy of BT71.0",
        ),
        u16("history_log_count", "History Log Count", at="38", page=115, doc="entries of BT74; copy of BT71.5"),
        u8(
            "history_log_entry_size",
            "History Log Entry Size",
            at="40",
            unit="byte",
            doc="of the argument alone; copy of BT71.3",
        ),
        reserved(
            "(ET42.2 > 41) * (ET42.2 - 41)",
            name="fixed_section_rest",
            doc="fields that later firmware adds to the fixed section",
        ),
        array(
            "log",
            "ET42.3",
            [
                u8(
                    "count",
                    "Log Count",
                    at="ET42.2",
                    doc="configured entries; copy of the low byte of ET36.7 of the log's record",
                ),
                u16(
                    "entry_size",
                    "Log Entry Size",
                    at="ET42.2 + 1",
                    unit="byte",
                    doc="copy of ET36.3 of the log's record; some root fields are printed wrongly (ET36.90, 103, 107)",
                ),
            ],
            "Log List",
            printed="ARRAY[LLS] of UINT24",
            elements=_logs(),
            doc="new logs come last. UINT24 stands for 3 bytes, not a number",
        ),
        array(
            "demand_source",
            "ET42.13",
            [u8("id", "Demand Sources (DmdScrcs)", at=_DEMANDS, page=116, doc="source ID of the demand; from BT22")],
            "Demand Sources",
            printed="ARRAY[ET42.NbrDmdSrcs] of UINT8",
        ),
        array(
            "coincident_source",
            "ET42.14",
            [
                u8(
                    "id",
                    "Coincident Sources (CoinSrcs)",
                    at=f"{_DEMANDS} + ET42.13",
                    doc="source ID; in the order of the demands, as many for each: the first two belong to demand 1; from BT22",
                )
            ],
            "Coincident Sources",
            printed="ARRAY[ET42.NbrCoinSrcs] of UINT8",
        ),
        array(
            "source",
            "ET42.29",
            [
                u16(
                    "id",
                    "Load Profile Extended Sources (Chans)",
                    at=_CHANNELS,
                    doc="of the channel; the plain 8-bit ID where bit 1 of the compatibility setting is clear (printed "
                    "ET04.107.1, which is unused)",
                )
            ],
            "Load Profile Extended Sources",
            printed="ARRAY[ET42.NbrChans] of UINT16",
            doc="of data set 1; from BT62 and ET21, mapped by ET66",
        ),
        u8("mdtt_entries", "MDTT Current Entries", at=_MDTT, doc="entries of ET57 in use"),
        array(
            "mdtt",
            "ET42.mdtt_entries",
            [octets("entry", 4, "MDTT Entries", at=f"{_MDTT} + 1", page=117, printed="MdtEntry", doc="as in ET57")],
            "MDTT Entries",
            printed="ARRAY[ET42.MDTTCurrentEntries] of MdtEntry",
        ),
        bits(
            "set_mask",
            1,
            [
                flag("set_2", 0, "Bit 0", doc="data set 2 has blocks"),
                flag("set_3", 1, "Bit 1", doc="data set 3 has blocks"),
                flag("set_4", 2, "Bit 2", doc="data set 4 has blocks"),
            ],
            "Load Profile Bit Mask",
            at=f"{_MDTT} + 1 + 4 * ET42.mdtt_entries",
            when="multiple_sets",
            doc="absent, as the array, where ET54.0.2 is clear; from here on no offsets are printed",
        ),
        array(
            "set",
            "ET42.set_mask.set_2 + ET42.set_mask.set_3 + ET42.set_mask.set_4",
            [
                *_set(False),
                array(
                    "source",
                    "ET42.set.channels[k]",
                    [
                        u16(
                            "id",
                            "Load Profile Extended Sources",
                            doc="of the channel; the plain 8-bit ID where ET54.0.1 is clear",
                        )
                    ],
                    "Load Profile Extended Sources",
                    printed="ARRAY[BT61.11N] of UINT16",
                ),
            ],
            "Data Set Configuration",
            when="multiple_sets",
            index="k",
            max=3,
            doc="the active ones of data sets 2, 3 and 4 (set 1 is in the fixed section), packed one after another; that "
            "others are left out is our reading, to be checked by the table's length",
        ),
        u8(
            "required_section_length",
            "Required Section Length",
            unit="byte",
            since="3.60",
            page=118,
            doc="of this section, this byte included: 3 on 3.60, 8 from 3.70 and CPM 1.20",
        ),
        u16("et74_entries", "ET74 Entry Count", since="3.60", doc="copy of ET54.69"),
        u8("et77_entries", "ET77 Entry Count", since="3.70", since_cpm="1.20", doc="copy of ET54.79"),
        u16("et79_entries", "ET79 Entry Count", since="3.70", since_cpm="1.20", doc="copy of ET54.80"),
        u8(
            "energy_register_unit",
            "Energy Register Unit",
            since="3.70",
            since_cpm="1.20",
            unit="Wh, varh",
            doc="what one count of an energy register is worth: 1, 10 or 100; copy of ET55.A+39 (printed A+3)",
        ),
        u8(
            "rollover_digits",
            "Accumulator Rollover Digit",
            since="3.70",
            since_cpm="1.20",
            page=119,
            doc="decimal digits of energy registers before they start again, in Wh: 5 to 9; copy of ET07, behind 6 * BT30.4",
        ),
    ],
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    nvm=True,
    variables={"multiple_sets": "ET42.compatibility.multiple_sets"},
    doc="each change raises the Interface Change alarm of BT03 and counts up the IDT version, ET04.116: what to watch "
    "instead of reading this. Read straight from NVM (appendix C)",
)
