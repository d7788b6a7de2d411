"""M-Bus readings: what devices sent, as others published it, comes out of ET16, ET45 and ET74."""

from __future__ import annotations

import json
import struct
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from both import IMPLEMENTATIONS, Row, decode, images
from hypothesis import given, settings
from hypothesis import strategies as st
from made import DAY, Set, billing_read, client_read, days, et11, et16, et36, et42, mbus_log, telegram
from osgp_fast import _impl
from osgp_fast.catalog.mbus import FIXED_UNITS, MEDIA, MODIFIERS, VIFS
from osgp_fast.image import TableImage
from osgp_fast.records import _telegram
from osgp_fast.reject import Reject

VECTORS = Path(__file__).parent / "vectors"
DOCS = Path(__file__).parent.parent / "docs" / "what-is-decoded.md"
PUBLISHED = json.loads((VECTORS / "mbus_telegrams.json").read_text(encoding="utf-8"))["telegrams"]
CAPTURES = json.loads((VECTORS / "real_captures.json").read_text(encoding="utf-8"))["mbus_readings"]

COMPILED = _impl.compiled()
both = pytest.mark.parametrize("implementation", IMPLEMENTATIONS)


def micros(when: datetime) -> int:
    return int(when.timestamp()) * 1_000_000


def readings(implementation: str, reads: dict[int, bytes], **more: bytes) -> tuple[list[Row], list[Reject]]:
    """The rows of an ET16 with these elements."""
    return decode(implementation, {2059: et11(), 2064: et16(reads), **{int(k[1:]): v for k, v in more.items()}}, "mbus")


# --- what others published


@both
def test_captures(implementation: str) -> None:
    """The readings stated beside the captures, with the time of each."""
    want = {
        "water": (
            datetime(2026, 8, 23, 0, 0, 1),
            [
                ("volume", "m3", 123.456),
                ("operating time storage 2", "d", 365.0),
                ("volume storage 1", "m3", 120.0),
                ("volume flow", "m3/h", 0.25),
            ],
        ),
        "heat": (
            datetime(2026, 8, 23, 0, 0, 2),
            [
                ("energy", "kWh", 4321.0),
                ("power", "W", 1500.0),
                ("volume flow", "m3/h", 0.25),
                ("flow temperature", "C", 45.6),
                ("return temperature", "C", 32.1),
                ("temperature difference", "K", 13.5),
            ],
        ),
        "fixed": (
            datetime(2026, 8, 23, 12, 34, 56),
            [("volume", "m3", 123456.0), ("volume storage 1", "m3", 654321.0)],
        ),
    }
    for name, (when, values) in want.items():
        rows, rejects = readings(implementation, {1: bytes.fromhex(CAPTURES[name]["hex"])})
        assert not rejects
        assert [(r["quantity"], r["unit"], r["value"]) for r in rows] == values
        since = (when - datetime(1970, 1, 1)) // timedelta(microseconds=1)
        assert {(r["time"], r["slot"], r["log"], r["handle"]) for r in rows} == {(since, 1, "ET16", None)}
        assert [r["record"] for r in rows] == list(range(len(rows)))
    assert {(r["serial"], r["medium"], r["manufacturer"]) for r in rows} == {("12345678", "water", None)}


#: What the publisher's units are in ours, and how many of theirs one of ours is.
UNITS = {
    ("Wh", "kWh"): 1e3,
    ("J", "MJ"): 1e6,
    ("m^3", "m3"): 1.0,
    ("m^3/h", "m3/h"): 1.0,
    ("W", "W"): 1.0,
    ("V", "V"): 1.0,
    ("A", "A"): 1.0,
    ("K", "K"): 1.0,
    ("°C", "C"): 1.0,
    ("s", "s"): 1.0,
    ("s", "min"): 60.0,
    ("s", "h"): 3600.0,
    ("s", "d"): 86400.0,
    ("Units for H.C.A.", "1"): 1.0,
    (None, "1"): 1.0,
    (None, None): 1.0,
    ("l", "m3"): 1e3,
    ("kWh", "kWh"): 1.0,
}
QUANTITIES = {
    "Time point (date & time)": "date time",
    "Time point (date)": "date",
    "H.C.A.": "heat cost allocation",
    "Fabrication No": "fabrication number",
    "(Enhanced) Identification": "identification",
    "Dimensionless": "dimensionless",
    "Parameter set identification": "parameter set",
    "Model / Version": "model version",
    "Special supplier information": "supplier information",
}
FUNCTIONS = {"Maximum value": "max", "Minimum value": "min", "Value during error state": "error"}
#: Extensions that make another thing of the value; the publisher looks at none of them.
OTHER = {m.word for m in MODIFIERS if m.effect in ("count", "date", "duration")}
NOTES = {m.word for m in MODIFIERS if m.effect == "note"}


