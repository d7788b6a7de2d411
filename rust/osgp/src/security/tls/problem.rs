//! What can be wrong with the other side's bytes: alert, code, words.

use std::fmt;

use super::record::{State, kind_name};

/// What ended a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A record of a type that does not exist.
    RecordType(u8),
    /// A version that is not 1.2.
    Version(u16),
    /// A record that is longer than a record may be.
    RecordOverflow(usize),
    /// A record that cannot be deciphered.
    BadRecord,
    /// A message that may not come here: its kind, and what may.
    Unexpected(u16, Expected),
    /// A message whose parts do not fit its length.
    Decode(&'static str),
    /// A handshake message that is too long to be one.
    HandshakeTooLong(usize),
    /// The client's suites, the first of them, and whether there are more.
    Suites(Vec<u16>, bool),
    /// The suite that the server chose.
    Suite(u16),
    /// The other side wants compression.
    Compression,
    /// An extension that was not asked for.
    Extension(u16),
    /// A renegotiation_info that is not that of a first handshake.
    Renegotiation,
    /// An identity that names no key: its length.
    Identity(usize),
    /// A Finished message that does not fit the handshake.
    Finished,
    /// The other side ended the session with an alert.
    Alert(u8),
}

/// What was expected instead of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// What this state waits for.
    State(State),
    /// The rest of a handshake message.
    Rest,
    /// The client's Finished, before the server's.
    ClientFinished,
}

const KEY_HINT: &str = "the keys differ, or the line damaged a record: try up to three times, then check the key and which of the two it is";
const ONE_SUITE: &str = "the MEP port has one suite, TLS_PSK_WITH_AES_256_GCM_SHA384 (00A9), in TLS 1.2";
const START_ANEW: &str = "start a new session";

/// The name of an alert. Source: RFC 5246 section 7.2, RFC 4279 section 6.
fn alert_name(description: u8) -> &'static str {
    match description {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        42 => "bad_certificate",
        47 => "illegal_parameter",
        50 => "decode_error",
        51 => "decrypt_error",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        90 => "user_canceled",
        100 => "no_renegotiation",
        110 => "unsupported_extension",
        115 => "unknown_psk_identity",
        _ => "unknown",
    }
}

impl Problem {
    /// The stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::RecordType(_) => "tls.record_type",
            Self::Version(_) => "tls.version",
            Self::RecordOverflow(_) => "tls.record_overflow",
            Self::BadRecord => "tls.bad_record",
            Self::Unexpected(..) => "tls.unexpected_message",
            Self::Decode(_) => "tls.decode",
            Self::HandshakeTooLong(_) => "tls.handshake_too_long",
            Self::Suites(..) | Self::Suite(_) => "tls.suite",
            Self::Compression => "tls.compression",
            Self::Extension(_) => "tls.extension",
            Self::Renegotiation => "tls.renegotiation",
            Self::Identity(_) => "tls.identity",
            Self::Finished => "tls.finished",
            Self::Alert(_) => "tls.alert",
        }
    }

    /// The description of the alert that was sent, or received.
    pub fn alert(&self) -> u8 {
        match self {
            Self::RecordType(_) | Self::Unexpected(..) => 10,
            Self::BadRecord => 20,
            Self::RecordOverflow(_) => 22,
            Self::Suites(..) | Self::Renegotiation => 40,
            Self::Suite(_) | Self::Compression => 47,
            Self::Decode(_) | Self::HandshakeTooLong(_) => 50,
            Self::Finished => 51,
            Self::Version(_) => 70,
            Self::Extension(_) => 110,
            Self::Identity(_) => 115,
            Self::Alert(description) => *description,
        }
    }

    /// What to do next; may be empty.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::RecordType(_) => "this is no TLS, or bytes are lost",
            Self::BadRecord | Self::Finished | Self::Alert(20 | 21 | 51) => KEY_HINT,
            Self::Version(_) | Self::Suites(..) | Self::Suite(_) | Self::Compression | Self::Alert(40 | 70 | 71) => {
                ONE_SUITE
            }
            Self::Alert(115) => {
                "the meter knows no such key: the identity ends in 0 for the basic, 1 for the advanced key"
            }
            Self::Unexpected(..) | Self::Renegotiation | Self::Alert(_) => START_ANEW,
            Self::Identity(_) => {
                "it has three bytes: the client's number, low byte first, and 0 for the basic or 1 for the advanced key"
            }
            Self::RecordOverflow(_) | Self::Decode(_) | Self::HandshakeTooLong(_) | Self::Extension(_) => "",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RecordType(got) => write!(f, "a record of type {got}; there are 20 to 23"),
            Self::Version(got) => write!(f, "version {got:04X}; TLS 1.2 is 0303"),
            Self::RecordOverflow(got) => write!(f, "a record of {got} bytes is longer than a record may be"),
            Self::BadRecord => f.write_str("a record cannot be deciphered"),
            Self::Unexpected(got, expected) => {
                match kind_name(*got) {
                    Some(name) => f.write_str(name)?,
                    None => write!(f, "handshake message {got}")?,
                }
                let expected = match expected {
                    Expected::State(state) => state.expected(),
                    Expected::Rest => "the rest of a handshake message",
                    Expected::ClientFinished => "the client's finished",
                };
                write!(f, " where {expected} was expected")
            }
            Self::Decode(what) => write!(f, "a malformed {what}"),
            Self::HandshakeTooLong(got) => write!(f, "a handshake message of {got} bytes is too long"),
            Self::Suites(suites, more) => {
                let told: Vec<String> = suites.iter().map(|suite| format!("{suite:04X}")).collect();
                let more = if *more { " ..." } else { "" };
                write!(f, "the client offers suites {}{more}; 00A9 is not among them", told.join(" "))
            }
            Self::Suite(got) => write!(f, "the server chose suite {got:04X}; 00A9 was offered"),
            Self::Compression => f.write_str("the other side wants compression"),
            Self::Extension(got) => write!(f, "the server answers extension {got:04X}, which was not asked for"),
            Self::Renegotiation => f.write_str("a renegotiation_info that belongs to an older session"),
            Self::Identity(len) => write!(f, "an identity of {len} bytes that names no key here"),
            Self::Finished => f.write_str("the Finished message does not fit the handshake"),
            Self::Alert(description) => {
                let name = alert_name(*description);
                write!(f, "the other side ended the session with alert {description} ({name})")
            }
        }
    }
}

impl std::error::Error for Problem {}
