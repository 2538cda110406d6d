//! State by key.

use std::sync::Arc;

use millstream::prelude::*;
use millstream::rdd::pipe::Pipe;
use millstream::{MapWithStateDStream, UpdateOptions};

use super::Stopped;
#[cfg(feature = "checkpoint")]
use super::failed;
use super::steps::{shuffled, values};
#[cfg(feature = "checkpoint")]
use crate::case::Phase;
use crate::functions::Change;
use crate::program::{Emit, Op, Step, Variant};
use crate::value::Value;

pub(super) fn update_state<P: Pipe<Out = Value>>(
    ssc: &StreamingContext,
    stream: &DStream<Value, P>,
    step: &Step,
) -> DStream<Value> {
    let Op::UpdateStateByKey {
        f,
        variant,
        initial,
    } = &step.op
    else {
        unreachable!("it is update_state_by_key");
    };
    let pairs = stream.map(Value::into_pair);
    let parts = step.num_partitions;
    let f = Arc::new(f.clone());
    let mut options = UpdateOptions::new();
    if let Some(n) = parts {
        options = options.num_partitions(n);
    }
    if !initial.is_empty() {
        options = options.initial_state(ssc.parallelize(initial.clone(), 2));
    }
    values(&match variant {
        Variant::Plain if initial.is_empty() => {
            let update = move |new: &[Value], old: Option<&Value>| f.apply(0, new, old);
            shuffled!(
                pairs.update_state_by_key | update_state_by_key_into(update),
                parts
            )
        }
        Variant::Plain | Variant::Timed => {
            let update = move |time: BatchTime, _: &Value, new: &[Value], old: Option<&Value>| {
                f.apply(time.as_millis(), new, old)
            };
            pairs.update_state_by_key_with(update, options)
        }
        Variant::Iterator => {
            let update = move |time: BatchTime, entries: millstream::StateEntries<_, _, _>| {
                let f = Arc::clone(&f);
                entries.filter_map(move |(key, new, old): (_, Vec<Value>, Option<Value>)| {
                    Some((key, f.apply(time.as_millis(), &new, old.as_ref())?))
                })
            };
            pairs.update_state_by_partition(update, options)
        }
    })
}

pub(super) fn map_with_state<P: Pipe<Out = Value>>(
    ssc: &StreamingContext,
    stream: &DStream<Value, P>,
    step: &Step,
) -> Result<DStream<Value>, Stopped> {
    let Op::MapWithState {
        f,
        emit,
        initial,
        timeout_ms,
        checkpoint_ms,
    } = &step.op
    else {
        unreachable!("it is map_with_state");
    };
    let f = f.clone();
    let call = move |time: BatchTime, key, value: Option<Value>, state: &mut State<'_, Value>| {
        let Some(value) = value else {
            return f.timed_out(&key, state.get());
        };
        let (change, emitted) = f.apply(time.as_millis(), &key, &value, state.get_option());
        match change {
            Change::Keep => {}
            Change::Update(new) => state.update(new),
            Change::Remove => state.remove(),
        }
        emitted
    };
    let mut spec = StateSpec::function_with_time(call);
    if !initial.is_empty() {
        spec = spec.initial_state(ssc.parallelize(initial.clone(), 2));
    }
    if let Some(n) = step.num_partitions {
        spec = spec.num_partitions(n);
    }
    if let Some(timeout) = timeout_ms {
        spec = spec.timeout(Duration::from_millis(*timeout as u64));
    }
    let mut mapped = stream.map(Value::into_pair).map_with_state(spec);
    if let Some(interval) = checkpoint_ms {
        mapped = checkpointed(&mapped, Duration::from_millis(*interval as u64))?;
    }
    Ok(match emit {
        Emit::Mapped => mapped.boxed(),
        Emit::Snapshots => values(&mapped.state_snapshots()),
    })
}

type Mapped = MapWithStateDStream<Value, Value, Value>;

#[cfg(feature = "checkpoint")]
fn checkpointed(mapped: &Mapped, interval: Duration) -> Result<Mapped, Stopped> {
    mapped.checkpoint(interval).map_err(failed(Phase::Build))
}

#[cfg(not(feature = "checkpoint"))]
fn checkpointed(_: &Mapped, _: Duration) -> Result<Mapped, Stopped> {
    Err(Stopped::Missing("the feature `checkpoint`".to_owned()))
}
