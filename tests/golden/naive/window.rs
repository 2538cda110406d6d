//! Windows.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::{Batch, Naive, Table, by_key, fail};
use crate::case::{Failure, Phase};
use crate::program::{FilterFn, InverseFn, Op, ReduceFn, Step};
use crate::value::Value;

/// Whether Spark makes a window from the one before.
pub(super) fn is_incremental(op: &Op) -> bool {
    match op {
        Op::CountByWindow { .. } | Op::CountByValueAndWindow { .. } => true,
        Op::ReduceByWindow { inverse, .. } | Op::ReduceByKeyAndWindow { inverse, .. } => {
            inverse.is_some()
        }
        _ => false,
    }
}

impl Naive<'_> {
    pub(super) fn window(
        &mut self,
        step: &Step,
        stream: usize,
        time: i64,
    ) -> Result<Batch, Failure> {
        if is_incremental(&step.op) && !self.rules.plain_windows {
            return self.incremental_window(step, stream, time);
        }
        let (length, _) = step.op.window().expect("it is a window");
        let batches = self.between(step.inputs[0], time - length, time)?;
        let partitions: Batch = batches
            .iter()
            .flat_map(|batch| batch.iter().cloned())
            .collect();
        let records = partitions.concat();
        let keyed =
            |records: Vec<Value>| by_key(records.into_iter().map(Value::into_pair)).into_iter();
        Ok(match &step.op {
            Op::Window { .. } => partitions,
            Op::CountByWindow { .. } => vec![vec![Value::Int(records.len() as i64)]],
            Op::ReduceByWindow { reduce, .. } => vec![reduce.fold(records).into_iter().collect()],
            Op::GroupByKeyAndWindow { .. } => {
                let groups =
                    keyed(records).map(|(key, values)| Value::pair(key, Value::sorted(values)));
                vec![groups.collect()]
            }
            Op::ReduceByKeyAndWindow { reduce, filter, .. } => {
                let reduced =
                    keyed(records).filter_map(|(key, values)| Some((key, reduce.fold(values)?)));
                let kept = reduced.filter(|(key, value)| {
                    filter
                        .as_ref()
                        .is_none_or(|filter| filter.keeps_pair(key, value))
                });
                vec![kept.map(Value::from).collect()]
            }
            Op::CountByValueAndWindow { .. } => {
                let ones = by_key(records.into_iter().map(|x| (x, Value::Null))).into_iter();
                vec![
                    ones.map(|(x, ones)| Value::pair(x, Value::Int(ones.len() as i64)))
                        .collect(),
                ]
            }
            other => unreachable!("{other:?} is no window"),
        })
    }

    /// As Spark does it. Without keys all values have one.
    fn incremental_window(
        &mut self,
        step: &Step,
        stream: usize,
        time: i64,
    ) -> Result<Batch, Failure> {
        let table = self.incremental(step, stream, time)?;
        let records = table.iter().map(|(key, (value, _))| match step.op {
            Op::CountByWindow { .. } | Op::ReduceByWindow { .. } => value.clone(),
            _ => Value::pair(key.clone(), value.clone()),
        });
        Ok(vec![records.collect()])
    }

    fn incremental(&mut self, step: &Step, stream: usize, time: i64) -> Result<Rc<Table>, Failure> {
        if let Some(table) = self.tables.get(&(stream, time)) {
            return Ok(Rc::clone(table));
        }
        let (length, _) = step.op.window().expect("it is a window");
        let (parent, slide) = (step.inputs[0], self.slides[stream]);
        let (reduce, inverse, filter) = parts(&step.op);
        let mut reduced = Vec::new();
        for until in [time - length, time] {
            let batches = self.between(parent, until - slide, until)?;
            let records = batches.iter().flat_map(|batch| batch.concat());
            let keys = by_key(records.map(|x| entry(&step.op, x))).into_iter();
            reduced.push(
                keys.filter_map(|(key, values)| Some((key, reduce.fold(values)?)))
                    .collect(),
            );
        }
        let [leaving, entering]: [std::collections::BTreeMap<Value, Value>; 2] =
            reduced.try_into().expect("there are two");
        let previous = match time - slide {
            0 => Rc::default(),
            before => self.incremental(step, stream, before)?,
        };
        let keys = previous.keys().chain(leaving.keys()).chain(entering.keys());
        let mut table = Table::new();
        for key in keys.collect::<BTreeSet<_>>() {
            let value = match (previous.get(key), entering.get(key)) {
                (Some((value, _)), entering) => {
                    let kept = match leaving.get(key) {
                        Some(leaving) => inverse.apply(value, leaving),
                        None => value.clone(),
                    };
                    match entering {
                        Some(entering) => reduce.apply(kept, entering.clone()),
                        None => kept,
                    }
                }
                (None, Some(entering)) => entering.clone(),
                (None, None) => {
                    return fail(Phase::Run, format!("{key} leaves and was not there"));
                }
            };
            if filter
                .as_ref()
                .is_none_or(|filter| filter.keeps_pair(key, &value))
            {
                table.insert(key.clone(), (value, time));
            }
        }
        let table = Rc::new(table);
        self.tables.insert((stream, time), Rc::clone(&table));
        Ok(table)
    }
}

fn parts(op: &Op) -> (ReduceFn, InverseFn, Option<FilterFn>) {
    match op {
        Op::ReduceByWindow {
            reduce,
            inverse: Some(inverse),
            ..
        } => (reduce.clone(), inverse.clone(), None),
        Op::ReduceByKeyAndWindow {
            reduce,
            inverse: Some(inverse),
            filter,
            ..
        } => (reduce.clone(), inverse.clone(), filter.clone()),
        Op::CountByWindow { .. } => (ReduceFn::Sum, InverseFn::Sub, None),
        Op::CountByValueAndWindow { .. } => (
            ReduceFn::Sum,
            InverseFn::Sub,
            Some(FilterFn::ValueNe { n: 0 }),
        ),
        other => unreachable!("{other:?} has no inverse"),
    }
}

/// Key and value that a record counts as.
fn entry(op: &Op, record: Value) -> (Value, Value) {
    match op {
        Op::ReduceByWindow { .. } => (Value::Null, record),
        Op::CountByWindow { .. } => (Value::Null, 1.into()),
        Op::CountByValueAndWindow { .. } => (record, 1.into()),
        _ => record.into_pair(),
    }
}
