//! A request and its answer under digest and RC4.
//!
//! ```text
//!   request:   length (2, be) | code, arguments | sequence number (4, be) | digest (8)
//!   response:  length (2, be) | code, data                                | digest (8)
//!                               \________________ RC4, if wanted ________/
//! ```
//!
//! The digest of a response also covers its request, so that the two belong together. A response of a single zero byte adds
//! nothing to the digest: the two digests are equal then, and the response proves little. Source: MEP guide pp. 10-13, 15-17,
//! 249-257; the length field is written here and read by `wire::mep`.

use std::borrow::Cow;
use std::fmt;

use subtle::ConstantTimeEq;

use super::digest::{SIZE as DIGEST, State};
use super::key::Key;
use super::legacy_rc4::{Rc4, Secret, cipher_of, message_cipher};

/// The longest message without its length field. Source: MEP guide p. 8.
pub const MAX_BODY: usize = 476;
/// Bytes of the sequence number.
pub const SEQUENCE: usize = 4;
/// The shortest request without its length field.
const SHORTEST: usize = 1 + SEQUENCE + DIGEST;
/// Response code: no key gives this digest. It cannot be signed, and it is not enciphered (MEP guide p. 256).
pub const AUTHENTICATION_FAILURE: u8 = 0x0B;
/// Response code: the sequence number that is expected follows.
pub const INVALID_SEQUENCE: u8 = 0x0C;

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A message without a code, which the caller wanted to send.
    Empty,
    /// More code and data than fit, which the caller wanted to send.
    TooLong {
        /// Bytes of them.
        len: usize,
        /// The most that fit.
        most: usize,
    },
    /// A request whose length is none.
    RequestLength {
        /// Its bytes.
        len: usize,
    },
    /// A request whose digest is that of none of the keys.
    RequestDigest {
        /// How many keys were tried.
        keys: usize,
    },
    /// An answer without room for a digest.
    AnswerLength {
        /// Its bytes.
        len: usize,
    },
    /// An answer whose digest is not that of the key and the request.
    AnswerDigest {
        /// Its bytes.
        len: usize,
    },
}

impl Problem {
    /// The stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "security.empty",
            Self::TooLong { .. } => "security.too_long",
            Self::RequestLength { len } if *len > MAX_BODY => "security.too_long",
            Self::RequestLength { .. } | Self::AnswerLength { .. } => "security.too_short",
            Self::RequestDigest { .. } | Self::AnswerDigest { .. } => "security.bad_digest",
        }
    }

    /// Whether the caller broke the rule, and not the other side.
    pub fn local(&self) -> bool {
        matches!(self, Self::Empty | Self::TooLong { .. })
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "read or write a part of the table at a time",
            Self::RequestDigest { .. } => "check the key, and that the message is whole",
            Self::AnswerDigest { .. } => {
                "the line damaged it, it answers another request, or the meter has another key: ask again"
            }
            _ => "",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a message without a code"),
            Self::TooLong { len, most } => write!(f, "{len} bytes of code and data; at most {most} fit"),
            Self::RequestLength { len } => write!(f, "a request of {len} bytes; it has {SHORTEST} to {MAX_BODY}"),
            Self::RequestDigest { keys } => write!(f, "the digest of a request is that of none of {keys} keys"),
            Self::AnswerLength { len } => {
                write!(f, "an answer of {len} bytes; with its digest it has at least {}", 1 + DIGEST)
            }
            Self::AnswerDigest { len } => {
                write!(f, "the digest of an answer of {len} bytes is not that of the key and the request")
            }
        }
    }
}

impl std::error::Error for Problem {}

/// What the meter said, in clear.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The response code.
    pub code: u8,
    /// What follows it.
    pub data: Vec<u8>,
    /// Whether the digest was checked. Only a refusal, code 0B, can come without: anybody can say it.
    pub authentic: bool,
}

