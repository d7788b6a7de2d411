//! From a catalogue entry and one meter's dimensions and firmware to a layout: plain offsets, counts and strides.
//!
//! Firmware rules and dimension formulas exist here and in the catalogue only; loops over bytes see layouts only.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::OnceLock;

use crate::catalog::{Catalog, Field, Formula, Kind, Name, Path, Table, TableIx, Type, integer};

/// More leaves than any table of the guides has; a packed array of a damaged meter ends here.
pub const MAX_LEAVES: usize = 10_000;
/// Old firmware has no actual register or log dimensions; those of the largest configuration, of the same layout, stand in
/// (Optical guide pp. 19, 49).
pub const STAND_INS: [(&str, &str); 2] = [("BT21", "BT20"), ("BT71", "BT70")];
const FIRMWARE_4: i64 = 4 << 12;
const MAX_AXES: usize = 4;
const MAX_PACKED: usize = 2;

/// A table whose fields size another one was not read, or not far enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing(pub TableIx);

/// An array around a leaf: how many elements, and how far apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Axis {
    /// Elements.
    pub count: u64,
    /// Bytes from one to the next.
    pub stride: u64,
}

/// A value in a table: the bytes of element 0 of every axis, and for packed arrays the elements that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Which field.
    pub path: Path,
    /// How to read it.
    pub ty: Type,
    /// What it means.
    pub kind: Kind,
    /// Where it starts.
    pub offset: u64,
    /// Its bytes.
    pub size: u64,
    packed: [u16; MAX_PACKED],
    packed_len: u8,
    axes: [Axis; MAX_AXES],
    axes_len: u8,
}

impl Leaf {
    /// The elements of packed arrays that it stands in.
    pub fn packed(&self) -> &[u16] {
        &self.packed[..usize::from(self.packed_len)]
    }
    /// The arrays around it, outermost first.
    pub fn axes(&self) -> &[Axis] {
        &self.axes[..usize::from(self.axes_len)]
    }
    /// The offset of one element, one index per axis; `None` outside of them.
    pub fn at(&self, index: &[u64]) -> Option<u64> {
        let axes = self.axes();
        if index.len() != axes.len() || index.iter().zip(axes).any(|(i, axis)| *i >= axis.count) {
            return None;
        }
        index.iter().zip(axes).try_fold(self.offset, |at, (i, axis)| at.checked_add(i.checked_mul(axis.stride)?))
    }
    /// One past its last byte in one element of the `outer` arrays around it.
    fn end(&self, outer: usize) -> u64 {
        let inner = self.axes().get(outer..).unwrap_or_default();
        inner.iter().fold(self.offset.saturating_add(self.size), |end, axis| {
            end.saturating_add(axis.count.saturating_sub(1).saturating_mul(axis.stride))
        })
    }
    /// The offset of an element whose indices are those of packed arrays first and of axes then.
    pub fn element(&self, index: &[i64]) -> Option<u64> {
        let packed = self.packed();
        let (head, tail) = index.split_at_checked(packed.len())?;
        if !head.iter().zip(packed).all(|(i, p)| *i == i64::from(*p)) || tail.len() > MAX_AXES {
            return None;
        }
        let mut place = [0; MAX_AXES];
        for (to, from) in place.iter_mut().zip(tail) {
            *to = u64::try_from(*from).ok()?;
        }
        self.at(&place[..tail.len()])
    }
}

/// All leaves of a table for one meter, in the order of the guide, and the bytes that they take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The leaves.
    pub leaves: Vec<Leaf>,
    /// One past the last byte.
    pub size: u64,
    /// The table without which it ends early.
    pub missing: Option<TableIx>,
}

impl Layout {
    /// The leaf of that path that holds the element, and where the element starts.
    pub fn element(&self, path: Path, index: &[i64]) -> Option<(&Leaf, u64)> {
        self.leaves.iter().filter(|l| l.path == path).find_map(|l| Some((l, l.element(index)?)))
    }
    /// The first leaf of that path.
    pub fn leaf(&self, path: Path) -> Option<&Leaf> {
        self.leaves.iter().find(|l| l.path == path)
    }
}

/// What a layout asks about the rest of the meter.
pub trait Dimensions {
    /// The value of a field of another table.
    fn value(&self, table: TableIx, path: Path, index: &[i64]) -> Result<i64, Missing>;
    /// The length of another table as read.
    fn length(&self, table: TableIx) -> Result<i64, Missing>;
    /// 1 if the firmware is 4.0 or later.
    fn gen4(&self) -> Result<i64, Missing>;
    /// Some bytes of the table itself: some tables are sized by their own fields.
    fn own(&self, offset: u64, size: u64) -> Option<&[u8]>;
    /// The length of the table itself as read.
    fn size(&self) -> i64;
}

