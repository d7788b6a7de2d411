//! A look at the sizes that a Parquet or IPC file claims, before a reader allocates by them.

use std::fs::File;
use std::io::{self, BufReader, Read};

use arrow_ipc::{BodyCompressionMethod, Message, MessageHeader, root_as_footer, root_as_message};
use parquet::file::metadata::ColumnChunkMetaData;

use crate::listing::is_bomb;
use crate::pread::{Section, read_exact_at};

/// What a page or buffer may grow to, however small it was: page writers make 1 MiB, arrays of zeros grow far.
const ANY: u64 = 64 << 20;
const RATIO: u64 = 1200;

fn plausible(compressed: u64, uncompressed: u64) -> bool {
    uncompressed <= ANY || (uncompressed <= compressed.saturating_mul(RATIO) && !is_bomb(uncompressed, compressed))
}

/// Walk the page headers of a column chunk.
pub(crate) fn parquet_chunk(file: &File, len: u64, column: &ColumnChunkMetaData) -> Result<(), String> {
    let start = column.dictionary_page_offset().unwrap_or(i64::MAX).min(column.data_page_offset());
    let bounds = u64::try_from(start).ok().zip(u64::try_from(column.compressed_size()).ok());
    let Some((mut at, size)) = bounds else { return Err("a column has a negative place".to_owned()) };
    let Some(end) = at.checked_add(size).filter(|&end| end <= len) else {
        return Err("a column lies outside the file".to_owned());
    };
    while at < end {
        // A header is some 30 bytes, but statistics in it may be long.
        let mut reader = Thrift { inner: BufReader::with_capacity(256, Section { file, at, end }), used: 0 };
        let Some((uncompressed, compressed)) = reader.page_header() else {
            // What is wrong here is told better by the reader, when it comes to this page.
            return Ok(());
        };
        if !plausible(compressed, uncompressed) {
            return Err(format!("a page of {compressed} bytes claims to hold {uncompressed}"));
        }
        at = at.saturating_add(reader.used).saturating_add(compressed);
    }
    Ok(())
}

/// The thrift compact protocol, as far as skipping a struct needs it.
struct Thrift<R> {
    inner: R,
    used: u64,
}

/// A header longer or deeper than this is none.
const MAX_HEADER: u64 = 1 << 20;
const MAX_DEPTH: u32 = 8;

impl<R: Read> Thrift<R> {
    fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.inner.read_exact(&mut byte).ok()?;
        self.used += 1;
        (self.used <= MAX_HEADER).then_some(byte[0])
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn skip(&mut self, kind: u8, depth: u32) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match kind {
            1 | 2 => {}
            3 => {
                self.byte()?;
            }
            4..=6 => {
                self.varint()?;
            }
            7 => {
                for _ in 0..8 {
                    self.byte()?;
                }
            }
            8 => {
                for _ in 0..self.varint()? {
                    self.byte()?;
                }
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                for _ in 0..count {
                    // Booleans in a list take a byte each.
                    if matches!(head & 15, 1 | 2) {
                        self.byte()?;
                    } else {
                        self.skip(head & 15, depth + 1)?;
                    }
                    if self.used > MAX_HEADER {
                        return None;
                    }
                }
            }
            12 => {
                while let Some(kind) = self.field()?.map(|(_, kind)| kind) {
                    self.skip(kind, depth + 1)?;
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// Delta of the field's id and its type; `Some(None)` at the end of a struct.
    fn field(&mut self) -> Option<Option<(u8, u8)>> {
        let head = self.byte()?;
        if head == 0 {
            return Some(None);
        }
        if head >> 4 == 0 {
            self.varint()?;
        }
        Some(Some((head >> 4, head & 15)))
    }

    /// Uncompressed and compressed size of a page.
    fn page_header(&mut self) -> Option<(u64, u64)> {
        let (mut id, mut sizes) = (0u8, [None; 4]);
        while let Some((delta, kind)) = self.field()? {
            id = id.checked_add(delta)?;
            match (id, kind) {
                (1..=3, 5) => {
                    let raw = self.varint()?;
                    sizes[usize::from(id)] = u64::try_from((raw >> 1) as i64 ^ -((raw & 1) as i64)).ok();
                }
                _ => self.skip(kind, 0)?,
            }
        }
        sizes[2].zip(sizes[3])
    }
}

/// Check the places and sizes in an IPC file's footer.
pub(crate) fn ipc_file(file: &File, len: u64) -> Result<(), String> {
    let cut = || "it has no footer; it was not written to its end".to_owned();
    let mut tail = [0; 10];
    let at = len.checked_sub(10).ok_or_else(cut)?;
    read_exact_at(file, &mut tail, at).map_err(|error| error.to_string())?;
    if &tail[4..] != b"ARROW1" {
        return Err(cut());
    }
    let footer_len = u64::try_from(i32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]])).map_err(|_| cut())?;
    let start = at.checked_sub(footer_len).ok_or_else(cut)?;
    let mut footer = vec![0; footer_len as usize];
    read_exact_at(file, &mut footer, start).map_err(|error| error.to_string())?;
    let footer = root_as_footer(&footer).map_err(|error| error.to_string())?;
    let blocks = footer.recordBatches().into_iter().flatten().chain(footer.dictionaries().into_iter().flatten());
    for block in blocks {
        let (offset, meta, body) = (block.offset(), i64::from(block.metaDataLength()), block.bodyLength());
        let fits = offset >= 0
            && meta >= 8
            && body >= 0
            && offset.checked_add(meta).and_then(|n| n.checked_add(body)).is_some_and(|end| end as u64 <= len);
        if !fits {
            return Err("a batch lies outside the file".to_owned());
        }
        let mut head = vec![0; meta as usize];
        read_exact_at(file, &mut head, offset as u64).map_err(|error| error.to_string())?;
        let skip = if head[..4] == [0xFF; 4] { 8 } else { 4 };
        let message = root_as_message(&head[skip..]).map_err(|error| error.to_string())?;
        body_sizes(file, &message, (offset + meta) as u64, body as u64)?;
    }
    Ok(())
}

