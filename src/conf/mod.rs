//! Settings: one table, three sources.
//!
//! [`KEYS`] lists every setting with its name, its environment variable, the key of the Spark
//! Streaming guide that means the same, its type, default and meaning. A value comes from the
//! default, from the program, or from the environment, and the later of these wins: whoever runs a
//! program can tune it without building it anew.
//!
//! * Durations are whole numbers with `ms`, `s`, `m` or `min`, `h`, `d`; a bare number is
//!   milliseconds.
//! * Sizes are whole numbers of bytes, or with `k`, `m`, `g` (also `KiB`, `MiB`, `GiB`), in steps
//!   of 1024.
//! * Flags are `true`, `false`, `on`, `off`, `1`, `0`.
//!
//! A wrong value is an error, never silently replaced by a default. An unknown variable that starts
//! with `MILLSTREAM_` is a warning, since it may belong to another version.
//!
//! Not here: reading the process environment and counting cores. Who owns the [`Conf`] does that.

mod effective;
mod invalid_utf8;
mod key;
mod keys;
mod nearest;
mod overflow;
mod parse;
#[cfg(test)]
mod tests;
mod validate;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use crate::error::{Error, Result};

pub use effective::{Setting, Source};
pub use invalid_utf8::InvalidUtf8;
pub use key::{Key, Kind};
pub use keys::KEYS;
pub(crate) use keys::{MEMORY_AND_DISK, SYSTEM_TEMP};
pub use overflow::Overflow;

use nearest::nearest;

const ENV_PREFIX: &str = "MILLSTREAM_";

