//! Each operation of a case on the public API.

use millstream::prelude::*;
use millstream::rdd::pipe::Pipe;

use super::{Stopped, batch, failed, keyed, state, window};
use crate::case::Phase;
use crate::program::{MapFn, Op, Step};
use crate::value::Value;

/// The plain method, or the one that is told into how many partitions.
macro_rules! shuffled {
    ($stream:ident . $plain:ident | $into:ident ( $($argument:expr),* ), $partitions:expr) => {
        match $partitions {
            Some(n) => $stream.$into($($argument,)* n),
            None => $stream.$plain($($argument),*),
        }
    };
}
pub(super) use shuffled;

/// The stream that a step gives. If its first stream comes from a narrow step
/// `before` it, both are one chain.
pub(super) fn declare(
    ssc: &StreamingContext,
    step: &Step,
    before: Option<&Step>,
    streams: &[DStream<Value>],
) -> Result<DStream<Value>, Stopped> {
    let first = &streams[step.inputs[0]];
    let chained = match before {
        Some(before) => chain(&streams[before.inputs[0]], &before.op),
        None => chain(first, &Op::Map { f: MapFn::Identity }),
    };
    let unkeyed = match before {
        Some(_) => unkeyed(ssc, step, &chained, streams)?,
        None => unkeyed(ssc, step, first, streams)?,
    };
    if let Some(stream) = unkeyed {
        return Ok(stream);
    }
    let build = failed(Phase::Build);
    match &step.op {
        Op::Transform { f } => Ok(batch::transform(ssc, &chained, f)),
        Op::TransformWith { f } => {
            batch::transform_with(&chained, &streams[step.inputs[1]], f).map_err(build)
        }
        Op::UpdateStateByKey { .. } => Ok(state::update_state(ssc, &chained, step)),
        Op::MapWithState { .. } => state::map_with_state(ssc, &chained, step),
        op if op.window().is_some() => window::declare(&chained, step).map_err(build),
        _ => keyed::declare(&chained, step, streams).map_err(build),
    }
}

/// Whether it is one loop over the records.
pub(super) fn is_narrow(op: &Op) -> bool {
    matches!(op, Op::Map { .. } | Op::FlatMap { .. } | Op::Filter { .. })
}

/// A narrow step that is not boxed.
fn chain(
    stream: &DStream<Value>,
    op: &Op,
) -> DStream<Value, impl Pipe<In = Value, Out = Value> + use<>> {
    let op = op.clone();
    stream.flat_map(move |x| match &op {
        Op::Map { f } => vec![f.apply(x)],
        Op::FlatMap { f } => f.apply(&x),
        Op::Filter { f } => Vec::from_iter(f.keeps(&x).then_some(x)),
        other => unreachable!("{other:?} is not narrow"),
    })
}

/// Operations that work on a chain in another way than on data at rest.
fn unkeyed<P: Pipe<Out = Value>>(
    ssc: &StreamingContext,
    step: &Step,
    stream: &DStream<Value, P>,
    streams: &[DStream<Value>],
) -> Result<Option<DStream<Value>>, Stopped> {
    let parts = step.num_partitions;
    Ok(Some(match step.op.clone() {
        Op::Map { f } => stream.map(move |x| f.apply(x)).boxed(),
        Op::FlatMap { f } => stream.flat_map(move |x| f.apply(&x)).boxed(),
        Op::Filter { f } => stream.filter(move |x| f.keeps(x)).boxed(),
        Op::Glom {} => stream.glom().map(Value::List).boxed(),
        Op::MapPartitions { f } => stream.map_partitions(move |records| f.apply(records)),
        Op::Repartition {} => stream.repartition(parts.expect("a checked step")),
        Op::Union {} => {
            let others = step.inputs[1..].iter().map(|&input| streams[input].clone());
            let all = [stream.boxed()].into_iter().chain(others);
            ssc.union(all).map_err(failed(Phase::Build))?
        }
        Op::Count {} => stream.count().map(number).boxed(),
        Op::Reduce { reduce } => stream.reduce(move |a, b| reduce.apply(a, b)),
        Op::CountByValue {} => {
            let counts = shuffled!(stream.count_by_value | count_by_value_into(), parts);
            values(&counts.map(|(x, n)| (x, number(n))))
        }
        Op::Window { .. } => {
            let (length, slide) = window::length_and_slide(stream, step);
            stream.window(length, slide).map_err(failed(Phase::Build))?
        }
        // Nothing is declared: it is asked for at the end.
        Op::Slice { .. } => stream.boxed(),
        _ => return Ok(None),
    }))
}

pub(super) fn number(n: u64) -> Value {
    Value::Int(n as i64)
}

/// Pairs as they stand in the cases.
pub(super) fn values<P: Pipe<Out = (Value, Value)>>(
    pairs: &DStream<(Value, Value), P>,
) -> DStream<Value> {
    pairs.map(Value::from).boxed()
}
