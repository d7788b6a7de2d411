//! Threads that load and decode units of meters, and one consumer that gets the results in the order of the units.
//!
//! Units are numbered as they are handed out, so what comes out does not depend on the number of threads. Memory is
//! bounded twice: only some units are in work at a time, and a unit that is not yet due may only put a limited amount
//! of results aside. The unit that is due can always go on, so nothing waits in a circle.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow_array::RecordBatch;
use osgp::image::TableImage;
use osgp::records::{Counts, Decoder, Kind, Options, is_needed};
use osgp::reject::Reject;

use crate::error::Error;
use crate::plan::{Plan, Units};
use crate::summary::Tally;

/// Results of a unit that are put aside before its worker waits.
const ASIDE: usize = 24 << 20;
/// Waiting threads look at the stop flag this often.
const LOOK: Duration = Duration::from_millis(50);

/// How far a run is, and the way to stop it. Shared with whoever watches.
#[derive(Debug, Default)]
pub struct Control {
    stop: AtomicBool,
    bytes_done: AtomicU64,
    bytes_total: AtomicU64,
    meters_done: AtomicU64,
}

impl Control {
    /// Ask the run to end; it fails with [`Error::Interrupted`].
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
    /// The flag itself, for long steps to look at.
    pub fn flag(&self) -> &AtomicBool {
        &self.stop
    }
    /// Bytes done, bytes in all (as far as known), meters done.
    pub fn progress(&self) -> (u64, u64, u64) {
        (
            self.bytes_done.load(Ordering::Relaxed),
            self.bytes_total.load(Ordering::Relaxed),
            self.meters_done.load(Ordering::Relaxed),
        )
    }
}

