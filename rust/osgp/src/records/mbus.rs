//! M-Bus and MEP billing reads: ET16 (the latest of every device), ET45 and ET74 (logs, oldest first), one row per reading.
//!
//! ```text
//! a read (MBR) of an M-Bus device:  time(6, local) response info(1) { length(1) telegram(length) }
//! of a MEP client:                  time(6, local) response info(1) read count(2) length(2) data(length)
//! an entry of a log:                length(2) identifier(2) handle(2) execution status(1) result(1) MBR
//! ```
//!
//! Telegrams end where the read does (ET14's billing read length, or the entry's own length), at a length of 0, or with
//! the entry; what lies behind them may be left of an older, longer read. Each read of a table is a row set of its own.
//! Source: MEP guide, ET16, pp. 92-95, ET45, pp. 119-121, ET74, pp. 176-177.

use std::sync::{Arc, OnceLock};

use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::types::{Float64Type, Int8Type, Int16Type, Int32Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;

use super::meter::{Field, Meter, View, available, field, missing, reject, table};
use super::profile_set::Et42;
use super::telegram::{self, Head, Record};
use super::{BATCH_ROWS, Kind, Options};
use crate::catalog::TableIx;
use crate::columns::{Nullable, Words, batch, full, schema};
use crate::image::{Part, Read};
use crate::layout::Missing;
use crate::reject::Reject;
use crate::values;

pub(super) const NEEDS: [&str; 8] = ["ET11", "ET14", "ET16", "ET36", "ET42", "ET45", "ET54", "ET74"];
/// The elements of M-Bus devices, with which ET16 begins; those behind are of MEP clients (MEP guide p. 80).
const MBUS_DEVICES: i64 = 4;
/// ET45 as ET36 names it: number, flag of an extended table, no procedure.
const ET45: i64 = 45 | 1 << 11;
const TABLE_BITS: i64 = 0x1FFF;
/// ET45's place among the logs of ET42.
const ET42_LOG: i64 = 4;
const BEFORE_READ: usize = 8;
const TIME: usize = 6;
const BEFORE_TELEGRAMS: usize = 7;
const BEFORE_DATA: usize = 11;
/// Handles from here on are those of MEP clients. Source: MEP guide p. 85.
const FIRST_CLIENT: i32 = 1000;
/// The guide's defaults: devices of firmware 4.0, bytes of an element of ET16 (ET11) and of a log's entry (ET36).
const DEFAULT_DEVICES: i64 = 6;
const DEFAULT_SIZE: usize = 517;
const DEFAULT_ENTRY: usize = 525;

/// A log: its table, the bytes of its header, and how wide its counts are.
struct Log {
    table: TableIx,
    name: &'static str,
    header: usize,
    width: usize,
}

struct Fields {
    et16: TableIx,
    logs: [Log; 2],
    devices: Field,
    entry_size: Field,
    latest_length: Field,
    et36_count: Field,
    et36_table: Field,
    et36_entries: Field,
    et36_size: Field,
    et42_entries: Field,
    et42_size: Field,
    et74_entries: Field,
}

fn fields() -> &'static Fields {
    static FIELDS: OnceLock<Fields> = OnceLock::new();
    FIELDS.get_or_init(|| {
        let (et11, et36, et42) = (table("ET11"), table("ET36"), table("ET42"));
        Fields {
            et16: table("ET16"),
            logs: [
                Log { table: table("ET45"), name: "ET45", header: 6, width: 1 },
                Log { table: table("ET74"), name: "ET74", header: 9, width: 2 },
            ],
            devices: field(et11, "devices"),
            entry_size: field(et11, "data_entry_size"),
            latest_length: field(table("ET14"), "10"),
            et36_count: field(et36, "count"),
            et36_table: field(et36, "log.table"),
            et36_entries: field(et36, "log.current_entries"),
            et36_size: field(et36, "log.entry_size"),
            et42_entries: field(et42, "log.count"),
            et42_size: field(et42, "log.entry_size"),
            et74_entries: field(table("ET54"), "69"),
        }
    })
}

