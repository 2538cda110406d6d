//! The thread that writes checkpoints under shuttle, with a stream that keeps a sum.

use std::any::Any;
use std::panic::Location;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use shuttle::thread;

use super::{CheckpointTimes, Checkpointer, Program, Store};
use crate::disk::Disk;
use crate::disk::sim::{Fault, SimDisk};
use crate::dstream::Graph;
use crate::dstream::durable::{Durable, Keep, NewPiece, Piece, Saved, Uid};
use crate::dstream::node::{Control, Meta};
use crate::error::Result;
use crate::executor::Executor;
use crate::id::NodeId;
use crate::listener::{Bus, CheckpointInfo, StreamingListener};
use crate::shared::Registry;
use crate::state::StateBound;
use crate::sync::explore;
use crate::time::{BatchTime, Deadline, Duration, ManualClock};

const DIR: &str = "/checkpoints";
const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u8) -> BatchTime {
    BatchTime::from_millis(i64::from(seconds) * 1000)
}

/// Keeps which batches there were; a piece has those since the one before.
struct Batches {
    meta: Meta,
    uid: Uid,
    state: Mutex<(Vec<u8>, usize)>,
}

impl Batches {
    fn declare(graph: &Graph) -> Arc<Self> {
        let meta = Meta::new(graph, "batches", Location::caller(), SECOND, Vec::new());
        let batches = Arc::new(Self {
            meta,
            uid: Uid::default(),
            state: Mutex::default(),
        });
        graph.add_node(Arc::clone(&batches) as Arc<dyn Control>);
        batches
    }

    fn add(&self, second: u8) {
        self.state.lock().unwrap().0.push(second);
    }
}

impl Control for Batches {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn clear(&self, _: BatchTime) {}

    fn durable(&self) -> Option<&dyn Durable> {
        Some(self)
    }
}

impl Durable for Batches {
    fn node(&self) -> NodeId {
        self.meta.id
    }

    fn uid(&self) -> &Uid {
        &self.uid
    }

    fn kind(&self) -> &'static str {
        "batches"
    }

    fn offer_codec(&self, _: &dyn Any) -> bool {
        false
    }

    fn can_be_saved(&self) -> bool {
        true
    }

    fn begin(&self) {}

    fn save(&self, time: BatchTime, all: bool) -> Result<Saved> {
        let (batches, saved) = &mut *self.state.lock().unwrap();
        let from = if all { 0 } else { *saved };
        *saved = batches.len();
        Ok(Saved {
            keep: if all { Keep::None } else { Keep::All },
            pieces: vec![NewPiece::new(time, batches[from..].to_vec())],
        })
    }

    fn restore(&self, _: BatchTime, _: Vec<Piece>) -> Result<()> {
        Ok(())
    }

    fn begin_behind(&self, _: BatchTime) {}
}

/// Notes of which times a checkpoint was written, or could not be.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<(BatchTime, bool)>>>);

impl StreamingListener for Written {
    fn on_checkpoint(&self, checkpoint: &CheckpointInfo) {
        let written = (checkpoint.batch_time, checkpoint.error.is_none());
        self.0.lock().unwrap().push(written);
    }
}

fn graph() -> Arc<Graph> {
    static EXECUTOR: OnceLock<Arc<Executor>> = OnceLock::new();
    let executor = EXECUTOR.get_or_init(|| Arc::new(Executor::of(1)));
    let graph = Graph::new("model", SECOND, Arc::clone(executor), StateBound::default());
    graph.initialize(at(0), None);
    graph
}

/// Four batches, with a checkpoint wherever one is due, and a stop behind them or meanwhile.
/// The first so many calls of the disk fail.
fn run(stop_early: bool, faults: u64) -> Written {
    let disk = SimDisk::new();
    let store = || Store::open(Arc::new(disk.clone()) as Arc<dyn Disk>, Path::new(DIR));
    let graph = graph();
    let batches = Batches::declare(&graph);
    let bus = Arc::<Bus>::default();
    let written = Written::default();
    bus.add("Written", Box::new(written.clone()));
    let tell = (Arc::clone(&bus), Arc::new(ManualClock::new(0)) as _);
    let program = Program {
        graph: &graph,
        accumulators: &Arc::<Registry>::default(),
        settings: Vec::new(),
    };
    let store_now = store().unwrap();
    let times = CheckpointTimes {
        interval: SECOND,
        hold: Duration::ZERO,
        last: at(0),
    };
    let on_kept = Box::new(|_| ());
    let checkpointer = Checkpointer::start(program, store_now, tell, times, None, on_kept);
    let checkpointer = Arc::new(checkpointer.unwrap());
    let calls = disk.calls();
    disk.fail(calls..calls + faults, Fault::Io);
    let teller = {
        let bus = Arc::clone(&bus);
        thread::spawn(move || bus.run())
    };
    let jobs = {
        let checkpointer = Arc::clone(&checkpointer);
        thread::spawn(move || {
            for second in 1..=4 {
                batches.add(second);
                checkpointer.batch_done(at(second), false);
            }
        })
    };
    let deadline = Deadline::after(Duration::MAX);
    if stop_early {
        // A stop that is not graceful does not wait for the batches.
        checkpointer.finish(false, deadline).unwrap();
        jobs.join().unwrap();
    } else {
        jobs.join().unwrap();
        checkpointer.finish(true, deadline).unwrap();
    }
    bus.close();
    teller.join().unwrap();
    drop(checkpointer);
    // Also released by now: another process could go on.
    if let Some(recovered) = store().unwrap().recover().unwrap() {
        let pieces = &recovered.streams["batches-0"].pieces;
        let kept: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| piece.bytes.clone())
            .collect();
        let until = (recovered.time.as_millis() / 1000) as u8;
        assert_eq!(kept, (1..=until).collect::<Vec<_>>());
    }
    written
}

#[test]
fn shuttle_a_graceful_stop_leaves_a_checkpoint_of_the_last_batch() {
    explore(|| {
        let written = run(false, 0);
        let written = written.0.lock().unwrap();
        assert!(written.is_sorted_by(|a, b| a.0 < b.0), "{written:?}");
        assert_eq!(written.last(), Some(&(at(4), true)));
    });
}

#[test]
fn shuttle_a_hard_stop_leaves_a_whole_checkpoint() {
    explore(|| {
        let written = run(true, 0);
        let written = written.0.lock().unwrap();
        assert!(written.is_sorted_by(|a, b| a.0 < b.0), "{written:?}");
    });
}

#[test]
fn shuttle_what_a_failed_checkpoint_had_is_in_the_next_one() {
    explore(|| {
        // The first checkpoint in all of its three attempts, each of which looks first for
        // those that have to go.
        let written = run(false, 3);
        let written = written.0.lock().unwrap();
        assert_eq!(written.first().map(|first| first.1), Some(false));
        assert!(written.is_sorted_by(|a, b| a.0 < b.0), "{written:?}");
    });
}