impl Answer {
    /// The number to go on with if the meter refused the one that was used.
    ///
    /// The meter tells its own; the example goes on with the one after it (MEP guide pp. 15-16).
    pub fn next_sequence(&self) -> Option<u32> {
        let told = <[u8; SEQUENCE]>::try_from(self.data.as_slice()).ok()?;
        (self.code == INVALID_SEQUENCE).then(|| u32::from_be_bytes(told).wrapping_add(1))
    }
}

/// Shows no data.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answer code={:02X} len={} authentic={}", self.code, self.data.len(), self.authentic)
    }
}

/// Keys that may be the one, with what does not change from message to message: for who reads many.
pub struct KeyRing {
    keys: Vec<(Key, Secret)>,
    /// Which key opened the last message, and whether it was enciphered: the next is likely to be the same.
    last: (usize, bool),
}

impl KeyRing {
    /// The keys in the order in which a meter tries them, the advanced before the basic one.
    pub fn new(keys: &[Key]) -> Self {
        Self { keys: keys.iter().map(|key| (key.clone(), Secret::new(key))).collect(), last: (0, false) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Read a request as [`Exchange::open`] does.
    pub fn open(&mut self, body: &[u8]) -> Result<Exchange, Problem> {
        let length = Problem::RequestLength { len: body.len() };
        if !(SHORTEST..=MAX_BODY).contains(&body.len()) {
            return Err(length);
        }
        let (sent, seal) = body.split_last_chunk::<DIGEST>().ok_or(length)?;
        let all = (0..self.keys.len()).flat_map(|which| [(which, false), (which, true)]);
        let last = self.last;
        for how in [last].into_iter().chain(all.filter(|how| *how != last)) {
            if let Some(exchange) = self.attempt(how, sent, seal) {
                self.last = how;
                return Ok(exchange);
            }
        }
        Err(Problem::RequestDigest { keys: self.keys.len() })
    }

    fn attempt(&self, (which, enciphered): (usize, bool), sent: &[u8], seal: &[u8; DIGEST]) -> Option<Exchange> {
        let (key, secret) = self.keys.get(which)?;
        let mut clear = sent.to_vec();
        let cipher = enciphered.then(|| {
            let mut cipher = Box::new(cipher_of(secret, seal));
            cipher.apply(&mut clear);
            cipher
        });
        let mut state = State::new();
        state.absorb(key, &clear);
        if !bool::from(state.clone().finish(key, false).ct_eq(seal)) {
            return None; // no key in it, nor sense
        }
        Some(Exchange { key: key.clone(), state, signed: clear, cipher, message: message(sent, seal), which })
    }
}

/// Shows no key.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<KeyRing of {} keys>", self.keys.len())
    }
}

/// One request and what may be said to it: made by the client, or read by the meter or from a capture.
pub struct Exchange {
    key: Key,
    /// The digest as the request leaves it.
    state: State,
    signed: Vec<u8>,
    /// Apart: it is large, and most exchanges are in clear.
    cipher: Option<Box<Rc4>>,
    message: Vec<u8>,
    which: usize,
}

impl Exchange {
    /// Make a request. `body`: code and arguments.
    pub fn request(key: &Key, body: &[u8], sequence: u32, encrypt: bool) -> Result<Self, Problem> {
        check_size(body, SEQUENCE)?;
        let signed = [body, &sequence.to_be_bytes()].concat();
        let mut state = State::new();
        state.absorb(key, &signed);
        let seal = state.clone().finish(key, false);
        let mut cipher = encrypt.then(|| Box::new(message_cipher(key, &seal)));
        let mut sent = signed.clone();
        if let Some(cipher) = &mut cipher {
            cipher.apply(&mut sent);
        }
        Ok(Self { key: key.clone(), state, signed, cipher, message: message(&sent, &seal), which: 0 })
    }

    /// Read a request as the meter does: in clear, then enciphered, with each key in turn (advanced before basic).
    ///
    /// `body`: the message without its length field.
    pub fn open(keys: &[Key], body: &[u8]) -> Result<Self, Problem> {
        KeyRing::new(keys).open(body)
    }

    /// The request as it is sent, with its length field.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Which of the keys it was made with.
    pub fn which(&self) -> usize {
        self.which
    }

