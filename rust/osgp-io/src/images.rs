//! Table images as Arrow columns: `meter`, `table`, `data`, and where they are there `offset`, `read_at`, `whole`, `ped`.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, Int32Array, Int64Array,
    LargeBinaryArray, RecordBatch, TimestampMicrosecondArray, new_null_array,
};
use arrow_schema::{ArrowError, DataType, Schema, TimeUnit};
use osgp::image::{TableId, TableImage};
use osgp::reject::Reject;

/// How the message about a wrong schema begins.
pub(crate) const NO_COLUMNS: &str = "not table images";

/// Where the columns of a table image stand in a schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    pub(crate) meter: usize,
    table: usize,
    data: usize,
    offset: Option<usize>,
    read_at: Option<usize>,
    whole: Option<usize>,
    ped: Option<usize>,
}

impl Columns {
    /// Find the columns and check their types, or say what is missing.
    pub(crate) fn find(schema: &Schema) -> Result<Self, String> {
        let find = |name: &str| schema.fields().iter().position(|f| f.name() == name);
        let missing: Vec<&str> = ["meter", "table", "data"].into_iter().filter(|name| find(name).is_none()).collect();
        if !missing.is_empty() {
            let have: Vec<&str> = schema.fields().iter().take(20).map(|f| f.name().as_str()).collect();
            return Err(format!(
                "{NO_COLUMNS}: no column {} (it has: {}); table images have at least meter, table and data",
                missing.join(", "),
                have.join(", ")
            ));
        }
        let check = |name: &str, ok: &dyn Fn(&DataType) -> bool, want: &str| match find(name) {
            Some(i) => {
                let plain = value_type(schema.field(i).data_type());
                if ok(plain) || *plain == DataType::Null {
                    Ok(Some(i))
                } else {
                    Err(format!("{NO_COLUMNS}: column {name} is of type {plain}; table images have {want} there"))
                }
            }
            None => Ok(None),
        };
        let is_time = |t: &DataType| matches!(t, DataType::Timestamp(_, _));
        Ok(Self {
            meter: check("meter", &is_bytes, "strings")?.unwrap_or(0),
            table: check("table", &DataType::is_integer, "integers")?.unwrap_or(0),
            data: check("data", &is_bytes, "binary")?.unwrap_or(0),
            offset: check("offset", &DataType::is_integer, "integers")?,
            read_at: check("read_at", &is_time, "timestamps")?,
            whole: check("whole", &|t| *t == DataType::Boolean, "booleans")?,
            ped: check("ped", &is_bytes, "binary")?,
        })
    }

    /// The columns that are used, so that a reader can leave out the others.
    pub(crate) fn used(&self) -> Vec<usize> {
        let mut used = vec![self.meter, self.table, self.data];
        used.extend([self.offset, self.read_at, self.whole, self.ped].into_iter().flatten());
        used.sort_unstable();
        used
    }
}

fn value_type(t: &DataType) -> &DataType {
    match t {
        DataType::Dictionary(_, value) => value,
        other => other,
    }
}

fn is_bytes(t: &DataType) -> bool {
    matches!(
        t,
        DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_)
    )
}

/// Some rows of table images, their columns brought to one type each; the bytes stay where they are.
#[derive(Debug)]
pub(crate) struct ImageBatch {
    pub(crate) meter: Labels,
    rows: usize,
    table: Int64Array,
    data: Bytes,
    offset: Option<Int64Array>,
    read_at: Option<TimestampMicrosecondArray>,
    whole: Option<BooleanArray>,
    ped: Option<Bytes>,
    pub(crate) input: Arc<str>,
    pub(crate) session: u32,
    /// Row number of the first row in the input.
    pub(crate) first_row: u64,
}

/// A column of bytes of any Arrow type.
#[derive(Debug)]
enum Bytes {
    Binary(BinaryArray),
    Large(LargeBinaryArray),
    View(BinaryViewArray),
    Fixed(FixedSizeBinaryArray),
    /// Kept as it is: spelled out, a dictionary could grow by any factor.
    Dictionary(Int32Array, Box<Bytes>),
}

impl Bytes {
    fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        let array = match array.data_type() {
            DataType::Null => new_null_array(&DataType::Binary, array.len()),
            _ => array.clone(),
        };
        if let Some(dictionary) = array.as_any_dictionary_opt() {
            let keys = arrow_cast::cast(dictionary.keys(), &DataType::Int32)?;
            return Ok(Self::Dictionary(keys.as_primitive().clone(), Box::new(Self::new(dictionary.values())?)));
        }
        Ok(match array.data_type() {
            DataType::Utf8 => Self::Binary(array.as_string::<i32>().clone().into()),
            DataType::LargeUtf8 => Self::Large(array.as_string::<i64>().clone().into()),
            DataType::Utf8View => Self::View(array.as_string_view().clone().to_binary_view()),
            DataType::Binary => Self::Binary(array.as_binary::<i32>().clone()),
            DataType::LargeBinary => Self::Large(array.as_binary::<i64>().clone()),
            DataType::BinaryView => Self::View(array.as_binary_view().clone()),
            DataType::FixedSizeBinary(_) => Self::Fixed(array.as_fixed_size_binary().clone()),
            other => return Err(ArrowError::CastError(format!("a column of {other} has no bytes"))),
        })
    }

    fn get(&self, i: usize) -> Option<&[u8]> {
        match self {
            Self::Binary(a) => a.is_valid(i).then(|| a.value(i)),
            Self::Large(a) => a.is_valid(i).then(|| a.value(i)),
            Self::View(a) => a.is_valid(i).then(|| a.value(i)),
            Self::Fixed(a) => a.is_valid(i).then(|| a.value(i)),
            Self::Dictionary(keys, values) => {
                keys.is_valid(i).then(|| keys.value(i)).and_then(|k| values.get(usize::try_from(k).ok()?))
            }
        }
    }
}

