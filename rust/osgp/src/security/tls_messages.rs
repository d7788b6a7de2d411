//! TLS records in MEP messages, and the pieces a meter sends them in.
//!
//! ```text
//!   length (2, be) | code | TLS records
//! ```
//!
//! There is no digest, and a record is never continued in a second message: so one message holds at most [`MAX_CLEAR`]
//! bytes of clear text. Source: MEP guide pp. 8-9, 14-15, 21.

use std::fmt;

use super::messages::MAX_BODY;
use super::tls::record::{HEADER, OVERHEAD};

/// The most clear text of one message, its code included. Source: MEP guide p. 8, less what TLS adds.
pub const MAX_CLEAR: usize = MAX_BODY - 1 - HEADER - OVERHEAD;
/// Bytes of a meter's answer between two pauses of 25 ms, the length field counted. Source: MEP guide p. 21.
pub const SEGMENT: usize = 117;

/// What a client sends. Source: MEP guide pp. 8-9, Table 2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Ends the session; the byte that follows means nothing.
    Terminate = 0x57,
    /// The ClientHello, whatever went on before.
    Handshake = 0x58,
    /// The rest of the handshake.
    HandshakeCont = 0x59,
    /// A read or write, enciphered.
    Table = 0x80,
}

/// What a meter answers. Source: MEP guide p. 9, Tables 2.1 and 2.3. There may be others.
pub mod response {
    /// As asked.
    pub const SUCCESS: u8 = 0x00;
    /// The bytes of an alert may follow.
    pub const TLS_ERROR: u8 = 0x01;
    /// Identity or key. The bytes of an alert may follow.
    pub const INVALID_KEY: u8 = 0x03;
    /// There is no session: begin with a handshake.
    pub const INVALID_STATE: u8 = 0x0A;
}

/// More records than fit into a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Bytes of them.
    pub len: usize,
}

impl TooLong {
    /// The stable name.
    pub const CODE: &'static str = "security.too_long";

    /// What to do next.
    pub fn hint(&self) -> String {
        format!("put at most {MAX_CLEAR} bytes of clear text into a message")
    }
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of TLS records; at most {} fit", self.len, MAX_BODY - 1)
    }
}

impl std::error::Error for TooLong {}

/// A message of either direction, with its length field.
pub fn message(code: u8, records: &[u8]) -> Result<Vec<u8>, TooLong> {
    let too_long = TooLong { len: records.len() };
    if records.len() >= MAX_BODY {
        return Err(too_long);
    }
    let size = u16::try_from(1 + records.len()).map_err(|_| too_long)?;
    Ok([&size.to_be_bytes(), [code].as_slice(), records].concat())
}

/// The message that ends a session, with its length field.
pub fn terminate() -> [u8; 4] {
    [0, 2, Request::Terminate as u8, 0]
}

/// Code and records of a request without its length field; None if it is none of TLS.
///
/// An enciphered RC4 message may begin with the same byte: try the digest first, as a meter does.
pub fn parse_request(body: &[u8]) -> Option<(Request, &[u8])> {
    let (code, records) = body.split_first().filter(|(_, records)| !records.is_empty())?;
    let all = [Request::Terminate, Request::Handshake, Request::HandshakeCont, Request::Table];
    all.into_iter().find(|request| *request as u8 == *code).map(|request| (request, records))
}

/// A meter's answer in the pieces between which it pauses.
pub fn segments(sent: &[u8]) -> impl Iterator<Item = &[u8]> {
    sent.chunks(SEGMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(MAX_CLEAR, 446);
        assert_eq!(message(0x80, &[7; 475]).unwrap().len(), 478);
        let error = message(0x80, &[7; 476]).unwrap_err();
        assert_eq!((error.len, TooLong::CODE), (476, "security.too_long"));
        assert_eq!(segments(&[0; 235]).map(<[u8]>::len).collect::<Vec<_>>(), [117, 117, 1]);
    }

    #[test]
    fn requests_are_told_apart() {
        assert_eq!(parse_request(&terminate()[2..]), Some((Request::Terminate, [0].as_slice())));
        assert_eq!(parse_request(&[0x80, 0x17]), Some((Request::Table, [0x17].as_slice())));
        for none in [[].as_slice(), &[0x58], &[0x3F, 0]] {
            assert_eq!(parse_request(none), None);
        }
    }
}
