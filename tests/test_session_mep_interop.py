"""The MEP machines with somebody else's TLS inside: Mbed TLS, on which the meters' is based, and OpenSSL, in both roles.

The messages of MEP around the records are ours; `Crypto` lets the other implementation make and read the records. OpenSSL
cuts an identity at a zero byte, so it is given one without, which only the advanced key has.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from mep_lines import MAK, MBK, MepTables
from osgp_fast import _impl
from osgp_fast.codec import transactions
from osgp_fast.errors import SecurityError
from osgp_fast.security.key import used_bytes
from osgp_fast.security.tls import Data as TlsData
from osgp_fast.security.tls import Established, Event, Failed, identity
from osgp_fast.session import Data, MepAccess, MepConnection, MepMode, MepPort, MepResponder, Read, dialogue
from osgp_fast.session.mep_crypto import PythonCrypto
from osgp_fast.session.mep_procedure import ET52, ET53, Procedures, transact, write
from osgp_fast.session.procedure import BT08
from osgp_fast.transport import MemoryPort, MepLine, VirtualClock
from test_security_interop import OPENSSL, TIMEOUT_S, configuration, mbedtls, needs_openssl, step, taken

#: Without a zero byte: for OpenSSL.
CLIENT_ID = 0x2164
BIG = bytes(i * 7 & 0xFF for i in range(1500))
TABLES = {23: bytes(range(220)), 64: BIG, BT08: bytes(16), ET52: bytes(896), ET53: bytes(1785)}


def all_tasks(client: Any, meter: Any, *, key: bytes = MAK, access: MepAccess = MepAccess.ADVANCED) -> MepResponder:
    """Reads, a write, a procedure and a transaction over TLS, with these two sides' arithmetic."""
    clock = VirtualClock()
    handler = MepTables(TABLES)
    keys = {MepAccess.ADVANCED: MAK, MepAccess.BASIC: MBK}
    responder = MepResponder(handler, MepPort(keys=keys, entropy=os.urandom, mode=MepMode.TLS), crypto=meter)
    connection = MepConnection(
        key, entropy=os.urandom, mode=MepMode.TLS, access=access, client_id=CLIENT_ID, crypto=client
    )
    with MepLine(MemoryPort(responder, clock), connection, clock=clock) as line:
        assert line.ask(Read(23, 3, 4)) == Data(bytes(range(3, 7)))
        assert line.run(dialogue.read(connection, 64, 0, len(BIG))).data == BIG
        line.run(write(connection, 64, bytes(600), 7))
        assert handler.tables[64] == BIG[:7] + bytes(600) + BIG[607:]
        assert line.run(Procedures(connection).call(2048 + 17, b"\0\xf8\3")).code == 0
        request = transactions.build_requests(4, [transactions.read(23, 0, 5), transactions.write(64, bytes(500), 9)])
        answer = transactions.parse_transaction(line.run(transact(connection, request)))
        assert answer.responses[0].data == bytes(range(5))
        assert connection.counts.handshakes == 1
        assert connection.counts.sent_again == 0
    assert set(handler.asked) == {(access, CLIENT_ID)}
    return responder


class Endpoint:
    """The face of `TlsClient` and `TlsServer` around something else."""

    def __init__(self, established: Established) -> None:
        self.status = "handshake"
        self._established = established

    def opened(self) -> list[Event]:
        self.status = "open"
        return [self._established]

    def failed(self, alert: int) -> list[Event]:
        self.status = "failed"
        return [Failed("tls.finished", "it does not take the key", "", alert)]


# Mbed TLS


class Mbed(Endpoint):
    def __init__(self, side: Any, established: Established) -> None:
        super().__init__(established)
        self.side = side

    def start(self) -> bytes:
        step(self.side)
        return taken(self.side)

    def feed(self, data: bytes) -> tuple[bytes, list[Event]]:
        self.side.receive_from_network(data)
        if self.status == "open":
            return b"", [TlsData(bytes(self.side.read(1000)))]
        out = b""
        while True:
            try:
                step(self.side)
            except pytest.importorskip("mbedtls.exceptions").TLSError:
                return out + taken(self.side), self.failed(20)
            more = taken(self.side)
            out += more
            if not more:  # it stops after each record until that is taken
                break
        over = self.side._handshake_state is mbedtls().HandshakeStep.HANDSHAKE_OVER
        return out, self.opened() if over else []

    def send(self, data: bytes) -> bytes:
        self.side.write(data)
        return taken(self.side)


