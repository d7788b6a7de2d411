//! The two sides of a session: [`Client`] and [`Server`].

use std::fmt;

use sha2::{Digest, Sha384};

use super::Event;
use super::handshake::{self, MAX_SESSION_ID};
use super::problem::Problem;
use super::record::{self, Incoming, Item, MAX_PLAIN, Protection, State, emit, kind};
use super::schedule::{CLIENT_FINISHED, RANDOM, SERVER_FINISHED, Secrets};
use crate::security::key::Key;

/// The longest identity that every implementation takes. Source: RFC 4279 section 5.3.
const MAX_IDENTITY: usize = 128;
const WARNING: u8 = 1;
const FATAL: u8 = 2;
const CLOSE_NOTIFY: [u8; 2] = [WARNING, 0];

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is under way.
    Handshake,
    /// Data may be sent.
    Open,
    /// One side said that it is done.
    Closed,
    /// Something was wrong.
    Failed,
}

impl Status {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Failed => "failed",
        }
    }

    fn over(self) -> bool {
        matches!(self, Self::Closed | Self::Failed)
    }
}

/// What a caller did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// Data before the session is open, or after.
    NotOpen(Status),
    /// More data than a record holds.
    TooLong(usize),
    /// An identity without bytes, or with too many.
    IdentityLength(usize),
    /// A session id with too many bytes.
    SessionId(usize),
}

impl Misuse {
    /// The stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotOpen(_) => "tls.not_open",
            Self::TooLong(_) => "tls.too_long",
            Self::IdentityLength(_) => "tls.identity_length",
            Self::SessionId(_) => "tls.session_id",
        }
    }

    /// What to do next; may be empty.
    pub fn hint(&self) -> &'static str {
        if matches!(self, Self::NotOpen(_)) { "send when it is established" } else { "" }
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpen(status) => write!(f, "the session is not open but {}", status.name()),
            Self::TooLong(len) => write!(f, "{len} bytes; a record holds at most {MAX_PLAIN}"),
            Self::IdentityLength(len) => write!(f, "an identity of {len} bytes; it has 1 to {MAX_IDENTITY}"),
            Self::SessionId(len) => write!(f, "a session id of {len} bytes; it has at most {MAX_SESSION_ID}"),
        }
    }
}

impl std::error::Error for Misuse {}

/// What both sides share.
struct Endpoint {
    start: State,
    random: [u8; RANDOM],
    incoming: Incoming,
    outgoing: Option<Protection>,
    transcript: Sha384,
    secrets: Option<Secrets>,
    identity: Vec<u8>,
    status: Status,
    to_send: Vec<u8>,
}

impl Endpoint {
    fn new(start: State, random: [u8; RANDOM]) -> Self {
        Self {
            start,
            random,
            incoming: Incoming::new(start),
            outgoing: None,
            transcript: Sha384::new(),
            secrets: None,
            identity: Vec::new(),
            status: Status::Handshake,
            to_send: Vec::new(),
        }
    }

    fn feed(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(&mut Self, Item) -> Result<Option<Event>, Problem>,
    ) -> (Vec<u8>, Vec<Event>) {
        let mut events = Vec::new();
        if !self.status.over() {
            self.incoming.feed(bytes);
        }
        while !self.status.over() {
            let event = match self.incoming.next() {
                Ok(None) => break,
                Ok(Some(item)) if item.kind == kind::ALERT => Ok(self.alert(&item.data)),
                Ok(Some(item)) => take(self, item),
                Err(problem) => Err(problem),
            };
            events.extend(event.unwrap_or_else(|problem| Some(self.fail(problem))));
        }
        (std::mem::take(&mut self.to_send), events)
    }

    fn alert(&mut self, data: &[u8]) -> Option<Event> {
        match *data {
            [_, 0] => {
                self.say_alert(CLOSE_NOTIFY);
                self.end(Status::Closed);
                Some(Event::Closed)
            }
            [WARNING, _] => None,
            [_, description] => {
                self.end(Status::Failed);
                Some(Event::Failed(Problem::Alert(description)))
            }
            _ => None,
        }
    }

    fn fail(&mut self, problem: Problem) -> Event {
        self.say_alert([FATAL, problem.alert()]);
        self.end(Status::Failed);
        Event::Failed(problem)
    }

