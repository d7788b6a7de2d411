"""TLS against other people's: OpenSSL over loopback, and Mbed TLS, on which the meters' implementation is based.

OpenSSL cuts an identity at a zero byte, so that it is given one without; Mbed TLS takes them all.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from both import IMPLEMENTATIONS
from osgp_fast import _impl
from osgp_fast.security import Key
from osgp_fast.security.legacy_rc4 import CONSTANT, Rc4
from osgp_fast.security.tls import Closed, Data, Established, Event, Failed, TlsClient, TlsOpener, TlsServer, identity

KEY = Key(bytes(range(1, 17)))
#: Without a zero byte.
NAMED = identity(0x2164, 1)
TIMEOUT_S = 20


def openssl() -> str | None:
    """The command, if it is OpenSSL 3 or newer and not something else of its name."""
    command = shutil.which("openssl")
    if command is None:
        return None
    done = subprocess.run([command, "version"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    found = re.match(r"OpenSSL (\d+)", done.stdout)
    return command if found and int(found[1]) >= 3 else None


OPENSSL = openssl()
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="OpenSSL 3 is not installed")


@pytest.fixture(params=IMPLEMENTATIONS)
def chosen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `_impl` chooses, once each."""
    monkeypatch.setattr(_impl, "_implementation", request.param)
    name: str = request.param
    return name


