//! Load profile: the blocks of BT64 to BT67 become one row per interval and channel.
//!
//! A block that cannot be read is a reject, and its neighbours go on. Source: MEP guide, "BT64-BT67", p. 239;
//! C12.19-1997, tables 61 to 67; the contract's rule for placing blocks.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use arrow_array::types::{ArrowPrimitiveType, Int8Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, PrimitiveArray, RecordBatch};
use arrow_buffer::ArrowNativeType;
use arrow_schema::SchemaRef;

use super::meter::{Field, Meter, Source, available, field, missing, reject, table, which};
use super::profile_set::{DAY_S, Fields, ProfileSet, Unusable, data_layout, profile_set};
use super::{BATCH_ROWS, Kind, Options, Shape};
use crate::columns::{MAX_CHANNELS, Nullable, Tile, Words, batch, full, grow, schema};
use crate::image::{Part, Read};
use crate::layout::{Layout, Missing};
use crate::reject::Reject;
use crate::values;

pub(super) const NEEDS: [&str; 16] = [
    "BT00", "BT01", "BT20", "BT60", "BT61", "BT62", "BT63", "BT64", "BT65", "BT66", "BT67", "ET21", "ET42", "ET54",
    "ET55", "ET66",
];
const SEQUENCES: i64 = 1 << 32;

/// Statuses after which the register's value is not to be trusted (MEP guide pp. 240-241), a bit each: overflow, skipped,
/// test mode, decryption failure, device missing, not current, opted out, placeholder, and the reserved ones.
const SPOILS_VALUE: u16 = 0b1111_1101_1111_0010;
/// Statuses after which an interval is not as long as the others: partial, long, clock error.
const SPOILS_INTERVAL: u16 = 1 << 2 | 1 << 3 | 1 << 9;
/// Common flags: the clock was set forward or backward within the interval.
const CLOCK_SET: u8 = 0b1100;
/// Fwd - Rev Active Wh: a difference, which may fall.
const NET: i32 = 7;

struct DataFields {
    end_time: [Field; 4],
    simple_status: [Field; 4],
    status: [Field; 4],
    value: [Field; 4],
    valid: Field,
    last: Field,
    sequence: Field,
    block_order: Field,
    interval_order: Field,
    flags: Field,
    bt61_blocks: Field,
}

fn fields() -> &'static DataFields {
    static FIELDS: OnceLock<DataFields> = OnceLock::new();
    FIELDS.get_or_init(|| {
        let data = Fields::get().data;
        let bt63 = table("BT63");
        DataFields {
            end_time: data.map(|t| field(t, "block.end_time")),
            simple_status: data.map(|t| field(t, "block.simple_status")),
            status: data.map(|t| field(t, "block.interval.status")),
            value: data.map(|t| field(t, "block.interval.channel.value")),
            valid: field(bt63, "set.valid_blocks"),
            last: field(bt63, "set.last_block"),
            sequence: field(bt63, "set.last_sequence"),
            block_order: field(bt63, "set.flags.block_order"),
            interval_order: field(bt63, "set.flags.interval_order"),
            flags: field(bt63, "set.flags"),
            bt61_blocks: field(table("BT61"), "set.blocks"),
        }
    })
}

/// Where things stand in a block of a data set, and what they mean.
struct SetData {
    config: ProfileSet,
    simple: std::ops::Range<usize>,
    /// Where the first interval starts, with its status bytes; how long they are; where its values start behind that.
    intervals: usize,
    stride: usize,
    values: usize,
}

/// One block with its bytes, as one read had it.
struct Block<'r, 'a> {
    sequence: i64,
    data: &'r [u8],
    last: i64,
    end_s: i64,
    start_s: i64,
    read: &'r Read<'a>,
    offset: u64,
    set: Rc<SetData>,
}

impl Block<'_, '_> {
    /// The recorded intervals, first to last.
    fn recorded(&self) -> impl Iterator<Item = u32> + '_ {
        let count = self.set.config.intervals;
        let bytes = &self.data[self.set.simple.clone()];
        bytes
            .iter()
            .enumerate()
            .flat_map(|(i, byte)| {
                let mut rest = *byte;
                std::iter::from_fn(move || {
                    let bit = rest.trailing_zeros();
                    rest = rest.checked_sub(1).map_or(0, |less| rest & less);
                    (bit < 8).then_some(i as u32 * 8 + bit)
                })
            })
            .take_while(move |i| i64::from(*i) < count)
    }

    fn interval(&self, i: u32) -> (&[u8], &[u8]) {
        let at = self.set.intervals + i as usize * self.set.stride;
        let interval = &self.data[at..at + self.set.stride];
        interval.split_at(self.set.values)
    }

    fn end_of(&self, i: u32) -> i64 {
        self.start_s + (i64::from(i) + 1) * i64::from(self.set.config.interval_s)
    }
}

