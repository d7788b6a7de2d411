"""The other end of a port: a TCP socket that a client connects to with ``socket://``, or a pseudo-terminal."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import time
from collections import deque

from ..errors import TransportError
from .memory import Delivery, Way
from .port import Clock, Port

#: Taken at once.
CHUNK = 4096
#: A blocking call ends after so long, so that an interrupt gets through on every system.
_PATIENCE_S = 1.0


class SocketPort:
    """A client that has connected."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._socket = connection
        self.name = name
        self.baud = 9600
        # Packets are small and each is waited for.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def write(self, data: bytes) -> None:
        """Write all of it."""
        try:
            self._socket.settimeout(10.0)
            self._socket.sendall(data)
        except OSError as error:
            raise _gone(self.name) from error

    def read(self, timeout_s: float | None) -> bytes:
        """What has come, as soon as something has; nothing after the time-out."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left = _PATIENCE_S if end is None else min(max(end - time.monotonic(), 0.0), _PATIENCE_S)
            try:
                if select.select([self._socket], [], [], left)[0]:
                    data = self._socket.recv(CHUNK)
                    if not data:
                        raise _gone(self.name)
                    return data
            except (OSError, ValueError) as error:  # ValueError: closed by another thread
                raise _gone(self.name) from error
            if end is not None and time.monotonic() >= end:
                return b""

    def close(self) -> None:
        """Close it; twice does no harm."""
        self._socket.close()


def _gone(name: str) -> TransportError:
    return TransportError("port.unplugged", f"{name}: the other end has closed the connection", port=name)


class Listener:
    """A TCP port that takes one client after the other; ``url`` is what they open.

    Raises: TransportError "port.listen".
    """

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        try:
            info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            self._socket = socket.socket(info[0], info[1])
            if sys.platform != "win32":  # where it would let two programs share the port
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind(info[4])
            self._socket.listen()
        except (OSError, OverflowError) as error:
            raise TransportError(
                "port.listen",
                f"{host}:{port} cannot be listened on: {error}",
                "choose another port, or none and a free one is taken",
                port=port,
            ) from error
        bound = self._socket.getsockname()
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        self.url = f"socket://{shown}:{bound[1]}"

    def waiting(self, timeout_s: float) -> bool:
        """Whether a client is there, or comes within the time-out."""
        return bool(select.select([self._socket], [], [], timeout_s)[0])

    def accept(self) -> SocketPort:
        """Wait for the next client."""
        while not self.waiting(_PATIENCE_S):
            pass
        connection, address = self._socket.accept()
        return SocketPort(connection, f"{address[0]}:{address[1]}")

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


class PtyPort:
    """One end of a pseudo-terminal; ``name`` is the device that a client opens as its serial port.

    Clients come and go unseen, as on a real line. Raises: TransportError "port.no_pty".
    """

    def __init__(self) -> None:
        try:
            import tty

            self._ours, self._theirs = os.openpty()
        except (ImportError, AttributeError) as error:
            raise TransportError(
                "port.no_pty",
                "this system has no pseudo-terminals",
                "leave --pty out and connect to the socket:// URL instead",
            ) from error
        except OSError as error:
            raise TransportError("port.no_pty", f"there is no free pseudo-terminal: {error}", "close some") from error
        # Our copy of the client's end stays open: without it, reading fails between two clients.
        tty.setraw(self._theirs)
        self.name = os.ttyname(self._theirs)
        self.baud = 9600

    def write(self, data: bytes) -> None:
        """Write what the client takes; what nobody reads is lost when the terminal's buffer is full, as on a line."""
        os.set_blocking(self._ours, False)
        end = time.monotonic() + 2.0
        while data:
            try:
                data = data[os.write(self._ours, data) :]
            except BlockingIOError:
                if time.monotonic() > end:
                    return
                time.sleep(0.005)

    def read(self, timeout_s: float | None) -> bytes:
        """What has come, as soon as something has; nothing after the time-out."""
        if select.select([self._ours], [], [], timeout_s)[0]:
            with contextlib.suppress(BlockingIOError):
                return os.read(self._ours, CHUNK)
        return b""

    def close(self) -> None:
        """Close it; twice does no harm."""
        for end in (self._ours, self._theirs):
            with contextlib.suppress(OSError):
                os.close(end)


class LinePort:
    """A port with a line before it that is paced or bad, in real time: what `MemoryPort` is in memory.

    Args: ``arriving`` and ``leaving`` are the two directions; ``echo``: who writes to us hears itself.
    """

    def __init__(
        self, port: Port, arriving: Way, leaving: Way, *, echo: bool = False, clock: Clock = time.monotonic
    ) -> None:
        self.port = port
        self.baud = port.baud
        self._arriving, self._leaving = arriving, leaving
        self._echo = echo
        self._clock = clock
        self._in: deque[Delivery] = deque()
        self._out: deque[Delivery] = deque()

    @property
    def name(self) -> str:
        """That of the port."""
        return self.port.name

    def write(self, data: bytes) -> None:
        """Bytes on their way out."""
        _queue(self._out, self._leaving.carry(data, self._clock(), self.baud))
        _queue(self._in, self._leaving.answers())
        self._send()

    def _send(self) -> None:
        now = self._clock()
        while self._out and self._out[0][0] <= now:
            self.port.write(self._out.popleft()[1])

    def read(self, timeout_s: float | None) -> bytes:
        """What has arrived, as soon as something has; nothing after the time-out."""
        end = None if timeout_s is None else self._clock() + timeout_s
        while True:
            self._send()
            now = self._clock()
            if self._in and self._in[0][0] <= now:
                return self._in.popleft()[1]
            if end is not None and now >= end:
                return b""
            times = [queue[0][0] for queue in (self._in, self._out) if queue] + ([] if end is None else [end])
            data = self.port.read(max(min(times) - now, 0.0) if times else None)
            if data:
                now = self._clock()
                if self._echo:
                    _queue(self._out, [(now, data)])
                _queue(self._in, self._arriving.carry(data, now, self.baud))
                _queue(self._out, self._arriving.answers())

    def close(self) -> None:
        """Close it; twice does no harm."""
        self.port.close()


def _queue(queue: deque[Delivery], deliveries: list[Delivery]) -> None:
    for at, data in deliveries:
        queue.append((max(at, queue[-1][0]) if queue else at, data))
