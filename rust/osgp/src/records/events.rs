//! Event logs: the rings of BT74 (primary) and ET79 (alternate) become one row per entry, in order of sequence.
//!
//! The header holds the newest entry's sequence number in 32 bits, an entry the low 16 bits of its own: the full number is
//! the largest one up to the newest with those bits. Both logs share one sequence, so gaps are normal. User ID 0xFFFF
//! means that nobody was logged in, 0xFFFE a PLC, P2P or G3 message, 0xFFFD a MEP client. Source: MEP guide, BT74, p. 241,
//! and ET79, p. 181; C12.19-1997, table 74.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arrow_array::builder::BinaryBuilder;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;

use super::meter::{Field, Meter, View, available, field, missing, reject, table, which};
use super::profile_set::Et42;
use super::{BATCH_ROWS, Kind, Options};
use crate::catalog::{Catalog, TableIx};
use crate::columns::{Nullable, Words, batch, full, schema};
use crate::image::{Part, Read};
use crate::layout::{Leaf, Missing};
use crate::reject::Reject;
use crate::values;

pub(super) const NEEDS: [&str; 6] = ["BT70", "BT71", "BT74", "ET42", "ET54", "ET79"];
/// Bytes of the header (both guides' tables; the text of the Optical guide p. 49 counts one less).
const HEADER: u64 = 11;
const SEQUENCES: i64 = 1 << 32;

struct Fields {
    logs: [Log; 2],
    dimensions: [Dimensions; 2],
    et54_entries: Field,
}

struct Log {
    table: TableIx,
    name: &'static str,
    /// `log_date_time`, `log_event_number`, `log_sequence`, `log_argument`, `log_entries`.
    variables: [u8; 5],
    time: Field,
    sequence: Field,
    user: Field,
    event: Field,
    argument: Field,
}

/// BT71, or BT70 of the same layout before firmware 2.12.
struct Dimensions {
    fields: [Field; 5],
}

fn fields() -> &'static Fields {
    static FIELDS: OnceLock<Fields> = OnceLock::new();
    FIELDS.get_or_init(|| {
        let log = |id: &str, name| {
            let ix = table(id);
            let variable =
                |v| Catalog::get().table(ix).variable(v).expect("the decoders name variables of the catalogue");
            Log {
                table: ix,
                name,
                variables: ["log_date_time", "log_event_number", "log_sequence", "log_argument", "log_entries"]
                    .map(variable),
                time: field(ix, "entry.time"),
                sequence: field(ix, "entry.sequence"),
                user: field(ix, "entry.user_id"),
                event: field(ix, "entry.code.event"),
                argument: field(ix, "entry.argument"),
            }
        };
        let dimensions = |id: &str| Dimensions {
            fields: [
                "flags.date_time",
                "flags.event_number",
                "flags.sequence_number",
                "history_data_length",
                "history_entries",
            ]
            .map(|path| field(table(id), path)),
        };
        Fields {
            logs: [log("BT74", "primary"), log("ET79", "alternate")],
            dimensions: [dimensions("BT71"), dimensions("BT70")],
            et54_entries: field(table("ET54"), "et79_entries"),
        }
    })
}

/// One entry as logged.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Event<'r> {
    sequence: Option<i64>,
    time: Option<i64>,
    user: i32,
    code: u16,
    argument: &'r [u8],
}

pub(super) struct Rows {
    schema: SchemaRef,
    meter: (Words, Vec<i32>),
    log: (Words, Vec<i32>),
    event: (Words, Nullable<i32>),
    sequence: Nullable<i64>,
    time: Nullable<i64>,
    user: Vec<i32>,
    code: Vec<i32>,
    argument: BinaryBuilder,
    read_at: Nullable<i64>,
}

impl Rows {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            schema: schema(Kind::Events, options),
            meter: (Words::new(), Vec::new()),
            log: (Words::new(), Vec::new()),
            event: (Words::new(), Nullable::new()),
            sequence: Nullable::new(),
            time: Nullable::new(),
            user: Vec::new(),
            code: Vec::new(),
            argument: BinaryBuilder::new(),
            read_at: Nullable::new(),
        }
    }

    fn push(&mut self, meter: &str, log: &str, read_at: Option<i64>, event: &Event<'_>) {
        self.meter.1.push(self.meter.0.key(meter));
        self.log.1.push(self.log.0.key(log));
        let name = Catalog::get().event(event.code);
        self.event.1.push(name.map(|n| self.event.0.key(n)));
        self.sequence.push(event.sequence);
        self.time.push(event.time);
        self.user.push(event.user);
        self.code.push(i32::from(event.code));
        self.argument.append_value(event.argument);
        self.read_at.push(read_at);
    }

    pub(super) fn take(&mut self) -> Option<RecordBatch> {
        if self.user.is_empty() {
            return None;
        }
        let columns: Vec<ArrayRef> = vec![
            self.meter.0.finish(full::<Int32Type>(&mut self.meter.1)),
            self.log.0.finish(full::<Int32Type>(&mut self.log.1)),
            Arc::new(self.sequence.finish::<Int64Type>()),
            Arc::new(self.time.finish::<TimestampMicrosecondType>().with_timezone("UTC")),
            Arc::new(full::<Int32Type>(&mut self.user)),
            Arc::new(full::<Int32Type>(&mut self.code)),
            self.event.0.finish(self.event.1.finish()),
            Arc::new(self.argument.finish()),
            Arc::new(self.read_at.finish::<TimestampMicrosecondType>().with_timezone("UTC")),
        ];
        Some(batch(self.schema.clone(), columns))
    }
}

