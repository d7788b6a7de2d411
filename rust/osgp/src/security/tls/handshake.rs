//! The handshake's messages: parsed with every length checked, and written. Source: RFC 5246 section 7.4, RFC 4279.

use super::problem::Problem;
use super::record::{VERSION, handshake, kind};
use super::schedule::{RANDOM, VERIFY};

const SUITE: u16 = 0x00A9;
/// Stands for an empty renegotiation_info. Source: RFC 5746 section 3.3.
const RENEGOTIATION_SCSV: u16 = 0x00FF;
const RENEGOTIATION_INFO: u16 = 0xFF01;
pub(super) const MAX_SESSION_ID: usize = 32;
/// How many of the client's suites an error tells.
const TOLD: usize = 16;

/// The parts of a ClientHello that matter here.
pub(super) struct ClientHello {
    pub(super) random: [u8; RANDOM],
    /// Whether the client wants to see it in the answer.
    pub(super) renegotiation_info: bool,
}

/// Takes a message apart; what does not add up is a problem.
struct Cursor<'a> {
    data: &'a [u8],
    what: &'static str,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, size: usize) -> Result<&'a [u8], Problem> {
        let (part, rest) = self.data.split_at_checked(size).ok_or(Problem::Decode(self.what))?;
        self.data = rest;
        Ok(part)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let (part, rest) = self.data.split_first_chunk().ok_or(Problem::Decode(self.what))?;
        self.data = rest;
        Ok(*part)
    }

    fn u16(&mut self) -> Result<u16, Problem> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn u8(&mut self) -> Result<u8, Problem> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// A vector behind its length of one byte.
    fn short(&mut self) -> Result<&'a [u8], Problem> {
        let size = self.u8()?;
        self.take(size.into())
    }

    /// A vector behind its length of two bytes.
    fn long(&mut self) -> Result<&'a [u8], Problem> {
        let size = self.u16()?;
        self.take(size.into())
    }

    fn end(&self) -> Result<(), Problem> {
        if self.data.is_empty() { Ok(()) } else { Err(Problem::Decode(self.what)) }
    }
}

/// A ClientHello with the one suite, no session and no extensions, as the guide's example has it (p. 14).
pub(super) fn client_hello(random: &[u8; RANDOM]) -> Vec<u8> {
    let suites = [SUITE.to_be_bytes(), RENEGOTIATION_SCSV.to_be_bytes()].concat();
    let body = [&VERSION.to_be_bytes(), random.as_slice(), &[0, 0, 4], &suites, &[1, 0]].concat();
    handshake(kind::CLIENT_HELLO, &body)
}

/// Check that the client speaks this suite.
pub(super) fn parse_client_hello(body: &[u8]) -> Result<ClientHello, Problem> {
    let what = "client_hello";
    let mut cursor = Cursor { data: body, what };
    let (version, random) = (cursor.u16()?, cursor.array()?);
    let (session, offered, compressions) = (cursor.short()?, cursor.long()?, cursor.short()?);
    let extensions = extensions(cursor)?;
    if session.len() > MAX_SESSION_ID || offered.len() % 2 == 1 || offered.is_empty() || compressions.is_empty() {
        return Err(Problem::Decode(what));
    }
    if version < VERSION {
        return Err(Problem::Version(version));
    }
    let mut suites = offered.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair));
    let offers = |suite| suites.clone().any(|offered| offered == suite);
    if !offers(SUITE) {
        let told = suites.by_ref().take(TOLD).collect();
        return Err(Problem::Suites(told, suites.next().is_some()));
    }
    if !compressions.contains(&0) {
        return Err(Problem::Compression);
    }
    let info = extensions.iter().find(|(of, _)| *of == RENEGOTIATION_INFO);
    if info.is_some_and(|(_, data)| *data != [0]) {
        return Err(Problem::Renegotiation);
    }
    Ok(ClientHello { random, renegotiation_info: info.is_some() || offers(RENEGOTIATION_SCSV) })
}

/// A ServerHello. The session id (at most 32 bytes) is for show: nothing is resumed.
pub(super) fn server_hello(random: &[u8; RANDOM], session_id: &[u8], renegotiation_info: bool) -> Vec<u8> {
    let session = [&[session_id.len() as u8], session_id].concat();
    let info: &[u8] = if renegotiation_info { &[0, 5, 0xFF, 1, 0, 1, 0] } else { &[] };
    let body = [&VERSION.to_be_bytes(), random.as_slice(), &session, &SUITE.to_be_bytes(), &[0], info].concat();
    handshake(kind::SERVER_HELLO, &body)
}

/// Check that the server took what was offered; give its random bytes.
pub(super) fn parse_server_hello(body: &[u8]) -> Result<[u8; RANDOM], Problem> {
    let what = "server_hello";
    let mut cursor = Cursor { data: body, what };
    let (version, random) = (cursor.u16()?, cursor.array()?);
    let (session, suite, compression) = (cursor.short()?, cursor.u16()?, cursor.u8()?);
    let extensions = extensions(cursor)?;
    if session.len() > MAX_SESSION_ID {
        return Err(Problem::Decode(what));
    }
    if version != VERSION {
        return Err(Problem::Version(version));
    }
    if suite != SUITE {
        return Err(Problem::Suite(suite));
    }
    if compression != 0 {
        return Err(Problem::Compression);
    }
    for (of, data) in extensions {
        if of != RENEGOTIATION_INFO {
            return Err(Problem::Extension(of));
        }
        if data != [0] {
            return Err(Problem::Renegotiation);
        }
    }
    Ok(random)
}

/// An identity hint, which is of no use here: the identity is given.
pub(super) fn check_server_key_exchange(body: &[u8]) -> Result<(), Problem> {
    let mut cursor = Cursor { data: body, what: "server_key_exchange" };
    cursor.long()?;
    cursor.end()
}

/// It is empty.
pub(super) fn check_server_hello_done(body: &[u8]) -> Result<(), Problem> {
    Cursor { data: body, what: "server_hello_done" }.end()
}

/// The identity, which tells the server which key is meant. Its length was checked.
pub(super) fn client_key_exchange(identity: &[u8]) -> Vec<u8> {
    let size = (identity.len() as u16).to_be_bytes();
    handshake(kind::CLIENT_KEY_EXCHANGE, &[&size, identity].concat())
}

/// The identity.
pub(super) fn parse_client_key_exchange(body: &[u8]) -> Result<&[u8], Problem> {
    let mut cursor = Cursor { data: body, what: "client_key_exchange" };
    let identity = cursor.long()?;
    cursor.end()?;
    Ok(identity)
}

/// The verify data.
pub(super) fn parse_finished(body: &[u8]) -> Result<&[u8], Problem> {
    if body.len() == VERIFY { Ok(body) } else { Err(Problem::Decode("finished")) }
}

/// Extensions in their order; there may be none. The cursor ends with them.
fn extensions(mut cursor: Cursor<'_>) -> Result<Vec<(u16, &[u8])>, Problem> {
    let mut found = Vec::new();
    let what = cursor.what;
    if !cursor.data.is_empty() {
        let mut inner = Cursor { data: cursor.long()?, what };
        cursor.end()?;
        while !inner.data.is_empty() {
            found.push((inner.u16()?, inner.long()?));
        }
        let mut kinds: Vec<u16> = found.iter().map(|(of, _)| *of).collect();
        kinds.sort_unstable();
        if kinds.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Problem::Decode(what));
        }
    }
    Ok(found)
}
