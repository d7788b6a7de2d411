"""Transactions: several requests in ET52, their responses in ET53."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from osgp_fast import decode_table
from osgp_fast.catalog import TABLES
from osgp_fast.codec.transactions import (
    GROUP_DENIED,
    GROUP_REQUESTS,
    PARTIAL_READ,
    PARTIAL_RESPONSES,
    REQUESTS,
    RESPONSES,
    Request,
    Response,
    Transaction,
    build_requests,
    build_responses,
    parse_transaction,
    read,
    write,
)
from osgp_fast.errors import TableError, UsageError
from osgp_fast.image import parse_table_name
from osgp_fast.layout import keys

VECTORS = Path(__file__).parent / "vectors" / "official_vectors.json"
EXAMPLES = {v["name"]: v for v in json.loads(VECTORS.read_text(encoding="utf-8"))["mep_rc4"]}
# The message around the table data: a length, the request of a partial write (10 bytes) or the response to a read (5), and
# a digest of 8 bytes, before which a request has its sequence number of 4.
WRITTEN = bytes.fromhex(EXAMPLES["transaction write to ET52, six reads"]["request"])[10:-12]
RESPONDED = bytes.fromhex(EXAMPLES["ET53 whole"]["response"])[5:-8]

#: Table, offset and count of the six requests, and the bytes of the responses. Source: MEP guide pp. 46-50.
SIX = [
    ("ET11", 0, 10, "05422405060502 0103f9"),
    ("BT20", 0, 10, "3f0efd0f081001 04081a"),
    ("BT21", 0, 10, "3f0e0c0f080001 04081a"),
    ("ET04", 55, 1, "04"),
    ("ET14", 0, 12, "0000000000110100 01042f00"),
    ("ET15", 0, 31, "00420001000201 45000100020148000100020103 00f80302014b0001000201"),
]


def number(id: str) -> int:
    found = parse_table_name(id)
    assert found is not None
    return found


def test_the_requests_of_the_guide() -> None:
    requests = tuple(Request(PARTIAL_READ, number(id), offset, count) for id, offset, count, _ in SIX)
    assert parse_transaction(WRITTEN) == Transaction(REQUESTS, 1, requests=requests)
    assert build_requests(1, [read(number(id), offset, count) for id, offset, count, _ in SIX]) == WRITTEN


def test_the_responses_of_the_guide() -> None:
    responses = tuple(Response(0, count, bytes.fromhex(data)) for _, _, count, data in SIX)
    assert parse_transaction(RESPONDED) == Transaction(RESPONSES, 1, responses=responses)
    assert build_responses(1, responses) == RESPONDED
    # The table is longer than the transaction; what stands behind is older.
    assert parse_transaction(RESPONDED + b"\xff" * 1674) == parse_transaction(RESPONDED)


def test_one_read_of_the_guide() -> None:
    # MEP guide p. 44: the data of the write to ET52.
    data = bytes.fromhex("1100 00 0200 0800 3f0017000000002c 0200")
    assert parse_transaction(data) == Transaction(REQUESTS, 2, requests=(read(23, 0, 44),))
    assert build_requests(2, [read(23, 0, 44)]) == data


#: What the responses mean, by printed offset. Sources: MEP guide p. 78 (ET11), Optical guide p. 20 (BT20, BT21 of the same
#: layout), MEP guide p. 58 (ET04). ET14 and ET15 below: pp. 84-85 and 90-91.
MEANT = {
    "ET11": {"0": 5, "3": 5, "4": 6, "7": 769},
    "BT20": {"2": 253, "3": 15, "4": 8, "5": 16, "6": 1, "7": 4, "8": 8, "9": 26},
    "BT21": {"2": 12, "3": 15, "4": 8, "5": 0, "6": 1, "7": 4, "8": 8, "9": 26},
    "ET04": {"55": 4},
}


def answers() -> dict[str, bytes]:
    """The tables of the guide's example as far as they were read."""
    responses = parse_transaction(RESPONDED).responses
    return {id: bytes(offset) + r.data for (id, offset, _, _), r in zip(SIX, responses, strict=True)}


@pytest.mark.parametrize("id", MEANT)
def test_what_the_responses_of_the_guide_mean(id: str) -> None:
    tables = answers()
    decoded = decode_table(id, tables[id], tables=tables)
    paths = keys(TABLES[id])
    assert {at: decoded[paths[at]] for at in MEANT[id]} == MEANT[id]


