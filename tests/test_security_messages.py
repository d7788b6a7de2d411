"""Keys, digest, RC4 and the messages made of them: the guide's examples, published key streams, hostile bytes."""

from __future__ import annotations

import json
import pickle
from collections.abc import Hashable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from osgp_fast.errors import LocalProtocolError, OsgpError, SecurityError
from osgp_fast.security import Key
from osgp_fast.security.digest import digest, verify
from osgp_fast.security.legacy_rc4 import Rc4, message_cipher
from osgp_fast.security.messages import MAX_BODY, Answer, Exchange, refusal
from osgp_fast.wire import mep

VECTORS = json.loads((Path(__file__).parent / "vectors" / "official_vectors.json").read_text())
KEY = bytes([1]) * 16

keys = st.binary(min_size=6, max_size=20)
bodies = st.binary(min_size=1, max_size=MAX_BODY - mep.DIGEST - mep.SEQUENCE)


# ---- the guide's messages


@pytest.mark.parametrize("vector", VECTORS["mep_rc4"], ids=lambda v: v["name"])
def test_every_message_of_the_guide_both_ways(vector: dict[str, str]) -> None:
    key = Key(bytes.fromhex(vector["key"]))
    request, response = bytes.fromhex(vector["request"]), bytes.fromhex(vector["response"])
    read = Exchange.open([Key(bytes(20)), key], request[2:])
    assert (read.which, read.encrypted, read.message) == (1, False, request)
    answer = read.read(response[2:])
    assert answer.authentic
    assert Exchange.request(key, read.body, read.sequence).message == request
    assert read.respond(bytes([answer.code]) + answer.data) == response


def test_a_refused_sequence_number_says_what_to_go_on_with() -> None:
    first, second = VECTORS["mep_rc4"][:2]
    answer = Exchange.open([KEY], bytes.fromhex(first["request"])[2:]).read(bytes.fromhex(first["response"])[2:])
    assert answer.next_sequence == Exchange.open([KEY], bytes.fromhex(second["request"])[2:]).sequence
    assert Answer(0x0C, b"\xff" * 4, True).next_sequence == 0
    assert Answer(0x0C, b"\xff" * 3, True).next_sequence is None
    assert Answer(0, bytes(4), True).next_sequence is None


def test_the_published_digest_of_a_12_byte_key() -> None:
    vector = VECTORS["oma_digest_96bit"]
    key, data, expected = (bytes.fromhex(vector[name]) for name in ("key", "data", "digest"))
    assert digest(key, data) == expected
    assert verify(key, data, expected)
    assert not verify(key, data, expected[:7])
    assert not verify(key, data[:-1] + b"\0", expected)


def test_the_rest_of_a_long_key_is_not_used() -> None:
    assert digest(KEY + b"rest", b"data") == digest(KEY, b"data")
    assert digest(KEY[:15] + b"\0", b"data") != digest(KEY, b"data")


