//! Records: the layer below, in clear and protected, and what comes in through it.
//!
//! ```text
//!   type | version | length (2, be) | fragment
//!                                     explicit nonce (8) | ciphertext | tag (16)      once protected
//! ```
//!
//! Source: RFC 5246 section 6.2; RFC 5288 section 3.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use zeroize::Zeroizing;

use super::problem::{Expected, Problem};

/// Bytes of a record's header.
pub const HEADER: usize = 5;
/// What protection adds to a record.
pub const OVERHEAD: usize = EXPLICIT + TAG;
/// The most clear text of a record.
pub const MAX_PLAIN: usize = 1 << 14;
/// The longest handshake message that is taken; those of this suite are far shorter.
pub(super) const MAX_HANDSHAKE: usize = 1 << 14;
pub(super) const VERSION: u16 = 0x0303;
pub(super) const KEY: usize = 32;
pub(super) const SALT: usize = 4;
const EXPLICIT: usize = 8;
const TAG: usize = 16;
/// So many records may be missing in a row where a recorded session is read on.
const AHEAD: u64 = 8;

/// What a record or a handshake message is. Handshake messages have the number that they are sent with; records another
/// 0x100, as their types would be mixed up with those.
pub(super) mod kind {
    pub(in super::super) const HELLO_REQUEST: u16 = 0;
    pub(in super::super) const CLIENT_HELLO: u16 = 1;
    pub(in super::super) const SERVER_HELLO: u16 = 2;
    pub(in super::super) const SERVER_KEY_EXCHANGE: u16 = 12;
    pub(in super::super) const SERVER_HELLO_DONE: u16 = 14;
    pub(in super::super) const CLIENT_KEY_EXCHANGE: u16 = 16;
    pub(in super::super) const FINISHED: u16 = 20;
    pub(in super::super) const CHANGE_CIPHER_SPEC: u16 = 0x114;
    pub(in super::super) const ALERT: u16 = 0x115;
    pub(in super::super) const HANDSHAKE: u16 = 0x116;
    pub(in super::super) const APPLICATION_DATA: u16 = 0x117;
}

pub(super) fn kind_name(of: u16) -> Option<&'static str> {
    Some(match of {
        kind::HELLO_REQUEST => "hello_request",
        kind::CLIENT_HELLO => "client_hello",
        kind::SERVER_HELLO => "server_hello",
        kind::SERVER_KEY_EXCHANGE => "server_key_exchange",
        kind::SERVER_HELLO_DONE => "server_hello_done",
        kind::CLIENT_KEY_EXCHANGE => "client_key_exchange",
        kind::FINISHED => "finished",
        kind::CHANGE_CIPHER_SPEC => "change_cipher_spec",
        kind::ALERT => "alert",
        kind::HANDSHAKE => "handshake",
        kind::APPLICATION_DATA => "application_data",
        _ => return None,
    })
}

/// What one direction waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The client's first message.
    ClientHello,
    /// The identity.
    ClientKeyExchange,
    /// The server's first message.
    ServerHello,
    /// An identity hint, which some servers send, or what follows it.
    ServerKeyExchange,
    /// The end of the server's first flight.
    ServerHelloDone,
    /// The change to protected records.
    ChangeCipherSpec,
    /// The proof that the handshake was the same for both.
    Finished,
    /// Application data.
    Open,
}

impl State {
    /// What may come, and what is waited for then. The two directions differ in where they start.
    fn next(self, of: u16) -> Option<Self> {
        Some(match (self, of) {
            (Self::ClientHello, kind::CLIENT_HELLO) => Self::ClientKeyExchange,
            (Self::ClientKeyExchange, kind::CLIENT_KEY_EXCHANGE) => Self::ChangeCipherSpec,
            (Self::ServerHello, kind::SERVER_HELLO) => Self::ServerKeyExchange,
            (Self::ServerKeyExchange, kind::SERVER_KEY_EXCHANGE) => Self::ServerHelloDone,
            (Self::ServerKeyExchange | Self::ServerHelloDone, kind::SERVER_HELLO_DONE) => Self::ChangeCipherSpec,
            (Self::ChangeCipherSpec, kind::CHANGE_CIPHER_SPEC) => Self::Finished,
            (Self::Finished, kind::FINISHED) | (Self::Open, kind::APPLICATION_DATA) => Self::Open,
            _ => return None,
        })
    }

    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::ClientHello => "client_hello",
            Self::ClientKeyExchange => "client_key_exchange",
            Self::ServerHello => "server_hello",
            Self::ServerKeyExchange => "server_key_exchange or server_hello_done",
            Self::ServerHelloDone => "server_hello_done",
            Self::ChangeCipherSpec => "change_cipher_spec",
            Self::Finished => "finished",
            Self::Open => "application_data",
        }
    }
}