    fn end(&mut self, status: Status) {
        self.status = status;
        self.secrets = None;
        self.outgoing = None;
        self.incoming = Incoming::new(self.start);
    }

    fn send(&mut self, data: &[u8]) -> Result<Vec<u8>, Misuse> {
        if self.status != Status::Open {
            return Err(Misuse::NotOpen(self.status));
        }
        if data.len() > MAX_PLAIN {
            return Err(Misuse::TooLong(data.len()));
        }
        Ok(emit(kind::APPLICATION_DATA, data, self.outgoing.as_mut()))
    }

    fn close(&mut self) -> Vec<u8> {
        if self.status.over() {
            return Vec::new();
        }
        self.say_alert(CLOSE_NOTIFY);
        self.end(Status::Closed);
        std::mem::take(&mut self.to_send)
    }

    fn say_alert(&mut self, alert: [u8; 2]) {
        self.to_send.extend(emit(kind::ALERT, &alert, self.outgoing.as_mut()));
    }

    /// Send a handshake message.
    fn say(&mut self, message: &[u8]) {
        self.transcript.update(message);
        self.to_send.extend(emit(kind::HANDSHAKE, message, self.outgoing.as_mut()));
    }

    fn change_and_finish(&mut self, label: &[u8], outgoing: Option<Protection>) {
        let Some(secrets) = &self.secrets else { return };
        let verify = secrets.finished(label, &self.transcript);
        self.to_send.extend(emit(kind::CHANGE_CIPHER_SPEC, &[1], None));
        self.outgoing = outgoing;
        self.say(&record::handshake(kind::FINISHED, &verify));
    }

    fn check_finished(&mut self, label: &[u8], item: &Item) -> Result<(), Problem> {
        let given = handshake::parse_finished(item.body())?;
        if !self.secrets.as_ref().is_some_and(|secrets| secrets.is_finished(label, &self.transcript, given)) {
            return Err(Problem::Finished);
        }
        self.transcript.update(&item.data);
        Ok(())
    }

    fn established(&mut self, which: usize) -> Event {
        self.status = Status::Open;
        Event::Established { identity: self.identity.clone(), which }
    }
}

/// The side that asks: the MEP device.
pub struct Client {
    endpoint: Endpoint,
    key: Key,
    hello: Vec<u8>,
}

impl Client {
    /// `identity`: 1 to 128 raw bytes, see [`super::identity`]; `random`: bytes that were never used before.
    pub fn new(identity: &[u8], key: &Key, random: [u8; RANDOM]) -> Result<Self, Misuse> {
        if !(1..=MAX_IDENTITY).contains(&identity.len()) {
            return Err(Misuse::IdentityLength(identity.len()));
        }
        let hello = handshake::client_hello(&random);
        let mut endpoint = Endpoint::new(State::ServerHello, random);
        endpoint.identity = identity.to_vec();
        endpoint.transcript.update(&hello);
        Ok(Self { endpoint, key: key.clone(), hello })
    }

    /// The ClientHello that begins the session; the same each time.
    pub fn start(&self) -> Vec<u8> {
        emit(kind::HANDSHAKE, &self.hello, None)
    }

    /// Take what was received, in any chunks; give what to send and what happened. What comes after the end is ignored.
    pub fn feed(&mut self, bytes: &[u8]) -> (Vec<u8>, Vec<Event>) {
        let key = &self.key;
        self.endpoint.feed(bytes, |this, item| {
            match item.kind {
                kind::SERVER_HELLO => {
                    let server_random = handshake::parse_server_hello(item.body())?;
                    this.secrets = Some(Secrets::new(key, &this.random, &server_random));
                    this.transcript.update(&item.data);
                }
                kind::SERVER_KEY_EXCHANGE => {
                    handshake::check_server_key_exchange(item.body())?;
                    this.transcript.update(&item.data);
                }
                kind::SERVER_HELLO_DONE => {
                    handshake::check_server_hello_done(item.body())?;
                    this.transcript.update(&item.data);
                    this.say(&handshake::client_key_exchange(&this.identity.clone()));
                    let outgoing = this.secrets.as_mut().and_then(|secrets| secrets.client.take());
                    this.change_and_finish(CLIENT_FINISHED, outgoing);
                }
                kind::CHANGE_CIPHER_SPEC => {
                    let protection = this.secrets.as_mut().and_then(|secrets| secrets.server.take());
                    this.incoming.protections.extend(protection);
                }
                kind::FINISHED => {
                    this.check_finished(SERVER_FINISHED, &item)?;
                    return Ok(Some(this.established(0)));
                }
                kind::APPLICATION_DATA => return Ok(Some(Event::Data(item.data))),
                _ => {}
            }
            Ok(None)
        })
    }

