"""ET61: when the control relays switch by themselves."""

from .._model import H, array, bits, part, table

ET61 = table(
    "ET61",
    "Time-Based Relay Control Calendar",
    "MEP guide, ET61, p. 166",
    [
        array(
            "relay",
            2,
            [
                array(
                    "switch",
                    "ET11.26",
                    [
                        bits(
                            "record",
                            2,
                            [
                                part(
                                    "relay_state",
                                    0,
                                    0,
                                    "Relay State",
                                    vci=H,
                                    printed="UINT(0)",
                                    enum={0: "open", 1: "closed"},
                                    doc="what the relay switches to",
                                ),
                                part("minute", 5, 10, "Minute", vci=H, doc="when it does; the clock is not stated"),
                                part("hour", 11, 15, "Hour", vci=H, printed="UINT(11..15)"),
                            ],
                            "RelayControlRcd",
                            at="0",
                            page=167,
                            printed="",
                            doc="bits 1..4 are filler; how an unused record looks is not stated",
                        )
                    ],
                    "Relay Switches",
                    printed="ARRAY[ET11.26] of RelayControlRcd",
                    doc="ET11.26 is their number (80), not their size as printed: up to ten a day, in blocks whose meaning "
                    "depends on a mode of ET05 that is not described",
                )
            ],
            "Relay Control",
            page=167,
            printed="ARRAY[2] of Relay Switches",
            doc="the second may be absent: a second relay is optional, and needs firmware 4.30",
        )
    ],
    write="MAK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    doc="listed neither in Appendix C nor in the Optical guide's Table A.1",
)