def check_record(row: Row, want: dict[str, str]) -> None:
    value, unit = want.get("Value", ""), want.get("Unit")
    if want["Function"] in ("Manufacturer specific", "More records follow"):
        assert row["quantity"] == "manufacturer data"
        assert row["raw"][1:].hex(" ").upper() == value
        return
    quantity = want.get("Quantity", "")
    words = [FUNCTIONS[want["Function"]]] if want["Function"] in FUNCTIONS else []
    for word, key in (("storage", "StorageNumber"), ("tariff", "Tariff"), ("subunit", "Device")):
        if want.get(key, "0") != "0":
            words.append(f"{word} {want[key]}")
    assert row["quantity"].endswith(" ".join(words))
    base = row["quantity"].removesuffix(" ".join(words)).strip()
    factor = 1.0
    if quantity in ("Reserved", "Manufacturer specific"):
        assert base.startswith(("VIF ", "manufacturer specific"))
    elif base.startswith("plain text"):
        # The publisher gives a unit in words as the quantity.
        assert (row["unit"], unit) == (quantity, "-")
    else:
        ours = QUANTITIES.get(quantity, quantity.lower())
        assert base.startswith(ours)
        extension = base.removeprefix(ours).strip()
        assert extension in OTHER | NOTES | {""} or extension.startswith("manufacturer specific")
        if extension in OTHER:
            return
        factor = UNITS[(unit, row["unit"])] if base[:4] != "date" else 1.0
    if base.startswith("date"):
        assert row["value"] is None
        # A day or month of 0 is none, a year of 127 is every year; the publisher prints a date for them.
        none = "-00-" in value or value.startswith("1900") or row["raw"][-2:] == b"\xe1\xf1"
        assert row["text"] == (None if none else value.removesuffix("Z"))
    elif row["value"] is not None:
        assert row["value"] * factor == pytest.approx(float(value), rel=1e-9, abs=1.1e-6)
    elif row["text"] is not None and not set(row["text"]) <= set("0123456789ABCDEF"):
        # Digits that are none are hex here, and a made-up number there.
        assert row["text"] == value


@both
@pytest.mark.parametrize("vector", PUBLISHED, ids=[v["name"] for v in PUBLISHED])
def test_published_telegrams(implementation: str, vector: dict[str, Any]) -> None:
    body, fixed = bytes.fromhex(vector["telegram"]), vector["structure"] == "fixed"
    if not fixed:
        # The meter adds the 0 at the end and counts it.
        body += b"\0"
    rows, rejects = readings(implementation, {2: billing_read(bytes((len(body),)) + body, info=2 * fixed)})
    assert not rejects
    assert len(rows) == len(vector["records"])
    head = vector["head"]
    assert {r["serial"] for r in rows} == {"12345678"}
    assert {r["manufacturer"] for r in rows} == {head.get("Manufacturer")}
    assert {r["version"] for r in rows} == {int(head["Version"]) if "Version" in head else None}
    assert {r["status"] for r in rows} == {int(head["Status"], 16)}
    for row, want in zip(rows, vector["records"], strict=True):
        if fixed:
            unit = want["Unit"]
            factor = 1e3 if unit.startswith(("l", "reserved")) else 1.0
            assert row["value"] * factor == pytest.approx(float(want["Value"]))
        else:
            check_record(row, want)


def test_published_telegrams_are_of_many_media() -> None:
    assert len({v["head"]["Medium"] for v in PUBLISHED}) >= 8


# --- data records


