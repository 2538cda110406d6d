//! Counts of words in each epoch, as the two word counts end: words come to the worker
//! of their hash, and leave with their counts when the epoch is over.

use std::cell::RefCell;
use std::hash::Hash;
use std::rc::Rc;

use ahash::RandomState;
use perf_lab::digest::Digest;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Operator as _;
use timely::dataflow::operators::Probe as _;
use timely::dataflow::{ProbeHandle, StreamVec};

use crate::Map;
use crate::epochs::Epochs;

/// One seed in all workers, so that they agree where a word belongs.
pub(crate) fn place<K: Hash + ?Sized>(key: &K) -> u64 {
    RandomState::with_seeds(1, 2, 3, 4).hash_one(key)
}

/// Counts, and adds the counted words of an epoch to `digest`, by `take`.
pub(crate) fn count(
    words: StreamVec<'_, u64, (String, u64)>,
    probe: &ProbeHandle<u64>,
    digest: &Rc<RefCell<Digest>>,
    take: fn(&mut Digest, &str, u64),
) {
    let digest = Rc::clone(digest);
    words
        .unary_frontier(
            Exchange::new(|(word, _): &(String, u64)| place(word)),
            "count",
            |_, _| {
                let mut epochs = Epochs::<Map<String, u64>>::new();
                move |(input, frontier), output| {
                    input.for_each_stamp(|stamp, data| {
                        let Some(time) = stamp.retain_least(output.output_index()) else {
                            return;
                        };
                        let counts = epochs.at(time);
                        for (word, count) in data.flat_map(|data| data.drain(..)) {
                            *counts.entry(word).or_default() += count;
                        }
                    });
                    for (time, counts) in epochs.over(frontier) {
                        output.session(&time).give_iterator(counts.into_iter());
                    }
                }
            },
        )
        .container::<Vec<_>>()
        .unary(Pipeline, "emit", |_, _| {
            move |input, output| {
                input.for_each_stamp(|stamp, data| {
                    let mut digest = digest.borrow_mut();
                    for (word, count) in data.flat_map(|data| data.drain(..)) {
                        take(&mut digest, &word, count);
                    }
                    output
                        .session(&stamp)
                        .give_iterator(std::iter::empty::<()>());
                });
            }
        })
        .container::<Vec<()>>()
        .probe_with(probe);
}
