//! W6: counts the lines that hold a word.

use memchr::memmem::Finder;
use millstream::prelude::*;
use perf_lab::digest::Digest;
use perf_lab::protocol::{Done, Engine, Words};
use perf_lab::{Result, input};

use crate::queue::{Queued, Shelf};

pub(crate) struct Grep {
    queued: Queued<Str>,
    found: Shelf<u64>,
}

impl Grep {
    pub(crate) fn new(order: &Words) -> Result<Self> {
        let finder = Finder::new(order.text("needle")?).into_owned();
        let found = Shelf::default();
        let seen = found.clone();
        let declare = |lines: DStream<Str>| {
            lines
                .filter(move |line: &Str| finder.find(line.as_bytes()).is_some())
                .count()
                .foreach_rdd(move |count, _| {
                    seen.set(count.collect()?.iter().sum());
                    Ok(())
                });
        };
        let load = |ssc: &StreamingContext| Ok(vec![ssc.text_lines(input::text(order)?)]);
        let queued = Queued::start(order, declare, load)?;
        Ok(Self { queued, found })
    }
}

impl Engine for Grep {
    fn run(&mut self, order: &Words) -> Result<Done> {
        let result = || Digest {
            count: self.found.take(),
            sum: 0,
        };
        self.queued.run(order, || {}, result)
    }
}
