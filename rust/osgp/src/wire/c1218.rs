//! C12.18 packets, the link layer of the optical port.
//!
//! ```text
//!   0    1         2        3         4       6            6 + n     8 + n
//!   +----+---------+--------+---------+-------+------------+---------+
//!   | EE | identity| control| sequence| n     | n bytes    | CRC     |
//!   +----+---------+--------+---------+-------+------------+---------+
//!     1      1         1         1      2 (be)               2 (le)
//! ```
//!
//! Between packets stand single bytes: 06 (ACK) and 15 (NAK). There is **no byte stuffing**: EE is an ordinary byte within
//! data, so a receiver that has lost its place can only try every EE and let the CRC decide. (Lines that reach us through
//! bridges may be stuffed around all this; see [`super::ppp`] and [`super::slip`].)
//!
//! What a damaged line does to it, and what this parser makes of that:
//! - a flipped or lost byte: the CRC fails, so that EE is noise and the search goes on at the very next byte. ACK and NAK
//!   mean nothing within the bytes that the failed packet claimed, so there they are noise too;
//! - a false EE in noise or within a damaged packet claims bytes of the packets after it: they are found all the same;
//! - a length that was never possible (more than [`MAX_DATA`]): noise at once, nothing is waited for;
//! - a packet that never ends: only the end of the stream, or the caller's clock, can tell. [`PacketParser::finish`] does.

use std::fmt;

use memchr::{memchr, memchr3};

use super::crc;

// Source: ANSI C12.18, "Packet definition".
/// Start of packet.
pub const START: u8 = 0xEE;
/// Positive acknowledgement, a byte of its own.
pub const ACK: u8 = 0x06;
/// Negative acknowledgement, a byte of its own: send it again.
pub const NAK: u8 = 0x15;
/// Bytes before the data.
pub const HEADER: usize = 6;
/// The longest packet that can be negotiated; a longer one is no packet.
pub const MAX_PACKET: usize = 8192;
/// The longest data part.
pub const MAX_DATA: usize = MAX_PACKET - HEADER - crc::SIZE;
/// Noise is handed out at the latest when this many bytes of it are there, so that memory stays bounded.
pub const MAX_NOISE: usize = 64 * 1024;

/// The control byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Control(pub u8);

impl Control {
    /// Bit 7: one of several packets of a message.
    pub const MULTI: u8 = 0x80;
    /// Bit 6: the first of several packets.
    pub const FIRST: u8 = 0x40;
    /// Bit 5: alternates with every new packet of a sender, stays when one is sent again.
    pub const TOGGLE: u8 = 0x20;

    /// One of several packets of a message.
    pub const fn multi(self) -> bool {
        self.0 & Self::MULTI != 0
    }
    /// The first of several packets of a message.
    pub const fn first(self) -> bool {
        self.0 & Self::FIRST != 0
    }
    /// The toggle bit.
    pub const fn toggle(self) -> bool {
        self.0 & Self::TOGGLE != 0
    }
    /// A later packet of a message, whose data starts in the middle.
    pub const fn continues(self) -> bool {
        self.multi() && !self.first()
    }
    /// Bits 0 and 1: data format, reserved.
    pub const fn format(self) -> u8 {
        self.0 & 0x03
    }
}

/// The first byte of a message: a request's code from 20 on, a response's below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// 00: done; data may follow.
    Ok,
    /// 01..1F: refused, for the reason that the number tells.
    Refused(u8),
    /// 20: who are you; starts a session.
    Identify,
    /// 21: end of the session, at once.
    Terminate,
    /// 30: read a whole table.
    FullRead,
    /// 3F: read some bytes of a table by offset and count.
    PartialRead,
    /// 31..3E: read by index, or the default table.
    IndexRead(u8),
    /// 40: write a whole table.
    FullWrite,
    /// 4F: write some bytes of a table.
    PartialWrite,
    /// 50: log on with a user id and name.
    Logon,
    /// 51: give the password.
    Security,
    /// 52: log off.
    Logoff,
    /// 60..6B: negotiate packet size, packets per message and baud rates.
    Negotiate(u8),
    /// 70: wait.
    Wait,
    /// Any other request.
    Unknown(u8),
}

impl From<u8> for Code {
    fn from(code: u8) -> Self {
        match code {
            0x00 => Self::Ok,
            0x01..=0x1F => Self::Refused(code),
            0x20 => Self::Identify,
            0x21 => Self::Terminate,
            0x30 => Self::FullRead,
            0x31..=0x3E => Self::IndexRead(code),
            0x3F => Self::PartialRead,
            0x40 => Self::FullWrite,
            0x4F => Self::PartialWrite,
            0x50 => Self::Logon,
            0x51 => Self::Security,
            0x52 => Self::Logoff,
            0x60..=0x6B => Self::Negotiate(code),
            0x70 => Self::Wait,
            _ => Self::Unknown(code),
        }
    }
}

