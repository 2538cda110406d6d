use super::super::Place;
use super::*;
use crate::disk::sim::{Fault, SimDisk};
use crate::time::ManualClock;

const STREAM: &str = "numbers";

fn at(seconds: i64) -> BatchTime {
    BatchTime::from_millis(1000 * seconds)
}

/// Windows behind the receiver reach back two seconds.
fn open(disk: &SimDisk, again: Again) -> Arc<ReceiverLog> {
    let log = ReceiverLog::open(
        &(Arc::new(disk.clone()) as _),
        Path::new("/log"),
        again,
        (SyncMode::Always, OnCorruption::Fail),
        Duration::from_secs(2),
        &(Arc::new(ManualClock::new(0)) as _),
    );
    log.unwrap()
}

fn block(log: &ReceiverLog) -> Vec<u8> {
    log.begin_block(STREAM, None, 1).unwrap()
}

/// Logs a batch of blocks that are in the log.
fn batch(log: &ReceiverLog, second: i64, blocks: &[u64]) {
    let places = blocks.iter().copied().map(Place::Known).collect();
    let streams = [(Arc::from(STREAM), places)];
    log.append_batch(at(second), &streams, Vec::new()).unwrap();
}

fn numbers(blocks: &[RestoredBlock]) -> Vec<u64> {
    blocks.iter().map(|block| block.sequence).collect()
}

fn numbers_by_second(batches: &BTreeMap<BatchTime, Vec<RestoredBlock>>) -> Vec<(i64, Vec<u64>)> {
    let batches = batches.iter();
    let batches = batches.map(|(time, blocks)| (time.as_millis() / 1000, numbers(blocks)));
    batches.collect()
}

/// Of the stream: the batches before the checkpoint, those behind it, and the rest.
#[expect(clippy::type_complexity, reason = "lists of numbers")]
fn restored(
    log: &ReceiverLog,
    again: Again,
) -> (Vec<(i64, Vec<u64>)>, Vec<(i64, Vec<u64>)>, Vec<u64>) {
    let mut streams = log.restore(at(9), again).unwrap();
    let stream = streams.remove(STREAM).unwrap_or_default();
    assert!(streams.is_empty());
    (
        numbers_by_second(&stream.before),
        numbers_by_second(&stream.batches),
        numbers(&stream.rest),
    )
}

/// Batches up to the checkpoint are there as far back as windows reach, and not further.
#[test]
fn f_15_what_is_restored_is_what_the_checkpoint_says() {
    let disk = SimDisk::new();
    let log = open(&disk, Again::Never);
    let body = || block(&log).into();
    log.append_blocks((0..6).map(|_| body()).collect()).unwrap();
    for second in 1..=5 {
        batch(&log, second, &[second as u64 - 1]);
    }
    drop(log);

    let again = Again::Behind(at(3), None);
    let (before, behind) = (
        vec![(2, vec![1]), (3, vec![2])],
        vec![(4, vec![3]), (5, vec![4])],
    );
    let rest = vec![5];
    let log = open(&disk, again);
    assert_eq!(
        restored(&log, again),
        (before, behind.clone(), rest.clone())
    );
    drop(log);

    // A window has become longer: what it would read again is not there.
    let again = Again::Behind(at(3), Some(2));
    let before = vec![(2, vec![]), (3, vec![2])];
    let log = open(&disk, again);
    assert_eq!(restored(&log, again), (before, behind, rest));
    assert_eq!(log.needed_behind(at(3)), 2);
    drop(log);

    // But a batch behind the checkpoint is.
    let again = Again::Behind(at(3), Some(4));
    let log = open(&disk, again);
    let error = log.restore(at(9), again).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("no record 3"), "{error}");
}

/// A batch that could not be cut was given up, and what it had is in a later one.
#[test]
fn f_15_the_later_word_about_a_block_counts() {
    let disk = SimDisk::new();
    let log = open(&disk, Again::Never);
    let body = || block(&log).into();
    log.append_blocks((0..2).map(|_| body()).collect()).unwrap();
    batch(&log, 1, &[0, 1]);
    batch(&log, 2, &[1]);
    drop(log);
    let again = Again::Behind(at(0), None);
    let log = open(&disk, again);
    let behind = vec![(1, vec![0]), (2, vec![1])];
    assert_eq!(restored(&log, again), (vec![], behind, vec![]));
}

