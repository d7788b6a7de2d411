"""Digest and RC4 at the client: sequence numbers, and a request that is never executed twice.

    silence          the identical packet again (MEP guide p. 21)
    0C, said once    not executed: again with the meter's number + 1 (pp. 11, 15-16)
    0C, said again   a read: the same. A write: the first packet may have been executed: `Unknown`
    0B               the digest was wrong for the meter: a damaged line, or another key. Anybody can say it
    bad digest       no answer to this request: the line damaged it, or it comes late

A 0C whose number is that of the request shows that the meter took it. A bare 01 or 0A, without a digest, is how a port that
requires TLS may answer (it is not stated); 0B and silence are others. So may a port on which somebody has left a TLS session
open: it is ended (57) before the request is said again.
"""

from __future__ import annotations

from typing import Final

from ..errors import OsgpError, RemoteProtocolError, SecurityError
from ..security import tls_messages
from ..security.digest import SIZE as DIGEST
from ..security.key import Key
from ..security.messages import INVALID_SEQUENCE, MAX_BODY, SEQUENCE, Exchange
from .mep_crypto import Crypto
from .mep_events import MepCounts, MepRetry
from .mep_layer import Damaged, Heard, Over, Say, Step, Unknown

#: 0C after so many new numbers in a row: the two sides do not come together.
MOST_NUMBERS: Final = 4
#: After so many unsigned answers to one packet a read is put into another: where RC4 gives its first byte the value of a TLS
#: message, a meter may take it for one each time.
MOST_STRANGE: Final = 2
_WRAP: Final = 0xFFFFFFFF
#: Response codes that come bare from a port that requires TLS.
_UNSIGNED: Final = (0x01, 0x0A)


class Rc4Layer:
    """Messages under digest and, if wanted, RC4. ``number`` is the sequence number of the next request."""

    most = MAX_BODY - DIGEST
    most_asked = MAX_BODY - DIGEST - SEQUENCE

    def __init__(
        self, key: Key | bytes, *, encrypt: bool, number: int, retry: MepRetry, crypto: Crypto, counts: MepCounts
    ) -> None:
        self._key, self._encrypt, self._retry, self._crypto, self._counts = key, encrypt, retry, crypto, counts
        self.number = number & _WRAP
        self._body, self._once = b"", False
        self._exchange: Exchange | None = None
        self._sent = self._denied = self._numbers = self._strange = 0
        self._ended = self._ending = False

    @property
    def unsure(self) -> bool:
        """Whether some of the packets sent have not been refused."""
        return self._sent > self._denied

    def ask(self, body: bytes, *, once: bool) -> Say:
        """A new request."""
        self._body, self._once = body, once
        self._numbers = 0
        self._ended = self._ending = False
        return Say(self._anew())

    def _anew(self) -> bytes:
        """With the next number: the packets sent before count no more, for the meter has refused them, or it is a read."""
        exchange = self._crypto.mep_request(self._key, self._body, self.number, encrypt=self._encrypt)
        self._exchange = exchange
        self.number = (self.number + 1) & _WRAP
        self._sent, self._denied, self._strange = 1, 0, 0
        return exchange.message

    def silence(self) -> Step:
        """The same packet, or by `MepRetry.NEXT_NUMBER` another."""
        if self._denied and self._denied == self._sent and not self._ended:
            self._ended = self._ending = True
            return Say(tls_messages.terminate(), again=True, same=True)
        if not self._once and self._strange >= MOST_STRANGE:
            return Say(self._anew(), again=True)
        if (self._retry is MepRetry.SAME_PACKET or self._ending) and self._exchange is not None:
            return self._same(self._exchange)
        if self._once and self.unsure:
            return Unknown(_silent())
        return Say(self._anew(), again=True)

    def _same(self, exchange: Exchange) -> Say:
        self._ending = False
        self._sent += 1
        return Say(exchange.message, again=True, same=True)

    def answered(self, message: bytes) -> Step:
        """A message came."""
        exchange = self._exchange
        if exchange is None:
            return Damaged(_no_answer())
        try:
            answer = exchange.read(message)
        except SecurityError:
            if self._ending:
                return self._same(exchange)
            if message[:1] and message[0] in _UNSIGNED and not any(message[1:]) and len(message) in (1, 1 + DIGEST):
                self._denied += 1
                return Damaged(_tls_required(message[0]), denied=True)
            self._strange += 1
            return Damaged(_no_answer())
        if not answer.authentic:
            if self._ending:
                return self._same(exchange)
            self._denied += 1
            return Damaged(_wrong_key(), denied=True)
        if answer.code != INVALID_SEQUENCE:
            self.number = (exchange.sequence + 1) & _WRAP
            return Heard(answer.code, answer.data)
        number = answer.next_sequence
        if number is None:
            return Heard(answer.code, answer.data)
        self._counts.renumbered += 1
        self.number = number
        if self._once and self._sent > 1:
            theirs = (number - 1) & _WRAP
            return Unknown(_moved(), accepted=True if theirs == exchange.sequence else None)
        self._denied = self._sent
        self._numbers += 1
        if self._numbers > MOST_NUMBERS:
            return Over(_no_number())
        return Say(self._anew())

    def hang_up(self) -> bytes:
        """There is no session."""
        return b""


def _wrong_key() -> OsgpError:
    return SecurityError(
        "mep.wrong_key",
        "the meter says that none of its keys signs our requests (0B)",
        "check the key and whose it is (MAK or MBK); a port that requires TLS may answer so, too. Nobody can sign this "
        "refusal, so it proves nothing",
    )


def _no_answer() -> OsgpError:
    return SecurityError(
        "mep.digest",
        "answers came whose digest does not fit key and request",
        "the line damages them, they answer other requests (a replay), or another device answers: check cable and speed",
    )


def _tls_required(code: int) -> OsgpError:
    return SecurityError(
        "mep.tls_required",
        f"the meter refuses a request under digest and RC4 without signing it ({code:02X}), as a port does that requires TLS",
        "use TLS",
        got=code,
    )


def _silent() -> OsgpError:
    return SecurityError("mep.sequence", "no answer to a request that is said only once", "read back what it wrote")


def _moved() -> OsgpError:
    return SecurityError(
        "mep.sequence",
        "a request had to be sent again, and the meter's sequence number is another one by now (0C)",
        "read back what it wrote",
    )


def _no_number() -> OsgpError:
    return RemoteProtocolError(
        "mep.sequence",
        f"the meter refused {MOST_NUMBERS + 1} sequence numbers in a row, among them those that it had just asked for",
        "another client may talk on this port at the same time: stop it, then try again",
    )
