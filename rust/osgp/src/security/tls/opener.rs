//! Reads recorded sessions with the key: the suite has no forward secrecy.

use std::fmt;

use sha2::{Digest, Sha384};

use super::Event;
use super::handshake;
use super::problem::{Expected, Problem};
use super::record::{Incoming, Item, State, kind};
use super::schedule::{CLIENT_FINISHED, RANDOM, SERVER_FINISHED, Secrets};
use crate::security::key::Key;

/// One session, from its ClientHello on. Give it the records of both directions in the order they were sent.
///
/// [`Event::Established`] says that both Finished messages fit; a handshake that follows needs an opener of its own. After
/// that a damaged record is an [`Event::Failed`] and is left out, and some may be missing: the recording may lack what the
/// two sides had.
pub struct Opener {
    keys: Vec<Key>,
    client: Incoming,
    server: Incoming,
    transcript: Sha384,
    client_random: Option<[u8; RANDOM]>,
    server_random: Option<[u8; RANDOM]>,
    identity: Vec<u8>,
    secrets: Vec<Secrets>,
    over: bool,
}

impl Opener {
    /// `keys`: those that may be the one; the first record that is deciphered tells which it was.
    pub fn new(keys: Vec<Key>) -> Self {
        Self {
            keys,
            client: Incoming::recorded(State::ClientHello),
            server: Incoming::recorded(State::ServerHello),
            transcript: Sha384::new(),
            client_random: None,
            server_random: None,
            identity: Vec::new(),
            secrets: Vec::new(),
            over: false,
        }
    }

    /// Take some bytes that the client sent.
    pub fn client(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.feed(bytes, true)
    }

    /// Take some bytes that the server sent.
    pub fn server(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.feed(bytes, false)
    }

    fn side(&mut self, from_client: bool) -> &mut Incoming {
        if from_client { &mut self.client } else { &mut self.server }
    }

    fn feed(&mut self, bytes: &[u8], from_client: bool) -> Vec<Event> {
        let mut events = Vec::new();
        if !self.over {
            self.side(from_client).feed(bytes);
        }
        while !self.over {
            let event = match self.side(from_client).next() {
                Ok(None) => break,
                Ok(Some(item)) if item.kind == kind::ALERT => Ok(self.alert(&item.data)),
                Ok(Some(item)) => self.take(item, from_client),
                Err(problem) => Err(problem),
            };
            events.extend(event.unwrap_or_else(|problem| {
                if problem != Problem::BadRecord || !self.side(from_client).pass_over() {
                    self.end();
                }
                Some(Event::Failed(problem))
            }));
        }
        events
    }

    fn take(&mut self, item: Item, from_client: bool) -> Result<Option<Event>, Problem> {
        match item.kind {
            kind::CLIENT_HELLO => self.client_random = Some(handshake::parse_client_hello(item.body())?.random),
            kind::SERVER_HELLO => self.server_random = Some(handshake::parse_server_hello(item.body())?),
            kind::SERVER_KEY_EXCHANGE => handshake::check_server_key_exchange(item.body())?,
            kind::SERVER_HELLO_DONE => handshake::check_server_hello_done(item.body())?,
            kind::CLIENT_KEY_EXCHANGE => self.identity = handshake::parse_client_key_exchange(item.body())?.to_vec(),
            kind::CHANGE_CIPHER_SPEC => return self.change(from_client).map(|()| None),
            kind::FINISHED => {
                if from_client {
                    self.secrets.swap(0, self.client.chosen);
                    self.secrets.truncate(1);
                }
                let label = if from_client { CLIENT_FINISHED } else { SERVER_FINISHED };
                let given = handshake::parse_finished(item.body())?;
                if !self.secrets.first().is_some_and(|secrets| secrets.is_finished(label, &self.transcript, given)) {
                    return Err(Problem::Finished);
                }
                if !from_client {
                    let (identity, which) = (self.identity.clone(), self.client.chosen);
                    return Ok(Some(Event::Established { identity, which }));
                }
            }
            kind::APPLICATION_DATA => return Ok(Some(Event::Data(item.data))),
            _ => return Ok(None),
        }
        self.transcript.update(&item.data);
        Ok(None)
    }

    /// The direction is protected from here on.
    fn change(&mut self, from_client: bool) -> Result<(), Problem> {
        if !from_client {
            // The client's Finished comes first, and with it the choice of the key.
            if self.client.state != State::Open {
                return Err(Problem::Unexpected(kind::CHANGE_CIPHER_SPEC, Expected::ClientFinished));
            }
            self.server.protections.extend(self.secrets.iter_mut().filter_map(|secrets| secrets.server.take()));
            return Ok(());
        }
        let (Some(client), Some(server)) = (&self.client_random, &self.server_random) else {
            return Err(Problem::Unexpected(kind::CHANGE_CIPHER_SPEC, Expected::State(State::ServerHello)));
        };
        if self.keys.is_empty() {
            return Err(Problem::BadRecord);
        }
        self.secrets = self.keys.iter().map(|key| Secrets::new(key, client, server)).collect();
        self.client.protections.extend(self.secrets.iter_mut().filter_map(|secrets| secrets.client.take()));
        Ok(())
    }

    fn alert(&mut self, data: &[u8]) -> Option<Event> {
        let event = match *data {
            [_, 0] => Event::Closed,
            [1, _] => return None,
            [_, description] => Event::Failed(Problem::Alert(description)),
            _ => return None,
        };
        self.end();
        Some(event)
    }

    fn end(&mut self) {
        self.over = true;
        self.secrets.clear();
        self.client = Incoming::new(State::ClientHello);
        self.server = Incoming::new(State::ServerHello);
    }
}

/// Shows neither keys nor data.
impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<TlsOpener with {} keys>", self.keys.len())
    }
}
