//! W2: the word count over a socket. The first worker receives, and gives the lines as
//! strings of their own.

use std::cell::RefCell;
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use perf_lab::Result;
use perf_lab::digest::Digest;
use perf_lab::protocol::{Engine, Words};
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Operator as _;
use timely::dataflow::operators::vec::Map as _;
use timely::dataflow::{InputHandleVec, ProbeHandle, StreamVec};
use timely::worker::Worker;

use crate::Map;
use crate::cluster::{Cluster, Part, finish};
use crate::counts::count;
use crate::epochs::Epochs;
use crate::word_count::{for_each_word, words};
use crate::yardstick;

type Lines<'s> = StreamVec<'s, u64, String>;
type Counts<'s> = StreamVec<'s, u64, (String, u64)>;

struct Live {
    interval: Duration,
    /// Of the first worker only.
    input: Option<InputHandleVec<u64, String>>,
    probe: ProbeHandle<u64>,
    /// Runs that have ended, told by the first worker.
    ended: Arc<AtomicU64>,
    runs: u64,
    digest: Rc<RefCell<Digest>>,
}

/// Each word is a message of its own, made by the worker that receives the lines.
pub(crate) fn idiomatic(order: &Words) -> Result<Box<dyn Engine>> {
    start(order, |lines| {
        lines.flat_map(|line| words(&line).collect::<Vec<_>>())
    })
}

/// Lines go to the workers in turn, which count their words and send those counts.
pub(crate) fn best(order: &Words) -> Result<Box<dyn Engine>> {
    start(order, count_here)
}

fn start(
    order: &Words,
    split: impl for<'s> Fn(Lines<'s>) -> Counts<'s> + Send + Sync + 'static,
) -> Result<Box<dyn Engine>> {
    let interval = Duration::from_micros(order.number("interval_us")?);
    let ended = Arc::default();
    Cluster::start(order, move |worker| {
        let mut input = InputHandleVec::new();
        let (probe, digest) = (ProbeHandle::new(), Rc::default());
        worker.dataflow::<u64, _, _>(|scope| {
            let counts = split(input.to_stream(scope));
            count(counts, &probe, &digest, |digest, word, n| {
                digest.word(word.as_bytes(), n);
                // How often words came, not how many words.
                digest.count += n - 1;
            });
        });
        Ok(Box::new(Live {
            interval,
            input: (worker.index() == 0).then_some(input),
            probe,
            ended: Arc::clone(&ended),
            runs: 0,
            digest,
        }))
    })
}

fn count_here(lines: Lines<'_>) -> Counts<'_> {
    let mut turn = 0;
    let in_turn = Exchange::new(move |_: &String| {
        turn += 1;
        turn
    });
    lines
        .unary_frontier(in_turn, "count here", |_, _| {
            let mut epochs = Epochs::<Map<String, u64>>::new();
            move |(input, frontier), output| {
                input.for_each_stamp(|stamp, data| {
                    let Some(time) = stamp.retain_least(output.output_index()) else {
                        return;
                    };
                    let counts = epochs.at(time);
                    for line in data.flat_map(|data| data.drain(..)) {
                        for_each_word(&line, |word| *counts.entry_ref(word).or_default() += 1);
                    }
                });
                for (time, counts) in epochs.over(frontier) {
                    output.session(&time).give_iterator(counts.into_iter());
                }
            }
        })
        .container::<Vec<_>>()
}

impl Part for Live {
    fn run(&mut self, worker: &mut Worker, order: &Words) -> Result<()> {
        self.digest.take();
        self.runs += 1;
        let Some(input) = &mut self.input else {
            while self.ended.load(Ordering::Acquire) < self.runs {
                worker.step_or_park(Some(Duration::from_millis(1)));
            }
            return Ok(());
        };
        let stream = TcpStream::connect(("127.0.0.1", order.number("port")?))?;
        let probe = &self.probe;
        yardstick::batches(stream, self.interval, |batch| {
            let text = String::from_utf8_lossy(batch);
            for (i, line) in text.lines().enumerate() {
                input.send(line.to_owned());
                if i % 1_000 == 999 {
                    worker.step();
                }
            }
            let next = input.time() + 1;
            input.advance_to(next);
            input.flush();
            finish(worker, probe, next);
        });
        self.ended.store(self.runs, Ordering::Release);
        Ok(())
    }

    fn result(&mut self) -> Digest {
        *self.digest.borrow()
    }
}
