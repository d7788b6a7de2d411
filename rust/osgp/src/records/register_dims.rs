//! The dimensions of the register tables (BT21, on old firmware BT20, or the guides' defaults), and what is made of them once
//! for all reads whose dimension tables hold the same bytes.

use std::rc::Rc;
use std::sync::OnceLock;

use super::meter::{Field, Meter, View, field, table};
use crate::catalog::{Catalog, Path, TableIx};
use crate::image::Read;
use crate::layout::{Dimensions, Missing, resolve};

/// A variable of the register tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dim {
    ResetCounter,
    EventTime,
    Cumulative,
    Continuous,
    TimeRemaining,
    SelfReads,
    Summations,
    Demands,
    Coincidents,
    Occurrences,
    Tiers,
    PresentDemands,
    PresentValues,
}

const DIMS: usize = 13;

/// Every variable: its name, the field of BT21 and BT20 behind it, and the guides' default (no demand, 11 summations, 4 tiers;
/// MEP guide pp. 201-202, 207). How many self-reads or present values there are by default is counted in the data.
const ROWS: [(Dim, &str, &str, i64); DIMS] = [
    (Dim::ResetCounter, "has_reset_counter", "flags_1.demand_reset_counter", 0),
    (Dim::EventTime, "has_event_time", "flags_1.date_time", 1),
    (Dim::Cumulative, "has_cumulative", "flags_1.cumulative_demand", 0),
    (Dim::Continuous, "has_continuous", "flags_1.continuous_cumulative_demand", 0),
    (Dim::TimeRemaining, "has_time_remaining", "flags_1.time_remaining", 0),
    (Dim::SelfReads, "self_reads", "self_reads", 0),
    (Dim::Summations, "summations", "summations", 11),
    (Dim::Demands, "demands", "demands", 0),
    (Dim::Coincidents, "coincidents", "coincident_values", 0),
    (Dim::Occurrences, "occurrences", "occurrences", 0),
    (Dim::Tiers, "tiers", "tiers", 4),
    (Dim::PresentDemands, "present_demands", "present_demands", 0),
    (Dim::PresentValues, "present_values", "present_values", 0),
];

/// Firmware 2.0 to 2.10 has no BT21 (Optical guide pp. 19-20, 24). Packed as in BT01.
const WITHOUT_BT21: std::ops::Range<i64> = 2 << 12..2 << 12 | 12 << 5;

struct Fields {
    bt21: TableIx,
    firmware: Field,
    by_bt20: [Field; DIMS],
    by_bt21: [Field; DIMS],
}

fn fields() -> &'static Fields {
    static FIELDS: OnceLock<Fields> = OnceLock::new();
    FIELDS.get_or_init(|| {
        let all = |id: &str| ROWS.map(|(_, _, path, _)| field(table(id), path));
        Fields {
            bt21: table("BT21"),
            firmware: field(table("BT01"), "firmware"),
            by_bt20: all("BT20"),
            by_bt21: all("BT21"),
        }
    })
}

/// The dimensions of one table, by the variables that it asks for.
#[derive(Clone, Debug)]
pub(crate) struct Dims {
    values: [i64; DIMS],
    /// Whether they are the guides' defaults.
    pub(crate) assumed: bool,
}

impl Dims {
    pub(crate) fn get(&self, dim: Dim) -> i64 {
        self.values[dim as usize]
    }

    /// As the answers to the variables of a table.
    pub(crate) fn given(&self, table: TableIx) -> Vec<(u8, i64)> {
        let table = Catalog::get().table(table);
        let number = |name: &str| table.variable(name);
        ROWS.iter().filter_map(|(dim, name, ..)| Some((number(name)?, self.get(*dim)))).collect()
    }
}

/// The dimensions of the table of `read`; the error names BT21.
pub(crate) fn dimensions(
    view: &View<'_, '_>,
    table: TableIx,
    read: &Read<'_>,
    assume_defaults: bool,
) -> Result<Dims, Missing> {
    let f = fields();
    let wanted = Catalog::get().table(table);
    let of = |fields: &[Field; DIMS]| {
        let mut values = [0; DIMS];
        for ((value, field), (_, name, ..)) in values.iter_mut().zip(fields).zip(&ROWS) {
            if wanted.variable(name).is_some() {
                *value = view.find(*field, &[])?;
            }
        }
        Some(Dims { values, assumed: false })
    };
    if let Some(found) = of(&f.by_bt21) {
        return Ok(found);
    }
    if view.table(f.bt21).is_err()
        && let Some(found) = of(&f.by_bt20)
    {
        // A later meter's BT20 holds the largest dimensions, which fit no data.
        let ours = match view.find(f.firmware, &[]) {
            Some(firmware) => WITHOUT_BT21.contains(&firmware),
            None => {
                read.whole
                    && view.layout_with(table, &found.given(table))?.size == u64::try_from(read.end()).unwrap_or(0)
            }
        };
        if ours {
            return Ok(found);
        }
    }
    if assume_defaults {
        return Ok(Dims { values: ROWS.map(|(.., default)| default), assumed: true });
    }
    Err(Missing(f.bt21))
}

