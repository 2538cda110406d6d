//! The one table of settings, and what each type of setting accepts.

use std::fmt;
use std::time::Duration;

use super::{Conf, InvalidUtf8, Overflow, parse};

/// One setting: its names, its type, its default and what it does.
#[derive(Debug)]
#[non_exhaustive]
pub struct Key {
    /// The name in a program and in the table of effective settings.
    pub name: &'static str,
    /// The environment variable that overrides the program.
    pub env: &'static str,
    /// The keys of the Spark Streaming guide that mean the same.
    pub guide: &'static [&'static str],
    /// What values it takes.
    pub kind: Kind,
    /// The value if nothing sets it, as [`Conf::set`] takes it; empty if it must be set.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
    slot: fn(&mut Conf) -> Slot<'_>,
}

/// The type and range of a setting's value. Its text says what is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Whole milliseconds.
    Duration {
        /// The least number of milliseconds.
        min_ms: u64,
    },
    /// A size.
    Bytes {
        /// The least number of bytes.
        min: usize,
    },
    /// A count.
    Integer {
        /// The least value, at least 1.
        min: usize,
        /// The greatest value.
        max: usize,
    },
    /// A count of threads, also in the form of a master.
    Workers {
        /// The greatest count.
        max: usize,
    },
    /// Records per second.
    Rate,
    /// A number from 0 on, which may have a fraction.
    Factor,
    /// A number above 0, which may have a fraction.
    Positive,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Yes or no.
    Flag,
    /// A line of text.
    Text,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Duration { min_ms } => write!(
                f,
                "a whole number with ms, s, m or min, h or d (bare: ms), at least {min_ms}ms"
            ),
            Self::Bytes { min } => write!(
                f,
                "a whole number of bytes, or one with KiB, MiB, GiB or k, m, g, at least {}",
                parse::bytes_text(min)
            ),
            Self::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Workers { max } => write!(
                f,
                "a number of threads from 1 to {max}, * for one per core, \
                 local, local[n] or local[*]"
            ),
            Self::Rate => f.write_str("a whole number of records per second, or unlimited"),
            Self::Factor => f.write_str("a number from 0 on, such as 0.2"),
            Self::Positive => f.write_str("a number above 0, such as 0.5"),
            Self::Choice(words) => f.write_str(&words.join(" or ")),
            Self::Flag => f.write_str("true, false, on, off, 1 or 0"),
            Self::Text => f.write_str("a text on one line"),
        }
    }
}