pub(super) struct Rows {
    schema: SchemaRef,
    meter: (Words, Vec<i32>),
    log: (Words, Vec<i32>),
    slot: Vec<i8>,
    handle: Nullable<i32>,
    time: Nullable<i64>,
    /// Manufacturer, serial, medium, quantity and unit.
    words: [(Words, Nullable<i32>); 5],
    version: Nullable<i16>,
    status: Nullable<i16>,
    record: Vec<i16>,
    value: Nullable<f64>,
    text: StringBuilder,
    raw: BinaryBuilder,
    read_at: Nullable<i64>,
    assume_defaults: bool,
}

impl Rows {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            schema: schema(Kind::Mbus, options),
            meter: (Words::new(), Vec::new()),
            log: (Words::new(), Vec::new()),
            slot: Vec::new(),
            handle: Nullable::new(),
            time: Nullable::new(),
            words: std::array::from_fn(|_| (Words::new(), Nullable::new())),
            version: Nullable::new(),
            status: Nullable::new(),
            record: Vec::new(),
            value: Nullable::new(),
            text: StringBuilder::new(),
            raw: BinaryBuilder::new(),
            read_at: Nullable::new(),
            assume_defaults: options.assume_defaults,
        }
    }

    /// Add one reading.
    fn push(
        &mut self,
        place: &Place<'_, '_>,
        time: Option<i64>,
        head: Option<&Head>,
        number: usize,
        record: &Record<'_>,
    ) {
        self.meter.1.push(self.meter.0.key(place.meter));
        self.log.1.push(self.log.0.key(place.table));
        self.slot.push(i8::try_from(place.index).unwrap_or(-1));
        self.handle.push(place.handle);
        self.time.push(time);
        let words = [
            head.and_then(|h| h.manufacturer.as_deref()),
            head.map(|h| h.serial.as_str()),
            head.map(|h| &*h.medium),
            Some(record.quantity.as_str()),
            record.unit.as_deref(),
        ];
        for ((known, keys), word) in self.words.iter_mut().zip(words) {
            keys.push(word.map(|word| known.key(word)));
        }
        self.version.push(head.and_then(|h| h.version));
        self.status.push(head.map(|h| h.status));
        self.record.push(i16::try_from(number).unwrap_or(i16::MAX));
        self.value.push(record.value);
        self.text.append_option(record.text.as_deref());
        self.raw.append_value(record.raw);
        self.read_at.push(place.read.read_at);
    }

    pub(super) fn take(&mut self) -> Option<RecordBatch> {
        if self.slot.is_empty() {
            return None;
        }
        let [manufacturer, serial, medium, quantity, unit] =
            self.words.each_mut().map(|(words, keys)| words.finish(keys.finish()));
        let columns: Vec<ArrayRef> = vec![
            self.meter.0.finish(full::<Int32Type>(&mut self.meter.1)),
            self.log.0.finish(full::<Int32Type>(&mut self.log.1)),
            Arc::new(full::<Int8Type>(&mut self.slot)),
            Arc::new(self.handle.finish::<Int32Type>()),
            Arc::new(self.time.finish::<TimestampMicrosecondType>()),
            manufacturer,
            serial,
            medium,
            Arc::new(self.version.finish::<Int16Type>()),
            Arc::new(self.status.finish::<Int16Type>()),
            Arc::new(full::<Int16Type>(&mut self.record)),
            quantity,
            unit,
            Arc::new(self.value.finish::<Float64Type>()),
            Arc::new(self.text.finish()),
            Arc::new(self.raw.finish()),
            Arc::new(self.read_at.finish::<TimestampMicrosecondType>().with_timezone("UTC")),
        ];
        Some(batch(self.schema.clone(), columns))
    }
}