impl From<Code> for u8 {
    fn from(code: Code) -> Self {
        match code {
            Code::Ok => 0x00,
            Code::Identify => 0x20,
            Code::Terminate => 0x21,
            Code::FullRead => 0x30,
            Code::PartialRead => 0x3F,
            Code::FullWrite => 0x40,
            Code::PartialWrite => 0x4F,
            Code::Logon => 0x50,
            Code::Security => 0x51,
            Code::Logoff => 0x52,
            Code::Wait => 0x70,
            Code::Refused(code) | Code::IndexRead(code) | Code::Negotiate(code) | Code::Unknown(code) => code,
        }
    }
}

impl Code {
    /// Whether it is a request's.
    pub fn is_request(self) -> bool {
        u8::from(self) >= 0x20
    }
    /// Its name in one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused(_) => "refused",
            Self::Identify => "identify",
            Self::Terminate => "terminate",
            Self::FullRead => "full_read",
            Self::PartialRead => "partial_read",
            Self::IndexRead(_) => "index_read",
            Self::FullWrite => "full_write",
            Self::PartialWrite => "partial_write",
            Self::Logon => "logon",
            Self::Security => "security",
            Self::Logoff => "logoff",
            Self::Negotiate(_) => "negotiate",
            Self::Wait => "wait",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Why bytes are not a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// So many bytes more are needed, at least.
    NeedMore(usize),
    /// Offset 0 holds something else than [`START`].
    NoStart(u8),
    /// The length at offset 4 is more than [`MAX_DATA`].
    TooLong(usize),
    /// The CRC at `offset` is not that of the bytes before it.
    BadCrc {
        /// Where it stands.
        offset: usize,
        /// What the bytes give.
        expected: u16,
        /// What stands there.
        got: u16,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedMore(n) => write!(f, "the packet is cut short; at least {n} bytes are missing"),
            Self::NoStart(byte) => write!(f, "offset 0: a packet starts with EE, not {byte:02X}"),
            Self::TooLong(n) => write!(f, "offset 4: {n} bytes of data; a packet holds at most {MAX_DATA}"),
            Self::BadCrc { offset, expected, got } => {
                write!(f, "offset {offset}: the CRC is {got:04X}, the bytes give {expected:04X}")
            }
        }
    }
}

impl std::error::Error for ParseError {}

/// Data longer than a packet or a message can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// How long it is.
    pub len: usize,
    /// How long it may be.
    pub max: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of data; at most {} fit", self.len, self.max)
    }
}

impl std::error::Error for TooLong {}

/// A packet where it stands, its length and CRC checked. Debug shows no data: it may be a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PacketView<'a> {
    frame: &'a [u8],
}

impl<'a> PacketView<'a> {
    /// The packet at the start of `bytes`, and how many bytes it takes.
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, usize), ParseError> {
        if let Some(&byte) = bytes.first()
            && byte != START
        {
            return Err(ParseError::NoStart(byte));
        }
        let Some(&[_, _, _, _, high, low]) = bytes.first_chunk::<HEADER>() else {
            return Err(ParseError::NeedMore(HEADER + crc::SIZE - bytes.len()));
        };
        let len = usize::from(u16::from_be_bytes([high, low]));
        if len > MAX_DATA {
            return Err(ParseError::TooLong(len));
        }
        let total = HEADER + len + crc::SIZE;
        let Some(frame) = bytes.get(..total) else { return Err(ParseError::NeedMore(total - bytes.len())) };
        let (expected, got) = (crc::crc16(&frame[..HEADER + len]), crc_of(frame));
        if expected != got {
            return Err(ParseError::BadCrc { offset: HEADER + len, expected, got });
        }
        Ok((Self { frame }, total))
    }
    /// Identity: which device on the line.
    pub fn identity(&self) -> u8 {
        self.frame[1]
    }
    /// The control byte.
    pub fn control(&self) -> Control {
        Control(self.frame[2])
    }
    /// Packets of this message still to come.
    pub fn sequence(&self) -> u8 {
        self.frame[3]
    }
    /// The data part.
    pub fn data(&self) -> &'a [u8] {
        &self.frame[HEADER..self.frame.len() - crc::SIZE]
    }
    /// The CRC as sent.
    pub fn crc(&self) -> u16 {
        crc_of(self.frame)
    }
    /// A copy that stands on its own.
    pub fn to_packet(&self) -> Packet {
        Packet {
            identity: self.identity(),
            control: self.control(),
            sequence: self.sequence(),
            data: self.data().to_vec(),
        }
    }
}

