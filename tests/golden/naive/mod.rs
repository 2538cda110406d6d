//! A naive interpreter of cases: each operation by its definition, on plain
//! vectors, each batch anew from all that it depends on.
//!
//! It is the twin of the engine in the random programs, and says what is right
//! where Spark's own result is a defect. With [`SPARK`] it does as Spark did; so
//! the recorded cases check it, rule by rule.

mod stateful;
mod stateless;
mod window;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::case::{Case, Failure, Feed, Outcome, Phase};
use crate::program::{Op, Step};
use crate::value::Value;

/// The partitions of one batch. Where records were shuffled to is not defined:
/// there they are all in the first.
type Batch = Vec<Vec<Value>>;

/// Where the definition and Spark part. True is the definition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// An incremental window has the result of the same window without inverse.
    pub(crate) plain_windows: bool,
    /// A key times out in the first batch in which it is due, not in the next that
    /// is checkpointed.
    pub(crate) prompt_timeouts: bool,
    /// State and incremental windows need no checkpoint directory.
    pub(crate) state_in_memory: bool,
    /// A source is drained in each batch, also if nobody asks for it.
    pub(crate) drained_sources: bool,
}

pub(crate) const DEFINITION: Rules = Rules {
    plain_windows: true,
    prompt_timeouts: true,
    state_in_memory: true,
    drained_sources: true,
};

pub(crate) const SPARK: Rules = Rules {
    plain_windows: false,
    prompt_timeouts: false,
    state_in_memory: false,
    drained_sources: false,
};

/// Spark with one of the rules each, and what the rule is about.
pub(crate) const RULES: [(&str, Rules); 4] = [
    (
        "incremental windows",
        Rules {
            plain_windows: true,
            ..SPARK
        },
    ),
    (
        "time-outs",
        Rules {
            prompt_timeouts: true,
            ..SPARK
        },
    ),
    (
        "no checkpoint directory",
        Rules {
            state_in_memory: true,
            ..SPARK
        },
    ),
    (
        "drained sources",
        Rules {
            drained_sources: true,
            ..SPARK
        },
    ),
];

/// What the observed stream gives.
pub(crate) fn run(case: &Case, rules: Rules) -> Outcome {
    let mut outcome = Outcome::default();
    let run = Naive::declare(case, rules).and_then(|mut naive| naive.run(&mut outcome.output));
    outcome.failure = run.err();
    outcome
}

struct Naive<'c> {
    case: &'c Case,
    rules: Rules,
    /// Of each stream.
    slides: Vec<i64>,
    /// What waits in the queue of each source.
    waiting: Vec<VecDeque<Batch>>,
    /// What each stream gave at each time that was asked for.
    given: BTreeMap<(usize, i64), Option<Rc<Batch>>>,
    /// The tables that operations keep from one time to the next.
    tables: BTreeMap<(usize, i64), Rc<Table>>,
}

/// A value by key, and the time when it was last touched.
type Table = BTreeMap<Value, (Value, i64)>;

fn fail<T>(phase: Phase, message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure {
        phase,
        message: message.into(),
    })
}

impl<'c> Naive<'c> {
    fn declare(case: &'c Case, rules: Rules) -> Result<Self, Failure> {
        let mut slides = vec![case.batch_ms; case.sources.len()];
        for step in &case.steps {
            slides.push(slide(step, &slides)?);
        }
        if case.no_output {
            return fail(Phase::Start, "there is no output operation");
        }
        for (step, slide) in case.steps.iter().zip(&slides[case.sources.len()..]) {
            if !rules.state_in_memory && !case.checkpoint && keeps_state(&step.op) {
                return fail(Phase::Start, "there is no checkpoint directory");
            }
            if let Op::MapWithState {
                checkpoint_ms: Some(interval),
                ..
            } = step.op
                && (interval < *slide || interval % slide != 0)
            {
                return fail(
                    Phase::Start,
                    "the checkpoint interval is no multiple of the slide",
                );
            }
        }
        Ok(Self {
            case,
            rules,
            slides,
            waiting: vec![VecDeque::new(); case.sources.len()],
            given: BTreeMap::new(),
            tables: BTreeMap::new(),
        })
    }

    fn run(&mut self, output: &mut Vec<(i64, Vec<Value>)>) -> Result<(), Failure> {
        let case = self.case;
        let lazy = case.lazy_sources && !self.rules.drained_sources;
        let observed = case.observed();
        for batch in 0..case.num_batches {
            let time = case.time(batch);
            self.put(batch);
            for source in 0..case.sources.len() {
                if !lazy {
                    self.at(source, time)?;
                }
            }
            let records = self.at(observed, time)?;
            if case.slice().is_none() {
                output.extend(records.map(|records| (time, sorted(&records))));
            }
        }
        let Some((from, to)) = case.slice() else {
            return Ok(());
        };
        let slide = self.slides[observed];
        let mut slice = Vec::new();
        let mut time = from.max(0) / slide * slide;
        while time <= to {
            match self.at(observed, time) {
                Ok(records) => slice.extend(records),
                Err(failure) => return fail(Phase::Slice, failure.message),
            }
            time += slide;
        }
        *output = (0..)
            .zip(slice.iter().map(|records| sorted(records)))
            .collect();
        Ok(())
    }