/// The settings of a context.
///
/// Programs set the fields, or [`set`](Self::set) by name; then [`load_env`](Self::load_env) lets
/// the environment override them, and [`validate`](Self::validate) checks the whole. The text of a
/// `Conf` is the table of its settings.
///
/// # Examples
///
/// ```
/// use millstream::conf::Conf;
/// use std::time::Duration;
///
/// let mut conf = Conf::new();
/// conf.batch_interval = Some(Duration::from_secs(1));
/// conf.set("spark.streaming.blockInterval", "50ms")?;
/// let conf = conf.load_env([("MILLSTREAM_BATCH_INTERVAL".into(), "250ms".into())])?;
/// conf.validate()?;
/// assert_eq!(conf.batch_interval, Some(Duration::from_millis(250)));
/// assert_eq!(conf.block_interval, Duration::from_millis(50));
/// # Ok::<(), millstream::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Conf {
    /// Name of the program in logs and reports. Default: `millstream`.
    pub app_name: String,
    /// Time from one batch to the next. No default: it must be given.
    pub batch_interval: Option<Duration>,
    /// Number of threads that process batches; `None` is one per core. Default: `None`.
    pub workers: Option<usize>,
    /// Number of partitions of a shuffle that does not say; `None` is as many as workers. Default:
    /// `None`.
    pub default_parallelism: Option<usize>,
    /// Longest time that a receiver fills one block. Default: 200 ms.
    pub block_interval: Duration,
    /// Size of a receive block in bytes; at least 4 KiB, at most `ring_bytes` if that is given.
    /// Default: 1 MiB.
    pub block_bytes: usize,
    /// Bytes received and not yet processed, per receiver; the receiver waits when it is reached.
    /// `None` is room for two batches, one that is received and one that is processed: 5 MiB for
    /// each millisecond of the batch interval, at most 1 GiB, an eighth of what the process may
    /// use, and a quarter of that for all receivers together; but never less than 256 MiB.
    /// Default: `None`.
    pub ring_bytes: Option<usize>,
    /// Bytes of processed batches that windows may keep; beyond them receivers wait. `None` is half
    /// of what the process may use. Default: `None`.
    pub memory_max: Option<usize>,
    /// Bytes that an operation with state, or a window by key, may keep, as
    /// [`StateInfo`](crate::listener::StateInfo) counts them. A batch that would take it further
    /// fails, and its state stays as it was before; of a window, the batches fail whose windows
    /// have that one. `None` is no bound. Default: `None`.
    pub state_max_bytes: Option<usize>,
    /// Directory for the files of persisted and of received records that do not fit into memory.
    /// Default: `system temp`, the system's directory for temporary files.
    pub spill_dir: String,
    /// Bytes of all files in `spill_dir`; beyond them what is persisted is computed again, and
    /// receivers wait. Default: 16 GiB.
    pub spill_max_bytes: usize,
    /// Where that rests which was received and waits to be processed: `MEMORY_ONLY`, or
    /// `MEMORY_AND_DISK`, where batches that wait go to files when more than half of `ring_bytes`
    /// is used. For lines of text, raw frames, and records of which `DStream::checkpoint` says how
    /// they are written. Default: `MEMORY_ONLY`.
    pub receiver_storage_level: String,
    /// Blocks received and not yet cut into a batch, per receiver. Default: 4096.
    pub block_queue_size: usize,
    /// What a receiver does with a record when `ring_bytes` or `block_queue_size` is reached.
    /// Default: [`Overflow::Wait`].
    pub receiver_overflow: Overflow,
    /// Records per second that one receiver takes; `None` is unlimited. Default: `None`.
    pub receiver_max_rate: Option<u64>,
    /// Whether receivers are slowed down to what the batches can take. Default: `false`.
    pub backpressure_enabled: bool,
    /// Records per second that one receiver takes with back-pressure before any batch was measured;
    /// never more than `receiver_max_rate`. `None` is unlimited. Default: `None`.
    pub backpressure_initial_rate: Option<u64>,
    /// How it is estimated what the batches can take: `pid`, by
    /// [`PidRateEstimator`](crate::rate::PidRateEstimator). Default: `pid`.
    pub backpressure_rate_estimator: String,
    /// How much of the error of the last rate is taken back at once. Default: 1.
    pub backpressure_pid_proportional: f64,
    /// How much of what waits is to be worked off in one batch interval. Default: 0.2.
    pub backpressure_pid_integral: f64,
    /// How much the change of the error counts, per second. Default: 0.
    pub backpressure_pid_derivative: f64,
    /// Records per second that back-pressure leaves to each receiver in any case. Default: 100.
    pub backpressure_pid_min_rate: f64,
    /// Pause before a failed receiver starts again. Default: 2 s.
    pub receiver_restart_delay: Duration,
    /// What that pause grows to while a receiver fails again and again without data. Default: 60 s.
    pub receiver_max_restart_delay: Duration,
    /// Time after which a connection fails whose peer vanished without a word; zero is never.
    /// Default: 60 s.
    pub socket_keepalive: Duration,
    /// Time without data after which a connection counts as failed. Default: `None`.
    pub socket_read_timeout: Option<Duration>,
    /// Longest line of text taken, in bytes. Default: 1 MiB.
    pub max_line_bytes: usize,
    /// What becomes of a line that is not UTF-8. Default: [`InvalidUtf8::Replace`].
    pub invalid_utf8: InvalidUtf8,
    /// Largest frame taken from a raw socket, in bytes. Default: 64 MiB.
    pub max_frame_bytes: usize,
    /// How long a file may have been modified before it turns up in a watched directory and is read;
    /// rounded up to whole batch intervals. Default: 60 s.
    pub file_stream_min_remember_duration: Duration,
    /// Bytes that may come out of one compressed file. Default: 16 GiB.
    pub max_inflated_bytes: usize,
    /// Bytes that may come out of a compressed file for each of its own; 1 MiB in any case. Default:
    /// 200.
    pub max_inflate_ratio: usize,
    /// How often a task, which is the work on one partition, may fail until its batch does.
    /// Default: 4; 1 is never to try again.
    pub task_max_failures: usize,
    /// Whether each worker and receiver thread is bound to a core of its own. Default: `false`.
    pub pin: bool,
    /// Output jobs that run at the same time. Default: 1.
    pub concurrent_jobs: usize,
    /// Whether only as many workers are active as the batches need. Default: `false`.
    pub dynamic_allocation_enabled: bool,
    /// Least number of active workers. Default: 1.
    pub dynamic_allocation_min_workers: usize,
    /// Greatest number of active workers; `None` is all. Default: `None`.
    pub dynamic_allocation_max_workers: Option<usize>,
    /// For how long batches are measured before the number of active workers changes. Default: 60 s.
    pub dynamic_allocation_scaling_interval: Duration,
    /// Part of the batch interval from which on, if batches take so long, more workers are active.
    /// Default: 0.9.
    pub dynamic_allocation_scaling_up_ratio: f64,
    /// Part of the batch interval down from which one worker less is active. Default: 0.3.
    pub dynamic_allocation_scaling_down_ratio: f64,
    /// Batches that may wait; beyond it no batch is cut and data stays at its source. Default:
    /// 10000.
    pub max_queued_batches: usize,
    /// Whether what receivers take is written to a log in the checkpoint directory before it is
    /// processed, and before it may be acknowledged; see [`Receiver`](crate::receiver::Receiver).
    /// Default: `false`.
    pub receiver_write_ahead_log: bool,
    /// Whether the log is synced: without it a crash of the machine may lose the end. Default:
    /// `true`.
    pub write_ahead_log_sync: bool,
    /// Whether records of the log that are damaged are left out and counted, and not an error.
    /// Default: `false`.
    pub write_ahead_log_skip_damage: bool,
    /// Directory of checkpoints; see [`StreamingContext::checkpoint`]. Default: `none`.
    ///
    /// [`StreamingContext::checkpoint`]: crate::StreamingContext
    pub checkpoint_directory: String,
    /// Least time from one checkpoint to the next. `None` is what the streams ask for, or one
    /// second if none does. Default: `None`.
    pub checkpoint_interval: Option<Duration>,
    /// Time for which no checkpoint is taken after a batch failed, so that a restart runs it
    /// again, and those behind it; zero is none. Without effect if a receiver has no
    /// write-ahead log, as what it received would be gone. Default: 10 min.
    pub failed_batch_hold: Duration,
    /// Time after which it is told that a batch is still running; zero is never. Default: 60 s.
    pub batch_stuck_after: Duration,
    /// Longest time that a graceful stop waits for received data to be processed; `None` is ten
    /// batch intervals, at least ten seconds. Default: `None`.
    pub graceful_stop_timeout: Option<Duration>,
    /// Longest time that a stop waits for what is running to end. Default: 2 s.
    pub stop_timeout: Duration,
    /// Whether received data is finished when the process is asked to end. Default: `false`.
    pub stop_gracefully_on_shutdown: bool,
    /// Least time that every stream keeps its batches, for queries from outside. Default: `None`.
    pub remember: Option<Duration>,
    /// Whether batches that no operation needs any more are forgotten; if not, all are kept for
    /// queries from outside. Default: `true`.
    pub unpersist: bool,
    /// Whether a second context in the same process is refused. Default: `false`.
    pub one_active_context: bool,
    /// Where the value of a key, in this spelling, was set. A field that holds another value by now
    /// was set by the program.
    set_by: BTreeMap<&'static str, (Source, String)>,
    warnings: Vec<String>,
}

