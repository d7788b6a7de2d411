"""TLS with a pre-shared key: the guide's session byte for byte, every error, hostile bytes, and the compiled twin."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from both import IMPLEMENTATIONS
from hypothesis import given
from hypothesis import strategies as st
from osgp_fast import _impl
from osgp_fast.errors import LocalProtocolError, OsgpError, SecurityError
from osgp_fast.security import Key, digest, legacy_rc4, messages, tls, tls_messages
from osgp_fast.security.aes_gcm import AesGcm
from osgp_fast.security.tls import Closed, Data, Established, Failed, TlsClient, TlsOpener, TlsServer, identity
from osgp_fast.security.tls.record import MAX_PLAIN, Kind, emit, handshake

VECTOR = json.loads((Path(__file__).parent / "vectors" / "official_vectors.json").read_text())["mep_tls"]
KEY = Key(bytes.fromhex(VECTOR["psk"]))
MESSAGES = [bytes.fromhex(text) for _, text in VECTOR["exchange"]]
#: The records alone, without length field and code.
RECORDS = [message[3:] for message in MESSAGES]
CLIENT_RANDOM, SERVER_RANDOM, SESSION_ID = RECORDS[0][11:43], RECORDS[1][11:43], RECORDS[1][44:76]
CLEAR = {side: bytes.fromhex(text) for side, text in VECTOR["clear"].items()}
NAMED = identity(100, 1)

twins = pytest.mark.skipif(not _impl.compiled(), reason="there is no twin in the pure wheel")


@pytest.fixture(params=IMPLEMENTATIONS)
def chosen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `_impl` chooses, once each."""
    monkeypatch.setattr(_impl, "_implementation", request.param)
    name: str = request.param
    return name


def client() -> TlsClient:
    return _impl.tls_client(NAMED, KEY, CLIENT_RANDOM)


def server(keys: dict[int, Key] | None = None) -> TlsServer:
    return _impl.tls_server(keys or {1: KEY}, SERVER_RANDOM, session_id=SESSION_ID)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


# ---- the guide's session


def test_both_sides_say_what_the_guide_prints(chosen: str) -> None:
    ours, meter = client(), server()
    assert ("Tls" in type(ours).__name__, type(ours).__module__) == (
        True,
        "osgp_fast._core" if chosen == "rust" else "osgp_fast.security.tls.endpoint",
    )
    assert ours.start() == RECORDS[0]
    assert meter.feed(RECORDS[0]) == (RECORDS[1], [])
    assert ours.feed(RECORDS[1]) == (RECORDS[2], [])
    assert meter.feed(RECORDS[2]) == (RECORDS[3], [Established(NAMED, 1)])
    assert ours.feed(RECORDS[3]) == (b"", [Established(NAMED, 0)])
    assert (ours.status, meter.status) == ("open", "open")
    assert ours.send(CLEAR["client"]) == RECORDS[4]
    assert meter.feed(RECORDS[4]) == (b"", [Data(CLEAR["client"])])
    assert meter.send(CLEAR["server"]) == RECORDS[5]
    assert ours.feed(RECORDS[5]) == (b"", [Data(CLEAR["server"])])


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_recorded_session_opens(chosen: str, size: int) -> None:
    opener = _impl.tls_opener([Key(bytes(16)), KEY, Key(bytes(20))])
    events: list[tls.Event] = []
    for (side, _), records in zip(VECTOR["exchange"], RECORDS, strict=True):
        for piece in pieces(records, size):
            events += opener.client(piece) if side == "C" else opener.server(piece)
    assert events == [Established(NAMED, 1), Data(CLEAR["client"]), Data(CLEAR["server"])]


@pytest.mark.parametrize("keys", [[], [Key(bytes(16))]])
def test_the_recorded_session_stays_shut_without_its_key(chosen: str, keys: list[Key]) -> None:
    opener = _impl.tls_opener(keys)
    (failed,) = [e for i, r in enumerate(RECORDS) for e in (opener.server(r) if i % 2 else opener.client(r))]
    assert isinstance(failed, Failed)
    assert failed.code == "tls.bad_record"