struct Resolver<'a, D> {
    ix: TableIx,
    table: &'a Table,
    dimensions: &'a D,
    given: &'a [(u8, i64)],
    leaves: Vec<Leaf>,
    index: [i64; 8],
}

/// The layout of a table for one meter. Where the table is too short to tell how it goes on, the layout ends there; a
/// dimension missing in another table is an error. `given` answers questions that the table leaves open, by number of the variable.
pub fn resolve(ix: TableIx, dimensions: &impl Dimensions, given: &[(u8, i64)]) -> Result<Layout, Missing> {
    let (layout, stop) = run(ix, dimensions, given);
    match stop {
        Some(missing) if missing.0 != ix || layout.leaves.is_empty() => Err(missing),
        _ => Ok(layout),
    }
}

/// `resolve`, but where another table is missing the layout ends, too, and names it.
pub fn resolve_partial(ix: TableIx, dimensions: &impl Dimensions, given: &[(u8, i64)]) -> Layout {
    let (layout, stop) = run(ix, dimensions, given);
    Layout { missing: stop.map(|missing| missing.0).filter(|table| *table != ix), ..layout }
}

fn run(ix: TableIx, dimensions: &impl Dimensions, given: &[(u8, i64)]) -> (Layout, Option<Missing>) {
    let table = Catalog::get().table(ix);
    let mut resolver =
        Resolver { ix, table, dimensions, given, leaves: Vec::with_capacity(table.paths.len()), index: [0; 8] };
    let root = Frame { axes: [Axis::default(); MAX_AXES], axes_len: 0, packed: [0; MAX_PACKED], packed_len: 0 };
    let (size, stop) = match resolver.fields(&table.fields, 0, root) {
        Ok(size) => (size, None),
        Err(missing) => (resolver.leaves.iter().map(|l| l.end(0)).max().unwrap_or(0), Some(missing)),
    };
    (Layout { leaves: resolver.leaves, size, missing: None }, stop)
}

#[derive(Clone, Copy)]
struct Frame {
    axes: [Axis; MAX_AXES],
    axes_len: u8,
    packed: [u16; MAX_PACKED],
    packed_len: u8,
}

