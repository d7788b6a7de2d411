//! From inputs to units of work: which images belong to which meter, in which order, and how they are loaded.
//!
//! Inputs whose meters each lie in one run are streamed; of all others an index is made, and what cannot be read again at
//! a place of its own is put aside in a [`Store`].

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use osgp::image::TableImage;
use osgp::reject::Reject;
use osgp::scan::{ScanOptions, masked_head, scan};

use crate::columns_file::{Batches, ColumnsFile};
use crate::csv_dump;
use crate::error::{Error, plain};
use crate::images::{Columns, ImageBatch, Labels};
use crate::input::{Input, Inputs, not_recognised};
use crate::listing::{HEAD, Listing};
use crate::store::{Extent, Store};

/// Rows without a meter are rejected one by one up to this many in an input, then by runs: there may be billions.
const SINGLE_ROWS: u64 = 1000;
/// A meter's images in one streamed run are given to the decoder together; a label this common is still one meter.
const CAPTURE_IN_MEMORY: u64 = 64 << 20;

/// Everything that workers share: read-only.
#[derive(Debug)]
pub(crate) struct Plan {
    listings: Vec<(Listing, u32)>,
    store: Store,
    meters: Vec<Meter>,
    segments: Vec<Segment>,
    streams: Vec<Stream>,
    /// Rejects of the inputs themselves, told first.
    pub(crate) rejects: Vec<Reject>,
    pub(crate) notes: u64,
    pub(crate) noise_bytes: u64,
    pub(crate) repeated_packets: u64,
    /// MEP messages for which no key was given.
    pub(crate) mep_messages: u64,
    /// Bytes of images, as far as known beforehand (a file's size where it is streamed).
    pub(crate) bytes: u64,
}

#[derive(Debug)]
struct Meter {
    label: Arc<str>,
    bytes: u64,
    sources: Vec<Source>,
}

#[derive(Debug)]
enum Source {
    /// A directory of a listing.
    Dir { listing: u32, dir: u32 },
    /// Images put aside.
    Stored(Vec<Extent>),
}

#[derive(Debug)]
enum Segment {
    Meters(Range<usize>),
    Stream(usize),
}

#[derive(Debug)]
struct Stream {
    origin: Origin,
    session: u32,
    label: Option<Arc<str>>,
}

#[derive(Debug)]
enum Origin {
    File(ColumnsFile),
    Memory(Vec<Arc<ImageBatch>>),
}

struct Indexer<'a> {
    plan: Plan,
    by_label: HashMap<Arc<str>, usize>,
    sessions: u32,
    stop: &'a AtomicBool,
}

impl Indexer<'_> {
    fn session(&mut self) -> u32 {
        self.sessions += 1;
        self.sessions
    }

    fn check(&self) -> Result<(), Error> {
        if self.stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }

    fn meter(&mut self, label: &str) -> &mut Meter {
        let at = match self.by_label.get(label) {
            Some(&at) => at,
            None => {
                let label: Arc<str> = label.into();
                let at = self.plan.meters.len();
                self.plan.meters.push(Meter { label: label.clone(), bytes: 0, sources: Vec::new() });
                self.by_label.insert(label, at);
                match self.plan.segments.last_mut() {
                    Some(Segment::Meters(range)) => range.end = at + 1,
                    _ => self.plan.segments.push(Segment::Meters(at..at + 1)),
                }
                at
            }
        };
        &mut self.plan.meters[at]
    }

    fn put_aside(&mut self, label: &str, image: &TableImage<'_>) -> Result<(), Error> {
        let extent = self.plan.store.push(image)?;
        self.plan.bytes += image.data.len() as u64;
        let meter = self.meter(label);
        meter.bytes += image.data.len() as u64;
        match meter.sources.last_mut() {
            Some(Source::Stored(extents)) => match extents.last_mut() {
                Some(last) if last.at + last.len == extent.at => last.len += extent.len,
                _ => extents.push(extent),
            },
            _ => meter.sources.push(Source::Stored(vec![extent])),
        }
        Ok(())
    }
}

