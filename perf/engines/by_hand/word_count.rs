//! W1: hashbrown tables of inline words.

use std::time::Instant;

use perf_lab::digest::Digest;
use perf_lab::protocol::{Done, Engine, Words};
use perf_lab::{Result, input};

use crate::yardstick::{self, Padded, Word, with_bytes};

pub(crate) struct WordCount {
    count: yardstick::WordCount,
    text: Padded,
}

impl WordCount {
    pub(crate) fn new(order: &Words) -> Result<Self> {
        Ok(Self {
            count: yardstick::WordCount::new(order.number("workers")?),
            text: Padded::from(input::text(order)?),
        })
    }
}

/// The digest of counted words.
pub(crate) fn digest(counts: &[Vec<(Word, u64)>]) -> Digest {
    let mut digest = Digest::default();
    for &(word, count) in counts.iter().flatten() {
        with_bytes(word, |bytes| digest.word(bytes, count));
    }
    digest
}

impl Engine for WordCount {
    fn run(&mut self, order: &Words) -> Result<Done> {
        let steps: usize = order.number("steps")?;
        let mut result = Digest::default();
        let since = Instant::now();
        for _ in 0..steps {
            result = digest(&self.count.run(&self.text));
        }
        Ok(Done {
            time: since.elapsed(),
            digest: result,
            ..Done::default()
        })
    }
}
