"""TLS 1.2 with a pre-shared key, the one suite of the MEP port: TLS_PSK_WITH_AES_256_GCM_SHA384 (0x00A9). Without I/O.

::

    client = TlsClient(identity(client_id, key_id), key, random)      # random: 32 fresh bytes from os.urandom
    to_send = client.start()
    to_send, events = client.feed(received)                           # Established, Data, Closed, Failed
    to_send = client.send(data); to_send = client.close()

`TlsServer` is the meter's side and has no ``start``. `TlsOpener` reads what was recorded: the suite has no forward secrecy,
so whoever holds the key reads every session, also those of the past.

There is no other suite, no certificate, no session cache, no renegotiation and no compression: what asks for one gets an
alert and a clear error. A session fails for good; a new one starts with new objects and new random bytes.

Sources: RFC 5246 (TLS 1.2), RFC 4279 and 5487 (pre-shared keys, the suite), RFC 5288 (GCM), RFC 5746 (renegotiation_info);
MEP guide pp. 8-9, 14-15, 18-19.
"""

from __future__ import annotations

from .endpoint import TlsClient, TlsServer, identity
from .events import Closed, Data, Established, Event, Failed
from .opener import TlsOpener

__all__ = [
    "Closed",
    "Data",
    "Established",
    "Event",
    "Failed",
    "TlsClient",
    "TlsOpener",
    "TlsServer",
    "identity",
]
