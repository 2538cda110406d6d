//! The protocol under loom: every order of steps and every stale read that the
//! memory model allows, for few records.
//!
//! `RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=3 cargo test --lib --release loom_`

use std::fmt;
use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::*;

/// A number that loom watches: reading it where its writing was not made
/// visible first fails the model.
struct Record(UnsafeCell<u32>);

// SAFETY: loom itself looks for races on the cell.
unsafe impl Send for Record {}
// SAFETY: as above.
unsafe impl Sync for Record {}

impl Record {
    fn new(number: u32) -> Self {
        Self(UnsafeCell::new(number))
    }

    fn number(&self) -> u32 {
        // SAFETY: records are not written again.
        self.0.with(|number| unsafe { *number })
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Record")
    }
}

/// Blocks of two records.
fn typed(bound: usize, queue: usize) -> RingOptions {
    RingOptions {
        block: 2 * size_of::<Record>(),
        bound,
        queue,
        lossy: false,
    }
}

fn numbers(taken: &[Taken<TypedBlock<Record>>]) -> Vec<u32> {
    taken
        .iter()
        .flat_map(|range| range.as_slice().iter().map(Record::number))
        .collect()
}

#[test]
fn loom_typed_cuts_are_exact() {
    loom::model(|| {
        let (mut writer, mut cutter, budget) = typed_ring::<Record>(typed(100, 4));
        let stored = Arc::new(AtomicUsize::new(0));
        let thread = {
            let stored = Arc::clone(&stored);
            thread::spawn(move || {
                for number in 0..4 {
                    writer.push(Record::new(number), 1).unwrap();
                    stored.store(number as usize + 1, Ordering::Release);
                }
            })
        };
        let mut taken = Vec::new();
        for _ in 0..2 {
            let before = stored.load(Ordering::Acquire);
            cutter.cut(&mut taken);
            assert!(numbers(&taken).len() >= before);
        }
        thread.join().unwrap();
        cutter.cut(&mut taken);
        assert_eq!(numbers(&taken), [0, 1, 2, 3]);
        assert_eq!(budget.used(), 4);
        drop(taken);
        assert_eq!(budget.used(), 0);
    });
}

#[test]
fn loom_whole_blocks_and_single_records_keep_their_order() {
    loom::model(|| {
        let (mut writer, mut cutter, _budget) = typed_ring::<Record>(typed(100, 4));
        let thread = thread::spawn(move || {
            writer.push(Record::new(0), 1).unwrap();
            writer
                .push_block(vec![Record::new(1), Record::new(2)], 2)
                .unwrap();
            writer.push(Record::new(3), 1).unwrap();
        });
        let mut taken = Vec::new();
        cutter.cut(&mut taken);
        cutter.cut(&mut taken);
        thread.join().unwrap();
        cutter.cut(&mut taken);
        assert_eq!(numbers(&taken), [0, 1, 2, 3]);
    });
}

#[test]
fn loom_text_cuts_are_exact() {
    loom::model(|| {
        let options = RingOptions {
            block: 5,
            bound: 100,
            queue: 4,
            lossy: false,
        };
        let (mut writer, mut cutter, _budget) = text_ring(options, 10);
        let thread = thread::spawn(move || {
            // The third piece needs another block, and takes "b" along.
            for piece in ["a\n", "b", "c\n", "d\n"] {
                let mut rest = piece.as_bytes();
                while !rest.is_empty() {
                    let spare = writer.spare(rest.len()).unwrap();
                    let (now, later) = rest.split_at(spare.len());
                    spare.copy_from_slice(now);
                    writer.filled(now.len());
                    writer.publish(usize::MAX);
                    rest = later;
                }
            }
        });
        let mut taken = Vec::new();
        cutter.cut(&mut taken);
        cutter.cut(&mut taken);
        thread.join().unwrap();
        cutter.cut(&mut taken);
        let bytes: Vec<u8> = taken.iter().flat_map(Taken::bytes).copied().collect();
        assert_eq!(bytes, b"a\nbc\nd\n");
        assert_eq!(taken.iter().map(Taken::records).sum::<usize>(), 3);
    });
}

#[test]
fn loom_a_writer_that_waits_for_bytes_is_woken() {
    loom::model(|| {
        let (mut writer, mut cutter, budget) = typed_ring::<Record>(typed(2, 4));
        writer.push(Record::new(0), 1).unwrap();
        let mut first = Vec::new();
        cutter.cut(&mut first);
        writer.push(Record::new(1), 1).unwrap();
        let mut second = Vec::new();
        cutter.cut(&mut second);
        let thread = thread::spawn(move || writer.push(Record::new(2), 2).unwrap());
        let other = thread::spawn(move || drop(first));
        drop(second);
        other.join().unwrap();
        thread.join().unwrap();
        let mut last = Vec::new();
        cutter.cut(&mut last);
        assert_eq!(numbers(&last), [2]);
        assert_eq!(budget.used(), 2);
    });
}

#[test]
fn loom_a_writer_that_waits_for_a_cut_is_woken() {
    loom::model(|| {
        let (mut writer, mut cutter, _budget) = typed_ring::<Record>(typed(100, 1));
        writer.push_block(vec![Record::new(0)], 1).unwrap();
        let thread = thread::spawn(move || {
            writer.push_block(vec![Record::new(1)], 1).unwrap();
        });
        let mut taken = Vec::new();
        cutter.cut(&mut taken);
        thread.join().unwrap();
        cutter.cut(&mut taken);
        assert_eq!(numbers(&taken), [0, 1]);
    });
}

/// One range can be dropped by the writer itself as soon as it is said to be
/// waiting; the other one is dropped by somebody else.
#[test]
fn loom_a_writer_that_makes_room_misses_nothing() {
    loom::model(|| {
        let (mut writer, mut cutter, budget) = typed_ring::<Record>(typed(2, 4));
        let (mut first, mut second) = (Vec::new(), Vec::new());
        writer.push(Record::new(0), 1).unwrap();
        cutter.cut(&mut first);
        writer.push(Record::new(1), 1).unwrap();
        cutter.cut(&mut second);
        let waiting = Arc::new(Mutex::new(Vec::new()));
        let oldest = Arc::clone(&waiting);
        budget.make_room_by(move || {
            let taken: Vec<Taken<TypedBlock<Record>>> = std::mem::take(&mut oldest.lock().unwrap());
            (!taken.is_empty()).then_some(1)
        });
        let thread = thread::spawn(move || writer.push(Record::new(2), 2).unwrap());
        *waiting.lock().unwrap() = first;
        budget.wake();
        drop(second);
        thread.join().unwrap();
        assert_eq!((budget.used(), budget.dropped()), (2, 1));
    });
}

#[test]
fn loom_a_writer_that_waits_is_told_of_the_end() {
    loom::model(|| {
        let (mut writer, cutter, budget) = typed_ring::<Record>(typed(1, 4));
        writer.push(Record::new(0), 1).unwrap();
        let thread = thread::spawn(move || {
            let refused = writer.push(Record::new(1), 1).unwrap_err();
            assert_eq!(refused.number(), 1);
        });
        budget.close();
        thread.join().unwrap();
        drop(cutter);
    });
}