def test_an_opener_wants_both_directions_in_order(chosen: str) -> None:
    for order, complaint in (
        ([0, 2], "change_cipher_spec where server_hello was expected"),
        ([0, 1, 3], "change_cipher_spec where the client's finished was expected"),
    ):
        opener = _impl.tls_opener([KEY])
        events = [e for i in order for e in (opener.server(RECORDS[i]) if i % 2 else opener.client(RECORDS[i]))]
        assert [e.message for e in events if isinstance(e, Failed)] == [complaint]


def test_mep_messages_around_it() -> None:
    codes = [0x58, 0, 0x59, 0, 0x80, 0]
    assert [tls_messages.message(code, records) for code, records in zip(codes, RECORDS)] == MESSAGES
    for i, message in enumerate(MESSAGES):
        if i % 2:
            assert tls_messages.parse_response(message[2:]) == (tls_messages.Response.SUCCESS, RECORDS[i])
        else:
            assert tls_messages.parse_request(message[2:]) == (codes[i], RECORDS[i])
    assert tls_messages.terminate() == bytes.fromhex("00025700")
    for body in (b"", b"\x58", b"\x3f\0", b"\0\x17"):
        assert tls_messages.parse_request(body) is None
    assert tls_messages.MAX_CLEAR == 446
    sent = tls_messages.message(0, server_record(446))
    assert len(sent) == 478
    assert [len(s) for s in tls_messages.segments(sent)] == [117, 117, 117, 117, 10]
    assert b"".join(tls_messages.segments(sent)) == sent
    for call, kind, code in (
        (lambda: tls_messages.message(0, server_record(447)), LocalProtocolError, "security.too_long"),
        (lambda: tls_messages.parse_response(b""), SecurityError, "security.too_short"),
    ):
        with pytest.raises(OsgpError) as caught:
            call()
        assert (type(caught.value), caught.value.code) == (kind, code)


def server_record(size: int) -> bytes:
    ours, meter = TlsClient(NAMED, KEY, CLIENT_RANDOM), TlsServer({1: KEY}, SERVER_RANDOM)
    talk(ours, meter)
    return meter.send(bytes(size))


# ---- sessions


def talk(ours: TlsClient, meter: TlsServer, size: int = 1000) -> tuple[list[tls.Event], list[tls.Event]]:
    """Shake hands in pieces; what both sides found."""
    to_meter, to_us = ours.start(), b""
    here: list[tls.Event] = []
    there: list[tls.Event] = []
    while to_meter:
        for piece in pieces(to_meter, size):
            sent, events = meter.feed(piece)
            to_us += sent
            there += events
        to_meter = b""
        for piece in pieces(to_us, size):
            sent, events = ours.feed(piece)
            to_meter += sent
            here += events
        to_us = b""
    return here, there


@given(
    st.binary(min_size=6, max_size=20),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=32, max_size=32),
    st.integers(0, 0xFFFF),
    st.integers(0, 255),
    st.binary(max_size=600),
    st.integers(1, 200),
)
def test_any_chunking_gives_a_session(
    key: bytes, one: bytes, other: bytes, client_id: int, key_id: int, data: bytes, size: int
) -> None:
    named = identity(client_id, key_id)
    ours, meter = TlsClient(named, key, one), TlsServer({key_id: key}, other)
    assert talk(ours, meter, size) == ([Established(named, 0)], [Established(named, key_id)])
    expected = [Data(data)] if data else []
    assert meter.feed(ours.send(data)) == (b"", expected)
    assert ours.feed(meter.send(data)) == (b"", expected)


def test_the_identity_of_the_basic_key_ends_in_zero(chosen: str) -> None:
    assert identity(0x1234, 0) == b"\x34\x12\x00"
    ours = _impl.tls_client(identity(0x1234, 0), KEY, CLIENT_RANDOM)
    meter = server({0: KEY, 1: Key(bytes(16))})
    assert talk(ours, meter, 5)[1] == [Established(b"\x34\x12\x00", 0)]


