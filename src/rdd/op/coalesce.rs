//! `coalesce`: the same records in fewer partitions.

use std::sync::Arc;

use crate::error::Result;
use crate::executor::Executor;
use crate::rdd::partition::grouped;
use crate::rdd::pipe::{Data, Pipe, Step};
use crate::rdd::{Dataset, Partitions, Rdd};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Neighbouring partitions read as one, so that at most `partitions` (at least
    /// one) are left; the order of the records stays. No shuffle: for fewer output
    /// files, where evenness does not matter. To spread records over more
    /// partitions use [`repartition`](Self::repartition).
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let few = ssc.parallelize(0..6, 6).coalesce(2);
    /// assert_eq!(few.collect_partitions()?, [[0, 1, 2], [3, 4, 5]]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    pub fn coalesce(self, partitions: usize) -> Rdd<T> {
        let executor = Arc::clone(&self.executor);
        let coalesced = Coalesced {
            base: self.boxed().into_dataset(),
            most: partitions.max(1),
        };
        Rdd::new(Arc::new(coalesced), executor)
    }
}

struct Coalesced<T> {
    base: Arc<dyn Dataset<T>>,
    most: usize,
}

impl<T: Data> Dataset<T> for Coalesced<T> {
    fn num_partitions(&self) -> usize {
        self.base.num_partitions().min(self.most)
    }

    fn partitions(&self, executor: &Executor) -> Result<Partitions<T>> {
        Ok(grouped(&self.base.partitions(executor)?, self.most))
    }

    fn known_count(&self) -> Option<u64> {
        self.base.known_count()
    }

    fn steps(&self, steps: &mut Vec<Step>) {
        self.base.steps(steps);
    }
}