/// What a worker decodes with. The real one is [`Decoder`]; tests have one that panics.
pub(crate) trait Decode {
    fn meter(&mut self, label: &str, images: &[TableImage<'_>], emit: &mut dyn FnMut(Kind, RecordBatch));
    fn finish(&mut self, emit: &mut dyn FnMut(Kind, RecordBatch));
    fn take_rejects(&mut self) -> Vec<Reject>;
    fn take_counts(&mut self) -> Counts;
}

impl Decode for Decoder {
    fn meter(&mut self, label: &str, images: &[TableImage<'_>], emit: &mut dyn FnMut(Kind, RecordBatch)) {
        Decoder::meter(self, label, images, emit);
    }
    fn finish(&mut self, emit: &mut dyn FnMut(Kind, RecordBatch)) {
        Decoder::finish(self, emit);
    }
    fn take_rejects(&mut self) -> Vec<Reject> {
        Decoder::take_rejects(self)
    }
    fn take_counts(&mut self) -> Counts {
        Decoder::take_counts(self)
    }
}

/// What a worker makes of its batches before they go to the consumer: nothing, encoded columns, text.
pub(crate) trait Shaper {
    type Piece: Send;
    fn batch(&mut self, kind: Kind, batch: RecordBatch, out: &mut Out<'_, Self::Piece>) -> Result<(), Error>;
    fn unit_end(&mut self, out: &mut Out<'_, Self::Piece>) -> Result<(), Error>;
}

/// Hands pieces to the consumer. The weight is about their bytes.
pub(crate) type Out<'a, P> = dyn FnMut(P, usize) -> Result<(), Error> + 'a;

/// What the consumer gets.
pub(crate) enum Item<P> {
    Piece(P),
    Rejects(Vec<Reject>),
    /// A unit is done.
    Done(Tally),
}

/// One run.
pub(crate) struct Run<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) kinds: &'a [Kind],
    pub(crate) options: &'a Options,
    pub(crate) jobs: usize,
    pub(crate) unit_bytes: u64,
    pub(crate) control: &'a Control,
}

impl Run<'_> {
    /// Decode everything with `jobs` threads; `consume` is called on this one.
    pub(crate) fn run<S: Shaper>(
        &self,
        shaper: impl Fn() -> S + Sync,
        consume: impl FnMut(Item<S::Piece>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.run_with(|| Decoder::new(self.kinds, self.options), shaper, consume)
    }

    pub(crate) fn run_with<D: Decode, S: Shaper>(
        &self,
        decoder: impl Fn() -> D + Sync,
        shaper: impl Fn() -> S + Sync,
        mut consume: impl FnMut(Item<S::Piece>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.control.bytes_total.store(self.plan.bytes, Ordering::Relaxed);
        let jobs = self.jobs.max(1);
        let queue = Queue::new(jobs * 2, self.control.flag());
        let units = Mutex::new(Units::new(self.plan, self.unit_bytes));
        std::thread::scope(|scope| {
            for i in 0..jobs {
                let (queue, units, decoder, shaper) = (&queue, &units, &decoder, &shaper);
                let worker = move || {
                    let done = catch_unwind(AssertUnwindSafe(|| self.work(queue, units, decoder(), shaper())));
                    match done {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => queue.fail(error),
                        Err(panic) => queue.fail(Error::panic(&*panic)),
                    }
                };
                let spawned = std::thread::Builder::new().name(format!("osgp-{i}")).spawn_scoped(scope, worker);
                // With fewer threads than asked for the work is done all the same; without any it is not.
                if let (Err(error), 0) = (spawned, i) {
                    queue.fail(Error::io("a thread".as_ref(), error));
                }
            }
            // If the consumer panics, the workers must not wait for it.
            let result = catch_unwind(AssertUnwindSafe(|| {
                while let Some(item) = queue.next()? {
                    if let Item::Done(tally) = &item {
                        self.control.bytes_done.fetch_add(tally.bytes, Ordering::Relaxed);
                        self.control.meters_done.fetch_add(tally.meters, Ordering::Relaxed);
                    }
                    consume(item)?;
                }
                Ok(())
            }))
            .unwrap_or_else(|panic| Err(Error::panic(&*panic)));
            if result.is_err() {
                queue.fail(Error::Interrupted);
            }
            result
        })
    }

    fn work<D: Decode, S: Shaper>(
        &self,
        queue: &Queue<'_, S::Piece>,
        units: &Mutex<Units<'_>>,
        mut decoder: D,
        mut shaper: S,
    ) -> Result<(), Error> {
        loop {
            queue.wait_for_room()?;
            let mut locked = units.lock().unwrap_or_else(PoisonError::into_inner);
            let unit = locked.next_unit(self.control.flag());
            // The number is given while no other thread can take a unit, so numbers follow the order of units.
            let Some(unit) = unit else {
                queue.no_more();
                return Ok(());
            };
            let number = queue.start();
            drop(locked);

            let mut tally = Tally::new(self.kinds, self.options);
            if !unit.rejects.is_empty() {
                tally.rejects(&unit.rejects);
                queue.push(number, Item::Rejects(unit.rejects), 1 << 10)?;
            }
            let mut failed: Option<Error> = None;
            let mut out = |piece, weight| queue.push(number, Item::Piece(piece), weight);
            for job in &unit.meters {
                if self.control.flag().load(Ordering::Relaxed) {
                    return Err(Error::Interrupted);
                }
                let mut rejects = Vec::new();
                self.plan.load(job, &mut rejects, |label, images| {
                    tally.meters += 1;
                    tally.bytes += images.iter().map(|i| i.data.len() as u64).sum::<u64>();
                    decoder.meter(label, images, &mut |kind, batch| {
                        tally.batch(kind, &batch);
                        if failed.is_none() {
                            failed = shaper.batch(kind, batch, &mut out).err();
                        }
                    });
                })?;
                // A file of a table that no kind asked for is no loss (contract, "--what limits rejects").
                rejects.retain(|r| r.table.is_none_or(|table| is_needed(self.kinds, table)));
                rejects.append(&mut decoder.take_rejects());
                if !rejects.is_empty() {
                    tally.rejects(&rejects);
                    let weight = rejects.iter().map(|r| 200 + r.data.len()).sum();
                    queue.push(number, Item::Rejects(rejects), weight)?;
                }
                if let Some(error) = failed.take() {
                    return Err(error);
                }
            }
            decoder.finish(&mut |kind, batch| {
                tally.batch(kind, &batch);
                if failed.is_none() {
                    failed = shaper.batch(kind, batch, &mut out).err();
                }
            });
            if let Some(error) = failed {
                return Err(error);
            }
            let rejects = decoder.take_rejects();
            shaper.unit_end(&mut out)?;
            if !rejects.is_empty() {
                tally.rejects(&rejects);
                queue.push(number, Item::Rejects(rejects), 1 << 10)?;
            }
            tally.counts(decoder.take_counts());
            queue.push(number, Item::Done(tally), 0)?;
            queue.end(number);
        }
    }
}

/// Results in the order of units.
struct Queue<'a, P> {
    state: Mutex<State<P>>,
    changed: Condvar,
    window: usize,
    stop: &'a AtomicBool,
}

struct State<P> {
    /// Number of the unit that is due: the first in `units`.
    head: u64,
    units: VecDeque<UnitResults<P>>,
    no_more: bool,
    error: Option<Error>,
    failed: bool,
}

struct UnitResults<P> {
    items: VecDeque<(Item<P>, usize)>,
    weight: usize,
    ended: bool,
}

impl<'a, P> Queue<'a, P> {
    fn new(window: usize, stop: &'a AtomicBool) -> Self {
        let state = State { head: 0, units: VecDeque::new(), no_more: false, error: None, failed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), window, stop }
    }

    fn lock(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'g>(&self, state: MutexGuard<'g, State<P>>) -> MutexGuard<'g, State<P>> {
        self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0
    }

    fn stopped(&self, state: &State<P>) -> bool {
        state.failed || self.stop.load(Ordering::Relaxed)
    }

    fn wait_for_room(&self) -> Result<(), Error> {
        let mut state = self.lock();
        loop {
            if self.stopped(&state) {
                return Err(Error::Interrupted);
            }
            if state.units.len() < self.window {
                return Ok(());
            }
            state = self.wait(state);
        }
    }

    /// A new unit begins; returns its number.
    fn start(&self) -> u64 {
        let mut state = self.lock();
        state.units.push_back(UnitResults { items: VecDeque::new(), weight: 0, ended: false });
        state.head + state.units.len() as u64 - 1
    }

    fn push(&self, number: u64, item: Item<P>, weight: usize) -> Result<(), Error> {
        let mut state = self.lock();
        loop {
            if self.stopped(&state) {
                return Err(Error::Interrupted);
            }
            let at = (number - state.head) as usize;
            let unit = &mut state.units[at];
            if unit.weight == 0 || unit.weight + weight <= ASIDE {
                unit.items.push_back((item, weight));
                unit.weight += weight;
                if at == 0 {
                    self.changed.notify_all();
                }
                return Ok(());
            }
            state = self.wait(state);
        }
    }

    fn end(&self, number: u64) {
        let mut state = self.lock();
        let at = (number - state.head) as usize;
        state.units[at].ended = true;
        self.changed.notify_all();
    }

    fn no_more(&self) {
        self.lock().no_more = true;
        self.changed.notify_all();
    }

    fn fail(&self, error: Error) {
        let mut state = self.lock();
        // The first error is the cause; those after it are its echo.
        if !state.failed {
            state.failed = true;
            state.error = Some(error);
        }
        self.changed.notify_all();
    }

    /// The next item in order; nothing at the end.
    fn next(&self) -> Result<Option<Item<P>>, Error> {
        let mut state = self.lock();
        loop {
            if let Some(error) = state.error.take() {
                return Err(error);
            }
            if self.stopped(&state) {
                return Err(Error::Interrupted);
            }
            if let Some(unit) = state.units.front_mut() {
                if let Some((item, weight)) = unit.items.pop_front() {
                    unit.weight -= weight;
                    self.changed.notify_all();
                    return Ok(Some(item));
                }
                if unit.ended {
                    state.units.pop_front();
                    state.head += 1;
                    self.changed.notify_all();
                    continue;
                }
            } else if state.no_more {
                return Ok(None);
            }
            state = self.wait(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::input::{OpenOptions, open_all};

    struct Bad;

    impl Decode for Bad {
        fn meter(&mut self, label: &str, _: &[TableImage<'_>], _: &mut dyn FnMut(Kind, RecordBatch)) {
            assert!(!label.ends_with('3'), "asked to fail at {label}");
        }
        fn finish(&mut self, _: &mut dyn FnMut(Kind, RecordBatch)) {}
        fn take_rejects(&mut self) -> Vec<Reject> {
            Vec::new()
        }
        fn take_counts(&mut self) -> Counts {
            Counts::default()
        }
    }

    struct Nothing;

    impl Shaper for Nothing {
        type Piece = ();
        fn batch(&mut self, _: Kind, _: RecordBatch, _: &mut Out<'_, ()>) -> Result<(), Error> {
            Ok(())
        }
        fn unit_end(&mut self, _: &mut Out<'_, ()>) -> Result<(), Error> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_an_error_and_not_a_hang() {
        let dump = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/samples/dump");
        for jobs in [1, 2, 8] {
            let control = Control::default();
            let plan = open_all(std::slice::from_ref(&dump), OpenOptions::default(), control.flag())
                .unwrap()
                .plan(control.flag())
                .unwrap();
            let options = Options::default();
            let run = Run { plan: &plan, kinds: &Kind::ALL, options: &options, jobs, unit_bytes: 0, control: &control };
            let ended = run.run_with(|| Bad, || Nothing, |_| Ok(()));
            assert!(matches!(&ended, Err(Error::Panic(message)) if message.contains("asked to fail")), "{ended:?}");
            // A consumer that panics ends the run as well.
            let ended = run.run(|| Nothing, |_| panic!("consumer"));
            assert!(matches!(&ended, Err(Error::Panic(message)) if message == "consumer"), "{ended:?}");
        }
    }
}