#[test]
fn f_15_a_program_that_begins_anew_gets_nothing() {
    let disk = SimDisk::new();
    let log = open(&disk, Again::Never);
    let nothing = (vec![], vec![], vec![]);
    assert_eq!(restored(&log, Again::Never), nothing);
    log.append_blocks(vec![block(&log).into()]).unwrap();
    drop(log);
    let log = open(&disk, Again::Nothing);
    assert_eq!(restored(&log, Again::Nothing), nothing);
    assert_eq!(log.needed_behind(at(9)), 1);
    // It has been somebody's who took checkpoints.
    let error = log.restore(at(9), Again::Never).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IllegalState);
    assert!(error.to_string().contains("/log has data"), "{error}");
}

#[test]
fn f_15_a_disk_that_fails_for_a_moment_is_asked_again() {
    let logged = || {
        let disk = SimDisk::new();
        let log = open(&disk, Again::Never);
        log.append_blocks(vec![block(&log).into(), block(&log).into()])
            .unwrap();
        batch(&log, 1, &[0]);
        disk
    };
    let again = Again::Behind(at(0), Some(0));
    let expected = (vec![], vec![(1, vec![0])], vec![1]);
    let calls = {
        let disk = logged();
        let first = disk.calls();
        assert_eq!(restored(&open(&disk, again), again), expected);
        disk.calls() - first
    };
    assert!(calls > 10, "{calls}");
    for call in 0..calls {
        for times in 1..=2 {
            let disk = logged();
            let first = disk.calls() + call;
            disk.fail(first..first + times, Fault::Io);
            assert_eq!(
                restored(&open(&disk, again), again),
                expected,
                "call {call}"
            );
        }
    }
}

/// A checkpoint says where in the log it begins, also if the log has been lost.
#[test]
fn f_15_numbers_go_on_behind_those_of_the_checkpoint() {
    let log = open(&SimDisk::new(), Again::Behind(at(3), Some(7)));
    let logged = log.append_blocks(vec![block(&log).into()]).unwrap();
    assert_eq!(logged, 7..8);
}

/// What is logged and in no ring yet may be in any later batch.
#[test]
fn r_2_a_block_under_way_is_needed() {
    let log = open(&SimDisk::new(), Again::Never);
    let first = log.append_block(block(&log)).unwrap();
    let second = log.append_block(block(&log)).unwrap();
    assert_eq!((first.sequence, second.sequence), (0, 1));
    assert_eq!(log.first_under_way(), 0);
    drop(first);
    assert_eq!(log.first_under_way(), 1);
    drop(second);
    assert_eq!(log.first_under_way(), 2);
}

/// Notes go with the checkpoints that need them, but for those in which windows reach back.
#[test]
fn r_7_what_windows_read_again_behind_a_checkpoint_is_needed() {
    let log = open(&SimDisk::new(), Again::Never);
    for second in 1..=5 {
        log.mark(at(second), second as u64);
    }
    let needed = || [1, 2, 3, 4, 5].map(|second| log.needed_behind(at(second)));
    assert_eq!(needed(), [0, 0, 1, 2, 3]);
    log.checkpointed(at(3)).unwrap();
    assert_eq!(needed(), [1, 1, 1, 2, 3]);
}

#[test]
fn notes_are_bounded_and_never_say_too_much() {
    let log = ReceiverLog::open(
        &(Arc::new(SimDisk::new()) as _),
        Path::new("/log"),
        Again::Never,
        (SyncMode::Os, OnCorruption::Fail),
        Duration::ZERO,
        &(Arc::new(ManualClock::new(0)) as _),
    );
    let log = log.unwrap();
    // Nothing new at every third time.
    let needed = |millis: i64| (millis - i64::from(millis % 3 == 0)) as u64;
    for millis in 1..=300_000 {
        log.mark(BatchTime::from_millis(millis), needed(millis));
    }
    assert!(log.state().needed.len() <= NOTES);
    let mut before = 0;
    for millis in 1..=300_000 {
        let told = log.needed_behind(BatchTime::from_millis(millis));
        assert!(told >= before && told <= needed(millis), "{millis}: {told}");
        before = told;
    }
    assert!(before > 290_000, "{before}");
}
