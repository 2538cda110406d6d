//! Many streams in one context: each has its part of the records, a keyed count and an
//! output of its own.

use std::time::Instant;

use millstream::prelude::*;
use perf_lab::Result;
use perf_lab::digest::Digest;
use perf_lab::protocol::{Done, Engine, Words};

use crate::driver::Driver;
use crate::queue::Shelf;

pub(crate) struct Streams {
    driver: Driver,
    inputs: Vec<(RddQueue<u64>, Rdd<u64>)>,
    digest: Shelf<Digest>,
}

impl Streams {
    pub(crate) fn new(order: &Words) -> Result<Self> {
        let (streams, records) = (order.number("streams")?, order.number::<u64>("batch")?);
        let workers = order.number("workers")?;
        let queues: Vec<RddQueue<u64>> = (0..streams).map(|_| RddQueue::new()).collect();
        let digest = Shelf::default();
        let declare = |ssc: &StreamingContext| {
            for queue in &queues {
                let stream = ssc.queue_stream(queue).expect("not started");
                count(&stream, &digest);
            }
        };
        let driver = Driver::with(|builder| builder.workers(workers), declare);
        let part = |i: usize| {
            let (i, n) = (i as u64, streams as u64);
            driver
                .ssc
                .parallelize(records * i / n..records * (i + 1) / n, 2)
        };
        let inputs = queues.into_iter().enumerate();
        let inputs = inputs.map(|(i, queue)| (queue, part(i))).collect();
        Ok(Self {
            driver,
            inputs,
            digest,
        })
    }
}

fn count(stream: &DStream<u64>, digest: &Shelf<Digest>) {
    let seen = digest.clone();
    stream
        .map(|key| (key, 1_i64))
        .reduce_by_key(|a, b| a + b)
        .foreach_rdd(move |counts, _| {
            let take = |digest: &mut Digest, (key, n)| digest.key(key, n);
            let part = counts.aggregate(Digest::default(), take, |all, part| *all += part)?;
            seen.change(|all| *all += part);
            Ok(())
        });
}

impl Engine for Streams {
    fn run(&mut self, order: &Words) -> Result<Done> {
        self.digest.take();
        let steps: usize = order.number("steps")?;
        let since = Instant::now();
        for _ in 0..steps {
            for (queue, records) in &self.inputs {
                queue.push(records.clone());
            }
            self.driver.batch();
        }
        let time = since.elapsed();
        Ok(Done {
            time,
            digest: self.digest.take(),
            ..Done::default()
        })
    }
}
