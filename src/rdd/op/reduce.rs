//! `reduce`: all records to one.

use crate::error::Result;
use crate::rdd::Rdd;
use crate::rdd::pipe::{Data, Pipe, Sink};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Joins all records by `f`, which must be associative and commutative;
    /// `None` if there are none.
    ///
    /// # Errors
    /// If a step or `f` panics.
    pub fn reduce<F>(&self, f: F) -> Result<Option<T>>
    where
        F: Fn(T, T) -> T + Send + Sync,
    {
        let partial = self.fold(|| Reduced { so_far: None, f: &f })?;
        let mut partial = partial.into_iter().filter_map(|reduced| reduced.so_far).peekable();
        if partial.peek().is_none() {
            return Ok(None);
        }
        // The last joins run on the executor too, where a panic is caught.
        let partial = std::sync::Mutex::new(Some(partial.collect::<Vec<_>>()));
        let joined = self.executor.map(1, 1, |_| {
            let partial = partial.lock().unwrap_or_else(|poison| poison.into_inner()).take();
            Ok(partial.unwrap_or_default().into_iter().reduce(&f))
        })?;
        Ok(joined.into_iter().next().flatten())
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
