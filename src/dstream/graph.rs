//! The graph of streams: who is there, in which phase, and since when.

use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::durable::Durable;
use super::input::Input;
use super::input::receiver::DeclaredReceiver;
use super::node::Control;
use super::output::Output;
use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::id::{NodeId, OutputId, StreamId};
use crate::listener::StateInfo;
use crate::state::StateBound;
use crate::sync::engine::AtomicU8;
use crate::sync::lock;
use crate::time::{BatchTime, Duration};

/// The life of a context. It only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamingContextState {
    /// Streams and outputs are being declared.
    Initialized,
    /// Batches are cut and processed.
    Active,
    /// Stopped for good.
    Stopped,
}

/// The streams of one context, shared by their handles.
pub(crate) struct Graph {
    app_name: Arc<str>,
    batch_interval: Duration,
    executor: Arc<Executor>,
    state_bound: StateBound,
    phase: AtomicU8,
    /// Written once at the start, before any thread that reads it exists.
    zero: AtomicI64,
    /// Written by the thread that cuts, read by all that ask for a batch.
    last_cut: AtomicI64,
    /// Written once at the start, before any thread that reads it exists.
    noted_until: AtomicI64,
    /// Written by threads that run jobs, read by who takes checkpoints.
    must_repeat: AtomicBool,
    next_node: AtomicU32,
    state: Mutex<State>,
}

/// Handed out for each batch, so it is shared; grows until the start only.
pub(crate) type List<T> = Arc<Vec<Arc<T>>>;

#[derive(Default)]
struct State {
    /// In order of declaration, so parents stand before their children.
    nodes: List<dyn Control>,
    inputs: List<dyn Input>,
    outputs: List<Output>,
    /// Until the start.
    receivers: Vec<DeclaredReceiver>,
    remember: Option<Duration>,
    checkpoints: Vec<CheckpointWish>,
}

/// A stream that wants to be saved at least this often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CheckpointWish {
    pub(crate) interval: Duration,
    pub(crate) slide: Duration,
    pub(crate) site: &'static Location<'static>,
}

impl Graph {
    pub(crate) fn new(
        app_name: &str,
        batch_interval: Duration,
        executor: Arc<Executor>,
        state_bound: StateBound,
    ) -> Arc<Self> {
        Arc::new(Self {
            app_name: Arc::from(app_name),
            batch_interval,
            executor,
            state_bound,
            phase: AtomicU8::new(0),
            zero: AtomicI64::new(i64::MAX),
            last_cut: AtomicI64::new(i64::MIN),
            noted_until: AtomicI64::new(i64::MIN),
            must_repeat: AtomicBool::new(false),
            next_node: AtomicU32::new(0),
            state: Mutex::default(),
        })
    }

    pub(crate) fn app_name(&self) -> &Arc<str> {
        &self.app_name
    }

    pub(crate) fn batch_interval(&self) -> Duration {
        self.batch_interval
    }

    pub(crate) fn executor(&self) -> &Arc<Executor> {
        &self.executor
    }

    /// How much each operation may keep by key.
    pub(crate) fn state_bound(&self) -> StateBound {
        self.state_bound
    }

    /// The time before the first batch; later than all times until the start.
    pub(crate) fn zero(&self) -> BatchTime {
        BatchTime::from_millis(self.zero.load(Ordering::Acquire))
    }

    /// The latest batch that all inputs were cut for.
    pub(crate) fn last_cut(&self) -> BatchTime {
        BatchTime::from_millis(self.last_cut.load(Ordering::Acquire))
    }

    /// All inputs were cut for the batch `time`.
    pub(crate) fn set_last_cut(&self, time: BatchTime) {
        // Release: who sees the time sees what was cut.
        self.last_cut.store(time.as_millis(), Ordering::Release);
    }

    /// Up to here each batch has to be cut at its own time, as what it had is known.
    pub(crate) fn noted_until(&self) -> BatchTime {
        BatchTime::from_millis(self.noted_until.load(Ordering::Acquire))
    }