def options(key: Key) -> list[str]:
    return [
        *("-psk_identity", NAMED.decode("ascii"), "-psk", key.used.hex()),
        *("-cipher", "PSK-AES256-GCM-SHA384", "-tls1_2"),
    ]


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    assert OPENSSL is not None
    process = subprocess.Popen(
        [OPENSSL, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def connected_to_openssl(key: Key, *more: str) -> Iterator[socket.socket]:
    """A connection to an OpenSSL server that sends every line back, reversed."""
    arguments = ["s_server", "-accept", "127.0.0.1:0", "-nocert", "-rev", *options(key), *more]
    with running(*arguments) as server:
        assert server.stdout is not None
        told = b""
        for line in server.stdout:
            told += line
            if found := re.match(rb"ACCEPT 127\.0\.0\.1:(\d+)", line):
                break
        else:
            pytest.fail(f"OpenSSL does not serve: {told!r}")
        with socket.create_connection(("127.0.0.1", int(found[1])), TIMEOUT_S) as connection:
            yield connection


def shaken(connection: socket.socket, side: TlsClient | TlsServer) -> list[Event]:
    """Go on until something happened."""
    events: list[Event] = []
    while not events:
        data = connection.recv(4096)
        if not data:
            break
        sent, events = side.feed(data)
        connection.sendall(sent)
    return events


def told(connection: socket.socket, side: TlsClient | TlsServer, size: int) -> bytes:
    """So much application data."""
    data = b""
    while len(data) < size:
        events = shaken(connection, side)
        assert events
        assert all(isinstance(event, Data) for event in events)
        data += b"".join(event.data for event in events if isinstance(event, Data))
    return data


@needs_openssl
@pytest.mark.parametrize("more", [(), ("-psk_hint", "a hint")], ids=["plain", "hint"])
def test_our_client_and_openssl(chosen: str, more: tuple[str, ...]) -> None:
    with connected_to_openssl(KEY, *more) as connection:
        client = _impl.tls_client(NAMED, KEY, os.urandom(32))
        connection.sendall(client.start())
        assert shaken(connection, client) == [Established(NAMED, 0)]
        for text in (b"hello", b"x" * 400, b"again"):
            connection.sendall(client.send(text + b"\n"))
            assert told(connection, client, len(text) + 1) == text[::-1] + b"\n"
        connection.sendall(client.close())
        assert client.status == "closed"


@needs_openssl
def test_our_client_and_openssl_with_another_key(chosen: str) -> None:
    with connected_to_openssl(Key(bytes([9]) * 16)) as connection:
        client = _impl.tls_client(NAMED, KEY, os.urandom(32))
        connection.sendall(client.start())
        (failed,) = shaken(connection, client)
        assert isinstance(failed, Failed)
        assert failed.code == "tls.alert"
        assert failed.alert in (20, 51)


@needs_openssl
def test_our_client_and_openssl_with_another_suite(chosen: str) -> None:
    with connected_to_openssl(KEY, "-cipher", "PSK-AES128-GCM-SHA256") as connection:
        client = _impl.tls_client(NAMED, KEY, os.urandom(32))
        connection.sendall(client.start())
        (failed,) = shaken(connection, client)
        assert isinstance(failed, Failed)
        assert (failed.code, failed.alert) == ("tls.alert", 40)
        assert "00A9" in failed.hint


@contextmanager
def openssl_client(
    server: TlsServer, key: Key, *more: str
) -> Iterator[tuple[subprocess.Popen[bytes], Any, list[Event]]]:
    """An OpenSSL client that came to our server, and what its handshake led to."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(TIMEOUT_S)
        port = listening.getsockname()[1]
        with running("s_client", "-connect", f"127.0.0.1:{port}", "-quiet", *options(key), *more) as client:
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(TIMEOUT_S)
                yield client, connection, shaken(connection, server)


@needs_openssl
def test_our_server_and_openssl(chosen: str) -> None:
    server = _impl.tls_server({1: KEY}, os.urandom(32), session_id=os.urandom(32))
    with openssl_client(server, KEY) as (client, connection, events):
        assert events == [Established(NAMED, 1)]
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(b"hello\n")
        client.stdin.flush()
        assert told(connection, server, 6) == b"hello\n"
        connection.sendall(server.send(b"from the meter\n"))
        assert client.stdout.readline() == b"from the meter\n"
        connection.sendall(server.close())
        # It answers the end with its own.
        assert client.wait(TIMEOUT_S) == 0


@needs_openssl
@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("-psk", "09" * 16), "tls.bad_record"),
        (("-psk_identity", "nobody"), "tls.identity"),
        (("-cipher", "PSK-AES128-GCM-SHA256"), "tls.suite"),
    ],
)
def test_our_server_and_an_openssl_that_wants_something_else(chosen: str, more: tuple[str, ...], code: str) -> None:
    server = _impl.tls_server({1: KEY}, os.urandom(32))
    with openssl_client(server, KEY, *more) as (client, _, events):
        (failed,) = events
        assert isinstance(failed, Failed)
        assert failed.code == code
        assert client.wait(TIMEOUT_S) != 0


@needs_openssl
def test_rc4_as_openssl_does_it() -> None:
    assert OPENSSL is not None
    command = [OPENSSL, "enc", "-rc4", "-K", KEY.used.hex(), "-provider", "legacy", "-provider", "default"]
    done = subprocess.run(command, input=CONSTANT, capture_output=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        pytest.skip("this OpenSSL has no RC4")
    assert done.stdout == Rc4(KEY.used).apply(CONSTANT)


# ---- Mbed TLS


def mbedtls() -> Any:
    return pytest.importorskip("mbedtls.tls", reason="python-mbedtls is not installed")


def step(side: Any) -> None:
    """As far as Mbed TLS comes with the bytes it has."""
    theirs = mbedtls()
    for _ in range(30):
        if side._handshake_state is theirs.HandshakeStep.HANDSHAKE_OVER:
            return
        try:
            side.do_handshake()
        except (theirs.WantReadError, theirs.WantWriteError):
            return


def taken(side: Any) -> bytes:
    """What Mbed TLS wants to send."""
    sent = bytes(side.peek_outgoing(1 << 16))
    side.consume_outgoing(len(sent))
    return sent


def configuration(**more: Any) -> Any:
    theirs = mbedtls()
    return theirs.TLSConfiguration(
        ciphers=("TLS-PSK-WITH-AES-256-GCM-SHA384",),
        lowest_supported_version=theirs.TLSVersion.TLSv1_2,
        validate_certificates=False,
        **more,
    )


@pytest.mark.parametrize("named", [identity(100, 1), identity(100, 0), identity(0, 0)], ids=lambda n: n.hex())
def test_our_client_and_mbedtls(chosen: str, named: bytes) -> None:
    theirs = mbedtls()
    server = theirs.ServerContext(configuration(pre_shared_key_store={named.decode(): KEY.used})).wrap_buffers()
    client = _impl.tls_client(named, KEY, os.urandom(32))
    sent, events = client.start(), list[Event]()
    for _ in range(5):
        if sent:
            server.receive_from_network(sent)
        step(server)
        sent, more = client.feed(taken(server))
        events += more
    assert events == [Established(named, 0)]
    for text in (b"hello", bytes(446)):
        server.receive_from_network(client.send(text))
        assert server.read(1000) == text
        server.write(text[::-1])
        assert client.feed(taken(server)) == (b"", [Data(text[::-1])])


@pytest.mark.parametrize("named", [identity(100, 1), identity(100, 0), identity(0, 0)], ids=lambda n: n.hex())
def test_our_server_and_mbedtls(chosen: str, named: bytes) -> None:
    theirs = mbedtls()
    client = theirs.ClientContext(configuration(pre_shared_key=(named.decode(), KEY.used))).wrap_buffers(None)
    server = _impl.tls_server({named[-1]: KEY}, os.urandom(32), session_id=os.urandom(32))
    # Somebody who listens and has the key reads along.
    opener: TlsOpener = _impl.tls_opener([bytes(16), KEY])
    events: list[Event] = []
    overheard: list[Event] = []
    for _ in range(5):
        step(client)
        sent = taken(client)
        overheard += opener.client(sent)
        answer, more = server.feed(sent)
        overheard += opener.server(answer)
        events += more
        if answer:
            client.receive_from_network(answer)
    assert events == [Established(named, named[-1])]
    assert overheard == [Established(named, 1)]
    client.write(b"question")
    sent = taken(client)
    assert server.feed(sent) == (b"", [Data(b"question")])
    assert opener.client(sent) == [Data(b"question")]
    answer = server.send(b"answer")
    client.receive_from_network(answer)
    assert client.read(100) == b"answer"
    assert opener.server(answer) == [Data(b"answer")]
    assert opener.client(b"\x15") == []


def test_a_wrong_key_and_mbedtls(chosen: str) -> None:
    theirs = mbedtls()
    named = identity(100, 0)
    server = theirs.ServerContext(configuration(pre_shared_key_store={named.decode(): bytes(16)})).wrap_buffers()
    client = _impl.tls_client(named, KEY, os.urandom(32))
    sent, events = client.start(), list[Event]()
    for _ in range(5):
        if sent:
            server.receive_from_network(sent)
        with suppress(pytest.importorskip("mbedtls.exceptions").TLSError):
            step(server)
        sent, more = client.feed(taken(server))
        events += more
    (failed,) = events
    assert isinstance(failed, Failed)
    assert (failed.code, failed.alert) == ("tls.alert", 20)
    assert Closed() not in events
