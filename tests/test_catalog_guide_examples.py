"""The MEP guide's worked example (pp. 45-53) through the catalogue's rows: what it says of its bytes is what they say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from osgp_fast.catalog import PROCEDURES, TABLES, _expr
from osgp_fast.catalog._model import Table
from osgp_fast.catalog._ped import pending_event
from osgp_fast.catalog.named import NAMED_PROCEDURES, NAMED_TABLES
from osgp_fast.layout import MissingDimension, integer, resolve

VECTORS = Path(__file__).parent / "vectors" / "official_vectors.json"
MESSAGES = {v["name"]: v for v in json.loads(VECTORS.read_text(encoding="utf-8"))["mep_rc4"]}
# The start of ET11 in the example (p. 49), and the values that the guide prints for what it does not show.
DIMENSIONS = {
    **{f"ET11.{i}": v for i, v in enumerate(bytes.fromhex("0542240506"))},
    "ET11.11": 25,
    "ET11.20": 65,
}


class Fixed:
    """Dimensions that are given."""

    def __init__(self, values: Mapping[str, int]) -> None:
        self.values = values

    def value(self, ref: _expr.Ref, index: tuple[int, ...]) -> int:
        name = f"{ref.table}.{ref.key}"
        if name not in self.values:
            raise MissingDimension(ref.table)
        return self.values[name]

    def length(self, table: str) -> int:
        raise MissingDimension(table)

    def gen4(self) -> int:
        return 0


class Decoded:
    """The fields of some bytes of a table."""

    def __init__(self, table: Table, data: bytes) -> None:
        self.data = data
        self.layout = resolve(table, len(data), Fixed(DIMENSIONS), data=self.get)

    def get(self, offset: int, size: int) -> bytes | None:
        raw = self.data[offset : offset + size]
        return raw if len(raw) == size else None

    def number(self, path: str, *index: int) -> int | None:
        leaf = self.layout.find(path)
        assert leaf is not None, path
        return integer(leaf, index, self.get)

    def bytes(self, path: str, *index: int) -> bytes | None:
        leaf = self.layout.find(path)
        assert leaf is not None, path
        return self.get(leaf.at(*index), leaf.size)


def table_data(name: str, direction: str) -> bytes:
    """The table data of a write, or of the response to a read."""
    raw = bytes.fromhex(MESSAGES[name][direction])
    start = 5 if direction == "response" else 10 if raw[2] == 0x4F else 7
    return raw[start : start + int.from_bytes(raw[start - 2 : start], "big")]


def records(raw: bytes | None) -> list[bytes]:
    """The messages of a record list, as the row's words say."""
    assert raw is not None
    out, at = [], 0
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 2], "little")
        out.append(raw[at + 2 : at + 2 + size])
        at += 2 + size
    return out


def responses() -> list[bytes]:
    """The table data of the six reads of the example."""
    data = table_data("ET53 whole", "response")
    transaction = Decoded(TABLES["ET53"], data)
    assert transaction.number("transaction_size") == len(data) == 111
    assert transaction.number("transaction_type") == 1
    assert transaction.number("transaction_number") == transaction.number("transaction_number_repeated") == 1
    assert transaction.layout.size == len(data)
    found = records(transaction.bytes("records"))
    assert all(message[0] == 0 and message[1:3] == len(message[3:]).to_bytes(2, "big") for message in found)
    return [message[3:] for message in found]


def test_a_transaction_of_six_reads() -> None:
    data = table_data("transaction write to ET52, six reads", "request")
    transaction = Decoded(TABLES["ET52"], data)
    assert transaction.number("transaction_size") == len(data) == 67
    assert transaction.number("transaction_type") == 0
    assert transaction.number("transaction_number") == transaction.number("transaction_number_repeated") == 1
    reads = records(transaction.bytes("records"))
    assert {message[0] for message in reads} == {0x3F}
    assert [int.from_bytes(message[1:3], "big") for message in reads] == [2059, 20, 21, 2052, 2062, 2063]
    assert [int.from_bytes(message[6:8], "big") for message in reads] == [len(data) for data in responses()]


