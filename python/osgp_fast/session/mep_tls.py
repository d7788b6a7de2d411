"""TLS at the client: a handshake when there is no session, one record per request, and a new handshake when one is lost.

A record that is lost or damaged breaks the session, in both directions, so nothing is ever sent again: a read is asked in
a new session, and a write that may have arrived is `Unknown`. Only 0A (no session here) and an alert that the session
itself vouches for say that the meter has not executed it. Source: MEP guide pp. 8-9, 14-15, 18-19.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..errors import OsgpError, SecurityError
from ..security import tls_messages
from ..security.key import Key
from ..security.tls import Data, Established, Failed, TlsClient
from ..security.tls.endpoint import identity
from ..security.tls_messages import MAX_CLEAR
from ._mep_state import TlsState, after
from .mep_crypto import Crypto
from .mep_events import MepAccess, MepCounts
from .mep_layer import Damaged, Heard, Over, Say, Step, Unknown

#: Alerts that a wrong key brings about: bad_record_mac, decryption_failed, decrypt_error, unknown_psk_identity.
_KEY_ALERTS: Final = (20, 21, 51, 115)
_Code: Final = tls_messages.Request


class TlsLayer:
    """Messages under TLS. ``entropy`` gives 32 fresh random bytes for each handshake."""

    most = MAX_CLEAR
    most_asked = MAX_CLEAR

    def __init__(
        self,
        key: Key | bytes,
        *,
        access: MepAccess,
        client_id: int,
        entropy: Callable[[int], bytes],
        crypto: Crypto,
        counts: MepCounts,
        handshakes: int,
    ) -> None:
        self._key, self._identity = key, identity(client_id, access)
        self._entropy, self._crypto, self._counts, self._most_refused = entropy, crypto, counts, handshakes
        self._client: TlsClient | None = None
        self._body, self._once = b"", False
        self._carried = False
        self._refused = 0
        self.state = TlsState.NONE
        self.proven = False
        """Whether a session was ever established: the meter has the key, and TLS."""

    @property
    def unsure(self) -> bool:
        """Whether the request was sent and neither answered nor refused."""
        return self._carried

    def ask(self, body: bytes, *, once: bool) -> Say:
        """A new request: a record, or a handshake first."""
        self._body, self._once = body, once
        self._carried = False
        self._refused = 0
        if self.state is TlsState.OPEN and self._client is not None and self._client.status == "open":
            return self._record()
        return self._hello()

    def _hello(self, *, again: bool = False, cause: OsgpError | None = None) -> Say:
        self._client = client = self._crypto.tls_client(self._identity, self._key, self._entropy(32))
        self._counts.handshakes += 1
        self._carried = False
        return self._say(_Code.HANDSHAKE, client.start(), again=again, cause=cause)

    def _record(self) -> Say:
        assert self._client is not None
        say = self._say(_Code.TABLE, self._client.send(self._body))
        self._carried = True
        return say

    def _say(
        self, code: tls_messages.Request, records: bytes, *, again: bool = False, cause: OsgpError | None = None
    ) -> Say:
        state = after(self.state, code)
        assert state is not None, f"{code!r} in {self.state}"
        self.state = state
        return Say(tls_messages.message(code, records), again=again, cause=cause)

    def silence(self) -> Step:
        """The meter may have had the record or not: there is no going on in this session."""
        return self._lost(None)

    def _lost(self, cause: OsgpError | None) -> Step:
        """The session is of no use any more."""
        self.state, self._client = TlsState.NONE, None
        if self._carried and self._once:
            return Unknown(cause or _silent())
        return self._hello(again=True, cause=cause)

    def answered(self, message: bytes) -> Step:
        """A message came."""
        if not message or self._client is None:
            return Damaged(_strange(message))
        code, records = tls_messages.parse_response(message)
        if self.state is TlsState.SHAKING:
            return self._shaken(code, records, self._client)
        return self._table(code, records, self._client)

    def _shaken(self, code: int, records: bytes, client: TlsClient) -> Step:
        if code == tls_messages.Response.SUCCESS:
            out, events = client.feed(records)
            for event in events:
                if isinstance(event, Established):
                    self.state, self.proven = TlsState.OPEN, True
                    return self._record()
                if isinstance(event, Failed):
                    return self._refuse(_blame(event))
            return self._say(_Code.HANDSHAKE_CONT, out) if out else self._refuse(_strange(records))
        if code in (tls_messages.Response.TLS_ERROR, tls_messages.Response.INVALID_KEY):
            # An alert may follow that says more.
            for event in client.feed(records)[1]:
                if isinstance(event, Failed) and event.code == "tls.alert":
                    return self._refuse(_blame(event))
        return self._refuse(_wrong_key() if code == tls_messages.Response.INVALID_KEY else _refused(code))

    def _refuse(self, error: OsgpError) -> Step:
        """A handshake failed: again, for it may be the line; a few times."""
        self._refused += 1
        if self._refused >= self._most_refused:
            self.state, self._client = TlsState.NONE, None
            return Over(error)
        return self._hello(again=True, cause=error)

    def _table(self, code: int, records: bytes, client: TlsClient) -> Step:
        if code == tls_messages.Response.INVALID_STATE and not records:
            # The meter has no session, so it has not executed anything.
            self._carried = False
            return self._lost(_refused(code))
        _, events = client.feed(records) if records else (b"", [])
        clear = b"".join(event.data for event in events if isinstance(event, Data))
        if code == tls_messages.Response.SUCCESS and clear:
            self._carried = False
            return Heard(clear[0], clear[1:])
        failed = next((event for event in events if isinstance(event, Failed)), None)
        if failed is None:
            return self._lost(_strange(bytes((code,)) + records))
        if failed.code == "tls.alert":
            # It was deciphered, so the meter itself says that it could make nothing of the record.
            self._carried = False
        return self._lost(_blame(failed))

    def hang_up(self) -> bytes:
        """What ends the session."""
        if self.state is TlsState.NONE:
            return b""
        self.state, self._client = TlsState.NONE, None
        return tls_messages.terminate()


def _blame(failed: Failed) -> OsgpError:
    """What a session failed of, in the words of the port."""
    if failed.code == "tls.alert" and failed.alert not in _KEY_ALERTS:
        return SecurityError("mep.tls_alert", failed.message, failed.hint, alert=failed.alert)
    if failed.code in ("tls.alert", "tls.finished"):
        return _wrong_key(failed.alert)
    return failed.error()


def _wrong_key(alert: int | None = None) -> OsgpError:
    return SecurityError(
        "mep.tls_key",
        "the meter refuses the key: the handshake ends where both sides have to prove that they have it"
        + ("" if alert is None else f" (alert {alert})"),
        "check the key and whose it is: the identity says MAK or MBK (access advanced or basic)",
        alert=alert,
    )


def _refused(code: int) -> OsgpError:
    return SecurityError(
        "mep.tls_refused",
        f"the meter answers {code:02X} to TLS, without a word why",
        "a port without TLS takes digest and RC4 only; else the line may be bad",
        got=code,
    )


def _strange(message: bytes) -> OsgpError:
    return SecurityError(
        "mep.tls_answer",
        f"an answer of {len(message)} bytes that is none of TLS",
        "the line damages it, or something else answers: check cable and speed",
        got=len(message),
    )


def _silent() -> OsgpError:
    return SecurityError("mep.tls_answer", "no answer to a record of the session", "read back what it wrote")