@both
@pytest.mark.parametrize(
    ("data", "want"),
    [
        # Widths, signs, digits, real numbers.
        ("01 13 FF", ("volume", "m3", -0.001, None)),
        ("02 13 00 80", ("volume", "m3", -32.768, None)),
        ("03 13 FF FF 7F", ("volume", "m3", 8388.607, None)),
        ("04 13 01 00 00 80", ("volume", "m3", -2147483.647, None)),
        ("06 16 FF FF FF FF FF 7F", ("volume", "m3", 140737488355327.0, None)),
        ("07 16 00 00 00 00 00 00 00 80", ("volume", "m3", -9223372036854775808.0, None)),
        ("05 16 00 00 20 C1", ("volume", "m3", -10.0, None)),
        ("05 16 00 00 C0 7F", ("volume", "m3", None, None)),
        ("05 16 00 00 80 7F", ("volume", "m3", None, None)),
        ("09 16 42", ("volume", "m3", 42.0, None)),
        ("0A 16 34 12", ("volume", "m3", 1234.0, None)),
        ("0B 16 56 34 12", ("volume", "m3", 123456.0, None)),
        ("0E 16 12 90 78 56 34 12", ("volume", "m3", 123456789012.0, None)),
        ("0B 16 45 23 F1", ("volume", "m3", -12345.0, None)),
        ("0C 16 BD EB DD DD", ("volume", "m3", None, "DDDDEBBD")),
        ("0A 16 FF FF", ("volume", "m3", None, "FFFF")),
        ("00 16", ("volume", "m3", None, None)),
        ("08 16", ("volume", "m3", None, None)),
        # Variable length.
        ("0D 78 05 35 34 33 32 41", ("fabrication number", None, None, "A2345")),
        ("0D 16 C3 56 34 12", ("volume", "m3", 123456.0, None)),
        ("0D 16 D3 56 34 12", ("volume", "m3", -123456.0, None)),
        ("0D 16 E2 FE FF", ("volume", "m3", -2.0, None)),
        ("0D 16 C0", ("volume", "m3", None, None)),
        ("0D 16 F0" + "11" * 16, ("volume", "m3", None, None)),
        ("0D FD 11 00", ("customer", None, None, "")),
        # Function, storage, tariff, subunit.
        ("11 16 01", ("volume max", "m3", 1.0, None)),
        ("21 16 01", ("volume min", "m3", 1.0, None)),
        ("31 16 01", ("volume error", "m3", 1.0, None)),
        ("41 16 01", ("volume storage 1", "m3", 1.0, None)),
        ("C1 01 16 01", ("volume storage 3", "m3", 1.0, None)),
        ("91 20 3E 01", ("volume flow max tariff 2", "m3/h", 1.0, None)),
        ("81 40 16 01", ("volume subunit 1", "m3", 1.0, None)),
        ("D1 F1 65 16 01", ("volume max storage 163 tariff 11 subunit 3", "m3", 1.0, None)),
        (
            "C1 FF FF FF FF FF FF FF FF FF 7F 16 01",
            ("volume storage 2199023255551 tariff 1048575 subunit 1023", "m3", 1.0, None),
        ),
        # Units: powers of ten reach kWh, m3, W; others stay.
        ("01 00 01", ("energy", "kWh", 1e-6, None)),
        ("01 07 01", ("energy", "kWh", 10.0, None)),
        ("01 0E 05", ("energy", "MJ", 5.0, None)),
        ("01 FB 01 02", ("energy", "kWh", 2000.0, None)),
        ("01 FB 08 02", ("energy", "MJ", 200.0, None)),
        ("01 FB 0D 02", ("energy", "Mcal", 2.0, None)),
        ("01 FB 10 02", ("volume", "m3", 200.0, None)),
        ("01 26 02", ("operating time", "h", 2.0, None)),
        ("01 45 64", ("volume flow", "m3/min", 1.0, None)),
        ("01 6A 64", ("pressure", "bar", 10.0, None)),
        ("02 FD 48 FC 08", ("voltage", "V", 230.0, None)),
        ("02 FD 59 E8 03", ("current", "A", 1.0, None)),
        ("02 FB 2E F4 01", ("frequency", "Hz", 50.0, None)),
        ("02 FD 17 FF FF", ("error flags", None, 65535.0, None)),
        ("01 FD 27 01", ("storage interval", "d", 1.0, None)),
        ("01 6F 01", ("VIF 6F", None, 1.0, None)),
        ("01 FD 7C 01", ("VIF FD7C", None, 1.0, None)),
        ("01 7D 01", ("VIF 7D", None, 1.0, None)),
        # Plain text: right behind the VIF, or behind the VIFEs.
        ("02 FC 03 48 52 25 74 22 15", ("plain text", "%RH", 54.1, None)),
        ("02 FC 74 03 48 52 25 22 15", ("plain text", "%RH", 54.1, None)),
        ("01 7C 03 68 57 6B 07", ("plain text", "kWh", 7.0, None)),
        ("01 7C 00 07", ("plain text", None, 7.0, None)),
        # Dates.
        ("02 6C 6E 25", ("date", None, None, "2019-05-14")),
        ("04 6D 1E 08 61 19", ("date time", None, None, "2011-09-01T08:30:00")),
        ("04 6D 9E 08 61 19", ("date time", None, None, None)),
        ("04 6D 1E 28 E1 C9", ("date time", None, None, None)),
        ("04 6D 1E 28 41 C9", ("date time", None, None, "2098-09-01T08:30:00")),
        ("06 6D 2D 1E 08 61 19 00", ("date time", None, None, "2011-09-01T08:30:45")),
        ("06 6D 2D 9E 08 61 19 00", ("date time", None, None, None)),
        ("03 6D 2D 1E 17", ("date time", None, None, "23:30:45")),
        ("02 6C 00 00", ("date", None, None, None)),
        ("02 6C FF FF", ("date", None, None, None)),
        ("02 6C 7D 22", ("date", None, None, None)),
        ("02 6C 5D 22", ("date", None, None, None)),
        ("02 6C 9D 12", ("date", None, None, "2012-02-29")),
        ("02 6C 9C 52", ("date", None, None, "2044-02-28")),
        ("05 6D 00 00 80 3F", ("date time", None, None, None)),
        ("0A 6C 12 34", ("date", None, None, "3412")),
        # Extensions.
        ("01 93 22 05", ("volume per hour", "m3/h", 0.005, None)),
        ("01 AB C8 FF 22 05", ("power upper limit manufacturer specific 22", "W", 5.0, None)),
        ("01 AB 40 05", ("power lower limit", "W", 5.0, None)),
        ("01 AB 49 05", ("power exceeds of upper limit", "1", 5.0, None)),
        ("02 AB 4F 6E 25", ("power end of last exceed of upper limit", None, None, "2019-05-14")),
        ("01 AB 5E 05", ("power duration of last exceed of upper limit", "h", 5.0, None)),
        ("01 AB 61 05", ("power duration of first", "min", 5.0, None)),
        ("01 96 71 05", ("volume", "m3", 5e-5, None)),
        ("01 96 7D 05", ("volume", "m3", 5000.0, None)),
        ("01 96 78 05", ("volume", "m3", 5.001, None)),
        ("01 83 7B 05", ("energy", "kWh", 0.006, None)),
        ("01 96 15 05", ("volume", "m3", None, "no data available")),
        ("01 96 98 05 01", ("volume", "m3", None, "data error")),
        ("01 96 BE 3A 05", ("volume at base conditions uncorrected", "m3", 5.0, None)),
        ("01 96 3D 05", ("volume not metric", None, 5.0, None)),
        ("01 A8 FC 01 05", ("power phase L1", "W", 0.005, None)),
        ("01 96 11 05", ("volume VIFE 11", "m3", 5.0, None)),
        ("01 96 FC 7E 05", ("volume VIFE FC7E", "m3", 5.0, None)),
        ("01 FF 84 06 05", ("manufacturer specific 8406", None, 5.0, None)),
        ("01 7F 05", ("manufacturer specific", None, 5.0, None)),
        ("0C 78 07 20 18 00", ("fabrication number", None, 182007.0, "00182007")),
        ("04 78 FF FF FF FF", ("fabrication number", None, 4294967295.0, None)),
        # Fillers and what is the manufacturer's.
        ("2F 2F 01 16 01 2F", ("volume", "m3", 1.0, None)),
        ("0F 01 02", ("manufacturer data", None, None, None)),
        ("1F", ("manufacturer data", None, None, None)),
    ],
)
def test_records(implementation: str, data: str, want: tuple[Any, ...]) -> None:
    rows, rejects = readings(implementation, {0: billing_read(telegram(data))})
    assert not rejects
    assert [(r["quantity"], r["unit"], r["value"], r["text"]) for r in rows] == [want]


