//! M-Bus readings and alarms: the published values of real telegrams, the alarms of the samples, and any bytes.

use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int8Type, Int16Type, Int32Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch, StringArray};
use osgp::image::{TableId, TableImage};
use osgp::records::{Kind, Options, decode_meter};
use osgp::reject::Reject;
use proptest::prelude::*;
use serde_json::Value;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors")
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// ET11: six devices, entries of 517 bytes.
fn et11() -> Vec<u8> {
    let mut table = vec![6, 66, 36, 5, 6];
    table.extend(517u16.to_le_bytes());
    table.resize(39, 0);
    table
}

fn decode(tables: &[(TableId, Vec<u8>)], kind: Kind) -> (Vec<RecordBatch>, Vec<Reject>) {
    let images: Vec<TableImage<'_>> = tables.iter().map(|(id, data)| TableImage::whole(*id, data)).collect();
    let (batches, rejects) = decode_meter("m", &images, &[kind], &Options::default());
    (batches.into_iter().map(|(_, batch)| batch).collect(), rejects)
}

/// An ET16 whose first element is this.
fn et16(read: &[u8]) -> Vec<(TableId, Vec<u8>)> {
    let mut table = read.to_vec();
    table.resize(6 * 517, 0);
    vec![(TableId::et(11), et11()), (TableId::et(16), table)]
}

fn strings(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let words = batch.column_by_name(name).unwrap().as_dictionary::<Int32Type>();
    let words = words.downcast_dict::<StringArray>().unwrap();
    words.into_iter().map(|s| s.map(str::to_owned)).collect()
}

/// Quantity, unit and value of every row.
fn readings(batches: &[RecordBatch]) -> Vec<(String, Option<String>, Option<f64>)> {
    let mut out = Vec::new();
    for batch in batches {
        let value = batch.column_by_name("value").unwrap().as_primitive::<Float64Type>().clone();
        let names = strings(batch, "quantity").into_iter().zip(strings(batch, "unit"));
        out.extend(names.zip(value.iter()).map(|((quantity, unit), value)| (quantity.unwrap(), unit, value)));
    }
    out
}

#[test]
fn captures() {
    let captures = read_json(&vectors().join("real_captures.json"));
    let read = |name: &str| {
        let (batches, rejects) =
            decode(&et16(&hex(captures["mbus_readings"][name]["hex"].as_str().unwrap())), Kind::Mbus);
        assert_eq!(rejects, [], "{name}");
        batches
    };
    let row = |quantity: &str, unit: &str, value: f64| (quantity.to_owned(), Some(unit.to_owned()), Some(value));
    let water = read("water");
    assert_eq!(
        readings(&water),
        [
            row("volume", "m3", 123.456),
            row("operating time storage 2", "d", 365.0),
            row("volume storage 1", "m3", 120.0),
            row("volume flow", "m3/h", 0.25),
        ]
    );
    let time = water[0].column_by_name("time").unwrap().as_primitive::<TimestampMicrosecondType>().value(0);
    // 2026-08-23 00:00:01 of the meter's clock.
    assert_eq!(time, 1_787_443_201_000_000);
    assert_eq!(strings(&water[0], "serial")[0].as_deref(), Some("12345678"));
    assert_eq!(
        readings(&read("heat")),
        [
            row("energy", "kWh", 4321.0),
            row("power", "W", 1500.0),
            row("volume flow", "m3/h", 0.25),
            row("flow temperature", "C", 45.6),
            row("return temperature", "C", 32.1),
            row("temperature difference", "K", 13.5),
        ]
    );
    assert_eq!(readings(&read("fixed")), [row("volume", "m3", 123_456.0), row("volume storage 1", "m3", 654_321.0)]);
}

/// Every published telegram gives as many records as its publisher counts, and the values of plain units.
#[test]
fn published_telegrams() {
    let published = read_json(&vectors().join("mbus_telegrams.json"));
    let mut compared = 0;
    for vector in published["telegrams"].as_array().unwrap() {
        let name = vector["name"].as_str().unwrap();
        let fixed = vector["structure"] == "fixed";
        let mut body = hex(vector["telegram"].as_str().unwrap());
        if !fixed {
            // The meter adds the 0 at the end and counts it.
            body.push(0);
        }
        let mut read = vec![24, 3, 8, 0, 0, 0, u8::from(fixed) << 1, body.len() as u8];
        read.extend(&body);
        let (batches, rejects) = decode(&et16(&read), Kind::Mbus);
        assert_eq!(rejects, [], "{name}");
        let rows = readings(&batches);
        let records = vector["records"].as_array().unwrap();
        assert_eq!(rows.len(), records.len(), "{name}");
        for ((quantity, unit, value), record) in rows.iter().zip(records) {
            let want = record["Value"].as_str().unwrap_or_default();
            let factor = match (record["Unit"].as_str(), unit.as_deref()) {
                (Some("Wh"), Some("kWh")) => 1e3,
                (Some("m^3"), Some("m3")) | (Some("m^3/h"), Some("m3/h")) => 1.0,
                (Some("W"), Some("W")) | (Some("V"), Some("V")) | (Some("A"), Some("A")) | (Some("K"), Some("K")) => {
                    1.0
                }
                (Some("°C"), Some("C")) => 1.0,
                _ => continue,
            };
            // Extensions that make counts and durations of a value have other units; digits that are none have no value.
            if let Some(value) = value {
                let want: f64 = want.parse().unwrap();
                assert!(
                    (value * factor - want).abs() <= 1.1e-6_f64.max(1e-9 * want.abs()),
                    "{name}: {quantity} {value}"
                );
                compared += 1;
            }
        }
    }
    // Of 195 records in these units; the other eight are made counts, dates or durations, or have digits that are none.
    assert_eq!(compared, 187);
}

