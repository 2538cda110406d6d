//! When a checkpoint is taken, and of what.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::batch_log::BatchLog;
use super::file::Partitioning;
use super::recovery::Recovery;
use super::store::{Recovered, Store};
use super::writer::{Desk, Fixed, OnKept, Snapshot, StreamSnapshot, Writer, in_stream};
use crate::cpu::thread::{self, Thread};
use crate::dstream::durable::{Noted, Notes, Repeated, Saved};
use crate::dstream::{Control, Graph};
use crate::error::{Error, ErrorKind, Result};
use crate::listener::{Bus, CheckpointInfo, Event};
use crate::shared::Registry;
use crate::sync::engine::{Mutex, MutexGuard, lock};
use crate::time::{BatchTime, Clock, Deadline, Duration, first_batch_time};

/// In the log of batches, in place of the name of an input: the batch was cut.
const CUT: &str = "\0cut";

/// A stream that keeps something, with its name.
#[derive(Clone)]
struct Named {
    uid: Arc<str>,
    node: Arc<dyn Control>,
}

/// When checkpoints are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CheckpointTimes {
    /// The first one comes behind this batch.
    pub(crate) last: BatchTime,
    /// The least time from one to the next.
    pub(crate) interval: Duration,
    /// For so long none is taken behind a batch that failed.
    pub(crate) hold: Duration,
}

/// What checkpoints are taken of.
pub(crate) struct Program<'a> {
    pub(crate) graph: &'a Arc<Graph>,
    pub(crate) accumulators: &'a Arc<Registry>,
    /// The settings that were made, name and value.
    pub(crate) settings: Vec<(String, String)>,
}

/// Takes checkpoints of a program.
pub(crate) struct Checkpointer {
    graph: Arc<Graph>,
    streams: Vec<Named>,
    accumulators: Arc<Registry>,
    bus: Arc<Bus>,
    zero: BatchTime,
    /// At multiples of this all streams have a batch.
    grid: Duration,
    interval: Duration,
    hold: Duration,
    /// Nothing was recovered.
    is_new: bool,
    state: Mutex<State>,
    /// None if nothing was recovered, or that is over.
    recovery: Mutex<Option<Recovery>>,
    desk: Arc<Desk>,
    batches: Arc<BatchLog>,
    thread: Mutex<Option<Thread>>,
}

struct State {
    last: BatchTime,
    /// The latest batch that has ended.
    done: BatchTime,
    /// The first batch that failed since the last checkpoint. A restart runs it again.
    failed: Option<BatchTime>,
    /// A stream could not tell what it has.
    lost: bool,
    /// What the others told then, which they do not tell again.
    untaken: BTreeMap<Arc<str>, Saved>,
}

