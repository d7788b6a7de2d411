"""The other end of a port: TCP clients, pseudo-terminals, and a slow or bad line before either."""

from __future__ import annotations

import socket
import sys

import pytest
from osgp_fast import TransportError
from osgp_fast.transport import BadLine, Faults, LinePort, Listener, PtyPort, VirtualClock, Wire, open_port


class Deaf:
    """A port in memory: what is to come when, and what was written when."""

    name = "deaf"
    baud = 9600

    def __init__(self, clock: VirtualClock, *arriving: tuple[float, bytes]) -> None:
        self.clock = clock
        self.arriving = list(arriving)
        self.written: list[tuple[float, bytes]] = []

    def write(self, data: bytes) -> None:
        self.written.append((round(self.clock.now, 3), data))

    def read(self, timeout_s: float | None) -> bytes:
        end = float("inf") if timeout_s is None else self.clock.now + timeout_s
        if self.arriving and self.arriving[0][0] <= end:
            self.clock.now = max(self.clock.now, self.arriving[0][0])
            return self.arriving.pop(0)[1]
        self.clock.now = end
        return b""

    def close(self) -> None:
        self.arriving.clear()


def test_bytes_take_their_time() -> None:
    clock = VirtualClock(0.0)
    deaf = Deaf(clock, (1.0, bytes(96)))
    port = LinePort(deaf, Wire(paced=True), Wire(paced=True), clock=clock)
    port.write(bytes(960))
    assert deaf.written == []
    assert port.read(None) == bytes(96)
    assert clock.now == pytest.approx(1.1)
    assert deaf.written == [(1.0, bytes(960))]
    assert port.read(0.5) == b""
    assert clock.now == pytest.approx(1.6)


def test_an_echo_and_a_refusal() -> None:
    clock = VirtualClock(0.0)
    deaf = Deaf(clock, (0.5, b"abc"), (0.7, b"def"))
    refusing = BadLine(1, Faults(refuse=1.0))
    port = LinePort(deaf, refusing, Wire(), echo=True, clock=clock)
    assert port.read(1.0) == b""
    assert deaf.written == [(0.5, b"abc"), (0.5, b"\x15"), (0.7, b"def"), (0.7, b"\x15")]
    port.close()


def test_a_listener_and_its_clients() -> None:
    listener = Listener()
    client = open_port(listener.url)
    served = listener.accept()
    client.write(b"hello")
    assert served.read(2.0) == b"hello"
    served.write(b"there")
    assert client.read(2.0) == b"there"
    assert served.read(0.01) == b""
    client.close()
    with pytest.raises(TransportError) as gone:
        served.read(2.0)
    assert gone.value.code == "port.unplugged"
    served.close()
    with pytest.raises(TransportError):
        served.read(0.1)
    listener.close()


def test_it_listens_on_this_computer_alone() -> None:
    listener = Listener()
    assert listener.url.startswith("socket://127.0.0.1:")
    listener.close()
    if socket.has_ipv6:
        try:
            six = Listener(host="::1")
        except TransportError:
            return  # no such address here
        assert six.url.startswith("socket://[::1]:")
        six.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_pseudo_terminal() -> None:
    port = PtyPort()
    for _ in range(2):  # clients come and go
        client = open_port(port.name)
        client.write(bytes(range(256)))
        got = b""
        while len(got) < 256:
            got += port.read(2.0)
        assert got == bytes(range(256))
        port.write(b"\x06\x15\x11\x13\r\n")
        assert client.read(2.0) == b"\x06\x15\x11\x13\r\n"
        client.close()
    assert port.read(0.01) == b""
    port.close()
    port.close()
