//! Records: from the table images of one meter to Arrow batches of every kind. One file per kind.

mod alarms;
mod channels;
mod events;
mod load_profile;
mod mbus;
mod measurements;
mod meter;
mod meters;
mod profile_set;
mod register_dims;
mod registers;
mod telegram;

use arrow_array::RecordBatch;

use crate::catalog::{Catalog, TableIx};
pub use crate::columns::{Kind, Options, Shape};
use crate::image::{TableId, TableImage};
use crate::reject::Reject;
use meter::Meter;

/// About so many rows a batch has: small enough to stay in the cache, large enough to cost nothing.
pub const BATCH_ROWS: usize = 65_536;

/// The tables that a kind needs; rejects are limited to them.
fn needs(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::LoadProfile => &load_profile::NEEDS,
        Kind::Events => &events::NEEDS,
        Kind::Meters => &meters::NEEDS,
        Kind::Channels => &channels::NEEDS,
        Kind::Registers => &registers::NEEDS,
        Kind::Measurements => &measurements::NEEDS,
        Kind::Alarms => &alarms::NEEDS,
        Kind::Mbus => &mbus::NEEDS,
    }
}

/// Whether any of these kinds is decoded from that table: only such tables give rejects.
pub fn is_needed(kinds: &[Kind], table: TableId) -> bool {
    let catalog = Catalog::get();
    catalog.number(table).is_some_and(|ix| {
        let id = catalog.table(ix).id.as_str();
        kinds.iter().any(|kind| needs(*kind).contains(&id))
    })
}

/// More meters than this are not named in [`Counts::assumed`].
pub const MAX_ASSUMED: usize = 1000;

/// What is no reject, only counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Images of tables that nothing here reads.
    pub tables_without_decoder: u64,
    /// Meters decoded with the guides' defaults, the first [`MAX_ASSUMED`].
    pub assumed: Vec<String>,
}

/// Decodes one meter after the other; rows of following meters share batches.
pub struct Decoder {
    kinds: Vec<Kind>,
    needed: Vec<TableIx>,
    profile: load_profile::Rows,
    events: events::Rows,
    meters: meters::Rows,
    channels: channels::Rows,
    registers: registers::Rows,
    measurements: measurements::Rows,
    alarms: alarms::Rows,
    mbus: mbus::Rows,
    rejects: Vec<Reject>,
    counts: Counts,
}

