"""ET47: overriding the tariff by hand."""

from .._model import UTC, ltime_date, table, u8, u32

ET47 = table(
    "ET47",
    "Calendar Override Settings",
    "MEP guide, ET47, p. 122; Optical guide, appendix A, p. 61",
    [
        u8(
            "tariff",
            "Tariff",
            at="0",
            vci="HD, HI",
            enum={255: "cancel the override"},
            default="255",
            page=122,
            doc="tariff to set: 0 to 3, to 7 where 8 tiers are supported (optional from 3.70, CPM 1.20)",
        ),
        u8(
            "cancellation",
            "Cancellation",
            at="1",
            vci="HD, HI",
            enum={
                0: "at the next tier switch of the calendar",
                1: "never",
                2: "after override_duration",
                3: "at cancellation_time",
            },
            page=123,
            doc="when the override ends; type 0 also ends at power-up where the tariff has changed since, and another of type "
            "2 starts its time anew",
        ),
        u32("override_duration", "Override Duration", at="2", vci="HD, HI", unit="s", doc="0: nothing is switched"),
        ltime_date(
            "cancellation_time",
            "Cancellation Time",
            at="6",
            vci="HD, HI",
            clock=UTC,
            doc="UTC, though the calendar itself switches by local time",
        ),
        u32(
            "calendar_id",
            "Calendar ID",
            at="12",
            vci="HD, HI",
            doc="in force during the override; has to be a valid one, agreed with the utility",
        ),
    ],
    write="MAK",
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    nvm=True,
    doc="has a pending table (6191), which HI means",
)
