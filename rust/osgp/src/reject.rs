//! A part of the input that could not be decoded: what, where, why and its bytes. The rest goes on.

use std::sync::Arc;

use crate::image::{TableId, TableImage};

/// At most this many bytes of a rejected part are kept (contract, "rejects").
pub const MAX_DATA: usize = 64 * 1024;

/// One row of the `rejects` kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The meter's label, if known.
    pub meter: Option<String>,
    /// The table's number on the wire, if it is about a table.
    pub table: Option<TableId>,
    /// Which block, entry, packet or file.
    pub item: String,
    /// Stable name of the reason, such as `profile.block_count`.
    pub code: &'static str,
    /// Plain words: what is wrong and what to do.
    pub reason: String,
    /// The file.
    pub input: Arc<str>,
    /// Offset of `data`: within the table where `table` is set, else within the file.
    pub offset: Option<i64>,
    /// Length of the whole part, of which `data` may be the start.
    pub length: i64,
    /// Its bytes, at most [`MAX_DATA`].
    pub data: Vec<u8>,
    /// When it was read, microseconds since 1970-01-01 UTC.
    pub read_at: Option<i64>,
}

impl Reject {
    /// A reject with nothing but its code and reason.
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self {
            meter: None,
            table: None,
            item: String::new(),
            code,
            reason: reason.into(),
            input: Arc::from(""),
            offset: None,
            length: 0,
            data: Vec::new(),
            read_at: None,
        }
    }
    /// Name the meter.
    pub fn meter(mut self, meter: &str) -> Self {
        self.meter = Some(meter.to_owned());
        self
    }
    /// Name the table.
    pub fn table(mut self, table: TableId) -> Self {
        self.table = Some(table);
        self
    }
    /// Name the block, entry, packet or file.
    pub fn item(mut self, item: impl Into<String>) -> Self {
        self.item = item.into();
        self
    }
    /// Name the file.
    pub fn input(mut self, input: &Arc<str>) -> Self {
        self.input = input.clone();
        self
    }
    /// Take table, item, file, offset and time from a table image.
    pub fn image(mut self, image: &TableImage<'_>) -> Self {
        self.table = Some(image.table);
        if self.item.is_empty() {
            self.item = image.table.to_string();
        }
        self.input = image.input.clone();
        self.offset = Some(image.offset);
        self.read_at = image.read_at;
        self
    }
    /// Name the offset.
    pub fn offset(mut self, offset: i64) -> Self {
        self.offset = Some(offset);
        self
    }
    /// Keep its bytes, the first [`MAX_DATA`] of them.
    pub fn data(mut self, data: &[u8]) -> Self {
        self.length = data.len() as i64;
        self.data = data[..data.len().min(MAX_DATA)].to_vec();
        self
    }
    /// Say how long the whole part is where not all of its bytes are kept.
    pub fn length(mut self, length: i64) -> Self {
        self.length = length;
        self
    }
    /// Name the time of the read.
    pub fn read_at(mut self, read_at: Option<i64>) -> Self {
        self.read_at = read_at;
        self
    }
}