def test_a_group_transaction() -> None:
    # Not of the guide's examples: its read of BT23 (p. 44) for two groups, by the printed offsets (p. 131).
    data = bytes.fromhex("1600 03 0200 02 ff01 0203 0800 3f0017000000002c 0200")
    transaction = Decoded(TABLES["ET52"], data)
    assert transaction.number("transaction_size") == len(data)
    assert transaction.number("group_id_count") == 2
    assert transaction.number("group.id", 1) == 0x0302
    assert records(transaction.bytes("group_records")) == [bytes.fromhex("3f0017000000002c")]
    assert transaction.number("transaction_number_repeated") == 2
    assert transaction.layout.find("records") is None


def test_the_device_status() -> None:
    status = Decoded(TABLES["ET14"], responses()[4])
    occupied = [i for i in range(1, 7) if status.number(f"device_occupancy.device_{i}")]
    assert occupied == [1, 5]
    assert [status.number(f"device.{name}", 0) for name in ("handle", "status", "baud_rate")] == [1, 1, 4]
    assert status.number("device.billing_read_length", 0) == 47
    assert status.number("device.read_attempts", 0) is None, "the read ends here"


def test_the_requests() -> None:
    requests = Decoded(TABLES["ET15"], responses()[5])
    names = ("transaction_number", "device_handle", "request_type", "result")
    rows = [tuple(requests.number(f"request.{name}", i) for name in names) for i in range(5)]
    assert rows == [(0x42, 1, 2, 1), (0x45, 1, 2, 1), (0x48, 1, 2, 1), (3, 0x03F8, 2, 1), (0x4B, 1, 2, 1)]


def test_a_procedure_call() -> None:
    # P. 53: remove the MEP client of handle 03F8.
    call = Decoded(TABLES["BT07"], table_data("EP17 by writing BT07", "request"))
    assert call.number("procedure.number") == PROCEDURES["EP17"].number
    assert call.number("procedure.response_handling") == 0
    assert call.number("sequence_number") == 7
    parameters = Decoded(PROCEDURES["EP17"], call.bytes("parameters") or b"")
    assert parameters.number("action") == 0
    assert parameters.number("device_handle") == 0x03F8
    assert parameters.layout.size == 3


@pytest.mark.parametrize(
    ("parameters", "leaves"),
    [
        ("0104 e803 02", []),
        ("0104 e803 04 02 aabb", [("write_data_length", 2), ("write_data", 0xBBAA)]),
        ("0104 1000 0a 01 cc", [("write_data_length", 1), ("write_data", 0xCC)]),
        ("0104 e803 09 00010000 " + "11" * 16, [("image_length", 256), ("image_mac", int("11" * 16, 16))]),
    ],
)
def test_the_request_type_chooses_the_layout(parameters: str, leaves: list[tuple[str, int]]) -> None:
    data = bytes.fromhex(parameters)
    request = Decoded(PROCEDURES["EP19"], data)
    assert request.layout.size == len(data)
    assert [leaf.path for leaf in request.layout.leaves[3:]] == [path for path, _ in leaves]
    for path, value in leaves:
        assert int.from_bytes(request.bytes(path) or b"", "little") == value


def test_what_is_named_has_no_rows() -> None:
    assert not NAMED_TABLES.keys() & TABLES.keys()
    assert not NAMED_PROCEDURES.keys() & PROCEDURES.keys()
    for id, named in {**NAMED_TABLES, **NAMED_PROCEDURES}.items():
        assert named.id == id
        assert named.number == int(id[2:]) + (2048 if id.startswith("E") else 0)
        assert "guide p" in named.where


def test_a_pending_event_is_six_bytes() -> None:
    event = Table(id="ET00", number=0, name="", source="", fields=pending_event())
    decoded = Decoded(event, bytes.fromhex("31 18 06 01 0c 00"))
    assert decoded.layout.size == 6
    assert [decoded.number(f"event.{name}") for name in ("code", "self_read", "demand_reset")] == [1, 1, 1]
    assert decoded.bytes("storage") == bytes.fromhex("1806010c00")
