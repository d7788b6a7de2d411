//! The jobs: inputs into files, into a summary, into a stream of batches, or into table images.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use crossbeam_channel::{Receiver, Sender, bounded};
use osgp::columns;
use osgp::image::TableImage;
use osgp::records::{Kind, Options, Shape};
use osgp::reject::Reject;

use crate::engine::{Control, Item, Out, Run, Shaper};
use crate::error::{Error, OpenError};
use crate::images::{Columns, ImageBatch};
use crate::input::{Input, Inputs, OpenOptions};
use crate::listing::Found;
use crate::plan::{Job as MeterJob, Plan, Units};
use crate::sink::{FileShaper, Files, Output};
use crate::summary::Tally;

/// Bytes of images in a unit that is to become a row group: with four channels each byte gives a fifth of a row.
const UNIT_LONG: u64 = 5 << 20;
const UNIT_WIDE: u64 = 20 << 20;
/// Bytes of images in a unit whose rows are handed on as they are: a row of the long shape takes some 70 bytes, and some
/// units wait for their turn.
const UNIT_STREAM: u64 = 1 << 20;

/// What is to be decoded, and how.
#[derive(Clone, Debug)]
pub struct Job {
    /// The kinds of rows.
    pub kinds: Vec<Kind>,
    /// What decides about the rows.
    pub options: Options,
    /// Threads that decode.
    pub jobs: usize,
}

/// Add what is known of the inputs themselves.
fn begin(plan: &Plan, job: &Job) -> Tally {
    let mut tally = Tally::new(&job.kinds, &job.options);
    tally.notes = plan.notes;
    tally.noise_bytes = plan.noise_bytes;
    tally.repeated_packets = plan.repeated_packets;
    tally.mep_messages = plan.mep_messages;
    tally
}

/// Decode into files, whole or not at all. Returns what was done and the files, rejects last.
pub fn decode_to_files(
    inputs: Inputs,
    job: &Job,
    output: &Output,
    control: &Control,
) -> Result<(Tally, Vec<PathBuf>), Error> {
    let mut files = Files::create(output, &job.kinds, &job.options)?;
    let plan = inputs.plan(control.flag())?;
    let mut total = begin(&plan, job);
    let unit_bytes = match (output.split, job.options.shape) {
        (Some(_), _) => UNIT_STREAM,
        (None, Shape::Long) => UNIT_LONG,
        (None, Shape::Wide) => UNIT_WIDE,
    };
    run(&plan, job, unit_bytes, control).run(
        || FileShaper::new(&job.kinds, &job.options, output),
        |item| match item {
            Item::Piece(piece) => files.piece(piece),
            Item::Rejects(rejects) => files.rejects(rejects),
            Item::Done(tally) => {
                total.add(tally);
                Ok(())
            }
        },
    )?;
    Ok((total, files.finish()?))
}

fn run<'a>(plan: &'a Plan, job: &'a Job, unit_bytes: u64, control: &'a Control) -> Run<'a> {
    Run { plan, kinds: &job.kinds, options: &job.options, jobs: job.jobs, unit_bytes, control }
}

/// What was done, the first rows of every kind in plain columns, the first rejects.
pub type Summary = (Tally, Vec<(Kind, RecordBatch)>, Vec<Reject>);

/// Decode for the summary alone: what was done, the first rows of every kind, the first rejects.
pub fn summarize(
    inputs: Inputs,
    job: &Job,
    first_rows: usize,
    first_rejects: usize,
    control: &Control,
) -> Result<Summary, Error> {
    let plan = inputs.plan(control.flag())?;
    let mut total = begin(&plan, job);
    let mut first: Vec<(Kind, RecordBatch)> = job
        .kinds
        .iter()
        .map(|kind| (*kind, RecordBatch::new_empty(columns::plain_schema(&columns::schema(*kind, &job.options)))))
        .collect();
    let mut rejects = Vec::new();
    run(&plan, job, UNIT_LONG, control).run(
        || HeadShaper { rows: first_rows, kinds: Vec::new() },
        |item| {
            match item {
                Item::Piece((kind, batch)) => {
                    for (_, head) in first.iter_mut().filter(|(k, _)| *k == kind) {
                        let missing = first_rows.saturating_sub(head.num_rows()).min(batch.num_rows());
                        if missing > 0 {
                            *head = join(head, &batch.slice(0, missing))?;
                        }
                    }
                }
                Item::Rejects(some) => {
                    let room = first_rejects.saturating_sub(rejects.len());
                    rejects.extend(some.into_iter().take(room));
                }
                Item::Done(tally) => total.add(tally),
            }
            Ok(())
        },
    )?;
    Ok((total, first, rejects))
}

/// `head` with the rows of a batch after it, in plain columns.
fn join(head: &RecordBatch, more: &RecordBatch) -> Result<RecordBatch, Error> {
    let more = to_schema(more, &head.schema())?;
    Ok(arrow_select::concat::concat_batches(&head.schema(), [head, &more])?)
}

