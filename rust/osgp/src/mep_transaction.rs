//! The reads in a transaction: what was written to ET52 and read from ET53 on a captured line.
//!
//! ```text
//!   size (2) | type (1) | number (2) | L0 (2), message, L1 (2), message, ... | number (2)
//! ```
//!
//! Least significant byte first; the messages are those of a session. The responses stand in the order of the requests, and
//! both tables have the same number at both ends when they belong together. Source: MEP guide pp. 44-50, 130-132.

use crate::image::TableId;

/// The requests. Source: MEP guide p. 130.
pub(crate) const ET52: TableId = TableId(2100);
/// The responses. Source: MEP guide p. 132.
pub(crate) const ET53: TableId = TableId(2101);
const REQUESTS: u8 = 0;
const GROUP_REQUESTS: u8 = 3;
const RESPONSES: [u8; 2] = [1, 2];
const HEAD: usize = 5;
const NUMBER: usize = 2;
/// Response code and count before the data of a read.
const READ: usize = 3;

/// Responses that no request of the capture explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch;

/// The two tables as far as they passed by.
#[derive(Default)]
pub(crate) struct Transaction {
    asked: Vec<u8>,
    told: Vec<u8>,
    done: bool,
}

/// A request and its response.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

impl Transaction {
    /// A write to ET52.
    pub(crate) fn write(&mut self, offset: usize, data: &[u8]) {
        put(&mut self.asked, offset, data);
        self.told.clear();
        self.done = false;
    }

    /// A read of ET53: the requests and their responses, once, when the responses are all there.
    pub(crate) fn read(&mut self, offset: usize, data: &[u8]) -> Result<Vec<Pair>, Mismatch> {
        put(&mut self.told, offset, data);
        let Some(told) = Table::parse(&self.told).filter(|told| !self.done && RESPONSES.contains(&told.kind)) else {
            return Ok(Vec::new());
        };
        self.done = true;
        let asked = Table::parse(&self.asked)
            .filter(|asked| [REQUESTS, GROUP_REQUESTS].contains(&asked.kind) && asked.number == told.number);
        let Some(asked) = asked else {
            let reads = told.messages.iter().any(|message| message[0] == 0 && message.len() > READ);
            return if reads { Err(Mismatch) } else { Ok(Vec::new()) };
        };
        let pairs = asked.messages.iter().zip(&told.messages);
        Ok(pairs.map(|(asked, told)| (asked.to_vec(), told.to_vec())).collect())
    }
}

/// Tables are written and read from the first byte to the last: what stands alone is left out.
fn put(table: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if offset <= table.len() {
        table.truncate(offset);
        table.extend_from_slice(data);
    }
}

struct Table<'a> {
    kind: u8,
    number: u16,
    messages: Vec<&'a [u8]>,
}

impl<'a> Table<'a> {
    /// None if it is not all there, or no transaction.
    fn parse(table: &'a [u8]) -> Option<Self> {
        let (&[a, b, kind, c, d], _) = table.split_first_chunk::<HEAD>()?;
        let (size, number) = (usize::from(u16::from_le_bytes([a, b])), u16::from_le_bytes([c, d]));
        let end = size.checked_sub(NUMBER).filter(|end| *end >= HEAD)?;
        if u16_le(table, end)? != number {
            return None;
        }
        let mut rest = table.get(HEAD..end)?;
        if kind == GROUP_REQUESTS {
            let (groups, tail) = rest.split_first()?;
            rest = tail.get(2 * usize::from(*groups)..)?;
        }
        let mut messages = Vec::new();
        while !rest.is_empty() {
            let len = usize::from(u16_le(rest, 0)?);
            let message = rest.get(2..2 + len).filter(|message| !message.is_empty())?;
            messages.push(message);
            rest = &rest[2 + len..];
        }
        Some(Self { kind, number, messages })
    }
}

fn u16_le(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}