fn crc_of(frame: &[u8]) -> u16 {
    frame.last_chunk::<2>().map_or(0, |crc| u16::from_le_bytes(*crc))
}

/// One line for people; never shows data, which may be a password or a key.
impl fmt::Display for PacketView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(f, self.identity(), self.control(), self.sequence(), self.data())
    }
}

impl fmt::Debug for PacketView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A packet on its own. Debug shows no data: it may be a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Packet {
    /// Identity: which device on the line.
    pub identity: u8,
    /// The control byte.
    pub control: Control,
    /// Packets of this message still to come.
    pub sequence: u8,
    /// The data part.
    pub data: Vec<u8>,
}

impl Packet {
    /// Append its bytes to `out`.
    pub fn emit(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        emit(out, self.identity, self.control, self.sequence, &self.data)
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(f, self.identity, self.control, self.sequence, &self.data)
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn describe(f: &mut fmt::Formatter<'_>, identity: u8, control: Control, sequence: u8, data: &[u8]) -> fmt::Result {
    write!(f, "packet id={identity:02X} toggle={}", u8::from(control.toggle()))?;
    if control.multi() {
        write!(f, " seq={sequence}{}", if control.first() { " first" } else { "" })?;
    }
    write!(f, " len={} ", data.len())?;
    let (Some(&code), false) = (data.first(), control.continues()) else {
        return f.write_str(if control.continues() { "continuation" } else { "empty" });
    };
    write!(f, "{code:02X} {}", Code::from(code).name())?;
    match (Code::from(code), data.get(1..)) {
        (Code::FullRead | Code::FullWrite, Some(&[a, b, ..])) => write!(f, " table={}", u16::from_be_bytes([a, b])),
        (Code::PartialRead | Code::PartialWrite, Some(&[a, b, c, d, e, g, h, ..])) => write!(
            f,
            " table={} offset={} count={}",
            u16::from_be_bytes([a, b]),
            u32::from_be_bytes([0, c, d, e]),
            u16::from_be_bytes([g, h])
        ),
        _ => Ok(()),
    }
}

/// Append one packet to `out`.
pub fn emit(out: &mut Vec<u8>, identity: u8, control: Control, sequence: u8, data: &[u8]) -> Result<(), TooLong> {
    let Some(len) = u16::try_from(data.len()).ok().filter(|_| data.len() <= MAX_DATA) else {
        return Err(TooLong { len: data.len(), max: MAX_DATA });
    };
    let start = out.len();
    let [high, low] = len.to_be_bytes();
    out.extend_from_slice(&[START, identity, control.0, sequence, high, low]);
    out.extend_from_slice(data);
    let crc = crc::crc16(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
    Ok(())
}

/// Cut a message into packets of at most `max_data` bytes of data, the first one with the toggle given.
pub fn split(message: &[u8], max_data: usize, identity: u8, mut toggle: bool) -> Result<Vec<Packet>, TooLong> {
    let max_data = max_data.clamp(1, MAX_DATA);
    let count = message.len().div_ceil(max_data).max(1);
    if count > 256 {
        return Err(TooLong { len: message.len(), max: 256 * max_data });
    }
    let mut packets = Vec::with_capacity(count);
    for left in (0..count).rev() {
        let start = (count - 1 - left) * max_data;
        let mut control = if toggle { Control::TOGGLE } else { 0 };
        if count > 1 {
            control |= Control::MULTI | if start == 0 { Control::FIRST } else { 0 };
        }
        packets.push(Packet {
            identity,
            control: Control(control),
            sequence: left as u8,
            data: message[start..message.len().min(start + max_data)].to_vec(),
        });
        toggle = !toggle;
    }
    Ok(packets)
}

/// What stands at an EE.
enum Verdict {
    /// A packet of so many bytes.
    Packet(usize),
    /// No packet; it claimed so many bytes.
    Bad(usize),
    /// Not enough bytes to tell; it claims so many.
    More(usize),
}

/// Decides candidates in linear time.
///
/// A candidate that passes costs its bytes once, at the speed of the fast CRC. Where one fails, the bytes that it claimed
/// will be tried again from many starts, so from there on the CRC registers are kept, one per byte, and every further
/// candidate that starts among them is decided from the two ends of its range.
#[derive(Default)]
struct Checker {
    base: u64,
    /// `registers[i]`: the register before byte `base + i`, started anywhere.
    registers: Vec<u16>,
}

impl Checker {
    /// What stands at `buffer[at]`, an EE; `buffer[0]` is the stream's byte `origin`.
    fn verdict(&mut self, buffer: &[u8], origin: u64, at: usize) -> Verdict {
        let rest = buffer.get(at..).unwrap_or_default();
        let Some(&[_, _, _, _, high, low]) = rest.first_chunk::<HEADER>() else { return Verdict::More(HEADER) };
        let len = usize::from(u16::from_be_bytes([high, low]));
        if len > MAX_DATA {
            return Verdict::Bad(1);
        }
        let total = HEADER + len + crc::SIZE;
        let Some(frame) = rest.get(..total) else { return Verdict::More(total) };
        let position = origin + at as u64;
        let known = position.checked_sub(self.base).and_then(|n| usize::try_from(n).ok());
        let good = match known.filter(|&n| n + 1 < self.registers.len()) {
            None => {
                self.registers.clear();
                crc::holds(frame) || {
                    self.base = position;
                    self.registers.push(0);
                    self.extend(frame);
                    false
                }
            }
            Some(mut n) => {
                if n > 8 * MAX_PACKET {
                    self.registers.drain(..n);
                    self.base = position;
                    n = 0;
                }
                // Registers before bytes 0..=total of the frame are wanted.
                let have = self.registers.len() - 1 - n;
                if let Some(new) = frame.get(have..) {
                    self.extend(new);
                }
                crc::range_holds(self.registers[n], self.registers[n + total], total)
            }
        };
        if good { Verdict::Packet(total) } else { Verdict::Bad(total) }
    }

    fn extend(&mut self, bytes: &[u8]) {
        let mut register = self.registers.last().copied().unwrap_or(0);
        self.registers.extend(bytes.iter().map(|&byte| {
            register = crc::step(register, byte);
            register
        }));
    }
}

/// Where the packets of a capture stand: one column per header field, no object per packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packets {
    /// Offset of the EE.
    pub position: Vec<u64>,
    /// Identity.
    pub identity: Vec<u8>,
    /// The control byte.
    pub control: Vec<u8>,
    /// Packets of the message still to come.
    pub sequence: Vec<u8>,
    /// Offset of the data.
    pub data_offset: Vec<u64>,
    /// Length of the data; the CRC follows it.
    pub data_len: Vec<u16>,
}

impl Packets {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.position.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.position.is_empty()
    }
    /// Where packet `i` of `bytes` starts and where it ends.
    pub(crate) fn range(&self, i: usize) -> Option<std::ops::Range<usize>> {
        let start = usize::try_from(*self.position.get(i)?).ok()?;
        let len = usize::from(*self.data_len.get(i)?);
        Some(start..start.checked_add(HEADER + len + crc::SIZE)?)
    }
}

/// All packets of a capture: the same ones that [`PacketParser`] yields, at the speed of memory.
pub fn scan_packets(bytes: &[u8]) -> Packets {
    let mut packets = Packets::default();
    let mut checker = Checker::default();
    let mut at = 0;
    while let Some(skip) = bytes.get(at..).and_then(|rest| memchr(START, rest)) {
        at += skip;
        match checker.verdict(bytes, 0, at) {
            Verdict::Packet(total) => {
                packets.position.push(at as u64);
                packets.identity.push(bytes[at + 1]);
                packets.control.push(bytes[at + 2]);
                packets.sequence.push(bytes[at + 3]);
                packets.data_offset.push((at + HEADER) as u64);
                packets.data_len.push((total - HEADER - crc::SIZE) as u16);
                at += total;
            }
            Verdict::Bad(_) | Verdict::More(_) => at += 1,
        }
    }
    packets
}

/// What the incremental parser found, and the position of its first byte in the stream.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// A packet with a good CRC.
    Packet(u64, Packet),
    /// 06 between packets.
    Ack(u64),
    /// 15 between packets.
    Nak(u64),
    /// Bytes that are none of these, as many as stand together (but see [`MAX_NOISE`]).
    Noise(u64, Vec<u8>),
}

