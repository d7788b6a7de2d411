//! Registers: BT23 and its copies BT26, BT24 and BT25 become one row per register, and per occurrence of a demand.
//!
//! A register whose bytes are cut is a reject, and its neighbours go on; of BT26 a whole entry. BT21 gives the dimensions and
//! BT22 the sources. Source: MEP guide, BT21 to BT26, pp. 200-214; Optical guide pp. 19-29; the errata of the catalogue.
//!
//! What a record is made of follows from its dimension tables and is the same for very many reads: it is worked out once, as
//! a [`Plan`], and its columns are appended for stretches of records at a time.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use arrow_array::types::{Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;

use super::meter::{Field, Meter, Source, View, field, missing, reject, table};
use super::profile_set::register_unit;
use super::register_dims::{Basis, Cache, Dim, Dims, dimensions, firmware};
use super::{BATCH_ROWS, Kind, Options};
use crate::catalog::{Catalog, TableIx};
use crate::columns::{Nulls, Stretches, Tile, Words, batch, full, schema};
use crate::image::{Part, Read};
use crate::layout::{Layout, Leaf, Missing};
use crate::reject::Reject;
use crate::values;

pub(super) const NEEDS: [&str; 11] =
    ["BT01", "BT20", "BT21", "BT22", "BT23", "BT24", "BT25", "BT26", "ET42", "ET54", "ET55"];
/// BT26's header, and the time and season that begin BT24 and BT25.
const HEADER: usize = 6;
/// A full read counts its bytes in 16 bits; a larger record is none of a meter. Tiers are at most 8, and numbered in an int8.
const MAX_RECORD: u64 = 0xFFFF;
const MAX_TIERS: i64 = 128;
/// Firmware 2.0 counts the duration of power outages in minutes (Optical guide p. 25).
const MINUTES: i64 = 2 << 7;
const POWER_OFF: i32 = 4;
const LISTED: i64 = 19;

struct Fields {
    tables: [Record; 4],
    bt22: TableIx,
    summation: Field,
    demand: Field,
    maximum: Field,
    coincident: Field,
    of_demand: Field,
    dimensions: [TableIx; 3],
    units: [TableIx; 4],
}

/// A table that is a record of registers, or a ring of them.
struct Record {
    table: TableIx,
    snapshot: &'static str,
    ring: bool,
    bidn: Option<Field>,
    time: Option<Field>,
    season: Option<Field>,
    resets: Field,
    blocks: [Block; 2],
}

/// The total block, or the tiers.
struct Block {
    summation: Field,
    time: Field,
    cumulative: Field,
    continuous: Field,
    demand: Field,
    coincident: Field,
}

fn fields() -> &'static Fields {
    static FIELDS: OnceLock<Fields> = OnceLock::new();
    FIELDS.get_or_init(|| {
        let record = |id: &str, snapshot, prefix: &str, stamped: bool| {
            let ix = table(id);
            let ring = !prefix.is_empty();
            let of = |path: &str| field(ix, &format!("{prefix}{path}"));
            let block = |inner: &str| {
                let of = |path: &str| field(ix, &format!("{prefix}{inner}{path}"));
                Block {
                    summation: of("summation.value"),
                    time: of("demand.event_time.time"),
                    cumulative: of("demand.cumulative"),
                    continuous: of("demand.continuous_cumulative"),
                    demand: of("demand.measurement.value"),
                    coincident: of("coincident.measurement.value"),
                }
            };
            Record {
                table: ix,
                snapshot,
                ring,
                bidn: ring.then(|| of("bidn")),
                time: stamped.then(|| of("time")),
                season: stamped.then(|| of("season")),
                resets: of("demand_resets"),
                blocks: [block(""), block("tier.")],
            }
        };
        let bt22 = table("BT22");
        Fields {
            tables: [
                record("BT23", "current", "", false),
                record("BT26", "self_read", "entry.", true),
                record("BT24", "previous_season", "", true),
                record("BT25", "previous_demand_reset", "", true),
            ],
            bt22,
            summation: field(bt22, "summation.source"),
            demand: field(bt22, "demand.source"),
            maximum: field(bt22, "maximum"),
            coincident: field(bt22, "coincident.source"),
            of_demand: field(bt22, "coincident_demand.demand"),
            dimensions: ["BT20", "BT21", "BT22"].map(table),
            units: ["BT20", "ET42", "ET54", "ET55"].map(table),
        }
    })
}

const KINDS: [&str; 3] = ["summation", "demand", "coincident"];
const SUMMATION: u8 = 0;
const DEMAND: u8 = 1;
const COINCIDENT: u8 = 2;

/// One row of a record: what it is, and where its bytes stand from the start of the record.
struct Register {
    tier: Option<i8>,
    kind: u8,
    index: i16,
    at: usize,
    source: Source,
    multiplier: Option<i32>,
    occurrence: Option<i16>,
    time_at: Option<usize>,
    cumulative_at: Option<usize>,
    continuous_at: Option<usize>,
    of_demand: Option<i16>,
    min_max: Option<&'static str>,
}

/// Bytes that are there or not: a summation, a demand record, a coincident value; and its rows.
struct Item {
    at: usize,
    size: usize,
    rows: std::ops::Range<usize>,
}

/// The record of a table. Offsets are from the start of the table, or of an entry of BT26.
struct Plan {
    dims: Dims,
    /// Whether anything of it is a default of the guides.
    assumed: bool,
    size: usize,
    bidn_at: Option<usize>,
    time_at: Option<usize>,
    season_at: usize,
    resets_at: Option<usize>,
    registers: Vec<Register>,
    items: Vec<Item>,
    /// Rows whose values follow each other without a gap: where the first value stands, and how many there are.
    runs: Vec<(usize, usize)>,
    /// What each value is multiplied with.
    scale: Vec<i64>,
    /// Whether any of them is not 1.
    scaled: bool,
    /// Whether demands have times or cumulative values.
    has_parts: bool,
    /// The columns that are the same for every record, with the words of one batch.
    tiles: RefCell<Option<(u64, Rc<Tiles>)>>,
}