impl<D: Dimensions> Resolver<'_, D> {
    fn number(&self, formula: &Formula) -> Result<i64, Missing> {
        formula.eval(&mut |name, index| self.name(*name, index))
    }

    fn name(&self, name: Name, index: &[i64]) -> Result<i64, Missing> {
        match name {
            Name::Size => Ok(self.dimensions.size()),
            Name::Gen4 => self.dimensions.gen4(),
            Name::Index(i) => Ok(self.index[usize::from(i) % self.index.len()]),
            Name::Variable(i) => match self.given.iter().find(|(v, _)| *v == i) {
                Some((_, value)) => Ok(*value),
                None => self.number(&self.table.variables[usize::from(i)].1),
            },
            Name::Length(table) if table == self.ix => Ok(self.dimensions.size()),
            Name::Length(table) => self.dimensions.length(table),
            Name::Field(table, path) if table == self.ix => {
                let found = self.leaves.iter().filter(|l| l.path == path).find_map(|l| Some((l, l.element(index)?)));
                found
                    .and_then(|(leaf, at)| integer(leaf.ty, self.dimensions.own(at, leaf.size)?))
                    .ok_or(Missing(self.ix))
            }
            Name::Field(table, path) => self.dimensions.value(table, path, index),
        }
    }

    fn fields(&mut self, fields: &[Field], mut offset: u64, frame: Frame) -> Result<u64, Missing> {
        for field in fields {
            offset = self.field(field, offset, frame)?;
        }
        Ok(offset)
    }

    fn field(&mut self, field: &Field, offset: u64, frame: Frame) -> Result<u64, Missing> {
        if let Some(when) = &field.when
            && self.number(when)? == 0
        {
            return Ok(offset);
        }
        if let Some(count) = &field.count {
            let count = self.number(count)?;
            return self.array(field, count, offset, frame);
        }
        let size = match &field.size {
            Some(size) => self.number(size)?.try_into().unwrap_or(0),
            None => u64::from(field.width),
        };
        self.leaf(field, offset, size, frame)?;
        for member in &field.of {
            self.leaf(member, offset, size, frame)?;
        }
        Ok(offset.saturating_add(size))
    }

    fn array(&mut self, field: &Field, count: i64, mut offset: u64, frame: Frame) -> Result<u64, Missing> {
        let mut count: u64 = count.try_into().unwrap_or(0);
        if let Some(max) = field.max {
            count = count.min(u64::from(max));
        }
        if field.packed {
            // Elements without a leaf take no bytes, and any number of them no time.
            for i in 0..count.min(MAX_LEAVES as u64 + 1) {
                if let Some(slot) = field.index.and_then(|ix| self.index.get_mut(usize::from(ix))) {
                    *slot = i as i64;
                }
                let mut inner = frame;
                *inner.packed.get_mut(usize::from(frame.packed_len)).ok_or(Missing(self.ix))? = i as u16;
                inner.packed_len += 1;
                offset = self.fields(&field.of, offset, inner)?;
            }
            return Ok(offset);
        }
        let mark = self.leaves.len();
        let slot = usize::from(frame.axes_len);
        let mut inner = frame;
        *inner.axes.get_mut(slot).ok_or(Missing(self.ix))? = Axis { count, stride: 0 };
        inner.axes_len += 1;
        let end = self.fields(&field.of, offset, inner);
        let sizes = end.and_then(|end| {
            let natural = end - offset;
            let given = field.stride.as_ref().map(|stride| self.number(stride)).transpose()?;
            Ok((natural, given.map_or(natural, |given| given.try_into().unwrap_or(0))))
        });
        // Without its stride an array has no places.
        let (natural, stride) = sizes.inspect_err(|_| self.leaves.truncate(mark))?;
        if stride < natural {
            // An element of older firmware: what would reach into the next one is not there.
            let limit = offset.saturating_add(stride);
            let mut at = 0;
            self.leaves.retain(|leaf| {
                at += 1;
                at <= mark || leaf.end(slot + 1) <= limit
            });
        }
        for leaf in &mut self.leaves[mark..] {
            leaf.axes[slot].stride = stride;
        }
        Ok(offset.saturating_add(count.saturating_mul(stride)))
    }

    fn leaf(&mut self, field: &Field, offset: u64, size: u64, frame: Frame) -> Result<(), Missing> {
        if self.leaves.len() >= MAX_LEAVES {
            return Err(Missing(self.ix));
        }
        self.leaves.push(Leaf {
            path: field.path,
            ty: field.ty,
            kind: field.kind,
            offset,
            size,
            packed: frame.packed,
            packed_len: frame.packed_len,
            axes: frame.axes,
            axes_len: frame.axes_len,
        });
        Ok(())
    }
}

/// The tables of one meter as bytes: the dimensions that they give each other.
pub struct TableSet<'a> {
    tables: Vec<Option<&'a [u8]>>,
    layouts: RefCell<Vec<Laid>>,
}

#[derive(Clone)]
enum Laid {
    Not,
    Now,
    Done(Rc<Layout>),
}

impl Default for TableSet<'_> {
    fn default() -> Self {
        let tables = Catalog::get().tables.len();
        Self { tables: vec![None; tables], layouts: RefCell::new(vec![Laid::Not; tables]) }
    }
}

impl<'a> TableSet<'a> {
    /// Add a table, before the first layout.
    pub fn insert(&mut self, table: TableIx, data: &'a [u8]) {
        if let Some(slot) = self.tables.get_mut(usize::from(table.0)) {
            *slot = Some(data);
        }
    }

    /// The bytes of a table.
    pub fn get(&self, table: TableIx) -> Option<&'a [u8]> {
        *self.tables.get(usize::from(table.0))?
    }

    /// The table, or the one that stands in for it, and its bytes.
    fn find(&self, table: TableIx) -> Result<(TableIx, &'a [u8]), Missing> {
        if let Some(data) = self.get(table) {
            return Ok((table, data));
        }
        let other = stand_in(table).ok_or(Missing(table))?;
        self.get(other).map(|data| (other, data)).ok_or(Missing(table))
    }

    /// The layout of one of the tables, as far as the others tell it; `None` for a table that is not here.
    pub fn layout(&self, table: TableIx) -> Option<Rc<Layout>> {
        let data = self.get(table)?;
        let slot = usize::from(table.0);
        let laid = std::mem::replace(self.layouts.borrow_mut().get_mut(slot)?, Laid::Now);
        let layout = match laid {
            Laid::Done(layout) => layout,
            Laid::Not => Rc::new(resolve_partial(table, &Of { set: self, data }, &[])),
            // Two tables that size each other: the catalogue has none, and a loop it would be.
            Laid::Now => return None,
        };
        if let Some(to) = self.layouts.borrow_mut().get_mut(slot) {
            *to = Laid::Done(layout.clone());
        }
        Some(layout)
    }

    fn value(&self, table: TableIx, path: Path, index: &[i64]) -> Result<i64, Missing> {
        let (found, data) = self.find(table)?;
        let layout = self.layout(found).ok_or(Missing(table))?;
        let catalog = Catalog::get();
        let path = match found == table {
            true => Some(path),
            false => catalog.table(found).path(&catalog.table(table).paths[usize::from(path.0)]),
        };
        path.and_then(|path| layout.element(path, index))
            .and_then(|(leaf, at)| integer(leaf.ty, bytes(data, at, leaf.size)?))
            .ok_or(Missing(layout.missing.unwrap_or(table)))
    }
}

