//! What the guides say about every table, as rows of data.
//!
//! The rows are written in Python (`python/osgp_fast/catalog/`) and embedded here as the generated `catalog.json`; this
//! module gives every table, field and expression a number, so that layouts are made without a look at a string.

pub mod expr;
pub mod mbus;

use std::collections::HashMap;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::image::TableId;
use expr::{Expr, ExprError, parse};

const JSON: &str = include_str!("catalog.json");

/// A table's place in [`Catalog::tables`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableIx(pub u16);

/// A field's place in [`Table::paths`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path(pub u16);

/// A name in an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// The table's length as read.
    Size,
    /// 1 on firmware 4.0 and later.
    Gen4,
    /// The element of the enclosing array with this number.
    Index(u8),
    /// A question that the table leaves open.
    Variable(u8),
    /// A field of a table.
    Field(TableIx, Path),
    /// The length of another table.
    Length(TableIx),
}

/// An expression whose names are numbers.
pub type Formula = Expr<Name>;

/// How the bytes of a field are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Unsigned, least significant byte first.
    Unsigned,
    /// Signed two's complement, least significant byte first.
    Signed,
    /// Unsigned, most significant byte first: the firmware version of BT01, and nothing else.
    UnsignedBe,
    /// A bit range of its bytes, from the least significant bit.
    Bits(u8, u8),
    /// Bytes that are no number: text, digits, dates, sets.
    Octets,
}

/// What the bytes of a field mean: the types of the guides, as `python/osgp_fast/codec/values.py` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number; also an RDATE.
    Int,
    /// One bit, true or false.
    Bool,
    /// CHAR: Latin-1 without the NULs at its end.
    Text,
    /// BCD: hex digits, two a byte.
    Digits,
    /// SET: the numbers of the bits that are set.
    Set,
    /// TIME.
    Time,
    /// STIME_DATE and LTIME_DATE.
    Moment {
        /// Whether the guides say that it is UTC.
        utc: bool,
    },
    /// DATE: year, month and day, a byte each.
    Date,
    /// ANSI_DATE: year, month and day in one word.
    AnsiDate,
    /// PED and all others.
    Octets,
    /// A word whose bits are the rows in `of`.
    Word,
    /// An array of the rows in `of`.
    Array,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Field {
    /// The name within its array or table.
    pub name: String,
    /// How to read it; an array is known by `count`.
    pub ty: Type,
    /// What it means.
    pub kind: Kind,
    /// Its place in [`Table::paths`]; no leaf has an array's.
    pub path: Path,
    /// Bytes, for types without a width of their own.
    pub size: Option<Formula>,
    /// Bytes, for types with one.
    pub width: u32,
    /// Members: the bits of a word, or the rows of an element.
    pub of: Vec<Field>,
    /// The number of elements of an array.
    pub count: Option<Formula>,
    /// The most elements that are believed.
    pub max: Option<u32>,
    /// The number of the array's index, if it has one.
    pub index: Option<u8>,
    /// The distance of elements where the meter gives it.
    pub stride: Option<Formula>,
    /// Whether elements differ in size and are packed.
    pub packed: bool,
    /// Zero: the field's bytes are not there.
    pub when: Option<Formula>,
}

/// One table.
#[derive(Clone, Debug)]
pub struct Table {
    /// `BT61`.
    pub id: String,
    /// Its number on the wire.
    pub number: TableId,
    /// Its rows in the order of the guide.
    pub fields: Vec<Field>,
    /// The names and default answers of its variables.
    pub variables: Vec<(String, Formula)>,
    /// The dotted path of every field.
    pub paths: Vec<String>,
    keys: HashMap<String, Path>,
}

impl Table {
    /// The field of a dotted path or printed offset.
    pub fn path(&self, key: &str) -> Option<Path> {
        self.keys.get(key).copied()
    }
    /// The number of a variable.
    pub fn variable(&self, name: &str) -> Option<u8> {
        self.variables.iter().position(|(n, _)| n == name).and_then(|i| u8::try_from(i).ok())
    }
}

