//! stub
mod columns_file; mod csv_dump; mod dir; mod error; mod images; mod input; mod listing; mod names; mod plan; mod precheck; mod pread; mod store; mod tar; mod zip; mod zone;
pub use error::*; pub use input::*; pub use zone::*;