/// A handshake message (`data`: with its header), a change of ciphers, an alert, or application data.
pub(super) struct Item {
    pub(super) kind: u16,
    pub(super) data: Vec<u8>,
}

impl Item {
    /// A handshake message without its header.
    pub(super) fn body(&self) -> &[u8] {
        self.data.get(4..).unwrap_or_default()
    }
}

/// Key and record counter of one direction. The key is wiped when this is dropped.
pub(super) struct Protection {
    cipher: Aes256Gcm,
    salt: Zeroizing<[u8; SALT]>,
    sequence: u64,
}

impl Protection {
    pub(super) fn new(key: &[u8; KEY], salt: [u8; SALT]) -> Self {
        Self { cipher: Aes256Gcm::new(key.into()), salt: Zeroizing::new(salt), sequence: 0 }
    }

    fn nonce(&self, explicit: [u8; EXPLICIT]) -> [u8; SALT + EXPLICIT] {
        let mut nonce = [0; SALT + EXPLICIT];
        nonce[..SALT].copy_from_slice(self.salt.as_slice());
        nonce[SALT..].copy_from_slice(&explicit);
        nonce
    }

    fn covered(sequence: u64, of: u16, len: usize) -> [u8; 8 + HEADER] {
        let mut covered = [0; 8 + HEADER];
        covered[..8].copy_from_slice(&sequence.to_be_bytes());
        covered[8..].copy_from_slice(&header(of, len));
        covered
    }

    /// A protected record. The explicit nonce is the record's number, as the meter does it.
    fn seal(&mut self, of: u16, data: &[u8]) -> Option<Vec<u8>> {
        let explicit = self.sequence.to_be_bytes();
        let next = self.sequence.checked_add(1)?;
        let mut record = [header(of, data.len() + OVERHEAD).as_slice(), &explicit, data].concat();
        let nonce = Nonce::from(self.nonce(explicit));
        let clear = record.get_mut(HEADER + EXPLICIT..)?;
        let tag = self
            .cipher
            .encrypt_inout_detached(&nonce, &Self::covered(self.sequence, of, data.len()), clear.into())
            .ok()?;
        record.extend_from_slice(&tag);
        self.sequence = next;
        Some(record)
    }

    /// The clear text; None if it was not made with this key and as the next record, or with up to `ahead` between.
    fn open(&mut self, of: u16, fragment: &[u8], ahead: u64) -> Option<Vec<u8>> {
        let (explicit, sealed) = fragment.split_first_chunk::<EXPLICIT>()?;
        let (sent, tag) = sealed.split_last_chunk::<TAG>()?;
        let (nonce, tag) = (Nonce::from(self.nonce(*explicit)), Tag::from(*tag));
        (0..=ahead).find_map(|more| {
            let sequence = self.sequence.checked_add(more)?;
            let next = sequence.checked_add(1)?;
            let mut clear = sent.to_vec();
            let covered = Self::covered(sequence, of, sent.len());
            self.cipher.decrypt_inout_detached(&nonce, &covered, clear.as_mut_slice().into(), &tag).ok()?;
            self.sequence = next;
            Some(clear)
        })
    }
}

/// One record. Empty after 2^64 of them, rather than one nonce used twice.
pub(super) fn emit(of: u16, data: &[u8], protection: Option<&mut Protection>) -> Vec<u8> {
    match protection {
        Some(protection) => protection.seal(of, data).unwrap_or_default(),
        None => [header(of, data.len()).as_slice(), data].concat(),
    }
}

/// One handshake message.
pub(super) fn handshake(of: u16, body: &[u8]) -> Vec<u8> {
    let [_, size @ ..] = (body.len() as u32).to_be_bytes();
    [[of as u8].as_slice(), &size, body].concat()
}

/// Callers have checked the length against [`MAX_PLAIN`].
fn header(of: u16, len: usize) -> [u8; HEADER] {
    let ([major, minor], [high, low]) = (VERSION.to_be_bytes(), (len as u16).to_be_bytes());
    [of as u8, major, minor, high, low]
}

/// One direction: bytes in any chunks to what they say, in the order that the protocol allows.
pub(super) struct Incoming {
    pub(super) state: State,
    /// The ways to decipher that may be right; the first record decides.
    pub(super) protections: Vec<Protection>,
    /// Which of them it was.
    pub(super) chosen: usize,
    /// Records that may be missing once the handshake is over: in a session that is read from a recording.
    ahead: u64,
    from_server: bool,
    buffer: Vec<u8>,
    used: usize,
    messages: Vec<u8>,
}