/// Add the rows of all data sets of a meter.
pub(super) fn decode(meter: &Meter<'_>, rows: &mut Rows, rejects: &mut Vec<Reject>, full: &mut dyn FnMut(RecordBatch)) {
    for (n, table) in Fields::get().data.into_iter().enumerate() {
        let reads = meter.reads(table);
        if reads.is_empty() {
            continue;
        }
        let mut versions = Vec::with_capacity(reads.len());
        for read in reads {
            match blocks(meter, read, n, rejects) {
                Ok(blocks) => versions.push(blocks),
                Err(m) => rejects.push(missing(meter.label, read, m)),
            }
        }
        rows.start(meter.label);
        if let [only] = &mut versions[..] {
            for block in only {
                rows.block(block, full);
            }
        } else {
            merge(meter.label, versions, rejects, rows, full);
        }
    }
}

/// The blocks of one read that hold data, oldest first, each placed in time.
fn blocks<'r, 'a>(
    meter: &'r Meter<'a>,
    read: &'r Read<'a>,
    n: usize,
    rejects: &mut Vec<Reject>,
) -> Result<Vec<Block<'r, 'a>>, Missing> {
    let f = fields();
    let name = read.table;
    let view = meter.view(Some(read));
    let i = n as i64;
    let status = view.table(Fields::get().bt63)?;
    let valid = view.get(f.valid, &[i])?;
    let last_block = view.get(f.last, &[i])?;
    let last_sequence = view.get(f.sequence, &[i])?;
    if valid == 0 {
        return Ok(Vec::new());
    }
    let mut whole_set = |code, reason: String, source: &Read<'_>, at: Field, size| {
        let offset = view.layout(at.table).ok().and_then(|l| Some(l.element(at.path, &[i])?.1)).unwrap_or(0);
        let data = available(&source.part(offset, size), offset).map_or(&[][..], |(_, d)| d);
        rejects.push(
            reject(meter.label, source, code, format!("{reason}; {name} is left out"))
                .item(format!("data set {}", n + 1))
                .offset(offset as i64)
                .data(data),
        );
        Ok(Vec::new())
    };
    let config = match profile_set(&view, i) {
        Ok(config) => config,
        Err(Unusable::Missing(m)) => return Err(m),
        Err(Unusable::Wrong(code, reason)) => {
            return whole_set(code, reason, view.table(Fields::get().bt61)?, f.bt61_blocks, 6);
        }
    };
    let room = config.blocks;
    if valid > room {
        let reason = format!("BT63 counts {valid} valid blocks, and BT61 has room for {room}; read both again");
        return whole_set("profile.block_count", reason, status, f.flags, 13);
    }
    if last_block >= room {
        let reason =
            format!("BT63 says that block {last_block} is the newest, and BT61 has room for {room}; read both again");
        return whole_set("profile.last_block", reason, status, f.flags, 13);
    }
    if view.find(f.interval_order, &[i]).is_some_and(|order| order != 0) {
        let reason = "BT63 says that intervals stand newest first, which the guides do not describe".to_owned();
        return whole_set("profile.interval_order", reason, status, f.flags, 13);
    }
    let step = if view.find(f.block_order, &[i]).is_some_and(|order| order != 0) { -1 } else { 1 };
    let layout = data_layout(&view, i, &config, read.whole_len(), |layout| block_size(layout, n))?;
    let Some((set, used, end)) = set_data(config, &layout, n) else { return Err(Missing(Fields::get().data[n])) };
    let set = Rc::new(set);
    let mut found: Vec<Block<'r, 'a>> = Vec::new();
    let (mut absent, mut first_absent, mut last_absent) = (0i64, 0, 0);
    // Blocks that are not there are counted, not gone through: their number is the meter's, not ours.
    for age in (0..valid).rev() {
        let sequence = (last_sequence - age).rem_euclid(SEQUENCES);
        let place = (last_block - step * age).rem_euclid(room);
        let Some(offset) = end.at(&[place as u64]) else { continue };
        let part = read.part(offset, used);
        let Part::All(data) = part else {
            match available(&part, offset) {
                None => {
                    if absent == 0 {
                        first_absent = sequence;
                    }
                    last_absent = sequence;
                    absent += 1;
                }
                Some((from, data)) => {
                    let reason = format!("{} of the block's {used} bytes are there; read {name} again", data.len());
                    rejects.push(
                        reject(meter.label, read, "profile.block_incomplete", reason)
                            .item(format!("block {sequence}"))
                            .offset(from)
                            .data(data)
                            .length(used as i64),
                    );
                }
            }
            continue;
        };
        let end_s = match values::seconds(&data[..5]) {
            Ok(Some(end_s)) => end_s,
            Ok(None) => continue,
            Err(date) => {
                let reason = format!("the block ends at {}, which does not exist; read {name} again", date.0);
                rejects.push(
                    reject(meter.label, read, "profile.end_time", reason)
                        .item(format!("block {sequence}"))
                        .offset(offset as i64)
                        .data(data),
                );
                continue;
            }
        };
        let mut block = Block { sequence, data, last: -1, end_s, start_s: 0, read, offset, set: set.clone() };
        block.last = last_recorded(&data[set.simple.clone()], set.config.intervals);
        found.push(block);
    }
    if absent > 0 && read.whole {
        let which = match absent {
            1 => format!("block {first_absent}"),
            _ => format!("blocks {first_absent} to {last_absent}"),
        };
        let end = read.end();
        let reason = format!(
            "{name} ends after {end} bytes, before {absent} of the {valid} blocks that BT63 counts; read {name} again"
        );
        rejects.push(reject(meter.label, read, "table.too_short", reason).item(which).offset(end as i64));
    }
    let mut found = without_torn(meter.label, found, valid == room, rejects);
    found.retain(|b| b.last >= 0);
    place(&mut found);
    Ok(found)
}

