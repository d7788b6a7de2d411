//! The bytes of any table to a tree of values. The twin of `python/osgp_fast/codec/tree.py`, which also encodes.
//!
//! A tree follows the rows of the catalogue: a table or an element of an array is a map by the names of its rows, an array
//! is a list, an array of one plain row is a list of that row's values, a word of bits is a map of its members, with what
//! its other bits hold as `_rest` where that is not 0. What is not there (older firmware, a partial read) has no key, and
//! within a list an element of which nothing is there is null.

use std::fmt;

use crate::catalog::{Catalog, Field, Kind, Path, Table, TableIx, Type, integer};
use crate::layout::{Layout, Leaf};

/// Bits of a word that no row describes.
pub const REST: &str = "_rest";

/// A value in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Int(i64),
    /// A number of bits that no `i64` holds: its bytes, least significant first.
    Wide(Vec<u8>),
    /// One bit, or a flag.
    Bool(bool),
    /// CHAR without the NULs at its end, or BCD as hex digits.
    Text(String),
    /// Bytes that are nothing else, or a date that does not exist.
    Bytes(Vec<u8>),
    /// The numbers of the bits of a SET that are set.
    Bits(Vec<u32>),
    /// DATE and ANSI_DATE.
    Date {
        /// 2000 to 2255.
        year: u16,
        /// 1 to 12.
        month: u8,
        /// From 1.
        day: u8,
    },
    /// TIME.
    Time {
        /// 0 to 23.
        hour: u8,
        /// 0 to 59.
        minute: u8,
        /// 0 to 59.
        second: u8,
    },
    /// STIME_DATE and LTIME_DATE.
    DateTime {
        /// 2000 to 2255.
        year: u16,
        /// 1 to 12.
        month: u8,
        /// From 1.
        day: u8,
        /// 0 to 23.
        hour: u8,
        /// 0 to 59.
        minute: u8,
        /// 0 to 59.
        second: u8,
        /// Whether it is UTC; the meter's local time otherwise, or it is not known.
        utc: bool,
    },
    /// A date that was never set, or an element that is not there.
    Null,
    /// A table, an element or a word: its rows in order.
    Map(Vec<(&'static str, Value)>),
    /// The elements of an array.
    List(Vec<Value>),
}

impl Value {
    /// The value at a dotted path, elements by their number: `set.0.channels`.
    pub fn get(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(self, |value, part| match value {
            Value::Map(rows) => rows.iter().rev().find(|(name, _)| *name == part).map(|(_, value)| value),
            Value::List(elements) => elements.get(part.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

/// What the bytes of a table hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<'d> {
    /// The tree: a map.
    pub values: Value,
    /// Where the bytes behind the description start.
    pub end: u64,
    /// The bytes behind the description.
    pub rest: &'d [u8],
    /// The path and the offset of the first field whose bytes are not all there.
    pub short: Option<(&'static str, u64)>,
    /// The table without which this one could not be laid out any further.
    pub missing: Option<TableIx>,
}

/// The values of a table. Never fails for what the bytes are: a shorter table gives what it holds, a longer one its `rest`.
pub fn decode<'d>(layout: &Layout, table: TableIx, data: &'d [u8]) -> Decoded<'d> {
    Plan::new(layout, table).decode(data)
}

// ---- the shape of a table, made once per layout

/// How the bytes of a table with a certain layout are read, for many images.
pub struct Plan {
    table: &'static Table,
    nodes: Vec<Node>,
    size: u64,
    missing: Option<TableIx>,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plan({}, {} bytes)", self.table.id, self.size)
    }
}

#[derive(Clone, Copy)]
struct Place {
    name: &'static str,
    path: Path,
    offset: u64,
    size: u64,
}

struct Member {
    name: &'static str,
    low: u8,
    high: u8,
    flag: bool,
}

enum Node {
    Value(Place, Type, Kind),
    Word(Place, Vec<Member>),
    Array { name: &'static str, path: Path, count: u64, stride: u64, first: u64, nodes: Vec<Node>, plain: bool },
    Packed { name: &'static str, elements: Vec<Vec<Node>>, plain: bool },
}

impl Plan {
    /// The plan of a layout of `table`.
    pub fn new(layout: &Layout, table: TableIx) -> Self {
        let leaves = Leaves::new(&layout.leaves);
        let table = Catalog::get().table(table);
        let nodes = shape(&table.fields, &leaves, &[], 0);
        Self { table, nodes, size: layout.size, missing: layout.missing }
    }

    /// See [`decode`].
    pub fn decode<'d>(&self, data: &'d [u8]) -> Decoded<'d> {
        let mut decoder = Decoder { data, short: None };
        let values = decoder.rows(&self.nodes, 0);
        let end = self.size.min(data.len() as u64);
        Decoded {
            values: Value::Map(values),
            end,
            rest: data.get(end as usize..).unwrap_or_default(),
            short: decoder.short.map(|(path, at)| (self.table.paths[usize::from(path.0)].as_str(), at)),
            missing: self.missing,
        }
    }
}

/// The leaves of a layout, found by path and elements of packed arrays.
struct Leaves<'l>(Vec<&'l Leaf>);

impl<'l> Leaves<'l> {
    fn new(leaves: &'l [Leaf]) -> Self {
        let mut sorted: Vec<&Leaf> = leaves.iter().collect();
        // Stable: of two rows of one name, the first counts.
        sorted.sort_by(|a, b| (a.path.0, a.packed()).cmp(&(b.path.0, b.packed())));
        Self(sorted)
    }

    /// The leaf of that path in those elements.
    fn find(&self, path: Path, packed: &[u16]) -> Option<&'l Leaf> {
        let from = self.0.partition_point(|l| (l.path.0, l.packed()) < (path.0, packed));
        self.0.get(from).copied().filter(|l| l.path == path && l.packed() == packed)
    }

    /// The leaves of that path in the elements within those.
    fn within(&self, path: Path, packed: &[u16]) -> impl Iterator<Item = &'l Leaf> {
        let from = self.0.partition_point(|l| (l.path.0, l.packed()) < (path.0, packed));
        let packed: Vec<u16> = packed.to_vec();
        self.0[from..].iter().copied().take_while(move |l| l.path == path && l.packed().starts_with(&packed))
    }
}

