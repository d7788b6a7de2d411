//! Every bad input: a reject with its code and bytes, or an error before any work; what is good beside it is decoded.

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use arrow_array::{Array, RecordBatch, StringArray};
use common::*;
use osgp::image::MAX_TABLE;
use osgp::records::Kind;
use osgp_io::OpenOptions;
use zip::write::SimpleFileOptions;

const GOOD: &str = "dump/M00002001";

/// A dump of one good meter, `G`, and whatever a test adds.
fn dump() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    put_meter(root.path(), "G", GOOD);
    root
}

fn good_rows() -> usize {
    decode(&samples(GOOD)).rows.num_rows()
}

fn rows_of(decoded: &RecordBatch, meter: &str) -> usize {
    let meters = decoded.column(0).as_any().downcast_ref::<StringArray>().unwrap();
    meters.iter().filter(|m| *m == Some(meter)).count()
}

#[track_caller]
fn good_is_there(decoded: &common::Decoded) {
    assert_eq!(rows_of(&decoded.rows, "G"), good_rows());
}

#[test]
fn a_file_larger_than_any_table_is_not_read() {
    let root = dump();
    fs::create_dir(root.path().join("B")).unwrap();
    let file = File::create(root.path().join("B/BT64.bin")).unwrap();
    (&file).write_all(b"start").unwrap();
    file.set_len(2_200_000_000).unwrap();
    let decoded = decode(root.path());
    good_is_there(&decoded);
    let reject = decoded.reject("input.too_large");
    assert_eq!((reject.length, reject.data.len(), &reject.data[..5]), (2_200_000_000, 65536, &b"start"[..]));
    assert_eq!((reject.meter.as_deref(), reject.table.map(|t| t.0)), (Some("B"), Some(64)));
    // The same as an input of its own.
    assert_eq!(decode(&root.path().join("B/BT64.bin")).codes(), ["input.too_large"]);
    let file = File::create(root.path().join("unknown")).unwrap();
    file.set_len(2_200_000_000).unwrap();
    assert_eq!(decode(&root.path().join("unknown")).codes(), ["input.too_large"]);
}

#[test]
fn empty_files() {
    let root = dump();
    fs::create_dir(root.path().join("B")).unwrap();
    File::create(root.path().join("B/BT64.bin")).unwrap();
    let decoded = decode(root.path());
    good_is_there(&decoded);
    assert_eq!(decoded.reject("input.empty").meter.as_deref(), Some("B"));
    assert_eq!(decode(&root.path().join("B/BT64.bin")).codes(), ["input.empty"]);
}

#[test]
fn a_photo_is_not_recognised() {
    let root = dump();
    let mut jpeg = b"\xFF\xD8\xFF\xE0\x00\x10JFIF\x00".to_vec();
    jpeg.extend((0..5000u32).map(|i| ((i * 7919) >> 3) as u8));
    fs::write(root.path().join("G/photo.jpg"), &jpeg).unwrap();
    fs::write(root.path().join("G/x.bin"), &jpeg).unwrap();
    for note in [".DS_Store", "README.txt", "Thumbs.db"] {
        fs::write(root.path().join("G").join(note), b"x").unwrap();
    }
    let decoded = decode(root.path());
    good_is_there(&decoded);
    assert_eq!(decoded.codes(), ["input.not_recognised"; 2]);
    assert_eq!(decoded.tally.notes, 3);
    let alone = decode(&root.path().join("G/photo.jpg"));
    let reject = alone.reject("input.not_recognised");
    assert_eq!((reject.data.as_slice(), reject.length), (&jpeg[..64], jpeg.len() as i64));
}