/// The bytes of a block that hold something: all up to the last value of the last interval.
fn block_size(layout: &Layout, n: usize) -> Option<u64> {
    let status = layout.leaf(fields().status[n].path)?;
    let interval = status.axes().get(1)?;
    status.offset.checked_add(interval.count.checked_mul(interval.stride)?)
}

fn set_data(config: ProfileSet, layout: &Layout, n: usize) -> Option<(SetData, u64, crate::layout::Leaf)> {
    let f = fields();
    let leaf = |f: Field| layout.leaf(f.path).copied();
    let (end, simple, status, value) =
        (leaf(f.end_time[n])?, leaf(f.simple_status[n])?, leaf(f.status[n])?, leaf(f.value[n])?);
    let at = |n: u64| usize::try_from(n).ok();
    let simple = at(simple.offset)?..at(simple.offset.checked_add(simple.size)?)?;
    let set = SetData {
        config,
        simple,
        intervals: at(status.offset)?,
        stride: at(status.axes().get(1)?.stride)?,
        values: at(value.offset - status.offset)?,
    };
    Some((set, block_size(layout, n)?, end))
}

/// The highest set bit of simple status, -1 if none; bits beyond the intervals are filler.
fn last_recorded(simple: &[u8], intervals: i64) -> i64 {
    for (i, byte) in simple.iter().enumerate().rev() {
        let first = i as i64 * 8;
        let inside = (intervals - first).clamp(0, 8) as u32;
        let bits = u32::from(*byte) & ((1 << inside) - 1);
        if bits != 0 {
            return first + i64::from(31 - bits.leading_zeros());
        }
    }
    -1
}

/// Leave out the blocks that show that BT63 and the data were not read at the same moment.
///
/// In a full ring the block behind the newest is the oldest. Times that fall once and are older after the fall than all
/// before it are such a ring turned: BT63 is newer than the data (the last blocks are a round old) or older (the first
/// ones are a round new). The fewer are left out: their sequence numbers would be wrong.
fn without_torn<'r, 'a>(
    meter: &str,
    mut blocks: Vec<Block<'r, 'a>>,
    full: bool,
    rejects: &mut Vec<Reject>,
) -> Vec<Block<'r, 'a>> {
    let mut falls = (1..blocks.len()).filter(|i| blocks[*i].end_s < blocks[*i - 1].end_s);
    let (first, second) = (falls.next(), falls.next());
    let (Some(fall), None, true) = (first, second, full) else { return blocks };
    if blocks[blocks.len() - 1].end_s >= blocks[0].end_s {
        return blocks;
    }
    let newer_status = blocks.len() - fall <= fall;
    let after = blocks.split_off(fall);
    let (torn, rest) = if newer_status { (after, blocks) } else { (blocks, after) };
    for b in torn {
        let (place, age) = if newer_status { ("before the oldest", "newer") } else { ("after the newest", "older") };
        let name = b.read.table;
        let reason = format!(
            "the block ends {place} of the others: BT63 is {age} than {name}; read both again, BT63 before and after"
        );
        rejects.push(
            reject(meter, b.read, "profile.torn_read", reason)
                .item(format!("block {}", b.sequence))
                .offset(b.offset as i64)
                .data(b.data),
        );
    }
    rest
}

