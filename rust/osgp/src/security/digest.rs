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

#[derive(Zeroize, ZeroizeOnDrop)]
struct State {
    cells: [u8; SIZE],
    step: usize,
}

impl State {
    /// Steps of a pass: the bits of the key one and a half times, of six bytes once.
    fn pass(key: &[u8]) -> usize {
        if key.len() == 6 { 48 } else { (key.len() + key.len() / 2) * 8 }
    }

    fn absorb(&mut self, key: &[u8], data: impl Iterator<Item = u8>) {
        for byte in data {
            let cell = 7 - self.step % SIZE;
            let before = self.cells[(cell + 1) % SIZE];
            let mixed = !self.cells[cell].wrapping_add(cell as u8);
            let bit = key[self.step / 8 % key.len()] >> (self.step % 8) & 1;
            let turned = if bit == 1 { mixed.rotate_left(1) } else { mixed.rotate_right(1).wrapping_neg() };
            self.cells[cell] = before.wrapping_add(byte).wrapping_add(turned);
            self.step = (self.step + 1) % Self::pass(key);
        }
    }
}

/// The digest of a message; of a response together with the request that it answers (else `request` is empty).
///
/// Both start with the request or response code; a request ends with its sequence number. Neither holds the length field
/// or a digest. Who shows the result shows something of the key: compare with [`verify`], and never log it.
pub fn digest(key: &Key, request: &[u8], message: &[u8]) -> [u8; SIZE] {
    let key = key.bytes();
    let mut state = State { cells: [0; SIZE], step: 0 };
    state.absorb(key, request.iter().chain(message).copied());
    if state.step != 0 || message.is_empty() {
        state.absorb(key, std::iter::repeat_n(0, State::pass(key) - state.step));
    }
    state.cells
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
