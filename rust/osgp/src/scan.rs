//! Serial captures: bytes of a line, or a text log of them, to table images.
//!
//! A capture is one stream of both directions (raw bytes), or two streams (a text log says who sent what). Either way the
//! packets are brought into the order of the line, put together to messages, and each response is matched with the request
//! before it. Who speaks is told from what is said: a message's first byte is a request's code from 20 on and a
//! response's below.
//!
//! MEP messages may stand between the packets (on meters of generation 2 and 3 both share the port) or alone. Given the keys
//! they are opened (`mep_capture`), and their reads become images as those of the optical port do, and so do the reads of a
//! transaction (ET52, ET53). Without a key they are counted.
//!
//! What is only counted: single bytes, noise, packets and messages sent again. What becomes a reject, always with code and
//! bytes: data that was on the line and could not be used. Nothing shows a password: see [`c1218::mask_secrets`]; and
//! nothing shows what was enciphered.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::image::{MAX_TABLE, TableId, TableImage};
use crate::mep_capture::{self, How, Message, Problem, Source, looks_like_mep};
use crate::mep_transaction::{ET52, ET53, Transaction};
use crate::reject::{MAX_DATA, Reject};
use crate::security::Key;
use crate::text_log::{self, Chunk, Stamp};
use crate::wire::c1218::{self, Assembler, Code, Control, HEADER, Outcome, Packets};
use crate::wire::{mep, ppp, slip};

/// The PED before the data of a pending table. Source: Optical guide p. 9.
const PED: usize = 6;
/// The utility serial number: ET03, offset 0, 30 bytes. Source: MEP guide p. 56.
const SERIAL: usize = 30;
/// A response to a read: code and count before the data, a checksum after it.
const RESPONSE_HEAD: usize = 3;
/// The shortest packet there is; less noise than this hid no answer.
const SHORTEST: u64 = 8;

/// How the line's bytes are stuffed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Wrap {
    /// Not at all, as C12.18 has it.
    #[default]
    None,
    /// RFC 1662 frames.
    Ppp,
    /// RFC 1055 frames.
    Slip,
}

impl Wrap {
    /// By the name that the command line gives it.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Self::None),
            "ppp" => Some(Self::Ppp),
            "slip" => Some(Self::Slip),
            _ => None,
        }
    }
}

/// What the capture itself does not tell.
pub struct ScanOptions<'a> {
    /// The file's name, for rejects and images.
    pub input: Arc<str>,
    /// The file's stem: the label of a session that did not read the meter's serial number.
    pub stem: &'a str,
    /// A label for all sessions.
    pub meter: Option<&'a str>,
    /// Byte stuffing to take off.
    pub wrap: Wrap,
    /// Those of the MEP port.
    pub keys: &'a [Key],
    /// UTC microseconds of a log's time stamp without a zone.
    pub local_to_utc: &'a dyn Fn(i64) -> i64,
}

/// One session of a capture: from identification to log-off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The meter's label.
    pub label: String,
    /// What was read, in order.
    pub images: Vec<TableImage<'static>>,
}

/// What a capture holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// The sessions in which something was read.
    pub sessions: Vec<Session>,
    /// What was there and could not be used.
    pub rejects: Vec<Reject>,
    /// C12.18 packets with a good CRC.
    pub packets: u64,
    /// Packets sent again.
    pub repeated: u64,
    /// Bytes that are nothing: not in a packet, no ACK or NAK, no MEP message.
    pub noise_bytes: u64,
    /// ACK bytes.
    pub acks: u64,
    /// NAK bytes.
    pub naks: u64,
    /// MEP messages; without a key that opens any, what looks like them.
    pub mep_messages: u64,
    /// Those of them whose digest fits, or whose TLS records are deciphered.
    pub mep_opened: u64,
}

/// Not one valid packet or message: this is no capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotRecognised;

impl fmt::Display for NotRecognised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not one valid C12.18 packet or MEP message is in it")
    }
}

impl std::error::Error for NotRecognised {}

/// Read a capture.
pub fn scan(data: &[u8], options: &ScanOptions<'_>) -> Result<Capture, NotRecognised> {
    let mut tracker = Tracker::new(options);
    let streams = streams(data, options.wrap, options.keys, &mut tracker.capture);
    if streams.iter().all(|stream| stream.packets.is_empty() && stream.messages.is_empty()) {
        if !streams.iter().any(|stream| looks_like_mep(&stream.bytes)) {
            return Err(NotRecognised);
        }
        return Ok(tracker.closed(&streams));
    }
    let mut cursors: Vec<Cursor<'_>> = streams.iter().map(Cursor::new).collect();
    loop {
        // The stream whose next item came first on the line.
        let next = cursors.iter_mut().enumerate().filter_map(|(i, c)| Some((c.peek()?.order, i))).min();
        let Some((_, i)) = next else { break };
        if let Some(item) = cursors[i].take() {
            tracker.item(&streams[i], i, item);
        }
    }
    Ok(tracker.finish(&streams))
}

/// The first bytes of a file that was not recognised, as a reject may show them: passwords masked, in raw bytes and in the
/// hex digits of a log.
pub fn masked_head(data: &[u8], len: usize) -> Vec<u8> {
    let mut head = data[..data.len().min(len)].to_vec();
    if !text_log::is_text(data) {
        mask_if_packet(&mut head);
        return head;
    }
    for stream in text_log::parse(&head).streams {
        let mut bytes = stream.bytes;
        mask_if_packet(&mut bytes);
        for (i, chunk) in stream.chunks.iter().enumerate() {
            let end = stream.chunks.get(i + 1).map_or(bytes.len(), |next| next.at as usize);
            let mut at = chunk.file as usize;
            for &byte in &bytes[chunk.at as usize..end] {
                // Its two digits, over whatever stands between bytes.
                let mut digits = 0;
                while digits < 2 && at < head.len() && !matches!(head[at], b'\n' | b'\r') {
                    if head[at].is_ascii_hexdigit() && head.get(at + 1) != Some(&b'x') {
                        digits += 1;
                        if byte == c1218::MASK {
                            head[at] = c1218::MASK;
                        }
                    }
                    at += 1;
                }
            }
        }
    }
    head
}

/// Mask what may be secret, unless nothing in the bytes looks like a packet: a picture is shown as it is.
fn mask_if_packet(bytes: &mut [u8]) {
    let header =
        memchr::memchr_iter(c1218::START, bytes).any(|at| c1218::like_header(&bytes[at..bytes.len().min(at + 3)]));
    // Length and code of a security packet, where what comes before them was damaged.
    if header || bytes.windows(3).any(|three| three == [0, 0x15, 0x51]) {
        c1218::mask_secrets(bytes);
    }
}

/// One stream of bytes, unstuffed, with its packets.
struct Stream<'a> {
    bytes: Cow<'a, [u8]>,
    /// Where pieces of it stand in the file; empty if it is the file.
    chunks: Vec<Chunk>,
    packets: Packets,
    messages: Vec<Message>,
    /// Whether a key opens any message of the capture.
    signed: bool,
    bad_frames: Vec<BadFrame>,
}

struct BadFrame {
    /// Where in the stream it was left out.
    at: usize,
    file: u64,
    time: Option<Stamp>,
    bytes: Vec<u8>,
}

impl Stream<'_> {
    /// Where byte `at` stands in the file (or where its line or frame starts), and the time of its line.
    fn place(&self, at: usize) -> (u64, Option<Stamp>) {
        match self.chunk(at) {
            Some(i) => (self.chunks[i].file, self.chunks[i].time),
            None => (at as u64, None),
        }
    }

    fn chunk(&self, at: usize) -> Option<usize> {
        self.chunks.partition_point(|chunk| chunk.at <= at as u64).checked_sub(1)
    }
}

