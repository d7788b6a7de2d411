//! OSGP (NES, formerly Echelon) smart meters: C12.18 and MEP framing, C12.19 tables, bulk decoding into Arrow.
//!
//! No I/O but what is handed in, no clock, no thread, no unsafe code. Bytes of a line become table images
//! ([`wire`], [`scan`], [`mod@image`]); table images become columns ([`catalog`], [`layout`], [`records`]), or a table
//! becomes a tree of values ([`codec`]). The files live in the crate `osgp-io`, the Python package in `osgp-py`.
//!
//! ```
//! use osgp::image::{TableId, TableImage};
//! use osgp::records::{Kind, Options, decode_meter};
//!
//! let bt01 = b"NES 83331-3I\x36\x41\x36\x41\x00\x00\x00\x00\x00\x00\x20\x01";
//! let image = TableImage::whole(TableId::bt(1), bt01);
//! let (batches, rejects) = decode_meter("M1", &[image], &[Kind::Meters], &Options::default());
//! assert_eq!(batches[0].1.num_rows(), 1);
//! assert!(rejects.is_empty());
//! ```
#![forbid(unsafe_code)]

pub mod catalog;
pub mod codec;
pub mod columns;
pub mod image;
pub mod layout;
mod mep_capture;
mod mep_transaction;
pub mod records;
pub mod reject;
pub mod scan;
pub mod security;
pub mod text_log;
pub mod values;
pub mod wire;