impl Inputs {
    /// Make the index. Reads what has to be read for it, no more.
    pub(crate) fn plan(self, stop: &AtomicBool) -> Result<Plan, Error> {
        let options = self.options;
        let mut indexer = Indexer {
            plan: Plan {
                listings: Vec::new(),
                store: Store::new(&options.tmp),
                meters: Vec::new(),
                segments: Vec::new(),
                streams: Vec::new(),
                rejects: self.found.rejects,
                notes: self.found.notes,
                noise_bytes: 0,
                repeated_packets: 0,
                mep_messages: 0,
                bytes: 0,
            },
            by_label: HashMap::new(),
            sessions: 0,
            stop,
        };
        let over = options.meter.as_deref();
        let streamed = streamable(&self.items, over, stop)?;
        for (item, streamed) in self.items.into_iter().zip(streamed) {
            indexer.check()?;
            match item {
                Input::Listing(listing) => {
                    let number = indexer.plan.listings.len() as u32;
                    let first_session = indexer.sessions + 1;
                    indexer.sessions += listing.dirs.len() as u32;
                    for (i, dir) in listing.dirs.iter().enumerate() {
                        let bytes: u64 = dir.members.iter().map(|m| m.len).sum();
                        indexer.plan.bytes += bytes;
                        let meter = indexer.meter(over.unwrap_or(&dir.label));
                        meter.bytes += bytes;
                        meter.sources.push(Source::Dir { listing: number, dir: i as u32 });
                    }
                    indexer.plan.listings.push((listing, first_session));
                }
                Input::Columns(file) if streamed => {
                    indexer.plan.bytes += file.size;
                    indexer.stream(Origin::File(file), over);
                }
                Input::Memory(batches) if streamed => {
                    indexer.plan.bytes += batches.iter().map(|b| b.bytes()).sum::<u64>();
                    indexer.stream(Origin::Memory(batches), over);
                }
                Input::Columns(file) => {
                    let session = indexer.session();
                    indexer.scattered(Rows::open(&Origin::File(file), session), over)?;
                }
                Input::Memory(batches) => {
                    let session = indexer.session();
                    indexer.scattered(Rows::open(&Origin::Memory(batches), session), over)?;
                }
                Input::Csv { path, stem } => {
                    let session = indexer.session();
                    let mut rejects = Vec::new();
                    let label = over.unwrap_or(&stem).to_owned();
                    csv_dump::read(&path, session, &mut rejects, &mut |image| indexer.put_aside(&label, image))?;
                    indexer.plan.rejects.append(&mut rejects);
                }
                Input::Capture { path, stem, size } => {
                    let utc = |local| options.zone.to_utc(local);
                    let scan_options = ScanOptions {
                        input: path.to_string_lossy().into(),
                        stem: &stem,
                        meter: over,
                        wrap: options.wrap,
                        keys: &options.keys,
                        local_to_utc: &utc,
                    };
                    indexer.capture(&path, size, &scan_options)?;
                }
            }
        }
        indexer.plan.store.seal()?;
        Ok(indexer.plan)
    }
}

impl Indexer<'_> {
    fn stream(&mut self, origin: Origin, label: Option<&str>) {
        let session = self.session();
        self.plan.segments.push(Segment::Stream(self.plan.streams.len()));
        self.plan.streams.push(Stream { origin, session, label: label.map(Into::into) });
    }

    fn scattered(&mut self, rows: Rows, label: Option<&str>) -> Result<(), Error> {
        let mut rows = rows;
        while let Some(batch) = rows.next_batch(&mut self.plan.rejects) {
            self.check()?;
            for row in 0..batch.len() {
                if let Some(own) = batch.meter.get(row) {
                    match batch.image(row) {
                        Ok(image) => self.put_aside(label.unwrap_or(&own), &image)?,
                        Err(reject) => self.plan.rejects.push(*reject),
                    }
                }
            }
        }
        Ok(())
    }

    fn capture(&mut self, path: &Path, size: u64, options: &ScanOptions<'_>) -> Result<(), Error> {
        let item = path.file_name().unwrap_or_default().to_string_lossy();
        let loaded = match Loaded::open(path, size) {
            Ok(loaded) => loaded,
            Err(error) => {
                let reason = format!("cannot be read: {}", plain(&error));
                self.plan.rejects.push(Reject::new("input.unreadable", reason).item(&*item).input(&options.input));
                return Ok(());
            }
        };
        let Ok(capture) = scan(loaded.bytes(), options) else {
            let head = masked_head(loaded.bytes(), HEAD);
            self.plan.rejects.push(not_recognised(&head, size).item(&*item).input(&options.input));
            return Ok(());
        };
        self.plan.rejects.extend(capture.rejects);
        self.plan.noise_bytes += capture.noise_bytes;
        self.plan.repeated_packets += capture.repeated;
        if options.keys.is_empty() {
            self.plan.mep_messages += capture.mep_messages;
        }
        for session in capture.sessions {
            let mut numbers: HashMap<u32, u32> = HashMap::new();
            for mut image in session.images {
                let next = self.sessions + 1;
                image.session = *numbers.entry(image.session).or_insert(next);
                self.sessions = self.sessions.max(image.session);
                self.put_aside(&session.label, &image)?;
            }
        }
        Ok(())
    }
}