/// A source ID's names.
#[derive(Clone, Debug, Deserialize)]
pub struct SourceRow {
    /// 0 to 244.
    pub id: i32,
    /// The name in the fixed vocabulary.
    pub quantity: Option<String>,
    /// The unit of the integer in the meter.
    pub raw_unit: Option<String>,
    /// The unit that people use.
    pub unit: Option<String>,
    /// What the integer is multiplied with to be in `unit`.
    pub scale: Option<f64>,
    /// Whether the energy register unit applies.
    pub energy_register_unit: bool,
    /// `energy`, `counter`, `instantaneous` ...
    pub kind: String,
    /// The OBIS code, where one exists.
    pub obis: Option<String>,
}

impl SourceRow {
    /// Whether the register only grows, so that differences mean something.
    pub fn cumulative(&self) -> bool {
        matches!(self.kind.as_str(), "energy" | "counter" | "tier energy" | "tier counter")
    }
}

/// The whole catalogue.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// Every table.
    pub tables: Vec<Table>,
    /// By the number itself: it is looked up for every image.
    by_number: Vec<Option<TableIx>>,
    by_id: HashMap<String, TableIx>,
    /// Every 8-bit source ID.
    pub sources: Vec<SourceRow>,
    /// The quantities of extended source IDs that stand for M-Bus and MEP values.
    pub extended_sources: HashMap<i32, String>,
    /// The source IDs of BT23's summations in the order of the guides' list, which BT22 may replace.
    pub summation_order: Vec<i32>,
    /// The summations that no source ID names: place, quantity, unit.
    pub unlisted_summations: Vec<(usize, String, String)>,
    /// The source IDs of BT28's present values in the order of the guides' list, which BT27 may replace.
    pub present_order: Vec<i32>,
    /// Names of events by number: 0..63 of the standard, 64 + n of the manufacturer.
    pub events: HashMap<u16, String>,
    /// Names of alarms by byte and bit of BT03.
    pub alarms: HashMap<(u8, u8), String>,
    /// The codes of M-Bus.
    pub mbus: mbus::Mbus,
}

impl Catalog {
    /// The catalogue of the guides, read once.
    pub fn get() -> &'static Catalog {
        static CATALOG: OnceLock<Catalog> = OnceLock::new();
        CATALOG.get_or_init(|| Catalog::from_json(JSON).expect("catalog.json is generated and tested"))
    }

    /// The table with that number on the wire.
    pub fn number(&self, id: TableId) -> Option<TableIx> {
        *self.by_number.get(usize::try_from(id.0).ok()?)?
    }

    /// The table called `BT61`.
    pub fn id(&self, id: &str) -> Option<TableIx> {
        self.by_id.get(id).copied()
    }

    /// A table by its place.
    pub fn table(&self, ix: TableIx) -> &Table {
        &self.tables[usize::from(ix.0)]
    }

    /// The name of a 12-bit event code as logged; bit 11 marks a manufacturer event, and NES numbers these from 64.
    pub fn event(&self, code: u16) -> Option<&str> {
        let id = if code & 0x800 != 0 { 64 + (code & 0x7FF) } else { code };
        self.events.get(&id).map(String::as_str)
    }

    /// Read a catalogue from its JSON text.
    pub fn from_json(text: &str) -> Result<Catalog, ExprError> {
        let root: Root = serde_json::from_str(text).map_err(|e| ExprError(e.to_string()))?;
        let ids: HashMap<String, TableIx> =
            root.tables.iter().enumerate().map(|(i, t)| (t.id.clone(), TableIx(i as u16))).collect();
        let names: Vec<(Vec<String>, HashMap<String, Path>)> = root.tables.iter().map(|t| paths(&t.fields)).collect();
        let mut tables = Vec::with_capacity(root.tables.len());
        for (i, row) in root.tables.iter().enumerate() {
            let mut builder = Builder {
                ids: &ids,
                names: &names,
                variables: row.variables.keys().cloned().collect(),
                indices: Vec::new(),
                all: &names[i].0,
                paths: &names[i].1,
            };
            let variables = row
                .variables
                .iter()
                .map(|(name, text)| Ok((name.clone(), builder.formula(text)?)))
                .collect::<Result<_, ExprError>>()?;
            tables.push(Table {
                id: row.id.clone(),
                number: TableId(row.number),
                fields: builder.fields(&row.fields, "")?,
                variables,
                paths: names[i].0.clone(),
                keys: names[i].1.clone(),
            });
        }
        let places = tables.iter().zip(0..).filter_map(|(t, i)| Some((u16::try_from(t.number.0).ok()?, TableIx(i))));
        let mut by_number = vec![None; places.clone().map(|(number, _)| usize::from(number) + 1).max().unwrap_or(0)];
        places.for_each(|(number, ix)| by_number[usize::from(number)] = Some(ix));
        Ok(Catalog {
            by_number,
            by_id: ids,
            tables,
            sources: root.sources,
            extended_sources: root.extended_sources.into_iter().collect(),
            summation_order: root.summation_order,
            unlisted_summations: root.unlisted_summations,
            present_order: root.present_order,
            events: root.events.into_iter().collect(),
            alarms: root.alarms.into_iter().map(|(byte, bit, name)| ((byte, bit), name)).collect(),
            mbus: root.mbus.read()?,
        })
    }
}