@both
def test_raw_is_the_record(implementation: str) -> None:
    rows, _ = readings(implementation, {0: billing_read(telegram("2F 04 13 40 E2 01 00 0D 78 02 31 32 0F AA 00 BB"))})
    assert [r["raw"].hex(" ").upper() for r in rows] == ["04 13 40 E2 01 00", "0D 78 02 31 32", "0F AA 00 BB"]


@both
def test_secrets_are_not_shown(implementation: str) -> None:
    rows, rejects = readings(
        implementation, {0: billing_read(telegram("0D FD 16 03 41 42 43 04 FD 19 01 02 03 04 01 16 01"))}
    )
    assert not rejects
    assert [(r["quantity"], r["value"], r["text"], r["raw"]) for r in rows] == [
        ("password", None, None, b"\x0d\xfd\x16"),
        ("security key", None, None, b"\x04\xfd\x19"),
        ("volume", 1.0, None, b"\x01\x16\x01"),
    ]


@pytest.mark.skipif(not DOCS.exists(), reason="not a source tree")
def test_the_vocabulary_is_documented() -> None:
    page = " ".join(DOCS.read_text(encoding="utf-8").split("## mbus")[1].split("\n## ")[0].split())
    for vif in (*VIFS, *FIXED_UNITS):
        assert f"`{vif.quantity}`" in page, vif.quantity
        assert vif.unit is None or vif.unit in page, vif.unit
    for modifier in MODIFIERS:
        if modifier.effect in ("note", "unit", "count"):
            assert f"`{modifier.word}`" in page, modifier.word


@both
def test_mode_2_is_most_significant_byte_first(implementation: str) -> None:
    data = "04 13 00 01 E2 40 0D 78 02 41 42 02 6C 25 6E"
    read = billing_read(telegram(data, "12345678", maker=0xE61E), info=1)
    rows, rejects = readings(implementation, {0: read})
    assert not rejects
    assert [(r["value"], r["text"]) for r in rows] == [(123.456, None), (None, "AB"), (None, "2019-05-14")]
    assert {(r["manufacturer"], r["serial"]) for r in rows} == {("GWF", "12345678")}
    body = bytes.fromhex("12345678 07 01 EC 7E 00000010 00000020")
    rows, _ = readings(implementation, {0: billing_read(b"\x10" + body, info=3)})
    assert [(r["quantity"], r["value"], r["serial"]) for r in rows] == [
        ("volume", 16.0, "12345678"),
        ("volume storage 1", 32.0, "12345678"),
    ]


