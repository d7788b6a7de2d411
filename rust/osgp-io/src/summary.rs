//! What a run did, for people: rows, meters, time span, channels, rejects by code.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int32Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use osgp::records::{Counts, Kind, MAX_ASSUMED, Options, Shape};
use osgp::reject::Reject;

/// More kinds of channel than this are not listed.
const MAX_CHANNELS: usize = 1024;

/// A kind of channel: data set, channel, source, quantity, unit.
pub type Channel = (i8, i8, Option<i32>, Option<String>, Option<String>);

/// What a run, or a part of it, did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows by kind.
    pub rows: BTreeMap<&'static str, u64>,
    /// Meters seen.
    pub meters: u64,
    /// Bytes of table images decoded.
    pub bytes: u64,
    /// First and last time by kind, microseconds UTC.
    pub spans: BTreeMap<&'static str, (i64, i64)>,
    /// Rows by kind of channel.
    pub channels: BTreeMap<Channel, u64>,
    /// Rejects by code.
    pub rejects: BTreeMap<&'static str, u64>,
    /// Tables that nothing is decoded from.
    pub tables_without_decoder: u64,
    /// Meters decoded with the guides' defaults.
    pub assumed: Vec<String>,
    /// Files that are no tables.
    pub notes: u64,
    /// Bytes between packets.
    pub noise_bytes: u64,
    /// Packets that came again.
    pub repeated_packets: u64,
    /// MEP messages for which no key was given.
    pub mep_messages: u64,
    long: bool,
}

impl Tally {
    pub(crate) fn new(kinds: &[Kind], options: &Options) -> Self {
        let rows = kinds.iter().map(|kind| (kind.name(), 0)).collect();
        Self { rows, long: options.shape == Shape::Long, ..Self::default() }
    }

    pub(crate) fn rejects(&mut self, rejects: &[Reject]) {
        for reject in rejects {
            *self.rejects.entry(reject.code).or_insert(0) += 1;
        }
    }

    pub(crate) fn counts(&mut self, counts: Counts) {
        self.tables_without_decoder += counts.tables_without_decoder;
        self.assume(counts.assumed);
    }

    fn assume(&mut self, meters: Vec<String>) {
        let room = MAX_ASSUMED.saturating_sub(self.assumed.len());
        self.assumed.extend(meters.into_iter().take(room));
    }

