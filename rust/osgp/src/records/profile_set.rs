//! One data set of the load profile as one meter has it configured: sizes, sources, the start of its blocks.

use std::sync::OnceLock;

use super::meter::{Field, Source, View, field, table};
use crate::catalog::{Catalog, TableIx};
use crate::layout::{Layout, Missing};

/// At most so many channels a data set. Source: MEP guide p. 29.
pub(crate) const MAX_CHANNELS: i64 = 16;
pub(crate) const DAY_S: i64 = 86_400;
/// Interval time 84 is a code for a day (MEP guide, BT61, p. 235).
const DAY_CODE: i64 = 84;
/// Source IDs that stand for an entry of ET66 (MEP guide pp. 173, 205).
const MAPPED: std::ops::RangeInclusive<i64> = 112..=163;

/// The fields that are asked for, found once.
pub(crate) struct Fields {
    pub(crate) bt61: TableIx,
    pub(crate) bt63: TableIx,
    pub(crate) data: [TableIx; 4],
    block_size: u8,
    blocks: Field,
    intervals: Field,
    channels: Field,
    interval_time: Field,
    format: Field,
    bt62_source: Field,
    et66: Field,
    firmware: Field,
    et55_unit: Field,
    et54_sets: Field,
    et42: Et42Fields,
    et21: Et21Fields,
}

struct Et42Fields {
    table: TableIx,
    multiple_sets: u8,
    compatibility: Field,
    table_length: Field,
    section: Field,
    unit: Field,
    digits: Field,
    et74_entries: Field,
    et79_entries: Field,
    channels: Field,
    source: Field,
    hour: Field,
    minute: Field,
    masks: [Field; 3],
    set_channels: Field,
    set_source: Field,
    set_hour: Field,
    set_minute: Field,
}

struct Et21Fields {
    table: TableIx,
    gap: u8,
    block_size: Field,
    header_size: Field,
    status_offset: Field,
    status_size: Field,
    interval_0: Field,
    interval_size: Field,
    channel_0: Field,
    channels: Field,
    hour: Field,
    minute: Field,
}

impl Fields {
    pub(crate) fn get() -> &'static Fields {
        static FIELDS: OnceLock<Fields> = OnceLock::new();
        FIELDS.get_or_init(|| {
            let f = |id: &str, path: &str| field(table(id), path);
            let variable = |id: &str, name: &str| {
                Catalog::get().table(table(id)).variable(name).expect("the decoders name variables of the catalogue")
            };
            Fields {
                bt61: table("BT61"),
                bt63: table("BT63"),
                data: ["BT64", "BT65", "BT66", "BT67"].map(table),
                block_size: variable("BT64", "block_size"),
                blocks: f("BT61", "set.blocks"),
                intervals: f("BT61", "set.intervals"),
                channels: f("BT61", "set.channels"),
                interval_time: f("BT61", "set.interval_time"),
                format: f("BT62", "set.format"),
                bt62_source: f("BT62", "set.channel.source"),
                et66: f("ET66", "entry.extended_source"),
                firmware: f("BT01", "firmware"),
                et55_unit: f("ET55", "energy_register_unit"),
                et54_sets: f("ET54", "compatibility.multiple_sets"),
                et42: Et42Fields {
                    table: table("ET42"),
                    multiple_sets: variable("ET42", "multiple_sets"),
                    compatibility: f("ET42", "compatibility.multiple_sets"),
                    table_length: f("ET42", "table_length"),
                    section: f("ET42", "required_section_length"),
                    unit: f("ET42", "energy_register_unit"),
                    digits: f("ET42", "rollover_digits"),
                    et74_entries: f("ET42", "et74_entries"),
                    et79_entries: f("ET42", "et79_entries"),
                    channels: f("ET42", "channels"),
                    source: f("ET42", "source.id"),
                    hour: f("ET42", "block_start_hour"),
                    minute: f("ET42", "block_start_minute"),
                    masks: ["set_mask.set_2", "set_mask.set_3", "set_mask.set_4"].map(|p| f("ET42", p)),
                    set_channels: f("ET42", "set.channels"),
                    set_source: f("ET42", "set.source.id"),
                    set_hour: f("ET42", "set.block_start_hour"),
                    set_minute: f("ET42", "set.block_start_minute"),
                },
                et21: Et21Fields {
                    table: table("ET21"),
                    gap: variable("ET21", "gap"),
                    block_size: f("ET21", "set.block_size"),
                    header_size: f("ET21", "set.block_header_size"),
                    status_offset: f("ET21", "set.simple_status_offset"),
                    status_size: f("ET21", "set.simple_status_size"),
                    interval_0: f("ET21", "set.interval_0_offset"),
                    interval_size: f("ET21", "set.interval_size"),
                    channel_0: f("ET21", "set.channel_0_offset"),
                    channels: f("ET21", "set.channels"),
                    hour: f("ET21", "set.block_start_hour"),
                    minute: f("ET21", "set.block_start_minute"),
                },
            }
        })
    }
}