#[test]
fn what_is_not_there_or_holds_nothing() {
    let root = tempfile::tempdir().unwrap();
    unopenable(&root.path().join("nowhere"));
    fs::create_dir(root.path().join("empty")).unwrap();
    assert!(unopenable(&root.path().join("empty")).contains("no table"));
    fs::write(root.path().join("empty/notes.txt"), b"x").unwrap();
    assert!(unopenable(&root.path().join("empty")).contains("no table"));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    #[test]
    fn links_that_lead_back_or_nowhere() {
        let root = dump();
        symlink(root.path(), root.path().join("G/up")).unwrap();
        symlink("self", root.path().join("self")).unwrap();
        symlink("nowhere", root.path().join("G/BT99.bin")).unwrap();
        symlink("G", root.path().join("H")).unwrap();
        let decoded = decode(root.path());
        good_is_there(&decoded);
        assert_eq!(rows_of(&decoded.rows, "H"), good_rows(), "a link renames a meter");
        let loops = decoded.codes().iter().filter(|c| **c == "input.symlink_loop").count();
        assert_eq!(loops, 2, "{:?}", decoded.codes());
        assert!(decoded.codes().contains(&"input.unreadable"));
        unopenable(&root.path().join("self"));
        unopenable(&root.path().join("G/BT99.bin"));
    }

    #[test]
    fn links_that_multiply() {
        let root = tempfile::tempdir().unwrap();
        put_meter(root.path(), "d00", GOOD);
        for i in 1..40 {
            let dir = root.path().join(format!("d{i:02}"));
            fs::create_dir(&dir).unwrap();
            for name in ["a", "b"] {
                symlink(format!("../d{:02}", i - 1), dir.join(name)).unwrap();
            }
        }
        let stop = std::sync::atomic::AtomicBool::new(false);
        let inputs = osgp_io::open_all(&[root.path().to_owned()], OpenOptions::default(), &stop);
        assert!(inputs.is_ok());
    }

    #[test]
    fn pipes_are_never_opened() {
        let root = dump();
        for name in ["BT64.bin", "pipe"] {
            assert!(Command::new("mkfifo").arg(root.path().join(name)).status().unwrap().success());
        }
        let decoded = decode(root.path());
        good_is_there(&decoded);
        assert_eq!(decoded.codes(), ["input.not_a_file"; 2]);
        unopenable(&root.path().join("pipe"));
    }

    #[test]
    fn names_that_are_not_utf8() {
        use std::os::unix::ffi::OsStrExt;
        let root = tempfile::tempdir().unwrap();
        let label = std::ffi::OsStr::from_bytes(b"m\xff");
        let dir = put_meter(root.path(), "x", GOOD);
        fs::rename(dir, root.path().join(label)).unwrap();
        assert_eq!(rows_of(&decode(root.path()).rows, "m\u{fffd}"), good_rows());
    }
}

// ---- archives

fn zip_of(path: &Path, members: &[(&str, &[u8])]) {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    for (name, data) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(data).unwrap();
    }
    zip.finish().unwrap();
}

fn good_members() -> Vec<(String, Vec<u8>)> {
    meter_files(GOOD).into_iter().map(|(name, data)| (format!("G/{name}"), data)).collect()
}

fn zip_with(path: &Path, more: &[(&str, &[u8])]) {
    let good = good_members();
    let mut members: Vec<(&str, &[u8])> = good.iter().map(|(n, d)| (n.as_str(), d.as_slice())).collect();
    members.extend(more);
    zip_of(path, &members);
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) -> usize {
    let mut count = 0;
    for at in 0..bytes.len().saturating_sub(from.len()) {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
            count += 1;
        }
    }
    count
}

#[test]
fn names_in_an_archive() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.zip");
    zip_with(
        &path,
        &[
            ("../BT64.bin", b"x"),
            ("/abs/BT64.bin", b"x"),
            ("D/BT00.bin", b"first"),
            ("D/BT0X.bin", b"second"),
            ("D/photo.jpg", b"\xff\xd8"),
            ("__MACOSX/G/._BT64.bin", b"x"),
        ],
    );
    let mut bytes = fs::read(&path).unwrap();
    assert_eq!(replace(&mut bytes, b"D/BT0X.bin", b"D/BT00.bin"), 2);
    fs::write(&path, bytes).unwrap();
    let decoded = decode(&path);
    good_is_there(&decoded);
    let codes: Vec<&str> =
        decoded.codes().into_iter().filter(|c| c.starts_with("archive") || c.starts_with("input")).collect();
    assert_eq!(codes, ["archive.duplicate_name", "archive.unsafe_name", "archive.unsafe_name", "input.not_recognised"]);
    assert_eq!(decoded.reject("archive.duplicate_name").length, 5, "the earlier one");
    assert_eq!(decoded.tally.notes, 1);
}

#[test]
fn an_encrypted_member() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.zip");
    zip_with(&path, &[("B/BT64.bin", b"secret")]);
    let mut bytes = fs::read(&path).unwrap();
    // Bit 0 of the flags, in both headers of the last member.
    for (mark, flags) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        let at = (0..bytes.len() - 4).rev().find(|&i| bytes[i..].starts_with(mark)).unwrap();
        bytes[at + flags] |= 1;
    }
    fs::write(&path, bytes).unwrap();
    let decoded = decode(&path);
    good_is_there(&decoded);
    assert_eq!(decoded.codes(), ["archive.encrypted"]);
    assert_eq!(decoded.reject("archive.encrypted").meter.as_deref(), Some("B"));
}

