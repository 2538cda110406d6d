//! Data sets and inputs that a context makes.

use std::panic::Location;
use std::sync::Arc;

use super::StreamingContext;
use crate::block::{Str, TextBlock};
use crate::dstream::input::constant::ConstantIngest;
use crate::dstream::input::queue::QueueIngest;
use crate::dstream::{DStream, RddQueue, check_like, union_of};
use crate::error::Result;
use crate::rdd::pipe::{Data, Pipe};
use crate::rdd::{Lines, Partition, Rdd, at_rest};

/// # Data sets
impl StreamingContext {
    /// A static data set of `partitions` partitions (at least one) of nearly
    /// equal length, in the order of `records`.
    pub fn parallelize<T: Data>(
        &self,
        records: impl IntoIterator<Item = T>,
        partitions: usize,
    ) -> Rdd<T> {
        let mut records = records.into_iter().collect::<Vec<_>>().into_iter();
        let (n, p) = (records.len(), partitions.max(1));
        let slices = (0..p).map(|i| {
            let len = cut_point(i + 1, n, p) - cut_point(i, n, p);
            records.by_ref().take(len).collect::<Vec<_>>()
        });
        Rdd::ready(
            at_rest(slices.collect::<Vec<_>>()),
            Arc::clone(self.inner.graph.executor()),
        )
    }

    /// The lines of a text as a data set, in blocks of `block_bytes`: the text is
    /// copied once, its lines are slices of the blocks. Bytes that are not UTF-8
    /// become U+FFFD when a line is read.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let words = ssc.text_lines("to be\nor not to be\n").flat_map(|line| line.split(' '));
    /// assert_eq!(words.count()?, 6);
    /// # millstream::Result::Ok(())
    /// ```
    pub fn text_lines(&self, text: impl AsRef<[u8]>) -> Rdd<Str> {
        let parts = text_blocks(text.as_ref(), self.inner.conf.block_bytes);
        Rdd::ready(parts.into(), Arc::clone(self.inner.graph.executor()))
    }
}

/// Where slice `i` of `p` begins, of `n` records.
fn cut_point(i: usize, n: usize, p: usize) -> usize {
    (i as u128 * n as u128 / p as u128) as usize
}

/// Copies a text into blocks of whole lines.
fn text_blocks(text: &[u8], block_bytes: usize) -> Vec<Arc<dyn Partition<Str>>> {
    let mut parts: Vec<Arc<dyn Partition<Str>>> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = block_end(rest, block_bytes);
        let (bytes, next) = rest.split_at(end);
        let mut count = 0;
        crate::arch::lines(bytes, |_, _, _| {
            count += 1;
            true
        });
        // SAFETY: the whole block was just written, and nobody else has it.
        let lines = unsafe { Lines::new(TextBlock::copy_of(bytes), 0, end, count, ()) };
        parts.push(Arc::new(lines));
        rest = next;
    }
    parts
}

/// Where the first block of `text` ends: behind a line, near `block_bytes`.
fn block_end(text: &[u8], block_bytes: usize) -> usize {
    if text.len() <= block_bytes {
        return text.len();
    }
    match memchr::memrchr(b'\n', &text[..block_bytes]) {
        Some(at) => at + 1,
        None => memchr::memchr(b'\n', text).map_or(text.len(), |at| at + 1),
    }
}

/// # Input streams
impl StreamingContext {
    /// Takes one Rdd of the queue per batch; an empty batch when it is empty.
    /// For tests and for data that is already in the process.
    ///
    /// # Errors
    /// If the context was started.
    #[doc(alias = "queueStream")]
    #[track_caller]
    pub fn queue_stream<T: Data>(&self, queue: &RddQueue<T>) -> Result<DStream<T>> {
        self.queue_stream_with(queue, true, None)
    }

    /// As [`queue_stream`](Self::queue_stream): one Rdd per batch, or all that
    /// wait as one; `default` stands in when the queue is empty.
    ///
    /// # Errors
    /// If the context was started.
    #[track_caller]
    pub fn queue_stream_with<T: Data>(
        &self,
        queue: &RddQueue<T>,
        one_at_a_time: bool,
        default: Option<Rdd<T>>,
    ) -> Result<DStream<T>> {
        let default = default.unwrap_or_else(|| self.parallelize(Vec::new(), 1));
        let site = Location::caller();
        QueueIngest::declare(&self.inner.graph, site, queue, one_at_a_time, default)
    }

    /// The same Rdd in every batch.
    ///
    /// # Errors
    /// If the context was started.
    #[doc(alias = "ConstantInputDStream")]
    #[track_caller]
    pub fn constant_stream<T: Data>(&self, rdd: Rdd<T>) -> Result<DStream<T>> {
        ConstantIngest::declare(&self.inner.graph, Location::caller(), rdd)
    }

    /// The union of streams of one type: in each batch all their partitions.
    ///
    /// # Errors
    /// If the list is empty, a stream belongs to another context, they slide
    /// differently, or the context was started.
    #[track_caller]
    pub fn union<T: Data, P: Pipe<Out = T>>(
        &self,
        streams: impl IntoIterator<Item = DStream<T, P>>,
    ) -> Result<DStream<T>> {
        let site = Location::caller();
        let graph = &self.inner.graph;
        graph.check_open(site)?;
        let streams: Vec<_> = streams.into_iter().collect();
        if let Some(first) = streams.first() {
            for stream in &streams {
                check_like(graph, first.slide_interval(), stream, site)?;
            }
        }
        union_of(streams.iter().map(DStream::boxed).collect(), site)
    }
}