/// The configuration of a data set that decodes, all of it checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProfileSet {
    pub(crate) number: i8,
    pub(crate) blocks: i64,
    pub(crate) intervals: i64,
    pub(crate) interval_s: i32,
    pub(crate) channels: Vec<Source>,
    pub(crate) multiplier: Option<i32>,
    pub(crate) rollover_digits: Option<u32>,
    pub(crate) block_start_s: Option<i64>,
}

impl ProfileSet {
    /// How long a block is.
    pub(crate) fn block_s(&self) -> i64 {
        self.intervals * i64::from(self.interval_s)
    }
}

/// Why a data set cannot be decoded.
pub(crate) enum Unusable {
    Missing(Missing),
    /// A configuration that no data can follow: code and reason.
    Wrong(&'static str, String),
}

impl From<Missing> for Unusable {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

/// The seconds of BT61's interval time: 1 to 60 minutes, or 84 for a day.
fn interval_seconds(code: i64) -> Option<i64> {
    match code {
        DAY_CODE => Some(DAY_S),
        1..=60 => Some(code * 60),
        _ => None,
    }
}

/// The configuration of data set `n + 1` as seen from a read of its data.
pub(crate) fn profile_set(view: &View<'_, '_>, n: i64) -> Result<ProfileSet, Unusable> {
    let f = Fields::get();
    let number = n + 1;
    let blocks = view.get(f.blocks, &[n])?;
    let intervals = view.get(f.intervals, &[n])?;
    let channels = view.get(f.channels, &[n])?;
    let code = view.get(f.interval_time, &[n])?;
    if channels == 0 {
        let reason = format!("BT61 says that data set {number} has no channels; read BT61 again");
        return Err(Unusable::Wrong("profile.no_channels", reason));
    }
    if channels > MAX_CHANNELS {
        let reason = format!(
            "BT61 says that data set {number} has {channels} channels, and a meter has at most {MAX_CHANNELS}; read BT61 \
             again"
        );
        return Err(Unusable::Wrong("profile.channel_count", reason));
    }
    if intervals == 0 {
        let reason = format!("BT61 says that blocks of data set {number} have no intervals; read BT61 again");
        return Err(Unusable::Wrong("profile.no_intervals", reason));
    }
    let Some(interval_s) = interval_seconds(code) else {
        let reason = format!(
            "BT61 says interval time {code} for data set {number}; known are 1 to 60 minutes and 84 for a day; read BT61 \
             again"
        );
        return Err(Unusable::Wrong("profile.interval_time", reason));
    };
    // Format codes of C12.19-1997 whose values do not take four bytes: UINT8, UINT16, INT8, INT16.
    if let Some(format @ (1 | 2 | 8 | 16)) = view.find(f.format, &[n]) {
        let reason =
            format!("BT62 says format {format} for data set {number}; only INT32 (32) is described in the guides");
        return Err(Unusable::Wrong("profile.format", reason));
    }
    let et42 = Et42::new(view);
    Ok(ProfileSet {
        number: number as i8,
        blocks,
        intervals,
        interval_s: interval_s as i32,
        channels: (0..channels).map(|c| Source::new(source_id(view, &et42, n, c, channels))).collect(),
        multiplier: energy_register_unit(view, &et42),
        rollover_digits: et42.section(f.et42.digits).filter(|d| (5..=9).contains(d)).map(|d| d as u32),
        block_start_s: block_start(view, &et42, n, channels),
    })
}

/// ET42, whose last fields can only be found by knowing whether sets 2 to 4 are in it.
pub(crate) struct Et42<'v, 'm, 'a> {
    view: &'v View<'m, 'a>,
    layout: Option<Layout>,
}

impl<'v, 'm, 'a> Et42<'v, 'm, 'a> {
    pub(crate) fn new(view: &'v View<'m, 'a>) -> Self {
        Self { view, layout: Self::layout(view) }
    }

