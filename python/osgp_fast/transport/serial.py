"""Serial ports and pyserial's URLs: ``/dev/ttyUSB0``, ``COM3``, ``socket://host:port``, ``rfc2217://``, ``loop://``, ``spy://``.

The only module that imports ``serial``. Optical heads take their power from the port's control lines, so RTS and DTR are
set as they are asked for, both on by default.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import Any, Final
from urllib.parse import urlsplit

import serial

from ..errors import TransportError

#: After the first byte everything that is there is taken, at most so much at once.
CHUNK: Final = 4096
#: URLs of ports that stand elsewhere.
NETWORK: Final = ("socket://", "rfc2217://")


class SerialPort:
    """A port of pyserial, 8N1.

    Raises: TransportError "port.not_found", "port.busy", "port.permission", "port.bad_url", "port.no_connection",
    "port.open"; later "port.unplugged".
    """

    def __init__(self, name: str, *, baud: int = 9600, rts: bool = True, dtr: bool = True) -> None:
        self.name = name
        self._closed = False
        try:
            if name.startswith(NETWORK) and urlsplit(name).port is None:
                raise ValueError("host and port number are missing")
            self._serial: Any = serial.serial_for_url(
                name, do_not_open=True, baudrate=baud, timeout=1.0, write_timeout=10
            )
        except (ValueError, ImportError) as error:
            raise _bad_url(name, error) from error
        if "://" not in name:
            self._serial.exclusive = True
        self._serial.rts, self._serial.dtr = rts, dtr
        try:
            self._serial.open()
            self._serial.reset_input_buffer()
            if isinstance(link := getattr(self._serial, "_socket", None), socket.socket):
                # An ACK and the request behind it are two writes: the second one is not to wait for the first one's way.
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise _not_open(name, error) from error

    @property
    def baud(self) -> int:
        """The speed in bit/s; setting it waits until what was written is out."""
        rate: int = self._serial.baudrate
        return rate

    @baud.setter
    def baud(self, rate: int) -> None:
        try:
            self._serial.flush()
            self._serial.baudrate = rate
        except (OSError, ValueError) as error:
            raise self._gone(error) from error

    def write(self, data: bytes) -> None:
        """Write all of it."""
        try:
            self._serial.write(data)
        except (OSError, serial.SerialException) as error:
            raise self._gone(error) from error

    def read(self, timeout_s: float | None) -> bytes:
        """What has come, as soon as something has; nothing after the time-out."""
        port = self._serial
        try:
            if port.timeout != timeout_s:
                port.timeout = timeout_s
            data = bytes(port.read(1))
            if data and self.name.startswith("socket://"):
                # Its in_waiting says only whether there is a byte.
                port.timeout = 0
                return data + bytes(port.read(CHUNK))
            while data and len(data) < CHUNK and (waiting := port.in_waiting):
                data += port.read(min(waiting, CHUNK))
            return data
        except (OSError, serial.SerialException, TypeError) as error:  # TypeError: closed by another thread
            raise self._gone(error) from error

    def close(self) -> None:
        """Close it; twice does no harm."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(OSError):  # it is gone already
                self._serial.close()

    def _gone(self, error: Exception) -> TransportError:
        if self._closed:
            return TransportError("port.unplugged", f"{self.name} is closed", "open it again", port=self.name)
        return TransportError(
            "port.unplugged",
            f"{self.name} is gone: {error}",
            "check the cable and the adapter, or whether the other end has closed the connection; then open it again",
            port=self.name,
        )


def _bad_url(name: str, error: Exception) -> TransportError:
    return TransportError(
        "port.bad_url",
        f"{name} is no port: {error}",
        "a port is a device (/dev/ttyUSB0, COM3) or a URL of pyserial (socket://host:port, rfc2217://host:port)",
        port=name,
    )


def _not_open(name: str, error: Exception) -> TransportError:
    """Why a port could not be opened."""
    text = str(error)
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, ValueError):
        return _bad_url(name, error)
    if name.startswith(NETWORK):
        hint = "check host, port number and that the converter or simulator is running and has no other client"
        return TransportError("port.no_connection", f"{name}: no connection: {text}", hint, port=name)
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV) or "FileNotFoundError" in text:
        return TransportError(
            "port.not_found",
            f"{name}: there is no such port",
            "check the name; python -m serial.tools.list_ports lists the ports of this computer",
            port=name,
        )
    if number in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK) or "exclusively lock" in text:
        return TransportError(
            "port.busy",
            f"{name} is in use by another program",
            "close the other program, or choose another port",
            port=name,
        )
    if number in (errno.EACCES, errno.EPERM) or "PermissionError" in text:
        # Windows says so of a port that is open elsewhere, too.
        return TransportError(
            "port.permission",
            f"{name} may not be opened",
            "on Linux: add yourself to the group that owns it (usermod -aG dialout USER) and log in again; on Windows it is "
            "open in another program",
            port=name,
        )
    return TransportError("port.open", f"{name} cannot be opened: {text}", "check the name and the adapter", port=name)