class MbedCrypto(PythonCrypto):
    """TLS by Mbed TLS."""

    def __init__(self, access: MepAccess) -> None:
        self.named = identity(CLIENT_ID, access)

    def tls_client(self, identity: bytes, key: Any, random: bytes) -> Any:
        settings = configuration(pre_shared_key=(identity.decode(), used_bytes(key)))
        return Mbed(mbedtls().ClientContext(settings).wrap_buffers(None), Established(identity, 0))

    def tls_server(self, keys: Mapping[int, Any], random: bytes, *, session_id: bytes = b"") -> Any:
        store = {(self.named[:2] + bytes([which])).decode(): used_bytes(key) for which, key in keys.items()}
        context = mbedtls().ServerContext(configuration(pre_shared_key_store=store))
        return Mbed(context.wrap_buffers(), Established(self.named, self.named[2]))


@pytest.mark.parametrize(("key", "access"), [(MAK, MepAccess.ADVANCED), (MBK, MepAccess.BASIC)])
@pytest.mark.parametrize("theirs", ["server", "client"])
def test_mbedtls_in_both_roles(key: bytes, access: MepAccess, theirs: str) -> None:
    mbedtls()
    crypto = MbedCrypto(access)
    sides = (_impl, crypto) if theirs == "server" else (crypto, _impl)
    all_tasks(*sides, key=key, access=access)


@pytest.mark.parametrize("theirs", ["server", "client"])
def test_a_wrong_key_and_mbedtls(theirs: str) -> None:
    mbedtls()
    crypto = MbedCrypto(MepAccess.ADVANCED)
    sides = (_impl, crypto) if theirs == "server" else (crypto, _impl)
    with pytest.raises(SecurityError) as caught:
        all_tasks(*sides, key=bytes(16))
    assert caught.value.code == "mep.tls_key"


# OpenSSL


def received(connection: socket.socket) -> bytes:
    """What comes until it is quiet."""
    data = b""
    while select.select([connection], [], [], 0.1 if data else TIMEOUT_S)[0]:
        more = connection.recv(4096)
        if not more:
            break
        data += more
    return data


class Command(Endpoint):
    """An OpenSSL command with its end of the connection and its clear text on standard input and output."""

    def __init__(self, process: subprocess.Popen[bytes], connection: socket.socket, established: Established) -> None:
        super().__init__(established)
        self.process, self.connection = process, connection
        self.first = True

    def start(self) -> bytes:
        return received(self.connection)

    def feed(self, data: bytes) -> tuple[bytes, list[Event]]:
        self.connection.sendall(data)
        if self.status == "open":
            assert self.process.stdout is not None
            assert select.select([self.process.stdout], [], [], TIMEOUT_S)[0]
            return b"", [TlsData(os.read(self.process.stdout.fileno(), 4096))]
        # The meter's second answer ends the handshake; the client says nothing to it.
        out = b"" if isinstance(self, Client) and not self.first else received(self.connection)
        self.first, over = False, not self.first
        return out, self.opened() if over else []

    def send(self, data: bytes) -> bytes:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()
        return received(self.connection)


class Client(Command):
    """``s_client``."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def openssl(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    assert OPENSSL is not None
    named = identity(CLIENT_ID, MepAccess.ADVANCED).decode("ascii")
    common = ["-quiet", "-psk_identity", named, "-psk", MAK.hex(), "-cipher", "PSK-AES256-GCM-SHA384", "-tls1_2"]
    process = subprocess.Popen(
        [OPENSSL, *arguments, *common],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def connected(port: int) -> socket.socket:
    end = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end:
        with suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        time.sleep(0.02)
    pytest.fail("OpenSSL does not serve")


@needs_openssl
def test_our_client_and_a_meter_with_openssl() -> None:
    named = identity(CLIENT_ID, MepAccess.ADVANCED)
    port = free_port()
    with openssl("s_server", "-accept", f"127.0.0.1:{port}", "-nocert") as process, connected(port) as connection:

        class OpenSsl(PythonCrypto):
            def tls_server(self, keys: Mapping[int, Any], random: bytes, *, session_id: bytes = b"") -> Any:
                return Command(process, connection, Established(named, 1))

        all_tasks(_impl, OpenSsl())


@needs_openssl
def test_our_meter_and_a_client_with_openssl() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(TIMEOUT_S)
        with openssl("s_client", "-connect", f"127.0.0.1:{listening.getsockname()[1]}") as process:
            connection, _ = listening.accept()
            with connection:

                class OpenSsl(PythonCrypto):
                    def tls_client(self, identity: bytes, key: Any, random: bytes) -> Any:
                        return Client(process, connection, Established(identity, 0))

                all_tasks(OpenSsl(), _impl)
