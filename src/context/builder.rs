//! Building a context.

use std::panic::Location;
use std::sync::Arc;

use super::StreamingContext;
use crate::block::{Memory, SpillStore};
use crate::conf::{Conf, SYSTEM_TEMP};
use crate::cpu::memory::available_bytes;
use crate::disk;
use crate::error::Result;
use crate::executor::Executor;
use crate::time::{Clock, Duration, SystemClock, check_interval};

/// Sets up a [`StreamingContext`].
///
/// Each setting can also come from the environment, which overrides the program:
/// `MILLSTREAM_BATCH_INTERVAL=250ms`, `MILLSTREAM_WORKERS=4`, ... See
/// [`conf::KEYS`](crate::conf::KEYS) for all of them.
///
/// # Examples
/// ```
/// use millstream::prelude::*;
///
/// # fn main() -> millstream::Result<()> {
/// let ssc = StreamingContext::builder()
///     .app_name("NetworkWordCount")
///     .batch_interval(Duration::from_millis(100))
///     .set("spark.streaming.blockInterval", "50ms")
///     .build()?;
/// println!("{}", ssc.conf());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until build()"]
pub struct StreamingContextBuilder {
    conf: Conf,
    settings: Vec<(String, String)>,
    clock: Arc<dyn Clock>,
    environment: bool,
}

impl StreamingContextBuilder {
    pub(super) fn new() -> Self {
        Self {
            conf: Conf::new(),
            settings: Vec::new(),
            clock: Arc::new(SystemClock::new()),
            environment: true,
        }
    }

    /// The program's name, in logs and thread listings. Default: `millstream`.
    pub fn app_name(mut self, name: impl Into<String>) -> Self {
        self.conf.app_name = name.into();
        self
    }

    /// The interval at which batches are cut: whole milliseconds, at least one.
    /// No default: it must be set here or by `MILLSTREAM_BATCH_INTERVAL`.
    pub fn batch_interval(mut self, interval: Duration) -> Self {
        self.conf.batch_interval = Some(interval);
        self
    }

    /// The number of worker threads, at least one. Default: one per core that
    /// the process may use.
    #[doc(alias = "master")]
    pub fn workers(mut self, workers: usize) -> Self {
        self.conf.workers = Some(workers);
        self
    }

    /// The number of partitions of a shuffle that is not told its own, at least
    /// one. Default: the number of workers.
    pub fn default_parallelism(mut self, partitions: usize) -> Self {
        self.conf.default_parallelism = Some(partitions);
        self
    }

    /// Pins each worker and receiver thread to a core of its own. Where there are several
    /// NUMA nodes, what is received on one is then processed there, unless its workers are
    /// busy and others idle; receivers without a core of their own stay on a node. Default:
    /// off, as a program that embeds a context has other threads too.
    pub fn pin(mut self, pin: bool) -> Self {
        self.conf.pin = pin;
        self
    }

    /// All settings at once, in place of those made so far.
    pub fn conf(mut self, conf: Conf) -> Self {
        self.conf = conf;
        self
    }

    /// Any setting by its name or by its name in the guide, such as
    /// `spark.streaming.blockInterval`. Refused by [`build`](Self::build) if the
    /// name or the value is wrong.
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((key.into(), value.into()));
        self
    }

    /// Where time comes from. Default: the system's clock. Tests give a
    /// [`ManualClock`](crate::time::ManualClock).
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Does not read the environment: for tests, whose results must not depend
    /// on it. Default: the environment is read.
    pub fn ignore_environment(mut self) -> Self {
        self.environment = false;
        self
    }

    /// Makes the context and starts its workers, which sleep until there is work.
    ///
    /// # Errors
    /// If a setting is missing or wrong (the message names the setting or the
    /// variable, its value and the rule), or the threads cannot be started.
    #[track_caller]
    pub fn build(self) -> Result<StreamingContext> {
        let site = Location::caller();
        let mut conf = self.conf;
        for (key, value) in &self.settings {
            conf.set(key, value)?;
        }
        if self.environment {
            conf = conf.load_env(std::env::vars_os())?;
        }
        conf.validate()?;
        let interval = check_interval(
            "batch_interval",
            conf.batch_interval.unwrap_or(Duration::ZERO),
        )?;
        let memory_max = conf.memory_max.map(|bytes| bytes as u64);
        let spill = match conf.spill_dir.as_str() {
            "" | SYSTEM_TEMP => std::env::temp_dir(),
            directory => directory.into(),
        };
        let spill = SpillStore::new(disk::of_contexts(), spill, conf.spill_max_bytes as u64);
        let memory = Memory::new(memory_max.unwrap_or_else(|| available_bytes() / 2), spill);
        let (executor, placement) = Executor::start(
            conf.workers,
            conf.default_parallelism,
            conf.pin,
            conf.task_max_failures,
            memory,
        )?;
        Ok(StreamingContext::new(
            conf, interval, executor, placement, self.clock, site,
        ))
    }
}