@both
@pytest.mark.parametrize(
    ("units", "status", "medium", "want"),
    [
        ("05 69", 0, "heat", [("energy", "kWh", 10.0), ("volume", "m3", 0.02)]),
        ("45 7E", 2, "gas", [("energy storage 1", "kWh", 10.0), ("energy storage 1", "kWh", 20.0)]),
        ("3F C0", 1, "hot water", [("dimensionless", "1", 16.0), ("time", None, 32.0)]),
        ("0F 11", 0, "other", [("energy", "MJ", 100.0), ("energy", "MJ", 20000.0)]),
        ("3A BF", 0, "heat cost allocator", [("unit 3A", None, 10.0), ("dimensionless", "1", 20.0)]),
        ("30 F9", 0, "hot water", [("volume flow", "m3/h", 1e-4), ("heat cost allocation", "1", 20.0)]),
        ("78 F8", 0, "water", [("temperature", "C", 0.01), ("temperature", "C", 0.02)]),
        ("FF FF", 0, "medium 15", [("dimensionless", "1", 10.0), ("dimensionless", "1", 20.0)]),
    ],
)
def test_fixed_structure(
    implementation: str, units: str, status: int, medium: str, want: list[tuple[str, str | None, float]]
) -> None:
    body = bytes.fromhex(f"78563412 07 {status:02X} {units} 10000000 20000000")
    rows, rejects = readings(implementation, {0: billing_read(b"\x10" + body, info=2)})
    assert not rejects
    assert [(r["quantity"], r["unit"], pytest.approx(r["value"])) for r in rows] == want
    code = int(units[:2], 16) >> 6 | int(units[3:], 16) >> 6 << 2
    assert {r["medium"] for r in rows} == {_telegram.FIXED_MEDIA.get(code, f"medium {code}")}
    if status == 0 and code < 8:
        assert medium in MEDIA.values()


@both
@pytest.mark.parametrize(
    ("signature", "info", "data", "encrypted"),
    [
        (0x0500, 0x00, "16 13", True),
        (0x0500, 0x04, "01 16 05", True),
        (0x0500, 0x04, "2F 2F 01 16 05", False),
        (0x0500, 0x24, "2F 2F 01 16 05", True),
        (0x0300, 0x04, "01 16 05", False),
        (0x0300, 0x00, "01 16 05", True),
        (0x0700, 0x00, "01 16 05", True),
        (0x0D00, 0x00, "01 16 05", True),
        # Signatures of old devices that encrypt nothing.
        (0xFFFF, 0x00, "01 16 05", False),
        (0xB627, 0x00, "01 16 05", False),
        (0x0000, 0x00, "01 16 05", False),
    ],
)
def test_encrypted(implementation: str, signature: int, info: int, data: str, encrypted: bool) -> None:
    body = bytearray(telegram(data))
    body[11:13] = struct.pack("<H", signature)
    rows, rejects = readings(implementation, {0: billing_read(bytes(body), info)})
    assert not rejects
    if encrypted:
        assert [(r["quantity"], r["raw"], r["value"], r["serial"]) for r in rows] == [
            ("encrypted", bytes(body[1:]), None, "12345678")
        ]
    else:
        assert [(r["quantity"], r["value"]) for r in rows] == [("volume", 5.0)]


# --- ET16


@both
def test_slots_and_clients(implementation: str) -> None:
    reads = {
        0: billing_read(telegram("01 16 01")),
        3: billing_read(telegram("01 16 02", serial="11111111", medium=3), when=DAY + timedelta(hours=1)),
        4: client_read(b"hello"),
        5: client_read(b""),
    }
    rows, rejects = readings(implementation, reads)
    assert not rejects
    assert [(r["slot"], r["serial"], r["medium"], r["quantity"], r["value"], r["raw"]) for r in rows] == [
        (0, "12345678", "water", "volume", 1.0, b"\x01\x16\x01"),
        (3, "11111111", "gas", "volume", 2.0, b"\x01\x16\x02"),
        (4, None, None, "MEP data", None, b"hello"),
    ]
    assert [r["time"] for r in rows] == [micros(DAY), micros(DAY + timedelta(hours=1)), micros(DAY)]
    assert (rows[0]["manufacturer"], rows[0]["version"], rows[0]["status"]) == ("GWF", 1, 16)


@both
def test_several_telegrams(implementation: str) -> None:
    three = b"".join(telegram(f"01 16 0{i}") for i in (1, 2, 3))
    rows, rejects = readings(implementation, {0: billing_read(three)})
    assert not rejects
    assert [(r["record"], r["value"]) for r in rows] == [(0, 1.0), (1, 2.0), (2, 3.0)]


def et14(lengths: dict[int, int]) -> bytes:
    out = bytearray(6 + 6 * 36)
    for device, length in lengths.items():
        struct.pack_into("<H", out, 10 + 36 * device, length)
    return bytes(out)


@both
def test_what_is_left_of_an_older_read(implementation: str) -> None:
    one = telegram("01 16 01")
    old = telegram("01 16 09", serial="99999999")
    rows, rejects = readings(implementation, {0: billing_read(one + old)})
    assert [r["value"] for r in rows] == [1.0]
    assert [(r.code, r.item, r.offset, r.data[: len(old) - 1]) for r in rejects] == [
        ("mbus.other_device", "slot 0, record 1", 7 + len(one) + 1, old[1:])
    ]
    # ET14 says where the read ends, and so do leftovers of the same device.
    for rest in (old, telegram("01 16 09"), b"\x05\x01\x02"):
        rows, rejects = readings(implementation, {0: billing_read(one + rest)}, t2062=et14({0: 7 + len(one)}))
        assert [r["value"] for r in rows] == [1.0]
        assert not rejects
    rows, rejects = readings(implementation, {0: billing_read(one + one)}, t2062=et14({0: 7 + 2 * len(one)}))
    assert len(rows) == 2
    # Of no use where it contradicts the first telegram.
    assert len(readings(implementation, {0: billing_read(one)}, t2062=et14({0: 0}))[0]) == 1


