//! A kit for testing programs: batches in, batches out, on a clock that the test
//! moves.
//!
//! A program is testable if what it does with its streams is a function of them, so
//! that a test can give it a queue in place of a socket. A [`TestContext`] has
//! batches at 1000 ms, 2000 ms, ...; [`watch`] collects what comes out of a stream,
//! and [`Seen`] says what is wrong with it. Nothing sleeps, and no result depends
//! on how long anything takes. [`run`] does all of it in one call.
//!
//! # Examples
//! ```
//! use millstream::prelude::*;
//! use millstream::testing::{TestContext, watch};
//!
//! /// What is tested. `main` gives it the lines of a socket.
//! fn count_words(lines: &DStream<Str>) -> DStream<(Str, u64)> {
//!     lines.flat_map(|line| line.split(' ')).count_by_value()
//! }
//!
//! # fn main() {
//! let test = TestContext::new();
//! let (input, lines) = test.queue();
//! let counts = watch(&count_words(&lines));
//! test.start();
//! test.push(&input, ["to be", "or not to be"].map(Str::from));
//! test.advance(2);
//! test.stop();
//! let count = |word, count| (Str::from(word), count);
//! counts.assert_unordered([
//!     (1000, vec![count("to", 2), count("be", 2), count("or", 1), count("not", 1)]),
//!     (2000, vec![]),
//! ]);
//! # }
//! ```

mod context;
#[cfg(test)]
mod log;
mod seen;

pub use context::TestContext;
#[cfg(test)]
pub(crate) use log::Log;
pub use seen::Seen;

use crate::dstream::DStream;
use crate::rdd::pipe::{Data, Pipe};

/// Collects the records of each batch, in the order of the partitions.
///
/// # Panics
/// If the context was started.
#[track_caller]
#[expect(
    clippy::must_use_candidate,
    reason = "watching alone makes the batches run"
)]
pub fn watch<T: Data, P: Pipe<Out = T>>(stream: &DStream<T, P>) -> Seen<Vec<T>> {
    Seen::of(stream, |rdd| rdd.collect())
}

/// Collects the records of each batch by partition.
///
/// # Panics
/// If the context was started.
#[track_caller]
#[expect(
    clippy::must_use_candidate,
    reason = "watching alone makes the batches run"
)]
pub fn watch_partitions<T: Data, P: Pipe<Out = T>>(stream: &DStream<T, P>) -> Seen<Vec<Vec<T>>> {
    Seen::of(stream, |rdd| rdd.collect_partitions())
}

/// What a program makes of some batches, of two partitions each: the sorted records
/// of the batches at 1000 ms, 2000 ms, ...
///
/// # Panics
/// If a batch fails, with its error.
///
/// # Examples
/// ```
/// use millstream::testing::run;
///
/// let squares = run([vec![3, 1], vec![], vec![2_u64]], |input| input.map(|x| x * x));
/// assert_eq!(squares, [vec![1, 9], vec![], vec![4]]);
/// ```
#[track_caller]
pub fn run<T: Data, U: Data + Ord, P: Pipe<Out = U>>(
    batches: impl IntoIterator<Item = Vec<T>>,
    declare: impl FnOnce(DStream<T>) -> DStream<U, P>,
) -> Vec<Vec<U>> {
    let test = TestContext::new();
    let (queue, input) = test.queue();
    let seen = watch(&declare(input));
    test.start();
    for batch in batches {
        queue.push(test.ssc.parallelize(batch, 2));
        test.tick();
    }
    test.stop();
    if let Some(error) = test.first_error() {
        panic!("{error}");
    }
    let sorted = |(_, mut records): (i64, Vec<U>)| {
        records.sort();
        records
    };
    seen.take().into_iter().map(sorted).collect()
}

#[cfg(test)]
mod tests;
