//! Alarms: BT03 becomes one row per alarm that the guides name, set or not, and one per bit that is set without a name.
//!
//! Byte 0 holds modes (metering, test, meter shop), which are no alarms. The manufacturer's alarms are BT00.17 bytes from
//! byte 4 on. Every read is a row set of its own. Source: Optical guide, BT03, pp. 45-47.

use std::sync::{Arc, OnceLock};

use arrow_array::builder::BooleanBuilder;
use arrow_array::types::{Int8Type, Int16Type, Int32Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;

use super::meter::{Field, Meter, field, missing, reject, table};
use super::{BATCH_ROWS, Kind, Options};
use crate::catalog::{Catalog, TableIx};
use crate::columns::{Nullable, Words, batch, full, schema};
use crate::image::Read;
use crate::layout::Missing;
use crate::reject::Reject;

pub(super) const NEEDS: [&str; 2] = ["BT00", "BT03"];
/// Bytes that every BT03 has: modes, two of standard alarms, extended alarms.
const FIXED: usize = 4;
/// BT00.17 as the MEP guide gives it (p. 198).
const DEFAULT: usize = 9;

struct Fields {
    bt03: TableIx,
    manufacturer_bytes: Field,
}

fn fields() -> &'static Fields {
    static FIELDS: OnceLock<Fields> = OnceLock::new();
    FIELDS.get_or_init(|| Fields {
        bt03: table("BT03"),
        manufacturer_bytes: field(table("BT00"), "manufacturer_status_length"),
    })
}

pub(super) struct Rows {
    schema: SchemaRef,
    meter: (Words, Vec<i32>),
    alarm: (Words, Vec<i32>),
    table: (Words, Vec<i32>),
    byte: Vec<i16>,
    bit: Vec<i8>,
    active: BooleanBuilder,
    read_at: Nullable<i64>,
    assume_defaults: bool,
}

impl Rows {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            schema: schema(Kind::Alarms, options),
            meter: (Words::new(), Vec::new()),
            alarm: (Words::new(), Vec::new()),
            table: (Words::new(), Vec::new()),
            byte: Vec::new(),
            bit: Vec::new(),
            active: BooleanBuilder::new(),
            read_at: Nullable::new(),
            assume_defaults: options.assume_defaults,
        }
    }

    fn push(&mut self, meter: &str, alarm: &str, byte: i16, bit: i8, active: bool, read_at: Option<i64>) {
        self.meter.1.push(self.meter.0.key(meter));
        self.alarm.1.push(self.alarm.0.key(alarm));
        self.table.1.push(self.table.0.key("BT03"));
        self.byte.push(byte);
        self.bit.push(bit);
        self.active.append_value(active);
        self.read_at.push(read_at);
    }

    pub(super) fn take(&mut self) -> Option<RecordBatch> {
        if self.byte.is_empty() {
            return None;
        }
        let columns: Vec<ArrayRef> = vec![
            self.meter.0.finish(full::<Int32Type>(&mut self.meter.1)),
            self.alarm.0.finish(full::<Int32Type>(&mut self.alarm.1)),
            self.table.0.finish(full::<Int32Type>(&mut self.table.1)),
            Arc::new(full::<Int16Type>(&mut self.byte)),
            Arc::new(full::<Int8Type>(&mut self.bit)),
            Arc::new(self.active.finish()),
            Arc::new(self.read_at.finish::<TimestampMicrosecondType>().with_timezone("UTC")),
        ];
        Some(batch(self.schema.clone(), columns))
    }
}

/// Add the rows of a meter.
pub(super) fn decode(meter: &Meter<'_>, rows: &mut Rows, rejects: &mut Vec<Reject>, full: &mut dyn FnMut(RecordBatch)) {
    for read in meter.reads(fields().bt03) {
        for byte in 1..length(meter, read, rows.assume_defaults, rejects) {
            if let Some(&[value]) = read.get(byte as u64, 1) {
                add(meter.label, rows, byte, value, read.read_at);
            }
        }
        if rows.byte.len() >= BATCH_ROWS {
            rows.take().into_iter().for_each(&mut *full);
        }
    }
}

/// The bytes of the table: by BT00.17, else those of a whole read; of a partial one those that are always there.
fn length(meter: &Meter<'_>, read: &Read<'_>, assume_defaults: bool, rejects: &mut Vec<Reject>) -> usize {
    let f = fields();
    let end = read.end();
    let Some(declared) = meter.view(Some(read)).find(f.manufacturer_bytes, &[]) else {
        if read.whole {
            return end;
        }
        if assume_defaults {
            meter.assumed.set(meter.assumed.get() || end > FIXED);
            return FIXED + DEFAULT;
        }
        if end > FIXED {
            rejects.push(missing(meter.label, read, Missing(f.manufacturer_bytes.table)));
        }
        return FIXED;
    };
    let length = FIXED + usize::try_from(declared).unwrap_or(0);
    if read.whole && end < length {
        let reason = format!("BT03 ends after {end} bytes, and BT00.17 makes it {length}; read BT03 and BT00 again");
        rejects
            .push(reject(meter.label, read, "table.too_short", reason).item(format!("byte {end}")).offset(end as i64));
    }
    length
}

fn add(meter: &str, rows: &mut Rows, byte: usize, value: u8, read_at: Option<i64>) {
    let names = &Catalog::get().alarms;
    for bit in 0..8u8 {
        let active = value >> bit & 1 == 1;
        let named = u8::try_from(byte).ok().and_then(|byte| names.get(&(byte, bit)));
        let (at, place) = (i16::try_from(byte).unwrap_or(i16::MAX), i8::try_from(bit).unwrap_or(0));
        match named {
            Some(name) => rows.push(meter, name, at, place, active, read_at),
            None if active => rows.push(meter, &format!("reserved {byte}.{bit}"), at, place, active, read_at),
            None => {}
        }
    }
}