#[test]
fn damaged_and_cut_zips() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.zip");
    let body: Vec<u8> = (0..400u32).map(|i| ((i * i) >> 2) as u8).collect();
    zip_with(&path, &[("B/BT64.bin", &body)]);
    let good = fs::read(&path).unwrap();
    let at = (0..good.len()).rev().find(|&i| good[i..].starts_with(b"PK\x03\x04")).unwrap();
    let mut bytes = good.clone();
    bytes[at + 30 + 10 + 50] ^= 0x55;
    fs::write(&path, &bytes).unwrap();
    let decoded = decode(&path);
    good_is_there(&decoded);
    assert_eq!(decoded.codes(), ["archive.damaged"]);
    // Cut short: the directory at the end is gone.
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    unopenable(&path);
    // Every cut and every byte of the last part changed: never a panic.
    for cut in (good.len() - 300..good.len()).step_by(7) {
        fs::write(&path, &good[..cut]).unwrap();
        let _ = decode_with(&[&path], OpenOptions::default(), Kind::Meters, 1);
        let mut bytes = good.clone();
        bytes[cut] ^= 0xFF;
        fs::write(&path, &bytes).unwrap();
        let _ = decode_with(&[&path], OpenOptions::default(), Kind::Meters, 1);
    }
}

#[test]
fn a_bomb_of_members_that_lie_over_one_another() {
    // One deflated member of zeros, named many times by the directory: 16 MiB each, without being there again.
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("bomb.zip");
    let zeros = vec![0; MAX_TABLE];
    zip_of(&path, &[("M00000/BT64.bin", &zeros)]);
    let bytes = fs::read(&path).unwrap();
    let central = (0..bytes.len()).find(|&i| bytes[i..].starts_with(b"PK\x01\x02")).unwrap();
    let end = (0..bytes.len()).rev().find(|&i| bytes[i..].starts_with(b"PK\x05\x06")).unwrap();
    let mut bomb = bytes[..central].to_vec();
    for i in 0..1000 {
        let mut entry = bytes[central..end].to_vec();
        entry[46..52].copy_from_slice(format!("M{i:05}").as_bytes());
        bomb.extend(entry);
    }
    let size = (bomb.len() - central) as u32;
    let mut tail = bytes[end..].to_vec();
    tail[8..10].copy_from_slice(&1000u16.to_le_bytes());
    tail[10..12].copy_from_slice(&1000u16.to_le_bytes());
    tail[12..16].copy_from_slice(&size.to_le_bytes());
    bomb.extend(tail);
    fs::write(&path, bomb).unwrap();
    let decoded = decode_with(&[&path], OpenOptions::default(), Kind::Events, 2).unwrap();
    assert_eq!(decoded.codes(), ["archive.bomb"]);
    assert!(decoded.tally.meters < 70, "{}", decoded.tally.meters);
}

#[test]
fn a_bomb_in_a_compressed_tar() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("bomb.tar.zst");
    let mut out = zstd::stream::write::Encoder::new(File::create(&path).unwrap(), 1).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_path("M/BT64.bin").unwrap();
    header.set_size(1 << 33);
    header.set_cksum();
    out.write_all(header.as_bytes()).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..1100 {
        out.write_all(&zeros).unwrap();
    }
    out.finish().unwrap();
    let skip = OpenOptions { skip_unreadable: true, ..OpenOptions::default() };
    let decoded = decode_with(&[&path, &samples(GOOD)], skip, Kind::LoadProfile, 1).unwrap();
    assert_eq!(decoded.rows.num_rows(), good_rows());
    // Nothing but the bomb was in it, so it is an input without a table.
    assert_eq!(decoded.codes(), ["input.unreadable"]);
}

fn tar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, data) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *data).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn tars_whole_compressed_cut_and_with_links() {
    let root = tempfile::tempdir().unwrap();
    let long = format!("{}/G", "deep".repeat(40));
    let good = meter_files(GOOD);
    let names: Vec<String> = good.iter().map(|(name, _)| format!("{long}/{name}")).collect();
    let members: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(good.iter().map(|(_, d)| &d[..])).collect();
    // Something that does not compress, so that there is more than one block to cut.
    let filler: Vec<u8> =
        (0..600_000u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8 ^ (i >> 7) as u8).collect();
    let mut members = members;
    members.push(("z/filler.txt", &filler));
    let plain = tar_of(&members);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let packed = [
        ("a.tar", plain.clone()),
        ("a.tar.gz", gzip.finish().unwrap()),
        ("a.tar.zst", zstd::encode_all(&plain[..], 1).unwrap()),
    ];
    for (name, bytes) in packed {
        let path = root.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let decoded = decode(&path);
        good_is_there(&decoded);
        assert!(decoded.rejects.is_empty());
        // Cut at two thirds: what is whole is decoded.
        fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
        let decoded = decode(&path);
        assert!(decoded.codes().contains(&"archive.damaged"), "{name}: {:?}", decoded.codes());
    }
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "G/BT99.bin", "/etc/passwd").unwrap();
    let mut bytes = builder.into_inner().unwrap();
    bytes.truncate(512);
    bytes.extend(&plain);
    let path = root.path().join("link.tar");
    fs::write(&path, bytes).unwrap();
    let decoded = decode(&path);
    good_is_there(&decoded);
    assert_eq!(decoded.codes(), ["input.not_a_file"]);
    // Compressed, but no tar.
    let path = root.path().join("x.gz");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"hello").unwrap();
    fs::write(&path, gzip.finish().unwrap()).unwrap();
    assert_eq!(decode(&path).codes(), ["input.not_recognised"]);
}

