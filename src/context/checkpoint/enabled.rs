//! A context with a directory of checkpoints.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

pub(in crate::context) use crate::checkpoint::Checkpointer as Checkpoints;
use crate::checkpoint::{CheckpointTimes, OnKept, Program, Recovered, Store};
use crate::conf::{Conf, Source};
use crate::context::{Inner, StreamingContext};
use crate::disk::{self, Disk};
use crate::dstream::StreamingContextState;
use crate::dstream::input::logged::LoggedInput;
use crate::error::{Error, Result};
use crate::receiver::log::{Again, ReceiverLog, Resume};
use crate::time::{BatchTime, Clock, Deadline, Duration, SystemClock};
use crate::wal::{OnCorruption, SyncMode};

/// How often a checkpoint is taken unless somebody says how often.
const INTERVAL: Duration = Duration::from_secs(1);

/// What is known of checkpoints before the start.
#[derive(Debug, Default)]
pub(in crate::context) struct Setup {
    store: Option<Store>,
    pub(super) recovered: Option<Recovered>,
    discarded: Vec<String>,
}

impl Setup {
    /// The zero time, and the batch behind which the first one comes, if the context
    /// would begin at `zero`.
    pub(in crate::context) fn times(&self, zero: BatchTime) -> (BatchTime, BatchTime) {
        match &self.recovered {
            Some(recovered) => (recovered.zero, recovered.time),
            None => (zero, zero),
        }
    }

    /// Restores the streams, and begins to take checkpoints behind `last`. Batches
    /// before `fresh_from` were perhaps cut by an earlier process.
    pub(in crate::context) fn start(
        self,
        inner: &Inner,
        last: BatchTime,
        fresh_from: BatchTime,
    ) -> Result<Durability> {
        let Self {
            store,
            mut recovered,
            discarded,
        } = self;
        // Also if there is no directory: the program is wrong in any case.
        let wished = inner.graph.checkpoint_interval()?;
        let store = match (store, &*inner.conf.checkpoint_directory) {
            (None, "" | "none") if inner.conf.receiver_write_ahead_log => {
                return Err(Error::illegal_state(
                    "receiver_write_ahead_log is on, but there is no checkpoint directory, in \
                     which the log is: call checkpoint(), or set checkpoint_directory",
                ));
            }
            (None, "" | "none") => return Ok(Durability::default()),
            (None, dir) => Store::open(&disk::of_contexts(), Path::new(dir))?,
            (Some(store), _) => store,
        };
        if inner.conf.concurrent_jobs != 1 {
            return Err(Error::illegal_state(
                "with checkpoints the batches run one after the other: concurrent_jobs must be 1",
            ));
        }
        let interval = inner.graph.batch_interval();
        if let Some(recovered) = &mut recovered {
            if recovered.interval != interval {
                return Err(Error::illegal_state(format!(
                    "the checkpoint of {} is of a context with a batch interval of {:?}, and that \
                     of this one is {interval:?}: it must be the same",
                    recovered.time, recovered.interval
                )));
            }
            if let Some(output) = inner.graph.outputs().iter().find(|it| it.once().is_some()) {
                let checked = recovered.check_partitions(&inner.graph);
                checked.map_err(|error| error.at(output.site()))?;
            }
            for uid in &discarded {
                recovered.discard(uid);
            }
        }
        let asked = inner.conf.checkpoint_interval;
        let times = CheckpointTimes {
            last,
            interval: asked.or(wished).unwrap_or(INTERVAL),
            hold: inner.conf.failed_batch_hold,
        };
        let clock = Arc::clone(&inner.clock);
        let tell = (Arc::clone(&inner.bus), clock);
        let place = store.subdirectory("wal");
        let has_checkpoints = store.has_any()?;
        let behind = recovered.as_ref().map(|recovered| recovered.time);
        let log = Arc::<OnceLock<Arc<ReceiverLog>>>::default();
        let on_kept = on_kept(Arc::clone(&log));
        let program = Program {
            graph: &inner.graph,
            accumulators: &inner.accumulators.0,
            settings: made(&inner.conf),
        };
        let checkpoints = Checkpoints::start(program, store, tell, times, recovered, on_kept)?;
        let checkpoints = Some(Arc::new(checkpoints));
        let mut started = Durability {
            checkpoints,
            log: None,
        };
        if inner.conf.receiver_write_ahead_log {
            let again = match behind {
                Some(time) => Again::Behind(time, saved(inner)),
                None if has_checkpoints => Again::Nothing,
                None => Again::Never,
            };
            let fresh_from = inner.graph.fresh_from(fresh_from);
            let resume = Resume { last, fresh_from };
            match open_log(inner, &place, again, resume, &discarded) {
                Ok(opened) => started.log = Some(Arc::clone(log.get_or_init(|| opened))),
                Err(error) => {
                    started.give_up(inner);
                    return Err(error);
                }
            }
        }
        Ok(started)
    }
}

