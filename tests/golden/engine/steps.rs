//! Each operation of a case on the public API.

use millstream::prelude::*;
use millstream::rdd::pipe::Pipe;

use super::{Stopped, failed};
use crate::case::Phase;
use crate::program::{Op, Step, TransformFn};
use crate::value::Value;

/// Whether it is one loop over the records.
pub(super) fn is_narrow(op: &Op) -> bool {
    matches!(op, Op::Map { .. } | Op::FlatMap { .. } | Op::Filter { .. })
}

/// A narrow step that is not boxed.
pub(super) fn chain(
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

/// The stream that a step gives; `stream` is the first that it takes.
pub(super) fn declare<P: Pipe<Out = Value>>(
    ssc: &StreamingContext,
    step: &Step,
    stream: &DStream<Value, P>,
    streams: &[DStream<Value>],
) -> Result<DStream<Value>, Stopped> {
    let keyed = || stream.map(Value::into_pair);
    let parts = step.num_partitions;
    Ok(match &step.op {
        Op::Map { f } => {
            let f = f.clone();
            stream.map(move |x| f.apply(x)).boxed()
        }
        Op::FlatMap { f } => {
            let f = f.clone();
            stream.flat_map(move |x| f.apply(&x)).boxed()
        }
        Op::Filter { f } => {
            let f = f.clone();
            stream.filter(move |x| f.keeps(x)).boxed()
        }
        Op::Repartition {} => stream.repartition(parts.expect("a checked step")),
        Op::Union {} => {
            let others = step.inputs[1..].iter().map(|&input| streams[input].clone());
            ssc.union([stream.boxed()].into_iter().chain(others))
                .map_err(failed(Phase::Build))?
        }
        Op::Count {} => stream.count().map(number).boxed(),
        Op::Reduce { reduce } => {
            let reduce = reduce.clone();
            stream.reduce(move |a, b| reduce.apply(a, b))
        }
        Op::CountByValue {} => values(&stream.count_by_value().map(|(x, n)| (x, number(n)))),
        Op::GroupByKey {} => {
            let groups = match parts {
                Some(n) => keyed().group_by_key_into(n),
                None => keyed().group_by_key(),
            };
            values(&groups.map_values(Value::sorted))
        }
        Op::ReduceByKey { reduce } => {
            let reduce = reduce.clone();
            let f = move |a, b| reduce.apply(a, b);
            values(&match parts {
                Some(n) => keyed().reduce_by_key_into(f, n),
                None => keyed().reduce_by_key(f),
            })
        }
        Op::CombineByKey { combiner } => {
            let [create, value, combiners, finish] = [(); 4].map(|()| combiner.clone());
            let take = |combined: &mut Value| std::mem::replace(combined, Value::Null);
            let combined = keyed().combine_by_key(
                move |new| create.create(new),
                move |all, new| *all = value.merge(take(all), value.create(new)),
                move |all, more| *all = combiners.merge(take(all), more),
            );
            values(&combined.map_values(move |combined| finish.finish(combined)))
        }
        Op::MapValues { f } => {
            let f = f.clone();
            values(&keyed().map_values(move |value| f.apply(value)))
        }
        Op::Transform { f } => transform(ssc, stream, f)?,
        op if op.window().is_some() => window(stream, step).map_err(failed(Phase::Build))?,
        // Nothing is declared: it is asked for at the end.
        Op::Slice { .. } => stream.boxed(),
        other => return Err(Stopped::Missing(other.name())),
    })
}

fn transform<P: Pipe<Out = Value>>(
    ssc: &StreamingContext,
    stream: &DStream<Value, P>,
    f: &TransformFn,
) -> Result<DStream<Value>, Stopped> {
    Ok(match f {
        TransformFn::UnionStatic { table } => {
            let table = ssc.parallelize(table.clone(), 1);
            stream.transform(move |rdd, _| Ok(rdd.union(table.clone())))
        }
        TransformFn::WithTime => stream.transform(|rdd, time| {
            let time = Value::Int(time.as_millis());
            Ok(rdd.map(move |x| Value::pair(time.clone(), x)))
        }),
        TransformFn::OnlyEvenBatches { n } => {
            let n = *n;
            stream.transform(move |rdd, time| {
                let even = time.as_millis() / n % 2 == 0;
                Ok(rdd.filter(move |_| even))
            })
        }
        other => return Err(Stopped::Missing(format!("transform with {other:?}"))),
    })
}

fn window<P: Pipe<Out = Value>>(
    stream: &DStream<Value, P>,
    step: &Step,
) -> millstream::Result<DStream<Value>> {
    let (length, slide) = step.op.window().expect("it is a window");
    let duration = |millis: i64| Duration::from_millis(millis as u64);
    let (length, slide) = (
        duration(length),
        slide.map_or(stream.slide_interval(), duration),
    );
    let keyed = || stream.map(Value::into_pair);
    let parts = step.num_partitions;
    Ok(match step.op.clone() {
        Op::CountByWindow { .. } => stream.count_by_window(length, slide)?.map(number).boxed(),
        Op::ReduceByWindow {
            reduce, inverse, ..
        } => {
            let f = move |a, b| reduce.apply(a, b);
            match inverse {
                Some(inverse) => {
                    let inverse = move |a, b| inverse.apply(&a, &b);
                    stream.reduce_by_window_inverse(f, inverse, length, slide)?
                }
                None => stream.reduce_by_window(f, length, slide)?,
            }
        }
        Op::GroupByKeyAndWindow { .. } => {
            let groups = match parts {
                Some(n) => keyed().group_by_key_and_window_into(length, slide, n)?,
                None => keyed().group_by_key_and_window(length, slide)?,
            };
            values(&groups.map_values(Value::sorted))
        }
        Op::ReduceByKeyAndWindow {
            reduce,
            inverse,
            filter,
            ..
        } => {
            let f = move |a, b| reduce.apply(a, b);
            let reduced = match (inverse, parts) {
                (Some(inverse), parts) => {
                    let inverse = move |a, b| inverse.apply(&a, &b);
                    match parts {
                        Some(n) => keyed()
                            .reduce_by_key_and_window_inverse_into(f, inverse, length, slide, n)?,
                        None => {
                            keyed().reduce_by_key_and_window_inverse(f, inverse, length, slide)?
                        }
                    }
                }
                (None, Some(n)) => keyed().reduce_by_key_and_window_into(f, length, slide, n)?,
                (None, None) => keyed().reduce_by_key_and_window(f, length, slide)?,
            };
            match filter {
                Some(filter) => {
                    values(&reduced.filter(move |(key, value)| filter.keeps_pair(key, value)))
                }
                None => values(&reduced),
            }
        }
        Op::CountByValueAndWindow { .. } => {
            let counts = match parts {
                Some(n) => stream.count_by_value_and_window_into(length, slide, n)?,
                None => stream.count_by_value_and_window(length, slide)?,
            };
            values(&counts.map(|(x, n)| (x, number(n))))
        }
        _ => stream.window(length, slide)?,
    })
}

fn number(n: u64) -> Value {
    Value::Int(n as i64)
}

fn values<P: Pipe<Out = (Value, Value)>>(pairs: &DStream<(Value, Value), P>) -> DStream<Value> {
    pairs.map(Value::from).boxed()
}
