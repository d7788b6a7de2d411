//! Meters: who made it, what it is called, its firmware, and the tables that were seen of it; one row per meter.

use std::sync::{Arc, OnceLock};

use arrow_array::RecordBatch;
use arrow_array::builder::{Int32Builder, ListBuilder, StringBuilder};
use arrow_array::types::TimestampMicrosecondType;
use arrow_schema::SchemaRef;

use super::meter::{Field, Meter, field, table};
use super::{BATCH_ROWS, Kind, Options};
use crate::columns::{Nullable, batch, list_item, schema};
use crate::values;

pub(super) const NEEDS: [&str; 3] = ["BT00", "BT01", "ET03"];
/// Where the serial number stands as 16 characters instead of 8 BCD bytes (BT00.1.5 = 0): offset and length.
const SERIAL: (u64, u64) = (16, 16);

struct Fields {
    firmware: Field,
    manufacturer: Field,
    model: Field,
    serial: Field,
    id_format: Field,
    utility_serial: Field,
}

fn fields() -> &'static Fields {
    static FIELDS: OnceLock<Fields> = OnceLock::new();
    FIELDS.get_or_init(|| {
        let (bt00, bt01, et03) = (table("BT00"), table("BT01"), table("ET03"));
        Fields {
            firmware: field(bt01, "firmware"),
            manufacturer: field(bt01, "manufacturer"),
            model: field(bt01, "model"),
            serial: field(bt01, "serial"),
            id_format: field(bt00, "format_control_2.identification_format"),
            utility_serial: field(et03, "utility_serial"),
        }
    })
}

pub(super) struct Rows {
    schema: SchemaRef,
    text: [StringBuilder; 6],
    tables: ListBuilder<Int32Builder>,
    read_at: Nullable<i64>,
    count: usize,
}

impl Rows {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            schema: schema(Kind::Meters, options),
            text: Default::default(),
            tables: ListBuilder::new(Int32Builder::new()).with_field(list_item()),
            read_at: Nullable::new(),
            count: 0,
        }
    }

    pub(super) fn take(&mut self) -> Option<RecordBatch> {
        if std::mem::take(&mut self.count) == 0 {
            return None;
        }
        let mut columns: Vec<arrow_array::ArrayRef> = Vec::with_capacity(8);
        columns.extend(self.text.iter_mut().map(|t| Arc::new(t.finish()) as _));
        columns.push(Arc::new(self.tables.finish()));
        columns.push(Arc::new(self.read_at.finish::<TimestampMicrosecondType>().with_timezone("UTC")));
        Some(batch(self.schema.clone(), columns))
    }
}

/// Add the row of a meter. Source: BT00, BT01 (Optical guide pp. 19, 48), ET03 (p. 18).
pub(super) fn decode(meter: &Meter<'_>, rows: &mut Rows, full: &mut dyn FnMut(RecordBatch)) {
    let f = fields();
    let view = meter.view(None);
    let identity = meter.newest(f.firmware.table, None).or_else(|| meter.newest(f.utility_serial.table, None));
    let serial = if view.find(f.id_format, &[]) == Some(0) {
        meter.newest(f.serial.table, None).and_then(|r| r.get(SERIAL.0, SERIAL.1)).map(values::text)
    } else {
        view.octets(f.serial).map(values::digits)
    };
    let [label, utility, manufacturer, model, manufacturer_serial, firmware] = &mut rows.text;
    label.append_value(meter.label);
    utility.append_option(view.text(f.utility_serial));
    manufacturer.append_option(view.text(f.manufacturer));
    model.append_option(view.text(f.model));
    manufacturer_serial.append_option(serial);
    firmware.append_option(view.find(f.firmware, &[]).map(values::firmware));
    rows.tables.append_value(meter.tables.iter().map(|t| Some(*t)));
    rows.read_at.push(identity.and_then(|r| r.read_at));
    rows.count += 1;
    if rows.count >= BATCH_ROWS {
        rows.take().into_iter().for_each(full);
    }
}
