//! The columns of every kind, as Arrow. Source: the contract, "Columns"; the twin of `python/osgp_fast/columns.py`.
//!
//! Repeated strings are `Dictionary(Int32, Utf8)` in batches; [`plain_schema`] says what they become in files. There
//! are no unsigned types and no seconds: Spark has none.

use std::sync::{Arc, OnceLock};

use arrow_array::builder::{BinaryBuilder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::types::{ArrowPrimitiveType, Int32Type};
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, PrimitiveArray, RecordBatch, StringArray};
use arrow_buffer::{ArrowNativeType, Buffer, MutableBuffer, NullBuffer, NullBufferBuilder, ScalarBuffer};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::reject::Reject;

/// The value and status columns of the wide shape.
pub const MAX_CHANNELS: usize = 16;

/// What can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// One row per interval and channel (or per interval).
    LoadProfile,
    /// One row per entry of an event log.
    Events,
    /// One row per meter.
    Meters,
    /// One row per channel of a data set.
    Channels,
    /// One row per register, current and in snapshots.
    Registers,
    /// One row per present value.
    Measurements,
    /// One row per alarm bit.
    Alarms,
    /// One row per data record of an M-Bus telegram.
    Mbus,
}

impl Kind {
    /// Every kind, in the order in which they are written.
    pub const ALL: [Kind; 8] = [
        Kind::LoadProfile,
        Kind::Events,
        Kind::Meters,
        Kind::Channels,
        Kind::Registers,
        Kind::Measurements,
        Kind::Alarms,
        Kind::Mbus,
    ];

    /// The name in files and options.
    pub fn name(self) -> &'static str {
        match self {
            Kind::LoadProfile => "load_profile",
            Kind::Events => "events",
            Kind::Meters => "meters",
            Kind::Channels => "channels",
            Kind::Registers => "registers",
            Kind::Measurements => "measurements",
            Kind::Alarms => "alarms",
            Kind::Mbus => "mbus",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|k| k.name() == name)
    }
}

/// The shape of the load profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// A row per interval and channel.
    #[default]
    Long,
    /// A row per interval, with columns `value_0` to `value_15`.
    Wide,
}

/// What decides about the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The shape of the load profile.
    pub shape: Shape,
    /// Add the growth of cumulative sources over the interval (long shape).
    pub delta: bool,
    /// Decode registers, measurements, alarms and M-Bus readings with the guides' defaults where their dimension tables
    /// were not captured.
    pub assume_defaults: bool,
}

/// `timestamp[us, UTC]`.
pub fn utc_time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// `timestamp[us]`: the meter's local clock, whose zone no table names.
pub fn local_time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

