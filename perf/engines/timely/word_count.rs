//! W1: the word count, over lines that stand in memory.

use std::cell::RefCell;
use std::rc::Rc;

use perf_lab::digest::Digest;
use perf_lab::protocol::{Engine, Words};
use perf_lab::{Result, input};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Operator as _;
use timely::dataflow::operators::vec::Map as _;
use timely::dataflow::{InputHandleVec, ProbeHandle, StreamVec};
use timely::worker::Worker;

use crate::Map;
use crate::cluster::{Cluster, Part, finish};
use crate::counts::count;
use crate::epochs::Epochs;

/// Lines that are given before the worker works on them.
const PORTION: usize = 1_000;

type Lines<'s> = StreamVec<'s, u64, &'static str>;
type Counts<'s> = StreamVec<'s, u64, (String, u64)>;

/// Each word is a message of its own.
pub(crate) fn idiomatic(order: &Words) -> Result<Box<dyn Engine>> {
    start(order, |lines| lines.flat_map(words))
}

/// The words of a line as messages.
pub(crate) fn words(line: &str) -> impl Iterator<Item = (String, u64)> {
    line.split(' ').map(|word| (word.to_owned(), 1))
}

/// Each worker counts the words of its lines, and sends those counts.
pub(crate) fn best(order: &Words) -> Result<Box<dyn Engine>> {
    start(order, |lines| {
        lines
            .unary_frontier(Pipeline, "count here", |_, _| {
                let mut epochs = Epochs::<Map<&'static str, u64>>::new();
                move |(input, frontier), output| {
                    input.for_each_stamp(|stamp, data| {
                        let Some(time) = stamp.retain_least(output.output_index()) else {
                            return;
                        };
                        let counts = epochs.at(time);
                        for line in data.flat_map(|data| data.drain(..)) {
                            for_each_word(line, |word| *counts.entry(word).or_default() += 1);
                        }
                    });
                    for (time, counts) in epochs.over(frontier) {
                        let owned = counts.into_iter().map(|(word, n)| (word.to_owned(), n));
                        output.session(&time).give_iterator(owned);
                    }
                }
            })
            .container::<Vec<_>>()
    })
}

/// Calls `f` with each word of a line.
pub(crate) fn for_each_word<'t>(line: &'t str, mut f: impl FnMut(&'t str)) {
    let mut start = 0;
    for end in memchr::memchr_iter(b' ', line.as_bytes()) {
        f(&line[start..end]);
        start = end + 1;
    }
    f(&line[start..]);
}

fn start(
    order: &Words,
    split: impl for<'s> Fn(Lines<'s>) -> Counts<'s> + Send + Sync + 'static,
) -> Result<Box<dyn Engine>> {
    let text: &'static [u8] = input::text(order)?.leak();
    let text = std::str::from_utf8(text)?;
    let workers = order.number("workers")?;
    Cluster::start(order, move |worker| {
        let mut input = InputHandleVec::new();
        let (probe, digest) = (ProbeHandle::new(), Rc::default());
        worker.dataflow::<u64, _, _>(|scope| {
            let counts = split(input.to_stream(scope));
            count(counts, &probe, &digest, |digest, word, n| {
                digest.word(word.as_bytes(), n);
            });
        });
        Ok(Box::new(WordCount {
            // Each worker reads its share of the text.
            lines: share(text, worker.index(), workers),
            input,
            probe,
            digest,
        }))
    })
}

/// The lines of one of `of` shares of a text.
fn share(text: &'static str, which: usize, of: usize) -> Vec<&'static str> {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len() * which / of..lines.len() * (which + 1) / of].to_vec()
}

struct WordCount {
    lines: Vec<&'static str>,
    input: InputHandleVec<u64, &'static str>,
    probe: ProbeHandle<u64>,
    digest: Rc<RefCell<Digest>>,
}

impl Part for WordCount {
    fn run(&mut self, worker: &mut Worker, order: &Words) -> Result<()> {
        for _ in 0..order.number::<usize>("steps")? {
            self.digest.take();
            for portion in self.lines.chunks(PORTION) {
                portion.iter().for_each(|line| self.input.send(line));
                worker.step();
            }
            let next = self.input.time() + 1;
            self.input.advance_to(next);
            self.input.flush();
            finish(worker, &self.probe, next);
        }
        Ok(())
    }

    fn result(&mut self) -> Digest {
        *self.digest.borrow()
    }
}