/// A record that is no meter's: its size and its tiers.
struct TooLarge {
    size: u64,
    tiers: i64,
}

/// What all rows of a record share.
#[derive(Clone, Copy, Default)]
struct Head {
    snapshot: &'static str,
    read_at: Option<i64>,
    time: Option<i64>,
    season: Option<i8>,
    demand_resets: Option<i16>,
    sequence: Option<i32>,
    bidn: Option<i32>,
}

/// BT26's header.
struct Ring {
    step: i64,
    valid: i64,
    last: i64,
    sequence: i64,
}

/// Add the rows of a meter.
pub(super) fn decode(meter: &Meter<'_>, rows: &mut Rows, rejects: &mut Vec<Reject>, full: &mut dyn FnMut(RecordBatch)) {
    rows.start(meter.label);
    for record in &fields().tables {
        for read in meter.reads(record.table) {
            if let Err(m) = one(meter, record, read, rows, rejects) {
                rejects.push(missing(meter.label, read, m));
            }
            if rows.len >= BATCH_ROWS {
                rows.take().into_iter().for_each(&mut *full);
            }
        }
    }
}

/// Add the rows of one read.
fn one<'a>(
    meter: &Meter<'a>,
    record: &Record,
    read: &Read<'a>,
    rows: &mut Rows,
    rejects: &mut Vec<Reject>,
) -> Result<(), Missing> {
    let ring = match record.ring.then(|| ring(meter, record, read, rejects)).transpose()? {
        Some(None) => return Ok(()),
        Some(ring) => ring,
        None => None,
    };
    let plan = match rows.plans.plan(meter, record, read)? {
        Ok(plan) => plan,
        Err(TooLarge { size, tiers }) => {
            let id = read.table;
            let (offset, data) = read.pieces.first().map_or((0, &[][..]), |(o, d)| (*o, &d[..]));
            let reason = format!(
                "by its dimensions a record of {id} takes {size} bytes for {tiers} tiers, and no meter has that; read BT21 \
                 again"
            );
            rejects.push(
                reject(meter.label, read, "registers.dimensions", reason)
                    .item(id.to_string())
                    .offset(offset as i64)
                    .data(data),
            );
            return Ok(());
        }
    };
    let head = Head { snapshot: record.snapshot, read_at: read.read_at, ..Head::default() };
    match ring {
        Some(ring) => self_reads(meter, read, &plan, head, &ring, rows, rejects),
        None => single(meter, read, &plan, head, rows, rejects),
    }
    Ok(())
}

/// Add the registers of a table that is one record, those whose bytes are there.
fn single(
    meter: &Meter<'_>,
    read: &Read<'_>,
    plan: &Rc<Plan>,
    mut head: Head,
    rows: &mut Rows,
    rejects: &mut Vec<Reject>,
) {
    let name = read.table;
    if plan.time_at.is_some() {
        match read.part(0, HEADER as u64) {
            Part::None => {}
            Part::All(data) => {
                head.time = time(meter, read, &data[..HEADER - 1], "header", 0, data, "the snapshot", rejects);
                head.season = season(data, plan.season_at);
            }
            Part::Some(from, data) => {
                let reason = format!("{} of the header's {HEADER} bytes are there; read {name} again", data.len());
                rejects.push(
                    reject(meter.label, read, "registers.header", reason)
                        .item("header")
                        .offset(from as i64)
                        .data(data)
                        .length(HEADER as i64),
                );
            }
        }
    }
    if let Some(at) = plan.resets_at {
        head.demand_resets = read.get(at as u64, 1).and_then(|b| b.first()).map(|b| i16::from(*b));
    }
    if let Part::All(data) = read.part(0, plan.size as u64) {
        rows.record(meter, read, plan, &head, data, 0, None, rejects);
        return;
    }
    let (mut absent, mut first_absent) = (0, None);
    for item in &plan.items {
        match read.part(item.at as u64, item.size as u64) {
            Part::All(data) => {
                let times = times(meter, read, plan, item, data, item.at, None, rejects);
                rows.item(plan, &head, item, data, &times);
            }
            Part::None => {
                first_absent.get_or_insert(item);
                absent += item.rows.len();
            }
            Part::Some(from, data) => {
                let size = item.size;
                let reason = format!("{} of the register's {size} bytes are there; read {name} again", data.len());
                rejects.push(
                    reject(meter.label, read, "registers.incomplete", reason)
                        .item(plan.name(item))
                        .offset(from as i64)
                        .data(data)
                        .length(size as i64),
                );
            }
        }
    }
    if let Some(first) = first_absent.filter(|_| read.whole) {
        let (end, count) = (read.end(), plan.registers.len());
        let reason = format!(
            "{name} ends after {end} bytes, before {absent} of the {count} registers that its dimensions count; read {name} \
             again, and BT21 with it"
        );
        rejects.push(reject(meter.label, read, "table.too_short", reason).item(plan.name(first)).offset(end as i64));
    }
}

