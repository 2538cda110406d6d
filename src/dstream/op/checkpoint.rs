//! `checkpoint`: what a stream keeps from batch to batch survives the process.

use std::panic::Location;

use crate::codec::{Codec, RecordCodec};
use crate::dstream::graph::CheckpointWish;
use crate::dstream::{DStream, MapWithStateDStream};
use crate::error::Result;
use crate::rdd::pipe::{Data, Pipe};
use crate::time::Duration;

/// # Checkpoints
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// Saves what this stream keeps from batch to batch, its state or its window,
    /// with each checkpoint of the context, at least once per `interval`.
    ///
    /// Guide: Checkpointing. It says how the records are written; whether there are
    /// checkpoints at all, and where, is up to the context
    /// ([`checkpoint`](crate::StreamingContext::checkpoint)), which refuses to start
    /// as long as one of its streams with state or a window by key lacks this call.
    /// The shortest interval of all streams holds for the context. A stream that
    /// keeps nothing has nothing to save: it is made again from its parents.
    ///
    /// A checkpoint writes what changed since the one before. The types of keys and values
    /// may have changed when it is read: [`deploying`](crate::guide::deploying) has what
    /// they may.
    ///
    /// # Errors
    /// If the context was started. That `interval` is not a multiple of the stream's
    /// slide interval is found by the start.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<(Str, u64)>::new();
    /// # let words = ssc.queue_stream(&queue)?;
    /// let counts = words
    ///     .update_state_by_key(|new, old| Some(old.unwrap_or(&0) + new.iter().sum::<u64>()))
    ///     .uid("counts")?
    ///     .checkpoint(Duration::from_secs(10))?;
    /// counts.print();
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn checkpoint(&self, interval: Duration) -> Result<Self>
    where
        T: Codec,
    {
        let (records, values) = (RecordCodec::<T>::new(), RecordCodec::<((), T)>::of_values());
        self.checkpoint_as(&[&records, &values], interval)?;
        Ok(self.clone())
    }

    #[track_caller]
    fn checkpoint_as(&self, codecs: &[&dyn std::any::Any], interval: Duration) -> Result<()> {
        let site = Location::caller();
        self.graph.check_open(site)?;
        if let Some(durable) = self.node.durable() {
            codecs.iter().any(|codec| durable.offer_codec(*codec));
        }
        self.graph.checkpoint_every(CheckpointWish {
            interval,
            slide: self.slide_interval(),
            site,
        });
        Ok(())
    }
}

impl<K: Data, S: Data, M: Data> MapWithStateDStream<K, S, M> {
    /// As [`DStream::checkpoint`], of the state.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn checkpoint(&self, interval: Duration) -> Result<Self>
    where
        K: Codec,
        S: Codec,
    {
        self.checkpoint_as(&[&RecordCodec::<(K, S)>::of_pairs()], interval)?;
        Ok(self.clone())
    }
}
