"""The virtual meter: a made-up household, the registers and logs of a meter in it, its optical port and its MEP ports.

::

    config = MeterConfig(firmware=Firmware.parse("3.50"), seed=7)
    meter = VirtualMeter(config)
    meter.image("BT64", meter.start)                  # any table at any time
    now = Clock(time.monotonic, meter.start, speed=60)
    handler = MeterHandler(meter, now)                # a `session.Handler`
    serve(port, machine(handler))                     # `transport.serve`, or a `MemoryPort(machine(handler), clock)`
    serve(port, mep_machine(MepMeterHandler(meter, now), entropy=os.urandom))   # the same at a MEP port

Ports of one meter may be served in threads of their own.

`load` reads a configuration from TOML; `dump.write` writes dumps of any size, `truth` what a decoder has to find in them.
Everything follows from seed and time: the same seed gives the same meter, and a meter of another time its past and future.
"""

from __future__ import annotations

from .access import Key, may_read, may_write
from .config import (
    Channel,
    DataSet,
    Demands,
    Happenings,
    Keys,
    MBusDevice,
    MeterConfig,
    from_document,
    load,
    mep_key,
    optical_key,
)
from .firmware import Firmware
from .handler import MeterHandler, machine
from .mep import MepMachine, MepMeterHandler, mep_machine
from .meter import Clock, VirtualMeter
from .shared import Visits
from .truth import truth

__all__ = [
    "Channel",
    "Clock",
    "DataSet",
    "Demands",
    "Firmware",
    "Happenings",
    "Key",
    "Keys",
    "MBusDevice",
    "MepMachine",
    "MepMeterHandler",
    "MeterConfig",
    "MeterHandler",
    "VirtualMeter",
    "Visits",
    "from_document",
    "load",
    "machine",
    "may_read",
    "may_write",
    "mep_key",
    "mep_machine",
    "optical_key",
    "truth",
]