impl Checkpointer {
    /// Begins, before the first batch.
    pub(crate) fn start(
        program: Program<'_>,
        store: Store,
        (bus, clock): (Arc<Bus>, Arc<dyn Clock>),
        times: CheckpointTimes,
        before: Option<Recovered>,
        on_kept: OnKept,
    ) -> Result<Self> {
        let Program {
            graph,
            accumulators,
            settings,
        } = program;
        let streams = named(graph)?;
        check(graph, &streams)?;
        let mut before = before;
        let noted_behind = before.as_ref().map(Recovered::noted_behind);
        let (batches, noted) = store.batch_log(noted_behind, &clock)?;
        let mut recovery = None;
        if let Some(recovered) = &mut before {
            let begun_nanos = clock.now_nanos();
            restore(&streams, recovered)?;
            let fresh_from = repeat(graph, &streams, (times.last, clock.now_millis()), noted)?;
            let (bus, clock) = (Arc::clone(&bus), Arc::clone(&clock));
            recovery = Some(Recovery::new(
                bus,
                clock,
                recovered,
                begun_nanos,
                fresh_from,
            ));
        }
        let saved = before.as_mut().map(Recovered::take_accumulators);
        accumulators.restore(saved.unwrap_or_default())?;
        let batches = Arc::new(batches);
        let notes = Arc::clone(&batches) as Arc<dyn Notes>;
        for Named { uid, node } in &streams {
            if let Some(durable) = node.durable() {
                // Also if no output does: what is saved has to be all of it.
                node.meta().set_read();
                durable.begin();
                durable.note_batches(uid, &notes);
            }
        }
        let zero = graph.zero();
        let grid = grid(graph, &streams);
        let desk = Arc::<Desk>::default();
        let mut writer = Writer::new(
            (store, Arc::clone(&batches)),
            Arc::clone(&desk),
            (Arc::clone(&bus), clock),
            Fixed {
                zero,
                interval: graph.batch_interval(),
                settings,
                partitioning: Partitioning::of(graph),
            },
            before.as_ref().map(|recovered| &recovered.contents),
            on_kept,
        );
        writer.go_on_behind(times.last);
        let thread = thread::spawn("checkpoints", &[], move || writer.run());
        let thread = thread.map_err(|cause| {
            Error::io(
                "the thread that writes checkpoints cannot be started",
                cause,
            )
        })?;
        Ok(Self {
            graph: Arc::clone(graph),
            streams,
            accumulators: Arc::clone(accumulators),
            bus,
            zero,
            grid,
            interval: times.interval,
            // A batch that comes again without its data would be a loss, too.
            hold: match graph.inputs().iter().all(|input| input.comes_again()) {
                true => times.hold,
                false => Duration::ZERO,
            },
            state: Mutex::new(State {
                last: times.last,
                done: times.last,
                failed: None,
                lost: false,
                untaken: BTreeMap::new(),
            }),
            is_new: before.is_none(),
            recovery: Mutex::new(recovery),
            desk,
            batches,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// At multiples of this, from the zero time on, a checkpoint can be taken.
    pub(crate) fn grid(&self) -> Duration {
        self.grid
    }

    /// The batch `time` is about to be cut, perhaps before its time has come. A process that
    /// goes on before that must not take it for a new one.
    ///
    /// # Errors
    /// If that cannot be noted, durably.
    pub(crate) fn note_cut(&self, time: BatchTime) -> Result<()> {
        self.batches.note(CUT, &[(time, Vec::new())])
    }

    /// All streams are restored. Takes the first checkpoint of all, before the first batch: so
    /// the batches of a process that ends at any moment come again.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn take_first(&self) -> Result<()> {
        if let Some(recovery) = &mut *self.recovery() {
            recovery.restored();
        }
        if !self.is_new {
            return Ok(());
        }
        self.take(&mut self.state())?;
        self.desk.wait()
    }

    /// The batch `time` has ended, and no later one has begun. Called on a thread that
    /// runs jobs.
    pub(crate) fn batch_done(&self, time: BatchTime, has_failed: bool) {
        self.recovery()
            .take_if(|recovery| recovery.batch_done(time));
        if self.graph.must_repeat() {
            return;
        }
        let mut state = self.state();
        state.done = time;
        if has_failed && state.failed.is_none() && !self.hold.is_zero() {
            state.failed = Some(time);
            tracing::warn!(
                %time,
                hold = ?self.hold,
                "a batch failed: no checkpoint is taken, so that a restart runs it again"
            );
        }
        let is_due = time >= state.last + self.interval && self.can_take(&state);
        // While one is written what is new waits for the next one.
        if is_due && self.desk.is_free() {
            // Who listens was told of an error.
            let _ = self.take(&mut state);
        }
    }

    /// Whether a checkpoint can be taken behind the batch that was done last.
    fn can_take(&self, state: &State) -> bool {
        let is_held = |failed: BatchTime| state.done < failed + self.hold;
        state.done.is_on_grid(self.zero, self.grid) && !state.failed.is_some_and(is_held)
    }

    fn take(&self, state: &mut State) -> Result<()> {
        let time = state.done;
        let all = std::mem::take(&mut state.lost) || self.desk.has_failed();
        // Also if it fails: that is not tried again behind each batch.
        state.last = time;
        match self.snapshot(time, all, &mut state.untaken) {
            Ok(snapshot) => {
                if let Some(failed) = state.failed.take() {
                    tracing::error!(%failed, "a batch that failed will not run again");
                }
                self.desk.put(snapshot);
                Ok(())
            }
            Err(error) => {
                state.lost = true;
                tracing::error!(%time, %error, "no checkpoint could be taken");
                let info = CheckpointInfo::new(time, Duration::ZERO, &Err(error.clone()));
                self.bus.post(|| Event::Checkpoint(info));
                Err(error)
            }
        }
    }

    fn snapshot(
        &self,
        time: BatchTime,
        all: bool,
        untaken: &mut BTreeMap<Arc<str>, Saved>,
    ) -> Result<Snapshot> {
        let accumulators = self.accumulators.save()?;
        for Named { uid, node } in &self.streams {
            let Some(durable) = node.durable() else {
                continue;
            };
            // A key's or a state's own code runs here.
            let saved = Error::caught("saving a stream", || durable.save(time, all))
                .map_err(|error| in_stream(uid, error))?;
            let saved = match untaken.remove(uid) {
                Some(before) => before.then(saved),
                None => saved,
            };
            untaken.insert(Arc::clone(uid), saved);
        }
        let streams = self.streams.iter().filter_map(|Named { uid, node }| {
            let durable = node.durable()?;
            Some(StreamSnapshot {
                uid: Arc::clone(uid),
                kind: durable.kind(),
                is_input: durable.is_input(),
                keys: durable.keys(),
                saved: untaken.remove(uid)?,
            })
        });
        Ok(Snapshot {
            time,
            streams: streams.collect(),
            accumulators,
        })
    }

    /// Takes a last checkpoint, if `all_done` tells that no batch is left, and ends.
    ///
    /// # Errors
    /// If the last checkpoint could not be written.
    pub(crate) fn finish(&self, all_done: bool, deadline: Deadline) -> Result<()> {
        let result = if all_done {
            // What is being written may be older.
            let written = self.desk.wait();
            let mut state = self.state();
            let has_failed = state.lost || written.is_err();
            let is_new = state.done > state.last || has_failed;
            // The streams have gone on behind a batch that has to come again.
            if is_new && self.can_take(&state) && !self.graph.must_repeat() {
                let taken = self.take(&mut state);
                drop(state);
                taken.and_then(|()| self.desk.wait())
            } else {
                written
            }
        } else {
            Ok(())
        };
        self.desk.close();
        let thread = lock(&self.thread).take();
        if thread.is_some_and(|thread| !thread.join(deadline.rest())) {
            let what = "the thread that writes checkpoints has not ended";
            return Err(Error::new(ErrorKind::Timeout, what));
        }
        result
    }

    fn recovery(&self) -> MutexGuard<'_, Option<Recovery>> {
        lock(&self.recovery)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// The streams of a graph that keep something, by name.
fn named(graph: &Graph) -> Result<Vec<Named>> {
    let mut streams: Vec<Named> = Vec::new();
    let mut of_kind = BTreeMap::<&str, usize>::new();
    for node in &*graph.nodes() {
        // A node that only shows another one has that one's.
        let Some(durable) = node
            .durable()
            .filter(|durable| durable.node() == node.meta().id)
        else {
            continue;
        };
        let number = of_kind.entry(node.meta().name).or_default();
        let derived = format!("{}-{number}", node.meta().name);
        *number += 1;
        if durable.uid().get().is_none() {
            // From now on it has this one.
            let _ = durable.uid().set(&derived);
        }
        let uid = durable.uid().get().unwrap_or(&derived);
        if let Some(other) = streams.iter().find(|other| *other.uid == *uid) {
            return Err(Error::illegal_state(format!(
                "two streams have the name {uid:?}: the one that was declared at {}, and this one",
                other.node.meta().site
            ))
            .at(node.meta().site));
        }
        let uid = Arc::from(uid);
        let node = Arc::clone(node);
        streams.push(Named { uid, node });
    }
    Ok(streams)
}

/// At multiples of this all streams that keep something have a batch, and windows that have
/// no batch in common with the one before begin: behind it they need nothing from before.
fn grid(graph: &Graph, streams: &[Named]) -> Duration {
    let saved = streams.iter().map(|stream| stream.node.meta().slide);
    let nodes = graph.nodes();
    let windows = nodes.iter().filter_map(|node| {
        let (reach, slide) = (node.reach(), node.meta().slide);
        (!reach.is_zero() && reach < slide).then_some(slide)
    });
    saved
        .chain(windows)
        .fold(graph.batch_interval(), common_multiple)
}

/// Finds what would not be saved.
fn check(graph: &Graph, streams: &[Named]) -> Result<()> {
    for input in &*graph.inputs() {
        if let Some(why) = input.unrecoverable() {
            let name = input.name();
            return Err(Error::illegal_state(format!(
                "there is a checkpoint directory, but the {name} cannot be recovered: {why}"
            ))
            .at(input.meta().site));
        }
    }
    for Named { uid, node } in streams {
        if node.durable().is_none_or(|durable| durable.can_be_saved()) {
            continue;
        }
        return Err(Error::illegal_state(format!(
            "there is a checkpoint directory, but the stream {uid:?} would not be saved: call \
             checkpoint(interval) on what {} returned; its records need serde's traits",
            node.meta().name
        ))
        .at(node.meta().site));
    }
    Ok(())
}

/// Makes the streams what they were at the checkpoint.
///
/// # Errors
/// If the program has no stream of a name, or one of another kind.
fn restore(streams: &[Named], recovered: &mut Recovered) -> Result<()> {
    let time = recovered.time;
    let names: Vec<_> = streams.iter().map(|stream| &*stream.uid).collect();
    for (uid, stream) in &recovered.streams {
        if !names.contains(&&**uid) && !stream.pieces.is_empty() {
            return Err(Error::illegal_state(format!(
                "the checkpoint of {time} has a stream {uid:?} ({}), and the program has none of \
                 that name, but {names:?}: give its stream this name by uid(), or let go of what \
                 was saved by discard_saved({uid:?})",
                stream.kind
            )));
        }
    }
    for Named { uid, node } in streams {
        let Some(durable) = node.durable() else {
            continue;
        };
        let Some(stream) = recovered.streams.get_mut(&**uid) else {
            tracing::info!(%uid, "a stream begins anew: the checkpoint has nothing of it");
            durable.begin_behind(time);
            continue;
        };
        if stream.kind != durable.kind() {
            return Err(Error::illegal_state(format!(
                "the checkpoint of {time} has what a {} keeps for the stream {uid:?}, which is a \
                 {} now: give it another name by uid(), or let go of what was saved by \
                 discard_saved({uid:?})",
                stream.kind,
                durable.kind()
            ))
            .at(node.meta().site));
        }
        let pieces = std::mem::take(&mut stream.pieces);
        // As in `snapshot`.
        let restored = Error::caught("restoring a stream", || durable.restore(time, pieces));
        restored.map_err(|error| {
            let mut what = format!("what the checkpoint of {time} has of the stream {uid:?}");
            if error.kind() == ErrorKind::IllegalState && !durable.is_input() {
                what += &format!(
                    " is not of its type: keep the type, or give the stream another name by \
                     uid() and let go of what was saved by discard_saved({uid:?})"
                );
            }
            Error::new(error.kind(), what)
                .with_source(error)
                .at(node.meta().site)
        })?;
    }
    Ok(())
}

/// Lets the inputs give again what they gave to the batches behind `last`, which may have
/// been made by a process before this one, up to `now` at the latest. Gives the first batch
/// that was not.
///
/// # Errors
/// If an input cannot.
fn repeat(
    graph: &Graph,
    streams: &[Named],
    (last, now): (BatchTime, i64),
    mut noted: BTreeMap<String, Noted>,
) -> Result<BatchTime> {
    let times = noted.values().filter_map(|noted| noted.keys().last());
    let noted_until = times.copied().max().unwrap_or(last);
    graph.set_noted_until(noted_until);
    let fresh_from = graph.fresh_from(first_batch_time(now, graph.batch_interval()));
    for Named { uid, node } in streams {
        let Some(durable) = node.durable() else {
            continue;
        };
        let repeated = Repeated {
            fresh_from,
            noted: noted.remove(&**uid).unwrap_or_default(),
        };
        durable.repeat(repeated).map_err(|error| {
            let what = format!("what was noted of the batches of the stream {uid:?}");
            Error::new(error.kind(), what)
                .with_source(error)
                .at(node.meta().site)
        })?;
    }
    Ok(fresh_from)
}

fn common_multiple(a: Duration, b: Duration) -> Duration {
    let (a, b) = (a.as_millis() as u64, b.as_millis() as u64);
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    Duration::from_millis((a / x.max(1)).saturating_mul(b))
}

impl fmt::Debug for Checkpointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.streams.iter().map(|stream| &stream.uid).collect();
        f.debug_struct("Checkpointer")
            .field("streams", &names)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}