/// Shows no data of packets or noise: it may be a password, damaged or not.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet(at, packet) => write!(f, "{at}: {packet}"),
            Self::Ack(at) => write!(f, "{at}: ack"),
            Self::Nak(at) => write!(f, "{at}: nak"),
            Self::Noise(at, bytes) => write!(f, "{at}: noise len={}", bytes.len()),
        }
    }
}

/// Packets out of a stream of bytes that arrive in any chunks: the chunking never changes the events.
///
/// Holds at most one unfinished packet and [`MAX_NOISE`] bytes of noise.
#[derive(Default)]
pub struct PacketParser {
    buffer: Vec<u8>,
    origin: u64,
    checker: Checker,
    noise: Vec<u8>,
    /// Before this position a failed packet has claimed the bytes: no ACK or NAK there.
    claimed: u64,
}

impl PacketParser {
    /// A parser at position 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Take some bytes; give what is decided by now.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.buffer.extend_from_slice(bytes);
        self.run(false)
    }

    /// The end of the stream, or of patience: what is unfinished is noise. Parsing may go on with the next byte.
    pub fn finish(&mut self) -> Vec<Event> {
        let mut events = self.run(true);
        self.flush(&mut events, self.origin);
        self.claimed = 0;
        events
    }

    /// Bytes that wait for the rest of a packet.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    fn run(&mut self, last: bool) -> Vec<Event> {
        let mut events = Vec::new();
        let mut at = 0;
        while let Some(&byte) = self.buffer.get(at) {
            let position = self.origin + at as u64;
            let (event, used) = match byte {
                START => match self.checker.verdict(&self.buffer, self.origin, at) {
                    Verdict::Packet(total) => {
                        let frame = &self.buffer[at..at + total];
                        self.claimed = 0;
                        (Some(Event::Packet(position, PacketView { frame }.to_packet())), total)
                    }
                    Verdict::More(_) if !last => break,
                    Verdict::Bad(total) | Verdict::More(total) => {
                        self.claimed = self.claimed.max(position + total as u64);
                        (None, 1)
                    }
                },
                ACK if position >= self.claimed => (Some(Event::Ack(position)), 1),
                NAK if position >= self.claimed => (Some(Event::Nak(position)), 1),
                ACK | NAK => (None, 1),
                _ => {
                    let rest = &self.buffer[at..];
                    (None, memchr3(START, ACK, NAK, rest).unwrap_or(rest.len()))
                }
            };
            match event {
                Some(event) => {
                    self.flush(&mut events, position);
                    events.push(event);
                }
                None => self.keep_noise(&mut events, at, used),
            }
            at += used;
        }
        self.buffer.drain(..at);
        self.origin += at as u64;
        events
    }

    fn keep_noise(&mut self, events: &mut Vec<Event>, mut at: usize, used: usize) {
        let end = at + used;
        while at < end {
            let take = (end - at).min(MAX_NOISE - self.noise.len());
            self.noise.extend_from_slice(&self.buffer[at..at + take]);
            at += take;
            if self.noise.len() == MAX_NOISE {
                self.flush(events, self.origin + at as u64);
            }
        }
    }

    fn flush(&mut self, events: &mut Vec<Event>, end: u64) {
        if !self.noise.is_empty() {
            let noise = std::mem::take(&mut self.noise);
            events.push(Event::Noise(end - noise.len() as u64, noise));
        }
    }
}