fn streams<'a>(data: &'a [u8], wrap: Wrap, keys: &[Key], capture: &mut Capture) -> Vec<Stream<'a>> {
    let parts: Vec<(Cow<'a, [u8]>, Vec<Chunk>)> = if text_log::is_text(data) {
        text_log::parse(data).streams.into_iter().map(|s| (Cow::Owned(s.bytes), s.chunks)).collect()
    } else {
        vec![(Cow::Borrowed(data), Vec::new())]
    };
    let mut streams: Vec<Stream<'a>> = parts
        .into_iter()
        .map(|(bytes, chunks)| {
            let mut stream = Stream {
                bytes,
                chunks,
                packets: Packets::default(),
                messages: Vec::new(),
                signed: false,
                bad_frames: Vec::new(),
            };
            match wrap {
                Wrap::None => {}
                Wrap::Ppp => unwrap_ppp(&mut stream, capture),
                Wrap::Slip => unwrap_slip(&mut stream, capture),
            }
            stream.packets = c1218::scan_packets(&stream.bytes);
            stream
        })
        .collect();
    if !keys.is_empty() {
        let sources: Vec<Source<'_>> = streams
            .iter()
            .map(|stream| Source { bytes: &stream.bytes, chunks: &stream.chunks, packets: &stream.packets })
            .collect();
        let found = mep_capture::read(&sources, keys);
        for (stream, messages) in streams.iter_mut().zip(found.messages) {
            (stream.messages, stream.signed) = (messages, found.signed);
        }
    }
    streams
}

/// Bytes given to a decoder at once.
const STEP: usize = 64 * 1024;

fn unwrap_ppp(stream: &mut Stream<'_>, capture: &mut Capture) {
    let mut decoder = ppp::Decoder::new();
    let (mut bytes, mut chunks, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    let mut take = |events: Vec<ppp::Event>| {
        for event in events {
            match event {
                ppp::Event::Frame(at, payload) => {
                    let (file, time) = stream.place(at as usize);
                    chunks.push(Chunk { at: bytes.len() as u64, file, time });
                    bytes.extend_from_slice(&payload);
                }
                ppp::Event::Error(at, ppp::Problem::BadFcs | ppp::Problem::TooLong, payload) => {
                    let (file, time) = stream.place(at as usize);
                    bad.push(BadFrame { at: bytes.len(), file, time, bytes: payload });
                }
                ppp::Event::Error(_, _, payload) => capture.noise_bytes += payload.len() as u64,
            }
        }
    };
    for piece in stream.bytes.chunks(STEP) {
        take(decoder.feed(piece));
    }
    take(decoder.finish());
    (stream.bytes, stream.chunks, stream.bad_frames) = (Cow::Owned(bytes), chunks, bad);
}

fn unwrap_slip(stream: &mut Stream<'_>, capture: &mut Capture) {
    let mut decoder = slip::Decoder::new();
    let (mut bytes, mut chunks) = (Vec::new(), Vec::new());
    let mut take = |events: Vec<slip::Event>| {
        for event in events {
            match event {
                slip::Event::Frame(at, payload) => {
                    let (file, time) = stream.place(at as usize);
                    chunks.push(Chunk { at: bytes.len() as u64, file, time });
                    bytes.extend_from_slice(&payload);
                }
                slip::Event::BadEscape(_) => capture.noise_bytes += 1,
            }
        }
    };
    for piece in stream.bytes.chunks(STEP) {
        take(decoder.feed(piece));
    }
    take(decoder.finish());
    (stream.bytes, stream.chunks) = (Cow::Owned(bytes), chunks);
}

#[derive(Clone, Copy)]
enum What {
    Packet(usize),
    Gap(usize, usize),
    BadFrame(usize),
    Message(usize),
}

#[derive(Clone, Copy)]
struct Item {
    /// Where it stands in the file: a packet or message by its last byte, others by their first.
    order: u64,
    what: What,
}

/// Walks through a stream: packets and messages, what is between them line by line, and frames left out.
struct Cursor<'a> {
    stream: &'a Stream<'a>,
    at: usize,
    packet: usize,
    message: usize,
    bad: usize,
    next: Option<Item>,
}

impl<'a> Cursor<'a> {
    fn new(stream: &'a Stream<'a>) -> Self {
        Self { stream, at: 0, packet: 0, message: 0, bad: 0, next: None }
    }

    fn peek(&mut self) -> Option<Item> {
        if self.next.is_none() {
            self.next = self.advance();
        }
        self.next
    }

    fn take(&mut self) -> Option<Item> {
        self.peek();
        self.next.take()
    }

    fn advance(&mut self) -> Option<Item> {
        let stream = self.stream;
        while stream.packets.position.get(self.packet).is_some_and(|start| *start < self.at as u64) {
            self.packet += 1; // what looks like one inside a message that opens
        }
        let packet = stream.packets.range(self.packet);
        let message = stream
            .messages
            .get(self.message)
            .filter(|message| packet.as_ref().is_none_or(|packet| message.start < packet.start));
        let next = match message {
            Some(message) => Some(message.start..message.end),
            None => packet,
        };
        let mut stop = next.as_ref().map_or(stream.bytes.len(), |range| range.start);
        if let Some(frame) = stream.bad_frames.get(self.bad) {
            if frame.at <= self.at {
                self.bad += 1;
                return Some(Item { order: frame.file, what: What::BadFrame(self.bad - 1) });
            }
            stop = stop.min(frame.at);
        }
        if self.at < stop {
            let start = self.at;
            if let Some(next) = stream.chunk(start).and_then(|i| stream.chunks.get(i + 1)) {
                stop = stop.min(usize::try_from(next.at).unwrap_or(stop).max(start + 1));
            }
            self.at = stop;
            return Some(Item { order: stream.place(start).0, what: What::Gap(start, stop) });
        }
        let range = next?;
        self.at = range.end;
        let what = if message.is_some() {
            self.message += 1;
            What::Message(self.message - 1)
        } else {
            self.packet += 1;
            What::Packet(self.packet - 1)
        };
        Some(Item { order: stream.place(range.end - 1).0, what })
    }
}

/// What a read asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    Full {
        table: u16,
    },
    Partial {
        table: u16,
        offset: u32,
        count: u16,
    },
    /// By index or default: its answer cannot be placed.
    Index {
        table: Option<u16>,
    },
}

impl Ask {
    /// What a request reads, if it is a read.
    fn of(message: &[u8]) -> Option<Self> {
        let code = message.first().copied().map(Code::from);
        let table = message.get(1..3).and_then(|b| b.first_chunk()).map(|b| u16::from_be_bytes(*b));
        match (code, table) {
            (Some(Code::FullRead), Some(table)) => Some(Self::Full { table }),
            (Some(Code::PartialRead), Some(table)) => match message.get(3..8) {
                Some(&[a, b, c, d, e]) => Some(Self::Partial {
                    table,
                    offset: u32::from_be_bytes([0, a, b, c]),
                    count: u16::from_be_bytes([d, e]),
                }),
                _ => Some(Self::Index { table: Some(table) }),
            },
            (Some(Code::FullRead | Code::PartialRead | Code::IndexRead(_)), table) => Some(Self::Index { table }),
            _ => None,
        }
    }

    fn table(self) -> Option<TableId> {
        match self {
            Self::Full { table } | Self::Partial { table, .. } => Some(TableId(i32::from(table))),
            Self::Index { table } => table.map(|table| TableId(i32::from(table))),
        }
    }
    fn offset(self) -> i64 {
        match self {
            Self::Partial { offset, .. } => i64::from(offset),
            _ => 0,
        }
    }
}

/// A request that is not answered yet, or was.
#[derive(Clone, Copy)]
struct Request {
    /// What it reads, if it is a read.
    ask: Option<Ask>,
    answered: bool,
}

/// Bytes where something else should be: what may be left of an answer.
#[derive(Default)]
struct Evidence {
    bytes: Vec<u8>,
    len: u64,
    file: u64,
    /// A frame with a bad FCS is among them.
    fcs: bool,
    time: Option<i64>,
}

impl Evidence {
    /// Some bytes, or the first ones of `len`.
    fn add(&mut self, bytes: &[u8], len: usize, file: u64, time: Option<i64>) {
        if self.len == 0 {
            (self.file, self.time) = (file, time);
        }
        self.len += len as u64;
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(MAX_DATA - self.bytes.len())]);
    }
}

