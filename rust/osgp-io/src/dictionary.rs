//! Parquet columns of few distinct values, encoded from what we know of them.
//!
//! Most columns of a load profile repeat: the meter, the quantity, the channel. The general writer hashes every value of
//! every row; here a dictionary array's keys are translated once per batch, and integers go through a small cache. What
//! comes out is an ordinary column chunk: a dictionary page and data pages of RLE_DICTIONARY. Source: Parquet format,
//! Encodings.md ("Dictionary Encoding", "RLE / Bit-Packing Hybrid"), README.md ("Data Pages").

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field, TimeUnit};
use parquet::basic::{Compression, Encoding, Type, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use crate::error::Error;

/// Rows of a data page: bit-packed codes of a hundred kilobytes or less.
const PAGE_ROWS: usize = 1 << 16;
/// Longer words are left out of the statistics.
const MAX_STATISTICS: usize = 256;
/// No word has this code.
const NONE: u32 = u32::MAX;

/// Whether a column is encoded here. `repeated`: it is a dictionary in streams.
pub(crate) fn suits(field: &Field, repeated: bool) -> bool {
    match field.data_type() {
        DataType::Utf8 => repeated,
        DataType::Int8 | DataType::Int16 | DataType::Int32 => true,
        // Times of reads: one per meter or none at all.
        DataType::Timestamp(TimeUnit::Microsecond, _) => field.name() == "read_at",
        _ => false,
    }
}

/// A finished column chunk.
pub(crate) struct Chunk {
    pub(crate) bytes: bytes::Bytes,
    pub(crate) close: ColumnCloseResult,
}

/// The column of one row group in the making.
pub(crate) struct DictionaryColumn {
    descr: ColumnDescPtr,
    nullable: bool,
    strings: HashMap<Box<[u8]>, u32>,
    integers: HashMap<i64, u32>,
    /// The last code of integers by some of their bits.
    cache: Box<[(i64, u32); 256]>,
    /// The words, plainly encoded.
    words: Vec<u8>,
    count: u32,
    smallest: Option<Word>,
    largest: Option<Word>,
    /// Codes of the page; of a nullable column those of rows that are not null.
    codes: Vec<u32>,
    /// Definition levels of the page, where there are nulls.
    levels: Vec<u32>,
    rows: usize,
    page_rows: usize,
    nulls: u64,
    page_nulls: u64,
    pages: Vec<Encoded>,
    compressor: zstd::bulk::Compressor<'static>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    Integer(i64),
    // Compared byte by byte, unsigned, as the order of UTF-8 strings in statistics is.
    Text(Box<[u8]>),
}

struct Encoded {
    bytes: Vec<u8>,
    uncompressed: usize,
    values: u32,
}

impl DictionaryColumn {
    pub(crate) fn new(descr: &ColumnDescPtr) -> Result<Self, Error> {
        let compressor = zstd::bulk::Compressor::new(1).map_err(|error| Error::Encode(error.to_string()))?;
        Ok(Self {
            descr: descr.clone(),
            nullable: descr.max_def_level() > 0,
            strings: HashMap::new(),
            integers: HashMap::new(),
            cache: Box::new([(0, NONE); 256]),
            words: Vec::new(),
            count: 0,
            smallest: None,
            largest: None,
            codes: Vec::with_capacity(PAGE_ROWS),
            levels: Vec::new(),
            rows: 0,
            page_rows: 0,
            nulls: 0,
            page_nulls: 0,
            pages: Vec::new(),
            compressor,
        })
    }

    /// Append the rows of an array: strings, plain or in a dictionary, or integers.
    pub(crate) fn write(&mut self, array: &ArrayRef) -> Result<(), Error> {
        let mut at = 0;
        while at < array.len() {
            let rows = (PAGE_ROWS - self.page_rows).min(array.len() - at);
            self.part(&array.slice(at, rows))?;
            at += rows;
            if self.page_rows == PAGE_ROWS {
                self.flush_page()?;
            }
        }
        Ok(())
    }

    fn part(&mut self, array: &ArrayRef) -> Result<(), Error> {
        // A dictionary may also say null by a word that is null.
        let nulls = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        if let Some(nulls) = &nulls {
            if !self.nullable {
                return Err(Error::Encode(format!("a null in column {}", self.descr.name())));
            }
            if self.page_nulls == 0 {
                self.levels.clear();
                self.levels.resize(self.page_rows, 1);
            }
            self.page_nulls += nulls.null_count() as u64;
            self.levels.extend(nulls.iter().map(u32::from));
        } else if self.page_nulls > 0 {
            self.levels.resize(self.page_rows + array.len(), 1);
        }
        self.page_rows += array.len();
        let valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        macro_rules! integers {
            ($t:ty) => {
                for (row, &value) in array.as_primitive::<$t>().values().iter().enumerate() {
                    if valid(row) {
                        let code = self.integer(i64::from(value));
                        self.codes.push(code);
                    }
                }
            };
        }
        match array.data_type() {
            DataType::Int8 => integers!(Int8Type),
            DataType::Int16 => integers!(Int16Type),
            DataType::Int32 => integers!(Int32Type),
            DataType::Int64 => integers!(Int64Type),
            DataType::Timestamp(TimeUnit::Microsecond, _) => integers!(TimestampMicrosecondType),
            DataType::Utf8 => {
                let strings = array.as_string::<i32>();
                for row in (0..strings.len()).filter(|&row| valid(row)) {
                    let code = self.text(strings.value(row).as_bytes());
                    self.codes.push(code);
                }
            }
            DataType::Dictionary(_, _) => {
                let dictionary = array.as_dictionary::<Int32Type>();
                let strings = dictionary.values().as_string::<i32>();
                // Words that no row of this part uses stay out.
                let mut codes = vec![NONE; strings.len()];
                for (row, &key) in dictionary.keys().values().iter().enumerate() {
                    if valid(row) {
                        let key = usize::try_from(key).unwrap_or(usize::MAX);
                        if codes[key] == NONE {
                            codes[key] = self.text(strings.value(key).as_bytes());
                        }
                        self.codes.push(codes[key]);
                    }
                }
            }
            other => return Err(Error::Encode(format!("no dictionary of {other}"))),
        }
        Ok(())
    }

    fn integer(&mut self, value: i64) -> u32 {
        let slot = ((value ^ value >> 8 ^ value >> 20) & 255) as usize;
        let (seen, code) = self.cache[slot];
        if seen == value && code != NONE {
            return code;
        }
        let code = match self.integers.get(&value) {
            Some(&code) => code,
            None => {
                if self.descr.physical_type() == Type::INT64 {
                    self.words.extend_from_slice(&value.to_le_bytes());
                } else {
                    // It came from at most 32 bits.
                    self.words.extend_from_slice(&(value as i32).to_le_bytes());
                }
                let code = self.word(Word::Integer(value));
                self.integers.insert(value, code);
                code
            }
        };
        self.cache[slot] = (value, code);
        code
    }

    fn text(&mut self, value: &[u8]) -> u32 {
        if let Some(&code) = self.strings.get(value) {
            return code;
        }
        self.words.extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.words.extend_from_slice(value);
        let code = self.word(Word::Text(value.into()));
        self.strings.insert(value.into(), code);
        code
    }

    fn word(&mut self, word: Word) -> u32 {
        if self.largest.as_ref().is_none_or(|largest| word > *largest) {
            self.largest = Some(word.clone());
        }
        if self.smallest.as_ref().is_none_or(|smallest| word < *smallest) {
            self.smallest = Some(word);
        }
        self.count += 1;
        self.count - 1
    }

    fn flush_page(&mut self) -> Result<(), Error> {
        if self.page_rows == 0 {
            return Ok(());
        }
        let mut page = Vec::new();
        if self.nullable {
            page.extend_from_slice(&[0; 4]);
            if self.page_nulls > 0 {
                hybrid(&self.levels, 1, &mut page);
            } else {
                run(1, self.page_rows, 1, &mut page);
            }
            let len = page.len() as u32 - 4;
            page[..4].copy_from_slice(&len.to_le_bytes());
        }
        let width = (u32::BITS - self.count.saturating_sub(1).leading_zeros()).max(1);
        page.push(width as u8);
        hybrid(&self.codes, width, &mut page);
        let bytes = self.compressor.compress(&page).map_err(|error| Error::Encode(error.to_string()))?;
        self.pages.push(Encoded { bytes, uncompressed: page.len(), values: self.page_rows as u32 });
        self.rows += self.page_rows;
        self.nulls += self.page_nulls;
        (self.page_rows, self.page_nulls) = (0, 0);
        self.codes.clear();
        self.levels.clear();
        Ok(())
    }

    /// The chunk of all rows so far.
    pub(crate) fn finish(mut self) -> Result<Chunk, Error> {
        self.flush_page()?;
        let failed = |error: parquet::errors::ParquetError| Error::Encode(error.to_string());
        let mut sink = TrackedWrite::new(Vec::new());
        let mut writer = SerializedPageWriter::new(&mut sink);
        let words = self.compressor.compress(&self.words).map_err(|error| Error::Encode(error.to_string()))?;
        let page = Page::DictionaryPage {
            buf: words.into(),
            num_values: self.count,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        let spec = writer.write_page(CompressedPage::new(page, self.words.len())).map_err(failed)?;
        let (mut compressed, mut uncompressed) = (spec.compressed_size, spec.uncompressed_size);
        let data_offset = spec.bytes_written;
        for encoded in self.pages {
            let page = Page::DataPage {
                buf: encoded.bytes.into(),
                num_values: encoded.values,
                encoding: Encoding::RLE_DICTIONARY,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            };
            let spec = writer.write_page(CompressedPage::new(page, encoded.uncompressed)).map_err(failed)?;
            compressed += spec.compressed_size;
            uncompressed += spec.uncompressed_size;
        }
        writer.close().map_err(failed)?;
        let bytes: bytes::Bytes = sink.into_inner().map_err(failed)?.into();
        let mut metadata = ColumnChunkMetaData::builder(self.descr.clone())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()))
            .set_encodings(vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY])
            .set_total_compressed_size(compressed as i64)
            .set_total_uncompressed_size(uncompressed as i64)
            .set_num_values(self.rows as i64)
            .set_dictionary_page_offset(Some(0))
            .set_data_page_offset(data_offset as i64);
        if let Some(statistics) = statistics(self.descr.physical_type(), self.smallest, self.largest, self.nulls) {
            metadata = metadata.set_statistics(statistics);
        }
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows as u64,
            metadata: metadata.build().map_err(failed)?,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok(Chunk { bytes, close })
    }
}

