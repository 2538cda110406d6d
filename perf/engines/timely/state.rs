//! W4: a running sum by key, and what the keyed programs share.

use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;

use perf_lab::Result;
use perf_lab::digest::Digest;
use perf_lab::input::{Pairs, Values, batches, zeros};
use perf_lab::protocol::{Engine, Words};
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Operator as _;
use timely::dataflow::operators::Probe as _;
use timely::dataflow::{InputHandleVec, ProbeHandle};
use timely::worker::Worker;

use crate::Map;
use crate::cluster::{Cluster, Part, finish};
use crate::counts::place;

/// Pairs that are given before the worker works on them.
const PORTION: usize = 10_000;

/// Each worker's part of some batches.
pub(crate) fn share(batches: &[Pairs], which: usize, of: usize) -> Vec<Pairs> {
    let share = |batch: &Pairs| {
        let len = batch.len();
        batch[len * which / of..len * (which + 1) / of].to_vec()
    };
    batches.iter().map(share).collect()
}

/// Feeds batches that come again and again.
pub(crate) struct Feed<R> {
    batches: Vec<Pairs>,
    next: usize,
    input: InputHandleVec<u64, (u64, i64)>,
    probe: ProbeHandle<u64>,
    result: R,
}

impl<R: FnMut() -> Digest> Feed<R> {
    pub(crate) fn new(
        batches: Vec<Pairs>,
        input: InputHandleVec<u64, (u64, i64)>,
        probe: ProbeHandle<u64>,
        result: R,
    ) -> Self {
        Self {
            batches,
            next: 0,
            input,
            probe,
            result,
        }
    }

    fn batch(&mut self, worker: &mut Worker, pairs: &Pairs) {
        for portion in pairs.chunks(PORTION) {
            portion.iter().for_each(|&pair| self.input.send(pair));
            worker.step();
        }
        let next = self.input.time() + 1;
        self.input.advance_to(next);
        self.input.flush();
        finish(worker, &self.probe, next);
    }
}

impl<R: FnMut() -> Digest> Part for Feed<R> {
    fn run(&mut self, worker: &mut Worker, order: &Words) -> Result<()> {
        for _ in 0..order.number::<usize>("steps")? {
            let pairs = std::mem::take(&mut self.batches[self.next]);
            self.batch(worker, &pairs);
            self.batches[self.next] = pairs;
            self.next = (self.next + 1) % self.batches.len();
        }
        Ok(())
    }

    fn result(&mut self) -> Digest {
        (self.result)()
    }
}

pub(crate) fn state(order: &Words) -> Result<Box<dyn Engine>> {
    let batches = batches(order, Values::ByPlace)?;
    let (keys, workers) = (order.number("keys")?, order.number("workers")?);
    let touched = order.text("emit")? == "touched";
    Cluster::start(order, move |worker| {
        let mut input = InputHandleVec::new();
        let probe = ProbeHandle::new();
        let sums: Rc<RefCell<Map<u64, i64>>> = Rc::default();
        let table = Rc::clone(&sums);
        worker.dataflow::<u64, _, _>(|scope| {
            input
                .to_stream(scope)
                .unary(
                    Exchange::new(|pair: &(u64, i64)| place(&pair.0)),
                    "add",
                    |_, _| {
                        move |input, output| {
                            input.for_each_stamp(|stamp, data| {
                                let mut sums = sums.borrow_mut();
                                let mut session = output.session(&stamp);
                                for (key, value) in data.flat_map(|data| data.drain(..)) {
                                    let sum = sums.entry(key).or_default();
                                    *sum += value;
                                    if touched {
                                        session.give((key, *sum));
                                    }
                                }
                            });
                        }
                    },
                )
                .container::<Vec<(u64, i64)>>()
                .unary(Pipeline, "emit", |_, _| {
                    move |input, output| {
                        input.for_each_stamp(|stamp, data| {
                            let sums = data.flat_map(|data| data.drain(..)).map(|pair| pair.1);
                            black_box(sums.sum::<i64>());
                            output
                                .session(&stamp)
                                .give_iterator(std::iter::empty::<()>());
                        });
                    }
                })
                .container::<Vec<()>>()
                .probe_with(&probe);
        });
        let share = share(&batches, worker.index(), workers);
        let result = move || {
            let mut digest = Digest::default();
            table
                .borrow()
                .iter()
                .for_each(|(&key, &sum)| digest.key(key, sum));
            digest
        };
        let mut feed = Feed::new(share, input, probe, result);
        let zeros = self::share(&[zeros(keys)], worker.index(), workers);
        feed.batch(worker, &zeros[0]);
        Ok(Box::new(feed))
    })
}
