"""Who does digest, RC4 and TLS for a machine: the readable Python here, or the compiled part (`osgp_fast._impl` has the
same four functions and can be handed in)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..security.key import Key
from ..security.messages import Exchange
from ..security.tls import TlsClient, TlsServer


class Crypto(Protocol):
    """What a machine needs."""

    def mep_request(self, key: Key | bytes, body: bytes, sequence: int, *, encrypt: bool = False) -> Exchange:
        """A request under digest and, if wanted, RC4."""

    def mep_open_request(self, keys: Sequence[Key | bytes], body: bytes) -> Exchange:
        """A request that was received. Raises: SecurityError."""

    def tls_client(self, identity: bytes, key: Key | bytes, random: bytes) -> TlsClient:
        """The client's side of a TLS session."""

    def tls_server(self, keys: Mapping[int, Key | bytes], random: bytes, *, session_id: bytes = b"") -> TlsServer:
        """The meter's side."""


class PythonCrypto:
    """`osgp_fast.security` as it is."""

    def mep_request(self, key: Key | bytes, body: bytes, sequence: int, *, encrypt: bool = False) -> Exchange:
        """`security.messages.Exchange.request`."""
        return Exchange.request(key, body, sequence, encrypt=encrypt)

    def mep_open_request(self, keys: Sequence[Key | bytes], body: bytes) -> Exchange:
        """`security.messages.Exchange.open`."""
        return Exchange.open(keys, body)

    def tls_client(self, identity: bytes, key: Key | bytes, random: bytes) -> TlsClient:
        """`security.tls.TlsClient`."""
        return TlsClient(identity, key, random)

    def tls_server(self, keys: Mapping[int, Key | bytes], random: bytes, *, session_id: bytes = b"") -> TlsServer:
        """`security.tls.TlsServer`."""
        return TlsServer(keys, random, session_id=session_id)
