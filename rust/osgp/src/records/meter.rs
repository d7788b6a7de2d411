//! What is known of one meter while its records are decoded: its reads, and the dimensions that they give each other.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::OnceLock;

use crate::catalog::{Catalog, Path, TableIx, integer};
use crate::image::{Part, Read, TableImage, join};
use crate::layout::{Dimensions, Layout, Missing, resolve};
use crate::reject::Reject;
use crate::values;

/// Find a table of the catalogue once, by its id.
pub(crate) fn table(id: &str) -> TableIx {
    Catalog::get().id(id).expect("the decoders name tables of the catalogue")
}

/// Find a field of the catalogue once, by its path.
pub(crate) fn field(table: TableIx, path: &str) -> Field {
    let path = Catalog::get().table(table).path(path).expect("the decoders name fields of the catalogue");
    Field { table, path }
}

/// A field of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) table: TableIx,
    pub(crate) path: Path,
}

/// A source ID with its names: `unit` is that of the integer in the meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) id: Option<i32>,
    pub(crate) quantity: Option<&'static str>,
    pub(crate) unit: Option<&'static str>,
    pub(crate) obis: Option<&'static str>,
    pub(crate) energy: bool,
    pub(crate) cumulative: bool,
}

impl Source {
    /// The names of a source ID: of the extended ones type 0 is the 8-bit ID itself, type 4 an M-Bus or MEP value.
    pub(crate) fn new(id: Option<i32>) -> Self {
        let catalog = Catalog::get();
        let row = id.and_then(|id| catalog.sources.get(usize::try_from(id).ok()?));
        let extended = || id.and_then(|id| catalog.extended_sources.get(&id)).map(String::as_str);
        Self {
            id,
            quantity: row.and_then(|r| r.quantity.as_deref()).or_else(extended),
            unit: row.and_then(|r| r.raw_unit.as_deref()),
            obis: row.and_then(|r| r.obis.as_deref()),
            energy: row.is_some_and(|r| r.energy_register_unit),
            cumulative: row.is_some_and(|r| r.cumulative()),
        }
    }
}

/// The reads of one table, and whether they stand in the order of their sessions, of their appearance and of their times.
struct Reads<'a> {
    reads: Vec<Read<'a>>,
    by_session: bool,
    by_order: bool,
    by_time: bool,
}

impl<'a> Reads<'a> {
    fn new(reads: Vec<Read<'a>>) -> Self {
        let in_order = |f: fn(&Read<'a>, &Read<'a>) -> bool| reads.windows(2).all(|w| f(&w[0], &w[1]));
        let by_order = in_order(|a, b| a.order < b.order);
        Self {
            by_session: in_order(|a, b| a.session <= b.session),
            by_order,
            // Reads that all have a time stand in its order; where none has one, their places decide.
            by_time: if reads.iter().all(|r| r.read_at.is_none()) {
                by_order
            } else {
                reads.iter().all(|r| r.read_at.is_some())
            },
            reads,
        }
    }
}

/// No table of the catalogue.
const NONE: u16 = u16::MAX;

/// The reads of one meter, by table.
pub(crate) struct Meter<'a> {
    pub(crate) label: &'a str,
    pub(crate) tables: Vec<i32>,
    /// Whether rows were made with the guides' defaults, since dimensions or sources were not captured.
    pub(crate) assumed: Cell<bool>,
    /// Where in `reads` a table of the catalogue stands.
    slots: Vec<u16>,
    reads: Vec<Reads<'a>>,
}

