//! Inputs of the program's own that are asked for their batches.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::direct::{Direct, DirectNode, Made, Told};
use crate::dstream::durable::Repeated;
use crate::dstream::{DStream, Graph};
use crate::error::Result;
use crate::executor::Executor;
use crate::rdd::Rdd;
use crate::rdd::pipe::Data;
use crate::time::BatchTime;

/// An input of the program's own that is asked for each batch, in place of a
/// [`Receiver`](crate::receiver::Receiver) that stores what comes: for a source
/// that keeps its data, such as a log with offsets or a table.
///
/// Each batch time is asked for once, in order, also when no output operation
/// needs it, on a thread that runs jobs: by the first job that needs it, or
/// behind the next batch. So an answer may lag behind its time; what belongs to a
/// batch should follow from the time that is asked for and the one before, not
/// from the present. Batches that were passed over because too many wait are not
/// asked for.
///
/// # Examples
/// ```
/// use millstream::dstream::{InputBatch, InputSource};
/// use millstream::prelude::*;
///
/// /// Numbers, as many in each batch as its time has seconds.
/// struct Numbers {
///     next: u64,
/// }
///
/// impl InputSource<u64> for Numbers {
///     fn compute(
///         &mut self,
///         time: BatchTime,
///         batch: &mut InputBatch<'_>,
///     ) -> millstream::Result<Option<Rdd<u64>>> {
///         let count = time.as_millis() as u64 / 1000 % 60;
///         let numbers = self.next..self.next + count;
///         self.next += count;
///         batch.describe(format!("{numbers:?}"));
///         Ok(Some(batch.parallelize(numbers, 2)))
///     }
/// }
///
/// # fn main() -> millstream::Result<()> {
/// let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
/// ssc.input_stream(Numbers { next: 0 })?.print();
/// # Ok(())
/// # }
/// ```
#[doc(alias = "InputDStream")]
pub trait InputSource<T: Data>: Send + 'static {
    /// Called once when the context starts, before the first batch, on the thread
    /// that starts it.
    ///
    /// # Errors
    /// Whatever keeps it from starting: the context does not start then.
    fn start(&mut self) -> Result<()> {
        Ok(())
    }

    /// Called once when the context stops, behind the last batch, if it was
    /// started.
    fn stop(&mut self) {}

    /// Gives the data of one batch, or none: a stream without data in a batch runs
    /// no output operation for it, and an operation on several streams that needs
    /// it fails. An empty batch is an empty Rdd.
    ///
    /// Other jobs wait until it returns. What takes long is better left to the
    /// records: an Rdd of requests, and a `flat_map` that makes them.
    ///
    /// # Errors
    /// Whatever went wrong: the output operations of this batch that need it fail.
    fn compute(&mut self, time: BatchTime, batch: &mut InputBatch<'_>) -> Result<Option<Rdd<T>>>;

    /// What has to be known to go on behind the batches that were made so far, such as
    /// offsets: saved with each checkpoint. In a context with checkpoints it is asked for
    /// behind each batch, too, and noted durably before the batch is processed if it is
    /// another one than before. Default: nothing.
    ///
    /// # Errors
    /// Whatever went wrong: no checkpoint is taken, or the batch fails. So do those behind
    /// it, for which the source is not asked, until the position is known.
    fn position(&mut self) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    /// Goes on behind a [`position`](Self::position) of an earlier process. Called
    /// before [`start`](Self::start), if a checkpoint has one. Default: nothing.
    ///
    /// # Errors
    /// Whatever keeps it from doing so: the context does not start.
    fn resume(&mut self, position: &[u8]) -> Result<()> {
        let _ = position;
        Ok(())
    }
}

/// What an [`InputSource`] makes a batch with, and tells of it.
pub struct InputBatch<'a> {
    executor: &'a Arc<Executor>,
    num_records: Option<u64>,
    description: String,
    end: Option<Vec<u8>>,
}

impl InputBatch<'_> {
    /// The [`position`](InputSource::position) behind this batch, if a process that has
    /// ended may have made it before: what it is to have ends there, and is nothing if
    /// that is where the source stands. A source that heeds this gives each batch again as
    /// it was, which an output needs that writes [once](DStream::for_each_partition_once).
    #[must_use]
    pub fn end(&self) -> Option<&[u8]> {
        self.end.as_deref()
    }

    /// A data set of `partitions` partitions, as that of
    /// [`StreamingContext::parallelize`](crate::StreamingContext::parallelize). (A
    /// source should not hold the context itself, which holds the source.)
    pub fn parallelize<T: Data>(
        &self,
        records: impl IntoIterator<Item = T>,
        partitions: usize,
    ) -> Rdd<T> {
        Rdd::parallelize(records, partitions, self.executor)
    }

    /// Tells listeners how many records the batch has. By default they hear that
    /// of an Rdd whose records are in memory, and zero of others. The last call
    /// counts.
    #[doc(alias = "reportInfo")]
    pub fn set_num_records(&mut self, records: u64) {
        self.num_records = Some(records);
    }

    /// Tells listeners what the batch is made of, such as ranges of offsets. The
    /// last call counts.
    #[doc(alias = "reportInfo")]
    pub fn describe(&mut self, description: impl Into<String>) {
        self.description = description.into();
    }
}

impl fmt::Debug for InputBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InputBatch")
            .field("num_records", &self.num_records)
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

/// Asks an [`InputSource`].
pub(crate) struct CustomDirect<S> {
    source: S,
    executor: Arc<Executor>,
    /// Where it stands, as far as it was asked.
    position: Vec<u8>,
    repeated: Option<Repeated>,
}