/// BT26's header; nothing if there are no entries, or it was cut.
fn ring(
    meter: &Meter<'_>,
    record: &Record,
    read: &Read<'_>,
    rejects: &mut Vec<Reject>,
) -> Result<Option<Ring>, Missing> {
    let data = match read.part(0, HEADER as u64) {
        Part::All(data) => data,
        Part::None => return Err(Missing(record.table)),
        Part::Some(from, data) => {
            let reason = format!("{} of the header's {HEADER} bytes are there; read BT26 again", data.len());
            rejects.push(
                reject(meter.label, read, "registers.header", reason)
                    .item("header")
                    .offset(from as i64)
                    .data(data)
                    .length(HEADER as i64),
            );
            return Ok(None);
        }
    };
    let &[flags, valid, last, low, high, _] = data else { return Ok(None) };
    let step = if flags & 1 == 1 { -1 } else { 1 };
    let sequence = i64::from(u16::from_le_bytes([low, high]));
    let ring = Ring { step, valid: i64::from(valid), last: i64::from(last), sequence };
    Ok((valid > 0).then_some(ring))
}

/// Add the entries of BT26, oldest first.
fn self_reads(
    meter: &Meter<'_>,
    read: &Read<'_>,
    plan: &Rc<Plan>,
    head: Head,
    ring: &Ring,
    rows: &mut Rows,
    rejects: &mut Vec<Reject>,
) {
    let mut room = plan.dims.get(Dim::SelfReads);
    if plan.dims.assumed && plan.size > 0 {
        let held = read.end().saturating_sub(HEADER);
        room = match read.whole {
            true => held / plan.size,
            false => held.div_ceil(plan.size).max(ring.valid.max(ring.last + 1) as usize),
        } as i64;
    }
    let wrong = if ring.valid > room {
        Some(("registers.count", format!("{} valid entries", ring.valid)))
    } else if ring.last >= room {
        Some(("registers.last_entry", format!("entry {} as the newest", ring.last)))
    } else {
        None
    };
    if let Some((code, what)) = wrong {
        let reason = format!("the header says {what}, and there is room for {room}; read BT26 and BT21 again");
        let data = read.get(0, HEADER as u64).unwrap_or(&[]);
        rejects.push(reject(meter.label, read, code, reason).item("header").offset(0).data(data));
        return;
    }
    let size = plan.size;
    let (mut absent, mut first_absent) = (0, 0);
    for age in (0..ring.valid).rev() {
        let offset = HEADER + (ring.last - ring.step * age).rem_euclid(room) as usize * size;
        let sequence = (ring.sequence - age) & 0xFFFF;
        match read.part(offset as u64, size as u64) {
            Part::All(data) => entry(meter, read, plan, head, sequence, offset, data, rows, rejects),
            Part::None => {
                if absent == 0 {
                    first_absent = sequence;
                }
                absent += 1;
            }
            Part::Some(from, data) => {
                let reason = format!("{} of the entry's {size} bytes are there; read BT26 again", data.len());
                rejects.push(
                    reject(meter.label, read, "registers.incomplete", reason)
                        .item(format!("self-read {sequence}"))
                        .offset(from as i64)
                        .data(data)
                        .length(size as i64),
                );
            }
        }
    }
    if absent > 0 && read.whole {
        let (end, valid) = (read.end(), ring.valid);
        let reason = format!(
            "BT26 ends after {end} bytes, before {absent} of the {valid} self-reads that its header counts; read BT26 again"
        );
        rejects.push(
            reject(meter.label, read, "table.too_short", reason)
                .item(format!("self-read {first_absent}"))
                .offset(end as i64),
        );
    }
}

/// Add the registers of one self-read.
#[expect(clippy::too_many_arguments, reason = "what an entry is made of, and what a reject of it names")]
fn entry(
    meter: &Meter<'_>,
    read: &Read<'_>,
    plan: &Rc<Plan>,
    mut head: Head,
    sequence: i64,
    offset: usize,
    data: &[u8],
    rows: &mut Rows,
    rejects: &mut Vec<Reject>,
) {
    let at = plan.time_at.unwrap_or(0);
    let stamp = data.get(at..=plan.season_at).unwrap_or(&[]);
    if let Some((_, raw)) = stamp.split_last() {
        let name = || format!("self-read {sequence}");
        head.time = known_time(raw).unwrap_or_else(|date| {
            rejects.push(bad_time(meter, read, &date, name(), offset + at, stamp, "the snapshot"));
            None
        });
    }
    head.season = season(data, plan.season_at);
    head.demand_resets = plan.resets_at.and_then(|at| data.get(at)).map(|b| i16::from(*b));
    head.sequence = i32::try_from(sequence).ok();
    head.bidn =
        plan.bidn_at.and_then(|at| data.get(at..at + 2)?.first_chunk()).map(|b| i32::from(u16::from_le_bytes(*b)));
    rows.record(meter, read, plan, &head, data, offset, Some(sequence), rejects);
}

/// A season of the calendar, of which there are four; what no int8 holds is none.
fn season(data: &[u8], at: usize) -> Option<i8> {
    i8::try_from(*data.get(at)?).ok()
}

/// A time of the meter's clock in microseconds.
fn known_time(raw: &[u8]) -> Result<Option<i64>, values::ImpossibleDate> {
    Ok(values::seconds(raw)?.map(|s| s * 1_000_000))
}

fn bad_time(
    meter: &Meter<'_>,
    read: &Read<'_>,
    date: &values::ImpossibleDate,
    item: impl Into<String>,
    offset: usize,
    data: &[u8],
    kept: &str,
) -> Reject {
    let reason = format!("the time {} does not exist; {kept} is kept without it", date.0);
    reject(meter.label, read, "registers.time", reason).item(item).offset(offset as i64).data(data)
}