/// A file in memory, or mapped where it is large.
enum Loaded {
    Memory(Vec<u8>),
    Mapped(memmap2::Mmap),
}

impl Loaded {
    fn open(path: &Path, size: u64) -> std::io::Result<Self> {
        let mut file = File::open(path)?;
        if size > CAPTURE_IN_MEMORY {
            // SAFETY: the bytes are only read, and a scan of bytes that change under it gives rejects at worst. What
            // remains is the file being cut short by somebody else while we read it, which ends the process (SIGBUS);
            // the alternative is a gigabyte of memory for a log of some days.
            #[allow(unsafe_code)]
            return unsafe { memmap2::Mmap::map(&file) }.map(Self::Mapped);
        }
        let mut bytes = Vec::with_capacity(size as usize);
        file.by_ref().take(CAPTURE_IN_MEMORY).read_to_end(&mut bytes)?;
        Ok(Self::Memory(bytes))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Memory(bytes) => bytes,
            Self::Mapped(map) => map,
        }
    }
}

/// Which inputs of columns can be streamed: every meter is one run in it and in no other input.
fn streamable(items: &[Input], over: Option<&str>, stop: &AtomicBool) -> Result<Vec<bool>, Error> {
    let alone = items.len() == 1;
    if over.is_some() {
        // One meter, whatever the column says: one run where it is the only input.
        return Ok(items.iter().map(|item| alone && matches!(item, Input::Columns(_) | Input::Memory(_))).collect());
    }
    let columns = items.iter().filter(|item| matches!(item, Input::Columns(_) | Input::Memory(_))).count();
    // A capture's labels are known when it is scanned, which is later: beside one nothing is streamed.
    let others_known =
        items.iter().all(|item| matches!(item, Input::Columns(_) | Input::Memory(_) | Input::Listing(_)));
    if columns == 0 || !others_known {
        return Ok(vec![false; items.len()]);
    }
    let mut owner: HashMap<Box<str>, usize> = HashMap::new();
    let mut ok: Vec<bool> = items.iter().map(|item| !matches!(item, Input::Listing(_))).collect();
    let mut claim = |label: Cow<'_, str>, item: usize, ok: &mut Vec<bool>| match owner.get(&*label) {
        Some(&other) => {
            ok[other] = false;
            ok[item] = false;
        }
        None => {
            owner.insert(label.into(), item);
        }
    };
    for (i, item) in items.iter().enumerate() {
        match item {
            Input::Listing(listing) => {
                let mut own = HashSet::new();
                for dir in &listing.dirs {
                    if own.insert(&dir.label) {
                        claim(Cow::Borrowed(&dir.label), i, &mut ok);
                    }
                }
            }
            Input::Columns(file) => {
                // What is broken is told when the rows are read.
                let Ok((batches, schema)) = file.read(true) else { continue };
                let Ok(at) = schema.index_of("meter") else { continue };
                let mut last: Option<String> = None;
                for batch in batches {
                    if stop.load(Ordering::Relaxed) {
                        return Err(Error::Interrupted);
                    }
                    let Some(labels) =
                        batch.ok().and_then(|batch| Labels::new(batch.column(at)).ok().zip(Some(batch.num_rows())))
                    else {
                        break;
                    };
                    runs(&labels.0, labels.1, &mut last, &mut |label| claim(label, i, &mut ok));
                    if !ok[i] {
                        break;
                    }
                }
            }
            Input::Memory(batches) => {
                let mut last = None;
                for batch in batches {
                    runs(&batch.meter, batch.len(), &mut last, &mut |label| claim(label, i, &mut ok));
                }
            }
            Input::Csv { .. } | Input::Capture { .. } => {}
        }
    }
    Ok(ok)
}