impl<S> CustomDirect<S> {
    pub(crate) fn declare<T: Data>(
        graph: &Arc<Graph>,
        site: &'static Location<'static>,
        source: S,
    ) -> Result<DStream<T>>
    where
        S: InputSource<T>,
    {
        let executor = Arc::clone(graph.executor());
        DirectNode::declare(graph, "Input", site, |_| Self {
            source,
            executor,
            position: Vec::new(),
            repeated: None,
        })
    }

    fn is_repeated(&self, time: BatchTime) -> bool {
        let repeated = self.repeated.as_ref();
        repeated.is_some_and(|repeated| time < repeated.fresh_from)
    }

    /// Where the batch `time` ended when it was made before.
    fn end_of(&mut self, time: BatchTime) -> Option<Vec<u8>> {
        if !self.is_repeated(time) {
            self.repeated = None;
            return None;
        }
        if let Some(noted) = self.repeated.as_mut()?.noted.remove(&time) {
            self.position = noted;
        }
        Some(self.position.clone())
    }
}

impl<T: Data, S: InputSource<T>> Direct<T> for CustomDirect<S> {
    const AHEAD: bool = false;

    fn start(&mut self) -> Result<()> {
        self.source.start()
    }

    fn stop(&mut self) {
        self.source.stop();
    }

    fn compute(&mut self, times: &[BatchTime]) -> Vec<Made<T>> {
        times
            .iter()
            .map(|&time| {
                let end = self.end_of(time);
                let mut batch = InputBatch {
                    executor: &self.executor,
                    num_records: None,
                    description: String::new(),
                    end,
                };
                let rdd = self.source.compute(time, &mut batch);
                let known = || rdd.as_ref().ok()?.as_ref().map(Rdd::known_count);
                let num_records = batch.num_records.or_else(known).unwrap_or(0);
                let description = batch.description;
                Made {
                    rdd,
                    report: Some(Box::new(move || Told {
                        num_records,
                        description: description.clone(),
                    })),
                }
            })
            .collect()
    }

    fn save(&mut self, _time: BatchTime) -> Result<Vec<u8>> {
        self.source.position()
    }

    fn restore(&mut self, saved: &[u8]) -> Result<()> {
        self.position = saved.to_vec();
        self.source.resume(saved)
    }

    fn note(&mut self, times: &[BatchTime]) -> Result<Vec<(BatchTime, Vec<u8>)>> {
        // One, as it makes none ahead.
        let Some(&time) = times.last().filter(|&&time| !self.is_repeated(time)) else {
            return Ok(Vec::new());
        };
        let position = self.source.position()?;
        if position == self.position {
            return Ok(Vec::new());
        }
        self.position.clone_from(&position);
        Ok(vec![(time, position)])
    }

    fn repeat(&mut self, repeated: Repeated) -> Result<()> {
        self.repeated = Some(repeated);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> BatchTime {
        BatchTime::from_millis(1000 * seconds)
    }

    /// Gives nothing, and stands where it is told to.
    struct Standing(Vec<u8>);

    impl InputSource<u64> for Standing {
        fn compute(&mut self, _: BatchTime, _: &mut InputBatch<'_>) -> Result<Option<Rdd<u64>>> {
            Ok(None)
        }

        fn position(&mut self) -> Result<Vec<u8>> {
            Ok(self.0.clone())
        }
    }

    type Standings = CustomDirect<Standing>;

    fn standing() -> Standings {
        CustomDirect {
            source: Standing(Vec::new()),
            executor: Arc::new(Executor::of(1)),
            position: Vec::new(),
            repeated: None,
        }
    }

    /// What is noted of a batch behind which the source stands there.
    fn note(direct: &mut Standings, second: i64, position: &str) -> Option<String> {
        direct.source.0 = position.into();
        let noted = direct.note(&[at(second)]).unwrap();
        assert!(noted.iter().all(|(time, _)| *time == at(second)));
        let mut noted = noted.into_iter();
        let text = noted
            .next()
            .map(|(_, bytes)| String::from_utf8(bytes).unwrap());
        assert!(noted.next().is_none());
        text
    }

    fn some(position: &str) -> Option<String> {
        Some(position.to_owned())
    }

    #[test]
    fn a_position_is_noted_when_it_has_changed_and_not_a_second_time() {
        let mut direct = standing();
        assert_eq!(note(&mut direct, 1, ""), None);
        assert_eq!(note(&mut direct, 2, "a"), some("a"));
        assert_eq!(note(&mut direct, 3, "a"), None);
        assert_eq!(note(&mut direct, 4, "b"), some("b"));
        assert_eq!(note(&mut direct, 5, "a"), some("a"));
        assert_eq!(direct.note(&[]).unwrap(), []);
        direct.restore(b"c").unwrap();
        assert_eq!(note(&mut direct, 6, "c"), None);
    }

    /// Batches that come again end where they ended, and are not noted again.
    #[test]
    fn a_batch_that_comes_again_is_not_noted_again() {
        let mut direct = standing();
        direct.restore(b"a").unwrap();
        let noted = [(at(3), b"b".to_vec()), (at(5), b"c".to_vec())];
        let repeated = Repeated {
            fresh_from: at(6),
            noted: noted.into(),
        };
        direct.repeat(repeated).unwrap();
        let ends = [(2, "a"), (3, "b"), (4, "b"), (5, "c")];
        for (second, end) in ends {
            assert_eq!(direct.end_of(at(second)), Some(end.into()));
            assert_eq!(note(&mut direct, second, "elsewhere"), None);
        }
        assert_eq!(direct.end_of(at(6)), None);
        assert_eq!(note(&mut direct, 6, "c"), None);
        assert_eq!(note(&mut direct, 7, "d"), some("d"));
    }
}
