//! Accumulators: tasks add, the driver reads.

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::error::{Error, Result};
use crate::sync::lock;
use crate::task::{self, Effect, in_task};

/// What an [`Accumulator`] keeps.
///
/// Implemented for `i64`, which sums and wraps around; for `f64`, which sums; and
/// for [`Vec`], which collects. A type of your own needs three methods.
///
/// Adding must not depend on the order: workers add to values of their own,
/// which are merged in whatever order they end. None of the methods may use the
/// accumulator that it works for.
///
/// # Examples
/// The largest value, with what it belongs to:
/// ```
/// use millstream::shared::Accumulate;
///
/// #[derive(Clone, Default)]
/// struct Largest(Option<(u64, String)>);
///
/// impl Accumulate for Largest {
///     type Input = (u64, String);
///
///     fn zero(&self) -> Self {
///         Self::default()
///     }
///
///     fn add(&mut self, input: (u64, String)) {
///         self.0 = self.0.take().max(Some(input));
///     }
///
///     fn merge(&mut self, other: Self) {
///         self.0 = self.0.take().max(other.0);
///     }
/// }
///
/// let mut largest = Largest::default();
/// largest.add((2, "b".to_owned()));
/// let mut other = largest.zero();
/// other.add((3, "c".to_owned()));
/// largest.merge(other);
/// assert_eq!(largest.0, Some((3, "c".to_owned())));
/// ```
#[doc(alias = "AccumulatorV2")]
pub trait Accumulate: Send + Sync + Sized + 'static {
    /// What is added.
    type Input;

    /// A value to which nothing was added, to merge into one such as this later.
    #[doc(alias = "copyAndReset")]
    #[must_use]
    fn zero(&self) -> Self;

    /// Adds one thing.
    fn add(&mut self, input: Self::Input);

    /// Adds all that was added to another value.
    fn merge(&mut self, other: Self);
}

impl Accumulate for i64 {
    type Input = i64;

    #[inline]
    fn zero(&self) -> i64 {
        0
    }

    #[inline]
    fn add(&mut self, input: i64) {
        *self = self.wrapping_add(input);
    }

    #[inline]
    fn merge(&mut self, other: i64) {
        self.add(other);
    }
}

impl Accumulate for f64 {
    type Input = f64;

    #[inline]
    fn zero(&self) -> f64 {
        0.0
    }

    #[inline]
    fn add(&mut self, input: f64) {
        *self += input;
    }

    #[inline]
    fn merge(&mut self, other: f64) {
        *self += other;
    }
}

impl<T: Send + Sync + 'static> Accumulate for Vec<T> {
    type Input = T;

    #[inline]
    fn zero(&self) -> Self {
        Self::new()
    }

    #[inline]
    fn add(&mut self, input: T) {
        self.push(input);
    }

    #[inline]
    fn merge(&mut self, mut other: Self) {
        self.append(&mut other);
    }
}

/// Sums whole numbers.
pub type LongAccumulator = Accumulator<i64>;

/// Sums floating-point numbers. Rounding depends on the order, which differs
/// from run to run.
pub type DoubleAccumulator = Accumulator<f64>;

/// Collects values, in no particular order, until they are [taken](Accumulator::take).
pub type CollectionAccumulator<T> = Accumulator<Vec<T>>;