/// Part of a message whose other packets are missing.
#[derive(Clone, PartialEq, Eq)]
pub struct Lost {
    /// The sequence number that should have come next, if a message was under way.
    pub expected: Option<u8>,
    /// The one that came; None if the message was broken off by another one.
    pub got: Option<u8>,
    /// What is there of the data.
    pub data: Vec<u8>,
}

impl fmt::Debug for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lost expected={:?} got={:?} len={}", self.expected, self.got, self.data.len())
    }
}

/// What a packet did to the message.
#[derive(Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was the last one: here is the message.
    Message(Vec<u8>),
    /// More packets are to come.
    More,
    /// It was the previous packet once more.
    Repeated,
    /// It belongs to no message that is under way.
    Stray,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(data) => write!(f, "message len={}", data.len()),
            Self::More => f.write_str("more"),
            Self::Repeated => f.write_str("repeated"),
            Self::Stray => f.write_str("stray"),
        }
    }
}

/// Puts the packets of one sender together to messages. Holds at most 256 packets of data.
#[derive(Default)]
pub struct Assembler {
    last: Option<(bool, u16)>,
    /// Which values of the toggle bit were seen: bit 0 for false, bit 1 for true.
    toggles: u8,
    next: Option<u8>,
    data: Vec<u8>,
}

impl Assembler {
    /// An assembler that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a packet is the previous one once more: the same toggle bit and CRC.
    pub fn repeats(&self, control: Control, crc: u16) -> bool {
        self.last == Some((control.toggle(), crc))
    }

    /// Whether both values of the toggle bit were seen. A sender that never toggles cannot be told from one that repeats.
    pub fn toggles(&self) -> bool {
        self.toggles == 3
    }