impl<'a> Meter<'a> {
    /// Join the images of the tables that are needed; contradictions among them go to `rejects`.
    pub(crate) fn new(
        label: &'a str,
        images: &'a [TableImage<'a>],
        needed: &[TableIx],
        rejects: &mut Vec<Reject>,
    ) -> Self {
        let catalog = Catalog::get();
        let mut tables: Vec<i32> = images.iter().map(|i| i.table.0).collect();
        tables.sort_unstable();
        tables.dedup();
        let mut slots = vec![NONE; catalog.tables.len()];
        let mut reads = Vec::new();
        let mut of_table: Vec<(usize, &TableImage<'_>)> = Vec::new();
        // In order of the tables, so that rejects come in the same order from both implementations.
        for number in &tables {
            let Some(ix) = catalog.number(crate::image::TableId(*number)).filter(|ix| needed.contains(ix)) else {
                continue;
            };
            of_table.clear();
            of_table.extend(images.iter().enumerate().filter(|(_, i)| i.table.0 == *number));
            // By time where all have one (rows of a file may stand in any order), else as they come.
            if of_table.iter().all(|(_, i)| i.read_at.is_some()) {
                of_table.sort_by_key(|(_, i)| i.read_at);
            }
            slots[usize::from(ix.0)] = u16::try_from(reads.len()).unwrap_or(NONE);
            reads.push(Reads::new(join(label, &of_table, rejects)));
        }
        Self { label, tables, assumed: Cell::new(false), slots, reads }
    }

    fn of(&self, table: TableIx) -> Option<&Reads<'a>> {
        self.reads.get(usize::from(*self.slots.get(usize::from(table.0))?))
    }

    /// All reads of a table.
    pub(crate) fn reads(&self, table: TableIx) -> &[Read<'a>] {
        self.of(table).map_or(&[], |of| &of.reads)
    }

    /// The newest read of a table that is not later than `data`; else, of the later ones, the first.
    ///
    /// Times decide where both reads have one, else the session and the order of appearance; a read of the same session
    /// goes before one of another session.
    pub(crate) fn newest(&self, table: TableIx, data: Option<&Read<'a>>) -> Option<&Read<'a>> {
        let of = self.of(table)?;
        let reads = &of.reads;
        let Some(data) = data else { return reads.last() };
        if reads.len() <= 1 {
            return reads.first();
        }
        let later = |r: &Read<'_>| match (r.read_at, data.read_at) {
            (Some(t), Some(of_data)) => t > of_data,
            _ => r.order > data.order,
        };
        if of.by_session && (if data.read_at.is_some() { of.by_time } else { of.by_order }) {
            // They stand in order, so that none but the ones around it need be looked at.
            let first = reads.partition_point(|r| r.session < data.session);
            let same = &reads[first..];
            let same = &same[..same.partition_point(|r| r.session == data.session)];
            let not_later = same.partition_point(|r| !later(r));
            return match (same, not_later) {
                ([], _) => reads.get(first.saturating_sub(1)),
                (same, n) => same.get(n.saturating_sub(1)),
            };
        }
        reads
            .iter()
            .enumerate()
            .min_by_key(|(i, r)| {
                let same = r.session == data.session;
                let later = if same { later(r) } else { r.session > data.session };
                let i = *i as i64;
                (if same { 0 } else { 2 } + i64::from(later), if later { i } else { -i })
            })
            .map(|(_, r)| r)
    }

    /// The dimensions of this meter as they were when `read` was made; without it, the newest of everything.
    pub(crate) fn view<'m>(&'m self, read: Option<&'m Read<'a>>) -> View<'m, 'a> {
        let layouts = RefCell::new(vec![None; Catalog::get().tables.len()]);
        View { meter: self, read, layouts }
    }
}

/// A meter's dimensions as seen from one read.
pub(crate) struct View<'m, 'a> {
    pub(crate) meter: &'m Meter<'a>,
    read: Option<&'m Read<'a>>,
    layouts: RefCell<Vec<Option<Rc<Layout>>>>,
}

impl<'m, 'a> View<'m, 'a> {
    /// The read of a table that belongs to this one.
    pub(crate) fn table(&self, table: TableIx) -> Result<&'m Read<'a>, Missing> {
        self.meter.newest(table, self.read).ok_or(Missing(table))
    }

    /// The read whose bytes a layout of `table` is made for.
    fn own(&self, table: TableIx) -> Result<&'m Read<'a>, Missing> {
        match self.read {
            Some(read) if Catalog::get().number(read.table) == Some(table) => Ok(read),
            _ => self.table(table),
        }
    }

    /// The layout of a table of this meter.
    pub(crate) fn layout(&self, table: TableIx) -> Result<Rc<Layout>, Missing> {
        let slot = usize::from(table.0);
        if let Some(layout) = &self.layouts.borrow()[slot] {
            return Ok(layout.clone());
        }
        let layout = Rc::new(self.layout_with(table, &[])?);
        self.layouts.borrow_mut()[slot] = Some(layout.clone());
        Ok(layout)
    }

