//! The accumulators of a context that come back after recovery.

use std::sync::Arc;

use super::super::StreamingContext;
use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::shared::{Accumulate, Accumulator, DoubleAccumulator, LongAccumulator, Registry};

/// Those that are saved with checkpoints, if there are any.
#[derive(Debug, Default)]
pub(in crate::context) struct Accumulators(pub(super) Arc<Registry>);

impl Accumulators {
    #[track_caller]
    pub(in crate::context) fn add_long(&self, accumulator: &LongAccumulator) {
        self.add("long accumulator", accumulator);
    }

    #[track_caller]
    pub(in crate::context) fn add_double(&self, accumulator: &DoubleAccumulator) {
        self.add("double accumulator", accumulator);
    }

    #[track_caller]
    fn add<A: Accumulate + Codec>(&self, kind: &'static str, accumulator: &Accumulator<A>) {
        if let Err(error) = self.0.add(kind, accumulator) {
            panic!("{error}");
        }
    }
}

/// # Checkpoints
impl StreamingContext {
    /// Saves an accumulator with each checkpoint, under its name, so that it has its
    /// value again after recovery.
    ///
    /// Guide: Accumulators, Broadcast Variables, and Checkpoints. Numbers
    /// ([`long_accumulator`](Self::long_accumulator),
    /// [`double_accumulator`](Self::double_accumulator)) need no such call. If it is
    /// called before the start, that gives the accumulator the value that was saved; if
    /// later, this call does. Until then it has what was added in this process. An
    /// accumulator that nobody holds any more is no longer saved. Its type may get other
    /// fields, as that of a state may ([`deploying`](crate::guide::deploying)). Without a
    /// checkpoint directory nothing happens.
    ///
    /// # Errors
    /// If the accumulator has no name. If this is called after the start, and what
    /// was saved under the name cannot be the value of this accumulator; before the
    /// start that is found by [`start`](Self::start), as are two accumulators of one
    /// name.
    ///
    /// # Examples
    /// ```
    /// use std::collections::BTreeSet;
    ///
    /// use millstream::prelude::*;
    /// use millstream::shared::Accumulate;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Clone, Default, Serialize, Deserialize)]
    /// struct Distinct(BTreeSet<u32>);
    ///
    /// impl Accumulate for Distinct {
    ///     type Input = u32;
    ///
    ///     fn zero(&self) -> Self {
    ///         Self::default()
    ///     }
    ///
    ///     fn add(&mut self, input: u32) {
    ///         self.0.insert(input);
    ///     }
    ///
    ///     fn merge(&mut self, other: Self) {
    ///         self.0.extend(other.0);
    ///     }
    /// }
    ///
    /// # use millstream::time::ManualClock;
    /// # fn main() -> millstream::Result<()> {
    /// # let dir = std::env::temp_dir().join(format!("millstream-acc-{}", std::process::id()));
    /// # let logs = std::env::temp_dir();
    /// // What a process adds, the next one finds.
    /// for user in [0, 1] {
    ///     # let clock = ManualClock::new(i64::from(user) * 1000);
    ///     # let builder = || StreamingContext::builder().clock(clock.clone());
    ///     # let make = || builder().batch_interval(Duration::from_secs(1)).build();
    ///     let ssc = StreamingContext::get_or_create(&dir, make)?;
    ///     let users = ssc.accumulator("users", Distinct::default());
    ///     ssc.checkpoint_accumulator(&users)?;
    ///     # ssc.text_file_stream(format!("{}/none-*", logs.display()))?.print();
    ///     ssc.start()?;
    ///     assert_eq!(users.value().0.len(), user as usize);
    ///     users.add(user);
    ///     # clock.advance(Duration::from_secs(1));
    ///     # ssc.await_batch(BatchTime::from_millis(i64::from(user) * 1000 + 1000));
    ///     ssc.stop(true)?;
    /// }
    /// # std::fs::remove_dir_all(&dir)?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn checkpoint_accumulator<A: Accumulate + Codec>(
        &self,
        accumulator: &Accumulator<A>,
    ) -> Result<()> {
        let site = std::panic::Location::caller();
        if accumulator.name().is_empty() {
            let what = "checkpoint_accumulator: the accumulator has no name to be found by";
            return Err(Error::illegal_state(what).at(site));
        }
        let added = self.inner.accumulators.0.add("accumulator", accumulator);
        added.map_err(|error| error.at(site))
    }

    /// Lets go of what the checkpoint has of an accumulator that the program has no
    /// more, or not in that way.
    ///
    /// # Errors
    /// If the context was started.
    #[track_caller]
    pub fn discard_saved_accumulator(&self, name: &str) -> Result<()> {
        self.check_initialized("discard_saved_accumulator")?;
        let mut setup = self.inner.setup();
        if let Some(recovered) = &mut setup.recovered {
            recovered.discard_accumulator(name);
        }
        Ok(())
    }
}