def test_the_partial_read_of_et11_ends_within_a_field() -> None:
    decoded = decode_table("ET11", answers()["ET11"])
    # One byte of the two of ET11.9: F9 of 06F9, the 1785 bytes of ET53.
    assert decoded.short == (keys(TABLES["ET11"])["9"], 9)
    assert keys(TABLES["ET11"])["9"] not in decoded.values


def test_the_devices_and_requests_of_the_guide() -> None:
    tables = answers()
    devices = decode_table("ET14", tables["ET14"], tables=tables)
    assert [name for name, there in devices["device_occupancy"].items() if there is True] == ["device_1", "device_5"]
    assert (devices["device.0.handle"], devices["device.0.baud_rate"]) == (1, 4)
    assert devices["device.0.billing_read_length"] == 47
    requests = decode_table("ET15", tables["ET15"], tables=tables)
    names = ("transaction_number", "device_handle", "request_type", "result")
    assert [tuple(row[name] for name in names) for row in requests["request"]] == [
        (0x42, 1, 2, 1),
        (0x45, 1, 2, 1),
        (0x48, 1, 2, 1),
        (3, 0x3F8, 2, 1),
        (0x4B, 1, 2, 1),
    ]


def test_writes_groups_and_denials() -> None:
    requests = (write(7, b"\x11\x08\x01"), write(2098, b"\x01", offset=30), read(23), Request(0x50, data=b"\x01\x02"))
    data = build_requests(9, requests, groups=[0x01FF, 0x0302])
    assert parse_transaction(data) == Transaction(GROUP_REQUESTS, 9, requests=requests, groups=(0x01FF, 0x0302))
    # By the printed offsets (MEP guide p. 131): type at 2, groups at 5, the first record at GL + 5.
    assert data[2:12] == bytes.fromhex("03 0900 02 ff01 0203 0800")
    assert data[12:20] == bytes.fromhex("40 0007 0003 110801")
    responses = (Response(0), Response(3))
    assert parse_transaction(build_responses(9, responses, PARTIAL_RESPONSES)) == Transaction(
        PARTIAL_RESPONSES, 9, responses=responses
    )
    assert parse_transaction(build_responses(9, (), GROUP_DENIED)).responses == ()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ("", "0 bytes"),
        ("070000010001", "6 bytes"),
        ("0600 00 0100 0100", "a size of 6"),
        ("0800 00 0100 0100", "a size of 8"),
        ("0700 00 0100 0200", "number 2 at its end"),
        ("0900 00 0100 0000 0100", "a record of 0 bytes"),
        ("0800 00 0100 01 0100", "a record of 0 bytes"),
        ("0a00 00 0100 0200 3f 0100", "a record of 2 bytes"),
        ("0b00 00 0100 0200 3f00 0100", "a request 3F of 2 bytes"),
        ("0f00 00 0100 0600 400007 000201 0100", "a request 40 with 1 bytes of data"),
        ("0c00 01 0100 0300 000001 0100", "a response with 0 bytes of data"),
        ("0b00 01 0100 0200 0000 0100", "a response with 0 bytes of data"),
        ("0800 03 0100 01 0100", "a list of groups"),
        ("0700 03 0100 0100", "a list of groups"),
    ],
)
def test_what_is_no_transaction(data: str, what: str) -> None:
    with pytest.raises(TableError, match=what) as raised:
        parse_transaction(bytes.fromhex(data))
    assert raised.value.code == "table.transaction"


def test_numbers_that_do_not_fit() -> None:
    for build in (
        lambda: build_requests(1 << 16, []),
        lambda: build_requests(1, [read(23, 1 << 24, 1)]),
        lambda: build_requests(1, [write(23, bytes(1 << 16))]),
        lambda: build_requests(1, [write(23, bytes(60_000)), write(23, bytes(60_000))]),
        lambda: build_requests(1, [], groups=[0] * 256),
        lambda: build_responses(1, [Response(256)]),
    ):
        with pytest.raises(UsageError) as raised:
            build()
        assert raised.value.code == "usage.transaction"


@given(st.binary(max_size=60), st.integers(0, 5), st.integers(0, 65_535))
def test_any_bytes_are_a_transaction_or_refused(records: bytes, type: int, number: int) -> None:
    ends = number.to_bytes(2, "little")
    data = (len(records) + 7).to_bytes(2, "little") + bytes((type,)) + ends + records + ends
    try:
        found = parse_transaction(data)
    except TableError:
        return
    if type in (REQUESTS, GROUP_REQUESTS):
        again = build_requests(number, found.requests, found.groups)
        # Without a group a broadcast is none.
        assert again == data or (type == GROUP_REQUESTS and not found.groups)
    else:
        assert build_responses(number, found.responses, type) == data
