//! How fast one thread decodes load profiles and registers in memory, against a copy of the bytes read and written.
//!
//! `cargo run --release -p osgp --example speed [WORDS OF THE LINES WANTED]`

use std::hint::black_box;
use std::time::Instant;

use arrow_array::{Array, RecordBatch};
use osgp::image::{TableId, TableImage};
use osgp::records::{Decoder, Kind, Options, Shape};

type Tables = Vec<(TableId, Vec<u8>)>;

/// A meter with `blocks` days of 15-minute intervals of four channels.
fn meter(blocks: u16) -> Tables {
    const INTERVALS: usize = 96;
    const CHANNELS: usize = 4;
    let mut bt61 = vec![0, 0, 0, 0, 0, 0x0C, 0x20];
    bt61.extend(blocks.to_le_bytes());
    bt61.extend([96, 0, CHANNELS as u8, 15]);
    let bt62: Vec<u8> = (0..CHANNELS as u8).flat_map(|c| [0, c, 0]).chain([32]).collect();
    let mut bt63 = vec![0x24];
    bt63.extend(blocks.to_le_bytes());
    bt63.extend((blocks - 1).to_le_bytes());
    bt63.extend(1000_u32.to_le_bytes());
    bt63.extend([0, 0, 96, 0]);
    let mut bt64 = Vec::new();
    for block in 0..blocks {
        let (month, day) = (block / 28 % 12 + 1, block % 28 + 1);
        bt64.extend([20 + (block / 336) as u8, month as u8, day as u8, 0, 0]);
        bt64.extend([0xFF; INTERVALS / 8]);
        for i in 0..INTERVALS as i32 {
            bt64.extend([0, 0, 0]);
            (0..CHANNELS as i32).for_each(|c| bt64.extend((i * 250 + c).to_le_bytes()));
        }
    }
    [(61, bt61), (62, bt62), (63, bt63), (64, bt64)].map(|(n, data)| (TableId::bt(n), data)).into()
}

/// The tables of a meter without demand whose BT23 was read so many times.
fn registers(reads: usize) -> Tables {
    let bt21 = vec![3, 12, 5, 11, 0, 0, 0, 4, 0, 41];
    let bt22 = vec![0, 1, 2, 3, 4, 5, 6, 7, 26, 27, 28];
    let bt23 = |n: usize| (0..55).flat_map(|i: usize| ((i * 10_000 + n) as i32).to_le_bytes()).collect();
    let tables = [(21, bt21), (22, bt22)].into_iter().chain((0..reads).map(|n| (23, bt23(n))));
    tables.map(|(n, data)| (TableId::bt(n), data)).collect()
}

/// The best time of decoding, its rows and the bytes of its batches.
fn decode(images: &[(&str, Vec<TableImage<'_>>)], kind: Kind, options: &Options) -> (f64, usize, usize) {
    let mut best = f64::MAX;
    let (mut rows, mut output) = (0, 0);
    for _ in 0..15 {
        (rows, output) = (0, 0);
        let start = Instant::now();
        let mut decoder = Decoder::new(&[kind], options);
        let mut emit = |_, batch: RecordBatch| {
            rows += batch.num_rows();
            // Of columns that batches share, only the rows of this one count.
            let sizes = black_box(&batch).columns().iter().map(|c| c.to_data().get_slice_memory_size());
            output += sizes.map(|size| size.unwrap_or(0)).sum::<usize>();
        };
        for (label, images) in images {
            decoder.meter(label, images, &mut emit);
        }
        decoder.finish(&mut emit);
        best = best.min(start.elapsed().as_secs_f64());
    }
    (best, rows, output)
}

/// The best time of copying so many bytes; the copy stays within warm memory, as the batches do.
fn copy(bytes: usize) -> f64 {
    let source = vec![1_u8; 4 << 20];
    let mut target = vec![2_u8; 4 << 20];
    let mut best = f64::MAX;
    for _ in 0..15 {
        let start = Instant::now();
        let mut left = bytes;
        while left > 0 {
            let part = left.min(source.len());
            black_box(&mut target)[..part].copy_from_slice(&black_box(&source)[..part]);
            left -= part;
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

fn report(name: &str, meters: impl Fn() -> Vec<(String, Tables)>, kind: Kind, options: &Options) {
    if !name.contains(&std::env::args().nth(1).unwrap_or_default()) {
        return;
    }
    let meters = meters();
    let input: usize = meters.iter().flat_map(|(_, t)| t).map(|(_, d)| d.len()).sum();
    let images: Vec<(&str, Vec<TableImage<'_>>)> = meters
        .iter()
        .map(|(label, tables)| {
            // Reads of one table are an hour apart, so that every one is of its own time.
            let timed = tables.iter().zip(0..).map(|((id, d), n)| TableImage {
                read_at: (kind == Kind::Registers).then_some(n * 3_600_000_000),
                ..TableImage::whole(*id, d)
            });
            (label.as_str(), timed.collect())
        })
        .collect();
    let (best, rows, output) = decode(&images, kind, options);
    let copy = copy(input + output);
    println!(
        "{name}: {rows} rows, {:.0} MB in, {:.0} MB out, {best:.3} s ({:.1} Mrows/s), copy {copy:.3} s, ratio {:.2}",
        input as f64 / 1e6,
        output as f64 / 1e6,
        rows as f64 / best / 1e6,
        copy / best
    );
}

fn main() {
    let meters = || (0..64).map(|i| (format!("M{i:08}"), meter(365))).collect();
    for shape in [Shape::Wide, Shape::Long] {
        report(&format!("{shape:?}"), meters, Kind::LoadProfile, &Options { shape, ..Options::default() });
    }
    for (count, reads) in [(1, 100_000), (1000, 100), (100_000, 1)] {
        let meters = || (0..count).map(|i| (format!("M{i:08}"), registers(reads))).collect();
        report(&format!("BT23, {count} meters"), meters, Kind::Registers, &Options::default());
    }
}