    /// Whether a message is under way.
    pub fn under_way(&self) -> bool {
        self.next.is_some()
    }

    /// Take a packet. A message that it breaks off comes back as lost.
    pub fn push(&mut self, control: Control, sequence: u8, crc: u16, data: &[u8]) -> (Option<Lost>, Outcome) {
        if self.repeats(control, crc) {
            return (None, Outcome::Repeated);
        }
        self.take(control, sequence, crc, data)
    }

    /// Like [`push`](Self::push), but a packet that equals the previous one is taken as a new one.
    pub fn take(&mut self, control: Control, sequence: u8, crc: u16, data: &[u8]) -> (Option<Lost>, Outcome) {
        self.last = Some((control.toggle(), crc));
        self.toggles |= if control.toggle() { 2 } else { 1 };
        if control.continues() {
            if self.next != Some(sequence) {
                let lost = self.abandon().map(|lost| Lost { got: Some(sequence), ..lost });
                return (lost, Outcome::Stray);
            }
            self.data.extend_from_slice(data);
            return (None, self.advance(sequence));
        }
        let lost = self.abandon();
        if !control.multi() {
            return (lost, Outcome::Message(data.to_vec()));
        }
        self.data.extend_from_slice(data);
        (lost, self.advance(sequence))
    }

    /// Give up the message that is under way.
    pub fn abandon(&mut self) -> Option<Lost> {
        let expected = self.next.take()?;
        Some(Lost { expected: Some(expected), got: None, data: std::mem::take(&mut self.data) })
    }

    fn advance(&mut self, sequence: u8) -> Outcome {
        self.next = sequence.checked_sub(1);
        match self.next {
            Some(_) => Outcome::More,
            None => Outcome::Message(std::mem::take(&mut self.data)),
        }
    }
}

/// What a secret becomes.
pub const MASK: u8 = b'*';
/// The longest piece of a password that a packet can hold.
pub const SECRET: usize = 20;
/// How far from an EE (or from the start of the bytes, where an EE may have been lost) a code may stand.
const NEAR: usize = 12;
/// Bytes hidden after something that a secret may follow: a damaged line may have added some.
const HIDDEN: usize = SECRET + 4;

/// Whether the bytes may be the start of a packet of this kind of meter: identity 0, no reserved bit, a possible length.
/// As much of that as there are bytes.
pub(crate) fn like_header(bytes: &[u8]) -> bool {
    bytes.first() == Some(&START)
        && bytes.get(1).is_none_or(|&identity| identity == 0)
        && bytes.get(2).is_none_or(|&control| control & 0x1F == 0)
        && bytes.get(4).is_none_or(|&high| usize::from(high) <= MAX_DATA >> 8)
}

/// How many bytes the packet at an EE claims; as many as there are if its length is not there or impossible.
pub(crate) fn claim(bytes: &[u8]) -> usize {
    match bytes.first_chunk::<HEADER>() {
        Some(&[_, _, _, _, high, low]) => {
            (HEADER + crc::SIZE + usize::from(u16::from_be_bytes([high, low]))).min(bytes.len())
        }
        None => bytes.len(),
    }
}