/// The field of a [`Conf`] that a key sets. In an optional one, `None` is spelled as the key's
/// default.
pub(super) enum Slot<'a> {
    Duration(&'a mut Duration),
    OptDuration(&'a mut Option<Duration>),
    Number(&'a mut usize),
    OptNumber(&'a mut Option<usize>),
    Rate(&'a mut Option<u64>),
    Real(&'a mut f64),
    Flag(&'a mut bool),
    Choice(&'a mut dyn Choice),
    Text(&'a mut String),
}

/// A setting that has a type of its own, whose values are the words of a [`Kind::Choice`].
pub(super) trait Choice {
    /// Takes the value with this number among the words.
    fn choose(&mut self, number: usize);

    /// The number of the value.
    fn number(&self) -> usize;
}

impl Key {
    /// The key with this name or guide key.
    pub(super) fn find(spelling: &str) -> Option<&'static Self> {
        KEYS.iter()
            .find(|key| key.name == spelling || key.guide.contains(&spelling))
    }

    /// Reads `text` into the field. The field is set even when its value is then found out of
    /// range.
    pub(super) fn assign(&self, conf: &mut Conf, text: &str) -> Result<(), String> {
        let text = text.trim();
        let unset = !self.default.is_empty() && text.eq_ignore_ascii_case(self.default);
        let number = || match self.kind {
            Kind::Bytes { .. } => parse::bytes(text),
            _ => parse::integer(text),
        };
        match (self.slot)(conf) {
            Slot::OptDuration(field) if unset => *field = None,
            Slot::OptNumber(field) if unset => *field = None,
            Slot::Rate(field) if unset => *field = None,
            Slot::Duration(field) => *field = parse::duration(text)?,
            Slot::OptDuration(field) => *field = Some(parse::duration(text)?),
            Slot::Number(field) => *field = number()?,
            Slot::OptNumber(field) => {
                *field = match self.kind {
                    Kind::Workers { .. } => parse::workers(text)?,
                    _ => Some(number()?),
                }
            }
            Slot::Rate(field) => *field = parse::rate(text)?,
            Slot::Real(field) => *field = parse::real(text)?,
            Slot::Flag(field) => *field = parse::flag(text)?,
            Slot::Choice(field) => {
                let number = self.words().iter().position(|word| *word == text);
                field.choose(number.ok_or(NO_CHOICE)?);
            }
            Slot::Text(field) => text.clone_into(field),
        }
        self.check(conf)
    }

    /// Whether the field's value is in the range of the key. Programs set fields without asking, so
    /// this is not part of reading a text.
    pub(super) fn check(&self, conf: &mut Conf) -> Result<(), String> {
        let in_range = match (self.slot)(conf) {
            Slot::Duration(field) => self.allows_duration(*field)?,
            Slot::OptDuration(Some(field)) => self.allows_duration(*field)?,
            Slot::Number(field) | Slot::OptNumber(Some(field)) => match self.kind {
                Kind::Bytes { min } => (min..=parse::MAX_BYTES).contains(field),
                Kind::Integer { min, max } => (min..=max).contains(field),
                Kind::Workers { max } => (1..=max).contains(field),
                _ => true,
            },
            Slot::Rate(Some(field)) => *field > 0,
            Slot::Real(field) => match self.kind {
                Kind::Positive => field.is_finite() && *field > 0.0,
                _ => field.is_finite() && *field >= 0.0,
            },
            Slot::Text(field) if field.is_empty() => return Err("the value is empty".to_owned()),
            Slot::Text(field) if field.contains(char::is_control) => {
                return Err("it has a control character".to_owned());
            }
            Slot::Text(field) => match self.kind {
                Kind::Choice(words) if !words.contains(&field.as_str()) => {
                    return Err(NO_CHOICE.to_owned());
                }
                _ => true,
            },
            _ => true,
        };
        if in_range {
            Ok(())
        } else {
            Err("out of range".to_owned())
        }
    }

    fn allows_duration(&self, duration: Duration) -> Result<bool, String> {
        if !duration.subsec_nanos().is_multiple_of(1_000_000) {
            return Err("not a whole number of milliseconds".to_owned());
        }
        let Kind::Duration { min_ms } = self.kind else {
            return Ok(true);
        };
        Ok((u128::from(min_ms)..=i64::MAX as u128).contains(&duration.as_millis()))
    }

    /// The field's value, as [`assign`](Self::assign) reads it. Empty only if it must be set and is
    /// not.
    pub(super) fn text(&self, conf: &mut Conf) -> String {
        match (self.slot)(conf) {
            Slot::Duration(field) => parse::duration_text(*field),
            Slot::OptDuration(Some(field)) => parse::duration_text(*field),
            Slot::Number(field) | Slot::OptNumber(Some(field)) => match self.kind {
                Kind::Bytes { .. } => parse::bytes_text(*field),
                _ => field.to_string(),
            },
            Slot::Rate(Some(field)) => field.to_string(),
            Slot::Real(field) => field.to_string(),
            Slot::Flag(field) => field.to_string(),
            Slot::Choice(field) => self.words()[field.number()].to_owned(),
            Slot::Text(field) => field.clone(),
            Slot::OptDuration(None) | Slot::OptNumber(None) | Slot::Rate(None) => {
                self.default.to_owned()
            }
        }
    }

    /// The values of a choice.
    fn words(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Choice(words) => words,
            _ => &[],
        }
    }

    /// What the key accepts, for an error message.
    pub(super) fn expected(&self) -> String {
        match self.default {
            "" => format!("expected {}", self.kind),
            default => format!("expected {} (default: {default})", self.kind),
        }
    }
}

/// What is wrong with a word that is none of a [`Kind::Choice`].
const NO_CHOICE: &str = "there is no such choice";

/// The value of `receiver_storage_level` that permits disk.
pub(crate) const MEMORY_AND_DISK: &str = "MEMORY_AND_DISK";

/// The default of `spill_dir`: the system's directory for temporary files.
pub(crate) const SYSTEM_TEMP: &str = "system temp";

/// All settings.
///
/// ```
/// use millstream::conf::KEYS;
///
/// let key = KEYS.iter().find(|key| key.guide.contains(&"spark.streaming.blockInterval")).unwrap();
/// assert_eq!((key.name, key.env), ("block_interval", "MILLSTREAM_BLOCK_INTERVAL"));
/// assert_eq!(key.default, "200ms");
/// ```
pub static KEYS: &[Key] = &[
    Key {
        name: "app_name",
        env: "MILLSTREAM_APP_NAME",
        guide: &["spark.app.name"],
        kind: Kind::Text,
        default: "millstream",
        meaning: "name of the program in logs and reports",
        slot: |conf| Slot::Text(&mut conf.app_name),
    },
    Key {
        name: "batch_interval",
        env: "MILLSTREAM_BATCH_INTERVAL",
        guide: &[],
        kind: Kind::Duration { min_ms: 1 },
        default: "",
        meaning: "time from one batch to the next; must be given",
        slot: |conf| Slot::OptDuration(&mut conf.batch_interval),
    },
    Key {
        name: "workers",
        env: "MILLSTREAM_WORKERS",
        guide: &["spark.master"],
        kind: Kind::Workers { max: 4096 },
        default: parse::ALL_CORES,
        meaning: "number of threads that process batches",
        slot: |conf| Slot::OptNumber(&mut conf.workers),
    },
    Key {
        name: "default_parallelism",
        env: "MILLSTREAM_DEFAULT_PARALLELISM",
        guide: &["spark.default.parallelism"],
        kind: Kind::Integer {
            min: 1,
            max: 65_536,
        },
        default: "workers",
        meaning: "number of partitions of a shuffle that does not say",
        slot: |conf| Slot::OptNumber(&mut conf.default_parallelism),
    },
    Key {
        name: "block_interval",
        env: "MILLSTREAM_BLOCK_INTERVAL",
        guide: &["spark.streaming.blockInterval"],
        kind: Kind::Duration { min_ms: 1 },
        default: "200ms",
        meaning: "longest time that a receiver fills one block",
        slot: |conf| Slot::Duration(&mut conf.block_interval),
    },
    Key {
        name: "block_bytes",
        env: "MILLSTREAM_BLOCK_BYTES",
        guide: &[],
        kind: Kind::Bytes { min: 4096 },
        default: "1MiB",
        meaning: "size of a receive block",
        slot: |conf| Slot::Number(&mut conf.block_bytes),
    },
    Key {
        name: "ring_bytes",
        env: "MILLSTREAM_RING_BYTES",
        guide: &[],
        kind: Kind::Bytes { min: 4096 },
        default: "256MiB",
        meaning: "bytes received and not yet processed, per receiver; the receiver waits when it \
                  is reached",
        slot: |conf| Slot::Number(&mut conf.ring_bytes),
    },
    Key {
        name: "memory_max",
        env: "MILLSTREAM_MEMORY_MAX",
        guide: &[],
        kind: Kind::Bytes { min: 0 },
        default: "half",
        meaning: "bytes of processed batches that windows may keep; beyond them receivers wait; \
                  default half of what the process may use",
        slot: |conf| Slot::OptNumber(&mut conf.memory_max),
    },
    Key {
        name: "state_max_bytes",
        env: "MILLSTREAM_STATE_MAX_BYTES",
        guide: &[],
        kind: Kind::Bytes { min: 1 },
        default: "none",
        meaning: "bytes that an operation with state, or a window by key, may keep; a batch that \
                  would take it further fails",
        slot: |conf| Slot::OptNumber(&mut conf.state_max_bytes),
    },
    Key {
        name: "spill_dir",
        env: "MILLSTREAM_SPILL_DIR",
        guide: &["spark.local.dir"],
        kind: Kind::Text,
        default: SYSTEM_TEMP,
        meaning: "directory for the files of persisted and of received records that do not fit \
                  into memory",
        slot: |conf| Slot::Text(&mut conf.spill_dir),
    },
    Key {
        name: "spill_max_bytes",
        env: "MILLSTREAM_SPILL_MAX_BYTES",
        guide: &[],
        kind: Kind::Bytes { min: 0 },
        default: "16GiB",
        meaning: "bytes of all files in spill_dir; beyond them what is persisted is computed \
                  again, and receivers wait",
        slot: |conf| Slot::Number(&mut conf.spill_max_bytes),
    },
    Key {
        name: "receiver_storage_level",
        env: "MILLSTREAM_RECEIVER_STORAGE_LEVEL",
        guide: &[],
        kind: Kind::Choice(&["MEMORY_ONLY", MEMORY_AND_DISK]),
        default: "MEMORY_ONLY",
        meaning: "where that rests which was received and waits to be processed: with disk, \
                  batches that wait go to files when more than half of ring_bytes is used",
        slot: |conf| Slot::Text(&mut conf.receiver_storage_level),
    },
    Key {
        name: "block_queue_size",
        env: "MILLSTREAM_BLOCK_QUEUE_SIZE",
        guide: &["spark.streaming.blockQueueSize"],
        kind: Kind::Integer {
            min: 1,
            max: 1 << 20,
        },
        default: "4096",
        meaning: "blocks received and not yet cut into a batch, per receiver",
        slot: |conf| Slot::Number(&mut conf.block_queue_size),
    },
    Key {
        name: "receiver_overflow",
        env: "MILLSTREAM_RECEIVER_OVERFLOW",
        guide: &[],
        kind: Kind::Choice(Overflow::NAMES),
        default: "wait",
        meaning: "what a receiver does with a record when ring_bytes or block_queue_size is \
                  reached: wait, drop it, or drop what waits longest, and count that",
        slot: |conf| Slot::Choice(&mut conf.receiver_overflow),
    },
    Key {
        name: "receiver_max_rate",
        env: "MILLSTREAM_RECEIVER_MAX_RATE",
        guide: &["spark.streaming.receiver.maxRate"],
        kind: Kind::Rate,
        default: "unlimited",
        meaning: "records per second that one receiver takes; zero or less is unlimited",
        slot: |conf| Slot::Rate(&mut conf.receiver_max_rate),
    },
    Key {
        name: "backpressure_enabled",
        env: "MILLSTREAM_BACKPRESSURE_ENABLED",
        guide: &["spark.streaming.backpressure.enabled"],
        kind: Kind::Flag,
        default: "false",
        meaning: "whether receivers are slowed down to what the batches can take",
        slot: |conf| Slot::Flag(&mut conf.backpressure_enabled),
    },
    Key {
        name: "backpressure_initial_rate",
        env: "MILLSTREAM_BACKPRESSURE_INITIAL_RATE",
        guide: &["spark.streaming.backpressure.initialRate"],
        kind: Kind::Rate,
        default: "unlimited",
        meaning: "records per second that one receiver takes with back-pressure before any batch \
                  was measured; never more than receiver_max_rate",
        slot: |conf| Slot::Rate(&mut conf.backpressure_initial_rate),
    },
    Key {
        name: "backpressure_rate_estimator",
        env: "MILLSTREAM_BACKPRESSURE_RATE_ESTIMATOR",
        guide: &["spark.streaming.backpressure.rateEstimator"],
        kind: Kind::Choice(&["pid"]),
        default: "pid",
        meaning: "how it is estimated what the batches can take",
        slot: |conf| Slot::Text(&mut conf.backpressure_rate_estimator),
    },
    Key {
        name: "backpressure_pid_proportional",
        env: "MILLSTREAM_BACKPRESSURE_PID_PROPORTIONAL",
        guide: &["spark.streaming.backpressure.pid.proportional"],
        kind: Kind::Factor,
        default: "1",
        meaning: "how much of the error of the last rate is taken back at once",
        slot: |conf| Slot::Real(&mut conf.backpressure_pid_proportional),
    },
    Key {
        name: "backpressure_pid_integral",
        env: "MILLSTREAM_BACKPRESSURE_PID_INTEGRAL",
        guide: &["spark.streaming.backpressure.pid.integral"],
        kind: Kind::Factor,
        default: "0.2",
        meaning: "how much of what waits is to be worked off in one batch interval",
        slot: |conf| Slot::Real(&mut conf.backpressure_pid_integral),
    },
    Key {
        name: "backpressure_pid_derivative",
        env: "MILLSTREAM_BACKPRESSURE_PID_DERIVATIVE",
        guide: &["spark.streaming.backpressure.pid.derived"],
        kind: Kind::Factor,
        default: "0",
        meaning: "how much the change of the error counts, per second",
        slot: |conf| Slot::Real(&mut conf.backpressure_pid_derivative),
    },
    Key {
        name: "backpressure_pid_min_rate",
        env: "MILLSTREAM_BACKPRESSURE_PID_MIN_RATE",
        guide: &["spark.streaming.backpressure.pid.minRate"],
        kind: Kind::Positive,
        default: "100",
        meaning: "records per second that back-pressure leaves to each receiver in any case",
        slot: |conf| Slot::Real(&mut conf.backpressure_pid_min_rate),
    },
    Key {
        name: "receiver_restart_delay",
        env: "MILLSTREAM_RECEIVER_RESTART_DELAY",
        guide: &["spark.streaming.receiverRestartDelay"],
        kind: Kind::Duration { min_ms: 0 },
        default: "2s",
        meaning: "pause before a failed receiver starts again",
        slot: |conf| Slot::Duration(&mut conf.receiver_restart_delay),
    },
    Key {
        name: "receiver_max_restart_delay",
        env: "MILLSTREAM_RECEIVER_MAX_RESTART_DELAY",
        guide: &[],
        kind: Kind::Duration { min_ms: 0 },
        default: "1m",
        meaning: "what that pause grows to while a receiver fails again and again without data",
        slot: |conf| Slot::Duration(&mut conf.receiver_max_restart_delay),
    },
    Key {
        name: "socket_keepalive",
        env: "MILLSTREAM_SOCKET_KEEPALIVE",
        guide: &[],
        kind: Kind::Duration { min_ms: 0 },
        default: "1m",
        meaning: "time after which a connection fails whose peer vanished without a word; whole \
                  seconds, at least four; zero is never",
        slot: |conf| Slot::Duration(&mut conf.socket_keepalive),
    },
    Key {
        name: "socket_read_timeout",
        env: "MILLSTREAM_SOCKET_READ_TIMEOUT",
        guide: &[],
        kind: Kind::Duration { min_ms: 1 },
        default: "none",
        meaning: "time without data after which a connection counts as failed",
        slot: |conf| Slot::OptDuration(&mut conf.socket_read_timeout),
    },
    Key {
        name: "max_line_bytes",
        env: "MILLSTREAM_MAX_LINE_BYTES",
        guide: &[],
        kind: Kind::Bytes { min: 1 },
        default: "1MiB",
        meaning: "longest line of text taken",
        slot: |conf| Slot::Number(&mut conf.max_line_bytes),
    },
    Key {
        name: "invalid_utf8",
        env: "MILLSTREAM_INVALID_UTF8",
        guide: &[],
        kind: Kind::Choice(InvalidUtf8::NAMES),
        default: "replace",
        meaning: "what becomes of a line that is not UTF-8: its wrong bytes are replaced, it is \
                  left out, or its batch fails",
        slot: |conf| Slot::Choice(&mut conf.invalid_utf8),
    },
    Key {
        name: "max_frame_bytes",
        env: "MILLSTREAM_MAX_FRAME_BYTES",
        guide: &[],
        kind: Kind::Bytes { min: 1 },
        default: "64MiB",
        meaning: "largest frame taken from a raw socket",
        slot: |conf| Slot::Number(&mut conf.max_frame_bytes),
    },
    Key {
        name: "file_stream_min_remember_duration",
        env: "MILLSTREAM_FILE_STREAM_MIN_REMEMBER_DURATION",
        guide: &[
            "spark.streaming.fileStream.minRememberDuration",
            "spark.streaming.minRememberDuration",
        ],
        kind: Kind::Duration { min_ms: 1 },
        default: "1m",
        meaning: "age up to which a file that turns up in a watched directory is read",
        slot: |conf| Slot::Duration(&mut conf.file_stream_min_remember_duration),
    },
    Key {
        name: "max_inflated_bytes",
        env: "MILLSTREAM_MAX_INFLATED_BYTES",
        guide: &[],
        kind: Kind::Bytes { min: 1 },
        default: "16GiB",
        meaning: "bytes that may come out of one compressed file (feature gzip)",
        slot: |conf| Slot::Number(&mut conf.max_inflated_bytes),
    },
    Key {
        name: "max_inflate_ratio",
        env: "MILLSTREAM_MAX_INFLATE_RATIO",
        guide: &[],
        kind: Kind::Integer {
            min: 1,
            max: 1 << 20,
        },
        default: "200",
        meaning: "bytes that may come out of a compressed file for each of its own, beyond the \
                  first 1 MiB (feature gzip)",
        slot: |conf| Slot::Number(&mut conf.max_inflate_ratio),
    },
    Key {
        name: "task_max_failures",
        env: "MILLSTREAM_TASK_MAX_FAILURES",
        guide: &["spark.task.maxFailures"],
        kind: Kind::Integer { min: 1, max: 1000 },
        default: "4",
        meaning: "how often a task, which is the work on one partition, may fail until its batch \
                  does; 1 is never to try again",
        slot: |conf| Slot::Number(&mut conf.task_max_failures),
    },
    Key {
        name: "pin",
        env: "MILLSTREAM_PIN",
        guide: &[],
        kind: Kind::Flag,
        default: "false",
        meaning: "bind each worker and receiver thread to a core of its own",
        slot: |conf| Slot::Flag(&mut conf.pin),
    },
    Key {
        name: "concurrent_jobs",
        env: "MILLSTREAM_CONCURRENT_JOBS",
        guide: &["spark.streaming.concurrentJobs"],
        kind: Kind::Integer { min: 1, max: 1024 },
        default: "1",
        meaning: "output jobs that run at the same time",
        slot: |conf| Slot::Number(&mut conf.concurrent_jobs),
    },
    Key {
        name: "dynamic_allocation_enabled",
        env: "MILLSTREAM_DYNAMIC_ALLOCATION_ENABLED",
        guide: &["spark.streaming.dynamicAllocation.enabled"],
        kind: Kind::Flag,
        default: "false",
        meaning: "whether only as many workers are active as the batches need",
        slot: |conf| Slot::Flag(&mut conf.dynamic_allocation_enabled),
    },
    Key {
        name: "dynamic_allocation_min_workers",
        env: "MILLSTREAM_DYNAMIC_ALLOCATION_MIN_WORKERS",
        guide: &["spark.streaming.dynamicAllocation.minExecutors"],
        kind: Kind::Integer { min: 1, max: 4096 },
        default: "1",
        meaning: "least number of active workers",
        slot: |conf| Slot::Number(&mut conf.dynamic_allocation_min_workers),
    },
    Key {
        name: "dynamic_allocation_max_workers",
        env: "MILLSTREAM_DYNAMIC_ALLOCATION_MAX_WORKERS",
        guide: &["spark.streaming.dynamicAllocation.maxExecutors"],
        kind: Kind::Integer { min: 1, max: 4096 },
        default: "workers",
        meaning: "greatest number of active workers",
        slot: |conf| Slot::OptNumber(&mut conf.dynamic_allocation_max_workers),
    },
    Key {
        name: "dynamic_allocation_scaling_interval",
        env: "MILLSTREAM_DYNAMIC_ALLOCATION_SCALING_INTERVAL",
        guide: &["spark.streaming.dynamicAllocation.scalingInterval"],
        kind: Kind::Duration { min_ms: 1 },
        default: "1m",
        meaning: "for how long batches are measured before the number of active workers changes",
        slot: |conf| Slot::Duration(&mut conf.dynamic_allocation_scaling_interval),
    },
    Key {
        name: "dynamic_allocation_scaling_up_ratio",
        env: "MILLSTREAM_DYNAMIC_ALLOCATION_SCALING_UP_RATIO",
        guide: &["spark.streaming.dynamicAllocation.scalingUpRatio"],
        kind: Kind::Positive,
        default: "0.9",
        meaning: "part of the batch interval from which on more workers are active",
        slot: |conf| Slot::Real(&mut conf.dynamic_allocation_scaling_up_ratio),
    },
    Key {
        name: "dynamic_allocation_scaling_down_ratio",
        env: "MILLSTREAM_DYNAMIC_ALLOCATION_SCALING_DOWN_RATIO",
        guide: &["spark.streaming.dynamicAllocation.scalingDownRatio"],
        kind: Kind::Positive,
        default: "0.3",
        meaning: "part of the batch interval down from which one worker less is active",
        slot: |conf| Slot::Real(&mut conf.dynamic_allocation_scaling_down_ratio),
    },
    Key {
        name: "max_queued_batches",
        env: "MILLSTREAM_MAX_QUEUED_BATCHES",
        guide: &[],
        kind: Kind::Integer {
            min: 1,
            max: 1 << 30,
        },
        default: "10000",
        meaning: "batches that may wait; beyond it no batch is cut and data stays at its source",
        slot: |conf| Slot::Number(&mut conf.max_queued_batches),
    },
    Key {
        name: "receiver_write_ahead_log",
        env: "MILLSTREAM_RECEIVER_WRITE_AHEAD_LOG",
        guide: &["spark.streaming.receiver.writeAheadLog.enable"],
        kind: Kind::Flag,
        default: "false",
        meaning: "whether what receivers take is written to a log in the checkpoint directory \
                  before it is processed, and before it may be acknowledged",
        slot: |conf| Slot::Flag(&mut conf.receiver_write_ahead_log),
    },
    Key {
        name: "write_ahead_log_sync",
        env: "MILLSTREAM_WRITE_AHEAD_LOG_SYNC",
        guide: &[],
        kind: Kind::Flag,
        default: "true",
        meaning: "whether the log is synced; without it a crash of the machine may lose the end",
        slot: |conf| Slot::Flag(&mut conf.write_ahead_log_sync),
    },
    Key {
        name: "write_ahead_log_skip_damage",
        env: "MILLSTREAM_WRITE_AHEAD_LOG_SKIP_DAMAGE",
        guide: &[],
        kind: Kind::Flag,
        default: "false",
        meaning: "whether records of the log that are damaged are left out and counted, and not \
                  an error",
        slot: |conf| Slot::Flag(&mut conf.write_ahead_log_skip_damage),
    },
    Key {
        name: "checkpoint_directory",
        env: "MILLSTREAM_CHECKPOINT_DIRECTORY",
        guide: &["spark.streaming.checkpoint.directory"],
        kind: Kind::Text,
        default: "none",
        meaning: "directory of checkpoints; without one none are taken",
        slot: |conf| Slot::Text(&mut conf.checkpoint_directory),
    },
    Key {
        name: "checkpoint_interval",
        env: "MILLSTREAM_CHECKPOINT_INTERVAL",
        guide: &[],
        kind: Kind::Duration { min_ms: 1 },
        default: "as the streams ask",
        meaning: "least time from one checkpoint to the next; without anybody asking 1s",
        slot: |conf| Slot::OptDuration(&mut conf.checkpoint_interval),
    },
    Key {
        name: "failed_batch_hold",
        env: "MILLSTREAM_FAILED_BATCH_HOLD",
        guide: &[],
        kind: Kind::Duration { min_ms: 0 },
        default: "10m",
        meaning: "time for which no checkpoint is taken after a batch failed, so that a restart \
                  runs it again; zero is none",
        slot: |conf| Slot::Duration(&mut conf.failed_batch_hold),
    },
    Key {
        name: "batch_stuck_after",
        env: "MILLSTREAM_BATCH_STUCK_AFTER",
        guide: &[],
        kind: Kind::Duration { min_ms: 0 },
        default: "1m",
        meaning: "time after which listeners and the log are told that a batch is still running; \
                  zero is never",
        slot: |conf| Slot::Duration(&mut conf.batch_stuck_after),
    },
    Key {
        name: "graceful_stop_timeout",
        env: "MILLSTREAM_GRACEFUL_STOP_TIMEOUT",
        guide: &["spark.streaming.gracefulStopTimeout"],
        kind: Kind::Duration { min_ms: 0 },
        default: "10 batch intervals",
        meaning: "longest time that a graceful stop waits for received data to be processed; \
                  default ten batch intervals, at least ten seconds",
        slot: |conf| Slot::OptDuration(&mut conf.graceful_stop_timeout),
    },
    Key {
        name: "stop_timeout",
        env: "MILLSTREAM_STOP_TIMEOUT",
        guide: &[],
        kind: Kind::Duration { min_ms: 1 },
        default: "2s",
        meaning: "longest time that a stop waits for what is running to end, after a graceful one \
                  has processed what it could",
        slot: |conf| Slot::Duration(&mut conf.stop_timeout),
    },
    Key {
        name: "stop_gracefully_on_shutdown",
        env: "MILLSTREAM_STOP_GRACEFULLY_ON_SHUTDOWN",
        guide: &["spark.streaming.stopGracefullyOnShutdown"],
        kind: Kind::Flag,
        default: "false",
        meaning: "whether stop_on_signals (feature signals) finishes received data first",
        slot: |conf| Slot::Flag(&mut conf.stop_gracefully_on_shutdown),
    },
    Key {
        name: "remember",
        env: "MILLSTREAM_REMEMBER",
        guide: &[],
        kind: Kind::Duration { min_ms: 1 },
        default: "none",
        meaning: "least time that every stream keeps its batches, for queries from outside",
        slot: |conf| Slot::OptDuration(&mut conf.remember),
    },
    Key {
        name: "unpersist",
        env: "MILLSTREAM_UNPERSIST",
        guide: &["spark.streaming.unpersist"],
        kind: Kind::Flag,
        default: "true",
        meaning: "forget batches that no operation needs any more; if not, all are kept for \
                  queries from outside",
        slot: |conf| Slot::Flag(&mut conf.unpersist),
    },
    Key {
        name: "one_active_context",
        env: "MILLSTREAM_ONE_ACTIVE_CONTEXT",
        guide: &[],
        kind: Kind::Flag,
        default: "false",
        meaning: "refuse to start a second context in the same process",
        slot: |conf| Slot::Flag(&mut conf.one_active_context),
    },
];
