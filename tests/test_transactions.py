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


#: What the guide's responses mean by the tables of the guide. Source: MEP guide pp. 78 (ET11), 20 of the Optical guide
#: (BT20, BT21), 84-90 (ET14, ET15); names are those of the catalogue, by printed offset where there is one.
MEANT = {
    "ET11": {"0": 5, "3": 5, "4": 6, "7": 769, "9": 0xF9},
    "BT20": {"2": 0xFD, "3": 15, "4": 8, "5": 16, "6": 1, "7": 4, "8": 8, "9": 26},
    "BT21": {"2": 12, "3": 15, "4": 8, "5": 0, "6": 1, "7": 4, "8": 8, "9": 26},
}