/// Set the start of every block by the contract's rule.
///
/// A block's end time is the end of the block when it is complete and of the last recorded interval when not; no flag
/// tells which. The start that is on the set's grid of blocks is taken: by the hour and minute of ET21, else by the
/// neighbouring blocks, a block's length apart. Both or neither: the last recorded interval decides.
fn place(blocks: &mut [Block<'_, '_>]) {
    let Some(first) = blocks.first() else { return };
    let config = first.set.config.clone();
    let length = config.block_s();
    let cut_of = |b: &Block<'_, '_>| b.end_s - (b.last + 1) * i64::from(config.interval_s);
    for b in blocks.iter_mut() {
        b.start_s = cut_of(b);
    }
    // The nearest blocks whose last interval was recorded, so that there is no doubt: before, and after.
    let certain: Vec<bool> = blocks.iter().map(|b| b.last == config.intervals - 1).collect();
    let mut before: Option<i64> = None;
    let mut after: Vec<Option<i64>> = vec![None; blocks.len()];
    let mut next = None;
    for i in (0..blocks.len()).rev() {
        after[i] = next;
        if certain[i] {
            next = Some(blocks[i].end_s - length);
        }
    }
    for i in 0..blocks.len() {
        let b = &blocks[i];
        let (whole, cut) = (b.end_s - length, cut_of(b));
        if certain[i] {
            before = Some(whole);
            continue;
        }
        let mut fits = (on_grid(&config, whole), on_grid(&config, cut));
        if fits.0 != Some(true) && fits.0.is_some() || fits == (Some(true), Some(false)) {
            // ET21 decides.
        } else {
            let mut near: Vec<i64> = before.into_iter().chain(after[i]).collect();
            if near.is_empty() {
                for j in [i.checked_sub(1), i.checked_add(1)] {
                    if let Some(b) = j.and_then(|j| blocks.get(j)) {
                        near.extend([b.end_s - length, cut_of(b)]);
                    }
                }
            }
            let on = |start: i64| near.iter().any(|s| (start - s).rem_euclid(length) == 0);
            let by_neighbours = (on(whole), on(cut));
            if fits.0.is_none() || by_neighbours.0 != by_neighbours.1 {
                fits = (Some(by_neighbours.0), Some(by_neighbours.1));
            }
        }
        if fits == (Some(true), Some(false)) {
            blocks[i].start_s = whole;
        }
    }
}

/// Whether a block may start then by ET21 or ET42; blocks that do not divide a day start at several times of it.
fn on_grid(config: &ProfileSet, start_s: i64) -> Option<bool> {
    let start_of_day = config.block_start_s?;
    Some((start_s - start_of_day).rem_euclid(gcd(config.block_s(), DAY_S)) == 0)
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Several reads of a data set: every interval once, the latest read wins, a contradiction is told once per block.
fn merge<'r, 'a>(
    meter: &str,
    versions: Vec<Vec<Block<'r, 'a>>>,
    rejects: &mut Vec<Reject>,
    rows: &mut Rows,
    full: &mut dyn FnMut(RecordBatch),
) {
    let mut by_sequence: BTreeMap<i64, Vec<Block<'r, 'a>>> = BTreeMap::new();
    for block in versions.into_iter().flatten() {
        by_sequence.entry(block.sequence).or_default().push(block);
    }
    // Across the wrap of the 32 bits the larger numbers are the older ones.
    let span = by_sequence.keys().next_back().unwrap_or(&0) - by_sequence.keys().next().unwrap_or(&0);
    let first = if span > SEQUENCES / 2 { SEQUENCES / 2 } else { 0 };
    for (_, blocks) in by_sequence.range(first..).chain(by_sequence.range(..first)) {
        if let [block] = &blocks[..] {
            rows.block(block, full);
            continue;
        }
        let mut union: BTreeMap<u32, usize> = BTreeMap::new();
        let mut told = false;
        for (version, b) in blocks.iter().enumerate() {
            for i in b.recorded() {
                let Some(old) = union.insert(i, version).map(|v| &blocks[v]) else { continue };
                let same = old.end_of(i) == b.end_of(i)
                    && nibbles(old, i) == nibbles(b, i)
                    && old.interval(i).1 == b.interval(i).1
                    && old.set.config.channels == b.set.config.channels;
                if !same && !told {
                    told = true;
                    let reason = format!(
                        "interval {i} differs between two reads, {} and {}; the later one is used",
                        which(old.read),
                        which(b.read)
                    );
                    rejects.push(
                        reject(meter, b.read, "profile.contradiction", reason)
                            .item(format!("block {}", b.sequence))
                            .offset(old.offset as i64)
                            .data(old.data),
                    );
                }
            }
        }
        let mut run: Vec<u32> = Vec::new();
        let mut of: Option<usize> = None;
        for (i, version) in union {
            if of != Some(version) {
                if let Some(of) = of {
                    rows.intervals(&blocks[of], &run, full);
                }
                run.clear();
                of = Some(version);
            }
            run.push(i);
        }
        if let Some(of) = of {
            rows.intervals(&blocks[of], &run, full);
        }
    }
}

/// The common flags and the status of every channel; filler left out.
fn nibbles(b: &Block<'_, '_>, i: u32) -> Vec<u8> {
    let status = b.interval(i).0;
    status.iter().flat_map(|byte| [byte >> 4, byte & 0xF]).take(b.set.config.channels.len() + 1).collect()
}

/// The row before, of every channel, for `delta`.
struct Previous {
    end_s: i64,
    values: Vec<i64>,
    statuses: Vec<u8>,
    config: ProfileSet,
}

/// What is the same for every interval of a data set, as columns of this batch.
struct Tiles {
    set: Rc<SetData>,
    channel: Tile<i8>,
    source: Tile<i32>,
    quantity: Tile<i32>,
    unit: Tile<i32>,
    obis: Tile<i32>,
    multiplier: Tile<i32>,
    scale: Vec<i64>,
}

/// The columns of a whole block that follow from its dimensions alone: they are the same for very many meters.
#[derive(Default)]
struct Template {
    intervals: usize,
    channels: usize,
    interval_s: i32,
    interval: Vec<i32>,
    /// Microseconds from the start of the block to the end of the interval.
    end: Vec<i64>,
}

impl Template {
    fn fit(&mut self, intervals: usize, channels: usize, interval_s: i32) {
        if (self.intervals, self.channels, self.interval_s) != (intervals, channels, interval_s) {
            let each = || (0..intervals).flat_map(|i| std::iter::repeat_n(i, channels));
            let interval = each().map(|i| i as i32).collect();
            let end = each().map(|i| (i as i64 + 1) * i64::from(interval_s) * 1_000_000).collect();
            *self = Self { intervals, channels, interval_s, interval, end };
        }
    }
}

/// The intervals of a run as stretches without a gap: first interval and how many.
fn stretches(run: &[u32]) -> impl Iterator<Item = (usize, usize)> + '_ {
    run.chunk_by(|a, b| a + 1 == *b).map(|stretch| (stretch[0] as usize, stretch.len()))
}

