"""What can be wrong with the other side's bytes: alert, code, words. The twin of `osgp::security::tls::Problem`."""

from __future__ import annotations

from typing import Final

from .events import Failed

#: Descriptions of alerts that are met here. Source: RFC 5246 section 7.2, RFC 4279 section 6.
ALERTS: Final = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    42: "bad_certificate",
    47: "illegal_parameter",
    50: "decode_error",
    51: "decrypt_error",
    60: "export_restriction",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    90: "user_canceled",
    100: "no_renegotiation",
    110: "unsupported_extension",
    115: "unknown_psk_identity",
}

KEY_HINT: Final = "the keys differ, or the line damaged a record: try up to three times, then check the key and which of the two it is"
_ONE_SUITE: Final = "the MEP port has one suite, TLS_PSK_WITH_AES_256_GCM_SHA384 (00A9), in TLS 1.2"


class Problem(Exception):
    """Raised inside this package only; `failed` is what callers get."""

    def __init__(self, code: str, alert: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.failed = Failed(code, message, hint, alert)


def record_type(got: int) -> Problem:
    return Problem(
        "tls.record_type", 10, f"a record of type {got}; there are 20 to 23", "this is no TLS, or bytes are lost"
    )


def version(got: int) -> Problem:
    return Problem("tls.version", 70, f"version {got:04X}; TLS 1.2 is 0303", _ONE_SUITE)


def record_overflow(got: int) -> Problem:
    return Problem("tls.record_overflow", 22, f"a record of {got} bytes is longer than a record may be")


def bad_record() -> Problem:
    return Problem("tls.bad_record", 20, "a record cannot be deciphered", KEY_HINT)


def unexpected(got: str, expected: str) -> Problem:
    return Problem("tls.unexpected_message", 10, f"{got} where {expected} was expected", "start a new session")


def decode(what: str) -> Problem:
    return Problem("tls.decode", 50, f"a malformed {what}")


def too_long(got: int) -> Problem:
    return Problem("tls.handshake_too_long", 50, f"a handshake message of {got} bytes is too long")


def suites(got: list[int]) -> Problem:
    # The client's list, of which nothing fits. It may be long.
    told = " ".join(f"{suite:04X}" for suite in got[:16]) + (" ..." if len(got) > 16 else "")
    return Problem("tls.suite", 40, f"the client offers suites {told}; 00A9 is not among them", _ONE_SUITE)


def suite(got: int) -> Problem:
    return Problem("tls.suite", 47, f"the server chose suite {got:04X}; 00A9 was offered", _ONE_SUITE)


def compression() -> Problem:
    return Problem("tls.compression", 47, "the other side wants compression", _ONE_SUITE)


def extension(got: int) -> Problem:
    return Problem("tls.extension", 110, f"the server answers extension {got:04X}, which was not asked for")


def renegotiation() -> Problem:
    return Problem(
        "tls.renegotiation", 40, "a renegotiation_info that belongs to an older session", "start a new session"
    )


def unknown_identity(length: int) -> Problem:
    return Problem(
        "tls.identity",
        115,
        f"an identity of {length} bytes that names no key here",
        "it has three bytes: the client's number, low byte first, and 0 for the basic or 1 for the advanced key",
    )


def finished() -> Problem:
    return Problem("tls.finished", 51, "the Finished message does not fit the handshake", KEY_HINT)


def alert(description: int) -> Problem:
    name = ALERTS.get(description, "unknown")
    match description:
        case 20 | 21 | 51:
            hint = KEY_HINT
        case 115:
            hint = "the meter knows no such key: the identity ends in 0 for the basic, 1 for the advanced key"
        case 40 | 70 | 71:
            hint = _ONE_SUITE
        case _:
            hint = "start a new session"
    return Problem(
        "tls.alert", description, f"the other side ended the session with alert {description} ({name})", hint
    )
