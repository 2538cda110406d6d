//! Accumulators and broadcast variables.

use super::StreamingContext;
use crate::shared::{
    Accumulate, Accumulator, Broadcast, CollectionAccumulator, DoubleAccumulator, LongAccumulator,
};

/// # Shared variables
impl StreamingContext {
    /// An accumulator that sums whole numbers from 0 and wraps around.
    ///
    /// Guide: Accumulators, Broadcast Variables, and Checkpoints. See
    /// [`Accumulator`] for what counts, and for an example. With a name that is not
    /// empty it is saved with checkpoints. If it is made before the start, that gives it
    /// the value that it had; if it is made later, it begins with it.
    ///
    /// # Panics
    /// If it is made after the start, and the checkpoint has something of its name that
    /// is no `long_accumulator`.
    #[doc(alias = "longAccumulator")]
    #[must_use]
    #[track_caller]
    pub fn long_accumulator(&self, name: impl Into<String>) -> LongAccumulator {
        let accumulator = Accumulator::new(name, 0);
        self.inner.accumulators.add_long(&accumulator);
        accumulator
    }

    /// An accumulator that sums floating-point numbers from 0.
    ///
    /// Guide: Accumulators, Broadcast Variables, and Checkpoints. Rounding depends
    /// on the order of additions, which differs from run to run. It is saved with
    /// checkpoints as a [`long_accumulator`](Self::long_accumulator) is.
    ///
    /// # Panics
    /// If it is made after the start, and the checkpoint has something of its name that
    /// is no `double_accumulator`.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let total = ssc.double_accumulator("total");
    /// ssc.parallelize([0.5, 1.5], 2).for_each_partition(|prices| {
    ///     total.add(prices.sum());
    ///     Ok(())
    /// })?;
    /// assert_eq!(total.value(), 2.0);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "doubleAccumulator")]
    #[must_use]
    #[track_caller]
    pub fn double_accumulator(&self, name: impl Into<String>) -> DoubleAccumulator {
        let accumulator = Accumulator::new(name, 0.0);
        self.inner.accumulators.add_double(&accumulator);
        accumulator
    }

    /// An accumulator that collects values, in no particular order.
    ///
    /// Guide: Accumulators, Broadcast Variables, and Checkpoints. It grows until
    /// [`take`](Accumulator::take) empties it. Not saved with checkpoints, unless
    /// `checkpoint_accumulator` is called with it.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let samples = ssc.collection_accumulator("samples");
    /// ssc.parallelize(0..100, 2).for_each_partition(|records| {
    ///     records.step_by(25).for_each(|record| samples.add(record));
    ///     Ok(())
    /// })?;
    /// let mut samples = samples.take();
    /// samples.sort();
    /// assert_eq!(samples, [0, 25, 50, 75]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "collectionAccumulator")]
    #[must_use]
    pub fn collection_accumulator<T: Send + Sync + 'static>(
        &self,
        name: impl Into<String>,
    ) -> CollectionAccumulator<T> {
        Accumulator::new(name, Vec::new())
    }

    /// An accumulator of a kind of the program's own, which begins with `initial`.
    ///
    /// Guide: Accumulators, Broadcast Variables, and Checkpoints. See
    /// [`Accumulate`] for an example. Not saved with checkpoints, unless
    /// `checkpoint_accumulator` is called with it.
    #[doc(alias = "register")]
    #[must_use]
    pub fn accumulator<A: Accumulate>(
        &self,
        name: impl Into<String>,
        initial: A,
    ) -> Accumulator<A> {
        Accumulator::new(name, initial)
    }

    /// Shares a read-only value with all tasks.
    ///
    /// Guide: Accumulators, Broadcast Variables, and Checkpoints. See
    /// [`Broadcast`] for a value that is made anew for every batch.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let stop_words = ssc.broadcast(["a", "the"]);
    /// let words = ssc.text_lines("the end of a day").flat_map(|line| line.split(' '));
    /// let kept = words.filter(move |word| !stop_words.contains(&word.as_str()));
    /// assert_eq!(kept.collect()?, ["end", "of", "day"]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[must_use]
    pub fn broadcast<T>(&self, value: T) -> Broadcast<T> {
        Broadcast::new(value)
    }
}
