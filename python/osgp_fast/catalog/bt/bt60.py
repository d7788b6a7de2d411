"""BT60: the largest dimensions of the load profile. Not a valid configuration together, each its own maximum."""

from .._model import table
from .bt61 import dimensions

BT60 = table("BT60", "Dimension Load Profile", "MEP guide, BT60, p. 231", dimensions())
