//! How fast one thread decodes load profiles in memory, against a copy of the bytes read and written.
//!
//! `cargo run --release -p osgp --example speed`

use std::hint::black_box;
use std::time::Instant;

use arrow_array::RecordBatch;
use osgp::image::{TableId, TableImage};
use osgp::records::{Decoder, Kind, Options, Shape};

/// A meter with `blocks` days of 15-minute intervals of four channels.
fn meter(blocks: u16) -> Vec<(TableId, Vec<u8>)> {
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

fn main() {
    let meters: Vec<_> = (0..64).map(|i| (format!("M{i:08}"), meter(365))).collect();
    let input: usize = meters.iter().flat_map(|(_, t)| t).map(|(_, d)| d.len()).sum();
    let images: Vec<(&str, Vec<TableImage<'_>>)> = meters
        .iter()
        .map(|(label, tables)| (label.as_str(), tables.iter().map(|(id, d)| TableImage::whole(*id, d)).collect()))
        .collect();
    for shape in [Shape::Wide, Shape::Long] {
        let mut best = f64::MAX;
        let (mut rows, mut output) = (0, 0);
        for _ in 0..15 {
            (rows, output) = (0, 0);
            let start = Instant::now();
            let mut decoder = Decoder::new(&[Kind::LoadProfile], &Options { shape, ..Options::default() });
            let mut emit = |_, batch: RecordBatch| {
                rows += batch.num_rows();
                output += black_box(&batch).get_array_memory_size();
            };
            for (label, images) in &images {
                decoder.meter(label, images, &mut emit);
            }
            decoder.finish(&mut emit);
            best = best.min(start.elapsed().as_secs_f64());
        }
        // The copy stays within warm memory, as the batches do.
        let bytes = input + output;
        let source = vec![1_u8; 4 << 20];
        let mut target = vec![2_u8; 4 << 20];
        let mut copy = f64::MAX;
        for _ in 0..15 {
            let start = Instant::now();
            let mut left = bytes;
            while left > 0 {
                let part = left.min(source.len());
                black_box(&mut target)[..part].copy_from_slice(&black_box(&source)[..part]);
                left -= part;
            }
            copy = copy.min(start.elapsed().as_secs_f64());
        }
        println!(
            "{shape:?}: {rows} rows, {:.0} MB in, {:.0} MB out, {:.3} s ({:.1} Mrows/s), copy {:.3} s, ratio {:.2}",
            input as f64 / 1e6,
            output as f64 / 1e6,
            best,
            rows as f64 / best / 1e6,
            copy,
            copy / best
        );
    }
}