impl Decoder {
    /// A decoder of these kinds.
    pub fn new(kinds: &[Kind], options: &Options) -> Self {
        let catalog = Catalog::get();
        let mut needed: Vec<TableIx> = kinds.iter().flat_map(|k| needs(*k)).filter_map(|id| catalog.id(id)).collect();
        needed.sort_unstable_by_key(|ix| ix.0);
        needed.dedup();
        Self {
            kinds: kinds.to_vec(),
            needed,
            profile: load_profile::Rows::new(options),
            events: events::Rows::new(options),
            meters: meters::Rows::new(options),
            channels: channels::Rows::new(options),
            registers: registers::Rows::new(options),
            measurements: measurements::Rows::new(options),
            alarms: alarms::Rows::new(options),
            mbus: mbus::Rows::new(options),
            rejects: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Decode all images of one meter, in their order of appearance. Full batches are handed to `emit`.
    pub fn meter(&mut self, label: &str, images: &[TableImage<'_>], emit: &mut dyn FnMut(Kind, RecordBatch)) {
        let catalog = Catalog::get();
        self.counts.tables_without_decoder +=
            images.iter().filter(|i| catalog.number(i.table).is_none()).count() as u64;
        let meter = Meter::new(label, images, &self.needed, &mut self.rejects);
        for kind in &self.kinds {
            let mut full = |batch| emit(*kind, batch);
            match kind {
                Kind::LoadProfile => load_profile::decode(&meter, &mut self.profile, &mut self.rejects, &mut full),
                Kind::Events => events::decode(&meter, &mut self.events, &mut self.rejects, &mut full),
                Kind::Meters => meters::decode(&meter, &mut self.meters, &mut full),
                Kind::Channels => channels::decode(&meter, &mut self.channels, &mut full),
                Kind::Registers => registers::decode(&meter, &mut self.registers, &mut self.rejects, &mut full),
                Kind::Measurements => {
                    measurements::decode(&meter, &mut self.measurements, &mut self.rejects, &mut full)
                }
                Kind::Alarms => alarms::decode(&meter, &mut self.alarms, &mut self.rejects, &mut full),
                Kind::Mbus => mbus::decode(&meter, &mut self.mbus, &mut self.rejects, &mut full),
            }
        }
        if meter.assumed.get() && self.counts.assumed.len() < MAX_ASSUMED {
            self.counts.assumed.push(label.to_owned());
        }
    }

    /// Hand out what is left.
    pub fn finish(&mut self, emit: &mut dyn FnMut(Kind, RecordBatch)) {
        for kind in &self.kinds {
            let rest = match kind {
                Kind::LoadProfile => self.profile.take(),
                Kind::Events => self.events.take(),
                Kind::Meters => self.meters.take(),
                Kind::Channels => self.channels.take(),
                Kind::Registers => self.registers.take(),
                Kind::Measurements => self.measurements.take(),
                Kind::Alarms => self.alarms.take(),
                Kind::Mbus => self.mbus.take(),
            };
            if let Some(batch) = rest {
                emit(*kind, batch);
            }
        }
    }

    /// The rejects since the last call.
    pub fn take_rejects(&mut self) -> Vec<Reject> {
        std::mem::take(&mut self.rejects)
    }

    /// The counts since the last call.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }
}

/// A leaf of a resolved table, with names: for people, and to compare the resolvers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedLeaf {
    /// The dotted path.
    pub path: String,
    /// The elements of packed arrays that it stands in.
    pub packed: Vec<u16>,
    /// Where element 0 of every axis starts.
    pub offset: u64,
    /// Its bytes.
    pub size: u64,
    /// Count and stride of the arrays around it, outermost first.
    pub axes: Vec<(u64, u64)>,
}

/// The layout of a table of one meter, from the images of it and of the tables that size it.
///
/// The error is the id of the table that was not captured, or not far enough.
pub fn layout(images: &[TableImage<'_>], table: TableId) -> Result<Vec<NamedLeaf>, String> {
    let catalog = Catalog::get();
    let ix = catalog.number(table).ok_or_else(|| table.to_string())?;
    let all: Vec<TableIx> = (0..catalog.tables.len()).map(|i| TableIx(i as u16)).collect();
    let mut rejects = Vec::new();
    let meter = Meter::new("", images, &all, &mut rejects);
    let found = meter.view(None).layout(ix).map_err(|missing| catalog.table(missing.0).id.clone())?;
    let paths = &catalog.table(ix).paths;
    let named = found.leaves.iter().map(|leaf| NamedLeaf {
        path: paths[usize::from(leaf.path.0)].clone(),
        packed: leaf.packed().to_vec(),
        offset: leaf.offset,
        size: leaf.size,
        axes: leaf.axes().iter().map(|a| (a.count, a.stride)).collect(),
    });
    Ok(named.collect())
}

/// Decode one meter at once: its batches and rejects.
pub fn decode_meter(
    label: &str,
    images: &[TableImage<'_>],
    kinds: &[Kind],
    options: &Options,
) -> (Vec<(Kind, RecordBatch)>, Vec<Reject>) {
    let mut decoder = Decoder::new(kinds, options);
    let mut batches = Vec::new();
    let mut emit = |kind, batch| batches.push((kind, batch));
    decoder.meter(label, images, &mut emit);
    decoder.finish(&mut emit);
    (batches, decoder.take_rejects())
}