    fn layout(view: &View<'_, '_>) -> Option<Layout> {
        let f = &Fields::get().et42;
        view.table(f.table).ok()?;
        let listed = view.find(Fields::get().et54_sets, &[]).or_else(|| view.find(f.compatibility, &[]))?;
        // The table's own length tells which reading is right; the flag goes first where both fit.
        [listed, 1 - listed].into_iter().find_map(|multiple| {
            let layout = view.layout_with(f.table, &[(f.multiple_sets, multiple)]).ok()?;
            let length = view.get_in(&layout, f.table_length, &[]).ok()?;
            let section = view.get_in(&layout, f.section, &[]).ok()?;
            let start = layout.leaf(f.section.path)?.offset;
            (start as i64 + section == length).then_some(layout)
        })
    }

    fn find(&self, field: Field, index: &[i64]) -> Option<i64> {
        self.view.get_in(self.layout.as_ref()?, field, index).ok()
    }

    /// A field of the required section: later fields are there only if its own length says so.
    fn section(&self, field: Field) -> Option<i64> {
        let layout = self.layout.as_ref()?;
        let f = &Fields::get().et42;
        let (leaf, start) = (layout.leaf(field.path)?, layout.leaf(f.section.path)?);
        let length = self.find(f.section, &[])?;
        if leaf.offset + leaf.size > start.offset + length as u64 {
            return None;
        }
        self.find(field, &[])
    }

    /// The number of entries of ET74.
    pub(crate) fn et74_entries(&self) -> Option<i64> {
        self.section(Fields::get().et42.et74_entries)
    }

    /// The number of entries of ET79.
    pub(crate) fn et79_entries(&self) -> Option<i64> {
        self.section(Fields::get().et42.et79_entries)
    }