fn is_plain(row: &Field) -> bool {
    matches!(row.of.as_slice(), [only] if !matches!(only.kind, Kind::Array | Kind::Word))
}

fn shape(rows: &'static [Field], leaves: &Leaves<'_>, packed: &[u16], depth: usize) -> Vec<Node> {
    let mut nodes = Vec::with_capacity(rows.len());
    for row in rows {
        if row.kind == Kind::Array {
            nodes.extend(array(row, leaves, packed, depth));
            continue;
        }
        let Some(leaf) = leaves.find(row.path, packed) else { continue };
        let place = Place { name: &row.name, path: row.path, offset: leaf.offset, size: leaf.size };
        if row.kind != Kind::Word {
            nodes.push(Node::Value(place, leaf.ty, leaf.kind));
            continue;
        }
        let member = |row: &'static Field| match leaves.find(row.path, packed)?.ty {
            Type::Bits(low, high) => Some(Member { name: &row.name, low, high, flag: row.kind == Kind::Bool }),
            _ => None,
        };
        nodes.push(Node::Word(place, row.of.iter().filter_map(member).collect()));
    }
    nodes
}

/// Every path of the rows of an array.
fn inside(rows: &[Field], paths: &mut Vec<Path>) {
    for row in rows {
        paths.push(row.path);
        inside(&row.of, paths);
    }
}

fn array(row: &'static Field, leaves: &Leaves<'_>, packed: &[u16], depth: usize) -> Option<Node> {
    let mut paths = Vec::new();
    inside(&row.of, &mut paths);
    let all = || paths.iter().flat_map(|path| leaves.within(*path, packed));
    let first = all().next()?;
    let plain = is_plain(row);
    if row.packed {
        let last = all().filter_map(|leaf| leaf.packed().get(packed.len())).max()?;
        let mut element = packed.to_vec();
        element.push(0);
        let elements = (0..=*last)
            .map(|i| {
                element[packed.len()] = i;
                shape(&row.of, leaves, &element, depth)
            })
            .collect();
        return Some(Node::Packed { name: &row.name, elements, plain });
    }
    let axis = first.axes().get(depth)?;
    Some(Node::Array {
        name: &row.name,
        path: row.path,
        count: axis.count,
        stride: axis.stride,
        first: all().map(|leaf| leaf.offset).min()?,
        nodes: shape(&row.of, leaves, packed, depth + 1),
        plain,
    })
}

// ---- bytes to values

struct Decoder<'d> {
    data: &'d [u8],
    short: Option<(Path, u64)>,
}