/// A variable that tasks add to and the driver reads.
///
/// Guide: Accumulators, Broadcast Variables, and Checkpoints. Made by
/// [`StreamingContext::long_accumulator`](crate::StreamingContext::long_accumulator)
/// and its siblings, or by [`new`](Self::new) where no context is at hand.
/// Cloning gives another handle to the same variable.
///
/// **Cost.** An addition in a task finds the value of its thread in a short list,
/// some nanoseconds, and takes no lock: threads meet once per piece of work, when
/// the values are merged.
///
/// **What counts.** A piece of work is one pass over the partitions of a data set:
/// an action, or the half of a shuffle. When all its tasks have succeeded,
/// everything that they added counts, before the action returns; when one fails,
/// nothing of it does. What is computed once counts once: two outputs of one
/// `reduce_by_key` share its result. But a chain of narrow steps (`map`,
/// `filter`, ...) runs again for each output that reads it, and so do the
/// additions in it, and `take` and `print` run only as much of it as they need.
/// Where each record shall count exactly once, count before a shuffle or a
/// [`cache`](crate::DStream::cache) that fits into memory, or in what
/// [`for_each_partition`](crate::Rdd::for_each_partition) does.
///
/// Outside of tasks, and on threads that a task has started, an addition counts
/// at once.
///
/// **After recovery.** Accumulators of numbers that have a name are saved with each
/// checkpoint, and others are if the context's `checkpoint_accumulator` is called,
/// which has an example. A checkpoint is taken between two batches, so the value has
/// what all batches up to it added, once; the batches since come again, and with them
/// their additions.
///
/// # Examples
/// ```
/// use millstream::prelude::*;
///
/// # fn main() -> millstream::Result<()> {
/// let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
/// let malformed = ssc.long_accumulator("malformed");
/// let count = malformed.clone();
/// let numbers = ssc.parallelize(["1", "two", "3"], 2).flat_map(move |text| {
///     let number = text.parse::<u64>();
///     if number.is_err() {
///         count.add(1);
///     }
///     number
/// });
/// assert_eq!(numbers.collect()?, [1, 3]);
/// assert_eq!(malformed.value(), 1);
/// # Ok(())
/// # }
/// ```
pub struct Accumulator<A: Accumulate> {
    shared: Arc<Shared<A>>,
}

pub(super) struct Shared<A> {
    name: String,
    zero: A,
    value: Mutex<A>,
}

impl<A: Accumulate> Accumulator<A> {
    /// An accumulator that begins with `initial`; the name is for messages. It belongs
    /// to no context, so it is not saved.
    #[must_use]
    pub fn new(name: impl Into<String>, initial: A) -> Self {
        Self {
            shared: Arc::new(Shared {
                name: name.into(),
                zero: initial.zero(),
                value: Mutex::new(initial),
            }),
        }
    }

    /// The name that it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Adds `input`; in a task, if all of its piece of work succeeds.
    #[inline]
    pub fn add(&self, input: A::Input) {
        if in_task() {
            let make = || Partial {
                value: self.shared.zero.zero(),
                of: Arc::clone(&self.shared),
            };
            let key = Arc::as_ptr(&self.shared).addr();
            task::change_effect(key, make, |partial| partial.value.add(input));
        } else {
            self.shared.lock().add(input);
        }
    }

    /// What was added so far, as a copy.
    ///
    /// # Panics
    /// In a task, which may only add: what others add at that time is not there
    /// yet.
    #[must_use]
    pub fn value(&self) -> A
    where
        A: Clone,
    {
        self.assert_driver("value");
        self.shared.lock().clone()
    }

    /// Takes out what was added so far and begins again at zero.
    ///
    /// # Panics
    /// In a task, which may only add.
    #[doc(alias = "reset")]
    #[must_use = "what was added is no longer in the accumulator"]
    pub fn take(&self) -> A {
        self.assert_driver("take");
        let zero = self.shared.zero.zero();
        mem::replace(&mut *self.shared.lock(), zero)
    }

    pub(super) fn shared(&self) -> &Arc<Shared<A>> {
        &self.shared
    }

    fn assert_driver(&self, method: &str) {
        assert!(
            !in_task(),
            "{method}() of the accumulator {:?} was called inside a task, which may only add: \
             read it in the driver",
            self.shared.name
        );
    }
}

impl<A> Shared<A> {
    pub(super) fn lock(&self) -> MutexGuard<'_, A> {
        lock(&self.value)
    }
}

/// What the tasks of one thread added.
struct Partial<A> {
    value: A,
    of: Arc<Shared<A>>,
}

impl<A: Accumulate> Effect for Partial<A> {
    fn commit(self: Box<Self>) -> Result<()> {
        let Self { value, of } = *self;
        catch_unwind(AssertUnwindSafe(|| of.lock().merge(value))).map_err(|payload| {
            let what = format!("merging into the accumulator {:?}", of.name);
            Error::from_panic(payload, &what)
        })
    }
}

impl<A: Accumulate> Clone for Accumulator<A> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<A: Accumulate + fmt::Debug> fmt::Debug for Accumulator<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accumulator")
            .field("name", &self.shared.name)
            .field("value", &*self.shared.lock())
            .finish()
    }
}
