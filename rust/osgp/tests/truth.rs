//! The sample dumps decode to their truth, which was made independently of this crate (see tests/samples/README.md).

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use osgp::image::{TableId, TableImage};
use osgp::records::{Kind, Options, Shape, decode_meter};
use serde_json::{Value, json};

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/samples")
}

fn load(dir: &Path) -> Vec<(TableId, Vec<u8>)> {
    let mut tables: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let id = TableId::parse(path.file_stem().unwrap().to_str().unwrap()).unwrap();
            (id, std::fs::read(path).unwrap())
        })
        .collect();
    tables.sort();
    tables
}

fn images(tables: &[(TableId, Vec<u8>)]) -> Vec<TableImage<'_>> {
    tables.iter().map(|(id, data)| TableImage::whole(*id, data)).collect()
}

fn profile(batches: &[RecordBatch]) -> Vec<Value> {
    let mut rows = Vec::new();
    for b in batches {
        let i8s = |name: &str| b.column_by_name(name).unwrap().as_primitive::<Int8Type>().clone();
        let i64s = |name: &str| b.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
        let end = b.column_by_name("interval_end").unwrap().as_primitive::<TimestampMicrosecondType>().clone();
        let source = b.column_by_name("source").unwrap().as_primitive::<Int32Type>().clone();
        let interval = b.column_by_name("interval").unwrap().as_primitive::<Int32Type>().clone();
        let (set, channel, status, flags) = (i8s("data_set"), i8s("channel"), i8s("status"), i8s("flags"));
        let (value, block) = (i64s("value"), i64s("block"));
        for i in 0..b.num_rows() {
            let source = source.is_valid(i).then(|| source.value(i));
            rows.push(json!([
                set.value(i),
                end.value(i) / 1_000_000,
                channel.value(i),
                source,
                value.value(i),
                status.value(i),
                flags.value(i),
                block.value(i),
                interval.value(i)
            ]));
        }
    }
    rows
}

fn of_kind(batches: Vec<(Kind, RecordBatch)>, kind: Kind) -> Vec<RecordBatch> {
    batches.into_iter().filter(|(k, _)| *k == kind).map(|(_, b)| b).collect()
}

#[test]
fn profiles_and_events_are_the_truth() {
    for set in ["dump", "edges"] {
        let text = std::fs::read_to_string(samples().join(format!("{set}.truth.json"))).unwrap();
        let truth: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert!(!truth.is_empty());
        for meter in truth {
            let label = meter["meter"].as_str().unwrap();
            let tables = load(&samples().join(set).join(label));
            let (batches, rejects) = decode_meter(label, &images(&tables), &Kind::ALL, &Options::default());
            assert_eq!(rejects, [], "{label}");
            let got = profile(&of_kind(batches.clone(), Kind::LoadProfile));
            assert_eq!(Value::from(got), meter["profile"], "{label}");
            let mut events = Vec::new();
            for b in of_kind(batches, Kind::Events) {
                let sequence = b.column_by_name("sequence").unwrap().as_primitive::<Int64Type>().clone();
                let time = b.column_by_name("time").unwrap().as_primitive::<TimestampMicrosecondType>().clone();
                let user = b.column_by_name("user_id").unwrap().as_primitive::<Int32Type>().clone();
                let code = b.column_by_name("event_code").unwrap().as_primitive::<Int32Type>().clone();
                let argument = b.column_by_name("argument").unwrap().as_binary::<i32>().clone();
                for i in 0..b.num_rows() {
                    let hex: String = argument.value(i).iter().map(|b| format!("{b:02x}")).collect();
                    let time = time.is_valid(i).then(|| time.value(i) / 1_000_000);
                    events.push(json!([sequence.value(i), time, user.value(i), code.value(i), hex]));
                }
            }
            let want: Vec<Value> = meter["events"]
                .as_array()
                .unwrap()
                .iter()
                .map(|e| Value::from(e.as_array().unwrap()[..5].to_vec()))
                .collect();
            assert_eq!(events, want, "{label}");
        }
    }
}

#[test]
fn the_wide_shape_holds_the_same_values() {
    let dir = samples().join("edges/A04-four-sets");
    let tables = load(&dir);
    let options = Options { shape: Shape::Wide, ..Options::default() };
    let (batches, _) = decode_meter("m", &images(&tables), &[Kind::LoadProfile], &options);
    let (long, _) = decode_meter("m", &images(&tables), &[Kind::LoadProfile], &Options::default());
    let want: i64 = profile(&of_kind(long, Kind::LoadProfile)).iter().map(|r| r[4].as_i64().unwrap()).sum();
    let mut sum = 0;
    for (_, b) in &batches {
        for c in 0..16 {
            let column = b.column_by_name(&format!("value_{c}")).unwrap().as_primitive::<Int64Type>().clone();
            sum += column.iter().flatten().sum::<i64>();
        }
    }
    assert_eq!(sum, want);
}

#[test]
fn two_reads_of_one_meter_give_every_row_once() {
    let tables = load(&samples().join("dump/M00002001"));
    let once = images(&tables);
    let mut twice = once.clone();
    for image in images(&tables) {
        let input: Arc<str> = "second".into();
        twice.push(TableImage { session: 1, input, ..image });
    }
    let (a, _) = decode_meter("m", &once, &[Kind::LoadProfile], &Options::default());
    let (b, rejects) = decode_meter("m", &twice, &[Kind::LoadProfile], &Options::default());
    assert_eq!(rejects, []);
    assert_eq!(profile(&of_kind(a, Kind::LoadProfile)), profile(&of_kind(b.clone(), Kind::LoadProfile)));

    // A value that differs in the second read wins, and is told once.
    let mut changed = tables.clone();
    let bt64 = changed.iter_mut().find(|(id, _)| *id == TableId::bt(64)).unwrap();
    let last = bt64.1.len() - 1;
    bt64.1[last] ^= 0x01;
    let at = twice.len() / 2;
    for (image, (_, data)) in twice[at..].iter_mut().zip(&changed) {
        image.data = Cow::Borrowed(data);
    }
    let (c, rejects) = decode_meter("m", &twice, &[Kind::LoadProfile], &Options::default());
    assert_eq!(rejects.iter().map(|r| r.code).collect::<Vec<_>>(), ["profile.contradiction"]);
    assert!(rejects[0].reason.contains("second"));
    let (b, c) = (profile(&of_kind(b, Kind::LoadProfile)), profile(&of_kind(c, Kind::LoadProfile)));
    assert_eq!(b.len(), c.len());
    assert_eq!(b.iter().zip(&c).filter(|(b, c)| b != c).count(), 1);
}