/// Where a billing read stands, and what is known of it before it is looked at.
struct Place<'r, 'a> {
    meter: &'r str,
    read: &'r Read<'a>,
    table: &'static str,
    /// `slot` of ET16, `entry` of a log.
    what: &'static str,
    index: i64,
    handle: Option<i32>,
    offset: u64,
    /// Bytes that the entry has for it.
    size: usize,
    /// Bytes that are in use by what other fields say.
    used: Option<i64>,
    client: bool,
}

impl Place<'_, '_> {
    /// A reject of damage `at` bytes into the read; its length is that of `data` unless given.
    fn reject(
        &self,
        code: &'static str,
        reason: &str,
        at: usize,
        data: &[u8],
        length: Option<usize>,
        item: &str,
    ) -> Reject {
        let whose = self.handle.map_or_else(String::new, |handle| format!(" of handle {handle}"));
        let (table, what, index) = (self.table, self.what, self.index);
        reject(self.meter, self.read, code, format!("{table}, {what} {index}{whose}: {reason}"))
            .item(format!("{what} {index}{item}"))
            .offset((self.offset + at as u64) as i64)
            .data(data)
            .length(length.unwrap_or(data.len()) as i64)
    }

    fn incomplete(&self, data: &[u8]) -> Reject {
        let reason = format!("{} of its {} bytes are there; read {} again", data.len(), self.size, self.table);
        self.reject("mbus.entry_incomplete", &reason, 0, data, Some(self.size), "")
    }

    /// A reject of what should go on to `end` and ends with the bytes that are there; `at` is where it is not read on.
    fn cut(&self, data: &[u8], at: usize, end: usize, what: &str, item: &str) -> Reject {
        let rest = data.get(at..).unwrap_or_default();
        let (code, reason) = if data.len() < self.size {
            ("mbus.entry_incomplete", format!("{what} is not all there; read {} again", self.table))
        } else {
            let over = end - self.size;
            ("mbus.cut", format!("{what} is {over} bytes longer than its place; the meter kept the start alone"))
        };
        self.reject(code, &reason, at, rest, Some(end - at), item)
    }
}

/// Add the rows of a meter: ET16, then ET45, then ET74.
pub(super) fn decode(meter: &Meter<'_>, rows: &mut Rows, rejects: &mut Vec<Reject>, full: &mut dyn FnMut(RecordBatch)) {
    let f = fields();
    for read in meter.reads(f.et16) {
        if let Err(m) = devices(meter, read, rows, rejects) {
            rejects.push(missing(meter.label, read, m));
        }
        flush(rows, full);
    }
    for log in &f.logs {
        for read in meter.reads(log.table) {
            if let Err(m) = entries(meter, log, read, rows, rejects) {
                rejects.push(missing(meter.label, read, m));
            }
            flush(rows, full);
        }
    }
}

fn flush(rows: &mut Rows, full: &mut dyn FnMut(RecordBatch)) {
    if rows.slot.len() >= BATCH_ROWS {
        rows.take().into_iter().for_each(full);
    }
}

/// The elements of ET16 that are there.
fn devices(meter: &Meter<'_>, read: &Read<'_>, rows: &mut Rows, rejects: &mut Vec<Reject>) -> Result<(), Missing> {
    let f = fields();
    let view = meter.view(Some(read));
    let captured = || Ok((view.get(f.devices, &[])?, usize::try_from(view.get(f.entry_size, &[])?).unwrap_or(0)));
    let (count, size) = match captured() {
        Err(_) if rows.assume_defaults => {
            meter.assumed.set(true);
            (DEFAULT_DEVICES.min(read.end().div_ceil(DEFAULT_SIZE) as i64), DEFAULT_SIZE)
        }
        found => found?,
    };
    if size <= BEFORE_TELEGRAMS {
        let what = format!("ET11.5 gives its entries {size} bytes");
        rejects.push(wrong(meter.label, read, "mbus.entry_size", &what, "ET16", "ET11"));
        return Ok(());
    }
    let mut absent = Absent::default();
    for index in 0..count {
        let place = Place {
            meter: meter.label,
            read,
            table: "ET16",
            what: "slot",
            index,
            handle: None,
            offset: index as u64 * size as u64,
            size,
            // Bytes of the latest read of the device, from its time on, by ET14.
            used: view.find(f.latest_length, &[index]),
            client: index >= MBUS_DEVICES,
        };
        match there(&place, size, rejects) {
            None => absent.add(index),
            Some([]) => {}
            Some(data) => billing_read(&place, data, rows, rejects),
        }
    }
    absent.tell(meter.label, read, "ET16", count, "slot", rejects);
    Ok(())
}

