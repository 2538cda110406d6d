//! W3: a sliding sum by key. A worker has the sums of its keys, and what each batch
//! added to them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use perf_lab::Result;
use perf_lab::digest::Digest;
use perf_lab::input::{Pairs, Values, batches};
use perf_lab::protocol::{Engine, Words};
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Operator as _;
use timely::dataflow::operators::Probe as _;
use timely::dataflow::{InputHandleVec, ProbeHandle};

use crate::Map;
use crate::cluster::Cluster;
use crate::counts::place;
use crate::epochs::Epochs;
use crate::state::{Feed, share};

/// The sums of one worker's keys, with the number of batches that each is in.
#[derive(Default)]
struct Sums {
    sums: Map<u64, (i64, u32)>,
    panes: VecDeque<Pairs>,
}

impl Sums {
    /// A batch enters, and one leaves if the window is full.
    fn slide(&mut self, batch: Map<u64, i64>, length: usize) {
        if self.panes.len() == length {
            for (key, value) in self.panes.pop_front().unwrap_or_default() {
                if let hashbrown::hash_map::Entry::Occupied(mut entry) = self.sums.entry(key) {
                    let (sum, batches) = entry.get_mut();
                    *sum -= value;
                    *batches -= 1;
                    if *batches == 0 {
                        entry.remove();
                    }
                }
            }
        }
        let pane: Pairs = batch.into_iter().collect();
        for &(key, value) in &pane {
            let (sum, batches) = self.sums.entry(key).or_default();
            *sum += value;
            *batches += 1;
        }
        self.panes.push_back(pane);
    }
}

pub(crate) fn window(order: &Words) -> Result<Box<dyn Engine>> {
    let batches = batches(order, Values::Ones)?;
    let (length, workers) = (order.number("window")?, order.number("workers")?);
    Cluster::start(order, move |worker| {
        let mut input = InputHandleVec::new();
        let probe = ProbeHandle::new();
        let sums: Rc<RefCell<Sums>> = Rc::default();
        let table = Rc::clone(&sums);
        worker.dataflow::<u64, _, _>(|scope| {
            input
                .to_stream(scope)
                .unary_frontier(
                    Exchange::new(|pair: &(u64, i64)| place(&pair.0)),
                    "window",
                    |_, _| {
                        let mut epochs = Epochs::<Map<u64, i64>>::new();
                        move |(input, frontier), output| {
                            input.for_each_stamp(|stamp, data| {
                                let Some(time) = stamp.retain_least(output.output_index()) else {
                                    return;
                                };
                                let batch = epochs.at(time);
                                for (key, value) in data.flat_map(|data| data.drain(..)) {
                                    *batch.entry(key).or_default() += value;
                                }
                            });
                            for (time, batch) in epochs.over(frontier) {
                                sums.borrow_mut().slide(batch, length);
                                output.session(&time).give(());
                            }
                        }
                    },
                )
                .container::<Vec<()>>()
                .probe_with(&probe);
        });
        let share = share(&batches, worker.index(), workers);
        let result = move || {
            let mut digest = Digest::default();
            let table = table.borrow();
            table
                .sums
                .iter()
                .for_each(|(&key, &(sum, _))| digest.key(key, sum));
            digest
        };
        Ok(Box::new(Feed::new(share, input, probe, result)))
    })
}
