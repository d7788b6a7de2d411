"""Where MEP clients stand in tables. Source: MEP guide pp. 22-24, 124."""

from __future__ import annotations

from typing import Final

#: Bytes of an element of ET50 with six sources, and where its flags stand in it.
CLIENT_SIZE: Final = 35 + 6 * 6
CLIENT_FLAGS: Final = 30
#: The first handle of a MEP client, times its number.
CLIENT_HANDLE: Final = 1000
