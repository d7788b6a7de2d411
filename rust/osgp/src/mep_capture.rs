//! MEP messages of a capture, opened with the keys.
//!
//! A line has no marks where a message starts: only a digest that fits, TLS records whose lengths add up, or the end of the
//! message before tell. So this reader walks from message to message, tries each with every key, and where one does not
//! fit it looks for the next that does, byte by byte. What lies between is kept as unknown where its lengths lead exactly to
//! the next message, and left to the scanner of packets otherwise. Bytes of a digest that fits are no C12.18 packet,
//! whatever they look like.
//!
//! An answer is tried with the request before it, then with earlier ones: a late answer is one, and an answer that comes a
//! second time in place of another is a replay. TLS is followed from its first handshake message on, session by session.
//!
//! The work is bounded: what is tried without a hint takes from a budget that grows with the capture.
//! Sources: MEP guide pp. 8-21, 249-257.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::security::Key;
use crate::security::digest::SIZE as DIGEST;
use crate::security::messages::{AUTHENTICATION_FAILURE, Exchange, KeyRing, MAX_BODY, SEQUENCE};
use crate::security::tls::{self, Event, Opener};
use crate::security::tls_messages::{Request, response};
use crate::text_log::Chunk;
use crate::wire::c1218::Packets;
use crate::wire::mep::{LENGTH, plausible};

/// The shortest request and answer under a digest.
const REQUEST: usize = 1 + SEQUENCE + DIGEST;
const ANSWER: usize = 1 + DIGEST;
/// Requests whose answers are known when they come late or twice.
const RECENT: usize = 8;
/// Bytes that may be tried without a hint: so many times the capture, and some for a short one.
const BUDGET: i64 = 8;
const BUDGET_LEAST: i64 = 1 << 16;
/// What a try costs beside the bytes: the rest of a digest's pass, and the set-up of RC4.
const TRY: i64 = 512;
/// So many messages in a row whose lengths fit tell MEP traffic without a key.
const CHAIN: usize = 8;

/// One stream of a capture.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) bytes: &'a [u8],
    /// Where pieces of it stand in the file; empty if it is the file.
    pub(crate) chunks: &'a [Chunk],
    pub(crate) packets: &'a Packets,
}

impl Source<'_> {
    /// Where byte `at` stands in the file.
    fn file(&self, at: usize) -> u64 {
        let i = self.chunks.partition_point(|chunk| chunk.at <= at as u64);
        i.checked_sub(1).map_or(at as u64, |i| self.chunks[i].file)
    }
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Request,
    Answer,
    Alert,
    /// A message by its length, which no key opens.
    Unknown,
}

/// How a message is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Nobody,
    Clear,
    Rc4,
    Tls,
}

/// What becomes a reject.
#[derive(Clone)]
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    pub(crate) reason: Cow<'static, str>,
}

/// A message of a stream, from its length field on.
pub(crate) struct Message {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) what: What,
    pub(crate) how: How,
    /// Code and what follows it in clear, without sequence number and digest, where that does not stand on the line.
    deciphered: Option<Box<[u8]>>,
    /// Of an answer to a read: the body of its request.
    pub(crate) request: Option<Box<[u8]>>,
    pub(crate) repeated: bool,
    /// It answers an earlier request, while another may be waiting.
    pub(crate) late: bool,
    pub(crate) authentic: bool,
    pub(crate) problem: Option<Box<Problem>>,
}

impl Message {
    /// Code and what follows it in clear, without sequence number and digest, out of the stream's bytes; None where there is
    /// none.
    pub(crate) fn body<'a>(&'a self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let tail = match self.what {
            What::Request => SEQUENCE + DIGEST,
            _ => DIGEST,
        };
        match self.how {
            How::Clear if self.authentic => bytes.get(self.start + LENGTH..self.end - tail),
            _ => self.deciphered.as_deref(),
        }
    }

    fn new(what: What, how: How) -> Self {
        Self {
            start: 0,
            end: 0,
            what,
            how,
            deciphered: None,
            request: None,
            repeated: false,
            late: false,
            authentic: true,
            problem: None,
        }
    }

    fn at(mut self, start: usize, end: usize) -> Self {
        (self.start, self.end) = (start, end);
        self
    }
}