/// The entries of ET45 or ET74 that are there, oldest first.
fn entries(
    meter: &Meter<'_>,
    log: &Log,
    read: &Read<'_>,
    rows: &mut Rows,
    rejects: &mut Vec<Reject>,
) -> Result<(), Missing> {
    let (name, size) = (log.name, log.header);
    let head = match read.part(0, size as u64) {
        Part::All(head) => head,
        Part::None => return Err(Missing(log.table)),
        Part::Some(from, head) => {
            let reason = format!("{} of the header's {size} bytes are there; read {name} again", head.len());
            rejects.push(
                reject(meter.label, read, "mbus.log_header", reason)
                    .item("header")
                    .offset(from as i64)
                    .data(head)
                    .length(size as i64),
            );
            return Ok(());
        }
    };
    let count = |i: usize| {
        let bytes = head.get(1 + i * log.width..1 + (i + 1) * log.width).unwrap_or_default();
        bytes.iter().rev().fold(0, |n, b| n << 8 | i64::from(*b))
    };
    let (valid, last) = (count(0), count(1));
    if valid == 0 {
        return Ok(());
    }
    let view = meter.view(Some(read));
    let (room, stride) = match dimensions(&view, log) {
        // As many entries as a whole read has room for.
        Err((_, size)) if rows.assume_defaults && read.whole => {
            meter.assumed.set(true);
            let size = size.filter(|size| *size > 0).unwrap_or(DEFAULT_ENTRY);
            (((read.end() - log.header) / size) as i64, size)
        }
        found => found.map_err(|(missing, _)| missing)?,
    };
    let wrong_header = if stride <= BEFORE_READ + BEFORE_TELEGRAMS {
        Some(("mbus.entry_size", format!("its entries are {stride} bytes")))
    } else if valid > room {
        Some(("mbus.count", format!("the header counts {valid} entries in a log with room for {room}")))
    } else if last >= room {
        Some(("mbus.last_entry", format!("the header says entry {last} is the newest of a log with room for {room}")))
    } else {
        None
    };
    if let Some((code, what)) = wrong_header {
        rejects.push(wrong(meter.label, read, code, &what, name, "ET36"));
        return Ok(());
    }
    let step = if head.first().is_some_and(|flags| flags & 1 == 1) { -1 } else { 1 };
    let mut absent = Absent::default();
    for age in (0..valid).rev() {
        let index = (last - step * age).rem_euclid(room);
        let mut place = Place {
            meter: meter.label,
            read,
            table: name,
            what: "entry",
            index,
            handle: None,
            offset: size as u64 + index as u64 * stride as u64,
            size: stride,
            used: None,
            client: false,
        };
        let Some(data) = there(&place, stride, rejects) else {
            absent.add(index);
            continue;
        };
        let Some((&[l0, l1, _, _, h0, h1, _, _], data)) = data.split_first_chunk::<BEFORE_READ>() else {
            if !data.is_empty() {
                rejects.push(place.incomplete(data));
            }
            continue;
        };
        let (length, handle) = (u16::from_le_bytes([l0, l1]), i32::from(u16::from_le_bytes([h0, h1])));
        if length == 0 {
            continue;
        }
        place.handle = Some(handle);
        place.offset += BEFORE_READ as u64;
        place.size -= BEFORE_READ;
        // Lengths that count from the handle on, as the text has it, are longer; a telegram is longer than the difference.
        place.used = Some(i64::from(length) + 2 - BEFORE_READ as i64);
        place.client = handle >= FIRST_CLIENT;
        billing_read(&place, data, rows, rejects);
    }
    absent.tell(meter.label, read, name, valid, "entry", rejects);
    Ok(())
}

