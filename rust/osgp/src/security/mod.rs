//! The security of the MEP port: keys, the OSGP digest, RC4 (broken, and named so), and TLS with a pre-shared key.
//!
//! - [`messages`]: a request and its answer under digest and RC4;
//! - [`tls_messages`]: TLS records in MEP messages;
//! - [`tls`]: TLS 1.2 with `TLS_PSK_WITH_AES_256_GCM_SHA384`, without I/O;
//! - [`key`], [`digest`], [`legacy_rc4`]: what they are made of.
//!
//! The digest and RC4 protect little against somebody who wants to get in: see docs/security.md.

pub mod digest;
pub mod key;
pub mod legacy_rc4;
pub mod messages;
pub mod tls;
pub mod tls_messages;

pub use key::Key;

#[cfg(test)]
mod vectors {
    use serde_json::Value;

    /// The published vectors, which the Python tests read, too.
    pub(super) fn vectors() -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/official_vectors.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    pub(super) fn hex(value: &Value) -> Vec<u8> {
        let digits: Vec<u8> = value.as_str().unwrap().bytes().filter(|b| *b != b' ').collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }
}
