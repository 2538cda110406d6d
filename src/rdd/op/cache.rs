//! `cache`: records that are computed once.

use std::sync::Arc;

use crate::rdd::kept::Kept;
use crate::rdd::pipe::{Data, Pipe};
use crate::rdd::{Partition, Rdd};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// The same records, kept in memory from the first action on, so that its
    /// chain runs once however often they are read. Records that rest already
    /// stay where they are.
    ///
    /// What is kept counts against `memory_max`: the records' own size, and the text
    /// of a [`Str`](crate::Str), but nothing else that they point to. Strings that
    /// are less than half of the blocks that they were received in are copied, so
    /// that those can go; a `Str` within a record is not, and should be
    /// [`compact`](crate::Str::compact)ed. A partition that does not fit is computed
    /// each time that it is read.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let squares = ssc.parallelize(1..=4, 2).map(|x: u64| x * x).cache();
    /// assert_eq!(squares.collect()?, [1, 4, 9, 16]); // runs the chain
    /// assert_eq!(squares.count()?, 4); // does not
    /// # Ok::<(), millstream::Error>(())
    /// ```
    pub fn cache(self) -> Rdd<T> {
        if self.is_at_rest() {
            return self.boxed();
        }
        self.kept_by(false, |records, memory| {
            let kept = Kept::new(records, memory).ok();
            Ok(kept.map(|kept| Arc::new(kept) as Arc<dyn Partition<T>>))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::block::{Memory, Str};
    use crate::executor::Executor;
    use crate::rdd::{Lines, at_rest};

    #[test]
    fn what_does_not_fit_into_memory_is_computed_again() {
        let room = 20 * size_of::<u64>() as u64;
        let memory = Memory::with_room(room);
        let (executor, _) = Executor::start(Some(1), None, false, 1, memory).unwrap();
        let executor = Arc::new(executor);
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let parts = [(0..15).collect(), (15..30).collect(), (30..35).collect()];
        let cached = Rdd::ready(at_rest(parts), Arc::clone(&executor))
            .map(move |n: u64| {
                counted.fetch_add(1, Ordering::Relaxed);
                n
            })
            .cache();
        let expected: Vec<_> = (0..35).collect();
        for runs in [35 + 15, 35 + 15 + 15] {
            assert_eq!(cached.collect().unwrap(), expected);
            assert_eq!(calls.load(Ordering::Relaxed), runs);
        }
        assert_eq!(executor.memory().used(), room);
        drop(cached);
        assert_eq!(executor.memory().used(), 0);
    }

    #[test]
    fn text_counts_and_does_not_keep_what_was_left_out() {
        let executor = Arc::new(Executor::of(1));
        let text: String = (0..1000)
            .map(|n| format!("the line number {n:04}\n"))
            .collect();
        let block =
            Arc::new(Lines::copy_of(text.as_bytes(), &Arc::default())) as Arc<dyn Partition<Str>>;
        let lines = Rdd::ready(Arc::new([block]), Arc::clone(&executor));
        for (every, kept) in [(1, 1000), (100, 10)] {
            let number = |line: &Str| line[16..].parse::<usize>().unwrap();
            let cached = lines
                .clone()
                .filter(move |line| number(line).is_multiple_of(every))
                .cache();
            assert_eq!(cached.count().unwrap(), kept);
            let bytes = kept * (size_of::<Str>() as u64 + 20);
            assert_eq!(executor.memory().used(), bytes);
            let first = &cached.collect().unwrap()[0];
            let same = lines.collect().unwrap()[0].as_ptr() == first.as_ptr();
            assert_eq!(same, every == 1);
        }
    }
}