/// A time of the meter's clock; a reject and nothing if it does not exist.
#[expect(clippy::too_many_arguments, reason = "what a reject of it names")]
fn time(
    meter: &Meter<'_>,
    read: &Read<'_>,
    raw: &[u8],
    item: &str,
    offset: usize,
    data: &[u8],
    kept: &str,
    rejects: &mut Vec<Reject>,
) -> Option<i64> {
    known_time(raw).unwrap_or_else(|date| {
        rejects.push(bad_time(meter, read, &date, item, offset, data, kept));
        None
    })
}

/// The event times of an item, one for each of its rows that has one; `data` are its bytes, at `offset` of the table.
#[expect(clippy::too_many_arguments, reason = "what a reject of it names")]
fn times(
    meter: &Meter<'_>,
    read: &Read<'_>,
    plan: &Plan,
    item: &Item,
    data: &[u8],
    offset: usize,
    sequence: Option<i64>,
    rejects: &mut Vec<Reject>,
) -> Vec<Option<i64>> {
    let mut out = Vec::new();
    for register in &plan.registers[item.rows.clone()] {
        let Some(at) = register.time_at else { continue };
        let raw = data.get(at - item.at..at - item.at + 5).unwrap_or(&[]);
        out.push(known_time(raw).unwrap_or_else(|date| {
            let name = match sequence {
                Some(sequence) => format!("self-read {sequence}, {}", plan.name(item)),
                None => plan.name(item),
            };
            rejects.push(bad_time(meter, read, &date, name, offset, data, "the register"));
            None
        }));
    }
    out
}

impl Plan {
    /// An item, for people.
    fn name(&self, item: &Item) -> String {
        let Some(first) = self.registers.get(item.rows.start) else { return String::new() };
        let (kind, index) = (KINDS[usize::from(first.kind)], first.index);
        match first.tier {
            None => format!("total, {kind} {index}"),
            Some(tier) => format!("tier {tier}, {kind} {index}"),
        }
    }

    fn new(
        view: &View<'_, '_>,
        record: &Record,
        read: &Read<'_>,
        unit: Option<i32>,
        assume_defaults: bool,
    ) -> Result<Result<Self, TooLarge>, Missing> {
        let dims = dimensions(view, record.table, read, assume_defaults)?;
        let layout = view.layout_with(record.table, &dims.given(record.table))?;
        let size = match record.ring {
            false => layout.size,
            true => layout.leaf(record.blocks[0].summation.path).and_then(|l| l.axes().first()).map_or(0, |a| a.stride),
        };
        let tiers = dims.get(Dim::Tiers);
        if size > MAX_RECORD || tiers > MAX_TIERS {
            return Ok(Err(TooLarge { size, tiers }));
        }
        let sources = Sources::new(view, &dims, unit, assume_defaults);
        // Offsets of an entry count from its start, and element 0 starts behind the header.
        let start = if record.ring { HEADER } else { 0 };
        let place = |f: Field| {
            let leaf = layout.leaf(f.path)?;
            usize::try_from(leaf.offset).ok()?.checked_sub(start)
        };
        let mut plan = Self {
            assumed: dims.assumed || sources.assumed,
            size: usize::try_from(size).unwrap_or(0),
            bidn_at: record.bidn.and_then(place),
            time_at: record.time.and_then(place),
            season_at: record.season.and_then(place).unwrap_or(0),
            resets_at: place(record.resets),
            registers: Vec::new(),
            items: Vec::new(),
            runs: Vec::new(),
            scale: Vec::new(),
            scaled: false,
            has_parts: false,
            tiles: RefCell::new(None),
            dims,
        };
        plan.block(&layout, &record.blocks[0], start, None, &sources);
        for tier in 0..tiers {
            plan.block(&layout, &record.blocks[1], start, Some(tier), &sources);
        }
        for register in &plan.registers {
            match plan.runs.last_mut() {
                Some((at, n)) if *at + 4 * *n == register.at => *n += 1,
                _ => plan.runs.push((register.at, 1)),
            }
            let scale = i64::from(register.multiplier.unwrap_or(1));
            plan.scaled |= scale != 1;
            plan.scale.push(scale);
            plan.has_parts |=
                [register.time_at, register.cumulative_at, register.continuous_at].iter().any(Option::is_some);
        }
        Ok(Ok(plan))
    }

