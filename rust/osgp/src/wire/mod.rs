//! The frame formats of the lines: C12.18 packets, MEP messages, and the two ways to stuff bytes.
//!
//! Everything here is sans-I/O: bytes in, any chunking, events out. Nothing panics on hostile bytes, no memory follows a
//! number found in them, and the work is linear in the bytes given.

pub mod c1218;
pub mod crc;
pub mod mep;
pub mod ppp;
pub mod slip;