impl Conf {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        let mut conf = Self {
            app_name: String::new(),
            batch_interval: None,
            workers: None,
            default_parallelism: None,
            block_interval: Duration::ZERO,
            block_bytes: 0,
            ring_bytes: None,
            memory_max: None,
            state_max_bytes: None,
            spill_dir: String::new(),
            spill_max_bytes: 0,
            receiver_storage_level: String::new(),
            block_queue_size: 0,
            receiver_overflow: Overflow::Wait,
            receiver_max_rate: None,
            backpressure_enabled: false,
            backpressure_initial_rate: None,
            backpressure_rate_estimator: String::new(),
            backpressure_pid_proportional: 0.0,
            backpressure_pid_integral: 0.0,
            backpressure_pid_derivative: 0.0,
            backpressure_pid_min_rate: 0.0,
            receiver_restart_delay: Duration::ZERO,
            receiver_max_restart_delay: Duration::ZERO,
            socket_keepalive: Duration::ZERO,
            socket_read_timeout: None,
            max_line_bytes: 0,
            invalid_utf8: InvalidUtf8::Replace,
            max_frame_bytes: 0,
            file_stream_min_remember_duration: Duration::ZERO,
            max_inflated_bytes: 0,
            max_inflate_ratio: 0,
            task_max_failures: 0,
            pin: false,
            concurrent_jobs: 0,
            dynamic_allocation_enabled: false,
            dynamic_allocation_min_workers: 0,
            dynamic_allocation_max_workers: None,
            dynamic_allocation_scaling_interval: Duration::ZERO,
            dynamic_allocation_scaling_up_ratio: 0.0,
            dynamic_allocation_scaling_down_ratio: 0.0,
            max_queued_batches: 0,
            receiver_write_ahead_log: false,
            write_ahead_log_sync: false,
            write_ahead_log_skip_damage: false,
            checkpoint_directory: String::new(),
            checkpoint_interval: None,
            failed_batch_hold: Duration::ZERO,
            batch_stuck_after: Duration::ZERO,
            graceful_stop_timeout: None,
            stop_timeout: Duration::ZERO,
            stop_gracefully_on_shutdown: false,
            remember: None,
            unpersist: false,
            one_active_context: false,
            set_by: BTreeMap::new(),
            warnings: Vec::new(),
        };
        conf.fill_defaults();
        conf
    }

    // The table is the only place that knows the defaults.
    fn fill_defaults(&mut self) {
        for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
            key.assign(self, key.default)
                .expect("the defaults of the table are valid");
        }
    }

    /// Sets a value by the name of its key or by the guide's name for it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if there is no such key, naming the nearest
    /// one, or if the value is not one for it, naming what is expected. The settings are unchanged
    /// then.
    ///
    /// # Examples
    ///
    /// ```
    /// use millstream::conf::Conf;
    ///
    /// let mut conf = Conf::new();
    /// conf.set("spark.master", "local[2]")?;
    /// assert_eq!(conf.workers, Some(2));
    /// let error = conf.set("worker", "2").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "configuration error: unknown setting \"worker\"; the nearest known one is \"workers\""
    /// );
    /// # Ok::<(), millstream::Error>(())
    /// ```
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let Some(known) = Key::find(key) else {
            let names = KEYS
                .iter()
                .flat_map(|key| [&[key.name], key.guide].concat());
            let nearest = nearest(key, names).unwrap_or_default();
            return Err(Error::config(format!(
                "unknown setting {key:?}; the nearest known one is {nearest:?}"
            )));
        };
        let mut changed = self.clone();
        changed.assign(known, key, value, Source::Program)?;
        *self = changed;
        Ok(())
    }

    fn assign(
        &mut self,
        key: &'static Key,
        label: &str,
        value: &str,
        source: Source,
    ) -> Result<()> {
        key.assign(self, value)
            .map_err(|problem| wrong(label, value, &problem, key))?;
        let text = key.text(self);
        self.set_by.insert(key.name, (source, text));
        Ok(())
    }

    /// Lets environment variables override what the program has set; the argument is mostly
    /// [`std::env::vars_os`].
    ///
    /// A variable that starts with `MILLSTREAM_` and is not known goes to
    /// [`warnings`](Self::warnings) and to the log.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), naming the variable, its value and what is
    /// expected.
    ///
    /// # Examples
    ///
    /// ```
    /// use millstream::conf::Conf;
    ///
    /// let conf = Conf::new().load_env([("MILLSTREAM_WORKER".into(), "2".into())])?;
    /// assert_eq!(
    ///     conf.warnings(),
    ///     ["unknown environment variable MILLSTREAM_WORKER is ignored; \
    ///       the nearest known one is MILLSTREAM_WORKERS"]
    /// );
    /// let error = Conf::new().load_env([("MILLSTREAM_PIN".into(), "yes".into())]).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "configuration error: MILLSTREAM_PIN = \"yes\": neither true nor false; \
    ///      expected true, false, on, off, 1 or 0 (default: false)"
    /// );
    /// # Ok::<(), millstream::Error>(())
    /// ```
    pub fn load_env(
        mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self> {
        for (name, value) in variables {
            let name = name.to_string_lossy();
            if !name.starts_with(ENV_PREFIX) {
                continue;
            }
            let Some(key) = KEYS.iter().find(|key| key.env == name) else {
                let nearest = nearest(&name, KEYS.iter().map(|key| key.env)).unwrap_or_default();
                self.warn(format!(
                    "unknown environment variable {} is ignored; \
                     the nearest known one is {nearest}",
                    name.escape_debug()
                ));
                continue;
            };
            let Some(text) = value.to_str() else {
                return Err(wrong(
                    key.env,
                    &value.to_string_lossy(),
                    "not valid UTF-8",
                    key,
                ));
            };
            self.assign(key, key.env, text, Source::Environment(key.env))?;
        }
        Ok(self)
    }

    fn warn(&mut self, warning: String) {
        tracing::warn!("{warning}");
        self.warnings.push(warning);
    }

    /// What was odd, but no error, in the order it was met.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The bound of each of the `rings` at this batch interval, where the process may use
    /// `available` bytes.
    pub(crate) fn ring_bound(&self, interval: Duration, available: u64, rings: usize) -> usize {
        const MIB: u64 = 1 << 20;
        let by_interval = || {
            let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
            let share = (available / 4) / rings.max(1) as u64;
            let most = share.min(available / 8).clamp(256 * MIB, 1024 * MIB);
            let bytes = millis.saturating_mul(5 * MIB).clamp(256 * MIB, most);
            (bytes as usize).max(self.block_bytes)
        };
        self.ring_bytes.unwrap_or_else(by_interval)
    }
}

fn wrong(label: &str, value: &str, problem: &str, key: &Key) -> Error {
    Error::config(format!(
        "{label} = {value:?}: {problem}; {}",
        key.expected()
    ))
}

impl Default for Conf {
    fn default() -> Self {
        Self::new()
    }
}