/// Values and nibbles of following intervals, for a number of channels known to the compiler: its loops have no bounds
/// left to check.
fn unpack<const C: usize>(
    data: &[u8],
    set: &SetData,
    scale: &[i64],
    values: &mut [i64],
    status: &mut [i8],
    flags: &mut [i8],
) {
    let Some(scale) = scale.first_chunk::<C>() else { return };
    let out =
        values.as_chunks_mut::<C>().0.iter_mut().zip(status.as_chunks_mut::<C>().0).zip(flags.as_chunks_mut::<C>().0);
    for (interval, ((values, status), flags)) in data.chunks_exact(set.stride).zip(out) {
        let (nibbles, raw) = interval.split_at(set.values);
        let raw = raw.as_chunks::<4>().0;
        let Some(raw) = raw.first_chunk::<C>() else { return };
        for c in 0..C {
            values[c] = i64::from(i32::from_le_bytes(raw[c])) * scale[c];
        }
        let Some(nibbles) = nibbles.get(..C / 2 + 1) else { return };
        for c in 0..C {
            let byte = nibbles[c.div_ceil(2)];
            status[c] = (if c % 2 == 0 { byte & 0xF } else { byte >> 4 }) as i8;
        }
        flags.fill((nibbles[0] >> 4) as i8);
    }
}

type Unpack = fn(&[u8], &SetData, &[i64], &mut [i64], &mut [i8], &mut [i8]);

/// `unpack` for every number of channels.
const UNPACK: [Unpack; MAX_CHANNELS + 1] = [
    unpack::<0>,
    unpack::<1>,
    unpack::<2>,
    unpack::<3>,
    unpack::<4>,
    unpack::<5>,
    unpack::<6>,
    unpack::<7>,
    unpack::<8>,
    unpack::<9>,
    unpack::<10>,
    unpack::<11>,
    unpack::<12>,
    unpack::<13>,
    unpack::<14>,
    unpack::<15>,
    unpack::<16>,
];

/// A column of the wide shape. Most meters have few channels: the columns of the others are made of nulls that they share,
/// and have no bytes of their own until a meter needs them.
enum WideColumn<T> {
    Nulls,
    Values(Nullable<T>),
}

impl<T: ArrowNativeType> WideColumn<T> {
    fn fill(&mut self, before: usize, n: usize, fill: impl FnOnce(&mut [T])) {
        if let Self::Nulls = self {
            let mut values = Nullable::new();
            values.reserve(before.max(BATCH_ROWS) + n);
            values.repeat(None, before);
            *self = Self::Values(values);
        }
        if let Self::Values(values) = self {
            values.fill(n, fill);
        }
    }

    fn nulls(&mut self, n: usize) {
        if let Self::Values(values) = self {
            values.repeat(None, n);
        }
    }