    /// Code and arguments, in clear.
    pub fn body(&self) -> &[u8] {
        self.signed.split_last_chunk::<SEQUENCE>().map_or(&[], |(body, _)| body)
    }

    /// The sequence number.
    pub fn sequence(&self) -> u32 {
        self.signed.last_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
    }

    /// Whether the request was enciphered, and so will be the answer.
    pub fn encrypted(&self) -> bool {
        self.cipher.is_some()
    }

    /// The answer as the meter sends it, with its length field. `body`: code and data.
    pub fn respond(&self, body: &[u8]) -> Result<Vec<u8>, Problem> {
        check_size(body, 0)?;
        let seal = self.answered(body);
        Ok(message(&self.applied(body), &seal))
    }

    /// Read the answer. `body`: the message without its length field. May be called again after noise.
    pub fn read(&self, body: &[u8]) -> Result<Answer, Problem> {
        if let Some(clear) = self.opened(body)
            && let Some((&code, data)) = clear.split_first()
        {
            return Ok(Answer { code, data: data.to_vec(), authentic: true });
        }
        const WITH_DIGEST: usize = 1 + DIGEST;
        match (body.len(), body.first()) {
            (1 | WITH_DIGEST, Some(&AUTHENTICATION_FAILURE)) => {
                Ok(Answer { code: AUTHENTICATION_FAILURE, data: Vec::new(), authentic: false })
            }
            (len, _) if len < WITH_DIGEST => Err(Problem::AnswerLength { len }),
            (len, _) => Err(Problem::AnswerDigest { len }),
        }
    }

    /// Code and data of an answer whose digest fits, in clear; None: it is not that. `body` as for [`Exchange::read`].
    pub(crate) fn opened<'a>(&self, body: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let (sent, seal) = body.split_last_chunk::<DIGEST>()?;
        let clear = match self.cipher {
            Some(_) => Cow::Owned(self.applied(sent)),
            None => Cow::Borrowed(sent),
        };
        (!clear.is_empty() && bool::from(self.answered(&clear).ct_eq(seal))).then_some(clear)
    }

    /// The digest of an answer.
    fn answered(&self, clear: &[u8]) -> [u8; DIGEST] {
        let mut state = self.state.clone();
        state.absorb(&self.key, clear);
        state.finish(&self.key, clear.is_empty())
    }

    fn applied(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        // A copy goes on: an answer that was noise must not spoil the state for the right one.
        if let Some(cipher) = &self.cipher {
            Rc4::clone(cipher).apply(&mut out);
        }
        out
    }
}

/// A key may have been in it. Wiped at once and not byte by byte: there is one for every message.
impl Drop for Exchange {
    fn drop(&mut self) {
        self.signed.fill(0);
        zeroize::optimization_barrier(&self.signed);
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.encrypted() { "RC4" } else { "in clear" };
        write!(f, "<Exchange of {} bytes, {how}>", self.message.len())
    }
}

/// What a meter says to a request that none of its keys signs, with its length field.
///
/// The guide wants a digest here and no key can make one: eight zeros stand for it.
pub fn refusal() -> Vec<u8> {
    message(&[AUTHENTICATION_FAILURE], &[0; DIGEST])
}

fn check_size(body: &[u8], more: usize) -> Result<(), Problem> {
    let most = MAX_BODY - DIGEST - more;
    match body.len() {
        0 => Err(Problem::Empty),
        len if len > most => Err(Problem::TooLong { len, most }),
        _ => Ok(()),
    }
}

