"""ET09: power quality: thresholds, and the last and the number of outages, sags, surges, phase losses and distortions."""

from .._model import (
    UTC,
    F,
    Field,
    H,
    M,
    array,
    bits,
    flag,
    i32,
    ltime_date,
    ni_fmat1,
    octets,
    reserved,
    table,
    u8,
    u16,
    u32,
)

# Offsets count from the end of the outage records: 6 bytes of thresholds, then 18 bytes per record.
OUTAGES = "ET04.53 * 18"
#: The guide's A, p. 75: end of the distortion records, 147 + 3 * 70 after the outage records.
A = "ET04.53 * 18 + 357"


def _at(base: str, offset: int) -> str:
    return f"{base} + {offset}" if offset else base


def _events(
    kind: str, label: str, base: str, offset: int, every: str, pages: tuple[int | None, ...] = (None,) * 6, **more: str
) -> list[Field]:
    """Per phase the time of the most recent event and the number of events."""
    out: list[Field] = []
    for n in (1, 2, 3):
        at = offset + 8 * (n - 1)
        named = {"sag": "L2's row leaves UTC out, those of L1 and L3 say it"} if n == 2 and "sag" in kind else {}
        out += [
            ltime_date(
                f"l{n}_{kind}_time",
                f"L{n} Most Recent {label} Event",
                at=_at(base, at),
                vci=M,
                clock=UTC,
                page=pages[2 * n - 2],
                doc="; ".join([f"every {every}", *named.values()]),
                **more,
            ),
            u16(
                f"l{n}_{kind}_events",
                f"L{n} {label} Events",
                at=_at(base, at + 6),
                vci=M,
                page=pages[2 * n - 1],
                doc=f"since the statistics were reset; every {every}",
                **more,
            ),
        ]
    return out


def _voltages(kind: str, label: str, base: str, offset: int, what: str, **more: str) -> list[Field]:
    return [
        ni_fmat1(
            f"l{n}_{kind}_voltage",
            f"L{n} Most Recent {label} Voltage",
            at=_at(base, offset + 4 * (n - 1)),
            vci=M,
            unit="mV",
            doc=f"{what} during the most recent event; every 120 ms",
            **more,
        )
        for n in (1, 2, 3)
    ]


