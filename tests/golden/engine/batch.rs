//! `transform` and `transform_with`: operations on the Rdd of a batch.

use millstream::prelude::*;
use millstream::rdd::pipe::Pipe;

use super::keyed::or_null;
use super::steps::number;
use crate::program::{TransformFn, TransformWithFn};
use crate::value::Value;

/// The static tables are cut into this many.
const PARTITIONS: usize = 2;

pub(super) fn transform<P: Pipe<Out = Value>>(
    ssc: &StreamingContext,
    stream: &DStream<Value, P>,
    f: &TransformFn,
) -> DStream<Value> {
    match f.clone() {
        TransformFn::Distinct => stream.transform(|rdd, _| Ok(rdd.distinct())),
        TransformFn::Top { n } => {
            let one = ssc.parallelize([()], 1);
            stream.transform(move |rdd, _| {
                let top = rdd.top(n)?;
                Ok(one.clone().flat_map(move |()| top.clone()))
            })
        }
        TransformFn::JoinStatic { table } => {
            let table = ssc.parallelize(table, PARTITIONS);
            stream.transform(move |rdd, _| {
                let joined = rdd.map(Value::into_pair).join(table.clone());
                Ok(joined.map(|(key, (a, b))| Value::pair(key, Value::pair(a, b))))
            })
        }
        TransformFn::LeftJoinStatic { table } => {
            let table = ssc.parallelize(table, PARTITIONS);
            stream.transform(move |rdd, _| {
                let joined = rdd.map(Value::into_pair).left_outer_join(table.clone());
                Ok(joined.map(|(key, (a, b))| Value::pair(key, Value::pair(a, or_null(b)))))
            })
        }
        TransformFn::SubtractStatic { table } => {
            let table = ssc.parallelize(table, PARTITIONS);
            stream.transform(move |rdd, _| Ok(rdd.subtract(table.clone())))
        }
        TransformFn::UnionStatic { table } => {
            let table = ssc.parallelize(table, 1);
            stream.transform(move |rdd, _| Ok(rdd.union(table.clone())))
        }
        TransformFn::WithTime => stream.transform(|rdd, time| {
            let time = Value::Int(time.as_millis());
            Ok(rdd.map(move |x| Value::pair(time.clone(), x)))
        }),
        TransformFn::ZipWithIndex => stream.transform(|rdd, _| {
            let indexed = rdd.zip_with_index();
            Ok(indexed.map(|(x, i)| Value::pair(number(i), x)))
        }),
        TransformFn::SortValues => stream.transform(|rdd, _| Ok(rdd.sort())),
        TransformFn::OnlyEvenBatches { n } => {
            let nothing = no_partitions(ssc);
            stream.transform(move |rdd, time| match time.as_millis() / n % 2 {
                0 => Ok(rdd.boxed()),
                _ => Ok(nothing.clone()),
            })
        }
    }
}

pub(super) fn transform_with<P: Pipe<Out = Value>>(
    a: &DStream<Value, P>,
    b: &DStream<Value>,
    f: &TransformWithFn,
) -> millstream::Result<DStream<Value>> {
    match f {
        TransformWithFn::Subtract => a.transform_with(b, |a, b, _| Ok(a.subtract(b))),
        TransformWithFn::SubtractByKey => a.transform_with(b, |a, b, _| {
            let (a, b) = (a.map(Value::into_pair), b.map(Value::into_pair));
            Ok(a.subtract_by_key(b).map(Value::from))
        }),
        TransformWithFn::Intersection => a.transform_with(b, |a, b, _| Ok(a.intersection(b))),
        TransformWithFn::Cartesian => {
            a.transform_with(b, |a, b, _| Ok(a.cartesian(b).map(Value::from)))
        }
        TransformWithFn::Union => a.transform_with(b, |a, b, _| Ok(a.union(b))),
        TransformWithFn::UnionWithTime => a.transform_with(b, |a, b, time| {
            let time = Value::Int(time.as_millis());
            Ok(a.union(b).map(move |x| Value::pair(time.clone(), x)))
        }),
        TransformWithFn::Join => a.transform_with(b, |a, b, _| {
            let joined = a.map(Value::into_pair).join(b.map(Value::into_pair));
            Ok(joined.map(|(key, both)| Value::pair(key, Value::from(both))))
        }),
    }
}

/// An Rdd without any partition.
pub(super) fn no_partitions(ssc: &StreamingContext) -> Rdd<Value> {
    ssc.text_lines("").map(|_| Value::Null).boxed()
}
