//! Workers that stay alive between the runs.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use perf_lab::Result;
use perf_lab::digest::Digest;
use perf_lab::protocol::{Done, Engine, Words};
use timely::communication::WorkerGuards;
use timely::dataflow::ProbeHandle;
use timely::worker::Worker;

/// One worker's part of a program.
pub(crate) trait Part {
    /// Does this worker's part of what `order` says.
    fn run(&mut self, worker: &mut Worker, order: &Words) -> Result<()>;

    /// This worker's part of the result.
    fn result(&mut self) -> Digest;
}

/// The workers of a program.
pub(crate) struct Cluster {
    orders: Vec<Sender<Words>>,
    /// Whether a worker has done its part.
    done: Receiver<Result<()>>,
    /// The workers' parts of the result.
    results: Receiver<Digest>,
    /// Waits for the workers, which end with the channels of their orders.
    _workers: WorkerGuards<()>,
}

impl Cluster {
    /// Starts the workers that `order` says. Each makes its part of the program by
    /// `make`.
    pub(crate) fn start(
        order: &Words,
        make: impl Fn(&mut Worker) -> Result<Box<dyn Part>> + Send + Sync + 'static,
    ) -> Result<Box<dyn Engine>> {
        let workers = order.number("workers")?;
        let (orders, seats): (Vec<_>, Vec<_>) = (0..workers)
            .map(|_| {
                let (order, orders) = channel();
                (order, Some(orders))
            })
            .unzip();
        let (tell, done) = channel();
        let (tell_result, results) = channel();
        let seats = Arc::new(Mutex::new((seats, tell, tell_result)));
        let guards = timely::execute(timely::Config::process(workers), move |worker| {
            let (orders, done, results) = {
                let mut seats = seats.lock().unwrap_or_else(PoisonError::into_inner);
                (
                    seats.0[worker.index()].take(),
                    seats.1.clone(),
                    seats.2.clone(),
                )
            };
            let part = make(worker);
            let orders = orders.expect("each worker has a seat");
            // It ends when nobody listens any more.
            let _ = serve(worker, part, &orders, &done, &results);
        })?;
        let cluster = Self {
            orders,
            done,
            results,
            _workers: guards,
        };
        cluster.wait()?;
        Ok(Box::new(cluster))
    }

    /// Waits until all workers have done their part.
    fn wait(&self) -> Result<()> {
        self.orders.iter().try_for_each(|_| self.done.recv()?)
    }
}

fn serve(
    worker: &mut Worker,
    part: Result<Box<dyn Part>>,
    orders: &Receiver<Words>,
    done: &Sender<Result<()>>,
    results: &Sender<Digest>,
) -> Result<()> {
    let mut part = match part {
        Ok(part) => part,
        Err(error) => return Ok(done.send(Err(error))?),
    };
    done.send(Ok(()))?;
    for order in orders {
        done.send(part.run(worker, &order))?;
        results.send(part.result())?;
    }
    Ok(())
}

impl Engine for Cluster {
    fn run(&mut self, order: &Words) -> Result<Done> {
        let since = Instant::now();
        for worker in &self.orders {
            worker.send(order.clone())?;
        }
        self.wait()?;
        let time = since.elapsed();
        let mut digest = Digest::default();
        for _ in &self.orders {
            digest += self.results.recv()?;
        }
        Ok(Done {
            time,
            digest,
            ..Done::default()
        })
    }
}

/// Works until everything before `time` is done.
pub(crate) fn finish(worker: &mut Worker, probe: &ProbeHandle<u64>, time: u64) {
    worker.step_or_park_while(None, || probe.less_than(&time));
}
