//! Start, stop and what lies between under shuttle: with all of a context's threads, and a
//! receiver, while the time moves on.
//!
//! A limit of time never runs out here, so whatever a stop would have to give up on fails its
//! model as a deadlock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use shuttle::thread::{self, JoinHandle};

use super::{StreamingContext, StreamingContextBuilder};
use crate::dstream::StreamingContextState;
use crate::error::{ErrorKind, Result};
use crate::id::BlockId;
use crate::receiver::{BlockGeneratorListener, Receiver, ReceiverHandle};
use crate::sync::{engine, explore, lock};
use crate::time::{BatchTime, Duration, ManualClock};

const INTERVAL: Duration = Duration::from_millis(10);

/// How a receiver gives its records away.
#[derive(Clone, Copy)]
enum Stores {
    /// One by one.
    Single,
    /// Each as a block by itself, so that a queue of one is full behind each.
    Blocks,
}

/// Stores numbers on threads of its own, until it is refused.
#[derive(Clone)]
struct Numbers {
    stores: Stores,
    /// The numbers of each thread.
    threads: Vec<Vec<u64>>,
    /// Opened before it starts.
    gate: Option<Arc<Gate>>,
    source: Arc<Source>,
}

/// What a receiver has outside of it.
#[derive(Default)]
struct Source {
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// What was stored, without an error.
    stored: Mutex<Vec<u64>>,
    /// Records that were said to be stored by the block generator.
    acknowledged: AtomicU64,
}

#[derive(Default)]
struct Gate {
    open: engine::Mutex<bool>,
    changed: engine::Condvar,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let open = self.open.lock().unwrap();
        drop(self.changed.wait_while(open, |open| !*open).unwrap());
    }
}

impl Numbers {
    fn new(stores: Stores, threads: &[&[u64]]) -> Self {
        Self {
            stores,
            threads: threads.iter().map(|numbers| numbers.to_vec()).collect(),
            gate: None,
            source: Arc::default(),
        }
    }

    fn run(&self, numbers: Vec<u64>, store: impl Fn(u64) -> Result<(), ()> + Send + 'static) {
        let source = Arc::clone(&self.source);
        let thread = thread::spawn(move || {
            for number in numbers {
                if store(number).is_err() {
                    break;
                }
                source.stored.lock().unwrap().push(number);
            }
        });
        self.source.threads.lock().unwrap().push(thread);
    }

    /// What was stored, once all threads have ended.
    fn stored(&self) -> Vec<u64> {
        let threads = std::mem::take(&mut *self.source.threads.lock().unwrap());
        for thread in threads {
            thread.join().unwrap();
        }
        let mut stored = std::mem::take(&mut *self.source.stored.lock().unwrap());
        stored.sort_unstable();
        stored
    }
}

impl Receiver<u64> for Numbers {
    fn on_start(&mut self, handle: ReceiverHandle<u64>) -> Result<()> {
        if let Some(gate) = &self.gate {
            gate.pass();
        }
        for numbers in self.threads.clone() {
            let (handle, stores) = (handle.clone(), self.stores);
            self.run(numbers, move |number| match stores {
                Stores::Single => handle.store(number).map_err(drop),
                Stores::Blocks => handle.store_many(vec![number]).map_err(drop),
            });
        }
        Ok(())
    }

    fn on_stop(&mut self) {}
}

/// As [`Numbers`], with a block generator.
struct Acknowledging(Numbers);

impl Receiver<u64> for Acknowledging {
    fn on_start(&mut self, handle: ReceiverHandle<u64>) -> Result<()> {
        let generator = handle.block_generator(Acknowledger(Arc::clone(&self.0.source)));
        for numbers in self.0.threads.clone() {
            let generator = generator.clone();
            self.0.run(numbers, move |number| {
                generator.add_data(number).map_err(drop)
            });
        }
        Ok(())
    }

    fn on_stop(&mut self) {}
}

struct Acknowledger(Arc<Source>);

impl BlockGeneratorListener for Acknowledger {
    type Metadata = ();

    fn on_add_data(&self, (): ()) {}

    fn on_generate_block(&self, _: BlockId) {}

    fn on_push_block(&self, _: BlockId, records: usize) {
        self.0
            .acknowledged
            .fetch_add(records as u64, Ordering::Relaxed);
    }
}

/// What an output was given.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(BatchTime, Vec<u64>)>>>);

impl Seen {
    /// All records, after a look at the order of the batches.
    fn records(&self) -> Vec<u64> {
        let batches = lock(&self.0);
        assert!(batches.is_sorted_by(|a, b| a.0 < b.0), "{batches:?}");
        let records = batches.iter().flat_map(|batch| &batch.1);
        let mut records: Vec<_> = records.copied().collect();
        records.sort_unstable();
        records
    }
}