def test_a_wrong_key_shows_at_the_finished_message(chosen: str) -> None:
    ours, meter = client(), server({1: Key(bytes(16))})
    here, there = talk(ours, meter)
    assert [(e.code, e.alert) for e in there if isinstance(e, Failed)] == [("tls.bad_record", 20)]
    (failed,) = here
    assert isinstance(failed, Failed)
    assert (failed.code, failed.alert) == ("tls.alert", 20)
    assert "check the key" in failed.hint
    error = failed.error()
    assert (error.code, error.message, error.fields) == ("tls.alert", failed.message, {"alert": 20})
    assert (ours.status, meter.status) == ("failed", "failed")
    assert (ours.close(), ours.feed(b"x"), meter.feed(RECORDS[0])) == (b"", (b"", []), (b"", []))


def test_closing_is_answered(chosen: str) -> None:
    ours, meter = client(), server()
    talk(ours, meter)
    sent, events = meter.feed(ours.close())
    assert events == [Closed()]
    assert len(sent) == 31
    assert ours.feed(sent) == (b"", [])
    assert (ours.status, meter.status, ours.close()) == ("closed", "closed", b"")
    early = client()
    assert early.close() == bytes.fromhex("15030300020100")


def test_a_new_handshake_is_not_begun_but_its_offer_is_ignored(chosen: str) -> None:
    ours, meter = client(), TlsServer({1: KEY}, SERVER_RANDOM)
    talk(ours, meter)
    two_requests = emit(Kind.HANDSHAKE, bytes(8), meter._outgoing)
    assert ours.feed(two_requests) == (b"", [])
    assert ours.feed(meter.send(b"on")) == (b"", [Data(b"on")])


class HintingServer(TlsServer):
    """Sends an identity hint, as some do."""

    def _say(self, data: bytes) -> None:
        if data[0] == Kind.SERVER_HELLO_DONE:
            super()._say(handshake(Kind.SERVER_KEY_EXCHANGE, b"\0\4hint"))
        super()._say(data)


class ForgetfulServer(TlsServer):
    """Says a Finished message of another handshake."""

    def _change_and_finish(self, *arguments: Any) -> None:
        self._transcript.update(b"x")
        super()._change_and_finish(*arguments)


def test_an_identity_hint_and_a_warning_change_nothing(chosen: str) -> None:
    ours, meter = client(), HintingServer({1: KEY}, SERVER_RANDOM)
    flight, _ = meter.feed(ours.start())
    sent, events = ours.feed(emit(Kind.ALERT, b"\1\x5a") + flight)
    assert events == []
    sent, events = meter.feed(sent)
    assert events == [Established(NAMED, 1)]
    assert ours.feed(sent) == (b"", [Established(NAMED, 0)])


# ---- every error


def hello(
    version: str = "0303",
    session: str = "00",
    suites: str = "000400a900ff",
    compressions: str = "0100",
    extensions: str = "",
) -> bytes:
    """A ClientHello, of which a part is as a test wants it."""
    body = bytes.fromhex(version) + CLIENT_RANDOM + bytes.fromhex(session + suites + compressions + extensions)
    return emit(Kind.HANDSHAKE, handshake(Kind.CLIENT_HELLO, body))


def answer(version: str = "0303", suite: str = "00a9", compression: str = "00", extensions: str = "") -> bytes:
    """A ServerHello, of which a part is as a test wants it."""
    body = bytes.fromhex(version) + SERVER_RANDOM + bytes.fromhex("00" + suite + compression + extensions)
    return emit(Kind.HANDSHAKE, handshake(Kind.SERVER_HELLO, body))


def said(kind: Kind, body: bytes) -> bytes:
    return emit(Kind.HANDSHAKE, handshake(kind, body))


MANY = "0030" + "".join(f"{suite:04x}" for suite in range(0xC000, 0xC018))