#[derive(Deserialize)]
struct Root {
    tables: Vec<TableRow>,
    sources: Vec<SourceRow>,
    extended_sources: Vec<(i32, String)>,
    summation_order: Vec<i32>,
    unlisted_summations: Vec<(usize, String, String)>,
    present_order: Vec<i32>,
    events: Vec<(u16, String)>,
    alarms: Vec<(u8, u8, String)>,
    #[serde(flatten)]
    mbus: mbus::Rows,
}

#[derive(Deserialize)]
struct TableRow {
    id: String,
    number: i32,
    #[serde(default)]
    variables: std::collections::BTreeMap<String, String>,
    fields: Vec<FieldRow>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum At {
    One(String),
    // Printed offsets of firmware 3.X and 4.0+; a reference by offset would be ambiguous.
    #[allow(dead_code, reason = "the generations' offsets are for the documentation")]
    Two([String; 2]),
}

#[derive(Deserialize)]
struct FieldRow {
    name: String,
    #[serde(rename = "type")]
    ty: String,
    at: Option<At>,
    size: Option<String>,
    bits: Option<(u8, u8)>,
    count: Option<String>,
    max: Option<u32>,
    index: Option<String>,
    stride: Option<String>,
    when: Option<String>,
    #[serde(default)]
    clock: String,
    #[serde(default)]
    of: Vec<FieldRow>,
}

/// Every field's path, and every name by which it may be referred to: `9` and `set.intervals`, `4.4` and `flags.x`.
fn paths(fields: &[FieldRow]) -> (Vec<String>, HashMap<String, Path>) {
    fn walk(fields: &[FieldRow], prefix: &str, paths: &mut Vec<String>, keys: &mut HashMap<String, Path>) {
        for field in fields {
            let path = format!("{prefix}{}", field.name);
            let ix = Path(paths.len() as u16);
            paths.push(path.clone());
            if field.ty == "array" {
                walk(&field.of, &format!("{path}."), paths, keys);
                continue;
            }
            let at = match &field.at {
                Some(At::One(at)) if at.bytes().all(|b| b.is_ascii_digit()) => Some(at.as_str()),
                _ => None,
            };
            keys.entry(path.clone()).or_insert(ix);
            if let Some(at) = at {
                keys.entry(at.to_owned()).or_insert(ix);
            }
            for member in &field.of {
                let ix = Path(paths.len() as u16);
                paths.push(format!("{path}.{}", member.name));
                keys.entry(format!("{path}.{}", member.name)).or_insert(ix);
                if let (Some(at), Some((low, _))) = (at, member.bits) {
                    keys.entry(format!("{at}.{low}")).or_insert(ix);
                }
            }
        }
    }
    let (mut paths, mut keys) = (Vec::new(), HashMap::new());
    walk(fields, "", &mut paths, &mut keys);
    (paths, keys)
}

struct Builder<'c> {
    ids: &'c HashMap<String, TableIx>,
    names: &'c [(Vec<String>, HashMap<String, Path>)],
    variables: Vec<String>,
    indices: Vec<String>,
    all: &'c [String],
    paths: &'c HashMap<String, Path>,
}

