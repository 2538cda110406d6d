//! The thread that writes checkpoints under shuttle, with a stream that keeps a sum.

use std::path::Path;
use std::sync::{Arc, Mutex};

use shuttle::thread;

use super::sample::{Batches, DIR, SECOND, at, batches_of, graph};
use super::{CheckpointTimes, Checkpointer, Program, Store};
use crate::disk::Disk;
use crate::disk::sim::{Fault, SimDisk};
use crate::listener::{Bus, CheckpointInfo, StreamingListener};
use crate::shared::Registry;
use crate::sync::explore;
use crate::time::{BatchTime, Deadline, Duration, ManualClock};

/// Notes of which times a checkpoint was written, or could not be.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<(BatchTime, bool)>>>);

impl StreamingListener for Written {
    fn on_checkpoint(&self, checkpoint: &CheckpointInfo) {
        let written = (checkpoint.batch_time, checkpoint.error.is_none());
        self.0.lock().unwrap().push(written);
    }
}

/// Four batches, with a checkpoint wherever one is due, and a stop behind them or meanwhile.
/// The first so many calls of the disk fail.
fn run(stop_early: bool, faults: u64) -> Written {
    let disk = SimDisk::new();
    let store = || Store::open(&(Arc::new(disk.clone()) as Arc<dyn Disk>), Path::new(DIR));
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
        let kept = batches_of(&recovered.streams["batches-0"].pieces);
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
