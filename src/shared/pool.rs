//! A pool of connections.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::error::Result;
use crate::sync::lock;
use crate::time::{Clock, Duration, SystemClock};

/// Connections, or other things that are dear to make, for tasks to use in turn.
///
/// Guide: Design Patterns for using foreachRDD. A connection is made when one is
/// needed and none is idle, and is used again by later tasks and batches. There are
/// never more than tasks that run at a time. Cloning gives another handle to the same
/// pool.
///
/// An idle connection that nobody used for `idle_limit` is dropped when the pool is
/// next used; choose less than what the other side allows. What fails while it is
/// used is dropped too, so that a broken connection is not used again.
///
/// # Examples
/// ```
/// use std::io::Write;
/// use std::net::TcpStream;
///
/// use millstream::prelude::*;
/// use millstream::shared::Pool;
///
/// # fn main() -> millstream::Result<()> {
/// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
/// # let queue = RddQueue::<Str>::new();
/// let lines = ssc.queue_stream(&queue)?;
/// let connections = Pool::new(4, Duration::from_secs(30), || {
///     Ok(TcpStream::connect("localhost:7777")?)
/// });
/// lines.foreach_rdd(move |rdd, _time| {
///     rdd.for_each_partition(|mut records| {
///         connections.with(|connection| {
///             records.try_for_each(|line| writeln!(connection, "{line}"))?;
///             Ok(())
///         })
///     })
/// });
/// # Ok(())
/// # }
/// ```
pub struct Pool<T> {
    make: Arc<dyn Fn() -> Result<T> + Send + Sync>,
    max_idle: usize,
    idle_limit: Duration,
    clock: Arc<dyn Clock>,
    idle: Arc<Mutex<VecDeque<Idle<T>>>>,
}

/// A connection that waits, the longest first.
struct Idle<T> {
    connection: T,
    since_nanos: i64,
}

impl<T: Send> Pool<T> {
    /// A pool of what `make` makes, which keeps up to `max_idle` of them while they
    /// are not used.
    #[must_use]
    pub fn new(
        max_idle: usize,
        idle_limit: Duration,
        make: impl Fn() -> Result<T> + Send + Sync + 'static,
    ) -> Self {
        Self {
            make: Arc::new(make),
            max_idle,
            idle_limit,
            clock: Arc::new(SystemClock::new()),
            idle: Arc::default(),
        }
    }

    /// Takes the time from `clock`. Default: the system's clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Calls `work` with a connection that nobody else uses in the meantime: the
    /// one that was used last, or else a new one.
    ///
    /// # Errors
    /// If none can be made, or those of `work`. Then, and if `work` panics, the
    /// connection is dropped.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> Result<R>) -> Result<R> {
        self.drop_expired();
        // Not in the arm of a match, which would hold the lock while it is made.
        let idle = self.lock().pop_back();
        let mut connection = match idle {
            Some(idle) => idle.connection,
            None => (self.make)()?,
        };
        let result = work(&mut connection)?;
        self.give_back(connection);
        Ok(result)
    }

    /// How many connections wait to be used.
    #[must_use]
    pub fn num_idle(&self) -> usize {
        self.lock().len()
    }

    /// Drops the connections that wait: for when one turned out to be broken, such as by a
    /// restart of the other side.
    pub fn drop_idle(&self) {
        let idle = std::mem::take(&mut *self.lock());
        drop(idle);
    }

    fn give_back(&self, connection: T) {
        let idle = Idle {
            connection,
            since_nanos: self.clock.now_nanos(),
        };
        let mut all = self.lock();
        all.push_back(idle);
        let surplus = if all.len() > self.max_idle {
            all.pop_front()
        } else {
            None
        };
        // Behind the lock: closing a connection may take a while.
        drop(all);
        drop(surplus);
    }

    fn drop_expired(&self) {
        let limit = i64::try_from(self.idle_limit.as_nanos()).unwrap_or(i64::MAX);
        let until = self.clock.now_nanos().saturating_sub(limit);
        let mut all = self.lock();
        let expired = all.partition_point(|idle| idle.since_nanos < until);
        let expired: Vec<_> = all.drain(..expired).collect();
        drop(all);
        drop(expired);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Idle<T>>> {
        lock(&self.idle)
    }
}