/// Entries and bytes of an entry: from ET36, else ET42's copies; those of ET74 from ET54, else ET42.
///
/// The error is the table that was not captured, and the bytes of an entry if these are known.
fn dimensions(view: &View<'_, '_>, log: &Log) -> Result<(i64, usize), (Missing, Option<usize>)> {
    let f = fields();
    let count = view.find(f.et36_count, &[]).unwrap_or(0);
    let named = |i: &i64| view.find(f.et36_table, &[*i]).unwrap_or(0) & TABLE_BITS == ET45;
    let of_et36 =
        (0..count).find(named).and_then(|i| Some((view.find(f.et36_entries, &[i])?, view.find(f.et36_size, &[i])?)));
    let of_et42 = || Some((view.find(f.et42_entries, &[ET42_LOG])?, view.find(f.et42_size, &[ET42_LOG])?));
    let (mut entries, size) = of_et36.or_else(of_et42).ok_or((Missing(f.et36_count.table), None))?;
    let size = usize::try_from(size).unwrap_or(0);
    if log.table != f.logs[0].table {
        let found = view.find(f.et74_entries, &[]).or_else(|| Et42::new(view).et74_entries());
        entries = found.ok_or((Missing(f.et74_entries.table), Some(size)))?;
    }
    Ok((entries, size))
}

/// A reject of a table and its dimensions that contradict.
fn wrong(meter: &str, read: &Read<'_>, code: &'static str, what: &str, table: &str, other: &str) -> Reject {
    let (from, data) = available(&read.part(0, 16), 0).unwrap_or((0, &[]));
    reject(meter, read, code, format!("{table}: {what}; read {table} and {other} again"))
        .item("header")
        .offset(from)
        .data(data)
}

/// The first bytes of an entry that are there: `None` if none are, and empty if its start is missing.
fn there<'r>(place: &Place<'r, '_>, size: usize, rejects: &mut Vec<Reject>) -> Option<&'r [u8]> {
    let (from, data) = available(&place.read.part(place.offset, size as u64), place.offset)?;
    let before = usize::try_from(from).ok()?.checked_sub(usize::try_from(place.offset).ok()?)?;
    if before > 0 {
        let reason = format!("its first {before} bytes are missing; read {} again", place.table);
        rejects.push(place.reject("mbus.entry_incomplete", &reason, before, data, Some(size), ""));
        return Some(&[]);
    }
    Some(data)
}

/// Entries that are not there.
#[derive(Default)]
struct Absent {
    count: usize,
    first: i64,
}

impl Absent {
    fn add(&mut self, index: i64) {
        if self.count == 0 {
            self.first = index;
        }
        self.count += 1;
    }

    fn tell(&self, meter: &str, read: &Read<'_>, table: &str, of: i64, what: &str, rejects: &mut Vec<Reject>) {
        if self.count == 0 || !read.whole {
            return;
        }
        let (end, count) = (read.end(), self.count);
        let reason = format!("{table} ends after {end} bytes, before {count} of its {of} entries; read {table} again");
        rejects.push(
            reject(meter, read, "table.too_short", reason).item(format!("{what} {}", self.first)).offset(end as i64),
        );
    }
}

