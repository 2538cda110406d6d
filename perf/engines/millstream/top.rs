//! W6: the most frequent words of a sliding window. Of equal ones the first by the
//! alphabet comes first.

use std::cmp::Reverse;

use millstream::prelude::*;
use perf_lab::digest::Digest;
use perf_lab::protocol::{Done, Engine, Words};
use perf_lab::{Result, input};

use crate::queue::{Queued, Shelf};

pub(crate) struct Top {
    queued: Queued<Str>,
    digest: Shelf<Digest>,
}

impl Top {
    pub(crate) fn new(order: &Words) -> Result<Self> {
        let window: u32 = order.number("window")?;
        let top = order.number("top")?;
        let digest = Shelf::default();
        let seen = digest.clone();
        let declare = |lines: DStream<Str>| {
            let interval = lines.slide_interval();
            lines
                .flat_map(|line: Str| line.split(' '))
                .map(|word| (word, 1_i64))
                .reduce_by_key_and_window_inverse(
                    |a, b| a + b,
                    |a, b| a - b,
                    interval * window,
                    interval,
                )
                .expect("a right window")
                .foreach_rdd(move |counts, _| {
                    let by_count = counts.map(|(word, count)| (count, Reverse(word)));
                    let mut digest = Digest::default();
                    for (place, (count, Reverse(word))) in (1..).zip(by_count.top(top)?) {
                        digest.word(word.as_bytes(), place * count.cast_unsigned());
                    }
                    seen.set(digest);
                    Ok(())
                });
        };
        let load = |ssc: &StreamingContext| {
            let text = input::text(order)?;
            let portions = input::portions(&text, order.number("batch")?);
            let batches: usize = order.number("batches")?;
            let batches = portions.into_iter().take(batches);
            Ok(batches.map(|portion| ssc.text_lines(portion)).collect())
        };
        let queued = Queued::start(order, declare, load)?;
        Ok(Self { queued, digest })
    }
}

impl Engine for Top {
    fn run(&mut self, order: &Words) -> Result<Done> {
        self.queued.run(order, || {}, || self.digest.take())
    }
}