@both
@pytest.mark.parametrize(
    ("data", "code", "kept", "lost"),
    [
        ("01 16 01 3F 01 02", "mbus.dif", 1, "3F 01 02 00"),
        ("01 16 01 8F 01 02", "mbus.dif", 1, "8F 01 02 00"),
        ("01 16 01 0D 16 CF 01", "mbus.lvar", 1, "0D 16 CF 01 00"),
        ("01 16 01 0D 16 F7 01", "mbus.lvar", 1, "0D 16 F7 01 00"),
        ("01 16 01 07 16 01", "mbus.record_incomplete", 1, "07 16 01 00"),
        ("01 16 01 84", "mbus.record_incomplete", 1, "84 00"),
        ("0D 78 20 31", "mbus.record_incomplete", 0, "0D 78 20 31 00"),
        ("81" + " 80" * 10 + " 00 16 01", "mbus.extensions", 0, "81" + " 80" * 10 + " 00 16 01 00"),
        ("01 96" + " 80" * 11 + " 00", "mbus.extensions", 0, "01 96" + " 80" * 11 + " 00 00"),
    ],
)
def test_broken_telegrams(implementation: str, data: str, code: str, kept: int, lost: str) -> None:
    good = telegram("01 16 07")
    rows, rejects = readings(implementation, {1: billing_read(telegram(data) + good)})
    assert [r["value"] for r in rows] == [1.0] * kept + [7.0]
    (reject,) = rejects
    assert (reject.code, reject.table, reject.item) == (code, 2064, f"slot 1, record {kept}")
    assert reject.data.hex(" ").upper() == lost
    at = reject.offset or 0
    assert et16({1: billing_read(telegram(data) + good)})[at : at + reject.length] == reject.data
    assert "ET16, slot 1" in reject.reason


@both
def test_telegrams_that_do_not_fit(implementation: str) -> None:
    many = telegram("04 13 40 E2 01 00" * 39)
    read = billing_read(many * 3)
    rows, rejects = readings(implementation, {0: read[:517]})
    assert len(rows) == 2 * 39
    assert [(r.code, r.item, r.offset, r.data) for r in rejects] == [("mbus.cut", "slot 0, record 78", 516, b"\x04")]
    # Entries of 500 bytes: the second telegram is cut within a record.
    rows, rejects = decode(implementation, {2059: et11(5, 500), 2064: et16({0: read[:500]}, 5, 500)}, "mbus")
    assert len(rows) == 39 + (500 - 7 - 2 * 1 - len(many) + 1 - 12) // 6
    assert [(r.code, r.item) for r in rejects] == [("mbus.cut", f"slot 0, record {len(rows)}")]
    assert rejects[0].offset == 500 - len(rejects[0].data)
    short = billing_read(b"\x05\x01\x02\x03\x04\x05" + telegram("01 16 01"))
    rows, rejects = readings(implementation, {0: short})
    assert [r["value"] for r in rows] == [1.0]
    assert [(r.code, r.data) for r in rejects] == [("mbus.telegram", b"\x01\x02\x03\x04\x05")]


@both
def test_client_data_that_does_not_fit(implementation: str) -> None:
    rows, rejects = readings(implementation, {4: client_read(bytes([7]) * 600)[:517]})
    assert [len(r["raw"]) for r in rows] == [506]
    assert [(r.code, r.item, r.length, len(r.data)) for r in rejects] == [("mbus.cut", "slot 4", 600, 506)]


@both
def test_times(implementation: str) -> None:
    one = telegram("01 16 01")
    for stamp, time, codes in (
        (bytes(6), None, []),
        (b"\xff" * 6, None, []),
        (bytes((24, 13, 1, 0, 0, 0)), None, ["mbus.time"]),
    ):
        rows, rejects = readings(implementation, {0: stamp + b"\0" + one})
        assert [(r["time"], r["value"]) for r in rows] == [(time, 1.0)]
        assert [r.code for r in rejects] == codes


@both
def test_empty_elements_are_nothing(implementation: str) -> None:
    for filling in (b"\0", b"\xff"):
        rows, rejects = decode(implementation, {2059: et11(), 2064: filling * 517 * 6}, "mbus")
        assert (rows, rejects) == ([], [])


