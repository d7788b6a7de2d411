//! CSV and JSON lines: the same text for a value in both (times RFC 3339, binary as hex, lists joined by `;`), except
//! that JSON lines has numbers, booleans and nulls of its own.

use std::io::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema, TimeUnit};

use crate::error::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Csv,
    JsonLines,
}

/// The header row of a CSV; JSON lines has none.
pub(crate) fn header(text: Text, schema: &Schema) -> Vec<u8> {
    let mut out = Vec::new();
    if text == Text::Csv {
        for (i, field) in schema.fields().iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            csv_text(field.name(), &mut out);
        }
        out.push(b'\n');
    }
    out
}

type Cell<'a> = Box<dyn Fn(usize, &mut Vec<u8>) + 'a>;

/// Append the rows of a batch.
pub(crate) fn rows(text: Text, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Error> {
    let schema = batch.schema();
    let cells: Vec<Cell<'_>> =
        batch.columns().iter().map(|column| cell(text, column.as_ref())).collect::<Result<_, _>>()?;
    let names: Vec<Vec<u8>> = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(i, field)| {
            let mut name = if i == 0 { b"{".to_vec() } else { b",".to_vec() };
            json_text(field.name(), &mut name);
            name.push(b':');
            name
        })
        .collect();
    for row in 0..batch.num_rows() {
        for (i, ((cell, name), column)) in cells.iter().zip(&names).zip(batch.columns()).enumerate() {
            let null = column.is_null(row);
            match text {
                Text::Csv => {
                    if i > 0 {
                        out.push(b',');
                    }
                    if !null {
                        cell(row, out);
                    }
                }
                Text::JsonLines => {
                    out.extend_from_slice(name);
                    if null { out.extend_from_slice(b"null") } else { cell(row, out) }
                }
            }
        }
        out.extend_from_slice(if text == Text::Csv { b"\n" } else { b"}\n" });
    }
    Ok(())
}

fn cell<'a>(text: Text, array: &'a dyn Array) -> Result<Cell<'a>, Error> {
    fn numbers<'a, T: ArrowPrimitiveType<Native: Into<i64>>>(array: &'a dyn Array) -> Cell<'a> {
        let values = array.as_primitive::<T>().values();
        Box::new(move |row, out| integer(values[row].into(), out))
    }
    fn strings<'a>(text: Text, get: impl Fn(usize) -> &'a str + 'a) -> Cell<'a> {
        match text {
            Text::Csv => Box::new(move |row, out| csv_text(get(row), out)),
            Text::JsonLines => Box::new(move |row, out| json_text(get(row), out)),
        }
    }
    // What needs no escaping only needs quotes in JSON.
    fn simple<'a>(text: Text, write: impl Fn(usize, &mut Vec<u8>) + 'a) -> Cell<'a> {
        match text {
            Text::Csv => Box::new(write),
            Text::JsonLines => Box::new(move |row, out| {
                out.push(b'"');
                write(row, out);
                out.push(b'"');
            }),
        }
    }
    Ok(match array.data_type() {
        DataType::Int8 => numbers::<Int8Type>(array),
        DataType::Int16 => numbers::<Int16Type>(array),
        DataType::Int32 => numbers::<Int32Type>(array),
        DataType::Int64 => numbers::<Int64Type>(array),
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            Box::new(move |row, out| float(text, values[row], out))
        }
        DataType::Boolean => {
            let values = array.as_boolean();
            Box::new(move |row, out| out.extend_from_slice(if values.value(row) { b"true" } else { b"false" }))
        }
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            strings(text, move |row| values.value(row))
        }
        DataType::Dictionary(key, value) if **key == DataType::Int32 && **value == DataType::Utf8 => {
            let array = array.as_dictionary::<Int32Type>();
            let (keys, values) = (array.keys().values(), array.values().as_string::<i32>());
            strings(text, move |row| values.value(usize::try_from(keys[row]).unwrap_or(usize::MAX)))
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            simple(text, move |row, out| hex(values.value(row), out))
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let values = array.as_primitive::<TimestampMicrosecondType>().values();
            let utc = zone.is_some();
            simple(text, move |row, out| time(values[row], utc, out))
        }
        DataType::List(item) if *item.data_type() == DataType::Int32 => {
            let lists = array.as_list::<i32>();
            let (ends, values) = (lists.value_offsets(), lists.values().as_primitive::<Int32Type>().values());
            simple(text, move |row, out| {
                for (i, value) in values[ends[row] as usize..ends[row + 1] as usize].iter().enumerate() {
                    if i > 0 {
                        out.push(b';');
                    }
                    integer(i64::from(*value), out);
                }
            })
        }
        other => return Err(Error::Encode(format!("a column of type {other} has no text form"))),
    })
}

