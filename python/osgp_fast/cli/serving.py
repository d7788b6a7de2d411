"""Ports of a virtual meter, served: what `osgp-fast simulate` does once it knows what it is asked for."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, TextIO

import click

from ..errors import TransportError, UsageError
from ..transport import MEP, BadLine, LinePort, Listener, NamedPort, PtyPort, SharedPort, TracePort
from ..transport.drive import step
from ..virtual import Clock, MepMeterHandler, MeterHandler, VirtualMeter, Visits, machine, mep_machine
from ..virtual.faults import Badness, parse

if TYPE_CHECKING:
    from ..session import Machine
    from ..transport import Port
    from ..virtual import MeterConfig
    from .simulate import Options

__all__ = ["serve"]

#: What a meter's MEP client may be told while the port stands on MEP: a length and made-up bytes, and an alert.
_MEP_MESSAGES = (bytes.fromhex("000c0005a1b2c3d4e5f60718293a"), b"\0\0")
#: So often a thread looks whether it is to end.
_LOOK_S = 0.25
#: A thread that is in the middle of something is waited for at most so long.
_LAST_WORD_S = 5.0


def serve(options: Options, config: MeterConfig) -> None:
    """Serve until Ctrl-C. Raises: TransportError where a port cannot be opened, UsageError."""
    if options.firmware is not None and "," in options.firmware:
        raise UsageError("usage.firmware", "a meter has one firmware", "give several with --dump only")
    badness = parse(options.fault)
    if config.start is None:
        config = dataclasses.replace(config, start=datetime.now(UTC))
    meter = VirtualMeter(config)
    clock = Clock(time.monotonic, meter.start, config.speed)
    with contextlib.ExitStack() as stack:
        main, *others = [MeterPort(name, options, badness, meter, clock) for name in options.ports]
        # Nothing is said before all of them can be opened.
        main.open(stack, options.port or 0, main=True)
        for port in others:
            port.open(stack, 0)
        click.echo(main.address)
        for port in others:
            click.echo(f"{port.name} {port.called}")
        sys.stdout.flush()
        ended = threading.Event()
        threads = [threading.Thread(target=port.serve, args=(ended.is_set,), daemon=True) for port in others]
        try:
            for thread in threads:
                thread.start()
            main.serve(once=options.once)
        finally:
            ended.set()
            for thread in threads:
                thread.join(_LAST_WORD_S)


class MeterPort:
    """A port of the meter, and the TCP port or device that clients open in its place.

    Args: ``name``: ``optical``, ``mep`` or ``mep2``. Raises: UsageError for a port or fault that the meter has not.
    """

    def __init__(self, name: str, options: Options, badness: Badness, meter: VirtualMeter, clock: Clock) -> None:
        self.name = name
        self.mep = name != "optical"
        self.address = ""
        """What is connected to: a URL or device."""
        self._options = options
        self._badness = badness
        self._trace: TextIO | None = None
        self._at: Listener | PtyPort
        self._handler = (
            MepMeterHandler(meter, clock, client=2 if name == "mep2" else 1) if self.mep else MeterHandler(meter, clock)
        )
        # Where the optical port is served, too, its sessions are those that take the port away.
        visited = badness.shared_port and self.mep and "optical" not in options.ports
        self._visits = Visits(meter.config) if visited else None

    @property
    def called(self) -> str:
        """What a client of this package opens."""
        return (MEP if self.mep else "") + self.address

    def open(self, stack: contextlib.ExitStack, port: int, *, main: bool = False) -> None:
        """Open it, and the log beside it. Raises: TransportError."""
        if self._options.trace is not None:
            file = Path(self._options.trace)
            if not main:
                file = file.with_name(f"{file.stem}.{self.name}{file.suffix}")
            self._trace = stack.enter_context(file.open("w", encoding="utf-8"))
        self._at = PtyPort() if self._options.pty else Listener(port, self._options.host)
        stack.callback(self._at.close)
        self.address = self._at.name if isinstance(self._at, PtyPort) else self._at.url

    def serve(self, ended: Callable[[], bool] | None = None, *, once: bool = False) -> None:
        """Serve one client after the other, until ``ended``, or ``once``: until the first client or session has gone."""
        if isinstance(self._at, PtyPort):
            before = self._handler.sessions
            self._talk(self._at, (lambda: self._handler.sessions > before) if once else ended)
            return
        while ended is None or not ended():
            if ended is not None and not self._at.waiting(_LOOK_S):
                continue
            with contextlib.suppress(TransportError):  # the client is gone; the next one may come
                self._talk(self._at.accept(), ended)
            if once:
                return

    def _talk(self, port: Port, ended: Callable[[], bool] | None) -> None:
        """Be the meter on a port until it is gone (TransportError), or until ``ended``."""
        with contextlib.ExitStack() as stack:
            meter = self._machine(stack)
            port = self._line(port)
            stack.callback(port.close)
            # Who is to end must not wait for ever for a byte; nobody but Ctrl-C ends the others.
            most_s = None if ended is None else _LOOK_S
            while ended is None or not ended():
                step(port, meter, time.monotonic, most_s=most_s)
                if self._trace is not None:
                    self._trace.flush()

    def _machine(self, stack: contextlib.ExitStack) -> Machine:
        """The meter's end of a line."""
        handler, options = self._handler, self._options
        if isinstance(handler, MepMeterHandler):
            from .. import _impl
            from ..session import MepMode

            if options.baud is not None:
                handler.baud = int(options.baud)
            mode = MepMode(options.security or "auto")
            return mep_machine(handler, entropy=os.urandom, mode=mode, crypto=_impl, visits=self._visits)
        guard = machine(handler)
        stack.callback(lambda: guard.close(time.monotonic()))
        return SharedPort(guard, messages=_MEP_MESSAGES) if self._badness.shared_port else guard

    def _line(self, port: Port) -> Port:
        """The port behind a line that is as bad as it is asked for, and behind the log."""
        faults, options = self._badness.faults, self._options
        paced = options.baud is not None and not self.mep
        if faults.any or paced or options.echo:
            random = Random(self._handler.meter.config.seed)
            arriving, leaving = (BadLine(random, faults, paced=paced) for _ in range(2))
            port = LinePort(port, arriving, leaving, echo=options.echo)
        if self._trace is None:
            return port
        # By its name the log knows what is spoken, and what has to be masked.
        return TracePort(NamedPort(port, MEP + port.name) if self.mep else port, self._trace)