    fn finish<P: ArrowPrimitiveType<Native = T>>(&mut self, shared: &PrimitiveArray<P>) -> ArrayRef {
        match std::mem::replace(self, Self::Nulls) {
            Self::Nulls => Arc::new(shared.clone()),
            Self::Values(mut values) => Arc::new(values.finish::<P>()),
        }
    }
}

/// The columns of the load profile.
pub(super) struct Rows {
    schema: SchemaRef,
    shape: Shape,
    label: String,
    label_key: Option<i32>,
    words: [Words; 4],
    tiles: Option<Tiles>,
    run: Vec<u32>,
    meter: Vec<i32>,
    data_set: Vec<i8>,
    block: Vec<i64>,
    interval: Vec<i32>,
    interval_end: Vec<i64>,
    interval_s: Vec<i32>,
    channel: Vec<i8>,
    source: Nullable<i32>,
    quantity: Nullable<i32>,
    unit: Nullable<i32>,
    obis: Nullable<i32>,
    value: Vec<i64>,
    multiplier: Nullable<i32>,
    status: Vec<i8>,
    flags: Vec<i8>,
    delta: Option<Nullable<i64>>,
    wide_values: Vec<WideColumn<i64>>,
    wide_statuses: Vec<WideColumn<i8>>,
    template: Template,
    read_at: Nullable<i64>,
    previous: Option<Previous>,
}

impl Rows {
    pub(super) fn new(options: &Options) -> Self {
        let wide = if options.shape == Shape::Wide { MAX_CHANNELS } else { 0 };
        Self {
            schema: schema(Kind::LoadProfile, options),
            shape: options.shape,
            label: String::new(),
            label_key: None,
            words: std::array::from_fn(|_| Words::new()),
            tiles: None,
            run: Vec::new(),
            meter: Vec::new(),
            data_set: Vec::new(),
            block: Vec::new(),
            interval: Vec::new(),
            interval_end: Vec::new(),
            interval_s: Vec::new(),
            channel: Vec::new(),
            source: Nullable::new(),
            quantity: Nullable::new(),
            unit: Nullable::new(),
            obis: Nullable::new(),
            value: Vec::new(),
            multiplier: Nullable::new(),
            status: Vec::new(),
            flags: Vec::new(),
            delta: (options.delta && options.shape == Shape::Long).then(Nullable::new),
            wide_values: (0..wide).map(|_| WideColumn::Nulls).collect(),
            wide_statuses: (0..wide).map(|_| WideColumn::Nulls).collect(),
            template: Template::default(),
            read_at: Nullable::new(),
            previous: None,
        }
    }

    /// The next data set of a meter begins.
    fn start(&mut self, label: &str) {
        if self.label != label {
            self.label = label.to_owned();
            self.label_key = None;
        }
        self.previous = None;
    }

    /// Add all recorded intervals of a block.
    fn block(&mut self, b: &Block<'_, '_>, full: &mut dyn FnMut(RecordBatch)) {
        let mut run = std::mem::take(&mut self.run);
        run.clear();
        run.extend(b.recorded());
        self.intervals(b, &run, full);
        self.run = run;
    }

    /// Add some intervals of a block.
    fn intervals(&mut self, b: &Block<'_, '_>, run: &[u32], full: &mut dyn FnMut(RecordBatch)) {
        let meter = *self.label_key.get_or_insert_with(|| self.words[0].key(&self.label));
        if !self.tiles.as_ref().is_some_and(|t| Rc::ptr_eq(&t.set, &b.set)) {
            self.tiles = Some(Tiles::new(&b.set, &mut self.words));
        }
        match self.shape {
            Shape::Long => self.long(b, run, meter),
            Shape::Wide => self.wide(b, run, meter),
        }
        if self.meter.len() >= BATCH_ROWS {
            self.take().into_iter().for_each(full);
        }
    }

    fn long(&mut self, b: &Block<'_, '_>, run: &[u32], meter: i32) {
        let config = &b.set.config;
        let channels = config.channels.len();
        let rows = run.len() * channels;
        let before = self.meter.len();
        let len = before + rows;
        self.reserve(rows);
        let Some(tiles) = &self.tiles else { return };
        self.meter.resize(len, meter);
        self.data_set.resize(len, config.number);
        self.block.resize(len, b.sequence);
        self.interval_s.resize(len, config.interval_s);
        tiles.channel.append(&mut self.channel, rows);
        self.source.tile(&tiles.source, rows);
        self.quantity.tile(&tiles.quantity, rows);
        self.unit.tile(&tiles.unit, rows);
        self.obis.tile(&tiles.obis, rows);
        self.multiplier.tile(&tiles.multiplier, rows);
        self.read_at.repeat(b.read.read_at, rows);
        self.template.fit(config.intervals as usize, channels, config.interval_s);
        let start = b.start_s * 1_000_000;
        let (mut status, mut flags) = (std::mem::take(&mut self.status), std::mem::take(&mut self.flags));
        for (i, n) in stretches(run) {
            let (rows, cells) = (n * channels, i * channels..(i + n) * channels);
            self.interval.extend_from_slice(&self.template.interval[cells.clone()]);
            self.interval_end.extend(self.template.end[cells].iter().map(|end| start + end));
            let at = b.set.intervals + i * b.set.stride;
            let data = &b.data[at..at + n * b.set.stride];
            grow(&mut self.value, rows, |values| {
                grow(&mut status, rows, |status| {
                    grow(&mut flags, rows, |flags| {
                        UNPACK[channels](data, &b.set, &tiles.scale, values, status, flags);
                    });
                });
            });
        }
        (self.status, self.flags) = (status, flags);
        if self.delta.is_some() {
            self.deltas(b, run, before);
        }
    }

