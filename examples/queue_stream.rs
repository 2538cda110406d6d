//! Counts numbers by their last digit, from data sets that the program itself puts
//! in a queue, for some seconds:
//!
//! ```text
//! cargo run --release --example queue_stream
//! ```

#![expect(clippy::print_stdout, reason = "a program talks to its user")]

mod common;

use millstream::prelude::*;

const INTERVAL: Duration = Duration::from_millis(100);

fn main() -> millstream::Result<()> {
    common::log_to_stderr();
    let ssc = StreamingContext::builder()
        .app_name("QueueStream")
        .batch_interval(INTERVAL)
        .build()?;

    let queue = RddQueue::new();
    let numbers = ssc.queue_stream(&queue)?;
    let counts = numbers.map(|n| (n % 10, 1u64)).reduce_by_key(|a, b| a + b);
    counts.print();

    let total = common::total(&counts.map(|(_, count)| count));

    ssc.start()?;
    for _ in 0..30 {
        queue.push(ssc.parallelize(1..=1000, 10));
        // The pause, which an error would end.
        ssc.await_termination_or_timeout(INTERVAL)?;
    }
    // What is still in the queue is processed, too.
    ssc.stop(true)?;
    println!("{} numbers in 30 data sets", total.value());
    Ok(())
}