/// The sizes were checked: a length has two bytes.
fn message(sent: &[u8], seal: &[u8; DIGEST]) -> Vec<u8> {
    let len = (sent.len() + seal.len()) as u16;
    [&len.to_be_bytes(), sent, seal].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::vectors::{hex, vectors};
    use proptest::prelude::*;

    #[test]
    fn every_message_of_the_guide_both_ways() {
        let all = vectors();
        let all = all["mep_rc4"].as_array().unwrap();
        assert_eq!(all.len(), 7);
        for vector in all {
            let key = Key::new(&hex(&vector["key"])).unwrap();
            let (request, response) = (hex(&vector["request"]), hex(&vector["response"]));
            let other = Key::new(&[2; 20]).unwrap();
            let read = Exchange::open(&[other, key.clone()], &request[2..]).unwrap();
            assert_eq!((read.which(), read.encrypted()), (1, false));
            let answer = read.read(&response[2..]).unwrap();
            assert!(answer.authentic);
            let made = Exchange::request(&key, read.body(), read.sequence(), false).unwrap();
            assert_eq!(made.message(), request);
            let said = [&[answer.code], answer.data.as_slice()].concat();
            assert_eq!(made.respond(&said).unwrap(), response);
        }
    }

    #[test]
    fn an_invalid_sequence_says_what_to_go_on_with() {
        let answer = Answer { code: 0x0C, data: vec![0x77, 0x63, 0x5B, 0x90], authentic: true };
        assert_eq!(answer.next_sequence(), Some(0x77635B91));
        assert_eq!(Answer { code: 0x0C, data: vec![0xFF; 4], authentic: true }.next_sequence(), Some(0));
        assert_eq!(Answer { code: 0, ..answer }.next_sequence(), None);
    }

    #[test]
    fn sizes_and_refusals() {
        let key = Key::new(&[1; 16]).unwrap();
        let exchange = Exchange::request(&key, &[0; 464], 0, true).unwrap();
        assert_eq!(exchange.message().len(), 2 + MAX_BODY);
        assert_eq!(Exchange::request(&key, &[0; 465], 0, true).unwrap_err(), Problem::TooLong { len: 465, most: 464 });
        assert_eq!(Exchange::request(&key, &[], 0, true).unwrap_err(), Problem::Empty);
        assert!(exchange.respond(&[0; 468]).is_ok());
        assert_eq!(exchange.respond(&[0; 469]).unwrap_err().code(), "security.too_long");
        assert!(!exchange.read(&refusal()[2..]).unwrap().authentic);
        assert_eq!(exchange.read(&[0; 8]).unwrap_err(), Problem::AnswerLength { len: 8 });
        assert_eq!(exchange.read(&[0; 9]).unwrap_err().code(), "security.bad_digest");
        assert_eq!(Exchange::open(&[], &[0; 12]).unwrap_err(), Problem::RequestLength { len: 12 });
        assert_eq!(Exchange::open(&[key], &[0; 13]).unwrap_err(), Problem::RequestDigest { keys: 1 });
    }

    proptest! {
        #[test]
        fn what_was_sealed_is_opened(
            key in prop::collection::vec(any::<u8>(), 6..=20),
            body in prop::collection::vec(any::<u8>(), 1..=464),
            said in prop::collection::vec(any::<u8>(), 1..=468),
            sequence: u32,
            encrypt: bool,
            flip in 0usize..4000,
        ) {
            let key = Key::new(&key).unwrap();
            let sent = Exchange::request(&key, &body, sequence, encrypt).unwrap();
            let read = Exchange::open(std::slice::from_ref(&key), &sent.message()[2..]).unwrap();
            prop_assert_eq!((read.body(), read.sequence(), read.encrypted()), (body.as_slice(), sequence, encrypt));
            let response = read.respond(&said).unwrap();
            let mut damaged = response[2..].to_vec();
            let at = flip % (damaged.len() * 8);
            damaged[at / 8] ^= 1 << (at % 8);
            if let Ok(answer) = sent.read(&damaged) {
                prop_assert!(!answer.authentic);
            }
            let answer = sent.read(&response[2..]).unwrap();
            prop_assert!(answer.authentic);
            prop_assert_eq!([&[answer.code], answer.data.as_slice()].concat(), said);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..600)) {
            let key = Key::new(&[1; 16]).unwrap();
            prop_assert!(Exchange::open(std::slice::from_ref(&key), &body).is_err());
            let sent = Exchange::request(&key, &[0x30, 0, 1], 5, true).unwrap();
            prop_assert!(sent.read(&body).is_ok_and(|a| !a.authentic) || sent.read(&body).is_err());
        }
    }
}
