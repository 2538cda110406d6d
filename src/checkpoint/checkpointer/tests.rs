use std::path::Path;

use super::super::sample::{Batches, DIR, Fails, SECOND, at, batches_of, graph};
use super::super::store::{file_name, times};
use super::*;
use crate::disk::sim::SimDisk;
use crate::time::ManualClock;

/// A process, with a checkpoint behind each batch that allows it.
struct Process {
    graph: Arc<Graph>,
    batches: Arc<Batches>,
    checkpointer: Checkpointer,
}

impl Process {
    fn start(disk: &SimDisk, hold: Duration) -> Self {
        let store = store(disk);
        let before = store.recover().unwrap();
        Self::go_on(store, before, hold)
    }

    fn go_on(store: Store, before: Option<Recovered>, hold: Duration) -> Self {
        let last = before.as_ref().map_or(at(0), |recovered| recovered.time);
        let graph = graph();
        let batches = Batches::declare(&graph);
        let program = Program {
            graph: &graph,
            accumulators: &Arc::default(),
            settings: Vec::new(),
        };
        let clock = Arc::new(ManualClock::new(last.as_millis()));
        let times = CheckpointTimes {
            last,
            interval: SECOND,
            hold,
        };
        let tell = (Arc::default(), clock as Arc<dyn Clock>);
        let on_kept = Box::new(|_| ());
        let checkpointer = Checkpointer::start(program, store, tell, times, before, on_kept);
        Self {
            graph,
            batches,
            checkpointer: checkpointer.unwrap(),
        }
    }

    /// What comes of the checkpoint behind the batch of this second.
    fn run(&self, second: u8, has_failed: bool) -> Result<()> {
        self.batches.add(second);
        self.checkpointer.batch_done(at(second), has_failed);
        self.checkpointer.desk.wait()
    }

    fn stop(self, all_done: bool) -> Result<()> {
        let deadline = Deadline::after(Duration::MAX);
        self.checkpointer.finish(all_done, deadline)
    }
}

fn store(disk: &SimDisk) -> Store {
    Store::open(&(Arc::new(disk.clone()) as _), Path::new(DIR)).unwrap()
}

/// The checkpoints that there are.
fn there(disk: &SimDisk) -> Vec<BatchTime> {
    times(disk, Path::new(DIR)).unwrap()
}

/// The time of the newest checkpoint, and which batches it has.
fn newest(disk: &SimDisk) -> (BatchTime, Vec<u8>) {
    let recovered = store(disk).recover().unwrap().unwrap();
    let batches = batches_of(&recovered.streams["batches-0"].pieces);
    (recovered.time, batches)
}

/// Nothing is held up for it, but a store has to get what it refused.
#[test]
fn f_8_no_checkpoint_passes_over_a_batch_that_has_to_come_again() {
    let disk = SimDisk::new();
    let process = Process::start(&disk, Duration::ZERO);
    process.run(1, false).unwrap();
    process.graph.set_must_repeat();
    process.run(2, true).unwrap();
    process.run(3, false).unwrap();
    assert_eq!(there(&disk), [at(1)]);
    process.stop(true).unwrap();
    assert_eq!(there(&disk), [at(1)]);
}

#[test]
fn f_8_a_batch_that_failed_holds_checkpoints_up_exactly_so_long() {
    for (hold, expected) in [(0, vec![1, 2, 3, 4, 5]), (2, vec![1, 4, 5])] {
        let disk = SimDisk::new();
        let process = Process::start(&disk, hold * SECOND);
        for second in 1..=5 {
            process.run(second, second == 2).unwrap();
        }
        let expected: Vec<_> = expected.into_iter().map(at).collect();
        assert_eq!(there(&disk), expected);
        process.stop(false).unwrap();
    }
}

/// A stream that failed has told what it had, which nobody has now: it tells all the next time.
#[test]
fn f_10_what_a_stream_could_not_save_is_in_the_next_checkpoint() {
    for fails in [Fails::Asked, Fails::Written] {
        let disk = SimDisk::new();
        let process = Process::start(&disk, Duration::ZERO);
        process.run(1, false).unwrap();
        process.batches.fail(fails);
        let told = process.run(2, false);
        // Who is asked tells who listens, and nobody is left to wait for.
        assert_eq!(told.is_err(), matches!(fails, Fails::Written), "{fails:?}");
        assert_eq!(there(&disk), [at(1)]);
        process.run(3, false).unwrap();
        process.stop(false).unwrap();
        assert_eq!(newest(&disk), (at(3), vec![1, 2, 3]), "{fails:?}");
    }
}

/// The same, if a stop is the next that comes.
#[test]
fn f_10_what_could_not_be_saved_is_in_the_checkpoint_of_a_stop() {
    for fails in [Fails::Asked, Fails::Written] {
        let disk = SimDisk::new();
        let process = Process::start(&disk, Duration::ZERO);
        process.run(1, false).unwrap();
        process.batches.fail(fails);
        let _ = process.run(2, false);
        process.stop(true).unwrap();
        assert_eq!(newest(&disk), (at(2), vec![1, 2]), "{fails:?}");
    }
}

/// Checkpoints behind the one that could be read go with the first one that is written.
#[test]
fn f_12_a_process_that_goes_on_leaves_no_checkpoint_behind_its_own() {
    let disk = SimDisk::new();
    let first = Process::start(&disk, Duration::ZERO);
    for second in 1..=5 {
        first.run(second, false).unwrap();
    }
    first.stop(false).unwrap();
    let third = Path::new(DIR).join(file_name(at(3)));
    disk.damage(&third, |bytes| bytes[9] ^= 1).unwrap();

    let second = Process::start(&disk, Duration::ZERO);
    assert_eq!(there(&disk), [1, 2, 3, 4, 5].map(at));
    second.run(3, false).unwrap();
    assert_eq!(there(&disk), [1, 2, 3].map(at));
    second.stop(false).unwrap();
    assert_eq!(newest(&disk), (at(3), vec![1, 2, 3]));
}

/// A stream that begins anew has nothing of what was let go of, also in later checkpoints.
#[test]
fn f_13_what_was_let_go_of_does_not_come_back() {
    let disk = SimDisk::new();
    let first = Process::start(&disk, Duration::ZERO);
    first.run(1, false).unwrap();
    first.stop(false).unwrap();
    let store = store(&disk);
    let mut before = store.recover().unwrap().unwrap();
    before.discard("batches-0");
    let second = Process::go_on(store, Some(before), Duration::ZERO);
    second.run(2, false).unwrap();
    second.stop(false).unwrap();
    assert_eq!(newest(&disk), (at(2), vec![2]));
}

/// Batches that were cut before their time are cut again, each at its own, and are no fresh
/// ones.
#[test]
fn g_14_a_process_that_goes_on_knows_what_was_cut() {
    let disk = SimDisk::new();
    let first = Process::start(&disk, Duration::ZERO);
    first.run(1, false).unwrap();
    first.checkpointer.note_cut(at(2)).unwrap();
    first.checkpointer.note_cut(at(4)).unwrap();
    first.stop(false).unwrap();

    let second = Process::start(&disk, Duration::ZERO);
    assert_eq!(second.graph.noted_until(), at(4));
    for time in 2..=5 {
        assert!(second.checkpointer.recovery().is_some(), "{time}");
        second.run(time, false).unwrap();
    }
    assert!(second.checkpointer.recovery().is_none());
    second.stop(false).unwrap();
    // Nothing was noted behind this one.
    let third = Process::start(&disk, Duration::ZERO);
    assert_eq!(third.graph.noted_until(), at(5));
}
