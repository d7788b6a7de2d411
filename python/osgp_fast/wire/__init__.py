"""The frame formats of the lines: C12.18 packets, MEP messages, and the two ways to stuff bytes.

Everything here is sans-I/O: bytes in, any chunking, events out. No memory follows a number found in the bytes, and the
work is linear in the bytes given. The twin of the Rust crate's `osgp::wire`: the same names, the same results.
"""

from __future__ import annotations

from . import c1218, crc, mep, ppp, slip

__all__ = ["c1218", "crc", "mep", "ppp", "slip"]
