//! Operations on pairs.

use std::mem;

use millstream::prelude::*;
use millstream::rdd::pipe::Pipe;

use super::steps::{shuffled, values};
use crate::program::{Op, Step};
use crate::value::Value;

/// The stream that a step gives, of `stream` and, for a join, another.
pub(super) fn declare<P: Pipe<Out = Value>>(
    stream: &DStream<Value, P>,
    step: &Step,
    streams: &[DStream<Value>],
) -> millstream::Result<DStream<Value>> {
    let pairs = stream.map(Value::into_pair);
    let parts = step.num_partitions;
    Ok(match step.op.clone() {
        Op::MapValues { f } => values(&pairs.map_values(move |value| f.apply(value))),
        Op::FlatMapValues { f } => values(&pairs.flat_map_values(move |value| f.apply(&value))),
        Op::GroupByKey {} => {
            let groups = shuffled!(pairs.group_by_key | group_by_key_into(), parts);
            values(&groups.map_values(Value::sorted))
        }
        Op::ReduceByKey { reduce } => {
            let f = move |a, b| reduce.apply(a, b);
            values(&shuffled!(
                pairs.reduce_by_key | reduce_by_key_into(f),
                parts
            ))
        }
        Op::CombineByKey { combiner } => {
            let [create, merge, merge_combiners, finish] = [(); 4].map(|()| combiner.clone());
            let take = |combined: &mut Value| mem::replace(combined, Value::Null);
            let create = move |new| create.create(new);
            let value =
                move |all: &mut Value, new| *all = merge.merge(take(all), merge.create(new));
            let combiners =
                move |all: &mut Value, more| *all = merge_combiners.merge(take(all), more);
            let combined = shuffled!(
                pairs.combine_by_key | combine_by_key_into(create, value, combiners),
                parts
            );
            values(&combined.map_values(move |combined| finish.finish(combined)))
        }
        other => join(&pairs, &streams[step.inputs[1]], &other, parts)?,
    })
}

fn join<P: Pipe<Out = (Value, Value)>>(
    a: &DStream<(Value, Value), P>,
    b: &DStream<Value>,
    op: &Op,
    parts: Option<usize>,
) -> millstream::Result<DStream<Value>> {
    let b = &b.map(Value::into_pair);
    Ok(match op {
        Op::Join {} => {
            let joined = shuffled!(a.join | join_into(b), parts)?;
            values(&joined.map_values(Value::from))
        }
        Op::LeftOuterJoin {} => {
            let joined = shuffled!(a.left_outer_join | left_outer_join_into(b), parts)?;
            values(&joined.map_values(|(a, b)| Value::pair(a, or_null(b))))
        }
        Op::RightOuterJoin {} => {
            let joined = shuffled!(a.right_outer_join | right_outer_join_into(b), parts)?;
            values(&joined.map_values(|(a, b)| Value::pair(or_null(a), b)))
        }
        Op::FullOuterJoin {} => {
            let joined = shuffled!(a.full_outer_join | full_outer_join_into(b), parts)?;
            values(&joined.map_values(|(a, b)| Value::pair(or_null(a), or_null(b))))
        }
        Op::Cogroup {} => {
            let groups = shuffled!(a.cogroup | cogroup_into(b), parts)?;
            values(&groups.map_values(|(a, b)| Value::pair(Value::sorted(a), Value::sorted(b))))
        }
        other => unreachable!("{other:?} is no operation on pairs"),
    })
}

/// The side of an outer join that may be absent.
pub(super) fn or_null(side: Option<Value>) -> Value {
    side.unwrap_or(Value::Null)
}
