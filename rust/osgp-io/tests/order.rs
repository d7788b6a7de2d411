//! The same rows in the same order, whatever the input's form, its order and the number of threads.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BinaryViewArray, DictionaryArray, Int64Array, LargeBinaryArray, RecordBatch, UInt16Array,
};
use common::*;
use osgp::records::Kind;
use osgp_io::{ImageReader, OpenOptions};

fn rows(paths: &[&Path], kind: Kind, jobs: usize) -> RecordBatch {
    let decoded = decode_with(paths, OpenOptions::default(), kind, jobs).unwrap();
    assert!(decoded.rejects.is_empty(), "{:?}", decoded.codes());
    decoded.rows
}

#[test]
fn every_form_of_a_dump_gives_the_same() {
    let root = tempfile::tempdir().unwrap();
    for dump in ["dump", "edges"] {
        let source = samples(dump);
        for kind in Kind::ALL {
            let want = rows(&[&source], kind, 1);
            let all = tables(dump);
            for (name, batch) in [("contiguous", images(&all)), ("scattered", images(&scattered(all)))] {
                for suffix in ["parquet", "arrow", "arrows"] {
                    let path = root.path().join(format!("{name}.{suffix}"));
                    write_images(&path, &batch);
                    for jobs in [1, 3] {
                        assert_eq!(rows(&[&path], kind, jobs), want, "{dump} {name} {suffix} {jobs}");
                    }
                }
            }
            assert_eq!(rows(&[&source], kind, 3), want);
        }
    }
}

#[test]
fn every_type_of_column() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.parquet");
    let all = tables("dump");
    let want = rows(&[&samples("dump")], Kind::LoadProfile, 1);
    let plain = images(&all);
    let meters: DictionaryArray<Int32Type> = all.iter().map(|r| Some(r.0.as_str())).collect();
    let binaries: Vec<ArrayRef> = vec![
        Arc::new(LargeBinaryArray::from_iter_values(all.iter().map(|r| &r.2))),
        Arc::new(BinaryViewArray::from_iter_values(all.iter().map(|r| &r.2))),
    ];
    let tables: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(all.iter().map(|r| i64::from(r.1)))),
        Arc::new(UInt16Array::from_iter_values(all.iter().map(|r| r.1 as u16))),
    ];
    for (data, table) in binaries.into_iter().zip(tables) {
        for suffix in ["parquet", "arrow", "arrows"] {
            let path = path.with_extension(suffix);
            let columns: [(&str, ArrayRef); 4] = [
                ("whole", plain.column(3).clone()),
                ("data", data.clone()),
                ("meter", Arc::new(meters.clone())),
                ("table", table.clone()),
            ];
            write_images(&path, &RecordBatch::try_from_iter(columns).unwrap());
            assert_eq!(rows(&[&path], Kind::LoadProfile, 2), want, "{} {suffix}", data.data_type());
        }
    }
}

#[test]
fn a_meter_in_several_inputs_is_one_meter() {
    let root = tempfile::tempdir().unwrap();
    let all = tables("dump");
    let (first, second): (Vec<_>, Vec<_>) = all.into_iter().partition(|r| r.1 < 64);
    let (a, b) = (root.path().join("a.parquet"), root.path().join("b.arrow"));
    write_images(&a, &images(&first));
    write_images(&b, &images(&second));
    let want = rows(&[&samples("dump")], Kind::LoadProfile, 1);
    for jobs in [1, 3] {
        assert_eq!(rows(&[&a, &b], Kind::LoadProfile, jobs), want);
    }
    // Inputs with meters of their own are one after the other.
    let both = rows(&[&samples("dump"), &samples("edges")], Kind::Meters, 2);
    assert_eq!(
        both.num_rows(),
        rows(&[&samples("dump")], Kind::Meters, 1).num_rows() + rows(&[&samples("edges")], Kind::Meters, 1).num_rows()
    );
    // The same directory twice: two reads of the same, each row once.
    assert_eq!(rows(&[&samples("dump"), &samples("dump")], Kind::LoadProfile, 2), want);
}

#[test]
fn captures_and_single_tables() {
    let want = decode(&samples("dump/M00002001")).rows;
    for name in ["session.log", "session.bin"] {
        let options = OpenOptions { meter: Some("M00002001".to_owned()), ..OpenOptions::default() };
        let got = decode_with(&[&samples(name)], options, Kind::LoadProfile, 1).unwrap();
        let keep: Vec<usize> =
            (0..want.num_columns()).filter(|&i| want.schema().field(i).name() != "read_at").collect();
        assert_eq!(got.rows.project(&keep).unwrap(), want.project(&keep).unwrap(), "{name}");
    }
    let files: Vec<_> =
        meter_files("dump/M00002001").into_iter().map(|(n, _)| samples("dump/M00002001").join(n)).collect();
    let paths: Vec<&Path> = files.iter().map(|p| p.as_path()).collect();
    assert_eq!(rows(&paths, Kind::LoadProfile, 2), want);
}

#[test]
fn many_small_meters_and_few_large_ones() {
    // Copies of a meter: the order of labels is the order of the rows, with any number of threads.
    let root = tempfile::tempdir().unwrap();
    for i in 0..300 {
        put_meter(root.path(), &format!("M{i:04}"), "dump/M00002005");
    }
    let one = rows(&[root.path()], Kind::LoadProfile, 1);
    assert_eq!(rows(&[root.path()], Kind::LoadProfile, 4), one);
    let zip = root.path().with_extension("zip");
    let mut writer = zip::ZipWriter::new(fs::File::create(&zip).unwrap());
    for i in (0..300).rev() {
        for (name, data) in meter_files("dump/M00002005") {
            writer.start_file(format!("M{i:04}/{name}"), zip::write::SimpleFileOptions::default()).unwrap();
            std::io::Write::write_all(&mut writer, &data).unwrap();
        }
    }
    writer.finish().unwrap();
    assert_eq!(rows(&[&zip], Kind::LoadProfile, 3), one);
    fs::remove_file(zip).unwrap();
}

#[test]
fn the_readers_alone_give_every_image() {
    let inputs = open(&[&samples("dump")], OpenOptions::default()).unwrap();
    let mut reader = ImageReader::new(inputs, &std::sync::atomic::AtomicBool::new(false)).unwrap();
    let mut got = Vec::new();
    while let Some(()) = reader
        .next_meter(|label, images| got.extend(images.iter().map(|i| (label.to_owned(), i.table.0, i.data.to_vec()))))
        .unwrap()
    {}
    assert_eq!(got, tables("dump"));
    let (done, total) = reader.bytes();
    assert_eq!(done, total);
}
