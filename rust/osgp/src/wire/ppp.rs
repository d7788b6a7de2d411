//! Byte stuffing in HDLC-like framing (RFC 1662), for lines that reach us through bridges and loggers.
//!
//! ```text
//!   7E | payload, FCS (2, le) with every 7E and 7D sent as 7D and the byte xor 20 | 7E
//! ```
//!
//! One flag may end a frame and start the next. 7D 7E aborts a frame. The FCS is the CRC of [`super::crc`].
//! C12.18 and MEP have no stuffing of their own.

use super::c1218::MAX_NOISE;
use super::crc;

/// Starts and ends a frame. Source: RFC 1662, 3.1.
pub const FLAG: u8 = 0x7E;
/// The next byte is xor [`TWIST`]. Source: RFC 1662, 4.2.
pub const ESCAPE: u8 = 0x7D;
/// What an escaped byte is xored with.
pub const TWIST: u8 = 0x20;
/// The longest frame, FCS included; a longer one is an error, so that memory stays bounded.
pub const MAX_FRAME: usize = 64 * 1024;

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The frame check sequence is not that of the payload.
    BadFcs,
    /// Longer than [`MAX_FRAME`].
    TooLong,
    /// Too short to hold an FCS.
    Runt,
    /// Aborted by its sender.
    Aborted,
    /// The stream ended within it.
    Truncated,
    /// Bytes before the first flag.
    Outside,
}

impl Problem {
    /// Its name in one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadFcs => "bad_fcs",
            Self::TooLong => "too_long",
            Self::Runt => "runt",
            Self::Aborted => "aborted",
            Self::Truncated => "truncated",
            Self::Outside => "outside",
        }
    }
}

/// What the decoder found; the position is that of the first byte after the opening flag.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// A payload, its FCS checked and taken off.
    Frame(u64, Vec<u8>),
    /// Bytes that are no frame, unstuffed, the first [`MAX_FRAME`] of them.
    Error(u64, Problem, Vec<u8>),
}

/// Shows no bytes.
impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Frame(at, payload) => write!(f, "{at}: frame len={}", payload.len()),
            Self::Error(at, problem, bytes) => write!(f, "{at}: {problem:?} len={}", bytes.len()),
        }
    }
}

/// Append one frame to `out`, with a flag at both ends.
pub fn encode(out: &mut Vec<u8>, payload: &[u8]) {
    out.push(FLAG);
    for &byte in payload.iter().chain(&crc::crc16(payload).to_le_bytes()) {
        match byte {
            FLAG | ESCAPE => out.extend_from_slice(&[ESCAPE, byte ^ TWIST]),
            _ => out.push(byte),
        }
    }
    out.push(FLAG);
}

/// Frames out of a stream of bytes that arrive in any chunks.
#[derive(Default)]
pub struct Decoder {
    frame: Vec<u8>,
    position: u64,
    start: u64,
    open: bool,
    escaped: bool,
    too_long: bool,
}

impl Decoder {
    /// A decoder at position 0, before the first flag.
    pub fn new() -> Self {
        Self::default()
    }

    /// Take some bytes; give the frames that end among them.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            if byte == FLAG {
                self.close(&mut events, None);
                self.open = true;
                self.start = self.position + 1;
            } else if byte == ESCAPE && !self.escaped {
                self.escaped = true;
            } else {
                let byte = if std::mem::take(&mut self.escaped) { byte ^ TWIST } else { byte };
                if self.frame.len() < MAX_FRAME {
                    self.frame.push(byte);
                } else {
                    self.too_long = true;
                }
                if !self.open && self.frame.len() == MAX_NOISE {
                    self.close(&mut events, None);
                    self.start = self.position + 1;
                }
            }
            self.position += 1;
        }
        events
    }

    /// The end of the stream.
    pub fn finish(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.close(&mut events, Some(Problem::Truncated));
        self.open = false;
        self.start = self.position;
        events
    }

    fn close(&mut self, events: &mut Vec<Event>, end: Option<Problem>) {
        let escaped = std::mem::take(&mut self.escaped);
        let too_long = std::mem::take(&mut self.too_long);
        let mut frame = std::mem::take(&mut self.frame);
        if frame.is_empty() && !escaped {
            return; // flags between frames
        }
        let problem = if !self.open {
            Some(Problem::Outside)
        } else if too_long {
            Some(Problem::TooLong)
        } else if end.is_some() {
            end
        } else if escaped {
            Some(Problem::Aborted)
        } else if frame.len() < crc::SIZE {
            Some(Problem::Runt)
        } else if !crc::holds(&frame) {
            Some(Problem::BadFcs)
        } else {
            None
        };
        events.push(match problem {
            Some(problem) => Event::Error(self.start, problem, frame),
            None => {
                frame.truncate(frame.len() - crc::SIZE);
                Event::Frame(self.start, frame)
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(bytes: &[u8], size: usize) -> Vec<Event> {
        let mut decoder = Decoder::new();
        let mut events: Vec<_> = bytes.chunks(size).flat_map(|chunk| decoder.feed(chunk)).collect();
        events.extend(decoder.finish());
        events
    }

    proptest! {
        #[test]
        fn decode_gives_back_what_encode_was_given(
            payloads in prop::collection::vec(prop::collection::vec(
                prop_oneof![any::<u8>(), Just(FLAG), Just(ESCAPE)], 1..40), 0..5), size in 1usize..20,
        ) {
            let mut bytes = Vec::new();
            for payload in &payloads {
                encode(&mut bytes, payload);
            }
            let frames: Vec<_> = decoded(&bytes, size).into_iter().map(|event| match event {
                Event::Frame(_, payload) => payload,
                other => panic!("{other:?}"),
            }).collect();
            prop_assert_eq!(frames, payloads);
        }

        #[test]
        fn any_chunking_gives_the_same(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(FLAG), Just(ESCAPE)], 0..200), size in 1usize..20,
        ) {
            prop_assert_eq!(decoded(&bytes, size), decoded(&bytes, usize::MAX));
        }
    }

    #[test]
    fn every_problem() {
        let mut good = Vec::new();
        encode(&mut good, &[1, FLAG, 2]);
        let problem = |bytes: &[u8]| match &decoded(bytes, 7)[..] {
            [Event::Error(at, problem, _)] => Some((*at, *problem)),
            _ => None,
        };
        assert_eq!(decoded(&good, 1), [Event::Frame(1, vec![1, FLAG, 2])]);
        let mut bad = good.clone();
        bad[1] ^= 1;
        assert_eq!(problem(&bad), Some((1, Problem::BadFcs)));
        assert_eq!(problem(&good[..4]), Some((1, Problem::Truncated)));
        assert_eq!(problem(&[1, 2, FLAG]), Some((0, Problem::Outside)));
        assert_eq!(problem(&[FLAG, 1, FLAG]), Some((1, Problem::Runt)));
        assert_eq!(problem(&[FLAG, 1, 2, 3, ESCAPE, FLAG]), Some((1, Problem::Aborted)));
        let long = [&[FLAG][..], &vec![1; MAX_FRAME + 1], &[FLAG]].concat();
        assert_eq!(problem(&long), Some((1, Problem::TooLong)));
    }
}