ET09 = table(
    "ET09",
    "Power Quality",
    "MEP guide, ET09, p. 67",
    [
        u16(
            "long_outage_threshold",
            "Long Outage Duration Threshold",
            at="0",
            vci=H,
            unit="s",
            page=68,
            doc="outages of 250 ms to less than this are short ones, only counted; 0: each gets a record",
        ),
        u8(
            "sag1_surge_minutes",
            "Sag1/Surge Time Threshold",
            at="2",
            vci=H,
            unit="min",
            page=69,
            doc="how long a sag or surge lasts before it is an event, plus sag1_surge_seconds; 0: instantaneous values",
        ),
        u8("sag1_threshold", "Sag1 Threshold", at="3", vci=H, unit="%", default="10", doc="under rated voltage"),
        u8(
            "surge_threshold",
            "Surge Threshold",
            at="4",
            vci=H,
            unit="%",
            default="10",
            doc="over rated voltage; this default from 4.10 on",
        ),
        u8(
            "over_current_threshold",
            "Over-Current Threshold",
            at="5",
            vci=H,
            unit="%",
            doc="over reference current here, over maximum current at the counters (p. 71): most likely ET04.58",
        ),
        array(
            "outage",
            "ET04.53",
            [
                ltime_date("power_on", "Power-on Date/Time", at="6", vci=M, clock=UTC),
                u8(
                    "reset_cause",
                    "Reset Cause",
                    at="12",
                    vci=M,
                    enum={3: "power failure", 8: "brown-out"},
                    page=70,
                    doc="why the meter started",
                ),
                reserved(1, at="13", printed="UINT8", vci=M, doc="internal"),
                ltime_date(
                    "power_off",
                    "Power-off Date/Time",
                    at="14",
                    vci=M,
                    clock=UTC,
                    doc="before power_on, which the guide refers to as ET09.4 and prints at 6",
                ),
                u32("duration", "Power Off Duration", at="20", vci=M, unit="s", doc="rounded down"),
            ],
            "Power Outage Record",
            printed="ARRAY[ET04.53] of 18-byte record",
            doc="newest first, updated at power-up and brown-out; every offset behind moves with ET04.53",
        ),
        *_events("sag1", "Sag1", OUTAGES, 6, "120 ms"),
        *_events("surge", "Surge", OUTAGES, 30, "120 ms", (None, None, None, None, None, 71)),
        i32(
            "min_frequency",
            "Min Frequency",
            at=_at(OUTAGES, 54),
            vci=M,
            unit="Hz",
            scale="1/1000",
            doc="since the statistics were reset; every second",
        ),
        ltime_date("min_frequency_time", "Min Freq Date/Time", at=_at(OUTAGES, 58), vci=M, clock=UTC),
        i32(
            "max_frequency",
            "Max Frequency",
            at=_at(OUTAGES, 64),
            vci=M,
            unit="Hz",
            scale="1/1000",
            doc="since the statistics were reset; every second",
        ),
        ltime_date("max_frequency_time", "Max Freq Date/Time", at=_at(OUTAGES, 68), vci=M, clock=UTC),
        *(
            u32(
                f"l{n}_over_current_events",
                f"L{n} Over-current Events",
                at=_at(OUTAGES, 70 + 4 * n),
                vci=M,
                doc="since the statistics were reset; over the threshold of offset 5 (printed as ET09.3) for 10 s, from "
                "3.10 on for over_current_seconds",
            )
            for n in (1, 2, 3)
        ),
        bits(
            "phase_loss",
            1,
            [
                flag(
                    f"l{n}",
                    n - 1,
                    f"Phase L{n} Loss",
                    vci=M,
                    enum={0: "present", 1: "lost"},
                    doc="below ET04's phase loss threshold for as long as ET55's; the meter sets it"
                    + ("; OSGP meters only" if n > 1 else ""),
                )
                for n in (1, 2, 3)
            ],
            at=_at(OUTAGES, 86),
            page=72,
            doc="bits 3 to 7 are not described",
        ),
        *_events("phase_loss", "Phase Loss", OUTAGES, 87, "10 s", (None, None, None, 73, None, None)),
        *_voltages("sag1", "Sag1", OUTAGES, 111, "lowest"),
        *_voltages("surge", "Surge", OUTAGES, 123, "highest"),
        u32(
            "short_outages",
            "Short Outage Count",
            at=_at(OUTAGES, 135),
            vci=M,
            doc="outages shorter than the threshold of offset 0 (called Outage Time Threshold here)",
        ),
        u32(
            "configuration_id",
            "PQ Configuration ID",
            at=_at(OUTAGES, 139),
            vci=H,
            since="2.12",
            doc="the host's number of the thresholds (the first five fields in 3.0); the meter does not keep it in step",
        ),
        u8(
            "sag1_surge_seconds",
            "Sag1/Surge Threshold Seconds",
            at=_at(OUTAGES, 143),
            vci=H,
            since="2.12",
            unit="s",
            doc="added to the minutes of offset 2",
        ),
        u8(
            "hold_time",
            "Power Up Quality Hold Time",
            at=_at(OUTAGES, 144),
            vci=H,
            since="3.10",
            unit="s",
            default="2",
            page=74,
            doc="after power-up nothing is recorded for so long, until the voltage is stable",
        ),
        u16(
            "over_current_seconds",
            "Over Current Time Threshold",
            at=_at(OUTAGES, 145),
            vci=H,
            since="3.10",
            unit="s",
            doc="0 to 65,000; 0: every over-current is an event. Printed offset lacks a letter (T04. 53)",
        ),
        array(
            "thd",
            3,
            [
                u16(
                    "time_threshold",
                    "THD Time Threshold",
                    at=_at(OUTAGES, 147),
                    vci=H,
                    since="3.10",
                    unit="s",
                    doc="0 to 65,000 in steps of 10 s; 0 records everything, though the same row forbids less than 10",
                ),
                u16(
                    "threshold",
                    "THD Threshold",
                    at=_at(OUTAGES, 149),
                    vci=H,
                    since="3.10",
                    unit="%",
                    scale="0.01",
                    doc="0 to 10,000; 0: no events. Printed in units of 0.1 %, but 10,000 as 100 %: the range decides for 0.01",
                ),
                array(
                    "phase",
                    3,
                    [
                        u16("events", "Event Count", at=_at(OUTAGES, 151), vci=M, since="3.10"),
                        ltime_date(
                            "event_time", "Event Timestamp", at=_at(OUTAGES, 153), vci=M, clock=UTC, since="3.10"
                        ),
                        u16(
                            "max",
                            "Max THD",
                            at=_at(OUTAGES, 159),
                            vci=M,
                            since="3.10",
                            page=75,
                            doc="of the last event, no unit printed",
                        ),
                        ltime_date(
                            "max_time", "Max THD Timestamp", at=_at(OUTAGES, 161), vci=M, clock=UTC, since="3.10"
                        ),
                        u16(
                            "average",
                            "Average THD",
                            at=_at(OUTAGES, 167),
                            vci=M,
                            since="3.10",
                            doc="of the last event, no unit printed",
                        ),
                        octets(
                            "undocumented",
                            4,
                            printed="",
                            at=_at(OUTAGES, 169),
                            doc="the record is 22 bytes and its fields are 18; where A is printed proves the 22",
                        ),
                    ],
                    "THD Event Record",
                    printed="ARRAY[3] of 22-byte record",
                    since="3.10",
                    doc="L1, L2, L3",
                ),
            ],
            "THD Record",
            printed="ARRAY[3] of 70-byte record",
            since="3.10",
            doc="total harmonic distortion of voltage, current and VA; CPM and OSGP modules update the voltage's only (the "
            "guide names V-THD on both sides)",
        ),
        array(
            "drp_drc",
            12,
            [
                u16(
                    "drp",
                    "DRP",
                    at=A,
                    vci=M,
                    since="3.70",
                    unit="%",
                    scale="0.1",
                    doc="relative duration of transgression; the first of two indicators that the guide spells out alike",
                ),
                u16("drc", "DRC", at=_at(A, 2), vci=M, since="3.70", unit="%", scale="0.1", doc="the second indicator"),
                ltime_date(
                    "time",
                    "Time Stamp",
                    at=_at(A, 4),
                    vci=M,
                    since="3.70",
                    doc="when the record was made, give or take seconds; clock not stated, UTC likely as in all of ET09",
                ),
            ],
            "DRP/DRC Event Record",
            printed="ARRAY[12] of 10-byte records",
            since="3.70",
            doc="the last 12 times that the averages of the voltage (every 10 min) broke a threshold; OSGP meters only",
        ),
        u16(
            "sag2_seconds",
            "Sag2 Time Threshold",
            at=_at(A, 120),
            vci=H,
            since="4.10",
            unit="s",
            doc="second set of sag thresholds; 0: instantaneous values. A+10*12, which p. 67 calls A+12; OSGP meters only",
        ),
        u8(
            "sag2_threshold",
            "Sag2 Threshold",
            at=_at(A, 122),
            vci=H,
            since="4.10",
            unit="%",
            default="255",
            page=76,
            doc="under rated voltage",
        ),
        *_events("sag2", "Sag2", A, 123, "120 ms", since="4.10"),
        *_voltages("sag2", "Sag2", A, 147, "lowest", since="4.10"),
        u16(
            "average_current_interval",
            "Average Current Calculation Interval",
            at=_at(A, 159),
            vci=F,
            since="4.10",
            unit="s",
            default="600",
            doc="in step with the hour: a divisor of a minute, an hour or a day. The range is misprinted (43,1999), 43,199 "
            "perhaps",
        ),
        bits(
            "options",
            1,
            [
                flag(
                    "early_sag_surge_event",
                    0,
                    "Early Sag/Surge Event",
                    vci=H,
                    default="0",
                    doc="1: sags and surges are logged when they start too, not at their end alone",
                )
            ],
            "Options",
            at=_at(A, 161),
            since="4.21",
            page=77,
            doc="OSGP meters only",
        ),
    ],
    write="MAK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    doc="after the outage records 139 bytes follow before firmware 2.12, 144 before 3.10, 357 before 3.70; p. 68 introduces the "
    "keys as those of ET07",
)
