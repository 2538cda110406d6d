//! differential-dataflow as an engine, for W3: a record is there from its batch on, and
//! taken back when the window has moved past it; the counts by key follow.

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

use differential_dataflow::input::{Input, InputSession};
use differential_dataflow::operators::CountTotal as _;
use perf_lab::Result;
use perf_lab::digest::{Digest, mix};
use perf_lab::input::{Pairs, Values, batches};
use perf_lab::protocol::{Engine, Words, serve};
use timely::dataflow::ProbeHandle;
use timely::worker::Worker;

#[path = "../timely/cluster.rs"]
mod cluster;

use cluster::{Cluster, Part, finish};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    serve("0.26", prepare)
}

struct Window {
    /// This worker's share of each batch.
    batches: Vec<Vec<u64>>,
    length: usize,
    input: InputSession<u64, u64, isize>,
    probe: ProbeHandle<u64>,
    digest: Rc<RefCell<Digest>>,
}

fn prepare(order: &Words) -> Result<Box<dyn Engine>> {
    if order.text("program")? != "window" {
        return Err("only windows are written for differential".into());
    }
    let batches = batches(order, Values::Ones)?;
    let (length, workers) = (order.number("window")?, order.number("workers")?);
    Cluster::start(order, move |worker| {
        let probe = ProbeHandle::new();
        let digest: Rc<RefCell<Digest>> = Rc::default();
        let seen = Rc::clone(&digest);
        let input = worker.dataflow::<u64, _, _>(|scope| {
            let (input, keys) = scope.new_collection::<u64, isize>();
            keys.count_total()
                .inspect(move |((key, count), _, change)| {
                    // A count that is no more is taken back.
                    let mut digest = seen.borrow_mut();
                    digest.count = digest.count.wrapping_add_signed(*change as i64);
                    let sum = mix(*key).wrapping_mul((count * change) as u64);
                    digest.sum = digest.sum.wrapping_add(sum);
                })
                .probe_with(&probe);
            input
        });
        Ok(Box::new(Window {
            batches: shares(&batches, worker.index(), workers),
            length,
            input,
            probe,
            digest,
        }))
    })
}

fn shares(batches: &[Pairs], which: usize, of: usize) -> Vec<Vec<u64>> {
    let share = |batch: &Pairs| {
        let keys = batch[batch.len() * which / of..batch.len() * (which + 1) / of].iter();
        keys.map(|pair| pair.0).collect()
    };
    batches.iter().map(share).collect()
}

impl Part for Window {
    fn run(&mut self, worker: &mut Worker, order: &Words) -> Result<()> {
        for _ in 0..order.number::<usize>("steps")? {
            let now = *self.input.time();
            let batch = |at: u64| &self.batches[at as usize % self.batches.len()];
            for &key in batch(now) {
                self.input.insert(key);
            }
            if let Some(old) = now.checked_sub(self.length as u64) {
                for &key in batch(old) {
                    self.input.remove(key);
                }
            }
            self.input.advance_to(now + 1);
            self.input.flush();
            finish(worker, &self.probe, now + 1);
        }
        Ok(())
    }

    fn result(&mut self) -> Digest {
        *self.digest.borrow()
    }
}
