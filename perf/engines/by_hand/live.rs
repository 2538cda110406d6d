//! W2 and W5: one thread receives, others count what came in each interval.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use perf_lab::digest::Digest;
use perf_lab::marks::{due, now};
use perf_lab::protocol::{Done, Engine, Words};
use perf_lab::{Result, facts};

use crate::word_count::digest;
use crate::yardstick::{self, Padded};

pub(crate) struct Live {
    interval: Duration,
    /// For words; lines are counted by the receiving thread's partner alone.
    count: Option<yardstick::WordCount>,
}

impl Live {
    pub(crate) fn new(order: &Words) -> Result<Self> {
        let workers = order.number("workers")?;
        let of_words = order.text("work")? == "words";
        Ok(Self {
            interval: Duration::from_micros(order.number("interval_us")?),
            count: of_words.then(|| yardstick::WordCount::new(workers)),
        })
    }
}

impl Engine for Live {
    fn run(&mut self, order: &Words) -> Result<Done> {
        let stream = TcpStream::connect(("127.0.0.1", order.number("port")?))?;
        let (mut result, mut latencies) = (Digest::default(), Vec::new());
        let since = Instant::now();
        yardstick::batches(stream, self.interval, |batch| match &mut self.count {
            Some(count) => result += words(count, batch),
            None => result += lines(batch, &mut latencies),
        });
        let time = since.elapsed();
        latencies.sort_unstable();
        Ok(Done {
            time,
            digest: result,
            facts: facts::latencies(Words::default(), &latencies),
        })
    }
}

/// The words of a batch; the number is that of all, not of distinct ones.
fn words(count: &mut yardstick::WordCount, batch: &mut Vec<u8>) -> Digest {
    let text = Padded::from(std::mem::take(batch));
    let counts = count.run(&text);
    let result = Digest {
        count: counts.iter().flatten().map(|&(_, count)| count).sum(),
        sum: digest(&counts).sum,
    };
    *batch = text.into_bytes();
    result
}

/// The number of lines, and the sum of the due times that they carry.
fn lines(batch: &[u8], latencies: &mut Vec<u64>) -> Digest {
    let (mut result, mut dues) = (Digest::default(), Vec::new());
    for line in batch.split_inclusive(|&byte| byte == b'\n') {
        result.count += 1;
        dues.extend(due(line));
    }
    let now = now();
    for due in dues {
        result.sum = result.sum.wrapping_add(due);
        latencies.push(now.saturating_sub(due));
    }
    result
}
