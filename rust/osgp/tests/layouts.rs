//! The resolver puts every leaf where the snapshots say, which the Python resolver wrote (tests/layouts.py).

use std::path::Path;

use osgp::image::{TableId, TableImage};
use osgp::records::layout;
use serde_json::{Value, json};

#[test]
fn leaves_stand_where_the_snapshots_say() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let mut seen = 0;
    for entry in std::fs::read_dir(tests.join("vectors/layouts")).unwrap() {
        let path = entry.unwrap().path();
        let (set, meter) = path.file_stem().unwrap().to_str().unwrap().split_once('-').unwrap();
        let want: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let mut tables = Vec::new();
        for file in std::fs::read_dir(tests.join("samples").join(set).join(meter)).unwrap() {
            let file = file.unwrap().path();
            let id = TableId::parse(file.file_stem().unwrap().to_str().unwrap()).unwrap();
            tables.push((id, std::fs::read(file).unwrap()));
        }
        let images: Vec<_> = tables.iter().map(|(id, data)| TableImage::whole(*id, data)).collect();
        for (table, leaves) in want.as_object().unwrap() {
            let id = TableId::parse(table).unwrap();
            let got: Vec<Value> = layout(&images, id)
                .unwrap()
                .iter()
                .map(|l| json!([l.path, l.packed, l.offset, l.size, l.axes]))
                .collect();
            assert_eq!(&Value::from(got), leaves, "{meter} {table}");
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} layouts");
}

#[test]
fn a_missing_dimension_is_named() {
    let bt64 = TableImage::whole(TableId::bt(64), &[0; 100]);
    assert_eq!(layout(&[bt64], TableId::bt(64)), Err("BT61".to_owned()));
    assert_eq!(layout(&[], TableId(1999)), Err("BT1999".to_owned()));
}