type Row = (&'static str, Value);

impl<'d> Decoder<'d> {
    fn get(&self, offset: u64, size: u64) -> Option<&'d [u8]> {
        if size == 0 {
            return Some(&[]);
        }
        let start = usize::try_from(offset).ok()?;
        self.data.get(start..start.checked_add(usize::try_from(size).ok()?)?)
    }

    /// The bytes of a field, or a note that they are not all there.
    fn take(&mut self, place: &Place, shift: u64) -> Option<&'d [u8]> {
        let offset = place.offset.saturating_add(shift);
        let raw = self.get(offset, place.size);
        if raw.is_none() {
            self.short.get_or_insert((place.path, offset));
        }
        raw
    }

    fn rows(&mut self, nodes: &[Node], shift: u64) -> Vec<Row> {
        let mut rows = Vec::with_capacity(nodes.len());
        for node in nodes {
            rows.extend(self.node(node, shift));
        }
        rows
    }

    fn node(&mut self, node: &Node, shift: u64) -> Option<Row> {
        Some(match node {
            Node::Value(place, ty, kind) => (place.name, value(*ty, *kind, self.take(place, shift)?)),
            Node::Word(place, members) => (place.name, word(members, self.take(place, shift)?)),
            Node::Array { name, path, count, stride, first, nodes, plain } => {
                let mut elements = Vec::new();
                for i in 0..if *stride == 0 { 0 } else { *count } {
                    let at = shift.saturating_add(i.saturating_mul(*stride));
                    let start = first.saturating_add(at);
                    if start >= self.data.len() as u64 {
                        self.short.get_or_insert((*path, start));
                        break;
                    }
                    elements.push(self.element(nodes, at, *plain));
                }
                (*name, list(elements))
            }
            Node::Packed { name, elements, plain } => {
                (*name, list(elements.iter().map(|nodes| self.element(nodes, shift, *plain)).collect()))
            }
        })
    }

    fn element(&mut self, nodes: &[Node], shift: u64, plain: bool) -> Value {
        if plain {
            return nodes.first().and_then(|node| self.node(node, shift)).map_or(Value::Null, |(_, value)| value);
        }
        let rows = self.rows(nodes, shift);
        if rows.is_empty() { Value::Null } else { Value::Map(rows) }
    }
}

/// A list without the elements at its end of which nothing is there.
fn list(mut elements: Vec<Value>) -> Value {
    let end = elements.iter().rposition(|value| *value != Value::Null).map_or(0, |last| last + 1);
    elements.truncate(end);
    Value::List(elements)
}

fn word(members: &[Member], raw: &[u8]) -> Value {
    let mut rows = Vec::with_capacity(members.len() + 1);
    let mut rest = raw.to_vec();
    for member in members {
        let value = range(raw, member.low, member.high);
        rows.push((member.name, if member.flag { Value::Bool(value != Value::Int(0)) } else { value }));
        for bit in member.low..=member.high {
            if let Some(byte) = rest.get_mut(usize::from(bit / 8)) {
                *byte &= !(1 << (bit % 8));
            }
        }
    }
    let rest = number(&rest);
    if rest != Value::Int(0) {
        rows.push((REST, rest));
    }
    Value::Map(rows)
}

/// The number in some bits of a word.
fn range(raw: &[u8], low: u8, high: u8) -> Value {
    let bit = |i: usize| raw.get(i / 8).is_some_and(|byte| byte >> (i % 8) & 1 == 1);
    let (low, high) = (usize::from(low), usize::from(high));
    let mut out = [0_u8; 32];
    for i in low..=high {
        if bit(i) {
            out[(i - low) / 8] |= 1 << ((i - low) % 8);
        }
    }
    number(&out)
}

/// An unsigned number, least significant byte first.
fn number(raw: &[u8]) -> Value {
    let end = raw.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let mut le = [0; 8];
    match le.get_mut(..end) {
        Some(head) => head.copy_from_slice(&raw[..end]),
        None => return Value::Wide(raw[..end].to_vec()),
    }
    i64::try_from(u64::from_le_bytes(le)).map_or_else(|_| Value::Wide(raw[..end].to_vec()), Value::Int)
}

fn value(ty: Type, kind: Kind, raw: &[u8]) -> Value {
    let found = match kind {
        Kind::Text => {
            let end = raw.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            Some(Value::Text(raw[..end].iter().map(|byte| char::from(*byte)).collect()))
        }
        Kind::Digits => Some(Value::Text(digits(raw))),
        Kind::Set => Some(Value::Bits(
            (0..8 * raw.len())
                .filter(|bit| raw[bit / 8] >> (bit % 8) & 1 == 1)
                .filter_map(|bit| u32::try_from(bit).ok())
                .collect(),
        )),
        Kind::Moment { .. } | Kind::Date | Kind::AnsiDate if raw.iter().all(|byte| *byte == 0) => Some(Value::Null),
        Kind::Moment { utc } => moment(raw, utc),
        Kind::Date => match *raw {
            [year, month, day] => date(year, u16::from(month), u16::from(day)),
            _ => None,
        },
        Kind::AnsiDate => match *raw {
            [low, high] => {
                let word = u16::from_le_bytes([low, high]);
                date((word & 0x7F) as u8, word >> 7 & 0xF, word >> 11)
            }
            _ => None,
        },
        Kind::Time => match *raw {
            [hour, minute, second] if is_time(hour, minute, second) => Some(Value::Time { hour, minute, second }),
            _ => None,
        },
        Kind::Int | Kind::Bool => integer(ty, raw).map(Value::Int),
        Kind::Octets | Kind::Word | Kind::Array => None,
    };
    found.unwrap_or_else(|| Value::Bytes(raw.to_vec()))
}