    /// The layout of a table under given answers to its open questions.
    pub(crate) fn layout_with(&self, table: TableIx, variables: &[(u8, i64)]) -> Result<Layout, Missing> {
        resolve(table, &Own { view: self, read: self.own(table)? }, variables)
    }

    /// An integer of a table; `index` are the elements of packed arrays and then of axes.
    pub(crate) fn get(&self, field: Field, index: &[i64]) -> Result<i64, Missing> {
        let layout = self.layout(field.table)?;
        self.get_in(&layout, field, index)
    }

    /// An integer of a table by a layout of it.
    pub(crate) fn get_in(&self, layout: &Layout, field: Field, index: &[i64]) -> Result<i64, Missing> {
        let read = self.table(field.table)?;
        layout
            .element(field.path, index)
            .and_then(|(leaf, at)| integer(leaf.ty, read.get(at, leaf.size)?))
            .ok_or(Missing(field.table))
    }

    /// `get`, or `None` where that is not there.
    pub(crate) fn find(&self, field: Field, index: &[i64]) -> Option<i64> {
        self.get(field, index).ok()
    }

    /// The bytes of a field outside arrays.
    pub(crate) fn octets(&self, field: Field) -> Option<&'m [u8]> {
        let layout = self.layout(field.table).ok()?;
        let leaf = layout.leaf(field.path)?;
        self.table(field.table).ok()?.get(leaf.offset, leaf.size)
    }

    /// A CHAR field.
    pub(crate) fn text(&self, field: Field) -> Option<String> {
        self.octets(field).map(values::text)
    }
}

struct Own<'v, 'm, 'a> {
    view: &'v View<'m, 'a>,
    read: &'m Read<'a>,
}

impl Dimensions for Own<'_, '_, '_> {
    fn value(&self, table: TableIx, path: Path, index: &[i64]) -> Result<i64, Missing> {
        self.view.get(Field { table, path }, index)
    }
    fn length(&self, table: TableIx) -> Result<i64, Missing> {
        Ok(self.view.table(table)?.end() as i64)
    }
    fn gen4(&self) -> Result<i64, Missing> {
        static FIRMWARE: OnceLock<Field> = OnceLock::new();
        let firmware = *FIRMWARE.get_or_init(|| field(table("BT01"), "firmware"));
        Ok(i64::from(self.view.get(firmware, &[])? >= 4 << 12))
    }
    fn own(&self, offset: u64, size: u64) -> Option<&[u8]> {
        self.read.get(offset, size)
    }
    fn size(&self) -> i64 {
        self.read.end() as i64
    }
}

/// A reject about a part of a read.
pub(crate) fn reject(meter: &str, read: &Read<'_>, code: &'static str, reason: String) -> Reject {
    Reject::new(code, reason).meter(meter).table(read.table).input(&read.input).read_at(read.read_at)
}

/// Note that a read cannot be decoded because a dimension table was not captured.
pub(crate) fn missing(meter: &str, read: &Read<'_>, missing: Missing) -> Reject {
    let (offset, data) = read.pieces.first().map_or((0, &[][..]), |(o, d)| (*o, &d[..]));
    let (needed, id) = (&Catalog::get().table(missing.0).id, read.table);
    reject(
        meter,
        read,
        "dimension.missing",
        format!(
            "{needed} was not captured, or not far enough, and without it {id} cannot be laid out; read {needed} together \
             with it"
        ),
    )
    .item(id.to_string())
    .offset(offset as i64)
    .data(data)
}

/// Which read, for people.
pub(crate) fn which(read: &Read<'_>) -> String {
    let input = if read.input.is_empty() { "a read" } else { &read.input };
    match read.read_at {
        Some(at) => format!("{input} at {}", values::describe_time(at)),
        None => format!("{input} at an unknown time"),
    }
}

/// The bytes of a part, however many are there, and where the first one is.
pub(crate) fn available<'r>(part: &Part<'r>, offset: u64) -> Option<(i64, &'r [u8])> {
    match *part {
        Part::All(data) => Some((offset as i64, data)),
        Part::Some(from, data) => Some((from as i64, data)),
        Part::None => None,
    }
}