/// The columns of a batch in the types of a schema.
pub(crate) fn to_schema(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Error> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            if column.data_type() == field.data_type() {
                Ok(column.clone())
            } else {
                arrow_cast::cast(column, field.data_type())
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

/// Keeps the first rows of a unit; the rest is only counted.
struct HeadShaper {
    rows: usize,
    kinds: Vec<(Kind, usize)>,
}

impl Shaper for HeadShaper {
    type Piece = (Kind, RecordBatch);

    fn batch(&mut self, kind: Kind, batch: RecordBatch, out: &mut Out<'_, Self::Piece>) -> Result<(), Error> {
        let have = match self.kinds.iter_mut().find(|(k, _)| *k == kind) {
            Some((_, have)) => have,
            None => {
                self.kinds.push((kind, 0));
                &mut self.kinds.last_mut().ok_or_else(|| Error::Encode("no kind".to_owned()))?.1
            }
        };
        let missing = self.rows.saturating_sub(*have).min(batch.num_rows());
        *have += missing;
        if missing == 0 {
            return Ok(());
        }
        // A slice would keep all of the batch alive.
        let schema = columns::plain_schema(&batch.schema());
        let head = join(&RecordBatch::new_empty(schema), &batch.slice(0, missing))?;
        out((kind, head), 1 << 10)
    }

    fn unit_end(&mut self, _: &mut Out<'_, Self::Piece>) -> Result<(), Error> {
        self.kinds.clear();
        Ok(())
    }
}

/// Hands batches on, with plain strings if asked to.
struct StreamShaper(Option<SchemaRef>);

impl Shaper for StreamShaper {
    type Piece = RecordBatch;

    fn batch(&mut self, _: Kind, batch: RecordBatch, out: &mut Out<'_, RecordBatch>) -> Result<(), Error> {
        let batch = match &self.0 {
            Some(schema) => to_schema(&batch, schema)?,
            None => batch,
        };
        let weight = batch.get_array_memory_size();
        out(batch, weight)
    }

    fn unit_end(&mut self, _: &mut Out<'_, RecordBatch>) -> Result<(), Error> {
        Ok(())
    }
}

/// What a stream's thread and its reader share.
#[derive(Debug, Default)]
struct Shared {
    rejects: Vec<Reject>,
    tally: Tally,
}

/// A running pass that gives the batches of one kind. Dropping it stops its threads.
#[derive(Debug)]
pub struct Stream {
    schema: SchemaRef,
    receiver: Option<Receiver<Result<RecordBatch, Error>>>,
    thread: Option<JoinHandle<()>>,
    watch: Watch,
    ended: bool,
}

/// Looks at a stream from the side: rejects, counts, and the way to stop it.
#[derive(Clone, Debug)]
pub struct Watch {
    shared: Arc<Mutex<Shared>>,
    control: Arc<Control>,
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// The rejects so far, each given once.
    pub fn take_rejects(&self) -> Vec<Reject> {
        std::mem::take(&mut self.lock().rejects)
    }
    /// What was done so far.
    pub fn tally(&self) -> Tally {
        self.lock().tally.clone()
    }
    /// Stop the pass.
    pub fn stop(&self) {
        self.control.stop();
    }
}

impl Stream {
    /// Start decoding one kind. `plain`: plain strings instead of dictionaries. `fail_on_reject`: the first reject ends it.
    pub fn start(inputs: Inputs, job: Job, plain: bool, fail_on_reject: bool) -> Result<Self, Error> {
        let [kind] = job.kinds[..] else {
            return Err(Error::Usage("a stream has one kind".to_owned()));
        };
        let schema = columns::schema(kind, &job.options);
        let schema = if plain { columns::plain_schema(&schema) } else { schema };
        let watch = Watch { shared: Arc::default(), control: Arc::default() };
        let (sender, receiver) = bounded(2);
        let (theirs, plain_schema) = (watch.clone(), plain.then(|| schema.clone()));
        let thread = std::thread::Builder::new()
            .name("osgp-stream".to_owned())
            .spawn(move || {
                let ended = feed(inputs, &job, plain_schema.as_ref(), fail_on_reject, &theirs, &sender);
                if let Err(error) = ended {
                    // Nobody listens any more if this fails.
                    let _ = sender.send(Err(error));
                }
            })
            .map_err(|error| Error::io("a thread".as_ref(), error))?;
        Ok(Self { schema, receiver: Some(receiver), thread: Some(thread), watch, ended: false })
    }

    /// A handle that outlives the stream.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// The next batch if one comes within the time; `None`: not yet.
    pub fn next_within(&mut self, time: std::time::Duration) -> Option<Option<Result<RecordBatch, Error>>> {
        let Some(receiver) = &self.receiver else { return Some(None) };
        match receiver.recv_timeout(time) {
            Ok(item) => Some(Some(item)),
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => None,
            Err(crossbeam_channel::RecvTimeoutError::Disconnected) => Some(self.end()),
        }
    }

    /// The thread is gone: either it is done, or it died.
    fn end<T>(&mut self) -> Option<Result<T, Error>> {
        self.receiver = None;
        let died = self.thread.take().and_then(|thread| thread.join().err());
        let first = !std::mem::replace(&mut self.ended, true);
        died.filter(|_| first).map(|panic| Err(Error::panic(&*panic)))
    }
}

fn feed(
    inputs: Inputs,
    job: &Job,
    plain: Option<&SchemaRef>,
    fail_on_reject: bool,
    watch: &Watch,
    sender: &Sender<Result<RecordBatch, Error>>,
) -> Result<(), Error> {
    let control = &watch.control;
    let plan = inputs.plan(control.flag())?;
    watch.lock().tally = begin(&plan, job);
    run(&plan, job, UNIT_STREAM, control).run(
        || StreamShaper(plain.cloned()),
        |item| match item {
            Item::Piece(batch) => sender.send(Ok(batch)).map_err(|_| Error::Interrupted),
            Item::Rejects(rejects) => {
                let first = rejects.first().map(|r| (r.code, r.reason.clone()));
                watch.lock().rejects.extend(rejects);
                match first.filter(|_| fail_on_reject) {
                    Some((code, reason)) => Err(Error::Rejected { code, reason }),
                    None => Ok(()),
                }
            }
            Item::Done(tally) => {
                watch.lock().tally.add(tally);
                Ok(())
            }
        },
    )
}

impl Iterator for Stream {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = match self.receiver.as_ref()?.recv() {
            Ok(item) => Some(item),
            Err(_) => self.end(),
        };
        // The C interface hands errors on as C strings.
        item.map(|item| item.map_err(|error| ArrowError::ExternalError(error.to_string().replace('\0', "\\0").into())))
    }
}

impl RecordBatchReader for Stream {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.watch.stop();
        // A sender that waits for room is freed by this.
        self.receiver = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Table images in memory as an input.
pub fn images_in_memory(
    schema: &Schema,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
) -> Result<Inputs, Error> {
    let wrong = |code, message: String| Error::Open(OpenError { code, path: "images".to_owned(), message });
    let columns = Columns::find(schema).map_err(|message| wrong("input.columns", message))?;
    let input: Arc<str> = "images".into();
    let (mut made, mut rows) = (Vec::new(), 0);
    for batch in batches {
        let batch = batch.map_err(|error| wrong("input.unreadable", error.to_string()))?;
        let images = ImageBatch::new(&batch, &columns, &input, 1, rows)
            .map_err(|error| wrong("input.unreadable", error.to_string()))?;
        rows += batch.num_rows() as u64;
        made.push(Arc::new(images));
    }
    Ok(Inputs { items: vec![Input::Memory(made)], found: Found::default(), options: OpenOptions::default() })
}

/// Every meter with its images: the readers without the decoder.
pub struct ImageReader {
    plan: Plan,
    units: crate::plan::UnitsState,
    meters: VecDeque<MeterJob>,
    rejects: Vec<Reject>,
    bytes_done: u64,
}

impl ImageReader {
    /// Make the index of the inputs.
    pub fn new(inputs: Inputs, stop: &AtomicBool) -> Result<Self, Error> {
        let plan = inputs.plan(stop)?;
        let units = Units::new(&plan, 0).into_state();
        Ok(Self { plan, units, meters: VecDeque::new(), rejects: Vec::new(), bytes_done: 0 })
    }

    /// The next meter; `use_them` gets its label and images.
    pub fn next_meter<T>(&mut self, use_them: impl FnOnce(&str, &[TableImage<'_>]) -> T) -> Result<Option<T>, Error> {
        while self.meters.is_empty() {
            let mut units = Units::resume(&self.plan, std::mem::take(&mut self.units));
            let unit = units.next_unit(&AtomicBool::new(false));
            self.units = units.into_state();
            let Some(unit) = unit else { return Ok(None) };
            self.rejects.extend(unit.rejects);
            self.meters.extend(unit.meters);
        }
        let Some(job) = self.meters.pop_front() else { return Ok(None) };
        let bytes_done = &mut self.bytes_done;
        let used = self.plan.load(&job, &mut self.rejects, |label, images| {
            *bytes_done += images.iter().map(|i| i.data.len() as u64).sum::<u64>();
            use_them(label, images)
        })?;
        Ok(Some(used))
    }

    /// The rejects so far, each given once.
    pub fn take_rejects(&mut self) -> Vec<Reject> {
        std::mem::take(&mut self.rejects)
    }
    /// Bytes of images given, and in all as far as known.
    pub fn bytes(&self) -> (u64, u64) {
        (self.bytes_done, self.plan.bytes)
    }
    /// Files that are no tables, bytes between packets, packets that came again.
    pub fn skipped(&self) -> (u64, u64, u64) {
        (self.plan.notes, self.plan.noise_bytes, self.plan.repeated_packets)
    }
}
