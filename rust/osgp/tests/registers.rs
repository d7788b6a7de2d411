//! Registers and measurements of the samples are the truth, and batches hold the same rows however many reads share them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType};
use osgp::image::{TableId, TableImage};
use osgp::records::{Decoder, Kind, Options, decode_meter};
use serde_json::Value;

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/samples")
}

fn numbers<T: ArrowPrimitiveType>(batch: &RecordBatch, name: &str) -> Vec<Option<i64>>
where
    T::Native: Into<i64>,
{
    let column = batch.column_by_name(name).unwrap().as_primitive::<T>();
    column.iter().map(|v| v.map(Into::into)).collect()
}

/// Words by their hash, so that they compare as numbers do.
fn words(batch: &RecordBatch, name: &str) -> Vec<Option<i64>> {
    let column = batch.column_by_name(name).unwrap().as_dictionary::<Int32Type>();
    let hashes: Vec<i64> = column
        .values()
        .as_string::<i32>()
        .iter()
        .map(|word| {
            let mut hasher = DefaultHasher::new();
            word.hash(&mut hasher);
            hasher.finish() as i64
        })
        .collect();
    column.keys().iter().map(|key| key.map(|key| hashes[key as usize])).collect()
}

/// Every column of the registers.
fn columns(batches: &[RecordBatch]) -> Vec<Vec<Option<i64>>> {
    let mut out = vec![Vec::new(); 23];
    for b in batches {
        let strings = ["meter", "snapshot", "kind", "quantity", "unit", "obis", "min_max"].map(|name| words(b, name));
        let times = ["time", "event_time", "read_at"].map(|name| numbers::<TimestampMicrosecondType>(b, name));
        let longs = ["value", "cumulative", "continuous_cumulative"].map(|name| numbers::<Int64Type>(b, name));
        let ints = ["source", "multiplier", "sequence", "bidn"].map(|name| numbers::<Int32Type>(b, name));
        let shorts = ["index", "occurrence", "of_demand", "demand_resets"].map(|name| numbers::<Int16Type>(b, name));
        let bytes = ["season", "tier"].map(|name| numbers::<Int8Type>(b, name));
        let all = strings.into_iter().chain(times).chain(longs).chain(ints).chain(shorts).chain(bytes);
        for (column, more) in out.iter_mut().zip(all) {
            column.extend(more);
        }
    }
    out
}

fn load(dir: &Path) -> Vec<(TableId, Vec<u8>)> {
    let mut tables: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (TableId::parse(path.file_stem().unwrap().to_str().unwrap()).unwrap(), std::fs::read(path).unwrap())
        })
        .collect();
    tables.sort();
    tables
}

fn block(block: &Value) -> Vec<i64> {
    let list = |name: &str| block[name].as_array().unwrap().clone();
    let number = |v: &Value| v.as_i64().unwrap();
    let demands = list("demands");
    list("summations")
        .iter()
        .map(number)
        .chain(demands.iter().map(|d| number(&d["value"])))
        .chain(list("coincidents").iter().map(number))
        .collect()
}

#[test]
fn samples_are_the_truth() {
    let text = std::fs::read_to_string(samples().join("dump.truth.json")).unwrap();
    let truth: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(!truth.is_empty());
    for meter in truth {
        let label = meter["meter"].as_str().unwrap();
        let tables = load(&samples().join("dump").join(label));
        let images: Vec<_> = tables.iter().map(|(id, data)| TableImage::whole(*id, data)).collect();
        let kinds = [Kind::Registers, Kind::Measurements];
        let (batches, rejects) = decode_meter(label, &images, &kinds, &Options::default());
        assert_eq!(rejects, [], "{label}");
        let (mut values, mut resets, mut seasons, mut raw) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (kind, b) in &batches {
            if *kind == Kind::Measurements {
                raw.extend(numbers::<Int32Type>(b, "raw"));
            } else {
                values.extend(numbers::<Int64Type>(b, "value").into_iter().flatten());
                resets.extend(numbers::<Int16Type>(b, "demand_resets"));
                seasons.extend(numbers::<Int8Type>(b, "season"));
            }
        }
        assert_eq!(Value::from(raw), meter["present"], "{label}");
        // The truth lists self-reads newest first.
        let reads = meter["self_reads"].as_array().unwrap().iter().rev();
        let records: Vec<&Value> = std::iter::once(&meter["registers"]).chain(reads).collect();
        let of = |r: &Value| r["blocks"].as_array().unwrap().iter().flat_map(block).collect::<Vec<_>>();
        assert_eq!(values, records.iter().flat_map(|r| of(r)).collect::<Vec<_>>(), "{label}");
        let each = |name: &str| -> Vec<Option<i64>> {
            records.iter().flat_map(|r| vec![r[name].as_i64(); of(r).len()]).collect()
        };
        assert_eq!(resets, each("demand_resets"), "{label}");
        assert_eq!(seasons, each("season"), "{label}");
    }
}