SERVER_ERRORS: list[tuple[bytes, str, int, str]] = [
    (b"GET / HTTP/1.1", "tls.record_type", 10, "a record of type 71"),
    (bytes.fromhex("1602000001"), "tls.version", 70, "0200"),
    (bytes.fromhex("1603034001"), "tls.record_overflow", 22, "16385 bytes"),
    (bytes.fromhex("1603030000"), "tls.decode", 50, "malformed record"),
    (bytes.fromhex("150303000101"), "tls.decode", 50, "malformed alert"),
    (bytes.fromhex("1503030002022f"), "tls.alert", 47, "alert 47 (illegal_parameter)"),
    (bytes.fromhex("15030300020250"), "tls.alert", 80, "alert 80 (internal_error)"),
    (bytes.fromhex("150303000202c8"), "tls.alert", 200, "alert 200 (unknown)"),
    (bytes.fromhex("140303000101"), "tls.unexpected_message", 10, "change_cipher_spec where client_hello was expected"),
    (bytes.fromhex("170303000101"), "tls.unexpected_message", 10, "application_data where client_hello was expected"),
    (bytes.fromhex("1603030004 01004001"), "tls.handshake_too_long", 50, "16385 bytes"),
    (bytes.fromhex("1603030004 63000000"), "tls.unexpected_message", 10, "handshake message 99 where client_hello"),
    (bytes.fromhex("1603030004 00000000"), "tls.unexpected_message", 10, "hello_request where client_hello"),
    (bytes.fromhex("1603030004 01000000"), "tls.decode", 50, "malformed client_hello"),
    (bytes.fromhex("1603030002 0100 140303000101"), "tls.unexpected_message", 10, "the rest of a handshake message"),
    (hello(version="0302"), "tls.version", 70, "0302"),
    (hello(session="21" + "00" * 33), "tls.decode", 50, "client_hello"),
    (hello(suites="0000"), "tls.decode", 50, "client_hello"),
    (hello(suites="000300a900"), "tls.decode", 50, "client_hello"),
    (hello(compressions="00"), "tls.decode", 50, "client_hello"),
    (hello(extensions="00"), "tls.decode", 50, "client_hello"),
    (hello(extensions="000000"), "tls.decode", 50, "client_hello"),
    (hello(extensions="00050000000200"), "tls.decode", 50, "client_hello"),
    (hello(extensions="000800230000" + "00230000"), "tls.decode", 50, "client_hello"),
    (hello(suites="0004c02c00ff"), "tls.suite", 40, "the client offers suites C02C 00FF; 00A9 is not"),
    (hello(suites=MANY), "tls.suite", 40, "C00E C00F ...; 00A9"),
    (hello(compressions="0101"), "tls.compression", 47, "compression"),
    (hello(extensions="0006ff010002" + "0100"), "tls.renegotiation", 40, "renegotiation_info"),
    (hello() + hello(), "tls.unexpected_message", 10, "client_hello where client_key_exchange was expected"),
    (hello() + said(Kind.CLIENT_KEY_EXCHANGE, b"\0\4\0\0\1"), "tls.decode", 50, "client_key_exchange"),
    (hello() + said(Kind.CLIENT_KEY_EXCHANGE, b"\0\2\0\0\1"), "tls.decode", 50, "client_key_exchange"),
    (hello() + said(Kind.CLIENT_KEY_EXCHANGE, b"\0\3\0\0\0"), "tls.identity", 115, "3 bytes that names no key"),
    (hello() + said(Kind.CLIENT_KEY_EXCHANGE, b"\0\4\0\0\1\1"), "tls.identity", 115, "4 bytes that names no key"),
    (hello() + RECORDS[2][:14] + bytes.fromhex("140303000102"), "tls.decode", 50, "change_cipher_spec"),
    (RECORDS[0] + RECORDS[2][:20] + bytes.fromhex("160303000a") + bytes(10), "tls.bad_record", 20, "deciphered"),
    (RECORDS[0] + RECORDS[2][:20] + bytes.fromhex("1603034019"), "tls.record_overflow", 22, "16409 bytes"),
]