fn statistics(kind: Type, smallest: Option<Word>, largest: Option<Word>, nulls: u64) -> Option<Statistics> {
    let nulls = Some(nulls);
    let integer = |word: Option<Word>| match word {
        Some(Word::Integer(value)) => Some(value),
        _ => None,
    };
    let text = |word: Option<Word>| match word {
        Some(Word::Text(text)) => Some(text),
        _ => None,
    };
    match kind {
        Type::INT64 => Some(Statistics::int64(integer(smallest), integer(largest), None, nulls, false)),
        Type::INT32 => {
            let narrow = |word| integer(word).map(|value| value as i32);
            Some(Statistics::int32(narrow(smallest), narrow(largest), None, nulls, false))
        }
        Type::BYTE_ARRAY => {
            let (low, high) = (text(smallest), text(largest));
            if [&low, &high].into_iter().flatten().any(|word| word.len() > MAX_STATISTICS) {
                return None;
            }
            let array = |word: Option<Box<[u8]>>| word.map(|word| ByteArray::from(word.into_vec()));
            Some(Statistics::byte_array(array(low), array(high), None, nulls, false))
        }
        _ => None,
    }
}

fn varint(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn run(code: u32, count: usize, width: u32, out: &mut Vec<u8>) {
    varint(count << 1, out);
    out.extend_from_slice(&code.to_le_bytes()[..width.div_ceil(8) as usize]);
}

/// Bit-packed codes, their number rounded up to a multiple of eight by zeros.
fn packed(codes: &[u32], width: u32, out: &mut Vec<u8>) {
    if codes.is_empty() {
        return;
    }
    let groups = codes.len().div_ceil(8);
    varint(groups << 1 | 1, out);
    let end = out.len() + groups * width as usize;
    out.reserve(groups * width as usize + 8);
    let (mut bits, mut have) = (0u64, 0);
    for &code in codes {
        bits |= u64::from(code) << have;
        have += width;
        if have >= 32 {
            out.extend_from_slice(&(bits as u32).to_le_bytes());
            bits >>= 32;
            have -= 32;
        }
    }
    out.extend_from_slice(&bits.to_le_bytes());
    out.resize(end, 0);
}

/// The hybrid of runs and bit-packed codes. A run is worth it from eight rows on; what stands before it is filled up to
/// a multiple of eight from it, since only the last bit-packed part may be padded.
fn hybrid(codes: &[u32], width: u32, out: &mut Vec<u8>) {
    let (mut at, mut literal) = (0, 0);
    while at < codes.len() {
        let code = codes[at];
        let mut end = at + 1;
        while end < codes.len() && codes[end] == code {
            end += 1;
        }
        let fill = (8 - (at - literal) % 8) % 8;
        if end - at >= fill + 8 {
            packed(&codes[literal..at + fill], width, out);
            run(code, end - at - fill, width, out);
            literal = end;
        }
        at = end;
    }
    packed(&codes[literal..], width, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads what the writers above write, by the words of the format alone.
    fn read(mut bytes: &[u8], width: u32, count: usize) -> Vec<u32> {
        let mut out = Vec::new();
        while out.len() < count {
            let (mut header, mut shift) = (0usize, 0);
            loop {
                let byte = bytes[0];
                bytes = &bytes[1..];
                header |= usize::from(byte & 0x7F) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            if header & 1 == 0 {
                let len = width.div_ceil(8) as usize;
                let mut code = [0; 4];
                code[..len].copy_from_slice(&bytes[..len]);
                bytes = &bytes[len..];
                out.extend(std::iter::repeat_n(u32::from_le_bytes(code), header >> 1));
            } else {
                let len = (header >> 1) * width as usize;
                for i in 0..(header >> 1) * 8 {
                    let bit = |b: usize| u32::from(bytes[b / 8] >> (b % 8) & 1);
                    out.push((0..width as usize).map(|b| bit(i * width as usize + b) << b).sum());
                }
                bytes = &bytes[len..];
            }
        }
        assert!(bytes.is_empty());
        out.truncate(count);
        out
    }

    #[test]
    fn codes_come_back() {
        let mut state = 7u32;
        for width in [1, 2, 3, 7, 8, 9, 15, 16, 17, 24, 31, 32] {
            for length in [0, 1, 7, 8, 9, 63, 64, 100, 1000] {
                let mut codes = Vec::new();
                while codes.len() < length {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let code = if width == 32 { state } else { (state >> 3) % (1 << width) };
                    // Runs of every length, around the border of eight.
                    let times = [1, 1, 1, 2, 7, 8, 9, 16, 40][state as usize >> 8 & 7];
                    codes.extend(std::iter::repeat_n(code, times));
                }
                codes.truncate(length);
                let mut out = Vec::new();
                hybrid(&codes, width, &mut out);
                assert_eq!(read(&out, width, codes.len()), codes, "{width} {length}");
            }
        }
    }
}