fn integer(value: i64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let (mut at, mut left) = (digits.len(), value.unsigned_abs());
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

fn float(text: Text, value: f64, out: &mut Vec<u8>) {
    if !value.is_finite() {
        // JSON has no such numbers.
        out.extend_from_slice(match text {
            Text::JsonLines => b"null",
            Text::Csv if value.is_nan() => b"nan",
            Text::Csv if value > 0.0 => b"inf",
            Text::Csv => b"-inf",
        });
        return;
    }
    // The shortest text that reads back, always with a point or exponent; exponents as Python writes them.
    let text = format!("{value:?}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
            let _ = write!(out, "{digits}e{sign}{exponent:0>2}");
        }
        None => out.extend_from_slice(text.as_bytes()),
    }
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    out.extend(bytes.iter().flat_map(|&b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]));
}

/// RFC 3339, with microseconds only where there are any.
fn time(micros: i64, utc: bool, out: &mut Vec<u8>) {
    let (days, in_day) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
    let (year, month, day) = civil(days);
    let (seconds, fraction) = (in_day / 1_000_000, in_day % 1_000_000);
    if (0..=9999).contains(&year) {
        padded(year, 4, out);
    } else {
        let _ = write!(out, "{year:+05}");
    }
    for (mark, value) in
        [(b'-', month), (b'-', day), (b'T', seconds / 3600), (b':', seconds / 60 % 60), (b':', seconds % 60)]
    {
        out.push(mark);
        padded(value, 2, out);
    }
    if fraction != 0 {
        out.push(b'.');
        padded(fraction, 6, out);
    }
    if utc {
        out.push(b'Z');
    }
}

fn padded(value: i64, width: u32, out: &mut Vec<u8>) {
    for place in (0..width).rev() {
        out.push(b'0' + (value / 10_i64.pow(place) % 10) as u8);
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar: years begin in March here,
/// so that the leap day is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn csv_text(text: &str, out: &mut Vec<u8>) {
    if !text.bytes().any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r')) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    for &byte in text.as_bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

fn json_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0C => out.extend_from_slice(b"\\f"),
            0..=0x1F => {
                out.extend_from_slice(b"\\u00");
                hex(&[byte], out);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{Int32Builder, ListBuilder};
    use arrow_array::{
        ArrayRef, BinaryArray, BooleanArray, DictionaryArray, Float64Array, Int8Array, Int64Array,
        TimestampMicrosecondArray,
    };

    use super::*;

    fn text(f: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        f(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times() {
        for (micros, want) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_709_856_900_000_000, "2024-03-08T00:15:00Z"),
            (1_709_164_799_000_001, "2024-02-28T23:59:59.000001Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(text(|out| time(micros, true, out)), want);
        }
        assert_eq!(text(|out| time(0, false, out)), "1970-01-01T00:00:00");
        for micros in [i64::MIN, i64::MAX] {
            assert!(text(|out| time(micros, true, out)).ends_with('Z'));
        }
    }

    #[test]
    fn floats_as_python_writes_them() {
        for (value, want) in [(0.1, "0.1"), (1e-5, "1e-05"), (-2.5e300, "-2.5e+300"), (1e16, "1e+16"), (-0.0, "-0.0")] {
            assert_eq!(text(|out| float(Text::Csv, value, out)), want);
        }
        assert_eq!(text(|out| float(Text::JsonLines, f64::NAN, out)), "null");
    }

    #[test]
    fn all_types() {
        let mut lists = ListBuilder::new(Int32Builder::new());
        lists.append_value([Some(1), Some(-2)]);
        lists.append_null();
        let words: DictionaryArray<Int32Type> = [Some("a,\"b\"\n\u{e9}"), None].into_iter().collect();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("i", Arc::new(Int8Array::from(vec![Some(-128), None]))),
            ("l", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
            ("f", Arc::new(Float64Array::from(vec![Some(1.0), None]))),
            ("b", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            ("s", Arc::new(words)),
            ("x", Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff"[..]), None]))),
            ("t", Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None]).with_timezone("UTC"))),
            ("n", Arc::new(lists.finish())),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let render = |kind| text(|out| rows(kind, &batch, out).unwrap());
        assert_eq!(header(Text::Csv, &batch.schema()), b"i,l,f,b,s,x,t,n\n");
        assert_eq!(
            render(Text::Csv),
            "-128,-9223372036854775808,1.0,true,\"a,\"\"b\"\"\n\u{e9}\",00ff,1970-01-01T00:00:00Z,1;-2\n,,,,,,,\n"
        );
        assert_eq!(
            render(Text::JsonLines),
            "{\"i\":-128,\"l\":-9223372036854775808,\"f\":1.0,\"b\":true,\"s\":\"a,\\\"b\\\"\\n\u{e9}\",\"x\":\"00ff\",\
             \"t\":\"1970-01-01T00:00:00Z\",\"n\":\"1;-2\"}\n\
             {\"i\":null,\"l\":null,\"f\":null,\"b\":null,\"s\":null,\"x\":null,\"t\":null,\"n\":null}\n"
        );
    }
}
