//! Keys of the MEP port: never shown, and wiped when they are dropped.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of a key that are used. A meter holds 20 and uses the first 16. Source: MEP guide pp. 13, 18.
pub const USED: usize = 16;
/// The shortest key that the digest is defined for. Source: MEP guide p. 251, "Digest Function Reference Implementation".
pub const SHORTEST: usize = 6;
/// The longest, which is that of the meter's fields.
pub const LONGEST: usize = 20;

/// The bytes of a key that are used: the first 16, or all where it is shorter, as the 12 bytes of an OMA key.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key {
    bytes: [u8; USED],
    len: usize,
}

/// A key has 6 to 20 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLength {
    /// How many there were.
    pub len: usize,
}

impl KeyLength {
    /// The stable name.
    pub const CODE: &'static str = "security.key_length";
}

impl fmt::Display for KeyLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a key of {} bytes; it has {SHORTEST} to {LONGEST}", self.len)
    }
}

impl std::error::Error for KeyLength {}

impl Key {
    /// A key of 6 to 20 bytes, of which the first 16 are kept.
    pub fn new(bytes: &[u8]) -> Result<Self, KeyLength> {
        if !(SHORTEST..=LONGEST).contains(&bytes.len()) {
            return Err(KeyLength { len: bytes.len() });
        }
        let mut key = Self { bytes: [0; USED], len: bytes.len().min(USED) };
        key.bytes.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Ok(key)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Shows no bytes.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<Key, {} bytes in use>", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_to_twenty_bytes_and_nothing_shown() {
        for len in 0..=64 {
            assert_eq!(Key::new(&vec![7; len]).is_ok(), (6..=20).contains(&len));
        }
        let error = Key::new(b"SECRE").unwrap_err();
        assert_eq!(KeyLength::CODE, "security.key_length");
        assert_eq!(error.to_string(), "a key of 5 bytes; it has 6 to 20");
        assert_eq!(format!("{:?}", Key::new(b"SECRET-SECRET-SECRET").unwrap()), "<Key, 16 bytes in use>");
    }

    #[test]
    fn the_rest_of_a_long_key_is_not_used() {
        assert_eq!(Key::new(&[[1; 16].as_slice(), &[2; 4]].concat()).unwrap().bytes(), [1; 16]);
        assert_eq!(Key::new(&[3; 12]).unwrap().bytes(), [3; 12]);
    }
}