    /// Add the items of a total or tier block, in the order of their bytes.
    fn block(&mut self, layout: &Layout, block: &Block, start: usize, tier: Option<i64>, sources: &Sources) {
        let axes = usize::from(start > 0) + usize::from(tier.is_some());
        // The offset of an element whose outer axes are the entry, if any, and the tier.
        let at = |leaf: &Leaf, inner: [i64; 2]| {
            let mut offset = i64::try_from(leaf.offset).unwrap_or(0) - start as i64;
            if let (Some(tier), Some(axis)) = (tier, axes.checked_sub(1).and_then(|i| leaf.axes().get(i))) {
                offset += tier * axis.stride as i64;
            }
            for (i, axis) in inner.into_iter().zip(leaf.axes().get(axes..).unwrap_or_default()) {
                offset += i * axis.stride as i64;
            }
            usize::try_from(offset).unwrap_or(0)
        };
        let leaf = |f: Field| layout.leaf(f.path);
        let tier = tier.and_then(|t| i8::try_from(t).ok());
        let plain = |kind, index: i64, at, source: Source| Register {
            tier,
            kind,
            index: index as i16,
            at,
            source,
            multiplier: sources.unit.filter(|_| source.energy),
            occurrence: None,
            time_at: None,
            cumulative_at: None,
            continuous_at: None,
            of_demand: None,
            min_max: None,
        };
        if let Some(value) = leaf(block.summation) {
            for (i, source) in (0..).zip(&sources.summations) {
                let offset = at(value, [i, 0]);
                self.items.push(Item { at: offset, size: 4, rows: self.registers.len()..self.registers.len() + 1 });
                self.registers.push(plain(SUMMATION, i, offset, *source));
            }
        }
        let occurrences = self.dims.get(Dim::Occurrences);
        if let Some(value) = leaf(block.demand).filter(|_| occurrences > 0) {
            let size = value.axes().get(axes).map_or(0, |a| a.stride as usize);
            for (i, (source, min_max)) in (0..).zip(sources.demands.iter().zip(&sources.min_max)) {
                let rows = self.registers.len()..self.registers.len() + occurrences as usize;
                let time = leaf(block.time);
                let [cumulative, continuous] =
                    [block.cumulative, block.continuous].map(|f| leaf(f).map(|l| at(l, [i, 0])));
                for o in 0..occurrences {
                    self.registers.push(Register {
                        occurrence: Some(o as i16),
                        time_at: time.map(|l| at(l, [i, o])),
                        cumulative_at: cumulative,
                        continuous_at: continuous,
                        min_max: *min_max,
                        ..plain(DEMAND, i, at(value, [i, o]), *source)
                    });
                }
                let parts = [time.map(|l| at(l, [i, 0])), cumulative, continuous, Some(at(value, [i, 0]))];
                self.items.push(Item { at: parts.into_iter().flatten().min().unwrap_or(0), size, rows });
            }
        }
        if let Some(value) = leaf(block.coincident).filter(|_| occurrences > 0) {
            let size = value.axes().get(axes).map_or(0, |a| a.stride as usize);
            for (i, (source, of_demand)) in (0..).zip(sources.coincidents.iter().zip(&sources.of_demand)) {
                let rows = self.registers.len()..self.registers.len() + occurrences as usize;
                for o in 0..occurrences {
                    self.registers.push(Register {
                        occurrence: Some(o as i16),
                        of_demand: *of_demand,
                        ..plain(COINCIDENT, i, at(value, [i, o]), *source)
                    });
                }
                self.items.push(Item { at: at(value, [i, 0]), size, rows });
            }
        }
    }

    /// The repeating columns of `rows` rows, with words of their own.
    fn columns(&self, rows: usize, nulls: &mut Nulls) -> [ArrayRef; REPEATING] {
        let mut words = std::array::from_fn(|_| Words::new());
        let tiles = Tiles::new(&self.registers, &mut words);
        let mut repeating = Repeating::new();
        repeating.tile(&tiles, rows);
        repeating.finish(&mut words, nulls)
    }

    /// The columns that are the same for every record, with the words of this batch.
    fn tiles(&self, batch: u64, words: &mut [Words; 5]) -> Rc<Tiles> {
        let mut tiles = self.tiles.borrow_mut();
        match &*tiles {
            Some((of, tiles)) if *of == batch => tiles.clone(),
            _ => {
                let made = Rc::new(Tiles::new(&self.registers, words));
                *tiles = Some((batch, made.clone()));
                made
            }
        }
    }
}

/// What the registers of a meter are, by BT22.
struct Sources {
    summations: Vec<Source>,
    demands: Vec<Source>,
    min_max: Vec<Option<&'static str>>,
    coincidents: Vec<Source>,
    of_demand: Vec<Option<i16>>,
    unit: Option<i32>,
    assumed: bool,
}

impl Sources {
    fn new(view: &View<'_, '_>, dims: &Dims, unit: Option<i32>, assume_defaults: bool) -> Self {
        let f = fields();
        let catalog = Catalog::get();
        let minutes = firmware(view).is_some_and(|firmware| firmware >> 5 == MINUTES);
        let named = |id: Option<i32>| {
            let source = Source::new(id);
            if minutes && id == Some(POWER_OFF) { Source { unit: Some("min"), ..source } } else { source }
        };
        let captured = view.table(f.bt22).ok();
        let layout = captured.and_then(|_| view.layout_with(f.bt22, &dims.given(f.bt22)).ok());
        let listed = |field: Field, i: i64| {
            let id = view.get_in(layout.as_ref()?, field, &[i]).ok()?;
            i32::try_from(id).ok()
        };
        let assumed = assume_defaults && captured.is_none();
        let [summations, demands, coincidents] = [Dim::Summations, Dim::Demands, Dim::Coincidents].map(|d| dims.get(d));
        let summation = |i: i64| {
            let unlisted = catalog.unlisted_summations.iter().find(|(place, ..)| *place as i64 == i);
            if let Some((_, quantity, unit)) = unlisted.filter(|_| summations >= LISTED) {
                return Source { quantity: Some(quantity), unit: Some(unit), ..Source::new(None) };
            }
            named(if assumed { catalog.summation_order.get(i as usize).copied() } else { listed(f.summation, i) })
        };
        let maximum = |i: i64| {
            let leaf = layout.as_ref()?.leaf(f.maximum.path)?;
            let byte = captured?.get(leaf.offset + i as u64 / 8, 1)?.first()?;
            Some(if byte >> (i % 8) & 1 == 1 { "maximum" } else { "minimum" })
        };
        Self {
            summations: (0..summations).map(summation).collect(),
            demands: (0..demands).map(|i| named(listed(f.demand, i))).collect(),
            min_max: (0..demands).map(maximum).collect(),
            coincidents: (0..coincidents).map(|i| named(listed(f.coincident, i))).collect(),
            of_demand: (0..coincidents).map(|i| listed(f.of_demand, i).map(|d| d as i16)).collect(),
            unit,
            assumed,
        }
    }
}

/// Plans and energy register units, by the bytes that they follow from.
struct Plans {
    assume_defaults: bool,
    plans: Cache<Result<Rc<Plan>, TooLarge>>,
    units: Cache<Option<i32>>,
}

