//! From the key to the keys of a session. Source: RFC 5246 sections 5, 6.3, 7.4.9, 8.1; RFC 4279 section 2.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha384};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::record::{KEY, Protection, SALT};
use crate::security::key::{Key, USED};

pub(super) const RANDOM: usize = 32;
/// Bytes of a Finished message.
pub(super) const VERIFY: usize = 12;
pub(super) const CLIENT_FINISHED: &[u8] = b"client finished";
pub(super) const SERVER_FINISHED: &[u8] = b"server finished";
const MASTER: usize = 48;
/// Bytes of a block of SHA-384, up to which a key of HMAC is filled with zeros.
const BLOCK: usize = 128;
/// Bytes that SHA-384 gives.
const OUTPUT: usize = 48;

/// The pseudo-random function with SHA-384. `secret`: at most a block, as all are here.
fn prf(secret: &[u8], label: &[u8], seed: [&[u8]; 2], out: &mut [u8]) {
    let mut block = Zeroizing::new([0; BLOCK]);
    block.iter_mut().zip(secret).for_each(|(to, from)| *to = *from);
    let keyed = Hmac::<Sha384>::new((&*block).into());
    let mac = |parts: &[&[u8]]| {
        let mut mac = keyed.clone();
        parts.iter().for_each(|part| mac.update(part));
        Zeroizing::new(<[u8; OUTPUT]>::from(mac.finalize().into_bytes()))
    };
    let [first, second] = seed;
    let mut a = mac(&[label, first, second]);
    for chunk in out.chunks_mut(OUTPUT) {
        let made = mac(&[a.as_slice(), label, first, second]);
        chunk.iter_mut().zip(made.iter()).for_each(|(to, from)| *to = *from);
        a = mac(&[a.as_slice()]);
    }
}

/// What both sides know once they have each other's random bytes.
pub(super) struct Secrets {
    master: Zeroizing<[u8; MASTER]>,
    pub(super) client: Option<Protection>,
    pub(super) server: Option<Protection>,
}

impl Secrets {
    pub(super) fn new(key: &Key, client_random: &[u8; RANDOM], server_random: &[u8; RANDOM]) -> Self {
        let psk = key.bytes();
        let len = (psk.len() as u16).to_be_bytes();
        let premaster = Zeroizing::new([&len, &[0; USED][..psk.len()], &len, psk].concat());
        let mut master = Zeroizing::new([0; MASTER]);
        prf(&premaster, b"master secret", [client_random, server_random], master.as_mut_slice());
        let mut block = Zeroizing::new([[0; KEY + SALT]; 2].concat());
        prf(master.as_slice(), b"key expansion", [server_random, client_random], &mut block);
        let protection = |key: usize, salt: usize| {
            let mut secret = Zeroizing::new([0; KEY]);
            secret.copy_from_slice(&block[key..key + KEY]);
            Some(Protection::new(&secret, std::array::from_fn(|i| block[salt + i])))
        };
        let (client, server) = (protection(0, 2 * KEY), protection(KEY, 2 * KEY + SALT));
        Self { master, client, server }
    }

    /// What a Finished message says of the messages before it.
    pub(super) fn finished(&self, label: &[u8], transcript: &Sha384) -> [u8; VERIFY] {
        let mut out = [0; VERIFY];
        prf(self.master.as_slice(), label, [&transcript.clone().finalize(), &[]], &mut out);
        out
    }

    /// Whether a Finished message is right, compared in constant time.
    pub(super) fn is_finished(&self, label: &[u8], transcript: &Sha384, given: &[u8]) -> bool {
        self.finished(label, transcript).ct_eq(given).into()
    }
}