    pub(crate) fn set_noted_until(&self, time: BatchTime) {
        self.noted_until.store(time.as_millis(), Ordering::Release);
    }

    /// The first batch that no process before can have made, if the clock says `by_clock`.
    pub(crate) fn fresh_from(&self, by_clock: BatchTime) -> BatchTime {
        // What is known of some input holds for all: a batch comes again as a whole.
        by_clock.max(self.noted_until() + self.batch_interval)
    }

    /// A batch failed that has to come again: no later checkpoint is to be taken.
    pub(crate) fn set_must_repeat(&self) {
        // Relaxed: the count of the batch's jobs orders it for who ends the batch.
        self.must_repeat.store(true, Ordering::Relaxed);
    }

    /// Whether a batch has to come again.
    pub(crate) fn must_repeat(&self) -> bool {
        self.must_repeat.load(Ordering::Relaxed)
    }

    pub(crate) fn phase(&self) -> StreamingContextState {
        match self.phase.load(Ordering::Acquire) {
            0 => StreamingContextState::Initialized,
            1 => StreamingContextState::Active,
            _ => StreamingContextState::Stopped,
        }
    }

    pub(crate) fn set_phase(&self, phase: StreamingContextState) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// An error unless streams may still be declared.
    pub(crate) fn check_open(&self, site: &'static Location<'static>) -> Result<()> {
        let when = match self.phase() {
            StreamingContextState::Initialized => return Ok(()),
            StreamingContextState::Active => "starting",
            StreamingContextState::Stopped => "stopping",
        };
        Err(Error::illegal_state(format!(
            "adding new inputs, transformations and output operations after {when} a context is \
             not supported"
        ))
        .at(site))
    }

    /// As [`check_open`](Self::check_open), for operations that return a stream.
    pub(crate) fn assert_open(&self, site: &'static Location<'static>) {
        if let Err(error) = self.check_open(site) {
            panic!("{error}");
        }
    }