/// The readings of one billing read; `data` are its bytes as far as they are there.
fn billing_read(place: &Place<'_, '_>, data: &[u8], rows: &mut Rows, rejects: &mut Vec<Reject>) {
    if data.iter().all(|b| *b == 0) || data.iter().all(|b| *b == 0xFF) {
        return;
    }
    let (Some(stamp), true) = (data.get(..TIME), data.len() > BEFORE_TELEGRAMS) else {
        if data.len() < place.size {
            rejects.push(place.incomplete(data));
        }
        return;
    };
    let seconds = values::seconds(stamp).unwrap_or_else(|date| {
        let reason = format!("the time {} does not exist; the readings are kept without it", date.0);
        rejects.push(place.reject("mbus.time", &reason, 0, stamp, None, ""));
        None
    });
    let time = seconds.map(|s| s * 1_000_000);
    if place.client {
        client_data(place, time, data, rows, rejects);
    } else {
        telegrams(place, time, data, rows, rejects);
    }
}

/// What a MEP client submitted: bytes of its own.
fn client_data(place: &Place<'_, '_>, time: Option<i64>, data: &[u8], rows: &mut Rows, rejects: &mut Vec<Reject>) {
    let (Some(&[low, high]), Some(rest)) = (data.get(9..BEFORE_DATA), data.get(BEFORE_DATA..)) else {
        if data.len() < place.size {
            rejects.push(place.incomplete(data));
        }
        return;
    };
    let length = usize::from(u16::from_le_bytes([low, high]));
    let raw = rest.get(..length).unwrap_or(rest);
    if length > 0 {
        rows.push(place, time, None, 0, &Record::bare("MEP data", raw));
    }
    if raw.len() < length {
        rejects.push(place.cut(data, BEFORE_DATA, BEFORE_DATA + length, "the client's data", ""));
    }
}

/// The telegrams of an M-Bus device, one after another.
fn telegrams(place: &Place<'_, '_>, time: Option<i64>, data: &[u8], rows: &mut Rows, rejects: &mut Vec<Reject>) {
    let info = data.get(TIME).copied().unwrap_or(0);
    let size = telegram::head_size(info);
    let mut number = 0;
    let mut first: Option<Vec<u8>> = None;
    let mut at = BEFORE_TELEGRAMS;
    while let Some(length) = data.get(at).copied() {
        if first.is_some() && place.used.is_some_and(|used| at as i64 >= used) {
            return;
        }
        let (start, end) = (at + 1, at + 1 + usize::from(length));
        let rest = data.get(start..).unwrap_or_default();
        let body = data.get(start..end).unwrap_or(rest);
        if length == 0 || (length == 0xFF && body.iter().all(|b| *b == 0xFF)) {
            return;
        }
        at = end;
        let whole = body.len() == usize::from(length);
        let item = format!(", record {number}");
        let Some(telegram) = telegram::parse(body, info, whole) else {
            rejects.push(if whole {
                let reason = format!(
                    "a telegram of {length} bytes is shorter than the {size} of its head; the next one is tried"
                );
                place.reject("mbus.telegram", &reason, start, body, None, &item)
            } else {
                place.cut(data, start, end, "a telegram", &item)
            });
            continue;
        };
        let identity = first.get_or_insert_with(|| telegram.head.identity.clone());
        if *identity != telegram.head.identity {
            let reason = "what follows is no telegram of the same device: left of an older, longer read, or damaged; read \
                          ET14 too";
            rejects.push(place.reject("mbus.other_device", reason, start, rest, None, &item));
            return;
        }
        for record in &telegram.records {
            rows.push(place, time, Some(&telegram.head), number, record);
            number += 1;
        }
        let item = format!(", record {number}");
        let stop = start + telegram.broken.as_ref().map_or(body.len(), |b| b.at);
        if !whole {
            rejects.push(place.cut(data, stop, end, "a telegram", &item));
        } else if let Some(broken) = &telegram.broken {
            let reason = format!("{}; the readings before it are kept", broken.reason);
            let lost = data.get(stop..end).unwrap_or_default();
            rejects.push(place.reject(broken.code, &reason, stop, lost, None, &item));
        }
    }
}
