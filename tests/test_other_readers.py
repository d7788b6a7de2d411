"""Logs that other people's readers leave: partial reads of BT28 and BT23 without any dimension table.

The forms of the lines are those of the openHAB binding smartmeterosgp (its trace log hides the security packet) and of
ESPHome's UART debugger; the values of BT28 are a real meter's (tests/vectors/real_captures.json), those of BT23 made up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from osgp_fast.wire import c1218

from .conftest import Command

HERE = Path(__file__).parent
REAL = json.loads((HERE / "vectors" / "real_captures.json").read_text(encoding="utf-8"))["bt28_real_meter"]
BT28 = bytes.fromhex(REAL["data"])
BT23 = (12_345_678).to_bytes(4, "little") + (42).to_bytes(4, "little")


def answer(data: bytes) -> bytes:
    return bytes((0,)) + len(data).to_bytes(2, "big") + data + bytes((-sum(data) & 0xFF,))


def packets() -> Iterator[tuple[str, bytes]]:
    """A session as these readers make it: 10 present values and two summations, by partial reads."""
    asked = [
        (bytes((0x20,)), bytes((0, 0, 2, 0, 0))),
        (bytes((0x50, 0, 1)) + b"          ", bytes((0,))),
        (bytes((0x3F, 0, 28, 0, 0, 0, 0, 40)), answer(BT28[:40])),
        (bytes((0x3F, 0, 23, 0, 0, 0, 0, 8)), answer(BT23)),
        (bytes((0x52,)), bytes((0,))),
    ]
    for i, (request, response) in enumerate(asked):
        toggle = c1218.TOGGLE if i % 2 else 0
        yield "out", c1218.encode_packet(0, toggle, 0, request)
        yield "in", bytes((c1218.ACK,))
        yield "in", c1218.encode_packet(0, toggle, 0, response)
        yield "out", bytes((c1218.ACK,))


def openhab() -> str:
    """Its trace log: an ACK by its name, a hidden security packet, warnings between."""
    head = "2023-11-14 20:15:03.{n:03} [{level}] [rtmeterosgp.internal.SmartMeterOSGPHandler] - {text}"
    lines = [head.format(n=0, level="TRACE", text="Sending <Hidden>")]
    for n, (way, data) in enumerate(packets(), 1):
        if data == b"\x06":
            text = "Received ACK" if way == "in" else None
        else:
            text = f"{'Received' if way == 'in' else 'Sending'} {data.hex(' ').upper()} "
        if text is not None:
            lines.append(head.format(n=n, level="TRACE", text=text))
    lines.insert(4, head.format(n=2, level="WARN ", text="Received 0x00 and accepted as ACK"))
    return "\n".join(lines) + "\n"


def esphome() -> str:
    """The UART debugger: bytes with colons, arrows for the direction, no date."""
    lines = ["[20:15:02][C][osgp_meter:128]: OSGP Meter", "[20:15:02][C][osgp_meter:129]:   User ID: 1"]
    for way, data in packets():
        lines.append(f"[20:15:03][D][uart_debug:158]: {'<<<' if way == 'in' else '>>>'} {data.hex(':').upper()}")
    lines.append("[20:15:04][I][osgp_meter:126]: Table23 Fwd 12345.678 kWh Rev 0.042 kWh")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("log", [openhab, esphome], ids=lambda f: f.__name__)
def test_values_with_the_guides_defaults(osgp: Command, tmp_path: Path, log: object) -> None:
    path = tmp_path / "kitchen.log"
    path.write_text(log(), encoding="utf-8")  # type: ignore[operator]
    done = osgp.decode(path, "--what", "registers,measurements", "--assume-defaults")
    assert done.code == 0, done.err
    measurements = done.rows("measurements")
    assert [row["raw"] for row in measurements] == [
        int.from_bytes(BT28[4 * i : 4 * i + 4], "little", signed=True) for i in range(10)
    ]
    by_name = {row["quantity"]: (row["value"], row["unit"]) for row in measurements}
    assert by_name["fwd_active_w"] == (REAL["expected"]["fwd_active_W"], "W")
    assert by_name["rms_voltage_l1"] == (pytest.approx(REAL["expected"]["rms_voltage_mV"][0] / 1000), "V")
    assert by_name["rms_current_l3"] == (pytest.approx(REAL["expected"]["rms_current_mA"][2] / 1000), "A")
    registers = [(row["quantity"], row["unit"], row["value"], row["multiplier"]) for row in done.rows("registers")]
    assert registers == [("fwd_active_wh", "Wh", 12_345_678, None), ("rev_active_wh", "Wh", 42, None)]


def test_without_them_the_missing_table_is_named(osgp: Command, tmp_path: Path) -> None:
    path = tmp_path / "kitchen.log"
    path.write_text(openhab(), encoding="utf-8")
    done = osgp.decode(path, "--what", "registers,measurements")
    assert done.code == 1
    assert {row["code"] for row in done.rows("rejects")} == {"dimension.missing"}
    assert all("BT21" in row["reason"] for row in done.rows("rejects"))


def test_the_summary_says_for_which_meters(osgp: Command, tmp_path: Path) -> None:
    path = tmp_path / "kitchen.log"
    path.write_text(esphome(), encoding="utf-8")
    out = osgp("decode", path, "--assume-defaults").out
    assert "defaults: kitchen" in out
