//! W4: a running sum by key. Either the whole state is the result, or the new sum of
//! each record's key.

use std::hint::black_box;

use millstream::prelude::*;
use perf_lab::Result;
use perf_lab::input::{Values, zeros};
use perf_lab::protocol::{Done, Engine, Words};

use crate::queue::{Queued, Table};
use crate::window::batches;

pub(crate) struct State {
    queued: Queued<(u64, i64)>,
    table: Table<u64, i64>,
}

impl State {
    pub(crate) fn new(order: &Words) -> Result<Self> {
        let keys = order.number("keys")?;
        let table = Table::new();
        let declare: fn(&DStream<(u64, i64)>, &Table<u64, i64>) = match order.text("emit")? {
            "state" => all,
            "touched" => touched,
            other => return Err(format!("emit={other} is neither state nor touched").into()),
        };
        let mut queued = Queued::start(
            order,
            |pairs| declare(&pairs, &table),
            |ssc| batches(ssc, order, Values::ByPlace),
        )?;
        queued.first(|ssc| ssc.parallelize(zeros(keys), 2));
        Ok(Self { queued, table })
    }
}

/// Adds a value to the sum of its key.
fn add(value: Option<i64>, state: &mut millstream::State<'_, i64>) -> i64 {
    let sum = state.get_option().copied().unwrap_or_default() + value.unwrap_or_default();
    state.update(sum);
    sum
}

fn all(pairs: &DStream<(u64, i64)>, table: &Table<u64, i64>) {
    let spec =
        StateSpec::function_with_time(|_, _, value, state: &mut millstream::State<'_, i64>| {
            add(value, state);
            None::<()>
        });
    table.watch(&pairs.map_with_state(spec).state_snapshots());
}

fn touched(pairs: &DStream<(u64, i64)>, table: &Table<u64, i64>) {
    let spec = StateSpec::function(|key, value, state: &mut millstream::State<'_, i64>| {
        (key, add(value, state))
    });
    let sums = pairs.map_with_state(spec);
    table.watch(&sums.state_snapshots());
    sums.foreach_rdd(|sums, _| {
        let total = sums.map(|(_, sum): (u64, i64)| sum).reduce(|a, b| a + b)?;
        black_box(total);
        Ok(())
    });
}

impl Engine for State {
    fn run(&mut self, order: &Words) -> Result<Done> {
        let table = &self.table;
        let digest = || table.digest(|digest, (key, sum)| digest.key(key, sum));
        self.queued.run(order, || table.want(), digest)
    }
}
