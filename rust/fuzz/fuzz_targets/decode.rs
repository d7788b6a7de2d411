//! Invariants: any bytes in any tables give rows of the schema or rejects with a code; rows and memory are bounded by the
//! bytes given, and never by a number in them; decoding twice gives the same.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use osgp::columns;
use osgp::image::{TableId, TableImage};
use osgp::records::{Decoder, Kind, Options, Shape};

const TABLES: [i32; 27] = [
    0, 1, 60, 61, 62, 63, 64, 65, 66, 67, 70, 71, 74, 2051, 2069, 2090, 2102, 2103, 2114, 2127, 3, 2059, 2062, 2064, 2084,
    2093, 2122,
];

/// A part of the input: place in [`TABLES`], a number, length (least significant byte first), bytes. As seeds.py writes it.
fn parts(mut rest: &[u8]) -> Vec<(u8, u8, &[u8])> {
    let mut parts = Vec::new();
    while let Some((&[table, number, low, high], tail)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_le_bytes([low, high])).min(tail.len());
        let (data, tail) = tail.split_at(len);
        parts.push((table, number, data));
        rest = tail;
    }
    parts
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, rest)) = input.split_first() else { return };
    let parts = parts(rest);
    let options = Options {
        shape: if choice & 1 == 0 { Shape::Long } else { Shape::Wide },
        delta: choice & 2 != 0 && choice & 1 == 0,
        assume_defaults: choice & 4 != 0,
    };
    let images: Vec<_> = parts
        .iter()
        .map(|&(table, offset, data)| TableImage {
            table: TableId(TABLES[usize::from(table) % TABLES.len()]),
            // Mostly whole tables; now and then a piece.
            offset: if table & 0x80 == 0 { 0 } else { i64::from(offset) },
            data: Cow::Borrowed(data),
            read_at: None,
            whole: [Some(true), None][usize::from(table >> 6 & 1)],
            ped: None,
            session: u32::from(table >> 5 & 1),
            input: "fuzz".into(),
            position: None,
        })
        .collect();
    let run = || {
        let mut decoder = Decoder::new(Kind::ALL.as_ref(), &options);
        let mut batches = Vec::new();
        let mut emit = |kind, batch| batches.push((kind, batch));
        decoder.meter("fuzz", &images, &mut emit);
        decoder.finish(&mut emit);
        (batches, decoder.take_rejects())
    };
    let (batches, rejects) = run();
    let bytes: usize = images.iter().map(|image| image.data.len()).sum();
    let mut rows = 0;
    for (kind, batch) in &batches {
        assert_eq!(batch.schema(), columns::schema(*kind, &options));
        rows += batch.num_rows();
    }
    // An interval has a bit and a byte of status at least, a wide row may have no channel; a byte holds eight alarms.
    assert!(rows <= 16 * bytes + 64, "{rows} rows out of {bytes} bytes");
    for reject in &rejects {
        assert!(reject.code.contains('.') && !reject.reason.is_empty());
        assert!(reject.data.len() <= osgp::reject::MAX_DATA);
    }
    columns::rejects_batch(&rejects);
    assert_eq!((batches, rejects), run());
});