// ---- table images

#[test]
fn cut_and_broken_columns() {
    let root = tempfile::tempdir().unwrap();
    let batch = images(&tables("dump"));
    for name in ["a.parquet", "a.arrow", "a.arrows"] {
        let path = root.path().join(name);
        write_images(&path, &batch);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
        if name == "a.arrows" {
            // A stream has no end to miss: what is whole is decoded, and the reject says where it broke.
            let decoded = decode(&path);
            assert!(decoded.rows.num_rows() > 0);
            assert_eq!(decoded.codes().iter().filter(|c| **c == "input.damaged").count(), 1, "{:?}", decoded.codes());
        } else {
            unopenable(&path);
        }
        // Any byte changed: rows or rejects or an error, never a panic or an absurd allocation.
        let mut state = 1u32;
        for _ in 0..150 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let mut broken = bytes.clone();
            let at = state as usize % broken.len();
            broken[at] ^= (state >> 24) as u8 | 1;
            fs::write(&path, &broken).unwrap();
            let _ = decode_with(&[&path], OpenOptions::default(), Kind::Meters, 1);
        }
    }
}

#[test]
fn wrong_columns() {
    let root = tempfile::tempdir().unwrap();
    let batch = images(&tables("dump"));
    let path = root.path().join("a.parquet");
    write_images(&path, &batch.project(&[0, 2]).unwrap());
    assert!(unopenable(&path).contains("no column table"));
    let wrong = RecordBatch::try_from_iter([
        ("meter", batch.column(0).clone()),
        ("table", batch.column(0).clone()),
        ("data", batch.column(2).clone()),
    ])
    .unwrap();
    write_images(&path, &wrong);
    assert!(unopenable(&path).contains("column table is of type"));
}

#[test]
fn rows_without_meter_table_or_data() {
    use std::sync::Arc;

    use arrow_array::{BinaryArray, UInt64Array};
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.parquet");
    let batch = RecordBatch::try_from_iter([
        ("meter", Arc::new(StringArray::from(vec![None, Some("a"), Some("a"), Some("a"), None])) as Arc<dyn Array>),
        ("table", Arc::new(UInt64Array::from(vec![Some(1), Some(u64::MAX), None, Some(1), Some(1)]))),
        ("data", Arc::new(BinaryArray::from(vec![Some(&b"x"[..]), Some(b"y"), Some(b"z"), None, Some(b"w")]))),
    ])
    .unwrap();
    write_images(&path, &batch);
    let decoded = decode(&path);
    assert_eq!(decoded.codes(), ["image.data", "image.meter", "image.meter", "image.table", "image.table"]);
    assert_eq!(decoded.tally.meters, 1);
    let null = decoded.rejects.iter().find(|r| r.item == "row 2").unwrap();
    assert_eq!((null.meter.as_deref(), null.data.as_slice()), (Some("a"), &b"z"[..]));
}

// ---- CSV

#[test]
fn lines_of_a_csv_that_are_no_tables() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("G.csv");
    let mut text = String::new();
    for (_, table, data) in tables("dump").into_iter().filter(|t| t.0 == "M00002001") {
        let hex: String = data.iter().map(|b| format!("{b:02X}")).collect();
        text += &format!("{table},Name, with a comma,{},{hex}\r\n", data.len());
    }
    fs::write(&path, &text).unwrap();
    let decoded = decode(&path);
    good_is_there(&decoded);
    assert!(decoded.rejects.is_empty());
    fs::write(&path, text + "7,X,2,00\n7,X,1,0g\n7,X\n7,X,0,\n").unwrap();
    let decoded = decode(&path);
    good_is_there(&decoded);
    assert_eq!(decoded.codes(), ["input.empty", "termineter.hex", "termineter.length", "termineter.line"]);
    let named = OpenOptions { meter: Some("N".to_owned()), ..OpenOptions::default() };
    assert_eq!(rows_of(&decode_with(&[&path], named, Kind::LoadProfile, 1).unwrap().rows, "N"), good_rows());
}