    /// Which element of the array of sets 2 to 4 belongs to data set `n + 1`.
    fn element(&self, n: i64) -> Option<i64> {
        let masks = &Fields::get().et42.masks;
        let place = usize::try_from(n - 1).ok()?;
        if self.find(*masks.get(place)?, &[])? == 0 {
            return None;
        }
        Some(masks[..place].iter().map(|m| self.find(*m, &[]).unwrap_or(0)).sum())
    }
}

/// The source of a channel: the extended list of ET42 first, else BT62; 112..163 through ET66.
fn source_id(view: &View<'_, '_>, et42: &Et42<'_, '_, '_>, n: i64, c: i64, channels: i64) -> Option<i32> {
    let f = Fields::get();
    let id = extended_source(view, et42, n, c, channels).or_else(|| view.find(f.bt62_source, &[n, c]))?;
    let id = if MAPPED.contains(&id) { view.find(f.et66, &[id - MAPPED.start()]).unwrap_or(id) } else { id };
    i32::try_from(id).ok()
}

fn extended_source(view: &View<'_, '_>, et42: &Et42<'_, '_, '_>, n: i64, c: i64, channels: i64) -> Option<i64> {
    let f = &Fields::get().et42;
    if n == 0 {
        // The list of set 1 stands before anything that is in doubt.
        return (view.find(f.channels, &[])? == channels).then(|| view.find(f.source, &[c]))?;
    }
    let k = et42.element(n)?;
    (et42.find(f.set_channels, &[k])? == channels).then(|| et42.find(f.set_source, &[k, c]))?
}

/// What one count of a Wh or varh register is worth, if ET55 or ET42 says so.
pub(crate) fn register_unit(view: &View<'_, '_>) -> Option<i32> {
    energy_register_unit(view, &Et42::new(view))
}

/// What one count of a Wh or varh register is worth: ET55 first, ET42 else.
fn energy_register_unit(view: &View<'_, '_>, et42: &Et42<'_, '_, '_>) -> Option<i32> {
    // The supported units (MEP guide, ET55, p. 159).
    let known = |unit: Option<i64>| match unit {
        Some(unit @ (1 | 10 | 100)) => Some(unit as i32),
        _ => None,
    };
    known(et55_unit(view)).or_else(|| known(et42.section(Fields::get().et42.unit)))
}

fn et55_unit(view: &View<'_, '_>) -> Option<i64> {
    let f = Fields::get();
    // The field came with firmware 3.70 and CPM 1.20 (major version 1); before, its place holds something else.
    let firmware = view.find(f.firmware, &[])?;
    let since = if firmware < 2 << 12 { 1 << 12 | 20 << 5 } else { 3 << 12 | 70 << 5 };
    if firmware < since {
        return None;
    }
    view.find(f.et55_unit, &[])
}

/// The layout of ET21 (131 bytes an element, or 130) under which its sizes agree with BT61.
fn et21(view: &View<'_, '_>, n: i64) -> Option<Layout> {
    let f = Fields::get();
    let e = &f.et21;
    let size = view.table(e.table).ok()?.end();
    let default = i64::from(size % 131 == 0 || size % 130 != 0);
    let channels = view.find(f.channels, &[n])?;
    [default, 1 - default].into_iter().find_map(|gap| {
        let layout = view.layout_with(e.table, &[(e.gap, gap)]).ok()?;
        let get = |field: Field| view.get_in(&layout, field, &[n]).ok();
        let agrees = get(e.channels)? == channels
            && get(e.status_offset)? + get(e.status_size)? == get(e.interval_0)?
            && get(e.interval_0)? == get(e.header_size)? & 0xFF
            && get(e.channel_0)? == channels / 2 + 1
            && get(e.interval_size)? == channels / 2 + 1 + 4 * channels;
        agrees.then_some(layout)
    })
}

/// The layout of the data table; ET21 gives the block size where it agrees with BT61. With it the bytes of a block that
/// hold something: all up to the last value of the last interval.
pub(crate) fn data_layout(
    view: &View<'_, '_>,
    n: i64,
    config: &ProfileSet,
    whole: Option<usize>,
    used: impl Fn(&Layout) -> Option<u64>,
) -> Result<Layout, Missing> {
    let f = Fields::get();
    let table = f.data[n as usize];
    let plain = view.layout_with(table, &[])?;
    let least = used(&plain).unwrap_or(0);
    let size = et21(view, n).and_then(|layout| view.get_in(&layout, f.et21.block_size, &[n]).ok());
    match size {
        Some(size)
            if size as u64 > least && whole.is_none_or(|end| size.saturating_mul(config.blocks) <= end as i64) =>
        {
            view.layout_with(table, &[(f.block_size, size)])
        }
        _ => Ok(plain),
    }
}

/// Seconds after midnight (UTC) at which blocks were asked to start, from ET21 or ET42.
fn block_start(view: &View<'_, '_>, et42: &Et42<'_, '_, '_>, n: i64, channels: i64) -> Option<i64> {
    let f = Fields::get();
    let (hour, minute) = if let Some(layout) = et21(view, n) {
        (view.get_in(&layout, f.et21.hour, &[n]).ok()?, view.get_in(&layout, f.et21.minute, &[n]).ok()?)
    } else if n == 0 {
        if view.find(f.et42.channels, &[])? != channels {
            return None;
        }
        (view.find(f.et42.hour, &[])?, view.find(f.et42.minute, &[])?)
    } else {
        let k = et42.element(n)?;
        (et42.find(f.et42.set_hour, &[k])?, et42.find(f.et42.set_minute, &[k])?)
    };
    (hour <= 23 && minute <= 59).then_some(hour * 3600 + minute * 60)
}