@both
def test_parts_of_et16(implementation: str) -> None:
    whole = et16({1: billing_read(telegram("01 16 01 01 16 02")), 2: billing_read(telegram("01 16 03"))})
    dimensions = images({2059: et11()})

    def part(start: int, end: int) -> tuple[list[float], list[str]]:
        image = TableImage(meter="m", table=2064, offset=start, data=whole[start:end], whole=False)
        rows, rejects = decode(implementation, [*dimensions, image], "mbus")
        return [r["value"] for r in rows], [r.code for r in rejects]

    # As much as its length byte asks for is enough.
    assert part(517, 517 + 7 + 20) == ([1.0, 2.0], [])
    assert part(517, 517 + 7 + 16) == ([1.0], ["mbus.entry_incomplete"])
    assert part(517, 517 + 7) == ([], ["mbus.entry_incomplete"])
    assert part(517 + 3, 3 * 517) == ([3.0], ["mbus.entry_incomplete"])
    assert part(1034, 2068) == ([3.0], [])


@both
def test_dimensions_of_et16(implementation: str) -> None:
    table = et16({0: billing_read(telegram("01 16 01"))})
    rows, rejects = decode(implementation, {2064: table}, "mbus")
    assert not rows
    assert [(r.code, r.table) for r in rejects] == [("dimension.missing", 2064)]
    assert "ET11" in rejects[0].reason
    rows, rejects = decode(implementation, {2059: et11(), 2064: table[:1000]}, "mbus")
    assert len(rows) == 1
    assert [(r.code, r.item, r.offset) for r in rejects] == [("table.too_short", "slot 2", 1000)]
    rows, rejects = decode(implementation, {2059: et11(6, 7), 2064: table}, "mbus")
    assert [r.code for r in rejects] == ["mbus.entry_size"]


@both
def test_every_read_is_a_row_set(implementation: str) -> None:
    reads = [
        TableImage(
            meter="m",
            table=2064,
            data=et16({0: billing_read(telegram(f"01 16 0{i}"))}),
            whole=True,
            read_at=i,
        )
        for i in (1, 2)
    ]
    rows, _ = decode(implementation, [*images({2059: et11()}), *reads], "mbus")
    assert [(r["read_at"], r["value"]) for r in rows] == [(1, 1.0), (2, 2.0)]


# --- ET45, ET74

SET = Set(days(2), sources=(0, 1))
LOG = [(7, billing_read(telegram(f"01 16 0{i}"), when=DAY + timedelta(days=i))) for i in range(1, 6)]


@both
@pytest.mark.parametrize("table", [2093, 2122])
def test_logs_oldest_first(implementation: str, table: int) -> None:
    tables = {
        2084: et36(entries=5),
        2102: bytes(69) + struct.pack("<H", 5) + bytes(10),
        table: mbus_log([*LOG[:3], (1000, client_read(b"abc"))], 5, newest=1, table=table),
    }
    rows, rejects = decode(implementation, tables, "mbus")
    assert not rejects
    assert [(r["slot"], r["handle"], r["value"], r["raw"]) for r in rows] == [
        (3, 7, 1.0, b"\x01\x16\x01"),
        (4, 7, 2.0, b"\x01\x16\x02"),
        (0, 7, 3.0, b"\x01\x16\x03"),
        (1, 1000, None, b"abc"),
    ]
    assert {r["log"] for r in rows} == {"ET45" if table == 2093 else "ET74"}
    assert rows[0]["time"] == micros(DAY + timedelta(days=1))


@both
def test_the_length_of_an_entry_ends_its_telegrams(implementation: str) -> None:
    one = billing_read(telegram("01 16 01"))
    log = bytearray(mbus_log([(7, one)], 2, newest=0))
    log[6 + 8 + len(one) : 6 + 8 + 2 * len(one) - 7] = telegram("01 16 09")
    for longer in (0, 2, 4):
        # By our reading, and by those that count from later fields on.
        struct.pack_into("<H", log, 6, len(one) + 6 - longer)
        rows, rejects = decode(implementation, {2084: et36(2), 2093: bytes(log)}, "mbus")
        assert ([r["value"] for r in rows], rejects) == ([1.0], [])


@both
def test_dimensions_of_logs(implementation: str) -> None:
    log = {2093: mbus_log(LOG[:2], 5, newest=1)}
    rows, rejects = decode(implementation, log, "mbus")
    assert not rows
    assert [(r.code, "ET36" in r.reason) for r in rejects] == [("dimension.missing", True)]
    # ET36 without ET45, and another table's record: ET42's copy.
    logs = bytearray(et42([SET], [SET.sources]))
    assert logs[3] == 2
    with_logs = (
        bytes(logs[:3]) + b"\x05" + bytes(logs[4:41]) + bytes(12) + struct.pack("<BH", 5, 525) + bytes(logs[47:])
    )
    for more in ({}, {2084: et36(log=45)}):
        rows, rejects = decode(implementation, {**log, **more, 2090: with_logs}, "mbus")
        assert ([r["value"] for r in rows], rejects) == ([1.0, 2.0], [])
    extended = {2122: mbus_log(LOG[:2], 5, newest=1, table=2122), 2084: et36(5)}
    rows, rejects = decode(implementation, extended, "mbus")
    assert [(r.code, "ET54" in r.reason) for r in rejects] == [("dimension.missing", True)]


