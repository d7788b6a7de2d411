"""ET71: sources that the meter watches, to alert the MEP client when one changes by so much."""

from .._model import H, M, array, bits, flag, ni_fmat1, part, table, u16

ET71 = table(
    "ET71",
    "Delta Data Alerts",
    "MEP guide, ET71, p. 174; Optical guide, Table A.1, p. 62",
    [
        array(
            "delta",
            "ET11.27",
            [
                u16(
                    "source",
                    "Delta Data Monitor Source",
                    at="0",
                    vci=H,
                    default="255",
                    page=174,
                    enum={255: "entry not in use"},
                    doc="extended source ID",
                ),
                u16(
                    "configured_delta",
                    "Configured Delta",
                    at="2",
                    vci=H,
                    default="0",
                    page=175,
                    doc="change that gives an alert, in the source's unit; 0: none",
                ),
                ni_fmat1(
                    "comparison_value",
                    "Comparison Value",
                    at="4",
                    vci="M/H",
                    default="0",
                    doc="what the value is compared with; updated when the delta is met or exceeded, while the alert is "
                    "printed for exceeded only: at equality both may happen",
                ),
                ni_fmat1(
                    "sampled_value",
                    "Sampled Data Value",
                    at="8",
                    vci="M/H",
                    default="0",
                    doc="the value of the source, read about once a second",
                ),
                bits(
                    "status",
                    1,
                    [
                        flag("source_id_invalid", 0, "Source ID Invalid", vci=M, default="0"),
                        part(
                            "spares",
                            1,
                            7,
                            "Spares",
                            vci=M,
                            default="0",
                            doc="the Alert State bit of pp. 35 and 175 is in no row and may be one of these; ET13.8.4 "
                            "tells of an alert",
                        ),
                    ],
                    "Status",
                    at="12",
                    vci="M/H",
                ),
            ],
            "Delta Data",
            vci="M/H",
            printed="Array[ET11.27] of Delta Data",
        )
    ],
    write="MBK, MAK",
    optical_read="MK, PK, RK",
    since="3.40",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    doc="in RAM: the defaults come back at every power cycle; Appendix C calls it read-only and p. 13 does not let MBK "
    "write it, but its rows are there to be configured",
)
