//! What is written: whole or not at all, in every format the same rows.

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::DataType;
use arrow_select::concat::concat_batches;
use common::*;
use osgp::records::{Kind, Options};
use osgp_io::{Control, Error, FileFormat, Files, Job, OpenOptions, Output, decode_to_files};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

fn everything(jobs: usize) -> Job {
    Job { kinds: Kind::ALL.to_vec(), options: Options::default(), jobs }
}

fn output(path: &Path, format: FileFormat) -> Output {
    Output { path: path.to_owned(), directory: true, format, split: None }
}

fn write(source: &Path, job: &Job, output: &Output) -> Result<Vec<PathBuf>, Error> {
    let inputs = open(&[source], OpenOptions::default())?;
    decode_to_files(inputs, job, output, &Control::default()).map(|(_, files)| files)
}

fn read_parquet(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let schema = reader.schema().clone();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn parquet_has_the_rows_of_the_stream_in_plain_strings() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("new/dir");
    let files = write(&samples("dump"), &everything(2), &output(&out, FileFormat::Parquet)).unwrap();
    let mut wanted: Vec<String> = Kind::ALL.iter().map(|kind| format!("{}.parquet", kind.name())).collect();
    wanted.push("rejects.parquet".to_owned());
    wanted.sort();
    assert_eq!(names(&out), wanted);
    assert_eq!(files.last().unwrap(), &out.join("rejects.parquet"));
    for kind in Kind::ALL {
        let path = out.join(format!("{}.parquet", kind.name()));
        let got = read_parquet(&path);
        let want = decode_with(&[&samples("dump")], OpenOptions::default(), kind, 1).unwrap().rows;
        assert_eq!(got, want);
        for field in got.schema().fields() {
            assert!(!matches!(field.data_type(), DataType::Dictionary(_, _)), "{field}");
        }
        if got.num_rows() == 0 {
            continue;
        }
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        let column = builder.metadata().row_group(0).column(0);
        assert!(column.statistics().is_some());
        assert!(matches!(column.compression(), parquet::basic::Compression::ZSTD(_)));
    }
    assert_eq!(read_parquet(&out.join("rejects.parquet")).num_rows(), 0);
    // Any number of threads writes the same bytes.
    let one = root.path().join("one");
    write(&samples("dump"), &everything(1), &output(&one, FileFormat::Parquet)).unwrap();
    for name in names(&out) {
        assert_eq!(fs::read(one.join(&name)).unwrap(), fs::read(out.join(&name)).unwrap(), "{name}");
    }
}

#[test]
fn row_groups_are_made_by_workers_and_gathered() {
    // Enough meters for several units and groups.
    let root = tempfile::tempdir().unwrap();
    let source = root.path().join("in");
    for i in 0..420 {
        put_meter(&source, &format!("M{i:04}"), "dump/M00002001");
    }
    let out = root.path().join("out");
    write(&source, &everything(3), &output(&out, FileFormat::Parquet)).unwrap();
    let path = out.join("load_profile.parquet");
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    let groups: Vec<i64> = builder.metadata().row_groups().iter().map(|g| g.num_rows()).collect();
    assert!(groups.len() > 1 && groups.iter().all(|&rows| rows < 1_200_000), "{groups:?}");
    let want = decode_with(&[&source], OpenOptions::default(), Kind::LoadProfile, 2).unwrap().rows;
    assert!(read_parquet(&path) == want);
}

#[test]
fn arrow_csv_and_json_lines() {
    let root = tempfile::tempdir().unwrap();
    for format in [FileFormat::Arrow, FileFormat::Csv, FileFormat::JsonLines] {
        let out = root.path().join(format.suffix());
        write(&samples("dump"), &everything(2), &output(&out, format)).unwrap();
        for kind in Kind::ALL {
            let path = out.join(format!("{}.{}", kind.name(), format.suffix()));
            let want = decode_with(&[&samples("dump")], OpenOptions::default(), kind, 1).unwrap().rows;
            match format {
                FileFormat::Arrow => {
                    let reader = arrow_ipc::reader::FileReader::try_new(File::open(&path).unwrap(), None).unwrap();
                    let schema = reader.schema();
                    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
                    assert_eq!(concat_batches(&schema, &batches).unwrap(), want);
                }
                _ => {
                    let header = usize::from(format == FileFormat::Csv);
                    let text = fs::read_to_string(&path).unwrap();
                    assert_eq!(text.lines().count(), want.num_rows() + header);
                }
            }
        }
        let rejects = fs::metadata(out.join(format!("rejects.{}", format.suffix()))).unwrap();
        assert_eq!(rejects.len() > 0, format != FileFormat::JsonLines);
    }
    let csv = fs::read_to_string(root.path().join("csv/load_profile.csv")).unwrap();
    assert!(csv.starts_with("meter,data_set,block,interval,interval_end,"));
    assert!(csv.lines().nth(1).unwrap().contains("Z,"), "{}", csv.lines().nth(1).unwrap());
}

