"""ET51: how the meter treats its MEP clients, and how long an optical session may keep them waiting."""

from .._model import H, array, bits, flag, table, u8, u16

_MOVED = "on firmware 4.0 and later with both MEP ports enabled (ET54.0.8) the field of ET55 counts instead"

ET51 = table(
    "ET51",
    "MEP Device Configuration",
    "MEP guide, ET51, p. 127; Optical guide, ET51, p. 14",
    [
        array(
            "client",
            "clients",
            [
                bits(
                    "flags",
                    1,
                    [
                        flag(
                            "optical_dos_timer",
                            0,
                            "Enable Optical D.O.S. Timer",
                            vci=H,
                            default="True",
                            doc="end optical sessions that last too long, so that the client gets the port back; the "
                            f"printed default contradicts p. 20 (disabled) and ET55 (FALSE): read the bit; {_MOVED}",
                        ),
                        flag(
                            "monitor_health",
                            1,
                            "Monitor MEP Health",
                            vci=H,
                            default="False",
                            doc="watch the client's requests, to tell in ET14 whether it is up",
                        ),
                        flag(
                            "reset_when_down",
                            2,
                            "Reset Device Down MEP",
                            vci=H,
                            default="False",
                            since="3.40",
                            doc="reset a client that was silent for the health timeout",
                        ),
                        flag(
                            "reset_now",
                            3,
                            "Reset MEP Now",
                            vci=H,
                            default="False",
                            since="3.60",
                            since_cpm="1.20",
                            doc="setting it toggles the reset line; the meter clears it",
                        ),
                        flag("disable_mep", 7, "Disable MEP", vci=H, default="False", doc="no MEP operation at all"),
                    ],
                    "MEP Flags",
                    at="0",
                    vci=H,
                    page=128,
                    doc="bits 4..6 are unused",
                ),
                u16(
                    "health_timeout",
                    "MEP Health Timeout",
                    at="1",
                    vci=H,
                    unit="s",
                    default="60",
                    page=129,
                    doc="silence after which the client counts as down",
                ),
                u8(
                    "on_demand_timeout",
                    "On-demand and One-Time Read Timeout",
                    at="3",
                    vci=H,
                    unit="s",
                    default="30",
                    doc="after which an entry of ET15 or ET20 is given up as not answered",
                ),
                u16(
                    "optical_session_timeout",
                    "Optical Session Timeout",
                    at="4",
                    vci=H,
                    unit="s",
                    default="600",
                    doc=f"longest optical session while the timer is enabled; {_MOVED}",
                ),
                u16(
                    "optical_session_hold_off",
                    "Optical Session Hold-Off",
                    at="6",
                    vci=H,
                    unit="s",
                    default="300",
                    doc=f"how long no optical session is accepted after one was ended so; {_MOVED}",
                ),
                u8(
                    "down_reset_duration",
                    "MEP Down Reset Duration",
                    at="8",
                    vci=H,
                    unit="s",
                    default="1",
                    since="3.40",
                    doc="how long the reset line of a down client is held; 0 means 1",
                ),
                bits(
                    "han",
                    1,
                    [
                        flag(
                            "deactivate",
                            0,
                            "Deactivate HAN",
                            vci=H,
                            since="3.70",
                            since_cpm="1.20",
                            page=130,
                            enum={0: "activate", 1: "deactivate"},
                            doc="for the client to read: what to do with the home network that it controls; the Optical "
                            "guide sends firmware 4.0 and later to a field of ET55 that neither guide has",
                        )
                    ],
                    at="9",
                    printed="",
                    page=130,
                    doc="bits 1..7 are unused",
                ),
            ],
            "MEP Device Configuration",
            max=2,
            printed="ARRAY[ET11.34]",
            page=128,
        )
    ],
    write="MBK, MAK",
    optical_read="MK, PK",
    optical_write="MK, PK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    nvm=True,
    variables={"clients": "ET11.34 ?? (size + 9) // 10"},
    doc="an element per MEP client: ET11.34 of them from firmware 4.0 on, one where ET11 ends before offset 34; taken "
    "from the length of the read; no element size is printed, the last byte is 9",
)
