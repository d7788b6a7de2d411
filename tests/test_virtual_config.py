"""The configuration of the virtual meter: from TOML, from its page, and what is wrong with it said."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from osgp_fast import UsageError
from osgp_fast.virtual import DataSet, Firmware, MeterConfig, from_document, load, mep_key, optical_key
from osgp_fast.virtual.config import _KEYS, Channel, moment
from osgp_fast.virtual.faults import parse

DOCS = Path(__file__).resolve().parent.parent / "docs"


def test_the_example_changes_everything() -> None:
    config, plain = load(DOCS / "virtual-meter.toml"), MeterConfig()
    for field in fields(MeterConfig):
        assert getattr(config, field.name) != getattr(plain, field.name), field.name
    for nested in ("demands", "happenings", "keys"):
        for field in fields(getattr(config, nested)):
            assert getattr(getattr(config, nested), field.name) != getattr(getattr(plain, nested), field.name), field
    assert config.keys.pk == b"provisioning key, 20"
    assert config.sets[0].start == 23 * 60
    assert config.start == datetime(2024, 3, 30, 22, tzinfo=UTC)
    assert str(config.firmware) == "3.70.01"


def test_the_page_tells_of_every_key() -> None:
    page = (DOCS / "virtual-meter.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_.]+)`", page))
    keys = {f"{section}.{key}" for section, names in _KEYS.items() for key in names}
    for section, kind in (("demand", "demands"), ("happenings", "happenings"), ("keys", "keys")):
        keys |= {f"{section}.{f.name}" for f in fields(getattr(MeterConfig(), kind))}
    keys |= {"meter.firmware", "mbus.recurring_reads"}
    keys |= {f"profile.{key}" for key in ("sources", "interval", "intervals", "blocks", "start")}
    keys |= {f"mbus.device.{key}" for key in ("kind", "serial", "manufacturer")}
    assert not keys - named


def test_no_file_is_the_default() -> None:
    assert from_document({}) == MeterConfig()
    assert "MK-of" not in repr(MeterConfig())


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"metre": {}}, "metre"),
        ({"meter": 5}, "meter"),
        ({"meter": {"phases": 2}}, "[meter] phases"),
        ({"meter": {"phase": 1}}, "[meter] phase"),
        ({"meter": {"seed": "1"}}, "[meter] seed"),
        ({"meter": {"seed": True}}, "[meter] seed"),
        ({"meter": {"serial": "A1"}}, "[meter] serial"),
        ({"meter": {"energy_register_unit": 10}}, "3.70"),
        ({"meter": {"firmware": "3.70"}, "tariff": {"tiers": 5}}, "[tariff] tiers"),
        ({"tariff": {"in_use": 5}}, "[tariff] in_use"),
        ({"clock": {"start": "yesterday"}}, "[clock] start"),
        ({"clock": {"start": 5}}, "[clock] start"),
        ({"clock": {"time_zone": 7}}, "[clock] time_zone"),
        ({"profile": {}}, "[[profile]]"),
        ({"profile": [{}]}, "[[profile]] sources"),
        ({"profile": [{"sources": [0], "interval": 7}]}, "[[profile]] interval"),
        ({"profile": [{"sources": [0], "interval": "15"}]}, "[[profile]] interval"),
        ({"profile": [{"sources": [0], "start": "25:00"}]}, "[[profile]] start"),
        ({"profile": [{"sources": [0], "length": 7}]}, "[[profile]] length"),
        ({"profile": [{"sources": []}]}, "[[profile]] sources"),
        ({"profile": [{"sources": ["mbus1.0"]}]}, "M-Bus"),
        ({"profile": [{"sources": ["mbus9.0"]}]}, "mbus9.0"),
        ({"profile": [{"sources": [0], "intervals": 0}]}, "[[profile]] intervals"),
        ({"profile": [{"sources": [0], "blocks": 0}]}, "[[profile]] blocks"),
        ({"meter": {"firmware": "3.10"}, "profile": [{"sources": [0]}] * 2}, "1 data set"),
        ({"demand": {"sources": [9]}}, "[demand] sources"),
        ({"demand": {"sources": 0}}, "[demand] sources"),
        ({"demand": {"sources": [0], "coincidents": [[0, 1]]}}, "[demand] coincidents"),
        ({"demand": {"interval": 7}}, "[demand] interval"),
        ({"demand": {"coincidents": [0]}}, ""),
        ({"happenings": {"outages": "often"}}, "[happenings] outages"),
        ({"mbus": {"device": [{"kind": "steam"}]}}, "[[mbus.device]] kind"),
        ({"mbus": {"device": [{"serial": "1"}]}}, "[[mbus.device]] serial"),
        ({"mbus": {"device": [{"manufacturer": "abc"}]}}, "[[mbus.device]] manufacturer"),
        ({"mbus": {"device": [{}] * 5}}, "4 devices"),
        ({"keys": {"mk": 5}}, "keys"),
        ({"keys": {"xk": "a"}}, "[keys] xk"),
        ({"optical": {"packet_size": 10}}, "[optical] packet_size"),
        ({"optical": {"bauds": []}}, "[optical] bauds"),
        ({"optical": {"bauds": ["fast"]}}, "[optical] bauds"),
        ({"events": {"entries": 0}}, "[events] entries"),
        ({"self_reads": {"when": "hourly"}}, "[self_reads] when"),
    ],
)
def test_what_is_wrong_is_said(document: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as error:
        from_document(document)
    assert error.value.code == "virtual.config"
    assert words in str(error.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[meter\n")
    for name in ("missing.toml", "bad.toml"):
        with pytest.raises(UsageError) as error:
            load(tmp_path / name)
        assert error.value.code == "virtual.file"
        assert name in str(error.value)


@pytest.mark.parametrize("text", ["", "3", "1.20", "3.128", "3.50.32", "newest", "99.0"])
def test_versions_that_are_none(text: str) -> None:
    with pytest.raises(UsageError) as error:
        Firmware.parse(text)
    assert error.value.code == "virtual.firmware"


def test_keys() -> None:
    assert optical_key("text") == b"text".ljust(20, b"\0")
    assert optical_key("00" * 20) == bytes(20)
    assert optical_key("x" * 20) == b"x" * 20
    assert mep_key("00112233445566778899aabbccddeeff")[:2] == b"\0\x11"
    for make, text in (
        (optical_key, ""),
        (optical_key, "x" * 21),
        (optical_key, "€"),
        (mep_key, "00"),
        (mep_key, "xyz"),
    ):
        with pytest.raises(UsageError) as error:
            make(text)
        assert error.value.code == "virtual.key"
        assert not text or text not in str(error.value)


def test_sizes_of_a_data_set() -> None:
    ds = DataSet(sources=(Channel(0), Channel(1), Channel(2)), interval=1440, intervals=10)
    # 5 of end time, 2 of simple status; 2 of status and 12 of values (MEP guide p. 239).
    assert (ds.code, ds.header_size, ds.interval_size, ds.block_size) == (84, 7, 14, 147)


def test_moments_are_utc() -> None:
    assert moment("2024-06-01T12:00:00+02:00") == datetime(2024, 6, 1, 10, tzinfo=UTC)
    assert moment("2024-06-01T12:00") == datetime(2024, 6, 1, 12, tzinfo=UTC)


def test_faults() -> None:
    found = parse("loss=5%, flip=0.01,shared-port,longest-delay=1.5")
    assert (found.faults.lose, found.faults.flip, found.faults.delay_s, found.shared_port) == (0.05, 0.01, 1.5, True)
    assert not parse("").faults.any
    for text in ("loss", "loss=x", "loss=120%", "loss=-1", "gremlins=5%", "shared-port=1", "loss=nan"):
        with pytest.raises(UsageError) as error:
            parse(text)
        assert error.value.code == "virtual.fault"