impl Builder<'_> {
    fn formula(&mut self, text: &str) -> Result<Formula, ExprError> {
        parse(text)?.map(&mut |name: String| self.name(&name).ok_or_else(|| ExprError(format!("{text:?}: {name}?"))))
    }

    fn name(&self, name: &str) -> Option<Name> {
        match name {
            "size" => return Some(Name::Size),
            "gen4" => return Some(Name::Gen4),
            _ => {}
        }
        if let Some(i) = self.indices.iter().rposition(|n| n == name) {
            return Some(Name::Index(i as u8));
        }
        if let Some(i) = self.variables.iter().position(|n| n == name) {
            return Some(Name::Variable(i as u8));
        }
        let (table, key) = name.split_once('.')?;
        let ix = *self.ids.get(table)?;
        if key == "size" {
            return Some(Name::Length(ix));
        }
        self.names[usize::from(ix.0)].1.get(key).map(|path| Name::Field(ix, *path))
    }

    fn place(&self, path: &str, array: bool) -> Option<Path> {
        match array {
            // What a formula may refer to has no arrays in it.
            true => self.all.iter().position(|p| p == path).map(|ix| Path(ix as u16)),
            false => self.paths.get(path).copied(),
        }
    }

    fn fields(&mut self, rows: &[FieldRow], prefix: &str) -> Result<Vec<Field>, ExprError> {
        rows.iter().map(|row| self.field(row, prefix)).collect()
    }

    fn optional(&mut self, text: &Option<String>) -> Result<Option<Formula>, ExprError> {
        text.as_deref().map(|t| self.formula(t)).transpose()
    }

    fn field(&mut self, row: &FieldRow, prefix: &str) -> Result<Field, ExprError> {
        let path = format!("{prefix}{}", row.name);
        let (ty, width) = match row.bits {
            Some((low, high)) => (Type::Bits(low, high), 0),
            None => kind(&row.ty).ok_or_else(|| ExprError(format!("{path}: type {}?", row.ty)))?,
        };
        let when = self.optional(&row.when)?;
        let count = self.optional(&row.count)?;
        let is_array = count.is_some();
        let index = match &row.index {
            Some(name) if is_array => {
                self.indices.push(name.clone());
                Some((self.indices.len() - 1) as u8)
            }
            _ => None,
        };
        let of = self.fields(&row.of, &format!("{path}."))?;
        let packed = index.is_some_and(|i| of.iter().any(|f| depends(f, i)));
        let stride = self.optional(&row.stride)?;
        if index.is_some() {
            self.indices.pop();
        }
        Ok(Field {
            name: row.name.clone(),
            ty,
            kind: meaning(row),
            path: self.place(&path, is_array).ok_or_else(|| ExprError(format!("{path}?")))?,
            size: self.optional(&row.size)?,
            width,
            of,
            count,
            max: row.max,
            index,
            stride,
            packed,
            when,
        })
    }
}

fn depends(field: &Field, index: u8) -> bool {
    [&field.size, &field.count, &field.stride, &field.when]
        .into_iter()
        .flatten()
        .any(|f| f.any(&mut |name| *name == Name::Index(index)))
        || field.of.iter().any(|f| depends(f, index))
}

