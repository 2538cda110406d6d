//! Workers that stay alive between the runs.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use perf_lab::Result;
use perf_lab::digest::Digest;
use perf_lab::protocol::{Done, Engine, Words};
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
    /// Whether a worker has done its part, and then its part of the result.
    answers: Receiver<Result<Option<Digest>>>,
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
        let (answer, answers) = channel();
        let seats = Arc::new(Mutex::new((seats, answer)));
        let guards = timely::execute(timely::Config::process(workers), move |worker| {
            let (orders, answer) = {
                let mut seats = seats.lock().unwrap_or_else(PoisonError::into_inner);
                (seats.0[worker.index()].take(), seats.1.clone())
            };
            let part = make(worker);
            let orders = orders.expect("each worker has a seat");
            serve(worker, part, &orders, &answer);
        })?;
        // The workers end with the channel of their orders.
        std::mem::forget(guards);
        let mut cluster = Self { orders, answers };
        cluster.collect()?;
        Ok(Box::new(cluster))
    }

    /// An answer of each worker.
    fn collect(&mut self) -> Result<Digest> {
        let mut all = Digest::default();
        for _ in &self.orders {
            all += self.answers.recv()??.unwrap_or_default();
        }
        Ok(all)
    }
}

fn serve(
    worker: &mut Worker,
    part: Result<Box<dyn Part>>,
    orders: &Receiver<Words>,
    answer: &Sender<Result<Option<Digest>>>,
) {
    let tell = |what| answer.send(what).is_ok();
    let mut part = match part {
        Ok(part) => part,
        Err(error) => {
            tell(Err(error));
            return;
        }
    };
    tell(Ok(None));
    while let Ok(order) = orders.recv() {
        let done = part.run(worker, &order);
        let heard = tell(done.map(|()| None)) && tell(Ok(Some(part.result())));
        if !heard {
            break;
        }
    }
}

impl Engine for Cluster {
    fn run(&mut self, order: &Words) -> Result<Done> {
        let since = Instant::now();
        for worker in &self.orders {
            worker.send(order.clone())?;
        }
        self.collect()?;
        let time = since.elapsed();
        Ok(Done {
            time,
            digest: self.collect()?,
            ..Done::default()
        })
    }
}

/// Works until everything before `time` is done.
pub(crate) fn finish(worker: &mut Worker, probe: &ProbeHandle<u64>, time: u64) {
    worker.step_or_park_while(None, || probe.less_than(&time));
}