    pub(crate) fn batch(&mut self, kind: Kind, batch: &RecordBatch) {
        *self.rows.entry(kind.name()).or_insert(0) += batch.num_rows() as u64;
        let time = match kind {
            Kind::LoadProfile => "interval_end",
            Kind::Events => "time",
            _ => return,
        };
        if let Some(times) = batch.column_by_name(time).and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>()) {
            let (mut low, mut high) = (i64::MAX, i64::MIN);
            if times.null_count() == 0 {
                for &time in times.values() {
                    (low, high) = (low.min(time), high.max(time));
                }
            } else {
                for time in times.iter().flatten() {
                    (low, high) = (low.min(time), high.max(time));
                }
            }
            if low <= high {
                self.span(kind.name(), (low, high));
            }
        }
        if kind == Kind::LoadProfile && self.long {
            // Columns that are not as expected only cost the list of channels.
            let _ = self.channels(batch);
        }
    }

    fn span(&mut self, kind: &'static str, (low, high): (i64, i64)) {
        let span = self.spans.entry(kind).or_insert((low, high));
        *span = (span.0.min(low), span.1.max(high));
    }

    fn channels(&mut self, batch: &RecordBatch) -> Option<()> {
        let column = |name: &str| batch.column_by_name(name);
        let sets = column("data_set")?.as_primitive_opt::<Int8Type>()?;
        let channels = column("channel")?.as_primitive_opt::<Int8Type>()?;
        let sources = column("source")?.as_primitive_opt::<Int32Type>()?;
        let words = |name: &str| {
            let array = column(name)?.as_dictionary_opt::<Int32Type>()?;
            Some((array.keys(), array.values().as_string_opt::<i32>()?))
        };
        let ((quantities, quantity_words), (units, unit_words)) = (words("quantity")?, words("unit")?);
        // Rows come channel by channel, over and over the same: a slot per channel remembers the last one seen.
        type Key = (i8, i8, Option<i32>, Option<i32>, Option<i32>);
        let mut slots: [Option<(Key, u64)>; 64] = [None; 64];
        let text = |key: Option<i32>, words: &arrow_array::StringArray| {
            key.and_then(|k| usize::try_from(k).ok())
                .filter(|&k| k < words.len() && words.is_valid(k))
                .map(|k| words.value(k).to_owned())
        };
        let put = |(set, channel, source, quantity, unit): Key, count: u64, all: &mut BTreeMap<Channel, u64>| {
            let key = (set, channel, source, text(quantity, quantity_words), text(unit, unit_words));
            let full = all.len() >= MAX_CHANNELS;
            match all.get_mut(&key) {
                Some(rows) => *rows += count,
                None if full => {}
                None => {
                    all.insert(key, count);
                }
            }
        };
        // Nearly all rows repeat those of the interval before; how far they do is found a cache line at a time.
        let plain = [sources.null_count(), quantities.null_count(), units.null_count()] == [0; 3];
        let period = (1..batch.num_rows().min(17)).find(|i| channels.value(*i) == channels.value(0));
        let mut row = 0;
        while row < batch.num_rows() {
            if let Some(period) = period.filter(|p| plain && row >= *p && row % *p == 0) {
                let same = repeats(sets.values(), row, period)
                    .min(repeats(channels.values(), row, period))
                    .min(repeats(sources.values(), row, period))
                    .min(repeats(quantities.values(), row, period))
                    .min(repeats(units.values(), row, period));
                let intervals = same / period;
                for before in row - period..row {
                    let place = (sets.value(before) as usize & 3) << 4 | channels.value(before) as usize & 15;
                    if let Some((_, count)) = &mut slots[place] {
                        *count += intervals as u64;
                    }
                }
                row += intervals * period;
                if row >= batch.num_rows() {
                    break;
                }
            }
            let (set, channel) = (sets.value(row), channels.value(row));
            let key: Key = (
                set,
                channel,
                sources.is_valid(row).then(|| sources.value(row)),
                quantities.is_valid(row).then(|| quantities.value(row)),
                units.is_valid(row).then(|| units.value(row)),
            );
            let slot = &mut slots[(set as usize & 3) << 4 | channel as usize & 15];
            match slot {
                Some((seen, count)) if *seen == key => *count += 1,
                _ => {
                    if let Some((key, count)) = slot.replace((key, 1)) {
                        put(key, count, &mut self.channels);
                    }
                }
            }
            row += 1;
        }
        for (key, count) in slots.into_iter().flatten() {
            put(key, count, &mut self.channels);
        }
        Some(())
    }

    /// Add another part.
    pub fn add(&mut self, other: Self) {
        for (kind, rows) in other.rows {
            *self.rows.entry(kind).or_insert(0) += rows;
        }
        for (code, count) in other.rejects {
            *self.rejects.entry(code).or_insert(0) += count;
        }
        for (kind, span) in other.spans {
            self.span(kind, span);
        }
        for (channel, rows) in other.channels {
            if self.channels.len() < MAX_CHANNELS || self.channels.contains_key(&channel) {
                *self.channels.entry(channel).or_insert(0) += rows;
            }
        }
        self.meters += other.meters;
        self.bytes += other.bytes;
        self.tables_without_decoder += other.tables_without_decoder;
        self.assume(other.assumed);
        self.notes += other.notes;
        self.noise_bytes += other.noise_bytes;
        self.repeated_packets += other.repeated_packets;
        self.mep_messages += other.mep_messages;
    }
}

/// For how many rows from `row` on a column is what it was `period` rows before.
fn repeats<T: PartialEq>(column: &[T], row: usize, period: usize) -> usize {
    const STEP: usize = 512;
    let (now, before) = (&column[row..], &column[row - period..column.len() - period]);
    let steps = now.chunks(STEP).zip(before.chunks(STEP)).take_while(|(a, b)| a == b).count();
    let done = (steps * STEP).min(now.len());
    done + now[done..].iter().zip(&before[done..]).take_while(|(a, b)| a == b).count()
}
