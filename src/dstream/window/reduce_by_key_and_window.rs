//! `reduce_by_key_and_window`: the values of each key in a window to one.

use std::any::TypeId;
use std::hash::Hash;
use std::panic::Location;
use std::sync::Arc;

use super::Extent;
use super::disjoint::Disjoint;
use super::sliding::Sliding;
use crate::dstream::DStream;
use crate::error::Result;
use crate::rdd::op::reduce_by_key::Reducer;
use crate::rdd::pipe::{Data, Pipe};
use crate::state::{InverseWindow, TwoStacks};
use crate::time::Duration;

/// # Window operations
impl<K, V, P> DStream<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// Joins the values of each key in the last `length` by `f`, once per `slide`.
    /// `f` must be associative; values are joined in the order of time, but those
    /// of one batch in any order. A key is there as long as the window has records
    /// of it. With an inverse of `f`, such as subtraction for sums:
    /// [`reduce_by_key_and_window_inverse`](Self::reduce_by_key_and_window_inverse).
    ///
    /// Guide: Window Operations. One shuffle per batch, as
    /// [`reduce_by_key`](Self::reduce_by_key). State: a value per key, and one
    /// per key and batch in the window (per key and slide, if `length` is a
    /// multiple of `slide`). A slide costs what enters and leaves, a few calls of
    /// `f` for each key of a batch, however long the window is (two stacks per
    /// key). A string that is a key is [`compact`](crate::Str::compact)ed; do the
    /// same with those in values.
    ///
    /// If a batch fails, so do the windows that it is in: they cannot be told.
    ///
    /// # Errors
    /// If `length` or `slide` is not a multiple of the stream's slide interval, or
    /// the context was started.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<(Str, u64)>::new();
    /// // The highest value of each key in the last 30 seconds, every 10 seconds.
    /// let highest = ssc.queue_stream(&queue)?.reduce_by_key_and_window(
    ///     |a, b| a.max(b),
    ///     Duration::from_secs(30),
    ///     Duration::from_secs(10),
    /// )?;
    /// highest.print();
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "reduceByKeyAndWindow")]
    #[track_caller]
    pub fn reduce_by_key_and_window<F>(
        &self,
        f: F,
        length: Duration,
        slide: Duration,
    ) -> Result<DStream<(K, V)>>
    where
        F: Fn(V, V) -> V + Send + Sync + 'static,
    {
        self.reduce_by_key_and_window_into(f, length, slide, self.default_parallelism())
    }

    /// As [`reduce_by_key_and_window`](Self::reduce_by_key_and_window), into
    /// `partitions` partitions.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn reduce_by_key_and_window_into<F>(
        &self,
        f: F,
        length: Duration,
        slide: Duration,
        partitions: usize,
    ) -> Result<DStream<(K, V)>>
    where
        F: Fn(V, V) -> V + Send + Sync + 'static,
    {
        let site = Location::caller();
        let name = "reduce_by_key_and_window";
        let extent = Extent::check(self, name, length, slide, site)?;
        Ok(self.joined(f, extent, partitions, name, site))
    }

    /// As [`reduce_by_key_and_window`](Self::reduce_by_key_and_window), with an
    /// inverse of `f`: `inverse(f(a, b), b)` is `a`. `f` must be commutative too.
    ///
    /// Guide: Window Operations. The value of each key is changed in place by what
    /// enters, with `f`, and by what leaves, with `inverse`: half the cost of the
    /// form without, in time and in memory for the value. There is no need for a
    /// filter that drops keys with a zero value: a key goes with its last
    /// record.
    ///
    /// Only the integers and `bool` are taken to have an exact inverse. Sums of
    /// floating-point numbers would drift away from what the window holds, and a
    /// struct may contain some, so all other values are joined without `inverse`.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<Str>::new();
    /// // Words of the last 30 seconds, every 10 seconds.
    /// let counts = ssc
    ///     .queue_stream(&queue)?
    ///     .flat_map(|line| line.split(' '))
    ///     .map(|word| (word, 1u64))
    ///     .reduce_by_key_and_window_inverse(
    ///         |a, b| a + b,
    ///         |a, b| a - b,
    ///         Duration::from_secs(30),
    ///         Duration::from_secs(10),
    ///     )?;
    /// counts.print();
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "reduceByKeyAndWindow")]
    #[track_caller]
    pub fn reduce_by_key_and_window_inverse<F, I>(
        &self,
        f: F,
        inverse: I,
        length: Duration,
        slide: Duration,
    ) -> Result<DStream<(K, V)>>
    where
        F: Fn(V, V) -> V + Send + Sync + 'static,
        I: Fn(V, V) -> V + Send + Sync + 'static,
    {
        let partitions = self.default_parallelism();
        self.reduce_by_key_and_window_inverse_into(f, inverse, length, slide, partitions)
    }

    /// As
    /// [`reduce_by_key_and_window_inverse`](Self::reduce_by_key_and_window_inverse),
    /// into `partitions` partitions.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn reduce_by_key_and_window_inverse_into<F, I>(
        &self,
        f: F,
        inverse: I,
        length: Duration,
        slide: Duration,
        partitions: usize,
    ) -> Result<DStream<(K, V)>>
    where
        F: Fn(V, V) -> V + Send + Sync + 'static,
        I: Fn(V, V) -> V + Send + Sync + 'static,
    {
        let site = Location::caller();
        let name = "reduce_by_key_and_window_inverse";
        let extent = Extent::check(self, name, length, slide, site)?;
        Ok(self.joined_with_inverse(f, inverse, extent, partitions, name, site))
    }

    /// The window by key whose values can only be joined.
    pub(super) fn joined<F>(
        &self,
        f: F,
        extent: Extent,
        partitions: usize,
        name: &'static str,
        site: &'static Location<'static>,
    ) -> DStream<(K, V)>
    where
        F: Fn(V, V) -> V + Send + Sync + 'static,
    {
        let f = Arc::new(Reducer(f));
        if extent.is_disjoint() {
            return Disjoint::declare(self, extent, f, partitions, name, site);
        }
        let combine = Arc::clone(&f);
        let (length, slide) = extent.in_panes();
        Sliding::declare(self, extent, f, partitions, name, site, move || {
            Box::new(TwoStacks::new(Arc::clone(&combine), length, slide))
        })
    }

    /// The window by key whose values can be taken out again, if they can.
    pub(super) fn joined_with_inverse<F, I>(
        &self,
        f: F,
        inverse: I,
        extent: Extent,
        partitions: usize,
        name: &'static str,
        site: &'static Location<'static>,
    ) -> DStream<(K, V)>
    where
        F: Fn(V, V) -> V + Send + Sync + 'static,
        I: Fn(V, V) -> V + Send + Sync + 'static,
    {
        if extent.is_disjoint() || !is_exact::<V>() {
            return self.joined(f, extent, partitions, name, site);
        }
        let f = Arc::new(Reducer(f));
        let (combine, inverse) = (Arc::clone(&f), Arc::new(Reducer(inverse)));
        Sliding::declare(self, extent, f, partitions, name, site, move || {
            Box::new(InverseWindow::new(
                Arc::clone(&combine),
                Arc::clone(&inverse),
            ))
        })
    }
}

/// Whether adding and taking out again gives the very same value.
fn is_exact<V: 'static>() -> bool {
    macro_rules! is_one_of {
        ($($exact:ty)*) => {
            [$(TypeId::of::<$exact>()),*].contains(&TypeId::of::<V>())
        };
    }
    is_one_of! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize bool }
}
