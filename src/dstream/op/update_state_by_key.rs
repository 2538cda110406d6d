//! `update_state_by_key`: a value by key that each batch makes anew.

use std::fmt;
use std::hash::Hash;
use std::panic::Location;
use std::sync::Arc;

use crate::dstream::durable::{Kept, KeptState};
use crate::dstream::stateful::{Advance, StatefulNode, View, blame_step};
use crate::dstream::{DStream, Meta};
use crate::error::Result;
use crate::executor::{Executor, Spares};
use crate::rdd::pipe::{Data, Pipe, Sink, Step};
use crate::rdd::{Arrivals, Rdd, Scatter};
use crate::state::{KeyedState, StateEntries};
use crate::time::BatchTime;

/// # Operations with state
impl<K, V, P> DStream<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// The state of each key, which `f` makes of the values of the key in the batch
    /// and of its state before; where it returns nothing the key is removed.
    ///
    /// In every batch `f` is called once for each key that has a state or values,
    /// so also for those without data. The values are in the order in which they
    /// came. The stream holds all keys with their state, in every batch. If a call
    /// panics, or the state would outgrow `state_max_bytes`, the batch fails, and the
    /// state of all keys stays as it was before it.
    ///
    /// Guide: `UpdateStateByKey` Operation. A shuffle of all records; keeps the state
    /// of each key, in memory, until it is removed. A batch costs what all keys
    /// cost; [`map_with_state`](Self::map_with_state) touches only those with
    /// data. The batch that is given shares the tables of the state; they are
    /// copied if somebody still holds it when the next one is processed. A state
    /// that holds a [`Str`](crate::Str) of a record should
    /// [`compact`](crate::Str::compact) it. No checkpoint directory is needed.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<(Str, u64)>::new();
    /// let words = ssc.queue_stream(&queue)?;
    /// let counts = words.update_state_by_key(|new: &[u64], count: Option<&u64>| {
    ///     Some(count.copied().unwrap_or_default() + new.iter().sum::<u64>())
    /// });
    /// counts.print();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the context was started.
    #[doc(alias = "updateStateByKey")]
    #[track_caller]
    pub fn update_state_by_key<S, F>(&self, f: F) -> DStream<(K, S)>
    where
        S: Data,
        F: Fn(&[V], Option<&S>) -> Option<S> + Send + Sync + 'static,
    {
        self.update_state_by_key_into(f, self.default_parallelism())
    }

    /// As [`update_state_by_key`](Self::update_state_by_key), with the state in
    /// `partitions` partitions.
    ///
    /// # Panics
    /// If the context was started.
    #[track_caller]
    pub fn update_state_by_key_into<S, F>(&self, f: F, partitions: usize) -> DStream<(K, S)>
    where
        S: Data,
        F: Fn(&[V], Option<&S>) -> Option<S> + Send + Sync + 'static,
    {
        self.update_state_by_key_with(
            move |_, _, values, state| f(values, state),
            UpdateOptions::new().num_partitions(partitions),
        )
    }

    /// As [`update_state_by_key`](Self::update_state_by_key) with more to say: `f`
    /// is also told the batch time and the key, and there may be an initial state.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    /// use millstream::UpdateOptions;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<(Str, u64)>::new();
    /// # let words = ssc.queue_stream(&queue)?;
    /// let known = ssc.parallelize([(Str::from("to"), BatchTime::from_millis(0))], 1);
    /// let last_seen = words.update_state_by_key_with(
    ///     |time, _: &Str, new: &[u64], last: Option<&BatchTime>| {
    ///         if new.is_empty() { last.copied() } else { Some(time) }
    ///     },
    ///     UpdateOptions::new().initial_state(known),
    /// );
    /// last_seen.print();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the context was started.
    #[track_caller]
    pub fn update_state_by_key_with<S, F>(
        &self,
        f: F,
        options: UpdateOptions<K, S>,
    ) -> DStream<(K, S)>
    where
        S: Data,
        F: Fn(BatchTime, &K, &[V], Option<&S>) -> Option<S> + Send + Sync + 'static,
    {
        let update = move |state: &KeyedState<K, S>, executor: &Executor, batch: Batch<K, V>| {
            let Batch { time, records } = batch;
            let weight = records.len() + state.len();
            state.step(executor, time, weight, records, |partition, records| {
                partition.update(records, |key, values, old| f(time, key, values, old));
            })?;
            Ok(())
        };
        self.updated(options, update, Location::caller())
    }

    /// As [`update_state_by_key`](Self::update_state_by_key) with a function that
    /// is given a whole partition: an iterator over each key that has a state or
    /// values, the values, and the state before. The keys that it returns, with
    /// their state, are all that there are afterwards.
    ///
    /// It may return other keys than it was given. Those that belong to another
    /// partition are moved there, so what Spark calls `rememberPartitioner` need
    /// not be said. If a key is returned twice, the first counts.
    ///
    /// Costs a copy of each key and state, and a new table, in every batch.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    /// use millstream::UpdateOptions;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<(Str, u64)>::new();
    /// # let words = ssc.queue_stream(&queue)?;
    /// let counts = words.update_state_by_partition(
    ///     |_, entries| {
    ///         entries.map(|(word, new, count)| {
    ///             (word, count.unwrap_or(0) + new.iter().sum::<u64>())
    ///         })
    ///     },
    ///     UpdateOptions::new(),
    /// );
    /// counts.print();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the context was started.
    #[track_caller]
    pub fn update_state_by_partition<S, F, I>(
        &self,
        f: F,
        options: UpdateOptions<K, S>,
    ) -> DStream<(K, S)>
    where
        S: Data,
        F: Fn(BatchTime, StateEntries<K, V, S>) -> I + Send + Sync + 'static,
        I: IntoIterator<Item = (K, S)>,
    {
        let update = move |state: &KeyedState<K, S>, executor: &Executor, batch: Batch<K, V>| {
            let Batch { time, records } = batch;
            let partitioner = state.partitioner();
            let n = partitioner.partitions();
            let weight = records.len() + state.len();
            let kept = state.step(executor, time, weight, records, |partition, records| {
                let mut kept = Scatter::new(n, partitioner.by_key());
                for entry in f(time, partition.entries(records)) {
                    kept.push(entry);
                }
                kept.into_buckets()
            })?;
            let kept = Arrivals::of(executor, n, kept)?;
            state.rebuild(executor, time, kept)
        };
        self.updated(options, update, Location::caller())
    }

    fn updated<S, U>(
        &self,
        options: UpdateOptions<K, S>,
        update: U,
        site: &'static Location<'static>,
    ) -> DStream<(K, S)>
    where
        S: Data,
        U: Fn(&KeyedState<K, S>, &Executor, Batch<K, V>) -> Result<()> + Send + Sync + 'static,
    {
        const NAME: &str = "update_state_by_key";
        let graph = self.graph();
        graph.assert_open(site);
        let partitions = options.partitions.unwrap_or(self.default_parallelism());
        let meta = Meta::new(
            graph,
            NAME,
            site,
            self.slide_interval(),
            vec![self.control()],
        );
        let operator = UpdateState {
            parent: self.clone(),
            kept: KeptState::new(
                KeyedState::new(partitions, None).bounded(graph.state_bound()),
                options.initial,
                Arc::clone(graph.executor()),
            ),
            began: false,
            update,
            spare: Arc::default(),
            step: Step::new(NAME, site),
        };
        View::declare(
            &StatefulNode::declare(graph, meta, operator),
            NAME,
            |rows| rows,
        )
    }
}