#[test]
fn alarms_of_the_samples() {
    let samples = vectors().join("../samples");
    for meter in read_json(&samples.join("dump.truth.json")).as_array().unwrap() {
        let dir = samples.join("dump").join(meter["meter"].as_str().unwrap());
        let table = |id: TableId| (id, std::fs::read(dir.join(format!("{id}.bin"))).unwrap());
        let tables = [table(TableId::bt(0)), table(TableId::bt(3))];
        let (batches, rejects) = decode(&tables, Kind::Alarms);
        assert_eq!(rejects, []);
        let [batch] = &batches[..] else { panic!("one batch") };
        let byte = batch.column_by_name("byte").unwrap().as_primitive::<Int16Type>();
        let bit = batch.column_by_name("bit").unwrap().as_primitive::<Int8Type>();
        let active = batch.column_by_name("active").unwrap().as_boolean();
        let got: Vec<i64> = (0..batch.num_rows())
            .filter(|i| active.value(*i) && byte.value(*i) <= 2)
            .map(|i| i64::from(byte.value(i) - 1) * 8 + i64::from(bit.value(i)))
            .collect();
        assert_eq!(Value::from(got), meter["alarm_bits"]["bt03.1"], "{}", dir.display());
    }
}

fn tables_of(et11: Vec<u8>, et36: Vec<u8>, et16: Vec<u8>, et45: Vec<u8>, et74: Vec<u8>) -> Vec<(TableId, Vec<u8>)> {
    let et54 = [vec![0; 69], vec![3, 0]].concat();
    vec![
        (TableId::et(11), et11),
        (TableId::et(16), et16),
        (TableId::et(36), et36),
        (TableId::et(45), et45),
        (TableId::et(54), et54),
        (TableId::et(74), et74),
    ]
}

/// Bytes that telegrams are made of more often than others.
fn likely() -> impl Strategy<Value = u8> {
    prop_oneof![
        4 => any::<u8>(),
        1 => prop::sample::select(vec![0, 1, 4, 0x0C, 0x0D, 0x0F, 0x13, 0x2F, 0x6D, 0x7C, 0x84, 0xC3, 0xF0, 0xFB, 0xFC, 0xFD, 0xFF]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Any bytes as a billing read: no panic, and every row's bytes are part of the read.
    #[test]
    fn any_billing_read(read in prop::collection::vec(likely(), 0..300)) {
        let (batches, rejects) = decode(&et16(&read), Kind::Mbus);
        for batch in &batches {
            for raw in batch.column_by_name("raw").unwrap().as_binary::<i32>().iter().flatten() {
                prop_assert!(raw.is_empty() || et16(&read)[1].1.windows(raw.len()).any(|w| w == raw));
            }
            let handles = batch.column_by_name("handle").unwrap().as_primitive::<Int32Type>();
            prop_assert_eq!(handles.null_count(), batch.num_rows());
        }
        for reject in &rejects {
            prop_assert!(reject.code.starts_with("mbus."), "{}", reject.code);
            prop_assert!(reject.length >= reject.data.len() as i64);
        }
    }

    /// Any dimensions and any logs: no panic, and no more rows than the bytes can hold.
    #[test]
    fn any_log(
        et11 in prop::collection::vec(any::<u8>(), 0..39),
        count in 0u8..4, entries in 0u16..6, size in 0u16..80,
        et16 in prop::collection::vec(likely(), 0..200),
        et45 in prop::collection::vec(likely(), 0..400),
        et74 in prop::collection::vec(likely(), 0..400),
    ) {
        let mut et36 = vec![count];
        for _ in 0..count {
            et36.extend([0x2D, 0x08]);
            et36.extend(size.to_le_bytes());
            et36.extend([0xFD, 0]);
            et36.extend(entries.to_le_bytes());
            et36.extend([1, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        let (batches, _) = decode(&tables_of(et11, et36, et16, et45, et74), Kind::Mbus);
        prop_assert!(batches.iter().map(RecordBatch::num_rows).sum::<usize>() < 1000);
    }

    /// Any BT03 and any length of it.
    #[test]
    fn any_alarms(bt00 in prop::collection::vec(any::<u8>(), 0..20), bt03 in prop::collection::vec(any::<u8>(), 0..300)) {
        let (batches, _) = decode(&[(TableId::bt(0), bt00), (TableId::bt(3), bt03.clone())], Kind::Alarms);
        for batch in &batches {
            let byte = batch.column_by_name("byte").unwrap().as_primitive::<Int16Type>();
            let bit = batch.column_by_name("bit").unwrap().as_primitive::<Int8Type>();
            let active = batch.column_by_name("active").unwrap().as_boolean();
            for i in 0..batch.num_rows() {
                let value = bt03[byte.value(i) as usize];
                prop_assert_eq!(active.value(i), value >> bit.value(i) & 1 == 1);
            }
        }
    }
}