impl Incoming {
    pub(super) fn new(state: State) -> Self {
        Self {
            state,
            protections: Vec::new(),
            chosen: 0,
            ahead: 0,
            from_server: state == State::ServerHello,
            buffer: Vec::new(),
            used: 0,
            messages: Vec::new(),
        }
    }

    /// The same for a recording, which may lack what both sides had.
    pub(super) fn recorded(state: State) -> Self {
        Self { ahead: AHEAD, ..Self::new(state) }
    }

    /// Leave out a record that could not be deciphered, though the other side may have; false where nothing can come of it.
    pub(super) fn pass_over(&mut self) -> bool {
        let may = self.ahead > 0 && self.state == State::Open;
        if may {
            self.protections.iter_mut().for_each(|p| p.sequence = p.sequence.saturating_add(1));
        }
        may
    }

    /// Take some bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.used);
        self.used = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// What comes next, or None where bytes are missing.
    pub(super) fn next(&mut self) -> Result<Option<Item>, Problem> {
        loop {
            if let Some(item) = self.message()? {
                return Ok(Some(item));
            }
            let Some((of, data)) = self.record()? else { return Ok(None) };
            match of {
                kind::HANDSHAKE if data.is_empty() => return Err(Problem::Decode("record")),
                kind::HANDSHAKE => self.messages.extend_from_slice(&data),
                kind::ALERT if data.len() != 2 => return Err(Problem::Decode("alert")),
                kind::ALERT => return Ok(Some(Item { kind: of, data })),
                _ if !self.messages.is_empty() => return Err(Problem::Unexpected(of, Expected::Rest)),
                _ => {
                    self.advance(of)?;
                    if of == kind::CHANGE_CIPHER_SPEC && data != [1] {
                        return Err(Problem::Decode("change_cipher_spec"));
                    }
                    if !data.is_empty() {
                        return Ok(Some(Item { kind: of, data }));
                    }
                }
            }
        }
    }

    /// The next handshake message that is whole.
    fn message(&mut self) -> Result<Option<Item>, Problem> {
        let Some(&[of, a, b, c]) = self.messages.first_chunk() else { return Ok(None) };
        let size = u32::from_be_bytes([0, a, b, c]) as usize;
        if size > MAX_HANDSHAKE {
            return Err(Problem::HandshakeTooLong(size));
        }
        if self.messages.len() < 4 + size {
            return Ok(None);
        }
        let item = Item { kind: of.into(), data: self.messages.drain(..4 + size).collect() };
        // A server may ask for a new handshake at any time; a client may ignore it (RFC 5246, section 7.4.1.1).
        if !(self.from_server && item.data == [0; 4]) {
            self.advance(item.kind)?;
        }
        Ok(Some(item))
    }

    fn advance(&mut self, of: u16) -> Result<(), Problem> {
        self.state = self.state.next(of).ok_or(Problem::Unexpected(of, Expected::State(self.state)))?;
        Ok(())
    }

    fn record(&mut self) -> Result<Option<(u16, Vec<u8>)>, Problem> {
        let rest = self.buffer.get(self.used..).unwrap_or_default();
        let Some(&[of, major, minor, high, low]) = rest.first_chunk::<HEADER>() else { return Ok(None) };
        if !(20..=23).contains(&of) {
            return Err(Problem::RecordType(of));
        }
        let version = u16::from_be_bytes([major, minor]);
        // In a first record a version below 1.2 may still stand.
        let starts = matches!(self.state, State::ClientHello | State::ServerHello);
        if version != VERSION && !(starts && u16::from(major) == VERSION >> 8) {
            return Err(Problem::Version(version));
        }
        let size = usize::from(u16::from_be_bytes([high, low]));
        if size > MAX_PLAIN + if self.protections.is_empty() { 0 } else { OVERHEAD } {
            return Err(Problem::RecordOverflow(size));
        }
        let Some(fragment) = rest.get(HEADER..HEADER + size) else { return Ok(None) };
        let of = 0x100 + u16::from(of);
        let end = self.used + HEADER + size;
        let clear = match self.protections.as_mut_slice() {
            [] => fragment.to_vec(),
            several => {
                let ahead = if self.state == State::Open { self.ahead } else { 0 };
                let opened = several.iter_mut().enumerate().find_map(|(i, p)| Some((i, p.open(of, fragment, ahead)?)));
                let Some((i, clear)) = opened else {
                    self.used = end;
                    return Err(Problem::BadRecord);
                };
                if self.protections.len() > 1 {
                    self.protections.swap(0, i);
                    self.protections.truncate(1);
                    self.chosen = i;
                }
                clear
            }
        };
        self.used = end;
        Ok(Some((of, clear)))
    }
}