/// A request whose digest fits, and its answer's bytes once it is there.
struct Asked {
    exchange: Exchange,
    answer: Option<Vec<u8>>,
}

/// A TLS session.
struct Session {
    opener: Opener,
    established: bool,
    ask: Option<Box<[u8]>>,
}

/// Where the reader is in a stream.
struct Cursor<'a> {
    source: Source<'a>,
    at: usize,
    packet: usize,
    /// The next place that is tried whatever it looks like.
    hint: usize,
    /// From here on nothing is known; and the messages that lengths alone would make of it.
    region: usize,
    walk: Vec<(usize, usize)>,
    found: Vec<Message>,
}

impl Cursor<'_> {
    /// Everything before is known.
    fn settle(&mut self, at: usize) {
        (self.at, self.hint, self.region) = (at, at, at);
        self.walk.clear();
    }

    /// Nothing opened before `end`: keep what lengths make of it.
    fn flush(&mut self, end: usize) {
        let walk: Vec<_> = self.walk.drain(..).take_while(|span| span.1 <= end).collect();
        let mut at = self.region;
        let mut whole = !walk.is_empty();
        for (start, stop) in &walk {
            whole &= *start == at;
            at = *stop;
        }
        whole &= at == end;
        for (start, stop) in walk {
            let body = &self.source.bytes[start + LENGTH..stop];
            if body.is_empty() {
                if whole {
                    self.found.push(Message::new(What::Alert, How::Nobody).at(start, stop));
                }
            } else if whole || plausible(body) {
                let mut message = Message::new(What::Unknown, How::Nobody).at(start, stop);
                message.problem = (!is_refusal(body)).then(digest_problem);
                self.found.push(message);
            }
        }
    }
}

/// What a capture's streams hold of MEP traffic.
pub(crate) struct Found {
    /// The messages of each stream, in order; where no digest fits, those of TLS alone.
    pub(crate) messages: Vec<Vec<Message>>,
    /// Whether any digest fits.
    pub(crate) signed: bool,
}