/// A context at 0 ms, and what its output sees of a receiver.
struct Program {
    ssc: StreamingContext,
    clock: ManualClock,
    seen: Seen,
}

impl Program {
    fn new(receiver: impl Receiver<u64>) -> Self {
        Self::with(receiver, |builder| builder)
    }

    fn with(
        receiver: impl Receiver<u64>,
        change: impl FnOnce(StreamingContextBuilder) -> StreamingContextBuilder,
    ) -> Self {
        let clock = ManualClock::new(0);
        let builder = StreamingContext::builder()
            .batch_interval(INTERVAL)
            .workers(1)
            .pin(false)
            .clock(clock.clone())
            .ignore_environment();
        let ssc = change(builder).build().unwrap();
        let seen = Seen::default();
        let sink = seen.clone();
        let numbers = ssc.receiver_stream(receiver).unwrap();
        numbers.foreach_rdd(move |rdd, time| {
            // In one partition: the calling thread reads it, whatever there is.
            let records = rdd.coalesce(1).collect()?;
            sink.0.lock().unwrap().push((time, records));
            Ok(())
        });
        Self { ssc, clock, seen }
    }

    /// A thread that stops the context.
    fn stop(&self, graceful: bool) -> JoinHandle<Result<()>> {
        let ssc = self.ssc.clone();
        thread::spawn(move || ssc.stop(graceful))
    }

    /// A thread that moves the time on, batch by batch.
    fn advance(&self, batches: usize) -> JoinHandle<()> {
        let clock = self.clock.clone();
        thread::spawn(move || (0..batches).for_each(|_| clock.advance(INTERVAL)))
    }

    /// Looks whether nothing of what was stored is missing, or there twice.
    fn check_exact(&self, numbers: &Numbers) {
        assert_eq!(self.seen.records(), numbers.stored());
    }
}

#[test]
fn shuttle_f_29_stops_at_once_all_return() {
    explore(|| {
        let numbers = Numbers::new(Stores::Single, &[&[1, 2]]);
        let program = Program::new(numbers.clone());
        program.ssc.start().unwrap();
        let waiting = {
            let ssc = program.ssc.clone();
            thread::spawn(move || ssc.await_termination())
        };
        let advance = program.advance(1);
        let stops = [program.stop(true), program.stop(true)];
        for stop in stops {
            stop.join().unwrap().unwrap();
        }
        waiting.join().unwrap().unwrap();
        advance.join().unwrap();
        assert_eq!(program.ssc.state(), StreamingContextState::Stopped);
        let again = program.ssc.start().unwrap_err();
        assert_eq!(again.kind(), ErrorKind::IllegalState);
        program.check_exact(&numbers);
    });
}

#[test]
fn shuttle_f_29_a_hard_stop_beside_a_graceful_one_returns() {
    explore(|| {
        let numbers = Numbers::new(Stores::Single, &[&[1, 2]]);
        let program = Program::new(numbers.clone());
        program.ssc.start().unwrap();
        let advance = program.advance(2);
        let stops = [program.stop(false), program.stop(true)];
        for stop in stops {
            stop.join().unwrap().unwrap();
        }
        advance.join().unwrap();
        // What waited was dropped, from some record on.
        let (seen, stored) = (program.seen.records(), numbers.stored());
        assert_eq!(seen, stored[..seen.len()]);
    });
}

#[test]
fn shuttle_f_29_a_start_beside_a_stop_leaves_nothing_half_started() {
    explore(|| {
        let numbers = Numbers::new(Stores::Single, &[&[1]]);
        let program = Program::new(numbers.clone());
        let stop = program.stop(true);
        let started = program.ssc.start();
        stop.join().unwrap().unwrap();
        if let Err(error) = started {
            assert_eq!(error.kind(), ErrorKind::IllegalState);
            assert!(numbers.stored().is_empty());
        }
        assert_eq!(program.ssc.state(), StreamingContextState::Stopped);
        program.ssc.await_termination().unwrap();
        program.check_exact(&numbers);
    });
}

#[test]
fn shuttle_f_29_a_stop_inside_a_job_is_refused_and_handed_on() {
    explore(|| {
        let numbers = Numbers::new(Stores::Single, &[&[1]]);
        let program = Program::new(numbers.clone());
        let (ssc, refused) = (program.ssc.clone(), Arc::new(Mutex::new(Vec::new())));
        let stopper = Arc::new(Mutex::new(None));
        let (kinds, handed_on) = (Arc::clone(&refused), Arc::clone(&stopper));
        let numbers_again = program.ssc.receiver_stream(numbers.clone()).unwrap();
        numbers_again.foreach_rdd(move |_, _| {
            let error = ssc.stop(true).unwrap_err();
            kinds.lock().unwrap().push(error.kind());
            let ssc = ssc.clone();
            let stop = thread::spawn(move || ssc.stop(true));
            handed_on.lock().unwrap().get_or_insert(stop);
            Ok(())
        });
        program.ssc.start().unwrap();
        let advance = program.advance(1);
        program.ssc.await_termination().unwrap();
        advance.join().unwrap();
        let stop = stopper.lock().unwrap().take().unwrap();
        stop.join().unwrap().unwrap();
        let refused = refused.lock().unwrap();
        assert!(refused.iter().all(|&kind| kind == ErrorKind::IllegalState));
    });
}