    fn wide(&mut self, b: &Block<'_, '_>, run: &[u32], meter: i32) {
        let Some(tiles) = &self.tiles else { return };
        let config = &b.set.config;
        let channels = config.channels.len();
        let (before, rows) = (self.meter.len(), run.len());
        if before == 0 {
            let more = BATCH_ROWS + rows;
            [&mut self.meter, &mut self.interval, &mut self.interval_s].into_iter().for_each(|c| c.reserve(more));
            [&mut self.block, &mut self.interval_end].into_iter().for_each(|c| c.reserve(more));
            [&mut self.data_set, &mut self.flags].into_iter().for_each(|c| c.reserve(more));
            self.read_at.reserve(more);
        }
        let len = before + rows;
        self.meter.resize(len, meter);
        self.data_set.resize(len, config.number);
        self.block.resize(len, b.sequence);
        self.interval_s.resize(len, config.interval_s);
        self.read_at.repeat(b.read.read_at, rows);
        let (first, step) = (b.start_s * 1_000_000, i64::from(config.interval_s) * 1_000_000);
        let (stride, values) = (b.set.stride, b.set.values);
        let mut done = before;
        for (i, n) in stretches(run) {
            self.interval.extend(i as i32..(i + n) as i32);
            self.interval_end.extend((i..i + n).map(|i| first + (i as i64 + 1) * step));
            let at = b.set.intervals + i * stride;
            let data = &b.data[at..at + n * stride];
            self.flags.extend(data.chunks_exact(stride).map(|interval| (interval[0] >> 4) as i8));
            for c in 0..channels {
                let (scale, at) = (tiles.scale[c], values + 4 * c);
                self.wide_values[c].fill(done, n, |column| {
                    for (to, interval) in column.iter_mut().zip(data.chunks_exact(stride)) {
                        *to = value(&interval[at..]) * scale;
                    }
                });
                let (at, shift) = (c.div_ceil(2), if c % 2 == 0 { 0 } else { 4 });
                self.wide_statuses[c].fill(done, n, |column| {
                    for (to, interval) in column.iter_mut().zip(data.chunks_exact(stride)) {
                        *to = (interval[at] >> shift & 0xF) as i8;
                    }
                });
            }
            done += n;
        }
        for c in channels..MAX_CHANNELS {
            self.wide_values[c].nulls(rows);
            self.wide_statuses[c].nulls(rows);
        }
    }

    /// Room for the rows of a block in one go.
    fn reserve(&mut self, rows: usize) {
        // A batch is taken at the first block that fills it, so that columns grow to the same size again and again.
        let more = rows.max(if self.meter.is_empty() { BATCH_ROWS + rows } else { 0 });
        for column in [&mut self.meter, &mut self.interval, &mut self.interval_s] {
            column.reserve(more);
        }
        for column in [&mut self.block, &mut self.interval_end, &mut self.value] {
            column.reserve(more);
        }
        for column in [&mut self.data_set, &mut self.channel, &mut self.status, &mut self.flags] {
            column.reserve(more);
        }
        for column in [&mut self.source, &mut self.quantity, &mut self.unit, &mut self.obis, &mut self.multiplier] {
            column.reserve(more);
        }
        self.read_at.reserve(more);
    }

