//! W3: a sliding sum by key. The whole result is there after each slide.

use millstream::prelude::*;
use perf_lab::input::Values;
use perf_lab::protocol::{Done, Engine, Words};
use perf_lab::{Result, input};

use crate::queue::{Queued, Table};

pub(crate) struct Window {
    queued: Queued<(u64, i64)>,
    table: Table<u64, i64>,
}

impl Window {
    pub(crate) fn new(order: &Words) -> Result<Self> {
        let window: u32 = order.number("window")?;
        let table = Table::new();
        let declare = |pairs: DStream<(u64, i64)>| {
            let interval = pairs.slide_interval();
            let sums = pairs
                .reduce_by_key_and_window_inverse(
                    |a, b| a + b,
                    |a, b| a - b,
                    interval * window,
                    interval,
                )
                .expect("a right window");
            table.watch(&sums);
        };
        let load = |ssc: &StreamingContext| batches(ssc, order, Values::Ones);
        let queued = Queued::start(order, declare, load)?;
        Ok(Self { queued, table })
    }
}

/// The batches of `order`, in two partitions for each worker.
pub(crate) fn batches(
    ssc: &StreamingContext,
    order: &Words,
    values: Values,
) -> Result<Vec<Rdd<(u64, i64)>>> {
    let parts = 2 * order.number::<usize>("workers")?;
    let batches = input::batches(order, values)?.into_iter();
    Ok(batches.map(|pairs| ssc.parallelize(pairs, parts)).collect())
}

impl Engine for Window {
    fn run(&mut self, order: &Words) -> Result<Done> {
        let table = &self.table;
        let digest = || table.digest(|digest, (key, sum)| digest.key(key, sum));
        self.queued.run(order, || table.want(), digest)
    }
}