#[test]
fn shuttle_f_29_a_context_that_is_dropped_ends() {
    explore(|| {
        let numbers = Numbers::new(Stores::Single, &[&[1, 2]]);
        let program = Program::new(numbers.clone());
        program.ssc.start().unwrap();
        let advance = program.advance(1);
        let Program { ssc, seen, .. } = program;
        drop(ssc);
        advance.join().unwrap();
        let (seen, stored) = (seen.records(), numbers.stored());
        assert_eq!(seen, stored[..seen.len()]);
    });
}

#[test]
fn shuttle_r_11_a_stop_while_batches_are_cut_loses_nothing() {
    explore(|| {
        let numbers = Numbers::new(Stores::Single, &[&[1, 2, 3], &[4, 5]]);
        let program = Program::new(numbers.clone());
        program.ssc.start().unwrap();
        let advance = program.advance(3);
        program.stop(true).join().unwrap().unwrap();
        advance.join().unwrap();
        program.check_exact(&numbers);
    });
}

#[test]
fn shuttle_r_11_a_stop_while_jobs_run_beside_each_other_loses_nothing() {
    explore(|| {
        let numbers = Numbers::new(Stores::Single, &[&[1, 2]]);
        let program = Program::with(numbers.clone(), |builder| {
            builder.set("concurrent_jobs", "2")
        });
        program.ssc.start().unwrap();
        let advance = program.advance(2);
        program.stop(true).join().unwrap().unwrap();
        advance.join().unwrap();
        // Batches run beside each other, so in any order.
        program.seen.0.lock().unwrap().sort_unstable();
        program.check_exact(&numbers);
    });
}

#[test]
fn shuttle_r_12_a_receiver_that_registers_late_is_stopped() {
    explore(|| {
        let mut numbers = Numbers::new(Stores::Single, &[&[1, 2]]);
        let gate = Arc::<Gate>::default();
        numbers.gate = Some(Arc::clone(&gate));
        let program = Program::new(numbers.clone());
        program.ssc.start().unwrap();
        let stop = program.stop(true);
        let advance = program.advance(1);
        gate.open();
        stop.join().unwrap().unwrap();
        advance.join().unwrap();
        program.check_exact(&numbers);
    });
}

#[test]
fn shuttle_r_4_a_full_queue_of_one_block_is_drained_and_stopped() {
    explore(|| {
        let numbers = Numbers::new(Stores::Blocks, &[&[1, 2], &[3, 4]]);
        let program = Program::with(numbers.clone(), |builder| {
            builder.set("block_queue_size", "1")
        });
        program.ssc.start().unwrap();
        let advance = program.advance(2);
        let stop = program.stop(true);
        advance.join().unwrap();
        stop.join().unwrap().unwrap();
        program.check_exact(&numbers);
    });
}

#[test]
fn shuttle_r_4_a_full_queue_is_drained_without_a_stop() {
    explore(|| {
        let numbers = Numbers::new(Stores::Blocks, &[&[1, 2, 3]]);
        let program = Program::with(numbers.clone(), |builder| {
            builder.set("block_queue_size", "1")
        });
        program.ssc.start().unwrap();
        // Each of the three needs a cut behind the one before, and comes to be stored.
        let clock = program.clock.clone();
        let source = Arc::clone(&numbers.source);
        let advance = thread::spawn(move || {
            while source.stored.lock().unwrap().len() < 3 {
                clock.advance(INTERVAL);
                thread::yield_now();
            }
        });
        advance.join().unwrap();
        program.stop(true).join().unwrap().unwrap();
        assert_eq!(program.seen.records(), [1, 2, 3]);
    });
}

#[test]
fn shuttle_g_16_a_block_generator_acknowledges_once_what_it_stored() {
    explore(|| {
        let numbers = Numbers::new(Stores::Single, &[&[1, 2], &[3]]);
        // A block holds two records, and one of them waits for a cut.
        let program = Program::with(Acknowledging(numbers.clone()), |builder| {
            builder
                .set("block_queue_size", "1")
                .set("block_interval", "5ms")
        });
        program.ssc.start().unwrap();
        let advance = program.advance(2);
        program.stop(true).join().unwrap().unwrap();
        advance.join().unwrap();
        let stored = numbers.stored();
        assert_eq!(program.seen.records(), stored);
        let acknowledged = numbers.source.acknowledged.load(Ordering::Relaxed);
        assert_eq!(acknowledged, stored.len() as u64);
    });
}