fn repeated() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The columns of a kind as batches carry them: repeated strings as dictionaries.
pub fn schema(kind: Kind, options: &Options) -> SchemaRef {
    let f = |name: &str, ty, nullable| Field::new(name, ty, nullable);
    let mut fields = match kind {
        Kind::LoadProfile => {
            let mut fields = vec![
                f("meter", repeated(), false),
                f("data_set", DataType::Int8, false),
                f("block", DataType::Int64, false),
                f("interval", DataType::Int32, false),
                f("interval_end", utc_time(), false),
                f("interval_s", DataType::Int32, false),
            ];
            if options.shape == Shape::Wide {
                let channels = 0..MAX_CHANNELS;
                fields.extend(channels.clone().map(|c| Field::new(format!("value_{c}"), DataType::Int64, true)));
                fields.extend(channels.map(|c| Field::new(format!("status_{c}"), DataType::Int8, true)));
                fields.push(f("flags", DataType::Int8, false));
            } else {
                fields.extend([
                    f("channel", DataType::Int8, false),
                    f("source", DataType::Int32, true),
                    f("quantity", repeated(), true),
                    f("unit", repeated(), true),
                    f("obis", repeated(), true),
                    f("value", DataType::Int64, false),
                    f("multiplier", DataType::Int32, true),
                    f("status", DataType::Int8, false),
                    f("flags", DataType::Int8, false),
                ]);
                if options.delta {
                    fields.push(f("delta", DataType::Int64, true));
                }
            }
            fields
        }
        Kind::Events => vec![
            f("meter", repeated(), false),
            f("log", repeated(), false),
            f("sequence", DataType::Int64, true),
            f("time", utc_time(), true),
            f("user_id", DataType::Int32, false),
            f("event_code", DataType::Int32, false),
            f("event", repeated(), true),
            f("argument", DataType::Binary, false),
        ],
        Kind::Meters => vec![
            f("meter", DataType::Utf8, false),
            f("utility_serial", DataType::Utf8, true),
            f("manufacturer", DataType::Utf8, true),
            f("model", DataType::Utf8, true),
            f("manufacturer_serial", DataType::Utf8, true),
            f("firmware", DataType::Utf8, true),
            f("tables", DataType::List(Arc::new(list_item())), false),
        ],
        Kind::Channels => vec![
            f("meter", repeated(), false),
            f("data_set", DataType::Int8, false),
            f("channel", DataType::Int8, false),
            f("source", DataType::Int32, true),
            f("quantity", repeated(), true),
            f("unit", repeated(), true),
            f("obis", repeated(), true),
            f("interval_s", DataType::Int32, false),
            f("multiplier", DataType::Int32, true),
        ],
        Kind::Registers => vec![
            f("meter", repeated(), false),
            f("snapshot", repeated(), false),
            f("time", local_time(), true),
            f("season", DataType::Int8, true),
            f("tier", DataType::Int8, true),
            f("kind", repeated(), false),
            f("index", DataType::Int16, false),
            f("source", DataType::Int32, true),
            f("quantity", repeated(), true),
            f("unit", repeated(), true),
            f("obis", repeated(), true),
            f("value", DataType::Int64, false),
            f("event_time", local_time(), true),
            f("multiplier", DataType::Int32, true),
            f("cumulative", DataType::Int64, true),
            f("continuous_cumulative", DataType::Int64, true),
            f("occurrence", DataType::Int16, true),
            f("of_demand", DataType::Int16, true),
            f("min_max", repeated(), true),
            f("demand_resets", DataType::Int16, true),
            f("sequence", DataType::Int32, true),
            f("bidn", DataType::Int32, true),
        ],
        Kind::Measurements => vec![
            f("meter", repeated(), false),
            f("source", DataType::Int32, true),
            f("index", DataType::Int16, false),
            f("quantity", repeated(), true),
            f("unit", repeated(), true),
            f("obis", repeated(), true),
            f("value", DataType::Float64, false),
            f("raw", DataType::Int32, false),
        ],
        Kind::Alarms => vec![
            f("meter", repeated(), false),
            f("alarm", repeated(), false),
            f("table", repeated(), false),
            f("byte", DataType::Int16, false),
            f("bit", DataType::Int8, false),
            f("active", DataType::Boolean, false),
        ],
        Kind::Mbus => vec![
            f("meter", repeated(), false),
            f("log", repeated(), false),
            f("slot", DataType::Int8, false),
            f("handle", DataType::Int32, true),
            f("time", local_time(), true),
            f("manufacturer", repeated(), true),
            f("serial", repeated(), true),
            f("medium", repeated(), true),
            f("version", DataType::Int16, true),
            f("status", DataType::Int16, true),
            f("record", DataType::Int16, false),
            f("quantity", repeated(), true),
            f("unit", repeated(), true),
            f("value", DataType::Float64, true),
            f("text", DataType::Utf8, true),
            f("raw", DataType::Binary, false),
        ],
    };
    fields.push(f("read_at", utc_time(), true));
    Arc::new(Schema::new(fields))
}

pub(crate) fn list_item() -> Field {
    Field::new("item", DataType::Int32, true)
}

/// The same columns with plain strings, as files have them.
pub fn plain_schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Dictionary(_, value) => field.as_ref().clone().with_data_type(value.as_ref().clone()),
            _ => field.as_ref().clone(),
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// The columns of table images in a file. Source: the contract, "Table image".
pub fn images_schema() -> SchemaRef {
    static SCHEMA: OnceLock<SchemaRef> = OnceLock::new();
    SCHEMA
        .get_or_init(|| {
            Arc::new(Schema::new(vec![
                Field::new("meter", DataType::Utf8, false),
                Field::new("table", DataType::Int32, false),
                Field::new("offset", DataType::Int64, false),
                Field::new("data", DataType::Binary, false),
                Field::new("read_at", utc_time(), true),
                Field::new("whole", DataType::Boolean, true),
                Field::new("ped", DataType::Binary, true),
            ]))
        })
        .clone()
}

/// The columns of `rejects`.
pub fn rejects_schema() -> SchemaRef {
    static SCHEMA: OnceLock<SchemaRef> = OnceLock::new();
    SCHEMA
        .get_or_init(|| {
            Arc::new(Schema::new(vec![
                Field::new("meter", DataType::Utf8, true),
                Field::new("table", DataType::Int32, true),
                Field::new("item", DataType::Utf8, false),
                Field::new("code", DataType::Utf8, false),
                Field::new("reason", DataType::Utf8, false),
                Field::new("input", DataType::Utf8, false),
                Field::new("offset", DataType::Int64, true),
                Field::new("length", DataType::Int64, false),
                Field::new("data", DataType::Binary, false),
                Field::new("read_at", utc_time(), true),
            ]))
        })
        .clone()
}