impl<T> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self {
            make: Arc::clone(&self.make),
            max_idle: self.max_idle,
            idle_limit: self.idle_limit,
            clock: Arc::clone(&self.clock),
            idle: Arc::clone(&self.idle),
        }
    }
}

impl<T: Send> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("num_idle", &self.num_idle())
            .field("max_idle", &self.max_idle)
            .field("idle_limit", &self.idle_limit)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;
    use crate::error::Error;
    use crate::time::ManualClock;

    const SECOND: Duration = Duration::from_secs(1);

    /// Numbers from 0 on, idle for up to ten seconds.
    fn numbers(max_idle: usize) -> (Pool<usize>, ManualClock) {
        let clock = ManualClock::new(0);
        let made = AtomicUsize::new(0);
        let make = move || Ok(made.fetch_add(1, Relaxed));
        let pool = Pool::new(max_idle, 10 * SECOND, make).with_clock(clock.clone());
        (pool, clock)
    }

    fn use_one(pool: &Pool<usize>) -> usize {
        pool.with(|&mut number| Ok(number)).unwrap()
    }

    #[test]
    fn connections_are_made_when_they_are_needed_and_used_again() {
        let (pool, _) = numbers(2);
        assert_eq!(pool.num_idle(), 0);
        assert_eq!([use_one(&pool), use_one(&pool.clone())], [0, 0]);
        let both = pool.with(|&mut one| Ok((one, use_one(&pool))));
        assert_eq!(both.unwrap(), (0, 1));
        assert_eq!(pool.num_idle(), 2);
        assert_eq!(use_one(&pool), 0, "the one that was used last");
    }

    #[test]
    fn no_more_are_kept_than_may_be() {
        for max_idle in 0..4 {
            let (pool, _) = numbers(max_idle);
            let nested = pool.with(|_| pool.with(|_| pool.with(|&mut third| Ok(third))));
            assert_eq!(nested.unwrap(), 2);
            assert_eq!(pool.num_idle(), max_idle.min(3));
        }
    }

    #[test]
    fn what_was_idle_for_too_long_is_dropped() {
        let (pool, clock) = numbers(2);
        pool.with(|_| Ok(use_one(&pool))).unwrap();
        clock.advance(10 * SECOND);
        assert_eq!(use_one(&pool), 0, "the limit itself is not too long");
        clock.advance(SECOND);
        assert_eq!(use_one(&pool), 0);
        assert_eq!(pool.num_idle(), 1, "the other one is gone");
        clock.advance(11 * SECOND);
        assert_eq!(use_one(&pool), 2);
    }

    #[test]
    fn what_fails_is_not_used_again() {
        let (pool, _) = numbers(2);
        assert_eq!(use_one(&pool), 0);
        let error = pool.with(|_| Err::<(), _>(Error::illegal_state("broken pipe")));
        assert!(error.unwrap_err().to_string().ends_with("broken pipe"));
        assert_eq!((pool.num_idle(), use_one(&pool)), (0, 1));
        let panic = || pool.with(|_| -> Result<()> { panic!("no") });
        catch_unwind(AssertUnwindSafe(panic)).unwrap_err();
        assert_eq!((pool.num_idle(), use_one(&pool)), (0, 2));
    }

    #[test]
    fn what_cannot_be_made_is_an_error() {
        let pool = Pool::<usize>::new(1, SECOND, || Err(Error::illegal_state("refused")));
        let error = pool.with(|_| Ok(())).unwrap_err();
        assert!(error.to_string().ends_with("refused"));
    }
}
