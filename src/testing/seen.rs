//! What came out of a stream.

use std::fmt::{self, Debug, Write as _};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::dstream::DStream;
use crate::error::{Error, Result};
use crate::rdd::Rdd;
use crate::rdd::pipe::{Data, Pipe};
use crate::sync::lock;
use crate::time::BatchTime;

/// What an output operation saw: the batch times in milliseconds, and what was in
/// the batches. Cloning gives another handle to the same.
///
/// [`watch`](super::watch) makes one. An output operation of a test's own adds to
/// one itself:
/// ```
/// use millstream::testing::{Seen, TestContext};
///
/// let test = TestContext::new();
/// let (input, numbers) = test.queue::<u64>();
/// let counts = Seen::new();
/// let add = counts.clone();
/// numbers.foreach_rdd(move |rdd, time| {
///     add.add(time, rdd.count()?);
///     Ok(())
/// });
/// test.start();
/// test.push(&input, [7, 8]);
/// test.tick();
/// assert_eq!(counts.take(), [(1000, 2)]);
/// ```
pub struct Seen<T> {
    state: Arc<Mutex<State<T>>>,
}

struct State<T> {
    batches: Vec<(i64, T)>,
    /// Why there may be fewer than expected.
    first_error: Option<(i64, Error)>,
}

impl<T> Seen<T> {
    /// Nothing was seen yet.
    #[must_use]
    pub fn new() -> Self {
        let state = State {
            batches: Vec::new(),
            first_error: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// What `look` gets of each batch of a stream.
    #[track_caller]
    pub(super) fn of<U, P>(
        stream: &DStream<U, P>,
        look: impl Fn(Rdd<U, P>) -> Result<T> + Send + Sync + 'static,
    ) -> Self
    where
        T: Send + 'static,
        U: Data,
        P: Pipe<Out = U>,
    {
        let seen = Self::new();
        let add = seen.clone();
        stream.foreach_rdd(move |rdd, time| match look(rdd) {
            Ok(value) => {
                add.add(time, value);
                Ok(())
            }
            Err(error) => {
                let failed = (time.as_millis(), error.clone());
                add.lock().first_error.get_or_insert(failed);
                Err(error)
            }
        });
        seen
    }

    /// Adds what was seen of the batch `time`.
    pub fn add(&self, time: BatchTime, value: T) {
        self.lock().batches.push((time.as_millis(), value));
    }

    /// All since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<(i64, T)> {
        mem::take(&mut self.lock().batches)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.state)
    }
}

impl<T: Debug + PartialEq> Seen<Vec<T>> {
    /// Takes all since the last call, which has to be this.
    ///
    /// # Panics
    /// If it is not, with the first batch that differs, what it misses and what it
    /// should not have.
    #[track_caller]
    pub fn assert_batches(&self, expected: impl IntoIterator<Item = (i64, Vec<T>)>) {
        let expected: Vec<_> = expected.into_iter().collect();
        self.compare(&expected, &self.take());
    }

    /// As [`assert_batches`](Self::assert_batches), but the records of a batch may
    /// come in any order, as they do behind a shuffle.
    ///
    /// # Panics
    /// If anything else came.
    #[track_caller]
    pub fn assert_unordered(&self, expected: impl IntoIterator<Item = (i64, Vec<T>)>)
    where
        T: Ord,
    {
        let sorted = |(time, mut records): (i64, Vec<T>)| {
            records.sort();
            (time, records)
        };
        let expected: Vec<_> = expected.into_iter().map(sorted).collect();
        let seen: Vec<_> = self.take().into_iter().map(sorted).collect();
        self.compare(&expected, &seen);
    }

    #[track_caller]
    fn compare(&self, expected: &[(i64, Vec<T>)], seen: &[(i64, Vec<T>)]) {
        if let Some(mut text) = difference(expected, seen) {
            if let Some((time, error)) = &self.lock().first_error {
                let _ = write!(text, "\n     error: in batch {time} ms: {error}");
            }
            panic!("{text}");
        }
    }
}

/// What is wrong with the batches that were seen, if anything is.
fn difference<T: Debug + PartialEq>(
    expected: &[(i64, Vec<T>)],
    seen: &[(i64, Vec<T>)],
) -> Option<String> {
    let first = (expected.iter().zip(seen)).find(|(expected, seen)| expected != seen);
    if let Some(((time, expected), (seen_time, seen))) = first {
        if time != seen_time {
            return Some(format!(
                "batch {time} ms was expected, and batch {seen_time} ms came, with {seen:?}"
            ));
        }
        let mut text = format!(
            "batch {time} ms is not as expected\n  expected: {expected:?}\n      seen: {seen:?}"
        );
        for (what, records) in [
            ("missing", without(expected, seen)),
            ("surplus", without(seen, expected)),
        ] {
            if !records.is_empty() {
                let _ = write!(text, "\n   {what}: {records:?}");
            }
        }
        return Some(text);
    }
    let common = expected.len().min(seen.len());
    if let [(time, records), ..] = &expected[common..] {
        return Some(format!(
            "{} batches were expected, and {common} came; the next is\n  batch {time} ms: \
             {records:?}",
            expected.len()
        ));
    }
    let [(time, records), ..] = &seen[common..] else {
        return None;
    };
    Some(format!(
        "{common} batches were expected, and {} came; the next is\n  batch {time} ms: {records:?}",
        seen.len()
    ))
}

/// The records of `all` that are left when those of `others` are taken away, each
/// once.
fn without<'a, T: PartialEq>(all: &'a [T], others: &[T]) -> Vec<&'a T> {
    let mut taken = vec![false; others.len()];
    let is_left = |record: &&T| {
        let at = (0..others.len()).find(|&i| !taken[i] && others[i] == **record);
        at.inspect(|&i| taken[i] = true).is_none()
    };
    all.iter().filter(is_left).collect()
}

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
        }
    }
}

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Debug> Debug for Seen<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seen").field(&self.lock().batches).finish()
    }
}