/// The settings that somebody made.
fn made(conf: &Conf) -> Vec<(String, String)> {
    let made = conf.effective().into_iter();
    let made = made.filter(|setting| setting.source != Source::Default);
    made.map(|setting| (setting.name.to_owned(), setting.value))
        .collect()
}

/// Removes what no checkpoint needs of the log, when there is one.
fn on_kept(log: Arc<OnceLock<Arc<ReceiverLog>>>) -> OnKept {
    Box::new(move |oldest| {
        if let Some(log) = log.get()
            && let Err(error) = log.checkpointed(oldest)
        {
            tracing::warn!(%error, "the write-ahead log cannot be cleaned up");
        }
    })
}

/// The first record of the log that a receiver needs.
fn saved(inner: &Inner) -> Option<u64> {
    let inputs = inner.graph.inputs();
    let logged = inputs.iter().filter_map(|input| input.logged());
    logged.filter_map(LoggedInput::saved).min()
}

/// Opens the log, and gives the receivers' inputs what it has of them.
fn open_log(
    inner: &Inner,
    (disk, dir): &(Arc<dyn Disk>, PathBuf),
    again: Again,
    resume: Resume,
    discarded: &[String],
) -> Result<Arc<ReceiverLog>> {
    let conf = &inner.conf;
    let sync = match conf.write_ahead_log_sync {
        true => SyncMode::Always,
        false => SyncMode::Os,
    };
    let on_corruption = match conf.write_ahead_log_skip_damage {
        true => OnCorruption::Skip,
        false => OnCorruption::Fail,
    };
    let inputs = inner.graph.inputs();
    let logged = inputs.iter().filter_map(|input| input.logged());
    let history = logged.map(LoggedInput::history).max().unwrap_or_default();
    let log = ReceiverLog::open(
        disk,
        dir,
        again,
        (sync, on_corruption),
        history,
        &inner.clock,
    )?;
    let mut streams = log.restore(resume.last, again)?;
    for input in &*inputs {
        if let Some(logged) = input.logged() {
            let (stream, name) = (logged.stream(), input.name());
            let restored = streams.remove(&*stream);
            let restored = restored.filter(|_| !discarded.iter().any(|uid| **uid == *stream));
            let begun = logged.begin(&log, restored.unwrap_or_default(), resume);
            begun.map_err(|error| {
                let what = format!(
                    "what the write-ahead log has of the {name} cannot be read: let the program \
                     that wrote it process it, by a graceful stop, or let go of it by \
                     discard_saved({stream:?})"
                );
                let error = Error::new(error.kind(), what).with_source(error);
                error.at(input.meta().site)
            })?;
        }
    }
    streams.retain(|stream, restored| {
        let waits = !restored.batches.is_empty() || !restored.rest.is_empty();
        waits && !discarded.contains(stream)
    });
    if let Some((stream, _)) = streams.pop_first() {
        return Err(Error::illegal_state(format!(
            "the write-ahead log has data of a stream {stream:?} that was not processed, and the \
             program has none of that name: give its receiver this name by uid(), or let go of \
             the data by discard_saved({stream:?})"
        )));
    }
    Ok(log)
}

/// What makes a context survive its process.
#[derive(Debug, Default)]
pub(in crate::context) struct Durability {
    pub(in crate::context) checkpoints: Option<Arc<Checkpoints>>,
    pub(in crate::context) log: Option<Arc<ReceiverLog>>,
}

impl Durability {
    /// Ends what was begun, before anything was taken.
    pub(in crate::context) fn give_up(&self, inner: &Inner) {
        if let Some(checkpoints) = &self.checkpoints {
            let _ = checkpoints.finish(false, Deadline::after(inner.conf.stop_timeout));
        }
    }
}

/// # Checkpoints
impl StreamingContext {
    /// Takes checkpoints into a directory, from the start on.
    ///
    /// Guide: Checkpointing. What the streams keep from batch to batch is saved there,
    /// so that [`get_or_create`](Self::get_or_create) can go on from it in another
    /// process; see [`DStream::checkpoint`](crate::DStream::checkpoint) for how often,
    /// and what each stream needs. The directory is made if it is not there, for its
    /// owner only, and is this context's alone until that is dropped. The
    /// setting `checkpoint_directory` does the same.
    ///
    /// # Errors
    /// If the directory cannot be used, another process has it, or the context was
    /// started.
    #[track_caller]
    pub fn checkpoint(&self, directory: impl AsRef<Path>) -> Result<()> {
        self.check_initialized("checkpoint")?;
        let mut setup = self.inner.setup();
        if setup.store.is_none() {
            setup.store = Some(Store::open(&disk::of_contexts(), directory.as_ref())?);
        }
        Ok(())
    }

