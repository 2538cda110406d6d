//! `map_with_state`: a call per record with the state of its key.

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::dstream::durable::{Kept, KeptState};
use crate::dstream::stateful::{Advance, StatefulNode, View, blame_step};
use crate::dstream::{DStream, Meta};
use crate::error::Result;
use crate::executor::Spares;
use crate::rdd::pipe::{Data, Pipe, Step};
use crate::rdd::{Arrivals, Rdd, at_rest};
use crate::state::{KeyedState, State};
use crate::time::{BatchTime, Duration};

/// # Operations with state
impl<K, V, P> DStream<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// Calls a function once per record with its key, its value and the
    /// [`State`] of the key, which it may read, update and remove; the stream
    /// holds what the function returned. [`StateSpec`] says which function, and
    /// may add an initial state, a number of partitions and a time-out.
    ///
    /// The records of a key are passed in the order in which they came. A record
    /// that finds no state calls the function too. If a call panics, or the state would
    /// outgrow `state_max_bytes`, the batch fails, and the state of all keys stays as
    /// it was before the batch.
    ///
    /// Guide: Transformations on DStreams. A shuffle of all records; keeps the
    /// state of each key, in memory, until it is removed or times out. A batch
    /// costs what its records and the keys that time out cost, however many keys
    /// there are. No checkpoint directory is needed.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<(Str, u64)>::new();
    /// # let words = ssc.queue_stream(&queue)?;
    /// let count = |word: Str, one: Option<u64>, state: &mut State<u64>| {
    ///     let sum = one.unwrap_or_default() + state.get_option().copied().unwrap_or_default();
    ///     state.update(sum);
    ///     (word, sum)
    /// };
    /// let counts = words.map_with_state(StateSpec::function(count));
    /// counts.print();
    /// counts.state_snapshots().print();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the context was started.
    #[doc(alias = "mapWithState")]
    #[track_caller]
    pub fn map_with_state<S, M, F>(
        &self,
        spec: StateSpec<K, V, S, M, F>,
    ) -> MapWithStateDStream<K, S, M>
    where
        S: Data,
        M: Data,
        F: Fn(BatchTime, K, Option<V>, &mut State<'_, S>) -> Option<M> + Send + Sync + 'static,
    {
        let (graph, site) = (self.graph(), Location::caller());
        graph.assert_open(site);
        let partitions = spec.partitions.unwrap_or(self.default_parallelism());
        let snapshots_wanted = Arc::new(AtomicBool::new(false));
        let meta = |name, parent| Meta::new(graph, name, site, self.slide_interval(), vec![parent]);
        let node = StatefulNode::declare(
            graph,
            meta("map_with_state", self.control()),
            MapWithState {
                parent: self.clone(),
                kept: KeptState::new(
                    KeyedState::new(partitions, spec.timeout).bounded(graph.state_bound()),
                    spec.initial,
                    Arc::clone(graph.executor()),
                ),
                function: spec.function,
                spare: Arc::default(),
                step: Step::new("map_with_state", site),
                snapshots_wanted: Arc::clone(&snapshots_wanted),
                _mapped: PhantomData,
            },
        );
        MapWithStateDStream {
            mapped: View::declare(&node, "map_with_state", |stepped| Some(stepped.mapped)),
            snapshots: View::declare(&node, "state_snapshots", |stepped| stepped.snapshot),
            snapshots_wanted,
        }
    }
}

/// What [`map_with_state`](DStream::map_with_state) does: the function and its
/// options.
///
/// # Examples
/// ```
/// use millstream::prelude::*;
///
/// # fn main() -> millstream::Result<()> {
/// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
/// # let queue = RddQueue::<(Str, u64)>::new();
/// # let clicks = ssc.queue_stream(&queue)?;
/// // Tells a session when it is over.
/// let session = |time: BatchTime, user: Str, clicks: Option<u64>, state: &mut State<u64>| {
///     let sum = state.get_option().copied().unwrap_or_default();
///     match clicks {
///         Some(clicks) => {
///             state.update(sum + clicks);
///             None
///         }
///         None => Some((user, sum, time)),
///     }
/// };
/// clicks
///     .map_with_state(
///         StateSpec::function_with_time(session)
///             .initial_state(ssc.parallelize([(Str::from("ann"), 7)], 1))
///             .num_partitions(4)
///             .timeout(Duration::from_secs(60)),
///     )
///     .print();
/// # Ok(())
/// # }
/// ```
#[must_use = "it does nothing before it is given to `map_with_state`"]
pub struct StateSpec<K: Data, V, S: Data, M, F = ()> {
    function: F,
    initial: Option<Rdd<(K, S)>>,
    partitions: Option<usize>,
    timeout: Option<Duration>,
    _records: PhantomData<fn(V) -> M>,
}

