//! CRC-16/IBM-SDLC (also called X-25): the check of C12.18 packets and of RFC 1662 frames, sent low byte first.
//!
//! Beside the checksum itself stands the linear algebra that makes resynchronisation cheap: the register of a range of
//! bytes follows from the registers at its two ends ([`range_register`]), so that many overlapping candidates for a
//! packet cost one pass over the bytes, not one pass each.

use crc::{CRC_16_IBM_SDLC, Crc, Table};

/// Sixteen bytes a step; the first lane is the plain byte table.
static SDLC: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_IBM_SDLC);

/// Bytes that a CRC takes.
pub const SIZE: usize = 2;
/// What the register holds after the bytes and their own CRC, before the final inversion.
const GOOD: u16 = 0xF0B8;

/// The CRC of `data`.
///
/// ```
/// assert_eq!(osgp::wire::crc::crc16(b"123456789"), 0x906E);
/// ```
pub fn crc16(data: &[u8]) -> u16 {
    SDLC.checksum(data)
}

/// Whether `data` ends with its own CRC, low byte first.
pub(crate) fn holds(data: &[u8]) -> bool {
    match data.split_last_chunk::<SIZE>() {
        Some((body, crc)) => crc16(body) == u16::from_le_bytes(*crc),
        None => false,
    }
}

/// The register after one more byte.
#[inline]
pub(crate) fn step(register: u16, byte: u8) -> u16 {
    SDLC.table()[0][usize::from(register as u8 ^ byte)] ^ (register >> 8)
}

/// Powers of two that [`advance`] knows: up to 2^14 - 1 bytes, more than the longest packet.
const POWERS: usize = 14;

/// `ADVANCE[p][h][b]`: the register that byte `b` in half `h` becomes after 2^p zero bytes (the map is linear).
static ADVANCE: [[[u16; 256]; 2]; POWERS] = advance_tables();

const fn advance_tables() -> [[[u16; 256]; 2]; POWERS] {
    const ONE: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_SDLC);
    let table = &ONE.table()[0];
    let mut all = [[[0; 256]; 2]; POWERS];
    let mut byte = 0;
    while byte < 256 {
        all[0][0][byte] = table[byte];
        all[0][1][byte] = byte as u16;
        byte += 1;
    }
    let mut power = 1;
    while power < POWERS {
        let mut half = 0;
        while half < 2 {
            let mut byte = 0;
            while byte < 256 {
                let once = all[power - 1][half][byte];
                all[power][half][byte] =
                    all[power - 1][0][(once & 0xFF) as usize] ^ all[power - 1][1][(once >> 8) as usize];
                byte += 1;
            }
            half += 1;
        }
        power += 1;
    }
    all
}

/// The register after `count` zero bytes, `count` below 2^14.
fn advance(mut register: u16, count: usize) -> u16 {
    debug_assert!(count >> POWERS == 0);
    for (power, [low, high]) in ADVANCE.iter().enumerate() {
        if count >> power & 1 == 1 {
            register = low[usize::from(register as u8)] ^ high[usize::from(register >> 8)];
        }
    }
    register
}

/// Whether a range of `count` bytes ends with its own CRC, told from the registers (of any start) at its two ends.
pub(crate) fn range_holds(start: u16, end: u16, count: usize) -> bool {
    end ^ advance(start ^ 0xFFFF, count) == GOOD
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_range_can_be_checked_from_its_ends(
            before in prop::collection::vec(any::<u8>(), 0..40), mut body in prop::collection::vec(any::<u8>(), 0..9000),
            good in any::<bool>(), start in any::<u16>(),
        ) {
            let crc = if good { crc16(&body) } else { crc16(&body) ^ 1 };
            body.extend(crc.to_le_bytes());
            let a = before.iter().fold(start, |r, &b| step(r, b));
            let b = body.iter().fold(a, |r, &b| step(r, b));
            prop_assert_eq!(range_holds(a, b, body.len()), good);
            prop_assert_eq!(holds(&body), good);
        }
    }
}