impl Plans {
    /// The record of the table of a read.
    fn plan<'a>(
        &mut self,
        meter: &Meter<'a>,
        record: &Record,
        read: &Read<'a>,
    ) -> Result<Result<Rc<Plan>, TooLarge>, Missing> {
        let f = fields();
        let mut view = None;
        // Without one of the tables that may say so, the unit is not known; BT20 only sizes ET55.
        let unit = if f.units[1..].iter().all(|table| meter.reads(*table).is_empty()) {
            None
        } else {
            let basis = Basis::new(meter, record.table, read, &f.units);
            match self.units.find(&basis) {
                Some(unit) => *unit,
                None => *self.units.put(&basis, register_unit(view.get_or_insert_with(|| meter.view(Some(read))))),
            }
        };
        let mut basis =
            Basis::new(meter, record.table, read, &f.dimensions).with_length(meter, read, self.assume_defaults);
        basis.other = unit;
        let found = match self.plans.find(&basis) {
            Some(found) => found,
            None => {
                let view = view.get_or_insert_with(|| meter.view(Some(read)));
                let made = Plan::new(view, record, read, unit, self.assume_defaults)?;
                self.plans.put(&basis, made.map(Rc::new))
            }
        };
        Ok(match &*found {
            Ok(plan) => {
                if plan.assumed {
                    meter.assumed.set(true);
                }
                Ok(plan.clone())
            }
            Err(TooLarge { size, tiers }) => Err(TooLarge { size: *size, tiers: *tiers }),
        })
    }
}

/// The columns that are the same for every record of a plan.
struct Tiles {
    tier: Tile<i8>,
    kind: Tile<i32>,
    index: Tile<i16>,
    source: Tile<i32>,
    quantity: Tile<i32>,
    unit: Tile<i32>,
    obis: Tile<i32>,
    multiplier: Tile<i32>,
    occurrence: Tile<i16>,
    of_demand: Tile<i16>,
    min_max: Tile<i32>,
}

impl Tiles {
    fn new(registers: &[Register], [kind, quantity, unit, obis, min_max]: &mut [Words; 5]) -> Self {
        let keys = |words: &mut Words, word: fn(&Register) -> Option<&'static str>| {
            Tile::new(registers.iter().map(|r| word(r).map(|w| words.key(w))).collect::<Vec<_>>())
        };
        Self {
            tier: Tile::new(registers.iter().map(|r| r.tier)),
            kind: keys(kind, |r| Some(KINDS[usize::from(r.kind)])),
            index: Tile::new(registers.iter().map(|r| Some(r.index))),
            source: Tile::new(registers.iter().map(|r| r.source.id)),
            quantity: keys(quantity, |r| r.source.quantity),
            unit: keys(unit, |r| r.source.unit),
            obis: keys(obis, |r| r.source.obis),
            multiplier: Tile::new(registers.iter().map(|r| r.multiplier)),
            occurrence: Tile::new(registers.iter().map(|r| r.occurrence)),
            of_demand: Tile::new(registers.iter().map(|r| r.of_demand)),
            min_max: keys(min_max, |r| r.min_max),
        }
    }
}

/// How many columns repeat from record to record.
const REPEATING: usize = 11;

/// The columns that repeat from record to record.
struct Repeating {
    tier: Stretches<i8>,
    kind: Stretches<i32>,
    index: Stretches<i16>,
    source: Stretches<i32>,
    quantity: Stretches<i32>,
    unit: Stretches<i32>,
    obis: Stretches<i32>,
    multiplier: Stretches<i32>,
    occurrence: Stretches<i16>,
    of_demand: Stretches<i16>,
    min_max: Stretches<i32>,
}

impl Repeating {
    fn new() -> Self {
        Self {
            tier: Stretches::new(),
            kind: Stretches::new(),
            index: Stretches::new(),
            source: Stretches::new(),
            quantity: Stretches::new(),
            unit: Stretches::new(),
            obis: Stretches::new(),
            multiplier: Stretches::new(),
            occurrence: Stretches::new(),
            of_demand: Stretches::new(),
            min_max: Stretches::new(),
        }
    }

    fn tile(&mut self, tiles: &Tiles, n: usize) {
        self.tier.tile(&tiles.tier, n);
        self.kind.tile(&tiles.kind, n);
        self.index.tile(&tiles.index, n);
        self.source.tile(&tiles.source, n);
        self.quantity.tile(&tiles.quantity, n);
        self.unit.tile(&tiles.unit, n);
        self.obis.tile(&tiles.obis, n);
        self.multiplier.tile(&tiles.multiplier, n);
        self.occurrence.tile(&tiles.occurrence, n);
        self.of_demand.tile(&tiles.of_demand, n);
        self.min_max.tile(&tiles.min_max, n);
    }

    fn push(&mut self, r: &Register, [kind, quantity, unit, obis, min_max]: &mut [Words; 5]) {
        self.tier.repeat(r.tier, 1);
        self.kind.repeat(Some(kind.key(KINDS[usize::from(r.kind)])), 1);
        self.index.repeat(Some(r.index), 1);
        self.source.repeat(r.source.id, 1);
        self.quantity.repeat(r.source.quantity.map(|w| quantity.key(w)), 1);
        self.unit.repeat(r.source.unit.map(|w| unit.key(w)), 1);
        self.obis.repeat(r.source.obis.map(|w| obis.key(w)), 1);
        self.multiplier.repeat(r.multiplier, 1);
        self.occurrence.repeat(r.occurrence, 1);
        self.of_demand.repeat(r.of_demand, 1);
        self.min_max.repeat(r.min_max.map(|w| min_max.key(w)), 1);
    }