/// Rejects as a batch of the kind `rejects`.
pub fn rejects_batch(rejects: &[Reject]) -> RecordBatch {
    let text = |f: &dyn Fn(&Reject) -> Option<String>| -> ArrayRef {
        let mut out = StringBuilder::new();
        rejects.iter().for_each(|r| out.append_option(f(r)));
        Arc::new(out.finish())
    };
    let mut table = Int32Builder::new();
    let (mut offset, mut length) = (Int64Builder::new(), Int64Builder::new());
    let mut data = BinaryBuilder::new();
    let mut read_at = TimestampMicrosecondBuilder::new();
    for r in rejects {
        table.append_option(r.table.map(|t| t.0));
        offset.append_option(r.offset);
        length.append_value(r.length);
        data.append_value(&r.data);
        read_at.append_option(r.read_at);
    }
    let columns: Vec<ArrayRef> = vec![
        text(&|r| r.meter.clone()),
        Arc::new(table.finish()),
        text(&|r| Some(r.item.clone())),
        text(&|r| Some(r.code.to_owned())),
        text(&|r| Some(r.reason.clone())),
        text(&|r| Some(r.input.to_string())),
        Arc::new(offset.finish()),
        Arc::new(length.finish()),
        Arc::new(data.finish()),
        Arc::new(read_at.finish().with_timezone("UTC")),
    ];
    batch(rejects_schema(), columns)
}

/// A batch of columns that are made to fit the schema.
pub(crate) fn batch(schema: SchemaRef, columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(schema, columns).expect("builders make the columns of their schema")
}

/// A column that may have nulls; without any it costs no bitmap.
pub(crate) struct Nullable<T> {
    pub(crate) values: Vec<T>,
    nulls: NullBufferBuilder,
}

impl<T: ArrowNativeType> Nullable<T> {
    pub(crate) fn new() -> Self {
        Self { values: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }
    pub(crate) fn push(&mut self, value: Option<T>) {
        self.values.push(value.unwrap_or_default());
        self.nulls.append(value.is_some());
    }
    pub(crate) fn repeat(&mut self, value: Option<T>, n: usize) {
        self.values.resize(self.values.len() + n, value.unwrap_or_default());
        match value {
            Some(_) => self.nulls.append_n_non_nulls(n),
            None => self.nulls.append_n_nulls(n),
        }
    }
    /// Append a pattern over and over, `n` values in all.
    pub(crate) fn tile(&mut self, tile: &Tile<T>, mut n: usize) {
        tile.append(&mut self.values, n);
        match &tile.nulls {
            None => self.nulls.append_n_non_nulls(n),
            Some(nulls) if nulls.null_count() == nulls.len() => self.nulls.append_n_nulls(n),
            Some(nulls) => {
                while n > 0 {
                    let part = n.min(nulls.len());
                    self.nulls.append_buffer(&nulls.slice(0, part));
                    n -= part;
                }
            }
        }
    }
    /// Append values, none of them null, that `fill` writes.
    pub(crate) fn fill(&mut self, n: usize, fill: impl FnOnce(&mut [T])) {
        self.nulls.append_n_non_nulls(n);
        grow(&mut self.values, n, fill);
    }
    pub(crate) fn reserve(&mut self, n: usize) {
        self.values.reserve(n);
    }
    pub(crate) fn finish<P: ArrowPrimitiveType<Native = T>>(&mut self) -> PrimitiveArray<P> {
        PrimitiveArray::new(ScalarBuffer::from(std::mem::take(&mut self.values)), self.nulls.finish())
    }
}

/// What repeats for every interval: one value per channel.
pub(crate) struct Tile<T> {
    /// The pattern many times over, so that most appends are one copy.
    values: Vec<T>,
    nulls: Option<NullBuffer>,
}

impl<T: Copy + Default> Tile<T> {
    const LENGTH: usize = 512;

    /// Whether it holds no value.
    fn is_null(&self) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.null_count() == nulls.len())
    }

    pub(crate) fn new(pattern: impl IntoIterator<Item = Option<T>>) -> Self {
        let pattern: Vec<Option<T>> = pattern.into_iter().collect();
        let times = Self::LENGTH.div_ceil(pattern.len().max(1));
        let all = || std::iter::repeat_n(&pattern, times).flatten();
        let nulls = pattern.iter().any(Option::is_none).then(|| all().map(Option::is_some).collect());
        Self { values: all().map(|v| v.unwrap_or_default()).collect(), nulls }
    }

    /// Append `n` values; `n` is a multiple of the period.
    pub(crate) fn append(&self, out: &mut Vec<T>, mut n: usize) {
        while n > 0 && !self.values.is_empty() {
            let part = n.min(self.values.len());
            out.extend_from_slice(&self.values[..part]);
            n -= part;
        }
    }
}