/// What [`update_state_by_key_with`](DStream::update_state_by_key_with) may be told.
#[must_use = "it does nothing before it is given to an operation"]
pub struct UpdateOptions<K: Data, S: Data> {
    initial: Option<Rdd<(K, S)>>,
    partitions: Option<usize>,
}

impl<K: Data, S: Data> UpdateOptions<K, S> {
    /// All defaults.
    pub fn new() -> Self {
        Self {
            initial: None,
            partitions: None,
        }
    }

    /// Keys that have a state before the first batch, with that. If a key stands
    /// there twice, the first counts. Default: none.
    #[doc(alias = "initialRDD")]
    pub fn initial_state<P: Pipe<Out = (K, S)>>(self, state: Rdd<(K, S), P>) -> Self {
        Self {
            initial: Some(state.boxed()),
            ..self
        }
    }

    /// Into how many partitions the state is divided (at least one). Default: the
    /// default parallelism.
    #[doc(alias = "numPartitions")]
    pub fn num_partitions(self, partitions: usize) -> Self {
        Self {
            partitions: Some(partitions),
            ..self
        }
    }
}

impl<K: Data, S: Data> Default for UpdateOptions<K, S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Data, S: Data> fmt::Debug for UpdateOptions<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpdateOptions")
            .field("initial_state", &self.initial)
            .field("num_partitions", &self.partitions)
            .finish()
    }
}

/// The state, and what makes it anew.
struct UpdateState<K: Data, V, S: Data, P: Pipe<Out = (K, V)>, U> {
    parent: DStream<(K, V), P>,
    kept: KeptState<K, S>,
    /// Whether the parent has given an Rdd; before there is no state.
    began: bool,
    update: U,
    /// What records come in.
    spare: Arc<Spares<Vec<(K, V)>>>,
    step: Step,
}

/// What came in a batch.
struct Batch<K, V> {
    time: BatchTime,
    records: Arrivals<(K, V)>,
}

impl<K, V, S, P, U> Advance for UpdateState<K, V, S, P, U>
where
    K: Data + Hash + Eq,
    V: Data,
    S: Data,
    P: Pipe<Out = (K, V)>,
    U: Fn(&KeyedState<K, S>, &Executor, Batch<K, V>) -> Result<()> + Send + Sync + 'static,
{
    type Output = Option<Rdd<(K, S)>>;

    fn advance(&mut self, time: BatchTime) -> Result<Self::Output> {
        let batch = self.parent.at(time)?;
        if batch.is_none() && !self.began {
            return Ok(None);
        }
        self.began = true;
        let (executor, step) = (self.parent.graph().executor(), self.step);
        let update = |state: &KeyedState<K, S>, records| {
            (self.update)(state, executor, Batch { time, records })
                .map_err(|error| blame_step(step, error))?;
            Ok(Rdd::ready(state.rows(), Arc::clone(executor)))
        };
        self.kept
            .advance(time, batch.as_ref(), &self.spare, |_, _| (), update)
            .map_err(|error| error.in_batch(time.as_millis()).at(step.site))
            .map(Some)
    }

    fn kept(&mut self) -> &mut dyn Kept {
        &mut self.kept
    }

    fn restored(&mut self) {
        self.began = true;
    }
}
