"""BT15: the constants that the meter applies to what it measures, the ratios of its transformers above all."""

from .._model import H, bits, flag, ni_fmat1, table

BT15 = table(
    "BT15",
    "Constants",
    "MEP guide, BT15, p. 199; Optical guide, Table A.1, p. 60",
    [
        ni_fmat1("multiplier", "Multiplier", at="0", vci=H, page=200, doc="adjusts meter data; no scale is printed"),
        ni_fmat1("offset", "Offset", at="4", vci=H, doc="added to or subtracted from meter data"),
        bits(
            "flags",
            1,
            [flag("applied", 0, "Applied", vci=H, default="False", doc="whether the two ratios are in effect")],
            at="8",
        ),
        ni_fmat1("ct_ratio", "CT Ratio", at="9", vci=H, doc="current transformer ratio, taken as a plain integer"),
        ni_fmat1("vt_ratio", "VT Ratio", at="13", vci=H, doc="voltage transformer ratio, taken as a plain integer"),
    ],
    write="MAK",
    optical_read="MK, PK, RK",
    clients="OSGP meter, CPM 0600, CPM 6000, CPM 6010",
    doc="of an electricity meter (BT00.7 = 2), the only layout that is printed. The registers of BT23 to BT26 include the "
    "ratios; the values of BT28 do not, but for those whose names say so: never multiply by these",
)
