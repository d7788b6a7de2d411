//! RC4 as the MEP port uses it. Broken since 2001; the guide itself says to use TLS instead (MEP guide p. 8).
//!
//! Every message has a key of its own: the MEP key enciphers a constant, and the request's digest is added to the first half
//! of what comes out. The response goes on with the state that the request left. Source: MEP guide pp. 255-257, Appendix B.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::digest;
use super::key::{Key, USED};

/// The constant that the MEP key enciphers. Source: MEP guide p. 257.
const CONSTANT: [u8; USED] =
    [0x38, 0x8B, 0x8F, 0xBC, 0x36, 0xA8, 0x55, 0x85, 0x87, 0xAF, 0xC9, 0x0F, 0xB2, 0x3A, 0x3B, 0x99];

/// The cipher: the same call enciphers and deciphers, and goes on where the last one ended.
///
/// Bytes in words: a processor that stores one reads it back sooner.
#[derive(Clone)]
pub struct Rc4 {
    state: [u32; 256],
    i: u8,
    j: u8,
}

/// Wiped at once and not byte by byte: there is one for every message.
impl Drop for Rc4 {
    fn drop(&mut self) {
        self.state = [0; 256];
        (self.i, self.j) = (0, 0);
        zeroize::optimization_barrier(self);
    }
}

impl Rc4 {
    /// A cipher with a key of at most 256 bytes; None if it is empty or longer.
    pub fn new(key: &[u8]) -> Option<Self> {
        if let Ok(whole) = key.try_into() {
            return Some(Self::keyed_whole(whole));
        }
        (1..=256).contains(&key.len()).then(|| Self::keyed(key))
    }

    fn keyed(key: &[u8]) -> Self {
        let mut state: [u32; 256] = std::array::from_fn(|i| i as u32);
        let mut walk = Walk { state: &mut state, j: 0, a: 0 };
        for (i, byte) in (0..256usize).zip(key.iter().cycle()) {
            walk.swap(i as u8, *byte);
        }
        Self { state, i: 0, j: 0 }
    }

    /// The same with a key of the usual length, which divides the state's.
    fn keyed_whole(key: &[u8; USED]) -> Self {
        let mut state: [u32; 256] = std::array::from_fn(|i| i as u32);
        let mut walk = Walk { state: &mut state, j: 0, a: 0 };
        for i in 0..256usize {
            walk.swap(i as u8, key[i % USED]);
        }
        Self { state, i: 0, j: 0 }
    }

    /// Encipher or decipher the next bytes in place.
    pub fn apply(&mut self, data: &mut [u8]) {
        let mut i = self.i.wrapping_add(1);
        let a = self.state[usize::from(i)];
        let mut walk = Walk { state: &mut self.state, j: self.j, a };
        let mut next = || {
            let at = walk.swap(i, 0);
            i = i.wrapping_add(1);
            walk.state[usize::from(at)] as u8
        };
        // Whole words at a time touch the data seldom.
        let (words, rest) = data.as_chunks_mut::<8>();
        for word in words {
            let stream: [u8; 8] = std::array::from_fn(|_| next());
            *word = (u64::from_ne_bytes(*word) ^ u64::from_ne_bytes(stream)).to_ne_bytes();
        }
        for byte in rest {
            *byte ^= next();
        }
        self.j = walk.j;
        self.i = i.wrapping_sub(1);
    }
}

/// A walk along the state, in registers. `a` is the cell of the next step, read before this step stores two cells: else each
/// step would wait for the stores of the one before, which mostly went elsewhere.
struct Walk<'s> {
    state: &'s mut [u32; 256],
    j: u8,
    a: u32,
}

impl Walk<'_> {
    /// Swap cell `i` with the one that it and `more` lead to. Gives the sum of the two.
    #[inline(always)]
    fn swap(&mut self, i: u8, more: u8) -> u8 {
        let a = self.a;
        self.j = self.j.wrapping_add(a as u8).wrapping_add(more);
        let b = self.state[usize::from(self.j)];
        let following = i.wrapping_add(1);
        let ahead = self.state[usize::from(following)];
        self.state[usize::from(i)] = b;
        self.state[usize::from(self.j)] = a;
        self.a = if self.j == following { a } else { ahead };
        a.wrapping_add(b) as u8
    }
}

impl fmt::Debug for Rc4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<Rc4>")
    }
}

/// What the MEP key makes of the constant: the same for all its messages.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Secret([u8; USED]);

impl Secret {
    pub(crate) fn new(key: &Key) -> Self {
        let mut secret = Self(CONSTANT);
        Rc4::keyed(key.bytes()).apply(&mut secret.0);
        secret
    }
}

/// The cipher of a request, and then of its response. `digest`: that of the request.
pub fn message_cipher(key: &Key, digest: &[u8; digest::SIZE]) -> Rc4 {
    cipher_of(&Secret::new(key), digest)
}

/// The same, with the part that only the key decides.
pub(crate) fn cipher_of(secret: &Secret, digest: &[u8; digest::SIZE]) -> Rc4 {
    let mut secret = secret.0;
    secret.iter_mut().zip(digest).for_each(|(byte, more)| *byte ^= more);
    let cipher = Rc4::keyed_whole(&secret);
    secret.zeroize();
    cipher
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_streams_of_rfc_6229() {
        let stream = |key: &[u8]| {
            let mut out = [0; 16];
            Rc4::new(key).unwrap().apply(&mut out);
            u128::from_be_bytes(out)
        };
        assert_eq!(stream(&[1, 2, 3, 4, 5]), 0xb2396305f03dc027ccc3524a0a1118a8);
        assert_eq!(stream(&std::array::from_fn::<u8, 16, _>(|i| i as u8 + 1)), 0x9ac7cc9a609d1ef7b2932899cde41b97);
        assert!(Rc4::new(&[]).is_none());
        assert!(Rc4::new(&[0; 257]).is_none());
        assert_eq!(format!("{:?}", Rc4::new(b"SECRET").unwrap()), "<Rc4>");
    }
}