    /// Application data as one record.
    pub fn send(&mut self, data: &[u8]) -> Result<Vec<u8>, Misuse> {
        self.endpoint.send(data)
    }

    /// Say that nothing follows; empty if the session is over already.
    pub fn close(&mut self) -> Vec<u8> {
        self.endpoint.close()
    }

    /// Where the session stands.
    pub fn status(&self) -> Status {
        self.endpoint.status
    }
}

/// The side that answers: the meter.
pub struct Server {
    endpoint: Endpoint,
    keys: Vec<(u8, Key)>,
    client_random: [u8; RANDOM],
    session_id: Vec<u8>,
}

impl Server {
    /// `keys`: by key id, the last byte of an identity; `random`: bytes that were never used before; `session_id`: up to
    /// 32 bytes that are shown and mean nothing, as meters do it.
    pub fn new(keys: Vec<(u8, Key)>, random: [u8; RANDOM], session_id: &[u8]) -> Result<Self, Misuse> {
        if session_id.len() > MAX_SESSION_ID {
            return Err(Misuse::SessionId(session_id.len()));
        }
        let endpoint = Endpoint::new(State::ClientHello, random);
        Ok(Self { endpoint, keys, client_random: [0; RANDOM], session_id: session_id.to_vec() })
    }

    /// Take what was received, in any chunks; give what to send and what happened. What comes after the end is ignored.
    pub fn feed(&mut self, bytes: &[u8]) -> (Vec<u8>, Vec<Event>) {
        let Self { endpoint, keys, client_random, session_id } = self;
        endpoint.feed(bytes, |this, item| {
            match item.kind {
                kind::CLIENT_HELLO => {
                    let hello = handshake::parse_client_hello(item.body())?;
                    *client_random = hello.random;
                    this.transcript.update(&item.data);
                    this.say(&handshake::server_hello(&this.random, session_id, hello.renegotiation_info));
                    this.say(&record::handshake(kind::SERVER_HELLO_DONE, &[]));
                }
                kind::CLIENT_KEY_EXCHANGE => {
                    let named = handshake::parse_client_key_exchange(item.body())?;
                    let key = match *named {
                        [_, _, key_id] => keys.iter().find(|(id, _)| *id == key_id),
                        _ => None,
                    };
                    let (_, key) = key.ok_or(Problem::Identity(named.len()))?;
                    this.identity = named.to_vec();
                    this.secrets = Some(Secrets::new(key, client_random, &this.random));
                    this.transcript.update(&item.data);
                }
                kind::CHANGE_CIPHER_SPEC => {
                    let protection = this.secrets.as_mut().and_then(|secrets| secrets.client.take());
                    this.incoming.protections.extend(protection);
                }
                kind::FINISHED => {
                    this.check_finished(CLIENT_FINISHED, &item)?;
                    let outgoing = this.secrets.as_mut().and_then(|secrets| secrets.server.take());
                    this.change_and_finish(SERVER_FINISHED, outgoing);
                    let key_id = this.identity.last().copied().unwrap_or_default();
                    return Ok(Some(this.established(key_id.into())));
                }
                kind::APPLICATION_DATA => return Ok(Some(Event::Data(item.data))),
                _ => {}
            }
            Ok(None)
        })
    }

    /// Application data as one record.
    pub fn send(&mut self, data: &[u8]) -> Result<Vec<u8>, Misuse> {
        self.endpoint.send(data)
    }

    /// Say that nothing follows; empty if the session is over already.
    pub fn close(&mut self) -> Vec<u8> {
        self.endpoint.close()
    }

    /// Where the session stands.
    pub fn status(&self) -> Status {
        self.endpoint.status
    }
}

/// Shows neither keys nor data.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<TlsClient, {}>", self.status().name())
    }
}

/// Shows neither keys nor data.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<TlsServer, {}>", self.status().name())
    }
}