/// Open the messages of a capture's streams.
pub(crate) fn read(sources: &[Source<'_>], keys: &[Key]) -> Found {
    let mut reader = Reader {
        ring: KeyRing::new(keys),
        keys: keys.to_vec(),
        recent: VecDeque::with_capacity(RECENT),
        pending: false,
        tls: None,
        tls_told: false,
        tls_waiting: false,
        tls_last: Default::default(),
        signed: false,
        budget: sources.iter().fold(BUDGET_LEAST, |sum, source| {
            sum.saturating_add(BUDGET.saturating_mul(i64::try_from(source.bytes.len()).unwrap_or(i64::MAX)))
        }),
    };
    let mut cursors: Vec<Cursor<'_>> = sources
        .iter()
        .map(|source| Cursor {
            source: *source,
            at: 0,
            packet: 0,
            hint: 0,
            region: 0,
            walk: Vec::new(),
            found: Vec::new(),
        })
        .collect();
    loop {
        // Always the stream whose next byte came first on the line.
        let live = cursors.iter().enumerate().filter(|(_, cursor)| cursor.at < cursor.source.bytes.len());
        let Some((i, _)) = live.min_by_key(|(_, cursor)| cursor.source.file(cursor.at)) else { break };
        reader.step(&mut cursors[i]);
    }
    for cursor in &mut cursors {
        cursor.flush(cursor.source.bytes.len());
    }
    let keep = |message: &Message| reader.signed || message.how == How::Tls;
    let messages = cursors
        .into_iter()
        .map(|mut cursor| {
            cursor.found.retain(keep);
            cursor.found
        })
        .collect();
    Found { messages, signed: reader.signed }
}

struct Reader {
    ring: KeyRing,
    keys: Vec<Key>,
    /// The last requests, the newest at the end.
    recent: VecDeque<Asked>,
    /// Whether the newest of them waits for its answer.
    pending: bool,
    tls: Option<Session>,
    tls_told: bool,
    tls_waiting: bool,
    /// The last request and answer of TLS.
    tls_last: (Vec<u8>, Vec<u8>),
    signed: bool,
    budget: i64,
}

impl Reader {
    fn step(&mut self, cursor: &mut Cursor<'_>) {
        let (source, at) = (cursor.source, cursor.at);
        let start_of = |i: usize| source.packets.position.get(i).map(|at| *at as usize);
        while start_of(cursor.packet).is_some_and(|start| start < at) {
            cursor.packet += 1; // inside a message that opens: no packet
        }
        if let Some(range) = source.packets.range(cursor.packet)
            && range.start == at
        {
            cursor.flush(at);
            cursor.settle(range.end);
            return;
        }
        let limit = start_of(cursor.packet).unwrap_or(source.bytes.len());
        let full = at == cursor.hint;
        let size = size_at(source.bytes, at);
        if let Some(size) = size
            && (full || self.worth(source, at, size))
        {
            let mut message = self.open(source, at, size, full);
            if message.is_none() && size == 0 {
                // A zero byte before a message looks like an alert.
                if let Some(more) = size_at(source.bytes, at + 1) {
                    message = self.open(source, at + 1, more, full);
                }
                if message.is_none() && full && at == cursor.region {
                    message = Some(Message::new(What::Alert, How::Nobody).at(at, at + LENGTH));
                }
            }
            if let Some(message) = message {
                cursor.flush(message.start);
                cursor.settle(message.end);
                cursor.found.push(message);
                return;
            }
        }
        if full {
            cursor.hint = at + 1;
            if let Some(size) = size.filter(|size| *size == 0 || *size >= ANSWER)
                && at + LENGTH + size <= limit
            {
                cursor.hint = at + LENGTH + size;
                cursor.walk.push((at, cursor.hint));
            }
        }
        cursor.at = at + 1;
    }

    /// Whether to try a place that nothing hints at.
    fn worth(&mut self, source: Source<'_>, at: usize, size: usize) -> bool {
        if size < ANSWER || self.budget <= 0 {
            return false;
        }
        let end = at + LENGTH + size;
        let Some(body) = source.bytes.get(at + LENGTH..end) else { return false };
        let starts = || {
            let i = source.chunks.partition_point(|chunk| chunk.at < at as u64);
            source.chunks.get(i).is_some_and(|chunk| chunk.at == at as u64)
        };
        // RC4 hardly ever gives the same byte four times; after a message comes another, or nothing.
        let enciphered = (end == source.bytes.len() || size_at(source.bytes, end).is_some())
            && !body.windows(4).any(|four| four == [0; 4]);
        if enciphered || starts() || plausible(body) || is_tls_request(body) {
            self.budget -= size as i64 + TRY;
            return true;
        }
        false
    }

    /// The message of that length there, if it is one.
    fn open(&mut self, source: Source<'_>, at: usize, size: usize, full: bool) -> Option<Message> {
        let end = at + LENGTH + size;
        let body = source.bytes.get(at + LENGTH..end).filter(|body| !body.is_empty())?;
        let mut message = self.tls_message(body, full);
        if message.is_none() && size >= ANSWER {
            if self.pending {
                message = self.answer(self.recent.len().saturating_sub(1), body);
            }
            if message.is_none() && size >= REQUEST {
                message = self.request(body);
            }
            if message.is_none() && full {
                message = self.earlier(body);
            }
        }
        if message.is_none() && full {
            message = self.refusal(body).or_else(|| self.terminate(body));
        }
        Some(message?.at(at, end))
    }

    fn request(&mut self, body: &[u8]) -> Option<Message> {
        let exchange = self.ring.open(body).ok()?;
        self.signed = true;
        let mut message = Message::new(What::Request, how(&exchange));
        message.deciphered = exchange.encrypted().then(|| exchange.body().into());
        self.tls_waiting = false;
        self.pending = true;
        if self.recent.back().is_some_and(|last| last.exchange.message().get(LENGTH..) == Some(body)) {
            // The same packet again: whatever is answered now answers it.
            message.repeated = true;
        } else {
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back(Asked { exchange, answer: None });
        }
        Some(message)
    }

    /// The answer to a request, if it is that.
    fn answer(&mut self, i: usize, body: &[u8]) -> Option<Message> {
        let newest = i + 1 == self.recent.len();
        let asked = self.recent.get_mut(i)?;
        let clear = asked.exchange.opened(body)?;
        self.signed = true;
        let mut message = answered(asked);
        if let Cow::Owned(clear) = clear {
            message.deciphered = Some(clear.into());
        }
        message.repeated = asked.answer.as_deref() == Some(body);
        message.late = !newest;
        asked.answer = Some(body.to_vec());
        self.pending &= !newest;
        Some(message)
    }

    /// An answer to an earlier request: late, repeated, or played again.
    fn earlier(&mut self, body: &[u8]) -> Option<Message> {
        let others = self.recent.len().saturating_sub(usize::from(self.pending));
        for i in (0..others).rev() {
            let (before, waiting) = (self.recent[i].answer.is_some(), self.pending);
            let Some(mut message) = self.answer(i, body) else { continue };
            if before && waiting {
                (message.problem, message.deciphered, message.authentic) = (Some(replay_problem()), None, false);
                (message.repeated, message.late) = (false, true);
            } else if before {
                message.repeated = true;
            }
            return Some(message);
        }
        None
    }

    /// What nobody can sign: no key fitted.
    fn refusal(&mut self, body: &[u8]) -> Option<Message> {
        if !self.pending || !is_refusal(body) {
            return None;
        }
        let mut message = answered(self.recent.back()?);
        message.deciphered = Some([AUTHENTICATION_FAILURE].into());
        message.authentic = false;
        self.pending = false;
        Some(message)
    }

    // ---- TLS

    fn tls_message(&mut self, body: &[u8], full: bool) -> Option<Message> {
        if is_tls_request(body) {
            return Some(self.tls_asked(body));
        }
        let (&code, records) = body.split_first()?;
        if !TLS_RESPONSES.contains(&code) {
            return None;
        }
        let told = are_records(records);
        // Two bytes may be those of an alert.
        if self.tls_waiting && (told || (full && (records.is_empty() || (code != 0 && records.len() == 2)))) {
            return Some(self.tls_answered(code, if told { records } else { &[] }, body));
        }
        if told && body == self.tls_last.1 {
            let mut message = Message::new(What::Answer, How::Tls);
            message.repeated = true;
            return Some(message);
        }
        None
    }

    /// The end of a session, which holds nothing to tell it by.
    fn terminate(&mut self, body: &[u8]) -> Option<Message> {
        if self.tls.is_none() || body[0] != Request::Terminate as u8 || body.len() < 2 {
            return None;
        }
        self.tls = None;
        self.tls_waiting = true;
        self.tls_last = (body.to_vec(), Vec::new());
        Some(Message::new(What::Request, How::Tls))
    }

    fn tls_asked(&mut self, body: &[u8]) -> Message {
        let mut message = Message::new(What::Request, How::Tls);
        self.tls_waiting = true;
        if body == self.tls_last.0 {
            message.repeated = true;
            return message;
        }
        self.tls_last = (body.to_vec(), Vec::new());
        self.pending = false;
        if body[0] == Request::Terminate as u8 {
            self.tls = None;
            return message;
        }
        if body[0] == Request::Handshake as u8 {
            let opener = Opener::new(self.keys.clone());
            self.tls = Some(Session { opener, established: false, ask: None });
            self.tls_told = false;
        }
        match &mut self.tls {
            Some(session) => {
                session.take(&mut message, &body[1..], true);
                session.ask.clone_from(&message.deciphered);
            }
            None if !self.tls_told => {
                message.problem = Some(handshake_problem());
                self.tls_told = true;
            }
            None => {}
        }
        message
    }

    fn tls_answered(&mut self, code: u8, records: &[u8], body: &[u8]) -> Message {
        let mut message = Message::new(What::Answer, How::Tls);
        self.tls_waiting = false;
        self.tls_last.1 = body.to_vec();
        if let Some(session) = &mut self.tls {
            message.request = session.ask.take();
            session.take(&mut message, records, false);
        }
        let why = match code {
            response::TLS_ERROR => "a TLS error",
            response::INVALID_KEY => "that it does not know the identity or key",
            _ => return message,
        };
        if message.problem.is_none() {
            let reason = format!("the meter says {why} (response code {code:02X}): the session ends").into();
            message.problem = Some(Box::new(Problem { code: "mep.tls_alert", reason }));
        }
        message
    }
}

impl Session {
    fn take(&mut self, message: &mut Message, records: &[u8], from_client: bool) {
        let mut data = Vec::new();
        for event in if from_client { self.opener.client(records) } else { self.opener.server(records) } {
            match event {
                Event::Established { .. } => self.established = true,
                Event::Data(more) => data.extend(more),
                Event::Closed => {}
                Event::Failed(problem) => message.problem = Some(tls_problem(&problem, self.established)),
            }
        }
        message.deciphered = (!data.is_empty()).then(|| data.into());
    }
}

fn how(exchange: &Exchange) -> How {
    if exchange.encrypted() { How::Rc4 } else { How::Clear }
}

fn answered(asked: &Asked) -> Message {
    let mut message = Message::new(What::Answer, how(&asked.exchange));
    message.request =
        Some(asked.exchange.body()).filter(|body| matches!(body.first(), Some(0x30..=0x3F))).map(Into::into);
    message
}

/// Whether a stream without a packet looks like MEP traffic, as far as that can be told without a key: messages whose parts
/// fit, or many in a row whose lengths lead from one to the next.
pub(crate) fn looks_like_mep(bytes: &[u8]) -> bool {
    let (mut at, mut row, mut fits) = (0, 0, 0);
    while let Some(size) = size_at(bytes, at) {
        let Some(body) = bytes.get(at + LENGTH..at + LENGTH + size) else { break };
        if let Some(&code) = body.first() {
            if size < ANSWER && !TLS_RESPONSES.contains(&code) && code != Request::Terminate as u8 {
                return false;
            }
            row += 1;
            fits += usize::from(plausible(body));
        }
        at += LENGTH + size;
        if row >= CHAIN || fits >= 2 {
            return true;
        }
    }
    // A short one must end where its last message ends.
    at == bytes.len() && (fits > 0 || row >= 3)
}

/// The length field there, if it may be one.
fn size_at(bytes: &[u8], at: usize) -> Option<usize> {
    let size = u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?);
    Some(usize::from(size)).filter(|size| *size <= MAX_BODY)
}