/// Add the rows of both logs of a meter.
pub(super) fn decode(meter: &Meter<'_>, rows: &mut Rows, rejects: &mut Vec<Reject>, full: &mut dyn FnMut(RecordBatch)) {
    for log in &fields().logs {
        let mut versions = Vec::new();
        for read in meter.reads(log.table) {
            match entries(meter, log, read, rejects) {
                Ok(events) => versions.push((read, events)),
                Err(m) => rejects.push(missing(meter.label, read, m)),
            }
        }
        merge(meter.label, &versions, rejects, |read, event| rows.push(meter.label, log.name, read.read_at, event));
        if rows.user.len() >= BATCH_ROWS {
            rows.take().into_iter().for_each(&mut *full);
        }
    }
}

/// The answers to the variables of a log: from BT71 or BT70; ET79's number of entries from ET54, else ET42's copy.
fn dimensions(view: &View<'_, '_>, log: &Log) -> Result<[i64; 5], Missing> {
    let f = fields();
    let newer = &f.dimensions[0];
    let d =
        f.dimensions.iter().find(|d| view.find(d.fields[4], &[]).is_some()).ok_or(Missing(newer.fields[4].table))?;
    let mut values = [0; 5];
    for (value, field) in values.iter_mut().zip(&d.fields) {
        *value = view.get(*field, &[])?;
    }
    if log.table != f.logs[0].table {
        let entries = view.find(f.et54_entries, &[]).or_else(|| Et42::new(view).et79_entries());
        values[4] = entries.ok_or(Missing(f.et54_entries.table))?;
    }
    Ok(values)
}

/// The entries of one read, oldest first, with their offsets.
fn entries<'r, 'a>(
    meter: &'r Meter<'a>,
    log: &Log,
    read: &'r Read<'a>,
    rejects: &mut Vec<Reject>,
) -> Result<Vec<(Event<'r>, u64)>, Missing> {
    let name = read.table;
    let head = match read.part(0, HEADER) {
        Part::All(head) => head,
        Part::None => return Err(Missing(log.table)),
        Part::Some(from, head) => {
            let reason = format!("{} of the header's {HEADER} bytes are there; read {name} again", head.len());
            rejects.push(
                reject(meter.label, read, "events.header", reason)
                    .item("header")
                    .offset(from as i64)
                    .data(head)
                    .length(HEADER as i64),
            );
            return Ok(Vec::new());
        }
    };
    let valid = i64::from(u16::from_le_bytes([head[1], head[2]]));
    let last = i64::from(u16::from_le_bytes([head[3], head[4]]));
    let last_sequence = i64::from(u32::from_le_bytes([head[5], head[6], head[7], head[8]]));
    if valid == 0 {
        return Ok(Vec::new());
    }
    let view = meter.view(Some(read));
    let values = dimensions(&view, log)?;
    let room = values[4];
    let wrong = if valid > room {
        Some(("events.count", format!("{valid} valid entries")))
    } else if last >= room {
        Some(("events.last_entry", format!("entry {last} as the newest")))
    } else {
        None
    };
    if let Some((code, what)) = wrong {
        let reason =
            format!("the header says {what}, and the log has room for {room}; read {name} and its dimensions again");
        rejects.push(reject(meter.label, read, code, reason).item("header").offset(0).data(head));
        return Ok(Vec::new());
    }
    let given: Vec<(u8, i64)> = log.variables.into_iter().zip(values).collect();
    let layout = view.layout_with(log.table, &given)?;
    let user = *layout.leaf(log.user.path).ok_or(Missing(log.table))?;
    let size = user.axes().first().map_or(0, |axis| axis.stride);
    let leaf = |f: Field| layout.leaf(f.path).copied();
    let leaves = Leaves {
        time: leaf(log.time),
        sequence: leaf(log.sequence),
        user: Some(user),
        event: leaf(log.event),
        argument: leaf(log.argument),
    };
    let step = if head[0] & 1 == 1 { -1 } else { 1 };
    let mut out = Vec::new();
    let (mut absent, mut first_absent) = (0, 0);
    for age in (0..valid).rev() {
        let element = (last - step * age).rem_euclid(room);
        let offset = HEADER + element as u64 * size;
        let part = read.part(offset, size);
        let Part::All(data) = part else {
            match available(&part, offset) {
                None => {
                    if absent == 0 {
                        first_absent = element;
                    }
                    absent += 1;
                }
                Some((from, data)) => {
                    let reason = format!("{} of the entry's {size} bytes are there; read {name} again", data.len());
                    rejects.push(
                        reject(meter.label, read, "events.entry_incomplete", reason)
                            .item(format!("entry {element}"))
                            .offset(from)
                            .data(data)
                            .length(size as i64),
                    );
                }
            }
            continue;
        };
        out.push((entry(meter.label, read, &leaves, data, element, offset, last_sequence, rejects), offset));
    }
    if absent > 0 && read.whole {
        let end = read.end();
        let reason = format!(
            "{name} ends after {end} bytes, before {absent} of the {valid} entries that its header counts; read {name} \
             again"
        );
        rejects.push(
            reject(meter.label, read, "table.too_short", reason)
                .item(format!("entry {first_absent}"))
                .offset(end as i64),
        );
    }
    Ok(out)
}