impl<K: Data, V, S: Data, M> StateSpec<K, V, S, M> {
    /// Calls `f` with the key, the value (nothing if the key is timing out) and the
    /// state; the stream holds all that it returns.
    pub fn function<F>(
        f: F,
    ) -> StateSpec<
        K,
        V,
        S,
        M,
        impl Fn(BatchTime, K, Option<V>, &mut State<'_, S>) -> Option<M> + Send + Sync + 'static,
    >
    where
        F: Fn(K, Option<V>, &mut State<'_, S>) -> M + Send + Sync + 'static,
    {
        Self::function_with_time(move |_, key, value, state: &mut State<'_, S>| {
            Some(f(key, value, state))
        })
    }

    /// As [`function`](Self::function); `f` is also told the batch time, and the
    /// stream holds what it returns, if it does.
    pub fn function_with_time<F>(f: F) -> StateSpec<K, V, S, M, F>
    where
        F: Fn(BatchTime, K, Option<V>, &mut State<'_, S>) -> Option<M> + Send + Sync + 'static,
    {
        StateSpec {
            function: f,
            initial: None,
            partitions: None,
            timeout: None,
            _records: PhantomData,
        }
    }
}

impl<K: Data, V, S: Data, M, F> StateSpec<K, V, S, M, F> {
    /// Keys that have a state before the first batch, with that. They count as
    /// touched by the first batch. If a key stands there twice, the last counts.
    /// Default: none.
    #[doc(alias = "initialState")]
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

    /// Lets go of the state of keys that are idle for longer than `timeout`.
    ///
    /// A key is touched by a record that leaves it a state, whether that is updated
    /// or not. In the first batch whose time is more than `timeout` after the last
    /// batch that touched it, behind the records of that batch, the function is
    /// called once more, without a value, and the state is removed. Default: state
    /// is kept until it is removed.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            ..self
        }
    }
}

/// The stream of what the function of [`map_with_state`](DStream::map_with_state)
/// returned: it has all methods of a [`DStream`], and
/// [`state_snapshots`](Self::state_snapshots). Where a `DStream<M>` is asked for,
/// such as by the signature of a function, [`boxed`](DStream::boxed) gives it, at
/// no cost.
#[must_use = "a stream does nothing until an output operation uses it"]
pub struct MapWithStateDStream<K: Data, S: Data, M: Data> {
    mapped: DStream<M>,
    snapshots: DStream<(K, S)>,
    snapshots_wanted: Arc<AtomicBool>,
}

impl<K: Data, S: Data, M: Data> MapWithStateDStream<K, S, M> {
    /// The stream of all keys with their state after each batch.
    ///
    /// Guide: Transformations on DStreams. A snapshot copies nothing when it is
    /// made: it shares the tables of the state. They are copied when a later
    /// batch changes them while somebody still holds it: a window, or the program.
    ///
    /// # Panics
    /// If the context was started.
    #[doc(alias = "stateSnapshots")]
    #[track_caller]
    pub fn state_snapshots(&self) -> DStream<(K, S)> {
        self.graph().assert_open(Location::caller());
        // Relaxed: read by the jobs, which the start of the context comes before.
        self.snapshots_wanted.store(true, Ordering::Relaxed);
        self.snapshots.clone()
    }
}

impl<K: Data, S: Data, M: Data> Deref for MapWithStateDStream<K, S, M> {
    type Target = DStream<M>;

    fn deref(&self) -> &DStream<M> {
        &self.mapped
    }
}

/// The state and the function that changes it.
struct MapWithState<K: Data, V, S: Data, M, P: Pipe<Out = (K, V)>, F> {
    parent: DStream<(K, V), P>,
    kept: KeptState<K, S>,
    function: F,
    /// What records come in.
    spare: Arc<Spares<Vec<(K, V)>>>,
    step: Step,
    snapshots_wanted: Arc<AtomicBool>,
    _mapped: PhantomData<fn() -> M>,
}

/// What one batch gave.
#[derive(Clone)]
struct Stepped<K: Data, S: Data, M: Data> {
    mapped: Rdd<M>,
    /// Only if it is used: who holds it makes the next batch copy the state.
    snapshot: Option<Rdd<(K, S)>>,
}

impl<K, V, S, M, P, F> Advance for MapWithState<K, V, S, M, P, F>
where
    K: Data + Hash + Eq,
    V: Data,
    S: Data,
    M: Data,
    P: Pipe<Out = (K, V)>,
    F: Fn(BatchTime, K, Option<V>, &mut State<'_, S>) -> Option<M> + Send + Sync + 'static,
{
    type Output = Stepped<K, S, M>;

    fn advance(&mut self, time: BatchTime) -> Result<Self::Output> {
        let batch = self.parent.at(time)?;
        let (executor, step) = (self.parent.graph().executor(), self.step);
        let call = |state: &KeyedState<K, S>, records: Arrivals<(K, V)>| {
            let weight = records.len() + state.due(time);
            let mapped = state
                .step(executor, time, weight, records, |partition, records| {
                    partition.call(time, records, &self.function)
                })
                .map_err(|error| blame_step(step, error))?;
            let wanted = self.snapshots_wanted.load(Ordering::Relaxed);
            Ok(Stepped {
                mapped: Rdd::ready(at_rest(mapped), Arc::clone(executor)),
                snapshot: wanted.then(|| Rdd::ready(state.rows(), Arc::clone(executor))),
            })
        };
        let last = |state: &mut S, again| *state = again;
        self.kept
            .advance(time, batch.as_ref(), &self.spare, last, call)
            .map_err(|error| error.in_batch(time.as_millis()).at(step.site))
    }

    fn kept(&mut self) -> &mut dyn Kept {
        &mut self.kept
    }
}

impl<K: Data, V, S: Data, M, F> fmt::Debug for StateSpec<K, V, S, M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateSpec")
            .field("initial_state", &self.initial)
            .field("num_partitions", &self.partitions)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl<K: Data, S: Data, M: Data> Clone for MapWithStateDStream<K, S, M> {
    fn clone(&self) -> Self {
        Self {
            mapped: self.mapped.clone(),
            snapshots: self.snapshots.clone(),
            snapshots_wanted: Arc::clone(&self.snapshots_wanted),
        }
    }
}

impl<K: Data, S: Data, M: Data> fmt::Debug for MapWithStateDStream<K, S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapWithStateDStream")
            .field("mapped", &self.mapped)
            .finish_non_exhaustive()
    }
}