    fn finish(
        &mut self,
        [kind, quantity, unit, obis, min_max]: &mut [Words; 5],
        n: &mut Nulls,
    ) -> [ArrayRef; REPEATING] {
        [
            Arc::new(self.tier.finish::<Int8Type>(n)),
            kind.finish(self.kind.finish(n)),
            Arc::new(self.index.finish::<Int16Type>(n)),
            Arc::new(self.source.finish::<Int32Type>(n)),
            quantity.finish(self.quantity.finish(n)),
            unit.finish(self.unit.finish(n)),
            obis.finish(self.obis.finish(n)),
            Arc::new(self.multiplier.finish::<Int32Type>(n)),
            Arc::new(self.occurrence.finish::<Int16Type>(n)),
            Arc::new(self.of_demand.finish::<Int16Type>(n)),
            min_max.finish(self.min_max.finish(n)),
        ]
    }
}

/// Columns of the batch before, which serve the next one too where it repeats the same: it takes as many rows of them as it
/// needs, and not a byte is written.
#[derive(Default)]
struct Kept {
    repeating: Option<(Rc<Plan>, [ArrayRef; REPEATING])>,
    snapshot: Option<(&'static str, ArrayRef)>,
}

impl Kept {
    /// The repeating columns of a batch of whole records of one plan.
    fn repeating(&mut self, plan: &Rc<Plan>, rows: usize, nulls: &mut Nulls) -> [ArrayRef; REPEATING] {
        let same = self.repeating.as_ref().filter(|(of, _)| Rc::ptr_eq(of, plan)).map(|(_, columns)| columns[0].len());
        if same.is_none_or(|len| len < rows) {
            // At the second time it is worth while to make them as long as batches get.
            let len = if same.is_some() { rows.max(BATCH_ROWS + plan.registers.len()) } else { rows };
            self.repeating = Some((plan.clone(), plan.columns(len, nulls)));
        }
        let all = self.repeating.as_ref().map(|(_, columns)| columns.each_ref().map(|c| c.slice(0, rows)));
        all.unwrap_or_else(|| plan.columns(rows, nulls))
    }

    /// The column `snapshot` of a batch that has only one.
    fn snapshot(&mut self, name: &'static str, rows: usize) -> ArrayRef {
        let kept = self.snapshot.take().filter(|(of, column)| *of == name && column.len() >= rows);
        let (_, column) = kept.unwrap_or_else(|| {
            let mut words = Words::new();
            let key = words.key(name);
            (name, words.finish(full::<Int32Type>(&mut vec![key; rows.max(BATCH_ROWS)])))
        });
        let part = column.slice(0, rows);
        self.snapshot = Some((name, column));
        part
    }
}

/// The columns of the registers.
pub(super) struct Rows {
    schema: SchemaRef,
    plans: Plans,
    label: String,
    label_key: Option<i32>,
    snapshot_key: Option<(&'static str, i32)>,
    batch: u64,
    len: usize,
    /// Whole records of one plan whose repeating columns are not yet there.
    run: Option<(Rc<Plan>, usize)>,
    meters: Words,
    snapshots: Words,
    /// Kind, quantity, unit, OBIS, min_max.
    words: [Words; 5],
    meter: Stretches<i32>,
    snapshot: Stretches<i32>,
    time: Stretches<i64>,
    season: Stretches<i8>,
    repeating: Repeating,
    value: Vec<i64>,
    event_time: Stretches<i64>,
    cumulative: Stretches<i64>,
    continuous: Stretches<i64>,
    demand_resets: Stretches<i16>,
    sequence: Stretches<i32>,
    bidn: Stretches<i32>,
    read_at: Stretches<i64>,
    nulls: Nulls,
    kept: Kept,
}

impl Rows {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            schema: schema(Kind::Registers, options),
            plans: Plans { assume_defaults: options.assume_defaults, plans: Cache::new(), units: Cache::new() },
            label: String::new(),
            label_key: None,
            snapshot_key: None,
            batch: 0,
            len: 0,
            run: None,
            meters: Words::new(),
            snapshots: Words::new(),
            words: std::array::from_fn(|_| Words::new()),
            meter: Stretches::new(),
            snapshot: Stretches::new(),
            time: Stretches::new(),
            season: Stretches::new(),
            repeating: Repeating::new(),
            value: Vec::new(),
            event_time: Stretches::new(),
            cumulative: Stretches::new(),
            continuous: Stretches::new(),
            demand_resets: Stretches::new(),
            sequence: Stretches::new(),
            bidn: Stretches::new(),
            read_at: Stretches::new(),
            nulls: Nulls::new(),
            kept: Kept::default(),
        }
    }

    fn start(&mut self, label: &str) {
        if self.label != label {
            label.clone_into(&mut self.label);
            self.label_key = None;
        }
    }

