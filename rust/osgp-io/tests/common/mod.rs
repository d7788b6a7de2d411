//! What the tests share: the samples, and one call that decodes inputs into rows and rejects.
#![allow(dead_code, unreachable_pub)] // Every test file uses a part of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow_array::{ArrayRef, BinaryArray, Int32Array, RecordBatch, RecordBatchReader, StringArray};
use arrow_select::concat::concat_batches;
use osgp::image::TableId;
use osgp::records::{Kind, Options};
use osgp::reject::Reject;
use osgp_io::{Error, Inputs, Job, OpenOptions, Stream, Tally, open_all};

pub fn samples(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/samples").join(name)
}

pub fn job(kind: Kind, jobs: usize) -> Job {
    Job { kinds: vec![kind], options: Options::default(), jobs }
}

pub fn open(paths: &[&Path], options: OpenOptions) -> Result<Inputs, Error> {
    let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    open_all(&paths, options, &AtomicBool::new(false))
}

pub struct Decoded {
    pub rows: RecordBatch,
    pub rejects: Vec<Reject>,
    pub tally: Tally,
}

impl Decoded {
    pub fn codes(&self) -> Vec<&str> {
        let mut codes: Vec<&str> = self.rejects.iter().map(|r| r.code).collect();
        codes.sort_unstable();
        codes
    }
    pub fn reject(&self, code: &str) -> &Reject {
        self.rejects.iter().find(|r| r.code == code).unwrap_or_else(|| panic!("no {code} in {:?}", self.codes()))
    }
}

pub fn decode_with(paths: &[&Path], options: OpenOptions, kind: Kind, jobs: usize) -> Result<Decoded, Error> {
    let mut stream = Stream::start(open(paths, options)?, job(kind, jobs), true, false)?;
    let watch = stream.watch();
    let schema = stream.schema();
    let batches: Vec<RecordBatch> = stream.by_ref().map(Result::unwrap).collect();
    let rows = concat_batches(&schema, &batches).unwrap();
    Ok(Decoded { rows, rejects: watch.take_rejects(), tally: watch.tally() })
}

pub fn decode(path: &Path) -> Decoded {
    decode_with(&[path], OpenOptions::default(), Kind::LoadProfile, 1).unwrap()
}

/// The error of an input that cannot be opened, and the reject that `skip_unreadable` makes of it.
pub fn unopenable(path: &Path) -> String {
    let Err(Error::Open(error)) = open(&[path], OpenOptions::default()) else {
        panic!("{} was opened", path.display())
    };
    assert_eq!(error.path, path.to_string_lossy());
    let good = samples("dump/M00002001");
    let skip = OpenOptions { skip_unreadable: true, ..OpenOptions::default() };
    let both = decode_with(&[path, &good], skip, Kind::LoadProfile, 1).unwrap();
    let told = both.reject("input.unreadable");
    assert_eq!((&told.reason, &*told.input), (&error.message, &*error.path));
    assert_eq!(both.rows, decode(&good).rows);
    error.message
}

/// Files of a meter of the samples, by name.
pub fn meter_files(meter: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(samples(meter))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// All tables of a sample dump: label, table, bytes, in the order of a walk.
pub fn tables(dump: &str) -> Vec<(String, i32, Vec<u8>)> {
    let mut meters: Vec<String> =
        fs::read_dir(samples(dump)).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    meters.sort();
    let mut out = Vec::new();
    for meter in meters {
        for (name, data) in meter_files(&format!("{dump}/{meter}")) {
            let table = TableId::parse(name.strip_suffix(".bin").unwrap()).unwrap();
            out.push((meter.clone(), table.0, data));
        }
    }
    out
}

/// The same with the tables of all meters mixed; the meters' first appearance and the order within one stay.
pub fn scattered(mut rows: Vec<(String, i32, Vec<u8>)>) -> Vec<(String, i32, Vec<u8>)> {
    let mut seen: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    let turn: Vec<usize> = rows
        .iter()
        .map(|(meter, ..)| {
            let n = seen.entry(meter.clone()).or_insert(0);
            *n += 1;
            *n
        })
        .collect();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&i| turn[i]);
    order.into_iter().map(|i| std::mem::take(&mut rows[i])).collect()
}

pub fn images(rows: &[(String, i32, Vec<u8>)]) -> RecordBatch {
    RecordBatch::try_from_iter([
        ("meter", Arc::new(StringArray::from_iter_values(rows.iter().map(|r| &r.0))) as ArrayRef),
        ("table", Arc::new(Int32Array::from_iter_values(rows.iter().map(|r| r.1)))),
        ("data", Arc::new(BinaryArray::from_iter_values(rows.iter().map(|r| &r.2)))),
        ("whole", Arc::new(arrow_array::BooleanArray::from(vec![true; rows.len()]))),
    ])
    .unwrap()
}

/// Write batches as Parquet (small row groups), an IPC file or an IPC stream.
pub fn write_images(path: &Path, batch: &RecordBatch) {
    let file = fs::File::create(path).unwrap();
    let rows = 7;
    let parts = (0..batch.num_rows()).step_by(rows).map(|at| batch.slice(at, rows.min(batch.num_rows() - at)));
    match path.extension().and_then(|e| e.to_str()).unwrap() {
        "parquet" => {
            let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
            for part in parts {
                writer.write(&part).unwrap();
                writer.flush().unwrap();
            }
            writer.close().unwrap();
        }
        "arrow" => {
            let mut writer = arrow_ipc::writer::FileWriter::try_new(file, &batch.schema()).unwrap();
            parts.for_each(|part| writer.write(&part).unwrap());
            writer.finish().unwrap();
        }
        _ => {
            let mut writer = arrow_ipc::writer::StreamWriter::try_new(file, &batch.schema()).unwrap();
            parts.for_each(|part| writer.write(&part).unwrap());
            writer.finish().unwrap();
        }
    }
}

/// A meter's directory below `root`.
pub fn put_meter(root: &Path, label: &str, from: &str) -> PathBuf {
    let dir = root.join(label);
    fs::create_dir_all(&dir).unwrap();
    for (name, data) in meter_files(from) {
        fs::write(dir.join(name), data).unwrap();
    }
    dir
}