    /// Fills the queues before a batch.
    fn put(&mut self, batch: usize) {
        for (source, waiting) in self.case.sources.iter().zip(&mut self.waiting) {
            if let Feed::Queue { puts, .. } = &source.feed {
                let rdds = puts.get(batch).into_iter().flatten();
                waiting.extend(rdds.map(|records| split(records, source.partitions)));
            }
        }
    }

    /// What a stream gives at a time; nothing if that is no time of the stream.
    fn at(&mut self, stream: usize, time: i64) -> Result<Option<Rc<Batch>>, Failure> {
        if time <= 0 || time % self.slides[stream] != 0 {
            return Ok(None);
        }
        if let Some(given) = self.given.get(&(stream, time)) {
            return Ok(given.clone());
        }
        let case = self.case;
        let batch = match stream.checked_sub(case.sources.len()) {
            None => self.take(stream, time),
            Some(number) => self.compute(&case.steps[number], stream, time)?,
        };
        let batch = batch.map(Rc::new);
        self.given.insert((stream, time), batch.clone());
        Ok(batch)
    }

    /// What a source gives.
    fn take(&mut self, source: usize, time: i64) -> Option<Batch> {
        let waiting = &mut self.waiting[source];
        let source = &self.case.sources[source];
        match &source.feed {
            Feed::Direct(batches) => {
                let batch = batches.get((time / self.case.batch_ms - 1) as usize)?;
                Some(split(batch.as_ref()?, source.partitions))
            }
            Feed::Queue { default, .. } if waiting.is_empty() => Some(split(&default.0, default.1)),
            Feed::Queue { one_at_a_time, .. } => {
                let taken = if *one_at_a_time { 1 } else { waiting.len() };
                Some(waiting.drain(..taken).flatten().collect())
            }
        }
    }

    fn compute(&mut self, step: &Step, stream: usize, time: i64) -> Result<Option<Batch>, Failure> {
        match step.op {
            _ if step.op.window().is_some() => self.window(step, stream, time).map(Some),
            Op::UpdateStateByKey { .. } => self.update_state(step, stream, time),
            Op::MapWithState { .. } => self.map_with_state(step, stream, time).map(Some),
            _ => {
                let mut parents = Vec::new();
                for &input in &step.inputs {
                    match self.at(input, time)? {
                        Some(batch) => parents.push(batch),
                        None if may_give_nothing(&step.op) => return Ok(None),
                        None => {
                            let message =
                                format!("a parent of {:?} gave no Rdd at {time} ms", step.op);
                            return fail(Phase::Run, message);
                        }
                    }
                }
                Ok(Some(stateless::compute(step, &parents, time)))
            }
        }
    }

    /// What a stream gave in `(after, until]`, in order.
    fn between(
        &mut self,
        stream: usize,
        after: i64,
        until: i64,
    ) -> Result<Vec<Rc<Batch>>, Failure> {
        let mut batches = Vec::new();
        for i in 1..=(until - after) / self.slides[stream] {
            batches.extend(self.at(stream, after + i * self.slides[stream])?);
        }
        Ok(batches)
    }
}

/// The slide of what a step gives.
fn slide(step: &Step, slides: &[i64]) -> Result<i64, Failure> {
    let parent = slides[step.inputs[0]];
    if step.inputs.iter().any(|&input| slides[input] != parent) {
        return fail(Phase::Build, "the streams slide differently");
    }
    let Some((window, slide)) = step.op.window() else {
        return Ok(parent);
    };
    let slide = slide.unwrap_or(parent);
    for duration in [window, slide] {
        if duration <= 0 || duration % parent != 0 {
            let message = format!("{duration} ms is no multiple of the parent's {parent} ms");
            return fail(Phase::Build, message);
        }
    }
    Ok(slide)
}

/// Whether Spark needs a checkpoint directory for it.
fn keeps_state(op: &Op) -> bool {
    matches!(op, Op::UpdateStateByKey { .. } | Op::MapWithState { .. })
        || window::is_incremental(op)
}

/// Whether it gives no Rdd where its parent gives none. All else needs one.
fn may_give_nothing(op: &Op) -> bool {
    // In Spark `count` and `repartition` are uses of `transform`, which needs one.
    matches!(
        op,
        Op::Map { .. }
            | Op::FlatMap { .. }
            | Op::Filter { .. }
            | Op::Glom {}
            | Op::MapPartitions { .. }
            | Op::Reduce { .. }
            | Op::CountByValue {}
            | Op::GroupByKey {}
            | Op::ReduceByKey { .. }
            | Op::CombineByKey { .. }
            | Op::MapValues { .. }
            | Op::FlatMapValues { .. }
    )
}

/// The records of an Rdd in its partitions.
fn split(records: &[Value], partitions: usize) -> Batch {
    let n = records.len();
    let slice = |i| records[i * n / partitions..(i + 1) * n / partitions].to_vec();
    (0..partitions).map(slice).collect()
}

fn sorted(batch: &Batch) -> Vec<Value> {
    let mut records = batch.concat();
    records.sort();
    records
}

/// The values of each key.
fn by_key(pairs: impl IntoIterator<Item = (Value, Value)>) -> BTreeMap<Value, Vec<Value>> {
    let mut keys = BTreeMap::<_, Vec<_>>::new();
    for (key, value) in pairs {
        keys.entry(key).or_default().push(value);
    }
    keys
}

/// The pairs of a batch.
fn pairs(batch: &Batch) -> impl Iterator<Item = (Value, Value)> {
    batch.iter().flatten().cloned().map(Value::into_pair)
}
