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

use super::key::Key;

/// Bytes of a digest.
pub const SIZE: usize = 8;

/// The digest under way: what a request leaves, its response goes on with.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct State {
    cells: Cells,
    /// Rounds of eight steps taken of the pass.
    round: usize,
    /// Bytes that do not fill a round yet.
    waiting: [u8; SIZE],
    waits: usize,
}

/// The eight cells in the order in which they are filled, cell 7 first: those at even places and those at odd ones, each in
/// 16 bits, so that sums do not run into a neighbour.
#[derive(Clone, Copy, Zeroize)]
struct Cells {
    even: u64,
    odd: u64,
}

/// Four numbers of 16 bits.
const fn lanes(all: [u16; 4]) -> u64 {
    all[0] as u64 | (all[1] as u64) << 16 | (all[2] as u64) << 32 | (all[3] as u64) << 48
}

/// The same number in each lane.
const fn each(number: u16) -> u64 {
    lanes([number; 4])
}

/// The numbers of the cells.
const NUMBERS: Cells = Cells { even: lanes([7, 5, 3, 1]), odd: lanes([6, 4, 2, 0]) };
/// The key's bit for each place.
const BITS: Cells = Cells { even: lanes([1, 4, 16, 64]), odd: lanes([2, 8, 32, 128]) };

/// Cells rotated as the key's bits say: to the left, or to the right and with the sign turned. What stands above the low
/// eight bits of a lane means nothing.
///
/// Nothing overflows its lane, so nothing is checked: this is half the work of reading a capture.
#[inline(always)]
fn turned(cells: u64, numbers: u64, bits: u64, key: u64) -> u64 {
    let left_ones = ((key & bits).wrapping_add(each(0x7FFF)) >> 15 & each(1)).wrapping_mul(0xFFFF);
    let mixed = cells.wrapping_add(numbers) & each(0xFF) ^ each(0xFF);
    let left = mixed << 1 | mixed >> 7 & each(1);
    let right = each(0x100).wrapping_sub((mixed << 8 | mixed) >> 1 & each(0xFF));
    right ^ (left ^ right) & left_ones
}

impl Cells {
    /// Eight steps, which use the eight bits of one byte of the key and go once round the cells. Each cell is a sum with the
    /// one before it, so all of them are running sums: a product with 1s gives those of four lanes.
    #[inline(always)]
    fn round(self, key: u8, data: u64) -> Self {
        let key = u64::from(key).wrapping_mul(each(1));
        let last = self.odd >> 48;
        let (even_data, odd_data) = ((data & each(0xFF)).wrapping_add(last), data >> 8 & each(0xFF));
        let even = turned(self.even, NUMBERS.even, BITS.even, key).wrapping_add(even_data).wrapping_mul(each(1));
        let odd = turned(self.odd, NUMBERS.odd, BITS.odd, key).wrapping_add(odd_data).wrapping_mul(each(1));
        Self { even: even.wrapping_add(odd << 16) & each(0xFF), odd: even.wrapping_add(odd) & each(0xFF) }
    }
}

impl State {
    /// Nothing taken yet.
    pub(crate) fn new() -> Self {
        Self { cells: Cells { even: 0, odd: 0 }, round: 0, waiting: [0; SIZE], waits: 0 }
    }

    /// Rounds of a pass: the bytes of the key one and a half times, of six bytes once.
    fn pass(key: &[u8]) -> usize {
        if key.len() == 6 { 6 } else { key.len() + key.len() / 2 }
    }

    /// Take some bytes.
    pub(crate) fn absorb(&mut self, key: &Key, mut data: &[u8]) {
        let key = key.bytes();
        if self.waits > 0 {
            let (lead, rest) = data.split_at(data.len().min(SIZE - self.waits));
            self.waiting[self.waits..].iter_mut().zip(lead).for_each(|(to, from)| *to = *from);
            self.waits += lead.len();
            data = rest;
            if self.waits < SIZE {
                return;
            }
            self.waits = 0;
            self.rounds(key, &[self.waiting]);
        }
        let (whole, rest) = data.as_chunks();
        self.rounds(key, whole);
        self.waiting.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.waits = rest.len();
    }

    fn rounds(&mut self, key: &[u8], data: &[[u8; SIZE]]) {
        let pass = Self::pass(key);
        let (mut cells, mut round) = (self.cells, self.round);
        for bytes in data {
            let at = if round < key.len() { round } else { round - key.len() };
            cells = cells.round(key[at], u64::from_le_bytes(*bytes));
            round += 1;
            if round == pass {
                round = 0;
            }
        }
        (self.cells, self.round) = (cells, round);
    }

    /// The digest of what was taken, after zeros up to the end of the pass; `empty`: the last part was, and takes a pass.
    pub(crate) fn finish(mut self, key: &Key, empty: bool) -> [u8; SIZE] {
        let key = key.bytes();
        let begun = self.waits > 0;
        if begun {
            self.waiting[self.waits..].fill(0);
            self.rounds(key, &[self.waiting]);
        }
        if self.round > 0 || empty && !begun {
            for round in self.round..Self::pass(key) {
                let at = if round < key.len() { round } else { round - key.len() };
                self.cells = self.cells.round(key[at], 0);
            }
        }
        let mut cells = (self.cells.even | self.cells.odd << 8).to_le_bytes();
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