/// The senders: a request's, a response's.
const ASKS: usize = 0;
const ANSWERS: usize = 1;

/// The packets of one stream on their way to messages; a raw capture has both senders in one stream.
#[derive(Default)]
struct Line {
    assemblers: [Assembler; 2],
    /// Where the message under way started.
    start: [u64; 2],
    /// Who sent the last first or single packet.
    sender: usize,
}

struct Tracker<'a> {
    options: &'a ScanOptions<'a>,
    capture: Capture,
    lines: [Line; 3],
    request: Option<Request>,
    /// Messages of each sender.
    messages: [u64; 2],
    evidence: Evidence,
    images: Vec<TableImage<'static>>,
    serial: [Option<u8>; SERIAL],
    /// Rejects of the session, whose label is not known before its end.
    rejects: Vec<Reject>,
    /// Answers that were lost, unless the same thing is read again in this session.
    lost: Vec<(Ask, Reject)>,
    /// Of the MEP port: the read that waits for its answer, and the transaction under way.
    mep_ask: Option<Ask>,
    transaction: Transaction,
    /// The last message that no key opens: what comes right after may be the same once more.
    hurt: Option<Vec<u8>>,
    /// Messages that no key opens, where none opens at all.
    shut: Evidence,
}

/// Where a message came from.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// Position in the file of its first packet.
    file: u64,
    /// Position of its data, if it stands in the file as it is.
    data: Option<i64>,
    time: Option<i64>,
    /// What stood on the line, of a message whose digest or TLS vouches for it.
    raw: Option<&'a [u8]>,
}

impl<'a> Tracker<'a> {
    fn new(options: &'a ScanOptions<'a>) -> Self {
        Self {
            options,
            capture: Capture::default(),
            lines: Default::default(),
            request: None,
            messages: [0; 2],
            evidence: Evidence::default(),
            images: Vec::new(),
            serial: [None; SERIAL],
            rejects: Vec::new(),
            lost: Vec::new(),
            mep_ask: None,
            transaction: Transaction::default(),
            hurt: None,
            shut: Evidence::default(),
        }
    }

    fn time(&self, stamp: Option<Stamp>) -> Option<i64> {
        stamp.map(|stamp| match stamp {
            Stamp::Utc(time) => time,
            Stamp::Local(time) => (self.options.local_to_utc)(time),
        })
    }

    fn item(&mut self, stream: &Stream<'_>, line: usize, item: Item) {
        match item.what {
            What::Packet(i) => self.packet(stream, line, i),
            What::Message(i) => self.message(stream, &stream.messages[i]),
            What::Gap(start, stop) => self.gap(stream, start..stop),
            What::BadFrame(i) => {
                let frame = &stream.bad_frames[i];
                let mut masked = frame.bytes.clone();
                c1218::mask_secrets(&mut masked);
                // The frame may go on with a password that an earlier one began.
                let before = &stream.bytes[frame.at.saturating_sub(32)..frame.at];
                let mut bytes = [before, &masked].concat();
                c1218::mask_secrets(&mut bytes);
                let skip = before.len();
                let time = self.time(frame.time);
                self.evidence.add(&bytes[skip..], bytes.len() - skip, frame.file, time);
                self.evidence.fcs = true;
            }
        }
    }

    /// The read that waits for its answer.
    fn unanswered(&self) -> Option<Ask> {
        self.request.filter(|request| !request.answered)?.ask
    }

    /// Bytes between packets.
    fn gap(&mut self, stream: &Stream<'_>, range: Range<usize>) {
        let gap = &stream.bytes[range.clone()];
        if let [single] = *gap
            && self.single(single)
        {
            return;
        }
        let (file, time) = stream.place(range.start);
        let time = self.time(time);
        let file_of = |at: usize| if stream.chunks.is_empty() { file + at as u64 } else { file };
        let mut at = 0;
        while at < gap.len() {
            // A damaged packet, as far as it claims to go, and what stands before it.
            let packet = memchr::memchr_iter(c1218::START, &gap[at..])
                .map(|i| at + i)
                .find(|&i| c1218::like_header(&gap[i..]))
                .unwrap_or(gap.len());
            let mut from = at;
            for message in mep::find(&gap[at..packet]) {
                self.other(&gap[from..at + message.start], file_of(from), time);
                if message.len() > mep::LENGTH {
                    self.capture.mep_messages += 1;
                    if !self.options.keys.is_empty() && !stream.signed {
                        let start = at + message.start;
                        let raw = &gap[start..at + message.end];
                        self.shut.add(raw, raw.len(), file_of(start), time);
                    }
                }
                from = at + message.end;
            }
            self.other(&gap[from..packet], file_of(from), time);
            let end = packet + c1218::claim(&gap[packet..]);
            if packet < end {
                self.noise(&gap[packet..end], file_of(packet), time);
            }
            at = end;
        }
    }

    /// Count a single byte, if it is one.
    fn single(&mut self, byte: u8) -> bool {
        match byte {
            c1218::ACK => self.capture.acks += 1,
            c1218::NAK => self.capture.naks += 1,
            _ => return false,
        }
        true
    }

    /// Single bytes and noise.
    fn other(&mut self, bytes: &[u8], file: u64, time: Option<i64>) {
        let mut at = 0;
        while at < bytes.len() {
            if self.single(bytes[at]) {
                at += 1;
                continue;
            }
            let rest = &bytes[at..];
            let len = memchr::memchr2(c1218::ACK, c1218::NAK, rest).unwrap_or(rest.len());
            self.noise(&rest[..len], file, time);
            at += len;
        }
    }

    fn noise(&mut self, bytes: &[u8], file: u64, time: Option<i64>) {
        self.capture.noise_bytes += bytes.len() as u64;
        let mut kept = bytes[..bytes.len().min(MAX_DATA - self.evidence.bytes.len())].to_vec();
        c1218::mask_secrets(&mut kept);
        self.evidence.add(&kept, bytes.len(), file, time);
    }

    fn packet(&mut self, stream: &Stream<'_>, line: usize, i: usize) {
        self.capture.packets += 1;
        let Some(range) = stream.packets.range(i) else { return };
        let frame = &stream.bytes[range.clone()];
        let (control, sequence) = (Control(frame[2]), frame[3]);
        let data = &frame[HEADER..frame.len() - 2];
        let crc = u16::from_le_bytes([frame[frame.len() - 2], frame[frame.len() - 1]]);
        let (file, _) = stream.place(range.start);
        let time = self.time(stream.place(range.end - 1).1);

        let state = &mut self.lines[line];
        let sender = if control.continues() {
            match state.assemblers.iter().position(|assembler| assembler.repeats(control, crc)) {
                Some(sender) => sender,
                None => state.sender,
            }
        } else {
            match data.first() {
                Some(&code) if Code::from(code).is_request() => ASKS,
                Some(_) => ANSWERS,
                None => return,
            }
        };
        let assembler = &mut state.assemblers[sender];
        let (lost, outcome) = if assembler.repeats(control, crc) {
            // Where a sender never toggles, an equal packet may still be the answer to another request.
            let news = sender == ANSWERS && !assembler.toggles() && self.request.is_some_and(|r| !r.answered);
            if news && !control.continues() {
                assembler.take(control, sequence, crc, data)
            } else {
                (None, Outcome::Repeated)
            }
        } else {
            assembler.take(control, sequence, crc, data)
        };
        if !control.continues() && outcome != Outcome::Repeated {
            state.sender = sender;
            state.start[sender] = file;
        }
        let start = state.start[sender];
        if let Some(lost) = lost
            && sender == ANSWERS
        {
            self.evidence.add(&lost.data, lost.data.len(), start, time);
        }
        match outcome {
            Outcome::More => {}
            Outcome::Repeated => {
                self.capture.repeated += 1;
                if sender == ASKS
                    && let Some(request) = &mut self.request
                    && request.answered
                {
                    // Asked once more, by a sender that does not toggle or did not hear the answer.
                    request.answered = false;
                }
            }
            Outcome::Stray => {
                if self.unanswered().is_some() {
                    // A short one may be the rest of a password whose start was damaged.
                    let masked = [c1218::MASK; c1218::SECRET];
                    let shown = if data.len() > c1218::SECRET { data } else { &masked[..data.len()] };
                    self.evidence.add(shown, data.len(), file, time);
                }
            }
            Outcome::Message(message) => {
                self.messages[sender] += 1;
                let whole = !control.multi() && stream.chunks.is_empty();
                let data = whole.then(|| (range.start + HEADER) as i64);
                let place = Place { file: start, data, time, raw: None };
                if sender == ASKS { self.asked(&message) } else { self.answered(&message, place) }
            }
        }
    }

