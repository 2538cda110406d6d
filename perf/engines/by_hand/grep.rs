//! W6: memchr, line by line.

use std::time::Instant;

use memchr::memmem::Finder;
use perf_lab::digest::Digest;
use perf_lab::protocol::{Done, Engine, Words};
use perf_lab::{Result, input};

use crate::yardstick::{Padded, grep_lines};

pub(crate) struct Grep {
    text: Padded,
    finder: Finder<'static>,
    threads: usize,
}

impl Grep {
    pub(crate) fn new(order: &Words) -> Result<Self> {
        Ok(Self {
            text: Padded::from(input::text(order)?),
            finder: Finder::new(order.text("needle")?).into_owned(),
            threads: order.number("workers")?,
        })
    }
}

impl Engine for Grep {
    fn run(&mut self, order: &Words) -> Result<Done> {
        let steps: usize = order.number("steps")?;
        let mut count = 0;
        let since = Instant::now();
        for _ in 0..steps {
            count = grep_lines(&self.text, &self.finder, self.threads);
        }
        Ok(Done {
            time: since.elapsed(),
            digest: Digest { count, sum: 0 },
            ..Done::default()
        })
    }
}
