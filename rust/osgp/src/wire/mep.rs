//! MEP messages: the serial port of the multipurpose expansion interface.
//!
//! ```text
//!   0        2                        2 + n - 8     2 + n
//!   +--------+------------------------+-------------+
//!   | n      | code, arguments, ...   | digest      |
//!   +--------+------------------------+-------------+
//!     2 (be)                            8, in RC4 security and in clear; none under TLS
//! ```
//!
//! A length of zero, 00 00, is the alert: the meter has something to tell. Source: MEP guide pp. 2, 11-17.
//!
//! There is neither a start byte nor a check outside the digest, which needs the key. So on a damaged line nothing here can
//! tell a message from noise: a byte that cannot be a length's first is noise, and only silence puts the parser back in
//! step ([`MessageParser::finish`]). In a capture that mixes messages with C12.18 packets, [`find`] recognises messages by
//! what they look like.

use std::fmt;
use std::ops::Range;

use super::c1218::TooLong;

/// Bytes of the length field.
pub const LENGTH: usize = 2;
/// The longest body, digest included. Source: MEP guide p. 2.
pub const MAX_BODY: usize = 476;
/// Bytes of the digest.
pub const DIGEST: usize = 8;
/// Bytes of the sequence number before the digest of a request.
pub const SEQUENCE: usize = 4;
/// The alert: a message of no length.
pub const ALERT: [u8; LENGTH] = [0, 0];
/// Noise is handed out at the latest when this many bytes of it are there.
pub const MAX_NOISE: usize = 64 * 1024;

/// What the incremental parser found, and the position of its first byte in the stream.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// The body of a message, digest included.
    Message(u64, Vec<u8>),
    /// The alert sequence.
    Alert(u64),
    /// Bytes that cannot be part of a message.
    Noise(u64, Vec<u8>),
}

/// Shows no bytes.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(at, body) => write!(f, "{at}: {}", describe(body)),
            Self::Alert(at) => write!(f, "{at}: alert"),
            Self::Noise(at, bytes) => write!(f, "{at}: noise len={}", bytes.len()),
        }
    }
}

/// One line for people: length and code, never the rest. (Under RC4 the code is encrypted, too.)
pub fn describe(body: &[u8]) -> String {
    match body.first() {
        Some(code) => format!("message len={} code={code:02X}", body.len()),
        None => "message len=0".to_owned(),
    }
}

/// The body without its digest, and the digest; None if it is too short to have one.
pub fn split_digest(body: &[u8]) -> Option<(&[u8], &[u8; DIGEST])> {
    body.split_last_chunk()
}

/// Append one message to `out`. Source: MEP guide p. 2.
pub fn emit(out: &mut Vec<u8>, body: &[u8], digest: &[u8]) -> Result<(), TooLong> {
    let len = body.len().saturating_add(digest.len());
    let Some(n) = u16::try_from(len).ok().filter(|_| len <= MAX_BODY) else {
        return Err(TooLong { len, max: MAX_BODY });
    };
    out.extend_from_slice(&n.to_be_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(digest);
    Ok(())
}

/// Messages out of one direction's bytes, in any chunks.
#[derive(Default)]
pub struct MessageParser {
    buffer: Vec<u8>,
    origin: u64,
    noise: Vec<u8>,
}

impl MessageParser {
    /// A parser at position 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Take some bytes; give what is decided by now.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.buffer.extend_from_slice(bytes);
        self.run(false)
    }

    /// The end of the stream, or a silence: what is unfinished is noise. Parsing may go on with the next byte.
    pub fn finish(&mut self) -> Vec<Event> {
        let mut events = self.run(true);
        self.flush(&mut events, self.origin);
        events
    }

    /// Bytes that wait for the rest of a message.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    fn run(&mut self, last: bool) -> Vec<Event> {
        let mut events = Vec::new();
        let mut at = 0;
        while at < self.buffer.len() {
            let position = self.origin + at as u64;
            let rest = &self.buffer[at..];
            let message = match *rest {
                // No length that may be starts with it: noise whatever comes next.
                [high, ..] if usize::from(high) > MAX_BODY >> 8 => None,
                [high, low, ..] => {
                    let len = usize::from(u16::from_be_bytes([high, low]));
                    match rest.get(LENGTH..LENGTH + len) {
                        _ if len > MAX_BODY => None,
                        Some(body) => Some(body),
                        None if last => None,
                        None => break,
                    }
                }
                _ if last => None,
                _ => break,
            };
            match message {
                None => {
                    self.noise.push(self.buffer[at]);
                    at += 1;
                    if self.noise.len() == MAX_NOISE {
                        self.flush(&mut events, self.origin + at as u64);
                    }
                }
                Some(body) => {
                    let used = LENGTH + body.len();
                    let event = match body {
                        [] => Event::Alert(position),
                        _ => Event::Message(position, body.to_vec()),
                    };
                    self.flush(&mut events, position);
                    events.push(event);
                    at += used;
                }
            }
        }
        self.buffer.drain(..at);
        self.origin += at as u64;
        events
    }

    fn flush(&mut self, events: &mut Vec<Event>, end: u64) {
        if !self.noise.is_empty() {
            let noise = std::mem::take(&mut self.noise);
            events.push(Event::Noise(end - noise.len() as u64, noise));
        }
    }
}

