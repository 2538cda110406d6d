//! `reduce`: all records to one.

use std::panic::Location;
use std::sync::Arc;

use crate::error::Result;
use crate::rdd::pipe::{Data, Pipe, Sink, Step};
use crate::rdd::{Rdd, at_rest, blame};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Joins all records by `f`, which must be associative and commutative;
    /// `None` if there are none.
    ///
    /// # Errors
    /// If a step or `f` panics.
    #[track_caller]
    pub fn reduce<F>(&self, f: F) -> Result<Option<T>>
    where
        F: Fn(T, T) -> T + Send + Sync,
    {
        let step = Step::new("reduce", Location::caller());
        self.executor.stage(|| self.reduce_as(step, &f))
    }

    /// Belongs into a [`stage`](crate::executor::Executor::stage).
    fn reduce_as<F>(&self, step: Step, f: F) -> Result<Option<T>>
    where
        F: Fn(T, T) -> T + Send + Sync,
    {
        let partial = self.fold(Some(step), || Reduced {
            so_far: None,
            f: &f,
        })?;
        let partial = partial.into_iter().filter_map(|worker| worker.so_far);
        self.executor
            .once(|| partial.reduce(&f))
            .map_err(|error| blame(&[step], error))
    }

    /// The reduced records as a data set of at most one element.
    pub(crate) fn reduced<F>(self, step: Step, f: Arc<F>) -> Rdd<T>
    where
        F: Fn(T, T) -> T + Send + Sync + 'static,
    {
        let executor = Arc::clone(&self.executor);
        Rdd::lazy(1, executor, move |_| {
            let reduced = self.reduce_as(step, |a, b| f(a, b))?;
            Ok(at_rest([reduced.into_iter().collect()]))
        })
    }
}

struct Reduced<'f, T, F> {
    so_far: Option<T>,
    f: &'f F,
}

impl<T, F: Fn(T, T) -> T> Sink<T> for Reduced<'_, T, F> {
    #[inline(always)]
    fn push(&mut self, record: T) {
        self.so_far = Some(match self.so_far.take() {
            Some(so_far) => (self.f)(so_far, record),
            None => record,
        });
    }
}
