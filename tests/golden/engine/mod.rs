//! The engine side: a case as a program on the public API, driven by a clock that
//! is moved batch by batch.

mod batch;
mod keyed;
mod sources;
mod state;
mod steps;
mod window;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use millstream::prelude::*;
use millstream::time::ManualClock;

use crate::case::{Case, Failure, Feed, Outcome, Phase};
use crate::value::Value;

/// What a program runs under. It must never change a result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) workers: usize,
    /// How a stream comes to the operation that uses it.
    pub(crate) streams: Streams,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Streams {
    Boxed,
    Cached,
    /// Cached, and there is no memory for it.
    Recomputed,
    /// What a narrow step gives goes on as one chain with the step behind it.
    Fused,
}

/// The recorded cases run under each of these.
pub(crate) const SETTINGS: [Setting; 4] = [
    Setting {
        workers: 1,
        streams: Streams::Boxed,
    },
    Setting {
        workers: 2,
        streams: Streams::Cached,
    },
    Setting {
        workers: 1,
        streams: Streams::Recomputed,
    },
    Setting {
        workers: 2,
        streams: Streams::Fused,
    },
];

/// Why a program did not run through.
#[derive(Debug)]
enum Stopped {
    /// The engine has no such thing, by name.
    #[cfg_attr(
        feature = "checkpoint",
        expect(dead_code, reason = "it has all that the cases need")
    )]
    Missing(String),
    Failed(Failure),
}

/// What the observed stream gives, or the name of what the engine does not have.
pub(crate) fn run(case: &Case, setting: Setting) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    match Program::declare(case, setting).and_then(|program| program.run(case, &mut outcome)) {
        Ok(()) => {}
        Err(Stopped::Failed(failure)) => outcome.failure = Some(failure),
        Err(Stopped::Missing(name)) => return Err(name),
    }
    Ok(outcome)
}

/// An error of the engine in one of the phases.
fn failed(phase: Phase) -> impl Fn(millstream::Error) -> Stopped {
    move |error| {
        Stopped::Failed(Failure {
            phase,
            message: error.to_string(),
        })
    }
}

type Seen = Arc<Mutex<Vec<(i64, Vec<Value>)>>>;

struct Program {
    ssc: StreamingContext,
    clock: ManualClock,
    queues: Vec<RddQueue<Value>>,
    observed: DStream<Value>,
    seen: Seen,
}

impl Program {
    fn declare(case: &Case, setting: Setting) -> Result<Self, Stopped> {
        let clock = ManualClock::new(0);
        let mut builder = StreamingContext::builder();
        if matches!(setting.streams, Streams::Recomputed) {
            builder = builder.set("memory_max", "0");
        }
        let ssc = builder
            .batch_interval(Duration::from_millis(case.batch_ms as u64))
            .workers(setting.workers)
            .default_parallelism(2)
            .clock(clock.clone())
            .ignore_environment()
            .build()
            .map_err(failed(Phase::Build))?;
        let mut queues = Vec::new();
        let mut streams = Vec::new();
        for source in &case.sources {
            let (queue, stream) = sources::declare(&ssc, source).map_err(failed(Phase::Build))?;
            queues.push(queue);
            streams.push(stream);
        }
        for step in &case.steps {
            let before = case.step_of(step.inputs[0]).filter(|before| {
                matches!(setting.streams, Streams::Fused) && steps::is_narrow(&before.op)
            });
            let declared = || steps::declare(&ssc, step, before, &streams);
            // What is wrong with a declaration may also come as a panic, at its place.
            let stream = catch_unwind(AssertUnwindSafe(declared)).unwrap_or_else(|panic| {
                let error = millstream::Error::from_panic(panic, "the declaration");
                Err(failed(Phase::Build)(error))
            })?;
            streams.push(match setting.streams {
                Streams::Cached | Streams::Recomputed => stream.cache(),
                Streams::Boxed | Streams::Fused => stream,
            });
        }
        let observed = streams.swap_remove(case.observed());
        let seen = Seen::default();
        if !case.no_output {
            let seen = Arc::clone(&seen);
            observed.foreach_rdd(move |rdd, time| {
                let records = rdd.collect()?;
                let mut seen = seen.lock().expect("nobody panics with the lock");
                seen.push((time.as_millis(), records));
                Ok(())
            });
        }
        if let Some(remember) = case.remember_ms {
            let remember = Duration::from_millis(remember as u64);
            ssc.remember(remember).map_err(failed(Phase::Build))?;
        }
        Ok(Self {
            ssc,
            clock,
            queues,
            observed,
            seen,
        })
    }

    fn run(self, case: &Case, outcome: &mut Outcome) -> Result<(), Stopped> {
        self.ssc.start().map_err(failed(Phase::Start))?;
        let batches = self.run_batches(case);
        let output = match case.slice() {
            Some((from, to)) if batches.is_ok() => self.slice(from, to),
            Some(_) => Ok(Vec::new()),
            None => Ok(std::mem::take(
                &mut *self.seen.lock().expect("nobody panics with the lock"),
            )),
        };
        // What was queued behind a failed batch is of no interest.
        let stopped = self.ssc.stop(false).map_err(failed(Phase::Run));
        outcome.output = output?;
        for (_, records) in &mut outcome.output {
            records.sort();
        }
        batches.and(stopped)
    }

    /// Lets the batches come, up to the first that fails.
    fn run_batches(&self, case: &Case) -> Result<(), Stopped> {
        for batch in 0..case.num_batches {
            for (source, queue) in case.sources.iter().zip(&self.queues) {
                if let Feed::Queue { puts, .. } = &source.feed {
                    for rdd in puts.get(batch).into_iter().flatten() {
                        queue.push(self.ssc.parallelize(rdd.clone(), source.partitions));
                    }
                }
            }
            let time = BatchTime::from_millis(case.time(batch));
            self.clock.set(time);
            self.ssc.await_batch(time);
            self.ssc
                .await_termination_or_timeout(Duration::ZERO)
                .map_err(failed(Phase::Run))?;
        }
        Ok(())
    }

    fn slice(&self, from: i64, to: i64) -> Result<Vec<(i64, Vec<Value>)>, Stopped> {
        let (from, to) = (BatchTime::from_millis(from), BatchTime::from_millis(to));
        let rdds = self
            .observed
            .slice(from, to)
            .map_err(failed(Phase::Slice))?;
        let records = rdds.iter().map(Rdd::collect);
        (0..)
            .zip(records)
            .map(|(i, records)| Ok((i, records.map_err(failed(Phase::Slice))?)))
            .collect()
    }
}