/// The firmware of BT01, packed.
pub(crate) fn firmware(view: &View<'_, '_>) -> Option<i64> {
    view.find(fields().firmware, &[])
}

/// Asks nothing: the layout of a table whose rows never move.
struct Still;

impl Dimensions for Still {
    fn value(&self, table: TableIx, _: Path, _: &[i64]) -> Result<i64, Missing> {
        Err(Missing(table))
    }
    fn length(&self, table: TableIx) -> Result<i64, Missing> {
        Err(Missing(table))
    }
    fn gen4(&self) -> Result<i64, Missing> {
        Err(Missing(fields().firmware.table))
    }
    fn own(&self, _: u64, _: u64) -> Option<&[u8]> {
        None
    }
    fn size(&self) -> i64 {
        0
    }
}

/// Where BT01 has its firmware.
fn firmware_bytes<'r>(read: &'r Read<'_>) -> Option<&'r [u8]> {
    static PLACE: OnceLock<(u64, u64)> = OnceLock::new();
    let (at, size) = *PLACE.get_or_init(|| {
        let firmware = fields().firmware;
        let leaf = resolve(firmware.table, &Still, &[]).ok().and_then(|layout| layout.leaf(firmware.path).copied());
        leaf.map_or((0, 0), |leaf| (leaf.offset, leaf.size))
    });
    read.get(at, size)
}

/// What a result follows from: the bytes of the tables that it depends on, as they are for one read.
pub(crate) struct Basis<'r, 'a> {
    table: TableIx,
    tables: [Option<&'r Read<'a>>; MAX_TABLES],
    /// BT01 differs from meter to meter, its firmware does not.
    firmware: Option<&'r [u8]>,
    /// Where defaults may be needed, the length of the data decides with them.
    length: Option<(bool, usize)>,
    /// What else there is.
    pub(crate) other: Option<i32>,
}

/// The most tables of a basis.
const MAX_TABLES: usize = 4;

impl<'r, 'a> Basis<'r, 'a> {
    /// The basis of what is made of `table` from `tables`, at most four.
    pub(crate) fn new(meter: &'r Meter<'a>, table: TableIx, read: &'r Read<'a>, tables: &[TableIx]) -> Self {
        let mut reads = [None; MAX_TABLES];
        for (to, table) in reads.iter_mut().zip(tables) {
            *to = meter.newest(*table, Some(read));
        }
        Self {
            table,
            tables: reads,
            firmware: meter.newest(fields().firmware.table, Some(read)).and_then(firmware_bytes),
            length: None,
            other: None,
        }
    }

    /// Let the length of the data decide too, if defaults may be needed.
    pub(crate) fn with_length(mut self, meter: &Meter<'_>, read: &Read<'_>, assume_defaults: bool) -> Self {
        let needed = assume_defaults || meter.reads(fields().bt21).is_empty();
        self.length = needed.then(|| (read.whole, read.end()));
        self
    }

    fn is(&self, kept: &Kept) -> bool {
        let same = |read: &Option<&Read<'_>>, kept: &Option<Pieces>| match (read, kept) {
            (None, None) => true,
            (Some(read), Some(kept)) => {
                read.pieces.len() == kept.len()
                    && read.pieces.iter().zip(kept).all(|((a, data), (b, bytes))| a == b && data[..] == bytes[..])
            }
            _ => false,
        };
        self.table == kept.table
            && self.other == kept.other
            && self.length == kept.length
            && self.firmware == kept.firmware.as_deref()
            && self.tables.iter().zip(&kept.tables).all(|(read, kept)| same(read, kept))
    }

    fn kept(&self) -> Kept {
        let own = |r: &Read<'_>| r.pieces.iter().map(|(at, data)| (*at, data.to_vec())).collect();
        Kept {
            table: self.table,
            tables: self.tables.map(|read| read.map(own)),
            firmware: self.firmware.map(<[u8]>::to_vec),
            length: self.length,
            other: self.other,
        }
    }
}

type Pieces = Vec<(usize, Vec<u8>)>;

/// A basis with bytes of its own.
struct Kept {
    table: TableIx,
    tables: [Option<Pieces>; MAX_TABLES],
    firmware: Option<Vec<u8>>,
    length: Option<(bool, usize)>,
    other: Option<i32>,
}

/// Results by their basis, the last used first: the meters of a fleet have few configurations.
pub(crate) struct Cache<T> {
    entries: Vec<(Kept, Rc<T>)>,
}

impl<T> Cache<T> {
    const MAX: usize = 32;

    pub(crate) fn new() -> Self {
        Self { entries: Vec::new() }
    }

    pub(crate) fn find(&mut self, basis: &Basis<'_, '_>) -> Option<Rc<T>> {
        let i = self.entries.iter().position(|(kept, _)| basis.is(kept))?;
        self.entries[..=i].rotate_right(1);
        self.entries.first().map(|(_, found)| found.clone())
    }

    pub(crate) fn put(&mut self, basis: &Basis<'_, '_>, made: T) -> Rc<T> {
        let made = Rc::new(made);
        self.entries.truncate(Self::MAX - 1);
        self.entries.insert(0, (basis.kept(), made.clone()));
        made
    }
}