/// Check the messages of an IPC stream.
pub(crate) fn ipc_stream(file: &File, len: u64) -> Result<(), String> {
    let mut at = 0u64;
    loop {
        let mut word = [0; 4];
        if read_exact_at(file, &mut word, at).is_err() {
            return Ok(());
        }
        at += 4;
        if word == [0xFF; 4] {
            if read_exact_at(file, &mut word, at).is_err() {
                return Ok(());
            }
            at += 4;
        }
        let meta = u64::try_from(i32::from_le_bytes(word)).map_err(|_| "a message of negative length".to_owned())?;
        if meta == 0 {
            return Ok(());
        }
        if at.saturating_add(meta) > len {
            // Cut short: the reader gives what stands before, unless not even the schema is whole.
            return if at <= 8 { Err("it ends within its schema".to_owned()) } else { Ok(()) };
        }
        let mut head = vec![0; meta as usize];
        read_exact_at(file, &mut head, at).map_err(|error| error.to_string())?;
        let message = root_as_message(&head).map_err(|error| error.to_string())?;
        at += meta;
        let body = u64::try_from(message.bodyLength()).map_err(|_| "a body of negative length".to_owned())?;
        // One byte more than there is would be enough to have the whole claimed length allocated.
        if body > len - at && body > ANY {
            return Err(format!("a batch claims {body} bytes, more than the file has"));
        }
        if body <= len - at {
            body_sizes(file, &message, at, body)?;
        }
        at = at.saturating_add(body);
    }
}

fn body_sizes(file: &File, message: &Message<'_>, at: u64, len: u64) -> Result<(), String> {
    let batch = match message.header_type() {
        MessageHeader::RecordBatch => message.header_as_record_batch(),
        MessageHeader::DictionaryBatch => message.header_as_dictionary_batch().and_then(|d| d.data()),
        _ => None,
    };
    let Some(batch) = batch else { return Ok(()) };
    let outside = || "a buffer lies outside its batch".to_owned();
    if batch.length() < 0 {
        return Err("a batch of negative length".to_owned());
    }
    let compressed = batch.compression().is_some_and(|c| c.method() == BodyCompressionMethod::BUFFER);
    for buffer in batch.buffers().into_iter().flatten() {
        let (Ok(offset), Ok(size)) = (u64::try_from(buffer.offset()), u64::try_from(buffer.length())) else {
            return Err(outside());
        };
        if offset.checked_add(size).is_none_or(|end| end > len) {
            return Err(outside());
        }
        if compressed && size >= 8 {
            let mut claim = [0; 8];
            read_exact_at(file, &mut claim, at + offset).map_err(|error: io::Error| error.to_string())?;
            let claim = i64::from_le_bytes(claim);
            // -1 says that the buffer is not compressed after all.
            if claim < -1 || !plausible(size, claim.max(0) as u64) {
                return Err(format!("a buffer of {size} bytes claims to hold {claim}"));
            }
        }
    }
    Ok(())
}