    fn asked(&mut self, message: &[u8]) {
        self.mep_give_up();
        self.give_up();
        let code = message.first().copied().map(Code::from);
        if code == Some(Code::Identify) {
            self.close();
        }
        self.request = Some(Request { ask: Ask::of(message), answered: false });
        if matches!(code, Some(Code::Logoff | Code::Terminate)) {
            self.close();
        }
    }

    fn answered(&mut self, message: &[u8], place: Place<'_>) {
        let ask = self.unanswered();
        let known = match &mut self.request {
            Some(request) if !request.answered => {
                request.answered = true;
                true
            }
            _ => false,
        };
        if let Some(ask) = ask {
            self.evidence = Evidence::default();
            self.lost.retain(|(lost, _)| *lost != ask);
            if message.first() == Some(&0) {
                self.read(ask, message, place, false);
            }
        } else if !known && has_payload(message) {
            self.bad_frame();
            let reject = Reject::new(
                "capture.unmatched",
                "the answer to a read whose request is not in the capture: its table is unknown; capture both directions \
                 from the start",
            );
            self.reject(reject, message, None, place);
        }
    }

    // ---- messages of the MEP port

    /// A MEP message, opened or not.
    fn message(&mut self, stream: &Stream<'_>, message: &Message) {
        if message.what == mep_capture::What::Alert {
            return;
        }
        let raw = &stream.bytes[message.start..message.end];
        self.capture.mep_messages += 1;
        let body = message.body(&stream.bytes);
        self.capture.mep_opened += u64::from(message.authentic && body.is_some());
        if message.repeated {
            self.capture.repeated += 1;
            return;
        }
        let clear = message.how == How::Clear && stream.chunks.is_empty();
        let place = Place {
            file: stream.place(message.start).0,
            data: clear.then_some((message.start + mep::LENGTH) as i64),
            time: self.time(stream.place(message.end - 1).1),
            raw: Some(raw),
        };
        if message.what == mep_capture::What::Unknown {
            return self.mep_unknown(message.problem.as_deref(), raw, place);
        }
        let hurt = self.hurt.take();
        if message.what == mep_capture::What::Request {
            if let Some(hurt) = hurt
                && nearly(&hurt, raw)
                && self.rejects.last().is_some_and(|reject| reject.data == hurt)
            {
                self.rejects.pop();
                self.capture.repeated += 1;
            }
            self.messages[ASKS] += 1;
            self.mep_give_up();
            let body = body.unwrap_or_default();
            self.mep_ask = Ask::of(body);
            self.mep_write(body);
        } else {
            self.messages[ANSWERS] += 1;
        }
        if let Some(problem) = &message.problem {
            self.reject(Reject::new(problem.code, problem.reason.clone()), raw, None, place);
        }
        if message.what == mep_capture::What::Answer {
            self.mep_answered(message, body, place);
        }
    }

    /// A message that no key opens, while others are opened.
    fn mep_unknown(&mut self, problem: Option<&Problem>, raw: &[u8], place: Place<'_>) {
        let Some(problem) = problem else { return };
        let ask = self.mep_ask.take();
        self.reject(Reject::new(problem.code, problem.reason.clone()), raw, ask, place);
        match ask {
            None => self.hurt = Some(raw.to_vec()),
            // It stands where the answer was to be; that may come again.
            Some(ask) => self.lost.extend(self.rejects.pop().map(|reject| (ask, reject))),
        }
    }

    fn mep_answered(&mut self, message: &Message, body: Option<&[u8]>, place: Place<'_>) {
        if !message.late {
            self.mep_ask = None;
            self.forget_evidence();
        }
        let (Some(ask), Some(body)) = (message.request.as_deref().and_then(Ask::of), body) else { return };
        self.lost.retain(|(lost, _)| *lost != ask);
        if body.first() == Some(&0) {
            self.read(ask, body, place, false);
        }
    }

    /// Follow what is written to ET52.
    fn mep_write(&mut self, message: &[u8]) {
        let Some((&[code, high, low], rest)) = message.split_first_chunk() else { return };
        if TableId(i32::from(u16::from_be_bytes([high, low]))) != ET52 {
            return;
        }
        match (code, rest) {
            (0x40, [_, _, data @ ..]) => self.transaction.write(0, data),
            (0x4F, [a, b, c, _, _, data @ ..]) => {
                self.transaction.write(u32::from_be_bytes([0, *a, *b, *c]) as usize, data);
            }
            _ => {}
        }
    }

    /// What was read from ET53: the reads in it are reads.
    fn transacted(&mut self, ask: Ask, data: &[u8], place: Place<'_>) {
        let Ok(pairs) = self.transaction.read(usize::try_from(ask.offset()).unwrap_or(usize::MAX), data) else {
            let reject = Reject::new(
                "mep.transaction",
                "the responses of a transaction whose requests were not written to ET52 in the capture: their tables are \
                 unknown; capture both",
            );
            return self.reject(reject, data, Some(ask), place);
        };
        for (request, response) in pairs {
            if let Some(ask) = Ask::of(&request)
                && response.first() == Some(&0)
            {
                self.read(ask, &response, Place { data: None, ..place }, true);
            }
        }
    }

    /// Something else is asked at the MEP port: what was asked before is not answered any more.
    fn mep_give_up(&mut self) {
        if let Some(ask) = self.mep_ask.take()
            && self.evidence.len > mep::DIGEST as u64
        {
            let evidence = std::mem::take(&mut self.evidence);
            let fcs = evidence.fcs;
            let reject = self.evidence_reject("mep.damaged", Some(ask), &evidence);
            self.lost.push((ask, reject));
            if fcs || self.unanswered().is_some() {
                self.evidence = evidence;
            }
        }
        self.forget_evidence();
    }

    /// Noise at the MEP port is no answer at the optical one.
    fn forget_evidence(&mut self) {
        if self.unanswered().is_none() && !self.evidence.fcs {
            self.evidence = Evidence::default();
        }
    }