    fn deltas(&mut self, b: &Block<'_, '_>, run: &[u32], mut row: usize) {
        let Some(delta) = &mut self.delta else { return };
        let config = &b.set.config;
        let channels = config.channels.len();
        for i in run {
            let values = &self.value[row..row + channels];
            let statuses: Vec<u8> = self.status[row..row + channels].iter().map(|s| *s as u8).collect();
            let end_s = b.end_of(*i);
            let clock_set = self.flags[row] as u8 & CLOCK_SET != 0;
            let before = self.previous.as_ref().filter(|p| {
                p.end_s + i64::from(config.interval_s) == end_s
                    && !clock_set
                    && p.config.channels == config.channels
                    && p.config.multiplier == config.multiplier
            });
            for c in 0..channels {
                delta.push(before.and_then(|p| {
                    let source = &config.channels[c];
                    let spoiled = (SPOILS_VALUE | SPOILS_INTERVAL) >> statuses[c] & 1 == 1
                        || SPOILS_VALUE >> p.statuses[c] & 1 == 1;
                    if spoiled || !source.cumulative { None } else { growth(config, source, p.values[c], values[c]) }
                }));
            }
            match &mut self.previous {
                Some(p) if p.config == *config => {
                    p.end_s = end_s;
                    p.values.copy_from_slice(values);
                    p.statuses = statuses;
                }
                previous => {
                    *previous = Some(Previous { end_s, values: values.to_vec(), statuses, config: config.clone() });
                }
            }
            row += channels;
        }
    }

    pub(super) fn take(&mut self) -> Option<RecordBatch> {
        if self.meter.is_empty() {
            return None;
        }
        let rows = self.meter.len();
        self.label_key = None;
        self.tiles = None;
        let [meter, quantity, unit, obis] = &mut self.words;
        let mut columns: Vec<ArrayRef> = vec![
            meter.finish(full::<Int32Type>(&mut self.meter)),
            Arc::new(full::<Int8Type>(&mut self.data_set)),
            Arc::new(full::<Int64Type>(&mut self.block)),
            Arc::new(full::<Int32Type>(&mut self.interval)),
            Arc::new(full::<TimestampMicrosecondType>(&mut self.interval_end).with_timezone("UTC")),
            Arc::new(full::<Int32Type>(&mut self.interval_s)),
        ];
        if self.shape == Shape::Wide {
            // The words of the long shape's columns are not used.
            [quantity, unit, obis].into_iter().for_each(|w| *w = Words::new());
            let (values, statuses) = (PrimitiveArray::new_null(rows), PrimitiveArray::new_null(rows));
            columns.extend(self.wide_values.iter_mut().map(|c| c.finish::<Int64Type>(&values)));
            columns.extend(self.wide_statuses.iter_mut().map(|c| c.finish::<Int8Type>(&statuses)));
            columns.push(Arc::new(full::<Int8Type>(&mut self.flags)));
        } else {
            columns.extend([
                Arc::new(full::<Int8Type>(&mut self.channel)) as ArrayRef,
                Arc::new(self.source.finish::<Int32Type>()),
                quantity.finish(self.quantity.finish()),
                unit.finish(self.unit.finish()),
                obis.finish(self.obis.finish()),
                Arc::new(full::<Int64Type>(&mut self.value)),
                Arc::new(self.multiplier.finish::<Int32Type>()),
                Arc::new(full::<Int8Type>(&mut self.status)),
                Arc::new(full::<Int8Type>(&mut self.flags)),
            ]);
            if let Some(delta) = &mut self.delta {
                columns.push(Arc::new(delta.finish::<Int64Type>()));
            }
        }
        columns.push(Arc::new(self.read_at.finish::<TimestampMicrosecondType>().with_timezone("UTC")));
        Some(batch(self.schema.clone(), columns))
    }
}

impl Tiles {
    fn new(set: &Rc<SetData>, words: &mut [Words; 4]) -> Self {
        let channels = &set.config.channels;
        let [_, quantity, unit, obis] = words;
        let keys = |words: &mut Words, word: fn(&Source) -> Option<&'static str>| {
            Tile::new(channels.iter().map(|s| word(s).map(|w| words.key(w))).collect::<Vec<_>>())
        };
        Self {
            set: set.clone(),
            channel: Tile::new((0..channels.len()).map(|c| Some(c as i8))),
            source: Tile::new(channels.iter().map(|s| s.id)),
            quantity: keys(quantity, |s| s.quantity),
            unit: keys(unit, |s| s.unit),
            obis: keys(obis, |s| s.obis),
            multiplier: Tile::new(channels.iter().map(|s| set.config.multiplier.filter(|_| s.energy))),
            scale: channels
                .iter()
                .map(|s| i64::from(set.config.multiplier.filter(|_| s.energy).unwrap_or(1)))
                .collect(),
        }
    }
}

fn value(raw: &[u8]) -> i64 {
    raw.first_chunk().map_or(0, |raw| i64::from(i32::from_le_bytes(*raw)))
}

fn growth(config: &ProfileSet, source: &Source, before: i64, now: i64) -> Option<i64> {
    let growth = now - before;
    if growth >= 0 || source.id == Some(NET) {
        return Some(growth);
    }
    // ET42 counts the digits in Wh (MEP guide p. 119). A fall of more than half the range is a rollover, else a reset.
    let range = 10_i64.pow(config.rollover_digits.filter(|_| source.energy)?);
    Some(growth + range).filter(|g| (0..range / 2).contains(g))
}
