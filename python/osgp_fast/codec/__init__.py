"""The codec: a layout applied to bytes gives values, and values by a layout give bytes again.

``values`` knows the types of the guides (dates, text, digits), ``said`` how people write them, ``tree`` the shape of a
table. Decoding exists in Rust too (``rust/osgp/src/codec.rs``); encoding, which needs no speed, only here.
"""

from .place import Place, place
from .said import hex_bytes, understand
from .tree import Decoded, Part, decode, encode, encode_table, walk
from .values import (
    NOT_SET,
    ImpossibleDate,
    describe_date,
    describe_time,
    digits,
    firmware,
    recurring_date,
    seconds,
    text,
)

__all__ = [
    "NOT_SET",
    "Decoded",
    "ImpossibleDate",
    "Part",
    "Place",
    "decode",
    "describe_date",
    "describe_time",
    "digits",
    "encode",
    "encode_table",
    "firmware",
    "hex_bytes",
    "place",
    "recurring_date",
    "seconds",
    "text",
    "understand",
    "walk",
]