struct Leaves {
    time: Option<Leaf>,
    sequence: Option<Leaf>,
    user: Option<Leaf>,
    event: Option<Leaf>,
    argument: Option<Leaf>,
}

#[expect(clippy::too_many_arguments, reason = "what an entry is made of, and what a reject of it names")]
fn entry<'r>(
    meter: &str,
    read: &Read<'_>,
    leaves: &Leaves,
    data: &'r [u8],
    element: i64,
    offset: u64,
    last_sequence: i64,
    rejects: &mut Vec<Reject>,
) -> Event<'r> {
    let raw = |leaf: &Option<Leaf>| {
        let leaf = leaf.as_ref()?;
        let at = usize::try_from(leaf.offset - HEADER).ok()?;
        data.get(at..at.checked_add(usize::try_from(leaf.size).ok()?)?)
    };
    let word = |leaf: &Option<Leaf>| match raw(leaf) {
        Some(&[low, high]) => Some(u16::from_le_bytes([low, high])),
        _ => None,
    };
    let time = raw(&leaves.time).and_then(|stamp| {
        values::seconds(stamp).unwrap_or_else(|date| {
            let reason = format!("the time {} does not exist; the event is kept without it", date.0);
            rejects.push(
                reject(meter, read, "events.time", reason)
                    .item(format!("entry {element}"))
                    .offset(offset as i64)
                    .data(data),
            );
            None
        })
    });
    let sequence = word(&leaves.sequence).map(|low| {
        let behind = (last_sequence - i64::from(low)) & 0xFFFF;
        (last_sequence - behind).rem_euclid(SEQUENCES)
    });
    Event {
        sequence,
        time: time.map(|s| s * 1_000_000),
        user: i32::from(word(&leaves.user).unwrap_or(0)),
        code: word(&leaves.event).unwrap_or(0) & 0xFFF,
        argument: raw(&leaves.argument).unwrap_or(&[]),
    }
}

/// Give the entries of all reads once each: the latest bytes win, contradictions are told.
fn merge<'r>(
    meter: &str,
    versions: &[(&'r Read<'_>, Vec<(Event<'r>, u64)>)],
    rejects: &mut Vec<Reject>,
    mut give: impl FnMut(&Read<'_>, &Event<'r>),
) {
    if let [(read, events)] = versions {
        events.iter().for_each(|(event, _)| give(read, event));
        return;
    }
    let mut latest: BTreeMap<i64, (&Read<'_>, Event<'r>, u64)> = BTreeMap::new();
    let mut loose: Vec<(&Read<'_>, Event<'r>)> = Vec::new();
    let mut seen: std::collections::HashSet<(Option<i64>, i32, u16, &[u8])> = std::collections::HashSet::new();
    for (read, events) in versions {
        for (event, offset) in events {
            let Some(sequence) = event.sequence else {
                if !seen.insert((event.time, event.user, event.code, event.argument)) {
                    loose.retain(|(_, old)| old != event);
                }
                loose.push((read, *event));
                continue;
            };
            let before = latest.insert(sequence, (read, *event, *offset));
            let Some((old_read, old, old_offset)) = before.filter(|(_, old, _)| old != event) else { continue };
            let (one, other) = (which(old_read), which(read));
            let reason =
                format!("event {sequence} differs between two reads, {one} and {other}; the later one is used");
            let mut data = (old.user as u16).to_le_bytes().to_vec();
            data.extend(old.code.to_le_bytes());
            data.extend(old.argument);
            rejects.push(
                reject(meter, read, "events.contradiction", reason)
                    .item(format!("event {sequence}"))
                    .offset(old_offset as i64)
                    .data(&data),
            );
        }
    }
    // Across the wrap of the 32 bits the larger numbers are the older ones.
    let span = latest.keys().next_back().unwrap_or(&0) - latest.keys().next().unwrap_or(&0);
    let first = if span > SEQUENCES / 2 { SEQUENCES / 2 } else { 0 };
    for (_, (read, event, _)) in latest.range(first..).chain(latest.range(..first)) {
        give(read, event);
    }
    loose.iter().for_each(|(read, event)| give(read, event));
}