fn digits(raw: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    raw.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|n| char::from(DIGITS[usize::from(n)])).collect()
}

fn is_time(hour: u8, minute: u8, second: u8) -> bool {
    hour < 24 && minute < 60 && second < 60
}

fn moment(raw: &[u8], utc: bool) -> Option<Value> {
    let (year, month, day, hour, minute, second) = match *raw {
        [year, month, day, hour, minute] => (year, month, day, hour, minute, 0),
        [year, month, day, hour, minute, second] => (year, month, day, hour, minute, second),
        _ => return None,
    };
    let Value::Date { year, month, day } = date(year, u16::from(month), u16::from(day))? else { return None };
    is_time(hour, minute, second).then_some(Value::DateTime { year, month, day, hour, minute, second, utc })
}

/// A day of 2000 to 2255 that exists.
fn date(year: u8, month: u16, day: u16) -> Option<Value> {
    const LENGTH: [u16; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let year = 2000 + u16::from(year);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = LENGTH.get(usize::from(month.checked_sub(1)?))? + u16::from(leap && month == 2);
    if day == 0 || day > last {
        return None;
    }
    Some(Value::Date { year, month: month as u8, day: day as u8 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layout::{STAND_INS, TableSet, needs};

    fn table(id: &str) -> TableIx {
        Catalog::get().id(id).unwrap()
    }

    fn decoded<'d>(id: &str, data: &'d [u8], others: &[(&str, &[u8])]) -> Decoded<'d> {
        let mut set = TableSet::default();
        for (other, bytes) in others {
            set.insert(table(other), bytes);
        }
        set.insert(table(id), data);
        decode(&set.layout(table(id)).unwrap(), table(id), data)
    }

    #[test]
    fn types() {
        let text = |text: &str| Value::Text(text.to_owned());
        let moment = |second, utc| Value::DateTime { year: 2024, month: 2, day: 29, hour: 23, minute: 59, second, utc };
        let stime = Kind::Moment { utc: true };
        let ltime = Kind::Moment { utc: false };
        let none = Type::Octets;
        for (ty, kind, raw, want) in [
            (Type::Signed, Kind::Int, &b"\xfe\xff\xff"[..], Value::Int(-2)),
            (Type::Unsigned, Kind::Int, b"\xff\xff\xff\xff\xff\xff", Value::Int((1 << 48) - 1)),
            (Type::UnsignedBe, Kind::Int, b"\x31\x55", Value::Int(0x3155)),
            (none, Kind::Text, b"\0a\xe9 \0\0", text("\0a\u{e9} ")),
            (none, Kind::Digits, b"\x12\x3f\0", text("123F00")),
            (none, Kind::Set, b"\x81\x02", Value::Bits(vec![0, 7, 9])),
            (none, stime, b"\x18\x02\x1d\x17\x3b", moment(0, true)),
            (none, ltime, b"\x18\x02\x1d\x17\x3b\x3a", moment(58, false)),
            (none, ltime, b"\0\0\0\0\0\0", Value::Null),
            (none, stime, b"\x17\x02\x1d\x17\x3b", Value::Bytes(b"\x17\x02\x1d\x17\x3b".to_vec())),
            (none, stime, b"\xff\xff\xff\xff\xff", Value::Bytes(vec![0xff; 5])),
            (none, ltime, b"\x18\x02\x1d\x18\0\0", Value::Bytes(b"\x18\x02\x1d\x18\0\0".to_vec())),
            (none, Kind::Date, b"\x64\x02\x1c", Value::Date { year: 2100, month: 2, day: 28 }),
            (none, Kind::Date, b"\x64\x02\x1d", Value::Bytes(b"\x64\x02\x1d".to_vec())),
            (none, Kind::Date, b"\x64\0\x01", Value::Bytes(b"\x64\0\x01".to_vec())),
            (Type::Unsigned, Kind::AnsiDate, b"\x18\xe9", Value::Date { year: 2024, month: 2, day: 29 }),
            (Type::Unsigned, Kind::AnsiDate, b"\0\0", Value::Null),
            (Type::Unsigned, Kind::AnsiDate, b"\xff\xff", Value::Bytes(vec![0xff, 0xff])),
            (none, Kind::Time, b"\0\0\0", Value::Time { hour: 0, minute: 0, second: 0 }),
            (none, Kind::Time, b"\x18\0\0", Value::Bytes(b"\x18\0\0".to_vec())),
            (none, Kind::Octets, b"\x01\0", Value::Bytes(b"\x01\0".to_vec())),
        ] {
            assert_eq!(value(ty, kind, raw), want, "{kind:?} {raw:?}");
        }
    }

    #[test]
    fn words() {
        let member = |name, low, high, flag| Member { name, low, high, flag };
        let of = [member("a", 0, 0, true), member("b", 1, 3, false), member("far", 60, 62, false)];
        let want =
            vec![("a", Value::Bool(true)), ("b", Value::Int(5)), ("far", Value::Int(0)), (REST, Value::Int(0xF0))];
        assert_eq!(word(&of, b"\xfb"), Value::Map(want));
        let wide = Value::Wide(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff".to_vec());
        let want = vec![("a", Value::Bool(true)), (REST, wide)];
        assert_eq!(word(&of[..1], &[0xff; 9]), Value::Map(want));
    }

    #[test]
    fn whole_short_long() {
        let bt61 = b"\x10\0\0\0\x11\x08\x20\x05\0\x18\0\x02\x3c";
        let whole = decoded("BT61", bt61, &[]);
        assert_eq!((whole.end, whole.rest, whole.short, whole.missing), (13, &[][..], None, None));
        assert_eq!(whole.values.get("memory_length"), Some(&Value::Int(16)));
        assert_eq!(whole.values.get("set.0.intervals"), Some(&Value::Int(24)));
        assert_eq!(whole.values.get("flags.end_reading"), Some(&Value::Bool(true)));
        assert_eq!(whole.values.get("set.1"), None);
        let short = decoded("BT01", b"NES 8333", &[]);
        assert_eq!(short.values.get("manufacturer"), Some(&Value::Text("NES ".to_owned())));
        assert_eq!(short.values.get("model"), None);
        assert_eq!((short.end, short.short), (8, Some(("model", 4))));
        let long = decoded("BT20", &[1; 12], &[]);
        assert_eq!((long.end, long.rest), (10, &[1, 1][..]));
    }

    #[test]
    fn a_missing_table_is_named_and_its_stand_in_taken() {
        let bt62 = decoded("BT62", &[0; 20], &[]);
        assert_eq!((bt62.missing, bt62.values), (Some(table("BT61")), Value::Map(Vec::new())));
        for (of, other) in STAND_INS.map(|(of, other)| (table(of), table(other))) {
            let users = Catalog::get().tables.iter().enumerate().map(|(i, _)| TableIx(i as u16));
            for user in users.filter(|user| needs(*user).tables.contains(&of)) {
                assert!(needs(user).tables.contains(&other), "{user:?}");
            }
        }
        let entries = [0x1F, 0, 0, 0, 0, 2, 0, 0, 0];
        let log = [0; 40];
        let with = |id| decoded("BT74", &log, &[(id, &entries)]);
        assert_eq!(with("BT70"), with("BT71"));
        assert_eq!(with("BT70").missing, None);
        assert_eq!(with("BT20").missing, Some(table("BT71")));
    }

    #[test]
    fn no_two_tables_size_each_other() {
        for (i, table) in Catalog::get().tables.iter().enumerate() {
            let ix = TableIx(i as u16);
            for other in &needs(ix).tables {
                assert!(!needs(*other).tables.contains(&ix), "{} and {other:?}", table.id);
            }
        }
    }

    proptest! {
        // Whatever the bytes of a meter: no panic, and no byte of the table is lost.
        #[test]
        fn any_bytes(seed in proptest::collection::vec(any::<u8>(), 64..512), pick: proptest::sample::Index, cut in 0..512_usize) {
            let catalog = Catalog::get();
            let ix = TableIx(pick.index(catalog.tables.len()) as u16);
            let mut set = TableSet::default();
            for (i, _) in catalog.tables.iter().enumerate() {
                set.insert(TableIx(i as u16), &seed[i % seed.len()..]);
            }
            let data = &seed[..cut.min(seed.len())];
            set.insert(ix, data);
            let layout = set.layout(ix).unwrap();
            let decoded = decode(&layout, ix, data);
            prop_assert_eq!(decoded.end as usize + decoded.rest.len(), data.len());
        }
    }
}