/// The labels of a `meter` column. Bytes that are not UTF-8 are replaced: a meter is never rejected for its name.
#[derive(Debug)]
pub(crate) struct Labels(Bytes);

impl Labels {
    pub(crate) fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        Bytes::new(array).map(Self)
    }
    pub(crate) fn get(&self, row: usize) -> Option<Cow<'_, str>> {
        // Nearly all labels are sound, and a check is quicker than a look for what to replace.
        self.0.get(row).map(|raw| std::str::from_utf8(raw).map_or_else(|_| String::from_utf8_lossy(raw), Cow::Borrowed))
    }
    pub(crate) fn has(&self, row: usize) -> bool {
        self.0.get(row).is_some()
    }
}

fn times(array: &ArrayRef) -> TimestampMicrosecondArray {
    // Naive times are UTC, and a zone changes how an instant is shown, not the instant.
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            array.as_primitive::<TimestampSecondType>().unary_opt(|v| v.checked_mul(1_000_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            array.as_primitive::<TimestampMillisecondType>().unary_opt(|v| v.checked_mul(1_000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            array.as_primitive::<TimestampNanosecondType>().unary(|v| v.div_euclid(1_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => array.as_primitive::<TimestampMicrosecondType>().clone(),
        _ => TimestampMicrosecondArray::new_null(array.len()),
    }
}

fn integers(array: &ArrayRef) -> Result<Int64Array, ArrowError> {
    // A number that does not fit becomes null, and a null table is a reject.
    Ok(arrow_cast::cast(array, &DataType::Int64)?.as_primitive().clone())
}

impl ImageBatch {
    pub(crate) fn new(
        batch: &RecordBatch,
        columns: &Columns,
        input: &Arc<str>,
        session: u32,
        first_row: u64,
    ) -> Result<Self, ArrowError> {
        let column = |i: Option<usize>| i.map(|i| batch.column(i)).filter(|c| *c.data_type() != DataType::Null);
        Ok(Self {
            meter: Labels::new(batch.column(columns.meter))?,
            rows: batch.num_rows(),
            table: integers(batch.column(columns.table))?,
            data: Bytes::new(batch.column(columns.data))?,
            offset: column(columns.offset).map(integers).transpose()?,
            read_at: column(columns.read_at).map(times),
            whole: column(columns.whole).map(|c| {
                // A dictionary of booleans is possible in the format, if not in anybody's file.
                c.as_boolean_opt().cloned().unwrap_or_else(|| BooleanArray::new_null(c.len()))
            }),
            ped: column(columns.ped).map(Bytes::new).transpose()?,
            input: input.clone(),
            session,
            first_row,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    pub(crate) fn bytes(&self) -> u64 {
        (0..self.rows).map(|row| self.data_len(row) as u64).sum()
    }

    pub(crate) fn data_len(&self, row: usize) -> usize {
        self.data.get(row).map_or(0, <[u8]>::len)
    }

    /// The reject for rows without a meter; one for all that follow one another, there may be billions.
    pub(crate) fn no_meter(&self, row: usize, rows: usize) -> Reject {
        let reject = self.wrong(row, "image.meter", "no meter; give every row the meter's label".to_owned());
        if rows == 1 {
            return reject;
        }
        let first = self.first_row + row as u64;
        reject.item(format!("rows {first} to {}", first + rows as u64 - 1))
    }

    fn wrong(&self, row: usize, code: &'static str, reason: String) -> Reject {
        let mut reject = Reject::new(code, reason)
            .item(format!("row {}", self.first_row + row as u64))
            .input(&self.input)
            .read_at(self.time(row))
            .data(self.data.get(row).unwrap_or_default());
        if let Some(meter) = self.meter.get(row) {
            reject = reject.meter(&meter);
        }
        reject
    }

    fn time(&self, row: usize) -> Option<i64> {
        self.read_at.as_ref().and_then(|a| a.is_valid(row).then(|| a.value(row)))
    }

    /// The image in a row that has a meter.
    pub(crate) fn image(&self, row: usize) -> Result<TableImage<'_>, Box<Reject>> {
        let number = self.table.is_valid(row).then(|| self.table.value(row));
        let Some(table) = number.and_then(|n| i32::try_from(n).ok()) else {
            let reason = match number {
                Some(n) => format!("table {n} is not a table's number (0 to 8191)"),
                None => "no table number; give every row the number sent on the wire".to_owned(),
            };
            return Err(Box::new(self.wrong(row, "image.table", reason)));
        };
        let Some(data) = self.data.get(row) else {
            return Err(Box::new(self.wrong(
                row,
                "image.data",
                "no data; give every row the bytes of the table, empty if none were read".to_owned(),
            )));
        };
        let valid = |a: &Int64Array| a.is_valid(row).then(|| a.value(row));
        Ok(TableImage {
            table: TableId(table),
            offset: self.offset.as_ref().map_or(0, |a| valid(a).unwrap_or(0)),
            data: Cow::Borrowed(data),
            read_at: self.time(row),
            whole: self.whole.as_ref().and_then(|a| a.is_valid(row).then(|| a.value(row))),
            ped: self.ped.as_ref().and_then(|a| a.get(row)).map(Cow::Borrowed),
            session: self.session,
            input: self.input.clone(),
            position: None,
        })
    }
}
