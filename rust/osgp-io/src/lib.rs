//! Files for the crate [`osgp`]: what can be read (dump directories, archives, Parquet and Arrow IPC of table images,
//! captures, CSV dumps) and what can be written (Parquet, Arrow IPC, CSV, JSON lines).
//!
//! Inputs are opened ([`open_all`]), then decoded by several threads into files ([`decode_to_files`]), a summary
//! ([`summarize`]) or a stream of record batches ([`Stream`]). Memory is bounded by the block of work, not by the input.

mod columns_file;
mod csv_dump;
mod decode;
mod dir;
mod engine;
mod error;
mod images;
mod input;
mod listing;
mod names;
mod plan;
mod pread;
mod precheck;
mod render;
mod sink;
mod store;
mod summary;
mod tar;
mod zip;
mod zone;

pub use decode::{ImageReader, Job, Stream, Summary, Watch, decode_to_files, images_in_memory, summarize};
pub use engine::Control;
pub use error::{Error, OpenError};
pub use input::{Inputs, OpenOptions, open_all};
pub use sink::{FileFormat, Files, Output, write_images};
pub use summary::{Channel, Tally};
pub use zone::Zone;