    /// A capture of MEP traffic alone, of which nothing opens.
    fn closed(mut self, streams: &[Stream<'_>]) -> Capture {
        for stream in streams {
            self.shut.add(&stream.bytes, stream.bytes.len(), stream.place(0).0, None);
            let messages = mep::find(&stream.bytes);
            self.capture.mep_messages += messages.iter().filter(|message| message.len() > mep::LENGTH).count() as u64;
        }
        self.mep_shut(if self.options.keys.is_empty() { "mep.no_key" } else { "mep.wrong_key" });
        self.close();
        self.capture
    }

    /// One reject for all that no key opens.
    fn mep_shut(&mut self, code: &'static str) {
        let why = match code {
            "mep.no_key" => {
                "this looks like MEP traffic; give the key with --key HEX, once for each, or in OSGP_MEP_KEY"
            }
            _ => {
                "MEP traffic that none of the keys opens; check the key and which meter it belongs to, and that both \
                 directions were captured"
            }
        };
        let mut shut = std::mem::take(&mut self.shut);
        mask_if_packet(&mut shut.bytes);
        let reject = Reject::new(code, why)
            .item("MEP messages")
            .input(&self.options.input)
            .offset(shut.file as i64)
            .data(&shut.bytes)
            .length(shut.len as i64)
            .read_at(shut.time);
        self.rejects.push(reject);
    }

    /// The answer to a read; `nested`: in a transaction.
    fn read(&mut self, ask: Ask, message: &[u8], place: Place<'_>, nested: bool) {
        let Some(table) = ask.table() else {
            return self.unsupported(ask, message, place);
        };
        let signed = place.raw.is_some(); // a digest or TLS vouches for it: there is no checksum
        let count = message.get(1..3).and_then(|b| b.first_chunk()).map(|b| usize::from(u16::from_be_bytes(*b)));
        let parts = message.get(RESPONSE_HEAD..).and_then(|body| match body.split_last() {
            _ if signed => Some((body, 0)),
            Some((checksum, data)) => Some((data, *checksum)),
            None => None,
        });
        let (Some(count), Some((data, checksum))) = (count, parts) else {
            let what = if signed { "count" } else { "count and checksum" };
            let reject = Reject::new(
                "capture.count",
                format!("an answer of {} bytes is too short for {what}; read the table again", message.len()),
            );
            return self.reject(reject, message, Some(ask), place);
        };
        if count != data.len() {
            let reject = Reject::new(
                "capture.count",
                format!("the answer says {count} bytes and holds {}; read the table again", data.len()),
            );
            return self.reject(reject, message, Some(ask), place);
        }
        let sum = data.iter().fold(checksum, |sum, &byte| sum.wrapping_add(byte));
        if !signed && sum != 0 {
            let reject = Reject::new(
                "capture.checksum",
                format!(
                    "the checksum of the answer is {checksum:02X}, its data give {:02X}; read the table again",
                    checksum.wrapping_sub(sum)
                ),
            );
            return self.reject(reject, message, Some(ask), place);
        }
        let (whole, offset) = match ask {
            Ask::Full { .. } => (true, 0),
            Ask::Partial { count: asked, offset, .. } => {
                if count > usize::from(asked) {
                    let reject = Reject::new(
                        "capture.count",
                        format!("the answer holds {count} bytes, {asked} were asked for; read the table again"),
                    );
                    return self.reject(reject, message, Some(ask), place);
                }
                (false, i64::from(offset))
            }
            Ask::Index { .. } => return self.unsupported(ask, message, place),
        };
        let (ped, data) = if table.is_pending() {
            let Some((ped, data)) = data.split_first_chunk::<PED>() else {
                let reject = Reject::new(
                    "capture.count",
                    format!("a pending table starts with {PED} bytes that tell when; the answer holds {count}"),
                );
                return self.reject(reject, message, Some(ask), place);
            };
            (Some(ped), data)
        } else {
            (None, data)
        };
        if data.is_empty() {
            return;
        }
        debug_assert!(data.len() <= MAX_TABLE);
        if table == TableId::et(3) {
            for (at, &byte) in (offset..).zip(data) {
                if let Some(slot) = usize::try_from(at).ok().and_then(|at| self.serial.get_mut(at)) {
                    *slot = Some(byte);
                }
            }
        }
        let head = (RESPONSE_HEAD + ped.map_or(0, |ped| ped.len())) as i64;
        self.images.push(TableImage {
            table,
            offset,
            data: Cow::Owned(data.to_vec()),
            read_at: place.time,
            whole: Some(whole),
            ped: ped.map(|ped| Cow::Owned(ped.to_vec())),
            session: self.number(),
            input: self.options.input.clone(),
            position: place.data.map(|at| at + head),
        });
        if signed && table == ET53 && !nested {
            self.transacted(ask, data, place);
        }
    }

    fn unsupported(&mut self, ask: Ask, message: &[u8], place: Place<'_>) {
        let reject = Reject::new(
            "capture.index_read",
            "a read by index or of the default table: where its bytes belong is not known; read by offset or the whole table",
        );
        self.reject(reject, message, Some(ask), place);
    }

    fn reject(&mut self, reject: Reject, message: &[u8], ask: Option<Ask>, place: Place<'_>) {
        let mut reject = reject
            .item(format!("message at byte {}", place.file))
            .input(&self.options.input)
            .data(place.raw.unwrap_or(message))
            .read_at(place.time);
        match ask.and_then(Ask::table) {
            Some(table) => reject = reject.table(table).offset(ask.map_or(0, Ask::offset)),
            None => reject = reject.offset(place.file as i64),
        }
        self.rejects.push(reject);
    }

    /// The number of the session that is going on.
    fn number(&self) -> u32 {
        self.capture.sessions.len() as u32 + 1
    }

    /// Something else begins: what was asked before is not answered any more.
    fn give_up(&mut self) {
        for line in &mut self.lines {
            if let Some(lost) = line.assemblers[ANSWERS].abandon() {
                self.evidence.add(&lost.data, lost.data.len(), line.start[ANSWERS], None);
            }
        }
        if let Some(ask) = self.unanswered() {
            let evidence = std::mem::take(&mut self.evidence);
            if evidence.len >= SHORTEST {
                let code = if evidence.fcs { "capture.fcs" } else { "capture.damaged" };
                let reject = self.evidence_reject(code, Some(ask), &evidence);
                self.lost.push((ask, reject));
            }
        }
        // Where nothing was asked, a request that comes well after damage is that of the damage, repeated.
        self.evidence = Evidence::default();
    }

    /// A frame with a bad FCS where nothing was asked, and what comes next is no request.
    fn bad_frame(&mut self) {
        let evidence = std::mem::take(&mut self.evidence);
        if evidence.fcs {
            let reject = self.evidence_reject("capture.fcs", None, &evidence);
            self.rejects.push(reject);
        }
    }

    fn evidence_reject(&self, code: &'static str, ask: Option<Ask>, evidence: &Evidence) -> Reject {
        let what = match ask.and_then(Ask::table) {
            Some(table) => format!("the answer to a read of {table}"),
            None => "what came".to_owned(),
        };
        let why = match code {
            "capture.fcs" => "is in a frame with a bad FCS and does not come again; capture it again",
            "capture.truncated" => "is cut off at the end of the capture; let the capture run on",
            "mep.damaged" => "is damaged or cut off and does not come again; capture it again",
            _ => "is damaged and does not come again; capture it again",
        };
        let mut bytes = evidence.bytes.clone();
        if self.lines.iter().any(|line| line.assemblers[ASKS].under_way()) {
            bytes.fill(c1218::MASK); // whatever it is, it may be the rest of a password
        } else {
            c1218::mask_secrets(&mut bytes);
        }
        let mut reject = Reject::new(code, format!("{what} {why}"))
            .item(format!("bytes at {}", evidence.file))
            .input(&self.options.input)
            .data(&bytes)
            .length(evidence.len as i64)
            .read_at(evidence.time);
        reject = match ask.and_then(Ask::table) {
            Some(table) => reject.table(table).offset(ask.map_or(0, Ask::offset)),
            None => reject.offset(evidence.file as i64),
        };
        reject
    }

    /// The end of a session.
    fn close(&mut self) {
        self.rejects.extend(self.lost.drain(..).map(|(_, reject)| reject));
        let label = match self.options.meter {
            Some(meter) => meter.to_owned(),
            None => serial(&self.serial).unwrap_or_else(|| match self.number() {
                1 => self.options.stem.to_owned(),
                n => format!("{}#{n}", self.options.stem),
            }),
        };
        self.capture.rejects.extend(self.rejects.drain(..).map(|reject| reject.meter(&label)));
        self.serial = [None; SERIAL];
        if !self.images.is_empty() {
            self.capture.sessions.push(Session { label, images: std::mem::take(&mut self.images) });
        }
    }

    fn finish(mut self, streams: &[Stream<'_>]) -> Capture {
        self.truncated(streams);
        self.mep_give_up();
        self.give_up_at_end();
        if self.shut.len > 0 {
            self.mep_shut("mep.wrong_key");
        }
        self.close();
        let [asks, answers] = self.messages;
        if (asks == 0) != (answers == 0) {
            let (there, missing) = if asks == 0 { ("responses", "requests") } else { ("requests", "responses") };
            let label = self.options.meter.unwrap_or(self.options.stem);
            self.capture.rejects = vec![
                Reject::new(
                    "capture.one_direction",
                    format!(
                        "only {there} are in the capture, no {missing}: nothing can be told from one direction; record \
                         both in one file"
                    ),
                )
                .meter(label)
                .item("capture")
                .input(&self.options.input),
            ];
        }
        self.capture
    }

    /// A response that the end of the capture cuts off.
    fn truncated(&mut self, streams: &[Stream<'_>]) {
        for (i, stream) in streams.iter().enumerate() {
            let start = stream.packets.len().checked_sub(1).and_then(|last| stream.packets.range(last));
            let start = start.map_or(0, |range| range.end).max(stream.messages.last().map_or(0, |message| message.end));
            let tail = &stream.bytes[start..];
            let line = &mut self.lines[i];
            let under_way = line.assemblers[ANSWERS].under_way();
            let cut = memchr::memchr_iter(c1218::START, tail).find(|&at| {
                let rest = &tail[at..];
                let data = rest.get(HEADER..).unwrap_or_default();
                let Some(&[_, _, _, _, high, low]) = rest.first_chunk::<HEADER>() else { return false };
                let claimed = HEADER + 2 + usize::from(u16::from_be_bytes([high, low]));
                c1218::like_header(rest)
                    && claimed > rest.len()
                    && match data.first() {
                        Some(_) if Control(rest[2]).continues() => under_way,
                        Some(&code) => code == 0,
                        None => false,
                    }
            });
            if cut.is_none() && !under_way {
                continue;
            }
            let mut evidence = Evidence::default();
            if let Some(lost) = line.assemblers[ANSWERS].abandon() {
                evidence.add(&lost.data, lost.data.len(), line.start[ANSWERS], None);
            }
            if let Some(cut) = cut {
                let (file, time) = stream.place(start + cut);
                let time = self.time(time);
                evidence.add(&tail[cut..], tail.len() - cut, file, time);
            }
            let ask = self.unanswered();
            let reject = self.evidence_reject("capture.truncated", ask, &evidence);
            self.rejects.push(reject);
            self.request = None;
            self.evidence = Evidence::default();
            return;
        }
    }

    fn give_up_at_end(&mut self) {
        if self.unanswered().is_some() {
            self.give_up();
        } else {
            self.bad_frame();
        }
    }
}

/// Whether one may be the other with some damage.
fn nearly(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).filter(|(a, b)| a != b).count() <= mep::DIGEST
}

/// Whether an answer carries data that a lost request asked for, rather than an acknowledgement or the answer to an
/// identification or a negotiation.
fn has_payload(message: &[u8]) -> bool {
    let [0, a, b, rest @ ..] = message else { return false };
    let count = usize::from(u16::from_be_bytes([*a, *b]));
    let sum = rest.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
    message.len() > 16 || (count > 0 && count + 1 == rest.len() && sum == 0)
}

/// The utility serial number as text, if it was read and is not blank. Both character formats that BT00 knows, ASCII and
/// Latin-1, read as Latin-1.
fn serial(bytes: &[Option<u8>; SERIAL]) -> Option<String> {
    let mut text = String::new();
    for byte in bytes {
        match (*byte)? {
            0 => break,
            byte => text.push(char::from(byte)),
        }
    }
    // The separators 1C to 1F are white space to Python and not to Rust.
    let text = text.trim_matches(|c: char| c.is_whitespace() || ('\x1C'..='\x1F').contains(&c));
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::messages::Exchange;
    use crate::wire::c1218::split;
    use proptest::prelude::*;
    use std::path::PathBuf;

    /// Both ends of a line, writing what they say into one capture.
    #[derive(Default)]
    struct Talk {
        bytes: Vec<u8>,
        toggles: [bool; 2],
    }

    impl Talk {
        fn packets(&mut self, sender: usize, message: &[u8], size: usize) -> Vec<Vec<u8>> {
            let packets = split(message, size, 0, self.toggles[sender]).unwrap();
            self.toggles[sender] ^= packets.len() % 2 == 1;
            packets.iter().map(emitted).collect()
        }
        fn say(&mut self, sender: usize, message: &[u8], size: usize) -> &mut Self {
            for packet in self.packets(sender, message, size) {
                self.bytes.extend(packet);
                self.bytes.push(c1218::ACK);
            }
            self
        }
        fn ask(&mut self, message: &[u8]) -> &mut Self {
            self.say(ASKS, message, 56)
        }
        fn answer(&mut self, message: &[u8]) -> &mut Self {
            self.say(ANSWERS, message, 56)
        }
        fn raw(&mut self, bytes: &[u8]) -> &mut Self {
            self.bytes.extend(bytes);
            self
        }
        fn start(&mut self) -> &mut Self {
            self.ask(&[0x20]).answer(&[0, 0, 2, 0, 0])
        }
    }

    fn emitted(packet: &c1218::Packet) -> Vec<u8> {
        let mut out = Vec::new();
        packet.emit(&mut out).unwrap();
        out
    }

    fn full(table: u16) -> Vec<u8> {
        let mut message = vec![0x30];
        message.extend(table.to_be_bytes());
        message
    }

    fn partial(table: u16, offset: u32, count: u16) -> Vec<u8> {
        let mut message = vec![0x3F];
        message.extend(table.to_be_bytes());
        message.extend(&offset.to_be_bytes()[1..]);
        message.extend(count.to_be_bytes());
        message
    }

    fn data(bytes: &[u8]) -> Vec<u8> {
        let mut message = vec![0];
        message.extend((bytes.len() as u16).to_be_bytes());
        message.extend(bytes);
        message.push(bytes.iter().fold(0u8, |sum, b| sum.wrapping_sub(*b)));
        message
    }

    fn scan_as(bytes: &[u8], wrap: Wrap) -> Result<Capture, NotRecognised> {
        let hour = |local: i64| local - 3_600_000_000;
        scan(
            bytes,
            &ScanOptions { input: Arc::from("a.bin"), stem: "a", meter: None, wrap, keys: &[], local_to_utc: &hour },
        )
    }

    fn captured(bytes: &[u8]) -> Capture {
        scan_as(bytes, Wrap::None).unwrap()
    }

    fn codes(capture: &Capture) -> Vec<&'static str> {
        capture.rejects.iter().map(|reject| reject.code).collect()
    }

    fn images(capture: &Capture) -> Vec<(i32, i64, Vec<u8>)> {
        let images = capture.sessions.iter().flat_map(|session| &session.images);
        images.map(|image| (image.table.0, image.offset, image.data.to_vec())).collect()
    }

    fn as_log(bytes: &[u8]) -> String {
        // Everything that is said first by one and then by the other is a line of its own.
        let packets = c1218::scan_packets(bytes);
        let mut log = String::new();
        let mut at = 0;
        for i in 0..packets.len() {
            let range = packets.range(i).unwrap();
            let side = if bytes.get(range.start + HEADER).is_some_and(|code| *code >= 0x20) { "TX" } else { "RX" };
            for &byte in &bytes[at..range.start] {
                log += &format!("12:00:00 RX {byte:02X}\n");
            }
            log += &format!("12:00:00 {side}");
            for byte in &bytes[range.clone()] {
                log += &format!(" {byte:02X}");
            }
            log += "\n";
            at = range.end;
        }
        log
    }

    #[test]
    fn full_and_partial_reads_become_images() {
        let mut talk = Talk::default();
        talk.start().ask(&full(1)).answer(&data(b"abc")).ask(&partial(64, 300, 5)).answer(&data(b"hello"));
        talk.ask(&full(4150)).answer(&data(b"PEDPED\x01\x02")).ask(&[0x52]).answer(&[0]);
        let capture = captured(&talk.bytes);
        assert_eq!(
            images(&capture),
            [(1, 0, b"abc".to_vec()), (64, 300, b"hello".to_vec()), (4150, 0, b"\x01\x02".to_vec())]
        );
        assert!(capture.rejects.is_empty());
        let session = &capture.sessions[0];
        assert_eq!((session.label.as_str(), session.images[0].session), ("a", 1));
        assert_eq!(session.images.iter().map(|i| i.whole).collect::<Vec<_>>(), [Some(true), Some(false), Some(true)]);
        assert_eq!(session.images[2].ped.as_deref(), Some(&b"PEDPED"[..]));
        for image in &session.images {
            let at = image.position.unwrap() as usize;
            assert_eq!(talk.bytes[at..at + image.data.len()], image.data[..]);
        }
        assert_eq!(capture.acks, 10);
        assert_eq!(capture.noise_bytes, 0);
    }

    #[test]
    fn a_log_gives_the_same_as_raw_bytes() {
        let mut talk = Talk::default();
        talk.start().ask(&full(1)).answer(&data(&[7; 300])).ask(&[0x21]).answer(&[0]);
        let capture = captured(as_log(&talk.bytes).as_bytes());
        assert_eq!(images(&capture), images(&captured(&talk.bytes)));
        assert!(capture.rejects.is_empty());
        assert_eq!(capture.sessions[0].images[0].read_at, None);
        let dated = as_log(&talk.bytes).replace("12:00:00", "[2024-03-14 10:07:30,250]");
        let capture = captured(dated.as_bytes());
        assert_eq!(capture.sessions[0].images[0].read_at, Some(1_710_407_250_250_000));
    }

    #[test]
    fn labels() {
        let mut serial = b"  UTIL\xE9-7 ".to_vec();
        serial.resize(143, 0);
        let mut talk = Talk::default();
        talk.start().ask(&full(2051)).answer(&data(&serial)).ask(&[0x52]).answer(&[0]);
        talk.start().ask(&full(1)).answer(&data(b"x"));
        talk.start();
        talk.start().ask(&full(2051)).answer(&data(&[b' '; 40]));
        let capture = captured(&talk.bytes);
        let labels: Vec<_> = capture.sessions.iter().map(|session| session.label.as_str()).collect();
        assert_eq!(labels, ["UTILé-7", "a#2", "a#3"]);
        assert_eq!(capture.sessions[2].images[0].session, 3);
        let options = ScanOptions {
            input: Arc::from("a.bin"),
            stem: "a",
            meter: Some("mine"),
            wrap: Wrap::None,
            keys: &[],
            local_to_utc: &|local| local,
        };
        assert!(scan(&talk.bytes, &options).unwrap().sessions.iter().all(|session| session.label == "mine"));
    }

    #[test]
    fn repeated_packets_and_noise_are_only_counted() {
        let mut talk = Talk::default();
        talk.start();
        let ask = talk.packets(ASKS, &full(1), 56).concat();
        let answer = talk.packets(ANSWERS, &data(&[9; 200]), 56);
        let mut damaged = answer[1].clone();
        damaged[20] ^= 1;
        talk.raw(&[0xFF, 0x00]).raw(&ask[..6]).raw(&[c1218::NAK]).raw(&ask).raw(&ask).raw(&[c1218::ACK]);
        talk.raw(&answer[0]).raw(&answer[0]).raw(&damaged).raw(&[c1218::NAK]).raw(&answer[1]).raw(&answer[2]);
        talk.raw(&answer[3]).raw(&answer[3]).raw(&[c1218::ACK]).ask(&[0x52]).answer(&[0]);
        let capture = captured(&talk.bytes);
        assert_eq!(images(&capture), [(1, 0, vec![9; 200])]);
        assert!(capture.rejects.is_empty(), "{:?}", capture.rejects);
        assert_eq!(capture.repeated, 3);
        assert!(capture.noise_bytes > 60);
    }

    #[test]
    fn mep_messages_between_packets_do_not_disturb() {
        let message = [0, 0x14, 0x3F, 0, 0x17, 0, 0, 0, 0, 0x2C, 1, 2, 3, 4, 5, 6, 7, 0xEE, 0x15, 6, 1, 2];
        let mut talk = Talk::default();
        talk.raw(&message).start().raw(&message).ask(&full(1)).raw(&[0, 0]).answer(&data(b"abc")).raw(&message);
        let capture = captured(&talk.bytes);
        assert_eq!(images(&capture), [(1, 0, b"abc".to_vec())]);
        assert!(capture.rejects.is_empty(), "{:?}", capture.rejects);
        assert_eq!((capture.mep_messages, capture.naks), (3, 0));
    }

    #[test]
    fn refusals_are_no_rejects_and_writes_no_images() {
        let mut talk = Talk::default();
        talk.start().ask(&full(9)).answer(&[4]).ask(&[0x40, 0, 7, 0, 1, 9, 247]).answer(&[0]);
        let capture = captured(&talk.bytes);
        assert_eq!((capture.sessions.len(), capture.rejects.len()), (0, 0));
    }

    #[test]
    fn every_reject() {
        let read = |answer: &[u8]| {
            let mut talk = Talk::default();
            talk.start().ask(&partial(64, 10, 4)).answer(answer).ask(&full(1)).answer(&data(b"ok"));
            let capture = captured(&talk.bytes);
            assert_eq!(images(&capture), [(1, 0, b"ok".to_vec())]);
            assert_eq!(capture.rejects[0].table, Some(TableId(64)));
            assert_eq!(capture.rejects[0].offset, Some(10));
            assert_eq!(capture.rejects[0].meter.as_deref(), Some("a"));
            codes(&capture)
        };
        assert_eq!(read(b"\0\0\x04abcd\0"), ["capture.checksum"]);
        assert_eq!(read(b"\0\0\x05abcd\0"), ["capture.count"]);
        assert_eq!(read(&data(b"abcde")), ["capture.count"]);
        assert_eq!(read(b"\0\0"), ["capture.count"]);
        assert_eq!(read(b"\0"), ["capture.count"]);

        let mut talk = Talk::default();
        talk.start().ask(&full(4150)).answer(&data(b"abc")).ask(&[0x31, 0, 1, 0]).answer(&data(b"abc"));
        talk.ask(&full(1)).answer(&data(b"x")).answer(&data(b"lost"));
        assert_eq!(codes(&captured(&talk.bytes)), ["capture.count", "capture.index_read", "capture.unmatched"]);

        // Damaged and never repeated; then read again.
        let mut talk = Talk::default();
        talk.start().ask(&full(64));
        let mut answer = talk.packets(ANSWERS, &data(&[9; 30]), 56).concat();
        answer[20] ^= 1;
        talk.raw(&answer).ask(&full(1)).answer(&data(b"x"));
        let capture = captured(&talk.bytes);
        assert_eq!(codes(&capture), ["capture.damaged"]);
        assert_eq!(capture.rejects[0].data, answer);
        talk.ask(&full(64)).answer(&data(&[9; 30]));
        assert!(captured(&talk.bytes).rejects.is_empty());

        // Cut off, within a packet and between two.
        for (size, keep) in [(56, 1), (56, 30), (12, 2 * 20)] {
            let mut talk = Talk::default();
            talk.start().ask(&full(64));
            let answer = talk.packets(ANSWERS, &data(&[9; 30]), size).concat();
            talk.raw(&answer[..keep]);
            let expected: &[&str] = if keep > 6 { &["capture.truncated"] } else { &[] };
            assert_eq!(codes(&captured(&talk.bytes)), expected);
        }

        // One direction.
        let mut talk = Talk::default();
        talk.ask(&[0x20]).ask(&full(1)).ask(&full(2));
        assert_eq!(codes(&captured(&talk.bytes)), ["capture.one_direction"]);
        let mut talk = Talk::default();
        talk.answer(&[0, 0, 2, 0, 0]).answer(&data(b"abc")).answer(&data(b"def"));
        assert_eq!(codes(&captured(&talk.bytes)), ["capture.one_direction"]);
    }

    #[test]
    fn stuffed_lines() {
        let mut talk = Talk::default();
        talk.start().ask(&full(1)).answer(&data(&[0x7E, 0x7D, 0xC0, 0xDB, 5])).ask(&full(2)).answer(&data(b"x"));
        let whole = images(&captured(&talk.bytes));
        let (mut ppp, mut slip) = (Vec::new(), Vec::new());
        for piece in talk.bytes.chunks(9) {
            ppp::encode(&mut ppp, piece);
            slip::encode(&mut slip, piece);
        }
        for (bytes, wrap) in [(&ppp, Wrap::Ppp), (&slip, Wrap::Slip)] {
            let capture = scan_as(bytes, wrap).unwrap();
            assert_eq!(images(&capture), whole);
            assert!(capture.rejects.is_empty());
            assert_eq!(capture.sessions[0].images[0].position, None);
        }
        assert_eq!(scan_as(&talk.bytes, Wrap::Slip).map(|c| images(&c)).unwrap_or_default().len(), 1);
        let at = ppp.len() - 20;
        ppp[at] ^= 1;
        let capture = scan_as(&ppp, Wrap::Ppp).unwrap();
        assert_eq!(codes(&capture), ["capture.fcs"]);
        assert_eq!(images(&capture), whole[..1]);
    }

    #[test]
    fn no_reject_shows_a_password() {
        const SECRET: &[u8; 20] = b"SECRETsecretSECRET12";
        let mut start = Talk::default();
        start.start().ask(&full(1)).answer(&data(b"x"));
        let mut password = vec![0x51];
        password.extend(SECRET);
        for size in [8, 56] {
            let mut talk = Talk { bytes: start.bytes.clone(), toggles: start.toggles };
            let security = talk.packets(ASKS, &password, size).concat();
            let mut ppp = Vec::new();
            ppp::encode(&mut ppp, &start.bytes);
            let framed = ppp.len();
            ppp::encode(&mut ppp, &security);
            for at in 0..security.len() {
                for change in [1, 0x80, 0x51, 0xFF] {
                    let mut damaged = security.clone();
                    damaged[at] ^= change;
                    let mut bytes = start.bytes.clone();
                    bytes.extend(&damaged);
                    let check = |capture: Result<Capture, NotRecognised>| {
                        let text = format!("{capture:?}");
                        assert!(!text.contains("SECRET") && !text.contains("83, 69, 67"), "{at} {change} {text}");
                        for reject in capture.map(|capture| capture.rejects).unwrap_or_default() {
                            assert!(
                                !reject.data.windows(4).any(|four| SECRET.windows(4).any(|s| s == four)),
                                "{reject:?}"
                            );
                        }
                    };
                    check(captured_ok(&bytes));
                    // In place of an answer, too.
                    let mut talk = Talk { bytes: start.bytes.clone(), toggles: start.toggles };
                    talk.ask(&full(2)).raw(&damaged);
                    check(captured_ok(&talk.bytes));
                    talk.ask(&full(3)).answer(&data(b"x"));
                    check(captured_ok(&talk.bytes));
                    if size == 56 {
                        let mut ppp = ppp.clone();
                        ppp[framed + 1 + at] ^= change;
                        check(scan_as(&ppp, Wrap::Ppp));
                    }
                    if size == 56 {
                        let head = masked_head(&damaged, 64);
                        assert!(!head.windows(4).any(|four| SECRET.windows(4).any(|s| s == four)));
                        let hex: String = damaged.iter().map(|b| format!("{b:02X} ")).collect();
                        let secret: String = SECRET[4..8].iter().map(|b| format!("{b:02X} ")).collect();
                        let head = masked_head(format!("TX: {hex}").as_bytes(), 200);
                        assert!(!String::from_utf8_lossy(&head).contains(&secret));
                    }
                }
            }
        }
    }

    fn captured_ok(bytes: &[u8]) -> Result<Capture, NotRecognised> {
        scan_as(bytes, Wrap::None)
    }

    #[test]
    fn what_is_no_capture() {
        for bytes in [&b""[..], b"\xFF\xD8\xFF\xE0\0\x10JFIF", b"just some text\nTX: 01 02 03\n", &[0xEE; 10_000]] {
            assert_eq!(captured_ok(bytes), Err(NotRecognised));
        }
    }

    #[test]
    fn the_sample_session() {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests");
        let dump = root.join("samples/dump/M00002001");
        let all: Vec<Capture> = ["session.bin", "session.log"]
            .iter()
            .map(|name| captured(&std::fs::read(root.join("samples").join(name)).unwrap()))
            .collect();
        assert_eq!(images(&all[0]), images(&all[1]));
        for capture in &all {
            assert!(capture.rejects.is_empty());
            assert_eq!(capture.noise_bytes, 0);
            assert_eq!(capture.sessions.len(), 1);
            assert_eq!(capture.sessions[0].label, "UTIL-0002001");
            for image in &capture.sessions[0].images {
                assert_eq!(image.data[..], std::fs::read(dump.join(format!("{}.bin", image.table))).unwrap()[..]);
            }
        }
        assert_eq!(all[1].sessions[0].images[0].read_at, Some((1_710_410_850_173_000) - 3_600_000_000));
    }

    fn with_keys(bytes: &[u8], keys: &[[u8; 16]]) -> Result<Capture, NotRecognised> {
        let keys: Vec<Key> = keys.iter().map(|key| Key::new(key).unwrap()).collect();
        let options = ScanOptions {
            input: Arc::from("a.bin"),
            stem: "a",
            meter: None,
            wrap: Wrap::None,
            keys: &keys,
            local_to_utc: &|local| local,
        };
        scan(bytes, &options)
    }

    /// Reads of tables at the MEP port.
    fn mep_reads(encrypt: bool) -> Vec<u8> {
        let key = Key::new(&[1; 16]).unwrap();
        let mut bytes = Vec::new();
        for (table, read) in [(1, b"one".as_slice()), (2, &[0; 300]), (3, b"three")] {
            let exchange = Exchange::request(&key, &full(table), u32::from(table), encrypt).unwrap();
            let answer = [[0].as_slice(), &(read.len() as u16).to_be_bytes(), read].concat();
            bytes.extend_from_slice(exchange.message());
            bytes.extend([0, 0]);
            bytes.extend(exchange.respond(&answer).unwrap());
        }
        bytes
    }

    #[test]
    fn messages_of_the_mep_port_open_with_their_key() {
        for encrypt in [false, true] {
            let bytes = mep_reads(encrypt);
            let capture = with_keys(&bytes, &[[2; 16], [1; 16]]).unwrap();
            assert_eq!(images(&capture), [(1, 0, b"one".to_vec()), (2, 0, vec![0; 300]), (3, 0, b"three".to_vec())]);
            assert_eq!((capture.mep_messages, capture.mep_opened, capture.rejects.len()), (6, 6, 0));
            assert_eq!(codes(&with_keys(&bytes, &[[2; 16]]).unwrap()), ["mep.wrong_key"]);
            assert_eq!(codes(&captured(&bytes)), ["mep.no_key"]);
            let mut hurt = bytes.clone();
            let end = bytes.len();
            hurt[end - 1] ^= 1;
            let capture = with_keys(&hurt, &[[1; 16]]).unwrap();
            assert_eq!((images(&capture).len(), codes(&capture)), (2, vec!["mep.digest"]));
        }
    }

    proptest! {
        #[test]
        fn hostile_messages(
            encrypt: bool,
            parts in prop::collection::vec(prop::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(1), Just(0x17)], 0..40), 0..4),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        ) {
            let mut bytes = mep_reads(encrypt);
            for part in parts {
                bytes.extend(part);
                bytes.extend(mep_reads(!encrypt));
            }
            for (at, byte) in flips {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(capture) = with_keys(&bytes, &[[2; 16], [1; 16]]) {
                prop_assert!(capture.mep_opened <= capture.mep_messages);
                prop_assert!(capture.noise_bytes <= bytes.len() as u64);
            }
        }

        #[test]
        fn hostile_bytes(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xEE), Just(0), Just(0x51), Just(0x7E)], 0..600),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        ) {
            let mut talk = Talk::default();
            talk.start().ask(&full(1)).answer(&data(&[9; 100])).raw(&bytes).ask(&full(2)).answer(&data(&[8; 100]));
            talk.ask(&[0x52]).answer(&[0]);
            let mut bytes = talk.bytes;
            for (at, byte) in flips {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            for wrap in [Wrap::None, Wrap::Ppp, Wrap::Slip] {
                if let Ok(capture) = scan_as(&bytes, wrap) {
                    prop_assert!(capture.noise_bytes <= bytes.len() as u64);
                }
            }
            let _ = captured_ok(as_log(&bytes).as_bytes());
        }
    }
}
