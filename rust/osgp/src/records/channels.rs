//! Channels: what every channel of every configured data set records, from the newest BT61; one row per channel.

use std::sync::Arc;

use arrow_array::types::{Int8Type, Int32Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;

use super::meter::Meter;
use super::profile_set::{Fields, profile_set};
use super::{BATCH_ROWS, Kind, Options};
use crate::columns::{Nullable, Words, batch, full, schema};

pub(super) const NEEDS: [&str; 12] =
    ["BT00", "BT01", "BT20", "BT60", "BT61", "BT62", "BT63", "ET21", "ET42", "ET54", "ET55", "ET66"];

pub(super) struct Rows {
    schema: SchemaRef,
    words: [Words; 4],
    keys: [Nullable<i32>; 4],
    data_set: Vec<i8>,
    channel: Vec<i8>,
    source: Nullable<i32>,
    interval_s: Vec<i32>,
    multiplier: Nullable<i32>,
    read_at: Nullable<i64>,
}

impl Rows {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            schema: schema(Kind::Channels, options),
            words: std::array::from_fn(|_| Words::new()),
            keys: std::array::from_fn(|_| Nullable::new()),
            data_set: Vec::new(),
            channel: Vec::new(),
            source: Nullable::new(),
            interval_s: Vec::new(),
            multiplier: Nullable::new(),
            read_at: Nullable::new(),
        }
    }

    pub(super) fn take(&mut self) -> Option<RecordBatch> {
        if self.channel.is_empty() {
            return None;
        }
        let mut strings = self.words.iter_mut().zip(&mut self.keys).map(|(w, k)| w.finish(k.finish()));
        let mut string = || strings.next().expect("there are four");
        let columns: Vec<ArrayRef> = vec![
            string(),
            Arc::new(full::<Int8Type>(&mut self.data_set)),
            Arc::new(full::<Int8Type>(&mut self.channel)),
            Arc::new(self.source.finish::<Int32Type>()),
            string(),
            string(),
            string(),
            Arc::new(full::<Int32Type>(&mut self.interval_s)),
            Arc::new(self.multiplier.finish::<Int32Type>()),
            Arc::new(self.read_at.finish::<TimestampMicrosecondType>().with_timezone("UTC")),
        ];
        Some(batch(self.schema.clone(), columns))
    }
}

/// Add the rows of a meter. A set that is not configured, or not so that data can follow it, has none.
pub(super) fn decode(meter: &Meter<'_>, rows: &mut Rows, full: &mut dyn FnMut(RecordBatch)) {
    let f = Fields::get();
    let Some(read) = meter.newest(f.bt61, None) else { return };
    let view = meter.view(Some(read));
    for n in 0..f.data.len() as i64 {
        let Ok(config) = profile_set(&view, n) else { continue };
        if config.blocks == 0 {
            continue;
        }
        for (c, source) in config.channels.iter().enumerate() {
            let words = [Some(meter.label), source.quantity, source.unit, source.obis];
            for ((word, dictionary), keys) in words.into_iter().zip(&mut rows.words).zip(&mut rows.keys) {
                keys.push(word.map(|w| dictionary.key(w)));
            }
            rows.data_set.push(config.number);
            rows.channel.push(c as i8);
            rows.source.push(source.id);
            rows.interval_s.push(config.interval_s);
            rows.multiplier.push(config.multiplier.filter(|_| source.energy));
            rows.read_at.push(read.read_at);
        }
    }
    if rows.channel.len() >= BATCH_ROWS {
        rows.take().into_iter().for_each(full);
    }
}