/// The bytes of a table that are there.
fn bytes(data: &[u8], offset: u64, size: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    data.get(start..start.checked_add(usize::try_from(size).ok()?)?)
}

struct Of<'s, 'a> {
    set: &'s TableSet<'a>,
    data: &'a [u8],
}

impl Dimensions for Of<'_, '_> {
    fn value(&self, table: TableIx, path: Path, index: &[i64]) -> Result<i64, Missing> {
        self.set.value(table, path, index)
    }
    fn length(&self, table: TableIx) -> Result<i64, Missing> {
        Ok(self.set.find(table)?.1.len() as i64)
    }
    fn gen4(&self) -> Result<i64, Missing> {
        let firmware = firmware();
        Ok(i64::from(self.set.value(firmware.0, firmware.1, &[])? >= FIRMWARE_4))
    }
    fn own(&self, offset: u64, size: u64) -> Option<&[u8]> {
        bytes(self.data, offset, size)
    }
    fn size(&self) -> i64 {
        self.data.len() as i64
    }
}

fn stand_in(table: TableIx) -> Option<TableIx> {
    let id = &Catalog::get().table(table).id;
    STAND_INS.iter().find(|(of, _)| of == id).and_then(|(_, other)| Catalog::get().id(other))
}

fn firmware() -> (TableIx, Path) {
    static FIRMWARE: OnceLock<(TableIx, Path)> = OnceLock::new();
    *FIRMWARE.get_or_init(|| {
        let bt01 = Catalog::get().id("BT01").expect("BT01 is in the catalogue");
        (bt01, Catalog::get().table(bt01).path("firmware").expect("BT01 has the firmware version"))
    })
}

/// What the layout of a table depends on, besides its own length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Other tables, and those that they depend on, in order of the catalogue.
    pub tables: Vec<TableIx>,
    /// Whether its own fields size it.
    pub own: bool,
}

/// What the layout of a table depends on.
pub fn needs(table: TableIx) -> &'static Needs {
    static NEEDS: OnceLock<Vec<Needs>> = OnceLock::new();
    let all = NEEDS.get_or_init(|| {
        let direct: Vec<Vec<TableIx>> = Catalog::get().tables.iter().map(named).collect();
        (0..direct.len()).map(|table| closure(TableIx(table as u16), &direct)).collect()
    });
    &all[usize::from(table.0)]
}

fn closure(table: TableIx, direct: &[Vec<TableIx>]) -> Needs {
    let mut needs = Needs::default();
    let mut open = direct[usize::from(table.0)].clone();
    while let Some(next) = open.pop() {
        if next == table {
            needs.own = true;
        } else if let Err(place) = needs.tables.binary_search_by_key(&next.0, |t| t.0) {
            needs.tables.insert(place, next);
            open.extend(stand_in(next));
            // That a table is sized by its own fields is its own affair, unless two size each other.
            open.extend(direct[usize::from(next.0)].iter().filter(|t| **t != next));
        }
    }
    needs
}

/// The tables that the formulas of a table name.
fn named(table: &Table) -> Vec<TableIx> {
    fn walk(fields: &[Field], see: &mut impl FnMut(&Formula)) {
        for field in fields {
            [&field.size, &field.count, &field.stride, &field.when].into_iter().flatten().for_each(&mut *see);
            walk(&field.of, see);
        }
    }
    let mut found = Vec::new();
    let mut see = |formula: &Formula| {
        formula.any(&mut |name| {
            match name {
                Name::Field(table, _) | Name::Length(table) => found.push(*table),
                Name::Gen4 => found.push(firmware().0),
                Name::Size | Name::Index(_) | Name::Variable(_) => {}
            }
            false
        });
    };
    walk(&table.fields, &mut see);
    table.variables.iter().for_each(|(_, formula)| see(formula));
    found
}
