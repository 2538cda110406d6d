//! Operations on one batch.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::{Batch, by_key, pairs};
use crate::program::{Op, Step, TransformFn, TransformWithFn};
use crate::value::Value;

/// What a step gives for the batches of its parents.
pub(super) fn compute(step: &Step, parents: &[Rc<Batch>], time: i64) -> Batch {
    let batch = &*parents[0];
    // Where the records go to is not defined, how many partitions there are is.
    let shuffled = |records: Vec<Value>| {
        let mut partitions = vec![records];
        partitions.resize(step.num_partitions.unwrap_or(2), Vec::new());
        partitions
    };
    let records = || batch.iter().flatten().cloned();
    let keyed = || by_key(pairs(batch)).into_iter();
    match &step.op {
        Op::Map { f } => narrow(batch, |x| vec![f.apply(x)]),
        Op::FlatMap { f } => narrow(batch, |x| f.apply(&x)),
        Op::Filter { f } => narrow(batch, |x| if f.keeps(&x) { vec![x] } else { Vec::new() }),
        Op::MapValues { f } => narrow(batch, |x| {
            let (key, value) = x.into_pair();
            vec![Value::pair(key, f.apply(value))]
        }),
        Op::FlatMapValues { f } => narrow(batch, |x| {
            let (key, value) = x.into_pair();
            let values = f.apply(&value).into_iter();
            values
                .map(|value| Value::pair(key.clone(), value))
                .collect()
        }),
        Op::Glom {} => batch
            .iter()
            .map(|part| vec![Value::list(part.iter().cloned())])
            .collect(),
        Op::MapPartitions { f } => batch
            .iter()
            .map(|part| f.apply(part.iter().cloned()))
            .collect(),
        Op::Repartition {} => shuffled(records().collect()),
        Op::Union {} => parents
            .iter()
            .flat_map(|parent| parent.iter().cloned())
            .collect(),
        Op::Count {} => vec![vec![Value::Int(records().count() as i64)]],
        Op::Reduce { reduce } => vec![reduce.fold(records()).into_iter().collect()],
        Op::CountByValue {} => {
            let ones = by_key(records().map(|x| (x, Value::Null))).into_iter();
            shuffled(
                ones.map(|(x, ones)| Value::pair(x, Value::Int(ones.len() as i64)))
                    .collect(),
            )
        }
        Op::GroupByKey {} => shuffled(
            keyed()
                .map(|(key, values)| Value::pair(key, Value::sorted(values)))
                .collect(),
        ),
        Op::ReduceByKey { reduce } => shuffled(
            keyed()
                .filter_map(|(key, values)| Some(Value::pair(key, reduce.fold(values)?)))
                .collect(),
        ),
        Op::CombineByKey { combiner } => {
            let combined = keyed().filter_map(|(key, values)| {
                let all = values.into_iter().map(|value| combiner.create(value));
                let all = all.reduce(|a, b| combiner.merge(a, b))?;
                Some(Value::pair(key, combiner.finish(all)))
            });
            shuffled(combined.collect())
        }
        Op::Join {} => shuffled(join(batch, &parents[1], false, false)),
        Op::LeftOuterJoin {} => shuffled(join(batch, &parents[1], true, false)),
        Op::RightOuterJoin {} => shuffled(join(batch, &parents[1], false, true)),
        Op::FullOuterJoin {} => shuffled(join(batch, &parents[1], true, true)),
        Op::Cogroup {} => shuffled(
            cogroup(batch, &parents[1])
                .into_iter()
                .map(|(key, a, b)| {
                    Value::pair(key, Value::pair(Value::sorted(a), Value::sorted(b)))
                })
                .collect(),
        ),
        Op::Transform { f } => transform(f, batch, time),
        Op::TransformWith { f } => transform_with(f, batch, &parents[1], time),
        other => unreachable!("{other:?} is not stateless"),
    }
}

fn narrow(batch: &Batch, f: impl Fn(Value) -> Vec<Value>) -> Batch {
    let partition = |part: &Vec<Value>| part.iter().cloned().flat_map(&f).collect();
    batch.iter().map(partition).collect()
}