    /// A context that goes on from the newest checkpoint in a directory, or begins if
    /// there is none.
    ///
    /// Guide: Checkpointing. `make` makes the context and declares its streams, each
    /// time: a checkpoint has what the streams keep, not what they do. It is found by
    /// the names of the streams ([`DStream::uid`](crate::DStream::uid)), so the
    /// program may have changed otherwise. The batches since the checkpoint come again,
    /// with what their sources still have.
    ///
    /// # Errors
    /// Those of `make`, and those of [`checkpoint`](Self::checkpoint). Also if there
    /// are checkpoints, and none of them can be read: then the reason for each. That
    /// a stream is missing or was changed is found by [`start`](Self::start).
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// fn make() -> millstream::Result<StreamingContext> {
    ///     let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    ///     ssc.text_file_stream("/var/log/app")?
    ///         .map(|line| (line, 1_u64))
    ///         .update_state_by_key(|new, old| Some(old.unwrap_or(&0) + new.len() as u64))
    ///         .uid("lines")?
    ///         .checkpoint(Duration::from_secs(10))?
    ///         .print();
    ///     Ok(ssc)
    /// }
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let dir = std::env::temp_dir().join(format!("millstream-doc-{}", std::process::id()));
    /// let ssc = StreamingContext::get_or_create(&dir, make)?;
    /// ssc.start()?;
    /// # ssc.stop(true)?;
    /// # drop(ssc);
    /// # std::fs::remove_dir_all(&dir)?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "getOrCreate")]
    pub fn get_or_create(
        directory: impl AsRef<Path>,
        make: impl FnOnce() -> Result<Self>,
    ) -> Result<Self> {
        Self::recovered(directory.as_ref(), Store::recover, make)
    }

    /// As [`get_or_create`](Self::get_or_create), but begins anew if no checkpoint can
    /// be read. What was saved is lost then.
    ///
    /// # Errors
    /// As there, but for checkpoints that cannot be read.
    #[doc(alias = "createOnError")]
    pub fn get_or_create_on_error(
        directory: impl AsRef<Path>,
        make: impl FnOnce() -> Result<Self>,
    ) -> Result<Self> {
        let recover = |store: &Store| {
            Ok(store.recover().unwrap_or_else(|error| {
                tracing::error!(%error, "the context begins anew");
                None
            }))
        };
        Self::recovered(directory.as_ref(), recover, make)
    }

    fn recovered(
        directory: &Path,
        recover: impl FnOnce(&Store) -> Result<Option<Recovered>>,
        make: impl FnOnce() -> Result<Self>,
    ) -> Result<Self> {
        let store = Store::open(&disk::of_contexts(), directory)?;
        // There is no context yet whose clock it could be.
        let clock = SystemClock::new();
        let begun = clock.now_nanos();
        let mut recovered = recover(&store)?;
        if let Some(recovered) = &mut recovered {
            let took = clock.now_nanos() - begun;
            recovered.took = Duration::from_nanos(took.unsigned_abs());
        }
        let ssc = make()?;
        ssc.check_initialized("get_or_create")?;
        let mut setup = ssc.inner.setup();
        if setup.store.is_some() {
            return Err(Error::illegal_state(
                "get_or_create: the context that was made has a checkpoint directory already",
            ));
        }
        setup.store = Some(store);
        setup.recovered = recovered;
        drop(setup);
        Ok(ssc)
    }

    /// The batch up to which the context was restored by
    /// [`get_or_create`](Self::get_or_create), if it was, before its start.
    #[must_use]
    pub fn recovered_time(&self) -> Option<BatchTime> {
        let setup = self.inner.setup();
        setup.recovered.as_ref().map(|recovered| recovered.time)
    }

    /// Lets go of what the checkpoint has of a stream that the program has no more, or
    /// not in that way; of a receiver also what the write-ahead log has.
    ///
    /// # Errors
    /// If the context was started.
    #[track_caller]
    pub fn discard_saved(&self, uid: &str) -> Result<()> {
        self.check_initialized("discard_saved")?;
        self.inner.setup().discarded.push(uid.to_owned());
        Ok(())
    }

    #[track_caller]
    pub(super) fn check_initialized(&self, call: &str) -> Result<()> {
        match self.state() {
            StreamingContextState::Initialized => Ok(()),
            _ => Err(
                Error::illegal_state(format!("{call}: the context was started"))
                    .at(std::panic::Location::caller()),
            ),
        }
    }
}
