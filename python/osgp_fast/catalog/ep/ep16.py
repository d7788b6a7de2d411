"""EP16: move the meter's clock by a difference."""

from .._model import octets, procedure

EP16 = procedure(
    "EP16",
    "Change System Clock By Delta",
    "MEP guide, Table C.2, p. 262",
    [octets("parameters", "size", doc="not described in either guide")],
    call="MBK, MAK",
    doc="the change is made gradually, ET55.4 seconds a minute (p. 140); not to be a step of a transaction, since it must "
    "not happen twice (p. 43); for the read-only key of the optical port ET04.71.0 disables it (p. 60); Table C.2 marks "
    "MBK only, MAK can do what MBK can",
)