    /// Add a record whose bytes are all there, at `offset` of its table.
    #[expect(clippy::too_many_arguments, reason = "what a record is made of, and what a reject of it names")]
    fn record(
        &mut self,
        meter: &Meter<'_>,
        read: &Read<'_>,
        plan: &Rc<Plan>,
        head: &Head,
        data: &[u8],
        offset: usize,
        sequence: Option<i64>,
        rejects: &mut Vec<Reject>,
    ) {
        let n = plan.registers.len();
        if n == 0 {
            return;
        }
        match &mut self.run {
            Some((of, records)) if Rc::ptr_eq(of, plan) => *records += 1,
            _ => {
                self.flush();
                self.run = Some((plan.clone(), 1));
            }
        }
        if self.value.is_empty() {
            self.value.reserve(BATCH_ROWS + n);
        }
        let mut scale = &plan.scale[..];
        for (at, n) in &plan.runs {
            let raw = data.get(*at..at + 4 * n).unwrap_or(&[]).as_chunks::<4>().0;
            let (now, rest) = scale.split_at(*n);
            scale = rest;
            // Widening alone is quicker than with a multiplication, and most meters count Wh.
            if plan.scaled {
                self.value.extend(raw.iter().zip(now).map(|(raw, scale)| i64::from(i32::from_le_bytes(*raw)) * scale));
            } else {
                self.value.extend(raw.iter().map(|raw| i64::from(i32::from_le_bytes(*raw))));
            }
        }
        self.head(head, n);
        if plan.has_parts {
            for item in &plan.items {
                let bytes = data.get(item.at..item.at + item.size).unwrap_or(&[]);
                let times = times(meter, read, plan, item, bytes, offset + item.at, sequence, rejects);
                self.parts(plan, item, bytes, &times);
            }
        } else {
            self.event_time.repeat(None, n);
            self.cumulative.repeat(None, n);
            self.continuous.repeat(None, n);
        }
    }

    /// Add an item whose bytes are there of a record that is not.
    fn item(&mut self, plan: &Rc<Plan>, head: &Head, item: &Item, data: &[u8], times: &[Option<i64>]) {
        self.flush();
        let registers = &plan.registers[item.rows.clone()];
        for r in registers {
            self.repeating.push(r, &mut self.words);
            let scale = i64::from(r.multiplier.unwrap_or(1));
            self.value.push(number(data, r.at - item.at).unwrap_or(0) * scale);
        }
        self.head(head, registers.len());
        self.parts(plan, item, data, times);
    }

    /// The columns that come from the head of a record.
    fn head(&mut self, head: &Head, n: usize) {
        let meter = *self.label_key.get_or_insert_with(|| self.meters.key(&self.label));
        let snapshot = match self.snapshot_key {
            Some((of, key)) if of == head.snapshot => key,
            _ => self.snapshots.key(head.snapshot),
        };
        self.snapshot_key = Some((head.snapshot, snapshot));
        self.meter.repeat(Some(meter), n);
        self.snapshot.repeat(Some(snapshot), n);
        self.time.repeat(head.time, n);
        self.season.repeat(head.season, n);
        self.demand_resets.repeat(head.demand_resets, n);
        self.sequence.repeat(head.sequence, n);
        self.bidn.repeat(head.bidn, n);
        self.read_at.repeat(head.read_at, n);
        self.len += n;
    }

    /// The columns that only demands have.
    fn parts(&mut self, plan: &Plan, item: &Item, data: &[u8], times: &[Option<i64>]) {
        let mut times = times.iter();
        for r in &plan.registers[item.rows.clone()] {
            let scale = i64::from(r.multiplier.unwrap_or(1));
            let scaled = |at: Option<usize>| Some(number(data, at? - item.at)? * scale);
            self.event_time.repeat(r.time_at.and_then(|_| times.next().copied().flatten()), 1);
            self.cumulative.repeat(scaled(r.cumulative_at), 1);
            self.continuous.repeat(scaled(r.continuous_at), 1);
        }
    }

    /// The columns of the whole records that wait for them.
    fn flush(&mut self) {
        if let Some((plan, records)) = self.run.take() {
            let tiles = plan.tiles(self.batch, &mut self.words);
            self.repeating.tile(&tiles, records * plan.registers.len());
        }
    }

    pub(super) fn take(&mut self) -> Option<RecordBatch> {
        if self.len == 0 {
            return None;
        }
        let rows = std::mem::take(&mut self.len);
        let whole = self.run.take_if(|(plan, records)| *records * plan.registers.len() == rows);
        self.flush();
        self.batch += 1;
        let n = &mut self.nulls;
        let [tier, kind, index, source, quantity, unit, obis, multiplier, occurrence, of_demand, min_max] = match whole
        {
            Some((plan, _)) => self.kept.repeating(&plan, rows, n),
            None => self.repeating.finish(&mut self.words, n),
        };
        self.label_key = None;
        let snapshot = match self.snapshot_key.take() {
            Some((name, _)) if self.snapshot.take_uniform() == rows => {
                self.snapshots = Words::new();
                self.kept.snapshot(name, rows)
            }
            _ => self.snapshots.finish(self.snapshot.finish(n)),
        };
        let columns: Vec<ArrayRef> = vec![
            self.meters.finish(self.meter.finish(n)),
            snapshot,
            Arc::new(self.time.finish::<TimestampMicrosecondType>(n)),
            Arc::new(self.season.finish::<Int8Type>(n)),
            tier,
            kind,
            index,
            source,
            quantity,
            unit,
            obis,
            Arc::new(full::<Int64Type>(&mut self.value)),
            Arc::new(self.event_time.finish::<TimestampMicrosecondType>(n)),
            multiplier,
            Arc::new(self.cumulative.finish::<Int64Type>(n)),
            Arc::new(self.continuous.finish::<Int64Type>(n)),
            occurrence,
            of_demand,
            min_max,
            Arc::new(self.demand_resets.finish::<Int16Type>(n)),
            Arc::new(self.sequence.finish::<Int32Type>(n)),
            Arc::new(self.bidn.finish::<Int32Type>(n)),
            Arc::new(self.read_at.finish::<TimestampMicrosecondType>(n).with_timezone("UTC")),
        ];
        Some(batch(self.schema.clone(), columns))
    }
}

/// The INT32 at a place.
fn number(data: &[u8], at: usize) -> Option<i64> {
    data.get(at..)?.first_chunk().map(|raw| i64::from(i32::from_le_bytes(*raw)))
}