CLIENT_ERRORS: list[tuple[bytes, str, int, str]] = [
    (answer(version="0304"), "tls.version", 70, "0304"),
    (answer(suite="c02c"), "tls.suite", 47, "the server chose suite C02C"),
    (answer(compression="01"), "tls.compression", 47, "compression"),
    (answer(extensions="000400170000"), "tls.extension", 110, "extension 0017"),
    (answer(extensions="0006ff0100020100"), "tls.renegotiation", 40, "renegotiation_info"),
    (answer() + answer(), "tls.unexpected_message", 10, "where server_key_exchange or server_hello_done was expected"),
    (answer() + said(Kind.SERVER_KEY_EXCHANGE, b"\0\1"), "tls.decode", 50, "server_key_exchange"),
    (answer() + said(Kind.SERVER_HELLO_DONE, b"\0"), "tls.decode", 50, "server_hello_done"),
    (answer() + said(Kind.FINISHED, bytes(12)), "tls.unexpected_message", 10, "finished where"),
    (RECORDS[1] + said(Kind.FINISHED, bytes(12)), "tls.unexpected_message", 10, "change_cipher_spec was expected"),
    (bytes.fromhex("15030100020228"), "tls.alert", 40, "alert 40 (handshake_failure)"),
    (bytes.fromhex("15030100020273"), "tls.alert", 115, "alert 115 (unknown_psk_identity)"),
]