/// Call `start` at the first row of every run of one label; rows without a label end no run.
fn runs(labels: &Labels, rows: usize, last: &mut Option<String>, start: &mut dyn FnMut(Cow<'_, str>)) {
    for row in 0..rows {
        let Some(label) = labels.get(row) else { continue };
        if last.as_deref() != Some(&*label) {
            start(Cow::Borrowed(&label));
            *last = Some(label.into_owned());
        }
    }
}

/// Rows of table images, batch by batch, their faults as rejects.
struct Rows {
    source: RowSource,
    input: Arc<str>,
    session: u32,
    at: u64,
    unnamed: u64,
    error: Option<String>,
}

enum RowSource {
    File(Batches, Columns),
    Memory(std::vec::IntoIter<Arc<ImageBatch>>),
    None,
}

impl Rows {
    fn open(origin: &Origin, session: u32) -> Self {
        let mut rows = Self { source: RowSource::None, input: Arc::from(""), session, at: 0, unnamed: 0, error: None };
        match origin {
            Origin::Memory(batches) => {
                rows.input = batches.first().map_or(rows.input, |b| b.input.clone());
                rows.source = RowSource::Memory(batches.clone().into_iter());
            }
            Origin::File(file) => {
                rows.input = file.input.clone();
                let opened = file.read(false).and_then(|(batches, schema)| Ok((batches, Columns::find(&schema)?)));
                match opened {
                    Ok((batches, columns)) => rows.source = RowSource::File(batches, columns),
                    Err(error) => rows.error = Some(error),
                }
            }
        }
        rows
    }

    fn next_batch(&mut self, rejects: &mut Vec<Reject>) -> Option<Arc<ImageBatch>> {
        let batch = match &mut self.source {
            RowSource::None => None,
            RowSource::Memory(batches) => batches.next(),
            RowSource::File(batches, columns) => match batches.next() {
                None => None,
                Some(batch) => {
                    let made = batch.and_then(|batch| {
                        ImageBatch::new(&batch, columns, &self.input, self.session, self.at)
                            .map_err(|error| error.to_string())
                    });
                    made.map(Arc::new).map_err(|error| self.error = Some(error)).ok()
                }
            },
        };
        if let Some(error) = self.error.take() {
            self.source = RowSource::None;
            let first = error.lines().next().unwrap_or_default();
            rejects.push(
                Reject::new(
                    "input.damaged",
                    format!(
                        "damaged after row {}: {first}; what stands before is decoded; copy the file again",
                        self.at
                    ),
                )
                .item(format!("row {}", self.at))
                .input(&self.input),
            );
        }
        let batch = batch?;
        let mut row = 0;
        while row < batch.len() {
            let start = row;
            while row < batch.len() && !batch.meter.has(row) && (row == start || self.unnamed > SINGLE_ROWS) {
                row += 1;
            }
            if row > start {
                self.unnamed += 1;
                rejects.push(batch.no_meter(start, row - start));
            } else {
                row += 1;
            }
        }
        self.at += batch.len() as u64;
        Some(batch)
    }
}

/// Some meters that a worker decodes one after another.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) meters: Vec<Job>,
    /// Rejects of reading, told before those of decoding.
    pub(crate) rejects: Vec<Reject>,
}

/// The images of one meter, not yet loaded.
#[derive(Debug)]
pub(crate) enum Job {
    Indexed(usize),
    Rows { label: Arc<str>, rows: Vec<(Arc<ImageBatch>, Range<usize>)> },
}

/// Hands out the units in order.
pub(crate) struct Units<'a> {
    plan: &'a Plan,
    state: UnitsState,
}

/// How far the handing out is.
#[derive(Default)]
pub(crate) struct UnitsState {
    unit_bytes: u64,
    segment: usize,
    at: usize,
    stream: Option<Pending>,
    begun: bool,
}

/// A stream in the middle of a run.
struct Pending {
    rows: Rows,
    label: Option<Arc<str>>,
    current: Option<Run>,
    batch: Option<(Arc<ImageBatch>, usize)>,
}

impl<'a> Units<'a> {
    pub(crate) fn new(plan: &'a Plan, unit_bytes: u64) -> Self {
        Self { plan, state: UnitsState { unit_bytes, ..UnitsState::default() } }
    }

    /// For an owner of the plan, which cannot hold what borrows from it.
    pub(crate) fn resume(plan: &'a Plan, state: UnitsState) -> Self {
        Self { plan, state }
    }

    pub(crate) fn into_state(self) -> UnitsState {
        self.state
    }