const TLS_RESPONSES: [u8; 4] = [response::SUCCESS, response::TLS_ERROR, response::INVALID_KEY, response::INVALID_STATE];

/// Whether bytes are whole TLS records.
fn are_records(mut bytes: &[u8]) -> bool {
    if bytes.is_empty() {
        return false;
    }
    while !bytes.is_empty() {
        let Some(&[0x14..=0x17, 3, _, high, low]) = bytes.first_chunk::<5>() else { return false };
        let Some(rest) = bytes.get(5 + usize::from(u16::from_be_bytes([high, low]))..) else { return false };
        bytes = rest;
    }
    true
}

fn is_tls_request(body: &[u8]) -> bool {
    let requests = [Request::Terminate, Request::Handshake, Request::HandshakeCont, Request::Table];
    requests.iter().any(|request| *request as u8 == body[0]) && are_records(&body[1..])
}

fn is_refusal(body: &[u8]) -> bool {
    body[0] == AUTHENTICATION_FAILURE && matches!(body.len(), 1 | ANSWER)
}

fn problem(code: &'static str, reason: impl Into<Cow<'static, str>>) -> Box<Problem> {
    Box::new(Problem { code, reason: reason.into() })
}

fn digest_problem() -> Box<Problem> {
    problem(
        "mep.digest",
        "the digest of a message fits none of the keys, while that of others does: the line damaged it, or it was made with \
         another key; give all keys, or capture it again",
    )
}

fn replay_problem() -> Box<Problem> {
    problem(
        "mep.replay",
        "an answer that was given before, to another request, stands in place of an answer: somebody plays a recording, or \
         the capture holds it twice",
    )
}

fn handshake_problem() -> Box<Problem> {
    problem(
        "mep.tls_handshake",
        "TLS records of a session whose handshake is not in the capture: without it no key opens them; capture from the \
         handshake on",
    )
}

fn tls_problem(failed: &tls::Problem, established: bool) -> Box<Problem> {
    match failed {
        tls::Problem::Alert(_) => problem("mep.tls_alert", failed.to_string()),
        tls::Problem::BadRecord | tls::Problem::Finished if established => problem(
            "mep.tls_record",
            "a TLS record cannot be deciphered: it is damaged, or too many before it are missing; capture it again",
        ),
        tls::Problem::BadRecord | tls::Problem::Finished => problem(
            "mep.tls_key",
            "none of the keys opens this TLS session; give the one that its client used, the advanced (MAK) or the basic key \
             (MBK)",
        ),
        _ => problem("mep.tls_record", format!("the TLS session cannot be followed: {failed}")),
    }
}
