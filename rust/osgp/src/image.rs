//! The table image: some bytes of one table of one meter, the one meeting point of live reads and captured data.
//!
//! Left of it nobody knows what the bytes mean, right of it nobody knows where they came from. An image arrives either
//! whole or in pieces; [`join`] puts the pieces of one read pass together and reports the pieces that contradict.

use std::borrow::Cow;
use std::fmt;

use crate::reject::Reject;

/// Offset added to the number of an extended (manufacturer) table on the wire. Source: Optical guide p. 8.
pub const EXTENDED: i32 = 2048;
/// Offset added to the number of a pending table on the wire. Source: Optical guide p. 8.
pub const PENDING: i32 = 4096;
/// The highest byte that a partial read can name, plus one: its offset is a UINT24 and its count a UINT16
/// (Optical guide p. 10). No table is longer than this.
pub const MAX_TABLE: usize = (1 << 24) + (1 << 16);

/// A table number as sent on the wire: BTnn = nn, ETnn = 2048 + nn, pending + 4096.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub i32);

impl TableId {
    /// The basic (standard) table `BTnn`.
    pub const fn bt(n: i32) -> Self {
        Self(n)
    }
    /// The extended (manufacturer) table `ETnn`.
    pub const fn et(n: i32) -> Self {
        Self(EXTENDED + n)
    }
    /// Whether this is the pending twin of a table.
    pub const fn is_pending(self) -> bool {
        self.0 & PENDING != 0
    }
    /// Parse the name that a dump file carries: `BT64`, `ET21`, `BT54.pending` (case does not matter).
    pub fn parse(name: &str) -> Option<Self> {
        let (name, pending) = match name.len().checked_sub(8).and_then(|n| name.split_at_checked(n)) {
            Some((head, tail)) if tail.eq_ignore_ascii_case(".pending") => (head, PENDING),
            _ => (name, 0),
        };
        let (kind, digits) = name.split_at_checked(2)?;
        let base = match kind {
            k if k.eq_ignore_ascii_case("BT") => 0,
            k if k.eq_ignore_ascii_case("ET") => EXTENDED,
            _ => return None,
        };
        if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let n: i32 = digits.parse().ok()?;
        (n < EXTENDED).then_some(Self(base + n + pending))
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0 & !PENDING;
        let (kind, n) = if n >= EXTENDED { ("ET", n - EXTENDED) } else { ("BT", n) };
        write!(f, "{kind}{n:02}{}", if self.is_pending() { ".pending" } else { "" })
    }
}