    /// The next unit: whole meters of about `unit_bytes` together.
    pub(crate) fn next_unit(&mut self, stop: &AtomicBool) -> Option<Unit> {
        let mut unit = Unit { meters: Vec::new(), rejects: Vec::new() };
        let state = &mut self.state;
        if !std::mem::replace(&mut state.begun, true) {
            unit.rejects.clone_from(&self.plan.rejects);
        }
        let mut bytes = 0;
        // Even a unit of nothing is one meter.
        while (bytes < state.unit_bytes || unit.meters.is_empty()) && !stop.load(Ordering::Relaxed) {
            match self.plan.segments.get(state.segment) {
                None => break,
                Some(Segment::Meters(range)) => {
                    let at = range.start + state.at;
                    if at >= range.end {
                        (state.segment, state.at) = (state.segment + 1, 0);
                        continue;
                    }
                    bytes += self.plan.meters[at].bytes;
                    unit.meters.push(Job::Indexed(at));
                    state.at += 1;
                }
                Some(&Segment::Stream(i)) => {
                    let stream = &self.plan.streams[i];
                    let pending = state.stream.get_or_insert_with(|| Pending {
                        rows: Rows::open(&stream.origin, stream.session),
                        label: stream.label.clone(),
                        current: None,
                        batch: None,
                    });
                    match pending.next_meter(&mut unit.rejects, stop) {
                        Some((label, rows, size)) => {
                            bytes += size;
                            unit.meters.push(Job::Rows { label, rows });
                        }
                        None => {
                            state.stream = None;
                            state.segment += 1;
                        }
                    }
                }
            }
        }
        (!unit.meters.is_empty() || !unit.rejects.is_empty()).then_some(unit)
    }
}

/// A meter, its rows, and the bytes of its images.
type Run = (Arc<str>, Vec<(Arc<ImageBatch>, Range<usize>)>, u64);

impl Pending {
    fn next_meter(&mut self, rejects: &mut Vec<Reject>, stop: &AtomicBool) -> Option<Run> {
        loop {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            if self.batch.is_none() {
                match self.rows.next_batch(rejects) {
                    Some(batch) => self.batch = Some((batch, 0)),
                    None => return self.current.take(),
                }
            }
            let Some((batch, start)) = &mut self.batch else { return None };
            let (mut row, mut size) = (*start, 0);
            let mut changed = None;
            while row < batch.len() {
                // The label that the whole input was given stands for every row that has one.
                if let Some(own) = batch.meter.get(row) {
                    let label = self.label.as_deref().unwrap_or(&own);
                    match &self.current {
                        Some((current, ..)) if **current == *label => {}
                        Some(_) => {
                            changed = Some(());
                            break;
                        }
                        None => self.current = Some((label.into(), Vec::new(), 0)),
                    }
                    size += batch.data_len(row) as u64;
                }
                row += 1;
            }
            if let Some((_, rows, bytes)) = &mut self.current
                && row > *start
            {
                rows.push((batch.clone(), *start..row));
                *bytes += size;
            }
            *start = row;
            if row >= batch.len() {
                self.batch = None;
            }
            if changed.is_some() {
                return self.current.take();
            }
        }
    }
}

impl Plan {
    /// Load a meter's images and hand them to `use_them`; what cannot be loaded becomes rejects.
    pub(crate) fn load<T>(
        &self,
        job: &Job,
        rejects: &mut Vec<Reject>,
        use_them: impl FnOnce(&str, &[TableImage<'_>]) -> T,
    ) -> Result<T, Error> {
        let mut images = Vec::new();
        match job {
            Job::Rows { label, rows } => {
                for (batch, range) in rows {
                    for row in range.clone() {
                        if batch.meter.has(row) {
                            match batch.image(row) {
                                Ok(image) => images.push(image),
                                Err(reject) => rejects.push(*reject),
                            }
                        }
                    }
                }
                Ok(use_them(label, &images))
            }
            Job::Indexed(i) => {
                let meter = &self.meters[*i];
                let mut stored: Vec<Cow<'_, [u8]>> = Vec::new();
                for source in &meter.sources {
                    if let Source::Stored(extents) = source {
                        stored.push(self.store.load(extents)?);
                    }
                }
                let mut next = 0;
                for source in &meter.sources {
                    match source {
                        Source::Stored(_) => {
                            self.store.parse(&stored[next], &mut images)?;
                            next += 1;
                        }
                        Source::Dir { listing, dir } => {
                            let (listing, first_session) = &self.listings[*listing as usize];
                            let folder = &listing.dirs[*dir as usize];
                            for member in &folder.members {
                                match listing.read(folder, member) {
                                    Ok(data) => images.push(TableImage {
                                        table: member.table,
                                        offset: 0,
                                        data: Cow::Owned(data),
                                        read_at: None,
                                        whole: Some(true),
                                        ped: None,
                                        session: first_session + dir,
                                        input: listing.name(folder, member),
                                        position: None,
                                    }),
                                    Err(reject) => rejects.push(reject.meter(&meter.label)),
                                }
                            }
                        }
                    }
                }
                Ok(use_them(&meter.label, &images))
            }
        }
    }
}
