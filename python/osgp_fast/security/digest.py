"""The OSGP digest: eight bytes that a key and a message give. Broken: a few thousand of them give the key away.

Eight cells are filled one after another, from the last to the first and round again. Every byte of the message makes one
step: its cell becomes the sum of the cell before it, the byte, and a rotation of the cell itself, whose direction and
sign are one bit of the key. The key's bits are used from the lowest of its first byte; one pass takes the whole key and
the first half of it again, and a key of six bytes once. At the end, zeros are taken until the pass is complete.

Source: MEP guide pp. 249-253, Appendix A. It gives two ways to the digest of a request, at once or by finishing the state
that the response goes on with. They differ where the message fills passes exactly (192 bytes with a key of 16): the second
then adds a pass of zeros. Here it is done at once, as p. 250 does it.
"""

from __future__ import annotations

import hmac
from typing import Final

from .key import Key, used_bytes

#: Bytes of a digest.
SIZE: Final = 8


def digest(key: Key | bytes, message: bytes, *, request: bytes = b"") -> bytes:
    """The digest of a message; of a response together with the request that it answers.

    ``message`` and ``request`` start with the request or response code; a request ends with its sequence number. Neither
    holds the length field or a digest. The first 16 bytes of the key are used.

    A caller who shows the result shows something of the key: compare with `verify`, and never log it.
    Raises: SecurityError "security.key_length".
    """
    secret = used_bytes(key)
    bits = [byte >> bit & 1 for byte in secret for bit in range(8)]
    if len(secret) != 6:
        bits += bits[: len(secret) // 2 * 8]
    cells = [0] * SIZE
    step = _absorb(cells, bits, 0, request)
    step = _absorb(cells, bits, step, message)
    if step or not message:
        _absorb(cells, bits, step, bytes(len(bits) - step))
    return bytes(cells)


def verify(key: Key | bytes, message: bytes, given: bytes, *, request: bytes = b"") -> bool:
    """Whether a digest is the one of the message, compared in constant time."""
    return hmac.compare_digest(digest(key, message, request=request), given)


def _absorb(cells: list[int], bits: list[int], step: int, data: bytes) -> int:
    """Take some bytes, one step of the pass each; give the step that comes next."""
    for byte in data:
        cell = 7 - step % SIZE
        mixed = ~(cells[cell] + cell) & 0xFF
        if bits[step]:
            turned = mixed << 1 | mixed >> 7
        else:
            turned = -(mixed >> 1 | mixed << 7 & 0xFF)
        cells[cell] = (cells[(cell + 1) % SIZE] + byte + turned) & 0xFF
        step = (step + 1) % len(bits)
    return step