/// The reading and the bytes of a type's name; 0 bytes where the row says how many. Source: Optical guide pp. 5-7.
fn kind(ty: &str) -> Option<(Type, u32)> {
    Some(match ty {
        "u16_be" => (Type::UnsignedBe, 2),
        "ni_fmat1" | "ni_fmat2" => (Type::Signed, 4),
        "time" | "date" => (Type::Octets, 3),
        "stime_date" => (Type::Octets, 5),
        "ltime_date" | "ped" => (Type::Octets, 6),
        "ansi_date" | "rdate" => (Type::Unsigned, 2),
        "bits" => (Type::Unsigned, 0),
        "char" | "bcd" | "set" | "octets" | "array" => (Type::Octets, 0),
        _ => {
            let width = ty.get(1..)?.parse::<u32>().ok().filter(|bits| bits % 8 == 0 && (8..=48).contains(bits))? / 8;
            match ty.as_bytes()[0] {
                b'u' => (Type::Unsigned, width),
                b'i' => (Type::Signed, width),
                _ => return None,
            }
        }
    })
}

/// What the type's name says that the bytes mean.
fn meaning(row: &FieldRow) -> Kind {
    match row.ty.as_str() {
        "array" => Kind::Array,
        "bits" => Kind::Word,
        "bool" => Kind::Bool,
        "char" => Kind::Text,
        "bcd" => Kind::Digits,
        "set" => Kind::Set,
        "time" => Kind::Time,
        "stime_date" | "ltime_date" => Kind::Moment { utc: row.clock == "utc" },
        "date" => Kind::Date,
        "ansi_date" => Kind::AnsiDate,
        "octets" | "ped" => Kind::Octets,
        _ => Kind::Int,
    }
}

/// The integer that the bytes of a field hold; `None` for types that are no integers and for more than eight bytes.
pub fn integer(ty: Type, raw: &[u8]) -> Option<i64> {
    if raw.is_empty() || raw.len() > 8 {
        return None;
    }
    let mut le = [0; 8];
    le[..raw.len()].copy_from_slice(raw);
    let unsigned = u64::from_le_bytes(le);
    match ty {
        Type::Unsigned => i64::try_from(unsigned).ok(),
        Type::Signed => {
            let shift = 64 - 8 * raw.len() as u32;
            Some((unsigned << shift) as i64 >> shift)
        }
        Type::UnsignedBe => i64::try_from(u64::from_be_bytes(le) >> (64 - 8 * raw.len() as u32)).ok(),
        Type::Bits(low, high) => {
            let mask = u64::MAX.checked_shr(63u32.checked_sub(u32::from(high.checked_sub(low)?))?)?;
            i64::try_from(unsigned.checked_shr(u32::from(low))? & mask).ok()
        }
        Type::Octets => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_loads() {
        let catalog = Catalog::get();
        let bt61 = catalog.table(catalog.id("BT61").unwrap());
        assert_eq!(bt61.path("9"), bt61.path("set.intervals"));
        assert_eq!(bt61.path("4.4"), bt61.path("flags.end_reading"));
        assert_eq!(catalog.number(TableId::et(21)), catalog.id("ET21"));
        assert_eq!(catalog.event(2051), Some("Control Relay Open / State Changed (Control Output 2)"));
        assert_eq!(catalog.sources.len(), 245);
        for (i, row) in catalog.sources.iter().enumerate() {
            assert_eq!(row.id, i as i32);
        }
    }

    #[test]
    fn integers() {
        for (ty, raw, want) in [
            (Type::Unsigned, &[0x34, 0x12][..], Some(0x1234)),
            (Type::UnsignedBe, &[0x31, 0x55], Some(0x3155)),
            (Type::Signed, &[0xFE, 0xFF, 0xFF], Some(-2)),
            (Type::Bits(4, 6), &[0b0101_0000], Some(5)),
            (Type::Bits(8, 11), &[0, 0x0F], Some(15)),
            (Type::Bits(0, 63), &[0xFF; 8], None),
            (Type::Octets, &[1], None),
            (Type::Unsigned, &[], None),
        ] {
            assert_eq!(integer(ty, raw), want, "{ty:?} {raw:?}");
        }
    }
}