/// The values of each key on both sides.
fn cogroup(a: &Batch, b: &Batch) -> Vec<(Value, Vec<Value>, Vec<Value>)> {
    let (mut a, mut b) = (by_key(pairs(a)), by_key(pairs(b)));
    let keys: BTreeSet<_> = a.keys().chain(b.keys()).cloned().collect();
    keys.into_iter()
        .map(|key| {
            let (a, b) = (a.remove(&key), b.remove(&key));
            (key, a.unwrap_or_default(), b.unwrap_or_default())
        })
        .collect()
}

/// All pairs of values of a key; `left` and `right` also those that are alone on
/// that side.
fn join(a: &Batch, b: &Batch, left: bool, right: bool) -> Vec<Value> {
    let mut joined = Vec::new();
    for (key, mut a, mut b) in cogroup(a, b) {
        if left && b.is_empty() {
            b.push(Value::Null);
        }
        if right && a.is_empty() {
            a.push(Value::Null);
        }
        for a in &a {
            for b in &b {
                joined.push(Value::pair(key.clone(), Value::pair(a.clone(), b.clone())));
            }
        }
    }
    joined
}

fn transform(f: &TransformFn, batch: &Batch, time: i64) -> Batch {
    let all = || batch.concat();
    let table = |table: &[(Value, Value)]| vec![table.iter().cloned().map(Value::from).collect()];
    match f {
        TransformFn::Distinct => vec![
            all()
                .into_iter()
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
        ],
        TransformFn::Top { n } => {
            let mut records = all();
            records.sort_by(|a, b| b.cmp(a));
            records.truncate(*n);
            vec![records]
        }
        TransformFn::JoinStatic { table: pairs } => vec![join(batch, &table(pairs), false, false)],
        TransformFn::LeftJoinStatic { table: pairs } => {
            vec![join(batch, &table(pairs), true, false)]
        }
        TransformFn::SubtractStatic { table } => narrow(batch, |x| {
            if table.contains(&x) {
                Vec::new()
            } else {
                vec![x]
            }
        }),
        TransformFn::UnionStatic { table } => batch.iter().chain([table]).cloned().collect(),
        TransformFn::WithTime => narrow(batch, |x| vec![Value::pair(time.into(), x)]),
        TransformFn::ZipWithIndex => {
            let indexed = (0..).zip(all());
            vec![
                indexed
                    .map(|(i, x)| Value::pair(Value::Int(i), x))
                    .collect(),
            ]
        }
        TransformFn::SortValues => {
            let mut records = all();
            records.sort();
            vec![records]
        }
        TransformFn::OnlyEvenBatches { n } if time / n % 2 == 0 => batch.clone(),
        TransformFn::OnlyEvenBatches { .. } => Vec::new(),
    }
}

fn transform_with(f: &TransformWithFn, a: &Batch, b: &Batch, time: i64) -> Batch {
    let union = || a.iter().chain(b).cloned().collect();
    match f {
        TransformWithFn::Subtract => {
            let b = b.concat();
            narrow(a, |x| if b.contains(&x) { Vec::new() } else { vec![x] })
        }
        TransformWithFn::SubtractByKey => {
            let b = by_key(pairs(b));
            narrow(a, |x| {
                if b.contains_key(x.as_pair().0) {
                    Vec::new()
                } else {
                    vec![x]
                }
            })
        }
        TransformWithFn::Intersection => {
            let [a, b] = [a, b].map(|side| side.concat().into_iter().collect::<BTreeSet<_>>());
            vec![a.intersection(&b).cloned().collect()]
        }
        TransformWithFn::Cartesian => {
            let b = b.concat();
            narrow(a, |x| {
                b.iter()
                    .map(|y| Value::pair(x.clone(), y.clone()))
                    .collect()
            })
        }
        TransformWithFn::Union => union(),
        TransformWithFn::UnionWithTime => narrow(&union(), |x| vec![Value::pair(time.into(), x)]),
        TransformWithFn::Join => vec![join(a, b, false, false)],
    }
}