#[test]
fn one_file_and_its_rejects() {
    let root = tempfile::tempdir().unwrap();
    let out =
        Output { path: root.path().join("my.data.pq"), directory: false, format: FileFormat::Parquet, split: None };
    write(&samples("dump"), &job(Kind::Events, 1), &out).unwrap();
    assert_eq!(names(root.path()), ["my.data.pq", "my.data.rejects.pq"]);
    assert!(matches!(write(&samples("dump"), &everything(1), &out), Err(Error::Usage(_))));
}

#[test]
fn splitting() {
    let root = tempfile::tempdir().unwrap();
    for (format, split) in [(FileFormat::Csv, 300_000), (FileFormat::Parquet, 20_000)] {
        let out = Output { split: Some(split), ..output(&root.path().join(format.suffix()), format) };
        let source = root.path().join("in");
        for i in 0..40 {
            put_meter(&source, &format!("M{i:04}"), "dump/M00002001");
        }
        write(&source, &everything(2), &out).unwrap();
        let all = names(&out.path);
        let profile: Vec<&String> = all.iter().filter(|n| n.starts_with("load_profile")).collect();
        assert!(profile.len() > 2, "{all:?}");
        assert_eq!(*profile[0], format!("load_profile-0001.{}", format.suffix()));
        assert!(all.contains(&format!("rejects.{}", format.suffix())));
        if format == FileFormat::Parquet {
            let parts: Vec<RecordBatch> = profile.iter().map(|n| read_parquet(&out.path.join(n))).collect();
            let want = decode_with(&[&source], OpenOptions::default(), Kind::LoadProfile, 1).unwrap().rows;
            assert!(concat_batches(&want.schema(), &parts).unwrap() == want);
        }
    }
}

#[test]
fn whole_or_not_at_all() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    write(&samples("dump"), &everything(1), &output(&out, FileFormat::Parquet)).unwrap();
    fs::write(out.join("other.parquet"), b"mine").unwrap();
    let before: Vec<(String, Vec<u8>)> =
        names(&out).into_iter().map(|n| (n.clone(), fs::read(out.join(n)).unwrap())).collect();

    // Stopped before the end.
    let control = Control::default();
    control.stop();
    let inputs = open(&[&samples("edges")], OpenOptions::default()).unwrap();
    let stopped = decode_to_files(inputs, &everything(2), &output(&out, FileFormat::Parquet), &control);
    assert!(matches!(stopped, Err(Error::Interrupted)));
    // Dropped unfinished, also into a directory that was made for it.
    let made = root.path().join("made");
    drop(Files::create(&output(&made, FileFormat::Csv), &Kind::ALL, &Options::default()).unwrap());
    assert!(!made.exists());
    let files = Files::create(&output(&out, FileFormat::Parquet), &Kind::ALL, &Options::default()).unwrap();
    assert!(names(&out).len() > before.len(), "written beside");
    drop(files);
    let after: Vec<(String, Vec<u8>)> =
        names(&out).into_iter().map(|n| (n.clone(), fs::read(out.join(n)).unwrap())).collect();
    assert_eq!(before, after);

    // Files of kinds that a run does not make are left alone.
    write(&samples("edges"), &job(Kind::Events, 1), &output(&out, FileFormat::Parquet)).unwrap();
    for (name, bytes) in before {
        let same = fs::read(out.join(&name)).unwrap() == bytes;
        assert_eq!(same, !matches!(name.as_str(), "events.parquet" | "rejects.parquet") || same, "{name}");
        assert!(same || name == "events.parquet" || name == "rejects.parquet");
    }
    // A directory in the way of a file.
    fs::remove_file(out.join("meters.parquet")).unwrap();
    fs::create_dir(out.join("meters.parquet")).unwrap();
    assert!(matches!(
        write(&samples("edges"), &everything(1), &output(&out, FileFormat::Parquet)),
        Err(Error::Io { .. })
    ));
    // A place that cannot be made.
    fs::write(root.path().join("file"), b"x").unwrap();
    let impossible = output(&root.path().join("file/dir"), FileFormat::Parquet);
    assert!(matches!(write(&samples("edges"), &everything(1), &impossible), Err(Error::Io { .. })));
}