@both
def test_assumed_dimensions(implementation: str) -> None:
    """ET11's and ET36's defaults: 517 bytes of a device, 525 of an entry, as many entries as were read."""

    def values(of: dict[int, bytes] | list[TableImage]) -> list[float]:
        rows, rejects = decode(implementation, of, "mbus", assume_defaults=True)
        assert not rejects
        return [r["value"] for r in rows]

    table = et16({0: billing_read(telegram("01 16 01")), 5: client_read(b"abc")})
    assert values({2064: table}) == [1.0, None]
    second = et16({1: billing_read(telegram("01 16 02"))})
    assert values([TableImage(meter="m", table=2064, offset=517, data=second[517:600], whole=False)]) == [2.0]
    for number in (2093, 2122):
        log = mbus_log(LOG[:3], 4, newest=1, table=number)
        assert values({number: log}) == [1.0, 2.0, 3.0]
        part = TableImage(meter="m", table=number, data=log, whole=False)
        rows, rejects = decode(implementation, [part], "mbus", assume_defaults=True)
        assert (rows, [r.code for r in rejects]) == ([], ["dimension.missing"])
    # The size of an entry is known, their number is not.
    small = mbus_log(LOG[:2], 3, newest=0, table=2122, size=60)
    assert values({2122: small, 2084: et36(3, 60)}) == [1.0, 2.0]


@both
def test_wrong_headers(implementation: str) -> None:
    log = bytearray(mbus_log(LOG[:2], 5, newest=1))
    for at, value, code in ((1, 6, "mbus.count"), (2, 5, "mbus.last_entry")):
        bad = bytearray(log)
        bad[at] = value
        rows, rejects = decode(implementation, {2084: et36(5), 2093: bytes(bad)}, "mbus")
        assert (rows, [r.code for r in rejects]) == ([], [code])
    rows, rejects = decode(implementation, {2084: et36(5, size=15), 2093: bytes(log)}, "mbus")
    assert [r.code for r in rejects] == ["mbus.entry_size"]
    rows, rejects = decode(implementation, {2084: et36(5), 2093: bytes(log[:4])}, "mbus")
    assert [r.code for r in rejects] == ["mbus.log_header"]
    rows, rejects = decode(implementation, {2084: et36(5), 2093: bytes(log[: 6 + 600])}, "mbus")
    assert [r.code for r in rejects] == []
    assert [r["value"] for r in rows] == [1.0, 2.0]
    rows, rejects = decode(implementation, {2084: et36(5), 2093: bytes(log[: 6 + 530])}, "mbus")
    assert [r.code for r in rejects] == ["mbus.entry_incomplete"]
    rows, rejects = decode(implementation, {2084: et36(5), 2093: bytes(log[:300])}, "mbus")
    assert [(r.code, r.item) for r in rejects] == [("table.too_short", "entry 1")]
    assert not decode(implementation, {2084: et36(5), 2093: bytes(6)}, "mbus")[1]


@both
def test_slots_beyond_a_byte(implementation: str) -> None:
    size = 40
    reads = [(7, billing_read(telegram(f"01 16 {i:02X}"))) for i in range(1, 4)]
    tables = {2084: et36(200, size), 2093: mbus_log(reads, 200, newest=128, size=size)}
    rows, rejects = decode(implementation, tables, "mbus")
    assert not rejects
    assert [(r["slot"], r["value"]) for r in rows] == [(126, 1.0), (127, 2.0), (-1, 3.0)]


# --- any bytes

CODES = sorted({code for v in VIFS for code in (v.first, v.last)})
pieces = st.one_of(
    st.binary(max_size=6),
    st.sampled_from(
        [
            b"\x04\x13\x40\xe2\x01\x00",
            b"\x0d\x78\x02AB",
            b"\x2f",
            b"\x0f",
            b"\xfd",
            b"\xfb",
            b"\xfc\x74\x01A",
            b"\x8d\x10",
        ]
    ),
    st.builds(
        lambda dif, vif, data: bytes((dif, vif)) + data,
        st.integers(0, 255),
        st.sampled_from(CODES),
        st.binary(max_size=8),
    ),
    st.builds(
        lambda dif, vif, vifes: bytes((dif, vif | 0x80, *vifes)),
        st.integers(0, 15),
        st.integers(0, 127),
        st.binary(max_size=3),
    ),
)


@settings(max_examples=400)
@given(st.lists(pieces, max_size=12).map(b"".join), st.integers(0, 63), st.booleans())
def test_any_telegram(data: bytes, info: int, whole: bool) -> None:
    """Records and the part that broke off are all of the telegram; both implementations say the same."""
    body = telegram(data[:200])[1:]
    if len(body) >= _telegram.head_size(info):
        _, found, broken = _telegram.parse(body, info, whole=whole)
        assert all(r.raw in body for r in found)
        assert broken is None or 12 <= broken.at < len(body)
    read = billing_read(telegram(data[:200]) + data[:100], info)
    outcomes = [
        decode(p if isinstance(p, str) else str(p.values[0]), {2059: et11(), 2064: et16({0: read})}, "mbus")
        for p in IMPLEMENTATIONS
        if isinstance(p, str) or COMPILED
    ]
    assert all(o == outcomes[0] for o in outcomes)
