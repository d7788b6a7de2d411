"""ET50: what MEP clients tell the meter: who they are, flags, values to show and to record, icons."""

from .._model import Field, M, array, bits, flag, ni_fmat1, octets, part, reserved, table

_ICONS = {0: "off", 1: "on", 2: "flashing, a second on and a second off"}
_ELEMENT = "(35 + 6 * ET11.22)"


def _icon(name: str, low: int, spec: str, doc: str) -> Field:
    return part(name, low, low + 3, spec, vci=M, default="0", enum=_ICONS, doc=doc)


ET50 = table(
    "ET50",
    "MEP Inbound Data Space",
    "MEP guide, ET50, p. 124; Optical guide, Table A.1, p. 61",
    [
        array(
            "client",
            "clients",
            [
                octets(
                    "identification",
                    30,
                    "Identification String (MEP ID)",
                    at="0",
                    vci=M,
                    default="0",
                    page=124,
                    printed="Array[30] of HEX",
                    doc="manufacturer id (3 bytes, the top bit of the first set: the rest is of this form), class (1 byte: "
                    "0 LonTalk, 1 ZigBee, 4 C-Band, 5 OSGP), N and N bytes of program id, M and M bytes of unique id, "
                    "then 24 - (N + M) zeros, not the 23 of p. 127: the six fixed bytes and these make 30",
                ),
                bits(
                    "flags",
                    1,
                    [
                        flag(
                            "registered",
                            0,
                            "MEP Device Registered",
                            vci=M,
                            default="0",
                            doc="set by the client when it announces itself; EP17 clears it; while 0, EP39 is refused",
                        ),
                        flag(
                            "et59_response",
                            1,
                            "ET59 Response",
                            vci=M,
                            default="0",
                            doc="1: responses of procedures go to ET59, 0: to BT08; of client 1 only, client 2 has ET85; "
                            "for clients from firmware 3.30 on (p. 51; 3.X on p. 124)",
                        ),
                        flag(
                            "mbus_alerts",
                            2,
                            "M-Bus Alerts",
                            vci=M,
                            default="0",
                            page=125,
                            doc="send alerts for control valve status and load profile",
                        ),
                        flag(
                            "delta_data_alerts",
                            3,
                            "Delta Data Alerts",
                            vci=M,
                            default="0",
                            doc="send alerts for the sources of ET71",
                        ),
                    ],
                    "MEP Flags",
                    at="30",
                    vci=M,
                    doc="written by the client, in spite of VCI M",
                ),
                array(
                    "icons",
                    "ET11.22",
                    [
                        bits(
                            "control",
                            2,
                            [
                                flag("euro", 0),
                                flag("dollar", 1),
                                flag("date", 2),
                                flag("time", 3),
                                flag("kvarh", 4),
                                flag("kwh", 5),
                                flag("kvar", 6),
                                flag("kw", 7),
                                flag("negative", 8),
                            ],
                            "Data Sources Icon Display Control",
                            at="31",
                            vci=M,
                            page=125,
                            doc="icons shown with the data source",
                        )
                    ],
                    "Data Sources Icon Display Control",
                    printed="Array[ET11.22] of UINT16",
                ),
                array(
                    "data",
                    "ET11.22",
                    [
                        ni_fmat1(
                            "value",
                            "Data For Display/Load Profile Sources",
                            at="31 + 2 * ET11.22",
                            vci=M,
                            page=126,
                            doc="what the client measured, for load profile and display",
                        )
                    ],
                    "Data For Display/Load Profile Sources",
                    printed="Array[ET11.22] of NI_FMAT1",
                    doc="ET11.22 is 6, or 20 on CPM 1.11 and later",
                ),
                bits(
                    "icon_control",
                    1,
                    [
                        _icon("house", 0, "House Icon", "on firmware 4.0 and later ET55 says which client drives it"),
                        _icon("short_bar", 4, "Short Bar", "reserved"),
                    ],
                    "MEP Icon Display Control",
                    at="31 + 6 * ET11.22",
                    printed="",
                    doc="EP17 clears the icons",
                ),
                bits(
                    "icon_control_2",
                    1,
                    [
                        _icon("medium_bar", 0, "Medium Bar", "reserved"),
                        _icon("long_bar", 4, "Long Bar", "reserved"),
                    ],
                    at="32 + 6 * ET11.22",
                    printed="",
                ),
                reserved(2, at="33 + 6 * ET11.22", vci=M, printed="UINT16"),
            ],
            "MEP Inbound Configuration",
            max=2,
            printed="ARRAY[ET11.34]",
            page=124,
        )
    ],
    write="MBK, MAK",
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    variables={"clients": f"ET11.34 ?? (size + {_ELEMENT} - 1) // {_ELEMENT}"},
    doc="an element per MEP client: ET11.34 of them from firmware 4.0 on, one where ET11 ends before offset 34; taken "
    "from the length of the read, since a size is all that both have; no element size is printed, the sum of rows is "
    "35 + 6 * ET11.22",
)
