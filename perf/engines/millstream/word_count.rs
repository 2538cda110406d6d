//! W1: the guide's word count. The output takes in all distinct words.

use millstream::prelude::*;
use perf_lab::digest::Digest;
use perf_lab::protocol::{Done, Engine, Words};
use perf_lab::{Result, input};

use crate::queue::{Queued, Shelf};

pub(crate) struct WordCount {
    queued: Queued<Str>,
    digest: Shelf<Digest>,
}

impl WordCount {
    pub(crate) fn new(order: &Words) -> Result<Self> {
        let digest = Shelf::default();
        let seen = digest.clone();
        let declare = |lines: DStream<Str>| {
            lines
                .flat_map(|line: Str| line.split(' '))
                .map(|word| (word, 1_u64))
                .reduce_by_key(|a, b| a + b)
                .foreach_rdd(move |counts, _| {
                    seen.set(counts.aggregate(
                        Digest::default(),
                        |digest, (word, count)| digest.word(word.as_bytes(), count),
                        |all, part| *all += part,
                    )?);
                    Ok(())
                });
        };
        let load = |ssc: &StreamingContext| Ok(vec![ssc.text_lines(input::text(order)?)]);
        let queued = Queued::start(order, declare, load)?;
        Ok(Self { queued, digest })
    }
}

impl Engine for WordCount {
    fn run(&mut self, order: &Words) -> Result<Done> {
        self.queued.run(order, || {}, || self.digest.take())
    }
}
