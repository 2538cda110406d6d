//! Broadcast variables.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A read-only value that all tasks share.
///
/// Guide: Accumulators, Broadcast Variables, and Checkpoints. Made by
/// [`StreamingContext::broadcast`](crate::StreamingContext::broadcast), or by
/// [`new`](Self::new) where no context is at hand. Cloning and reading cost
/// nothing, whatever the size of the value; it is dropped with the last clone. It
/// never changes: to give later batches another value, broadcast that one.
///
/// # Examples
/// A value that is made anew for every batch:
/// ```
/// use millstream::prelude::*;
/// use millstream::shared::Broadcast;
///
/// # fn main() -> millstream::Result<()> {
/// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
/// # let queue = RddQueue::<Str>::new();
/// # fn read_prices(_: BatchTime) -> millstream::Result<Vec<(Str, f64)>> { Ok(vec![]) }
/// let items = ssc.queue_stream(&queue)?;
/// let priced = items.transform(|rdd, time| {
///     let prices = Broadcast::new(read_prices(time)?);
///     Ok(rdd.map(move |item| {
///         let price = prices.iter().find(|(name, _)| *name == item);
///         (item, price.map(|&(_, price)| price))
///     }))
/// });
/// priced.print();
/// # Ok(())
/// # }
/// ```
pub struct Broadcast<T: ?Sized> {
    value: Arc<T>,
}

impl<T> Broadcast<T> {
    /// Shares a value.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self {
            value: Arc::new(value),
        }
    }
}

impl<T: ?Sized> Broadcast<T> {
    /// The value.
    #[must_use]
    pub fn value(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> Deref for Broadcast<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> Clone for Broadcast<T> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
        }
    }
}

impl<T: fmt::Debug + ?Sized> fmt::Debug for Broadcast<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Broadcast").field(&&*self.value).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_are_one_value_that_goes_with_the_last() {
        let value = Arc::new(7);
        let one = Broadcast::new(Arc::clone(&value));
        let two = one.clone();
        assert!(std::ptr::eq(one.value(), two.value()));
        assert_eq!((**one, format!("{one:?}")), (7, "Broadcast(7)".to_owned()));
        drop(one);
        assert_eq!(Arc::strong_count(&value), 2);
        drop(two);
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