    pub(crate) fn next_node(&self) -> NodeId {
        NodeId(self.next_node.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn add_node(&self, node: Arc<dyn Control>) {
        Arc::make_mut(&mut self.lock().nodes).push(node);
    }

    /// Declares an input; `make` gets its id.
    pub(crate) fn add_input<I: Input + 'static>(
        &self,
        make: impl FnOnce(StreamId) -> Arc<I>,
    ) -> Arc<I> {
        let mut state = self.lock();
        let input = make(StreamId(state.inputs.len() as u32));
        Arc::make_mut(&mut state.inputs).push(Arc::clone(&input) as Arc<dyn Input>);
        Arc::make_mut(&mut state.nodes).push(Arc::clone(&input) as Arc<dyn Control>);
        input
    }

    /// Declares an output, unless another one has its name; `make` gets its number.
    pub(crate) fn add_output(&self, make: impl FnOnce(OutputId) -> Output) -> bool {
        let mut state = self.lock();
        let output = make(OutputId(state.outputs.len() as u32));
        let mut others = state.outputs.iter().filter_map(|other| other.once());
        let is_new = output
            .once()
            .is_none_or(|name| others.all(|other| other != name));
        if is_new {
            Arc::make_mut(&mut state.outputs).push(Arc::new(output));
        }
        is_new
    }

    pub(crate) fn add_receivers(&self, receivers: impl IntoIterator<Item = DeclaredReceiver>) {
        self.lock().receivers.extend(receivers);
    }

    pub(crate) fn take_receivers(&self) -> Vec<DeclaredReceiver> {
        std::mem::take(&mut self.lock().receivers)
    }

    pub(crate) fn inputs(&self) -> List<dyn Input> {
        Arc::clone(&self.lock().inputs)
    }

    /// Starts the inputs; if one cannot be started, those that were are stopped.
    pub(crate) fn start_inputs(&self) -> Result<()> {
        let inputs = self.inputs();
        for (i, input) in inputs.iter().enumerate() {
            if let Err(error) = input.start() {
                for started in &inputs[..i] {
                    started.stop(true);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Stops the inputs, `begin` with the name of each first. `all_ended` tells that
    /// no job runs any more; else one that is in use is stopped by who uses it.
    pub(crate) fn stop_inputs(&self, all_ended: bool, begin: impl Fn(&str)) {
        for input in &*self.inputs() {
            begin(input.name());
            input.stop(all_ended);
        }
    }

    pub(crate) fn outputs(&self) -> List<Output> {
        Arc::clone(&self.lock().outputs)
    }

    /// Sets how long every stream keeps its data at least; once.
    pub(crate) fn remember(&self, duration: Duration) -> Result<()> {
        let mut state = self.lock();
        if let Some(before) = state.remember {
            return Err(Error::illegal_state(format!(
                "remember({duration:?}): the remember duration was already set to {before:?}"
            )));
        }
        state.remember = Some(duration);
        Ok(())
    }

    pub(crate) fn checkpoint_every(&self, wish: CheckpointWish) {
        self.lock().checkpoints.push(wish);
    }

    /// The shortest interval of checkpoints that a stream asked for.
    ///
    /// # Errors
    /// If one cannot be kept.
    pub(crate) fn checkpoint_interval(&self) -> Result<Option<Duration>> {
        let wishes = self.lock().checkpoints.clone();
        for CheckpointWish {
            interval,
            slide,
            site,
        } in &wishes
        {
            if interval.is_zero() || !interval.as_nanos().is_multiple_of(slide.as_nanos()) {
                return Err(Error::illegal_state(format!(
                    "checkpoint({interval:?}): the interval must be a multiple of the stream's \
                     slide interval, {slide:?}"
                ))
                .at(site));
            }
        }
        Ok(wishes.iter().map(|wish| wish.interval).min())
    }

    /// All nodes, in order of declaration.
    pub(crate) fn nodes(&self) -> List<dyn Control> {
        Arc::clone(&self.lock().nodes)
    }

    /// How much each operation keeps by key that does so.
    pub(crate) fn states(&self) -> Vec<StateInfo> {
        let nodes = self.nodes();
        nodes.iter().filter_map(|node| node.state()).collect()
    }

    /// Fixes the zero time, and tells every stream how long it is needed.
    ///
    /// `remember` is the least that the settings ask for.
    pub(crate) fn initialize(&self, zero: BatchTime, remember: Option<Duration>) {
        self.zero.store(zero.as_millis(), Ordering::Release);
        let (nodes, least) = {
            let state = self.lock();
            (Arc::clone(&state.nodes), state.remember.max(remember))
        };
        let least = least.unwrap_or_default();
        for output in &*self.outputs() {
            output.parent().meta().set_read();
        }
        // Children first: each tells its parents what it needs of them.
        for node in nodes.iter().rev() {
            let durable = node.durable().map(Durable::node);
            let is_saved = durable == Some(node.meta().id);
            node.meta().pass_demand(least, node.reach(), is_saved);
        }
    }

    /// Forgets what no later batch needs, as all batches up to `done` ended.
    pub(crate) fn clear(&self, done: BatchTime) {
        let nodes = self.nodes();
        // Inputs last: when their bytes go back to the ring and wake a receiver,
        // no string of a result holds the blocks any more.
        for node in nodes.iter().rev() {
            node.clear(done);
        }
    }

    /// Lets go of all streams. The graph and its streams hold each other, so the
    /// owner of the graph ends that when it goes away. A handle that is left can
    /// declare nothing more, which would make such a circle anew.
    pub(crate) fn dismantle(&self) {
        self.set_phase(StreamingContextState::Stopped);
        let old = std::mem::take(&mut *self.lock());
        drop(old);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Graph")
            .field("batch_interval", &self.batch_interval)
            .field("phase", &self.phase())
            .field("inputs", &state.inputs.len())
            .field("outputs", &state.outputs.len())
            .finish_non_exhaustive()
    }
}