/// A column of which most rows repeat the one before, or are null: stretches cost no more than their start, and where no row
/// has a value the column has no bytes of its own.
pub(crate) struct Stretches<T> {
    values: Option<Nullable<T>>,
    /// Rows so far, all of them null as long as there are no `values`.
    rows: usize,
    value: Option<T>,
    pending: usize,
    /// Rows of the column before: this one is likely to get as many, and growing to them step by step copies each twice.
    before: usize,
}

impl<T: ArrowNativeType> Stretches<T> {
    pub(crate) fn new() -> Self {
        Self { values: None, rows: 0, value: None, pending: 0, before: 0 }
    }

    /// Append `n` times the same.
    pub(crate) fn repeat(&mut self, value: Option<T>, n: usize) {
        if self.value != value {
            self.flush();
            self.value = value;
        }
        self.pending += n;
    }

    /// Append a pattern over and over, `n` values in all.
    pub(crate) fn tile(&mut self, tile: &Tile<T>, n: usize) {
        if tile.is_null() {
            return self.repeat(None, n);
        }
        self.flush();
        self.own().tile(tile, n);
        self.rows += n;
    }

    /// How many rows there are if they are all the same, and then nothing is left of them; else 0.
    pub(crate) fn take_uniform(&mut self) -> usize {
        if self.rows == 0 { std::mem::take(&mut self.pending) } else { 0 }
    }

    fn own(&mut self) -> &mut Nullable<T> {
        let (rows, before) = (self.rows, self.before);
        self.values.get_or_insert_with(|| {
            let mut values = Nullable::new();
            values.reserve(before + before / 16);
            values.repeat(None, rows);
            values
        })
    }

    fn flush(&mut self) {
        let (value, n) = (self.value, std::mem::take(&mut self.pending));
        if n == 0 {
            return;
        }
        if value.is_some() || self.values.is_some() {
            self.own().repeat(value, n);
        }
        self.rows += n;
    }

    /// The column; where all is null, of the bytes that such columns share.
    pub(crate) fn finish<P: ArrowPrimitiveType<Native = T>>(&mut self, nulls: &mut Nulls) -> PrimitiveArray<P> {
        self.flush();
        let rows = std::mem::take(&mut self.rows);
        self.before = rows;
        match self.values.take() {
            Some(mut values) => values.finish(),
            None => nulls.of(rows),
        }
    }
}

/// What columns of nulls are made of.
pub(crate) struct Nulls {
    zeros: Buffer,
    nulls: NullBuffer,
}

impl Nulls {
    pub(crate) fn new() -> Self {
        Self { zeros: Buffer::default(), nulls: NullBuffer::new_null(0) }
    }

    fn of<P: ArrowPrimitiveType>(&mut self, rows: usize) -> PrimitiveArray<P> {
        if self.nulls.len() != rows {
            self.nulls = NullBuffer::new_null(rows);
        }
        if self.zeros.len() < 8 * rows {
            self.zeros = MutableBuffer::from_len_zeroed(8 * rows).into();
        }
        PrimitiveArray::new(ScalarBuffer::new(self.zeros.clone(), 0, rows), Some(self.nulls.clone()))
    }
}

/// Append `n` values that `fill` writes in place.
pub(crate) fn grow<T: Copy + Default>(values: &mut Vec<T>, n: usize, fill: impl FnOnce(&mut [T])) {
    let start = values.len();
    values.resize(start + n, T::default());
    fill(&mut values[start..]);
}

/// The values of a dictionary column of a batch.
pub(crate) struct Words {
    words: Vec<String>,
    index: std::collections::HashMap<String, i32>,
}

impl Words {
    pub(crate) fn new() -> Self {
        Self { words: Vec::new(), index: std::collections::HashMap::new() }
    }
    /// The key of a word in this batch.
    pub(crate) fn key(&mut self, word: &str) -> i32 {
        match self.index.get(word) {
            Some(key) => *key,
            None => {
                let key = self.words.len() as i32;
                self.words.push(word.to_owned());
                self.index.insert(word.to_owned(), key);
                key
            }
        }
    }
    /// The dictionary column of these keys; the next batch starts anew.
    pub(crate) fn finish(&mut self, keys: Int32Array) -> ArrayRef {
        self.index.clear();
        let values = StringArray::from_iter_values(std::mem::take(&mut self.words));
        Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(values)))
    }
}

/// A column without nulls.
pub(crate) fn full<P: ArrowPrimitiveType>(values: &mut Vec<P::Native>) -> PrimitiveArray<P> {
    PrimitiveArray::new(ScalarBuffer::from(std::mem::take(values)), None)
}