@pytest.mark.parametrize("size", [1, 100_000])
@pytest.mark.parametrize(
    ("role", "line", "code", "alert", "words"),
    [("server", *case) for case in SERVER_ERRORS] + [("client", *case) for case in CLIENT_ERRORS],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_every_error_of_a_handshake(
    chosen: str, size: int, role: str, line: bytes, code: str, alert: int, words: str
) -> None:
    side = client() if role == "client" else server()
    found: list[tls.Event] = []
    sent = b""
    for piece in pieces(line, size):
        more, events = side.feed(piece)
        sent += more
        found += events
    (failed,) = found
    assert isinstance(failed, Failed)
    assert (failed.code, failed.alert) == (code, alert)
    assert words in failed.message
    assert side.status == "failed"
    # The other side is told, unless it was the one who told us.
    if code == "tls.alert":
        assert not sent.endswith(bytes([2, alert]))
    elif b"\x14\x03\x03" not in sent:
        assert sent.endswith(bytes.fromhex("1503030002 02") + bytes([alert]))


@pytest.mark.parametrize(
    ("kind", "data", "code", "words"),
    [
        (Kind.HANDSHAKE, handshake(Kind.CLIENT_HELLO, bytes(40)), "tls.unexpected_message", "client_hello where app"),
        (Kind.HANDSHAKE, handshake(Kind.FINISHED, bytes(12)), "tls.unexpected_message", "finished where application"),
        (Kind.CHANGE_CIPHER_SPEC, b"\1", "tls.unexpected_message", "change_cipher_spec where application_data"),
        (Kind.ALERT, b"\2\x0a", "tls.alert", "alert 10 (unexpected_message)"),
    ],
)
def test_errors_in_an_open_session(chosen: str, kind: Kind, data: bytes, code: str, words: str) -> None:
    ours, side = TlsClient(NAMED, KEY, CLIENT_RANDOM), server()
    talk(ours, side)
    sent, events = side.feed(emit(kind, data, ours._outgoing))
    (failed,) = events
    assert isinstance(failed, Failed)
    assert failed.code == code
    assert words in failed.message
    assert len(sent) == (0 if code == "tls.alert" else 31)


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_false_finished_message_is_told(chosen: str, role: str) -> None:
    if role == "client":
        events, _ = talk(client(), ForgetfulServer({1: KEY}, SERVER_RANDOM))
    else:
        ours, meter = TlsClient(NAMED, KEY, CLIENT_RANDOM), server()
        flight, _ = meter.feed(ours.start())
        ours._transcript.update(b"x")
        _, events = meter.feed(ours.feed(flight)[0])
    (failed,) = events
    assert isinstance(failed, Failed)
    assert (failed.code, failed.alert) == ("tls.finished", 51)


def test_a_repeated_record_breaks_the_session(chosen: str) -> None:
    ours, meter = client(), server()
    talk(ours, meter)
    record = ours.send(b"once")
    assert meter.feed(record)[1] == [Data(b"once")]
    (failed,) = meter.feed(record)[1]
    assert isinstance(failed, Failed)
    assert failed.code == "tls.bad_record"


def test_misuse_is_told(chosen: str) -> None:
    ours, meter = client(), server()
    calls: list[tuple[Callable[[], Any], type[OsgpError], str]] = [
        (lambda: ours.send(b"x"), LocalProtocolError, "tls.not_open"),
        (lambda: _impl.tls_client(b"", KEY, CLIENT_RANDOM), LocalProtocolError, "tls.identity_length"),
        (lambda: _impl.tls_client(bytes(129), KEY, CLIENT_RANDOM), LocalProtocolError, "tls.identity_length"),
        (lambda: _impl.tls_client(NAMED, KEY, bytes(31)), LocalProtocolError, "tls.random"),
        (lambda: _impl.tls_server({}, b""), LocalProtocolError, "tls.random"),
        (lambda: _impl.tls_server({}, bytes(32), session_id=bytes(33)), LocalProtocolError, "tls.session_id"),
        (lambda: _impl.tls_client(NAMED, b"short", bytes(32)), SecurityError, "security.key_length"),
        (lambda: _impl.tls_opener([bytes(21)]), SecurityError, "security.key_length"),
    ]
    for call, kind, code in calls:
        with pytest.raises(OsgpError) as caught:
            call()
        assert (type(caught.value), caught.value.code) == (kind, code)
    talk(ours, meter)
    assert meter.feed(ours.send(bytes(MAX_PLAIN)))[1] == [Data(bytes(MAX_PLAIN))]
    with pytest.raises(LocalProtocolError) as caught:
        ours.send(bytes(MAX_PLAIN + 1))
    assert caught.value.code == "tls.too_long"


def test_nothing_is_shown(chosen: str) -> None:
    secret = Key(b"SECRET-SECRET-SE")
    things = [
        _impl.tls_client(NAMED, secret, bytes(32)),
        _impl.tls_server({1: secret}, bytes(32)),
        _impl.tls_opener([secret]),
        _impl.mep_request(secret, b"SECRET", 1, encrypt=True),
        Data(b"SECRET"),
        AesGcm(b"SECRET" * 5 + b"SE"),
    ]
    for thing in things:
        assert "SECRET" not in repr(thing)
        assert repr(thing)[0] == "<" or repr(thing) == "Data()"


# ---- AES-GCM


def test_aes_as_published() -> None:
    # FIPS 197, C.3.
    block = AesGcm(bytes(range(32)))._block(bytes.fromhex("00112233445566778899aabbccddeeff"))
    assert block.hex() == "8ea2b7ca516745bfeafc49904b496089"


@pytest.mark.parametrize(
    ("key", "nonce", "data", "header", "sealed"),
    [
        # Test cases 13, 14 and 16 of the GCM specification (McGrew, Viega).
        ("00" * 32, "00" * 12, "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
        ("00" * 32, "00" * 12, "00" * 16, "", "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"),
        (
            "feffe9928665731c6d6a8f9467308308" * 2,
            "cafebabefacedbaddecaf888",
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ),
    ],
)
def test_gcm_as_published(key: str, nonce: str, data: str, header: str, sealed: str) -> None:
    cipher = AesGcm(bytes.fromhex(key))
    arguments = bytes.fromhex(nonce), bytes.fromhex(header)
    assert cipher.seal(arguments[0], bytes.fromhex(data), arguments[1]).hex() == sealed
    whole = bytes.fromhex(sealed)
    assert cipher.open(arguments[0], whole, arguments[1]) == bytes.fromhex(data)
    for at in (0, len(whole) - 1):
        changed = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        assert cipher.open(arguments[0], changed, arguments[1]) is None
    assert cipher.open(arguments[0], whole, arguments[1] + b"\0") is None


# ---- the twins

keys = st.binary(min_size=6, max_size=20)


@twins
@given(st.binary(max_size=24), st.binary(max_size=500), st.binary(max_size=500), st.binary(min_size=1, max_size=300))
def test_the_twins_sign_and_encipher_the_same(key: bytes, request: bytes, message: bytes, cipher_key: bytes) -> None:
    core = _impl.core()
    assert outcome(lambda: core.osgp_digest(key, message, request=request)) == outcome(
        lambda: digest.digest(key, message, request=request)
    )
    if 6 <= len(key) <= 20:
        right = digest.digest(key, message)
        assert core.osgp_digest(key, message) == right
        assert core.verify_digest(key, message, right)
        assert not core.verify_digest(key, message, right[::-1] + b"x")
    if len(cipher_key) <= 256:
        assert core.rc4(cipher_key, message) == legacy_rc4.Rc4(cipher_key).apply(message)
    assert core.mep_refusal() == messages.refusal()
    assert core.tls_parse_request(message) == tls_messages.parse_request(message)
    assert outcome(lambda: core.tls_message(7, message)) == outcome(lambda: tls_messages.message(7, message))


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives, or the error that it raises, to be compared."""
    try:
        return call()
    except OsgpError as error:
        return type(error), error.code, error.message, error.hint


@twins
@given(
    st.binary(max_size=24),
    st.binary(max_size=480),
    st.binary(max_size=480),
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.none() | st.binary(max_size=490),
)
def test_the_twins_exchange_the_same(
    key: bytes, body: bytes, response: bytes, sequence: int, encrypt: bool, noise: bytes | None
) -> None:
    core = _impl.core()

    def told(exchange: Any, opened: Callable[[list[bytes], bytes], Any]) -> Any:
        read = outcome(lambda: exchange.respond(response))
        answer = noise if noise is not None else read[2:] if isinstance(read, bytes) else b""
        again = opened([bytes(16), key], exchange.message[2:])
        return (
            exchange.message,
            read,
            outcome(lambda: exchange.read(answer)),
            (again.body, again.sequence, again.encrypted, again.which, again.message),
            outcome(lambda: opened([key], answer).body),
            repr(exchange),
        )

    def run(kind: Any) -> Any:
        made = outcome(lambda: kind.request(key, body, sequence, encrypt=encrypt))
        return made if isinstance(made, tuple) else told(made, kind.open)

    assert run(core.MepExchange) == run(messages.Exchange)


@st.composite
def lines(draw: st.DrawFn) -> list[tuple[bool, bytes]]:
    """The guide's session with a part of it changed, cut, repeated, or followed by something else."""
    line = [(i % 2 == 0, bytearray(records)) for i, records in enumerate(RECORDS)]
    for _ in range(draw(st.integers(0, 3))):
        _, records = line[draw(st.integers(0, len(line) - 1))]
        at = draw(st.integers(0, max(len(records) - 1, 0)))
        match draw(st.sampled_from(["flip", "cut", "insert", "record", "repeat"])):
            case "flip" if records:
                records[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del records[at : at + draw(st.integers(1, 8))]
            case "insert":
                records[at:at] = draw(st.binary(max_size=8))
            case "record":
                records += emit(Kind(draw(st.integers(0x114, 0x117))), draw(st.binary(max_size=60)))
            case "repeat":
                records += RECORDS[draw(st.integers(0, 5))]
    return [(from_client, bytes(records)) for from_client, records in line]


def test_a_recording_with_a_damaged_record_is_read_on(chosen: str) -> None:
    ours, meter, opener = client(), server(), _impl.tls_opener([bytes(16), KEY])
    flights: list[tuple[bool, bytes]] = [(True, ours.start())]
    while flights[-1][1]:
        from_client, records = flights[-1]
        flights.append((not from_client, (meter if from_client else ours).feed(records)[0]))
    for from_client, records in flights:
        _ = opener.client(records) if from_client else opener.server(records)
    sent = [ours.send(bytes([i])) for i in range(20)]
    hurt = bytearray(sent[1])
    hurt[-1] ^= 1
    # Two in one piece, the first of them damaged.
    (failed, data) = opener.client(bytes(hurt) + sent[2])
    assert isinstance(failed, Failed)
    assert (failed.code, data) == ("tls.bad_record", Data(b"\2"))
    assert opener.client(sent[11]) == [Data(b"\x0b")], "eight are missing"
    assert [type(event) for event in opener.client(sent[4])] == [Failed], "one from before"
    assert opener.client(sent[13]) == [Data(b"\x0d")]
    # The two sides themselves do not go on.
    assert [type(event) for event in meter.feed(bytes(hurt) + sent[2])[1]] == [Failed]


@twins
@given(lines(), st.integers(1, 300))
def test_the_twins_find_the_same(line: list[tuple[bool, bytes]], size: int) -> None:
    core = _impl.core()
    ours = [TlsClient(NAMED, KEY, CLIENT_RANDOM), core.TlsClient(NAMED, KEY.used, CLIENT_RANDOM)]
    meters = [
        TlsServer({1: KEY}, SERVER_RANDOM, session_id=SESSION_ID),
        core.TlsServer({1: KEY.used}, SERVER_RANDOM, session_id=SESSION_ID),
    ]
    openers = [TlsOpener([bytes(16), KEY]), core.TlsOpener([bytes(16), KEY.used])]
    assert ours[0].start() == ours[1].start()
    for from_client, records in line:
        for piece in pieces(records, size):
            sides = meters if from_client else ours
            python, rust = (side.feed(piece) for side in sides)
            assert python == rust
            python, rust = (o.client(piece) if from_client else o.server(piece) for o in openers)
            assert python == rust
    assert repr(openers[0]) == repr(openers[1])
    for one, other in (ours, meters):
        assert (one.status, repr(one)) == (other.status, repr(other))
        assert outcome(partial(one.send, b"x")) == outcome(partial(other.send, b"x"))
        assert one.close() == other.close()


@twins
@given(st.binary(max_size=400), st.booleans(), st.sampled_from(list(Kind)))
def test_the_twins_say_the_same_to_anything(data: bytes, headed: bool, kind: Kind) -> None:
    core = _impl.core()
    record = emit(Kind.HANDSHAKE, handshake(kind, data)) if kind < 0x100 else emit(kind, data)
    line = record if headed else data
    for flights in range(3):
        pairs: list[tuple[Any, list[bytes]]] = [
            ((TlsClient(NAMED, KEY, CLIENT_RANDOM), core.TlsClient(NAMED, KEY.used, CLIENT_RANDOM)), RECORDS[1:4:2]),
            ((TlsServer({1: KEY}, SERVER_RANDOM), core.TlsServer({1: KEY.used}, SERVER_RANDOM)), RECORDS[0:3:2]),
        ]
        for pair, before in pairs:
            for records in before[:flights]:
                assert pair[0].feed(records) == pair[1].feed(records)
            assert pair[0].feed(line) == pair[1].feed(line)


@given(lines())
def test_whole_is_byte_by_byte(line: list[tuple[bool, bytes]]) -> None:
    found = []
    for size in (1000, 1):
        ours, meter = TlsClient(NAMED, KEY, CLIENT_RANDOM), TlsServer({1: KEY}, SERVER_RANDOM, session_id=SESSION_ID)
        told: list[Any] = []
        for from_client, records in line:
            side = meter if from_client else ours
            sent = b""
            events: list[tls.Event] = []
            for piece in pieces(records, size):
                more, few = side.feed(piece)
                sent += more
                events += few
            told.append((sent, events))
        found.append(told)
    assert found[0] == found[1]
