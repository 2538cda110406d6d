//! As many workers as the batches need.

use std::sync::{Arc, Mutex};

use crate::executor::Executor;
use crate::listener::BatchInfo;
use crate::sync::lock;
use crate::time::Duration;

/// When the number of workers changes, and how far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScalingOptions {
    pub(crate) batch_interval: Duration,
    /// For how long batches are measured before each decision.
    pub(crate) scaling_interval: Duration,
    /// From this part of the batch interval on there are more, up to `most`.
    pub(crate) up_ratio: f64,
    /// Up to this part there is one less, down to `least`.
    pub(crate) down_ratio: f64,
    pub(crate) least: usize,
    pub(crate) most: usize,
}

/// Sets how many workers take part, by how long the batches take.
#[derive(Debug)]
pub(crate) struct Scaling {
    options: ScalingOptions,
    executor: Arc<Executor>,
    measured: Mutex<Measured>,
}

/// The batches since the last decision.
#[derive(Debug)]
struct Measured {
    since_nanos: i64,
    processing: Duration,
    batches: u32,
}

impl Measured {
    fn from(since_nanos: i64) -> Self {
        Self {
            since_nanos,
            processing: Duration::ZERO,
            batches: 0,
        }
    }
}

impl Scaling {
    /// Measures from `start_nanos` on. All workers that are allowed take part at
    /// first.
    pub(crate) fn new(options: ScalingOptions, executor: Arc<Executor>, start_nanos: i64) -> Self {
        executor.set_active(options.most);
        Self {
            options,
            executor,
            measured: Mutex::new(Measured::from(start_nanos)),
        }
    }

    /// Learns from a batch that has ended.
    pub(super) fn learn(&self, batch: &BatchInfo) {
        let Some(end) = batch.processing_end_nanos else {
            return;
        };
        let mut measured = lock(&self.measured);
        measured.processing += batch.processing_delay();
        measured.batches += 1;
        let elapsed = Duration::from_nanos(end.abs_diff(measured.since_nanos));
        if elapsed < self.options.scaling_interval {
            return;
        }
        let mean = measured.processing / measured.batches;
        *measured = Measured::from(end);
        self.scale(mean.as_secs_f64() / self.options.batch_interval.as_secs_f64());
    }

    /// Decides by the part of an interval that a batch takes.
    fn scale(&self, ratio: f64) {
        let ScalingOptions {
            up_ratio,
            down_ratio,
            least,
            most,
            ..
        } = self.options;
        let active = self.executor.active();
        let wanted = if ratio >= up_ratio {
            active.saturating_add((ratio.round() as usize).max(1))
        } else if ratio <= down_ratio {
            active - 1
        } else {
            active
        };
        let wanted = wanted.clamp(least, most);
        if wanted != active {
            tracing::info!(
                ratio,
                from = active,
                to = wanted,
                "the number of active workers changes"
            );
            self.executor.set_active(wanted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::BatchTime;

    const SECOND: i64 = 1_000_000_000;

    /// Four workers, of which one to three take part; batches of a second, decisions
    /// every ten.
    struct Run {
        scaling: Scaling,
        executor: Arc<Executor>,
        now: i64,
    }

    impl Run {
        fn new() -> Self {
            let options = ScalingOptions {
                batch_interval: Duration::from_secs(1),
                scaling_interval: Duration::from_secs(10),
                up_ratio: 0.9,
                down_ratio: 0.3,
                least: 1,
                most: 3,
            };
            let executor = Arc::new(Executor::of(4));
            Self {
                scaling: Scaling::new(options, Arc::clone(&executor), 0),
                executor,
                now: 0,
            }
        }

        /// Ends a batch per second, each of which took so many milliseconds; how
        /// many workers take part then.
        fn batches(&mut self, count: i64, took_millis: i64) -> usize {
            for _ in 0..count {
                self.now += SECOND;
                let time = BatchTime::from_millis(self.now / 1_000_000);
                let mut batch = BatchInfo::new(time, Vec::new(), self.now);
                batch.processing_start_nanos = Some(self.now - took_millis * 1_000_000);
                batch.processing_end_nanos = Some(self.now);
                self.scaling.learn(&batch);
            }
            self.executor.active()
        }
    }

    #[test]
    fn dep_10_idle_workers_go_one_by_one_down_to_the_least() {
        let mut run = Run::new();
        assert_eq!(run.executor.active(), 3, "no more than allowed");
        assert_eq!(run.batches(9, 300), 3);
        assert_eq!(run.batches(1, 300), 2);
        assert_eq!(run.batches(9, 0), 2);
        assert_eq!(run.batches(1, 0), 1);
        assert_eq!(run.batches(30, 0), 1);
    }

    #[test]
    fn dep_10_slow_batches_bring_as_many_as_they_lack() {
        let mut run = Run::new();
        assert_eq!(run.batches(30, 0), 1);
        assert_eq!(run.batches(10, 899), 1, "in between nothing changes");
        assert_eq!(run.batches(10, 900), 2);
        assert_eq!(run.batches(20, 0), 1);
        // Two and a half intervals: two are to come, and not more than there are.
        assert_eq!(run.batches(10, 2_400), 3);
        assert_eq!(run.batches(10, 9_000), 3);
    }

    #[test]
    fn dep_10_the_mean_decides() {
        let mut run = Run::new();
        assert_eq!(run.batches(20, 0), 1);
        assert_eq!(run.batches(9, 0), 1);
        assert_eq!(run.batches(1, 8_900), 1);
        assert_eq!(run.batches(9, 0), 1);
        assert_eq!(run.batches(1, 9_000), 2);
    }
}
