"""The security of the MEP port: keys, the OSGP digest, RC4 (broken, and named so), and TLS with a pre-shared key.

    messages.py      a request and its answer under digest and RC4: `Exchange`
    tls_messages.py  TLS records in MEP messages
    tls/             TLS 1.2 with TLS_PSK_WITH_AES_256_GCM_SHA384, without I/O: `TlsClient`, `TlsServer`, `TlsOpener`
    key.py           `Key`, which never shows its bytes
    digest.py  legacy_rc4.py  aes_gcm.py    the algorithms

These modules are readable Python and the reference; the crate `osgp` has the same in Rust, and `_impl` chooses. The
digest and RC4 protect little against somebody who wants to get in: see docs/security.md.
"""

from __future__ import annotations

from .key import Key

__all__ = ["Key"]