impl fmt::Debug for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Some bytes of one table of one meter (the meter's label is kept beside it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableImage<'a> {
    /// The table's number on the wire.
    pub table: TableId,
    /// Byte offset within the table; 0 for a whole table.
    pub offset: i64,
    /// The bytes, without the PED of a pending table.
    pub data: Cow<'a, [u8]>,
    /// When it was read, in microseconds since 1970-01-01 UTC, if known.
    pub read_at: Option<i64>,
    /// `Some(true)`: a full read; `Some(false)`: a partial one; `None`: unknown.
    pub whole: Option<bool>,
    /// The 6-byte Pending Event Description of a pending table.
    pub ped: Option<Cow<'a, [u8]>>,
    /// The read session: images of one session may be joined, a log-off starts the next. Dumps have one session.
    pub session: u32,
    /// The file that it came from, for rejects.
    pub input: std::sync::Arc<str>,
    /// Where in that file its bytes start, if they stand there as they are.
    pub position: Option<i64>,
}

impl<'a> TableImage<'a> {
    /// A whole table of which nothing else is known.
    pub fn whole(table: TableId, data: &'a [u8]) -> Self {
        Self {
            table,
            offset: 0,
            data: Cow::Borrowed(data),
            read_at: None,
            whole: Some(true),
            ped: None,
            session: 0,
            input: std::sync::Arc::from(""),
            position: None,
        }
    }
}

/// One read of one table, its partial images joined.
#[derive(Clone, Debug)]
pub struct Read<'a> {
    /// The table's number on the wire.
    pub table: TableId,
    /// The pieces in order of offset, neither overlapping nor adjacent.
    pub pieces: Vec<(usize, Cow<'a, [u8]>)>,
    /// Whether a full read is among the pieces, so that the length is the table's.
    pub whole: bool,
    /// Time of the last piece.
    pub read_at: Option<i64>,
    /// Position of its first piece among the meter's images.
    pub order: usize,
    /// The session that it was made in.
    pub session: u32,
    /// The file of its first piece.
    pub input: std::sync::Arc<str>,
    /// Where the first piece stands in that file.
    pub position: Option<i64>,
    /// The Pending Event Description, if any.
    pub ped: Option<Cow<'a, [u8]>>,
}

/// What is there of a range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// All of it.
    All(&'a [u8]),
    /// Some of it: the bytes that are there from the first one on, and the offset of the first.
    Some(usize, &'a [u8]),
    /// None of it.
    None,
}

impl<'a> Read<'a> {
    /// The bytes of `offset .. offset + len`, all, some or none of them.
    pub fn part(&self, offset: u64, len: u64) -> Part<'_> {
        // What lies beyond the largest table is not there, so that these fit where usize has 32 bits.
        let limit = |n: u64| usize::try_from(n.min(2 * MAX_TABLE as u64)).unwrap_or(usize::MAX);
        let (offset, end) = (limit(offset), limit(offset.saturating_add(len)));
        // Most reads are one piece from 0.
        let first = self.pieces.partition_point(|(start, data)| start + data.len() <= offset);
        let Some((start, data)) = self.pieces.get(first) else { return Part::None };
        let stop = start + data.len();
        if *start <= offset && end <= stop {
            return Part::All(&data[offset - start..end - start]);
        }
        if *start >= end || len == 0 {
            return Part::None;
        }
        let from = offset.max(*start);
        Part::Some(from, &data[from - start..end.min(stop) - start])
    }

    /// The bytes of `offset .. offset + len` if all of them are there.
    pub fn get(&self, offset: u64, len: u64) -> Option<&[u8]> {
        match self.part(offset, len) {
            Part::All(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// One past the last byte that is there.
    pub fn end(&self) -> usize {
        self.pieces.last().map_or(0, |(start, data)| start + data.len())
    }

    /// The table's length, where a full read tells it.
    pub fn whole_len(&self) -> Option<usize> {
        self.whole.then(|| self.end())
    }

    /// The bytes of a table that is one piece from its start.
    pub fn head(&self) -> &[u8] {
        match self.pieces.first() {
            Some((0, data)) => data,
            _ => &[],
        }
    }
}

/// Put the images of one meter and table together, one [`Read`] per read pass.
///
/// A pass ends with the session, when an offset is read again (contract, "Several reads of one table"), and when a partial
/// read contradicts the full one before it, for then the meter went on. Pieces that overlap and disagree otherwise give
/// the reject `image.overlap`; the later bytes are used.
pub fn join<'a>(meter: &str, images: &[(usize, &'a TableImage<'a>)], rejects: &mut Vec<Reject>) -> Vec<Read<'a>> {
    let mut reads: Vec<Read<'a>> = Vec::new();
    let mut pass: Vec<(usize, &'a TableImage<'a>)> = Vec::new();
    for &(order, image) in images {
        let ok = usize::try_from(image.offset)
            .ok()
            .and_then(|o| o.checked_add(image.data.len()))
            .is_some_and(|end| end <= MAX_TABLE);
        if !ok {
            rejects.push(
                Reject::new(
                    "image.offset",
                    format!(
                        "offset {} and {} bytes do not fit in a table: a partial read names at most {} bytes; check the \
                         offset column",
                        image.offset,
                        image.data.len(),
                        MAX_TABLE
                    ),
                )
                .meter(meter)
                .image(image)
                .data(&image.data),
            );
            continue;
        }
        let again = pass.iter().any(|(_, p)| {
            p.offset == image.offset || p.session != image.session || (p.whole == Some(true) && differ(p, image))
        });
        if again {
            reads.push(finish(meter, &pass, rejects));
            pass.clear();
        }
        pass.push((order, image));
    }
    if !pass.is_empty() {
        reads.push(finish(meter, &pass, rejects));
    }
    reads
}

fn differ(a: &TableImage<'_>, b: &TableImage<'_>) -> bool {
    let low = a.offset.max(b.offset);
    let high = (a.offset + a.data.len() as i64).min(b.offset + b.data.len() as i64);
    let cut = |i: &TableImage<'_>| ((low - i.offset) as usize, (high - i.offset) as usize);
    let ((a0, a1), (b0, b1)) = (cut(a), cut(b));
    low < high && a.data[a0..a1] != b.data[b0..b1]
}

fn finish<'a>(meter: &str, pass: &[(usize, &'a TableImage<'a>)], rejects: &mut Vec<Reject>) -> Read<'a> {
    let (order, first) = pass[0];
    let last = pass[pass.len() - 1].1;
    let mut read = Read {
        table: first.table,
        pieces: Vec::with_capacity(1),
        // A lone image from the start whose wholeness is unknown is taken as it is, but its length proves nothing.
        whole: pass.iter().any(|(_, i)| i.whole == Some(true) && i.offset == 0),
        read_at: last.read_at,
        order,
        session: first.session,
        input: first.input.clone(),
        position: first.position,
        ped: pass.iter().rev().find_map(|(_, i)| i.ped.clone()),
    };
    if pass.len() == 1 {
        read.pieces.push((first.offset as usize, Cow::Borrowed(&first.data[..])));
        return read;
    }
    let mut pieces: Vec<(usize, Cow<'a, [u8]>)> = Vec::with_capacity(pass.len());
    for (_, image) in pass {
        let (mut start, mut data) = (image.offset as usize, Cow::Borrowed(&image.data[..]));
        // Merge with every piece that it touches; the newer bytes win.
        let mut i = 0;
        while i < pieces.len() {
            let (s, d) = &pieces[i];
            let (s, e) = (*s, *s + d.len());
            if e < start || start + data.len() < s {
                i += 1;
                continue;
            }
            let (lo, hi) = (s.max(start), e.min(start + data.len()));
            if lo < hi && d[lo - s..hi - s] != data[lo - start..hi - start] {
                rejects.push(
                    Reject::new(
                        "image.overlap",
                        format!(
                            "bytes {lo}..{hi} of {} were read twice in one pass and differ; the later ones are used; read \
                             the table again",
                            image.table
                        ),
                    )
                    .meter(meter)
                    .image(image)
                    .item(format!("bytes {lo}..{hi}"))
                    .data(&d[lo - s..hi - s]),
                );
            }
            let (_, d) = pieces.remove(i);
            let begin = s.min(start);
            let mut joined = vec![0; e.max(start + data.len()) - begin];
            joined[s - begin..e - begin].copy_from_slice(&d);
            joined[start - begin..start - begin + data.len()].copy_from_slice(&data);
            (start, data) = (begin, Cow::Owned(joined));
        }
        pieces.push((start, data));
    }
    pieces.sort_by_key(|(start, _)| *start);
    read.pieces = pieces;
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(offset: i64, data: &[u8]) -> TableImage<'_> {
        TableImage {
            table: TableId::bt(64),
            offset,
            data: Cow::Borrowed(data),
            read_at: None,
            whole: Some(false),
            ped: None,
            session: 0,
            input: "x".into(),
            position: None,
        }
    }

    type Pieces = Vec<(usize, Vec<u8>)>;

    fn joined(images: &[TableImage<'_>]) -> (Vec<Pieces>, Vec<Reject>) {
        let mut rejects = Vec::new();
        let numbered: Vec<_> = images.iter().enumerate().collect();
        let reads = join("m", &numbered, &mut rejects);
        (reads.iter().map(|r| r.pieces.iter().map(|(o, d)| (*o, d.to_vec())).collect()).collect(), rejects)
    }

    #[test]
    fn pieces_are_joined_and_an_offset_read_again_starts_a_pass() {
        let (reads, rejects) = joined(&[image(4, b"efgh"), image(0, b"abcd"), image(10, b"kl"), image(4, b"EFGH")]);
        assert_eq!(reads, [vec![(0, b"abcdefgh".to_vec()), (10, b"kl".to_vec())], vec![(4, b"EFGH".to_vec())]]);
        assert!(rejects.is_empty());
    }

    #[test]
    fn a_full_read_that_is_contradicted_stays_as_it_was() {
        let mut whole = image(0, b"abcdef");
        whole.whole = Some(true);
        let (reads, rejects) = joined(&[whole, image(4, b"eX")]);
        assert_eq!(reads, [vec![(0, b"abcdef".to_vec())], vec![(4, b"eX".to_vec())]]);
        assert!(rejects.is_empty());
    }

    #[test]
    fn overlaps_that_disagree_are_told() {
        let (reads, rejects) = joined(&[image(0, b"abcdef"), image(4, b"eXgh")]);
        assert_eq!(reads, [vec![(0, b"abcdeXgh".to_vec())]]);
        assert_eq!(rejects[0].code, "image.overlap");
    }

    #[test]
    fn offsets_that_overflow_are_told() {
        for offset in [-1, i64::MAX, MAX_TABLE as i64] {
            let (reads, rejects) = joined(&[image(offset, b"ab")]);
            assert!(reads.is_empty());
            assert_eq!(rejects[0].code, "image.offset");
        }
    }

    #[test]
    fn parts() {
        let images = [image(2, b"cdef")];
        let numbered: Vec<_> = images.iter().enumerate().collect();
        let read = &join("m", &numbered, &mut Vec::new())[0];
        assert_eq!(read.part(2, 4), Part::All(b"cdef"));
        assert_eq!(read.part(0, 4), Part::Some(2, b"cd"));
        assert_eq!(read.part(4, 4), Part::Some(4, b"ef"));
        assert_eq!(read.part(6, 1), Part::None);
        assert_eq!(read.part(0, u64::MAX), Part::Some(2, b"cdef"));
    }

    #[test]
    fn names() {
        for (name, id) in [("BT64", 64), ("et21", 2069), ("BT54.pending", 4150), ("ET03", 2051)] {
            assert_eq!(TableId::parse(name), Some(TableId(id)));
        }
        for name in ["", "BT", "XT64", "BT-1", "BT64.bin", "BTé", "BT99999"] {
            assert_eq!(TableId::parse(name), None, "{name}");
        }
        assert_eq!(TableId(4150).to_string(), "BT54.pending");
        assert_eq!(TableId(2051).to_string(), "ET03");
    }
}