@given(keys, st.binary(max_size=600))
def test_a_response_of_a_zero_adds_nothing(key: bytes, request: bytes) -> None:
    # As in the guide's own examples; where the request fills its passes exactly, the zero begins another.
    used = min(len(key), 16)
    full = (used if used == 6 else used + used // 2) * 8
    if len(request) % full:
        assert digest(key, b"\0", request=request) == digest(key, request)


# ---- RC4


@pytest.mark.parametrize(
    ("key", "stream"),
    [
        ("0102030405", "b2396305f03dc027ccc3524a0a1118a8"),
        ("0102030405060708090a0b0c0d0e0f10", "9ac7cc9a609d1ef7b2932899cde41b97"),
    ],
)
def test_the_key_streams_of_rfc_6229(key: str, stream: str) -> None:
    assert Rc4(bytes.fromhex(key)).apply(bytes(16)).hex() == stream


def test_an_enciphered_message_step_by_step() -> None:
    # The guide prints no enciphered message, so each step of its page 257 is done by hand here.
    body = bytes.fromhex("3f0017000000002c")
    sent = Exchange.request(KEY, body, 0x77635B91, encrypt=True)
    clear = Exchange.request(KEY, body, 0x77635B91).message
    assert sent.message[-8:] == clear[-8:]
    constant = bytes.fromhex("388b8fbc36a8558587afc90fb23a3b99")
    derived = Rc4(KEY).apply(constant)
    once = bytes(a ^ b for a, b in zip(derived, clear[-8:] + bytes(8)))
    cipher = Rc4(once)
    assert sent.message[2:-8] == cipher.apply(clear[2:-8])
    response = sent.respond(b"\0\0\1\2")
    assert response[2:-8] == cipher.apply(b"\0\0\1\2")
    assert message_cipher(KEY, clear[-8:]).apply(sent.message[2:-8]) == clear[2:-8]


# ---- whatever is sent


@given(keys, bodies, st.binary(min_size=1, max_size=468), st.integers(0, 2**32 - 1), st.booleans(), st.integers(0))
def test_what_was_sealed_is_opened(
    key: bytes, body: bytes, said: bytes, sequence: int, encrypt: bool, flip: int
) -> None:
    sent = Exchange.request(key, body, sequence, encrypt=encrypt)
    (event,) = mep.MessageParser().feed(sent.message)
    assert isinstance(event, mep.Message)
    read = Exchange.open([key], event.body)
    assert (read.body, read.sequence, read.encrypted) == (body, sequence, encrypt)
    response = read.respond(said)[2:]
    damaged = bytearray(response)
    damaged[flip // 8 % len(damaged)] ^= 1 << flip % 8
    try:
        assert not sent.read(bytes(damaged)).authentic
    except SecurityError as error:
        assert error.code == "security.bad_digest"  # noqa: PT017
    assert sent.read(response) == Answer(said[0], said[1:], True)


@given(st.binary(max_size=600))
def test_any_bytes_give_only_our_errors(body: bytes) -> None:
    with pytest.raises(SecurityError):
        Exchange.open([KEY, bytes(12)], body)
    try:
        assert not Exchange.request(KEY, b"\x30\0\1", 5, encrypt=True).read(body).authentic
    except OsgpError as error:
        assert error.code in ("security.bad_digest", "security.too_short")  # noqa: PT017


def test_sizes_and_refusals() -> None:
    assert MAX_BODY == mep.MAX_BODY
    exchange = Exchange.request(KEY, bytes(464), 0, encrypt=True)
    assert len(exchange.message) == 2 + MAX_BODY
    for call, kind, code in (
        (lambda: Exchange.request(KEY, bytes(465), 0), LocalProtocolError, "security.too_long"),
        (lambda: Exchange.request(KEY, b"", 0), LocalProtocolError, "security.empty"),
        (lambda: Exchange.request(b"short", b"0", 0), SecurityError, "security.key_length"),
        (lambda: exchange.respond(bytes(469)), LocalProtocolError, "security.too_long"),
        (lambda: exchange.read(bytes(8)), SecurityError, "security.too_short"),
        (lambda: exchange.read(bytes(9)), SecurityError, "security.bad_digest"),
        (lambda: Exchange.open([KEY], bytes(12)), SecurityError, "security.too_short"),
        (lambda: Exchange.open([KEY], bytes(477)), SecurityError, "security.too_long"),
        (lambda: Exchange.open([KEY], bytes(13)), SecurityError, "security.bad_digest"),
    ):
        with pytest.raises(OsgpError) as caught:
            call()
        assert (type(caught.value), caught.value.code) == (kind, code)
    with pytest.raises(OverflowError):
        Exchange.request(KEY, b"0", 2**32)
    assert exchange.read(refusal()[2:]) == Answer(0x0B, b"", False)
    assert exchange.read(b"\x0b") == Answer(0x0B, b"", False)


# ---- keys


@pytest.mark.parametrize(
    ("text", "used", "form"),
    [
        ("01" * 16, bytes([1]) * 16, "32 hexadecimal digits"),
        ("aB" * 20, bytes([0xAB]) * 16, "40 hexadecimal digits"),
        ("0123456789abcdef", b"0123456789abcdef", "16 ASCII characters"),
        ("a key of 20 letters.", b"a key of 20 lett", "20 ASCII characters"),
    ],
)
def test_a_key_as_people_write_it(
    text: str, used: bytes, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Key.from_text(text)
    assert (key.used, key.form) == (used, form)
    monkeypatch.setenv("SOME_KEY", text)
    assert Key.from_environment("SOME_KEY") == key
    for end in ("", "\n", "\r\n"):
        (tmp_path / "key").write_bytes(text.encode() + end.encode())
        assert Key.from_file(tmp_path / "key") == key
    assert key != Key(bytes(16))
    assert len(key) in (16, 20)


@pytest.mark.parametrize(
    "text", ["", "SECRET", "0x" + "01" * 16, "01 " * 16, "SECRETSECRETSECR\0", "sécretsécretsécr", "SECRET" * 300]
)
def test_what_is_no_key_is_told_without_showing_it(text: str, tmp_path: Path) -> None:
    with pytest.raises(SecurityError) as caught:
        Key.from_text(text)
    assert caught.value.code == "security.key_form"
    for shown in (str(caught.value), repr(caught.value.fields)):
        assert "SECRET" not in shown
        assert "cret" not in shown
        assert "0101" not in shown
    (tmp_path / "key").write_bytes(b"\xff" * 1000)
    with pytest.raises(SecurityError, match="1000 characters, with characters outside ASCII"):
        Key.from_file(tmp_path / "key")


def test_where_a_key_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    for call in (lambda: Key.from_environment("SOME_KEY"), lambda: Key.from_file(tmp_path / "none")):
        with pytest.raises(SecurityError) as caught:
            call()
        assert caught.value.code == "security.key_source"
    with pytest.raises(SecurityError) as caught:
        Key(bytes(12))
    assert caught.value.code == "security.key_length"


def test_nothing_shows_a_key() -> None:
    key = Key(b"SECRET-SECRET-SE")
    exchange = Exchange.request(key, b"SECRET", 1, encrypt=True)
    for thing in (key, exchange, Rc4(b"SECRET"), Answer(0, b"SECRET", True), [key], {"key": key}):
        assert "SECRET" not in repr(thing)
        assert "SECRET" not in f"{thing}"
    with pytest.raises(TypeError):
        pickle.dumps(key)
    assert not isinstance(key, Hashable)