/// BT21 of a meter with so many summations and demands in two tiers, and a record of it.
fn record(summations: u8, demands: u8, base: i32) -> (Vec<u8>, Vec<u8>) {
    let bt21 = vec![0x33, 0x0C, 0, summations, demands, 0, 1, 2, 0, 18];
    let mut bt23 = Vec::new();
    for tier in 0..3 {
        (0..i32::from(summations)).for_each(|i| bt23.extend((base + 1000 * tier + i).to_le_bytes()));
        for d in 0..i32::from(demands) {
            bt23.extend([24, 3, 8, 10, tier as u8]);
            [500, 700, 0].iter().for_each(|more| bt23.extend((base + 1000 * tier + 100 * d + more).to_le_bytes()));
        }
    }
    (bt21, bt23)
}

#[test]
fn batches_hold_the_same_rows_however_they_are_shared() {
    // Stretches of reads of one configuration that fill several batches, short ones of others, and a cut one between.
    let mut tables: Vec<(i32, Vec<u8>)> = Vec::new();
    for (summations, demands, reads) in [(60, 0, 1100), (60, 2, 3), (5, 0, 1), (60, 0, 600), (60, 2, 400)] {
        tables.push((21, record(summations, demands, 0).0));
        for n in 0..reads {
            let mut data = record(summations, demands, n).1;
            if n == 300 {
                data.pop();
            }
            tables.push((23, data));
        }
    }
    let images: Vec<_> = tables
        .iter()
        .zip(0..)
        .map(|((n, data), at)| TableImage { read_at: Some(at), ..TableImage::whole(TableId::bt(*n), data) })
        .collect();
    let (batches, rejects) = decode_meter("m", &images, &[Kind::Registers], &Options::default());
    assert!(batches.len() > 5);
    let batches: Vec<_> = batches.into_iter().map(|(_, b)| b).collect();
    let together = columns(&batches);

    let (mut alone, mut alone_rejects) = (Vec::new(), Vec::new());
    let mut dimensions = &images[0];
    for image in &images {
        if image.table == TableId::bt(21) {
            dimensions = image;
            continue;
        }
        // A decoder of its own for every read: nothing is shared.
        let mut decoder = Decoder::new(&[Kind::Registers], &Options::default());
        decoder.meter("m", &[dimensions.clone(), image.clone()], &mut |_, b| alone.push(b));
        decoder.finish(&mut |_, b| alone.push(b));
        alone_rejects.extend(decoder.take_rejects());
    }
    assert!(together == columns(&alone));
    assert_eq!(rejects, alone_rejects);
    assert_eq!(
        rejects.iter().map(|r| r.code).collect::<Vec<_>>(),
        ["registers.incomplete", "registers.incomplete", "registers.incomplete"]
    );
}

#[test]
fn meters_that_are_decoded_with_defaults_are_named() {
    let (bt21, bt23) = record(11, 0, 1);
    let data = [&bt23[..], &[0; 88]].concat();
    let mut decoder = Decoder::new(&[Kind::Registers], &Options { assume_defaults: true, ..Options::default() });
    let bt22: Vec<u8> = (0..11).collect();
    let whole = |n, data| TableImage::whole(TableId::bt(n), data);
    decoder.meter("known", &[whole(21, &bt21), whole(22, &bt22), whole(23, &bt23)], &mut |_, _| {});
    decoder.meter("assumed", &[whole(23, &data)], &mut |_, _| {});
    decoder.meter("empty", &[], &mut |_, _| {});
    decoder.meter("sources", &[whole(21, &bt21), whole(23, &bt23)], &mut |_, _| {});
    assert_eq!(decoder.take_rejects(), []);
    assert_eq!(decoder.take_counts().assumed, ["assumed", "sources"]);
}