/// Mask what may be the payload of a security or logon packet in bytes that are damaged or not understood.
///
/// Any byte up to 12 bytes after an EE, or after the start, that may be the code (51, 50) or the length (up to 21) of such
/// a packet hides the bytes after it; so does the header of a continuation packet, which may hold the rest of a password.
/// Rather too much is hidden than too little.
pub fn mask_secrets(bytes: &mut [u8]) {
    let mut near = NEAR; // so many bytes more are near an EE
    let mut hidden = 0;
    let mut previous = 0;
    for slot in bytes {
        let byte = *slot;
        if byte == START {
            near = NEAR + 1;
        }
        if hidden > 0 {
            hidden -= 1;
            *slot = MASK;
        }
        if near > 0 {
            near -= 1;
            let code = byte == 0x50 || byte == 0x51;
            let length = previous == 0 && (1..=SECRET as u8 + 1).contains(&byte);
            if code || length || Control(byte).continues() && byte & 0x1F == 0 {
                hidden = HIDDEN + 1;
            }
        }
        previous = byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet() -> impl Strategy<Value = Packet> {
        let data = prop::collection::vec(prop_oneof![4 => any::<u8>(), 1 => Just(START), 1 => Just(ACK)], 0..80);
        (any::<u8>(), any::<u8>(), any::<u8>(), data).prop_map(|(identity, control, sequence, data)| Packet {
            identity,
            control: Control(control),
            sequence,
            data,
        })
    }

    /// Packets, single bytes, noise, headers that lead nowhere.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => packet().prop_map(|packet| bytes_of(&packet)),
            1 => packet().prop_map(|packet| { let mut bytes = bytes_of(&packet); bytes.truncate(bytes.len() / 2); bytes }),
            1 => (packet(), any::<prop::sample::Index>()).prop_map(|(packet, at)| {
                let mut bytes = bytes_of(&packet);
                let at = at.index(bytes.len());
                bytes[at] ^= 0x10;
                bytes
            }),
            1 => any::<u16>().prop_map(|len| [&[START, 0, 0, 0][..], &(len % 0x2100).to_be_bytes()].concat()),
            2 => Just(vec![ACK]),
            1 => Just(vec![NAK]),
            1 => prop::collection::vec(prop_oneof![any::<u8>(), Just(START)], 0..40),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    fn bytes_of(packet: &Packet) -> Vec<u8> {
        let mut out = vec![0xA5];
        packet.emit(&mut out).unwrap();
        out.split_off(1)
    }

    fn whole(bytes: &[u8]) -> Vec<Event> {
        let mut parser = PacketParser::new();
        let mut events = parser.feed(bytes);
        events.extend(parser.finish());
        events
    }

    proptest! {
        #[test]
        fn parse_gives_back_what_emit_was_given(packet in packet(), tail in prop::collection::vec(any::<u8>(), 0..4)) {
            let mut bytes = bytes_of(&packet);
            let len = bytes.len();
            for cut in 0..len {
                let Err(ParseError::NeedMore(more)) = PacketView::parse(&bytes[..cut]) else { panic!("{cut}") };
                prop_assert!(more > 0 && cut + more <= len);
            }
            bytes.extend(tail);
            let (view, used) = PacketView::parse(&bytes).unwrap();
            prop_assert_eq!((view.to_packet(), used), (packet, len));
        }

        #[test]
        fn any_chunking_gives_the_same(bytes in line(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
            let expected = whole(&bytes);
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut parser = PacketParser::new();
            let mut events: Vec<_> = cuts.windows(2).flat_map(|w| parser.feed(&bytes[w[0]..w[1]])).collect();
            events.extend(parser.finish());
            prop_assert_eq!(&events, &expected);
            let mut parser = PacketParser::new();
            let mut events: Vec<_> = bytes.iter().flat_map(|byte| parser.feed(&[*byte])).collect();
            events.extend(parser.finish());
            prop_assert_eq!(&events, &expected);
        }

        #[test]
        fn the_events_are_the_line(bytes in line()) {
            // Every byte is in exactly one event, in order; the bulk function finds the same packets.
            let mut again: Vec<u8> = Vec::new();
            let mut positions = Vec::new();
            for event in whole(&bytes) {
                let (Event::Packet(at, _) | Event::Ack(at) | Event::Nak(at) | Event::Noise(at, _)) = &event;
                prop_assert_eq!(*at, again.len() as u64);
                match event {
                    Event::Packet(at, packet) => {
                        positions.push(at);
                        packet.emit(&mut again).unwrap();
                    }
                    Event::Ack(_) => again.push(ACK),
                    Event::Nak(_) => again.push(NAK),
                    Event::Noise(_, noise) => again.extend(noise),
                }
            }
            prop_assert_eq!(&again, &bytes);
            prop_assert_eq!(&scan_packets(&bytes).position, &positions);
        }

        #[test]
        fn candidates_are_decided_as_by_the_plain_rule(bytes in line()) {
            let mut at = 0;
            let mut positions = Vec::new();
            while at < bytes.len() {
                match PacketView::parse(&bytes[at..]) {
                    Ok((_, used)) => {
                        positions.push(at as u64);
                        at += used;
                    }
                    Err(_) => at += 1,
                }
            }
            prop_assert_eq!(scan_packets(&bytes).position, positions);
        }

        #[test]
        fn messages_survive_being_split(message in prop::collection::vec(any::<u8>(), 1..2000), size in 8usize..300, toggle: bool) {
            let mut assembler = Assembler::new();
            let packets = split(&message, size, 0, toggle).unwrap();
            for (i, packet) in packets.iter().enumerate() {
                let bytes = bytes_of(packet);
                let (view, _) = PacketView::parse(&bytes).unwrap();
                let (lost, outcome) = assembler.push(view.control(), view.sequence(), view.crc(), view.data());
                prop_assert!(lost.is_none());
                let last = i + 1 == packets.len();
                prop_assert_eq!(outcome, if last { Outcome::Message(message.clone()) } else { Outcome::More });
                let (_, outcome) = assembler.push(view.control(), view.sequence(), view.crc(), view.data());
                prop_assert_eq!(outcome, Outcome::Repeated);
            }
        }
    }

    #[test]
    fn a_missing_packet_is_told() {
        let packets = split(&[7; 40], 10, 0, false).unwrap();
        let mut assembler = Assembler::new();
        let mut push = |i: usize| {
            let packet: &Packet = &packets[i];
            assembler.push(packet.control, packet.sequence, i as u16, &packet.data)
        };
        assert_eq!(push(0), (None, Outcome::More));
        let lost = Lost { expected: Some(2), got: Some(1), data: vec![7; 10] };
        assert_eq!(push(2), (Some(lost), Outcome::Stray));
        assert_eq!(push(3), (None, Outcome::Stray));
        assert_eq!(push(0), (None, Outcome::More));
        assert!(push(0).1 == Outcome::Repeated);
        assert_eq!(assembler.abandon().map(|lost| lost.data), Some(vec![7; 10]));
        assert!(split(&[0; 300], 1, 0, false).is_err());
    }

    #[test]
    fn hostile_lengths_cost_linear_time_and_bounded_memory() {
        // Each of these claims 8184 bytes: done naively, this takes minutes.
        let mut bytes = Vec::new();
        for _ in 0..200_000 {
            bytes.extend([START, 0, 0, 0, 0x1F, 0xF0]);
        }
        assert!(scan_packets(&bytes).is_empty());
        let mut parser = PacketParser::new();
        let mut noise = 0;
        for chunk in bytes.chunks(1000) {
            for event in parser.feed(chunk) {
                let Event::Noise(_, bytes) = event else { panic!() };
                assert_eq!(bytes.len(), MAX_NOISE);
                noise += bytes.len();
            }
            assert!(parser.pending() < MAX_PACKET && parser.checker.registers.len() < 20 * MAX_PACKET);
        }
        for event in parser.finish() {
            let Event::Noise(_, bytes) = event else { panic!() };
            noise += bytes.len();
        }
        assert_eq!(noise, bytes.len());
    }

    #[test]
    fn the_longest_packet() {
        let packet = Packet { identity: 0, control: Control(0), sequence: 0, data: vec![START; MAX_DATA] };
        let bytes = bytes_of(&packet);
        assert_eq!(bytes.len(), MAX_PACKET);
        assert_eq!(scan_packets(&bytes).len(), 1);
        let too_long = TooLong { len: MAX_DATA + 1, max: MAX_DATA };
        assert_eq!(emit(&mut Vec::new(), 0, Control(0), 0, &[0; MAX_DATA + 1]), Err(too_long));
        let header = [START, 0, 0, 0, 0x1F, 0xF9];
        assert_eq!(PacketView::parse(&header), Err(ParseError::TooLong(MAX_DATA + 1)));
    }

    #[test]
    fn one_line_for_people_and_no_password() {
        let describe = |control: u8, data: &[u8]| {
            Packet { identity: 0, control: Control(control), sequence: 2, data: data.to_vec() }.to_string()
        };
        assert_eq!(describe(0x20, b"\x51PASSWORD"), "packet id=00 toggle=1 len=9 51 security");
        assert_eq!(describe(0x80, b"SWORD"), "packet id=00 toggle=0 seq=2 len=5 continuation");
        assert_eq!(describe(0xC0, b"\x30\x08\x15"), "packet id=00 toggle=0 seq=2 first len=3 30 full_read table=2069");
        assert_eq!(
            describe(0, &[0x3F, 0, 64, 1, 0, 2, 0, 9]),
            "packet id=00 toggle=0 len=8 3F partial_read table=64 offset=65538 count=9"
        );
        assert_eq!(describe(0, b""), "packet id=00 toggle=0 len=0 empty");
        for code in 0..=255 {
            assert_eq!(u8::from(Code::from(code)), code);
        }
    }

    #[test]
    fn published_packets() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/");
        let mut seen = 0;
        for (file, key) in [("official_vectors.json", "c1218_packets"), ("real_captures.json", "c1218_start")] {
            let text = std::fs::read_to_string(format!("{root}{file}")).unwrap();
            let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
            for hex in vectors[key]["packets"].as_array().unwrap() {
                let hex = hex.as_str().unwrap();
                let bytes: Vec<u8> =
                    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
                let (view, used) = PacketView::parse(&bytes).unwrap();
                assert_eq!(used, bytes.len());
                assert_eq!(bytes_of(&view.to_packet()), bytes);
                seen += 1;
            }
        }
        assert_eq!(seen, 11);
    }
}