/// The messages among bytes that are no C12.18 packets, where they stand with their length field, of either direction.
///
/// Without a key nothing is certain: a message is taken for one if its parts fit its length exactly, or, since it may be
/// encrypted, if it ends where the bytes end.
pub fn find(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&[high, low]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<LENGTH>()) {
        let len = usize::from(u16::from_be_bytes([high, low]));
        let start = at + LENGTH;
        let body = bytes.get(start..start + len).filter(|_| (3..=MAX_BODY).contains(&len));
        match body {
            Some(body) if plausible(body) || (start + len == bytes.len() && len > DIGEST) => {
                found.push(at..start + len);
                at = start + len;
            }
            // An alert is followed by silence.
            None if [high, low] == ALERT && bytes.len() == start => {
                found.push(at..start);
                at = start;
            }
            _ => at += 1,
        }
    }
    found
}

/// Whether a body in clear adds up, or is a TLS record. Source: MEP guide pp. 3-8, 12.
pub(crate) fn plausible(body: &[u8]) -> bool {
    let counted = |at: usize, tail: usize| match body.get(at..at + 2) {
        Some(&[a, b]) => body.len() == at + 2 + usize::from(u16::from_be_bytes([a, b])) + tail,
        _ => false,
    };
    let record = |at: usize| matches!(body.get(at..at + 3), Some(&[0x14..=0x17, 3, 3]));
    match body[0] {
        0x30 => matches!(body.len(), 15 | 17),
        0x3F => body.len() == 20,
        0x40 => counted(3, SEQUENCE + DIGEST),
        0x4F => counted(6, SEQUENCE + DIGEST),
        0x57 | 0x58 | 0x59 | 0x80 => record(1),
        0x00 => body.len() == 1 + DIGEST || counted(1, DIGEST) || record(1),
        0x01..=0x0B => body.len() == 1 + DIGEST,
        0x0C => body.len() == 1 + SEQUENCE + DIGEST,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(bytes: &[u8]) -> Vec<Event> {
        let mut parser = MessageParser::new();
        let mut events = parser.feed(bytes);
        events.extend(parser.finish());
        events
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same(
            pieces in prop::collection::vec(prop_oneof![
                prop::collection::vec(any::<u8>(), 0..60).prop_map(|body| {
                    let mut out = Vec::new();
                    emit(&mut out, &body, &[1; DIGEST]).unwrap();
                    out
                }),
                prop::collection::vec(any::<u8>(), 0..9),
            ], 0..8),
            size in 1usize..40,
        ) {
            let bytes = pieces.concat();
            let mut parser = MessageParser::new();
            let mut events: Vec<_> = bytes.chunks(size).flat_map(|chunk| parser.feed(chunk)).collect();
            events.extend(parser.finish());
            prop_assert_eq!(&events, &whole(&bytes));
            let mut again = Vec::new();
            for event in events {
                match event {
                    Event::Message(at, body) => {
                        prop_assert_eq!(at, again.len() as u64);
                        emit(&mut again, &body, b"").unwrap();
                    }
                    Event::Alert(_) => again.extend(ALERT),
                    Event::Noise(_, noise) => again.extend(noise),
                }
            }
            prop_assert_eq!(&again, &bytes);
            let mut end = 0;
            for range in find(&bytes) {
                prop_assert!(range.start >= end && range.end <= bytes.len());
                end = range.end;
            }
        }
    }

    #[test]
    fn published_messages() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/official_vectors.json");
        let vectors: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let exchanges = vectors["mep_rc4"].as_array().unwrap().iter();
        let rc4 = exchanges.flat_map(|v| [v["request"].as_str().unwrap(), v["response"].as_str().unwrap()]);
        let tls = vectors["mep_tls"]["exchange"].as_array().unwrap().iter().map(|v| v[1].as_str().unwrap());
        let mut all = Vec::new();
        for hex in rc4.chain(tls) {
            let bytes: Vec<u8> =
                (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
            assert_eq!(whole(&bytes), [Event::Message(0, bytes[2..].to_vec())]);
            let mut again = vec![0xA5];
            let (body, digest) = split_digest(&bytes[2..]).unwrap();
            emit(&mut again, body, digest).unwrap();
            assert_eq!(again[1..], bytes);
            let end = all.len() + bytes.len();
            assert_eq!(find(&bytes).first(), Some(&(0..bytes.len())));
            all.extend(bytes);
            assert_eq!(find(&all).last().unwrap().end, end);
        }
        assert_eq!(find(&all).len(), 20);
        assert_eq!(whole(&[0, 0]), [Event::Alert(0)]);
        assert!(emit(&mut Vec::new(), &[0; MAX_BODY], &[0]).is_err());
        assert_eq!(describe(&[0x3F, 1]), "message len=2 code=3F");
    }
}
