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
    cells: [u8; SIZE],
    step: usize,
}

impl State {
    /// Nothing taken yet.
    pub(crate) fn new() -> Self {
        Self { cells: [0; SIZE], step: 0 }
    }

    /// Steps of a pass: the bits of the key one and a half times, of six bytes once.
    fn pass(key: &[u8]) -> usize {
        if key.len() == 6 { 48 } else { (key.len() + key.len() / 2) * 8 }
    }

    /// Take some bytes.
    pub(crate) fn absorb(&mut self, key: &Key, data: &[u8]) {
        let key = key.bytes();
        // Single steps up to a byte of the key, then eight at once.
        let lead = data.len().min((SIZE - self.step % SIZE) % SIZE);
        let (lead, rest) = data.split_at(lead);
        self.steps(key, lead);
        let (groups, tail) = rest.as_chunks::<SIZE>();
        for group in groups {
            self.group(key, group);
        }
        self.steps(key, tail);
    }

    fn steps(&mut self, key: &[u8], data: &[u8]) {
        for byte in data {
            let cell = 7 - self.step % SIZE;
            let bits = key[self.step / SIZE % key.len()];
            self.cells[cell] = mix(&self.cells, cell, bits >> (self.step % SIZE), *byte);
            self.step = (self.step + 1) % Self::pass(key);
        }
    }

    /// Eight steps, which use the eight bits of one byte of the key and go once round the cells.
    fn group(&mut self, key: &[u8], data: &[u8; SIZE]) {
        let at = self.step / SIZE;
        let bits = key[if at < key.len() { at } else { at - key.len() }];
        for (i, byte) in data.iter().enumerate() {
            self.cells[7 - i] = mix(&self.cells, 7 - i, bits >> i, *byte);
        }
        self.step += SIZE;
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
        const PASS: [u8; (super::key::USED + super::key::USED / 2) * 8] =
            [0; (super::key::USED + super::key::USED / 2) * 8];
        self.absorb(key, &PASS[..zeros]);
        self.cells
    }
}

/// What a cell becomes; the lowest bit of `bits` is the key's.
#[inline(always)]
fn mix(cells: &[u8; SIZE], cell: usize, bits: u8, byte: u8) -> u8 {
    let mixed = !cells[cell].wrapping_add(cell as u8);
    let mask = (bits & 1).wrapping_neg();
    let turned = mixed.rotate_left(1) & mask | mixed.rotate_right(1).wrapping_neg() & !mask;
    cells[(cell + 1) % SIZE].wrapping_add(byte).wrapping_add(turned)
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
