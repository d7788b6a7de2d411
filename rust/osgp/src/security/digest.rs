//! The OSGP digest: eight bytes that a key and a message give. Broken: a few thousand of them give the key away.
//!
//! Eight cells are filled one after another, from the last to the first and round again. Every byte of the message makes
//! one step: its cell becomes the sum of the cell before it, the byte, and a rotation of the cell itself, whose direction
//! and sign are one bit of the key. The key's bits are used from the lowest of its first byte; one pass takes the whole key
//! and the first half of it again, and a key of six bytes once. At the end, zeros are taken until the pass is complete.
//!
//! Source: MEP guide pp. 249-253, Appendix A. It gives two ways to the digest of a request, at once or by finishing the
//! state that the response goes on with. They differ where the message fills passes exactly (192 bytes with a key of 16):
//! the second then adds a pass of zeros. Here it is done at once, as p. 250 does it.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::key::{Key, USED};

/// Bytes of a digest.
pub const SIZE: usize = 8;

/// The digest under way: what a request leaves, its response goes on with.
///
/// The cells are the bytes of a number in the order in which they are filled, from the lowest: cell 7 is the first.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct State {
    cells: u64,
    step: usize,
}

/// A byte in each of the eight places.
const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; SIZE])
}

/// The numbers of the cells.
const NUMBERS: u64 = u64::from_le_bytes([7, 6, 5, 4, 3, 2, 1, 0]);
/// Bit n in place n.
const DIAGONAL: u64 = u64::from_le_bytes([1, 2, 4, 8, 16, 32, 64, 128]);
/// A whole pass of zeros, of the longest key.
const ZEROS: [u8; (USED + USED / 2) * 8] = [0; (USED + USED / 2) * 8];

/// The sums of the bytes in each place.
fn sums(a: u64, b: u64) -> u64 {
    (a & each(0x7F)).wrapping_add(b & each(0x7F)) ^ (a ^ b) & each(0x80)
}

impl State {
    /// Nothing taken yet.
    pub(crate) fn new() -> Self {
        Self { cells: 0, step: 0 }
    }

    /// Steps of a pass: the bits of the key one and a half times, of six bytes once.
    fn pass(key: &[u8]) -> usize {
        if key.len() == 6 { 48 } else { (key.len() + key.len() / 2) * 8 }
    }

    /// Take some bytes.
    pub(crate) fn absorb(&mut self, key: &Key, data: &[u8]) {
        let key = key.bytes();
        // Part of a round of the cells, then whole ones.
        let lead = data.len().min((SIZE - self.step % SIZE) % SIZE);
        let (lead, rest) = data.split_at(lead);
        self.part(key, lead);
        let (rounds, tail) = rest.as_chunks::<SIZE>();
        for round in rounds {
            self.cells = self.round(key, *round);
            self.advance(key, SIZE);
        }
        self.part(key, tail);
    }

    /// Less than a round, within one.
    fn part(&mut self, key: &[u8], data: &[u8]) {
        if data.is_empty() {
            return;
        }
        let first = self.step % SIZE;
        let mut bytes = [0; SIZE];
        bytes.iter_mut().skip(first).zip(data).for_each(|(to, from)| *to = *from);
        // The sums of a round go on from the cell before it: from what this part's first cell follows.
        let last = self.cells.to_le_bytes()[(first + SIZE - 1) % SIZE];
        let turned = self.turned(key);
        let mut cells = self.cells.to_le_bytes();
        let mut before = last;
        for i in first..(first + data.len()).min(SIZE) {
            before = before.wrapping_add(bytes[i]).wrapping_add(turned.to_le_bytes()[i]);
            cells[i] = before;
        }
        self.cells = u64::from_le_bytes(cells);
        self.advance(key, data.len());
    }

    /// Every cell, rotated as the key's bits say: to the left, or to the right and with its sign turned.
    fn turned(&self, key: &[u8]) -> u64 {
        let at = self.step / SIZE;
        let bits = each(key[if at < key.len() { at } else { at - key.len() }]) & DIAGONAL;
        let left_ones = ((bits + each(0x7F)) >> 7 & each(1)) * 0xFF;
        let mixed = !sums(self.cells, NUMBERS);
        let left = mixed << 1 & each(0xFE) | mixed >> 7 & each(1);
        let right = mixed >> 1 & each(0x7F) | (mixed & each(1)) << 7;
        left & left_ones | sums(!right, each(1)) & !left_ones
    }

    /// Eight steps, which use the eight bits of one byte of the key and go once round the cells. Each cell is a sum with the
    /// one before it, so all of them are running sums.
    fn round(&self, key: &[u8], data: [u8; SIZE]) -> u64 {
        let mut out = sums(u64::from_le_bytes(data), self.turned(key));
        out = sums(out, out << 8);
        out = sums(out, out << 16);
        out = sums(out, out << 32);
        sums(out, (self.cells >> 56) * each(1))
    }

    fn advance(&mut self, key: &[u8], steps: usize) {
        self.step += steps;
        if self.step == Self::pass(key) {
            self.step = 0;
        }
    }

    /// The digest of what was taken, after zeros up to the end of the pass; `empty`: the last part was, and takes a pass.
    pub(crate) fn finish(mut self, key: &Key, empty: bool) -> [u8; SIZE] {
        let zeros = match self.step {
            0 if !empty => 0,
            step => Self::pass(key.bytes()) - step,
        };
        self.absorb(key, &ZEROS[..zeros]);
        let mut cells = self.cells.to_le_bytes();
        cells.reverse();
        cells
    }
}

/// The digest of a message; of a response together with the request that it answers (else `request` is empty).
///
/// Both start with the request or response code; a request ends with its sequence number. Neither holds the length field
/// or a digest. Who shows the result shows something of the key: compare with [`verify`], and never log it.
pub fn digest(key: &Key, request: &[u8], message: &[u8]) -> [u8; SIZE] {
    let mut state = State::new();
    state.absorb(key, request);
    state.absorb(key, message);
    state.finish(key, message.is_empty())
}

/// Whether a digest is the one of the message, compared in constant time.
pub fn verify(key: &Key, request: &[u8], message: &[u8], given: &[u8]) -> bool {
    digest(key, request, message).ct_eq(given).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::vectors::{hex, vectors};

    #[test]
    fn the_published_digest_of_a_12_byte_key() {
        let vector = &vectors()["oma_digest_96bit"];
        let key = Key::new(&hex(&vector["key"])).unwrap();
        assert_eq!(digest(&key, &[], &hex(&vector["data"])).as_slice(), hex(&vector["digest"]));
        assert!(verify(&key, &[], &hex(&vector["data"]), &hex(&vector["digest"])));
        assert!(!verify(&key, &[], &hex(&vector["data"]), &[]));
    }

    #[test]
    fn a_zero_response_adds_nothing() {
        let key = Key::new(&[1; 16]).unwrap();
        assert_eq!(digest(&key, b"request", &[0]), digest(&key, &[], b"request"));
        assert_ne!(digest(&key, b"request", &[1]), digest(&key, &[], b"request"));
    }
}
