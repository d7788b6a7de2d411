//! Byte stuffing of SLIP (RFC 1055), for lines that reach us through bridges and loggers.
//!
//! ```text
//!   C0 | payload with C0 sent as DB DC, DB as DB DD | C0
//! ```
//!
//! There is no check: that of the packets inside has to do. An escape that RFC 1055 does not know is told with its
//! position; the byte after it is kept as it is. C12.18 and MEP have no stuffing of their own.

/// Ends a frame; most senders start one with it, too.
pub const END: u8 = 0xC0;
/// Escape.
pub const ESC: u8 = 0xDB;
/// After [`ESC`]: an [`END`] in the payload.
pub const ESC_END: u8 = 0xDC;
/// After [`ESC`]: an [`ESC`] in the payload.
pub const ESC_ESC: u8 = 0xDD;
/// A longer frame is handed out in pieces of this size, so that memory stays bounded.
pub const MAX_FRAME: usize = 64 * 1024;

/// What the decoder found.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// A payload; the position is that of its first byte on the line. It ends with [`END`], with the stream, or at
    /// [`MAX_FRAME`].
    Frame(u64, Vec<u8>),
    /// The byte at this position cannot follow an [`ESC`], or the stream ends after one.
    BadEscape(u64),
}

/// Shows no bytes.
impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Frame(at, payload) => write!(f, "{at}: frame len={}", payload.len()),
            Self::BadEscape(at) => write!(f, "{at}: bad escape"),
        }
    }
}

/// Append one frame to `out`, with an [`END`] on both sides.
pub fn encode(out: &mut Vec<u8>, payload: &[u8]) {
    out.push(END);
    for &byte in payload {
        match byte {
            END => out.extend_from_slice(&[ESC, ESC_END]),
            ESC => out.extend_from_slice(&[ESC, ESC_ESC]),
            _ => out.push(byte),
        }
    }
    out.push(END);
}

/// Frames out of a stream of bytes that arrive in any chunks.
#[derive(Default)]
pub struct Decoder {
    frame: Vec<u8>,
    position: u64,
    start: u64,
    escaped: bool,
}

impl Decoder {
    /// A decoder at position 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Take some bytes; give the frames that end among them.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            let escaped = std::mem::take(&mut self.escaped);
            match byte {
                END => {
                    if escaped {
                        events.push(Event::BadEscape(self.position));
                    }
                    self.close(&mut events);
                    self.start = self.position + 1;
                }
                ESC if !escaped => self.escaped = true,
                ESC_END if escaped => self.frame.push(END),
                ESC_ESC if escaped => self.frame.push(ESC),
                _ => {
                    if escaped {
                        events.push(Event::BadEscape(self.position));
                    }
                    self.frame.push(byte);
                }
            }
            self.position += 1;
            if self.frame.len() == MAX_FRAME {
                self.close(&mut events);
                self.start = self.position;
            }
        }
        events
    }

    /// The end of the stream.
    pub fn finish(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if std::mem::take(&mut self.escaped) {
            events.push(Event::BadEscape(self.position));
        }
        self.close(&mut events);
        self.start = self.position;
        events
    }

    fn close(&mut self, events: &mut Vec<Event>) {
        if !self.frame.is_empty() {
            events.push(Event::Frame(self.start, std::mem::take(&mut self.frame)));
        }
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
                prop_oneof![any::<u8>(), Just(END), Just(ESC), Just(ESC_END)], 1..40), 0..5), size in 1usize..20,
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
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(END), Just(ESC), Just(ESC_END)], 0..200), size in 1usize..20,
        ) {
            prop_assert_eq!(decoded(&bytes, size), decoded(&bytes, usize::MAX));
        }
    }

    #[test]
    fn an_unknown_escape_is_told_and_its_byte_kept() {
        let expected = [Event::BadEscape(3), Event::Frame(1, vec![1, 2]), Event::BadEscape(6)];
        assert_eq!(decoded(&[END, 1, ESC, 2, END, ESC], 1), expected);
        assert_eq!(decoded(&vec![1; MAX_FRAME + 1], 1000).len(), 2);
    }
}
